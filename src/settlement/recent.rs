//! The records of payments as they were read or written last: a purchase looks at
//! its own a dozen times, and each look at the disk costs as much as a signature.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::PaymentRecord;

/// How many are kept, some 3 KiB each.
const KEPT_MAX: usize = 64;

/// Some records, each as it is on disk. Whoever writes to the disk has to say so
/// here, and nobody else may write there.
#[derive(Debug, Default)]
pub struct Recent(RefCell<VecDeque<PaymentRecord>>);

impl Recent {
    /// A payment's record, if it is known.
    pub fn get(&self, id: &str) -> Option<PaymentRecord> {
        self.0.borrow().iter().rev().find(|record| record.payment == id).cloned()
    }

    /// This is what is on disk now.
    pub fn put(&self, record: PaymentRecord) {
        self.forget(&record.payment);
        let mut all = self.0.borrow_mut();
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back(record);
    }

    /// What is on disk of this payment is not known.
    pub fn forget(&self, id: &str) {
        self.0.borrow_mut().retain(|record| record.payment != id);
    }

    /// What is on disk is not known of any.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
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
        recent.put(record("a", "first"));
        recent.put(record("b", "first"));
        recent.put(record("a", "second"));
        assert_eq!(resource("a").as_deref(), Some("second"));
        recent.forget("a");
        assert_eq!((resource("a"), resource("b").as_deref()), (None, Some("first")));
        for number in 0..KEPT_MAX {
            recent.put(record(&number.to_string(), "x"));
        }
        assert_eq!((recent.0.borrow().len(), resource("b")), (KEPT_MAX, None));
        recent.clear();
        assert_eq!(resource("0"), None);
    }
}
