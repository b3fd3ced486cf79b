//! What of a request's body a payment is bound to.

use crate::encoding::encode_hex;
use crate::evm::keccak256;

/// A body of at most this many bytes is part of what a payment is bound to. A
/// larger one is streamed unread, and what it bought is not delivered again.
pub const MAX_BOUND_BODY: usize = 64 * 1024;

/// A body, as far as a payment is bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundBody {
    bound: Option<[u8; 32]>,
    former: Option<[u8; 32]>,
    is_unread: bool,
}

impl BoundBody {
    /// There is none.
    pub fn none() -> Self {
        Self::default()
    }

    /// One that was read, and its `Content-Type`.
    pub fn read(bytes: &[u8], media_type: &str) -> Self {
        let former = Some(keccak256(bytes));
        if bytes.is_empty() {
            return Self { former, ..Self::default() };
        }
        let (media_type, boundary) = split_boundary(media_type);
        let mut bound = format!("{media_type}\n").into_bytes();
        // A form that is sent again has another boundary, and is the same form.
        // The lengths keep apart what is between boundaries from the boundaries.
        for part in parts(bytes, boundary) {
            bound.extend(part.len().to_be_bytes());
            bound.extend(part);
        }
        Self { bound: Some(keccak256(&bound)), former, is_unread: false }
    }

    /// One that is too large to be read, or of which the length is unknown.
    pub fn unread(length: Option<usize>, media_type: &str) -> Self {
        let hash =
            |media_type: &str| keccak256(format!("unread {length:?} {media_type}").as_bytes());
        Self {
            bound: Some(hash(&split_boundary(media_type).0)),
            former: Some(hash(media_type)),
            is_unread: true,
        }
    }

    /// Whether there is none, or an empty one.
    pub fn is_none(&self) -> bool {
        self.bound.is_none()
    }

    /// Whether it can't be told from another of its length and type.
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// What a payment is bound to, in hex; empty for no body.
    pub fn bound(&self) -> String {
        hex(self.bound.as_ref())
    }

    /// The same as release 0.1.0 had it.
    pub fn former(&self) -> String {
        hex(self.former.as_ref())
    }
}

fn hex(hash: Option<&[u8; 32]>) -> String {
    hash.map(|hash| encode_hex(hash)).unwrap_or_default()
}

/// A form's media type without its boundary, and the boundary. Any other media
/// type as it is, and so one of which two readers could read two boundaries.
fn split_boundary(media_type: &str) -> (String, Option<&str>) {
    let as_it_is = || (media_type.to_owned(), None);
    let is_form = media_type
        .get(.."multipart/".len())
        .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
    if !is_form {
        return as_it_is();
    }
    let mut boundary = None;
    let mut kept = vec![];
    for parameter in media_type.split(';').map(str::trim) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.trim().to_ascii_lowercase();
        if name == "boundary" {
            match read_boundary(value.trim()) {
                Some(value) if boundary.is_none() => boundary = Some(value),
                _ => return as_it_is(),
            }
        } else if parameter.contains('"') || name.starts_with("boundary") {
            // A quoted text may hold what looks like a parameter, and
            // `boundary*0` is one in pieces (RFC 2231).
            return as_it_is();
        } else {
            kept.push(parameter);
        }
    }
    if boundary.is_none() { as_it_is() } else { (kept.join("; "), boundary) }
}

/// A boundary that everybody reads alike: of the characters that RFC 2046,
/// section 5.1.1, allows, and in quotes where some of them need quotes.
fn read_boundary(value: &str) -> Option<&str> {
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let more = if unquoted.is_some() { "'()+_,-./:=? " } else { "'+_-." };
    let boundary = unquoted.unwrap_or(value);
    let is_one = (1..=70).contains(&boundary.len())
        && boundary.chars().all(|it| it.is_ascii_alphanumeric() || more.contains(it))
        && !boundary.ends_with(' ');
    is_one.then_some(boundary)
}

/// What is between boundaries. A boundary counts where nobody takes it for
/// something else: on a line of its own.
fn parts<'a>(bytes: &'a [u8], boundary: Option<&str>) -> Vec<&'a [u8]> {
    let Some(boundary) = boundary else { return vec![bytes] };
    let delimiter = format!("--{boundary}").into_bytes();
    let is_line = |at: usize| {
        let (before, from) = bytes.split_at(at);
        let behind = from.strip_prefix(delimiter.as_slice());
        let is_end = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"\r\n");
        (before.is_empty() || before.ends_with(b"\r\n"))
            && behind.is_some_and(|behind| {
                behind.starts_with(b"\r\n") || behind.strip_prefix(b"--").is_some_and(is_end)
            })
    };
    let mut parts = vec![];
    let mut start = 0;
    for at in 0..bytes.len() {
        if at >= start && is_line(at) {
            parts.push(bytes.get(start..at).unwrap_or_default());
            start = at.saturating_add(delimiter.len());
        }
    }
    parts.push(bytes.get(start..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(boundary: &str, value: &str) -> BoundBody {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{value}\r\n\
             --{boundary}--\r\n"
        );
        let media_type = format!("multipart/form-data; boundary={boundary}");
        BoundBody::read(body.as_bytes(), &media_type)
    }

    #[test]
    fn a_form_is_the_same_with_another_boundary() {
        assert_eq!(form("x1", "cats").bound(), form("\"y22\"".trim_matches('"'), "cats").bound());
        assert_ne!(form("x1", "cats").bound(), form("x1", "dogs").bound());
        assert_ne!(form("x1", "cats").former(), form("y22", "cats").former());
        // What looks like a boundary in a value is none.
        assert_ne!(form("x1", "--y22").bound(), form("y22", "--x1").bound());
        assert_ne!(form("x1", "a\r\n--y22\r\nb").bound(), form("y22", "a\r\n--y22\r\nb").bound());
        assert_ne!(form("x1", "a --x1 b").bound(), form("y22", "a --y22 b").bound());
        assert_ne!(form("x1", "a\r\n--x1b").bound(), form("y22", "a\r\n--y22b").bound());
        assert_ne!(form("x1", "a\n--x1\nb").bound(), form("y22", "a\n--y22\nb").bound());
        let large = |boundary: &str| {
            BoundBody::unread(Some(70_000), &format!("Multipart/form-data; boundary={boundary}"))
        };
        assert_eq!(large("a").bound(), large("b").bound());
        assert!(large("a").is_unread());
    }

    #[test]
    fn a_form_that_two_readers_read_in_two_ways_is_its_bytes_and_its_type() {
        let read = |boundary: &str, media_type: &str| {
            let body = format!("--{boundary}\r\n\r\ncats\r\n--{boundary}--\r\n");
            BoundBody::read(body.as_bytes(), &media_type.replace('%', boundary)).bound()
        };
        for alike in [
            "multipart/form-data; boundary=%",
            "multipart/form-data; boundary=\"%\"",
            "Multipart/Form-Data;charset=utf-8;Boundary=%",
        ] {
            assert_eq!(read("x1", alike), read("y22", alike), "{alike}");
        }
        for own in [
            "multipart/form-data; boundary=%; boundary=other",
            "multipart/form-data; boundary=other; boundary=%",
            "multipart/form-data; boundary=%; boundary*=utf-8''other",
            "multipart/form-data; boundary*0=%",
            "multipart/form-data; a=\"; boundary=other\"; boundary=%",
            "multipart/form-data; boundary=\"%",
            "multipart/form-data; boundary=\"%\\\"\"",
            "multipart/form-data; boundary=%,other",
            "multipart/form-data; boundary=\"% \"",
            "multipart/form-data",
        ] {
            assert_ne!(read("x1", own), read("y22", own), "{own}");
        }
        let long = "x".repeat(71);
        let media_type = "multipart/form-data; boundary=%";
        assert_ne!(read(&long, media_type), read("y22", media_type));
    }

    #[test]
    fn any_other_body_is_its_bytes_and_its_type() {
        let read = |bytes: &[u8], media_type| BoundBody::read(bytes, media_type).bound();
        let all = [
            read(b"{}", "application/json"),
            read(b"{}", "text/plain"),
            read(b"[]", "application/json"),
            read(b"--x", "text/plain; boundary=x"),
            BoundBody::unread(Some(2), "application/json").bound(),
            BoundBody::unread(None, "application/json").bound(),
            BoundBody::none().bound(),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one));
        }
        assert_eq!(read(b"", "text/plain"), BoundBody::none().bound());
        assert!(BoundBody::read(b"", "text/plain").is_none());
        assert!(!BoundBody::read(b"{}", "text/plain").is_none());
        // Release 0.1.0 told an empty body from none.
        let former = encode_hex(&keccak256(b""));
        assert_eq!(BoundBody::read(b"", "text/plain").former(), former);
        assert_eq!(BoundBody::none().former(), "");
    }
}
