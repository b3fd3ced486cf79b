//! The Durable Object that keeps what the desk has changed, and writes it to KV.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::wasm_bindgen::JsValue;
use worker::{Delay, Env, State, console_error};

use super::super::kept::Kept;
use super::super::{clock, js};
use crate::desk::overrides::{Board, Change, NoRoom, OVERRIDES_KEY};
use crate::json;
use crate::settlement::StoreError;

/// Under which name the object keeps it.
const BOARD: &str = "overrides";

/// How soon KV is written again that took nothing, in seconds.
const AGAIN_SECONDS: u64 = 10;

/// How long after a write KV is asked whether it holds that, in seconds: longer than
/// a location keeps what it has said. A former write that took too long may have come
/// after it.
const LOOK_SECONDS: u64 = 40;

/// How long KV is waited for.
const TIMEOUT: Duration = Duration::from_secs(8);

/// After so long, in milliseconds, whoever writes is taken for dead.
const DEAD_MS: u64 = 9_000;

/// Whether an object is asked as the one that keeps what the desk has changed.
pub(in crate::runtime) fn is_asked_for(verb: &str) -> bool {
    matches!(verb, "overrides" | "override")
}

/// What it answers.
pub(in crate::runtime) async fn answer(
    state: &State,
    env: &Env,
    writing_since: &Cell<u64>,
    (verb, message): (&str, &str),
) -> Result<Board, StoreError> {
    if verb == "overrides" {
        return board(state);
    }
    let change = json::from_text(message).map_err(|error| StoreError(error.to_string()))?;
    make(state, env, writing_since, change).await
}

/// What is kept.
fn board(state: &State) -> Result<Board, StoreError> {
    match Kept::new(&state.storage())?.get(BOARD)? {
        None => Ok(Board::default()),
        Some(text) => json::from_text(&text).map_err(|error| StoreError(error.to_string())),
    }
}

/// Makes a change, and lets every edge know. Says what holds now.
async fn make(
    state: &State,
    env: &Env,
    writing_since: &Cell<u64>,
    change: Change,
) -> Result<Board, StoreError> {
    let mut made = board(state)?;
    made.make(change, clock::now()).map_err(|NoRoom| StoreError("no room".into()))?;
    keep(state, &made)?;
    // What the seller has asked for is kept, and will be written.
    publish(state, env, writing_since).await;
    board(state)
}

fn keep(state: &State, board: &Board) -> Result<(), StoreError> {
    Kept::new(&state.storage())?.put(BOARD, &json::to_text(board))
}

/// What the alarm does: writes to KV what is kept, unless KV says that it holds it.
pub(in crate::runtime) async fn ring(state: &State, env: &Env, writing_since: &Cell<u64>) {
    // If the process dies from here on, the alarm rings again.
    wake_in(state, AGAIN_SECONDS).await;
    let read = within(async {
        super::read_kv(env).await.ok_or_else(|| StoreError("can't be read".into()))
    });
    let is_there = match (read.await, board(state)) {
        (Ok(read), Ok(board)) => read == board.overrides(),
        _ => false,
    };
    if !is_there {
        return publish(state, env, writing_since).await;
    }
    // Nothing has been waited for since it was compared.
    if let Err(error) = note_published(state) {
        console_error!("{}", error.0.as_str());
    } else if let Err(error) = state.storage().delete_alarm().await {
        console_error!("alarm: {}", error.to_string());
    }
}

/// Writes to KV what is kept, until it is the same, and looks later whether it is
/// there. One at a time in an object: of two writes at once the older might be the
/// last. `writing_since` says since when somebody writes, in milliseconds.
async fn publish(state: &State, env: &Env, writing_since: &Cell<u64>) {
    // If the process dies from here on, or somebody else writes, the alarm rings.
    wake_in(state, AGAIN_SECONDS).await;
    let now = clock::now_ms();
    if now.saturating_sub(writing_since.get()) < DEAD_MS {
        return;
    }
    writing_since.set(now);
    let written = within(write(state, env)).await;
    writing_since.set(0);
    match written {
        Ok(()) => wake_in(state, LOOK_SECONDS).await,
        Err(error) => console_error!("REPLAY: {}: {}", OVERRIDES_KEY, error.0.as_str()),
    }
}

async fn wake_in(state: &State, seconds: u64) {
    if let Err(error) = state.storage().set_alarm(Duration::from_secs(seconds)).await {
        console_error!("alarm: {}", error.to_string());
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match select(pin!(work), pin!(Delay::from(TIMEOUT))).await {
        Either::Left((done, _)) => done,
        Either::Right(((), _)) => Err(StoreError("takes too long".into())),
    }
}

fn note_published(state: &State) -> Result<(), StoreError> {
    let mut board = board(state)?;
    board.published = board.changes;
    keep(state, &board)
}

async fn write(state: &State, env: &Env) -> Result<(), StoreError> {
    loop {
        let text = board(state)?.overrides().to_text();
        let put = async {
            let kv = js::binding(env, "REPLAY").map_err(JsValue::from)?;
            let (key, value) = (JsValue::from(OVERRIDES_KEY), JsValue::from(text.as_str()));
            js::call(&kv, "put", &[&key, &value]).await
        };
        put.await.map_err(|error| StoreError(format!("{error:?}")))?;
        if board(state)?.overrides().to_text() == text {
            return note_published(state);
        }
    }
}
