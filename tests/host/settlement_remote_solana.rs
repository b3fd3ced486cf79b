//! What becomes of payments on Solana that somebody else's facilitator settles.

use std::rc::Rc;

use crate::remote_support::{Does, SimFacilitator, facilitator};
use crate::sim::chain::Chain;
use crate::sim::{AMOUNT, Payment, World, relayer};
use crate::solana_support::{draft, memo};
use edge402::payment::Terms;
use edge402::protocol::{ChainId, Reason};
use edge402::settlement::remote::RemoteLane;
use edge402::settlement::settler::Lane;
use edge402::settlement::{ClaimReply, ClaimRequest, Outcome};
use serde_json::{Value, json};

const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const SIGNATURE: &str =
    "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW";

fn network() -> ChainId {
    DEVNET.parse().unwrap()
}

fn world() -> (Rc<World>, Rc<SimFacilitator>) {
    let world = World::with_lane(
        Chain::new(true, false, relayer().address()),
        Box::new(|_, parts| Lane::Remote(RemoteLane::new(parts, network(), facilitator(), None))),
    );
    let facilitator = SimFacilitator::new(&world);
    (world, facilitator)
}

fn payment() -> Payment {
    let mut draft = draft();
    draft.instructions[3] = memo("0123456789abcdef");
    let payload: Value = crate::solana_support::payload(&draft.transaction());
    Payment::from_parts(network(), Terms::Solana(crate::solana_support::terms()), &payload, None)
}

fn settle(world: &Rc<World>, payment: &Payment, claim: &ClaimRequest) -> Outcome {
    let mut request = payment.settle_request(claim);
    request.remote = Some(json!({}));
    let settler = world.settler();
    world.wait(async move { settler.settle(request).await.unwrap() })
}

fn claimed(world: &Rc<World>, payment: &Payment) -> ClaimRequest {
    let claim = world.claim_request(payment, "a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    claim
}

fn success() -> Value {
    json!({ "success": true, "transaction": SIGNATURE, "network": "solana-devnet" })
}

#[test]
fn a_payment_is_settled() {
    for network in [DEVNET, "solana-devnet"] {
        let (world, facilitator) = world();
        let payment = payment();
        let claim = claimed(&world, &payment);
        let mut answer = success();
        answer["network"] = json!(network);
        facilitator.settles.borrow_mut().push_back(Does::Says(200, answer));
        let Outcome::Settled(settlement) = settle(&world, &payment, &claim) else { panic!() };
        assert_eq!(settlement.transaction, SIGNATURE);
        assert_eq!(settlement.amount.0, AMOUNT);
        assert_eq!(settlement.payer, crate::solana_support::payer().to_string());
        assert!(world.tables.entries().is_empty());
    }
}

/// The reference confirms after it has sent, and calls a time-out of that a
/// failure; what it sent may have landed.
#[test]
fn a_failure_that_may_be_none_is_asked_about_again() {
    let failed =
        json!({ "success": false, "errorReason": "transaction_failed", "transaction": "" });
    let (world, facilitator) = world();
    let payment = payment();
    let claim = claimed(&world, &payment);
    facilitator.settles.borrow_mut().push_back(Does::Says(200, failed));
    facilitator.settles.borrow_mut().push_back(Does::Says(200, success()));
    assert!(matches!(settle(&world, &payment, &claim), Outcome::Settled(_)));
}

#[test]
fn a_duplicate_after_a_lost_answer_holds_the_payment_until_its_end() {
    let duplicate = json!({ "success": false, "errorReason": "duplicate_settlement" });
    let (world, facilitator) = world();
    let payment = payment();
    let claim = claimed(&world, &payment);
    facilitator.settles.borrow_mut().push_back(Does::Nothing);
    for _ in 0..100 {
        facilitator.settles.borrow_mut().push_back(Does::Says(200, duplicate.clone()));
    }
    let outcome = settle(&world, &payment, &claim);
    assert!(matches!(&outcome, Outcome::Pending { transaction: None }));
    let other = world.claim_request(&payment, "b");
    assert_eq!(world.claim(&other), ClaimReply::Refused(Reason::DuplicateSettlement));
    // Its blockhash lives for three minutes at most, and it is followed for two more.
    world.run_for(240_000);
    assert_eq!(world.tables.entries().len(), 1);
    world.run_for(120_000);
    assert!(world.tables.entries().is_empty());
    let log = world.log.borrow().join("\n");
    let line = format!("{} of {} ended unclear", payment.id, crate::solana_support::payer());
    assert!(log.contains(&line), "{log}");
}

#[test]
fn a_first_duplicate_has_bought_something_else() {
    let duplicate = json!({ "success": false, "errorReason": "duplicate_settlement" });
    let (world, facilitator) = world();
    let payment = payment();
    let claim = claimed(&world, &payment);
    facilitator.settles.borrow_mut().push_back(Does::Says(200, duplicate));
    let refused = Outcome::Failed { reason: Reason::DuplicateSettlement, transaction: None };
    assert_eq!(settle(&world, &payment, &claim), refused);
}
