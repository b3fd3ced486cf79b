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
    assert_eq!(loaded.origin_headers.0, expected);
    assert!(!format!("{loaded:?}").contains("k3y"));
    assert_eq!(load(&good()).origin_headers.0, []);
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
        assert_eq!(load(&config).origin_headers.0.len(), usize::from(expected.contains("x-key")));
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
fn files_read_no_headers() {
    let found = faults(&with(&[("/ORIGIN_HEADERS", json!({ "X-Key": "1" }))]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "ORIGIN_HEADERS");
}
