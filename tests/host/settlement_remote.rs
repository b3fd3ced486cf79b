//! What becomes of payments that somebody else's facilitator settles.

use crate::remote_support::{
    Does, KEY, payment, payment_to, run_with_blocks, settle_request, world,
};
use crate::sim::{AMOUNT, Answer, Fault, Payment, REDELIVER, World};
use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::settlement::{ClaimReply, DeliveryReport, Ending, Outcome, State};
use serde_json::{Value, json};

/// Past the end of every payment here, and of the time after it.
const LONG_AFTER: u64 = 1_200_000;

const HOUR: u64 = 3_600_000;

const USED: &str = "invalid_exact_evm_nonce_already_used";

fn is_pending(answer: &Answer) -> bool {
    matches!(answer, Answer::Pending(None))
}

fn state(world: &World, payment: &Payment) -> State {
    world.tables.record(&payment.id).unwrap().state
}

/// Bought once, charged once, and nothing left to do.
pub fn assert_bought_once(world: &World, payment: &Payment) {
    assert_eq!(world.chain.borrow().transfers_of(payment).len(), 1, "transfers");
    assert!(matches!(state(world, payment), State::Settled(_)));
    assert!(world.tables.entries().is_empty());
}

fn pending_in(transaction: &str) -> Does {
    let answer = json!({
        "success": false, "errorReason": "settlement_pending", "transaction": transaction,
    });
    Does::Says(200, answer)
}

fn says(reason: &str) -> Does {
    Does::Says(200, json!({ "success": false, "errorReason": reason, "transaction": "" }))
}

#[test]
fn a_payment_is_settled_and_delivered_again() {
    for with_nodes in [false, true] {
        let (world, facilitator) = world(with_nodes);
        let payment = payment(1);
        let Answer::Delivered(first) = facilitator.buy_now(&payment, "a") else { panic!() };
        let Answer::Delivered(again) = facilitator.buy_now(&payment, "a") else { panic!() };
        assert_eq!(first, again);
        assert_eq!(world.chain.borrow().transfers[0].transaction, first.transaction);
        let other = facilitator.buy_now(&payment, "b");
        assert_eq!(other, Answer::Refused(Reason::DuplicateSettlement));
        assert_eq!((facilitator.count("/verify"), facilitator.count("/settle")), (1, 1));
        // While the facilitator works: in which block it was not used yet.
        assert_eq!(world.posts.get(), usize::from(with_nodes));
        assert_bought_once(&world, &payment);
        world.run_for(1_000 * REDELIVER);
        let late = facilitator.buy_now(&payment, "a");
        assert!(matches!(late, Answer::Refused(_)), "{late:?}");
        assert_eq!(world.deliveries.borrow().len(), 2);
    }
}

#[test]
fn two_resources_at_once_get_one() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let buyers = ["a", "a", "b", "b"].map(|resource| facilitator.start_buy(&payment, resource));
    let answers = buyers.map(|buyer| world.take(&buyer));
    assert_eq!(answers.iter().filter(|answer| answer.is_delivery()).count(), 2, "{answers:?}");
    let refused = Answer::Refused(Reason::DuplicateSettlement);
    assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), 2, "{answers:?}");
    assert_bought_once(&world, &payment);
}

#[test]
fn what_is_sent_is_the_payment_and_nothing_else() {
    let (_world, facilitator) = world(false);
    let mut payment = payment(1);
    let mut payload = payment.payload.clone();
    payload["permit2Authorization"] = json!({ "another": "payment" });
    payment.payload = payload.clone();
    assert!(facilitator.buy_now(&payment, "a").is_delivery());
    let asked = facilitator.asked.borrow();
    let [verify, settle] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((verify.url.as_str(), verify.timeout_ms), ("https://pay.test/v2/verify", 5_000));
    assert_eq!((settle.url.as_str(), settle.timeout_ms), ("https://pay.test/v2/settle", 20_000));
    assert_eq!(verify.body, settle.body);
    let body: Value = serde_json::from_str(settle.body.as_deref().unwrap()).unwrap();
    payload.as_object_mut().unwrap().remove("permit2Authorization");
    let terms = crate::remote_support::requirements().to_value();
    assert_eq!(
        body,
        json!({
            "x402Version": 2,
            "paymentPayload": {
                "x402Version": 2,
                "resource": { "url": "https://shop.example/a" },
                "accepted": terms,
                "payload": payload,
            },
            "paymentRequirements": terms,
        })
    );
    let key = (KEY.0.to_owned(), KEY.1.to_owned());
    assert_eq!(verify.headers, std::slice::from_ref(&key));
    let [first, (name, value)] = settle.headers.as_slice() else { panic!("{settle:?}") };
    assert_eq!((first, name.as_str(), value.len()), (&key, "Idempotency-Key", 66));
}

#[test]
fn one_that_is_not_valid_is_let_go() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let invalid = json!({ "isValid": false, "invalidReason": "invalid_exact_evm_signature" });
    facilitator.verifies.borrow_mut().push_back(Does::Says(200, invalid));
    assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Refused(Reason::EvmSignature));
    assert!(world.tables.record(&payment.id).is_none());
    for does in [Does::Nothing, Does::Unreachable, Does::Floods, Does::Says(500, json!(null))] {
        facilitator.verifies.borrow_mut().push_back(does);
        assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Unavailable);
        assert!(world.tables.record(&payment.id).is_none());
    }
    assert_eq!(facilitator.count("/settle"), 0);
    assert!(facilitator.buy_now(&payment, "b").is_delivery());
    assert_bought_once(&world, &payment);
}

#[test]
fn one_that_was_used_before_its_claim_buys_nothing() {
    for with_nodes in [false, true] {
        let (world, facilitator) = world(with_nodes);
        let payment = payment(1);
        world.run_for(20_000);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().stranger_sends(&payment, now);
        for _ in 0..2 {
            assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
        }
        assert!(world.deliveries.borrow().is_empty());
    }
}

#[test]
fn a_final_refusal_frees_the_claim() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    for (code, reason) in [
        ("insufficient_funds", Reason::InsufficientFunds),
        (USED, Reason::EvmNonceUsed),
        ("duplicate_settlement", Reason::DuplicateSettlement),
        ("invalid_exact_evm_signature", Reason::EvmSignature),
        ("unsupported_something", Reason::InvalidPayload),
    ] {
        facilitator.settles.borrow_mut().push_back(says(code));
        assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Refused(reason), "{code}");
        assert!(world.tables.entries().is_empty());
    }
    assert!(facilitator.buy_now(&payment, "b").is_delivery());
    assert_bought_once(&world, &payment);
}

#[test]
fn what_was_used_long_ago_ends_when_the_facilitator_says_so() {
    let (world, facilitator) = world(true);
    let old = Payment::new(1, 10, 100_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&old, now);
    for _ in 0..700 {
        world.run_for(2_000);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().mine(now);
    }
    // Not all facilitators look at the chain when they verify.
    facilitator.verifies.borrow_mut().push_back(Does::Says(200, json!({ "isValid": true })));
    assert_eq!(facilitator.buy_now(&old, "a"), Answer::Refused(Reason::EvmNonceUsed));
    world.run_for(3_600_000);
    assert_eq!((facilitator.count("/settle"), world.tables.entries().len()), (1, 0));
}

#[test]
fn strangers_that_show_used_payments_get_nobody_locked_out() {
    let (world, facilitator) = world(true);
    for nonce in 10..13 {
        let old = Payment::new(1, nonce, 290);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().stranger_sends(&old, now);
        world.run_for(5_000);
        facilitator.verifies.borrow_mut().push_back(Does::Says(200, json!({ "isValid": true })));
        assert_eq!(facilitator.buy_now(&old, "a"), Answer::Refused(Reason::EvmNonceUsed));
    }
    assert!(facilitator.buy_now(&Payment::new(1, 1, 280), "b").is_delivery());
}

#[test]
fn a_request_that_is_turned_away_did_nothing() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    for status in [401, 403, 404, 405, 413] {
        let turned_away = Does::Says(status, json!({ "error": "no" }));
        facilitator.settles.borrow_mut().push_back(turned_away);
        assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Unavailable, "{status}");
        assert!(world.tables.record(&payment.id).is_none());
        assert!(world.tables.entries().is_empty());
    }
    let log = world.log.borrow().join("\n");
    assert!(log.contains("pay.test") && log.contains("401"), "{log}");
    assert!(!log.contains(KEY.1) && !log.contains("/v2"), "{log}");
    assert!(facilitator.buy_now(&payment, "b").is_delivery());
}

#[test]
fn who_waits_for_one_that_was_turned_away_takes_over() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(Does::Says(401, json!(null)));
    let first = facilitator.start_buy(&payment, "a");
    world.run_for(70);
    let second = facilitator.start_buy(&payment, "a");
    assert_eq!(world.take(&first), Answer::Unavailable);
    assert!(world.take(&second).is_delivery());
    assert_bought_once(&world, &payment);
}

/// Everything that leaves it open whether the payment was settled.
fn unclear(was_settled: bool) -> Vec<Does> {
    let answers = [
        (500, json!(null)),
        (400, json!({ "error": "Invalid request" })),
        (302, json!(null)),
        (200, json!({ "success": true })),
        (200, json!({ "success": true, "transaction": "0x1", "network": "eip155:1" })),
        (
            200,
            json!({ "success": false, "errorReason": "settlement_pending", "transaction": "0x1" }),
        ),
        (200, json!({ "success": false, "errorReason": "transaction_failed", "transaction": "" })),
        (
            200,
            json!({ "success": false, "transaction": "0x1",
                "errorReason": "invalid_exact_evm_failed_to_get_receipt" }),
        ),
        (200, json!("garbage")),
    ];
    let answers = answers.into_iter();
    if was_settled {
        let mut all = vec![Does::WellButSilent];
        all.extend(answers.map(|(status, answer)| Does::WellButSays(status, answer)));
        all
    } else {
        let mut all = vec![Does::Nothing, Does::Unreachable, Does::Floods];
        all.extend(answers.map(|(status, answer)| Does::Says(status, answer)));
        all
    }
}

#[test]
fn a_lost_request_is_made_again() {
    for does in unclear(false) {
        let (world, facilitator) = world(false);
        let payment = payment(1);
        facilitator.settles.borrow_mut().push_back(does.clone());
        let answer = facilitator.buy_now(&payment, "a");
        assert!(answer.is_delivery(), "{does:?}: {answer:?}");
        assert_eq!(facilitator.count("/settle"), 2);
        let asked = facilitator.asked.borrow();
        assert_eq!((&asked[1].body, &asked[1].headers), (&asked[2].body, &asked[2].headers));
        assert_bought_once(&world, &payment);
    }
}

#[test]
fn a_lost_answer_is_told_again_by_an_idempotent_facilitator() {
    for does in unclear(true) {
        let (world, facilitator) = world(false);
        let payment = payment(1);
        facilitator.is_idempotent.set(true);
        facilitator.settles.borrow_mut().push_back(does.clone());
        let answer = facilitator.buy_now(&payment, "a");
        assert!(answer.is_delivery(), "{does:?}: {answer:?}");
        assert_bought_once(&world, &payment);
    }
}

#[test]
fn a_lost_answer_is_found_on_the_chain() {
    for does in unclear(true) {
        let (world, facilitator) = world(true);
        let payment = payment(1);
        facilitator.settles.borrow_mut().push_back(does.clone());
        let answer = facilitator.buy_now(&payment, "a");
        let Answer::Delivered(settlement) = answer else { panic!("{does:?}: {answer:?}") };
        assert_eq!(settlement.transaction, world.chain.borrow().transfers[0].transaction);
        let other = facilitator.buy_now(&payment, "b");
        assert_eq!(other, Answer::Refused(Reason::DuplicateSettlement));
        assert_bought_once(&world, &payment);
    }
}

/// Without nodes a refusal after a lost answer proves nothing: the buyer may
/// have paid, or may have canceled. Nothing is given away, and the seller is
/// told whom to ask.
#[test]
fn a_lost_answer_that_nobody_can_tell_ends_with_a_line_for_the_seller() {
    for canceled in [false, true] {
        let (world, facilitator) = world(false);
        let payment = payment(1);
        let does = if canceled { Does::Nothing } else { Does::WellButSilent };
        facilitator.settles.borrow_mut().push_back(does);
        let buyer = facilitator.start_buy(&payment, "a");
        world.run_for(10_000);
        if canceled {
            world.chain.borrow_mut().cancel(&payment);
        }
        let answer = world.take(&buyer);
        assert!(is_pending(&answer), "{answer:?}");
        // It buys nothing else meanwhile.
        let other = facilitator.buy_now(&payment, "b");
        assert_eq!(other, Answer::Refused(Reason::DuplicateSettlement));
        world.run_for(LONG_AFTER);
        let ended = State::Failed { reason: Reason::UnexpectedSettleError };
        let record = world.tables.record(&payment.id);
        let is_ended = |it: &State| format!("{it:?}") == format!("{ended:?}");
        assert!(record.is_none_or(|record| is_ended(&record.state)));
        assert!(world.tables.entries().is_empty());
        assert!(world.deliveries.borrow().is_empty());
        let log = world.log.borrow().join("\n");
        let payer = crate::sim::payer(1).address().to_string();
        let line = format!("{} of {payer} ended unclear", payment.id);
        assert!(log.contains("pay.test") && log.contains(&line), "{log}");
        assert!(!log.contains(KEY.1), "{log}");
    }
}

#[test]
fn a_repeat_that_is_turned_away_says_nothing_of_the_first() {
    for status in [401, 403, 404, 405, 413] {
        let (world, facilitator) = world(false);
        let payment = payment(1);
        facilitator.is_idempotent.set(true);
        facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
        facilitator.settles.borrow_mut().push_back(Does::Says(status, json!(null)));
        let buyer = facilitator.start_buy(&payment, "a");
        world.run_for(24_000);
        assert!(matches!(state(&world, &payment), State::Submitted { .. }), "{status}");
        assert!(is_pending(&world.take(&buyer)));
        assert!(facilitator.buy_now(&payment, "a").is_delivery());
        assert_bought_once(&world, &payment);
    }
}

#[test]
fn a_duplicate_with_a_transaction_may_be_another_purchase() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let duplicate = json!({
        "success": false, "errorReason": "duplicate_settlement", "transaction": "0x1",
    });
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    for _ in 0..100 {
        facilitator.settles.borrow_mut().push_back(Does::Says(200, duplicate.clone()));
    }
    assert!(is_pending(&facilitator.buy_now(&payment, "a")));
    world.run_for(LONG_AFTER);
    assert!(world.deliveries.borrow().is_empty());
    assert!(world.tables.entries().is_empty());
}

#[test]
fn an_authorization_that_is_canceled_meanwhile_buys_nothing() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    let buyer = facilitator.start_buy(&payment, "a");
    world.run_for(10_000);
    // No log tells of it.
    world.chain.borrow_mut().cancel(&payment);
    assert!(is_pending(&world.take(&buyer)));
    world.run_for(25 * HOUR);
    assert!(world.tables.entries().is_empty());
    assert!(!facilitator.buy_now(&payment, "a").is_delivery());
    assert!(world.deliveries.borrow().is_empty());
}

/// Nodes without old logs, or that are behind, tell for a while that it is used and
/// not by whom.
#[test]
fn what_is_used_and_no_node_tells_by_whom_is_open_for_a_day() {
    for told_after in [Some(5), Some(20), None] {
        let (world, facilitator) = world(true);
        let payment = payment(1);
        *world.hook.borrow_mut() =
            Some(Box::new(|_, method, _| (method == "eth_getLogs").then(|| Ok(json!([])))));
        facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
        assert!(is_pending(&facilitator.buy_now(&payment, "a")));
        world.run_for(HOUR * told_after.unwrap_or(20));
        assert_eq!(world.tables.entries().len(), 1, "{told_after:?}");
        // Neither the facilitator nor the nodes are asked all the time.
        let asked = facilitator.count("/settle");
        assert!(asked < 110, "{asked} requests");
        if told_after.is_some() {
            *world.hook.borrow_mut() = None;
            world.run_for(2 * HOUR);
            assert_bought_once(&world, &payment);
            continue;
        }
        world.run_for(6 * HOUR);
        assert!(world.tables.entries().is_empty());
        assert!(world.log.borrow().iter().any(|line| line.contains("ended unclear")));
    }
}

#[test]
fn an_authorization_with_the_same_nonce_for_somebody_else_buys_nothing() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    let own = payment_to(crate::sim::payer(9).address(), 1);
    assert_eq!(own.id, payment.id);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    let buyer = facilitator.start_buy(&payment, "a");
    world.run_for(10_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&own, now);
    assert_eq!(world.take(&buyer), Answer::Refused(Reason::EvmNonceUsed));
    assert!(world.deliveries.borrow().is_empty());
    assert!(world.tables.entries().is_empty());
}

/// Another gate of the same seller settled the authorization while the origin
/// worked, between our check and our request: that is another purchase.
#[test]
fn what_was_settled_before_our_request_is_another_purchase() {
    for seconds in [1, 5, 9, 15] {
        let (world, facilitator) = world(true);
        let payment = payment(1);
        let claim = world.claim_request(&payment, "a");
        assert_eq!(world.claim(&claim), ClaimReply::Fresh);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().stranger_sends(&payment, now);
        world.run_for(1_000 * seconds);
        facilitator.settles.borrow_mut().push_back(Does::Nothing);
        let request = settle_request(&payment, &claim);
        let settler = world.settler();
        let outcome = world.wait(async move { settler.settle(request).await.unwrap() });
        let used = Outcome::Failed { reason: Reason::EvmNonceUsed, transaction: None };
        assert_eq!(outcome, used, "{seconds}");
    }
}

/// Gate A's first look failed; then gate B of the same seller sold for it.
#[test]
fn what_failed_once_is_not_bought_by_what_another_gate_sold() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(says("insufficient_funds"));
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Refused(_)));
    world.run_for(5_000);
    world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    world.run_for(3_000);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    let request = settle_request(&payment, &claim);
    let settler = world.settler();
    let outcome = world.wait(async move { settler.settle(request).await.unwrap() });
    assert_eq!(outcome, Outcome::Failed { reason: Reason::EvmNonceUsed, transaction: None });
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn one_that_nobody_settles_in_time_was_not_charged() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    for _ in 0..100 {
        facilitator.settles.borrow_mut().push_back(Does::Says(503, json!(null)));
    }
    assert!(is_pending(&facilitator.buy_now(&payment, "a")));
    run_with_blocks(&world, LONG_AFTER);
    assert!(world.tables.entries().is_empty());
    assert!(world.chain.borrow().transfers.is_empty());
    let log = world.log.borrow().join("\n");
    assert!(!log.contains("ended unclear"), "{log}");
}

#[test]
fn an_unclear_payment_is_asked_after_now_and_then() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    for _ in 0..1_000 {
        facilitator.settles.borrow_mut().push_back(Does::Says(500, json!(null)));
    }
    assert!(is_pending(&facilitator.buy_now(&payment, "a")));
    let quick = facilitator.count("/settle");
    assert!((4..=5).contains(&quick), "{quick} in half a minute");
    world.run_for(240_000);
    let slow = facilitator.count("/settle") - quick;
    assert!((8..=14).contains(&slow), "{slow} in four minutes");
    // The facilitator is well again: the buyer who comes back gets the goods.
    facilitator.settles.borrow_mut().clear();
    world.run_for(30_000);
    assert!(facilitator.buy_now(&payment, "a").is_delivery());
    assert_bought_once(&world, &payment);
}

#[test]
fn a_crash_at_any_time_costs_no_one_anything() {
    for crash_at in (0..400).step_by(7) {
        for with_nodes in [false, true] {
            let (world, facilitator) = world(with_nodes);
            facilitator.is_idempotent.set(!with_nodes);
            let payment = payment(1);
            let buyer = facilitator.start_buy(&payment, "a");
            world.run_for(crash_at);
            world.crash();
            world.run_for(200);
            let again = facilitator.buy_now(&payment, "a");
            assert!(again.is_delivery(), "{crash_at}: {again:?}");
            let answer = world.take(&buyer);
            assert!(answer.is_delivery() || answer == Answer::Broken, "{crash_at}: {answer:?}");
            assert_bought_once(&world, &payment);
        }
    }
}

#[test]
fn a_refusal_after_a_crash_proves_nothing() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let buyer = facilitator.start_buy(&payment, "a");
    // The facilitator has settled, and its answer is on its way.
    world.run_for(70);
    assert_eq!(world.chain.borrow().transfers.len(), 1);
    assert_eq!(world.tables.entries().len(), 1);
    world.crash();
    assert_eq!(world.take(&buyer), Answer::Broken);
    world.settler();
    world.run_for(5_000);
    assert!(matches!(state(&world, &payment), State::Submitted { .. }));
    let other = facilitator.buy_now(&payment, "b");
    assert_eq!(other, Answer::Refused(Reason::DuplicateSettlement));
}

#[test]
fn a_payer_has_no_more_than_so_many_unclear_ones() {
    let (world, facilitator) = world(false);
    let of_one = |n: u8| Payment::new(1, n, 300);
    // What is clear is not counted.
    let good: Vec<_> = (50..80).map(|n| facilitator.start_buy(&of_one(n), "a")).collect();
    assert!(good.iter().all(|buyer| world.take(buyer).is_delivery()));
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 32]);
    let buyers: Vec<_> = (0..16).map(|n| facilitator.start_buy(&of_one(n), "a")).collect();
    world.run_for(1_000);
    let asked = world.asked.get();
    assert_eq!(facilitator.buy_now(&of_one(20), "a"), Answer::Crowded(30));
    assert_eq!(world.asked.get(), asked, "no origin works in vain");
    assert!(facilitator.buy_now(&payment(90), "a").is_delivery(), "another payer");
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert!(facilitator.buy_now(&of_one(20), "a").is_delivery());
}

#[test]
fn every_unclear_payment_has_its_turn() {
    let (world, facilitator) = world(false);
    // None of them hears anything for as long as somebody waits.
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 70 * 12]);
    let buyers: Vec<_> = (0..70).map(|n| facilitator.start_buy(&payment(n), "a")).collect();
    world.run_for(70_000);
    drop(buyers);
    facilitator.settles.borrow_mut().clear();
    // The alarm takes up 32 at a time; each is settled in its turn.
    world.run_for(120_000);
    assert!(world.tables.entries().is_empty(), "{} are left", world.tables.entries().len());
    assert_eq!(world.chain.borrow().transfers.len(), 70);
}

#[test]
fn the_chain_is_looked_at_from_before_the_request_on() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
    facilitator.settles.borrow_mut().extend(vec![says(USED); 200]);
    // No node answers meanwhile, and the chain goes on.
    world.faults.borrow_mut().extend([Fault::Unreachable; 30]);
    assert!(is_pending(&facilitator.buy_now(&payment, "a")));
    for n in 0..2_000 {
        let now = world.clock.now_ms() + n;
        world.chain.borrow_mut().mine(now);
    }
    world.faults.borrow_mut().clear();
    world.run_for(60_000);
    assert_bought_once(&world, &payment);
    assert!(facilitator.buy_now(&payment, "a").is_delivery());
}

#[test]
fn nodes_that_tell_nothing_do_not_keep_a_payment_open_forever() {
    let (world, facilitator) = world(true);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
    facilitator.settles.borrow_mut().extend(vec![says(USED); 2_000]);
    world.faults.borrow_mut().extend(vec![Fault::Unreachable; 20_000]);
    assert!(is_pending(&facilitator.buy_now(&payment, "a")));
    world.run_for(20 * HOUR);
    assert_eq!(world.tables.entries().len(), 1);
    world.run_for(6 * HOUR);
    assert!(world.tables.entries().is_empty());
    let log = world.log.borrow().join("\n");
    assert!(log.contains("ended unclear"), "{log:.200}");
}

#[test]
fn an_order_that_was_delivered_is_not_delivered_again_where_nothing_is() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let request = settle_request(&payment, &claim);
    facilitator.settles.borrow_mut().push_back(Does::Says(
        200,
        json!({ "success": true, "transaction": "0x1", "network": "base-sepolia" }),
    ));
    let settler = world.settler();
    let outcome = world.wait(async move { settler.settle(request).await.unwrap() });
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    let (id, ticket) = (payment.id.clone(), claim.ticket);
    let report = DeliveryReport { payment: id, ticket, ending: Ending::Whole, moved_to: None };
    world.settler().report(&report).unwrap();
    let mut again = world.claim_request(&payment, "a");
    again.redeliver_max = 0;
    assert_eq!(
        world.claim(&again),
        ClaimReply::Spent { transaction: "0x1".into(), amount: Some(AtomicAmount(AMOUNT)) }
    );
}

#[test]
fn what_was_on_disk_before_there_were_facilitators_still_reads() {
    let (world, _facilitator) = world(false);
    let claim = world.claim_request(&payment(1), "a");
    let text = edge402::json::to_text(&payment(1).settle_request(&claim));
    assert!(!text.contains("remote"));
    let read: edge402::settlement::SettleRequest = edge402::json::from_text(&text).unwrap();
    assert!(read.remote.is_none());
    let text = edge402::json::to_text(&settle_request(&payment(1), &claim));
    let read: edge402::settlement::SettleRequest = edge402::json::from_text(&text).unwrap();
    assert!(read.remote.is_some());
}

#[test]
fn a_transaction_that_is_pending_is_told_to_who_asks() {
    for with_nodes in [false, true] {
        let (world, facilitator) = world(with_nodes);
        let payment = payment(1);
        let says = ["0x1", "0x1", "0x1", "0x2", "0x2"].map(pending_in);
        facilitator.settles.borrow_mut().extend(says);
        assert_eq!(facilitator.buy_now(&payment, "a"), Answer::Pending(Some("0x2".into())));
        let Answer::Delivered(settlement) = facilitator.buy_now(&payment, "a") else { panic!() };
        assert_eq!(world.chain.borrow().transfers[0].transaction, settlement.transaction);
        assert_bought_once(&world, &payment);
    }
}

#[test]
fn a_payer_of_unclear_payments_that_come_to_nothing_is_refused_for_a_while() {
    let (world, facilitator) = world(false);
    facilitator.settles.borrow_mut().extend(vec![says("transaction_failed"); 3 * 100]);
    let of_one = |n: u8, valid_for| Payment::new(1, n, valid_for);
    for n in 0..3 {
        assert!(is_pending(&facilitator.buy_now(&of_one(n, 300), "a")));
    }
    world.run_for(LONG_AFTER);
    assert!(world.tables.entries().is_empty());
    facilitator.settles.borrow_mut().clear();
    let later = of_one(9, 90_000);
    assert_eq!(facilitator.buy_now(&later, "a"), Answer::Refused(Reason::TooManyFailures));
    let other = facilitator.buy_now(&Payment::new(2, 22, 90_000), "a");
    assert!(other.is_delivery(), "{other:?}");
}
