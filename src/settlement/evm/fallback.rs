//! What becomes of payments while the nodes can't be reached.

use std::rc::Rc;

use super::{EvmLane, Waiting};
use crate::facilitator_client::Facilitator;
use crate::protocol::ChainId;
use crate::settlement::Host;
use crate::settlement::lane::Attempt;
use crate::settlement::remote::RemoteLane;

impl<H: Host> EvmLane<H> {
    /// The lane of the facilitator that settles while the nodes can't be
    /// reached: to be tried after this one.
    pub fn fallback_to(&self, facilitator: Facilitator) -> Rc<RemoteLane<H>> {
        RemoteLane::fallback(
            Rc::clone(&self.shared),
            ChainId::Evm(self.chain_id),
            facilitator,
            Rc::clone(&self.nodes),
            self.limits.quorum_above.clone(),
        )
    }

    /// A payment of which the nodes could be told nothing.
    pub(super) fn hand_back(&self, waiting: Waiting) {
        let back = Attempt::Untouched(Box::new(waiting.job));
        if let Err(Ok(Attempt::Untouched(job))) = waiting.done.send(Ok(back)) {
            // Nobody waits for it. If this fails, its claim ends by itself.
            let _ = self.shared.release(&job.request.payment, job.request.ticket);
        }
    }
}
