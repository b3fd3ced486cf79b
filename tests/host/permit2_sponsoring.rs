//! The token's own permit beside a payment by Permit2: x402's extension
//! `eip2612GasSponsoring`. The codes are literals: they are the wire.

use edge402::encoding::{decode_hex_bytes, encode_base64};
use edge402::evm::transfer::permit2::{EXACT_PROXY, PERMIT2};
use edge402::evm::{self, Call, Terms, TransferMethod, Uint256};
use edge402::facilitator_client::{About, payment_body};
use edge402::protocol::{PaymentPayload, PaymentRequirements, Reason, Version};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{AMOUNT, NOW, TIMEOUT, payer};
use crate::permit2_support::{authorization, check, other, signed, terms};

const MEMBER: &str = "eip2612GasSponsoring";

fn info() -> Value {
    let it = authorization();
    json!({
        "from": it.from, "asset": it.token, "spender": PERMIT2, "amount": it.amount,
        "nonce": "0", "deadline": it.deadline,
        "signature": payer().sign_digest(&[1; 32]).to_string(), "version": "1",
    })
}

/// The valid payload with a permit beside it, of which one member was changed.
fn with(name: &str, value: Value) -> Value {
    let mut payload = signed(|_| {});
    payload[MEMBER] = info();
    payload[MEMBER][name] = value;
    payload
}

#[test]
fn a_permit_goes_out_with_its_payment() {
    let path = format!("{}/tests/data/evm/permit2.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for vector in vectors["payments"].as_array().unwrap() {
        let mut payload = vector["payload"].clone();
        let permitted = &payload["permit2Authorization"]["permitted"];
        let domain = evm::Domain {
            name: String::new(),
            version: String::new(),
            chain_id: text(&vector["domain"]["chainId"]).parse().unwrap(),
            verifying_contract: text(&permitted["token"]).parse().unwrap(),
        };
        let amount = text(&permitted["amount"]).parse().unwrap();
        let pay_to = text(&payload["permit2Authorization"]["witness"]["to"]).parse().unwrap();
        let terms = Terms::new(domain, pay_to, amount, 60).by(TransferMethod::Permit2);
        let terms = terms.with_permits(true);
        payload[MEMBER] = vector["approval"].clone();
        let now = UnixSeconds(text(&vectors["now"]).parse().unwrap());
        let payment = evm::verify(&payload, &terms, now).unwrap();
        let data = decode_hex_bytes(&text(&vector["settleWithPermit"]), 1 << 20).unwrap();
        assert_eq!(payment.call(), Call { to: EXACT_PROXY, data });
        assert_eq!(payment.sponsoring().as_ref(), Some(&vector["approval"]));
        // It is no part of what is paid.
        let plain = evm::verify(&vector["payload"], &terms, now).unwrap();
        assert_eq!(plain.identity(), payment.identity());
        assert_eq!(plain.sponsoring(), None);
        assert!(plain.gas() < payment.gas());
    }
}

#[test]
fn one_thing_wrong_gives_one_code() {
    for (name, value, code) in [
        ("from", json!(other()), "eip2612_from_mismatch"),
        ("asset", json!(other()), "eip2612_asset_mismatch"),
        ("spender", json!(EXACT_PROXY), "eip2612_spender_not_permit2"),
        ("deadline", json!((NOW + 5).to_string()), "eip2612_deadline_expired"),
        ("amount", json!((AMOUNT + 1).to_string()), "permit2_2612_amount_mismatch"),
        ("amount", json!(Uint256::MAX), "permit2_2612_amount_mismatch"),
    ] {
        assert_eq!(check(&with(name, value)).unwrap_err(), code, "{name}");
    }
    for name in ["from", "asset", "spender", "amount", "nonce", "deadline", "signature"] {
        for wrong in [json!(null), json!(1), json!("x"), json!("-1")] {
            let code = check(&with(name, wrong)).unwrap_err();
            assert_eq!(code, "invalid_eip2612_extension_format", "{name}");
        }
    }
    // What the payment itself breaks comes first.
    let mut payload = with("from", json!(other()));
    payload["signature"] = json!("0x");
    assert_eq!(check(&payload).unwrap_err(), "invalid_permit2_signature");
    assert!(check(&with("more", json!(1))).is_ok());
}

#[test]
fn one_whose_permit_has_ended_can_still_tell_what_it_bought() {
    let terms = edge402::payment::Terms::Evm(terms());
    for (left, has_lapsed) in [(6, false), (5, true), (0, true)] {
        let payload = with("deadline", json!((NOW + left).to_string()));
        let checked = terms.check(&payload, UnixSeconds(NOW)).unwrap();
        let (payment, lapsed) = checked.clone().into_parts();
        assert_eq!(
            (payment.identity(), lapsed),
            (check(&signed(|_| {})).unwrap().identity(), has_lapsed)
        );
        let code = checked.payable().map_err(Reason::code).err();
        assert_eq!(code, has_lapsed.then_some("eip2612_deadline_expired"));
    }
}

#[test]
fn where_the_seller_takes_none_the_payment_goes_without() {
    let terms = terms().with_permits(false);
    for payload in [with("version", json!("1")), with("from", json!(other()))] {
        let payment = evm::verify(&payload, &terms, UnixSeconds(NOW)).unwrap();
        assert_eq!(payment, check(&signed(|_| {})).unwrap());
        assert_eq!((payment.sponsoring(), payment.is_sponsored()), (None, false));
    }
    // It is no part of what a buyer agrees to.
    let agreed = |terms| edge402::payment::Terms::Evm(terms).agreed_text();
    assert_eq!(agreed(terms.clone()), agreed(terms.with_permits(true)));
}

/// What the answers of a preview come to, the payment bringing its allowance.
#[test]
fn the_simulation_tells_if_it_is_good() {
    let payment = check(&with("version", json!("1"))).unwrap();
    let refused = |balance: u128, allowance: u128, simulated: bool| {
        let numbers = [0_u64.into(), balance.into(), allowance.into()];
        let words = numbers.map(|it: Uint256| Ok(it.to_be_bytes().to_vec()));
        let mut answers: Vec<Result<Vec<u8>, Option<String>>> = words.to_vec();
        answers.push(Ok(PERMIT2.to_word().to_vec()));
        answers.push(if simulated { Ok(vec![]) } else { Err(None) });
        let facts = payment.read_preview(answers);
        evm::refusal(&facts, &payment).map(Reason::code)
    };
    assert_eq!(refused(AMOUNT, 0, true), None);
    assert_eq!(refused(AMOUNT, 0, false), Some("permit2_allowance_required"));
    assert_eq!(refused(AMOUNT, AMOUNT, false), Some("permit2_simulation_failed"));
    assert_eq!(refused(AMOUNT - 1, AMOUNT, false), Some("permit2_insufficient_balance"));
}

fn accepted() -> Value {
    json!({
        "scheme": "exact", "network": "eip155:84532", "amount": AMOUNT.to_string(),
        "asset": terms().asset(), "payTo": terms().pay_to(), "maxTimeoutSeconds": TIMEOUT,
        "extra": { "assetTransferMethod": "permit2" },
    })
}

#[test]
fn it_comes_in_as_an_extension_and_goes_on_as_one() {
    let read = |payload: &Value, extensions: Value| {
        let payment = json!({
            "x402Version": 2, "accepted": accepted(), "payload": payload, "extensions": extensions,
        });
        let header = encode_base64(payment.to_string().as_bytes());
        PaymentPayload::from_header(Version::V2, &header).unwrap().payload
    };
    let plain = signed(|_| {});
    let sponsored = read(&plain, json!({ MEMBER: { "info": info() } }));
    assert_eq!(sponsored[MEMBER], info());
    // What a client copies from the challenge is none, nor what stands elsewhere.
    let declared = json!({ MEMBER: { "info": { "version": "1" }, "schema": {} } });
    for extensions in [declared, json!(null), json!({ MEMBER: null })] {
        assert_eq!(read(&plain, extensions.clone()), plain);
        assert_eq!(read(&sponsored, extensions), plain);
    }
    let body = |payload: &Value| {
        let payment = edge402::payment::Terms::Evm(terms()).check(payload, UnixSeconds(NOW));
        let payment = payment.unwrap().payable().unwrap();
        let terms = PaymentRequirements::read(&accepted()).unwrap();
        let url = "https://shop.example/";
        payment_body(Version::V2, &terms, None, &payment, url, About::default())
    };
    let sent = &body(&sponsored)["paymentPayload"];
    assert_eq!(sent["payload"], plain);
    assert_eq!(sent["extensions"], json!({ MEMBER: { "info": info() } }));
    assert!(body(&plain)["paymentPayload"].get("extensions").is_none());
}
