//! What one node says of a transaction that is under way, and what the others must say too
//! before a payment has failed.

use std::cell::Cell;
use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::settlement::journal::Sent;
use edge402::settlement::{Outcome, State};
use serde_json::{Value, json};

use crate::settlement_queue::{Told, is_settled, mine, start};
use crate::sim::{Payment, Setup, World, permit2_of};

/// For how long one node alone does not make a payment fail, in milliseconds.
const DOUBT: u64 = 30_000;

/// A chain behind so many nodes on which no block comes before the test says so.
fn world(urls: usize) -> Rc<World> {
    World::new(&Setup { urls, block_ms: 1_000_000_000, ..Setup::default() })
}

fn payment(number: u8) -> Payment {
    Payment::new(number, 1, 3_000)
}

fn state(world: &World, payment: &Payment) -> State {
    world.tables.record(&payment.id).unwrap().state
}

fn is_failed(world: &World, payment: &Payment) -> bool {
    matches!(state(world, payment), State::Failed { .. })
}

fn is_under_way(world: &World, payment: &Payment) -> bool {
    matches!(state(world, payment), State::Submitted { .. })
}

/// Has one node answer one question in its own way.
fn has(
    world: &Rc<World>,
    node: usize,
    asked: &'static str,
    answer: impl Fn(Value, &Value) -> Value + 'static,
) {
    let (inner, url) = (Rc::clone(world), format!("https://node{node}.test/"));
    *world.hook.borrow_mut() = Some(Box::new(move |at, method, params| {
        if at != url || method != asked {
            return None;
        }
        let now = inner.clock.now_ms();
        let truth = inner.chain.borrow_mut().answer(method, params, now).unwrap();
        Some(Ok(answer(truth, params)))
    }));
}

const RECEIPT: &str = "eth_getTransactionReceipt";
const COUNT: &str = "eth_getTransactionCount";

/// A world with a payment in the air that fails in its block.
fn failing(urls: usize) -> (Rc<World>, Payment, Told) {
    let world = world(urls);
    world.chain.borrow_mut().poisoned.insert([1; 32]);
    let payment = payment(1);
    let told = start(&world, &payment);
    world.run_for(2_000);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    (world, payment, told)
}

#[test]
fn what_has_failed_by_all_nodes_is_told_at_once() {
    for urls in 1..=3 {
        let (world, payment, told) = failing(urls);
        mine(&world);
        world.run_for(2_000);
        assert!(matches!(&*told.borrow(), Some(Some(Outcome::Failed { .. }))), "{urls}: {told:?}");
        assert!(is_failed(&world, &payment));
    }
}

/// Another way in which the last node tells of a receipt than all others do.
type OtherWay = fn(Value) -> Value;

const OTHER_WAYS: [(&str, OtherWay); 3] = [
    ("it has none", |_| Value::Null),
    ("it went well", |mut receipt| {
        receipt["status"] = json!("0x1");
        receipt
    }),
    ("it has a log", |mut receipt| {
        let mut log = json!({ "address": format!("0x{}", "5a".repeat(20)), "data": "0x" });
        log["topics"] = json!([format!("0x{}", "5b".repeat(32))]);
        receipt["logs"] = json!([log]);
        receipt
    }),
];

#[test]
fn what_has_failed_by_some_nodes_only_is_told_half_a_minute_later() {
    for urls in [2, 3] {
        for (what, way) in OTHER_WAYS {
            let (world, payment, told) = failing(urls);
            has(
                &world,
                urls - 1,
                RECEIPT,
                move |truth, _| {
                    if truth == Value::Null { truth } else { way(truth) }
                },
            );
            mine(&world);
            world.run_for(DOUBT - 8_000);
            assert!(told.borrow().is_none(), "{urls}, {what}: {told:?}");
            world.run_for(5_000);
            assert!(is_under_way(&world, &payment), "{urls}, {what}");
            world.run_for(10_000);
            assert!(is_failed(&world, &payment), "{urls}, {what}: not for ever");
        }
    }
}

#[test]
fn a_node_that_makes_a_failure_up_loses_no_payment_that_is_in_the_air() {
    for liar in [0, 1] {
        let world = world(2);
        let payment = payment(1);
        let told = start(&world, &payment);
        world.run_for(2_000);
        let hash = world.chain.borrow().pool[&0].hash.clone();
        let its = hash.clone();
        has(&world, liar, RECEIPT, move |truth, params| {
            if params[0] != its.as_str() {
                return truth;
            }
            json!({
                "status": "0x0", "transactionHash": its, "blockNumber": "0x3e9", "logs": [],
                "from": crate::sim::relayer().address(), "gasUsed": "0x9c40",
                "effectiveGasPrice": "0x1",
            })
        });
        world.run_for(15_000);
        assert!(is_under_way(&world, &payment), "{liar}: {told:?}");
        mine(&world);
        *world.hook.borrow_mut() = None;
        world.run_for(6_000);
        assert!(is_settled(&told), "{liar}: {told:?}");
        assert_eq!(world.chain.borrow().transfers_of(&payment)[0].transaction, hash);
    }
}

#[test]
fn a_nonce_that_is_free_by_one_node_is_not_lost() {
    let world = world(2);
    let payment = payment(1);
    start(&world, &payment);
    world.run_for(2_000);
    has(&world, 0, COUNT, |_, _| json!("0x1"));
    world.run_for(3 * DOUBT);
    assert!(is_under_way(&world, &payment));
    *world.hook.borrow_mut() = None;
    mine(&world);
    world.run_for(6_000);
    assert!(matches!(state(&world, &payment), State::Settled(_)));
}

#[test]
fn a_block_number_that_is_one_too_high_hides_no_use() {
    let world = World::new(&Setup::default());
    let payment = payment(1);
    let is_told = Cell::new(false);
    has(&world, 0, "eth_feeHistory", move |mut history, _| {
        if !is_told.replace(true) {
            let oldest = history["oldestBlock"].as_str().unwrap().strip_prefix("0x").unwrap();
            let oldest = u64::from_str_radix(oldest, 16).unwrap();
            history["oldestBlock"] = json!(format!("{:#x}", oldest + 1));
        }
        history
    });
    let told = start(&world, &payment);
    world.run_for(300);
    let hash = world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    world.run_for(20_000);
    let told = told.borrow();
    let Some(Some(Outcome::Settled(settlement))) = &*told else { panic!("{told:?}") };
    assert_eq!(settlement.transaction, hash);
}

#[test]
fn what_is_mined_and_waits_for_a_second_node_makes_room_at_once_for_others() {
    let mut setup = Setup { urls: 2, block_ms: 1_000_000_000, ..Setup::default() };
    setup.limits.quorum_above = Some(AtomicAmount(1)).into();
    let world = World::new(&setup);
    let first: Vec<_> = (1..=8)
        .map(|number| {
            let told = start(&world, &payment(number));
            world.run_for(1_000);
            told
        })
        .collect();
    let ninth = start(&world, &payment(9));
    world.run_for(1_000);
    assert_eq!(world.chain.borrow().pool.len(), 8, "as many as may be in the air");
    has(&world, 1, RECEIPT, |_, _| Value::Null);
    mine(&world);
    world.run_for(2_000);
    assert_eq!(world.chain.borrow().pool.len(), 1, "{ninth:?}");
    assert!(first.iter().all(|told| told.borrow().is_none()), "{first:?}");
    *world.hook.borrow_mut() = None;
    mine(&world);
    world.run_for(6_000);
    assert!(first.iter().chain([&ninth]).all(is_settled));
}

#[test]
fn after_a_crash_the_same_bytes_are_sent_again() {
    let world = world(1);
    // The node takes it and forgets it.
    world.chain.borrow_mut().forgets = 1;
    let payment = payment(1);
    let told = start(&world, &payment);
    world.run_for(2_000);
    let entries = world.tables.entries();
    world.crash();
    drop(told);
    world.settler();
    world.run_for(5_000);
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    let Sent::Evm(sent) = &entry.sent else { panic!("{entry:?}") };
    assert_eq!(world.chain.borrow().pool[&0].hash, sent.hash);
    mine(&world);
    world.run_for(5_000);
    assert!(matches!(state(&world, &payment), State::Settled(_)));
}

/// When what is open is looked at again, each time, for so many seconds.
fn looks(world: &Rc<World>, seconds: u64) -> (u64, Vec<u64>) {
    let (mut written_at, mut looks) = (0, vec![]);
    for _ in 0..seconds / 5 {
        world.run_for(5_000);
        for entry in world.tables.entries() {
            let Sent::Evm(sent) = entry.sent else { continue };
            written_at = entry.written_at.0;
            looks.extend(sent.look_at.map(|it| it.0).filter(|it| looks.last() != Some(it)));
        }
    }
    (written_at, looks)
}

#[test]
fn what_is_unclear_is_looked_at_more_and_more_seldom_and_when_its_search_is_over() {
    let world = World::new(&Setup::default());
    let payment = Payment::new(1, 1, 100_000_000);
    start(&world, &payment);
    world.run_for(300);
    world.chain.borrow_mut().payer_cancels_in_silence(&payment);
    let (written_at, looks) = looks(&world, 12 * 3_600);
    let over = written_at + 3_600 + 600 + 1;
    assert!(looks.contains(&over), "{over}: {looks:?}");
    for (&at, &next) in looks.iter().zip(&looks[1..]) {
        // The alarm comes when it has to, or up to half a minute later.
        let pause = |looked: u64| ((looked - written_at) / 8).clamp(15, 3_600);
        let is_right = (at..=at + 30).any(|looked| next == looked + pause(looked));
        let is_cut_short = next == over && over - at < 30 + pause(over);
        assert!(is_right || is_cut_short, "{at} {next}");
    }
    assert!(looks.len() > 20, "{looks:?}");
}

/// Has a payer use up what three payments would be made with, each behind our back and
/// before its block.
fn three_failures(world: &Rc<World>, by_permit2: bool) {
    for number in 1..=3 {
        let payment = if by_permit2 {
            Payment::by_permit2(1, number, 9_000)
        } else {
            Payment::new(1, number, 9_000)
        };
        start(world, &payment);
        world.run_for(2_000);
        if by_permit2 {
            world.chain.borrow_mut().uses_bit(&permit2_of(1, number, 0));
        } else {
            world.chain.borrow_mut().payer_cancels_in_silence(&payment);
        }
        mine(world);
        world.run_for(40_000);
        assert!(is_under_way(world, &payment), "nobody tells who has used it");
    }
    assert_eq!(world.chain.borrow().failed(), 3);
}

#[test]
fn what_no_log_could_tell_counts_against_its_payer_and_what_one_could_does_not() {
    for by_permit2 in [true, false] {
        let world = world(1);
        three_failures(&world, by_permit2);
        let fourth = start(&world, &Payment::new(1, 9, 9_000));
        world.run_for(2_000);
        let is_refused = matches!(&*fourth.borrow(), Some(Some(Outcome::Failed { .. })));
        assert_eq!(is_refused, by_permit2, "{fourth:?}");
    }
}
