//! Where blocks come seldom, whoever can't be told the end in time hears so at once.

use std::rc::Rc;

use crate::sim::chain::Code;
use crate::sim::{Buyer, Handle, Payment, Setup, World, payer};
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
fn where_blocks_have_little_gas_no_more_is_promised_than_fits() {
    // How long blocks take, in milliseconds, how much gas they have, and how much of that
    // others use: as on Gnosis, and on Ethereum once half as large.
    for (block_ms, gas, others) in [(5_000, 17_000_000, 9_000_000), (12_000, 22_000_000, 9_000_000)]
    {
        let world = world(block_ms);
        (world.chain.borrow_mut().block_gas, world.chain.borrow_mut().others_gas) = (gas, others);
        warm_up(&world);
        // What a payment uses is known once some have shared a transaction.
        let few: Vec<_> = (0..80).map(|it| settle(&world, payment(8_000 + it))).collect();
        for it in &few {
            assert!(matches!(world.take(it).0, Outcome::Settled(_)));
        }
        let crowd: Vec<_> = (0..1_400).map(|it| settle(&world, payment(it))).collect();
        world.run_for(WAIT_MS + 5_000);
        let told: Vec<_> = crowd.iter().map(|it| world.take(it)).collect();
        let count = |is: fn(&Told) -> bool| told.iter().filter(|it| is(it)).count();
        let settled = count(|(outcome, _)| matches!(outcome, Outcome::Settled(_)));
        let at_once =
            count(|(outcome, ms)| matches!(outcome, Outcome::Crowded { .. }) && *ms < 1_000);
        assert_eq!(settled + at_once, 1_400, "of blocks with {gas} gas: {settled} {at_once}");
        // What is left of a block has no room for another whole transaction.
        let blocks = WAIT_MS / block_ms;
        assert!(settled as u64 >= blocks * (gas - others) / 80_000, "{settled} in {blocks}");
    }
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

/// The payments of a payer, from one number to before another.
fn payments_of(payer_number: u8, numbers: std::ops::Range<u8>) -> Vec<Payment> {
    numbers.map(|number| Payment::new(payer_number, number, 9_000)).collect()
}

fn settle_all(world: &Rc<World>, payments: Vec<Payment>) -> Vec<Handle<Told>> {
    payments.into_iter().map(|it| settle(world, it)).collect()
}

fn is_crowded(told: &Handle<Told>) -> bool {
    matches!(*told.borrow(), Some((Outcome::Crowded { .. }, _)))
}

/// Gives a payer an account with code, and this balance.
fn give_code(world: &World, payer_number: u8, balance: u128) {
    let mut chain = world.chain.borrow_mut();
    chain.codes.insert(payer(payer_number).address(), Code::Honest);
    chain.balances.insert(payer(payer_number).address(), balance);
}

#[test]
fn many_payments_of_few_payers_turn_no_newcomer_away() {
    let world = world(12_000);
    warm_up(&world);
    let many: Vec<_> = (1..=20).flat_map(|it| payments_of(it, 0..60)).collect();
    let crowd = settle_all(&world, many);
    // Payers take turns: twenty payments go before this one.
    let newcomer = settle(&world, payment(100));
    assert!(matches!(world.take(&newcomer).0, Outcome::Settled(_)));
    drop(crowd);
}

#[test]
fn of_many_payments_of_one_payer_the_last_hear_at_once_that_they_are_late() {
    let world = world(12_000);
    warm_up(&world);
    let told = settle_all(&world, payments_of(7, 0..60));
    world.run_for(WAIT_MS + 5_000);
    // Sixteen of one payer are in the air at once.
    let told: Vec<_> = told.iter().map(|it| world.take(it)).collect();
    let settled = told.iter().filter(|(it, _)| matches!(it, Outcome::Settled(_))).count();
    let is_late = |(it, ms): &&Told| matches!(it, Outcome::Crowded { .. }) && *ms < 1_000;
    let late = told.iter().filter(is_late).count();
    assert_eq!((settled, settled + late), (32, 60), "{told:?}");
}

#[test]
fn one_payer_without_money_turns_away_no_other_that_goes_alone() {
    let world = world(2_000);
    give_code(&world, 201, 0);
    give_code(&world, 202, 1_000_000);
    warm_up(&world);
    // Both are known to go alone from here on.
    let first: Vec<_> = [201, 202].map(|it| settle(&world, Payment::new(it, 0, 9_000))).into();
    world.run_for(5_000);
    assert!(matches!(world.take(&first[0]).0, Outcome::Failed { .. }));
    assert!(matches!(world.take(&first[1]).0, Outcome::Settled(_)));
    let attack = settle_all(&world, payments_of(201, 1..61));
    let honest = settle(&world, Payment::new(202, 1, 9_000));
    assert!(matches!(world.take(&honest).0, Outcome::Settled(_)));
    drop(attack);
}

#[test]
fn payers_without_money_who_go_alone_are_told_apart_from_those_who_share() {
    let world = world(2_000);
    let attackers = 150..250;
    for number in attackers.clone() {
        give_code(&world, number, 0);
    }
    give_code(&world, 101, 1_000_000);
    warm_up(&world);
    let send = |number: u8| {
        let of_each = attackers.clone().map(|it| Payment::new(it, number, 9_000));
        settle_all(&world, of_each.collect())
    };
    let attack = send(0);
    let honest = settle(&world, Payment::new(101, 0, 9_000));
    world.run_for(12_000);
    assert!(attack.iter().all(|it| it.borrow().is_some()));
    assert!(matches!(world.take(&honest).0, Outcome::Settled(_)));
    // Whoever shares has money, a hundred times over.
    let sharing = settle_all(&world, (0..100).map(payment).collect());
    world.run_for(5_000);
    assert!(sharing.iter().all(|it| matches!(world.take(it).0, Outcome::Settled(_))));
    let attack = send(1);
    let honest = settle(&world, Payment::new(101, 1, 9_000));
    world.run_for(100);
    assert!(!is_crowded(&honest));
    assert!(matches!(world.take(&honest).0, Outcome::Settled(_)));
    drop(attack);
}

#[test]
fn who_shares_turns_away_nobody_who_goes_alone() {
    let world = world(12_000);
    let (wallet, signature) = (edge402::evm::Address::new([0x77; 20]), [7; 90]);
    world.chain.borrow_mut().codes.insert(wallet, Code::Honest);
    world.chain.borrow_mut().wallets.insert(wallet, signature.to_vec());
    warm_up(&world);
    let crowd: Vec<_> = (0..700).map(|it| settle(&world, payment(it))).collect();
    world.run_for(500);
    assert!(crowd.iter().any(is_crowded));
    let told = settle(&world, Payment::of_wallet(wallet, 1, &signature));
    assert!(matches!(world.take(&told).0, Outcome::Settled(_)));
}
