//! Networks that somebody else's facilitator settles.

use super::*;

const URL: &str = "https://facilitator.example/x402";
const FEE_PAYER: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";

/// The good configuration, settled by a facilitator on both networks.
fn remote() -> Value {
    with(&[
        ("/NETWORKS/eip155:84532/rpc", json!(null)),
        ("/NETWORKS/eip155:84532/facilitator", json!(URL)),
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/rpc", json!(null)),
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/facilitator", json!(URL)),
        ("/EVM_RELAYER_KEYS", json!(null)),
        ("/SOLANA_FEE_PAYER_KEYS", json!(null)),
        ("/remote", json!({ DEVNET: FEE_PAYER })),
    ])
}

fn changed(mut config: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        set(&mut config, pointer, value);
    }
    config
}

#[test]
fn a_facilitator_needs_neither_keys_nor_nodes() {
    let config = config(&remote());
    assert!(config.relayers.is_empty() && config.fee_payers.is_empty());
    for network in &config.networks {
        assert_eq!(network.facilitator.as_ref().unwrap().url, URL);
        assert!(network.rpc.is_empty() && network.fallback.is_none() && network.is_on_offer());
    }
    let offer = config.routes[0].offers[1].v2.to_value();
    assert_eq!(offer["extra"]["feePayer"], FEE_PAYER);
}

#[test]
fn a_slash_at_the_end_makes_no_difference() {
    let slash = changed(
        remote(),
        &[("/NETWORKS/eip155:84532/facilitator", json!("http://127.0.0.1:4022/"))],
    );
    let facilitator = config(&slash).networks[0].facilitator.clone().unwrap();
    assert_eq!(
        (facilitator.url.as_str(), facilitator.host().as_str()),
        ("http://127.0.0.1:4022", "127.0.0.1:4022")
    );
}

/// Whoever is on the way could say that they were paid.
#[test]
fn a_facilitator_is_asked_where_nobody_can_read_along() {
    for url in [
        "http://facilitator.example",
        "http://localhost.example",
        "http://localhost@facilitator.example",
        "https://facilitator.example?x",
        "https://user@facilitator.example",
        "facilitator.example",
    ] {
        let bad = changed(remote(), &[("/NETWORKS/eip155:84532/facilitator", json!(url))]);
        assert_eq!(keys(&bad)[0], format!("NETWORKS.\"{BASE}\".facilitator"), "{url}");
    }
    for url in ["http://localhost:4022", "http://[::1]:4022/x402", URL] {
        let good = changed(remote(), &[("/NETWORKS/eip155:84532/facilitator", json!(url))]);
        assert!(load(&good).config.is_ok(), "{url}");
    }
}

#[test]
fn solana_is_offered_once_the_fee_payer_is_known() {
    let unknown = changed(remote(), &[("/remote", json!({}))]);
    let config = config(&unknown);
    let networks = |route: &Route| -> Vec<String> {
        route.offers.iter().map(|offer| offer.v2.network.to_string()).collect()
    };
    assert_eq!(networks(&config.routes[0]), [BASE]);
    assert!(!config.networks[1].is_on_offer());
    let alone = changed(unknown, &[("/ROUTES/0/networks", json!([DEVNET]))]);
    assert!(self::config(&alone).routes[0].offers.is_empty());
}

#[test]
fn our_own_fee_payers_pay_nothing_for_a_facilitator() {
    let both = changed(remote(), &[("/SOLANA_FEE_PAYER_KEYS", json!(solana_key()))]);
    assert_eq!(config(&both).routes[0].offers[1].v2.to_value()["extra"]["feePayer"], FEE_PAYER);
    let unknown = changed(both, &[("/remote", json!({}))]);
    assert_eq!(config(&unknown).routes[0].offers.len(), 1);
}

/// What a facilitator says must not be able to close the shop: whether a
/// challenge is too long is decided without it.
#[test]
fn what_a_facilitator_says_makes_no_fault() {
    let mut long = changed(remote(), &[("/ROUTES/0/description", json!("x".repeat(500)))]);
    for n in 0_u8..3 {
        let name = format!("eip155:{n}");
        let table = json!({
            "facilitator": URL, "pay_to": PAY_TO, "asset": PAY_TO, "decimals": 6,
            "name": "x".repeat(90), "version": "1",
        });
        set(&mut long, &format!("/NETWORKS/{name}"), &table);
    }
    let known: Result<_, _> = load(&long).config;
    let unknown = load(&changed(long, &[("/remote", json!({}))])).config;
    assert_eq!(known.is_err(), unknown.is_err());
}

#[test]
fn a_fallback_stands_beside_an_own_lane() {
    let fallback = with(&[("/NETWORKS/eip155:84532/fallback_facilitator", json!(URL))]);
    let network = &config(&fallback).networks[0];
    assert_eq!(network.fallback.as_ref().unwrap().url, URL);
    assert!(network.facilitator.is_none());
    let member = |name: &str| format!("NETWORKS.\"{BASE}\".{name}");
    let all = ("/ROUTES/1/networks", json!(null));
    for (change, expected) in [
        (("/NETWORKS/eip155:84532/rpc", json!(null)), vec![member("rpc")]),
        (("/EVM_RELAYER_KEYS", json!(null)), vec!["EVM_RELAYER_KEYS".to_owned()]),
        (("/NETWORKS/eip155:84532/facilitator", json!(URL)), vec![member("fallback_facilitator")]),
    ] {
        let bad = changed(fallback.clone(), &[all.clone(), change]);
        assert_eq!(keys(&bad), expected);
    }
    let solana = with(&[(&format!("/NETWORKS/{DEVNET}/fallback_facilitator"), json!(URL))]);
    let found = faults(&solana);
    let [(key, problem)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(*key, format!("NETWORKS.\"{DEVNET}\".fallback_facilitator"));
    assert!(problem.contains("names its fee payer"), "{problem}");
}

#[test]
fn no_facilitator_is_sent_what_another_one_is_to_see() {
    let other = "https://other.example";
    let path = |name: &str| format!("/NETWORKS/{BASE}/{name}_facilitator");
    for (former, has_headers, is_fault) in
        [(other, true, true), (other, false, false), (URL, true, false)]
    {
        let both = with(&[
            ("/ROUTES/1/networks", json!(null)),
            (&path("fallback"), json!(URL)),
            (&path("former"), json!(former)),
        ]);
        let headers = json!({ BASE: { "X-Key": "k" } }).to_string();
        let headers = if has_headers { json!(headers) } else { json!(null) };
        let config = changed(both, &[("/FACILITATOR_HEADERS", headers)]);
        if is_fault {
            assert_eq!(keys(&config), [format!("NETWORKS.\"{BASE}\".former_facilitator")]);
        } else {
            assert_eq!(load(&config).config.err(), None);
        }
    }
}

#[test]
fn faults_of_facilitators_have_their_keys() {
    let all = ("/ROUTES/1/networks", json!(null));
    for name in ["facilitator", "fallback_facilitator", "former_facilitator"] {
        for wrong in [
            "",
            "facilitator.example",
            "ftp://x",
            "https://x/?key=1",
            "https://x/#a",
            "https://u@x",
        ] {
            let pointer = format!("/NETWORKS/eip155:84532/{name}");
            let bad = with(&[all.clone(), (&pointer, json!(wrong))]);
            assert_eq!(keys(&bad), [format!("NETWORKS.\"{BASE}\".{name}")], "{wrong:?}");
        }
    }
    for (name, value) in [
        ("batch_max", json!(3)),
        ("batch_gas", json!(300_000)),
        ("batch_calldata", json!(9_000)),
        ("daily_spend", json!("0.1")),
        ("low_balance", json!("0.1")),
        ("max_tip", json!("2")),
        ("coin_price", json!("$2500")),
        ("failed_gas", json!(1)),
        ("quorum_above", json!("$10")),
    ] {
        let bad = changed(remote(), &[all.clone(), (&format!("/NETWORKS/{BASE}/{name}"), value)]);
        let expected = "has no effect with facilitator".to_owned();
        assert_eq!(faults(&bad), [(format!("NETWORKS.\"{BASE}\".{name}"), expected)]);
    }
}

#[test]
fn headers_are_a_secret_of_a_network_with_a_facilitator() {
    let with_headers =
        |secret: Value| changed(remote(), &[("/FACILITATOR_HEADERS", json!(secret.to_string()))]);
    let good = with_headers(json!({ BASE: { "Authorization": "Bearer s3cr3t", "X-Key": "k" } }));
    let config = config(&good);
    let facilitator = config.networks[0].facilitator.as_ref().unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [pair("Authorization", "Bearer s3cr3t"), pair("X-Key", "k")];
    assert_eq!(facilitator.headers, expected);
    assert!(config.networks[1].facilitator.as_ref().unwrap().headers.is_empty());
    assert!(!format!("{config:?}").contains("s3cr3t"));
    for secret in [
        json!("s3cr3t"),
        json!([]),
        json!({ BASE: "s3cr3t" }),
        json!({ BASE: { "Authorization": 1 } }),
        json!({ BASE: { "s3cr3t: x": "y" } }),
        json!({ BASE: { "": "s3cr3t" } }),
        json!({ BASE: { "X-Key": "s3cr3t\r\nX-Other: y" } }),
        json!({ BASE: { "X-Key": " s3cr3t" } }),
        json!({ BASE: { "X-Key": "" } }),
        json!({ BASE: { "Host": "s3cr3t" } }),
        json!({ BASE: { "idempotency-key": "s3cr3t" } }),
        json!({ "eip155:1": { "X-Key": "s3cr3t" } }),
        json!({ "s3cr3t": { "X-Key": "y" } }),
    ] {
        let bad = with_headers(secret);
        assert_eq!(keys(&bad), ["FACILITATOR_HEADERS"], "{bad}");
        assert!(!load(&bad).config.unwrap_err().to_string().contains("s3cr3t"), "{bad}");
    }
    let own =
        with(&[("/FACILITATOR_HEADERS", json!(json!({ BASE: { "X-Key": "k" } }).to_string()))]);
    assert!(faults(&own)[0].1.contains("has no facilitator"), "{:?}", faults(&own));
}

#[test]
fn our_own_facilitator_serves_what_we_settle() {
    let facilitator = json!({ "path": "/facilitator", "open": true, "pay_to": [PAY_TO],
        "daily_spend": { DEVNET: "1" } });
    let good = with(&[
        ("/NETWORKS/eip155:84532/facilitator", json!(URL)),
        ("/FACILITATOR", facilitator.clone()),
    ]);
    let read = config(&good);
    let account = read.facilitator.as_ref().unwrap().accounts().next().unwrap();
    assert_eq!([0, 1].map(|at| account.may_use(&read.networks[at])), [false, true]);
    for (member, value) in
        [("networks", json!([DEVNET, BASE])), ("daily_spend", json!({ BASE: "1", DEVNET: "1" }))]
    {
        let bad = changed(good.clone(), &[(&format!("/FACILITATOR/{member}"), value)]);
        let found = faults(&bad);
        let [(key, problem), ..] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(key, "FACILITATOR");
        assert!(problem.contains("another facilitator settles"), "{problem}");
    }
}

/// A key as CDP gives it out.
fn cdp_file(name: &str) -> String {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[3; 32]).to_keypair_bytes();
    let secret = crate::encoding::encode_base64(&pair);
    json!({ name: "2bb3f0d5-2c64", "privateKey": secret }).to_string()
}

#[test]
fn a_facilitator_that_wants_it_is_sent_signed_requests() {
    let signed = |key: &str| {
        changed(
            remote(),
            &[
                ("/NETWORKS/eip155:84532/facilitator_auth", json!("cdp")),
                ("/CDP_API_KEY", json!(key)),
            ],
        )
    };
    let file = cdp_file("id");
    let pair = file.split('"').nth(7).unwrap().to_owned();
    for key in [file.clone(), cdp_file("name"), format!(" 2bb3f0d5-2c64:{pair}\n")] {
        let config = config(&signed(&key));
        let shown = config
            .networks
            .iter()
            .map(|network| format!("{:?}", network.facilitator.as_ref().unwrap().auth));
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown, ["Some(CdpKey(2bb3f0d5-2c64))", "None"]);
    }
    let told = |config: Value| {
        let faults = load(&config).config.unwrap_err().to_string();
        assert!(!faults.contains(&pair), "{faults}");
        faults
    };
    for (key, problem) in [
        (
            "a:b",
            "CDP_API_KEY: must have an Ed25519 key's secret, base64 of 64 bytes, or a PEM; put the",
        ),
        (pair.as_str(), "CDP_API_KEY: has no key's id"),
        ("{}", "CDP_API_KEY: has no key's id"),
        ("a:-----BEGIN EC PRIVATE KEY-----", "CDP_API_KEY: has a PEM that is no key of P-256"),
    ] {
        let said = told(signed(key));
        assert!(said.contains(problem), "{said}");
    }
    let said = told(changed(signed(&file), &[("/CDP_API_KEY", json!(null))]));
    assert!(
        said.contains("CDP_API_KEY: is needed for facilitator_auth: wrangler secret"),
        "{said}"
    );
    let auth = "/NETWORKS/eip155:84532/facilitator_auth";
    let said = told(changed(signed(&file), &[(auth, json!("jwt"))]));
    assert!(said.contains("facilitator_auth: must be \"cdp\""), "{said}");
    let headers = json!({ BASE: { "authorization": "Bearer x" } }).to_string();
    let said = told(changed(signed(&file), &[("/FACILITATOR_HEADERS", json!(headers))]));
    assert!(said.contains("has an Authorization, which facilitator_auth writes"), "{said}");
    let own = with(&[(auth, json!("cdp")), ("/CDP_API_KEY", json!(file))]);
    let said = told(own);
    assert!(said.contains("facilitator_auth: has no effect without facilitator"), "{said}");
}
