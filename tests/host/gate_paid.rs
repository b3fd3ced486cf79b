//! What was bought at one price of a route is good for a request that is asked less,
//! and never for one that is asked more.

use edge402::amount::AtomicAmount;
use edge402::config::{self, Loaded};
use edge402::gate::delivery_cookie::Bought;
use edge402::gate::{BoundBody, Decision, Sale};
use edge402::protocol::Reason;
use edge402::settlement::Settlement;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::signed;
use crate::gate_support::*;

const SETTLER: &str = "eip155:84532/0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";

fn shop_with(price: &str, more: &Value) -> &'static Loaded {
    shop_of(&["/work"], price, more)
}

/// The same with several routes at these prices.
fn shop_of(patterns: &[&str], price: &str, more: &Value) -> &'static Loaded {
    let mut route = json!({
        "price": price,
        "prices": [
            { "when": { "header": { "X-Quality": "high" } }, "price": "$0.05" },
            { "when": { "header": { "X-Quality": "best" } }, "price": "$0.2" },
        ],
    });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    let with = |pattern: &&str| {
        let mut route = route.clone();
        route["pattern"] = json!(pattern);
        route
    };
    let routes = patterns.iter().map(with).collect();
    let mut settings = settings("https://own.example", routes);
    settings.grant_secret = Some("8f".repeat(32));
    let loaded = config::read(&settings);
    config(&loaded);
    Box::leak(Box::new(loaded))
}

fn shop() -> &'static Loaded {
    shop_with("$0.01", &json!({ "access": "1h" }))
}

const QUALITIES: [(&str, &str); 3] = [("any", "$0.01"), ("high", "$0.05"), ("best", "$0.2")];

fn asking(quality: &str) -> Request {
    Request::get("/work").with("X-Quality", quality)
}

fn sale<'a>(loaded: &'a Loaded, quality: &str) -> Sale<'a> {
    match asking(quality).decide(loaded) {
        Decision::PaymentRequired(sale, None) => sale,
        other => panic!("{other:?}"),
    }
}

/// The delivery cookie of what was bought so.
fn cookie_of(loaded: &Loaded, quality: &str) -> String {
    let sale = sale(loaded, quality);
    let mut offers = sale.route.offers.iter();
    let offer = offers.find(|it| it.v2.network.to_string() == "eip155:84532").unwrap();
    let bought = Bought { settler: SETTLER, payment: "p", offer };
    let times = (UnixSeconds(NOW + 600), UnixSeconds(NOW));
    let keys = &config(loaded).delivery_keys;
    let set = sale.delivery_cookie(keys, "/work", &bought, times).unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The grant, and its cookie.
fn grant_of(loaded: &Loaded, quality: &str) -> (String, String) {
    let settlement = Settlement {
        transaction: "0x1".into(),
        payer: "0x2".into(),
        amount: AtomicAmount(50_000),
        settled_at: UnixSeconds(NOW),
        redeliver_until: UnixSeconds(NOW + 600),
    };
    let keys = config(loaded).grant_keys.as_ref().unwrap();
    let grant = sale(loaded, quality).scope().grant(keys, &settlement, UnixSeconds(NOW)).unwrap();
    (grant.token, grant.cookie.split(';').next().unwrap().to_owned())
}

#[test]
fn a_delivery_cookie_is_good_where_less_is_asked() {
    let loaded = shop();
    for (bought, (quality, paid)) in QUALITIES.into_iter().enumerate() {
        let cookie = cookie_of(loaded, quality);
        let at_its_price = sale(loaded, quality);
        for (asked, (other, price)) in QUALITIES.into_iter().enumerate() {
            match asking(other).with("Cookie", &cookie).decide(loaded) {
                Decision::Collect(sale, it) => {
                    assert!(bought >= asked, "{quality} for {other}");
                    assert_eq!(sale.route.price.to_string(), paid);
                    // Where it can't be had any more, today's price is asked.
                    assert_eq!(sale.asked.price.to_string(), price);
                    // It is what the payment was bound to.
                    let offer = sale.route.offer(it.offer).unwrap();
                    assert_eq!(
                        sale.binding_of_get(offer),
                        at_its_price.binding(offer, &BoundBody::none())
                    );
                }
                Decision::PaymentRequired(sale, None) => {
                    assert!(bought < asked, "{quality} for {other}");
                    assert_eq!(sale.route.price.to_string(), price);
                }
                decision => panic!("{decision:?}"),
            }
        }
    }
}

#[test]
fn a_cookie_for_the_routes_own_price_is_good_for_a_lower_one() {
    let loaded = shop_with("$0.10", &json!({}));
    let cookie = cookie_of(loaded, "any");
    for (quality, is_good) in [("any", true), ("high", true), ("best", false)] {
        let decision = asking(quality).with("Cookie", &cookie).decide(loaded);
        assert_eq!(matches!(decision, Decision::Collect(..)), is_good, "{quality}");
    }
}

#[test]
fn a_grant_is_good_where_less_is_asked() {
    let loaded = shop();
    for (bought, (quality, _)) in QUALITIES.into_iter().enumerate() {
        let (token, cookie) = grant_of(loaded, quality);
        for (asked, (other, _)) in QUALITIES.into_iter().enumerate() {
            let expected = if bought >= asked { "granted 0 /work" } else { "402 0 /work" };
            for request in
                [asking(other).with("PAYMENT-GRANT", &token), asking(other).with("Cookie", &cookie)]
            {
                assert_eq!(request.outcome(loaded), expected, "{quality} for {other}");
            }
        }
    }
    // A price that is gone from the configuration opens nothing, nor does one that
    // is written into a grant for another.
    let (token, _) = grant_of(loaded, "best");
    let other = shop_with(
        "$0.01",
        &json!({ "access": "1h", "prices": [
        { "when": { "header": { "X-Quality": "high" } }, "price": "$0.05" },
    ] }),
    );
    assert_eq!(asking("any").with("PAYMENT-GRANT", &token).outcome(other), "402 0 /work");
    let (cheap, _) = grant_of(loaded, "any");
    let (claims, code) = cheap.rsplit_once('.').unwrap();
    let forged = format!("{claims}.$0.2.{code}");
    assert_eq!(asking("best").with("PAYMENT-GRANT", &forged).outcome(loaded), "402 0 /work");
}

#[test]
fn a_grant_for_less_leaves_that_for_more_in_its_place() {
    let loaded = shop();
    let cookies = QUALITIES.map(|(quality, _)| grant_of(loaded, quality).1);
    let names = cookies.each_ref().map(|it| it.split('=').next().unwrap());
    for (n, name) in names.iter().enumerate() {
        assert!(!names[..n].contains(name), "{names:?}");
    }
    // A browser has them all, whichever it got last.
    let request = asking("best").with("Cookie", &cookies.join("; "));
    assert_eq!(request.outcome(loaded), "granted 0 /work");
}

#[test]
fn what_is_paid_is_good_for_the_same_request_elsewhere_and_else_where_nothing_costs_more() {
    let loaded = shop_of(&["/work", "/other"], "$0.01", &json!({}));
    let is_good = |quality, to: &str| {
        let sale = sale(loaded, quality);
        let offer = &sale.route.offers[0];
        sale.sale_at(loaded, offer, (302, Some(to))).is_some()
    };
    for (quality, _) in QUALITIES {
        assert!(is_good(quality, "/work"), "the origin sends the same request on");
        // What a client will say there nobody knows.
        assert_eq!(is_good(quality, "/work?x=1"), quality == "best", "{quality}");
        // Nor on another route of the same prices.
        assert_eq!(is_good(quality, "/other"), quality == "best", "{quality}");
    }
}

#[test]
fn a_fresh_payment_for_more_than_is_asked_buys_nothing() {
    let loaded = shop();
    let paying = |quality: &str, payment: &Value| asking(quality).paying(payment).decide(loaded);
    let mut payment = v2(&signed(|it| it.value = AtomicAmount(50_000).into()));
    payment["accepted"]["amount"] = json!("50000");
    let payment_v1 = v1(&signed(|it| it.value = AtomicAmount(50_000).into()));
    for payment in [payment, payment_v1] {
        for (quality, only_collects) in
            [("high", None), ("any", Some(Reason::InvalidPaymentRequirements))]
        {
            match paying(quality, &payment) {
                Decision::Purchase(purchase) => {
                    assert_eq!(purchase.only_collects, only_collects);
                    assert_eq!(purchase.sale.route.price.to_string(), "$0.05");
                    // What it bought before is still to be had; else it is asked so.
                    let asked = if quality == "any" { "$0.01" } else { "$0.05" };
                    assert_eq!(purchase.sale.asked.price.to_string(), asked);
                }
                other => panic!("{other:?}"),
            }
        }
        match paying("best", &payment) {
            Decision::PaymentRequired(sale, Some(_)) => {
                assert_eq!(sale.route.price.to_string(), "$0.2");
            }
            other => panic!("{other:?}"),
        }
    }
}
