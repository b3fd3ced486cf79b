//! Which of our offers a payment is for, and whether it is good for that.

use std::rc::Rc;
use std::slice;

use serde_json::Value;

use crate::config::{Config, Network, Offer, Route};
use crate::payment::VerifiedPayment;
use crate::protocol::payment::Accepted;
use crate::protocol::requirements::FACILITATOR_ADDRESS;
use crate::protocol::{PaymentPayload, PaymentRequirements, Reason, Version};
use crate::time::UnixSeconds;

/// The member of a Solana offer's `extra` that names who pays the fees.
const FEE_PAYER: &str = "feePayer";

/// The offer that a payment is for, and the payment, checked against it.
pub(super) struct Chosen {
    /// Its number, see [`Route::offer`].
    pub offer: usize,
    pub payment: VerifiedPayment,
    pub payload: Rc<Value>,
    pub has_lapsed: bool,
}

/// Whether a payment is on this network, as its version calls it.
pub(super) fn names(network: &Network, payment: &PaymentPayload) -> bool {
    match payment.version {
        Version::V1 => network.v1_name == Some(payment.network.as_str()),
        Version::V2 => network.id.to_string() == payment.network,
    }
}

/// Why a payment is refused, and the number of the offer that it was meant for.
pub(super) type Mismatch = (Reason, Option<usize>);

/// Checks a payment against our own requirements for a route, never against
/// what the client claims to have accepted. One for what it has cost before is
/// good for what it has bought.
pub(super) fn check(
    config: &Config,
    route: &Route,
    payment: &PaymentPayload,
    now: UnixSeconds,
) -> Result<Chosen, Mismatch> {
    let checked = check_against(config, &route.offers, payment, now);
    let Err(mismatch) = checked else { return checked };
    // A handful: a route remembers few prices.
    let former = route.former.iter().enumerate().find_map(|(number, offer)| {
        let chosen = check_against(config, slice::from_ref(offer), payment, now).ok()?;
        Some(Chosen { offer: route.offers.len() + number, ..chosen })
    });
    former.ok_or(mismatch)
}

fn check_against(
    config: &Config,
    offers: &[Offer],
    payment: &PaymentPayload,
    now: UnixSeconds,
) -> Result<Chosen, Mismatch> {
    if !offers.iter().any(|offer| offer.v2.scheme == payment.scheme) {
        return Err((Reason::InvalidScheme, None));
    }
    let number = Offer::chosen_of(offers, payment)?;
    let offer = offers.get(number).ok_or((Reason::InvalidNetwork, None))?;
    let checked = offer.terms.check(&payment.payload, now);
    let checked = checked.map_err(|reason| (reason, Some(number)))?;
    // Whoever paid in time may come for the goods later.
    let (verified, has_lapsed) = checked.into_parts();
    // Nobody signs for a former fee payer any more.
    let has_lapsed = has_lapsed || config.has_former_fee_payer(&verified);
    // Of what nobody reads a client may send as much as it likes.
    let payload = Rc::new(verified.whole_payload());
    Ok(Chosen { offer: number, payment: verified, payload, has_lapsed })
}

impl Offer {
    /// Whether a payment is on its network, in a version that has this offer.
    pub(super) fn is_on(&self, payment: &PaymentPayload) -> bool {
        match payment.version {
            Version::V1 => self.v1.as_ref().is_some_and(|v1| v1.network == payment.network),
            Version::V2 => names(&self.network, payment),
        }
    }

    /// Whether this is what a client says that it has accepted. The fee payer
    /// or relayer that it was told of may be another one of ours by now.
    fn is_accepted(&self, accepted: &PaymentRequirements) -> bool {
        if accepted.same_terms(&self.v2) {
            return true;
        }
        [FEE_PAYER, FACILITATOR_ADDRESS].into_iter().any(|member| {
            let Some(named) = accepted.extra.get(member) else { return false };
            named.as_str().is_some_and(|named| self.terms.is_signer(named)) && {
                let mut then = self.v2.clone();
                then.extra.insert(member.into(), named.clone());
                accepted.same_terms(&then)
            }
        })
    }

    /// The number of the offer that a payment is for. In v2 it says so; in v1 it
    /// names a network alone, and what it pays in shows in what was signed.
    fn chosen_of(offers: &[Self], payment: &PaymentPayload) -> Result<usize, Mismatch> {
        let on_network: Vec<_> =
            offers.iter().enumerate().filter(|(_, offer)| offer.is_on(payment)).collect();
        let (first, others) = on_network.split_first().ok_or((Reason::InvalidNetwork, None))?;
        let found = match &payment.accepted {
            Some(Accepted::Terms(accepted)) => {
                on_network.iter().find(|(_, offer)| offer.is_accepted(accepted))
            }
            Some(Accepted::Unreadable) => None,
            None if others.is_empty() => Some(first),
            None => {
                let is_for = |it: &&(_, &Self)| it.1.terms.may_be_for(&payment.payload);
                on_network.iter().find(is_for).or(Some(first))
            }
        };
        match found {
            Some((number, _)) => Ok(*number),
            None => Err((Reason::InvalidPaymentRequirements, Some(first.0))),
        }
    }
}
