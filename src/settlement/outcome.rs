//! What an order comes to.

use super::ClaimReply;
use super::journal::TxId;
use super::types::Settlement;
use crate::json_enum;
use crate::protocol::Reason;

/// Whether an order could be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The chain would take it now.
    Valid,
    /// It would not, or it is used.
    Invalid(Reason),
    /// The chain could not be asked.
    Unknown,
    /// The chain would take it, but the day's fees have reached their limit.
    LimitReached,
    /// The chain would take it, but sending it could cost more than it pays.
    FeeExceedsPrice,
}

impl Verdict {
    /// Whether it may be otherwise where the payment was settled before the
    /// signers were changed: here it is used, or too late, and unknown.
    pub const fn may_be_anothers(self) -> bool {
        matches!(self, Self::Invalid(reason) if reason.is_used() || reason.is_too_late())
    }
}

json_enum!(Verdict { Valid, Invalid(reason), Unknown, LimitReached, FeeExceedsPrice });

/// What became of a [`SettleRequest`](super::SettleRequest).
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// The transaction; `None` where a facilitator has the payment and has
        /// not said what it made of it.
        transaction: Option<TxId>,
    },
    /// Nothing was sent: the chain could not be reached, or others are first
    /// in the queue. The claim is free again where nothing can be sent later.
    Unavailable,
    /// Nothing was sent, because the fees of the day have reached the limit of
    /// the key or of the account. The claim is free again.
    LimitReached,
    /// Nothing was sent: so many are first in the queue that who waits couldn't be
    /// told in time. The claim is free again.
    Crowded {
        /// In how many seconds that may be otherwise.
        seconds: u64,
    },
}

json_enum!(Outcome {
    Settled(settlement),
    Failed { reason, transaction },
    Pending { transaction },
    Unavailable,
    LimitReached,
    Crowded { seconds },
});

/// What a claim comes to for a caller that wants the payment settled.
impl From<ClaimReply> for Outcome {
    fn from(reply: ClaimReply) -> Self {
        match reply {
            ClaimReply::Settled(settlement) | ClaimReply::Deliver { settlement, .. } => {
                Self::Settled(settlement)
            }
            ClaimReply::Spent { transaction, .. } => {
                Self::Failed { reason: Reason::DuplicateSettlement, transaction: Some(transaction) }
            }
            ClaimReply::Refused(reason) => Self::Failed { reason, transaction: None },
            ClaimReply::Pending { transaction } => Self::Pending { transaction },
            ClaimReply::Crowded { seconds } => Self::Crowded { seconds },
            ClaimReply::Busy
            | ClaimReply::IdentifierTaken
            | ClaimReply::TooMuch
            | ClaimReply::Fresh
            | ClaimReply::Unproven => Self::Unavailable,
        }
    }
}
