//! What goes with each request to the origin.

use super::*;

const URL: &str = "https://origin.example";

fn of(headers: &Value) -> Value {
    with(&[("/ORIGIN", json!(URL)), ("/ORIGIN_HEADERS", headers.clone())])
}

#[test]
fn a_value_is_a_text_or_in_a_secret() {
    let headers = json!({ "X-Key": { "secret": "ORIGIN_KEY" }, "CF-Access-Client-Id": "a b" });
    let mut config = of(&headers);
    set(&mut config, "/ORIGIN_KEY", &json!("k3y"));
    let loaded = load(&config);
    assert!(loaded.config.is_ok());
    let expected =
        [("CF-Access-Client-Id", "a b"), ("X-Key", "k3y")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(loaded.origin_headers.always, expected);
    assert!(!format!("{loaded:?}").contains("k3y"));
    assert_eq!(load(&good()).origin_headers.always, []);
}

#[test]
fn each_fault_has_its_key_and_shows_no_value() {
    let key = "ORIGIN_HEADERS.\"X-Key\"";
    let secret = "ORIGIN_HEADERS.\"X-Key\".secret";
    for (headers, expected) in [
        (json!([]), "ORIGIN_HEADERS"),
        (json!({ "X-Key": 1 }), key),
        (json!({ "X-Key": "" }), key),
        (json!({ "X-Key": " hidden" }), key),
        (json!({ "X-Key": "hidden\r\nHost: evil" }), key),
        (json!({ "X-Key": "hidden\n" }), key),
        (json!({ "X-Key": "hidden\u{0}" }), key),
        (json!({ "X-Key": "hidden\u{7f}" }), key),
        (json!({ "X-Key": "hiddén" }), key),
        (json!({ "X-Key": { "secrets": "A" } }), key),
        (json!({ "X-Key": { "secret": 1 } }), secret),
        (json!({ "X-Key": { "secret": "no name" } }), secret),
        (json!({ "X-Key": { "secret": "GRANT_SECRET" } }), secret),
        (json!({ "X-Key": { "secret": "EVM_RELAYER_KEYS" } }), secret),
        (json!({ "X-Key": { "secret": "ORIGIN_SECRET" } }), secret),
        (json!({ "X-Key": { "secret": "NOWHERE" } }), "NOWHERE"),
        (json!({ "X-Key": { "secret": "OTHER_KEY" } }), "OTHER_KEY"),
        (json!({ "X-Key": "a", "x-key": "b" }), "ORIGIN_HEADERS.\"x-key\""),
    ] {
        let mut config = of(&headers);
        set(&mut config, "/OTHER_KEY", &json!("hidden\r\nHost: evil"));
        set(&mut config, "/GRANT_SECRET", &json!("ab".repeat(32)));
        let found = faults(&config);
        assert!(
            !found.is_empty() && found.iter().all(|(key, _)| key.starts_with(expected)),
            "{headers}: {found:?}"
        );
        assert!(!format!("{found:?}").contains("hid"), "{found:?}");
        assert_eq!(
            load(&config).origin_headers.always.len(),
            usize::from(expected.contains("x-key"))
        );
    }
}

#[test]
fn no_header_is_taken_that_something_else_says() {
    for name in [
        "Host",
        "connection",
        "Transfer-Encoding",
        "Content-Length",
        "TE",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "Trailer",
        "Proxy-Connection",
        "X-PAYMENT",
        "Payment-Signature",
        "PAYMENT-GRANT",
        "x-payment-payer",
        "X-Payment-Signature",
        "X-Edge402-Via",
        "X-Forwarded-Host",
        "",
        "a b",
        "a:",
        "a\r\nHost",
        "Ä",
    ] {
        let found = faults(&of(&json!({ name: "1" })));
        let [(key, _)] = found.as_slice() else { panic!("{name}: {found:?}") };
        assert_eq!(key, &format!("ORIGIN_HEADERS.{name:?}"));
    }
}

#[test]
fn no_secret_of_the_worker_can_be_named() {
    let source = include_str!("../../settings.rs");
    let names = source.split("from.secret(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let found = faults(&of(&json!({ "X-Key": { "secret": name } })));
        let problem = "names a secret that stays with the Worker; make another one";
        let key = "ORIGIN_HEADERS.\"X-Key\".secret";
        assert_eq!(found, [(key.to_owned(), problem.to_owned())], "{name}");
    }
}

#[test]
fn no_secret_that_signs_a_webhook_can_be_named() {
    let mut config = of(&json!({ "X-Key": { "secret": "OTHER_KEY" } }));
    let hook = json!({ "url": "https://a.example/", "events": ["sale"], "secret": "OTHER_KEY" });
    set(&mut config, "/OTHER_KEY", &json!(format!("whsec_{}", "A".repeat(32))));
    assert!(load(&config).config.is_ok());
    set(&mut config, "/WEBHOOKS", &json!([hook]));
    let found = faults(&config);
    let key = "ORIGIN_HEADERS.\"X-Key\".secret";
    let problem = "names a secret that stays with the Worker; make another one";
    assert_eq!(found, [(key.to_owned(), problem.to_owned())]);
}

#[test]
fn files_read_no_headers() {
    let found = faults(&with(&[("/ORIGIN_HEADERS", json!({ "X-Key": "1" }))]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "ORIGIN_HEADERS");
}

fn telling(changes: &[(&str, Value)]) -> Value {
    let mut config = with(&[("/ORIGIN", json!(URL)), ("/ORIGIN_SECRET", json!("5e".repeat(32)))]);
    for (pointer, value) in changes {
        set(&mut config, pointer, value);
    }
    config
}

#[test]
fn the_origin_is_told_where_a_route_says_so_or_the_site() {
    let told = |changes: &[(&str, Value)]| {
        let routes = config(&telling(changes)).routes;
        routes.iter().map(|route| route.tells_origin).collect::<Vec<_>>()
    };
    let site = ("/TELL_ORIGIN", json!(true));
    assert_eq!(told(&[]), [false, false]);
    assert_eq!(told(std::slice::from_ref(&site)), [true, true]);
    assert_eq!(told(&[site, ("/ROUTES/1/tell_origin", json!(false))]), [true, false]);
    assert_eq!(told(&[("/ROUTES/1/tell_origin", json!(true))]), [false, true]);
    let loaded = load(&telling(&[]));
    assert_eq!(loaded.origin_secret.as_ref().map(|it| it.key().len()), Some(64));
    assert!(!format!("{loaded:?}").contains("5e5e"));
}

#[test]
fn whoever_tells_the_origin_needs_the_secret() {
    let (site, route) = (("/TELL_ORIGIN", json!(true)), ("/ROUTES/1/tell_origin", json!(true)));
    for it in [site.clone(), route.clone()] {
        let found = faults(&telling(&[it, ("/ORIGIN_SECRET", json!(null))]));
        let problem = "is needed for tell_origin: wrangler secret put ORIGIN_SECRET";
        assert_eq!(found, [("ORIGIN_SECRET".to_owned(), problem.to_owned())]);
    }
    for secret in ["", "5e", &"5g".repeat(32), &format!("0x{}", "5e".repeat(32)), " "] {
        let found = faults(&telling(&[site.clone(), ("/ORIGIN_SECRET", json!(secret))]));
        let problem = "must be 64 hex digits: openssl rand -hex 32";
        assert_eq!(found, [("ORIGIN_SECRET".to_owned(), problem.to_owned())], "{secret}");
    }
    assert_eq!(keys(&telling(&[("/TELL_ORIGIN", json!("yes"))])), ["TELL_ORIGIN"]);
    assert_eq!(keys(&telling(&[("/ROUTES/1/tell_origin", json!(1))])), ["ROUTES[1].tell_origin"]);
    let files = ("/ORIGIN", json!("assets"));
    assert_eq!(keys(&telling(&[route, files])), ["ROUTES[1].tell_origin"]);
}
