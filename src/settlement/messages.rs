//! What the gate and the facilitator ask of a Settler, and what they are told.
//!
//! These cross a Durable Object binding as JSON. Only this Worker holds the
//! binding; the Settler still verifies a payment again before it settles it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Settlement;
use crate::exact::Terms;
use crate::protocol::{ChainId, Reason};
use crate::time::UnixSeconds;

/// Asks for a payment to be bound to a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The payment's identity.
    pub payment: String,
    /// What it is to buy: method, URL, terms, and the body where there is one.
    pub resource: String,
    /// Names the asker, who alone may settle or release. Random.
    pub ticket: u64,
    /// From when on the payment can't land any more.
    pub expires_at: UnixSeconds,
    /// The client's own name for the payment, if it gave one.
    pub identifier: Option<String>,
    /// The payment can't be settled any more: say what it has bought, and bind
    /// it to nothing.
    pub look_only: bool,
    /// What is bought is delivered to one request, whichever asks first once it
    /// is settled: see [`SettleRequest::once`].
    pub once: bool,
}

/// What became of a [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimReply {
    /// The payment is the asker's to settle or release.
    Fresh,
    /// It has bought this very resource: deliver it again, charge nothing.
    Settled(Settlement),
    /// It has bought another resource, or its time to be delivered again is
    /// over, or settling it has just failed.
    Refused(Reason),
    /// It was sent, and the chain has not said what became of it.
    Pending {
        /// The transaction, unless
        /// [`names_no_transaction`](super::remote::names_no_transaction).
        transaction: String,
    },
    /// Another request for the same resource holds it and is not done yet.
    Busy,
    /// The client gave this name to another payment.
    IdentifierTaken,
}

/// Asks for a claimed payment to be settled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettleRequest {
    /// The payment's identity.
    pub payment: String,
    /// The ticket it was claimed with.
    pub ticket: u64,
    /// What it buys.
    pub resource: String,
    /// The network to settle on.
    pub network: ChainId,
    /// What the payment must be.
    pub terms: Terms,
    /// The payment, as the client sent it.
    pub payload: Box<RawValue>,
    /// For how long the resource may be delivered again, in seconds.
    pub redeliver_seconds: u64,
    /// What is bought can't be told from other things by its name, so it is
    /// delivered once: to this request, or if the chain is too slow for it to
    /// the first that asks again.
    pub once: bool,
    /// On whose account the fees go, if somebody else's server asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What a facilitator is asked to settle it with, where the network has
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Box<RawValue>>,
}

impl SettleRequest {
    /// The claim to go with it, for a payment that can't land any more from
    /// then on.
    pub fn claim(&self, expires_at: UnixSeconds) -> ClaimRequest {
        ClaimRequest {
            payment: self.payment.clone(),
            resource: self.resource.clone(),
            ticket: self.ticket,
            expires_at,
            identifier: None,
            look_only: false,
            once: self.once,
        }
    }
}

/// Whether an order could be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The chain would take it now.
    Valid,
    /// It would not, or it is used.
    Invalid(Reason),
    /// The chain could not be asked.
    Unknown,
    /// The chain would take it, but the day's fees have reached their limit.
    LimitReached,
}

/// What became of a [`SettleRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The seller has been paid.
    Settled(Settlement),
    /// The seller has not been paid by this, and the claim is free again.
    Failed {
        /// Why.
        reason: Reason,
        /// The transaction that landed without paying, if there was one.
        transaction: Option<String>,
    },
    /// Sent, and not known yet what became of it. The claim holds.
    Pending {
        /// The transaction, unless
        /// [`names_no_transaction`](super::remote::names_no_transaction).
        transaction: String,
    },
    /// Nothing was sent: the chain could not be reached, or others are first
    /// in the queue. The claim is free again where nothing can be sent later.
    Unavailable,
    /// Nothing was sent, because the fees of the day have reached the limit of
    /// the key or of the account. The claim is free again.
    LimitReached,
}

/// Gives a claim up that was never settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRequest {
    /// The payment's identity.
    pub payment: String,
    /// The ticket it was claimed with.
    pub ticket: u64,
}
