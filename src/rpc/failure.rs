//! Why nodes gave nothing that can be used, in words for the seller.

use std::fmt;

use super::RpcError;

/// How much of what a node says goes into a log line, in characters.
const MAX_QUOTE: usize = 200;

/// The shortest part of a URL that may be a key.
const MIN_SECRET: usize = 8;

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or it broke off.
    Unreachable,
    /// No answer in time. The node may have acted on the request.
    TimedOut,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the connection failed or broke off",
            Self::TimedOut => "no answer in time",
        })
    }
}

impl std::error::Error for TransportError {}

/// Why one URL gave nothing that can be used. What the node said is in it,
/// bounded, printable and without the secrets of its URL.
#[derive(Clone, Debug, PartialEq)]
pub enum UrlFailure {
    /// No answer.
    Transport(TransportError),
    /// An answer that is not JSON-RPC: its HTTP status and its body.
    NotJsonRpc(u16, String),
    /// An error of the node's own.
    Refused(RpcError),
    /// The node serves another chain: the one that is expected, and what the
    /// node names.
    WrongChain(String, String),
}

impl UrlFailure {
    /// Whether smaller batches may help. An answer that says so is told from
    /// one that may have any reason.
    pub(super) const fn may_be_the_batch(&self) -> bool {
        !matches!(
            self,
            Self::WrongChain(..)
                | Self::Transport(TransportError::TimedOut)
                | Self::NotJsonRpc(401 | 403 | 404 | 429, _)
        )
    }
}

impl fmt::Display for UrlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::NotJsonRpc(status, body) if body.is_empty() => {
                write!(f, "HTTP status {status} and no JSON-RPC")
            }
            Self::NotJsonRpc(status, body) => {
                write!(f, "HTTP status {status} and no JSON-RPC: \"{body}\"")
            }
            Self::Refused(error) => error.fmt(f),
            Self::WrongChain(expected, named) => {
                write!(f, "it serves another chain: {named} instead of {expected}")
            }
        }
    }
}

impl std::error::Error for UrlFailure {}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} \"{}\"", self.code, self.message)
    }
}

impl std::error::Error for RpcError {}

/// No URL gave an answer: what each said. Keys in the URLs stay out of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unavailable {
    /// The CAIP-2 name of the chain; empty if the nodes did answer, but not
    /// what was asked.
    pub network: String,
    /// Each host, and why it gave nothing.
    pub failures: Vec<(String, UrlFailure)>,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures.is_empty() {
            return f.write_str("no node gives an answer that can be read");
        }
        write!(f, "no node of NETWORKS.\"{}\".rpc (or RPC_URLS) could be used", self.network)?;
        for (i, (host, failure)) in self.failures.iter().enumerate() {
            write!(f, "{} {host}: {failure}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Unavailable {}

/// What a node said, for a log line: bounded, printable, and without the parts
/// of its URL that may be keys, which some nodes repeat.
pub(super) fn quote(url: &str, text: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let parts = path.split(['/', '?', '&', '=', '#']).chain(user.split(':'));
    let mut clean = text.to_owned();
    for secret in parts.filter(|part| part.len() >= MIN_SECRET) {
        clean = clean.replace(secret, "***");
    }
    let is_shown = |c: &char| c.is_ascii_graphic() || c.is_alphanumeric();
    let mut quoted = String::new();
    for word in clean.split(|c| !is_shown(&c)).filter(|word| !word.is_empty()) {
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        quoted.extend(word.chars().take(MAX_QUOTE.saturating_sub(quoted.chars().count())));
    }
    quoted.trim_end().to_owned()
}

/// The host of a URL: RPC URLs carry keys, which belong into no log.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}
