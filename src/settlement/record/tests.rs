use super::*;

use crate::amount::AtomicAmount;
use crate::settlement::Ending;

const NOW: UnixSeconds = UnixSeconds(1_000);

fn request(resource: &str, ticket: u64) -> ClaimRequest {
    ClaimRequest {
        payment: "p".into(),
        resource: resource.into(),
        ticket,
        expires_at: NOW.plus(300),
        former: None,
        proof: Proof::default(),
        by_cookie: None,
        by_other_site: false,
        only_here: false,
        redeliver_max: 0,
        look_only: false,
        reserve_seconds: None,
        told: None,
        to_prove: None,
        to_prepare: None,
        asker: None,
        unpaid: None,
    }
}

fn claim(known: &PaymentRecord, resource: &str, now: UnixSeconds) -> Claim {
    PaymentRecord::claim(Some(known), &request(resource, 2), now, |ticket| ticket == 1)
}

#[test]
fn a_claim_is_its_holders_until_the_lease_is_over() {
    assert_eq!(PaymentRecord::claim(None, &request("a", 1), NOW, |_| true), Claim::Fresh);
    let known = PaymentRecord::claimed(None, &request("a", 1), NOW);
    assert_eq!(claim(&known, "a", NOW), Claim::InFlight);
    assert_eq!(claim(&known, "b", NOW), Claim::OtherResource);
    assert_eq!(claim(&known, "b", NOW.plus(LEASE_SECONDS - 1)), Claim::OtherResource);
    assert_eq!(claim(&known, "b", NOW.plus(LEASE_SECONDS)), Claim::Fresh);
    assert!(known.is_held_by(1) && !known.is_held_by(2));
}

#[test]
fn a_claim_does_not_survive_a_failure() {
    let first = PaymentRecord::claimed(None, &request("a", 1), NOW);
    let later = NOW.plus(LEASE_SECONDS + 1);
    let since = |known: &PaymentRecord, resource: &str| {
        PaymentRecord::claimed(Some(known), &request(resource, 2), later).claimed_at
    };
    assert_eq!(since(&first, "a"), NOW);
    assert_eq!(since(&first, "b"), later);
    let failed =
        PaymentRecord { state: State::Failed { reason: Reason::InsufficientFunds }, ..first };
    assert_eq!(since(&failed, "a"), later);
}

#[test]
fn what_is_public_stays_with_whoever_shows_the_proof_of_then() {
    let shows = |name: &str, client: &str| Proof {
        identifier: Some(name.into()),
        client: Some(client.into()),
    };
    let asks = |proof: &Proof| ClaimRequest { proof: proof.clone(), ..request("a", 2) };
    let first = PaymentRecord::claimed(None, &asks(&shows("n", "home")), NOW);
    let public = PaymentRecord { was_sent: true, ..first.clone() };
    let proof = |known: &PaymentRecord, shown: &Proof| {
        PaymentRecord::claimed(Some(known), &asks(shown), NOW).proof
    };
    // Known by the name, it is known by its new address from now on.
    let moved = shows("n", "away");
    assert_eq!(proof(&public, &moved), moved);
    let observer = shows("m", "elsewhere");
    assert_eq!(proof(&public, &observer), first.proof);
    // Nobody has seen it yet.
    assert_eq!(proof(&first, &observer), observer);
}

#[test]
fn what_a_redirect_has_sent_on_is_not_for_a_request_that_asks_for_its_own() {
    let mut record = PaymentRecord::claimed(None, &request("a", 9), NOW);
    record.moved = vec!["b".into()];
    for (resource, only_here, is_for) in
        [("a", false, true), ("a", true, true), ("b", false, true), ("b", true, false)]
    {
        let asked = ClaimRequest { only_here, ..request(resource, 2) };
        assert_eq!(record.is_for(&asked), is_for, "{resource} {only_here}");
    }
}

#[test]
fn what_a_restart_orphaned_is_free_for_the_same_resource_only() {
    let orphan = PaymentRecord::claimed(None, &request("a", 9), NOW);
    let claim = |resource: &str, redeliver_max| {
        let request = ClaimRequest { redeliver_max, ..request(resource, 2) };
        PaymentRecord::claim(Some(&orphan), &request, NOW, |ticket| ticket == 1)
    };
    assert_eq!(claim("a", 1), Claim::Fresh);
    assert_eq!(claim("b", 1), Claim::OtherResource);
    assert_eq!(claim("a", 0), Claim::InFlight, "its origin may still work");
}

#[test]
fn a_settled_payment_buys_its_resource_again_until_its_window_ends() {
    let mut known = PaymentRecord::claimed(None, &request("a", 1), NOW);
    let settlement = Settlement {
        transaction: "0x1".into(),
        payer: "0x2".into(),
        amount: AtomicAmount(1),
        settled_at: NOW,
        redeliver_until: NOW.plus(600),
    };
    known.state = State::Settled(settlement.clone());
    assert_eq!(claim(&known, "a", NOW.plus(599)), Claim::Settled(settlement));
    assert_eq!(claim(&known, "a", NOW.plus(600)), Claim::OtherResource);
    assert_eq!(claim(&known, "b", NOW), Claim::OtherResource);
    assert_eq!(known.keep_until(), NOW.plus(600));
    // What was not delivered can be collected, and is kept, for longer.
    known.delivery = Delivery::begin(None, true, NOW);
    assert!(matches!(claim(&known, "a", NOW.plus(600)), Claim::Settled(_)));
    assert_eq!(known.keep_until(), NOW.plus(86_400));
    known.delivery.end(1, Ending::Whole);
    assert_eq!(known.keep_until(), NOW.plus(600));
    known.state = State::Failed { reason: Reason::InvalidTransactionState };
    assert_eq!(claim(&known, "b", NOW), Claim::Fresh);
}

#[test]
fn what_was_never_paid_is_forgotten_after_an_hour() {
    let far = ClaimRequest { expires_at: NOW.plus(1_000_000), ..request("a", 1) };
    let mut known = PaymentRecord::claimed(None, &far, NOW);
    assert_eq!(known.keep_until(), NOW.plus(LEASE_SECONDS + 3_600));
    known.state = State::Failed { reason: Reason::InsufficientFunds };
    assert_eq!(known.keep_until(), NOW.plus(3_600));
    let mut near = PaymentRecord::claimed(None, &request("a", 1), NOW);
    assert_eq!(near.keep_until(), NOW.plus(300));
    near.state = State::Failed { reason: Reason::InsufficientFunds };
    assert_eq!(near.keep_until(), NOW.plus(300));
}
