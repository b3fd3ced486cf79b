//! Every reader of what others send, under libFuzzer: `node dev/fuzz.mjs`.
//!
//! Which reader it is says the variable `FUZZ_TARGET`. None may panic, overflow
//! or take long; some must also keep a promise that is asserted here.
#![no_main]
#![allow(clippy::unwrap_used, reason = "whatever is wrong here ends the run, as it should")]

#[allow(dead_code, unreachable_pub)]
#[path = "../host/evm_support/mod.rs"]
mod evm_support;
#[allow(dead_code, unreachable_pub)]
#[path = "../host/gate_support/mod.rs"]
mod gate_support;
#[allow(unreachable_pub)]
mod more;
#[allow(dead_code, unreachable_pub)]
#[path = "../host/permit2_support.rs"]
mod permit2_support;

use std::sync::LazyLock;

use edge402::amount::AtomicAmount;
use edge402::config::{Loaded, read};
use edge402::encoding::encode_base64;
use edge402::facilitator::Order;
use edge402::facilitator::accepts::AcceptsRequest;
use edge402::facilitator::access::account_of;
use edge402::facilitator_client::RemoteFacts;
use edge402::meter::{Counter, What};
use edge402::path::CanonicalPath;
use edge402::protocol::ChainId;
use edge402::time::UnixSeconds;
use edge402::{desk, evm, gate, json, meter, solana};
use gate_support::{NOW, Request, outcome, settings};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 18] = [
    ("request", request),
    ("payment", payment),
    ("solana", solana),
    ("order", order),
    ("node", node),
    ("facilitator", facilitator),
    ("meter", meter),
    ("desk", desk),
    ("json", json_text),
    ("signed", more::signed),
    ("directory", more::directory),
    ("cookies", more::cookies),
    ("body", more::body),
    ("rpc", more::rpc),
    ("settled", more::settled),
    ("abi", more::abi),
    ("kept", more::kept),
    ("config", more::config),
];

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let known = TARGETS.iter().find(|(name, _)| *name == wanted);
    known.unwrap_or_else(|| panic!("FUZZ_TARGET is none of {:?}", TARGETS.map(|(name, _)| name))).1
});

fuzz_target!(|data: &[u8]| TARGET(data));

thread_local! {
    static SHOP: &'static Loaded = Box::leak(Box::new(shop()));
}

/// A shop that reads as much of a request as there is to read.
fn shop() -> Loaded {
    let routes = json!([
        { "pattern": "/premium/*", "price": "$0.01", "free": "20/day" },
        { "pattern": "/model", "price": "$0.05", "prices": [
            { "when": { "body": "model", "is": "mini*" }, "price": "$0.01" },
            { "when": { "query": { "size": "small" } }, "price": "$0.02" },
            { "when": { "header": { "X-Quality": "low" } }, "price": "$0.03" },
        ] },
        { "pattern": "/news/*", "price": "$0.01", "free_for": ["people", "search", "signed:agent.example"] },
        { "pattern": "/orders", "methods": ["POST"], "price": "$0.02", "settle": "before" },
        { "pattern": "/month/*", "price": "$1", "access": "30d", "redeliver": "1h" },
        { "pattern": "/use/*", "price": "$1", "scheme": "upto", "networks": ["eip155:84532"],
          "meter": { "bytes": 1000, "price": "$0.001" } },
    ]);
    let mut settings = settings("https://own.example/base", routes);
    // What nobody has signed is then no payment. Else only the chain could say.
    for network in settings.networks.as_mut().unwrap().as_object_mut().unwrap().values_mut() {
        if network["pay_to"] == gate_support::PAY_TO {
            network["smart_wallets"] = json!(false);
        }
    }
    settings.grant_secret = Some("8f".repeat(32));
    settings.desk_tokens = Some("6b".repeat(32));
    settings.facilitator = Some(json!({
        "path": "/facilitator", "open": true, "pay_to": [gate_support::PAY_TO],
        "daily_spend": { "eip155:42161": "1", "eip155:84532": "1", gate_support::DEVNET: "1" },
    }));
    let loaded = read(&settings);
    if let Err(faults) = &loaded.config {
        panic!("{faults}");
    }
    loaded
}

/// A request as lines: method and target, headers, an empty line, the body. A
/// header `1` or `2` is a payment of that version, yet to be encoded.
fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    let mut request = Request::new(method, target);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = match name {
            "1" => request.with("X-PAYMENT", &encode_base64(value.as_bytes())),
            "2" => request.with("PAYMENT-SIGNATURE", &encode_base64(value.as_bytes())),
            _ => request.with(name, value),
        };
    }
    request.body = (!body.starts_with("unread")).then(|| body.into());
    let said = SHOP.with(|shop| outcome(&gate::decide(shop, &request, UnixSeconds(NOW))));
    // Nobody here has signed anything.
    assert!(!said.starts_with("purchase") && !said.starts_with("granted"), "{said}");
}

/// A payment for what costs a cent, in either version.
fn payment(data: &[u8]) {
    for name in ["X-PAYMENT", "PAYMENT-SIGNATURE"] {
        let request = Request::get("/premium/page").with(name, &encode_base64(data));
        let said = SHOP.with(|shop| outcome(&gate::decide(shop, &request, UnixSeconds(NOW))));
        assert!(!said.starts_with("purchase"), "{said}");
    }
}

/// A Solana transaction: what is read is written as the same bytes again.
fn solana(data: &[u8]) {
    if let Ok(read) = solana::Transaction::parse(data) {
        assert_eq!(read.to_bytes(), data);
    }
    let transaction = json!({ "transaction": encode_base64(data) });
    let said = SHOP.with(|shop| {
        let payment = json!({ "x402Version": 1, "scheme": "exact", "network": "solana-devnet", "payload": transaction });
        outcome(&gate::decide(shop, &Request::get("/premium/page").paying(&payment), UnixSeconds(NOW)))
    });
    assert!(!said.starts_with("purchase"), "{said}");
}

/// What the facilitator's clients send.
fn order(data: &[u8]) {
    SHOP.with(|shop| {
        let config = gate_support::config(shop);
        let account = account_of(config.facilitator.as_ref().unwrap(), None).unwrap();
        let _ = Order::read(config, account, data);
        let _ = AcceptsRequest::read(config, account, data);
    });
}

/// What nodes answer.
fn node(data: &[u8]) {
    let Ok(answer) = json::from_slice(data) else { return };
    let _ = evm::Receipt::from_json(&answer);
    let _ = evm::json_rpc::parse_data(&answer, 4_096);
    let _ = solana::rpc::parse_accounts(&answer);
    let _ = solana::rpc::parse_signature_statuses(&answer, &[3, 2]);
    let _ = solana::rpc::parse_latest_blockhash(&answer);
    let _ = solana::rpc::parse_block_height(&answer);
    let _ = solana::rpc::parse_simulation(&answer, 2);
    let _ = solana::rpc::parse_simulated_lamports(&answer);
}

/// What somebody else's facilitator says of itself.
fn facilitator(data: &[u8]) {
    let Ok(answer) = json::from_slice(data) else { return };
    let network: ChainId = gate_support::DEVNET.parse().unwrap();
    let _ = RemoteFacts::from_supported(&answer, network);
    let _ = RemoteFacts::from_accepts(&answer, network);
}

/// An origin's answer on its way, in pieces as they come: how it is cut counts for nothing.
fn meter(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let what = What::Json("usage.total_tokens".parse().unwrap());
    for content_type in ["application/json", "text/event-stream"] {
        let mut whole = Counter::new(&what, content_type);
        whole.take(data);
        let mut pieces = Counter::new(&what, content_type);
        data.chunks(usize::from(*cut).max(1)).for_each(|piece| pieces.take(piece));
        assert_eq!(format!("{:?}", whole.reading()), format!("{:?}", pieces.reading()));
    }
    let _ = meter::overrides::read(&String::from_utf8_lossy(data), AtomicAmount(1_000_000), 6);
}

/// What is asked of the desk.
fn desk(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = desk::read_query(&text);
    let _ = desk::sums::read_query(&text, UnixSeconds(NOW));
    let _ = desk::export::read_export(&text);
}

/// Strict JSON is JSON for everybody else, too; and a path is its own canonical form.
fn json_text(data: &[u8]) {
    if let Ok(value) = json::from_slice(data) {
        assert_eq!(serde_json::from_slice::<serde_json::Value>(data).unwrap(), value);
    }
    if let Ok(path) = CanonicalPath::parse(&String::from_utf8_lossy(data)) {
        assert_eq!(CanonicalPath::parse(path.as_str()).unwrap().as_str(), path.as_str());
    }
}
