//! A facilitator that stands by while no node can be reached.

use std::rc::Rc;

use crate::remote_support::{Does, payment, settle_request, world_with_fallback};
use crate::settlement_remote::assert_bought_once;
use crate::sim::chain::Code;
use crate::sim::{Answer, Payment, World, payer};
use edge402::protocol::Reason;
use edge402::settlement::{ClaimReply, Outcome, State};
use serde_json::json;

/// No node can be reached, for this method alone or for all.
fn cut_off(world: &Rc<World>, only: Option<&'static str>) {
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        only.is_none_or(|only| only == method).then_some(Err((-32_005, "limit exceeded")))
    }));
}

#[test]
fn the_fallback_settles_while_the_nodes_are_down() {
    let (world, facilitator) = world_with_fallback();
    let (first, second) = (payment(1), payment(2));
    cut_off(&world, None);
    let outcome = world.take(&facilitator.settle_directly(&first, "a"));
    assert!(matches!(outcome, Some(Outcome::Settled(_))), "{outcome:?}");
    assert_eq!((facilitator.count("/verify"), facilitator.count("/settle")), (1, 1));
    *world.hook.borrow_mut() = None;
    let outcome = world.take(&facilitator.settle_directly(&second, "a"));
    assert!(matches!(outcome, Some(Outcome::Settled(_))), "{outcome:?}");
    assert_eq!(facilitator.count("/settle"), 1, "our own nodes are back");
    assert_eq!(world.chain.borrow().count(), 1);
    assert_bought_once(&world, &first);
    assert_bought_once(&world, &second);
}

#[test]
fn the_fallback_checks_before_it_writes_anything_down() {
    let (world, facilitator) = world_with_fallback();
    let payment = payment(1);
    cut_off(&world, None);
    facilitator.verifies.borrow_mut().push_back(Does::Nothing);
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    assert_eq!(outcome, Some(Outcome::Unavailable));
    assert!(world.tables.record(&payment.id).is_none());
    let now = world.clock.now_ms();
    world.chain.borrow_mut().stranger_sends(&payment, now);
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    let used = Outcome::Failed { reason: Reason::EvmNonceUsed, transaction: None };
    assert_eq!(outcome, Some(used));
    assert_eq!(facilitator.count("/settle"), 0);
}

#[test]
fn what_names_a_relayer_of_ours_never_goes_to_the_fallback() {
    let (world, facilitator) = world_with_fallback();
    let payment = Payment::by_use(1, 1, 600);
    cut_off(&world, None);
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    assert_eq!(outcome, Some(Outcome::Unavailable));
    assert!(facilitator.asked.borrow().is_empty());
    assert!(world.tables.record(&payment.id).is_none(), "it is good for another try");
}

#[test]
fn what_may_be_in_a_pool_never_goes_to_the_fallback() {
    let (world, facilitator) = world_with_fallback();
    let payment = payment(1);
    // The node takes the transaction, and can't be reached from then on.
    let nodes = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |_, _, _| {
        let is_sent = !nodes.chain.borrow().pool.is_empty() || nodes.chain.borrow().count() > 0;
        is_sent.then_some(Err((-32_005, "limit exceeded")))
    }));
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    let Some(Outcome::Pending { transaction }) = outcome else { panic!("{outcome:?}") };
    assert!(transaction.is_some());
    assert!(facilitator.asked.borrow().is_empty());
    *world.hook.borrow_mut() = None;
    world.run_for(30_000);
    assert_bought_once(&world, &payment);
}

#[test]
fn what_a_spoiled_transaction_has_shown_never_goes_to_the_fallback() {
    let (world, facilitator) = world_with_fallback();
    let payments = [payment(1), payment(2), payment(3)];
    facilitator.payments.borrow_mut().extend(payments.clone());
    let claims: Vec<_> = payments.iter().map(|it| world.claim_request(it, "a")).collect();
    for claim in &claims {
        assert_eq!(world.claim(claim), ClaimReply::Fresh);
    }
    let requests = payments.iter().zip(&claims).map(|(it, claim)| settle_request(it, claim));
    let outcomes: Vec<_> = requests
        .map(|request| {
            let asking = Rc::clone(&world);
            world.start(async move {
                asking.ask(|it| async move { it.settle(request).await }).await.map(Result::unwrap)
            })
        })
        .collect();
    for _ in 0..500 {
        if world.chain.borrow().waiting_shares().iter().any(|share| *share > 1) {
            break;
        }
        world.run_for(20);
    }
    world.chain.borrow_mut().codes.insert(payer(3).address(), Code::Burns);
    // It fails as a whole, and no node can be reached once that is known.
    let (nodes, watched) = (Rc::clone(&world), payments.clone());
    *world.hook.borrow_mut() = Some(Box::new(move |_, _, _| {
        let is_left_behind = |it: &Payment| {
            let record = nodes.tables.record(&it.id).unwrap();
            record.was_sent && matches!(record.state, State::Claimed { .. })
        };
        watched.iter().any(is_left_behind).then_some(Err((-32_005, "limit exceeded")))
    }));
    let left_behind = outcomes.iter().filter(|it| world.take(it) == Some(Outcome::Unavailable));
    assert!(left_behind.count() >= 2);
    assert!(facilitator.asked.borrow().is_empty());
    *world.hook.borrow_mut() = None;
    assert!(world.buy_now(&payments[1], "a").is_delivery());
}

#[test]
fn without_a_request_for_it_the_fallback_is_left_alone() {
    let (world, facilitator) = world_with_fallback();
    cut_off(&world, None);
    assert_eq!(world.buy_now(&payment(1), "a"), Answer::Unavailable);
    assert!(facilitator.asked.borrow().is_empty());
}

#[test]
fn each_lane_takes_up_its_own_after_a_crash() {
    let (world, facilitator) = world_with_fallback();
    let (ours, theirs) = (payment(1), payment(2));
    cut_off(&world, None);
    facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
    let remote = facilitator.settle_directly(&theirs, "b");
    world.run_for(3_000);
    *world.hook.borrow_mut() = None;
    let own = facilitator.settle_directly(&ours, "a");
    world.run_for(300);
    assert_eq!(world.tables.entries().len(), 2, "{:?}", world.tables.entries());
    world.crash();
    assert_eq!((world.take(&remote), world.take(&own)), (None, None));
    world.settler();
    world.run_for(30_000);
    assert_bought_once(&world, &ours);
    assert_bought_once(&world, &theirs);
}

#[test]
fn a_facilitator_that_is_not_configured_any_more_spoils_nothing() {
    let (world, facilitator) = world_with_fallback();
    cut_off(&world, None);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    let _remote = facilitator.settle_directly(&payment(1), "a");
    world.run_for(3_000);
    let tables = Rc::clone(&world.tables);
    let other = World::new(&crate::sim::Setup::default());
    for entry in tables.entries() {
        use edge402::settlement::Store as _;
        let store = crate::sim::tables::SimStore(Rc::clone(&other.tables));
        store.submit(&entry, &[tables.record(&entry.payments[0]).unwrap()]).unwrap();
    }
    assert!(other.buy_now(&payment(2), "a").is_delivery());
    other.run_for(60_000);
    assert_eq!(other.tables.entries().len(), 1);
    assert!(other.log.borrow().iter().any(|line| line.contains("not configured any more")));
}

#[test]
fn what_the_fallback_refused_once_it_may_settle_later() {
    let (world, facilitator) = world_with_fallback();
    let payment = payment(1);
    cut_off(&world, None);
    let refusal =
        json!({ "success": false, "errorReason": "insufficient_funds", "transaction": "" });
    facilitator.settles.borrow_mut().push_back(Does::Says(200, refusal));
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    assert!(matches!(outcome, Some(Outcome::Failed { .. })), "{outcome:?}");
    let outcome = world.take(&facilitator.settle_directly(&payment, "a"));
    assert!(matches!(outcome, Some(Outcome::Settled(_))), "{outcome:?}");
}
