//! What is open at a facilitator: how many there may be, and whose turn it is.
//!
//! A payment of which nothing is heard stays open for a day after its end, so in an
//! outage they could be as many as come in a day. Each is a row of some kilobytes in
//! the journal and another one in the payments, and none of them is kept in memory
//! for as long as nobody asks after it.

use std::rc::Rc;

use super::RemoteLane;
use super::patience::pause_after;
use crate::evm;
use crate::settlement::journal::{AT_FACILITATOR, FacilitatorEntry, name_at_facilitator};
use crate::settlement::{Entry, Host, Store, StoreError};
use crate::table::Table;
use crate::time::UnixSeconds;

/// How many payments may be open. So many are asked after once in an hour or so, 32
/// each half minute, and what is known of each in memory comes to a megabyte.
const OPEN_MAX: u32 = 4_096;

/// How many of one payer, as far as its payments tell who that is.
const PAYER_OPEN_MAX: u32 = 64;

/// How many are taken up and not done at a time.
const RESUMED_MAX: usize = 32;

/// How many are read at once, and how often each time. A row has at most a payment of
/// 16 KiB, and what the seller says of the route.
const PAGE: u32 = 32;
const PAGES_MAX: usize = 8;

/// What is known of those that are open.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// How many there are; `None` before that was asked in this life.
    count: Option<u32>,
    /// When each was taken up last, if it was.
    taken_up: Table<String, UnixSeconds>,
    /// The name of the one that was looked at last.
    last: String,
}

impl Open {
    /// One more is open.
    pub(super) fn begin(&mut self) {
        self.count = self.count.map(|count| count.saturating_add(1));
    }

    /// This one is open no more.
    pub(super) fn end(&mut self, id: &str) {
        // No more are counted: there may be more, and it is asked again.
        let counted = self.count.filter(|count| *count < OPEN_MAX);
        self.count = counted.map(|count| count.saturating_sub(1));
        self.taken_up.remove(id);
    }

    /// Whether it is to be asked after now: what has ended is left in peace for longer
    /// and longer.
    fn is_due(&self, entry: &FacilitatorEntry, now: UnixSeconds) -> bool {
        let taken_up = self.taken_up.get(&entry.id);
        taken_up.is_none_or(|at| now >= at.plus(pause_after(entry, now)))
    }
}

impl<H: Host> RemoteLane<H> {
    /// Whether so many are open, of all or of a payment's payer, that it can't be one
    /// more.
    pub(super) fn is_full_for(&self, payment: &str) -> Result<bool, StoreError> {
        let store = &self.shared.store;
        let known = self.open.borrow().count;
        let count = match known {
            Some(count) => count,
            None => store.count_at_facilitator(AT_FACILITATOR, OPEN_MAX)?,
        };
        self.open.borrow_mut().count = Some(count);
        if count >= OPEN_MAX {
            return Ok(true);
        }
        // Identities of one payer begin alike; on Solana none tells who pays.
        let name = name_at_facilitator(payment);
        let Some((of_payer, _)) =
            name.rsplit_once('/').filter(|_| evm::payer_in(payment).is_some())
        else {
            return Ok(false);
        };
        let of_payer = format!("{of_payer}/");
        Ok(store.count_at_facilitator(&of_payer, PAYER_OPEN_MAX)? >= PAYER_OPEN_MAX)
    }

    /// Takes up some of what a crash, or the end of everybody's patience, left open:
    /// those that come after the last one in the order of their names, and after all the
    /// first one. However many come, nobody waits for ever.
    pub(super) fn take_up(self: &Rc<Self>) -> Result<(), StoreError> {
        let (store, now) = (&self.shared.store, self.shared.host.now());
        let begun_at = self.open.borrow().last.clone();
        let mut is_again = false;
        let under_way = self.in_air.borrow().values().filter(|it| it.is_resumed).count();
        let mut left = RESUMED_MAX.saturating_sub(under_way);
        for _ in 0..PAGES_MAX {
            let last = self.open.borrow().last.clone();
            let rows = store.at_facilitator(&last, PAGE)?;
            if rows.is_empty() {
                self.open.borrow_mut().last.clear();
                if is_again || begun_at.is_empty() {
                    break;
                }
                is_again = true;
            }
            for (id, row) in rows {
                if left == 0 || (is_again && id > begun_at) {
                    return Ok(());
                }
                let is_followed = self.in_air.borrow().contains_key(&id);
                let entry = row.and_then(Entry::at_facilitator).filter(|_| !is_followed);
                self.open.borrow_mut().last.clone_from(&id);
                if let Some(entry) = entry.filter(|it| self.open.borrow().is_due(it, now)) {
                    left -= 1;
                    self.open.borrow_mut().taken_up.insert(id, now);
                    self.start(entry, None);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::journal::FacilitatorSent;

    #[test]
    fn what_has_ended_and_was_asked_after_lately_is_left_in_peace() {
        let entry = FacilitatorEntry {
            id: "remote/a".into(),
            payments: vec![],
            written_at: UnixSeconds(1_000),
            sent: FacilitatorSent {
                body: String::new(),
                told: None,
                expires_at: UnixSeconds(5_000),
                looked_from: None,
            },
        };
        let mut open = Open::default();
        let taken_up_at = |open: &mut Open, at| {
            open.taken_up.insert(entry.id.clone(), UnixSeconds(at));
        };
        assert!(open.is_due(&entry, UnixSeconds(13_000)), "not yet in this life");
        taken_up_at(&mut open, 1_030);
        assert!(open.is_due(&entry, UnixSeconds(1_030)), "before its end");
        taken_up_at(&mut open, 13_000);
        // An eighth of the 8,000 seconds since its end, and a little more.
        assert!(!open.is_due(&entry, UnixSeconds(14_100)));
        assert!(open.is_due(&entry, UnixSeconds(14_200)));
        open.end(&entry.id);
        assert!(open.is_due(&entry, UnixSeconds(13_000)), "what is closed is forgotten");
    }
}
