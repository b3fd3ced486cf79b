//! JSON-RPC, and requests to facilitators, over `fetch`.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{
    AbortController, AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit,
    RequestRedirect, Response, WorkerGlobalScope,
};
use worker::{Delay, console_log};

use super::{clock, web_crypto};
use crate::facilitator_client::auth::{AUTHORIZATION, Signing};
use crate::facilitator_client::{Http, HttpAnswer, HttpRequest, MAX_ANSWER};
use crate::rpc::gate::Gate;
use crate::rpc::{PostAnswer, Transport, TransportError};

/// How often, and after what pause, a node is told something again that found
/// no connection free.
const TELL_TRIES: u32 = 40;
const TELL_PAUSE: Duration = Duration::from_millis(100);

/// The longest answer of a node that is read, in bytes.
const MAX_NODE_ANSWER: usize = 4 * 1024 * 1024;

/// The runtime's `fetch`, for a request that makes few of its own.
#[derive(Clone, Copy)]
pub(super) struct FetchTransport;

/// The runtime's `fetch` with a bound on the connections of one I/O context,
/// such as a Durable Object.
#[derive(Clone, Default)]
pub(super) struct GatedTransport(Rc<Gate>);

impl Transport for FetchTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
        within(timeout, async |signal| post(url, &body, signal).await).await
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn now_ms(&self) -> u64 {
        clock::now_ms()
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}

impl Http for FetchTransport {
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        within(request.timeout, async |signal| ask(&request, signal).await).await
    }
}

impl Transport for GatedTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
        let _permit = self.0.enter(timeout).await;
        FetchTransport.post(url, body, timeout).await
    }

    async fn tell(&self, url: &str, body: String) -> Result<PostAnswer, TransportError> {
        // One at a time: what is told at the same moment waits a little, and
        // nobody waits for it.
        for _ in 0..TELL_TRIES {
            if let Some(_permit) = self.0.enter_to_tell() {
                return FetchTransport.tell(url, body).await;
            }
            FetchTransport.sleep(TELL_PAUSE).await;
        }
        Err(TransportError::Unreachable)
    }

    async fn sleep(&self, duration: Duration) {
        FetchTransport.sleep(duration).await;
    }

    fn now_ms(&self) -> u64 {
        FetchTransport.now_ms()
    }

    fn log(&self, line: &str) {
        FetchTransport.log(line);
    }
}

impl Http for GatedTransport {
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        let _permit = self.0.enter(request.timeout).await;
        FetchTransport.exchange(request).await
    }
}

/// Ends a request that nobody waits for any more, and so frees its connection;
/// nothing where it is done.
struct EndOnDrop(Option<AbortController>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Makes a request, from now on within its time.
pub(super) async fn within<T>(
    timeout: Duration,
    exchange: impl AsyncFnOnce(&AbortSignal) -> Result<T, JsValue>,
) -> Result<T, TransportError> {
    let controller = AbortController::new().map_err(|_| TransportError::Unreachable)?;
    let signal = controller.signal();
    let mut end = EndOnDrop(Some(controller));
    match select(pin!(exchange(&signal)), pin!(Delay::from(timeout))).await {
        Either::Left((answer, _)) => {
            if answer.is_ok() {
                end.0 = None;
            }
            answer.map_err(|_| TransportError::Unreachable)
        }
        Either::Right(((), _)) => Err(TransportError::TimedOut),
    }
}

/// Asks a node.
async fn post(url: &str, body: &str, signal: &AbortSignal) -> Result<PostAnswer, JsValue> {
    let init = RequestInit::new();
    let headers = Headers::new()?;
    set_json(&init, &headers, body)?;
    let response = fetch(url, &init, &headers, signal).await?;
    let body = read_bounded(&response, MAX_NODE_ANSWER).await?.unwrap_or_default();
    Ok(PostAnswer { status: response.status(), body })
}

/// Asks a facilitator. Redirects are not followed.
async fn ask(request: &HttpRequest<'_>, signal: &AbortSignal) -> Result<HttpAnswer, JsValue> {
    let init = RequestInit::new();
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    if let Some(auth) = request.auth {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| JsValue::from(error.to_string()))?;
        let text = auth.text(&request.to_sign(clock::now(), nonce));
        let signature = match auth.sign(&text) {
            Signing::Done(signature) => signature,
            Signing::ByHost(key) => web_crypto::sign(key, text.as_bytes()).await?,
        };
        headers.set(AUTHORIZATION, &auth.authorization(&text, &signature))?;
    }
    if let Some(body) = request.body {
        set_json(&init, &headers, body)?;
    }
    init.set_redirect(RequestRedirect::Manual);
    let response = fetch(&request.url, &init, &headers, signal).await?;
    Ok(HttpAnswer { status: response.status(), body: read_bounded(&response, MAX_ANSWER).await? })
}

fn set_json(init: &RequestInit, headers: &Headers, body: &str) -> Result<(), JsValue> {
    headers.set("Content-Type", "application/json")?;
    init.set_method("POST");
    init.set_body(&JsValue::from(body));
    Ok(())
}

async fn fetch(
    url: &str,
    init: &RequestInit,
    headers: &Headers,
    signal: &AbortSignal,
) -> Result<Response, JsValue> {
    init.set_headers(headers);
    init.set_signal(Some(signal));
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    JsFuture::from(global.fetch_with_str_and_init(url, init)).await?.dyn_into()
}

/// The body of an answer, unless it is longer than this or no text.
pub(super) async fn read_bounded(
    response: &Response,
    max: usize,
) -> Result<Option<String>, JsValue> {
    let length = response.headers().get("Content-Length")?;
    let length = length.and_then(|length| length.parse::<usize>().ok());
    // Of a compressed one it says how long it was before the runtime unpacked it.
    if length.is_some_and(|length| length <= max)
        && response.headers().get("Content-Encoding")?.is_none()
    {
        return Ok(JsFuture::from(response.text()?).await?.as_string());
    }
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
        if bytes.len() > max {
            let _ = reader.cancel();
            return Ok(None);
        }
    }
}
