//! What a request costs where the route has `prices`: who asks unclearly pays the
//! most of what it might cost.

use edge402::amount::AtomicAmount;
use edge402::config::{self, Loaded};
use edge402::gate::{BoundBody, Decision, MAX_BOUND_BODY, decide, must_read_body};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::gate_support::*;

fn shop(routes: Value) -> &'static Loaded {
    let loaded = config::read(&settings("https://own.example", routes));
    config(&loaded);
    Box::leak(Box::new(loaded))
}

/// What the challenge says that a request costs.
fn price(loaded: &Loaded, request: &Request) -> String {
    match decide(loaded, request, UnixSeconds(NOW)) {
        Decision::PaymentRequired(sale, None) => {
            let offer = &sale.route.offers[0];
            assert_eq!(offer.token.units_of(sale.route.price), Some(offer.v2.amount));
            sale.route.price.to_string()
        }
        other => outcome(&other),
    }
}

fn models() -> &'static Loaded {
    shop(json!([{
        "pattern": "/v1/chat", "price": "$0.02", "methods": ["POST"],
        "prices": [
            { "when": { "body": "model", "is": "gpt-*" }, "price": "$0.05" },
            { "when": { "body": "model", "is": "mini*" }, "price": "$0.01" },
        ],
    }]))
}

#[test]
fn a_body_says_what_it_costs() {
    let cost = |body: &str| price(models(), &Request::post("/v1/chat", body));
    for (body, expected) in [
        (r#"{"model":"gpt-5","messages":[]}"#, "$0.05"),
        (r#"{"model":" GPT-5 "}"#, "$0.05"),
        // An origin may look for the very text.
        (r#"{"model":"MINI"}"#, "$0.02"),
        (r#"{"model":"mini","stream":true,"modes":[{"model":"gpt-5"}]}"#, "$0.01"),
        (r#"{"model":"mini-1"}"#, "$0.01"),
        (r#"{"model":"mini"}"#, "$0.01"),
        (r#"{"model":"large"}"#, "$0.02"),
        (r#"{"model":null}"#, "$0.02"),
        (r#"{"model":4}"#, "$0.02"),
        (r#"{"models":["gpt-5"]}"#, "$0.02"),
        (r#"{"inner":{"model":"gpt-5"}}"#, "$0.02"),
        ("{}", "$0.02"),
        ("", "$0.02"),
    ] {
        assert_eq!(cost(body), expected, "{body}");
    }
}

#[test]
fn an_unclear_body_costs_the_most_that_it_might() {
    let cost = |body: &str| price(models(), &Request::post("/v1/chat", body));
    let deep = format!(r#"{{"model":"mini","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        r#"{"model":"mini","model":"gpt-5"}"#,
        r#"{"model":"mini","Model":"gpt-5"}"#,
        r#"{"model":"mini","MODEL":"gpt-5"}"#,
        r#"{"model":"mini","model ":"gpt-5"}"#,
        r#"{"model":"mini","model\u0000":"gpt-5"}"#,
        r#"{"Model":"mini"}"#,
        r#"{"model":["mini"]}"#,
        r#"{"model":{"name":"mini"}}"#,
        r#"{"model":1.5}"#,
        r#"{"model":"ｇpt-5"}"#,
        r#"{"model":"gpt\u200b-5"}"#,
        r#"[{"model":"mini"}]"#,
        r#""mini""#,
        r#"{"model":"mini""#,
        r#"{"model":"mini"} {"model":"gpt-5"}"#,
        "\u{feff}{\"model\":\"mini\"}",
        "model=mini",
        deep.as_str(),
    ] {
        assert_eq!(cost(body), "$0.05", "{body:.80}");
    }
    // Somebody may read it whatever its type says.
    let mini = r#"{"model":"mini"}"#;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/json, text/plain",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; Charset*=utf-7''x",
        "application/x-json",
    ] {
        let request = Request { body: Some(mini.into()), ..Request::new("POST", "/v1/chat") };
        let request = request.with("Content-Type", media_type);
        assert_eq!(price(models(), &request), "$0.05", "{media_type}");
    }
    for media_type in ["application/json; charset=UTF-8", "application/vnd.x+json"] {
        let request = Request { body: Some(mini.into()), ..Request::new("POST", "/v1/chat") };
        let request = request.with("Content-Type", media_type);
        assert_eq!(price(models(), &request), "$0.01", "{media_type}");
    }
    let packed = Request::post("/v1/chat", mini).with("Content-Encoding", "gzip");
    assert_eq!(price(models(), &packed), "$0.05");
    // Longer than what is read.
    let unread = Request { body: None, ..Request::post("/v1/chat", mini) };
    assert_eq!(price(models(), &unread), "$0.05");
    // A body of just this length still is.
    let long = format!("{{\"model\":\"mini\",\"x\":\"{}\"}}", "x".repeat(MAX_BOUND_BODY - 23));
    assert_eq!(long.len(), MAX_BOUND_BODY);
    assert_eq!(cost(&long), "$0.01");
}

#[test]
fn only_what_depends_on_it_has_its_body_read() {
    let loaded = shop(json!([
        { "pattern": "/chat", "price": "$0.02",
          "prices": [{ "when": { "body": "model", "is": "gpt-*" }, "price": "$0.05" }] },
        { "pattern": "/work", "price": "$0.02",
          "prices": [{ "when": { "method": "PUT" }, "price": "$0.05" }] },
        { "pattern": "/plain", "price": "$0.02" },
    ]));
    let form = |target| {
        Request::new("POST", target).with("Content-Type", "application/x-www-form-urlencoded")
    };
    for (request, is_read) in [
        (Request::post("/chat", "{}"), true),
        (Request::get("/chat"), true),
        (Request::post("/work", "{}"), true),
        (Request::new("POST", "/work").with("Content-Type", "image/png"), false),
        (form("/work"), true),
        (form("/plain"), false),
        (Request::post("/free", "{}"), false),
    ] {
        assert_eq!(must_read_body(loaded, &request), is_read, "{request:?}");
    }
    let named = Request { body: Some(b"a=1&_method=PUT".into()), ..form("/work") };
    assert_eq!(price(loaded, &named), "$0.05");
    let plain = Request { body: Some(b"a=1".into()), ..form("/work") };
    assert_eq!(price(loaded, &plain), "$0.02");
    assert_eq!(price(loaded, &Request { body: None, ..plain }), "$0.05");
    let json = |body| price(loaded, &Request::post("/work", body));
    assert_eq!(json(r#"{"_method":"PUT"}"#), "$0.05");
    assert_eq!(json(r#"{"a":"_method"}"#), "$0.02");
    let unread = Request { body: None, ..Request::post("/work", "{}") };
    assert_eq!(price(loaded, &unread), "$0.05");
}

#[test]
fn a_query_says_what_it_costs() {
    let loaded = shop(json!([{
        "pattern": "/image", "price": "$0.02",
        "prices": [
            { "when": { "query": { "size": "small" } }, "price": "$0.01" },
            { "when": { "query": { "size": "large*" } }, "price": "$0.05" },
        ],
    }]));
    for (query, expected) in [
        ("", "$0.02"),
        ("?size=small", "$0.01"),
        // An origin may look for the very text.
        ("?size=SMALL", "$0.02"),
        ("?size=Small", "$0.02"),
        ("?size=small%0A", "$0.02"),
        ("?size=+small", "$0.02"),
        ("?size=LARGE", "$0.05"),
        ("?size=large%0A", "$0.05"),
        ("?size=%20large", "$0.05"),
        ("?size=%73mall&x=1", "$0.01"),
        ("?size=large", "$0.05"),
        ("?size=large-2", "$0.05"),
        ("?size=medium", "$0.02"),
        ("?size=", "$0.02"),
        ("?sizes=large", "$0.02"),
        ("?q=size%3Dlarge&size=small", "$0.01"),
        ("?size=small&size=small", "$0.01"),
        // Read in two ways.
        ("?size=small&size=large", "$0.05"),
        ("?size=small&size=medium", "$0.02"),
        ("?size=small&Size=large", "$0.05"),
        ("?size=small&size[]=large", "$0.05"),
        ("?size=small&%53ize=large", "$0.05"),
        ("?size=small;size=large", "$0.05"),
        ("?x=1;size=large", "$0.05"),
        ("?size=small&%u0073ize=large", "$0.05"),
        ("?size=small&size%00=large", "$0.05"),
        ("?size=small%", "$0.05"),
        ("?size=%EF%BD%8Carge", "$0.05"),
        ("?size=small%00", "$0.05"),
        ("??size=small", "$0.05"),
        // Names that some readers take for it: qs, Rack, Spring, PHP.
        ("?size=small&[size]=large", "$0.05"),
        ("?[size]=large", "$0.05"),
        ("?%5Bsize=large", "$0.05"),
        ("?]size=large", "$0.05"),
        ("?size]=large", "$0.05"),
        ("?!size=large", "$0.05"),
        ("?_size=large", "$0.05"),
        ("?[[size]]=large", "$0.05"),
    ] {
        assert_eq!(price(loaded, &Request::get(&format!("/image{query}"))), expected, "{query}");
    }
    // Readers stop at some number of members.
    for (before, expected) in [
        ("x&".repeat(99), "$0.01"),
        ("x&".repeat(100), "$0.05"),
        ("&".repeat(1_000), "$0.05"),
        (";".repeat(1_000) + "&", "$0.05"),
    ] {
        let request = Request::get(&format!("/image?{before}size=small"));
        assert_eq!(price(loaded, &request), expected, "{}", before.len());
    }
    let loaded = shop(json!([{
        "pattern": "/image", "price": "$0.02",
        "prices": [{ "when": { "query": { "image_size": "large" } }, "price": "$0.05" }],
    }]));
    for (query, expected) in [
        ("", "$0.02"),
        ("?image_size=small", "$0.02"),
        ("?image=x&size=large", "$0.02"),
        ("?image_size=large", "$0.05"),
        ("?image[size=large", "$0.05"),
        ("?image.size=large", "$0.05"),
        ("?image%20size=large", "$0.05"),
        ("?image+size=large", "$0.05"),
    ] {
        assert_eq!(price(loaded, &Request::get(&format!("/image{query}"))), expected, "{query}");
    }
}

/// Many origins read one set of members, and what the body says counts more.
#[test]
fn a_body_may_say_something_else_than_the_query() {
    let loaded = shop(json!([{
        "pattern": "/image", "price": "$0.02",
        "prices": [
            { "when": { "query": { "size": "small" } }, "price": "$0.01" },
            { "when": { "query": { "size": "large" } }, "price": "$0.05" },
        ],
    }]));
    let with = |method: &str, kind: &str, body: Option<&[u8]>| {
        let request = Request::new(method, "/image?size=small");
        let request = if kind.is_empty() { request } else { request.with("Content-Type", kind) };
        Request { body: body.map(<[u8]>::to_vec), ..request }
    };
    let form = "application/x-www-form-urlencoded";
    let json = "application/json";
    for (request, expected) in [
        (with("POST", form, Some(b"size=large")), "$0.05"),
        (with("POST", form, Some(b"a=1")), "$0.05"),
        (with("GET", form, Some(b"size=large")).with("Content-Length", "10"), "$0.05"),
        (with("GET", form, None).with("Transfer-Encoding", "chunked"), "$0.05"),
        (with("POST", "multipart/form-data; boundary=x", Some(b"--x")), "$0.05"),
        (with("POST", "", Some(b"size=large")), "$0.05"),
        (with("POST", "text/plain", Some(b"size=large")), "$0.05"),
        (with("POST", json, Some(br#"{"size":"large"}"#)), "$0.05"),
        (with("POST", json, Some(br#"{"Size":"large"}"#)), "$0.05"),
        (with("POST", json, Some(br#"{"x":1,"x":2}"#)), "$0.05"),
        (with("POST", json, Some(b"{")), "$0.05"),
        (with("POST", json, None), "$0.05"),
        (with("POST", "image/png, application/json", None), "$0.05"),
        (with("POST", "image/png; application/x-www-form-urlencoded", None), "$0.05"),
        (with("POST", "image/svg+xml", None), "$0.05"),
        // The usual: nothing in it that could be meant.
        (with("POST", json, Some(br#"{"prompt":"a cat","options":{"size":"x"}}"#)), "$0.01"),
        (with("POST", json, Some(b"[1]")), "$0.01"),
        (with("POST", "", Some(b"")), "$0.01"),
        (with("DELETE", "", Some(b"")), "$0.01"),
        (with("POST", "image/png", None), "$0.01"),
        (with("PUT", "application/octet-stream", None), "$0.01"),
        (with("GET", "", None), "$0.01"),
        (with("GET", "", None).with("Content-Length", "0"), "$0.01"),
    ] {
        assert_eq!(price(loaded, &request), expected, "{request:?}");
    }
    for (request, is_read) in [
        (with("POST", json, None), true),
        (with("DELETE", "", None), true),
        (with("GET", "", None), false),
        (with("HEAD", "", None), false),
    ] {
        assert_eq!(must_read_body(loaded, &request), is_read, "{request:?}");
    }
}

#[test]
fn a_query_may_say_something_else_than_the_body() {
    let mini = r#"{"model":"mini"}"#;
    for (query, expected) in [
        ("", "$0.01"),
        ("?stream=1&models=gpt-5", "$0.01"),
        ("?model=mini", "$0.05"),
        ("?model=gpt-5", "$0.05"),
        ("?model[]=gpt-5", "$0.05"),
        ("?x=1;Model=gpt-5", "$0.05"),
    ] {
        let request = Request::post(&format!("/v1/chat{query}"), mini);
        assert_eq!(price(models(), &request), expected, "{query}");
    }
    let loaded = shop(json!([{
        "pattern": "/x", "price": "$0.05",
        "prices": [{ "when": { "body": "options.size", "is": "small" }, "price": "$0.01" }],
    }]));
    let small = r#"{"options":{"size":"small"}}"#;
    for (query, expected) in [
        ("", "$0.01"),
        ("?size=large", "$0.01"),
        ("?options[size]=large", "$0.05"),
        ("?options.size=large", "$0.05"),
    ] {
        assert_eq!(
            price(loaded, &Request::post(&format!("/x{query}"), small)),
            expected,
            "{query}"
        );
    }
}

#[test]
fn a_header_and_a_method_say_what_it_costs() {
    let loaded = shop(json!([{
        "pattern": "/work", "price": "$0.02",
        "prices": [
            { "when": { "header": { "X-Quality": "low" } }, "price": "$0.01" },
            { "when": { "header": { "X-Quality": "high*" }, "method": "POST" }, "price": "$0.09" },
            { "when": { "method": "POST" }, "price": "$0.05" },
        ],
    }]));
    let get = || Request::get("/work");
    let post = || Request::post("/work", "{}");
    for (request, expected) in [
        (get(), "$0.02"),
        (Request::new("HEAD", "/work"), "$0.02"),
        (get().with("x-quality", "low"), "$0.01"),
        (get().with("X-Quality", "LOW"), "$0.02"),
        (post().with("X-Quality", "HIGH"), "$0.09"),
        (get().with("X-Quality", "high"), "$0.02"),
        (post().with("X-Quality", "high-2"), "$0.09"),
        (post(), "$0.05"),
        (post().with("X-Quality", "low"), "$0.01"),
        // Sent twice, or under another name too: an origin may take either.
        (post().with("X-Quality", "low").with("X-Quality", "high"), "$0.09"),
        (get().with("X-Quality", "low").with("X-Quality", "high"), "$0.02"),
        (post().with("X-Quality", "low").with("X_Quality", "high"), "$0.09"),
        (get().with("X-HTTP-Method-Override", "POST"), "$0.05"),
        (get().with("X-HTTP_Method-Override", "POST"), "$0.05"),
        (Request::get("/work?_method=POST"), "$0.05"),
    ] {
        assert_eq!(price(loaded, &request), expected, "{request:?}");
    }
}

#[test]
fn a_payment_goes_with_a_redirect_only_where_it_is_good() {
    let loaded = shop(json!([
        { "pattern": "/a", "price": "$0.05",
          "prices": [{ "when": { "query": { "size": "small" } }, "price": "$0.01" }] },
        { "pattern": "/cheap", "price": "$0.01" },
        { "pattern": "/other", "price": "$0.05",
          "prices": [{ "when": { "header": { "X-Quality": "low" } }, "price": "$0.01" }] },
        { "pattern": "/cheaper", "price": "$0.01",
          "prices": [{ "when": { "header": { "X-Quality": "low" } }, "price": "$0.005" }] },
    ]));
    let request = Request::get("/a?size=small");
    let Decision::PaymentRequired(sale, None) = request.decide(loaded) else { panic!() };
    let offer = &sale.route.offers[0];
    for (to, is_good) in [
        ("/a/?size=small", true),
        ("/A?size=small", true),
        ("/cheap", true),
        ("/a/", false),
        ("/a?size=small&size=large", false),
        // What the client will say there isn't known.
        ("/other", false),
        // But nothing there costs more than was paid.
        ("/cheaper", true),
    ] {
        let found = sale.sale_at(loaded, offer, (301, Some(to)));
        assert_eq!(found.is_some(), is_good, "{to}");
        let bound = sale.binding_at(loaded, offer, &BoundBody::none(), (301, Some(to)));
        assert_eq!(bound.is_some(), is_good, "{to}");
    }
}

/// CGI takes `-` and `_` in a name for the same, wherever they are.
#[test]
fn each_spelling_of_a_header_is_seen() {
    for name in
        ["X-Our-Own-Work-Quality", "X_Our-Own-Work_Quality", "X-Quality-Of-Our-Own-Work-As-Told"]
    {
        let loaded = shop(json!([{
            "pattern": "/work", "price": "$0.05",
            "prices": [{ "when": { "header": { name: "low" } }, "price": "$0.01" }],
        }]));
        let low = || Request::get("/work").with(name, "low");
        assert_eq!(price(loaded, &low()), "$0.01");
        for mask in 0..128 {
            let mut at = 0;
            let dash = |it: char| {
                if !matches!(it, '-' | '_') {
                    return it;
                }
                at += 1;
                if mask >> (at - 1) & 1 == 0 { '-' } else { '_' }
            };
            let spelled: String = name.chars().map(dash).collect();
            if spelled != name {
                assert_eq!(price(loaded, &low().with(&spelled, "high")), "$0.05", "{spelled}");
            }
        }
        let other = format!("{name}-Too");
        assert_eq!(price(loaded, &low().with(&other, "high")), "$0.01");
    }
}

#[test]
fn a_payment_for_one_price_buys_nothing_at_another() {
    let loaded = shop(json!([{
        "pattern": "/work", "price": "$0.05",
        "prices": [{ "when": { "header": { "X-Quality": "low" } }, "price": "$0.01" }],
    }]));
    let payment = || v2(&crate::evm_support::signed(|_| ()));
    let low = Request::get("/work").with("X-Quality", "low").paying(&payment());
    assert_eq!(low.outcome(loaded), "purchase 0 V2 eip155:84532");
    let high = Request::get("/work").paying(&payment());
    assert_eq!(high.outcome(loaded), "402 0 V2 invalid_payment_requirements");
    // What it is bound to differs as well, whichever way it comes.
    let body = BoundBody::none();
    let binding = |request: &Request| match request.decide(loaded) {
        Decision::PaymentRequired(sale, _) => sale.binding(&sale.route.offers[1], &body),
        other => panic!("{}", outcome(&other)),
    };
    let bound = binding(&Request::get("/work"));
    assert_ne!(bound, binding(&Request::get("/work").with("X-Quality", "low")));
    assert_eq!(bound, binding(&Request::get("/work").with("X-Quality", "high")));
}

#[test]
fn a_payment_for_a_higher_price_is_good_for_a_lower_one() {
    let loaded = shop(json!([{
        "pattern": "/work", "price": "$0.005",
        "prices": [
            { "when": { "header": { "X-Quality": "high" } }, "price": "$0.01" },
            { "when": { "header": { "X-Quality": "best" } }, "price": "$0.02" },
        ],
    }]));
    let payload = crate::evm_support::signed(|_| ());
    let asking = |quality: &str| Request::get("/work").with("X-Quality", quality);
    for (quality, bought) in [
        ("high", "purchase 0 V2 eip155:84532"),
        ("any", "purchase 0 V2 eip155:84532"),
        ("best", "402 0 V2 invalid_payment_requirements"),
    ] {
        let request = asking(quality).paying(&v2(&payload));
        assert_eq!(request.outcome(loaded), bought, "{quality}");
        if let Decision::Purchase(purchase) = request.decide(loaded) {
            // It is bound to what was signed, and charged for no more than is asked.
            assert_eq!(purchase.sale.route.price.to_string(), "$0.01");
            assert_eq!(purchase.only_collects.is_some(), quality == "any");
        }
    }
    // It says so, and has signed less.
    let mut claim = v2(&crate::evm_support::signed(|it| it.value = AtomicAmount(5_000).into()));
    for amount in ["5000", "10000", "20000"] {
        set(&mut claim, "/accepted/amount", Some(json!(amount)));
        let found = asking("high").paying(&claim).outcome(loaded);
        assert!(found.starts_with("402 0 V2 invalid_"), "{amount}: {found}");
    }
    // v1 says nothing of what it has accepted: what it has signed shows that.
    for (quality, bought) in [
        ("high", "purchase 0 V1 eip155:84532"),
        ("any", "purchase 0 V1 eip155:84532"),
        ("best", "402 0 V1 invalid_exact_evm_payload_authorization_value_mismatch"),
    ] {
        assert_eq!(asking(quality).paying(&v1(&payload)).outcome(loaded), bought, "{quality}");
    }
}

#[test]
fn what_is_listed_has_all_its_prices() {
    let loaded = shop(json!([{
        "pattern": "/work", "price": "$0.02", "networks": ["eip155:84532"], "listed": true,
        "prices": [
            { "when": { "query": { "size": "small" } }, "price": "$0.01" },
            { "when": { "query": { "size": "tiny" } }, "price": "$0.01" },
        ],
    }]));
    let listed =
        edge402::gate::discovery::resources(config(loaded), SHOP, "", UnixSeconds(NOW)).unwrap();
    let listed: Value = edge402::json::parse(&listed).unwrap();
    let amounts: Vec<_> =
        listed["items"][0]["accepts"].as_array().unwrap().iter().map(|it| &it["amount"]).collect();
    assert_eq!(amounts, ["20000", "10000"]);
    assert_eq!(config(loaded).routes[0].least_price().to_string(), "$0.01");
}
