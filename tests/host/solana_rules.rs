//! The rules of `exact` on Solana: a payment with one thing wrong is refused
//! with one code. Here who signs and what moves; `solana_instructions.rs` has
//! the rules about each instruction.

use crate::solana_support::*;
use ed25519_dalek::Signer as _;
use edge402::amount::AtomicAmount;
use edge402::solana::{FeePayerKey, Pubkey, Terms, TermsParts, TokenProgram, Transaction, co_sign};

#[test]
fn what_is_right_is_taken() {
    table(
        &terms(),
        &[
            ("as it is", |_| (), "ok"),
            ("our other fee payer", |d| d.fee_payer = other_fee_payer(), "ok"),
            ("no memo", |d| d.instructions.truncate(3), "ok"),
            ("two equal memos", |d| d.instructions.push(memo("0123456789abcdef")), "ok"),
            ("a memo that the payer signs", |d| accounts(d, 3).push(signer(payer())), "ok"),
            ("a Lighthouse assertion", |d| d.instructions.push(lighthouse()), "ok"),
            (
                "two of them before the memo",
                |d| {
                    d.instructions.insert(3, lighthouse());
                    d.instructions.insert(3, lighthouse());
                },
                "ok",
            ),
            (
                "any token account of the payer",
                |d| {
                    accounts(d, 2)[0] = writable(Pubkey([44; 32]));
                },
                "ok",
            ),
        ],
    );
}

#[test]
fn fee_payer_is_ours() {
    table(
        &terms(),
        &[
            ("the payer", |d| d.fee_payer = payer(), "fee_payer_mismatch"),
            ("a stranger", |d| d.fee_payer = pubkey(9), "fee_payer_mismatch"),
            ("the seller", |d| d.fee_payer = pay_to(), "fee_payer_mismatch"),
        ],
    );
}

#[test]
fn signers() {
    table(
        &terms(),
        &[
            ("one too many", |d| accounts(d, 3).push(signer(pubkey(9))), "excessive_signers"),
            (
                "two too many",
                |d| {
                    accounts(d, 3).extend([signer(pubkey(9)), signer(pubkey(10))]);
                },
                "excessive_signers",
            ),
            (
                "the authority does not sign",
                |d| {
                    accounts(d, 2)[3].signer = false;
                },
                "signature_invalid",
            ),
            (
                "someone else signs",
                |d| {
                    accounts(d, 2)[3].signer = false;
                    accounts(d, 3).push(signer(pubkey(9)));
                },
                "signature_invalid",
            ),
            (
                "nobody but us, and no transfer",
                |d| {
                    d.instructions.remove(2);
                },
                "signature_invalid",
            ),
        ],
    );
}

#[test]
fn signatures() {
    let message = draft().message().bytes();
    let signed = |slot_0: [u8; 64], slot_1: [u8; 64]| {
        outcome(&[&[2][..], &slot_0, &slot_1, &message].concat(), &terms())
    };
    let absent = [0; 64];
    let of = |seed: u8, message: &[u8]| signing_key(seed).sign(message).to_bytes();
    assert_eq!(signed(absent, of(3, &message)), "ok");
    let invalid = "signature_invalid";
    assert_eq!(signed(of(1, &message), of(3, &message)), invalid, "ours is there already");
    assert_eq!(signed([7; 64], of(3, &message)), invalid, "garbage where ours belongs");
    assert_eq!(signed(of(3, &message), of(3, &message)), invalid, "the payer's twice");
    assert_eq!(signed(absent, absent), invalid, "none");
    assert_eq!(signed(absent, of(4, &message)), invalid, "someone else's");
    assert_eq!(signed(absent, of(3, b"another message")), invalid, "of another message");
    assert_eq!(signed(absent, plus_order(of(3, &message))), invalid, "malleable");
    for bit in (0..512).step_by(7) {
        let mut flipped = of(3, &message);
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(signed(absent, flipped), invalid, "bit {bit}");
        let mut ours = absent;
        ours[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(signed(ours, of(3, &message)), invalid, "bit {bit}");
    }
}

/// The same R with s + L, where L is the order of the group: as good as s to
/// a lax verifier.
fn plus_order(mut signature: [u8; 64]) -> [u8; 64] {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}

#[test]
fn weak_keys_sign_nothing() {
    // A point of small order as the payer, with a signature that fits every
    // message for a verifier that is not strict.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut draft = draft();
    accounts(&mut draft, 2)[3] = signer(Pubkey(identity));
    let message = draft.message().bytes();
    let mut signature = [0; 64];
    signature[0] = 1;
    let bytes = [&[2][..], &[0; 64], &signature, &message].concat();
    assert_eq!(outcome(&bytes, &terms()), "signature_invalid");
}

#[test]
fn fee_payers_funds_stay() {
    let code = "transaction_fee_payer_transferring_funds";
    table(
        &terms(),
        &[
            ("as authority", |d| accounts(d, 2)[3] = signer(fee_payer()), code),
            (
                "as authority, someone else signing too",
                |d| {
                    accounts(d, 2)[3] = signer(fee_payer());
                    accounts(d, 3).push(signer(payer()));
                },
                code,
            ),
            ("as source", |d| accounts(d, 2)[0] = writable(fee_payer()), code),
            ("as destination", |d| accounts(d, 2)[2] = writable(fee_payer()), code),
            (
                "its token account as source",
                |d| {
                    accounts(d, 2)[0] = writable(ata(fee_payer()));
                },
                code,
            ),
            (
                "our other's token account as source",
                |d| {
                    accounts(d, 2)[0] = writable(ata(other_fee_payer()));
                },
                code,
            ),
            ("signs a memo", |d| accounts(d, 3).push(signer(fee_payer())), code),
            ("in a memo", |d| accounts(d, 3).push(readonly(fee_payer())), code),
            ("our other in a memo", |d| accounts(d, 3).push(readonly(other_fee_payer())), code),
            (
                "in a Lighthouse instruction beside another account",
                |d| {
                    d.instructions.push(lighthouse());
                    accounts(d, 4).push(readonly(fee_payer()));
                },
                code,
            ),
            (
                "in the compute budget",
                |d| {
                    accounts(d, 0).push(readonly(fee_payer()));
                },
                code,
            ),
            (
                "funds CreateATA",
                |d| {
                    d.instructions.push(create_ata(fee_payer(), &[]));
                },
                code,
            ),
            (
                "funds CreateATA in front",
                |d| {
                    d.instructions.insert(0, create_ata(fee_payer(), &[]));
                },
                "transaction_instructions_compute_limit_instruction",
            ),
        ],
    );
    // Our other fee payer as the payer: the rule is for all of them.
    let mut draft = draft();
    accounts(&mut draft, 2)[3] = signer(other_fee_payer());
    assert_eq!(outcome(&draft.transaction(), &terms()), code);
}

#[test]
fn mint_recipient_amount() {
    table(
        &terms(),
        &[
            ("another mint", |d| accounts(d, 2)[1] = readonly(pubkey(9)), "mint_mismatch"),
            ("fewer decimals", |d| d.instructions[2].data[9] = 5, "mint_mismatch"),
            ("more decimals", |d| d.instructions[2].data[9] = 18, "mint_mismatch"),
            ("Token-2022", |d| d.instructions[2].program = key(TOKEN_2022), "mint_mismatch"),
            (
                "to another's account",
                |d| {
                    accounts(d, 2)[2] = writable(ata(pubkey(9)));
                },
                "recipient_mismatch",
            ),
            (
                "to the seller's wallet",
                |d| {
                    accounts(d, 2)[2] = writable(pay_to());
                },
                "recipient_mismatch",
            ),
            (
                "back to the payer",
                |d| {
                    accounts(d, 2)[2] = writable(ata(payer()));
                },
                "recipient_mismatch",
            ),
            (
                "from the seller to the seller",
                |d| {
                    accounts(d, 2)[0] = writable(ata(pay_to()));
                },
                "recipient_mismatch",
            ),
            (
                "one unit less",
                |d| {
                    d.instructions[2].data = transfer_data(12, 9_999, 6);
                },
                "amount_mismatch",
            ),
            (
                "one unit more",
                |d| {
                    d.instructions[2].data = transfer_data(12, 10_001, 6);
                },
                "amount_mismatch",
            ),
            ("nothing", |d| d.instructions[2].data = transfer_data(12, 0, 6), "amount_mismatch"),
            (
                "everything",
                |d| {
                    d.instructions[2].data = transfer_data(12, u64::MAX, 6);
                },
                "amount_mismatch",
            ),
        ],
    );
}

#[test]
fn destinations_are_of_the_token_program() {
    let asked = TermsParts { token_program: TokenProgram::Token2022, ..parts() };
    let terms = Terms::new(TermsParts { amount: AtomicAmount(10_000), ..asked }).unwrap();
    assert_ne!(*terms.destination(), ata(pay_to()));
    let mut draft = draft();
    assert_eq!(outcome(&draft.transaction(), &terms), "mint_mismatch");
    draft.instructions[2].program = key(TOKEN_2022);
    assert_eq!(outcome(&draft.transaction(), &terms), "recipient_mismatch");
    accounts(&mut draft, 2)[2] = writable(*terms.destination());
    assert_eq!(outcome(&draft.transaction(), &terms), "ok");
}

#[test]
fn the_first_broken_rule_names_the_reason() {
    let mut draft = draft();
    let mut repairs: Vec<(&str, Change)> = vec![
        ("memo_mismatch", |d| d.instructions[3] = memo("order 7")),
        ("unknown_fifth_instruction", |d| {
            d.instructions.pop();
        }),
        ("amount_mismatch", |d| d.instructions[2].data = transfer_data(12, 10_000, 6)),
        ("recipient_mismatch", |d| accounts(d, 2)[2] = writable(ata(pay_to()))),
        ("mint_mismatch", |d| d.instructions[2].data[9] = 6),
        ("transaction_fee_payer_transferring_funds", |d| accounts(d, 3).clear()),
        ("no_transfer_instruction", |d| d.instructions[2].data[0] = 12),
        ("transaction_instructions_compute_price_instruction_too_high", |d| {
            d.instructions[1] = price(1);
        }),
        ("transaction_instructions_compute_limit_instruction_too_high", |d| {
            d.instructions[0] = limit(1);
        }),
        ("transaction_instructions_length", |d| d.instructions.truncate(5)),
        ("excessive_signers", |d| {
            accounts(d, 4).clear();
        }),
        ("fee_payer_mismatch", |d| d.fee_payer = fee_payer()),
    ];
    // Everything is broken; repaired from the first rule to the last.
    draft.fee_payer = pubkey(11);
    draft.instructions[0] = limit(u32::MAX);
    draft.instructions[1] = price(u64::MAX);
    draft.instructions[2].data = transfer_data(3, 1, 5);
    accounts(&mut draft, 2)[2] = writable(pubkey(9));
    accounts(&mut draft, 3).push(readonly(fee_payer()));
    draft.instructions.resize(13, limit(1));
    accounts(&mut draft, 4).push(signer(pubkey(10)));
    let terms = terms_with_memo("order 7");
    while let Some((code, repair)) = repairs.pop() {
        assert_eq!(outcome(&draft.transaction(), &terms), code);
        repair(&mut draft);
    }
    assert_eq!(outcome(&draft.transaction(), &terms), "ok");
}

#[test]
fn identity_is_the_messages() {
    let identity = |draft: &Draft| check(&draft.transaction(), &terms()).unwrap().identity();
    let first = identity(&draft());
    assert_eq!(identity(&draft()), first);
    let mut other = draft();
    other.instructions[3] = memo("fedcba9876543210");
    assert_ne!(identity(&other), first);
}

#[test]
fn only_the_named_fee_payer_co_signs() {
    let payment = check(&draft().transaction(), &terms()).unwrap();
    let load = |seed: u8| -> FeePayerKey {
        let both = signing_key(seed).to_keypair_bytes();
        edge402::encoding::encode_base58(&both).parse().unwrap()
    };
    let signed = co_sign(&payment, &load(1)).unwrap();
    let read = Transaction::parse(&signed.raw).unwrap();
    assert_eq!(read.message, payment.transaction().message);
    assert_eq!(read.signatures[0].to_string(), signed.signature);
    assert_eq!(read.signatures[1], payment.transaction().signatures[1]);
    assert_eq!(outcome(&signed.raw, &terms()), "signature_invalid");
    assert!(co_sign(&payment, &load(2)).is_err());
    assert!(co_sign(&payment, &load(3)).is_err());
}
