//! Whatever comes in, an answer comes out: a panic would end the isolate for
//! every visitor.
use edge402::amount::AtomicAmount;
use edge402::evm::abi::{self, Call3};
use edge402::evm::{
    self, Address, Call, Domain, ExactEvmPayload, Fees, Receipt, RelayerKey, Signature, Terms,
    TipLimits, Transaction, TransferMethod, Uint256,
};
use edge402::time::UnixSeconds;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::{evm_support, permit2_support};

fn terms(amount: u128, timeout: u64) -> Terms {
    let domain = Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: 84_532,
        verifying_contract: Address::new([1; 20]),
    };
    Terms::new(domain, Address::new([2; 20]), AtomicAmount(amount), timeout)
}

/// Texts that get past the first check now and then.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".*",
        "0x[0-9a-fA-F]{0,140}",
        "0x[0-9a-f]{40}",
        "0x[0-9a-f]{64}",
        "0x[0-9a-f]{128}(00|01|1b|1c)",
        "0x[0-9a-f]{64}[0-7][0-9a-f]{63}(00|01|1b|1c)",
        "[0-9]{1,80}",
        "0x[0-9a-f]{1,34}",
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((".{0,8}", inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Objects with these members, each of which may be anything.
fn object(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec(prop_oneof![3 => text().prop_map(Value::from), 1 => json()], keys.len()).prop_map(
        |values| {
            let entries = keys.iter().map(|key| (*key).to_owned()).zip(values);
            entries.collect::<serde_json::Map<_, _>>().into()
        },
    )
}

const AUTHORIZATION: &[&str] = &["from", "to", "value", "validAfter", "validBefore", "nonce"];
const PERMIT: &[&str] = &["from", "spender", "nonce", "deadline", "permitted", "witness"];
const APPROVAL: &[&str] =
    &["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];
const RECEIPT: &[&str] =
    &["status", "transactionHash", "blockNumber", "gasUsed", "effectiveGasPrice"];
const LOG: &[&str] = &["address", "data", "topics"];

fn raw(value: &Value) -> Value {
    value.clone()
}

proptest! {
    #[test]
    fn verify_answers(
        signature in text(),
        authorization in object(AUTHORIZATION),
        anything in json(),
        (amount, timeout, now) in any::<(u128, u64, u64)>(),
    ) {
        let terms = terms(amount, timeout);
        let payload = serde_json::json!({
            "signature": signature,
            "authorization": authorization,
        });
        for payload in [payload, anything] {
            let answer = evm::verify(&raw(&payload), &terms, UnixSeconds(now));
            prop_assert!(answer.is_err());
        }
    }

    /// A readable payload from anyone but a payer is a wrong signature, and
    /// nothing gets past it.
    #[test]
    fn made_up_signatures_never_verify(
        rs in "[0-9a-f]{64}[0-7][0-9a-f]{63}(00|01|1b|1c)",
        from in any::<[u8; 20]>(),
        nonce in any::<[u8; 32]>(),
    ) {
        let payload = serde_json::json!({
            "signature": format!("0x{rs}"),
            "authorization": {
                "from": Address::new(from),
                "to": Address::new([2; 20]),
                "value": "1",
                "validAfter": "0",
                "validBefore": "1030",
                "nonce": edge402::encoding::encode_hex(&nonce),
            },
        });
        let payload = raw(&payload);
        prop_assert!(ExactEvmPayload::read(&payload).is_ok());
        let code = evm::verify(&payload, &terms(1, 60), UnixSeconds(1_000)).unwrap_err().code();
        prop_assert_eq!(code, "invalid_exact_evm_payload_signature");
    }

    #[test]
    fn texts_are_read_or_refused(text in text()) {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_lower_hex(), text.to_lowercase());
        }
        if let Ok(number) = text.parse::<Uint256>() {
            prop_assert_eq!(number.to_string(), text.as_str());
        }
        if let Ok(signature) = text.parse::<Signature>() {
            let again = signature.to_string().parse();
            prop_assert_eq!(again, Ok(signature));
            let _ = signature.recover(&[7; 32]);
        }
        let _ = text.parse::<RelayerKey>();
        let value = Value::from(text);
        let _ = evm::json_rpc::parse_quantity(&value);
        let _ = evm::json_rpc::parse_data(&value, 64);
        let _ = evm::json_rpc::parse_hash(&value);
    }

    #[test]
    fn numbers_write_and_read_back(bytes in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let number = Uint256::from_be_bytes(bytes);
        let text = number.to_string();
        prop_assert_eq!(text.parse(), Ok(number));
        let second = Uint256::from_be_bytes(other).to_string();
        let by_text = (text.len(), text).cmp(&(second.len(), second));
        prop_assert_eq!(number.cmp(&Uint256::from_be_bytes(other)), by_text);
    }

    #[test]
    fn returned_data_is_read_or_refused(data in vec(any::<u8>(), 0..512), count in 0..8_usize) {
        let _ = abi::decode_aggregate3(&data, count);
        let payment = evm_support::check(&evm_support::signed(|_| {})).unwrap();
        let _ = evm::read_check(&data, &vec![&payment; count]);
        let _ = abi::decode_uint256(&data);
        let _ = abi::decode_bool(&data);
        let _ = evm::revert_reason(&data);
        let _ = evm::revert_reason(&[&[0x08, 0xc3, 0x79, 0xa0], &data[..]].concat());
    }

    /// Words of small numbers, as lengths and offsets are.
    #[test]
    fn lengths_that_lie_are_refused(words in vec(0..200_u64, 0..24), huge in any::<u64>(), at in 0..24_usize) {
        let mut words: Vec<Uint256> = words.into_iter().map(Into::into).collect();
        if let Some(word) = words.get_mut(at) {
            *word = huge.into();
        }
        let data: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        for count in 0..4 {
            let _ = abi::decode_aggregate3(&data, count);
        }
        let _ = evm::revert_reason(&[&[0x08, 0xc3, 0x79, 0xa0], &data[..]].concat());
    }

    #[test]
    fn receipts_are_read_or_refused(
        mut receipt in object(RECEIPT),
        logs in vec(object(LOG), 0..3),
        anything in json(),
    ) {
        let _ = Receipt::from_json(&receipt);
        receipt["logs"] = logs.into();
        let _ = Receipt::from_json(&receipt);
        let _ = Receipt::from_json(&anything);
    }

    #[test]
    fn everything_can_be_written(
        (chain_id, nonce, gas_limit) in any::<(u64, u64, u64)>(),
        (base_fee, tip) in any::<(u128, u128)>(),
        to in any::<[u8; 20]>(),
        data in vec(any::<u8>(), 0..600),
    ) {
        let key: RelayerKey = format!("0x{}", "11".repeat(32)).parse().unwrap();
        let fees = Fees::from_market(base_fee, &[tip], TipLimits::of_chain(chain_id, None)).bumped();
        let call = Call { to: Address::new(to), data };
        let calls = [Call3 { target: call.to, allow_failure: true, call_data: call.data.clone() }];
        prop_assert_eq!((abi::aggregate3(&calls).len() - 4) % 32, 0);
        prop_assert!(fees.max_priority_fee_per_gas <= fees.max_fee_per_gas);
        let signed = Transaction::new(chain_id, nonce, fees, gas_limit, call).sign(&key);
        prop_assert_eq!(signed.raw[0], 2);
        prop_assert_eq!(signed.hash, evm::keccak256(&signed.raw));
    }

    #[test]
    fn payloads_by_permit2(
        signature in text(),
        mut permit in object(PERMIT),
        permitted in object(&["token", "amount"]),
        witness in object(&["to", "validAfter"]),
        approval in object(APPROVAL),
        now in any::<u64>(),
    ) {
        let terms = terms(1, 60).by(TransferMethod::Permit2).with_permits(true);
        let check = |payload: &Value| {
            let _ = evm::verify(payload, &terms, UnixSeconds(now));
            let _ = evm::check(payload, &terms, UnixSeconds(now));
        };
        let whole = |permit: &Value| serde_json::json!({
            "signature": signature, "permit2Authorization": permit,
            "eip2612GasSponsoring": approval,
        });
        check(&whole(&permit));
        permit["permitted"] = permitted;
        permit["witness"] = witness;
        check(&whole(&permit));
        // Signed well, with anything beside it.
        let mut signed = permit2_support::signed(|_| {});
        signed["eip2612GasSponsoring"] = approval.clone();
        let _ = evm::check(&signed, &permit2_support::terms(), UnixSeconds(now));
    }

    #[test]
    fn what_is_said_of_a_payment_by_permit2(
        noise in vec(any::<u8>(), 0..700),
        at in 0_usize..400,
        log in object(LOG),
        answers in vec(vec(any::<u8>(), 0..40), 0..7),
    ) {
        let payment = permit2_support::check(&permit2_support::signed(|_| {})).unwrap();
        let mut calldata = payment.call().data;
        prop_assert!(payment.named_in(&[&noise[..], &calldata].concat()).len() == 1);
        calldata.truncate(at);
        let _ = payment.named_in(&[&noise[..], &calldata, &noise].concat());
        let _ = payment.clue(&log);
        let _ = payment.read_used(&noise);
        let facts = payment.read_preview(answers.into_iter().map(Ok).collect());
        let _ = evm::refusal(&facts, &payment);
    }
}
