//! What keeps strangers from spending a relayer's money.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::commitments::Commitments;
use super::shared::Shared;
use super::{Host, JournalEntry, SettleRequest, State, Store, StoreError};
use crate::amount::AtomicAmount;
use crate::time::UnixSeconds;

/// What a relayer may do on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many payments go into one EVM transaction at most.
    pub batch_max: usize,
    /// The most that may be spent on fees in a day, in wei or lamports.
    pub daily_spend: Option<u128>,
    /// The balance below which the relayer is reported, in wei or lamports.
    pub low_balance: Option<u128>,
    /// EVM: the most that a block's builder is offered, in wei per gas.
    pub max_tip: Option<u128>,
    /// The amount above which two nodes must agree that it was paid.
    pub quorum_above: Option<AtomicAmount>,
    /// The most that may be spent on fees in a day for each account that has a
    /// limit, in wei or lamports.
    pub accounts: Vec<(String, u128)>,
    /// What one coin of the chain (10^18 wei, 10^9 lamports) is worth, in
    /// atomic units of the token: a payment whose fee may exceed its price is
    /// not sent. `None`: sent whatever the fee is.
    pub coin_price: Option<u128>,
    /// The most gas that failed transactions of payers with code may use in an
    /// hour; `None`: no limit.
    pub failed_gas: Option<u64>,
}

/// How many payments of one payer may fail on chain, after the simulation went
/// well, before the payer is refused for a while.
const FAILURES_MAX: u32 = 3;

/// For how long a failure counts, in seconds.
const FAILURE_SECONDS: u64 = 3_600;

/// For how long a balance is told again without a look at the chain, in
/// seconds.
const BALANCE_SECONDS: u64 = 10;

/// How often a low balance is written to the log, in seconds.
const REPORT_SECONDS: u64 = 3_600;

/// What the guards remember while their Settler lives.
#[derive(Default)]
pub(super) struct Guards {
    failures: RefCell<HashMap<String, (u32, UnixSeconds)>>,
    balance: Cell<Option<u128>>,
    /// When the balance was looked at; 0 if something was spent since.
    looked_at: Cell<u64>,
    is_low: Cell<bool>,
    reported_at: Cell<u64>,
    /// The payments that are on their way on an account with a limit: which
    /// account, and what they may cost, in wei or lamports.
    held: RefCell<HashMap<String, (String, u128)>>,
    pub(super) commitments: Commitments,
}

/// How a Settler is doing. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The relayer's balance when it was last looked at, in wei or lamports.
    pub balance: Option<String>,
    /// Whether that is below what the seller wants.
    pub low_balance: bool,
    /// What was spent on fees today (UTC), in wei or lamports.
    pub spent_today: String,
    /// How many payments wait to be sent.
    pub waiting: usize,
    /// How many transactions are in the air.
    pub in_air: usize,
}

impl<H: Host> Shared<H> {
    /// Takes note of the relayer's balance, in wei or lamports.
    pub fn note_balance(&self, balance: u128, low: Option<u128>) {
        let guards = &self.guards;
        guards.balance.set(Some(balance));
        guards.looked_at.set(self.host.now().0);
        let is_low = low.is_some_and(|low| balance < low);
        guards.is_low.set(is_low);
        let now = self.host.now();
        if is_low && now.since(UnixSeconds(guards.reported_at.get())) >= REPORT_SECONDS {
            guards.reported_at.set(now.0);
            self.host.log(&format!("the relayer's balance is low: {balance}"));
        }
    }

    /// Whether the balance must be looked at again to be told to anybody.
    pub fn is_balance_old(&self) -> bool {
        self.host.now().since(UnixSeconds(self.guards.looked_at.get())) >= BALANCE_SECONDS
    }

    /// What was spent on fees today (UTC), in wei or lamports. If that can't
    /// be read, as much as there is: nothing more is spent then.
    pub fn spent_today(&self) -> u128 {
        self.store.spent_on(self.today()).unwrap_or(u128::MAX)
    }

    /// Takes note of the fees of a transaction, in wei or lamports, and of each
    /// account's share of them.
    pub fn note_spent(&self, amount: u128, entry: &JournalEntry) -> Result<(), StoreError> {
        let today = self.today();
        let spent = self.store.spent_on(today)?.saturating_add(amount);
        self.guards.looked_at.set(0);
        self.store.set_spent_on(today, spent)?;
        let share = share_of(amount, entry.payments.len());
        for payment in &entry.payments {
            let Some(record) = self.store.payment(payment)? else { continue };
            let State::Submitted { order, .. } = record.state else { continue };
            let Some(account) = order.request.account else { continue };
            let spent = self.store.account_spent_on(&account, today)?.saturating_add(share);
            self.store.set_account_spent_on(&account, today, spent)?;
        }
        Ok(())
    }

    /// Whether an account can still pay for this today, in wei or lamports,
    /// besides what is set aside for other payments than this one.
    pub fn has_room(
        &self,
        request: &SettleRequest,
        cost: u128,
        limits: &Limits,
    ) -> Result<bool, StoreError> {
        let Some(account) = &request.account else { return Ok(true) };
        let Some((_, limit)) = limits.accounts.iter().find(|(name, _)| name == account) else {
            return Ok(true);
        };
        let held = self.guards.held.borrow();
        let others =
            held.iter().filter(|(id, (name, _))| name == account && **id != request.payment);
        let in_air: u128 = others.map(|(_, (_, cost))| cost).sum();
        let spent = self.store.account_spent_on(account, self.today())?;
        Ok(spent.saturating_add(in_air).saturating_add(cost) <= *limit)
    }

    /// Sets aside what a payment may cost, in wei or lamports, if its account
    /// has room for it. What is held must be let go when its claim ends.
    pub fn hold(
        &self,
        request: &SettleRequest,
        cost: u128,
        limits: &Limits,
    ) -> Result<bool, StoreError> {
        let fits = self.has_room(request, cost, limits)?;
        match &request.account {
            Some(account) if fits => {
                let mut held = self.guards.held.borrow_mut();
                held.insert(request.payment.clone(), (account.clone(), cost));
            }
            Some(account) => {
                self.host
                    .log(&format!("{}: the daily limit of {account} is reached", request.network));
            }
            None => {}
        }
        Ok(fits)
    }

    /// Sets aside again what a transaction may cost: one that was in the air
    /// before a restart, or that pays more now.
    pub fn hold_again(&self, entry: &JournalEntry, cost: u128) {
        let share = share_of(cost, entry.payments.len());
        for payment in &entry.payments {
            if let Ok(Some(record)) = self.store.payment(payment)
                && let State::Submitted { order, .. } = record.state
                && let Some(account) = order.request.account
            {
                self.guards.held.borrow_mut().insert(payment.clone(), (account, share));
            }
        }
    }

    /// Sets nothing aside for a payment any more: it is not under way.
    pub fn let_go(&self, payment: &str) {
        self.guards.held.borrow_mut().remove(payment);
        self.guards.commitments.end(payment);
    }

    /// Takes note of a payment that failed on chain.
    pub fn note_failure(&self, payer: &str) {
        let now = self.host.now();
        let mut failures = self.guards.failures.borrow_mut();
        failures.retain(|_, (_, at)| now.since(*at) < FAILURE_SECONDS);
        let (count, at) = failures.entry(payer.to_owned()).or_insert((0, now));
        *count += 1;
        *at = now;
    }

    /// Whether too many of a payer's payments have failed lately.
    pub fn is_out_of_favour(&self, payer: &str) -> bool {
        let now = self.host.now();
        let failures = self.guards.failures.borrow();
        failures
            .get(payer)
            .is_some_and(|(count, at)| *count >= FAILURES_MAX && now.since(*at) < FAILURE_SECONDS)
    }

    /// How things are.
    pub fn health(&self, waiting: usize, in_air: usize) -> Health {
        Health {
            balance: self.guards.balance.get().map(|balance| balance.to_string()),
            low_balance: self.guards.is_low.get(),
            spent_today: self.spent_today().to_string(),
            waiting,
            in_air,
        }
    }

    fn today(&self) -> u64 {
        self.host.now().day()
    }
}

/// One payment's share of what a transaction costs, rounded up.
pub(super) fn share_of(cost: u128, payments: usize) -> u128 {
    cost.div_ceil(u128::try_from(payments.max(1)).unwrap_or(1))
}
