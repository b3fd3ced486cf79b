//! Getting payments onto Solana: simulate, co-sign, send, and send again until
//! the blockhash has expired.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::shared::{Fate, Job, LaneParts, Shared, WAKE_SECONDS};
use super::{Host, JournalEntry, Limits, Outcome, SettleRequest, Store, StoreError, Verdict};
use crate::exact::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Reply};
use crate::solana::{self, FeePayerKey, SimulationOutcome, Status, rpc};

/// For how many blocks a blockhash is valid.
const BLOCKHASH_BLOCKS: u64 = 150;

/// How long to wait before each question for a transaction's status: soon at
/// first, for a slot takes 400 ms, and then once a slot.
const STATUS_POLLS: [u64; 4] = [60, 100, 150, 400];

/// How many payments of one payer may be on their way at once.
const IN_AIR_PER_PAYER: usize = 8;

/// How many blocks a node may be behind the one that told the height.
const BLOCKS_BEHIND: u64 = 64;

/// After this many polls there is no request left that waits: poll less often.
const QUICK_POLLS: u32 = 80;
const SLOW_POLL_MILLIS: u64 = 3_000;

/// After how many polls the same bytes are sent again.
const POLLS_PER_RESEND: u32 = 5;

/// The fee payer's lane onto one cluster.
pub struct SolanaLane<H: Host> {
    shared: Rc<Shared<H>>,
    nodes: Rc<Nodes<H::Transport>>,
    key: FeePayerKey,
    limits: Limits,
    in_air: RefCell<HashSet<String>>,
    /// The payments that are being settled: who pays, and the fee in lamports.
    reserved: RefCell<HashMap<String, (String, u128)>>,
}

impl<H: Host> SolanaLane<H> {
    /// The lane of this fee payer onto the cluster behind these nodes.
    pub fn new(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        key: FeePayerKey,
        limits: Limits,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: parts.0,
            nodes: Rc::new(nodes),
            key,
            limits,
            in_air: RefCell::default(),
            reserved: RefCell::default(),
        })
    }

    /// Looks at the fee payer's balance.
    pub(super) async fn look_at_balance(&self) {
        if let Ok(reply) = self.nodes.ask_once(&self.balance_call(), READ_TIMEOUT).await {
            self.note_balance(&reply);
        }
    }

    fn balance_call(&self) -> Call {
        Call::new("getBalance", json!([self.key.pubkey(), { "commitment": "confirmed" }]))
    }

    fn note_balance(&self, reply: &Reply) {
        let balance = reply.as_ref().ok().and_then(|result| result.get("value")?.as_u64());
        if let Some(balance) = balance {
            self.shared.note_balance(balance.into(), self.limits.low_balance);
        }
    }

    /// How many payments wait and how many transactions are in the air.
    pub(super) fn load(&self) -> (usize, usize) {
        (0, self.in_air.borrow().len())
    }

    /// Settles a payment, or says how far it got.
    pub(super) async fn settle(self: &Rc<Self>, job: Job) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let VerifiedPayment::Solana(payment) = &job.payment else {
            return shared.refuse(&job.request, Reason::InvalidNetwork);
        };
        // Each of many payments of one payer is simulated alone and may do
        // well; together they may not, and the fee is spent all the same.
        let refusal = if self.is_over_budget(payment) {
            Some(Outcome::LimitReached)
        } else {
            (!self.reserve(&job.request.payment, payment)).then_some(Outcome::Unavailable)
        };
        if let Some(refusal) = refusal {
            shared.host.log(&format!("{}: too much in the air", job.request.network));
            shared.release(&job.request.payment, job.request.ticket)?;
            return Ok(refusal);
        }
        let outcome = self.settle_reserved(&job, payment).await;
        self.reserved.borrow_mut().remove(&job.request.payment);
        outcome
    }

    /// Whether a payment's fee is more than may be spent today besides what is
    /// set aside.
    fn is_over_budget(&self, payment: &solana::VerifiedPayment) -> bool {
        let Some(limit) = self.limits.daily_spend else { return false };
        let set_aside: u128 = self.reserved.borrow().values().map(|(_, fee)| fee).sum();
        let spent = self.shared.spent_today().saturating_add(set_aside);
        spent.saturating_add(payment.fee_lamports().into()) > limit
    }

    /// Sets the fee of a payment aside, if the payer's other payments allow it.
    fn reserve(&self, id: &str, payment: &solana::VerifiedPayment) -> bool {
        let payer = payment.payer().to_string();
        let mut reserved = self.reserved.borrow_mut();
        let of_payer = reserved.values().filter(|(other, _)| *other == payer).count();
        let fits = of_payer < IN_AIR_PER_PAYER;
        if fits {
            reserved.insert(id.to_owned(), (payer, payment.fee_lamports().into()));
        }
        fits
    }

    async fn settle_reserved(
        self: &Rc<Self>,
        job: &Job,
        payment: &solana::VerifiedPayment,
    ) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let Ok(signed) = solana::co_sign(payment, &self.key) else {
            return shared.refuse(&job.request, Reason::SvmFeePayerMismatch);
        };
        let calls = [
            Call::new("simulateTransaction", rpc::simulate_transaction_params(&signed)),
            Call::new("getBlockHeight", rpc::get_block_height_params()),
            self.balance_call(),
        ];
        // Nothing was sent yet: if the process dies here, the claim is free
        // again after its lease.
        let height = match self.nodes.ask(&calls).await {
            Ok(replies) => match self.judge(&replies) {
                Ok(height) => height,
                Err(Refusal::Payer(reason)) => return shared.refuse(&job.request, reason),
                Err(Refusal::Ours(problem)) => {
                    shared.host.log(&format!("{}: {problem}", job.request.network));
                    shared.release(&job.request.payment, job.request.ticket)?;
                    return Ok(Outcome::Unavailable);
                }
            },
            Err(problem) => {
                shared.host.log(&format!("{}: {problem}", job.request.network));
                shared.release(&job.request.payment, job.request.ticket)?;
                return Ok(Outcome::Unavailable);
            }
        };
        let Some(record) = shared.held_record(job)? else { return Ok(Outcome::Unavailable) };
        // From here to the journal there is no await.
        if !shared.hold(&job.request, payment.fee_lamports().into(), &self.limits)? {
            shared.release(&job.request.payment, job.request.ticket)?;
            return Ok(Outcome::LimitReached);
        }
        let record = shared.submitted(record, job, &signed.signature);
        let entry = JournalEntry {
            id: signed.signature.clone(),
            transaction: signed.signature.clone(),
            former: vec![],
            raw: signed.to_base64(),
            bound: height.saturating_add(BLOCKHASH_BLOCKS),
            payments: vec![job.request.payment.clone()],
            written_at: shared.host.now(),
            fees: None,
            gas: 0,
            seen_block: height,
            judged: false,
            empty: vec![],
        };
        if let Err(error) = shared.store.submit(&entry, &[record]) {
            shared.let_go(&job.request.payment);
            return Err(error);
        }
        shared.host.wake_in(WAKE_SECONDS);
        // If the process dies from here on, the journal has the bytes: the
        // next life sends the same ones, which can land only once.
        self.start(entry);
        shared.outcome_of(&job.request.payment).await
    }

    /// What the chain says of a payment, and nothing else. The node does not
    /// get our signature, so nobody can send it.
    pub(super) async fn verify(
        &self,
        request: &SettleRequest,
        payment: &solana::VerifiedPayment,
    ) -> Result<Verdict, StoreError> {
        let calls = [
            Call::new("simulateTransaction", rpc::simulate_unsigned_params(payment)),
            Call::new("getBlockHeight", rpc::get_block_height_params()),
            self.balance_call(),
        ];
        let problem = match self.nodes.ask(&calls).await {
            Ok(replies) => match self.judge(&replies) {
                Ok(_) => {
                    let fee = payment.fee_lamports().into();
                    let fits = !self.is_over_budget(payment)
                        && self.shared.has_room(request, fee, &self.limits)?;
                    return Ok(if fits { Verdict::Valid } else { Verdict::LimitReached });
                }
                Err(Refusal::Payer(reason)) => return Ok(Verdict::Invalid(reason)),
                Err(Refusal::Ours(problem)) => problem.to_owned(),
            },
            Err(problem) => problem.to_string(),
        };
        self.shared.host.log(&problem);
        Ok(Verdict::Unknown)
    }

    /// Follows the transactions that a crash left in the air.
    pub(super) fn resume(self: &Rc<Self>, entries: Vec<JournalEntry>) {
        for entry in entries {
            let orders = self.shared.orders_of(&entry.payments).unwrap_or_default();
            let fees = orders.iter().map(|(_, payment)| match payment {
                VerifiedPayment::Solana(transfer) => u128::from(transfer.fee_lamports()),
                VerifiedPayment::Evm(_) => 0,
            });
            self.shared.hold_again(&entry, fees.sum());
            self.start(entry);
        }
    }

    fn start(self: &Rc<Self>, entry: JournalEntry) {
        if self.in_air.borrow_mut().insert(entry.id.clone()) {
            let lane = Rc::clone(self);
            self.shared.host.spawn(async move {
                if let Err(error) = lane.follow(&entry).await {
                    lane.shared.host.log(&error.to_string());
                }
                lane.in_air.borrow_mut().remove(&entry.id);
            });
        }
    }

    /// Sends a transaction and follows it to its end.
    async fn follow(&self, entry: &JournalEntry) -> Result<(), StoreError> {
        let send = Call::new(
            "sendTransaction",
            json!([entry.raw, { "encoding": "base64", "skipPreflight": true, "maxRetries": 0 }]),
        );
        let status = Call::new(
            "getSignatureStatuses",
            rpc::get_signature_statuses_params(&[&entry.transaction]),
        );
        for poll in 0_u32.. {
            if poll.is_multiple_of(POLLS_PER_RESEND) {
                // Sending again what has landed changes nothing.
                let _ = self.nodes.ask_again(&send, READ_TIMEOUT).await;
                if self.nodes.count() > 1 {
                    let (nodes, send) = (Rc::clone(&self.nodes), send.clone());
                    self.shared.host.spawn(async move {
                        nodes.tell_others(&send, READ_TIMEOUT).await;
                    });
                }
            }
            match self.ask_status(&status).await {
                Some(Status::Confirmed | Status::Finalized) => {
                    if self.is_certain(entry, &status).await {
                        return self.close(entry, None);
                    }
                }
                Some(Status::Failed(reason)) => return self.close(entry, Some(reason)),
                Some(Status::Unknown) if self.has_expired(entry).await => {
                    return self.close(entry, Some(Reason::SvmSimulationFailed));
                }
                Some(Status::Unknown | Status::Processed) | None => {}
            }
            let pause = STATUS_POLLS.get(usize::try_from(poll).unwrap_or(usize::MAX));
            let pause = match pause {
                Some(millis) => *millis,
                None if poll < QUICK_POLLS => 400,
                None => SLOW_POLL_MILLIS,
            };
            self.shared.host.sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    async fn ask_status(&self, call: &Call) -> Option<Status> {
        read_status(&self.nodes.ask_again(call, READ_TIMEOUT).await.ok()?)
    }

    /// Whether a payment above the seller's limit is confirmed by two nodes.
    async fn is_certain(&self, entry: &JournalEntry, status: &Call) -> bool {
        let Some(limit) = self.limits.quorum_above else { return true };
        let Ok(orders) = self.shared.orders_of(&entry.payments) else { return false };
        let is_dear = orders.iter().any(|(_, payment)| match payment {
            VerifiedPayment::Solana(transfer) => transfer.amount() > limit,
            VerifiedPayment::Evm(_) => false,
        });
        if !is_dear {
            return true;
        }
        let answers = self.nodes.ask_each(status).await;
        let confirms = |reply: &&Reply| {
            matches!(read_status(reply), Some(Status::Confirmed | Status::Finalized))
        };
        answers.iter().filter(confirms).count() >= 2
    }

    /// Whether a transaction that no node has seen can no longer land. The
    /// height is asked for first and the status once more after it, so that
    /// one which landed in between is not given up.
    async fn has_expired(&self, entry: &JournalEntry) -> bool {
        let height = Call::new("getBlockHeight", rpc::get_block_height_params());
        let status = Call::new(
            "getSignatureStatuses",
            rpc::get_signature_statuses_params(&[&entry.transaction]),
        );
        let is_past = match self.nodes.ask_again(&height, READ_TIMEOUT).await {
            Ok(Ok(height)) => rpc::parse_block_height(&height)
                .is_ok_and(|height| height > entry.bound.saturating_add(BLOCKS_BEHIND)),
            _ => false,
        };
        if !is_past {
            return false;
        }
        let answers = self.nodes.ask_each(&status).await;
        let is_unknown = |reply: &&Reply| read_status(reply) == Some(Status::Unknown);
        answers.iter().filter(is_unknown).count() == self.nodes.count()
    }

    fn close(&self, entry: &JournalEntry, failure: Option<Reason>) -> Result<(), StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        for (_, payment) in &orders {
            if let VerifiedPayment::Solana(transfer) = payment
                && failure != Some(Reason::SvmSimulationFailed)
            {
                self.shared.note_spent(u128::from(transfer.fee_lamports()), entry)?;
            }
            if failure.is_some() {
                self.shared.note_failure(&payment.payer());
            }
        }
        let fates: Vec<_> = orders
            .into_iter()
            .map(|(id, payment)| {
                let fate = match (failure, &payment) {
                    (None, VerifiedPayment::Solana(transfer)) => Fate::Paid {
                        payer: payment.payer(),
                        amount: transfer.amount(),
                        transaction: entry.transaction.clone(),
                    },
                    (reason, _) => Fate::NotPaid(reason.unwrap_or(Reason::InvalidTransactionState)),
                };
                (id, fate)
            })
            .collect();
        self.shared.close(entry, &fates)
    }

    /// The block height, if nothing speaks against sending.
    fn judge(&self, replies: &[Reply]) -> Result<u64, Refusal> {
        let [simulation, height, balance] = replies else {
            return Err(Refusal::Ours("the node left questions open"));
        };
        self.note_balance(balance);
        judge(simulation, height)
    }
}

fn read_status(reply: &Reply) -> Option<Status> {
    rpc::parse_signature_statuses(reply.as_ref().ok()?).ok()?.first().copied()
}

/// Why nothing is sent.
enum Refusal {
    /// The payment's fault.
    Payer(Reason),
    /// Ours, or the node's.
    Ours(&'static str),
}

/// The block height, if nothing speaks against sending.
fn judge(simulation: &Reply, height: &Reply) -> Result<u64, Refusal> {
    let simulation = match simulation {
        Ok(result) => rpc::parse_simulation(result),
        // The node will not even simulate it: a signature or the encoding.
        Err(error) if matches!(error.code, -32_003 | -32_602) => {
            return Err(Refusal::Payer(Reason::SvmSimulationFailed));
        }
        Err(_) => return Err(Refusal::Ours("simulateTransaction failed")),
    };
    match simulation {
        Ok(SimulationOutcome::Succeeds) => {}
        // Nobody else can have sent it: it has bought something already, and
        // a node would call sending it again a success (GHSA-qr2g-p6q7-w82m).
        Ok(SimulationOutcome::AlreadyProcessed) => {
            return Err(Refusal::Payer(Reason::DuplicateSettlement));
        }
        Ok(SimulationOutcome::Fails(reason)) => return Err(Refusal::Payer(reason)),
        Ok(SimulationOutcome::BlockhashNotFound) => {
            return Err(Refusal::Payer(Reason::SvmSimulationFailed));
        }
        Ok(SimulationOutcome::FeePayerUnfunded) => {
            return Err(Refusal::Ours("the fee payer has no SOL left"));
        }
        Err(_) => return Err(Refusal::Ours("simulateTransaction: an unknown shape")),
    }
    let height = height.as_ref().unwrap_or(&Value::Null);
    rpc::parse_block_height(height).map_err(|_| Refusal::Ours("no block height from the node"))
}
