//! What a chain was asked about a payment ahead of its settlement.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;

use crate::time::UnixSeconds;

/// For how many seconds what a chain has said of a payment is good enough to
/// send it.
///
/// Too few, and whoever buys from a slow origin waits for the chain twice. Too
/// many, and payers have time to empty their accounts, at the signer's cost.
const GOOD_SECONDS: u64 = 1;

/// After how many seconds a question that is under way is taken for dead.
pub(super) const DEAD_SECONDS: u64 = 20;

/// An answer that is there, or soon will be.
pub(super) struct Ahead<T> {
    since: UnixSeconds,
    answered_at: Rc<Cell<Option<UnixSeconds>>>,
    answer: oneshot::Receiver<T>,
}

/// By which whoever asks hands the answer over.
pub(super) struct Asking<T> {
    answered_at: Rc<Cell<Option<UnixSeconds>>>,
    sender: oneshot::Sender<T>,
}

impl<T> Asking<T> {
    /// A question that is asked from now on.
    pub(super) fn begin(now: UnixSeconds) -> (Self, Ahead<T>) {
        let (sender, answer) = oneshot::channel();
        let answered_at = Rc::<Cell<_>>::default();
        let ahead = Ahead { since: now, answered_at: Rc::clone(&answered_at), answer };
        (Self { answered_at, sender }, ahead)
    }

    /// This is the answer.
    pub(super) fn end(self, answer: T, now: UnixSeconds) {
        self.answered_at.set(Some(now));
        // Nobody may be waiting.
        let _ = self.sender.send(answer);
    }
}

impl<T> Ahead<T> {
    /// Whether its answer can still be of use. A slow node's is as old as itself,
    /// not as its question.
    pub(super) fn is_of_use(&self, now: UnixSeconds) -> bool {
        match self.answered_at.get() {
            Some(at) => now.since(at) <= GOOD_SECONDS,
            None => now.since(self.since) < DEAD_SECONDS,
        }
    }

    /// The answer, and whether it was still to come: then it is what the chain says
    /// now, be it good or bad, and to ask again would bring the same.
    pub(super) async fn answer(self, now: UnixSeconds) -> Option<(T, bool)> {
        let is_new = self.answered_at.get().is_none();
        if !self.is_of_use(now) {
            return None;
        }
        Some((self.answer.await.ok()?, is_new))
    }
}
