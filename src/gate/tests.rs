use serde_json::{Value, json};

use super::*;
use crate::amount::AtomicAmount;
use crate::config::{self, Settings};
use crate::json::{from_text, to_text};

const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

fn loaded() -> &'static Loaded {
    thread_local! {
        static LOADED: &'static Loaded = Box::leak(Box::new({
        config::read(&Settings {
            origin: Some(json!("zone")),
            routes: Some(json!([
                { "pattern": "/a/*", "price": "$0.01" },
                { "pattern": "/get", "price": "$0.01", "methods": ["GET"] },
                { "pattern": "/post", "price": "$0.01", "methods": ["POST", "PUT"] },
            ])),
            networks: Some(json!({
                "eip155:42161": { "rpc": ["https://arb.example"], "pay_to": PAY_TO },
                "eip155:8453": { "rpc": ["https://base.example"], "pay_to": PAY_TO },
            })),
            evm_relayer_keys: Some(format!("0x{}", "46".repeat(32))),
            ..Settings::default()
        })
    }));
    }
    LOADED.with(|loaded| *loaded)
}

fn offers() -> &'static [Offer] {
    &loaded().config.as_ref().unwrap().routes[0].offers
}

struct Request<'a>(&'a str, &'a str, &'a [(&'a str, &'a str)]);

impl Head for Request<'_> {
    fn method(&self) -> &str {
        self.0
    }

    fn url(&self) -> &str {
        self.1
    }

    fn header(&self, name: &'static str) -> Option<String> {
        let header = self.2.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        header.map(|(_, value)| (*value).to_owned())
    }
}

fn outcome(loaded: &Loaded, method: &str, path: &str, headers: &[(&str, &str)]) -> &'static str {
    let url = format!("https://shop.example{path}");
    match decide(loaded, &Request(method, &url, headers), UnixSeconds(1_700_000_000)) {
        Decision::Forward(_) => "forward",
        Decision::BadRequest(_) => "bad request",
        Decision::Preflight => "preflight",
        Decision::Granted(_) => "granted",
        Decision::Free(_) => "free",
        Decision::Collect(..) => "collect",
        Decision::Off => "off",
        Decision::Closed => "closed",
        Decision::PaymentRequired(..) => "payment required",
        Decision::MayBeFree(_) => "free?",
        Decision::AskPrice(_) => "ask",
        Decision::Purchase(_) => "purchase",
    }
}

#[test]
fn methods_that_are_not_sold_are_free() {
    for (method, path, expected) in [
        ("GET", "/a/b", "payment required"),
        ("HEAD", "/a/b", "payment required"),
        ("POST", "/a/b", "payment required"),
        ("OPTIONS", "/a/b", "payment required"),
        ("PROPFIND", "/a/b", "payment required"),
        ("GET", "/get", "payment required"),
        ("HEAD", "/get", "payment required"),
        ("head", "/get", "payment required"),
        ("POST", "/get", "forward"),
        ("OPTIONS", "/get", "forward"),
        ("POST", "/post", "payment required"),
        ("put", "/post", "payment required"),
        ("GET", "/post", "forward"),
        ("HEAD", "/post", "forward"),
        ("DELETE", "/post", "forward"),
    ] {
        assert_eq!(outcome(loaded(), method, path, &[]), expected, "{method} {path}");
    }
}

#[test]
fn preflights_cost_nothing_and_buy_nothing() {
    const ACRM: &str = "Access-Control-Request-Method";
    let asks = |method| [("Origin", "https://page.example"), (ACRM, method)];
    for (method, path, headers, expected) in [
        ("OPTIONS", "/a/b", &asks("GET")[..], "preflight"),
        ("options", "/a/b", &asks("get"), "preflight"),
        ("OPTIONS", "/a/b", &asks("POST"), "preflight"),
        ("OPTIONS", "/get", &asks("GET"), "preflight"),
        ("OPTIONS", "/get", &asks("HEAD"), "preflight"),
        ("OPTIONS", "/post", &asks("PUT"), "preflight"),
        // What is asked for is free, so the origin says what it allows.
        ("OPTIONS", "/get", &asks("POST"), "forward"),
        ("OPTIONS", "/post", &asks("GET"), "forward"),
        ("OPTIONS", "/free", &asks("GET"), "forward"),
        // These are no preflights.
        ("OPTIONS", "/a/b", &asks("GET")[..1], "payment required"),
        ("OPTIONS", "/a/b", &asks("GET")[1..], "payment required"),
        ("OPTIONS", "/a/b", &asks("OPTIONS"), "preflight"),
        ("GET", "/a/b", &asks("GET"), "payment required"),
        ("POST", "/a/b", &asks("GET"), "payment required"),
        ("OPTIONS", "/a%2Fb", &asks("GET"), "bad request"),
    ] {
        assert_eq!(outcome(loaded(), method, path, headers), expected, "{method} {path}");
    }
    let both = [asks("GET")[0], asks("GET")[1], ("X-PAYMENT", "%")];
    assert_eq!(outcome(loaded(), "OPTIONS", "/a/b", &both), "preflight");
}

#[test]
fn a_preflight_never_opens_a_sold_options() {
    let routes = json!([{ "pattern": "/a", "price": "$1", "methods": ["OPTIONS"] }]);
    let loaded = config::read(&Settings { routes: Some(routes), ..Settings::default() });
    let headers = [("Origin", "null"), ("Access-Control-Request-Method", "GET")];
    assert_eq!(outcome(&loaded, "OPTIONS", "/a", &[]), "closed");
    assert_ne!(outcome(&loaded, "OPTIONS", "/a", &headers), "forward");
}

#[test]
fn networks_go_by_the_name_of_the_version() {
    let [arbitrum, base] = offers() else { panic!() };
    for (offer, version, name) in [
        (base, Version::V1, "base"),
        (base, Version::V2, "eip155:8453"),
        (arbitrum, Version::V1, "eip155:42161"),
        (arbitrum, Version::V2, "eip155:42161"),
    ] {
        assert_eq!(offer.network_name(version), name);
    }
}

#[test]
fn receipts_are_exact() {
    let settlement = Settlement {
        transaction: "0xabc".into(),
        payer: PAY_TO.into(),
        amount: AtomicAmount(10_000),
        settled_at: UnixSeconds(1),
        redeliver_until: UnixSeconds(1_700_000_600),
    };
    let base = &offers()[1];
    for (receipt, expected) in [
        (
            base.receipt(Version::V1, &settlement),
            r#"{"success":true,"payer":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","transaction":"0xabc","network":"base","amount":"10000"}"#,
        ),
        (
            base.receipt(Version::V2, &settlement),
            r#"{"success":true,"payer":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","transaction":"0xabc","network":"eip155:8453","amount":"10000"}"#,
        ),
        (
            base.failure(Version::V2, Reason::InvalidScheme, None, None),
            r#"{"success":false,"errorReason":"invalid_scheme","transaction":"","network":"eip155:8453"}"#,
        ),
        (
            base.failure(Version::V1, Reason::InsufficientFunds, Some("0x1".into()), None),
            r#"{"success":false,"errorReason":"insufficient_funds","payer":"0x1","transaction":"","network":"base"}"#,
        ),
        (
            base.failure(
                Version::V2,
                Reason::SettlementPending,
                Some("0x1".into()),
                Some("0xabc".into()),
            ),
            r#"{"success":false,"errorReason":"settlement_pending","payer":"0x1","transaction":"0xabc","network":"eip155:8453"}"#,
        ),
        (
            base.failure(Version::V1, Reason::DuplicateSettlement, Some("0x1".into()), None),
            r#"{"success":false,"errorReason":"duplicate_settlement","payer":"0x1","transaction":"","network":"base"}"#,
        ),
    ] {
        assert_eq!(to_text(&receipt), expected);
        let header = crate::encoding::decode_base64(&receipt.to_header(), 4_096).unwrap();
        let mut in_header = expected.to_owned();
        if receipt.success && receipt.network == "base" {
            in_header = expected.replace(":true", ":true,\"errorReason\":null");
        }
        assert_eq!(String::from_utf8(header).unwrap(), in_header);
        assert_eq!(from_text::<SettlementResponse>(expected).unwrap(), receipt);
    }
}

#[test]
fn nothing_is_open_when_the_routes_are_unknown() {
    let read =
        |routes: Value| config::read(&Settings { routes: Some(routes), ..Settings::default() });
    for routes in [
        json!(null),
        json!("x"),
        json!([{ "price": "$1" }]),
        json!([{ "pattern": 1, "price": "$1" }, { "pattern": "/a", "price": "$1" }]),
        json!([{ "pattern": "/a", "price": "$1" }, { "pattern": "b", "price": "$1" }]),
    ] {
        let loaded = read(routes.clone());
        assert!(loaded.patterns.is_none());
        for path in ["/", "/a", "/free", "/b"] {
            for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                assert_eq!(outcome(&loaded, method, path, &[]), "closed", "{routes}: {path}");
            }
        }
        assert_eq!(outcome(&loaded, "GET", "/%2f", &[]), "bad request");
    }
    assert_eq!(outcome(&config::read(&Settings::default()), "GET", "/", &[]), "closed");
    // Without routes, nothing is sold.
    assert_eq!(outcome(&read(json!([])), "GET", "/", &[]), "forward");
}

#[test]
fn a_route_with_a_fault_is_closed_for_every_method_it_may_mean() {
    for route in [
        json!({ "pattern": "/a/*", "price": 1 }),
        json!({ "pattern": "/a/*", "methods": "GET", "price": "$1" }),
        json!({ "pattern": "/a/*", "methods": ["POST", "GET,PUT"], "price": "$1" }),
    ] {
        let loaded =
            config::read(&Settings { routes: Some(json!([route])), ..Settings::default() });
        for (method, path, expected) in [
            ("GET", "/a/b", "closed"),
            ("POST", "/%61/b", "closed"),
            ("OPTIONS", "/A", "closed"),
            ("GET", "/b", "forward"),
        ] {
            assert_eq!(outcome(&loaded, method, path, &[]), expected, "{route}: {method} {path}");
        }
    }
}

#[test]
fn a_route_without_methods_is_closed() {
    let route = json!([{ "pattern": "/a", "price": "$1", "methods": [] }]);
    let loaded = config::read(&Settings { routes: Some(route), ..Settings::default() });
    assert!(loaded.config.is_err());
    assert_eq!(outcome(&loaded, "GET", "/a", &[]), "closed");
}
