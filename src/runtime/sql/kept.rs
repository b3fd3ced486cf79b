//! Writes that are kept in memory until others have gone out that need not wait for them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use worker::{SqlStorage, SqlStorageValue};

use super::failed;
use crate::settlement::StoreError;

/// Writes that are to be made, in their order, and whether what is written now is kept.
#[derive(Default)]
pub(super) struct Kept {
    writes: RefCell<VecDeque<(&'static str, Vec<SqlStorageValue>)>>,
    is_on: Cell<bool>,
}

impl Kept {
    /// Keeps what this writes.
    pub(super) fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        self.is_on.set(true);
        let written = write();
        self.is_on.set(false);
        written
    }

    /// Keeps a write, or gives back the values of one that is to be made now.
    pub(super) fn take(
        &self,
        query: &'static str,
        values: Vec<SqlStorageValue>,
    ) -> Option<Vec<SqlStorageValue>> {
        if !self.is_on.get() {
            return Some(values);
        }
        self.writes.borrow_mut().push_back((query, values));
        None
    }

    /// Makes the writes that are kept, before anything else is written or read. What
    /// the disk doesn't take stays kept, with what comes after it.
    pub(super) fn write(&self, sql: &SqlStorage) -> Result<(), StoreError> {
        let mut writes = self.writes.borrow_mut();
        while let Some((query, values)) = writes.front() {
            sql.exec(query, values.clone()).map_err(failed)?;
            writes.pop_front();
        }
        Ok(())
    }
}
