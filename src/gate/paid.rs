//! What was bought at another price of the route than the request is asked now.
//!
//! The class of a client, its headers and the desk's prices may change between a
//! purchase and the request that comes for it. So what was paid at any price of the
//! route is good where no more is asked; what was paid at a lower one never is. Only
//! what was bought before is had so: nobody is charged more than is asked.

use super::check::{Chosen, Mismatch, check};
use super::grant::{Claims, Scope};
use crate::config::{Config, Offer, Route};
use crate::protocol::PaymentPayload;
use crate::time::UnixSeconds;

impl Route {
    /// The route at what a request is asked, then at each of its prices.
    pub(super) fn asked_first<'a>(&'a self, asked: &'a Self) -> impl Iterator<Item = &'a Self> {
        std::iter::once(asked).chain(self.at_all_prices())
    }

    /// Whether what was paid for an offer is as much as this route asks.
    pub(super) fn is_covered_by(&self, offer: &Offer) -> bool {
        offer.token.units_of(self.price).is_some_and(|least| offer.v2.amount >= least)
    }

    /// The route at the price that a payment is for, and the payment, checked
    /// against that: what the request is asked, or else a price that is no lower.
    pub(super) fn check_at_all<'a>(
        &'a self,
        asked: &'a Self,
        config: &Config,
        payment: &PaymentPayload,
        now: UnixSeconds,
    ) -> Result<(&'a Self, Chosen), Mismatch> {
        let mismatch = match check(config, asked, payment, now) {
            Ok(chosen) => return Ok((asked, chosen)),
            Err(mismatch) => mismatch,
        };
        let found = self.at_all_prices().find_map(|route| {
            let chosen = check(config, route, payment, now).ok()?;
            let offer = route.offer(chosen.offer)?;
            asked.is_covered_by(offer).then_some((route, chosen))
        });
        found.ok_or(mismatch)
    }
}

impl Scope<'_> {
    /// Whether a grant's price, as its text names it, is one of the route's that is
    /// as high as what the request is asked. `whole` is the route with all prices.
    pub(super) fn prices_of(&self, whole: &Route, claims: &Claims<'_>) -> Vec<String> {
        let asked = self.route.price;
        if let Some(price) = claims.price {
            let prices = whole.prices.iter().map(|rule| rule.route.price);
            let named = prices.filter(|it| *it >= asked).map(|it| it.to_string());
            return named.filter(|it| it == price).take(1).collect();
        }
        // A price that is changed at the desk ends no grant.
        let own = std::iter::once(&whole.price).chain(&whole.former_prices);
        let is_good = |it: &&_| self.route.rule == 0 || **it >= asked;
        own.filter(is_good).map(ToString::to_string).collect()
    }
}
