//! What is no fault and may still surprise a seller.

use super::coin::{UNKNOWN_DAILY_SPEND, coin_of};
use super::{Config, Offer, Who};
use crate::amount::AtomicAmount;

/// The most that a default client pays without being told to, in dollars.
const CLIENT_LIMIT: u32 = 1;

impl Config {
    /// What sellers should know of how buyers will take this configuration: one
    /// line each, with its key.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![];
        if self.tells_machines && self.routes.iter().all(|route| route.listed.is_none()) {
            let note = "TELL_MACHINES: tells of nothing, because no route has listed = true";
            notes.push(note.to_owned());
        }
        for network in &self.networks {
            for (n, token) in network.tokens().enumerate() {
                let table = n.checked_sub(1).map_or(String::new(), |n| format!("tokens[{n}]."));
                let asset = token.asset.address();
                if network.id.known().is_none_or(|known| known.usdc != asset) {
                    notes.push(format!(
                        "NETWORKS.\"{}\".{table}asset: {asset} is in no default client's table of \
                         tokens; buyers must set up theirs to pay with it",
                        network.id
                    ));
                }
            }
        }
        for network in &self.networks {
            let pays_fees = !network.rpc.is_empty() && network.facilitator.is_none();
            if pays_fees
                && network.token.coin_price.is_none()
                && network.id.known().is_none()
                && coin_of(network.id).is_none()
            {
                notes.push(format!(
                    "NETWORKS.\"{0}\".coin_price: what a coin of {0} is worth is not known, so no \
                     fee is too high for a price; set it, and daily_spend, which is \
                     {UNKNOWN_DAILY_SPEND} coin for each key if it is left out",
                    network.id
                ));
            }
        }
        for (number, route) in self.routes.iter().enumerate() {
            let left_out: Vec<_> = route.left_out().iter().map(Offer::in_words).collect();
            if !left_out.is_empty() {
                notes.push(format!(
                    "ROUTES[{number}].networks: clients take 3,000 bytes of a challenge's header, \
                     which has room for {} of {} offers and leaves out {}; name the best first",
                    route.in_header().len(),
                    route.offers.len(),
                    left_out.join(", ")
                ));
            }
            if route.free_for.iter().any(|class| matches!(class.who, Who::People)) {
                notes.push(format!(
                    "ROUTES[{number}].free_for: \"people\" is what a request says of itself: a \
                     program that writes a browser's headers reads for free, too"
                ));
            }
            let mut offers = route.at_all_prices().flat_map(|it| &it.offers);
            let is_above = offers.any(|offer| {
                let limit = 10_u128.checked_pow(offer.token.decimals.into());
                limit.is_some_and(|unit| {
                    offer.v2.amount > AtomicAmount(unit * u128::from(CLIENT_LIMIT))
                })
            });
            if is_above {
                let most = route.at_all_prices().map(|it| it.price).max();
                let key = if most == Some(route.price) { "price" } else { "prices" };
                notes.push(format!(
                    "ROUTES[{number}].{key}: {} is more than the ${CLIENT_LIMIT} that default \
                     clients pay; buyers must raise their limit",
                    most.unwrap_or(route.price)
                ));
            }
        }
        notes
    }
}
