//! What logs and calldata prove of payments by Permit2: each log of one payment
//! at most, whatever a payer puts into a transaction.

use edge402::encoding::encode_hex;
use edge402::evm::transfer::permit2::PERMIT2;
use edge402::evm::{
    self, BlockTag, Clue, MULTICALL3, Permit2Authorization, Receipt, Uint256, VerifiedPayment,
    keccak256,
};
use serde_json::{Value, json};

use crate::evm_support::{self, AMOUNT, NOW, eip3009};
use crate::permit2_support::{check, other, permit2, signed};

/// A payment by Permit2 with this nonce.
fn payment(nonce: u64) -> VerifiedPayment {
    payment_of(nonce, |_| {})
}

fn payment_of(nonce: u64, edit: impl FnOnce(&mut Permit2Authorization)) -> VerifiedPayment {
    let payload = signed(|a| {
        a.nonce = nonce.into();
        edit(a);
    });
    check(&payload).unwrap()
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
fn calldata_names_a_payment_wherever_it_stands() {
    let (p, q) = (payment(1), payment(2));
    let wrapped = [&[0xde, 0xad, 0xbe][..], &p.call().data, &[0; 7]].concat();
    for calldata in [p.call().data, batch(&[&p]), wrapped, batch(&[&p, &p])] {
        let [only] = p.named_in(&calldata).try_into().unwrap();
        assert_eq!(only.call, p.used_question());
        assert_eq!(q.named_in(&calldata), []);
    }
    // Its own first; what was signed for another price or payee is another's.
    let other = payment_of(3, |a| a.deadline = (NOW + 7).into());
    let named = q.named_in(&batch(&[&p, &authorized(), &q, &other]));
    let asked: Vec<_> = [&q, &p, &other].iter().map(|it| it.used_question()).collect();
    assert_eq!(named.iter().map(|it| it.call.clone()).collect::<Vec<_>>(), asked);
    for other in [&[][..], &p.call().data[..4 + 5 * 32]] {
        assert_eq!(p.named_in(other), []);
    }
}

#[test]
fn a_nonce_is_one_bit_of_its_word() {
    let p = payment(0xf309);
    let [question] = p.named_in(&p.call().data).try_into().unwrap();
    for (bitmap, is_used) in [(0, false), (512, true), (u64::MAX - 512, false)] {
        let word = Uint256::from(bitmap).to_be_bytes();
        assert_eq!(question.read(&word), Some(is_used));
        assert_eq!(p.read_used(&word), Some(is_used));
    }
    assert_eq!(question.read(&[0; 31]), None);
}

#[test]
fn there_is_a_transfer_for_each_that_anybodys_transaction_used() {
    let (p, q, e) = (payment(1), payment(2), authorized());
    let paid = |logs: &[Value], used| evm::authorization_transferred(&receipt(logs), &p, used);
    let once = [moved(&p), settled()];
    let twice = [moved(&p), settled(), moved(&q), settled()];
    assert!(paid(&once, 1) && paid(&twice, 1) && paid(&twice, 2));
    // A payer took one of two back, and paid once.
    assert!(!paid(&once, 2) && !paid(&twice, 3));
    assert!(!paid(&[settled()], 1), "it paid nobody");
    assert!(!paid(&[transfer(&p, AMOUNT + 1), settled()], 1));
    // A payment by EIP-3009 in the same transaction is not this one.
    assert!(!paid(&[used(&e), moved(&e), settled()], 1));
    assert!(paid(&[used(&e), moved(&e), moved(&p), settled()], 1));
    let mut reverted = receipt(&once);
    reverted.succeeded = false;
    assert!(!evm::authorization_transferred(&reverted, &p, 1));
}

#[test]
fn logs_lead_to_who_used_it() {
    let p = payment(0xf309);
    let filter = p.trace(17, BlockTag::Number(18));
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
