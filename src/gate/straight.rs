//! What goes straight to the origin: a page that costs nothing, asked for with
//! nothing but its URL and headers that are the origin's business.
//!
//! Most requests to most sites are of this kind, so little may be done for them.
//! The runtime asks about the URL here, and itself looks whether one of the headers
//! is there for which a request must be [decided](super::decide).

use super::discovery::WELL_KNOWN;
use super::door::{self, Asked, METHOD_OVERRIDES, PATH_OVERRIDES};
pub use super::grant::COOKIE_PREFIX;
use super::grant::GRANT_HEADER;
use super::machines::Document;
use super::named_method::names_method;
use super::notice;
use crate::config::{Loaded, Method};
use crate::path::{CanonicalPath, UrlParts};

/// What a client sends to the gate, and not to the origin: payments, grants, and
/// the wish to hear of its body before it sends it, which is for each connection
/// to answer.
const KEPT: [&str; 4] = ["X-PAYMENT", "PAYMENT-SIGNATURE", GRANT_HEADER, "Expect"];

/// The marks of the gates that a request came through. A client that writes
/// one itself gets a 508 for its trouble, and nobody else anything.
pub const MARKS: &str = "X-Edge402-Via";

/// How many bytes the ways in which a path can be read may have together here. What has more
/// is read once, where it is decided.
const READ_MAX: usize = 2 * 1024;

/// The names of the headers that no client may send to the origin: its own messages
/// to the gate, and what only the gate may say. They count in every spelling that
/// CGI takes for them (RFC 3875, section 4.1.18).
pub fn kept_headers(loaded: &Loaded) -> impl Iterator<Item = &str> {
    let own = loaded.origin_headers.always.iter().map(|(name, _)| name.as_str());
    KEPT.into_iter().chain(notice::NAMES).chain(own)
}

/// The names of the headers that keep a request from going straight to the origin,
/// in every spelling, too. So does a `Cookie` that has [`COOKIE_PREFIX`] in it.
pub fn telling_headers(loaded: &Loaded) -> impl Iterator<Item = &str> {
    let named = PATH_OVERRIDES.into_iter().chain(METHOD_OVERRIDES);
    kept_headers(loaded).chain([MARKS]).chain(named)
}

/// The path of a request that goes straight to the origin, if its headers let it and
/// the path is neither the desk's nor the facilitator's, and where it begins in the
/// URL, in bytes: what follows is what the origin is asked for. `None` if there is
/// more to decide.
pub fn free_from(loaded: &Loaded, method: &str, url: &str) -> Option<(usize, CanonicalPath)> {
    // JavaScript counts other letters otherwise.
    let is_plain = || url.bytes().all(|byte| byte.is_ascii() && byte != b'#');
    if !matches!(method, "GET" | "HEAD") || !is_plain() {
        return None;
    }
    let parts = UrlParts::of(url);
    let at = parts.origin.len();
    let is_ours = parts.path == WELL_KNOWN || Document::at(parts.path).is_some();
    if is_ours || !url.get(at..)?.starts_with('/') {
        return None;
    }
    let Ok(method) = method.parse::<Method>();
    let asked = door::find_within(loaded, parts.path, &method, READ_MAX);
    let Asked { path, found } = asked.ok()??;
    let is_free = found.route.is_none()
        && path.as_str() == parts.path
        && !(found.by_method && names_method(parts.query));
    is_free.then_some((at, path))
}
