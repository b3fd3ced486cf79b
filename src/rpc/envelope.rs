//! The JSON-RPC 2.0 envelope (jsonrpc.org/specification).

use serde::Deserialize;
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RpcError {
    /// The code; negative for those of the specification.
    pub code: i64,
    /// What the node says.
    #[serde(default)]
    pub message: String,
    /// More of it: revert data on EVM, logs on Solana.
    #[serde(default)]
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

#[derive(Deserialize)]
struct Response {
    id: Option<usize>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<RpcError>,
}

/// Tells `"result": null`, an answer, from no result at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Response {
    fn into_reply(self) -> Option<Reply> {
        match (self.result, self.error) {
            (_, Some(error)) => Some(Err(error)),
            (Some(result), None) => Some(Ok(result)),
            (None, None) => None,
        }
    }
}

pub(super) fn read_one(text: &str) -> Option<Reply> {
    serde_json::from_str::<Response>(text).ok()?.into_reply()
}

/// Reads the replies to a batch of `count`, in the order of the questions,
/// in whatever order the node gives them; `None` unless each has one.
pub(super) fn read_batch(text: &str, count: usize) -> Option<Vec<Reply>> {
    let responses: Vec<Response> = serde_json::from_str(text).ok()?;
    let mut replies: Vec<Option<Reply>> = (0..count).map(|_| None).collect();
    for response in responses {
        let slot = replies.get_mut(response.id?)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(response.into_reply()?);
    }
    replies.into_iter().collect()
}
