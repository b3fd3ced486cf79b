//! Where blocks come seldom, whoever can't be told the end in time hears so at once.

use std::rc::Rc;

use crate::sim::{Buyer, Handle, Payment, Setup, World};
use edge402::settlement::{ClaimReply, Outcome};

/// How long a request waits for what becomes of its payment, in milliseconds.
const WAIT_MS: u64 = 25_000;

fn world(block_ms: u64) -> Rc<World> {
    let mut setup = Setup { block_ms, ..Setup::default() };
    setup.limits.batch_max = 40;
    let world = World::new(&setup);
    world.chain.borrow_mut().token_balance = u128::MAX / 2;
    world.chain.borrow_mut().relayer_balance = u128::MAX / 2;
    world
}

/// The payment with this number.
fn payment(number: usize) -> Payment {
    Payment::of_crowd(number, 9_000)
}

/// What became of a request, and after how many milliseconds.
type Told = (Outcome, u64);

/// Claims a payment and settles it.
fn settle(world: &Rc<World>, payment: Payment) -> Handle<Told> {
    let world = Rc::clone(world);
    Rc::clone(&world).start(async move {
        let claim = world.claim_request(&payment, "a");
        let request = payment.settle_request(&claim);
        let start = world.clock.now_ms();
        let claimed = world.ask(|it| async move { it.claim(&claim).await }).await.unwrap();
        if let ClaimReply::Crowded { seconds } = claimed.unwrap() {
            return (Outcome::Crowded { seconds }, world.clock.now_ms() - start);
        }
        let outcome = world.ask(|it| async move { it.settle(request).await }).await;
        (outcome.unwrap().unwrap(), world.clock.now_ms() - start)
    })
}

/// A few buy, one block after the other, so that the pace of the blocks is seen.
fn warm_up(world: &Rc<World>) {
    for number in 0..4 {
        assert!(matches!(
            world.take(&settle(world, payment(9_000 + number))).0,
            Outcome::Settled(_)
        ));
    }
}

#[test]
fn of_a_crowd_each_is_settled_or_hears_at_once_when_to_come_again() {
    let world = world(12_000);
    warm_up(&world);
    let crowd: Vec<_> = (0..1_000).map(|it| settle(&world, payment(it))).collect();
    world.run_for(WAIT_MS + 5_000);
    let told: Vec<_> = crowd.iter().map(|it| world.take(it)).collect();
    let count = |is: fn(&Told) -> bool| told.iter().filter(|it| is(it)).count();
    let settled = count(|(outcome, _)| matches!(outcome, Outcome::Settled(_)));
    // Two blocks of eight transactions, of 40 payments each.
    assert!((600..=680).contains(&settled), "{settled}");
    let at_once = count(|(outcome, ms)| {
        matches!(outcome, Outcome::Crowded { seconds: 1..=24 }) && *ms < 1_000
    });
    assert_eq!(settled + at_once, 1_000, "nobody waits in vain");
}

#[test]
fn whoever_comes_again_when_told_is_sold_to() {
    let world = world(12_000);
    warm_up(&world);
    let buyers: Vec<_> = (0..1_000)
        .map(|number| {
            let world = Rc::clone(&world);
            Rc::clone(&world).start(async move {
                for times in 1..20 {
                    let once = settle(&world, payment(number));
                    while once.borrow().is_none() {
                        world.clock.sleep(100).await;
                    }
                    match once.take().unwrap().0 {
                        Outcome::Settled(_) => return times,
                        Outcome::Crowded { seconds } => world.clock.sleep(seconds * 1_000).await,
                        other => panic!("{other:?}"),
                    }
                }
                panic!("turned away again and again")
            })
        })
        .collect();
    world.run_for(90_000);
    let times: Vec<u32> = buyers.iter().map(|it| world.take(it)).collect();
    assert!(times.iter().max().unwrap() <= &3, "{:?}", times.iter().max());
    assert_eq!(world.chain.borrow().transfers.len(), 1_004);
}

#[test]
fn the_origin_does_not_work_for_whoever_could_not_be_told() {
    let world = world(12_000);
    warm_up(&world);
    let crowd: Vec<_> = (0..700).map(|it| settle(&world, payment(it))).collect();
    world.run_for(500);
    let asked = world.asked.get();
    let late = Buyer::new(&world, &payment(800), "a");
    let crate::sim::Answer::Crowded(1..=24) = late.now() else { panic!() };
    assert_eq!(world.asked.get(), asked);
    assert!(world.tables.record(&payment(800).id).is_none(), "the claim is free");
    drop(crowd);
}

#[test]
fn payments_without_money_turn_nobody_away() {
    let world = world(12_000);
    warm_up(&world);
    // They are refused before a block comes, and take nobody's place in one.
    world.chain.borrow_mut().token_balance = 0;
    let first: Vec<_> = (0..400).map(|it| settle(&world, payment(it))).collect();
    world.run_for(10_000);
    assert!(first.iter().all(|it| matches!(world.take(it).0, Outcome::Failed { .. })));
    let second: Vec<_> = (400..1_100).map(|it| settle(&world, payment(it))).collect();
    world.run_for(10_000);
    assert!(second.iter().all(|it| matches!(world.take(it).0, Outcome::Failed { .. })));
}

#[test]
fn where_blocks_come_soon_nobody_is_turned_away() {
    let world = world(2_000);
    warm_up(&world);
    let crowd: Vec<_> = (0..1_000).map(|it| settle(&world, payment(it))).collect();
    let settled = |it: &&Handle<Told>| matches!(world.take(it).0, Outcome::Settled(_));
    assert_eq!(crowd.iter().filter(settled).count(), 1_000);
}
