//! The table of an object that counts what is free, and what it is asked.

use worker::{Response, SqlStorage, SqlStorageValue, State, Storage, console_error};

use super::alarm::ObjectAlarm;
use super::clock;
use crate::json::{from_text, to_text};
use crate::settlement::StoreError;
use crate::settlement::quota::{Counter, FOREVER, QuotaReturn, QuotaRows, Row, is_counter};
use crate::time::UnixSeconds;

/// Rows of one window lie together, and in it those of one network, so what is over,
/// what is empty and what a network has are found without a search.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS free_units (
        until INTEGER NOT NULL,
        key TEXT NOT NULL,
        used INTEGER NOT NULL,
        taken INTEGER NOT NULL,
        taken_at INTEGER NOT NULL,
        PRIMARY KEY (until, key)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS free_units_empty ON free_units (used) WHERE used = 0;
";

/// How soon, in seconds, the alarm rings again where more is to be forgotten than at once.
const SOON: u64 = 60;

/// An object that counts.
pub(super) struct QuotaObject {
    counter: Counter<Rows>,
    storage: Storage,
    alarm: ObjectAlarm,
}

impl QuotaObject {
    /// The object, if it is one of these: by its name, or, since an alarm tells no
    /// name, by its table.
    pub(super) fn of(state: &State, alarm: &ObjectAlarm) -> Option<Self> {
        let storage = state.storage();
        let rows = Rows(storage.sql());
        let is_one = if let Some(name) = state.id().name() {
            is_counter(&name)
        } else {
            let query = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'free_units'";
            matches!(rows.number(query, vec![]), Ok(Some(1)))
        };
        is_one.then(|| Self { counter: Counter::new(rows), storage, alarm: alarm.clone() })
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
        self.ring_by(reply.until.plus(1)).await?;
        Ok(to_text(&reply))
    }

    /// Has the alarm ring by then.
    async fn ring_by(&self, at: UnixSeconds) -> worker::Result<()> {
        // What is kept for ever is never over.
        if at.0 >= FOREVER {
            return Ok(());
        }
        self.alarm.wake_at(at).await
    }

    fn counter_is_open(&self) -> worker::Result<()> {
        self.storage.sql().exec(SCHEMA, None).map(drop)
    }

    /// Forgets what is over, so that nothing of a client is kept for longer than
    /// it is counted.
    pub(super) async fn alarm(&self) -> worker::Result<()> {
        self.counter_is_open()?;
        let now = clock::now();
        let left = self.counter.forget(now).map_err(|error| error.to_string())?;
        if left > 0 {
            let next = Rows(self.storage.sql())
                .number("SELECT MIN(until) FROM free_units", vec![])
                .map_err(|error| error.to_string())?;
            let next = UnixSeconds(next.unwrap_or_default());
            self.ring_by(next.max(now.plus(SOON))).await?;
        }
        Ok(())
    }
}

/// The table.
struct Rows(SqlStorage);

impl Rows {
    /// The first number of the first row.
    fn number(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Option<u64>, StoreError> {
        let [number, ..] = self.numbers(query, values)?;
        Ok(number)
    }

    /// The first three.
    fn numbers(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<[Option<u64>; 3], StoreError> {
        let rows = self.0.exec(query, values).map_err(failed)?;
        let Some(row) = rows.raw().next() else { return Ok([None; 3]) };
        let mut row = row.map_err(failed)?.into_iter();
        Ok([(); 3].map(|()| match row.next() {
            Some(SqlStorageValue::Integer(number)) => u64::try_from(number).ok(),
            _ => None,
        }))
    }

    /// Deletes rows of which that is true, and so many at most; says how many.
    fn delete(&self, which: &str, values: Vec<SqlStorageValue>) -> Result<u64, StoreError> {
        let query = format!(
            "DELETE FROM free_units WHERE (until, key) IN \
             (SELECT until, key FROM free_units WHERE {which} LIMIT ?) RETURNING 1"
        );
        let rows = self.0.exec(&query, values).map_err(failed)?;
        Ok(rows.raw().flatten().count() as u64)
    }
}

impl QuotaRows for Rows {
    fn row(&self, key: &str, until: UnixSeconds) -> Result<Option<Row>, StoreError> {
        let query = "SELECT used, taken, taken_at FROM free_units WHERE until = ? AND key = ?";
        let said = self.numbers(query, vec![integer(until.0), key.into()])?;
        let [Some(used), Some(taken), Some(at)] = said else { return Ok(None) };
        Ok(Some(Row { used, taken, at: UnixSeconds(at) }))
    }

    fn set(&self, key: &str, until: UnixSeconds, row: Row) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO free_units (until, key, used, taken, taken_at) \
                     VALUES (?, ?, ?, ?, ?)";
        let [used, taken, at] = [row.used, row.taken, row.at.0].map(integer);
        let values = vec![integer(until.0), key.into(), used, taken, at];
        self.0.exec(query, values).map(drop).map_err(failed)
    }

    fn count_in(&self, network: &str, until: UnixSeconds) -> Result<u64, StoreError> {
        // A slash comes before a zero.
        let query = "SELECT COUNT(*) FROM free_units \
                     WHERE until = ? AND key >= ? || '/' AND key < ? || '0'";
        let values = vec![integer(until.0), network.into(), network.into()];
        self.number(query, values).map(Option::unwrap_or_default)
    }

    fn forget_empty(&self, most: u32) -> Result<u64, StoreError> {
        self.delete("used = 0", vec![integer(most.into())])
    }

    fn forget_old(&self, until: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        self.delete("taken_at <= ?", vec![integer(until.0), integer(most.into())])
    }

    fn oldest(&self) -> Result<Option<UnixSeconds>, StoreError> {
        let oldest = self.number("SELECT MIN(taken_at) FROM free_units", vec![])?;
        Ok(oldest.map(UnixSeconds))
    }

    fn forget(&self, now: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        self.delete("until <= ?", vec![integer(now.0), integer(most.into())])
    }

    fn count(&self) -> Result<u64, StoreError> {
        self.number("SELECT COUNT(*) FROM free_units", vec![]).map(Option::unwrap_or_default)
    }
}

fn integer(number: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

#[allow(clippy::needless_pass_by_value)] // Its only use is in `map_err`.
fn failed(error: worker::Error) -> StoreError {
    StoreError(error.to_string())
}
