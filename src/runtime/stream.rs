//! An answer's body, watched on its way without being touched.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use worker::Delay;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{ReadableStream, Response};

use super::js;

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

/// Both ends of a body that is passed on piece by piece.
#[derive(Clone)]
pub(super) struct Ends {
    reader: JsValue,
    writer: JsValue,
}

impl Ends {
    /// Breaks the body off, if it is not over.
    pub(super) async fn break_off(&self, why: impl Into<JsValue>) {
        let why = &why.into();
        // Neither end need hear of it: one of them may have left.
        let _ = js::call(&self.writer, "abort", &[why]).await;
        let _ = js::call(&self.reader, "cancel", &[why]).await;
    }
}

/// The same answer, a future that is done when its body has gone out, broken
/// off, or taken longer than it may, and what it can be broken off by, if there is
/// one. Each piece is counted when it was taken, and passed on as soon as it
/// comes.
pub(super) fn count(
    answer: &Response,
    counted: Box<dyn Fn(&Uint8Array)>,
    limit: Duration,
) -> worker::Result<(Response, impl Future<Output = ()> + use<>, Option<Ends>)> {
    let Some(body) = answer.body() else {
        let same = Response::new_with_opt_readable_stream_and_init(None, answer.unchecked_ref())?;
        return Ok((same, Either::Left(std::future::ready(())), None));
    };
    let stream = stream_for(answer)?;
    let of = |target: &JsValue, method: &str| -> Result<JsValue, JsValue> {
        let make: Function = Reflect::get(target, &JsValue::from(method))?.dyn_into()?;
        make.call0(target)
    };
    let reader = of(&body, "getReader")?;
    let writer = of(&Reflect::get(&stream, &JsValue::from("writable"))?, "getWriter")?;
    let readable: ReadableStream =
        Reflect::get(&stream, &JsValue::from("readable"))?.unchecked_into();
    let passed_on =
        Response::new_with_opt_readable_stream_and_init(Some(&readable), answer.unchecked_ref())?;
    let ends = Ends { reader, writer };
    let both = ends.clone();
    let is_over = async move {
        let pieces = pin!(pass_on(&ends, counted));
        let why = match select(pieces, Delay::from(limit)).await {
            // It need not be heard of that it is over.
            Either::Left((Ok(()), _)) => return drop(js::call(&ends.writer, "close", &[]).await),
            Either::Left((Err(why), _)) => why,
            Either::Right(_) => "the payment's time is over".into(),
        };
        ends.break_off(why).await;
    };
    Ok((passed_on, Either::Right(is_over), Some(both)))
}

/// Passes a body on, piece by piece, no faster than it is taken.
async fn pass_on(ends: &Ends, counted: Box<dyn Fn(&Uint8Array)>) -> Result<(), JsValue> {
    loop {
        let read = js::call(&ends.reader, "read", &[]).await?;
        if Reflect::get(&read, &JsValue::from("done"))?.is_truthy() {
            return Ok(());
        }
        let piece: Uint8Array = Reflect::get(&read, &JsValue::from("value"))?.dyn_into()?;
        js::call(&ends.writer, "write", &[&piece]).await?;
        counted(&piece);
    }
}

/// Writes a body, piece by piece.
pub(super) struct Writer(JsValue);

impl Writer {
    /// Writes a piece, once the one before was taken.
    pub(super) async fn write(&self, text: &str) -> Result<(), JsValue> {
        if text.is_empty() {
            return Ok(());
        }
        let piece = Uint8Array::from(text.as_bytes());
        js::call(&self.0, "write", &[&piece]).await.map(drop)
    }

    /// Ends the body.
    pub(super) async fn close(&self) {
        let _ = js::call(&self.0, "close", &[]).await;
    }

    /// Breaks the body off.
    pub(super) async fn abort(&self, why: &JsValue) {
        let _ = js::call(&self.0, "abort", &[why]).await;
    }
}

/// A body that is still to be written.
pub(super) fn written() -> worker::Result<(ReadableStream, Writer)> {
    let stream = new_stream("IdentityTransformStream", &Array::new())?;
    let writable = Reflect::get(&stream, &JsValue::from("writable"))?;
    let make: Function = Reflect::get(&writable, &JsValue::from("getWriter"))?.dyn_into()?;
    let writer = Writer(make.call0(&writable)?);
    Ok((Reflect::get(&stream, &JsValue::from("readable"))?.unchecked_into(), writer))
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
    new_stream(kind, &arguments)
}

fn new_stream(kind: &str, arguments: &Array) -> worker::Result<JsValue> {
    let kind: Function = Reflect::get(&js_sys::global(), &JsValue::from(kind))?.dyn_into()?;
    Ok(Reflect::construct(&kind, arguments)?)
}
