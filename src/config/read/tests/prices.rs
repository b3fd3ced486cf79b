//! `prices` on a route.

use super::*;

fn priced(rules: &Value) -> Value {
    let mut config = good();
    config["ROUTES"][1] = json!({ "pattern": "/model", "price": "$0.02", "prices": rules });
    config
}

#[test]
fn each_rule_is_the_route_at_its_price() {
    let rules = json!([
        { "when": { "method": "post", "query": { "a": "x*", "b": "*" } }, "price": "$0.05" },
        { "when": { "body": "options.size", "is": "large" }, "price": "$0.01" },
    ]);
    let config = config(&priced(&rules));
    let route = &config.routes[1];
    let prices: Vec<_> = route.at_all_prices().map(|it| (it.rule, it.price.to_string())).collect();
    assert_eq!(prices, [(0, "$0.02".into()), (1, "$0.05".into()), (2, "$0.01".into())]);
    assert_eq!(route.least_price().to_string(), "$0.01");
    let dear = &route.prices[0];
    assert_eq!(dear.route.offers[0].v2.amount, AtomicAmount(50_000));
    assert_eq!(dear.route.pattern, route.pattern);
    assert_eq!(dear.when.method.as_ref().unwrap().as_str(), "POST");
    assert_eq!(dear.when.query.len(), 2);
    let (path, _) = route.prices[1].when.body.as_ref().unwrap();
    assert_eq!(path, &["options", "size"]);
}

#[test]
fn each_fault_of_a_rule_names_its_key() {
    let many: Vec<_> =
        (0..33).map(|_| json!({ "when": { "method": "GET" }, "price": "$1" })).collect();
    let when = |when: Value| json!([{ "when": when, "price": "$0.01" }]);
    let rule = "ROUTES[1].prices[0]";
    for (rules, key) in [
        (json!({}), "ROUTES[1].prices"),
        (json!([]), "ROUTES[1].prices"),
        (json!(many), "ROUTES[1].prices"),
        (json!([{ "when": { "method": "GET" } }]), &format!("{rule}.price")),
        (json!([{ "when": { "method": "GET" }, "price": "0.01" }]), &format!("{rule}.price")),
        (json!([{ "when": { "method": "GET" }, "price": "$0.0000001" }]), &format!("{rule}.price")),
        (json!([{ "price": "$0.01" }]), &format!("{rule}.when")),
        (when(json!({})), &format!("{rule}.when")),
        (when(json!({ "path": "/a" })), &format!("{rule}.when")),
        (when(json!({ "method": "FETCH" })), &format!("{rule}.when.method")),
        (when(json!({ "query": {} })), &format!("{rule}.when.query")),
        (when(json!({ "query": "a" })), &format!("{rule}.when.query")),
        (when(json!({ "query": { "a": 1 } })), &format!("{rule}.when.query.a")),
        (when(json!({ "query": { "a": "x*y" } })), &format!("{rule}.when.query.a")),
        (when(json!({ "query": { "a": "" } })), &format!("{rule}.when.query.a")),
        (when(json!({ "header": { "a b": "x" } })), &format!("{rule}.when.header")),
        (when(json!({ "body": "model" })), &format!("{rule}.when.is")),
        (when(json!({ "is": "x", "method": "GET" })), &format!("{rule}.when.is")),
        (when(json!({ "body": "a..b", "is": "x" })), &format!("{rule}.when.body")),
    ] {
        let faults = load(&priced(&rules)).config.unwrap_err();
        assert!(faults.0.iter().any(|it| it.key == *key), "{rules} {key}: {faults}");
    }
}

#[test]
fn classes_are_read_or_named_with_their_key() {
    let hash = "ab".repeat(32);
    let free = |classes: Value| {
        let mut config = good();
        config["ROUTES"][1] = json!({ "pattern": "/x", "price": "$0.02", "free_for": classes });
        config["PASSES"] = json!(format!("staff:{hash}, staff: {hash},press:{hash}"));
        config
    };
    let good = [
        "people",
        "search",
        "bots",
        "bots:training",
        "bots:ai-search",
        "country:DE",
        "country:T1",
        "asn:64500",
        "network:192.0.2.0/24",
        "network:2001:db8::/32",
        "secret:staff",
        "signed:agent.example",
        "signed:127.0.0.1:8080",
    ];
    let loaded = config(&free(json!(good)));
    let read: Vec<_> = loaded.routes[1].classes().map(|it| it.text.as_str()).collect();
    assert_eq!(read, good);
    assert!(loaded.notes().iter().any(|it| it.starts_with("ROUTES[1].free_for: \"people\"")));
    assert!(!config(&free(json!(["search"]))).notes().iter().any(|it| it.contains("free_for")));
    let key = "ROUTES[1].free_for";
    for wrong in [
        "",
        "person",
        "people:all",
        "search:google",
        "bots:",
        "bots:spam",
        "country:de",
        "country:DEU",
        "country",
        "asn:",
        "asn:AS1",
        "network:192.0.2.1/24",
        "network:host",
        "signed:",
        "signed:https://agent.example",
        "signed:Agent.example",
        "signed:a.b:x",
        "everybody",
    ] {
        let faults = load(&free(json!([wrong]))).config.unwrap_err();
        assert!(faults.0.iter().any(|it| it.key == key), "{wrong}: {faults}");
    }
    for wrong in [json!([]), json!("people"), json!(["people", 1])] {
        let faults = load(&free(wrong.clone())).config.unwrap_err();
        assert!(faults.0.iter().any(|it| it.key == key), "{wrong}: {faults}");
    }
    let faults = load(&free(json!(["secret:nobody"]))).config.unwrap_err();
    assert!(faults.0.iter().any(|it| it.key == "PASSES"), "{faults}");
    for secret in ["staff", "staff:", "staff:12", &format!(":{hash}")] {
        let mut config = free(json!(["people"]));
        config["PASSES"] = json!(secret);
        let faults = load(&config).config.unwrap_err();
        assert!(faults.0.iter().any(|it| it.key == "PASSES"), "{secret}: {faults}");
        assert!(!faults.to_string().contains(&hash), "no secret is told");
    }
    let mut both = free(json!(["search"]));
    both["ROUTES"][1]["prices"] = json!([{ "when": { "class": "bots:search" }, "price": "$0.01" }]);
    assert_eq!(config(&both).routes[1].classes().count(), 2);
    both["ROUTES"][1]["prices"][0]["when"]["class"] = json!("bot");
    let faults = load(&both).config.unwrap_err();
    assert!(faults.0.iter().any(|it| it.key == "ROUTES[1].prices[0].when.class"), "{faults}");
}
