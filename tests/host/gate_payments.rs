//! Requests with a payment: which are read, which are refused and why, which
//! are purchases, and what a purchase is bound to.

use std::collections::HashSet;

use crate::evm_support::{edited, payer, signed};
use crate::gate_support::{
    DEVNET, FEE_PAYER, PAY_TO, Request, SOLANA_PAY_TO, assets, config, routes, set, settings, site,
    v1, v2,
};
use edge402::config::{self, Loaded};
use edge402::encoding::encode_base64;
use edge402::gate::{BoundBody, Decision, Purchase, Sale, asks_for_sold};
use edge402::protocol::Version;
use serde_json::{Value, json};

const PAGE: &str = "/premium/page";
const BOTH: &str = "400 send X-PAYMENT or PAYMENT-SIGNATURE, not both";
const TWICE: &str = "400 the payment header was sent more than once";
const NOT_BASE64: &str = "400 the payment header is not standard base64";
const TOO_LONG: &str = "400 the payment header is too long";
const VERSION: &str = "400 x402Version must be 1 in X-PAYMENT and 2 in PAYMENT-SIGNATURE";
const NOT_A_PAYMENT: &str = "400 the payment header does not hold the JSON of a payment: \
                             a member is missing, repeated, or of the wrong type";

fn purchase<'a>(request: &Request, loaded: &'a Loaded) -> Box<Purchase<'a>> {
    match request.decide(loaded) {
        Decision::Purchase(purchase) => purchase,
        other => panic!("{other:?}"),
    }
}

fn changed(payment: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut payment = payment.clone();
    set(&mut payment, pointer, value);
    payment
}

#[test]
fn a_valid_evm_payment_is_a_purchase() {
    let payload = signed(|_| {});
    for (payment, version) in [(v1(&payload), Version::V1), (v2(&payload), Version::V2)] {
        let purchase = purchase(&Request::get("/premium//page?x=1").paying(&payment), site());
        assert_eq!((purchase.version, purchase.offer, purchase.sale.number), (version, 1, 0));
        assert_eq!(purchase.sale.url, "https://shop.example/premium/page?x=1");
        assert_eq!(purchase.sale.path.as_str(), PAGE);
        assert_eq!(purchase.sale.method.as_str(), "GET");
        assert_eq!(purchase.payment.payer(), payer().address().to_string());
        assert_eq!(*purchase.payload, payload);
        assert!(purchase.payment.identity().starts_with("eip155:84532/0x036cbd53842c5426634e"));
    }
}

#[test]
fn of_a_payment_that_holds_more_than_anybody_reads_the_rest_is_dropped() {
    let payload = signed(|_| {});
    let mut long = payload.clone();
    let many: Vec<Value> = (0..400).map(|number| json!({ "a": number })).collect();
    long["more"] = json!(many);
    long["authorization"]["more"] = json!(many);
    for payment in [v1(&long), v2(&long)] {
        let purchase = purchase(&Request::get(PAGE).paying(&payment), site());
        assert_eq!(*purchase.payload, payload);
    }
}

#[test]
fn a_valid_solana_payment_is_a_purchase() {
    let transaction = encode_base64(&crate::solana_support::draft().transaction());
    let payload = json!({ "transaction": transaction });
    let payment = json!({
        "x402Version": 2,
        "accepted": {
            "scheme": "exact",
            "network": DEVNET,
            "amount": "10000",
            "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
            "payTo": SOLANA_PAY_TO,
            "maxTimeoutSeconds": 300,
            "extra": { "feePayer": FEE_PAYER },
        },
        "payload": payload,
    });
    let mut in_v1 = v1(&payload);
    in_v1["network"] = json!("solana-devnet");
    let hints = json!({
        "feePayer": FEE_PAYER, "recentBlockhash": "x", "lastValidBlockHeight": "9",
        "decimals": 6, "tokenProgram": "x",
    });
    let with_hints = changed(&payment, "/accepted/extra", Some(hints));
    for (payment, version) in [(payment.clone(), "V2"), (with_hints, "V2"), (in_v1, "V1")] {
        let outcome = Request::get(PAGE).paying(&payment).outcome(assets());
        assert_eq!(outcome, format!("purchase 0 {version} {DEVNET}"));
    }
    for extra in [json!({}), json!({ "feePayer": SOLANA_PAY_TO }), json!({ "feePayer": 1 })] {
        let payment = changed(&payment, "/accepted/extra", Some(extra));
        let outcome = Request::get(PAGE).paying(&payment).outcome(assets());
        assert_eq!(outcome, "402 0 V2 invalid_payment_requirements");
    }
    // Wherever it is said to come from, it doesn't buy for more.
    let order = Request::new("POST", "/premium/orders").paying(&v1(&payload));
    assert_eq!(order.outcome(assets()), "402 2 V1 invalid_payload");
}

#[test]
fn unreadable_payments_are_bad_requests() {
    let good = v2(&signed(|_| {}));
    let text = encode_base64(good.to_string().as_bytes());
    let v1_text = encode_base64(v1(&signed(|_| {})).to_string().as_bytes());
    let of = |json: &str| encode_base64(json.as_bytes());
    let repeated = good.to_string().replacen("{\"accepted\"", "{\"x402Version\":2,\"accepted\"", 1);
    let deep = good.to_string().replace("\"validAfter\"", "\"to\":\"0x\",\"validAfter\"");
    let (s, x) = ("PAYMENT-SIGNATURE", "X-PAYMENT");
    for (headers, expected) in [
        (vec![(s, &*text), (x, &*v1_text)], BOTH),
        (vec![(s, ""), (x, "")], BOTH),
        (vec![(s, &*text), (s, &*text)], TWICE),
        (vec![(x, &*v1_text), (x, &*v1_text)], TWICE),
        (vec![(s, ""), (s, "")], TWICE),
        (vec![(s, &*format!("{text},{text}"))], TWICE),
        (vec![(s, "%")], NOT_BASE64),
        (vec![(s, &*format!(" {text}"))], NOT_BASE64),
        (vec![(s, &*format!("{text}="))], NOT_BASE64),
        (vec![(s, &*good.to_string().replace(',', " "))], NOT_BASE64),
        (vec![(s, &*"A".repeat(1 << 16))], TOO_LONG),
        (vec![(s, "")], NOT_A_PAYMENT),
        (vec![(s, &*of("{"))], NOT_A_PAYMENT),
        (vec![(s, &*of("null"))], NOT_A_PAYMENT),
        (vec![(s, &*of(&format!("{good}{good}")))], NOT_A_PAYMENT),
        (vec![(s, &*of(&repeated))], NOT_A_PAYMENT),
        (vec![(s, &*of(&deep))], NOT_A_PAYMENT),
        (vec![(s, &*encode_base64(b"\xff\xfe"))], NOT_A_PAYMENT),
        (vec![(s, &*v1_text)], VERSION),
        (vec![(x, &*text)], VERSION),
    ] {
        let mut request = Request::get(PAGE);
        for (name, value) in headers {
            request = request.with(name, value);
        }
        assert_eq!(request.outcome(site()), expected, "{:.200}", format!("{request:?}"));
        // What is free looks at no payment.
        request.url = "https://shop.example/about".into();
        assert_eq!(request.outcome(site()), "forward /about");
    }
    for (pointer, value, expected) in [
        ("/x402Version", Some(json!(3)), VERSION),
        ("/x402Version", Some(json!(0)), VERSION),
        ("/x402Version", Some(json!("2")), NOT_A_PAYMENT),
        ("/x402Version", Some(json!(2.5)), NOT_A_PAYMENT),
        ("/x402Version", None, NOT_A_PAYMENT),
        ("/payload", None, NOT_A_PAYMENT),
        ("/accepted", None, NOT_A_PAYMENT),
        ("/accepted", Some(json!("exact")), NOT_A_PAYMENT),
        ("/accepted/scheme", None, NOT_A_PAYMENT),
        ("/accepted/network", None, NOT_A_PAYMENT),
        ("/accepted/network", Some(json!(84532)), NOT_A_PAYMENT),
    ] {
        let payment = changed(&good, pointer, value);
        let request = Request::get(PAGE).with(s, &encode_base64(payment.to_string().as_bytes()));
        assert_eq!(request.outcome(site()), expected, "{pointer}");
    }
}

#[test]
fn what_was_accepted_must_be_what_is_asked() {
    let good = v2(&signed(|_| {}));
    let outcome = |payment: &Value| Request::get(PAGE).paying(payment).outcome(site());
    let requirements = "402 0 V2 invalid_payment_requirements";
    let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    for (pointer, value, expected) in [
        ("/accepted/scheme", Some(json!("upto")), "402 0 V2 invalid_scheme"),
        ("/accepted/scheme", Some(json!("Exact")), "402 0 V2 invalid_scheme"),
        ("/accepted/network", Some(json!("base-sepolia")), "402 0 V2 invalid_network"),
        ("/accepted/network", Some(json!("eip155:8453")), "402 0 V2 invalid_network"),
        ("/accepted/network", Some(json!("eip155:084532")), "402 0 V2 invalid_network"),
        ("/accepted/network", Some(json!("eip155:42161")), requirements),
        ("/accepted/amount", Some(json!("9999")), requirements),
        ("/accepted/amount", Some(json!("10001")), requirements),
        ("/accepted/amount", Some(json!("010000")), requirements),
        ("/accepted/amount", Some(json!(10_000)), requirements),
        ("/accepted/amount", None, requirements),
        ("/accepted/asset", Some(json!(asset.to_lowercase())), requirements),
        ("/accepted/asset", None, requirements),
        ("/accepted/payTo", Some(json!(asset)), requirements),
        ("/accepted/payTo", None, requirements),
        ("/accepted/maxTimeoutSeconds", Some(json!(301)), requirements),
        ("/accepted/maxTimeoutSeconds", Some(json!("300")), requirements),
        ("/accepted/maxTimeoutSeconds", None, requirements),
        ("/accepted/extra", None, requirements),
        ("/accepted/extra", Some(json!([])), requirements),
        ("/accepted/extra/name", Some(json!("USD Coin")), requirements),
        ("/accepted/extra/version", Some(json!("1")), requirements),
        ("/accepted/extra/version", Some(json!(2)), requirements),
        ("/accepted/extra/version", None, requirements),
        ("/accepted/extra/assetTransferMethod", Some(json!("permit2")), requirements),
        ("/accepted/extra/paymentFlow", Some(json!("upfront")), requirements),
        ("/accepted/extra/paymentFlow", Some(json!("escrow")), requirements),
    ] {
        assert_eq!(outcome(&changed(&good, pointer, value)), expected, "{pointer}");
    }
    let bought = "purchase 0 V2 eip155:84532";
    for (pointer, value) in [
        ("/accepted/extra/recentBlockhash", Some(json!("anything"))),
        ("/accepted/extra/lastValidBlockHeight", Some(json!(1))),
        ("/accepted/extra/decimals", Some(json!(6))),
        ("/accepted/extra/assetTransferMethod", Some(json!("eip3009"))),
        ("/accepted/extra/paymentFlow", Some(json!("authorization"))),
        ("/accepted/extra/more", Some(json!({ "any": [1] }))),
        ("/accepted/maxTimeoutSeconds", Some(json!(300.0))),
        ("/resource", Some(json!(null))),
        ("/extensions", Some(json!(null))),
        ("/resource", None),
        ("/resource", Some(json!({ "url": "https://elsewhere.example/" }))),
        ("/extensions", Some(json!({ "any": [1, null] }))),
    ] {
        assert_eq!(outcome(&changed(&good, pointer, value)), bought, "{pointer}");
    }
}

#[test]
fn what_is_settled_before_the_origin_is_asked_says_so_in_v2() {
    for offer in &config(assets()).routes[2].offers {
        assert_eq!(offer.v2.extra["paymentFlow"], "upfront");
        assert!(offer.v1.as_ref().is_none_or(|v1| !v1.extra.contains_key("paymentFlow")));
    }
    assert!(!config(assets()).routes[0].offers[0].v2.extra.contains_key("paymentFlow"));
    let mut payment = v2(&signed(|it| it.value = 20_000_u64.into()));
    payment["accepted"]["amount"] = json!("20000");
    let outcome =
        |payment: &Value| Request::new("POST", "/premium/orders").paying(payment).outcome(assets());
    // A client from before there were flows.
    assert_eq!(outcome(&payment), "purchase 2 V2 eip155:84532");
    payment["accepted"]["extra"]["paymentFlow"] = json!("upfront");
    assert_eq!(outcome(&payment), "purchase 2 V2 eip155:84532");
    payment["accepted"]["extra"]["paymentFlow"] = json!("authorization");
    assert_eq!(outcome(&payment), "402 2 V2 invalid_payment_requirements");
}

#[test]
fn networks_go_by_the_name_of_the_version_and_by_the_route() {
    let payload = signed(|_| {});
    for (target, network, expected) in [
        (PAGE, "base-sepolia", "purchase 0 V1 eip155:84532"),
        (PAGE, "eip155:84532", "402 0 V1 invalid_network"),
        (PAGE, "Base-Sepolia", "402 0 V1 invalid_network"),
        (PAGE, "base", "402 0 V1 invalid_network"),
        // Arbitrum has no name in v1.
        (PAGE, "", "402 0 V1 invalid_network"),
        (PAGE, "arbitrum", "402 0 V1 invalid_network"),
        (PAGE, "solana-devnet", "402 0 V1 invalid_payload"),
        // This route takes Base Sepolia only.
        ("/guide", "base-sepolia", "purchase 1 V1 eip155:84532"),
        ("/guide", "solana-devnet", "402 1 V1 invalid_network"),
    ] {
        let mut payment = v1(&payload);
        payment["network"] = json!(network);
        let outcome = Request::get(target).paying(&payment).outcome(site());
        assert_eq!(outcome, expected, "{target} {network:?}");
    }
    let scheme = changed(&v1(&payload), "/scheme", Some(json!("upto")));
    assert_eq!(Request::get(PAGE).paying(&scheme).outcome(site()), "402 0 V1 invalid_scheme");
}

#[test]
fn a_refusal_names_the_offer_and_the_first_check_that_failed() {
    let other = "0x000000000000000000000000000000000000dEaD";
    for (payload, code) in [
        (json!(null), "invalid_payload"),
        (edited(|p| p["signature"] = json!("0x")), "invalid_exact_evm_payload_signature"),
        // That nobody has signed it only the chain can say: there may be a
        // contract that takes the signature.
        (
            edited(|p| p["authorization"]["value"] = json!("1")),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (signed(|a| a.to = other.parse().unwrap()), "invalid_exact_evm_payload_recipient_mismatch"),
        (
            signed(|a| a.valid_after = (crate::gate_support::NOW + 6).into()),
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
        (
            signed(|a| a.value = 9_999_u64.into()),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
    ] {
        let request = Request::get(PAGE).paying(&v2(&payload));
        let Decision::PaymentRequired(_, Some(refusal)) = request.decide(site()) else {
            panic!("{payload}")
        };
        assert_eq!((refusal.reason.code(), refusal.offer), (code, Some(1)), "{payload}");
    }
    // What costs twice as much isn't bought for the price of a page.
    let order = Request::new("POST", "/premium/orders").paying(&v1(&signed(|_| {})));
    let code = "402 2 V1 invalid_exact_evm_payload_authorization_value_mismatch";
    assert_eq!(order.outcome(site()), code);
    let order = Request::new("POST", "/premium/orders").paying(&v2(&signed(|_| {})));
    assert_eq!(order.outcome(site()), "402 2 V2 invalid_payment_requirements");
}

#[test]
fn a_purchase_is_bound_to_what_the_buyer_agreed_to() {
    let payment = v2(&signed(|_| {}));
    let bind = |loaded: &Loaded, method: &str, url: &str, body: BoundBody| {
        let request = Request { url: url.into(), ..Request::new(method, "") }.paying(&payment);
        let purchase = purchase(&request, loaded);
        purchase.sale.binding(&purchase.sale.route.offers[purchase.offer], &body)
    };
    let url = "https://shop.example/premium/page?x=1";
    let none = BoundBody::none;
    let first = bind(site(), "GET", url, none());
    // Written down, because payments in flight are bound to it.
    assert_eq!(first, "1/0x862e6200fa9496bd6c18bd479fde099b21c15c83df68690c0989a0ab11a6fdbb");
    for same in [
        url,
        "https://SHOP.example/premium/page?x=1",
        "https://shop.example/%70remium//page?x=1",
        "https://shop.example/a/../premium/page?x=1#fragment",
    ] {
        assert_eq!(bind(site(), "GET", same, none()), first, "{same}");
        assert_eq!(bind(site(), "get", same, none()), first, "{same}");
    }
    let v1 = Request::get("/premium/page?x=1").paying(&v1(&signed(|_| {})));
    let v1 = purchase(&v1, site());
    assert_eq!(v1.sale.binding(&v1.sale.route.offers[v1.offer], &none()), first);

    // The seller may change what the buyer did not agree to.
    let patient = {
        let mut networks = settings("https://own.example", routes());
        set(
            networks.networks.as_mut().unwrap(),
            "/eip155:84532/max_timeout_seconds",
            Some(json!(301)),
        );
        config::read(&networks)
    };
    assert_eq!(config(&patient).networks[1].max_timeout_seconds, 301);
    let mut request = Request::get("/premium/page?x=1").paying(&changed(
        &payment,
        "/accepted/maxTimeoutSeconds",
        Some(json!(301)),
    ));
    request.method = "GET".into();
    let later = purchase(&request, &patient);
    let offer = &later.sale.route.offers[later.offer];
    assert_eq!(later.sale.binding(offer, &none()), first);
    assert_ne!(
        later.sale.former_binding(offer, &none()),
        v1.sale.former_binding(&v1.sale.route.offers[v1.offer], &none())
    );
    let body = |text: &str| BoundBody::read(text.as_bytes(), "text/plain");
    let mut all = vec![first];
    for (method, url, body) in [
        ("HEAD", url, none()),
        ("POST", url, none()),
        ("POST", url, body("a")),
        ("POST", url, body("b")),
        ("GET", url, body("a")),
        ("GET", url, body("b")),
        ("GET", url, BoundBody::unread(None, "text/plain")),
        ("GET", "https://shop.example/premium/page", none()),
        ("GET", "https://shop.example/premium/page?", none()),
        ("GET", "https://shop.example/premium/page?x=2", none()),
        ("GET", "https://shop.example/premium/page?X=1", none()),
        ("GET", "https://shop.example/premium/page/?x=1", none()),
        ("GET", "https://shop.example/premium/Page?x=1", none()),
        ("GET", "https://shop.example/premium/page%3Fx=1", none()),
        ("GET", "https://shop.example:444/premium/page?x=1", none()),
        ("GET", "http://shop.example/premium/page?x=1", none()),
        ("GET", "https://other.example/premium/page?x=1", none()),
    ] {
        all.push(bind(site(), method, url, body));
    }
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:#?}");
    assert_eq!(PAY_TO, crate::evm_support::pay_to().to_string());
}

#[test]
fn a_payment_is_bound_to_what_its_client_will_ask_for_elsewhere() {
    fn sale<'a>(request: &Request) -> Sale<'a> {
        match request.decide(assets()) {
            Decision::PaymentRequired(sale, None) => sale,
            other => panic!("{other:?}"),
        }
    }
    let body = BoundBody::read(b"{\"a\":1}", "application/json");
    let bound = |from: &Request, status, to: &str| {
        let sale = sale(from);
        sale.binding_at(assets(), &sale.route.offers[0], &body, (status, Some(to)))
    };
    let binding = |at: &Request, body: &BoundBody| {
        let sale = sale(at);
        Some(sale.binding(&sale.route.offers[0], body))
    };
    let (get, post) = (Request::get("/premium/a"), Request::post("/premium/orders", "{}"));
    // With its body, where that goes along.
    let there = Request::post("/premium/orders?b", "{}");
    assert_eq!(bound(&post, 308, "/premium/orders?b"), binding(&there, &body));
    let post = Request::post("/premium/a", "{}");
    assert_eq!(
        bound(&post, 301, "/premium/b"),
        binding(&Request::get("/premium/b"), &BoundBody::none())
    );
    // As its URL will be written.
    let there = Request::get("/premium/b?q=%22%C3%A9%27%3Cx%3E~");
    assert_eq!(bound(&get, 302, "/premium/b?q=\"\u{e9}'<x>~"), binding(&there, &body));
    assert!(asks_for_sold(assets(), &get) && !asks_for_sold(assets(), &Request::get("/free")));
}

#[test]
fn what_holds_for_a_token_is_kept_under_what_its_payments_are_known_by() {
    let mut found = 0;
    for route in &config(assets()).routes {
        for offer in &route.offers {
            assert_eq!(offer.token.asset.key(), offer.terms.token_key());
            found += 1;
        }
    }
    assert!(found > 3);
}

#[test]
fn only_who_speaks_v2_can_be_asked_for_a_payment_identifier() {
    let mut all = routes();
    all[0]["payment_identifier"] = json!("required");
    let loaded = config::read(&settings("assets", all));
    let payload = signed(|_| {});
    let outcome = |payment: &Value| Request::get(PAGE).paying(payment).outcome(&loaded);
    assert_eq!(outcome(&v1(&payload)), "purchase 0 V1 eip155:84532");
    let said = outcome(&v2(&payload));
    assert!(said.starts_with("400 extensions.payment-identifier.info.id is required"), "{said}");
}

#[test]
fn a_faulty_configuration_takes_no_payment_and_leaves_free_what_is_free() {
    let faulty =
        config::read(&config::Settings { evm_relayer_keys: None, ..settings("assets", routes()) });
    let payment = v2(&signed(|_| {}));
    for (request, expected) in [
        (Request::get(PAGE), "closed"),
        (Request::get(PAGE).paying(&payment), "closed"),
        (Request::get(PAGE).with("X-PAYMENT", "%"), "closed"),
        (Request::new("HEAD", "/guide"), "closed"),
        (Request::get("/guide.html"), "closed"),
        (Request::new("POST", "/guide"), "forward /guide"),
        (Request::get("/about").paying(&payment), "forward /about"),
        (Request::get("//about"), "forward /about"),
        (Request::get("/premium%2Fpage"), "400 the path holds an encoded slash or a backslash"),
    ] {
        assert_eq!(request.outcome(&faulty), expected, "{} {}", request.method, request.url);
    }
}
