//! What is known of the coins that fees are paid in.

use crate::protocol::ChainId;

/// A chain's coin.
pub(super) struct Coin {
    /// What one of it is worth at least, to tell whether a fee is more than a
    /// price. Well below the market, so that no ordinary payment is turned away.
    pub price: &'static str,
    /// The most that a key spends on fees in a day if the seller says nothing:
    /// enough for more than a thousand sales where fees are high for this chain.
    pub daily_spend: &'static str,
}

/// The coin of a network; `None` for test coins, which are worth nothing, and
/// for networks that we don't know.
pub(super) fn coin_of(id: ChainId) -> Option<Coin> {
    let (price, daily_spend) = match id.to_string().as_str() {
        // Ethereum, Base, Arbitrum One
        "eip155:1" | "eip155:8453" | "eip155:42161" => ("$500", "0.1"),
        // Avalanche
        "eip155:43114" => ("$5", "2"),
        // Polygon, Celo
        "eip155:137" | "eip155:42220" => ("$0.05", "100"),
        // Sei
        "eip155:1329" => ("$0.02", "100"),
        // Monad
        "eip155:143" => ("$0.005", "500"),
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" => ("$20", "0.5"),
        _ => return None,
    };
    Some(Coin { price, daily_spend })
}
