//! What goes on side by side when a purchase begins.

use std::pin::pin;

use futures_util::future::{Either, join, select};

use super::claim::{self, keeping};
use super::{Order, World};
use crate::settlement::ClaimReply;
use crate::settlement::replay::ReplayRecord;

/// What is known of a payment, and what was asked for it already.
pub(super) struct Begun<A> {
    /// What KV knows of it.
    pub record: Option<ReplayRecord>,
    /// What its Settler says.
    pub claimed: Result<ClaimReply, String>,
    /// What the origin has said, if it was asked.
    pub held: Option<Result<A, String>>,
}

/// Claims a payment, and asks KV of it. KV may say "used"; only the Settler can say
/// "fresh". When it can't be reached, KV still serves those who have paid and are
/// known again.
///
/// KV takes as long as an origin and seldom knows anything, so the origin works
/// meanwhile. Nothing is settled before KV has answered.
pub(super) async fn begin<W: World>(world: &W, order: &Order) -> Begun<W::Answer> {
    let claim = &order.claim;
    let known = pin!(world.replay(&claim.payment));
    let claimed = pin!(claim::claim(world, claim));
    match select(known, claimed).await {
        Either::Left((record, claimed)) => Begun { record, claimed: claimed.await, held: None },
        Either::Right((Ok(reply), known)) if reply.is_claimed() && order.asks_early() => {
            let asked = keeping(world, claim, Box::pin(world.ask_origin(None)));
            let (record, held) = join(known, asked).await;
            Begun { record, claimed: Ok(reply), held: Some(held) }
        }
        Either::Right((claimed, known)) => Begun { record: known.await, claimed, held: None },
    }
}
