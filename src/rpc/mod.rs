//! JSON-RPC 2.0 over HTTP: the envelope, batching, and the next URL when one
//! fails. What carries the bytes is a [`Transport`], so that all of this can
//! be tested without a network.

mod envelope;

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

pub use envelope::{Call, METHOD_NOT_FOUND, Reply, RpcError};

/// How long a node may take to answer a question.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Carries one HTTP POST of JSON.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Transport {
    /// POSTs `body` and returns the body of a 2xx answer.
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<String, TransportError>;
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or it broke off.
    Unreachable,
    /// No answer in time. The node may have acted on the request.
    TimedOut,
    /// An HTTP status other than 2xx.
    Status(u16),
}

/// Why one URL gave nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFailure {
    /// No answer.
    Transport(TransportError),
    /// An answer that is not JSON-RPC.
    Malformed,
    /// The node asks us to come back later (`-32005`, limit exceeded).
    RateLimited,
    /// The node serves another chain: what it names itself.
    WrongChain(String),
}

/// No URL gave an answer: what each said. Keys in the URLs stay out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub Vec<(String, UrlFailure)>);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (host, failure) in &self.0 {
            write!(f, "{host}: {failure:?}; ")?;
        }
        write!(f, "no RPC URL could be used")
    }
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

    fn accepts(&self, answer: &Value) -> bool {
        let Some(text) = answer.as_str() else { return false };
        match &self.expect {
            Expected::ChainId(id) => text
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .is_some_and(|answered| answered == *id),
            Expected::GenesisPrefix(prefix) => text.starts_with(prefix.as_str()),
        }
    }
}

/// The nodes of one chain, in the seller's order.
///
/// A URL is used only after it has named the right chain: every batch asks
/// again, in the same round trip.
pub struct Nodes<T> {
    transport: T,
    urls: Vec<String>,
    check: ChainCheck,
    /// For each URL, whether it last named the right chain.
    right_chain: Vec<Cell<bool>>,
    preferred: Cell<usize>,
}

impl<T: Transport> Nodes<T> {
    /// The nodes at these URLs.
    pub fn new(transport: T, urls: Vec<String>, check: ChainCheck) -> Self {
        let right_chain = vec![Cell::new(false); urls.len()];
        Self { transport, urls, check, right_chain, preferred: Cell::new(0) }
    }

    /// Asks several questions in one round trip. Each has its own reply, in
    /// order; a URL that gives none is passed over for the next.
    pub async fn ask(&self, calls: &[Call]) -> Result<Vec<Reply>, Unavailable> {
        self.ask_within(calls, READ_TIMEOUT).await
    }

    async fn ask_within(
        &self,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Reply>, Unavailable> {
        let mut failures = vec![];
        for (index, url) in self.in_order() {
            match self.ask_one(index, url, calls, timeout).await {
                Ok(replies) => {
                    self.preferred.set(index);
                    return Ok(replies);
                }
                Err(failure) => failures.push((host_of(url), failure)),
            }
        }
        Err(Unavailable(failures))
    }

    /// Asks one thing in one round trip with a time-out of one's own.
    pub async fn ask_once(&self, call: &Call, timeout: Duration) -> Result<Reply, Unavailable> {
        let replies = self.ask_within(std::slice::from_ref(call), timeout).await?;
        replies.into_iter().next().ok_or(Unavailable(vec![]))
    }

    /// Asks one thing without asking for the chain again where it is known.
    /// For what is asked over and over, such as the status of a transaction.
    pub async fn ask_again(&self, call: &Call, timeout: Duration) -> Result<Reply, Unavailable> {
        let mut failures = vec![];
        for (index, url) in self.in_order() {
            match self.ask_checked(index, url, call, timeout).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failures.push((host_of(url), failure)),
            }
        }
        Err(Unavailable(failures))
    }

    /// How many nodes there are.
    pub const fn count(&self) -> usize {
        self.urls.len()
    }

    /// Tells every node but the one that last answered, one after the other,
    /// and does not care for what they say.
    pub async fn tell_others(&self, call: &Call, timeout: Duration) {
        for (index, url) in self.in_order().skip(1) {
            let _ = self.ask_checked(index, url, call, timeout).await;
        }
    }

    /// Asks every node, one after the other. Those that give no answer are
    /// left out.
    pub async fn ask_each(&self, call: &Call) -> Vec<Reply> {
        let mut replies = vec![];
        for (index, url) in self.in_order() {
            replies.extend(self.ask_checked(index, url, call, READ_TIMEOUT).await);
        }
        replies
    }

    /// The URLs, the one that last answered first.
    fn in_order(&self) -> impl Iterator<Item = (usize, &str)> {
        let first = self.preferred.get();
        let (before, from) = self.urls.split_at(first.min(self.urls.len()));
        let later = from.iter().enumerate().map(move |(i, url)| (i + first, url.as_str()));
        later.chain(before.iter().enumerate().map(|(i, url)| (i, url.as_str())))
    }

    async fn ask_one(
        &self,
        index: usize,
        url: &str,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Reply>, UrlFailure> {
        let mut batch = Vec::with_capacity(calls.len() + 1);
        batch.push(self.check.call());
        batch.extend_from_slice(calls);
        let body = envelope::write_batch(&batch);
        let answer = self.post(url, body, timeout).await?;
        let mut replies =
            envelope::read_batch(&answer, batch.len()).ok_or(UrlFailure::Malformed)?.into_iter();
        self.take_note(index, replies.next())?;
        let replies: Vec<Reply> = replies.collect();
        if replies.iter().any(|reply| matches!(reply, Err(error) if error.is_rate_limit())) {
            return Err(UrlFailure::RateLimited);
        }
        Ok(replies)
    }

    async fn ask_checked(
        &self,
        index: usize,
        url: &str,
        call: &Call,
        timeout: Duration,
    ) -> Result<Reply, UrlFailure> {
        let known = self.right_chain.get(index).is_some_and(Cell::get);
        if !known {
            let answer =
                self.post(url, envelope::write_one(&self.check.call()), READ_TIMEOUT).await?;
            self.take_note(index, envelope::read_one(&answer))?;
        }
        let answer = self.post(url, envelope::write_one(call), timeout).await?;
        match envelope::read_one(&answer) {
            None => Err(UrlFailure::Malformed),
            Some(Err(error)) if error.is_rate_limit() => Err(UrlFailure::RateLimited),
            Some(reply) => Ok(reply),
        }
    }

    /// Remembers which chain a node says it serves.
    fn take_note(&self, index: usize, reply: Option<Reply>) -> Result<(), UrlFailure> {
        let answer = match reply {
            Some(Ok(answer)) => answer,
            Some(Err(error)) if error.is_rate_limit() => return Err(UrlFailure::RateLimited),
            _ => return Err(UrlFailure::Malformed),
        };
        let is_right = self.check.accepts(&answer);
        if let Some(known) = self.right_chain.get(index) {
            known.set(is_right);
        }
        if is_right {
            Ok(())
        } else {
            let named: String = answer.as_str().unwrap_or("?").chars().take(64).collect();
            Err(UrlFailure::WrongChain(named))
        }
    }

    async fn post(&self, url: &str, body: String, timeout: Duration) -> Result<String, UrlFailure> {
        self.transport.post(url, body, timeout).await.map_err(UrlFailure::Transport)
    }
}

/// The host of a URL: RPC URLs carry keys, which belong into no log.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
