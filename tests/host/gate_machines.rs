//! What machines are told where they look first: robots.txt, the licence, the
//! prices, the `OpenAPI` document.

use crate::gate_support::{NOW, Request, SHOP, config, settings};
use edge402::config::{self, Loaded, Settings};
use edge402::encoding::decode_base64;
use edge402::gate::machines::{Document, asked_for, entity_tag, has_it, license_link};
use edge402::gate::{ChallengeTemplate, Decision, Hints, decide};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

const LINK: &str =
    "<https://shop.example/license.xml>; rel=\"license\"; type=\"application/rsl+xml\"";

fn load(tells: bool, routes: Value) -> Loaded {
    let settings = settings("https://own.example", routes);
    config::read(&Settings {
        tell_machines: Some(json!(tells)),
        page: Some(json!({ "name": "North & Co", "terms": "/terms?a=1&b=2" })),
        ..settings
    })
}

fn routes() -> Value {
    json!([
        { "pattern": "/premium/*", "price": "$0.01", "description": "Premium <pages> | & *more*",
          "listed": true },
        { "pattern": "/guide", "price": "$2.5", "methods": ["GET"], "listed": true,
          "networks": ["eip155:84532"], "access": "1h", "tags": ["travel"],
          "input": { "schema": { "type": "object", "required": ["city"],
                                 "properties": { "city": { "type": "string" } } },
                     "example": { "city": "Oslo" } },
          "output": { "schema": { "type": "object" }, "example": { "sights": 3 } } },
        { "pattern": "/secret/*", "price": "$7", "description": "hidden" },
        { "pattern": "/orders", "price": "$0.02", "methods": ["POST"], "listed": true,
          "input": { "schema": { "type": "object", "required": ["n"] }, "example": { "n": 1 } } },
    ])
}

fn shop() -> Loaded {
    let settings = Settings {
        grant_secret: Some("8f".repeat(32)),
        tell_machines: Some(json!(true)),
        page: Some(json!({ "name": "North & Co", "terms": "/terms?a=1&b=2" })),
        ..settings("https://own.example", routes())
    };
    config::read(&settings)
}

fn written(document: Document) -> String {
    let loaded = shop();
    config(&loaded);
    document.text(&loaded, SHOP)
}

/// Which of the documents a shop has.
fn told(loaded: &Loaded) -> Vec<&'static str> {
    let paths = ["/robots.txt", "/license.xml", "/.well-known/prices.md", "/openapi.json"];
    paths.into_iter().filter(|path| asked_for(loaded, &Request::get(path)).is_some()).collect()
}

#[test]
fn unasked_only_the_prices_are_told_and_only_of_what_is_listed() {
    let all = ["/robots.txt", "/license.xml", "/.well-known/prices.md", "/openapi.json"];
    assert_eq!(told(&shop()), all);
    let listed = json!([{ "pattern": "/a", "price": "$1", "listed": true }]);
    assert_eq!(told(&load(false, listed)), ["/.well-known/prices.md"]);
    let unlisted = load(true, json!([{ "pattern": "/a", "price": "$1" }]));
    assert_eq!(told(&unlisted), [""; 0]);
    let notes = config(&unlisted).notes();
    assert!(notes.iter().any(|it| it.starts_with("TELL_MACHINES: tells of nothing")), "{notes:?}");
    // What can't be fetched has no licence to be crawled.
    let posted = json!([{ "pattern": "/a", "price": "$1", "methods": ["POST"], "listed": true }]);
    assert_eq!(
        told(&load(true, posted)),
        ["/robots.txt", "/.well-known/prices.md", "/openapi.json"]
    );
    let faulty = load(true, json!([{ "pattern": "/a", "price": "1", "listed": true }]));
    assert_eq!(told(&faulty), [""; 0]);
}

#[test]
fn it_answers_to_reading_alone_and_asks_the_origin_under_the_same_path() {
    let loaded = shop();
    let ask = |request: &Request| asked_for(&loaded, request);
    let (document, path) = ask(&Request::get("/robots.txt?x=1")).unwrap();
    assert_eq!((document, path.as_str()), (Document::Robots, "/robots.txt"));
    assert!(ask(&Request::new("HEAD", "/openapi.json")).is_some());
    for (method, path) in [
        ("POST", "/robots.txt"),
        ("OPTIONS", "/robots.txt"),
        ("GET", "/robots.txt/"),
        ("GET", "/Robots.txt"),
        ("GET", "//robots.txt"),
        ("GET", "/a/robots.txt"),
    ] {
        assert!(ask(&Request::new(method, path)).is_none(), "{method} {path}");
    }
}

#[test]
fn what_is_sold_at_these_paths_stays_sold() {
    let everything = load(true, json!([{ "pattern": "/*", "price": "$1", "listed": true }]));
    assert_eq!(told(&everything), [""; 0]);
    assert_eq!(Request::get("/robots.txt").outcome(&everything), "402 0 /robots.txt");
    // Nobody is sent to a licence that costs something.
    assert_eq!(link(&everything, "/a"), None);
    let license = load(
        true,
        json!([
            { "pattern": "/a", "price": "$1", "listed": true },
            { "pattern": "/license.xml", "price": "$1" },
        ]),
    );
    assert_eq!(told(&license), ["/robots.txt", "/.well-known/prices.md", "/openapi.json"]);
    assert_eq!(link(&license, "/a"), None);
    assert!(!Document::Robots.text(&license, SHOP).contains("License:"));
    // Nor to prices that do.
    let prices = load(
        true,
        json!([
            { "pattern": "/a", "price": "$1", "listed": true },
            { "pattern": "/.well-known/*", "price": "$1" },
        ]),
    );
    assert_eq!(told(&prices), ["/robots.txt", "/license.xml", "/openapi.json"]);
    let robots = Document::Robots.text(&prices, SHOP);
    assert!(robots.starts_with("User-agent: *\n") && !robots.contains("prices"), "{robots}");
}

fn link(loaded: &Loaded, target: &str) -> Option<String> {
    let request = Request::get(target);
    match decide(loaded, &request, UnixSeconds(NOW)) {
        Decision::PaymentRequired(sale, _) => license_link(loaded, &sale),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_licence_is_linked_where_it_says_something() {
    let loaded = shop();
    assert_eq!(link(&loaded, "/premium/a").as_deref(), Some(LINK));
    assert_eq!(link(&loaded, "/secret/a"), None);
    let off = load(false, json!([{ "pattern": "/a", "price": "$1", "listed": true }]));
    assert_eq!(link(&off, "/a"), None);
}

#[test]
fn robots_names_the_licence_and_forbids_nothing() {
    assert_eq!(
        written(Document::Robots),
        "# What is sold here, for machines too: https://shop.example/.well-known/prices.md\n\
         User-agent: *\nAllow: /\n\nLicense: https://shop.example/license.xml\n"
    );
}

#[test]
fn the_licence_has_each_price_and_nothing_that_is_not_listed() {
    assert_eq!(
        written(Document::License),
        r#"<?xml version="1.0" encoding="UTF-8"?>
<rsl xmlns="https://rslstandard.org/rsl">
  <content url="/premium/*">
    <license>
      <payment type="crawl">
        <amount currency="USD">0.01</amount>
      </payment>
    </license>
    <terms>https://shop.example/terms?a=1&amp;b=2</terms>
  </content>
  <content url="/guide$">
    <license>
      <payment type="crawl">
        <amount currency="USD">2.5</amount>
      </payment>
    </license>
    <terms>https://shop.example/terms?a=1&amp;b=2</terms>
  </content>
</rsl>
"#
    );
}

#[test]
fn the_prices_are_a_table_that_no_text_breaks() {
    let text = written(Document::Prices);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "# Prices at North &amp; Co");
    let usdc = "USDC on eip155:42161, USDC on eip155:84532, \
                USDC on solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
    assert_eq!(
        lines[4..],
        [
            "| path | method | price | paid in | what it is |",
            "|---|---|---|---|---|",
            &format!(
                r"| `/premium/*` | GET | $0.01 | {usdc} | Premium &lt;pages\> \| &amp; \*more\* |"
            ),
            "| `/guide` | GET | $2.5, for 3600 seconds | USDC on eip155:84532 |  |",
            &format!("| `/orders` | POST | $0.02 | {usdc} |  |"),
            "",
            "Terms: <https://shop.example/terms?a=1&b=2>",
        ]
    );
}

#[test]
fn the_open_api_document_says_how_to_ask_and_what_it_costs() {
    let document: Value = serde_json::from_str(&written(Document::OpenApi)).unwrap();
    let paid = |amount: &str| {
        json!({ "price": { "mode": "fixed", "currency": "USD", "amount": amount },
                "protocols": [{ "x402": {} }] })
    };
    let good = "What was paid for";
    let required = json!({ "description": "Payment Required" });
    let input = json!({ "type": "object", "required": ["n"] });
    assert_eq!(
        document,
        json!({
            "openapi": "3.1.0",
            "info": { "title": "North & Co", "version": "1" },
            "servers": [{ "url": SHOP }],
            "paths": {
                "/premium/{path}": { "get": {
                    "description": "Premium <pages> | & *more*",
                    "parameters": [{
                        "name": "path", "in": "path", "required": true,
                        "schema": { "type": "string" },
                        "description": "anything below, with its slashes",
                    }],
                    "x-payment-info": paid("0.01"),
                    "responses": { "200": { "description": good }, "402": required },
                } },
                "/guide": { "get": {
                    "tags": ["travel"],
                    "parameters": [{
                        "name": "city", "in": "query", "required": true,
                        "schema": { "type": "string" }, "example": "Oslo",
                    }],
                    "x-payment-info": paid("2.5"),
                    "responses": {
                        "200": { "description": good, "content": { "application/json": {
                            "schema": { "type": "object" }, "example": { "sights": 3 },
                        } } },
                        "402": required,
                    },
                } },
                "/orders": { "post": {
                    "requestBody": { "required": true, "content": { "application/json": {
                        "schema": input, "example": { "n": 1 },
                    } } },
                    "x-payment-info": paid("0.02"),
                    "responses": { "200": { "description": good }, "402": required },
                } },
            },
        })
    );
}

#[test]
fn what_is_sold_by_use_has_a_most_and_no_price() {
    let loaded = load(
        true,
        json!([{ "pattern": "/a", "price": "$1", "scheme": "upto", "listed": true,
                 "networks": ["eip155:84532"] }]),
    );
    config(&loaded);
    let license = Document::License.text(&loaded, SHOP);
    assert!(license.contains("<payment type=\"crawl\">\n      </payment>"), "{license}");
    assert!(Document::Prices.text(&loaded, SHOP).contains("| at most $1 |"));
    let document: Value = serde_json::from_str(&Document::OpenApi.text(&loaded, SHOP)).unwrap();
    assert_eq!(
        document["paths"]["/a"]["get"]["x-payment-info"]["price"],
        json!({ "mode": "dynamic", "currency": "USD", "min": "0", "max": "1" })
    );
}

#[test]
fn what_the_origin_says_the_price_of_has_a_most_and_no_price() {
    let route = json!({ "pattern": "/a", "price": "origin", "price_max": "$1", "listed": true,
                        "tell_origin": true });
    let settings = settings("https://own.example", json!([route]));
    let secret = Some("5e".repeat(32));
    let tells_machines = Some(json!(true));
    let settings = Settings { origin_secret: secret, tell_machines: tells_machines, ..settings };
    let loaded = config::read(&settings);
    config(&loaded);
    assert!(!Document::License.text(&loaded, SHOP).contains("<amount"));
    assert!(Document::Prices.text(&loaded, SHOP).contains("| at most $1 |"));
    let document: Value = serde_json::from_str(&Document::OpenApi.text(&loaded, SHOP)).unwrap();
    assert_eq!(
        document["paths"]["/a"]["get"]["x-payment-info"]["price"],
        json!({ "mode": "dynamic", "currency": "USD", "min": "0", "max": "1" })
    );
}

#[test]
fn what_has_several_prices_has_a_least_and_a_most() {
    let loaded = load(
        true,
        json!([{ "pattern": "/a", "price": "$1", "listed": true, "prices": [
            { "when": { "query": { "size": "small" } }, "price": "$0.5" },
            { "when": { "method": "POST" }, "price": "$3" },
        ] }]),
    );
    config(&loaded);
    assert!(!Document::License.text(&loaded, SHOP).contains("<amount"));
    assert!(Document::Prices.text(&loaded, SHOP).contains("| `/a` | GET | $0.5 to $3 |"));
    let document: Value = serde_json::from_str(&Document::OpenApi.text(&loaded, SHOP)).unwrap();
    assert_eq!(
        document["paths"]["/a"]["get"]["x-payment-info"]["price"],
        json!({ "mode": "dynamic", "currency": "USD", "min": "0.5", "max": "3" })
    );
}

#[test]
fn a_document_tells_of_so_many_routes_and_no_more() {
    let many: Vec<Value> = (0..300)
        .map(|n| json!({ "pattern": format!("/a/{n}"), "price": "$1", "listed": true }))
        .collect();
    let loaded = load(true, many.into());
    config(&loaded);
    assert_eq!(Document::License.text(&loaded, SHOP).matches("<content ").count(), 200);
    assert_eq!(Document::Prices.text(&loaded, SHOP).matches("\n| `/a/").count(), 200);
}

#[test]
fn a_document_is_known_again() {
    let tag = entity_tag("a");
    assert_ne!(tag, entity_tag("b"));
    assert_eq!(tag.len(), 34);
    for list in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        assert!(has_it(Some(&list), &tag), "{list}");
    }
    for list in ["", "\"x\"", tag.trim_matches('"')] {
        assert!(!has_it(Some(list), &tag), "{list}");
    }
    assert!(!has_it(None, &tag));
}

fn bazaar(route: &Value) -> Value {
    let loaded = load(false, json!([route]));
    let config = config(&loaded);
    let template = ChallengeTemplate::new(&config.routes[0], config);
    let header = template.write("https://shop.example/a", None, &Hints::default()).header;
    assert!(header.len() <= 3_000);
    let challenge: Value = serde_json::from_slice(&decode_base64(&header, 4_096).unwrap()).unwrap();
    challenge["extensions"]["bazaar"].clone()
}

#[test]
fn the_challenge_of_a_listed_route_says_what_goes_in_and_comes_out() {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let shapes = json!({ "schema": schema, "example": { "city": "Oslo" } });
    let get = bazaar(&json!({
        "pattern": "/a", "price": "$1", "listed": true, "input": shapes,
        "output": { "example": { "sights": 3 } },
    }));
    let input = json!({ "type": "http", "method": "GET", "queryParams": { "city": "Oslo" } });
    let output = json!({ "type": "json", "example": { "sights": 3 } });
    assert_eq!(get["info"], json!({ "input": input, "output": output }));
    assert_eq!(get["schema"]["properties"]["input"]["properties"]["queryParams"], schema);
    let post = bazaar(&json!({
        "pattern": "/a", "price": "$1", "listed": true, "methods": ["POST"], "input": shapes,
    }));
    assert_eq!(post["info"]["input"]["body"], json!({ "city": "Oslo" }));
    assert_eq!(post["schema"]["properties"]["input"]["properties"]["body"], schema);
}

#[test]
fn a_shape_that_cannot_be_told_is_a_fault() {
    let fault = |changes: Value| {
        let mut route = json!({ "pattern": "/a", "price": "$1", "listed": true });
        route.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let faults = load(false, json!([route])).config.unwrap_err().0;
        assert_eq!(faults.len(), 1, "{faults:?}");
        format!("{}: {}", faults[0].key, faults[0].problem)
    };
    let long = json!({ "example": { "a": "x".repeat(1_024) } });
    for (changes, expected) in [
        (json!({ "listed": false, "input": {} }), "ROUTES[0].input: has no effect without listed"),
        (json!({ "output": { "type": "x" } }), "ROUTES[0].output: has no key \"type\""),
        (json!({ "input": long }), "ROUTES[0].input: has 1044 bytes of JSON; at most 1024"),
        (json!({ "output": { "example": "\u{e001}" } }), "ROUTES[0].output: holds private-use"),
        (json!({ "output": { "schema": "x" } }), "ROUTES[0].output: must have a table as its"),
        (json!({ "input": { "example": 3 } }), "ROUTES[0].input: must have a table as its example"),
        (
            json!({ "methods": ["POST"], "input": { "schema": { "required": ["a"] } } }),
            "ROUTES[0].input: needs an example",
        ),
        (json!({ "input": "x" }), "ROUTES[0].input: must be a table"),
    ] {
        let said = fault(changes);
        assert!(said.starts_with(expected), "{said}");
    }
    let faults = config::read(&Settings {
        tell_machines: Some(json!("yes")),
        ..settings("assets", json!([]))
    });
    assert!(
        faults.config.unwrap_err().to_string().contains("TELL_MACHINES: must be true or false")
    );
}
