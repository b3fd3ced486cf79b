//! Refunds beside the sales that they belong to: in a file's order, and in sums.

use std::collections::VecDeque;

use super::Refund;
use crate::amount::AtomicAmount;
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::sales::lookup_key;
use crate::settlement::sums::{SumBy, SumsQuery};
use crate::settlement::{Sale, SalesQuery};
use crate::time::UnixSeconds;

/// How many refunds are read at once.
const PAGE: u32 = 1_000;

const SECONDS_PER_DAY: u64 = 86_400;

/// Asks for refunds that are noted, those of the newest sales first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundsQuery {
    /// Of sales from this time on.
    pub from: Option<UnixSeconds>,
    /// Of sales until this time, which is not in it.
    pub to: Option<UnixSeconds>,
    /// Only those behind this one: its sale's time and payment, and its name.
    pub before: Option<Vec<String>>,
    /// How many at most.
    pub limit: u32,
}

json_struct!(RefundsQuery { from, to, before, limit });

/// The refunds of the sales that a file is made of, read as they are needed.
#[derive(Debug, Default)]
pub struct Beside {
    refunds: VecDeque<Refund>,
    last: Option<Vec<String>>,
    is_over: bool,
}

impl Beside {
    /// What is to be asked before [`Self::of`] can go on.
    pub fn wanted(&self, query: &SalesQuery) -> RefundsQuery {
        let (from, to) = (query.from, query.to);
        RefundsQuery { from, to, before: self.last.clone(), limit: PAGE }
    }

    /// Takes what was asked for.
    pub fn add(&mut self, refunds: Vec<Refund>) {
        self.is_over = refunds.len() < PAGE as usize;
        if let Some(last) = refunds.last() {
            self.last = Some(vec![
                last.sale_time.to_string(),
                last.payment.clone(),
                format!("{}/{}", last.network, last.transaction),
            ]);
        }
        self.refunds.extend(refunds);
    }

    /// Whether what belongs to a sale is known: all of it is before one of another.
    pub fn is_ready_for(&self, sale: &Sale) -> bool {
        self.is_over || self.refunds.back().is_some_and(|last| place_of(last) < place(sale))
    }

    /// What belongs to a sale. They must be asked about from the newest on.
    pub fn of(&mut self, sale: &Sale) -> Vec<Refund> {
        let mut own = vec![];
        while let Some(first) = self.refunds.pop_front() {
            if place_of(&first) < place(sale) {
                self.refunds.push_front(first);
                break;
            }
            // Others are of sales that are not in the file.
            if place_of(&first) == place(sale) {
                own.push(first);
            }
        }
        own
    }
}

fn place(sale: &Sale) -> (UnixSeconds, &str) {
    (sale.time, &sale.payment)
}

fn place_of(refund: &Refund) -> (UnixSeconds, &str) {
    (refund.sale_time, &refund.payment)
}

/// What has come back of the sales that one line of sums is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundSum {
    /// The day as a number, the route, or the payer; none by network.
    pub key: Option<String>,
    /// The network.
    pub network: ChainId,
    /// The token.
    pub asset: String,
    /// How much, in atomic units.
    pub amount: AtomicAmount,
}

json_struct!(RefundSum { key, network, asset, amount });

/// Which refunds sums are about.
pub fn query_for(asked: &SumsQuery, before: Option<Vec<String>>) -> RefundsQuery {
    let start = |day: u64| UnixSeconds(day.saturating_mul(SECONDS_PER_DAY));
    let (from, to) = (Some(start(asked.from)), Some(start(asked.to + 1)));
    RefundsQuery { from, to, before, limit: PAGE }
}

/// Adds refunds to sums.
pub fn add_up(sums: &mut Vec<RefundSum>, refunds: Vec<Refund>, by: SumBy) {
    let new = refunds.into_iter().filter_map(|it| {
        let key = match by {
            SumBy::Day => Some(it.sale_time.day().to_string()),
            SumBy::Route => it.route,
            SumBy::Network => None,
            SumBy::Payer => Some(lookup_key(&it.payer)),
        };
        Some(RefundSum { key, network: it.network, asset: it.asset, amount: it.amount? })
    });
    sums.extend(new);
    sums.sort_unstable_by(|a, b| name(a).cmp(&name(b)));
    sums.dedup_by(|it, kept| {
        let is_same = name(it) == name(kept);
        if is_same {
            kept.amount.0 = kept.amount.0.saturating_add(it.amount.0);
        }
        is_same
    });
}

fn name(sum: &RefundSum) -> (Option<&str>, ChainId, &str) {
    (sum.key.as_deref(), sum.network, &sum.asset)
}

/// What has come back of the sales of one line.
pub fn refunded(
    sums: &[RefundSum],
    by: SumBy,
    key: Option<&str>,
    (network, asset): (ChainId, Option<&str>),
) -> Option<AtomicAmount> {
    let key = key.map(|key| if by == SumBy::Payer { lookup_key(key) } else { key.to_owned() });
    let is_its = |it: &&RefundSum| {
        it.key == key && it.network == network && Some(it.asset.as_str()) == asset
    };
    sums.iter().find(is_its).map(|it| it.amount)
}
