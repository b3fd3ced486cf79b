//! Reading a request's body into memory.

use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Request;

use super::js;
use crate::gate::body_names_method;

/// Reads a body of at most `limit` bytes; `None` for a longer one, which is
/// read no further.
pub(super) async fn read_at_most(
    request: &Request,
    limit: usize,
) -> Result<Option<Vec<u8>>, JsValue> {
    let Some(stream) = request.body() else { return Ok(Some(vec![])) };
    let reader = stream.get_reader();
    let mut bytes = vec![];
    loop {
        let chunk = js::call(&reader, "read", &[]).await?;
        if Reflect::get(&chunk, &JsValue::from("done"))?.is_truthy() {
            return Ok(Some(bytes));
        }
        let chunk: Uint8Array = Reflect::get(&chunk, &JsValue::from("value"))?.dyn_into()?;
        if bytes.len() + chunk.length() as usize > limit {
            // Whether it can be told so changes nothing.
            let _ = js::call(&reader, "cancel", &[]).await;
            return Ok(None);
        }
        bytes.extend(chunk.to_vec());
    }
}

/// The largest body that is looked into for a method, in bytes.
const MAX_LOOKED_INTO: usize = 1024 * 1024;

/// What is wrong with a body of this media type that goes where the method counts:
/// the status and what to tell the client.
pub(super) async fn look_for_method(
    request: &Request,
    media_type: &str,
) -> Result<Option<(u16, &'static str)>, JsValue> {
    let copy = request.clone()?;
    Ok(match read_at_most(&copy, MAX_LOOKED_INTO).await? {
        None => Some((413, "a form, or JSON, of more than 1 MiB is not taken here")),
        Some(body) if body_names_method(media_type, &body) => {
            Some((400, "the request names another method in its body"))
        }
        Some(_) => None,
    })
}
