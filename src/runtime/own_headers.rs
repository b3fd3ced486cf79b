//! The headers of a request on its way to the origin: what stays here, and what is
//! the gate's own and the seller's.

use std::cell::OnceCell;

use js_sys::Set;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Headers;

use super::head::RequestHead;
use super::js;
use crate::config::{Loaded, Origin};
use crate::gate::Head as _;
use crate::gate::grant::{cookies_without_grants, may_hold_grants};
use crate::gate::straight::{MARKS, kept_headers};
use crate::path::UrlParts;

/// Whether a request came back: the origin is this gate itself, perhaps by
/// way of others.
pub(super) fn has_come_back(loaded: &Loaded, head: &RequestHead) -> bool {
    matches!(loaded.origin, Some(Origin::Url(_) | Origin::Zone))
        && head.header(MARKS).is_some_and(|marks| marks.split(", ").any(|it| it == loaded.mark))
}

thread_local! {
    /// The names of the headers that a client may not send to the origin, in small
    /// letters: of an isolate's one configuration.
    static OURS: OnceCell<Set> = const { OnceCell::new() };
}

fn with_ours<T>(loaded: &Loaded, work: impl FnOnce(&Set) -> T) -> T {
    OURS.with(|ours| work(ours.get_or_init(|| set_of(kept_headers(loaded)))))
}

/// Names as JavaScript compares them: in small letters, with dashes.
pub(super) fn set_of<'a>(names: impl Iterator<Item = &'a str>) -> Set {
    let set = Set::new(&JsValue::UNDEFINED);
    for name in names {
        set.add(&JsValue::from(name.to_ascii_lowercase().replace('_', "-")));
    }
    set
}

/// Whether a client sends what stays here. One that pays for what is free
/// keeps its payment, and its grants.
pub(super) fn holds_ours(loaded: &Loaded, head: &RequestHead) -> bool {
    with_ours(loaded, |ours| head.holds_any(ours))
        || head.header("Cookie").is_some_and(|cookies| may_hold_grants(&cookies))
}

/// Takes what stays here out of a request's headers, and these.
pub(super) fn take_ours(
    loaded: &Loaded,
    headers: &Headers,
    more: &[&'static str],
) -> worker::Result<()> {
    with_ours(loaded, |ours| js::take_out(headers, ours));
    for name in more {
        js::delete_header(headers, name);
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

/// Adds what the gate itself says, in place of what the client says: to an
/// origin at a host of its own which host was asked, the gate's mark, and the
/// seller's headers.
pub(super) fn add_ours(
    loaded: &Loaded,
    origin: &Origin,
    parts: &UrlParts<'_>,
    headers: &Headers,
) -> worker::Result<()> {
    if matches!(origin, Origin::Url(_)) {
        let (scheme, host) = parts.origin.split_once("://").unwrap_or_default();
        js::set_header(headers, "X-Forwarded-Host", host);
        js::set_header(headers, "X-Forwarded-Proto", scheme);
    }
    if matches!(origin, Origin::Url(_) | Origin::Zone) {
        js::append_header(headers, MARKS, &loaded.mark);
    }
    add_own(&loaded.origin_headers.always, headers)
}

/// Adds the seller's headers for what is paid for, in place of what the client says:
/// with what is not, that goes as it is.
pub(super) fn add_paid(loaded: &Loaded, headers: &Headers) -> worker::Result<()> {
    let own = &loaded.origin_headers.when_paid;
    if own.is_empty() {
        return Ok(());
    }
    js::take_out(headers, &set_of(own.iter().map(|(name, _)| name.as_str())));
    add_own(own, headers)
}

/// Adds headers of the seller's; what the client says in their place was taken out.
fn add_own(own: &[(String, String)], headers: &Headers) -> worker::Result<()> {
    for (name, value) in own {
        headers.set(name, value)?;
    }
    Ok(())
}
