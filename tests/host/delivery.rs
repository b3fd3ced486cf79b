//! What was paid for: who gets it, how often, and who never does.

use std::rc::Rc;

use edge402::config::SettleWhen;
use edge402::protocol::Reason;
use edge402::settlement::delivery::{COLLECT_SECONDS, DeliveryState, PROVEN_MAX, UNPROVEN_MAX};
use edge402::settlement::types::LEASE_SECONDS;
use edge402::settlement::{
    ClaimReply, ClaimRequest, DeliveryReport, Ending, Proof, RenewRequest, State, Wanted,
};

use crate::sim::{Answer, Buyer, Kv, Origin, Payment, REDELIVER, Setup, World, shows};

const DUPLICATE: Answer = Answer::Refused(Reason::DuplicateSettlement);

fn world() -> Rc<World> {
    World::new(&Setup { block_ms: 500, ..Setup::default() })
}

/// A request like most: delivered again three times at most.
fn buyer(world: &Rc<World>, number: u8) -> Buyer {
    let payment = Payment::new(number, number, 600);
    Buyer { redeliver_max: 3, ..Buyer::new(world, &payment, "a") }
}

fn state(buyer: &Buyer) -> DeliveryState {
    buyer.world.tables.record(&buyer.payment.id).unwrap().delivery.state
}

fn is_settled(buyer: &Buyer) -> bool {
    let record = buyer.world.tables.record(&buyer.payment.id);
    matches!(record.map(|it| it.state), Some(State::Settled(_)))
}

/// How often each of these gets it, asking until nobody does; and with a grant.
fn all_that_is_given(who: &Buyer) -> (usize, usize) {
    let (mut goods, mut grants) = (0, 0);
    for _ in 0..30 {
        if who.now().is_delivery() {
            goods += 1;
            grants += usize::from(who.granted.get());
        }
    }
    (goods, grants)
}

#[test]
fn what_was_delivered_is_not_an_observers() {
    for stream_ms in [0, 3_000] {
        let world = world();
        let buyer = Buyer { stream_ms, ..buyer(&world, 1) };
        assert!(buyer.now().is_delivery());
        assert!(buyer.granted.get());
        // While it streams an observer waits, and then gets nothing.
        assert_eq!(buyer.observer().now(), DUPLICATE);
        assert_eq!(all_that_is_given(&buyer.observer()), (0, 0));
        assert_eq!(state(&buyer), DeliveryState::Delivered { to_buyer: true });
        // Nor does one that shows nothing at all.
        let nobody = Buyer { proof: Proof::default(), ..buyer.observer() };
        assert_eq!(all_that_is_given(&nobody), (0, 0));
        assert_eq!(world.asked.get(), 1, "the origin works for nobody else");
    }
}

#[test]
fn a_buyer_who_is_known_again_gets_it_as_often_as_the_route_says() {
    for max in [0, 1, 3] {
        let world = world();
        let buyer = Buyer { redeliver_max: max, ..buyer(&world, 1) };
        assert!(buyer.now().is_delivery());
        let again = usize::try_from(max).unwrap();
        assert_eq!(all_that_is_given(&buyer), (again, again));
    }
    let world = world();
    let buyer = buyer(&world, 2);
    assert!(buyer.now().is_delivery());
    world.run_for(1_000 * REDELIVER);
    assert_eq!(buyer.now(), DUPLICATE, "its window is over");
}

#[test]
fn one_thing_of_the_claims_is_proof_enough_and_nothing_is_none() {
    let world = world();
    let named = |name: &str, client: &str| Proof {
        identifier: (!name.is_empty()).then(|| name.to_owned()),
        client: (!client.is_empty()).then(|| client.to_owned()),
    };
    let first = Buyer { proof: named("n", "c"), ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    for (proof, is_known) in [
        (named("n", "x"), true),
        (named("", "c"), true),
        (named("x", "c"), true),
        (named("x", "x"), false),
        (named("c", "n"), false),
        (named("", ""), false),
    ] {
        let again = Buyer { proof: proof.clone(), ..first.clone() };
        // A second name for a payment is taken, and is no proof.
        assert_eq!(again.now().is_delivery(), is_known, "{proof:?}");
    }
    let nameless = Buyer { proof: Proof::default(), ..buyer(&world, 2) };
    assert!(nameless.now().is_delivery());
    assert_eq!(nameless.now(), DUPLICATE, "two that show nothing are not the same");
}

#[test]
fn an_answer_that_broke_off_is_had_again() {
    let world = world();
    let first = Buyer { breaks: true, stream_ms: 500, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    world.run_for(1_000);
    assert_eq!(state(&first), DeliveryState::NotDelivered);
    let whole = Buyer { breaks: false, ..first.clone() };
    // By whoever asks, once; but no grant goes to one who only knows the payment.
    let observer = whole.observer();
    assert_eq!(all_that_is_given(&observer), (1, 0));
    assert_eq!(state(&first), DeliveryState::Delivered { to_buyer: false });
    // That is not at the cost of the buyer's own, even where nothing is
    // delivered again.
    let strict = Buyer { redeliver_max: 0, ..whole };
    assert_eq!(all_that_is_given(&strict), (1, 1));
    assert_eq!(all_that_is_given(&observer), (0, 0));
}

#[test]
fn answers_that_break_off_on_purpose_come_to_an_end() {
    let world = world();
    let first = Buyer { breaks: true, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    assert_eq!(all_that_is_given(&first.observer()).0, usize::try_from(UNPROVEN_MAX).unwrap());
    let max = usize::try_from(PROVEN_MAX).unwrap();
    assert_eq!(all_that_is_given(&first).0, max - 1);
}

#[test]
fn a_gate_that_dies_frees_what_it_delivered() {
    let world = world();
    let first = Buyer { dies: true, redeliver_max: 0, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    let waiting = first.observer().start();
    world.run_for(20_000);
    assert!(waiting.borrow().is_none(), "it waits");
    assert_eq!(world.take(&waiting), Answer::Busy, "and is told to come again");
    world.run_for(1_000 * LEASE_SECONDS);
    let again = Buyer { dies: false, ..first.clone() };
    assert_eq!(all_that_is_given(&again), (1, 1));
}

#[test]
fn who_waits_for_a_claim_whose_holder_has_died_has_it_when_its_lease_ends() {
    let world = world();
    let claim = world.claim_request(&buyer(&world, 1).payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    world.run_for(1_000 * (LEASE_SECONDS - 20));
    let (again, settler) = (ClaimRequest { ticket: world.ticket(), ..claim }, world.settler());
    let waiting = world.start(async move { settler.claim(&again).await.unwrap() });
    world.run_for(18_000);
    assert!(waiting.borrow().is_none());
    // It would wait for five seconds longer for what is still under way.
    world.run_for(3_000);
    assert_eq!(waiting.borrow_mut().take(), Some(ClaimReply::Fresh));
}

#[test]
fn a_long_answer_keeps_its_lease() {
    let world = world();
    let first = Buyer { stream_ms: 3_600_000, redeliver_max: 0, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    for _ in 0..20 {
        let answer = first.observer().now();
        assert_eq!(answer, Answer::Busy);
        world.run_for(150_000);
    }
    world.run_for(3_600_000);
    assert_eq!(state(&first), DeliveryState::Delivered { to_buyer: true });
    assert_eq!(first.observer().now(), DUPLICATE);
}

#[test]
fn a_slow_origin_is_asked_once() {
    let world = world();
    let first = Buyer { origin_ms: 40_000, ..buyer(&world, 1) };
    let answer = first.start();
    world.run_for(33_000);
    let second = first.now();
    let first_one = world.take(&answer);
    assert!(first_one.is_delivery(), "{first_one:?}");
    assert!(second.is_delivery() || second == Answer::Busy, "{second:?}");
    let asked = 1 + usize::from(second.is_delivery());
    assert_eq!(world.asked.get(), asked, "for one purchase once");
    assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
}

#[test]
fn a_claim_that_a_restart_has_lost_sight_of_is_no_second_delivery() {
    for stream_ms in [0, 20_000] {
        for redeliver_max in [0, 1] {
            let world = world();
            let first = Buyer { redeliver_max, origin_ms: 10_000, ..buyer(&world, 1) };
            let answer = first.start();
            world.run_for(1_500);
            world.crash();
            let second = Buyer { origin_ms: 50, stream_ms, ..first.clone() };
            let given = [second.now(), world.take(&answer)];
            let given = given.iter().filter(|it| it.is_delivery()).count();
            let most = 1 + usize::try_from(redeliver_max).unwrap();
            assert_eq!(given, most, "{stream_ms} {redeliver_max}");
            assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
        }
    }
}

#[test]
fn an_origin_that_fails_after_the_settlement_costs_nobody_anything() {
    for origin in [Origin::Down, Origin::Error] {
        let world = world();
        let failed =
            Buyer { when: SettleWhen::Before, origin, redeliver_max: 0, ..buyer(&world, 1) };
        assert_eq!(failed.now(), Answer::NotDelivered);
        // However often, by whomever.
        for _ in 0..20 {
            assert_eq!(failed.now(), Answer::NotDelivered);
            assert_eq!(failed.observer().now(), Answer::NotDelivered);
        }
        world.run_for(1_000 * REDELIVER + 1_000);
        let good = Buyer { origin: Origin::Good, ..failed };
        assert_eq!(all_that_is_given(&good), (1, 1));
        assert_eq!(all_that_is_given(&good.observer()), (0, 0));
        assert_eq!(world.chain.borrow().transfers_of(&good.payment).len(), 1);
    }
}

#[test]
fn what_was_not_delivered_can_be_collected_for_a_day() {
    for (late, is_given) in [(COLLECT_SECONDS - 60, true), (COLLECT_SECONDS + 60, false)] {
        let world = World::new(&Setup { block_ms: 12_000, ..Setup::default() });
        let failed = Buyer {
            when: SettleWhen::Before,
            origin: Origin::Down,
            redeliver_seconds: 0,
            redeliver_max: 0,
            ..buyer(&world, 1)
        };
        assert_eq!(failed.now(), Answer::NotDelivered);
        world.run_for(1_000 * late);
        world.settler().wake().unwrap();
        let good = Buyer { origin: Origin::Good, ..failed };
        assert_eq!(all_that_is_given(&good).0, usize::from(is_given));
        assert_eq!(world.chain.borrow().transfers_of(&good.payment).len(), 1);
    }
}

#[test]
fn what_was_pending_is_collected_where_nothing_is_delivered_again() {
    let world = World::new(&Setup { block_ms: 40_000, ..Setup::default() });
    let first = Buyer { redeliver_seconds: 0, redeliver_max: 0, ..buyer(&world, 1) };
    assert!(matches!(first.now(), Answer::Pending(_)));
    world.run_for(60_000);
    assert!(is_settled(&first));
    assert_eq!(all_that_is_given(&first), (1, 1));
}

#[test]
fn an_observer_who_asks_at_any_time_gets_nothing_of_a_good_delivery() {
    for at in (0..4_000).step_by(50) {
        let world = world();
        let first = Buyer { stream_ms: 1_000, origin_ms: 500, ..buyer(&world, 1) };
        let answer = first.start();
        world.run_for(at);
        // Before it is on chain nobody can know it.
        let is_public = !world.chain.borrow().transfers_of(&first.payment).is_empty()
            || !world.chain.borrow().pool.is_empty();
        let observers: Vec<_> =
            if is_public { (0..3).map(|_| first.observer().start()).collect() } else { vec![] };
        assert!(world.take(&answer).is_delivery());
        for observer in &observers {
            assert_eq!(world.take(observer), DUPLICATE, "at {at}");
        }
        assert_eq!(all_that_is_given(&first), (3, 3));
    }
}

/// The gate renews its lease after 20 seconds, whoever it waits for.
#[test]
fn who_was_told_to_come_back_finds_nobody_in_the_way() {
    for redeliver_max in [0, 1_000] {
        let world = world();
        world.chain.borrow_mut().min_fee = 90_000_000_000;
        let first = Buyer { redeliver_max, ..buyer(&world, 1) };
        assert!(matches!(first.now(), Answer::Pending(_)));
        world.chain.borrow_mut().min_fee = 0;
        world.run_for(4_000);
        assert!(is_settled(&first));
        assert_eq!(state(&first), DeliveryState::NotDelivered);
        let asked_at = world.clock.now_ms();
        assert!(first.now().is_delivery());
        assert!(world.clock.now_ms() - asked_at < 1_000);
    }
}

#[test]
fn whatever_dies_the_buyer_gets_it_and_an_observer_at_most_once() {
    for crash_at in (0..4_000).step_by(50) {
        for when in [SettleWhen::After, SettleWhen::Before] {
            let world = world();
            let first = Buyer {
                when,
                stream_ms: 700,
                origin_ms: 300,
                redeliver_max: 0,
                ..buyer(&world, 1)
            };
            let answer = first.start();
            world.run_for(crash_at);
            world.crash();
            world.run_for(40_000);
            let first_got = answer.borrow().as_ref().is_some_and(Answer::is_delivery);
            let (mut bought, mut observed) = (usize::from(first_got), 0);
            for _ in 0..10 {
                if !world.chain.borrow().transfers_of(&first.payment).is_empty() {
                    observed += usize::from(first.observer().now().is_delivery());
                }
                bought += usize::from(first.now().is_delivery());
                world.run_for(40_000);
            }
            assert!(observed <= 1, "{crash_at} {when:?}: {observed}");
            assert!((1..=2).contains(&bought), "{crash_at} {when:?}: {bought}");
            assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
        }
    }
}

#[test]
fn where_the_settler_is_silent_kv_serves_those_who_are_known_again() {
    let world = world();
    let first = buyer(&world, 1);
    let strict = Buyer { redeliver_max: 0, ..buyer(&world, 2) };
    let unwritten = buyer(&world, 3);
    assert!(first.now().is_delivery());
    assert!(strict.now().is_delivery());
    world.kv_does.set(Kv::Unwritten);
    assert!(unwritten.now().is_delivery());
    world.run_for(1_000);
    world.tables.is_broken.set(true);
    assert!(first.now().is_delivery());
    assert!(first.granted.get());
    assert_eq!(first.observer().now(), Answer::Broken, "try again");
    assert_eq!(strict.now(), Answer::Broken, "only the Settler can count");
    assert_eq!(unwritten.now(), Answer::Broken);
    let other = Buyer { resource: "b".into(), ..first.clone() };
    assert_eq!(other.now(), DUPLICATE);
    world.kv_does.set(Kv::Unread);
    assert_eq!(first.now(), Answer::Broken);
    world.tables.is_broken.set(false);
    assert!(first.now().is_delivery());
    assert_eq!(first.observer().now(), DUPLICATE);
    world.run_for(1_000 * REDELIVER);
    world.kv_does.set(Kv::Well);
    world.tables.is_broken.set(true);
    assert_eq!(first.now(), Answer::Broken, "its window is over");
}

#[test]
fn what_kv_knows_to_be_used_is_not_sold_again() {
    let world = world();
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    world.run_for(1_000);
    // The Settler has lost it, or is another one.
    world.tables.load(Default::default());
    assert_eq!(first.observer().now(), DUPLICATE);
    assert!(world.tables.record(&first.payment.id).is_none(), "the claim was released");
    // Not even to its buyer: nobody counts how often.
    assert_eq!(first.now(), DUPLICATE);
    assert_eq!(Buyer { resource: "b".into(), ..first.clone() }.now(), DUPLICATE);
    assert_eq!(world.asked.get(), 1);
    assert!(world.tables.record(&first.payment.id).is_none());
    assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
}

#[test]
fn a_retry_for_the_same_resource_is_bound_since_the_first_claim() {
    let world = world();
    let payment = Payment::new(1, 1, 600);
    let claim = |resource: &str| {
        let request = world.claim_request(&payment, resource);
        assert_eq!(world.claim(&request), ClaimReply::Fresh);
        world.tables.record(&payment.id).unwrap().claimed_at
    };
    let first = claim("a");
    world.run_for(1_000 * LEASE_SECONDS);
    assert_eq!(claim("a"), first);
    world.run_for(1_000 * LEASE_SECONDS);
    // For another one it begins anew: what paid for that is no payment for this.
    assert_eq!(claim("b"), first.plus(2 * LEASE_SECONDS));
}

#[test]
fn what_the_origin_has_elsewhere_is_had_there_for_the_same_payment() {
    let world = world();
    let at = |resource: &str, origin| Buyer {
        when: SettleWhen::Before,
        resource: resource.into(),
        origin,
        redeliver_max: 1,
        ..buyer(&world, 1)
    };
    assert_eq!(at("a", Origin::Elsewhere(Some("b"))).now(), Answer::NotDelivered);
    assert_eq!(at("c", Origin::Good).now(), DUPLICATE);
    // Each may lead on, and back, to three others in all.
    for (from, to) in [("b", "c"), ("c", "a"), ("a", "b"), ("c", "d"), ("d", "e")] {
        let answer = at(from, Origin::Elsewhere(Some(to))).now();
        assert_eq!(answer, Answer::NotDelivered, "{from}");
    }
    assert_eq!(at("e", Origin::Good).now(), DUPLICATE);
    assert!(at("d", Origin::Good).now().is_delivery());
    assert_eq!(world.chain.borrow().transfers_of(&at("a", Origin::Good).payment).len(), 1);
    // It is one purchase, wherever it is had.
    assert_eq!(all_that_is_given(&at("d", Origin::Good).observer()), (0, 0));
    assert_eq!(all_that_is_given(&at("a", Origin::Good).observer()), (0, 0));
    assert_eq!(all_that_is_given(&at("a", Origin::Good)), (1, 1));
    assert_eq!(all_that_is_given(&at("c", Origin::Good)), (0, 0));
}

#[test]
fn what_costs_something_else_is_had_where_it_was_paid_for() {
    let world = world();
    let first = Buyer {
        when: SettleWhen::Before,
        origin: Origin::Elsewhere(None),
        redeliver_max: 0,
        ..buyer(&world, 1)
    };
    assert_eq!(first.now(), Answer::NotDelivered);
    assert_eq!(Buyer { resource: "b".into(), ..first.clone() }.now(), DUPLICATE);
    assert_eq!(all_that_is_given(&Buyer { origin: Origin::Good, ..first }), (1, 1));
}

#[test]
fn only_a_request_that_gets_the_answer_can_move_it() {
    let world = world();
    let first = Buyer { stream_ms: 60_000, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    let report = |ticket| DeliveryReport {
        payment: first.payment.id.clone(),
        ticket,
        ending: Ending::Nothing,
        moved_to: Some("b".into()),
    };
    world.settler().report(&report(u64::MAX)).unwrap();
    assert!(world.tables.record(&first.payment.id).unwrap().moved.is_empty());
}

/// A payment that was sent, and failed on chain.
fn failed_on_chain(world: &Rc<World>, buyer: &Buyer) {
    world.chain.borrow_mut().poisoned.insert([1; 32]);
    assert_eq!(buyer.now(), Answer::Refused(Reason::InvalidTransactionState));
    world.chain.borrow_mut().poisoned.clear();
    assert!(world.tables.record(&buyer.payment.id).unwrap().was_sent);
}

#[test]
fn what_failed_on_chain_is_no_observers_claim() {
    for when in [SettleWhen::After, SettleWhen::Before] {
        let world = world();
        let first = Buyer { when, stream_ms: 700, ..buyer(&world, 1) };
        failed_on_chain(&world, &first);
        let observer = first.observer();
        // It could buy something else, or for nothing but looking on.
        let elsewhere = Buyer { resource: "b".into(), ..observer.clone() };
        assert_eq!(elsewhere.now(), DUPLICATE);
        // The buyer may have moved: the seller is paid, and the answer goes out.
        assert_eq!(all_that_is_given(&observer), (1, 0), "once, without a grant");
        assert_eq!(state(&first), DeliveryState::Delivered { to_buyer: false });
        // The buyer has it all the same, as often as the route says.
        assert_eq!(all_that_is_given(&first), (4, 4));
        assert_eq!(all_that_is_given(&observer), (0, 0));
        assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
        // Nor does an edge take the observer for the buyer.
        world.tables.is_broken.set(true);
        assert_eq!(observer.now(), Answer::Broken);
    }
}

#[test]
fn what_failed_on_chain_is_still_the_buyers() {
    let world = world();
    let first = buyer(&world, 1);
    failed_on_chain(&world, &first);
    // One whose origin fails gives the claim up, and changes nothing.
    let observer = Buyer { origin: Origin::Error, ..first.observer() };
    assert_eq!(observer.now(), Answer::Released);
    assert_eq!(Buyer { resource: "b".into(), ..first.observer() }.now(), DUPLICATE);
    // Nor does one whose gate dies.
    let claim =
        ClaimRequest { proof: shows("an observer"), ..world.claim_request(&first.payment, "a") };
    assert_eq!(world.claim(&claim), ClaimReply::Unproven);
    world.crash();
    world.run_for(1_000 * LEASE_SECONDS);
    let other = Buyer { resource: "b".into(), ..first.clone() };
    assert!(other.now().is_delivery(), "the buyer may buy something else");
    assert!(other.granted.get());
    assert_eq!(all_that_is_given(&other.observer()), (0, 0));
    assert_eq!(state(&first), DeliveryState::Delivered { to_buyer: true });
}

#[test]
fn what_failed_on_chain_and_is_let_go_may_be_the_buyers_for_something_else_at_once() {
    let world = world();
    let first = buyer(&world, 1);
    failed_on_chain(&world, &first);
    let gone = Buyer { origin: Origin::Error, ..first.clone() };
    assert_eq!(gone.now(), Answer::Released);
    let other = Buyer { resource: "b".into(), ..first.clone() };
    assert!(other.now().is_delivery());
    assert_eq!(world.chain.borrow().transfers_of(&first.payment).len(), 1);
}

#[test]
fn a_claim_is_kept_for_its_own_request_alone() {
    let world = world();
    let claim = world.claim_request(&buyer(&world, 1).payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let renew = |ticket| {
        let payment = claim.payment.clone();
        world.settler().renew(&RenewRequest { payment, ticket, seconds: 120, used: None }).unwrap()
    };
    assert!(!renew(claim.ticket + 1));
    assert!(renew(claim.ticket));
    world.run_for(1_000 * LEASE_SECONDS);
    let other = ClaimRequest { ticket: world.ticket(), resource: "b".into(), ..claim.clone() };
    assert_eq!(world.claim(&other), ClaimReply::Refused(Reason::DuplicateSettlement));
}

#[test]
fn that_a_payment_was_sent_is_known_as_long_as_it_can_land() {
    let world = world();
    let payment = Payment::new(1, 1, 20_000);
    let first = Buyer::new(&world, &payment, "a");
    failed_on_chain(&world, &first);
    for origin in [Origin::Good, Origin::Error] {
        world.run_for(4_000_000);
        world.settler().wake().unwrap();
        let elsewhere = Buyer { resource: "b".into(), origin, ..first.observer() };
        assert_eq!(elsewhere.now(), DUPLICATE);
        assert_eq!(Buyer { origin: Origin::Error, ..first.observer() }.now(), Answer::Released);
    }
}

#[test]
fn the_last_claim_is_whose_proof_counts() {
    let world = world();
    let gone = buyer(&world, 1);
    let given_up = Buyer { origin: Origin::Error, ..gone.clone() };
    assert_eq!(given_up.now(), Answer::Released);
    let other = Buyer { proof: shows("another place"), ..gone.clone() };
    assert!(other.now().is_delivery());
    assert!(other.now().is_delivery());
    assert_eq!(gone.now(), DUPLICATE);
}

#[test]
fn a_name_is_kept_for_who_claims_and_for_nobody_else() {
    let world = world();
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    let named = |name: &str| Proof { identifier: Some(name.to_owned()), client: None };
    let observer = Buyer { proof: named("somebody else's name"), ..first.observer() };
    assert_eq!(observer.now(), DUPLICATE);
    // The name is still free for a payment that is claimed by it.
    let owner = Buyer { proof: named("somebody else's name"), ..buyer(&world, 2) };
    assert!(owner.now().is_delivery());
    let late = Buyer { proof: named("somebody else's name"), ..buyer(&world, 3) };
    assert_eq!(late.now(), Answer::IdentifierTaken);
}

#[test]
fn a_few_wait_for_one_payment_and_the_rest_hear_at_once_that_it_is_busy() {
    let world = world();
    let claim = world.claim_request(&buyer(&world, 1).payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let ask = |proof: &Proof| {
        let (ticket, proof) = (world.ticket(), proof.clone());
        let claim = ClaimRequest { ticket, proof, ..claim.clone() };
        let settler = world.settler();
        world.start(async move { settler.claim(&claim).await.unwrap() })
    };
    let observer = shows("an observer");
    let watching: Vec<_> = (0..64).map(|_| ask(&observer)).collect();
    let start = world.clock.now_ms();
    let is_busy = |handle| world.take(&handle) == ClaimReply::Busy;
    assert!(is_busy(ask(&observer)));
    // They can't keep the buyer out, who has as many places besides.
    let retries: Vec<_> = (0..64).map(|_| ask(&claim.proof)).collect();
    assert!(is_busy(ask(&claim.proof)));
    assert!(is_busy(ask(&observer)));
    assert!(world.clock.now_ms() - start < 1_000);
    // Those that wait get what becomes of it.
    world.release(&claim);
    let all = watching.iter().chain(&retries);
    assert_eq!(all.filter(|it| world.take(it) == ClaimReply::Fresh).count(), 1);
}

#[test]
fn what_is_collected_late_is_not_delivered_again_meanwhile() {
    let world = world();
    let first = Buyer { dies: true, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    world.run_for(1_000 * (REDELIVER + LEASE_SECONDS));
    let late = Buyer { dies: false, stream_ms: 50_000, ..first };
    assert!(late.now().is_delivery());
    world.run_for(1_000);
    let asked = world.asked.get();
    assert_eq!(late.now(), Answer::Busy, "the window is over, and it is underway");
    world.run_for(30_000);
    assert_eq!(late.now(), Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.asked.get(), asked);
}

#[test]
fn the_origin_is_told_the_transaction_once_there_is_one() {
    for (when, first) in [(SettleWhen::After, false), (SettleWhen::Before, true)] {
        let world = world();
        let buyer = Buyer { when, ..buyer(&world, 1) };
        let Answer::Delivered(settlement) = buyer.now() else { panic!("{when:?}") };
        assert!(buyer.now().is_delivery(), "again");
        let cookie = Buyer { by_cookie: Some(Wanted::Whole), ..buyer.clone() };
        let part = Buyer { by_cookie: Some(Wanted::Part), ..buyer.clone() };
        assert!(cookie.now().is_delivery() && part.now().is_delivery());
        let transaction = Some(settlement.transaction);
        let told = buyer.told.borrow();
        assert_eq!(told[0], transaction.clone().filter(|_| first), "{when:?}");
        assert_eq!(told[1..], [transaction.clone(), transaction.clone(), transaction]);
    }
}
