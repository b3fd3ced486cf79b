//! Payment requirements: what a seller asks for, in the shapes of v1 and v2.

use serde_json::{Map, Value};

use super::ChainId;
use crate::amount::AtomicAmount;
use crate::json::{json, whole_number};

/// The scheme of the exact amount, no more and no less.
pub const EXACT: &str = "exact";

/// The scheme of what was used, and of an amount at most.
pub const UPTO: &str = "upto";

/// `PaymentRequirements` of v2 ([x402 v2, 5.1]).
///
/// [x402 v2, 5.1]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRequirements {
    /// `exact` or `upto`.
    pub scheme: String,
    /// CAIP-2.
    pub network: ChainId,
    /// Atomic units of the asset.
    pub amount: AtomicAmount,
    /// The token's address or mint.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// The scheme's own fields: the EIP-712 domain, or the fee payer.
    pub extra: Map<String, Value>,
}

/// `PaymentRequirements` of v1 ([x402 v1, 5.1]).
///
/// [x402 v1, 5.1]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v1.md
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRequirementsV1 {
    /// `exact`.
    pub scheme: String,
    /// The v1 name: `base-sepolia`.
    pub network: String,
    /// Atomic units of the asset.
    pub max_amount_required: AtomicAmount,
    /// The token's address or mint.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// The URL that is sold.
    pub resource: String,
    /// What it is, for people.
    pub description: String,
    /// The media type of the answer; empty if unknown.
    pub mime_type: String,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// The scheme's own fields.
    pub extra: Map<String, Value>,
}

/// Members of `extra` that only help a client without an RPC of its own, or that
/// it hands back. They change from one challenge to the next and bind nobody, so
/// they are left out when requirements are compared.
const HINTS: &[&str] =
    &["recentBlockhash", "lastValidBlockHeight", "decimals", "tokenProgram", QUOTE];

/// The member of `extra` by which the gate knows again what an origin has asked for
/// a request: the gate's own.
pub const QUOTE: &str = "quote";

/// The member of `extra` that names how a token is moved on EVM.
pub const TRANSFER_METHOD: &str = "assetTransferMethod";

/// The member of `extra` that names who settles what is paid by use.
pub const FACILITATOR_ADDRESS: &str = "facilitatorAddress";

/// The member of `extra` that names when a payment is settled ([payment flow]).
///
/// [payment flow]: https://github.com/x402-foundation/x402/blob/main/specs/payment-flow.md
pub const PAYMENT_FLOW: &str = "paymentFlow";

/// Its value where a payment is settled before the resource is made.
pub const UPFRONT: &str = "upfront";

/// Members of `extra` that change how a payment is made, and what they mean
/// where they are absent.
const MEANT_WHEN_ABSENT: &[(&str, &str)] =
    &[(TRANSFER_METHOD, "eip3009"), (PAYMENT_FLOW, "authorization")];

/// Adds what the scheme says of itself, if it does.
fn with_extra(mut terms: Value, extra: &Map<String, Value>) -> Value {
    if let Some(terms) = terms.as_object_mut().filter(|_| !extra.is_empty()) {
        terms.insert("extra".into(), Value::Object(extra.clone()));
    }
    terms
}

impl PaymentRequirementsV1 {
    /// The requirements as JSON.
    pub fn to_value(&self) -> Value {
        let terms = json!({
            "scheme": self.scheme,
            "network": self.network,
            "maxAmountRequired": self.max_amount_required.to_string(),
            "asset": self.asset,
            "payTo": self.pay_to,
            "resource": self.resource,
            "description": self.description,
            "mimeType": self.mime_type,
            "maxTimeoutSeconds": self.max_timeout_seconds,
        });
        with_extra(terms, &self.extra)
    }
}

impl PaymentRequirements {
    /// The requirements as JSON.
    pub fn to_value(&self) -> Value {
        let terms = json!({
            "scheme": self.scheme,
            "network": self.network.to_string(),
            "amount": self.amount.to_string(),
            "asset": self.asset,
            "payTo": self.pay_to,
            "maxTimeoutSeconds": self.max_timeout_seconds,
        });
        with_extra(terms, &self.extra)
    }

    /// The same terms without hints.
    #[must_use]
    pub fn without_hints(&self) -> Self {
        let mut terms = self.clone();
        terms.extra.retain(|key, _| !HINTS.contains(&key.as_str()));
        terms
    }

    /// Reads requirements as a client repeats them; `None` for what can't be
    /// ours. Members that they don't have are passed over.
    pub fn read(value: &Value) -> Option<Self> {
        let text = |name| value.get(name)?.as_str();
        Some(Self {
            scheme: text("scheme")?.to_owned(),
            network: text("network")?.parse().ok()?,
            amount: text("amount")?.parse().ok()?,
            asset: text("asset")?.to_owned(),
            pay_to: text("payTo")?.to_owned(),
            max_timeout_seconds: whole_number(value.get("maxTimeoutSeconds")?)?,
            extra: match value.get("extra") {
                Some(Value::Null) | None => Map::new(),
                Some(extra) => extra.as_object()?.clone(),
            },
        })
    }

    /// Whether a client that says it accepted `self` accepted `ours`: the same
    /// terms, hints aside. Its `extra` may hold more, as long as that doesn't
    /// name another way to pay.
    pub fn same_terms(&self, ours: &Self) -> bool {
        self.scheme == ours.scheme
            && self.network == ours.network
            && self.amount == ours.amount
            && self.asset == ours.asset
            && self.pay_to == ours.pay_to
            && self.max_timeout_seconds == ours.max_timeout_seconds
            && ours.extra.iter().all(|(key, value)| {
                // A client that knows nothing of flows leaves that one out.
                HINTS.contains(&key.as_str())
                    || key == PAYMENT_FLOW
                    // `upto` has one method: its specification's example is silent.
                    || (key == TRANSFER_METHOD
                        && ours.scheme == UPTO
                        && self.extra.get(key).is_none_or(Value::is_null))
                    || self.extra.get(key) == Some(value)
            })
            && MEANT_WHEN_ABSENT.iter().all(|(key, meant)| match self.extra.get(*key) {
                Some(Value::Null) | None => true,
                Some(named) => match ours.extra.get(*key) {
                    Some(ours) => named == ours,
                    None => named.as_str() == Some(meant),
                },
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extra: &Value) -> PaymentRequirements {
        let value = json!({
            "scheme": "exact", "network": "eip155:8453", "amount": "1", "asset": "a",
            "payTo": "b", "maxTimeoutSeconds": 60, "extra": extra,
        });
        PaymentRequirements::read(&value).unwrap()
    }

    #[test]
    fn a_client_may_say_more_and_nothing_else() {
        let ours = with(&json!({ "name": "USDC", "version": "2", "decimals": 6 }));
        for good in [
            json!({ "name": "USDC", "version": "2" }),
            json!({ "name": "USDC", "version": "2", "decimals": 7, "recentBlockhash": "x" }),
            json!({ "name": "USDC", "version": "2", "assetTransferMethod": "eip3009" }),
            json!({ "name": "USDC", "version": "2", "assetTransferMethod": null }),
            json!({ "name": "USDC", "version": "2", "paymentFlow": "authorization" }),
            json!({ "name": "USDC", "version": "2", "paymentFlow": null, "more": { "a": [1] } }),
        ] {
            assert!(with(&good).same_terms(&ours), "{good}");
        }
        for bad in [
            json!(null),
            json!({}),
            json!({ "name": "USDC" }),
            json!({ "name": "USDC", "version": 2 }),
            json!({ "name": "USD Coin", "version": "2" }),
            json!({ "name": "USDC", "version": "2", "assetTransferMethod": "permit2" }),
            json!({ "name": "USDC", "version": "2", "assetTransferMethod": 1 }),
            json!({ "name": "USDC", "version": "2", "paymentFlow": "upfront" }),
            json!({ "name": "USDC", "version": "2", "paymentFlow": "escrow" }),
        ] {
            assert!(!with(&bad).same_terms(&ours), "{bad}");
        }
    }

    /// x402, `upto` on EVM: `accepted` of the example names no method.
    #[test]
    fn paid_by_use_no_method_means_permit2() {
        let file = include_str!("../../tests/data/specification/upto-evm.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let accepted = &file["examples"]["PaymentPayload"]["accepted"];
        let theirs = PaymentRequirements::read(accepted).unwrap();
        let mut ours = theirs.clone();
        ours.extra.insert(TRANSFER_METHOD.into(), json!("permit2"));
        assert!(theirs.same_terms(&ours));
        let mut other = theirs.clone();
        other.extra.insert(TRANSFER_METHOD.into(), json!("eip3009"));
        assert!(!other.same_terms(&ours));
        // By `exact` nothing said is another method.
        let (mut exact, mut of_exact) = (theirs, ours);
        exact.scheme = EXACT.into();
        of_exact.scheme = EXACT.into();
        assert!(!exact.same_terms(&of_exact));
    }

    #[test]
    fn what_is_settled_before_is_not_accepted_as_something_else() {
        let ours = with(&json!({ "paymentFlow": "upfront" }));
        for same in [json!({ "paymentFlow": "upfront" }), json!({}), json!({ "paymentFlow": null })]
        {
            assert!(with(&same).same_terms(&ours), "{same}");
        }
        for other in [json!({ "paymentFlow": "authorization" }), json!({ "paymentFlow": true })] {
            assert!(!with(&other).same_terms(&ours), "{other}");
        }
    }
}
