//! Bringing signed bytes to the nodes, and what their answers mean.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::EvmLane;
use crate::evm::Receipt;
use crate::rpc::{Call, METHOD_NOT_FOUND, READ_TIMEOUT, RpcError};
use crate::settlement::Host;

/// How long the node may hold `eth_sendRawTransactionSync` until the receipt.
const SYNC_TIMEOUT: Duration = Duration::from_secs(20);

/// What sending came to.
pub(super) enum Sent {
    Mined(Box<Receipt>),
    /// In the pool, or perhaps in the pool: only the chain can tell.
    Perhaps,
    /// Not in the pool: the node says why.
    Refused(RpcError),
}

impl<H: Host> EvmLane<H> {
    /// Sends signed bytes, in the way that brings the receipt soonest, and to
    /// every other node as well.
    pub(super) async fn send(self: &Rc<Self>, raw: &str) -> Sent {
        let plain = Call::new("eth_sendRawTransaction", json!([raw]));
        if self.nodes.count() > 1 {
            let (nodes, plain) = (Rc::clone(&self.nodes), plain.clone());
            self.shared.host.spawn(async move {
                nodes.tell_others(&plain, READ_TIMEOUT).await;
            });
        }
        if self.has_sync.get() {
            let call = Call::new("eth_sendRawTransactionSync", json!([raw]));
            match self.nodes.ask_again(&call, SYNC_TIMEOUT).await {
                Ok(Ok(result)) => {
                    return Receipt::from_json(&result)
                        .map_or(Sent::Perhaps, |receipt| Sent::Mined(Box::new(receipt)));
                }
                Ok(Err(error)) if is_unknown_method(&error) => self.has_sync.set(false),
                Ok(Err(error)) => return self.refused_by_all(error, &plain).await,
                Err(_) => return Sent::Perhaps,
            }
        }
        match self.nodes.ask_again(&plain, SYNC_TIMEOUT).await {
            Ok(Ok(_)) | Err(_) => Sent::Perhaps,
            Ok(Err(error)) => self.refused_by_all(error, &plain).await,
        }
    }

    /// What one node refuses, another may have taken: only what all of them
    /// refuse is certainly in no pool.
    async fn refused_by_all(&self, error: RpcError, plain: &Call) -> Sent {
        let verdict = judge(error);
        if matches!(verdict, Sent::Refused(_)) && self.nodes.count() > 1 {
            let answers = self.nodes.ask_each(plain).await;
            let refusals = answers.into_iter().filter(|answer| match answer {
                Ok(_) => false,
                Err(error) => matches!(judge(error.clone()), Sent::Refused(_)),
            });
            if refusals.count() < self.nodes.count() {
                return Sent::Perhaps;
            }
        }
        verdict
    }
}

/// What an error for sent bytes means. Few say for certain that the bytes are
/// in no pool: a node may have them already, have had no time to wait for the
/// block (EIP-7966), or have failed after it took them.
fn judge(error: RpcError) -> Sent {
    let text = error.message.to_ascii_lowercase();
    let certain = [
        "insufficient funds",
        "insufficientfunds",
        "intrinsic gas",
        "exceeds block gas limit",
        "invalid sender",
        "invalid chain id",
    ];
    if certain.iter().any(|refusal| text.contains(refusal)) {
        Sent::Refused(error)
    } else {
        Sent::Perhaps
    }
}

fn is_unknown_method(error: &RpcError) -> bool {
    let text = error.message.to_ascii_lowercase();
    let unknown = ["method not found", "unsupported method", "does not exist", "not supported"];
    error.code == METHOD_NOT_FOUND || unknown.iter().any(|phrase| text.contains(phrase))
}
