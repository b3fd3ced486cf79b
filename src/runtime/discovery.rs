//! What is listed here, for whoever doesn't know yet: `/.well-known/x402`, and the
//! facilitator's `/discovery/resources`.

use worker::web_sys::{Headers, Response};

use super::app::App;
use super::head::RequestHead;
use super::{clock, respond};
use crate::config::Config;
use crate::gate::{Head as _, discovery};

/// For how long an answer may be kept.
pub(super) const CACHE: &str = "public, max-age=300";

/// The document, if a request asks for it and there is one. It comes before
/// the routes: a shop that sells everything can still be found.
pub(super) fn document(app: &App, head: &RequestHead) -> Option<String> {
    let parts = head.parts();
    if !is_asked_for(head) || !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    let config = app.loaded.config.as_ref().ok()?;
    discovery::well_known(config, &parts.origin.to_ascii_lowercase())
}

/// Whether a request is for the list of what is sold here.
pub(super) fn is_asked_for(head: &RequestHead) -> bool {
    head.parts().path == discovery::WELL_KNOWN
}

/// The answer of the facilitator's `/discovery/resources`.
pub(super) fn resources(config: &Config, head: &RequestHead) -> worker::Result<Response> {
    let parts = head.parts();
    let origin = parts.origin.to_ascii_lowercase();
    match discovery::resources(config, &origin, parts.query, clock::now()) {
        Ok(document) => answer(&document),
        Err(problem) => respond::error(400, &problem),
    }
}

/// The answer that holds a document.
pub(super) fn answer(document: &str) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", CACHE)?;
    respond::allow_origins(&headers)?;
    respond::respond(200, &headers, Some(document))
}
