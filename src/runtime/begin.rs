//! Futures that are begun at once, and become a task only if they must wait.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::LocalBoxFuture;
use js_sys::futures::future_to_promise;
use worker::wasm_bindgen::JsValue;

/// What wakes a future for as long as it lives: some, such as `worker::Delay`,
/// keep the first waker that they see.
#[derive(Default)]
struct Relay(Mutex<Option<Waker>>);

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// What a future comes to, or the promise of it.
pub(super) fn begin(
    mut future: LocalBoxFuture<'static, Result<JsValue, JsValue>>,
) -> Result<JsValue, JsValue> {
    let relay = Arc::new(Relay::default());
    let waker = Waker::from(Arc::clone(&relay));
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(JsValue::from(future_to_promise(poll_fn(move |context| {
            *relay.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })))),
    }
}
