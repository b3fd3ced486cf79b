//! How many payments may be under way at once.

use std::rc::Rc;

use super::SolanaLane;
use crate::settlement::Host;
use crate::solana::{self, Pubkey};

/// How many payments from one token account may be under way at once.
const UNDER_WAY_PER_SOURCE: usize = 8;

/// How many transactions may be under way at once: as many as four questions
/// for their statuses hold. Once half of the places are taken, each token account has
/// one of them: what is signed so late that it can't land costs nobody anything.
const UNDER_WAY_MAX: usize = 1_024;

/// How many there may be with those that are late: nobody waits for them any more, and
/// they take no place from others.
const WATCHED_MAX: usize = 4 * UNDER_WAY_MAX;

impl<H: Host> SolanaLane<H> {
    /// How many are under way that somebody may wait for.
    fn in_time(&self) -> usize {
        self.watch.flights.borrow().values().filter(|it| self.is_quick(it)).count()
    }

    /// Lets a payment be simulated, if those from the same token account allow
    /// it.
    pub(super) fn take_turn(self: &Rc<Self>, payment: &solana::VerifiedPayment) -> Option<Turn<H>> {
        let source = *payment.source();
        let mut simulating = self.simulating.borrow_mut();
        let simulated = simulating.values().sum::<usize>();
        let of_source = simulating.get(&source).copied().unwrap_or(0);
        let under_way = self.shared.commitments.under_way(&source.to_string()) + of_source;
        let taken = self.in_time() + simulated;
        let most = if taken < UNDER_WAY_MAX / 2 { UNDER_WAY_PER_SOURCE } else { 1 };
        let is_full = taken >= UNDER_WAY_MAX || self.watch.len() + simulated >= WATCHED_MAX;
        if is_full || under_way >= most {
            return None;
        }
        simulating.insert(source, of_source + 1);
        Some(Turn { lane: Rc::clone(self), source })
    }
}

/// Counts a payment as being simulated, until it is dropped.
pub(super) struct Turn<H: Host> {
    lane: Rc<SolanaLane<H>>,
    source: Pubkey,
}

impl<H: Host> Drop for Turn<H> {
    fn drop(&mut self) {
        let mut simulating = self.lane.simulating.borrow_mut();
        if let Some(count) = simulating.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                simulating.remove(&self.source);
            }
        }
    }
}
