//! Bringing signed bytes to the nodes, and what their answers mean.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::EvmLane;
use crate::evm::Receipt;
use crate::json::json;
use crate::rpc::{Call, ErrorKind, READ_TIMEOUT, Reply, RpcError};
use crate::settlement::Host;
use crate::settlement::journal::EvmEntry;

const PLAIN: &str = "eth_sendRawTransaction";
const SYNC: &str = "eth_sendRawTransactionSync";

/// How long a node may hold [`SYNC`] until the receipt. Where blocks come
/// later than that, polls are as good and keep no connection open.
const SYNC_PATIENCE: Duration = Duration::from_millis(2_500);

/// How many nodes may hold a transaction at once: each keeps a connection.
const SYNC_SENDS_MAX: usize = 2;

/// For how long a node that was too slow with [`SYNC`], and one that doesn't
/// have it, is sent plain transactions only.
const SLOW_PAUSE: Duration = Duration::from_mins(2);
const LACK_PAUSE: Duration = Duration::from_mins(10);

/// How often the log has a line about sending one entry, in seconds.
const LOG_SECONDS: u64 = 60;

/// What sending came to.
pub(super) enum SendResult {
    Mined(Box<Receipt>),
    /// In the pool, or perhaps in the pool: only the chain can tell.
    Perhaps,
    /// Not in the pool: the node says why.
    Refused(RpcError),
}

impl<H: Host> EvmLane<H> {
    /// Sends signed bytes, in the way that brings the receipt soonest, and to
    /// every other node as well.
    pub(super) async fn send(self: &Rc<Self>, entry: &EvmEntry) -> SendResult {
        let raw = &entry.sent.raw;
        let plain = Call::new(PLAIN, json!([raw]));
        if self.nodes.count() > 1 {
            let (nodes, plain) = (Rc::clone(&self.nodes), plain.clone());
            self.shared.host.spawn(async move {
                nodes.tell_others(&plain).await;
            });
        }
        match self.send_and_wait(raw).await {
            Some(Ok(receipt)) => return SendResult::Mined(Box::new(receipt)),
            Some(Err(error)) => return self.refused_by_all(entry, error, &plain).await,
            None => {}
        }
        match self.nodes.ask_again(&plain, READ_TIMEOUT).await {
            Ok(Ok(_)) => SendResult::Perhaps,
            Ok(Err(error)) => self.refused_by_all(entry, error, &plain).await,
            Err(problem) => {
                self.log_sending(entry, &format!("{PLAIN}: {problem}"));
                SendResult::Perhaps
            }
        }
    }

    /// Sends so that the answer is the receipt; `None` if that came to
    /// nothing, and the plain method must be used. A node may have the bytes
    /// all the same: the plain method says so then, and does no harm.
    async fn send_and_wait(&self, raw: &str) -> Option<Result<Receipt, RpcError>> {
        if self.sync_sends.get() >= SYNC_SENDS_MAX || self.nodes.is_set_aside(SYNC) {
            return None;
        }
        let call = Call::new(SYNC, json!([raw]));
        let held = Held::new(&self.sync_sends);
        // A node that holds the transaction is let go of by dropping this.
        let asked = pin!(self.nodes.ask_preferred(&call, SYNC_PATIENCE.saturating_mul(2)));
        let silence = pin!(self.shared.host.sleep(SYNC_PATIENCE));
        let answer = match select(asked, silence).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => {
                self.nodes.set_aside(SYNC, SLOW_PAUSE);
                return None;
            }
        };
        drop(held);
        let why = match answer {
            Ok(reply) => match judge_wait(reply) {
                Ok(outcome) => return Some(outcome),
                Err(why) => why,
            },
            Err(failure) => failure.to_string(),
        };
        self.nodes.set_aside(SYNC, LACK_PAUSE);
        self.log(&format!(
            "{} does not do {SYNC} ({why}): {PLAIN} and polls for the next {} minutes",
            self.nodes.preferred_host(),
            LACK_PAUSE.as_secs() / 60
        ));
        None
    }

    /// A line about sending an entry: the same bytes are sent again every few
    /// seconds, and the line is not.
    pub(super) fn log_sending(&self, entry: &EvmEntry, line: &str) {
        let now = self.shared.host.now();
        if let Some(flight) = self.in_air.borrow_mut().get_mut(&entry.id) {
            if now.since(flight.logged_at) < LOG_SECONDS {
                return;
            }
            flight.logged_at = now;
        }
        self.log(line);
    }

    /// A transaction was refused: if for its size, fewer payments share one from now on. For
    /// lack of money as many do as before.
    pub(super) fn note_refused(&self, entry: &EvmEntry, why: &RpcError) {
        if why.kind(PLAIN) == ErrorKind::TooLarge {
            self.share_less(entry);
        }
    }

    /// What one node refuses, another may have taken: only what all of them
    /// refuse is certainly in no pool.
    async fn refused_by_all(&self, entry: &EvmEntry, error: RpcError, plain: &Call) -> SendResult {
        let is_certain = |error: &RpcError| error.kind(PLAIN).is_refusal();
        if !is_certain(&error) {
            if !error.kind(PLAIN).is_of_transaction() {
                self.log_sending(entry, &format!("{PLAIN}: {error}"));
            }
            return SendResult::Perhaps;
        }
        if self.nodes.count() > 1 {
            let answers = self.nodes.ask_each(plain).await;
            let refusals =
                answers.iter().filter(|answer| matches!(answer, Err(error) if is_certain(error)));
            if refusals.count() < self.nodes.count() {
                return SendResult::Perhaps;
            }
        }
        SendResult::Refused(error)
    }
}

/// What a node says that was asked to wait for the receipt: that, or an error
/// that is about the transaction. `Err` is anything else.
fn judge_wait(reply: Reply) -> Result<Result<Receipt, RpcError>, String> {
    match reply {
        Ok(result) => Receipt::from_json(&result).map(Ok).ok_or_else(|| "no receipt".to_owned()),
        // Few errors say for certain that the bytes are in no pool: a node may
        // have them already, or have had no time to wait for the block
        // (EIP-7966).
        Err(error) if error.kind(SYNC).is_of_transaction() => Ok(Err(error)),
        Err(error) => Err(error.to_string()),
    }
}

/// A connection that a node holds, counted until this is dropped.
struct Held<'a>(&'a Cell<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
