//! Simulating a payment while the origin works on what it buys.
//!
//! A payment that is claimed is about to be settled, and what the cluster says of it
//! does not depend on the origin. The node does not get our signature for that: until
//! the origin has delivered, nobody can send it.

use std::cell::RefCell;
use std::rc::Rc;

use super::SolanaLane;
use super::preview::{Preview, Refusal};
use crate::settlement::ahead::{Ahead, Asking};
use crate::settlement::{Host, SettleRequest};
use crate::solana::{Pubkey, VerifiedPayment};
use crate::table::Table;

/// How many are simulated so early at once: fewer than there are connections. Each is
/// simulated by itself in any case, so with more of them nobody waits for less.
const AT_ONCE: usize = 4;

/// How many of those may be from one token account, so that nobody has all of them.
const OF_SOURCE: usize = 2;

/// How many simulations are kept at once.
const KEPT_MAX: usize = 16;

/// The simulations that are kept, by the tickets of their claims.
#[derive(Default)]
pub(super) struct Early {
    coming: Table<u64, Ahead<Result<Preview, Refusal>>>,
    /// The token accounts that pay for those that are under way.
    sources: Rc<RefCell<Vec<Pubkey>>>,
}

/// Counts a simulation, until it is dropped.
struct UnderWay(Rc<RefCell<Vec<Pubkey>>>, Pubkey);

impl UnderWay {
    /// `None` where there is no room for one more.
    fn begin(sources: &Rc<RefCell<Vec<Pubkey>>>, source: Pubkey) -> Option<Self> {
        let mut all = sources.borrow_mut();
        let of_source = all.iter().filter(|it| **it == source).count();
        if all.len() >= AT_ONCE || of_source >= OF_SOURCE {
            return None;
        }
        all.push(source);
        Some(Self(Rc::clone(sources), source))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.0.borrow_mut();
        if let Some(place) = all.iter().position(|it| *it == self.1) {
            all.swap_remove(place);
        }
    }
}

impl<H: Host> SolanaLane<H> {
    /// Begins to simulate a payment that is about to be claimed. Writes and sends
    /// nothing.
    pub(super) fn ask_early(self: &Rc<Self>, order: &SettleRequest, payment: VerifiedPayment) {
        let now = self.shared.host.now();
        let mut early = self.early.borrow_mut();
        early.coming.retain(|_, it| it.is_of_use(now));
        let is_full = early.coming.len() >= KEPT_MAX;
        if is_full || self.key.is_none() || self.is_over_budget(&payment) {
            return;
        }
        let Some(under_way) = UnderWay::begin(&early.sources, *payment.source()) else { return };
        let (asking, ahead) = Asking::begin(now);
        early.coming.insert(order.ticket, ahead);
        let (lane, order) = (Rc::clone(self), order.clone());
        self.shared.host.spawn(async move {
            let _under_way = under_way;
            let preview = lane.preview(&order, &payment, None).await;
            asking.end(preview, lane.shared.host.now());
        });
    }

    /// What the cluster says of a payment now, or has said just now, if that is good
    /// enough to send it.
    pub(super) async fn asked_early(&self, ticket: u64) -> Option<Result<Preview, Refusal>> {
        let ahead = self.early.borrow_mut().coming.remove(&ticket)?;
        let (preview, is_new) = ahead.answer(self.shared.host.now()).await?;
        // Where payments have failed on chain lately, somebody may wait for the
        // moment between the two.
        let is_quiet = !self.shared.throttle.has_any_failed(self.shared.host.now());
        // Whoever is refused is refused for what is so now, and a node that has just
        // failed is not asked again at once.
        let is_of_use = if preview.is_ok() { is_quiet } else { is_new };
        is_of_use.then_some(preview)
    }
}
