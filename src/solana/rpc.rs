//! What to ask a Solana node, and what its answers mean: the `params` of a
//! JSON-RPC call, and readers for its `result`. No IO.
//!
//! Source: Solana documentation, "HTTP methods", and `TransactionError` of
//! the runtime, which nodes write as JSON.

use serde_json::Value;

use super::address::Pubkey;
use super::instruction::TokenProgram;
use super::settle::SignedTransaction;
use super::verify::VerifiedPayment;
use crate::encoding::{decode_base64, encode_base64};
use crate::json::json;
use crate::plain_error;
use crate::protocol::Reason;

/// The `params` of `simulateTransaction`: what would become of it now.
pub fn simulate_transaction_params(transaction: &SignedTransaction) -> Value {
    json!([
        transaction.to_base64(),
        { "encoding": "base64", "sigVerify": true, "commitment": "confirmed" },
    ])
}

/// The `params` of `simulateTransaction` for a payment without the fee payer's
/// signature: what would become of it if that were added.
pub fn simulate_unsigned_params(payment: &VerifiedPayment) -> Value {
    json!([
        encode_base64(&payment.transaction().to_bytes()),
        { "encoding": "base64", "sigVerify": false, "commitment": "confirmed" },
    ])
}

/// The same `params`, asking also what an account will hold afterwards.
pub fn watching(mut simulation: Value, account: &Pubkey) -> Value {
    if let Some(config) = simulation.get_mut(1) {
        config["accounts"] = json!({ "encoding": "base64", "addresses": [account.to_string()] });
    }
    simulation
}

/// How many signatures `getSignatureStatuses` takes at once.
pub const STATUSES_MAX: usize = 256;

/// The `params` of `getSignatureStatuses`, for at most [`STATUSES_MAX`]
/// signatures in base58; also those that the node keeps no longer in memory.
pub fn get_signature_statuses_params(signatures: &[&str]) -> Value {
    json!([signatures, { "searchTransactionHistory": true }])
}

/// How many bytes of an account are looked at: all of a token account of SPL
/// Token, and of one of Token-2022 the byte after it, which says what it is.
const ACCOUNT_BYTES: usize = 166;

/// How many are taken from a node that tells more than it was asked.
const ACCOUNT_BYTES_MAX: usize = 16_384;

/// The `params` of `getMultipleAccounts`: who owns them, and how they begin.
pub fn get_multiple_accounts_params(accounts: &[Pubkey]) -> Value {
    let accounts: Vec<String> = accounts.iter().map(Pubkey::to_string).collect();
    json!([accounts, {
        "commitment": "confirmed",
        "encoding": "base64",
        "dataSlice": { "offset": 0, "length": ACCOUNT_BYTES },
    }])
}

/// The `params` of `getLatestBlockhash`.
pub fn get_latest_blockhash_params() -> Value {
    json!([{ "commitment": "confirmed" }])
}

/// The `params` of `getBlockHeight`.
pub fn get_block_height_params() -> Value {
    json!([{ "commitment": "confirmed" }])
}

/// A result that is not of the documented shape. The node's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedResult;

plain_error!(UnexpectedResult, |_| "is not of the documented shape");

/// What a simulation foretells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimulationOutcome {
    /// It would succeed.
    Succeeds,
    /// It would fail, for a reason that is the payer's.
    Fails(Reason),
    /// The node doesn't know the blockhash: the transaction has expired, or
    /// the node is behind the one that the client asked.
    BlockhashNotFound,
    /// It has landed, so there is nothing to simulate: ask for its status.
    AlreadyProcessed,
    /// Our fee payer can't pay the fee. Our fault, not the payer's.
    FeePayerUnfunded,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The node has not seen it. It may still land until its blockhash has
    /// expired.
    Unknown,
    /// In a block that may yet be dropped; whether it succeeded there says
    /// nothing.
    Processed,
    /// It succeeded, in a block that two thirds of the stake voted for.
    Confirmed,
    /// It succeeded, in a block that can't be dropped.
    Finalized,
    /// It failed, in a block that is at least confirmed; the fee is spent.
    Failed(Reason),
}

/// A blockhash that a transaction made now can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestBlockhash {
    /// Base58.
    pub blockhash: String,
    /// The block height after which the blockhash has expired.
    pub last_valid_block_height: u64,
}

/// What was seen of a transaction, and in which slot it landed; 0 if it hasn't
/// or the node doesn't say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What became of it.
    pub status: Status,
    /// The slot of its block.
    pub slot: u64,
}

/// An account, as a node shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The program that it belongs to.
    pub owner: Pubkey,
    /// Its balance.
    pub lamports: u64,
    /// How its data begins.
    pub data: Vec<u8>,
}

/// What a token account holds, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAccount {
    /// The token.
    pub mint: Pubkey,
    /// The wallet that it belongs to.
    pub owner: Pubkey,
    /// What is in it, in atomic units.
    pub amount: u64,
    /// Who may spend from it besides its owner, and how much.
    pub delegate: Option<(Pubkey, u64)>,
    /// Whether the token's issuer has frozen it.
    pub is_frozen: bool,
}

impl Account {
    /// The account as a token account, if it is one.
    ///
    /// Source: SPL Token, `state::Account`; Token-2022 puts the kind of the
    /// account (2) after it, if it has extensions.
    pub fn as_token_account(&self) -> Option<TokenAccount> {
        TokenProgram::from_id(&self.owner)?;
        let (data, kind) = self.data.split_at_checked(165)?;
        if !matches!(kind, [] | [2]) {
            return None;
        }
        let key = |at: usize| data.get(at..at + 32)?.try_into().ok().map(Pubkey);
        let number = |at: usize| data.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let delegate = match data.get(72..76)? {
            [1, 0, 0, 0] => Some((key(76)?, number(121)?)),
            _ => None,
        };
        let state = *data.get(108)?;
        Some(TokenAccount {
            mint: key(0)?,
            owner: key(32)?,
            amount: number(64)?,
            delegate,
            is_frozen: state == 2,
        })
        .filter(|_| matches!(state, 1 | 2))
    }
}

impl TokenAccount {
    /// How much this authority may spend from it.
    pub fn available_to(&self, authority: &Pubkey) -> u64 {
        match self.delegate {
            Some((delegate, limit)) if delegate == *authority && self.owner != *authority => {
                self.amount.min(limit)
            }
            _ => self.amount,
        }
    }
}

/// Reads the result of `getMultipleAccounts`: the slot as of which it is, and
/// each account that there is.
pub fn parse_accounts(result: &Value) -> Result<(u64, Vec<Option<Account>>), UnexpectedResult> {
    let slot = member(member(result, "context")?, "slot")?.as_u64().ok_or(UnexpectedResult)?;
    let accounts = member(result, "value")?.as_array().ok_or(UnexpectedResult)?;
    let accounts = accounts
        .iter()
        .map(|account| if account.is_null() { Ok(None) } else { parse_account(account).map(Some) });
    Ok((slot, accounts.collect::<Result<_, _>>()?))
}

fn parse_account(account: &Value) -> Result<Account, UnexpectedResult> {
    let owner = member(account, "owner")?.as_str().and_then(|text| text.parse().ok());
    let data = member(account, "data")?.get(0).and_then(Value::as_str);
    let data = data.and_then(|text| decode_base64(text, ACCOUNT_BYTES_MAX).ok());
    let mut data = data.ok_or(UnexpectedResult)?;
    data.truncate(ACCOUNT_BYTES);
    Ok(Account {
        owner: owner.ok_or(UnexpectedResult)?,
        lamports: member(account, "lamports")?.as_u64().ok_or(UnexpectedResult)?,
        data,
    })
}

/// Reads the result of `simulateTransaction` for a transaction whose transfer
/// is the instruction with this index.
pub fn parse_simulation(
    result: &Value,
    transfer: usize,
) -> Result<SimulationOutcome, UnexpectedResult> {
    Ok(match member(member(result, "value")?, "err")? {
        Value::Null => SimulationOutcome::Succeeds,
        Value::String(name) => match name.as_str() {
            "BlockhashNotFound" => SimulationOutcome::BlockhashNotFound,
            "AlreadyProcessed" => SimulationOutcome::AlreadyProcessed,
            // The only account that is looked up by name is the fee payer.
            "InsufficientFundsForFee" | "AccountNotFound" => SimulationOutcome::FeePayerUnfunded,
            _ => SimulationOutcome::Fails(Reason::SvmSimulationFailed),
        },
        error if is_rent_of_the_fee_payer(error) => SimulationOutcome::FeePayerUnfunded,
        error if is_lack_of_tokens(error, transfer) => {
            SimulationOutcome::Fails(Reason::InsufficientFunds)
        }
        _ => SimulationOutcome::Fails(Reason::SvmSimulationFailed),
    })
}

/// Reads from the result of `simulateTransaction` the lamports that the account
/// which was asked for will hold afterwards.
pub fn parse_simulated_lamports(result: &Value) -> Option<u64> {
    result.get("value")?.get("accounts")?.get(0)?.get("lamports")?.as_u64()
}

/// Reads the result of `getSignatureStatuses`: one sighting for each signature
/// that was asked for, in the same order. `transfers` has for each of them the
/// index of the instruction that is its transfer.
pub fn parse_signature_statuses(
    result: &Value,
    transfers: &[usize],
) -> Result<Vec<Sighting>, UnexpectedResult> {
    let statuses = member(result, "value")?.as_array().ok_or(UnexpectedResult)?;
    if statuses.len() != transfers.len() {
        return Err(UnexpectedResult);
    }
    statuses
        .iter()
        .zip(transfers)
        .map(|(status, transfer)| parse_status(status, *transfer))
        .collect()
}

/// Reads the result of `getLatestBlockhash`.
pub fn parse_latest_blockhash(result: &Value) -> Result<LatestBlockhash, UnexpectedResult> {
    let value = member(result, "value")?;
    Ok(LatestBlockhash {
        blockhash: member(value, "blockhash")?.as_str().ok_or(UnexpectedResult)?.to_owned(),
        last_valid_block_height: member(value, "lastValidBlockHeight")?
            .as_u64()
            .ok_or(UnexpectedResult)?,
    })
}

/// Reads the result of `getBlockHeight`.
pub fn parse_block_height(result: &Value) -> Result<u64, UnexpectedResult> {
    result.as_u64().ok_or(UnexpectedResult)
}

fn parse_status(status: &Value, transfer: usize) -> Result<Sighting, UnexpectedResult> {
    if status.is_null() {
        return Ok(Sighting { status: Status::Unknown, slot: 0 });
    }
    let slot = status.get("slot").and_then(Value::as_u64).unwrap_or(0);
    let error = member(status, "err")?;
    let reached = match status.get("confirmationStatus").unwrap_or(&Value::Null) {
        // Nodes that don't say count confirmations, and null is "rooted".
        Value::Null if status.get("confirmations") == Some(&Value::Null) => Status::Finalized,
        Value::Null => Status::Processed,
        Value::String(name) => match name.as_str() {
            "processed" => Status::Processed,
            "confirmed" => Status::Confirmed,
            "finalized" => Status::Finalized,
            _ => return Err(UnexpectedResult),
        },
        _ => return Err(UnexpectedResult),
    };
    let status = match (reached, error) {
        (Status::Processed, _) | (_, Value::Null) => reached,
        (_, error) if is_lack_of_tokens(error, transfer) => {
            Status::Failed(Reason::InsufficientFunds)
        }
        _ => Status::Failed(Reason::InvalidTransactionState),
    };
    Ok(Sighting { status, slot })
}

/// The transfer failed with `TokenError::InsufficientFunds`.
fn is_lack_of_tokens(error: &Value, transfer: usize) -> bool {
    *error == json!({ "InstructionError": [transfer, { "Custom": 1 }] })
}

/// The fee would leave account 0 with less than the rent it needs.
fn is_rent_of_the_fee_payer(error: &Value) -> bool {
    *error == json!({ "InsufficientFundsForRent": { "account_index": 0 } })
}

fn member<'a>(object: &'a Value, name: &str) -> Result<&'a Value, UnexpectedResult> {
    object.get(name).ok_or(UnexpectedResult)
}
#[cfg(test)]
mod tests;
