//! Payments of which only the chain can say whether their payer has signed them
//! (ERC-1271, ERC-6492).
//!
//! Anybody can write down a payer, a nonce and some bytes for a signature. So
//! until the chain has called the bytes good, such a request learns nothing of
//! the payment, waits for nothing, and leaves nothing behind. Once it has, what
//! was claimed is known again by the signature: whoever shows the same one shows
//! as much as the header of a payment that is signed by a key.

use std::time::Duration;

use super::proving::{Asker, Place, RUNNING_MAX, WAITING_MAX, WAITING_TENTHS};
use super::record::Claim;
use super::{
    ClaimReply, ClaimRequest, Host, PaymentRecord, SettleRequest, Settler, StoreError, Verdict,
};
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::time::UnixSeconds;

/// A payment that is to be proved.
pub(super) struct Unproven<'a> {
    order: &'a SettleRequest,
    payment: VerifiedPayment,
    /// By what its signature is known again.
    signature: String,
    asker: Asker<'a>,
}

impl<'a> Unproven<'a> {
    /// What a request has to have proved; `None` if nothing.
    ///
    /// # Errors
    /// The first rule that the payment breaks.
    pub(super) fn of(request: &'a ClaimRequest, now: UnixSeconds) -> Result<Option<Self>, Reason> {
        let Some(order) = request.to_prove.as_deref() else { return Ok(None) };
        let (payment, _) = order.check(now)?.into_parts();
        if payment.identity() != request.payment || order.payment != request.payment {
            return Err(Reason::InvalidPayload);
        }
        let Some(signature) = payment.signature_to_prove() else { return Ok(None) };
        let asker = match (&order.account, &request.asker) {
            (Some(account), _) => Asker::Client(account),
            (None, Some(address)) => Asker::Address(address),
            (None, None) => Asker::Unknown,
        };
        Ok(Some(Self { order, payment, signature, asker }))
    }

    /// By what the signature is known again.
    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    /// Whether what is known of the payment is for the asker to see: it shows
    /// the signature that was proved, or what the claim showed besides.
    fn is_known_by(&self, known: &PaymentRecord, request: &ClaimRequest) -> bool {
        known.signature.as_deref() == Some(self.signature()) || request.shows(&known.proof)
    }
}

/// How a request with an unproven signature goes on.
pub(super) enum Admission {
    /// Like any other: it sees what the record says, and changes nothing.
    AsKnown,
    /// The chain has called the signature good, and the record may be another
    /// one by now.
    Proven,
    /// Not at all.
    Refused(ClaimReply),
}

impl<H: Host> Settler<H> {
    /// Lets a request with an unproven signature see the record that it shows
    /// something of, and has the chain prove it before it writes one.
    pub(super) async fn admit(
        &self,
        it: &Unproven<'_>,
        request: &ClaimRequest,
        known: Option<&PaymentRecord>,
        claim: &Claim,
    ) -> Result<Admission, StoreError> {
        let writes = !request.look_only || request.reserve_seconds > Some(0);
        Ok(match claim {
            Claim::Fresh | Claim::Unproven if writes => {
                self.prove(it).await?.map_or(Admission::Proven, Admission::Refused)
            }
            Claim::Fresh => Admission::AsKnown,
            _ if known.is_some_and(|known| it.is_known_by(known, request)) => Admission::AsKnown,
            Claim::InFlight | Claim::Reserved => Admission::Refused(ClaimReply::Busy),
            Claim::Unproven | Claim::Settled(_) | Claim::OtherResource => {
                Admission::Refused(ClaimReply::Refused(Reason::DuplicateSettlement))
            }
        })
    }

    /// Asks the chain whether a payment is its payer's, and would be made now.
    /// `None` if so; else what the asker is told. Nothing is written: if the
    /// process dies here, nothing has happened.
    async fn prove(&self, it: &Unproven<'_>) -> Result<Option<ClaimReply>, StoreError> {
        if self.shared.throttle.is_throttled(&it.payment.payer(), self.shared.host.now()) {
            return Ok(Some(ClaimReply::Refused(Reason::TooManyFailures)));
        }
        let Some(_place) = self.place_for(it.asker).await else {
            if self.proving.is_news(self.shared.host.now()) {
                self.shared
                    .host
                    .log("too many payments of smart wallets to look at: some must wait");
            }
            return Ok(Some(ClaimReply::Refused(Reason::UnexpectedSettleError)));
        };
        let mut verdict = Verdict::Invalid(Reason::InvalidNetwork);
        for lane in self.lanes.iter().filter(|lane| lane.takes(&it.payment)) {
            verdict = lane.verify(it.order, &it.payment).await?;
            if verdict != Verdict::Unknown {
                break;
            }
        }
        // What nobody can tell now is not the asker's fault.
        if matches!(verdict, Verdict::Invalid(_)) {
            self.proving.note_failure(it.asker, self.shared.host.now());
        }
        Ok(match verdict {
            Verdict::Valid => None,
            Verdict::Invalid(reason) => Some(ClaimReply::Refused(reason)),
            Verdict::Unknown | Verdict::LimitReached | Verdict::FeeExceedsPrice => {
                Some(ClaimReply::Refused(Reason::UnexpectedSettleError))
            }
        })
    }

    /// A place before the nodes, when there is one; `None` if there are too
    /// many before it.
    async fn place_for(&self, asker: Asker<'_>) -> Option<Place<'_>> {
        let proving = &self.proving;
        if proving.waiting.get() >= WAITING_MAX {
            return None;
        }
        let _waiting = Place::of(&proving.waiting);
        for _ in 0..WAITING_TENTHS {
            if proving.is_throttled(asker, self.shared.host.now()) {
                return None;
            }
            if proving.running.get() < RUNNING_MAX {
                return Some(Place::of(&proving.running));
            }
            self.shared.host.sleep(Duration::from_millis(100)).await;
        }
        None
    }
}
