//! Payment requirements: what a seller asks for, in the shapes of v1 and v2.

use serde::Serialize;
use serde_json::{Map, Value};

use super::ChainId;
use crate::amount::AtomicAmount;

/// The only scheme there is here: the exact amount, no more and no less.
pub const EXACT: &str = "exact";

/// `PaymentRequirements` of v2 (x402 v2 specification, section 5.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// `exact`.
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
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// `PaymentRequirements` of v1 (x402 v1 specification, section 5.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
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
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Members of `extra` that only help a client without an RPC of its own.
/// They change from one challenge to the next and bind nobody, so they are
/// left out when requirements are compared.
const HINTS: &[&str] = &["recentBlockhash", "lastValidBlockHeight", "decimals", "tokenProgram"];

impl PaymentRequirements {
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
            max_timeout_seconds: value.get("maxTimeoutSeconds")?.as_u64()?,
            extra: match value.get("extra") {
                Some(extra) => extra.as_object()?.clone(),
                None => Map::new(),
            },
        })
    }

    /// Whether a client that says it accepted `self` accepted `ours`: the same
    /// terms, hints aside.
    pub fn same_terms(&self, ours: &Self) -> bool {
        self.scheme == ours.scheme
            && self.network == ours.network
            && self.amount == ours.amount
            && self.asset == ours.asset
            && self.pay_to == ours.pay_to
            && self.max_timeout_seconds == ours.max_timeout_seconds
            && without_hints(&self.extra).eq(without_hints(&ours.extra))
    }
}

/// The members of `extra` that bind, in the order of their names.
fn without_hints(extra: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    extra.iter().filter(|(key, _)| !HINTS.contains(&key.as_str()))
}
