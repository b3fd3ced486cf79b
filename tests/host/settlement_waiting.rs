//! How many wait at a Settler for what becomes of payments, all together.

use std::rc::Rc;

use crate::sim::{Buyer, Handle, Payment, Setup, World};
use edge402::settlement::ClaimReply;

/// Claims a payment, and has requests wait for what becomes of it: with its proof, or
/// without.
fn claimed_with(
    world: &Rc<World>,
    payment: &Payment,
    waiting: usize,
    has_proof: bool,
) -> Vec<Handle<ClaimReply>> {
    assert_eq!(world.claim(&world.claim_request(payment, "a")), ClaimReply::Fresh);
    (0..waiting).map(|_| join(world, payment, has_proof)).collect()
}

/// Has one more request wait for what becomes of a payment.
fn join(world: &Rc<World>, payment: &Payment, has_proof: bool) -> Handle<ClaimReply> {
    let buyer = Buyer::new(world, payment, "a");
    let buyer = if has_proof { buyer } else { buyer.observer() };
    let claim = buyer.order().claim;
    let settler = world.settler();
    world.start(async move { settler.claim(&claim).await.unwrap() })
}

#[test]
fn however_many_payments_are_claimed_so_many_requests_wait_for_them() {
    let world = World::new(&Setup::default());
    let mut all = vec![];
    for number in 1..=40 {
        all.push(claimed_with(&world, &Payment::new(number, 1, 900), 60, false));
        world.run_for(10);
    }
    let is_busy = |it: &&Handle<ClaimReply>| *it.borrow() == Some(ClaimReply::Busy);
    let busy = all.iter().flatten().filter(is_busy).count();
    assert_eq!(busy, 40 * 60 - 1_024);
    // Whoever shows the claim's proof waits all the same.
    let buyer = world.start_buy(&Payment::new(40, 1, 900), "a");
    world.run_for(100);
    assert!(buyer.borrow().is_none());
    // When those have gone there is room again.
    world.run_for(40_000);
    let [waiting] = &claimed_with(&world, &Payment::new(50, 1, 900), 1, false)[..] else {
        panic!()
    };
    world.run_for(100);
    assert!(waiting.borrow().is_none());
}

#[test]
fn whoever_fills_the_room_with_claims_of_his_own_keeps_no_buyer_from_waiting() {
    let world = World::new(&Setup::default());
    let mut all = vec![];
    for number in 1..=16 {
        all.push(claimed_with(&world, &Payment::new(number, 1, 900), 128, true));
        world.run_for(10);
    }
    assert!(all.iter().flatten().all(|it| it.borrow().is_none()));
    // A buyer who asks again waits, whoever else has seen the payment.
    let payment = Payment::new(100, 1, 900);
    claimed_with(&world, &payment, 64, false);
    let buyer: Vec<_> = (0..6).map(|_| join(&world, &payment, true)).collect();
    world.run_for(100);
    let busy = |it: &&Handle<ClaimReply>| *it.borrow() == Some(ClaimReply::Busy);
    assert_eq!(buyer.iter().filter(busy).count(), 2, "four of each payment, and no more");
}
