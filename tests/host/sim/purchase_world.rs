//! What the core's sequence of a purchase asks of the world around a buyer.

use std::rc::Rc;
use std::time::Duration;

use edge402::facilitator_client::Verdict;
use edge402::purchase::by_use::CountHolder;
use edge402::purchase::{self, Holder, Part};
use edge402::settlement::others::Settlers;
use edge402::settlement::replay::ReplayRecord;
use edge402::settlement::{
    ClaimReply, ClaimRequest, DeliveryReport, HoldReply, Host as _, Outcome, ReleaseRequest,
    RenewRequest, SettleRequest, Settlement, UseReport,
};
use edge402::time::UnixSeconds;

use super::buyer::pending;
use super::{Answer, Buyer, Kv, Origin, SimHost};

impl Holder for Buyer {
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
        let request = request.clone();
        let reply = self.place().ask(|it| async move { it.renew(&request) }).await;
        reply.and_then(Result::ok).ok_or_else(|| "broken".into())
    }

    async fn report(&self, report: &DeliveryReport) -> Result<(), String> {
        let report = report.clone();
        let reply = self.place().ask(|it| async move { it.report(&report) }).await;
        reply.and_then(Result::ok).ok_or_else(|| "broken".into())
    }

    async fn sleep(&self, duration: Duration) {
        self.world.clock.sleep(u64::try_from(duration.as_millis()).unwrap()).await;
    }

    fn log(&self, line: &str) {
        SimHost(Rc::clone(&self.world)).log(line);
    }
}

impl Settlers for Buyer {
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimReply, String> {
        let request = request.clone();
        let reply = self.world.ask(|it| async move { it.claim(&request).await }).await;
        let reply = self.heard(reply)?;
        *self.said.borrow_mut() = match &reply {
            ClaimReply::Refused(reason) => Some(Answer::Refused(*reason)),
            ClaimReply::Pending { transaction } => Some(pending(transaction.as_ref())),
            ClaimReply::Busy => Some(Answer::Busy),
            _ => None,
        };
        Ok(reply)
    }

    fn others(&self) -> usize {
        self.world.others.borrow().len()
    }

    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Result<ClaimReply, String> {
        let (other, request) = (Rc::clone(&self.world.others.borrow()[number]), request.clone());
        let reply = other.ask(|it| async move { it.claim(&request).await }).await;
        reply.and_then(Result::ok).ok_or_else(|| "broken".into())
    }
}

impl CountHolder for Buyer {
    async fn report_use(&self, report: &UseReport) -> Result<(), String> {
        let report = report.clone();
        let reply = self.place().ask(|it| async move { it.charge_used(&report) }).await;
        reply.and_then(Result::ok).ok_or_else(|| "broken".into())
    }
}

impl purchase::World for Buyer {
    type Answer = Origin;

    fn now(&self) -> UnixSeconds {
        self.world.clock.now()
    }

    fn stay_with_other(&self, number: usize) {
        self.at.set(Some(number));
    }

    async fn settle(&self, request: &SettleRequest) -> Result<Outcome, String> {
        let request = request.clone();
        let outcome = self.place().ask(|it| async move { it.settle(request).await }).await;
        let outcome = self.heard(outcome)?;
        *self.said.borrow_mut() = match &outcome {
            Outcome::Failed { reason, .. } => Some(Answer::Refused(*reason)),
            Outcome::Pending { transaction } => Some(pending(transaction.as_ref())),
            _ => None,
        };
        Ok(outcome)
    }

    async fn hold(&self, request: &SettleRequest) -> Result<HoldReply, String> {
        let request = request.clone();
        let reply = self.place().ask(|it| async move { it.hold(request).await }).await;
        let reply = self.heard(reply)?;
        *self.said.borrow_mut() = match &reply {
            HoldReply::Refused(reason) => Some(Answer::Refused(*reason)),
            _ => None,
        };
        Ok(reply)
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), String> {
        // If the disk fails, the claim ends by itself.
        self.place().settler().release(request).map_err(|error| error.to_string())
    }

    async fn replay(&self, payment: &str) -> Option<ReplayRecord> {
        if self.world.tables.kv_ms.get() > 0 {
            self.world.clock.sleep(self.world.tables.kv_ms.get()).await;
        }
        if self.world.kv_does.get() == Kv::Unread {
            return None;
        }
        let kv = self.world.kv.borrow();
        let (text, until) = kv.get(&ReplayRecord::key(payment))?;
        (self.world.clock.now() < *until).then(|| edge402::json::from_text(text).unwrap())
    }

    fn remember(&self, payment: &str, record: ReplayRecord, expires_at: UnixSeconds) {
        if self.world.kv_does.get() != Kv::Unwritten {
            let now = self.world.clock.now();
            let until = now.plus(record.ttl_seconds(expires_at, now));
            let text = edge402::json::to_text(&record);
            self.world.kv.borrow_mut().insert(ReplayRecord::key(payment), (text, until));
        }
    }

    async fn verify_at_facilitator(&self) -> Option<Verdict> {
        let (facilitator, request) = self.facilitator.as_ref()?;
        let request = request(&self.payment, &self.world.claim_request(&self.payment, ""));
        let transport = SimHost(Rc::clone(&self.world)).transport();
        Some(facilitator.verify(&transport, &request.remote.unwrap().to_string()).await)
    }

    async fn ask_origin(&self, paid: Option<&Settlement>) -> Result<Origin, String> {
        self.told.borrow_mut().push(paid.map(|it| it.transaction.clone()));
        self.world.asked.set(self.world.asked.get() + 1);
        self.world.clock.sleep(self.origin_ms).await;
        if self.origin == Origin::Down { Err("down".into()) } else { Ok(self.origin) }
    }

    fn is_goods(&self, answer: &Origin) -> bool {
        matches!(
            answer,
            Origin::Good | Origin::Rangeless | Origin::Changed(_) | Origin::Unversioned
        )
    }

    fn overrides(&self, _: &Origin) -> Option<String> {
        self.overrides.clone()
    }

    fn part(&self, answer: &Origin) -> Part {
        match answer {
            Origin::Rangeless | Origin::Unversioned => Part::Whole,
            Origin::Changed(version) => Part::Range { version: *version },
            _ => Part::Range { version: 0 },
        }
    }

    fn moves_to(&self, answer: &Origin) -> Option<String> {
        match answer {
            Origin::Elsewhere(resource) => resource.map(str::to_owned),
            _ => None,
        }
    }

    fn discard(&self, _: Origin) {}
}
