//! A route at the price that its origin has said for a request.

use super::by_origin::ByOrigin;
use super::fields::Report;
use super::method::Method;
use super::offer::{About, Offer};
use super::route::{Route, SettleWhen};
use crate::amount::{AtomicAmount, Price};
use crate::json::json;
use crate::protocol::requirements::QUOTE;

impl Route {
    /// Whether the origin says what a request costs: then `price` is the most.
    pub fn has_quotes(&self) -> bool {
        self.by_origin.as_ref().is_some_and(|it| it.quote.is_some())
    }

    /// Whether the origin has yet to say what a request costs.
    pub fn lacks_quote(&self) -> bool {
        self.by_origin.as_ref().is_some_and(|it| it.quote.is_some() && !it.is_quoted)
    }

    /// Whether the origin asks more for a request, as far as is known, than was paid for
    /// what is to be had by it. At the address where it was bought that doesn't count.
    pub fn asks_more(&self) -> bool {
        self.by_origin.as_ref().is_some_and(|it| it.asks_more)
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
        Offer::new(paid_in, amount, &about, &Report::default())
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
        let covers = |it: &Offer| it.token.units_of(price).is_some_and(|at| at <= it.v2.amount);
        let asks_more = former.as_ref().is_some_and(|it| !covers(it));
        (!offers.is_empty()).then(|| self.quoted(price, offers, former, asks_more))
    }

    /// The route where the origin has said nothing: only what was bought before, for
    /// this offer, is to be had.
    #[must_use]
    pub fn without_quote(&self, former: Option<Offer>) -> Self {
        self.quoted(self.price, vec![], former, true)
    }

    fn quoted(
        &self,
        price: Price,
        offers: Vec<Offer>,
        former: Option<Offer>,
        asks_more: bool,
    ) -> Self {
        let by_origin =
            self.by_origin.clone().map(|it| ByOrigin { is_quoted: true, asks_more, ..it });
        let former = former.into_iter().collect();
        let mut route = Self { price, by_origin, offers, former, ..self.clone() };
        route.in_header = route.count_fitting();
        route
    }
}
