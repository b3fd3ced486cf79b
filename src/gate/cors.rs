//! Cross-origin requests (Fetch standard, CORS protocol): a page elsewhere may
//! pay, and read what it got for its money.

use std::fmt::Write as _;

use super::Head;
use crate::config::Method;

/// What a page may send besides what browsers always allow, and what it asked
/// for. The reference client sends `Access-Control-Expose-Headers` as a
/// request header.
const ALLOWED_HEADERS: &str = "X-PAYMENT, PAYMENT-SIGNATURE, PAYMENT-GRANT, Access-Control-Expose-Headers, \
     Content-Type, Accept, Range, Prefer";

/// What a page may read of the answer.
pub const EXPOSED_HEADERS: &str = "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, PAYMENT-GRANT, \
     Preference-Applied, Location, Date, Retry-After, RateLimit, RateLimit-Policy";

/// What a page may do, besides what it asked for.
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// How long a browser may remember the answer to a preflight, in seconds.
pub const MAX_AGE: &str = "86400";

/// The most of what a page asks for that is repeated, in bytes.
const MAX_ASKED: usize = 2_048;

/// The method that a preflight asks for; `None` if the request is none.
pub fn preflight_method(method: &Method, head: &impl Head) -> Option<Method> {
    if method.as_str() != "OPTIONS" {
        return None;
    }
    head.header("Origin")?;
    head.header("Access-Control-Request-Method")?.parse().ok()
}

/// The methods that a page may use, with the one that it asked for.
pub fn allowed_methods(head: &impl Head) -> String {
    with_asked(ALLOWED_METHODS, head.header("Access-Control-Request-Method"))
}

/// The headers that a page may send, with those that it asked for: which of
/// them mean anything is for the origin to say.
pub fn allowed_headers(head: &impl Head) -> String {
    with_asked(ALLOWED_HEADERS, head.header("Access-Control-Request-Headers"))
}

fn with_asked(known: &str, asked: Option<String>) -> String {
    let mut list = known.to_owned();
    let asked = asked.filter(|asked| asked.len() <= MAX_ASKED).unwrap_or_default();
    for name in asked.split(',').map(str::trim).filter(|name| is_token(name)) {
        if !list.split(", ").any(|listed| listed.eq_ignore_ascii_case(name)) {
            let _ = write!(list, ", {name}");
        }
    }
    list
}

/// Whether a text is a token (RFC 9110, section 5.6.2). A `*` would allow
/// everything to some browsers, and is no name of a header.
fn is_token(text: &str) -> bool {
    let is_mark = |byte: u8| b"!#$%&'+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// Whether a page elsewhere asks that the seller doesn't trust, and not a person
/// who goes from there to here. `own`: the scheme and host that are asked.
///
/// Such a page can't be let read or show what is free for its visitors, whose
/// address, country or network it could borrow. It is told the price, which it can
/// pay.
pub(super) fn is_by_page_elsewhere(trusted: &[String], own: &str, head: &impl Head) -> bool {
    let page = head.header("Origin");
    let is_own = |page: &String| page.eq_ignore_ascii_case(own) || trusted.contains(page);
    if page.as_ref().is_some_and(is_own) {
        return false;
    }
    match head.header("Sec-Fetch-Site").as_deref() {
        Some("same-origin" | "none") => false,
        Some("same-site" | "cross-site") => !is_visit(head),
        _ => page.is_some(),
    }
}

/// Whether a person goes to a page, which no page elsewhere has in itself.
pub(super) fn is_visit(head: &impl Head) -> bool {
    let is = |name, value| head.header(name).as_deref() == Some(value);
    is("Sec-Fetch-Mode", "navigate") && is("Sec-Fetch-Dest", "document")
}

/// Who may read an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers<'a> {
    /// Every page, but none that sends credentials.
    Everyone,
    /// This page, with credentials.
    Page(&'a str),
}

/// Who may read the answer to a request that comes from this page.
pub fn readers<'a>(trusted: &[String], page: Option<&'a str>) -> Readers<'a> {
    match page {
        Some(page) if trusted.iter().any(|it| it == page) => Readers::Page(page),
        _ => Readers::Everyone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Preflight<'a>(&'a str, &'a str);

    impl Head for Preflight<'_> {
        fn method(&self) -> &'static str {
            "OPTIONS"
        }

        fn url(&self) -> &'static str {
            ""
        }

        fn header(&self, name: &'static str) -> Option<String> {
            match name {
                "Access-Control-Request-Method" => Some(self.0.to_owned()),
                "Access-Control-Request-Headers" => Some(self.1.to_owned()),
                _ => None,
            }
        }
    }

    #[test]
    fn a_page_is_allowed_what_it_asks_for() {
        for asked in [
            "content-type, mcp-protocol-version, mcp-session-id, payment-signature",
            "authorization, payment-signature",
            "payment-signature, x-api-key",
            "idempotency-key",
            "baggage,sentry-trace,traceparent",
        ] {
            let allowed = allowed_headers(&Preflight("GET", asked)).to_ascii_lowercase();
            let allowed: Vec<&str> = allowed.split(", ").collect();
            for name in asked.split(',').map(str::trim) {
                assert_eq!(allowed.iter().filter(|it| **it == name).count(), 1, "{name}");
            }
        }
        let none = allowed_headers(&Preflight("GET", "*, a b, \u{e9}, x:y, \"q\", ,"));
        assert_eq!(none, ALLOWED_HEADERS);
        assert_eq!(allowed_headers(&Preflight("GET", &"a,".repeat(2_000))), ALLOWED_HEADERS);
        assert_eq!(allowed_methods(&Preflight("get", "")), ALLOWED_METHODS);
        assert_eq!(allowed_methods(&Preflight("PURGE", "")), format!("{ALLOWED_METHODS}, PURGE"));
    }

    #[test]
    fn only_pages_that_the_seller_names_bring_credentials() {
        let trusted = ["https://app.example".to_owned()];
        let page = Some("https://app.example");
        assert_eq!(readers(&trusted, page), Readers::Page("https://app.example"));
        for other in
            [None, Some("https://app.example.evil"), Some("null"), Some("http://app.example")]
        {
            assert_eq!(readers(&trusted, other), Readers::Everyone);
        }
        assert_eq!(readers(&[], page), Readers::Everyone);
    }
}
