//! Payments that only the chain can judge: smart wallets are sold to, and whoever
//! writes down somebody else's payment learns, binds and costs next to nothing.

use std::rc::Rc;

use crate::remote_support::{self, Does};
use crate::sim::chain::{Code, Factory, Overload};
use crate::sim::{
    Answer, Buyer, Fault, Handle, Origin, Payment, Setup, World, factory, payer, shows, time,
    with_deployment,
};
use edge402::evm::{Address, MULTICALL3};
use edge402::protocol::Reason;
use edge402::rpc::TransportError;
use edge402::settlement::{
    ClaimReply, ClaimRequest, Outcome, Proof, SettleRequest, State, Verdict,
};
use serde_json::{Value, json};

const SIGNED: [u8; 100] = [0x51; 100];
const FORGED: [u8; 100] = [0xf0; 100];
const WALLET_GAS: u64 = 300_000;

const NO_SIGNATURE: Answer = Answer::Refused(Reason::EvmSignature);
const DUPLICATE: Answer = Answer::Refused(Reason::DuplicateSettlement);

fn wallet(number: u8) -> Address {
    Address::new([number; 20])
}

fn world() -> Rc<World> {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    setup.limits.wallet_gas = Some(WALLET_GAS);
    World::new(&setup)
}

/// A world with one wallet that is deployed.
fn world_with(code: Code) -> Rc<World> {
    let world = world();
    deploy(&world, 1, code);
    world
}

fn deploy(world: &World, number: u8, code: Code) {
    let mut chain = world.chain.borrow_mut();
    chain.codes.insert(wallet(number), code);
    chain.wallets.insert(wallet(number), SIGNED.to_vec());
}

/// The first wallet's payment.
fn honest(number: u8) -> Payment {
    Payment::of_wallet(wallet(1), number, &SIGNED)
}

/// The same payment by somebody who has no signature.
fn forged(number: u8) -> Payment {
    Payment::of_wallet(wallet(1), number, &FORGED)
}

/// A payment whose wallet is deployed with it.
fn undeployed(number: u8) -> Payment {
    let signature = with_deployment(factory(), wallet(1), &SIGNED);
    Payment::of_wallet(wallet(1), number, &signature)
}

fn transfers_of(world: &World, payment: &Payment) -> usize {
    world.chain.borrow().transfers_of(payment).len()
}

fn buy_all(world: &Rc<World>, payments: &[Payment]) -> Vec<Answer> {
    let started: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    started.iter().map(|it| world.take(it)).collect()
}

#[test]
fn a_deployed_wallet_pays_in_a_transaction_of_its_own() {
    let world = world_with(Code::Honest);
    let payments = [honest(1), Payment::new(2, 2, 600), Payment::new(3, 3, 600)];
    let answers = buy_all(&world, &payments);
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    assert_eq!(payments.map(|it| transfers_of(&world, &it)), [1, 1, 1]);
    let chain = world.chain.borrow();
    let its = chain.mined.iter().find(|it| it.transaction.data.starts_with(&[0xcf, 9, 0x29, 0x95]));
    assert!(its.is_some(), "the overload with bytes, not in a batch");
    assert_eq!(chain.failed(), 0);
}

#[test]
fn a_wallet_is_deployed_by_its_first_payment() {
    for does in [Factory::Deploys, Factory::Reverts] {
        let world = world();
        world.chain.borrow_mut().wallets.insert(wallet(1), SIGNED.to_vec());
        world.chain.borrow_mut().factories.insert(factory(), does);
        let (first, second) = (undeployed(1), undeployed(2));
        if does == Factory::Reverts {
            assert_eq!(world.buy_now(&first, "a"), NO_SIGNATURE);
            assert_eq!((world.asked.get(), world.tables.payments()), (0, 0));
            // It is there already: nothing has to be deployed.
            deploy(&world, 1, Code::Honest);
        }
        // One after the other: the second finds a wallet.
        let answers = buy_all(&world, &[first.clone(), second.clone()]);
        assert!(answers.iter().all(Answer::is_delivery), "{does:?}: {answers:?}");
        assert_eq!((transfers_of(&world, &first), transfers_of(&world, &second)), (1, 1));
        let chain = world.chain.borrow();
        assert!(chain.mined.iter().all(|it| it.transaction.to == MULTICALL3));
        assert_eq!(chain.mined.len(), 2);
    }
}

#[test]
fn without_multicall3_a_deployed_wallet_pays_and_no_other() {
    let mut setup = Setup { has_multicall: false, ..Setup::default() };
    setup.limits.wallet_gas = Some(WALLET_GAS);
    let world = World::new(&setup);
    deploy(&world, 1, Code::Honest);
    assert!(world.buy_now(&honest(1), "a").is_delivery());
    let other = World::new(&setup);
    other.chain.borrow_mut().factories.insert(factory(), Factory::Deploys);
    assert_eq!(other.buy_now(&undeployed(1), "a"), NO_SIGNATURE);
    let says = |line: &String| line.contains("no Multicall3 on this chain: a wallet that is not");
    assert!(other.log.borrow().iter().any(says), "{:?}", other.log.borrow());
}

#[test]
fn a_wrong_signature_is_refused_before_the_origin_works_and_leaves_nothing() {
    for code in [Code::Honest, Code::Burns, Code::Changes] {
        let world = world_with(code);
        assert_eq!(world.buy_now(&forged(1), "a"), NO_SIGNATURE);
        // Nor is a wallet anybody's that isn't there.
        assert_eq!(world.buy_now(&Payment::of_wallet(wallet(9), 1, &SIGNED), "a"), NO_SIGNATURE);
        // Nor a key's payment that was changed after it was signed.
        let key = payer(7).address();
        assert_eq!(world.buy_now(&Payment::of_wallet(key, 1, &[1; 65]), "a"), NO_SIGNATURE);
        assert_eq!((world.asked.get(), world.tables.payments(), world.tables.names()), (0, 0, 0));
        assert!(world.chain.borrow().mined.is_empty() && world.chain.borrow().pool.is_empty());
    }
}

#[test]
fn a_strangers_forgery_never_keeps_the_payer_from_paying() {
    for at in (0..5_000).step_by(50) {
        for resource in ["a", "b"] {
            let world = world_with(Code::Honest);
            let stranger =
                Buyer { proof: shows("a stranger"), ..Buyer::new(&world, &forged(1), resource) };
            let before: Vec<_> = (0..3).map(|_| stranger.start()).collect();
            let buyer = world.start_buy(&honest(1), "a");
            world.run_for(at);
            let meanwhile: Vec<_> = (0..3).map(|_| stranger.start()).collect();
            assert!(world.take(&buyer).is_delivery(), "{at}");
            assert_eq!(transfers_of(&world, &honest(1)), 1);
            for answer in before.iter().chain(&meanwhile).map(|it| world.take(it)) {
                let is_nothing = [NO_SIGNATURE, DUPLICATE, Answer::Busy].contains(&answer);
                assert!(is_nothing, "{at}: {answer:?}");
            }
            assert_eq!(world.asked.get(), 1, "{at}: the origin works for the buyer alone");
        }
    }
}

#[test]
fn a_stranger_waits_for_nothing_and_takes_no_place() {
    let world = world_with(Code::Honest);
    let slow = Buyer { origin_ms: 8_000, ..Buyer::new(&world, &honest(1), "a") };
    let buyer = slow.start();
    world.run_for(1_000);
    let stranger = Buyer { proof: shows("a stranger"), ..Buyer::new(&world, &forged(1), "a") };
    let strangers: Vec<Handle<Answer>> = (0..200).map(|_| stranger.start()).collect();
    world.run_for(50);
    assert!(strangers.iter().all(|it| *it.borrow() == Some(Answer::Busy)));
    // The buyer's retry waits with it as always.
    let retry = slow.start();
    world.run_for(1_000);
    assert!(retry.borrow().is_none());
    assert!(world.take(&buyer).is_delivery());
}

#[test]
fn an_observer_of_the_chain_gets_what_one_of_a_keys_payment_gets() {
    // Delivered, or lost on the way: what each observer gets, asking five times.
    for is_lost in [false, true] {
        let given = [Payment::new(5, 1, 600), honest(1)].map(|payment| {
            let world = world_with(Code::Honest);
            let buyer =
                Buyer { redeliver_max: 3, breaks: is_lost, ..Buyer::new(&world, &payment, "a") };
            assert!(buyer.now().is_delivery());
            world.run_for(1_000);
            // A forger has even less to show.
            let forger = Buyer { payment: forged(1), ..buyer.observer() };
            if payment.id == forger.payment.id {
                for _ in 0..5 {
                    assert_eq!(forger.now(), DUPLICATE);
                }
            }
            let observer = buyer.observer();
            let goods = (0..5).filter(|_| observer.now().is_delivery()).count();
            assert!(!observer.granted.get());
            // The buyer's own proof opens what it always did.
            assert!(is_lost || buyer.now().is_delivery());
            goods
        });
        assert_eq!(given[0], given[1]);
        assert_eq!(given[1], if is_lost { 3 } else { 0 });
    }
}

#[test]
fn a_payment_that_has_lapsed_is_had_by_its_own_signature_or_by_proof() {
    let world = world_with(Code::Honest);
    let start = time::START_MS / 1_000;
    let within = |signature: &[u8]| {
        Payment::of_wallet_within(wallet(1), 1, signature, (start - 600, start + 60))
    };
    let buyer =
        Buyer { origin: Origin::Good, breaks: true, ..Buyer::new(&world, &within(&SIGNED), "a") };
    assert!(buyer.now().is_delivery());
    world.run_for(100_000);
    let ask = |payment: &Payment, proof: Proof, resource: &str| {
        let claim =
            ClaimRequest { look_only: true, proof, ..world.claim_request(payment, resource) };
        world.claim(&claim)
    };
    let asked = world.chain.borrow().simulations.get();
    let refused = ClaimReply::Refused(Reason::DuplicateSettlement);
    assert_eq!(ask(&within(&FORGED), shows("a stranger"), "a"), refused);
    assert_eq!(ask(&within(&FORGED), shows("a stranger"), "b"), refused);
    assert!(matches!(ask(&within(&FORGED), shows("the buyer"), "a"), ClaimReply::Deliver { .. }));
    assert_eq!(world.chain.borrow().simulations.get(), asked, "no node was asked");
    // What nobody knows has bought nothing, and a look costs nothing.
    let other = Payment::of_wallet_within(wallet(1), 2, &SIGNED, (start - 600, start + 60));
    assert_eq!(ask(&other, shows("the buyer"), "a"), ClaimReply::NOTHING_BOUGHT);
    assert_eq!(world.chain.borrow().simulations.get(), asked);
}

#[test]
fn who_fails_on_chain_costs_so_much_gas_and_no_neighbour_anything() {
    for code in [Code::Changes, Code::Burns] {
        let world = world();
        for number in 1..=6 {
            deploy(&world, number, code);
        }
        let mut payments: Vec<_> =
            (1..=6).map(|number| Payment::of_wallet(wallet(number), number, &SIGNED)).collect();
        payments.extend((50..60).map(|number| Payment::new(number, number, 600)));
        let answers = buy_all(&world, &payments);
        let (wallets, neighbours) = answers.split_at(6);
        assert!(wallets.iter().all(|it| !it.is_delivery()), "{code:?}: {wallets:?}");
        assert!(neighbours.iter().all(Answer::is_delivery), "{code:?}: {neighbours:?}");
        let chain = world.chain.borrow();
        assert_eq!(chain.transfers.len(), 10);
        assert!(chain.burnt() <= 6 * WALLET_GAS, "{code:?}: {} gas", chain.burnt());
    }
    // A factory that burns all gas is one on the list; still it is bounded.
    let world = world();
    world.chain.borrow_mut().wallets.insert(wallet(1), SIGNED.to_vec());
    world.chain.borrow_mut().factories.insert(factory(), Factory::Burns);
    assert!(!world.buy_now(&undeployed(1), "a").is_delivery());
    assert!(world.chain.borrow().burnt() <= WALLET_GAS);
    assert_eq!(world.buy_now(&undeployed(2), "a"), Answer::Refused(Reason::TooManyFailures));
}

#[test]
fn failed_payments_of_wallets_use_so_much_gas_an_hour() {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    setup.limits.failed_gas = Some(200_000);
    setup.limits.wallet_gas = Some(WALLET_GAS);
    let world = World::new(&setup);
    for number in 1..=40 {
        // Always new ones: none of them has failed before.
        deploy(&world, number, Code::Changes);
        world.buy_now(&Payment::of_wallet(wallet(number), number, &SIGNED), "a");
    }
    assert!(world.chain.borrow().burnt() <= 200_000, "{} gas", world.chain.borrow().burnt());
    assert!(world.buy_now(&Payment::new(50, 50, 600), "a").is_delivery(), "a key's payment");
}

#[test]
fn a_transaction_of_a_wallet_is_given_so_much_gas() {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    // The chain's contracts use 66,000.
    setup.limits.wallet_gas = Some(60_000);
    let world = World::new(&setup);
    deploy(&world, 1, Code::Honest);
    assert_eq!(world.buy_now(&honest(1), "a"), Answer::Refused(Reason::EvmSimulationFailed));
    assert_eq!((world.asked.get(), world.tables.payments()), (0, 0));
}

#[test]
fn a_stranger_costs_the_nodes_so_much_a_minute() {
    let world = world_with(Code::Honest);
    let ask = |asker: &str, number: u8| {
        let payment = Payment::of_wallet(wallet(100 + number % 100), number, &FORGED);
        let asker = Some(asker.to_owned());
        world.claim(&ClaimRequest { asker, ..world.claim_request(&payment, "a") })
    };
    let looked = |asker: &str, times: u8| {
        let before = world.chain.borrow().simulations.get();
        let later = ClaimReply::Refused(Reason::UnexpectedSettleError);
        let busy = (0..times).filter(|number| ask(asker, *number) == later).count();
        (busy, world.chain.borrow().simulations.get() > before)
    };
    assert_eq!(looked("one", 10), (0, true));
    assert_eq!(looked("one", 20), (20, false), "no node is asked for it any more");
    let lines = || {
        let says = |line: &&String| line.contains("too many payments of smart wallets to look at");
        world.log.borrow().iter().filter(says).count()
    };
    assert_eq!(lines(), 1);
    assert_eq!(looked("another", 5), (0, true));
    // Whoever pays by a key is asked nothing, and a minute later it begins anew.
    assert!(world.buy_now(&Payment::new(50, 50, 600), "a").is_delivery());
    world.run_for(60_000);
    assert_eq!(looked("one", 5), (0, true));
}

#[test]
fn a_few_who_fail_shut_out_nobody_else() {
    let world = world_with(Code::Honest);
    let later = ClaimReply::Refused(Reason::UnexpectedSettleError);
    let ask = |asker: &str, payment: &Payment| {
        let asker = Some(asker.to_owned());
        world.claim(&ClaimRequest { asker, ..world.claim_request(payment, "a") })
    };
    let forged = |number| Payment::of_wallet(wallet(100 + number), number, &FORGED);
    for asker in 0..24 {
        for number in 0..10 {
            ask(&format!("one of few {asker}"), &forged(number));
        }
    }
    assert_eq!(ask("one of few 0", &honest(1)), later);
    assert_eq!(ask("one of few 23", &honest(1)), later);
    assert_eq!(ask("somebody else", &honest(1)), ClaimReply::Fresh);
}

#[test]
fn a_crash_at_any_time_loses_no_wallets_payment() {
    for crash_at in (0..6_000).step_by(150) {
        for payment in [honest(1), undeployed(1)] {
            let world = world_with(Code::Honest);
            world.chain.borrow_mut().factories.insert(factory(), Factory::Deploys);
            let lost = world.start_buy(&payment, "a");
            world.run_for(crash_at);
            world.crash();
            let again = world.start_buy(&payment, "a");
            let answer = world.take(&again);
            assert!(answer.is_delivery(), "{crash_at}: {answer:?}");
            world.take(&lost);
            assert_eq!(transfers_of(&world, &payment), 1, "{crash_at}");
            world.run_for(60_000);
            assert!(world.tables.entries().is_empty(), "{crash_at}");
        }
    }
}

#[test]
fn a_forgery_reserves_nothing_at_a_former_signers_settler() {
    let world = world_with(Code::Honest);
    let former = world.replace_signer(true);
    let stranger = Buyer { proof: shows("a stranger"), ..Buyer::new(&world, &forged(1), "a") };
    assert_eq!(stranger.now(), NO_SIGNATURE);
    assert_eq!((world.tables.payments(), former.tables.payments()), (0, 0));
    // What the payer brings is reserved there, and sold here.
    assert!(world.buy_now(&honest(1), "a").is_delivery());
    assert_eq!((world.tables.payments(), former.tables.payments()), (1, 1));
    let record = world.tables.record(&honest(1).id).unwrap();
    assert!(matches!(record.state, State::Settled(_)));
    assert_eq!(transfers_of(&world, &honest(1)), 1);
}

#[test]
fn a_former_signers_settler_reserves_what_is_proved_to_it_alone() {
    let world = world_with(Code::Honest);
    let looks = |world: &World| world.chain.borrow().simulations.get();
    let refused = ClaimReply::Refused(Reason::EvmSignature);
    let stranger = world.claim_request(&forged(1), "a");
    assert_eq!(world.claim(&stranger.to_other_signer(true)), refused);
    assert_eq!(world.tables.payments(), 0);
    // What reserves nothing costs no node a question.
    let before = looks(&world);
    assert_eq!(world.claim(&stranger.to_other_signer(false)), ClaimReply::NOTHING_BOUGHT);
    assert_eq!(looks(&world), before);
    let buyer = world.claim_request(&honest(1), "a");
    assert_eq!(world.claim(&buyer.to_other_signer(true)), ClaimReply::NOTHING_BOUGHT);
    assert_eq!((world.tables.payments(), looks(&world) > before), (1, true));
}

#[test]
fn a_wallets_signature_proves_the_payment_that_is_claimed_and_no_other() {
    let world = world_with(Code::Honest);
    let its = world.claim_request(&honest(1), "a");
    let order = honest(1).settle_request(&its);
    let (own, other) = (honest(1).id, Payment::new(2, 2, 600).id);
    for (claimed, ordered) in [(&other, &other), (&own, &other), (&other, &own)] {
        let mut claim = ClaimRequest { payment: claimed.clone(), ..its.clone() };
        claim.to_prove = Some(SettleRequest { payment: ordered.clone(), ..order.clone() }.into());
        assert_eq!(world.claim(&claim), ClaimReply::Refused(Reason::InvalidPayload));
    }
    assert_eq!(world.tables.payments(), 0);
    assert_eq!(world.claim(&its), ClaimReply::Fresh);
}

#[test]
fn a_facilitators_client_hears_of_a_wallets_payment_by_the_signature_that_was_proved() {
    let mut setup = Setup { block_ms: 40_000, ..Setup::default() };
    setup.limits.wallet_gas = Some(WALLET_GAS);
    let world = World::new(&setup);
    deploy(&world, 1, Code::Honest);
    let order = |payment: &Payment| {
        let order = payment.settle_request(&world.claim_request(payment, "facilitator"));
        SettleRequest { account: Some("acme".into()), once: true, ..order }
    };
    let charge = |payment: &Payment| {
        let (same, order) = (Rc::clone(&world), order(payment));
        let asked =
            world.start(async move { same.ask(|it| async move { it.charge(order).await }).await });
        world.take(&asked).unwrap().unwrap()
    };
    let verify = |payment: &Payment| {
        let (settler, order) = (world.settler(), order(payment));
        world.wait(async move { settler.verify(&order).await.unwrap() })
    };
    let used = Verdict::Invalid(Reason::DuplicateSettlement);
    assert!(matches!(charge(&honest(1)), Outcome::Pending { .. }));
    assert_eq!([verify(&honest(1)), verify(&forged(1))], [Verdict::Valid, used]);
    world.run_for(40_000);
    assert_eq!([verify(&honest(1)), verify(&forged(1))], [Verdict::Valid, used]);
    assert!(matches!(charge(&honest(1)), Outcome::Settled(_)));
}

#[test]
fn three_signatures_are_before_the_nodes_at_once() {
    let asked = |count: u8| {
        let world = world_with(Code::Honest);
        // No answer comes before three seconds have passed.
        *world.faults.borrow_mut() = vec![Fault::Slow; 100].into();
        let claims: Vec<_> = (1..=count)
            .map(|number| {
                let claim = world.claim_request(&honest(number), "a");
                let settler = world.settler();
                world.start(async move { settler.claim(&claim).await.unwrap() })
            })
            .collect();
        world.run_for(1_000);
        assert!(claims.iter().all(|it| it.borrow().is_none()));
        world.posts.get()
    };
    assert_eq!([asked(3), asked(4), asked(9)], [3 * asked(1); 3]);
}

#[test]
fn one_nonce_buys_one_thing_whatever_signatures_its_wallet_takes() {
    // The record is the nonce's: a second good signature finds the first one's.
    for at in (0..4_000).step_by(100) {
        let world = world_with(Code::Honest);
        let first = world.start_buy(&honest(1), "a");
        world.run_for(at);
        world.chain.borrow_mut().wallets.insert(wallet(1), FORGED.to_vec());
        let second = world.start_buy(&forged(1), "b");
        let answers = [world.take(&first), world.take(&second)];
        let delivered = answers.iter().filter(|it| it.is_delivery()).count();
        assert!(delivered <= 1, "{at}: {answers:?}");
        assert_eq!(transfers_of(&world, &honest(1)), delivered, "{at}: {answers:?}");
    }
}

#[test]
fn a_token_that_asks_no_contract_is_found_out_and_remembered() {
    let world = world_with(Code::Honest);
    world.chain.borrow_mut().overload = Overload::Without;
    let failed = Answer::Refused(Reason::EvmSimulationFailed);
    assert_eq!(world.buy_now(&honest(1), "a"), failed);
    let says = |line: &String| line.contains("smart wallets can't pay in it");
    assert_eq!(world.log.borrow().iter().filter(|it| says(it)).count(), 1);
    let asked = world.chain.borrow().simulations.get();
    assert_eq!(world.buy_now(&honest(2), "a"), failed);
    assert_eq!(world.chain.borrow().simulations.get(), asked, "no node is asked again");
    assert!(world.buy_now(&Payment::new(50, 50, 600), "a").is_delivery(), "a key's payment");
    // It is upgraded.
    world.chain.borrow_mut().overload = Overload::WithBytes;
    world.run_for(600_000);
    let start = time::START_MS / 1_000;
    let later = Payment::of_wallet_within(wallet(1), 3, &SIGNED, (start - 600, start + 3_600));
    assert!(world.buy_now(&later, "a").is_delivery());
}

#[test]
fn a_wallet_can_not_make_a_token_seem_to_lack_anything() {
    let mut setup = Setup { has_sync: true, ..Setup::default() };
    // The transfer is good, and dearer than it may be.
    setup.limits.wallet_gas = Some(60_000);
    let world = World::new(&setup);
    deploy(&world, 1, Code::Honest);
    for number in 1..4 {
        assert_eq!(
            world.buy_now(&honest(number), "a"),
            Answer::Refused(Reason::EvmSimulationFailed)
        );
    }
    assert!(!world.log.borrow().iter().any(|it| it.contains("can't pay in it")));
}

#[test]
fn a_facilitator_judges_before_the_claim_and_gets_the_signature_as_it_came() {
    for with_nodes in [false, true] {
        let (world, facilitator) = remote_support::world(with_nodes);
        deploy(&world, 1, Code::Honest);
        let no = json!({ "isValid": false, "invalidReason": "invalid_exact_evm_signature" });
        facilitator.verifies.borrow_mut().push_back(Does::Says(200, no));
        assert_eq!(facilitator.buy_now(&forged(1), "a"), NO_SIGNATURE);
        assert_eq!((world.asked.get(), world.tables.payments()), (0, 0));
        facilitator.asked.borrow_mut().clear();
        facilitator.payments.borrow_mut().clear();

        let payment = undeployed(1);
        assert!(facilitator.buy_now(&payment, "a").is_delivery());
        let paths: Vec<_> = ["/verify", "/settle"].map(|it| facilitator.count(it)).into();
        assert_eq!(paths, [2, 1], "before the claim, after it, and to settle");
        for asked in facilitator.asked.borrow().iter() {
            let body: Value = serde_json::from_str(asked.body.as_deref().unwrap()).unwrap();
            let signature = &body["paymentPayload"]["payload"]["signature"];
            assert_eq!(*signature, payment.payload["signature"]);
        }
        assert_eq!(transfers_of(&world, &payment), 1);
        assert_eq!(facilitator.buy_now(&forged(1), "b"), DUPLICATE);
    }
}

#[test]
fn the_fallback_judges_while_the_nodes_are_silent() {
    let (world, facilitator) = remote_support::world_with_fallback();
    deploy(&world, 1, Code::Honest);
    *world.temper.borrow_mut() = Some(Box::new(|_, _| Some(Err(TransportError::Unreachable))));
    let no = json!({ "isValid": false, "invalidReason": "invalid_exact_evm_signature" });
    facilitator.verifies.borrow_mut().push_back(Does::Says(200, no));
    assert_eq!(facilitator.buy_now(&forged(1), "a"), NO_SIGNATURE);
    assert_eq!(world.tables.payments(), 0);
}
