//! An answer's body, watched on its way without being touched.

use std::future::Future;

use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{ReadableStream, Response};

/// The same answer, and a future that tells whether its body was taken to its
/// end. The runtime itself moves the bytes.
pub(super) fn watch(
    answer: &Response,
) -> worker::Result<(Response, impl Future<Output = bool> + use<>)> {
    let (readable, piped) = match answer.body() {
        Some(body) => {
            let stream = stream_for(answer)?;
            let pipe: Function = Reflect::get(&body, &JsValue::from("pipeTo"))?.dyn_into()?;
            let writable = Reflect::get(&stream, &JsValue::from("writable"))?;
            let piped: Promise = pipe.call1(&body, &writable)?.dyn_into()?;
            let readable: ReadableStream =
                Reflect::get(&stream, &JsValue::from("readable"))?.unchecked_into();
            (Some(readable), Some(JsFuture::from(piped)))
        }
        None => (None, None),
    };
    let watched =
        Response::new_with_opt_readable_stream_and_init(readable.as_ref(), answer.unchecked_ref())?;
    let is_whole = async move {
        match piped {
            Some(piped) => piped.await.is_ok(),
            // There was nothing to take.
            None => true,
        }
    };
    Ok((watched, is_whole))
}

/// A stream that passes on what is written to it, as fast as it is read. One of
/// a known length keeps the answer's `Content-Length`.
fn stream_for(answer: &Response) -> worker::Result<JsValue> {
    let headers = answer.headers();
    let length = headers.get("Content-Length")?.and_then(|length| length.parse::<u64>().ok());
    let (kind, arguments) = match length {
        Some(length) => {
            #[allow(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
            let length = JsValue::from(length as f64);
            ("FixedLengthStream", Array::of1(&length))
        }
        _ => ("IdentityTransformStream", Array::new()),
    };
    let kind: Function = Reflect::get(&js_sys::global(), &JsValue::from(kind))?.dyn_into()?;
    Ok(Reflect::construct(&kind, &arguments)?)
}
