//! A permit of the token's own (EIP-2612), by which Permit2 is let move it in
//! the transaction that pays: x402's extension `eip2612GasSponsoring`.

use serde_json::Value;

use super::{PERMIT2, Permit2Authorization};
use crate::evm::transfer::{MIN_REMAINING_SECONDS, seconds};
use crate::evm::{Address, Signature, Uint256};
use crate::json::json;
use crate::protocol::Reason;
use crate::time::UnixSeconds;

/// Such a permit. What it lets Permit2 move is the amount of its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Approval {
    /// The token takes it in a block of this second or an earlier one.
    pub deadline: Uint256,
    pub signature: Signature,
    /// The payer's number at the token, which the token counts by itself.
    nonce: Uint256,
}

impl Approval {
    /// Reads the permit beside a payment, if there is one, and checks it against
    /// what the payment says. Who signed it only the token knows.
    ///
    /// # Errors
    /// The first rule that it breaks, in the reference's order.
    pub(super) fn read(
        info: Option<&Value>,
        payment: &Permit2Authorization,
        now: UnixSeconds,
    ) -> Result<Option<Self>, Reason> {
        let Some(info) = info else { return Ok(None) };
        let format = Reason::Eip2612Format;
        let text = |name: &str| info.get(name).and_then(Value::as_str).ok_or(format);
        let address = |name| text(name)?.parse::<Address>().map_err(|_| format);
        let number = |name| text(name)?.parse::<Uint256>().map_err(|_| format);
        let (from, asset, spender) = (address("from")?, address("asset")?, address("spender")?);
        let (amount, nonce, deadline) = (number("amount")?, number("nonce")?, number("deadline")?);
        let signature = text("signature")?.parse().map_err(|_| format)?;
        if from != payment.from {
            return Err(Reason::Eip2612FromMismatch);
        }
        if asset != payment.token {
            return Err(Reason::Eip2612AssetMismatch);
        }
        if spender != PERMIT2 {
            return Err(Reason::Eip2612SpenderNotPermit2);
        }
        if seconds(deadline) < now.plus(MIN_REMAINING_SECONDS) {
            return Err(Reason::Eip2612DeadlineExpired);
        }
        // x402's contract lets Permit2 move what is paid, no less and no more.
        if amount != payment.amount {
            return Err(Reason::Permit2612AmountMismatch);
        }
        Ok(Some(Self { deadline, signature, nonce }))
    }

    /// The extension's `info`, written anew from what was read.
    pub(super) fn info(&self, payment: &Permit2Authorization) -> Value {
        json!({
            "from": payment.from,
            "asset": payment.token,
            "spender": PERMIT2,
            "amount": payment.amount,
            "nonce": self.nonce,
            "deadline": self.deadline,
            "signature": self.signature.to_string(),
            "version": "1",
        })
    }
}

/// When the permit of this `info` ends, if that can be read.
pub(in crate::evm::transfer) fn end(info: &Value) -> Option<UnixSeconds> {
    info.get("deadline")?.as_str()?.parse().ok().map(seconds)
}
