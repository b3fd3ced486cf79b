//! Calling the runtime's objects by name: bindings come as plain values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, JsString, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{Headers, Response};

/// What follows a promise.
type Next = Closure<dyn FnMut(JsValue) -> Result<JsValue, JsValue>>;

#[wasm_bindgen]
extern "C" {
    /// The runtime's `Headers`, asked with strings that are JavaScript's own.
    type Fields;
    #[wasm_bindgen(method)]
    fn get(this: &Fields, name: &JsString) -> Option<String>;
    #[wasm_bindgen(method)]
    fn delete(this: &Fields, name: &JsString);

    /// A promise, with what follows it.
    type Pending;
    #[wasm_bindgen(method)]
    fn then(this: &Pending, good: &Next, bad: &Next) -> Promise;
}

thread_local! {
    /// The names of headers that were asked for, as JavaScript's strings: made of
    /// ours, each would cost more than the question.
    static NAMES: RefCell<Vec<(&'static str, JsString)>> = const { RefCell::new(vec![]) };
}

fn with_name<T>(name: &'static str, work: impl FnOnce(&JsString) -> T) -> T {
    NAMES.with_borrow_mut(|names| {
        if let Some((_, text)) = names.iter().find(|(known, _)| *known == name) {
            return work(text);
        }
        let text = JsString::from(name);
        let result = work(&text);
        names.push((name, text));
        result
    })
}

/// The value of a header; several of one name with commas between.
pub(super) fn header(headers: &Headers, name: &'static str) -> Option<String> {
    with_name(name, |name| headers.unchecked_ref::<Fields>().get(name))
}

/// The names of all headers, in small letters.
pub(super) fn header_names(headers: &Headers) -> Vec<String> {
    Array::from(&headers.keys()).iter().filter_map(|name| name.as_string()).collect()
}

/// Takes a header out, if it is there.
pub(super) fn delete_header(headers: &Headers, name: &'static str) {
    with_name(name, |name| headers.unchecked_ref::<Fields>().delete(name));
}

/// What becomes of what a promise comes to, or of why it comes to nothing. Costs
/// a third of waiting for it in a task.
pub(super) fn then(
    promise: &Promise,
    work: impl FnOnce(Result<JsValue, JsValue>) -> worker::Result<Response> + 'static,
) -> Promise {
    let work = Rc::new(Cell::new(Some(work)));
    // One of the two is called, and then neither is needed.
    let both = Rc::new(Cell::new(None::<[Next; 2]>));
    let next = |is_good: bool| {
        let (work, both) = (Rc::clone(&work), Rc::clone(&both));
        Next::once(move |value: JsValue| {
            drop(both.take());
            let Some(work) = work.take() else { return Ok(JsValue::UNDEFINED) };
            let answer = work(if is_good { Ok(value) } else { Err(value) });
            answer.map(JsValue::from).map_err(JsValue::from)
        })
    };
    let (good, bad) = (next(true), next(false));
    let answer = promise.unchecked_ref::<Pending>().then(&good, &bad);
    both.set(Some([good, bad]));
    answer
}

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
