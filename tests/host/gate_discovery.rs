//! What is listed where agents and crawlers look, and what is not.

use crate::gate_support::{DEVNET, FEE_PAYER, NOW, PAY_TO, Request, SHOP, SOLANA_PAY_TO, config};
use edge402::config::{self, Loaded, Settings};
use edge402::encoding::decode_base64;
use edge402::gate::discovery::{WELL_KNOWN, resources, well_known};
use edge402::gate::{ChallengeTemplate, Hints};
use edge402::time::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

const URL: &str = "https://shop.example/guide?x=1";

fn load(routes: Value) -> Loaded {
    config::read(&crate::gate_support::settings("assets", routes))
}

/// A shop that lists three of its five routes.
fn shop() -> Loaded {
    load(json!([
        { "pattern": "/premium/*", "price": "$0.01", "description": "Premium pages",
          "listed": true, "payment_identifier": "optional" },
        { "pattern": "/guide", "price": "$0.01", "methods": ["GET"], "mime_type": "text/html",
          "networks": ["eip155:84532"], "listed": true,
          "service_name": "Guides & more", "tags": ["travel", "north"],
          "icon_url": "https://shop.example/icon.png" },
        { "pattern": "/secret/*", "price": "$1" },
        { "pattern": "/premium/hidden", "price": "$1", "listed": false },
        { "pattern": "/guide", "price": "$0.02", "methods": ["POST"], "listed": true,
          "networks": [DEVNET] },
    ]))
}

/// A route's v2 challenge for [`URL`].
fn challenge(loaded: &Loaded, route: usize) -> Value {
    let config = config(loaded);
    let template = ChallengeTemplate::new(&config.routes[route], config);
    let header = template.write(URL, None, &Hints::default()).header;
    serde_json::from_slice(&decode_base64(&header, 4_096).unwrap()).unwrap()
}

fn bazaar(route: &Value) -> Value {
    challenge(&load(json!([route])), 0)["extensions"]["bazaar"].clone()
}

fn ask(query: &str) -> Value {
    let answer = resources(config(&shop()), SHOP, query, UnixSeconds(NOW)).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// The resources and the methods that answer a question.
fn found(query: &str) -> Vec<String> {
    let items = ask(query)["items"].as_array().unwrap().clone();
    let named = items.iter().map(|item| {
        let method = item["extensions"]["bazaar"]["info"]["input"]["method"].as_str().unwrap();
        format!("{method} {}", item["resource"].as_str().unwrap().strip_prefix(SHOP).unwrap())
    });
    named.collect()
}

#[test]
fn the_well_known_document_lists_each_url_once() {
    assert_eq!(WELL_KNOWN, "/.well-known/x402");
    assert_eq!(
        well_known(config(&shop()), SHOP).as_deref(),
        Some(
            r#"{"resources":["https://shop.example/premium/","https://shop.example/guide"],"version":1}"#
        )
    );
}

#[test]
fn where_nothing_is_listed_there_is_no_document() {
    let loaded = load(crate::gate_support::routes());
    assert_eq!(well_known(config(&loaded), SHOP), None);
    let answer = resources(config(&loaded), SHOP, "", UnixSeconds(NOW));
    let empty = r#"{"items":[],"pagination":{"limit":20,"offset":0,"total":0},"x402Version":2}"#;
    assert_eq!(answer.as_deref(), Ok(empty));
}

#[test]
fn a_route_for_everything_is_listed_as_the_root() {
    let loaded = load(json!([{ "pattern": "/*", "price": "$1", "listed": true }]));
    let expected = r#"{"resources":["http://127.0.0.1:8402/"],"version":1}"#;
    let document = well_known(config(&loaded), "http://127.0.0.1:8402");
    assert_eq!(document.as_deref(), Some(expected));
}

#[test]
fn what_is_listed_is_for_sale() {
    let loaded = shop();
    let document = well_known(config(&loaded), SHOP).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    for url in document["resources"].as_array().unwrap() {
        let target = url.as_str().unwrap().strip_prefix(SHOP).unwrap();
        let outcome = Request::get(target).outcome(&loaded);
        assert!(outcome.starts_with("402 "), "{target}: {outcome}");
    }
}

#[test]
fn the_challenge_of_a_listed_route_says_how_to_ask() {
    assert_eq!(
        challenge(&shop(), 1),
        json!({
            "x402Version": 2,
            "error": "Payment required: send PAYMENT-SIGNATURE (v2) or X-PAYMENT (v1)",
            "resource": {
                "url": URL, "mimeType": "text/html", "serviceName": "Guides & more",
                "tags": ["travel", "north"], "iconUrl": "https://shop.example/icon.png",
            },
            "accepts": [{
                "scheme": "exact", "network": "eip155:84532", "amount": "10000",
                "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": PAY_TO,
                "maxTimeoutSeconds": 300, "extra": { "name": "USDC", "version": "2" },
            }],
            "extensions": {
                "bazaar": {
                    "info": { "input": { "type": "http", "method": "GET" } },
                    "schema": {
                        "type": "object",
                        "properties": {
                            "input": {
                                "type": "object",
                                "properties": {
                                    "type": { "const": "http" }, "method": { "enum": ["GET"] },
                                },
                                "required": ["type", "method"],
                            },
                        },
                        "required": ["input"],
                    },
                },
            },
        })
    );
}

#[test]
fn a_body_is_declared_where_the_method_has_one() {
    for method in ["POST", "PUT", "PATCH"] {
        let route = json!({ "pattern": "/a", "price": "$1", "listed": true, "methods": [method] });
        assert_eq!(
            bazaar(&route),
            json!({
                "info": {
                    "input": { "type": "http", "method": method, "bodyType": "json", "body": {} },
                },
                "schema": {
                    "type": "object",
                    "properties": {
                        "input": {
                            "type": "object",
                            "properties": {
                                "type": { "const": "http" },
                                "method": { "enum": [method] },
                                "bodyType": { "enum": ["json"] },
                                "body": { "type": "object" },
                            },
                            "required": ["type", "method", "bodyType", "body"],
                        },
                    },
                    "required": ["input"],
                },
            })
        );
    }
}

#[test]
fn one_method_is_declared() {
    for (methods, declared) in [
        (json!(null), "GET"),
        (json!(["get"]), "GET"),
        (json!(["HEAD"]), "HEAD"),
        (json!(["DELETE"]), "DELETE"),
        (json!(["DELETE", "GET"]), "DELETE"),
        (json!(["OPTIONS", "PUT", "GET"]), "PUT"),
    ] {
        let route = json!({ "pattern": "/a", "price": "$1", "listed": true, "methods": methods });
        assert_eq!(bazaar(&route)["info"]["input"]["method"], declared, "{methods}");
    }
}

#[test]
fn a_prefix_has_the_template_that_the_reference_gives_a_wildcard() {
    for (pattern, template) in [
        ("/premium/*", json!("/premium/:var1")),
        ("/v1.0/a-b_c~d/*", json!("/v1.0/a-b_c~d/:var1")),
        // What a catalogue refuses or reads as a parameter has none.
        ("/caf%C3%A9/*", json!(null)),
        ("/a..b/*", json!(null)),
        ("/a:b/*", json!(null)),
        ("/@jane/*", json!(null)),
        ("/*", json!(null)),
        ("/premium", json!(null)),
    ] {
        let route = json!({ "pattern": pattern, "price": "$1", "listed": true });
        assert_eq!(bazaar(&route)["routeTemplate"], template, "{pattern}");
    }
}

#[test]
fn extensions_stand_side_by_side_or_not_at_all() {
    let shop = shop();
    let extensions = |route| {
        let challenge = challenge(&shop, route);
        let names = challenge.get("extensions")?.as_object()?.keys().cloned();
        Some(names.collect::<Vec<_>>())
    };
    assert_eq!(extensions(0), Some(vec!["bazaar".into(), "payment-identifier".into()]));
    assert_eq!(extensions(2), None);
    assert_eq!(extensions(3), None);
}

#[test]
fn who_sells_is_said_of_unlisted_routes_too() {
    let loaded = load(json!([
        { "pattern": "/a", "price": "$1", "service_name": "S", "tags": ["t"],
          "icon_url": "http://i.example" },
        { "pattern": "/b", "price": "$1", "tags": [] },
    ]));
    assert_eq!(
        challenge(&loaded, 0)["resource"],
        json!({ "url": URL, "serviceName": "S", "tags": ["t"], "iconUrl": "http://i.example" })
    );
    assert_eq!(challenge(&loaded, 1)["resource"], json!({ "url": URL }));
}

#[test]
fn a_resource_is_told_whole() {
    let answer = ask("?limit=1");
    let evm = |network: &str, asset: &str, name: &str| {
        json!({
            "scheme": "exact", "network": network, "amount": "10000", "asset": asset,
            "payTo": PAY_TO, "maxTimeoutSeconds": 300, "extra": { "name": name, "version": "2" },
        })
    };
    assert_eq!(
        answer,
        json!({
            "x402Version": 2,
            "items": [{
                "resource": "https://shop.example/premium/",
                "type": "http",
                "x402Version": 2,
                "accepts": [
                    evm("eip155:42161", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin"),
                    evm("eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"),
                    {
                        "scheme": "exact", "network": DEVNET, "amount": "10000",
                        "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
                        "payTo": SOLANA_PAY_TO, "maxTimeoutSeconds": 300,
                        "extra": {
                            "feePayer": FEE_PAYER, "decimals": 6,
                            "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
                        },
                    },
                ],
                "lastUpdated": "2023-11-14T22:13:20Z",
                "description": "Premium pages",
                "extensions": challenge(&shop(), 0)["extensions"],
            }],
            "pagination": { "limit": 1, "offset": 0, "total": 3 },
        })
    );
    let guide = &ask("offset=1")["items"][0];
    assert_eq!(guide["resource"], "https://shop.example/guide");
    assert_eq!(guide["mimeType"], "text/html");
    assert_eq!(guide["serviceName"], "Guides & more");
    assert_eq!(guide["tags"], json!(["travel", "north"]));
    assert_eq!(guide["iconUrl"], "https://shop.example/icon.png");
    assert!(guide.get("description").is_none());
}

#[test]
fn a_question_narrows_what_is_found() {
    let all = ["GET /premium/", "GET /guide", "POST /guide"];
    let lower = PAY_TO.to_ascii_lowercase();
    for (query, expected) in [
        ("", all.as_slice()),
        ("?", &all),
        ("?type=http&scheme=exact&extensions=bazaar", &all),
        ("category=books&utm=%zz", &all),
        ("type=mcp", &[]),
        ("type=", &[]),
        ("scheme=upto", &[]),
        ("network=eip155:84532", &all[..2]),
        ("network=eip155%3A84532", &all[..2]),
        ("network=eip155:8453", &[]),
        (&format!("network={DEVNET}"), &["GET /premium/", "POST /guide"]),
        (&format!("payTo={PAY_TO}"), &all[..2]),
        (&format!("payTo={lower}"), &all[..2]),
        (&format!("payTo={SOLANA_PAY_TO}"), &["GET /premium/", "POST /guide"]),
        (&format!("payTo={}", SOLANA_PAY_TO.to_ascii_lowercase()), &[]),
        // Nobody pays that recipient on that network.
        (&format!("payTo={PAY_TO}&network={DEVNET}"), &[]),
        ("extensions=payment-identifier", &all[..1]),
        ("extensions=sign-in-with-x", &[]),
        ("limit=2", &all[..2]),
        ("limit=100&offset=2", &all[2..]),
        ("offset=3", &[]),
        ("offset=4294967295", &[]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    let page = ask("limit=1&offset=2&type=http")["pagination"].clone();
    assert_eq!(page, json!({ "limit": 1, "offset": 2, "total": 3 }));
}

#[test]
fn a_question_that_cannot_be_read_names_its_parameter() {
    for (query, message) in [
        ("limit=0", "limit must be a whole number from 1 to 100"),
        ("limit=101", "limit must be a whole number from 1 to 100"),
        ("limit=", "limit must be a whole number from 1 to 100"),
        ("limit", "limit must be a whole number from 1 to 100"),
        ("limit=%2B1", "limit must be a whole number from 1 to 100"),
        ("limit=1.5", "limit must be a whole number from 1 to 100"),
        ("offset=-1", "offset must be a whole number"),
        ("offset=1e3", "offset must be a whole number"),
        ("offset=99999999999999999999999", "offset must be a whole number"),
        ("payTo=%zz", "payTo must be UTF-8, with % before two hex digits"),
        ("network=%f", "network must be UTF-8, with % before two hex digits"),
        ("extensions=%ff", "extensions must be UTF-8, with % before two hex digits"),
        ("type=http&type=http", "type is there twice"),
        ("limit=1&scheme=a&limit=2", "limit is there twice"),
    ] {
        let answer = resources(config(&shop()), SHOP, query, UnixSeconds(NOW));
        assert_eq!(answer, Err(message.to_owned()), "{query}");
    }
}

#[test]
fn an_unlisted_route_is_in_no_answer() {
    let shop = shop();
    let config = config(&shop);
    let document = well_known(config, SHOP).unwrap();
    let answer = resources(config, SHOP, "limit=100", UnixSeconds(NOW)).unwrap();
    for text in [document, answer] {
        assert!(!text.contains("secret") && !text.contains("hidden"), "{text}");
    }
}

#[test]
fn a_route_that_is_hidden_behind_another_cannot_be_listed() {
    let route = |pattern: &str, more: Value| {
        let mut route = json!({ "pattern": pattern, "price": "$1" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let listed = || json!({ "listed": true });
    for (routes, key, problem) in [
        (
            json!([route("/a/*", listed()), route("/a", json!({}))]),
            "ROUTES[0].listed",
            "would list GET /a/, which another route sells",
        ),
        (
            json!([route("/b", json!({ "methods": ["GET"] })), route("/b", listed())]),
            "ROUTES[1].listed",
            "would list GET /b, which another route sells",
        ),
    ] {
        let faults = load(routes).config.unwrap_err();
        let [fault] = faults.0.as_slice() else { panic!("{faults}") };
        assert_eq!((fault.key.as_str(), fault.problem.as_str()), (key, problem));
    }
    let fine = json!([
        route("/a/*", listed()),
        route("/a", json!({ "methods": ["POST"] })),
        route("/a/b", json!({ "listed": true, "methods": ["POST"] })),
    ]);
    assert_eq!(config(&load(fine)).routes.len(), 3);
}

#[test]
fn what_makes_the_challenge_longer_is_counted() {
    let networks: serde_json::Map<String, Value> = ["8453", "84532", "137", "42161", "43114"]
        .iter()
        .map(|id| {
            let entry = json!({ "rpc": ["https://rpc.example"], "pay_to": PAY_TO });
            (format!("eip155:{id}"), entry)
        })
        .collect();
    let settings = |more: &Value| {
        let mut route = json!({ "pattern": "/premium/*", "price": "$0.01" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings = crate::gate_support::settings("assets", json!([route]));
        Settings { networks: Some(networks.clone().into()), ..settings }
    };
    let mut largest = [0; 2];
    for more in [
        json!({}),
        json!({ "listed": true }),
        json!({ "listed": true, "methods": ["PATCH"], "payment_identifier": "required" }),
        json!({ "service_name": "\"".repeat(32), "tags": ["\\".repeat(32), "b".repeat(32)] }),
        json!({ "icon_url": format!("https://i.example/{}", "i".repeat(2_000)) }),
    ] {
        for description in (0..=500).rev() {
            let mut more = more.clone();
            more["description"] = json!("d".repeat(description));
            let loaded = config::read(&settings(&more));
            let Ok(config) = &loaded.config else { continue };
            let template = ChallengeTemplate::new(&config.routes[0], config);
            let url = format!("https://shop.example/premium/{}", "p".repeat(8_192));
            let reason = edge402::protocol::Reason::SvmComputePriceTooHigh;
            let header = template.write(&url, Some(reason), &Hints::default()).header;
            assert!(header.len() <= 3_000, "{more}: {} bytes", header.len());
            largest = [largest[0].max(header.len()), largest[1] + 1];
            break;
        }
    }
    // The bound is close: what is refused would not have fitted by much.
    assert!(largest[0] > 2_950 && largest[1] >= 2, "{largest:?}");
    let icon = json!({ "icon_url": format!("https://i.example/{}", "i".repeat(2_000)) });
    let faults = config::read(&settings(&icon)).config.unwrap_err().to_string();
    assert!(faults.contains("ROUTES[0].icon_url: makes a challenge that clients can't take: "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_question_is_answered_or_refused(query in "(type|payTo|limit|offset|[&=%+]|\\PC){0,30}") {
        if let Ok(answer) = resources(config(&shop()), SHOP, &query, UnixSeconds(NOW)) {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok());
        }
    }
}
