//! Two tokens on one chain: their payments share transactions, and nothing else.

use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::rpc::TransportError;
use edge402::settlement::PerToken;

use crate::sim::{AMOUNT, Answer, Payment, Setup, World, domain, other_domain};

/// A cent of a token with 18 decimals.
const OTHER_CENT: u128 = 10_u128.pow(16);

fn usdc(payer: u8, number: u8) -> Payment {
    Payment::new(payer, number, 600)
}

fn other(payer: u8, number: u8) -> Payment {
    Payment::in_other_token(AtomicAmount(OTHER_CENT), payer, number)
}

/// What holds for the two tokens.
fn of_each<T: Copy>(usdc: Option<T>, other: Option<T>) -> PerToken<T> {
    let key = |domain: edge402::evm::Domain| domain.verifying_contract.to_word();
    PerToken::new([(key(domain()), usdc), (key(other_domain()), other)], None)
}

/// A world in which everybody has enough of both tokens.
fn world(setup: &Setup) -> Rc<World> {
    let world = World::new(setup);
    world.chain.borrow_mut().token_balance = 1_000 * OTHER_CENT;
    world
}

fn made(world: &World, payments: &[Payment]) -> Vec<usize> {
    payments.iter().map(|it| world.chain.borrow().transfers_of(it).len()).collect()
}

#[test]
fn payments_in_two_tokens_share_transactions() {
    let world = world(&Setup::default());
    // Nobody's nonce in one token is used by the other.
    let payments: Vec<_> = (1..=6).flat_map(|payer| [usdc(payer, 1), other(payer, 1)]).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let mut transactions = vec![];
    for buyer in &buyers {
        let Answer::Delivered(settlement) = world.take(buyer) else { panic!("not delivered") };
        transactions.push(settlement.transaction);
    }
    assert_eq!(made(&world, &payments), [1; 12]);
    assert!(world.chain.borrow().count() < 6, "{:?}", world.chain.borrow().shares());
    let is_mixed = |it: &String| transactions.iter().skip(1).step_by(2).any(|other| it == other);
    assert!(transactions.iter().step_by(2).any(is_mixed));
    // Each is used once, whatever the other token's contract says.
    for payment in &payments {
        assert!(!world.buy_now(payment, "b").is_delivery());
    }
}

#[test]
fn what_was_sent_before_a_crash_is_judged_by_each_tokens_logs() {
    let world = world(&Setup::default());
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let payments = [usdc(1, 1), other(1, 1), usdc(2, 1), other(3, 2)];
    for payment in &payments {
        world.start_buy(payment, "a");
    }
    world.run_for(5_000);
    world.crash();
    world.chain.borrow_mut().min_fee = 0;
    for payment in &payments {
        assert!(world.buy_now(payment, "a").is_delivery(), "{}", payment.id);
    }
    assert_eq!(made(&world, &payments), [1; 4]);
}

#[test]
fn two_nodes_must_agree_above_the_amount_of_the_token() {
    let mut setup = Setup { urls: 2, block_ms: 500, ..Setup::default() };
    let limits = (AtomicAmount(50_000), AtomicAmount(5 * OTHER_CENT));
    setup.limits.quorum_above = of_each(Some(limits.0), Some(limits.1));
    let world = world(&setup);
    *world.temper.borrow_mut() = Some(Box::new(|url, _| {
        (url == "https://node1.test/").then_some(Err(TransportError::Unreachable))
    }));
    // A cent is more units of the one token than five of the other.
    assert!(world.buy_now(&other(1, 1), "a").is_delivery());
    assert!(world.buy_now(&usdc(2, 1), "a").is_delivery());
    let dear = Payment::in_other_token(AtomicAmount(6 * OTHER_CENT), 3, 1);
    assert!(matches!(world.buy_now(&dear, "a"), Answer::Pending(_)));
    *world.temper.borrow_mut() = None;
    world.run_for(30_000);
    assert!(world.buy_now(&dear, "a").is_delivery());
}

#[test]
fn a_token_without_a_limit_needs_no_second_node() {
    let mut setup = Setup { urls: 2, ..Setup::default() };
    setup.limits.quorum_above = of_each(Some(AtomicAmount(1)), None);
    let world = world(&setup);
    *world.temper.borrow_mut() = Some(Box::new(|url, _| {
        (url == "https://node1.test/").then_some(Err(TransportError::Unreachable))
    }));
    assert!(world.buy_now(&other(1, 1), "a").is_delivery());
    assert!(matches!(world.buy_now(&usdc(2, 1), "a"), Answer::Pending(_)));
}

#[test]
fn a_fee_is_compared_with_a_price_in_its_own_token() {
    // One transfer costs about 2 × 10^14 wei at worst.
    for (of_usdc, of_other, expected) in [
        (10_u128.pow(9), 10_u128.pow(19), [false, true]),
        (10_u128.pow(7), 10_u128.pow(21), [true, false]),
        (10_u128.pow(7), 10_u128.pow(19), [true, true]),
    ] {
        let mut setup = Setup::default();
        setup.limits.coin_price = of_each(Some(of_usdc), Some(of_other));
        let world = world(&setup);
        let sold = [usdc(1, 1), other(1, 1)].map(|it| world.buy_now(&it, "a").is_delivery());
        assert_eq!(sold, expected, "{of_usdc} {of_other}");
    }
}

#[test]
fn what_is_under_way_in_one_token_holds_up_no_payment_in_another() {
    let world = World::new(&Setup::default());
    {
        let mut chain = world.chain.borrow_mut();
        chain.min_fee = u128::MAX / 4;
        // Enough for one payment, of either token.
        chain.token_balance = AMOUNT;
    }
    let first = usdc(1, 1);
    let second = Payment::in_other_token(AtomicAmount(AMOUNT), 1, 1);
    let third = usdc(1, 2);
    let buyers = [&first, &second, &third].map(|it| {
        let buyer = world.start_buy(it, "a");
        world.run_for(3_000);
        buyer
    });
    assert_eq!(world.chain.borrow().waiting_shares(), [1, 1], "the third waits");
    world.chain.borrow_mut().min_fee = 0;
    assert!(world.take(&buyers[0]).is_delivery() && world.take(&buyers[1]).is_delivery());
    assert!(!world.take(&buyers[2]).is_delivery());
    assert_eq!(made(&world, &[first, second, third]), [1, 1, 0]);
}

#[test]
fn a_use_of_the_same_nonce_in_another_token_pays_nothing() {
    let world = world(&Setup::default());
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    let (bought, its_twin) = (usdc(1, 1), other(1, 1));
    let buyer = world.start_buy(&bought, "a");
    world.run_for(2_000);
    world.chain.borrow_mut().stranger_sends(&its_twin, world.clock.now_ms());
    world.run_for(60_000);
    assert!(world.deliveries.borrow().is_empty());
    assert!(matches!(world.take(&buyer), Answer::Pending(_)));
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(60_000);
    assert!(world.buy_now(&bought, "a").is_delivery());
    assert_eq!(made(&world, &[bought, its_twin]), [1, 1]);
}
