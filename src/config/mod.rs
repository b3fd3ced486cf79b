//! What the seller configured: variables and secrets, read once per isolate.
//!
//! Reading reports every fault at once, each with the key that holds it. A
//! fault closes what is sold and leaves open what is free, so the patterns of
//! the routes are kept apart from the rest of the configuration.

mod by_origin;
mod by_use;
mod coin;
mod desk;
mod facilitator;
mod fields;
mod free;
mod keys;
mod listing;
mod method;
mod network;
mod notes;
mod offer;
mod origin_headers;
mod overrides;
mod page;
mod pattern;
mod prices;
mod quoted;
mod read;
mod read_route;
mod remote;
mod route;
mod service;
mod settings;
mod shape;
mod signers;
mod smart_wallets;
mod token;
mod unpriced;
mod webhooks;
mod who;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

pub use by_origin::ByOrigin;
pub use by_use::ByUse;
pub use desk::Desk;
pub use facilitator::{Account, Facilitator, TokenHash};
pub use free::{Free, SIGN_IN};
pub use method::Method;
pub use network::Network;
pub use offer::Offer;
pub use origin_headers::{OriginHeaders, OriginSecret};
pub use overrides::{MAX_FORMER, MAX_OVERRIDES, Override, Overrides, canonical_name, pattern_in};
pub use page::PayPage;
pub use pattern::{Found, Pattern, PatternSet};
pub use prices::{Wanted, When};
pub use read::{Parts, fault_of, read, read_parts};
pub use route::{PaymentIdentifier, PriceRule, Route, SettleWhen};
pub use service::Service;
pub use settings::{Settings, Sources};
pub use shape::Shape;
pub use signers::{FormerSigners, Signers};
pub use smart_wallets::SmartWallets;
pub use token::Token;
pub use webhooks::{EVENTS, Webhook};
pub use who::{Cidr, Class, Pass, Purpose, Who};

use crate::evm::RelayerKey;
use crate::protocol::ChainId;
use crate::solana::FeePayerKey;

/// Where the goods come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The Worker's static assets (binding `ASSETS`).
    Assets,
    /// Another Worker (binding `ORIGIN_SERVICE`).
    Service,
    /// The zone's own origin: the request is fetched as it is.
    Zone,
    /// A site at another host.
    Url(OriginUrl),
    /// Nowhere: the Worker is a facilitator and nothing else.
    None,
}

/// The URL of an origin: its scheme and host, and a path that goes in front
/// of every request's own (empty, or without a trailing slash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginUrl {
    /// `https://host`.
    pub origin: String,
    /// `/base`, or nothing.
    pub base: String,
}

/// The whole configuration, in order.
#[derive(Debug)]
pub struct Config {
    /// The routes that are sold; [`Loaded::patterns`] points into them.
    pub routes: Vec<Route>,
    /// The networks that payments come in on.
    pub networks: Vec<Rc<Network>>,
    /// The keys that send EVM transactions and pay their gas.
    pub relayers: Vec<RelayerKey>,
    /// The keys that sign and pay for Solana transactions.
    pub fee_payers: Vec<FeePayerKey>,
    /// Who signed before, and may know of payments.
    pub former_signers: FormerSigners,
    /// The keys of access grants, if any route sells access.
    pub grant_keys: Option<GrantKeys>,
    /// The keys of delivery cookies; none if nothing is signed here at all.
    pub delivery_keys: GrantKeys,
    /// What others may have settled here, if they may.
    pub facilitator: Option<Facilitator>,
    /// How the page looks that people pay on.
    pub page: PayPage,
    /// What the seller sees of the sales.
    pub desk: Desk,
    /// Whether machines are told of what is listed where they look first, if the
    /// origin tells them nothing there.
    pub tells_machines: bool,
    /// Who is told of what happens.
    pub webhooks: Vec<Webhook>,
}

impl Config {
    /// The network of this name.
    pub fn network(&self, id: ChainId) -> Option<&Rc<Network>> {
        self.networks.iter().find(|network| network.id == id)
    }

    /// The network that anybody calls so.
    pub fn network_called(&self, name: &str) -> Option<&Rc<Network>> {
        self.networks.iter().find(|network| network.id.is_called(name))
    }
}

/// The keys of access grants or delivery cookies: the first one signs, each is
/// taken.
#[derive(Clone)]
pub struct GrantKeys(pub Vec<[u8; 32]>);

impl fmt::Debug for GrantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantKeys({} keys, not shown)", self.0.len())
    }
}

/// What was read: as much of it as could be.
#[derive(Debug)]
pub struct Loaded {
    /// Where free requests go; `None` if that is not known.
    pub origin: Option<Origin>,
    /// What goes with each request to there.
    pub origin_headers: OriginHeaders,
    /// What signs what it is told of payments, if there is such a secret.
    pub origin_secret: Option<OriginSecret>,
    /// What is protected; `None` if that is not known, and so all of it is.
    pub patterns: Option<PatternSet>,
    /// Where the facilitator answers, if there is one: a path without a
    /// trailing slash.
    pub facilitator_path: Option<String>,
    /// How to sell it, or what stands in the way.
    pub config: Result<Config, Faults>,
    /// The pages (`https://host`) that may send credentials and read what they
    /// got, from another origin than this one.
    pub trusted_pages: Vec<String>,
    /// What tells this gate from any other: requests carry it to the origin,
    /// so that one that comes back is known.
    pub mark: String,
    /// What is no fault, but may not be what the seller meant: for the log.
    pub notes: Vec<String>,
}

/// Something in the configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key in wrangler.toml, or the secret's name.
    pub key: String,
    /// What is wrong with it and what it should be. Never a secret's value.
    pub problem: String,
}

/// All the faults of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} fault(s); nothing is sold until they are mended:",
            self.0.len()
        )?;
        for Fault { key, problem } in &self.0 {
            write!(f, "\n  {key}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// For how long a paid answer is delivered again to a buyer who lost it.
pub const DEFAULT_REDELIVER: Duration = Duration::from_mins(10);

/// How often a paid answer is delivered again, unless a route says otherwise.
pub const DEFAULT_REDELIVER_MAX: u32 = 3;

/// The same for a browser that shows its delivery cookie: people go back and
/// forth, and load pages again.
pub const DEFAULT_REDELIVER_MAX_BY_COOKIE: u32 = 30;

/// For how long a sale is kept in the ledger where the seller sets nothing.
pub const DEFAULT_KEEP: Duration = Duration::from_hours(400 * 24);

/// How many payments go into one transaction where a network sets nothing.
pub const DEFAULT_BATCH_MAX: u64 = 40;

/// How many share one where a crowd waits, if the seller names no bound.
///
/// 100 are given six million gas, a third of what a transaction may have on Ethereum
/// (EIP-7825), and 50 KB of calldata, less than half of what nodes take. The check
/// before it is sent uses some eight million of the 50 that nodes spend on a call.
pub const CROWD_BATCH_MAX: u64 = 100;

/// How much gas failed payments of accounts with code may use in an hour where
/// a network sets nothing.
pub const DEFAULT_FAILED_GAS: u64 = 10_000_000;

/// `maxTimeoutSeconds` where a network sets none.
pub const DEFAULT_MAX_TIMEOUT_SECONDS: u64 = 300;

impl OriginUrl {
    /// A `Location` of the origin's as visitors of `host` (`https://shop`)
    /// should see it; `None` if it can stay as it is. What leads to another
    /// site altogether does.
    pub fn seen_from_outside(&self, host: &str, location: &str) -> Option<String> {
        let own_host = self.origin.split_once("://").map(|(_, own_host)| own_host)?;
        let lower = location.to_ascii_lowercase();
        let path = match lower.split_once("//") {
            // `https://own.host/path`, and `//own.host/path` without a scheme.
            Some(("http:" | "https:" | "", rest))
                if lower.starts_with("http") || lower.starts_with("//") =>
            {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                if bare_host(rest.get(..end)?) != bare_host(own_host) {
                    return None;
                }
                location.get(location.len() - (rest.len() - end)..)?
            }
            _ if location.starts_with('/') => location,
            _ => return None,
        };
        let below = path.strip_prefix(self.base.as_str());
        let inside = below.filter(|it| it.is_empty() || it.starts_with(['/', '?', '#']));
        let inside = inside.unwrap_or(path);
        let slash = if inside.starts_with('/') { "" } else { "/" };
        Some(format!("{host}{slash}{inside}"))
    }
}

/// A URL's authority without user names and without a port that goes without
/// saying.
pub fn bare_host(authority: &str) -> &str {
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_of_an_origin_stay_on_the_sellers_host() {
        let origin = OriginUrl { origin: "https://own.host".into(), base: "/base".into() };
        let seen = |location| origin.seen_from_outside("https://shop", location);
        for (location, outside) in [
            ("https://own.host/base/a?b#c", "https://shop/a?b#c"),
            ("http://OWN.HOST/base/a", "https://shop/a"),
            ("//own.host/base/a", "https://shop/a"),
            ("https://own.host", "https://shop/"),
            ("https://own.host:443/base/a", "https://shop/a"),
            ("http://user@own.host/base/a", "https://shop/a"),
            ("https://own.host/elsewhere", "https://shop/elsewhere"),
            ("/base/a", "https://shop/a"),
            ("/base", "https://shop/"),
            ("/base?a", "https://shop/?a"),
            ("/basement/a", "https://shop/basement/a"),
            ("https://own.host/base.html", "https://shop/base.html"),
        ] {
            assert_eq!(seen(location).as_deref(), Some(outside), "{location}");
        }
        for stays in ["https://other.site/a", "a/b", "?x", "https://own.host.evil/", "mailto:a@b"] {
            assert_eq!(seen(stays), None, "{stays}");
        }
    }
}
