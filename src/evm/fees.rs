//! What a relayer offers for gas.

use crate::json_struct;

/// The fees of an EIP-1559 transaction, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most that is paid in all, in wei per gas.
    pub max_fee_per_gas: u128,
    /// The most that goes to the block's builder, in wei per gas; never more
    /// than `max_fee_per_gas`.
    pub max_priority_fee_per_gas: u128,
}

json_struct!(Fees {
    max_fee_per_gas as "maxFeePerGas",
    max_priority_fee_per_gas as "maxPriorityFeePerGas",
});

/// The least priority fee that is offered: 0.001 gwei. Builders of chains
/// where nodes suggest nothing take it, and a replacement can rise from it.
pub const MIN_PRIORITY_FEE: u128 = 1_000_000;

/// The highest base fee that is believed: 100,000 gwei. No known chain's has
/// come near it; a node that names more is wrong.
pub const MAX_BASE_FEE: u128 = 100_000 * GWEI;

const GWEI: u128 = 1_000_000_000;

/// What a tip may be, whatever a node says of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TipLimits {
    /// The most in any case, in wei per gas.
    pub most: u128,
    /// The most where twice the base fee is less, in wei per gas.
    pub quiet: u128,
}

impl TipLimits {
    /// The limits of a chain: what the seller has set, in wei per gas, or at
    /// most twice the base fee, and 3 gwei. Where the base fee is next to
    /// nothing a tenth of a gwei is let pass.
    ///
    /// Nodes of Polygon take no less than 25 gwei, of a coin that is cheap.
    pub fn of_chain(chain_id: u64, set: Option<u128>) -> Self {
        match (set, chain_id) {
            (Some(most), _) => Self { most, quiet: most },
            (None, 137 | 80_002) => Self { most: 500 * GWEI, quiet: 50 * GWEI },
            (None, _) => Self { most: 3 * GWEI, quiet: GWEI / 10 },
        }
    }

    fn bound(self, tip: u128, base_fee: u128) -> u128 {
        tip.min(base_fee.saturating_mul(2).max(self.quiet)).min(self.most)
    }
}

/// Of how many blocks tips are looked at. A node that tells of more is asked for
/// no more.
const MOST_BLOCKS: usize = 10;

impl Fees {
    /// The fees for the next transaction, from its block's base fee and from
    /// what a low percentile of each of the latest blocks has tipped, both in
    /// wei per gas.
    ///
    /// The tip is the median of these, within the limits: one block, or one
    /// rich bidder, moves nothing. Twice the base fee outlasts six full blocks
    /// in a row, in each of which it rises by an eighth at most (EIP-1559);
    /// what is not used of it is not paid.
    pub fn from_market(base_fee: u128, tips: &[u128], limits: TipLimits) -> Self {
        let mut sorted: Vec<u128> = vec![];
        for tip in tips.iter().take(MOST_BLOCKS) {
            sorted.insert(sorted.partition_point(|other| other <= tip), *tip);
        }
        let median = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        let base_fee = base_fee.min(MAX_BASE_FEE);
        let tip = limits.bound(median, base_fee).max(MIN_PRIORITY_FEE);
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

    const ANY: TipLimits = TipLimits { most: u128::MAX, quiet: u128::MAX };

    #[test]
    fn fees_cover_twice_the_base_fee_and_the_tip() {
        let fees = Fees::from_market(7_000_000_000, &[1_500_000_000], ANY);
        assert_eq!(fees.max_fee_per_gas, 15_500_000_000);
        assert_eq!(fees.max_priority_fee_per_gas, 1_500_000_000);
        let floor = Fees::from_market(0, &[], ANY);
        assert_eq!((floor.max_fee_per_gas, floor.max_priority_fee_per_gas), (1_000_000, 1_000_000));
    }

    #[test]
    fn the_tip_is_the_median_of_the_blocks() {
        let tip = |tips: &[u128]| Fees::from_market(0, tips, ANY).max_priority_fee_per_gas;
        assert_eq!(tip(&[2 * GWEI, 8_000 * GWEI, GWEI]), 2 * GWEI);
        assert_eq!(tip(&[8_000 * GWEI, GWEI]), GWEI);
        assert_eq!(tip(&[0, 0, 0, 8_000 * GWEI]), MIN_PRIORITY_FEE);
    }

    #[test]
    fn the_tip_has_a_relative_and_an_absolute_limit() {
        let tip = |chain, set, base| {
            let limits = TipLimits::of_chain(chain, set);
            Fees::from_market(base, &[8_000 * GWEI], limits).max_priority_fee_per_gas
        };
        assert_eq!(tip(8_453, None, 0), GWEI / 10);
        assert_eq!(tip(8_453, None, GWEI), 2 * GWEI);
        assert_eq!(tip(8_453, None, 90 * GWEI), 3 * GWEI);
        assert_eq!(tip(137, None, 1), 50 * GWEI);
        assert_eq!(tip(80_002, None, 400 * GWEI), 500 * GWEI);
        assert_eq!(tip(8_453, Some(7 * GWEI), 1), 7 * GWEI);
        assert_eq!(tip(137, Some(7 * GWEI), 90 * GWEI), 7 * GWEI);
    }

    #[test]
    fn the_base_fee_is_bounded() {
        let fees = Fees::from_market(u128::MAX, &[u128::MAX], TipLimits::of_chain(1, None));
        assert_eq!(fees.max_fee_per_gas, 200_003 * GWEI);
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
        assert_eq!(Fees::from_market(0, &[], ANY).at_least(most), most);
    }
}
