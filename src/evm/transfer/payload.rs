//! The payment on the wire: `payload` of `exact` on EVM.

use serde_json::Value;

use crate::encoding::decode_hex;
use crate::evm::{Address, Uint256};
use crate::protocol::Reason;

/// What a client sends as `payload` (x402, exact on EVM): every member read,
/// nothing checked. The signature is still a text, because one that can't be
/// a signature is refused as a wrong signature, not as an unreadable payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactEvmPayload {
    /// A [`Signature`](crate::evm::Signature) in hex, or a wallet's, if the client is honest.
    pub signature: String,
    /// What was signed.
    pub authorization: Authorization,
}

/// A `TransferWithAuthorization` (EIP-3009): the payer lets anyone who holds
/// the signature move `value` from them to `to`, once, in a window of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// How much, in atomic units of the token.
    pub value: Uint256,
    /// The transfer can land only in a block later than this, in Unix seconds.
    pub valid_after: Uint256,
    /// The transfer can land only in a block before this, in Unix seconds.
    pub valid_before: Uint256,
    /// 32 bytes of the payer's choice; the token takes each once per payer.
    pub nonce: [u8; 32],
}

impl ExactEvmPayload {
    /// Reads the payload: an object whose values are strings, numbers being
    /// canonical decimal strings and the nonce `0x` and 64 hex digits.
    /// Members that this scheme does not have are passed over.
    ///
    /// # Errors
    /// [`Reason::InvalidPayload`] for whatever can't be read.
    pub fn read(payload: &Value) -> Result<Self, Reason> {
        Self::try_read(payload).ok_or(Reason::InvalidPayload)
    }

    fn try_read(payload: &Value) -> Option<Self> {
        let authorization = payload.get("authorization")?;
        let text = |key: &str| authorization.get(key)?.as_str();
        Some(Self {
            signature: payload.get("signature")?.as_str()?.to_owned(),
            authorization: Authorization {
                from: text("from")?.parse().ok()?,
                to: text("to")?.parse().ok()?,
                value: text("value")?.parse().ok()?,
                valid_after: text("validAfter")?.parse().ok()?,
                valid_before: text("validBefore")?.parse().ok()?,
                nonce: decode_hex(text("nonce")?).ok()?,
            },
        })
    }
}
