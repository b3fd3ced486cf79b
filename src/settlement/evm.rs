//! Group commit on EVM: what waits while a transaction is being prepared goes
//! out together, in the relayer's nonce order.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use serde_json::{Value, json};

use super::host::within;
use super::settler::{Fate, JOIN_LIMIT, Job, LaneParts, Shared, WAKE_SECONDS};
use super::{Host, JournalEntry, Outcome, State, Store, StoreError};
use crate::evm::{
    self, BlockTag, Call as EvmCall, Facts, Fees, MULTICALL3, Receipt, RelayerKey, Transaction,
    json_rpc,
};
use crate::exact::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::{Call, METHOD_NOT_FOUND, Nodes, Reply, RpcError};

/// How many payments go into one transaction at most.
const BATCH_MAX: usize = 40;

/// How many transactions of one relayer may be in the air.
const IN_AIR_MAX: usize = 4;

/// How long the node may hold `eth_sendRawTransactionSync` until the receipt.
const SYNC_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a receipt is asked for.
const RECEIPT_POLL: Duration = Duration::from_millis(500);

/// How long a receipt is waited for before the alarm takes over.
const RECEIPT_LIMIT: Duration = Duration::from_secs(60);

/// Gas for one payment and for a transaction around it, where the node gives
/// no estimate: well above what the known tokens need (65,000 alone).
const GAS_PER_PAYMENT: u64 = 120_000;
const GAS_PER_TRANSACTION: u64 = 60_000;

/// What `eth_call` may return for a check: 256 bytes or so for each of 3 calls.
const MAX_CHECK_BYTES: usize = 3 * BATCH_MAX * 1024;

/// The relayer's lane onto one EVM chain.
pub struct EvmLane<H: Host> {
    shared: Rc<Shared<H>>,
    nodes: Nodes<H::Transport>,
    chain_id: u64,
    key: RelayerKey,
    queue: RefCell<VecDeque<Waiting>>,
    pump_runs: Cell<bool>,
    in_air: RefCell<HashSet<String>>,
    /// The nonce after the last one that was signed here.
    next_nonce: Cell<Option<u64>>,
    /// Whether Multicall3 is at its address, once that is known.
    has_multicall: Cell<Option<bool>>,
    /// Whether the node knows `eth_sendRawTransactionSync`.
    has_sync: Cell<bool>,
}

struct Waiting {
    job: Job,
    payment: evm::VerifiedPayment,
    done: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What the chain says before anything is sent.
struct Preview {
    nonce: u64,
    fees: Fees,
    facts: Vec<Facts>,
    gas: Option<u64>,
}

/// What sending came to.
enum Sent {
    Mined(Box<Receipt>),
    /// In the pool, or perhaps in the pool: only the chain can tell.
    Perhaps,
    /// Not in the pool: the node says why.
    Refused(RpcError),
}

impl<H: Host> EvmLane<H> {
    /// The lane of this relayer onto the chain behind these nodes.
    pub fn new(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        chain_id: u64,
        key: RelayerKey,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: parts.0,
            nodes,
            chain_id,
            key,
            queue: RefCell::default(),
            pump_runs: Cell::new(false),
            in_air: RefCell::default(),
            next_nonce: Cell::new(None),
            has_multicall: Cell::new(None),
            has_sync: Cell::new(true),
        })
    }

    /// Puts a payment into the queue and waits for what becomes of it.
    pub(super) async fn settle(self: &Rc<Self>, job: Job) -> Result<Outcome, StoreError> {
        let VerifiedPayment::Evm(payment) = job.payment.clone() else {
            return self.shared.refuse(&job.request, Reason::InvalidNetwork);
        };
        let id = job.request.payment.clone();
        let (done, outcome) = oneshot::channel();
        self.queue.borrow_mut().push_back(Waiting { job, payment, done });
        self.start_pump();
        match within(&self.shared.host, JOIN_LIMIT, outcome).await {
            Some(Ok(outcome)) => outcome,
            // Still in the queue, or in the air. Whoever asks again joins it.
            Some(Err(_)) | None => Ok(match self.shared.store.payment(&id)?.map(|r| r.state) {
                Some(State::Submitted { transaction, .. }) => Outcome::Pending { transaction },
                Some(State::Settled(settlement)) => Outcome::Settled(settlement),
                _ => Outcome::Unavailable,
            }),
        }
    }

    /// Follows the transactions that a crash left in the air.
    pub(super) fn resume(self: &Rc<Self>, entries: Vec<JournalEntry>) {
        for entry in entries {
            let next = self.next_nonce.get().unwrap_or(0).max(entry.bound + 1);
            self.next_nonce.set(Some(next));
            if self.in_air.borrow_mut().insert(entry.transaction.clone()) {
                let lane = Rc::clone(self);
                self.shared.host.spawn(async move {
                    let sent = lane.send(&entry.raw).await;
                    lane.follow(entry, sent).await;
                });
            }
        }
    }

    fn start_pump(self: &Rc<Self>) {
        if self.pump_runs.replace(true) {
            return;
        }
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            loop {
                if lane.in_air.borrow().len() >= IN_AIR_MAX {
                    break;
                }
                let batch: Vec<Waiting> = {
                    let mut queue = lane.queue.borrow_mut();
                    let count = if lane.has_multicall.get() == Some(false) { 1 } else { BATCH_MAX };
                    let count = count.min(queue.len());
                    queue.drain(..count).collect()
                };
                if batch.is_empty() {
                    break;
                }
                lane.run(batch).await;
            }
            lane.pump_runs.set(false);
        });
    }

    /// One batch, until it is in the air.
    async fn run(self: &Rc<Self>, batch: Vec<Waiting>) {
        let preview = match self.preview(&batch).await {
            Ok(preview) => preview,
            Err(problem) => {
                self.shared.host.log(&format!("eip155:{}: {problem}", self.chain_id));
                // Nothing was sent, so each claim is free again.
                for waiting in batch {
                    let request = &waiting.job.request;
                    let freed = self.shared.release(&request.payment, request.ticket);
                    let _ = waiting.done.send(freed.map(|()| Outcome::Unavailable));
                }
                return;
            }
        };
        let mut good = vec![];
        for (waiting, facts) in batch.into_iter().zip(&preview.facts) {
            match evm::refusal(facts, &waiting.payment) {
                None => good.push(waiting),
                Some(reason) => {
                    self.shared.host.log(&format!(
                        "{}: {reason} ({})",
                        waiting.job.request.payment,
                        facts.revert_reason.as_deref().unwrap_or("no revert reason"),
                    ));
                    let refused = self.shared.refuse(&waiting.job.request, reason);
                    let _ = waiting.done.send(refused);
                }
            }
        }
        let gas = preview.gas.unwrap_or(
            GAS_PER_TRANSACTION + GAS_PER_PAYMENT * u64::try_from(good.len()).unwrap_or(0),
        );
        match self.write_down(&good, preview.nonce, preview.fees, gas) {
            Ok(Some(entry)) => self.take_off(entry, good),
            Ok(None) => answer_all(good, || Ok(Outcome::Unavailable)),
            Err(error) => answer_all(good, || Err(error.clone())),
        }
    }

    /// Signs a transaction for these payments and writes it down, without an
    /// await. Those whose claim was lost meanwhile stay out of it.
    fn write_down(
        &self,
        batch: &[Waiting],
        nonce: u64,
        fees: Fees,
        gas: u64,
    ) -> Result<Option<JournalEntry>, StoreError> {
        let shared = &self.shared;
        let mut held = vec![];
        for waiting in batch {
            // The transaction is named only once it is signed.
            if shared.submitted(&waiting.job, "")?.is_some() {
                held.push(waiting);
            }
        }
        let payments: Vec<&evm::VerifiedPayment> = held.iter().map(|w| &w.payment).collect();
        let call = match payments.as_slice() {
            [] => return Ok(None),
            [payment] => evm::payment_call(payment),
            several => evm::batch_call(several, MULTICALL3),
        };
        let signed = Transaction::new(self.chain_id, nonce, fees, gas, call).sign(&self.key);
        let transaction = crate::encoding::encode_hex(&signed.hash);
        let mut records = vec![];
        for waiting in &held {
            records.extend(shared.submitted(&waiting.job, &transaction)?);
        }
        let entry = JournalEntry {
            transaction,
            raw: crate::encoding::encode_hex(&signed.raw),
            bound: nonce,
            payments: records.iter().map(|record| record.payment.clone()).collect(),
            written_at: shared.host.now(),
        };
        shared.store.submit(&entry, &records)?;
        self.next_nonce.set(Some(nonce + 1));
        shared.host.wake_in(WAKE_SECONDS);
        Ok(Some(entry))
    }

    /// Sends what was written down and lets the pump go on.
    fn take_off(self: &Rc<Self>, entry: JournalEntry, batch: Vec<Waiting>) {
        self.in_air.borrow_mut().insert(entry.transaction.clone());
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            // If the process dies here, the journal has the bytes: the next
            // life sends the same ones, which can land only once.
            let sent = lane.send(&entry.raw).await;
            lane.follow(entry, sent).await;
            for waiting in batch {
                let id = &waiting.job.request.payment;
                let outcome = match lane.shared.store.payment(id) {
                    Ok(Some(record)) => Ok(match record.state {
                        State::Settled(settlement) => Outcome::Settled(settlement),
                        State::Failed { reason } => Outcome::Failed { reason, transaction: None },
                        State::Submitted { transaction, .. } => Outcome::Pending { transaction },
                        State::Claimed { .. } => Outcome::Unavailable,
                    }),
                    Ok(None) => Ok(Outcome::Unavailable),
                    Err(error) => Err(error),
                };
                let _ = waiting.done.send(outcome);
            }
        });
    }

    /// Waits for the end of a transaction and writes down what became of its
    /// payments.
    async fn follow(self: &Rc<Self>, entry: JournalEntry, sent: Sent) {
        let receipt = match sent {
            Sent::Mined(receipt) => Some(*receipt),
            Sent::Perhaps => self.receipt_of(&entry.transaction).await,
            Sent::Refused(error) => {
                self.shared.host.log(&format!(
                    "eip155:{}: {} was refused: {} ({})",
                    self.chain_id, entry.transaction, error.message, error.code
                ));
                match self.receipt_now(&entry.transaction).await {
                    Some(receipt) => Some(receipt),
                    None => {
                        self.take_back(&entry);
                        None
                    }
                }
            }
        };
        if let Some(receipt) = receipt
            && let Err(error) = self.land(&entry, &receipt)
        {
            self.shared.host.log(&error.to_string());
        }
        self.in_air.borrow_mut().remove(&entry.transaction);
        if !self.queue.borrow().is_empty() {
            self.start_pump();
        }
    }

    /// A transaction that the node will not have: its payments are free again,
    /// its nonce is the next one again.
    fn take_back(&self, entry: &JournalEntry) {
        self.next_nonce.set(None);
        let fates: Vec<_> = entry
            .payments
            .iter()
            .map(|id| (id.clone(), Fate::NotPaid(Reason::UnexpectedSettleError)))
            .collect();
        if let Err(error) = self.shared.close(&entry.transaction, &fates) {
            self.shared.host.log(&error.to_string());
        }
    }

    fn land(&self, entry: &JournalEntry, receipt: &Receipt) -> Result<(), StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        let payments: Vec<_> = orders
            .iter()
            .filter_map(|(id, payment)| match payment {
                VerifiedPayment::Evm(payment) => Some((id, payment)),
                VerifiedPayment::Solana(_) => None,
            })
            .collect();
        let verified: Vec<_> = payments.iter().map(|(_, payment)| *payment).collect();
        let paid = evm::paid(receipt, &verified);
        let fates: Vec<_> = payments
            .iter()
            .zip(paid)
            .map(|((id, payment), paid)| {
                let fate = if paid {
                    Fate::Paid {
                        payer: payment.payer(),
                        amount: payment.value(),
                        transaction: entry.transaction.clone(),
                    }
                } else {
                    Fate::NotPaid(Reason::InvalidTransactionState)
                };
                ((*id).clone(), fate)
            })
            .collect();
        self.shared.close(&entry.transaction, &fates)
    }

    /// What the chain says of these payments: one round trip.
    async fn preview(&self, batch: &[Waiting]) -> Result<Preview, String> {
        let payments: Vec<_> = batch.iter().map(|waiting| &waiting.payment).collect();
        let with_multicall = self.has_multicall.get() != Some(false);
        let mut calls = vec![
            Call::new(
                "eth_getTransactionCount",
                json_rpc::account_params(self.key.address(), BlockTag::Pending),
            ),
            Call::new("eth_feeHistory", json!(["0x1", "latest", [50]])),
            self.estimate(&payments),
        ];
        if with_multicall {
            calls.push(self.call("eth_call", &evm::check_call(&payments, MULTICALL3)));
        } else {
            for payment in &payments {
                calls.extend(self.facts_calls(payment));
            }
        }
        let replies = self.nodes.ask(&calls).await.map_err(|error| error.to_string())?;
        let [count, history, estimate, rest @ ..] = replies.as_slice() else {
            return Err("the node left questions open".into());
        };
        let facts = if with_multicall {
            match read_check(rest, payments.len()) {
                Some(facts) => {
                    self.has_multicall.set(Some(true));
                    facts
                }
                None => {
                    // No code at Multicall3's address: ask one by one.
                    self.has_multicall.set(Some(false));
                    self.facts_one_by_one(&payments).await?
                }
            }
        } else {
            read_facts(rest, payments.len())
        };
        let all_good = facts.iter().zip(&payments).all(|(f, p)| evm::refusal(f, p).is_none());
        Ok(Preview {
            nonce: self.nonce(quantity(count).ok_or("no nonce from the node")?),
            fees: fees(history).ok_or("no fees from the node")?,
            gas: quantity(estimate).filter(|_| all_good).map(|gas| gas + gas / 4),
            facts,
        })
    }

    /// The next nonce: the node may not have seen yet what is in the air.
    fn nonce(&self, pending: u64) -> u64 {
        self.next_nonce.get().unwrap_or(0).max(pending)
    }

    fn estimate(&self, payments: &[&evm::VerifiedPayment]) -> Call {
        let call = match payments {
            [payment] => evm::payment_call(payment),
            several => evm::batch_estimate_call(several, MULTICALL3),
        };
        self.call("eth_estimateGas", &call)
    }

    fn call(&self, method: &'static str, call: &EvmCall) -> Call {
        Call::new(method, json_rpc::call_params(self.key.address(), call, BlockTag::Latest))
    }

    fn facts_calls(&self, payment: &evm::VerifiedPayment) -> [Call; 3] {
        let of_token = |data| EvmCall { to: payment.asset(), data };
        let state = of_token(evm::abi::authorization_state(payment.from(), payment.nonce()));
        let balance = of_token(evm::abi::balance_of(payment.from()));
        let transfer = evm::payment_call(payment);
        [
            self.call("eth_call", &state),
            self.call("eth_call", &balance),
            self.call("eth_call", &transfer),
        ]
    }

    async fn facts_one_by_one(
        &self,
        payments: &[&evm::VerifiedPayment],
    ) -> Result<Vec<Facts>, String> {
        let calls: Vec<_> = payments.iter().flat_map(|p| self.facts_calls(p)).collect();
        let replies = self.nodes.ask(&calls).await.map_err(|error| error.to_string())?;
        Ok(read_facts(&replies, payments.len()))
    }

    /// Sends signed bytes, in the way that brings the receipt soonest.
    async fn send(&self, raw: &str) -> Sent {
        if self.has_sync.get() {
            let call = Call::new("eth_sendRawTransactionSync", json!([raw]));
            match self.nodes.ask_again(&call, SYNC_TIMEOUT).await {
                Ok(Ok(result)) => match Receipt::from_json(&result) {
                    Some(receipt) => return Sent::Mined(Box::new(receipt)),
                    None => return Sent::Perhaps,
                },
                Ok(Err(error)) if is_unknown_method(&error) => self.has_sync.set(false),
                Ok(Err(error)) => return judge(error),
                Err(_) => return Sent::Perhaps,
            }
        }
        let call = Call::new("eth_sendRawTransaction", json!([raw]));
        match self.nodes.ask_again(&call, SYNC_TIMEOUT).await {
            Ok(Ok(_)) | Err(_) => Sent::Perhaps,
            Ok(Err(error)) => judge(error),
        }
    }

    async fn receipt_of(&self, transaction: &str) -> Option<Receipt> {
        let host = &self.shared.host;
        let until = host.now().plus(RECEIPT_LIMIT.as_secs());
        while host.now() < until {
            if let Some(receipt) = self.receipt_now(transaction).await {
                return Some(receipt);
            }
            host.sleep(RECEIPT_POLL).await;
        }
        None
    }

    async fn receipt_now(&self, transaction: &str) -> Option<Receipt> {
        let call = Call::new("eth_getTransactionReceipt", json!([transaction]));
        match self.nodes.ask_again(&call, crate::rpc::READ_TIMEOUT).await {
            Ok(Ok(Value::Null)) | Ok(Err(_)) | Err(_) => None,
            Ok(Ok(result)) => Receipt::from_json(&result),
        }
    }
}

fn answer_all(batch: Vec<Waiting>, outcome: impl Fn() -> Result<Outcome, StoreError>) {
    for waiting in batch {
        let _ = waiting.done.send(outcome());
    }
}

/// What an error for sent bytes means. A node that has them already, or had
/// no time to wait for the block (EIP-7966, code 4), has taken them.
fn judge(error: RpcError) -> Sent {
    let text = error.message.to_ascii_lowercase();
    let taken = [
        "already known",
        "known transaction",
        "already imported",
        "already in mempool",
        // Its nonce is used, and most likely by itself: only the chain can tell.
        "nonce too low",
    ];
    if error.code == 4 || taken.iter().any(|known| text.contains(known)) {
        Sent::Perhaps
    } else {
        Sent::Refused(error)
    }
}

fn is_unknown_method(error: &RpcError) -> bool {
    let text = error.message.to_ascii_lowercase();
    error.code == METHOD_NOT_FOUND
        || text.contains("method not found")
        || text.contains("unsupported method")
        || text.contains("does not exist")
}

fn quantity(reply: &Reply) -> Option<u64> {
    json_rpc::parse_u64(reply.as_ref().ok()?)
}

/// The fees of the next block, from `eth_feeHistory` of the latest.
fn fees(reply: &Reply) -> Option<Fees> {
    let history = reply.as_ref().ok()?;
    let base = json_rpc::parse_quantity(history.get("baseFeePerGas")?.as_array()?.last()?)?;
    let tip = history.get("reward").and_then(|rewards| rewards.get(0)?.get(0));
    Some(Fees::from_market(base, tip.and_then(json_rpc::parse_quantity).unwrap_or(0)))
}

fn read_check(replies: &[Reply], count: usize) -> Option<Vec<Facts>> {
    let [Ok(result)] = replies else { return None };
    evm::read_check(&json_rpc::parse_data(result, MAX_CHECK_BYTES)?, count)
}

fn read_facts(replies: &[Reply], count: usize) -> Vec<Facts> {
    let data = |reply: &Reply| json_rpc::parse_data(reply.as_ref().ok()?, 1024);
    let mut facts: Vec<Facts> = replies
        .chunks(3)
        .filter_map(|replies| match replies {
            [state, balance, transfer] => Some(Facts {
                nonce_used: data(state).and_then(|data| evm::abi::decode_bool(&data)),
                balance: data(balance).and_then(|data| evm::abi::decode_uint256(&data)),
                simulated: transfer.is_ok(),
                revert_reason: transfer.as_ref().err().map(|error| error.message.clone()),
            }),
            _ => None,
        })
        .collect();
    facts.resize_with(count, || Facts {
        nonce_used: None,
        balance: None,
        simulated: false,
        revert_reason: None,
    });
    facts
}
