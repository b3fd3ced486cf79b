//! A request with a delivery cookie in place of a payment: what was paid for is
//! fetched, and nothing is bought.

use futures_util::future::join;

use super::{End, Goods, World, deliver, refused};
use crate::evm::keccak256;
use crate::protocol::Reason;
use crate::settlement::replay::Replay;
use crate::settlement::{ClaimReply, ClaimRequest, Settlement, Wanted};

/// How much of the goods an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Their head.
    Head,
    /// A range of one version of them.
    Range {
        /// Some bits of a hash of what tells versions apart.
        version: u64,
    },
    /// All of it, or what can't be told from that.
    Whole,
}

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
    let answer = match world.ask_origin(Some(&settlement)).await {
        Ok(answer) => answer,
        Err(error) => {
            world.log(&format!("origin: {error}"));
            return End::OriginDown(Some(settlement));
        }
    };
    let is_goods = world.is_goods(&answer);
    let is_part = match world.part(&answer) {
        Part::Head => true,
        Part::Range { version } => {
            let part = Some(Wanted::PartOf { version });
            let part = ClaimRequest { by_cookie: part, ..claim.clone() };
            is_goods && ask_by_cookie(world, &part).await.is_ok()
        }
        Part::Whole => false,
    };
    if !is_goods || is_part {
        return End::Deliver(Goods { answer, settlement, may_grant: is_goods, is_followed: false });
    }
    // The origin knows no ranges, or has another version by now: it is an answer
    // of its own, and counts as that.
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
/// the Settler waits to hear how the answer ended. A refusal names the transaction
/// where it is certain that the cookie fetches nothing any more.
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
        // It has bought this, and gives no more of it.
        (Ok(ClaimReply::Spent { transaction, .. }), _) => Err(End::Refused {
            reason: Reason::DuplicateSettlement,
            transaction: Some(transaction),
            amount: None,
        }),
        // It may stand for something all the same: at another price, say.
        (Ok(_), _) => Err(refused(Reason::DuplicateSettlement)),
    }
}

/// How much an answer holds, by its headers: a range in bytes (RFC 9110, section
/// 14.4) of something with a version. A weak `ETag` tells no bytes apart.
pub fn part_of(range: Option<&str>, etag: Option<&str>, modified: Option<&str>) -> Part {
    let total = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('/'));
    let strong = etag.filter(|etag| etag.starts_with('"'));
    match (total, strong.or(modified)) {
        (Some((_, total)), Some(version)) => {
            let hash = keccak256(format!("{total}\n{version}").as_bytes());
            let bits = hash.first_chunk().copied().unwrap_or_default();
            Part::Range { version: u64::from_le_bytes(bits) }
        }
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_of_bytes_of_something_with_a_version() {
        let of = |range, etag, modified| part_of(Some(range), etag, modified);
        let one = of("bytes 0-9/100", Some("\"a\""), None);
        assert!(matches!(one, Part::Range { .. }));
        assert_eq!(of("bytes 50-99/100", Some("\"a\""), Some("Thu, 26 Nov 2026")), one);
        for other in [
            of("bytes 0-9/101", Some("\"a\""), None),
            of("bytes 0-9/100", Some("\"b\""), None),
            of("bytes 0-9/100", None, Some("Thu, 26 Nov 2026")),
        ] {
            assert!(matches!(other, Part::Range { .. }) && other != one);
        }
        for whole in [
            part_of(None, Some("\"a\""), None),
            of("items 0-9/100", Some("\"a\""), None),
            of("0-9/*", Some("\"a\""), None),
            of("bytes 0-9/100", None, None),
            of("bytes 0-9/100", Some("W/\"a\""), None),
        ] {
            assert_eq!(whole, Part::Whole);
        }
    }
}
