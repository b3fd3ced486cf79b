//! Requests that wait for what becomes of a payment.

use std::rc::Rc;

use futures_channel::oneshot;

use super::delivery::DeliveryState;
use super::shared::Shared;
use super::{Host, Outcome, State, Store, StoreError};
use crate::protocol::Reason;
use crate::time::UnixSeconds;

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
pub(super) struct Waiter {
    changed: oneshot::Sender<()>,
    is_proven: bool,
}

impl Waiter {
    fn is_there(&self) -> bool {
        !self.changed.is_canceled()
    }
}

impl<H: Host> Shared<H> {
    /// Resolves when something has become of a payment.
    pub(super) fn change_of(&self, payment: &str) -> oneshot::Receiver<()> {
        self.change_for(payment, false)
    }

    /// The same, for a request that shows the claim's proof, or doesn't.
    pub(super) fn change_for(&self, payment: &str, is_proven: bool) -> oneshot::Receiver<()> {
        let (changed, receiver) = oneshot::channel();
        let mut waiting = self.waiting.borrow_mut();
        let of_payment = waiting.get_or_insert_with(payment.to_owned(), Default::default);
        // Some have given up.
        of_payment.retain(Waiter::is_there);
        of_payment.push(Waiter { changed, is_proven });
        receiver
    }

    /// Whether so many requests wait, for this payment or for all, that one more
    /// can't: one that shows the claim's proof, or one that doesn't.
    pub(super) fn is_crowded(&self, payment: &str, is_proven: bool) -> bool {
        let mut waiting = self.waiting.borrow_mut();
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
        let of_payment = of_payment.map_or(0, Vec::len);
        let times = if is_proven { PROVEN } else { 1 };
        of_payment >= times * WAITING_MAX || at_all >= times * WAITING_MAX_AT_ALL
    }

    /// Wakes who waits for a payment.
    pub(super) fn tell(&self, payment: &str) {
        for waiter in self.waiting.borrow_mut().remove(payment).unwrap_or_default() {
            // Whoever has given up waiting need not know.
            let _ = waiter.changed.send(());
        }
    }

    /// Takes note that a request waits for its settlement, until what is
    /// returned is dropped.
    pub(super) fn attend(self: &Rc<Self>, ticket: u64) -> Attending<H> {
        self.holders.borrow_mut().insert(ticket);
        Attending { shared: Rc::clone(self), ticket }
    }

    /// Takes a settlement of which a server is told once: for the holder, or
    /// if that is gone the first that asks, and for nobody after. `None` while
    /// it is the holder's. Read, decided and written without an await.
    pub(super) fn tell_once(
        &self,
        payment: &str,
        ticket: u64,
    ) -> Result<Option<Outcome>, StoreError> {
        let now = self.host.now();
        let Some(mut record) = self.store.payment(payment)? else {
            return Ok(Some(Outcome::Unavailable));
        };
        let State::Settled(settlement) = &mut record.state else {
            return Ok(Some(Outcome::Unavailable));
        };
        if now >= settlement.redeliver_until {
            return Ok(Some(Outcome::Failed {
                reason: Reason::DuplicateSettlement,
                transaction: Some(settlement.transaction.clone()),
            }));
        }
        if let DeliveryState::Underway { ticket: holder, .. } = record.delivery.state
            && holder != ticket
            && self.holders.borrow().contains(&holder)
        {
            return Ok(None);
        }
        // Long ago, so that a clock that is behind changes nothing.
        settlement.redeliver_until = UnixSeconds(0);
        let outcome = Outcome::Settled(settlement.clone());
        self.store.put_payment(&record)?;
        self.tell(payment);
        Ok(Some(outcome))
    }
}

/// A request that waits for its settlement.
pub(super) struct Attending<H: Host> {
    shared: Rc<Shared<H>>,
    ticket: u64,
}

impl<H: Host> Drop for Attending<H> {
    fn drop(&mut self) {
        self.shared.holders.borrow_mut().remove(&self.ticket);
    }
}
