//! Paths of URLs, in the one spelling that is matched and forwarded.
//!
//! A path has many spellings, and a gate that compares one of them leaves the
//! others open. Each spelling here either becomes the plain one or is refused;
//! what was matched is what the origin gets to see.

mod key;
mod names;
mod spelled;

use crate::plain_error;

pub use key::{Fold, PathKeys};
pub use spelled::{READ_MAX, Spelled, without_end};

/// A path in its one spelling: it begins with `/`, has no empty, `.` or `..`
/// segment, escapes nothing that need not be escaped, and keeps a trailing
/// slash if it had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath(String);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `%` without two hex digits behind it.
    BadEscape,
    /// A slash or backslash that some origins read as a separator and some
    /// do not: `%2F`, `%5C`, `\`.
    HiddenSeparator,
    /// An encoded `?` or `#`. An origin that decodes it again would end the path there,
    /// and serve something else.
    HiddenEnd,
    /// A control character, a bare space, or a byte that is never UTF-8.
    BadCharacter,
    /// `..` out of the root.
    AboveRoot,
    /// A segment that ends in a dot or a space, which some origins drop.
    TrailingDot,
    /// It may be read in so many ways that all of them together are too long.
    TooManyReadings,
}

plain_error!(BadPath, |it| it.message());

impl BadPath {
    /// What to tell the client.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotAbsolute => "the path must begin with a slash",
            Self::BadEscape => "the path holds a % without two hex digits behind it",
            Self::HiddenSeparator => "the path holds an encoded slash or a backslash",
            Self::HiddenEnd => "the path holds an encoded ? or # where it may be read as its end",
            Self::BadCharacter => "the path holds a control character or a bad byte",
            Self::AboveRoot => "the path leaves the root",
            Self::TrailingDot => "a segment of the path ends in a dot or a space",
            Self::TooManyReadings => {
                "the path is too long for the many ways in which it can be read"
            }
        }
    }
}

impl CanonicalPath {
    /// Brings a path, without its query, into its one spelling (RFC 3986,
    /// section 6.2.2, and stricter).
    pub fn parse(raw: &str) -> Result<Self, BadPath> {
        if !raw.starts_with('/') {
            return Err(BadPath::NotAbsolute);
        }
        if is_plain(raw) {
            return Ok(Self(raw.to_owned()));
        }
        let decoded = decode_once(raw, Separators::Refuse)?;
        let mut segments: Vec<&str> = vec![];
        let mut ends_in_slash = false;
        for segment in decoded.split('/') {
            ends_in_slash = matches!(segment, "" | "." | "..");
            // Some origins drop what follows a `;`, and then follow the dots.
            let name = name_of(segment);
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop().ok_or(BadPath::AboveRoot)?;
                }
                _ if [segment, name].iter().any(|s| s.ends_with('.') || s.ends_with("%20")) => {
                    return Err(BadPath::TrailingDot);
                }
                _ => segments.push(segment),
            }
        }
        let mut path = String::with_capacity(decoded.len());
        for segment in &segments {
            path.push('/');
            path.push_str(segment);
        }
        if ends_in_slash || path.is_empty() {
            path.push('/');
        }
        Ok(Self(path))
    }

    /// The path as it is forwarded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A segment without its parameters (RFC 3986, section 3.3).
fn name_of(segment: &str) -> &str {
    // Most have none, and looking for bytes costs less than for texts.
    if !segment.bytes().any(|byte| matches!(byte, b';' | b'%')) {
        return segment;
    }
    let name = segment.split(';').next().unwrap_or_default();
    name.split("%3B").next().unwrap_or_default()
}

/// Whether a path is in its one spelling already, as most are: a shorter way
/// to the same answer.
fn is_plain(raw: &str) -> bool {
    let mut before = 0;
    let is_bare = |byte: u8| {
        is_unreserved(byte)
            || matches!(byte, b'/' | b'!' | b'$' | b'&'..=b',' | b'=' | b':' | b'@' | b'[' | b']')
    };
    raw.bytes().all(|byte| {
        // No empty segment, and none that begins or ends in a dot.
        let joins = matches!((before, byte), (b'/', b'/' | b'.') | (b'.', b'/'));
        before = byte;
        is_bare(byte) && !joins
    }) && before != b'.'
}

/// What to do with an escaped slash or backslash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separators {
    /// It hides a separator: the path is refused.
    Refuse,
    /// It stays as it is.
    Keep,
}

/// Decodes what need not be escaped, and escapes what must be.
fn decode_once(raw: &str, separators: Separators) -> Result<String, BadPath> {
    let mut decoded = String::with_capacity(raw.len());
    // The path as bytes, to see that they are UTF-8: a lenient origin reads
    // overlong forms of a slash or a dot as what they stand for.
    let mut plain_bytes = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(BadPath::BadEscape);
                };
                let byte = u8::try_from(high << 4 | low).map_err(|_| BadPath::BadEscape)?;
                plain_bytes.push(byte);
                match byte {
                    b'/' | b'\\' if separators == Separators::Refuse => {
                        return Err(BadPath::HiddenSeparator);
                    }
                    0..0x20 | 0x7f => return Err(BadPath::BadCharacter),
                    plain if is_unreserved(plain) => decoded.push(char::from(plain)),
                    other => escape(other, &mut decoded),
                }
            }
            b'\\' => return Err(BadPath::HiddenSeparator),
            0..=0x20 | 0x7f => return Err(BadPath::BadCharacter),
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                plain_bytes.push(byte);
                escape(byte, &mut decoded);
            }
            plain => {
                plain_bytes.push(plain);
                decoded.push(char::from(plain));
            }
        }
    }
    match std::str::from_utf8(&plain_bytes) {
        Ok(_) => Ok(decoded),
        Err(_) => Err(BadPath::BadCharacter),
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn escape(byte: u8, text: &mut String) {
    text.push('%');
    for nibble in [byte >> 4, byte & 15] {
        text.extend(char::from_digit(u32::from(nibble), 16).map(|c| c.to_ascii_uppercase()));
    }
}

/// A request's URL in three parts, as the runtime hands it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// `https://host:port`.
    pub origin: &'a str,
    /// From the first slash on, without the query.
    pub path: &'a str,
    /// From the `?` on; empty if there is none.
    pub query: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Splits an absolute URL; what is not one has no origin.
    pub fn of(url: &'a str) -> Self {
        let url = url.split('#').next().unwrap_or_default();
        let authority = url.find("://").map_or(0, |at| at + 3);
        let (before_query, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        let path = before_query
            .get(authority..)
            .and_then(|rest| rest.find('/'))
            .map_or(before_query.len(), |at| at + authority);
        let (origin, path) = before_query.split_at(path);
        Self { origin, path: if path.is_empty() { "/" } else { path }, query }
    }
}

/// An absolute URL that is split once and asked for its parts often.
#[derive(Clone, Debug)]
pub struct SplitUrl {
    url: String,
    /// Where its path and its query begin, and where that ends, in bytes.
    path: usize,
    query: usize,
    end: usize,
}

impl SplitUrl {
    /// Splits a URL.
    pub fn new(url: String) -> Self {
        let UrlParts { origin, query, .. } = UrlParts::of(&url);
        let end = url.find('#').unwrap_or(url.len());
        let (path, query) = (origin.len(), end - query.len());
        Self { url, path, query, end }
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What [`UrlParts::of`] makes of it.
    pub fn parts(&self) -> UrlParts<'_> {
        let part = |range| self.url.get(range).unwrap_or_default();
        let path = part(self.path..self.query);
        let query = part(self.query..self.end);
        UrlParts {
            origin: part(0..self.path),
            path: if path.is_empty() { "/" } else { path },
            query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BadPath::{AboveRoot, BadCharacter, BadEscape, HiddenSeparator, NotAbsolute, TrailingDot};
    use proptest::prelude::*;

    fn canonical(raw: &str) -> Result<String, BadPath> {
        CanonicalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn every_spelling_is_the_plain_one_or_refused() {
        for same in [
            "/premium/page",
            "/%70remium/page",
            "/premium/%70%61ge",
            "//premium/page",
            "/premium//page",
            "/./premium/page",
            "/free/../premium/page",
            "/free/%2e%2E/premium/page",
            "/premium/%2e/page",
        ] {
            assert_eq!(canonical(same).as_deref(), Ok("/premium/page"), "{same}");
        }
        for (raw, why) in [
            ("premium", NotAbsolute),
            ("", NotAbsolute),
            ("/premium%2Fpage", HiddenSeparator),
            ("/premium%2fpage", HiddenSeparator),
            ("/premium%5cpage", HiddenSeparator),
            ("/premium\\page", HiddenSeparator),
            ("/premium/page.", TrailingDot),
            ("/premium./page", TrailingDot),
            ("/premium/page%2e", TrailingDot),
            ("/premium/page%20", TrailingDot),
            ("/premium/...", TrailingDot),
            ("/..", AboveRoot),
            ("/a/../../premium", AboveRoot),
            ("/premium%", BadEscape),
            ("/premium%7", BadEscape),
            ("/premium%zz", BadEscape),
            ("/premium%é0", BadEscape),
            ("/premium%00", BadCharacter),
            ("/premium%0a", BadCharacter),
            ("/premium\tpage", BadCharacter),
            ("/premium%c0%afpage", BadCharacter),
        ] {
            assert_eq!(canonical(raw), Err(why), "{raw:?}");
        }
    }

    #[test]
    fn other_escapes_are_kept_in_upper_case() {
        assert_eq!(canonical("/caf%c3%a9").as_deref(), Ok("/caf%C3%A9"));
        assert_eq!(canonical("/café").as_deref(), Ok("/caf%C3%A9"));
        assert_eq!(canonical("/a%3fb").as_deref(), Ok("/a%3Fb"));
        assert_eq!(canonical("/a%252Fb").as_deref(), Ok("/a%252Fb"));
        assert_eq!(canonical("/a/b/..").as_deref(), Ok("/a/"));
        assert_eq!(canonical("/").as_deref(), Ok("/"));
    }

    #[test]
    fn urls_have_three_parts() {
        let parts = |url| {
            let UrlParts { origin, path, query } = UrlParts::of(url);
            (origin, path, query)
        };
        assert_eq!(parts("https://h:1/a/b?c=/d#e"), ("https://h:1", "/a/b", "?c=/d"));
        assert_eq!(parts("http://h"), ("http://h", "/", ""));
        assert_eq!(parts("http://h?x"), ("http://h", "/", "?x"));
    }

    proptest! {
        #[test]
        fn what_is_split_once_has_the_same_parts(url in "(https?://)?[a-z:/?#é]{0,20}") {
            let split = SplitUrl::new(url.clone());
            prop_assert_eq!(split.parts(), UrlParts::of(&url));
        }

        #[test]
        fn keys_are_the_same_by_the_short_way(raw in "(/|%2e|[a-zA-Z.~;é%2-5]){0,20}") {
            let key = |raw: &str| CanonicalPath::parse(raw).map(|path| path.key());
            if let Ok(path) = CanonicalPath::parse(&format!("/{raw}a")) {
                // A parameter, which is no part of a key, leads the long way.
                prop_assert_eq!(key(&format!("{};x", path.as_str())), Ok(path.key()));
            }
        }

        #[test]
        fn canonical_paths_stay_as_they_are(raw in "(/|%2e|%70|[a-z.~;%é]|\\PC){0,40}") {
            if let Ok(path) = CanonicalPath::parse(&format!("/{raw}")) {
                prop_assert_eq!(CanonicalPath::parse(path.as_str()), Ok(path.clone()));
                let _ = (path.key(), path.keys(Fold::default()));
            }
        }
    }
}
