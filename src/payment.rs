//! The scheme `exact`, whichever chain it is on: one type for the two.

use serde_json::Value;

use crate::json_enum;
use crate::protocol::Reason;
use crate::time::UnixSeconds;
use crate::{evm, solana};

/// What a payment must be, on one network.
#[derive(Clone, Debug)]
pub enum Terms {
    /// EIP-3009 on an EVM chain.
    Evm(evm::Terms),
    /// A token transfer on Solana.
    Solana(solana::Terms),
}

json_enum!(Terms { Evm(terms), Solana(terms) });

/// A payment that meets its terms. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub enum VerifiedPayment {
    /// EIP-3009 on an EVM chain.
    Evm(evm::VerifiedPayment),
    /// A token transfer on Solana.
    Solana(solana::VerifiedPayment),
}

/// Checks all that can be checked without asking a chain.
///
/// # Errors
/// The first rule that the payment breaks.
pub fn verify(payload: &Value, terms: &Terms, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
    match terms {
        Terms::Evm(terms) => evm::verify(payload, terms, now).map(VerifiedPayment::Evm),
        Terms::Solana(terms) => solana::verify(payload, terms).map(VerifiedPayment::Solana),
    }
}

/// Checks a payment whose time is over as if it were not: what it bought while
/// it was good can still be collected, and nothing else be done with it.
///
/// # Errors
/// The first rule that the payment breaks besides; `EvmValidBefore` if its time
/// is not over, but too far away.
pub fn verify_lapsed(
    payload: &Value,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<VerifiedPayment, Reason> {
    let Terms::Evm(terms) = terms else { return Err(Reason::InvalidPayload) };
    evm::verify_lapsed(payload, terms, now).map(VerifiedPayment::Evm)
}

/// A Solana blockhash lives for 150 blocks, about a minute; slots may be slow.
/// How long a payment that names one is taken to be able to land, in seconds.
const BLOCKHASH_LIFETIME: u64 = 180;

/// For how long an EVM payment is remembered at most, in seconds. After that
/// the token's own memory of its nonce refuses it.
///
/// Too short, and an origin works in vain for a payment that was used, or a
/// facilitator that keeps its answers tells an old success once more.
const LONGEST_MEMORY: u64 = 30 * 86_400;

impl VerifiedPayment {
    /// What the chain itself tells payments apart by, on this network: a
    /// client can't vary it and still be paying with the same authorization.
    pub fn identity(&self) -> String {
        match self {
            Self::Evm(payment) => payment.identity(),
            Self::Solana(payment) => payment.identity(),
        }
    }

    /// Who pays, as the chain writes addresses.
    pub fn payer(&self) -> String {
        match self {
            Self::Evm(payment) => payment.payer(),
            Self::Solana(payment) => payment.payer().to_string(),
        }
    }

    /// From when on the payment can no longer land, or need not be remembered
    /// any more: an authorization may end in a hundred years, and the token
    /// takes it once however long that is.
    pub fn expires_at(&self, now: UnixSeconds) -> UnixSeconds {
        match self {
            Self::Evm(payment) => payment.expires_at().min(now.plus(LONGEST_MEMORY)),
            Self::Solana(_) => now.plus(BLOCKHASH_LIFETIME),
        }
    }
}
