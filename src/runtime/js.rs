//! Calling the runtime's objects by name: bindings come as plain values.

use std::cell::RefCell;
use std::ptr;

use futures_util::future::LocalBoxFuture;
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, JsString, Promise, Reflect, Set};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Headers;

#[wasm_bindgen(module = "/src/runtime/host.js")]
extern "C" {
    /// Whether any of these headers is there, however CGI would spell it.
    #[wasm_bindgen(js_name = holdsAny)]
    pub(super) fn holds_any(headers: &Headers, names: &Set) -> bool;
    /// Takes them out.
    #[wasm_bindgen(js_name = takeOut)]
    pub(super) fn take_out(headers: &Headers, names: &Set);
    /// The names of headers that have a `_` in them, in small letters, if there are any.
    #[wasm_bindgen(js_name = namesWithUnderscores)]
    pub(super) fn names_with_underscores(headers: &Headers) -> Option<Vec<String>>;
    /// Does all that this does in the tables of a storage, or, if it says that it has
    /// failed, nothing; whether it was done.
    #[wasm_bindgen(catch)]
    pub(super) fn atomically(
        storage: &JsValue,
        work: &mut dyn FnMut() -> bool,
    ) -> Result<bool, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    /// The runtime's `Headers`, asked with strings that are JavaScript's own.
    type Fields;
    #[wasm_bindgen(method)]
    fn get(this: &Fields, name: &JsString) -> Option<String>;
    #[wasm_bindgen(method)]
    fn has(this: &Fields, name: &JsString) -> bool;
    #[wasm_bindgen(method)]
    fn delete(this: &Fields, name: &JsString);
    #[wasm_bindgen(method)]
    fn set(this: &Fields, name: &JsString, value: &JsString);
    #[wasm_bindgen(method)]
    fn append(this: &Fields, name: &JsString, value: &JsString);
}

/// How many values of headers are kept as JavaScript's strings.
const MAX_VALUES: usize = 8;

thread_local! {
    /// The names of headers and methods that were asked for, as JavaScript's strings:
    /// made of ours, each would cost more than the question.
    static NAMES: RefCell<Vec<(&'static str, JsString)>> = const { RefCell::new(vec![]) };
    /// Values that the next request is likely to need, too.
    static VALUES: RefCell<Vec<(String, JsString)>> = const { RefCell::new(vec![]) };
}

fn with_name<T>(name: &'static str, work: impl FnOnce(&JsString) -> T) -> T {
    NAMES.with_borrow_mut(|names| {
        if let Some((_, text)) = names.iter().find(|(known, _)| ptr::eq(*known, name)) {
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

/// Whether there is a header of this name.
pub(super) fn has_header(headers: &Headers, name: &'static str) -> bool {
    with_name(name, |name| headers.unchecked_ref::<Fields>().has(name))
}

/// Sets a header to a value that the next request is likely to need, too.
pub(super) fn set_header(headers: &Headers, name: &'static str, value: &str) {
    with_value(value, |value| {
        with_name(name, |name| headers.unchecked_ref::<Fields>().set(name, value));
    });
}

/// Adds such a value to a header.
pub(super) fn append_header(headers: &Headers, name: &'static str, value: &str) {
    with_value(value, |value| {
        with_name(name, |name| headers.unchecked_ref::<Fields>().append(name, value));
    });
}

fn with_value(value: &str, work: impl FnOnce(&JsString)) {
    VALUES.with_borrow_mut(|values| {
        if let Some((_, text)) = values.iter().find(|(known, _)| *known == value) {
            return work(text);
        }
        if values.len() >= MAX_VALUES {
            values.clear();
        }
        let text = JsString::from(value);
        work(&text);
        values.push((value.to_owned(), text));
    });
}

/// Takes a header out, if it is there.
pub(super) fn delete_header(headers: &Headers, name: &'static str) {
    with_name(name, |name| headers.unchecked_ref::<Fields>().delete(name));
}

/// Calls a method and waits for its promise.
pub(super) async fn call(
    target: &JsValue,
    method: &'static str,
    arguments: &[&JsValue],
) -> Result<JsValue, JsValue> {
    let promise = begin(target, method, arguments)?;
    JsFuture::from(promise).await
}

/// Calls a method that returns a promise.
pub(super) fn begin(
    target: &JsValue,
    method: &'static str,
    arguments: &[&JsValue],
) -> Result<Promise, JsValue> {
    let function: Function =
        with_name(method, |method| Reflect::get(target, method))?.dyn_into()?;
    let arguments: Array = arguments.iter().copied().collect();
    Reflect::apply(&function, target, &arguments)?.dyn_into()
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
