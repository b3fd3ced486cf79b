//! What can be a webhook, and how its messages are signed.

use edge402::config::{self, Webhook};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::gate_support::{routes, settings};

/// The secret of the specification's own example.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub fn hooks(list: Value, secret: &str) -> Result<Vec<Webhook>, String> {
    let mut settings = settings("assets", routes());
    settings.webhooks = Some(list);
    settings.webhook_secrets.insert("WEBHOOK_SECRET".into(), secret.into());
    config::read(&settings).config.map(|it| it.webhooks).map_err(|faults| faults.to_string())
}

pub fn hook(events: &[&str]) -> Vec<Webhook> {
    hooks(json!([{ "url": "https://hook.example/in", "events": events }]), SECRET).unwrap()
}

#[test]
fn the_specifications_own_example_is_signed_so() {
    // https://github.com/standard-webhooks/standard-webhooks, "Signature scheme".
    let hook = &hook(&["sale"])[0];
    let body = "{\"test\": 2432232314}";
    let signature =
        hook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", UnixSeconds(1_614_265_330), body);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn what_can_not_be_a_webhook_is_a_fault() {
    let good = json!({ "url": "https://a.example/x", "events": ["sale"] });
    let with = |name: &str, value: Value| {
        let mut entry = good.clone();
        entry[name] = value;
        json!([entry])
    };
    for (list, part) in [
        (json!({}), "WEBHOOKS: must be a list"),
        (json!(vec![good.clone(); 6]), "5 are taken"),
        (json!([good, good]), "WEBHOOKS[1].url: is that of an earlier one"),
        (with("url", json!("http://a.example/x")), "WEBHOOKS[0].url: must be https://"),
        (with("url", json!("https://user@a.example/")), "must be https://"),
        (with("url", json!("http://localhost.evil/")), "must be https://"),
        (with("url", json!("https:///x")), "must be https://"),
        (with("events", json!(["sold"])), "has no event \"sold\"; there are sale, refused"),
        (with("events", json!(["sale", "sale"])), "names sale twice"),
        (with("events", Value::Null), "WEBHOOKS[0].events: is needed"),
        (with("secret", json!("OTHER")), "OTHER: is needed to sign webhooks"),
        (with("colour", json!("red")), "has no key \"colour\""),
    ] {
        let said = hooks(list, SECRET).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    for url in [
        "https://a.example:8443/x?y=z",
        "http://localhost:1/",
        "http://127.0.0.1/",
        "http://[::1]:9/",
    ] {
        assert_eq!(hooks(with("url", json!(url)), SECRET).unwrap()[0].url, url);
    }
    for secret in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%", "whsec_QUJD"] {
        let said = hooks(json!([good]), secret).unwrap_err();
        assert!(said.contains("WEBHOOK_SECRET: must be whsec_"), "{said}");
        assert!(secret.is_empty() || !said.contains(secret), "{said}");
    }
    let two = format!("{SECRET},{SECRET}");
    let both = hooks(json!([good]), &two).unwrap()[0].signature("a", UnixSeconds(1), "b");
    assert_eq!(both.matches("v1,").count(), 2);
}
