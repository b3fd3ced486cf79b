//! What is ordered: the messages to the Settler that a purchase comes to.

use std::net::IpAddr;
use std::rc::Rc;

use serde_json::Value;

use super::tariff::Tariff;
use crate::amount::AtomicAmount;
use crate::config::{Offer, SettleWhen};
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::gate::{BoundBody, Collection, Purchase, Sale};
use crate::protocol::Reason;
use crate::settlement::{ClaimRequest, Metered, Proof, SettleRequest, Sold, Unpaid, Wanted};
use crate::time::UnixSeconds;

/// One order, as the Settler is asked for it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The claim.
    pub claim: ClaimRequest,
    /// The settlement of what was claimed.
    pub settle: Rc<SettleRequest>,
    /// Whether the origin is asked before or after the settlement.
    pub when: SettleWhen,
    /// Whether a facilitator settles it, instead of nodes.
    pub has_facilitator: bool,
    /// Why it is refused if it has bought nothing, where the claim only looks.
    pub too_late: Reason,
    /// Whether the client would rather fetch the goods by a cookie than have
    /// them in this answer.
    pub prefers_minimal: bool,
    /// How it is charged, if by use.
    pub tariff: Option<Tariff>,
}

/// What a gate knows of a request besides the purchase itself.
#[derive(Debug)]
pub struct Request<'a> {
    /// The body.
    pub body: BoundBody,
    /// The address that it came from, where the edge itself says so.
    pub address: Option<&'a str>,
    /// Names the request. Random.
    pub ticket: u64,
    /// What a facilitator is asked with, where the network has one.
    pub remote: Option<Value>,
    /// Whether a facilitator settles it, instead of nodes.
    pub has_facilitator: bool,
}

impl Order {
    /// The order that a request comes to.
    pub fn new(purchase: &Purchase<'_>, offer: &Offer, it: Request<'_>, now: UnixSeconds) -> Self {
        let route = purchase.sale.route;
        let payment = purchase.payment.identity();
        let payer = purchase.payment.payer();
        let proof = Proof {
            // A name is the payer's own: nobody else can use it up.
            identifier: purchase.identifier.as_ref().map(|name| format!("{payer}/{name}")),
            client: it.address.and_then(|address| client_of(&payment, address)),
        };
        let by_use = route.by_use.as_ref();
        let bounds = by_use.map(|by_use| by_use.unsettled_max(offer));
        let has_meter = by_use.is_some_and(|by_use| by_use.meter.is_some());
        let unpaid = by_use.map(|by_use| {
            let (payer_max, route_max) = by_use.unpaid_max(offer);
            Unpaid {
                payer,
                route: route.name.clone(),
                asset: offer.terms.asset(),
                payer_max,
                route_max,
                is_metered: has_meter,
            }
        });
        let mut claim = ClaimRequest {
            payment,
            resource: purchase.sale.binding(offer, &it.body),
            former: Some(purchase.sale.former_binding(offer, &it.body)),
            ticket: it.ticket,
            expires_at: purchase.payment.expires_at(now),
            proof,
            by_cookie: None,
            by_other_site: false,
            only_here: route.asks_more(),
            // What can't be told from another order is not delivered again.
            redeliver_max: if it.body.is_unread() { 0 } else { route.redeliver_max },
            look_only: purchase.only_collects.is_some(),
            reserve_seconds: None,
            told: None,
            to_prove: None,
            to_prepare: None,
            asker: None,
            unpaid,
        };
        let metered = bounds.filter(|_| has_meter).map(|(payer_max, route_max)| Metered {
            route: route.name.clone(),
            payer_max,
            route_max,
        });
        let settle = Rc::new(SettleRequest {
            payment: claim.payment.clone(),
            ticket: claim.ticket,
            resource: claim.resource.clone(),
            proof: claim.proof.clone(),
            network: offer.v2.network,
            terms: offer.terms.clone(),
            payload: purchase.payload.clone(),
            redeliver_seconds: route.redeliver.as_secs(),
            redeliver_max: claim.redeliver_max,
            once: false,
            account: None,
            remote: it.remote,
            charge: None,
            metered,
            unpaid: claim.unpaid.clone(),
            sold: Some(Sold::at_gate(
                purchase.version.number(),
                route.pattern.as_str(),
                purchase.sale.path.as_str(),
                purchase.sale.method.as_str(),
            )),
        });
        if purchase.payment.signature_to_prove().is_some() {
            claim.to_prove = Some(Rc::clone(&settle));
            claim.asker = it.address.and_then(asker_of);
        } else if route.settle == SettleWhen::After && by_use.is_none() && !it.has_facilitator {
            claim.to_prepare = Some(Rc::clone(&settle));
        }
        Self {
            claim,
            settle,
            when: route.settle,
            has_facilitator: it.has_facilitator,
            too_late: purchase.only_collects.unwrap_or_else(|| purchase.payment.too_late()),
            // A cookie says nothing of a body.
            prefers_minimal: purchase.prefers_minimal && it.body.is_none(),
            tariff: route.by_use.as_ref().map(|by_use| Tariff {
                most: offer.v2.amount,
                decimals: offer.token.decimals,
                meter: by_use.meter.clone(),
                without_amount: by_use.without_amount,
            }),
        }
    }

    /// What the Settler is asked to settle: all of it, or so much.
    pub(super) fn to_settle(&self, charge: Option<AtomicAmount>) -> Rc<SettleRequest> {
        match charge {
            None => Rc::clone(&self.settle),
            Some(_) => Rc::new(SettleRequest { charge, ..SettleRequest::clone(&self.settle) }),
        }
    }

    /// What is asked of the Settler by a delivery cookie. What was bought is the
    /// GET request's, whichever of GET and HEAD comes for it.
    pub fn by_cookie(
        collection: &Collection,
        sale: &Sale<'_>,
        offer: &Offer,
        wanted: Wanted,
        ticket: u64,
    ) -> ClaimRequest {
        ClaimRequest {
            payment: collection.payment.clone(),
            resource: sale.binding_of_get(offer),
            former: None,
            ticket,
            // It binds nothing, so nothing is kept.
            expires_at: UnixSeconds(0),
            proof: Proof::default(),
            by_cookie: Some(wanted),
            by_other_site: collection.by_other_site,
            only_here: sale.route.asks_more(),
            redeliver_max: sale.route.redeliver_max_by_cookie,
            look_only: true,
            reserve_seconds: None,
            told: None,
            to_prove: None,
            to_prepare: None,
            asker: None,
            unpaid: None,
        }
    }

    /// Whether the origin is asked once the payment is claimed, before anybody else
    /// is.
    pub(super) fn asks_early(&self) -> bool {
        let has_meter = self.tariff.as_ref().is_some_and(|tariff| tariff.meter.is_some());
        self.when == SettleWhen::After && !self.has_facilitator && !has_meter
    }

    /// What every edge may know the buyer by: nothing, where the Settler must
    /// count.
    pub(super) fn kept_proof(&self) -> Proof {
        if self.claim.redeliver_max == 0 { Proof::default() } else { self.claim.proof.clone() }
    }
}

/// What the subrequests of everybody's Workers to other zones come from: an
/// address that proves nothing.
const WORKERS: [u16; 3] = [0x2a06, 0x98c0, 0x3600];

/// By what a client is known again: a hash of the place that it asks from. The
/// payment is in it, so that nobody's purchases can be told to be one person's.
fn client_of(payment: &str, address: &str) -> Option<String> {
    let place = place_of(address)?;
    Some(encode_hex(&keccak256(format!("edge402 client 1\n{payment}\n{place}").as_bytes())))
}

/// Who asks, as long as that is counted: nobody keeps it.
fn asker_of(address: &str) -> Option<String> {
    let place = place_of(address)?;
    Some(encode_hex(&keccak256(format!("edge402 asker 1\n{place}").as_bytes())))
}

/// The place that a client asks from, by its address, as Cloudflare's edge names
/// it: the IPv4 address, or the first 64 bits of the IPv6 address, which are one
/// household's.
pub fn place_of(address: &str) -> Option<String> {
    match address.trim().parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) if address.segments().starts_with(&WORKERS) => None,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{d:x}/64"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_ipv4_address_or_its_ipv6_network() {
        let client = |address| client_of("p", address);
        let first = client("203.0.113.7").unwrap();
        assert_eq!(client("::ffff:203.0.113.7"), Some(first.clone()));
        assert_ne!(client("203.0.113.8"), Some(first.clone()));
        assert_ne!(client_of("q", "203.0.113.7"), Some(first));
        let home = client("2001:db8:1:2::3").unwrap();
        assert_eq!(client("2001:db8:1:2:ffff::"), Some(home.clone()));
        assert_ne!(client("2001:db8:1:3::3"), Some(home));
        for nobody in ["", "unknown", "203.0.113.7, 203.0.113.8", "2a06:98c0:3600::103"] {
            assert_eq!(client(nobody), None, "{nobody}");
        }
    }
}
