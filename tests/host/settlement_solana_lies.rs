//! What one node says of a Solana payment, and what it takes for it to count.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::{AMOUNT, Answer, World};
use crate::solana_cluster::{
    Cluster, Lie, cluster, cluster_of, cluster_with, is_submitted, payment, payment_of,
};
use crate::solana_support::{LIGHTHOUSE, draft, fee_payer, ix, readonly};
use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::rpc::TransportError;
use edge402::settlement::{Limits, State};
use serde_json::{Value, json};

const FIRST: &str = "https://node0.test/";

fn world_of(limits: Limits, nodes: usize, lie: Lie) -> (Rc<World>, Rc<RefCell<Cluster>>) {
    let (world, cluster) = cluster_of(limits, nodes);
    cluster.borrow_mut().lie = Some(lie);
    (world, cluster)
}

fn quorum(above: u128) -> Limits {
    Limits { quorum_above: Some(AtomicAmount(above)).into(), ..Limits::default() }
}

#[test]
fn a_fee_payer_with_too_little_is_told_what_one_payment_needs() {
    for (lamports, is_poor) in [(0, true), (900_879, true), (900_880, false)] {
        let lie: Lie = Box::new(move |_, method, _, mut truth| {
            if method == "getMultipleAccounts" {
                truth["value"][0]["lamports"] = json!(lamports);
            }
            truth
        });
        let (world, _) = world_of(Limits::default(), 1, lie);
        let asking = Rc::clone(&world);
        let health = world
            .wait(async move { asking.ask(|it| async move { it.health().await }).await.unwrap() });
        assert_eq!(health.balance, Some(lamports.to_string()));
        assert_eq!(health.problems.len(), usize::from(is_poor), "{health:?}");
    }
}

/// The statuses that say this of every signature.
fn statuses(params: &Value, err: &Value) -> Value {
    let count = params[0].as_array().unwrap().len();
    let status = json!({
        "slot": 1, "confirmations": 1, "err": err, "confirmationStatus": "confirmed",
    });
    json!({ "context": { "slot": 1 }, "value": vec![status; count] })
}

#[test]
fn above_the_limit_one_node_settles_nothing() {
    for err in [Value::Null, json!({ "InstructionError": [2, { "Custom": 1 }] })] {
        let lie: Lie = Box::new(move |url, method, params, truth| match method {
            "getSignatureStatuses" if url == FIRST => statuses(params, &err),
            _ => truth,
        });
        let (world, cluster) = world_of(quorum(AMOUNT - 1), 2, lie);
        cluster.borrow_mut().drops = usize::MAX;
        assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
        assert!(is_submitted(&world, &payment(1)));
        assert!(world.deliveries.borrow().is_empty());
        // It lands after all, and both nodes say so.
        cluster.borrow_mut().drops = 0;
        cluster.borrow_mut().lie = None;
        world.run_for(20_000);
        assert!(world.buy_now(&payment(1), "a").is_delivery());
    }
}

#[test]
fn up_to_the_limit_no_node_alone_calls_it_failed() {
    let failed = json!({ "InstructionError": [2, { "Custom": 1 }] });
    let lie: Lie = Box::new(move |url, method, params, truth| match method {
        "getSignatureStatuses" if url == FIRST => statuses(params, &failed),
        _ => truth,
    });
    let (world, cluster) = world_of(quorum(AMOUNT), 2, lie);
    assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
    assert_eq!(cluster.borrow().landed.len(), 1);
    cluster.borrow_mut().lie = None;
    world.run_for(5_000);
    assert!(world.buy_now(&payment(1), "a").is_delivery());
}

/// A seller who asks for two nodes and has one: nobody else can tell.
#[test]
fn the_only_node_calls_a_payment_failed_above_the_limit_as_well() {
    for limits in [quorum(AMOUNT - 1), quorum(AMOUNT)] {
        let (world, cluster) = cluster_with(limits);
        cluster.borrow_mut().fails = true;
        let answer = world.buy_now(&payment(1), "a");
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        assert!(world.tables.entries().is_empty());
    }
}

#[test]
fn no_height_that_a_node_makes_up_gives_a_payment_up_early() {
    // Too low when it is sent and too high when it is looked at.
    for heights in [[0, 1_000_000], [1_000_000, 1_000_000], [0, 0]] {
        let mut asked = 0;
        let lie: Lie = Box::new(move |_, method, _, truth| match method {
            "getBlockHeight" => {
                asked += 1;
                json!(heights[usize::from(asked != 1)])
            }
            _ => truth,
        });
        let (world, cluster) = world_of(Limits::default(), 1, lie);
        cluster.borrow_mut().drops = usize::MAX;
        assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
        // As long as the cluster takes it, it is on its way.
        world.run_for(30_000);
        assert!(is_submitted(&world, &payment(1)), "{heights:?}");
        cluster.borrow_mut().drops = 0;
        world.run_for(4_000);
    }
}

#[test]
fn a_height_made_up_once_keeps_nothing_for_ever() {
    let mut asked = 0;
    let lie: Lie = Box::new(move |_, method, _, truth| match method {
        "getBlockHeight" if asked == 0 => {
            asked += 1;
            json!(u64::MAX)
        }
        _ => truth,
    });
    let (world, cluster) = world_of(Limits::default(), 1, lie);
    cluster.borrow_mut().drops = usize::MAX;
    assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
    world.run_for(150_000);
    let state = world.tables.record(&payment(1).id).unwrap().state;
    assert!(matches!(state, State::Failed { reason: Reason::SvmSimulationFailed }), "{state:?}");
    assert!(world.tables.entries().is_empty());
}

#[test]
fn one_of_two_nodes_can_make_no_payment_expire() {
    let lie: Lie = Box::new(|url, method, _, truth| match method {
        "getBlockHeight" if url == FIRST => json!(1_000_000),
        "getBlockHeight" => json!(1_000),
        _ => truth,
    });
    let (world, cluster) = world_of(Limits::default(), 2, lie);
    cluster.borrow_mut().drops = usize::MAX;
    assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
    world.run_for(300_000);
    assert!(is_submitted(&world, &payment(1)));
}

/// Whether it is given up after so many seconds, of two nodes one being silent
/// or standing still.
fn is_given_up(limits: Limits, stands_still: bool, seconds: u64) -> bool {
    let lie: Lie = Box::new(move |url, method, _, truth| match method {
        "getBlockHeight" if url == FIRST && stands_still => json!(1_001),
        _ => truth,
    });
    let (world, cluster) = world_of(limits, 2, lie);
    cluster.borrow_mut().drops = usize::MAX;
    *world.temper.borrow_mut() = Some(Box::new(move |url, _| {
        (url == FIRST && !stands_still).then_some(Err(TransportError::TimedOut))
    }));
    assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
    world.run_for(1_000 * seconds);
    assert_eq!(is_submitted(&world, &payment(1)), !world.tables.entries().is_empty());
    world.tables.entries().is_empty()
}

#[test]
fn a_node_that_is_dead_or_stands_still_keeps_no_expired_payment_for_ever() {
    for stands_still in [false, true] {
        assert!(!is_given_up(Limits::default(), stands_still, 500));
        assert!(is_given_up(Limits::default(), stands_still, 660));
        // Above the limit one node alone gives up nothing.
        assert!(!is_given_up(quorum(AMOUNT - 1), stands_still, 3_600));
    }
}

#[test]
fn what_one_of_two_nodes_still_sees_or_does_not_tell_is_not_given_up() {
    let seen = |params: &Value| {
        let mut said = statuses(params, &Value::Null);
        for status in said["value"].as_array_mut().unwrap() {
            status["confirmationStatus"] = json!("processed");
        }
        said
    };
    for is_seen in [true, false] {
        // It was not seen before the heights were asked for.
        let mut is_late = false;
        let lie: Lie = Box::new(move |url, method, params, truth| match method {
            "getBlockHeight" => {
                is_late = true;
                truth
            }
            "getSignatureStatuses" if url == FIRST && is_late => {
                is_late = false;
                if is_seen { seen(params) } else { Value::Null }
            }
            _ => truth,
        });
        let (world, cluster) = world_of(Limits::default(), 2, lie);
        cluster.borrow_mut().drops = usize::MAX;
        assert!(matches!(world.buy_now(&payment(1), "a"), Answer::Pending(_)));
        world.run_for(150_000);
        assert!(is_submitted(&world, &payment(1)), "{is_seen}");
        cluster.borrow_mut().lie = None;
        world.run_for(60_000);
        assert!(!is_submitted(&world, &payment(1)));
    }
}

#[test]
fn what_two_nodes_call_failed_is_failed_and_what_one_does_is_not() {
    for (is_silent, above) in [(false, AMOUNT - 1), (false, AMOUNT), (true, AMOUNT - 1)] {
        let lie: Lie = Box::new(move |url, method, _, truth| match method {
            "getSignatureStatuses" if url == FIRST && is_silent => Value::Null,
            _ => truth,
        });
        let (world, cluster) = world_of(quorum(above), 2, lie);
        cluster.borrow_mut().fails = true;
        let answer = world.buy_now(&payment(1), "a");
        if is_silent {
            assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
        } else {
            assert_eq!(answer, Answer::Refused(Reason::InsufficientFunds));
        }
        assert!(world.deliveries.borrow().is_empty());
    }
}

#[test]
fn what_is_worth_no_more_than_quorum_above_needs_one_nodes_word() {
    for (above, is_delivered) in [(AMOUNT, true), (AMOUNT - 1, false)] {
        let lie: Lie = Box::new(|url, method, params, truth| match method {
            "getSignatureStatuses" if url != FIRST => {
                json!({ "context": { "slot": 1 }, "value": vec![Value::Null; params[0].as_array().unwrap().len()] })
            }
            _ => truth,
        });
        let (world, _) = world_of(quorum(above), 2, lie);
        assert_eq!(world.buy_now(&payment(1), "a").is_delivery(), is_delivered, "{above}");
    }
}

#[test]
fn a_payment_that_expired_is_not_held_against_its_payer() {
    let (world, cluster) = cluster_with(Limits::default());
    cluster.borrow_mut().drops = usize::MAX;
    let lost: Vec<_> = (0..4).map(|n| world.start_buy(&payment(n), "a")).collect();
    world.run_for(120_000);
    assert!(world.tables.entries().is_empty());
    drop(lost);
    // Its blockhash is over, which is what it is told.
    assert_eq!(world.buy_now(&payment(5), "a"), Answer::Refused(Reason::SvmSimulationFailed));
}

#[test]
fn without_a_balance_one_payment_of_a_payer_goes_at_a_time() {
    for answer in [Value::Null, json!({ "context": { "slot": 1 }, "value": [null, null] })] {
        let lie: Lie = Box::new(move |_, method, _, truth| match method {
            "getMultipleAccounts" => answer.clone(),
            _ => truth,
        });
        let (world, cluster) = world_of(Limits::default(), 1, lie);
        cluster.borrow_mut().money = u64::try_from(AMOUNT).unwrap();
        let buyers: Vec<_> = (0..3).map(|n| world.start_buy(&payment(n), "a")).collect();
        let answers: Vec<_> = buyers.iter().map(|buyer| world.take(buyer)).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_delivery()).count(), 1);
        assert_eq!(cluster.borrow().landed.len(), 1);
        assert!(cluster.borrow().failed.is_empty());
    }
}

#[test]
fn a_node_that_is_behind_shows_no_money_that_is_gone() {
    // Its accounts are as of the beginning.
    let mut first = None;
    let lie: Lie = Box::new(move |_, method, _, truth| match method {
        "getMultipleAccounts" => first.get_or_insert(truth).clone(),
        "simulateTransaction" => json!({ "value": { "err": null } }),
        _ => truth,
    });
    let (world, cluster) = world_of(Limits::default(), 1, lie);
    cluster.borrow_mut().money = u64::try_from(AMOUNT).unwrap();
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert_eq!(world.buy_now(&payment(2), "a"), Answer::Unavailable);
    assert!(cluster.borrow().failed.is_empty());
}

#[test]
fn a_guard_that_looks_at_our_fee_payer_takes_nothing_from_it() {
    let mut draft = draft();
    draft.instructions.insert(2, ix(LIGHTHOUSE, &[readonly(fee_payer())], &[6, 1, 1]));
    let guarded = payment_of(&draft);
    // The fee of this payment is 10,001 lamports.
    for (loss, expected) in
        [(10_002, Some(Answer::Refused(Reason::SvmFeePayerTransferringFunds))), (10_001, None)]
    {
        let (world, cluster) = cluster();
        cluster.borrow_mut().simulated_loss = loss;
        let answer = world.buy_now(&guarded, "a");
        assert!(expected.map_or(answer.is_delivery(), |it| it == answer), "{loss}: {answer:?}");
        assert_eq!(cluster.borrow().landed.len(), usize::from(answer.is_delivery()));
    }
    // A node that does not say so is no proof.
    let (world, cluster) = cluster();
    cluster.borrow_mut().lie = Some(Box::new(|_, method, _, truth| match method {
        "simulateTransaction" => json!({ "value": { "err": null, "accounts": null } }),
        _ => truth,
    }));
    assert_eq!(world.buy_now(&guarded, "a"), Answer::Unavailable);
    assert!(cluster.borrow().sent.is_empty());
}
