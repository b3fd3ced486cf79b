//! All of a route but its price: from this and a price comes the route.

use std::rc::Rc;
use std::time::Duration;

use super::fields::Fields;
use super::listing::MAX_CHALLENGE_JSON;
use super::offer::{About, OnNetwork};
use super::prices::ReadRule;
use super::{
    ByOrigin, ByUse, DEFAULT_REDELIVER_MAX, DEFAULT_REDELIVER_MAX_BY_COOKIE, Method, Offer,
    Pattern, PaymentIdentifier, PriceRule, Route, Service, SettleWhen, Token,
};
use crate::amount::Price;
use crate::json::json;

/// What a route is, whatever it costs.
pub(super) struct Unpriced {
    pub pattern: Pattern,
    pub name: String,
    pub full_name: String,
    pub on: bool,
    /// What it costs by the configuration alone, where no rule says otherwise; and
    /// what it has cost.
    pub configured_price: Price,
    pub former_prices: Vec<Price>,
    pub description: String,
    pub mime_type: String,
    pub service: Service,
    pub listed: Option<Method>,
    pub input: Option<super::Shape>,
    pub output: Option<super::Shape>,
    pub settle: SettleWhen,
    pub redeliver: Duration,
    pub redeliver_max: Option<u32>,
    pub free: Option<super::Free>,
    pub access: Option<Duration>,
    pub payment_identifier: PaymentIdentifier,
    pub tells_origin: bool,
    pub by_use: Option<ByUse>,
    pub by_origin: Option<ByOrigin>,
    /// What pays for it.
    pub chosen: Vec<OnNetwork>,
}

impl Unpriced {
    /// The route at its own price, with one at each price of its rules.
    pub(super) fn at_all(
        &self,
        price: Price,
        rules: Vec<ReadRule<'_>>,
        fields: &Fields<'_>,
    ) -> Route {
        let before = fields.faults().len();
        let mut route = self.at(price, 0, fields, fields);
        // What is wrong with all prices is said once.
        if fields.faults().len() == before {
            let rules = rules.into_iter().enumerate();
            let at = rules.map(|(n, it)| PriceRule {
                when: it.when,
                route: self.at(it.price, n + 1, &it.fields, fields),
            });
            route.prices = at.collect();
        }
        route
    }

    /// The route at one price, which stands in a table of its own or in the
    /// route's.
    fn at(&self, price: Price, rule: usize, own: &Fields<'_>, fields: &Fields<'_>) -> Route {
        let about = About {
            description: &self.description,
            mime_type: &self.mime_type,
            is_upfront: self.settle == SettleWhen::Before,
            is_by_use: self.by_use.is_some(),
        };
        let mut offers = vec![];
        for (network, token) in &self.chosen {
            let Some(amount) = token.units_of(price) else {
                let Token { decimals, symbol, .. } = &**token;
                let id = network.id;
                let problem = format!("is finer than the {decimals} decimals of {symbol} on {id}");
                own.fault("price", problem);
                continue;
            };
            if let Some(problem) = self.by_use.as_ref().and_then(|_| ByUse::problem_on(network)) {
                fields.fault("scheme", problem);
                continue;
            }
            let paid_in = (Rc::clone(network), Rc::clone(token));
            offers.extend(Offer::new(paid_in, amount, &about, fields.faults()));
        }
        // The desk changes the route's own price, and none of its rules'.
        let (configured_price, former_prices) = match rule {
            0 => (self.configured_price, self.former_prices.clone()),
            _ => (price, vec![]),
        };
        let former = Offer::former(&self.chosen, &former_prices, &about);
        let redeliver_max = match &self.by_use {
            // What is counted went out before it was settled.
            Some(by_use) if by_use.meter.is_some() => Some(0),
            // What an answer uses that goes again is charged to nobody.
            Some(_) => self.redeliver_max.or(Some(0)),
            None => self.redeliver_max,
        };
        let mut route = Route {
            pattern: self.pattern.clone(),
            name: self.name.clone(),
            full_name: self.full_name.clone(),
            on: self.on,
            price,
            configured_price,
            former_prices,
            prices: vec![],
            free_for: vec![],
            rule,
            description: self.description.clone(),
            mime_type: self.mime_type.clone(),
            service: self.service.clone(),
            listed: self.listed.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            settle: self.settle,
            redeliver: self.redeliver,
            redeliver_max: redeliver_max.unwrap_or(DEFAULT_REDELIVER_MAX),
            redeliver_max_by_cookie: redeliver_max.unwrap_or(DEFAULT_REDELIVER_MAX_BY_COOKIE),
            free: self.free,
            access: self.access,
            payment_identifier: self.payment_identifier,
            tells_origin: self.tells_origin,
            by_use: self.by_use.clone(),
            by_origin: self.by_origin.clone(),
            offers,
            former,
            in_header: 0,
        };
        route.in_header = route.count_fitting();
        let all = route.offers.len();
        if route.in_header == 0 && all > 0 {
            report_too_long(fields, &route);
        }
        // What a facilitator says, or doesn't, is no fault of the seller's:
        // only after all has been checked is it left out.
        route.offers.retain(|offer| offer.network.is_on_offer());
        route.former.retain(|offer| offer.network.is_on_offer());
        if route.offers.len() < all {
            route.in_header = route.count_fitting();
        }
        route
    }
}

/// Reports that not even one offer fits into the challenge, at the key that has
/// most to say.
fn report_too_long(fields: &Fields<'_>, route: &Route) {
    let texts = [
        ("description", &route.description),
        ("mime_type", &route.mime_type),
        ("icon_url", &route.service.icon_url),
    ];
    let shapes = [("input", &route.input), ("output", &route.output)].map(|(name, shape)| {
        let parts = shape.iter().flat_map(|it| [&it.schema, &it.example]).flatten();
        (name, parts.map(|it| it.to_string().len()).sum())
    });
    let texts = texts.map(|(name, text)| (name, json!(text).to_string().len()));
    let longest = texts.into_iter().chain(shapes).max_by_key(|(_, length): &(_, usize)| *length);
    let size = route.resource_size();
    let problem = format!(
        "makes a challenge that clients can't take: {size} of {MAX_CHALLENGE_JSON} bytes without \
         any offer; shorten it"
    );
    fields.fault(longest.map_or("description", |(name, _)| name), problem);
}
