//! The rules of `exact` on Solana about each instruction: how many, which,
//! and where. A payment with one thing wrong is refused with one code.

use crate::solana_support::*;
use edge402::solana::{Limits, Terms, TermsParts};

#[test]
fn three_to_twelve_instructions() {
    let more = |draft: &mut Draft, count| {
        draft.instructions.resize(count, lighthouse());
        outcome(&draft.transaction(), &terms())
    };
    for count in 3..=12 {
        assert_eq!(more(&mut draft(), count), "ok", "{count}");
    }
    for count in [13, 14, 40] {
        assert_eq!(more(&mut draft(), count), "transaction_instructions_length", "{count}");
    }
    let mut two = draft();
    two.instructions = vec![limit(20_000), transfer()];
    two.instructions[0].accounts.push(signer(payer()));
    assert_eq!(outcome(&two.transaction(), &terms()), "transaction_instructions_length");
}

#[test]
fn compute_unit_limit() {
    let code = "transaction_instructions_compute_limit_instruction";
    table(
        &terms(),
        &[
            ("the cap", |d| d.instructions[0] = limit(400_000), "ok"),
            ("zero", |d| d.instructions[0] = limit(0), "ok"),
            ("swapped with the price", |d| d.instructions.swap(0, 1), "ok"),
            ("last", |d| d.instructions.rotate_left(1), "ok"),
            ("the transfer first", |d| d.instructions.swap(0, 2), "ok"),
            ("none", |d| drop(d.instructions.remove(0)), code),
            ("heap frame", |d| d.instructions[0].data[0] = 1, code),
            ("deprecated request", |d| d.instructions[0].data = vec![0; 9], code),
            ("no data", |d| d.instructions[0].data.clear(), code),
            ("a byte more", |d| d.instructions[0].data.push(0), code),
            ("a byte less", |d| d.instructions[0].data.truncate(4), code),
            ("another program", |d| d.instructions[0].program = key(MEMO), code),
            ("a durable nonce", |d| d.instructions.insert(0, advance_nonce()), code),
            (
                "CreateATA first",
                |d| {
                    d.instructions.insert(0, create_ata(payer(), &[]));
                },
                code,
            ),
        ],
    );
    let code = "transaction_instructions_compute_limit_instruction_too_high";
    table(
        &terms(),
        &[
            ("one unit more", |d| d.instructions[0] = limit(400_001), code),
            ("the most", |d| d.instructions[0] = limit(u32::MAX), code),
        ],
    );
}

#[test]
fn compute_unit_price() {
    let code = "transaction_instructions_compute_price_instruction";
    table(
        &terms(),
        &[
            ("the cap", |d| d.instructions[1] = price(5_000_000), "ok"),
            ("zero", |d| d.instructions[1] = price(0), "ok"),
            ("a second limit", |d| d.instructions[1] = limit(1), code),
            ("no data", |d| d.instructions[1].data.clear(), code),
            ("a byte more", |d| d.instructions[1].data.push(0), code),
            ("a byte less", |d| d.instructions[1].data.truncate(8), code),
            ("another program", |d| d.instructions[1].program = key(LIGHTHOUSE), code),
        ],
    );
    let code = "transaction_instructions_compute_price_instruction_too_high";
    table(
        &terms(),
        &[
            ("one more", |d| d.instructions[1] = price(5_000_001), code),
            ("the most", |d| d.instructions[1] = price(u64::MAX), code),
            (
                "nothing at any price",
                |d| {
                    d.instructions[0] = limit(0);
                    d.instructions[1] = price(5_000_001);
                },
                code,
            ),
            (
                "both within bounds, not their product",
                |d| {
                    d.instructions[0] = limit(400_000);
                    d.instructions[1] = price(250_001);
                },
                code,
            ),
            (
                "both at their caps",
                |d| {
                    d.instructions[0] = limit(400_000);
                    d.instructions[1] = price(5_000_000);
                },
                code,
            ),
            (
                "a fraction of a lamport too much",
                |d| {
                    d.instructions[0] = limit(20_001);
                    d.instructions[1] = price(5_000_000);
                },
                code,
            ),
        ],
    );
}

#[test]
fn limits_are_the_terms() {
    let limits = Limits { compute_units: 9, price_micro_lamports: 900_000, total_lamports: 7 };
    let terms = Terms::new(TermsParts { limits, ..parts() }).unwrap();
    let outcome = |units, micro| {
        let mut draft = draft();
        draft.instructions[0] = limit(units);
        draft.instructions[1] = price(micro);
        outcome(&draft.transaction(), &terms)
    };
    assert_eq!(outcome(9, 777_777), "ok");
    let limit_code = "transaction_instructions_compute_limit_instruction_too_high";
    let price_code = "transaction_instructions_compute_price_instruction_too_high";
    // 9 × 777,778 / 1,000,000 is rounded up to 8 lamports.
    assert_eq!(outcome(9, 777_778), price_code);
    assert_eq!(outcome(1, 900_001), price_code);
    assert_eq!(outcome(10, 1), limit_code);
}

#[test]
fn transfer_checked_or_nothing() {
    let code = "no_transfer_instruction";
    table(
        &terms(),
        &[
            (
                "Transfer",
                |d| {
                    d.instructions[2].data = transfer_data(3, 10_000, 6)[..9].to_vec();
                    accounts(d, 2).remove(1);
                },
                code,
            ),
            ("Transfer with the bytes of TransferChecked", |d| d.instructions[2].data[0] = 3, code),
            ("Approve", |d| d.instructions[2].data[0] = 13, code),
            (
                "TransferCheckedWithFee",
                |d| {
                    d.instructions[2].data = [&[26, 1][..], &[0; 17]].concat();
                },
                code,
            ),
            ("a byte more", |d| d.instructions[2].data.push(0), code),
            ("a byte less", |d| d.instructions[2].data.truncate(9), code),
            ("no data", |d| d.instructions[2].data.clear(), code),
            ("a multisig", |d| accounts(d, 2).push(readonly(pubkey(9))), code),
            (
                "a multisig that the payer signs for",
                |d| {
                    accounts(d, 2)[3] = readonly(pubkey(9));
                    accounts(d, 2).push(signer(payer()));
                },
                code,
            ),
            ("another program", |d| d.instructions[2].program = pubkey(9), code),
            (
                "a System transfer",
                |d| {
                    d.instructions[2] =
                        ix(SYSTEM, &[signer(payer()), writable(pay_to())], &[2, 0, 0, 0, 1]);
                },
                code,
            ),
            (
                "CreateATA in its place",
                |d| d.instructions.insert(2, create_ata(payer(), &[1])),
                code,
            ),
            ("a memo before it", |d| d.instructions.swap(2, 3), "ok"),
            (
                "Lighthouse before it",
                |d| {
                    let mut assertion = lighthouse();
                    assertion.accounts[0].signer = true;
                    d.instructions.insert(2, assertion);
                },
                "ok",
            ),
        ],
    );
}

#[test]
fn the_rest_is_memo_or_lighthouse() {
    let ordinals =
        ["fourth", "fifth", "sixth", "seventh", "seventh", "seventh", "seventh", "seventh"];
    let strangers = [
        create_ata(payer(), &[]),
        create_ata(payer(), &[0]),
        create_ata(payer(), &[1]),
        advance_nonce(),
        transfer(),
        limit(1),
        price(u64::MAX),
        ix(COMPUTE_BUDGET, &[], &[1, 0, 0, 4, 0]),
        ix(SYSTEM, &[signer(payer()), writable(pubkey(9))], &[2, 0, 0, 0, 1]),
        ix(MEMO_V1, &[], b"memo"),
        Ix { program: pubkey(9), accounts: vec![], data: vec![] },
    ];
    for stranger in &strangers {
        for (position, ordinal) in ordinals.iter().enumerate() {
            let mut draft = draft();
            draft.instructions.resize(11, lighthouse());
            draft.instructions[3 + position] = stranger.clone();
            let expected = format!("unknown_{ordinal}_instruction");
            assert_eq!(outcome(&draft.transaction(), &terms()), expected);
        }
        // Whatever stands before the transfer, or what it needs, in its place.
        for (position, code) in [
            "transaction_instructions_compute_limit_instruction",
            "transaction_instructions_compute_price_instruction",
            "no_transfer_instruction",
        ]
        .iter()
        .enumerate()
        {
            let mut draft = draft();
            // The first of two is the one that counts.
            draft.instructions.insert(position, stranger.clone());
            let is_first = [transfer(), limit(1), price(u64::MAX)].contains(stranger);
            if is_first {
                assert_ne!(outcome(&draft.transaction(), &terms()), "ok");
            } else {
                assert_eq!(outcome(&draft.transaction(), &terms()), *code);
            }
        }
    }
    let mut draft = draft();
    draft.instructions = vec![limit(1), price(1), transfer(), strangers[3].clone(), transfer()];
    assert_eq!(outcome(&draft.transaction(), &terms()), "unknown_fourth_instruction");
}

#[test]
fn a_memo_that_is_asked_for() {
    table(
        &terms_with_memo("order 7"),
        &[
            ("that memo", |d| d.instructions[3] = memo("order 7"), "ok"),
            (
                "beside Lighthouse",
                |d| {
                    d.instructions[3] = lighthouse();
                    d.instructions.push(memo("order 7"));
                },
                "ok",
            ),
            ("another", |d| d.instructions[3] = memo("order 8"), "memo_mismatch"),
            ("more of it", |d| d.instructions[3] = memo("order 77"), "memo_mismatch"),
            ("less of it", |d| d.instructions[3] = memo("order "), "memo_mismatch"),
            ("an empty one", |d| d.instructions[3] = memo(""), "memo_mismatch"),
            ("none", |d| d.instructions.truncate(3), "memo_count"),
            (
                "twice",
                |d| {
                    d.instructions[3] = memo("order 7");
                    d.instructions.push(memo("order 7"));
                },
                "memo_count",
            ),
            ("and another", |d| d.instructions.push(memo("order 7")), "memo_count"),
            (
                "as a Lighthouse instruction",
                |d| {
                    d.instructions[3] = ix(LIGHTHOUSE, &[], b"order 7");
                },
                "memo_count",
            ),
            (
                "with the version 1 program",
                |d| {
                    d.instructions[3] = ix(MEMO_V1, &[], b"order 7");
                },
                "unknown_fourth_instruction",
            ),
        ],
    );
}

/// `[limit, price, guard × 3, transfer, memo, guard]`, of which the third guard
/// looks at the fee payer's lamports: what Phantom makes of a payment on the
/// main network (seen in August 2026).
fn phantom() -> Draft {
    let guard = |of: Account, length: u8| {
        ix(
            LIGHTHOUSE,
            &[of],
            &(0..length).map(|at| if at == 0 { 6 } else { at }).collect::<Vec<_>>(),
        )
    };
    let mut draft = draft();
    let source = readonly(ata(payer()));
    let mine = readonly(fee_payer());
    let guards = [guard(readonly(payer()), 17), guard(source, 52), guard(mine, 16)];
    draft.instructions.splice(2..2, guards);
    draft.instructions.push(guard(source, 27));
    draft
}

#[test]
fn todays_phantom_pays() {
    let payment = check(&phantom().transaction(), &terms()).unwrap();
    assert_eq!((payment.transfer_at(), payment.amount().0), (5, 10_000));
    assert_eq!(
        payment.fee_lamports(),
        check(&draft().transaction(), &terms()).unwrap().fee_lamports()
    );
    assert!(payment.shows_fee_payer());
    assert!(!check(&draft().transaction(), &terms()).unwrap().shows_fee_payer());
    assert_eq!(outcome(&phantom().transaction(), &terms_with_memo("0123456789abcdef")), "ok");
    // Solflare has two behind the transfer, and other wallets raise the price.
    let mut solflare = draft();
    solflare.instructions[0] = limit(80_000);
    solflare.instructions[1] = price(100_000);
    solflare.instructions.extend([lighthouse(), lighthouse()]);
    assert_eq!(outcome(&solflare.transaction(), &terms()), "ok");
}

#[test]
fn our_fee_payer_is_looked_at_and_nothing_else() {
    let code = "transaction_fee_payer_transferring_funds";
    let guard = |change: fn(&mut Ix)| {
        let mut draft = phantom();
        change(&mut draft.instructions[4]);
        outcome(&draft.transaction(), &terms())
    };
    assert_eq!(guard(|_| ()), "ok");
    // Memory is written at its payer's cost, and trees are other programs'.
    for kind in [0, 1, 16, 17, 18, 255] {
        let mut draft = phantom();
        draft.instructions[4].data[0] = kind;
        assert_eq!(outcome(&draft.transaction(), &terms()), code, "{kind}");
    }
    assert_eq!(guard(|it| it.data.clear()), code);
    assert_eq!(guard(|it| it.accounts.push(readonly(payer()))), code);
    assert_eq!(guard(|it| it.accounts.insert(0, readonly(payer()))), code);
    assert_eq!(guard(|it| it.accounts.push(readonly(fee_payer()))), code);
    assert_eq!(guard(|it| it.accounts[0] = readonly(other_fee_payer())), code);
    assert_eq!(guard(|it| it.program = key(MEMO)), code);
}
