//! The rules of `exact` on Solana about each instruction: how many, which,
//! and where. A payment with one thing wrong is refused with one code.

use crate::solana_support::*;
use edge402::solana::{Limits, Terms, TermsParts};

#[test]
fn three_to_seven_instructions() {
    let more = |draft: &mut Draft, count| {
        draft.instructions.resize(count, lighthouse());
        outcome(&draft.transaction(), &terms())
    };
    for count in [3, 4, 5, 6, 7] {
        assert_eq!(more(&mut draft(), count), "ok", "{count}");
    }
    for count in [8, 9, 40] {
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
            ("swapped with the price", |d| d.instructions.swap(0, 1), code),
            ("heap frame", |d| d.instructions[0].data[0] = 1, code),
            ("deprecated request", |d| d.instructions[0].data = vec![0; 9], code),
            ("no data", |d| d.instructions[0].data.clear(), code),
            ("a byte more", |d| d.instructions[0].data.push(0), code),
            ("a byte less", |d| d.instructions[0].data.truncate(4), code),
            ("another program", |d| d.instructions[0].program = key(MEMO), code),
            ("the transfer first", |d| d.instructions.swap(0, 2), code),
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
            (
                "Lighthouse before it",
                |d| {
                    let mut assertion = lighthouse();
                    assertion.accounts[0].signer = true;
                    d.instructions.insert(2, assertion);
                },
                code,
            ),
        ],
    );
}

#[test]
fn the_rest_is_memo_or_lighthouse() {
    let ordinals = ["fourth", "fifth", "sixth", "seventh"];
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
            draft.instructions.resize(7, lighthouse());
            draft.instructions[3 + position] = stranger.clone();
            let expected = format!("unknown_{ordinal}_instruction");
            assert_eq!(outcome(&draft.transaction(), &terms()), expected);
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
