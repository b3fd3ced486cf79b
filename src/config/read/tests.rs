use std::time::Duration;

use serde_json::json;

use crate::amount::AtomicAmount;
use crate::facilitator_client::RemoteFacts;
use crate::path::Fold;

use super::super::*;
use super::*;

mod by_use;
mod networks;
mod origin_headers;
mod prices;
mod remote;
mod reports;
mod secrets;
mod tokens;

const BASE: &str = "eip155:84532";
const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const SOLANA_PAY_TO: &str = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi";
const EVM_KEY: &str = "0x4646464646464646464646464646464646464646464646464646464646464646";

fn solana_key() -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    crate::encoding::encode_base58(&key.to_keypair_bytes())
}

/// A good configuration, by the names of its variables and secrets.
fn good() -> Value {
    json!({
        "ORIGIN": "assets",
        "ROUTES": [
            { "pattern": "/premium/*", "price": "$0.01", "description": "Premium pages" },
            { "pattern": "/data", "price": "$0.005", "mime_type": "application/json",
              "methods": ["get"], "settle": "before", "redeliver": "1h", "networks": [BASE] },
        ],
        "NETWORKS": {
            BASE: { "rpc": ["https://base.example"], "pay_to": PAY_TO },
            DEVNET: { "rpc": ["http://127.0.0.1:8899"], "pay_to": SOLANA_PAY_TO },
        },
        "EVM_RELAYER_KEYS": EVM_KEY,
        "SOLANA_FEE_PAYER_KEYS": solana_key(),
    })
}

/// What facilitators have said: networks and fee payers.
fn remote_facts(value: &Value) -> Table<ChainId, RemoteFacts> {
    let facts = value.as_object().unwrap().iter().map(|(network, fee_payer)| {
        let fee_payer = fee_payer.as_str().map(|text| text.parse().unwrap());
        (network.parse().unwrap(), RemoteFacts { fee_payer, ..RemoteFacts::default() })
    });
    facts.collect()
}

fn load(config: &Value) -> Loaded {
    let text = |name| config.get(name).and_then(Value::as_str).map(str::to_owned);
    read(&Settings {
        origin: config.get("ORIGIN").cloned(),
        origin_headers: config.get("ORIGIN_HEADERS").cloned(),
        header_secrets: ["ORIGIN_KEY", "OTHER_KEY", "GRANT_SECRET"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), text(name)?)))
            .collect(),
        tell_origin: config.get("TELL_ORIGIN").cloned(),
        tell_machines: config.get("TELL_MACHINES").cloned(),
        origin_secret: text("ORIGIN_SECRET"),
        routes: config.get("ROUTES").cloned(),
        networks: config.get("NETWORKS").cloned(),
        evm_relayer_keys: text("EVM_RELAYER_KEYS"),
        solana_fee_payer_keys: text("SOLANA_FEE_PAYER_KEYS"),
        former_signers: config.get("FORMER_SIGNERS").cloned(),
        rpc_urls: text("RPC_URLS"),
        grant_secret: text("GRANT_SECRET"),
        facilitator_headers: text("FACILITATOR_HEADERS"),
        cdp_api_key: text("CDP_API_KEY"),
        remote: config.get("remote").map(remote_facts).unwrap_or_default(),
        facilitator: config.get("FACILITATOR").cloned(),
        facilitator_tokens: text("FACILITATOR_TOKENS"),
        passes: text("PASSES"),
        sales: config.get("SALES").cloned(),
        desk_tokens: text("DESK_TOKENS"),
        missing_bindings: vec![],
        cors_credentials: config.get("CORS_CREDENTIALS").cloned(),
        page: config.get("PAGE").cloned(),
        webhooks: config.get("WEBHOOKS").cloned(),
        webhook_secrets: ["WEBHOOK_SECRET", "OTHER_KEY"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), text(name)?)))
            .collect(),
        overrides: crate::config::Overrides::default(),
        fold: Fold::default(),
    })
}

/// Sets what a JSON pointer names; `null` removes it.
fn set(config: &mut Value, pointer: &str, value: &Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).expect(pointer) {
        Value::Object(parent) if value.is_null() => drop(parent.remove(member)),
        Value::Object(parent) => drop(parent.insert(member.to_owned(), value.clone())),
        Value::Array(parent) => parent.push(value.clone()),
        _ => panic!("{pointer}"),
    }
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut config = good();
    for (pointer, value) in changes {
        set(&mut config, pointer, value);
    }
    config
}

fn config(config: &Value) -> Config {
    load(config).config.unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(config: &Value) -> Vec<(String, String)> {
    let Err(faults) = load(config).config else { panic!("no fault in {config}") };
    faults.0.into_iter().map(|fault| (fault.key, fault.problem)).collect()
}

/// One change, one fault: its key, and a part of what is said of it.
fn table(rows: &[(&str, Value, &str, &str)]) {
    for (pointer, value, key, part) in rows {
        let found = faults(&with(&[(pointer, value.clone())]));
        let [(found_key, problem)] = found.as_slice() else { panic!("{pointer}: {found:?}") };
        assert_eq!(found_key, key, "{pointer}: {value}");
        assert!(problem.contains(part), "{pointer}: {value}: {problem}");
    }
}

fn keys(config: &Value) -> Vec<String> {
    let mut keys: Vec<String> = faults(config).into_iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[test]
fn a_good_configuration_reads() {
    let loaded = load(&good());
    assert_eq!(loaded.origin, Some(Origin::Assets));
    assert!(loaded.patterns.is_some());
    let config = loaded.config.unwrap();
    assert_eq!((config.relayers.len(), config.fee_payers.len()), (1, 1));
    let [first, second] = config.routes.as_slice() else { panic!() };
    assert_eq!(first.pattern.as_str(), "/premium/*");
    assert_eq!(first.price.to_string(), "$0.01");
    assert_eq!((first.description.as_str(), first.mime_type.as_str()), ("Premium pages", ""));
    assert_eq!((first.settle, first.redeliver), (SettleWhen::After, Duration::from_mins(10)));
    assert_eq!((second.settle, second.redeliver), (SettleWhen::Before, Duration::from_hours(1)));
    assert_eq!(first.redeliver_max, 3);
    assert_eq!(
        first.offers.iter().map(|offer| offer.v2.to_value()).collect::<Vec<_>>(),
        [
            json!({
                "scheme": "exact", "network": BASE, "amount": "10000",
                "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": PAY_TO,
                "maxTimeoutSeconds": 300, "extra": { "name": "USDC", "version": "2" },
            }),
            json!({
                "scheme": "exact", "network": DEVNET, "amount": "10000",
                "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
                "payTo": SOLANA_PAY_TO, "maxTimeoutSeconds": 300,
                "extra": {
                    "feePayer": config.fee_payers[0].pubkey().to_string(), "decimals": 6,
                    "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
                },
            }),
        ]
    );
    assert_eq!(
        second.offers.iter().map(|offer| offer.v1.as_ref().unwrap().to_value()).collect::<Vec<_>>(),
        [json!({
            "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "5000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": PAY_TO,
            "resource": "", "description": "", "mimeType": "application/json",
            "maxTimeoutSeconds": 300, "extra": { "name": "USDC", "version": "2" },
        })]
    );
    let [base, devnet] = config.networks.as_slice() else { panic!() };
    assert_eq!((base.title.as_str(), devnet.title.as_str()), ("Base Sepolia", "Solana Devnet"));
    assert_eq!((base.v1_name, devnet.v1_name), (Some("base-sepolia"), Some("solana-devnet")));
    assert_eq!((base.token.symbol.as_str(), base.token.decimals), ("USDC", 6));
    assert_eq!(base.rpc, ["https://base.example"]);
}

#[test]
fn former_signers_are_eight_addresses_at_most() {
    let one = |n: u8| json!(format!("0x{}", format!("{n:02x}").repeat(20)));
    let fee_payer = || config(&good()).fee_payers[0].pubkey().to_string();
    let read = |list: Value| config(&with(&[("/FORMER_SIGNERS", list)])).former_signers;
    let none = read(json!(null));
    assert!(none.relayers.is_empty() && none.fee_payers.is_empty());
    // One that still signs may be named: on Solana that changes nothing.
    let relayer = config(&good()).relayers[0].address();
    let three = read(json!([relayer, SOLANA_PAY_TO, fee_payer()]));
    assert_eq!(three.relayers, [relayer]);
    assert_eq!(three.fee_payers, [SOLANA_PAY_TO.parse().unwrap()]);
    assert_eq!(read((1..9).map(one).collect()).relayers.len(), 8);
    let (list, second) = ("FORMER_SIGNERS", "FORMER_SIGNERS[1]");
    table(&[
        ("/FORMER_SIGNERS", json!("0x1"), list, "must be a list of at most 8 addresses"),
        ("/FORMER_SIGNERS", (1..10).map(one).collect(), list, "at most 8"),
        ("/FORMER_SIGNERS", json!([one(1), one(1)]), second, "same as an earlier one"),
        ("/FORMER_SIGNERS", json!([one(1), 2]), second, "never the key"),
        ("/FORMER_SIGNERS", json!([one(1), EVM_KEY]), second, "never the key"),
        ("/FORMER_SIGNERS", json!([one(1), solana_key()]), second, "never the key"),
        ("/FORMER_SIGNERS", json!([one(1), one(0)]), second, "must be the address"),
        ("/FORMER_SIGNERS", json!([one(1), PAY_TO.replace('B', "b")]), second, "checksum"),
    ]);
    let many = faults(&with(&[("/FORMER_SIGNERS", json!([EVM_KEY, solana_key()]))]));
    assert_eq!(many.len(), 2);
    assert!(many.iter().all(|(_, problem)| !problem.contains("4646")), "no secret is said");
}

#[test]
fn origins_are_of_four_kinds() {
    let url = |origin: &str, base: &str| {
        Origin::Url(OriginUrl { origin: origin.into(), base: base.into() })
    };
    for (text, origin) in [
        ("assets", Origin::Assets),
        ("service", Origin::Service),
        ("zone", Origin::Zone),
        ("https://own.example", url("https://own.example", "")),
        ("https://own.example/", url("https://own.example", "")),
        ("https://OWN.example:8443/Base/", url("https://own.example:8443", "/Base")),
        ("http://127.0.0.1:8080/a/b", url("http://127.0.0.1:8080", "/a/b")),
    ] {
        assert_eq!(load(&with(&[("/ORIGIN", json!(text))])).origin, Some(origin), "{text}");
    }
    for wrong in [
        json!(null),
        json!(""),
        json!("Assets"),
        json!(["assets"]),
        json!(1),
        json!("own.example"),
        json!("ftp://own.example"),
        json!("https://"),
        json!("https:///path"),
        json!("https://own.example/?a"),
        json!("https://own.example/#a"),
        json!("https://user@own.example"),
        json!("https://own example"),
    ] {
        let changed = with(&[("/ORIGIN", wrong.clone())]);
        let expected = "must be \"assets\", \"service\", \"zone\", or the URL of a site, https://…";
        assert_eq!(faults(&changed), [("ORIGIN".into(), expected.into())], "{wrong}");
        assert_eq!(load(&changed).origin, None);
    }
}

#[test]
fn pages_with_credentials_are_named_as_browsers_name_them() {
    let pages = json!(["https://app.example", "http://localhost:3000"]);
    let loaded = load(&with(&[("/CORS_CREDENTIALS", pages)]));
    assert!(loaded.config.is_ok());
    assert_eq!(loaded.trusted_pages, ["https://app.example", "http://localhost:3000"]);
    for wrong in [
        json!("https://app.example"),
        json!(["*"]),
        json!(["null"]),
        json!(["https://app.example/"]),
        json!(["https://App.example"]),
        json!(["https://user@app.example"]),
        json!(["app.example"]),
        json!([1]),
    ] {
        let bad = with(&[("/CORS_CREDENTIALS", wrong.clone())]);
        assert_eq!(keys(&bad), ["CORS_CREDENTIALS"], "{wrong}");
        assert!(load(&bad).trusted_pages.is_empty());
    }
}

#[test]
fn each_gate_has_a_mark_of_its_own() {
    let mark = |changes: &[(&str, Value)]| load(&with(changes)).mark;
    assert_eq!(mark(&[]), mark(&[]));
    assert_eq!(mark(&[]).len(), 16);
    assert_ne!(mark(&[]), mark(&[("/ORIGIN", json!("zone"))]));
    assert_ne!(mark(&[]), mark(&[("/ROUTES/0/price", json!("$0.02"))]));
}

#[test]
fn faults_of_routes_have_their_keys() {
    table(&[
        ("/ROUTES", json!(null), "ROUTES", "must be a list"),
        ("/ROUTES", json!({ "pattern": "/a" }), "ROUTES", "must be a list"),
        ("/ROUTES", json!("[]"), "ROUTES", "must be a list"),
        ("/ROUTES/1/pattern", json!("data"), "ROUTES[1].pattern", "begin with a slash"),
        ("/ROUTES/1/pattern", json!("/a*"), "ROUTES[1].pattern", "must end in /*"),
        ("/ROUTES/1/pattern", json!("/a//b"), "ROUTES[1].pattern", "\"/a/b\""),
        ("/ROUTES/1/price", json!("0.01"), "ROUTES[1].price", "\"$0.01\""),
        ("/ROUTES/1/price", json!("$0"), "ROUTES[1].price", "is zero"),
        ("/ROUTES/1/price", json!("$1000001"), "ROUTES[1].price", "above a million dollars"),
        ("/ROUTES/1/price", json!("$0.0000001"), "ROUTES[1].price", "6 decimals"),
        ("/ROUTES/1/description", json!("x".repeat(501)), "ROUTES[1].description", "501 bytes"),
        ("/ROUTES/1/description", json!("é".repeat(251)), "ROUTES[1].description", "502 bytes"),
        ("/ROUTES/1/methods", json!([]), "ROUTES[1].methods", "is empty"),
        ("/ROUTES/1/methods", json!(["GTE"]), "ROUTES[1].methods", "is it \"GET\"?"),
        ("/ROUTES/1/methods", json!(["get", "POSTS"]), "ROUTES[1].methods", "is it \"POST\"?"),
        ("/ROUTES/1/methods", json!(["DELTE"]), "ROUTES[1].methods", "is it \"DELETE\"?"),
        ("/ROUTES/1/methods", json!(["PATHC"]), "ROUTES[1].methods", "is it \"PATCH\"?"),
        ("/ROUTES/1/methods", json!(["FETCH"]), "ROUTES[1].methods", "names of methods"),
        ("/ROUTES/1/settle", json!("later"), "ROUTES[1].settle", "\"before\" or \"after\""),
        ("/ROUTES/1/redeliver", json!("10"), "ROUTES[1].redeliver", "\"10m\""),
        ("/ROUTES/1/redeliver", json!("10 m"), "ROUTES[1].redeliver", "\"10m\""),
        ("/ROUTES/1/redeliver_max", json!(1_001), "ROUTES[1].redeliver_max", "from 0 to 1000"),
        ("/ROUTES/1/redeliver_max", json!(-1), "ROUTES[1].redeliver_max", "from 0 to 1000"),
        ("/ROUTES/1/redeliver_max", json!(1.5), "ROUTES[1].redeliver_max", "from 0 to 1000"),
        ("/ROUTES/1/redeliver_max", json!("3"), "ROUTES[1].redeliver_max", "from 0 to 1000"),
        ("/ROUTES/1/networks", json!([]), "ROUTES[1].networks", "is empty"),
        ("/ROUTES/1/networks", json!(["base"]), "ROUTES[1].networks", "names base,"),
        ("/ROUTES/1/networks", json!([BASE, BASE]), "ROUTES[1].networks", "twice"),
        (
            "/ROUTES/1/networks",
            json!(["eip155:8453"]),
            "ROUTES[1].networks",
            "names eip155:8453, which NETWORKS doesn't have",
        ),
        ("/ROUTES/1/listed", json!("yes"), "ROUTES[1].listed", "must be true or false"),
        ("/ROUTES/1/listed", json!(1), "ROUTES[1].listed", "must be true or false"),
        ("/ROUTES/1/prize", json!("$1"), "ROUTES[1]", "no key \"prize\""),
        ("/ROUTES/1/price", json!(null), "ROUTES[1].price", "is needed"),
    ]);
}

#[test]
fn what_facilitators_would_drop_is_a_fault() {
    let (name, tags, icon) = ("ROUTES[1].service_name", "ROUTES[1].tags", "ROUTES[1].icon_url");
    let label = "1 to 32 printable ASCII characters";
    let url = "must be an http:// or https:// URL of at most 2048 ASCII bytes";
    table(&[
        ("/ROUTES/1/service_name", json!(""), name, label),
        ("/ROUTES/1/service_name", json!("x".repeat(33)), name, label),
        ("/ROUTES/1/service_name", json!("Café"), name, label),
        ("/ROUTES/1/service_name", json!("a\nb"), name, label),
        ("/ROUTES/1/service_name", json!("a\u{7f}"), name, label),
        ("/ROUTES/1/service_name", json!(["a"]), name, "must be a text"),
        ("/ROUTES/1/tags", json!(["a", "b", "c", "d", "e", "f"]), tags, "at most 5 tags"),
        ("/ROUTES/1/tags", json!(["a", ""]), tags, label),
        ("/ROUTES/1/tags", json!(["x".repeat(33)]), tags, label),
        ("/ROUTES/1/tags", json!(["café"]), tags, label),
        ("/ROUTES/1/tags", json!("a"), tags, "must be a list of texts"),
        ("/ROUTES/1/icon_url", json!("/icon.png"), icon, url),
        ("/ROUTES/1/icon_url", json!("data:image/png;base64,"), icon, url),
        ("/ROUTES/1/icon_url", json!("https://é.example"), icon, url),
        ("/ROUTES/1/icon_url", json!("https://a.example/\u{e402}"), icon, url),
        ("/ROUTES/1/icon_url", json!("https://a.example/a b"), icon, url),
        ("/ROUTES/1/icon_url", json!(""), icon, url),
        ("/ROUTES/1/icon_url", json!(true), icon, "must be a text"),
    ]);
    let long = format!("https://a.example/{}", "x".repeat(2_031));
    let found = faults(&with(&[("/ROUTES/1/icon_url", json!(long))]));
    assert!(found.contains(&(icon.to_owned(), url.to_owned())), "{found:?}");
    let config = config(&with(&[
        ("/ROUTES/1/service_name", json!(" ~".repeat(16))),
        ("/ROUTES/1/tags", json!(["a", "b", "c", "d", "x".repeat(32)])),
        ("/ROUTES/1/icon_url", json!("http://a.example")),
    ]));
    assert_eq!(config.routes[0].service, Service::default());
    let Service { name, tags, icon_url } = &config.routes[1].service;
    assert_eq!((name.len(), tags.len(), icon_url.as_str()), (32, 5, "http://a.example"));
}

#[test]
fn a_route_is_listed_under_one_of_its_methods() {
    let listed =
        |methods: Value| with(&[("/ROUTES/1/listed", json!(true)), ("/ROUTES/1/methods", methods)]);
    let method = |methods| config(&listed(methods)).routes[1].listed.as_ref().unwrap().to_string();
    assert_eq!(method(json!(null)), "GET");
    assert_eq!(method(json!(["purge", "put"])), "PUT");
    assert_eq!(config(&good()).routes[1].listed, None);
    assert_eq!(config(&with(&[("/ROUTES/1/listed", json!(false))])).routes[1].listed, None);
    let problem = "needs GET, HEAD, DELETE, POST, PUT or PATCH among the route's methods";
    let found = faults(&listed(json!(["OPTIONS", "PURGE"])));
    assert_eq!(found, [("ROUTES[1].listed".to_owned(), problem.to_owned())]);
}
