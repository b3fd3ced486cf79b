//! Any interleaving of requests, blocks, faults and crashes: paid once,
//! delivered for sure.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::sim::time::START_MS;
use crate::sim::{Answer, Fault, Payment, REDELIVER, Setup, World, foreign_raw, pay_to};
use edge402::time::UnixSeconds;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const RESOURCES: [&str; 3] = ["a", "b", "c"];
const PAYMENTS: usize = 5;

/// For how long each payment is valid, in seconds.
const VALID_FOR: [u64; PAYMENTS] = [600, 600, 300, 60, 25];

#[derive(Clone, Debug)]
enum Step {
    Buy {
        payment: usize,
        resource: usize,
        origin_ms: u64,
        origin_is_good: bool,
    },
    Wait(u64),
    Crash,
    /// What is sent next is taken and forgotten.
    Forget,
    /// Offers of today are too low for a while, or no longer.
    Price(bool),
    /// The relayer has no money for a while, or has it again.
    Poor(bool),
    /// Somebody else broadcasts a payment.
    Stranger(usize),
    /// Another tool uses the relayer's next nonce.
    Foreign,
    /// The disk fails for so many milliseconds.
    Disk(u64),
}

#[derive(Clone, Debug)]
struct Story {
    urls: usize,
    block_ms: u64,
    has_multicall: bool,
    has_sync: bool,
    batch_max: usize,
    receipt_delay: u64,
    faults: Vec<Fault>,
    steps: Vec<Step>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let origin_ms = prop_oneof![
        6 => Just(0_u64),
        4 => 0..3_000_u64,
        1 => 20_000..45_000_u64,
    ];
    let buy = (0..PAYMENTS, 0..RESOURCES.len(), origin_ms, prop::bool::weighted(0.9)).prop_map(
        |(payment, resource, origin_ms, origin_is_good)| Step::Buy {
            payment,
            resource,
            origin_ms,
            origin_is_good,
        },
    );
    let wait = prop_oneof![
        6 => 0..200_u64,
        4 => 200..5_000_u64,
        1 => 5_000..40_000_u64,
    ];
    let step = prop_oneof![
        10 => buy,
        6 => wait.prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => Just(Step::Forget),
        1 => any::<bool>().prop_map(Step::Price),
    ];
    vec(step, 1..30)
}

/// The same, and all that others do meanwhile.
fn eventful_steps() -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![
        2 => any::<bool>().prop_map(Step::Poor),
        1 => (0..PAYMENTS).prop_map(Step::Stranger),
        1 => Just(Step::Foreign),
        1 => (0..3_000_u64).prop_map(Step::Disk),
    ];
    (steps(), vec((any::<prop::sample::Index>(), event), 0..6)).prop_map(|(mut steps, events)| {
        for (index, event) in events {
            steps.insert(index.index(steps.len() + 1), event);
        }
        steps
    })
}

fn stories(
    faults: impl Strategy<Value = Fault>,
    receipt_delays: impl Strategy<Value = u64>,
    steps: impl Strategy<Value = Vec<Step>>,
) -> impl Strategy<Value = Story> {
    let block_ms = prop::sample::select(vec![250, 2_000, 12_000]);
    let batch_max = prop::sample::select(vec![1, 2, 32]);
    let chain = (1..=2_usize, block_ms, any::<bool>(), any::<bool>(), batch_max);
    (chain, vec(faults, 0..60), receipt_delays, steps).prop_map(
        |(chain, faults, receipt_delay, steps)| {
            let (urls, block_ms, has_multicall, has_sync, batch_max) = chain;
            Story {
                urls,
                block_ms,
                has_multicall,
                has_sync,
                batch_max,
                receipt_delay,
                faults,
                steps,
            }
        },
    )
}

/// What happens on the way to a node and back.
fn on_the_way() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => Just(Fault::None),
        2 => Just(Fault::LostBefore),
        2 => Just(Fault::LostAfter),
        1 => Just(Fault::Unreachable),
        1 => Just(Fault::Status(502)),
        1 => Just(Fault::Status(429)),
        1 => Just(Fault::RateLimited),
        1 => Just(Fault::WrongChain),
        1 => Just(Fault::Garbage),
        1 => Just(Fault::ErrorBefore),
        2 => Just(Fault::Slow),
    ]
}

/// Whether a payment was sent to the seller is what the chain says; all else
/// must go with it.
#[allow(clippy::too_many_lines, reason = "one story, from its beginning to its end")]
fn tell(story: &Story) -> Result<(), TestCaseError> {
    let mut setup = Setup {
        urls: story.urls,
        block_ms: story.block_ms,
        has_multicall: story.has_multicall,
        has_sync: story.has_sync,
        ..Setup::default()
    };
    setup.limits.batch_max = story.batch_max;
    let world = World::new(&setup);
    let payments = payments();
    world.faults.borrow_mut().extend(&story.faults);
    world.chain.borrow_mut().receipt_delay = story.receipt_delay;
    let mut buyers = vec![];
    let mut wanted = BTreeSet::new();
    let mut by_strangers = BTreeSet::new();
    for step in &story.steps {
        match *step {
            Step::Buy { payment, resource, origin_ms, origin_is_good } => {
                let buyer = Rc::clone(&world);
                wanted.insert((payment, resource));
                buyers.push(world.start(buyer.buy(
                    payments[payment].clone(),
                    RESOURCES[resource].into(),
                    origin_ms,
                    origin_is_good,
                )));
            }
            Step::Wait(ms) => world.run_for(ms),
            Step::Crash => world.crash(),
            Step::Forget => world.chain.borrow_mut().forgets += 1,
            Step::Price(is_high) => {
                world.chain.borrow_mut().min_fee = if is_high { 2_100_000_000 } else { 0 };
            }
            Step::Poor(is_poor) => {
                let balance = if is_poor { 1 } else { 10_u128.pow(18) };
                world.chain.borrow_mut().relayer_balance = balance;
            }
            Step::Stranger(index) => {
                let mut chain = world.chain.borrow_mut();
                let payment = &payments[index];
                let is_alive = payment.expires_at > world.clock.now();
                if is_alive && chain.transfers_of(payment).is_empty() {
                    chain.stranger_sends(payment, world.clock.now_ms());
                    by_strangers.insert(payment.id.clone());
                }
            }
            Step::Foreign => {
                let mut chain = world.chain.borrow_mut();
                if chain.relayer_balance > 10_u128.pow(16) {
                    let raw = foreign_raw(chain.count());
                    let params = serde_json::json!([raw]);
                    let now = world.clock.now_ms();
                    let _ = chain.answer("eth_sendRawTransaction", &params, now);
                }
            }
            Step::Disk(ms) => {
                world.tables.is_broken.set(true);
                world.run_for(ms);
                world.tables.is_broken.set(false);
            }
        }
        check_always(&world, &payments)?;
    }
    // The faults end, and time passes.
    world.faults.borrow_mut().clear();
    world.chain.borrow_mut().forgets = 0;
    world.chain.borrow_mut().min_fee = 0;
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    world.run_for(150_000);
    prop_assert!(buyers.iter().all(|buyer| buyer.borrow().is_some()), "an answer for everyone");
    prop_assert!(world.tables.entries().is_empty(), "the journal is empty");
    prop_assert!(world.chain.borrow().pool.is_empty(), "nothing waits for a nonce");
    check_always(&world, &payments)?;

    // Whoever paid gets it when they come back.
    for (index, payment) in payments.iter().enumerate() {
        let was_paid = world.chain.borrow().transfers_of(payment).len() == 1;
        let resource = match world.tables.record(&payment.id) {
            Some(record) => record.resource,
            None => match wanted.iter().find(|(wanted, _)| *wanted == index) {
                Some((_, resource)) => RESOURCES[*resource].to_owned(),
                None => continue,
            },
        };
        let answer = world.buy_now(payment, &resource);
        let is_in_window = world.clock.now() < UnixSeconds(START_MS / 1_000).plus(REDELIVER);
        // What a stranger sent before the claim has bought something else.
        if was_paid && is_in_window && !by_strangers.contains(&payment.id) {
            prop_assert!(answer.is_delivery(), "{} paid for {resource}: {answer:?}", payment.id);
        }
        let is_alive = payment.expires_at > world.clock.now().plus(30);
        if !was_paid && is_alive {
            prop_assert!(answer.is_delivery(), "{} is stuck: {answer:?}", payment.id);
        }
    }
    check_always(&world, &payments)?;

    // Everything that was delivered can be had again.
    let deliveries = world.deliveries.borrow().clone();
    for (id, resource, transaction) in deliveries {
        let payment = payments.iter().find(|payment| payment.id == id).unwrap();
        match world.buy_now(payment, &resource) {
            Answer::Delivered(again) => prop_assert_eq!(again.transaction, transaction),
            answer => {
                let ends_first = UnixSeconds(START_MS / 1_000).plus(REDELIVER);
                prop_assert!(world.clock.now() >= ends_first, "{id} for {resource}: {answer:?}");
            }
        }
    }
    world.run_for(60_000);
    prop_assert!(world.tables.entries().is_empty(), "the journal is empty");
    check_always(&world, &payments)
}

fn check_always(world: &World, payments: &[Payment]) -> Result<(), TestCaseError> {
    let chain = world.chain.borrow();
    for payment in payments {
        prop_assert!(chain.transfers_of(payment).len() <= 1, "one transfer for {}", payment.id);
    }
    let mut bought: BTreeMap<String, String> = BTreeMap::new();
    for (id, resource, transaction) in &*world.deliveries.borrow() {
        let first = bought.entry(id.clone()).or_insert_with(|| resource.clone());
        prop_assert_eq!(&*first, resource, "one resource for {}", id);
        let payment = payments.iter().find(|payment| payment.id == *id).unwrap();
        let transfers = chain.transfers_of(payment);
        prop_assert!(
            transfers.iter().any(|it| it.to == pay_to() && it.transaction == *transaction),
            "{} was delivered for {}, which paid nothing",
            id,
            transaction
        );
    }
    for (nonce, mined) in (0..).zip(&chain.mined) {
        prop_assert_eq!(mined.transaction.nonce, nonce);
    }
    Ok(())
}

/// Signed once: in debug mode that takes a while.
fn payments() -> Vec<Payment> {
    thread_local! {
        static PAYMENTS_MADE: Vec<Payment> = (0..PAYMENTS)
            .map(|index| {
                let number = u8::try_from(index).unwrap();
                // Two of them are one payer's.
                Payment::new(number / 2, number, VALID_FOR[index])
            })
            .collect();
    }
    PAYMENTS_MADE.with(Clone::clone)
}

fn run(cases: u32, stories: impl Strategy<Value = Story>) {
    let cases = std::env::var("SIM_CASES").map_or(cases, |text| text.parse().unwrap());
    let config =
        Config { cases, max_shrink_iters: 1_000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner.run(&stories, |story| tell(&story)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn paid_once_and_delivered_for_sure_without_faults() {
    run(128, stories(Just(Fault::None), Just(0), steps()));
}

#[test]
fn paid_once_and_delivered_for_sure() {
    run(256, stories(on_the_way(), Just(0), steps()));
}

#[test]
fn paid_once_and_delivered_for_sure_by_nodes_that_fail_after_they_act() {
    let fault = prop_oneof![5 => on_the_way(), 1 => Just(Fault::ErrorAfter)];
    run(128, stories(fault, Just(0), steps()));
}

#[test]
fn paid_once_and_delivered_for_sure_with_receipts_that_come_late() {
    run(128, stories(on_the_way(), 0..6_000_u64, steps()));
}

#[test]
fn paid_once_and_delivered_for_sure_whatever_others_do() {
    run(192, stories(on_the_way(), 0..1_000_u64, eventful_steps()));
}
