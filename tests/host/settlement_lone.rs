//! Payers with code whose payments come to nothing: they hold up no customer.

use std::rc::Rc;

use crate::sim::chain::Code;
use crate::sim::{Answer, Handle, Payment, Setup, World, pay_to, payer};
use edge402::settlement::{ClaimReply, Outcome};

/// Who attacks, and who buys.
const ATTACKERS: std::ops::RangeInclusive<u8> = 1..=240;
const CUSTOMER: u8 = 250;

/// What became of a request, and after how many milliseconds.
type Told = (Outcome, u64);

/// A world in which they all have code, and the attackers no money.
fn world() -> Rc<World> {
    world_with(&Setup::default())
}

fn world_with(setup: &Setup) -> Rc<World> {
    let world = World::new(setup);
    let mut chain = world.chain.borrow_mut();
    for number in ATTACKERS.chain([CUSTOMER]) {
        chain.codes.insert(payer(number).address(), Code::Honest);
    }
    for number in ATTACKERS {
        chain.balances.insert(payer(number).address(), 0);
    }
    drop(chain);
    world
}

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

/// One payment of each attacker.
fn attack(world: &Rc<World>, number: u8) -> Vec<Handle<Told>> {
    ATTACKERS.map(|it| settle(world, Payment::new(it, number, 9_000))).collect()
}

/// Asserts that a customer with code is sold to within so many milliseconds.
fn assert_sold(world: &Rc<World>, number: u8, within_ms: u64) {
    let (outcome, ms) = world.take(&settle(world, Payment::new(CUSTOMER, number, 9_000)));
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    assert!(ms <= within_ms, "after {ms} ms");
}

fn assert_refused(world: &Rc<World>, told: &[Handle<Told>]) {
    for it in told {
        let (outcome, _) = world.take(it);
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
}

#[test]
fn new_accounts_with_code_and_no_money_are_refused_together() {
    let world = world();
    let posts = world.posts.get();
    assert_refused(&world, &attack(&world, 1));
    let posts = world.posts.get() - posts;
    assert!(posts < 40, "{posts} messages for {} payments", ATTACKERS.count());
    assert_sold(&world, 1, 4_000);
}

/// Gives the attackers money.
fn enrich(world: &World) {
    for number in ATTACKERS {
        world.chain.borrow_mut().balances.insert(payer(number).address(), 1_000_000);
    }
}

/// They have money, and each pays for what lands; most can't in the time there is.
#[test]
fn new_accounts_with_code_leave_room_for_those_without() {
    let world = world();
    enrich(&world);
    let crowd: Vec<_> = (1..=9).flat_map(|number| attack(&world, number)).collect();
    world.run_for(12_000);
    world.chain.borrow_mut().codes.remove(&payer(CUSTOMER).address());
    assert_sold(&world, 1, 12_000);
    let told: Vec<_> = crowd.iter().map(|it| world.take(it).0).collect();
    assert!(told.iter().any(|it| matches!(it, Outcome::Crowded { .. })), "no line is endless");
    assert!(told.iter().any(|it| matches!(it, Outcome::Settled(_))));
}

/// Without blocks nobody can tell how fast the line moves, but that it is full.
#[test]
fn a_full_line_is_told_before_the_origin_is_asked() {
    let world = world_with(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    enrich(&world);
    // The origin of this one takes so long that the line is full by then.
    let slow = Payment::new(2, 20, 9_000);
    let slow_claim = world.claim_request(&slow, "a");
    let (settler, claim) = (world.settler(), slow_claim.clone());
    let claimed = world.wait(async move { settler.claim(&claim).await });
    assert_eq!(claimed, Ok(ClaimReply::Fresh));
    let crowd: Vec<_> = (1..=4).flat_map(|number| attack(&world, number)).collect();
    world.run_for(5_000);
    let (asked, late) = (world.asked.get(), Payment::new(1, 20, 9_000));
    let answer = world.buy_now(&late, "a");
    assert!(matches!(answer, Answer::Crowded(1..=30)), "{answer:?}");
    assert_eq!(world.asked.get(), asked, "the origin has worked in vain");
    let outcome = world.settle(&slow, &slow_claim);
    assert!(matches!(outcome, Outcome::Crowded { seconds: 1..=30 }), "{outcome:?}");
    // By when they are told to come again those that wait have left.
    world.run_for(25_000);
    assert!(crowd.iter().all(|it| it.borrow().is_some()));
    let again = world.start_buy(&late, "a");
    world.run_for(1_000);
    assert_eq!(world.asked.get(), asked + 1);
    assert!(again.borrow().is_none(), "it waits for a block");
}

/// What they had waiting before anybody knew of their code goes where they go.
#[test]
fn few_accounts_with_code_and_many_payments_fill_no_line_but_their_own() {
    let world = world_with(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    enrich(&world);
    world.chain.borrow_mut().codes.remove(&payer(CUSTOMER).address());
    let payments = (1..=63).flat_map(|number| (1..=33).map(move |it| (it, number)));
    let start = |(it, number)| settle(&world, Payment::new(it, number, 9_000));
    let crowd: Vec<_> = payments.map(start).collect();
    world.run_for(4_000);
    let _late: Vec<_> = (34..=44).map(|it| start((it, 1))).collect();
    world.run_for(1_000);
    let customer = settle(&world, Payment::new(CUSTOMER, 1, 9_000));
    world.run_for(1_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    let (outcome, _) = world.take(&customer);
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    let told = crowd.iter().filter(|it| it.borrow().is_some()).count();
    assert!(told > crowd.len() / 2, "{told} of {} know that there is no place", crowd.len());
}

#[test]
fn whoever_was_refused_alone_comes_after_those_who_were_not() {
    let world = world();
    assert_sold(&world, 1, 4_000);
    assert_refused(&world, &attack(&world, 1));
    for number in 2..5 {
        let again = attack(&world, number);
        assert_sold(&world, number, 5_000);
        let crowded = |it: &&Handle<Told>| matches!(world.take(it).0, Outcome::Crowded { .. });
        let told = again.iter().filter(crowded).count();
        assert!(told >= ATTACKERS.count() - 8, "{told} are to come again later");
    }
    // By itself each is looked at as ever.
    let (outcome, _) = world.take(&settle(&world, Payment::new(1, 9, 9_000)));
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

/// One account with code has a few places in the line, whether or not anybody knew of its
/// code when it came.
#[test]
fn one_account_with_code_has_few_places() {
    let world = world_with(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    enrich(&world);
    let start = |number| settle(&world, Payment::new(1, number, 9_000));
    let many: Vec<_> = (1..=60).map(start).collect();
    world.run_for(3_000);
    let told = many.iter().filter(|it| it.borrow().is_some());
    let told: Vec<_> = told.map(|it| world.take(it).0).collect();
    assert!(told.iter().all(|it| matches!(it, Outcome::Crowded { .. })), "{told:?}");
    assert_eq!(told.len(), 60 - 16);
    // One of the others is in the air, and has left a place.
    let _more = start(61);
    let (outcome, ms) = world.take(&start(62));
    assert!(matches!(outcome, Outcome::Crowded { seconds: 1..=30 }), "{outcome:?}");
    assert!(ms < 1_000, "it hears so at once");
    world.run_for(1_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    assert_sold_among(&world, &many);
}

/// Asserts that one of these is sold to next.
fn assert_sold_among(world: &Rc<World>, told: &[Handle<Told>]) {
    world.run_for(2_000);
    let sold = |it: &&Handle<Told>| {
        it.borrow().as_ref().is_some_and(|(outcome, _)| matches!(outcome, Outcome::Settled(_)))
    };
    assert_eq!(told.iter().filter(sold).count(), 1);
}

/// What has to wait for a later block, and comes back when the line is full, finds no place.
#[test]
fn what_is_put_back_into_a_full_line_is_told_so() {
    let world = world_with(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    enrich(&world);
    world.run_for(1_500);
    let now = world.clock.now().0;
    let new = settle(&world, Payment::within(pay_to(), CUSTOMER, 1, (now + 1, now + 9_000)));
    world.run_for(100);
    let _crowd: Vec<_> = (1..=4).flat_map(|number| attack(&world, number)).collect();
    world.run_for(8_000);
    let outcome = new.borrow().as_ref().map(|(outcome, _)| outcome.clone());
    assert!(matches!(outcome, Some(Outcome::Crowded { seconds: 1..=30 })), "{outcome:?}");
}
