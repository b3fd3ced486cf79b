//! A sale as a data point of Workers Analytics Engine, for sellers that bind one.

use std::cell::{Cell, RefCell};

use serde_json::Value;

use super::Sale;
use crate::json::json;
use crate::time::UnixSeconds;

/// How long an index may be, in bytes, and all blobs together may be 16 KB; see
/// [Limits](https://developers.cloudflare.com/analytics/analytics-engine/limits/).
const INDEX_MAX: usize = 96;
const BLOB_MAX: usize = 1_700;

/// How many points wait to be written at most.
const POINTS_WAIT: usize = 1_000;
/// How many one invocation may write.
const POINTS_AT_ONCE: usize = 250;

/// After how many seconds whoever was to write them is taken for dead: it waits for
/// half a second.
const DEAD_SECONDS: u64 = 10;

/// Points that wait to be written.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: RefCell<Vec<String>>,
    /// Since when somebody is to write them, until then.
    writer_since: Cell<Option<UnixSeconds>>,
}

impl Queue {
    /// Adds one, if there is room; whether whoever asks is to write them.
    pub fn add(&self, point: String, now: UnixSeconds) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() < POINTS_WAIT {
            waiting.push(point);
        }
        if self.writer_since.get().is_some_and(|since| now.since(since) < DEAD_SECONDS) {
            return false;
        }
        self.writer_since.set(Some(now));
        true
    }

    /// All that wait, as many as one invocation may write, and how many are left out.
    pub fn take(&self) -> (Vec<String>, usize) {
        self.writer_since.set(None);
        let mut points = self.waiting.take();
        let left_out = points.len().saturating_sub(POINTS_AT_ONCE);
        points.truncate(POINTS_AT_ONCE);
        (points, left_out)
    }
}

impl Sale {
    /// What `writeDataPoint` takes, as JSON. The order is part of the interface:
    /// queries name `blob1` to `blob9` and `double1` to `double3`.
    pub fn data_point(&self) -> String {
        let network = self.network.map(|it| it.to_string());
        let blobs = [
            self.route.as_deref(),
            self.path.as_deref(),
            self.method.as_deref(),
            network.as_deref(),
            self.asset.as_deref(),
            Some(&self.payer),
            Some(&self.transaction),
            Some(&self.payment),
            self.way.as_deref(),
        ];
        let blobs = blobs.map(|text| cut(text.unwrap_or_default(), BLOB_MAX));
        let index = cut(self.route.as_deref().unwrap_or_default(), INDEX_MAX);
        // Read as a whole number: what reads a fraction is 14 KB to upload.
        let fee: u128 = self.fee.as_ref().and_then(|fee| fee.parse().ok()).unwrap_or(0);
        #[allow(clippy::cast_precision_loss, reason = "all that the engine keeps")]
        let [amount, fee] = [self.amount.0, fee].map(|number| number as f64);
        let version = f64::from(self.x402_version.unwrap_or(0));
        json!({ "indexes": [index], "blobs": blobs, "doubles": [amount, fee, version] }).to_string()
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, max: usize) -> Value {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_adds_writes_all() {
        let (queue, at) = (Queue::default(), UnixSeconds);
        assert!(queue.add("1".to_owned(), at(100)));
        assert!(!queue.add("2".to_owned(), at(101)));
        assert_eq!(queue.take(), (vec!["1".to_owned(), "2".to_owned()], 0));
        assert!(queue.add("3".to_owned(), at(101)), "the next one does again");
    }

    #[test]
    fn a_writer_that_dies_is_replaced() {
        let (queue, at) = (Queue::default(), UnixSeconds);
        assert!(queue.add("1".to_owned(), at(100)));
        assert!(!queue.add("2".to_owned(), at(109)));
        assert!(queue.add("3".to_owned(), at(110)));
        assert!(!queue.add("4".to_owned(), at(119)));
        assert_eq!(queue.take().0.len(), 4);
    }

    #[test]
    fn no_more_wait_and_are_written_than_may() {
        let queue = Queue::default();
        for _ in 0..1_200 {
            queue.add(String::new(), UnixSeconds(100));
        }
        let (points, left_out) = queue.take();
        assert_eq!((points.len(), left_out), (250, 750));
        assert_eq!(queue.take(), (vec![], 0));
    }
}
