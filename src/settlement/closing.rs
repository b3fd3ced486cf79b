//! What becomes of the payments of a transaction that has ended.

use std::rc::Rc;
use std::time::Duration;

use super::journal::{Attempts, Sent};
use super::shared::{JOIN_LIMIT, Shared, WAKE_SECONDS};
use super::types::LEASE_SECONDS;
use super::{
    Delivery, Entry, Host, Outcome, PaymentRecord, SettleRequest, Settlement, State, Store,
    StoreError,
};
use crate::amount::AtomicAmount;
use crate::protocol::Reason;
use crate::time::UnixSeconds;

/// How long after it was told an end is written.
const WRITE_PAUSE: Duration = Duration::from_millis(5);

/// For how long a claim is kept before it is written, in seconds: longer than most are
/// held, and not so long that those of gates that have died are in the way.
const CLAIM_SECONDS: u64 = 2;

/// For how long what is delivered once can be collected by a caller that did not wait,
/// at least, in seconds.
const ONCE_SECONDS: u64 = 60;

impl<H: Host> Shared<H> {
    /// Takes down what became of a transaction's payments, and what it cost, in wei or
    /// lamports, if that is new; and wakes who waits. A payment's record is changed only
    /// if it is still this transaction's. With those of which it is unclear the entry
    /// stays in the journal.
    pub(super) fn close(
        self: &Rc<Self>,
        entry: &Entry,
        resolutions: &[(String, Resolution)],
        cost: Option<u128>,
    ) -> Result<(), StoreError> {
        let write = || self.write_end(entry, resolutions, cost);
        let is_told_first = self.may_be_told_first(entry, resolutions)?;
        // All of it or nothing: what fails is done again, and is to count once.
        let ended =
            if is_told_first { self.store.keep(write)? } else { self.store.as_one(write)? };
        if resolutions.iter().all(|(_, resolution)| !matches!(resolution, Resolution::Unclear(_))) {
            self.sent_here.borrow_mut().remove(&entry.id);
        }
        let is_judged = matches!(&entry.sent, Sent::Evm(sent) if sent.judged);
        for (payment, resolution) in resolutions {
            let is_clear = !matches!(resolution, Resolution::Unclear(_));
            // Where the fees are noted, nothing more is spent on what is left.
            if is_clear || is_judged {
                self.release_hold(payment);
                self.unsettled.set_nothing_aside(payment);
            }
            if is_clear {
                self.tell(payment);
            }
        }
        if is_told_first {
            self.write_soon(ended);
        } else {
            for record in &ended {
                self.log_sale(record);
            }
        }
        Ok(())
    }

    /// Settles a claim whose payment was made by what was sent before; whether
    /// the claim was still this request's.
    pub(super) fn settle_claim(
        &self,
        request: &SettleRequest,
        resolution: &Resolution,
    ) -> Result<bool, StoreError> {
        self.decide_claim(request, |record| self.end(record, resolution, request, false))
    }

    /// Settles a claim of whose payment nothing is charged: nothing is sent.
    pub(super) fn settle_nothing(
        &self,
        request: &SettleRequest,
        payer: String,
    ) -> Result<Outcome, StoreError> {
        let (amount, transaction) = (AtomicAmount(0), String::new());
        self.settle_claim(request, &Resolution::Paid { payer, amount, transaction })?;
        let record = self.store.payment(&request.payment)?;
        Ok(match record.map(|record| record.state) {
            Some(State::Settled(settlement)) => Outcome::Settled(settlement),
            _ => Outcome::Unavailable,
        })
    }

    /// Whether whoever waits may be told what became of these payments before it is on
    /// disk: messages wait until what was written before them is. Where all were paid
    /// on a chain, the next life of this object finds the same there, by the journal;
    /// and a gate says again how its answer has ended. A server that is told once
    /// would be told twice, and what a facilitator has said may not be said again.
    fn may_be_told_first(
        &self,
        entry: &Entry,
        resolutions: &[(String, Resolution)],
    ) -> Result<bool, StoreError> {
        if matches!(entry.sent, Sent::Facilitator(_)) {
            return Ok(false);
        }
        for (payment, resolution) in resolutions {
            let is_paid = matches!(resolution, Resolution::Paid { .. });
            if !is_paid || self.is_on_account(payment)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the end of a transaction and its payments; the records that it changes.
    fn write_end(
        &self,
        entry: &Entry,
        resolutions: &[(String, Resolution)],
        cost: Option<u128>,
    ) -> Result<Vec<PaymentRecord>, StoreError> {
        if let Some(cost) = cost {
            self.note_spent(cost, &entry.payments)?;
        }
        let (mut records, mut unclear) = (vec![], vec![]);
        for (payment, resolution) in resolutions {
            if matches!(resolution, Resolution::Unclear(_)) {
                unclear.push(payment.clone());
            } else if let Some(record) = self.record_after(entry, payment, resolution)? {
                records.push(record);
            } else {
                self.fees.take(payment);
            }
        }
        if unclear.is_empty() {
            self.store.close(&entry.id, &records)?;
        } else {
            let left = Entry { payments: unclear, ..entry.clone() };
            self.store.submit(&left, &records)?;
        }
        Ok(records)
    }

    /// Has an end written when it was told, and then lets the log know of sales.
    fn write_soon(self: &Rc<Self>, sold: Vec<PaymentRecord>) {
        self.unlogged.borrow_mut().extend(sold);
        let shared = Rc::clone(self);
        self.host.spawn(async move {
            shared.host.sleep(WRITE_PAUSE).await;
            shared.try_to_write_kept();
        });
    }

    /// Writes what is kept, and lets the log know of the sales that are on disk now.
    pub(super) fn write_kept(&self) -> Result<(), StoreError> {
        let written = self.store.write_kept();
        // A claim that fails is no reason to be silent of sales.
        if !self.store.has_kept() {
            for record in self.unlogged.take() {
                self.log_sale(&record);
            }
        }
        written
    }

    /// The same; what the disk didn't take is written when this object wakes.
    pub(super) fn try_to_write_kept(&self) {
        if let Err(error) = self.write_kept() {
            self.host.log(&error.to_string());
            self.host.wake_in(WAKE_SECONDS);
        }
    }

    /// Has the claims that are kept written in a while, unless that is about to happen.
    pub(super) fn write_claims_later(self: &Rc<Self>) {
        let (now, begun) = (self.host.now(), self.will_write_since.get());
        // A task may die without a word.
        if begun.is_some_and(|since| now.since(since) <= 2 * CLAIM_SECONDS) {
            return;
        }
        self.will_write_since.set(Some(now));
        let shared = Rc::clone(self);
        self.host.spawn(async move {
            shared.host.sleep(Duration::from_secs(CLAIM_SECONDS)).await;
            shared.will_write_since.set(None);
            shared.try_to_write_kept();
        });
    }

    fn record_after(
        &self,
        entry: &Entry,
        payment: &str,
        resolution: &Resolution,
    ) -> Result<Option<PaymentRecord>, StoreError> {
        let Some(mut record) = self.store.payment(payment)? else { return Ok(None) };
        let request = match &record.state {
            State::Submitted { transaction, order } if *transaction == entry.id => {
                order.request.clone()
            }
            _ => return Ok(None),
        };
        if let (Some(earlier), Sent::Evm(sent)) = (&record.attempts, &entry.sent) {
            record.attempts = Some(Attempts::with(Some(earlier), entry.written_at, sent));
        }
        // What such a life has told, it told while its request waited; and then that has
        // a lease.
        let age = self.host.now().since(entry.written_at);
        let is_of_former_life = age < JOIN_LIMIT.as_secs() + LEASE_SECONDS
            && !self.sent_here.borrow().contains(&entry.id);
        self.end(&mut record, resolution, &request, is_of_former_life);
        Ok(Some(record))
    }

    /// Writes a payment's end into its record. What it bought is the holder's
    /// first, if that one still waits for it, or was perhaps told of it by a life of
    /// this object that has ended.
    pub(super) fn end(
        &self,
        record: &mut PaymentRecord,
        resolution: &Resolution,
        request: &SettleRequest,
        is_of_former_life: bool,
    ) {
        record.was_sent = true;
        let (payer, amount, transaction) = match resolution {
            Resolution::Paid { payer, amount, transaction } => (payer, amount, transaction),
            Resolution::NotPaid(reason) => {
                self.fees.take(&record.payment);
                record.fail(*reason, self.host.now());
                return;
            }
            // It is what it was.
            Resolution::Unclear(_) => return,
            Resolution::LeftBehind if request.metered.is_some() => {
                record.fail(Reason::UnexpectedSettleError, self.host.now());
                return;
            }
            Resolution::LeftBehind => {
                let now = self.host.now();
                let lease_until = now.plus(LEASE_SECONDS);
                self.live.begin(request.ticket, now, lease_until);
                record.state = State::Claimed { ticket: request.ticket, lease_until };
                return;
            }
        };
        let settled_at = self.host.now();
        // What is told once waits for the first that asks.
        let least = if request.once { ONCE_SECONDS } else { 0 };
        let redeliver_seconds = request.redeliver_seconds.max(least);
        record.state = State::Settled(Settlement {
            transaction: transaction.clone(),
            payer: payer.clone(),
            amount: *amount,
            settled_at,
            redeliver_until: settled_at.plus(redeliver_seconds),
        });
        record.sale = Some(request.sale_note(self.fees.take(&record.payment)));
        let may_have_it = |it: &u64| is_of_former_life || self.holders.borrow().contains(it);
        let holder = Some(request.ticket).filter(may_have_it);
        if record.delivery == Delivery::default() {
            record.delivery = Delivery::begin(holder, record.is_buyers(request), settled_at);
        }
        record.delivery = Delivery::after(request, record.delivery.clone());
        self.unsettled.end(&record.payment);
        if request.account.is_some() {
            // A server has its own time to be told.
            record.delivery.collect_until = UnixSeconds(0);
        }
    }
}

/// What a chain says of a payment that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The seller has the money.
    Paid {
        /// Who paid.
        payer: String,
        /// How much, in atomic units.
        amount: AtomicAmount,
        /// By which transaction.
        transaction: String,
    },
    /// The transaction ended without it.
    NotPaid(Reason),
    /// The transaction that it shared with others ended without it, and it is
    /// good all the same: the claim is its holder's again, to be sent anew.
    LeftBehind,
    /// Nobody can tell yet, for this reason: it stays in the journal.
    Unclear(String),
}
