//! The ledger: a row for each sale, and the pages that are asked for.

use worker::SqlStorageValue;

use super::{SqlStore, Write, seconds};
use crate::json::to_text;
use crate::settlement::sales::lookup_key;
use crate::settlement::{Sale, SalesQuery, StoreError};

/// Writes a row of the ledger, if it is not there in the same words: what
/// changes later is who has got the goods. A record that an earlier version
/// has written meanwhile knows less, and changes nothing.
pub(super) fn put_sale(sale: &Sale) -> Write {
    (
        "INSERT INTO sales (settled_at, payment, route, payer, transaction_id, sale)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (settled_at, payment) DO UPDATE SET sale = excluded.sale
        WHERE sale <> excluded.sale
        AND (excluded.sale ->> 'way' IS NOT NULL OR sale ->> 'way' IS NULL)",
        vec![
            seconds(sale.time),
            sale.payment.as_str().into(),
            sale.route.as_deref().map_or(SqlStorageValue::Null, Into::into),
            lookup_key(&sale.payer).into(),
            lookup_key(&sale.transaction).into(),
            to_text(sale).into(),
        ],
    )
}

impl SqlStore {
    /// The sales that are asked for, as a JSON array of what is kept: nothing of it is
    /// read here, which would take the most of the time.
    pub(in crate::runtime) fn sales_text(&self, query: &SalesQuery) -> Result<String, StoreError> {
        let (text, values) = select_sales(query);
        Ok(format!("[{}]", self.texts(&text, values)?.join(",")))
    }
}

/// What is asked for, as a query and its values.
pub(super) fn select_sales(query: &SalesQuery) -> (String, Vec<SqlStorageValue>) {
    let mut text = "SELECT sale FROM sales WHERE 1".to_owned();
    let mut values = vec![];
    let mut with = |condition: &str, value: Option<SqlStorageValue>| {
        if let Some(value) = value {
            text.push_str(" AND ");
            text.push_str(condition);
            values.push(value);
        }
    };
    // SQLite seeks by one upper bound, and steps over all that the other leaves out: on
    // the last page of a million sales that would be all of them.
    let to = query.before.as_ref().map(|place| place.time.plus(1));
    let to = query.to.map(|end| to.map_or(end, |to| to.min(end)));
    with("settled_at >= ?", query.from.map(seconds));
    with("settled_at < ?", to.map(seconds));
    // `+`: no index is taken for it. SQLite doesn't know that a payer or a transaction
    // has fewer sales than a route.
    let is_narrow = query.payer.is_some() || query.transaction.is_some();
    let route = if is_narrow { "+route = ?" } else { "route = ?" };
    with(route, query.route.as_deref().map(Into::into));
    with("payer = ?", query.payer.as_deref().map(|it| lookup_key(it).into()));
    with("transaction_id = ?", query.transaction.as_deref().map(|it| lookup_key(it).into()));
    if let Some(place) = &query.before {
        text.push_str(" AND (settled_at, payment) < (?, ?)");
        values.extend([seconds(place.time), place.payment.as_str().into()]);
    }
    text.push_str(" ORDER BY settled_at DESC, payment DESC LIMIT ?");
    values.push(SqlStorageValue::Integer(query.limit.into()));
    (text, values)
}
