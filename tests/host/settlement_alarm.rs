//! The alarm rings for what is under way, whatever has failed before.

use edge402::settlement::State;

use crate::sim::{Payment, Setup, World};

fn is_settled(world: &World, payment: &Payment) -> bool {
    let record = world.tables.record(&payment.id);
    matches!(record.map(|record| record.state), Some(State::Settled(_)))
}

/// The runtime tries an alarm that fails six times again, in two minutes.
#[test]
fn a_disk_that_fails_for_long_does_not_end_the_alarm() {
    let world = World::new(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    let payment = Payment::new(1, 1, 3_000);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(2_000);
    assert_eq!(world.tables.entries().len(), 1);
    world.tables.is_broken.set(true);
    world.run_for(300_000);
    world.tables.is_broken.set(false);
    world.crash();
    drop(buyer);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    world.run_for(100_000);
    assert!(is_settled(&world, &payment), "nobody came again");
}

#[test]
fn an_alarm_that_could_not_be_set_is_asked_for_again_by_the_next_claim() {
    let world = World::new(&Setup::default());
    world.alarm.fails.set(1);
    let claim = |n| world.claim(&world.claim_request(&Payment::new(n, n, 3_000), "a"));
    claim(1);
    world.run_for(100);
    assert_eq!(world.alarm.at.get(), None);
    claim(2);
    world.run_for(100);
    assert!(world.alarm.at.get().is_some());
}
