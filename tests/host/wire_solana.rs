//! The same on Solana: the origin beside the simulation, and one question for all that
//! is in the air.

use std::cell::RefCell;
use std::rc::Rc;

use edge402::protocol::Reason;
use serde_json::Value;

use crate::sim::{AMOUNT, Answer, Buyer, Origin, Payment, World};
use crate::solana_cluster::{Cluster, SLOT_MS, cluster, payment, payment_of};
use crate::solana_support::{ata, draft, pubkey, signer, writable};

/// What a node was asked: when it arrived there, in milliseconds since the world
/// began, the method, and the parameters.
type Asked = Rc<RefCell<Vec<(u64, String, Value)>>>;

const SIMULATE: &str = "simulateTransaction";
const SEND: &str = "sendTransaction";
const STATUSES: &str = "getSignatureStatuses";

fn watched() -> (Rc<World>, Rc<RefCell<Cluster>>, Asked) {
    let (world, cluster) = cluster();
    let asked = Asked::default();
    let (noted, clock, start) = (Rc::clone(&asked), Rc::clone(&world.clock), world.clock.now_ms());
    cluster.borrow_mut().lie = Some(Box::new(move |_, method, params, truth| {
        noted.borrow_mut().push((clock.now_ms() - start, method.to_owned(), params.clone()));
        truth
    }));
    (world, cluster, asked)
}

fn slow(world: &Rc<World>, payment: &Payment, origin_ms: u64) -> Buyer {
    Buyer { origin_ms, ..Buyer::new(world, payment, "a") }
}

fn times(asked: &Asked, method: &str) -> Vec<u64> {
    asked.borrow().iter().filter(|(_, it, _)| it == method).map(|(at, ..)| *at).collect()
}

#[test]
fn the_origin_is_asked_before_the_simulation_has_answered() {
    let (world, _, asked) = watched();
    let bought = slow(&world, &payment(1), 200).start();
    // The question is on its way for 20 ms, and its answer for 20 more.
    world.run_for(10);
    assert_eq!((world.asked.get(), times(&asked, SIMULATE).len()), (1, 0));
    assert!(world.take(&bought).is_delivery());
    assert_eq!((times(&asked, SIMULATE), times(&asked, SEND)), (vec![20], vec![220]));
}

/// Whoever has our signature can send the payment.
#[test]
fn no_node_has_our_signature_before_the_origin_has_delivered() {
    let (world, cluster, asked) = watched();
    let failing = Buyer { origin: Origin::Error, ..slow(&world, &payment(1), 300) };
    assert_eq!(world.take(&failing.start()), Answer::Released);
    world.run_for(5_000);
    let simulations: Vec<Value> = asked.borrow().iter().map(|(.., it)| it.clone()).collect();
    let signed = simulations.iter().filter(|it| it[1]["sigVerify"] == true).count();
    assert_eq!((times(&asked, SIMULATE).len(), signed), (1, 0));
    assert!(cluster.borrow().sent.is_empty() && cluster.borrow().landed.is_empty());
    // It was not charged, and is good for the next request.
    assert!(world.buy_now(&payment(1), "a").is_delivery());
}

#[test]
fn what_was_simulated_long_ago_is_simulated_again() {
    let (world, cluster, asked) = watched();
    let bought = slow(&world, &payment(1), 10_000).start();
    world.run_for(9_000);
    // Meanwhile its payer has spent the money.
    cluster.borrow_mut().money = 0;
    assert_eq!(world.take(&bought), Answer::Refused(Reason::InsufficientFunds));
    assert_eq!((times(&asked, SIMULATE).len(), times(&asked, SEND).len()), (2, 0));
}

#[test]
fn who_had_no_money_then_and_has_it_now_pays() {
    let (world, cluster, asked) = watched();
    let had = std::mem::take(&mut cluster.borrow_mut().money);
    let bought = slow(&world, &payment(1), 900).start();
    world.run_for(800);
    cluster.borrow_mut().money = had;
    assert!(world.take(&bought).is_delivery());
    assert_eq!(times(&asked, SIMULATE).len(), 2);
}

#[test]
fn money_for_one_of_two_payments_is_not_counted_twice() {
    let (world, cluster, asked) = watched();
    cluster.borrow_mut().money = u64::try_from(AMOUNT).unwrap();
    let buyers = [1, 2].map(|number| slow(&world, &payment(number), 500).start());
    world.run_for(400);
    assert_eq!(times(&asked, SIMULATE).len(), 2);
    let answers = buyers.map(|buyer| world.take(&buyer));
    assert_eq!(answers.iter().filter(|it| it.is_delivery()).count(), 1, "{answers:?}");
    world.run_for(5_000);
    assert!(cluster.borrow().failed.is_empty(), "none failed on the chain");
    assert_eq!(cluster.borrow().landed.len(), 1);
}

#[test]
fn after_a_failure_on_the_chain_the_cluster_is_asked_again() {
    let (world, cluster, asked) = watched();
    cluster.borrow_mut().fails = true;
    assert!(!world.take(&slow(&world, &payment(1), 500).start()).is_delivery());
    cluster.borrow_mut().fails = false;
    asked.borrow_mut().clear();
    assert!(world.take(&slow(&world, &payment(2), 500).start()).is_delivery());
    assert_eq!(times(&asked, SIMULATE).len(), 2);
}

/// Payments of one payer each.
fn payments(count: u8) -> Vec<Payment> {
    let of = |seed: u8| {
        let (mut draft, payer) = (draft(), pubkey(seed));
        let accounts = &mut draft.instructions[2].accounts;
        (accounts[0], accounts[3]) = (writable(ata(payer)), signer(payer));
        payment_of(&draft)
    };
    (5..5 + count).map(of).collect()
}

#[test]
fn few_of_a_crowd_are_simulated_before_their_origin_has_delivered() {
    let (world, _, asked) = watched();
    let buyers: Vec<_> = payments(20).iter().map(|it| slow(&world, it, 5_000).start()).collect();
    world.run_for(4_900);
    assert_eq!(times(&asked, SIMULATE).len(), 4);
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert_eq!(times(&asked, SIMULATE).len(), 4 + 20);
}

#[test]
fn one_question_asks_for_twenty_in_the_air_twice_in_a_slot_at_most() {
    let (world, _, asked) = watched();
    let buyers: Vec<_> = payments(20).iter().map(|it| slow(&world, it, 50).start()).collect();
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    let most = asked
        .borrow()
        .iter()
        .filter(|it| it.1 == STATUSES)
        .map(|it| it.2[0].as_array().unwrap().len())
        .max();
    assert_eq!(most, Some(20));
    let asked = times(&asked, STATUSES);
    assert!(asked.windows(2).all(|it| it[1] - it[0] >= SLOT_MS / 2), "{asked:?}");
    assert!(asked.len() <= 6, "{asked:?}");
}

#[test]
fn a_payment_that_is_in_a_block_is_asked_for_four_times_in_a_slot() {
    let (world, _, asked) = watched();
    let bought = slow(&world, &payment(1), 100).start();
    assert!(world.take(&bought).is_delivery());
    let sent = times(&asked, SEND)[0];
    // The node calls it processed after a slot, and confirmed after two.
    let after: Vec<u64> = times(&asked, STATUSES).iter().map(|at| at - sent).collect();
    assert_eq!(after, [200, 400, 500, 600, 700, 800]);
}

#[test]
fn what_takes_long_is_asked_for_once_in_a_slot_and_later_seldom() {
    let (world, cluster, asked) = watched();
    cluster.borrow_mut().drops = usize::MAX;
    let _lost = slow(&world, &payment(1), 100).start();
    world.run_for(80_000);
    let asked = times(&asked, STATUSES);
    let between = |from: u64, to: u64| asked.iter().filter(|at| (from..to).contains(*at)).count();
    assert_eq!(between(10_000, 14_000), 10);
    assert!(between(40_000, 49_000) <= 3, "{asked:?}");
}
