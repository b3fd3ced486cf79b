//! What the Settlers say that a payment may have belonged to before the signers
//! were changed.

use futures_util::FutureExt as _;

use super::{ClaimReply, ClaimRequest};
use crate::together::join_all;

/// What a Settler says of a payment; an error if it can't be reached.
pub type Said = Result<ClaimReply, String>;

/// A payment's Settlers: its own, and those that it may have belonged to before.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Settlers {
    /// Asks its own for a claim.
    async fn claim(&self, request: &ClaimRequest) -> Said;
    /// How many others there are: none, unless the signers were changed.
    fn others(&self) -> usize;
    /// Asks one of them, by its number.
    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Said;
}

/// Asks all others: what counts of what they say, and whose it is; nothing, if
/// none of them knows the payment. One that can't be reached may have sold it.
pub async fn ask_others<S: Settlers>(
    settlers: &S,
    request: &ClaimRequest,
) -> Option<(usize, Said)> {
    let asked =
        (0..settlers.others()).map(|other| settlers.ask_other(other, request).boxed_local());
    let is_nothing = |said: &Said| matches!(said, Ok(ClaimReply::NOTHING_BOUGHT));
    let said = join_all(asked.collect()).await.into_iter().enumerate();
    said.filter(|(_, said)| !is_nothing(said)).max_by_key(|(_, said)| weight(said))
}

/// Whether a Settler has sent the payment: no other can know better.
pub fn has_sent(said: &Said) -> bool {
    weight(said) == SENT
}

const SENT: u8 = 2;

fn weight(said: &Said) -> u8 {
    match said {
        Ok(
            ClaimReply::Deliver { .. }
            | ClaimReply::Settled(_)
            | ClaimReply::Spent { .. }
            | ClaimReply::Pending { .. },
        ) => SENT,
        Ok(_) => 1,
        Err(_) => 0,
    }
}
