//! `/.edge402/sales`: the sales of all Settlers, for the seller's programs.

use std::cell::RefCell;

use worker::web_sys::{Headers, Response};
use worker::{Env, console_error};

use super::app::App;
use super::head::RequestHead;
use super::settler_client::SettlerClient;
use super::{clock, respond};
use crate::desk::{SALES_PATH, TRIES_PER_MINUTE, for_settlers, page, read_query, settlers};
use crate::facilitator::access::{Asker, Meter};
use crate::gate::Head as _;
use crate::path::UrlParts;
use crate::settlement::{Sale, SalesQuery};
use crate::together::join_all;

thread_local! {
    /// Who has tried without a good token.
    static TRIES: RefCell<Meter> = RefCell::default();
}

/// Whether a request asks for the sales.
pub(super) fn is_asked_for(head: &RequestHead) -> bool {
    UrlParts::of(head.url()).path == SALES_PATH
}

/// One page of the sales, for whoever has a token.
pub(super) async fn answer(app: &App, env: &Env, head: &RequestHead) -> worker::Result<Response> {
    let Ok(config) = &app.loaded.config else {
        app.report_faults();
        return respond::error(503, "the configuration has faults; the log names them");
    };
    if !config.desk.is_open() {
        return respond::error(404, "there is nothing here until the secret DESK_TOKENS is set");
    }
    let is_good = config.desk.lets_in(head.header("Authorization").as_deref());
    if let Some(response) = turn_away(is_good, head)? {
        return Ok(response);
    }
    if !matches!(head.method(), "GET" | "HEAD") {
        let response = respond::error(405, "this answers to GET")?;
        response.headers().set("Allow", "GET, HEAD")?;
        return Ok(response);
    }
    let asked = match read_query(UrlParts::of(head.url()).query) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let query = for_settlers(&asked);
    let questions = settlers(config).into_iter();
    let questions = questions.map(|name| Box::pin(ask(env, name, &query)) as _).collect();
    let said = join_all(questions).await;
    let Some(said) = said.into_iter().collect() else {
        // A page that leaves some out would pass for all there is.
        return respond::error(503, "a Settler does not answer; the log says which");
    };
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    respond::respond(200, &headers, Some(&page(&asked, said)))
}

/// The answer to a request that has no good token. Who has one is let in from
/// wherever: addresses are shared, and nobody guesses a token.
fn turn_away(is_good: bool, head: &RequestHead) -> worker::Result<Option<Response>> {
    if is_good {
        return Ok(None);
    }
    let asker = Asker::at(head.header("CF-Connecting-IP").as_deref());
    let now = clock::now();
    let tried = TRIES.with_borrow_mut(|tries| {
        tries.room(&asker, TRIES_PER_MINUTE, now)?;
        tries.count(asker, TRIES_PER_MINUTE, now)
    });
    if let Err(seconds) = tried {
        let response = respond::error(429, "too many requests without a good token")?;
        response.headers().set("Retry-After", &seconds.to_string())?;
        return Ok(Some(response));
    }
    let response = respond::error(401, "a bearer token is needed, or this one is wrong")?;
    response.headers().set("WWW-Authenticate", "Bearer")?;
    Ok(Some(response))
}

async fn ask(env: &Env, name: String, query: &SalesQuery) -> Option<Vec<Sale>> {
    let said = match SettlerClient::new(env, &name) {
        Ok(settler) => settler.sales(query).await,
        Err(error) => Err(error),
    };
    said.map_err(|error| console_error!("sales of {}: {}", name, error.to_string())).ok()
}
