//! Bytes that are not exactly one transaction.

use crate::solana_support::*;
use edge402::encoding::encode_base64;
use edge402::solana::verify;

const UNDECODABLE: &str = "transaction_could_not_be_decoded";

fn both() -> [Draft; 2] {
    [true, false].map(|versioned| Draft { versioned, ..draft() })
}

#[test]
fn cut_short_anywhere() {
    for draft in both() {
        let whole = draft.transaction();
        assert_eq!(outcome(&whole, &terms()), "ok");
        for end in 0..whole.len() {
            assert_eq!(outcome(&whole[..end], &terms()), UNDECODABLE, "{end} bytes");
        }
    }
}

#[test]
fn bytes_left_over() {
    for draft in both() {
        for more in [&[0][..], &[1], &[0, 0], &[0xff; 64]] {
            let bytes = [&draft.transaction()[..], more].concat();
            assert_eq!(outcome(&bytes, &terms()), UNDECODABLE);
            // Signed with the leftovers, and so nobody's accident.
            let message = [&draft.message().bytes()[..], more].concat();
            let bytes = transaction(&message, &[fee_payer(), payer()]);
            assert_eq!(outcome(&bytes, &terms()), UNDECODABLE);
        }
    }
}

#[test]
fn one_thing_wrong_with_the_message() {
    type Change = fn(&mut RawMessage);
    let keys = u8::try_from(draft().message().keys.len()).unwrap();
    assert_eq!(keys, 8, "the indexes below");
    let changes: &[(&str, Change)] = &[
        ("version 1", |m| m.prefix = Some(0x81)),
        ("version 127", |m| m.prefix = Some(0xff)),
        ("a lookup table", |m| m.lookups = Some([&[1][..], &[8; 32], &[1, 0, 0]].concat())),
        ("an empty lookup table", |m| m.lookups = Some([&[1][..], &[8; 32], &[0, 0]].concat())),
        ("no list of lookup tables", |m| m.lookups = Some(vec![])),
        ("lookup tables in three bytes", |m| m.lookups = Some(vec![0x80, 0x80, 0])),
        ("no signers", |m| m.header = [0, 0, 3]),
        ("more signers than keys", |m| m.header = [9, 0, 0]),
        ("all signers read-only", |m| m.header = [2, 2, 3]),
        ("more read-only than there are", |m| m.header = [2, 1, 7]),
        ("no keys", |m| m.keys.clear()),
        ("a repeated key", |m| m.keys[7] = m.keys[2]),
        ("the fee payer twice", |m| m.keys[7] = m.keys[0]),
        ("program index past the keys", |m| m.instructions[3].program = 8),
        ("program index 255", |m| m.instructions[0].program = 255),
        ("the fee payer as a program", |m| m.instructions[3].program = 0),
        ("account index past the keys", |m| m.instructions[2].accounts[0] = 8),
        ("account index 255", |m| m.instructions[3].accounts.push(255)),
    ];
    for draft in both() {
        for (name, change) in changes {
            let mut message = draft.message();
            change(&mut message);
            let bytes = message.bytes();
            let bytes = transaction(&bytes, &[fee_payer(), payer()]);
            // Where a legacy message ends, there is no list to miss.
            let legacy_has_none = !draft.versioned && message.lookups == Some(vec![]);
            let expected = if legacy_has_none { "ok" } else { UNDECODABLE };
            assert_eq!(outcome(&bytes, &terms()), expected, "{name}");
        }
    }
}

#[test]
fn as_many_signatures_as_signers() {
    let message = draft().message().bytes();
    for signers in [&[][..], &[fee_payer()], &[fee_payer(), payer(), payer()]] {
        assert_eq!(outcome(&transaction(&message, signers), &terms()), UNDECODABLE);
    }
    // An absent signature is 64 zeros, not no signature.
    let only_the_payers = transaction(&message, &[fee_payer(), payer()])[65..].to_vec();
    assert_eq!(outcome(&[&[1][..], &only_the_payers].concat(), &terms()), UNDECODABLE);
}

#[test]
fn lengths_are_spelled_shortest() {
    let bytes = draft().transaction();
    let keys_at = 1 + 128 + 4;
    let instructions_at = keys_at + 1 + 8 * 32 + 32;
    for (at, length) in [(0, 2), (keys_at, 8), (instructions_at, 4), (bytes.len() - 1, 0)] {
        assert_eq!(bytes[at], length);
        for longer in [&[length | 0x80, 0][..], &[length | 0x80, 0x80, 0]] {
            let changed = [&bytes[..at], longer, &bytes[at + 1..]].concat();
            assert_eq!(outcome(&changed, &terms()), UNDECODABLE);
        }
    }
}

#[test]
fn at_most_1232_bytes() {
    let with_memo = |length: usize| {
        let mut draft = draft();
        draft.instructions[3] = memo(&"m".repeat(length));
        draft.transaction()
    };
    let fits = 1232 - (with_memo(200).len() - 200);
    assert_eq!(with_memo(fits).len(), 1232);
    assert_eq!(outcome(&with_memo(fits), &terms()), "ok");
    assert_eq!(outcome(&with_memo(fits + 1), &terms()), UNDECODABLE);
    assert_eq!(outcome(&vec![0; 1 << 16], &terms()), UNDECODABLE);
}

#[test]
fn base64_has_one_spelling() {
    let text = encode_base64(&draft().transaction());
    let verified = |text: &str| {
        let json = serde_json::json!({ "transaction": text }).to_string();
        verify(&edge402::json::parse(&json).unwrap(), &terms())
            .map(|_| ())
            .map_err(edge402::protocol::Reason::code)
    };
    assert_eq!(verified(&text), Ok(()));
    let undecodable = Err("invalid_exact_svm_payload_transaction_could_not_be_decoded");
    for wrong in ["", "!", &format!(" {text}"), &format!("{text}\n"), &format!("{text}AAAA")] {
        assert_eq!(verified(wrong), undecodable, "{wrong:.20}");
    }
}

#[test]
fn the_payload_is_one_transaction() {
    let text = encode_base64(&draft().transaction());
    for json in [
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!("\"{text}\""),
        "{\"transaction\":null}".to_owned(),
        "{\"transaction\":7}".to_owned(),
        format!("{{\"transaction\":[\"{text}\"]}}"),
        format!("{{\"Transaction\":\"{text}\"}}"),
        "{\"settleSecretKey\":\"a\",\"transactionSignature\":\"b\"}".to_owned(),
    ] {
        let refusal = verify(&edge402::json::parse(&json).unwrap(), &terms()).unwrap_err();
        assert_eq!(refusal.code(), "invalid_payload");
    }
    let twice = format!("{{\"transaction\":\"{text}\",\"transaction\":\"{text}\"}}");
    assert!(edge402::json::parse(&twice).is_err());
}

#[test]
fn what_else_is_in_the_payload_changes_nothing() {
    let text = encode_base64(&draft().transaction());
    let identity = |json: String| {
        verify(&edge402::json::parse(&json).unwrap(), &terms()).map(|payment| payment.identity())
    };
    let plain = identity(format!("{{\"transaction\":\"{text}\"}}"));
    assert!(plain.is_ok());
    for more in ["\"more\":1", "\"signature\":null", "\"a\":{\"transaction\":\"x\"}"] {
        assert_eq!(identity(format!("{{{more},\"transaction\":\"{text}\"}}")), plain, "{more}");
    }
}
