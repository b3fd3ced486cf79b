//! What a facilitator's answers mean: read by hand, in the current names and
//! in those of older facilitators.

use serde_json::Value;

use super::is_network;
use crate::protocol::{ChainId, Reason};

/// What came of asking a facilitator to check a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would take it.
    Valid,
    /// It would not.
    Invalid {
        /// Why, in our words.
        reason: Reason,
        /// Why, in its own: for the log.
        code: String,
    },
    /// It did not say: for the log.
    NoAnswer(String),
}

/// What came of asking a facilitator to settle a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It says that the seller has been paid.
    Paid {
        /// The transaction.
        transaction: String,
    },
    /// It refused the payment without sending it, or saw it fail on chain.
    /// That is the end of it only if it was never asked before: an earlier
    /// request may have settled what this one can't any more.
    Refused {
        /// Why, in our words.
        reason: Reason,
        /// Why, in its own: for the log.
        code: String,
    },
    /// The request was turned away at the door: it did nothing.
    NotTaken(u16),
    /// It was sent, in this transaction, and the chain has not spoken.
    Pending {
        /// The hash or signature.
        transaction: String,
    },
    /// It says that it has not, in words that may be said of what was sent: for the
    /// log.
    Doubted(String),
    /// Nobody knows: for the log.
    Unclear(String),
}

impl Settled {
    /// Whether it says that the seller was not paid, however certain that is.
    pub const fn says_no(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Doubted(_))
    }
}

impl Verdict {
    pub(super) fn read(status: u16, answer: &Value) -> Self {
        let code = word(answer.get("invalidReason"));
        match answer.get("isValid").and_then(Value::as_bool) {
            Some(true) if (200..300).contains(&status) => Self::Valid,
            // It could not look, so it does not say anything of the payment.
            Some(false) if code.starts_with("unexpected_") => Self::NoAnswer(code),
            Some(false) => {
                let reason = reason_of(&code).unwrap_or(Reason::InvalidPayload);
                // Which of the seller's keys it is may be in the message alone.
                let message = answer.get("invalidMessage").and_then(Value::as_str);
                let code = message.map_or(code.clone(), |it| format!("{code}: {}", plain(it)));
                Self::Invalid { reason, code }
            }
            Some(true) | None => Self::NoAnswer(format!("status {status}")),
        }
    }
}

impl Settled {
    pub(super) fn read(status: u16, answer: &Value, network: ChainId) -> Self {
        let first = |names: [&str; 2]| {
            let texts = names.into_iter().filter_map(|name| answer.get(name)?.as_str());
            texts.into_iter().find(|text| !text.is_empty())
        };
        let transaction = first(["transaction", "txHash"]).filter(|text| is_transaction(text));
        match answer.get("success").and_then(Value::as_bool) {
            Some(true) if (200..300).contains(&status) => {
                match (first(["network", "networkId"]), transaction) {
                    (Some(named), _) if !named.is_empty() && !is_network(named, network) => {
                        Self::Unclear(format!("names the network {}", plain(named)))
                    }
                    (_, Some(transaction)) => Self::Paid { transaction: transaction.to_owned() },
                    (_, None) => Self::Unclear("success without a transaction".into()),
                }
            }
            Some(false) => {
                let said = |name: &str| answer.get(name).filter(|said| !said.is_null());
                let code = word(said("errorReason").or_else(|| said("error")));
                if let (Some(transaction), true) =
                    (transaction, code == Reason::SettlementPending.code())
                {
                    return Self::Pending { transaction: transaction.to_owned() };
                }
                match final_reason(&code, transaction.is_some()) {
                    Some(reason) => Self::Refused { reason, code },
                    None => Self::Doubted(code),
                }
            }
            // At the door, before anybody looked at the payment. Not so 400 and
            // 429: some facilitators say that of any error, or pass on what
            // their node said, after sending too.
            None if matches!(status, 401 | 403 | 404 | 405 | 413) => Self::NotTaken(status),
            Some(true) | None => Self::Unclear(format!("status {status}")),
        }
    }
}

/// Our reason for a facilitator's code, if it says for certain that nothing of
/// the payment is on its way.
///
/// A code that is taken for final and isn't loses the buyer's money; one that
/// is final and isn't taken for it costs a wait until the payment's end.
fn final_reason(code: &str, has_transaction: bool) -> Option<Reason> {
    match code {
        // The reference says so of what landed and failed, and of what it had
        // trouble sending. Only the first has a transaction.
        "invalid_exact_evm_transaction_failed" | "invalid_exact_svm_transaction_failed" => {
            has_transaction.then_some(Reason::InvalidTransactionState)
        }
        "duplicate_settlement" => Some(Reason::DuplicateSettlement),
        // What it names was sent, whatever it says of it.
        _ if has_transaction => None,
        // Said after sending: of what landed and failed, and of what was not
        // there yet.
        "invalid_transaction_state" => None,
        _ => reason_of(code).or_else(|| is_a_check(code).then_some(Reason::InvalidPayload)),
    }
}

/// Whether a code is that of a check before anything is sent, in the words of the
/// reference implementations and of Faremeter. Others with names like these say so of
/// what was sent and did not come back (`invalid_exact_evm_failed_to_get_receipt`).
fn is_a_check(code: &str) -> bool {
    const NAMES: [&str; 14] = [
        "asset_not_deployed_contract",
        "fee_payer_not_managed_by_facilitator",
        "insufficient_balance",
        "invalid_exact_evm_eip3009_not_supported",
        "invalid_exact_evm_failed_to_parse_signature",
        "invalid_exact_evm_missing_eip712_domain",
        "invalid_exact_evm_scheme",
        "invalid_exact_evm_token_name_mismatch",
        "invalid_exact_evm_token_version_mismatch",
        "invalid_exact_svm_fee_payer_mismatch",
        "invalid_exact_svm_fee_payer_not_managed_by_facilitator",
        "invalid_exact_svm_network_mismatch",
        "invalid_payment",
        "network_mismatch",
    ];
    const BEGINNINGS: [&str; 8] = [
        "eip2612_",
        "invalid_exact_evm_payload_",
        "invalid_exact_solana_payload_",
        "invalid_exact_svm_payload_",
        "invalid_payment_",
        "invalid_permit2_",
        "permit2_invalid_",
        "unsupported_",
    ];
    // Whatever it begins with.
    const SENT: [&str; 8] =
        ["broadcast", "confirm", "execut", "receipt", "send", "settle", "timed_out", "timeout"];
    let begins = || BEGINNINGS.iter().any(|beginning| code.starts_with(beginning));
    (NAMES.contains(&code) || begins()) && !SENT.iter().any(|word| code.contains(word))
}

/// Our reason for a facilitator's code that means the same. None for what is
/// no reason of the payment's: trouble of the facilitator's own.
fn reason_of(code: &str) -> Option<Reason> {
    match code {
        "invalid_exact_evm_signature" => Some(Reason::EvmSignature),
        "invalid_exact_evm_recipient_mismatch" => Some(Reason::EvmRecipientMismatch),
        "invalid_exact_evm_insufficient_balance" => Some(Reason::InsufficientFunds),
        "invalid_exact_evm_network_mismatch" => Some(Reason::InvalidNetwork),
        "unsupported_scheme" => Some(Reason::InvalidScheme),
        // In Faremeter's words, and in those of the token, which some pass on.
        _ if code.contains("already used") || code.contains("used or canceled") => {
            Some(Reason::EvmNonceUsed)
        }
        "invalid_exact_evm_payload_authorization_value"
        | "invalid_exact_evm_authorization_value" => Some(Reason::EvmValueMismatch),
        _ => Reason::from_code(code).filter(|reason| {
            !matches!(
                reason,
                Reason::SettlementPending
                    | Reason::UnexpectedSettleError
                    | Reason::UnexpectedVerifyError
            )
        }),
    }
}

/// Whether a text can be the hash or signature of a transaction. What it is
/// goes into receipts, so it must not be just anything.
fn is_transaction(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A code as it goes into the log.
fn word(value: Option<&Value>) -> String {
    plain(value.and_then(Value::as_str).unwrap_or("no reason"))
}

/// A stranger's text as it goes into the log: short and harmless.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || " _-:.".contains(*c);
    text.chars().filter(is_plain).take(96).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BASE: ChainId = ChainId::Evm(84_532);
    const HASH: &str = "0x5555555555555555555555555555555555555555555555555555555555555555";

    fn settled(answer: &Value) -> Settled {
        Settled::read(200, answer, BASE)
    }

    #[test]
    fn a_settlement_is_read_in_current_and_in_older_names() {
        let paid = Settled::Paid { transaction: HASH.into() };
        for answer in [
            json!({ "success": true, "transaction": HASH, "network": "eip155:84532", "payer": "0x" }),
            json!({ "success": true, "transaction": HASH, "network": "base-sepolia" }),
            json!({ "success": true, "transaction": HASH, "network": "" }),
            json!({ "success": true, "transaction": HASH }),
            json!({ "success": true, "txHash": HASH, "networkId": "84532" }),
            json!({ "success": true, "txHash": HASH, "networkId": "base-sepolia", "error": null }),
            json!({ "success": true, "txHash": HASH, "networkId": null }),
        ] {
            assert_eq!(settled(&answer), paid, "{answer}");
        }
        for answer in [
            json!({ "success": false, "errorReason": "insufficient_funds", "transaction": "" }),
            json!({ "success": false, "error": "insufficient_funds", "txHash": null }),
            json!({ "success": false, "error": "insufficient_funds", "errorReason": null }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_insufficient_balance" }),
        ] {
            let read = settled(&answer);
            assert!(
                matches!(read, Settled::Refused { reason: Reason::InsufficientFunds, .. }),
                "{answer}: {read:?}"
            );
        }
    }

    #[test]
    fn what_facilitators_call_used_in_their_own_words_is_final() {
        for words in [
            "Authorization already used on-chain",
            "execution reverted: FiatTokenV2: authorization is used or canceled",
        ] {
            let read = settled(&json!({ "success": false, "errorReason": words }));
            assert!(
                matches!(read, Settled::Refused { reason: Reason::EvmNonceUsed, .. }),
                "{words}: {read:?}"
            );
        }
    }

    #[test]
    fn a_transaction_that_is_pending_is_told() {
        let pending = |transaction: &str| {
            settled(&json!({ "success": false, "errorReason": "settlement_pending",
                "transaction": transaction }))
        };
        assert_eq!(pending(HASH), Settled::Pending { transaction: HASH.into() });
        assert!(matches!(pending(""), Settled::Doubted(_)));
    }

    #[test]
    fn what_is_not_plain_is_unclear() {
        for answer in [
            json!(null),
            json!([]),
            json!("success"),
            json!({}),
            json!({ "success": "true", "transaction": HASH }),
            json!({ "success": true }),
            json!({ "success": true, "transaction": "" }),
            json!({ "success": true, "transaction": "remote/1" }),
            json!({ "success": true, "transaction": "a".repeat(129) }),
            json!({ "success": true, "transaction": HASH, "network": "base" }),
            json!({ "success": false }),
            json!({ "success": false, "errorReason": "unexpected_settle_error" }),
            json!({ "success": false, "errorReason": "transaction_failed", "transaction": "" }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_transaction_failed" }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_transfer_event_mismatch" }),
            json!({ "success": false, "errorReason": "we_are_busy" }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_failed_to_get_receipt" }),
            json!({ "success": false,
                "errorReason": "invalid_exact_evm_failed_to_execute_transfer" }),
            json!({ "success": false,
                "errorReason": "invalid_exact_solana_transaction_confirmation_failed" }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_something_new" }),
            json!({ "success": false, "errorReason": "permit2_settle_timed_out" }),
            json!({ "success": false, "errorReason": "insufficient_funds",
                "transaction": HASH }),
            json!({ "success": false, "errorReason": "invalid_exact_evm_nonce_already_used",
                "transaction": HASH }),
            json!({ "success": false, "errorReason": "invalid_transaction_state" }),
            json!({ "success": false, "errorReason": "invalid_transaction_state",
                "transaction": HASH, "network": "eip155:84532" }),
        ] {
            let read = settled(&answer);
            let is_no = answer.get("success").is_some_and(|it| *it == json!(false));
            assert_eq!(matches!(read, Settled::Doubted(_)), is_no, "{answer}: {read:?}");
            assert!(is_no || matches!(read, Settled::Unclear(_)), "{answer}: {read:?}");
        }
    }

    #[test]
    fn a_status_counts_where_there_is_no_verdict() {
        let good = json!({ "success": true, "transaction": HASH });
        let bad = json!({ "success": false, "errorReason": "insufficient_funds" });
        for status in [401, 403, 404, 405, 413] {
            let read = Settled::read(status, &json!({ "error": "no" }), BASE);
            assert_eq!(read, Settled::NotTaken(status));
        }
        for status in [301, 302, 400, 402, 408, 409, 422, 429, 500, 502, 503, 504] {
            let read = Settled::read(status, &Value::Null, BASE);
            assert!(matches!(read, Settled::Unclear(_)), "{status}: {read:?}");
            let read = Settled::read(status, &good, BASE);
            assert!(matches!(read, Settled::Unclear(_)), "{status}: {read:?}");
            let read = Settled::read(status, &bad, BASE);
            assert!(matches!(read, Settled::Refused { .. }), "{status}: {read:?}");
        }
    }

    #[test]
    fn a_verdict_is_valid_invalid_or_none() {
        let read = |status, answer: Value| Verdict::read(status, &answer);
        assert_eq!(read(200, json!({ "isValid": true, "payer": "0x" })), Verdict::Valid);
        let invalid = |code: &str| read(400, json!({ "isValid": false, "invalidReason": code }));
        for (code, reason) in [
            ("invalid_exact_evm_signature", Reason::EvmSignature),
            ("invalid_exact_evm_payload_signature", Reason::EvmSignature),
            ("invalid_exact_evm_nonce_already_used", Reason::EvmNonceUsed),
            ("invalid_exact_svm_transaction_simulation_failed", Reason::SvmSimulationFailed),
            ("payer_is_not_welcome", Reason::InvalidPayload),
        ] {
            assert_eq!(invalid(code), Verdict::Invalid { reason, code: code.into() });
        }
        for (status, answer) in [
            (200, json!({})),
            (200, json!({ "isValid": "true" })),
            (500, json!({ "isValid": true })),
            (401, json!({ "error": "no" })),
            (200, json!({ "isValid": false, "invalidReason": "unexpected_verify_error" })),
        ] {
            let read = read(status, answer.clone());
            assert!(matches!(read, Verdict::NoAnswer(_)), "{answer}: {read:?}");
        }
    }

    #[test]
    fn what_a_stranger_says_goes_into_the_log_short_and_harmless() {
        let long =
            json!({ "success": false, "errorReason": format!("a\n\u{1b}[31m{}", "x".repeat(999)) });
        let Settled::Doubted(why) = settled(&long) else { panic!() };
        assert_eq!(why.len(), 96);
        assert!(why.starts_with("a31mxxx"), "{why}");
    }
}
