//! Payment requirements: what a seller asks for, in the shapes of v1 and v2.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ChainId;
use crate::amount::AtomicAmount;

/// The only scheme there is here: the exact amount, no more and no less.
pub const EXACT: &str = "exact";

/// `PaymentRequirements` of v2 (x402 v2 specification, section 5.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// `PaymentRequirements` of v1 (x402 v1 specification, section 5.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(default)]
    pub description: String,
    /// The media type of the answer; empty if unknown.
    #[serde(default)]
    pub mime_type: String,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// The scheme's own fields.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
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

    /// Whether a client that says it accepted `self` accepted `ours`: the same
    /// terms, hints aside.
    pub fn same_terms(&self, ours: &Self) -> bool {
        let without_hints = |extra: &Map<String, Value>| -> Map<String, Value> {
            let kept = extra.iter().filter(|(key, _)| !HINTS.contains(&key.as_str()));
            kept.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        self.scheme == ours.scheme
            && self.network == ours.network
            && self.amount == ours.amount
            && self.asset == ours.asset
            && self.pay_to == ours.pay_to
            && self.max_timeout_seconds == ours.max_timeout_seconds
            && without_hints(&self.extra) == without_hints(&ours.extra)
    }
}
