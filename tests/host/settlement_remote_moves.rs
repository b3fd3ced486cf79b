//! A network is moved between keys of the seller's own and a facilitator, while payments
//! are open under the former way.

use std::rc::Rc;

use crate::gate_support::{PAY_TO, Request, config, routes, settings, v2};
use crate::remote_support::{self, Does, SimFacilitator, payment};
use crate::sim::{Answer, Buyer, Setup, World, relayer};
use edge402::config::{self, Config, Loaded};
use edge402::gate::Decision;
use edge402::protocol::Reason;
use edge402::purchase::settlers::settlers_of;
use edge402::settlement::relayer::is_facilitator_name;
use serde_json::{Value, json};

const URL: &str = "https://facilitator.example";
const RPC: &str = "https://node.example";

/// How long a relayer's transaction waits here for its block, in milliseconds.
const BLOCK_MS: u64 = 40_000;

fn mine(world: &Rc<World>, block_ms: u64) {
    let miner = Rc::clone(world);
    world.clock.spawn(async move {
        loop {
            miner.clock.sleep(block_ms).await;
            let now = miner.clock.now_ms();
            miner.chain.borrow_mut().mine(now);
        }
    });
}

/// A network that was just moved from keys to a facilitator, and what the keys' Settler
/// is now.
fn moved_to_facilitator(block_ms: u64) -> (Rc<World>, Rc<SimFacilitator>, Rc<World>) {
    let (world, facilitator) = remote_support::world(true);
    let former = world.replace_signer(true);
    mine(&world, block_ms);
    (world, facilitator, former)
}

/// The same from a facilitator to keys.
fn moved_to_keys() -> (Rc<World>, Rc<SimFacilitator>, Rc<World>) {
    let world = World::new(&Setup::default());
    let former = world.move_from(remote_support::lane(true));
    let facilitator = SimFacilitator::new(&former);
    (world, facilitator, former)
}

#[test]
fn what_keys_have_settled_is_had_again_after_a_move_to_a_facilitator() {
    let (world, facilitator, former) = moved_to_facilitator(1_000);
    let payment = payment(1);
    let Answer::Delivered(first) = Buyer::new(&former, &payment, "a").now() else { panic!() };
    let Answer::Delivered(again) = facilitator.buy_now(&payment, "a") else { panic!() };
    assert_eq!(first.transaction, again.transaction);
    let other = facilitator.buy_now(&payment, "b");
    assert_eq!(other, Answer::Refused(Reason::DuplicateSettlement));
    assert!(facilitator.asked.borrow().is_empty());
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
}

#[test]
fn what_keys_have_sent_is_waited_for_after_a_move_to_a_facilitator() {
    let (world, facilitator, former) = moved_to_facilitator(BLOCK_MS);
    let payment = payment(1);
    let first = Buyer::new(&former, &payment, "a").now();
    assert!(matches!(first, Answer::Pending(Some(_))), "{first:?}");
    assert!(facilitator.buy_now(&payment, "a").is_delivery());
    assert!(facilitator.asked.borrow().is_empty());
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    assert!(former.tables.entries().is_empty());
    // Who comes for the first time is sold to by the facilitator.
    assert!(facilitator.buy_now(&remote_support::payment(2), "a").is_delivery());
    assert_eq!(facilitator.count("/settle"), 1);
}

#[test]
fn what_a_facilitator_has_settled_is_had_again_after_a_move_to_keys() {
    let (world, facilitator, former) = moved_to_keys();
    let payment = payment(1);
    let Answer::Delivered(first) = facilitator.buy_now(&payment, "a") else { panic!() };
    let Answer::Delivered(again) = world.buy_now(&payment, "a") else { panic!() };
    assert_eq!(first.transaction, again.transaction);
    assert_eq!(world.buy_now(&payment, "b"), Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    assert!(former.tables.entries().is_empty());
    assert!(world.buy_now(&remote_support::payment(2), "a").is_delivery());
    assert_eq!(facilitator.count("/settle"), 1);
}

#[test]
fn what_a_facilitator_has_said_nothing_of_is_had_after_a_move_to_keys() {
    let (world, facilitator, former) = moved_to_keys();
    let payment = payment(1);
    facilitator.is_idempotent.set(true);
    facilitator.settles.borrow_mut().push_back(Does::WellButSilent);
    facilitator.settles.borrow_mut().extend(vec![Does::Unreachable; 4]);
    // No node tells of it, either.
    *former.hook.borrow_mut() = Some(Box::new(|_, _, _| Some(Err((-32_005, "limit exceeded")))));
    assert!(matches!(facilitator.buy_now(&payment, "a"), Answer::Pending(None)));
    former.crash();
    former.settler();
    let bought = world.buy_now(&payment, "a");
    assert!(bought.is_delivery(), "{bought:?}");
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    assert!(former.tables.entries().is_empty());
}

/// A shop with this network, and a relayer's address among the former signers or not.
fn shop(network: Value, former: bool) -> Loaded {
    let mut settings = settings("assets", routes());
    let mut network = network;
    network["pay_to"] = json!(PAY_TO);
    settings.networks = Some(json!({ "eip155:84532": network }));
    settings.former_signers = former.then(|| json!([relayer().address().to_string()]));
    config::read(&settings)
}

/// The Settlers of a payment there.
fn settlers(loaded: &Loaded) -> Vec<String> {
    let request = Request::get("/premium/page").paying(&v2(&crate::evm_support::signed(|_| {})));
    let Decision::Purchase(purchase) = request.decide(loaded) else {
        panic!("{}", request.outcome(loaded))
    };
    let config: &Config = config(loaded);
    let network = &config.networks[0];
    settlers_of(config, network, &purchase.payment)
}

fn kinds(names: &[String]) -> Vec<bool> {
    let network = "eip155:84532".parse().unwrap();
    names.iter().map(|name| is_facilitator_name(network, name)).collect()
}

#[test]
fn after_a_move_the_settler_of_before_is_asked_too() {
    let facilitator = json!({ "facilitator": URL, "rpc": [RPC] });
    assert_eq!(kinds(&settlers(&shop(facilitator.clone(), false))), [true]);
    let names = settlers(&shop(facilitator, true));
    assert_eq!(kinds(&names), [true, false]);
    assert!(names[1].ends_with(&relayer().address().to_string()));
    // Without nodes nobody could say what became of what the keys have sent.
    assert_eq!(kinds(&settlers(&shop(json!({ "facilitator": URL }), true))), [true]);

    let keys = json!({ "rpc": [RPC] });
    assert_eq!(kinds(&settlers(&shop(keys, false))), [false]);
    let keys = json!({ "rpc": [RPC], "former_facilitator": URL });
    assert_eq!(kinds(&settlers(&shop(keys.clone(), false))), [false, true]);
    assert_eq!(kinds(&settlers(&shop(keys, true))).last(), Some(&true));
}

#[test]
fn a_former_facilitator_is_none_where_another_settles() {
    let both = shop(json!({ "facilitator": URL, "former_facilitator": URL }), false);
    let faults = both.config.unwrap_err();
    assert!(faults.0[0].problem.contains("keys of your own settle now"), "{faults:?}");
}
