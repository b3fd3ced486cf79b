//! What goes out next, and with whom.

use std::cell::Cell;
use std::rc::Rc;

use super::prepare::Asked;
use super::preview::Preview;
use super::queue::{done, told_apart};
use super::spoiled::LONE_IN_AIR_MAX;
use super::{EvmLane, IN_AIR_MAX, Waiting, cost_of_each, share_of};
use crate::evm::{self, Address};
use crate::settlement::evidence::needs_quorum;
use crate::settlement::{Host, Outcome};
use crate::time::UnixSeconds;

/// How many payments of one payer may be in the air: with the money moved away
/// behind their backs, so many fail.
pub(super) const PAYER_IN_AIR_MAX: usize = 16;

/// After how many seconds without progress a pump is taken for dead.
const STALLED_SECONDS: u64 = 60;

/// Whether somebody empties a queue.
#[derive(Default)]
pub(super) struct Pump {
    /// The number of the latest run.
    run: Cell<u64>,
    /// Since when that run is at its batch; `None` if it has ended.
    since: Cell<Option<UnixSeconds>>,
}

/// A run of a pump, until it is dropped. One that dies without being dropped
/// gives way to the next one after [`STALLED_SECONDS`].
struct Run<H: Host> {
    lane: Rc<EvmLane<H>>,
    pump: fn(&EvmLane<H>) -> &Pump,
    number: u64,
}

impl<H: Host> Run<H> {
    /// `None` if somebody is at work already.
    fn begin(lane: &Rc<EvmLane<H>>, pump: fn(&EvmLane<H>) -> &Pump) -> Option<Self> {
        let (it, now) = (pump(lane), lane.shared.host.now());
        if it.since.get().is_some_and(|since| now.since(since) < STALLED_SECONDS) {
            return None;
        }
        let number = it.run.get().wrapping_add(1);
        it.run.set(number);
        it.since.set(Some(now));
        Some(Self { lane: Rc::clone(lane), pump, number })
    }

    fn is_latest(&self) -> bool {
        (self.pump)(&self.lane).run.get() == self.number
    }

    /// Whether this run may take another batch: nobody has taken its place.
    fn goes_on(&self) -> bool {
        let is_latest = self.is_latest();
        if is_latest {
            (self.pump)(&self.lane).since.set(Some(self.lane.shared.host.now()));
        }
        is_latest
    }
}

impl<H: Host> Drop for Run<H> {
    fn drop(&mut self) {
        if self.is_latest() {
            (self.pump)(&self.lane).since.set(None);
        }
    }
}

impl<H: Host> EvmLane<H> {
    pub(super) fn enqueue(self: &Rc<Self>, waiting: Waiting) {
        if self.goes_alone(&waiting.payment) {
            self.alone.borrow_mut().push(waiting);
        } else {
            self.queue.borrow_mut().push(waiting);
        }
        self.start_pumps();
    }

    /// Takes the payment with this ticket out of whichever queue it is in.
    pub(super) fn take_out(&self, payer: Address, ticket: u64) {
        self.queue.borrow_mut().remove(payer, ticket);
        self.alone.borrow_mut().remove(payer, ticket);
        for group in &mut *self.again.borrow_mut() {
            group.retain(|waiting| waiting.job.request.ticket != ticket);
        }
    }

    pub(super) fn start_pumps(self: &Rc<Self>) {
        if let Some(run) = Run::begin(self, |lane| &lane.pump) {
            self.shared.host.spawn(async move {
                while run.goes_on()
                    && let Some(batch) = run.lane.next_batch()
                {
                    run.lane.run(batch).await;
                }
            });
        }
        self.start_alone_pump();
    }

    pub(super) fn start_alone_pump(self: &Rc<Self>) {
        if self.alone.borrow().is_empty() {
            return;
        }
        let Some(run) = Run::begin(self, |lane| &lane.alone_pump) else { return };
        self.shared.host.spawn(async move {
            while run.goes_on()
                && let Some(batch) = run.lane.next_alone()
            {
                run.lane.run(batch).await;
            }
        });
    }

    /// What goes out next; `None` if nothing can. What was taken apart and what
    /// is new take turns.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        if self.waiting_in_air() >= IN_AIR_MAX {
            return None;
        }
        let most = self.batch_most();
        let mut queue = self.queue.borrow_mut();
        if !self.served_again.replace(false) || queue.is_empty() {
            let group = self.again.borrow_mut().pop_front();
            if group.is_some() {
                self.served_again.set(true);
                return group;
            }
        }
        let batch = queue.take(most, |payer| self.room_to_share(payer));
        // What waits for a second node's word shares with nothing that doesn't.
        let (dear, cheap): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|it| needs_quorum(&[&it.payment], &self.limits.quorum_above));
        // Neither do payments that no log could tell apart.
        let mut groups = told_apart(cheap).into_iter().chain(told_apart(dear));
        let first = groups.next();
        let mut again = self.again.borrow_mut();
        again.extend(groups);
        first.or_else(|| again.pop_front())
    }

    /// How many more payments of a payer may go out together with those of others.
    fn room_to_share(&self, payer: Address) -> usize {
        // What is to go out again takes its payer's places. And what goes alone
        // waits until its payer has nothing else in the air: with cheap payments all
        // the time nobody puts off what he owes.
        match self.alone.borrow().len_of(payer) {
            0 => self.room_of(payer, PAYER_IN_AIR_MAX).saturating_sub(self.again_of(payer)),
            _ => 0,
        }
    }

    /// How many payments wait that can go out with others, counted up to so many: not
    /// what waits itself for what its payer has in the air.
    pub(super) fn ready(&self, most: usize) -> usize {
        let again: usize = self.again.borrow().iter().map(Vec::len).sum();
        let left = most.saturating_sub(again);
        again + self.queue.borrow().ready(left, |payer| self.room_to_share(payer))
    }

    /// The next payment that goes alone; `None` if none can.
    fn next_alone(&self) -> Option<Vec<Waiting>> {
        let is_full = self.waiting_in_air() >= IN_AIR_MAX || self.lone_in_air() >= LONE_IN_AIR_MAX;
        if is_full {
            return None;
        }
        let batch = self.alone.borrow_mut().take(1, |payer| self.room_of(payer, 1));
        (!batch.is_empty()).then_some(batch)
    }

    /// How many more payments of a payer may be in the air, of so many at most.
    fn room_of(&self, payer: Address, most: usize) -> usize {
        let in_air = self.shared.commitments.under_way(&payer.to_string());
        if in_air > 0 && self.short.borrow().contains(&payer) {
            return 0;
        }
        self.short.borrow_mut().remove(&payer);
        most.saturating_sub(in_air)
    }

    /// One batch, until it is in the air.
    async fn run(self: &Rc<Self>, batch: Vec<Waiting>) {
        let batch = self.still_held(batch);
        if batch.is_empty() {
            return;
        }
        // Nothing was written or sent: if the process dies here, the claims are
        // free again after their leases.
        let Asked { moment, preview } = self.asked_about(&batch).await;
        let payments: Vec<_> = batch.iter().map(|waiting| &waiting.payment).collect();
        let mut preview = match preview {
            Ok(preview) => preview,
            Err(problem) => return self.without_preview(batch, problem),
        };
        self.pace.note_block(preview.block, self.shared.host.now());
        let has_code = preview.has_code.take();
        let most = self.most_gas(&payments);
        let is_greedy = preview.gas.is_some_and(|gas| gas > most);
        let mut is_loner = false;
        let batch = match (batch.as_slice(), has_code) {
            ([only], has_code) => {
                let payer = only.payment.from();
                let has_code = has_code.is_some_and(|it| it == [true]);
                if has_code {
                    self.note_loner(payer);
                }
                is_loner = has_code || self.goes_alone(&only.payment);
                batch
            }
            // Nobody shares blindly, or where there is nothing to share.
            (_, None) => return self.take_apart(batch, None),
            (_, Some(_)) if self.lacks_multicall() => {
                return self.take_apart(batch, None);
            }
            (_, Some(has_code)) => {
                if is_greedy && !has_code.contains(&true) {
                    return self.take_apart(batch, Some(has_code));
                }
                self.set_apart(batch, &mut preview, &has_code)
            }
        };
        let count = batch.len();
        let good = self.take_the_good(batch, &preview, moment, is_greedy, is_loner);
        let good = self.as_estimated(good, count, &preview);
        self.send_off(good, &preview, is_loner);
    }

    /// Refuses what would fail, puts back what has to wait, and returns the rest.
    fn take_the_good(
        self: &Rc<Self>,
        batch: Vec<Waiting>,
        preview: &Preview,
        moment: u64,
        is_greedy: bool,
        is_loner: bool,
    ) -> Vec<Waiting> {
        let soon = self.shared.host.now().plus(evm::transfer::MIN_REMAINING_SECONDS);
        let is_one = batch.len() == 1;
        let going = going_well(&batch, preview);
        let mut good = vec![];
        let mut short = vec![];
        let mut refused = 0;
        for (waiting, facts) in batch.into_iter().zip(&preview.facts) {
            let payer = waiting.payment.from();
            let refusal = evm::refusal(facts, &waiting.payment);
            let reasons = waiting.payment.reasons();
            if self.is_too_new(&waiting.payment, preview, refusal) {
                self.wait_for_a_block(waiting);
                continue;
            }
            let reason = match refusal {
                // It runs code of the payer's (EIP-7702) on our gas.
                None if is_greedy && is_one => reasons.fails,
                // The queue took the time that it had left.
                None if waiting.payment.expires_at() < soon => reasons.too_late,
                // The simulation knows nothing of what the payer has in the
                // air, but of what comes before in this batch.
                None if self.is_short(&waiting.payment, facts.balance, moment) => {
                    short.push(payer);
                    self.wait_for_money(waiting);
                    continue;
                }
                None => {
                    good.push(waiting);
                    continue;
                }
                // What comes before it in this batch has to wait, and so does
                // this. So does a permit that comes before its turn.
                Some(reason)
                    if reason == reasons.unfunded && short.contains(&payer)
                        || waiting.payment.lacks_permit(reason) && going.contains(&payer)
                        || self.is_behind_others(&waiting.payment, reason, moment) =>
                {
                    self.wait_for_money(waiting);
                    continue;
                }
                // Whoever has used it since we sent it has paid for this.
                Some(reason) => reason,
            };
            if reason.is_used()
                && let Some(attempts) = self.attempts_of(&waiting)
            {
                // Whoever has used it since we sent it has paid for this.
                self.look_for_use(waiting, attempts, preview.block);
                continue;
            }
            refused += 1;
            self.note_refusal(&waiting, reason);
            let why = facts.revert_reason.as_deref().unwrap_or("no revert reason");
            self.log_refusal(&format!("{}: {reason} ({why})", waiting.job.request.payment));
            let _ = waiting.done.send(done(self.shared.refuse(&waiting.job.request, reason)));
        }
        self.pace.note_batch(is_loner, good.len(), refused);
        good
    }

    /// How many transactions wait for a block: what is mined takes no place, be
    /// it certain enough or not.
    pub(super) fn waiting_in_air(&self) -> usize {
        self.in_air.borrow().values().filter(|flight| flight.is_waiting).count()
    }

    /// How much gas those use, where a payment that shares one uses so much.
    pub(super) fn gas_in_air(&self, each: u64) -> u64 {
        let in_air = self.in_air.borrow();
        let waiting = in_air.values().filter(|flight| flight.is_waiting);
        let gas = waiting.map(|flight| match flight.payments {
            0 | 1 => flight.gas,
            several => each.saturating_mul(several as u64).min(flight.gas),
        });
        gas.fold(0, u64::saturating_add)
    }

    /// Writes a transaction of these payments down and sends it, as far as the
    /// limits allow. Until the journal is written there is no await.
    fn send_off(self: &Rc<Self>, good: Vec<Waiting>, preview: &Preview, is_loner: bool) {
        let payments: Vec<_> = good.iter().map(|waiting| &waiting.payment).collect();
        let gas = preview.gas.unwrap_or(self.most_gas(&payments));
        let fee = preview.fees.worst_cost(gas);
        let share = share_of(fee, good.len());
        let good = self.worth_their_fee(good, share);
        let cost = cost_of_each(preview.fees, gas, good.len());
        let good = self.within_their_limits(good, cost);
        if good.is_empty() {
            return;
        }
        // Accounts may take code on after their preview, always new ones.
        let may_burn = is_loner || (good.len() == 1 && self.is_burnt_out());
        let burns =
            may_burn && good.first().is_some_and(|only| self.burns_too_much(&only.payment, gas));
        // For what is settled after its goods went out the fees were set aside.
        let is_held = good.iter().any(|it| it.job.request.metered.is_some());
        let set_aside = if is_held { 0 } else { self.set_aside("") };
        // Where strangers have burnt the gas, its payer is not to blame for it.
        let is_own_doing = burns && good.first().is_some_and(|only| self.has_failed(&only.payment));
        let is_too_much = |cost| self.over_budget(cost, set_aside).is_some();
        if !burns
            && good.len() > 1
            && is_too_much(fee)
            && !is_too_much(self.least_cost(&good, preview.fees).max(share))
        {
            return self.put_back_in_halves(good);
        }
        let over_budget = burns || self.is_over_budget(fee, set_aside);
        let written = if over_budget { Ok(None) } else { self.write_down(&good, preview, gas) };
        match written {
            Ok(Some(entry)) => self.take_off(entry, good, is_loner),
            Ok(None) => {
                for waiting in good {
                    let request = &waiting.job.request;
                    let freed = self.shared.release(&request.payment, request.ticket);
                    // The chain calls it good: what keeps us from it is ours.
                    let freed = match freed {
                        Ok(()) if over_budget && !is_own_doing => {
                            self.shared.absolve(&request.payment)
                        }
                        freed => freed,
                    };
                    let outcome =
                        if over_budget { Outcome::LimitReached } else { Outcome::Unavailable };
                    let _ = waiting.done.send(done(freed.map(|()| outcome)));
                }
            }
            Err(error) => {
                for waiting in good {
                    self.shared.release_hold(&waiting.job.request.payment);
                    let _ = waiting.done.send(Err(error.clone()));
                }
            }
        }
    }
}

/// The payers of those in a batch that nothing speaks against.
fn going_well(batch: &[Waiting], preview: &Preview) -> Vec<Address> {
    let both = batch.iter().map(|waiting| &waiting.payment).zip(&preview.facts);
    let good = both.filter(|(payment, facts)| evm::refusal(facts, payment).is_none());
    good.map(|(payment, _)| payment.from()).collect()
}
