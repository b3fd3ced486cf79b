//! What a request asks for, whatever it calls it.

use super::Head;
use super::named_method::{self, NotRead, names_method};
use crate::config::{Found, Loaded, Method, Origin, Route};
use crate::path::{BadPath, CanonicalPath, READ_MAX};

/// What a request asks for.
pub(super) struct Asked {
    /// The path under which the origin is asked.
    pub path: CanonicalPath,
    /// What the patterns say of it.
    pub found: Found,
}

/// Headers by which some origins let a request name another path than its
/// own. A request that is let through for its path must not carry one. The last three
/// are how a gateway names the part of the path that is not the application's (WSGI and
/// CGI): it is cut off.
pub(super) const PATH_OVERRIDES: [&str; 5] =
    ["X-Original-URL", "X-Rewrite-URL", "Script-Name", "X-Script-Name", "Path-Info"];

/// Headers by which some origins let a request name another method.
pub(super) const METHOD_OVERRIDES: [&str; 3] =
    ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/// What an origin reads otherwise that decodes a path again.
const AGAIN: [&str; 3] = ["%25", "%3F", "%23"];

/// Looks for what sells a path; `None` if the patterns are not known.
pub(super) fn find(loaded: &Loaded, raw: &str, method: &Method) -> Result<Option<Asked>, BadPath> {
    find_within(loaded, raw, method, READ_MAX)
}

/// The same, where the ways in which a path can be read may have `most` bytes together. One
/// with more is refused, or found in its one spelling.
pub(super) fn find_within(
    loaded: &Loaded,
    raw: &str,
    method: &Method,
    most: usize,
) -> Result<Option<Asked>, BadPath> {
    let canonical = CanonicalPath::parse(raw);
    let Some(patterns) = &loaded.patterns else { return canonical.map(|_| None) };
    let is_free =
        |readings: &[CanonicalPath]| !readings.iter().any(|reading| patterns.may_sell(reading));
    let free = |path| Ok(Some(Asked { path, found: Found::default() }));
    let path = match canonical {
        Ok(path) => path,
        // Free paths may hold what origins read in more ways than one, where
        // no way leads to anything that is sold.
        Err(bad @ (BadPath::HiddenSeparator | BadPath::TrailingDot)) => {
            let spelled = CanonicalPath::as_spelled(raw, most).map_err(|_| bad)?;
            return if is_free(&spelled.readings) { free(spelled.path) } else { Err(bad) };
        }
        Err(bad) => return Err(bad),
    };
    let found = patterns.find(&path, method)?;
    let may_be_read_again = raw.contains('%') && AGAIN.iter().any(|it| path.as_str().contains(it));
    let is_priced = found.route.is_some() || found.by_method;
    if !may_be_read_again && (is_priced || path.as_str() == raw) {
        return Ok(Some(Asked { path, found }));
    }
    let is_same = |reading: &CanonicalPath| match patterns.find(reading, method) {
        Ok(Found { route: None, .. }) => true,
        Ok(other) => other.route == found.route,
        Err(_) => false,
    };
    let readings = path.decoded_again(most)?;
    let is_plain = if is_priced { readings.iter().all(is_same) } else { is_free(&readings) };
    if !is_plain {
        let decoded = path.as_str().to_ascii_uppercase().replace("%25", "%");
        let has_end = ["%3F", "%23"].iter().any(|it| decoded.contains(it));
        return Err(if has_end { BadPath::HiddenEnd } else { BadPath::HiddenSeparator });
    }
    if is_priced {
        return Ok(Some(Asked { path, found }));
    }
    if raw.contains("//")
        && let Ok(spelled) = CanonicalPath::as_spelled(raw, most)
        && is_free(&spelled.readings)
    {
        return free(spelled.path);
    }
    Ok(Some(Asked { path, found }))
}

/// Whether a request for this path with another method would be sold.
pub(super) fn is_sold(loaded: &Loaded, path: &CanonicalPath, method: &Method) -> bool {
    let Some(patterns) = &loaded.patterns else { return true };
    patterns.find(path, method).is_ok_and(|found| found.route.is_some())
}

/// What to tell a client whose request names another path or method than its
/// own.
pub(super) fn override_in(
    loaded: &Loaded,
    head: &impl Head,
    query: &str,
    (path, method): (&CanonicalPath, &Method),
    found: Found,
) -> Option<&'static str> {
    if loaded.origin != Some(Origin::Assets) && !said_by(head, &PATH_OVERRIDES).is_empty() {
        return Some("the request names another path in a header");
    }
    // Where every method is sold alike, or none is, another one opens nothing.
    let is_by_origin = is_by_origin(loaded, found);
    if !found.by_method && !is_by_origin {
        return None;
    }
    let patterns = loaded.patterns.as_ref()?;
    let changes_nothing = |value: String| {
        let is_token = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphabetic());
        let Ok(named) = value.parse::<Method>();
        is_token
            && (named == *method
                || !is_by_origin
                    && patterns.find(path, &named).is_ok_and(|it| it.route == found.route))
    };
    if said_by(head, &METHOD_OVERRIDES).into_iter().any(|value| !changes_nothing(value)) {
        return Some("the request names another method in a header");
    }
    names_method(query).then_some("the request names another method in its query")
}

/// Whether the origin says what a request costs, whatever its method.
fn is_by_origin(loaded: &Loaded, found: Found) -> bool {
    let route = || loaded.config.as_ref().ok()?.routes.get(found.route?);
    route().is_some_and(Route::has_quotes)
}

/// Where to send a request that is for nothing but reading, and free: what
/// [`decide`](super::decide) says, without asking anything that only what is sold needs. `None`
/// if there is more to decide.
pub fn decide_free(loaded: &Loaded, head: &impl Head) -> Option<CanonicalPath> {
    if !matches!(head.method(), "GET" | "HEAD") {
        return None;
    }
    let parts = head.parts();
    let Ok(method) = head.method().parse::<Method>();
    let Ok(Some(Asked { path, found })) = find(loaded, parts.path, &method) else {
        return None;
    };
    let is_free = found.route.is_none()
        && override_in(loaded, head, parts.query, (&path, &method), found).is_none();
    is_free.then_some(path)
}

/// Whether a request asks for something that is sold.
pub fn asks_for_sold(loaded: &Loaded, head: &impl Head) -> bool {
    let Ok(method) = head.method().parse::<Method>();
    let asked = find(loaded, head.parts().path, &method);
    matches!(asked, Ok(Some(asked)) if asked.found.route.is_some())
}

/// Whether a request names a method besides its own, in a header or its query.
pub(super) fn names_other_method(head: &impl Head, query: &str) -> bool {
    !said_by(head, &METHOD_OVERRIDES).is_empty() || names_method(query)
}

/// What the headers of these names say, in every spelling that CGI takes for them
/// (RFC 3875, section 4.1.18).
fn said_by(head: &impl Head, names: &[&'static str]) -> Vec<String> {
    let plain = names.iter().filter_map(|name| head.header(name));
    let is_one = |spelled: &String| {
        let dashed = spelled.replace('_', "-");
        names.iter().any(|name| name.eq_ignore_ascii_case(&dashed))
    };
    let spelled = head.names_with_underscores().into_iter().filter(is_one);
    plain.chain(spelled.filter_map(|name| head.named_header(&name))).collect()
}

/// The media type of a body, in small letters, if the method that an origin reads
/// from it counts for what is asked for: it must be looked into then, see
/// [`body_names_method`](super::body_names_method). That of a body without a type is
/// empty.
///
/// JSON is often long where it is what is sold: it is looked into only where
/// another method costs more.
///
/// # Errors
/// The body would have to be looked into, and can't be.
pub fn type_to_look_into(loaded: &Loaded, head: &impl Head) -> Result<Option<String>, NotRead> {
    let Ok(method) = head.method().parse::<Method>();
    let Some(media_type) = named_method::type_that_may_name(head, &method) else {
        return Ok(None);
    };
    let Ok(Some(asked)) = find(loaded, head.parts().path, &method) else { return Ok(None) };
    let counts = is_by_origin(loaded, asked.found)
        || asked.found.by_method
            && (named_method::is_form(&media_type)
                || is_dearer_elsewise(loaded, &asked.path, asked.found));
    if !counts {
        return Ok(None);
    }
    named_method::must_be_plain(head, &media_type)?;
    Ok(Some(media_type))
}

/// Whether a path costs more by another method.
fn is_dearer_elsewise(loaded: &Loaded, path: &CanonicalPath, found: Found) -> bool {
    let (Some(patterns), Ok(config)) = (&loaded.patterns, &loaded.config) else { return true };
    let route = |number: Option<usize>| config.routes.get(number?);
    let own = route(found.route).map(Route::least_price);
    Method::KNOWN.iter().any(|name| {
        let Ok(method) = name.parse::<Method>();
        patterns.find(path, &method).map_or(true, |other| {
            let most =
                route(other.route).and_then(|it| it.at_all_prices().map(|it| it.price).max());
            other.route != found.route && most > own
        })
    })
}
