//! What one relayer and several get through, in virtual time.

use std::cell::Cell;
use std::rc::Rc;

use crate::sim::{Handle, Payment, Setup, World, payer};
use edge402::evm::Address;
use edge402::rpc::PostAnswer;
use edge402::settlement::relayer::relayer_for;
use edge402::settlement::{ClaimReply, Outcome};

/// As many as share a transaction, and as many of a crowd, if `NETWORKS.batch_max` says
/// nothing.
const BATCH_MAX: usize = 40;
const CROWD_MAX: usize = 100;

/// More than a preview, and its estimate, of as many payments as always share a
/// transaction, and less than those of a crowd's.
const LARGEST_MESSAGE: usize = 120_000;
const LARGEST_ESTIMATE: usize = 45_000;

/// With blocks of two seconds, and transactions of so many payments of a crowd.
fn world(crowd_max: usize) -> Rc<World> {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    setup.limits.batch_max = BATCH_MAX;
    setup.limits.crowd_max = crowd_max;
    let world = World::new(&setup);
    world.chain.borrow_mut().token_balance = u128::MAX / 2;
    world.chain.borrow_mut().relayer_balance = u128::MAX / 2;
    world
}

/// The payment with this number.
fn payment(number: usize) -> Payment {
    Payment::of_crowd(number, 3_000)
}

async fn claim_and_settle(world: Rc<World>, payment: Payment) -> Option<Outcome> {
    let claim = world.claim_request(&payment, "a");
    let request = payment.settle_request(&claim);
    let claimed = world.ask(|it| async move { it.claim(&claim).await }).await?.unwrap();
    assert_eq!(claimed, ClaimReply::Fresh);
    world.ask(|it| async move { it.settle(request).await }).await.map(Result::unwrap)
}

fn is_settled(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Settled(_)))
}

/// So many buyers at once, and what became of it: the payments in each transaction, and
/// how many blocks there were until the last was sold to.
fn sell_to(world: &Rc<World>, count: usize) -> (Vec<usize>, u64) {
    let before = world.chain.borrow().height();
    let buyers: Vec<Handle<Option<Outcome>>> =
        (0..count).map(|it| world.start(claim_and_settle(Rc::clone(world), payment(it)))).collect();
    let settled = buyers.iter().filter(|it| is_settled(world.take(it).as_ref())).count();
    assert_eq!(settled, count);
    let (shares, blocks) = {
        let chain = world.chain.borrow();
        (chain.shares(), chain.height() - before)
    };
    assert_eq!(shares.iter().sum::<usize>(), count);
    world.run_for(60_000);
    assert!(world.tables.entries().is_empty());
    (shares, blocks)
}

#[test]
fn two_thousand_at_once_are_sold_to_by_one_relayer() {
    let (shares, blocks) = sell_to(&world(0), 2_000);
    assert!(shares.iter().all(|it| *it <= BATCH_MAX), "{shares:?}");
    assert!(blocks <= 9, "320 to a block, but for the first and the last: {blocks} blocks");
}

#[test]
fn a_crowd_shares_larger_transactions() {
    let (shares, blocks) = sell_to(&world(CROWD_MAX), 1_000);
    assert_eq!(shares.iter().max(), Some(&CROWD_MAX), "{shares:?}");
    assert!(blocks <= 3, "800 to a block, and by 40 it would be 320: {blocks} blocks");
}

#[test]
fn one_without_money_in_each_transaction_makes_it_no_smaller() {
    let world = world(CROWD_MAX);
    for number in [60, 140, 220] {
        world.chain.borrow_mut().balances.insert(payer(number).address(), 0);
    }
    let buyers: Vec<_> = (0..1_000)
        .map(|it| world.start(claim_and_settle(Rc::clone(&world), payment(it))))
        .collect();
    let settled = buyers.iter().filter(|it| is_settled(world.take(it).as_ref())).count();
    assert_eq!(settled, 1_000 - 3 * 4);
    let shares = world.chain.borrow().shares();
    assert!(shares.len() <= 14, "one alone, a few of 40, and then some 100 each: {shares:?}");
}

#[test]
fn those_who_fit_into_the_next_block_share_smaller_transactions() {
    let (shares, blocks) = sell_to(&world(CROWD_MAX), 250);
    assert!(shares.iter().all(|it| *it <= BATCH_MAX), "{shares:?}");
    assert!(blocks <= 2, "{blocks} blocks");
}

#[test]
fn a_crowd_goes_in_smaller_transactions_where_nodes_take_no_larger_messages() {
    let world = world(CROWD_MAX);
    let refused = Rc::new(Cell::new(0));
    let count = Rc::clone(&refused);
    *world.temper.borrow_mut() = Some(Box::new(move |_, message| {
        let is_large = message.to_string().len() > LARGEST_MESSAGE;
        count.set(count.get() + usize::from(is_large));
        is_large.then(|| Ok(PostAnswer { status: 413, body: "too large".into() }))
    }));
    let (shares, _) = sell_to(&world, 600);
    assert!(shares.iter().all(|it| *it <= BATCH_MAX), "{shares:?}");
    assert!(refused.get() <= 4, "one preview, whole and in pieces: {}", refused.get());
}

#[test]
fn a_crowd_shares_no_larger_transaction_without_an_estimate() {
    let world = world(CROWD_MAX);
    *world.hook.borrow_mut() = Some(Box::new(|_, method, params| {
        let is_large = params.to_string().len() > LARGEST_ESTIMATE;
        let is_refused = method == "eth_estimateGas" && is_large;
        is_refused.then_some(Err((-32_000, "gas required exceeds allowance (4000000)")))
    }));
    let (shares, _) = sell_to(&world, 600);
    assert!(shares.iter().all(|it| *it <= BATCH_MAX), "{shares:?}");
}

#[test]
fn relayers_have_about_as_many_payers_each() {
    for (relayers, most) in [(2, 1.05), (8, 1.1), (64, 1.3)] {
        let keys: Vec<_> = (1..=relayers).map(|it| Address::new([it; 20])).collect();
        let mut counts = vec![0_u32; keys.len()];
        for payer in 0..10_000_u32 {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&payer.wrapping_mul(2_654_435_761).to_be_bytes());
            let owner = relayer_for(&Address::new(bytes), &keys).unwrap();
            counts[keys.iter().position(|it| *it == owner).unwrap()] += 1;
        }
        let busiest = f64::from(*counts.iter().max().unwrap()) * f64::from(relayers) / 10_000.0;
        assert!(busiest < most, "the busiest of {relayers} has {busiest:.2} times its share");
    }
}
