//! The seller's desk: its page, who has signed in, the sales, and how things are.

pub(super) mod access;
mod export;
pub(super) mod refunds;
pub(super) mod sessions;
mod state;
mod sums;

use worker::web_sys::{Headers, Request, Response};
use worker::{Context, Env, console_error};

use super::app::App;
use super::head::RequestHead;
use super::many::fill;
use super::settler_client::SettlerClient;
use super::{overrides, respond, webhooks};
use crate::config::Config;
use crate::desk::export::EXPORT_PATH;
use crate::desk::merge::Merge;
use crate::desk::overrides::OVERRIDES_PATH;
use crate::desk::refunds::{Given, REFUNDS_OBJECT, REFUNDS_PATH};
use crate::desk::session::SESSION_PATH;
use crate::desk::state::STATE_PATH;
use crate::desk::sums::SUMS_PATH;
use crate::desk::webhooks::WEBHOOKS_PATH;
use crate::desk::{DESK_PAGE, DESK_PATH, DESK_POLICY, SALES_PATH};
use crate::desk::{for_settlers, page, page_of, read_query, settlers};
use crate::gate::Head as _;
use crate::settlement::{Sale, SalesQuery};

/// Why there is no answer: one that leaves some out would pass for all there is.
const SILENT: &str = "a Settler does not answer; the log says which";

/// Whether a request is for a path that is the Worker's own. None of them leads
/// to an origin, whether there is anything or not: a browser sends the session
/// along.
pub(super) fn is_asked_for(head: &RequestHead) -> bool {
    is_own(head.parts().path)
}

/// Whether a path is one of these, however a request has spelled it.
pub(super) fn is_own(path: &str) -> bool {
    crate::desk::is_own(path)
}

/// The answer where there is nothing.
pub(super) fn nothing() -> worker::Result<Response> {
    respond::error(404, "there is nothing here")
}

/// Answers a request for one of them.
pub(super) async fn answer(
    app: &App,
    env: &Env,
    context: &Context,
    request: &Request,
    head: &RequestHead,
) -> worker::Result<Response> {
    let path = head.parts().path;
    if path == SESSION_PATH {
        return access::session(app, env, request, head).await;
    }
    let is_page = path.strip_suffix('/').unwrap_or(path) == DESK_PATH;
    let is_data = matches!(
        path,
        SALES_PATH
            | SUMS_PATH
            | EXPORT_PATH
            | STATE_PATH
            | OVERRIDES_PATH
            | WEBHOOKS_PATH
            | REFUNDS_PATH
    );
    if !is_page && !is_data {
        return nothing();
    }
    let config = match access::open_desk(app)? {
        Ok(config) => config,
        Err(response) => return Ok(response),
    };
    if !is_page {
        // It is read before anything is said: a client may only look up then.
        let body = if path == REFUNDS_PATH { refunds::body_of(request, head).await } else { None };
        let who = match access::seller(app, env, head).await? {
            Ok(who) => who,
            Err(response) => return Ok(response),
        };
        if path == OVERRIDES_PATH {
            return overrides::answer(config, env, request, head, &who).await;
        }
        if path == REFUNDS_PATH {
            return refunds::answer(config, env, head, body, &who).await;
        }
    }
    if !matches!(head.method(), "GET" | "HEAD") {
        let response = respond::error(405, "this answers to GET")?;
        response.headers().set("Allow", "GET, HEAD")?;
        return Ok(response);
    }
    match path {
        SALES_PATH => sales(config, env, head).await,
        SUMS_PATH => sums::answer(config, env, head).await,
        EXPORT_PATH => export::answer(config, env, context, head).await,
        STATE_PATH => state::answer(config, env).await,
        WEBHOOKS_PATH => webhooks::answer(env).await,
        _ => the_page(),
    }
}

/// The page. It holds no data: what it shows it asks for, with its session.
fn the_page() -> worker::Result<Response> {
    let headers = Headers::new()?;
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", DESK_POLICY),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        // For browsers that don't know `frame-ancestors`.
        ("X-Frame-Options", "DENY"),
    ] {
        headers.set(name, value)?;
    }
    respond::respond(200, &headers, Some(DESK_PAGE))
}

/// One page of the sales.
async fn sales(config: &Config, env: &Env, head: &RequestHead) -> worker::Result<Response> {
    let asked = match read_query(head.parts().query) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let Some(said) = ask_all(config, env, &for_settlers(&asked)).await else {
        return respond::error(503, SILENT);
    };
    let (sales, next) = page_of(&asked, said);
    match given(env, &sales).await {
        Some(given) => json(&page(&sales, next.as_ref(), &given)),
        None => respond::error(503, SILENT),
    }
}

/// The newest sales of all Settlers, or none: one that is silent leaves out what nobody
/// would miss.
async fn ask_all(config: &Config, env: &Env, query: &SalesQuery) -> Option<Vec<Vec<Sale>>> {
    let names: Vec<_> = settlers(config, query.network).into_iter().map(|(_, name)| name).collect();
    let (mut merge, mut sales) = (Merge::new(names.len()), vec![]);
    while sales.len() < query.limit as usize && !merge.is_over() {
        match merge.take() {
            Some(sale) => sales.push(sale),
            None => fill(env, &names, &mut merge, query).await?,
        }
    }
    Some(vec![sales])
}

/// What has come back of these sales.
async fn given(env: &Env, sales: &[Sale]) -> Option<Given> {
    if sales.is_empty() {
        return Some(Given::default());
    }
    let payments: Vec<String> = sales.iter().map(|sale| sale.payment.clone()).collect();
    let said = match SettlerClient::new(env, REFUNDS_OBJECT) {
        Ok(client) => client.refunds("refunds-of", &payments).await,
        Err(error) => Err(error),
    };
    let said = said.map_err(|error| console_error!("refunds: {}", error.to_string()));
    said.ok().map(Given::new)
}

/// An answer for the seller alone.
fn json(text: &str) -> worker::Result<Response> {
    respond::private(200, text)
}
