//! How many wait at a Settler for what becomes of payments, all together.

use std::rc::Rc;

use crate::sim::{Buyer, Handle, Payment, Setup, World};
use edge402::settlement::ClaimReply;

/// Claims a payment, and has requests without its proof wait for what becomes of it.
fn claimed_with(world: &Rc<World>, payment: &Payment, waiting: usize) -> Vec<Handle<ClaimReply>> {
    assert_eq!(world.claim(&world.claim_request(payment, "a")), ClaimReply::Fresh);
    let buyer = Buyer::new(world, payment, "a").observer();
    let ask = |_| {
        let claim = buyer.order().claim;
        let settler = world.settler();
        world.start(async move { settler.claim(&claim).await.unwrap() })
    };
    (0..waiting).map(ask).collect()
}

#[test]
fn however_many_payments_are_claimed_so_many_requests_wait_for_them() {
    let world = World::new(&Setup::default());
    let mut all = vec![];
    for number in 1..=40 {
        all.push(claimed_with(&world, &Payment::new(number, 1, 900), 60));
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
    let [waiting] = &claimed_with(&world, &Payment::new(50, 1, 900), 1)[..] else { panic!() };
    world.run_for(100);
    assert!(waiting.borrow().is_none());
}
