//! Finding out who used a payment: nodes that answer little, logs by the
//! hundred, and names that were made up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use edge402::encoding::encode_hex;
use edge402::evm::Call;
use edge402::protocol::Reason;
use edge402::settlement::State;
use serde_json::{Value, json};

use crate::sim::payment::permit2_of;
use crate::sim::{Answer, Handle, Payment, Setup, World};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

/// A purchase, and the moment at which its transaction is in the pool.
fn start_until_sent(world: &Rc<World>, payment: &Payment) -> Handle<Answer> {
    let buyer = world.start_buy(payment, "a");
    world.run_for(300);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    buyer
}

fn front_run(world: &World, payment: &Payment) -> String {
    world.chain.borrow_mut().stranger_sends(payment, world.clock.now_ms())
}

/// Sends a payment, and 200 others of the same look before it, as a stranger.
fn front_run_behind_others(world: &World, payment: &Payment) -> String {
    for number in 2..=201 {
        front_run(world, &Payment::by_permit2(1, number, 600));
    }
    front_run(world, payment)
}

/// Answers some questions with an error, as long as the flag is set.
fn refuse(
    world: &World,
    refuses: impl Fn(&str, &Value) -> bool + 'static,
    error: (i64, &'static str),
) -> Rc<Cell<bool>> {
    let is_on = Rc::new(Cell::new(true));
    let flag = Rc::clone(&is_on);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        (flag.get() && refuses(method, params)).then_some(Err(error))
    }));
    is_on
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// The transaction that a payment was settled by.
fn settled_by(world: &World, payment: &Payment) -> String {
    match world.tables.record(&payment.id).unwrap().state {
        State::Settled(settlement) => settlement.transaction,
        state => panic!("{state:?}"),
    }
}

fn is_open(world: &World, payment: &Payment) -> bool {
    matches!(world.tables.record(&payment.id).unwrap().state, State::Submitted { .. })
}

/// Calldata that settles a payment, and behind it the same with other nonces.
fn with_made_up_names(payment: &Payment, nonces: impl Iterator<Item = [u8; 32]>) -> Call {
    let Call { to, data } = payment.evm().call();
    let mut all = data.clone();
    for nonce in nonces {
        let mut made_up = data.clone();
        made_up[4 + 2 * 32..4 + 3 * 32].copy_from_slice(&nonce);
        all.extend(made_up);
    }
    Call { to, data: all }
}

#[test]
fn made_up_names_hide_no_payment() {
    let in_one_word = |n: u8| [vec![1; 31], vec![n]].concat().try_into().unwrap();
    let in_many_words = |n: u8| [vec![n; 16], vec![7; 16]].concat().try_into().unwrap();
    let nonces: [(bool, Vec<[u8; 32]>); 3] = [
        (true, (2..200).map(in_one_word).collect()),
        (true, (2..200).map(in_many_words).collect()),
        (false, (2..200).map(in_one_word).collect()),
    ];
    for (has_multicall, nonces) in nonces {
        let world = World::new(&Setup { has_multicall, ..Setup::default() });
        let payment = Payment::by_permit2(1, 1, 600);
        let buyer = start_until_sent(&world, &payment);
        let call = with_made_up_names(&payment, nonces.into_iter());
        let hash = world.chain.borrow_mut().stranger_calls(call, world.clock.now_ms());
        let answer = world.take(&buyer);
        let Answer::Delivered(settlement) = answer else { panic!("{answer:?}") };
        assert_eq!(settlement.transaction, hash);
    }
}

#[test]
fn more_words_than_can_be_asked_about_end_nothing() {
    let world = World::new(&Setup { has_multicall: false, ..Setup::default() });
    let payment = Payment::by_permit2(1, 1, 60);
    start_until_sent(&world, &payment);
    let words = (2..200).map(|n| [vec![n; 16], vec![7; 16]].concat().try_into().unwrap());
    let call = with_made_up_names(&payment, words);
    let hash = world.chain.borrow_mut().stranger_calls(call, world.clock.now_ms());
    world.run_for(2 * HOUR);
    assert!(is_open(&world, &payment));
    // Somebody gives the chain its Multicall3.
    world.chain.borrow_mut().has_multicall = true;
    world.run_for(2 * HOUR);
    assert_eq!(settled_by(&world, &payment), hash);
}

#[test]
fn a_node_that_forgot_a_block_ends_nothing() {
    for silence in [(-32_000, "missing trie node"), (-32_603, "internal error")] {
        let world = world();
        let payment = Payment::by_permit2(1, 1, 60);
        start_until_sent(&world, &payment);
        let hash = front_run(&world, &payment);
        let of_block =
            |method: &str, params: &Value| method == "eth_call" && number(&params[1]).is_some();
        let is_silent = refuse(&world, of_block, silence);
        world.run_for(HOUR);
        assert!(is_open(&world, &payment));
        is_silent.set(false);
        world.run_for(HOUR);
        assert_eq!(settled_by(&world, &payment), hash);
        assert!(world.tables.entries().is_empty());
    }
}

#[test]
fn a_payer_who_takes_back_what_is_used_hides_no_payment() {
    let world = world();
    let payment = Payment::by_permit2(1, 1, 60);
    start_until_sent(&world, &payment);
    let hash = front_run(&world, &payment);
    let of_block =
        |method: &str, params: &Value| method == "eth_call" && number(&params[1]).is_some();
    let is_silent = refuse(&world, of_block, (-32_000, "missing trie node"));
    world.run_for(10_000);
    // Permit2 logs it, though the nonce is used already.
    world.chain.borrow_mut().invalidates(&permit2_of(1, 1, 0), world.clock.now_ms());
    world.run_for(HOUR);
    assert!(is_open(&world, &payment));
    is_silent.set(false);
    world.run_for(HOUR);
    assert_eq!(settled_by(&world, &payment), hash);
}

#[test]
fn what_is_not_told_of_one_transaction_hides_no_other() {
    let world = world();
    let payment = Payment::by_permit2(1, 1, 600);
    let buyer = start_until_sent(&world, &payment);
    let other = front_run(&world, &Payment::by_permit2(1, 2, 600));
    let hash = front_run(&world, &payment);
    refuse(
        &world,
        move |method, params| method == "eth_getTransactionByHash" && params[0] == other.as_str(),
        (-32_000, "history was pruned"),
    );
    let answer = world.take(&buyer);
    let Answer::Delivered(settlement) = answer else { panic!("{answer:?}") };
    assert_eq!(settlement.transaction, hash);
}

#[test]
fn logs_are_looked_through_in_pages_as_short_as_nodes_want() {
    for most in [10, 100, 1_000] {
        let world = world();
        let payment = Payment::by_permit2(1, 1, 600);
        start_until_sent(&world, &payment);
        // The use is far from both ends of what has to be looked through.
        refuse(&world, |method, _| method == "eth_getLogs", (-32_603, "internal error"));
        world.chain.borrow_mut().min_fee = u128::MAX / 4;
        world.run_for(5 * MINUTE);
        let hash = front_run(&world, &payment);
        world.chain.borrow_mut().min_fee = 0;
        world.run_for(10 * MINUTE);
        assert!(is_open(&world, &payment));
        let chain = Rc::clone(&world.chain);
        refuse(
            &world,
            move |method, params| {
                let end = || number(&params[0]["toBlock"]).unwrap_or(chain.borrow().height());
                method == "eth_getLogs"
                    && end() + 1 > number(&params[0]["fromBlock"]).unwrap() + most
            },
            (-32_005, "query exceeds the largest block range"),
        );
        world.run_for(20 * MINUTE);
        assert_eq!(settled_by(&world, &payment), hash, "{most}");
    }
}

#[test]
fn a_use_is_found_among_hundreds_of_payments_of_the_same_look() {
    let world = world();
    let payment = Payment::by_permit2(1, 1, 600);
    start_until_sent(&world, &payment);
    let hash = front_run_behind_others(&world, &payment);
    world.run_for(10 * MINUTE);
    assert_eq!(settled_by(&world, &payment), hash);
}

#[test]
fn how_far_a_search_has_got_outlives_a_crash() {
    let world = world();
    let payment = Payment::by_permit2(1, 1, 600);
    start_until_sent(&world, &payment);
    let hash = front_run_behind_others(&world, &payment);
    for _ in 0..20 {
        world.run_for(40_000);
        world.crash();
    }
    world.run_for(5 * MINUTE);
    assert_eq!(settled_by(&world, &payment), hash);
}

#[test]
fn what_no_node_tells_is_unpaid_once_nobody_can_use_it_and_nobody_has() {
    let world = world();
    let payment = Payment::new(1, 1, 60);
    start_until_sent(&world, &payment);
    refuse(&world, |method, _| method == "eth_getLogs", (-32_601, "not supported"));
    // It lands when its time is over.
    world.chain.borrow_mut().min_fee = u128::MAX / 4;
    world.run_for(2 * MINUTE);
    world.chain.borrow_mut().min_fee = 0;
    world.run_for(5 * MINUTE);
    assert!(is_open(&world, &payment), "a node may be behind");
    world.run_for(25 * MINUTE);
    let state = world.tables.record(&payment.id).map(|it| it.state);
    assert!(!matches!(state, Some(State::Submitted { .. } | State::Settled(_))), "{state:?}");
    assert!(world.tables.entries().is_empty());
    assert!(world.chain.borrow().transfers_of(&payment).is_empty());
}

#[test]
fn what_no_node_tells_ends_after_a_day_and_the_log_says_so() {
    let world = World::new(&Setup { block_ms: 30_000, ..Setup::default() });
    let payment = Payment::by_permit2(1, 1, 200_000);
    start_until_sent(&world, &payment);
    refuse(&world, |method, _| method == "eth_getLogs", (-32_601, "not supported"));
    world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0));
    world.run_for(20 * HOUR);
    assert!(is_open(&world, &payment));
    world.run_for(8 * HOUR);
    let State::Failed { reason } = world.tables.record(&payment.id).map(|it| it.state).unwrap()
    else {
        panic!()
    };
    assert_eq!(reason, Reason::UnexpectedSettleError);
    assert!(world.tables.entries().is_empty());
    assert!(world.log.borrow().iter().any(|line| line.contains("ended unclear")));
}

#[test]
fn what_is_open_is_looked_at_in_turns() {
    const OPEN: u8 = 60;
    let mut setup = Setup::default();
    setup.limits.batch_max = 1;
    let world = World::new(&setup);
    let asked: Rc<RefCell<Vec<String>>> = Rc::default();
    let is_down = Rc::new(Cell::new(true));
    let (noted, down) = (Rc::clone(&asked), Rc::clone(&is_down));
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_getLogs" || !down.get() {
            return None;
        }
        let nonce = params[0]["topics"][2].as_str().unwrap().to_owned();
        noted.borrow_mut().push(nonce);
        Some(Err((-32_603, "internal error")))
    }));
    let payments: Vec<_> = (1..=OPEN).map(|n| Payment::new(n, n, 100_000)).collect();
    for (number, payment) in (1..=OPEN).zip(&payments) {
        world.chain.borrow_mut().poisoned.insert([number; 32]);
        world.start_buy(payment, "a");
        world.run_for(1_000);
    }
    world.run_for(2 * MINUTE);
    assert_eq!(world.tables.entries().len(), usize::from(OPEN));
    for crashes in [false, true] {
        if crashes {
            world.crash();
        }
        asked.borrow_mut().clear();
        let (mut most, mut all) = (0, BTreeSet::new());
        // The alarm rings every 30 seconds.
        for _ in 0..40 {
            world.run_for(30_000);
            let nonces: BTreeSet<_> = asked.take().into_iter().collect();
            most = most.max(nonces.len());
            all.extend(nonces);
        }
        assert!((1..=16).contains(&most), "{most}");
        assert_eq!(all.len(), usize::from(OPEN));
    }
    is_down.set(false);
    world.run_for(2 * HOUR);
    assert!(world.tables.entries().is_empty());
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn of_what_is_open_the_latest_for_its_age_comes_first() {
    let mut setup = Setup::default();
    setup.limits.batch_max = 1;
    let world = World::new(&setup);
    let asked: Rc<RefCell<BTreeSet<String>>> = Rc::default();
    let noted = Rc::clone(&asked);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_getLogs" {
            return None;
        }
        noted.borrow_mut().insert(params[0]["topics"][2].as_str().unwrap().to_owned());
        Some(Err((-32_603, "internal error")))
    }));
    let open = |number: u8| {
        world.chain.borrow_mut().poisoned.insert([number; 32]);
        world.start_buy(&Payment::new(number, number, 100_000), "a");
        world.run_for(1_000);
    };
    // More of them are due each time than are looked at.
    (1..=20).for_each(open);
    world.run_for(2 * MINUTE + 8_000);
    // Just before one turn, to be looked at in the next.
    open(99);
    world.run_for(25_000);
    for _ in 0..2 {
        asked.borrow_mut().clear();
        world.run_for(30_000);
        assert_eq!(asked.borrow().len(), 16);
        assert!(asked.borrow().contains(&format!("0x{}", "63".repeat(32))), "the new one waits");
    }
}

#[test]
fn a_node_without_old_logs_leaves_what_was_paid_open() {
    for payment in [Payment::new(1, 1, 600), Payment::by_permit2(1, 1, 600)] {
        let world = world();
        start_until_sent(&world, &payment);
        let hash = front_run(&world, &payment);
        // As nodes do that keep the logs of the last hours alone.
        let hook = |_: &str, method: &str, _: &Value| {
            (method == "eth_getLogs").then(|| Ok(Value::Array(vec![])))
        };
        *world.hook.borrow_mut() = Some(Box::new(hook));
        world.run_for(3 * HOUR);
        assert!(is_open(&world, &payment));
        // The seller takes another node.
        *world.hook.borrow_mut() = None;
        world.run_for(HOUR);
        assert_eq!(settled_by(&world, &payment), hash);
    }
}

/// A payment whose transaction failed and that somebody else has sent then, and
/// the blocks from which logs were asked for.
fn failed_and_used(world: &Rc<World>) -> (Payment, Rc<RefCell<Vec<u64>>>) {
    let payment = Payment::new(1, 1, 3_000);
    let nonce = payment.authorization.as_ref().unwrap().nonce;
    world.chain.borrow_mut().poisoned.insert(nonce);
    assert!(!world.buy_now(&payment, "a").is_delivery());
    world.chain.borrow_mut().poisoned.clear();
    let asked: Rc<RefCell<Vec<u64>>> = Rc::default();
    let noted = Rc::clone(&asked);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method == "eth_getLogs" {
            noted.borrow_mut().push(number(&params[0]["fromBlock"]).unwrap());
        }
        None
    }));
    (payment, asked)
}

#[test]
fn who_asks_all_the_time_has_one_search_after_the_other() {
    let world = world();
    let (payment, asked) = failed_and_used(&world);
    let hash = front_run(&world, &payment);
    let noted = Rc::clone(&asked);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        if method != "eth_getLogs" {
            return None;
        }
        noted.borrow_mut().push(number(&params[0]["fromBlock"]).unwrap());
        Some(Err((-32_603, "internal error")))
    }));
    let begun = world.clock.now_ms();
    for _ in 0..40 {
        let answer = world.buy_now(&payment, "a");
        // Whether it was paid nobody knows yet.
        assert!(!answer.is_delivery() && !matches!(answer, Answer::Refused(_)), "{answer:?}");
        world.run_for(500);
    }
    // One search asks for five pages, each shorter than the one before.
    let searches = usize::try_from((world.clock.now_ms() - begun) / 30_000 + 1).unwrap();
    let count = asked.borrow().len();
    assert!((5..=5 * searches).contains(&count), "{count} pages, {searches} searches");
    *world.hook.borrow_mut() = None;
    world.run_for(30_000);
    let Answer::Delivered(settlement) = world.buy_now(&payment, "a") else { panic!("not sold") };
    assert_eq!(settlement.transaction, hash);
}

/// Asserts that a payment is neither sold nor refused while the nodes are as they are, and
/// sold once they tell which transaction has used it.
fn assert_sold_once_told(world: &Rc<World>, payment: &Payment, hash: &str) {
    world.run_for(10_000);
    let answer = world.buy_now(payment, "a");
    assert!(!answer.is_delivery() && !matches!(answer, Answer::Refused(_)), "{answer:?}");
    *world.hook.borrow_mut() = None;
    world.run_for(30_000);
    let Answer::Delivered(settlement) = world.buy_now(payment, "a") else { panic!("not sold") };
    assert_eq!(settlement.transaction, hash);
}

#[test]
fn what_is_used_and_no_log_tells_by_whom_is_not_refused_yet() {
    let world = world();
    let (payment, _) = failed_and_used(&world);
    let hash = front_run(&world, &payment);
    *world.hook.borrow_mut() =
        Some(Box::new(|_, method, _| (method == "eth_getLogs").then(|| Ok(Value::Array(vec![])))));
    assert_sold_once_told(&world, &payment, &hash);
}

#[test]
fn a_search_that_refuses_a_claim_is_remembered_as_well() {
    let world = world();
    let (payment, asked) = failed_and_used(&world);
    for _ in 0..3_000 {
        let now = world.clock.now_ms();
        world.chain.borrow_mut().mine(now);
    }
    let now = world.clock.now_ms();
    world.chain.borrow_mut().payer_cancels(&payment, now);
    let mut firsts = vec![];
    for _ in 0..2 {
        asked.borrow_mut().clear();
        assert_eq!(world.buy_now(&payment, "a"), Answer::Refused(Reason::EvmNonceUsed));
        firsts.push(asked.borrow()[0]);
    }
    assert!(firsts[1] > firsts[0] + 2_000, "{firsts:?}");
}

/// What a node says whose latest block is one of long ago: nothing is used in it.
fn of_long_ago(method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
    match method {
        "eth_blockNumber" => Ok(json!("0x1")),
        "eth_getLogs" => Ok(json!([])),
        "eth_call" if params[1] == "latest" => Ok(json!(encode_hex(&[0; 32]))),
        "eth_call" => Err((-32_000, "header not found")),
        _ => Ok(Value::Null),
    }
}

#[test]
fn what_a_node_says_that_stands_still_ends_no_payment() {
    for payment in [Payment::new(1, 1, 600), Payment::by_permit2(1, 1, 600)] {
        let world = World::new(&Setup { urls: 2, ..Setup::default() });
        let buyer = start_until_sent(&world, &payment);
        let hash = front_run(&world, &payment);
        // One tells that our transaction has failed, and nothing else.
        *world.hook.borrow_mut() = Some(Box::new(|url, method, params| match method {
            "eth_blockNumber" | "eth_getLogs" | "eth_call" if url.contains("node0.") => {
                Some(Err((-32_005, "limit exceeded")))
            }
            "eth_chainId" => None,
            _ => (!url.contains("node0.")).then(|| of_long_ago(method, params)),
        }));
        world.run_for(MINUTE);
        assert!(is_open(&world, &payment));
        *world.hook.borrow_mut() = None;
        world.run_for(10 * MINUTE);
        assert_eq!(settled_by(&world, &payment), hash);
        assert!(!matches!(*buyer.borrow(), Some(Answer::Refused(_))));
        assert!(world.buy_now(&payment, "a").is_delivery());
    }
}

#[test]
fn what_was_seen_used_is_not_refused_because_a_node_stands_still() {
    let world = world();
    let (payment, _) = failed_and_used(&world);
    let hash = front_run(&world, &payment);
    // It answers once what became of the payment is looked for.
    let looks = Cell::new(false);
    *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
        looks.set(looks.get() || method == "eth_getLogs");
        looks.get().then(|| of_long_ago(method, params))
    }));
    assert_sold_once_told(&world, &payment, &hash);
}

#[test]
fn what_failed_ends_at_once_behind_nodes_of_which_one_is_a_block_behind() {
    for turn in [1, 2] {
        let world = world();
        world.chain.borrow_mut().poisoned.insert([1; 32]);
        let (chain, asked) = (Rc::clone(&world.chain), Cell::new(0));
        // Each message goes to this one, or to each in turn.
        *world.hook.borrow_mut() = Some(Box::new(move |_, method, params| {
            let is_by_number = params[1].as_str().is_some_and(|block| block.starts_with("0x"));
            if method != "eth_blockNumber" && !(method == "eth_call" && is_by_number) {
                return None;
            }
            asked.set(asked.get() + 1);
            if asked.get() % turn != 0 {
                return None;
            }
            let height = chain.borrow().height() - 1;
            Some(match method {
                "eth_blockNumber" => Ok(json!(format!("{height:#x}"))),
                _ if number(&params[1]).unwrap() > height => Err((-32_000, "header not found")),
                _ => return None,
            })
        }));
        let answer = world.buy_now(&Payment::new(1, 1, 600), "a");
        assert!(matches!(answer, Answer::Refused(_)), "in turn of {turn}: {answer:?}");
    }
}
