//! However an origin reads a request, it costs no less than what that reading is
//! worth: the first of two members or the last, names with or without their case,
//! brackets or semicolons.

use edge402::config::{self, Loaded};
use edge402::gate::signed::{read_directory, signed_request};
use edge402::gate::{Decision, decide};
use edge402::time::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::gate_support::*;

fn loaded(when: fn(&str) -> Value, dear_first: bool) -> &'static Loaded {
    let mut rules = vec![
        json!({ "when": when("gpt-*"), "price": "$0.05" }),
        json!({ "when": when("mini"), "price": "$0.01" }),
    ];
    if !dear_first {
        rules.reverse();
    }
    let free = json!(["signed:agent.example", "people", "search"]);
    let routes = json!([{ "pattern": "/x", "price": "$0.02", "prices": rules, "free_for": free }]);
    Box::leak(Box::new(config::read(&settings("https://own.example", routes))))
}

fn shops(when: fn(&str) -> Value) -> [&'static Loaded; 2] {
    [loaded(when, true), loaded(when, false)]
}

fn in_body(is: &str) -> Value {
    json!({ "body": "model", "is": is })
}

fn in_query(is: &str) -> Value {
    json!({ "query": { "model": is } })
}

fn cost(loaded: &Loaded, request: &Request) -> u128 {
    match decide(loaded, request, UnixSeconds(NOW)) {
        Decision::PaymentRequired(sale, None) => sale.route.offers[0].v2.amount.0,
        other => panic!("{}", outcome(&other)),
    }
}

/// What a model costs, in atomic units: at an origin that looks for the very
/// text, and at one that minds neither letter case nor blanks.
fn worth(model: Option<&str>) -> u128 {
    let of = |model: Option<&str>| match model {
        Some(model) if model.starts_with("gpt-") => 50_000,
        Some("mini") => 10_000,
        _ => 20_000,
    };
    let lenient = model.map(|it| it.trim().to_lowercase());
    of(model).max(of(lenient.as_deref()))
}

#[test]
fn a_yes_or_no_in_a_body_is_read_as_its_word() {
    let routes = json!([{ "pattern": "/x", "price": "$0.02", "prices": [
        { "when": { "body": "stream", "is": "true" }, "price": "$0.05" },
    ] }]);
    let loaded = config::read(&settings("https://own.example", routes));
    config(&loaded);
    let loaded: &'static Loaded = Box::leak(Box::new(loaded));
    for (body, price) in [
        (r#"{"stream":true}"#, 50_000),
        (r#"{"stream":"true"}"#, 50_000),
        (r#"{"stream":false}"#, 20_000),
        (r#"{"stream":null}"#, 20_000),
        (r#"{"stream":[false]}"#, 50_000),
    ] {
        assert_eq!(cost(loaded, &Request::post("/x", body)), price, "{body}");
    }
}

/// What is found by readers of each kind among names and values.
fn readings(members: &[(String, String)]) -> Vec<Option<&str>> {
    let exact = |name: &str| name == "model";
    let any_case = |name: &str| name.to_lowercase() == "model";
    let php = |name: &str| name.trim_start().split('[').next() == Some("model");
    let qs = |name: &str| name == "[model]" || name.split('[').next() == Some("model");
    let rack = |name: &str| {
        let name = name.trim_start_matches(['[', ']']);
        name.split(['[', ']']).next() == Some("model")
    };
    let spring = |name: &str| name.strip_prefix(['!', '_']).unwrap_or(name) == "model";
    let readers: [&dyn Fn(&str) -> bool; 6] = [&exact, &any_case, &php, &qs, &rack, &spring];
    let mut all = vec![];
    for is_it in readers {
        let mut found = members.iter().filter(|(name, _)| is_it(name)).map(|(_, it)| it.as_str());
        let first = found.next();
        all.extend([first, found.next_back().or(first)]);
    }
    all
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        4 => Just("model"), 1 => Just("Model"), 1 => Just("MODEL"), 1 => Just("model[]"),
        1 => Just("[model]"), 1 => Just("]model"), 1 => Just("!model"), 1 => Just("_model"),
        1 => Just(" model"), 1 => Just("size"), 1 => Just("mode"), 1 => Just("models"),
    ];
    let text = prop_oneof![
        Just("mini"),
        Just("MINI"),
        Just(" mini"),
        Just("mini\n"),
        Just("gpt-5\n"),
        Just("\tgpt-5"),
        Just("gpt-5"),
        Just("GPT-5"),
        Just("gpt-"),
        Just("large"),
        Just(""),
        Just("minimal"),
        Just("gpt"),
    ];
    let pair = (name, text).prop_map(|(name, text)| (name.to_owned(), text.to_owned()));
    prop::collection::vec(pair, 0..4)
}

thread_local! {
    static BODIES: [&'static Loaded; 2] = shops(in_body);
    static QUERIES: [&'static Loaded; 2] = shops(in_query);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_reading_of_a_body_is_worth_more(members in members()) {
        let written: Vec<_> =
            members.iter().map(|(name, text)| format!("{}:{}", json!(name), json!(text))).collect();
        let body = format!("{{{}}}", written.join(","));
        let most = readings(&members).into_iter().map(worth).max();
        for shop in BODIES.with(|it| *it) {
            let cost = cost(shop, &Request::post("/x", &body));
            prop_assert!(Some(cost) >= most, "{} {} {:?}", body, cost, most);
        }
    }

    #[test]
    fn no_reading_of_a_query_is_worth_more(members in members(), semicolons in any::<bool>()) {
        let escaped = |text: &str| {
            text.replace(' ', "%20").replace('\n', "%0A").replace('\t', "%09")
        };
        let written: Vec<_> = members
            .iter()
            .map(|(name, text)| format!("{}={}", escaped(name), escaped(text)))
            .collect();
        let query = written.join(if semicolons { ";" } else { "&" });
        let most = readings(&members).into_iter().map(worth).max();
        for shop in QUERIES.with(|it| *it) {
            let cost = cost(shop, &Request::get(&format!("/x?{query}")));
            prop_assert!(Some(cost) >= most, "{} {} {:?}", query, cost, most);
        }
    }

    #[test]
    fn whatever_comes_is_answered(
        body in prop::collection::vec(any::<u8>(), 0..60),
        query in "\\PC{0,30}|[model=&;%0-9a-f]{0,30}",
        headers in prop::collection::vec(
            (
                "Signature|Signature-Input|Signature-Agent|User-Agent|Sec-Fetch-Site|Cookie|PAYMENT-GRANT",
                "\\PC{0,20}|[a-z]=\\((\"@authority\"|\"signature-agent\"|;|key=|\"| ){0,6}\\);tag=\"web-bot-auth\";created=1700000000;expires=1700000060;keyid=\"k\"|\"https://agent.example\"|[a-z]=:[A-Za-z0-9+/]{0,90}={0,2}:",
            ),
            0..5,
        ),
        directory in "\\PC{0,30}|\\{\"keys\":\\[(\\{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"[A-Za-z0-9_-]{0,50}\"\\})?\\]\\}",
    ) {
        for shop in [BODIES.with(|it| it[0]), QUERIES.with(|it| it[0])] {
            let request = Request {
                headers: headers.clone(),
                body: Some(body.clone()),
                ..Request::new("POST", &format!("/x?{query}"))
            };
            let now = UnixSeconds(NOW);
            if let Some(signed) = signed_request(shop, &request, now) {
                prop_assert_eq!(&signed.host, "agent.example");
                prop_assert!(!signed.is_by_one_of(&read_directory(&directory), now));
            }
            decide(shop, &request, now);
        }
    }
}
