//! A request, as the gate looks at it.

use crate::path::UrlParts;

/// The head of a request. Headers are asked for one by one, because each
/// question crosses from WebAssembly to the host.
pub trait Head {
    /// The method, as the client wrote it.
    fn method(&self) -> &str;
    /// The whole URL.
    fn url(&self) -> &str;
    /// Its parts.
    fn parts(&self) -> UrlParts<'_> {
        UrlParts::of(self.url())
    }
    /// The value of a header; several of one name with commas between.
    fn header(&self, name: &'static str) -> Option<String>;
    /// The same for a header that the configuration names.
    fn named_header(&self, _name: &str) -> Option<String> {
        None
    }
    /// The names of all headers, in small letters.
    fn header_names(&self) -> Vec<String> {
        vec![]
    }
    /// Those with a `_` in them.
    fn names_with_underscores(&self) -> Vec<String> {
        self.header_names().into_iter().filter(|name| name.contains('_')).collect()
    }
    /// The body, where the price depends on it.
    fn body(&self) -> Body<'_> {
        Body::Unread
    }
    /// What is known of the client that no client can write.
    fn edge(&self, _fact: Fact) -> Option<String> {
        None
    }
}

/// What Cloudflare's edge knows of a client (`request.cf`), as a text; nothing
/// where the edge was not there, or the plan lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its address.
    Address,
    /// The number of its autonomous system.
    Asn,
    /// Its country: two letters.
    Country,
    /// Whether it is a bot that Cloudflare has verified: `true` or `false`.
    VerifiedBot,
    /// What such a bot is for.
    BotCategory,
    /// From 1, a program, to 99, a person.
    BotScore,
    /// The host by whose key the request is signed: the gate's own finding.
    Signer,
}

/// The body of a request, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// It was not, or is longer than [`MAX_BOUND_BODY`](super::MAX_BOUND_BODY).
    Unread,
    /// All of it; empty if there is none.
    Read(&'a [u8]),
}
