//! No fault hides another, and each is reported with the key that holds it.

use super::*;

#[test]
fn a_wrong_settle_hides_no_other_fault() {
    let bad = with(&[
        ("/ROUTES/1/settle", json!("now")),
        ("/ROUTES/1/redeliver", json!("soon")),
        ("/ROUTES/1/networks", json!(["base"])),
    ]);
    let expected = ["ROUTES[1].networks", "ROUTES[1].redeliver", "ROUTES[1].settle"];
    assert_eq!(keys(&bad), expected);
}

#[test]
fn an_unknown_key_hides_no_other_fault() {
    let bad = with(&[
        ("/ROUTES/1/colour", json!("red")),
        ("/ROUTES/1/price", json!("1")),
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/colour", json!("red")),
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/pay_to", json!("x")),
    ]);
    let keys = keys(&bad);
    for key in ["ROUTES[1].price".to_owned(), format!("NETWORKS.\"{DEVNET}\".pay_to")] {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
}

#[test]
fn a_member_of_a_wrong_type_is_named() {
    for (pointer, value, key) in [
        ("/ROUTES/1/price", json!(0.01), "ROUTES[1].price".to_owned()),
        ("/ROUTES/1/methods", json!("GET"), "ROUTES[1].methods".to_owned()),
        (
            "/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/rpc",
            json!("https://sol.example/key"),
            format!("NETWORKS.\"{DEVNET}\".rpc"),
        ),
    ] {
        assert_eq!(keys(&with(&[(pointer, value)])), [key]);
    }
}

#[test]
fn a_bad_url_in_rpc_urls_is_a_fault_of_rpc_urls() {
    let secret = json!({ BASE: ["wss://base.example/key"] }).to_string();
    let bad = with(&[("/RPC_URLS", json!(secret)), ("/ROUTES/1/networks", json!(null))]);
    assert_eq!(keys(&bad), ["RPC_URLS"]);
}

#[test]
fn rpc_urls_of_an_unknown_network_are_a_fault() {
    let secret = json!({ "eip155:84523": ["https://base.example/key"] }).to_string();
    assert_eq!(keys(&with(&[("/RPC_URLS", json!(secret))])), ["RPC_URLS"]);
}

#[test]
fn a_method_is_a_token() {
    for wrong in ["", " GET", "GET,POST", "GET POST", "*"] {
        let bad = with(&[("/ROUTES/1/methods", json!([wrong]))]);
        assert!(load(&bad).config.is_err(), "{wrong:?}");
        assert_eq!(keys(&bad), ["ROUTES[1].methods"], "{wrong:?}");
    }
}

#[test]
fn usdc_is_usdc_in_any_spelling_of_its_address() {
    let lower = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
    let config = config(&with(&[("/NETWORKS/eip155:84532/asset", json!(lower))]));
    assert_eq!(config.networks[0].token.symbol, "USDC");
}

#[test]
fn all_faults_are_reported_at_once() {
    let bad = with(&[
        ("/ORIGIN", json!("ftp://x")),
        ("/ROUTES/0/pattern", json!("premium")),
        ("/ROUTES/0/price", json!("1")),
        ("/ROUTES/0/methods", json!([])),
        ("/ROUTES/0/description", json!("x".repeat(501))),
        ("/ROUTES/0/redeliver", json!("soon")),
        ("/ROUTES/0/networks", json!(["base"])),
        ("/ROUTES/1/settle", json!("now")),
        ("/ROUTES/-", json!({ "pattern": "/a", "price": "$1", "colour": "red" })),
        ("/NETWORKS/base", json!({})),
        ("/NETWORKS/eip155:84532/pay_to", json!("0x1")),
        ("/NETWORKS/eip155:84532/rpc", json!([])),
        ("/NETWORKS/eip155:84532/max_timeout_seconds", json!(1)),
        ("/EVM_RELAYER_KEYS", json!("0x1")),
        ("/SOLANA_FEE_PAYER_KEYS", json!("1")),
        ("/RPC_URLS", json!("{")),
    ]);
    assert_eq!(
        keys(&bad),
        [
            "EVM_RELAYER_KEYS",
            "NETWORKS.\"base\"",
            "NETWORKS.\"eip155:84532\".max_timeout_seconds",
            "NETWORKS.\"eip155:84532\".pay_to",
            "NETWORKS.\"eip155:84532\".rpc",
            "ORIGIN",
            "ROUTES[0].description",
            "ROUTES[0].methods",
            "ROUTES[0].networks",
            "ROUTES[0].pattern",
            "ROUTES[0].price",
            "ROUTES[0].redeliver",
            "ROUTES[1].networks",
            "ROUTES[1].settle",
            "ROUTES[2]",
            "RPC_URLS",
            "SOLANA_FEE_PAYER_KEYS",
        ]
    );
    assert_eq!(
        keys(&json!({})),
        ["NETWORKS", "ORIGIN", "ROUTES"],
        "nothing at all is three faults"
    );
}
