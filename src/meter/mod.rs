//! How much of a thing was used, for what is sold by use (x402's scheme
//! `upto`): what an origin says of it, and what a meter of the gate's own counts
//! in an answer on its way.
//!
//! Nothing here keeps an answer. A [`Counter`] is shown its chunks, remembers a
//! few hundred bytes at most, and says at any time what was counted so far.

mod events;
pub mod overrides;
mod scan;

use crate::amount::{AtomicAmount, Price};

use events::Events;
use scan::Scan;
pub use scan::{Path, Quantity};

/// A meter, as a route has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// What is counted.
    pub what: What,
    /// How many of it the price is for.
    pub per: u64,
    /// What so many cost.
    pub price: Price,
}

/// What a meter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A number in the JSON of an answer, or of the last of its events that has
    /// it.
    Json(Path),
    /// The bytes of the body.
    Bytes,
}

impl Meter {
    /// Whether it reads what the body says.
    pub const fn reads_text(&self) -> bool {
        matches!(self.what, What::Json(_))
    }

    /// What so much costs, in atomic units of a dollar token with this many
    /// decimals, and no more than `most`. What is not a whole unit is not
    /// charged, as in the reference implementation.
    pub fn cost(&self, used: Quantity, decimals: u8, most: AtomicAmount) -> AtomicAmount {
        let millionths = u128::from(self.per).saturating_mul(1_000_000);
        let cost = self.price.times(used.millionths(), millionths, decimals);
        // What can't be counted any more is more than anything.
        AtomicAmount(cost.unwrap_or(u128::MAX)).min(most)
    }
}

/// What is charged where nothing says how much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutAmount {
    /// All that the buyer has signed for.
    Most,
    /// Nothing.
    #[default]
    Nothing,
}

/// What was found in an answer so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// So much.
    Used(Quantity),
    /// What is no amount stands where one belongs.
    Unreadable,
    /// Nothing was said of it.
    Nothing,
}

/// Counts in one answer.
#[derive(Debug)]
pub struct Counter(Inner);

#[derive(Debug)]
enum Inner {
    Bytes(u64),
    Json(Box<Scan>),
    Events(Box<Events>),
}

impl Counter {
    /// A counter for an answer of this media type.
    pub fn new(what: &What, content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Self(match what {
            What::Bytes => Inner::Bytes(0),
            What::Json(path) if media_type.eq_ignore_ascii_case("text/event-stream") => {
                Inner::Events(Box::new(Events::new(path.clone())))
            }
            What::Json(path) => Inner::Json(Box::new(Scan::new(path.clone()))),
        })
    }

    /// Counts what was sent to the buyer.
    pub fn take(&mut self, chunk: &[u8]) {
        match &mut self.0 {
            Inner::Bytes(count) => {
                *count = count.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            }
            Inner::Json(scan) => scan.take(chunk),
            Inner::Events(events) => events.take(chunk),
        }
    }

    /// What was counted so far.
    pub fn reading(&self) -> Reading {
        match &self.0 {
            Inner::Bytes(count) => Reading::Used(Quantity::whole(*count)),
            Inner::Json(scan) => scan.reading(),
            Inner::Events(events) => events.reading(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(per: u64, price: &str) -> Meter {
        Meter { what: What::Bytes, per, price: price.parse().unwrap() }
    }

    #[test]
    fn what_is_not_a_whole_unit_is_not_charged() {
        let most = AtomicAmount(50_000);
        let tokens = meter(1_000, "$0.002");
        for (used, cost) in [(0, 0), (1, 2), (999, 1_998), (1_000, 2_000), (1_234, 2_468)] {
            assert_eq!(tokens.cost(Quantity::whole(used), 6, most), AtomicAmount(cost), "{used}");
        }
        let bytes = meter(1_048_576, "$0.01");
        for (used, cost) in [(104, 0), (105, 1), (1_048_576, 10_000), (1_572_864, 15_000)] {
            assert_eq!(bytes.cost(Quantity::whole(used), 6, most), AtomicAmount(cost), "{used}");
        }
        // Finer than the token is: a thousandth of its unit for each.
        assert_eq!(meter(1, "$0.000000001").cost(Quantity::whole(1_999), 6, most), AtomicAmount(1));
    }

    #[test]
    fn never_more_than_the_most() {
        let most = AtomicAmount(50_000);
        for used in [25_001, 25_000_000, u64::MAX] {
            assert_eq!(meter(1_000, "$0.002").cost(Quantity::whole(used), 6, most), most, "{used}");
        }
        let dear = meter(1, "$1000000");
        assert_eq!(dear.cost(Quantity::whole(u64::MAX), 18, most), most);
    }

    #[test]
    fn bytes_are_counted_whatever_they_are() {
        let mut counter = Counter::new(&What::Bytes, "");
        assert_eq!(counter.reading(), Reading::Used(Quantity::whole(0)));
        counter.take(&[0xff; 5]);
        counter.take(b"{\"a\":");
        assert_eq!(counter.reading(), Reading::Used(Quantity::whole(10)));
    }
}
