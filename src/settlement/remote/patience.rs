//! For how long, and how often, it is asked what became of a payment.

use crate::settlement::journal::FacilitatorEntry;
use crate::time::UnixSeconds;

/// For how long the outcome of a payment is waited for at most, in seconds,
/// where the payment itself ends later or never.
const LONGEST_WAIT: u64 = 86_400;

/// How long one that has ended is left in peace, in seconds: this part of the time
/// since then, and at most so long.
const PAUSE_PART: u64 = 8;
const LONGEST_PAUSE: u64 = 3_600;

/// A payment's end, or that of everybody's patience.
pub(super) fn end_of(entry: &FacilitatorEntry) -> UnixSeconds {
    entry.sent.expires_at.min(entry.written_at.plus(LONGEST_WAIT))
}

/// How long after the last time it is asked again, in seconds.
pub(super) fn pause_after(entry: &FacilitatorEntry, now: UnixSeconds) -> u64 {
    (now.since(end_of(entry)) / PAUSE_PART).min(LONGEST_PAUSE)
}
