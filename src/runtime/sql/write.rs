//! How rows are written: those that belong together all or none.

use worker::SqlStorageValue;

use super::super::js;
use super::ledger::put_sale;
use super::{SqlStore, Write, failed, seconds};
use crate::json::to_text;
use crate::settlement::{PaymentRecord, StoreError};

impl SqlStore {
    pub(super) fn run(
        &self,
        query: &'static str,
        values: Vec<SqlStorageValue>,
    ) -> Result<(), StoreError> {
        self.make(vec![(query, values)])
    }

    /// Makes all of these writes or none, or keeps them.
    pub(super) fn make(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let now: Vec<_> = writes.into_iter().filter_map(|write| self.kept.take(write)).collect();
        if now.is_empty() {
            return Ok(());
        }
        self.flush()?;
        self.exec(&now)
    }

    /// Makes the writes that are kept.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.kept.write(|group| self.exec(group))
    }

    /// Makes all of these writes or none.
    fn exec(&self, writes: &[Write]) -> Result<(), StoreError> {
        let exec = |(query, values): &Write| {
            self.sql.exec(query, values.clone()).map(drop).map_err(failed)
        };
        if let [write] = writes {
            return exec(write);
        }
        // What a statement has done stays done where a later one fails: a payment would
        // be settled, and never be in the ledger.
        self.atomically(|| writes.iter().try_for_each(exec))
    }

    /// Does this; if it fails, what it has written is not written.
    pub(super) fn atomically<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (mut work, mut said) = (Some(work), None);
        let mut once = || {
            said = work.take().map(|work| work());
            matches!(said, Some(Ok(_)))
        };
        let done = js::atomically(&self.storage, &mut once);
        match (said, done) {
            (Some(Err(why)), _) => Err(why),
            (Some(Ok(value)), Ok(true)) => Ok(value),
            (_, why) => Err(StoreError(format!("{why:?}"))),
        }
    }

    /// Writes these records, with the rows of the ledger of those that are sales, and
    /// one thing more.
    pub(super) fn put(
        &self,
        records: &[PaymentRecord],
        also: Option<Write>,
    ) -> Result<(), StoreError> {
        let (mut writes, mut lengths) = (vec![], vec![]);
        for record in records {
            let text = to_text(record);
            lengths.push(text.len());
            writes.push((
                "INSERT OR REPLACE INTO payments (id, keep_until, record) VALUES (?, ?, ?)",
                vec![record.payment.as_str().into(), seconds(record.keep_until()), text.into()],
            ));
            writes.extend(record.sale().map(|sale| put_sale(&sale)));
        }
        writes.extend(also);
        self.make(writes)?;
        for (record, length) in records.iter().zip(lengths) {
            self.recent.put(record.clone(), length);
        }
        Ok(())
    }
}
