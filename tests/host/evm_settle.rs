//! What receipts and the facts before them say about payments.
use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::eip712::{self, Domain};
use edge402::evm::json_rpc::{self, BlockTag};
use edge402::evm::{
    self, Address, Authorization, Facts, Receipt, RelayerKey, Terms, Uint256, VerifiedPayment,
};
use edge402::protocol::Reason;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::eip3009;

const AUTHORIZATION_USED: &str =
    "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn token() -> Address {
    Address::new([0xaa; 20])
}

fn seller() -> Address {
    Address::new([0xbb; 20])
}

/// A payment by the payer with this number, with a nonce of these bytes.
fn payment(payer: u8, nonce: u8) -> VerifiedPayment {
    let key: RelayerKey = encode_hex(&[payer; 32]).parse().unwrap();
    let domain = Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: 84_532,
        verifying_contract: token(),
    };
    let authorization = Authorization {
        from: key.address(),
        to: seller(),
        value: 10_000_u64.into(),
        valid_after: 0_u64.into(),
        valid_before: 1_060_u64.into(),
        nonce: [nonce; 32],
    };
    let hash = eip712::transfer_with_authorization_hash(&authorization);
    let signature = key.sign_digest(&eip712::digest(&domain.separator(), &hash));
    let payload = json!({
        "signature": signature.to_string(),
        "authorization": {
            "from": authorization.from,
            "to": authorization.to,
            "value": authorization.value,
            "validAfter": authorization.valid_after,
            "validBefore": authorization.valid_before,
            "nonce": encode_hex(&authorization.nonce),
        },
    });
    let terms = Terms::new(domain, seller(), AtomicAmount(10_000), 60);
    evm::verify(&payload, &terms, UnixSeconds(1_000)).unwrap()
}

fn used(payment: &VerifiedPayment) -> Value {
    json!({
        "address": payment.asset(),
        "topics": [
            AUTHORIZATION_USED,
            encode_hex(&payment.from().to_word()),
            encode_hex(eip3009(payment).nonce()),
        ],
        "data": "0x",
        "blockNumber": "0x10",
        "logIndex": "0x0",
        "removed": false,
    })
}

fn transfer_of(asset: Address, from: Address, to: Address, value: u64) -> Value {
    json!({
        "address": asset.to_lower_hex(),
        "topics": [TRANSFER, encode_hex(&from.to_word()), encode_hex(&to.to_word())],
        "data": encode_hex(&Uint256::from(value).to_be_bytes()),
    })
}

fn transfer(payment: &VerifiedPayment) -> Value {
    transfer_of(payment.asset(), payment.from(), payment.to(), 10_000)
}

fn receipt_json(logs: &[Value]) -> Value {
    json!({
        "status": "0x1",
        "transactionHash": format!("0x{}", "12".repeat(32)),
        "blockHash": format!("0x{}", "34".repeat(32)),
        "blockNumber": "0x10",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x3b9aca00",
        "type": "0x2",
        "contractAddress": null,
        "logs": logs,
    })
}

fn receipt(logs: &[Value]) -> Receipt {
    Receipt::from_json(&receipt_json(logs)).unwrap()
}

#[test]
fn receipts_are_read() {
    let p = payment(1, 1);
    let receipt = receipt(&[used(&p), transfer(&p)]);
    assert!(receipt.succeeded);
    assert_eq!(receipt.transaction_hash, [0x12; 32]);
    assert_eq!(receipt.block_number, 16);
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(receipt.cost(), 21_000_000_000_000);
    assert_eq!(receipt.logs.len(), 2);
}

#[test]
fn answers_that_are_no_receipts_are_refused() {
    let p = payment(1, 1);
    let good = receipt_json(&[transfer(&p)]);
    for (key, value) in [
        ("status", json!("0x2")),
        ("status", json!(1)),
        ("status", json!(null)),
        ("transactionHash", json!("0x12")),
        ("blockNumber", json!(null)),
        ("gasUsed", json!(21_000)),
        ("effectiveGasPrice", json!("1")),
        ("logs", json!(null)),
        ("logs", json!([{}])),
        ("logs", json!([{ "address": token(), "topics": [TRANSFER], "data": "0x0" }])),
        ("logs", json!([{ "address": token(), "topics": ["0x"], "data": "0x" }])),
        ("logs", json!([{ "address": token(), "topics": [], "data": "0x", "removed": true }])),
    ] {
        let mut wrong = good.clone();
        wrong[key] = value.clone();
        assert_eq!(Receipt::from_json(&wrong), None, "{key} {value}");
    }
    for wrong in [Value::Null, json!([]), json!("0x"), json!({})] {
        assert_eq!(Receipt::from_json(&wrong), None, "{wrong}");
    }
    let mut silent = good;
    silent.as_object_mut().unwrap().remove("effectiveGasPrice");
    assert_eq!(Receipt::from_json(&silent).unwrap().cost(), 0);
}

#[test]
fn only_the_transfer_log_proves_a_payment() {
    let p = payment(1, 1);
    assert!(evm::transfer_happened(&receipt(&[used(&p), transfer(&p)]), &p));
    assert!(evm::transfer_happened(&receipt(&[transfer(&p)]), &p));
    let other = Address::new([0xcc; 20]);
    for (what, logs) in [
        ("no logs", vec![]),
        ("used, no transfer", vec![used(&p)]),
        ("another token", vec![transfer_of(other, p.from(), p.to(), 10_000)]),
        ("another payer", vec![transfer_of(token(), other, p.to(), 10_000)]),
        ("another payee", vec![transfer_of(token(), p.from(), other, 10_000)]),
        ("less", vec![transfer_of(token(), p.from(), p.to(), 9_999)]),
        ("more", vec![transfer_of(token(), p.from(), p.to(), 10_001)]),
        ("another nonce", vec![used(&payment(1, 2)), transfer(&p)]),
        ("transfer before use", vec![transfer(&p), used(&p)]),
    ] {
        assert!(!evm::transfer_happened(&receipt(&logs), &p), "{what}");
    }
    let mut reverted = receipt(&[used(&p), transfer(&p)]);
    reverted.succeeded = false;
    assert!(!evm::transfer_happened(&reverted, &p));
    assert!(!evm::authorization_transferred(&reverted, &p, 1));
}

#[test]
fn batches_pair_logs_with_payments() {
    // Three payments that differ in nothing but the nonce, and one by another.
    let (a, b, c, d) = (payment(1, 1), payment(1, 2), payment(1, 3), payment(2, 1));
    let all = [&a, &b, &c, &d];
    let paid = |logs: &[Value]| evm::paid(&receipt(logs), &all);
    let made = |p: &VerifiedPayment| [used(p), transfer(p)];
    assert_eq!(paid(&[made(&a), made(&b), made(&c), made(&d)].concat()), [true; 4]);
    assert_eq!(paid(&[made(&a), made(&c)].concat()), [true, false, true, false]);
    assert_eq!(paid(&[made(&c), made(&d)].concat()), [false, false, true, true]);
    assert_eq!(paid(&[]), [false; 4]);
    // b's authorization was used without a transfer; c's transfer is c's.
    let logs = [vec![used(&b)], made(&c).to_vec()].concat();
    assert_eq!(paid(&logs), [false, false, true, false]);
    // A log of something else between the two is no matter.
    let noise = json!({ "address": seller(), "topics": [], "data": "0x" });
    assert_eq!(paid(&[used(&a), noise, transfer(&a)]), [true, false, false, false]);
    // One payment listed twice is paid once.
    assert_eq!(evm::paid(&receipt(&made(&a)), &[&a, &a]), [true, false]);
}

#[test]
fn tokens_without_authorization_used_have_their_transfers_counted() {
    let (a, b, c, d) = (payment(1, 1), payment(1, 2), payment(1, 3), payment(2, 1));
    let all = [&a, &b, &c, &d];
    let paid = |logs: &[Value]| evm::paid(&receipt(logs), &all);
    let same = || transfer(&a);
    assert_eq!(paid(&[same(), same(), same(), transfer(&d)]), [true; 4]);
    assert_eq!(paid(&[same(), same()]), [true, true, false, false]);
    assert_eq!(paid(&[transfer(&d)]), [false, false, false, true]);
    // Another token's events are not this token's.
    let mut foreign = used(&a);
    foreign["address"] = json!(seller());
    assert_eq!(paid(&[foreign, same()]), [true, false, false, false]);
}

#[test]
fn in_a_strangers_transaction_one_transfer_pays_one_authorization() {
    let (a, b) = (payment(1, 1), payment(1, 2));
    // The buyer's own transaction: a's authorization pays the seller, b's
    // nonce goes to the buyer's friend by another function of the token.
    let friend = transfer_of(token(), b.from(), Address::new([9; 20]), 10_000);
    for logs in [
        vec![used(&b), friend.clone(), used(&a), transfer(&a)],
        vec![used(&a), transfer(&a), used(&b), friend],
    ] {
        let receipt = receipt(&logs);
        assert!(evm::authorization_transferred(&receipt, &a, 1));
        assert!(!evm::authorization_transferred(&receipt, &b, 1));
    }
    // A transfer alone says nothing about the authorization.
    assert!(!evm::authorization_transferred(&receipt(&[transfer(&a)]), &a, 1));
}

#[test]
fn facts_name_the_most_telling_code() {
    let p = payment(1, 1);
    let code = |nonce_used, balance: Option<u64>, simulated| {
        let facts = Facts {
            nonce_used,
            balance: balance.map(Into::into),
            missing: None,
            simulated,
            revert_reason: None,
        };
        evm::refusal(&facts, &p).map(Reason::code)
    };
    let used = Some("invalid_exact_evm_nonce_already_used");
    let funds = Some("insufficient_funds");
    let failed = Some("invalid_exact_evm_transaction_simulation_failed");
    assert_eq!(code(Some(false), Some(10_000), true), None);
    assert_eq!(code(Some(true), Some(0), false), used);
    assert_eq!(code(Some(true), Some(10_000), true), used);
    assert_eq!(code(Some(false), Some(9_999), false), funds);
    assert_eq!(code(Some(false), Some(9_999), true), funds);
    assert_eq!(code(Some(false), Some(10_000), false), failed);
    assert_eq!(code(None, Some(9_999), true), funds);
    assert_eq!(code(None, Some(10_000), true), failed);
    assert_eq!(code(Some(false), None, true), failed);
    assert_eq!(code(None, None, false), failed);
}

#[test]
fn log_filter_names_payer_and_nonce() {
    let p = payment(1, 1);
    let params = p.trace(255, BlockTag::Latest);
    let used = &used(&p)["topics"];
    // viem's toEventSelector('AuthorizationCanceled(address,bytes32)').
    let canceled = "0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81";
    assert_eq!(params[0]["topics"], json!([[used[0], canceled], used[1], used[2]]));
    assert_eq!(params[0]["fromBlock"], "0xff");
    assert_eq!(params[0]["address"], json!(token()));
    let call = p.call();
    let params = json_rpc::call_params(seller(), &call, BlockTag::Pending);
    assert_eq!(params[0]["data"], encode_hex(&call.data));
    assert_eq!(params[1], "pending");
}

#[test]
fn answers_that_are_too_few_say_nothing() {
    let payment = payment(1, 1);
    let unused = Ok(vec![0; 32]);
    let rich = Ok(vec![0xff; 32]);
    let all = vec![unused, rich, Ok(vec![])];
    assert_eq!(evm::refusal(&payment.read_preview(all.clone()), &payment), None);
    for count in 0..all.len() {
        // The last of them would pass for the simulation's.
        let facts = payment.read_preview(all[..count].to_vec());
        assert!(!facts.simulated, "{count}");
        assert_eq!(facts.balance, None, "{count}");
    }
    let more = [&all[..], &all[..1]].concat();
    assert!(!payment.read_preview(more).simulated);
}
