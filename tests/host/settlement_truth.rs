//! What one node may claim, and what a payment that is used may still buy.

use std::cell::Cell;
use std::rc::Rc;

use crate::sim::{Answer, Payment, Setup, World, payer};
use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::rpc::TransportError;
use edge402::settlement::{ClaimReply, Outcome};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

/// Long enough for every transaction to land or to be given up.
const A_WHILE: u64 = 120_000;

const GWEI: u128 = 1_000_000_000;

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

/// The chain's own answer.
fn honest(world: &World, method: &str, params: &Value) -> Value {
    world.chain.borrow_mut().answer(method, params, world.clock.now_ms()).unwrap()
}

/// Two nodes, and any amount is above `quorum_above`.
fn with_a_quorum() -> Rc<World> {
    let mut setup = Setup { urls: 2, ..Setup::default() };
    setup.limits.quorum_above = Some(AtomicAmount(1)).into();
    World::new(&setup)
}

#[test]
fn gate_a_delivers_nothing_for_what_gate_b_has_sold() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().token_balance = 0;
    assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::InsufficientFunds));
    world.chain.borrow_mut().token_balance = 10 * crate::sim::AMOUNT;
    world.run_for(10_000);
    // Another gate of the same seller, with a relayer of its own.
    world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    for _ in 0..2 {
        world.run_for(10_000);
        assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
    }
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn what_was_used_before_anything_was_written_down_is_refused() {
    let world = world();
    let payment = payment(1);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    world.run_for(8_000);
    world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    let refused = Outcome::Failed { reason: Reason::EvmNonceUsed, transaction: None };
    assert_eq!(world.settle(&payment, &claim), refused);
}

#[test]
fn what_was_used_in_a_block_before_the_writing_is_another_purchase() {
    let world = World::new(&Setup { block_ms: 12_000, ..Setup::default() });
    let payment = payment(1);
    world.run_for(6_500);
    // In a block that the node has not seen when it is asked.
    let inner = Rc::clone(&world);
    let (its, is_sold) = (payment.clone(), Cell::new(false));
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        if method.starts_with("eth_sendRawTransaction") && !is_sold.replace(true) {
            let then = inner.clock.now_ms() - 2_000;
            inner.chain.borrow_mut().stranger_sends(&its, then);
        }
        None
    }));
    world.buy_now(&payment, "a");
    world.run_for(A_WHILE);
    let answer = world.buy_now(&payment, "a");
    assert_eq!(answer, Answer::Refused(Reason::EvmNonceUsed));
    assert!(world.deliveries.borrow().is_empty());
}

/// Answers one question falsely, the first few times.
fn lie(
    world: &Rc<World>,
    times: u32,
    method: &'static str,
    tag: Option<&'static str>,
    falsely: impl Fn(Value) -> Value + 'static,
) {
    let (inner, left) = (Rc::clone(world), Cell::new(times));
    *world.hook.borrow_mut() = Some(Box::new(move |_, asked, params| {
        let is_it = asked == method && tag.is_none_or(|tag| params[1] == tag);
        if !is_it || left.get() == 0 {
            return None;
        }
        left.set(left.get() - 1);
        Some(Ok(falsely(honest(&inner, asked, params))))
    }));
}

fn raised(by: u64) -> impl Fn(Value) -> Value {
    move |value| json!(format!("{:#x}", number(&value) + by))
}

#[test]
fn a_nonce_that_was_too_high_once_stops_nobody() {
    for (by, tag) in [(1, "pending"), (2, "pending"), (50, "pending"), (1, "latest"), (9, "latest")]
    {
        for crashes in [false, true] {
            let world = world();
            let first = payment(1);
            lie(&world, 1, "eth_getTransactionCount", Some(tag), raised(by));
            let buyer = world.start_buy(&first, "a");
            world.run_for(5_000);
            if crashes {
                world.crash();
            }
            world.run_for(55_000);
            assert!(buyer.borrow().is_some());
            let answer = world.buy_now(&first, "a");
            assert!(answer.is_delivery(), "{by} {tag} {crashes}: {answer:?}");
            let answer = world.buy_now(&payment(2), "a");
            assert!(answer.is_delivery(), "{by} {tag} {crashes}: {answer:?}");
            world.run_for(A_WHILE);
            assert!(world.tables.entries().is_empty(), "{by} {tag} {crashes}");
            assert!(world.chain.borrow().pool.is_empty(), "{by} {tag} {crashes}");
        }
    }
}

#[test]
fn a_nonce_that_nothing_was_signed_with_is_forgotten() {
    let world = world();
    world.chain.borrow_mut().token_balance = 0;
    lie(&world, 1, "eth_getTransactionCount", Some("pending"), raised(2));
    let refused = Answer::Refused(Reason::InsufficientFunds);
    assert_eq!(world.buy_now(&payment(1), "a"), refused);
    world.chain.borrow_mut().token_balance = crate::sim::AMOUNT;
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert_eq!(world.chain.borrow().mined[0].transaction.nonce, 0);
}

#[test]
fn the_greatest_nonce_of_all_stops_nobody() {
    let greatest = |_| json!("0xffffffffffffffff");
    for tag in [None, Some("pending"), Some("latest")] {
        let world = world();
        let times = if tag.is_some() { 1 } else { 2 };
        lie(&world, times, "eth_getTransactionCount", tag, greatest);
        world.buy_now(&payment(1), "a");
        world.run_for(A_WHILE);
        let answer = world.buy_now(&payment(2), "a");
        assert!(answer.is_delivery(), "{tag:?}: {answer:?}");
    }
}

#[test]
fn a_base_fee_beyond_the_relayers_means_holds_nobody_up() {
    let world = world();
    let inner = Rc::clone(&world);
    let (is_asked, is_sent) = (Cell::new(false), Cell::new(false));
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| match method {
        "eth_feeHistory" if !is_asked.replace(true) => {
            let mut history = honest(&inner, method, params);
            for base in history["baseFeePerGas"].as_array_mut().unwrap() {
                *base = json!("0xffffffffffffffff");
            }
            Some(Ok(history))
        }
        // The liar keeps it for itself.
        "eth_sendRawTransaction" if !is_sent.replace(true) => Some(Ok(json!("0x"))),
        _ => None,
    }));
    let first = payment(1);
    world.buy_now(&first, "a");
    world.run_for(30_000);
    assert!(world.buy_now(&first, "a").is_delivery());
    assert!(world.buy_now(&payment(2), "a").is_delivery());
}

#[test]
fn the_log_has_a_line_a_minute_about_bytes_that_no_node_takes() {
    let world = world();
    *world.hook.borrow_mut() = Some(Box::new(|_, method, _| {
        (method == "eth_sendRawTransaction").then_some(Err((-32_603, "internal error")))
    }));
    world.start_buy(&payment(1), "a");
    world.run_for(170_000);
    let log = world.log.borrow();
    let lines = log.iter().filter(|line| line.contains("eth_sendRawTransaction: ")).count();
    assert!((1..=3).contains(&lines), "{lines}: {log:?}");
}

#[test]
fn a_nonce_far_too_high_once_stops_nobody_else() {
    let world = world();
    lie(&world, 2, "eth_getTransactionCount", None, raised(1_000));
    let parked = Payment::new(1, 1, 60);
    assert!(!world.buy_now(&parked, "a").is_delivery());
    for number in 2..14 {
        let answer = world.buy_now(&payment(number), "a");
        assert!(answer.is_delivery(), "{number}: {answer:?}");
    }
    world.run_for(A_WHILE);
    assert!(world.tables.entries().is_empty());
    assert!(world.chain.borrow().transfers_of(&parked).is_empty());
}

#[test]
fn a_nonce_too_low_once_costs_no_one_anything() {
    let world = world();
    for number in 1..=3 {
        assert!(world.buy_now(&payment(number), "a").is_delivery());
    }
    world.crash();
    lie(&world, 2, "eth_getTransactionCount", None, |_| json!("0x0"));
    world.buy_now(&payment(4), "a");
    world.run_for(60_000);
    for number in 4..=6 {
        let answer = world.buy_now(&payment(number), "a");
        assert!(answer.is_delivery(), "{number}: {answer:?}");
    }
}

#[test]
fn a_tip_of_one_block_is_not_paid() {
    let world = world();
    let tips = |tip: u128| json!([[format!("{tip:#x}")]]);
    lie(&world, 9, "eth_feeHistory", None, move |mut history| {
        let rewards = history["reward"].as_array_mut().unwrap();
        *rewards.last_mut().unwrap() = tips(8_000 * GWEI)[0].clone();
        history
    });
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    let paid = world.chain.borrow().mined[0].transaction.max_priority_fee_per_gas;
    assert!(paid <= 3 * GWEI, "{paid}");
}

#[test]
fn a_tip_that_a_node_invents_is_bounded() {
    let world = world();
    lie(&world, 9, "eth_feeHistory", None, |mut history| {
        for rewards in history["reward"].as_array_mut().unwrap() {
            rewards[0] = json!(format!("{:#x}", 8_000 * GWEI));
        }
        for base in history["baseFeePerGas"].as_array_mut().unwrap() {
            *base = json!(format!("{:#x}", 90_000 * GWEI));
        }
        history
    });
    world.buy_now(&payment(1), "a");
    world.run_for(60_000);
    let chain = world.chain.borrow();
    for sent in chain.mined.iter().chain(chain.pool.values()) {
        assert!(sent.transaction.max_priority_fee_per_gas <= 5 * GWEI);
    }
}

#[test]
fn mined_payments_that_wait_for_a_quorum_stop_nobody() {
    let world = with_a_quorum();
    let inner = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        let mined = &inner.chain.borrow().mined;
        let first = mined.iter().take(8).any(|it| params[0] == it.hash.as_str());
        let is_it = url.contains("node1") && method == "eth_getTransactionReceipt" && first;
        is_it.then_some(Ok(Value::Null))
    }));
    for number in 0..8 {
        let buyer = world.start_buy(&payment(number), "a");
        world.run_for(3_000);
        assert!(buyer.borrow().is_none());
    }
    let answer = world.buy_now(&payment(9), "a");
    assert!(answer.is_delivery(), "{answer:?}");
    assert_eq!(world.deliveries.borrow().len(), 1);
}

#[test]
fn what_is_worth_no_more_than_quorum_above_needs_one_nodes_word() {
    for (above, is_delivered) in [(crate::sim::AMOUNT, true), (crate::sim::AMOUNT - 1, false)] {
        let mut setup = Setup { urls: 2, ..Setup::default() };
        setup.limits.quorum_above = Some(AtomicAmount(above)).into();
        let world = World::new(&setup);
        *world.hook.borrow_mut() = Some(Box::new(|url, method, _| {
            let is_it = url.contains("node1") && method == "eth_getTransactionReceipt";
            is_it.then_some(Ok(Value::Null))
        }));
        assert_eq!(world.buy_now(&payment(1), "a").is_delivery(), is_delivered, "{above}");
    }
}

#[test]
fn two_nodes_agree_though_they_tell_gas_prices_of_their_own() {
    let world = with_a_quorum();
    let inner = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        if !url.contains("node1") || method != "eth_getTransactionReceipt" {
            return None;
        }
        let mut receipt = honest(&inner, method, params);
        if receipt != Value::Null {
            receipt["effectiveGasPrice"] = json!("0x1");
        }
        Some(Ok(receipt))
    }));
    assert!(world.buy_now(&payment(1), "a").is_delivery());
}

#[test]
fn what_somebody_else_sent_needs_the_quorum_as_well() {
    let world = with_a_quorum();
    let payment = payment(1);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(300);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    let hash = world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    let theirs = hash.clone();
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        let is_it = method == "eth_getTransactionReceipt" && params[0] == theirs.as_str();
        (url.contains("node1") && is_it).then_some(Ok(Value::Null))
    }));
    let answer = world.take(&buyer);
    assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
    *world.hook.borrow_mut() = None;
    world.run_for(60_000);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!() };
    assert_eq!(settlement.transaction, hash);
}

#[test]
fn our_own_empty_replacement_is_not_the_payers_failure() {
    let world = world();
    for number in 1..=4 {
        let passed = world.clock.now_ms() - crate::sim::time::START_MS;
        let payment = Payment::new(1, number, passed / 1_000 + 60);
        world.chain.borrow_mut().min_fee = u128::MAX / 4;
        assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)), "{number}");
        world.run_for(170_000);
        world.chain.borrow_mut().min_fee = 0;
        world.run_for(30_000);
        assert!(world.tables.entries().is_empty());
        assert!(world.chain.borrow().transfers_of(&payment).is_empty());
    }
    assert!(world.buy_now(&Payment::new(1, 9, 9_000), "a").is_delivery());
}

#[test]
fn a_receipt_of_another_transaction_proves_nothing() {
    let world = world();
    let first = payment(1);
    let Answer::Delivered(settlement) = world.buy_now(&first, "a") else { panic!() };
    let others = honest(&world, "eth_getTransactionReceipt", &json!([settlement.transaction]));
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    lie(&world, 60, "eth_getTransactionReceipt", None, move |_| others.clone());
    let answer = world.buy_now(&payment(2), "a");
    assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
}

#[test]
fn a_receipt_can_not_use_up_the_day() {
    let mut setup = Setup::default();
    setup.limits.daily_spend = Some(10_u128.pow(16));
    let world = World::new(&setup);
    lie(&world, 60, "eth_getTransactionReceipt", None, |mut receipt| {
        if receipt != Value::Null {
            receipt["effectiveGasPrice"] = json!(format!("{:#x}", 10_u128.pow(25)));
        }
        receipt
    });
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert!(world.buy_now(&payment(2), "a").is_delivery());
    let settler = world.settler();
    let spent = world.wait(async move { settler.health().await.spent_today });
    assert!(spent.parse::<u128>().unwrap() < 10_u128.pow(15), "{spent}");
}

#[test]
fn a_gas_estimate_too_low_starves_nobody() {
    let world = world();
    lie(&world, 9, "eth_estimateGas", None, |_| json!("0x5208"));
    let answer = world.buy_now(&payment(1), "a");
    assert!(answer.is_delivery(), "{answer:?}");
    assert_eq!(payer(1).address(), world.chain.borrow().transfers[0].from);
}

#[test]
fn a_block_number_too_high_hides_no_use() {
    let world = world();
    let payment = payment(1);
    lie(&world, 1, "eth_feeHistory", None, |mut history| {
        history["oldestBlock"] = json!("0xffffff");
        history
    });
    let buyer = world.start_buy(&payment, "a");
    world.run_for(300);
    let hash = world.chain.borrow_mut().stranger_sends(&payment, world.clock.now_ms());
    let answer = world.take(&buyer);
    let Answer::Delivered(settlement) = answer else { panic!("{answer:?}") };
    assert_eq!(settlement.transaction, hash);
}

#[test]
fn a_dear_payment_holds_up_no_cheap_one() {
    let mut setup = Setup { urls: 2, block_ms: 500, ..Setup::default() };
    setup.limits.quorum_above = Some(AtomicAmount(50_000)).into();
    let world = World::new(&setup);
    // Both are seen by the same preview, and the second node is silent.
    let silent = "https://node1.test/";
    *world.temper.borrow_mut() = Some(Box::new(move |url, _| {
        (url == silent).then_some(Err(edge402::rpc::TransportError::Unreachable))
    }));
    let start = UnixSeconds(world.clock.now_ms() / 1_000);
    let valid = (start.0 - 600, start.0 + 600);
    let dear = Payment::of_amount(AtomicAmount(60_000), crate::sim::pay_to(), 2, 2, valid);
    let others: Vec<_> =
        [payment(1), payment(3)].iter().map(|it| world.start_buy(it, "a")).collect();
    let waits = world.start_buy(&dear, "a");
    let begun = world.clock.now_ms();
    for other in &others {
        assert!(world.take(other).is_delivery());
    }
    assert!(world.clock.now_ms() - begun < 5_000);
    // One node's word is not enough for the dear one, and two nodes' is.
    assert!(matches!(world.take(&waits), Answer::Pending(_)));
    let told =
        world.log.borrow().iter().filter(|line| line.contains("two nodes must agree")).count();
    assert_eq!(told, 1, "once a minute");
    *world.temper.borrow_mut() = None;
    world.run_for(A_WHILE);
    assert!(world.buy_now(&dear, "a").is_delivery());
}

#[test]
fn a_nonce_is_not_called_lost_where_no_node_says_so_when_asked() {
    let world = World::new(&Setup::default());
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let payment = Payment::new(1, 1, 600);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(1_000);
    // In its batches the node says that the nonce is used; asked for that alone
    // it says nothing.
    *world.hook.borrow_mut() = Some(Box::new(|_, method, _| {
        (method == "eth_getTransactionCount").then(|| Ok(json!("0x1")))
    }));
    *world.temper.borrow_mut() = Some(Box::new(|_, message| {
        let is_alone = message["method"] == "eth_getTransactionCount";
        is_alone.then_some(Err(TransportError::Unreachable))
    }));
    world.run_for(120_000);
    assert_eq!(world.tables.entries().len(), 1);
    assert!(matches!(world.take(&buyer), Answer::Pending(_)));
    *world.hook.borrow_mut() = None;
    *world.temper.borrow_mut() = None;
    world.chain.borrow_mut().min_fee = 0;
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}
