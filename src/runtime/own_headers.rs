//! The headers of a request on its way to the origin: what stays here, and what is
//! the seller's.

use worker::web_sys::Headers;

use super::head::RequestHead;
use super::js;
use crate::config::Loaded;
use crate::gate::Head as _;
use crate::gate::grant::{GRANT_HEADER, cookies_without_grants, may_hold_grants};
use crate::gate::notice;

/// What a client sends to the gate, and not to the origin: payments, grants, and
/// the wish to hear of its body before it sends it, which is for each connection
/// to answer. What only the gate may tell the origin ([`notice::spellings`]) is
/// kept as well.
const KEPT: [&str; 4] = ["X-PAYMENT", "PAYMENT-SIGNATURE", GRANT_HEADER, "Expect"];

/// Whether a client sends what stays here. One that pays for what is free
/// keeps its payment, and its grants.
pub(super) fn holds_ours(loaded: &Loaded, head: &RequestHead) -> bool {
    KEPT.iter().any(|name| head.header(name).is_some())
        || notice::NAMES.iter().any(|name| head.header(name).is_some())
        || loaded.origin_secret.is_some() && notice::spellings().any(|it| head.has(&it))
        || head.header("Cookie").is_some_and(|cookies| may_hold_grants(&cookies))
}

/// Takes what stays here out of a request's headers, and these.
pub(super) fn take_ours(
    loaded: &Loaded,
    headers: &Headers,
    more: &[&'static str],
) -> worker::Result<()> {
    for name in KEPT.iter().chain(&notice::NAMES).chain(more) {
        js::delete_header(headers, name);
    }
    if loaded.origin_secret.is_some() {
        for name in notice::spellings() {
            headers.delete(&name)?;
        }
    }
    if let Some(cookies) = js::header(headers, "Cookie")
        && may_hold_grants(&cookies)
    {
        match cookies_without_grants(&cookies) {
            Some(kept) => headers.set("Cookie", &kept)?,
            None => headers.delete("Cookie")?,
        }
    }
    Ok(())
}

/// Adds headers of the seller's, in place of what the client says.
pub(super) fn add_own(own: &[(String, String)], headers: &Headers) -> worker::Result<()> {
    for (name, value) in own {
        for spelled in notice::other_spellings(name, || js::header_names(headers)) {
            headers.delete(&spelled)?;
        }
        headers.set(name, value)?;
    }
    Ok(())
}
