//! Receipts, and what their logs say about payments.
//!
//! A receipt's status alone is no proof of a transfer: some tokens don't
//! revert on a used authorization, calls to an address without code succeed,
//! and in a batch every payment may fail on its own. The proof is the token's
//! `Transfer(from, payTo, value)` log.

use std::sync::LazyLock;

use serde_json::Value;

use super::json_rpc::{parse_hash, parse_quantity, parse_u64};
use super::{Address, Uint256, keccak256};
use crate::amount::AtomicAmount;
use crate::encoding::decode_hex_bytes;

/// What became of a transaction: the answer of `eth_getTransactionReceipt`,
/// as far as a settlement needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether `status` is 1: the transaction did not revert.
    pub succeeded: bool,
    /// The transaction's hash.
    pub transaction_hash: [u8; 32],
    /// The block it is in.
    pub block_number: u64,
    /// How much gas it used.
    pub gas_used: u64,
    /// What it paid, in wei per gas; 0 where the node does not say.
    pub effective_gas_price: u128,
    /// Its logs, in their order.
    pub logs: Vec<Log>,
}

/// An event that a contract emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// The event's hash and its indexed arguments: 4 at most.
    pub topics: Vec<[u8; 32]>,
    /// The other arguments.
    pub data: Vec<u8>,
}

/// Keccak-256 of `AuthorizationCanceled(address,bytes32)` (EIP-3009).
pub static AUTHORIZATION_CANCELED: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"AuthorizationCanceled(address,bytes32)"));

/// Keccak-256 of `AuthorizationUsed(address,bytes32)` (EIP-3009).
pub static AUTHORIZATION_USED: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"AuthorizationUsed(address,bytes32)"));

/// Keccak-256 of `Transfer(address,address,uint256)` (ERC-20).
pub static TRANSFER: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"Transfer(address,address,uint256)"));

impl Receipt {
    /// Reads the `result` of `eth_getTransactionReceipt` of a transaction
    /// that is in a block. `None` for what is not that: `null` (not known
    /// yet) is the caller's to tell apart first.
    pub fn from_json(result: &Value) -> Option<Self> {
        let succeeded = match parse_quantity(result.get("status")?)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let logs = result.get("logs")?.as_array()?;
        Some(Self {
            succeeded,
            transaction_hash: parse_hash(result.get("transactionHash")?)?,
            block_number: parse_u64(result.get("blockNumber")?)?,
            gas_used: parse_u64(result.get("gasUsed")?)?,
            effective_gas_price: match result.get("effectiveGasPrice") {
                None | Some(Value::Null) => 0,
                Some(price) => parse_quantity(price)?,
            },
            logs: logs.iter().map(Log::from_json).collect::<Option<_>>()?,
        })
    }

    /// What the transaction cost, in wei. On a rollup its share of the other
    /// chain's fees comes on top.
    pub fn cost(&self) -> u128 {
        self.effective_gas_price.saturating_mul(u128::from(self.gas_used))
    }

    /// What an account has more of a token than before, by the token's logs: what
    /// it sent on in the same transaction is taken off. An amount beyond 128 bits
    /// counts as none.
    pub fn received(&self, asset: Address, account: Address) -> u128 {
        let word = account.to_word();
        let (mut came, mut went) = (0_u128, 0_u128);
        for log in self.logs.iter().filter(|log| log.is_transfer(asset)) {
            let [_, from, to] = log.topics.as_slice() else { continue };
            let value = log.data.as_slice().try_into().ok().map(Uint256::from_be_bytes);
            let value = value.and_then(|it| u128::try_from(it).ok()).unwrap_or(0);
            if *to == word {
                came = came.saturating_add(value);
            }
            if *from == word {
                went = went.saturating_add(value);
            }
        }
        came.saturating_sub(went)
    }
}

impl Log {
    pub(super) fn from_json(log: &Value) -> Option<Self> {
        // A log that a reorganisation took back is a log of nothing.
        if log.get("removed").is_some_and(|removed| *removed != Value::Bool(false)) {
            return None;
        }
        let topics = log.get("topics")?.as_array()?;
        let data = log.get("data")?.as_str()?;
        Some(Self {
            address: log.get("address")?.as_str()?.parse().ok()?,
            topics: topics.iter().map(parse_hash).collect::<Option<_>>()?,
            data: decode_hex_bytes(data, data.len()).ok()?,
        })
    }

    pub(super) fn is_transfer(&self, asset: Address) -> bool {
        self.address == asset && self.topics.first() == Some(&*TRANSFER)
    }

    /// Whether the token moved this much from one account to another.
    pub(super) fn transfers(
        &self,
        asset: Address,
        [from, to]: [Address; 2],
        value: AtomicAmount,
    ) -> bool {
        self.is_transfer(asset)
            && matches!(self.topics.as_slice(), [_, payer, seller]
                if *payer == from.to_word() && *seller == to.to_word())
            && self.data == Uint256::from(value).to_be_bytes()
    }
}
