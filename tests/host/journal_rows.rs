//! What is written down before it is sent, and read after a crash.

use edge402::evm::Fees;
use edge402::json::{from_text, to_text, to_value};
use edge402::settlement::Entry;
use edge402::settlement::journal::{
    Attempts, EvmSent, FacilitatorSent, Sent, SolanaSent, TxId, name_at_facilitator,
};
use edge402::time::UnixSeconds;

const AT: UnixSeconds = UnixSeconds(1_700_000_000);

fn evm() -> EvmSent {
    EvmSent {
        nonce: 7,
        hash: "0x3".into(),
        former: vec!["0x1".into(), "0x2".into()],
        empty: vec!["0x2".into()],
        raw: "0x02f9".into(),
        fees: Fees { max_fee_per_gas: 9, max_priority_fee_per_gas: 1 },
        gas: 82_500,
        seen_block: 1_008,
        judged: true,
        look_at: Some(AT.plus(60)),
    }
}

fn solana() -> SolanaSent {
    SolanaSent { signature: "5sig".into(), raw: "AQID".into(), last_valid_height: 150 }
}

fn at_facilitator(told: Option<TxId>, looked_from: Option<u64>) -> FacilitatorSent {
    FacilitatorSent { body: "{}".into(), told, expires_at: AT.plus(600), looked_from }
}

fn entry(id: &str, sent: impl Into<Sent>) -> Entry {
    Entry { id: id.into(), payments: vec!["p".into()], written_at: AT, sent: sent.into() }
}

#[test]
fn what_is_read_is_what_was_written() {
    let name = name_at_facilitator("p");
    let entries = [
        entry("0x1", evm()),
        entry("0x3", EvmSent { judged: false, look_at: None, ..evm() }),
        entry("5sig", solana()),
        entry(&name, at_facilitator(None, None)),
        entry(&name, at_facilitator(TxId::named("0x9"), Some(1_008))),
    ];
    for entry in entries {
        assert_eq!(from_text(&to_text(&entry)), Ok(entry));
    }
}

#[test]
fn a_row_has_its_transaction_by_name_for_every_lane() {
    for (entry, transaction) in [(entry("0x1", evm()), "0x3"), (entry("first", solana()), "5sig")] {
        assert_eq!(to_value(&entry)["transaction"], transaction);
    }
}

#[test]
fn the_first_transaction_says_since_when_a_payment_can_have_been_used() {
    let first = Attempts::with(None, AT, &evm());
    assert_eq!((first.written_at, first.seen_block, first.search), (AT, 1_008, None));
    assert_eq!(first.hashes, ["0x1", "0x2", "0x3"]);
    let later = EvmSent { hash: "0x4".into(), former: vec![], seen_block: 2_000, ..evm() };
    let both = Attempts::with(Some(&first), AT.plus(99), &later);
    assert_eq!((both.written_at, both.seen_block), (AT, 1_008));
    assert_eq!(both.hashes, ["0x1", "0x2", "0x3", "0x4"]);
}
