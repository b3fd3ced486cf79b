//! What `/verify` and `/settle` say: `VerifyResponse` and `SettlementResponse`
//! (x402 v2 specification, sections 7.1 and 7.2).

use serde_json::{Map, Value};

use super::{BadRequest, Endpoint, Order};
use crate::json::{json, to_value};
use crate::protocol::{Reason, SettlementResponse};
use crate::settlement::{Outcome, Verdict};
use crate::time::UnixSeconds;

/// An answer: HTTP status, JSON, and when to come again, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// 200.
    pub const fn ok(body: Value) -> Self {
        Self { status: 200, body, retry_after: None }
    }
}

/// What is said of a request that can't be read. It says so in the shape of
/// the endpoint's own answer, because that is what clients look for first.
pub fn bad_request(endpoint: Endpoint, bad: &BadRequest) -> Answer {
    let text = format!("{} {}", bad.field, bad.problem);
    let mut body = refusal(endpoint, bad.reason, &text);
    if let Some(body) = body.as_object_mut() {
        body.insert("field".into(), json!(bad.field));
    }
    Answer { status: 400, body, retry_after: None }
}

/// What is said where nothing can be done now.
pub fn try_later(endpoint: Endpoint, status: u16, text: &str, seconds: u64) -> Answer {
    let reason = match endpoint {
        Endpoint::Verify => Reason::UnexpectedVerifyError,
        _ => Reason::UnexpectedSettleError,
    };
    let body = refusal(endpoint, reason, text);
    Answer { status, body, retry_after: Some(seconds) }
}

/// An error, with what the endpoint's answers always hold.
fn refusal(endpoint: Endpoint, reason: Reason, text: &str) -> Value {
    let mut body = match endpoint {
        Endpoint::Verify => {
            json!({ "isValid": false, "invalidReason": reason.code(), "invalidMessage": text })
        }
        Endpoint::Settle => json!({
            "success": false, "errorReason": reason.code(), "errorMessage": text,
            "transaction": "", "network": "",
        }),
        Endpoint::Accepts => json!({ "x402Version": 2, "accepts": [] }),
        Endpoint::Supported | Endpoint::Resources | Endpoint::Unknown => json!({}),
    };
    if let Some(body) = body.as_object_mut() {
        body.insert("error".into(), json!(text));
    }
    body
}

/// The answer of `/verify`: to a payment that failed a local check, or to one
/// of this payer's of which the chain was asked.
pub fn verified(verdict: Verdict, payer: Option<String>, now: UnixSeconds) -> Answer {
    let mut body = Map::new();
    match verdict {
        Verdict::Valid => {
            body.insert("isValid".into(), json!(true));
        }
        Verdict::Invalid(reason) => {
            body.insert("isValid".into(), json!(false));
            body.insert("invalidReason".into(), json!(reason.code()));
        }
        Verdict::Unknown => {
            let text = "the chain can't be reached right now; nothing was done";
            return try_later(Endpoint::Verify, 503, text, RETRY_SECONDS);
        }
        Verdict::FeeExceedsPrice => {
            let text =
                "sending it could cost more in fees than it pays right now; nothing was done";
            return try_later(Endpoint::Verify, 503, text, RETRY_SECONDS);
        }
        Verdict::LimitReached => {
            return try_later(Endpoint::Verify, 429, LIMIT_REACHED, now.to_midnight());
        }
    }
    if let Some(payer) = payer {
        body.insert("payer".into(), json!(payer));
    }
    Answer::ok(Value::Object(body))
}

/// The same answer with the names that its members once had, for guides from
/// that time. They are the ones that send a payment without requirements.
pub fn with_older_names(endpoint: Endpoint, mut answer: Answer) -> Answer {
    let Some(body) = answer.body.as_object_mut() else { return answer };
    let said = |name: &str| body.get(name).filter(|it| *it != "").cloned().unwrap_or_default();
    let older = match endpoint {
        Endpoint::Verify => vec![("invalidReason", said("invalidReason"))],
        Endpoint::Settle => vec![
            ("txHash", said("transaction")),
            ("networkId", said("network")),
            ("error", said("errorReason")),
        ],
        _ => vec![],
    };
    for (name, value) in older {
        body.entry(name).or_insert(value);
    }
    answer
}

/// What is said when an account, or a key, has spent what it may in a day.
const LIMIT_REACHED: &str = "the day's limit on fees is reached; nothing was charged";

/// How soon to ask again about what is not decided, in seconds.
const RETRY_SECONDS: u64 = 2;

/// The answer of `/settle`, at this time.
pub fn settled(order: &Order, outcome: Outcome, payer: Option<&str>, now: UnixSeconds) -> Answer {
    let failed = |reason, transaction: Option<String>| SettlementResponse {
        success: false,
        error_reason: Some(reason),
        payer: payer.map(str::to_owned),
        transaction: transaction.unwrap_or_default(),
        network: order.network_name.clone(),
        amount: None,
    };
    let response = match outcome {
        Outcome::Settled(settlement) => SettlementResponse {
            success: true,
            error_reason: None,
            payer: Some(settlement.payer),
            transaction: settlement.transaction,
            network: order.network_name.clone(),
            amount: Some(settlement.amount),
        },
        Outcome::Failed { reason: Reason::UnexpectedSettleError, .. } | Outcome::Unavailable => {
            let text =
                "the chain can't be reached right now; ask again, it is charged once at most";
            return try_later(Endpoint::Settle, 503, text, RETRY_SECONDS);
        }
        Outcome::Crowded { seconds } => {
            let text = "many payments are before this one; nothing was charged";
            return try_later(Endpoint::Settle, 503, text, seconds);
        }
        Outcome::LimitReached => {
            return try_later(Endpoint::Settle, 429, LIMIT_REACHED, now.to_midnight());
        }
        Outcome::Failed { reason, transaction } => failed(reason, transaction),
        // `settlement_pending` must name a transaction.
        Outcome::Pending { transaction: None } => {
            let text = "not known yet whether it is settled; ask again, it is charged once at most";
            return try_later(Endpoint::Settle, 503, text, RETRY_SECONDS);
        }
        Outcome::Pending { transaction: Some(transaction) } => {
            failed(Reason::SettlementPending, Some(transaction.into_string()))
        }
    };
    let is_pending = response.error_reason == Some(Reason::SettlementPending);
    Answer { retry_after: is_pending.then_some(RETRY_SECONDS), ..Answer::ok(to_value(&response)) }
}
