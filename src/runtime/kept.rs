//! Texts that a Durable Object keeps by their names: what is not about payments.

use worker::{SqlStorage, SqlStorageValue, Storage};

use crate::settlement::StoreError;

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID";

/// The texts of one object.
pub(super) struct Kept(SqlStorage);

impl Kept {
    /// Opens the table.
    pub(super) fn new(storage: &Storage) -> Result<Self, StoreError> {
        let kept = Self(storage.sql());
        kept.0.exec(SCHEMA, None).map_err(failed)?;
        Ok(kept)
    }

    /// The text of this name.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, StoreError> {
        let query = "SELECT text FROM kept WHERE name = ?";
        let rows = self.0.exec(query, vec![name.into()]).map_err(failed)?;
        match rows.raw().next() {
            None => Ok(None),
            Some(row) => match row.map_err(failed)?.into_iter().next() {
                Some(SqlStorageValue::String(text)) => Ok(Some(text)),
                _ => Err(StoreError("a row without a text".into())),
            },
        }
    }

    /// Keeps a text in place of the one of this name.
    pub(super) fn put(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO kept (name, text) VALUES (?, ?)";
        self.0.exec(query, vec![name.into(), text.into()]).map(drop).map_err(failed)
    }
}

#[allow(clippy::needless_pass_by_value)] // Its only use is in `map_err`.
fn failed(error: worker::Error) -> StoreError {
    StoreError(error.to_string())
}
