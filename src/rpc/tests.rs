use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::FutureExt;
use serde_json::json;

use super::*;

type Scripted = (&'static str, Result<String, TransportError>);

/// Answers from a script and writes down which URL was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Rc<RefCell<VecDeque<Scripted>>>,
    asked: Rc<RefCell<Vec<(String, Value)>>>,
}

impl Transport for Script {
    async fn post(&self, url: &str, body: String, _: Duration) -> Result<String, TransportError> {
        self.asked.borrow_mut().push((url.into(), serde_json::from_str(&body).unwrap()));
        let (expected, answer) = self.answers.borrow_mut().pop_front().unwrap();
        assert_eq!(url, expected);
        answer
    }
}

fn nodes(answers: Vec<Scripted>) -> (Nodes<Script>, Script) {
    let script = Script { answers: Rc::new(RefCell::new(answers.into())), ..Script::default() };
    let urls = vec!["http://a/key".into(), "http://b/key".into()];
    let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) };
    (Nodes::new(script.clone(), urls, check), script)
}

fn batch(chain: &str, result: &Value) -> String {
    json!([
        { "jsonrpc": "2.0", "id": 1, "result": result },
        { "jsonrpc": "2.0", "id": 0, "result": chain },
    ])
    .to_string()
}

fn question() -> Vec<Call> {
    vec![Call::new("eth_gasPrice", json!([]))]
}

#[test]
fn next_url_when_one_fails() {
    for failure in [
        Err(TransportError::Unreachable),
        Err(TransportError::TimedOut),
        Err(TransportError::Status(429)),
        Ok("<html>".to_owned()),
        Ok(batch("0x1", &json!("0x7"))),
        Ok(json!([{ "id": 0, "result": "0x14a34" }]).to_string()),
        Ok(json!([{ "id": 0, "result": "0x14a34" },
                  { "id": 1, "error": { "code": -32005, "message": "slow down" } }])
        .to_string()),
    ] {
        let (nodes, script) = nodes(vec![
            ("http://a/key", failure),
            ("http://b/key", Ok(batch("0x14a34", &json!("0x7")))),
            ("http://b/key", Ok(batch("0x14a34", &json!(null)))),
        ]);
        let replies = nodes.ask(&question()).now_or_never().unwrap().unwrap();
        assert_eq!(replies, vec![Ok(json!("0x7"))]);
        let again = nodes.ask(&question()).now_or_never().unwrap().unwrap();
        assert_eq!(again, vec![Ok(Value::Null)], "the URL that answered is asked first");
        assert!(script.answers.borrow().is_empty());
    }
}

#[test]
fn a_url_of_another_chain_is_never_used() {
    let wrong = || Ok(json!({ "id": 0, "result": "0x1" }).to_string());
    let (nodes, script) = nodes(vec![("http://a/key", wrong()), ("http://b/key", wrong())]);
    let call = Call::new("eth_sendRawTransaction", json!(["0x02"]));
    let error = nodes.ask_again(&call, READ_TIMEOUT).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.0[0], ("a".into(), UrlFailure::WrongChain("0x1".into())));
    let asked = script.asked.borrow();
    assert!(asked.iter().all(|(_, body)| body["method"] == "eth_chainId"), "{asked:?}");
    assert!(!error.to_string().contains("key"), "{error}");
}

#[test]
fn an_error_of_the_node_is_an_answer() {
    let answer = json!([
        { "id": 0, "result": "0x14a34" },
        { "id": 1, "error": { "code": 3, "message": "execution reverted", "data": "0x08c379a0" } },
    ]);
    let (nodes, _) = nodes(vec![("http://a/key", Ok(answer.to_string()))]);
    let replies = nodes.ask(&question()).now_or_never().unwrap().unwrap();
    let error = replies[0].as_ref().unwrap_err();
    assert_eq!((error.code, error.data.as_ref()), (3, Some(&json!("0x08c379a0"))));
}
