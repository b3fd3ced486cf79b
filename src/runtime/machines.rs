//! `/robots.txt` and what else machines look for first: the origin's own, or
//! ours where it has none.

use worker::Env;
use worker::web_sys::{Headers, Request, Response};

use super::discovery::CACHE;
use super::head::RequestHead;
use super::{origin, respond};
use crate::config::Loaded;
use crate::gate::Head as _;
use crate::gate::machines::{Document, entity_tag, has_it};
use crate::path::CanonicalPath;

/// What the origin answers, as for all that is free. Only its 404 says that there
/// is nothing; any other answer, and none, is its own affair.
pub(super) async fn answer(
    loaded: &Loaded,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    (document, path): (Document, CanonicalPath),
) -> worker::Result<Response> {
    let own = origin::forward(loaded, env, request, head, &path).await?;
    if own.status() != 404 {
        return Ok(own);
    }
    if let Some(body) = own.body() {
        let _ = body.cancel();
    }
    let text = document.text(loaded, &head.parts().origin.to_ascii_lowercase());
    let tag = entity_tag(&text);
    let headers = Headers::new()?;
    headers.set("Cache-Control", CACHE)?;
    headers.set("ETag", &tag)?;
    respond::allow_origins(&headers)?;
    if has_it(head.header("If-None-Match").as_deref(), &tag) {
        return respond::respond(304, &headers, None);
    }
    headers.set("Content-Type", document.media_type())?;
    respond::respond(200, &headers, Some(&text))
}
