//! Requests that wait for what becomes of a payment.

use std::rc::Rc;

use futures_channel::oneshot;

use super::delivery::DeliveryState;
use super::shared::Shared;
use super::{Host, Outcome, State, Store, StoreError};
use crate::protocol::Reason;
use crate::time::UnixSeconds;

impl<H: Host> Shared<H> {
    /// Resolves when something has become of a payment.
    pub(super) fn change_of(&self, payment: &str) -> oneshot::Receiver<()> {
        self.change_for(payment, false)
    }

    /// The same, for a request that shows the claim's proof, or doesn't.
    pub(super) fn change_for(&self, payment: &str, is_proven: bool) -> oneshot::Receiver<()> {
        self.waiting.join(payment, is_proven)
    }

    /// Whether so many requests wait, for this payment or for all, that one more
    /// can't: one that shows the claim's proof, or one that doesn't.
    pub(super) fn is_crowded(&self, payment: &str, is_proven: bool) -> bool {
        self.waiting.is_crowded(payment, is_proven)
    }

    /// Wakes who waits for a payment.
    pub(super) fn tell(&self, payment: &str) {
        self.waiting.tell(payment);
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
