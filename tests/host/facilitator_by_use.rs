//! What the facilitator reads of an order that is paid by use.

use crate::facilitator_orders::{EVM, PAY_TO, settings};
use crate::sim::{AMOUNT, Payment, relayer};
use edge402::amount::AtomicAmount;
use edge402::config::{self, Config};
use edge402::facilitator::access::account_of;
use edge402::facilitator::{BadRequest, Order, supported};
use edge402::protocol::Reason;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

fn config() -> Config {
    let mut settings = settings();
    settings.evm_relayer_keys = Some(format!("0x{}", "11".repeat(32)));
    config::read(&settings).config.unwrap()
}

fn requirements(amount: u128) -> Value {
    json!({
        "scheme": "upto", "network": EVM, "amount": amount.to_string(), "asset": USDC,
        "payTo": PAY_TO, "maxTimeoutSeconds": 300,
        "extra": {
            "name": "USDC", "version": "2", "assetTransferMethod": "permit2",
            "facilitatorAddress": relayer().address().to_string(),
        },
    })
}

fn body(amount: u128) -> Value {
    json!({
        "x402Version": 2,
        "paymentPayload": {
            "x402Version": 2,
            "accepted": requirements(AMOUNT),
            "payload": Payment::by_use(1, 1, 600).payload,
        },
        "paymentRequirements": requirements(amount),
    })
}

fn read(body: &Value) -> Result<Order, BadRequest> {
    let config = config();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    Order::read(&config, account, body.to_string().as_bytes())
}

fn now() -> UnixSeconds {
    UnixSeconds(crate::sim::time::START_MS / 1_000)
}

#[test]
fn supported_names_who_settles() {
    let config = config();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    let supported = supported(&config, account);
    let kinds = supported["kinds"].as_array().unwrap();
    let upto: Vec<_> = kinds.iter().filter(|kind| kind["scheme"] == "upto").collect();
    let expected = json!({
        "x402Version": 2, "scheme": "upto", "network": EVM,
        "extra": { "facilitatorAddress": relayer().address().to_string() },
    });
    assert_eq!(upto, [&expected]);
}

#[test]
fn verify_wants_the_most_and_settle_what_was_used() {
    let mut order = read(&body(AMOUNT)).unwrap();
    assert!(order.check(now()).is_ok());
    // At /verify the amount is that which was signed.
    let mut other = read(&body(AMOUNT - 1)).unwrap();
    assert_eq!(other.check(now()).unwrap_err(), Reason::Permit2AmountMismatch);
    for used in [0, 1, AMOUNT] {
        let (mut order, charge) = read(&body(used)).unwrap().to_settle();
        assert_eq!(charge, Some(AtomicAmount(used)));
        assert_eq!(order.terms.amount(), AtomicAmount(AMOUNT));
        assert!(order.check(now()).is_ok());
        let charged = order.terms.check(&order.payload, now()).unwrap().charged(charge.unwrap());
        assert_eq!(charged.unwrap().payable().unwrap().amount(), AtomicAmount(used));
    }
    let (order, charge) = read(&body(AMOUNT + 1)).unwrap().to_settle();
    let checked = order.terms.check(&order.payload, now()).unwrap();
    assert_eq!(checked.charged(charge.unwrap()).unwrap_err(), Reason::UptoExceedsAmount);
}

#[test]
fn a_payment_names_its_scheme_and_one_of_our_relayers() {
    let mut exact = body(AMOUNT);
    exact["paymentPayload"]["accepted"]["scheme"] = json!("exact");
    assert_eq!(read(&exact).unwrap().check(now()).unwrap_err(), Reason::InvalidScheme);
    let mut elsewhere = body(AMOUNT);
    elsewhere["paymentRequirements"]["extra"]["assetTransferMethod"] = json!("eip3009");
    let field = "paymentRequirements.extra.assetTransferMethod";
    assert_eq!(read(&elsewhere).unwrap_err().field, field);
    let mut v1 = body(AMOUNT);
    v1["x402Version"] = json!(1);
    assert!(read(&v1).is_err());
    // Signed for somebody else's relayer.
    let config = {
        let mut settings = settings();
        settings.evm_relayer_keys = Some(format!("0x{}", "12".repeat(32)));
        config::read(&settings).config.unwrap()
    };
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    let mut order = Order::read(&config, account, body(AMOUNT).to_string().as_bytes()).unwrap();
    assert_eq!(order.check(now()).unwrap_err(), Reason::UptoFacilitatorMismatch);
}

#[test]
fn an_order_is_the_same_after_a_change_of_the_keys() {
    let resource = |keys: &str| {
        let mut settings = settings();
        settings.evm_relayer_keys = Some(keys.to_owned());
        let config = config::read(&settings).config.unwrap();
        let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
        let order = Order::read(&config, account, body(AMOUNT).to_string().as_bytes()).unwrap();
        let (order, _) = order.to_settle();
        order.resource(account, Some("a key"))
    };
    let (one, two) = (format!("0x{}", "11".repeat(32)), format!("0x{}", "12".repeat(32)));
    assert_eq!(resource(&one), resource(&format!("{two},{one}")));
}
