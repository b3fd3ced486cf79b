//! What the desk has changed of the routes: read at the edge, and changed.
//!
//! Every isolate reads KV, once a minute at most and only where something that is
//! sold is asked for. Where KV can't be read, what is known goes on to hold, and an
//! isolate that knows nothing asks the object that keeps it all. Where that fails
//! too, nothing is sold: what is off must not be sold because something failed.

pub(super) mod object;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use js_sys::{Object, Reflect};
use serde_json::{Value, json};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Request, Response};
use worker::{Delay, Env, console_error};

use super::app::{self, App};
use super::head::RequestHead;
use super::settler_client::SettlerClient;
use super::{body, clock, discovery, facilitator, js, known, respond};
use crate::config::{Config, Overrides, fault_of};
use crate::desk::overrides::{Board, MAX_CHANGE, OVERRIDES_KEY, OVERRIDES_OBJECT};
use crate::facilitator::Endpoint;
use crate::gate::{self, Head as _};
use crate::json::ToJson;

/// For how long what was read holds, in milliseconds: KV is read once in that time.
const FRESH_MS: u64 = 60_000;

/// How soon the object is asked again where nothing is known, in milliseconds.
const PAUSE_MS: u64 = 2_000;

/// For how long a location may keep what KV has said, in seconds: KV takes no less.
const CACHE_SECONDS: u32 = 30;

/// How long KV or the object is waited for, and whoever asks them.
const TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT_MS: u64 = 4_500;
const POLL: Duration = Duration::from_millis(10);

thread_local! {
    static READING: Cell<Reading> = const { Cell::new(Reading { told_at: 0, asked_kv_at: 0, asking_since: 0 }) };
}

/// When this isolate has read what holds, in milliseconds.
#[derive(Clone, Copy)]
struct Reading {
    /// When it was last read, or was to be.
    told_at: u64,
    /// When KV was last asked.
    asked_kv_at: u64,
    /// Since when somebody has been asking; 0 for nobody.
    asking_since: u64,
}

/// The configuration with what the desk has changed, for a request that needs it;
/// else the answer that nothing can be sold.
pub(super) async fn in_force(
    app: Rc<App>,
    env: &Env,
    head: &RequestHead,
) -> Result<Rc<App>, worker::Result<Response>> {
    // Without a desk nobody can have changed anything.
    if !app.loaded.config.as_ref().is_ok_and(|config| config.desk.is_open()) {
        return Ok(app);
    }
    let is_listing = discovery::is_asked_for(head)
        || matches!(facilitator::asked_for(&app, head), Some(Endpoint::Resources));
    if !is_listing && !gate::asks_for_sold(&app.loaded, head) {
        return Ok(app);
    }
    let (app, is_known) = up_to_date(app, env).await;
    if is_known || is_listing { Ok(app) } else { Err(unknown()) }
}

fn unknown() -> worker::Result<Response> {
    respond::try_again("what is sold here can't be told right now; nothing was charged")
}

/// The configuration with what is known now, and whether anything is.
async fn up_to_date(app: Rc<App>, env: &Env) -> (Rc<App>, bool) {
    let started = clock::now_ms();
    loop {
        let now = clock::now_ms();
        let (is_known, reading) = (known::overrides().is_some(), READING.get());
        let pause = if is_known { FRESH_MS } else { PAUSE_MS };
        let is_fresh = now.saturating_sub(reading.told_at) < pause;
        let is_asking = now.saturating_sub(reading.asking_since) < TIMEOUT_MS;
        if is_fresh || (is_asking && is_known) {
            // Whoever asked may have read the configuration anew.
            return (App::get(env), is_known);
        }
        if !is_asking {
            return refresh(app, env, now).await;
        }
        // None may wait for what another request does: it looks again.
        if now.saturating_sub(started) >= TIMEOUT_MS {
            return (app, false);
        }
        Delay::from(POLL).await;
    }
}

async fn refresh(app: Rc<App>, env: &Env, now: u64) -> (Rc<App>, bool) {
    let mut reading = READING.get();
    let may_read = now.saturating_sub(reading.asked_kv_at) >= FRESH_MS;
    reading.asking_since = now;
    if may_read {
        reading.asked_kv_at = now;
    }
    READING.set(reading);
    let mut read = if may_read { within(read_kv(env)).await } else { None };
    if read.is_none() {
        if may_read {
            console_error!("REPLAY: {} can't be read", OVERRIDES_KEY);
        }
        if known::overrides().is_none() {
            read = within(async { Some(ask(env, "overrides", &()).await.ok()?.overrides()) }).await;
        }
    }
    take(app, env, read)
}

/// Takes note of what was read.
fn take(app: Rc<App>, env: &Env, read: Option<Overrides>) -> (Rc<App>, bool) {
    READING.set(Reading { told_at: clock::now_ms(), asking_since: 0, ..READING.get() });
    let has_changed = read.is_some_and(known::set_overrides);
    let is_known = known::overrides().is_some();
    (if has_changed { App::renew(env) } else { app }, is_known)
}

async fn within<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    match select(std::pin::pin!(future), std::pin::pin!(Delay::from(TIMEOUT))).await {
        Either::Left((read, _)) => read,
        Either::Right(((), _)) => None,
    }
}

/// What KV holds; nothing where that can't be read.
async fn read_kv(env: &Env) -> Option<Overrides> {
    let kv = js::binding(env, "REPLAY").ok()?;
    let options = Object::new();
    Reflect::set(&options, &JsValue::from("cacheTtl"), &JsValue::from(CACHE_SECONDS)).ok()?;
    let text = js::call(&kv, "get", &[&JsValue::from(OVERRIDES_KEY), &options]).await.ok()?;
    match text.as_string() {
        Some(text) => Overrides::read(&text),
        None => text.is_null().then(Overrides::default),
    }
}

async fn ask(env: &Env, verb: &str, message: &dyn ToJson) -> worker::Result<Board> {
    SettlerClient::new(env, OVERRIDES_OBJECT)?.board(verb, message).await
}

/// Answers the seller: what holds (`GET`), and a change (`PUT`). `who` asks.
pub(super) async fn answer(
    config: &Config,
    env: &Env,
    request: &Request,
    head: &RequestHead,
    who: &str,
) -> worker::Result<Response> {
    let is_change = head.method() == "PUT";
    if !is_change && !matches!(head.method(), "GET" | "HEAD") {
        let response = respond::error(405, "this answers to GET and PUT")?;
        response.headers().set("Allow", "GET, HEAD, PUT")?;
        return Ok(response);
    }
    let unreachable = || respond::error(503, "what is kept can't be read right now; try again");
    let Ok(board) = ask(env, "overrides", &()).await else { return unreachable() };
    if !is_change {
        let app = accept(env, &board);
        return show(app.loaded.config.as_ref().unwrap_or(config), &board);
    }
    let Ok(Some(body)) = body::read_at_most(request, MAX_CHANGE).await else {
        return respond::error(400, "the body can't be read, or is too long");
    };
    let (change, then) = match board.read_change(config, &body, who) {
        Ok(read) => read,
        Err(message) => return respond::error(400, &message),
    };
    if let Some(problem) = fault_of(&app::settings(env), &then.overrides()) {
        return respond::error(400, &problem);
    }
    match ask(env, "override", &change).await {
        Ok(board) => {
            let app = accept(env, &board);
            show(app.loaded.config.as_ref().unwrap_or(config), &board)
        }
        Err(error) => {
            console_error!("{}", error.to_string());
            respond::error(503, "whether it was changed can't be told; look, and try again")
        }
    }
}

/// What the object says holds here at once.
fn accept(env: &Env, board: &Board) -> Rc<App> {
    take(App::get(env), env, Some(board.overrides())).0
}

fn show(config: &Config, board: &Board) -> worker::Result<Response> {
    let view: Value = board.view(config);
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    respond::respond(200, &headers, Some(&json!(view).to_string()))
}
