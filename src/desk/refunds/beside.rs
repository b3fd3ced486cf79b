//! Refunds of many sales: in a file, and in sums.

use super::Refund;
use crate::amount::AtomicAmount;
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::sales::lookup_key;
use crate::settlement::sums::{SumBy, SumsQuery};
use crate::time::UnixSeconds;

/// How many refunds are read at once.
const PAGE: u32 = 1_000;

/// How often they are read: more of a range are too many.
pub const PAGES: u32 = 20;

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

impl RefundsQuery {
    /// For sales of these times.
    pub fn between(from: Option<UnixSeconds>, to: Option<UnixSeconds>) -> Self {
        Self { from, to, before: None, limit: PAGE }
    }

    /// For sales of the days of these sums.
    pub fn of_days(asked: &SumsQuery) -> Self {
        let start = |day: u64| Some(UnixSeconds(day.saturating_mul(SECONDS_PER_DAY)));
        Self::between(start(asked.from), start(asked.to.saturating_add(1)))
    }

    /// What is to be asked next, after this answer; nothing at the end.
    pub fn next(self, said: &[Refund]) -> Option<Self> {
        let last = said.last().filter(|_| said.len() >= PAGE as usize)?;
        let name = format!("{}/{}", last.network, last.transaction);
        let before = Some(vec![last.sale_time.to_string(), last.payment.clone(), name]);
        Some(Self { before, ..self })
    }
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
