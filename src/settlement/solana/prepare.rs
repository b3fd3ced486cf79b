//! Simulating a payment while the origin works on what it buys.
//!
//! A payment that is claimed is about to be settled, and what the cluster says of it
//! does not depend on the origin. The node does not get our signature for that: until
//! the origin has delivered, nobody can send it.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;

use super::SolanaLane;
use super::preview::Preview;
use crate::settlement::{Host, SettleRequest};
use crate::solana::VerifiedPayment;
use crate::table::Table;
use crate::time::UnixSeconds;

/// For how many seconds what the cluster has said of a payment is good enough to
/// send it.
///
/// Too few, and whoever buys from a slow origin waits for the cluster twice. Too
/// many, and payers have time to empty their accounts, at the fee payer's cost.
const GOOD_SECONDS: u64 = 1;

/// How many are simulated so early at once: fewer than there are connections. Each is
/// simulated by itself in any case, so with more of them nobody waits for less.
const AT_ONCE: usize = 4;

/// How many simulations are kept at once.
const KEPT_MAX: usize = 16;

/// A simulation that has gone well, or soon will have.
pub(super) struct Coming {
    since: UnixSeconds,
    preview: oneshot::Receiver<Preview>,
}

/// The simulations that are kept, by the tickets of their claims.
#[derive(Default)]
pub(super) struct Early {
    coming: Table<u64, Coming>,
    under_way: Rc<Cell<usize>>,
}

/// Counts a simulation, until it is dropped.
struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl<H: Host> SolanaLane<H> {
    /// Begins to simulate a payment that is about to be claimed. Writes and sends
    /// nothing.
    pub(super) fn ask_early(self: &Rc<Self>, order: &SettleRequest, payment: VerifiedPayment) {
        let now = self.shared.host.now();
        let mut early = self.early.borrow_mut();
        early.coming.retain(|_, it| is_good(it.since, now));
        let under_way = early.under_way.get();
        let is_full = early.coming.len() >= KEPT_MAX || under_way >= AT_ONCE;
        if is_full || self.key.is_none() || self.is_over_budget(&payment) {
            return;
        }
        early.under_way.set(under_way + 1);
        let counted = UnderWay(Rc::clone(&early.under_way));
        let (sender, preview) = oneshot::channel();
        early.coming.insert(order.ticket, Coming { since: now, preview });
        let (lane, order) = (Rc::clone(self), order.clone());
        self.shared.host.spawn(async move {
            let _counted = counted;
            // Whoever is refused is refused for what is so when it would be sent.
            if let Ok(preview) = lane.preview(&order, &payment, None).await {
                let _ = sender.send(preview);
            }
        });
    }

    /// What came of that, if it is good enough to send the payment.
    pub(super) async fn asked_early(&self, ticket: u64) -> Option<Preview> {
        let Coming { since, preview } = self.early.borrow_mut().coming.remove(&ticket)?;
        let preview = preview.await.ok()?;
        let now = self.shared.host.now();
        // Where payments have failed on chain lately, somebody may wait for the
        // moment between the two.
        (is_good(since, now) && !self.shared.throttle.has_any_failed(now)).then_some(preview)
    }
}

fn is_good(since: UnixSeconds, now: UnixSeconds) -> bool {
    now.since(since) <= GOOD_SECONDS
}
