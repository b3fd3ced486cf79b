//! What the desk has changed of the routes: read at the edge, and changed.
//!
//! Every isolate asks the object that keeps it all before it sells anything, and from
//! then on reads KV, twice a minute at most and only where something that is sold or
//! listed is asked for: KV may be behind, and what is older than what is known is passed
//! over. Where the one can't be read, the other is asked. Where that fails too, what is
//! known goes on to hold, and an isolate that knows nothing sells nothing: what is off
//! must not be sold because something failed.

pub(super) mod object;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::{Object, Reflect};
use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Request, Response};
use worker::{Context, Delay, Env, console_error};

use super::app::{self, App};
use super::head::RequestHead;
use super::settler_client::SettlerClient;
use super::{body, clock, discovery, facilitator, js, known, respond};
use crate::config::{Config, Overrides, fault_of};
use crate::desk::overrides::{Board, MAX_CHANGE, OVERRIDES_KEY, OVERRIDES_OBJECT};
use crate::desk::reading::{ASKING_MS, CACHE_SECONDS, Reading, Source, Step};
use crate::facilitator::Endpoint;
use crate::gate::{self, Head as _};
use crate::json::ToJson;

/// How long KV or the object is waited for: both together for less than
/// [`ASKING_MS`].
const TIMEOUT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

thread_local! {
    static READING: Cell<Reading> = const { Cell::new(Reading::NONE) };
}

/// The configuration with what the desk has changed, for a request that needs it;
/// else the answer that nothing can be sold.
pub(super) async fn in_force(
    app: Rc<App>,
    env: &Env,
    context: &Context,
    head: &RequestHead,
) -> Result<Rc<App>, worker::Result<Response>> {
    // Without a desk nobody can have changed anything.
    if !app.loaded.config.as_ref().is_ok_and(|config| config.desk.is_open()) {
        return Ok(app);
    }
    let is_listing = discovery::is_asked_for(head)
        || matches!(facilitator::asked_for(&app, head), Some(Endpoint::Resources))
        || gate::machines::asked_for(&app.loaded, head).is_some();
    if !is_listing && !gate::asks_for_sold(&app.loaded, head) {
        return Ok(app);
    }
    let (app, is_known) = up_to_date(app, env, context).await;
    if is_known || is_listing { Ok(app) } else { Err(unknown()) }
}

fn unknown() -> worker::Result<Response> {
    respond::try_again("what is sold here can't be told right now; nothing was charged")
}

/// The configuration with what is known now, and whether anything is.
async fn up_to_date(app: Rc<App>, env: &Env, context: &Context) -> (Rc<App>, bool) {
    let started = clock::now_ms();
    loop {
        let (now, is_known) = (clock::now_ms(), known::has_overrides());
        let mut reading = READING.get();
        let step = reading.step(now, is_known);
        READING.set(reading);
        match step {
            // Whoever asked may have read the configuration anew.
            Step::GoOn => return (App::get(env), is_known),
            Step::Ask(sources) => {
                let env = env.clone();
                let (tell, told) = oneshot::channel();
                // It goes on when the client has hung up: a question that is
                // dropped would leave the isolate with what it knew.
                context.wait_until(js::in_a_box(async move {
                    let _ = tell.send(refresh(&env, sources).await);
                }));
                return told.await.unwrap_or((app, is_known));
            }
            // None may wait for what another request does: it looks again.
            Step::Wait if now.saturating_sub(started) >= ASKING_MS => return (app, false),
            Step::Wait => Delay::from(POLL).await,
        }
    }
}

/// Asks these, one after the other.
async fn refresh(env: &Env, sources: &[Source]) -> (Rc<App>, bool) {
    let mut read = None;
    for source in sources {
        read = within(async {
            match source {
                Source::Kv => read_kv(env).await,
                Source::Object => Some(ask(env, "overrides", &()).await.ok()?.overrides()),
            }
        })
        .await;
        if read.is_some() {
            break;
        }
        console_error!("{}: {:?} can't be read", OVERRIDES_KEY, source);
    }
    take(env, read)
}

/// Takes note of what was read, or that nothing could be.
fn take(env: &Env, read: Option<Overrides>) -> (Rc<App>, bool) {
    let (now, mut reading) = (clock::now_ms(), READING.get());
    if read.is_some() {
        reading.told(now);
    } else {
        reading.failed(now);
    }
    READING.set(reading);
    let has_changed = read.is_some_and(known::set_overrides);
    (if has_changed { App::renew(env) } else { App::get(env) }, known::has_overrides())
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
        return show(app.loaded.config.as_ref().unwrap_or(config), &board, 200);
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
            // Kept, and written again by the object's alarm.
            let status = if board.is_published() { 200 } else { 202 };
            show(app.loaded.config.as_ref().unwrap_or(config), &board, status)
        }
        Err(error) => {
            console_error!("{}", error.to_string());
            respond::error(503, "whether it was changed can't be told; look, and try again")
        }
    }
}

/// What the object says holds here at once.
fn accept(env: &Env, board: &Board) -> Rc<App> {
    take(env, Some(board.overrides())).0
}

fn show(config: &Config, board: &Board, status: u16) -> worker::Result<Response> {
    let view: Value = board.view(config);
    respond::private(status, &view.to_string())
}
