//! The table `sums`: sales by day, route and token. Its row of day -1 says up to
//! which second sales are folded into it. One statement writes that and the sums,
//! so that nothing is counted twice.
//!
//! An amount has 128 bits, and `SQLite`'s integers 64: it is summed in pieces of
//! ten digits, which a billion sales don't fill.

use serde_json::Value;
use worker::SqlStorageValue;

use super::{DONE, FOREVER, SqlStore, seconds};
use crate::amount::AtomicAmount;
use crate::json;
use crate::settlement::StoreError;
use crate::settlement::sales::SalePlace;
use crate::settlement::sums::{FOLD_MAX, KEEP_DAYS, Sum, SumBy, Sums, SumsQuery};
use crate::time::UnixSeconds;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sums (
        day INTEGER NOT NULL,
        route TEXT NOT NULL,
        asset TEXT NOT NULL,
        count INTEGER NOT NULL,
        a0 INTEGER NOT NULL,
        a1 INTEGER NOT NULL,
        a2 INTEGER NOT NULL,
        a3 INTEGER NOT NULL,
        f0 INTEGER NOT NULL,
        f1 INTEGER NOT NULL,
        PRIMARY KEY (day, route, asset)
    ) WITHOUT ROWID;
";

/// A count, and the pieces of amounts and fees, the lowest digits first.
macro_rules! pieces {
    () => {
        "count(*),
        sum(CAST(substr(amount, -10) AS INTEGER)),
        sum(CAST(substr(amount, -20, 10) AS INTEGER)),
        sum(CAST(substr(amount, -30, 10) AS INTEGER)),
        sum(CAST(substr(amount, -40, 10) AS INTEGER)),
        sum(CAST(substr(fee, -10) AS INTEGER)),
        sum(CAST(substr(fee, -20, 10) AS INTEGER))"
    };
}

/// Sales of some time, as they are summed.
macro_rules! sales {
    ($where:literal) => {
        concat!(
            "(SELECT settled_at / 86400 AS day, ifnull(route, '') AS route, payer,
            sale ->> 'payer' AS shown, ifnull(sale ->> 'asset', '') AS asset,
            sale ->> 'amount' AS amount, ifnull(sale ->> 'fee', '') AS fee
            FROM sales WHERE settled_at >= ?1 AND settled_at < ?2",
            $where,
            ")"
        )
    };
}

const FOLD: &str = concat!(
    "INSERT INTO sums SELECT day, route, asset, ",
    pieces!(),
    " FROM ",
    sales!(""),
    " GROUP BY 1, 2, 3
    UNION ALL SELECT -1, '', '', ?2, 0, 0, 0, 0, 0, 0
    ON CONFLICT (day, route, asset) DO UPDATE SET
        count = iif(day < 0, excluded.count, count + excluded.count),
        a0 = a0 + excluded.a0, a1 = a1 + excluded.a1,
        a2 = a2 + excluded.a2, a3 = a3 + excluded.a3,
        f0 = f0 + excluded.f0, f1 = f1 + excluded.f1"
);

/// Folded sums of some days, and sales that are not folded.
macro_rules! summed_by {
    ($key:literal) => {
        concat!(
            "SELECT json_array(",
            $key,
            ", asset, sum(count), sum(a0), sum(a1), sum(a2), sum(a3), sum(f0), sum(f1))
            FROM (SELECT * FROM sums WHERE day >= ?3 AND day <= ?4
            UNION ALL SELECT day, route, asset, ",
            pieces!(),
            " FROM ",
            sales!(""),
            " GROUP BY 1, 2, 3) GROUP BY ",
            $key,
            ", asset"
        )
    };
}

/// Sales before a place, the newest first.
macro_rules! newest {
    () => {
        sales!(
            " AND (settled_at, payment) < (?3, ?4)
            ORDER BY settled_at DESC, payment DESC LIMIT ?5"
        )
    };
}

const BY_PAYER: &str = concat!(
    "SELECT json_array(shown, asset, ",
    pieces!(),
    ") FROM ",
    newest!(),
    " GROUP BY payer, asset"
);

/// The last of those, and the next one.
const LAST: &str = "SELECT json_array(settled_at, payment) FROM sales
    WHERE settled_at >= ?1 AND settled_at < ?2 AND (settled_at, payment) < (?3, ?4)
    ORDER BY settled_at DESC, payment DESC LIMIT 2 OFFSET ?5 - 1";

const NTH: &str = "SELECT CAST(settled_at AS TEXT) FROM sales
    WHERE settled_at >= ?1 AND settled_at < ?2 ORDER BY settled_at LIMIT 1 OFFSET ?3";

impl SqlStore {
    /// Up to when sales are folded.
    fn folded_until(&self) -> Result<UnixSeconds, StoreError> {
        let query = "SELECT CAST(count AS TEXT) FROM sums WHERE day = -1";
        Ok(self.time(query, vec![])?.unwrap_or_default())
    }

    fn time(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Option<UnixSeconds>, StoreError> {
        let rows = self.texts(query, values)?;
        Ok(rows.first().and_then(|text| text.parse().ok()).map(UnixSeconds))
    }

    /// Folds the oldest sales, if there are at least so many; whether there are
    /// more.
    pub(super) fn fold(&self, until: UnixSeconds, least: u32) -> Result<bool, StoreError> {
        // What is older than what is folded would be in no sum.
        if self.old_sales_entered()? != DONE {
            return Ok(false);
        }
        let from = self.folded_until()?;
        let nth = |n: u32| {
            self.time(NTH, vec![seconds(from), seconds(until), SqlStorageValue::Integer(n.into())])
        };
        if nth(least.saturating_sub(1))?.is_none() {
            return Ok(false);
        }
        let next = nth(FOLD_MAX)?;
        let end = next.map_or(until, |next| next.max(from.plus(1)));
        self.run(FOLD, vec![seconds(from), seconds(end)])?;
        Ok(next.is_some())
    }

    /// Forgets some of the sales that were settled before then, none that is in no
    /// sum yet, and sums after ten years. Says when the oldest that is left was settled.
    pub(super) fn forget(&self, before: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        self.fold(before, 1)?;
        let before = before.min(self.folded_until()?);
        let query = "DELETE FROM sales WHERE (settled_at, payment) IN (SELECT settled_at, payment \
                     FROM sales WHERE settled_at < ? ORDER BY settled_at, payment LIMIT 1000)";
        self.run(query, vec![seconds(before)])?;
        let oldest = before.day().saturating_sub(KEEP_DAYS);
        let query = "DELETE FROM sums WHERE day >= 0 AND day < ?";
        self.run(query, vec![seconds(UnixSeconds(oldest))])?;
        self.time("SELECT CAST(settled_at AS TEXT) FROM sales ORDER BY settled_at LIMIT 1", vec![])
    }

    pub(super) fn sums_of(&self, query: &SumsQuery) -> Result<Sums, StoreError> {
        let (first, last) = (UnixSeconds(query.from), UnixSeconds(query.to));
        let begin = UnixSeconds::of_day(query.from);
        let end = UnixSeconds::of_day(query.to.saturating_add(1));
        let text = match query.by {
            SumBy::Day => summed_by!("CAST(day AS TEXT)"),
            SumBy::Route => summed_by!("route"),
            SumBy::Network => summed_by!("''"),
            SumBy::Payer => return self.payers(query, begin, end),
        };
        let begin = begin.max(self.folded_until()?);
        let values = vec![seconds(begin), seconds(end), seconds(first), seconds(last)];
        Ok(Sums { sums: self.rows_of(text, values)?, ..Sums::default() })
    }

    fn payers(
        &self,
        query: &SumsQuery,
        begin: UnixSeconds,
        end: UnixSeconds,
    ) -> Result<Sums, StoreError> {
        let before = query.before.as_ref();
        // As for a page of sales: one upper bound to seek by.
        let end = before.map_or(end, |place| end.min(place.time.plus(1)));
        let values = vec![
            seconds(begin),
            seconds(end),
            seconds(before.map_or(UnixSeconds(FOREVER), |place| place.time)),
            before.map_or("", |place| place.payment.as_str()).into(),
            SqlStorageValue::Integer(query.limit.into()),
        ];
        let last = self.texts(LAST, values.clone())?;
        let last = last.first().filter(|_| last.len() > 1).and_then(|text| {
            let value = json::parse(text).ok()?;
            let time = UnixSeconds(value.get(0)?.as_u64()?);
            Some(SalePlace { time, payment: value.get(1)?.as_str()?.to_owned() })
        });
        Ok(Sums { sums: self.rows_of(BY_PAYER, values)?, is_behind: false, next: last })
    }

    fn rows_of(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Sum>, StoreError> {
        let rows = self.texts(query, values)?;
        rows.iter()
            .map(|text| {
                let row = json::parse(text).ok();
                row.and_then(|row| read_row(&row)).ok_or_else(|| StoreError("a sum".into()))
            })
            .collect()
    }
}

/// Reads `[key, asset, count, four pieces of the amount, two of the fee]`.
fn read_row(row: &Value) -> Option<Sum> {
    let text = |place: usize| {
        let text = row.get(place)?.as_str()?;
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let number = |pieces: std::ops::Range<usize>| {
        pieces.rev().try_fold(0_u128, |number, place| {
            let piece = row.get(place)?.as_u64()?;
            number.checked_mul(10_u128.pow(10))?.checked_add(piece.into())
        })
    };
    Some(Sum {
        key: text(0),
        asset: text(1),
        count: row.get(2)?.as_u64()?,
        amount: AtomicAmount(number(3..7)?),
        fee: AtomicAmount(number(7..9)?),
    })
}
