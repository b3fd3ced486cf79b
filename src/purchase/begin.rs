//! What goes on side by side when a purchase begins.

use std::pin::pin;

use futures_util::future::{Either, select};

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
/// meanwhile. Nothing is settled before KV has answered. An origin can work in vain
/// for what KV knows and the Settler doesn't, but is not waited for beyond KV's word;
/// and what an edge has read lately it has at hand before the Settler can answer.
pub(super) async fn begin<W: World>(world: &W, order: &Order) -> Begun<W::Answer> {
    let claim = &order.claim;
    let known = pin!(world.replay(&claim.payment));
    // The claim goes out first: the origin waits for it.
    let claimed = pin!(claim::claim(world, claim));
    match select(claimed, known).await {
        Either::Right((record, claimed)) => Begun { record, claimed: claimed.await, held: None },
        Either::Left((Ok(reply), known)) if reply.is_claimed() && order.asks_early() => {
            let (claimed, asked) = (Ok(reply), Box::pin(world.ask_origin(None)));
            // Nothing is asked of an origin if KV has answered by now.
            match select(known, pin!(keeping(world, claim, asked))).await {
                Either::Left((None, asked)) => {
                    Begun { record: None, claimed, held: Some(asked.await) }
                }
                Either::Left((record, _)) => Begun { record, claimed, held: None },
                Either::Right((held, known)) => {
                    Begun { record: known.await, claimed, held: Some(held) }
                }
            }
        }
        Either::Left((claimed, known)) => Begun { record: known.await, claimed, held: None },
    }
}
