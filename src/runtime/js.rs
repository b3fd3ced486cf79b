//! Calling the runtime's objects by name: bindings come as plain values.

use futures_util::future::LocalBoxFuture;
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise, Reflect};
use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};

/// Calls a method and waits for its promise.
pub(super) async fn call(
    target: &JsValue,
    method: &str,
    arguments: &[&JsValue],
) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(target, &JsValue::from(method))?.dyn_into()?;
    let arguments: Array = arguments.iter().copied().collect();
    let promise: Promise = Reflect::apply(&function, target, &arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}

/// A binding of wrangler.toml.
pub(super) fn binding(env: &Env, name: &str) -> worker::Result<JsValue> {
    let value = Reflect::get(env, &JsValue::from(name))?;
    if value.is_undefined() {
        return Err(format!("wrangler.toml has no binding {name}").into());
    }
    Ok(value)
}

/// A task in a box, so that all tasks have one type: what runs them is compiled
/// for each type anew, a kilobyte each time.
pub(super) fn in_a_box(task: impl Future<Output = ()> + 'static) -> LocalBoxFuture<'static, ()> {
    Box::pin(task)
}
