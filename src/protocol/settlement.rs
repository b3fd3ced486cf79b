//! The receipt: `SettlementResponse` (x402 v2 specification, section 5.3).

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::amount::AtomicAmount;

/// What became of a payment, as the client reads it from the receipt header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementResponse {
    /// Whether the seller has been paid.
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<Reason>,
    /// Who paid, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The transaction's hash or signature; empty if there is none.
    pub transaction: String,
    /// The network's name in the client's version of the protocol.
    pub network: String,
    /// What was paid, in atomic units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<AtomicAmount>,
}

impl SettlementResponse {
    /// The receipt as it goes into a header: base64 of JSON. Readers of v1, which
    /// knows networks by plain names, look for `errorReason` on success, too.
    pub fn to_header(&self) -> String {
        let mut receipt = serde_json::to_string(self).unwrap_or_default();
        if self.success && !self.network.contains(':') {
            receipt = receipt.replacen("true", "true,\"errorReason\":null", 1);
        }
        crate::encoding::encode_base64(receipt.as_bytes())
    }
}
