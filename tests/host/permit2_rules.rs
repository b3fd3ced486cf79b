//! One valid payment by Permit2, one thing wrong, one code: the checks of
//! `exact` on EVM, in their order. The codes are literals: they are the wire.

use edge402::amount::AtomicAmount;
use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::transfer::permit2::{EXACT_PROXY, PERMIT2, permit_digest};
use edge402::evm::{
    self, Address, Facts, Permit2Authorization, Terms, TransferMethod, Uint256, VerifiedPayment,
};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{self, AMOUNT, NOW, TIMEOUT, pay_to, payer};
use crate::permit2_support::{
    authorization, check, edited, other, permit2, signed, signed_by, terms,
};

const INVALID_PAYLOAD: &str = "invalid_payload";
const SIGNATURE: &str = "invalid_permit2_signature";
const SPENDER: &str = "invalid_permit2_spender";
const RECIPIENT: &str = "invalid_permit2_recipient_mismatch";
const AMOUNT_CODE: &str = "permit2_amount_mismatch";
const DEADLINE: &str = "permit2_deadline_expired";
const NOT_YET: &str = "permit2_not_yet_valid";
const TOKEN: &str = "permit2_token_mismatch";

#[test]
fn a_valid_payment_is_verified() {
    let payment = check(&signed(|_| {})).unwrap();
    assert_eq!(payment.from(), payer().address());
    assert_eq!(payment.to(), pay_to());
    assert_eq!(payment.value(), AtomicAmount(AMOUNT));
    assert_eq!(payment.asset(), evm_support::domain().verifying_contract);
    assert_eq!(payment.network().to_string(), "eip155:84532");
    assert_eq!(permit2(&payment).nonce(), (0xf309_u64).into());
    // Permit2 takes it in the second of its deadline, and not in the next.
    assert_eq!(payment.expires_at(), UnixSeconds(NOW + TIMEOUT + 1));
    assert_eq!(payment.call().to, EXACT_PROXY);
    assert_eq!(payment.payload(), signed(|_| {}));
}

#[test]
fn its_identity_is_what_permit2_tells_it_apart_by() {
    let identity = |payload: &Value, terms: &Terms| {
        evm::verify(payload, terms, UnixSeconds(NOW)).unwrap().identity()
    };
    let payer = payer().address().to_lower_hex();
    let first = identity(&signed(|_| {}), &terms());
    let expected = format!(
        "eip155:84532/0x000000000022d473030f116ddee9f6b43ac78ba3/{payer}/0x{:0>64}",
        "f309"
    );
    assert_eq!(first, expected);
    // Permit2 keeps one set of nonces for all tokens.
    let mut domain = evm_support::domain();
    domain.verifying_contract = other();
    let of_other = Terms::new(domain, pay_to(), AtomicAmount(AMOUNT), TIMEOUT);
    let of_other = of_other.by(TransferMethod::Permit2);
    assert_eq!(identity(&signed(|a| a.token = other()), &of_other), first);
    // Nothing else that is signed makes another payment of it.
    assert_eq!(identity(&signed(|a| a.deadline = (NOW + 30).into()), &terms()), first);
    assert_ne!(identity(&signed(|a| a.nonce = 1_u64.into()), &terms()), first);
    // EIP-3009 keeps others, at the token.
    let eip3009 = evm_support::check(&evm_support::signed(|a| {
        a.nonce = permit2(&check(&signed(|_| {})).unwrap()).nonce().to_be_bytes();
    }));
    assert_ne!(eip3009.unwrap().identity(), first);
}

#[test]
fn the_edges_of_its_time_are_good() {
    for deadline in [NOW + 6, NOW + TIMEOUT, NOW + 86_400, u64::MAX] {
        assert!(check(&signed(|a| a.deadline = deadline.into())).is_ok(), "{deadline}");
    }
    let endless = check(&signed(|a| a.deadline = Uint256::MAX)).unwrap();
    assert_eq!(endless.expires_at(), UnixSeconds(u64::MAX));
    // x402's contract takes it in the very second of validAfter.
    for (valid_after, after) in [(0, 0), (1, 0), (NOW, NOW - 1), (NOW + 5, NOW + 4)] {
        let payment = check(&signed(|a| a.valid_after = valid_after.into())).unwrap();
        assert_eq!(payment.valid_after(), UnixSeconds(after));
    }
}

#[test]
fn one_thing_wrong_gives_one_code() {
    let cases: Vec<(&str, &str, Value)> = vec![
        ("another spender", SPENDER, signed(|a| a.spender = other())),
        ("Permit2 itself", SPENDER, signed(|a| a.spender = PERMIT2)),
        ("no spender", SPENDER, signed(|a| a.spender = Address::ZERO)),
        ("to another", RECIPIENT, signed(|a| a.to = other())),
        ("to nobody", RECIPIENT, signed(|a| a.to = Address::ZERO)),
        ("to the payer", RECIPIENT, signed(|a| a.to = a.from)),
        ("one unit short", AMOUNT_CODE, signed(|a| a.amount = (AMOUNT - 1).into())),
        ("one unit over", AMOUNT_CODE, signed(|a| a.amount = (AMOUNT + 1).into())),
        ("nothing", AMOUNT_CODE, signed(|a| a.amount = Uint256::ZERO)),
        ("everything", AMOUNT_CODE, signed(|a| a.amount = Uint256::MAX)),
        ("expired", DEADLINE, signed(|a| a.deadline = (NOW - 1).into())),
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
        ("/permit2Authorization/witness/validAfter", number()),
    ] {
        let payload = edited(|payload| *payload.pointer_mut(at).unwrap() = value);
        assert_eq!(check(&payload).unwrap_err(), SIGNATURE, "{at} edited after signing");
    }
    let elsewhere = signed_by(&payer(), 8_453, &authorization());
    assert_eq!(check(&elsewhere).unwrap_err(), SIGNATURE, "signed for another chain");

    let good = payer().sign_digest(&permit_digest(84_532, &authorization()));
    let with = |text: &str| check(&authorization().payload(text));
    let (hex, short) = (good.to_string(), &good.to_string()[..130]);
    for wrong in ["", "0x", &hex[..128], &format!("{hex}00"), &hex[2..], &hex.replace("0x", "0X")] {
        assert_eq!(with(wrong).unwrap_err(), SIGNATURE, "{wrong}");
    }
    let parity = |v: u8| with(&format!("{short}{v:02x}"));
    assert_eq!(parity(good.v() - 27), parity(good.v()), "0 and 1 mean 27 and 28");
    assert!(parity(good.v()).is_ok());
    assert_eq!(parity(29).unwrap_err(), SIGNATURE);
    // EIP-2098's 64 bytes are the same signature.
    let compact = |is_odd: bool| {
        let mut bytes = good.to_bytes();
        bytes[32] |= u8::from(is_odd) << 7;
        with(&encode_hex(&bytes[..64]))
    };
    assert_eq!(compact(good.y_is_odd()), parity(good.v()));
    assert_eq!(compact(!good.y_is_odd()).unwrap_err(), SIGNATURE);
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
        "/permit2Authorization/witness/validAfter",
    ];
    for path in paths {
        for wrong in [json!(null), json!(1), json!([]), json!({})] {
            let payload = edited(|payload| *payload.pointer_mut(path).unwrap() = wrong);
            assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "{path}");
        }
    }
    for wrong in ["", "-1", "01", "0x1", "1.0", " 1", evm_support::TWO_TO_256] {
        let payload = edited(|payload| payload["permit2Authorization"]["nonce"] = json!(wrong));
        assert_eq!(check(&payload).unwrap_err(), INVALID_PAYLOAD, "{wrong:?}");
    }
    // Another method's payload is not read as this one's, nor this as that.
    assert_eq!(check(&evm_support::signed(|_| {})).unwrap_err(), INVALID_PAYLOAD);
    assert_eq!(evm_support::check(&signed(|_| {})).unwrap_err(), INVALID_PAYLOAD);
    let more = edited(|payload| payload["more"] = json!(1));
    assert!(check(&more).is_ok());
}

#[test]
fn the_first_check_that_fails_gives_the_code() {
    // Everything is wrong; each step puts right what the last code named.
    let mut wrong = authorization();
    wrong.spender = other();
    wrong.to = other();
    wrong.amount = Uint256::MAX;
    wrong.deadline = NOW.into();
    wrong.valid_after = (NOW + 6).into();
    wrong.token = other();
    let code = |it: &Permit2Authorization| check(&signed_by(&payer(), 84_532, it)).unwrap_err();
    let unsigned = check(&wrong.payload("0x")).unwrap_err();
    assert_eq!(unsigned, SIGNATURE);
    assert_eq!(code(&wrong), SPENDER);
    wrong.spender = EXACT_PROXY;
    assert_eq!(code(&wrong), RECIPIENT);
    wrong.to = pay_to();
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
fn one_that_has_lapsed_still_tells_who_paid() {
    let at = |now| evm::check(&signed(|_| {}), &terms(), UnixSeconds(now));
    let (payment, has_lapsed) = at(NOW + TIMEOUT - 5).unwrap();
    assert!(has_lapsed);
    assert_eq!(payment.from(), payer().address());
    assert!(!at(NOW + TIMEOUT - 6).unwrap().1);
}

#[test]
fn terms_say_the_method_and_those_of_eip_3009_say_nothing_new() {
    for (terms, permits) in [(terms().with_permits(false), ""), (terms(), r#","permits":true"#)] {
        let text = edge402::json::to_text(&terms);
        let end = format!(r#","maxTimeoutSeconds":60,"assetTransferMethod":"permit2"{permits}}}"#);
        assert!(text.ends_with(&end), "{text}");
        assert_eq!(edge402::json::from_text::<Terms>(&text), Ok(terms));
    }
    let text = edge402::json::to_text(&evm_support::terms());
    assert!(text.ends_with(r#","maxTimeoutSeconds":60}"#), "{text}");
    assert_eq!(edge402::json::from_text::<Terms>(&text), Ok(evm_support::terms()));
}

/// What the four questions of a preview are answered.
fn facts(payment: &VerifiedPayment, answers: [Option<Uint256>; 4], simulated: bool) -> Facts {
    let mut answers: Vec<Result<Vec<u8>, Option<String>>> = answers
        .into_iter()
        .map(|it| it.map(|number| number.to_be_bytes().to_vec()).ok_or(None))
        .collect();
    answers.push(if simulated { Ok(vec![]) } else { Err(None) });
    payment.read_preview(answers)
}

#[test]
fn the_chains_answers_give_one_code_each() {
    let payment = check(&signed(|_| {})).unwrap();
    let proxy = Some(Uint256::from_be_bytes(PERMIT2.to_word()));
    let (no, most): (Option<Uint256>, _) = (Some(0_u64.into()), Some(Uint256::MAX));
    let (enough, short) = (Some(AMOUNT.into()), Some((AMOUNT - 1).into()));
    // Bit 9 of its word.
    let (bit, others) = (Some(512_u64.into()), Some((u64::MAX - 512).into()));
    for (answers, simulated, code) in [
        ([no, enough, enough, proxy], true, None),
        ([others, most, most, proxy], true, None),
        ([bit, no, no, no], false, Some("permit2_invalid_nonce")),
        ([most, enough, enough, proxy], true, Some("permit2_invalid_nonce")),
        ([no, enough, short, proxy], false, Some("permit2_allowance_required")),
        ([no, short, short, proxy], false, Some("permit2_allowance_required")),
        ([no, short, enough, proxy], false, Some("permit2_insufficient_balance")),
        ([no, enough, enough, proxy], false, Some("permit2_simulation_failed")),
        // A call to an address without code "succeeds".
        ([no, enough, enough, None], true, Some("permit2_proxy_not_deployed")),
        ([no, enough, enough, no], true, Some("permit2_proxy_not_deployed")),
        ([None, enough, enough, proxy], true, Some("permit2_simulation_failed")),
        ([no, None, enough, proxy], true, Some("permit2_simulation_failed")),
        ([no, enough, None, proxy], true, Some("permit2_simulation_failed")),
    ] {
        let facts = facts(&payment, answers, simulated);
        let refusal = evm::refusal(&facts, &payment).map(edge402::protocol::Reason::code);
        assert_eq!(refusal, code, "{answers:?} {simulated}");
    }
    // What it can pay is what it has and has let Permit2 have.
    let poor = facts(&payment, [no, most, enough, proxy], true);
    assert_eq!(poor.balance, enough);
}

fn vectors() -> Value {
    let path = format!("{}/tests/data/evm/permit2.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn digests_and_calldata_are_viems() {
    let vectors = vectors();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(text(&vectors["permit2"]), PERMIT2.to_string());
    assert_eq!(text(&vectors["proxy"]), EXACT_PROXY.to_string());
    let payments = vectors["payments"].as_array().unwrap();
    for vector in payments {
        let signed = &vector["payload"]["permit2Authorization"];
        let domain = evm::Domain {
            name: String::new(),
            version: String::new(),
            chain_id: text(&vector["domain"]["chainId"]).parse().unwrap(),
            verifying_contract: text(&vector["domain"]["verifyingContract"]).parse().unwrap(),
        };
        let amount = text(&signed["permitted"]["amount"]).parse().unwrap();
        let pay_to = text(&signed["witness"]["to"]).parse().unwrap();
        let terms = Terms::new(domain, pay_to, amount, 60).by(TransferMethod::Permit2);
        let now = UnixSeconds(text(&vectors["now"]).parse().unwrap());
        let payment = evm::verify(&vector["payload"], &terms, now).unwrap();
        let bytes = |key: &str| decode_hex_bytes(&text(&vector[key]), 1 << 20).unwrap();
        assert_eq!(payment.payload(), vector["payload"]);
        assert_eq!(payment.call(), evm::Call { to: EXACT_PROXY, data: bytes("settle") });
        let asked = [
            (PERMIT2, "nonceBitmap"),
            (terms.asset(), "balanceOf"),
            (terms.asset(), "allowance"),
            (EXACT_PROXY, "permit2OfProxy"),
            (EXACT_PROXY, "settle"),
        ];
        let asked = asked.map(|(to, key)| evm::Call { to, data: bytes(key) });
        assert_eq!(payment.preview_calls(), asked);
        assert_eq!(payment.named_in(&bytes("settle")).len(), 1);
        assert_eq!(payment.named_in(&bytes("settleWithPermit")).len(), 1);
    }
    assert_eq!(payments.len(), 4);
}
