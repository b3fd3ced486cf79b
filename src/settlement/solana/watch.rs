//! What is in the air, and who looks after it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;

use super::SolanaLane;
use crate::settlement::Host;
use crate::settlement::journal::SolanaEntry;
use crate::table::Table;
use crate::time::UnixSeconds;

/// A transaction that is under way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) entry: Rc<SolanaEntry>,
    /// The index of the instruction that is the transfer.
    pub(super) transfer: usize,
    /// Whether two nodes must agree on what became of it.
    pub(super) needs_quorum: bool,
    pub(super) sent_at: UnixSeconds,
    /// The last block height at which it can land, as far as is known.
    pub(super) bound: Option<u64>,
}

/// What is under way, by the entries' names, and how it is being watched.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) flights: RefCell<Table<String, Flight>>,
    /// How often the statuses were asked for since something was sent.
    pub(super) polls: Cell<usize>,
    /// When that was last done, or something was sent, in the transport's
    /// milliseconds.
    pub(super) asked_at: Cell<u64>,
    /// When that was last done for all of them, in the same milliseconds.
    pub(super) all_asked_at: Cell<u64>,
    /// Whether something is in a block and about to be confirmed.
    pub(super) is_near: Cell<bool>,
    pub(super) nudge: RefCell<Option<oneshot::Sender<()>>>,
    pub(super) is_watching: Cell<bool>,
    pub(super) is_sending: Cell<bool>,
    pub(super) is_confirming: Cell<bool>,
    pub(super) is_giving_up: Cell<bool>,
}

impl Watch {
    /// How many transactions are under way.
    pub(super) fn len(&self) -> usize {
        self.flights.borrow().len()
    }

    /// Whether this entry is being watched.
    pub(super) fn holds(&self, entry: &str) -> bool {
        self.flights.borrow().contains_key(entry)
    }
}

/// Says that a task is at work, until it is dropped: one that dies on its way
/// is begun again by whoever finds nobody at work.
pub(super) struct AtWork<H: Host> {
    pub(super) lane: Rc<SolanaLane<H>>,
    pub(super) flag: fn(&Watch) -> &Cell<bool>,
}

impl<H: Host> AtWork<H> {
    /// `None` if somebody is at work already.
    pub(super) fn begin(lane: &Rc<SolanaLane<H>>, flag: fn(&Watch) -> &Cell<bool>) -> Option<Self> {
        let is_first = !flag(&lane.watch).replace(true);
        is_first.then(|| Self { lane: Rc::clone(lane), flag })
    }
}

impl<H: Host> Drop for AtWork<H> {
    fn drop(&mut self) {
        (self.flag)(&self.lane.watch).set(false);
    }
}
