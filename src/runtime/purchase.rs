//! The world of a purchase: its request, its Settler, and its origin.

mod told;

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use worker::web_sys::{Request, Response};
use worker::{Context, Delay, Env, console_error, console_log};

use super::app::App;
use super::challenge::payment_required;
use super::head::RequestHead;
use super::origin::Asking;
use super::settler_client::{SettlerClient, SettlerClients, new_ticket};
use super::transport::FetchTransport;
use super::{clock, origin, replay, respond, waiting};
use crate::config::Offer;
use crate::facilitator_client::Verdict;
use crate::gate::delivery_cookie::PREFER;
use crate::gate::goods::Judgement;
use crate::gate::notice::Notice;
use crate::gate::{BoundBody, Collection, Fact, Head as _, Purchase, Sale};
use crate::meter::Meter;
use crate::meter::overrides::SETTLEMENT_OVERRIDES;
use crate::purchase::by_use::CountHolder;
use crate::purchase::order::Request as OrderRequest;
use crate::purchase::{self, Holder, Order, Part, World, part_of};
use crate::settlement::others::{Said, Settlers};
use crate::settlement::replay::ReplayRecord;
use crate::settlement::{
    ClaimRequest, DeliveryReport, HoldReply, Outcome, ReleaseRequest, RenewRequest, SettleRequest,
    Settlement, UseReport, Wanted,
};
use crate::time::UnixSeconds;

/// One purchase on its way through.
struct Sequence<'a> {
    app: &'a Rc<App>,
    env: &'a Env,
    context: &'a Context,
    head: &'a RequestHead,
    sale: &'a Sale<'a>,
    offer: &'a Offer,
    request: Request,
    body: BoundBody,
    settlers: SettlerClients,
    claim: &'a ClaimRequest,
    /// The payment, unless a cookie stands in its place.
    paid_by: Option<PaidBy<'a>>,
}

/// What a request brings that pays.
struct PaidBy<'a> {
    purchase: &'a Purchase<'a>,
    order: &'a Order,
}

/// Answers a request that brings a payment.
pub(super) async fn answer(
    app: &Rc<App>,
    env: &Env,
    context: &Context,
    request: Request,
    head: &RequestHead,
    purchase: Box<Purchase<'_>>,
) -> worker::Result<Response> {
    let Some(offer) = purchase.sale.route.offer(purchase.offer) else {
        return respond::closed();
    };
    let Ok(config) = &app.loaded.config else { return respond::closed() };
    let Ok(settlers) = SettlerClients::of(env, config, &offer.network, &purchase.payment) else {
        return respond::closed();
    };
    let body = match head.bound_body(&request).await {
        Ok(body) => body,
        Err(unread) => return respond::unread(&unread),
    };
    // Not before: a body may come as slowly as its sender likes.
    let text = head.url().len() + purchase.payload.to_string().len();
    let Some(_place) = waiting::for_purchase(text) else {
        return respond::try_again("too many payments wait here right now; nothing was charged");
    };
    let address = head.edge(Fact::Address);
    let mut order = Order::new(
        &purchase,
        offer,
        OrderRequest {
            body: body.clone(),
            address: address.as_deref(),
            ticket: new_ticket()?,
            remote: super::remote::body(offer, &purchase),
            has_facilitator: offer.network.facilitator.is_some(),
        },
        clock::now(),
    );
    if waiting::count() > waiting::CROWD {
        // It would share a preview in any case.
        order.claim.to_prepare = None;
    }
    let sequence = Sequence {
        app,
        env,
        context,
        head,
        sale: &purchase.sale,
        offer,
        request,
        body,
        settlers,
        claim: &order.claim,
        paid_by: Some(PaidBy { purchase: &purchase, order: &order }),
    };
    let end = purchase::run(&sequence, &order).await;
    sequence.told(end).await
}

/// Answers a request that brings a delivery cookie.
pub(super) async fn collect(
    app: &Rc<App>,
    env: &Env,
    context: &Context,
    request: Request,
    head: &RequestHead,
    (sale, collection): (Sale<'_>, Collection),
) -> worker::Result<Response> {
    let offer = sale.route.offer(collection.offer);
    // A cookie says nothing of a body, and browsers send none with a GET.
    let Some(offer) = offer.filter(|_| request.body().is_none()) else {
        return payment_required(app, env, head, &sale, None, None, context).await;
    };
    let is_part = head.method() == "HEAD" || head.header("Range").is_some();
    let wanted = if is_part { Wanted::Part } else { Wanted::Whole };
    let claim = Order::by_cookie(&collection, &sale, offer, wanted, new_ticket()?);
    let sequence = Sequence {
        app,
        env,
        context,
        head,
        sale: &sale,
        offer,
        request,
        body: BoundBody::none(),
        settlers: SettlerClients::one(env, collection.settler.clone())?,
        claim: &claim,
        paid_by: None,
    };
    let end = purchase::collect(&sequence, &claim).await;
    sequence.told(end).await
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

impl CountHolder for Follower {
    async fn report_use(&self, report: &UseReport) -> Result<(), String> {
        self.0.report_use(report).await.map_err(|error| error.to_string())
    }
}

impl Holder for Sequence<'_> {
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
        self.settlers.own()?.renew(request).await.map_err(|error| error.to_string())
    }

    async fn report(&self, report: &DeliveryReport) -> Result<(), String> {
        self.settlers.own()?.report(report).await.map_err(|error| error.to_string())
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn log(&self, line: &str) {
        console_error!("{}", line);
    }
}

impl Settlers for Sequence<'_> {
    async fn claim(&self, request: &ClaimRequest) -> Said {
        self.settlers.claim(request).await
    }

    fn others(&self) -> usize {
        self.settlers.others()
    }

    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Said {
        self.settlers.ask_other(number, request).await
    }
}

impl World for Sequence<'_> {
    type Answer = Response;

    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    fn stay_with_other(&self, number: usize) {
        self.settlers.stay_with_other(number);
    }

    async fn settle(&self, request: &SettleRequest) -> Result<Outcome, String> {
        self.settlers.own()?.settle(request).await.map_err(|error| error.to_string())
    }

    async fn hold(&self, request: &SettleRequest) -> Result<HoldReply, String> {
        self.settlers.own()?.hold(request).await.map_err(|error| error.to_string())
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), String> {
        self.settlers.own()?.release(request).await.map_err(|error| error.to_string())
    }

    async fn replay(&self, payment: &str) -> Option<ReplayRecord> {
        replay::ask(self.env, payment).await
    }

    fn remember(&self, payment: &str, record: ReplayRecord, expires_at: UnixSeconds) {
        replay::remember(self.env, self.context, payment, record, expires_at);
    }

    async fn verify_at_facilitator(&self) -> Option<Verdict> {
        let facilitator = self.offer.network.facilitator.as_ref()?;
        let remote = self.paid_by.as_ref()?.order.settle.remote.as_ref();
        let body = remote.map(Value::to_string).unwrap_or_default();
        Some(facilitator.verify(&FetchTransport, &body).await)
    }

    async fn ask_origin(&self, paid: Option<&Settlement>) -> Result<Response, String> {
        let loaded = &self.app.loaded;
        // What the gate has heard is not for the origin to hear.
        let is_heard = self.prefers_minimal() || self.prefers_manual();
        let heard = [PREFER].get(usize::from(!is_heard)..).unwrap_or_default();
        let by_use = self.sale.route.by_use.as_ref();
        let is_read = by_use.is_some_and(|it| it.meter.as_ref().is_some_and(Meter::reads_text));
        let secret = self.sale.told_by(loaded.origin_secret.as_ref());
        let notice = secret.and_then(|secret| Some((secret, self.notice(paid)?)));
        let is_uncached = self.sale.route.by_origin.is_some();
        let how = Asking { kept: heard, is_plain: is_read, notice, is_paid: true, is_uncached };
        origin::ask(loaded, self.env, &self.request, self.head, &self.sale.path, how)
            .await
            .map_err(|error| error.to_string())
    }

    fn is_goods(&self, held: &Response) -> bool {
        self.judge(held) == Judgement::Goods
    }

    fn overrides(&self, answer: &Response) -> Option<String> {
        answer.headers().get(SETTLEMENT_OVERRIDES).ok().flatten()
    }

    fn part(&self, answer: &Response) -> Part {
        if self.head.method() == "HEAD" {
            return Part::Head;
        }
        let header = |name| answer.headers().get(name).ok().flatten();
        let range = header("Content-Range").filter(|_| answer.status() == 206);
        part_of(range.as_deref(), header("ETag").as_deref(), header("Last-Modified").as_deref())
    }

    fn moves_to(&self, answer: &Response) -> Option<String> {
        let to = (answer.status(), location(answer));
        self.sale.binding_at(&self.app.loaded, self.offer, &self.body, (to.0, to.1.as_deref()))
    }

    fn discard(&self, held: Response) {
        origin::drop_body(&held);
    }
}

/// Where a redirect leads.
fn location(answer: &Response) -> Option<String> {
    let is_redirect = (300..400).contains(&answer.status());
    is_redirect.then(|| answer.headers().get("Location").ok().flatten()).flatten()
}

impl Sequence<'_> {
    /// What there is to tell the origin of the payment.
    fn notice(&self, paid: Option<&Settlement>) -> Option<Notice> {
        if let Some(settlement) = paid {
            return Some(Notice::settled(self.offer, settlement));
        }
        let payment = &self.paid_by.as_ref()?.purchase.payment;
        Some(Notice::claimed(self.offer, payment))
    }

    fn judge(&self, answer: &Response) -> Judgement {
        let Some(patterns) = &self.app.loaded.patterns else { return Judgement::Goods };
        self.sale.judge(patterns, answer.status(), location(answer).as_deref())
    }
}
