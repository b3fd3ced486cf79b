//! What is held before it goes out: which payment, until when, and by whose ticket.

use std::rc::Rc;

use crate::by_use::{A_WHILE, ALL, buyer, moved, payment, settlement, state, world};
use crate::sim::time::START_MS;
use crate::sim::{AMOUNT, Fault, Payment, World};
use edge402::amount::AtomicAmount;
use edge402::protocol::Reason;
use edge402::settlement::metered::LEAST_SECONDS;
use edge402::settlement::{HoldReply, RenewRequest, SettleRequest, State, UseReport};

/// A claimed payment's order.
fn claimed(world: &Rc<World>, payment: &Payment) -> SettleRequest {
    let order = buyer(world, payment, &[ALL]).order();
    assert!(world.claim(&order.claim).is_claimed());
    Rc::unwrap_or_clone(order.settle)
}

fn hold(world: &Rc<World>, request: SettleRequest) -> HoldReply {
    let asker = Rc::clone(world);
    world.wait(async move {
        asker.ask(|it| async move { it.hold(request).await }).await.unwrap().unwrap()
    })
}

#[test]
fn no_other_payment_is_held_in_place_of_the_one_that_is_claimed() {
    let world = world();
    let mut request = claimed(&world, &payment(1, 1));
    request.payload = payment(1, 2).payload.into();
    assert_eq!(hold(&world, request), HoldReply::Refused(Reason::InvalidPayload));
    assert_eq!(world.tables.payments(), 0);
}

#[test]
fn what_is_held_is_good_for_so_long_at_least() {
    let now = START_MS / 1_000;
    for (left, is_held) in
        [(LEAST_SECONDS - 20, false), (LEAST_SECONDS - 1, false), (LEAST_SECONDS, true)]
    {
        let world = world();
        let found = (left - 5..left + 5).map(|end| Payment::by_use(1, 1, end));
        let payment = found.into_iter().find(|it| it.expires_at.0 == now + left).unwrap();
        let request = claimed(&world, &payment);
        assert_eq!(world.clock.now_ms() / 1_000, now);
        let reply = hold(&world, request);
        assert_eq!(reply == HoldReply::Held, is_held, "{left}: {reply:?}");
    }
}

#[test]
fn what_another_ticket_tells_of_what_is_held_changes_nothing() {
    let world = world();
    let payment = payment(1, 1);
    let request = claimed(&world, &payment);
    let ticket = request.ticket;
    assert_eq!(hold(&world, request), HoldReply::Held);
    let used = AtomicAmount(AMOUNT);
    let report = |ticket| UseReport { payment: payment.id.clone(), ticket, used };
    world.settler().charge_used(&report(ticket + 1)).unwrap();
    let (id, seconds) = (payment.id.clone(), 35);
    let so_far = RenewRequest { payment: id, ticket: ticket + 1, seconds, used: Some(used) };
    assert!(!world.settler().renew(&so_far).unwrap());
    assert!(matches!(state(&world, &payment), State::Metered { used: None, .. }));
    assert!(matches!(state(&world, &payment), State::Metered { .. }));
    assert!(world.settler().charge_used(&report(ticket)).is_ok());
    assert!(matches!(state(&world, &payment), State::Owed { .. }));
    // A report that is sent twice is heard, though it is being settled.
    *world.faults.borrow_mut() = vec![Fault::Slow; 4].into();
    world.run_for(500);
    assert!(matches!(state(&world, &payment), State::Owed { .. }));
    assert!(world.settler().charge_used(&report(ticket)).is_ok());
    let later = UseReport { used: AtomicAmount(1), ..report(ticket) };
    assert!(world.settler().charge_used(&later).is_err());
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [AMOUNT]);
    assert_eq!(settlement(&world, &payment).amount, used);
}
