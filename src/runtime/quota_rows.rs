//! The table of an object that counts what is free, and what it is asked.

use std::cell::Cell;
use std::time::Duration;

use worker::{Response, SqlStorage, SqlStorageValue, State, Storage, console_error};

use super::clock;
use crate::json::{from_text, to_text};
use crate::settlement::StoreError;
use crate::settlement::quota::{Counter, QuotaReturn, QuotaRows, is_counter};
use crate::time::UnixSeconds;

/// Rows of one window lie together, so what is over is found without a search.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS quotas (
        until INTEGER NOT NULL,
        key TEXT NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (until, key)
    ) WITHOUT ROWID;
";

/// How soon the alarm rings again where more is to be forgotten than at once.
const SOON: Duration = Duration::from_mins(1);

/// An object that counts.
pub(super) struct QuotaObject {
    counter: Counter<Rows>,
    storage: Storage,
    /// Whether the alarm was set in this life.
    has_alarm: Cell<bool>,
}

impl QuotaObject {
    /// The object, if it is one of these: by its name, or, since an alarm tells no
    /// name, by its table.
    pub(super) fn of(state: &State) -> Option<Self> {
        let storage = state.storage();
        let rows = Rows(storage.sql());
        let is_one = if let Some(name) = state.id().name() {
            is_counter(&name)
        } else {
            let query = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'quotas'";
            matches!(rows.number(query, vec![]), Ok(Some(1)))
        };
        is_one.then(|| Self { counter: Counter::new(rows), storage, has_alarm: Cell::new(false) })
    }

    /// Answers a message.
    pub(super) async fn answer(&self, verb: &str, body: &str) -> worker::Result<Response> {
        match self.said(verb, body).await {
            Ok(text) => Response::ok(text),
            Err(error) => {
                console_error!("quota: {}", error.to_string());
                Response::error(error.to_string(), 500)
            }
        }
    }

    async fn said(&self, verb: &str, body: &str) -> worker::Result<String> {
        let unreadable = |_| worker::Error::from("not what is asked here");
        self.counter_is_open()?;
        if verb == "give-back" {
            let unit: QuotaReturn = from_text(body).map_err(unreadable)?;
            self.counter.give_back(&unit).map_err(|error| error.to_string())?;
            return Ok("null".to_owned());
        }
        let asked = from_text(body).map_err(unreadable)?;
        let now = clock::now();
        let reply = self.counter.take(&asked, now).map_err(|error| error.to_string())?;
        if !self.has_alarm.replace(true) {
            self.storage.set_alarm(Duration::from_secs(reply.until.since(now) + 1)).await?;
        }
        Ok(to_text(&reply))
    }

    fn counter_is_open(&self) -> worker::Result<()> {
        self.storage.sql().exec(SCHEMA, None).map(drop)
    }

    /// Forgets what is over, so that nothing of a client is kept for longer than
    /// it is counted.
    pub(super) async fn alarm(&self) -> worker::Result<()> {
        self.counter_is_open()?;
        self.has_alarm.set(false);
        let now = clock::now();
        let left = self.counter.forget(now).map_err(|error| error.to_string())?;
        if left > 0 {
            let next = Rows(self.storage.sql())
                .number("SELECT MIN(until) FROM quotas", vec![])
                .map_err(|error| error.to_string())?;
            let wait = UnixSeconds(next.unwrap_or_default()).since(now);
            self.has_alarm.set(true);
            self.storage.set_alarm(Duration::from_secs(wait).max(SOON)).await?;
        }
        Ok(())
    }
}

/// The table.
struct Rows(SqlStorage);

impl Rows {
    /// The first number of the first row.
    fn number(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Option<u64>, StoreError> {
        let rows = self.0.exec(query, values).map_err(failed)?;
        let Some(row) = rows.raw().next() else { return Ok(None) };
        match row.map_err(failed)?.into_iter().next() {
            Some(SqlStorageValue::Integer(number)) => Ok(u64::try_from(number).ok()),
            _ => Ok(None),
        }
    }
}

impl QuotaRows for Rows {
    fn used(&self, key: &str, until: UnixSeconds) -> Result<Option<u64>, StoreError> {
        let query = "SELECT used FROM quotas WHERE until = ? AND key = ?";
        self.number(query, vec![integer(until.0), key.into()])
    }

    fn set_used(&self, key: &str, until: UnixSeconds, used: u64) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO quotas (until, key, used) VALUES (?, ?, ?)";
        let values = vec![integer(until.0), key.into(), integer(used)];
        self.0.exec(query, values).map(drop).map_err(failed)
    }

    fn forget(&self, now: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        let query = "DELETE FROM quotas WHERE (until, key) IN \
                     (SELECT until, key FROM quotas WHERE until <= ? LIMIT ?) RETURNING 1";
        let values = vec![integer(now.0), integer(most.into())];
        let rows = self.0.exec(query, values).map_err(failed)?;
        Ok(rows.raw().flatten().count() as u64)
    }

    fn count(&self) -> Result<u64, StoreError> {
        self.number("SELECT COUNT(*) FROM quotas", vec![]).map(Option::unwrap_or_default)
    }
}

fn integer(number: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

#[allow(clippy::needless_pass_by_value)] // Its only use is in `map_err`.
fn failed(error: worker::Error) -> StoreError {
    StoreError(error.to_string())
}
