//! How many payments a second one relayer and several get through, in virtual time.

use std::cell::Cell;
use std::rc::Rc;

use crate::sim::{Handle, Payment, Setup, World};
use edge402::evm::Address;
use edge402::settlement::relayer::relayer_for;
use edge402::settlement::{ClaimReply, Outcome};

/// As many as `NETWORKS.batch_max` says if it says nothing.
const BATCH_MAX: usize = 40;

fn world(block_ms: u64) -> Rc<World> {
    let mut setup = Setup { block_ms, has_sync: true, ..Setup::default() };
    setup.limits.batch_max = BATCH_MAX;
    let world = World::new(&setup);
    world.chain.borrow_mut().token_balance = u128::MAX / 2;
    world.chain.borrow_mut().relayer_balance = u128::MAX / 2;
    world
}

/// The payment with this number, of 250 payers in turn.
fn payment(number: usize) -> Payment {
    let of = |number: usize| u8::try_from(number).unwrap();
    Payment::new(of(number % 250), of(number / 250 % 250), 3_000)
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

#[test]
fn two_thousand_at_once_are_sold_to_by_one_relayer() {
    const CROWD: usize = 2_000;
    let world = world(2_000);
    let buyers: Vec<Handle<Option<Outcome>>> = (0..CROWD)
        .map(|it| world.start(claim_and_settle(Rc::clone(&world), payment(it))))
        .collect();
    let settled = buyers.iter().filter(|it| is_settled(world.take(it).as_ref())).count();
    assert_eq!(settled, CROWD);
    let chain = world.chain.borrow();
    assert_eq!(chain.shares().iter().sum::<usize>(), CROWD);
    let blocks = chain.height() - 1_000;
    assert!(blocks <= 9, "320 to a block, but for the first and the last: {blocks} blocks");
    drop(chain);
    world.run_for(60_000);
    assert!(world.tables.entries().is_empty());
}

fn float(number: impl TryInto<u32, Error: std::fmt::Debug>) -> f64 {
    f64::from(number.try_into().unwrap())
}

/// The gas of a payment that goes with 39 others, and of the eight transactions of a
/// relayer that may wait for a block.
const GAS_EACH: f64 = 45_525.0;
const GAS_OF_ALL: u64 = 14_600_000;

const RELAYERS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// What one relayer gets through in a second.
struct Rate {
    payments: f64,
    posts: f64,
}

/// Has so many buyers buy again and again, and counts for some blocks what the chain
/// has made of it.
fn rate(block_ms: u64, block_gas: u64, buyers: usize) -> Rate {
    let world = world(block_ms);
    world.chain.borrow_mut().block_gas = block_gas;
    let next = Rc::new(Cell::new(0_usize));
    for _ in 0..buyers {
        let (world, next) = (Rc::clone(&world), Rc::clone(&next));
        let clock = Rc::clone(&world.clock);
        clock.spawn(async move {
            loop {
                let number = next.replace(next.get() + 1);
                claim_and_settle(Rc::clone(&world), payment(number)).await;
                world.clock.sleep(200).await;
            }
        });
    }
    world.run_for(3 * block_ms);
    let made = || world.chain.borrow().transfers.len();
    let (before, posts) = (made(), world.posts.get());
    let seconds = (5 * block_ms / 1_000).max(10);
    world.run_for(1_000 * seconds);
    let per_second = |count: usize| float(count) / float(seconds);
    Rate { payments: per_second(made() - before), posts: per_second(world.posts.get() - posts) }
}

/// `cargo test --test host -- --ignored --nocapture payments_per_second`
#[test]
#[ignore = "prints figures, and takes minutes"]
fn payments_per_second() {
    println!("Payments/s, {BATCH_MAX} to a transaction at most, and the first limit:");
    for (block_ms, block_gas) in [(1_000, 30_000_000), (2_000, 120_000_000), (12_000, 30_000_000)] {
        let (seconds, million) = (block_ms / 1_000, block_gas / 1_000_000);
        let one = rate(block_ms, u64::MAX, 500);
        println!(
            "{seconds} s blocks: {:.0} with one relayer, and {:.1} requests to its node",
            one.payments, one.posts
        );
        println!("  with {million} M of the gas of each block for all relayers:");
        for relayers in RELAYERS {
            let share = block_gas / relayers;
            let by_gas = float(block_gas) / GAS_EACH / float(seconds);
            let (each, limit) = if share >= GAS_OF_ALL {
                (one.payments, "transactions that wait")
            } else {
                // A transaction needs 1.9 million: with less they take turns.
                (rate(block_ms, share.max(1_900_000), 500).payments, "gas of the block")
            };
            let all = (each * float(relayers)).min(by_gas);
            println!("  {relayers:>4} relayers {all:>8.0}  {limit}");
        }
    }
    println!("The busiest relayer’s share of 10,000 payers, as a multiple of an even one:");
    for relayers in RELAYERS {
        let count = u8::try_from(relayers).unwrap();
        let keys: Vec<_> = (0..count).map(|it| Address::new([it + 1; 20])).collect();
        let mut counts = vec![0_u32; keys.len()];
        for payer in 0..10_000_u32 {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&payer.wrapping_mul(2_654_435_761).to_be_bytes());
            let owner = relayer_for(&Address::new(bytes), &keys).unwrap();
            counts[keys.iter().position(|it| *it == owner).unwrap()] += 1;
        }
        let most = f64::from(*counts.iter().max().unwrap());
        println!("  {relayers:>4} relayers {:>8.2}", most * float(relayers) / 10_000.0);
    }
}
