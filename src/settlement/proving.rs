//! How many signatures are before the nodes that only the chain can judge, and
//! how many came to nothing.

use std::cell::{Cell, RefCell};

use crate::table::Table;
use crate::time::UnixSeconds;

/// How many signatures are before the nodes at once. Each takes a connection, of
/// which there are six for all that a Settler does.
pub(super) const RUNNING_MAX: usize = 3;

/// How many may wait for that, and for how many tenths of a second.
pub(super) const WAITING_MAX: usize = 32;
pub(super) const WAITING_TENTHS: u32 = 50;

/// How many payments that come to nothing are looked at in a minute: from one
/// address, from one client of the facilitator, who asks for many buyers, and
/// from all.
///
/// Too few, and a wallet that has no money keeps others of its network waiting.
/// Too many, and strangers use up the seller's nodes.
const FAILED_BY_ADDRESS: u32 = 10;
const FAILED_BY_CLIENT: u32 = 120;
const FAILED_BY_ALL: u32 = 240;

/// Beyond so many from all, only those are looked at of askers who have had none
/// in that minute: a few who fail shut out nobody else.
const FAILED_BEFORE_RESERVE: u32 = FAILED_BY_ALL / 2;

/// Who asks for a payment to be looked at.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// A client of the facilitator, by its account.
    Client(&'a str),
    /// A buyer, by a hash of the address.
    Address(&'a str),
    /// Nobody knows.
    Unknown,
}

impl Asker<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Client(name) | Self::Address(name) => name,
            Self::Unknown => "",
        }
    }

    const fn most(&self) -> u32 {
        match self {
            Self::Client(_) => FAILED_BY_CLIENT,
            Self::Address(_) => FAILED_BY_ADDRESS,
            // There may be many of them.
            Self::Unknown => FAILED_BY_ALL,
        }
    }
}

/// What is known of those who ask, for a minute.
#[derive(Default)]
pub(super) struct Proving {
    pub(super) running: Cell<usize>,
    pub(super) waiting: Cell<usize>,
    /// Whether the log has a line about it in this minute.
    is_logged: Cell<bool>,
    /// A minute, counted from 1970.
    minute: Cell<u64>,
    /// How many came to nothing in that, by who asked.
    failed: RefCell<Table<String, u32>>,
}

impl Proving {
    /// Whether so many came to nothing in this minute that no more of an asker's
    /// are looked at.
    pub(super) fn is_throttled(&self, asker: Asker<'_>, now: UnixSeconds) -> bool {
        self.begin_minute(now);
        let failed = self.failed.borrow();
        let by_asker = failed.get(asker.name()).copied().unwrap_or(0);
        let by_all = failed.values().fold(0, |sum: u32, count| sum.saturating_add(*count));
        let most = if by_asker > 0 { FAILED_BEFORE_RESERVE } else { FAILED_BY_ALL };
        by_asker >= asker.most() || by_all >= most
    }

    pub(super) fn note_failure(&self, asker: Asker<'_>, now: UnixSeconds) {
        self.begin_minute(now);
        let mut failed = self.failed.borrow_mut();
        let count = failed.get_or_insert_with(asker.name().to_owned(), || 0);
        *count = count.saturating_add(1);
    }

    /// Whether the log has no line about it in this minute, and gets one now.
    pub(super) fn is_news(&self, now: UnixSeconds) -> bool {
        self.begin_minute(now);
        !self.is_logged.replace(true)
    }

    fn begin_minute(&self, now: UnixSeconds) {
        if self.minute.replace(now.0 / 60) != now.0 / 60 {
            self.failed.borrow_mut().clear();
            self.is_logged.set(false);
        }
    }
}

/// A place among a number of them, until it is dropped.
pub(super) struct Place<'a>(&'a Cell<usize>);

impl<'a> Place<'a> {
    pub(super) fn of(count: &'a Cell<usize>) -> Self {
        count.set(count.get().saturating_add(1));
        Self(count)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
