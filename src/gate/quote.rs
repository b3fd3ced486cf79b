//! Prices that the origin says (`price = "origin"`), and what it wants paid at all
//! (`challenge_on`).
//!
//! What the origin has asked for a request goes into its challenge with a quote: when
//! that ends, and an HMAC over it and over what the payment will be bound to. A v2
//! client hands it back with its payment, so that the price holds without anything
//! being kept. A v1 client hands back nothing, and a quote may be over: then the
//! origin is asked once more, and a payment of just what it says is as good.
//!
//! A false yes would sell below the origin's price; a false no costs one more
//! question to the origin. What was paid before at another price is still had: the
//! Settler knows it, and nobody is charged for it again.

use super::{BoundBody, Head, Sale, read_payment};
use crate::amount::{AtomicAmount, InvalidPrice, Price};
use crate::config::{Config, Offer, Route};
use crate::encoding::{decode_hex, encode_hex};
use crate::mac;
use crate::protocol::PaymentPayload;
use crate::protocol::payment::Accepted;
use crate::protocol::requirements::QUOTE;
use crate::time::UnixSeconds;

/// The header in which the origin says what a request costs.
pub const PRICE_HEADER: &str = "Price";

/// The longest price that is read, in bytes.
const MAX_PRICE: usize = 64;

/// What a request brings for something of which the origin says the price.
#[derive(Debug)]
pub enum Brought {
    /// Nothing that fits.
    Nothing,
    /// A payment with a quote that holds: the route at that price.
    Quoted(Box<Route>),
    /// A payment or a delivery cookie for this offer, which is good for what it has
    /// bought, and for what the origin asks if that is the same.
    Unquoted(Box<Offer>),
}

/// What an answer of the origin's to a request that nobody has paid for says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// That it costs this much.
    Price(Price),
    /// Nothing of a price: it is the origin's own answer.
    Own,
    /// A price that is none, or is not taken.
    Unusable(&'static str),
}

/// What becomes of a request of which the origin was asked the price.
#[derive(Debug)]
pub enum Next {
    /// It is for sale: the route at its price, or for what was bought before alone.
    At(Box<Route>),
    /// The origin's answer is passed on.
    Own,
    /// Nobody can say what it costs.
    NoPrice,
}

/// What an answer of the origin's says of the price of a request, by its status and
/// its `Price`. `challenge_on`: the status by which it asks for money.
fn said(route: &Route, challenge_on: u16, status: u16, price: Option<&str>) -> Said {
    let Some(text) = price.filter(|_| status == challenge_on) else { return Said::Own };
    if text.len() > MAX_PRICE {
        return Said::Unusable("is too long");
    }
    match text.trim().parse::<Price>() {
        Ok(price) if price > route.price => Said::Unusable("is above price_max"),
        Ok(price) => Said::Price(price),
        // Two headers of one name have a comma between them.
        Err(InvalidPrice::Malformed) => Said::Unusable("is not one amount such as $0.02"),
        Err(InvalidPrice::Zero) => Said::Unusable("is zero: what is free is answered at once"),
        Err(InvalidPrice::TooLarge) => Said::Unusable("is too large, or too fine"),
    }
}

impl Sale<'_> {
    /// Whether the origin says whether this is to be paid for, and hasn't yet.
    pub fn asks_origin(&self) -> bool {
        self.route.by_origin.is_some() && !self.route.has_quotes()
    }

    /// What becomes of this request once the origin has answered it unpaid, by the
    /// status of the answer and its `Price`. `former`: what the request has brought.
    ///
    /// # Errors
    /// What is wrong with the price, for the log; and what becomes of it then.
    pub fn after_asking(
        &self,
        config: &Config,
        (status, price): (u16, Option<&str>),
        former: Option<Offer>,
        body: &BoundBody,
        now: UnixSeconds,
    ) -> Result<Next, (&'static str, Next)> {
        let Some(by_origin) = &self.route.by_origin else { return Ok(Next::Own) };
        let failed = |former: Option<Offer>| match former {
            // What was bought is not lost because the origin fails.
            Some(_) => Next::At(Box::new(self.route.without_quote(former))),
            None => Next::NoPrice,
        };
        let price = match said(self.route, by_origin.challenge_on, status, price) {
            Said::Price(price) => price,
            // It answers strangers as it likes: that it is busy, that they must log in.
            Said::Own if status >= 400 && former.is_some() => return Ok(failed(former)),
            Said::Own => return Ok(Next::Own),
            Said::Unusable(problem) => return Err((problem, failed(former))),
        };
        let until = now.plus(by_origin.quote.unwrap_or_default().as_secs());
        let quote = |offer: &Offer| self.quote(config, offer, body, until);
        match self.route.at_quote(price, former.clone(), &quote) {
            Some(route) => Ok(Next::At(Box::new(route))),
            None => Err(("is finer than each of the route's tokens", failed(former))),
        }
    }

    /// What a request brings that may have been paid before, or be paid at a quote.
    pub fn brought(
        &self,
        config: &Config,
        head: &impl Head,
        body: &BoundBody,
        now: UnixSeconds,
    ) -> Brought {
        let Ok(Some(payment)) = read_payment(head) else {
            let offer = self.offer_of_cookie(config, head, now);
            return offer.map_or(Brought::Nothing, |it| Brought::Unquoted(Box::new(it)));
        };
        let paid_for = |offer: &Offer| {
            let amount = offer.terms.amount_in(&payment.payload)?;
            if amount == AtomicAmount(0) || !offer.is_on(&payment) {
                return None;
            }
            let offer = self.route.offer_of(offer, amount)?;
            offer.terms.check(&payment.payload, now).is_ok().then_some(offer)
        };
        let Some(offer) = self.route.offers.iter().find_map(paid_for) else {
            return Brought::Nothing;
        };
        let quoted = || {
            let until = self.until(config, &payment, &offer, body).filter(|it| now < *it)?;
            let price = offer.token.price_of(offer.v2.amount)?;
            self.route.at_quote(price, None, &|offer| self.quote(config, offer, body, until))
        };
        match quoted() {
            Some(route) => Brought::Quoted(Box::new(route)),
            None => Brought::Unquoted(Box::new(offer)),
        }
    }

    /// The quote of an offer for this request, which ends then.
    fn quote(
        &self,
        config: &Config,
        offer: &Offer,
        body: &BoundBody,
        until: UnixSeconds,
    ) -> Option<String> {
        let text = until.to_string();
        let (key, bound) = (config.delivery_keys.0.first()?, self.quoted_binding(offer, body));
        let code = mac::code_of(key, &lines(&text, &bound))?;
        Some(format!("{text}.{}", encode_hex(&code)))
    }

    /// When the quote ends that a payment has handed back for this offer, if it is
    /// ours.
    fn until(
        &self,
        config: &Config,
        payment: &PaymentPayload,
        offer: &Offer,
        body: &BoundBody,
    ) -> Option<UnixSeconds> {
        let Some(Accepted::Terms(accepted)) = &payment.accepted else { return None };
        let (until, code) = accepted.extra.get(QUOTE)?.as_str()?.split_once('.')?;
        let code = decode_hex::<32>(code).ok()?;
        let bound = self.quoted_binding(offer, body);
        let lines = lines(until, &bound);
        let is_ours = config.delivery_keys.0.iter().any(|key| mac::is_code_of(&code, key, &lines));
        is_ours.then(|| until.parse().ok().map(UnixSeconds))?
    }

    /// What a quote is bound to. It is one for GET and HEAD: a page asks for the price
    /// by HEAD, and pays for a GET.
    fn quoted_binding(&self, offer: &Offer, body: &BoundBody) -> String {
        let method = if self.method.is_safe() { "GET" } else { self.method.as_str() };
        self.binding_for(method, offer, body)
    }
}

/// What the HMAC of a quote covers.
fn lines<'a>(until: &'a str, bound: &'a str) -> [&'a str; 3] {
    ["edge402 quote 1", until, bound]
}
