//! The JSON-RPC 2.0 envelope (jsonrpc.org/specification).

use serde_json::Value;

use crate::json::{self, ToJson, write_object};

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
    /// The code; negative for those of the specification, 0 if there is none.
    pub code: i64,
    /// What the node says.
    pub message: String,
    /// More of it: revert data on EVM, logs on Solana.
    pub data: Option<Value>,
}

pub(super) fn write_one(call: &Call) -> String {
    json::to_text(&Request { id: 0, call })
}

pub(super) fn write_batch(calls: &[Call]) -> String {
    let requests = calls.iter().enumerate().map(|(id, call)| Request { id, call });
    json::to_text(&requests.collect::<Vec<_>>())
}

/// A question with its number. A batch's calldata is long: nothing copies it before
/// it is written.
struct Request<'a> {
    id: usize,
    call: &'a Call,
}

impl ToJson for Request<'_> {
    fn write_json(&self, to: &mut String) {
        let Self { id, call } = self;
        let members: [(&str, &dyn ToJson); 4] =
            [("id", id), ("jsonrpc", &"2.0"), ("method", &call.method), ("params", &call.params)];
        write_object(&members, to);
    }
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
            Some(error) => Err(RpcError::read(error)),
            // What stands in front of a node has a shape of its own.
            None if response.get("result").is_none() => {
                response.get("message").filter(|message| message.is_string())?;
                Err(RpcError::read(response))
            }
            // `"result": null` is an answer; no result at all is none.
            None => Ok(response.get_mut("result")?.take()),
        };
        Some(Self { id, reply })
    }
}

impl RpcError {
    /// Reads whatever a node calls an error: members may be missing or of
    /// other types, and some send a text alone.
    fn read(mut error: Value) -> Self {
        let code = error.get("code").and_then(|code| match code {
            Value::String(text) => text.parse().ok(),
            code => code.as_i64(),
        });
        let message = match error.get("message").unwrap_or(&error) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self { code: code.unwrap_or(0), message, data: member(&mut error, "data") }
    }
}

/// Takes a member out of an object; null is none.
fn member(object: &mut Value, name: &str) -> Option<Value> {
    object.get_mut(name).map(Value::take).filter(|value| !value.is_null())
}

pub(super) fn read_one(text: &str) -> Option<Reply> {
    Some(Response::read(json::parse(text).ok()?)?.reply)
}

/// What a node answers to a batch.
pub(super) enum BatchAnswer {
    /// A reply to each question, in their order.
    Each(Vec<Reply>),
    /// One error for all of it, or fewer replies than questions and an error
    /// among them.
    Refused(RpcError),
    Unreadable,
}

/// Reads the answer to a batch of `count`, in whatever order the node gives
/// the replies.
pub(super) fn read_batch(text: &str, count: usize) -> BatchAnswer {
    let responses = match json::parse(text) {
        Ok(Value::Array(responses)) => responses,
        Ok(one) => {
            return match Response::read(one).map(|response| response.reply) {
                Some(Err(error)) => BatchAnswer::Refused(error),
                _ => BatchAnswer::Unreadable,
            };
        }
        Err(_) => return BatchAnswer::Unreadable,
    };
    let mut replies: Vec<Option<Reply>> = (0..count).map(|_| None).collect();
    for response in responses {
        let Some(Response { id, reply }) = Response::read(response) else {
            return BatchAnswer::Unreadable;
        };
        match (id, reply) {
            (None, Err(error)) => return BatchAnswer::Refused(error),
            (Some(id), reply) if replies.get(id).is_some_and(Option::is_none) => {
                if let Some(slot) = replies.get_mut(id) {
                    *slot = Some(reply);
                }
            }
            _ => return BatchAnswer::Unreadable,
        }
    }
    if replies.iter().all(Option::is_some) {
        return BatchAnswer::Each(replies.into_iter().flatten().collect());
    }
    match replies.into_iter().flatten().find_map(Result::err) {
        Some(error) => BatchAnswer::Refused(error),
        None => BatchAnswer::Unreadable,
    }
}
