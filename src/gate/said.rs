//! What a request says, and whether all origins read the same in it.

use std::cell::OnceCell;

use serde_json::Value;

use super::discovery::decode;
use super::{Body, Head};
use crate::config::Method;
use crate::json;

/// Readers of queries stop after so many members at the latest: `qs` and PHP after
/// 1000, and behind a few more, nobody knows.
const MAX_MEMBERS: usize = 100;

/// Media types from which nobody reads members, by their start.
const OPAQUE: [&str; 4] = ["image/", "audio/", "video/", "application/octet-stream"];

/// What a media type has in it that somebody reads members from.
const READ: [&str; 6] = [",", "form", "json", "multipart", "text", "xml"];

/// A request whose price is looked for.
pub(super) struct Said<'a, H: Head> {
    pub head: &'a H,
    pub method: &'a Method,
    pub query: &'a str,
    content: OnceCell<Content>,
}

/// A body.
pub(super) enum Content {
    /// There is none.
    Nothing,
    /// JSON that everybody reads alike.
    Json(Value),
    /// Not known, or not read alike by everybody.
    Unclear,
}

impl<'a, H: Head> Said<'a, H> {
    pub(super) fn new(head: &'a H, method: &'a Method, query: &'a str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        Self { head, method, query, content: OnceCell::new() }
    }

    /// The body, which is read once.
    pub(super) fn content(&self) -> &Content {
        self.content.get_or_init(|| content_of(self.head))
    }

    /// What is said of a member of the query, each time that it is there; `None` if
    /// not everybody would read the same.
    pub(super) fn in_query(&self, name: &str) -> Option<Vec<String>> {
        let ends = self.query.bytes().filter(|it| matches!(it, b'&' | b';')).count();
        if ends >= MAX_MEMBERS || self.names_in_body(name) {
            return None;
        }
        let mut texts = vec![];
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (own, text) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(own), decode(text)) {
                (Some(own), Some(text)) if own == name => texts.push(text),
                (Some(own), _) if !resembles(&own, name) => {}
                // Not as everybody writes its name, or its text.
                _ => return None,
            }
            // Some take a semicolon for the end of a member.
            if pair.contains(';') && names(pair, &[';'], name) {
                return None;
            }
        }
        Some(texts)
    }

    /// Whether somebody could read a member of the JSON body in the query: many
    /// frameworks have one set of members.
    pub(super) fn names_in_query(&self, path: &[String]) -> bool {
        let Some(first) = path.first() else { return false };
        let is_within = |it: &str| {
            path.len() > 1
                && decode(it.split(['=', '.']).next().unwrap_or_default())
                    .is_none_or(|own| resembles(&own, first))
        };
        names(self.query, &['&', ';'], first) || self.query.split(['&', ';']).any(is_within)
    }

    /// The same for a member of the query in the body: what a form says counts more
    /// than the query in some frameworks.
    fn names_in_body(&self, name: &str) -> bool {
        if !may_hold_members(self.head, self.method) {
            return false;
        }
        match self.content() {
            Content::Json(Value::Object(members)) => members.keys().any(|own| resembles(own, name)),
            Content::Nothing | Content::Json(_) => false,
            Content::Unclear => true,
        }
    }
}

/// Whether one of the members between these ends may be taken for another.
fn names(text: &str, ends: &[char], name: &str) -> bool {
    text.split(ends).filter(|it| !it.is_empty()).any(|part| {
        let own = part.split('=').next().unwrap_or_default();
        decode(own).is_none_or(|own| resembles(&own, name))
    })
}

/// Whether a request may have a body that somebody reads members from.
pub(super) fn may_hold_members(head: &impl Head, method: &Method) -> bool {
    let has_none = matches!(method.as_str(), "GET" | "HEAD")
        && head.header("Content-Length").is_none_or(|it| it == "0")
        && head.header("Transfer-Encoding").is_none();
    if has_none {
        return false;
    }
    let media_type = head.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    !OPAQUE.iter().any(|it| media_type.starts_with(it))
        || READ.iter().any(|it| media_type.contains(it))
}

fn content_of(head: &impl Head) -> Content {
    let bytes = match head.body() {
        Body::Unread => return Content::Unclear,
        Body::Read([]) => return Content::Nothing,
        Body::Read(bytes) => bytes,
    };
    if !is_plain_json(&head.header("Content-Type").unwrap_or_default())
        || head.header("Content-Encoding").is_some()
    {
        return Content::Unclear;
    }
    // No JSON, nested too deeply, or with a member twice.
    json::from_slice(bytes).map_or(Content::Unclear, Content::Json)
}

/// Whether a `Content-Type` says JSON in UTF-8. In UTF-7 the same bytes would be
/// another text.
fn is_plain_json(media_type: &str) -> bool {
    let lower = media_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let is_utf8 = |part: &str| {
        part.strip_prefix("charset").is_none_or(|rest| {
            matches!(rest.trim_start_matches(['=', ' ']).trim_matches('"'), "utf-8" | "utf8")
        })
    };
    (kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json"))
        && !lower.contains(',')
        && parts.all(is_utf8)
}

/// How some readers begin a name that others leave bare: `qs` and Rack with
/// brackets, Spring with its markers, PHP with blanks.
const LEADING: [char; 9] = ['[', ']', '!', '_', ' ', '?', '\t', '\r', '\n'];

/// Whether some origins take one name for another: in other letters (Go's
/// `encoding/json`), up to a bracket (PHP, `qs`, Rack) or a zero, and with PHP's
/// underscores.
pub(super) fn resembles(own: &str, name: &str) -> bool {
    own == name || bare(own).eq(bare(name)) || whole(own).eq(whole(name))
}

/// A name as those read it who see what is behind a bracket, letter by letter: a
/// body may have thousands.
fn whole(name: &str) -> impl Iterator<Item = char> {
    let name = name.split('\0').next().unwrap_or_default();
    let name = name.trim_start_matches(LEADING).trim_end_matches([' ', '?', '\t', '\r', '\n']);
    name.chars().filter(|it| *it != ']').map(|c| match c {
        // Those beyond ASCII that are the same letters in lower case.
        'ſ' => 's',
        '\u{212a}' => 'k',
        '.' | ' ' | '+' | '[' => '_',
        other => other.to_ascii_lowercase(),
    })
}

/// The same as those read it who don't.
fn bare(name: &str) -> impl Iterator<Item = char> {
    whole(name.trim_start_matches(LEADING).split(['[', ']']).next().unwrap_or_default())
}
