//! What a Settler says of itself, and what it does without its key.

use std::cell::Cell;
use std::rc::Rc;

use crate::sim::chain::Chain;
use crate::sim::{Answer, CHAIN, Fault, Payment, Setup, World, relayer};
use edge402::rpc::{ChainCheck, Expected, Nodes};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::signer::Signer;
use edge402::settlement::{Health, Host, Limits, State};

const KEY: &str = "NETWORKS.\"eip155:84532\"";

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn with_limits(limits: Limits) -> Rc<World> {
    World::new(&Setup { limits, ..Setup::default() })
}

/// What this many who ask at the same time are told.
fn ask(world: &Rc<World>, count: usize) -> Vec<Health> {
    let handles: Vec<_> = (0..count)
        .map(|_| {
            let asking = Rc::clone(world);
            world.start(async move { asking.ask(|it| async move { it.health().await }).await })
        })
        .collect();
    world.run_for(20_000);
    handles.iter().map(|handle| handle.borrow_mut().take().flatten().unwrap()).collect()
}

fn problems(world: &Rc<World>) -> Vec<String> {
    ask(world, 1).remove(0).problems
}

/// How many messages this takes.
fn posts(world: &Rc<World>, work: impl FnOnce()) -> usize {
    let before = world.posts.get();
    work();
    world.posts.get() - before
}

#[test]
fn one_look_serves_all_who_ask() {
    let world = world();
    let looks = posts(&world, || {
        for health in ask(&world, 40) {
            assert!(health.balance.is_some() && health.problems.is_empty(), "{health:?}");
        }
    });
    assert_eq!(looks, 1);
}

#[test]
fn a_look_counts_for_ten_seconds() {
    let world = world();
    let short = |world: &Rc<World>| {
        let asking = Rc::clone(world);
        world.wait(async move { asking.ask(|it| async move { it.health().await }).await })
    };
    assert_eq!(posts(&world, || drop(short(&world))), 1);
    assert_eq!(posts(&world, || drop(short(&world))), 0);
    world.run_for(10_000);
    assert_eq!(posts(&world, || drop(short(&world))), 1);
}

#[test]
fn a_failed_look_is_remembered_and_then_tried_again() {
    let world = world();
    // Not a broken connection: batches may be to blame for that, and it is
    // asked again without.
    world.faults.borrow_mut().extend([Fault::WrongChain; 1]);
    let asking = Rc::clone(&world);
    let looks = posts(&world, || {
        let all: Vec<_> = (0..40)
            .map(|_| {
                let asking = Rc::clone(&asking);
                world.start(async move { asking.ask(|it| async move { it.health().await }).await })
            })
            .collect();
        world.run_for(2_000);
        for handle in &all {
            let health = handle.borrow_mut().take().flatten().unwrap();
            assert_eq!(health.problems.len(), 1, "{health:?}");
            assert!(health.problems[0].starts_with(&format!("{KEY}.rpc: of 1 nodes none")));
        }
        world.run_for(2_000);
    });
    assert_eq!(looks, 1);
    world.run_for(2_000);
    assert_eq!(problems(&world), Vec::<String>::new());
    let log = world.log.borrow();
    assert_eq!(log.iter().filter(|line| line.contains(&format!("{KEY}.rpc: "))).count(), 1);
}

#[test]
fn a_relayer_without_coin_is_told_of_with_address_chain_and_unit() {
    let world = world();
    world.chain.borrow_mut().relayer_balance = 0;
    let said = problems(&world);
    let address = relayer().address();
    let expected = format!(
        "{KEY}: relayer {address} has 0 ETH on Base Sepolia (eip155:84532), and one payment needs "
    );
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(&expected), "{said:?}");
    assert!(said[0].contains(" ETH; send at least "), "{said:?}");
    assert!(world.log.borrow().iter().any(|line| line.ends_with(&said[0])));
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    world.run_for(10_000);
    assert_eq!(problems(&world), Vec::<String>::new());
}

#[test]
fn what_one_payment_needs_is_that_of_its_method() {
    let world = world();
    world.chain.borrow_mut().relayer_balance = 0;
    let said = problems(&world).remove(0);
    let needed = said.split_once("one payment needs ").unwrap().1.split_once(" ETH").unwrap().0;
    let (whole, rest) = needed.split_once('.').unwrap();
    let wei: u128 = format!("{whole}{rest:0<18}").parse().unwrap();
    // What is said is rounded.
    world.chain.borrow_mut().relayer_balance = wei + wei / 100;
    world.run_for(10_000);
    assert_eq!(problems(&world), Vec::<String>::new());
    // Permit2 takes more gas, from the first payment on that comes by it.
    let payment = Payment::by_permit2(1, 1, 600);
    let request = payment.settle_request(&world.claim_request(&payment, "a"));
    let asking = Rc::clone(&world);
    world.wait(async move { asking.ask(|it| async move { it.verify(&request).await }).await });
    for _ in 0..2 {
        world.run_for(10_000);
        let said = problems(&world);
        assert!(said.len() == 1 && said[0].contains("one payment needs "), "{said:?}");
    }
}

#[test]
fn a_low_balance_is_logged_with_its_key() {
    let limits = Limits { low_balance: Some(2 * 10_u128.pow(18)), ..Setup::default().limits };
    let world = with_limits(limits);
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    let health = ask(&world, 1).remove(0);
    assert!(health.low_balance && health.problems.is_empty(), "{health:?}");
    let address = relayer().address();
    let expected = format!(
        "{KEY}.low_balance: relayer {address} has 1 ETH on Base Sepolia (eip155:84532); \
         send at least 1 ETH"
    );
    let log = world.log.borrow();
    assert!(log.len() == 1 && log[0].ends_with(&expected), "{log:?}");
}

#[test]
fn a_balance_as_high_as_the_low_one_is_not_low() {
    let limits = Limits { low_balance: Some(10_u128.pow(18)), ..Setup::default().limits };
    let world = with_limits(limits);
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    assert!(!ask(&world, 1).remove(0).low_balance);
    assert_eq!(*world.log.borrow(), Vec::<String>::new());
}

#[test]
fn a_relayer_that_has_something_is_told_what_it_lacks_besides() {
    let world = world();
    let wanted = |balance: u128| {
        world.chain.borrow_mut().relayer_balance = balance;
        world.run_for(10_000);
        let said = problems(&world).remove(0);
        let coins = said.split_once("send at least ").unwrap().1.strip_suffix(" ETH").unwrap();
        let (whole, rest) = coins.split_once('.').unwrap();
        format!("{whole}{rest:0<18}").parse::<u128>().unwrap()
    };
    let of_nothing = wanted(0);
    // A thousand payments' worth, and what is missing for the first.
    let there = of_nothing / 2_000;
    assert!(wanted(there) < of_nothing, "{of_nothing}");
}

#[test]
fn a_daily_limit_that_is_reached_is_a_problem() {
    let limits = Limits { daily_spend: Some(1), ..Setup::default().limits };
    let said = problems(&with_limits(limits));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with(&format!("{KEY}.daily_spend: 0 ETH of 0.000000000000000001 ETH")));
}

/// A world whose relayer's key can be taken away between two lives.
fn with_retirement(is_retired: &Rc<Cell<bool>>) -> Rc<World> {
    let is_retired = Rc::clone(is_retired);
    let chain = Chain::new(true, false, relayer().address());
    World::with_lane(
        chain,
        Box::new(move |host, parts| {
            let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(CHAIN) };
            let nodes = Nodes::new(host.transport(), vec!["https://node0.test/".into()], check);
            let limits = Setup::default().limits;
            let address = relayer().address();
            let signer =
                if is_retired.get() { Signer::retired(address) } else { Signer::from(relayer()) };
            vec![EvmLane::new(parts, nodes, CHAIN, signer, vec![address], limits)]
        }),
    )
}

#[test]
fn without_its_key_a_settler_finishes_what_was_sent_and_takes_nothing_new() {
    let is_retired = Rc::new(Cell::new(false));
    let world = with_retirement(&is_retired);
    let payment = Payment::new(1, 1, 600);
    let lost = world.start_buy(&payment, "a");
    world.run_for(3_000);
    assert_eq!(world.tables.entries().len(), 1);
    world.crash();
    drop(lost);
    is_retired.set(true);
    world.settler();
    let said = format!("EVM_RELAYER_KEYS holds no key for eip155:84532/{}", relayer().address());
    assert!(world.log.borrow().iter().any(|line| line.contains(&said)), "{:?}", world.log);
    // Stuck for so long that a key would have signed a better paid one.
    world.run_for(60_000);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().mine(now);
    world.run_for(10_000);
    assert!(world.tables.entries().is_empty());
    assert!(matches!(world.tables.record(&payment.id).unwrap().state, State::Settled(_)));
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    assert!(world.buy_now(&payment, "a").is_delivery());

    // Where nothing is left to be followed, nothing is said of it.
    world.log.borrow_mut().clear();
    world.crash();
    world.settler();
    assert!(!world.log.borrow().iter().any(|line| line.contains(&said)), "{:?}", world.log);

    let other = Payment::new(2, 2, 600);
    assert!(matches!(world.buy_now(&other, "b"), Answer::Unavailable), "nothing is signed");
    assert!(world.tables.record(&other.id).is_none(), "and the claim is free again");
}
