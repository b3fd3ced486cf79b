//! The fee payer's signature: what makes a verified payment a transaction
//! that the chain takes.

use super::signature::FeePayerKey;
use super::verify::VerifiedPayment;
use crate::encoding::encode_base64;
use crate::plain_error;

/// A transaction with every signature. Whoever holds it can send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The fee payer's signature in base58: the transaction's id.
    pub signature: String,
    /// The transaction as the network carries it.
    pub raw: Vec<u8>,
}

impl SignedTransaction {
    /// The transaction as a node takes it.
    pub fn to_base64(&self) -> String {
        encode_base64(&self.raw)
    }
}

/// The key is not that of the fee payer that the payment names. Our fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongFeePayer;

plain_error!(WrongFeePayer, |_| "the key is not that of the fee payer that the payment names");

/// Adds the fee payer's signature. The same payment always gives the same
/// transaction, so that doing it again after a crash changes nothing.
///
/// # Errors
/// [`WrongFeePayer`] for another account's key.
pub fn co_sign(
    payment: &VerifiedPayment,
    key: &FeePayerKey,
) -> Result<SignedTransaction, WrongFeePayer> {
    if key.pubkey() != *payment.fee_payer() {
        return Err(WrongFeePayer);
    }
    let mut transaction = payment.transaction().clone();
    let ours = transaction.signatures.first_mut().ok_or(WrongFeePayer)?;
    *ours = key.sign(&transaction.message.bytes);
    Ok(SignedTransaction { signature: ours.to_string(), raw: transaction.to_bytes() })
}
