//! What was spent on payments of which the end is not written yet.

use std::cell::{Cell, RefCell};

use crate::table::Table;

/// Of how many payments that is remembered: many more than can be under way. The
/// oldest ones, of which nobody has heard since, have no fee in the ledger.
const FEES_MAX: usize = 4_096;

/// Fees by the payments' identities, in wei or lamports.
#[derive(Debug, Default)]
pub(super) struct Fees {
    /// With the number of the note that was the first.
    noted: RefCell<Table<String, (u64, u128)>>,
    notes: Cell<u64>,
}

impl Fees {
    /// Notes what was spent on a payment besides what was before.
    pub(super) fn note(&self, payment: &str, amount: u128) {
        let number = self.notes.get();
        self.notes.set(number + 1);
        let mut noted = self.noted.borrow_mut();
        let (_, sum) = noted.get_or_insert_with(payment.to_owned(), || (number, 0));
        *sum = sum.saturating_add(amount);
        if noted.len() > FEES_MAX
            && let Some(oldest) = noted.values().map(|(number, _)| *number).min()
        {
            noted.retain(|_, (number, _)| *number != oldest);
        }
    }

    /// Takes what was spent on a payment, at its end.
    pub(super) fn take(&self, payment: &str) -> Option<u128> {
        self.noted.borrow_mut().remove(payment).map(|(_, sum)| sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_no_others() {
        let fees = Fees::default();
        let name = |number: usize| format!("{:x}", number * 7_919 % 10_007);
        for number in 0..FEES_MAX + 10 {
            fees.note(&name(number), 1);
            fees.note(&name(number), 1);
        }
        assert_eq!(fees.noted.borrow().len(), FEES_MAX);
        let kept: Vec<_> = (0..FEES_MAX + 10).map(|number| fees.take(&name(number))).collect();
        assert!(kept[..10].iter().all(Option::is_none));
        assert!(kept[10..].iter().all(|fee| *fee == Some(2)));
        assert!(fees.noted.borrow().is_empty());
    }
}
