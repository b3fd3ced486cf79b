//! A request with a payment that passed every local check: claim, ask the
//! origin, settle, deliver.

use std::rc::Rc;

use futures_util::future::join;
use serde_json::value::RawValue;
use worker::web_sys::{Request, Response};
use worker::{Context, Env, console_error, console_log};

use super::app::App;
use super::challenge::payment_required;
use super::head::RequestHead;
use super::settler_client::{SettlerClient, new_ticket, settler_of};
use super::transport::FetchTransport;
use super::{body, clock, origin, replay, respond};
use crate::config::{Network, Offer, SettleWhen};
use crate::evm::keccak256;
use crate::gate::goods::Judgement;
use crate::gate::grant::GRANT_HEADER;
use crate::gate::{Head as _, Purchase};
use crate::protocol::{Reason, SettlementResponse};
use crate::remote::Verdict;
use crate::settlement::remote::names_no_transaction;
use crate::settlement::replay::{Replay, ReplayRecord};
use crate::settlement::{
    ClaimReply, ClaimRequest, Outcome, ReleaseRequest, SettleRequest, Settlement,
};

/// A body of at most this many bytes is part of what a payment is bound to. A
/// larger one is streamed unread, and what it bought is delivered once.
const MAX_BOUND_BODY: usize = 64 * 1024;

/// How soon to ask again about a payment that is pending, in seconds.
const RETRY_AFTER: &str = "2";

/// One purchase on its way through.
struct Sequence<'a> {
    app: &'a Rc<App>,
    env: &'a Env,
    context: &'a Context,
    head: &'a RequestHead,
    purchase: &'a Purchase<'a>,
    offer: &'a Offer,
    request: Request,
    settler: SettlerClient,
    payment: String,
    resource: String,
    ticket: u64,
    once: bool,
    /// What a facilitator is asked with, where the network has one.
    remote: Option<Box<RawValue>>,
}

/// Answers a request that brings a payment.
pub async fn answer(
    app: &Rc<App>,
    env: &Env,
    context: &Context,
    request: Request,
    head: &RequestHead,
    purchase: Purchase<'_>,
) -> worker::Result<Response> {
    let Some(offer) = purchase.sale.route.offers.get(purchase.offer) else {
        return respond::closed();
    };
    let Ok(config) = &app.loaded.config else { return respond::closed() };
    let Some(name) = settler_of(config, offer.network, &purchase.payment) else {
        return respond::closed();
    };
    let (request, body, once) = match take_body(request, head, &purchase).await {
        Ok(taken) => taken,
        Err(error) => {
            console_error!("body: {}", error.to_string());
            return respond::error(400, "the request's body broke off");
        }
    };
    let sequence = Sequence {
        app,
        env,
        context,
        head,
        offer,
        request,
        settler: SettlerClient::new(env, &name)?,
        payment: purchase.payment.identity(),
        resource: purchase.sale.binding(offer, body.as_ref()),
        ticket: new_ticket()?,
        once,
        remote: super::remote::body(app, offer, &purchase),
        purchase: &purchase,
    };
    sequence.run().await
}

/// The request, what its payment is bound to besides method and URL, and
/// whether that is too little to tell it from another order: the hash of a
/// small body, or only the length and type of a large one, which is not read.
async fn take_body(
    request: Request,
    head: &RequestHead,
    purchase: &Purchase<'_>,
) -> worker::Result<(Request, Option<[u8; 32]>, bool)> {
    if purchase.sale.method.is_safe() || request.body().is_none() {
        return Ok((request, None, false));
    }
    let length = head.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
    if length.is_none_or(|length| length > MAX_BOUND_BODY) {
        let media_type = head.header("Content-Type").unwrap_or_default();
        let looks = format!("unread {length:?} {media_type}");
        return Ok((request, Some(keccak256(looks.as_bytes())), true));
    }
    let copy = request.clone()?;
    let hash = keccak256(&body::read(&copy).await?);
    Ok((request, Some(hash), false))
}

impl Sequence<'_> {
    async fn run(&self) -> worker::Result<Response> {
        let claim = ClaimRequest {
            payment: self.payment.clone(),
            resource: self.resource.clone(),
            ticket: self.ticket,
            expires_at: self.purchase.payment.expires_at(clock::now()),
            // A name is the payer's own: nobody else can use it up.
            identifier: self
                .purchase
                .identifier
                .as_ref()
                .map(|name| format!("{}/{name}", self.purchase.payment.payer())),
            look_only: self.purchase.has_lapsed,
            once: self.once,
        };
        // KV may say "used"; only the Settler can say "fresh". When it can't
        // be reached, KV still serves those who have paid.
        let (replay, claimed) =
            join(replay::ask(self.env, &self.payment, &self.resource), self.settler.claim(&claim))
                .await;
        match (replay, claimed) {
            (_, Ok(ClaimReply::Settled(settlement)))
            | (Some(Replay::Deliver(settlement)), Err(_)) => self.deliver_again(&settlement).await,
            (Some(Replay::Refuse), Err(_)) => self.refused(Reason::DuplicateSettlement).await,
            (None, Err(error)) => {
                console_error!("claim: {}", error.to_string());
                respond::try_again("send the same payment again; it is charged once at most")
            }
            (Some(Replay::Deliver(settlement)), Ok(ClaimReply::Fresh)) => {
                self.release().await;
                self.deliver_again(&settlement).await
            }
            (Some(Replay::Refuse), Ok(ClaimReply::Fresh)) => {
                self.release().await;
                self.refused(Reason::DuplicateSettlement).await
            }
            // Not the payment's fault: it may be sent again.
            (_, Ok(ClaimReply::Refused(Reason::UnexpectedSettleError))) => {
                respond::try_again("send the same payment again; it is charged once at most")
            }
            (_, Ok(ClaimReply::Refused(reason))) => self.refused(reason).await,
            (_, Ok(ClaimReply::Pending { transaction })) => self.pending(transaction).await,
            (_, Ok(ClaimReply::IdentifierTaken)) => respond::error(
                409,
                "extensions.payment-identifier.info.id was given to another payment",
            ),
            (_, Ok(ClaimReply::Busy)) => respond::try_again(
                "another request with this payment is being answered; nothing more was charged",
            ),
            (None, Ok(ClaimReply::Fresh)) => {
                if let Err(answer) = self.verify_elsewhere().await {
                    return answer;
                }
                match self.purchase.sale.route.settle {
                    SettleWhen::After => self.settle_after_origin().await,
                    SettleWhen::Before => self.settle_before_origin().await,
                }
            }
        }
    }

    /// Has the facilitator look at the payment, where there is one instead of
    /// nodes: before the origin works for it, and after the claim, so that what
    /// is unused now has bought nothing else.
    async fn verify_elsewhere(&self) -> Result<(), worker::Result<Response>> {
        let Some(facilitator) = self.network().and_then(|network| network.facilitator.as_ref())
        else {
            return Ok(());
        };
        let body = self.remote.as_ref().map_or("", |body| body.get());
        // Nothing was sent: if the process dies here, the claim is free again
        // after its lease.
        match facilitator.verify(&FetchTransport, body).await {
            Verdict::Valid => Ok(()),
            Verdict::Invalid { reason, code } => {
                console_log!("{} by {}: verify: {}", self.payment, facilitator.host(), code);
                self.release().await;
                Err(self.refused(reason).await)
            }
            Verdict::NoAnswer(why) => {
                console_error!("{}: verify: {}", facilitator.host(), why);
                self.release().await;
                Err(respond::try_again(
                    "the facilitator can't be reached right now; nothing was charged",
                ))
            }
        }
    }

    fn network(&self) -> Option<&Network> {
        self.app.loaded.config.as_ref().ok()?.networks.get(self.offer.network)
    }

    /// Asks the origin, holds its answer, settles, delivers.
    async fn settle_after_origin(&self) -> worker::Result<Response> {
        // Nothing was sent: if the process dies here, the claim is free again
        // after its lease.
        let held = match self.ask_origin().await {
            Ok(held) => held,
            Err(error) => {
                console_error!("origin: {}", error.to_string());
                self.release().await;
                return respond::error(502, "the origin did not answer; nothing was charged");
            }
        };
        match self.judge(&held)? {
            Judgement::Goods => {}
            Judgement::NotGoods => {
                self.release().await;
                return origin::private(&held);
            }
            // The payment is still needed there, so it is let go first.
            Judgement::SoldElsewhere(location) => {
                self.release().await;
                return origin::redirect(&held, &location);
            }
        }
        match self.settle().await {
            Ok(settlement) => self.deliver(&held, &settlement),
            Err(answer) => {
                if let Some(body) = held.body() {
                    let _ = body.cancel();
                }
                answer
            }
        }
    }

    /// Settles, asks the origin, delivers whatever it says.
    async fn settle_before_origin(&self) -> worker::Result<Response> {
        let settlement = match self.settle().await {
            Ok(settlement) => settlement,
            Err(answer) => return answer,
        };
        self.deliver_again(&settlement).await
    }

    /// Whether an answer of the origin is what was ordered.
    fn judge(&self, held: &Response) -> worker::Result<Judgement> {
        let status = held.status();
        let is_redirect = (300..400).contains(&status);
        let location = if is_redirect { held.headers().get("Location")? } else { None };
        let Some(patterns) = &self.app.loaded.patterns else { return Ok(Judgement::Goods) };
        Ok(self.purchase.sale.judge(patterns, status, location.as_deref()))
    }

    async fn settle(&self) -> Result<Settlement, worker::Result<Response>> {
        let request = SettleRequest {
            payment: self.payment.clone(),
            ticket: self.ticket,
            resource: self.resource.clone(),
            network: self.offer.v2.network,
            terms: self.offer.terms.clone(),
            payload: self.purchase.payload.clone(),
            redeliver_seconds: self.purchase.sale.route.redeliver.as_secs(),
            once: self.once,
            account: None,
            remote: self.remote.clone(),
        };
        match self.settler.settle(&request).await {
            Ok(Outcome::Settled(settlement)) => {
                let record = ReplayRecord {
                    resource: self.resource.clone(),
                    settlement: settlement.clone(),
                };
                let expires_at = self.purchase.payment.expires_at(clock::now());
                replay::remember(self.env, self.context, &self.payment, record, expires_at);
                Ok(settlement)
            }
            Ok(Outcome::Failed { reason: Reason::UnexpectedSettleError, .. })
                if self.network().is_some_and(|network| network.facilitator.is_some()) =>
            {
                Err(respond::try_again(
                    "the facilitator has not said what became of this payment; \
                     it was charged once at most",
                ))
            }
            Ok(
                Outcome::Failed { reason: Reason::UnexpectedSettleError, .. }
                | Outcome::Unavailable
                | Outcome::LimitReached,
            ) => Err(respond::try_again(
                "this payment can't be settled right now; nothing was charged",
            )),
            Ok(Outcome::Failed { reason, transaction }) => {
                Err(self.not_paid(reason, transaction).await)
            }
            Ok(Outcome::Pending { transaction }) => Err(self.pending(transaction).await),
            Err(error) => {
                // Whether it was sent is not known here; the Settler knows,
                // and the same payment asks it again.
                console_error!("settle: {}", error.to_string());
                Err(respond::try_again("send the same payment again; it is charged once at most"))
            }
        }
    }

    /// Asks the origin for what was paid for before.
    async fn deliver_again(&self, settlement: &Settlement) -> worker::Result<Response> {
        match self.ask_origin().await {
            Ok(answer) => self.deliver(&answer, settlement),
            Err(error) => {
                console_error!("origin: {}", error.to_string());
                let failed = respond::error(
                    502,
                    "the origin did not answer; send the same payment again, it is charged once",
                )?;
                self.put_receipt(&failed, &self.offer.receipt(self.purchase.version, settlement))?;
                Ok(failed)
            }
        }
    }

    fn deliver(&self, answer: &Response, settlement: &Settlement) -> worker::Result<Response> {
        let answer = origin::mutable(answer)?;
        let headers = answer.headers();
        self.put_receipt(&answer, &self.offer.receipt(self.purchase.version, settlement))?;
        if let (Ok(config), true) = (&self.app.loaded.config, answer.status() < 400)
            && let Some(keys) = &config.grant_keys
            && let Some(grant) = self.purchase.sale.scope().grant(keys, settlement, clock::now())
        {
            headers.set(GRANT_HEADER, &grant.token)?;
            headers.append("Set-Cookie", &grant.cookie)?;
        }
        respond::keep_private(&headers)?;
        respond::allow_origins(&headers)?;
        Ok(answer)
    }

    fn put_receipt(&self, answer: &Response, receipt: &SettlementResponse) -> worker::Result<()> {
        Ok(answer.headers().set(self.purchase.version.receipt_header(), &receipt.to_header())?)
    }

    async fn ask_origin(&self) -> worker::Result<Response> {
        origin::ask(&self.app.loaded, self.env, &self.request, self.head, &self.purchase.sale.path)
            .await
    }

    async fn refused(&self, reason: Reason) -> worker::Result<Response> {
        self.not_paid(reason, None).await
    }

    async fn pending(&self, transaction: String) -> worker::Result<Response> {
        // `settlement_pending` must name a transaction.
        if names_no_transaction(&transaction) {
            return respond::try_again("send the same payment again; it is charged once at most");
        }
        let answer = self.not_paid(Reason::SettlementPending, Some(transaction)).await?;
        answer.headers().set("Retry-After", RETRY_AFTER)?;
        Ok(answer)
    }

    async fn not_paid(
        &self,
        reason: Reason,
        transaction: Option<String>,
    ) -> worker::Result<Response> {
        let version = self.purchase.version;
        let payer = Some(self.purchase.payment.payer());
        let receipt = self.offer.failure(version, reason, payer, transaction);
        payment_required(
            self.app,
            self.head,
            &self.purchase.sale,
            Some(reason),
            Some((version, receipt)),
            self.context,
        )
        .await
    }

    /// Gives the claim up. If that fails, its lease ends by itself.
    async fn release(&self) {
        let request = ReleaseRequest { payment: self.payment.clone(), ticket: self.ticket };
        if let Err(error) = self.settler.release(&request).await {
            console_error!("release: {}", error.to_string());
        }
    }
}
