//! What a relayer offers for gas.

use serde::{Deserialize, Serialize};

/// The fees of an EIP-1559 transaction, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fees {
    /// The most that is paid in all, in wei per gas.
    pub max_fee_per_gas: u128,
    /// The most that goes to the block's builder, in wei per gas; never more
    /// than `max_fee_per_gas`.
    pub max_priority_fee_per_gas: u128,
}

/// The least priority fee that is offered: 0.001 gwei. Builders of chains
/// where nodes suggest nothing take it, and a replacement can rise from it.
pub const MIN_PRIORITY_FEE: u128 = 1_000_000;

impl Fees {
    /// The fees for the next transaction, from the latest block's base fee
    /// and the priority fee that the node suggests, both in wei per gas.
    ///
    /// Twice the base fee outlasts six full blocks in a row, in each of which
    /// it rises by an eighth at most (EIP-1559); what is not used of it is
    /// not paid.
    pub fn from_market(base_fee: u128, suggested_priority_fee: u128) -> Self {
        let tip = suggested_priority_fee.max(MIN_PRIORITY_FEE);
        Self {
            max_fee_per_gas: base_fee.saturating_mul(2).saturating_add(tip),
            max_priority_fee_per_gas: tip,
        }
    }

    /// The fees for a transaction that replaces one of these fees: an eighth
    /// more of both, rounded up. Nodes want 10% more of both (geth's
    /// `pricebump`) and drop the replacement otherwise.
    #[must_use]
    pub fn bumped(self) -> Self {
        let bump = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        Self {
            max_fee_per_gas: bump(self.max_fee_per_gas),
            max_priority_fee_per_gas: bump(self.max_priority_fee_per_gas),
        }
    }

    /// These fees, or those of `other` where they are higher: a replacement
    /// at today's market is `old.bumped().at_least(market)`.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            max_fee_per_gas: self.max_fee_per_gas.max(other.max_fee_per_gas),
            max_priority_fee_per_gas: self
                .max_priority_fee_per_gas
                .max(other.max_priority_fee_per_gas),
        }
    }

    /// The most that a transaction with this gas limit can cost, in wei.
    pub fn worst_cost(self, gas_limit: u64) -> u128 {
        self.max_fee_per_gas.saturating_mul(u128::from(gas_limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_cover_twice_the_base_fee_and_the_tip() {
        let fees = Fees::from_market(7_000_000_000, 1_500_000_000);
        assert_eq!(fees.max_fee_per_gas, 15_500_000_000);
        assert_eq!(fees.max_priority_fee_per_gas, 1_500_000_000);
        let floor = Fees::from_market(0, 0);
        assert_eq!((floor.max_fee_per_gas, floor.max_priority_fee_per_gas), (1_000_000, 1_000_000));
    }

    #[test]
    fn replacements_pay_more_than_a_tenth_more() {
        for fee in [0, 1, 7, 9, 10, 1_000_000, u128::from(u64::MAX), u128::MAX / 16] {
            let old = Fees { max_fee_per_gas: fee, max_priority_fee_per_gas: fee };
            let new = old.bumped();
            assert!(new.max_fee_per_gas * 10 >= fee * 11 && new.max_fee_per_gas > fee, "{fee}");
            assert_eq!(new.max_fee_per_gas, new.max_priority_fee_per_gas);
        }
        let most = Fees { max_fee_per_gas: u128::MAX, max_priority_fee_per_gas: u128::MAX };
        assert_eq!(most.bumped(), most);
        assert_eq!(most.worst_cost(2), u128::MAX);
        assert_eq!(Fees::from_market(0, 0).at_least(most), most);
    }
}
