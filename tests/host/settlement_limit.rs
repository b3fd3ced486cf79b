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
