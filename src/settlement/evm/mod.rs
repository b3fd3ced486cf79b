//! Group commit on EVM: what waits while a transaction is being prepared goes
//! out together, in the relayer's nonce order.
//!
//! Payments come by [`mod@line`] into a [`queue`], as far as [`pace`] says that they can be
//! told in time what becomes of them; the [`pump`] makes transactions of them,
//! [`postpone`] puts back what has to wait, [`sizes`] says how many share one, and
//! [`spoiled`] is about those that must not. [`preview`] asks the chain
//! before anything is sent, [`prepare`] does so while the origin works,
//! [`commit`] writes down what goes out, [`send`] sends,
//! [`follow`] brings what was sent to its end, [`nonces`] keeps the relayer's
//! nonces without a gap, [`ending`] says what became of the payments and
//! `evidence` beside this folder what proves it, [`wallets`] is about payments of smart
//! wallets, [`fallback`] is for when no node can be reached.

mod codes;
mod commit;
mod ending;
mod fallback;
mod follow;
mod gas_room;
mod line;
mod nonces;
mod pace;
mod postpone;
mod prepare;
mod preview;
mod pump;
mod queue;
mod send;
mod sizes;
mod spoiled;
mod wallets;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use gas_room::GasRoom;
use pace::Pace;
use prepare::Asked;
use pump::Pump;
use queue::{Queue, Waiting};

use super::ahead::Ahead;
use super::budget::share_of;
use super::commitments::Commitment;
use super::journal::{Entries, EvmEntry};
use super::lane::{Attempt, Job, Lane, Load, Task};
use super::shared::{LaneParts, Shared};
use super::signer::Signer;
use super::{
    ClaimRequest, Host, Limits, Outcome, SettleRequest, State, Store, StoreError, Verdict,
};
use crate::evm::{
    self, Address, Call as EvmCall, Fees, GAS_PER_PAYMENT, GAS_PER_TRANSACTION, MULTICALL3,
    RelayerKey, SignedTransaction, Transaction,
};
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::Nodes;
use crate::table::{Set, Table};
use crate::time::UnixSeconds;

/// How many transactions of one relayer may be in the air. Nodes keep at least
/// 16 of one account waiting.
const IN_AIR_MAX: usize = 8;

/// The relayer's lane onto one EVM chain.
pub struct EvmLane<H: Host> {
    shared: Rc<Shared<H>>,
    nodes: Rc<Nodes<H::Transport>>,
    chain_id: u64,
    key: Signer<RelayerKey, Address>,
    limits: Limits,
    queue: RefCell<Queue>,
    /// Payments that go alone, each in a transaction of its own.
    alone: RefCell<Queue>,
    /// Groups that a spoiled batch was taken apart into.
    again: RefCell<VecDeque<Vec<Waiting>>>,
    /// Whether the last batch was one of `again`.
    served_again: Cell<bool>,
    /// What the chain was asked of claimed payments, by their tickets.
    coming: RefCell<Table<u64, Ahead<Asked>>>,
    /// Since when it is being asked of one of them, and the one that is next.
    preparing_since: Cell<Option<UnixSeconds>>,
    next_early: RefCell<Option<(evm::VerifiedPayment, u64)>>,
    /// What was signed last before it was to be sent.
    signed_ahead: RefCell<Option<(Transaction, SignedTransaction)>>,
    pace: Pace,
    pump: Pump,
    alone_pump: Pump,
    /// Payers whose payments go alone, and since when that is known.
    loners: RefCell<Table<Address, UnixSeconds>>,
    /// Those of them whose payments were refused, and when.
    refused_loners: RefCell<Table<Address, UnixSeconds>>,
    /// Payers with a payment that waits for what they have in the air.
    short: RefCell<Set<Address>>,
    /// The hour of the last spoiled transaction, and how many it had.
    spoiled: Cell<(u64, u32)>,
    /// The relayers of all Settlers of this chain: what one of them sent, no
    /// stranger did.
    relayers: Vec<Address>,
    /// The journal entries that somebody follows.
    in_air: RefCell<Table<String, InAir>>,
    /// The nonce after the last one that was signed here, and when one of
    /// ours was last signed or came to its end.
    signed: Cell<Option<(u64, UnixSeconds)>>,
    /// Until when no crowd shares larger transactions than others.
    no_crowd_until: Cell<UnixSeconds>,
    /// Until when Multicall3 is taken not to be at its address.
    no_multicall_until: Cell<UnixSeconds>,
    /// Until when no node is asked to simulate in a block of another time.
    no_time_until: Cell<UnixSeconds>,
    /// Tokens that smart wallets can't pay in, and until when that is believed.
    no_wallets: RefCell<Table<Address, UnixSeconds>>,
    /// Until when no node is asked to run [`evm::code_sizes_code`].
    no_sizes_until: Cell<UnixSeconds>,
    gas_room: GasRoom,
    /// The most gas that a payment was given that was previewed here.
    gas_each: Cell<u64>,
    /// The least that one was given which was previewed by itself, for each token.
    gas_alone: RefCell<Table<Address, u64>>,
    /// How many nodes hold a transaction until its receipt.
    sync_sends: Cell<usize>,
    /// The payments that were looked for because somebody asked again, and since
    /// when.
    searches: RefCell<Table<String, UnixSeconds>>,
}

/// A transaction that somebody follows.
struct InAir {
    nonce: u64,
    /// Whether it waits for a block: only then it takes one of the places.
    is_waiting: bool,
    /// The most that it can cost, in wei, whichever of its versions lands.
    worst_cost: u128,
    /// Its gas limit, and how many payments it carries.
    gas: u64,
    payments: usize,
    /// The gas limit of one that goes alone because of its payer; else 0.
    lone_gas: u64,
    /// When the log last had a line about sending it.
    logged_at: UnixSeconds,
}

impl InAir {
    fn of(entry: &EvmEntry) -> Self {
        let is_open = !entry.sent.judged;
        let worst_cost = if is_open { entry.sent.most } else { 0 };
        Self {
            nonce: entry.sent.nonce,
            is_waiting: is_open,
            worst_cost,
            gas: entry.sent.gas,
            payments: entry.payments.len(),
            lone_gas: 0,
            logged_at: UnixSeconds(0),
        }
    }
}

impl<H: Host> EvmLane<H> {
    /// The lane of this relayer onto the chain behind these nodes.
    pub fn new(
        parts: LaneParts<H>,
        nodes: Nodes<H::Transport>,
        chain_id: u64,
        key: impl Into<Signer<RelayerKey, Address>>,
        relayers: Vec<Address>,
        limits: Limits,
    ) -> Rc<Self> {
        Rc::new(Self {
            shared: parts.0,
            nodes: Rc::new(nodes),
            chain_id,
            key: key.into(),
            relayers,
            limits,
            queue: RefCell::default(),
            alone: RefCell::default(),
            again: RefCell::default(),
            served_again: Cell::new(false),
            coming: RefCell::default(),
            preparing_since: Cell::new(None),
            next_early: RefCell::default(),
            signed_ahead: RefCell::default(),
            pace: Pace::default(),
            pump: Pump::default(),
            alone_pump: Pump::default(),
            loners: RefCell::default(),
            refused_loners: RefCell::default(),
            short: RefCell::default(),
            spoiled: Cell::new((0, 0)),
            no_sizes_until: Cell::new(UnixSeconds(0)),
            in_air: RefCell::default(),
            signed: Cell::new(None),
            no_crowd_until: Cell::new(UnixSeconds(0)),
            no_multicall_until: Cell::new(UnixSeconds(0)),
            gas_room: GasRoom::default(),
            gas_each: Cell::new(GAS_PER_PAYMENT),
            gas_alone: RefCell::default(),
            sync_sends: Cell::new(0),
            no_time_until: Cell::new(UnixSeconds(0)),
            no_wallets: RefCell::default(),
            searches: RefCell::default(),
        })
    }

    /// Follows the transactions that a crash left in the air.
    fn take_up(self: &Rc<Self>, entries: Vec<EvmEntry>) {
        if self.key.key().is_none() {
            self.shared.report_retired("EVM_RELAYER_KEYS", entries.len());
        }
        for entry in self.in_turn(entries) {
            let signed = self.signed.get().map_or(0, |(next, _)| next);
            self.note_signed(signed.max(entry.sent.nonce.saturating_add(1)));
            if self.in_air.borrow().contains_key(&entry.id) {
                continue;
            }
            let flight = InAir::of(&entry);
            let jobs = self.jobs_of(&entry);
            if !entry.sent.judged {
                self.shared.hold_again(&entry.payments, flight.worst_cost);
                for (job, payment) in &jobs {
                    self.shared.commitments.begin(&job.request.payment, commitment(payment));
                }
            }
            self.in_air.borrow_mut().insert(entry.id.clone(), flight);
            let lane = Rc::clone(self);
            self.shared.host.spawn(async move {
                let shared_by = entry.payments.len();
                lane.follow(entry, None).await;
                // Nobody waits for these: whoever asks again joins them.
                let waiting = jobs.into_iter().map(|(job, payment)| {
                    let done = oneshot::channel().0;
                    Waiting { job, payment, done, was_spoiled: true }
                });
                lane.send_again(waiting.collect(), shared_by);
            });
        }
    }

    fn standing_of(&self, id: &str) -> Result<Outcome, StoreError> {
        Ok(match self.shared.store.payment(id)?.map(|record| record.state) {
            Some(State::Settled(settlement)) => Outcome::Settled(settlement),
            Some(State::Failed { reason }) => Outcome::Failed { reason, transaction: None },
            Some(State::Submitted { transaction, .. }) => {
                Outcome::Pending { transaction: self.shared.latest_of(&transaction)? }
            }
            Some(State::Claimed { .. } | State::Metered { .. } | State::Owed { .. }) | None => {
                Outcome::Unavailable
            }
        })
    }

    /// Where a transaction that may cost this much, in wei, is more than may be spent
    /// today, besides what is set aside: how much is spent, in the air, or set aside.
    fn over_budget(&self, cost: u128, set_aside: u128) -> Option<u128> {
        let limit = self.limits.daily_spend?;
        let in_air: u128 = self.in_air.borrow().values().map(|flight| flight.worst_cost).sum();
        let spent = self.shared.spent_today().saturating_add(in_air).saturating_add(set_aside);
        (spent.saturating_add(cost) > limit).then_some(spent)
    }

    /// Whether it is more than may be spent today, for what is refused then: the log says
    /// why.
    fn is_over_budget(&self, cost: u128, set_aside: u128) -> bool {
        let over = self.over_budget(cost, set_aside);
        if let Some((spent, limit)) = over.zip(self.limits.daily_spend) {
            self.log_refusal(&format!(
                "the daily limit of {limit} wei is reached ({spent} spent, in the air, or set \
                 aside)"
            ));
        }
        over.is_some()
    }

    /// What is set aside, in wei, for what goes out, or went out, before it is
    /// settled: all of it but one payment. Else more could go out than there are
    /// fees for on this day.
    fn set_aside(&self, besides: &str) -> u128 {
        let (_, each) = self.shared.condition.need.get().unwrap_or_default();
        let commitments = &self.shared.commitments;
        self.shared.unsettled.set_aside(besides, each, |id| commitments.holds(id))
    }

    fn log(&self, line: &str) {
        self.shared.host.log(&format!("eip155:{}: {line}", self.chain_id));
    }

    /// The same for what anybody can bring about: so many lines a minute.
    fn log_refusal(&self, line: &str) {
        self.shared.log_refusal(&format!("eip155:{}: {line}", self.chain_id));
    }
}

impl<H: Host> Lane for EvmLane<H> {
    fn takes(&self, payment: &VerifiedPayment) -> bool {
        payment.as_evm().is_some()
    }

    fn verify<'a>(
        &'a self,
        request: &'a SettleRequest,
        payment: &'a VerifiedPayment,
    ) -> Task<'a, Result<Verdict, StoreError>> {
        Box::pin(async move {
            match payment.as_evm() {
                Some(payment) => self.verdict_for(request, payment).await,
                None => Ok(Verdict::Invalid(Reason::InvalidNetwork)),
            }
        })
    }

    fn settle(self: Rc<Self>, job: Job) -> Task<'static, Result<Attempt, StoreError>> {
        Box::pin(self.wait_for(job))
    }

    fn may_prepare(&self, ticket: u64) -> bool {
        self.may_ask_early(ticket)
    }

    fn prepare(self: Rc<Self>, order: &SettleRequest, payment: VerifiedPayment) {
        if let VerifiedPayment::Evm(payment) = payment {
            self.ask_early(payment, order.ticket);
        }
    }

    fn too_late_by(&self, request: &ClaimRequest) -> Option<u64> {
        let payer = evm::payer_in(&request.payment)?;
        let has_code = request.to_prove.is_some() || self.is_loner(payer);
        self.too_late_in_line(payer, has_code, has_code)
    }

    fn resume(self: Rc<Self>, open: &mut Entries) {
        self.take_up(std::mem::take(&mut open.evm));
    }

    fn look(self: Rc<Self>) -> Task<'static, ()> {
        Box::pin(async move { self.look_at_balance().await })
    }

    fn load(&self) -> Load {
        let daily_spend = self.limits.daily_spend;
        Load { waiting: self.waiting(), in_air: self.in_air.borrow().len(), daily_spend }
    }
}

/// The most gas that a transaction with these payments is given.
fn most_gas<'a>(payments: impl IntoIterator<Item = &'a evm::VerifiedPayment>) -> u64 {
    let of_each = payments.into_iter().map(evm::VerifiedPayment::gas);
    of_each.fold(GAS_PER_TRANSACTION, u64::saturating_add)
}

/// The most that each of several payments may cost, in wei, whichever of the
/// others stay behind: each has a whole transaction's own gas in it.
fn cost_of_each(fees: Fees, gas: u64, payments: usize) -> u128 {
    let alone = fees.worst_cost(GAS_PER_TRANSACTION);
    share_of(fees.worst_cost(gas), payments).saturating_add(alone)
}

/// What a payment commits its payer to while it is in the air. Its fee is
/// counted by transactions.
fn commitment(payment: &evm::VerifiedPayment) -> Commitment {
    Commitment {
        payer: payment.payer(),
        token: payment.asset().to_word(),
        amount: payment.value().0,
        cost: 0,
    }
}

/// The call that settles these payments: plain for one, Multicall3 for more.
fn calls_of(payments: &[&evm::VerifiedPayment]) -> Option<EvmCall> {
    match payments {
        [] => None,
        [payment] => Some(payment.call()),
        several => Some(evm::batch_call(several, MULTICALL3)),
    }
}
