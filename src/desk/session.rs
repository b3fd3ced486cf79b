//! Sessions of the desk's page: what a browser holds after it has signed in.
//!
//! A session is a random number. The Worker keeps its hash, beside the hash of the
//! token that opened it, until it ends. The browser's cookie holds the number
//! itself, so neither `DESK_TOKENS` nor what is kept is enough to make a cookie.
//! Behind the number stands an HMAC by the token's hash. It proves nothing, but
//! whoever makes cookies up costs no look at what is kept, and a token that is
//! taken from `DESK_TOKENS` ends its sessions by itself.

use crate::config::{Desk, TokenHash};
use crate::encoding::{decode_hex, encode_hex};
use crate::evm::keccak256;
use crate::{json_struct, mac};

/// Where a browser signs in and out.
pub const SESSION_PATH: &str = "/.edge402/desk/session";

/// How long a session lasts, in seconds: 12 hours.
pub const SESSION_SECONDS: u64 = 43_200;

/// How many sessions there are at most: a further one ends the oldest.
pub const MAX_SESSIONS: i64 = 64;

/// The name of the Durable Object that keeps them. No Settler has it: theirs
/// begin with a network.
pub const SESSIONS: &str = "desk";

/// The longest body of a request to sign in, in bytes.
pub const MAX_SIGN_IN: usize = 4_096;

/// What the `Set-Cookie` of one that is over says.
pub const NO_COOKIE: &str =
    "edge402_desk=; Path=/.edge402; Max-Age=0; HttpOnly; Secure; SameSite=Strict";

/// Named like all cookies of the gate's, which no origin gets.
const COOKIE: &str = "edge402_desk=";

/// What the Worker keeps of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of its number, in hex.
    pub id: String,
    /// The hash of the token that opened it, in hex.
    pub token: String,
}

json_struct!(Session { id, token });

impl Session {
    /// A session of 32 random bytes, and the value of the `Set-Cookie` that
    /// opens it.
    pub fn open(number: &[u8; 32], token: &TokenHash) -> Option<(Self, String)> {
        let text = encode_hex(number);
        let code = encode_hex(&code_of(number, token)?);
        let cookie = format!(
            "{COOKIE}{text}.{code}; Path=/.edge402; Max-Age={SESSION_SECONDS}; HttpOnly; Secure; \
             SameSite=Strict"
        );
        Some((Self::of(number, token), cookie))
    }

    /// The session that a `Cookie` header names, if it may be one: whether it is
    /// open is for what is kept to say.
    pub fn read(cookies: &str, desk: &Desk) -> Option<Self> {
        // All of them, as many as the header holds: pages of a sibling host can set
        // others of this name, which come first.
        let mut values = cookies.split(';').filter_map(|it| it.trim().strip_prefix(COOKIE));
        values.find_map(|value| {
            let (number, code) = value.split_once('.')?;
            let number = decode_hex::<32>(number).ok()?;
            let code = decode_hex::<32>(code).ok()?;
            let is_its = |token: &&TokenHash| {
                mac::is_code_of(&code, token.bytes(), &lines(&encode_hex(&number)))
            };
            Some(Self::of(&number, desk.tokens().iter().find(is_its)?))
        })
    }

    fn of(number: &[u8; 32], token: &TokenHash) -> Self {
        Self { id: encode_hex(&keccak256(number)), token: encode_hex(token.bytes()) }
    }
}

fn code_of(number: &[u8; 32], token: &TokenHash) -> Option<[u8; 32]> {
    mac::code_of(token.bytes(), &lines(&encode_hex(number)))
}

const fn lines(number: &str) -> [&str; 2] {
    ["edge402 desk session 1", number]
}

/// Whether a page of this very host asks, as browsers say it of requests that
/// change something ([Fetch Metadata], and `Origin` of those that don't know it).
///
/// [Fetch Metadata]: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
pub fn is_from_here(fetch_site: Option<&str>, origin: Option<&str>, own_origin: &str) -> bool {
    // Something in front of the Worker may end TLS: the scheme may differ.
    let host = |origin: &str| {
        origin.split_once("://").map(|(_, host)| host.to_ascii_lowercase()).unwrap_or_default()
    };
    match (fetch_site, origin) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => !host(origin).is_empty() && host(origin) == host(own_origin),
        (None, None) => false,
    }
}
