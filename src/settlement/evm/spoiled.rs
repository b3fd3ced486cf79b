//! Payments that must not share a transaction, and what becomes of the others
//! when some have done so all the same.
//!
//! A payer with code (ERC-1271, EIP-7702) runs it on our gas: it can behave in
//! a simulation and burn all gas on chain. So whoever has code goes alone. An
//! account may take code on between the preview and the block; then what the
//! transaction has not made goes out again at once, in smaller groups and at
//! last one by one, and nobody is refused for what another has done.

use std::rc::Rc;

use serde_json::Value;

use super::line::NO_PLACE_PAUSE;
use super::preview::Preview;
use super::queue::done;
use super::{EvmLane, IN_AIR_MAX, Waiting};
use crate::evm::{self, Address, Receipt, json_rpc};
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::Reply;
use crate::settlement::journal::EvmEntry;
use crate::settlement::lane::Job;
use crate::settlement::{Host, Outcome, SalesQuery, State, Store as _};

/// How many transactions may be in the air at once whose payers go alone: the
/// others' batches find room beside them.
pub(super) const LONE_IN_AIR_MAX: usize = IN_AIR_MAX / 2;

/// For how long a payer goes alone after having had code, or after a payment
/// that failed though its simulation went well, in seconds.
const LONER_SECONDS: u64 = 3_600;

/// How many payers are known to go alone at most. Of more, a preview finds out.
const LONERS_MAX: usize = 4_096;

/// Of how many it is known at most that their payments were refused, and for how long,
/// in seconds.
const REFUSED_MAX: usize = 16_384;
const REFUSED_SECONDS: u64 = 3_600;

/// How many payers may wait to go alone before those come later who were refused. Each
/// is a question to the nodes, one after the other, and an account with code and
/// without money costs next to nothing.
const LONERS_BEFORE_REFUSED: usize = 8;

/// When those are asked to come again, in seconds.
const REFUSED_PAUSE: u64 = 30;

impl<H: Host> EvmLane<H> {
    /// Whether a payer is known to go alone.
    pub(super) fn is_loner(&self, payer: Address) -> bool {
        let now = self.shared.host.now();
        let loners = self.loners.borrow();
        loners.get(&payer).is_some_and(|since| now.since(*since) < LONER_SECONDS)
    }

    pub(super) fn note_loner(&self, payer: Address) {
        let now = self.shared.host.now();
        let mut loners = self.loners.borrow_mut();
        loners.retain(|_, since| now.since(*since) < LONER_SECONDS);
        if loners.len() < LONERS_MAX {
            loners.insert(payer, now);
        }
    }

    /// Remembers that the payment of a payer who goes alone came to nothing.
    fn note_refused_loner(&self, payer: Address) {
        let now = self.shared.host.now();
        let mut refused = self.refused_loners.borrow_mut();
        refused.retain(|_, at| now.since(*at) < REFUSED_SECONDS);
        if refused.len() < REFUSED_MAX {
            refused.insert(payer, now);
        }
    }

    /// For a payer who goes alone, and of whom a payment came to nothing lately while
    /// others wait who have not: in how many seconds to come again.
    pub(super) fn comes_after_others(&self, payer: Address) -> Option<u64> {
        let (refused, now) = (self.refused_loners.borrow(), self.shared.host.now());
        let was_refused = refused.get(&payer).is_some_and(|at| now.since(*at) < REFUSED_SECONDS);
        let is_busy = self.alone.borrow().before(0) >= LONERS_BEFORE_REFUSED;
        (was_refused && is_busy).then_some(REFUSED_PAUSE)
    }

    /// Takes the payments out of a batch whose payers have code. They go alone,
    /// and nobody waits for them. What their code left no gas for in the
    /// simulation that they shared has not been judged: what seems to fail is
    /// looked at again without them. That a payer has not the money the token
    /// says, whatever code there is.
    pub(super) fn set_apart(
        self: &Rc<Self>,
        batch: Vec<Waiting>,
        preview: &mut Preview,
        has_code: &[bool],
    ) -> Vec<Waiting> {
        if !has_code.contains(&true) {
            return batch;
        }
        let facts = std::mem::take(&mut preview.facts);
        let (mut sharing, mut alone, mut again) = (vec![], vec![], vec![]);
        for ((waiting, facts), has_code) in batch.into_iter().zip(facts).zip(has_code) {
            let refusal = evm::refusal(&facts, &waiting.payment);
            let is_unfunded = refusal == Some(waiting.payment.reasons().unfunded);
            if *has_code && is_unfunded {
                self.note_loner(waiting.payment.from());
                sharing.push(waiting);
                preview.facts.push(facts);
            } else if *has_code {
                alone.push(waiting);
            } else if refusal.is_some() {
                again.push(waiting);
            } else {
                sharing.push(waiting);
                preview.facts.push(facts);
            }
        }
        // The estimate is of the others, too.
        preview.gas = None;
        self.again.borrow_mut().extend((!again.is_empty()).then_some(again));
        self.to_go_alone(alone);
        sharing
    }

    /// Has payments wait for their turn alone, and what else their payers have waiting:
    /// in the other line that would keep out those who can share.
    fn to_go_alone(self: &Rc<Self>, batch: Vec<Waiting>) {
        let payers: Vec<_> = batch.iter().map(|waiting| waiting.payment.from()).collect();
        for waiting in batch {
            self.line_up_alone(waiting);
        }
        for payer in payers {
            let others = self.queue.borrow_mut().take_all_of(payer);
            for waiting in others {
                self.line_up_alone(*waiting);
            }
        }
        self.start_alone_pump();
    }

    fn line_up_alone(&self, waiting: Waiting) {
        self.note_loner(waiting.payment.from());
        self.push_alone(waiting);
    }

    /// Has a payment wait for its turn alone, be it again. If too many wait there, a buyer
    /// is asked to come again later; what was used already is owed, and waits.
    pub(super) fn push_alone(&self, waiting: Waiting) {
        let (request, payment) = (&waiting.job.request, &waiting.payment);
        let is_full = self.is_full_of_loners(payment.from(), self.may_have_code(payment));
        if request.metered.is_none() && is_full {
            let freed = self.shared.release(&request.payment, request.ticket);
            let later = freed.map(|()| Outcome::Crowded { seconds: NO_PLACE_PAUSE });
            let _ = waiting.done.send(done(later));
            return;
        }
        self.alone.borrow_mut().push(waiting);
    }

    /// A batch whose simulation fails as a whole: those with code go alone; if
    /// that is nobody, it is taken apart, so that the others get away from the
    /// one who spoils it.
    pub(super) fn take_apart(self: &Rc<Self>, batch: Vec<Waiting>, has_code: Option<Vec<bool>>) {
        let Some(has_code) = has_code else {
            // Nobody shares blindly.
            return self.again.borrow_mut().extend(batch.into_iter().map(|it| vec![it]));
        };
        let (mut alone, mut rest) = (vec![], vec![]);
        for (waiting, has_code) in batch.into_iter().zip(has_code) {
            if has_code { &mut alone } else { &mut rest }.push(waiting);
        }
        let other_half = if alone.is_empty() { rest.split_off(rest.len() / 2) } else { vec![] };
        let groups = [rest, other_half].into_iter().filter(|group| !group.is_empty());
        self.again.borrow_mut().extend(groups);
        self.to_go_alone(alone);
    }

    /// Whether each of several payments has an authorization that is still
    /// unused although a transaction of ours that it shared has landed.
    pub(super) async fn left_behind(
        &self,
        entry: &EvmEntry,
        receipt: Option<&Receipt>,
        payments: &[&evm::VerifiedPayment],
        paid: &[bool],
    ) -> Vec<bool> {
        let unpaid = paid.iter().filter(|paid| !**paid).count();
        let Some(receipt) = receipt.filter(|_| unpaid > 0) else {
            return vec![false; payments.len()];
        };
        if entry.sent.judged || entry.payments.len() < 2 {
            return vec![false; payments.len()];
        }
        let calls: Vec<_> = payments.iter().map(|payment| self.state_call(payment)).collect();
        // Nothing is lost if this is asked again: the journal has the entry.
        let replies = self.nodes.ask(&calls).await.unwrap_or_default();
        let is_unused = |payment: &evm::VerifiedPayment, reply: Option<&Reply>| {
            let data = json_rpc::parse_data(reply?.as_ref().ok()?, 32)?;
            payment.read_used(&data).map(|used| !used)
        };
        if !receipt.succeeded {
            self.note_spoiled(entry, receipt);
        }
        let states = payments.iter().enumerate();
        let states = states.map(|(index, it)| is_unused(it, replies.get(index)) == Some(true));
        states.zip(paid).map(|(unused, paid)| unused && !paid).collect()
    }

    /// After a transaction that may have been too large: from now on in this hour half as
    /// many share one.
    pub(super) fn share_less(&self, entry: &EvmEntry) {
        if entry.payments.len() < 2 {
            return;
        }
        let hour = self.shared.host.now().0 / 3_600;
        let (of, count) = self.spoiled.get();
        self.spoiled.set((hour, if of == hour { count.saturating_add(1) } else { 1 }));
    }

    fn note_spoiled(&self, entry: &EvmEntry, receipt: &Receipt) {
        self.share_less(entry);
        self.shared.throttle.note_failed_gas("", receipt.gas_used, self.shared.host.now());
        self.log(&format!(
            "{} failed as a whole: {} gas ({} wei) for {} payments, which go out again",
            entry.sent.hash,
            receipt.gas_used,
            receipt.cost(),
            entry.payments.len()
        ));
    }

    /// Puts what became of payments before those who wait for them; what their
    /// transaction left behind goes out again, in groups that are small enough
    /// to be in the air at the same time.
    pub(super) fn send_again(self: &Rc<Self>, batch: Vec<Waiting>, shared_by: usize) {
        let mut left: Vec<Waiting> = vec![];
        for mut waiting in batch {
            // What failed by its own call, and is owed, has its own time.
            let now = self.shared.host.now();
            let held = self.shared.held_record(&waiting.job);
            match held.map(|record| record.filter(|it| !it.is_put_off(now))) {
                Ok(Some(_)) => {
                    waiting.was_spoiled = true;
                    left.push(waiting);
                }
                Ok(None) => {
                    let outcome = self.standing_of(&waiting.job.request.payment);
                    let _ = waiting.done.send(done(outcome));
                }
                Err(error) => {
                    let _ = waiting.done.send(Err(error));
                }
            }
        }
        if left.is_empty() {
            return;
        }
        let group = (shared_by / IN_AIR_MAX).max(1);
        while !left.is_empty() {
            let rest = left.split_off(group.min(left.len()));
            self.again.borrow_mut().push_back(left);
            left = rest;
        }
        self.start_pumps();
    }

    /// A payment that failed alone in its transaction, by its own call: its
    /// payer is refused for a while after some, and at once after having burnt
    /// the gas that there was.
    pub(super) fn note_lone_failure(
        &self,
        entry: &EvmEntry,
        receipt: Option<&Receipt>,
        payment: &evm::VerifiedPayment,
    ) {
        let is_own = entry.payments.len() == 1 && !entry.sent.judged;
        // A transaction that did not fail is an empty one of ours.
        let Some(receipt) = receipt.filter(|it| is_own && !it.succeeded) else { return };
        let has_burnt = receipt.gas_used.saturating_mul(10) >= entry.sent.gas.saturating_mul(9);
        let (throttle, payer, now) =
            (&self.shared.throttle, payment.payer(), self.shared.host.now());
        if has_burnt {
            throttle.note_burnt(&payer, now);
        } else {
            throttle.note_failure(&payer, now);
        }
        self.note_loner(payment.from());
        throttle.note_failed_gas(&payer, receipt.gas_used, now);
        self.log(&format!(
            "{} failed: a payment of {payer} behaved in its simulation and not on chain; {} gas \
             ({} wei), {} gas this hour",
            entry.sent.hash,
            receipt.gas_used,
            receipt.cost(),
            throttle.failed_gas(now)
        ));
    }

    /// Whether one more transaction of a payer that goes alone is more than
    /// such payers may still burn in this hour.
    pub(super) fn burns_too_much(&self, payment: &evm::VerifiedPayment, gas: u64) -> bool {
        let Some(limit) = self.limits.failed_gas else { return false };
        let (throttle, payer, now) =
            (&self.shared.throttle, payment.payer(), self.shared.host.now());
        let in_air: u64 = self.in_air.borrow().values().map(|flight| flight.lone_gas).sum();
        let used = throttle.failed_gas(now).saturating_add(in_air);
        let most = used.saturating_add(gas);
        // Accounts cost nothing: those with code that have never paid have the first
        // half alone, however many they are, so that they shut out no customer.
        let has_code = self.may_have_code(payment);
        let is_beyond_half = used > 0 && most > limit / 2;
        let is_too_much = most > limit || is_beyond_half && has_code && !self.has_paid(&payer);
        if is_too_much {
            self.log_refusal(&format!(
                "payments of {payer} that go alone wait: failed ones may use {limit} gas an hour, \
                 and those of payers with code that have paid nothing yet half of it \
                 (failed_gas in NETWORKS)"
            ));
        }
        is_too_much
    }

    /// Whether the ledger has a sale that this payer has paid us for.
    fn has_paid(&self, payer: &str) -> bool {
        let query = SalesQuery { payer: Some(payer.to_owned()), ..SalesQuery::default() };
        self.shared.has_paid(query, |_| true).unwrap_or(false)
    }

    /// Whether a payer's own transactions have failed lately.
    pub(super) fn has_failed(&self, payment: &evm::VerifiedPayment) -> bool {
        self.shared.throttle.has_failed(&payment.payer(), self.shared.host.now())
    }

    /// Whether failed payments have burnt what they may in this hour.
    pub(super) fn is_burnt_out(&self) -> bool {
        let burnt = self.shared.throttle.failed_gas(self.shared.host.now());
        burnt > 0 && self.limits.failed_gas.is_some_and(|limit| burnt >= limit)
    }

    /// How many transactions are in the air whose payers go alone.
    pub(super) fn lone_in_air(&self) -> usize {
        self.in_air.borrow().values().filter(|flight| flight.lone_gas > 0).count()
    }

    /// What is being settled by a journal entry, to be taken up again. A
    /// payment that can't be read again is left to `follow`, which says so.
    pub(super) fn jobs_of(&self, entry: &EvmEntry) -> Vec<(Job, evm::VerifiedPayment)> {
        let job_of = |id: &String| {
            let State::Submitted { transaction, order } =
                self.shared.store.payment(id).ok()??.state
            else {
                return None;
            };
            let (request, verified_at) = (order.request, order.verified_at);
            let payment = request.check(verified_at).ok()?.payable().ok()?;
            let VerifiedPayment::Evm(evm) = payment.clone() else { return None };
            let (request, payment) = (Box::new(request), Box::new(payment));
            (transaction == entry.id)
                .then_some((Job { request, payment, verified_at, until: verified_at }, evm))
        };
        entry.payments.iter().filter_map(job_of).collect()
    }

    /// A payer whose payment failed on chain and now fails its simulation has
    /// moved the money away meanwhile.
    pub(super) fn note_refusal(&self, waiting: &Waiting, reason: Reason) {
        if waiting.was_spoiled && !reason.is_used() {
            self.note_loner(waiting.payment.from());
        }
        // Whoever has used it in our place is not its payer.
        if self.goes_alone(&waiting.payment) && !reason.is_used() {
            self.note_refused_loner(waiting.payment.from());
        }
    }
}

/// Whether each payer has code, by `eth_getCode`; `None` where a node does not
/// say of one.
pub(super) fn read_codes(replies: &[Reply]) -> Option<Vec<bool>> {
    let has_code = |reply: &Reply| match reply {
        Ok(Value::String(code)) if code.starts_with("0x") => Some(code.len() > 2),
        _ => None,
    };
    replies.iter().map(has_code).collect()
}
