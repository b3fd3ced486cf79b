//! Words that records, deliveries and messages have in common.

use crate::amount::AtomicAmount;
use crate::time::UnixSeconds;
use crate::{json_enum, json_struct};

/// For how long a claim is its holder's alone, in seconds.
///
/// Too short, and a slow origin is asked twice for one resource. Too long, and
/// a buyer whose request died waits that long before the payment can be used.
pub const LEASE_SECONDS: u64 = 30;

/// A payment that the chain has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The transaction's hash or signature.
    pub transaction: String,
    /// Who paid.
    pub payer: String,
    /// What was paid, in atomic units.
    pub amount: AtomicAmount,
    /// When the chain's word came.
    pub settled_at: UnixSeconds,
    /// Until when the resource may be delivered again.
    pub redeliver_until: UnixSeconds,
}

json_struct!(Settlement { transaction, payer, amount, settled_at, redeliver_until });

/// What a request showed besides its payment, and that is on no chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The client's own name for the payment.
    pub identifier: Option<String>,
    /// A hash of the address it came from.
    pub client: Option<String>,
}

json_struct!(Proof { identifier, client });

impl Proof {
    /// Whether a request that shows `shown` is by the one that claimed with
    /// this: one thing in common is enough.
    pub fn is_shown_by(&self, shown: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        same(&self.identifier, &shown.identifier) || same(&self.client, &shown.client)
    }
}

/// How much of what was bought is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// A range of it, or its head.
    Part,
    /// The range that the origin has answered with, which is of this version.
    PartOf {
        /// Some bits of a hash of what tells versions apart.
        version: u64,
    },
}

json_enum!(Wanted { Whole, Part, PartOf { version } });

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was taken to its end.
    Whole,
    /// It broke off.
    Broken,
    /// No goods were in it: the origin failed, or answered with an error.
    Nothing,
    /// No goods were in it, but the cookie that fetches them.
    Promised,
}

json_enum!(Ending { Whole, Broken, Nothing, Promised });
