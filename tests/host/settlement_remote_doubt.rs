//! What nobody says for certain of a payment that a facilitator settles.

use std::rc::Rc;

use edge402::encoding::encode_hex;
use edge402::protocol::Reason;
use edge402::settlement::State;
use serde_json::json;

use crate::remote_support::{
    Does, facilitator as configured, payment, run_with_blocks, settle_request, world, world_with,
};
use crate::settlement_remote::assert_bought_once;
use crate::sim::{Answer, Buyer, Payment};

/// Past the end of every payment here, and of the margin after it.
const LONG_AFTER: u64 = 1_200_000;

const HOUR: u64 = 3_600_000;

/// The facilitator settles, and is down before it says so.
fn settled_before_an_outage(answers: usize) -> Vec<Does> {
    let mut does = vec![Does::WellButSilent];
    does.extend(vec![Does::Unreachable; answers]);
    does
}

#[test]
fn without_nodes_an_outage_of_the_facilitators_costs_nobody_a_payment() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    facilitator.is_idempotent.set(true);
    facilitator.settles.borrow_mut().extend(settled_before_an_outage(1_000));
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Pending(None)));
    world.run_for(LONG_AFTER);
    assert_eq!(world.tables.entries().len(), 1, "nobody has spoken since its end");
    facilitator.settles.borrow_mut().clear();
    world.run_for(HOUR);
    assert_bought_once(&world, &payment);
}

#[test]
fn a_facilitator_that_never_comes_back_is_asked_for_a_day() {
    let (world, facilitator) = world(false);
    facilitator.settles.borrow_mut().extend(settled_before_an_outage(10_000));
    assert!(matches!(facilitator.buy_now(&payment(1), "a"), Answer::Pending(None)));
    world.run_for(23 * HOUR);
    assert_eq!(world.tables.entries().len(), 1);
    world.run_for(3 * HOUR);
    assert!(world.tables.entries().is_empty());
}

#[test]
fn an_outage_of_the_facilitators_is_held_against_no_payer() {
    let (world, facilitator) = world(true);
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 1_000]);
    for nonce in 0..3 {
        let answer = facilitator.buy_now(&Payment::new(1, nonce, 300), "a");
        assert!(matches!(answer, Answer::Pending(None)), "{answer:?}");
    }
    run_with_blocks(&world, LONG_AFTER);
    assert!(world.tables.entries().is_empty());
    facilitator.settles.borrow_mut().clear();
    assert!(facilitator.buy_now(&Payment::new(1, 9, 90_000), "b").is_delivery());
}

/// It knows neither the transfer nor that the payment's time is over.
#[test]
fn a_node_that_stands_still_ends_no_payment() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    facilitator.is_idempotent.set(true);
    facilitator.settles.borrow_mut().extend(settled_before_an_outage(60));
    let unused = encode_hex(&[0; 32]);
    let latest =
        json!({ "number": "0x64", "timestamp": format!("{:x}", world.clock.now_ms() / 1_000) });
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| match method {
        "eth_blockNumber" => Some(Ok(json!("0x64"))),
        "eth_getBlockByNumber" => Some(Ok(latest.clone())),
        "eth_getLogs" => Some(Ok(json!([]))),
        "eth_call" => Some(Ok(json!(unused))),
        _ => None,
    }));
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Pending(None)));
    world.run_for(LONG_AFTER);
    let state = world.tables.record(&payment.id).unwrap().state;
    assert!(matches!(state, State::Submitted { .. }), "{state:?}");
    facilitator.settles.borrow_mut().clear();
    world.run_for(HOUR);
    assert_bought_once(&world, &payment);
}

/// One node says that the payment's time is over, and nothing else. The other one stands
/// still, and knows no block of that time.
#[test]
fn what_two_nodes_say_of_different_blocks_ends_no_payment() {
    let (world, facilitator) = world_with(2);
    let payment = payment(1);
    facilitator.is_idempotent.set(true);
    facilitator.settles.borrow_mut().extend(settled_before_an_outage(60));
    let (unused, clock) = (encode_hex(&[0; 32]), Rc::clone(&world.clock));
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        let is_first = url.starts_with("https://node0.");
        let silent = Some(Err((-32_005, "limit exceeded")));
        let time = format!("{:#x}", clock.now_ms() / 1_000);
        match method {
            "eth_blockNumber" if is_first => Some(Ok(json!("0xfff"))),
            "eth_getBlockByNumber" if is_first => {
                Some(Ok(json!({ "number": "0xfff", "timestamp": time })))
            }
            "eth_getLogs" if !is_first => Some(Ok(json!([]))),
            "eth_call" if !is_first && params[1] == "latest" => Some(Ok(json!(unused))),
            "eth_call" if !is_first => Some(Err((-32_000, "header not found"))),
            "eth_chainId" => None,
            _ => silent,
        }
    }));
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Pending(None)));
    world.run_for(LONG_AFTER);
    assert_eq!(world.tables.entries().len(), 1, "no node has seen it unused after its end");
    facilitator.settles.borrow_mut().clear();
    world.run_for(HOUR);
    assert_bought_once(&world, &payment);
}

/// A facilitator looks at each payment by itself: the money is there for one.
#[test]
fn a_payer_who_has_no_money_for_what_he_signs_is_refused_for_a_while() {
    let (_world, facilitator) = world(false);
    let broke = json!({ "success": false, "errorReason": "insufficient_funds", "transaction": "" });
    facilitator.settles.borrow_mut().extend(vec![Does::Says(200, broke); 16]);
    for nonce in 0..16 {
        let answer = facilitator.buy_now(&Payment::new(1, nonce, 300), "a");
        assert_eq!(answer, Answer::Refused(Reason::InsufficientFunds));
    }
    let answer = facilitator.buy_now(&Payment::new(1, 90, 300), "a");
    assert_eq!(answer, Answer::Refused(Reason::TooManyFailures));
    assert!(facilitator.buy_now(&Payment::new(2, 91, 300), "a").is_delivery());
}

#[test]
fn a_payer_has_no_more_than_so_many_at_the_facilitators_at_once() {
    let (world, facilitator) = world(false);
    let start = |payer, nonce| facilitator.start_buy(&Payment::new(payer, nonce, 300), "a");
    let many: Vec<_> = (0..80).map(|nonce| start(1, nonce)).collect();
    let other = start(2, 100);
    let answers: Vec<_> = many.iter().map(|buyer| world.take(buyer)).collect();
    let served = answers.iter().filter(|answer| answer.is_delivery()).count();
    assert_eq!((served, answers.iter().filter(|it| **it == Answer::Crowded(30)).count()), (64, 16));
    assert!(world.take(&other).is_delivery());
}

/// Each request to a facilitator that is slow holds a connection for 20 seconds, and
/// there are four: who was told to come back is not charged afterwards.
#[test]
fn what_had_no_turn_while_its_buyer_waited_is_not_sent_later() {
    let (world, facilitator) = world(false);
    facilitator.settles.borrow_mut().extend(vec![Does::Nothing; 8]);
    let payments: Vec<_> = (0..12).map(|number| Payment::new(number, number, 300)).collect();
    let buyers: Vec<_> =
        payments.iter().map(|payment| facilitator.start_buy(payment, "a")).collect();
    let answers: Vec<_> = buyers.iter().map(|buyer| world.take(buyer)).collect();
    let turned_away = answers.iter().filter(|it| **it == Answer::Unavailable).count();
    let pending = answers.iter().filter(|it| matches!(it, Answer::Pending(_))).count();
    assert_eq!((pending, turned_away), (8, 4), "{answers:?}");
    world.run_for(200_000);
    for (payment, answer) in payments.iter().zip(&answers) {
        let charged = world.chain.borrow().transfers_of(payment).len();
        assert_eq!(charged, usize::from(*answer != Answer::Unavailable), "{answer:?}");
    }
    assert!(facilitator.buy_now(&payments[11], "a").is_delivery());
}

/// What has failed on the chain everybody can read: whose it is stays known, whatever the
/// facilitator does not take later.
#[test]
fn what_was_shown_stays_its_buyers_though_nobody_takes_it_again() {
    for is_withdrawn in [false, true] {
        let (world, facilitator) = world(false);
        let payment = payment(1);
        facilitator.payments.borrow_mut().push(payment.clone());
        let failed = json!({
            "success": false,
            "errorReason": "invalid_exact_evm_transaction_failed",
            "transaction": format!("0x{}", "55".repeat(32)),
        });
        facilitator.settles.borrow_mut().push_back(Does::Says(200, failed));
        let how = Some((configured(), settle_request as fn(&_, &_) -> _));
        let buyer = Buyer { origin_ms: 0, facilitator: how, ..Buyer::new(&world, &payment, "a") };
        assert_eq!(buyer.now(), Answer::Refused(Reason::InvalidTransactionState));
        if is_withdrawn {
            let not_taken = Does::Says(403, json!({ "error": "no" }));
            facilitator.settles.borrow_mut().push_back(not_taken);
            assert_eq!(buyer.now(), Answer::Unavailable);
        }
        let observer = Buyer { resource: "b".into(), ..buyer.observer() };
        assert_eq!(observer.now(), Answer::Refused(Reason::DuplicateSettlement), "{is_withdrawn}");
        assert!(buyer.now().is_delivery(), "{is_withdrawn}");
    }
}

/// A record whose entry is gone would stay for ever, and nobody would look after it.
#[test]
fn what_the_disk_does_not_let_go_is_made_again() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let not_taken = Does::Says(403, json!({ "error": "no" }));
    facilitator.settles.borrow_mut().push_back(not_taken);
    facilitator.settle_ms.set(1_000);
    let buyer = facilitator.start_buy(&payment, "a");
    world.run_for(500);
    world.tables.keeps_payments.set(true);
    assert!(matches!(world.take(&buyer), Answer::Pending(None)));
    world.tables.keeps_payments.set(false);
    world.run_for(60_000);
    assert_bought_once(&world, &payment);
}

#[test]
fn what_was_said_to_be_settled_is_kept_where_the_disk_fails() {
    // For a moment, and for longer than one task tries to write it.
    for fails_ms in [2_000, 150_000] {
        let (world, facilitator) = world(false);
        facilitator.settle_ms.set(1_000);
        let payment = payment(1);
        let buyer = facilitator.start_buy(&payment, "a");
        world.run_for(600);
        world.tables.refuses_sales.set(true);
        world.run_for(fails_ms);
        world.tables.refuses_sales.set(false);
        world.run_for(60_000);
        drop(buyer);
        // Asked again, it would call the payment used, which may be by anybody.
        assert_eq!(facilitator.count("/settle"), 1, "{fails_ms}");
        assert!(facilitator.buy_now(&payment, "a").is_delivery(), "{fails_ms}");
        assert_bought_once(&world, &payment);
    }
}

#[test]
fn a_node_that_stands_still_keeps_no_payment_open() {
    let (world, facilitator) = world_with(2);
    let start = world.clock.now_ms() / 1_000;
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        if !url.contains("node1.") {
            return None;
        }
        match method {
            "eth_blockNumber" => Some(Ok(json!("0x1"))),
            "eth_getBlockByNumber" => {
                Some(Ok(json!({ "number": "0x1", "timestamp": format!("{start:#x}") })))
            }
            "eth_getLogs" => Some(Ok(json!([]))),
            "eth_call" if params[1] != "latest" => Some(Err((-32_000, "header not found"))),
            _ => None,
        }
    }));
    let said = json!({ "success": false, "errorReason": "internal trouble", "transaction": "" });
    facilitator.settles.borrow_mut().extend(vec![Does::Says(200, said); 1_000]);
    assert!(matches!(facilitator.buy_now(&payment(1), "a"), Answer::Pending(None)));
    run_with_blocks(&world, LONG_AFTER);
    assert!(world.tables.entries().is_empty());
}
