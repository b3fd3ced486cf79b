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
