//! What becomes of payments while the nodes can't be reached.

use std::rc::Rc;

use super::{EvmLane, Waiting};
use crate::facilitator_client::Facilitator;
use crate::protocol::ChainId;
use crate::settlement::journal::FacilitatorEntry;
use crate::settlement::remote::RemoteLane;
use crate::settlement::{Host, Outcome};

impl<H: Host> EvmLane<H> {
    /// Names the facilitator that settles while the nodes can't be reached.
    pub fn fall_back_on(&self, facilitator: Facilitator) {
        let lane = RemoteLane::over(
            Rc::clone(&self.shared),
            ChainId::Evm(self.chain_id),
            facilitator,
            Some(Rc::clone(&self.nodes)),
            self.limits.quorum_above,
        );
        // There is one for the lane's whole life.
        let _ = self.fallback.set(lane);
    }

    /// A payment of which the nodes could be told nothing: it goes to the
    /// facilitator, if there is one and nothing of the payment was ever sent, or
    /// its claim is free again. The queue does not wait for this.
    pub(super) fn without_nodes(&self, waiting: Waiting) {
        let Waiting { job, done, .. } = waiting;
        let known = self.shared.held_record(&job).ok().flatten();
        let is_new = known.is_some_and(|record| !record.was_sent);
        let fallback = self.fallback.get().filter(|_| is_new && job.request.remote.is_some());
        if let Some(fallback) = fallback.map(Rc::clone) {
            self.shared.host.spawn(async move {
                let _ = done.send(fallback.verify_and_settle(job).await);
            });
        } else {
            let freed = self.shared.release(&job.request.payment, job.request.ticket);
            let _ = done.send(freed.map(|()| Outcome::Unavailable));
        }
    }

    /// Follows what the facilitator was asked for before a crash.
    pub(in crate::settlement) fn resume_fallback(&self, entries: Vec<FacilitatorEntry>) {
        match self.fallback.get() {
            Some(fallback) => fallback.resume(entries),
            None if entries.is_empty() => {}
            None => self.log(&format!(
                "{} payment(s) are at a facilitator that is not configured any more",
                entries.len()
            )),
        }
    }
}
