//! A request with a delivery cookie in place of a payment: what was paid for is
//! fetched, and nothing is bought.

use futures_util::future::join;

use super::{End, Goods, World, deliver, refused};
use crate::protocol::Reason;
use crate::settlement::replay::Replay;
use crate::settlement::{ClaimReply, ClaimRequest, Settlement, Wanted};

/// Answers a request that brings a delivery cookie in place of a payment.
pub async fn collect<W: World>(world: &W, claim: &ClaimRequest) -> End<W::Answer> {
    let (settlement, is_followed) = match ask_by_cookie(world, claim).await {
        Ok(given) => given,
        Err(end) => return end,
    };
    if claim.by_cookie != Some(Wanted::Part) {
        return deliver(world, claim, settlement, true, is_followed).await;
    }
    // Nothing is underway for the Settler: if the process dies here, a part was
    // counted, and that is all.
    let answer = match world.ask_origin().await {
        Ok(answer) => answer,
        Err(error) => {
            world.log(&format!("origin: {error}"));
            return End::OriginDown(Some(settlement));
        }
    };
    let is_goods = world.is_goods(&answer);
    if !is_goods || world.is_part(&answer) {
        return End::Deliver(Goods { answer, settlement, may_grant: is_goods, is_followed: false });
    }
    // The origin knows no ranges: it is all of it, and counts as that.
    let whole = ClaimRequest { by_cookie: Some(Wanted::Whole), ..claim.clone() };
    match ask_by_cookie(world, &whole).await {
        Ok((settlement, is_followed)) => {
            End::Deliver(Goods { answer, settlement, may_grant: true, is_followed })
        }
        Err(end) => {
            world.discard(answer);
            end
        }
    }
}

/// Asks for what a cookie fetches: the settlement that paid for it, and whether
/// the Settler waits to hear how the answer ended.
async fn ask_by_cookie<W: World>(
    world: &W,
    claim: &ClaimRequest,
) -> Result<(Settlement, bool), End<W::Answer>> {
    let (record, claimed) = join(world.replay(&claim.payment), world.claim(claim)).await;
    match (claimed, record.map(|record| record.judge(claim, world.now()))) {
        (Ok(ClaimReply::Deliver { settlement, .. }), _) => Ok((settlement, true)),
        (Err(_), Some(Replay::Deliver(settlement))) => Ok((settlement, false)),
        (Err(error), _) => {
            world.log(&format!("claim: {error}"));
            Err(End::TryAgain("what was paid for can't be fetched right now; try again"))
        }
        (Ok(ClaimReply::Busy), _) => {
            Err(End::TryAgain("what was paid for is being fetched; try again"))
        }
        (Ok(_), _) => Err(refused(Reason::DuplicateSettlement)),
    }
}
