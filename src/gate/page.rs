//! The page that a browser gets with a 402.

use std::fmt::Write as _;

use crate::config::{Config, Route};
use crate::protocol::Reason;

/// The page, with its gaps. Compiled in, so that it is there when the origin
/// is not.
const PAGE: &str = include_str!("../../www/paywall.html");

/// A route's page with gaps for what differs from request to request.
#[derive(Clone, Debug)]
pub(super) struct PageTemplate {
    title: String,
    description: String,
    price: String,
    networks: String,
}

impl PageTemplate {
    pub fn new(route: &Route, config: &Config) -> Self {
        let mut networks = String::new();
        for offer in &route.offers {
            let Some(network) = config.networks.get(offer.network) else { continue };
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
            "This page is for sale".to_owned()
        } else {
            escape(&route.description)
        };
        Self {
            title,
            description: String::new(),
            price: escape(&route.price.to_string()),
            networks,
        }
    }

    /// Fills the gaps in one pass: what is filled in is not looked at again.
    pub fn fill(&self, url: &str, reason: Option<Reason>) -> String {
        let url = escape(url);
        let error = reason.map_or(String::new(), |reason| {
            escape(&format!("The payment was not taken: {reason}"))
        });
        let mut page = String::with_capacity(PAGE.len() + 1_024);
        let mut parts = PAGE.split("{{");
        page.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (gap, rest) = part.split_once("}}").unwrap_or(("", part));
            page.push_str(match gap {
                "title" => &self.title,
                "description" => &self.description,
                "price" => &self.price,
                "networks" => &self.networks,
                "url" => &url,
                "error" => &error,
                _ => "",
            });
            page.push_str(rest);
        }
        page
    }
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
