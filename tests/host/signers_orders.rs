//! Orders of other people's servers after a change of the signers: what their
//! payments' Settlers are asked, run by the core's own sequence.

use std::rc::Rc;

use edge402::facilitator::settle::{self, OrderSettlers};
use edge402::protocol::Reason;
use edge402::settlement::messages::RESERVE_SECONDS;
use edge402::settlement::others::{Said, Settlers};
use edge402::settlement::{ClaimRequest, Outcome, SettleRequest, Verdict};

use crate::sim::{Answer, Buyer, Handle, Payment, Setup, World};

/// A server's order, and the Settler that its payment belongs to now.
#[derive(Clone)]
struct Server {
    world: Rc<World>,
    payment: Payment,
    once: bool,
}

fn server(world: &Rc<World>, number: u8) -> Server {
    Server { world: Rc::clone(world), payment: Payment::new(number, number, 600), once: true }
}

fn world() -> Rc<World> {
    World::new(&Setup { block_ms: 500, ..Setup::default() })
}

impl Server {
    fn request(&self) -> SettleRequest {
        let claim = self.world.claim_request(&self.payment, "order");
        let account = Some("acme".into());
        SettleRequest { account, once: self.once, ..self.payment.settle_request(&claim) }
    }

    fn start(&self) -> Handle<Outcome> {
        let (this, request) = (self.clone(), self.request());
        self.world
            .start(async move { settle::settle(&this, &request, this.payment.expires_at).await })
    }

    fn settles(&self) -> Outcome {
        self.world.take(&self.start())
    }

    fn verifies(&self) -> Verdict {
        let (this, request) = (self.clone(), self.request());
        self.world.wait(async move { settle::verify(&this, &request).await })
    }

    fn transfers(&self) -> usize {
        self.world.chain.borrow().transfers_of(&self.payment).len()
    }

    fn other(&self, number: usize) -> Rc<World> {
        Rc::clone(&self.world.others.borrow()[number])
    }
}

fn heard<T, E>(reply: Option<Result<T, E>>) -> Result<T, String> {
    reply.and_then(Result::ok).ok_or_else(|| "broken".into())
}

impl Settlers for Server {
    async fn claim(&self, request: &ClaimRequest) -> Said {
        let request = request.clone();
        heard(self.world.ask(|it| async move { it.claim(&request).await }).await)
    }

    fn others(&self) -> usize {
        self.world.others.borrow().len()
    }

    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Said {
        let request = request.clone();
        heard(self.other(number).ask(|it| async move { it.claim(&request).await }).await)
    }
}

impl OrderSettlers for Server {
    async fn charge(&self, request: &SettleRequest) -> Result<Outcome, String> {
        let request = request.clone();
        heard(self.world.ask(|it| async move { it.charge(request).await }).await)
    }

    async fn verify(&self, request: &SettleRequest) -> Result<Verdict, String> {
        let request = request.clone();
        heard(self.world.ask(|it| async move { it.verify(&request).await }).await)
    }

    async fn verify_at_other(
        &self,
        number: usize,
        request: &SettleRequest,
    ) -> Result<Verdict, String> {
        let request = request.clone();
        heard(self.other(number).ask(|it| async move { it.verify(&request).await }).await)
    }

    fn log(&self, line: &str) {
        self.world.log.borrow_mut().push(line.to_owned());
    }
}

/// Whether an outcome is the refusal of what was settled before, with its
/// transaction.
fn is_duplicate(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { reason: Reason::DuplicateSettlement, transaction: Some(_) })
}

#[test]
fn what_was_settled_before_is_told_from_where_it_was() {
    for once in [true, false] {
        let world = world();
        let order = Server { once, ..server(&world, 1) };
        // The server is gone when it is settled.
        let lost = order.start();
        world.run_for(100);
        world.replace_signer(false);
        world.run_for(5_000);
        drop(lost);
        assert_eq!(order.transfers(), 1);
        assert_eq!(order.verifies(), Verdict::Valid);
        assert!(matches!(order.settles(), Outcome::Settled(_)));
        assert_eq!(matches!(order.settles(), Outcome::Settled(_)), !once);
        assert_eq!(order.transfers(), 1);
        assert!(world.tables.record(&order.payment.id).is_none());
    }
}

#[test]
fn what_its_own_has_settled_is_told_whoever_else_is_silent() {
    for once in [true, false] {
        let world = world();
        let former = world.replace_signer(true);
        let order = Server { once, ..server(&world, 1) };
        assert!(matches!(order.settles(), Outcome::Settled(_)));
        former.tables.is_broken.set(true);
        let again = order.settles();
        assert!(if once { is_duplicate(&again) } else { matches!(again, Outcome::Settled(_)) });
        // One that nobody waited for is told to the first that asks.
        former.tables.is_broken.set(false);
        let lost = Server { once, ..server(&world, 2) };
        drop(lost.start());
        world.run_for(100);
        former.tables.is_broken.set(true);
        world.crash();
        world.settler();
        world.run_for(5_000);
        assert!(matches!(lost.settles(), Outcome::Settled(_)));
        assert_eq!(matches!(lost.settles(), Outcome::Settled(_)), !once);
        assert_eq!((order.transfers(), lost.transfers()), (1, 1));
    }
}

#[test]
fn what_another_may_have_settled_is_not_settled_while_that_is_silent() {
    let world = world();
    let former = world.replace_signer(true);
    former.tables.is_broken.set(true);
    let order = server(&world, 1);
    assert_eq!(order.settles(), Outcome::Unavailable);
    assert!(world.tables.record(&order.payment.id).is_none());
    assert!(world.log.borrow().iter().any(|line| line == "settle: broken"));
    former.tables.is_broken.set(false);
    // Nor while its own is: another can't know that one.
    world.tables.is_broken.set(true);
    assert_eq!(order.settles(), Outcome::Unavailable);
    assert_eq!(former.tables.payments(), 0, "nothing is kept from anybody for that");
    world.tables.is_broken.set(false);
    assert!(matches!(order.settles(), Outcome::Settled(_)));
    assert_eq!(order.transfers(), 1);
}

#[test]
fn what_another_has_settled_is_told_though_its_own_is_silent() {
    let world = world();
    let order = Server { once: false, ..server(&world, 1) };
    assert!(matches!(order.settles(), Outcome::Settled(_)));
    world.replace_signer(false);
    world.tables.is_broken.set(true);
    assert!(matches!(order.settles(), Outcome::Settled(_)));
}

#[test]
fn what_is_settled_for_one_version_is_settled_for_no_other() {
    for at in (0..1_500).step_by(50) {
        for is_old_first in [true, false] {
            let world = world();
            let former = world.replace_signer(true);
            let new = server(&world, 1);
            let old = Server { world: Rc::clone(&former), ..new.clone() };
            let (early, late) = if is_old_first { (&old, &new) } else { (&new, &old) };
            let first = early.start();
            world.run_for(at);
            let second = late.start();
            let outcomes = [world.take(&first), world.take(&second)];
            let settled = outcomes.iter().filter(|it| matches!(it, Outcome::Settled(_)));
            assert_eq!(settled.count(), 1, "{at} {is_old_first}: {outcomes:?}");
            assert_eq!(new.transfers(), 1);
        }
    }
}

#[test]
fn what_bought_something_else_is_refused_with_its_transaction() {
    let world = world();
    world.replace_signer(true);
    let order = server(&world, 1);
    let buyer = Buyer::new(&world, &order.payment, "a");
    let Answer::Delivered(settlement) = buyer.now() else { panic!("not delivered") };
    let refused = order.settles();
    assert!(is_duplicate(&refused), "{refused:?}");
    match refused {
        Outcome::Failed { transaction, .. } => {
            assert_eq!(transaction, Some(settlement.transaction));
        }
        other => panic!("{other:?}"),
    }
    world.run_for(1_000 * RESERVE_SECONDS);
    assert_eq!(order.transfers(), 1);
}
