//! Reading a request's body into memory.

use js_sys::futures::JsFuture;
use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Request;

use super::js;

/// Reads the bytes of a body, however many.
pub async fn read(request: &Request) -> worker::Result<Vec<u8>> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(buffer.unchecked_ref()).to_vec())
}

/// Reads a body of at most `limit` bytes; `None` for a longer one, which is
/// read no further.
pub async fn read_at_most(request: &Request, limit: usize) -> Result<Option<Vec<u8>>, JsValue> {
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
