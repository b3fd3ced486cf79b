//! Group commit on EVM: what waits while a transaction is being prepared goes
//! out together, in the relayer's nonce order.
//!
//! [`preview`] asks the chain before anything is sent, [`send`] sends, [`follow`]
//! brings what was sent to its end, [`nonces`] keeps the relayer's nonces without
//! a gap, [`ending`] says what became of the payments and [`evidence`] what proves
//! it, [`fallback`] is for when no node can be reached.

mod ending;
pub(super) mod evidence;
mod fallback;
mod follow;
mod nonces;
mod preview;
mod send;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use preview::Problem;

use super::guards::share_of;
use super::host::within;
use super::remote::RemoteLane;
use super::shared::{JOIN_LIMIT, Job, LaneParts, Shared, WAKE_SECONDS};
use super::{Host, JournalEntry, Limits, Outcome, State, Store, StoreError};
use crate::encoding::encode_hex;
use crate::evm::{
    self, Address, Call as EvmCall, Fees, GAS_PER_PAYMENT, GAS_PER_TRANSACTION, MULTICALL3,
    RelayerKey, Transaction,
};
use crate::exact::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::Nodes;

/// How many transactions of one relayer may be in the air. Nodes keep at least
/// 16 of one account waiting.
const IN_AIR_MAX: usize = 8;

/// How long a payment waits that is too new for the latest block, before it is
/// looked at again.
const BLOCK_PAUSE: Duration = Duration::from_millis(500);

/// The relayer's lane onto one EVM chain.
pub struct EvmLane<H: Host> {
    shared: Rc<Shared<H>>,
    nodes: Rc<Nodes<H::Transport>>,
    chain_id: u64,
    key: RelayerKey,
    limits: Limits,
    queue: RefCell<VecDeque<Waiting>>,
    pump_runs: Cell<bool>,
    /// The relayers of all Settlers of this chain: what one of them sent, no
    /// stranger did.
    relayers: Vec<Address>,
    /// The journal entries that somebody follows.
    in_air: RefCell<HashMap<String, InAir>>,
    /// The nonce after the last one that was signed here.
    next_nonce: Cell<Option<u64>>,
    /// Whether Multicall3 is at its address, once that is known.
    has_multicall: Cell<Option<bool>>,
    /// Whether the node simulates in a block of another time.
    takes_time: Cell<bool>,
    /// Whether the node knows `eth_sendRawTransactionSync`.
    has_sync: Cell<bool>,
    /// Who settles while the nodes can't be reached.
    fallback: OnceCell<Rc<RemoteLane<H>>>,
}

/// A transaction that somebody follows.
struct InAir {
    nonce: u64,
    /// Whether it waits for a block: only then it takes one of the places.
    is_waiting: bool,
    /// The most that it can cost, in wei.
    worst_cost: u128,
}

impl InAir {
    fn of(entry: &JournalEntry) -> Self {
        let is_open = !entry.judged;
        let worst_cost =
            entry.fees.filter(|_| is_open).map_or(0, |fees| fees.worst_cost(entry.gas));
        Self { nonce: entry.bound, is_waiting: is_open, worst_cost }
    }
}

/// A payment in the queue, and who waits for it.
struct Waiting {
    job: Job,
    payment: evm::VerifiedPayment,
    done: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl<H: Host> EvmLane<H> {
    /// The lane of this relayer onto the chain behind these nodes.
    pub fn new(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        chain_id: u64,
        key: RelayerKey,
        relayers: Vec<Address>,
        limits: Limits,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: parts.0,
            nodes: Rc::new(nodes),
            chain_id,
            key,
            relayers,
            limits,
            queue: RefCell::default(),
            pump_runs: Cell::new(false),
            in_air: RefCell::default(),
            next_nonce: Cell::new(None),
            has_multicall: Cell::new(None),
            takes_time: Cell::new(true),
            has_sync: Cell::new(true),
            fallback: OnceCell::new(),
        })
    }

    /// Puts a payment into the queue and waits for what becomes of it.
    pub(super) async fn settle(self: &Rc<Self>, job: Job) -> Result<Outcome, StoreError> {
        let VerifiedPayment::Evm(payment) = job.payment.clone() else {
            return self.shared.refuse(&job.request, Reason::InvalidNetwork);
        };
        let (id, ticket) = (job.request.payment.clone(), job.request.ticket);
        let (done, outcome) = oneshot::channel();
        self.queue.borrow_mut().push_back(Waiting { job, payment, done });
        self.start_pump();
        if let Some(Ok(outcome)) = within(&self.shared.host, JOIN_LIMIT, outcome).await {
            return outcome;
        }
        // In the air: whoever asks again joins it. Or still on the ground:
        // then it stays there, because the buyer is told so.
        self.queue.borrow_mut().retain(|waiting| waiting.job.request.ticket != ticket);
        self.shared.release(&id, ticket)?;
        self.standing_of(&id)
    }

    /// Follows the transactions that a crash left in the air.
    pub(super) fn resume(self: &Rc<Self>, entries: Vec<JournalEntry>) {
        for entry in entries {
            let next = self.next_nonce.get().unwrap_or(0).max(entry.bound + 1);
            self.next_nonce.set(Some(next));
            if self.in_air.borrow().contains_key(&entry.id) {
                continue;
            }
            let flight = InAir::of(&entry);
            if !entry.judged {
                self.shared.hold_again(&entry, flight.worst_cost);
            }
            self.in_air.borrow_mut().insert(entry.id.clone(), flight);
            let lane = Rc::clone(self);
            self.shared.host.spawn(async move { lane.follow(entry, None).await });
        }
    }

    /// How many payments wait and how many transactions are in the air.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.queue.borrow().len(), self.in_air.borrow().len())
    }

    fn standing_of(&self, id: &str) -> Result<Outcome, StoreError> {
        Ok(match self.shared.store.payment(id)?.map(|record| record.state) {
            Some(State::Settled(settlement)) => Outcome::Settled(settlement),
            Some(State::Failed { reason }) => Outcome::Failed { reason, transaction: None },
            Some(State::Submitted { transaction, .. }) => {
                Outcome::Pending { transaction: self.shared.latest_of(transaction)? }
            }
            Some(State::Claimed { .. }) | None => Outcome::Unavailable,
        })
    }

    fn start_pump(self: &Rc<Self>) {
        if self.pump_runs.replace(true) {
            return;
        }
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            while let Some(batch) = lane.next_batch() {
                lane.run(batch).await;
            }
            lane.pump_runs.set(false);
        });
    }

    /// What goes out next; `None` if nothing waits or enough is in the air.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let waiting = self.in_air.borrow().values().filter(|flight| flight.is_waiting).count();
        if waiting >= IN_AIR_MAX {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        let most = if self.has_multicall.get() == Some(false) { 1 } else { self.limits.batch_max };
        let count = most.min(queue.len());
        (count > 0).then(|| queue.drain(..count).collect())
    }

    /// One batch, until it is in the air.
    async fn run(self: &Rc<Self>, batch: Vec<Waiting>) {
        let batch = self.still_held(batch);
        if batch.is_empty() {
            return;
        }
        let payments: Vec<_> = batch.iter().map(|waiting| &waiting.payment).collect();
        let preview = match self.preview(&payments).await {
            Ok(preview) => preview,
            Err(Problem::OneOfMany) => return self.run_each(batch).await,
            Err(Problem::Nodes(problem)) => {
                self.log(&problem);
                // Nothing was written or sent.
                for waiting in batch {
                    self.without_nodes(waiting);
                }
                return;
            }
        };
        let is_greedy = preview.gas.is_some_and(|gas| gas > most_gas(batch.len()));
        if batch.len() > 1 && (is_greedy || self.has_multicall.get() == Some(false)) {
            return self.run_each(batch).await;
        }
        let soon = self.shared.host.now().plus(evm::verify::MIN_REMAINING_SECONDS);
        let mut good = vec![];
        for (waiting, facts) in batch.into_iter().zip(&preview.facts) {
            let refusal = evm::refusal(facts, &waiting.payment);
            if self.is_too_new(&waiting.payment, &preview, refusal) {
                self.wait_for_a_block(waiting);
                continue;
            }
            let reason = match refusal {
                // It runs code of the payer's (EIP-7702) on our gas.
                None if is_greedy => Reason::EvmSimulationFailed,
                // The queue took the time that it had left.
                None if waiting.payment.expires_at() < soon => Reason::EvmValidBefore,
                None => {
                    good.push(waiting);
                    continue;
                }
                Some(reason) => reason,
            };
            let why = facts.revert_reason.as_deref().unwrap_or("no revert reason");
            self.log(&format!("{}: {reason} ({why})", waiting.job.request.payment));
            let _ = waiting.done.send(self.shared.refuse(&waiting.job.request, reason));
        }
        let gas = preview.gas.unwrap_or(most_gas(good.len()));
        // From here to the journal there is no await.
        let cost = cost_of_each(preview.fees, gas, good.len());
        let good = self.within_their_limits(good, cost);
        let over_budget = self.is_over_budget(preview.fees.worst_cost(gas));
        let written = if over_budget {
            Ok(None)
        } else {
            self.write_down(&good, preview.fees, gas, preview.block)
        };
        match written {
            Ok(Some(entry)) => self.take_off(entry, good),
            Ok(None) => {
                for waiting in good {
                    let request = &waiting.job.request;
                    let freed = self.shared.release(&request.payment, request.ticket);
                    let outcome =
                        if over_budget { Outcome::LimitReached } else { Outcome::Unavailable };
                    let _ = waiting.done.send(freed.map(|()| outcome));
                }
            }
            Err(error) => {
                for waiting in good {
                    self.shared.let_go(&waiting.job.request.payment);
                    let _ = waiting.done.send(Err(error.clone()));
                }
            }
        }
    }

    /// Puts a payment back into the queue a little later, and holds nobody up.
    /// One whose request is over by then is dropped there.
    fn wait_for_a_block(self: &Rc<Self>, waiting: Waiting) {
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            lane.shared.host.sleep(BLOCK_PAUSE).await;
            lane.queue.borrow_mut().push_back(waiting);
            lane.start_pump();
        });
    }

    /// The payments whose accounts still have as much as each may cost, in wei,
    /// which is set aside.
    fn within_their_limits(&self, batch: Vec<Waiting>, cost: u128) -> Vec<Waiting> {
        let mut fit = vec![];
        for waiting in self.still_held(batch) {
            let request = &waiting.job.request;
            let outcome = match self.shared.hold(request, cost, &self.limits) {
                Ok(true) => {
                    fit.push(waiting);
                    continue;
                }
                Ok(false) => {
                    let freed = self.shared.release(&request.payment, request.ticket);
                    freed.map(|()| Outcome::LimitReached)
                }
                Err(error) => Err(error),
            };
            let _ = waiting.done.send(outcome);
        }
        fit
    }

    /// A batch without the payments whose claims were taken over while they
    /// waited: with the same payment twice, one of the two would fail.
    fn still_held(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let mut held = vec![];
        for waiting in batch {
            match self.shared.held_record(&waiting.job) {
                Ok(Some(_)) => held.push(waiting),
                Ok(None) => {
                    let standing = self.standing_of(&waiting.job.request.payment);
                    let _ = waiting.done.send(standing);
                }
                Err(error) => {
                    let _ = waiting.done.send(Err(error));
                }
            }
        }
        held
    }

    /// One of several payments spoils the batch: each goes its own way.
    async fn run_each(self: &Rc<Self>, batch: Vec<Waiting>) {
        for waiting in batch {
            Box::pin(self.run(vec![waiting])).await;
        }
    }

    /// Signs a transaction for these payments and writes it down, without an
    /// await. Those whose claim was lost meanwhile stay out of it.
    fn write_down(
        &self,
        batch: &[Waiting],
        fees: Fees,
        gas: u64,
        block: u64,
    ) -> Result<Option<JournalEntry>, StoreError> {
        let mut held = vec![];
        for waiting in batch {
            if let Some(record) = self.shared.held_record(&waiting.job)? {
                held.push((waiting, record));
            }
        }
        let payments: Vec<_> = held.iter().map(|(waiting, _)| &waiting.payment).collect();
        let Some(call) = calls_of(&payments) else { return Ok(None) };
        let nonce = self.next_nonce.get().unwrap_or(0);
        let signed = Transaction::new(self.chain_id, nonce, fees, gas, call).sign(&self.key);
        let id = encode_hex(&signed.hash);
        let entry = JournalEntry {
            id: id.clone(),
            transaction: id.clone(),
            raw: encode_hex(&signed.raw),
            former: vec![],
            bound: nonce,
            payments: held.iter().map(|(_, record)| record.payment.clone()).collect(),
            written_at: self.shared.host.now(),
            fees: Some(fees),
            gas,
            seen_block: block,
            judged: false,
            empty: vec![],
        };
        let records: Vec<_> = held
            .into_iter()
            .map(|(waiting, record)| self.shared.submitted(record, &waiting.job, &id))
            .collect();
        self.shared.store.submit(&entry, &records)?;
        self.next_nonce.set(Some(nonce + 1));
        self.shared.host.wake_in(WAKE_SECONDS);
        Ok(Some(entry))
    }

    /// Sends what was written down and lets the pump go on.
    fn take_off(self: &Rc<Self>, entry: JournalEntry, batch: Vec<Waiting>) {
        self.in_air.borrow_mut().insert(entry.id.clone(), InAir::of(&entry));
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            // If the process dies here, the journal has the bytes: the next
            // life sends the same ones, which can land only once.
            let sent = lane.send(&entry.raw).await;
            lane.follow(entry, Some(sent)).await;
            for waiting in batch {
                let outcome = lane.standing_of(&waiting.job.request.payment);
                let _ = waiting.done.send(outcome);
            }
        });
    }

    /// Whether a transaction that may cost this much, in wei, is more than may
    /// be spent today.
    fn is_over_budget(&self, cost: u128) -> bool {
        let Some(limit) = self.limits.daily_spend else { return false };
        let in_air: u128 = self.in_air.borrow().values().map(|flight| flight.worst_cost).sum();
        let spent = self.shared.spent_today().saturating_add(in_air);
        let over = spent.saturating_add(cost) > limit;
        if over {
            self.log(&format!(
                "the daily limit of {limit} wei is reached ({spent} spent or in the air)"
            ));
        }
        over
    }

    fn log(&self, line: &str) {
        self.shared.host.log(&format!("eip155:{}: {line}", self.chain_id));
    }
}

/// The most gas that a transaction with this many payments is given.
fn most_gas(payments: usize) -> u64 {
    let payments = u64::try_from(payments).unwrap_or(u64::MAX);
    GAS_PER_TRANSACTION.saturating_add(GAS_PER_PAYMENT.saturating_mul(payments))
}

/// The most that each of several payments may cost, in wei, whichever of the
/// others stay behind: each has a whole transaction's own gas in it.
fn cost_of_each(fees: Fees, gas: u64, payments: usize) -> u128 {
    let alone = fees.worst_cost(GAS_PER_TRANSACTION);
    share_of(fees.worst_cost(gas), payments).saturating_add(alone)
}

/// The call that settles these payments: plain for one, Multicall3 for more.
fn calls_of(payments: &[&evm::VerifiedPayment]) -> Option<EvmCall> {
    match payments {
        [] => None,
        [payment] => Some(evm::payment_call(payment)),
        several => Some(evm::batch_call(several, MULTICALL3)),
    }
}
