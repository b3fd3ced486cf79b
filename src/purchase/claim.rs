//! Which Settler a payment is claimed at.
//!
//! A payment belongs to the Settler of one signer. After a change of the signers
//! it may belong to another one when it is sent again, which has never heard of
//! it. So while the seller names former signers, the Settlers of all others are
//! asked as well, at the same time.

use futures_util::FutureExt as _;
use futures_util::future::join;

use super::holder::renew_now;
use super::{World, release};
use crate::settlement::others::{has_sent, heaviest};
use crate::settlement::{ClaimReply, ClaimRequest};
use crate::together::join_all;

/// Within how many seconds of its beginning a lease need not be renewed.
const SOON: u64 = 2;

/// Claims a payment at its Settler, unless another one knows it: then what that
/// one says counts, and the purchase stays there.
pub(super) async fn claim<W: World>(world: &W, claim: &ClaimRequest) -> Result<ClaimReply, String> {
    let others = world.others();
    if others == 0 {
        return world.claim(claim).await;
    }
    // What they don't know they let nobody claim for a while. If the process
    // dies here, that ends by itself, and so does the claim.
    let start = world.now();
    let look = &claim.to_other_signer();
    let looks = (0..others).map(|number| world.ask_other(number, look).boxed_local());
    let (claimed, said) = join(world.claim(claim), join_all(looks.collect())).await;
    let said = match heaviest(said) {
        Some((number, reply)) if !has_sent(&claimed) => {
            if claimed.as_ref().is_ok_and(ClaimReply::is_claimed) {
                release(world, claim).await;
            }
            reply.inspect(|_| world.stay_with_other(number))
        }
        _ => claimed,
    };
    let has_lease = |it: &ClaimReply| it.is_claimed() || matches!(it, ClaimReply::Deliver { .. });
    if said.as_ref().is_ok_and(has_lease) && world.now().since(start) > SOON {
        // One of them let us wait, and the lease began before that.
        renew_now(world, claim).await;
    }
    said
}
