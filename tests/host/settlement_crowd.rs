//! Many payers in one lane: none of them costs the others anything, nor the
//! seller more than was agreed to.

use std::cell::Cell;
use std::rc::Rc;

use crate::by_use::told;
use crate::sim::chain::{Chain, Code, read_transaction};
use crate::sim::{AMOUNT, Answer, Fault, Handle, Payment, Setup, World, payer};
use edge402::encoding::decode_hex_bytes;
use edge402::protocol::Reason;
use edge402::settlement::{Outcome, State};
use serde_json::{Value, json};

const CROWD: u8 = 40;

fn setup() -> Setup {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    setup.limits.batch_max = 40;
    setup
}

fn crowd() -> Vec<Payment> {
    (1..=CROWD).map(|number| Payment::new(number, number, 600)).collect()
}

/// Claims all payments and asks for them to be settled at one moment.
fn settle_all(world: &Rc<World>, payments: &[Payment]) -> Vec<Handle<Option<Outcome>>> {
    let claims: Vec<_> = payments.iter().map(|it| world.claim_request(it, "a")).collect();
    for claim in &claims {
        world.claim(claim);
    }
    payments.iter().zip(&claims).map(|(it, claim)| world.start_settle(it, claim)).collect()
}

fn take_all(world: &Rc<World>, outcomes: &[Handle<Option<Outcome>>]) -> Vec<Outcome> {
    outcomes.iter().map(|it| world.take(it).unwrap()).collect()
}

/// Runs until the chain is as it is to be, ten seconds at most.
fn run_until(world: &World, is_so: impl Fn(&Chain) -> bool) {
    for _ in 0..500 {
        if is_so(&world.chain.borrow()) {
            return;
        }
        world.run_for(20);
    }
    panic!("not so after ten seconds")
}

fn is_settled(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Settled(_))
}

/// Asserts that a payer is refused at once, or sold to, after what has been.
fn assert_throttled(world: &Rc<World>, number: u8, is_throttled: bool) {
    let next = Payment::new(number, 200 + number % 50, 900);
    let answer = world.buy_now(&next, "next");
    let refused = Answer::Refused(Reason::TooManyFailures);
    assert_eq!(answer == refused, is_throttled, "payer {number}: {answer:?}");
    assert!(is_throttled || answer.is_delivery(), "payer {number}: {answer:?}");
}

#[test]
fn payers_with_code_share_no_transaction_and_cost_the_others_nothing() {
    for attackers in [1, 5, 20] {
        let world = World::new(&setup());
        let payments = crowd();
        for number in 1..=attackers {
            let account = payer(2 * number).address();
            world.chain.borrow_mut().codes.insert(account, Code::Burns);
        }
        let outcomes = take_all(&world, &settle_all(&world, &payments));
        let is_attacker = |number: u8| number.is_multiple_of(2) && number <= 2 * attackers;
        for (number, outcome) in (1..=CROWD).zip(&outcomes) {
            assert_eq!(is_settled(outcome), !is_attacker(number), "{number}: {outcome:?}");
        }
        let chain = world.chain.borrow();
        assert_eq!(chain.failed(), usize::from(attackers));
        // The first goes at once, the others wait for it and go together.
        let shares = chain.shares();
        let honest = usize::from(CROWD - attackers);
        assert!(shares.iter().filter(|it| **it > 1).count() <= 2, "{shares:?}");
        assert_eq!(shares.iter().sum::<usize>(), honest + usize::from(attackers));
        assert!(chain.burnt() <= 180_000 * u64::from(attackers), "{} gas", chain.burnt());
        drop(chain);
        assert_throttled(&world, 2, true);
        assert_throttled(&world, 1, false);
        assert_throttled(&world, CROWD - 1, false);
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty());
    }
}

#[test]
fn honest_payers_with_code_are_sold_to() {
    let world = World::new(&setup());
    let payments = crowd();
    for number in [3, 4, 5] {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Honest);
    }
    let outcomes = take_all(&world, &settle_all(&world, &payments));
    assert!(outcomes.iter().all(is_settled), "{outcomes:?}");
    let shares = world.chain.borrow().shares();
    assert_eq!(shares.iter().filter(|it| **it == 1).count(), 3, "{shares:?}");
    assert_throttled(&world, 3, false);
}

#[test]
fn code_taken_on_between_preview_and_block_costs_the_others_nothing() {
    for attackers in [1, 5, 20] {
        let world = World::new(&setup());
        let payments = crowd();
        let outcomes = settle_all(&world, &payments);
        run_until(&world, |chain| chain.waiting_shares().iter().any(|share| *share > 1));
        for number in 2..2 + attackers {
            world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
        }
        let outcomes = take_all(&world, &outcomes);
        for (number, outcome) in (1..=CROWD).zip(&outcomes) {
            let is_attacker = (2..2 + attackers).contains(&number);
            assert_eq!(is_settled(outcome), !is_attacker, "{number}: {outcome:?}");
        }
        let chain = world.chain.borrow();
        assert_eq!(chain.transfers.len(), usize::from(CROWD - attackers));
        let most = 60_000 + 39 * 120_000 + 180_000 * u64::from(attackers);
        assert!(chain.burnt() <= most, "{} gas", chain.burnt());
        assert!(world.log.borrow().iter().any(|line| line.contains("failed as a whole")));
        drop(chain);
        assert_throttled(&world, 1, false);
        assert_throttled(&world, CROWD, false);
        assert_throttled(&world, 2, true);
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty());
    }
}

#[test]
fn code_taken_on_at_any_time_costs_no_one_anything() {
    let payments: Vec<_> = (1..=8).map(|number| Payment::new(number, number, 600)).collect();
    for at in (0..6_000).step_by(100) {
        let world = World::new(&setup());
        let outcomes = settle_all(&world, &payments);
        world.run_for(at);
        for number in [2, 5] {
            world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
        }
        let outcomes = take_all(&world, &outcomes);
        for (payment, outcome) in payments.iter().zip(&outcomes) {
            let transfers = world.chain.borrow().transfers_of(payment).len();
            assert_eq!(transfers, usize::from(is_settled(outcome)), "{at}: {outcome:?}");
        }
        let settled = outcomes.iter().filter(|it| is_settled(it)).count();
        assert!(settled == 8 || settled == 6, "{at}: {outcomes:?}");
    }
}

#[test]
fn a_crash_beside_a_spoiled_batch_costs_no_one_anything() {
    let payments: Vec<_> = (1..=6).map(|number| Payment::new(number, number, 600)).collect();
    for crash_at in (200..6_000).step_by(150) {
        let world = World::new(&setup());
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        world.run_for(190);
        world.chain.borrow_mut().codes.insert(payer(4).address(), Code::Burns);
        world.run_for(crash_at - 190);
        world.crash();
        let again: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        for (number, buyer) in (1..).zip(&again) {
            let answer = world.take(buyer);
            assert_eq!(answer.is_delivery(), number != 4, "{crash_at} {number}: {answer:?}");
        }
        for buyer in &buyers {
            world.take(buyer);
        }
        assert_eq!(world.chain.borrow().transfers.len(), 5, "{crash_at}");
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty(), "{crash_at}");
    }
}

#[test]
fn spoiled_transactions_grow_smaller() {
    let world = World::new(&setup());
    let mut burnt = vec![];
    for round in 0..4 {
        let number = |n: u8| 10 * round + n;
        let payments: Vec<_> = (1..=10).map(|n| Payment::new(number(n), number(n), 600)).collect();
        let outcomes = settle_all(&world, &payments);
        world.run_for(200);
        world.chain.borrow_mut().codes.insert(payer(number(3)).address(), Code::Burns);
        let before = world.chain.borrow().burnt();
        let settled = take_all(&world, &outcomes).iter().filter(|it| is_settled(it)).count();
        assert_eq!(settled, 9, "round {round}");
        burnt.push(world.chain.borrow().burnt() - before);
    }
    assert!(burnt.is_sorted_by(|a, b| a >= b), "{burnt:?}");
}

#[test]
fn failed_payments_of_payers_with_code_burn_so_much_gas_an_hour() {
    let mut setup = setup();
    setup.limits.failed_gas = Some(400_000);
    let world = World::new(&setup);
    for number in 1..=20 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
    }
    let outcomes = take_all(&world, &settle_all(&world, &crowd()));
    assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 20);
    assert!(outcomes.contains(&Outcome::LimitReached), "{outcomes:?}");
    let burnt = world.chain.borrow().burnt();
    assert!(burnt > 0 && burnt <= 400_000, "{burnt} gas");
    world.run_for(3_600_000);
    let honest = Payment::new(99, 99, 9_000);
    world.chain.borrow_mut().codes.insert(payer(99).address(), Code::Honest);
    assert!(world.buy_now(&honest, "a").is_delivery());
}

#[test]
fn new_accounts_burn_half_of_the_hours_gas_and_leave_the_rest_to_customers() {
    let mut setup = setup();
    setup.limits.failed_gas = Some(800_000);
    let world = World::new(&setup);
    let code = |number: u8, code| {
        world.chain.borrow_mut().codes.insert(payer(number).address(), code);
    };
    code(99, Code::Honest);
    assert!(world.buy_now(&Payment::new(99, 1, 9_000), "a").is_delivery());
    for number in 1..=20 {
        code(number, Code::Burns);
        world.buy_now(&Payment::new(number, number, 900), "a");
    }
    let burnt = world.chain.borrow().burnt();
    assert!(burnt > 200_000 && burnt <= 400_000, "{burnt} gas");
    // Whoever has paid before is sold to as ever.
    assert!(world.buy_now(&Payment::new(99, 2, 9_000), "a").is_delivery());
    code(50, Code::Honest);
    assert_eq!(world.buy_now(&Payment::new(50, 1, 9_000), "a"), Answer::Unavailable);
    // What was had for nothing makes nobody a customer.
    let free = told(&world, &Payment::by_use(50, 2, 9_000), Some("{\"amount\":\"0\"}"));
    assert!(free.now().is_delivery());
    assert_eq!(world.buy_now(&Payment::new(50, 3, 9_000), "a"), Answer::Unavailable);
    // So is whoever has no code.
    assert!(world.buy_now(&Payment::new(51, 1, 9_000), "a").is_delivery());
    // What a facilitator's client has sold was not paid to us.
    world.tables.give_sales_to_a_client();
    assert_eq!(world.buy_now(&Payment::new(99, 3, 9_000), "a"), Answer::Unavailable);
}

#[test]
fn one_who_spoils_simulations_costs_few_messages() {
    for code in [Code::Spoils, Code::Burns] {
        let world = World::new(&setup());
        world.chain.borrow_mut().codes.insert(payer(20).address(), code);
        let outcomes = take_all(&world, &settle_all(&world, &crowd()));
        assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 39);
        assert!(world.posts.get() <= 18, "{code:?}: {} messages to nodes", world.posts.get());
    }
}

#[test]
fn one_who_starves_what_is_behind_it_has_nobody_else_refused() {
    let world = World::new(&setup());
    world.chain.borrow_mut().codes.insert(payer(20).address(), Code::Starves);
    let outcomes = take_all(&world, &settle_all(&world, &crowd()));
    assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 39);
    assert!(world.posts.get() <= 18, "{} messages to nodes", world.posts.get());
}

#[test]
fn one_who_spoils_simulations_in_secret_is_found_by_halves() {
    let world = World::new(&setup());
    world.chain.borrow_mut().codes.insert(payer(20).address(), Code::Spoils);
    *world.hook.borrow_mut() = Some(Box::new(|_, method, params| {
        let asks_code = method == "eth_call" && params[0].get("to").is_none();
        asks_code.then(|| {
            let data = params[0]["data"].as_str().unwrap();
            // Words of zeros, for as many as are asked about: 26 bytes each.
            let count = (data.len() / 2 - 7) / 26;
            Ok(format!("0x{}", "00".repeat(32 * count)).into())
        })
    }));
    let outcomes = take_all(&world, &settle_all(&world, &crowd()));
    assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 39);
    assert!(world.posts.get() <= 45, "{} messages to nodes", world.posts.get());
}

#[test]
fn a_node_that_runs_no_creation_code_is_asked_for_codes() {
    let world = World::new(&setup());
    world.chain.borrow_mut().runs_creation = false;
    world.chain.borrow_mut().codes.insert(payer(20).address(), Code::Burns);
    let outcomes = take_all(&world, &settle_all(&world, &crowd()));
    assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 39);
    assert_eq!(world.chain.borrow().failed(), 1);
    assert!(world.chain.borrow().count() <= 4, "{:?}", world.chain.borrow().shares());
}

/// How often `eth_getCode` is asked while a crowd is settled whose payments
/// have this number and the next ones.
fn code_calls_for(world: &Rc<World>, first: u8) -> usize {
    let asked = Rc::new(Cell::new(0));
    let counted = Rc::clone(&asked);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        counted.set(counted.get() + usize::from(method == "eth_getCode"));
        None
    }));
    let payments: Vec<_> = (first..first + 10).map(|it| Payment::new(it, it, 9_000)).collect();
    let outcomes = take_all(world, &settle_all(world, &payments));
    assert!(outcomes.iter().all(is_settled), "{outcomes:?}");
    asked.get()
}

#[test]
fn an_error_that_passes_does_not_end_the_call_for_code_sizes() {
    for error in [(-32_005, "limit exceeded"), (-32_603, "internal error")] {
        let world = World::new(&setup());
        let failed = Cell::new(false);
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
            let is_it = method == "eth_call" && params[0].get("to").is_none();
            (is_it && !failed.replace(true)).then_some(Err(error))
        }));
        let payments = &crowd()[..10];
        let outcomes = take_all(&world, &settle_all(&world, payments));
        assert!(outcomes.iter().all(is_settled), "{outcomes:?}");
        assert_eq!(code_calls_for(&world, 50), 0);
    }
}

#[test]
fn a_node_that_runs_no_creation_code_is_asked_to_again_after_ten_minutes() {
    let world = World::new(&setup());
    world.chain.borrow_mut().runs_creation = false;
    assert!(code_calls_for(&world, 50) > 0);
    world.chain.borrow_mut().runs_creation = true;
    assert!(code_calls_for(&world, 70) > 0);
    world.run_for(600_000);
    assert_eq!(code_calls_for(&world, 90), 0);
}

#[test]
fn nobody_shares_a_transaction_where_no_node_tells_who_has_code() {
    for said in [Err((-32_601, "no")), Ok(json!("no"))] {
        let world = World::new(&setup());
        world.chain.borrow_mut().runs_creation = false;
        let hook =
            move |_: &str, method: &str, _: &Value| (method == "eth_getCode").then(|| said.clone());
        *world.hook.borrow_mut() = Some(Box::new(hook));
        let outcomes = take_all(&world, &settle_all(&world, &crowd()[..10]));
        assert!(outcomes.iter().all(is_settled), "{outcomes:?}");
        assert_eq!(world.chain.borrow().shares(), [1; 10]);
    }
}

#[test]
fn an_honest_payment_takes_two_round_trips() {
    let world = World::new(&setup());
    assert!(world.buy_now(&Payment::new(1, 1, 600), "a").is_delivery());
    // The preview, and the sending, which is held until the receipt is there.
    assert_eq!(world.posts.get(), 2);
}

/// One payer signs 250 payments and has money for some.
fn sign_250(money_for: u128) -> (Rc<World>, Vec<Payment>) {
    let world = World::new(&setup());
    let account = payer(1).address();
    world.chain.borrow_mut().balances.insert(account, money_for * AMOUNT);
    let payments = (0..250).map(|number| Payment::new(1, number, 600)).collect();
    (world, payments)
}

#[test]
fn one_who_signs_more_than_the_balance_fails_in_the_simulation() {
    for money_for in [40, 0] {
        let (world, payments) = sign_250(money_for);
        let mut left = payments;
        let mut settled = 0;
        // Who is told to come back later does so.
        for _ in 0..20 {
            let outcomes = take_all(&world, &settle_all(&world, &left));
            let answers: Vec<_> = left.into_iter().zip(outcomes).collect();
            settled += answers.iter().filter(|(_, it)| is_settled(it)).count();
            left = answers
                .into_iter()
                .filter(|(_, it)| *it == Outcome::Unavailable)
                .map(|(payment, _)| payment)
                .collect();
        }
        assert_eq!(settled as u128, money_for);
        assert_eq!(world.chain.borrow().transfers.len() as u128, money_for);
        assert_eq!(world.chain.borrow().failed(), 0, "failed on chain");
    }
}

#[test]
fn what_is_in_the_air_is_not_spent_again_after_a_restart() {
    let world = World::new(&Setup { has_sync: false, ..setup() });
    let account = payer(1).address();
    world.chain.borrow_mut().balances.insert(account, 2 * AMOUNT);
    // Nothing lands for now.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let first = settle_all(&world, &[Payment::new(1, 1, 600), Payment::new(1, 2, 600)]);
    world.run_for(1_000);
    world.crash();
    let third = settle_all(&world, &[Payment::new(1, 3, 600)]);
    world.run_for(3_000);
    let in_pool: Vec<_> = world.chain.borrow().pool.values().map(|it| it.hash.clone()).collect();
    assert!(third[0].borrow().is_none(), "waits for what is in the air: {in_pool:?}");
    world.chain.borrow_mut().min_fee = 0;
    let refused = Outcome::Failed { reason: Reason::InsufficientFunds, transaction: None };
    assert_eq!(take_all(&world, &third), [refused]);
    assert_eq!((world.chain.borrow().transfers.len(), world.chain.borrow().failed()), (2, 0));
    drop(first);
}

#[test]
fn money_that_comes_while_a_payment_waits_is_spent() {
    let world = World::new(&setup());
    let account = payer(1).address();
    world.chain.borrow_mut().balances.insert(account, AMOUNT);
    let first = settle_all(&world, &[Payment::new(1, 1, 600)]);
    run_until(&world, |chain| !chain.pool.is_empty());
    let second = settle_all(&world, &[Payment::new(1, 2, 600)]);
    world.run_for(200);
    assert!(second[0].borrow().is_none(), "waits for what is in the air");
    world.chain.borrow_mut().balances.insert(account, 2 * AMOUNT);
    assert!(take_all(&world, &first).iter().chain(&take_all(&world, &second)).all(is_settled));
}

#[test]
fn one_who_moves_the_money_away_spoils_few_payments_and_then_goes_alone() {
    let world = World::new(&setup());
    let account = payer(1).address();
    let mut number = 0;
    for _ in 0..5 {
        let payments: Vec<_> = (0..40)
            .map(|_| {
                number += 1;
                Payment::new(1, number, 600)
            })
            .collect();
        world.chain.borrow_mut().balances.insert(account, 1_000 * AMOUNT);
        let outcomes = settle_all(&world, &payments);
        world.run_for(60);
        world.chain.borrow_mut().balances.insert(account, 0);
        let outcomes = take_all(&world, &outcomes);
        assert!(!outcomes.iter().any(is_settled));
    }
    let failed = world.chain.borrow().failed();
    assert!(failed <= 16 + 3, "{failed} failed on chain");
    assert!(world.buy_now(&Payment::new(2, 250, 600), "a").is_delivery());
}

#[test]
fn payers_take_turns() {
    let world = World::new(&setup());
    let mut payments: Vec<_> = (1..=60).map(|number| Payment::new(1, number, 600)).collect();
    payments.push(Payment::new(2, 61, 600));
    let outcomes = settle_all(&world, &payments);
    let last = world.take(&outcomes[60]).unwrap();
    let Outcome::Settled(last) = last else { panic!("{last:?}") };
    // It came last and is in the first transaction that was made after it came.
    let index = world.chain.borrow().mined.iter().position(|it| it.hash == last.transaction);
    assert!(index.unwrap() <= 1, "in transaction {index:?}");
    assert!(take_all(&world, &outcomes[..60]).iter().all(is_settled));
}

#[test]
fn a_payer_with_too_many_payments_is_asked_to_come_back() {
    let world = World::new(&setup());
    // Nothing lands.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let payments: Vec<_> = (0..70).map(|number| Payment::new(1, number, 600)).collect();
    let outcomes = settle_all(&world, &payments);
    world.run_for(100);
    let at_once: Vec<_> = outcomes.iter().filter_map(|it| it.borrow().clone().flatten()).collect();
    assert_eq!(at_once, vec![Outcome::Unavailable; 6]);
    let is_free = |payment: &Payment| world.tables.record(&payment.id).is_none();
    assert_eq!(payments.iter().filter(|it| is_free(it)).count(), 6);
    // Another payer is not.
    let other = settle_all(&world, &[Payment::new(2, 100, 600)]);
    world.run_for(1_000);
    assert!(other[0].borrow().is_none());
    let record = world.tables.record(&Payment::new(2, 100, 600).id).unwrap();
    assert!(matches!(record.state, State::Submitted { .. }));
    let in_air: usize = world.chain.borrow().pool.len();
    assert!(in_air <= 8);
}

#[test]
fn what_is_to_go_out_again_counts_for_its_payer() {
    let world = World::new(&setup());
    // Nothing lands.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    // No log could tell them apart: a batch of them goes out one by one.
    let of = |numbers: std::ops::Range<u8>| -> Vec<_> {
        numbers.map(|number| Payment::by_permit2(1, number, 600)).collect()
    };
    let first = settle_all(&world, &of(0..64));
    world.run_for(1_000);
    assert!(first.iter().all(|it| it.borrow().is_none()));
    let more = settle_all(&world, &of(64..74));
    world.run_for(100);
    let told: Vec<_> = more.iter().filter_map(|it| it.borrow().clone().flatten()).collect();
    assert_eq!(told, vec![Outcome::Unavailable; 10]);
    // All are paid when the chain goes on.
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(120_000);
    assert!(world.chain.borrow().transfers.len() >= 16);
    assert_eq!(world.chain.borrow().failed(), 0);
}

#[test]
fn a_queue_holds_so_many_and_those_beyond_are_asked_to_come_back() {
    let world = World::new(&setup());
    // Nothing lands.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let numbers = (1..=36).flat_map(|payer| (0..60).map(move |number| (payer, number)));
    let payments: Vec<_> = numbers.map(|(payer, n)| Payment::new(payer, n, 600)).collect();
    let outcomes = settle_all(&world, &payments);
    world.run_for(100);
    let at_once: Vec<_> = outcomes.iter().filter_map(|it| it.borrow().clone().flatten()).collect();
    assert_eq!(at_once, vec![Outcome::Crowded { seconds: 25 }; 2_160 - 2_048]);
    let (kept, free): (Vec<_>, Vec<_>) =
        payments.iter().partition(|it| world.tables.record(&it.id).is_some());
    assert_eq!(free.len(), 2_160 - 2_048);
    // What was kept is paid when the chain goes on, and the others then, too.
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(120_000);
    assert_eq!(world.chain.borrow().transfers.len(), kept.len());
    assert!(world.buy_now(free[0], "a").is_delivery());
}

#[test]
fn a_payment_is_not_sent_for_more_than_its_price() {
    let mut setup = setup();
    // A payment of 10,000 units; one transfer costs about 2 × 10^14 wei at worst.
    for (coin_price, is_sold) in
        [(None, true), (Some(10_000_000), true), (Some(10_u128.pow(9)), false)]
    {
        setup.limits.coin_price = coin_price.into();
        let world = World::new(&setup);
        let answer = world.buy_now(&Payment::new(1, 1, 600), "a");
        assert_eq!(answer.is_delivery(), is_sold, "{coin_price:?}: {answer:?}");
        if !is_sold {
            assert_eq!(answer, Answer::Unavailable);
            assert!(world.chain.borrow().pool.is_empty() && world.tables.payments() == 0);
            assert!(world.log.borrow().iter().any(|line| line.contains("coin_price in NETWORKS")));
        }
    }
}

#[test]
fn a_transaction_carries_what_the_queue_holds() {
    let world = World::new(&setup());
    let payments = crowd();
    let outcomes = settle_all(&world, &payments);
    assert!(take_all(&world, &outcomes).iter().all(is_settled));
    assert!(world.chain.borrow().count() <= 3, "{:?}", world.chain.borrow().shares());
}

/// The bytes of a sent transaction are the relayer's own.
#[test]
fn lone_payments_are_plain_calls() {
    let world = World::new(&setup());
    world.chain.borrow_mut().codes.insert(payer(1).address(), Code::Honest);
    let seen = Rc::new(std::cell::RefCell::new(vec![]));
    let sent = Rc::clone(&seen);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method == "eth_sendRawTransactionSync" {
            let raw = params[0].as_str().unwrap();
            sent.borrow_mut().push(decode_hex_bytes(raw, raw.len()).unwrap());
        }
        None
    }));
    assert!(world.buy_now(&Payment::new(1, 1, 600), "a").is_delivery());
    let (_, transaction) = read_transaction(&seen.borrow()[0]);
    assert_eq!(transaction.to, crate::sim::domain().verifying_contract);
    assert!(transaction.gas_limit <= 180_000);
}

#[test]
fn what_a_spoiled_transaction_made_public_is_sold_whoever_sends_it() {
    let payments: Vec<_> = (1..=8).map(|number| Payment::new(number, number, 600)).collect();
    for after in (0..600).step_by(20) {
        let world = World::new(&setup());
        let outcomes = settle_all(&world, &payments);
        run_until(&world, |chain| chain.waiting_shares().iter().any(|share| *share > 1));
        world.chain.borrow_mut().codes.insert(payer(4).address(), Code::Burns);
        run_until(&world, |chain| chain.failed() > 0);
        world.run_for(after);
        let now = world.clock.now_ms();
        for payment in payments.iter().filter(|it| it.id != payments[3].id) {
            if world.chain.borrow().transfers_of(payment).is_empty() {
                world.chain.borrow_mut().stranger_sends(payment, now);
            }
        }
        let outcomes = take_all(&world, &outcomes);
        for (payment, outcome) in payments.iter().zip(&outcomes) {
            let transfers = world.chain.borrow().transfers_of(payment).len();
            assert_eq!(transfers, usize::from(is_settled(outcome)), "{after}: {outcome:?}");
        }
        assert_eq!(outcomes.iter().filter(|it| is_settled(it)).count(), 7, "{after}");
        world.run_for(60_000);
        assert!(world.tables.entries().is_empty(), "{after}");
    }
}

#[test]
fn what_failed_alone_and_is_sent_by_another_is_sold() {
    let world = World::new(&setup());
    let payment = Payment::new(1, 1, 600);
    world.chain.borrow_mut().poisoned.insert(payment.authorization.as_ref().unwrap().nonce);
    assert!(!world.buy_now(&payment, "a").is_delivery());
    world.chain.borrow_mut().poisoned.clear();
    let hash = world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    world.run_for(10_000);
    world.crash();
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_eq!(*world.deliveries.borrow(), [(payment.id.clone(), "a".into(), hash)]);
}

#[test]
fn what_failed_alone_and_is_sent_by_another_buys_nothing_else() {
    let world = World::new(&setup());
    let payment = Payment::new(1, 1, 600);
    world.chain.borrow_mut().poisoned.insert(payment.authorization.as_ref().unwrap().nonce);
    assert!(!world.buy_now(&payment, "a").is_delivery());
    world.chain.borrow_mut().poisoned.clear();
    world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::EvmNonceUsed));
    // Taken back, it buys nothing at all.
    let world = World::new(&setup());
    world.chain.borrow_mut().poisoned.insert(payment.authorization.as_ref().unwrap().nonce);
    assert!(!world.buy_now(&payment, "a").is_delivery());
    world.chain.borrow_mut().payer_cancels(&payment, world.clock.now_ms());
    assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
}

#[test]
fn what_was_used_before_anything_was_sent_buys_nothing() {
    let world = World::new(&setup());
    let payment = Payment::new(1, 1, 600);
    world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    for _ in 0..2 {
        assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
    }
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn a_pump_that_stands_still_gives_way_after_a_minute() {
    let world = World::new(&setup());
    assert!(world.buy_now(&Payment::new(1, 1, 600), "a").is_delivery());
    world.faults.borrow_mut().push_back(Fault::Never);
    assert_eq!(world.buy_now(&Payment::new(2, 2, 600), "a"), Answer::Unavailable);
    world.run_for(60_000);
    assert!(world.buy_now(&Payment::new(3, 3, 600), "a").is_delivery());
    assert!(world.buy_now(&Payment::new(2, 2, 600), "a").is_delivery());
}

#[test]
fn new_accounts_that_take_code_on_burn_no_more_than_they_may() {
    let mut setup = setup();
    setup.limits.failed_gas = Some(400_000);
    let world = World::new(&setup);
    let mut waits = 0;
    for number in 1..=8 {
        let outcome = settle_all(&world, &[Payment::new(number, number, 900)]);
        world.run_for(70);
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
        waits += usize::from(take_all(&world, &outcome) == [Outcome::LimitReached]);
    }
    let burnt = world.chain.borrow().burnt();
    // What was in the air when the limit was reached comes on top.
    assert!(burnt > 0 && burnt < 400_000 + 180_000, "{burnt} gas");
    assert_eq!(waits, 3);
}

#[test]
fn a_replacement_is_counted_once_against_the_budget() {
    let buy_stuck = |daily_spend: Option<u128>| {
        let mut setup = Setup { has_sync: false, ..setup() };
        setup.limits.daily_spend = daily_spend;
        let world = World::new(&setup);
        world.chain.borrow_mut().min_fee = u128::MAX / 4;
        let buyer = world.start_buy(&Payment::new(1, 1, 600), "a");
        world.run_for(1_000);
        let first = world.chain.borrow().pool[&0].clone();
        world.run_for(50_000);
        let replaced = world.chain.borrow().pool[&0].hash != first.hash;
        drop(buyer);
        let it = first.transaction;
        (replaced, it.max_fee_per_gas * u128::from(it.gas_limit))
    };
    let (_, cost) = buy_stuck(None);
    assert!(buy_stuck(Some(cost * 8 / 5)).0);
    assert!(!buy_stuck(Some(cost)).0);
}
