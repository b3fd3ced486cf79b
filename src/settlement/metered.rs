//! What is sold by use: a payment is held before the goods go out, and settled
//! when it is known how much was used.

use std::rc::Rc;

use super::hold::{HoldReply, UseReport};
use super::lane::Job;
use super::record::{Order, owed::DEBT_SECONDS};
use super::shared::{JOIN_LIMIT, WAKE_SECONDS};
use super::{
    Host, Outcome, PaymentRecord, SettleRequest, Settler, State, Store, StoreError, Verdict,
};
use crate::amount::AtomicAmount;
use crate::payment::{Checked, VerifiedPayment};
use crate::protocol::Reason;
use crate::time::UnixSeconds;

/// How long a payment must still be good that is held, in seconds: goods go out
/// and are settled in this time.
pub const LEAST_SECONDS: u64 = 60;

/// How long before a payment's end its goods must have gone out, in seconds, so
/// that it can still be settled.
pub const SETTLING_SECONDS: u64 = 45;

/// The longest time until it is looked again at what is unsettled, in seconds.
const LONGEST_SLEEP: u64 = 86_400;

impl<H: Host> Settler<H> {
    /// Holds a payment that the asker has claimed: it is good for the most that
    /// may be charged, as far as anybody can know before that, and no more is at
    /// stake than the seller allows.
    ///
    /// # Errors
    /// The disk failed: nothing may be delivered.
    pub async fn hold(&self, request: SettleRequest) -> Result<HoldReply, StoreError> {
        let shared = &self.shared;
        let now = shared.host.now();
        let payment = match request.check(now).and_then(Checked::payable) {
            Ok(payment) if payment.identity() == request.payment => payment,
            Ok(_) => return self.refuse_hold(&request, Reason::InvalidPayload),
            Err(reason) => return self.refuse_hold(&request, reason),
        };
        if payment.expires_at(now) < now.plus(LEAST_SECONDS) {
            return self.refuse_hold(&request, payment.too_late());
        }
        // What is at stake is counted by the first relayer alone.
        if !request.terms.is_for_first_relayer(&payment) {
            return self.refuse_hold(&request, Reason::UptoFacilitatorMismatch);
        }
        let payer = payment.payer();
        if shared.throttle.is_throttled(&payer, shared.host.now()) {
            return self.refuse_hold(&request, Reason::TooManyFailures);
        }
        // Nothing was sent or delivered: if the process dies here, the claim is
        // free again after its lease.
        self.collect_from(&payer).await?;
        if !self.debts_of(&payer, PaymentRecord::is_overdue)?.is_empty() {
            return self.refuse_hold(&request, Reason::UnpaidDebt);
        }
        // What another ticket holds is that one's stake.
        let record = shared.store.payment(&request.payment)?;
        let is_claimed = |it: &PaymentRecord| matches!(it.state, State::Claimed { ticket, .. } if ticket == request.ticket);
        if !record.as_ref().is_some_and(is_claimed) {
            return Ok(HoldReply::Unavailable);
        }
        // Counted before anything is asked, so that of two requests at once each
        // knows of the other.
        if !shared.unsettled.has_room(&payer, &request) {
            shared.log_refusal(&format!(
                "{}: {payer} has to wait: too much is unsettled (unsettled_max)",
                request.network
            ));
            shared.release(&request.payment, request.ticket)?;
            return Ok(HoldReply::TooMuch);
        }
        shared.unsettled.note(&payer, &request);
        let reply = self.hold_good(&request, payment, now).await;
        if !matches!(reply, Ok(HoldReply::Held)) {
            shared.unsettled.end_hold(&request.payment, request.ticket);
        }
        reply
    }

    /// Asks the chain about a payment, and holds it if that says yes.
    async fn hold_good(
        &self,
        request: &SettleRequest,
        payment: VerifiedPayment,
        verified_at: UnixSeconds,
    ) -> Result<HoldReply, StoreError> {
        let shared = &self.shared;
        let Some(lane) = self.lanes.iter().find(|lane| lane.takes(&payment)) else {
            return self.refuse_hold(request, Reason::InvalidNetwork);
        };
        // As above.
        match lane.verify(request, &payment).await? {
            Verdict::Valid => {}
            Verdict::Invalid(reason) => return self.refuse_hold(request, reason),
            Verdict::Unknown | Verdict::LimitReached | Verdict::FeeExceedsPrice => {
                shared.release(&request.payment, request.ticket)?;
                return Ok(HoldReply::Unavailable);
            }
        }
        // Goods go out only if what they come to can be settled.
        if shared.condition.lacks_coin() {
            shared.release(&request.payment, request.ticket)?;
            return Ok(HoldReply::Unavailable);
        }
        let record = shared.store.payment(&request.payment)?;
        let held = record.filter(|it| it.is_held_by(request.ticket));
        let Some(mut record) = held.filter(|it| it.resource == request.resource) else {
            return Ok(HoldReply::Unavailable);
        };
        let order = Order { request: request.clone(), verified_at, owed_since: None };
        record.hold(order, shared.host.now());
        shared.store.put_payment(&record)?;
        shared.live.end(request.ticket);
        shared.plan_to_wake();
        Ok(HoldReply::Held)
    }

    fn refuse_hold(
        &self,
        request: &SettleRequest,
        reason: Reason,
    ) -> Result<HoldReply, StoreError> {
        self.shared.release(&request.payment, request.ticket)?;
        Ok(HoldReply::Refused(reason))
    }

    /// Writes down what was used of what a held payment pays for, and sees to
    /// its settlement, for which nobody waits. It may come when the payment is
    /// owed already, because its gate was not heard of for too long: then it
    /// takes the place of what was told last, as long as nothing was sent.
    ///
    /// # Errors
    /// The disk failed, or it is just being settled: tell it again.
    pub fn charge_used(&self, report: &UseReport) -> Result<(), StoreError> {
        let Some(mut record) = self.shared.store.payment(&report.payment)? else { return Ok(()) };
        match &record.state {
            State::Metered { ticket, .. } if *ticket == report.ticket => {
                self.owe(record, Some(report.used))
            }
            State::Owed { order, .. } if order.request.charge != Some(report.used) => {
                let (payer, now) = (payer_of(order)?, self.shared.host.now());
                if !record.owe_instead(report.ticket, report.used, &payer, now) {
                    return Ok(());
                }
                if self.shared.unsettled.is_settling(&record.payment) {
                    return Err(StoreError("what was told last is just being settled".into()));
                }
                self.note_owed(record, &payer)
            }
            _ => Ok(()),
        }
    }

    /// From now on it is known how much is owed: what the gate has told, or if it
    /// has died what it told last.
    fn owe(&self, mut record: PaymentRecord, used: Option<AtomicAmount>) -> Result<(), StoreError> {
        let shared = &self.shared;
        let State::Metered { order, used: told, ticket, .. } = &record.state else {
            return Ok(());
        };
        let Some(used) = used.or(*told) else {
            // No goods went out.
            return self.release_held(&record.payment, *ticket);
        };
        let payer = payer_of(order)?;
        record.owe(used, &payer, shared.host.now());
        self.note_owed(record, &payer)
    }

    /// Writes down what is owed, and has it settled.
    fn note_owed(&self, record: PaymentRecord, payer: &str) -> Result<(), StoreError> {
        let shared = &self.shared;
        // If the process dies after this, the next life finds it.
        shared.store.put_payment(&record)?;
        shared.log_sale(&record);
        if let Some(order) = record.unsettled() {
            shared.unsettled.note(payer, &order.request);
            self.start_settling(record.payment);
        } else {
            shared.unsettled.end(&record.payment);
            shared.tell(&record.payment);
        }
        Ok(())
    }

    fn start_settling(&self, payment: String) {
        let settler = self.again();
        self.shared.host.spawn(async move {
            if let Err(error) = settler.settle_owed(&payment).await {
                settler.shared.host.log(&format!("{payment}: {error}"));
            }
        });
    }

    /// Tries to settle what is owed.
    async fn settle_owed(&self, payment: &str) -> Result<(), StoreError> {
        let shared = &self.shared;
        let Some(record) = shared.store.payment(payment)? else { return Ok(()) };
        let State::Owed { order, .. } = &record.state else { return Ok(()) };
        let now = shared.host.now();
        let request = order.request.clone();
        let verified = match request.check(now).and_then(Checked::payable) {
            Ok(verified) => verified,
            Err(reason) if record.is_payers_fault == Some(true) => {
                shared.host.log(&format!(
                    "{payment}: {} atomic units are owed, and can't be settled any more: {reason}",
                    request.at_stake()
                ));
                shared.unsettled.lose(payment);
                return self.put_off(payment, PaymentRecord::despair);
            }
            Err(reason) => {
                let payer = payer_of(order)?;
                shared.host.log(&format!(
                    "{payment}: {} atomic units were not collected from {payer} in time, who is \
                     not to blame: they are written off ({reason})",
                    request.at_stake()
                ));
                // Whoever is to blame, it was had for nothing.
                shared.write_off_unpaid(&request, &payer)?;
                return Ok(());
            }
        };
        if !shared.unsettled.begin_settling(payment, now) {
            return Ok(());
        }
        let until = now.plus(JOIN_LIMIT.as_secs());
        let (request, verified) = (Box::new(request), Box::new(verified));
        let job = Job { request, payment: verified, verified_at: now, until };
        let outcome = self.settle_by_lanes(job).await;
        shared.unsettled.end_settling(payment);
        match outcome? {
            Outcome::Settled(_) => shared.unsettled.end(payment),
            Outcome::Pending { .. } => {}
            Outcome::Unavailable | Outcome::Crowded { .. } => {
                let now = shared.host.now();
                self.put_off(payment, |record| record.try_soon(now))?;
            }
            Outcome::Failed { .. } | Outcome::LimitReached => {
                let now = shared.host.now();
                self.put_off(payment, |record| record.fail(Reason::UnexpectedSettleError, now))?;
            }
        }
        Ok(())
    }

    /// Puts off what is owed and could not be settled.
    fn put_off(
        &self,
        payment: &str,
        put_off: impl FnOnce(&mut PaymentRecord),
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        if let Some(mut record) = shared.store.payment(payment)?
            && matches!(record.state, State::Owed { .. })
        {
            put_off(&mut record);
            shared.store.put_payment(&record)?;
            if !record.is_to_be_sent() {
                shared.unsettled.set_nothing_aside(payment);
            }
            shared.tell(payment);
        }
        Ok(())
    }

    /// Tries to settle what a payer owes, whenever that was to be tried again.
    async fn collect_from(&self, payer: &str) -> Result<(), StoreError> {
        for debt in self.debts_of(payer, is_owed)? {
            self.settle_owed(&debt).await?;
        }
        Ok(())
    }

    /// Takes up what is unsettled: what a gate held that has died, and what is
    /// owed. Called when the object comes to life and by its alarm.
    pub(super) fn take_up_unsettled(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let now = shared.host.now();
        let mut next = now.plus(LONGEST_SLEEP);
        for record in shared.store.unsettled()? {
            let Some(order) = record.unsettled() else { continue };
            match payer_of(order) {
                Ok(payer) => {
                    shared.unsettled.note(&payer, &order.request);
                    if record.is_to_be_sent() {
                        shared.unsettled.note_cost(&record.payment, 0);
                    }
                }
                Err(error) => {
                    shared.host.log(&format!("{}: {error}", record.payment));
                    continue;
                }
            }
            if record.is_lost() {
                shared.unsettled.lose(&record.payment);
            }
            match &record.state {
                State::Metered { lease_until, .. } if *lease_until <= now => {
                    shared.host.log(&format!(
                        "{}: its gate was not heard of again: what it told last is owed",
                        record.payment
                    ));
                    self.owe(record, None)?;
                    // That may fail, too.
                    next = now;
                }
                State::Owed { since, .. } if since.plus(DEBT_SECONDS) <= now => {
                    shared.store.delete_payment(&record.payment)?;
                    shared.unsettled.end(&record.payment);
                }
                State::Owed { again_at, .. } if *again_at <= now => {
                    self.start_settling(record.payment);
                    next = now;
                }
                State::Metered { lease_until: due, .. } | State::Owed { again_at: due, .. } => {
                    next = next.min(*due);
                }
                _ => {}
            }
        }
        if !shared.unsettled.is_empty() {
            shared.host.wake_in(next.since(now).max(WAKE_SECONDS));
        }
        Ok(())
    }

    /// The payments of a payer of which the state is such a one.
    fn debts_of(
        &self,
        payer: &str,
        is: fn(&PaymentRecord) -> bool,
    ) -> Result<Vec<String>, StoreError> {
        let mut debts = self.shared.unsettled.of(payer);
        let mut error = None;
        debts.retain(|id| match self.shared.store.payment(id) {
            Ok(record) => record.as_ref().is_some_and(is),
            Err(failed) => {
                error = Some(failed);
                false
            }
        });
        error.map_or(Ok(debts), Err)
    }

    /// Frees a payment that is held, before any goods went out.
    pub(super) fn release_held(&self, payment: &str, holder: u64) -> Result<(), StoreError> {
        let shared = &self.shared;
        if let Some(mut record) = shared.store.payment(payment)?
            && matches!(record.state, State::Metered { ticket, used: None, .. } if ticket == holder)
        {
            if record.was_sent {
                // Whose it is must not be forgotten.
                record.give_up(shared.host.now());
                shared.store.put_payment(&record)?;
            } else {
                shared.store.delete_payment(payment)?;
            }
            shared.unsettled.end(payment);
            shared.tell(payment);
        }
        Ok(())
    }

    fn again(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
            lanes: self.lanes.clone(),
            proving: Rc::clone(&self.proving),
            keep_sales: self.keep_sales,
        }
    }
}

/// Whether it is to be settled.
const fn is_owed(record: &PaymentRecord) -> bool {
    matches!(record.state, State::Owed { .. })
}

/// Who pays by an order.
fn payer_of(order: &Order) -> Result<String, StoreError> {
    let checked = order.request.check(order.verified_at);
    let payment = checked.map_err(|reason| StoreError(format!("can't be read again: {reason}")))?;
    Ok(payment.into_parts().0.payer())
}
