//! What payers and the key are committed to by payments under way: from before
//! a payment is in the journal until the chain has spoken.
//!
//! A balance that a node tells knows nothing of what was sent and has not
//! landed. What is kept here lives in memory and is made again from the journal
//! by the lanes' `resume`, so a restart forgets nothing that is under way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::per_token::TokenKey;
use crate::table::Table;

/// How many ended commitments are remembered for previews that began before.
const ENDED_MAX: usize = 1_024;

/// What one payment under way commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commitment {
    /// Who pays.
    pub payer: String,
    /// In which token.
    pub token: TokenKey,
    /// How much, in atomic units.
    pub amount: u128,
    /// What sending it may cost the key, in wei or lamports; 0 where that is
    /// counted by transactions.
    pub cost: u128,
}

impl Commitment {
    fn is_of(&self, payer: &str, token: &TokenKey) -> bool {
        self.payer == payer && self.token == *token
    }
}

/// The payments under way, by their identities.
#[derive(Default)]
pub(super) struct Commitments {
    live: RefCell<Table<String, Commitment>>,
    /// How many of those are whose. It is asked for each payment that waits.
    of_payer: RefCell<Table<String, usize>>,
    /// The number of the end, and what ended.
    ended: RefCell<VecDeque<(u64, Commitment)>>,
    ends: Cell<u64>,
}

impl Commitments {
    /// Counts a payment as under way, until its end.
    pub(super) fn begin(&self, payment: &str, commitment: Commitment) {
        *self.of_payer.borrow_mut().get_or_insert_with(commitment.payer.clone(), || 0) += 1;
        let former = self.live.borrow_mut().insert(payment.to_owned(), commitment);
        if let Some(former) = former {
            self.count_less(&former.payer);
        }
    }

    /// Counts a payment no more. Does nothing if it isn't under way.
    pub(super) fn end(&self, payment: &str) {
        let Some(commitment) = self.live.borrow_mut().remove(payment) else { return };
        self.count_less(&commitment.payer);
        let number = self.ends.get();
        self.ends.set(number + 1);
        let mut ended = self.ended.borrow_mut();
        ended.push_back((number, commitment));
        if ended.len() > ENDED_MAX {
            ended.pop_front();
        }
    }

    fn count_less(&self, payer: &str) {
        let mut of_payer = self.of_payer.borrow_mut();
        if let Some(count) = of_payer.get_mut(payer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                of_payer.remove(payer);
            }
        }
    }

    /// Whether a payment is under way.
    pub(super) fn holds(&self, payment: &str) -> bool {
        self.live.borrow().contains_key(payment)
    }

    /// How many payments of a payer are under way.
    pub(super) fn under_way(&self, payer: &str) -> usize {
        self.of_payer.borrow().get(payer).copied().unwrap_or(0)
    }

    /// How much of a token a payer has under way, in atomic units.
    pub(super) fn committed_by(&self, payer: &str, token: &TokenKey) -> u128 {
        let live = self.live.borrow();
        sum(live.values().filter(|it| it.is_of(payer, token)).map(|it| it.amount))
    }

    /// What all payments under way may cost the key, in wei or lamports.
    pub(super) fn committed_cost(&self) -> u128 {
        sum(self.live.borrow().values().map(|it| it.cost))
    }

    /// A moment, for [`Commitments::ended_since`]: take it before asking a node.
    pub(super) fn moment(&self) -> u64 {
        self.ends.get()
    }

    /// How much of a token that a payer had under way ended since a moment, in
    /// atomic units. A balance that was asked for at that moment may be from before.
    pub(super) fn ended_since(&self, moment: u64, payer: &str, token: &TokenKey) -> u128 {
        let ended = self.ended.borrow();
        let later = ended.iter().filter(|(number, it)| *number >= moment && it.is_of(payer, token));
        sum(later.map(|(_, it)| it.amount))
    }
}

fn sum(amounts: impl Iterator<Item = u128>) -> u128 {
    amounts.fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_counts_for_whoever_asked_before() {
        let commitments = Commitments::default();
        let token = [1; 32];
        let of = |payer: &str, amount| Commitment { payer: payer.into(), token, amount, cost: 7 };
        commitments.begin("x", of("a", 1));
        commitments.begin("y", of("a", 2));
        commitments.end("x");
        commitments.end("x");
        commitments.end("nothing");
        assert_eq!(commitments.ends.get(), 1);
        assert_eq!((commitments.under_way("a"), commitments.under_way("b")), (1, 0));
        commitments.begin("y", of("a", 2));
        assert_eq!(commitments.under_way("a"), 1, "the same payment");
        assert_eq!(commitments.live.borrow().get("y"), Some(&of("a", 2)));
        assert_eq!(*commitments.ended.borrow(), [(0, of("a", 1))]);
    }

    #[test]
    fn what_ended_since_a_moment_may_be_in_no_balance_yet() {
        let commitments = Commitments::default();
        let of = |payer: &str, token| Commitment { payer: payer.into(), token, amount: 5, cost: 7 };
        let end = |payment: &str, it: Commitment| {
            commitments.begin(payment, it);
            commitments.end(payment);
        };
        end("before", of("a", [1; 32]));
        let moment = commitments.moment();
        assert_eq!(commitments.ended_since(moment, "a", &[1; 32]), 0);
        end("x", of("a", [1; 32]));
        end("other token", of("a", [2; 32]));
        end("other payer", of("b", [1; 32]));
        assert_eq!(commitments.ended_since(moment, "a", &[1; 32]), 5);
        for _ in 0..2 * ENDED_MAX {
            end("many", of("c", [1; 32]));
        }
        assert_eq!(commitments.ended.borrow().len(), ENDED_MAX);
    }
}
