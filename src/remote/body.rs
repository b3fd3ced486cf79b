//! What a facilitator is asked with: one body for `/verify` and `/settle`.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::encoding::encode_base64;
use crate::exact::VerifiedPayment;
use crate::protocol::requirements::{EXACT, PaymentRequirementsV1};
use crate::protocol::{PaymentRequirements, Version};

/// The body for `/verify` and `/settle`: the payment, and what it must be.
///
/// The payment is written anew from what was read and checked here: members
/// that a client added could mean another payment to a facilitator which
/// knows them. Of the request it holds the URL, and that without its query.
pub fn payment_body(
    version: Version,
    v2: &PaymentRequirements,
    v1: Option<&PaymentRequirementsV1>,
    payment: &VerifiedPayment,
    url: &str,
) -> Option<Box<RawValue>> {
    let url = url.split('?').next().unwrap_or_default();
    let payload = payload_of(payment);
    let body = match (version, v1) {
        (Version::V1, Some(v1)) => {
            let mut terms = v1.clone();
            url.clone_into(&mut terms.resource);
            json!({
                "x402Version": 1,
                "paymentPayload": {
                    "x402Version": 1,
                    "scheme": EXACT,
                    "network": v1.network,
                    "payload": payload,
                },
                "paymentRequirements": terms,
            })
        }
        (Version::V1 | Version::V2, _) => {
            let terms = json!(v2.without_hints());
            json!({
                "x402Version": 2,
                "paymentPayload": {
                    "x402Version": 2,
                    "resource": { "url": url },
                    "accepted": terms,
                    "payload": payload,
                },
                "paymentRequirements": terms,
            })
        }
    };
    RawValue::from_string(body.to_string()).ok()
}

fn payload_of(payment: &VerifiedPayment) -> Value {
    match payment {
        VerifiedPayment::Evm(payment) => json!({
            "signature": payment.signature().to_string(),
            "authorization": {
                "from": payment.from(),
                "to": payment.to(),
                "value": payment.value(),
                "validAfter": payment.valid_after().to_string(),
                "validBefore": payment.valid_before().to_string(),
                "nonce": crate::encoding::encode_hex(payment.nonce()),
            },
        }),
        VerifiedPayment::Solana(payment) => {
            json!({ "transaction": encode_base64(&payment.transaction().to_bytes()) })
        }
    }
}
