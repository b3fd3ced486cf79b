//! One network: where to reach it, who is paid, in which token.

use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_BATCH_MAX, DEFAULT_MAX_TIMEOUT_SECONDS, Faults};
use crate::amount::{AtomicAmount, Price, parse_decimal};
use crate::protocol::ChainId;
use crate::protocol::chain_id::USDC_DECIMALS;
use crate::{evm, solana};

/// A network that payments come in on.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its CAIP-2 name.
    pub id: ChainId,
    /// What people call it.
    pub title: String,
    /// What x402 v1 calls it, if it does.
    pub v1_name: Option<&'static str>,
    /// The URLs of its nodes, in the seller's order.
    pub rpc: Vec<String>,
    /// The token's decimals.
    pub decimals: u8,
    /// What people call the token.
    pub symbol: String,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// How many payments go into one EVM transaction at most.
    pub batch_max: usize,
    /// The most that each key may spend on fees in a day, in wei or lamports.
    pub daily_spend: Option<u128>,
    /// The balance below which a key is reported, in wei or lamports.
    pub low_balance: Option<u128>,
    /// The amount above which two nodes must agree that it was paid.
    pub quorum_above: Option<AtomicAmount>,
    /// What only one kind of chain has.
    pub chain: Chain,
}

/// What only one kind of chain has.
#[derive(Clone, Debug)]
pub enum Chain {
    /// An EVM chain.
    Evm {
        /// The token's EIP-712 domain; the token is its verifying contract.
        domain: evm::Domain,
        /// Who is paid.
        pay_to: evm::Address,
    },
    /// A Solana cluster.
    Solana {
        /// The token.
        mint: solana::Pubkey,
        /// The program that the token belongs to.
        token_program: solana::TokenProgram,
        /// Who is paid: the owner of the associated token account.
        pay_to: solana::Pubkey,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    rpc: Vec<String>,
    pay_to: String,
    asset: Option<String>,
    name: Option<String>,
    version: Option<String>,
    decimals: Option<u8>,
    token_program: Option<String>,
    max_timeout_seconds: Option<u64>,
    batch_max: Option<usize>,
    daily_spend: Option<String>,
    low_balance: Option<String>,
    quorum_above: Option<String>,
}

impl Network {
    /// Reads one entry of `NETWORKS`; `rpc` are the URLs of the secret
    /// `RPC_URLS` that take the place of its own.
    pub(super) fn read(
        name: &str,
        entry: &Value,
        rpc: Option<Vec<String>>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let key = format!("NETWORKS.\"{name}\"");
        let Ok(id) = name.parse::<ChainId>() else {
            faults.add(key, "is not a CAIP-2 name such as eip155:8453 or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp");
            return None;
        };
        let entry: Entry = match serde_json::from_str(&entry.to_string()) {
            Ok(entry) => entry,
            Err(error) => {
                faults.add(key, error.to_string());
                return None;
            }
        };
        let known_before = faults.0.len();
        let rpc = rpc.unwrap_or_else(|| entry.rpc.clone());
        if rpc.is_empty() {
            faults.add(format!("{key}.rpc"), "names no URL (and neither does the secret RPC_URLS)");
        }
        if rpc.iter().any(|url| !is_http_url(url)) {
            faults.add(format!("{key}.rpc"), "must hold http:// or https:// URLs");
        }
        let max_timeout_seconds = entry.max_timeout_seconds.unwrap_or(DEFAULT_MAX_TIMEOUT_SECONDS);
        if !(10..=86_400).contains(&max_timeout_seconds) {
            faults.add(format!("{key}.max_timeout_seconds"), "must be from 10 to 86400");
        }
        let batch_max = entry.batch_max.unwrap_or(DEFAULT_BATCH_MAX);
        if !(1..=100).contains(&batch_max) {
            faults.add(format!("{key}.batch_max"), "must be from 1 to 100");
        }
        let coin_decimals = if matches!(id, ChainId::Evm(_)) { 18 } else { 9 };
        let mut coins = |member: &str, text: &Option<String>| {
            let amount = parse_decimal(text.as_deref()?, coin_decimals);
            if amount.is_none() {
                faults.add(
                    format!("{key}.{member}"),
                    "must be an amount of the chain's own coin, such as \"0.05\"",
                );
            }
            amount
        };
        let daily_spend = coins("daily_spend", &entry.daily_spend);
        let low_balance = coins("low_balance", &entry.low_balance);
        let known = id.known();
        let asset = entry.asset.as_deref().or(known.map(|known| known.usdc));
        let custom = entry.asset.is_some() && entry.asset.as_deref() != known.map(|k| k.usdc);
        if custom && entry.decimals.is_none() {
            faults.add(format!("{key}.decimals"), "is needed for a token other than USDC");
        }
        let Some(asset) = asset else {
            faults.add(format!("{key}.asset"), "is needed: no USDC is known on this network");
            return None;
        };
        let decimals = entry.decimals.unwrap_or(USDC_DECIMALS);
        let usdc_domain = known.and_then(|known| known.domain).filter(|_| !custom);
        let quorum_above = entry.quorum_above.as_deref().and_then(|text| {
            let amount = text.parse::<Price>().ok().and_then(|price| price.in_units(decimals));
            if amount.is_none() {
                faults.add(format!("{key}.quorum_above"), "must be dollars, such as \"$10\"");
            }
            amount
        });
        if quorum_above.is_some() && rpc.len() < 2 {
            faults.add(format!("{key}.quorum_above"), "needs two URLs in rpc that can agree");
        }
        let chain = match id {
            ChainId::Evm(chain_id) => read_evm(&key, chain_id, asset, usdc_domain, &entry, faults),
            ChainId::Solana(_) => read_solana(&key, asset, &entry, faults),
        }?;
        (faults.0.len() == known_before).then(|| Self {
            id,
            title: known.map_or_else(|| name.to_owned(), |known| known.title.to_owned()),
            v1_name: known.and_then(|known| known.v1_name),
            rpc,
            decimals,
            symbol: match (custom, &entry.name) {
                (false, _) => "USDC".to_owned(),
                (true, Some(name)) => name.clone(),
                (true, None) => asset.to_owned(),
            },
            max_timeout_seconds,
            batch_max,
            daily_spend,
            low_balance,
            quorum_above,
            chain,
        })
    }
}

fn read_evm(
    key: &str,
    chain_id: u64,
    asset: &str,
    usdc_domain: Option<(&str, &str)>,
    entry: &Entry,
    faults: &mut Faults,
) -> Option<Chain> {
    let mut address = |member: &str, text: &str| match text.parse::<evm::Address>() {
        Ok(address) if address != evm::Address::ZERO => Some(address),
        Ok(_) => {
            faults.add(format!("{key}.{member}"), "is the zero address; put yours");
            None
        }
        Err(_) => {
            faults.add(
                format!("{key}.{member}"),
                "must be an address: 0x and 40 hex digits, with a right checksum if in mixed case",
            );
            None
        }
    };
    let verifying_contract = address("asset", asset);
    let pay_to = address("pay_to", &entry.pay_to);
    let mut named = |member: &str, given: &Option<String>, known: Option<&str>| {
        let value = given.as_deref().or(known);
        if value.is_none() {
            faults.add(
                format!("{key}.{member}"),
                format!("is needed for a token other than USDC: its EIP-712 {member}"),
            );
        }
        value.map(str::to_owned)
    };
    let name = named("name", &entry.name, usdc_domain.map(|(name, _)| name));
    let version = named("version", &entry.version, usdc_domain.map(|(_, version)| version));
    if entry.token_program.is_some() {
        faults.add(format!("{key}.token_program"), "is for Solana only");
    }
    Some(Chain::Evm {
        domain: evm::Domain {
            name: name?,
            version: version?,
            chain_id,
            verifying_contract: verifying_contract?,
        },
        pay_to: pay_to?,
    })
}

fn read_solana(key: &str, asset: &str, entry: &Entry, faults: &mut Faults) -> Option<Chain> {
    let mut address = |member: &str, text: &str| match text.parse::<solana::Pubkey>() {
        Ok(address) if address != solana::address::SYSTEM_PROGRAM => Some(address),
        Ok(_) => {
            faults.add(format!("{key}.{member}"), "is the system program's address; put yours");
            None
        }
        Err(_) => {
            faults.add(format!("{key}.{member}"), "must be an address: base58 of 32 bytes");
            None
        }
    };
    let mint = address("asset", asset);
    let pay_to = address("pay_to", &entry.pay_to);
    if entry.version.is_some() {
        faults.add(format!("{key}.version"), "is for EVM chains only");
    }
    let token_program = match entry.token_program.as_deref() {
        None | Some("spl-token") => Some(solana::TokenProgram::Spl),
        Some("token-2022") => Some(solana::TokenProgram::Token2022),
        Some(_) => {
            faults.add(format!("{key}.token_program"), "must be \"spl-token\" or \"token-2022\"");
            None
        }
    };
    Some(Chain::Solana { mint: mint?, token_program: token_program?, pay_to: pay_to? })
}

pub(super) fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(|c: char| c.is_whitespace())
    })
}
