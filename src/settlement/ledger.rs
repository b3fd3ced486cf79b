//! What the ledger is told of the end of a payment, and the log with it.
//!
//! The row itself is written with the record, by [`Store::put_payment`].

use super::budget::share_of;
use super::sales::SalesQuery;
use super::shared::{Shared, WAKE_SECONDS};
use super::sums::{FOLD_FROM, FOLDS_A_CALL, SETTLED_SECONDS, SumBy, Sums, SumsQuery};
use super::{Host, PaymentRecord, Sale, Settler, Store, StoreError};
use crate::time::UnixSeconds;

/// Of how many records of release 0.1.0 the sales are entered at once.
pub const OLD_SALES: u32 = 100;

/// How many sales are read at once, and how often, where it is asked who has paid.
const PAID_SALES: u32 = 50;
const PAID_PAGES: u32 = 20;

/// How late sales are forgotten at most, where nothing else wakes the Settler, in
/// seconds.
const FORGET_SECONDS: u64 = 86_400;

impl<H: Host> Settler<H> {
    /// The same Settler, which keeps sales for so many seconds, and not for ever.
    #[must_use]
    pub const fn keeping_sales(mut self, seconds: u64) -> Self {
        self.keep_sales = seconds;
        self
    }

    /// The sales that are asked for, the newest first.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sales(&self, query: &SalesQuery) -> Result<Vec<Sale>, StoreError> {
        self.shared.store.sales(query)
    }

    /// The sums that are asked for.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sums(&self, query: &SumsQuery) -> Result<Sums, StoreError> {
        sums_in(&self.shared.store, query, self.shared.host.now())
    }

    /// Enters some of the sales that release 0.1.0 has made, sums some up, and
    /// forgets those that are too old.
    pub(super) fn keep_ledger(&self) -> Result<(), StoreError> {
        if self.shared.store.enter_old_sales(OLD_SALES)? {
            self.shared.host.wake_in(WAKE_SECONDS);
        }
        fold_in(&self.shared.store, self.shared.host.now())?;
        let since_when = self.shared.host.now().0.saturating_sub(self.keep_sales);
        // Also if nothing is sold any more.
        if let Some(oldest) = self.shared.store.forget_sales(UnixSeconds(since_when))? {
            let due = oldest.0.saturating_sub(since_when);
            self.shared.host.wake_in(due.clamp(WAKE_SECONDS, FORGET_SECONDS));
        }
        Ok(())
    }
}

/// The sums that are asked for, of a Settler's tables.
///
/// # Errors
/// The disk failed.
pub fn sums_in<S: Store>(
    store: &S,
    query: &SumsQuery,
    now: UnixSeconds,
) -> Result<Sums, StoreError> {
    if query.by != SumBy::Payer {
        let mut folds = 0;
        while fold_in(store, now)? {
            folds += 1;
            if folds == FOLDS_A_CALL {
                return Ok(Sums { is_behind: true, ..Sums::default() });
            }
        }
    }
    store.sums(query)
}

/// Folds some sales; whether there are more.
fn fold_in<S: Store>(store: &S, now: UnixSeconds) -> Result<bool, StoreError> {
    let until = now.0.saturating_sub(SETTLED_SECONDS);
    store.fold_sales(UnixSeconds(until), FOLD_FROM)
}

impl<H: Host> Shared<H> {
    /// Remembers each payment's share of a transaction's fees, in wei or
    /// lamports, until the payment has come to its end. A restart forgets those
    /// of which the end was not clear at once.
    pub(super) fn note_fees(&self, amount: u128, payments: &[String]) {
        let share = share_of(amount, payments.len());
        for payment in payments {
            self.fees.note(payment, share);
        }
    }

    /// Whether there is enough among the sales that are asked for, the newest first,
    /// that the seller was paid for: not what was charged to nobody, nor what a
    /// client of the facilitator has sold. Of a thousand at most.
    pub(super) fn has_paid(
        &self,
        mut query: SalesQuery,
        mut is_enough: impl FnMut(&Sale) -> bool,
    ) -> Result<bool, StoreError> {
        query.limit = PAID_SALES;
        for _ in 0..PAID_PAGES {
            let sales = self.store.sales(&query)?;
            if sales.iter().any(|sale| sale.is_paid_to_us() && is_enough(sale)) {
                return Ok(true);
            }
            match sales.last() {
                Some(last) if sales.len() == PAID_SALES as usize => {
                    query.before = Some(last.place());
                }
                _ => break,
            }
        }
        Ok(false)
    }

    /// Lets the log know of a sale, once it is written.
    pub(super) fn log_sale(&self, record: &PaymentRecord) {
        if let Some(sale) = record.sale() {
            self.host.log(&sale.log_line());
            self.host.collect(&sale);
            self.host.sold();
        }
    }

    /// Writes a line for the operator that anybody can bring about: so many a
    /// minute.
    pub(super) fn log_refusal(&self, line: &str) {
        let written = self.lines.count(self.host.now());
        if let Some(count) = written.left_out {
            self.host.log(&format!("{count} lines like these were left out in an earlier minute"));
        }
        if written.line {
            self.host.log(line);
        }
    }
}
