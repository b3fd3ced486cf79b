//! Transactions that no node ever takes.

use std::rc::Rc;

use edge402::encoding::decode_hex_bytes;
use serde_json::Value;

use crate::sim::chain::read_transaction;
use crate::sim::{Answer, Payment, Setup, World};

const MINUTE: u64 = 60_000;

/// More than one payment may cost, and less than eleven, in wei.
const CAP: u128 = 1_000_000_000_000_000;

/// What a transaction may cost that is sent, in wei.
fn fee_of(params: &Value) -> u128 {
    let raw = params[0].as_str().unwrap();
    let it = read_transaction(&decode_hex_bytes(raw, raw.len()).unwrap()).1;
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
