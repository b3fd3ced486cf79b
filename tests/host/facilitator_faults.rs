//! What is wrong with the configuration of a facilitator, by its keys.

use crate::facilitator_orders::{EVM, PAY_TO, changed, config, faults, token_hash};
use serde_json::{Value, json};

#[test]
fn faults_name_their_keys() {
    let of = |value: Value| faults(move |settings| settings.facilitator = Some(value.clone()));
    let client = || json!({ "name": "a", "pay_to": [PAY_TO] });
    let with = |pointer: &str, value: Value| {
        let whole = json!({ "path": "/pay", "clients": [client()] });
        of(changed(whole, pointer, &value))
    };
    for (report, expected) in [
        (of(json!("/pay")), "FACILITATOR: must be a table"),
        (of(json!({ "path": "/pay" })), "FACILITATOR: is for nobody"),
        (of(json!({ "path": "/pay", "open": true })), "FACILITATOR.pay_to: is needed"),
        (
            of(json!({ "path": "/pay", "open": true, "pay_to": [PAY_TO],
                "daily_spend": { EVM: "1" } })),
            "FACILITATOR.daily_spend.\"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1\": is needed",
        ),
        (of(json!({ "path": "/pay", "open": 1 })), "FACILITATOR.open: must be true or false"),
        (with("/path", Value::Null), "FACILITATOR.path: is needed"),
        (with("/path", json!("pay")), "FACILITATOR.path: must be a plain path"),
        (with("/path", json!("/pay/")), "FACILITATOR.path: must be a plain path"),
        (with("/path", json!("/a//b")), "FACILITATOR.path: must be a plain path"),
        (with("/path", json!("/.edge402/x")), "FACILITATOR.path: must be a plain path"),
        (with("/tokens", json!([])), "FACILITATOR: has no key \"tokens\""),
        (
            with("/pay_to", json!([PAY_TO])),
            "FACILITATOR.pay_to: is for callers that bring no token",
        ),
        (with("/clients", json!({})), "FACILITATOR.clients: must be a list"),
        (with("/clients", json!([client(), client()])), "FACILITATOR.clients[1].name: is the same"),
        (with("/clients", json!([client()])), "FACILITATOR_TOKENS: has no token for a"),
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let client = |member: &str, value: Value| {
        with("/clients", json!([changed(client(), &format!("/{member}"), &value)]))
    };
    for (report, expected) in [
        (client("name", Value::Null), "FACILITATOR.clients[0].name: is needed"),
        (client("name", json!("open")), "FACILITATOR.clients[0].name: must be up to 64"),
        (client("name", json!("a:b")), "FACILITATOR.clients[0].name: must be up to 64"),
        (client("pay_to", Value::Null), "FACILITATOR.clients[0].pay_to: is needed"),
        (client("pay_to", json!([])), "FACILITATOR.clients[0].pay_to: must be a list of addresses"),
        (
            client("pay_to", json!(["0x0000000000000000000000000000000000000000"])),
            "FACILITATOR.clients[0].pay_to: must be a list of addresses",
        ),
        (client("networks", json!(["eip155:1"])), "names eip155:1, which NETWORKS doesn't have"),
        (
            client("daily_spend", json!("0.1")),
            "FACILITATOR.clients[0].daily_spend: must be a table",
        ),
        (
            client("daily_spend", json!({ EVM: "lots" })),
            "FACILITATOR.clients[0].daily_spend.\"eip155:84532\": must be an amount",
        ),
        (
            client("daily_spend", json!({ EVM: 1 })),
            "FACILITATOR.clients[0].daily_spend.\"eip155:84532\": must be a text",
        ),
        (
            client("requests_per_minute", json!(0)),
            "FACILITATOR.clients[0].requests_per_minute: must be a whole number",
        ),
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let secret =
        |text: &str| faults(|settings| settings.facilitator_tokens = Some(text.to_owned()));
    let hash = token_hash("one");
    for (report, expected) in [
        (secret("both"), "FACILITATOR_TOKENS: entry 1 must be a client's name"),
        (secret(&format!("both:{hash}1")), "FACILITATOR_TOKENS: entry 1 must be"),
        (secret(&format!("nobody:{hash}")), "entry 1 names a client"),
        (secret(&format!("both:{hash}")), "has no token for solana"),
        (secret(&format!("both:{hash},solana:{hash}")), "entry 2 is the same token"),
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
        assert!(!report.contains(&hash), "no secret is shown");
    }
    let shown = format!("{:?}", config().facilitator.unwrap());
    assert_eq!(shown.matches("TokenHash(not shown)").count(), 3, "{shown}");
}
