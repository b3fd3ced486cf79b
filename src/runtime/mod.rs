//! The Worker around the core: it translates, the core decides.
//!
//! Everything here is glue between the runtime's objects and the core's types.
//! No rule of the protocol and no decision about money is made in this module.

mod alarm;
mod app;
mod begin;
mod body;
mod challenge;
mod clock;
mod desk;
mod discovery;
mod facilitator;
mod fold;
mod head;
mod health;
mod js;
mod kept;
mod known;
mod lanes;
mod layout;
mod machines;
mod many;
mod named_method;
mod origin;
mod overrides;
mod own_headers;
mod points;
mod purchase;
mod quota;
mod quota_rows;
mod quote;
mod refusals;
mod refused;
mod remote;
mod replay;
mod respond;
mod settler;
mod settler_client;
mod signers;
mod sql;
mod straight;
mod stream;
mod transport;
mod waiting;
mod web_crypto;
mod webhooks;
mod worker_host;

use std::rc::Rc;

use wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Request, Response};
use worker::{Context, Env, console_error, worker_sys};

use crate::gate::{self, Decision};

/// Answers one request: with a `Response`, or a promise of one.
///
/// In place of the macro `event`: most answers wait for nothing, and no task is
/// made for them. What goes [straight](straight) to the origin doesn't come here.
#[allow(unreachable_pub, reason = "the runtime calls it")]
#[wasm_bindgen]
pub fn fetch(request: Request, env: Env, context: worker_sys::Context) -> Result<JsValue, JsValue> {
    let app = app::App::get(&env);
    let head = head::RequestHead::new(&request);
    let context = Context::new(context);
    begin::begin(Box::pin(async move {
        let answer = match answer(app, request, head, env, context).await {
            Ok(answer) => answer,
            Err(error) => {
                console_error!("{}", error.to_string());
                respond::error(500, "something went wrong here")?
            }
        };
        Ok(answer.into())
    }))
}

async fn answer(
    app: Rc<app::App>,
    request: Request,
    mut head: head::RequestHead,
    env: Env,
    context: Context,
) -> worker::Result<Response> {
    if health::is_asked_for(&head) {
        return health::answer(&app, &env).await;
    }
    if desk::is_asked_for(&head) {
        return desk::answer(&app, &env, &context, &request, &head).await;
    }
    let app = match overrides::in_force(app, &env, &context, &head).await {
        Ok(app) => app,
        Err(answer) => return respond::share(answer?, &head, &[]),
    };
    if let Some(endpoint) = facilitator::asked_for(&app, &head) {
        let answer = facilitator::answer(&app, &env, &context, &request, &head, endpoint);
        return Box::pin(answer).await;
    }
    if let Some(document) = discovery::document(&app, &head) {
        return discovery::answer(&document);
    }
    let app = remote::with_facts(app, &env, &context, &head).await;
    if origin::has_come_back(&app.loaded, &head) {
        return respond::error(508, "the origin of this site is the site itself");
    }
    if let Some(asked) = gate::machines::asked_for(&app.loaded, &head) {
        return machines::answer(&app.loaded, &env, &request, &head, asked).await;
    }
    if let Some(refusal) = named_method::refusal(&app, &head, &request).await {
        return refusal;
    }
    if gate::must_read_body(&app.loaded, &head)
        && let Err(unread) = head.read_body(&request).await
    {
        return respond::unread(&unread);
    }
    head.keep(&request);
    head.signer = signers::signer_of(&app.loaded, &head).await;
    let mut decision = gate::decide(&app.loaded, &head, clock::now());
    let quoted;
    if let Decision::AskPrice(sale) = &decision {
        quoted = match quote::price_of(&app, &env, &request, &head, sale).await? {
            quote::Priced::At(route) => route,
            quote::Priced::Answer(answer) => return Ok(answer),
        };
        decision = gate::decide_at(&app.loaded, &head, clock::now(), Some(&quoted));
    }
    let sale = decision.sale();
    let license = sale.and_then(|sale| gate::machines::license_link(&app.loaded, sale));
    let mut is_shared = true;
    let answer = match decision {
        Decision::Forward(path) if desk::is_own(path.as_str()) => return desk::nothing(),
        Decision::Forward(path) => {
            return origin::forward(&app.loaded, &env, &request, &head, &path).await;
        }
        Decision::Free(sale) => {
            return origin::give(&app.loaded, &env, &request, &head, &sale).await;
        }
        Decision::BadRequest(message) => respond::error(400, message),
        Decision::Preflight => respond::preflight(&head),
        Decision::Off => respond::off(),
        Decision::Closed | Decision::AskPrice(_) => {
            app.report_faults();
            respond::closed()
        }
        Decision::PaymentRequired(sale, refusal) => {
            if refusal.is_none()
                && sale.asks_origin()
                && let Some(answer) = quote::own_answer(&app, &env, &request, &head, &sale).await?
            {
                return Ok(answer);
            }
            challenge::answer(&app, &env, &head, &sale, refusal, &context).await
        }
        Decision::MayBeFree(sale) => {
            let answer = quota::answer(&app, &env, &context, &request, &head, &sale);
            let answer = Box::pin(answer).await?;
            is_shared = !answer.is_free || gate::quota::is_trusted(&app.loaded, &head);
            Ok(answer.response)
        }
        Decision::Granted(sale) => origin::grant(&app.loaded, &env, &request, &head, &sale).await,
        Decision::Collect(sale, collection) => {
            let it = (sale, collection);
            purchase::collect(&app, &env, &context, request, &head, it).await
        }
        Decision::Purchase(purchase) => {
            purchase::answer(&app, &env, &context, request, &head, purchase).await
        }
    };
    let pages = &app.loaded.trusted_pages;
    let answer = if is_shared { respond::share(answer?, &head, pages)? } else { answer? };
    if let Some(link) = license {
        answer.headers().append("Link", &link)?;
    }
    Ok(answer)
}
