//! What is written down before it is sent, and read after a crash.

use edge402::evm::Fees;
use edge402::json::{from_text, to_text, to_value};
use edge402::settlement::journal::{
    Attempts, EvmSent, FacilitatorSent, Sent, SolanaSent, TxId, name_at_facilitator,
};
use edge402::settlement::{ClaimReply, Entry};
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
        most: 990_000,
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

/// A row of before it was kept: the latest version is taken for the dearest.
#[test]
fn what_says_no_most_costs_as_much_as_its_latest_version() {
    let mut row = to_value(&entry("0x1", evm()));
    row.as_object_mut().unwrap().remove("most").unwrap();
    let most = 9 * 82_500;
    assert_eq!(from_text(&row.to_string()), Ok(entry("0x1", EvmSent { most, ..evm() })));
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

#[test]
fn no_entrys_name_passes_for_a_transaction() {
    let text = |transaction| to_text(&ClaimReply::Pending { transaction });
    assert_eq!(text(TxId::named("0x1")), r#"{"Pending":{"transaction":"0x1"}}"#);
    assert_eq!(text(TxId::named(&name_at_facilitator("p"))), r#"{"Pending":{}}"#);
    for transaction in [None, TxId::named("0x1")] {
        let reply = ClaimReply::Pending { transaction };
        assert_eq!(from_text(&to_text(&reply)), Ok(reply));
    }
    // As an earlier version says it: not known is not a transaction.
    assert!(from_text::<ClaimReply>(r#"{"Pending":{"transaction":"remote/p"}}"#).is_err());
}
