//! Web Bot Auth: requests that an agent has signed with a key of its operator's
//! host (draft-meunier-web-bot-auth-architecture, on HTTP message signatures,
//! RFC 9421).
//!
//! The key comes from that host over HTTPS, so nobody else can sign for it. A
//! signature is for one host and for a time, and a day at most is taken. Who sees
//! a signed request could send it again meanwhile, but nobody does but the agent,
//! Cloudflare, the gate and the origin; each isolate takes one with a nonce for one
//! request, and for two minutes (see [`nonces`](super::nonces)).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Head, door};
use crate::config::{Class, Loaded, Method, Who};
use crate::encoding::{decode_base64, encode_base64};
use crate::json;
use crate::path::UrlParts;
use crate::solana::{Pubkey, Signature};
use crate::time::UnixSeconds;

/// Where a host has its keys.
pub const DIRECTORY: &str = "/.well-known/http-message-signatures-directory";

/// What such signatures are for.
const TAG: &str = "web-bot-auth";

/// How long a signature may be good for, in seconds.
const MAX_LIFE: u64 = 86_400;

/// How far a signer's clock may be ahead, in seconds.
const SKEW: u64 = 60;

/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 4_096;

/// How many signatures, components of one, and keys of a host are looked at.
const MAX_SIGNATURES: usize = 4;
const MAX_COMPONENTS: usize = 16;
const MAX_KEYS: usize = 16;

/// A signature that may be that of one of the hosts for which a route asks: its
/// time is right, and what is left is to ask for the host's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The host, as the configuration names it.
    pub host: String,
    /// Names the key: its JWK thumbprint.
    key: String,
    /// What was signed.
    base: String,
    signature: [u8; 64],
    /// Until when it is good.
    pub expires_at: UnixSeconds,
    /// What makes the signature good for one request.
    pub nonce: Option<String>,
}

/// A key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// Its JWK thumbprint (RFC 7638), in base64url.
    pub thumbprint: String,
    key: Pubkey,
    not_before: u64,
    expires: u64,
}

/// Reads the signature of a request for a route that asks who has signed; the
/// first one that is of such a host.
pub fn signed_request(
    loaded: &Loaded,
    head: &impl Head,
    now: UnixSeconds,
) -> Option<SignedRequest> {
    let config = loaded.config.as_ref().ok()?;
    let asks = |class: &Class| matches!(class.who, Who::Signed(_));
    if !config.routes.iter().any(|route| route.classes().any(asks)) {
        return None;
    }
    let agents = bounded(head, "Signature-Agent")?;
    let Ok(method) = head.method().parse::<Method>();
    let found = door::find(loaded, head.parts().path, &method).ok()??.found;
    let route = config.routes.get(found.route?)?;
    let inputs = bounded(head, "Signature-Input")?;
    let signatures = bounded(head, "Signature")?;
    members(&inputs).take(MAX_SIGNATURES).find_map(|(label, input)| {
        let signature = member(&signatures, label)?;
        let request = Input::read(input)?.request(&agents, signature, head, now)?;
        let is_asked_for = |class: &Class| match &class.who {
            Who::Signed(host) => *host == request.host,
            _ => false,
        };
        route.classes().any(is_asked_for).then_some(request)
    })
}

impl SignedRequest {
    /// Whether one of the host's keys has signed it.
    pub fn is_by_one_of(&self, keys: &[AgentKey], now: UnixSeconds) -> bool {
        let signature = Signature(self.signature);
        keys.iter().any(|it| {
            it.thumbprint == self.key
                && (it.not_before..it.expires).contains(&now.0)
                && signature.is_by(&it.key, self.base.as_bytes())
        })
    }

    /// Where the host has its keys. A host at a loopback address is asked without
    /// TLS: nobody is between.
    pub fn directory(&self) -> String {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        let scheme = if matches!(name, "127.0.0.1" | "localhost") { "http" } else { "https" };
        format!("{scheme}://{}{DIRECTORY}", self.host)
    }
}

/// The keys of a host, from its directory: a JWK set (RFC 7517), of which those
/// for ed25519 count.
pub fn read_directory(text: &str) -> Vec<AgentKey> {
    let Ok(directory) = json::parse(text) else { return vec![] };
    let keys = directory.get("keys").and_then(Value::as_array);
    keys.into_iter().flatten().take(MAX_KEYS).filter_map(read_key).collect()
}

fn read_key(jwk: &Value) -> Option<AgentKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("kty") != Some("OKP") || text("crv") != Some("Ed25519") {
        return None;
    }
    let x = text("x")?;
    let key: [u8; 32] = decode_base64url(x)?.try_into().ok()?;
    let x = encode_base64url(&key);
    let hash = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    // Some write milliseconds.
    let seconds = |name: &str, otherwise: u64| match jwk.get(name).and_then(json::whole_number) {
        Some(time) if time >= 100_000_000_000 => time / 1_000,
        Some(time) => time,
        None => otherwise,
    };
    Some(AgentKey {
        thumbprint: encode_base64url(&hash),
        key: Pubkey(key),
        not_before: seconds("nbf", 0),
        expires: seconds("exp", u64::MAX),
    })
}

fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    decode_base64(&text.replace('-', "+").replace('_', "/"), 64).ok()
}

fn encode_base64url(bytes: &[u8]) -> String {
    encode_base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn bounded(head: &impl Head, name: &'static str) -> Option<String> {
    head.header(name).filter(|text| text.len() <= MAX_HEADER)
}

/// A member of `Signature-Input`: what is covered, and what is said of it.
struct Input<'a> {
    /// As it was written, which is what is signed.
    text: &'a str,
    components: Vec<Component<'a>>,
    created: Option<u64>,
    expires: Option<u64>,
    key: Option<&'a str>,
    nonce: Option<&'a str>,
    tag: Option<&'a str>,
    algorithm: Option<&'a str>,
}

/// What is covered.
struct Component<'a> {
    /// As it was written: `"signature-agent";key="a"`.
    text: &'a str,
    name: &'a str,
    /// The member of a dictionary, if it is one.
    key: Option<&'a str>,
}

impl<'a> Input<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (list, rest) = text.strip_prefix('(')?.split_once(')')?;
        let components = list.split(' ').filter(|it| !it.is_empty());
        let components: Vec<_> =
            components.take(MAX_COMPONENTS + 1).map(Component::read).collect::<Option<_>>()?;
        if components.len() > MAX_COMPONENTS {
            return None;
        }
        let mut parameters: Vec<(&str, &str)> = vec![];
        for parameter in split_outside_quotes(rest.strip_prefix(';')?, ';') {
            let (name, value) = parameter.trim().split_once('=')?;
            if parameters.iter().any(|(other, _)| *other == name) {
                return None;
            }
            parameters.push((name, value));
        }
        let get = |name| parameters.iter().find(|(other, _)| *other == name).map(|(_, it)| *it);
        let time = |name| get(name).and_then(|it| it.parse().ok());
        let text_of = |name| get(name).and_then(unquoted);
        Some(Self {
            text,
            components,
            created: time("created"),
            expires: time("expires"),
            key: text_of("keyid"),
            nonce: text_of("nonce"),
            tag: text_of("tag"),
            // What can't be read is none that is known.
            algorithm: get("alg").map(|it| unquoted(it).unwrap_or_default()),
        })
    }

    /// What was signed, if its time is right and it says for which host it is
    /// and who has signed it.
    fn request(
        &self,
        agents: &str,
        signature: &str,
        head: &impl Head,
        now: UnixSeconds,
    ) -> Option<SignedRequest> {
        let (created, expires) = (self.created?, self.expires?);
        let is_for_bots = self.tag == Some(TAG) && self.algorithm.is_none_or(|it| it == "ed25519");
        let is_in_time = created <= now.0.saturating_add(SKEW)
            && now.0 < expires
            && expires.saturating_sub(created) <= MAX_LIFE;
        let covers = |name: &str| self.components.iter().find(|it| it.name == name);
        if !is_for_bots || !is_in_time || covers("@authority").or(covers("@target-uri")).is_none() {
            return None;
        }
        let agent = covers("signature-agent")?.value(head, agents)?;
        let signature = signature.strip_prefix(':')?.strip_suffix(':')?;
        Some(SignedRequest {
            host: host_of(unquoted(&agent)?)?,
            key: self.key?.to_owned(),
            base: self.base(agents, head)?,
            signature: decode_base64(signature, 64).ok()?.try_into().ok()?,
            expires_at: UnixSeconds(expires),
            nonce: self.nonce.map(str::to_owned),
        })
    }

    /// The signature base (RFC 9421, section 2.5).
    fn base(&self, agents: &str, head: &impl Head) -> Option<String> {
        let mut base = String::new();
        for (n, component) in self.components.iter().enumerate() {
            // Each of them once.
            if self.components.iter().take(n).any(|it| it.text == component.text) {
                return None;
            }
            for part in [component.text, ": ", &component.value(head, agents)?, "\n"] {
                base.push_str(part);
            }
        }
        base.push_str("\"@signature-params\": ");
        base.push_str(self.text);
        Some(base)
    }
}

impl<'a> Component<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (name, parameter) = text.split_once(';').map_or((text, None), |(a, b)| (a, Some(b)));
        let key = match parameter {
            None => None,
            // Other parameters (`sf`, `bs`, `req`, `tr`) mean what isn't done here.
            Some(parameter) => Some(unquoted(parameter.strip_prefix("key=")?)?),
        };
        let name = unquoted(name)?;
        (!name.bytes().any(|it| it.is_ascii_uppercase())).then_some(Self { text, name, key })
    }

    /// What a request has there (RFC 9421, sections 2.1 and 2.2).
    fn value(&self, head: &impl Head, agents: &str) -> Option<String> {
        let url = head.url();
        let parts = UrlParts::of(url);
        let value = match (self.name, self.key) {
            ("signature-agent", None) => agents.trim().to_owned(),
            ("signature-agent", Some(key)) => member(agents, key)?.to_owned(),
            (_, Some(_)) => return None,
            ("@method", None) => head.method().to_owned(),
            ("@authority", None) => authority(&parts)?,
            ("@scheme", None) => parts.origin.split_once("://")?.0.to_ascii_lowercase(),
            ("@path", None) => parts.path.to_owned(),
            ("@query", None) if parts.query.is_empty() => "?".to_owned(),
            ("@query", None) => parts.query.to_owned(),
            ("@request-target", None) => format!("{}{}", parts.path, parts.query),
            ("@target-uri", None) => url.to_owned(),
            (name, None) if name.starts_with('@') => return None,
            (name, None) => head.named_header(name)?.trim().to_owned(),
        };
        (!value.contains(['\n', '\r'])).then_some(value)
    }
}

/// The host and port of a URL, in small letters and without a port that goes
/// without saying.
fn authority(parts: &UrlParts<'_>) -> Option<String> {
    let (scheme, host) = parts.origin.split_once("://")?;
    let host = host.to_ascii_lowercase();
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    Some(host.strip_suffix(port).map(str::to_owned).unwrap_or(host))
}

/// The host of an agent: `https://host`, or `http://` at a loopback address.
fn host_of(agent: &str) -> Option<String> {
    let parts = UrlParts::of(agent);
    (!parts.origin.contains('@')).then(|| authority(&parts))?
}

/// The members of a dictionary (RFC 9651, section 3.2), as they were written.
fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    split_outside_quotes(text, ',').filter_map(|member| {
        let (label, value) = member.trim().split_once('=')?;
        Some((label, value))
    })
}

/// The one member of a dictionary that has this label.
fn member<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut found = members(text).filter(|(other, _)| *other == label);
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// The parts of a text between separators that are not in quotes.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c: char| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
}

/// What stands between quotes, if nothing in it is escaped.
fn unquoted(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains(['"', '\\'])).then_some(inside)
}

#[cfg(test)]
mod tests;
