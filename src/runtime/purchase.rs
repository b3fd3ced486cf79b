//! The world of a purchase: its request, its Settler, its origin, and what its
//! end looks like over HTTP.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use js_sys::Reflect;
use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Request, Response};
use worker::{Context, Delay, Env, console_error, console_log};

use super::app::App;
use super::challenge::payment_required;
use super::head::RequestHead;
use super::settler_client::{SettlerClient, new_ticket, others_of, settler_of};
use super::transport::FetchTransport;
use super::{body, clock, js, origin, replay, respond, stream};
use crate::config::{Network, Offer};
use crate::facilitator_client::Verdict;
use crate::gate::goods::Judgement;
use crate::gate::grant::GRANT_HEADER;
use crate::gate::{BoundBody, Head as _, MAX_BOUND_BODY, Purchase};
use crate::protocol::{Reason, SettlementResponse};
use crate::purchase::order::Request as OrderRequest;
use crate::purchase::{self, End, Goods, Holder, Order, World};
use crate::settlement::replay::ReplayRecord;
use crate::settlement::{
    ClaimReply, ClaimRequest, DeliveryReport, Outcome, ReleaseRequest, RenewRequest, SettleRequest,
};
use crate::time::UnixSeconds;

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
    body: BoundBody,
    /// The payment's Settler, and behind it the others that may know it.
    settlers: Vec<SettlerClient>,
    /// Which of them the purchase is at.
    at: Cell<usize>,
    order: Order,
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
    let Some(network) = config.networks.get(offer.network) else { return respond::closed() };
    let (request, body) = match take_body(request, head).await {
        Ok(taken) => taken,
        Err(error) => {
            console_error!("body: {}", error.to_string());
            return respond::error(400, "the request's body broke off");
        }
    };
    let address = address_of(&request, head);
    let order = Order::new(
        &purchase,
        offer,
        OrderRequest {
            body: body.clone(),
            address: address.as_deref(),
            ticket: new_ticket()?,
            remote: super::remote::body(app, offer, &purchase),
            has_facilitator: network.facilitator.is_some(),
        },
        clock::now(),
    );
    let others = others_of(config, offer.network, &purchase.payment);
    let names = [name].into_iter().chain(others);
    let settlers = names.map(|name| SettlerClient::new(env, &name)).collect::<Result<_, _>>()?;
    let purchase = &purchase;
    let at = Cell::new(0);
    let sequence =
        Sequence { app, env, context, head, purchase, offer, request, body, settlers, at, order };
    let end = purchase::run(&sequence, &sequence.order).await;
    sequence.told(end).await
}

/// The client's address. Cloudflare's edge writes the header over whatever the
/// client sent; it also fills in `cf`. Where that is missing the edge wasn't
/// there, and anybody may have written the header.
fn address_of(request: &Request, head: &RequestHead) -> Option<String> {
    let edge = Reflect::get(request, &JsValue::from("cf")).ok()?;
    edge.is_object().then(|| head.header("CF-Connecting-IP")).flatten()
}

/// The request, and what of its body its payment is bound to.
async fn take_body(request: Request, head: &RequestHead) -> worker::Result<(Request, BoundBody)> {
    if request.body().is_none() {
        return Ok((request, BoundBody::none()));
    }
    let media_type = head.header("Content-Type").unwrap_or_default();
    let length = head.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BOUND_BODY) {
        return Ok((request, BoundBody::unread(length, &media_type)));
    }
    // HTTP/2 and chunks need not say how long a body is.
    let copy = request.clone()?;
    let body = match body::read_at_most(&copy, MAX_BOUND_BODY).await? {
        Some(bytes) => BoundBody::read(&bytes, &media_type),
        None => BoundBody::unread(length, &media_type),
    };
    Ok((request, body))
}

/// What lives on until an answer has come to its end.
struct Follower(SettlerClient);

impl Holder for Follower {
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
        self.0.renew(request).await.map_err(|error| error.to_string())
    }

    async fn report(&self, report: &DeliveryReport) -> Result<(), String> {
        self.0.report(report).await.map_err(|error| error.to_string())
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}

impl Holder for Sequence<'_> {
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
        self.settler()?.renew(request).await.map_err(|error| error.to_string())
    }

    async fn report(&self, report: &DeliveryReport) -> Result<(), String> {
        self.settler()?.report(report).await.map_err(|error| error.to_string())
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn log(&self, line: &str) {
        console_error!("{}", line);
    }
}

impl World for Sequence<'_> {
    type Answer = Response;

    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimReply, String> {
        self.settler()?.claim(request).await.map_err(|error| error.to_string())
    }

    fn others(&self) -> usize {
        self.settlers.len().saturating_sub(1)
    }

    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Result<ClaimReply, String> {
        let other = self.settlers.get(number + 1).ok_or("no such Settler")?;
        other.claim(request).await.map_err(|error| error.to_string())
    }

    fn stay_with_other(&self, number: usize) {
        self.at.set(number + 1);
    }

    async fn settle(&self, request: &SettleRequest) -> Result<Outcome, String> {
        self.settler()?.settle(request).await.map_err(|error| error.to_string())
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), String> {
        self.settler()?.release(request).await.map_err(|error| error.to_string())
    }

    async fn replay(&self, payment: &str) -> Option<ReplayRecord> {
        replay::ask(self.env, payment).await
    }

    fn remember(&self, payment: &str, record: ReplayRecord, expires_at: UnixSeconds) {
        replay::remember(self.env, self.context, payment, record, expires_at);
    }

    async fn verify_at_facilitator(&self) -> Option<Verdict> {
        let facilitator = self.network()?.facilitator.as_ref()?;
        let body = self.order.settle.remote.as_ref().map(Value::to_string).unwrap_or_default();
        Some(facilitator.verify(&FetchTransport, &body).await)
    }

    async fn ask_origin(&self) -> Result<Response, String> {
        let loaded = &self.app.loaded;
        origin::ask(loaded, self.env, &self.request, self.head, &self.purchase.sale.path)
            .await
            .map_err(|error| error.to_string())
    }

    fn is_goods(&self, held: &Response) -> bool {
        self.judge(held) == Judgement::Goods
    }

    fn moves_to(&self, answer: &Response) -> Option<String> {
        let to = (answer.status(), location(answer));
        let (sale, loaded) = (&self.purchase.sale, &self.app.loaded);
        sale.binding_at(loaded, self.offer, &self.body, (to.0, to.1.as_deref()))
    }

    fn discard(&self, held: Response) {
        if let Some(body) = held.body() {
            let _ = body.cancel();
        }
    }
}

/// Where a redirect leads.
fn location(answer: &Response) -> Option<String> {
    let is_redirect = (300..400).contains(&answer.status());
    is_redirect.then(|| answer.headers().get("Location").ok().flatten()).flatten()
}

impl Sequence<'_> {
    fn settler(&self) -> Result<&SettlerClient, String> {
        self.settlers.get(self.at.get()).ok_or_else(|| "no Settler".to_owned())
    }

    fn judge(&self, answer: &Response) -> Judgement {
        let Some(patterns) = &self.app.loaded.patterns else { return Judgement::Goods };
        self.purchase.sale.judge(patterns, answer.status(), location(answer).as_deref())
    }

    fn network(&self) -> Option<&Network> {
        self.app.loaded.config.as_ref().ok()?.networks.get(self.offer.network)
    }

    /// What the client is told of a purchase's end.
    async fn told(&self, end: End<Response>) -> worker::Result<Response> {
        match end {
            End::Deliver(goods) => self.deliver(&goods),
            // The claim was given up: where a redirect leads to something that
            // is sold, the same payment is good there.
            End::NotCharged(answer) => match self.judge(&answer) {
                Judgement::SoldElsewhere(location) => origin::redirect(&answer, &location),
                Judgement::Goods | Judgement::NotGoods => origin::private(&answer),
            },
            End::Refused { reason, transaction } => self.not_paid(reason, transaction).await,
            End::Pending(transaction) => {
                let reason = Reason::SettlementPending;
                let answer = self.not_paid(reason, Some(transaction)).await?;
                answer.headers().set("Retry-After", RETRY_AFTER)?;
                Ok(answer)
            }
            End::TryAgain(message) => respond::try_again(message),
            End::OriginDown(None) => {
                respond::error(502, "the origin did not answer; nothing was charged")
            }
            End::OriginDown(Some(settlement)) => {
                let failed = respond::error(
                    502,
                    "the origin did not answer; send the same payment again, it is charged once",
                )?;
                let receipt = self.offer.receipt(self.purchase.version, &settlement);
                self.put_receipt(&failed, &receipt)?;
                Ok(failed)
            }
            End::NameTaken => respond::error(
                409,
                "extensions.payment-identifier.info.id was given to another payment",
            ),
        }
    }

    fn deliver(&self, goods: &Goods<Response>) -> worker::Result<Response> {
        let settlement = &goods.settlement;
        let answer = if goods.is_followed {
            let (answer, is_whole) = stream::watch(&goods.answer)?;
            let (follower, claim) = (Follower(self.settler()?.clone()), self.order.claim.clone());
            self.context.wait_until(js::in_a_box(async move {
                purchase::follow(&follower, &claim, is_whole).await;
            }));
            answer
        } else if let Judgement::SoldElsewhere(location) = self.judge(&goods.answer) {
            // It is paid for, and had there, or here if the payment is no good there.
            origin::redirect(&goods.answer, &location)?
        } else {
            origin::mutable(&goods.answer)?
        };
        let headers = answer.headers();
        self.put_receipt(&answer, &self.offer.receipt(self.purchase.version, settlement))?;
        if goods.may_grant
            && let Ok(config) = &self.app.loaded.config
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
}
