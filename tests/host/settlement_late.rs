//! Payments whose time is over, and orders that are delivered once.

use crate::sim::{Payment, Setup, World};
use edge402::protocol::Reason;
use edge402::settlement::{ClaimReply, Outcome};

#[test]
fn a_payment_that_has_lapsed_collects_what_it_bought_and_binds_nothing() {
    let world = World::new(&Setup::default());
    let payment = Payment::new(1, 1, 600);
    let mut look = world.claim_request(&payment, "a");
    look.look_only = true;
    assert_eq!(world.claim(&look), ClaimReply::Refused(Reason::EvmValidBefore));
    assert!(world.tables.record(&payment.id).is_none());
    assert!(world.buy_now(&payment, "a").is_delivery());
    let ClaimReply::Settled(settlement) = world.claim(&look) else { panic!() };
    assert_eq!(settlement.payer, crate::sim::payer(1).address().to_string());
    let mut other = world.claim_request(&payment, "b");
    other.look_only = true;
    assert_eq!(world.claim(&other), ClaimReply::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

#[test]
fn an_order_that_is_delivered_once_is_not_delivered_again() {
    let world = World::new(&Setup::default());
    let payment = Payment::new(1, 1, 600);
    let claim = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let mut request = payment.settle_request(&claim);
    request.once = true;
    let settler = world.settler();
    let outcome = world.wait(async move { settler.settle(request).await.unwrap() });
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    let again = world.claim_request(&payment, "a");
    assert_eq!(world.claim(&again), ClaimReply::Refused(Reason::DuplicateSettlement));
}
