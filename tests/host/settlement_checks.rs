//! Checks that stand behind others: each alone keeps money or goods from being
//! lost when something rare goes wrong.

use std::cell::Cell;
use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::settlement::{ClaimReply, Outcome, SettleRequest, State, Store, Verdict};
use futures_util::future::select;
use serde_json::{Value, json};

use crate::remote_support::{self, Does, SimFacilitator, world_with_fallback_of};
use crate::sim::chain::Chain;
use crate::sim::tables::SimStore;
use crate::sim::{Answer, Fault, Payment, Setup, World, relayer};

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

fn state(world: &World, payment: &Payment) -> State {
    world.tables.record(&payment.id).unwrap().state
}

fn transfers(world: &World, payment: &Payment) -> usize {
    world.chain.borrow().transfers_of(payment).len()
}

#[test]
fn an_order_for_another_payment_than_it_names_is_refused() {
    let world = world();
    let (named, sent) = (payment(1), payment(2));
    let invalid = Outcome::Failed { reason: Reason::InvalidPayload, transaction: None };
    let claim = world.claim_request(&named, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let request = SettleRequest { payment: named.id.clone(), ..sent.settle_request(&claim) };
    let (settler, asked) = (world.settler(), request.clone());
    assert_eq!(world.wait(async move { settler.settle(asked).await.unwrap() }), invalid);
    assert!(world.tables.record(&named.id).is_none(), "the claim is free again");
    let order = SettleRequest { account: Some("acme".into()), ..request };
    let (settler, request) = (world.settler(), order.clone());
    let charged = world.wait(async move { settler.charge(request).await.unwrap() });
    assert_eq!(charged, invalid);
    let settler = world.settler();
    let verdict = world.wait(async move { settler.verify(&order).await.unwrap() });
    assert_eq!(verdict, Verdict::Invalid(Reason::InvalidPayload));
    assert!(world.chain.borrow().transfers.is_empty());
}

#[test]
fn an_entry_that_is_not_a_records_own_does_not_end_it() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().poisoned.insert([1; 32]);
    let failing = world.start_buy(&payment, "a");
    world.run_for(500);
    let [first] = &world.tables.entries()[..] else { panic!("not one entry") };
    let first = first.clone();
    assert_eq!(world.take(&failing), Answer::Refused(Reason::InvalidTransactionState));
    world.chain.borrow_mut().poisoned.clear();
    let buyer = world.start_buy(&payment, "a");
    world.run_for(300);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    // A disk that has kept what had ended.
    SimStore(Rc::clone(&world.tables)).submit(&first, &[]).unwrap();
    world.crash();
    drop(buyer);
    world.settler();
    world.run_for(60_000);
    assert!(matches!(state(&world, &payment), State::Settled(_)));
    assert_eq!(transfers(&world, &payment), 1);
    assert!(world.buy_now(&payment, "a").is_delivery());
}

#[test]
fn what_our_own_lost_transaction_paid_after_all_is_delivered() {
    let world = World::new(&Setup { block_ms: 200_000, ..Setup::default() });
    let payment = Payment::new(1, 1, 2_000);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(500);
    let hash = world.chain.borrow().pool[&0].hash.clone();
    // A node calls its nonce used, and knows no receipt.
    let is_lying = Rc::new(Cell::new(true));
    let lies = Rc::clone(&is_lying);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        let is_nonce = method == "eth_getTransactionCount" && lies.get();
        is_nonce.then(|| Ok(json!("0x1")))
    }));
    assert!(!world.take(&buyer).is_delivery());
    world.run_for(60_000);
    assert!(matches!(state(&world, &payment), State::Failed { .. }));
    assert!(world.tables.entries().is_empty());
    is_lying.set(false);
    world.run_for(200_000);
    assert_eq!(transfers(&world, &payment), 1);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!("not sold") };
    assert_eq!(settlement.transaction, hash);
}

/// It ended after 4,400 seconds once. But a node without old logs says no less of
/// what was paid, so now a day goes by, and the log says what to look for.
#[test]
fn a_payment_without_an_end_that_nobody_can_explain_ends_after_a_day() {
    let world = World::new(&Setup { block_ms: 30_000, ..Setup::default() });
    let payment = Payment::new(1, 1, 100_000_000);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(300);
    world.chain.borrow_mut().payer_cancels_in_silence(&payment);
    assert!(matches!(world.take(&buyer), Answer::Pending(_)));
    world.run_for(86_400_000);
    assert!(matches!(state(&world, &payment), State::Submitted { .. }), "it may be told yet");
    world.run_for(8_000_000);
    let State::Failed { reason } = state(&world, &payment) else { panic!("it is open") };
    assert_eq!(reason, Reason::UnexpectedSettleError);
    assert!(world.tables.entries().is_empty());
    assert!(world.log.borrow().iter().any(|line| line.contains("ended unclear")));
    // What is used buys nothing any more, and nobody waits for more to be known.
    assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
}

#[test]
fn an_empty_replacement_that_fails_is_not_the_payers_failure() {
    let world = world();
    let failing = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_getTransactionReceipt" {
            return None;
        }
        let now = failing.clock.now_ms();
        let mut receipt = failing.chain.borrow_mut().answer(method, params, now).unwrap();
        if receipt != Value::Null {
            receipt["status"] = json!("0x0");
        }
        Some(Ok(receipt))
    }));
    for number in 1..=4 {
        let passed = world.clock.now_ms() - crate::sim::time::START_MS;
        let payment = Payment::new(1, number, passed / 1_000 + 60);
        world.chain.borrow_mut().min_fee = u128::MAX / 4;
        assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)), "{number}");
        world.run_for(170_000);
        world.chain.borrow_mut().min_fee = 0;
        world.run_for(90_000);
        assert!(world.tables.entries().is_empty(), "{number}");
        assert_eq!(transfers(&world, &payment), 0);
    }
    *world.hook.borrow_mut() = None;
    assert!(world.buy_now(&Payment::new(1, 9, 9_000), "a").is_delivery());
}

#[test]
fn a_payment_that_nobody_waits_for_is_free_at_once_where_no_node_answers() {
    let world = world();
    let payment = payment(1);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    world.faults.borrow_mut().extend([Fault::LostBefore; 60]);
    let (settler, request, waiting) =
        (world.settler(), payment.settle_request(&claim), Rc::clone(&world));
    // The request is gone after a second.
    world.wait(async move {
        let gone = Box::pin(waiting.clock.sleep(1_000));
        drop(select(Box::pin(settler.settle(request)), gone).await);
    });
    assert!(world.tables.record(&payment.id).is_some());
    world.run_for(22_000);
    assert!(world.tables.record(&payment.id).is_none());
    assert!(world.chain.borrow().pool.is_empty());
}

/// Answers of one node that has seen a payment that nobody has made.
fn dreaming(world: &Rc<World>, payment: &Payment) {
    let mut dream = Chain::new(true, false, relayer().address());
    dream.stranger_sends(payment, world.clock.now_ms() + 1_000);
    let dreamer = Rc::clone(world);
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        let is_it = url.contains("node0") && method != "eth_chainId";
        is_it.then(|| Ok(dream.answer(method, params, dreamer.clock.now_ms()).unwrap()))
    }));
}

#[test]
fn the_fallback_asks_for_the_quorum_as_well() {
    for (quorum_above, is_believed) in [(1, false), (1_000_000, true)] {
        let mut setup = Setup { urls: 2, ..Setup::default() };
        setup.limits.quorum_above = Some(AtomicAmount(quorum_above)).into();
        let (world, facilitator) = world_with_fallback_of(&setup);
        let payment = remote_support::payment(1);
        *world.hook.borrow_mut() = Some(Box::new(|_, _, _| Some(Err((-32_005, "limit")))));
        facilitator.settles.borrow_mut().extend(vec![Does::Nothing; 100]);
        let waiting = facilitator.settle_directly(&payment, "a");
        world.run_for(15_000);
        assert_eq!(facilitator.count("/settle"), 1);
        dreaming(&world, &payment);
        let outcome = world.take(&waiting);
        world.run_for(60_000);
        assert_eq!(transfers(&world, &payment), 0);
        let is_settled = matches!(state(&world, &payment), State::Settled(_));
        assert_eq!(is_settled, is_believed, "{outcome:?}");
    }
}

/// Such a network has no quorum while the facilitator settles, but may have one later.
#[test]
fn a_former_facilitators_lane_asks_for_the_quorum_as_well() {
    for (quorum_above, is_believed) in [(1, false), (1_000_000, true)] {
        let chain = Chain::new(true, false, relayer().address());
        let world = World::with_lane(chain, remote_support::lane_with(2, Some(quorum_above)));
        let facilitator = SimFacilitator::new(&world);
        let payment = remote_support::payment(1);
        facilitator.settles.borrow_mut().extend(vec![Does::Nothing; 100]);
        dreaming(&world, &payment);
        let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
        world.run_for(60_000);
        let is_settled = matches!(state(&world, &payment), State::Settled(_));
        assert_eq!(is_settled, is_believed, "{outcome:?}");
    }
}

#[test]
fn a_payment_that_can_still_land_does_not_end_as_too_late() {
    let (world, facilitator) = remote_support::world(true);
    let payment = Payment::new(1, 1, 10_000_000);
    facilitator.settles.borrow_mut().extend(vec![Does::Nothing; 20_000]);
    let waiting = facilitator.settle_directly(&payment, "a");
    assert!(matches!(world.take(&waiting), Some(Outcome::Pending { .. })));
    world.run_for(86_300_000);
    assert!(matches!(state(&world, &payment), State::Submitted { .. }));
    world.run_for(400_000);
    let State::Failed { reason } = state(&world, &payment) else { panic!("it is open") };
    assert_eq!(reason, Reason::UnexpectedSettleError, "not the payment's fault");
    assert!(world.log.borrow().iter().any(|line| line.contains("ended unclear")));
}

#[test]
fn a_node_without_old_blocks_finds_what_the_first_request_paid() {
    let (world, facilitator) = remote_support::world(true);
    let payment = remote_support::payment(1);
    for n in 0..1_000 {
        let now = world.clock.now_ms() + n;
        world.chain.borrow_mut().mine(now);
    }
    let pruned = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_getBlockByNumber" {
            return None;
        }
        let number = params[0].as_str().and_then(|it| it.strip_prefix("0x"));
        let number = number.and_then(|it| u64::from_str_radix(it, 16).ok())?;
        (number + 100 < pruned.chain.borrow().height()).then_some(Err((-32_000, "pruned")))
    }));
    facilitator.settles.borrow_mut().extend([Does::Nothing, Does::WellButSilent]);
    facilitator.settles.borrow_mut().extend(vec![Does::Nothing; 100]);
    let waiting = facilitator.settle_directly(&payment, "a");
    let outcome = world.take(&waiting);
    world.run_for(90_000);
    assert!(matches!(state(&world, &payment), State::Settled(_)), "{outcome:?}");
    assert_eq!(transfers(&world, &payment), 1);
}
