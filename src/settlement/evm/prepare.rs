//! Asking the chain about a payment while the origin works on what it buys.
//!
//! A payment that is claimed is about to be settled, and the preview of it does
//! not depend on the origin. So one of them at a time is previewed at once, where
//! nothing waits: behind others it is previewed together with them, which costs
//! the nodes less.

use std::rc::Rc;
use std::time::Duration;

use super::EvmLane;
use super::preview::{Preview, Problem};
use super::queue::Waiting;
use crate::evm;
use crate::settlement::Host;
use crate::settlement::ahead::{Asking, DEAD_SECONDS};
use crate::time::UnixSeconds;

/// How long is waited for others to come before a payment goes out by itself.
const GATHER: Duration = Duration::from_millis(1);

/// How many previews are kept at once.
const KEPT_MAX: usize = 16;

/// Who was claimed for within so many seconds may be about to share a transaction:
/// they have come at about the same time, and go on at about the same time.
const CROWD_SECONDS: u64 = 2;

/// How many others there may be of those where nobody is a crowd. With more, each
/// that went alone would pay a transaction's own gas.
const OTHERS_MAX: usize = 1;

/// What the chain says of one payment, asked at some moment.
pub(super) struct Asked {
    /// Of [`Commitments::moment`](crate::settlement::commitments::Commitments::moment).
    pub moment: u64,
    pub preview: Result<Preview, Problem>,
}

/// Says that a preview is under way, until it is dropped.
struct UnderWay<H: Host>(Rc<EvmLane<H>>);

impl<H: Host> UnderWay<H> {
    fn begin(lane: &Rc<EvmLane<H>>) -> Self {
        lane.preparing_since.set(Some(lane.shared.host.now()));
        Self(Rc::clone(lane))
    }
}

impl<H: Host> Drop for UnderWay<H> {
    fn drop(&mut self) {
        self.0.preparing_since.set(None);
    }
}

impl<H: Host> EvmLane<H> {
    /// Begins to ask the chain about a payment that was claimed with this ticket,
    /// if nobody is held up by it. Writes and sends nothing.
    pub(super) fn ask_early(self: &Rc<Self>, payment: evm::VerifiedPayment, ticket: u64) {
        if !self.may_ask_early(ticket) {
            return;
        }
        let now = self.shared.host.now();
        let mut coming = self.coming.borrow_mut();
        if self.preparing_since.get().is_some_and(|since| now.since(since) < DEAD_SECONDS) {
            *self.next_early.borrow_mut() = Some((payment, ticket));
            return;
        }
        let (asking, ahead) = Asking::begin(now);
        coming.insert(ticket, ahead);
        let under_way = UnderWay::begin(self);
        self.shared.host.spawn(async move {
            let asked = under_way.0.ask_about(&[&payment]).await;
            if let Ok(preview) = &asked.preview {
                under_way.0.sign_ahead(&payment, preview);
            }
            asking.end(asked, under_way.0.shared.host.now());
            let lane = Rc::clone(&under_way.0);
            drop(under_way);
            let next = lane.next_early.borrow_mut().take();
            if let Some((payment, ticket)) = next.filter(|(_, it)| lane.shared.live.holds(*it)) {
                lane.ask_early(payment, ticket);
            }
        });
    }

    /// Whether there is room for one more preview, and nobody with whom the holder of
    /// this ticket would share one.
    pub(super) fn may_ask_early(&self, ticket: u64) -> bool {
        let now = self.shared.host.now();
        let mut coming = self.coming.borrow_mut();
        coming.retain(|_, it| it.is_of_use(now));
        coming.len() < KEPT_MAX && self.key.key().is_some() && !self.is_in_crowd(ticket, now)
    }

    /// Whether others than the holder of this ticket are about to be sent, so that
    /// they should share a transaction. What waits for long is not among them.
    fn is_in_crowd(&self, ticket: u64, now: UnixSeconds) -> bool {
        self.others(ticket, now) > OTHERS_MAX
    }

    /// How many those are.
    fn others(&self, ticket: u64, now: UnixSeconds) -> usize {
        let since = UnixSeconds(now.0.saturating_sub(CROWD_SECONDS));
        let recent = self.shared.live.others_since(ticket, since);
        // To look further costs more, the longer the queue is.
        if recent > OTHERS_MAX { recent } else { recent.max(self.ready(OTHERS_MAX + 1)) }
    }

    /// What the chain says of a batch: of a single payment what it is saying now, or
    /// has said just now, if that is all good.
    pub(super) async fn asked_about(&self, batch: &[Waiting]) -> Asked {
        if let [only] = batch
            && let Some(asked) = self.asked_early(only).await
        {
            return asked;
        }
        let payments: Vec<_> = batch.iter().map(|waiting| &waiting.payment).collect();
        self.ask_about(&payments).await
    }

    async fn ask_about(&self, payments: &[&evm::VerifiedPayment]) -> Asked {
        let moment = self.shared.commitments.moment();
        Asked { moment, preview: self.preview(payments).await }
    }

    async fn asked_early(&self, waiting: &Waiting) -> Option<Asked> {
        let ticket = waiting.job.request.ticket;
        let ahead = self.coming.borrow_mut().remove(&ticket)?;
        let (asked, is_new) = ahead.answer(self.shared.host.now()).await?;
        let now = self.shared.host.now();
        let Ok(preview) = &asked.preview else {
            // A node that has just failed is not asked again at once.
            return is_new.then_some(asked);
        };
        // Where payments have failed on chain in this hour, somebody may wait for
        // the moment between the two.
        if self.shared.throttle.failed_gas(now) > 0 {
            return None;
        }
        // What is refused, or has to wait, is refused for what is so now.
        if preview.gas.is_none() || preview.time.is_some() {
            return is_new.then_some(asked);
        }
        if self.others(ticket, now) > 0 {
            self.shared.host.sleep(GATHER).await;
        }
        // Others have come, or are about to: while the chain is asked, so do those
        // who are to share the next transaction with them.
        let is_crowd = self.is_in_crowd(ticket, self.shared.host.now());
        (!is_crowd).then_some(asked)
    }
}
