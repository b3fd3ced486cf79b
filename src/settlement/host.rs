//! What a Settler needs from the world around it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::{Sale, Store};
use crate::facilitator_client::Http;
use crate::rpc::Transport;
use crate::time::UnixSeconds;

/// The clock, the network, the disk and the scheduler.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Host: Clone + 'static {
    /// What carries JSON-RPC, and requests to facilitators.
    type Transport: Transport + Http + 'static;
    /// What keeps records.
    type Store: Store + 'static;

    /// A carrier of messages.
    fn transport(&self) -> Self::Transport;
    /// The time.
    fn now(&self) -> UnixSeconds;
    /// Waits.
    async fn sleep(&self, duration: Duration);
    /// Runs a task that outlives the request that started it.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
    /// Asks for [`Settler::wake`](super::Settler::wake) to be called in this
    /// many seconds, or earlier if that was asked for before; also when
    /// everything here has died in between.
    fn wake_in(&self, seconds: u64);
    /// Something was sold, or may have been before everything here died: whoever
    /// tells others of it is to look into the ledger. Nothing waits for that.
    fn sold(&self);
    /// Writes a data point of a sale, if somebody collects them. Nothing waits for
    /// that, and whatever comes of it is nothing to the payment.
    fn collect(&self, sale: &Sale);
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// Lets tasks that were begun before this go as far as they can.
pub(super) async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits for a future, but no longer than `limit`.
pub(super) async fn within<T>(
    host: &impl Host,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let sleep = pin!(host.sleep(limit));
    match select(pin!(future), sleep).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(((), _)) => None,
    }
}
