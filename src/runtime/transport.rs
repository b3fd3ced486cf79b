//! JSON-RPC, and requests to facilitators, over `fetch`.

use std::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{
    AbortSignal, Headers, ReadableStreamDefaultReader, Request, RequestInit, RequestRedirect,
    Response, WorkerGlobalScope,
};

use crate::remote::{Http, HttpAnswer, HttpRequest, MAX_ANSWER};
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

impl Http for FetchTransport {
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        let millis = u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX);
        let signal = AbortSignal::timeout_with_u32(millis);
        ask(&request, &signal).await.map_err(|_| {
            if signal.aborted() { TransportError::TimedOut } else { TransportError::Unreachable }
        })
    }
}

/// Asks a facilitator. Redirects are not followed.
async fn ask(request: &HttpRequest<'_>, signal: &AbortSignal) -> Result<HttpAnswer, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    if let Some(body) = request.body {
        headers.set("Content-Type", "application/json")?;
        init.set_method("POST");
        init.set_body(&JsValue::from(body));
    }
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(signal));
    let request = Request::new_with_str_and_init(&request.url, &init)?;
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response =
        JsFuture::from(global.fetch_with_request(&request)).await?.dyn_into()?;
    Ok(HttpAnswer { status: response.status(), body: read_bounded(&response).await? })
}

/// The body of an answer, unless it is longer than [`MAX_ANSWER`] or no text.
async fn read_bounded(response: &Response) -> Result<Option<String>, JsValue> {
    let Some(body) = response.body() else { return Ok(Some(String::new())) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = vec![];
    loop {
        let chunk = JsFuture::from(reader.read()).await?;
        if Reflect::get(&chunk, &JsValue::from("done"))?.is_truthy() {
            return Ok(String::from_utf8(bytes).ok());
        }
        let chunk = Uint8Array::new(&Reflect::get(&chunk, &JsValue::from("value"))?);
        bytes.extend(chunk.to_vec());
        if bytes.len() > MAX_ANSWER {
            let _ = reader.cancel();
            return Ok(None);
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
