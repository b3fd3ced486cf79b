//! The facilitator's endpoints: other people's servers ask, a Settler answers.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::FutureExt as _;
use worker::web_sys::{Headers, Request, Response};
use worker::{Context, Env, console_error};

use super::app::App;
use super::challenge::hints;
use super::head::RequestHead;
use super::settler_client::{SettlerClient, new_ticket, others_of, settler_of};
use super::{body, clock, discovery, respond};
use crate::config::{Account, Config, Facilitator};
use crate::facilitator::accepts::AcceptsRequest;
use crate::facilitator::access::{Asker, Meter, account_of};
use crate::facilitator::answer::{
    Answer, bad_request, settled, try_later, verified, with_older_names,
};
use crate::facilitator::order::idempotency_key;
use crate::facilitator::{Endpoint, MAX_BODY, Order, supported};
use crate::gate::Head as _;
use crate::path::{CanonicalPath, UrlParts};
use crate::payment::VerifiedPayment;
use crate::settlement::others::heaviest;
use crate::settlement::{Outcome, Proof, SettleRequest, Verdict};
use crate::together::join_all;

thread_local! {
    static METER: RefCell<Meter> = RefCell::default();
}

/// For how long a server that names its request may have the answer again, in
/// seconds.
const REPEAT_SECONDS: u64 = 86_400;

/// For how long an answer that nobody waited for is kept for the first that
/// asks again, in seconds.
const COLLECT_SECONDS: u64 = 600;

/// What a request asks of the facilitator, if it asks anything of it.
pub(super) fn asked_for(app: &App, head: &RequestHead) -> Option<Endpoint> {
    let base = app.loaded.facilitator_path.as_ref()?;
    let path = CanonicalPath::parse(UrlParts::of(head.url()).path).ok()?;
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
        Err(error) => {
            console_error!("body: {:?}", error);
            return respond::error(400, "the request's body broke off");
        }
    };
    let key = match idempotency_key(head.header("Idempotency-Key").as_deref()) {
        Ok(key) => key.map(str::to_owned),
        Err(bad) => return send(&bad_request(endpoint, &bad)),
    };
    let exchange = Exchange { app, env, context, config, account, endpoint, key };
    send(&exchange.run(&bytes).await?)
}

/// Counts a request: by its token, or without one by where it comes from.
fn count(facilitator: &Facilitator, account: &Account, head: &RequestHead) -> Result<(), u64> {
    let address = head.header("CF-Connecting-IP");
    let asker = Asker::new(facilitator, account, address.as_deref());
    METER.with_borrow_mut(|meter| meter.count(asker, account.requests_per_minute, clock::now()))
}

impl Exchange<'_> {
    async fn run(&self, bytes: &[u8]) -> worker::Result<Answer> {
        if self.endpoint == Endpoint::Accepts {
            return Ok(match AcceptsRequest::read(self.config, self.account, bytes) {
                Ok(request) => {
                    let networks = request.hinted_networks();
                    let hints = hints(self.app, &networks, self.context).await;
                    Answer::ok(request.answer(&hints))
                }
                Err(bad) => bad_request(self.endpoint, &bad),
            });
        }
        let order = match Order::read(self.config, self.account, bytes) {
            Ok(order) => order,
            Err(bad) => return Ok(bad_request(self.endpoint, &bad)),
        };
        let answer = if self.endpoint == Endpoint::Verify {
            self.verify(&order).await?
        } else {
            self.settle(&order).await?
        };
        Ok(if order.is_bare { with_older_names(self.endpoint, answer) } else { answer })
    }

    async fn verify(&self, order: &Order) -> worker::Result<Answer> {
        let now = clock::now();
        let payment = match order.check(now) {
            Ok(payment) => payment,
            Err(reason) => return Ok(verified(Verdict::Invalid(reason), None, now)),
        };
        let (settler, request) = self.request(order, &payment)?;
        let mut verdict = settler.verify(&request).await.unwrap_or_else(|error| {
            console_error!("verify: {}", error.to_string());
            Verdict::Unknown
        });
        if verdict.may_be_anothers() {
            let others = self.others(order, &payment)?;
            let asked = others.iter().map(|other| other.verify(&request).boxed_local());
            let said = join_all(asked.collect()).await;
            if said.iter().flatten().any(|said| *said == Verdict::Valid) {
                verdict = Verdict::Valid;
            }
        }
        Ok(verified(verdict, Some(payment.payer()), now))
    }

    async fn settle(&self, order: &Order) -> worker::Result<Answer> {
        let now = clock::now();
        let payment = match order.check(now) {
            Ok(payment) => payment,
            Err(reason) => {
                let outcome = Outcome::Failed { reason, transaction: None };
                return Ok(settled(order, outcome, None, now));
            }
        };
        let (settler, request) = self.request(order, &payment)?;
        if let Some(outcome) = self.settled_elsewhere(order, &payment, &request).await? {
            return Ok(settled(order, outcome, Some(&payment.payer()), now));
        }
        let outcome = settler.charge(&request).await.unwrap_or_else(|error| {
            // Whether it was sent is not known here; the Settler knows, and the
            // same request asks it again.
            console_error!("settle: {}", error.to_string());
            Outcome::Unavailable
        });
        Ok(settled(order, outcome, Some(&payment.payer()), now))
    }

    /// What became of a payment at another Settler, which it belonged to before
    /// the signers were changed. What they don't know they let nobody claim for
    /// a while.
    async fn settled_elsewhere(
        &self,
        order: &Order,
        payment: &VerifiedPayment,
        request: &SettleRequest,
    ) -> worker::Result<Option<Outcome>> {
        let others = self.others(order, payment)?;
        let look = &request.claim(payment.expires_at(clock::now())).to_other_signer();
        let asked = others.iter().map(|other| {
            async move { other.claim(look).await.map_err(|error| error.to_string()) }.boxed_local()
        });
        let said = heaviest(join_all(asked.collect()).await);
        Ok(said.map(|(_, said)| match said {
            Ok(reply) => Outcome::from(reply),
            Err(error) => {
                console_error!("settle: {}", error);
                Outcome::Unavailable
            }
        }))
    }

    fn others(
        &self,
        order: &Order,
        payment: &VerifiedPayment,
    ) -> worker::Result<Vec<SettlerClient>> {
        let names = others_of(self.config, &order.network, payment);
        names.iter().map(|name| SettlerClient::new(self.env, name)).collect()
    }

    /// The Settler of a payment, and what it is asked.
    fn request(
        &self,
        order: &Order,
        payment: &VerifiedPayment,
    ) -> worker::Result<(SettlerClient, SettleRequest)> {
        let name = settler_of(&order.network, payment).ok_or("no Settler")?;
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
            payload: order.payload.clone(),
            redeliver_seconds: if once { COLLECT_SECONDS } else { REPEAT_SECONDS },
            redeliver_max: 0,
            once,
            account: Some(self.account.name.clone()),
            remote: None,
        };
        Ok((SettlerClient::new(self.env, &name)?, request))
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
