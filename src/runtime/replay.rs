//! The replay records in KV, at every edge.

use std::time::Duration;

use js_sys::{Object, Reflect};
use worker::wasm_bindgen::JsValue;
use worker::{Context, Delay, Env, console_error};

use super::{clock, js};
use crate::json;
use crate::settlement::replay::ReplayRecord;
use crate::time::UnixSeconds;

/// How long the answer goes first: nobody reads this record as soon as that.
const AFTER: Duration = Duration::from_millis(50);

/// What KV knows of a payment: nothing, if it can't be asked.
pub(super) async fn ask(env: &Env, payment: &str) -> Option<ReplayRecord> {
    let kv = js::binding(env, "REPLAY").ok()?;
    let key = JsValue::from(ReplayRecord::key(payment));
    let text = js::call(&kv, "get", &[&key]).await.ok()?.as_string()?;
    json::from_text(&text).ok()
}

/// Lets every edge know of a payment that can't land any more from then on,
/// after the answer has gone out.
pub(super) fn remember(
    env: &Env,
    context: &Context,
    payment: &str,
    record: ReplayRecord,
    expires_at: UnixSeconds,
) {
    let ttl = record.ttl_seconds(expires_at, clock::now());
    let key = ReplayRecord::key(payment);
    match js::binding(env, "REPLAY") {
        Ok(kv) => context.wait_until(js::in_a_box(async move {
            Delay::from(AFTER).await;
            if let Err(error) = put(&kv, &key, &record, ttl).await {
                console_error!("REPLAY: {:?}", error);
            }
        })),
        Err(error) => console_error!("REPLAY: {}", error.to_string()),
    }
}

async fn put(kv: &JsValue, key: &str, record: &ReplayRecord, ttl: u64) -> Result<(), JsValue> {
    let text = json::to_text(record);
    let options = Object::new();
    let ttl = u32::try_from(ttl).unwrap_or(u32::MAX);
    Reflect::set(&options, &JsValue::from("expirationTtl"), &JsValue::from(ttl))?;
    js::call(kv, "put", &[&JsValue::from(key), &JsValue::from(text), &options]).await?;
    Ok(())
}
