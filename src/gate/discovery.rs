//! What is for sale, for whoever doesn't know yet: crawlers, directories, agents.
//!
//! Only routes with `listed = true` are in it.

use serde_json::{Map, Value};

use crate::config::{Config, Offer, Route};
use crate::json::json;
use crate::time::UnixSeconds;

/// Where crawlers look for the list of what an origin sells.
pub const WELL_KNOWN: &str = "/.well-known/x402";

/// How many resources are on a page where the question doesn't say.
const DEFAULT_LIMIT: usize = 20;

/// How many resources are on a page at most.
const MAX_LIMIT: usize = 100;

/// `/.well-known/x402` of an origin (`https://host`, in lower case), in the
/// shape that crawlers read (x402scan, "Discovery & Registration Spec"): the
/// URLs that answer 402, and nothing of what they cost, which the 402 says.
/// `None` if nothing is listed: then the path is the site's own.
pub fn well_known(config: &Config, origin: &str) -> Option<String> {
    let mut resources: Vec<String> = vec![];
    // Where all of it is off, the list is empty, and still not the site's.
    let is_empty = !config.routes.iter().any(|route| route.listed.is_some());
    for route in listed(config) {
        let url = url_of(route, origin);
        // Two routes may differ in their methods alone.
        if !resources.contains(&url) {
            resources.push(url);
        }
    }
    (!is_empty).then(|| json!({ "version": 1, "resources": resources }).to_string())
}

/// The answer to `GET /discovery/resources` (x402 extension `bazaar`,
/// "Optional Discovery Endpoints") of an origin: what this configuration
/// lists, and nobody else's. `query` may begin with its `?`.
///
/// # Errors
/// What is wrong with the query, and in which parameter.
pub fn resources(
    config: &Config,
    origin: &str,
    query: &str,
    now: UnixSeconds,
) -> Result<String, String> {
    let question = Question::read(query)?;
    let found: Vec<(&Route, Map<String, Value>)> = listed(config)
        .map(|route| (route, route.extensions()))
        .filter(|(route, extensions)| question.admits(route, extensions))
        .collect();
    let total = found.len();
    let page = found.into_iter().skip(question.offset).take(question.limit);
    // When the seller wrote it down is not known, but it is in force now, and
    // what a request costs would be read from the same table.
    let updated = now.iso8601();
    let items = page.map(|(route, extensions)| {
        let mut item = route.resource();
        item.extend([
            ("resource".into(), json!(url_of(route, origin))),
            ("type".into(), json!(TYPE)),
            ("x402Version".into(), json!(2)),
            ("accepts".into(), accepts(route).into()),
            ("lastUpdated".into(), json!(updated)),
            ("extensions".into(), extensions.into()),
        ]);
        Value::Object(item)
    });
    let answer = json!({
        "x402Version": 2,
        "items": items.collect::<Vec<_>>(),
        "pagination": { "limit": question.limit, "offset": question.offset, "total": total },
    });
    Ok(answer.to_string())
}

/// What a request may cost, at its route's own price first. Which of the prices
/// it is, its challenge says.
fn accepts(route: &Route) -> Vec<Value> {
    let mut all: Vec<Value> = vec![];
    for offer in route.at_all_prices().flat_map(|it| &it.offers) {
        let offer = offer.v2.to_value();
        if !all.contains(&offer) {
            all.push(offer);
        }
    }
    all
}

/// The kind of everything that is sold here.
const TYPE: &str = "http";

fn listed(config: &Config) -> impl Iterator<Item = &Route> {
    config.routes.iter().filter(|route| route.listed.is_some() && route.on)
}

/// The URL that stands for a route.
fn url_of(route: &Route, origin: &str) -> String {
    format!("{origin}{}", route.pattern.path())
}

/// What is asked for. What isn't named admits everything.
#[derive(Default)]
struct Question {
    kind: Option<String>,
    pay_to: Option<String>,
    scheme: Option<String>,
    network: Option<String>,
    extension: Option<String>,
    limit: usize,
    offset: usize,
}

impl Question {
    /// Other parameters than the extension's own are left to those who know
    /// them.
    fn read(query: &str) -> Result<Self, String> {
        let mut question = Self::default();
        let (mut limit, mut offset) = (None, None);
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let member = match name {
                "type" => &mut question.kind,
                "payTo" => &mut question.pay_to,
                "scheme" => &mut question.scheme,
                "network" => &mut question.network,
                "extensions" => &mut question.extension,
                "limit" => &mut limit,
                "offset" => &mut offset,
                _ => continue,
            };
            let value = decode(value)
                .ok_or_else(|| format!("{name} must be UTF-8, with % before two hex digits"))?;
            if member.replace(value).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        question.limit = match limit {
            None => DEFAULT_LIMIT,
            Some(text) => number(&text)
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| format!("limit must be a whole number from 1 to {MAX_LIMIT}"))?,
        };
        question.offset = match offset {
            None => 0,
            Some(text) => number(&text).ok_or("offset must be a whole number")?,
        };
        Ok(question)
    }

    fn admits(&self, route: &Route, extensions: &Map<String, Value>) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind == TYPE)
            && self.extension.as_ref().is_none_or(|name| extensions.contains_key(name))
            && route.offers.iter().any(|offer| self.admits_offer(offer))
    }

    /// Who names a recipient and a network wants that recipient on that
    /// network.
    fn admits_offer(&self, offer: &Offer) -> bool {
        let v2 = &offer.v2;
        // The letters of a hex address differ in case by its checksum alone.
        let is_payee = |address: &String| {
            *address == v2.pay_to
                || (v2.pay_to.starts_with("0x") && address.eq_ignore_ascii_case(&v2.pay_to))
        };
        self.pay_to.as_ref().is_none_or(is_payee)
            && self.scheme.as_ref().is_none_or(|scheme| *scheme == v2.scheme)
            && self.network.as_ref().is_none_or(|network| *network == v2.network.to_string())
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The value of a query parameter, as forms and `URLSearchParams` write it.
pub(super) fn decode(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}
