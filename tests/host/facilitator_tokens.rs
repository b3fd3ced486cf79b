//! The facilitator where several tokens are taken on one network.

use edge402::config::{self, Config, Settings};
use edge402::evm::Domain;
use edge402::facilitator::accepts::AcceptsRequest;
use edge402::facilitator::access::account_of;
use edge402::facilitator::{BadRequest, Order, supported};
use edge402::gate::Hints;
use edge402::payment::Terms;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{NOW, authorization, domain, payload, sign};
use crate::facilitator_orders::{EVM, PAY_TO, settings};

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const EURC: &str = "0x808456652fdb597867f38412077A9182bf77359F";
/// By Permit2, which v1 does not know.
const USDT: &str = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831";
const DAI: &str = "0x50c5725949A6F0c72E6C4a641F24049A917DB0Cb";

fn config() -> Config {
    let settings = settings();
    let mut networks = settings.networks.clone().unwrap();
    networks[EVM]["tokens"] = json!([
        { "asset": USDT, "symbol": "USDT", "decimals": 18, "asset_transfer_method": "permit2" },
        { "asset": EURC, "name": "EURC", "version": "2", "decimals": 6 },
    ]);
    // What is not signed by a key, the chain alone could tell apart.
    networks[EVM]["smart_wallets"] = json!(false);
    config::read(&Settings { networks: Some(networks), ..settings }).config.unwrap()
}

fn read(body: &Value) -> Result<Order, BadRequest> {
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let account = account_of(facilitator, Some("Bearer one")).unwrap();
    Order::read(&config, account, body.to_string().as_bytes())
}

fn signed(name: &str, asset: &str) -> Value {
    let domain =
        Domain { name: name.into(), verifying_contract: asset.parse().unwrap(), ..domain() };
    let authorization = authorization();
    payload(&authorization, &sign(&authorization, &domain).to_string())
}

fn order(asset: &str, extra: &Value, payload: &Value) -> Value {
    let requirements = json!({
        "scheme": "exact", "network": EVM, "amount": "10000", "asset": asset, "payTo": PAY_TO,
        "maxTimeoutSeconds": 60, "extra": extra,
    });
    json!({
        "x402Version": 2,
        "paymentPayload": { "x402Version": 2, "accepted": requirements, "payload": payload },
        "paymentRequirements": requirements,
    })
}

/// The token that an order is in, if its payment is good for it.
fn token_of(order: &mut Order) -> Option<String> {
    let payment = order.check(UnixSeconds(NOW)).ok()?;
    Some(payment.as_evm().unwrap().asset().to_string())
}

#[test]
fn each_token_of_the_configuration_is_settled() {
    let none = json!({});
    for (asset, extra, payload, expected) in [
        (USDC, &none, signed("USDC", USDC), Some(USDC)),
        (EURC, &none, signed("EURC", EURC), Some(EURC)),
        ("EURC", &json!({ "name": "EURC", "version": "2" }), signed("EURC", EURC), Some(EURC)),
        (EURC, &none, signed("USDC", USDC), None),
        (USDC, &none, signed("EURC", EURC), None),
    ] {
        let mut read = read(&order(asset, extra, &payload)).unwrap();
        assert_eq!(token_of(&mut read).as_deref(), expected, "{asset} {payload}");
    }
}

#[test]
fn no_other_token_is() {
    let payload = signed("DAI", DAI);
    let bad = read(&order(DAI, &json!({}), &payload)).unwrap_err();
    assert_eq!(bad.field, "paymentRequirements.asset");
    assert_eq!(bad.problem, "is no token that is settled here");
    let extra = json!({ "name": "USDC", "version": "2" });
    let bad = read(&order(EURC, &extra, &payload)).unwrap_err();
    assert_eq!(bad.field, "paymentRequirements.extra.name");
}

#[test]
fn a_payment_alone_is_in_the_token_that_was_signed_for() {
    for (name, asset) in [("USDC", USDC), ("EURC", EURC)] {
        let bare = json!({
            "x402Version": 1, "scheme": "exact", "network": "base-sepolia",
            "payload": signed(name, asset),
        });
        let mut order = read(&bare).unwrap();
        assert!(order.is_bare);
        assert_eq!(token_of(&mut order).as_deref(), Some(asset));
    }
    // In none of them, it is looked at as one in the network's own.
    let bare = json!({
        "x402Version": 1, "scheme": "exact", "network": "base-sepolia",
        "payload": signed("DAI", DAI),
    });
    let refused = read(&bare).unwrap().check(UnixSeconds(NOW)).unwrap_err();
    assert_eq!(refused.code(), "invalid_exact_evm_payload_signature");
}

#[test]
fn accepts_completes_each_token_with_its_own() {
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let account = account_of(facilitator, Some("Bearer one")).unwrap();
    let entry = |asset: Value| json!({ "scheme": "exact", "network": EVM, "amount": "1", "payTo": PAY_TO, "asset": asset });
    let assets = [json!(null), json!(USDC), json!("EURC"), json!(EURC.to_lowercase()), json!(DAI)];
    let body = json!({ "x402Version": 2, "accepts": assets.map(entry) });
    let request = AcceptsRequest::read(&config, account, body.to_string().as_bytes()).unwrap();
    let answer = request.answer(&Hints::default());
    let found: Vec<_> = answer["accepts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["asset"].as_str().unwrap(), it["extra"]["name"].as_str().unwrap()))
        .collect();
    let lower = EURC.to_lowercase();
    assert_eq!(found, [(USDC, "USDC"), (USDC, "USDC"), (EURC, "EURC"), (&lower, "EURC")]);
    // A kind of payment is a scheme on a network, whatever the token.
    let kinds = supported(&config, account)["kinds"].as_array().unwrap().len();
    assert_eq!(kinds, 5);
}

#[test]
fn permits_are_taken_where_the_token_says_so() {
    for is_taken in [false, true] {
        let mut settings = settings();
        let networks = settings.networks.as_mut().unwrap();
        networks[EVM]["tokens"] = json!([{
            "asset": USDT, "symbol": "USDT", "name": "Tether", "version": "1", "decimals": 18,
            "asset_transfer_method": "permit2", "eip2612": is_taken,
        }]);
        let config = config::read(&settings).config.unwrap();
        let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
        let body = order(USDT, &json!({}), &json!({})).to_string();
        let order = Order::read(&config, account, body.as_bytes()).unwrap();
        let Terms::Evm(terms) = &order.terms else { panic!() };
        assert_eq!(terms.takes_permits(), is_taken);
    }
}
