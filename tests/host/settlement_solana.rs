//! What becomes of payments on Solana: sent until they land, and given up
//! only when they can't land any more.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::sim::time::START_MS;
use crate::sim::{Answer, Fault, Payment, World};
use crate::solana_cluster::{
    Cluster, LAST_VALID, SLOT_MS, cluster, cluster_with, is_submitted, payment,
};
use edge402::payment::VerifiedPayment;
use edge402::protocol::Reason;
use edge402::settlement::journal::Sent;
use edge402::settlement::{Limits, Outcome, SettleRequest, State, Verdict};
use edge402::time::UnixSeconds;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[test]
fn a_payment_is_settled_and_delivered_again() {
    let (world, cluster) = cluster();
    let payment = payment(1);
    let Answer::Delivered(first) = world.buy_now(&payment, "a") else { panic!() };
    assert!(cluster.borrow().landed.contains_key(&first.transaction));
    assert_eq!(world.buy_now(&payment, "a"), Answer::Delivered(first));
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
    assert!(world.tables.entries().is_empty());
}

#[test]
fn what_gets_lost_is_sent_again() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().drops = 5;
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert!(cluster.borrow().sent.len() >= 6);
    assert_eq!(cluster.borrow().landed.len(), 1);
}

#[test]
fn a_payment_is_given_up_only_when_its_blockhash_has_expired() {
    let (world, cluster) = cluster();
    let payment = payment(1);
    cluster.borrow_mut().drops = usize::MAX;
    assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)));
    let Sent::Solana(sent) = &world.tables.entries()[0].sent else { panic!() };
    let bound = sent.last_valid_height;
    assert!(bound >= LAST_VALID);
    while Cluster::height(world.clock.now_ms()) <= bound {
        assert!(is_submitted(&world, &payment));
        assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
        world.run_for(SLOT_MS);
    }
    // Nodes differ in how far they are.
    world.run_for(60_000);
    let state = world.tables.record(&payment.id).unwrap().state;
    assert!(matches!(state, State::Failed { reason: Reason::SvmSimulationFailed }), "{state:?}");
    assert!(world.tables.entries().is_empty());
    // Its last copies were sent while it could land.
    let last = cluster.borrow().sent.last().unwrap().0;
    assert!(Cluster::height(last) + 10 >= LAST_VALID);
}

#[test]
fn one_that_landed_at_the_last_moment_is_not_given_up() {
    let (world, cluster) = cluster();
    let payment = payment(1);
    cluster.borrow_mut().lands_late = Some(LAST_VALID);
    assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)));
    world.run_for(90_000);
    assert_eq!(cluster.borrow().landed.len(), 1);
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert!(world.tables.entries().is_empty());
}

#[test]
fn a_payer_has_eight_payments_in_the_air() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().drops = usize::MAX;
    let buyers: Vec<_> = (0..10).map(|n| world.start_buy(&payment(n), "a")).collect();
    world.run_for(2_000);
    let submitted = (0..10).filter(|n| is_submitted(&world, &payment(*n))).count();
    assert_eq!(submitted, 8);
    cluster.borrow_mut().drops = 0;
    let answers: Vec<_> = buyers.iter().map(|buyer| world.take(buyer)).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_delivery()).count(), 8);
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Unavailable).count(), 2);
    // The others were not used up.
    assert!((0..10).all(|n| world.buy_now(&payment(n), "a").is_delivery()));
}

/// What two of these payments cost in fees, in lamports, and a little.
fn two_fees() -> u128 {
    let fee = match edge402::payment::verify(&payment(1).payload, &payment(1).terms, START) {
        Ok(VerifiedPayment::Solana(payment)) => payment.fee_lamports(),
        other => panic!("{other:?}"),
    };
    u128::from(fee) * 2 + 1
}

const START: UnixSeconds = UnixSeconds(START_MS / 1_000);

#[test]
fn fees_that_are_set_aside_count_against_the_days_limit() {
    for on_account in [false, true] {
        let limit = two_fees();
        let (world, cluster) = cluster_with(Limits {
            batch_max: 1,
            daily_spend: (!on_account).then_some(limit),
            accounts: vec![("acme".into(), if on_account { limit } else { u128::MAX })],
            ..Limits::default()
        });
        let start = |n: usize| {
            let mut order = payment(n).settle_request(&world.claim_request(&payment(n), "a"));
            order.account = Some("acme".into());
            let asker = Rc::clone(&world);
            world.start(async move { asker.ask(|it| async move { it.charge(order).await }).await })
        };
        let charges: Vec<_> = (0..5).map(start).collect();
        let outcomes = charges.iter().map(|charge| world.take(charge).unwrap().unwrap());
        let settled = outcomes
            .filter(|outcome| match outcome {
                Outcome::Settled(_) => true,
                other => {
                    assert_eq!(*other, Outcome::LimitReached);
                    false
                }
            })
            .count();
        assert_eq!(settled, 2);
        assert_eq!(cluster.borrow().landed.len(), 2);
        assert_eq!(world.tables.account_spent("acme"), limit - 1);
    }
}

#[test]
fn to_verify_sends_no_signature_of_ours() {
    let (world, cluster) = cluster();
    let order = payment(1).settle_request(&world.claim_request(&payment(1), "a"));
    let settler = world.settler();
    let verdict = world.wait(async move { settler.verify(&order).await.unwrap() });
    assert_eq!(verdict, Verdict::Valid);
    assert!(cluster.borrow().sent.is_empty());
    assert_eq!((world.tables.payments(), world.tables.entries().len()), (0, 0));
}

/// What a facilitator's client is told of a payment that somebody shows.
fn verdict(world: &Rc<World>, number: usize) -> Verdict {
    let order = payment(number).settle_request(&world.claim_request(&payment(number), "a"));
    let order = SettleRequest { account: Some("acme".into()), ..order };
    let settler = world.settler();
    world.wait(async move { settler.verify(&order).await.unwrap() })
}

#[test]
fn to_verify_is_to_look_at_both_limits_and_at_what_is_under_way() {
    let acme = |limit| vec![("acme".to_owned(), limit)];
    for limits in [
        Limits { daily_spend: Some(1), ..Limits::default() },
        Limits { accounts: acme(1), ..Limits::default() },
        Limits { daily_spend: Some(1), accounts: acme(1_000_000), ..Limits::default() },
    ] {
        let (world, _) = cluster_with(limits);
        assert_eq!(verdict(&world, 1), Verdict::LimitReached);
    }
    let (world, cluster) = cluster();
    let amount = u64::try_from(payment(1).verified().amount().0).unwrap();
    cluster.borrow_mut().money = 2 * amount;
    cluster.borrow_mut().drops = usize::MAX;
    let first = world.start_buy(&payment(1), "a");
    world.run_for(2_000);
    assert!(first.borrow().is_none() && is_submitted(&world, &payment(1)));
    assert_eq!(verdict(&world, 2), Verdict::Valid, "there is enough for both");
    cluster.borrow_mut().money = 2 * amount - 1;
    assert_eq!(verdict(&world, 2), Verdict::Unknown);
}

#[test]
fn a_fee_that_is_all_of_the_price_is_paid_and_one_beyond_it_is_not() {
    let VerifiedPayment::Solana(paid) = payment(1).verified() else { panic!() };
    let (fee, amount) = (u128::from(paid.fee_lamports()), paid.amount().0);
    let coin = 1_000_000_000_u128;
    for (amount, is_paid) in [(amount, true), (amount + 1, false)] {
        let coin_price = Some((amount * coin).div_ceil(fee)).into();
        let (world, _) = cluster_with(Limits { coin_price, ..Limits::default() });
        assert_eq!(world.buy_now(&payment(1), "a").is_delivery(), is_paid);
    }
}

#[test]
fn fees_of_what_a_crash_left_in_the_air_count_against_an_accounts_limit() {
    let limits = Limits { accounts: vec![("acme".into(), two_fees())], ..Limits::default() };
    let (world, cluster) = cluster_with(limits);
    cluster.borrow_mut().drops = usize::MAX;
    let charges: Vec<_> = [1, 2]
        .map(|number| {
            let order = payment(number).settle_request(&world.claim_request(&payment(number), "a"));
            let order = SettleRequest { account: Some("acme".into()), ..order };
            let asker = Rc::clone(&world);
            world.start(async move { asker.ask(|it| async move { it.charge(order).await }).await })
        })
        .into();
    world.run_for(2_000);
    assert!(is_submitted(&world, &payment(1)) && is_submitted(&world, &payment(2)));
    assert_eq!(verdict(&world, 3), Verdict::LimitReached);
    world.crash();
    drop(charges);
    world.settler();
    assert_eq!(verdict(&world, 3), Verdict::LimitReached);
}

#[test]
fn a_fork_that_forgets_it_changes_nothing() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().forks = true;
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert!(!cluster.borrow().forks);
}

#[test]
fn one_that_fails_on_chain_buys_nothing() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().fails = true;
    let payment = payment(1);
    assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::InsufficientFunds));
    // The chain has it: sending it again is no purchase.
    assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::DuplicateSettlement));
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn one_that_was_processed_before_the_claim_buys_nothing() {
    let (world, _) = cluster();
    let payment = payment(1);
    assert!(world.buy_now(&payment, "a").is_delivery());
    // The record is forgotten, the chain remembers.
    world.run_for(700_000);
    world.settler().wake().unwrap();
    assert!(world.tables.record(&payment.id).is_none());
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
}

#[test]
fn a_crash_at_any_time_costs_no_one_anything() {
    for crash_at in (0..2_000).step_by(20) {
        let (world, cluster) = cluster();
        let payment = payment(1);
        let buyer = world.start_buy(&payment, "a");
        world.run_for(crash_at);
        world.crash();
        world.run_for(100);
        let again = world.buy_now(&payment, "a");
        assert!(again.is_delivery(), "{crash_at}: {again:?}");
        let answer = world.take(&buyer);
        let is_well = answer.is_delivery() || answer == Answer::Broken;
        assert!(is_well, "{crash_at}: {answer:?}");
        assert_eq!(cluster.borrow().landed.len(), 1);
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty(), "{crash_at}");
    }
}

#[test]
fn what_a_crash_left_is_finished_by_the_alarm() {
    let (world, cluster) = cluster();
    let payment = payment(1);
    cluster.borrow_mut().drops = 1;
    world.start_buy(&payment, "a");
    world.run_for(300);
    world.crash();
    assert!(is_submitted(&world, &payment));
    world.run_for(40_000);
    assert!(world.tables.entries().is_empty());
    let signatures: BTreeSet<_> =
        cluster.borrow().sent.iter().map(|(_, signature)| signature.clone()).collect();
    assert_eq!(signatures.len(), 1, "the same bytes");
    assert_eq!(cluster.borrow().landed.len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Buy { payment: usize, resource: usize, origin_ms: u64 },
    Wait(u64),
    Crash,
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let origin_ms = prop_oneof![5 => 0..2_000_u64, 1 => 20_000..40_000_u64];
    let buy = (0..3_usize, 0..2_usize, origin_ms)
        .prop_map(|(payment, resource, origin_ms)| Step::Buy { payment, resource, origin_ms });
    let step = prop_oneof![
        8 => buy,
        5 => (0..3_000_u64).prop_map(Step::Wait),
        1 => (3_000..30_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Crash),
        2 => (1..200_usize).prop_map(Step::Drop),
    ];
    vec(step, 1..16)
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::Status(503)),
        1 => Just(Fault::RateLimited),
        1 => Just(Fault::Slow),
    ];
    vec(fault, 0..60)
}

#[test]
fn paid_once_and_delivered_for_sure() {
    thread_local!(static PAYMENTS: Vec<Payment> = (0..3).map(payment).collect());
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let told = runner.run(&(faults(), steps()), |(faults, steps)| {
        let (world, cluster) = cluster();
        let payments = PAYMENTS.with(Clone::clone);
        world.faults.borrow_mut().extend(&faults);
        let mut buyers = vec![];
        for step in steps {
            match step {
                Step::Buy { payment, resource, origin_ms } => {
                    let (buyer, resource) = (Rc::clone(&world), ["a", "b"][resource]);
                    let payment = payments[payment].clone();
                    buyers.push(world.start(buyer.buy(payment, resource.into(), origin_ms, true)));
                }
                Step::Wait(ms) => world.run_for(ms),
                Step::Crash => world.crash(),
                Step::Drop(count) => cluster.borrow_mut().drops = count,
            }
        }
        world.faults.borrow_mut().clear();
        cluster.borrow_mut().drops = 0;
        world.run_for(160_000);
        prop_assert!(buyers.iter().all(|buyer| buyer.borrow().is_some()));
        prop_assert!(world.tables.entries().is_empty());
        let mut paid = 0;
        for payment in &payments {
            let Some(record) = world.tables.record(&payment.id) else { continue };
            if let State::Settled(settlement) = &record.state {
                paid += 1;
                prop_assert!(cluster.borrow().landed.contains_key(&settlement.transaction));
                prop_assert!(world.buy_now(payment, &record.resource).is_delivery());
            }
        }
        // Never a charge without delivery.
        prop_assert_eq!(cluster.borrow().landed.len(), paid);
        let mut bought = BTreeMap::new();
        for (id, resource, transaction) in &*world.deliveries.borrow() {
            let first = bought.entry(id.clone()).or_insert_with(|| resource.clone());
            prop_assert_eq!(&*first, resource);
            prop_assert!(cluster.borrow().landed.contains_key(transaction));
        }
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
}
