//! What a facilitator asks of a Settler: to verify, and to charge on account.

use std::rc::Rc;

use crate::sim::tables::SimStore;
use crate::sim::{Fault, Handle, Payment, Setup, World, foreign_raw};
use edge402::protocol::Reason;
use edge402::settlement::{
    Outcome, SalesQuery, SettleRequest, State, Store as _, StoreError, Verdict,
};
use serde_json::json;

const FACILITATOR: &str = "facilitator";

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

fn order(world: &World, payment: &Payment, resource: &str) -> SettleRequest {
    let mut order = payment.settle_request(&world.claim_request(payment, resource));
    order.account = Some("acme".into());
    order
}

fn start_charge(
    world: &Rc<World>,
    payment: &Payment,
    resource: &str,
    once: bool,
) -> Handle<Option<Result<Outcome, StoreError>>> {
    let mut request = order(world, payment, resource);
    request.once = once;
    let asker = Rc::clone(world);
    world.start(async move { asker.ask(|it| async move { it.charge(request).await }).await })
}

fn charge(world: &Rc<World>, payment: &Payment, once: bool) -> Outcome {
    let handle = start_charge(world, payment, FACILITATOR, once);
    world.take(&handle).unwrap().unwrap()
}

fn verify(world: &Rc<World>, payment: &Payment, resource: &str) -> Verdict {
    let request = order(world, payment, resource);
    let settler = world.settler();
    world.wait(async move { settler.verify(&request).await.unwrap() })
}

fn transaction_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Settled(settlement) => settlement.transaction.clone(),
        Outcome::Failed { transaction: Some(transaction), .. } => transaction.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_of_many_charges_of_a_payment_is_a_success() {
    for block_ms in [100, 2_000] {
        let world = World::new(&Setup { block_ms, ..Setup::default() });
        let payment = payment(1);
        let charges: Vec<_> =
            (0..20).map(|_| start_charge(&world, &payment, FACILITATOR, true)).collect();
        let mut outcomes: Vec<_> =
            charges.iter().map(|charge| world.take(charge).unwrap().unwrap()).collect();
        outcomes.push(charge(&world, &payment, true));
        // The one that began it, before those that joined.
        assert!(matches!(outcomes[0], Outcome::Settled(_)), "{:?}", outcomes[0]);
        let successes = outcomes.iter().filter(|it| matches!(it, Outcome::Settled(_))).count();
        assert_eq!(successes, 1);
        let refused = Some(Reason::DuplicateSettlement);
        let reason = |outcome: &Outcome| match outcome {
            Outcome::Failed { reason, .. } => Some(*reason),
            _ => None,
        };
        assert_eq!(outcomes.iter().filter(|it| reason(it) == refused).count(), 20);
        assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
        // The last one was told which transaction it was.
        let landed = world.chain.borrow().transfers_of(&payment)[0].transaction.clone();
        assert_eq!(transaction_of(outcomes.last().unwrap()), landed);
    }
}

#[test]
fn a_charge_with_a_name_of_its_own_can_be_repeated() {
    let world = World::new(&Setup::default());
    let payment = payment(1);
    let first = charge(&world, &payment, false);
    assert_eq!(charge(&world, &payment, false), first);
    assert!(matches!(first, Outcome::Settled(_)));
    let other = start_charge(&world, &payment, "other", false);
    let Outcome::Failed { reason, transaction } = world.take(&other).unwrap().unwrap() else {
        panic!()
    };
    assert_eq!(reason, Reason::DuplicateSettlement);
    assert_eq!(transaction, Some(transaction_of(&first)));
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

#[test]
fn what_was_pending_is_a_success_for_the_first_that_asks_again() {
    // Nobody waits as long as this chain takes.
    let world = World::new(&Setup { block_ms: 40_000, ..Setup::default() });
    let payment = payment(1);
    assert!(matches!(charge(&world, &payment, true), Outcome::Pending { .. }));
    assert_eq!(verify(&world, &payment, FACILITATOR), Verdict::Valid);
    world.run_for(40_000);
    assert_eq!(verify(&world, &payment, FACILITATOR), Verdict::Valid);
    let again: Vec<_> = (0..5).map(|_| start_charge(&world, &payment, FACILITATOR, true)).collect();
    let outcomes: Vec<_> = again.iter().map(|it| world.take(it).unwrap().unwrap()).collect();
    let successes = outcomes.iter().filter(|it| matches!(it, Outcome::Settled(_))).count();
    assert_eq!(successes, 1, "{outcomes:?}");
    let used = Verdict::Invalid(Reason::DuplicateSettlement);
    assert_eq!(verify(&world, &payment, FACILITATOR), used);
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

#[test]
fn to_verify_a_payment_that_costs_more_than_it_pays_says_so() {
    let mut setup = Setup::default();
    setup.limits.coin_price = Some(10_u128.pow(9)).into();
    let world = World::new(&setup);
    assert_eq!(verify(&world, &payment(1), FACILITATOR), Verdict::FeeExceedsPrice);
    assert_eq!(world.tables.payments(), 0);
}

#[test]
fn to_verify_changes_nothing() {
    let world = World::new(&Setup::default());
    let (good, used) = (payment(1), payment(3));
    assert!(world.buy_now(&used, "a").is_delivery());
    let (records, height) = (world.tables.payments(), world.chain.borrow().count());
    for _ in 0..3 {
        assert_eq!(verify(&world, &good, FACILITATOR), Verdict::Valid);
        assert_eq!(
            verify(&world, &used, FACILITATOR),
            Verdict::Invalid(Reason::DuplicateSettlement)
        );
    }
    assert_eq!((world.tables.payments(), world.chain.borrow().count()), (records, height));
    assert!(world.tables.entries().is_empty());
    assert!(world.buy_now(&good, "a").is_delivery());
    *world.faults.borrow_mut() = vec![Fault::Unreachable; 9].into();
    assert_eq!(verify(&world, &payment(4), FACILITATOR), Verdict::Unknown);
    world.faults.borrow_mut().clear();
    world.chain.borrow_mut().token_balance = 0;
    let poor = Verdict::Invalid(Reason::InsufficientFunds);
    assert_eq!(verify(&world, &payment(5), FACILITATOR), poor);
}

#[test]
fn what_the_gate_is_selling_is_no_facilitators() {
    let world = World::new(&Setup::default());
    let payment = payment(1);
    let claim = world.claim_request(&payment, "a page");
    world.claim(&claim);
    let used = Verdict::Invalid(Reason::DuplicateSettlement);
    assert_eq!(verify(&world, &payment, FACILITATOR), used);
    let Outcome::Failed { reason, transaction: None } = charge(&world, &payment, true) else {
        panic!()
    };
    assert_eq!(reason, Reason::DuplicateSettlement);
    world.release(&claim);
    assert_eq!(verify(&world, &payment, FACILITATOR), Verdict::Valid);
}

fn with_limit(limit: u128) -> Setup {
    let mut setup = Setup::default();
    setup.limits.accounts = vec![("acme".into(), limit), ("other".into(), 1)];
    setup
}

#[test]
fn nothing_is_sent_beyond_an_accounts_limit() {
    let world = World::new(&with_limit(300_000_000_000_000));
    let mut settled = 0;
    for number in 0..8 {
        match charge(&world, &payment(number), true) {
            Outcome::Settled(_) => settled += 1,
            outcome => assert_eq!(outcome, Outcome::LimitReached),
        }
    }
    assert!((1..8).contains(&settled), "{settled}");
    assert_eq!(world.chain.borrow().count(), settled);
    let says = |line: &String| line.contains("the daily limit of acme is reached");
    assert!(world.log.borrow().iter().any(says), "{:?}", world.log.borrow());
    // Not on this account, there is no limit; and the claim was free again.
    assert!(world.buy_now(&payment(7), "a").is_delivery());
    world.crash();
    assert_eq!(charge(&world, &payment(9), true), Outcome::LimitReached);
    world.run_for(86_400_000);
    let tomorrow = Payment::new(9, 99, 90_000);
    assert!(matches!(charge(&world, &tomorrow, true), Outcome::Settled(_)));
}

#[test]
fn what_is_in_the_air_counts_against_the_limit() {
    let limit = 300_000_000_000_000;
    let one_by_one = {
        let world = World::new(&with_limit(limit));
        (0..30)
            .filter(|n| matches!(charge(&world, &payment(*n), true), Outcome::Settled(_)))
            .count()
    };
    for crashes in [false, true] {
        let world = World::new(&Setup { block_ms: 20_000, ..with_limit(limit) });
        let charges: Vec<_> =
            (0..30).map(|n| start_charge(&world, &payment(n), FACILITATOR, true)).collect();
        world.run_for(3_000);
        if crashes {
            world.crash();
        }
        let late = start_charge(&world, &payment(31), FACILITATOR, true);
        assert_eq!(world.take(&late).unwrap().unwrap(), Outcome::LimitReached);
        world.run_for(60_000);
        let settled = (0..30)
            .filter(|n| {
                let record = world.tables.record(&payment(*n).id);
                matches!(record.map(|record| record.state), Some(State::Settled(_)))
            })
            .count();
        assert!(settled >= 1 && settled <= 2 * one_by_one + 10, "{settled} {one_by_one}");
        drop(charges);
        let spent = world.tables.account_spent("acme");
        assert!(spent > 0 && spent <= limit, "{spent}");
    }
}

/// What a transaction has cost is written with its end, or not at all: else it counts
/// again each time that this is tried.
#[test]
fn what_was_spent_counts_once_however_often_its_end_can_not_be_written() {
    let spent = |refuses: bool| {
        let world = World::new(&with_limit(u128::MAX));
        world.tables.refuses_sales.set(refuses);
        let handle = start_charge(&world, &payment(1), FACILITATOR, true);
        world.run_for(if refuses { 200_000 } else { 10_000 });
        world.tables.refuses_sales.set(false);
        world.run_for(100_000);
        drop(handle);
        let state = world.tables.record(&payment(1).id).map(|record| record.state);
        assert!(matches!(state, Some(State::Settled(_))), "{state:?}");
        let store = SimStore(Rc::clone(&world.tables));
        let fee = store.sales(&SalesQuery { limit: 1, ..SalesQuery::default() }).unwrap();
        let today = store.spent_on(world.clock.now().day()).unwrap();
        (today, world.tables.account_spent("acme"), fee[0].fee.clone())
    };
    assert_eq!(spent(true), spent(false));
}

#[test]
fn what_one_account_has_in_the_air_counts_against_no_others_limit() {
    let limit = 300_000_000_000_000;
    let mut setup = Setup { block_ms: 20_000, ..Setup::default() };
    setup.limits.accounts = vec![("acme".into(), limit), ("other".into(), limit)];
    let world = World::new(&setup);
    let others: Vec<_> = (0..30)
        .map(|n| {
            let mut request = order(&world, &payment(n), FACILITATOR);
            request.account = Some("other".into());
            let asker = Rc::clone(&world);
            world
                .start(async move { asker.ask(|it| async move { it.charge(request).await }).await })
        })
        .collect();
    world.run_for(3_000);
    let is_over = |it: &Handle<Option<Result<Outcome, StoreError>>>| {
        matches!(&*it.borrow(), Some(Some(Ok(Outcome::LimitReached))))
    };
    assert!(others.iter().any(is_over), "it has all in the air that it may");
    assert!(matches!(charge(&world, &payment(31), true), Outcome::Settled(_)));
}

#[test]
fn what_was_asked_for_in_time_is_told_later() {
    for once in [false, true] {
        let world = World::new(&Setup { block_ms: 40_000, ..Setup::default() });
        let payment = Payment::new(1, 1, 60);
        assert!(matches!(charge(&world, &payment, once), Outcome::Pending { .. }));
        world.run_for(60_000);
        // Its own time is over, and it has landed.
        assert_eq!(verify(&world, &payment, FACILITATOR), Verdict::Valid);
        let other = start_charge(&world, &payment, "other", once);
        let Outcome::Failed { reason, transaction: Some(_) } = world.take(&other).unwrap().unwrap()
        else {
            panic!()
        };
        assert_eq!(reason, Reason::DuplicateSettlement);
        assert!(matches!(charge(&world, &payment, once), Outcome::Settled(_)));
        assert_eq!(matches!(charge(&world, &payment, once), Outcome::Settled(_)), !once);
        // One that nobody asked for in time is late.
        let late = Payment::new(2, 2, 60);
        let refused = Outcome::Failed { reason: Reason::EvmValidBefore, transaction: None };
        assert_eq!(charge(&world, &late, once), refused);
        let invalid = Verdict::Invalid(Reason::EvmValidBefore);
        assert_eq!(verify(&world, &late, FACILITATOR), invalid);
        assert!(world.tables.record(&late.id).is_none());
    }
}

#[test]
fn what_our_own_transaction_settled_after_it_was_called_lost_is_a_success() {
    let world = World::new(&Setup::default());
    let payment = payment(1);
    // It stays in the pool, and the node says that its nonce is used by another.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let first = start_charge(&world, &payment, FACILITATOR, true);
    world.run_for(2_000);
    *world.hook.borrow_mut() = Some(Box::new(|_, method, params| {
        (method == "eth_getTransactionCount" && params[1] == "latest").then(|| Ok(json!("0x9")))
    }));
    world.run_for(60_000);
    assert!(matches!(world.take(&first).unwrap().unwrap(), Outcome::Pending { .. }));
    let state = world.tables.record(&payment.id).unwrap().state;
    assert!(matches!(state, State::Failed { .. }), "{state:?}");
    *world.hook.borrow_mut() = None;
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(10_000);
    let landed = world.chain.borrow().transfers_of(&payment)[0].transaction.clone();
    let settled = charge(&world, &payment, true);
    assert!(matches!(settled, Outcome::Settled(_)), "{settled:?}");
    assert_eq!(transaction_of(&settled), landed);
}

#[test]
fn what_another_facilitator_settled_is_no_success_here() {
    let world = World::new(&Setup { block_ms: 5_000, ..Setup::default() });
    // While ours is in the air, another's lands.
    let payment = payment(1);
    let ours = start_charge(&world, &payment, FACILITATOR, true);
    world.run_for(1_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&payment, now);
    let refused = Outcome::Failed { reason: Reason::DuplicateSettlement, transaction: None };
    assert_eq!(world.take(&ours).unwrap().unwrap(), refused);
    // Refused here first, settled there, asked for again.
    let payment = Payment::new(2, 2, 600);
    world.chain.borrow_mut().token_balance = 0;
    let poor = Outcome::Failed { reason: Reason::InsufficientFunds, transaction: None };
    assert_eq!(charge(&world, &payment, true), poor);
    world.chain.borrow_mut().token_balance = 1_000_000_000;
    world.run_for(10_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&payment, now);
    let used = Outcome::Failed { reason: Reason::EvmNonceUsed, transaction: None };
    assert_eq!(charge(&world, &payment, true), used);
    // A gate has sold its page all the same: it knows what for.
    let payment = Payment::new(3, 3, 600);
    let sold = world.start_buy(&payment, "a");
    world.run_for(1_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&payment, now);
    assert!(world.take(&sold).is_delivery());
}

#[test]
fn one_that_is_canceled_in_the_air_holds_up_nobody() {
    for tells in [true, false] {
        let world = World::new(&Setup { block_ms: 5_000, ..with_limit(u128::MAX) });
        let (good, bad) = (Payment::new(1, 1, 3_000), Payment::new(2, 2, 3_000));
        let charges = [&good, &bad].map(|payment| start_charge(&world, payment, FACILITATOR, true));
        world.run_for(2_000);
        let now = world.clock.now_ms();
        if tells {
            world.chain.borrow_mut().payer_cancels(&bad, now);
        } else {
            // The token says that it is used; where, no node can tell.
            world.chain.borrow_mut().payer_cancels_in_silence(&bad);
        }
        let [good_one, bad_one] = charges.map(|charge| world.take(&charge).unwrap().unwrap());
        assert!(matches!(good_one, Outcome::Settled(_)), "{good_one:?}");
        let failed = Outcome::Failed { reason: Reason::InvalidTransactionState, transaction: None };
        assert!(bad_one == failed || !tells && matches!(bad_one, Outcome::Pending { .. }));
        let spent = world.tables.account_spent("acme");
        assert!(spent > 0);
        // Its fees are counted once, however often the journal is looked at.
        world.run_for(600_000);
        assert_eq!(world.tables.account_spent("acme"), spent);
        assert_eq!(world.tables.entries().is_empty(), tells);
        world.crash();
        // What is used, and no log says by whom, is open for a day after its end.
        world.run_for(if tells { 4_000_000 } else { 94_000_000 });
        assert!(world.tables.entries().is_empty());
        assert_eq!(world.tables.account_spent("acme"), spent);
        let record = world.tables.record(&bad.id);
        assert!(!matches!(
            record.map(|it| it.state),
            Some(State::Settled(_) | State::Submitted { .. })
        ));
    }
}

#[test]
fn to_verify_is_to_look_at_the_limit_too() {
    let world = World::new(&with_limit(1));
    assert_eq!(verify(&world, &payment(1), FACILITATOR), Verdict::LimitReached);
    let mut setup = Setup::default();
    setup.limits.daily_spend = Some(1);
    let world = World::new(&setup);
    assert_eq!(verify(&world, &payment(1), FACILITATOR), Verdict::LimitReached);
    assert_eq!(charge(&world, &payment(1), true), Outcome::LimitReached);
    assert!(world.tables.record(&payment(1).id).is_none());
}

#[test]
fn an_order_of_an_earlier_version_has_no_account() {
    let payment = payment(1);
    let world = World::new(&Setup::default());
    let settle = payment.settle_request(&world.claim_request(&payment, "a"));
    let mut written = edge402::json::to_value(&settle);
    assert!(written.as_object_mut().unwrap().remove("account").is_none());
    let text = written.to_string();
    let read: SettleRequest = edge402::json::from_text(&text).unwrap();
    assert_eq!(read.account, None);
}

#[test]
fn what_another_has_used_since_our_own_try_is_no_success_of_ours() {
    for is_ours in [false, true] {
        let world = World::new(&Setup::default());
        let payment = payment(1);
        let first = start_charge(&world, &payment, FACILITATOR, true);
        world.run_for(500);
        let sent = world.chain.borrow().pool[&0].clone();
        // Its nonce is lost to another transaction of the relayer's.
        let now = world.clock.now_ms();
        let foreign = json!([foreign_raw(0)]);
        world.chain.borrow_mut().answer("eth_sendRawTransaction", &foreign, now).unwrap();
        assert!(!matches!(world.take(&first), Some(Ok(Outcome::Settled(_)))));
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty());
        assert!(world.chain.borrow().transfers_of(&payment).is_empty());
        if is_ours {
            // A chain that goes back: what we have sent has landed after all.
            let mut chain = world.chain.borrow_mut();
            let nonce = chain.count();
            chain.pool.insert(nonce, sent);
            drop(chain);
            world.run_for(2_000);
        } else {
            world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
        }
        let again = charge(&world, &payment, true);
        assert_eq!(matches!(again, Outcome::Settled(_)), is_ours, "{again:?}");
        if !is_ours {
            let reason = Reason::DuplicateSettlement;
            assert_eq!(again, Outcome::Failed { reason, transaction: None });
        }
        assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    }
}
