//! What viem makes of the same input (`tests/data/make-evm-vectors.mjs`).
use edge402::amount::AtomicAmount;
use edge402::encoding::{decode_hex, decode_hex_bytes, encode_hex};
use edge402::evm::abi::{self, CallResult};
use edge402::evm::eip712::{self, Domain};
use edge402::evm::{
    self, Address, Authorization, Fees, RelayerKey, Signature, Terms, Transaction, Uint256,
    VerifiedPayment,
};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::eip3009;

fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/data/evm/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value, key: &str) -> T {
    text(value, key).parse().unwrap()
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    decode_hex_bytes(text(value, key), 1 << 20).unwrap()
}

fn domain(value: &Value) -> Domain {
    Domain {
        name: text(value, "name").into(),
        version: text(value, "version").into(),
        chain_id: parse(value, "chainId"),
        verifying_contract: parse(value, "verifyingContract"),
    }
}

fn authorization(value: &Value) -> Authorization {
    Authorization {
        from: parse(value, "from"),
        to: parse(value, "to"),
        value: parse(value, "value"),
        valid_after: parse(value, "validAfter"),
        valid_before: parse(value, "validBefore"),
        nonce: decode_hex(text(value, "nonce")).unwrap(),
    }
}

/// The payments of `calls.json`, each through `verify`.
fn payments(calls: &Value) -> Vec<VerifiedPayment> {
    let terms = Terms::new(
        domain(&calls["domain"]),
        parse(calls, "payTo"),
        AtomicAmount(10_000),
        parse(calls, "maxTimeoutSeconds"),
    );
    let now = UnixSeconds(parse(calls, "now"));
    list(calls, "payments")
        .iter()
        .map(|payment| {
            let payload = json!({
                "signature": payment["signature"],
                "authorization": payment["authorization"],
            });
            evm::verify(&payload, &terms, now).unwrap()
        })
        .collect()
}

#[test]
fn addresses_have_viems_checksums_and_keys() {
    for vector in vectors("addresses").as_array().unwrap() {
        let address: Address = parse(vector, "address");
        assert_eq!(address.to_string(), text(vector, "address"));
        assert_eq!(parse::<RelayerKey>(vector, "key").address(), address);
        // Turning the case of any one letter breaks the checksum, unless no
        // letter of the other case is left.
        for (at, letter) in text(vector, "address").char_indices().skip(2) {
            let mut other = text(vector, "address").to_owned();
            let turned = if letter.is_ascii_lowercase() {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            };
            other.replace_range(at..=at, &turned.to_string());
            let one_case = other == other.to_ascii_lowercase()
                || other[2..] == other[2..].to_ascii_uppercase();
            let fine = letter.is_ascii_digit() || one_case;
            assert_eq!(other.parse::<Address>().is_ok(), fine, "{other}");
        }
    }
}

#[test]
fn typed_data_has_viems_digests_and_signatures() {
    let mut seen = 0;
    for token in vectors("typed-data").as_array().unwrap() {
        let separator = domain(&token["domain"]).separator();
        assert_eq!(encode_hex(&separator), text(token, "separator"));
        for vector in list(token, "authorizations") {
            let authorization = authorization(&vector["authorization"]);
            let hash = eip712::transfer_with_authorization_hash(&authorization);
            let digest = eip712::digest(&separator, &hash);
            assert_eq!(encode_hex(&digest), text(vector, "digest"));
            let signature: Signature = parse(vector, "signature");
            assert_eq!(signature.recover(&digest), Some(authorization.from));
            assert_eq!(parse::<RelayerKey>(vector, "key").sign_digest(&digest), signature);
            seen += 1;
        }
    }
    assert_eq!(seen, 32);
}

type Build = fn(&[&VerifiedPayment], Address) -> evm::Call;

#[test]
fn calldata_is_viems() {
    let calls = vectors("calls");
    let token = domain(&calls["domain"]).verifying_contract;
    let payments = payments(&calls);
    for (payment, vector) in payments.iter().zip(list(&calls, "payments")) {
        let call = payment.call();
        assert_eq!(call.to, token);
        assert_eq!(call.data, bytes(vector, "transferWithAuthorization"));
        let state = abi::authorization_state(payment.from(), eip3009(payment).nonce());
        assert_eq!(state, bytes(vector, "authorizationState"));
        assert_eq!(abi::balance_of(payment.from()), bytes(vector, "balanceOf"));
    }
    let multicall3: Address = parse(&calls, "multicall3");
    assert_eq!(multicall3, evm::MULTICALL3);
    let refs: Vec<_> = payments.iter().collect();
    for (key, build) in [
        ("batches", evm::batch_call as Build),
        ("estimates", evm::batch_estimate_call),
        ("checks", evm::check_call),
    ] {
        for vector in list(&calls, key) {
            let count: usize = parse(vector, "count");
            let call = build(&refs[..count], multicall3);
            assert_eq!(call.to, multicall3);
            assert_eq!(encode_hex(&call.data), text(vector, "data"), "{key} {count}");
        }
    }
}

#[test]
fn returned_data_reads_as_viem_wrote_it() {
    let results = vectors("results");
    for vector in list(&results, "aggregates") {
        let expected: Vec<_> = list(vector, "results")
            .iter()
            .map(|result| CallResult {
                success: result["success"].as_bool().unwrap(),
                return_data: bytes(result, "returnData"),
            })
            .collect();
        let data = bytes(vector, "data");
        assert_eq!(abi::decode_aggregate3(&data, expected.len()).unwrap(), expected);
        assert_eq!(abi::decode_aggregate3(&data, expected.len() + 1), None);
    }
    let payment = &payments(&vectors("calls"))[0];
    for vector in list(&results, "checks") {
        let facts = &evm::read_check(&bytes(vector, "data"), &[payment]).unwrap()[0];
        assert_eq!(facts.nonce_used, vector["nonceUsed"].as_bool());
        let balance = vector["balance"].as_str().map(|text| text.parse::<Uint256>().unwrap());
        assert_eq!(facts.balance, balance);
        assert_eq!(facts.simulated, vector["simulated"].as_bool().unwrap());
        assert_eq!(facts.revert_reason.as_deref(), vector["revertReason"].as_str());
        assert_eq!(evm::read_check(&bytes(vector, "data"), &[payment, payment]), None);
    }
    for vector in list(&results, "bools") {
        assert_eq!(abi::decode_bool(&bytes(vector, "data")), vector["value"].as_bool());
    }
    for vector in list(&results, "uints") {
        let value = abi::decode_uint256(&bytes(vector, "data")).unwrap();
        assert_eq!(value.to_string(), text(vector, "value"));
    }
    for vector in list(&results, "errors") {
        let reason = evm::revert_reason(&bytes(vector, "data"));
        assert_eq!(reason.as_deref(), Some(text(vector, "text")));
    }
}

#[test]
fn transactions_are_viems_to_the_byte() {
    let vectors = vectors("transactions");
    let key: RelayerKey = parse(&vectors, "key");
    assert_eq!(key.address().to_string(), text(&vectors, "address"));
    for vector in list(&vectors, "transactions") {
        let fees = Fees {
            max_fee_per_gas: parse(vector, "maxFeePerGas"),
            max_priority_fee_per_gas: parse(vector, "maxPriorityFeePerGas"),
        };
        let transaction = Transaction::new(
            parse(vector, "chainId"),
            parse(vector, "nonce"),
            fees,
            parse(vector, "gasLimit"),
            evm::Call { to: parse(vector, "to"), data: bytes(vector, "data") },
        );
        assert_eq!(encode_hex(&transaction.signing_hash()), text(vector, "signingHash"));
        let signed = transaction.sign(&key);
        assert_eq!(encode_hex(&signed.raw), text(vector, "raw"));
        assert_eq!(encode_hex(&signed.hash), text(vector, "hash"));
    }
}
