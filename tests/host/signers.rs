//! Payments that were claimed before the signers were changed, and after.

use std::rc::Rc;

use edge402::config::SettleWhen;
use edge402::evm::Address;
use edge402::protocol::Reason;
use edge402::settlement::messages::RESERVE_SECONDS;
use edge402::settlement::types::LEASE_SECONDS;
use edge402::settlement::{ClaimReply, ClaimRequest, Proof, State};

use crate::sim::chain::Code;
use crate::sim::{Answer, Buyer, Kv, Origin, Payment, Setup, World, shows};

const DUPLICATE: Answer = Answer::Refused(Reason::DuplicateSettlement);

fn world() -> Rc<World> {
    World::new(&Setup { block_ms: 500, ..Setup::default() })
}

fn buyer(world: &Rc<World>, number: u8) -> Buyer {
    let payment = Payment::new(number, number, 600);
    Buyer { redeliver_max: 3, ..Buyer::new(world, &payment, "a") }
}

/// How many transfers the chain has made for a payment.
fn transfers(buyer: &Buyer) -> usize {
    transfers_of(&buyer.world, &buyer.payment)
}

fn transfers_of(world: &World, payment: &Payment) -> usize {
    world.chain.borrow().transfers_of(payment).len()
}

/// How often these get it, asking until nobody does.
fn times_given(who: &Buyer) -> usize {
    (0..10).filter(|_| who.now().is_delivery()).count()
}

#[test]
fn what_was_delivered_before_is_delivered_again_by_who_knows_it() {
    let world = world();
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    let former = world.replace_signer(false);
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(Buyer { resource: "b".into(), ..first.clone() }.now(), DUPLICATE);
    assert_eq!(times_given(&first), 3, "it is counted");
    assert!(world.tables.record(&first.payment.id).is_none(), "the claim was released");
    assert!(matches!(former.tables.record(&first.payment.id).unwrap().state, State::Settled(_)));
    assert_eq!(transfers(&first), 1);
}

#[test]
fn what_was_not_delivered_before_is_had_without_proof() {
    let world = world();
    let first = Buyer { dies: true, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    world.replace_signer(false);
    world.run_for(1_000 * LEASE_SECONDS);
    let moved = Buyer { dies: false, proof: Proof::default(), ..first.clone() };
    assert_eq!(times_given(&moved), 1, "the answer's end was reported where it was begun");
    assert_eq!(world.asked.get(), 2);
    assert_eq!(transfers(&first), 1);
}

#[test]
fn a_long_answer_keeps_its_lease_where_it_was_begun() {
    let world = world();
    let first = Buyer { dies: true, redeliver_max: 0, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    world.replace_signer(false);
    world.run_for(1_000 * LEASE_SECONDS);
    let again = Buyer { dies: false, stream_ms: 200_000, ..first };
    assert!(again.now().is_delivery());
    world.run_for(100_000);
    assert_eq!(again.observer().now(), Answer::Unavailable);
    world.run_for(100_000);
    assert_eq!(again.observer().now(), DUPLICATE);
}

#[test]
fn what_is_on_its_way_with_the_former_signer_is_waited_for() {
    let world = World::new(&Setup { block_ms: 40_000, ..Setup::default() });
    let first = buyer(&world, 1);
    assert!(matches!(first.now(), Answer::Pending(_)));
    world.replace_signer(false);
    let second = first.start();
    world.run_for(1_000);
    assert!(second.borrow().is_none(), "it waits");
    assert!(world.take(&second).is_delivery());
    assert_eq!(transfers(&first), 1);
}

#[test]
fn one_that_can_not_be_reached_may_have_sold_it() {
    let world = world();
    let (known, unknown) = (buyer(&world, 1), buyer(&world, 2));
    assert!(known.now().is_delivery());
    let former = world.replace_signer(false);
    former.tables.is_broken.set(true);
    for who in [&unknown, &known.observer()] {
        assert_eq!(who.now(), Answer::Unavailable);
        assert!(world.tables.record(&who.payment.id).is_none(), "the claim was released");
    }
    // As where the payment's own Settler is silent.
    assert!(known.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    assert_eq!(known.now(), Answer::Unavailable);
    former.tables.is_broken.set(false);
    assert!(known.now().is_delivery());
    assert!(unknown.now().is_delivery());
    // What its own Settler has sold no other one can know better.
    former.tables.is_broken.set(true);
    assert!(unknown.now().is_delivery());
    assert_eq!(unknown.observer().now(), DUPLICATE);
    assert_eq!((transfers(&known), transfers(&unknown)), (1, 1));
}

#[test]
fn one_that_knows_it_serves_it_where_the_new_owner_is_silent() {
    let world = world();
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    world.replace_signer(false);
    world.tables.is_broken.set(true);
    assert!(first.now().is_delivery());
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(buyer(&world, 2).now(), Answer::Broken);
}

#[test]
fn of_several_the_one_that_has_sold_it_counts() {
    let world = world();
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    world.replace_signer(false);
    let silent = world.replace_signer(false);
    silent.tables.is_broken.set(true);
    assert!(first.now().is_delivery());
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(buyer(&world, 2).now(), Answer::Unavailable);
}

#[test]
fn what_nobody_knows_is_sold_by_its_owner_and_by_nobody_else() {
    let world = world();
    let former = world.replace_signer(true);
    let first = buyer(&world, 1);
    let old_version = Buyer { world: Rc::clone(&former), ..first.observer() };
    // Long at work, so that the former one's claim could come in between.
    let answer = Buyer { origin_ms: 20_000, ..first.clone() }.start();
    world.run_for(1_000);
    let start = world.clock.now_ms();
    assert_eq!(old_version.now(), Answer::Busy);
    assert_eq!(Buyer { resource: "b".into(), ..old_version.clone() }.now(), Answer::Busy);
    assert!(world.clock.now_ms() - start < 1_000, "at once");
    // Not even a restart forgets it.
    former.crash();
    assert_eq!(old_version.now(), Answer::Busy);
    assert!(world.take(&answer).is_delivery());
    world.run_for(1_000 * RESERVE_SECONDS);
    assert_eq!(old_version.now(), Answer::Refused(Reason::EvmNonceUsed));
    assert_eq!(transfers(&first), 1);
}

#[test]
fn a_version_of_before_and_one_of_after_sell_it_once() {
    for when in [SettleWhen::After, SettleWhen::Before] {
        for at in (0..2_500).step_by(50) {
            for is_old_first in [true, false] {
                let world = world();
                let former = world.replace_signer(true);
                let new = Buyer { when, redeliver_max: 0, origin_ms: 700, ..buyer(&world, 1) };
                let old = Buyer { world: former, ..new.observer() };
                let (early, late) = if is_old_first { (&old, &new) } else { (&new, &old) };
                let first = early.start();
                world.run_for(at);
                let second = late.start();
                let answers = [world.take(&first), world.take(&second)];
                let given = answers.iter().filter(|it| it.is_delivery()).count();
                assert_eq!(given, 1, "{when:?} {at} {is_old_first}: {answers:?}");
                assert_eq!(transfers(&new), 1);
            }
        }
    }
}

#[test]
fn a_purchase_that_takes_long_is_kept_from_others_all_the_time() {
    let world = world();
    let former = world.replace_signer(true);
    let new = Buyer { origin_ms: 400_000, ..buyer(&world, 1) };
    let old = Buyer { world: Rc::clone(&former), origin_ms: 50, ..new.clone() };
    let answer = new.start();
    for _ in 0..39 {
        world.run_for(10_000);
        assert_eq!(old.now(), Answer::Busy);
    }
    assert!(world.take(&answer).is_delivery());
    assert_eq!(world.asked.get(), 1);
    assert_eq!(transfers(&new), 1);
}

#[test]
fn a_former_settler_that_keeps_a_beat_waiting_costs_no_lease() {
    let world = world();
    let former = world.replace_signer(true);
    let new = Buyer { origin_ms: 200_000, redeliver_max: 0, ..buyer(&world, 1) };
    let answer = new.start();
    world.run_for(1_000);
    // Nobody knows there of the claim here any more, and somebody claims it.
    former.tables.take();
    let old = Buyer { world: Rc::clone(&former), origin: Origin::Error, ..new.clone() };
    let failing = Buyer { origin_ms: 190_000, ..old }.start();
    for _ in 0..5 {
        world.run_for(10_000);
        let ClaimReply::Busy = world.claim(&world.claim_request(&new.payment, "a")) else {
            panic!("the lease has run out")
        };
    }
    world.run_for(30_000);
    assert!(failing.borrow().is_some());
    assert!(world.take(&answer).is_delivery());
}

#[test]
fn others_keep_nothing_of_what_is_not_claimed() {
    let world = world();
    let former = world.replace_signer(false);
    let first = buyer(&world, 1);
    assert!(first.now().is_delivery());
    world.run_for(1_000 * RESERVE_SECONDS + 1_000);
    former.settler().wake().unwrap();
    assert_eq!(former.tables.payments(), 0);
    // What is sold here is on the chain for anybody to send again.
    assert!(first.now().is_delivery());
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(Buyer { resource: "b".into(), ..first.observer() }.now(), DUPLICATE);
    assert_eq!(former.tables.payments(), 0);
    // Nor of what waits for a claim.
    let slow = Buyer { origin_ms: 40_000, ..buyer(&world, 2) };
    let answer = slow.start();
    world.run_for(100);
    let other = Buyer { resource: "b".into(), ..slow.observer() };
    let reserved = former.tables.record(&slow.payment.id).unwrap();
    world.run_for(5_000);
    assert_eq!(other.now(), DUPLICATE);
    let now = former.tables.record(&slow.payment.id).unwrap();
    assert_eq!(now.keep_until(), reserved.keep_until());
    assert!(world.take(&answer).is_delivery());
}

#[test]
fn what_its_owner_has_proved_no_other_needs_to_prove() {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    setup.limits.wallet_gas = Some(300_000);
    let world = World::new(&setup);
    let wallet = Address::new([1; 20]);
    world.chain.borrow_mut().codes.insert(wallet, Code::Honest);
    world.chain.borrow_mut().wallets.insert(wallet, vec![0x51; 100]);
    let former = world.replace_signer(true);
    let nodes = Rc::clone(&former);
    *former.hook.borrow_mut() = Some(Box::new(|_, _, _| Some(Err((-32_005, "limit exceeded")))));
    let payment = |number| Payment::of_wallet(wallet, number, &[0x51; 100]);
    let buyer = Buyer { redeliver_max: 3, ..Buyer::new(&world, &payment(1), "a") };
    assert!(buyer.now().is_delivery());
    assert!(nodes.tables.record(&buyer.payment.id).is_some(), "nobody else could claim it");
    // What it has not proved leaves nothing with anybody.
    let forged = Payment::of_wallet(wallet, 2, &[0xf0; 100]);
    let thief = Buyer::new(&world, &forged, "a");
    assert_eq!(thief.now(), Answer::Refused(Reason::EvmSignature));
    assert!(nodes.tables.record(&forged.id).is_none());
    assert!(world.tables.record(&forged.id).is_none());
}

#[test]
fn of_two_versions_that_know_each_other_one_sells_it() {
    for at in (0..1_200).step_by(50) {
        let world = world();
        let former = world.replace_signer(true);
        former.others.borrow_mut().push(Rc::clone(&world));
        let new = Buyer { redeliver_max: 0, origin_ms: 700, ..buyer(&world, 1) };
        let old = Buyer { world: Rc::clone(&former), ..new.clone() };
        let first = new.start();
        world.run_for(at);
        let second = old.start();
        let answers = [world.take(&first), world.take(&second)];
        let given = answers.iter().filter(|it| it.is_delivery()).count();
        assert!(given <= 1, "{at}: {answers:?}");
        world.run_for(1_000 * RESERVE_SECONDS);
        if given == 0 {
            assert!(new.now().is_delivery(), "{at}: {answers:?}");
        }
        assert_eq!(transfers(&new), 1);
    }
}

#[test]
fn what_was_claimed_before_is_waited_for_and_then_sold() {
    let world = world();
    let former = world.replace_signer(true);
    let new = buyer(&world, 1);
    let old = Buyer { world: former, origin: Origin::Error, origin_ms: 5_000, ..new.clone() };
    let failing = old.start();
    world.run_for(100);
    let waiting = new.start();
    world.run_for(1_000);
    assert!(waiting.borrow().is_none());
    assert_eq!(world.take(&failing), Answer::Released);
    assert!(world.take(&waiting).is_delivery());
    assert_eq!(transfers(&new), 1);
}

#[test]
fn after_a_step_back_a_payment_is_free_again_in_two_minutes() {
    let world = world();
    let former = world.replace_signer(true);
    let failed = Buyer { origin: Origin::Error, ..buyer(&world, 1) };
    assert_eq!(failed.now(), Answer::Released);
    let back = Buyer { world: Rc::clone(&former), origin: Origin::Good, ..failed };
    assert_eq!(back.now(), Answer::Busy);
    world.run_for(1_000 * RESERVE_SECONDS);
    assert!(back.now().is_delivery());
    former.settler().wake().unwrap();
    assert_eq!(transfers(&back), 1);
}

#[test]
fn nothing_is_reserved_for_longer_than_two_minutes() {
    let world = world();
    let payment = Payment::new(1, 1, 600);
    let look = world.claim_request(&payment, "a").to_other_signer(true);
    let greedy = ClaimRequest { reserve_seconds: Some(100_000), ..look };
    assert_eq!(world.claim(&greedy), ClaimReply::NOTHING_BOUGHT);
    assert_eq!(world.claim(&world.claim_request(&payment, "a")), ClaimReply::Busy);
    world.run_for(1_000 * RESERVE_SECONDS);
    assert_eq!(world.claim(&world.claim_request(&payment, "a")), ClaimReply::Fresh);
}

#[test]
fn what_was_asked_about_is_forgotten() {
    let world = world();
    let former = world.replace_signer(false);
    for number in 1..5 {
        assert!(buyer(&world, number).now().is_delivery());
    }
    assert_eq!(former.tables.payments(), 4);
    world.run_for(8_000_000);
    former.settler().wake().unwrap();
    assert_eq!(former.tables.payments(), 0);
}

#[test]
fn what_has_lapsed_is_looked_up_and_kept_from_nobody() {
    let world = world();
    let paid = Buyer { dies: true, ..buyer(&world, 1) };
    assert!(paid.now().is_delivery());
    world.kv_does.set(Kv::Unread);
    let former = world.replace_signer(false);
    world.run_for(1_000 * LEASE_SECONDS);
    let lapsed = |number: u8, ticket: u64| {
        let payment = Payment::new(number, number, 600).id;
        let expires_at = world.clock.now();
        let claim = ClaimRequest {
            payment,
            ticket,
            expires_at,
            look_only: true,
            ..world.claim_request(&paid.payment, "a")
        };
        former.claim(&claim.to_other_signer(true))
    };
    assert!(matches!(lapsed(1, 7), ClaimReply::Deliver { .. }));
    assert_eq!(lapsed(2, 8), ClaimReply::NOTHING_BOUGHT);
    assert_eq!(former.tables.payments(), 1);
}

#[test]
fn what_failed_on_chain_before_is_no_observers_claim() {
    let world = world();
    let first = buyer(&world, 1);
    world.chain.borrow_mut().poisoned.insert([1; 32]);
    assert_eq!(first.now(), Answer::Refused(Reason::InvalidTransactionState));
    world.chain.borrow_mut().poisoned.clear();
    world.replace_signer(false);
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(Buyer { resource: "b".into(), ..first.observer() }.now(), DUPLICATE);
    assert!(first.now().is_delivery());
    // Nor after the other one was asked to let nobody claim it.
    assert_eq!(first.observer().now(), DUPLICATE);
    assert_eq!(transfers(&first), 1);
}

#[test]
fn a_name_given_before_is_one_payments_still() {
    let world = world();
    let named = Proof { identifier: Some("n".into()), ..shows("the buyer") };
    let first = Buyer { proof: named, ..buyer(&world, 1) };
    assert!(first.now().is_delivery());
    world.replace_signer(false);
    let second = Buyer { proof: first.proof.clone(), ..buyer(&world, 2) };
    assert_eq!(second.now(), Answer::IdentifierTaken);
    assert!(world.tables.record(&second.payment.id).is_none());
}

#[test]
fn a_claim_is_kept_while_a_former_settler_is_waited_for() {
    let world = world();
    let former = world.replace_signer(true);
    let new = Buyer { redeliver_max: 0, origin_ms: 20_000, ..buyer(&world, 1) };
    let old = Buyer { world: former, origin: Origin::Error, origin_ms: 22_000, ..new.clone() };
    let failing = old.start();
    world.run_for(100);
    let first = new.start();
    world.run_for(31_000);
    assert!(first.borrow().is_none(), "its origin is at work");
    let asked = world.asked.get();
    let second = new.start();
    world.run_for(5_000);
    let answers = [world.take(&first), world.take(&second), world.take(&failing)];
    assert_eq!(world.asked.get(), asked, "asked twice for one payment: {answers:?}");
}
