//! What keeps payers whose payments fail on chain from spending a relayer's
//! money. In memory: a restart forgives.

use std::cell::{Cell, RefCell};

use crate::table::Table;
use crate::time::UnixSeconds;

/// How many payments of one payer may fail on chain, after the simulation went
/// well, before the payer is refused for a while.
const FAILURES_MAX: u32 = 3;

/// How many payments of one payer may be more than there is money for, where somebody
/// else found that out after having called each good by itself.
const UNFUNDED_MAX: u32 = 16;

/// For how long a failure counts, in seconds.
const FAILURE_SECONDS: u64 = 3_600;

/// What failed lately.
#[derive(Default)]
pub(super) struct Throttle {
    /// How many payments of a payer have failed, and when the last one did.
    failures: RefCell<Table<String, (u32, UnixSeconds)>>,
    /// The same of those that there was no money for.
    unfunded: RefCell<Table<String, (u32, UnixSeconds)>>,
    /// An hour, counted from 1970.
    hour: Cell<u64>,
    /// The gas that failed payments used in it, by payer. What a batch used as a
    /// whole is nobody's: of no name.
    failed_gas: RefCell<Table<String, u64>>,
}

impl Throttle {
    /// Takes note of gas that a failed transaction used, of one payer or (`""`)
    /// of several.
    pub(super) fn note_failed_gas(&self, payer: &str, gas: u64, now: UnixSeconds) {
        self.begin_hour(now);
        let mut failed = self.failed_gas.borrow_mut();
        let used = failed.get_or_insert_with(payer.to_owned(), || 0);
        *used = used.saturating_add(gas);
    }

    /// How much gas failed transactions used in this hour.
    pub(super) fn failed_gas(&self, now: UnixSeconds) -> u64 {
        self.begin_hour(now);
        self.failed_gas.borrow().values().fold(0, |sum: u64, gas| sum.saturating_add(*gas))
    }

    /// Whether a payer's own transactions have failed lately.
    pub(super) fn has_failed(&self, payer: &str, now: UnixSeconds) -> bool {
        self.begin_hour(now);
        let failures = self.failures.borrow();
        let failed = failures.get(payer).is_some_and(|(_, at)| now.since(*at) < FAILURE_SECONDS);
        failed || self.failed_gas.borrow().contains_key(payer)
    }

    /// Whether anybody's payment has failed lately by its own fault.
    pub(super) fn has_any_failed(&self, now: UnixSeconds) -> bool {
        self.failures.borrow().values().any(|(_, at)| now.since(*at) < FAILURE_SECONDS)
    }

    fn begin_hour(&self, now: UnixSeconds) {
        if self.hour.replace(hour(now)) != hour(now) {
            self.failed_gas.borrow_mut().clear();
        }
    }

    /// Takes note of a payment that failed on chain by its own fault.
    pub(super) fn note_failure(&self, payer: &str, now: UnixSeconds) {
        self.note_failures(payer, 1, now);
    }

    /// Takes note of a payment that burnt the gas it was given: one is enough.
    pub(super) fn note_burnt(&self, payer: &str, now: UnixSeconds) {
        self.note_failures(payer, FAILURES_MAX, now);
    }

    /// Takes note of a payment that there was no money for, after all.
    pub(super) fn note_unfunded(&self, payer: &str, now: UnixSeconds) {
        if count(&self.unfunded, payer, 1, now) >= UNFUNDED_MAX {
            self.note_failures(payer, FAILURES_MAX, now);
        }
    }

    fn note_failures(&self, payer: &str, more: u32, now: UnixSeconds) {
        count(&self.failures, payer, more, now);
    }

    /// Whether too many of a payer's payments have failed lately.
    pub(super) fn is_throttled(&self, payer: &str, now: UnixSeconds) -> bool {
        let failures = self.failures.borrow();
        failures
            .get(payer)
            .is_some_and(|(count, at)| *count >= FAILURES_MAX && now.since(*at) < FAILURE_SECONDS)
    }
}

/// Counts some more for a payer; how many there are now.
fn count(
    all: &RefCell<Table<String, (u32, UnixSeconds)>>,
    payer: &str,
    more: u32,
    now: UnixSeconds,
) -> u32 {
    let mut all = all.borrow_mut();
    all.retain(|_, (_, at)| now.since(*at) < FAILURE_SECONDS);
    let (count, at) = all.get_or_insert_with(payer.to_owned(), || (0, now));
    *count = count.saturating_add(more);
    *at = now;
    *count
}

fn hour(now: UnixSeconds) -> u64 {
    now.0 / FAILURE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(36_000);

    #[test]
    fn three_failures_within_an_hour_are_too_many() {
        let throttle = Throttle::default();
        for seconds in [0, 1_800] {
            throttle.note_failure("a", NOW.plus(seconds));
            assert!(!throttle.is_throttled("a", NOW.plus(seconds)));
        }
        throttle.note_failure("a", NOW.plus(3_000));
        assert!(throttle.is_throttled("a", NOW.plus(3_000 + 3_599)));
        assert!(!throttle.is_throttled("a", NOW.plus(3_000 + 3_600)));
        assert!(!throttle.is_throttled("b", NOW.plus(3_000)));
        throttle.note_burnt("b", NOW);
        assert!(throttle.is_throttled("b", NOW));
        // One is enough to have failed.
        throttle.note_failure("c", NOW);
        let has_failed = |seconds| throttle.has_failed("c", NOW.plus(seconds));
        assert_eq!((has_failed(0), has_failed(3_599), has_failed(3_600)), (true, true, false));
    }

    #[test]
    fn gas_is_counted_by_the_hour() {
        let throttle = Throttle::default();
        throttle.note_failed_gas("a", 5, NOW);
        throttle.note_failed_gas("a", 4, NOW);
        throttle.note_failed_gas("", 3, NOW.plus(3_599));
        assert_eq!(throttle.failed_gas(NOW.plus(3_599)), 12);
        let has_failed = |payer, seconds| throttle.has_failed(payer, NOW.plus(seconds));
        assert_eq!((has_failed("a", 3_599), has_failed("b", 3_599)), (true, false));
        assert!(!has_failed("a", 3_600));
        assert_eq!(throttle.failed_gas(NOW.plus(3_600)), 0);
    }
}
