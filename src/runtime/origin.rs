//! The origin: where the goods come from. Bodies stream through.

use js_sys::futures::JsFuture;
use js_sys::{Function, Promise, Reflect};
use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Headers, Request, RequestInit, RequestRedirect, Response};

use super::head::RequestHead;
use crate::config::{Origin, OriginUrl};
use crate::gate::Head as _;
use crate::gate::grant::GRANT_HEADER;
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
    let request = if url == head.url() && !matches!(origin, Origin::Url(_)) {
        request
    } else {
        let init = RequestInit::new();
        init.set_redirect(RequestRedirect::Manual);
        with_url(&url, &request, &init)?
    };
    let response = send(origin, env, &request).await?;
    keep_redirect(origin, &parts, response)
}

/// Asks the origin for a resource that is being paid for.
///
/// The payment stays here. So do the conditions under which a client would
/// rather have a 304: who pays gets the goods.
pub async fn ask(
    origin: &Origin,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    path: &CanonicalPath,
) -> worker::Result<Response> {
    let parts = UrlParts::of(head.url());
    let headers = Headers::new_with_headers(&request.headers())?;
    for name in
        ["X-PAYMENT", "PAYMENT-SIGNATURE", GRANT_HEADER, "If-None-Match", "If-Modified-Since"]
    {
        headers.delete(name)?;
    }
    let init = RequestInit::new();
    init.set_redirect(RequestRedirect::Manual);
    init.set_headers(&headers);
    let request = with_url(&target(origin, &parts, path), request, &init)?;
    let response = send(origin, env, &request).await?;
    keep_redirect(origin, &parts, response)
}

/// The same request for another URL: `new Request(url, request)`, and then
/// what `init` changes.
fn with_url(url: &str, request: &Request, init: &RequestInit) -> worker::Result<Request> {
    let moved = Request::new_with_str_and_init(url, request.unchecked_ref::<RequestInit>())?;
    Ok(Request::new_with_request_and_init(&moved, init)?)
}

/// The URL that the origin is asked for: the path is the one that was matched.
fn target(origin: &Origin, parts: &UrlParts<'_>, path: &CanonicalPath) -> String {
    let (host, base) = match origin {
        Origin::Url(OriginUrl { origin, base }) => (origin.as_str(), base.as_str()),
        Origin::Assets | Origin::Service | Origin::Zone => (parts.origin, ""),
    };
    format!("{host}{base}{}{}", path.as_str(), parts.query)
}

async fn send(origin: &Origin, env: &Env, request: &Request) -> worker::Result<Response> {
    let fetcher = match origin {
        Origin::Assets => binding(env, "ASSETS")?,
        Origin::Service => binding(env, "ORIGIN_SERVICE")?,
        Origin::Zone | Origin::Url(_) => js_sys::global().into(),
    };
    let fetch: Function = Reflect::get(&fetcher, &JsValue::from("fetch"))?.dyn_into()?;
    let promise: Promise = fetch.call1(&fetcher, request)?.dyn_into()?;
    Ok(JsFuture::from(promise).await?.dyn_into()?)
}

fn binding(env: &Env, name: &str) -> worker::Result<JsValue> {
    let value = Reflect::get(env, &JsValue::from(name))?;
    if value.is_undefined() {
        return Err(
            format!("ORIGIN needs the binding {name}, which wrangler.toml doesn't have").into()
        );
    }
    Ok(value)
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
