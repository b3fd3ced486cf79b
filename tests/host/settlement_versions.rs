//! What a transaction may cost of which several versions were sent: any of them may be
//! the one that lands.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::keccak256;
use edge402::settlement::Store;
use serde_json::json;

use crate::sim::chain::{BASE_FEE, Pooled, read_transaction};
use crate::sim::tables::SimStore;
use crate::sim::{Answer, Payment, Setup, World};

const GWEI: u128 = 1_000_000_000;

/// A chain without blocks, but for those that a test asks for.
fn world(daily_spend: Option<u128>) -> Rc<World> {
    let mut setup = Setup { block_ms: 1_000_000_000, ..Setup::default() };
    setup.limits.daily_spend = daily_spend;
    World::new(&setup)
}

fn mine(world: &World) {
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    world.run_for(2_000);
}

fn spent_today(world: &World) -> u128 {
    SimStore(Rc::clone(&world.tables)).spent_on(world.clock.now().day()).unwrap()
}

/// A transaction is dropped and refused, and replaced by one that offers less, as fees
/// have fallen. Then the first one lands, from the pool of a node that nobody asked.
#[test]
fn the_dearest_version_bounds_what_a_transaction_is_said_to_have_cost() {
    let world = world(None);
    let base_fee = Rc::new(Cell::new(10 * GWEI));
    let sent = Rc::new(RefCell::new(Vec::<String>::new()));
    let (fee, seen) = (Rc::clone(&base_fee), Rc::clone(&sent));
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| match method {
        "eth_feeHistory" => {
            let fee = format!("{:#x}", fee.get());
            let reward = vec![["0x1"]; 1];
            Some(Ok(json!({
                "oldestBlock": "0x3e8", "baseFeePerGas": [fee.clone(), fee], "reward": reward
            })))
        }
        "eth_sendRawTransaction" => {
            let raw = params[0].as_str().unwrap().to_owned();
            let is_first_again = seen.borrow().first() == Some(&raw);
            seen.borrow_mut().push(raw);
            is_first_again.then_some(Err((-32_000, "insufficient funds for gas * price + value")))
        }
        _ => None,
    }));
    world.chain.borrow_mut().forgets = 1;
    let buyer = world.start_buy(&Payment::new(1, 1, 900), "a");
    world.run_for(1_000);
    base_fee.set(GWEI / 10);
    world.run_for(19_000);
    let (first, last) = {
        let sent = sent.borrow();
        let read = |raw: &String| {
            let bytes = decode_hex_bytes(raw, raw.len()).unwrap();
            (encode_hex(&keccak256(&bytes)), read_transaction(&bytes).1)
        };
        (read(&sent[0]), read(sent.last().unwrap()))
    };
    let (hash, transaction) = first;
    assert!(last.1.max_fee_per_gas < BASE_FEE && transaction.max_fee_per_gas > 2 * BASE_FEE);
    world.chain.borrow_mut().pool.insert(0, Pooled { hash, transaction });
    mine(&world);
    assert!(world.take(&buyer).is_delivery());
    assert_eq!(spent_today(&world), 66_000 * (BASE_FEE + 1_000_000));
}

/// What an empty transaction takes the place of may land in its place.
#[test]
fn what_gave_way_to_an_empty_transaction_counts_until_one_of_them_has_landed() {
    let each = 82_500 * (2 * BASE_FEE + 1_000_000);
    let world = world(Some(each + 60_000 * 2 * BASE_FEE));
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let late = Payment::new(1, 1, 60);
    let _ = world.buy_now(&late, "a");
    world.run_for(95_000);
    assert_eq!(world.chain.borrow().waiting_shares(), [0], "it gave way");
    let other = Payment::new(2, 1, 900);
    assert_eq!(world.buy_now(&other, "b"), Answer::Unavailable);
    world.chain.borrow_mut().min_fee = 0;
    mine(&world);
    world.run_for(5_000);
    let buyer = world.start_buy(&other, "b");
    world.run_for(2_000);
    mine(&world);
    assert!(world.take(&buyer).is_delivery());
}

/// What gave way to an empty transaction, because every node refused it, lands all the
/// same: it pays once, and nothing goes out again.
#[test]
fn what_gave_way_to_an_empty_transaction_pays_once_if_it_lands_instead() {
    for (crashes, empty_lands) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = world(None);
        let shared = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&shared);
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
            if method != "eth_sendRawTransaction" {
                return None;
            }
            let raw = params[0].as_str().unwrap();
            let bytes = decode_hex_bytes(raw, raw.len()).unwrap();
            let transaction = read_transaction(&bytes).1;
            if transaction.gas_limit < 100_000 {
                return None;
            }
            let hash = encode_hex(&keccak256(&bytes));
            let is_first = seen.borrow().is_none();
            if is_first {
                *seen.borrow_mut() = Some(Pooled { hash, transaction });
                return Some(Err((-32_603, "internal error")));
            }
            seen.borrow().as_ref().filter(|it: &&Pooled| it.hash == hash)?;
            Some(Err((-32_000, "exceeds block gas limit")))
        }));
        let payments: Vec<_> = (1..=12).map(|n| Payment::new(n, n, 3_000)).collect();
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        world.run_for(12_000);
        assert!(world.log.borrow().iter().any(|it| it.contains("replaces")), "{:?}", world.log);
        if crashes {
            world.crash();
        }
        if !empty_lands {
            let first = shared.borrow_mut().take().unwrap();
            let nonce = first.transaction.nonce;
            world.chain.borrow_mut().pool.insert(nonce, first);
        }
        for _ in 0..30 {
            mine(&world);
        }
        for (payment, buyer) in payments.iter().zip(&buyers) {
            let delivered = if crashes {
                world.buy_now(payment, "a").is_delivery()
            } else {
                world.take(buyer).is_delivery() || world.buy_now(payment, "a").is_delivery()
            };
            assert!(delivered, "{crashes} {empty_lands}");
            assert_eq!(world.chain.borrow().transfers_of(payment).len(), 1);
        }
    }
}
