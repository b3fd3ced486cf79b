//! `npm run bench -- --only relayers`: how many payments a second relayers get through,
//! on simulated chains and in virtual time. Prints JSON.
#![allow(unreachable_pub, reason = "nothing is outside of this program")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "a program of the tests' world"
)]

#[allow(dead_code, unused_imports, reason = "the world of the tests, of which this needs a part")]
#[path = "../../tests/host/evm_support/mod.rs"]
mod evm_support;
#[allow(dead_code, unused_imports, reason = "as above")]
#[path = "../../tests/host/permit2_support.rs"]
mod permit2_support;
#[allow(dead_code, unused_imports, reason = "as above")]
#[path = "../../tests/host/sim/mod.rs"]
mod sim;

use std::cell::Cell;
use std::rc::Rc;

use edge402::config::{CROWD_BATCH_MAX, DEFAULT_BATCH_MAX};
use serde_json::json;
use sim::{Payment, Setup, World};

/// The gas of a payment that goes with 39 others.
const GAS_EACH: u64 = 45_525;

const RELAYERS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// How many buy again and again.
const BUYERS: usize = 1_200;

/// Seconds between blocks, and the gas of one.
const CHAINS: [(u64, u64); 3] = [(1, 30_000_000), (2, 120_000_000), (12, 30_000_000)];

/// What one relayer gets through in a second.
struct Rate {
    payments: f64,
    posts: f64,
}

fn float(number: impl TryInto<u32, Error: std::fmt::Debug>) -> f64 {
    f64::from(number.try_into().unwrap())
}

fn world(block_seconds: u64, crowd_max: u64) -> Rc<World> {
    let mut setup = Setup { block_ms: 1_000 * block_seconds, has_sync: true, ..Setup::default() };
    setup.limits.batch_max = usize::try_from(DEFAULT_BATCH_MAX).unwrap();
    setup.limits.crowd_max = usize::try_from(crowd_max).unwrap();
    let world = World::new(&setup);
    let mut chain = world.chain.borrow_mut();
    chain.token_balance = u128::MAX / 2;
    chain.relayer_balance = u128::MAX / 2;
    drop(chain);
    world
}

/// The payment with this number.
fn payment(number: usize) -> Payment {
    Payment::of_crowd(number, 3_000)
}

/// Has buyers buy again and again, and counts for some blocks what the chain has made of
/// it.
fn rate(block_seconds: u64, crowd_max: u64) -> Rate {
    let world = world(block_seconds, crowd_max);
    let next = Rc::new(Cell::new(0_usize));
    for _ in 0..BUYERS {
        let (world, next) = (Rc::clone(&world), Rc::clone(&next));
        let clock = Rc::clone(&world.clock);
        clock.spawn(async move {
            loop {
                let payment = payment(next.replace(next.get() + 1));
                let claim = world.claim_request(&payment, "a");
                let request = payment.settle_request(&claim);
                world.ask(|it| async move { it.claim(&claim).await }).await;
                world.ask(|it| async move { it.settle(request).await }).await;
                world.clock.sleep(200).await;
            }
        });
    }
    world.run_for(2_000 * block_seconds);
    let made = || world.chain.borrow().transfers.len();
    let (before, posts) = (made(), world.posts.get());
    let seconds = (3 * block_seconds).max(6);
    world.run_for(1_000 * seconds);
    let per_second = |count: usize| float(count) / float(seconds);
    Rate { payments: per_second(made() - before), posts: per_second(world.posts.get() - posts) }
}

fn main() {
    let chains = CHAINS.map(|(seconds, block_gas)| {
        let small = rate(seconds, 0);
        let large = rate(seconds, CROWD_BATCH_MAX);
        let by_gas = float(block_gas / GAS_EACH) / float(seconds);
        let several = RELAYERS
            .map(|relayers| json!([relayers, (large.payments * float(relayers)).min(by_gas)]));
        json!({
            "seconds": seconds,
            "blockGas": block_gas,
            "small": small.payments,
            "large": large.payments,
            "posts": large.posts,
            "relayers": several,
        })
    });
    println!("{}", json!(chains));
}
