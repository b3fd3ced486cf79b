//! What a seller has changed of the routes since they were deployed: prices, and
//! which of them are off. It comes from the desk, by way of KV.

use std::borrow::Cow;

use super::method::Method;
use crate::amount::Price;
use crate::json::{from_text, to_text};
use crate::json_struct;

/// How many routes can be overridden.
pub const MAX_OVERRIDES: usize = 200;

/// How many former prices of a route are remembered.
pub const MAX_FORMER: usize = 4;

/// What is changed of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Which route: its pattern, or where several routes share one, its methods
    /// before it (`GET,HEAD /a/*`).
    pub route: String,
    /// Its price, such as `$0.02`; none where the configured one holds.
    pub price: Option<String>,
    /// Whether it is sold.
    pub on: bool,
    /// What it cost before, the latest first: what was bought so is still to be
    /// had.
    pub former: Vec<String>,
}

json_struct!(Override { route, price = null, on, former = default });

impl Override {
    /// What it cost before, without what it costs.
    pub(super) fn former_prices(&self, configured: Price, now: Price) -> Vec<Price> {
        let mut prices: Vec<Price> = vec![];
        let former = self.former.iter().take(MAX_FORMER).filter_map(|it| it.parse().ok());
        for price in former.chain([configured]) {
            if price != now && !prices.contains(&price) {
                prices.push(price);
            }
        }
        prices
    }

    /// Whether this is what a route is called, in whatever order the methods stand:
    /// `ROUTES` of an earlier deployment may have had another one.
    pub fn is_called(&self, name: &str) -> bool {
        self.route == name || canonical_name(&self.route) == canonical_name(name)
    }

    /// Whether it changes nothing and remembers nothing.
    pub fn is_empty(&self) -> bool {
        self.on && self.price.is_none() && self.former.is_empty()
    }
}

/// All that is changed, as KV holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// What holds for which route.
    pub routes: Vec<Override>,
    /// How many changes were made before: of two readings the higher one holds.
    pub changes: u64,
}

/// The version of what is written.
const VERSION: u64 = 1;

struct Written {
    version: u64,
    changes: u64,
    routes: Vec<Override>,
}

json_struct!(Written { version, changes, routes });

impl Overrides {
    /// The text for KV.
    pub fn to_text(&self) -> String {
        let Self { routes, changes } = self.clone();
        to_text(&Written { version: VERSION, changes, routes })
    }

    /// Reads it; `None` for anything else than this or an earlier release wrote.
    pub fn read(text: &str) -> Option<Self> {
        let Written { version, changes, routes } = from_text(text).ok()?;
        let is_known = version == VERSION && routes.len() <= MAX_OVERRIDES;
        is_known.then_some(Self { routes, changes })
    }

    /// What holds for a route. What names its methods comes before what names the
    /// pattern alone, so that a route that is split later stays off.
    pub(super) fn of(&self, pattern: &str, methods: Option<&[Method]>) -> Option<&Override> {
        let by_name = |name: &str| self.routes.iter().find(|it| it.is_called(name));
        methods.and_then(|it| by_name(&name_of(pattern, Some(it)))).or_else(|| by_name(pattern))
    }
}

/// The pattern in a route's name, if its methods stand before it.
pub fn pattern_in(name: &str) -> Option<&str> {
    name.split_once(' ').map(|(_, pattern)| pattern)
}

/// A name with its methods in order.
pub fn canonical_name(name: &str) -> Cow<'_, str> {
    let Some((methods, pattern)) = name.split_once(' ') else { return name.into() };
    let mut methods: Vec<&str> = methods.split(',').collect();
    methods.sort_unstable();
    format!("{} {pattern}", methods.join(",")).into()
}

/// What a route is called where its pattern is not enough: with its methods in
/// order, so that the order in `ROUTES` means nothing.
pub(super) fn name_of(pattern: &str, methods: Option<&[Method]>) -> String {
    let Some(methods) = methods else { return pattern.to_owned() };
    let mut methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    methods.sort_unstable();
    format!("{} {pattern}", methods.join(","))
}
