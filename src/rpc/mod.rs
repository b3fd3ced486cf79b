//! JSON-RPC 2.0 over HTTP: the envelope, batching, and the next URL when one
//! fails. What carries the bytes is a [`Transport`], so that all of this can
//! be tested without a network.
//!
//! | module | what |
//! |---|---|
//! | [`nodes`] | the nodes of a chain, asked one after the other |
//! | [`errors`] | what an error means, and whose fault it is |
//! | [`failure`] | why a node gave nothing, in words |
//! | [`gate`] | how many connections may be open at once |

mod envelope;
pub mod errors;
pub mod failure;
pub mod gate;
pub mod nodes;

use std::time::Duration;

use serde_json::Value;

pub use envelope::{Call, Reply, RpcError};
pub use errors::ErrorKind;
pub use failure::{TransportError, Unavailable, UrlFailure, host_of};
pub use nodes::Nodes;

/// How long a node may take to answer a question.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a node may take for what it is only told.
pub const TELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Carries one HTTP POST of JSON.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Transport {
    /// POSTs `body` and returns the answer, whatever its status. `timeout`
    /// begins when the request is sent, not while it waits for a connection.
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError>;

    /// POSTs what nobody waits for, if a connection is free for that; else it
    /// fails at once.
    async fn tell(&self, url: &str, body: String) -> Result<PostAnswer, TransportError> {
        self.post(url, body, TELL_TIMEOUT).await
    }

    /// Waits; for ever where time stands still.
    async fn sleep(&self, duration: Duration) {
        let _ = duration;
        std::future::pending::<()>().await;
    }

    /// Milliseconds since any time in the past.
    fn now_ms(&self) -> u64 {
        0
    }

    /// Writes a line for the operator.
    fn log(&self, line: &str) {
        let _ = line;
    }
}

/// The answer to a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body. Errors of nodes are read from it whatever the status.
    pub body: String,
}

/// The question that tells which chain a node serves.
#[derive(Clone, Debug)]
pub struct ChainCheck {
    /// `eth_chainId` or `getGenesisHash`.
    pub method: &'static str,
    /// How the right answer begins. A CAIP-2 name holds the first 32
    /// characters of a Solana genesis hash; an EVM answer is compared whole.
    pub expect: Expected,
}

/// The right answer to a [`ChainCheck`].
#[derive(Clone, Debug)]
pub enum Expected {
    /// This EVM chain id, as a quantity.
    ChainId(u64),
    /// A genesis hash that begins so.
    GenesisPrefix(String),
}

impl ChainCheck {
    fn call(&self) -> Call {
        Call::new(self.method, Value::Array(vec![]))
    }

    /// The CAIP-2 name of the chain.
    fn network(&self) -> String {
        match &self.expect {
            Expected::ChainId(id) => format!("eip155:{id}"),
            Expected::GenesisPrefix(prefix) => format!("solana:{prefix}"),
        }
    }

    /// `Err` with what is expected and what was named.
    fn judge(&self, answer: &Value) -> Result<(), UrlFailure> {
        let text = answer.as_str().unwrap_or("?");
        let named: String = text.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let wrong = |expected, named| Err(UrlFailure::WrongChain(expected, named));
        match &self.expect {
            Expected::ChainId(id) => {
                let digits = text.strip_prefix("0x");
                match digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
                    Some(answered) if answered == *id => Ok(()),
                    Some(answered) => wrong(format!("chain id {id}"), format!("{answered}")),
                    None => wrong(format!("chain id {id}"), named),
                }
            }
            Expected::GenesisPrefix(prefix) if text.starts_with(prefix.as_str()) => Ok(()),
            Expected::GenesisPrefix(prefix) => wrong(format!("genesis hash {prefix}…"), named),
        }
    }
}

#[cfg(test)]
mod tests;
