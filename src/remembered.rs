//! What took long to work out and is asked for again and again: a payment's
//! signature is checked by the gate, by its Settler before anything is asked or
//! sent, and once more when the chain has spoken.
//!
//! Each time is a check of its own. What is remembered is arithmetic: whoever asks
//! names all that the answer depends on.

use std::cell::RefCell;
use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

/// How many answers are kept, 64 bytes each.
const KEPT_MAX: usize = 1_024;

/// Answers of 32 bytes by a hash of what was asked, the latest ones.
#[derive(Debug, Default)]
pub struct Remembered(RefCell<VecDeque<([u8; 32], [u8; 32])>>);

impl Remembered {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(RefCell::new(VecDeque::new()))
    }

    /// The answer to a question: as it is remembered, else as it is worked out, of
    /// the question alone. Of its parts only the last may be of any length. That
    /// there is none is not remembered.
    pub fn or_work_out(
        &self,
        question: &[&[u8]],
        work_out: &dyn Fn() -> Option<[u8; 32]>,
    ) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        for part in question {
            hash.update(part);
        }
        let key: [u8; 32] = hash.finalize().into();
        // What was asked last is asked for again the soonest.
        let known = self.0.borrow().iter().rev().find(|(other, _)| *other == key).map(|it| it.1);
        if known.is_some() {
            return known;
        }
        let answer = work_out()?;
        let mut all = self.0.borrow_mut();
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back((key, answer));
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_answer_is_worked_out_once_and_none_is_mistaken_for_another() {
        let (remembered, worked) = (Remembered::new(), Cell::new(0));
        let ask = |question: &[&[u8]], answer: u8| {
            remembered.or_work_out(question, &|| {
                worked.set(worked.get() + 1);
                (answer > 0).then_some([answer; 32])
            })
        };
        assert_eq!(ask(&[b"a", b"b"], 1), Some([1; 32]));
        assert_eq!(ask(&[b"a", b"b"], 2), Some([1; 32]));
        assert_eq!(ask(&[b"a", b"c"], 3), Some([3; 32]));
        assert_eq!(worked.get(), 2);
        assert_eq!(ask(&[b"a", b"d"], 0), None);
        assert_eq!(ask(&[b"a", b"d"], 4), Some([4; 32]), "there may be one later");
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let remembered = Remembered::new();
        for number in 0..2 * KEPT_MAX {
            remembered.or_work_out(&[&number.to_be_bytes()], &|| Some([0; 32]));
        }
        assert_eq!(remembered.0.borrow().len(), KEPT_MAX);
        let last = (2 * KEPT_MAX - 1).to_be_bytes();
        assert_eq!(remembered.or_work_out(&[&last], &|| None), Some([0; 32]));
        assert_eq!(remembered.or_work_out(&[&0_usize.to_be_bytes()], &|| None), None);
    }
}
