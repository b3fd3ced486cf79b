//! What a Settler and its lanes share: the tables, who waits for which
//! payment, and how a payment's state changes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::commitments::Commitments;
use super::condition::Condition;
use super::fees::Fees;
use super::host::within;
use super::journal::TxId;
use super::lane::Job;
use super::lines::Lines;
use super::live::Live;
use super::record::Order;
use super::throttle::Throttle;
use super::unsettled::Unsettled;
use super::waiters::Waiters;
use super::{Entry, Host, Outcome, PaymentRecord, SettleRequest, State, Store, StoreError};
use crate::payment::{Checked, VerifiedPayment};
use crate::protocol::Reason;
use crate::table::{Set, Table};
use crate::time::UnixSeconds;

/// How long a request waits for what another one does with its payment. A
/// little less than what clients and the edge give a request.
pub(super) const JOIN_LIMIT: Duration = Duration::from_secs(25);

/// How often the journal is looked at while something is in it, in seconds.
pub(super) const WAKE_SECONDS: u64 = 30;

/// What a Settler and its lane share.
pub(super) struct Shared<H: Host> {
    pub host: H,
    pub store: H::Store,
    pub(super) waiting: Waiters,
    /// Those who hold claims at this moment.
    pub(super) live: Live,
    /// Tickets of requests that wait for a settlement at this moment.
    pub(super) holders: RefCell<Set<u64>>,
    /// The journal entries that this life of the object has written and not closed.
    pub(super) sent_here: RefCell<Set<String>>,
    /// Payments whose end was told before it was written, until the log knows of them.
    pub(super) unlogged: RefCell<Vec<PaymentRecord>>,
    /// Since when it is planned to write the claims that are kept.
    pub(super) will_write_since: Cell<Option<UnixSeconds>>,
    /// The payments that are on their way on an account with a limit: which
    /// account, and what they may cost, in wei or lamports.
    pub(super) held: RefCell<Table<String, (String, u128)>>,
    /// What was spent on payments of which the end is not written yet.
    pub(super) fees: Fees,
    /// The lines of the log that anybody can bring about.
    pub(super) lines: Lines,
    pub commitments: Commitments,
    pub throttle: Throttle,
    pub condition: Condition,
    /// What is at stake.
    pub(super) unsettled: Unsettled,
}

/// What a lane is made from.
pub struct LaneParts<H: Host>(pub(super) Rc<Shared<H>>);

impl<H: Host> Shared<H> {
    /// What a Settler that comes to life shares with its lane.
    pub(super) fn new(host: H, store: H::Store) -> Self {
        Self {
            sent_here: RefCell::default(),
            host,
            store,
            waiting: Waiters::default(),
            live: Live::default(),
            holders: RefCell::default(),
            unlogged: RefCell::default(),
            will_write_since: Cell::default(),
            held: RefCell::default(),
            fees: Fees::default(),
            lines: Lines::default(),
            commitments: Commitments::default(),
            throttle: Throttle::default(),
            condition: Condition::default(),
            unsettled: Unsettled::default(),
        }
    }

    /// Frees a claim that was never submitted, if this ticket holds it. What is
    /// owed stays so.
    pub(super) fn release(&self, payment: &str, ticket: u64) -> Result<(), StoreError> {
        if let Some(mut record) = self.store.payment(payment)?
            && record.is_held_by(ticket)
            && record.unsettled().is_none()
        {
            if record.was_sent {
                // Whose it is must not be forgotten.
                record.give_up(self.host.now());
                self.store.put_payment(&record)?;
            } else {
                self.store.delete_payment(payment)?;
            }
            self.live.end(ticket);
            self.release_hold(payment);
            self.tell(payment);
        }
        Ok(())
    }

    /// Frees a claim whose payment was refused, and lets those who wait for it
    /// know why.
    pub(super) fn refuse(
        &self,
        request: &SettleRequest,
        reason: Reason,
    ) -> Result<Outcome, StoreError> {
        let now = self.host.now();
        self.decide_claim(request, |record| record.fail(reason, now))?;
        Ok(refused(reason))
    }

    pub(super) fn decide_claim(
        &self,
        request: &SettleRequest,
        decide: impl FnOnce(&mut PaymentRecord),
    ) -> Result<bool, StoreError> {
        if let Some(mut record) = self.store.payment(&request.payment)?
            && record.is_held_by(request.ticket)
        {
            decide(&mut record);
            self.store.put_payment(&record)?;
            self.log_sale(&record);
            self.live.end(request.ticket);
            self.release_hold(&request.payment);
            self.tell(&request.payment);
            return Ok(true);
        }
        Ok(false)
    }

    /// The record of a job, if its claim is still the job's own.
    pub(super) fn held_record(&self, job: &Job) -> Result<Option<PaymentRecord>, StoreError> {
        let record = self.store.payment(&job.request.payment)?;
        Ok(record.filter(|record| record.is_held_by(job.request.ticket)))
    }

    /// A record as submitted in the journal entry of this name.
    pub(super) fn submitted(
        &self,
        mut record: PaymentRecord,
        job: &Job,
        entry: &str,
    ) -> PaymentRecord {
        self.live.end(job.request.ticket);
        self.sent_here.borrow_mut().insert(entry.to_owned());
        let owed_since = record.owed_since();
        let request = SettleRequest::clone(&job.request);
        let order = Order { request, verified_at: job.verified_at, owed_since };
        record.state = State::Submitted { transaction: entry.to_owned(), order: Box::new(order) };
        // The chain has just called it good, whatever it was before.
        record.is_payers_fault = None;
        record
    }

    /// Whether a payment that is submitted was asked for by somebody else's
    /// server.
    pub(super) fn is_on_account(&self, payment: &str) -> Result<bool, StoreError> {
        let record = self.store.payment(payment)?;
        Ok(matches!(
            record.map(|record| record.state),
            Some(State::Submitted { order, .. }) if order.request.account.is_some()
        ))
    }

    /// The transaction that a journal entry of this name is now: the latest of
    /// its versions, or what a facilitator has said.
    pub(super) fn latest_of(&self, name: &str) -> Result<Option<TxId>, StoreError> {
        let entry = self.store.open_entry(name)?;
        Ok(entry.map_or_else(|| TxId::named(name), Entry::transaction))
    }

    /// Waits for the end of a payment that is submitted, or until then.
    pub(super) async fn outcome_of(
        &self,
        payment: &str,
        deadline: UnixSeconds,
    ) -> Result<Outcome, StoreError> {
        loop {
            let record = self.store.payment(payment)?;
            let now = self.host.now();
            match record.map(|record| record.state) {
                Some(State::Settled(settlement)) => return Ok(Outcome::Settled(settlement)),
                Some(State::Failed { reason }) => return Ok(refused(reason)),
                Some(State::Submitted { transaction, .. }) if now >= deadline => {
                    return Ok(Outcome::Pending { transaction: self.latest_of(&transaction)? });
                }
                Some(State::Submitted { .. }) => {
                    let limit = Duration::from_secs(deadline.since(now));
                    let _ = within(&self.host, limit, self.change_of(payment)).await;
                }
                Some(State::Claimed { .. } | State::Metered { .. } | State::Owed { .. }) | None => {
                    return Ok(Outcome::Unavailable);
                }
            }
        }
    }

    /// Sees to it that this object wakes: to finish what is in the journal by
    /// then, if it dies, and to forget old records.
    pub(super) fn plan_to_wake(&self) {
        self.host.wake_in(WAKE_SECONDS);
    }

    /// The orders of a journal entry's payments, verified again as they were
    /// then. One that can't be read again is an error: its end is not to be
    /// passed over.
    pub(super) fn orders_of(
        &self,
        payments: &[String],
    ) -> Result<Vec<(String, VerifiedPayment)>, StoreError> {
        let mut orders = vec![];
        for id in payments {
            let Some(record) = self.store.payment(id)? else { continue };
            let State::Submitted { order, .. } = &record.state else { continue };
            let Order { request, verified_at, .. } = &**order;
            match request.check(*verified_at).and_then(Checked::payable) {
                Ok(payment) => orders.push((id.clone(), payment)),
                Err(reason) => {
                    return Err(StoreError(format!("{id} can't be read again: {reason}")));
                }
            }
        }
        Ok(orders)
    }
}

/// The outcome of a payment that was refused.
pub(super) const fn refused(reason: Reason) -> Outcome {
    Outcome::Failed { reason, transaction: None }
}
