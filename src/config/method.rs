//! HTTP methods, as routes name them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// An HTTP method, in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Method(String);

impl Method {
    /// The methods that a route may name (RFC 9110, RFC 4918, and `QUERY`).
    pub const KNOWN: [&str; 18] = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "QUERY",
        "SEARCH",
        "REPORT",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "PURGE",
    ];

    /// The known method that a misspelt name is likely to mean: one letter more
    /// or less, another letter, or the same letters in another order.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let name = name.trim().to_ascii_uppercase();
        let count = |text: &str, letter: u8| text.bytes().filter(|it| *it == letter).count();
        let has_its_letters = |known: &str| {
            known.len() == name.len()
                && known.bytes().all(|letter| count(known, letter) == count(&name, letter))
        };
        let differs_once = |known: &str| {
            let common = |a: &mut dyn Iterator<Item = u8>, b: &mut dyn Iterator<Item = u8>| {
                a.zip(b).take_while(|(a, b)| a == b).count()
            };
            let start = common(&mut known.bytes(), &mut name.bytes());
            let end = common(&mut known.bytes().rev(), &mut name.bytes().rev());
            let longer = known.len().max(name.len());
            known.len().abs_diff(name.len()) <= 1 && start + end + 1 >= longer
        };
        let is_near = |known: &&&str| has_its_letters(known) || differs_once(known);
        Self::KNOWN.iter().find(is_near).copied()
    }

    /// Whether a route for this method also covers a request with that one: a
    /// HEAD request tells what a GET request would.
    pub fn covers(&self, request: &Self) -> bool {
        self == request || (self.0 == "GET" && request.0 == "HEAD")
    }

    /// Whether asking twice changes nothing (RFC 9110, section 9.2.1).
    pub fn is_safe(&self) -> bool {
        matches!(self.0.as_str(), "GET" | "HEAD")
    }

    /// Whether what is asked for by it is in a body.
    pub fn has_body(&self) -> bool {
        matches!(self.0.as_str(), "POST" | "PUT" | "PATCH")
    }

    /// The method's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self(name.to_ascii_uppercase()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
