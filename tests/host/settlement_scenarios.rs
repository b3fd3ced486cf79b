//! What becomes of payments in particular situations, on an EVM chain.

use std::rc::Rc;

use crate::sim::chain::read_transaction;
use crate::sim::{AMOUNT, Answer, Fault, Payment, REDELIVER, Setup, World, foreign_raw, payer};
use edge402::protocol::Reason;
use edge402::settlement::types::LEASE_SECONDS;
use edge402::settlement::{ClaimReply, DeliveryReport, Ending, Outcome, State};

/// Long enough for every transaction to land or to be given up.
const A_WHILE: u64 = 120_000;

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn without_multicall() -> Rc<World> {
    World::new(&Setup { has_multicall: false, ..Setup::default() })
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

/// One payment bought one thing, and nothing is left to do.
fn assert_settled(world: &World, payment: &Payment) {
    assert_eq!(world.chain.borrow().transfers_of(payment).len(), 1, "transfers");
    assert!(matches!(world.tables.record(&payment.id).unwrap().state, State::Settled(_)));
}

#[test]
fn a_payment_is_settled_and_delivered_again() {
    for has_sync in [false, true] {
        let world = World::new(&Setup { has_sync, ..Setup::default() });
        let payment = payment(1);
        let Answer::Delivered(first) = world.buy_now(&payment, "a") else { panic!() };
        let Answer::Delivered(again) = world.buy_now(&payment, "a") else { panic!() };
        assert_eq!(first, again);
        assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
        assert_settled(&world, &payment);
        assert_eq!(first.payer, payer(1).address().to_string());
        assert_eq!(first.redeliver_until, first.settled_at.plus(REDELIVER));
        world.run_for(A_WHILE);
        assert!(world.tables.entries().is_empty());
        world.run_for(1_000 * REDELIVER);
        assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::DuplicateSettlement));
    }
}

#[test]
fn what_waits_goes_out_together() {
    let world = world();
    let payments: Vec<_> = (0..20).map(payment).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    for buyer in &buyers {
        assert!(world.take(buyer).is_delivery());
    }
    assert!(world.chain.borrow().count() <= 3, "{} transactions", world.chain.borrow().count());
    for payment in &payments {
        assert_settled(&world, payment);
    }
}

#[test]
fn a_second_request_waits_for_the_first() {
    let world = world();
    let payment = payment(1);
    let buyers: Vec<_> = (0..10).map(|_| world.start_buy(&payment, "a")).collect();
    let other = world.start_buy(&payment, "b");
    for buyer in &buyers {
        assert!(world.take(buyer).is_delivery());
    }
    assert_eq!(world.take(&other), Answer::Refused(Reason::DuplicateSettlement));
    assert_settled(&world, &payment);
}

#[test]
fn a_release_wakes_who_waits() {
    let world = world();
    let payment = payment(1);
    let first = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&first), ClaimReply::Fresh);
    let second = world.start_buy(&payment, "a");
    world.run_for(1_000);
    assert!(second.borrow().is_none());
    world.release(&first);
    assert!(world.take(&second).is_delivery());
    // The first one's settle comes too late, and joins what the second bought.
    assert!(matches!(world.settle(&payment, &first), Outcome::Settled(_)));
    assert_settled(&world, &payment);
}

#[test]
fn a_slow_holder_joins_who_took_over() {
    let world = world();
    let payment = payment(1);
    let slow = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&slow), ClaimReply::Fresh);
    world.run_for(1_000 * LEASE_SECONDS);
    let quick = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&quick), ClaimReply::Fresh);
    let slow_one = world.start_settle(&payment, &slow);
    world.run_for(500);
    let quick_one = world.start_settle(&payment, &quick);
    let outcome = world.take(&quick_one);
    assert!(matches!(outcome, Some(Outcome::Settled(_))), "{outcome:?}");
    assert_eq!(world.take(&slow_one), outcome);
    assert_settled(&world, &payment);
}

#[test]
fn a_slow_holder_of_another_resource_gets_nothing() {
    let world = world();
    let payment = payment(1);
    let slow = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&slow), ClaimReply::Fresh);
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
    world.run_for(1_000 * LEASE_SECONDS);
    assert!(world.buy_now(&payment, "b").is_delivery());
    let outcome = world.settle(&payment, &slow);
    let refused = Outcome::Failed { reason: Reason::DuplicateSettlement, transaction: None };
    assert_eq!(outcome, refused);
}

#[test]
fn one_that_fails_its_simulation_is_left_out() {
    let world = world();
    world.chain.borrow_mut().token_balance = AMOUNT;
    // One payer has the money for one payment, and signs two.
    let payments = [Payment::new(1, 1, 600), Payment::new(1, 2, 600), Payment::new(2, 3, 600)];
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
    assert_eq!(answers.iter().filter(|it| it.is_delivery()).count(), 2, "{answers:?}");
    assert!(answers[2].is_delivery());
    assert_eq!(world.chain.borrow().transfers.len(), 2);
}

#[test]
fn one_that_fails_in_its_batch_leaves_the_others_alone() {
    let world = world();
    let payments: Vec<_> = (1..=5).map(payment).collect();
    // The first goes alone; the others wait for it and go together.
    world.chain.borrow_mut().poisoned.insert([3; 32]);
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    for (number, buyer) in (1..).zip(&buyers) {
        let answer = world.take(buyer);
        if number == 3 {
            assert_eq!(answer, Answer::Refused(Reason::InvalidTransactionState));
        } else {
            assert!(answer.is_delivery(), "{number}: {answer:?}");
        }
    }
    assert_eq!(world.chain.borrow().transfers.len(), 4);
    // The chain is in a better mood: the same payment can still buy.
    world.chain.borrow_mut().poisoned.clear();
    assert!(world.buy_now(&payments[2], "b").is_delivery());
}

#[test]
fn a_stuck_transaction_is_replaced() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().min_fee = 3_000_000_000;
    let Answer::Pending(Some(first)) = world.buy_now(&payment, "a") else { panic!() };
    world.run_for(60_000);
    let replaced = world.chain.borrow().pool[&0].hash.clone();
    assert_ne!(first, replaced);
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(10_000);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!() };
    assert_eq!(world.chain.borrow().mined[0].hash, settlement.transaction);
    assert_settled(&world, &payment);
}

#[test]
fn a_replaced_transaction_may_land_after_all() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().min_fee = 3_000_000_000;
    let Answer::Pending(Some(first)) = world.buy_now(&payment, "a") else { panic!() };
    let former = world.chain.borrow().pool[&0].clone();
    assert_eq!(former.hash, first);
    world.run_for(40_000);
    assert_ne!(world.chain.borrow().pool[&0].hash, first);
    // The builder had the first version only.
    world.chain.borrow_mut().pool.insert(0, former);
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(10_000);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!() };
    assert_eq!(settlement.transaction, first);
    assert_settled(&world, &payment);
}

#[test]
fn a_nonce_that_another_transaction_used_frees_the_payment() {
    let world = world();
    let payment = payment(1);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(500);
    let params = serde_json::json!([foreign_raw(0)]);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().answer("eth_sendRawTransaction", &params, now).unwrap();
    let answer = world.take(&buyer);
    assert!(matches!(answer, Answer::Refused(_) | Answer::Pending(_)), "{answer:?}");
    world.run_for(60_000);
    assert_eq!(world.chain.borrow().transfers.len(), 0);
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_settled(&world, &payment);
    assert!(world.tables.entries().is_empty());
}

#[test]
fn a_nonce_that_another_transaction_used_is_not_the_payers_fault() {
    let world = world();
    for nonce in 0..3 {
        let payment = Payment::new(1, u8::try_from(nonce).unwrap(), 600);
        let buyer = world.start_buy(&payment, "a");
        world.run_for(500);
        let params = serde_json::json!([foreign_raw(nonce)]);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().answer("eth_sendRawTransaction", &params, now).unwrap();
        assert!(!world.take(&buyer).is_delivery());
        world.run_for(60_000);
    }
    assert!(world.buy_now(&Payment::new(1, 9, 600), "a").is_delivery());
}

#[test]
fn a_refused_broadcast_frees_the_payment_and_its_nonce() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().relayer_balance = 1;
    let answer = world.buy_now(&payment, "a");
    assert_eq!(answer, Answer::Refused(Reason::UnexpectedSettleError));
    assert!(world.tables.entries().is_empty());
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    assert!(world.buy_now(&payment, "b").is_delivery());
    assert_settled(&world, &payment);
    assert_eq!(world.chain.borrow().mined[0].transaction.nonce, 0);
}

/// A node takes its time to refuse the first of two transactions, and takes
/// it when it comes again.
fn refuse_the_first_of_two() -> (Rc<World>, Payment, Answer) {
    let world = world();
    let (first, second) = (payment(1), payment(2));
    let mut is_refused = false;
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_sendRawTransaction" || is_refused {
            return None;
        }
        let raw = params[0].as_str().unwrap();
        let raw = edge402::encoding::decode_hex_bytes(raw, raw.len()).unwrap();
        is_refused = read_transaction(&raw).1.nonce == 0;
        is_refused.then_some(Err((-32_000, "insufficient funds for gas * price + value")))
    }));
    // The preview, eth_sendRawTransactionSync, eth_sendRawTransaction.
    world.faults.borrow_mut().extend([Fault::None, Fault::None, Fault::Slow]);
    let buyer = world.start_buy(&first, "a");
    world.run_for(500);
    let other = world.start_buy(&second, "b");
    let answer = world.take(&buyer);
    assert!(world.take(&other).is_delivery());
    assert_settled(&world, &second);
    (world, first, answer)
}

#[test]
fn a_refused_broadcast_before_others_is_filled() {
    let (world, _, answer) = refuse_the_first_of_two();
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    world.run_for(A_WHILE);
    assert!(world.tables.entries().is_empty());
    assert_eq!(world.chain.borrow().count(), 2);
}

#[test]
fn a_payment_that_was_given_back_is_not_sent_again() {
    let (world, first, answer) = refuse_the_first_of_two();
    assert!(!answer.is_delivery());
    // No one comes back for it.
    world.run_for(A_WHILE);
    assert_eq!(world.chain.borrow().transfers_of(&first).len(), 0);
}

#[test]
fn a_stranger_who_broadcast_before_the_claim_bought_something_else() {
    let world = world();
    let payment = payment(1);
    world.run_for(5_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&payment, now);
    world.run_for(5_000);
    for resource in ["a", "a", "b"] {
        let answer = world.buy_now(&payment, resource);
        assert_eq!(answer, Answer::Refused(Reason::EvmNonceUsed));
    }
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn a_stranger_who_overtakes_our_transaction_settles_it() {
    let world = world();
    let payment = payment(1);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(300);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    let now = world.clock.now_ms();
    let hash = world.chain.borrow_mut().stranger_sends(&payment, now);
    let Answer::Delivered(settlement) = world.take(&buyer) else { panic!() };
    assert_eq!(settlement.transaction, hash);
    assert_settled(&world, &payment);
}

#[test]
fn a_payer_whose_payments_fail_is_refused_for_a_while() {
    let world = world();
    for number in 1..=3 {
        world.chain.borrow_mut().poisoned.insert([number; 32]);
        let answer = world.buy_now(&Payment::new(1, number, 9_000), "a");
        assert_eq!(answer, Answer::Refused(Reason::InvalidTransactionState));
    }
    let fourth = Payment::new(1, 4, 9_000);
    assert_eq!(world.buy_now(&fourth, "a"), Answer::Refused(Reason::TooManyFailures));
    assert!(world.buy_now(&Payment::new(2, 5, 9_000), "a").is_delivery());
    world.run_for(3_600_000);
    assert!(world.buy_now(&fourth, "a").is_delivery());
}

#[test]
fn nothing_is_sent_beyond_the_daily_limit() {
    let mut setup = Setup::default();
    // Enough for the first: what may be spent is more than what is.
    setup.limits.daily_spend = Some(300_000_000_000_000);
    let world = World::new(&setup);
    let mut delivered = 0;
    for number in 0..8 {
        match world.buy_now(&payment(number), "a") {
            Answer::Delivered(_) => delivered += 1,
            answer => assert_eq!(answer, Answer::Unavailable),
        }
    }
    assert!((1..8).contains(&delivered), "{delivered}");
    let settler = world.settler();
    let spent = world.wait(async move { settler.health().await.spent_today });
    let spent: u128 = spent.parse().unwrap();
    assert!(spent <= 300_000_000_000_000 && spent > 0, "{spent}");
    world.crash();
    assert_eq!(world.buy_now(&payment(9), "a"), Answer::Unavailable);
    world.run_for(86_400_000);
    assert!(world.buy_now(&Payment::new(9, 99, 90_000), "a").is_delivery());
}

#[test]
fn without_multicall_payments_go_one_by_one() {
    let world = without_multicall();
    assert!(world.buy_now(&payment(0), "a").is_delivery());
    let payments: Vec<_> = (1..=12).map(payment).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    for buyer in &buyers {
        assert!(world.take(buyer).is_delivery());
    }
    assert_eq!(world.chain.borrow().count(), 13);
    for payment in &payments {
        assert_settled(&world, payment);
    }
}

#[test]
fn without_multicall_the_first_batch_goes_one_by_one_too() {
    let world = without_multicall();
    let payments: Vec<_> = (1..=4).map(payment).collect();
    let claims: Vec<_> = payments.iter().map(|it| world.claim_request(it, "a")).collect();
    for claim in &claims {
        assert_eq!(world.claim(claim), ClaimReply::Fresh);
    }
    let outcomes: Vec<_> =
        payments.iter().zip(&claims).map(|(it, claim)| world.start_settle(it, claim)).collect();
    for outcome in &outcomes {
        let outcome = world.take(outcome);
        assert!(matches!(outcome, Some(Outcome::Settled(_))), "{outcome:?}");
    }
}

#[test]
fn old_records_are_forgotten_and_others_are_kept() {
    let world = world();
    let (settled, claimed, pending) = (payment(1), payment(2), payment(3));
    assert!(world.buy_now(&settled, "a").is_delivery());
    assert_eq!(world.claim(&world.claim_request(&claimed, "a")), ClaimReply::Fresh);
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    assert!(matches!(world.buy_now(&pending, "a"), Answer::Pending(_)));
    world.settler().wake().unwrap();
    assert_eq!(world.tables.payments(), 3);
    // Its window is over, and it can't land any more.
    world.run_for(700_000);
    world.settler().wake().unwrap();
    assert!(world.tables.record(&settled.id).is_none());
    assert!(world.tables.record(&claimed.id).is_none());
    let kept = world.tables.record(&pending.id).unwrap();
    assert!(matches!(kept.state, State::Submitted { .. }));
    assert_eq!(world.tables.entries().len(), 1);
    // The empty transaction that took its nonce's place lands.
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(A_WHILE);
    assert!(world.tables.entries().is_empty());
    assert_eq!(world.chain.borrow().transfers_of(&pending).len(), 0);
}

#[test]
fn an_identifier_names_one_payment() {
    let world = world();
    let (first, second) = (payment(1), payment(2));
    let named = |payment: &Payment, name: &str| {
        let mut claim = world.claim_request(payment, "a");
        claim.proof.identifier = Some(name.into());
        claim
    };
    let claim = named(&first, "x");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    assert_eq!(world.claim(&named(&second, "x")), ClaimReply::IdentifierTaken);
    assert!(matches!(world.settle(&first, &claim), Outcome::Settled(_)));
    assert!(matches!(world.claim(&named(&first, "x")), ClaimReply::Deliver { .. }));
    assert_eq!(world.claim(&named(&second, "x")), ClaimReply::IdentifierTaken);
    assert_eq!(world.claim(&named(&second, "y")), ClaimReply::Fresh);
    let (payment, ticket) = (claim.payment, claim.ticket);
    let report = DeliveryReport { payment, ticket, ending: Ending::Whole, moved_to: None };
    world.settler().report(&report).unwrap();
    world.run_for(900_000);
    world.settler().wake().unwrap();
    assert_eq!((world.tables.payments(), world.tables.names()), (0, 0));
}

#[test]
fn a_released_payment_leaves_its_name_behind() {
    let world = world();
    let (first, second) = (payment(1), payment(2));
    let mut claim = world.claim_request(&first, "a");
    claim.proof.identifier = Some("x".into());
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    world.release(&claim);
    let mut claim = world.claim_request(&second, "a");
    claim.proof.identifier = Some("x".into());
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
}

#[test]
fn a_crash_at_any_time_costs_no_one_anything() {
    for crash_at in (0..4_000).step_by(40) {
        let world = World::new(&Setup { has_sync: crash_at % 80 == 0, ..Setup::default() });
        let payment = payment(1);
        let buyer = world.start_buy(&payment, "a");
        world.run_for(crash_at);
        world.crash();
        world.run_for(200);
        let again = world.buy_now(&payment, "a");
        assert!(again.is_delivery(), "{crash_at}: {again:?}");
        let answer = world.take(&buyer);
        let is_well = answer.is_delivery() || answer == Answer::Broken;
        assert!(is_well, "{crash_at}: {answer:?}");
        assert_settled(&world, &payment);
        world.run_for(A_WHILE);
        assert!(world.tables.entries().is_empty(), "{crash_at}");
    }
}

#[test]
fn a_forgotten_transaction_is_sent_again() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().forgets = 2;
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_settled(&world, &payment);
}

#[test]
fn a_receipt_that_comes_late_is_waited_for() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().receipt_delay = 3_000;
    let answer = world.buy_now(&payment, "a");
    assert!(answer.is_delivery(), "{answer:?}");
    assert_settled(&world, &payment);
}

#[test]
fn a_payment_whose_receipt_was_late_is_delivered_on_retry() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().receipt_delay = 3_000;
    world.buy_now(&payment, "a");
    world.run_for(10_000);
    let answer = world.buy_now(&payment, "a");
    assert!(answer.is_delivery(), "{answer:?}");
}

#[test]
fn a_node_that_takes_a_transaction_and_then_fails_charges_no_one_for_nothing() {
    let world = world();
    let payment = payment(1);
    let inner = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        let taken = method == "eth_sendRawTransaction";
        taken.then(|| {
            let now = inner.clock.now_ms();
            let _ = inner.chain.borrow_mut().answer(method, params, now);
            Err((-32_603, "internal error"))
        })
    }));
    world.buy_now(&payment, "a");
    world.run_for(30_000);
    *world.hook.borrow_mut() = None;
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    let answer = world.buy_now(&payment, "a");
    assert!(answer.is_delivery(), "{answer:?}");
}

#[test]
fn one_node_that_refuses_does_not_speak_for_the_other() {
    let world = World::new(&Setup { urls: 2, ..Setup::default() });
    let payment = payment(1);
    *world.hook.borrow_mut() = Some(Box::new(|url, method, _| {
        (url.contains("node0") && method == "eth_sendRawTransaction")
            .then_some(Err((-32_000, "insufficient funds for gas * price + value")))
    }));
    world.buy_now(&payment, "a");
    world.run_for(30_000);
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    let answer = world.buy_now(&payment, "a");
    assert!(answer.is_delivery(), "{answer:?}");
}

#[test]
fn a_payment_that_nears_its_end_in_the_queue_is_not_lost() {
    let world = world();
    let payment = Payment::new(1, 1, 20);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    world.run_for(13_000);
    // It passes its check with 7 seconds left; the preview takes 3 of them.
    world.faults.borrow_mut().push_back(Fault::Slow);
    let outcome = world.settle(&payment, &claim);
    world.run_for(30_000);
    let transfers = world.chain.borrow().transfers_of(&payment).len();
    assert!(world.tables.entries().is_empty());
    let state = world.tables.record(&payment.id).map(|record| record.state);
    assert!(!matches!(state, Some(State::Submitted { .. })), "{outcome:?}, {state:?}");
    if transfers == 1 {
        assert!(world.buy_now(&payment, "a").is_delivery());
    }
}

#[test]
fn a_claim_that_is_taken_over_in_the_queue_spoils_nothing() {
    let world = world();
    let payment = payment(1);
    let slow = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&slow), ClaimReply::Fresh);
    world.run_for(1_000 * LEASE_SECONDS - 1_000);
    // Another payment's preview holds the queue up.
    world.faults.borrow_mut().push_back(Fault::Slow);
    let before = world.start_buy(&Payment::new(2, 2, 600), "z");
    world.run_for(200);
    let slow_one = world.start_settle(&payment, &slow);
    world.run_for(1_000);
    let quick_one = world.start_buy(&payment, "a");
    assert!(world.take(&before).is_delivery());
    let answers = (world.take(&slow_one), world.take(&quick_one));
    assert!(answers.1.is_delivery(), "{answers:?}");
    assert_settled(&world, &payment);
}

#[test]
fn a_holder_who_outlives_a_crash_keeps_the_claim() {
    let world = world();
    let payment = payment(1);
    let holder = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&holder), ClaimReply::Fresh);
    world.crash();
    let first = world.start_settle(&payment, &holder);
    world.run_for(10);
    let retry = world.start(Rc::clone(&world).buy(payment.clone(), "a".into(), 0, true));
    let answers = (world.take(&first), world.take(&retry));
    assert!(answers.1.is_delivery(), "{answers:?}");
    assert!(matches!(answers.0, Some(Outcome::Settled(_))), "{answers:?}");
    assert_settled(&world, &payment);
}

#[test]
fn a_receipt_without_a_quorum_is_asked_for_now_and_then() {
    let mut setup = Setup { urls: 2, ..Setup::default() };
    setup.limits.quorum_above = Some(edge402::amount::AtomicAmount(1)).into();
    let world = World::new(&setup);
    let payment = payment(1);
    *world.hook.borrow_mut() = Some(Box::new(|url, method, _| {
        (url.contains("node1") && method == "eth_getTransactionReceipt")
            .then_some(Ok(serde_json::Value::Null))
    }));
    assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)));
    let posts = world.posts.get();
    assert!(posts < 400, "{posts} messages to nodes");
    *world.hook.borrow_mut() = None;
    world.run_for(10_000);
    assert!(world.buy_now(&payment, "a").is_delivery());
}

#[test]
fn a_broken_disk_delivers_nothing_and_recovers() {
    let world = world();
    let payment = payment(1);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(1_000);
    world.tables.is_broken.set(true);
    world.run_for(5_000);
    assert_eq!(world.take(&buyer), Answer::Broken);
    world.tables.is_broken.set(false);
    world.run_for(A_WHILE);
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert!(world.tables.entries().is_empty());
}
