//! Reading a request's body into memory.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Request;
use worker::{Delay, console_error};

use super::js;
use crate::incoming::{Body, Incoming};

/// For bodies on their way, in bytes: beside what is given out to those who wait.
const ROOM: usize = 16 * 1_024 * 1_024;

/// How many times its length a body holds until it has come: it is in what grows by
/// half too much, and where it was copied from.
const COPIES: usize = 3;

/// How often a body that is on its way looks whether it is to give way.
const LOOK: Duration = Duration::from_secs(1);

thread_local! {
    static INCOMING: Rc<Incoming> = Rc::new(Incoming::of_bytes(ROOM));
}

/// Why a body was not read.
pub(super) enum Unread {
    /// It broke off.
    Broken,
    /// So many are on their way that there is no room for it.
    Full,
}

impl From<JsValue> for Unread {
    fn from(error: JsValue) -> Self {
        console_error!("body: {:?}", error);
        Self::Broken
    }
}

/// Reads a body of at most `limit` bytes; `None` for a longer one, which is
/// read no further.
pub(super) async fn read_at_most(
    request: &Request,
    limit: usize,
) -> Result<Option<Vec<u8>>, Unread> {
    let Some(stream) = request.body() else { return Ok(Some(vec![])) };
    let held = INCOMING.with(Incoming::begin).ok_or(Unread::Full)?;
    let reader = stream.get_reader();
    let mut bytes = vec![];
    // One for all of it: what comes in small pieces is as slow.
    let mut look = pin!(Delay::from(LOOK));
    while let Some(chunk) = next(&reader, &held, look.as_mut()).await? {
        let length = chunk.length() as usize;
        if bytes.len() + length > limit {
            // Whether it can be told so changes nothing.
            let _ = js::call(&reader, "cancel", &[]).await;
            return Ok(None);
        }
        if !held.grow(length * COPIES) {
            return Err(Unread::Full);
        }
        bytes.extend(chunk.to_vec());
    }
    Ok(Some(bytes))
}

/// What comes next of a body; `None` at its end.
async fn next(
    reader: &JsValue,
    held: &Body,
    mut look: Pin<&mut Delay>,
) -> Result<Option<Uint8Array>, Unread> {
    let mut read = pin!(js::call(reader, "read", &[]));
    let chunk = loop {
        match select(read.as_mut(), look.as_mut()).await {
            Either::Left((chunk, _)) => break chunk?,
            Either::Right(((), _)) if held.gives_way() => return Err(Unread::Full),
            Either::Right(((), _)) => look.set(Delay::from(LOOK)),
        }
    };
    if Reflect::get(&chunk, &JsValue::from("done"))?.is_truthy() {
        return Ok(None);
    }
    let chunk = Reflect::get(&chunk, &JsValue::from("value"))?;
    Ok(Some(chunk.dyn_into::<Uint8Array>()?))
}
