//! One route: what is sold, for how much, and how.

use std::time::Duration;

use serde_json::Value;

use super::by_origin::ByOrigin;
use super::by_use::ByUse;
use super::fields::Fields;
use super::method::Method;
use super::offer::Offer;
use super::pattern::Pattern;
use super::prices::When;
use super::service::Service;
use super::who::Class;
use crate::amount::Price;
use crate::json::json;

/// What is sold, for how much, and how.
#[derive(Clone, Debug)]
pub struct Route {
    /// What it covers.
    pub pattern: Pattern,
    /// What it is called, and no other route: by its pattern, or by its full name where
    /// others have the same pattern.
    pub name: String,
    /// What it is called where its pattern is not enough: `GET,HEAD /a/*`.
    pub full_name: String,
    /// Whether it is sold: the seller may have switched it off since it was
    /// deployed.
    pub on: bool,
    /// What one request costs, unless one of `prices` says otherwise. Where the
    /// origin says it, the most.
    pub price: Price,
    /// What it costs by the configuration alone.
    pub configured_price: Price,
    /// What it has cost, the latest first, without what it costs.
    pub former_prices: Vec<Price>,
    /// What requests of certain kinds cost: the first whose conditions hold.
    pub prices: Vec<PriceRule>,
    /// Which of them this is, counted from 1; 0 for the route's own price.
    pub rule: usize,
    /// Who gets it without paying.
    pub free_for: Vec<Class>,
    /// What it is, for people; empty if the seller says nothing.
    pub description: String,
    /// The media type of the answer; empty if the seller says nothing.
    pub mime_type: String,
    /// Who sells it, for people and for search.
    pub service: Service,
    /// The method under which it is listed where agents and crawlers look;
    /// `None` if it is not listed.
    pub listed: Option<Method>,
    /// What a request must hold, for those who find it there.
    pub input: Option<super::Shape>,
    /// What an answer holds.
    pub output: Option<super::Shape>,
    /// Whether the origin is asked before or after the settlement.
    pub settle: SettleWhen,
    /// For how long a paid answer is delivered again to a buyer who lost it.
    pub redeliver: Duration,
    /// How often it is at most.
    pub redeliver_max: u32,
    /// The same for a browser that shows its delivery cookie.
    pub redeliver_max_by_cookie: u32,
    /// How many requests of each client address cost nothing.
    pub free: Option<super::Free>,
    /// For how long a payment opens the route; `None` for one request.
    pub access: Option<Duration>,
    /// Whether clients may or must name their payments.
    pub payment_identifier: PaymentIdentifier,
    /// Whether the origin is told who has paid.
    pub tells_origin: bool,
    /// How it is charged, if by use; then its price is the most.
    pub by_use: Option<ByUse>,
    /// What the origin says of it, if it does.
    pub by_origin: Option<ByOrigin>,
    /// What it costs on each of its networks: in the order of the route's
    /// `networks`, or else by their names. None on a network of which too
    /// little is known yet; so there may be none at all.
    pub offers: Vec<Offer>,
    /// What it has cost on each of them: nothing is sold for that any more, and
    /// what was is still to be had.
    pub former: Vec<Offer>,
    /// How many of `offers` the challenge's header has room for.
    pub(super) in_header: usize,
}

/// One entry of `prices`: the first whose conditions hold says the price.
#[derive(Clone, Debug)]
pub struct PriceRule {
    /// Of which requests.
    pub when: When,
    /// The route at that price.
    pub route: Route,
}

impl Route {
    /// The route at its own price, and at each of the others.
    pub fn at_all_prices(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.prices.iter().map(|rule| &rule.route))
    }

    /// The classes of clients that it tells apart.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.free_for.iter().chain(self.prices.iter().filter_map(|rule| rule.when.class.as_ref()))
    }

    /// An offer by its number, which goes on from those that stand to the former
    /// ones.
    pub fn offer(&self, number: usize) -> Option<&Offer> {
        self.offers.iter().chain(&self.former).nth(number)
    }

    /// Whether an offer is what the configuration alone says of the route's own
    /// price.
    pub fn is_configured(&self, offer: &Offer) -> bool {
        self.rule == 0
            && !self.has_quotes()
            && offer.token.units_of(self.configured_price) == Some(offer.v2.amount)
    }

    /// The least that a request costs.
    pub fn least_price(&self) -> Price {
        self.prices.iter().map(|rule| rule.route.price).fold(self.price, Price::min)
    }
}

/// Whether clients may or must name their payments (x402 extension
/// `payment-identifier`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentIdentifier {
    /// Not offered; a name that comes anyway is taken.
    Off,
    /// Offered.
    Optional,
    /// A payment without one is refused.
    Required,
}

impl PaymentIdentifier {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        match fields.text("payment_identifier") {
            None => Self::Off,
            Some("optional") => Self::Optional,
            Some("required") => Self::Required,
            Some(_) => {
                fields.fault("payment_identifier", "must be \"optional\" or \"required\"");
                Self::Off
            }
        }
    }

    /// What the challenge says of it, under `payment-identifier`.
    pub fn extension(self) -> Value {
        json!({
            "info": { "required": self == Self::Required },
            "schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {
                    "required": { "type": "boolean" },
                    "id": {
                        "type": "string",
                        "minLength": 16,
                        "maxLength": 128,
                        "pattern": "^[a-zA-Z0-9_-]+$",
                    },
                },
                "required": ["required"],
            },
        })
    }
}

/// When a payment is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleWhen {
    /// After the origin has answered well.
    After,
    /// Before the origin is asked.
    Before,
}

impl SettleWhen {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        match fields.text("settle") {
            None | Some("after") => Self::After,
            Some("before") => Self::Before,
            Some(_) => {
                fields.fault("settle", "must be \"before\" or \"after\"");
                Self::After
            }
        }
    }
}
