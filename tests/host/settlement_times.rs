//! Payments that are valid from this very second on, as simple clients sign
//! them.

use std::rc::Rc;

use crate::sim::chain::Overrides;
use crate::sim::time::START_MS;
use crate::sim::{Payment, Setup, World, pay_to};
use edge402::settlement::State;

const KINDS: [Overrides; 3] = [Overrides::Takes, Overrides::Refuses, Overrides::Ignores];

/// A payment whose `validAfter` is so many seconds after now, rounded down.
fn new_payment(world: &World, number: u8, ahead: u64) -> Payment {
    let now = world.clock.now().0;
    Payment::within(pay_to(), number, number, (now + ahead, now + 300))
}

fn world(block_ms: u64, overrides: Overrides, has_multicall: bool) -> Rc<World> {
    let world = World::new(&Setup { block_ms, has_multicall, ..Setup::default() });
    world.chain.borrow_mut().overrides = overrides;
    world
}

#[test]
fn a_payment_of_this_second_is_paid_at_each_phase_of_it() {
    for block_ms in [250, 2_000, 12_000] {
        for overrides in KINDS {
            for has_multicall in [true, false] {
                for phase in 0..10 {
                    let case = format!("{block_ms} {overrides:?} {has_multicall} {phase}");
                    let world = world(block_ms, overrides, has_multicall);
                    world.run_for(1_000 + 100 * phase + 50);
                    let payment = new_payment(&world, 1, 0);
                    let buyer = world.start_buy(&payment, "a");
                    let answer = world.take(&buyer);
                    // A slow chain may take longer than a request waits.
                    world.run_for(if block_ms == 12_000 { 30_000 } else { 0 });
                    let answer = match answer {
                        answer if answer.is_delivery() => answer,
                        _ if block_ms == 12_000 => world.buy_now(&payment, "a"),
                        answer => answer,
                    };
                    assert!(answer.is_delivery(), "{case}: {answer:?}");
                    assert_eq!(world.chain.borrow().count(), 1, "{case}: none failed");
                }
            }
        }
    }
}

#[test]
fn a_payment_whose_clock_is_ahead_waits_for_its_time() {
    for ahead in 1..=4 {
        for overrides in KINDS {
            let world = world(2_000, overrides, true);
            let payment = new_payment(&world, 1, ahead);
            let answer = world.buy_now(&payment, "a");
            assert!(answer.is_delivery(), "{ahead} {overrides:?}: {answer:?}");
            assert_eq!(world.chain.borrow().count(), 1, "{ahead} {overrides:?}: none failed");
        }
    }
}

#[test]
fn a_payment_that_waits_for_its_time_holds_nobody_up() {
    for overrides in KINDS {
        let world = world(12_000, overrides, true);
        world.run_for(11_000);
        let early = {
            let now = START_MS / 1_000 + 5;
            Payment::within(pay_to(), 1, 1, (now, now + 300))
        };
        world.chain.borrow_mut().clock_lag = 60;
        let buyer = world.start_buy(&early, "a");
        world.run_for(200);
        let other = Payment::new(2, 2, 600);
        let answer = world.buy_now(&other, "a");
        assert!(answer.is_delivery(), "{overrides:?}: {answer:?}");
        drop(buyer);
    }
}

#[test]
fn one_that_waited_in_vain_can_be_shown_again() {
    let world = world(2_000, Overrides::Refuses, true);
    // The chain stands still.
    world.chain.borrow_mut().clock_lag = 60;
    let payment = new_payment(&world, 1, 0);
    let answer = world.buy_now(&payment, "a");
    assert!(!answer.is_delivery());
    let record = world.tables.record(&payment.id).map(|record| record.state);
    assert!(!matches!(record, Some(State::Submitted { .. })), "{record:?}");
    world.chain.borrow_mut().clock_lag = 0;
    world.run_for(2_000);
    assert!(world.buy_now(&payment, "b").is_delivery());
    assert!(world.chain.borrow().count() == 1);
}

#[test]
fn other_payments_cost_no_question_more() {
    let world = world(2_000, Overrides::Takes, true);
    assert!(world.buy_now(&Payment::new(1, 1, 600), "a").is_delivery());
    let before = world.posts.get();
    assert!(world.buy_now(&Payment::new(2, 2, 600), "a").is_delivery());
    let ordinary = world.posts.get() - before;
    world.run_for(10_000);
    let before = world.posts.get();
    assert!(world.buy_now(&Payment::new(3, 3, 600), "a").is_delivery());
    assert!(world.posts.get() - before <= ordinary + 3);
}
