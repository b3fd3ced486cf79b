//! What a crowd is sold where `daily_spend` has room for a part of it.

use crate::sim::{Payment, Setup, World};

#[test]
fn near_the_daily_limit_a_crowd_is_sold_to_as_far_as_the_limit_goes() {
    let sell = |daily_spend: Option<u128>| {
        let mut setup = Setup::default();
        setup.limits.daily_spend = daily_spend;
        let world = World::new(&setup);
        let payments: Vec<_> = (1..=12).map(|n| Payment::new(n, n, 3_000)).collect();
        let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
        let answers: Vec<_> = buyers.iter().map(|buyer| world.take(buyer)).collect();
        let sold = answers.iter().filter(|answer| answer.is_delivery()).count();
        let chain = world.chain.borrow();
        let paid: usize = payments.iter().map(|it| chain.transfers_of(it).len()).sum();
        assert_eq!(sold, paid, "{answers:?}");
        let costs = chain
            .mined
            .iter()
            .map(|it| it.transaction.max_fee_per_gas * u128::from(it.transaction.gas_limit));
        (sold, costs.collect::<Vec<_>>())
    };
    let (sold, costs) = sell(None);
    assert_eq!((sold, costs.len()), (12, 2));
    let (one, eleven) = (costs[0], costs[1]);
    let (sold, _) = sell(Some(one + eleven * 7 / 10));
    assert!((6..12).contains(&sold), "{sold}");
    // Nobody is asked again and again where there is nothing left.
    assert_eq!(sell(Some(one * 3 / 2)).0, 1);
}

/// What is left pays for no payment at all: a crowd of forty hears so at once.
#[test]
fn where_nothing_is_left_a_crowd_is_not_parted_in_vain() {
    // What one may cost, and what it has cost.
    let one = |daily_spend: Option<u128>| {
        let mut setup = Setup::default();
        setup.limits.daily_spend = daily_spend;
        setup.limits.batch_max = 40;
        let world = World::new(&setup);
        let before = world.chain.borrow().relayer_balance;
        assert!(world.buy_now(&Payment::new(1, 1, 3_000), "a").is_delivery());
        let chain = world.chain.borrow();
        let first = chain.mined[0].transaction.clone();
        let most = first.max_fee_per_gas * u128::from(first.gas_limit);
        let spent = before - chain.relayer_balance;
        drop(chain);
        (world, most, spent)
    };
    let (_, most, spent) = one(None);
    for left in [most * 7 / 10, most * 9 / 10, most * 99 / 100] {
        let (world, ..) = one(Some(spent + left));
        let (asked, logged) = (world.posts.get(), world.log.borrow().len());
        let payments = (2..=41).map(|number| Payment::new(number, number, 3_000));
        let buyers: Vec<_> = payments.map(|it| world.start_buy(&it, "a")).collect();
        let answers: Vec<_> = buyers.iter().map(|it| world.take(it)).collect();
        assert!(answers.iter().all(|it| *it == answers[0] && !it.is_delivery()), "{answers:?}");
        let messages = world.posts.get() - asked;
        assert!(messages <= 12, "{messages} messages for nothing, with {left} wei left");
        let log = world.log.borrow();
        let told = log.iter().skip(logged).filter(|it| it.contains("daily limit")).count();
        assert!((1..=4).contains(&told), "{told} lines: {log:?}");
    }
}
