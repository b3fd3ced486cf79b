//! Networks by their CAIP-2 names, and the names that x402 v1 gave them.

use crate::json_text;
use crate::plain_error;
use std::fmt;
use std::str::FromStr;

/// A network that this gateway can settle on, by its CAIP-2 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainId {
    /// `eip155:{chain id}` (CAIP-2, EIP-155).
    Evm(u64),
    /// `solana:{first 32 characters of the genesis hash}`.
    Solana(SolanaCluster),
}

/// A Solana cluster: the first 32 base58 characters of its genesis hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SolanaCluster([u8; 32]);

impl SolanaCluster {
    /// The cluster's name as text.
    pub fn as_str(&self) -> &str {
        // Only base58 characters get in, so this is never empty.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A text that is not the CAIP-2 name of an EVM or Solana network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidChainId;

plain_error!(InvalidChainId, |_| "is not the CAIP-2 name of an EVM or Solana network");

impl FromStr for ChainId {
    type Err = InvalidChainId;

    fn from_str(text: &str) -> Result<Self, InvalidChainId> {
        match text.split_once(':') {
            Some(("eip155", id)) if crate::amount::is_canonical_decimal(id) => {
                id.parse().map(Self::Evm).map_err(|_| InvalidChainId)
            }
            Some(("solana", cluster)) if bs58::decode(cluster).into_vec().is_ok() => {
                let bytes = cluster.as_bytes().try_into().map_err(|_| InvalidChainId)?;
                Ok(Self::Solana(SolanaCluster(bytes)))
            }
            _ => Err(InvalidChainId),
        }
    }
}

impl ChainId {
    /// The CAIP-2 namespace.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Evm(_) => "eip155",
            Self::Solana(_) => "solana",
        }
    }

    /// Whether a payment names who pays its fee and a block that was recent,
    /// so that a client must be told of both: so it is on Solana.
    pub const fn names_fee_payer(self) -> bool {
        matches!(self, Self::Solana(_))
    }

    /// Whether two texts spell one address: on EVM chains in any letter case,
    /// on Solana each case is another letter.
    pub fn is_same_address(self, one: &str, other: &str) -> bool {
        match self {
            Self::Evm(_) => one.eq_ignore_ascii_case(other),
            Self::Solana(_) => one == other,
        }
    }

    /// The decimals of the chain's own coin: of wei or lamports.
    pub const fn coin_decimals(self) -> u8 {
        match self {
            Self::Evm(_) => 18,
            Self::Solana(_) => 9,
        }
    }

    /// What people call the account that sends payments and pays their fees.
    pub const fn signer_title(self) -> &'static str {
        match self {
            Self::Evm(_) => "relayer",
            Self::Solana(_) => "fee payer",
        }
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(id) => write!(f, "eip155:{id}"),
            Self::Solana(cluster) => write!(f, "solana:{}", cluster.as_str()),
        }
    }
}

json_text!(ChainId);

/// What is known of a network and its USDC before any configuration.
#[derive(Clone, Copy, Debug)]
pub struct KnownNetwork {
    /// The CAIP-2 name.
    pub caip2: &'static str,
    /// The name in x402 v1; a network without one is offered to v2 clients only.
    /// Clients of v1 read every offer before they choose one, and fail at a
    /// name that they don't know: so only names that they know stand here.
    pub v1_name: Option<&'static str>,
    /// What people call it.
    pub title: &'static str,
    /// USDC's address or mint.
    pub usdc: &'static str,
    /// USDC's EIP-712 domain name and version; `None` on Solana.
    pub domain: Option<(&'static str, &'static str)>,
}

/// The networks with a known USDC. Every one of them has 6 decimals.
/// Addresses: Circle's list of USDC contract addresses.
pub const KNOWN_NETWORKS: &[KnownNetwork] = &[
    evm(
        "eip155:8453",
        Some("base"),
        "Base",
        "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        "USD Coin",
    ),
    evm(
        "eip155:84532",
        Some("base-sepolia"),
        "Base Sepolia",
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "USDC",
    ),
    evm(
        "eip155:43114",
        Some("avalanche"),
        "Avalanche",
        "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
        "USD Coin",
    ),
    evm(
        "eip155:43113",
        Some("avalanche-fuji"),
        "Avalanche Fuji",
        "0x5425890298aed601595a70AB815c96711a31Bc65",
        "USD Coin",
    ),
    evm(
        "eip155:137",
        Some("polygon"),
        "Polygon",
        "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        "USD Coin",
    ),
    evm(
        "eip155:80002",
        Some("polygon-amoy"),
        "Polygon Amoy",
        "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
        "USDC",
    ),
    evm("eip155:1", None, "Ethereum", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin"),
    evm(
        "eip155:42161",
        None,
        "Arbitrum One",
        "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
        "USD Coin",
    ),
    evm("eip155:1329", Some("sei"), "Sei", "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", "USDC"),
    evm("eip155:42220", None, "Celo", "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", "USDC"),
    evm("eip155:143", None, "Monad", "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC"),
    KnownNetwork {
        caip2: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        v1_name: Some("solana"),
        title: "Solana",
        usdc: "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        domain: None,
    },
    KnownNetwork {
        caip2: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        v1_name: Some("solana-devnet"),
        title: "Solana Devnet",
        usdc: "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        domain: None,
    },
];

const fn evm(
    caip2: &'static str,
    v1_name: Option<&'static str>,
    title: &'static str,
    usdc: &'static str,
    domain_name: &'static str,
) -> KnownNetwork {
    KnownNetwork { caip2, v1_name, title, usdc, domain: Some((domain_name, "2")) }
}

/// Names that servers and facilitators use for networks besides. They are
/// read, and never written.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("ethereum", "eip155:1"),
    ("arbitrum", "eip155:42161"),
    ("celo", "eip155:42220"),
    ("monad", "eip155:143"),
    ("mainnet-beta", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("solana-mainnet-beta", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
];

/// How many decimals USDC has on every known network.
pub const USDC_DECIMALS: u8 = 6;

impl ChainId {
    /// What is known of this network, if anything is.
    pub fn known(self) -> Option<&'static KnownNetwork> {
        let name = self.to_string();
        KNOWN_NETWORKS.iter().find(|network| network.caip2 == name)
    }

    /// Whether somebody who speaks to a facilitator means this network by a
    /// name: CAIP-2, v1, or another that is in use.
    pub fn is_called(self, name: &str) -> bool {
        let caip2 = self.to_string();
        caip2 == name
            || self.known().is_some_and(|known| known.v1_name == Some(name))
            || OTHER_NAMES.contains(&(name, caip2.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_network_parses_and_writes_back() {
        for network in KNOWN_NETWORKS {
            let id: ChainId = network.caip2.parse().unwrap();
            assert_eq!(id.to_string(), network.caip2);
            assert_eq!(id.known().unwrap().usdc, network.usdc);
            assert_eq!(network.domain.is_some(), matches!(id, ChainId::Evm(_)));
        }
    }

    #[test]
    fn networks_go_by_several_names() {
        let called = |id: &str, name| id.parse::<ChainId>().unwrap().is_called(name);
        assert!(called("eip155:84532", "eip155:84532"));
        assert!(called("eip155:84532", "base-sepolia"));
        assert!(called("eip155:42220", "celo"));
        assert!(called("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "devnet"));
        assert!(called("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "mainnet-beta"));
        assert!(!called("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "devnet"));
        assert!(!called("eip155:84532", "base"));
        assert!(!called("eip155:84532", "84532"));
    }

    #[test]
    fn other_spellings_are_refused() {
        for wrong in [
            "",
            "eip155:",
            "eip155:01",
            "eip155:+1",
            "EIP155:1",
            "eip155:1 ",
            "base",
            "eip155:99999999999999999999",
            "solana:",
            "solana:short",
            "solana:0OIl0OIl0OIl0OIl0OIl0OIl0OIl0OIl",
            "bip122:1",
        ] {
            assert_eq!(wrong.parse::<ChainId>(), Err(InvalidChainId), "{wrong:?}");
        }
    }
}
