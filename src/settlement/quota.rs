//! How much of what is free a client has had: counted in objects of their own,
//! each for a share of all clients, beside the Settlers and never in their way.
//!
//! A unit is taken before the origin is asked, and given back where that came to
//! nothing: so a crowd of one client gets no more than its share. A request that
//! dies in between has had its unit. What can't be counted is not free.
//!
//! Addresses cost little: a network that has many gets only so many rows, and a row
//! of which nothing was had gives way where there is no room, and one that is older
//! than any window that ends. No other does, else whoever fills the table would have
//! everything again.

use std::cell::Cell;
use std::future::Future;

use futures_util::future::{Either, select};

use super::StoreError;
use crate::json_struct;
use crate::time::UnixSeconds;

/// How many clients and routes are told apart in a window by one object. Whoever
/// comes when there are so many pays.
pub const MAX_ROWS: u64 = 20_000;

/// How many of them one network has: a /24 of IPv4, a /48 of IPv6.
pub const MAX_IN_NETWORK: u64 = 64;

/// How often a unit is taken, or looked for, in a window, for each one that is
/// free: what is given back has cost the origin its work all the same.
const TAKEN_FOR_EACH: u64 = 5;

/// How many rows are forgotten at a time.
const FORGOTTEN: u32 = 500;

/// The length of a window that doesn't end, in seconds: what is counted in it is
/// kept, at least for [`KEPT`].
pub const FOREVER: u64 = 1 << 40;

/// For how long a row gives no room to a new one, in seconds, since a unit of it was
/// taken: 90 days.
pub const KEPT: u64 = 90 * 86_400;

/// How many objects share the clients: one for each hexadecimal digit.
const NAME: &str = "quota/";

/// The name of the object that counts for a client, whose hash this is (`0x` and
/// hex digits).
pub fn object_of(client: &str) -> String {
    // No network is called so: theirs have a colon.
    format!("{NAME}{}", client.get(2..3).unwrap_or("0"))
}

/// The same for a wallet: those of addresses are others, so that neither takes the
/// other's places.
pub fn object_of_wallet(wallet: &str) -> String {
    format!("{NAME}wallet/{}", wallet.get(2..3).unwrap_or("0"))
}

/// Whether an object of this name counts.
pub fn is_counter(name: &str) -> bool {
    name.starts_with(NAME)
}

/// Asks for one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRequest {
    /// Whose it is, and of which route: the network's code, a slash and the
    /// client's.
    pub key: String,
    /// How many are free in a window.
    pub units: u64,
    /// How long the window is.
    pub seconds: u64,
    /// Whether to look, and take nothing: as if it were given back at once.
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

/// What a key has had in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How many units it has.
    pub used: u64,
    /// How many it has taken or looked for, with those that it gave back.
    pub taken: u64,
    /// When the last of them was.
    pub at: UnixSeconds,
}

/// The network that a key is of.
pub fn network_of_key(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// The table of an object that counts.
pub trait QuotaRows {
    /// What a key has had in the window that ends then, if anything.
    ///
    /// # Errors
    /// The table can't be read.
    fn row(&self, key: &str, until: UnixSeconds) -> Result<Option<Row>, StoreError>;
    /// Writes that.
    ///
    /// # Errors
    /// The table can't be written.
    fn set(&self, key: &str, until: UnixSeconds, row: Row) -> Result<(), StoreError>;
    /// How many rows a network has in that window.
    ///
    /// # Errors
    /// The table can't be read.
    fn count_in(&self, network: &str, until: UnixSeconds) -> Result<u64, StoreError>;
    /// Forgets so many rows at most that have no unit; says how many.
    ///
    /// # Errors
    /// The table can't be written.
    fn forget_empty(&self, most: u32) -> Result<u64, StoreError>;
    /// Forgets so many rows at most of which nothing was taken after this; says how many.
    ///
    /// # Errors
    /// The table can't be written.
    fn forget_old(&self, until: UnixSeconds, most: u32) -> Result<u64, StoreError>;
    /// When a unit was last taken of the row of which that is the longest ago.
    fn oldest(&self) -> Result<Option<UnixSeconds>, StoreError>;
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

impl QuotaRequest {
    /// What is to be given back of what was said too late.
    #[must_use]
    pub fn too_late(self, reply: &QuotaReply) -> Option<QuotaReturn> {
        let is_taken = reply.is_granted && !self.look_only;
        is_taken.then_some(QuotaReturn { key: self.key, until: reply.until })
    }
}

/// What is said to a question before the time is over.
///
/// # Errors
/// It is over: the question, which goes on.
pub async fn in_time<A, T>(asking: A, time: T) -> Result<A::Output, A>
where
    A: Future + Unpin,
    T: Future + Unpin,
{
    match select(asking, time).await {
        Either::Left((said, _)) => Ok(said),
        Either::Right((_, asking)) => Err(asking),
    }
}

/// Counts what is free.
pub struct Counter<R> {
    rows: R,
    /// How many rows there are, once they were counted.
    count: Cell<Option<u64>>,
    /// Until when no row is old: all are read to find one.
    none_old_until: Cell<UnixSeconds>,
}

impl<R: QuotaRows> Counter<R> {
    /// Counts in this table, of which nothing else writes.
    pub const fn new(rows: R) -> Self {
        Self { rows, count: Cell::new(None), none_old_until: Cell::new(UnixSeconds(0)) }
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
        let had = self.rows.row(&request.key, until)?;
        let Row { used, taken, .. } = had.unwrap_or_default();
        // What is tried for ever is bounded where it is counted by the day as well.
        let is_tried_too_often =
            window < FOREVER && taken >= request.units.saturating_mul(TAKEN_FOR_EACH);
        let is_over = used >= request.units || is_tried_too_often;
        if is_over || had.is_none() && !self.has_room(request, (until, now), rows)? {
            return Ok(QuotaReply { is_granted: false, left: 0, until });
        }
        let used = used + u64::from(!request.look_only);
        self.rows.set(&request.key, until, Row { used, taken: taken + 1, at: now })?;
        if had.is_none() {
            self.count.set(self.count.get().map(|rows| rows + 1));
        }
        Ok(QuotaReply { is_granted: true, left: request.units - used, until })
    }

    /// Whether there is room for a new row, perhaps after some were forgotten.
    fn has_room(
        &self,
        request: &QuotaRequest,
        (until, now): (UnixSeconds, UnixSeconds),
        rows: u64,
    ) -> Result<bool, StoreError> {
        if self.rows.count_in(network_of_key(&request.key), until)? >= MAX_IN_NETWORK {
            return Ok(false);
        }
        if rows < MAX_ROWS {
            return Ok(true);
        }
        let mut left = rows.saturating_sub(self.rows.forget_empty(FORGOTTEN)?);
        if left >= MAX_ROWS && now >= self.none_old_until.get() {
            let old = UnixSeconds(now.0.saturating_sub(KEPT));
            let forgotten = self.rows.forget_old(old, FORGOTTEN)?;
            if forgotten == 0
                && let Some(oldest) = self.rows.oldest()?
            {
                self.none_old_until.set(oldest.plus(KEPT));
            }
            left = left.saturating_sub(forgotten);
        }
        self.count.set(Some(left));
        Ok(left < MAX_ROWS)
    }

    /// Gives a unit back. What was forgotten meanwhile is not had again.
    ///
    /// # Errors
    /// The table fails.
    pub fn give_back(&self, unit: &QuotaReturn) -> Result<(), StoreError> {
        match self.rows.row(&unit.key, unit.until)? {
            Some(row) => {
                let used = row.used.saturating_sub(1);
                self.rows.set(&unit.key, unit.until, Row { used, ..row })
            }
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
