//! What the ledger is told of the end of a payment, and the log with it.
//!
//! The row itself is written with the record, by [`Store::put_payment`].

use super::budget::share_of;
use super::sales::SalesQuery;
use super::shared::Shared;
use super::{Host, PaymentRecord, Sale, Settler, Store, StoreError};
use crate::time::UnixSeconds;

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

    /// Forgets the sales that are too old.
    pub(super) fn forget_sales(&self) -> Result<(), StoreError> {
        let since_when = self.shared.host.now().0.saturating_sub(self.keep_sales);
        self.shared.store.forget_sales(UnixSeconds(since_when))
    }
}

impl<H: Host> Shared<H> {
    /// Remembers each payment's share of a transaction's fees, in wei or
    /// lamports, until the payment has come to its end. A restart forgets those
    /// of which the end was not clear at once.
    pub(super) fn note_fees(&self, amount: u128, payments: &[String]) {
        let share = share_of(amount, payments.len());
        let mut fees = self.fees.borrow_mut();
        for payment in payments {
            *fees.get_or_insert_with(payment.clone(), Default::default) += share;
        }
    }

    /// Lets the log know of a sale, once it is written.
    pub(super) fn log_sale(&self, record: &PaymentRecord) {
        if let Some(sale) = record.sale() {
            self.host.log(&sale.log_line());
        }
    }

    /// Takes what was spent on a payment.
    pub(super) fn take_fee(&self, payment: &str) -> Option<u128> {
        self.fees.borrow_mut().remove(payment)
    }
}
