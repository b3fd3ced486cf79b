//! The ledger, whichever way a payment went: sold by use, on Solana, and through
//! somebody else's facilitator.

use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::settlement::sums::{SumBy, SumsQuery};
use edge402::settlement::{Sale, SalesQuery};

use crate::by_use::{self, A_WHILE, SOME, buyer};
use crate::remote_support::{self, Does};
use crate::sim::{AMOUNT, Answer, World};
use crate::solana_cluster;

fn sales(world: &Rc<World>) -> Vec<Sale> {
    world.settler().sales(&SalesQuery { limit: 100, ..SalesQuery::default() }).unwrap()
}

/// What all sales come to: how many, the amount, the fees.
fn sums(world: &Rc<World>) -> (u64, u128, u128) {
    let query = SumsQuery { from: 0, to: 100_000, by: SumBy::Network, before: None, limit: 100 };
    let sums = world.settler().sums(&query).unwrap().sums;
    sums.iter().fold((0, 0, 0), |(count, amount, fee), it| {
        (count + it.count, amount + it.amount.0, fee + it.fee.0)
    })
}

#[test]
fn what_is_sold_by_use_has_what_was_charged() {
    let world = by_use::world();
    let payment = by_use::payment(1, 1);
    let _ = buyer(&world, &payment, &[SOME]).now();
    assert_eq!(sales(&world), [], "its goods are going out");
    world.run_for(A_WHILE);
    let [sale] = <[Sale; 1]>::try_from(sales(&world)).unwrap();
    // 123 tokens at ten atomic units.
    assert_eq!(sale.amount, AtomicAmount(1_230));
    assert_eq!((sale.way.as_deref(), sale.delivered), (Some("gate"), Some(true)));
    let fee: u128 = sale.fee.as_ref().unwrap().parse().unwrap();
    assert!(fee > 0);
    assert_eq!(sums(&world), (1, 1_230, fee));
}

#[test]
fn what_is_used_for_nothing_is_a_sale_of_nothing() {
    let world = by_use::world();
    let payment = by_use::payment(1, 1);
    let _ = buyer(&world, &payment, &[]).now();
    world.run_for(A_WHILE);
    let [sale] = <[Sale; 1]>::try_from(sales(&world)).unwrap();
    assert_eq!((sale.amount, sale.transaction.as_str(), sale.fee), (AtomicAmount(0), "", None));
    assert_eq!(sums(&world), (1, 0, 0));
}

#[test]
fn on_solana_a_sale_has_its_mint_and_its_lamports() {
    let (world, _cluster) = solana_cluster::cluster();
    let payment = solana_cluster::payment(1);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!() };
    world.run_for(A_WHILE);
    let [sale] = <[Sale; 1]>::try_from(sales(&world)).unwrap();
    assert_eq!(sale.transaction, settlement.transaction);
    assert_eq!((sale.network, &sale.payer), (Some(payment.network), &settlement.payer));
    assert_eq!(sale.amount, settlement.amount);
    assert!(!sale.asset.unwrap().starts_with("0x"));
    let fee: u128 = sale.fee.unwrap().parse().unwrap();
    assert!(fee >= 5_000, "{fee}");
    assert_eq!(sums(&world), (1, settlement.amount.0, fee));
}

#[test]
fn what_a_facilitator_settles_is_a_sale_without_a_fee_of_ours() {
    for with_nodes in [false, true] {
        let (world, facilitator) = remote_support::world(with_nodes);
        let refused = remote_support::payment(2);
        facilitator.settles.borrow_mut().push_back(Does::Says(
            200,
            serde_json::json!({
                "success": false, "errorReason": "insufficient_funds", "transaction": "",
            }),
        ));
        assert!(!facilitator.buy_now(&refused, "b").is_delivery());
        assert_eq!(sales(&world), []);
        let payment = remote_support::payment(1);
        let Answer::Delivered(settlement) = facilitator.buy_now(&payment, "a") else { panic!() };
        assert!(facilitator.buy_now(&payment, "a").is_delivery());
        let [sale] = <[Sale; 1]>::try_from(sales(&world)).unwrap();
        assert_eq!(sale.transaction, settlement.transaction);
        assert_eq!((sale.amount, sale.fee), (AtomicAmount(AMOUNT), None));
        assert_eq!((sale.delivered, sale.redeliveries), (Some(true), 1));
        assert_eq!(sums(&world), (1, AMOUNT, 0));
    }
}

#[test]
fn what_a_facilitator_is_silent_about_is_a_sale_once_it_is_known() {
    let (world, facilitator) = remote_support::world(true);
    let payment = remote_support::payment(1);
    facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
    let _ = facilitator.buy_now(&payment, "a");
    world.run_for(A_WHILE);
    let landed = world.chain.borrow().transfers_of(&payment).len();
    assert_eq!((landed, sales(&world).len()), (1, 1));
}
