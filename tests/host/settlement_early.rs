//! What the chain is asked about a payment while the origin works.

use std::cell::RefCell;
use std::rc::Rc;

use edge402::protocol::Reason;

use crate::sim::{Answer, Buyer, Origin, Payment, Setup, World, payer};

/// A world, and the methods that its node is asked from now on.
fn world() -> (Rc<World>, Rc<RefCell<Vec<String>>>) {
    let world = World::new(&Setup { has_sync: true, block_ms: 250, ..Setup::default() });
    let asked = Rc::<RefCell<Vec<String>>>::default();
    let methods = Rc::clone(&asked);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        methods.borrow_mut().push(method.to_owned());
        None
    }));
    (world, asked)
}

fn slow(world: &Rc<World>, payment: &Payment, origin_ms: u64) -> Buyer {
    Buyer { origin_ms, ..Buyer::new(world, payment, "a") }
}

const PREVIEW: &str = "eth_feeHistory";
const SEND: &str = "eth_sendRawTransactionSync";

fn count(asked: &RefCell<Vec<String>>, method: &str) -> usize {
    asked.borrow().iter().filter(|it| *it == method).count()
}

#[test]
fn the_chain_is_asked_while_the_origin_works() {
    let (world, asked) = world();
    let buyer = slow(&world, &Payment::new(1, 1, 600), 1_000).start();
    world.run_for(900);
    assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (1, 0));
    asked.borrow_mut().clear();
    assert!(world.take(&buyer).is_delivery());
    let after = asked.borrow().clone();
    assert_eq!(after.first().map(String::as_str), Some(SEND), "{after:?}");
    assert_eq!(count(&asked, PREVIEW), 0, "{after:?}");
}

#[test]
fn an_origin_that_is_faster_than_the_chain_costs_no_second_question() {
    let (world, asked) = world();
    let buyer = slow(&world, &Payment::new(1, 1, 600), 1).start();
    assert!(world.take(&buyer).is_delivery());
    assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (1, 1));
}

#[test]
fn what_was_asked_long_ago_is_asked_again() {
    let (world, asked) = world();
    let payment = Payment::new(1, 1, 600);
    let buyer = slow(&world, &payment, 10_000).start();
    world.run_for(9_000);
    assert_eq!(count(&asked, PREVIEW), 1);
    // Meanwhile its payer has spent the money.
    world.chain.borrow_mut().token_balance = 0;
    let answer = world.take(&buyer);
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    assert_eq!((count(&asked, PREVIEW), world.chain.borrow().count()), (2, 0));
}

#[test]
fn who_had_no_money_then_and_has_it_now_pays() {
    let (world, _) = world();
    let had = std::mem::take(&mut world.chain.borrow_mut().token_balance);
    let buyer = slow(&world, &Payment::new(1, 1, 600), 1_000).start();
    world.run_for(900);
    world.chain.borrow_mut().token_balance = had;
    assert!(world.take(&buyer).is_delivery());
}

#[test]
fn money_for_one_of_two_payments_is_not_counted_twice() {
    let (world, asked) = world();
    let payments = [Payment::new(1, 1, 600), Payment::new(1, 2, 600)];
    world.chain.borrow_mut().token_balance = payments[0].evm().value().0;
    let first = slow(&world, &payments[0], 1_000).start();
    world.run_for(200);
    let second = slow(&world, &payments[1], 900).start();
    world.run_for(200);
    assert_eq!(count(&asked, PREVIEW), 2, "each was asked about by itself");
    let answers = [world.take(&first), world.take(&second)];
    assert_eq!(answers.iter().filter(|it| it.is_delivery()).count(), 1, "{answers:?}");
    world.run_for(5_000);
    assert_eq!(world.chain.borrow().count(), 1, "none failed on the chain");
}

#[test]
fn a_node_that_is_silent_at_first_is_asked_again() {
    let (world, asked) = world();
    world.faults.borrow_mut().push_back(crate::sim::Fault::Unreachable);
    let buyer = slow(&world, &Payment::new(1, 1, 600), 1_000).start();
    world.run_for(900);
    assert!(world.take(&buyer).is_delivery());
    assert_eq!(count(&asked, SEND), 1);
}

#[test]
fn a_payment_whose_origin_fails_is_asked_about_and_nothing_is_sent() {
    let (world, asked) = world();
    let payment = Payment::new(1, 1, 600);
    let buyer = Buyer { origin: Origin::Error, ..slow(&world, &payment, 500) };
    assert_eq!(world.take(&buyer.start()), Answer::Released);
    assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (1, 0));
    // The next request has a ticket of its own.
    assert!(world.buy_now(&payment, "a").is_delivery());
}

#[test]
fn a_crowd_is_not_asked_about_one_by_one() {
    let (world, asked) = world();
    let buyers: Vec<_> =
        (1..=30).map(|payer| slow(&world, &Payment::new(payer, 1, 600), 500).start()).collect();
    world.run_for(400);
    assert!(count(&asked, PREVIEW) <= 1);
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    let chain = world.chain.borrow();
    assert!(chain.count() <= 2, "{:?}", chain.shares());
}

/// Once one other buyer was enough for that: see the next test.
#[test]
fn while_some_others_are_served_nobody_is_sent_off_alone() {
    let (world, asked) = world();
    let first = slow(&world, &Payment::new(1, 1, 600), 500).start();
    world.run_for(20);
    let others: Vec<_> =
        (2..=3).map(|number| slow(&world, &Payment::new(number, 1, 600), 500).start()).collect();
    assert!(world.take(&first).is_delivery());
    assert!(others.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert_eq!(count(&asked, PREVIEW), 3, "once early, and again for the first and the two");
    assert_eq!(world.chain.borrow().shares(), [1, 2]);
}

#[test]
fn two_buyers_at_a_slow_origin_wait_for_nothing_else() {
    let (world, asked) = world();
    let buyers: Vec<_> =
        (1..=2).map(|number| slow(&world, &Payment::new(number, 1, 600), 500).start()).collect();
    world.run_for(480);
    assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (2, 0));
    asked.borrow_mut().clear();
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert_eq!(count(&asked, PREVIEW), 0, "{:?}", asked.borrow());
}

/// Buys early, beside whatever else there is.
fn assert_is_early(world: &Rc<World>, asked: &RefCell<Vec<String>>, number: u8) {
    let buyer = slow(world, &Payment::new(number, number, 6_000), 500).start();
    world.run_for(480);
    asked.borrow_mut().clear();
    assert!(world.take(&buyer).is_delivery());
    assert_eq!(count(asked, PREVIEW), 0, "{:?}", asked.borrow());
}

#[test]
fn a_payment_that_waits_for_its_payers_money_costs_nobody_a_question() {
    let (world, asked) = world();
    // What the payer has in the air stays there, and has all the money in it.
    let payments = [Payment::new(1, 1, 600), Payment::new(1, 2, 600)];
    let account = crate::sim::payer(1).address();
    world.chain.borrow_mut().balances.insert(account, payments[0].evm().value().0);
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let first = slow(&world, &payments[0], 1).start();
    world.run_for(500);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    let second = slow(&world, &payments[1], 1).start();
    world.run_for(3_000);
    assert!(first.borrow().is_none() && second.borrow().is_none());
    let buyer = slow(&world, &Payment::new(2, 2, 600), 500).start();
    world.run_for(480);
    asked.borrow_mut().clear();
    while world.chain.borrow().pool.len() < 2 {
        world.run_for(1);
    }
    // What is in the air has its fees looked at, and nothing else is.
    assert_eq!(count(&asked, "eth_estimateGas"), 0, "{:?}", asked.borrow());
    world.chain.borrow_mut().min_fee = 0;
    assert!(world.take(&buyer).is_delivery());
}

#[test]
fn gates_that_died_and_slow_origins_cost_nobody_a_question() {
    let (world, asked) = world();
    for number in 1..=5 {
        let claim = world.claim_request(&Payment::new(number, number, 600), "a");
        assert!(world.claim(&claim).is_claimed());
    }
    let slow: Vec<_> =
        (6..=9).map(|it| slow(&world, &Payment::new(it, it, 600), 12_000).start()).collect();
    world.run_for(5_000);
    assert_is_early(&world, &asked, 10);
    world.run_for(60_000);
    assert!(slow.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert_is_early(&world, &asked, 11);
}

#[test]
fn a_crowd_shares_its_gas_however_its_buyers_come() {
    for (apart_ms, origin_ms, transactions) in
        [(0, 300, 2), (1, 500, 2), (10, 300, 9), (10, 900, 9)]
    {
        let (world, _) = world();
        let mut buyers = vec![];
        for payer in 1..=32 {
            buyers.push(slow(&world, &Payment::new(payer, 1, 600), origin_ms).start());
            world.run_for(apart_ms);
        }
        assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
        let chain = world.chain.borrow();
        // As many as there were when one other buyer was a crowd.
        assert_eq!(chain.count(), transactions, "{apart_ms} {origin_ms}: {:?}", chain.shares());
        let gas = 21_000 * chain.count() + 32 * 45_000;
        assert!(apart_ms > 1 || gas / 32 <= 49_000, "{gas}");
    }
}

#[test]
fn after_a_failure_on_the_chain_the_chain_is_asked_again() {
    let (world, asked) = world();
    let had = world.chain.borrow().token_balance;
    let emptied = slow(&world, &Payment::new(1, 1, 600), 500).start();
    world.run_for(400);
    world.chain.borrow_mut().token_balance = 0;
    assert!(!world.take(&emptied).is_delivery());
    assert_eq!(world.chain.borrow().failed(), 1);
    world.chain.borrow_mut().token_balance = had;
    asked.borrow_mut().clear();
    assert!(world.take(&slow(&world, &Payment::new(2, 1, 600), 500).start()).is_delivery());
    assert_eq!(count(&asked, PREVIEW), 2);
}

/// A message to the node takes three seconds.
#[test]
fn a_node_that_is_slow_is_asked_once() {
    // The origin has answered before the node, or half a second after it.
    for origin_ms in [10, 3_500] {
        let (world, asked) = world();
        world.faults.borrow_mut().push_back(crate::sim::Fault::Slow);
        let buyer = slow(&world, &Payment::new(1, 1, 600), origin_ms).start();
        assert!(world.take(&buyer).is_delivery());
        assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (1, 1), "{origin_ms}");
    }
}

#[test]
fn what_a_slow_node_said_long_ago_is_asked_again() {
    let (world, asked) = world();
    world.faults.borrow_mut().push_back(crate::sim::Fault::Slow);
    let buyer = slow(&world, &Payment::new(1, 1, 600), 6_000).start();
    assert!(world.take(&buyer).is_delivery());
    assert_eq!(count(&asked, PREVIEW), 2);
}

#[test]
fn a_node_that_fails_while_a_payment_waits_for_it_is_not_asked_again() {
    let (world, asked) = world();
    world.faults.borrow_mut().push_back(crate::sim::Fault::LostBefore);
    let payment = Payment::new(1, 1, 600);
    assert_eq!(world.take(&slow(&world, &payment, 10).start()), Answer::Unavailable);
    assert_eq!((world.posts.get(), count(&asked, PREVIEW)), (1, 0));
    // Nothing of it was sent, and it is good as before.
    assert!(world.buy_now(&payment, "a").is_delivery());
}

#[test]
fn who_has_no_money_is_asked_about_once() {
    let (world, asked) = world();
    world.chain.borrow_mut().token_balance = 0;
    let answer = world.take(&slow(&world, &Payment::new(1, 1, 600), 10).start());
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    assert_eq!((count(&asked, PREVIEW), world.chain.borrow().count()), (1, 0));
}

/// Somebody may wait for the moment between the question and the transaction.
#[test]
fn after_a_failure_on_the_chain_nothing_is_sent_by_what_it_said_before() {
    for has_failed in [false, true] {
        let (world, asked) = world();
        if has_failed {
            world.chain.borrow_mut().poisoned.insert([9; 32]);
            let failed = Answer::Refused(Reason::InvalidTransactionState);
            assert_eq!(world.buy_now(&Payment::new(9, 9, 600), "a"), failed);
            asked.borrow_mut().clear();
        }
        let sent = world.chain.borrow().count();
        let buyer = slow(&world, &Payment::new(1, 1, 600), 900).start();
        world.run_for(800);
        assert_eq!((count(&asked, PREVIEW), count(&asked, SEND)), (1, 0));
        world.chain.borrow_mut().balances.insert(payer(1).address(), 0);
        let answer = world.take(&buyer);
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        let failed = world.chain.borrow().count() - sent;
        assert_eq!(failed, u64::from(!has_failed), "on the chain, at our cost");
    }
}
