//! Who gets what was paid for, rule by rule.

use edge402::amount::AtomicAmount;
use edge402::settlement::delivery::{Answer, Asking, DeliveryState};
use edge402::settlement::types::LEASE_SECONDS;
use edge402::settlement::{Delivery, Ending, Settlement};
use edge402::time::UnixSeconds;

const NOW: UnixSeconds = UnixSeconds(1_000_000);

/// What can be had again for ten minutes.
fn settlement() -> Settlement {
    Settlement {
        transaction: "0x1".into(),
        payer: "0x2".into(),
        amount: AtomicAmount(1),
        settled_at: NOW,
        redeliver_until: NOW.plus(600),
    }
}

/// A request with proof where two more deliveries are sold.
fn asking(ticket: u64) -> Asking {
    Asking { ticket, has_proof: true, wanted: None, by_other_site: false, redeliver_max: 2 }
}

#[test]
fn a_delivery_counts_who_is_there_to_get_it() {
    let counts = |holder, is_buyer| {
        let it = Delivery::begin(holder, is_buyer, NOW);
        (it.proven, it.unproven)
    };
    assert_eq!((counts(Some(1), true), counts(Some(1), false)), ((1, 0), (0, 1)));
    assert_eq!((counts(None, true), counts(None, false)), ((0, 0), (0, 0)));
}

#[test]
fn only_its_own_request_keeps_an_answer_alive_and_ends_it() {
    let first = Delivery::begin(Some(1), true, NOW);
    let mut it = first.clone();
    assert!(!it.renew(2, NOW.plus(9_000)));
    it.end(2, Ending::Broken);
    it.end(2, Ending::Nothing);
    assert_eq!(it, first);
    assert!(it.renew(1, NOW.plus(9_000)));
    it.end(1, Ending::Broken);
    assert_eq!(it.state, DeliveryState::NotDelivered);
}

#[test]
fn what_is_delivered_again_is_so_until_its_last_second_and_so_often() {
    let mut it = Delivery::begin(Some(1), true, NOW);
    it.end(1, Ending::Whole);
    let again = Answer::Goods { may_grant: true };
    let end = settlement().redeliver_until;
    assert_eq!(it.clone().ask(asking(2), &settlement(), end), Answer::Nothing);
    let last = UnixSeconds(end.0 - 1);
    let answers = [2, 3, 4].map(|ticket| it.ask(asking(ticket), &settlement(), last));
    assert_eq!(answers, [again, again, Answer::Nothing]);
}

#[test]
fn an_answer_whose_lease_is_over_is_nobodys() {
    let mut it = Delivery::begin(Some(1), true, NOW);
    let none = Asking { redeliver_max: 0, ..asking(2) };
    let over = NOW.plus(LEASE_SECONDS);
    let before = UnixSeconds(over.0 - 1);
    assert_eq!(it.ask(none, &settlement(), before), Answer::Wait(over));
    assert_eq!(it.ask(none, &settlement(), over), Answer::Goods { may_grant: true });
}
