//! The payment on the wire: `payload` of `exact` on EVM by Permit2.

use serde_json::Value;

use crate::evm::{Address, Uint256};
use crate::json::json;
use crate::protocol::Reason;

/// What a client sends as `payload` (x402, exact on EVM, Permit2): every member
/// read, nothing checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit2Payload {
    /// A [`Signature`](crate::evm::Signature) in hex, if the client is honest.
    pub signature: String,
    /// What was signed.
    pub authorization: Permit2Authorization,
}

/// What a payer signs: `PermitWitnessTransferFrom` of Permit2, whose witness is
/// x402's. The spender may move the amount once, to `to` and nobody else, in a
/// window of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit2Authorization {
    /// The token.
    pub token: Address,
    /// How much, in atomic units of the token.
    pub amount: Uint256,
    /// The payer.
    pub from: Address,
    /// The contract that may move it.
    pub spender: Address,
    /// A number of the payer's choice; Permit2 takes each once per payer.
    pub nonce: Uint256,
    /// The transfer lands only in a block of this second or an earlier one.
    pub deadline: Uint256,
    /// Who is paid: of the witness.
    pub to: Address,
    /// Who alone may settle it: of the witness, where it is paid by use.
    pub facilitator: Option<Address>,
    /// The transfer lands only in a block of this second or a later one: of the
    /// witness.
    pub valid_after: Uint256,
}

impl Permit2Payload {
    /// Reads the payload: addresses and canonical decimal numbers, all texts.
    /// Members that this scheme does not have are passed over.
    ///
    /// # Errors
    /// [`Reason::InvalidPayload`] for whatever can't be read.
    pub fn read(payload: &Value, is_by_use: bool) -> Result<Self, Reason> {
        Self::try_read(payload, is_by_use).ok_or(Reason::InvalidPayload)
    }

    fn try_read(payload: &Value, is_by_use: bool) -> Option<Self> {
        let authorization = payload.get("permit2Authorization")?;
        let permitted = authorization.get("permitted")?;
        let witness = authorization.get("witness")?;
        Some(Self {
            signature: payload.get("signature")?.as_str()?.to_owned(),
            authorization: Permit2Authorization {
                token: address(permitted, "token")?,
                amount: number(permitted, "amount")?,
                from: address(authorization, "from")?,
                spender: address(authorization, "spender")?,
                nonce: number(authorization, "nonce")?,
                deadline: number(authorization, "deadline")?,
                to: address(witness, "to")?,
                facilitator: if is_by_use { Some(address(witness, "facilitator")?) } else { None },
                valid_after: number(witness, "validAfter")?,
            },
        })
    }
}

impl Permit2Authorization {
    /// The payload that a client sends of it.
    pub fn payload(&self, signature: &str) -> Value {
        let witness = if let Some(facilitator) = self.facilitator {
            json!({ "to": self.to, "facilitator": facilitator, "validAfter": self.valid_after })
        } else {
            json!({ "to": self.to, "validAfter": self.valid_after })
        };
        json!({
            "signature": signature,
            "permit2Authorization": {
                "permitted": { "token": self.token, "amount": self.amount },
                "from": self.from,
                "spender": self.spender,
                "nonce": self.nonce,
                "deadline": self.deadline,
                "witness": witness,
            },
        })
    }
}

fn address(object: &Value, name: &str) -> Option<Address> {
    object.get(name)?.as_str()?.parse().ok()
}

fn number(object: &Value, name: &str) -> Option<Uint256> {
    object.get(name)?.as_str()?.parse().ok()
}
