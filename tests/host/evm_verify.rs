//! One valid payment, one thing wrong, one code: the checks of `exact` on
//! EVM, in their order. The codes are literals: they are the wire.

use crate::evm_support::{
    AMOUNT, NOW, RECIPIENT, SIGNATURE, TIMEOUT, VALID_AFTER, VALID_BEFORE, VALUE, authorization,
    check, domain, edited, eip3009, pay_to, payer, payload, sign, signed, terms,
};
use edge402::amount::AtomicAmount;
use edge402::evm::eip712::Domain;
use edge402::evm::transfer::MIN_REMAINING_SECONDS;
use edge402::evm::{Address, Authorization, Signature, Signed, Terms, Uint256, verify};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

#[test]
fn valid_payment_is_verified() {
    let payment = check(&signed(|_| {})).unwrap();
    assert_eq!(payment.from(), payer().address());
    assert_eq!(payment.payer(), payer().address().to_string());
    assert_eq!(payment.to(), pay_to());
    assert_eq!(payment.value(), AtomicAmount(AMOUNT));
    assert_eq!(payment.valid_after(), UnixSeconds(NOW - 600));
    assert_eq!(eip3009(&payment).valid_before(), (NOW + TIMEOUT).into());
    assert_eq!(payment.expires_at(), UnixSeconds(NOW + TIMEOUT));
    assert_eq!(eip3009(&payment).nonce(), &[0xf3; 32]);
    assert_eq!(payment.asset(), domain().verifying_contract);
    assert_eq!(payment.chain_id(), 84_532);
    assert_eq!(payment.network().to_string(), "eip155:84532");
    assert_eq!(*eip3009(&payment).signed(), Signed::ByKey(sign(&authorization(), &domain())));
    assert_eq!(edge402::evm::payer_in(&payment.identity()), Some(payer().address()));
    assert_eq!(
        payment.identity(),
        format!(
            "eip155:84532/0x036cbd53842c5426634e7929541ec2318f3dcf7e/{}/0x{}",
            payer().address().to_string().to_lowercase(),
            "f3".repeat(32)
        )
    );
}

#[test]
fn edges_of_the_time_window_are_valid() {
    for valid_before in [NOW + MIN_REMAINING_SECONDS, NOW + TIMEOUT, NOW + 300] {
        assert!(check(&signed(|a| a.valid_before = valid_before.into())).is_ok());
    }
    for valid_after in [0, NOW - 600, NOW - 1, NOW, NOW + 1, NOW + 5] {
        assert!(check(&signed(|a| a.valid_after = valid_after.into())).is_ok(), "{valid_after}");
    }
}

#[test]
fn an_authorization_may_end_however_far_ahead() {
    for valid_before in [
        (NOW + 3_600).into(),
        (NOW + 86_400).into(),
        u64::MAX.into(),
        (u128::from(NOW + 30) + (1 << 64)).into(),
        Uint256::MAX,
    ] {
        let payment = check(&signed(|a| a.valid_before = valid_before)).unwrap();
        // What goes on chain is what was signed, to the last bit.
        assert_eq!(eip3009(&payment).valid_before(), valid_before);
        let expected = u64::try_from(valid_before).unwrap_or(u64::MAX);
        assert_eq!(payment.expires_at(), UnixSeconds(expected));
        let data = payment.call().data;
        let word = 4 + 4 * 32..4 + 5 * 32;
        assert_eq!(data[word], valid_before.to_be_bytes());
    }
}

#[test]
fn one_thing_wrong_gives_one_code() {
    let other: Address = Address::new([0x77; 20]);
    let cases: Vec<(&str, &str, Value)> = vec![
        ("to is another", RECIPIENT, signed(|a| a.to = other)),
        ("to is zero", RECIPIENT, signed(|a| a.to = Address::ZERO)),
        ("to is the payer", RECIPIENT, signed(|a| a.to = a.from)),
        ("expired", VALID_BEFORE, signed(|a| a.valid_before = (NOW - 1).into())),
        ("expires now", VALID_BEFORE, signed(|a| a.valid_before = NOW.into())),
        ("expires in 5 seconds", VALID_BEFORE, signed(|a| a.valid_before = (NOW + 5).into())),
        ("expires at 0", VALID_BEFORE, signed(|a| a.valid_before = Uint256::ZERO)),
        ("valid later", VALID_AFTER, signed(|a| a.valid_after = (NOW + 6).into())),
        ("never valid", VALID_AFTER, signed(|a| a.valid_after = Uint256::MAX)),
        (
            "valid after more than 64 bits",
            VALID_AFTER,
            signed(|a| a.valid_after = (1_u128 << 64).into()),
        ),
        ("one unit short", VALUE, signed(|a| a.value = (AMOUNT - 1).into())),
        ("one unit over", VALUE, signed(|a| a.value = (AMOUNT + 1).into())),
        ("nothing", VALUE, signed(|a| a.value = Uint256::ZERO)),
        ("everything", VALUE, signed(|a| a.value = Uint256::MAX)),
        (
            "equal in the low 128 bits",
            VALUE,
            signed(|a| {
                let mut bytes = a.value.to_be_bytes();
                bytes[0] = 1;
                a.value = Uint256::from_be_bytes(bytes);
            }),
        ),
    ];
    for (what, code, payload) in cases {
        assert_eq!(check(&payload).unwrap_err(), code, "{what}");
    }
}

#[test]
fn signature_must_be_the_payers_over_this_very_authorization() {
    for (what, key, value) in [
        ("from", "from", json!(Address::new([0x77; 20]))),
        ("zero from", "from", json!(Address::ZERO)),
        ("to", "to", json!(Address::new([0x77; 20]))),
        ("value", "value", json!("10001")),
        ("validAfter", "validAfter", json!("0")),
        ("validBefore", "validBefore", json!((NOW + 30).to_string())),
        ("nonce", "nonce", json!(format!("0x{}", "f4".repeat(32)))),
    ] {
        let payload = edited(|payload| payload["authorization"][key] = value);
        assert_eq!(check(&payload).unwrap_err(), SIGNATURE, "{what} edited after signing");
    }
    let zero = signed(|a| a.from = Address::ZERO);
    assert_eq!(check(&zero).unwrap_err(), SIGNATURE, "signed with from of zero");

    let others = [
        Domain { name: "USD Coin".into(), ..domain() },
        Domain { version: "1".into(), ..domain() },
        Domain { chain_id: 8_453, ..domain() },
        Domain { verifying_contract: Address::new([5; 20]), ..domain() },
    ];
    for other in others {
        let signature = sign(&authorization(), &other).to_string();
        let payload = payload(&authorization(), &signature);
        assert_eq!(check(&payload).unwrap_err(), SIGNATURE, "signed for {other:?}");
    }
}

#[test]
fn the_first_check_that_fails_gives_the_code() {
    // Everything is wrong; each step puts right what the last code named.
    let mut wrong = authorization();
    wrong.to = Address::new([0x77; 20]);
    wrong.valid_before = NOW.into();
    wrong.valid_after = (NOW + 6).into();
    wrong.value = Uint256::MAX;
    let code = |wrong: &Authorization, signature: &Signature| {
        check(&payload(wrong, &signature.to_string())).unwrap_err()
    };
    let stale = sign(&authorization(), &domain());
    assert_eq!(code(&wrong, &stale), SIGNATURE);
    assert_eq!(code(&wrong, &sign(&wrong, &domain())), RECIPIENT);
    wrong.to = pay_to();
    assert_eq!(code(&wrong, &sign(&wrong, &domain())), VALID_BEFORE);
    wrong.valid_before = (NOW + TIMEOUT).into();
    assert_eq!(code(&wrong, &sign(&wrong, &domain())), VALID_AFTER);
    wrong.valid_after = (NOW - 1).into();
    assert_eq!(code(&wrong, &sign(&wrong, &domain())), VALUE);
    wrong.value = AMOUNT.into();
    assert!(check(&payload(&wrong, &sign(&wrong, &domain()).to_string())).is_ok());
}

#[test]
fn extreme_terms_and_times_do_not_overflow() {
    let raw = signed(|_| {});
    let terms = Terms::new(domain(), pay_to(), AtomicAmount(u128::MAX), u64::MAX);
    let code = |now| verify(&raw, &terms, UnixSeconds(now)).unwrap_err().code();
    assert_eq!(code(u64::MAX), VALID_BEFORE);
    assert_eq!(code(NOW), VALUE);
    assert_eq!(code(0), VALID_AFTER);
}

#[test]
fn terms_survive_storage() {
    let text = edge402::json::to_text(&terms());
    let back: Terms = edge402::json::from_text(&text).unwrap();
    assert_eq!(back, terms());
    let raw = signed(|_| {});
    assert!(verify(&raw, &back, UnixSeconds(NOW)).is_ok());
}
