//! Transactions that no node takes, and such as no block does.

use std::cell::Cell;
use std::rc::Rc;

use edge402::encoding::decode_hex_bytes;
use edge402::evm::{MULTICALL3, Transaction};
use edge402::settlement::Entry;
use edge402::settlement::journal::Sent;
use serde_json::Value;

use crate::sim::chain::read_transaction;
use crate::sim::time::START_MS;
use crate::sim::{Answer, Handle, Payment, Setup, World};

const MINUTE: u64 = 60_000;

/// More than one payment may cost, and less than eleven, in wei.
const CAP: u128 = 1_000_000_000_000_000;

/// The transaction that is sent.
fn transaction_of(params: &Value) -> Transaction {
    let raw = params[0].as_str().unwrap();
    read_transaction(&decode_hex_bytes(raw, raw.len()).unwrap()).1
}

/// What a transaction may cost that is sent, in wei.
fn fee_of(params: &Value) -> u128 {
    let it = transaction_of(params);
    it.max_fee_per_gas * u128::from(it.gas_limit)
}

/// A node that takes nothing that may cost more than this, and says so.
fn world(words: &'static str) -> Rc<World> {
    let world = World::new(&Setup::default());
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if !method.starts_with("eth_sendRawTransaction") {
            return None;
        }
        (fee_of(params) > CAP).then_some(Err((-32_000, words)))
    }));
    world
}

/// A crowd of buyers, of whose payments the last one is good for longer.
fn crowd(seconds: u64, longest: u64) -> Vec<Payment> {
    (1..=12).map(|n| Payment::new(n, n, if n == 12 { longest } else { seconds })).collect()
}

/// It costs those who waited for it, and for so long; nobody who comes later.
#[test]
fn a_transaction_that_no_node_takes_stops_no_other_for_long() {
    for (seconds, longest) in [(120, 120), (3_000, 3_000), (120, 86_400)] {
        let world = world("a rule of this node's own");
        let payments = crowd(seconds, longest);
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
        assert!(answers.iter().any(|it| matches!(it, Answer::Pending(_))), "{answers:?}");
        world.run_for(15 * MINUTE);
        assert!(world.tables.entries().is_empty(), "{seconds} {longest}");
        let late = Payment::new(100, 100, 86_400);
        assert!(world.buy_now(&late, "b").is_delivery(), "{seconds} {longest}");
        // Who comes back gets what was paid for, or pays now, unless it is too late.
        for (payment, answer) in payments.iter().zip(&answers) {
            let is_served = answer.is_delivery() || world.buy_now(payment, "a").is_delivery();
            let paid = world.chain.borrow().transfers_of(payment).len();
            assert_eq!(paid, usize::from(is_served), "{answer:?}");
            assert!(is_served || payment.expires_at < world.clock.now(), "{answer:?}");
        }
    }
}

/// What every node's words say for certain is heard at once, and goes out again in
/// smaller transactions.
#[test]
fn what_costs_more_than_a_node_lets_anything_cost_goes_in_parts() {
    for words in [
        "tx fee (1.31 ether) exceeds the configured cap (1.00 ether)",
        "Transaction fee cap exceeded",
        "Transaction gas limit cap exceeded",
        "exceeds maximum per-transaction gas limit: transaction gas 37801375, limit 25000000",
        "transaction gas limit too high (cap: 16777216, tx: 20000000)",
        "TxGasLimitCapExceeded: Gas limit 20000000 exceeded cap of 16777216.",
    ] {
        let world = world(words);
        let payments = crowd(3_000, 3_000);
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
        assert!(answers.iter().all(Answer::is_delivery), "{words}: {answers:?}");
        let chain = world.chain.borrow();
        assert!(payments.iter().all(|it| chain.transfers_of(it).len() == 1), "{words}");
        drop(chain);
        assert!(world.tables.entries().is_empty());
        assert!(world.buy_now(&Payment::new(100, 100, 600), "b").is_delivery());
    }
}

/// The first node that is asked breaks down, and nobody knows whether it has it; or this
/// life of the Settler ends there. What is refused after that goes in parts as well.
#[test]
fn what_is_refused_when_it_is_sent_again_goes_in_parts() {
    for crashes in [false, true] {
        let world = World::new(&Setup::default());
        let mut sent = 0;
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
            if method != "eth_sendRawTransaction" || fee_of(params) <= CAP {
                return None;
            }
            sent += 1;
            let broken = Err((-32_603, "internal error"));
            Some(if sent == 1 { broken } else { Err((-32_000, "exceeds block gas limit")) })
        }));
        let payments = crowd(3_000, 3_000);
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        if crashes {
            world.run_for(1_000);
            world.crash();
        }
        let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
        for (payment, answer) in payments.iter().zip(&answers) {
            let is_again = crashes && world.buy_now(payment, "a").is_delivery();
            assert!(answer.is_delivery() || is_again, "{crashes}: {answers:?}");
        }
        let chain = world.chain.borrow();
        assert!(payments.iter().all(|it| chain.transfers_of(it).len() == 1));
    }
}

/// A key without enough money for a large transaction is no reason to send smaller ones
/// for an hour; that a transaction was too large is.
#[test]
fn fewer_share_after_what_was_too_large_and_not_for_lack_of_money() {
    for (words, fewer) in [
        ("insufficient funds for gas * price + value", false),
        ("exceeds block gas limit", true),
        ("tx fee (1.31 ether) exceeds the configured cap (1.00 ether)", true),
    ] {
        let mut setup = Setup::default();
        setup.limits.batch_max = 40;
        let world = World::new(&setup);
        let mut refused = 0;
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
            let is_send = method.starts_with("eth_sendRawTransaction");
            (is_send && refused == 0 && fee_of(params) > CAP).then(|| {
                refused += 1;
                Err((-32_000, words))
            })
        }));
        let crowd = |numbers: std::ops::RangeInclusive<u8>| {
            let payments = numbers.map(|it| Payment::new(it, it, 3_000));
            let buyers: Vec<_> = payments.map(|it| world.start_buy(&it, "a")).collect();
            let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
            assert!(answers.iter().all(Answer::is_delivery), "{words}: {answers:?}");
        };
        crowd(1..=30);
        let before = world.chain.borrow().shares().len();
        crowd(101..=140);
        let most = world.chain.borrow().shares()[before..].iter().copied().max().unwrap();
        assert_eq!(most <= 20, fewer, "{words}: {most} share one");
    }
}

#[test]
fn two_that_share_what_is_refused_go_one_by_one() {
    let world = World::new(&Setup::default());
    let sent = Rc::new(Cell::new(0));
    let count = Rc::clone(&sent);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        let is_shared = || transaction_of(params).to == MULTICALL3;
        if method != "eth_sendRawTransaction" || !is_shared() {
            return None;
        }
        count.set(count.get() + 1);
        let broken = Err((-32_603, "internal error"));
        Some(if count.get() == 1 { broken } else { Err((-32_000, "exceeds block gas limit")) })
    }));
    let payments: Vec<_> = (1..=3).map(|number| Payment::new(number, 1, 600)).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    assert!(buyers.iter().all(|it| world.take(it).is_delivery()));
    assert!(sent.get() > 1, "the last two share one");
    assert_eq!(world.chain.borrow().shares(), [1, 0, 1, 1]);
}

/// A chain on which no block comes, and what a payment's transaction offers there.
fn standing_still(valid_for: u64) -> (Rc<World>, Handle<Answer>) {
    let world = World::new(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    let buyer = world.start_buy(&Payment::new(1, 1, valid_for), "a");
    world.run_for(2_000);
    (world, buyer)
}

/// What is in the air: whether it carries a payment, what it offers, and how many
/// versions came before it.
fn in_air(world: &World) -> (bool, u128, usize) {
    let (entries, chain) = (world.tables.entries(), world.chain.borrow());
    let [Entry { sent: Sent::Evm(sent), .. }] = &entries[..] else { panic!("{entries:?}") };
    let pooled = &chain.pool[&0];
    assert_eq!(pooled.hash, sent.hash);
    (!pooled.transaction.data.is_empty(), pooled.transaction.max_fee_per_gas, sent.former.len())
}

/// No price makes a chain go on that stands still; and what can't land any more, or was not
/// taken for so long, gives its nonce up.
#[test]
fn on_a_chain_that_stands_still_no_more_is_offered_than_makes_sense() {
    for (valid_for, last, versions) in [(200, 200, 12), (300, 300, 12), (3_000, 400, 13)] {
        let (world, _buyer) = standing_still(valid_for);
        let (_, first, _) = in_air(&world);
        world.run_for(1_000 * last - 10_000);
        assert!(in_air(&world).0, "{valid_for}");
        world.run_for(45_000);
        assert!(!in_air(&world).0, "{valid_for}: it gives way");
        world.run_for(60 * MINUTE);
        let (has_payment, offers, former) = in_air(&world);
        assert_eq!((has_payment, former), (false, versions), "{valid_for}");
        assert!((4 * first..5 * first).contains(&offers), "{first} {offers}");
        // The chain goes on: nothing was paid, and the payment is free again.
        let now = world.clock.now_ms();
        world.chain.borrow_mut().mine(now);
        world.run_for(MINUTE);
        assert!(world.chain.borrow().transfers.is_empty() && world.tables.entries().is_empty());
    }
}

#[test]
fn where_gas_gets_dearer_all_the_time_an_end_comes_all_the_same() {
    let (world, _buyer) = standing_still(200);
    let inner = Rc::clone(&world);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_feeHistory" {
            return None;
        }
        let now = inner.clock.now_ms();
        let mut history = inner.chain.borrow_mut().answer(method, params, now).unwrap();
        // A hundredth each two seconds.
        let base = 10_000_000 * u128::from((now - START_MS) / 2_000) + 1_000_000_000;
        for it in history["baseFeePerGas"].as_array_mut().unwrap() {
            *it = format!("{base:#x}").into();
        }
        Some(Ok(history))
    }));
    world.run_for(60 * MINUTE);
    let (has_payment, _, former) = in_air(&world);
    assert_eq!((has_payment, former), (false, 24));
}

/// What is refused and offers no more than what is usual goes out again as it is: it is not
/// the price.
#[test]
fn what_is_refused_at_the_usual_price_goes_out_again_as_it_is() {
    let world = World::new(&Setup { block_ms: 1_000_000_000, ..Setup::default() });
    let mut sent = 0;
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, _| {
        if method != "eth_sendRawTransaction" || sent > 3 {
            return None;
        }
        sent += 1;
        let broken = Err((-32_603, "internal error"));
        let refused = Err((-32_000, "insufficient funds for gas * price + value"));
        Some(if sent == 1 { broken } else { refused })
    }));
    let payment = Payment::new(1, 1, 900);
    let buyer = world.start_buy(&payment, "a");
    world.run_for(2_000);
    let entries = world.tables.entries();
    world.run_for(33_000);
    assert_eq!(in_air(&world).2, 0, "no other version");
    assert!(matches!(world.take(&buyer), Answer::Pending(_)));
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    world.run_for(6_000);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!("not sold") };
    assert_eq!(settlement.transaction, entries[0].id);
}

/// Has the node tell a base fee fifty times too high until something is sent for it, and
/// never take that: it breaks down for so long, and then says that the key has less.
fn world_with_a_price_that_is_soon_over(setup: &Setup, seconds: u64, nonce: u64) -> Rc<World> {
    let world = World::new(setup);
    let (inner, mut is_sent) = (Rc::clone(&world), false);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| match method {
        "eth_getTransactionCount" if !is_sent => Some(Ok(format!("{nonce:#x}").into())),
        "eth_feeHistory" if !is_sent => {
            let now = inner.clock.now_ms();
            let mut history = inner.chain.borrow_mut().answer(method, params, now).unwrap();
            for it in history["baseFeePerGas"].as_array_mut().unwrap() {
                *it = "0xba43b7400".into();
            }
            Some(Ok(history))
        }
        "eth_sendRawTransaction" if fee_of(params) > 5 * CAP => {
            is_sent = true;
            let refused = Err((-32_000, "insufficient funds for gas * price + value"));
            let is_known = inner.clock.now_ms() > START_MS + 1_000 * seconds;
            Some(if is_known { refused } else { Err((-32_603, "internal error")) })
        }
        _ => None,
    }));
    world
}

/// What offers more than the key has, by a price of gas that is long over, goes out again
/// for less with all that it carries.
#[test]
fn what_is_refused_and_far_too_dear_goes_out_again_for_less() {
    let world = world_with_a_price_that_is_soon_over(&Setup::default(), 5, 0);
    let buyers: Vec<_> = crowd(600, 600).iter().map(|it| world.start_buy(it, "a")).collect();
    let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    let shares = world.chain.borrow().shares();
    assert!(shares.len() <= 2 && !shares.contains(&0), "{shares:?}");
}

/// The day has more than what it offers at first, and less than that and what fills the gap
/// before it.
#[test]
fn for_less_it_goes_out_whatever_the_day_has_left() {
    let mut setup = Setup::default();
    setup.limits.daily_spend = Some(8_260_000_000_000_000);
    let world = world_with_a_price_that_is_soon_over(&setup, 25, 2);
    let payment = Payment::new(1, 1, 600);
    assert!(matches!(world.buy_now(&payment, "a"), Answer::Pending(_)));
    world.run_for(20_000);
    assert_eq!(world.chain.borrow().shares(), [0, 0, 1]);
    assert!(world.buy_now(&payment, "a").is_delivery());
}

/// What more a replacement may cost than the day has left is not spent, and the nonce is
/// given up all the same when its payment has ended.
#[test]
fn beyond_the_days_limit_nothing_is_replaced_but_by_what_is_empty() {
    let mut setup = Setup { block_ms: 1_000_000_000, ..Setup::default() };
    setup.limits.daily_spend = Some(200_000_000_000_000);
    let world = World::new(&setup);
    let _buyer = world.start_buy(&Payment::new(1, 1, 300), "a");
    world.run_for(290_000);
    let (has_payment, _, former) = in_air(&world);
    assert_eq!((has_payment, former), (true, 1), "a second one would cost too much");
    world.run_for(60_000);
    assert!(!in_air(&world).0);
}
