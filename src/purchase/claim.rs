//! Which Settler a payment is claimed at.
//!
//! A payment belongs to the Settler of one signer. After a change of the signers
//! it may belong to another one when it is sent again, which has never heard of
//! it. So while the seller names former signers, the Settlers of all others are
//! asked as well, at the same time.

use futures_util::FutureExt as _;
use futures_util::future::join;

use super::{Order, World, release};
use crate::settlement::ClaimReply;
use crate::together::join_all;

/// Claims a payment at its Settler, unless another one knows it: then what that
/// one says counts, and the purchase stays there.
pub(super) async fn claim<W: World>(world: &W, order: &Order) -> Result<ClaimReply, String> {
    let claim = &order.claim;
    let others = world.others();
    if others == 0 {
        return world.claim(claim).await;
    }
    // What they don't know they let nobody claim for a while. If the process
    // dies here, that ends by itself, and so does the claim.
    let look = &claim.to_other_signer();
    let looks = (0..others).map(|number| world.ask_other(number, look).boxed_local());
    let (claimed, said) = join(world.claim(claim), join_all(looks.collect())).await;
    let known = said.into_iter().enumerate().filter(|(_, reply)| !is_nothing(reply));
    let Some((number, reply)) = known.max_by_key(|(_, reply)| weight(reply)) else {
        return claimed;
    };
    if weight(&claimed) == SENT {
        return claimed;
    }
    if claimed.as_ref().is_ok_and(ClaimReply::is_claimed) {
        release(world, order).await;
    }
    // One that can't be reached may have sold it.
    reply.inspect(|_| world.stay_with_other(number))
}

fn is_nothing(reply: &Result<ClaimReply, String>) -> bool {
    matches!(reply, Ok(ClaimReply::NOTHING_BOUGHT))
}

/// The weight of what a Settler says that has sent the payment: no other can
/// know better.
const SENT: u8 = 2;

fn weight(reply: &Result<ClaimReply, String>) -> u8 {
    match reply {
        Ok(reply) if reply.was_sent() => SENT,
        Ok(_) => 1,
        Err(_) => 0,
    }
}
