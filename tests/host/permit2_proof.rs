//! What logs and calldata prove of payments by Permit2: each log of one payment
//! at most, whatever a payer puts into a transaction.

use edge402::encoding::encode_hex;
use edge402::evm::transfer::permit2::PERMIT2;
use edge402::evm::{self, Clue, MULTICALL3, Receipt, Uint256, VerifiedPayment, keccak256};
use serde_json::{Value, json};

use crate::evm_support::{self, AMOUNT, eip3009};
use crate::permit2_support::{check, other, permit2, signed};

/// A payment by Permit2 with this nonce.
fn payment(nonce: u64) -> VerifiedPayment {
    check(&signed(|a| a.nonce = nonce.into())).unwrap()
}

/// A payment by EIP-3009 between the same two, of the same amount.
fn authorized() -> VerifiedPayment {
    evm_support::check(&evm_support::signed(|_| {})).unwrap()
}

fn topic(event: &str) -> String {
    encode_hex(&keccak256(event.as_bytes()))
}

fn transfer(payment: &VerifiedPayment, amount: u128) -> Value {
    json!({
        "address": payment.asset(),
        "topics": [
            topic("Transfer(address,address,uint256)"),
            encode_hex(&payment.from().to_word()),
            encode_hex(&payment.to().to_word()),
        ],
        "data": encode_hex(&Uint256::from(amount).to_be_bytes()),
    })
}

fn moved(payment: &VerifiedPayment) -> Value {
    transfer(payment, AMOUNT)
}

fn used(payment: &VerifiedPayment) -> Value {
    json!({
        "address": payment.asset(),
        "topics": [
            topic("AuthorizationUsed(address,bytes32)"),
            encode_hex(&payment.from().to_word()),
            encode_hex(eip3009(payment).nonce()),
        ],
        "data": "0x",
    })
}

/// x402's contract says no more than that.
fn settled() -> Value {
    json!({
        "address": evm::transfer::permit2::EXACT_PROXY,
        "topics": [topic("Settled()")],
        "data": "0x",
    })
}

fn receipt(logs: &[Value]) -> Receipt {
    Receipt::from_json(&json!({
        "status": "0x1",
        "transactionHash": format!("0x{}", "12".repeat(32)),
        "blockNumber": "0x10",
        "gasUsed": "0x5208",
        "logs": logs,
    }))
    .unwrap()
}

fn batch(payments: &[&VerifiedPayment]) -> Vec<u8> {
    evm::batch_call(payments, MULTICALL3).data
}

#[test]
fn our_own_transaction_pays_by_its_transfer() {
    let p = payment(1);
    assert!(evm::transfer_happened(&receipt(&[moved(&p), settled()]), &p));
    for logs in [
        vec![],
        vec![settled()],
        vec![transfer(&p, AMOUNT - 1), settled()],
        vec![transfer(&p, AMOUNT + 1), settled()],
    ] {
        assert!(!evm::transfer_happened(&receipt(&logs), &p), "{logs:?}");
    }
    let mut elsewhere = moved(&p);
    elsewhere["address"] = json!(other());
    assert!(!evm::transfer_happened(&receipt(&[elsewhere]), &p), "another token");
}

#[test]
fn in_a_mixed_batch_each_takes_its_own_log() {
    let (p, e) = (payment(1), authorized());
    let both = receipt(&[used(&e), moved(&e), moved(&p), settled()]);
    assert_eq!(evm::paid(&both, &[&e, &p]), [true, true]);
    assert_eq!(evm::paid(&both, &[&p, &e]), [true, true]);
    let permit_first = receipt(&[moved(&p), settled(), used(&e), moved(&e)]);
    assert_eq!(evm::paid(&permit_first, &[&p, &e]), [true, true]);
    // What the other one did proves nothing.
    let only_e = receipt(&[used(&e), moved(&e)]);
    assert_eq!(evm::paid(&only_e, &[&p, &e]), [false, true]);
    assert_eq!(evm::paid(&only_e, &[&e, &p]), [true, false]);
}

#[test]
fn payments_that_no_log_tells_apart_are_known() {
    let p = payment(1);
    assert!(p.is_alike(&payment(2)));
    // Some tokens emit no AuthorizationUsed.
    assert!(p.is_alike(&authorized()) && authorized().is_alike(&p));
    assert!(!authorized().is_alike(&authorized()));
}

#[test]
fn anybodys_transaction_pays_if_its_calldata_names_the_payment() {
    let (p, q) = (payment(1), payment(2));
    let paid = receipt(&[moved(&p), settled()]);
    let by =
        |receipt: &Receipt, calldata: &[u8]| evm::authorization_transferred(receipt, &p, calldata);
    assert!(by(&paid, &p.call().data), "sent as it is");
    assert!(by(&paid, &batch(&[&p])), "copied from a batch");
    let wrapped = [&[0xde, 0xad, 0xbe][..], &p.call().data, &[0; 7]].concat();
    assert!(by(&paid, &wrapped), "by some contract, at an odd place");
    // The transfer is there, and was made for something else.
    assert!(!by(&paid, &[]), "a plain transfer");
    assert!(!by(&paid, &q.call().data), "another nonce");
    assert!(!by(&paid, &p.call().data[..4 + 5 * 32]), "cut off");
    assert!(!by(&receipt(&[settled()]), &p.call().data), "named, and failed");
    let mut reverted = paid.clone();
    reverted.succeeded = false;
    assert!(!by(&reverted, &p.call().data));
}

#[test]
fn one_transfer_pays_for_one_nonce() {
    // A payer takes nonce 1 back, names both, and pays once.
    let (p, q, e) = (payment(1), payment(2), authorized());
    let once = receipt(&[moved(&p), settled()]);
    let named = batch(&[&p, &q]);
    for it in [&p, &q] {
        assert!(!evm::authorization_transferred(&once, it, &named));
    }
    let twice = receipt(&[moved(&p), settled(), moved(&q), settled()]);
    for it in [&p, &q] {
        assert!(evm::authorization_transferred(&twice, it, &named));
    }
    // The same nonce named twice is one payment.
    assert!(evm::authorization_transferred(&once, &p, &batch(&[&p, &p])));
    // A payment by EIP-3009 in the same transaction is not this one.
    let authorized = receipt(&[used(&e), moved(&e), settled()]);
    assert!(evm::authorization_transferred(&authorized, &e, &batch(&[&p, &e])));
    assert!(!evm::authorization_transferred(&authorized, &p, &batch(&[&p, &e])));
    let both = receipt(&[used(&e), moved(&e), moved(&p), settled()]);
    assert!(evm::authorization_transferred(&both, &e, &batch(&[&p, &e])));
    assert!(evm::authorization_transferred(&both, &p, &batch(&[&p, &e])));
}

#[test]
fn logs_lead_to_who_used_it() {
    let p = payment(0xf309);
    let filter = p.trace(17);
    assert_eq!(filter[0]["address"], json!([p.asset(), PERMIT2]));
    assert_eq!(filter[0]["fromBlock"], "0x11");
    assert_eq!(filter[0]["topics"][1], encode_hex(&p.from().to_word()));
    assert_eq!(p.clue(&moved(&p)), Clue::Calldata);
    assert_eq!(p.clue(&transfer(&p, 1)), Clue::None);
    // Its owner takes 256 nonces of a word back, or some of them.
    let taken_back = |word: u64, mask: Uint256| {
        json!({
            "address": PERMIT2,
            "topics": [
                topic("UnorderedNonceInvalidation(address,uint256,uint256)"),
                encode_hex(&p.from().to_word()),
            ],
            "data": encode_hex(&[
                Uint256::from(word).to_be_bytes(),
                mask.to_be_bytes(),
            ].concat()),
        })
    };
    assert_eq!(permit2(&p).nonce(), 0xf309_u64.into());
    assert_eq!(p.clue(&taken_back(0xf3, Uint256::MAX)), Clue::Certain);
    assert_eq!(p.clue(&taken_back(0xf3, 512_u64.into())), Clue::Certain);
    assert_eq!(p.clue(&taken_back(0xf3, 256_u64.into())), Clue::None);
    assert_eq!(p.clue(&taken_back(0xf4, Uint256::MAX)), Clue::None);
    let mut of_another = taken_back(0xf3, Uint256::MAX);
    of_another["topics"][1] = json!(encode_hex(&other().to_word()));
    assert_eq!(p.clue(&of_another), Clue::None);
    let mut by_another = taken_back(0xf3, Uint256::MAX);
    by_another["address"] = json!(p.asset());
    assert_eq!(p.clue(&by_another), Clue::None);
}
