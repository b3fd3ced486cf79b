//! Claims, and what is given out for a payment that was settled.

use std::rc::Rc;
use std::time::Duration;

use super::admission::{Admission, Unproven};
use super::delivery::{Answer, Asking};
use super::host::{give_way, within};
use super::messages::{RESERVE_SECONDS, Told};
use super::record::Claim;
use super::shared::JOIN_LIMIT;
use super::types::LEASE_SECONDS;
use super::{
    ClaimReply, ClaimRequest, Host, Outcome, PaymentRecord, Settlement, Settler, State, Store,
    StoreError,
};
use crate::payment::Checked;
use crate::protocol::Reason;
use crate::time::UnixSeconds;

/// What is given out for a payment that was settled.
enum Given {
    Reply(ClaimReply),
    /// Nothing before then, or before something changes.
    Wait(UnixSeconds),
}

impl<H: Host> Settler<H> {
    /// Binds a payment to a resource, or says what it is bound to. A second
    /// request for the same resource waits for the outcome of the first.
    ///
    /// # Errors
    /// The disk failed: nothing may be delivered.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<ClaimReply, StoreError> {
        let shared = &self.shared;
        let deadline = shared.host.now().plus(JOIN_LIMIT.as_secs());
        let unproven = match Unproven::of(request, shared.host.now()) {
            Ok(unproven) => unproven,
            Err(reason) => return Ok(ClaimReply::Refused(reason)),
        };
        let mut is_proven = unproven.is_none();
        let mut is_prepared = request.to_prepare.is_none();
        loop {
            let now = shared.host.now();
            if self.is_name_taken(request)? {
                return Ok(ClaimReply::IdentifierTaken);
            }
            let known = shared.store.payment(&request.payment)?;
            let is_live = |ticket| shared.live.holds(ticket);
            let is_buyer = known.as_ref().is_some_and(|it| request.shows(&it.proof));
            let is_crowded = || shared.is_crowded(&request.payment, is_buyer);
            let changed = || shared.change_for(&request.payment, is_buyer);
            let claim = PaymentRecord::claim(known.as_ref(), request, now, is_live);
            if let Some(unproven) = unproven.as_ref().filter(|_| !is_proven) {
                match self.admit(unproven, request, known.as_ref(), &claim).await? {
                    Admission::AsKnown => {}
                    // Somebody else may have claimed it meanwhile.
                    Admission::Proven => {
                        is_proven = true;
                        continue;
                    }
                    Admission::Refused(reply) => return Ok(reply),
                }
            }
            match claim {
                // Everybody has seen it. Whose it is the other Settler can't know.
                Claim::Unproven if request.reserve_seconds.is_some() => {
                    return Ok(ClaimReply::Refused(Reason::DuplicateSettlement));
                }
                Claim::Fresh | Claim::Unproven if request.look_only => {
                    let seconds = request.reserve_seconds.unwrap_or(0).min(RESERVE_SECONDS);
                    if seconds > 0 {
                        shared.plan_to_wake();
                        let times = (now, now.plus(seconds));
                        let record = PaymentRecord::reserved(known.as_ref(), request, times);
                        shared.store.put_payment(&record)?;
                    }
                    return Ok(ClaimReply::NOTHING_BOUGHT);
                }
                Claim::Reserved => return Ok(ClaimReply::Busy),
                Claim::Fresh if !is_prepared => {
                    is_prepared = true;
                    self.prepare(request, now).await;
                }
                claim @ (Claim::Fresh | Claim::Unproven) => {
                    if let Some(reply) = self.why_not_now(request)? {
                        return Ok(reply);
                    }
                    // Read, decided and written without an await in between.
                    self.write_claim(request, known.as_ref(), unproven.as_ref(), now)?;
                    let is_unproven = claim == Claim::Unproven && request.told.is_none();
                    return Ok(if is_unproven { ClaimReply::Unproven } else { ClaimReply::Fresh });
                }
                Claim::Settled(settlement) => {
                    // Somebody else is getting it: it may come to nothing.
                    let until = match self.give(request, settlement, known, now)? {
                        Given::Reply(reply) => return Ok(reply),
                        Given::Wait(_) if now >= deadline || is_crowded() => {
                            return Ok(ClaimReply::Busy);
                        }
                        Given::Wait(until) => until.min(deadline),
                    };
                    let limit = Duration::from_secs(until.since(now).max(1));
                    let _ = within(&shared.host, limit, changed()).await;
                }
                Claim::OtherResource => {
                    let own = known.filter(|known| known.is_for(request));
                    return Ok(match own.map(|known| known.state) {
                        Some(State::Settled(settlement)) => spent(settlement),
                        _ => ClaimReply::Refused(Reason::DuplicateSettlement),
                    });
                }
                Claim::InFlight if now >= deadline => {
                    return Ok(match known.map(|known| known.state) {
                        Some(State::Submitted { transaction, .. }) => {
                            ClaimReply::Pending { transaction: shared.latest_of(&transaction)? }
                        }
                        _ => ClaimReply::Busy,
                    });
                }
                Claim::InFlight if is_crowded() => return Ok(ClaimReply::Busy),
                Claim::InFlight => {
                    let limit = match known.map(|known| known.state) {
                        // Who holds a claim may die without a word.
                        Some(State::Claimed { lease_until, .. }) => lease_until.min(deadline),
                        _ => deadline,
                    };
                    let limit = Duration::from_secs(limit.since(now).max(1));
                    let _ = within(&shared.host, limit, changed()).await;
                    if let Some(PaymentRecord { state: State::Failed { reason }, .. }) =
                        shared.store.payment(&request.payment)?
                    {
                        return Ok(ClaimReply::Refused(reason));
                    }
                }
            }
        }
    }

    /// Why no origin may work now for a payment that could be claimed: too much went
    /// unpaid, or what becomes of it couldn't be told in time. What is counted on its
    /// way is settled later, and a server asks for the settlement itself.
    fn why_not_now(&self, request: &ClaimRequest) -> Result<Option<ClaimReply>, StoreError> {
        if !self.shared.may_go_unpaid(request.unpaid.as_ref())? {
            return Ok(Some(ClaimReply::TooMuch));
        }
        let is_metered = request.unpaid.as_ref().is_some_and(|it| it.is_metered);
        let lane = self.lanes.first().filter(|_| !is_metered && request.told.is_none());
        let seconds = lane.and_then(|lane| lane.too_late_by(request));
        Ok(seconds.map(|seconds| ClaimReply::Crowded { seconds }))
    }

    /// Writes down that a payment is the asker's.
    fn write_claim(
        &self,
        request: &ClaimRequest,
        known: Option<&PaymentRecord>,
        proved: Option<&Unproven<'_>>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.plan_to_wake();
        let mut record = PaymentRecord::claimed(known, request, now);
        record.signature = proved.map(|it| it.signature().to_owned());
        if known.is_none() && is_free_to_lose(request) {
            // The origin waits for the answer, and messages wait until what was written
            // before them is on disk. If the process dies before, the claim was never
            // made, and is made again when it is to be settled. Most are sent or let go
            // before, and never written.
            shared.store.keep_claim(record);
            shared.write_claims_later();
        } else {
            shared.store.put_payment(&record)?;
        }
        // Only who claims gives names: whoever looks on could else take those
        // of others, and fill the table.
        if let Some(name) = &request.proof.identifier {
            shared.store.name_payment(name, &request.payment)?;
        }
        shared.live.begin(request.ticket, now, now.plus(LEASE_SECONDS));
        Ok(())
    }

    /// Lets the way that a payment will go know that it is about to be claimed.
    /// Messages wait until what was written before them is on disk: what is asked
    /// now goes out before the claim is written, since it binds nothing.
    async fn prepare(&self, request: &ClaimRequest, now: UnixSeconds) {
        // In a crowd nothing comes of it: then its signature isn't looked at, either.
        if let Some(order) = request.to_prepare.as_deref()
            && self.lanes.iter().any(|lane| lane.may_prepare(request.ticket))
            && let Ok(Checked::Payable(payment)) = order.check(now)
            && payment.identity() == request.payment
            && let Some(lane) = self.lanes.iter().find(|lane| lane.takes(&payment))
        {
            Rc::clone(lane).prepare(order, payment);
            give_way().await;
        }
    }

    /// Whether a client's name for its payment is that of another one.
    fn is_name_taken(&self, request: &ClaimRequest) -> Result<bool, StoreError> {
        let store = &self.shared.store;
        let Some(name) = &request.proof.identifier else { return Ok(false) };
        Ok(match store.payment_named(name)? {
            // A payment that was let go leaves its name behind.
            Some(payment) if payment != request.payment => store.payment(&payment)?.is_some(),
            Some(_) | None => false,
        })
    }

    /// Gives out what a payment has bought, or has the request wait. Read,
    /// decided and written without an await: nothing is given out twice.
    fn give(
        &self,
        request: &ClaimRequest,
        settlement: Settlement,
        known: Option<PaymentRecord>,
        now: UnixSeconds,
    ) -> Result<Given, StoreError> {
        let shared = &self.shared;
        match request.told {
            Some(Told::Always) => return Ok(Given::Reply(ClaimReply::Settled(settlement))),
            Some(Told::Once) => {
                let transaction = settlement.transaction;
                return Ok(match shared.tell_once(&request.payment, request.ticket)? {
                    Some(Outcome::Settled(it)) => Given::Reply(ClaimReply::Settled(it)),
                    Some(_) => Given::Reply(ClaimReply::Spent { transaction, amount: None }),
                    None => Given::Wait(now.plus(1)),
                });
            }
            None => {}
        }
        let Some(mut record) = known else { return Ok(Given::Wait(now.plus(1))) };
        let asking = Asking {
            ticket: request.ticket,
            has_proof: request.shows(&record.proof),
            wanted: request.by_cookie,
            by_other_site: request.by_other_site,
            redeliver_max: request.redeliver_max,
        };
        Ok(match record.delivery.ask(asking, &settlement, now) {
            Answer::Goods { may_grant } => {
                shared.store.put_payment(&record)?;
                Given::Reply(ClaimReply::Deliver { settlement, may_grant })
            }
            Answer::Wait(until) => Given::Wait(until),
            Answer::Nothing => Given::Reply(spent(settlement)),
        })
    }
}

/// Whether nothing is lost with a claim but the origin's work: it gives no name, its
/// goods do not go out before it is settled, and its origin may be asked again.
fn is_free_to_lose(request: &ClaimRequest) -> bool {
    request.to_prepare.is_some() && request.may_pass_lease() && request.proof.identifier.is_none()
}

/// What can't be had again, and was paid so.
fn spent(Settlement { transaction, amount, .. }: Settlement) -> ClaimReply {
    ClaimReply::Spent { transaction, amount: Some(amount) }
}
