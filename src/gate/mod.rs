//! What to do with a request: decided from its head alone, before any IO.

pub mod accept;
mod agents;
mod body;
pub mod challenge;
mod check;
pub mod cors;
pub mod delivery_cookie;
pub mod discovery;
mod door;
mod escape;
pub mod goods;
pub mod grant;
mod head;
pub mod machines;
mod named_method;
pub mod nonces;
pub mod notice;
mod page;
mod paid;
mod prices;
pub mod quota;
pub mod quote;
mod said;
pub mod signed;
pub mod straight;
pub mod wallet;
mod who;

use std::rc::Rc;

use serde_json::Value;

use crate::config::{Loaded, Method, Network, Offer, PaymentIdentifier, Route};
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::path::CanonicalPath;
use crate::payment::VerifiedPayment;
use crate::protocol::payment::InvalidPayment;
use crate::protocol::{PaymentPayload, PaymentRequirements, Reason, SettlementResponse, Version};
use crate::settlement::Settlement;
use crate::time::UnixSeconds;

pub use body::{BoundBody, MAX_BOUND_BODY};
pub use challenge::{Challenge, ChallengeTemplate, Hints};
use check::{Chosen, names};
pub use delivery_cookie::Collection;
use delivery_cookie::{REDIRECT_MANUAL, asks_for};
use door::Asked;
pub use door::{asks_for_sold, decide_free, type_to_look_into};
pub use head::{Body, Fact, Head};
pub use named_method::{NotRead, body_names_method};
pub use page::{InvalidLayout, Language, Layout, MAX_LAYOUT, PAGE_POLICY, TEMPLATE_POLICY};
pub use prices::must_read_body;

/// What to do with a request.
#[derive(Debug)]
pub enum Decision<'a> {
    /// Free: send it to the origin, under this path, which may be as it was
    /// spelled.
    Forward(CanonicalPath),
    /// It can't be read as a request or as a payment: say what to change.
    BadRequest(&'static str),
    /// A browser asks which headers it may send: tell it, charge nothing.
    Preflight,
    /// It is sold, and the configuration doesn't allow selling.
    Closed,
    /// The seller has switched it off: it is not sold now.
    Off,
    /// It is sold: say for how much, and what was wrong with the payment if
    /// there was one.
    PaymentRequired(Sale<'a>, Option<Refusal>),
    /// It is sold, and free for this client: send it to the origin, let nobody
    /// else keep it, and let no page elsewhere read it that the origin doesn't let.
    Free(Sale<'a>),
    /// It was paid for before: send it to the origin, let nobody cache it.
    Granted(Sale<'a>),
    /// It was paid for by the browser that shows this cookie: ask the Settler
    /// whether it still has it, and deliver.
    Collect(Sale<'a>, Collection),
    /// It is paid for by a payment that passed every local check.
    Purchase(Box<Purchase<'a>>),
    /// It is sold, nothing pays for it, and some of it is free: ask who counts
    /// that, and else say for how much.
    MayBeFree(Sale<'a>),
    /// It is sold, and the origin says for how much: ask it, unless a quote does, and
    /// [decide again](decide_at).
    AskPrice(Sale<'a>),
}

/// A request for something that is sold.
#[derive(Debug)]
pub struct Sale<'a> {
    /// The number of the route.
    pub number: usize,
    /// The route, at the price of this request, or at that which was paid for it
    /// before.
    pub route: &'a Route,
    /// The route, at the price of this request.
    pub asked: &'a Route,
    /// The path that was matched and is forwarded.
    pub path: CanonicalPath,
    /// The URL that is sold: origin, canonical path and query.
    pub url: String,
    /// The request's method.
    pub method: Method,
}

/// A payment that was refused without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In which version it was made, and so is answered.
    pub version: Version,
    /// Why.
    pub reason: Reason,
    /// The offer that it was meant for, if that is known.
    pub offer: Option<usize>,
}

/// A request with a payment that passed every local check.
#[derive(Debug)]
pub struct Purchase<'a> {
    /// What is bought.
    pub sale: Sale<'a>,
    /// The number of the offer that was accepted.
    pub offer: usize,
    /// In which version.
    pub version: Version,
    /// The payment.
    pub payment: VerifiedPayment,
    /// The payment as the client sent it, without what nobody reads.
    pub payload: Rc<Value>,
    /// The client's own name for the payment.
    pub identifier: Option<String>,
    /// Why it can only get what it has bought, if so: its time is over, or that of
    /// its fee payer; or its offer is withdrawn, because the route is off or this
    /// request costs something else now.
    pub only_collects: Option<Reason>,
    /// Whether the client would rather fetch the goods by a delivery cookie than
    /// have them in the answer.
    pub prefers_minimal: bool,
    /// Whether the client can't read a redirect, and would rather be told in
    /// another way where it leads.
    pub prefers_manual: bool,
}

/// Decides what to do with a request.
pub fn decide<'a>(loaded: &'a Loaded, head: &impl Head, now: UnixSeconds) -> Decision<'a> {
    decide_at(loaded, head, now, None)
}

/// The same where the origin says the price, with the request's route at that.
pub fn decide_at<'a>(
    loaded: &'a Loaded,
    head: &impl Head,
    now: UnixSeconds,
    quoted: Option<&'a Route>,
) -> Decision<'a> {
    let parts = head.parts();
    let method: Method = match head.method().parse() {
        Ok(method) => method,
        Err(never) => match never {},
    };
    let Asked { path, found } = match door::find(loaded, parts.path, &method) {
        Ok(Some(asked)) => asked,
        Ok(None) => return Decision::Closed,
        Err(bad) => return Decision::BadRequest(bad.message()),
    };
    if let Some(asked) = cors::preflight_method(&method, head)
        && (found.route.is_some() || door::is_sold(loaded, &path, &asked))
    {
        return Decision::Preflight;
    }
    if let Some(message) = door::override_in(loaded, head, parts.query, (&path, &method), found) {
        return Decision::BadRequest(message);
    }
    let Some(number) = found.route else { return Decision::Forward(path) };
    let Ok(config) = &loaded.config else { return Decision::Closed };
    let Some(route) = config.routes.get(number) else { return Decision::Closed };
    let url = format!("{}{}{}", parts.origin.to_ascii_lowercase(), path.as_str(), parts.query);
    // What is off goes to those alone who have paid.
    let is_free = route.on
        && who::is_free(route, head)
        && !cors::is_by_page_elsewhere(&loaded.trusted_pages, parts.origin, head);
    let whole = quoted.unwrap_or(route);
    let route = whole.for_request(head, &method, parts.query);
    let sale = Sale { number, route, asked: route, path, url, method };
    if let Some(keys) = &config.grant_keys
        && sale.scope().admits(whole, keys, head, now)
    {
        return Decision::Granted(sale);
    }
    if is_free {
        return Decision::Free(sale);
    }
    // None of its networks can take a payment now, or the origin was not asked.
    if route.offers.is_empty() && route.former.is_empty() {
        return if route.on { Decision::Closed } else { Decision::Off };
    }
    if route.lacks_quote() {
        return Decision::AskPrice(sale);
    }
    match read_payment(head) {
        Err(message) => Decision::BadRequest(message),
        Ok(None) => match sale.collection(whole, config, head, now) {
            Some((route, collection)) => Decision::Collect(Sale { route, ..sale }, collection),
            None if !route.on => Decision::Off,
            None if sale.may_be_free(loaded, parts.origin, head) => Decision::MayBeFree(sale),
            None => Decision::PaymentRequired(sale, None),
        },
        Ok(Some(payment)) => {
            let version = payment.version;
            let identifier = payment.identifier.clone();
            // A client that speaks v1 has no way to name its payments.
            if route.payment_identifier == PaymentIdentifier::Required
                && version == Version::V2
                && identifier.is_none()
            {
                return Decision::BadRequest(
                    "extensions.payment-identifier.info.id is required: \
                     16 to 128 of a-z A-Z 0-9 _ -",
                );
            }
            // Its offer is not withdrawn: nobody can say now what it is.
            let is_open = |it: &Network| it.is_on_offer() || !names(it, &payment);
            if !config.networks.iter().all(|network| is_open(network)) {
                return Decision::Closed;
            }
            match whole.check_at_all(route, config, &payment, now) {
                Ok((paid, Chosen { offer, payment, payload, has_lapsed })) => {
                    // Nobody is charged for what was asked before.
                    let is_withdrawn =
                        !route.on || offer >= paid.offers.len() || paid.price != route.price;
                    let withdrawn = is_withdrawn.then_some(Reason::InvalidPaymentRequirements);
                    let lapsed = has_lapsed.then(|| payment.too_late());
                    Decision::Purchase(Box::new(Purchase {
                        prefers_minimal: sale.prefers_minimal(config, head),
                        prefers_manual: asks_for(head, REDIRECT_MANUAL),
                        sale: Sale { route: paid, ..sale },
                        offer,
                        version,
                        payment,
                        payload,
                        identifier,
                        only_collects: withdrawn.or(lapsed),
                    }))
                }
                Err(_) if !route.on => Decision::Off,
                Err((reason, offer)) => {
                    Decision::PaymentRequired(sale, Some(Refusal { version, reason, offer }))
                }
            }
        }
    }
}

/// The payment that a request carries, if it carries one and only one.
fn read_payment(head: &impl Head) -> Result<Option<PaymentPayload>, &'static str> {
    let v1 = head.header(Version::V1.payment_header());
    let v2 = head.header(Version::V2.payment_header());
    let (version, value) = match (v1, v2) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("send X-PAYMENT or PAYMENT-SIGNATURE, not both"),
        (Some(value), None) => (Version::V1, value),
        (None, Some(value)) => (Version::V2, value),
    };
    if value.contains(',') {
        return Err("the payment header was sent more than once");
    }
    PaymentPayload::from_header(version, &value).map(Some).map_err(InvalidPayment::message)
}

impl Sale<'_> {
    /// What a payment for this is bound to: what the buyer has agreed to, and
    /// nothing that the seller may change while a purchase is on its way.
    pub fn binding(&self, offer: &Offer, body: &BoundBody) -> String {
        self.binding_for(self.method.as_str(), offer, body)
    }

    /// The same for a GET request without a body.
    pub fn binding_of_get(&self, offer: &Offer) -> String {
        self.binding_for("GET", offer, &BoundBody::none())
    }

    fn binding_for(&self, method: &str, offer: &Offer, body: &BoundBody) -> String {
        let PaymentRequirements { network, asset, amount, pay_to, .. } = &offer.v2;
        // None of the parts can hold a line break.
        let bound = format!(
            "{method}\n{}\n{}\n{network}\n{asset}\n{amount}\n{pay_to}",
            self.url,
            body.bound(),
        );
        format!("1/{}", encode_hex(&keccak256(bound.as_bytes())))
    }

    /// The same as release 0.1.0 wrote it: over all terms, and for some methods
    /// without the body.
    pub fn former_binding(&self, offer: &Offer, body: &BoundBody) -> String {
        let terms = offer.terms.agreed_text();
        let body = if self.method.is_safe() { String::new() } else { body.former() };
        // None of the parts but the last can hold a line break.
        let bound = format!("{}\n{}\n{body}\n{terms}", self.method, self.url);
        encode_hex(&keccak256(bound.as_bytes()))
    }
}

impl Offer {
    /// The network's name in a client's version of the protocol.
    pub fn network_name(&self, version: Version) -> String {
        match (version, &self.v1) {
            (Version::V1, Some(v1)) => v1.network.clone(),
            _ => self.v2.network.to_string(),
        }
    }

    /// The receipt of a payment that was settled.
    pub fn receipt(&self, version: Version, settlement: &Settlement) -> SettlementResponse {
        SettlementResponse {
            success: true,
            error_reason: None,
            payer: Some(settlement.payer.clone()),
            transaction: settlement.transaction.clone(),
            network: self.network_name(version),
            amount: Some(settlement.amount),
        }
    }

    /// The receipt of a payment that was not settled, or not yet.
    pub fn failure(
        &self,
        version: Version,
        reason: Reason,
        payer: Option<String>,
        transaction: Option<String>,
    ) -> SettlementResponse {
        SettlementResponse {
            success: false,
            error_reason: Some(reason),
            payer,
            transaction: transaction.unwrap_or_default(),
            network: self.network_name(version),
            amount: None,
        }
    }
}

#[cfg(test)]
mod tests;
