//! The sessions that are open, in the `SQLite` storage of a Durable Object of their
//! own: one place in the world, so that whoever signs out is out everywhere.

use worker::{SqlStorageValue, Storage, console_error};

use super::super::clock;
use crate::desk::session::{MAX_SESSIONS, SESSION_SECONDS, Session};
use crate::json;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY,
        token TEXT NOT NULL,
        until INTEGER NOT NULL
    )";

/// What is said to one of the verbs `session-open`, `session-find` and
/// `session-end`: whether it is, or was, open. `None`: it is another verb.
pub(in crate::runtime) fn answer(
    storage: &Storage,
    verb: &str,
    message: &str,
) -> Option<worker::Result<bool>> {
    let verb = verb.strip_prefix("session-")?;
    let said = run(storage, verb, message);
    Some(said.inspect_err(|error| console_error!("sessions: {}", error.to_string())))
}

fn run(storage: &Storage, verb: &str, message: &str) -> worker::Result<bool> {
    let session: Session = json::from_text(message).map_err(|error| error.to_string())?;
    let sql = storage.sql();
    sql.exec(SCHEMA, None)?;
    let (id, token) = (SqlStorageValue::from(session.id), SqlStorageValue::from(session.token));
    let now = clock::now();
    let at = |seconds: u64| SqlStorageValue::Integer(i64::try_from(seconds).unwrap_or(i64::MAX));
    if verb == "open" {
        let until = at(now.plus(SESSION_SECONDS).0);
        sql.exec("DELETE FROM sessions WHERE until <= ?", vec![at(now.0)])?;
        sql.exec(
            "INSERT INTO sessions (id, token, until) VALUES (?, ?, ?)",
            vec![id, token, until],
        )?;
        let oldest = "DELETE FROM sessions WHERE id NOT IN \
                      (SELECT id FROM sessions ORDER BY rowid DESC LIMIT ?)";
        sql.exec(oldest, vec![SqlStorageValue::Integer(MAX_SESSIONS)])?;
        return Ok(true);
    }
    if verb == "end" {
        sql.exec("DELETE FROM sessions WHERE id = ? AND token = ?", vec![id, token])?;
        return Ok(true);
    }
    let open = "SELECT 1 FROM sessions WHERE id = ? AND token = ? AND until > ?";
    let rows = sql.exec(open, vec![id, token, at(now.0)])?;
    Ok(rows.raw().next().is_some())
}
