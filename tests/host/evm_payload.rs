//! Payloads of `exact` on EVM take one form, and what may vary in it does not
//! make another payment.

use crate::evm_support::{
    INVALID_PAYLOAD, MAX, NOW, SIGNATURE, TWO_TO_256, authorization, check, check_text, domain,
    edited, pay_to, payer, payload, sign, signed,
};
use edge402::encoding::{decode_hex, encode_hex};
use serde_json::{Value, json};

#[test]
fn a_signature_is_read_in_its_usual_forms_alone() {
    let good = sign(&authorization(), &domain());
    let bytes = good.to_bytes();
    let with = |edit: &dyn Fn(&mut [u8; 65])| {
        let mut bytes = bytes;
        edit(&mut bytes);
        check(&payload(&authorization(), &encode_hex(&bytes)))
    };
    // v of 0 and 1 mean 27 and 28, and the same payment.
    let same = with(&|b| b[64] -= 27).unwrap();
    assert_eq!(same, check(&signed(|_| {})).unwrap());

    for v in (2..27).chain(29..=255) {
        assert_eq!(with(&|b| b[64] = v).unwrap_err(), SIGNATURE, "v of {v}");
    }
    assert_eq!(with(&|b| b[64] ^= 7).unwrap_err(), SIGNATURE, "the other parity");
    assert_eq!(with(&|b| b.fill(0)).unwrap_err(), SIGNATURE, "zeros");
    assert_eq!(with(&|b| b[..64].fill(0xff)).unwrap_err(), SIGNATURE, "ones");
    assert_eq!(with(&|b| b[..32].fill(0)).unwrap_err(), SIGNATURE, "r of zero");
    assert_eq!(with(&|b| b[32..64].fill(0)).unwrap_err(), SIGNATURE, "s of zero");
    assert_eq!(with(&|b| b[..64].rotate_left(32)).unwrap_err(), SIGNATURE, "r and s swapped");
    // No point of the curve has 5 for its x.
    let no_point = |b: &mut [u8; 65]| {
        b[..31].fill(0);
        b[31] = 5;
    };
    assert_eq!(with(&no_point).unwrap_err(), SIGNATURE, "r of no point");
    assert_eq!(with(&high_s).unwrap_err(), SIGNATURE, "high s");

    // EIP-2098: 64 bytes, with the parity in the first bit of s.
    let compact = |edit: &dyn Fn(&mut [u8; 64])| {
        let mut bytes: [u8; 64] = bytes[..64].try_into().unwrap();
        bytes[32] |= if good.y_is_odd() { 0x80 } else { 0 };
        edit(&mut bytes);
        check(&payload(&authorization(), &encode_hex(&bytes)))
    };
    assert_eq!(compact(&|_| {}).unwrap(), same, "the same payment");
    assert_eq!(compact(&|b| b[32] ^= 0x80).unwrap_err(), SIGNATURE, "the other parity");
    assert_eq!(compact(&|b| b[63] ^= 1).unwrap_err(), SIGNATURE, "another s");
    assert_eq!(compact(&|b| b[32..].fill(0)).unwrap_err(), SIGNATURE, "s of zero");
    assert_eq!(compact(&|b| b.rotate_left(32)).unwrap_err(), SIGNATURE, "r and s swapped");

    let text = good.to_string();
    for wrong in [
        "",
        "0x",
        "0x0",
        "signature",
        &text[2..],
        &text[..131],
        &text[..128],
        &format!("{text}0"),
        &format!("{text}00"),
        &format!(" {text}"),
        &text.replace("0x", "0X"),
        &text.replacen(&text[2..4], "zz", 1),
        &"0x".repeat(66),
        &"é".repeat(66),
    ] {
        let payload = payload(&authorization(), wrong);
        assert_eq!(check(&payload).unwrap_err(), SIGNATURE, "{wrong:?}");
    }
}

/// s becomes n - s and v the other parity: as good a signature to ECDSA.
fn high_s(bytes: &mut [u8; 65]) {
    let order: [u8; 32] =
        decode_hex("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(bytes[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    bytes[64] = 55 - bytes[64];
}

#[test]
fn unreadable_payloads_are_told_apart() {
    let cases: &[(&str, Value)] = &[
        ("value", json!(10_000)),
        ("value", json!(null)),
        ("value", json!("")),
        ("value", json!("1e4")),
        ("value", json!("+10000")),
        ("value", json!("-10000")),
        ("value", json!("010000")),
        ("value", json!("10000.0")),
        ("value", json!(" 10000")),
        ("value", json!("10_000")),
        ("value", json!("0x2710")),
        ("value", json!("１００００")),
        ("value", json!(TWO_TO_256)),
        ("value", json!(format!("{MAX}0"))),
        ("validAfter", json!(NOW)),
        ("validAfter", json!("-1")),
        ("validAfter", json!(TWO_TO_256)),
        ("validBefore", json!("1e10")),
        ("validBefore", json!(TWO_TO_256)),
        ("from", json!("")),
        ("from", json!("0x")),
        ("from", json!(payer().address().to_string()[2..])),
        ("from", json!(payer().address().to_string()[..41])),
        ("from", json!(format!("{}0", payer().address()))),
        ("from", json!(["0x00"])),
        ("to", json!("0x209693bc6afc0C5328bA36FaF03C514EF312287C")),
        ("to", json!("seller.eth")),
        ("nonce", json!("")),
        ("nonce", json!("0x")),
        ("nonce", json!("f3".repeat(32))),
        ("nonce", json!(format!("0x{}f", "f3".repeat(31)))),
        ("nonce", json!(format!("0x{}", "f3".repeat(31)))),
        ("nonce", json!(format!("0x{}", "f3".repeat(33)))),
        ("nonce", json!(format!("0x{}zz", "f3".repeat(31)))),
        ("nonce", json!(7)),
    ];
    for (key, value) in cases {
        let payload = edited(|payload| payload["authorization"][*key] = value.clone());
        assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "{key} {value}");
    }
    for key in ["from", "to", "value", "validAfter", "validBefore", "nonce"] {
        let payload = edited(|payload| {
            payload["authorization"].as_object_mut().unwrap().remove(key);
        });
        assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "no {key}");
    }
    for value in [json!(null), json!(1), json!(["0x"]), json!({})] {
        let payload = edited(|payload| payload["signature"] = value.clone());
        assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "signature {value}");
    }
}

#[test]
fn other_shapes_of_json_are_unreadable() {
    let good = signed(|_| {}).to_string();
    let authorization = signed(|_| {})["authorization"].clone();
    let values: Vec<_> = ["from", "to", "value", "validAfter", "validBefore", "nonce"]
        .map(|key| authorization[key].clone())
        .into();
    let signature = signed(|_| {})["signature"].clone();
    for wrong in [
        "null".into(),
        "1".into(),
        "\"0x\"".into(),
        "[]".into(),
        "{}".into(),
        json!([signature, authorization]).to_string(),
        json!({ "signature": signature, "authorization": values }).to_string(),
        json!({ "transaction": "AQ==" }).to_string(),
    ] {
        assert_eq!(check_text(&wrong).unwrap_err(), INVALID_PAYLOAD, "{wrong}");
    }
    // What repeats a member isn't read at all.
    for wrong in [
        good.replacen("\"to\":", "\"to\":\"0x00\",\"to\":", 1),
        good.replacen("\"signature\":", "\"signature\":\"\",\"signature\":", 1),
    ] {
        assert!(edge402::json::parse(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_a_client_may_vary_does_not_vary_the_identity() {
    let first = check(&signed(|_| {})).unwrap();
    let lower = first.payer().to_lowercase();
    let variants = [
        edited(|p| p["authorization"]["from"] = json!(lower)),
        edited(|p| p["authorization"]["from"] = json!(lower.to_uppercase().replace("0X", "0x"))),
        edited(|p| p["authorization"]["to"] = json!(pay_to().to_lower_hex())),
        edited(|p| p["authorization"]["nonce"] = json!(format!("0x{}", "F3".repeat(32)))),
        edited(|p| p["more"] = json!(1)),
        edited(|p| p["authorization"]["more"] = json!([1])),
        // Another signature over other terms of the same nonce.
        signed(|a| a.valid_before = (NOW + 30).into()),
    ];
    for variant in variants {
        assert_eq!(check(&variant).unwrap().identity(), first.identity(), "{variant}");
    }
    assert_ne!(check(&signed(|a| a.nonce = [1; 32])).unwrap().identity(), first.identity());
}
