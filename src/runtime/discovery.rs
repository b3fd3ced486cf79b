//! `/.well-known/x402`: what is listed here, for who doesn't know yet.

use worker::web_sys::{Headers, Response};

use super::app::App;
use super::head::RequestHead;
use super::respond;
use crate::gate::{Head as _, discovery};
use crate::path::UrlParts;

/// For how long an answer may be kept.
const CACHE: &str = "public, max-age=300";

/// The document, if a request asks for it and there is one. It comes before
/// the routes: a shop that sells everything can still be found.
pub fn document(app: &App, head: &RequestHead) -> Option<String> {
    let parts = UrlParts::of(head.url());
    if parts.path != discovery::WELL_KNOWN || !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    let config = app.loaded.config.as_ref().ok()?;
    discovery::well_known(config, &parts.origin.to_ascii_lowercase())
}

/// The answer that holds it.
pub fn answer(document: &str) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", CACHE)?;
    respond::allow_origins(&headers)?;
    respond::respond(200, &headers, Some(document))
}
