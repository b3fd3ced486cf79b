//! The ledger as a queue: what was sold since, for whoever tells others of it. No
//! row is written for that when a payment is settled.

use super::sales::SalePlace;
use crate::json_struct;
use crate::time::UnixSeconds;

/// Asks a Settler for sales, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesAfter {
    /// Only those behind this one.
    pub after: SalePlace,
    /// Only those before this second, which is not in it: what was settled in a
    /// second that is over is all there.
    pub before: UnixSeconds,
    /// How many at most.
    pub limit: u32,
}

json_struct!(SalesAfter { after, before, limit });

impl SalesAfter {
    /// The same as a Settler may answer it now. Whoever asks may have a clock that is
    /// ahead: of a second that is not over here more may still be written, and what is
    /// written before the last that was told is told to nobody.
    #[must_use]
    pub fn at(&self, now: UnixSeconds) -> Self {
        Self { before: self.before.min(now), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_over_by_the_settlers_own_clock() {
        let after = SalePlace { time: UnixSeconds(5), payment: String::new() };
        let asked = SalesAfter { after, before: UnixSeconds(12), limit: 9 };
        assert_eq!(asked.at(UnixSeconds(10)).before, UnixSeconds(10));
        assert_eq!(asked.at(UnixSeconds(14)), asked);
    }
}
