//! JSON-RPC over `fetch`.

use std::time::Duration;

use js_sys::futures::JsFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{AbortSignal, Headers, Request, RequestInit, Response, WorkerGlobalScope};

use crate::rpc::{Transport, TransportError};

/// The runtime's `fetch`.
#[derive(Clone, Copy)]
pub struct FetchTransport;

impl Transport for FetchTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<String, TransportError> {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let signal = AbortSignal::timeout_with_u32(millis);
        match exchange(url, &body, &signal).await {
            Ok((200..300, text)) => Ok(text),
            Ok((status, _)) => Err(TransportError::Status(status)),
            Err(_) if signal.aborted() => Err(TransportError::TimedOut),
            Err(_) => Err(TransportError::Unreachable),
        }
    }
}

async fn exchange(url: &str, body: &str, signal: &AbortSignal) -> Result<(u16, String), JsValue> {
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from(body));
    init.set_signal(Some(signal));
    let request = Request::new_with_str_and_init(url, &init)?;
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response =
        JsFuture::from(global.fetch_with_request(&request)).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    Ok((response.status(), text.as_string().unwrap_or_default()))
}
