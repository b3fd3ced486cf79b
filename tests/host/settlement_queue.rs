//! Whose payment goes out, and when, where few can: in most of these, no block comes
//! before the test says so.

use std::rc::Rc;

use edge402::protocol::Reason;
use edge402::settlement::Outcome;
use serde_json::json;

use crate::sim::chain::Code;
use crate::sim::{AMOUNT, Answer, Fault, Handle, Payment, Setup, World, pay_to, payer};

/// How many transactions may be in the air, and how many of them with payers that go
/// alone.
const IN_AIR_MAX: usize = 8;
const LONE_IN_AIR_MAX: usize = IN_AIR_MAX / 2;

/// How many payments of one payer may wait or be in the air.
const PAYER_MAX: u8 = 64;

/// For how long buyers wait for what becomes of a payment, in milliseconds.
const PATIENCE: u64 = 25_000;

pub type Told = Handle<Option<Outcome>>;

/// A chain without blocks, on which payments share transactions or do not.
fn world(has_multicall: bool) -> Rc<World> {
    World::new(&Setup { block_ms: 1_000_000_000, has_multicall, ..Setup::default() })
}

/// Claims a payment, and asks for its settlement.
pub fn start(world: &Rc<World>, payment: &Payment) -> Told {
    let claim = world.claim_request(payment, "a");
    let (settler, claimed) = (world.settler(), claim.clone());
    world.start(async move { settler.claim(&claimed).await.unwrap() });
    world.run_for(1);
    world.start_settle(payment, &claim)
}

fn start_all<'a>(world: &Rc<World>, payments: impl IntoIterator<Item = &'a Payment>) -> Vec<Told> {
    payments.into_iter().map(|it| start(world, it)).collect()
}

fn of_payers(payers: std::ops::RangeInclusive<u8>) -> Vec<Payment> {
    payers.map(|number| Payment::new(number, 1, 900)).collect()
}

pub fn mine(world: &World) {
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
}

/// Blocks come, one every two seconds.
fn mine_for(world: &World, blocks: usize) {
    for _ in 0..blocks {
        mine(world);
        world.run_for(2_000);
    }
}

fn in_air(world: &World) -> usize {
    world.chain.borrow().pool.len()
}

fn is_waiting(told: &Told) -> bool {
    told.borrow().is_none()
}

pub fn is_settled(told: &Told) -> bool {
    matches!(&*told.borrow(), Some(Some(Outcome::Settled(_))))
}

fn is_unavailable(told: &Told) -> bool {
    matches!(&*told.borrow(), Some(Some(Outcome::Unavailable)))
}

/// Sends as many transactions as may be in the air.
fn fill_the_air(world: &Rc<World>) -> Vec<Told> {
    let told = start_all(world, &of_payers(101..=108));
    world.run_for(2_000);
    assert_eq!(in_air(world), IN_AIR_MAX);
    told
}

#[test]
fn a_payment_whose_buyer_has_left_holds_up_none_that_came_later() {
    let world = world(false);
    let first = fill_the_air(&world);
    let early = [Payment::new(20, 1, 900), Payment::new(20, 2, 900), Payment::new(22, 1, 900)];
    let late = [Payment::new(20, 3, 900), Payment::new(21, 1, 900)];
    let early_told = start_all(&world, &early);
    world.run_for(10_000);
    let late_told = start_all(&world, &late);
    world.run_for(PATIENCE - 9_000);
    assert!(early_told.iter().all(is_unavailable), "{early_told:?}");
    assert!(late_told.iter().all(is_waiting), "{late_told:?}");
    assert_eq!(in_air(&world), IN_AIR_MAX);
    mine_for(&world, 3);
    assert!(late_told.iter().all(is_settled), "{late_told:?}");
    assert!(first.iter().all(|it| !is_waiting(it)));
    let chain = world.chain.borrow();
    assert_eq!(chain.transfers.len(), IN_AIR_MAX + late.len());
    assert!(early.iter().all(|it| chain.transfers_of(it).is_empty()));
}

#[test]
fn payments_whose_buyers_have_left_leave_their_payer_room_for_others() {
    let world = world(false);
    let payment = |number| Payment::new(1, number, 900);
    let told = start_all(&world, &(1..=PAYER_MAX).map(payment).collect::<Vec<_>>());
    world.run_for(2_000);
    assert!(told.iter().all(is_waiting));
    let refused = start(&world, &payment(PAYER_MAX + 1));
    world.run_for(100);
    assert!(is_unavailable(&refused), "{refused:?}");
    world.run_for(PATIENCE);
    assert!(!told.iter().any(is_waiting));
    let another = start(&world, &payment(PAYER_MAX + 2));
    world.run_for(5_000);
    assert!(is_waiting(&another), "{another:?}");
}

#[test]
fn a_buyer_that_leaves_what_was_taken_apart_takes_nobody_along() {
    let world = world(true);
    // Nobody shares a transaction, for no node tells who has code.
    world.chain.borrow_mut().runs_creation = false;
    *world.hook.borrow_mut() =
        Some(Box::new(|_, method, _| (method == "eth_getCode").then_some(Err((-32_601, "no")))));
    let (early, late) = (of_payers(1..=11), Payment::new(12, 1, 900));
    // While the node takes three seconds for the first, a batch gathers.
    world.settler();
    world.run_for(1_000);
    world.faults.borrow_mut().push_back(Fault::Slow);
    let first = start(&world, &Payment::new(100, 1, 900));
    let early_told = start_all(&world, &early);
    world.run_for(2_500);
    assert_eq!(in_air(&world), 0);
    let late_told = start(&world, &late);
    world.run_for(PATIENCE - 1_500);
    assert_eq!(in_air(&world), IN_AIR_MAX);
    assert!(!is_waiting(&first));
    assert!(is_waiting(&late_told), "{late_told:?}");
    assert_eq!(early_told.iter().filter(|it| is_unavailable(it)).count(), 12 - IN_AIR_MAX);
    mine_for(&world, 2);
    assert!(!is_unavailable(&late_told), "{late_told:?}");
    let chain = world.chain.borrow();
    assert_eq!((chain.transfers.len(), chain.transfers_of(&late).len()), (IN_AIR_MAX + 1, 1));
}

#[test]
fn what_could_not_share_goes_out_before_what_came_after_it() {
    let mut setup = Setup { block_ms: 1_000_000_000, ..Setup::default() };
    (setup.limits.batch_max, setup.limits.crowd_max) = (2, 2);
    let world = World::new(&setup);
    // No log could tell two of these apart, so each batch of two is parted.
    let payments: Vec<_> = (1..=12).map(|number| Payment::by_permit2(1, number, 900)).collect();
    start_all(&world, &payments);
    world.run_for(5_000);
    let chain = world.chain.borrow();
    let sent: Vec<_> = chain.pool.values().map(|it| it.transaction.data.clone()).collect();
    let first: Vec<_> = payments[..IN_AIR_MAX].iter().map(|it| it.evm().call().data).collect();
    assert!(sent == first, "not in their order");
}

#[test]
fn those_who_go_alone_leave_the_others_half_of_what_may_be_in_the_air() {
    let world = world(true);
    for number in 1..=12 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Honest);
    }
    let lone = start_all(&world, &of_payers(1..=12));
    world.run_for(5_000);
    assert_eq!(in_air(&world), LONE_IN_AIR_MAX);
    start(&world, &Payment::new(20, 1, 900));
    world.run_for(2_000);
    assert_eq!(in_air(&world), LONE_IN_AIR_MAX + 1);
    mine_for(&world, 4);
    assert!(lone.iter().all(is_settled), "{lone:?}");
    // So do those who had code and have none any more.
    world.chain.borrow_mut().codes.clear();
    start_all(&world, &(1..=12).map(|it| Payment::new(it, 2, 900)).collect::<Vec<_>>());
    world.run_for(5_000);
    assert_eq!(in_air(&world), LONE_IN_AIR_MAX);
}

#[test]
fn those_who_go_alone_are_no_more_than_may_be_in_the_air_beside_others() {
    let world = world(false);
    for number in 1..=4 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Honest);
    }
    let told = start_all(&world, &of_payers(1..=4));
    world.run_for(2_000);
    mine_for(&world, 2);
    assert!(told.iter().all(is_settled), "{told:?}");
    fill_the_air(&world);
    // They are known to go alone.
    start_all(&world, &[1, 2, 3, 4].map(|number| Payment::new(number, 2, 900)));
    world.run_for(5_000);
    assert_eq!(in_air(&world), IN_AIR_MAX);
}

/// Has these payers buy at one moment, each with the payment of this number; how many
/// payments the transaction of the last one carries.
fn shared_with_last(world: &Rc<World>, payers: &[u8], number: u8) -> usize {
    let payments: Vec<_> = payers.iter().map(|it| Payment::new(*it, number, 90_000)).collect();
    for told in start_all(world, &payments) {
        assert!(matches!(world.take(&told), Some(Outcome::Settled(_))));
    }
    let chain = world.chain.borrow();
    let transaction = &chain.transfers_of(payments.last().unwrap())[0].transaction;
    chain.transfers.iter().filter(|it| it.transaction == *transaction).count()
}

#[test]
fn whoever_had_code_goes_alone_for_an_hour_whoever_else_has_it() {
    let world = World::new(&Setup { has_sync: true, ..Setup::default() });
    for number in [1, 2] {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Honest);
        shared_with_last(&world, &[number], 1);
    }
    world.chain.borrow_mut().codes.clear();
    let crowd: Vec<_> = (10..=30).chain([1]).collect();
    assert_eq!(shared_with_last(&world, &crowd, 2), 1);
    world.run_for(3_600_000);
    assert!(shared_with_last(&world, &crowd, 3) > 1);
}

#[test]
fn what_one_node_takes_and_forgets_another_has_as_well() {
    for urls in [2, 3] {
        let setup = Setup { urls, block_ms: 100, ..Setup::default() };
        let world = World::new(&setup);
        *world.hook.borrow_mut() = Some(Box::new(|url, method, _| {
            let forgets = url == "https://node0.test/" && method == "eth_sendRawTransaction";
            forgets.then(|| Ok(json!(format!("0x{}", "ab".repeat(32)))))
        }));
        let told = start(&world, &Payment::new(1, 1, 900));
        world.run_for(3_000);
        assert!(is_settled(&told), "{urls}: {told:?}");
    }
}

#[test]
fn what_one_node_refuses_and_another_has_taken_is_in_the_air() {
    let world = World::new(&Setup { urls: 2, block_ms: 4_000, ..Setup::default() });
    *world.hook.borrow_mut() = Some(Box::new(|url, method, _| {
        let refuses = url == "https://node0.test/" && method == "eth_sendRawTransaction";
        refuses.then_some(Err((-32_000, "insufficient funds for gas * price + value")))
    }));
    let payment = Payment::new(1, 1, 900);
    let told = start(&world, &payment);
    world.run_for(2_000);
    assert!(is_waiting(&told), "{told:?}");
    world.run_for(8_000);
    assert!(is_settled(&told), "{told:?}");
    let chain = world.chain.borrow();
    assert_eq!((chain.count(), chain.transfers_of(&payment).len()), (1, 1));
}

#[test]
fn what_all_nodes_refuse_is_in_no_pool() {
    let world = World::new(&Setup { urls: 2, block_ms: 4_000, ..Setup::default() });
    *world.hook.borrow_mut() = Some(Box::new(|_, method, _| {
        (method == "eth_sendRawTransaction")
            .then_some(Err((-32_000, "insufficient funds for gas * price + value")))
    }));
    let payment = Payment::new(1, 1, 900);
    let told = start(&world, &payment);
    world.run_for(2_000);
    let reason = Reason::UnexpectedSettleError;
    let failed = Some(Some(Outcome::Failed { reason, transaction: None }));
    assert_eq!(*told.borrow(), failed);
    // The payment is as good as before.
    *world.hook.borrow_mut() = None;
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

#[test]
fn what_has_no_time_left_after_its_queue_is_not_sent() {
    let world = World::new(&Setup::default());
    world.faults.borrow_mut().push_back(Fault::Slow);
    let told = start(&world, &Payment::new(1, 1, 8));
    let now = world.take(&told);
    assert!(
        matches!(now, Some(Outcome::Failed { reason: Reason::EvmValidBefore, transaction: None })),
        "{now:?}"
    );
    world.run_for(10_000);
    assert_eq!(world.chain.borrow().count(), 0);
    // One that has as much left as it needs is.
    world.faults.borrow_mut().push_back(Fault::Slow);
    let end = world.clock.now().0 + 12;
    let longer = Payment::within(pay_to(), 2, 1, (0, end));
    assert!(matches!(world.take(&start(&world, &longer)), Some(Outcome::Settled(_))));
}

#[test]
fn a_pump_that_comes_back_leaves_the_work_to_the_one_in_its_place() {
    for pause in (64_600..65_000).step_by(50) {
        let world = world(false);
        world.settler();
        world.run_for(1_000);
        // What it has just asked for comes after more than a minute.
        world.tables.disk_ms.set(65_000);
        let first = start(&world, &Payment::new(100, 1, 900));
        world.run_for(100);
        world.tables.disk_ms.set(0);
        world.run_for(pause);
        assert!(is_unavailable(&first));
        // Two at work would send one more than may be in the air.
        start_all(&world, &of_payers(1..=20));
        world.run_for(5_000);
        assert_eq!(in_air(&world), IN_AIR_MAX, "{pause}");
    }
}

#[test]
fn whoever_is_to_share_with_those_who_wait_asks_nothing_ahead() {
    let world = world(true);
    for number in 101..=108 {
        start(&world, &Payment::new(number, 1, 900));
        world.run_for(3_000);
    }
    assert_eq!(in_air(&world), IN_AIR_MAX);
    start_all(&world, &of_payers(1..=5));
    world.run_for(5_000);
    let simulations = world.chain.borrow().simulations.get();
    // Nor does one more, who comes when somebody has just come.
    let buyers = [10, 11].map(|number| {
        let buyer = world.start_buy(&Payment::new(number, 1, 900), "a");
        world.run_for(500);
        assert_eq!(world.chain.borrow().simulations.get(), simulations, "{number}");
        buyer
    });
    mine_for(&world, 2);
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert_eq!(world.chain.borrow().shares().last(), Some(&7));
}

#[test]
fn ordinary_transactions_take_no_place_of_those_who_go_alone() {
    let world = world(false);
    world.chain.borrow_mut().codes.insert(payer(20).address(), Code::Honest);
    start(&world, &Payment::new(20, 1, 900));
    world.run_for(2_000);
    mine_for(&world, 2);
    start_all(&world, &of_payers(1..=5));
    world.run_for(2_000);
    start(&world, &Payment::new(20, 2, 900));
    world.run_for(2_000);
    assert_eq!(in_air(&world), 6);
}

#[test]
fn whoever_was_refused_for_want_of_money_shares_with_others_when_it_is_there() {
    let world = World::new(&Setup { has_sync: true, ..Setup::default() });
    let account = payer(1).address();
    world.chain.borrow_mut().balances.insert(account, 0);
    let refused = world.buy_now(&Payment::new(1, 1, 90_000), "a");
    assert_eq!(refused, Answer::Refused(Reason::InsufficientFunds));
    world.chain.borrow_mut().balances.clear();
    let crowd: Vec<_> = (10..=30).chain([1]).collect();
    assert!(shared_with_last(&world, &crowd, 2) > 1);
}

#[test]
fn whatever_comes_after_a_payment_that_waits_for_money_waits_as_well() {
    let world = world(true);
    let account = payer(1).address();
    world.chain.borrow_mut().balances.insert(account, 2 * AMOUNT);
    let payments: Vec<_> = (1..=5).map(|number| Payment::new(1, number, 900)).collect();
    let first = start(&world, &payments[0]);
    world.run_for(2_000);
    // Two are paid for, and to the simulation of the other three so are two of those.
    let told = start_all(&world, &payments[1..]);
    world.run_for(2_000);
    assert_eq!(in_air(&world), 2);
    assert!(told.iter().all(is_waiting), "{told:?}");
    world.chain.borrow_mut().balances.insert(account, 5 * AMOUNT);
    mine_for(&world, 3);
    assert!(is_settled(&first) && told.iter().all(is_settled), "{told:?}");
}

#[test]
fn of_two_that_share_one_may_burn_the_gas_and_the_other_is_settled() {
    let world = world(true);
    world.settler();
    world.run_for(1_000);
    world.faults.borrow_mut().push_back(Fault::Slow);
    start(&world, &Payment::new(100, 1, 900));
    let [good, bad] = [1, 2].map(|number| start(&world, &Payment::new(number, 1, 900)));
    world.run_for(5_000);
    assert_eq!(world.chain.borrow().waiting_shares(), [1, 2]);
    world.chain.borrow_mut().codes.insert(payer(2).address(), Code::Burns);
    mine_for(&world, 4);
    assert!(is_settled(&good), "{good:?}");
    assert!(!is_waiting(&bad) && !is_settled(&bad), "{bad:?}");
}

#[test]
fn where_no_gas_may_be_burnt_those_without_code_are_sold_to() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(0);
    let world = World::new(&setup);
    assert!(world.buy_now(&Payment::new(1, 1, 900), "a").is_delivery());
    world.chain.borrow_mut().codes.insert(payer(2).address(), Code::Honest);
    assert_eq!(world.buy_now(&Payment::new(2, 1, 900), "a"), Answer::Unavailable);
}

#[test]
fn whoever_takes_more_gas_than_a_payment_does_is_refused() {
    let world = World::new(&Setup::default());
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Honest);
    *world.hook.borrow_mut() =
        Some(Box::new(|_, method, _| (method == "eth_estimateGas").then(|| Ok(json!("0x4c4b40")))));
    let payment = Payment::new(1, 1, 900);
    let answer = world.buy_now(&payment, "a");
    assert_eq!(answer, Answer::Refused(Reason::EvmSimulationFailed));
    assert_eq!(world.chain.borrow().count(), 0);
    *world.hook.borrow_mut() = None;
    assert!(world.buy_now(&payment, "a").is_delivery());
}

/// Has a crowd share a transaction that one of them spoils, and returns how many
/// payments each of those carries that bring the others what they paid for.
fn spoil(world: &Rc<World>, crowd: std::ops::RangeInclusive<u8>) -> Vec<usize> {
    let bad = *crowd.end();
    let shared = crowd.len() - 1;
    start_all(world, &crowd.map(|it| Payment::new(it, 1, 90_000)).collect::<Vec<_>>());
    world.run_for(2_000);
    assert_eq!(world.chain.borrow().waiting_shares(), [1, shared]);
    world.chain.borrow_mut().codes.insert(payer(bad).address(), Code::Burns);
    mine_for(world, 1);
    let again = world.chain.borrow().waiting_shares();
    mine_for(world, 4);
    again
}

/// How many payments the largest transaction carries by which a crowd of forty goes out.
fn largest_of_forty(world: &Rc<World>, number: u8) -> usize {
    start_all(world, &(101..=140).map(|it| Payment::new(it, number, 90_000)).collect::<Vec<_>>());
    world.run_for(3_000);
    let largest = world.chain.borrow().waiting_shares().into_iter().max();
    mine_for(world, 4);
    largest.unwrap()
}

#[test]
fn transactions_are_half_as_large_for_an_hour_after_each_that_was_spoiled() {
    let mut setup = Setup { block_ms: 1_000_000_000, ..Setup::default() };
    (setup.limits.batch_max, setup.limits.crowd_max) = (40, 40);
    let world = World::new(&setup);
    // The next hour is not near.
    let into_the_hour = world.clock.now().0 % 3_600;
    world.run_for(1_000 * (3_700 - into_the_hour));
    assert_eq!(largest_of_forty(&world, 1), 39);
    spoil(&world, 1..=10);
    spoil(&world, 11..=20);
    assert_eq!(largest_of_forty(&world, 2), 10);
    world.run_for(3_600_000);
    assert_eq!(largest_of_forty(&world, 3), 39);
}

#[test]
fn what_was_spoiled_goes_out_again_in_as_many_parts_as_may_be_in_the_air() {
    let mut setup = Setup { block_ms: 1_000_000_000, ..Setup::default() };
    setup.limits.batch_max = 40;
    let again = spoil(&World::new(&setup), 1..=34);
    assert_eq!(again.iter().max(), Some(&4), "{again:?}");
    assert_eq!(again.len(), IN_AIR_MAX, "{again:?}");
}
