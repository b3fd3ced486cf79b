//! Nodes of every temper: a payment is delivered wherever one node at all takes
//! a plain transaction, and else the log has the node's own sentence.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use edge402::rpc::{PostAnswer, TransportError};
use serde_json::{Value, json};

use crate::sim::{Answer, Payment, Setup, World};

const PLAIN: &str = "eth_sendRawTransaction";
const SYNC: &str = "eth_sendRawTransactionSync";
const FIRST: &str = "https://node0.test/";

/// What is asked of nodes: (URL, methods).
type Asked = Rc<RefCell<Vec<(String, Vec<String>)>>>;

type Bad = Result<PostAnswer, TransportError>;

fn world(urls: usize, block_ms: u64) -> Rc<World> {
    World::new(&Setup { urls, block_ms, has_sync: true, ..Setup::default() })
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 240)
}

#[allow(clippy::unnecessary_wraps)] // It stands beside nodes that don't answer.
fn http(status: u16, body: &str) -> Bad {
    Ok(PostAnswer { status, body: body.into() })
}

fn error(status: u16, code: i64, message: &str) -> Bad {
    let body = json!({ "id": 0, "error": { "code": code, "message": message } });
    http(status, &body.to_string())
}

fn methods(message: &Value) -> Vec<String> {
    let one = |call: &Value| call["method"].as_str().unwrap().to_owned();
    message.as_array().map_or_else(|| vec![one(message)], |calls| calls.iter().map(one).collect())
}

/// The answer of a chain's node to a batch, in which these methods have an error.
fn with_errors(message: &Value, bad: &[&str], code: i64, text: &str) -> Value {
    let answers = message.as_array().unwrap().iter().map(|call| {
        let method = call["method"].as_str().unwrap();
        if method != "eth_chainId" && (bad.is_empty() || bad.contains(&method)) {
            json!({ "id": call["id"], "error": { "code": code, "message": text } })
        } else {
            let result = match method {
                "eth_chainId" => json!("0x14a34"),
                "eth_feeHistory" => json!({
                    "oldestBlock": "0x3e8", "baseFeePerGas": ["0x1", "0x1"], "reward": [["0x1"]],
                }),
                _ => json!("0x0"),
            };
            json!({ "id": call["id"], "result": result })
        }
    });
    Value::Array(answers.collect())
}

/// Makes the first node ill-tempered, and writes down what all are asked.
fn temper(world: &World, mut bad: impl FnMut(&Value) -> Option<Bad> + 'static) -> Asked {
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    *world.temper.borrow_mut() = Some(Box::new(move |url, message| {
        seen.borrow_mut().push((url.to_owned(), methods(message)));
        if url == FIRST { bad(message) } else { None }
    }));
    asked
}

fn count(asked: &Asked, method: &str) -> usize {
    let all = asked.borrow();
    all.iter().flat_map(|(_, methods)| methods).filter(|asked| *asked == method).count()
}

fn log_has(world: &World, text: &str) -> bool {
    world.log.borrow().iter().any(|line| line.contains(text))
}

/// Every way in which nodes do not do the synchronous method.
fn refusals_of_sync() -> Vec<(Bad, &'static str)> {
    vec![
        (error(200, -32_601, "the method is not there"), "is not there"),
        (error(400, -32_600, "Unsupported method: that one"), "Unsupported method"),
        (error(200, -32_001, "rpc method is not whitelisted"), "not whitelisted"),
        (error(200, -32_000, "rpc method is not whitelisted"), "not whitelisted"),
        (error(200, -32_004, "that is not available"), "is not available"),
        (error(403, -32_601, "this plan has no such thing"), "no such thing"),
        (error(500, -32_603, "Internal error"), "Internal error"),
        (error(200, -32_005, "limit of that method reached"), "limit of that"),
        (http(404, "nothing here"), "nothing here"),
        (http(200, "{\"id\":0,\"result\":null}"), "no receipt"),
        (http(200, "{\"id\":0,\"result\":\"0xab\"}"), "no receipt"),
        (http(200, "{\"id\":0,\"error\":\"whatever\"}"), "whatever"),
        (Err(TransportError::Unreachable), "broke off"),
    ]
}

#[test]
fn a_node_without_the_synchronous_method_gets_the_plain_one_once() {
    for (refusal, sentence) in refusals_of_sync() {
        let world = world(1, 100);
        let asked =
            temper(&world, move |message| (message["method"] == SYNC).then(|| refusal.clone()));
        let start = world.clock.now_ms();
        assert!(world.buy_now(&payment(1), "a").is_delivery(), "{sentence}");
        assert!(world.clock.now_ms() - start <= 1_000, "{sentence}");
        assert_eq!((count(&asked, SYNC), count(&asked, PLAIN)), (1, 1), "{sentence}");
        assert!(log_has(&world, sentence), "{sentence}: {:?}", world.log.borrow());
        assert!(log_has(&world, "node0.test"));
        // That is remembered, for a while.
        assert!(world.buy_now(&payment(2), "b").is_delivery());
        assert_eq!((count(&asked, SYNC), count(&asked, PLAIN)), (1, 2), "{sentence}");
        world.run_for(600_000);
        world.buy_now(&Payment::new(3, 3, 2_000), "c");
        assert_eq!(count(&asked, SYNC), 2, "{sentence}");
    }
}

#[test]
fn a_node_that_is_silent_on_the_synchronous_method_alone() {
    for urls in [1, 2] {
        let world = world(urls, 50);
        temper(&world, |message| {
            (message["method"] == SYNC).then_some(Err(TransportError::TimedOut))
        });
        let start = world.clock.now_ms();
        assert!(world.buy_now(&payment(1), "a").is_delivery());
        assert!(world.clock.now_ms() - start <= 3_000);
    }
}

#[test]
fn the_synchronous_method_keeps_few_connections_open() {
    let world = world(1, 12_000);
    let asked = temper(&world, |_| None);
    let buyers: Vec<_> = (1..=8)
        .map(|number| {
            let buyer = world.start_buy(&payment(number), "a");
            world.run_for(200);
            buyer
        })
        .collect();
    assert!(buyers.iter().all(|buyer| world.take(buyer).is_delivery()));
    assert!(count(&asked, SYNC) <= 2, "{}", count(&asked, SYNC));
    // Blocks that come so late are better asked for.
    assert!(world.buy_now(&payment(9), "a").is_delivery());
    assert!(count(&asked, SYNC) <= 2);
}

#[test]
fn known_errors_of_the_transaction_are_no_lack_of_the_node() {
    for (code, text) in [
        (-32_000, "already known"),
        (4, "The transaction was added to the mempool but wasn't processed"),
        (-32_000, "nonce too low"),
    ] {
        let world = world(1, 100);
        // The node takes it all the same.
        let raw = Rc::new(RefCell::new(Value::Null));
        let taken = Rc::clone(&raw);
        let asked = temper(&world, move |message| {
            (message["method"] == SYNC).then(|| {
                taken.replace(message["params"].clone());
                error(200, code, text)
            })
        });
        let buyer = world.start_buy(&payment(1), "a");
        world.run_for(200);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().answer(PLAIN, &raw.borrow(), now).unwrap();
        assert!(world.take(&buyer).is_delivery(), "{text}");
        assert_eq!((count(&asked, SYNC), count(&asked, PLAIN)), (1, 0), "{text}");
    }
}

/// Errors of a node's own.
const OWN: [(i64, &str); 8] = [
    (-32_016, "over rate limit"),
    (-32_005, "daily request count exceeded, request rate limited"),
    (429, "Your app has exceeded its compute units per second capacity"),
    (-32_007, "50/second request limit reached - reduce calls per second"),
    (-32_000, "Too Many Requests"),
    (-32_603, "Internal error"),
    (-32_601, "the method does not exist/is not available"),
    (-32_000, "header not found"),
];

#[test]
fn a_nodes_own_errors_are_no_end_where_another_node_is_left() {
    for bad in [&[][..], &["eth_call", "eth_estimateGas"], &["eth_call"], &["eth_feeHistory"]] {
        for (code, text) in OWN {
            for has_multicall in [true, false] {
                let setup = Setup { urls: 2, block_ms: 100, has_multicall, ..Setup::default() };
                let world = World::new(&setup);
                temper(&world, move |message| {
                    message
                        .is_array()
                        .then(|| http(200, &with_errors(message, bad, code, text).to_string()))
                });
                assert!(world.buy_now(&payment(1), "a").is_delivery(), "{bad:?} {code} {text}");
            }
        }
    }
}

#[test]
fn a_nodes_own_errors_are_never_the_payments_fault() {
    for bad in [&[][..], &["eth_call", "eth_estimateGas"], &["eth_call"]] {
        for (code, text) in OWN {
            for has_multicall in [true, false] {
                let setup = Setup { block_ms: 100, has_multicall, ..Setup::default() };
                let world = World::new(&setup);
                let asked = temper(&world, move |message| {
                    let answer = || http(200, &with_errors(message, bad, code, text).to_string());
                    message.is_array().then(answer)
                });
                let payment = payment(1);
                let what = format!("{bad:?} {code} {text} {has_multicall}");
                assert_eq!(world.buy_now(&payment, "a"), Answer::Unavailable, "{what}");
                assert!(log_has(&world, text), "{what}: {:?}", world.log.borrow());
                assert_eq!(count(&asked, PLAIN), 0);
                // The node is better, and the payment as good as before.
                *world.temper.borrow_mut() = None;
                assert!(world.buy_now(&payment, "a").is_delivery(), "{what}");
            }
        }
    }
}

#[test]
fn batches_are_split_where_a_node_wants_that() {
    let one_error = || error(200, -32_600, "batch requests are not supported");
    let of_three = || error(500, -32_000, "no more than 3");
    let cases: [(usize, fn() -> Bad); 3] =
        [(3, of_three), (1, one_error), (1, || http(400, "Bad Request"))];
    for (max, refusal) in cases {
        for urls in [1, 2] {
            let world = world(urls, 100);
            temper(&world, move |message| {
                message.as_array().filter(|calls| calls.len() > max).map(|_| refusal())
            });
            for number in 1..=3 {
                assert!(world.buy_now(&payment(number), "a").is_delivery(), "{max} {urls}");
            }
        }
    }
}

#[test]
fn a_silent_node_is_not_waited_for_where_another_is_left() {
    let world = world(2, 100);
    temper(&world, |_| Some(Err(TransportError::TimedOut)));
    let start = world.clock.now_ms();
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert!(world.clock.now_ms() - start <= 3_000);
}

/// Sells 40 payments, five a second, and returns how long the slowest took.
fn slowest_of_forty(has_silent_node: bool) -> u64 {
    let world = world(if has_silent_node { 2 } else { 1 }, 1_000);
    *world.gate.borrow_mut() = Some(Rc::default());
    *world.temper.borrow_mut() =
        Some(Box::new(|url, _| (url != FIRST).then_some(Err(TransportError::TimedOut))));
    let slowest = Rc::new(Cell::new(0));
    let mut sales = vec![];
    for number in 1..=40 {
        let (buyer, slowest) = (Rc::clone(&world), Rc::clone(&slowest));
        sales.push(world.start(async move {
            let start = buyer.clock.now_ms();
            let answer = Rc::clone(&buyer).buy(payment(number), "a".into(), 50, true).await;
            slowest.set(slowest.get().max(buyer.clock.now_ms() - start));
            answer.is_delivery()
        }));
        world.run_for(200);
    }
    world.run_for(60_000);
    assert!(sales.iter().all(|sale| sale.borrow_mut().take() == Some(true)), "{has_silent_node}");
    slowest.get()
}

#[test]
fn no_payment_waits_for_a_node_that_is_only_told() {
    assert_eq!(slowest_of_forty(true), slowest_of_forty(false));
}
