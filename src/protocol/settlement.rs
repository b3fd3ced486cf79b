//! The receipt: `SettlementResponse`.

use super::Reason;
use crate::amount::AtomicAmount;
use crate::json::to_text;
use crate::json_struct;

/// What became of a payment, as the client reads it from the receipt header
/// (`SettlementResponse`; [x402 v1, 5.3], [x402 v2, 5.3]).
///
/// [x402 v1, 5.3]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v1.md
/// [x402 v2, 5.3]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementResponse {
    /// Whether the seller has been paid.
    pub success: bool,
    /// Why not.
    pub error_reason: Option<Reason>,
    /// Who paid, if that is known.
    pub payer: Option<String>,
    /// The transaction's hash or signature; empty if there is none.
    pub transaction: String,
    /// The network's name in the client's version of the protocol.
    pub network: String,
    /// What was paid, in atomic units.
    pub amount: Option<AtomicAmount>,
}

json_struct!(SettlementResponse {
    success,
    error_reason as "errorReason",
    payer,
    transaction,
    network,
    amount,
});

impl SettlementResponse {
    /// The receipt as it goes into a header: base64 of JSON. Readers of v1, which
    /// knows networks by plain names, look for `errorReason` on success, too.
    pub fn to_header(&self) -> String {
        let mut receipt = to_text(self);
        if self.success && !self.network.contains(':') {
            receipt = receipt.replacen("true", "true,\"errorReason\":null", 1);
        }
        crate::encoding::encode_base64(receipt.as_bytes())
    }
}
