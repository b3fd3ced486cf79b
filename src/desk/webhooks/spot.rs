//! What is kept of a message that was put aside.

use crate::json_struct;
use crate::settlement::sales::SalePlace;
use crate::time::UnixSeconds;

/// A message that was tried and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// What it is called.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Where it is, if it is a sale; events are found by their id.
    pub sale: Option<SaleSpot>,
    /// When it was first tried.
    pub since: UnixSeconds,
    /// How often it was.
    pub tries: u64,
    /// Not before then.
    pub next_at: UnixSeconds,
    /// What was answered last; none if nothing came.
    pub status: Option<u64>,
    /// Whether something new was taken since.
    pub overtaken: bool,
}

json_struct!(Aside { id, kind, sale, since, tries, next_at, status, overtaken = default });

/// Where a sale is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleSpot {
    /// With whom.
    pub settler: String,
    /// Behind this one.
    pub after: SalePlace,
    /// Its own place.
    pub place: SalePlace,
}

json_struct!(SaleSpot { settler, after, place });
