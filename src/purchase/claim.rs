//! Which Settler a payment is claimed at.
//!
//! A payment belongs to the Settler of one signer. After a change of the signers
//! it may belong to another one when it is sent again, which has never heard of
//! it. So while the seller names former signers, the Settlers of all others are
//! asked as well.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, select};

use super::World;
use super::holder::{Holder, renew_now, renewing};
use crate::settlement::others::{ask_others, has_sent};
use crate::settlement::{ClaimReply, ClaimRequest, DeliveryReport, ReleaseRequest, RenewRequest};

/// Within how many seconds of its beginning a lease need not be renewed.
const SOON: u64 = 2;

/// How long the others are waited for when they are to keep a payment, in
/// seconds. Less than a lease is longer than until its next renewal.
const KEEP_LIMIT: Duration = Duration::from_secs(10);

/// Claims a payment at its Settler, unless another one knows it: then what that
/// one says counts, and the purchase stays there.
///
/// The others are asked last, so that they need keep nothing from anybody but
/// for a payment that is claimed, and for that until it is settled.
pub(super) async fn claim<W: World>(world: &W, claim: &ClaimRequest) -> Result<ClaimReply, String> {
    let start = world.now();
    let claimed = world.claim(claim).await;
    if world.others() == 0 || has_sent(&claimed) {
        return claimed;
    }
    let is_claimed = claimed.as_ref().is_ok_and(ClaimReply::is_claimed);
    let look = if is_claimed { to_keep(claim) } else { claim.to_other_signer(false) };
    // What they don't know they let nobody claim for a while. If the process
    // dies here, that ends by itself, and so does the claim.
    let said = match ask_others(world, &look).await {
        Some((number, reply)) => {
            if is_claimed {
                release(world, claim).await;
            }
            reply.inspect(|_| world.stay_with_other(number))
        }
        None => claimed,
    };
    let has_lease = |it: &ClaimReply| it.is_claimed() || matches!(it, ClaimReply::Deliver { .. });
    if said.as_ref().is_ok_and(has_lease) && world.now().since(start) > SOON {
        // One of them let us wait, and the lease began before that.
        renew_now(world, claim).await;
    }
    said
}

/// What the others are asked for a payment that is claimed: that nobody else may.
/// A signature that only the chain can judge was proved before it was.
fn to_keep(claim: &ClaimRequest) -> ClaimRequest {
    ClaimRequest { to_prove: None, ..claim.to_other_signer(true) }
}

/// Waits for a future, and keeps a claim until it is done: at its own Settler,
/// and from everybody at the others.
pub(super) async fn keeping<W: World, T>(
    world: &W,
    claim: &ClaimRequest,
    future: LocalBoxFuture<'_, T>,
) -> T {
    renewing(&Keeper { world, claim }, claim, future).await
}

/// What keeps a claim.
struct Keeper<'a, W> {
    world: &'a W,
    claim: &'a ClaimRequest,
}

impl<W: World> Holder for Keeper<'_, W> {
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
        let is_kept = self.world.renew(request).await?;
        if is_kept {
            let look = to_keep(self.claim);
            let kept = pin!(ask_others(self.world, &look));
            // What they say now changes nothing: the claim is held.
            select(kept, pin!(self.world.sleep(KEEP_LIMIT))).await;
        }
        Ok(is_kept)
    }

    async fn report(&self, report: &DeliveryReport) -> Result<(), String> {
        self.world.report(report).await
    }

    async fn sleep(&self, duration: Duration) {
        self.world.sleep(duration).await;
    }

    fn log(&self, line: &str) {
        self.world.log(line);
    }
}

/// Gives the claim up. If that fails, its lease ends by itself.
pub(super) async fn release<W: World>(world: &W, claim: &ClaimRequest) {
    let (payment, ticket) = (claim.payment.clone(), claim.ticket);
    if let Err(error) = world.release(&ReleaseRequest { payment, ticket }).await {
        world.log(&format!("release: {error}"));
    }
}
