//! What is sold by use (x402's scheme `upto`): the buyer signs for the most, and
//! pays for what was used.
//!
//! Where the origin says in the head of its answer how much that is, the answer
//! is held until that was settled, as for any other purchase. Where a meter
//! counts, the Settler holds the payment, the goods go out, and what was counted
//! is settled after them: the seller then gives credit, as far as the Settler
//! allows.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::holder::{BEAT_MARGIN, FIRST_BEAT, Holder, REPORT_AGAIN, renewing};
use super::tariff::Tariff;
use super::{End, Order, SEND_AGAIN, World, refused, release};
use crate::meter::Reading;
use crate::settlement::metered::SETTLING_SECONDS;
use crate::settlement::{ClaimRequest, HoldReply, RenewRequest, UseReport};
use crate::time::UnixSeconds;

/// What sees goods that are counted to their end.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait CountHolder: Holder {
    /// Tells the Settler how much was used.
    async fn report_use(&self, report: &UseReport) -> Result<(), String>;
}

/// Goods that are counted on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The claim of the payment that is held.
    pub claim: ClaimRequest,
    /// How they are charged.
    pub tariff: Tariff,
    /// When the last of them must have gone out, so that they can still be
    /// settled.
    pub until: UnixSeconds,
}

/// Goes on with a claim on goods that are counted on their way: holds the
/// payment, asks the origin, and lets its answer go.
pub(super) async fn sell_counted<W: World>(
    world: &W,
    order: &Order,
    tariff: &Tariff,
) -> End<W::Answer> {
    let claim = &order.claim;
    // Nothing was sent or delivered: if the process dies here, the claim is free
    // again after its lease.
    match renewing(world, claim, Box::pin(world.hold(&order.settle))).await {
        Ok(HoldReply::Held) => {}
        Ok(HoldReply::Refused(reason)) => return refused(reason),
        Ok(HoldReply::TooMuch) => {
            return End::TryAgain(
                "too much is unpaid yet that was delivered by use; nothing was charged",
            );
        }
        Ok(HoldReply::Unavailable) => {
            return End::TryAgain("this payment can't be checked right now; nothing was charged");
        }
        Err(error) => {
            world.log(&format!("hold: {error}"));
            return End::TryAgain(SEND_AGAIN);
        }
    }
    // Nothing was delivered: if the process dies here, nothing is owed when the
    // lease has ended.
    let answer = match renewing(world, claim, Box::pin(world.ask_origin(None))).await {
        Ok(answer) => answer,
        Err(error) => {
            world.log(&format!("origin: {error}"));
            release(world, claim).await;
            return End::OriginDown(None);
        }
    };
    if !world.is_goods(&answer) {
        release(world, claim).await;
        return End::NotCharged(answer);
    }
    // However long the buyer has signed for: what is at stake is so meanwhile.
    let longest = order.settle.terms.max_timeout_seconds().map(|it| world.now().plus(it));
    let until = longest.map_or(claim.expires_at, |longest| claim.expires_at.min(longest));
    let until = UnixSeconds(until.0.saturating_sub(SETTLING_SECONDS));
    let goods = Counted { claim: claim.clone(), tariff: tariff.clone(), until };
    End::Counted(answer, Box::new(goods))
}

/// Sees goods that are counted to their end, and has what was used charged. Goes
/// on after the answer's head has gone out.
///
/// If the process dies here, what was told last is owed when the lease has ended.
/// That happens to a gate that was not heard of for too long as well: what goes
/// out after that would come for nothing, so it is to be broken off. Whether the
/// payment was held until the end.
pub async fn follow_counted(
    holder: &impl CountHolder,
    goods: &Counted,
    reading: impl Fn() -> Reading,
    is_over: impl Future<Output = ()>,
) -> bool {
    let claim = &goods.claim;
    let beats = pin!(async {
        loop {
            let (used, _) = goods.tariff.counted(reading());
            let request = RenewRequest {
                payment: claim.payment.clone(),
                ticket: claim.ticket,
                seconds: FIRST_BEAT + BEAT_MARGIN,
                used: Some(used),
            };
            match holder.renew(&request).await {
                Ok(true) => {}
                // It is owed by now.
                Ok(false) => return,
                Err(error) => holder.log(&format!("{}: renew: {error}", request.payment)),
            }
            holder.sleep(Duration::from_secs(FIRST_BEAT)).await;
        }
    });
    if let Either::Right(_) = select(pin!(is_over), beats).await {
        holder.log(&format!("{}: not held any more: the answer ends", claim.payment));
        return false;
    }
    let (used, line) = goods.tariff.counted(reading());
    if let Some(line) = line {
        holder.log(&format!("{}: {line}", claim.payment));
    }
    let (payment, ticket) = (claim.payment.clone(), claim.ticket);
    let report = UseReport { payment, ticket, used };
    let mut pauses = REPORT_AGAIN.into_iter();
    while let Err(error) = holder.report_use(&report).await {
        holder.log(&format!("{}: use: {error}", report.payment));
        let Some(pause) = pauses.next() else { break };
        holder.sleep(Duration::from_secs(pause)).await;
    }
    true
}
