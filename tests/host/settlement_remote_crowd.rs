//! How many payments a facilitator has at once, and who hears that there are too many.

use std::rc::Rc;

use serde_json::json;

use crate::remote_support::{Does, SimFacilitator, payment, settle_request, world};
use crate::sim::{Answer, Handle, Payment, World};
use edge402::settlement::{ClaimReply, Outcome, SettleRequest};

/// How many payments may be open at a facilitator.
const OPEN_MAX: usize = 4_096;

/// The payment with this number.
fn of_crowd(number: usize) -> Payment {
    Payment::of_crowd(number, 9_000)
}

fn start_all(
    facilitator: &Rc<SimFacilitator>,
    numbers: std::ops::Range<usize>,
) -> Vec<Handle<Answer>> {
    numbers.map(|number| facilitator.start_buy(&of_crowd(number), "a")).collect()
}

/// A facilitator that takes two seconds for each, as those see who have bought there.
fn busy_world() -> (Rc<World>, Rc<SimFacilitator>) {
    let (world, facilitator) = world(false);
    facilitator.settle_ms.set(2_000);
    for number in 0..4 {
        assert!(facilitator.buy_now(&of_crowd(9_000 + number), "a").is_delivery());
    }
    (world, facilitator)
}

#[test]
fn of_a_crowd_each_is_sold_to_or_hears_before_its_origin_works() {
    let (world, facilitator) = busy_world();
    let asked = world.asked.get();
    let crowd = start_all(&facilitator, 0..300);
    world.run_for(30_000);
    let told: Vec<_> = crowd.iter().map(|it| world.take(it)).collect();
    let sold = told.iter().filter(|it| it.is_delivery()).count();
    let late = told.iter().filter(|it| matches!(it, Answer::Crowded(1..=60))).count();
    // Four at once, each for two seconds.
    assert!((40..=50).contains(&sold), "{sold} of {told:?}");
    assert_eq!(sold + late, 300, "nobody waits in vain");
    assert_eq!(world.asked.get() - asked, sold, "no origin works in vain");
    assert_eq!(world.tables.entries().len(), 0);
}

#[test]
fn whoever_comes_again_when_told_is_sold_to() {
    let (world, facilitator) = busy_world();
    let buyers: Vec<_> = (0..150)
        .map(|number| {
            let (world, facilitator) = (Rc::clone(&world), Rc::clone(&facilitator));
            Rc::clone(&world).start(async move {
                for times in 1..20 {
                    let buyer = Rc::clone(&facilitator).buy(of_crowd(number), "a".into());
                    match buyer.await {
                        Answer::Delivered(_) => return times,
                        Answer::Crowded(seconds) => world.clock.sleep(seconds * 1_000).await,
                        other => panic!("{other:?}"),
                    }
                }
                panic!("turned away again and again")
            })
        })
        .collect();
    world.run_for(120_000);
    let times: Vec<u32> = buyers.iter().map(|it| world.take(it)).collect();
    assert!(times.iter().max().unwrap() <= &4, "{:?}", times.iter().max());
    assert_eq!(world.chain.borrow().transfers.len(), 154);
}

#[test]
fn those_whom_the_facilitator_calls_bad_turn_nobody_away() {
    let (world, facilitator) = busy_world();
    facilitator.verify_ms.set(1_000);
    let bad = json!({ "isValid": false, "invalidReason": "insufficient_funds" });
    facilitator.verifies.borrow_mut().extend(vec![Does::Says(200, bad.clone()); 40]);
    let first = start_all(&facilitator, 0..40);
    world.run_for(5_000);
    assert!(first.iter().all(|it| matches!(world.take(it), Answer::Refused(_))));
    facilitator.verifies.borrow_mut().extend(vec![Does::Says(200, bad); 200]);
    let second = start_all(&facilitator, 200..400);
    world.run_for(500);
    let honest = facilitator.start_buy(&of_crowd(500), "a");
    assert!(world.take(&honest).is_delivery());
    drop(second);
}

#[test]
fn a_facilitator_that_answers_soon_turns_nobody_away() {
    let (world, facilitator) = busy_world();
    facilitator.settle_ms.set(0);
    // What was seen long ago says nothing.
    world.run_for(700_000);
    for number in 0..4 {
        assert!(facilitator.buy_now(&of_crowd(8_000 + number), "a").is_delivery());
    }
    let crowd = start_all(&facilitator, 0..200);
    world.run_for(20_000);
    assert!(crowd.iter().all(|it| world.take(it).is_delivery()));
}

/// What nobody tells the end of is asked after, and keeps nobody from buying.
#[test]
fn old_ones_do_not_take_the_turns_of_new_ones() {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    let buyer = facilitator.start_buy(&payment, "a");
    world.run_for(1_000);
    world.crash();
    world.tables.open_more(&payment.id, (0..300).map(|number| other(&payment, number)));
    // Each takes as long as is waited for it.
    *facilitator.silent_of.borrow_mut() = Some(payment);
    world.settler();
    world.run_for(95_000);
    let started = world.clock.now_ms();
    assert!(facilitator.buy_now(&of_crowd(77), "a").is_delivery());
    assert!(world.clock.now_ms() - started < 3_000);
    drop(buyer);
}

/// The identity of another payer's payment.
fn other(payment: &Payment, number: usize) -> String {
    let (asset, rest) = payment.id.split_at(payment.id.find("/0x").unwrap() + 44);
    let nonce = &rest[42..];
    format!("{asset}0x{number:040x}{nonce}")
}

/// So many payments are open, and the Settler comes to life.
fn world_with_open(count: usize) -> (Rc<World>, Rc<SimFacilitator>, Payment) {
    let (world, facilitator) = world(false);
    let payment = payment(1);
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 100_000]);
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Pending(None)));
    world.crash();
    world.tables.open_more(&payment.id, (1..count).map(|number| other(&payment, number)));
    world.tables.rows_read.set(0);
    (world, facilitator, payment)
}

#[test]
fn where_too_many_are_open_nothing_more_is_sold() {
    let (world, facilitator, _) = world_with_open(OPEN_MAX);
    let (late, asked) = (of_crowd(77), world.asked.get());
    assert!(matches!(facilitator.buy_now(&late, "a"), Answer::Crowded(1..=30)));
    assert_eq!((world.asked.get(), facilitator.count("/verify")), (asked, 1));
    assert!(world.tables.record(&late.id).is_none(), "the claim is free");
    // Nor to whoever has claimed before.
    let request = world.claim_request(&late, "a");
    assert_eq!(world.claim(&request), ClaimReply::Crowded { seconds: 30 });
    assert_eq!(world.tables.entries().len(), OPEN_MAX);
}

#[test]
fn what_is_open_comes_to_its_end_by_and_by() {
    let (world, facilitator, first) = world_with_open(500);
    facilitator.settles.borrow_mut().clear();
    facilitator.is_idempotent.set(true);
    world.settler();
    world.run_for(1_000);
    assert!(facilitator.buy_now(&of_crowd(77), "a").is_delivery());
    world.run_for(18 * 60_000);
    // All are the same authorization: one of them is paid.
    assert_eq!(world.chain.borrow().transfers_of(&first).len(), 1);
    assert!(world.tables.entries().is_empty());
}

#[test]
fn a_life_that_begins_reads_a_part_of_what_is_open() {
    let (world, _, payment) = world_with_open(2_000);
    world.settler();
    assert!(world.tables.rows_read.get() <= 300, "{}", world.tables.rows_read.get());
    // One that asks after a payment that is pending has its own row read.
    world.run_for(40_000);
    world.tables.rows_read.set(0);
    let claim = world.claim_request(&payment, "a");
    assert!(matches!(world.claim(&claim), ClaimReply::Pending { .. }));
    let read = world.tables.rows_read.get();
    assert!(read <= 600, "{read} in 25 seconds");
}

#[test]
fn of_one_payer_no_more_are_open_than_so_many() {
    let (world, facilitator) = world(false);
    let of_one = |number: u8| Payment::new(1, number, 9_000);
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 100_000]);
    let mut open = 0;
    for round in 0..8 {
        let some: Vec<_> =
            (0..10).map(|it| facilitator.start_buy(&of_one(10 * round + it), "a")).collect();
        world.run_for(90_000);
        open += some.iter().filter(|it| matches!(world.take(it), Answer::Pending(None))).count();
        // A restart doesn't change it.
        world.crash();
    }
    assert_eq!((open, world.tables.entries().len()), (64, 64));
    assert!(matches!(facilitator.buy_now(&of_one(200), "a"), Answer::Crowded(_)));
    facilitator.settles.borrow_mut().clear();
    assert!(facilitator.buy_now(&of_crowd(90), "a").is_delivery(), "another payer");
}

#[test]
fn whoever_has_claimed_before_hears_it_when_it_is_to_be_settled() {
    let (world, facilitator) = world(false);
    facilitator.settle_ms.set(2_000);
    let claimed = |number: usize| {
        let claim = world.claim_request(&of_crowd(number), "a");
        assert_eq!(world.claim(&claim), ClaimReply::Fresh);
        facilitator.payments.borrow_mut().push(of_crowd(number));
        settle_request(&of_crowd(number), &claim)
    };
    let requests: Vec<_> = (0..124).map(claimed).collect();
    let settle = |request: &SettleRequest| {
        let (settler, request) = (world.settler(), request.clone());
        world.start(async move { settler.settle(request).await.unwrap() })
    };
    let (first, others) = requests.split_at(4);
    let first: Vec<_> = first.iter().map(settle).collect();
    assert!(first.iter().all(|it| matches!(world.take(it), Outcome::Settled(_))));
    let others: Vec<_> = others.iter().map(settle).collect();
    let told: Vec<_> = others.iter().map(|it| world.take(it)).collect();
    let late = told.iter().filter(|it| matches!(it, Outcome::Crowded { seconds: 1..=60 })).count();
    let sold = told.iter().filter(|it| matches!(it, Outcome::Settled(_))).count();
    assert_eq!(late + sold, 120, "{told:?}");
    assert!(late > 0);
}
