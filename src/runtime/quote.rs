//! What the origin says of a request that nobody has paid for: its price, or that it
//! is to be paid for at all.

use worker::web_sys::{Request, Response};
use worker::{Env, console_error};

use super::app::App;
use super::head::RequestHead;
use super::{clock, origin, respond};
use crate::config::Route;
use crate::gate::Sale;
use crate::gate::quote::{Brought, Next, PRICE_HEADER};

/// What is known then.
pub(super) enum Priced {
    /// The route at what this request costs.
    At(Box<Route>),
    /// The answer: nothing is sold.
    Answer(Response),
}

/// The price of a request of which the origin says it: by a quote that comes with it,
/// or else the origin is asked.
pub(super) async fn price_of(
    app: &App,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
) -> worker::Result<Priced> {
    // What is off says so, whatever the request is.
    let unpriced = |status, message| {
        if sale.route.on {
            refuse(status, message)
        } else {
            Ok(Priced::At(Box::new(sale.route.without_quote(None))))
        }
    };
    if sale.route.asks_origin(&sale.method).is_none() {
        return unpriced(405, "this is priced for GET and HEAD alone");
    }
    let bound = match head.bound_body(request).await {
        Ok(bound) => bound,
        Err(unread) => return Ok(Priced::Answer(respond::unread(&unread)?)),
    };
    // Another body of this length could be dearer.
    if bound.is_unread() {
        return unpriced(413, "a body of more than 64 KiB has no price here");
    }
    let Ok(config) = &app.loaded.config else { return Ok(Priced::Answer(respond::closed()?)) };
    let offer = match sale.brought(config, head, &bound, clock::now()) {
        Brought::Quoted(route) => return Ok(Priced::At(route)),
        Brought::Unquoted(offer) => Some(*offer),
        Brought::Nothing => None,
    };
    if !sale.route.on {
        return Ok(Priced::At(Box::new(sale.route.without_quote(offer))));
    }
    // The body must be there for the purchase, too.
    let copy = if bound.is_none() { None } else { Some(request.clone()?) };
    let asked = origin::uncached(copy.as_ref().unwrap_or(request))?;
    let answer = origin::forward(&app.loaded, env, &asked, head, &sale.path).await?;
    let price = answer.headers().get(PRICE_HEADER)?;
    let said = (answer.status(), price.as_deref());
    let next = sale.after_asking(config, said, offer, &bound, clock::now());
    let next = next.unwrap_or_else(|(problem, next)| {
        let (route, text) = (sale.route.pattern.as_str(), price.as_deref().unwrap_or_default());
        console_error!("origin: the price of {}, {:.64?}, {}", route, text, problem);
        next
    });
    if !matches!(next, Next::Own) {
        origin::drop_body(&answer);
    }
    match next {
        Next::At(route) => Ok(Priced::At(route)),
        Next::Own => Ok(Priced::Answer(answer)),
        Next::NoPrice => refuse(502, "the origin did not say what this costs"),
    }
}

/// What the origin answers to a request that nobody has paid for, where it says which
/// are to be paid for, unless it wants money for this one.
pub(super) async fn own_answer(
    app: &App,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
) -> worker::Result<Option<Response>> {
    let Some(challenge_on) = sale.route.asks_origin(&sale.method) else { return Ok(None) };
    let asked = origin::uncached(request)?;
    let answer = origin::forward(&app.loaded, env, &asked, head, &sale.path).await?;
    if answer.status() != challenge_on {
        return Ok(Some(answer));
    }
    origin::drop_body(&answer);
    Ok(None)
}

fn refuse(status: u16, message: &str) -> worker::Result<Priced> {
    Ok(Priced::Answer(respond::error(status, message)?))
}
