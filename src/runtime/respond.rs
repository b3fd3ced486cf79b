//! Answers that the gate makes itself.

use js_sys::Array;
use worker::web_sys::{Headers, Response, ResponseInit};

use super::body::Unread;
use super::head::RequestHead;
use super::js;
use crate::gate::cors::{self, Readers};
use crate::gate::{Head as _, goods};
use crate::json::json;

/// The body of an answer: a text, or nothing.
pub(super) fn respond(
    status: u16,
    headers: &Headers,
    body: Option<&str>,
) -> worker::Result<Response> {
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    Ok(Response::new_with_opt_str_and_init(body, &init)?)
}

/// An error that tells the client what to change.
pub(super) fn error(status: u16, message: &str) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    allow_origins(&headers)?;
    respond(status, &headers, Some(&json!({ "error": message }).to_string()))
}

/// JSON for the seller alone.
pub(super) fn private(status: u16, text: &str) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("Cross-Origin-Resource-Policy", "same-origin")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    respond(status, &headers, Some(text))
}

/// Nothing can be sold now. Says nothing of why: the log does.
pub(super) fn closed() -> worker::Result<Response> {
    error(503, "this resource is not for sale right now")
}

/// The seller has switched it off.
pub(super) fn off() -> worker::Result<Response> {
    let response = error(503, "the seller does not sell this at the moment; nothing was charged")?;
    response.headers().set("Retry-After", "300")?;
    Ok(response)
}

/// Nothing was charged, and the same payment may be tried again.
pub(super) fn try_again(message: &str) -> worker::Result<Response> {
    try_again_in(2, message)
}

/// The same, in so many seconds.
pub(super) fn try_again_in(seconds: u64, message: &str) -> worker::Result<Response> {
    let response = error(503, message)?;
    response.headers().set("Retry-After", &seconds.to_string())?;
    Ok(response)
}

/// The answer to a request of which the body was not read.
pub(super) fn unread(why: &Unread) -> worker::Result<Response> {
    match why {
        Unread::Broken => error(400, "the request's body broke off"),
        Unread::Full => try_again("too much comes in right now; nothing was charged"),
    }
}

/// The answer to a preflight: what a page elsewhere may send and read.
pub(super) fn preflight(head: &RequestHead) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Access-Control-Allow-Methods", &cors::allowed_methods(head))?;
    headers.set("Access-Control-Allow-Headers", &cors::allowed_headers(head))?;
    headers.set("Access-Control-Max-Age", cors::MAX_AGE)?;
    allow_origins(&headers)?;
    respond(204, &headers, None)
}

/// Lets a page elsewhere read an answer, where its origin hasn't said who may.
pub(super) fn allow_origins(headers: &Headers) -> worker::Result<()> {
    if !headers.has("Access-Control-Allow-Origin")? {
        headers.set("Access-Control-Allow-Origin", "*")?;
    }
    headers.append("Access-Control-Expose-Headers", cors::EXPOSED_HEADERS)?;
    Ok(())
}

/// Makes an answer on a path that is sold readable for pages elsewhere,
/// whoever wrote it: for every page, or with credentials for those that the
/// seller trusts with them.
pub(super) fn share(
    answer: Response,
    head: &RequestHead,
    trusted: &[String],
) -> worker::Result<Response> {
    let headers = answer.headers();
    if trusted.is_empty() {
        if !js::has_header(&headers, "Access-Control-Allow-Origin") {
            allow_origins(&headers)?;
        }
        return Ok(answer);
    }
    share_with_trusted(&headers, head, trusted)?;
    if !headers.has("Access-Control-Expose-Headers")? {
        allow_origins(&headers)?;
    }
    Ok(answer)
}

/// Lets the pages that the seller trusts read an answer, and no others.
pub(super) fn share_with_trusted(
    headers: &Headers,
    head: &RequestHead,
    trusted: &[String],
) -> worker::Result<()> {
    if trusted.is_empty() {
        return Ok(());
    }
    let page = head.header("Origin");
    if let Readers::Page(page) = cors::readers(trusted, page.as_deref()) {
        headers.set("Access-Control-Allow-Origin", page)?;
        headers.set("Access-Control-Allow-Credentials", "true")?;
    }
    Ok(headers.append("Vary", "Origin")?)
}

/// Lets nobody but the client itself keep an answer that was paid for,
/// whatever its origin allows.
pub(super) fn keep_private(headers: &Headers) -> worker::Result<()> {
    for name in Array::from(&headers.keys()) {
        if let Some(name) = name.as_string()
            && goods::is_for_caches(&name)
        {
            headers.delete(&name)?;
        }
    }
    Ok(headers.set("Cache-Control", "private, no-store")?)
}
