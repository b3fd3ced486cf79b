//! The facilitator's endpoints: other people's servers ask, a Settler answers.

use std::cell::RefCell;
use std::rc::Rc;

use worker::web_sys::{Headers, Request, Response};
use worker::{Context, Env, console_error};

use super::app::App;
use super::challenge::hints;
use super::head::RequestHead;
use super::settler_client::{SettlerClients, new_ticket};
use super::{body, clock, discovery, refusals, refused, respond, waiting};
use crate::config::{Account, Config, Facilitator};
use crate::facilitator::accepts::AcceptsRequest;
use crate::facilitator::access::{Asker, Meter, account_of};
use crate::facilitator::answer::{
    Answer, bad_request, settled, try_later, verified, with_older_names,
};
use crate::facilitator::order::idempotency_key;
use crate::facilitator::settle::{self, OrderSettlers};
use crate::facilitator::{Endpoint, MAX_BODY, Order, supported};
use crate::gate::Head as _;
use crate::path::CanonicalPath;
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::settlement::sales::RefusalLine;
use crate::settlement::{Outcome, Proof, SettleRequest, Sold, Verdict};

thread_local! {
    static METER: RefCell<Meter> = RefCell::default();
}

/// For how long a server that names its request may have the answer again, and one
/// that nobody waited for is kept for the first that asks again, in seconds.
const REPEAT_SECONDS: u64 = 86_400;

/// What a request asks of the facilitator, if it asks anything of it.
pub(super) fn asked_for(app: &App, head: &RequestHead) -> Option<Endpoint> {
    let base = app.loaded.facilitator_path.as_ref()?;
    let path = CanonicalPath::parse(head.parts().path).ok()?;
    Endpoint::at(base, &path)
}

/// One request, and on whose account it is made.
struct Exchange<'a> {
    app: &'a Rc<App>,
    env: &'a Env,
    context: &'a Context,
    config: &'a Config,
    account: &'a Account,
    endpoint: Endpoint,
    key: Option<String>,
}

/// Answers a request to the facilitator.
pub(super) async fn answer(
    app: &Rc<App>,
    env: &Env,
    context: &Context,
    request: &Request,
    head: &RequestHead,
    endpoint: Endpoint,
) -> worker::Result<Response> {
    let config = app.loaded.config.as_ref().ok();
    let Some((config, facilitator)) = config.and_then(|it| Some((it, it.facilitator.as_ref()?)))
    else {
        return respond::error(503, "the facilitator is closed right now");
    };
    if endpoint == Endpoint::Unknown {
        return respond::error(404, "the facilitator has no such endpoint");
    }
    if head.method() != endpoint.method() {
        let response = respond::error(405, "this endpoint answers to another method")?;
        response.headers().set("Allow", endpoint.method())?;
        return Ok(response);
    }
    if endpoint == Endpoint::Resources {
        return discovery::resources(config, head);
    }
    let authorization = head.header("Authorization");
    let Some(account) = account_of(facilitator, authorization.as_deref()) else {
        let response = respond::error(401, "a bearer token is needed, or this one is wrong")?;
        response.headers().set("WWW-Authenticate", "Bearer")?;
        return Ok(response);
    };
    if let Err(seconds) = count(facilitator, account, head) {
        return send(&try_later(endpoint, 429, "too many requests in this minute", seconds));
    }
    if endpoint == Endpoint::Supported {
        return send(&Answer::ok(supported(config, account)));
    }
    let bytes = match body::read_at_most(request, MAX_BODY).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return respond::error(413, "the body is larger than 64 KiB"),
        Err(unread) => return respond::unread(&unread),
    };
    let key = match idempotency_key(head.header("Idempotency-Key").as_deref()) {
        Ok(key) => key.map(str::to_owned),
        Err(bad) => return send(&bad_request(endpoint, &bad)),
    };
    let Some(_place) = waiting::for_purchase(0) else {
        return send(&try_later(endpoint, 503, "too many payments wait here right now", 2));
    };
    let exchange = Exchange { app, env, context, config, account, endpoint, key };
    send(&exchange.run(bytes).await?)
}

/// Counts a request: by its token, or without one by where it comes from.
fn count(facilitator: &Facilitator, account: &Account, head: &RequestHead) -> Result<(), u64> {
    let address = head.header("CF-Connecting-IP");
    let asker = Asker::new(facilitator, account, address.as_deref());
    METER.with_borrow_mut(|meter| meter.count(asker, account.requests_per_minute, clock::now()))
}

impl Exchange<'_> {
    async fn run(&self, bytes: Vec<u8>) -> worker::Result<Answer> {
        if self.endpoint == Endpoint::Accepts {
            return self.complete(&bytes).await;
        }
        let order = Order::read(self.config, self.account, &bytes);
        drop(bytes);
        let order = match order {
            Ok(order) => order,
            Err(bad) => return Ok(bad_request(self.endpoint, &bad)),
        };
        let is_bare = order.is_bare;
        let answer = if self.endpoint == Endpoint::Verify {
            self.verify(order).await?
        } else {
            self.settle(order).await?
        };
        Ok(if is_bare { with_older_names(self.endpoint, answer) } else { answer })
    }

    /// Completes a server's requirements. They are read twice: what they are read into
    /// is many times as long, and not held while a node is asked.
    async fn complete(&self, bytes: &[u8]) -> worker::Result<Answer> {
        let read = || AcceptsRequest::read(self.config, self.account, bytes);
        let networks = match read() {
            Ok(request) => request.hinted_networks(),
            Err(bad) => return Ok(bad_request(self.endpoint, &bad)),
        };
        let Some(_place) = waiting::for_body(bytes.len()) else {
            return Ok(try_later(self.endpoint, 503, "too much waits here right now", 2));
        };
        let hints = hints(self.app, &networks, self.context).await;
        Ok(match read() {
            Ok(request) => Answer::ok(request.answer(&hints)),
            Err(bad) => bad_request(self.endpoint, &bad),
        })
    }

    async fn verify(&self, mut order: Order) -> worker::Result<Answer> {
        let now = clock::now();
        let payment = match order.check(now) {
            Ok(payment) => payment,
            Err(reason) => return Ok(verified(Verdict::Invalid(reason), None, now)),
        };
        let (settlers, request) = self.request(&order, &payment)?;
        let verdict = settle::verify(&settlers, &request).await;
        Ok(verified(verdict, Some(payment.payer()), now))
    }

    async fn settle(&self, order: Order) -> worker::Result<Answer> {
        let now = clock::now();
        let (mut order, charge) = order.to_settle();
        let payment = match order.check(now) {
            Ok(payment) => payment,
            Err(reason) => {
                self.log_refusal(reason);
                let outcome = Outcome::Failed { reason, transaction: None };
                return Ok(settled(&order, outcome, None, now));
            }
        };
        let (settlers, request) = self.request(&order, &payment)?;
        let request = SettleRequest { charge, ..request };
        let outcome = settle::settle(&settlers, &request, payment.expires_at(now)).await;
        if let Outcome::Failed { reason, .. } = &outcome {
            self.log_refusal(*reason);
        }
        Ok(settled(&order, outcome, Some(&payment.payer()), now))
    }

    /// A line for an order that is refused.
    fn log_refusal(&self, reason: Reason) {
        let client = Some(self.account.name.as_str());
        let (code, none) = (reason.code(), None);
        refusals::log(&RefusalLine { reason: code, route: none, path: none, method: none, client });
        refused::count(self.app, self.env, self.context, reason);
    }

    /// The Settlers of a payment, and what they are asked.
    fn request(
        &self,
        order: &Order,
        payment: &VerifiedPayment,
    ) -> worker::Result<(SettlerClients, SettleRequest)> {
        let settlers = SettlerClients::of(self.env, self.config, &order.network, payment)?;
        // A server that does not name its request may be asking for a second
        // delivery as well as for a lost answer: it is told once.
        let once = self.key.is_none();
        let request = SettleRequest {
            payment: payment.identity(),
            ticket: new_ticket()?,
            resource: order.resource(self.account, self.key.as_deref()),
            proof: Proof::default(),
            network: order.network.id,
            terms: order.terms.clone(),
            payload: order.payload.clone().into(),
            redeliver_seconds: REPEAT_SECONDS,
            redeliver_max: 0,
            once,
            account: Some(self.account.name.clone()),
            remote: None,
            charge: None,
            metered: None,
            unpaid: None,
            sold: Some(Sold::elsewhere(order.version.number())),
        };
        Ok((settlers, request))
    }
}

impl OrderSettlers for SettlerClients {
    async fn charge(&self, request: &SettleRequest) -> Result<Outcome, String> {
        self.own()?.charge(request).await.map_err(|error| error.to_string())
    }

    async fn verify(&self, request: &SettleRequest) -> Result<Verdict, String> {
        self.own()?.verify(request).await.map_err(|error| error.to_string())
    }

    async fn verify_at_other(
        &self,
        number: usize,
        request: &SettleRequest,
    ) -> Result<Verdict, String> {
        self.other(number)?.verify(request).await.map_err(|error| error.to_string())
    }

    fn log(&self, line: &str) {
        console_error!("{}", line);
    }
}

fn send(answer: &Answer) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    if let Some(seconds) = answer.retry_after {
        headers.set("Retry-After", &seconds.to_string())?;
    }
    respond::allow_origins(&headers)?;
    respond::respond(answer.status, &headers, Some(&answer.body.to_string()))
}
