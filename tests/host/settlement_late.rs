//! Payments whose time is over.

use crate::sim::{Payment, Setup, World};
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
