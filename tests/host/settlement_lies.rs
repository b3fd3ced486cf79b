//! One of two nodes lies: nothing is delivered unpaid, nothing is paid twice,
//! and a minute after the lies all is well.
//!
//! `SIM_LIES=10000` tells as many stories.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::sim::chain::{Chain, false_check};
use crate::sim::{AMOUNT, Payment, Setup, World, pay_to};
use edge402::amount::AtomicAmount;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

const RESOURCES: [&str; 3] = ["a", "b", "c"];
const PAYMENTS: usize = 5;
const VALID_FOR: [u64; PAYMENTS] = [600, 600, 300, 60, 25];

/// When a lie has been dealt with, in milliseconds after its end.
const A_MINUTE: u64 = 60_000;

#[derive(Clone, Debug)]
enum Step {
    Buy(usize, usize),
    Wait(u64),
    Crash,
    /// Somebody else broadcasts a payment.
    Stranger(usize),
    /// A payment fails on chain although its simulation goes well.
    Poison(usize),
    /// Nobody has any money, or everybody has it again.
    Broke(bool),
    /// From now on the liar tells of a chain on which everything went well.
    Dream(bool),
}

#[derive(Clone, Debug)]
struct Story {
    block_ms: u64,
    has_multicall: bool,
    has_sync: bool,
    quorum: bool,
    liar: usize,
    /// What becomes of the liar's answers, one after the other, in a circle;
    /// 0 is the truth.
    lies: Vec<u8>,
    steps: Vec<Step>,
}

fn stories(quorum: bool) -> impl Strategy<Value = Story> {
    let wait = prop_oneof![4 => 0..500_u64, 4 => 500..6_000_u64, 1 => 6_000..45_000_u64];
    let step = prop_oneof![
        10 => (0..PAYMENTS, 0..RESOURCES.len()).prop_map(|(p, r)| Step::Buy(p, r)),
        8 => wait.prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => (0..PAYMENTS).prop_map(Step::Stranger),
        1 => (0..PAYMENTS).prop_map(Step::Poison),
        1 => any::<bool>().prop_map(Step::Broke),
        2 => any::<bool>().prop_map(Step::Dream),
    ];
    let chain = (prop::sample::select(vec![250, 2_000, 12_000]), any::<bool>(), any::<bool>());
    let lie = prop_oneof![3 => Just(0_u8), 2 => 1..12_u8];
    (chain, 0..2_usize, vec(lie, 1..40), vec(step, 1..25)).prop_map(
        move |((block_ms, has_multicall, has_sync), liar, lies, steps)| Story {
            block_ms,
            has_multicall,
            has_sync,
            quorum,
            liar,
            lies,
            steps,
        },
    )
}

fn hex(number: u128) -> Value {
    format!("{number:#x}").into()
}

fn changed(value: &Value, lie: u8) -> Value {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = text.and_then(|digits| u128::from_str_radix(digits, 16).ok()).unwrap_or(0);
    hex(match lie % 6 {
        0 => 0,
        1 => number + 1,
        2 => number.saturating_sub(1),
        3 => number + 1_000,
        4 => number + 5,
        _ => u128::from(u64::MAX),
    })
}

type Reply = Option<Result<Value, (i64, &'static str)>>;

/// One answer, falsified.
fn lied(method: &str, params: &Value, truth: Value, dream: &mut Chain, lie: u8, now: u64) -> Reply {
    if lie == 0 {
        return None;
    }
    Some(Ok(match method {
        "eth_chainId" if lie < 10 => return None,
        "eth_chainId" => json!("0x1"),
        "eth_feeHistory" => {
            let mut history = truth;
            match lie % 4 {
                0 => history["oldestBlock"] = changed(&history["oldestBlock"], lie),
                1 => history["baseFeePerGas"] = json!([hex(1), hex(u128::from(u64::MAX))]),
                2 => history["baseFeePerGas"] = json!([hex(0), hex(0)]),
                _ => history["reward"] = json!([[hex(9_000_000_000_000)], [hex(1 << 90)]]),
            }
            history
        }
        "eth_call" if lie.is_multiple_of(3) => return Some(Err((3, "execution reverted"))),
        // Who has code: everybody, nobody.
        "eth_call" if params[0].get("to").is_none() => {
            let size = truth.as_str().map_or(0, |text| text.len() / 64);
            json!(format!("0x{}", format!("{:064x}", lie % 3 - 1).repeat(size)))
        }
        "eth_getCode" => json!(if lie.is_multiple_of(2) { "0x" } else { "0xef0100" }),
        "eth_call" if truth.as_str().is_some_and(|text| text.len() > 66) => {
            false_check(params, lie % 3 == 1)
        }
        "eth_call" => json!(format!("0x{:064x}", lie % 3 - 1)),
        "eth_getTransactionReceipt" => match lie % 3 {
            0 => Value::Null,
            1 => {
                dream.mine(now);
                dream.receipt(params[0].as_str().unwrap(), now)
            }
            _ => {
                let mut receipt = truth;
                if receipt != Value::Null {
                    receipt["status"] = json!("0x0");
                    receipt["logs"] = json!([]);
                }
                receipt
            }
        },
        "eth_getLogs" => json!([]),
        "eth_getBlockByNumber" => {
            let mut block = truth;
            block["timestamp"] = changed(&block["timestamp"], lie);
            block
        }
        "eth_sendRawTransaction" | "eth_sendRawTransactionSync" => match lie % 3 {
            0 => return Some(Err((-32_000, "insufficient funds for gas * price + value"))),
            1 => return Some(Err((-32_603, "internal error"))),
            _ => truth,
        },
        _ => changed(&truth, lie),
    }))
}

#[allow(clippy::too_many_lines, reason = "one story, from its beginning to its end")]
fn tell(story: &Story) -> Result<(), TestCaseError> {
    let mut setup = Setup {
        urls: 2,
        block_ms: story.block_ms,
        has_multicall: story.has_multicall,
        has_sync: story.has_sync,
        ..Setup::default()
    };
    setup.limits.quorum_above = story.quorum.then_some(AtomicAmount(1)).into();
    let world = World::new(&setup);
    let payments = payments();
    let lies_end = Rc::new(Cell::new(false));
    let dreams: Rc<RefCell<Option<Chain>>> = Rc::default();
    let (inner, over, dreamed_up) = (Rc::clone(&world), Rc::clone(&lies_end), Rc::clone(&dreams));
    let (lies, liar, told) = (story.lies.clone(), format!("node{}", story.liar), Cell::new(0));
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        if over.get() || !url.contains(&liar) {
            return None;
        }
        let now = inner.clock.now_ms();
        let is_sent = method.starts_with("eth_sendRaw");
        if let Some(dream) = &mut *dreamed_up.borrow_mut() {
            // What is sent is kept, and is mined in the dream only.
            let said = dream.answer(method.strip_suffix("Sync").unwrap_or(method), params, now);
            if is_sent {
                dream.mine(now);
                return Some(Ok(params[0].clone()).and_then(|_| said.map_err(|_| (-32_603, "no"))));
            }
            return Some(said.map_err(|_| (3, "execution reverted")));
        }
        let lie = lies[told.replace(told.get() + 1) % lies.len()];
        let mut dream = inner.chain.borrow().clone();
        dream.poisoned.clear();
        dream.token_balance = 1_000 * AMOUNT;
        let truth = if is_sent {
            json!("0x0")
        } else {
            match inner.chain.borrow_mut().answer(method, params, now) {
                Ok(truth) => truth,
                Err(_) => return None,
            }
        };
        lied(method, params, truth, &mut dream, lie, now)
    }));
    let mut buyers = vec![];
    let mut by_strangers = BTreeSet::new();
    for step in &story.steps {
        match *step {
            Step::Buy(payment, resource) => {
                buyers.push(world.start_buy(&payments[payment], RESOURCES[resource]));
            }
            Step::Wait(ms) => world.run_for(ms),
            Step::Crash => world.crash(),
            Step::Stranger(index) => {
                let mut chain = world.chain.borrow_mut();
                let payment = &payments[index];
                let is_alive = payment.expires_at > world.clock.now();
                if is_alive && chain.transfers_of(payment).is_empty() {
                    chain.stranger_sends(payment, world.clock.now_ms());
                    by_strangers.insert(payment.id.clone());
                }
            }
            Step::Poison(index) => {
                let nonce = payments[index].authorization.as_ref().unwrap().nonce;
                world.chain.borrow_mut().poisoned.insert(nonce);
            }
            Step::Broke(is_broke) => {
                let balance = if is_broke { 0 } else { 1_000 * AMOUNT };
                world.chain.borrow_mut().token_balance = balance;
            }
            Step::Dream(begins) => {
                *dreams.borrow_mut() = begins.then(|| {
                    let mut dream = world.chain.borrow().clone();
                    dream.poisoned.clear();
                    dream.token_balance = 1_000 * AMOUNT;
                    dream
                });
            }
        }
        check_always(&world, &payments, story.quorum)?;
    }
    lies_end.set(true);
    world.chain.borrow_mut().token_balance = 1_000 * AMOUNT;
    world.chain.borrow_mut().poisoned.clear();
    world.run_for(A_MINUTE);
    prop_assert!(buyers.iter().all(|buyer| buyer.borrow().is_some()), "an answer for everyone");
    // The relayer works.
    let asked_at = world.clock.now_ms();
    let answer = world.buy_now(&late_payment(), "z");
    if std::env::var_os("SIM_LOG").is_some() {
        eprintln!("the newcomer came at {}", asked_at - crate::sim::time::START_MS);
    }
    prop_assert!(answer.is_delivery(), "a newcomer is stuck: {answer:?}");
    check_always(&world, &payments, story.quorum)?;
    world.run_for(1_400_000);
    prop_assert!(world.tables.entries().is_empty(), "the journal is empty");
    check_always(&world, &payments, story.quorum)
}

/// What holds at any time. Below the quorum's amount one node's word is enough
/// for a delivery; nothing is paid twice all the same.
fn check_always(world: &World, payments: &[Payment], quorum: bool) -> Result<(), TestCaseError> {
    let chain = world.chain.borrow();
    for payment in payments {
        prop_assert!(chain.transfers_of(payment).len() <= 1, "one transfer for {}", payment.id);
    }
    for sent in &chain.mined {
        prop_assert!(sent.transaction.max_priority_fee_per_gas <= 15_000_000_000);
    }
    let mut bought: BTreeMap<String, String> = BTreeMap::new();
    for (id, resource, transaction) in &*world.deliveries.borrow() {
        let first = bought.entry(id.clone()).or_insert_with(|| resource.clone());
        prop_assert_eq!(&*first, resource, "one resource for {}", id);
        let Some(payment) = payments.iter().find(|it| it.id == *id) else { continue };
        let transfers = chain.transfers_of(payment);
        let is_paid =
            transfers.iter().any(|it| it.to == pay_to() && it.transaction == *transaction);
        prop_assert!(
            is_paid || !quorum,
            "{id} was delivered for {transaction}, which paid nothing"
        );
    }
    Ok(())
}

fn late_payment() -> Payment {
    thread_local! {
        static LATE: Payment = Payment::new(99, 99, 90_000);
    }
    LATE.with(Clone::clone)
}

/// Signed once: in debug mode that takes a while.
fn payments() -> Vec<Payment> {
    thread_local! {
        static PAYMENTS_MADE: Vec<Payment> = (0..PAYMENTS)
            .map(|index| {
                let number = u8::try_from(index).unwrap();
                Payment::new(number / 2, number, VALID_FOR[index])
            })
            .collect();
    }
    PAYMENTS_MADE.with(Clone::clone)
}

fn run(cases: u32, stories: impl Strategy<Value = Story>) {
    let cases = std::env::var("SIM_LIES").map_or(cases, |text| text.parse().unwrap());
    let config =
        Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let Err(error) = runner.run(&stories, |story| tell(&story)) else { return };
    if let TestError::Fail(_, story) = &error {
        eprintln!("The failure once more:");
        let _ = tell(story);
    }
    panic!("{error}");
}

#[test]
fn above_the_quorum_nothing_is_delivered_unpaid() {
    run(25, stories(true));
}

#[test]
fn below_the_quorum_nothing_is_paid_twice() {
    run(25, stories(false));
}
