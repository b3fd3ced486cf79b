//! What to ask a Solana node, and what its answers mean: the `params` of a
//! JSON-RPC call, and readers for its `result`. No IO.
//!
//! Source: Solana documentation, "HTTP methods", and `TransactionError` of
//! the runtime, which nodes write as JSON.

use serde_json::{Value, json};

use super::settle::SignedTransaction;
use super::verify::VerifiedPayment;
use crate::encoding::encode_base64;
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

/// The `params` of `sendTransaction`. Without preflight, as it has been
/// simulated, and with `max_retries` re-sends by the node: 0 for who re-sends
/// by itself. The node answers with the signature, for a transaction that has
/// landed already too.
pub fn send_transaction_params(transaction: &SignedTransaction, max_retries: u32) -> Value {
    json!([
        transaction.to_base64(),
        {
            "encoding": "base64",
            "skipPreflight": true,
            "preflightCommitment": "confirmed",
            "maxRetries": max_retries,
        },
    ])
}

/// The `params` of `getSignatureStatuses`, for at most 256 signatures in
/// base58; also those that the node keeps no longer in memory.
pub fn get_signature_statuses_params(signatures: &[&str]) -> Value {
    json!([signatures, { "searchTransactionHistory": true }])
}

/// The `params` of `getLatestBlockhash`.
pub fn get_latest_blockhash_params() -> Value {
    json!([{ "commitment": "confirmed" }])
}

/// The `params` of `getBlockHeight`.
pub fn get_block_height_params() -> Value {
    json!([{ "commitment": "confirmed" }])
}

/// The `params` of `isBlockhashValid`, for a blockhash in base58.
pub fn is_blockhash_valid_params(blockhash: &str) -> Value {
    json!([blockhash, { "commitment": "confirmed" }])
}

/// A result that is not of the documented shape. The node's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedResult;

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

/// Reads the result of `simulateTransaction`.
pub fn parse_simulation(result: &Value) -> Result<SimulationOutcome, UnexpectedResult> {
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
        error if is_lack_of_tokens(error) => SimulationOutcome::Fails(Reason::InsufficientFunds),
        _ => SimulationOutcome::Fails(Reason::SvmSimulationFailed),
    })
}

/// Reads the result of `getSignatureStatuses`: one status for each signature
/// that was asked for, in the same order.
pub fn parse_signature_statuses(result: &Value) -> Result<Vec<Status>, UnexpectedResult> {
    let statuses = member(result, "value")?.as_array().ok_or(UnexpectedResult)?;
    statuses.iter().map(parse_status).collect()
}

/// Reads the result of `sendTransaction`: the transaction's id.
pub fn parse_sent(result: &Value) -> Result<&str, UnexpectedResult> {
    result.as_str().ok_or(UnexpectedResult)
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

/// Reads the result of `isBlockhashValid`.
pub fn parse_blockhash_valid(result: &Value) -> Result<bool, UnexpectedResult> {
    member(result, "value")?.as_bool().ok_or(UnexpectedResult)
}

fn parse_status(status: &Value) -> Result<Status, UnexpectedResult> {
    if status.is_null() {
        return Ok(Status::Unknown);
    }
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
    Ok(match (reached, error) {
        (Status::Processed, _) | (_, Value::Null) => reached,
        (_, error) if is_lack_of_tokens(error) => Status::Failed(Reason::InsufficientFunds),
        _ => Status::Failed(Reason::InvalidTransactionState),
    })
}

/// The transfer, instruction 2, failed with `TokenError::InsufficientFunds`.
fn is_lack_of_tokens(error: &Value) -> bool {
    *error == json!({ "InstructionError": [2, { "Custom": 1 }] })
}

/// The fee would leave account 0 with less than the rent it needs.
fn is_rent_of_the_fee_payer(error: &Value) -> bool {
    *error == json!({ "InsufficientFundsForRent": { "account_index": 0 } })
}

fn member<'a>(object: &'a Value, name: &str) -> Result<&'a Value, UnexpectedResult> {
    object.get(name).ok_or(UnexpectedResult)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(err: &Value) -> Result<SimulationOutcome, UnexpectedResult> {
        parse_simulation(&json!({
            "context": { "apiVersion": "2.1.0", "slot": 1 },
            "value": { "err": err, "logs": [], "unitsConsumed": 6_200, "accounts": null },
        }))
    }

    #[test]
    fn simulations_tell_whose_fault_it_is() {
        use SimulationOutcome::{
            AlreadyProcessed, BlockhashNotFound, Fails, FeePayerUnfunded, Succeeds,
        };
        let failed = Fails(Reason::SvmSimulationFailed);
        for (err, expected) in [
            (json!(null), Succeeds),
            (json!("BlockhashNotFound"), BlockhashNotFound),
            (json!("AlreadyProcessed"), AlreadyProcessed),
            (json!("InsufficientFundsForFee"), FeePayerUnfunded),
            (json!("AccountNotFound"), FeePayerUnfunded),
            (json!({ "InsufficientFundsForRent": { "account_index": 0 } }), FeePayerUnfunded),
            (json!({ "InsufficientFundsForRent": { "account_index": 1 } }), failed),
            (json!("SignatureFailure"), failed),
            (json!({ "InstructionError": [2, { "Custom": 1 }] }), Fails(Reason::InsufficientFunds)),
            (json!({ "InstructionError": [3, { "Custom": 1 }] }), failed),
            (json!({ "InstructionError": [2, { "Custom": 17 }] }), failed),
            (json!({ "InstructionError": [2, "InvalidAccountData"] }), failed),
            (json!({ "SomethingNew": [] }), failed),
        ] {
            assert_eq!(simulated(&err), Ok(expected), "{err}");
        }
        for wrong in [json!(null), json!({}), json!({ "value": null }), json!({ "value": {} })] {
            assert_eq!(parse_simulation(&wrong), Err(UnexpectedResult), "{wrong}");
        }
    }

    #[test]
    fn statuses_are_final_from_confirmed_on() {
        use Status::{Confirmed, Failed, Finalized, Processed, Unknown};
        let funds = json!({ "InstructionError": [2, { "Custom": 1 }] });
        let other = json!({ "InstructionError": [0, "ComputationalBudgetExceeded"] });
        let status = |err: &Value, reached: Value, confirmations: Value| {
            let status = json!({
                "slot": 48, "confirmations": confirmations, "err": err,
                "status": { "Ok": null }, "confirmationStatus": reached,
            });
            parse_signature_statuses(&json!({ "context": { "slot": 82 }, "value": [null, status] }))
        };
        let fine = Value::Null;
        for (err, reached, confirmations, expected) in [
            (&fine, json!("processed"), json!(0), Processed),
            (&fine, json!("confirmed"), json!(10), Confirmed),
            (&fine, json!("finalized"), json!(null), Finalized),
            (&fine, json!(null), json!(null), Finalized),
            (&fine, json!(null), json!(3), Processed),
            (&funds, json!("processed"), json!(0), Processed),
            (&funds, json!("confirmed"), json!(1), Failed(Reason::InsufficientFunds)),
            (&other, json!("finalized"), json!(null), Failed(Reason::InvalidTransactionState)),
        ] {
            let statuses = status(err, reached.clone(), confirmations);
            assert_eq!(statuses, Ok(vec![Unknown, expected]), "{reached}");
        }
        assert_eq!(status(&fine, json!("certain"), json!(1)), Err(UnexpectedResult));
        assert_eq!(parse_signature_statuses(&json!({ "value": [{}] })), Err(UnexpectedResult));
        assert_eq!(parse_signature_statuses(&json!([])), Err(UnexpectedResult));
    }

    #[test]
    fn params_are_those_of_the_documentation() {
        let signed = SignedTransaction { signature: "1".into(), raw: vec![1, 2, 3] };
        assert_eq!(
            simulate_transaction_params(&signed).to_string(),
            r#"["AQID",{"commitment":"confirmed","encoding":"base64","sigVerify":true}]"#
        );
        assert_eq!(
            send_transaction_params(&signed, 0),
            json!(["AQID", {
                "encoding": "base64", "skipPreflight": true,
                "preflightCommitment": "confirmed", "maxRetries": 0,
            }])
        );
        assert_eq!(
            get_signature_statuses_params(&["a", "b"]),
            json!([["a", "b"], { "searchTransactionHistory": true }])
        );
        assert_eq!(get_latest_blockhash_params(), json!([{ "commitment": "confirmed" }]));
        assert_eq!(get_block_height_params(), json!([{ "commitment": "confirmed" }]));
        assert_eq!(is_blockhash_valid_params("h"), json!(["h", { "commitment": "confirmed" }]));
    }

    #[test]
    fn results_are_read() {
        let latest = json!({
            "context": { "slot": 2792 },
            "value": { "blockhash": "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N",
                       "lastValidBlockHeight": 3090 },
        });
        let latest = parse_latest_blockhash(&latest).unwrap();
        assert_eq!(latest.blockhash, "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N");
        assert_eq!(latest.last_valid_block_height, 3090);
        assert_eq!(parse_latest_blockhash(&json!({ "value": {} })), Err(UnexpectedResult));
        assert_eq!(parse_block_height(&json!(1233)), Ok(1233));
        assert_eq!(parse_block_height(&json!("1233")), Err(UnexpectedResult));
        assert_eq!(parse_blockhash_valid(&json!({ "value": false })), Ok(false));
        assert_eq!(parse_blockhash_valid(&json!(true)), Err(UnexpectedResult));
        assert_eq!(parse_sent(&json!("2id3YC")), Ok("2id3YC"));
        assert_eq!(parse_sent(&json!(null)), Err(UnexpectedResult));
    }
}
