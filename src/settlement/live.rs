//! The tickets of those who are at work on a purchase at this moment.

use std::cell::{Cell, RefCell};

use crate::table::Table;
use crate::time::UnixSeconds;

/// Tickets that were issued since this object came to life and that hold a claim,
/// each with the time of its claim and of its lease's end. What is not heard of
/// again is forgotten with its lease.
#[derive(Default)]
pub(super) struct Live {
    tickets: RefCell<Table<u64, (UnixSeconds, UnixSeconds)>>,
    /// When those were last looked through whose lease has ended: once in a second,
    /// however many there are.
    swept_at: Cell<UnixSeconds>,
}

impl Live {
    /// Counts a ticket until then; one that is there already, for longer.
    pub(super) fn begin(&self, ticket: u64, now: UnixSeconds, until: UnixSeconds) {
        let mut tickets = self.tickets.borrow_mut();
        if self.swept_at.replace(now) != now {
            tickets.retain(|_, (_, until)| *until >= now);
        }
        let (_, known) = tickets.get_or_insert_with(ticket, || (now, until));
        *known = until.max(*known);
    }

    /// Counts a ticket no more.
    pub(super) fn end(&self, ticket: u64) {
        self.tickets.borrow_mut().remove(&ticket);
    }

    /// Whether a ticket counts.
    pub(super) fn holds(&self, ticket: u64) -> bool {
        self.tickets.borrow().contains_key(&ticket)
    }

    /// How many others than this ticket were claimed with since a time.
    pub(super) fn others_since(&self, ticket: u64, since: UnixSeconds) -> usize {
        let tickets = self.tickets.borrow();
        tickets.iter().filter(|(other, (at, _))| **other != ticket && *at >= since).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_counts_until_its_lease_ends() {
        let (live, at) = (Live::default(), UnixSeconds);
        live.begin(1, at(100), at(130));
        live.begin(2, at(110), at(140));
        live.begin(1, at(120), at(150));
        assert_eq!((live.others_since(3, at(100)), live.others_since(1, at(100))), (2, 1));
        assert_eq!(live.others_since(3, at(101)), 1, "the first was claimed with earlier");
        live.begin(3, at(141), at(171));
        assert!(live.holds(1) && !live.holds(2) && live.holds(3));
        live.end(1);
        assert!(!live.holds(1));
    }
}
