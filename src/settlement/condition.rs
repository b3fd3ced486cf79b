//! What a Settler remembers of its own condition.

use std::cell::{Cell, OnceCell, RefCell};

use crate::protocol::ChainId;
use crate::protocol::coin::{in_coins, in_words};
use crate::table::Table;

/// How many payments a seller is told to send money for.
const PAYMENTS_TO_FUND: u128 = 1_000;

/// What can stand in the way of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// The nodes: `rpc`.
    Nodes,
    /// The account that is paid: `pay_to`.
    PayTo,
    /// The token's program: `token_program`.
    TokenProgram,
    /// The token: `asset`.
    Asset,
}

impl Obstacle {
    /// The key of a network's table that it is about.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Nodes => "rpc",
            Self::PayTo => "pay_to",
            Self::TokenProgram => "token_program",
            Self::Asset => "asset",
        }
    }
}

/// What a Settler remembers of its own condition while it lives.
#[derive(Default)]
pub(super) struct Condition {
    /// The Settler's name, `{CAIP-2}/{relayer}`.
    pub(super) name: OnceCell<String>,
    pub(super) balance: Cell<Option<u128>>,
    /// What must be there for one payment, and what each further one costs, in
    /// wei or lamports.
    pub(super) need: Cell<Option<(u128, u128)>>,
    pub(super) obstacles: RefCell<Table<Obstacle, String>>,
    /// When the chain was looked at; 0 if something was spent since.
    pub(super) looked_at: Cell<u64>,
    /// When a look failed.
    pub(super) failed_at: Cell<u64>,
    /// Since when somebody has been looking; 0 for nobody.
    pub(super) looking_since: Cell<u64>,
    pub(super) is_low: Cell<bool>,
    pub(super) low_reported_at: Cell<u64>,
    pub(super) reported_at: Cell<u64>,
}

impl Condition {
    /// Something was spent, so the balance must be looked at again.
    pub(super) fn outdate_balance(&self) {
        self.looked_at.set(0);
    }

    /// Whether the key has too little, as far as is known, for one payment.
    pub(super) fn lacks_coin(&self) -> bool {
        let (balance, need) = (self.balance.get(), self.need.get());
        balance.zip(need).is_some_and(|(balance, (one, _))| balance < one)
    }

    /// For how many more payments the balance will do, if that is known.
    pub(super) fn sales_left(&self) -> Option<u64> {
        let (balance, (one, each)) = (self.balance.get()?, self.need.get()?);
        let Some(left) = balance.checked_sub(one) else { return Some(0) };
        let more = left.checked_div(each)?;
        Some(u64::try_from(more).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Takes the Settler's name, which says network and key.
    pub(super) fn set_name(&self, name: &str) {
        let _ = self.name.set(name.to_owned());
    }

    fn network(&self) -> Option<ChainId> {
        self.name.get()?.rsplit_once('/')?.0.parse().ok()
    }

    /// The key of the configuration that a line is about.
    pub(super) fn key(&self) -> String {
        self.network().map_or_else(|| "NETWORKS".to_owned(), |id| format!("NETWORKS.\"{id}\""))
    }

    /// `relayer 0x… has 0.0001 ETH on Base (eip155:8453)`.
    pub(super) fn holdings(&self, balance: u128) -> String {
        let Some(id) = self.network() else {
            return format!("the relayer has {balance} of the chain's smallest unit");
        };
        let address = self.name.get().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        let role = id.signer_title();
        format!("{role} {address} has {} on {}", in_coins(balance, id), in_words(id))
    }

    /// An amount for people, where it is known what of.
    pub(super) fn coins(&self, amount: u128) -> String {
        self.network().map_or_else(|| amount.to_string(), |id| in_coins(amount, id))
    }

    /// What is wrong with the balance.
    pub(super) fn poverty(&self) -> Option<String> {
        let (balance, (need, each)) = (self.balance.get()?, self.need.get()?);
        if balance >= need && balance > 0 {
            return None;
        }
        let wanted = each.saturating_mul(PAYMENTS_TO_FUND).saturating_add(need - balance);
        Some(format!(
            "{}: {}, and one payment needs {}; send at least {}",
            self.key(),
            self.holdings(balance),
            self.coins(need),
            self.coins(wanted),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(balance: u128, need: (u128, u128)) -> Condition {
        let it = Condition::default();
        it.balance.set(Some(balance));
        it.need.set(Some(need));
        it
    }

    #[test]
    fn a_balance_does_for_so_many_payments() {
        // Ten for the first, and three for each further one.
        for (balance, left) in [(0, 0), (9, 0), (10, 1), (12, 1), (13, 2), (40, 11)] {
            let it = with(balance, (10, 3));
            assert_eq!(it.sales_left(), Some(left), "{balance}");
            assert_eq!((it.lacks_coin(), it.poverty().is_some()), (left == 0, left == 0));
        }
        let unknown = Condition::default();
        assert_eq!((unknown.sales_left(), unknown.lacks_coin()), (None, false));
    }

    #[test]
    fn a_key_without_coin_is_poor_even_where_nothing_costs_anything() {
        assert!(with(0, (0, 0)).poverty().is_some());
        assert_eq!(with(1, (0, 0)).poverty(), None);
    }
}
