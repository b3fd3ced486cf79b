//! Sending what is in the journal, and watching all of it together: one
//! question for the statuses of everything that is under way.

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;

use super::watch::{AtWork, Flight};
use super::{BLOCKHASH_BLOCKS, Landed, SolanaLane};
use crate::json::json;
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::{Call, READ_TIMEOUT, Reply, Transport as _};
use crate::settlement::closing::Resolution;
use crate::settlement::host::within;
use crate::settlement::journal::SolanaEntry;
use crate::settlement::{Host, StoreError};
use crate::solana::Status;
use crate::solana::rpc::{self, STATUSES_MAX, Sighting};

/// How long after the one before each question for the statuses is asked, in
/// milliseconds: for so many questions after something was sent twice in a slot, and
/// then once. What few buyers wait for and is in a block is confirmed soon.
const SOON_MILLIS: u64 = 200;
const SOON_QUESTIONS: usize = 12;
const NEAR_MILLIS: u64 = 100;
const FEW: usize = 2;
const SLOT_MILLIS: u64 = 400;

/// How long at least is waited after an answer that took long, in milliseconds.
const LEAST_MILLIS: u64 = 20;

/// For how long a transaction is asked for that often, in seconds. After that
/// there is no request left that waits.
const QUICK_SECONDS: u64 = 32;
const SLOW_MILLIS: u64 = 3_000;

/// How long to wait before the same bytes are sent again, in seconds.
const RESEND_SECONDS: u64 = 2;
const SLOW_RESEND_SECONDS: u64 = 15;

/// How many of those that are late are sent again in one go: the others wait for it.
const LATE_RESENDS: usize = 16;

/// How many blocks a node may be behind the one that told the height.
const BLOCKS_BEHIND: u64 = 64;

/// Before this much time has passed, no blockhash is taken to have expired,
/// whatever height a node tells: 150 blocks at 600 ms, in seconds.
const EXPIRY_SECONDS: u64 = 90;

/// After this much time a node that doesn't answer, or stands still, keeps
/// nothing that the others give up, in seconds.
const SILENT_SECONDS: u64 = 600;

/// From when on the heights are looked at, in seconds: as often as what is late.
const HEIGHT_AFTER_SECONDS: u64 = 20;

impl<H: Host> SolanaLane<H> {
    /// Sends what is in the journal and watches it until the cluster has
    /// spoken.
    pub(super) fn start(self: &Rc<Self>, entry: SolanaEntry) {
        // What can't be read again is believed of two nodes, if of any.
        let (mut transfer, mut needs_quorum) = (0, self.limits.quorum_above.is_any());
        for (_, payment) in self.shared.orders_of(&entry.payments).unwrap_or_default() {
            if let VerifiedPayment::Solana(payment) = payment {
                transfer = payment.transfer_at();
                let limit = self.limits.quorum_above.of(&payment.mint().0);
                needs_quorum = limit.is_some_and(|limit| payment.amount() > limit);
            }
        }
        let (id, sent_at) = (entry.id.clone(), self.shared.host.now());
        let entry = Rc::new(entry);
        let flight =
            Flight { entry: Rc::clone(&entry), transfer, needs_quorum, sent_at, bound: None };
        self.watch.flights.borrow_mut().insert(id, flight);
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move { lane.send(&entry).await });
        self.watch.polls.set(0);
        self.watch.asked_at.set(self.now_ms());
        if let Some(nudge) = self.watch.nudge.take() {
            // Nobody may be waiting.
            let _ = nudge.send(());
        }
        self.keep_watching();
    }

    /// Sees to it that somebody watches what is under way.
    pub(super) fn keep_watching(self: &Rc<Self>) {
        if self.watch.len() == 0 {
            return;
        }
        let Some(at_work) = AtWork::begin(self, |watch| &watch.is_watching) else { return };
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            let _at_work = at_work;
            // The end of this task and the next look at the flag have no await
            // between them.
            while lane.watch.len() > 0 {
                lane.pause().await;
                lane.observe().await;
            }
        });
    }

    /// Sending again what has landed changes nothing.
    async fn send(&self, entry: &SolanaEntry) {
        let call = Call::new(
            "sendTransaction",
            json!([entry.sent.raw, { "encoding": "base64", "skipPreflight": true, "maxRetries": 0 }]),
        );
        let _ = self.nodes.ask_again(&call, READ_TIMEOUT).await;
        if self.nodes.count() > 1 {
            self.nodes.tell_others(&call).await;
        }
    }

    async fn pause(&self) {
        let polls = self.watch.polls.get();
        self.watch.polls.set(polls.saturating_add(1));
        let is_near = self.watch.is_near.take();
        if polls >= SOON_QUESTIONS {
            let is_quick = self.watch.flights.borrow().values().any(|it| self.is_quick(it));
            let pause = self.left_of(if is_quick { SLOT_MILLIS } else { SLOW_MILLIS });
            let (sender, receiver) = oneshot::channel();
            self.watch.nudge.replace(Some(sender));
            if within(&self.shared.host, pause, receiver).await.is_none() {
                return;
            }
        }
        // So short that what is sent meanwhile can wait for its end.
        let pause = self.left_of(if is_near { NEAR_MILLIS } else { SOON_MILLIS });
        self.shared.host.sleep(pause).await;
    }

    /// What is left of a time since the statuses were asked for, or something was
    /// sent.
    fn left_of(&self, millis: u64) -> Duration {
        let passed = self.now_ms().saturating_sub(self.watch.asked_at.get());
        Duration::from_millis(millis.saturating_sub(passed).max(LEAST_MILLIS))
    }

    fn now_ms(&self) -> u64 {
        self.shared.host.transport().now_ms()
    }

    fn age(&self, flight: &Flight) -> u64 {
        self.shared.host.now().since(flight.entry.written_at)
    }

    pub(super) fn is_quick(&self, flight: &Flight) -> bool {
        self.age(flight) < QUICK_SECONDS
    }

    /// Asks what became of all that is under way, of what is late now and then.
    async fn observe(self: &Rc<Self>) {
        self.send_again();
        let now = self.now_ms();
        self.watch.asked_at.set(now);
        let is_all = now.saturating_sub(self.watch.all_asked_at.get()) >= SLOW_MILLIS;
        if is_all {
            self.watch.all_asked_at.set(now);
        }
        let mut flights: Vec<Flight> = self.watch.flights.borrow().values().cloned().collect();
        flights.retain(|it| is_all || self.is_quick(it));
        let (mut to_confirm, mut unseen) = (vec![], vec![]);
        for some in flights.chunks(STATUSES_MAX) {
            let reply = self.nodes.ask_again(&statuses_of(some), READ_TIMEOUT).await;
            let sightings = reply.ok().and_then(|reply| read_statuses(&reply, some));
            for (flight, sighting) in some.iter().zip(sightings.unwrap_or_default()) {
                match sighting.status {
                    Status::Confirmed | Status::Finalized if !flight.needs_quorum => {
                        self.close(flight, Ok(sighting.slot));
                    }
                    Status::Failed(reason) if self.nodes.count() == 1 => {
                        self.close(flight, Err(reason));
                    }
                    Status::Confirmed | Status::Finalized | Status::Failed(_) => {
                        to_confirm.push(flight.clone());
                    }
                    Status::Unknown if self.age(flight) >= HEIGHT_AFTER_SECONDS => {
                        unseen.push(flight.clone());
                    }
                    Status::Processed => self.watch.is_near.set(flights.len() <= FEW),
                    Status::Unknown => {}
                }
            }
        }
        self.confirm(to_confirm);
        // All at once: their heights are asked for together.
        if is_all {
            self.give_up_expired(unseen);
        }
    }

    /// Sends again, one after the other, what has not been heard of for long.
    fn send_again(self: &Rc<Self>) {
        let now = self.shared.host.now();
        let is_due = |flight: &Flight| {
            let pause = if self.is_quick(flight) { RESEND_SECONDS } else { SLOW_RESEND_SECONDS };
            now.since(flight.sent_at) >= pause
        };
        if !self.watch.flights.borrow().values().any(is_due) {
            return;
        }
        let Some(at_work) = AtWork::begin(self, |watch| &watch.is_sending) else { return };
        let (mut due, mut room) = (vec![], 0..LATE_RESENDS);
        for flight in self.watch.flights.borrow_mut().values_mut().filter(|it| is_due(it)) {
            if self.is_quick(flight) || room.next().is_some() {
                flight.sent_at = now;
                due.push(Rc::clone(&flight.entry));
            }
        }
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            let _at_work = at_work;
            for entry in due {
                if lane.watch.holds(&entry.id) {
                    lane.send(&entry).await;
                }
            }
        });
    }

    /// Asks every node what became of these, and takes what enough of them
    /// say: two above the seller's limit, else one, unless another says the
    /// contrary.
    fn confirm(self: &Rc<Self>, flights: Vec<Flight>) {
        if flights.is_empty() {
            return;
        }
        let Some(at_work) = AtWork::begin(self, |watch| &watch.is_confirming) else { return };
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            let _at_work = at_work;
            for some in flights.chunks(STATUSES_MAX) {
                let replies = lane.nodes.ask_each(&statuses_of(some)).await;
                let answers: Vec<_> =
                    replies.iter().filter_map(|reply| read_statuses(reply, some)).collect();
                for (index, flight) in some.iter().enumerate() {
                    let of_flight: Vec<Sighting> =
                        answers.iter().filter_map(|answer| answer.get(index).copied()).collect();
                    let needed = if flight.needs_quorum { 2 } else { 1 };
                    match verdict(&of_flight, needed, lane.is_quick(flight)) {
                        Some(verdict) => lane.close(flight, verdict),
                        // One may be a little behind.
                        None if lane.is_quick(flight) => {}
                        None => lane.report(&format!(
                            "fee payer {}: too few nodes agree on what became of {}",
                            lane.fee_payer, flight.entry.sent.signature
                        )),
                    }
                }
            }
        });
    }

    /// Gives up what no node has seen and can no longer land. The heights are
    /// asked for first and the statuses once more after them, so that one which
    /// landed in between is not given up.
    fn give_up_expired(self: &Rc<Self>, flights: Vec<Flight>) {
        if flights.is_empty() {
            return;
        }
        let Some(at_work) = AtWork::begin(self, |watch| &watch.is_giving_up) else { return };
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            let _at_work = at_work;
            let height = Call::new("getBlockHeight", rpc::get_block_height_params());
            let replies = lane.nodes.ask_each(&height).await;
            let heights: Vec<u64> = replies
                .iter()
                .filter_map(|reply| rpc::parse_block_height(reply.as_ref().ok()?).ok())
                .collect();
            let highest = heights.iter().max().copied().unwrap_or(0);
            let expired: Vec<Flight> = flights
                .into_iter()
                .filter(|flight| {
                    if !lane.can_give_up(flight, heights.len()) {
                        return false;
                    }
                    let bound = lane.bound_of(flight, highest).saturating_add(BLOCKS_BEHIND);
                    let beyond = heights.iter().filter(|height| **height > bound).count();
                    lane.age(flight) >= EXPIRY_SECONDS && lane.can_give_up(flight, beyond)
                })
                .collect();
            for some in expired.chunks(STATUSES_MAX) {
                let replies = lane.nodes.ask_each(&statuses_of(some)).await;
                let answers: Vec<_> =
                    replies.iter().filter_map(|reply| read_statuses(reply, some)).collect();
                for (index, flight) in some.iter().enumerate() {
                    let is_unknown = |answer: &Vec<Sighting>| {
                        answer.get(index).is_some_and(|it| it.status == Status::Unknown)
                    };
                    if lane.can_give_up(flight, answers.len()) && answers.iter().all(is_unknown) {
                        lane.close(flight, Err(Reason::SvmSimulationFailed));
                    }
                }
            }
        });
    }

    /// Whether so many nodes can give a transaction up: all of them, and after
    /// a long time one, or two above the seller's limit, so that no dead node
    /// keeps it for ever.
    fn can_give_up(&self, flight: &Flight, nodes: usize) -> bool {
        let enough = if flight.needs_quorum { 2 } else { 1 };
        nodes >= self.nodes.count() || nodes >= enough && self.age(flight) >= SILENT_SECONDS
    }

    /// The last height at which a transaction can land: by the height that one
    /// node told before it was sent, or by what the nodes tell now, for its
    /// blockhash is older than that. So no height that one node makes up keeps
    /// it for ever.
    fn bound_of(&self, flight: &Flight, height: u64) -> u64 {
        let mut flights = self.watch.flights.borrow_mut();
        let Some(known) = flights.get_mut(&flight.entry.id) else { return u64::MAX };
        let first = known.bound.get_or_insert(height.saturating_add(BLOCKHASH_BLOCKS));
        flight.entry.sent.last_valid_height.min(*first)
    }

    /// Writes what became of a transaction: the slot it landed in, or why it
    /// paid nobody.
    fn close(&self, flight: &Flight, end: Result<u64, Reason>) {
        if !self.watch.holds(&flight.entry.id) {
            return;
        }
        if let Err(error) = self.write_end(&flight.entry, end) {
            // It stays in the journal, and the alarm takes it up again.
            self.report(&error.to_string());
        }
        self.watch.flights.borrow_mut().remove(&flight.entry.id);
    }

    fn write_end(&self, entry: &SolanaEntry, end: Result<u64, Reason>) -> Result<(), StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        let (mut resolutions, mut cost) = (vec![], None);
        for (id, payment) in orders {
            let VerifiedPayment::Solana(transfer) = &payment else { continue };
            let resolution = match end {
                Ok(_) => Resolution::Paid {
                    payer: payment.payer(),
                    amount: transfer.amount(),
                    transaction: entry.sent.signature.clone(),
                },
                Err(reason) => Resolution::NotPaid(reason),
            };
            // What has expired cost nothing, and is not the payer's fault.
            if end != Err(Reason::SvmSimulationFailed) {
                cost = Some(transfer.fee_lamports().into());
                if end.is_err() {
                    self.shared.throttle.note_failure(&payment.payer(), self.shared.host.now());
                }
            }
            if let Ok(slot) = end {
                self.landed.borrow_mut().push(Landed {
                    source: *transfer.source(),
                    amount: u64::try_from(transfer.amount().0).unwrap_or(u64::MAX),
                    slot,
                    at: self.shared.host.now(),
                });
            }
            resolutions.push((id, resolution));
        }
        self.shared.close(&entry.row(), &resolutions, cost)
    }
}

fn statuses_of(flights: &[Flight]) -> Call {
    let signatures: Vec<&str> =
        flights.iter().map(|flight| flight.entry.sent.signature.as_str()).collect();
    Call::new("getSignatureStatuses", rpc::get_signature_statuses_params(&signatures))
}

fn read_statuses(reply: &Reply, flights: &[Flight]) -> Option<Vec<Sighting>> {
    let transfers: Vec<usize> = flights.iter().map(|flight| flight.transfer).collect();
    rpc::parse_signature_statuses(reply.as_ref().ok()?, &transfers).ok()
}

/// What nodes agree on: the slot it landed in, or why it paid nobody. `needed`:
/// how many must say so. As long as those that have not seen it `may_follow`,
/// none of them alone calls it failed.
fn verdict(sightings: &[Sighting], needed: usize, may_follow: bool) -> Option<Result<u64, Reason>> {
    let (mut landed, mut failed, mut unseen) = (vec![], vec![], 0);
    for sighting in sightings {
        match sighting.status {
            Status::Confirmed | Status::Finalized => landed.push(sighting.slot),
            Status::Failed(reason) => failed.push(reason),
            Status::Unknown | Status::Processed => unseen += 1,
        }
    }
    match (landed.as_slice(), failed.as_slice()) {
        ([slot, ..], []) if landed.len() >= needed => Some(Ok(*slot)),
        ([], [_, ..]) if may_follow && unseen > 0 => None,
        ([], [reason, ..]) if failed.len() >= needed => Some(Err(*reason)),
        _ => None,
    }
}
