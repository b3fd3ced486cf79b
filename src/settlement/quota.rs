//! How much of what is free a client has had: counted in objects of their own,
//! each for a share of all clients, beside the Settlers and never in their way.
//!
//! A unit is taken before the origin is asked, and given back where that came to
//! nothing: so a crowd of one client gets no more than its share. A request that
//! dies in between has had its unit. What can't be counted is not free.

use std::cell::Cell;

use super::StoreError;
use crate::json_struct;
use crate::time::UnixSeconds;

/// How many clients and routes are told apart in a window by one object. Whoever
/// comes when there are so many pays.
pub const MAX_ROWS: u64 = 20_000;

/// How many rows are forgotten at a time.
const FORGOTTEN: u32 = 500;

/// How many objects share the clients: one for each hexadecimal digit.
const NAME: &str = "quota/";

/// The name of the object that counts for a client, whose hash this is (`0x` and
/// hex digits).
pub fn object_of(client: &str) -> String {
    // No network is called so: theirs have a colon.
    format!("{NAME}{}", client.get(2..3).unwrap_or("0"))
}

/// Whether an object of this name counts.
pub fn is_counter(name: &str) -> bool {
    name.starts_with(NAME)
}

/// Asks for one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRequest {
    /// Whose it is, and of which route: a hash.
    pub key: String,
    /// How many are free in a window.
    pub units: u64,
    /// How long the window is.
    pub seconds: u64,
    /// Whether to look, and take nothing.
    pub look_only: bool,
}

/// What was said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaReply {
    /// Whether there was one left.
    pub is_granted: bool,
    /// How many are left after it.
    pub left: u64,
    /// When the window ends.
    pub until: UnixSeconds,
}

/// Gives one unit back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaReturn {
    /// Whose it is.
    pub key: String,
    /// The end of the window that it was taken from.
    pub until: UnixSeconds,
}

json_struct!(QuotaRequest { key, units, seconds, look_only });
json_struct!(QuotaReply { is_granted, left, until });
json_struct!(QuotaReturn { key, until });

/// The table of an object that counts.
pub trait QuotaRows {
    /// How many units a key has had in the window that ends then; `None` if it has
    /// no row.
    ///
    /// # Errors
    /// The table can't be read.
    fn used(&self, key: &str, until: UnixSeconds) -> Result<Option<u64>, StoreError>;
    /// Writes that.
    ///
    /// # Errors
    /// The table can't be written.
    fn set_used(&self, key: &str, until: UnixSeconds, used: u64) -> Result<(), StoreError>;
    /// Forgets so many rows at most whose window has ended; says how many.
    ///
    /// # Errors
    /// The table can't be written.
    fn forget(&self, now: UnixSeconds, most: u32) -> Result<u64, StoreError>;
    /// How many rows there are.
    ///
    /// # Errors
    /// The table can't be read.
    fn count(&self) -> Result<u64, StoreError>;
}

/// Counts what is free.
pub struct Counter<R> {
    rows: R,
    /// How many rows there are, once they were counted.
    count: Cell<Option<u64>>,
}

impl<R: QuotaRows> Counter<R> {
    /// Counts in this table, of which nothing else writes.
    pub const fn new(rows: R) -> Self {
        Self { rows, count: Cell::new(None) }
    }

    /// Takes a unit, if there is one left. Without an await: no two requests
    /// read the same number.
    ///
    /// # Errors
    /// The table fails.
    pub fn take(&self, request: &QuotaRequest, now: UnixSeconds) -> Result<QuotaReply, StoreError> {
        let window = request.seconds.max(1);
        let until = UnixSeconds((now.0 / window).saturating_add(1).saturating_mul(window));
        let rows = self.forget(now)?;
        let had = self.rows.used(&request.key, until)?;
        let used = had.unwrap_or_default();
        let is_new = had.is_none();
        let is_granted = used < request.units && !(is_new && rows >= MAX_ROWS);
        if !is_granted {
            return Ok(QuotaReply { is_granted, left: 0, until });
        }
        if request.look_only {
            return Ok(QuotaReply { is_granted, left: request.units - used, until });
        }
        self.rows.set_used(&request.key, until, used + 1)?;
        self.count.set(Some(rows + u64::from(is_new)));
        Ok(QuotaReply { is_granted, left: request.units - used - 1, until })
    }

    /// Gives a unit back. What was forgotten meanwhile is not had again.
    ///
    /// # Errors
    /// The table fails.
    pub fn give_back(&self, unit: &QuotaReturn) -> Result<(), StoreError> {
        match self.rows.used(&unit.key, unit.until)? {
            Some(used) => self.rows.set_used(&unit.key, unit.until, used.saturating_sub(1)),
            None => Ok(()),
        }
    }

    /// Forgets some of what is over; says how many rows are left.
    ///
    /// # Errors
    /// The table fails.
    pub fn forget(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let before = match self.count.get() {
            Some(count) => count,
            None => self.rows.count()?,
        };
        let left = before.saturating_sub(self.rows.forget(now, FORGOTTEN)?);
        self.count.set(Some(left));
        Ok(left)
    }
}
