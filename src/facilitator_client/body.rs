//! What a facilitator is asked with: one body for `/verify` and `/settle`.

use serde_json::{Map, Value};

use crate::json::json;
use crate::payment::VerifiedPayment;
use crate::protocol::payment::BAZAAR;
use crate::protocol::requirements::{EXACT, PaymentRequirementsV1};
use crate::protocol::{PaymentRequirements, Version};

/// What the seller says of what is sold, for catalogues that facilitators keep.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The members of the v2 `resource` besides its URL.
    pub resource: Map<String, Value>,
    /// The extensions of the challenge. Of them only `bazaar` is passed on, and
    /// of the client's only what it has signed besides its payment.
    pub extensions: Map<String, Value>,
}

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
    about: About,
) -> Value {
    let url = url.split('?').next().unwrap_or_default();
    let (payload, signed) = (payment.payload(), payment.extensions());
    match (version, v1) {
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
                "paymentRequirements": terms.to_value(),
            })
        }
        (Version::V1 | Version::V2, _) => {
            let terms = v2.without_hints().to_value();
            let About { mut resource, mut extensions } = about;
            resource.insert("url".into(), json!(url));
            let mut payment = json!({
                "x402Version": 2,
                "resource": resource,
                "accepted": terms,
                "payload": payload,
            });
            let bazaar = extensions.remove(BAZAAR).map(|it| (BAZAAR.to_owned(), it));
            let mut told: Map<_, _> = signed;
            told.extend(bazaar);
            if let Some(payment) = payment.as_object_mut().filter(|_| !told.is_empty()) {
                payment.insert("extensions".into(), Value::Object(told));
            }
            json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": terms })
        }
    }
}
