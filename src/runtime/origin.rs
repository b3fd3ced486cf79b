//! The origin: where the goods come from. Bodies stream through.

use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Headers, Request, RequestInit, RequestRedirect, Response};

use super::head::RequestHead;
use super::{js, respond};
use crate::config::{Origin, OriginUrl};
use crate::gate::Head as _;
use crate::gate::grant::{GRANT_HEADER, cookies_without_grants, may_hold_grants};
use crate::path::{CanonicalPath, UrlParts};

/// Asks the origin for a free resource.
pub async fn forward(
    origin: &Origin,
    env: &Env,
    request: Request,
    head: &RequestHead,
    path: &CanonicalPath,
) -> worker::Result<Response> {
    let parts = UrlParts::of(head.url());
    let url = target(origin, &parts, path);
    let url = Some(url.as_str()).filter(|url| *url != head.url());
    // A client that pays for what is free keeps its payment, and its grants.
    let holds_ours = || {
        KEPT.iter().any(|name| head.header(name).is_some())
            || head.header("Cookie").is_some_and(|cookies| may_hold_grants(&cookies))
    };
    let request =
        if *origin != Origin::Assets && holds_ours() { without(&KEPT, &request)? } else { request };
    let response = send(origin, env, url, &request).await?;
    keep_redirect(origin, &parts, response)
}

/// What a client sends to the gate, and not to the origin.
const KEPT: [&str; 3] = ["X-PAYMENT", "PAYMENT-SIGNATURE", GRANT_HEADER];

/// The conditions under which a client would rather have a 304: who pays gets
/// the goods.
const CONDITIONS: [&str; 2] = ["If-None-Match", "If-Modified-Since"];

/// Asks the origin for a resource that is being paid for. The payment stays
/// here, and so do conditions.
pub async fn ask(
    origin: &Origin,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    path: &CanonicalPath,
) -> worker::Result<Response> {
    let parts = UrlParts::of(head.url());
    let request = without(&[&KEPT[..], &CONDITIONS[..]].concat(), request)?;
    let response = send(origin, env, Some(&target(origin, &parts, path)), &request).await?;
    keep_redirect(origin, &parts, response)
}

/// The same request without these headers. Redirects are the client's to
/// follow, as they are for every request that comes in.
fn without(names: &[&str], request: &Request) -> worker::Result<Request> {
    let headers = Headers::new_with_headers(&request.headers())?;
    for name in names {
        headers.delete(name)?;
    }
    if let Some(cookies) = headers.get("Cookie")? {
        match cookies_without_grants(&cookies) {
            Some(kept) => headers.set("Cookie", &kept)?,
            None => headers.delete("Cookie")?,
        }
    }
    let init = RequestInit::new();
    init.set_redirect(RequestRedirect::Manual);
    init.set_headers(&headers);
    Ok(Request::new_with_request_and_init(request, &init)?)
}

/// The URL that the origin is asked for: the path is the one that was matched.
fn target(origin: &Origin, parts: &UrlParts<'_>, path: &CanonicalPath) -> String {
    let (host, base) = match origin {
        Origin::Url(OriginUrl { origin, base }) => (origin.as_str(), base.as_str()),
        Origin::Assets | Origin::Service | Origin::Zone | Origin::None => (parts.origin, ""),
    };
    format!("{host}{base}{}{}", path.as_str(), parts.query)
}

/// Asks the origin: `fetch(request)`, or `fetch(url, request)` where the URL is
/// not the request's own.
async fn send(
    origin: &Origin,
    env: &Env,
    url: Option<&str>,
    request: &Request,
) -> worker::Result<Response> {
    let fetcher = match origin {
        Origin::Assets => js::binding(env, "ASSETS")?,
        Origin::Service => js::binding(env, "ORIGIN_SERVICE")?,
        Origin::Zone | Origin::Url(_) => js_sys::global().into(),
        Origin::None => return respond::error(404, "there is nothing here"),
    };
    let answer = match url {
        Some(url) => js::call(&fetcher, "fetch", &[&JsValue::from(url), request]).await?,
        None => js::call(&fetcher, "fetch", &[request]).await?,
    };
    Ok(answer.dyn_into()?)
}

/// Keeps a redirect within the seller's own host: an origin that answers under
/// a host of its own names that host in `Location`, and whoever followed it
/// there would be past the gate.
fn keep_redirect(
    origin: &Origin,
    parts: &UrlParts<'_>,
    response: Response,
) -> worker::Result<Response> {
    let Origin::Url(url) = origin else { return Ok(response) };
    if !(300..400).contains(&response.status()) {
        return Ok(response);
    }
    let Some(location) = response.headers().get("Location")? else { return Ok(response) };
    let Some(kept) = url.seen_from_outside(parts.origin, &location) else { return Ok(response) };
    let response = mutable(&response)?;
    response.headers().set("Location", &kept)?;
    Ok(response)
}

/// The same answer, with headers that can be changed. The body isn't read.
pub fn mutable(response: &Response) -> worker::Result<Response> {
    let body = response.body();
    Ok(Response::new_with_opt_readable_stream_and_init(body.as_ref(), response.unchecked_ref())?)
}
