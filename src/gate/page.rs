//! The page that a browser gets with a 402.

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::{Chain, Config, Method, Route};
use crate::protocol::Reason;

/// The page, with its gaps. Compiled in, so that it is there when the origin
/// is not.
const PAGE: &str = include_str!("../../www/paywall.html");

/// How a program pays on EVM chains: what it imports, how it gets its key, and
/// what it pays with.
const EVM_CODE: [&str; 3] = [
    "import { ExactEvmScheme } from \"@x402/evm\";
import { privateKeyToAccount } from \"viem/accounts\";
",
    "const account = privateKeyToAccount(process.env.PRIVATE_KEY);
",
    "    { network: \"eip155:*\", client: new ExactEvmScheme(account) },
",
];

/// The same on Solana.
const SOLANA_CODE: [&str; 3] = [
    "import { ExactSvmScheme } from \"@x402/svm\";
import { createKeyPairSignerFromBytes, getBase58Encoder } from \"@solana/kit\";
",
    "const keyPair = getBase58Encoder().encode(process.env.SOLANA_KEYPAIR);
const signer = await createKeyPairSignerFromBytes(keyPair);
",
    "    { network: \"solana:*\", client: new ExactSvmScheme(signer) },
",
];

/// The way back, where the start page is free.
const BACK: &str = "<p><a href=\"/\">Back to the start page</a></p>\n";

/// A route's page with gaps for what differs from request to request.
#[derive(Clone, Debug)]
pub(super) struct PageTemplate {
    title: String,
    price: String,
    /// What a payment opens, and for how long, where it is more than one
    /// request.
    access: Option<String>,
    networks: String,
    code: String,
    is_start_free: bool,
}

impl PageTemplate {
    pub fn new(route: &Route, config: &Config) -> Self {
        let mut networks = String::new();
        let (mut on_evm, mut on_solana) = (false, false);
        for offer in &route.offers {
            let Some(network) = config.networks.get(offer.network) else { continue };
            match network.chain {
                Chain::Evm { .. } => on_evm = true,
                Chain::Solana { .. } => on_solana = true,
            }
            let _ = write!(
                networks,
                "<li><strong>{}</strong> <span>{} {}</span> <code>{}</code></li>",
                escape(&network.title),
                offer.v2.amount.in_tokens(network.decimals),
                escape(&network.symbol),
                network.id,
            );
        }
        let title = if route.description.is_empty() {
            "This is for sale".to_owned()
        } else {
            escape(&route.description)
        };
        let price = escape(&route.price.to_string());
        let access = route.access.map(|time| {
            let pattern = escape(route.pattern.as_str());
            let time = in_words(time);
            format!(
                "One payment of <strong>{price}</strong> opens <code>{pattern}</code> for {time}."
            )
        });
        let is_start =
            |route: &Route| matches!(route.pattern.path(), "/" | "/index" | "/index.html");
        Self {
            title,
            price,
            access,
            networks,
            code: escape(&code(on_evm, on_solana)),
            is_start_free: !config.routes.iter().any(is_start),
        }
    }

    /// Fills the gaps in one pass: what is filled in is not looked at again.
    pub fn fill(&self, url: &str, method: &Method, reason: Option<Reason>) -> String {
        let url = escape(url);
        // Whoever asks by HEAD wants to know what a GET costs.
        let method = if method.is_safe() { "GET".to_owned() } else { escape(method.as_str()) };
        let price = &self.price;
        let one_request = || {
            format!(
                "One <code>{method}</code> request for <code>{url}</code> costs <strong>{price}</strong>."
            )
        };
        let buys = self.access.clone().unwrap_or_else(one_request);
        let init = match method.as_str() {
            "GET" => String::new(),
            method => format!(", {{ method: &quot;{method}&quot;, body }}"),
        };
        let error = reason.map_or(String::new(), |reason| {
            let error = escape(&format!("The payment was not taken: {reason}"));
            format!("<p class=\"error\" role=\"alert\">{error}</p>\n")
        });
        let mut page = String::with_capacity(PAGE.len() + 2_048);
        let mut parts = PAGE.split("{{");
        page.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (gap, rest) = part.split_once("}}").unwrap_or(("", part));
            page.push_str(match gap {
                "title" => &self.title,
                "price" => price,
                "buys" => &buys,
                "networks" => &self.networks,
                "method" => &method,
                "code" => &self.code,
                "url" => &url,
                "init" => &init,
                "error" => &error,
                "back" if self.is_start_free => BACK,
                _ => "",
            });
            page.push_str(rest);
        }
        page
    }
}

/// How a program pays on the kinds of chains that a route is sold on.
fn code(on_evm: bool, on_solana: bool) -> String {
    let parts: Vec<[&str; 3]> = [(on_evm, EVM_CODE), (on_solana, SOLANA_CODE)]
        .into_iter()
        .filter_map(|(is_sold_on, code)| is_sold_on.then_some(code))
        .collect();
    let all = |part: fn(&[&'static str; 3]) -> &'static str| -> String {
        parts.iter().map(part).collect()
    };
    format!(
        "import {{ wrapFetchWithPaymentFromConfig }} from \"@x402/fetch\";\n{}\n{}\
         const pay = wrapFetchWithPaymentFromConfig(fetch, {{\n  schemes: [\n{}  ],\n}});",
        all(|[imports, _, _]| imports),
        all(|[_, key, _]| key),
        all(|[_, _, scheme]| scheme),
    )
}

/// A time for people: `1 hour`, `90 minutes`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Makes a text safe in HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            plain => safe.push(plain),
        }
    }
    safe
}
