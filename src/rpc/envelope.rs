//! The JSON-RPC 2.0 envelope (jsonrpc.org/specification).

use serde_json::{Value, json};

/// The code of an error for a method that the node does not have.
pub const METHOD_NOT_FOUND: i64 = -32_601;

/// A question to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its positional parameters: an array.
    pub params: Value,
}

impl Call {
    /// A question to a node.
    pub const fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }
}

/// What a node answers to one question.
pub type Reply = Result<Value, RpcError>;

/// An error that a node reports for one question.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// The code; negative for those of the specification.
    pub code: i64,
    /// What the node says.
    pub message: String,
    /// More of it: revert data on EVM, logs on Solana.
    pub data: Option<Value>,
}

impl RpcError {
    /// Whether the node only asks us to come back later (EIP-1474: -32005).
    pub const fn is_rate_limit(&self) -> bool {
        matches!(self.code, -32_005 | 429)
    }
}

pub(super) fn write_one(call: &Call) -> String {
    request(0, call).to_string()
}

pub(super) fn write_batch(calls: &[Call]) -> String {
    Value::Array(calls.iter().enumerate().map(|(id, call)| request(id, call)).collect()).to_string()
}

fn request(id: usize, call: &Call) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params })
}

/// One answer of a node: the number of the question, if it names one.
struct Response {
    id: Option<usize>,
    reply: Reply,
}

impl Response {
    fn read(mut response: Value) -> Option<Self> {
        let id = match member(&mut response, "id") {
            None => None,
            Some(id) => Some(usize::try_from(id.as_u64()?).ok()?),
        };
        let reply = match member(&mut response, "error") {
            Some(error) => Err(RpcError::read(error)?),
            // `"result": null` is an answer; no result at all is none.
            None => Ok(response.get_mut("result")?.take()),
        };
        Some(Self { id, reply })
    }
}

impl RpcError {
    fn read(mut error: Value) -> Option<Self> {
        Some(Self {
            code: error.get("code")?.as_i64()?,
            message: match error.get("message") {
                Some(message) => message.as_str()?.to_owned(),
                None => String::new(),
            },
            data: member(&mut error, "data"),
        })
    }
}

/// Takes a member out of an object; null is none.
fn member(object: &mut Value, name: &str) -> Option<Value> {
    object.get_mut(name).map(Value::take).filter(|value| !value.is_null())
}

pub(super) fn read_one(text: &str) -> Option<Reply> {
    Some(Response::read(serde_json::from_str(text).ok()?)?.reply)
}

/// Reads the replies to a batch of `count`, in the order of the questions,
/// in whatever order the node gives them; `None` unless each has one.
pub(super) fn read_batch(text: &str, count: usize) -> Option<Vec<Reply>> {
    let Ok(Value::Array(responses)) = serde_json::from_str(text) else { return None };
    let mut replies: Vec<Option<Reply>> = (0..count).map(|_| None).collect();
    for response in responses {
        let Response { id, reply } = Response::read(response)?;
        let slot = replies.get_mut(id?)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(reply);
    }
    replies.into_iter().collect()
}
