//! How many payments share a transaction.
//!
//! As many as the configuration says. With a crowd before it, so many are few: what
//! waits longer than its buyers do is not sold at all. Then as many share one as bring
//! the whole crowd into the transactions that may be in the air, within a bound of its
//! own ([`Limits::crowd_max`](crate::settlement::Limits)). What is so large may be too
//! large for a node's limits, which nobody tells beforehand: it goes out only with an
//! estimate of the node's, and where the node has none, in parts as small as always.

use std::rc::Rc;

use super::preview::{Preview, Problem, least_gas};
use super::{EvmLane, IN_AIR_MAX, Waiting};
use crate::evm::{self, Fees};
use crate::settlement::Host;

/// For how long no crowd shares larger transactions after a node has not previewed
/// one, in seconds: it may have been late once.
const PAUSE_SECONDS: u64 = 60;

impl<H: Host> EvmLane<H> {
    /// How many payments share a transaction at most: half as many after each
    /// one that failed as a whole within the hour, or that no node took.
    pub(super) fn batch_most(&self) -> usize {
        if self.lacks_multicall() {
            return 1;
        }
        let now = self.shared.host.now();
        let (hour, count) = self.spoiled.get();
        let usual = self.limits.batch_max.max(1);
        if hour == now.0 / 3_600 && count > 0 {
            return usual.checked_shr(count).unwrap_or(0).max(1);
        }
        if self.no_crowd_until.get() > now {
            return usual;
        }
        let places = IN_AIR_MAX.saturating_sub(self.waiting_in_air()).max(1);
        self.waiting().div_ceil(places).min(self.limits.crowd_max).max(usual)
    }

    /// Whether so many share a transaction only because of a crowd.
    fn is_for_crowd(&self, batch: &[Waiting]) -> bool {
        batch.len() > self.limits.batch_max.max(1)
    }

    /// Goes on with a batch of which there is no preview. Nothing was written or sent.
    pub(super) fn without_preview(self: &Rc<Self>, batch: Vec<Waiting>, problem: Problem) {
        let has_code = |codes: &Vec<bool>| codes.contains(&true);
        let may_be_spoiled = matches!(&problem, Problem::OneOfMany(Some(it)) if has_code(it));
        if self.is_for_crowd(&batch) && !may_be_spoiled {
            self.log("a larger transaction can't be previewed: a crowd goes in smaller ones");
            self.no_crowd_until.set(self.shared.host.now().plus(PAUSE_SECONDS));
            self.put_back_in_parts(batch);
            return;
        }
        match problem {
            Problem::OneOfMany(has_code) => self.take_apart(batch, has_code),
            Problem::Nodes(problem) => {
                self.log_refusal(&problem);
                for waiting in batch {
                    self.hand_back(waiting);
                }
            }
        }
    }

    /// What of a batch of so many may go out by this preview: all that is good, or
    /// without an estimate as many as always. There is none either where some were not
    /// good: the others are previewed once more, without those.
    pub(super) fn as_estimated(
        &self,
        mut good: Vec<Waiting>,
        of: usize,
        preview: &Preview,
    ) -> Vec<Waiting> {
        if preview.gas.is_none() && self.is_for_crowd(&good) {
            if good.len() < of {
                self.again.borrow_mut().push_back(good);
                return vec![];
            }
            let rest = good.split_off(self.limits.batch_max.max(1));
            self.put_back_in_parts(rest);
        }
        good
    }

    /// Puts back what is more than may be spent today, where some of it is not: the
    /// limit refuses as few as it can. It goes out next, so that what is refused at last
    /// tells of the others.
    pub(super) fn put_back_in_halves(&self, mut batch: Vec<Waiting>) {
        for waiting in &batch {
            self.shared.release_hold(&waiting.job.request.payment);
        }
        let rest = batch.split_off(batch.len().div_ceil(2));
        let mut again = self.again.borrow_mut();
        again.push_front(rest);
        again.push_front(batch);
    }

    /// Takes note of how much gas a payment is given that was previewed by itself.
    pub(super) fn note_alone(&self, payment: &evm::VerifiedPayment, gas: u64) {
        let mut known = self.gas_alone.borrow_mut();
        let least = known.get_or_insert_with(payment.asset(), || gas);
        *least = gas.min(*least);
    }

    /// What the cheapest of these payments may cost if it goes out by itself, in wei, as
    /// far as that is known.
    pub(super) fn least_cost(&self, batch: &[Waiting], fees: Fees) -> u128 {
        let known = self.gas_alone.borrow();
        let each = batch.iter().map(|it| known.get(&it.payment.asset()).copied());
        let least = each.map(|gas| gas.unwrap_or_else(|| least_gas(1))).min();
        fees.worst_cost(least.unwrap_or_default())
    }

    fn put_back_in_parts(&self, mut batch: Vec<Waiting>) {
        let mut again = self.again.borrow_mut();
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(self.limits.batch_max.max(1)));
            again.push_back(batch);
            batch = rest;
        }
    }
}
