//! One valid payment by use, one thing wrong, one code: the checks of `upto` on
//! EVM, in their order; and what viem makes of it. The codes are literals: they
//! are the wire.

use edge402::amount::AtomicAmount;
use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::transfer::permit2::{EXACT_PROXY, PERMIT2, UPTO_PROXY, permit_digest};
use edge402::evm::{
    self, Address, Call, Permit2Authorization, Terms, TransferMethod, Uint256, VerifiedPayment,
};
use edge402::protocol::Reason;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{self, AMOUNT, INVALID_PAYLOAD, NOW, TIMEOUT, pay_to, payer};
use crate::permit2_support::{self, other, signed_by};

const SIGNATURE: &str = "invalid_permit2_signature";
const SPENDER: &str = "invalid_permit2_spender";
const RECIPIENT: &str = "invalid_permit2_recipient_mismatch";
const FACILITATOR: &str = "upto_facilitator_mismatch";
const AMOUNT_CODE: &str = "permit2_amount_mismatch";
const DEADLINE: &str = "permit2_deadline_expired";
const NOT_YET: &str = "permit2_not_yet_valid";
const TOKEN: &str = "permit2_token_mismatch";

fn relayer() -> Address {
    Address::new([0x11; 20])
}

fn terms() -> Terms {
    evm_support::terms().by_use(vec![relayer(), Address::new([0x12; 20])]).with_permits(true)
}

fn authorization() -> Permit2Authorization {
    Permit2Authorization {
        spender: UPTO_PROXY,
        facilitator: Some(relayer()),
        ..permit2_support::authorization()
    }
}

fn signed(edit: impl FnOnce(&mut Permit2Authorization)) -> Value {
    let mut authorization = authorization();
    edit(&mut authorization);
    signed_by(&payer(), 84_532, &authorization)
}

fn edited(edit: impl FnOnce(&mut Value)) -> Value {
    let mut payload = signed(|_| {});
    edit(&mut payload);
    payload
}

fn check(payload: &Value) -> Result<VerifiedPayment, &'static str> {
    evm::verify(payload, &terms(), UnixSeconds(NOW)).map_err(Reason::code)
}

#[test]
fn a_valid_payment_is_for_the_most_and_for_one_relayer() {
    let payment = check(&signed(|_| {})).unwrap();
    assert_eq!((payment.value(), payment.to()), (AtomicAmount(AMOUNT), pay_to()));
    assert_eq!((payment.relayer(), payment.call().to), (Some(relayer()), UPTO_PROXY));
    assert_eq!(payment.payload(), signed(|_| {}));
    let second = signed(|it| it.facilitator = Some(Address::new([0x12; 20])));
    assert_eq!(check(&second).unwrap().relayer(), Some(Address::new([0x12; 20])));
    // Permit2 keeps one nonce for both schemes.
    let exact = permit2_support::check(&permit2_support::signed(|_| {})).unwrap();
    assert_eq!((payment.identity(), exact.relayer()), (exact.identity(), None));
}

#[test]
fn what_is_charged_is_no_more_than_was_signed_for() {
    let of = |amount: u128| check(&signed(|_| {})).unwrap().charged(AtomicAmount(amount));
    for amount in [0, 1, AMOUNT] {
        let charged = of(amount).unwrap();
        assert_eq!(charged.value(), AtomicAmount(amount));
        assert_eq!(charged.payload(), signed(|_| {}), "what was signed stays what it is");
    }
    let code = "invalid_upto_evm_payload_settlement_exceeds_amount";
    assert_eq!(of(AMOUNT + 1).map_err(Reason::code).unwrap_err(), code);
    let exact = permit2_support::check(&permit2_support::signed(|_| {})).unwrap();
    assert_eq!(exact.charged(AtomicAmount(1)).map_err(Reason::code).unwrap_err(), "invalid_scheme");
}

#[test]
fn one_thing_wrong_gives_one_code() {
    let cases: Vec<(&str, &str, Value)> = vec![
        ("another spender", SPENDER, signed(|a| a.spender = other())),
        ("the other scheme's contract", SPENDER, signed(|a| a.spender = EXACT_PROXY)),
        ("Permit2 itself", SPENDER, signed(|a| a.spender = PERMIT2)),
        ("to another", RECIPIENT, signed(|a| a.to = other())),
        ("to nobody", RECIPIENT, signed(|a| a.to = Address::ZERO)),
        ("for another relayer", FACILITATOR, signed(|a| a.facilitator = Some(other()))),
        ("for anybody", FACILITATOR, signed(|a| a.facilitator = Some(Address::ZERO))),
        ("for the payee", FACILITATOR, signed(|a| a.facilitator = Some(pay_to()))),
        ("one unit short", AMOUNT_CODE, signed(|a| a.amount = (AMOUNT - 1).into())),
        ("one unit over", AMOUNT_CODE, signed(|a| a.amount = (AMOUNT + 1).into())),
        ("nothing", AMOUNT_CODE, signed(|a| a.amount = Uint256::ZERO)),
        ("everything", AMOUNT_CODE, signed(|a| a.amount = Uint256::MAX)),
        ("expires in 5 seconds", DEADLINE, signed(|a| a.deadline = (NOW + 5).into())),
        ("expires at 0", DEADLINE, signed(|a| a.deadline = Uint256::ZERO)),
        ("valid later", NOT_YET, signed(|a| a.valid_after = (NOW + 6).into())),
        ("never valid", NOT_YET, signed(|a| a.valid_after = Uint256::MAX)),
        ("another token", TOKEN, signed(|a| a.token = other())),
    ];
    for (what, code, payload) in cases {
        assert_eq!(check(&payload).unwrap_err(), code, "{what}");
    }
}

#[test]
fn the_signature_is_the_payers_over_this_very_permit() {
    let number = || json!("1");
    for (at, value) in [
        ("/permit2Authorization/from", json!(other())),
        ("/permit2Authorization/from", json!(Address::ZERO)),
        ("/permit2Authorization/spender", json!(other())),
        ("/permit2Authorization/nonce", number()),
        ("/permit2Authorization/deadline", json!((NOW + 30).to_string())),
        ("/permit2Authorization/permitted/token", json!(other())),
        ("/permit2Authorization/permitted/amount", number()),
        ("/permit2Authorization/witness/to", json!(other())),
        ("/permit2Authorization/witness/facilitator", json!(Address::new([0x12; 20]))),
        ("/permit2Authorization/witness/validAfter", number()),
    ] {
        let payload = edited(|payload| *payload.pointer_mut(at).unwrap() = value);
        assert_eq!(check(&payload).unwrap_err(), SIGNATURE, "{at} edited after signing");
    }
    let elsewhere = signed_by(&payer(), 8_453, &authorization());
    assert_eq!(check(&elsewhere).unwrap_err(), SIGNATURE, "signed for another chain");
}

#[test]
fn every_member_is_needed_and_has_one_spelling() {
    let paths = [
        "/signature",
        "/permit2Authorization",
        "/permit2Authorization/from",
        "/permit2Authorization/spender",
        "/permit2Authorization/nonce",
        "/permit2Authorization/deadline",
        "/permit2Authorization/permitted",
        "/permit2Authorization/permitted/token",
        "/permit2Authorization/permitted/amount",
        "/permit2Authorization/witness",
        "/permit2Authorization/witness/to",
        "/permit2Authorization/witness/facilitator",
        "/permit2Authorization/witness/validAfter",
    ];
    for path in paths {
        for wrong in [json!(null), json!(1), json!([]), json!({})] {
            let payload = edited(|payload| *payload.pointer_mut(path).unwrap() = wrong);
            assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "{path}");
        }
    }
    // A payment for an exact amount is none by use.
    assert_eq!(check(&permit2_support::signed(|_| {})).unwrap_err(), INVALID_PAYLOAD);
    assert_eq!(check(&evm_support::signed(|_| {})).unwrap_err(), INVALID_PAYLOAD);
}

#[test]
fn the_first_check_that_fails_gives_the_code() {
    // Everything is wrong; each step puts right what the last code named.
    let mut wrong = authorization();
    wrong.spender = other();
    wrong.to = other();
    wrong.facilitator = Some(other());
    wrong.amount = Uint256::MAX;
    wrong.deadline = NOW.into();
    wrong.valid_after = (NOW + 6).into();
    wrong.token = other();
    let code = |it: &Permit2Authorization| check(&signed_by(&payer(), 84_532, it)).unwrap_err();
    assert_eq!(check(&wrong.payload("0x")).unwrap_err(), SIGNATURE);
    assert_eq!(code(&wrong), SPENDER);
    wrong.spender = UPTO_PROXY;
    assert_eq!(code(&wrong), RECIPIENT);
    wrong.to = pay_to();
    assert_eq!(code(&wrong), FACILITATOR);
    wrong.facilitator = Some(relayer());
    assert_eq!(code(&wrong), AMOUNT_CODE);
    wrong.amount = AMOUNT.into();
    assert_eq!(code(&wrong), DEADLINE);
    wrong.deadline = (NOW + TIMEOUT).into();
    assert_eq!(code(&wrong), NOT_YET);
    wrong.valid_after = NOW.into();
    assert_eq!(code(&wrong), TOKEN);
    wrong.token = authorization().token;
    assert!(check(&signed_by(&payer(), 84_532, &wrong)).is_ok());
}

#[test]
fn digests_and_calldata_are_viems() {
    let path = format!("{}/tests/data/evm/upto.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(text(&vectors["proxy"]), UPTO_PROXY.to_string());
    let now = UnixSeconds(text(&vectors["now"]).parse().unwrap());
    let payments = vectors["payments"].as_array().unwrap();
    for vector in payments {
        let permit = &vector["payload"]["permit2Authorization"];
        let address = |value: &Value| -> Address { text(value).parse().unwrap() };
        let number = |value: &Value| -> Uint256 { text(value).parse().unwrap() };
        let authorization = Permit2Authorization {
            token: address(&permit["permitted"]["token"]),
            amount: number(&permit["permitted"]["amount"]),
            from: address(&permit["from"]),
            spender: address(&permit["spender"]),
            nonce: number(&permit["nonce"]),
            deadline: number(&permit["deadline"]),
            to: address(&permit["witness"]["to"]),
            facilitator: Some(address(&permit["witness"]["facilitator"])),
            valid_after: number(&permit["witness"]["validAfter"]),
        };
        let chain_id = text(&vector["domain"]["chainId"]).parse().unwrap();
        let digest = permit_digest(chain_id, &authorization);
        assert_eq!(encode_hex(&digest), text(&vector["digest"]));

        let domain = evm::Domain {
            name: String::new(),
            version: String::new(),
            chain_id,
            verifying_contract: authorization.token,
        };
        let amount = text(&permit["permitted"]["amount"]).parse().unwrap();
        let terms = Terms::new(domain, authorization.to, amount, 60)
            .by_use(vec![address(&permit["witness"]["facilitator"])])
            .with_permits(true);
        assert_eq!(terms.method(), TransferMethod::Permit2);
        let used: AtomicAmount = text(&vector["used"]).parse().unwrap();
        let mut payload = vector["payload"].clone();
        for key in ["settle", "settleWithPermit"] {
            let payment = evm::verify(&payload, &terms, now).unwrap().charged(used).unwrap();
            let data = decode_hex_bytes(&text(&vector[key]), 1 << 20).unwrap();
            assert_eq!(payment.named_in(&data).len(), 1, "{key}");
            assert_eq!(payment.call(), Call { to: UPTO_PROXY, data }, "{key}");
            payload["eip2612GasSponsoring"] = vector["approval"].clone();
        }
    }
    assert_eq!(payments.len(), 4);
}
