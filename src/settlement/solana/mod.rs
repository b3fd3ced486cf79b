//! Getting payments onto Solana: simulate, co-sign, send, and send again until
//! the blockhash has expired.
//!
//! `preview` asks the cluster whether a payment would go through, `prepare` does so
//! while the origin works, `places` says how many may be under way, `follow` sends what
//! is in the journal and watches all of it together.

mod follow;
mod lane;
mod places;
mod prepare;
mod preview;
mod seller;
mod watch;

use std::cell::RefCell;
use std::rc::Rc;

use self::prepare::Early;
use self::preview::{Preview, Refusal};
use self::seller::Fault;
pub use self::seller::Seller;
use self::watch::Watch;
use super::commitments::Commitment;
use super::journal::{SolanaEntry, SolanaSent};
use super::lane::Job;
use super::shared::{LaneParts, Shared, WAKE_SECONDS};
use super::{Host, Limits, Outcome, SettleRequest, Store, StoreError, Verdict};
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::Nodes;
use crate::solana::{self, FeePayerKey, Pubkey};
use crate::table::Table;
use crate::time::UnixSeconds;

/// For how many blocks a blockhash is valid.
const BLOCKHASH_BLOCKS: u64 = 150;

/// One coin in its smallest unit: lamports.
const COIN: u128 = 1_000_000_000;

/// How often one and the same line is written to the log, in seconds.
const REPORT_SECONDS: u64 = 60;

/// For how long what landed is remembered, for nodes that haven't seen it, in
/// seconds.
const LANDED_SECONDS: u64 = 60;

/// What a fee payer must keep to exist, in lamports (the rent of an account
/// without data), and what two signatures cost.
const RENT_LAMPORTS: u128 = 890_880;
const FEE_LAMPORTS: u128 = 10_000;

/// The fee payer's lane onto one cluster.
pub struct SolanaLane<H: Host> {
    shared: Rc<Shared<H>>,
    nodes: Rc<Nodes<H::Transport>>,
    fee_payer: Pubkey,
    /// Without it, what is in the journal is brought to its end, and nothing
    /// else is sent.
    key: Option<FeePayerKey>,
    limits: Limits,
    /// How many payments from each token account are being simulated.
    simulating: RefCell<Table<Pubkey, usize>>,
    /// What was simulated while origins work.
    early: RefCell<Early>,
    landed: RefCell<Vec<Landed>>,
    watch: Watch,
    /// Who is paid for what the routes sell.
    sellers: RefCell<Vec<(Seller, Option<Fault>)>>,
    reports: RefCell<Table<String, UnixSeconds>>,
}

/// What a confirmed payment took from a token account. A node that is behind
/// the slot shows it as still being there.
struct Landed {
    source: Pubkey,
    amount: u64,
    slot: u64,
    at: UnixSeconds,
}

impl<H: Host> SolanaLane<H> {
    /// The lane of this fee payer onto the cluster behind these nodes.
    pub fn new(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        key: FeePayerKey,
        limits: Limits,
    ) -> Rc<Self> {
        let fee_payer = key.pubkey();
        Self::make(parts, nodes, fee_payer, Some(key), limits)
    }

    /// The lane of a fee payer whose key is gone: it brings to its end what is
    /// in the journal, whose bytes are signed, and signs nothing any more.
    pub fn without_key(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        fee_payer: Pubkey,
        limits: Limits,
    ) -> Rc<Self> {
        Self::make(parts, nodes, fee_payer, None, limits)
    }

    fn make(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        fee_payer: Pubkey,
        key: Option<FeePayerKey>,
        limits: Limits,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: parts.0,
            nodes: Rc::new(nodes),
            fee_payer,
            key,
            limits,
            simulating: RefCell::default(),
            early: RefCell::default(),
            landed: RefCell::default(),
            watch: Watch::default(),
            sellers: RefCell::default(),
            reports: RefCell::default(),
        })
    }

    fn note_balance(&self, lamports: u64) {
        self.shared.note_balance(lamports.into(), self.limits.low_balance);
        self.shared.note_need(RENT_LAMPORTS + FEE_LAMPORTS, FEE_LAMPORTS);
    }

    /// Settles a payment, or says how far it got.
    async fn bring(self: &Rc<Self>, job: Job) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let request = &job.request;
        let VerifiedPayment::Solana(payment) = &*job.payment else {
            return shared.refuse(request, Reason::InvalidNetwork);
        };
        let Some(key) = &self.key else {
            return self.give_up(request, "its key is gone", Outcome::Unavailable);
        };
        let Ok(signed) = solana::co_sign(payment, key) else {
            return shared.refuse(request, Reason::SvmFeePayerMismatch);
        };
        if let Some(refusal) = self.exceeds_price(payment) {
            return match refusal {
                Refusal::Payer(reason) => shared.refuse(request, reason),
                Refusal::Ours(problem) => self.give_up(request, &problem, Outcome::Unavailable),
            };
        }
        if self.is_over_budget(payment) {
            return self.give_up(
                request,
                "the daily limit on fees is reached",
                Outcome::LimitReached,
            );
        }
        // Each of many payments of one payer is simulated alone and may do
        // well; together they may not, and the fee is spent all the same.
        let Some(turn) = self.take_turn(payment) else {
            let problem = "more payments are under way than may be at once";
            return self.give_up(request, problem, Outcome::Unavailable);
        };
        // Nothing was sent yet: if the process dies here, the claim is free
        // again after its lease.
        let preview = match self.asked_early(request.ticket).await {
            Some(preview) => preview,
            None => self.preview(request, payment, Some(&signed)).await,
        };
        drop(turn);
        let Preview { height, balance } = match preview {
            Ok(preview) => preview,
            Err(Refusal::Payer(reason)) => return shared.refuse(request, reason),
            Err(Refusal::Ours(problem)) => {
                return self.give_up(request, &problem, Outcome::Unavailable);
            }
        };
        let Some(record) = shared.held_record(&job)? else { return Ok(Outcome::Unavailable) };
        // From here to the journal there is no await: what others have under
        // way is the same when this is added to it.
        if !self.is_covered(payment, balance) {
            let problem = "a payer's other payments may need what this one would take";
            return self.give_up(request, problem, Outcome::Unavailable);
        }
        if self.is_over_budget(payment) {
            return self.give_up(
                request,
                "the daily limit on fees is reached",
                Outcome::LimitReached,
            );
        }
        if !shared.hold(request, payment.fee_lamports().into(), &self.limits)? {
            shared.release(&request.payment, request.ticket)?;
            return Ok(Outcome::LimitReached);
        }
        let record = shared.submitted(record, &job, &signed.signature);
        let entry = SolanaEntry {
            id: signed.signature.clone(),
            payments: vec![request.payment.clone()],
            written_at: shared.host.now(),
            sent: SolanaSent {
                signature: signed.signature.clone(),
                raw: signed.to_base64(),
                last_valid_height: height.saturating_add(BLOCKHASH_BLOCKS),
            },
        };
        shared.commitments.begin(&request.payment, commitment(payment));
        if let Err(error) = shared.store.submit(&entry.row(), &[record]) {
            shared.release_hold(&request.payment);
            return Err(error);
        }
        shared.host.wake_in(WAKE_SECONDS);
        // If the process dies from here on, the journal has the bytes: the
        // next life sends the same ones, which can land only once.
        self.start(entry);
        shared.outcome_of(&request.payment, job.until).await
    }

    /// Frees a claim because of something that is not the payer's fault.
    fn give_up(
        &self,
        request: &SettleRequest,
        problem: &str,
        outcome: Outcome,
    ) -> Result<Outcome, StoreError> {
        self.report(&format!("{}: fee payer {}: {problem}", request.network, self.fee_payer));
        self.shared.release(&request.payment, request.ticket)?;
        Ok(outcome)
    }

    /// Writes a line to the log, but the same one once a minute at most.
    fn report(&self, line: &str) {
        let now = self.shared.host.now();
        let mut reports = self.reports.borrow_mut();
        reports.retain(|_, at| now.since(*at) < REPORT_SECONDS);
        if !reports.contains_key(line) {
            self.shared.host.log(line);
            reports.insert(line.to_owned(), now);
        }
    }

    /// Whether a payment's fee is more than may be spent today besides what is
    /// under way.
    fn is_over_budget(&self, payment: &solana::VerifiedPayment) -> bool {
        let Some(limit) = self.limits.daily_spend else { return false };
        let spent =
            self.shared.spent_today().saturating_add(self.shared.commitments.committed_cost());
        spent.saturating_add(payment.fee_lamports().into()) > limit
    }

    /// Why a payment whose fee is more than its price is not sent: the payer
    /// can name a lower price for the compute units, or the seller sells below
    /// what a signature costs.
    fn exceeds_price(&self, payment: &solana::VerifiedPayment) -> Option<Refusal> {
        let price = self.limits.coin_price.of(&payment.mint().0)?;
        let exceeds = |lamports: u128| lamports.saturating_mul(price) / COIN > payment.amount().0;
        if exceeds(FEE_LAMPORTS) {
            return Some(Refusal::Ours(format!(
                "a payment of {} atomic units costs {FEE_LAMPORTS} lamports in fees, which is \
                 more at {price} atomic units per coin (coin_price in NETWORKS)",
                payment.amount().0
            )));
        }
        exceeds(payment.fee_lamports().into())
            .then_some(Refusal::Payer(Reason::SvmComputePriceTooHigh))
    }

    /// Whether the token account holds what this payment takes besides what is
    /// under way from it. Where no node has told what is in it, nothing else
    /// may be under way.
    fn is_covered(&self, payment: &solana::VerifiedPayment, balance: Option<Balance>) -> bool {
        let source = payment.source();
        let committed =
            self.shared.commitments.committed_by(&source.to_string(), &payment.mint().0);
        let Some(Balance { amount, slot }) = balance else { return committed == 0 };
        let now = self.shared.host.now();
        let mut landed = self.landed.borrow_mut();
        landed.retain(|it| now.since(it.at) < LANDED_SECONDS);
        let unseen = landed.iter().filter(|it| it.source == *source && it.slot > slot);
        let unseen: u128 = unseen.map(|it| u128::from(it.amount)).sum();
        let taken = committed.saturating_add(unseen).saturating_add(payment.amount().0);
        taken <= u128::from(amount)
    }

    /// What the chain says of a payment, and nothing else. The node does not
    /// get our signature, so nobody can send it.
    async fn verdict_on(
        &self,
        request: &SettleRequest,
        payment: &solana::VerifiedPayment,
    ) -> Result<Verdict, StoreError> {
        let preview = match self.exceeds_price(payment) {
            None => self.preview(request, payment, None).await,
            Some(Refusal::Ours(problem)) => {
                self.report(&format!("{}: {problem}", request.network));
                return Ok(Verdict::FeeExceedsPrice);
            }
            Some(refusal) => Err(refusal),
        };
        match preview {
            Ok(Preview { balance, .. }) if self.is_covered(payment, balance) => {
                let fee = payment.fee_lamports().into();
                let fits = !self.is_over_budget(payment)
                    && self.shared.has_room(request, fee, &self.limits)?;
                Ok(if fits { Verdict::Valid } else { Verdict::LimitReached })
            }
            Ok(_) => Ok(Verdict::Unknown),
            Err(Refusal::Payer(reason)) => Ok(Verdict::Invalid(reason)),
            Err(Refusal::Ours(problem)) => {
                self.report(&format!("{}: {problem}", request.network));
                Ok(Verdict::Unknown)
            }
        }
    }

    /// Follows the transactions that a crash left in the air.
    fn take_up(self: &Rc<Self>, entries: Vec<SolanaEntry>) {
        if self.key.is_none() {
            self.shared.report_retired("SOLANA_FEE_PAYER_KEYS", entries.len());
        }
        for entry in entries {
            if self.watch.holds(&entry.id) {
                continue;
            }
            let orders = self.shared.orders_of(&entry.payments).unwrap_or_default();
            let mut fees = 0;
            for (id, payment) in &orders {
                let VerifiedPayment::Solana(payment) = payment else { continue };
                fees += u128::from(payment.fee_lamports());
                self.shared.commitments.begin(id, commitment(payment));
            }
            self.shared.hold_again(&entry.payments, fees);
            self.start(entry);
        }
        self.keep_watching();
    }
}

/// What is in a token account, and as of which slot.
#[derive(Clone, Copy)]
struct Balance {
    amount: u64,
    slot: u64,
}

/// What a payment under way commits its payer and the fee payer to. It is the
/// token account that can be empty, so that is who pays here.
fn commitment(payment: &solana::VerifiedPayment) -> Commitment {
    Commitment {
        payer: payment.source().to_string(),
        token: payment.mint().0,
        amount: payment.amount().0,
        cost: payment.fee_lamports().into(),
    }
}
