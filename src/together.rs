//! Futures that run side by side.
//!
//! What futures-util offers for it is made anew for every type of future, and is
//! meant for thousands. Here are a handful at a time, in boxes: one piece of code
//! for all that have the same output.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::LocalBoxFuture;

/// Futures of which each is taken when it is ready.
pub struct Race<'a, T>(Vec<LocalBoxFuture<'a, T>>);

impl<'a, T> Race<'a, T> {
    /// Nothing runs yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds futures.
    pub fn extend(&mut self, futures: impl IntoIterator<Item = LocalBoxFuture<'a, T>>) {
        self.0.extend(futures);
    }

    /// What the next of them comes to; `None` when none is left.
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            let mut ready = None;
            self.0.retain_mut(|future| {
                // What is ready behind the first one waits for the next call.
                if ready.is_some() {
                    return true;
                }
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => {
                        ready = Some(value);
                        false
                    }
                    Poll::Pending => true,
                }
            });
            match ready {
                Some(value) => Poll::Ready(Some(value)),
                None if self.0.is_empty() => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl<T> Default for Race<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What all of them come to, in their order.
pub async fn join_all<T>(futures: Vec<LocalBoxFuture<'_, T>>) -> Vec<T> {
    let mut all: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(move |context| {
        let mut is_pending = false;
        for (running, value) in &mut all {
            match running.as_mut().map(|future| future.as_mut().poll(context)) {
                Some(Poll::Ready(ready)) => (*running, *value) = (None, Some(ready)),
                Some(Poll::Pending) => is_pending = true,
                None => {}
            }
        }
        if is_pending {
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut all).into_iter().filter_map(|(_, value)| value).collect())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_channel::oneshot;
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_first_that_is_ready_comes_first() {
        let (tell, told) = oneshot::channel();
        let mut race = Race::new();
        race.extend([async move { told.await.unwrap_or(0) }.boxed_local()]);
        race.extend([ready(2).boxed_local(), ready(3).boxed_local()]);
        assert_eq!(race.next().now_or_never(), Some(Some(2)));
        assert_eq!(race.next().now_or_never(), Some(Some(3)));
        assert_eq!(race.next().now_or_never(), None);
        tell.send(1).unwrap();
        assert_eq!(race.next().now_or_never(), Some(Some(1)));
        assert_eq!(race.next().now_or_never(), Some(None));
    }

    #[test]
    fn all_come_in_their_order() {
        let (tell, told) = oneshot::channel();
        let futures =
            vec![async move { told.await.unwrap_or(0) }.boxed_local(), ready(2).boxed_local()];
        let mut joined = Box::pin(join_all(futures));
        assert_eq!(joined.as_mut().now_or_never(), None);
        tell.send(1).unwrap();
        assert_eq!(joined.as_mut().now_or_never(), Some(vec![1, 2]));
        assert_eq!(join_all::<u8>(vec![]).now_or_never(), Some(vec![]));
    }
}
