//! What a Settler keeps on disk.

use std::fmt;

use super::PaymentRecord;
use crate::evm::Fees;
use crate::json_struct;
use crate::time::UnixSeconds;

/// The disk failed, or holds what this version can't read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage: {}", self.0)
    }
}

/// A signed transaction, written down before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// What the journal calls it: the hash or signature of its first version.
    pub id: String,
    /// The hash or signature of its latest version.
    pub transaction: String,
    /// The hashes of the versions that this one replaces.
    pub former: Vec<String>,
    /// The bytes to send, in the encoding that the node takes: hex on EVM,
    /// base64 on Solana.
    pub raw: String,
    /// EVM: the relayer's nonce. Solana: the last block height at which the
    /// transaction can land.
    pub bound: u64,
    /// The payments in it, in the order of the calls.
    pub payments: Vec<String>,
    /// When it was written.
    pub written_at: UnixSeconds,
    /// EVM: what it offers for gas.
    pub fees: Option<Fees>,
    /// EVM: its gas limit.
    pub gas: u64,
    /// EVM: the block in which its payments were seen not to be used yet.
    pub seen_block: u64,
    /// EVM: its receipt has been read and its fees are noted. What is left in
    /// it are payments that it did not make, and that may have been made by
    /// somebody else.
    pub judged: bool,
    /// EVM: the hashes of those versions that carry none of its payments, but
    /// only use its nonce up.
    pub empty: Vec<String>,
}

json_struct!(JournalEntry {
    id,
    transaction,
    former,
    raw,
    bound,
    payments,
    written_at,
    fees,
    gas,
    seen_block,
    judged = default,
    empty = default,
});

impl JournalEntry {
    /// Whether this is the hash of one of its versions.
    pub fn has_version(&self, hash: &str) -> bool {
        self.transaction == hash || self.former.iter().any(|former| former == hash)
    }
}

/// The tables of a Settler. What a call has written is on disk before any
/// message leaves that was sent after it.
pub trait Store {
    /// What is known of a payment.
    fn payment(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError>;
    /// Writes a payment's record, over any former one.
    fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError>;
    /// Forgets a payment.
    fn delete_payment(&self, id: &str) -> Result<(), StoreError>;
    /// Writes a transaction, over any former version of it, and in the same
    /// breath the records of the payments that it carries.
    fn submit(&self, entry: &JournalEntry, records: &[PaymentRecord]) -> Result<(), StoreError>;
    /// The transactions whose end is not known.
    fn open_entries(&self) -> Result<Vec<JournalEntry>, StoreError>;
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
    /// What was spent on fees for an account on a day, in wei or lamports.
    fn account_spent_on(&self, account: &str, day: u64) -> Result<u128, StoreError>;
    /// Writes what was spent on fees for an account on a day, in wei or
    /// lamports.
    fn set_account_spent_on(&self, account: &str, day: u64, amount: u128)
    -> Result<(), StoreError>;
    /// Forgets every payment that need not be kept beyond `now`.
    fn forget_until(&self, now: UnixSeconds) -> Result<(), StoreError>;
}
