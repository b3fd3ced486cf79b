//! Batches of questions, of the size that a node takes.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::{Node, Nodes, Setback};
use crate::rpc::envelope::{self, BatchAnswer};
use crate::rpc::{Call, ErrorKind, Reply, Transport, UrlFailure, host_of};
use crate::together::join_all;

/// How large batches are tried where a node takes none of the usual size.
const SMALL_BATCHES: [usize; 2] = [3, 1];

/// For how long it is remembered which batches a node takes, in milliseconds.
const BATCHES_MS: u64 = 600_000;

impl<T: Transport> Nodes<T> {
    /// Asks a batch that begins with the question for the chain, in batches of
    /// the size that the node takes.
    pub(super) async fn ask_batch(
        &self,
        node: &Node,
        batch: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Reply>, Setback> {
        let (max, until) = node.batch_max.get();
        let max = if until > self.transport.now_ms() { max } else { usize::MAX };
        match self.ask_parts(node, batch, max, timeout).await {
            // A node that says so is asked in another way at once.
            Err(setback) if setback.of_batch && is_about_batches(&setback.failure) => {
                self.ask_small(node, batch, timeout, &setback.failure).await
            }
            answer => answer,
        }
    }

    /// Asks in smaller batches, or one by one, and remembers what works.
    pub(super) async fn ask_small(
        &self,
        node: &Node,
        batch: &[Call],
        timeout: Duration,
        failure: &UrlFailure,
    ) -> Result<Vec<Reply>, Setback> {
        let mut last = None;
        for size in SMALL_BATCHES.into_iter().filter(|size| *size < batch.len()) {
            match self.ask_parts(node, batch, size, timeout).await {
                Ok(replies) => {
                    let until = self.transport.now_ms().saturating_add(BATCHES_MS);
                    node.batch_max.set((size, until));
                    self.transport.log(&format!(
                        "{}: {} is asked in batches of at most {size} from now on, for it refused \
                         {} at once: {failure}",
                        self.check.network(),
                        host_of(&node.url),
                        batch.len()
                    ));
                    return Ok(replies);
                }
                Err(setback) => last = Some(setback),
            }
        }
        Err(last.unwrap_or_else(|| failure.clone().into()))
    }

    async fn ask_parts(
        &self,
        node: &Node,
        batch: &[Call],
        size: usize,
        timeout: Duration,
    ) -> Result<Vec<Reply>, Setback> {
        let parts: Vec<_> = batch.chunks(size).collect();
        let Some((last, first)) = parts.split_last() else { return Ok(vec![]) };
        let asked = first.iter().map(|part| -> LocalBoxFuture<'_, _> {
            Box::pin(self.post_batch(node, part, timeout))
        });
        let mut replies = vec![];
        for answer in join_all(asked.collect()).await {
            replies.extend(answer?);
        }
        replies.extend(self.post_batch(node, last, timeout).await?);
        let mut replies = replies.into_iter();
        self.note_chain(node, replies.next())?;
        Self::weigh(node, batch.get(1..).unwrap_or_default(), replies.collect())
    }

    async fn post_batch(
        &self,
        node: &Node,
        calls: &[Call],
        timeout: Duration,
    ) -> Result<Vec<Reply>, Setback> {
        if let [call] = calls {
            return Ok(vec![self.post(node, call, timeout).await?]);
        }
        let of_batch = |failure| Setback { failure, of_batch: true, partial: None };
        let body = envelope::write_batch(calls);
        let answer = self.transport.post(&node.url, body, timeout).await;
        self.note_silence(node, answer.as_ref().err());
        let answer = answer.map_err(|error| of_batch(UrlFailure::Transport(error)))?;
        match envelope::read_batch(&answer.body, calls.len()) {
            BatchAnswer::Each(replies) => {
                let is_about_batches = |reply: &&Reply| matches!(reply, Err(error) if error.kind("") == ErrorKind::Batch);
                match replies.iter().find(is_about_batches) {
                    Some(Err(error)) => {
                        Err(of_batch(UrlFailure::Refused(node.quoted(error.clone()))))
                    }
                    _ => Ok(replies),
                }
            }
            BatchAnswer::Refused(error) => Err(of_batch(UrlFailure::Refused(node.quoted(error)))),
            BatchAnswer::Unreadable => Err(of_batch(node.not_json_rpc(&answer))),
        }
    }
}

fn is_about_batches(failure: &UrlFailure) -> bool {
    matches!(failure, UrlFailure::Refused(error) if error.kind("") == ErrorKind::Batch)
}
