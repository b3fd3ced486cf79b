//! The 402 answer: what it costs, in both versions of the protocol at once.
//!
//! Everything but the URL, the error and the hints is the same for every
//! request for a route, so it is written once, when the configuration is read.

use serde_json::Value;

use super::Sale;
use super::page::{self, Language, Layout};
use super::wallet::SignIn;
use crate::config::{Config, Method, Route, SIGN_IN};
use crate::encoding::encode_base64;
use crate::json::json;
use crate::path::UrlParts;
use crate::protocol::{ChainId, Reason};
use crate::settlement::sales::RefusalLine;

/// The longest `PAYMENT-REQUIRED` header that real clients take, in bytes.
pub const MAX_HEADER: usize = 3_000;

/// What is said to a client that brings no payment.
const NO_PAYMENT: &str = "Payment required: send PAYMENT-SIGNATURE (v2) or X-PAYMENT (v1)";

/// The status of an answer that asks for a payment: 402, or where a buyer has
/// to do something first, 412 (x402, exact on EVM, Permit2).
pub const fn status(reason: Option<Reason>) -> u16 {
    match reason {
        Some(Reason::Permit2AllowanceRequired) => 412,
        _ => 402,
    }
}

/// What differs from one challenge to the next: a recent blockhash of each Solana
/// network, which spares a client an RPC of its own. Where none is known the client
/// asks its own node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    blockhashes: Vec<(ChainId, BlockhashHint)>,
    /// What a wallet may sign to have what is free of it.
    pub sign_in: Option<SignIn>,
}

/// A recent blockhash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockhashHint {
    /// Base58.
    pub blockhash: String,
    /// The last block height at which it is valid.
    pub last_valid_block_height: u64,
}

impl Hints {
    /// Notes what is known of one network.
    pub fn set(&mut self, network: ChainId, hint: BlockhashHint) {
        self.blockhashes.retain(|(id, _)| *id != network);
        self.blockhashes.push((network, hint));
    }

    /// What is known of one network.
    pub fn of(&self, network: ChainId) -> Option<&BlockhashHint> {
        self.blockhashes.iter().find(|(id, _)| *id == network).map(|(_, hint)| hint)
    }
}

/// A challenge, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// `PAYMENT-REQUIRED`: base64 of v2.
    pub header: String,
    /// The body for a client: v1 as JSON.
    pub body: String,
}

/// A route's challenge with gaps for what differs from request to request.
#[derive(Clone, Debug)]
pub struct ChallengeTemplate {
    v2: Template,
    v1: Template,
    page: page::PageTemplate,
    networks: Vec<ChainId>,
}

/// Texts with gaps between them.
#[derive(Clone, Debug)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Url,
    Error,
    /// The host, and with it the scheme, that are asked.
    Domain,
    Origin,
    /// What a wallet may sign.
    Nonce,
    IssuedAt,
    /// The blockhash hint of one Solana network, as members of `extra`.
    Hint(ChainId),
}

impl ChallengeTemplate {
    /// The challenge of a route.
    pub fn new(route: &Route, config: &Config) -> Self {
        let v2: Vec<Value> = route
            .in_header()
            .iter()
            .map(|offer| with_hint(offer.v2.to_value(), offer.v2.network))
            .collect();
        let v1: Vec<Value> = route
            .offers
            .iter()
            .filter_map(|offer| {
                let mut v1 = offer.v1.as_ref()?.to_value();
                *v1.get_mut("resource")? = json!(mark("URL"));
                Some(with_hint(v1, offer.v2.network))
            })
            .collect();
        let mut resource = route.resource();
        resource.insert("url".into(), json!(mark("URL")));
        let mut v2 = json!({
            "x402Version": 2, "error": mark("ERROR"), "resource": resource, "accepts": v2,
        });
        let mut extensions = route.extensions();
        if let Some(mut sign_in) = route.sign_in() {
            for (name, gap) in [
                ("domain", "DOMAIN"),
                ("uri", "ORIGIN"),
                ("nonce", "NONCE"),
                ("issuedAt", "ISSUED"),
            ] {
                if let Some(info) = sign_in.get_mut("info").and_then(Value::as_object_mut) {
                    info.insert(name.to_owned(), json!(mark(gap)));
                }
            }
            extensions.insert(SIGN_IN.into(), sign_in);
        }
        if !extensions.is_empty()
            && let Some(v2) = v2.as_object_mut()
        {
            v2.insert("extensions".into(), Value::Object(extensions));
        }
        let v1 = json!({ "x402Version": 1, "error": mark("ERROR"), "accepts": v1 });
        let solana = config.networks.iter().filter(|network| network.id.names_fee_payer());
        let networks = solana
            .map(|network| network.id)
            .filter(|id| route.offers.iter().any(|offer| offer.v2.network == *id))
            .collect();
        Self {
            v2: Template::cut(&v2.to_string()),
            v1: Template::cut(&v1.to_string()),
            page: page::PageTemplate::new(route, config),
            networks,
        }
    }

    /// The Solana networks whose hints this challenge has room for.
    pub fn hinted_networks(&self) -> &[ChainId] {
        &self.networks
    }

    /// The challenge for a URL, and what was wrong with a payment.
    pub fn write(&self, url: &str, reason: Option<Reason>, hints: &Hints) -> Challenge {
        let error = reason.map_or(NO_PAYMENT, Reason::code);
        let header = encode_base64(self.v2.fill(url, error, hints).as_bytes());
        let header = if header.len() <= MAX_HEADER {
            header
        } else {
            // A client that sent such a URL knows it: its query can go, then
            // the end of its path.
            let short = url.split('?').next().unwrap_or_default();
            let short: String = short.chars().take(200).collect();
            encode_base64(self.v2.fill(&short, error, hints).as_bytes())
        };
        Challenge { header, body: self.v1.fill(url, error, hints) }
    }

    /// The page for a browser.
    pub fn write_page(
        &self,
        url: &str,
        method: &Method,
        reason: Option<Reason>,
        language: Language,
    ) -> String {
        self.write_page_in(&Layout::default(), url, method, reason, language)
    }

    /// The same in the seller's own layout.
    pub fn write_page_in(
        &self,
        layout: &Layout,
        url: &str,
        method: &Method,
        reason: Option<Reason>,
        language: Language,
    ) -> String {
        self.page.fill(layout, url, method, reason, language)
    }
}

/// Marks a gap: a private-use character, which the configuration lets into no
/// words of the seller's.
const MARK: char = '\u{e402}';

fn mark(name: &str) -> String {
    format!("{MARK}{name}{MARK}")
}

fn with_hint(mut requirements: Value, network: ChainId) -> Value {
    if network.names_fee_payer()
        && let Some(extra) = requirements.get_mut("extra").and_then(Value::as_object_mut)
    {
        extra.insert(mark(&format!("HINT {network}")), Value::Null);
    }
    requirements
}

impl Template {
    /// Cuts a text at its marks.
    fn cut(json: &str) -> Self {
        let mut pieces = vec![];
        let mut after_hint = false;
        for (n, part) in json.split(MARK).enumerate() {
            match part {
                _ if n % 2 == 0 => {
                    // A hint stands as `,"mark":null`, the last member of its
                    // table, and is written with its own comma and quotes, or
                    // not at all.
                    let text = if after_hint { part.strip_prefix("\":null") } else { None };
                    pieces.push(Piece::Text(text.unwrap_or(part).to_owned()));
                    after_hint = false;
                }
                "URL" => pieces.push(Piece::Url),
                "ERROR" => pieces.push(Piece::Error),
                "DOMAIN" => pieces.push(Piece::Domain),
                "ORIGIN" => pieces.push(Piece::Origin),
                "NONCE" => pieces.push(Piece::Nonce),
                "ISSUED" => pieces.push(Piece::IssuedAt),
                _ => {
                    let Some(Ok(network)) = part.strip_prefix("HINT ").map(str::parse) else {
                        continue;
                    };
                    if let Some(Piece::Text(before)) = pieces.last_mut() {
                        before.truncate(before.trim_end_matches(",\"").len());
                    }
                    pieces.push(Piece::Hint(network));
                    after_hint = true;
                }
            }
        }
        Self(pieces)
    }

    fn fill(&self, url: &str, error: &str, hints: &Hints) -> String {
        let mut filled = String::with_capacity(2_048);
        let origin = UrlParts::of(url).origin;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Url => push_json(url, &mut filled),
                Piece::Error => push_json(error, &mut filled),
                Piece::Origin => push_json(origin, &mut filled),
                Piece::Domain => {
                    push_json(origin.split_once("://").unwrap_or_default().1, &mut filled);
                }
                Piece::Nonce => filled.push_str(hints.sign_in.as_ref().map_or("", |it| &it.nonce)),
                Piece::IssuedAt => {
                    filled.push_str(hints.sign_in.as_ref().map_or("", |it| &it.issued_at));
                }
                Piece::Hint(network) => {
                    if let Some(hint) = hints.of(*network) {
                        filled.push_str(",\"recentBlockhash\":\"");
                        push_json(&hint.blockhash, &mut filled);
                        filled.push_str("\",\"lastValidBlockHeight\":\"");
                        filled.push_str(&hint.last_valid_block_height.to_string());
                        filled.push('"');
                    }
                }
            }
        }
        filled
    }
}

/// Writes the inside of a JSON string.
fn push_json(text: &str, to: &mut String) {
    let quoted = Value::from(text).to_string();
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    to.push_str(inside.unwrap_or_default());
}

impl Sale<'_> {
    /// What the log says of a payment that is refused here.
    pub fn refusal_line(&self, reason: Reason) -> RefusalLine<'_> {
        RefusalLine {
            reason: reason.code(),
            route: Some(self.route.pattern.as_str()),
            path: Some(self.path.as_str()),
            method: Some(self.method.as_str()),
            client: None,
        }
    }
}
