//! What a transaction of anybody's gave an account back, as its chain tells.

use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::encoding::{decode_base64, encode_base58, encode_base64, encode_hex};
use crate::evm::{Address, Receipt, json_rpc};
use crate::json::json;
use crate::protocol::ChainId;
use crate::rpc::Call;
use crate::solana::address::SYSTEM_PROGRAM;
use crate::solana::{Signature, Transaction};
use crate::time::UnixSeconds;

/// The longest transaction that Solana takes, in bytes.
const MAX_TRANSACTION: usize = 1_232;

/// How the data of the instruction begin that makes a nonce durable: the system
/// program's `AdvanceNonceAccount`.
const ADVANCE_NONCE: [u8; 4] = [4, 0, 0, 0];

/// What a transaction did that is in a block, as its network counts blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the account has more of the token than before; `None` if the
    /// transaction failed.
    pub received: Option<AtomicAmount>,
    /// When its block was made.
    pub when: When,
}

/// When a block was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(UnixSeconds),
    /// To be asked: the block of this number.
    InBlock(u64),
}

/// A transaction's name as it is kept: in the one spelling that the network knows.
pub fn canonical_transaction(network: ChainId, text: &str) -> Option<String> {
    match network {
        ChainId::Evm(_) => json_rpc::parse_hash(&json!(text)).map(|hash| encode_hex(&hash)),
        ChainId::Solana(_) => text.parse::<Signature>().ok().map(|it| it.to_string()),
    }
}

/// A signed transaction (base64) that is still to be sent, and its name. Only
/// Solana's wallets give one away; others send it themselves.
pub fn signed_transaction(network: ChainId, text: &str) -> Option<(String, String)> {
    let ChainId::Solana(_) = network else { return None };
    let bytes = decode_base64(text, MAX_TRANSACTION).ok()?;
    // Its first signature names it. Nobody needs more than 127 of them, which would
    // take a second byte to count.
    let (count, rest) = bytes.split_first()?;
    let signature = Signature(*rest.first_chunk()?);
    let is_signed = (1..=127).contains(count) && signature != Signature::ABSENT;
    is_signed.then(|| (signature.to_string(), encode_base64(&bytes)))
}

/// Sends such a transaction, also one that was sent before.
pub fn send_call(signed: &str) -> Call {
    let config = json!({ "encoding": "base64", "skipPreflight": true, "maxRetries": 0 });
    Call::new("sendTransaction", json!([signed, config]))
}

/// Asks what became of a transaction.
pub fn question(network: ChainId, transaction: &str) -> Call {
    match network {
        ChainId::Evm(_) => Call::new("eth_getTransactionReceipt", json!([transaction])),
        ChainId::Solana(_) => {
            let config = json!({
                "encoding": "json", "commitment": "confirmed", "maxSupportedTransactionVersion": 0,
            });
            Call::new("getTransaction", json!([transaction, config]))
        }
    }
}

/// Asks when a block was made.
pub fn block_question(network: ChainId, number: u64) -> Call {
    match network {
        ChainId::Evm(_) => {
            Call::new("eth_getBlockByNumber", json!([json_rpc::quantity(number.into()), false]))
        }
        ChainId::Solana(_) => Call::new("getBlockTime", json!([number])),
    }
}

/// Reads the answer to that.
pub fn read_block_time(network: ChainId, answer: &Value) -> Option<UnixSeconds> {
    let time = match network {
        ChainId::Evm(_) => json_rpc::parse_u64(answer.get("timestamp")?),
        ChainId::Solana(_) => answer.as_u64(),
    };
    time.map(UnixSeconds)
}

/// Asks for the newest block.
pub fn head_question(network: ChainId) -> Call {
    match network {
        ChainId::Evm(_) => Call::new("eth_blockNumber", json!([])),
        ChainId::Solana(_) => Call::new("getSlot", json!([{ "commitment": "confirmed" }])),
    }
}

/// Reads the number of a block.
pub fn read_head(network: ChainId, answer: &Value) -> Option<u64> {
    match network {
        ChainId::Evm(_) => json_rpc::parse_u64(answer),
        ChainId::Solana(_) => answer.as_u64(),
    }
}

/// What ends a transaction that is in no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Another one of the account with the same nonce.
    Nonce(String, u64),
    /// The end of its blockhash.
    Blockhash(String),
}

impl Lifetime {
    /// Of a signed transaction of Solana (base64). One with a durable nonce has none, and
    /// of what can't be read nobody knows.
    pub fn of_signed(signed: &str) -> Option<Self> {
        let bytes = decode_base64(signed, MAX_TRANSACTION).ok()?;
        let message = Transaction::parse(&bytes).ok()?.message;
        let first = message.instructions.first()?;
        let is_durable = first.program == SYSTEM_PROGRAM && first.data.starts_with(&ADVANCE_NONCE);
        (!is_durable).then(|| Self::Blockhash(encode_base58(&message.recent_blockhash)))
    }

    /// Asks whether it has ended.
    pub fn question(&self) -> Call {
        match self {
            Self::Nonce(account, _) => {
                Call::new("eth_getTransactionCount", json!([account, "latest"]))
            }
            Self::Blockhash(hash) => {
                Call::new("isBlockhashValid", json!([hash, { "commitment": "confirmed" }]))
            }
        }
    }

    /// Reads the answer to that.
    pub fn has_ended(&self, answer: &Value) -> Option<bool> {
        match self {
            Self::Nonce(_, nonce) => json_rpc::parse_u64(answer).map(|count| count > *nonce),
            Self::Blockhash(_) => answer.get("value")?.as_bool().map(|is_valid| !is_valid),
        }
    }
}

/// Asks a node whether it has a transaction that is in no block yet, and with which
/// nonce. Solana's don't say.
pub fn sender_question(network: ChainId, transaction: &str) -> Option<Call> {
    match network {
        ChainId::Evm(_) => Some(Call::new("eth_getTransactionByHash", json!([transaction]))),
        ChainId::Solana(_) => None,
    }
}

/// Reads the answer to that: the account, and the nonce.
pub fn read_sender(transaction: &str, answer: &Value) -> Option<(String, u64)> {
    let is_its = json_rpc::parse_hash(answer.get("hash")?).map(|it| encode_hex(&it))?;
    let sender: Address = answer.get("from")?.as_str()?.parse().ok()?;
    let nonce = json_rpc::parse_u64(answer.get("nonce")?)?;
    (is_its == transaction).then(|| (sender.to_string(), nonce))
}

/// Reads what became of a transaction, for an account that was paid in a token.
/// `None` while it is in no block, and for what is no answer to the question.
pub fn read_found(
    network: ChainId,
    (transaction, asset, account): (&str, &str, &str),
    result: &Value,
) -> Option<Found> {
    match network {
        ChainId::Evm(_) => {
            let receipt = Receipt::from_json(result)?;
            if encode_hex(&receipt.transaction_hash) != transaction {
                return None;
            }
            let received = receipt.received(asset.parse().ok()?, account.parse().ok()?);
            Some(Found {
                received: receipt.succeeded.then_some(AtomicAmount(received)),
                when: When::InBlock(receipt.block_number),
            })
        }
        ChainId::Solana(_) => {
            let meta = result.get("meta")?;
            let own = result.get("transaction")?.get("signatures")?.get(0)?.as_str()?;
            if own != transaction {
                return None;
            }
            let (before, after) = (
                token_balance(meta.get("preTokenBalances")?, asset, account)?,
                token_balance(meta.get("postTokenBalances")?, asset, account)?,
            );
            let received = AtomicAmount(after.saturating_sub(before));
            let when = match result.get("blockTime").and_then(Value::as_u64) {
                Some(time) => When::At(UnixSeconds(time)),
                None => When::InBlock(result.get("slot")?.as_u64()?),
            };
            Some(Found { received: meta.get("err")?.is_null().then_some(received), when })
        }
    }
}

/// What a wallet has of a token in all of its accounts that a transaction names.
fn token_balance(balances: &Value, mint: &str, owner: &str) -> Option<u128> {
    let is = |balance: &Value, name: &str, text: &str| {
        balance.get(name).and_then(Value::as_str) == Some(text)
    };
    let own = balances.as_array()?.iter();
    let mut own = own.filter(|it| is(it, "mint", mint) && is(it, "owner", owner));
    own.try_fold(0, |sum: u128, balance| {
        let amount = balance.get("uiTokenAmount")?.get("amount")?.as_str()?;
        sum.checked_add(amount.parse().ok()?)
    })
}
