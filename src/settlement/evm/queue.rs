//! Payments that wait to be sent. Payers take turns, so that one of them with
//! many payments holds nobody up.

use std::collections::VecDeque;

use futures_channel::oneshot;

use crate::evm::{self, Address};
use crate::settlement::lane::{Attempt, Job};
use crate::settlement::{Outcome, StoreError};
use crate::table::Table;

/// A payment in the queue, and who waits for it.
pub(super) struct Waiting {
    pub job: Job,
    pub payment: evm::VerifiedPayment,
    pub done: oneshot::Sender<Result<Attempt, StoreError>>,
    /// Whether a transaction that it shared with others has not made it.
    pub was_spoiled: bool,
}

/// That something became of a job.
pub(super) fn done(outcome: Result<Outcome, StoreError>) -> Result<Attempt, StoreError> {
    outcome.map(Attempt::Done)
}

/// Parts a batch so that no log could be that of two payments in one group: the
/// first group is as large as can be.
pub(super) fn told_apart(batch: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: Vec<Vec<Waiting>> = vec![];
    for waiting in batch {
        let is_alike = |other: &Waiting| other.payment.is_alike(&waiting.payment);
        match groups.iter_mut().find(|group| !group.iter().any(is_alike)) {
            Some(group) => group.push(waiting),
            None => groups.push(vec![waiting]),
        }
    }
    groups
}

/// Payments by payer, and whose turn it is.
#[derive(Default)]
pub(super) struct Queue {
    /// In boxes: most payers have one, and room for four.
    by_payer: Table<Address, VecDeque<Box<Waiting>>>,
    turns: VecDeque<Address>,
    /// How many payers have more than so many payments here, from none on.
    depths: Vec<usize>,
    len: usize,
}

impl Queue {
    /// How many payments wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many payments of one payer wait.
    pub(super) fn len_of(&self, payer: Address) -> usize {
        self.by_payer.get(&payer).map_or(0, VecDeque::len)
    }

    /// How many payments go before the one that would be its payer's next after so
    /// many of his: of each payer as many as have their turn by then.
    pub(super) fn before(&self, own: usize) -> usize {
        self.depths.iter().take(own.saturating_add(1)).sum()
    }

    fn count(&mut self, len: usize, is_more: bool) {
        if self.depths.len() <= len {
            self.depths.resize(len + 1, 0);
        }
        if let Some(payers) = self.depths.get_mut(len) {
            *payers = if is_more { *payers + 1 } else { payers.saturating_sub(1) };
        }
    }

    fn assert_counted(&self) {
        debug_assert_eq!(self.depths.iter().sum::<usize>(), self.len, "each is counted once");
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// How many payments wait of which there is so much room for the payer's: counted
    /// up to so many, and no further.
    pub(super) fn ready(&self, most: usize, room: impl Fn(Address) -> usize) -> usize {
        let mut ready: usize = 0;
        for (payer, own) in self.by_payer.iter() {
            if ready >= most {
                break;
            }
            ready = ready.saturating_add(own.len().min(room(*payer)));
        }
        ready.min(most)
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        let payer = waiting.payment.from();
        let own = self.by_payer.get_or_insert_with(payer, Default::default);
        if own.is_empty() {
            self.turns.push_back(payer);
        }
        own.push_back(Box::new(waiting));
        let depth = own.len() - 1;
        self.count(depth, true);
        self.len += 1;
        self.assert_counted();
    }

    /// Takes so many payments at most, one of each payer in turn, and no more
    /// of a payer than there is room for.
    pub(super) fn take(&mut self, most: usize, room: impl Fn(Address) -> usize) -> Vec<Waiting> {
        let mut taken = vec![];
        let mut rooms: Table<Address, usize> = Table::new();
        let mut passed_over = 0;
        while taken.len() < most && passed_over < self.turns.len() {
            let Some(payer) = self.turns.pop_front() else { break };
            let left = rooms.get_or_insert_with(payer, || room(payer));
            let Some(own) = self.by_payer.get_mut(&payer) else { continue };
            if *left == 0 {
                passed_over += 1;
                self.turns.push_back(payer);
                continue;
            }
            passed_over = 0;
            *left -= 1;
            taken.extend(own.pop_front().map(|waiting| *waiting));
            let left = own.len();
            if own.is_empty() {
                self.by_payer.remove(&payer);
            } else {
                self.turns.push_back(payer);
            }
            self.count(left, false);
        }
        self.len = self.len.saturating_sub(taken.len());
        self.assert_counted();
        taken
    }

    /// Takes all payments of one payer out, in their order.
    pub(super) fn take_all_of(&mut self, payer: Address) -> VecDeque<Box<Waiting>> {
        let own = self.by_payer.remove(&payer).unwrap_or_default();
        if !own.is_empty() {
            self.turns.retain(|other| *other != payer);
        }
        self.len = self.len.saturating_sub(own.len());
        for depth in 0..own.len() {
            self.count(depth, false);
        }
        self.assert_counted();
        own
    }

    /// Takes the payment with this ticket out.
    pub(super) fn remove(&mut self, payer: Address, ticket: u64) {
        if let Some(own) = self.by_payer.get_mut(&payer) {
            let before = own.len();
            own.retain(|waiting| waiting.job.request.ticket != ticket);
            let left = own.len();
            if own.is_empty() {
                self.by_payer.remove(&payer);
                self.turns.retain(|other| *other != payer);
            }
            self.len = self.len.saturating_sub(before - left);
            for depth in left..before {
                self.count(depth, false);
            }
            self.assert_counted();
        }
    }
}
