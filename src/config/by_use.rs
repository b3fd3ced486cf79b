//! How a route is charged that is sold by use (x402's scheme `upto`).

use serde_json::Value;

use super::fields::Fields;
use super::network::Network;
use super::offer::Offer;
use crate::amount::{AtomicAmount, Price};
use crate::meter::{Meter, What, WithoutAmount};

/// The keys of a route that only this scheme has.
const OWN: &[&str] = &["meter", "without_amount", "unsettled_max"];

/// How many times the price one payer may have unsettled where the seller sets
/// nothing.
const PAYER_TIMES: u128 = 4;

/// The same for all payers of a route together.
const ROUTE_TIMES: u128 = 40;

/// How a route is charged: what was used, and its price at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByUse {
    /// What counts it; `None` where the origin tells.
    pub meter: Option<Meter>,
    /// What is charged where nothing says how much was used.
    pub without_amount: WithoutAmount,
    /// How much one payer may have unsettled.
    payer_max: Option<Price>,
    /// How much all payers together may.
    route_max: Option<Price>,
}

/// Reads the scheme of a route, and what belongs to it; `None` where it is sold
/// for an exact amount.
pub(super) fn read_by_use(fields: &Fields<'_>) -> Option<ByUse> {
    match fields.text("scheme") {
        None | Some("exact") => {
            for key in OWN.iter().filter(|key| fields.has(key)) {
                fields.fault(key, "is for scheme = \"upto\" only");
            }
            return None;
        }
        Some("upto") => {}
        Some(_) => {
            fields.fault("scheme", "must be \"exact\" or \"upto\"");
            return None;
        }
    }
    if fields.text("settle") == Some("before") {
        let problem = "must be \"after\" with scheme = \"upto\": nobody knows before how much \
                       will be used";
        fields.fault("settle", problem);
    }
    if fields.has("access") {
        let problem = "can't be sold with scheme = \"upto\": later requests would cost nothing; \
                       sell it on a route of its own";
        fields.fault("access", problem);
    }
    let without_amount = match fields.text("without_amount") {
        None | Some("nothing") => WithoutAmount::Nothing,
        Some("most") => WithoutAmount::Most,
        Some(_) => {
            fields.fault("without_amount", "must be \"most\" or \"nothing\"");
            WithoutAmount::Nothing
        }
    };
    let meter =
        within(fields, "meter", &["json", "bytes", "per", "price"]).and_then(|it| read_meter(&it));
    let bounds = within(fields, "unsettled_max", &["payer", "route"]);
    let bound = |name| bounds.as_ref().and_then(|fields| read_dollars(fields, name));
    Some(ByUse { meter, without_amount, payer_max: bound("payer"), route_max: bound("route") })
}

/// A table within a route's.
fn within<'a>(fields: &Fields<'a>, name: &str, known: &[&str]) -> Option<Fields<'a>> {
    let value: &'a Value = fields.value().get(name).filter(|value| !value.is_null())?;
    Some(Fields::new(fields.key(name), value, known, fields.faults()))
}

fn read_meter(fields: &Fields<'_>) -> Option<Meter> {
    let price = fields.needed("price", "dollars, such as \"$0.002\"");
    let price = price.and_then(|_| read_dollars(fields, "price"));
    let most = 1_000_000_000_000;
    let (what, per) = match (fields.has("json"), fields.has("bytes")) {
        (true, false) => {
            let path = fields.text("json").and_then(|text| {
                let path = text.parse();
                if path.is_err() {
                    let problem = "must be names with points between, such as \
                                   \"usage.total_tokens\"";
                    fields.fault("json", problem);
                }
                path.ok()
            });
            (path.map(What::Json), fields.number("per", 1..=most).or(Some(1)))
        }
        (false, true) => {
            if fields.has("per") {
                fields.fault("per", "is for json; bytes itself says how many the price is for");
            }
            (Some(What::Bytes), fields.number("bytes", 1..=most))
        }
        _ => {
            fields.report(
                "needs json or bytes, and not both: { json = \"usage.total_tokens\", per = 1000, \
                 price = \"$0.002\" } or { bytes = 1048576, price = \"$0.01\" }",
            );
            (None, None)
        }
    };
    Some(Meter { what: what?, per: per?, price: price? })
}

fn read_dollars(fields: &Fields<'_>, name: &str) -> Option<Price> {
    let price = fields.text(name)?.parse().ok();
    if price.is_none() {
        fields.fault(name, "must be dollars above zero, such as \"$0.01\"");
    }
    price
}

impl ByUse {
    /// What stands in the way of such an offer on a network: what to do about
    /// it.
    pub(super) fn problem_on(network: &Network) -> Option<String> {
        let id = network.id;
        if id.names_fee_payer() {
            return Some(format!(
                "is on EVM only: leave {id} out of the route's networks, or sell it there on a \
                 route of its own"
            ));
        }
        network.facilitator.is_some().then(|| {
            format!(
                "must be settled by this Worker's own relayers, and {id} has a facilitator: leave \
                 it out of the route's networks"
            )
        })
    }

    /// How much one payer and all payers together may have unsettled, in atomic
    /// units of an offer's token; never less than one payment.
    pub fn unsettled_max(&self, offer: &Offer) -> (AtomicAmount, AtomicAmount) {
        let price = offer.v2.amount;
        let units = |bound: Option<Price>, times: u128| {
            let given = bound.map(|bound| bound.times(1, 1, offer.token.decimals));
            let units = given.unwrap_or_else(|| price.0.checked_mul(times));
            AtomicAmount(units.unwrap_or(u128::MAX)).max(price)
        };
        (units(self.payer_max, PAYER_TIMES), units(self.route_max, ROUTE_TIMES))
    }

    /// The same for what goes unpaid in a day: half of it all at most is one
    /// payer's, so that nobody can use up alone what is everybody's.
    pub fn unpaid_max(&self, offer: &Offer) -> (AtomicAmount, AtomicAmount) {
        let (of_payer, of_all) = self.unsettled_max(offer);
        (of_payer.min(AtomicAmount(of_all.0 / 2).max(offer.v2.amount)), of_all)
    }
}
