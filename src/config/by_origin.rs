//! What the origin says of a route: what a request costs (`price = "origin"`), and
//! which requests it wants paid at all (`challenge_on`).

use std::time::Duration;

use serde_json::json;

use super::fields::Fields;
use super::offer::{About, Offer};
use super::read_route::{Seller, read_duration};
use super::route::{Route, SettleWhen};
use super::{Method, Origin};
use crate::amount::{AtomicAmount, Price};
use crate::protocol::requirements::QUOTE;

/// What stands for a price where the origin says it.
const BY_ORIGIN: &str = "origin";

/// For how long what the origin has said holds, unless a route says otherwise.
const DEFAULT_QUOTE: Duration = Duration::from_mins(1);

/// The bounds of that, in seconds.
const QUOTE_SECONDS: std::ops::RangeInclusive<u64> = 5..=3_600;

/// What says of itself that a request goes free, or at another price than the
/// origin's: the origin, which hears nothing of it, would ask for money all the same.
const NOT_WITH: [&str; 3] = ["free", "free_for", "access"];

/// The same where the origin says the price.
const NOT_WITH_PRICE: [&str; 2] = ["prices", "scheme"];

/// What the origin says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByOrigin {
    /// The status by which it says that a request is to be paid for.
    pub challenge_on: u16,
    /// For how long its price holds, if it says the price.
    pub quote: Option<Duration>,
    /// Whether the route's price is one that it has said for a request.
    pub is_quoted: bool,
    /// Whether it may be asked by other methods than GET and HEAD before anything
    /// is paid: the seller has named them.
    asks_all: bool,
}

impl ByOrigin {
    /// Reads what a route says of it; `None` where it says nothing.
    pub(super) fn read(
        fields: &Fields<'_>,
        methods: Option<&[Method]>,
        seller: &Seller<'_>,
    ) -> Option<Self> {
        let says_price = fields.text("price") == Some(BY_ORIGIN);
        if !says_price {
            for name in ["price_max", "quote"].into_iter().filter(|name| fields.has(name)) {
                fields.fault(name, "is for price = \"origin\" only");
            }
        }
        let status = fields.number("challenge_on", 401..=402);
        if !says_price && !fields.has("challenge_on") {
            return None;
        }
        let key = if says_price { "price" } else { "challenge_on" };
        let others = NOT_WITH_PRICE.iter().filter(|_| says_price);
        for name in NOT_WITH.iter().chain(others).filter(|name| fields.has(name)) {
            let problem = format!("can't go with {key}: the origin says what is to be paid for");
            fields.fault(name, problem);
        }
        if matches!(seller.origin, Some(Origin::Assets | Origin::None)) {
            fields.fault(key, "needs another ORIGIN: files ask for no money");
        } else if !seller.tells_origin(fields) && seller.origin_headers.when_paid.is_empty() {
            let problem = "needs an origin that knows what was paid for: set tell_origin = true, \
                           or a header of ORIGIN_HEADERS with when = \"paid\"";
            fields.fault(key, problem);
        }
        if says_price && seller.delivery_keys.0.is_empty() {
            let problem = "is needed for price = \"origin\": wrangler secret put GRANT_SECRET";
            fields.faults().add("GRANT_SECRET", problem);
        }
        let quote = read_duration(fields, "quote").unwrap_or(DEFAULT_QUOTE);
        if !QUOTE_SECONDS.contains(&quote.as_secs()) {
            fields.fault("quote", "must be from \"5s\" to \"1h\"");
        }
        Some(Self {
            challenge_on: status.and_then(|it| it.try_into().ok()).unwrap_or(402),
            quote: says_price.then_some(quote),
            is_quoted: false,
            asks_all: methods.is_some(),
        })
    }
}

/// The key that a route's price stands under.
pub(super) fn price_key(fields: &Fields<'_>) -> &'static str {
    if fields.text("price") == Some(BY_ORIGIN) { "price_max" } else { "price" }
}

impl Route {
    /// Whether the origin says what a request costs: then `price` is the most.
    pub fn has_quotes(&self) -> bool {
        self.by_origin.as_ref().is_some_and(|it| it.quote.is_some())
    }

    /// Whether the origin has yet to say what a request costs.
    pub fn lacks_quote(&self) -> bool {
        self.by_origin.as_ref().is_some_and(|it| it.quote.is_some() && !it.is_quoted)
    }

    /// The status by which the origin says that a request with this method is to be
    /// paid for; `None` where it isn't asked.
    pub fn asks_origin(&self, method: &Method) -> Option<u16> {
        let it = self.by_origin.as_ref()?;
        let may_ask = it.asks_all || matches!(method.as_str(), "GET" | "HEAD");
        may_ask.then_some(it.challenge_on)
    }

    /// One of its offers for another amount, in atomic units.
    pub fn offer_of(&self, offer: &Offer, amount: AtomicAmount) -> Option<Offer> {
        let about = About {
            description: &self.description,
            mime_type: &self.mime_type,
            is_upfront: self.settle == SettleWhen::Before,
            is_by_use: self.by_use.is_some(),
        };
        let paid_in = (offer.network.clone(), offer.token.clone());
        Offer::new(paid_in, amount, &about, &super::fields::Report::default())
    }

    /// The route at what the origin asks of one request, each offer with its quote.
    /// `None` if none of its tokens can pay that, or it is more than the most.
    pub fn at_quote(
        &self,
        price: Price,
        former: Option<Offer>,
        quote: &dyn Fn(&Offer) -> Option<String>,
    ) -> Option<Self> {
        if price > self.price {
            return None;
        }
        let mut offers = vec![];
        for offer in &self.offers {
            let amount = offer.token.units_of(price);
            let Some(mut offer) = amount.and_then(|it| self.offer_of(offer, it)) else { continue };
            offer.v2.extra.insert(QUOTE.into(), json!(quote(&offer)?));
            offers.push(offer);
        }
        (!offers.is_empty()).then(|| self.quoted(price, offers, former))
    }

    /// The route where the origin has said nothing: only what was bought before, for
    /// this offer, is to be had.
    #[must_use]
    pub fn without_quote(&self, former: Option<Offer>) -> Self {
        self.quoted(self.price, vec![], former)
    }

    fn quoted(&self, price: Price, offers: Vec<Offer>, former: Option<Offer>) -> Self {
        let by_origin = self.by_origin.clone().map(|it| ByOrigin { is_quoted: true, ..it });
        let former = former.into_iter().collect();
        let mut route = Self { price, by_origin, offers, former, ..self.clone() };
        route.in_header = route.count_fitting();
        route
    }
}
