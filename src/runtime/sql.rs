//! A Settler's tables, in the `SQLite` storage of its Durable Object.
//!
//! Messages of the object leave only after what was written before them is on
//! disk (Cloudflare's output gates): the journal is ahead of the chain.

mod ledger;
mod sums;
mod write;

use ledger::{put_sale, select_sales};
use worker::wasm_bindgen::JsValue;
use worker::{SqlStorage, SqlStorageValue, Storage, console_error};

use crate::json::{self, FromJson, to_text};
use crate::settlement::journal::{names_at_facilitator, names_beginning_with};
use crate::settlement::kept::Kept;
use crate::settlement::outbox::SalesAfter;
use crate::settlement::recent::Recent;
use crate::settlement::record;
use crate::settlement::store::SUM_DAYS;
use crate::settlement::sums::{Sums, SumsQuery};
use crate::settlement::{Entry, PaymentRecord, Sale, SalesQuery, Store, StoreError};
use crate::time::UnixSeconds;

/// The tables, created when they are missing.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS payments (
        id TEXT PRIMARY KEY,
        keep_until INTEGER NOT NULL,
        record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS payments_by_age ON payments (keep_until);
    CREATE TABLE IF NOT EXISTS journal (
        id TEXT PRIMARY KEY,
        written_at INTEGER NOT NULL,
        entry TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS identifiers (
        id TEXT PRIMARY KEY,
        payment TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS object (
        name TEXT PRIMARY KEY
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS spending (
        day INTEGER PRIMARY KEY,
        amount TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS account_spending (
        account TEXT NOT NULL,
        day INTEGER NOT NULL,
        amount TEXT NOT NULL,
        PRIMARY KEY (account, day)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sales (
        settled_at INTEGER NOT NULL,
        payment TEXT NOT NULL,
        route TEXT,
        payer TEXT NOT NULL,
        transaction_id TEXT NOT NULL,
        sale TEXT NOT NULL,
        PRIMARY KEY (settled_at, payment)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS sales_by_route ON sales (route, settled_at, payment);
    CREATE INDEX IF NOT EXISTS sales_by_payer ON sales (payer, settled_at, payment);
    CREATE INDEX IF NOT EXISTS sales_by_transaction ON sales (transaction_id);
    CREATE TABLE IF NOT EXISTS progress (
        task TEXT PRIMARY KEY,
        place TEXT NOT NULL
    ) WITHOUT ROWID;
";

/// Where a task has got to that is done: behind each payment's identity.
const DONE: &str = "~";

/// The largest number that JavaScript keeps exactly.
const FOREVER: u64 = (1 << 53) - 1;

/// The tables of one Settler.
pub(super) struct SqlStore {
    sql: SqlStorage,
    /// What the tables are in.
    storage: JsValue,
    /// Records that need not be read again. Only this writes them.
    recent: Recent,
    kept: Kept<Write>,
}

/// A statement and its values.
type Write = (&'static str, Vec<SqlStorageValue>);

impl SqlStore {
    fn over(storage: &Storage) -> Self {
        let (recent, kept) = (Recent::default(), Kept::default());
        Self { sql: storage.sql(), storage: storage.as_raw().into(), recent, kept }
    }

    /// Opens the tables.
    pub(super) fn new(storage: &Storage) -> Result<Self, StoreError> {
        let store = Self::over(storage);
        store.run(SCHEMA, vec![])?;
        store.run(sums::SCHEMA, vec![])?;
        Ok(store)
    }

    /// Whether an object has tables: one that has never settled anything has none.
    pub(super) fn exists(storage: &Storage) -> Result<bool, StoreError> {
        let store = Self::over(storage);
        let query = "SELECT name FROM sqlite_master WHERE name = 'payments'";
        Ok(!store.texts(query, vec![])?.is_empty())
    }

    /// The name of the object that these tables belong to. It is kept here,
    /// because an object that its alarm wakes is not told.
    pub(super) fn name(&self, told: Option<String>) -> Result<Option<String>, StoreError> {
        if let Some(name) = told {
            self.run("INSERT OR IGNORE INTO object (name) VALUES (?)", vec![name.as_str().into()])?;
            return Ok(Some(name));
        }
        Ok(self.texts("SELECT name FROM object", vec![])?.into_iter().next())
    }

    /// How far the sales of release 0.1.0 are entered.
    fn old_sales_entered(&self) -> Result<String, StoreError> {
        let query = "SELECT place FROM progress WHERE task = 'old sales'";
        Ok(self.texts(query, vec![])?.into_iter().next().unwrap_or_default())
    }

    /// The amount in the first column of the one row; 0 if there is none.
    fn amount(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<u128, StoreError> {
        let rows = self.texts(query, values)?;
        let Some(amount) = rows.first() else { return Ok(0) };
        amount.parse().map_err(|_| StoreError("what was spent is no number".into()))
    }

    /// The first column of each row.
    fn texts(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<String>, StoreError> {
        self.flush()?;
        let rows = self.sql.exec(query, values).map_err(failed)?;
        rows.raw()
            .map(|row| match row.map_err(failed)?.into_iter().next() {
                Some(SqlStorageValue::String(text)) => Ok(text),
                _ => Err(StoreError("a row without a text".into())),
            })
            .collect()
    }
}

impl Store for SqlStore {
    fn payment(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError> {
        if let Some(record) = self.recent.get(id) {
            return Ok(Some(record));
        }
        let rows = self.texts("SELECT record FROM payments WHERE id = ?", vec![id.into()])?;
        let Some(text) = rows.first() else { return Ok(None) };
        let record: PaymentRecord = read(text)?;
        self.recent.put(record.clone(), text.len());
        Ok(Some(record))
    }

    fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError> {
        self.put(std::slice::from_ref(record), None)
    }

    fn keep_claim(&self, claim: PaymentRecord) {
        self.recent.keep(claim);
    }

    fn keep<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.kept.during(write)
    }

    fn as_one<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.flush()?;
        let done = self.atomically(write);
        if done.is_err() {
            // Records are known as they were to be.
            self.recent.clear();
        }
        done
    }

    fn write_kept(&self) -> Result<(), StoreError> {
        self.flush().and(self.recent.write_unwritten(|claim| self.put_payment(claim)))
    }

    fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    fn unsettled(&self) -> Result<Vec<PaymentRecord>, StoreError> {
        // What is under way without goods may be thousands: it isn't read here. In a
        // text of JSON no other member can look like this one.
        let query = "SELECT record FROM payments WHERE keep_until = ? \
                     AND instr(record, '\"metered\":{') > 0";
        let rows = self.texts(query, vec![seconds(record::FOREVER)])?;
        let records = rows.iter().filter_map(|row| readable::<PaymentRecord>("payments", row));
        Ok(records.filter(|record| record.unsettled().is_some()).collect())
    }

    fn waiting(&self, most: u32) -> Result<Vec<PaymentRecord>, StoreError> {
        let query = "SELECT record FROM payments WHERE keep_until = ? LIMIT ?";
        let rows = self.texts(query, vec![seconds(record::FOREVER), integer(most)])?;
        Ok(rows.iter().filter_map(|row| readable("payments", row)).collect())
    }

    fn delete_payment(&self, id: &str) -> Result<(), StoreError> {
        if self.recent.forget(id) {
            return Ok(());
        }
        self.run("DELETE FROM payments WHERE id = ?", vec![id.into()])
    }

    fn submit(&self, entry: &Entry, records: &[PaymentRecord]) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO journal (id, written_at, entry) VALUES (?, ?, ?)";
        let values =
            vec![entry.id.as_str().into(), seconds(entry.written_at), to_text(entry).into()];
        self.put(records, Some((query, values)))
    }

    fn open_entries(&self) -> Result<Vec<Entry>, StoreError> {
        let query = "SELECT entry FROM journal WHERE id < ? OR id >= ? ORDER BY written_at";
        let (from, to) = names_at_facilitator();
        let rows = self.texts(query, vec![from.into(), to.into()])?;
        Ok(rows.iter().filter_map(|row| readable("journal", row)).collect())
    }

    fn at_facilitator(
        &self,
        after: &str,
        most: u32,
    ) -> Result<Vec<(String, Option<Entry>)>, StoreError> {
        let query = "SELECT id || char(10) || entry FROM journal \
                     WHERE id > ? AND id < ? ORDER BY id LIMIT ?";
        let (from, to) = names_at_facilitator();
        let after = from.as_str().max(after).into();
        let rows = self.texts(query, vec![after, to.into(), integer(most)])?;
        let rows = rows.iter().filter_map(|row| row.split_once('\n'));
        Ok(rows.map(|(id, entry)| (id.to_owned(), readable("journal", entry))).collect())
    }

    fn count_at_facilitator(&self, names: &str, most: u32) -> Result<u32, StoreError> {
        let query = "SELECT CAST(COUNT(*) AS TEXT) FROM \
                     (SELECT 1 FROM journal WHERE id >= ? AND id < ? LIMIT ?)";
        let (from, to) = names_beginning_with(names);
        let count = self.amount(query, vec![from.into(), to.into(), integer(most)])?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn open_entry(&self, id: &str) -> Result<Option<Entry>, StoreError> {
        let rows = self.texts("SELECT entry FROM journal WHERE id = ?", vec![id.into()])?;
        Ok(rows.first().and_then(|row| readable("journal", row)))
    }

    fn close(&self, id: &str, records: &[PaymentRecord]) -> Result<(), StoreError> {
        self.put(records, Some(("DELETE FROM journal WHERE id = ?", vec![id.into()])))
    }

    fn payment_named(&self, identifier: &str) -> Result<Option<String>, StoreError> {
        let query = "SELECT payment FROM identifiers WHERE id = ?";
        Ok(self.texts(query, vec![identifier.into()])?.into_iter().next())
    }

    fn name_payment(&self, identifier: &str, payment: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO identifiers (id, payment) VALUES (?, ?)",
            vec![identifier.into(), payment.into()],
        )
    }

    // 128 bits are more than SQLite's integers hold: a text of digits.
    fn spent_on(&self, day: u64) -> Result<u128, StoreError> {
        let query = "SELECT amount FROM spending WHERE day = ?";
        self.amount(query, vec![seconds(UnixSeconds(day))])
    }

    fn set_spent_on(&self, day: u64, amount: u128) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO spending (day, amount) VALUES (?, ?)",
            vec![seconds(UnixSeconds(day)), amount.to_string().into()],
        )
    }

    fn account_spent_on(&self, account: &str, day: u64) -> Result<u128, StoreError> {
        let query = "SELECT amount FROM account_spending WHERE account = ? AND day = ?";
        self.amount(query, vec![account.into(), seconds(UnixSeconds(day))])
    }

    fn set_account_spent_on(
        &self,
        account: &str,
        day: u64,
        amount: u128,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT OR REPLACE INTO account_spending (account, day, amount) VALUES (?, ?, ?)",
            vec![account.into(), seconds(UnixSeconds(day)), amount.to_string().into()],
        )
    }

    fn sales(&self, query: &SalesQuery) -> Result<Vec<Sale>, StoreError> {
        let (text, values) = select_sales(query);
        self.texts(&text, values)?.iter().map(|sale| read(sale)).collect()
    }

    fn sales_after(&self, asked: &SalesAfter) -> Result<Vec<Sale>, StoreError> {
        let query = "SELECT sale FROM sales WHERE (settled_at, payment) > (?, ?) \
                     AND settled_at < ? ORDER BY settled_at, payment LIMIT ?";
        let SalesAfter { after, before, limit } = asked;
        let payment = after.payment.as_str().into();
        let values = vec![seconds(after.time), payment, seconds(*before), integer(*limit)];
        self.texts(query, values)?.iter().map(|sale| read(sale)).collect()
    }

    fn enter_old_sales(&self, most: u32) -> Result<bool, StoreError> {
        let place = self.old_sales_entered()?;
        if place == DONE {
            return Ok(false);
        }
        let query =
            "SELECT id || char(10) || record FROM payments WHERE id > ? ORDER BY id LIMIT ?";
        let rows = self.texts(query, vec![place.into(), integer(most)])?;
        let rows: Vec<_> = rows.iter().filter_map(|row| row.split_once('\n')).collect();
        for (id, record) in &rows {
            // One that can't be read keeps no other from its row.
            match read::<PaymentRecord>(record) {
                Ok(record) => {
                    record.sale().map_or(Ok(()), |sale| self.make(vec![put_sale(&sale)]))?;
                }
                Err(error) => console_error!("{}: {}", id, error.to_string()),
            }
        }
        let is_last = rows.len() < most as usize;
        let place = rows.last().filter(|_| !is_last).map_or(DONE, |(id, _)| id);
        let query = "INSERT OR REPLACE INTO progress (task, place) VALUES ('old sales', ?)";
        self.run(query, vec![place.into()])?;
        Ok(!is_last)
    }

    fn fold_sales(&self, until: UnixSeconds, least: u32) -> Result<bool, StoreError> {
        self.fold(until, least)
    }

    fn sums(&self, query: &SumsQuery) -> Result<Sums, StoreError> {
        self.sums_of(query)
    }

    fn forget_sales(&self, before: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        self.forget(before)
    }

    fn forget_until(&self, now: UnixSeconds) -> Result<(), StoreError> {
        self.recent.clear();
        self.run("DELETE FROM payments WHERE keep_until < ?", vec![seconds(now)])?;
        self.run("DELETE FROM identifiers WHERE payment NOT IN (SELECT id FROM payments)", vec![])?;
        let first = seconds(UnixSeconds(now.day().saturating_sub(SUM_DAYS)));
        self.run("DELETE FROM account_spending WHERE day < ?", vec![first])
    }
}

/// What is in a row. One that can't be read must not keep the others from being
/// followed; it stays on disk.
fn readable<T: FromJson>(table: &str, row: &str) -> Option<T> {
    read(row).map_err(|error| console_error!("{}: {}", table, error.to_string())).ok()
}

fn integer(number: u32) -> SqlStorageValue {
    SqlStorageValue::Integer(number.into())
}

fn read<T: FromJson>(text: &str) -> Result<T, StoreError> {
    json::from_text(text).map_err(|error| StoreError(error.to_string()))
}

fn seconds(time: UnixSeconds) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(time.0.min(FOREVER)).unwrap_or(i64::MAX))
}

#[allow(clippy::needless_pass_by_value)] // Its only use is in `map_err`.
fn failed(error: worker::Error) -> StoreError {
    StoreError(error.to_string())
}
