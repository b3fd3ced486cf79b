//! Payments whose time is over.

use crate::sim::{Answer, Payment, Setup, World};
use edge402::protocol::Reason;
use edge402::settlement::ClaimReply;

#[test]
fn a_payment_that_has_lapsed_collects_what_it_bought_and_binds_nothing() {
    let world = World::new(&Setup::default());
    let payment = Payment::new(1, 1, 600);
    let mut look = world.claim_request(&payment, "a");
    look.look_only = true;
    assert_eq!(world.claim(&look), ClaimReply::Refused(Reason::EvmValidBefore));
    assert!(world.tables.record(&payment.id).is_none());
    assert!(world.buy_now(&payment, "a").is_delivery());
    let ClaimReply::Deliver { settlement, .. } = world.claim(&look) else { panic!() };
    assert_eq!(settlement.payer, crate::sim::payer(1).address().to_string());
    let mut other = world.claim_request(&payment, "b");
    other.look_only = true;
    assert_eq!(world.claim(&other), ClaimReply::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

/// Thirty days: for how long a payment is remembered at most.
const MONTH: u64 = 30 * 86_400;

#[test]
fn a_payment_without_an_end_is_refused_by_the_chain_once_it_is_forgotten() {
    let world = World::new(&Setup::default());
    let payment = Payment::new(1, 1, 100 * 365 * 86_400);
    let start = world.clock.now();
    assert_eq!(payment.expires_at, start.plus(MONTH));
    assert!(world.buy_now(&payment, "a").is_delivery());
    world.run_for(1_000 * (MONTH - 3_600));
    world.settler().wake().unwrap();
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
    world.run_for(1_000 * 7_200);
    world.settler().wake().unwrap();
    assert!(world.tables.record(&payment.id).is_none());
    let deliveries = world.deliveries.borrow().len();
    for resource in ["a", "b"] {
        assert_eq!(world.buy_now(&payment, resource), Answer::Refused(Reason::EvmNonceUsed));
    }
    assert_eq!(world.deliveries.borrow().len(), deliveries);
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}
