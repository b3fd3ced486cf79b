//! Many payments of one payer on Solana, and many at once: what is under way
//! counts until the chain has spoken, whatever dies in between.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::{AMOUNT, Answer, Payment, World};
use crate::solana_cluster::{
    Cluster, cluster, cluster_with, is_submitted, payment, payment_of, token_account,
};
use crate::solana_support::{TOKEN, accounts, draft, memo, payer, price};
use edge402::payment::VerifiedPayment;
use edge402::protocol::Reason;
use edge402::settlement::{Limits, Verdict};
use edge402::solana::Pubkey;
use edge402::time::UnixSeconds;

/// Longer than a request waits for its outcome.
const LONG_MS: u64 = 27_000;

fn submitted(world: &World, numbers: std::ops::Range<usize>) -> usize {
    numbers.filter(|n| is_submitted(world, &payment(*n))).count()
}

fn fee() -> u128 {
    let start = UnixSeconds(crate::sim::time::START_MS / 1_000);
    match edge402::payment::verify(&payment(1).payload, &payment(1).terms, start) {
        Ok(VerifiedPayment::Solana(payment)) => payment.fee_lamports().into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn eight_per_payer_are_remembered_after_the_requests_and_a_restart() {
    for crashes in [false, true] {
        let (world, cluster) = cluster();
        cluster.borrow_mut().drops = usize::MAX;
        let buyers: Vec<_> = (0..8).map(|n| world.start_buy(&payment(n), "a")).collect();
        world.run_for(LONG_MS);
        assert!(buyers.iter().all(|it| matches!(world.take(it), Answer::Pending(_))));
        if crashes {
            world.crash();
        }
        assert_eq!(world.buy_now(&payment(8), "a"), Answer::Unavailable, "{crashes}");
        assert_eq!(submitted(&world, 0..9), 8);
        // Once they are through, there is room again.
        cluster.borrow_mut().drops = 0;
        world.run_for(20_000);
        assert!(world.buy_now(&payment(8), "a").is_delivery());
    }
}

#[test]
fn the_days_limit_knows_what_is_under_way_after_a_restart() {
    for crashes in [false, true] {
        let limits = Limits { daily_spend: Some(2 * fee()), ..Limits::default() };
        let (world, cluster) = cluster_with(limits);
        cluster.borrow_mut().drops = usize::MAX;
        let buyers: Vec<_> = (0..2).map(|n| world.start_buy(&payment(n), "a")).collect();
        world.run_for(LONG_MS);
        assert!(buyers.iter().all(|it| matches!(world.take(it), Answer::Pending(_))));
        if crashes {
            world.crash();
        }
        assert_eq!(world.buy_now(&payment(2), "a"), Answer::Unavailable, "{crashes}");
        assert_eq!(submitted(&world, 0..3), 2);
    }
}

/// Buys as a client does that is told to come back later: until it is told
/// something else.
async fn buy_stubbornly(world: Rc<World>, number: usize) -> Answer {
    for _ in 0..200 {
        let answer = Rc::clone(&world).buy(payment(number), "a".into(), 50, true).await;
        if answer != Answer::Unavailable {
            return answer;
        }
        world.clock.sleep(500).await;
    }
    Answer::Unavailable
}

#[test]
fn a_payer_with_money_for_forty_who_signs_more() {
    for (money, signed) in [(40, 120), (3, 30), (0, 30)] {
        let (world, cluster) = cluster();
        cluster.borrow_mut().money = money * u64::try_from(AMOUNT).unwrap();
        let buyers: Vec<_> =
            (0..signed).map(|n| world.start(buy_stubbornly(Rc::clone(&world), n))).collect();
        world.run_for(50_000);
        let answers: Vec<_> = buyers.iter().map(|buyer| world.take(buyer)).collect();
        let delivered = answers.iter().filter(|answer| answer.is_delivery()).count();
        assert_eq!(delivered, usize::try_from(money).unwrap(), "{money}");
        assert_eq!(cluster.borrow().failed.len(), 0, "{money}");
        assert_eq!(cluster.borrow().landed.len(), delivered, "{money}");
    }
}

#[test]
fn one_question_asks_for_all_that_is_under_way() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().drops = usize::MAX;
    let buyers: Vec<_> = (0..8).map(|n| world.start_buy(&payment(n), "a")).collect();
    world.run_for(20_000);
    let asked = cluster.borrow().calls["getSignatureStatuses"];
    assert!(asked < 60, "{asked} for 8 payments in 20 s");
    // Heights are looked at when it may be over, and then for all at once.
    assert!(cluster.borrow().calls["getBlockHeight"] <= 8);
    world.run_for(100_000);
    assert!(world.tables.entries().is_empty());
    let heights = cluster.borrow().calls["getBlockHeight"];
    assert!(heights < 60, "{heights}");
    drop(buyers);
}

#[test]
fn the_first_questions_come_soon() {
    let (world, cluster) = cluster();
    let buyer = world.start_buy(&payment(1), "a");
    world.run_for(1_200);
    assert!(buyer.borrow().as_ref().is_some_and(Answer::is_delivery));
    assert!(!cluster.borrow().calls.contains_key("getBalance"));
    // A second one is not kept waiting by the first.
    cluster.borrow_mut().drops = 1;
    let lost = world.start_buy(&payment(2), "a");
    world.run_for(1_500);
    let second = world.start_buy(&payment(3), "a");
    world.run_for(1_200);
    assert!(second.borrow().as_ref().is_some_and(Answer::is_delivery));
    assert!(world.take(&lost).is_delivery());
}

#[test]
fn a_payment_whose_fee_exceeds_its_price_is_not_sent() {
    // The fee is 10,001 lamports, of which a lower price of the units would
    // save one; the payment is 10,000 units.
    for (coin_price, expected) in
        [(1_000_000_000, None), (1_001_000_000, Some(Answer::Unavailable)), (999_999_999, None)]
    {
        let limits = Limits { coin_price: Some(coin_price).into(), ..Limits::default() };
        let (world, cluster) = cluster_with(limits);
        let answer = world.buy_now(&payment(1), "a");
        assert!(expected.as_ref().is_none_or(|it| *it == answer), "{coin_price}");
        assert_eq!(cluster.borrow().sent.is_empty(), !answer.is_delivery(), "{coin_price}");
        if expected.is_some() {
            // Whoever only asks hears why.
            let other = payment(2);
            let request = other.settle_request(&world.claim_request(&other, "a"));
            let settler = world.settler();
            let verdict = world.wait(async move { settler.verify(&request).await.unwrap() });
            assert_eq!(verdict, Verdict::FeeExceedsPrice);
        }
    }
    let mut dear = draft();
    dear.instructions[1] = price(4_000_000);
    let limits = Limits { coin_price: Some(200_000_000).into(), ..Limits::default() };
    let (world, cluster) = cluster_with(limits);
    let answer = world.buy_now(&payment_of(&dear), "a");
    assert_eq!(answer, Answer::Refused(Reason::SvmComputePriceTooHigh));
    assert!(cluster.borrow().sent.is_empty());
    assert!(world.buy_now(&payment(1), "a").is_delivery());
}

/// A payment from one of many token accounts.
fn payment_from(cluster: &RefCell<Cluster>, source: u16, number: usize) -> Payment {
    let mut key = [7; 32];
    key[..2].copy_from_slice(&source.to_le_bytes());
    let mut draft = draft();
    accounts(&mut draft, 2)[0].key = Pubkey(key);
    draft.instructions[3] = memo(&format!("0123456789abcde{source}/{number}"));
    let account = (TOKEN.to_owned(), token_account(payer(), 1 << 60));
    cluster.borrow_mut().accounts.insert(Pubkey(key).to_string(), Some(account));
    payment_of(&draft)
}

/// Whether a payment is under way soon after it was shown.
fn is_served(world: &Rc<World>, payment: &Payment) -> bool {
    let _started = world.start_buy(payment, "a");
    world.run_for(1_000);
    is_submitted(world, payment)
}

/// What can't land any more costs whoever signs it nothing, and is under way for a
/// minute and a half all the same.
#[test]
fn payments_that_never_land_keep_nobody_out() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().drops = usize::MAX;
    let shown: Vec<_> = (0..128)
        .flat_map(|source| (0..8).map(move |number| (source, number)))
        .map(|(source, number)| payment_from(&cluster, source, number))
        .inspect(|payment| drop(world.start_buy(payment, "a")))
        .collect();
    world.run_for(2_000);
    // With half of the places taken, each token account has one.
    let under_way = || shown.iter().filter(|it| is_submitted(&world, it)).count();
    assert_eq!(under_way(), 64 * 8 + 64);
    assert!(is_served(&world, &payment_from(&cluster, 200, 0)));
    // With all of them taken, nobody is served until those are late.
    for source in 300..300 + 1_024 - 577 {
        drop(world.start_buy(&payment_from(&cluster, source, 0), "a"));
    }
    world.run_for(2_000);
    assert!(!is_served(&world, &payment_from(&cluster, 2_000, 0)));
    world.run_for(27_000);
    assert_eq!(under_way(), 64 * 8 + 64);
    assert!(is_served(&world, &payment_from(&cluster, 2_000, 1)));
}
