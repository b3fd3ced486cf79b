//! Which Settlers are asked what. After a change of the signers a payment may
//! belong to another one than its own, which has never heard of it.

use futures_util::FutureExt as _;

use crate::settlement::others::{Settlers, ask_others, has_sent};
use crate::settlement::{ClaimRequest, Outcome, SettleRequest, Verdict};
use crate::time::UnixSeconds;
use crate::together::join_all;

/// The Settlers of an order.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait OrderSettlers: Settlers {
    /// Has its own claim the payment and settle it.
    async fn charge(&self, request: &SettleRequest) -> Result<Outcome, String>;
    /// Asks its own whether it could be settled.
    async fn verify(&self, request: &SettleRequest) -> Result<Verdict, String>;
    /// Asks another one the same, by its number.
    async fn verify_at_other(
        &self,
        number: usize,
        request: &SettleRequest,
    ) -> Result<Verdict, String>;
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// Settles an order, or says what became of it where it was settled before.
/// `expires_at`: from when on its payment can't land any more.
pub async fn settle<S: OrderSettlers>(
    settlers: &S,
    request: &SettleRequest,
    expires_at: UnixSeconds,
) -> Outcome {
    if settlers.others() > 0 {
        let claim = request.claim(expires_at);
        // Its own first: of what that has sent no other can know better, whether
        // it can be reached or not.
        let look = ClaimRequest { look_only: true, ..claim.clone() };
        let known = settlers.claim(&look).await;
        // What the others don't know they let nobody claim for a while, for the
        // charge below. If the process dies here, that ends by itself.
        let said = if has_sent(&known) {
            Some(known)
        } else {
            let look = claim.to_other_signer(known.is_ok());
            ask_others(settlers, &look).await.map(|(_, said)| said).or(known.err().map(Err))
        };
        if let Some(said) = said {
            return outcome_of(settlers, said.map(Outcome::from));
        }
    }
    let charged = settlers.charge(request).await;
    outcome_of(settlers, charged)
}

/// Whether it was sent is not known where a Settler can't be reached; that one
/// knows, and the same request asks it again.
fn outcome_of(settlers: &impl OrderSettlers, said: Result<Outcome, String>) -> Outcome {
    said.unwrap_or_else(|error| {
        settlers.log(&format!("settle: {error}"));
        Outcome::Unavailable
    })
}

/// Whether an order could be settled, or was settled before and can be told of.
pub async fn verify<S: OrderSettlers>(settlers: &S, request: &SettleRequest) -> Verdict {
    let verdict = settlers.verify(request).await.unwrap_or_else(|error| {
        settlers.log(&format!("verify: {error}"));
        Verdict::Unknown
    });
    if verdict.may_be_anothers() {
        let asked = (0..settlers.others())
            .map(|other| settlers.verify_at_other(other, request).boxed_local());
        let said = join_all(asked.collect()).await;
        if said.iter().flatten().any(|said| *said == Verdict::Valid) {
            return Verdict::Valid;
        }
    }
    verdict
}
