//! What is asked of `/.edge402/sales/sums`, and what is answered: the sums of
//! all Settlers together, and how many payments were refused.

use super::query::pairs_of;
use super::refunds::{RefundSum, refunded};
use crate::amount::AtomicAmount;
use crate::config::Config;
use crate::json::{ToJson, write_object};
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::sums::{KEEP_DAYS, Sum, SumBy, SumsQuery};
use crate::time::{UnixSeconds, day_of, parse_day};

/// Where sums are read.
pub const SUMS_PATH: &str = "/.edge402/sales/sums";

const KNOWN: &[&str] = &["from", "to", "by"];

/// How many days are summed, unless something else is asked for.
const DAYS: u64 = 30;

/// How many payers are told of.
const PAYERS: usize = 50;

/// How many sales are looked at for them, of all Settlers together.
pub const PAYERS_SALES: u64 = 100_000;

/// How many sales one question to a Settler is about, which stops it for some tens
/// of milliseconds; and how many one round of questions to all of them is.
const PAYERS_PAGE: u64 = 5_000;
const PAYERS_ROUND: u64 = 20_000;

/// How many sales each of so many Settlers is asked about in a round, if so many are
/// left to be looked at.
pub fn payers_page(settlers: usize, left: u64) -> u32 {
    let settlers = u64::try_from(settlers).unwrap_or(u64::MAX).max(1);
    let page = (PAYERS_ROUND.min(left) / settlers).clamp(1, PAYERS_PAGE);
    u32::try_from(page).unwrap_or(1)
}

/// How often a Settler is asked again that still folds sales.
pub const PATIENCE: u32 = 64;

/// Reads a request's query (from its `?` on).
///
/// # Errors
/// A sentence for the client: what to change.
pub fn read_query(query: &str, now: UnixSeconds) -> Result<SumsQuery, String> {
    let (mut from, mut to, mut by) = (None, None, SumBy::Day);
    for (name, value) in pairs_of(query, KNOWN)? {
        let day = || {
            let day = parse_day(&value);
            day.ok_or_else(|| format!("{name} must be a day such as 2026-01-31"))
        };
        match name.as_str() {
            "from" => from = Some(day()?),
            "to" => to = Some(day()?),
            _ => {
                by = match value.as_str() {
                    "day" => SumBy::Day,
                    "route" => SumBy::Route,
                    "network" => SumBy::Network,
                    "payer" => SumBy::Payer,
                    _ => return Err("by must be day, route, network or payer".into()),
                }
            }
        }
    }
    let to = to.unwrap_or_else(|| now.day());
    let from = from.unwrap_or_else(|| to.saturating_sub(DAYS - 1));
    if to < from {
        return Err("the range ends before it starts: to is earlier than from".into());
    }
    if to - from >= KEEP_DAYS {
        return Err(format!("the range is longer than {KEEP_DAYS} days"));
    }
    Ok(SumsQuery { from, to, by, before: None, limit: 0 })
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    key: Option<String>,
    network: ChainId,
    asset: Option<String>,
    decimals: Option<u8>,
    symbol: Option<String>,
    count: u64,
    amount: AtomicAmount,
    fee: AtomicAmount,
    refunded: Option<AtomicAmount>,
}

json_struct!(Line {
    key = null,
    network,
    asset = null,
    decimals = null,
    symbol = null,
    count,
    amount,
    fee,
    refunded,
});

/// How many payments were refused for one reason on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The day, counted from 1970-01-01.
    pub day: u64,
    /// The code of the reason.
    pub reason: String,
    /// How many.
    pub count: u64,
}

impl ToJson for Refused {
    fn write_json(&self, to: &mut String) {
        let day = day_of(self.day);
        write_object(&[("day", &day), ("reason", &self.reason), ("count", &self.count)], to);
    }
}

/// The sums of some Settlers, by their networks.
#[derive(Debug, Default)]
pub struct Together(Vec<Line>);

impl Together {
    /// Adds what a Settler of a network has said.
    pub fn add(&mut self, network: ChainId, sums: Vec<Sum>) {
        if sums.is_empty() {
            return;
        }
        let lines = sums.into_iter().map(|sum| {
            let Sum { key, asset, count, amount, fee } = sum;
            Line {
                key,
                network,
                asset,
                decimals: None,
                symbol: None,
                count,
                amount,
                fee,
                refunded: None,
            }
        });
        self.0.extend(lines);
        self.0.sort_unstable_by(|a, b| {
            (&a.key, a.network, &a.asset).cmp(&(&b.key, b.network, &b.asset))
        });
        self.0.dedup_by(|line, kept| {
            let is_same =
                (&line.key, line.network, &line.asset) == (&kept.key, kept.network, &kept.asset);
            if is_same {
                kept.count += line.count;
                kept.amount.0 = kept.amount.0.saturating_add(line.amount.0);
                kept.fee.0 = kept.fee.0.saturating_add(line.fee.0);
            }
            is_same
        });
    }

    /// The answer, as JSON. `is_cut`: whether sales were left out. `refunds`: what has
    /// come back of the sales of these days.
    pub fn answer(
        mut self,
        config: &Config,
        asked: &SumsQuery,
        is_cut: bool,
        refused: &Vec<Refused>,
        refunds: &[RefundSum],
    ) -> String {
        for line in &mut self.0 {
            let of = (line.network, line.asset.as_deref());
            line.refunded = refunded(refunds, asked.by, line.key.as_deref(), of);
            let network = config.network(line.network);
            let mut tokens = network.iter().flat_map(|network| network.tokens());
            let asset = line.asset.as_deref();
            let token = tokens.find(|token| asset.is_some_and(|it| token.asset.is_at(it)));
            line.decimals = token.map(|token| token.decimals);
            line.symbol = token.map(|token| token.symbol.clone());
            match asked.by {
                SumBy::Network => line.key = Some(line.network.to_string()),
                SumBy::Day => {
                    let day = line.key.as_ref().and_then(|day| day.parse().ok());
                    line.key = day.map(day_of);
                }
                SumBy::Route | SumBy::Payer => {}
            }
        }
        let by = match asked.by {
            SumBy::Day => "day",
            SumBy::Route => "route",
            SumBy::Network => "network",
            SumBy::Payer => {
                // Of two tokens, what is worth more is not known here.
                self.0.sort_by(|a, b| b.in_tokens().total_cmp(&a.in_tokens()));
                self.0.truncate(PAYERS);
                "payer"
            }
        };
        let (from, to) = (day_of(asked.from), day_of(asked.to));
        let mut text = String::new();
        write_object(
            &[
                ("from", &from),
                ("to", &to),
                ("by", &by),
                ("sums", &self.0),
                ("cut", &is_cut),
                ("refused", refused),
            ],
            &mut text,
        );
        text
    }
}

impl Line {
    /// The amount in whole tokens, roughly.
    fn in_tokens(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "for an order alone")]
        let amount = self.amount.0 as f64;
        amount / 10_f64.powi(self.decimals.unwrap_or(0).into())
    }
}
