//! Counts of refused payments, on their way to the object that keeps them, and in
//! it: nothing that an answer waits for.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use worker::{Context, Delay, Env, Response, SqlStorage, SqlStorageValue, State, console_error};

use super::app::App;
use super::settler_client::SettlerClient;
use super::{clock, js};
use crate::desk::refusals::{Next, REFUSALS_NAME, Tally, add_counts, read_counts, read_rows};
use crate::desk::sums::Refused;
use crate::desk::webhooks::WEBHOOKS_OBJECT;
use crate::json::{self, member};
use crate::protocol::Reason;
use crate::settlement::sums::KEEP_DAYS;

thread_local! {
    static TALLY: RefCell<Tally> = RefCell::default();
}

/// Counts a refusal, if the seller has a desk to see it on.
pub(super) fn count(app: &App, env: &Env, context: &Context, reason: Reason) {
    let is_open = app.loaded.config.as_ref().is_ok_and(|config| config.desk.is_open());
    if !is_open {
        return;
    }
    let now = clock::now();
    let next = TALLY.with_borrow_mut(|it| it.count(reason, now.day(), clock::now_ms()));
    let Next::Stay(wait_ms) = next else { return };
    // The object is asked for now: what is bound to this request lives as long.
    let client = SettlerClient::new(env, REFUSALS_NAME);
    let has_hook =
        app.loaded.config.as_ref().is_ok_and(|config| {
            config.webhooks.iter().any(|hook| hook.events.contains(&"refused"))
        });
    let herald = has_hook.then(|| SettlerClient::new(env, WEBHOOKS_OBJECT));
    context.wait_until(js::in_a_box(async move {
        if wait_ms > 0 {
            Delay::from(Duration::from_millis(wait_ms)).await;
        }
        let counts = TALLY.with_borrow_mut(|it| it.take(clock::now_ms()));
        let sent = match client {
            Ok(client) => client.count_refusals(&counts).await,
            Err(error) => Err(error),
        };
        let told = match (sent, herald) {
            (Ok(()), Some(Ok(herald))) => herald.nudge().await,
            (Ok(()), _) => Ok(()),
            (Err(error), _) => {
                TALLY.with_borrow_mut(|it| it.put_back(&counts, clock::now().day()));
                Err(error)
            }
        };
        if let Err(error) = told {
            console_error!("counts of refusals: {}", error.to_string());
        }
    }));
}

/// How many payments were refused on some days.
pub(super) async fn between(env: &Env, from: u64, to: u64) -> worker::Result<Vec<Refused>> {
    let client = SettlerClient::new(env, REFUSALS_NAME)?;
    Ok(read_rows(&client.refusals(from, to).await?))
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS refusals (
        day INTEGER PRIMARY KEY,
        counts TEXT NOT NULL
    );
";

/// Answers in the object that keeps the counts.
pub(super) fn answer(state: &State, verb: &str, body: &str) -> worker::Result<Response> {
    let sql = state.storage().sql();
    sql.exec(SCHEMA, None)?;
    let message = json::parse(body).map_err(|error| error.to_string())?;
    if verb == "refused" {
        note(&sql, &message)?;
        return Response::ok("null");
    }
    let day = |name| member::<u64>(&message, name).unwrap_or(0);
    let query = "SELECT json_array(day, json(counts)) FROM refusals WHERE day >= ? AND day <= ?";
    let rows = texts(&sql, query, vec![number(day("from")), number(day("to"))])?;
    Response::ok(format!("[{}]", rows.join(",")))
}

/// Adds counts to the rows of their days, and forgets those of ten years ago.
fn note(sql: &SqlStorage, message: &Value) -> worker::Result<()> {
    let today = clock::now().day();
    for (day, counts) in read_counts(message, today) {
        let known = texts(sql, "SELECT counts FROM refusals WHERE day = ?", vec![number(day)])?;
        let known = known.first().and_then(|text| json::parse(text).ok()).unwrap_or_default();
        let values = vec![number(day), add_counts(&known, &counts).into()];
        sql.exec("INSERT OR REPLACE INTO refusals (day, counts) VALUES (?, ?)", values)?;
    }
    let oldest = number(today.saturating_sub(KEEP_DAYS));
    sql.exec("DELETE FROM refusals WHERE day < ?", vec![oldest])?;
    Ok(())
}

fn number(number: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn texts(
    sql: &SqlStorage,
    query: &str,
    values: Vec<SqlStorageValue>,
) -> worker::Result<Vec<String>> {
    let rows = sql.exec(query, values)?.raw();
    rows.map(|row| match row?.into_iter().next() {
        Some(SqlStorageValue::String(text)) => Ok(text),
        _ => Err("a row without a text".into()),
    })
    .collect()
}
