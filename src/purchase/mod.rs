//! A request with a payment that passed every local check: claim, ask the
//! origin, settle, deliver, and see the answer to its end.
//!
//! The whole sequence is written against [`World`], so it runs on the host in
//! tests as it runs in a Worker.

mod begin;
pub mod by_use;
mod claim;
mod collect;
mod holder;
pub mod order;
pub mod settlers;
mod tariff;

use crate::amount::AtomicAmount;
use crate::config::SettleWhen;
use crate::facilitator_client::Verdict;
use crate::protocol::Reason;
use crate::settlement::journal::TxId;
use crate::settlement::others::Settlers;
use crate::settlement::replay::{Replay, ReplayRecord};
use crate::settlement::{
    ClaimReply, ClaimRequest, Ending, HoldReply, Outcome, Proof, ReleaseRequest, SettleRequest,
    Settlement,
};
use crate::time::UnixSeconds;

use begin::{Begun, begin};
pub use by_use::Counted;
use claim::{keeping, release};
pub use collect::{Part, collect, part_of};
pub use holder::{Holder, follow};
use holder::{renewing, report};
pub use order::Order;
pub use tariff::Tariff;

/// What a purchase needs from the world around it.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait World: Holder + Settlers {
    /// What the origin answers with.
    type Answer;

    /// The time.
    fn now(&self) -> UnixSeconds;
    /// From now on this one of the others is the payment's Settler.
    fn stay_with_other(&self, number: usize);
    /// Has the Settler settle a claimed payment.
    async fn settle(&self, request: &SettleRequest) -> Result<Outcome, String>;
    /// Has the Settler hold a claimed payment while its goods go out.
    async fn hold(&self, request: &SettleRequest) -> Result<HoldReply, String>;
    /// Gives a claim up.
    async fn release(&self, request: &ReleaseRequest) -> Result<(), String>;
    /// What KV knows of a payment: nothing, if it can't be asked.
    async fn replay(&self, payment: &str) -> Option<ReplayRecord>;
    /// Lets every edge know of a payment, after the answer has gone out.
    fn remember(&self, payment: &str, record: ReplayRecord, expires_at: UnixSeconds);
    /// Has the network's facilitator look at the payment; `None` where the
    /// network has none instead of nodes.
    async fn verify_at_facilitator(&self) -> Option<Verdict>;
    /// Asks the origin, for what this settlement has paid or what is not settled
    /// yet.
    async fn ask_origin(&self, paid: Option<&Settlement>) -> Result<Self::Answer, String>;
    /// Whether an answer of the origin is what was ordered.
    fn is_goods(&self, answer: &Self::Answer) -> bool;
    /// What an answer's head says of what is to be charged
    /// (`Settlement-Overrides`).
    fn overrides(&self, answer: &Self::Answer) -> Option<String>;
    /// How much of the goods an answer of the origin holds.
    fn part(&self, answer: &Self::Answer) -> Part;
    /// What the payment is bound to where an answer sends the client, if it is
    /// good there.
    fn moves_to(&self, answer: &Self::Answer) -> Option<String>;
    /// Drops an answer of which the body was not read.
    fn discard(&self, answer: Self::Answer);
}

/// How a purchase ends, as far as its request can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<A> {
    /// It is paid for, and this is what the origin says.
    Deliver(Goods<A>),
    /// It will be paid for by what is used of it: count it, and call
    /// [`by_use::follow_counted`].
    Counted(A, Box<Counted>),
    /// It is paid for, and the client would rather fetch it by a delivery cookie
    /// than have it in this answer.
    Promised(Settlement),
    /// The origin's own error; nothing was charged.
    NotCharged(A),
    /// It was not paid for, or can't be had again.
    Refused {
        /// Why.
        reason: Reason,
        /// The transaction, if there is one to name.
        transaction: Option<String>,
        /// How much that paid, in atomic units, if anything did.
        amount: Option<AtomicAmount>,
    },
    /// It was sent in this transaction, and the chain has not spoken.
    Pending(String),
    /// The same payment may be sent again.
    TryAgain(&'static str),
    /// The same, in so many seconds: too many are before it.
    Crowded(u64),
    /// The origin did not answer; with a settlement if it was charged.
    OriginDown(Option<Settlement>),
    /// The client gave its name for the payment to another one.
    NameTaken,
}

/// An answer that was paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goods<A> {
    /// The origin's answer.
    pub answer: A,
    /// How it was paid for.
    pub settlement: Settlement,
    /// Whether an access grant goes with it, where the route has them: never to
    /// a request that has shown nothing but the payment.
    pub may_grant: bool,
    /// Whether the Settler waits to hear how the answer ended: call [`follow`].
    pub is_followed: bool,
}

const SEND_AGAIN: &str = "send the same payment again; it is charged once at most";

/// Answers a request that brings a payment.
pub async fn run<W: World>(world: &W, order: &Order) -> End<W::Answer> {
    let claim = &order.claim;
    let Begun { record, claimed, held } = begin(world, order).await;
    let replay = record.map(|record| record.judge(claim, world.now()));
    match (replay, claimed) {
        (_, Ok(ClaimReply::Deliver { settlement, may_grant })) => {
            Box::pin(hand_over(world, order, settlement, may_grant, true)).await
        }
        (Some(Replay::Deliver(settlement)), Err(_)) => {
            Box::pin(hand_over(world, order, settlement, true, false)).await
        }
        (Some(Replay::Refuse), Err(_)) => refused(Reason::DuplicateSettlement),
        (Some(Replay::Bought(_)) | None, Err(error)) => {
            world.log(&format!("claim: {error}"));
            End::TryAgain(SEND_AGAIN)
        }
        (Some(replay), Ok(ClaimReply::Fresh | ClaimReply::Unproven)) => {
            release(world, claim).await;
            held.and_then(Result::ok).into_iter().for_each(|held| world.discard(held));
            match replay {
                Replay::Deliver(it) | Replay::Bought(it) => spent(it.transaction, Some(it.amount)),
                Replay::Refuse => refused(Reason::DuplicateSettlement),
            }
        }
        (None, Ok(ClaimReply::Fresh)) => buy(world, order, held, true).await,
        (None, Ok(ClaimReply::Unproven)) => buy(world, order, held, false).await,
        (_, Ok(ClaimReply::Settled(it))) => spent(it.transaction, Some(it.amount)),
        (_, Ok(ClaimReply::Spent { transaction, amount })) => spent(transaction, amount),
        // Not the payment's fault: it may be sent again.
        (_, Ok(ClaimReply::Refused(Reason::UnexpectedSettleError))) => End::TryAgain(SEND_AGAIN),
        (_, Ok(ClaimReply::NOTHING_BOUGHT)) if claim.look_only => refused(order.too_late),
        (_, Ok(ClaimReply::Refused(reason))) => refused(reason),
        (_, Ok(ClaimReply::Pending { transaction })) => pending(transaction),
        (_, Ok(ClaimReply::IdentifierTaken)) => End::NameTaken,
        (_, Ok(ClaimReply::TooMuch)) => {
            End::TryAgain("too much that was used today was not worth its fee; nothing was charged")
        }
        (_, Ok(ClaimReply::Crowded { seconds })) => End::Crowded(seconds),
        (_, Ok(ClaimReply::Busy)) => End::TryAgain(
            "another request with this payment is being answered; nothing more was charged",
        ),
    }
}

fn refused<A>(reason: Reason) -> End<A> {
    End::Refused { reason, transaction: None, amount: None }
}

fn spent<A>(transaction: String, amount: Option<AtomicAmount>) -> End<A> {
    let transaction = Some(transaction);
    End::Refused { reason: Reason::DuplicateSettlement, transaction, amount }
}

fn pending<A>(transaction: Option<TxId>) -> End<A> {
    match transaction {
        Some(transaction) => End::Pending(transaction.into_string()),
        // `settlement_pending` must name a transaction.
        None => End::TryAgain(SEND_AGAIN),
    }
}

/// Goes on with a claim that nobody else has. `held`: what the origin has said, if it
/// was asked. `is_buyer`: whether the claim may be taken for the buyer's.
async fn buy<W: World>(
    world: &W,
    order: &Order,
    held: Option<Result<W::Answer, String>>,
    is_buyer: bool,
) -> End<W::Answer> {
    // Before the origin works for it, and after the claim, so that what is
    // unused now has bought nothing else. Nothing was sent: if the process dies
    // here, the claim is free again after its lease.
    match world.verify_at_facilitator().await {
        None | Some(Verdict::Valid) => {}
        Some(Verdict::Invalid { reason, code }) => {
            world.log(&format!("{}: verify: {code}", order.claim.payment));
            release(world, &order.claim).await;
            return refused(reason);
        }
        Some(Verdict::NoAnswer(why)) => {
            world.log(&format!("{}: verify: {why}", order.claim.payment));
            release(world, &order.claim).await;
            return End::TryAgain(
                "the facilitator can't be reached right now; nothing was charged",
            );
        }
    }
    if let Some(tariff) = order.tariff.as_ref().filter(|it| it.meter.is_some()) {
        return Box::pin(by_use::sell_counted(world, order, tariff)).await;
    }
    match order.when {
        SettleWhen::After => {
            let held = match held {
                Some(held) => held,
                None => keeping(world, &order.claim, Box::pin(world.ask_origin(None))).await,
            };
            settle_after_origin(world, order, held, is_buyer).await
        }
        SettleWhen::Before => match settle(world, order, None, is_buyer).await {
            Ok(settlement) => Box::pin(hand_over(world, order, settlement, is_buyer, true)).await,
            Err(end) => end,
        },
    }
}

/// Holds the origin's answer, settles, delivers.
///
/// Nothing was sent while it was asked: if the process dies there, the claim is free
/// again after its lease, which is renewed while the origin works.
async fn settle_after_origin<W: World>(
    world: &W,
    order: &Order,
    held: Result<W::Answer, String>,
    is_buyer: bool,
) -> End<W::Answer> {
    let held = match held {
        Ok(held) => held,
        Err(error) => {
            world.log(&format!("origin: {error}"));
            release(world, &order.claim).await;
            return End::OriginDown(None);
        }
    };
    if !world.is_goods(&held) {
        release(world, &order.claim).await;
        return End::NotCharged(held);
    }
    let charge = order.tariff.as_ref().map(|tariff| {
        let (charge, line) = tariff.told(world.overrides(&held).as_deref());
        if let Some(line) = line {
            world.log(&format!("{}: {line}", order.claim.payment));
        }
        charge
    });
    match settle(world, order, charge, is_buyer).await {
        Ok(settlement) if is_promised(world, order, &settlement, is_buyer) => {
            world.discard(held);
            promise(world, order, settlement, true).await
        }
        Ok(settlement) => {
            End::Deliver(Goods { answer: held, settlement, may_grant: is_buyer, is_followed: true })
        }
        Err(end) => {
            world.discard(held);
            end
        }
    }
}

async fn settle<W: World>(
    world: &W,
    order: &Order,
    charge: Option<AtomicAmount>,
    is_buyer: bool,
) -> Result<Settlement, End<W::Answer>> {
    // Once the Settler has the message, it goes on whatever becomes of this
    // request: the same payment collects what it has bought.
    let request = order.to_settle(charge);
    match keeping(world, &order.claim, Box::pin(world.settle(&request))).await {
        Ok(Outcome::Settled(settlement)) => {
            let record = ReplayRecord {
                resource: order.claim.resource.clone(),
                settlement: settlement.clone(),
                proof: if is_buyer { order.kept_proof() } else { Proof::default() },
            };
            world.remember(&order.claim.payment, record, order.claim.expires_at);
            Ok(settlement)
        }
        Ok(Outcome::Failed { reason: Reason::UnexpectedSettleError, .. })
            if order.has_facilitator =>
        {
            Err(End::TryAgain(
                "the facilitator has not said what became of this payment; \
                 it was charged once at most",
            ))
        }
        Ok(
            Outcome::Failed { reason: Reason::UnexpectedSettleError, .. }
            | Outcome::Unavailable
            | Outcome::LimitReached,
        ) => Err(End::TryAgain("this payment can't be settled right now; nothing was charged")),
        Ok(Outcome::Failed { reason, transaction }) => {
            Err(End::Refused { reason, transaction, amount: None })
        }
        Ok(Outcome::Crowded { seconds }) => Err(End::Crowded(seconds)),
        Ok(Outcome::Pending { transaction }) => Err(pending(transaction)),
        Err(error) => {
            // Whether it was sent is not known here; the Settler knows, and the
            // same payment asks it again.
            world.log(&format!("settle: {error}"));
            Err(End::TryAgain(SEND_AGAIN))
        }
    }
}

/// Whether what was paid for is promised in place of being delivered: to the
/// buyer alone, and only where a cookie can still fetch it.
fn is_promised<W: World>(
    world: &W,
    order: &Order,
    settlement: &Settlement,
    is_buyer: bool,
) -> bool {
    order.prefers_minimal && is_buyer && world.now() < settlement.redeliver_until
}

/// Lets the Settler know that nothing was delivered yet, and to whom it is
/// promised, before the client hears of it: its next request must find it so.
/// If the process dies here, the lease ends by itself, and the same payment
/// gets what it has bought.
async fn promise<W: World>(
    world: &W,
    order: &Order,
    settlement: Settlement,
    is_followed: bool,
) -> End<W::Answer> {
    if is_followed {
        report(world, &order.claim, Ending::Promised, None).await;
    }
    End::Promised(settlement)
}

/// Delivers what was paid for, or promises it.
async fn hand_over<W: World>(
    world: &W,
    order: &Order,
    settlement: Settlement,
    may_grant: bool,
    is_followed: bool,
) -> End<W::Answer> {
    if is_promised(world, order, &settlement, may_grant) {
        return promise(world, order, settlement, is_followed).await;
    }
    deliver(world, &order.claim, settlement, may_grant, is_followed).await
}

/// Asks the origin for what was paid for, and delivers whatever it says.
async fn deliver<W: World>(
    world: &W,
    claim: &ClaimRequest,
    settlement: Settlement,
    may_grant: bool,
    is_followed: bool,
) -> End<W::Answer> {
    // It is paid for: if the process dies here, the lease ends by itself, and
    // the same payment gets it.
    match renewing(world, claim, Box::pin(world.ask_origin(Some(&settlement)))).await {
        Ok(answer) => {
            let is_goods = world.is_goods(&answer);
            if is_followed && !is_goods {
                // Before the client hears where to go. If the process dies here, it
                // is had where it was asked for.
                report(world, claim, Ending::Nothing, world.moves_to(&answer)).await;
            }
            let is_followed = is_followed && is_goods;
            End::Deliver(Goods {
                answer,
                settlement,
                may_grant: may_grant && is_goods,
                is_followed,
            })
        }
        Err(error) => {
            world.log(&format!("origin: {error}"));
            if is_followed {
                report(world, claim, Ending::Nothing, None).await;
            }
            End::OriginDown(Some(settlement))
        }
    }
}
