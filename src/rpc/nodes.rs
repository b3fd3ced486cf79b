//! The nodes of one chain, whatever their temper.

mod batches;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, LocalBoxFuture, select};

use super::envelope;
use super::failure::quote;
use super::{
    Call, ChainCheck, ErrorKind, READ_TIMEOUT, Reply, RpcError, Transport, TransportError,
    Unavailable, UrlFailure, host_of,
};
use crate::together::{Race, join_all};

/// A node that is silent for this long is not waited for alone: the next one
/// is asked as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long a node that was silent is neither told anything nor asked with
/// all others, in milliseconds. After that one question at a time finds out
/// whether it is still silent.
const SILENCE_MS: u64 = 10_000;

/// The nodes of one chain, in the seller's order.
///
/// A URL is used only after it has named the right chain: every batch asks
/// again, in the same round trip.
pub struct Nodes<T> {
    transport: T,
    check: ChainCheck,
    all: Vec<Node>,
    preferred: Cell<usize>,
}

/// A node, and what is known of it.
struct Node {
    url: String,
    /// Whether it last named the right chain.
    is_right_chain: Cell<bool>,
    /// The largest batch that it takes, and until when that is believed.
    batch_max: Cell<(usize, u64)>,
    /// Methods that are not asked of it, and until when.
    set_aside: RefCell<Vec<(&'static str, u64)>>,
    /// Until when it is left in peace because it was silent; 0 if it wasn't.
    silent_until: Cell<u64>,
}

/// Why a node is passed over for the next one.
struct Setback {
    failure: UrlFailure,
    /// Whether the node refused a batch as a whole.
    of_batch: bool,
    /// What it did answer, which is good if no other node does better.
    partial: Option<Vec<Reply>>,
}

impl From<UrlFailure> for Setback {
    fn from(failure: UrlFailure) -> Self {
        Self { failure, of_batch: false, partial: None }
    }
}

impl<T: Transport> Nodes<T> {
    /// The nodes at these URLs.
    pub fn new(transport: T, urls: Vec<String>, check: ChainCheck) -> Self {
        let nodes = urls.into_iter().map(|url| Node {
            url,
            is_right_chain: Cell::new(false),
            batch_max: Cell::new((usize::MAX, 0)),
            set_aside: RefCell::default(),
            silent_until: Cell::new(0),
        });
        Self { transport, check, all: nodes.collect(), preferred: Cell::new(0) }
    }

    /// How many nodes there are.
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Asks several questions in one round trip. Each has its own reply, in
    /// order; a node that gives none, or an error of its own, is passed over
    /// for the next. Where a node takes only small batches it is asked in
    /// several, of which the last one waits for the others: what is asked
    /// last is answered last.
    pub async fn ask(&self, calls: &[Call]) -> Result<Vec<Reply>, Unavailable> {
        self.ask_within(calls, READ_TIMEOUT).await
    }

    /// Asks one thing in one round trip with a time-out of one's own.
    pub async fn ask_once(&self, call: &Call, timeout: Duration) -> Result<Reply, Unavailable> {
        let replies = self.ask_within(std::slice::from_ref(call), timeout).await?;
        replies.into_iter().next().ok_or_else(Unavailable::default)
    }

    async fn ask_within(
        &self,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Reply>, Unavailable> {
        let mut batch = Vec::with_capacity(calls.len() + 1);
        batch.push(self.check.call());
        batch.extend_from_slice(calls);
        let setbacks = match self.first_good(|node| self.ask_batch(node, &batch, timeout)).await {
            Ok(replies) => return Ok(replies),
            Err(setbacks) => setbacks,
        };
        // Some nodes refuse batches without a word about it.
        for (index, setback) in &setbacks {
            if setback.of_batch
                && setback.failure.may_be_the_batch()
                && let Some(node) = self.all.get(*index)
                && let Ok(replies) = self.ask_small(node, &batch, timeout, &setback.failure).await
            {
                self.preferred.set(*index);
                return Ok(replies);
            }
        }
        self.best_of(setbacks)
    }

    /// Asks one thing without asking for the chain again where it is known.
    /// For what is asked over and over, such as the status of a transaction.
    pub async fn ask_again(&self, call: &Call, timeout: Duration) -> Result<Reply, Unavailable> {
        let asked = self.first_good(|node| async move {
            let reply = self.ask_checked(node, call, timeout).await?;
            Self::weigh(node, std::slice::from_ref(call), vec![reply])
        });
        let replies = match asked.await {
            Ok(replies) => replies,
            Err(setbacks) => self.best_of(setbacks)?,
        };
        replies.into_iter().next().ok_or_else(Unavailable::default)
    }

    /// Asks one thing of the node that last answered and of no other. An error
    /// of the node's own is a reply here.
    pub async fn ask_preferred(&self, call: &Call, timeout: Duration) -> Result<Reply, UrlFailure> {
        let Some(node) = self.all.get(self.preferred.get()) else {
            return Err(UrlFailure::NotJsonRpc(0, String::new()));
        };
        let reply = self.ask_checked(node, call, timeout).await?;
        Ok(reply.map_err(|error| node.quoted(error)))
    }

    /// The host of the node that last answered.
    pub fn preferred_host(&self) -> String {
        self.all.get(self.preferred.get()).map(|node| host_of(&node.url)).unwrap_or_default()
    }

    /// Whether the node that last answered should not be asked for this.
    pub fn is_set_aside(&self, method: &'static str) -> bool {
        let now = self.transport.now_ms();
        self.all.get(self.preferred.get()).is_some_and(|node| {
            node.set_aside.borrow().iter().any(|(other, until)| *other == method && *until > now)
        })
    }

    /// Does without a method of the node that last answered for this long.
    pub fn set_aside(&self, method: &'static str, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let until = self.transport.now_ms().saturating_add(millis);
        if let Some(node) = self.all.get(self.preferred.get()) {
            let mut set_aside = node.set_aside.borrow_mut();
            set_aside.retain(|(other, _)| *other != method);
            set_aside.push((method, until));
        }
    }

    /// Tells every node but the one that last answered, one after the other,
    /// and does not care for what they say. Takes no connection that others
    /// wait for.
    pub async fn tell_others(&self, call: &Call) {
        for (_, node) in self.in_order().skip(1) {
            if self.may_be_silent(node) {
                continue;
            }
            if !node.is_right_chain.get() {
                let answer = self.tell(node, &self.check.call()).await;
                if self.note_chain(node, answer).is_err() {
                    continue;
                }
            }
            self.tell(node, call).await;
        }
    }

    async fn tell(&self, node: &Node, call: &Call) -> Option<Reply> {
        let answer = self.transport.tell(&node.url, envelope::write_one(call)).await;
        self.note_silence(node, answer.as_ref().err());
        envelope::read_one(&answer.ok()?.body)
    }

    /// Whether a node was silent, and this is not the question that finds out
    /// whether it still is.
    fn may_be_silent(&self, node: &Node) -> bool {
        let (now, until) = (self.transport.now_ms(), node.silent_until.get());
        if until > 0 && until <= now {
            node.silent_until.set(now.saturating_add(SILENCE_MS));
        }
        until > now
    }

    fn note_silence(&self, node: &Node, error: Option<&TransportError>) {
        match error {
            None => node.silent_until.set(0),
            Some(TransportError::TimedOut) => {
                node.silent_until.set(self.transport.now_ms().saturating_add(SILENCE_MS));
            }
            Some(_) => {}
        }
    }

    /// Asks every node, all at once. Those that give no answer, or an error of
    /// their own, are left out, and so is one that was silent just now.
    pub async fn ask_each(&self, call: &Call) -> Vec<Reply> {
        let mut nodes: Vec<_> =
            self.in_order().filter(|(_, node)| !self.may_be_silent(node)).collect();
        if nodes.is_empty() {
            nodes.extend(self.in_order());
        }
        let asked = nodes.iter().map(|(_, node)| -> LocalBoxFuture<'_, _> {
            Box::pin(self.ask_checked(node, call, READ_TIMEOUT))
        });
        let answers = join_all(asked.collect()).await.into_iter().filter_map(Result::ok);
        let is_answer = |reply: &Reply| match reply {
            Ok(_) => true,
            Err(error) => !error.kind(call.method).is_nodes_own(),
        };
        answers.filter(is_answer).collect()
    }

    /// The nodes and their places, the one that last answered first.
    fn in_order(&self) -> impl Iterator<Item = (usize, &Node)> {
        let first = self.preferred.get();
        let numbered = || self.all.iter().enumerate();
        numbered().skip(first).chain(numbered().take(first))
    }

    /// The first good answer. The next node is asked when one has failed, and
    /// also when one is silent; the slower one is let go of then.
    async fn first_good<'a, F>(
        &'a self,
        ask: impl Fn(&'a Node) -> F,
    ) -> Result<Vec<Reply>, Vec<(usize, Setback)>>
    where
        F: Future<Output = Result<Vec<Reply>, Setback>>,
    {
        let start = |(index, node)| -> LocalBoxFuture<'_, _> {
            let asked = ask(node);
            Box::pin(async move { (index, asked.await) })
        };
        let mut left = self.in_order();
        let mut asked = Race::new();
        asked.extend(left.next().map(start));
        let mut next = left.next();
        let mut setbacks = vec![];
        loop {
            let answer = if next.is_some() {
                let (answer, silence) = (pin!(asked.next()), self.transport.sleep(PATIENCE));
                match select(answer, pin!(silence)).await {
                    Either::Left((answer, _)) => Some(answer),
                    Either::Right(((), _)) => None,
                }
            } else {
                Some(asked.next().await)
            };
            let Some(answer) = answer else {
                asked.extend(next.take().map(start));
                next = left.next();
                continue;
            };
            match answer {
                Some((index, Ok(replies))) => {
                    self.preferred.set(index);
                    return Ok(replies);
                }
                Some((index, Err(setback))) => {
                    setbacks.push((index, setback));
                    asked.extend(next.take().map(start));
                    next = left.next();
                }
                None => return Err(setbacks),
            }
        }
    }

    /// What is left where no node gave a good answer: a partial one, or why
    /// there is none.
    fn best_of(&self, setbacks: Vec<(usize, Setback)>) -> Result<Vec<Reply>, Unavailable> {
        let mut failures = vec![];
        for (index, setback) in setbacks {
            if let Some(replies) = setback.partial {
                return Ok(replies);
            }
            let host = self.all.get(index).map(|node| host_of(&node.url));
            failures.push((host.unwrap_or_default(), setback.failure));
        }
        Err(Unavailable { network: self.check.network(), failures })
    }

    /// Asks one thing, after the chain where it is not known yet.
    async fn ask_checked(
        &self,
        node: &Node,
        call: &Call,
        timeout: Duration,
    ) -> Result<Reply, UrlFailure> {
        if !node.is_right_chain.get() {
            let answer = self.post(node, &self.check.call(), READ_TIMEOUT).await?;
            self.note_chain(node, Some(answer))?;
        }
        self.post(node, call, timeout).await
    }

    async fn post(&self, node: &Node, call: &Call, timeout: Duration) -> Result<Reply, UrlFailure> {
        let body = envelope::write_one(call);
        let answer = self.transport.post(&node.url, body, timeout).await;
        self.note_silence(node, answer.as_ref().err());
        let answer = answer.map_err(UrlFailure::Transport)?;
        envelope::read_one(&answer.body).ok_or_else(|| node.not_json_rpc(&answer))
    }

    /// Remembers which chain a node says it serves.
    fn note_chain(&self, node: &Node, reply: Option<Reply>) -> Result<(), UrlFailure> {
        let judged = match reply {
            Some(Ok(answer)) => self.check.judge(&answer),
            Some(Err(error)) => return Err(UrlFailure::Refused(node.quoted(error))),
            None => return Err(UrlFailure::NotJsonRpc(200, String::new())),
        };
        node.is_right_chain.set(judged.is_ok());
        judged
    }

    /// Whether what a node answered is good, or good for want of better, or
    /// of no use.
    fn weigh(node: &Node, calls: &[Call], replies: Vec<Reply>) -> Result<Vec<Reply>, Setback> {
        let (mut failure, mut is_useful) = (None, false);
        for (call, reply) in calls.iter().zip(&replies) {
            let kind = reply.as_ref().err().map(|error| error.kind(call.method));
            is_useful |=
                !matches!(kind, Some(ErrorKind::Limit | ErrorKind::Internal | ErrorKind::Batch));
            if kind.is_some_and(|kind| kind.is_nodes_own() || kind == ErrorKind::Unknown) {
                failure = failure.or(reply.as_ref().err());
            }
        }
        let failure = failure.map(|error| UrlFailure::Refused(node.quoted(error.clone())));
        let replies: Vec<_> =
            replies.into_iter().map(|reply| reply.map_err(|error| node.quoted(error))).collect();
        match failure {
            None => Ok(replies),
            Some(failure) => {
                let partial = is_useful.then_some(replies);
                Err(Setback { failure, of_batch: false, partial })
            }
        }
    }
}

impl Node {
    fn quoted(&self, error: RpcError) -> RpcError {
        RpcError { message: quote(&self.url, &error.message), ..error }
    }

    fn not_json_rpc(&self, answer: &super::PostAnswer) -> UrlFailure {
        UrlFailure::NotJsonRpc(answer.status, quote(&self.url, &answer.body))
    }
}
