//! What a buyer waits for: what goes on side by side, and what waits for what.

use std::cell::RefCell;
use std::rc::Rc;

use edge402::protocol::Reason;
use edge402::settlement::State;
use edge402::settlement::delivery::DeliveryState;
use edge402::settlement::replay::ReplayRecord;

use crate::sim::{Answer, Buyer, Payment, Setup, World};

/// When each method arrived at a node, in milliseconds since the world began.
type Asked = Rc<RefCell<Vec<(u64, String)>>>;

fn world() -> (Rc<World>, Asked) {
    let world = World::new(&Setup { has_sync: true, block_ms: 10, ..Setup::default() });
    let asked = Asked::default();
    let (noted, clock, start) = (Rc::clone(&asked), Rc::clone(&world.clock), world.clock.now_ms());
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        noted.borrow_mut().push((clock.now_ms() - start, method.to_owned()));
        None
    }));
    (world, asked)
}

fn first(asked: &Asked, method: &str) -> u64 {
    let asked = asked.borrow();
    asked.iter().find(|(_, it)| it == method).map(|(at, _)| *at).expect(method)
}

/// 20 ms to the node: it is asked before the claim is on disk, which takes 100 ms.
#[test]
fn the_first_question_does_not_wait_for_the_claim_to_be_on_disk() {
    let (world, asked) = world();
    world.tables.disk_ms.set(100);
    let buyer = Buyer { origin_ms: 500, ..Buyer::new(&world, &Payment::new(1, 1, 600), "a") };
    let bought = buyer.start();
    world.run_for(400);
    assert_eq!(first(&asked, "eth_feeHistory"), 20);
    assert!(world.take(&bought).is_delivery());
    // What is sent is in the journal before, on the disk.
    assert!(first(&asked, "eth_sendRawTransactionSync") >= 500 + 100 + 20);
}

/// Nobody waits for a claim to be on disk: of one that is lost nothing was sent.
#[test]
fn the_origin_does_not_wait_for_the_claim_to_be_on_disk() {
    for (redeliver_max, written) in [(1, 0), (0, 1)] {
        let (world, _) = world();
        let payment = Payment::new(1, 1, 600);
        let origin_ms = 4_000;
        let buyer = Buyer { redeliver_max, origin_ms, ..Buyer::new(&world, &payment, "a") };
        let bought = buyer.start();
        // An origin that must not be asked twice is not asked before.
        world.run_for(1_000);
        assert_eq!((world.asked.get(), world.tables.payments()), (1, written));
        world.run_for(2_000);
        assert_eq!(world.tables.payments(), 1);
        assert!(world.take(&bought).is_delivery());
        // One that dies with its Settler is made again when it is to be settled, unless
        // somebody has made another one meanwhile.
        for is_overtaken in [false, true] {
            let payment = Payment::new(2 + u8::from(is_overtaken), 2, 600);
            let buyer = Buyer { origin_ms: 500, ..Buyer::new(&world, &payment, "a") };
            let bought = buyer.start();
            world.run_for(0);
            world.crash();
            if is_overtaken {
                assert!(world.buy_now(&payment, "b").is_delivery());
                let answer = world.take(&bought);
                assert_eq!(answer, Answer::Refused(Reason::DuplicateSettlement));
            } else {
                assert!(world.take(&bought).is_delivery());
            }
            assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
        }
    }
}

/// Nobody waits for a settlement to be on disk: the next life finds it on the chain,
/// and hears from the gate how its answer has ended.
#[test]
fn the_answer_does_not_wait_for_the_settlement_to_be_on_disk() {
    for stream_ms in [3, 10_000] {
        let (world, _) = world();
        let payment = Payment::new(1, 1, 600);
        let buyer = Buyer { origin_ms: 500, stream_ms, ..Buyer::new(&world, &payment, "a") };
        let bought = buyer.start();
        let is = |what: fn(&State) -> bool| {
            world.tables.record(&payment.id).is_some_and(|record| what(&record.state))
        };
        while !is(|it| matches!(it, State::Settled(_))) {
            world.run_for(1);
        }
        world.crash();
        assert!(is(|it| matches!(it, State::Submitted { .. })), "it is not on disk");
        assert!(world.take(&bought).is_delivery());
        assert!(!world.take(&buyer.observer().start()).is_delivery());
        world.run_for(60_000);
        let record = world.tables.record(&payment.id).unwrap();
        assert!(matches!(record.state, State::Settled(_)));
        assert_eq!(record.delivery.state, DeliveryState::Delivered { to_buyer: true });
        assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
        assert_eq!(world.tables.sales(), 1);
    }
}

/// A settlement that the disk doesn't take at once is written later.
#[test]
fn what_is_told_before_it_is_written_counts_while_the_disk_fails() {
    let (world, _) = world();
    let payment = Payment::new(1, 1, 600);
    let buyer = Buyer { stream_ms: 1_000, ..Buyer::new(&world, &payment, "a") };
    let bought = buyer.start();
    while world.tables.entries().is_empty() {
        world.run_for(1);
    }
    while !world.tables.entries().is_empty() {
        world.run_for(1);
    }
    world.tables.is_broken.set(true);
    world.run_for(100);
    world.tables.is_broken.set(false);
    assert!(world.take(&bought).is_delivery());
    world.run_for(1_000);
    world.crash();
    assert!(!world.take(&buyer.observer().start()).is_delivery());
    let record = world.tables.record(&payment.id).unwrap();
    assert_eq!(record.delivery.state, DeliveryState::Delivered { to_buyer: true });
    assert_eq!(world.tables.sales(), 1);
}

/// A claim that is not to be had asks nothing.
#[test]
fn a_payment_that_is_claimed_already_has_nobody_asked() {
    let (world, asked) = world();
    let payment = Payment::new(1, 1, 600);
    let slow = Buyer { origin_ms: 5_000, ..Buyer::new(&world, &payment, "a") };
    let (first, again) = (slow.start(), slow.start());
    world.run_for(4_000);
    let questions = asked.borrow().iter().filter(|(_, it)| it == "eth_feeHistory").count();
    assert_eq!(questions, 1);
    assert!(world.take(&first).is_delivery() && world.take(&again).is_delivery());
}

#[test]
fn one_buyer_alone_waits_for_nobody_to_share_with() {
    let (world, asked) = world();
    let buyer = Buyer { origin_ms: 300, ..Buyer::new(&world, &Payment::new(1, 1, 600), "a") };
    assert!(world.take(&buyer.start()).is_delivery());
    assert_eq!(first(&asked, "eth_sendRawTransactionSync"), 300 + 20);
}

#[test]
fn the_origin_does_not_wait_for_kv() {
    let (world, asked) = world();
    world.tables.kv_ms.set(200);
    let buyer = Buyer { origin_ms: 200, ..Buyer::new(&world, &Payment::new(1, 1, 600), "a") };
    let bought = buyer.start();
    world.run_for(10);
    assert_eq!(world.asked.get(), 1);
    assert!(world.take(&bought).is_delivery());
    assert_eq!(first(&asked, "eth_sendRawTransactionSync"), 200 + 20);
}

/// KV knows of a payment that its Settler has forgotten.
#[test]
fn what_kv_calls_used_is_refused_whatever_the_origin_has_said() {
    for (kv_ms, origin_ms) in [(200, 20), (20, 200)] {
        let (world, asked) = world();
        let payment = Payment::new(1, 1, 600_000);
        assert!(world.buy_now(&payment, "a").is_delivery());
        let record = world.kv.borrow().get(&ReplayRecord::key(&payment.id)).cloned();
        assert!(record.is_some());
        world.tables.take();
        world.tables.kv_ms.set(kv_ms);
        asked.borrow_mut().clear();
        let buyer = Buyer { origin_ms, ..Buyer::new(&world, &payment, "b") };
        let answer = world.take(&buyer.start());
        assert_eq!(answer, Answer::Refused(Reason::DuplicateSettlement));
        let sent = asked.borrow().iter().any(|(_, it)| it.starts_with("eth_sendRaw"));
        assert!(!sent && world.tables.payments() == 0, "the claim is let go");
    }
}

#[test]
fn an_origin_that_works_in_vain_is_not_waited_for() {
    let (world, _) = world();
    let payment = Payment::new(1, 1, 600_000);
    assert!(world.buy_now(&payment, "a").is_delivery());
    world.tables.take();
    world.tables.kv_ms.set(100);
    let buyer = Buyer { origin_ms: 20_000, ..Buyer::new(&world, &payment, "a") }.start();
    world.run_for(200);
    let answer = buyer.borrow_mut().take();
    assert_eq!(answer, Some(Answer::Refused(Reason::DuplicateSettlement)));
    assert_eq!(world.tables.payments(), 0, "the claim is let go");
}

/// An edge that has heard of it has it at hand, before the Settler can answer.
#[test]
fn what_kv_knows_at_once_is_not_asked_for_at_the_origin() {
    let (world, _) = world();
    let payment = Payment::new(1, 1, 600_000);
    assert!(world.buy_now(&payment, "a").is_delivery());
    world.tables.take();
    world.asked.set(0);
    let answer = world.buy_now(&payment, "a");
    assert_eq!(answer, Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.asked.get(), 0);
}
