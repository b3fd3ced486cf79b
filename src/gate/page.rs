//! The page that a browser gets with a 402.

mod layout;
mod words;

use std::time::Duration;

use words::Words;

use crate::config::{Config, Method, Route};
use crate::evm::TransferMethod;
use crate::json::json;
use crate::protocol::Reason;
use crate::protocol::requirements::EXACT;

pub use layout::{InvalidLayout, Layout, MAX_LAYOUT};
pub use words::Language;

/// What pays, with its script; how a program pays; how it all looks. Made by
/// `dev/pay-page.mjs`, as the page itself is.
const PAY: &str = include_str!("page/pay.html");
const PROGRAM: &str = include_str!("page/program.html");
const STYLE: &str = include_str!("page/style.html");

/// The page's `Content-Security-Policy`: its own script and style, by their
/// hashes, and nothing else. `dev/pay-page.mjs` writes it beside the page.
pub const PAGE_POLICY: &str = include_str!("page/policy.txt");

/// The same for a page of the seller's own, which may load scripts, styles and
/// fonts of the shop's host as well.
pub const TEMPLATE_POLICY: &str = include_str!("page/template-policy.txt");

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

/// A route's page with gaps for what differs from request to request.
#[derive(Clone, Debug)]
pub(super) struct PageTemplate {
    /// What is sold; empty if the seller says nothing. Safe in HTML, as all
    /// texts here.
    description: String,
    /// Who sells it; empty if the seller says nothing.
    seller: String,
    price: String,
    /// The pattern that a payment opens, and for how long, where it is more
    /// than one request.
    access: Option<(String, Duration)>,
    networks: String,
    /// Whether there is nothing that a person can pay.
    is_for_programs: bool,
    /// Whether a token takes a transaction of the buyer's own before its first
    /// payment.
    takes_approval: bool,
    code: String,
    /// What the script knows of the route: members of a JSON object.
    data: String,
    /// A picture, as markup; empty if the seller has none.
    logo: String,
    /// Where the way back leads; empty if nowhere.
    home: String,
    /// The links to the terms of sale and to help; empty where there are none.
    terms: String,
    support: String,
}

impl PageTemplate {
    pub(super) fn new(route: &Route, config: &Config) -> Self {
        let mut networks = String::new();
        let mut offers = vec![];
        let (mut on_evm, mut on_solana, mut takes_approval) = (false, false, false);
        // What the header has no room for can't be paid here.
        for offer in route.in_header() {
            let (network, token) = (&offer.network, &offer.token);
            if network.id.names_fee_payer() {
                on_solana = true;
            } else {
                on_evm = true;
            }
            let is_by_use = offer.v2.scheme != EXACT;
            let is_permit2 = token.asset.transfer_method() == Some(TransferMethod::Permit2);
            takes_approval |= is_by_use || is_permit2 && !token.eip2612;
            let amount = offer.v2.amount.in_tokens(token.decimals);
            let title = escape(&network.title);
            let symbol = escape(&token.symbol);
            for part in ["<li><strong>", &title, "</strong> <span>", &amount, " ", &symbol] {
                networks.push_str(part);
            }
            for part in ["</span> <code>", &network.id.to_string(), "</code></li>"] {
                networks.push_str(part);
            }
            // People pay what is asked; by use only programs do.
            if is_by_use {
                continue;
            }
            offers.push(json!({
                "network": network.id.to_string(),
                "title": network.title,
                "asset": offer.v2.asset,
                "amount": offer.v2.amount.to_string(),
                "shown": amount,
                "symbol": token.symbol,
                "decimals": token.decimals,
            }));
        }
        let is_start =
            |route: &Route| matches!(route.pattern.path(), "/" | "/index" | "/index.html");
        let again = match route.access {
            Some(time) => time.as_secs(),
            // Without keys there are no delivery cookies.
            None if route.redeliver_max == 0 || config.delivery_keys.0.is_empty() => 0,
            None => route.redeliver.as_secs(),
        };
        let access = route.access.is_some();
        let look = &config.page;
        let data = json!({
            "again": again, "access": access, "accent": look.accent, "offers": offers,
        });
        let is_start_free = !config.routes.iter().any(is_start);
        let home = if look.home.is_empty() && is_start_free { "/" } else { look.home.as_str() };
        let logo = match look.logo.as_str() {
            "" => String::new(),
            logo => format!("<img class=\"logo\" src=\"{}\" alt=\"\">\n", escape(logo)),
        };
        let seller = if look.name.is_empty() { &route.service.name } else { &look.name };
        Self {
            description: escape(&route.description),
            seller: escape(seller),
            price: escape(&route.price.to_string()),
            access: route.access.map(|time| (escape(route.pattern.as_str()), time)),
            networks,
            is_for_programs: offers.is_empty(),
            takes_approval,
            code: escape(&code(on_evm, on_solana)),
            data: for_script(&data.to_string()),
            logo,
            home: escape(home),
            terms: escape(&look.terms),
            support: escape(&look.support),
        }
    }

    /// Fills the gaps in one pass: what is filled in is not looked at again.
    pub(super) fn fill(
        &self,
        layout: &Layout,
        url: &str,
        method: &Method,
        reason: Option<Reason>,
        language: Language,
    ) -> String {
        let words = language.words();
        // Whoever asks by HEAD wants to know what a GET costs.
        let method = if method.is_safe() { "GET" } else { method.as_str() };
        let parts = [layout.text(), PAY, PROGRAM, STYLE, language.json()];
        let mut page =
            String::with_capacity(parts.iter().map(|it| it.len()).sum::<usize>() + 4_096);
        let filling = Filling { page: self, url, method, reason, language, words: &words };
        filling.write(layout.text(), &mut page);
        page
    }
}

/// What a page is filled with.
struct Filling<'a> {
    page: &'a PageTemplate,
    url: &'a str,
    method: &'a str,
    reason: Option<Reason>,
    language: Language,
    words: &'a Words,
}

impl Filling<'_> {
    /// Writes a part of the page.
    fn write(&self, part: &str, to: &mut String) {
        fill(part, "{{", "}}", to, &mut |gap, to| self.push(gap, to));
    }

    /// Writes what belongs into a gap.
    fn push(&self, gap: &str, to: &mut String) {
        let page = self.page;
        match gap {
            "seller" if page.seller.is_empty() => to.push_str(&escape(host(self.url))),
            "seller" => to.push_str(&page.seller),
            "what" if page.description.is_empty() => to.push_str(self.words.get("untitled")),
            "what" => to.push_str(&page.description),
            "price" => to.push_str(&page.price),
            "buys" if page.access.is_some() => self.push_text("access", to),
            "buys" => self.push_text("single", to),
            "style" => to.push_str(STYLE),
            "pay" => self.write(PAY, to),
            "program" => self.write(PROGRAM, to),
            "networks" => to.push_str(&page.networks),
            "code" => to.push_str(&page.code),
            "url" => to.push_str(&escape(self.url)),
            "init" if self.method != "GET" => {
                to.push_str(", { method: &quot;");
                to.push_str(&escape(self.method));
                to.push_str("&quot;, body }");
            }
            "open" if self.method != "GET" || page.is_for_programs => to.push_str(" open"),
            "error" if self.reason.is_some() => {
                to.push_str("<p class=\"error\" role=\"alert\">");
                self.push_text("refused", to);
                to.push_str("</p>\n");
            }
            "logo" => to.push_str(&page.logo),
            "links" => {
                self.push_link("back", &page.home, to);
                self.push_link("terms", &page.terms, to);
                self.push_link("support", &page.support, to);
            }
            "data" => {
                let own = json!({ "method": self.method });
                let own = for_script(&own.to_string());
                to.push_str(own.strip_suffix('}').unwrap_or_default());
                to.push(',');
                to.push_str(page.data.strip_prefix('{').unwrap_or_default());
            }
            "texts" => to.push_str(self.language.json()),
            // Of such a token's first payment it would not be true.
            "total" if page.takes_approval => {}
            "lang" | "total" => self.push_text(gap, to),
            _ => self.push_text(gap.strip_prefix("t:").unwrap_or_default(), to),
        }
    }

    /// Writes a link with a text of the language, if it leads anywhere.
    fn push_link(&self, text: &str, to_where: &str, to: &mut String) {
        if to_where.is_empty() {
            return;
        }
        for part in ["<a href=\"", to_where, "\">"] {
            to.push_str(part);
        }
        self.push_text(text, to);
        to.push_str("</a>\n");
    }

    /// Writes one of the language's texts, and what belongs into its gaps.
    fn push_text(&self, name: &str, to: &mut String) {
        fill(self.words.get(name), "{", "}", to, &mut |gap, to| match gap {
            "method" => push_code(&escape(self.method), to),
            "url" => push_code(&escape(self.url), to),
            "reason" => {
                let reason = self.reason.map_or("", Reason::code);
                to.push_str(reason);
            }
            "pattern" => {
                push_code(self.page.access.as_ref().map_or("", |(pattern, _)| pattern), to);
            }
            "time" => {
                let time = self.page.access.as_ref().map_or(Duration::ZERO, |(_, time)| *time);
                self.push_time(time, to);
            }
            _ => {}
        });
    }

    /// Writes a time for people: `1 hour`, `90 minutes`.
    fn push_time(&self, time: Duration, to: &mut String) {
        let seconds = time.as_secs();
        let (count, one, many) = match seconds {
            s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day", "days"),
            s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour", "hours"),
            s if s >= 60 && s % 60 == 0 => (s / 60, "minute", "minutes"),
            s => (s, "second", "seconds"),
        };
        let name = if count == 1 { one } else { many };
        fill(self.words.get(name), "{", "}", to, &mut |_, to| to.push_str(&count.to_string()));
    }
}

/// Writes a text whose gaps stand between two marks; `push` writes what belongs
/// into the gap of a name.
fn fill(
    text: &str,
    open: &str,
    close: &str,
    to: &mut String,
    push: &mut dyn FnMut(&str, &mut String),
) {
    let mut parts = text.split(open);
    to.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (gap, rest) = part.split_once(close).unwrap_or(("", part));
        push(gap, to);
        to.push_str(rest);
    }
}

fn push_code(text: &str, to: &mut String) {
    for part in ["<code>", text, "</code>"] {
        to.push_str(part);
    }
}

/// The host of a URL, with its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Makes a JSON text safe between the tags of a script: only in its strings
/// can there be a `<`.
fn for_script(json: &str) -> String {
    json.replace('<', "\\u003c")
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
