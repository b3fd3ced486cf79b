//! Routes that are sold by use.

use super::*;
use crate::meter::{What, WithoutAmount};

fn sold(more: &Value) -> Value {
    let mut route = json!({
        "pattern": "/model", "price": "$0.25", "scheme": "upto", "networks": [BASE],
    });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    let mut config = good();
    config["ROUTES"][1] = route;
    config
}

#[test]
fn a_meter_is_read() {
    let meter = json!({ "json": "usage.total_tokens", "per": 1000, "price": "$0.002" });
    let loaded = load(&sold(&json!({
        "meter": meter, "without_amount": "most", "unsettled_max": { "payer": "$1" },
    })));
    let config = loaded.config.unwrap();
    let route = &config.routes[1];
    let by_use = route.by_use.as_ref().unwrap();
    let read = by_use.meter.as_ref().unwrap();
    assert_eq!(read.what, What::Json("usage.total_tokens".parse().unwrap()));
    assert_eq!((read.per, read.price), (1_000, "$0.002".parse().unwrap()));
    assert_eq!(by_use.without_amount, WithoutAmount::Most);
    let (payer, all) = by_use.unsettled_max(&route.offers[0]);
    assert_eq!((payer, all), (AtomicAmount(1_000_000), AtomicAmount(10_000_000)));
    // What is counted went out before it was settled.
    assert_eq!((route.redeliver_max, route.redeliver_max_by_cookie), (0, 0));
    let v2 = route.offers[0].v2.to_value();
    assert_eq!((&v2["scheme"], &v2["amount"]), (&json!("upto"), &json!("250000")));
    assert_eq!(v2["extra"]["assetTransferMethod"], "permit2");
    assert_eq!(v2["extra"]["facilitatorAddress"], config.relayers[0].address().to_string());
    assert!(route.offers[0].v1.is_none());
}

#[test]
fn half_of_what_may_go_unpaid_in_a_day_is_one_payers() {
    for (bounds, payer, all) in [
        (json!(null), 1_000_000, 10_000_000),
        (json!({ "payer": "$2", "route": "$3" }), 1_500_000, 3_000_000),
        (json!({ "payer": "$9" }), 5_000_000, 10_000_000),
        // Never less than one payment.
        (json!({ "route": "$0.30" }), 250_000, 300_000),
    ] {
        let config = load(&sold(&json!({ "unsettled_max": bounds }))).config.unwrap();
        let route = &config.routes[1];
        let read = route.by_use.as_ref().unwrap().unpaid_max(&route.offers[0]);
        assert_eq!(read, (AtomicAmount(payer), AtomicAmount(all)), "{bounds}");
    }
}

#[test]
fn without_a_meter_the_origin_tells() {
    let loaded = load(&sold(&json!({})));
    let config = loaded.config.unwrap();
    let by_use = config.routes[1].by_use.as_ref().unwrap();
    assert_eq!((&by_use.meter, by_use.without_amount), (&None, WithoutAmount::Nothing));
    // What it uses again is charged to nobody.
    assert_eq!((config.routes[1].redeliver_max, config.routes[1].redeliver_max_by_cookie), (0, 0));
    let again = load(&sold(&json!({ "redeliver_max": 2 }))).config.unwrap();
    assert_eq!((again.routes[1].redeliver_max, again.routes[1].redeliver_max_by_cookie), (2, 2));
    assert!(config.routes[0].by_use.is_none());
}

#[test]
fn each_fault_names_its_key() {
    let bytes = json!({ "bytes": 1_048_576, "price": "$0.01" });
    assert!(load(&sold(&json!({ "meter": bytes }))).config.is_ok());
    for (more, key) in [
        (json!({ "scheme": "up to" }), "ROUTES[1].scheme"),
        (json!({ "scheme": "exact", "meter": bytes }), "ROUTES[1].meter"),
        (json!({ "scheme": "exact", "without_amount": "most" }), "ROUTES[1].without_amount"),
        (json!({ "scheme": null, "unsettled_max": {} }), "ROUTES[1].unsettled_max"),
        (json!({ "networks": [BASE, DEVNET] }), "ROUTES[1].scheme"),
        (json!({ "settle": "before" }), "ROUTES[1].settle"),
        (json!({ "without_amount": "all" }), "ROUTES[1].without_amount"),
        (json!({ "meter": "usage" }), "ROUTES[1].meter"),
        (json!({ "meter": { "price": "$1" } }), "ROUTES[1].meter"),
        (json!({ "meter": { "json": "a", "bytes": 1, "price": "$1" } }), "ROUTES[1].meter"),
        (json!({ "meter": { "json": "a..b", "price": "$1" } }), "ROUTES[1].meter.json"),
        (json!({ "meter": { "json": "a" } }), "ROUTES[1].meter.price"),
        (json!({ "meter": { "json": "a", "price": "1" } }), "ROUTES[1].meter.price"),
        (json!({ "meter": { "json": "a", "price": "$0" } }), "ROUTES[1].meter.price"),
        (json!({ "meter": { "json": "a", "price": "$1", "per": 0 } }), "ROUTES[1].meter.per"),
        (json!({ "meter": { "bytes": 0, "price": "$1" } }), "ROUTES[1].meter.bytes"),
        (json!({ "meter": { "bytes": 9, "per": 2, "price": "$1" } }), "ROUTES[1].meter.per"),
        (
            json!({ "meter": bytes, "unsettled_max": { "payer": "1" } }),
            "ROUTES[1].unsettled_max.payer",
        ),
        (json!({ "meter": bytes, "unsettled_max": "$1" }), "ROUTES[1].unsettled_max"),
    ] {
        assert_eq!(keys(&sold(&more)), [key], "{more}");
    }
    let mut with_access = sold(&json!({ "access": "1h" }));
    with_access["GRANT_SECRET"] = json!("77".repeat(32));
    assert_eq!(keys(&with_access), ["ROUTES[1].access"]);
}

#[test]
fn a_network_of_somebody_elses_facilitator_sells_nothing_by_use() {
    let network = json!({ "facilitator": "https://facilitator.example", "pay_to": PAY_TO });
    let mut config = sold(&json!({}));
    config["NETWORKS"][BASE] = network;
    assert_eq!(keys(&config), ["ROUTES[1].scheme"]);
}
