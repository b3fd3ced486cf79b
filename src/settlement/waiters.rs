//! Those who wait for what becomes of payments.

use std::cell::RefCell;

use futures_channel::oneshot;

use crate::table::Table;

/// How many requests may wait for what becomes of one payment. Each holds a
/// connection, and whoever has seen a payment can send it again.
const WAITING_MAX: usize = 64;

/// How many may wait for all payments together: each holds memory, too, and whoever
/// has no money can claim as many payments as he likes.
const WAITING_MAX_AT_ALL: usize = 1_024;

/// How many times as many may wait when those count too that show what the claim
/// shows: others can't take the buyer's places.
const PROVEN: usize = 2;

/// How many of those always wait for one payment, however many wait for others: who
/// has no money fills the room with claims that are his own, and proves it. What
/// bounds their memory is that each is a message with a place of its own in its
/// isolate, like each claim.
const PROVEN_ALWAYS: usize = 4;

/// A request that waits.
struct Waiter {
    changed: oneshot::Sender<()>,
    is_proven: bool,
}

impl Waiter {
    fn is_there(&self) -> bool {
        !self.changed.is_canceled()
    }
}

/// Requests that wait, by the payment.
#[derive(Default)]
pub(super) struct Waiters(RefCell<Table<String, Vec<Waiter>>>);

impl Waiters {
    /// Resolves when something has become of a payment, for a request that shows its
    /// claim's proof, or doesn't.
    pub(super) fn join(&self, payment: &str, is_proven: bool) -> oneshot::Receiver<()> {
        let (changed, receiver) = oneshot::channel();
        let mut waiting = self.0.borrow_mut();
        let of_payment = waiting.get_or_insert_with(payment.to_owned(), Default::default);
        // Some have given up.
        of_payment.retain(Waiter::is_there);
        of_payment.push(Waiter { changed, is_proven });
        receiver
    }

    /// Whether so many wait, for this payment or for all, that one more can't.
    pub(super) fn is_crowded(&self, payment: &str, is_proven: bool) -> bool {
        let mut waiting = self.0.borrow_mut();
        let mut at_all = 0;
        // Those who have given up may have waited for what nobody tells any more.
        waiting.retain(|_, of_payment| {
            of_payment.retain(Waiter::is_there);
            at_all += of_payment.len();
            !of_payment.is_empty()
        });
        let of_payment = waiting.get(payment);
        let proven = of_payment.map_or(0, |it| it.iter().filter(|it| it.is_proven).count());
        if is_proven && proven < PROVEN_ALWAYS {
            return false;
        }
        let times = if is_proven { PROVEN } else { 1 };
        of_payment.map_or(0, Vec::len) >= times * WAITING_MAX
            || at_all >= times * WAITING_MAX_AT_ALL
    }

    /// Wakes who waits for a payment.
    pub(super) fn tell(&self, payment: &str) {
        for waiter in self.0.borrow_mut().remove(payment).unwrap_or_default() {
            // Whoever has given up waiting need not know.
            let _ = waiter.changed.send(());
        }
    }
}
