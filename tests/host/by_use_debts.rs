//! What is owed for what was sold by use: collected, lost, and held against whom.

use std::rc::Rc;

use crate::by_use::{A_WHILE, ALL, WORDS, buyer, moved, payment, settlement, state, world};
use crate::by_use_leftovers::begin_a_day;
use crate::sim::chain::Code;
use crate::sim::time::START_MS;
use crate::sim::{AMOUNT, Answer, Payment, Setup, Temper, World, payer, permit2_of};
use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::rpc::TransportError;
use edge402::settlement::State;
use serde_json::{Value, json};

/// What keeps us from collecting, of which the payer can do nothing.
type Hindrance = fn(&Rc<World>, bool);

fn nodes_are_silent(world: &Rc<World>, is_on: bool) {
    let silent: Temper = Box::new(|_, _| Some(Err(TransportError::Unreachable)));
    *world.temper.borrow_mut() = is_on.then_some(silent);
}

fn the_key_has_no_coin(world: &Rc<World>, is_on: bool) {
    world.chain.borrow_mut().relayer_balance = if is_on { 0 } else { 10_u128.pow(18) };
}

#[test]
fn a_payer_in_debt_is_refused_until_the_debt_is_paid() {
    let world = world();
    let (first, second, third) = (payment(1, 1), payment(1, 2), payment(1, 3));
    let account = payer(1).address();
    assert_eq!(buyer(&world, &first, &[WORDS, ALL]).now(), Answer::Counted);
    // Between the first byte and the settlement the account is emptied.
    world.chain.borrow_mut().balances.insert(account, 0);
    world.run_for(20_000);
    assert!(matches!(state(&world, &first), State::Owed { .. }));
    let owing = Answer::Refused(Reason::UnpaidDebt);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), owing);
    assert_eq!(world.asked.get(), 1);
    // Somebody else is not.
    assert_eq!(buyer(&world, &payment(2, 9), &[ALL]).now(), Answer::Counted);
    // A restart forgets nothing.
    world.crash();
    assert_eq!(buyer(&world, &second, &[ALL]).now(), owing);
    // When there is money again, the debt comes first.
    world.chain.borrow_mut().balances.insert(account, 2 * AMOUNT);
    assert_eq!(buyer(&world, &third, &[ALL]).now(), Answer::Counted);
    assert_eq!(moved(&world, &first), [AMOUNT]);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &third), [AMOUNT]);
    assert_eq!(moved(&world, &second), []);
}

/// How what waits stands.
fn standing(world: &Rc<World>) -> Vec<String> {
    let settler = world.settler();
    let standing = world.wait(async move { settler.standing().await.unwrap() });
    standing.waiting.into_iter().map(|it| it.state).collect()
}

#[test]
fn what_is_lost_for_good_keeps_nobody_else_waiting() {
    let world = world();
    for number in 1..=6 {
        assert_eq!(buyer(&world, &payment(number, 1), &[ALL]).now(), Answer::Counted);
        world.chain.borrow_mut().balances.insert(payer(number).address(), 0);
    }
    world.run_for(20_000);
    let another = || buyer(&world, &payment(7, 1), &[ALL]).now();
    assert_ne!(another(), Answer::Counted, "as much is at stake as may be");
    assert_eq!(standing(&world), ["owed"; 6]);
    // The signatures end, with nothing left to collect.
    world.run_for(1_000_000);
    let fresh = |payer| buyer(&world, &Payment::by_use(payer, 2, 3_000), &[ALL]);
    assert_eq!(fresh(7).now(), Answer::Counted);
    assert_eq!(fresh(1).now(), Answer::Refused(Reason::UnpaidDebt));
    world.run_for(A_WHILE);
    assert_eq!(standing(&world), ["lost"; 6]);
    // As little after a restart.
    world.crash();
    assert_eq!(fresh(8).now(), Answer::Counted);
}

#[test]
fn what_is_unsettled_on_one_route_keeps_nobody_from_another() {
    let world = World::new(&Setup { block_ms: 20_000, ..Setup::default() });
    for number in 1..=6 {
        assert_eq!(buyer(&world, &payment(number, 1), &[WORDS, ALL]).now(), Answer::Counted);
    }
    let seventh = |number, route: &str| {
        let payment = payment(7, number);
        let mut buyer = buyer(&world, &payment, &[ALL]);
        if let Some((_, metered)) = &mut buyer.by_use {
            metered.route = route.into();
        }
        buyer.now()
    };
    assert_eq!(seventh(1, "/model"), Answer::Unavailable);
    assert_eq!(seventh(2, "/other"), Answer::Counted);
}

#[test]
fn what_is_on_its_way_is_counted_once() {
    let world = World::new(&Setup { block_ms: 20_000, ..Setup::default() });
    world.chain.borrow_mut().balances.insert(payer(1).address(), 2 * AMOUNT);
    let (first, second, third) = (payment(1, 1), payment(1, 2), payment(1, 3));
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    while !matches!(state(&world, &first), State::Submitted { .. }) {
        world.run_for(100);
    }
    assert_eq!(moved(&world, &first), [], "not landed yet");
    // There is money for one more, and for no third one.
    assert_eq!(buyer(&world, &second, &[WORDS, ALL]).now(), Answer::Counted);
    assert_ne!(buyer(&world, &third, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!((moved(&world, &first), moved(&world, &second)), (vec![AMOUNT], vec![AMOUNT]));
}

#[test]
fn what_is_being_settled_is_no_debt() {
    let world = world();
    let (first, second) = (payment(1, 1), payment(1, 2));
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    while matches!(state(&world, &first), State::Metered { .. }) {
        world.run_for(1);
    }
    assert!(matches!(state(&world, &first), State::Owed { .. }), "not sent yet");
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!((moved(&world, &first), moved(&world, &second)), (vec![AMOUNT], vec![AMOUNT]));
}

#[test]
fn what_is_owed_is_tried_again_by_itself() {
    let world = world();
    let first = payment(1, 1);
    let account = payer(1).address();
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    world.chain.borrow_mut().balances.insert(account, 0);
    world.run_for(20_000);
    assert!(matches!(state(&world, &first), State::Owed { .. }));
    world.crash();
    world.chain.borrow_mut().balances.insert(account, AMOUNT);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &first), [AMOUNT]);
    assert_eq!(settlement(&world, &first).amount, AtomicAmount(AMOUNT));
}

#[test]
fn a_debt_that_nobody_pays_is_kept_for_thirty_days() {
    let world = World::new(&Setup { block_ms: 20_000, ..Setup::default() });
    let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 40 * 86_400));
    let account = payer(1).address();
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    world.chain.borrow_mut().balances.insert(account, 0);
    // What was signed has ended, so that it can't be paid any more.
    world.run_for(1_000_000);
    world.chain.borrow_mut().balances.insert(account, 9 * AMOUNT);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
    world.run_for(29 * 86_400_000);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
    let told = world.log.borrow().iter().filter(|line| line.contains("are owed")).count();
    assert!(told <= 4, "{told} lines");
    world.run_for(86_400_000);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!((moved(&world, &first), moved(&world, &second)), (vec![], vec![AMOUNT]));
}

#[test]
fn a_debt_whose_payer_burns_gas_is_tried_a_few_times_an_hour() {
    let world = world();
    let payment = Payment::by_use(1, 1, 3_500);
    assert_eq!(buyer(&world, &payment, &[ALL]).now(), Answer::Counted);
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Burns);
    world.run_for(3_300_000);
    assert!(matches!(state(&world, &payment), State::Owed { .. }));
    let (count, burnt) = (world.chain.borrow().count(), world.chain.borrow().burnt());
    // After 0, 15, 30, 60 seconds and so on, and then each quarter of an hour.
    assert!((8..=12).contains(&count) && burnt > 0, "{count} transactions, {burnt} gas");
}

#[test]
fn what_we_did_not_collect_is_held_against_nobody() {
    for hindrance in [nodes_are_silent as Hindrance, the_key_has_no_coin] {
        let world = world();
        let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 3_000));
        assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
        hindrance(&world, true);
        // What was signed has ended.
        world.run_for(905_000);
        hindrance(&world, false);
        assert_eq!(moved(&world, &first), []);
        assert_eq!(settlement(&world, &first).amount, AtomicAmount(0));
        let told = world.log.borrow().iter().filter(|it| it.contains("written off")).count();
        assert_eq!(told, 1, "{:?}", world.log.borrow());
        assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &second), [AMOUNT]);
    }
}

/// A world in which so many wei may be spent in a day, and six payers who buy at
/// the same moment, with what each got.
fn six_at_once(daily_spend: u128) -> (Rc<World>, Vec<(Payment, Answer)>) {
    let mut setup = Setup::default();
    setup.limits.daily_spend = Some(daily_spend);
    let world = World::new(&setup);
    let payments: Vec<_> = (1..7).map(|n| payment(n, n)).collect();
    let handles: Vec<_> =
        payments.iter().map(|it| buyer(&world, it, &[WORDS, ALL]).start()).collect();
    let answers: Vec<_> = handles.iter().map(|it| world.take(it)).collect();
    (world, payments.into_iter().zip(answers).collect())
}

#[test]
fn no_more_goes_out_than_the_day_has_fees_for() {
    // Enough for some of six transfers.
    let (world, answers) = six_at_once(1_000_000_000_000_000);
    let got = answers.iter().filter(|(_, it)| *it == Answer::Counted).count();
    assert!((2..6).contains(&got), "{answers:?}");
    world.run_for(A_WHILE);
    for (payment, answer) in &answers {
        let charged = if *answer == Answer::Counted { vec![AMOUNT] } else { vec![] };
        assert_eq!(moved(&world, payment), charged);
    }
    assert_eq!(world.deliveries.borrow().len(), got);
    // What was set aside is free again, less what was spent.
    assert_eq!(buyer(&world, &payment(7, 7), &[ALL]).now(), Answer::Counted);
}

#[test]
fn what_is_set_aside_survives_a_restart_and_is_nobody_elses() {
    let (world, answers) = six_at_once(1_000_000_000_000_000);
    let got = answers.iter().filter(|(_, it)| *it == Answer::Counted).count();
    world.crash();
    assert_eq!(buyer(&world, &payment(7, 7), &[ALL]).now(), Answer::Unavailable);
    assert_eq!(world.buy_now(&Payment::new(8, 8, 600), "a"), Answer::Unavailable);
    world.run_for(A_WHILE);
    assert_eq!(world.chain.borrow().transfers.len(), got);
}

#[test]
fn for_what_its_payer_keeps_from_us_no_fees_are_set_aside() {
    let (world, answers) = six_at_once(1_000_000_000_000_000);
    for number in 1..7 {
        world.chain.borrow_mut().balances.insert(payer(number).address(), 0);
    }
    world.run_for(20_000);
    for (payment, answer) in &answers {
        assert!(*answer != Answer::Counted || matches!(state(&world, payment), State::Owed { .. }));
    }
    for crashes in [false, true] {
        if crashes {
            world.crash();
        }
        let number = 8 + u8::from(crashes);
        assert!(world.buy_now(&Payment::new(number, number, 600), "a").is_delivery());
        world.run_for(40_000);
    }
}

/// Fees that are more than may be spent in a day.
fn fees_are_high(world: &Rc<World>, is_on: bool) {
    let asker = Rc::clone(world);
    let high = move |_: &str, method: &str, params: &Value| {
        if method != "eth_feeHistory" {
            return None;
        }
        let now = asker.clock.now_ms();
        let mut history = asker.chain.borrow_mut().answer(method, params, now).unwrap();
        for base in history["baseFeePerGas"].as_array_mut().unwrap() {
            *base = json!("0x28fa6ae00");
        }
        Some(Ok(history))
    };
    *world.hook.borrow_mut() = if is_on { Some(Box::new(high)) } else { None };
}

#[test]
fn who_burns_gas_is_to_blame_though_no_more_may_be_burnt() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(400_000);
    let world = World::new(&setup);
    let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 100_000));
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Burns);
    world.run_for(1_000_000);
    assert!(world.chain.borrow().burnt() > 0);
    assert!(world.log.borrow().iter().any(|line| line.contains("failed_gas in NETWORKS")));
    // Refused as one whose payments fail, and after that hour for what is owed.
    world.run_for(3_600_000);
    world.chain.borrow_mut().codes.clear();
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
}

#[test]
fn no_goods_go_out_to_a_new_account_for_which_no_gas_is_left() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(800_000);
    let world = World::new(&setup);
    for number in 20..40 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
        world.buy_now(&Payment::new(number, number, 600), "a");
    }
    assert!(world.chain.borrow().burnt() > 200_000);
    let before = world.deliveries.borrow().len();
    // Nothing is known of him but what the chain says of his code.
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Honest);
    assert_eq!(buyer(&world, &payment(1, 1), &[ALL]).now(), Answer::Unavailable);
    assert_eq!(world.deliveries.borrow().len(), before);
    // Whoever has no code is sold to as ever.
    assert_eq!(buyer(&world, &payment(2, 1), &[ALL]).now(), Answer::Counted);
}

#[test]
fn what_strangers_gas_kept_us_from_collecting_is_held_against_nobody() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(400_000);
    let world = World::new(&setup);
    let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 100_000));
    let account = payer(1).address();
    world.chain.borrow_mut().codes.insert(account, Code::Honest);
    assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
    // The payer is short for a moment, and can be blamed for that.
    world.chain.borrow_mut().balances.insert(account, 0);
    world.run_for(10_000);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
    // Strangers burn the hour's gas before there is money again.
    for number in 20..30 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
        world.buy_now(&Payment::new(number, number, 600), "a");
    }
    world.chain.borrow_mut().balances.insert(account, 9 * AMOUNT);
    // What was signed has ended.
    world.run_for(905_000);
    assert_eq!(moved(&world, &first), []);
    assert_eq!(settlement(&world, &first).amount, AtomicAmount(0));
    // The next hour.
    world.run_for(3_600_000);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &second), [AMOUNT]);
}

#[test]
fn what_we_did_not_collect_went_unpaid_all_the_same() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(400_000);
    let world = World::new(&setup);
    begin_a_day(&world);
    let burn_the_hours_gas = |from: u8| {
        for number in from..from + 5 {
            world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
            world.buy_now(&Payment::new(number, number, 200_000), "a");
        }
    };
    let goes_out = |payer: u8, number: u8| {
        let passed = (world.clock.now_ms() - START_MS) / 1_000;
        let payment = Payment::by_use(payer, number, passed + 900);
        buyer(&world, &payment, &[ALL]).now()
    };
    // Four of one payer's, with code: of which nothing is collected, because others
    // have burnt the hour's gas meanwhile.
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Honest);
    for number in 1..=4 {
        assert_eq!(goes_out(1, number), Answer::Counted, "{number}");
    }
    world.chain.borrow_mut().balances.insert(payer(1).address(), 0);
    world.run_for(10_000);
    burn_the_hours_gas(20);
    world.chain.borrow_mut().balances.insert(payer(1).address(), 9 * AMOUNT);
    world.run_for(905_000);
    let written_off = world.log.borrow().iter().filter(|it| it.contains("written off")).count();
    assert_eq!(written_off, 4);
    // That is what one payer may have unpaid in a day, whoever is to blame.
    world.run_for(3_600_000);
    assert_eq!(goes_out(1, 5), Answer::Unavailable);
    assert_eq!(goes_out(2, 1), Answer::Counted);
    world.run_for(86_400_000);
    assert_eq!(goes_out(1, 6), Answer::Counted);
}

#[test]
fn what_we_did_not_collect_in_the_end_is_held_against_nobody() {
    for hindrance in [the_key_has_no_coin as Hindrance, fees_are_high] {
        let mut setup = Setup::default();
        setup.limits.daily_spend = Some(1_000_000_000_000_000);
        let world = World::new(&setup);
        let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 100_000));
        let account = payer(1).address();
        assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
        // The payer is short for some seconds, and can be blamed for that.
        world.chain.borrow_mut().balances.insert(account, 0);
        world.run_for(10_000);
        assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
        world.chain.borrow_mut().balances.insert(account, 9 * AMOUNT);
        hindrance(&world, true);
        // What was signed has ended.
        world.run_for(905_000);
        hindrance(&world, false);
        assert_eq!(moved(&world, &first), []);
        assert_eq!(settlement(&world, &first).amount, AtomicAmount(0));
        assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &second), [AMOUNT]);
    }
}

#[test]
fn what_the_daily_limit_left_uncollected_is_held_against_nobody() {
    let (world, answers) = six_at_once(2_000_000_000_000_000);
    let (payments, answers): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    assert_eq!(answers, vec![Answer::Counted; 6]);
    // Between the first byte and the settlement fees rise.
    fees_are_high(&world, true);
    world.run_for(800_000);
    let is_unpaid = |n: &u8| moved(&world, &payments[usize::from(*n) - 1]).is_empty();
    let unpaid: Vec<_> = (1..7).filter(is_unpaid).collect();
    assert!((1..6).contains(&unpaid.len()), "{unpaid:?}");
    // The next day.
    fees_are_high(&world, false);
    world.run_for(86_400_000);
    let again = Payment::by_use(unpaid[0], 9, 2 * 86_400);
    assert_eq!(buyer(&world, &again, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &again), [AMOUNT]);
}

#[test]
fn a_payer_who_cancels_what_is_owed_is_to_blame() {
    let world = world();
    let (first, second) = (payment(1, 1), Payment::by_use(1, 2, 3_000));
    assert_eq!(buyer(&world, &first, &[WORDS, ALL]).now(), Answer::Counted);
    world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0));
    world.run_for(20_000);
    assert_eq!(
        buyer(&world, &second, &[ALL]).now(),
        Answer::Refused(Reason::UnpaidDebt),
        "{:?}",
        world.log.borrow()
    );
    world.run_for(1_000_000);
    assert_eq!(buyer(&world, &second, &[ALL]).now(), Answer::Refused(Reason::UnpaidDebt));
}

#[test]
fn what_nobody_else_could_have_settled_is_unpaid_when_its_time_is_over() {
    for forgets in [false, true] {
        let world = world();
        let first = payment(1, 1);
        assert_eq!(buyer(&world, &first, &[ALL]).now(), Answer::Counted);
        while world.chain.borrow().pool.is_empty() {
            world.run_for(100);
        }
        // What was sent fails, and no log says by whom the nonce was used.
        world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0));
        world.run_for(60_000);
        assert!(matches!(state(&world, &first), State::Submitted { .. }));
        // What a block has shown once counts, whatever nodes still know of it.
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
            (forgets && method == "eth_getTransactionReceipt").then_some(Ok(Value::Null))
        }));
        world.run_for(7_200_000);
        assert!(world.tables.entries().is_empty());
        let record = world.tables.record(&first.id);
        let is_open = |it: &State| matches!(it, State::Submitted { .. } | State::Settled(_));
        assert!(record.is_none_or(|it| !is_open(&it.state)) && moved(&world, &first).is_empty());
    }
}

#[test]
fn cheap_payments_all_the_time_put_off_no_debt() {
    let world = world();
    let owed = payment(1, 1);
    assert_eq!(buyer(&world, &owed, &[ALL]).now(), Answer::Counted);
    // The same payer buys something else twice a second.
    for number in 2..120 {
        drop(world.start_buy(&Payment::new(1, number, 600), "a"));
        world.run_for(500);
    }
    assert_eq!(moved(&world, &owed), [AMOUNT]);
}

#[test]
fn what_nodes_have_forgotten_is_held_against_nobody_whom_it_may_have_charged() {
    let world = world();
    let owed = payment(1, 1);
    assert_eq!(buyer(&world, &owed, &[ALL]).now(), Answer::Counted);
    // It lands, and the nodes tell neither receipts nor logs.
    *world.hook.borrow_mut() = Some(Box::new(|_, method, _| match method {
        "eth_getTransactionReceipt" => Some(Ok(Value::Null)),
        "eth_getLogs" => Some(Ok(json!([]))),
        _ => None,
    }));
    world.run_for(6_000_000);
    assert_eq!(moved(&world, &owed), [AMOUNT]);
    assert!(matches!(state(&world, &owed), State::Submitted { .. }), "{:?}", state(&world, &owed));
    *world.hook.borrow_mut() = None;
    for _ in 0..4_000 {
        if !matches!(state(&world, &owed), State::Submitted { .. }) {
            break;
        }
        world.run_for(1_000);
    }
    assert_eq!(settlement(&world, &owed).amount, AtomicAmount(AMOUNT));
}
