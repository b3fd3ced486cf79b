//! The records of payments as they were read or written last: a purchase looks at
//! its own a dozen times, and each look at the disk costs as much as a signature.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::PaymentRecord;
use crate::table::Table;

/// How many are kept, and how much they may come to as text, in bytes: an ordinary
/// one is some 2,000. Of a crowd those in the air, and those that go out next.
const KEPT_MAX: usize = 384;
const KEPT_TEXT: usize = 1_024 * 1_024;

/// A longer one takes the place of too many others.
const LONG: usize = KEPT_TEXT / 32;

/// Some records, each as it is on disk, with the length of that, and claims that are to
/// be written there. Whoever writes to the disk has to say so here, and nobody else may
/// write there.
#[derive(Debug, Default)]
pub struct Recent {
    last: RefCell<VecDeque<(PaymentRecord, usize)>>,
    /// Claims that are not on disk yet, by their payments.
    unwritten: RefCell<Table<String, PaymentRecord>>,
}

impl Recent {
    /// A payment's record, if it is known.
    pub fn get(&self, id: &str) -> Option<PaymentRecord> {
        if let Some(claim) = self.unwritten.borrow().get(id) {
            return Some(claim.clone());
        }
        let all = self.last.borrow();
        all.iter().rev().find(|(record, _)| is_of(record, id)).map(|(record, _)| record.clone())
    }

    /// This is what is on disk now, in so many bytes.
    pub fn put(&self, record: PaymentRecord, length: usize) {
        self.forget(&record.payment);
        if length > LONG {
            return;
        }
        let mut all = self.last.borrow_mut();
        all.push_back((record, length));
        let mut sum: usize = all.iter().map(|(_, length)| length).sum();
        while all.len() > KEPT_MAX || sum > KEPT_TEXT {
            let Some((_, length)) = all.pop_front() else { break };
            sum = sum.saturating_sub(length);
        }
    }

    /// This claim is to be written, and nothing is on disk of its payment.
    pub fn keep(&self, claim: PaymentRecord) {
        self.unwritten.borrow_mut().insert(claim.payment.clone(), claim);
    }

    /// Writes the claims that are to be written. One that fails takes no other with it:
    /// it stays to be written, and counts.
    ///
    /// # Errors
    /// The first that failed.
    pub fn write_unwritten<E>(
        &self,
        write: impl Fn(&PaymentRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let claims = self.unwritten.take();
        let written = claims.values().map(|claim| {
            let written = write(claim);
            if written.is_err() {
                self.keep(claim.clone());
            }
            written
        });
        written.fold(Ok(()), Result::and)
    }

    /// What is on disk of this payment is not known; `true` if a claim of it was kept,
    /// so that nothing is.
    pub fn forget(&self, id: &str) -> bool {
        let mut all = self.last.borrow_mut();
        if let Some(place) = all.iter().rposition(|(record, _)| is_of(record, id)) {
            all.remove(place);
        }
        self.unwritten.borrow_mut().remove(id).is_some()
    }

    /// What is on disk is not known of any.
    pub fn clear(&self) {
        self.last.borrow_mut().clear();
    }
}

/// Whether this is the record of a payment. Identities begin alike and end in random
/// digits: by the end nearly all are told apart at once.
fn is_of(record: &PaymentRecord, id: &str) -> bool {
    let end = |text: &str| text.as_bytes().last_chunk::<8>().copied();
    end(&record.payment) == end(id) && record.payment == id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn record(payment: &str, resource: &str) -> PaymentRecord {
        json::from_text(&format!(
            r#"{{"payment":"{payment}","resource":"{resource}","expires_at":9,"claimed_at":1,
            "state":{{"Failed":{{"reason":"insufficient_funds"}}}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn what_was_put_last_counts_and_the_oldest_go() {
        let recent = Recent::default();
        let resource = |id: &str| recent.get(id).map(|record| record.resource);
        assert_eq!(resource("a"), None);
        recent.put(record("a", "first"), 2_000);
        recent.put(record("b", "first"), 2_000);
        recent.put(record("a", "second"), 2_000);
        assert_eq!(resource("a").as_deref(), Some("second"));
        recent.forget("a");
        assert_eq!((resource("a"), resource("b").as_deref()), (None, Some("first")));
        for number in 0..KEPT_MAX {
            recent.put(record(&number.to_string(), "x"), 2_000);
        }
        assert_eq!((recent.last.borrow().len(), resource("b")), (KEPT_MAX, None));
        recent.clear();
        assert_eq!(resource("0"), None);
    }

    #[test]
    fn long_ones_are_kept_as_far_as_there_is_room() {
        let recent = Recent::default();
        let kept = || recent.last.borrow().len();
        for number in 0..32 {
            recent.put(record(&number.to_string(), "x"), LONG);
        }
        assert_eq!(kept(), 32);
        recent.put(record("a", "x"), 1);
        assert_eq!(
            (kept(), recent.get("0").is_some(), recent.get("1").is_some()),
            (32, false, true)
        );
        recent.put(record("a", "longer"), LONG + 1);
        assert_eq!((kept(), recent.get("a").is_some()), (31, false));
    }

    #[test]
    fn a_claim_that_is_kept_counts_until_it_is_written_or_forgotten() {
        let recent = Recent::default();
        recent.keep(record("a", "first"));
        recent.keep(record("b", "first"));
        recent.clear();
        assert!(recent.get("a").is_some() && recent.get("b").is_some());
        // What is written in its place counts.
        recent.put(record("a", "second"), 2_000);
        assert_eq!(recent.get("a").map(|it| it.resource).as_deref(), Some("second"));
        assert!(!recent.forget("a"), "that may be on disk");
        assert!(recent.forget("b") && recent.get("b").is_none());
    }

    #[test]
    fn a_claim_that_the_disk_refuses_takes_no_other_with_it_and_is_written_later() {
        let recent = Recent::default();
        for id in ["a", "b", "c"] {
            recent.keep(record(id, "first"));
        }
        let write = |refused: &str| {
            let disk = RefCell::new(vec![]);
            let written = recent.write_unwritten(|claim| {
                // As whoever writes to the disk has to.
                recent.forget(&claim.payment);
                if claim.payment == refused {
                    return Err(());
                }
                disk.borrow_mut().push(claim.payment.clone());
                Ok(())
            });
            (written, disk.into_inner().join(" "))
        };
        assert_eq!(write("b"), (Err(()), "a c".into()));
        assert!(recent.get("b").is_some() && recent.get("a").is_none());
        assert_eq!(write(""), (Ok(()), "b".into()));
        assert_eq!(write(""), (Ok(()), String::new()));
    }
}
