//! Payments that were signed for a fee payer of before.

use crate::evm_support::signed;
use crate::gate_support::{
    DEVNET, FEE_PAYER, NOW, Request, SOLANA_PAY_TO, config, routes, settings, solana_secret, v1, v2,
};
use edge402::config::{self, Loaded};
use edge402::encoding::encode_base64;
use edge402::gate::{BoundBody, Decision};
use edge402::protocol::Reason;
use edge402::purchase::{Order, order};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

const PAGE: &str = "/premium/page";

/// A shop whose fee payer is `FEE_PAYER`, and with these former signers.
fn shop(former: Value) -> Loaded {
    let solana_fee_payer_keys = Some(solana_secret(2));
    let former_signers = Some(former);
    let settings = settings("assets", routes());
    config::read(&config::Settings { solana_fee_payer_keys, former_signers, ..settings })
}

/// The one that payments here are signed for.
fn former() -> String {
    crate::solana_support::fee_payer().to_string()
}

fn payments() -> [Value; 2] {
    let transaction = encode_base64(&crate::solana_support::draft().transaction());
    let payload = json!({ "transaction": transaction });
    let mut in_v1 = v1(&payload);
    in_v1["network"] = json!("solana-devnet");
    let in_v2 = json!({
        "x402Version": 2,
        "accepted": {
            "scheme": "exact", "network": DEVNET, "amount": "10000",
            "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
            "payTo": SOLANA_PAY_TO, "maxTimeoutSeconds": 300,
            "extra": { "feePayer": former() },
        },
        "payload": payload,
    });
    [in_v1, in_v2]
}

#[test]
fn a_payment_for_a_former_fee_payer_can_only_get_what_it_has_bought() {
    let shop = shop(json!([former()]));
    let offers = config(&shop).routes[0].offers.iter();
    let told: Vec<_> = offers.filter_map(|it| it.v2.extra.get("feePayer")).collect();
    assert_eq!(told, [FEE_PAYER], "buyers are told of the present one");
    for payment in payments() {
        let request = Request::get(PAGE).paying(&payment);
        let Decision::Purchase(old) = request.decide(&shop) else { panic!("{payment}") };
        assert!(old.only_collects.is_some());
        let request = order::Request {
            body: BoundBody::none(),
            address: None,
            ticket: 1,
            remote: None,
            has_facilitator: false,
        };
        let order = Order::new(&old, &old.sale.route.offers[old.offer], request, UnixSeconds(NOW));
        assert!(order.claim.look_only);
        assert_eq!(order.too_late, Reason::SvmFeePayerMismatch);
    }
    let evm = Request::get(PAGE).paying(&v2(&signed(|_| {})));
    let Decision::Purchase(evm) = evm.decide(&shop) else { panic!() };
    assert!(evm.only_collects.is_none());
}

#[test]
fn one_for_a_fee_payer_that_is_not_named_is_refused() {
    let shop = shop(json!([]));
    let [in_v1, in_v2] = payments();
    for (payment, refusal) in [
        (in_v1, "402 0 V1 invalid_exact_svm_payload_fee_payer_mismatch"),
        (in_v2, "402 0 V2 invalid_payment_requirements"),
    ] {
        assert_eq!(Request::get(PAGE).paying(&payment).outcome(&shop), refusal);
    }
}

#[test]
fn one_for_the_second_of_two_that_sign_is_bought_with() {
    // The first was put in front of it, and buyers are told of that one now.
    let shop = config::read(&settings("assets", routes()));
    for payment in payments() {
        let Decision::Purchase(it) = Request::get(PAGE).paying(&payment).decide(&shop) else {
            panic!("{payment}")
        };
        assert!(it.only_collects.is_none());
    }
    for named in [json!(SOLANA_PAY_TO), json!(1), json!(null)] {
        let [_, mut payment] = payments();
        payment["accepted"]["extra"]["feePayer"] = named;
        let outcome = Request::get(PAGE).paying(&payment).outcome(&shop);
        assert_eq!(outcome, "402 0 V2 invalid_payment_requirements");
    }
}
