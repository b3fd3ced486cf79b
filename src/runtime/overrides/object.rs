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

/// How long KV is waited for.
const TIMEOUT: Duration = Duration::from_secs(8);

thread_local! {
    /// Whether somebody writes to KV at this moment.
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Whether an object is asked as the one that keeps what the desk has changed.
pub(in crate::runtime) fn is_asked_for(verb: &str) -> bool {
    matches!(verb, "overrides" | "override")
}

/// What it answers.
pub(in crate::runtime) async fn answer(
    state: &State,
    env: &Env,
    verb: &str,
    message: &str,
) -> Result<Board, StoreError> {
    if verb == "overrides" {
        return board(state);
    }
    let change = json::from_text(message).map_err(|error| StoreError(error.to_string()))?;
    make(state, env, change).await
}

/// What is kept.
fn board(state: &State) -> Result<Board, StoreError> {
    match Kept::new(&state.storage())?.get(BOARD)? {
        None => Ok(Board::default()),
        Some(text) => json::from_text(&text).map_err(|error| StoreError(error.to_string())),
    }
}

/// Makes a change, and lets every edge know. Says what holds now.
async fn make(state: &State, env: &Env, change: Change) -> Result<Board, StoreError> {
    let mut board = board(state)?;
    board.make(change, clock::now()).map_err(|NoRoom| StoreError("no room".into()))?;
    Kept::new(&state.storage())?.put(BOARD, &json::to_text(&board))?;
    // If the process dies from here on, the alarm writes it.
    if let Err(error) = state.storage().set_alarm(Duration::from_secs(AGAIN_SECONDS)).await {
        console_error!("alarm: {}", error.to_string());
    }
    // What the seller has asked for is kept, and will be written.
    publish(state, env).await;
    Ok(board)
}

/// Writes to KV what is kept, until it is the same. One at a time: of two writes at
/// once the older might be the last.
pub(in crate::runtime) async fn publish(state: &State, env: &Env) {
    if IS_WRITING.replace(true) {
        return;
    }
    let write = pin!(write(state, env));
    let written = match select(write, pin!(Delay::from(TIMEOUT))).await {
        Either::Left((written, _)) => written,
        Either::Right(((), _)) => Err(StoreError("takes too long".into())),
    };
    IS_WRITING.set(false);
    let storage = state.storage();
    let alarm = match &written {
        Ok(()) => storage.delete_alarm().await,
        Err(error) => {
            console_error!("REPLAY: {}: {}", OVERRIDES_KEY, error.0.as_str());
            storage.set_alarm(Duration::from_secs(AGAIN_SECONDS)).await
        }
    };
    if let Err(error) = alarm {
        console_error!("alarm: {}", error.to_string());
    }
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
            return Ok(());
        }
    }
}
