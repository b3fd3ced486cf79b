//! What is for sale, told where machines look first: `/robots.txt`, a licence,
//! a list of prices and an `OpenAPI` document, each where the origin has none.
//!
//! All are made of the routes with `listed = true`, as [`discovery`] is: what
//! the others sell nobody learns before asking for it.
//!
//! [`discovery`]: super::discovery

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::escape::{code_span, escape_markdown, escape_xml};
use super::{Decision, Head, Sale, door};
use crate::amount::Price;
use crate::config::{Config, Free, Loaded, Method, Route, Shape};
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::json::json;
use crate::path::{CanonicalPath, UrlParts};

/// How many routes a document tells of: the first ones.
const MAX_ROUTES: usize = 200;

/// Where the licence is.
const LICENSE: &str = "/license.xml";

/// Where the prices are.
const PRICES: &str = "/.well-known/prices.md";

/// One of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// What crawlers are told (RFC 9309): where the licence is, and nothing that
    /// a site without the file doesn't say, too.
    Robots,
    /// What it costs to crawl (RSL 1.0).
    License,
    /// The prices, to be read by people and models.
    Prices,
    /// How each resource is asked for (`OpenAPI` 3.1), with its price in
    /// `x-payment-info`.
    OpenApi,
}

impl Document {
    /// Each document with its path.
    const ALL: [(Self, &'static str); 4] = [
        (Self::Robots, "/robots.txt"),
        (Self::License, LICENSE),
        (Self::Prices, PRICES),
        (Self::OpenApi, "/openapi.json"),
    ];

    /// The document at a path.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, at)| *at == path).map(|(document, _)| document)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Robots => "text/plain; charset=utf-8",
            Self::License => "application/rsl+xml",
            Self::Prices => "text/markdown; charset=utf-8",
            Self::OpenApi => "application/json",
        }
    }

    /// The document itself, for an origin (`https://host`, in lower case).
    pub fn text(self, loaded: &Loaded, origin: &str) -> String {
        let Ok(config) = &loaded.config else { return String::new() };
        match self {
            Self::Robots => robots(loaded, origin),
            Self::License => license(config, origin),
            Self::Prices => prices(config, origin),
            Self::OpenApi => open_api(config, origin),
        }
    }
}

/// The document that a request asks for, and the path under which the origin is
/// asked for its own. `None` if there is nothing to tell, the seller doesn't
/// want it told, or what is at this path is sold.
pub fn asked_for(loaded: &Loaded, head: &impl Head) -> Option<(Document, CanonicalPath)> {
    let document = Document::at(head.parts().path)?;
    let config = loaded.config.as_ref().ok()?;
    let is_told = match document {
        // This path is nobody's who doesn't sell.
        Document::Prices => true,
        Document::License => has_license(loaded),
        Document::Robots | Document::OpenApi => config.tells_machines,
    };
    if !is_told || listed(config).next().is_none() {
        return None;
    }
    Some((document, door::decide_free(loaded, head)?))
}

/// The `Link` header that names the licence of what is sold here (RSL 1.0,
/// "HTTP Headers"), where it says something of it.
pub fn license_link(loaded: &Loaded, sale: &Sale<'_>) -> Option<String> {
    if !is_licensed(sale.route) || !has_license(loaded) {
        return None;
    }
    let origin = UrlParts::of(&sale.url).origin;
    Some(format!("<{origin}{LICENSE}>; rel=\"license\"; type=\"application/rsl+xml\""))
}

impl Decision<'_> {
    /// What is sold, if it is about that.
    pub fn sale(&self) -> Option<&Sale<'_>> {
        match self {
            Self::PaymentRequired(sale, _)
            | Self::MayBeFree(sale)
            | Self::AskPrice(sale)
            | Self::Granted(sale)
            | Self::Collect(sale, _) => Some(sale),
            Self::Purchase(purchase) => Some(&purchase.sale),
            _ => None,
        }
    }
}

/// A validator of a document (RFC 9110, section 8.8.3).
pub fn entity_tag(document: &str) -> String {
    let hash = encode_hex(&keccak256(document.as_bytes()));
    format!("\"{}\"", hash.get(2..34).unwrap_or_default())
}

/// Whether who asks has this document already (RFC 9110, section 13.1.2).
pub fn has_it(if_none_match: Option<&str>, tag: &str) -> bool {
    let tags = if_none_match.unwrap_or_default().split(',').map(str::trim);
    tags.map(|it| it.strip_prefix("W/").unwrap_or(it)).any(|it| it == "*" || it == tag)
}

fn listed(config: &Config) -> impl Iterator<Item = &Route> {
    let listed = config.routes.iter().filter(|route| route.listed.is_some() && route.on);
    listed.take(MAX_ROUTES)
}

/// Whether the licence tells of a route: what is fetched, not what is called.
fn is_licensed(route: &Route) -> bool {
    route.listed.as_ref().is_some_and(Method::is_safe)
}

/// Whether there is a licence, and it is free to be read.
fn has_license(loaded: &Loaded) -> bool {
    let Ok(config) = &loaded.config else { return false };
    config.tells_machines && listed(config).any(is_licensed) && is_unsold(loaded, LICENSE)
}

/// Whether nothing sells a path.
fn is_unsold(loaded: &Loaded, path: &str) -> bool {
    let asked = loaded.patterns.as_ref().zip(CanonicalPath::parse(path).ok());
    asked.is_some_and(|(patterns, path)| !patterns.may_sell(&path))
}

fn robots(loaded: &Loaded, origin: &str) -> String {
    let mut text = String::new();
    if is_unsold(loaded, PRICES) {
        let _ = writeln!(text, "# What is sold here, for machines too: {origin}{PRICES}");
    }
    text.push_str("User-agent: *\nAllow: /\n");
    if has_license(loaded) {
        // For all crawlers: it belongs to no group.
        let _ = write!(text, "\nLicense: {origin}{LICENSE}\n");
    }
    text
}

fn license(config: &Config, origin: &str) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rsl xmlns=\"https://rslstandard.org/rsl\">\n",
    );
    for route in listed(config).filter(|route| is_licensed(route)) {
        xml.push_str("  <content url=\"");
        // As robots.txt matches paths (RFC 9309, section 2.2.3).
        escape_xml(&route.pattern.path().replace('$', "%24"), &mut xml);
        xml.push(if route.pattern.is_prefix() { '*' } else { '$' });
        xml.push_str("\">\n    <license>\n      <payment type=\"crawl\">\n");
        // What is sold by use, or by what is asked for, has no one price.
        let (least, most) = bounds(route);
        if least == Some(most) {
            let price = in_digits(most);
            let _ = writeln!(xml, "        <amount currency=\"USD\">{price}</amount>");
        }
        xml.push_str("      </payment>\n    </license>\n");
        if !config.page.terms.is_empty() {
            xml.push_str("    <terms>");
            escape_xml(&absolute(&config.page.terms, origin), &mut xml);
            xml.push_str("</terms>\n");
        }
        xml.push_str("  </content>\n");
    }
    xml.push_str("</rsl>\n");
    xml
}

fn prices(config: &Config, origin: &str) -> String {
    let mut text = String::from("# Prices at ");
    escape_markdown(title(config, origin), &mut text);
    text.push_str(
        "\n\nWhat is sold here is paid for by x402: a request without a payment is answered 402, \
         which says what to pay, to whom and how. Prices are in US dollars, for one request.\n\n\
         | path | method | price | paid in | what it is |\n|---|---|---|---|---|\n",
    );
    for route in listed(config) {
        text.push_str("| ");
        code_span(route.pattern.as_str(), &mut text);
        let method = route.listed.as_ref().map_or("GET", Method::as_str);
        let (least, most) = bounds(route);
        let _ = match least {
            None => write!(text, " | {method} | at most {most}"),
            Some(least) if least == most => write!(text, " | {method} | {most}"),
            Some(least) => write!(text, " | {method} | {least} to {most}"),
        };
        if let Some(Free { units, window, .. }) = route.free {
            let _ = write!(text, " after {units} free each {window}");
        }
        if let Some(access) = route.access {
            let _ = write!(text, ", for {} seconds", access.as_secs());
        }
        text.push_str(" | ");
        for (n, offer) in route.offers.iter().enumerate() {
            text.push_str(if n == 0 { "" } else { ", " });
            escape_markdown(&offer.token.symbol, &mut text);
            let _ = write!(text, " on {}", offer.v2.network);
        }
        text.push_str(" | ");
        escape_markdown(&route.description, &mut text);
        text.push_str(" |\n");
    }
    for (name, link) in [("Terms", &config.page.terms), ("Support", &config.page.support)] {
        if !link.is_empty() {
            let _ = writeln!(text, "\n{name}: <{}>", absolute(link, origin));
        }
    }
    text
}

fn open_api(config: &Config, origin: &str) -> String {
    let mut paths = Map::new();
    for route in listed(config) {
        let Some(method) = &route.listed else { continue };
        let path = route.pattern.path();
        let key = if route.pattern.is_prefix() { format!("{path}{{path}}") } else { path.into() };
        let operations = paths.entry(key).or_insert_with(|| json!({}));
        if let Some(operations) = operations.as_object_mut() {
            operations.insert(method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": title(config, origin), "version": "1" },
        "servers": [{ "url": origin }],
        "paths": paths,
    });
    document.to_string()
}

fn operation(route: &Route) -> Value {
    let mut operation = Map::new();
    let mut say = |name: &str, value: Value| operation.insert(name.to_owned(), value);
    if !route.description.is_empty() {
        say("description", json!(route.description));
    }
    if !route.service.tags.is_empty() {
        say("tags", json!(route.service.tags));
    }
    let mut parameters = vec![];
    if route.pattern.is_prefix() {
        parameters.push(json!({
            "name": "path", "in": "path", "required": true, "schema": { "type": "string" },
            "description": "anything below, with its slashes",
        }));
    }
    let has_body = route.listed.as_ref().is_some_and(Method::has_body);
    match &route.input {
        Some(input) if has_body => {
            let content = json!({ "application/json": content(input) });
            say("requestBody", json!({ "required": true, "content": content }));
        }
        Some(input) => parameters.extend(query_parameters(input)),
        None => {}
    }
    if !parameters.is_empty() {
        say("parameters", parameters.into());
    }
    let mut good = json!({ "description": "What was paid for" });
    if let (Some(output), Some(good)) = (&route.output, good.as_object_mut()) {
        let mime_type = Some(route.mime_type.as_str()).filter(|it| !it.is_empty());
        let mut of_type = Map::new();
        of_type.insert(mime_type.unwrap_or("application/json").to_owned(), content(output));
        good.insert("content".into(), of_type.into());
    }
    let (least, most) = bounds(route);
    let price = if least == Some(most) {
        json!({ "mode": "fixed", "currency": "USD", "amount": in_digits(most) })
    } else {
        let least = least.map_or_else(|| "0".to_owned(), in_digits);
        json!({ "mode": "dynamic", "currency": "USD", "min": least, "max": in_digits(most) })
    };
    say("x-payment-info", json!({ "price": price, "protocols": [{ "x402": {} }] }));
    say("responses", json!({ "200": good, "402": { "description": "Payment Required" } }));
    operation.into()
}

/// A media type object (`OpenAPI` 3.1, section 4.8.14).
fn content(shape: &Shape) -> Value {
    let mut content = Map::new();
    for (name, value) in [("schema", &shape.schema), ("example", &shape.example)] {
        if let Some(value) = value {
            content.insert(name.to_owned(), value.clone());
        }
    }
    content.into()
}

/// The parameters of a query, one by one.
fn query_parameters(input: &Shape) -> Vec<Value> {
    let example = |name: &str| input.example.as_ref().and_then(|it| it.get(name));
    let properties = input.properties().into_iter().flatten();
    let parameters = properties.map(|(name, schema)| {
        let mut parameter = json!({
            "name": name, "in": "query", "required": input.needs(name), "schema": schema,
        });
        if let (Some(example), Some(parameter)) = (example(name), parameter.as_object_mut()) {
            parameter.insert("example".into(), example.clone());
        }
        parameter
    });
    parameters.collect()
}

/// The least and the most that one request costs. The least is `None` where it
/// shows afterwards, or the origin says it.
fn bounds(route: &Route) -> (Option<Price>, Price) {
    let most = route.at_all_prices().map(|it| it.price).fold(route.price, Price::max);
    let shows_before = route.by_use.is_none() && !route.has_quotes();
    (shows_before.then(|| route.least_price()), most)
}

fn in_digits(price: Price) -> String {
    price.to_string().trim_start_matches('$').to_owned()
}

/// Who sells.
fn title<'a>(config: &'a Config, origin: &'a str) -> &'a str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    if config.page.name.is_empty() { host } else { &config.page.name }
}

/// A link of the seller's, which may be a path.
fn absolute(link: &str, origin: &str) -> String {
    if link.starts_with('/') { format!("{origin}{link}") } else { link.to_owned() }
}
