//! Sums of the ledger: how much was sold, by day, route, network or payer.
//!
//! Summing a million sales anew for each question would stop the Settler for
//! seconds, and a row of sums written with each sale would cost as much as the
//! sale. So sales are folded into rows of sums later, some thousands at a time:
//! by the alarm, and when somebody asks. What is not folded yet is scanned.

use super::sales::SalePlace;
use crate::amount::AtomicAmount;
use crate::{json_enum, json_struct};

/// Only sales older than this are folded, in seconds. If a clock is set back by
/// more, sales that it then dates before the last fold are in no sum.
pub(super) const SETTLED_SECONDS: u64 = 60;

/// How many sales are left to a scan: for fewer no rows are written.
pub const FOLD_FROM: u32 = 1_000;

/// How many sales are folded at once, which stops the Settler for some tens of
/// milliseconds.
pub const FOLD_MAX: u32 = 5_000;

/// How many folds one question waits for.
pub(super) const FOLDS_A_CALL: u32 = 4;

/// For how long sums are kept, in days.
pub const KEEP_DAYS: u64 = 3_660;

/// What sales are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumBy {
    /// The day (UTC).
    Day,
    /// The route.
    Route,
    /// The network.
    Network,
    /// Who paid.
    Payer,
}

json_enum!(SumBy { Day, Route, Network, Payer });

/// Asks a Settler for sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumsQuery {
    /// The first day, counted from 1970-01-01.
    pub from: u64,
    /// The last day, which is in it.
    pub to: u64,
    /// What by.
    pub by: SumBy,
    /// By payers: only sales that are older than this one.
    pub before: Option<SalePlace>,
    /// By payers: how many sales are looked at.
    pub limit: u32,
}

json_struct!(SumsQuery { from, to, by, before, limit });

/// Sales that have something in common, and the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The day as a number, the route, or the payer; none by network, and for
    /// sales of no route.
    pub key: Option<String>,
    /// The token's address or mint; not known of what was settled by 0.1.0.
    pub asset: Option<String>,
    /// How many sales.
    pub count: u64,
    /// What was paid, in atomic units.
    pub amount: AtomicAmount,
    /// What was spent on fees as far as it is known, in wei or lamports.
    pub fee: AtomicAmount,
}

json_struct!(Sum { key, asset, count, amount, fee });

/// What a Settler says of its sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The sums; by payers those of the sales that were looked at.
    pub sums: Vec<Sum>,
    /// Whether sales are still being folded: ask again.
    pub is_behind: bool,
    /// By payers: where the next sales begin, if there are any.
    pub next: Option<SalePlace>,
}

json_struct!(Sums { sums, is_behind, next });
