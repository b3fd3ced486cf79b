//! The method that a request names in its query or its body, which some origins take
//! for its own.
//!
//! What can't be read here as it stands, because it is packed or in letters that are
//! no superset of ASCII, could name one, too.

use serde_json::Value;

use super::Head;
use crate::config::Method;
use crate::json;

/// Members of a query or form by which some origins let a request name another method.
const MEMBERS: [&str; 2] = ["_method", "x-http-method-override"];

/// What the media types of forms hold, in small letters.
const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/"];

/// What those of JSON hold.
const JSON: &str = "json";

/// What the names of character sets begin with in which ASCII's letters, and they
/// alone, are as they are in ASCII.
const PLAIN_CHARSETS: [&str; 6] =
    ["utf-8", "utf8", "us-ascii", "ascii", "iso-8859-", "windows-125"];

/// Why a body can't be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It has a `Content-Encoding`.
    Packed,
    /// It is in a character set that isn't read here.
    Charset,
}

impl NotRead {
    /// What the client can do about it.
    pub fn message(self) -> &'static str {
        match self {
            Self::Packed => "a body with a Content-Encoding is not taken here: send it as it is",
            Self::Charset => "a body in this character set is not taken here: send it in UTF-8",
        }
    }
}

/// The media type of a request, in small letters, from whose body some origins read a
/// method: a form, or JSON (Laravel). It is empty where the request names none: Rack
/// takes the body of a POST for a form then.
pub(super) fn type_that_may_name(head: &impl Head, method: &Method) -> Option<String> {
    if matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return None;
    }
    let media_type = head.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let is_read = match essence_of(&media_type) {
        "" => method.as_str() == "POST",
        _ => is_form(&media_type) || media_type.contains(JSON),
    };
    is_read.then_some(media_type)
}

/// A media type without its parameters.
fn essence_of(media_type: &str) -> &str {
    media_type.split([';', ',']).next().unwrap_or_default().trim()
}

/// Whether some origins take a body of this media type for a form.
pub(super) fn is_form(media_type: &str) -> bool {
    essence_of(media_type).is_empty() || FORMS.iter().any(|form| media_type.contains(form))
}

/// Whether a body is read here as an origin would read it.
///
/// # Errors
/// Why it isn't.
pub(super) fn must_be_plain(head: &impl Head, media_type: &str) -> Result<(), NotRead> {
    let packed = head.header("Content-Encoding").unwrap_or_default();
    if !matches!(packed.trim().to_ascii_lowercase().as_str(), "" | "identity") {
        return Err(NotRead::Packed);
    }
    let is_plain = |rest: &str| {
        let name = rest.trim_start_matches(['=', ' ', '\t', '"', '\'']);
        PLAIN_CHARSETS.iter().any(|plain| name.starts_with(plain))
    };
    // Whatever of several is the one that counts.
    if !media_type.split("charset").skip(1).all(is_plain) {
        return Err(NotRead::Charset);
    }
    Ok(())
}

/// Whether a body has a member that some origins read a method from.
pub fn body_names_method(media_type: &str, body: &[u8]) -> bool {
    is_form(media_type) && form_names_method(body)
        || media_type.contains(JSON) && json_names_method(body)
}

fn json_names_method(body: &[u8]) -> bool {
    let is_known = |name: &String| MEMBERS.contains(&name.to_ascii_lowercase().as_str());
    let names = |text: &[u8]| match json::from_slice(text) {
        Ok(Value::Object(members)) => Some(members.keys().any(is_known)),
        Ok(_) => Some(false),
        Err(_) => None,
    };
    // Or an object on each line, as bulk interfaces take them.
    let by_line = || {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.map(names).try_fold(false, |any, line| Some(any || line?))
    };
    names(body).or_else(by_line).unwrap_or_else(|| {
        // Others may read it.
        let text = String::from_utf8_lossy(body).to_ascii_lowercase();
        text.contains(['\0']) || text.contains("\\u") || MEMBERS.iter().any(|it| text.contains(it))
    })
}

fn form_names_method(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    names_method(text.trim_start()) || headers_of_parts(&text).any(|it| names_method_of_part(&it))
}

/// The lines of a multipart body that may be headers, in small letters, each with the
/// lines that continue it (RFC 822, section 3.1.1).
fn headers_of_parts(text: &str) -> impl Iterator<Item = String> {
    let plain = text.to_ascii_lowercase().replace("\r\n", "\n").replace('\r', "\n");
    let mut headers: Vec<String> = vec![];
    for line in plain.split('\n') {
        match headers.last_mut() {
            Some(before) if line.starts_with([' ', '\t']) => before.push_str(line),
            _ => headers.push(line.to_owned()),
        }
    }
    headers.into_iter().filter(|line| line.contains("content-disposition"))
}

/// Whether a `Content-Disposition` is that of a member that a method is read from.
fn names_method_of_part(header: &str) -> bool {
    // A name may be written in more ways than between quotes (RFC 2231, RFC 2047): then
    // it isn't looked at closely. What is escaped may be a plain letter.
    let bare = decoded(&header.replace('\\', ""));
    let is_member = |value: &str| {
        let value = value.trim_start_matches([' ', '\t']);
        is_member(value.strip_prefix(['"', '\'']).unwrap_or(value))
    };
    header.contains("name*")
        || header.contains("=?")
        || MEMBERS.iter().any(|it| bare.contains(it))
        || bare.split("name").skip(1).any(|rest| {
            rest.trim_start_matches([' ', '\t']).strip_prefix('=').is_some_and(is_member)
        })
}

/// Whether a query has a member that some origins read a method from, as
/// lenient as PHP reads its name.
pub(super) fn names_method(query: &str) -> bool {
    let query = query.strip_prefix('?').unwrap_or(query);
    query.split(['&', ';']).any(|member| {
        let name = member.split('=').next().unwrap_or_default();
        is_member(&decoded(&name.replace('+', " ")))
    })
}

/// Whether PHP, or who is stricter, takes a name for one of the members.
fn is_member(name: &str) -> bool {
    let plain = name.trim_start().to_ascii_lowercase();
    let plain = plain.split('\0').next().unwrap_or_default();
    let as_php = plain.replacen(['.', ' ', '['], "_", 1);
    MEMBERS.iter().any(|known| plain.starts_with(known) || as_php.starts_with(known))
}

/// A text with its escapes (`%5f`) decoded, byte by byte.
fn decoded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let mut digit = || ahead.next().and_then(|it| char::from(it).to_digit(16));
        let escaped = match (byte, digit(), digit()) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        if escaped.is_some() {
            rest = ahead;
        }
        plain.push(char::from(escaped.unwrap_or(byte)));
    }
    plain
}
