//! What took long to work out and is asked for again and again: a payment's
//! signature is checked by the gate, by its Settler before anything is asked or
//! sent, and once more when the chain has spoken.
//!
//! Each time is a check of its own. What is remembered is arithmetic: whoever asks
//! names all that the answer depends on.

use std::cell::RefCell;

use sha2::{Digest as _, Sha256};

/// How many answers are kept at most, 65 bytes each: four times a crowd that waits, so
/// that few of it take each other's places.
const PLACES: usize = 8_192;

/// Answers of 32 bytes by a hash of what was asked. Each has one place where it can
/// be, until another one takes it: finding it costs the same however many there are.
#[derive(Debug, Default)]
pub struct Remembered(RefCell<Vec<Known>>);

/// A question's hash, and its answer.
type Known = Option<([u8; 32], [u8; 32])>;

impl Remembered {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
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
        let [first, second, ..] = key;
        let place = usize::from(u16::from_be_bytes([first, second])) % PLACES;
        if let Some(Some((known, answer))) = self.0.borrow().get(place)
            && *known == key
        {
            return Some(*answer);
        }
        let answer = work_out()?;
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            all.resize(PLACES, None);
        }
        if let Some(place) = all.get_mut(place) {
            *place = Some((key, answer));
        }
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
    fn of_a_crowd_nearly_all_are_there_again() {
        const CROWD: u64 = 2_000;
        let remembered = Remembered::new();
        let ask = |number: u64, answer| {
            remembered.or_work_out(&[&number.to_be_bytes()], &|| answer).is_some()
        };
        for number in 0..CROWD {
            ask(number, Some([7; 32]));
        }
        let again = (0..CROWD).filter(|it| ask(*it, None)).count();
        assert!(again > 1_700, "{again}");
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let remembered = Remembered::new();
        let question = |number: u64| number.to_be_bytes();
        for number in 0..20 * PLACES as u64 {
            let asked = remembered.or_work_out(&[&question(number)], &|| Some([7; 32]));
            assert_eq!(asked, Some([7; 32]));
            assert_eq!(remembered.or_work_out(&[&question(number)], &|| None), asked);
        }
        assert_eq!(remembered.0.borrow().len(), PLACES);
        let known = |number| remembered.or_work_out(&[&question(number)], &|| None).is_some();
        let count = (0..20 * PLACES as u64).filter(|it| known(*it)).count();
        assert_eq!(count, PLACES, "in each place the last");
    }
}
