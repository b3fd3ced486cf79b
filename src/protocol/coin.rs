//! A chain's own coin, for people: what fees are paid in.

use super::ChainId;
use crate::amount::AtomicAmount;

/// How many digits of an amount a person is told, from the first that is not 0.
const DIGITS: usize = 4;

/// An amount of a chain's own coin, given in wei or lamports, in words:
/// `0.0001 ETH`. What is finer than four digits is left out.
pub fn in_coins(amount: u128, id: ChainId) -> String {
    let text = AtomicAmount(amount).in_tokens(id.coin_decimals());
    let short = match text.split_once('.') {
        None => text,
        Some((whole, fraction)) => {
            let zeros = if whole == "0" {
                fraction.len() - fraction.trim_start_matches('0').len()
            } else {
                0
            };
            let kept: String = fraction.chars().take(zeros + DIGITS).collect();
            format!("{whole}.{kept}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    format!("{short} {}", symbol(id))
}

/// A network for people: `Base (eip155:8453)`.
pub fn in_words(id: ChainId) -> String {
    id.known().map_or_else(|| id.to_string(), |known| format!("{} ({id})", known.title))
}

/// What a chain's coin is called, if that is known.
pub fn known_symbol(id: ChainId) -> Option<&'static str> {
    Some(symbol(id)).filter(|symbol| *symbol != UNKNOWN)
}

/// What a coin is called of which no more is known.
const UNKNOWN: &str = "of the chain's coin";

/// What a chain's coin is called.
pub fn symbol(id: ChainId) -> &'static str {
    match id {
        ChainId::Evm(137 | 80_002) => "POL",
        ChainId::Evm(43_113 | 43_114) => "AVAX",
        ChainId::Evm(1_329) => "SEI",
        ChainId::Evm(42_220) => "CELO",
        ChainId::Evm(143) => "MON",
        ChainId::Evm(_) if id.known().is_none() => UNKNOWN,
        ChainId::Evm(_) => "ETH",
        ChainId::Solana(_) => "SOL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_in_the_chains_coin() {
        let solana: ChainId = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse().unwrap();
        for (amount, id, words) in [
            (0, ChainId::Evm(8_453), "0 ETH"),
            (100_000_000_000_000, ChainId::Evm(8_453), "0.0001 ETH"),
            (123_456_789_012_345_678, ChainId::Evm(137), "0.1234 POL"),
            (1_000_000_000_000_000_001, ChainId::Evm(43_113), "1 AVAX"),
            (12_345_678_901, solana, "12.3456 SOL"),
            (10_000_010_000, solana, "10 SOL"),
            (10_000, solana, "0.00001 SOL"),
            (1, ChainId::Evm(8_453), "0.000000000000000001 ETH"),
            (20_000_000_000_000_000_000, ChainId::Evm(424_242), "20 of the chain's coin"),
        ] {
            assert_eq!(in_coins(amount, id), words);
        }
        assert_eq!(in_words(ChainId::Evm(8_453)), "Base (eip155:8453)");
        assert_eq!(in_words(ChainId::Evm(424_242)), "eip155:424242");
    }
}
