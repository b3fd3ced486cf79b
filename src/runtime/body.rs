//! Reading a request's body into memory.

use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Request;

use super::head::RequestHead;
use super::js;
use crate::gate::{BoundBody, Head as _, MAX_BOUND_BODY, body_names_method};

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

/// What of a request's body its payment is bound to. The body itself stays unread.
pub(super) async fn bound(request: &Request, head: &RequestHead) -> Result<BoundBody, JsValue> {
    if request.body().is_none() {
        return Ok(BoundBody::none());
    }
    let media_type = head.header("Content-Type").unwrap_or_default();
    let length = head.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BOUND_BODY) {
        return Ok(BoundBody::unread(length, &media_type));
    }
    // HTTP/2 and chunks need not say how long a body is.
    let copy = request.clone()?;
    Ok(match read_at_most(&copy, MAX_BOUND_BODY).await? {
        Some(bytes) => BoundBody::read(&bytes, &media_type),
        None => BoundBody::unread(length, &media_type),
    })
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
