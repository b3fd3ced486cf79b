use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::FutureExt;
use serde_json::json;

use super::failure::quote;
use super::*;

type Scripted = (&'static str, Result<PostAnswer, TransportError>);

/// Answers from a script and writes down which URL was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Rc<RefCell<VecDeque<Scripted>>>,
    asked: Rc<RefCell<Vec<(String, Value)>>>,
}

impl Transport for Script {
    async fn post(
        &self,
        url: &str,
        body: String,
        _: Duration,
    ) -> Result<PostAnswer, TransportError> {
        self.asked.borrow_mut().push((url.into(), serde_json::from_str(&body).unwrap()));
        let (expected, answer) = self.answers.borrow_mut().pop_front().unwrap();
        assert_eq!(url, expected);
        answer
    }
}

const A: &str = "http://a/secret-key";
const B: &str = "http://b/secret-key";

fn nodes(answers: Vec<Scripted>) -> (Nodes<Script>, Script) {
    let script = Script { answers: Rc::new(RefCell::new(answers.into())), ..Script::default() };
    let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) };
    (Nodes::new(script.clone(), vec![A.into(), B.into()], check), script)
}

#[allow(clippy::unnecessary_wraps)] // It stands beside nodes that don't answer.
fn http(status: u16, body: &str) -> Result<PostAnswer, TransportError> {
    Ok(PostAnswer { status, body: body.into() })
}

fn json_of(value: &Value) -> Result<PostAnswer, TransportError> {
    http(200, &value.to_string())
}

fn batch(chain: &str, result: &Value) -> Result<PostAnswer, TransportError> {
    json_of(&json!([
        { "jsonrpc": "2.0", "id": 1, "result": result },
        { "jsonrpc": "2.0", "id": 0, "result": chain },
    ]))
}

/// The chain is right, and the question has this error.
fn error_for_one(code: i64, message: &str) -> Result<PostAnswer, TransportError> {
    json_of(&json!([
        { "id": 0, "result": "0x14a34" },
        { "id": 1, "error": { "code": code, "message": message } },
    ]))
}

fn question() -> Vec<Call> {
    vec![Call::new("eth_call", json!([]))]
}

#[test]
fn next_url_when_one_fails() {
    for failure in [
        Err(TransportError::Unreachable),
        Err(TransportError::TimedOut),
        http(429, ""),
        http(200, "<html>"),
        batch("0x1", &json!("0x7")),
        json_of(&json!([{ "id": 0, "result": "0x14a34" }])),
        error_for_one(-32_005, "slow down"),
        error_for_one(-32_016, "over rate limit"),
        error_for_one(-32_000, "daily request count exceeded, request rate limited"),
        error_for_one(429, "Your app has exceeded its compute units per second capacity."),
        error_for_one(-32_603, "Internal error"),
        error_for_one(-32_601, "the method eth_call does not exist/is not available"),
        error_for_one(-32_001, "rpc method is not whitelisted"),
        error_for_one(-32_000, "header not found"),
        error_for_one(-32_000, "something that nobody has heard of"),
        json_of(&json!({ "id": null, "error": "too many requests" })),
        http(503, "{\"message\":\"no backend is currently healthy\"}"),
        http(401, "{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"invalid API key\"}}"),
    ] {
        let (nodes, script) = nodes(vec![
            (A, failure.clone()),
            (B, batch("0x14a34", &json!("0x7"))),
            (B, batch("0x14a34", &json!(null))),
        ]);
        let replies = nodes.ask(&question()).now_or_never().unwrap().unwrap();
        assert_eq!(replies, vec![Ok(json!("0x7"))], "{failure:?}");
        let again = nodes.ask(&question()).now_or_never().unwrap().unwrap();
        assert_eq!(again, vec![Ok(Value::Null)], "the URL that answered is asked first");
        assert!(script.answers.borrow().is_empty());
    }
}

#[test]
fn a_url_of_another_chain_is_never_used() {
    let wrong = || json_of(&json!({ "id": 0, "result": "0x1" }));
    let (nodes, script) = nodes(vec![(A, wrong()), (B, wrong())]);
    let call = Call::new("eth_sendRawTransaction", json!(["0x02"]));
    let error = nodes.ask_again(&call, READ_TIMEOUT).now_or_never().unwrap().unwrap_err();
    let asked = script.asked.borrow();
    assert!(asked.iter().all(|(_, body)| body["method"] == "eth_chainId"), "{asked:?}");
    assert_eq!(
        error.to_string(),
        "no node of NETWORKS.\"eip155:84532\".rpc (or RPC_URLS) could be used: \
         a: it serves another chain: 1 instead of chain id 84532; \
         b: it serves another chain: 1 instead of chain id 84532"
    );
}

#[test]
fn an_error_of_what_was_asked_is_an_answer() {
    for (code, message) in [
        (3, "execution reverted"),
        (3, "execution reverted: rate limit exceeded"),
        (-32_000, "execution reverted: too many requests"),
        (-32_015, "VM execution error."),
        (-32_603, "VM Exception while processing transaction: revert"),
        (-32_000, "gas required exceeds allowance (0)"),
    ] {
        let (nodes, script) = nodes(vec![(A, error_for_one(code, message))]);
        let replies = nodes.ask(&question()).now_or_never().unwrap().unwrap();
        let error = replies[0].as_ref().unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message));
        assert_eq!(error.kind("eth_call"), ErrorKind::Execution);
        assert_eq!(script.asked.borrow().len(), 1);
    }
}

#[test]
fn what_no_node_knows_is_the_first_ones_answer() {
    let unknown = || error_for_one(-32_601, "no eth_feeHistory here");
    let (nodes, _) = nodes(vec![(A, unknown()), (B, error_for_one(-32_005, "slow down"))]);
    let replies = nodes.ask(&question()).now_or_never().unwrap().unwrap();
    assert_eq!(replies[0].as_ref().unwrap_err().code, -32_601);
}

#[test]
fn the_log_line_has_each_nodes_sentence_and_no_key() {
    let (nodes, _) = nodes(vec![
        (A, error_for_one(-32_016, "over rate limit\n\u{202e}for secret-key")),
        (B, http(403, "{\"error\":{\"code\":\"-32000\",\"message\":\"pay us\"}}")),
        (B, http(403, "no")),
        (B, http(403, "no")),
    ]);
    let error = nodes.ask(&question()).now_or_never().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no node of NETWORKS.\"eip155:84532\".rpc (or RPC_URLS) could be used: \
         a: error -32016 \"over rate limit for ***\"; b: error -32000 \"pay us\""
    );
    let long = quote(A, &"é ".repeat(5_000));
    assert!(long.chars().count() <= 200, "{long}");
}

/// A node that answers what it is asked, as long as a batch has at most so many
/// questions; else with this answer.
struct Picky {
    max: usize,
    refusal: PostAnswer,
    sizes: RefCell<Vec<usize>>,
    log: RefCell<Vec<String>>,
}

impl Transport for &Picky {
    async fn post(&self, _: &str, body: String, _: Duration) -> Result<PostAnswer, TransportError> {
        let body: Value = serde_json::from_str(&body).unwrap();
        let answer = |call: &Value| {
            let is_check = call["method"] == "eth_chainId";
            let result = if is_check { json!("0x14a34") } else { call["params"].clone() };
            json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })
        };
        let size = body.as_array().map_or(1, Vec::len);
        self.sizes.borrow_mut().push(size);
        Ok(match &body {
            Value::Array(_) if size > self.max => self.refusal.clone(),
            Value::Array(calls) => {
                let answers: Vec<_> = calls.iter().map(answer).collect();
                PostAnswer { status: 200, body: json!(answers).to_string() }
            }
            call => PostAnswer { status: 200, body: answer(call).to_string() },
        })
    }

    fn now_ms(&self) -> u64 {
        1
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.into());
    }
}

#[test]
fn a_batch_that_is_refused_is_split_and_that_is_remembered() {
    let refusals = [
        (500, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no more than 3\"}}"),
        (200, "{\"id\":null,\"error\":{\"code\":-32600,\"message\":\"batch too large\"}}"),
        (200, "[{\"id\":0,\"error\":{\"code\":-32600,\"message\":\"batch too large\"}}]"),
        (200, "{\"id\":1,\"error\":{\"code\":-32600,\"message\":\"Invalid Request\"}}"),
        (400, "Bad Request"),
        (413, ""),
    ];
    for (status, refusal) in refusals {
        for max in [3, 1] {
            let node = Picky {
                max,
                refusal: PostAnswer { status, body: refusal.into() },
                sizes: RefCell::default(),
                log: RefCell::default(),
            };
            let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) };
            let nodes = Nodes::new(&node, vec![A.into()], check);
            let calls: Vec<_> = (0..5).map(|n| Call::new("eth_call", json!([n]))).collect();
            let expected: Vec<_> = (0..5).map(|n| Ok(json!([n]))).collect();
            let ask = || nodes.ask(&calls).now_or_never().unwrap().unwrap();
            assert_eq!(ask(), expected, "{refusal}");
            let first = node.sizes.take();
            assert_eq!(first[0], 6);
            assert_eq!(ask(), expected);
            let parts = if max == 3 { vec![3, 3] } else { vec![1; 6] };
            assert_eq!(node.sizes.take(), parts, "{refusal}");
            let log = node.log.take();
            assert_eq!(log.len(), 1);
            assert!(
                log[0].starts_with("eip155:84532: a is asked in batches of at most"),
                "{log:?}"
            );
        }
    }
}

#[test]
fn errors_of_transactions_are_told_from_a_nodes_own() {
    use ErrorKind::*;
    for (code, message, kind) in [
        (-32_000, "already known", AlreadyKnown),
        (-32_010, "AlreadyKnown", AlreadyKnown),
        (-32_003, "transaction already imported", AlreadyKnown),
        (-32_000, "ALREADY_EXISTS: already known", AlreadyKnown),
        (-32_000, "Known transaction", AlreadyKnown),
        (-32_000, "INTERNAL_ERROR: existing tx with same hash", AlreadyKnown),
        (-32_000, "existing txn with same hash", AlreadyKnown),
        (-32_000, "nonce too low: next nonce 7, tx nonce 5", NonceTooLow),
        (-32_003, "nonce too low", NonceTooLow),
        (-32_010, "OldNonce, Current nonce: 7, nonce of rejected tx: 5", NonceTooLow),
        (-32_000, "replacement transaction underpriced", Underpriced),
        (-32_010, "FeeTooLow, MaxFeePerGas too low", Underpriced),
        (-32_000, "max fee per gas less than block base fee", Underpriced),
        (-32_000, "insufficient funds for gas * price + value", Rejected),
        (-32_004, "Upfront cost exceeds account balance", Rejected),
        (-32_010, "InsufficientFunds, Account balance: 0", Rejected),
        (-32_003, "Insufficient funds for gas * price + value", Rejected),
        (-32_000, "intrinsic gas too low: gas 20000, minimum needed 21000", Rejected),
        (4, "The transaction was added to the mempool but wasn't processed in 2s", Taken),
        (5, "The transaction is not ready", Taken),
        (-32_600, "Unsupported method: eth_sendRawTransactionSync", NoMethod),
        (-32_601, "Method not found", NoMethod),
        (-32_001, "rpc method is not whitelisted", NoMethod),
        (-32_000, "rpc method is not whitelisted", NoMethod),
        (-32_004, "eth_sendRawTransactionSync is not available", NoMethod),
        (-32_007, "50/second request limit reached", Limit),
        (-32_029, "Too Many Requests", Limit),
        (-32_000, "execution aborted (timeout = 5s)", Internal),
        (-32_602, "Number of requests in batch exceeds --rpc-max-batch-size", Batch),
        (31, "Batch of more than 3 requests are not allowed on free tier", Batch),
        (-32_602, "invalid argument 1", Unknown),
    ] {
        let error = RpcError { code, message: message.into(), data: None };
        assert_eq!(error.kind("eth_sendRawTransactionSync"), kind, "{code} {message}");
    }
    for (code, message, kind) in [
        (-32_002, "Transaction simulation failed: try again", Execution),
        (-32_003, "Transaction signature verification failure", Execution),
        (-32_602, "invalid transaction: index out of bounds", Execution),
        (-32_005, "Node is behind by 42 slots", Internal),
        (-32_016, "Minimum context slot has not been reached", Internal),
        (429, "Too many requests for a specific RPC call", Limit),
        (-32_601, "Method not found", NoMethod),
    ] {
        let error = RpcError { code, message: message.into(), data: None };
        assert_eq!(error.kind("simulateTransaction"), kind, "{code} {message}");
    }
}

/// What each client says of a transaction that is too large for it or for its chain.
/// It is no limit of how often a node may be asked.
#[test]
fn what_is_too_large_is_told_from_a_rate_limit() {
    for (code, message) in [
        // Geth, and what is made of it (op-geth, bor, coreth).
        (-32_000, "exceeds block gas limit"),
        (-32_000, "transaction gas limit too high (cap: 16777216, tx: 20000000)"),
        (-32_000, "tx fee (1.31 ether) exceeds the configured cap (1.00 ether)"),
        (-32_000, "oversized data: transaction size 131212, limit 131072"),
        // Base.
        (
            -32_000,
            "exceeds maximum per-transaction gas limit: transaction gas 37801375, limit 25000000",
        ),
        // Reth.
        (-32_003, "exceeds block gas limit"),
        (-32_003, "exceeds max transaction gas limit"),
        (-32_003, "gas limit too high"),
        (-32_000, "intrinsic gas too high"),
        (-32_003, "tx fee (2000000000000000000 wei) exceeds the configured cap (1000 wei)"),
        // Besu.
        (-32_005, "Transaction gas limit exceeds block gas limit"),
        (-32_005, "Transaction gas limit cap exceeded"),
        (-32_000, "Transaction fee cap exceeded"),
        // Nethermind: its names of old, and its words of today.
        (-32_010, "GasLimitExceeded, Gas limit: 100, gas limit of rejected tx: 150"),
        (-32_010, "gas limit reached, Gas limit: 100, gas limit of rejected tx: 150"),
        (-32_010, "Invalid, TxGasLimitCapExceeded: Gas limit 2 exceeed cap of 1."),
        (-32_010, "transaction invalid, TxGasLimitCapExceeded: Gas limit 2 exceeded cap of 1."),
        // Erigon.
        (-32_000, "INTERNAL_ERROR: gas limit is too high"),
        (-32_000, "oversized data"),
        (-32_000, "tx fee (1.31 ether) exceeds the configured cap (1.00 ether)"),
    ] {
        let error = RpcError { code, message: message.into(), data: None };
        let kinds = ["eth_sendRawTransaction", "eth_sendRawTransactionSync"];
        let kinds = kinds.map(|method| error.kind(method));
        assert_eq!(kinds, [ErrorKind::TooLarge; 2], "{code} {message}");
    }
}
