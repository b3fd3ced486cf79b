//! Who settles what.

use std::rc::Rc;

use super::journal::{AT_FACILITATOR, Entries, TxId};
use super::lane::{Attempt, Job, Lane, Load};
use super::proving::Proving;
use super::record::Claim;
use super::shared::{JOIN_LIMIT, Shared, WAKE_SECONDS, refused};
use super::types::LEASE_SECONDS;
use super::{
    ClaimReply, Delivery, DeliveryReport, Ending, Health, Host, Outcome, PaymentRecord,
    ReleaseRequest, RenewRequest, SettleRequest, State, Store, StoreError, Verdict,
};
use crate::amount::AtomicAmount;
use crate::payment::{Checked, VerifiedPayment};
use crate::protocol::Reason;
use crate::time::UnixSeconds;

pub use super::shared::LaneParts;

/// The longest lease that a gate can ask for, in seconds.
const RENEW_MAX_SECONDS: u64 = 300;

/// The one place that can settle the payments of one relayer on one network.
pub struct Settler<H: Host> {
    pub(super) shared: Rc<Shared<H>>,
    /// The ways for its payments, in the order in which they are tried.
    pub(super) lanes: Vec<Rc<dyn Lane>>,
    pub(super) proving: Rc<Proving>,
    /// For how long sales are kept, in seconds.
    pub(super) keep_sales: u64,
}

impl<H: Host> Settler<H> {
    /// A Settler over this store. A payment goes the first way that takes it,
    /// and the next one only if nothing of it was ever sent.
    pub fn new(
        host: H,
        store: H::Store,
        lanes: impl FnOnce(LaneParts<H>) -> Vec<Rc<dyn Lane>>,
    ) -> Self {
        let shared = Rc::new(Shared::new(host, store));
        let lanes = lanes(LaneParts(Rc::clone(&shared)));
        Self { shared, lanes, proving: Rc::default(), keep_sales: u64::MAX }
    }

    /// Keeps a claim or the lease of an answer for a gate that is alive;
    /// whether there was anything to keep.
    ///
    /// # Errors
    /// The disk failed.
    pub fn renew(&self, request: &RenewRequest) -> Result<bool, StoreError> {
        let shared = &self.shared;
        let Some(mut record) = shared.store.payment(&request.payment)? else { return Ok(false) };
        let now = shared.host.now();
        let until = now.plus(request.seconds.min(RENEW_MAX_SECONDS));
        // Who still waits was not told.
        if !shared.holders.borrow().contains(&request.ticket) {
            record.note_told(request.ticket, now);
        }
        let is_counting = record.keep_counting(request.ticket, until, request.used);
        match &mut record.state {
            _ if is_counting => {}
            State::Claimed { ticket, lease_until } if *ticket == request.ticket => {
                *lease_until = until;
                shared.live.begin(request.ticket, now, until);
            }
            State::Settled(_) | State::Submitted { .. }
                if record.delivery.renew(request.ticket, until) => {}
            _ => return Ok(false),
        }
        shared.store.put_payment(&record)?;
        Ok(true)
    }

    /// Takes note of how an answer ended.
    ///
    /// # Errors
    /// The disk failed.
    pub fn report(&self, report: &DeliveryReport) -> Result<(), StoreError> {
        let shared = &self.shared;
        let Some(mut record) = shared.store.payment(&report.payment)? else { return Ok(()) };
        record.note_told(report.ticket, shared.host.now());
        let is_begun = record.delivery != Delivery::default();
        if is_begun || matches!(record.state, State::Settled(_)) {
            if let Some(resource) = &report.moved_to {
                record.move_to(report.ticket, resource);
            }
            record.delivery.end(report.ticket, report.ending);
            shared.store.put_payment(&record)?;
            shared.tell(&report.payment);
        }
        Ok(())
    }

    /// Settles a payment that the asker has claimed.
    ///
    /// # Errors
    /// The disk failed: nothing may be delivered.
    pub fn settle(
        &self,
        request: SettleRequest,
    ) -> impl Future<Output = Result<Outcome, StoreError>> {
        self.settle_held(Box::new(request))
    }

    /// The same. A crowd of these waits: what one holds is in boxes, and gone when
    /// it is not needed any more.
    async fn settle_held(&self, request: Box<SettleRequest>) -> Result<Outcome, StoreError> {
        match self.look_at_claim(&request)? {
            Held::Payment(payment, verified_at) => {
                self.settle_verified(request, payment, verified_at).await
            }
            // The lease ran out and a retry for the same resource took over: its
            // outcome is this one's, as far as it may be told.
            Held::ByAnother(expires_at) => {
                Box::pin(self.outcome_of_another(&request, expires_at)).await
            }
            // It died with an earlier life, before it was written.
            Held::Lost => Box::pin(self.charge(*request)).await,
            Held::Ended(outcome) => Ok(outcome),
        }
    }

    /// What a request to settle has claimed.
    fn look_at_claim(&self, request: &SettleRequest) -> Result<Held, StoreError> {
        let shared = &self.shared;
        let Some(record) = shared.store.payment(&request.payment)? else {
            return Ok(Held::Lost);
        };
        if record.resource != request.resource {
            return Ok(Held::Ended(refused(Reason::DuplicateSettlement)));
        }
        if !record.is_held_by(request.ticket) {
            return Ok(Held::ByAnother(record.expires_at));
        }
        // It may have been issued before a restart.
        let verified_at = shared.host.now();
        shared.live.begin(request.ticket, verified_at, verified_at.plus(LEASE_SECONDS));
        match check(request, verified_at).and_then(Checked::payable) {
            Ok(payment) => Ok(Held::Payment(Box::new(payment), verified_at)),
            Err(reason) => {
                shared.release(&request.payment, request.ticket)?;
                Ok(Held::Ended(refused(reason)))
            }
        }
    }

    /// What becomes of a payment that another request has claimed.
    async fn outcome_of_another(
        &self,
        request: &SettleRequest,
        expires_at: UnixSeconds,
    ) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let claim = request.claim(expires_at);
        let reply = self.claim(&claim).await?;
        match &reply {
            ClaimReply::Fresh | ClaimReply::Unproven => {
                shared.release(&claim.payment, claim.ticket)?;
            }
            ClaimReply::Deliver { settlement, may_grant: false } => {
                let transaction = TxId::named(&settlement.transaction);
                let (payment, ticket) = (claim.payment, claim.ticket);
                let ending = Ending::Nothing;
                self.report(&DeliveryReport { payment, ticket, ending, moved_to: None })?;
                return Ok(Outcome::Pending { transaction });
            }
            _ => {}
        }
        Ok(Outcome::from(reply))
    }

    /// Claims a payment and settles it, for a caller that has nothing to do in between.
    /// One that was settled for something else is refused with the transaction
    /// that settled it, so that whoever asks can find the money.
    ///
    /// # Errors
    /// The disk failed: nothing may be delivered.
    pub async fn charge(&self, request: SettleRequest) -> Result<Outcome, StoreError> {
        let now = self.shared.host.now();
        // Whoever asked in time may be told later.
        let (payment, has_lapsed) = match check(&request, now) {
            Ok(checked) => checked.into_parts(),
            Err(reason) => return Ok(refused(reason)),
        };
        let (request, payment) = (Box::new(request), Box::new(payment));
        let mut claim = request.claim(payment.expires_at(now));
        // Nothing has to be proved that was found to be signed by a key.
        claim.to_prove = claim.to_prove.filter(|_| payment.signature_to_prove().is_some());
        claim.look_only = has_lapsed;
        match self.claim(&claim).await? {
            // Nothing was sent: if the process dies here, the claim is free
            // again after its lease.
            ClaimReply::Fresh | ClaimReply::Unproven => {
                self.settle_verified(request, payment, now).await
            }
            ClaimReply::NOTHING_BOUGHT if has_lapsed => Ok(refused(payment.too_late())),
            ClaimReply::Refused(reason) => {
                let known = self.shared.store.payment(&request.payment)?;
                let transaction = known.and_then(PaymentRecord::transaction);
                Ok(Outcome::Failed { reason, transaction })
            }
            reply => Ok(Outcome::from(reply)),
        }
    }

    /// Whether a payment could be settled now: not used here, and good on the
    /// chain. Binds nothing, writes nothing, sends nothing.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn verify(&self, request: &SettleRequest) -> Result<Verdict, StoreError> {
        let shared = &self.shared;
        let now = shared.host.now();
        let (payment, has_lapsed) = match check(request, now) {
            Ok(checked) => checked.into_parts(),
            Err(reason) => return Ok(Verdict::Invalid(reason)),
        };
        if let Some(known) = shared.store.payment(&request.payment)? {
            let same = known.resource == request.resource;
            let signature = payment.signature_to_prove();
            let is_unproven = signature.is_some() && signature != known.signature;
            match (known.standing(same, &request.proof, now), known.state) {
                (Claim::Settled(_), _) | (_, State::Submitted { .. }) if is_unproven => {
                    return Ok(Verdict::Invalid(Reason::DuplicateSettlement));
                }
                (Claim::OtherResource, _) => {
                    return Ok(Verdict::Invalid(Reason::DuplicateSettlement));
                }
                // Who asked for this to be settled, and does not know yet what
                // became of it, will be told when asking again.
                (Claim::Settled(_), _) | (Claim::InFlight, State::Submitted { .. }) => {
                    return Ok(Verdict::Valid);
                }
                (Claim::Fresh | Claim::Unproven | Claim::InFlight | Claim::Reserved, _) => {}
            }
        }
        if has_lapsed {
            return Ok(Verdict::Invalid(payment.too_late()));
        }
        if shared.throttle.is_throttled(&payment.payer(), shared.host.now()) {
            return Ok(Verdict::Invalid(Reason::TooManyFailures));
        }
        match self.lanes.iter().find(|lane| lane.takes(&payment)) {
            Some(lane) => lane.verify(request, &payment).await,
            None => Ok(Verdict::Invalid(Reason::InvalidNetwork)),
        }
    }

    /// Writes what was told before it was written, for whoever reads the same tables.
    ///
    /// # Errors
    /// The disk failed.
    pub fn write_kept(&self) -> Result<(), StoreError> {
        self.shared.write_kept()
    }

    /// Gives a claim up. Does nothing if it isn't the asker's, or if anything
    /// was sent.
    pub fn release(&self, request: &ReleaseRequest) -> Result<(), StoreError> {
        self.release_held(&request.payment, request.ticket)?;
        self.shared.release(&request.payment, request.ticket)
    }

    /// Takes up what a crash left in the journal, and forgets what is old.
    /// Called when the object comes to life and by its alarm.
    pub fn wake(&self) -> Result<(), StoreError> {
        // An alarm that fails is tried again, and not for ever.
        self.take_up().inspect_err(|_| self.shared.host.wake_in(WAKE_SECONDS))
    }

    fn take_up(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.try_to_write_kept();
        shared.store.forget_until(shared.host.now())?;
        // A sale that it died with before anybody was told of it.
        shared.host.sold();
        // All that went to a chain, each time: of a relayer it is the eight transactions that
        // wait for a block and those that wait for a second node, of a fee payer at most
        // 1,024 of two kilobytes. More is there only of what somebody else has used in
        // its place and no node tells by whom, for a day, and that has cost its payer
        // the payment.
        let mut open = Entries::from(shared.store.open_entries()?);
        open.is_at_facilitator = shared.store.count_at_facilitator(AT_FACILITATOR, 1)? > 0;
        if !open.is_empty() {
            shared.host.wake_in(WAKE_SECONDS);
        }
        self.take_up_unsettled()?;
        for lane in &self.lanes {
            Rc::clone(lane).resume(&mut open);
        }
        if open.is_at_facilitator {
            shared.host.log("payments are at a facilitator that is not configured any more");
        }
        // Last: whatever comes of it, what is under way goes on.
        if let Err(error) = self.keep_ledger() {
            shared.host.log(&format!("the ledger: {error}"));
        }
        Ok(())
    }

    /// The same Settler with its name, `{CAIP-2}/{relayer}`, which the log and
    /// the seller are told.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.shared.condition.set_name(name);
        self
    }

    /// How this Settler is doing. One look at the chain serves all who ask at
    /// about the same time.
    pub async fn health(&self) -> Health {
        let shared = &self.shared;
        // What it says is said of the way that is tried first.
        let Some(lane) = self.lanes.first() else { return shared.health(Load::default()) };
        let (seen, look) = (Rc::clone(shared), Rc::clone(lane).look());
        // If the process dies here, nothing was written.
        shared.look_by(look, move || seen.end_look()).await;
        shared.health(lane.load())
    }

    /// Settles what was claimed and verified.
    async fn settle_verified(
        &self,
        request: Box<SettleRequest>,
        payment: Box<VerifiedPayment>,
        verified_at: UnixSeconds,
    ) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        if shared.throttle.is_throttled(&payment.payer(), shared.host.now()) {
            return shared.refuse(&request, Reason::TooManyFailures);
        }
        let _attending = shared.attend(request.ticket);
        if request.charge == Some(AtomicAmount(0)) {
            return shared.settle_nothing(&request, payment.payer());
        }
        // Of a gate's order release 0.1.0 says so, too: there it is the gate
        // that knows what was delivered.
        let once = request.account.is_some() && request.once;
        let (id, ticket) = (request.payment.clone(), request.ticket);
        let until = shared.host.now().plus(JOIN_LIMIT.as_secs());
        match self.settle_by_lanes(Job { request, payment, verified_at, until }).await? {
            Outcome::Settled(_) if once => {
                Ok(shared.tell_once(&id, ticket)?.unwrap_or(Outcome::Unavailable))
            }
            outcome => Ok(outcome),
        }
    }

    /// Tries one lane after the other.
    pub(super) async fn settle_by_lanes(&self, mut job: Job) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        if !self.lanes.iter().any(|lane| lane.takes(&job.payment)) {
            return shared.refuse(&job.request, Reason::InvalidNetwork);
        }
        for lane in &self.lanes {
            if !lane.takes(&job.payment) {
                continue;
            }
            match Rc::clone(lane).settle(job).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Untouched(back) => job = *back,
            }
            // What an earlier transaction has shown to everybody goes no other
            // way, though nothing of this job was sent.
            if shared.held_record(&job)?.is_some_and(|record| record.attempts.is_some()) {
                break;
            }
        }
        shared.release(&job.request.payment, job.request.ticket)?;
        Ok(Outcome::Unavailable)
    }
}

/// What a request to settle holds.
enum Held {
    /// This payment, verified at this time.
    Payment(Box<VerifiedPayment>, UnixSeconds),
    /// Nothing: another request does. With the payment's end.
    ByAnother(UnixSeconds),
    /// Nothing that is known, and nobody else does: it may be claimed.
    Lost,
    /// Nothing any more: this became of it.
    Ended(Outcome),
}

/// The payment that is to be settled, if it is the one that it is said to be.
fn check(request: &SettleRequest, now: UnixSeconds) -> Result<Checked, Reason> {
    let checked = request.check(now)?;
    let (Checked::Payable(payment) | Checked::Lapsed(payment)) = &checked;
    if payment.identity() == request.payment { Ok(checked) } else { Err(Reason::InvalidPayload) }
}
