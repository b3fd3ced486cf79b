//! What goes straight to the origin: nothing but what the gate would forward as it is.
//! [`Request::decide`] compares the two for every request of these tests.

use crate::gate_support::{Request, SHOP, routes, settings, site};
use edge402::config::{self, Loaded};
use edge402::gate::straight::free_from;
use serde_json::json;

fn goes_straight(request: &Request, loaded: &Loaded) -> bool {
    request.decide(loaded);
    request.goes_straight(loaded)
}

#[test]
fn a_free_page_in_its_one_spelling_goes_straight() {
    for target in ["/", "/about", "/about?x=/premium/page", "/free/https://e.example/a", "/a%20b"] {
        for method in ["GET", "HEAD"] {
            let request = Request::new(method, target).with("Cookie", "session=1");
            assert!(goes_straight(&request, site()), "{method} {target}");
            let (at, _) = free_from(site(), method, &format!("{SHOP}{target}")).unwrap();
            assert_eq!(at, SHOP.len());
        }
    }
    for target in [
        "",
        "?x",
        "/about#x",
        "/%61bout",
        "//about",
        "/x/../about",
        "/caf%c3%a9",
        "/café",
        "/premium/page",
        "/PREMIUM",
        "/guide",
        "/premium%2Fpage",
        "/.well-known/x402",
        "/.well-known/prices.md",
        "/robots.txt",
        "/license.xml",
        "/openapi.json",
    ] {
        assert!(!goes_straight(&Request::get(target), site()), "{target}");
    }
    for method in ["POST", "PUT", "OPTIONS", "get", "PROPFIND"] {
        assert!(!goes_straight(&Request::new(method, "/about"), site()), "{method}");
    }
}

#[test]
fn a_message_to_the_gate_or_in_its_name_does_not() {
    for (name, value) in [
        ("PAYMENT-SIGNATURE", "e30="),
        ("x-payment", "e30="),
        ("X_PAYMENT", "e30="),
        ("Payment-Grant", "x"),
        ("X-Payment-Payer", "0x1"),
        ("X_Payment-Payer", "0x1"),
        ("X-Payment-Signature", "v1=0"),
        ("X-Edge402-Via", "abc"),
        ("Expect", "100-continue"),
        ("X-Original-URL", "/premium/page"),
        ("X-Rewrite-URL", "/premium/page"),
        ("SCRIPT_NAME", "/free"),
        ("X-HTTP-Method-Override", "POST"),
        ("X_HTTP_METHOD", "POST"),
        ("Cookie", "a=b; edge402_0123=x"),
        ("Cookie", "edge402_pass=x"),
    ] {
        let request = Request::get("/about").with(name, value);
        assert!(!goes_straight(&request, site()), "{name}: {value}");
    }
}

#[test]
fn what_the_seller_sends_the_origin_no_client_sends_straight() {
    let mut given = settings("https://own.example/base", routes());
    given.origin_headers = Some(json!({ "X-Origin-Key": "secret", "X-From": "gate" }));
    let loaded = config::read(&given);
    assert!(goes_straight(&Request::get("/about"), &loaded));
    for name in ["X-Origin-Key", "x_origin_key", "X-From", "X_FROM"] {
        assert!(!goes_straight(&Request::get("/about").with(name, "x"), &loaded), "{name}");
    }
}

#[test]
fn where_the_method_counts_a_query_that_names_one_does_not() {
    let orders = json!([{ "pattern": "/orders", "price": "$1", "methods": ["POST"] }]);
    let loaded = config::read(&settings("https://own.example", orders));
    assert!(goes_straight(&Request::get("/orders?x=_method"), &loaded));
    assert!(goes_straight(&Request::get("/about?_method=POST"), &loaded));
    assert!(!goes_straight(&Request::get("/orders?_method=POST"), &loaded));
}

#[test]
fn nothing_does_while_it_is_not_known_what_is_sold() {
    let loaded = config::read(&settings("https://own.example", json!("no routes")));
    assert!(!goes_straight(&Request::get("/about"), &loaded));
}
