//! What the chain is asked about a payment while the origin works.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::{Answer, Buyer, Origin, Payment, Setup, World};

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

#[test]
fn while_another_is_served_nobody_is_sent_off_alone() {
    let (world, asked) = world();
    let first = slow(&world, &Payment::new(1, 1, 600), 500).start();
    world.run_for(20);
    let second = slow(&world, &Payment::new(2, 1, 600), 500).start();
    assert!(world.take(&first).is_delivery() && world.take(&second).is_delivery());
    assert_eq!(count(&asked, PREVIEW), 3, "once early, and again for each");
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
