//! What a Settler keeps on disk.

use std::fmt;

use super::outbox::SalesAfter;
use super::sums::{Sums, SumsQuery};
use super::{Entry, PaymentRecord, Sale, SalesQuery};
use crate::time::UnixSeconds;

/// The disk failed, or holds what this version can't read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage: {}", self.0)
    }
}

impl std::error::Error for StoreError {}

/// For how many days (UTC), with the present one, an account's sums are asked for.
pub const SUM_DAYS: u64 = 7;

/// The tables of a Settler. What a call has written is on disk before any
/// message leaves that was sent after it. A call that fails has written nothing.
pub trait Store {
    /// What is known of a payment.
    fn payment(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError>;
    /// Writes a payment's record, over any former one, and in the same breath its
    /// row of the ledger, if it is a sale.
    fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError>;
    /// Keeps a new claim of a payment that nothing is known of, without writing it
    /// yet. It counts as if it was written, and dies with this object.
    fn keep_claim(&self, claim: PaymentRecord);
    /// Keeps what this writes, all of it, without writing it yet. It counts as if it
    /// was written, and dies with this object. What is written or read later is so
    /// after it, but for records that are known; what `write` itself reads is as it was
    /// before. The disk takes all of it or nothing.
    ///
    /// # Errors
    /// Those of `write`: then nothing is kept.
    fn keep<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError>
    where
        Self: Sized;
    /// Writes what this writes, at once, and all of it or nothing. A [kept
    /// claim](Self::keep_claim) that it was about is gone if it fails.
    ///
    /// # Errors
    /// Those of `write`, or the disk failed: then nothing is written.
    fn as_one<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError>
    where
        Self: Sized;
    /// Writes the claims, and what else is kept.
    ///
    /// # Errors
    /// The disk failed. What it didn't take stays kept, and counts.
    fn write_kept(&self) -> Result<(), StoreError>;
    /// Whether anything is left that [`keep`](Self::keep) has kept.
    fn has_kept(&self) -> bool;
    /// Forgets a payment.
    fn delete_payment(&self, id: &str) -> Result<(), StoreError>;
    /// Writes a transaction, over any former version of it, and in the same
    /// breath the records of the payments that it carries.
    fn submit(&self, entry: &Entry, records: &[PaymentRecord]) -> Result<(), StoreError>;
    /// The transactions to a chain whose end is not known.
    fn open_entries(&self) -> Result<Vec<Entry>, StoreError>;
    /// Of what is open at a facilitator so many at most, in the order of their names:
    /// those whose names come after this one. Without an entry where it can't be read.
    fn at_facilitator(
        &self,
        after: &str,
        most: u32,
    ) -> Result<Vec<(String, Option<Entry>)>, StoreError>;
    /// How many are open there whose names begin so, counted as far as this.
    fn count_at_facilitator(&self, names: &str, most: u32) -> Result<u32, StoreError>;
    /// The entry of this name, if it is open.
    fn open_entry(&self, id: &str) -> Result<Option<Entry>, StoreError>;
    /// Writes what became of a transaction's payments and closes it.
    fn close(&self, id: &str, records: &[PaymentRecord]) -> Result<(), StoreError>;
    /// The payment that a client gave a name to.
    fn payment_named(&self, identifier: &str) -> Result<Option<String>, StoreError>;
    /// Writes that a client gave a name to a payment; the name is forgotten
    /// together with the payment.
    fn name_payment(&self, identifier: &str, payment: &str) -> Result<(), StoreError>;
    /// What was spent on fees on a day (counted from 1970), in wei or lamports.
    fn spent_on(&self, day: u64) -> Result<u128, StoreError>;
    /// Writes what was spent on fees on a day, in wei or lamports.
    fn set_spent_on(&self, day: u64, amount: u128) -> Result<(), StoreError>;
    /// What was spent on fees for an account on a day, in wei or lamports. Other
    /// sums of a day have names that no account has ([`Unpaid`](super::Unpaid)).
    fn account_spent_on(&self, account: &str, day: u64) -> Result<u128, StoreError>;
    /// Writes what was spent on fees for an account on a day, in wei or
    /// lamports.
    fn set_account_spent_on(&self, account: &str, day: u64, amount: u128)
    -> Result<(), StoreError>;
    /// The payments of what was, or is being, delivered before it is settled
    /// ([`PaymentRecord::unsettled`]).
    fn unsettled(&self) -> Result<Vec<PaymentRecord>, StoreError>;
    /// Some of those that are never forgotten by themselves
    /// ([`FOREVER`](super::record::FOREVER)), at most so many: those under way, and
    /// those that are owed.
    fn waiting(&self, most: u32) -> Result<Vec<PaymentRecord>, StoreError>;
    /// The sales that are asked for, the newest first.
    fn sales(&self, query: &SalesQuery) -> Result<Vec<Sale>, StoreError>;
    /// Folds the oldest sales that were settled before `until` into sums, if there
    /// are at least so many that are in none; whether there are more.
    fn fold_sales(&self, until: UnixSeconds, least: u32) -> Result<bool, StoreError>;
    /// The sums that are asked for, with the sales that are not folded yet.
    fn sums(&self, query: &SumsQuery) -> Result<Sums, StoreError>;
    /// The sales that are asked for, the oldest first.
    fn sales_after(&self, asked: &SalesAfter) -> Result<Vec<Sale>, StoreError>;
    /// Forgets the sales that were settled before then, a thousand at once: the
    /// next call goes on. Their sums stay. Says when the oldest that is left was
    /// settled.
    fn forget_sales(&self, before: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError>;
    /// Makes the rows of the ledger that release 0.1.0 has not made, of so many
    /// records at most, and writes down how far that has got; whether there are
    /// more.
    fn enter_old_sales(&self, most: u32) -> Result<bool, StoreError>;
    /// Forgets every payment that need not be kept beyond `now`.
    fn forget_until(&self, now: UnixSeconds) -> Result<(), StoreError>;
}
