//! What is sold by use at its edges: not worth its fee, told late, and next to
//! payers who burn the hour's gas.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::by_use::{
    A_WHILE, ALL, SOME, WORDS, buyer, moved, payment, settlement, state, told, world,
};
use crate::sim::chain::Code;
use crate::sim::{AMOUNT, Answer, Buyer, Payment, Setup, Temper, World, payer};
use edge402::amount::AtomicAmount;
use edge402::rpc::TransportError;
use edge402::settlement::journal::Attempts;
use edge402::settlement::{HoldReply, PaymentRecord, RenewRequest, State, UseReport};

/// A world in which the most that one transfer costs, twice 10^14 wei, is so many
/// atomic units.
fn world_where_a_transfer_costs(units: u128) -> Rc<World> {
    let mut setup = Setup::default();
    setup.limits.coin_price = Some(units * 5_000).into();
    World::new(&setup)
}

#[test]
fn what_an_origin_tells_that_is_not_worth_its_fee_is_charged_nothing() {
    let world = world_where_a_transfer_costs(4_000);
    let (small, whole) = (payment(1, 1), payment(1, 2));
    let first = told(&world, &small, Some("{\"amount\":\"3000\"}"));
    // The origin has worked, and its answer is the buyer's.
    let Answer::Delivered(settled) = first.now() else { panic!("{:?}", world.log.borrow()) };
    assert_eq!((settled.transaction.as_str(), settled.amount.0), ("", 0));
    assert_eq!((moved(&world, &small), world.chain.borrow().count()), (vec![], 0));
    let says = |text: &str| world.log.borrow().iter().any(|line| line.contains(text));
    assert!(says("coin_price in NETWORKS") && says("nothing is charged"));
    // It has bought what it has bought all the same.
    let elsewhere = Buyer { resource: "/other".into(), ..first.clone() };
    assert!(!elsewhere.now().is_delivery());
    assert!(first.now().is_delivery());
    // What is worth its fee is charged.
    let Answer::Delivered(settled) = told(&world, &whole, Some("{\"amount\":\"6000\"}")).now()
    else {
        panic!()
    };
    assert_eq!((settled.amount.0, moved(&world, &whole)), (6_000, vec![6_000]));
}

/// Goes on to the next day (UTC), which begins.
pub fn begin_a_day(world: &World) {
    let day = 86_400_000;
    world.run_for(day - world.clock.now_ms() % day);
}

/// Asks for what comes to 3,000 atomic units, with a signature of its own.
fn small(world: &Rc<World>, payer: u8, number: u8) -> (Answer, bool) {
    let (payment, before) = (payment(payer, number), world.asked.get());
    let answer = told(world, &payment, Some("{\"amount\":\"3000\"}")).now();
    (answer, world.asked.get() > before)
}

/// What was given for nothing counts if its end is written, too, and not without.
#[test]
fn what_could_not_be_given_for_nothing_counts_for_nobody() {
    let world = world_where_a_transfer_costs(4_000);
    world.tables.refuses_sales.set(true);
    for number in 1..=14 {
        assert!(!small(&world, 1, number).0.is_delivery());
    }
    world.tables.refuses_sales.set(false);
    assert!(small(&world, 1, 15).0.is_delivery());
}

#[test]
fn no_more_is_given_for_nothing_in_a_day_than_the_seller_risks() {
    let world = world_where_a_transfer_costs(4_000);
    // 40,000 atomic units of one payer, 60,000 of all.
    for number in 1..=13 {
        assert!(small(&world, 1, number).0.is_delivery());
        if number == 7 {
            world.crash();
        }
    }
    // From now on the origin works for this payer no more, be it after a restart.
    assert_eq!(small(&world, 1, 14), (Answer::Unavailable, true));
    world.crash();
    let lines = || {
        let says = |line: &&String| line.contains("too much that was used today was not charged");
        world.log.borrow().iter().filter(says).count()
    };
    assert_eq!(lines(), 0, "it was asked each time");
    for number in 15..20 {
        assert_eq!(small(&world, 1, number), (Answer::Unavailable, false));
        let payment = payment(1, number);
        let whole = told(&world, &payment, Some("{\"amount\":\"6000\"}"));
        assert_eq!(whole.now(), Answer::Unavailable);
        assert!(world.tables.record(&payment.id).is_none());
    }
    assert!(lines() > 0);
    // New payers have what is left of the route's, and then nothing for nothing.
    for number in 1..=7 {
        assert!(small(&world, number + 1, 1).0.is_delivery());
    }
    assert_eq!(small(&world, 9, 1), (Answer::Unavailable, true));
    assert_eq!(world.chain.borrow().count(), 0);
    // What is worth its fee is sold to them as ever.
    let whole = payment(10, 1);
    assert!(told(&world, &whole, Some("{\"amount\":\"6000\"}")).now().is_delivery());
    assert_eq!(moved(&world, &whole), [6_000]);
    // The next day begins anew.
    world.run_for(86_400_000);
    let tomorrow = Payment::by_use(1, 99, 90_000);
    assert!(told(&world, &tomorrow, Some("{\"amount\":\"3000\"}")).now().is_delivery());
}

#[test]
fn what_a_meter_counts_and_is_not_worth_its_fee_counts_against_its_payer() {
    let world = world_where_a_transfer_costs(4_000);
    // 1,230 atomic units each: of 40,000 of one payer.
    let metered = |payer, number| {
        let answer = buyer(&world, &Payment::by_use(payer, number, 90_000), &[WORDS, SOME]).now();
        world.run_for(A_WHILE);
        answer
    };
    for number in 1..=33 {
        assert_eq!(metered(1, number), Answer::Counted, "{number}");
    }
    assert_eq!(metered(1, 34), Answer::Unavailable);
    assert_eq!(world.asked.get(), 33);
    // And of 60,000 of all.
    for number in 1..=16 {
        assert_eq!(metered(2, number), Answer::Counted, "{number}");
    }
    assert_eq!(metered(3, 1), Answer::Unavailable);
    assert_eq!(world.chain.borrow().count(), 0);
}

#[test]
fn the_day_ends_at_the_very_numbers_that_the_seller_has_set() {
    let world = world_where_a_transfer_costs(7_000);
    begin_a_day(&world);
    let metered = |payer, number| {
        const HALF: &str = "data: {\"usage\":{\"tokens\":500}}\n\n";
        let answer = buyer(&world, &Payment::by_use(payer, number, 90_000), &[HALF]).now();
        world.run_for(A_WHILE);
        answer
    };
    // 40,000 atomic units of one payer's, 60,000 of all, 5,000 each time.
    for number in 1..=8 {
        assert_eq!(metered(1, number), Answer::Counted, "{number} of one payer's");
    }
    assert_eq!(metered(1, 9), Answer::Unavailable);
    for number in 1..=4 {
        assert_eq!(metered(2, number), Answer::Counted, "{number} of what is left");
    }
    assert_eq!(metered(3, 1), Answer::Unavailable);
}

#[test]
fn who_has_paid_is_sold_to_though_others_have_used_up_the_routes_day() {
    let world = world_where_a_transfer_costs(4_000);
    // The sale itself is not forgotten in that week.
    world.tables.kept_longer.set(30 * 86_400);
    begin_a_day(&world);
    let metered = |payer, number, piece| {
        let answer = buyer(&world, &Payment::by_use(payer, number, 90_000), &[WORDS, piece]).now();
        world.run_for(A_WHILE);
        answer
    };
    // Somebody has paid 10,000 atomic units for what was worth its fee.
    let paid = Payment::by_use(7, 1, 90_000);
    assert_eq!(metered(7, 1, ALL), Answer::Counted);
    assert_eq!(moved(&world, &paid), [AMOUNT]);
    // Two others have the day's 60,000 for nothing, 1,230 each time.
    for (payer, times) in [(1, 33), (2, 17)] {
        for number in 1..=times {
            metered(payer, number, SOME);
        }
    }
    assert_eq!(metered(3, 1, SOME), Answer::Unavailable);
    world.crash();
    assert_eq!(metered(3, 2, ALL), Answer::Unavailable);
    // As much as was paid goes unpaid at most, though this payer might have 40,000.
    for number in 2..=10 {
        assert_eq!(metered(7, number, SOME), Answer::Counted, "{number}");
    }
    assert_eq!(metered(7, 11, SOME), Answer::Unavailable);
    // A week later it is as if nothing had been paid.
    world.run_for(7 * 86_400_000);
    begin_a_day(&world);
    let later = |payer, number, piece: &'static str| {
        let payment = Payment::by_use(payer, number, 30 * 86_400);
        let answer = buyer(&world, &payment, &[WORDS, piece]).now();
        world.run_for(A_WHILE);
        answer
    };
    for (payer, times) in [(11, 33), (12, 17)] {
        for number in 1..=times {
            later(payer, number, SOME);
        }
    }
    assert_eq!(later(7, 12, SOME), Answer::Unavailable);
}

#[test]
fn who_has_paid_has_what_an_origin_tells_though_others_have_used_up_the_routes_day() {
    let world = world_where_a_transfer_costs(4_000);
    let whole = told(&world, &payment(7, 1), Some("{\"amount\":\"6000\"}"));
    assert!(whole.now().is_delivery());
    for (payer, times) in [(1, 13), (2, 7)] {
        for number in 1..=times {
            assert!(small(&world, payer, number).0.is_delivery());
        }
    }
    assert_eq!(small(&world, 3, 1), (Answer::Unavailable, true));
    // 6,000 atomic units were paid: as much is given, of which the last in part.
    for number in 2..=3 {
        assert!(small(&world, 7, number).0.is_delivery());
    }
    assert!(!small(&world, 7, 4).0.is_delivery());
}

/// Buys by a meter.
fn metered(world: &Rc<World>, (payer, number): (u8, u8), piece: &'static str) -> Answer {
    let payment = Payment::by_use(payer, number, 30 * 86_400);
    let answer = buyer(world, &payment, &[WORDS, piece]).now();
    world.run_for(A_WHILE);
    answer
}

/// Has two payers use up the route's 60,000 of a day, 1,230 each time.
fn use_up_a_day(world: &Rc<World>, first: u8) {
    begin_a_day(world);
    for (payer, times) in [(first, 33), (first + 1, 17)] {
        for number in 1..=times {
            metered(world, (payer, number), SOME);
        }
    }
    assert_eq!(metered(world, (99, first), SOME), Answer::Unavailable);
}

#[test]
fn what_was_paid_speaks_for_its_payer_once_and_not_each_day_anew() {
    let world = world_where_a_transfer_costs(4_000);
    begin_a_day(&world);
    // 10,000 atomic units.
    assert_eq!(metered(&world, (7, 1), ALL), Answer::Counted);
    use_up_a_day(&world, 10);
    for number in 2..=5 {
        assert_eq!(metered(&world, (7, number), SOME), Answer::Counted, "{number}");
    }
    // 4,920 of it were had for nothing yesterday.
    use_up_a_day(&world, 20);
    for number in 6..=10 {
        assert_eq!(metered(&world, (7, number), SOME), Answer::Counted, "{number}");
    }
    assert_eq!(metered(&world, (7, 11), SOME), Answer::Unavailable);
    use_up_a_day(&world, 30);
    assert_eq!(metered(&world, (7, 12), SOME), Answer::Unavailable);
}

#[test]
fn what_a_facilitators_client_has_sold_speaks_for_nobody() {
    let world = world_where_a_transfer_costs(4_000);
    begin_a_day(&world);
    assert_eq!(metered(&world, (7, 1), ALL), Answer::Counted);
    world.tables.give_sales_to_a_client();
    use_up_a_day(&world, 10);
    assert_eq!(metered(&world, (7, 2), SOME), Answer::Unavailable);
}

#[test]
fn what_came_to_nothing_since_hides_nothing_that_was_paid() {
    let world = world_where_a_transfer_costs(4_000);
    begin_a_day(&world);
    assert_eq!(metered(&world, (7, 1), ALL), Answer::Counted);
    for number in 2..=60 {
        let payment = Payment::by_use(7, number, 30 * 86_400);
        let free = told(&world, &payment, Some("{\"amount\":\"0\"}"));
        assert!(free.now().is_delivery(), "{number}");
    }
    use_up_a_day(&world, 10);
    assert_eq!(metered(&world, (7, 61), SOME), Answer::Counted);
}

#[test]
fn where_even_the_most_is_not_worth_its_fee_nobody_is_given_anything() {
    let world = world_where_a_transfer_costs(20_000);
    for (number, overrides) in [(1, "{\"amount\":\"3000\"}"), (2, "{\"amount\":\"100%\"}")] {
        let payment = payment(1, number);
        assert_eq!(told(&world, &payment, Some(overrides)).now(), Answer::Unavailable);
        assert!(world.tables.record(&payment.id).is_none());
    }
    assert_eq!((world.chain.borrow().count(), world.deliveries.borrow().len()), (0, 0));
}

/// Holds a payment for a gate that tells what was used so far, and is not heard
/// of again; while no node answers.
fn owed(world: &Rc<World>, payment: &Payment, used: u128) -> UseReport {
    let order = buyer(world, payment, &[ALL]).order();
    let (id, ticket) = (order.claim.payment.clone(), order.claim.ticket);
    assert!(world.claim(&order.claim).is_claimed());
    let asker = Rc::clone(world);
    let held = world.wait(async move {
        asker
            .ask(|it| async move { it.hold(Rc::unwrap_or_clone(order.settle)).await })
            .await
            .unwrap()
            .unwrap()
    });
    assert_eq!(held, HoldReply::Held);
    let used = AtomicAmount(used);
    let so_far = RenewRequest { payment: id, ticket, seconds: 35, used: Some(used) };
    assert!(world.settler().renew(&so_far).unwrap());
    nodes_are_silent(world, true);
    while !matches!(state(world, payment), State::Owed { .. }) {
        world.run_for(500);
    }
    UseReport { payment: so_far.payment, ticket, used }
}

fn nodes_are_silent(world: &Rc<World>, is_on: bool) {
    let silent: Temper = Box::new(|_, _| Some(Err(TransportError::Unreachable)));
    *world.temper.borrow_mut() = is_on.then_some(silent);
}

/// Tells it until it is heard, as a gate does.
fn tell(world: &Rc<World>, report: &UseReport) {
    while world.settler().charge_used(report).is_err() {
        world.run_for(1_000);
    }
}

#[test]
fn what_is_told_late_takes_the_place_of_what_was_told_last() {
    for (last, late) in [(1_230, AMOUNT), (AMOUNT, 1_230), (1_230, 9 * AMOUNT)] {
        let world = world();
        let payment = payment(1, 1);
        let report = owed(&world, &payment, last);
        let late = UseReport { used: AtomicAmount(late), ..report };
        tell(&world, &late);
        nodes_are_silent(&world, false);
        world.run_for(A_WHILE);
        // Never more than the most.
        let charged = late.used.0.min(AMOUNT);
        assert_eq!(moved(&world, &payment), [charged]);
        assert_eq!(settlement(&world, &payment).amount, AtomicAmount(charged));
        // What is settled stays so, whatever is told.
        world.settler().charge_used(&UseReport { used: AtomicAmount(1), ..late }).unwrap();
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &payment), [charged]);
    }
}

#[test]
fn nothing_that_is_told_late_settles_nothing() {
    let world = world();
    let payment = payment(1, 1);
    let report = owed(&world, &payment, 1_230);
    tell(&world, &UseReport { used: AtomicAmount(0), ..report });
    nodes_are_silent(&world, false);
    world.run_for(A_WHILE);
    let settled = settlement(&world, &payment);
    assert_eq!((settled.transaction.as_str(), settled.amount.0), ("", 0));
    assert_eq!(world.chain.borrow().count(), 0);
    // Nothing of it is at stake any more.
    for number in 2..6 {
        assert_eq!(buyer(&world, &self::payment(1, number), &[ALL]).now(), Answer::Counted);
    }
}

#[test]
fn what_a_dead_gate_has_left_is_tried_again_by_itself() {
    let world = world();
    let payment = payment(1, 1);
    owed(&world, &payment, 1_230);
    world.run_for(60_000);
    nodes_are_silent(&world, false);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [1_230]);
}

#[test]
fn what_is_told_after_something_was_sent_changes_nothing() {
    let world = world();
    let payment = payment(1, 1);
    let report = owed(&world, &payment, 1_230);
    world.crash();
    // Its transaction has ended without it.
    let attempts = Attempts { seen_block: 1, hashes: vec!["0x1".into()], ..Attempts::default() };
    let record = world.tables.record(&payment.id).unwrap();
    let record = PaymentRecord { attempts: Some(attempts), ..record };
    let rows = [(payment.id.clone(), edge402::json::to_text(&record))];
    world.tables.load([rows.into(), BTreeMap::new()]);
    tell(&world, &UseReport { used: AtomicAmount(AMOUNT), ..report });
    let State::Owed { order, .. } = state(&world, &payment) else { panic!() };
    assert_eq!(order.request.charge, Some(AtomicAmount(1_230)));
}

#[test]
fn what_another_ticket_tells_late_changes_nothing() {
    let world = world();
    let payment = payment(1, 1);
    let report = owed(&world, &payment, 1_230);
    let other = UseReport { ticket: report.ticket ^ 1, used: AtomicAmount(AMOUNT), ..report };
    world.settler().charge_used(&other).unwrap();
    nodes_are_silent(&world, false);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [1_230]);
}

#[test]
fn who_burns_gas_on_what_he_owes_shuts_out_nobody_else() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(2_000_000);
    let world = World::new(&setup);
    let owes: Vec<_> = (1..=3).map(|number| Payment::by_use(number, 1, 3_500)).collect();
    for payment in &owes {
        assert_eq!(buyer(&world, payment, &[WORDS, SOME]).now(), Answer::Counted);
    }
    for number in 1..=3 {
        world.chain.borrow_mut().codes.insert(payer(number).address(), Code::Burns);
    }
    // Well within one hour, counted from 1970.
    world.run_for(900_000);
    let burnt = world.chain.borrow().burnt();
    // One transaction each as somebody who has burnt nothing, and then together
    // no more than the half.
    assert!(burnt > 500_000 && burnt <= 1_000_000, "{burnt} gas");
    // Others are sold to as ever, and it is collected from them.
    let honest = Payment::by_use(7, 1, 3_500);
    assert_eq!(buyer(&world, &honest, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &honest), [AMOUNT]);
}
