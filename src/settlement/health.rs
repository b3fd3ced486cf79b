//! How a Settler is doing: what the seller is told of it.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::Host;
use super::shared::Shared;
use crate::time::UnixSeconds;

/// For how long a balance is told again without a look at the chain, in
/// seconds.
const BALANCE_SECONDS: u64 = 10;

/// How often a low balance is written to the log, in seconds.
const REPORT_SECONDS: u64 = 3_600;

/// What a Settler remembers of its own condition while it lives.
#[derive(Default)]
pub(super) struct Condition {
    balance: Cell<Option<u128>>,
    /// When the balance was looked at; 0 if something was spent since.
    looked_at: Cell<u64>,
    is_low: Cell<bool>,
    reported_at: Cell<u64>,
}

impl Condition {
    /// Something was spent, so the balance must be looked at again.
    pub fn outdate_balance(&self) {
        self.looked_at.set(0);
    }
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
        let condition = &self.condition;
        condition.balance.set(Some(balance));
        condition.looked_at.set(self.host.now().0);
        let is_low = low.is_some_and(|low| balance < low);
        condition.is_low.set(is_low);
        let now = self.host.now();
        if is_low && now.since(UnixSeconds(condition.reported_at.get())) >= REPORT_SECONDS {
            condition.reported_at.set(now.0);
            self.host.log(&format!("the relayer's balance is low: {balance}"));
        }
    }

    /// Whether the balance must be looked at again to be told to anybody.
    pub fn is_balance_old(&self) -> bool {
        self.host.now().since(UnixSeconds(self.condition.looked_at.get())) >= BALANCE_SECONDS
    }

    /// How things are.
    pub fn health(&self, waiting: usize, in_air: usize) -> Health {
        Health {
            balance: self.condition.balance.get().map(|balance| balance.to_string()),
            low_balance: self.condition.is_low.get(),
            spent_today: self.spent_today().to_string(),
            waiting,
            in_air,
        }
    }
}
