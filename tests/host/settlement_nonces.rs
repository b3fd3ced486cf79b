//! Which nonce a payment goes out with, what a gap before it is filled with, and how long a
//! transaction that can't land is kept: in most of these, a node is wrong about what is mined.

use std::cell::Cell;
use std::rc::Rc;

use edge402::encoding::decode_hex_bytes;
use edge402::protocol::Reason;
use edge402::settlement::Outcome;
use serde_json::json;

use crate::settlement_queue::{Told, is_settled, mine, start};
use crate::sim::chain::read_transaction;
use crate::sim::{Payment, Setup, World};

/// How far ahead of what is mined a nonce is that nothing waits for.
const PARKED: u64 = 32;

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

/// A chain on which no block comes before the test says so.
fn standing_still() -> Rc<World> {
    World::new(&Setup { block_ms: 1_000_000_000, ..Setup::default() })
}

fn payment(number: u8) -> Payment {
    Payment::new(number, 1, 3_000)
}

/// The nonces that wait for a block.
fn waiting(world: &World) -> Vec<u64> {
    world.chain.borrow().pool.keys().copied().collect()
}

/// The relayer's transactions in blocks: how many payments each carries.
fn shares(world: &World) -> Vec<usize> {
    world.chain.borrow().shares()
}

/// Has the node call so many transactions mined, as often as it is asked so many times.
fn say(world: &World, count: u64, times: usize) {
    let left = Cell::new(times);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        if method != "eth_getTransactionCount" || left.get() == 0 {
            return None;
        }
        left.set(left.get() - 1);
        Some(Ok(json!(format!("{count:#x}"))))
    }));
}

/// Sends a payment after the node has named this nonce, of what is mined and of what waits.
fn start_at(world: &Rc<World>, nonce: u64, payment: &Payment) -> Told {
    say(world, nonce, 2);
    let told = start(world, payment);
    world.run_for(1_000);
    assert!(waiting(world).contains(&nonce), "{nonce}: {:?}", waiting(world));
    told
}

#[test]
fn what_a_node_named_too_high_is_filled_up_to_after_twenty_seconds() {
    for nonce in [1, 17, 20, PARKED - 1] {
        let world = world();
        let told = start_at(&world, nonce, &payment(1));
        // What another tool has sent may come yet.
        world.run_for(18_000);
        assert_eq!(waiting(&world), [nonce]);
        world.run_for(6_000);
        assert!(is_settled(&told), "{nonce}: {told:?}");
        let mut expected = vec![0; usize::try_from(nonce).unwrap()];
        expected.push(1);
        assert_eq!(shares(&world), expected);
        assert!(world.tables.entries().is_empty());
    }
}

#[test]
fn for_what_is_further_off_nothing_is_filled() {
    for nonce in [PARKED, PARKED + 1, 300] {
        let world = world();
        start_at(&world, nonce, &payment(1));
        world.run_for(60_000);
        assert_eq!((waiting(&world), shares(&world)), (vec![nonce], vec![]));
        let other = start(&world, &payment(2));
        world.run_for(5_000);
        assert!(is_settled(&other), "{nonce}: {other:?}");
        assert_eq!(shares(&world)[0], 1);
        // It is waited for as long as it can land.
        assert_eq!(world.tables.entries().len(), 1);
    }
}

#[test]
fn what_comes_next_is_behind_what_is_filled_up_to_and_not_behind_what_is_parked() {
    for (nonce, next) in [(20, 21), (PARKED - 1, PARKED), (PARKED, 0), (100, 0)] {
        let world = standing_still();
        start_at(&world, nonce, &payment(1));
        start(&world, &payment(2));
        world.run_for(1_000);
        let mut expected = [nonce, next];
        expected.sort_unstable();
        assert_eq!(waiting(&world), expected);
    }
}

#[test]
fn a_transaction_that_is_parked_is_given_up_a_minute_after_its_payment_has_ended() {
    for valid_for in 60..64 {
        let world = world();
        let parked = Payment::new(1, 1, valid_for);
        let told = start_at(&world, 100, &parked);
        world.run_for(1_000 * (valid_for + 57));
        assert_eq!(world.tables.entries().len(), 1, "{valid_for}: it may have landed late");
        world.run_for(9_000);
        assert!(world.tables.entries().is_empty(), "{valid_for}");
        assert!(!is_settled(&told));
        assert!(world.chain.borrow().transfers.is_empty());
    }
}

/// Sells one, and has the node be late: it goes on to call nothing mined.
fn behind_a_node_that_is_late(landed_after: u64) -> Rc<World> {
    let world = standing_still();
    let told = start(&world, &payment(1));
    world.run_for(landed_after);
    mine(&world);
    world.run_for(5_000);
    assert!(world.tables.entries().is_empty());
    assert!(told.borrow().is_some());
    say(&world, 0, usize::MAX);
    world
}

#[test]
fn behind_a_node_that_is_late_no_nonce_is_used_twice() {
    // Thirty seconds are counted from when the last one came to its end.
    for (landed_after, pause) in [(1_000, 1_000), (1_000, 20_000), (24_000, 20_000)] {
        let world = behind_a_node_that_is_late(landed_after);
        world.run_for(pause);
        let told = start(&world, &payment(2));
        world.run_for(1_000);
        assert_eq!(waiting(&world), [1], "{landed_after} {pause}");
        mine(&world);
        world.run_for(5_000);
        assert!(is_settled(&told), "{told:?}");
        assert_eq!(shares(&world), [1, 1]);
    }
}

#[test]
fn what_never_landed_is_remembered_for_half_a_minute() {
    let world = world();
    // The node forgets what it has taken, and calls its nonce used.
    world.chain.borrow_mut().forgets = 1;
    let first = payment(1);
    start(&world, &first);
    world.run_for(1_000);
    say(&world, 1, usize::MAX);
    world.run_for(45_000);
    assert!(world.tables.entries().is_empty());
    *world.hook.borrow_mut() = None;
    world.run_for(25_000);
    // Nobody waits for its nonce to be filled.
    let told = start(&world, &payment(2));
    world.run_for(5_000);
    assert!(is_settled(&told), "{told:?}");
    assert!(world.buy_now(&first, "a").is_delivery());
    assert_eq!(shares(&world), [1, 1]);
}

/// All that comes after it waits for it.
#[test]
fn what_fills_a_gap_is_replaced_whatever_the_day_has_left() {
    let mut setup = Setup::default();
    // Enough for a payment, and not for another version of it.
    setup.limits.daily_spend = Some(170_000_000_000_000);
    let world = World::new(&setup);
    world.chain.borrow_mut().min_fee = 2_200_000_000;
    start_at(&world, 2, &payment(1));
    world.run_for(70_000);
    assert_eq!((shares(&world), waiting(&world)), (vec![0, 0], vec![2]));
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(3_000);
    assert_eq!(shares(&world), [0, 0, 1]);
}

/// Has every node refuse the first transaction with this nonce, for good.
fn refuse_once(world: &World, nonce: u64) {
    let mut refused = None;
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if !method.starts_with("eth_sendRawTransaction") {
            return None;
        }
        let raw = params[0].as_str().unwrap();
        let sent = read_transaction(&decode_hex_bytes(raw, raw.len()).unwrap()).1;
        let is_it = sent.nonce == nonce && refused.get_or_insert(raw.to_owned()) == raw;
        is_it.then_some(Err((-32_000, "insufficient funds for gas * price + value")))
    }));
}

#[test]
fn what_is_refused_behind_others_gives_its_nonce_to_the_next_payment() {
    let world = standing_still();
    let first = start(&world, &payment(1));
    world.run_for(1_000);
    refuse_once(&world, 1);
    let second = start(&world, &payment(2));
    world.run_for(1_000);
    let reason = Reason::UnexpectedSettleError;
    assert_eq!(*second.borrow(), Some(Some(Outcome::Failed { reason, transaction: None })));
    assert_eq!(waiting(&world), [0], "nothing waits behind it, so nothing is sent for it");
    let third = start(&world, &payment(3));
    world.run_for(1_000);
    assert_eq!(waiting(&world), [0, 1]);
    mine(&world);
    world.run_for(5_000);
    assert!(is_settled(&first) && is_settled(&third), "{first:?} {third:?}");
    assert_eq!(shares(&world), [1, 1]);
    // Its payment is as good as before.
    let again = start(&world, &payment(2));
    world.run_for(1_000);
    mine(&world);
    world.run_for(5_000);
    assert!(is_settled(&again), "{again:?}");
}
