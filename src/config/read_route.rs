//! From one entry of `ROUTES` to a route, or all that is wrong with it.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::by_origin::{Informed, price_key};
use super::by_use::read_by_use;
use super::fields::{Fields, Report};
use super::listing::read_listed;
use super::offer::OnNetwork;
use super::origin_headers::SECRET as ORIGIN_SECRET;
use super::overrides::{Overrides, name_of};
use super::prices::{read_price, read_price_at, read_prices};
use super::service::Service;
use super::unpriced::Unpriced;
use super::who::{Passes, read_free_for};
use super::{
    ByOrigin, DEFAULT_REDELIVER, GrantKeys, Method, Network, Origin, OriginHeaders, Pattern,
    PaymentIdentifier, Route, SettleWhen,
};
use crate::path::Fold;
use crate::protocol::ChainId;
use crate::time;

/// The longest description that real clients take in the challenge header, in
/// bytes.
const MAX_DESCRIPTION: usize = 500;

const KNOWN: &[&str] = &[
    "pattern",
    "price",
    "price_max",
    "quote",
    "challenge_on",
    "prices",
    "free_for",
    "scheme",
    "meter",
    "without_amount",
    "unsettled_max",
    "description",
    "mime_type",
    "methods",
    "settle",
    "redeliver",
    "redeliver_max",
    "free",
    "access",
    "networks",
    "payment_identifier",
    "tell_origin",
    "listed",
    "input",
    "output",
    "service_name",
    "tags",
    "icon_url",
];

/// What a route needs to know of the rest of the configuration.
pub(super) struct Seller<'a> {
    pub passes: &'a Passes,
    pub networks: &'a [Rc<Network>],
    pub has_grant_keys: bool,
    /// Whether the origin is told who has paid, where a route doesn't say.
    pub tells_origin: bool,
    /// Whether there is something that signs it.
    pub has_origin_secret: bool,
    pub origin_headers: &'a OriginHeaders,
    /// What signs delivery cookies and quotes.
    pub delivery_keys: &'a GrantKeys,
    pub origin: Option<&'a Origin>,
    /// What was changed since it was deployed.
    pub overrides: &'a Overrides,
}

/// A route with its pattern read, so that it can be closed whatever else is
/// wrong with it.
pub(super) struct RouteEntry<'a> {
    fields: Fields<'a>,
    pattern: Option<Pattern>,
    /// `None` protects every method.
    methods: Option<Vec<Method>>,
    /// Whether other routes have the same pattern.
    shares_pattern: bool,
}

pub(super) fn read_route_entries<'a>(
    value: Option<&'a Value>,
    fold: Fold,
    faults: &'a Report,
) -> Option<Vec<RouteEntry<'a>>> {
    let Some(entries) = value.and_then(Value::as_array) else {
        faults.add("ROUTES", "must be a list: write each route as [[vars.ROUTES]]");
        return None;
    };
    let mut read: Vec<RouteEntry<'a>> = vec![];
    for (n, value) in entries.iter().enumerate() {
        let fields = Fields::new(format!("ROUTES[{n}]"), value, KNOWN, faults);
        let entry = RouteEntry::read(fields, fold);
        if let Some(number) = read.iter().position(|other| entry.sells_what(other)) {
            entry.report_same_page(number, &read);
        }
        read.push(entry);
    }
    let patterns: Vec<_> = read.iter().map(|entry| entry.pattern.clone()).collect();
    for entry in &mut read {
        let text = entry.pattern.as_ref().map(Pattern::as_str);
        let same = patterns.iter().filter(|it| it.as_ref().map(Pattern::as_str) == text);
        entry.shares_pattern = same.count() > 1;
    }
    Some(read)
}

impl<'a> RouteEntry<'a> {
    fn read(fields: Fields<'a>, fold: Fold) -> Self {
        let text = fields.needed("pattern", "a path, or a prefix ending in /*");
        let pattern = match text.map(|text| Pattern::parse(text, fold)) {
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(problem)) => {
                fields.fault("pattern", problem);
                None
            }
            None => None,
        };
        let methods = read_methods(&fields);
        Self { fields, pattern, methods, shares_pattern: false }
    }

    /// Whether both routes sell one page under one method, so that chance would
    /// say what it costs.
    fn sells_what(&self, other: &Self) -> bool {
        let (Some(pattern), Some(others)) = (&self.pattern, &other.pattern) else { return false };
        pattern.is_same_page(others)
            && match (&self.methods, &other.methods) {
                (None, None) => true,
                (Some(methods), Some(others)) => methods
                    .iter()
                    .any(|one| others.iter().any(|other| one.covers(other) || other.covers(one))),
                // Named methods come before all methods.
                _ => false,
            }
    }

    fn report_same_page(&self, number: usize, earlier: &[Self]) {
        let text = |entry: &Self| entry.pattern.as_ref().map(|it| it.as_str().to_owned());
        let (own, other) = (text(self), earlier.get(number).and_then(text));
        let (own, other) = (own.unwrap_or_default(), other.unwrap_or_default());
        let problem = if own == other {
            format!(
                "{own:?} is the same as an earlier route's, ROUTES[{number}], for a method of both"
            )
        } else {
            format!(
                "{own:?} is one page with {other:?}, the pattern of ROUTES[{number}]: \
                 origins serve it under both names, so it needs one route and one price"
            )
        };
        self.fields.fault("pattern", problem);
    }

    /// What is closed to those who don't pay; `None` if that is not known.
    pub(super) fn protects(&self) -> Option<(Pattern, Option<Vec<Method>>)> {
        Some((self.pattern.clone()?, self.methods.clone()))
    }

    pub(super) fn into_route(self, seller: &Seller<'_>) -> Option<Route> {
        let fields = &self.fields;
        let can_sign = !seller.delivery_keys.0.is_empty();
        let by_origin =
            ByOrigin::read(fields, self.methods.as_deref(), seller.informs(fields), can_sign);
        let key = price_key(fields);
        let price = fields.needed(key, "dollars, such as \"$0.01\"");
        let price = price.and_then(|text| read_price_at(fields, key, text));
        let description = fields.words("description");
        if description.len() > MAX_DESCRIPTION {
            let problem =
                format!("has {} bytes; clients take at most {MAX_DESCRIPTION}", description.len());
            fields.fault("description", problem);
        }
        let mime_type = fields.words("mime_type");
        let service = Service::read(fields);
        let listed = read_listed(fields, self.methods.as_deref());
        let settle = SettleWhen::read(fields);
        let redeliver = read_duration(fields, "redeliver").unwrap_or(DEFAULT_REDELIVER);
        let redeliver_max = fields.number("redeliver_max", 0..=1_000);
        let redeliver_max = redeliver_max.and_then(|max| max.try_into().ok());
        let access = read_duration(fields, "access").filter(|access| !access.is_zero());
        if access.is_some() && !seller.has_grant_keys {
            let problem = "is needed for access: wrangler secret put GRANT_SECRET";
            fields.faults().add("GRANT_SECRET", problem);
        }
        let payment_identifier = PaymentIdentifier::read(fields);
        let tells_origin = read_tell_origin(fields, seller);
        let (input, output) = super::shape::read_shapes(fields, listed.as_ref());
        let by_use = read_by_use(fields);
        let chosen = choose_tokens(fields, seller.networks);
        let rules = read_prices(fields, seller.passes);
        let free_for = read_free_for(fields, seller.passes);
        let (pattern, configured_price) = (self.pattern.clone()?, price?);
        let changed = seller.overrides.of(pattern.as_str(), self.methods.as_deref());
        let price = match changed.and_then(|it| it.price.as_deref()) {
            Some(_) if key != "price" => {
                fields.fault("price", "is the origin's to say, and can't be set here");
                configured_price
            }
            Some(text) => read_price(fields, text)?,
            None => configured_price,
        };
        let full_name = name_of(pattern.as_str(), self.methods.as_deref());
        let name = if self.shares_pattern { &full_name } else { pattern.as_str() };
        let unpriced = Unpriced {
            name: name.to_owned(),
            full_name,
            pattern,
            on: changed.is_none_or(|it| it.on),
            configured_price,
            former_prices: changed
                .map(|it| it.former_prices(configured_price, price))
                .unwrap_or_default(),
            description,
            mime_type,
            service,
            listed,
            input,
            output,
            settle,
            redeliver,
            redeliver_max,
            free: super::Free::read(fields),
            access,
            payment_identifier,
            tells_origin,
            by_use,
            by_origin,
            chosen,
        };
        let mut route = unpriced.at_all(price, rules, fields);
        route.free_for = free_for;
        Some(route)
    }
}

/// Methods that can't be read protect every method.
fn read_methods(fields: &Fields<'_>) -> Option<Vec<Method>> {
    let names = fields.texts("methods")?;
    if names.is_empty() {
        fields.fault("methods", "is empty; leave it out to sell every method");
        return None;
    }
    let unknown = names.iter().find(|name| !Method::KNOWN.contains(&&*name.to_ascii_uppercase()));
    if let Some(unknown) = unknown {
        let problem = match Method::nearest(unknown) {
            Some(nearest) => format!("{unknown:?} is no method; is it \"{nearest}\"?"),
            None => "must be names of methods, such as [\"GET\", \"POST\"]".to_owned(),
        };
        fields.fault("methods", problem);
        return None;
    }
    names.into_iter().map(|name| name.parse().ok()).collect()
}

impl Seller<'_> {
    /// Whether the origin knows what of a route was paid for.
    fn informs(&self, fields: &Fields<'_>) -> Informed {
        let has_paid_headers = !self.origin_headers.when_paid.is_empty();
        match self.origin {
            Some(Origin::Assets | Origin::None) => Informed::Never,
            _ if self.tells_origin(fields) => Informed::Told,
            _ if has_paid_headers => Informed::Opened,
            _ => Informed::No,
        }
    }

    /// Whether the origin is told who has paid for a route.
    fn tells_origin(&self, fields: &Fields<'_>) -> bool {
        let name = "tell_origin";
        if fields.has(name) { fields.flag(name) } else { self.tells_origin }
    }
}

fn read_tell_origin(fields: &Fields<'_>, seller: &Seller<'_>) -> bool {
    let name = "tell_origin";
    let tells = seller.tells_origin(fields);
    if tells && seller.origin == Some(&Origin::Assets) {
        fields.fault(name, "has no effect with ORIGIN = \"assets\": files read no headers");
    } else if tells && !seller.has_origin_secret {
        let problem = format!("is needed for tell_origin: wrangler secret put {ORIGIN_SECRET}");
        fields.faults().add(ORIGIN_SECRET, problem);
    }
    tells
}

/// A duration that may be left out.
pub(super) fn read_duration(fields: &Fields<'_>, name: &str) -> Option<Duration> {
    let duration = time::parse_duration(fields.text(name)?);
    if duration.is_none() {
        let problem = "must be a number and s, m, h or d, such as \"10m\"; or \"0\"";
        fields.fault(name, problem);
    }
    duration
}

/// What pays for a route, in the seller's order: `networks`, each entry a
/// network for its own token, or a network, a slash, and one of its tokens. All
/// there is if there is no list, first each network's own token.
fn choose_tokens(fields: &Fields<'_>, networks: &[Rc<Network>]) -> Vec<OnNetwork> {
    let name = "networks";
    let Some(entries) = fields.texts(name) else {
        let own = networks.iter().map(|it| (Rc::clone(it), Rc::clone(&it.token)));
        let others = networks
            .iter()
            .flat_map(|it| it.tokens().skip(1).map(|token| (Rc::clone(it), Rc::clone(token))));
        return own.chain(others).collect();
    };
    if entries.is_empty() {
        fields.fault(name, "is empty; leave it out to take all of NETWORKS");
    }
    let mut chosen: Vec<OnNetwork> = vec![];
    for entry in entries {
        match find_token(entry, networks) {
            Ok(it) if chosen.iter().any(|other| Rc::ptr_eq(&other.1, &it.1)) => {
                fields.fault(name, format!("names {entry} twice"));
            }
            Ok(it) => chosen.push(it),
            Err(problem) => fields.fault(name, format!("names {entry}, {problem}")),
        }
    }
    chosen
}

fn find_token(entry: &str, networks: &[Rc<Network>]) -> Result<OnNetwork, String> {
    let (id, token) = match entry.split_once('/') {
        Some((id, token)) => (id, Some(token)),
        None => (entry, None),
    };
    let id: Option<ChainId> = id.parse().ok();
    let network = networks.iter().find(|network| Some(network.id) == id);
    let network = network.ok_or("which NETWORKS doesn't have or has a fault in")?;
    let token = match token {
        None => Some(&network.token),
        Some(text) => network.token_called(text),
    };
    let token = token.ok_or_else(|| {
        let known: Vec<_> = network.tokens().map(|token| token.symbol.as_str()).collect();
        format!("a token that it doesn't have; it has {}", known.join(", "))
    })?;
    Ok((Rc::clone(network), Rc::clone(token)))
}
