//! Which payments a transaction made, by its logs.

use super::VerifiedPayment;
use crate::evm::Receipt;

/// Whether our transaction with this receipt made this one payment: [`paid`]
/// for a transaction that is not a batch.
pub fn transfer_happened(receipt: &Receipt, payment: &VerifiedPayment) -> bool {
    paid(receipt, &[payment]) == [true]
}

/// Which of the payments in our transaction were made, in their order.
///
/// Each payment takes a log of its own, so that two payments of the same
/// value between the same two can't both point at one transfer. Which log it
/// is, the payment's method says.
///
/// A false yes gives something away; a false no charges a buyer for nothing.
pub fn paid(receipt: &Receipt, payments: &[&VerifiedPayment]) -> Vec<bool> {
    let mut taken = vec![false; receipt.logs.len()];
    payments
        .iter()
        .map(|payment| {
            let found = payment.proof(&receipt.logs, &taken);
            // The log must not have been another payment's.
            let free = found.and_then(|index| taken.get_mut(index)).filter(|taken| !**taken);
            receipt.succeeded && free.map(|taken| *taken = true).is_some()
        })
        .collect()
}

/// Whether the payment was made in a transaction that is not ours: someone
/// else sent what the buyer signed.
///
/// Only a log that names the payment and the `Transfer` that it led to prove
/// that: in a transaction of a stranger's making, a transfer of the same value
/// may be that of another payment. What was canceled has neither.
///
/// Where no log names a payment, there must be a transfer for each of those that
/// the transaction may have made and that were `used` in its block.
pub fn authorization_transferred(
    receipt: &Receipt,
    payment: &VerifiedPayment,
    used: usize,
) -> bool {
    receipt.succeeded && payment.proof_by_anyone(&receipt.logs, used).is_some()
}
