//! The origin: where the goods come from. Bodies stream through.

use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Headers, Request, RequestInit, RequestRedirect, Response};
use worker::{Env, console_error};

use super::head::RequestHead;
pub(super) use super::own_headers::has_come_back;
use super::own_headers::{add_ours, add_paid, holds_ours, take_ours};
use super::{clock, js, respond};
use crate::config::{Loaded, Origin, OriginSecret, OriginUrl};
use crate::gate::notice::Notice;
use crate::gate::{Head as _, Sale, quota};
use crate::path::{CanonicalPath, UrlParts};

/// The conditions under which a client would rather have a 304: who pays gets
/// the goods.
const CONDITIONS: [&str; 2] = ["If-None-Match", "If-Modified-Since"];

/// Which pages may show an answer (Fetch standard, section 3.7).
const RESOURCE_POLICY: &str = "Cross-Origin-Resource-Policy";

/// Asks the origin for a free resource.
pub(super) async fn forward(
    loaded: &Loaded,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    path: &CanonicalPath,
) -> worker::Result<Response> {
    let Some(origin) = &loaded.origin else { return respond::closed() };
    let parts = head.parts();
    let url = target(origin, &parts, path);
    let request = match origin {
        Origin::Url(_) => for_url(loaded, origin, &parts, path, request)?,
        Origin::Zone => {
            let request = Request::new_with_request(request)?;
            take_ours(loaded, &request.headers(), &[])?;
            add_ours(loaded, origin, &parts, &request.headers())?;
            request
        }
        Origin::Service if !loaded.origin_headers.always.is_empty() || holds_ours(loaded, head) => {
            let request = without(loaded, &[], request, false)?;
            add_ours(loaded, origin, &parts, &request.headers())?;
            request
        }
        Origin::Assets | Origin::Service | Origin::None => {
            JsCast::unchecked_into(JsValue::from(request))
        }
    };
    let url = Some(url.as_str()).filter(|url| *url != request.url());
    match send(origin, env, url, &request).await {
        Ok(response) => keep_redirect(origin, parts.origin, response),
        Err(error) => silent(&error),
    }
}

/// What the client gets for an origin's answer to a request that went straight there,
/// or for its error.
pub(super) fn look(loaded: &Loaded, answer: JsValue, url: &str) -> worker::Result<Response> {
    let Some(origin) = &loaded.origin else { return respond::closed() };
    let answer = answer.dyn_into::<Response>().map_err(worker::Error::from);
    let passed = answer
        .and_then(no_interim)
        .and_then(|it| keep_redirect(origin, UrlParts::of(url).origin, it));
    passed.or_else(|error| silent(&error))
}

/// What the client is told of an origin that gave no answer.
pub(super) fn silent(error: &worker::Error) -> worker::Result<Response> {
    console_error!("origin: {}", error.to_string());
    respond::error(502, "the origin did not answer")
}

/// A request for a free resource, as an origin with a URL is asked.
fn for_url(
    loaded: &Loaded,
    origin: &Origin,
    parts: &UrlParts<'_>,
    path: &CanonicalPath,
    request: &Request,
) -> worker::Result<Request> {
    // `fetch(url, request)` would make one as well.
    let url = target(origin, parts, path);
    let request = Request::new_with_str_and_init(&url, request.unchecked_ref())?;
    let headers = request.headers();
    take_ours(loaded, &headers, &[])?;
    add_ours(loaded, origin, parts, &headers)?;
    Ok(request)
}

/// Asks the origin for a resource that was paid for before. Nobody else may
/// keep the answer.
pub(super) async fn grant(
    loaded: &Loaded,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
) -> worker::Result<Response> {
    match ask(loaded, env, request, head, &sale.path, Asking::default()).await {
        Ok(answer) => private(&answer),
        Err(error) => silent(&error),
    }
}

/// Asks the origin for a resource that others pay for. The client alone may keep
/// the answer, and must ask again each time whether it still may.
pub(super) async fn give(
    loaded: &Loaded,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
) -> worker::Result<Response> {
    let answer = mutable(&forward(loaded, env, request, head, &sale.path).await?)?;
    let headers = answer.headers();
    let is_kept = headers.get("Cache-Control")?.is_none_or(|it| !it.contains("no-store"));
    respond::keep_private(&headers)?;
    if is_kept {
        headers.set("Cache-Control", "private, no-cache")?;
    }
    respond::share_with_trusted(&headers, head, &loaded.trusted_pages)?;
    show_here_alone(loaded, head, &headers)?;
    Ok(answer)
}

/// Lets no page elsewhere show what is free for its visitors, or has them use it up,
/// unless the origin or the seller lets it.
pub(super) fn show_here_alone(
    loaded: &Loaded,
    head: &RequestHead,
    headers: &Headers,
) -> worker::Result<()> {
    if !headers.has(RESOURCE_POLICY)? && !quota::is_trusted(loaded, head) {
        headers.set(RESOURCE_POLICY, "same-origin")?;
    }
    Ok(())
}

/// How the origin is asked for what is sold.
#[derive(Default)]
pub(super) struct Asking<'a> {
    /// Headers that stay here.
    pub kept: &'a [&'static str],
    /// What it says is read on its way, so it must not be compressed.
    pub is_plain: bool,
    /// What it is told of the payment, and by what that is signed.
    pub notice: Option<(&'a OriginSecret, Notice)>,
    /// Whether the seller's headers for what is paid for go with it.
    pub is_paid: bool,
    /// Whether no cache may answer it or keep the answer: another request of the same
    /// URL that nobody has paid for would get that.
    pub is_uncached: bool,
}

/// Asks the origin for a resource that is being paid for. The payment stays
/// here, and so do conditions.
pub(super) async fn ask(
    loaded: &Loaded,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    path: &CanonicalPath,
    how: Asking<'_>,
) -> worker::Result<Response> {
    let Some(origin) = &loaded.origin else { return Err("ORIGIN is not known".into()) };
    let parts = head.parts();
    let kept = [CONDITIONS.as_slice(), how.kept].concat();
    let request = without(loaded, &kept, request, how.is_uncached)?;
    add_ours(loaded, origin, &parts, &request.headers())?;
    if how.is_paid {
        add_paid(loaded, &request.headers())?;
    }
    let url = target(origin, &parts, path);
    if let Some((secret, notice)) = how.notice {
        let path_and_query = url.get(UrlParts::of(&url).origin.len()..).unwrap_or_default();
        let asked = (head.method(), path_and_query);
        for (name, value) in notice.headers(secret, asked, clock::now()).into_iter().flatten() {
            request.headers().set(&name, &value)?;
        }
    }
    if how.is_plain {
        request.headers().set("Accept-Encoding", "identity")?;
        // A part of it may lack what is counted, and a socket has no end.
        for name in ["Range", "If-Range", "Upgrade"] {
            request.headers().delete(name)?;
        }
    }
    let response = send(origin, env, Some(&url), &request).await?;
    keep_redirect(origin, parts.origin, response)
}

/// Asks the origin for something of the gate's own, at the host of a request.
pub(super) async fn ask_itself(
    loaded: &Loaded,
    env: &Env,
    parts: &UrlParts<'_>,
    path: &CanonicalPath,
    init: &RequestInit,
) -> worker::Result<Response> {
    let Some(origin) = &loaded.origin else { return Err("ORIGIN is not known".into()) };
    let url = target(origin, &UrlParts { query: "", ..*parts }, path);
    if !loaded.origin_headers.always.is_empty() {
        // Whoever a redirect leads to would get them.
        init.set_redirect(RequestRedirect::Manual);
    }
    let request = Request::new_with_str_and_init(&url, init)?;
    add_ours(loaded, origin, parts, &request.headers())?;
    send(origin, env, None, &request).await
}

/// The same request without what stays here, and without these headers.
/// Redirects are the client's to follow, as they are for every request that
/// comes in.
fn without(
    loaded: &Loaded,
    names: &[&'static str],
    request: &Request,
    is_uncached: bool,
) -> worker::Result<Request> {
    let headers = Headers::new_with_headers(&request.headers())?;
    take_ours(loaded, &headers, names)?;
    let init = RequestInit::new();
    init.set_redirect(RequestRedirect::Manual);
    init.set_headers(&headers);
    // What is compressed passes as it is, whoever looks on.
    js_sys::Reflect::set(&init, &JsValue::from("encodeResponseBody"), &JsValue::from("manual"))?;
    if is_uncached {
        skip_cache(&init)?;
    }
    Ok(Request::new_with_request_and_init(request, &init)?)
}

/// The same request, past Cloudflare's cache. Takes the body.
pub(super) fn uncached(request: &Request) -> worker::Result<Request> {
    let init = RequestInit::new();
    skip_cache(&init)?;
    Ok(Request::new_with_request_and_init(request, &init)?)
}

fn skip_cache(init: &RequestInit) -> worker::Result<()> {
    js_sys::Reflect::set(init, &JsValue::from("cache"), &JsValue::from("no-store"))?;
    Ok(())
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
        Origin::Assets => js::binding(env, "ASSETS"),
        Origin::Service => js::binding(env, "ORIGIN_SERVICE"),
        Origin::Zone | Origin::Url(_) => Ok(js_sys::global().into()),
        Origin::None => return respond::error(404, "there is nothing here"),
    };
    let fetcher = match fetcher {
        Ok(fetcher) => fetcher,
        Err(error) => {
            console_error!("origin: {}", error.to_string());
            return respond::error(503, "this site has no origin right now");
        }
    };
    let answer = match url {
        Some(url) => js::call(&fetcher, "fetch", &[&JsValue::from(url), request]).await?,
        None => js::call(&fetcher, "fetch", &[request]).await?,
    };
    no_interim(answer.dyn_into()?)
}

/// An answer that can be passed on.
fn no_interim(answer: Response) -> worker::Result<Response> {
    // Not the runtime, but we would throw when it is passed on.
    if answer.status() < 200 && answer.status() != 101 {
        return Err(format!("it gave an interim answer, {}, and no other", answer.status()).into());
    }
    Ok(answer)
}

/// Keeps a redirect within the seller's own host: an origin that answers under
/// a host of its own names that host in `Location`, and whoever followed it
/// there would be past the gate.
fn keep_redirect(origin: &Origin, outside: &str, response: Response) -> worker::Result<Response> {
    let Origin::Url(url) = origin else { return Ok(response) };
    if !(300..400).contains(&response.status()) {
        return Ok(response);
    }
    let Some(location) = response.headers().get("Location")? else { return Ok(response) };
    let Some(kept) = url.seen_from_outside(outside, &location) else { return Ok(response) };
    let response = mutable(&response)?;
    response.headers().set("Location", &kept)?;
    Ok(response)
}

/// The same answer, with headers that can be changed. The body isn't read.
pub(super) fn mutable(response: &Response) -> worker::Result<Response> {
    let body = response.body();
    Ok(Response::new_with_opt_readable_stream_and_init(body.as_ref(), response.unchecked_ref())?)
}

/// The same answer, for nobody but the client to keep.
pub(super) fn private(response: &Response) -> worker::Result<Response> {
    let answer = mutable(response)?;
    respond::keep_private(&answer.headers())?;
    Ok(answer)
}

/// Drops an answer of which the body was not read.
pub(super) fn drop_body(response: &Response) {
    if let Some(body) = response.body() {
        let _ = body.cancel();
    }
}

/// A redirect of the origin's that leads to `location`, without its body, with
/// this status.
pub(super) fn redirect(
    response: &Response,
    location: &str,
    status: u16,
) -> worker::Result<Response> {
    drop_body(response);
    let headers = Headers::new_with_headers(&response.headers())?;
    for name in ["Content-Type", "Content-Length", "Content-Encoding", "Refresh", "Link"] {
        headers.delete(name)?;
    }
    headers.set("Location", location)?;
    respond::keep_private(&headers)?;
    respond::respond(status, &headers, None)
}
