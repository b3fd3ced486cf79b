//! Several calls in one, by Multicall3. It knows no way to move a token.

use super::abi::{self, Call3};
use super::{Address, Call, Facts, VerifiedPayment};

/// The most gas that one payment is given, and a transaction around payments:
/// well above what the known tokens need (65,000 alone).
pub const GAS_PER_PAYMENT: u64 = 120_000;
/// See [`GAS_PER_PAYMENT`].
pub const GAS_PER_TRANSACTION: u64 = 60_000;

/// What one payment adds to the calldata of a batch, in bytes, and the batch
/// around the payments: Solidity ABI of `aggregate3`.
pub const CALLDATA_PER_PAYMENT: u64 = 512;
/// See [`CALLDATA_PER_PAYMENT`].
pub const CALLDATA_PER_BATCH: u64 = 68;

/// The call that settles several payments in one transaction, by Multicall3's
/// `aggregate3`. Each may fail without the others: what became of each is in
/// the receipt's logs ([`super::paid`]), not in the receipt's status.
pub fn batch_call(payments: &[&VerifiedPayment], multicall3: Address) -> Call {
    batch(payments, multicall3, true)
}

/// The same batch, reverting if one payment fails: for `eth_estimateGas`.
///
/// An estimate is the least gas with which the transaction does not revert.
/// Where payments may fail on their own, that is too little: a payment that
/// runs out of gas fails, and the transaction goes through. Estimate this,
/// send [`batch_call`], with some gas to spare.
pub fn batch_estimate_call(payments: &[&VerifiedPayment], multicall3: Address) -> Call {
    batch(payments, multicall3, false)
}

/// The call, for `eth_call`, that asks for the facts of payments in one round
/// trip. The transfers are simulated one after the other, so of two payments
/// of one payer who has the money for one, the second is seen to fail.
pub fn check_call(payments: &[&VerifiedPayment], multicall3: Address) -> Call {
    let calls = payments.iter().flat_map(|payment| payment.preview_calls());
    let calls: Vec<_> = calls.map(|call| call3(call, true)).collect();
    Call { to: multicall3, data: abi::aggregate3(&calls) }
}

/// Reads what [`check_call`] returned for these payments, in their order;
/// `None` if it is not that.
pub fn read_check(data: &[u8], payments: &[&VerifiedPayment]) -> Option<Vec<Facts>> {
    let counts: Vec<_> = payments.iter().map(|it| it.preview_count()).collect();
    let mut results = abi::decode_aggregate3(data, counts.iter().sum())?.into_iter();
    let facts = payments.iter().zip(counts).map(|(payment, count)| {
        let answers = results.by_ref().take(count).map(|result| {
            if result.success {
                Ok(result.return_data)
            } else {
                Err(revert_reason(&result.return_data))
            }
        });
        payment.read_preview(answers.collect())
    });
    Some(facts.collect())
}

/// The call, for `eth_call`, that asks several questions at once.
pub fn questions_call(questions: &[&Call], multicall3: Address) -> Call {
    let calls: Vec<_> = questions.iter().map(|call| call3((*call).clone(), false)).collect();
    Call { to: multicall3, data: abi::aggregate3(&calls) }
}

/// Reads what [`questions_call`] returned for so many questions, in their order;
/// `None` if it is not that, or one has failed.
pub fn read_questions(data: &[u8], count: usize) -> Option<Vec<Vec<u8>>> {
    let results = abi::decode_aggregate3(data, count)?;
    results.into_iter().map(|it| it.success.then_some(it.return_data)).collect()
}

/// The text that a revert left (`Error(string)`), bounded and printable; for
/// logs. `None` for custom errors, panics and nothing at all.
pub fn revert_reason(data: &[u8]) -> Option<String> {
    abi::decode_error_string(data)
}

fn batch(payments: &[&VerifiedPayment], multicall3: Address, allow_failure: bool) -> Call {
    let calls: Vec<_> =
        payments.iter().map(|payment| call3(payment.call(), allow_failure)).collect();
    Call { to: multicall3, data: abi::aggregate3(&calls) }
}

fn call3(call: Call, allow_failure: bool) -> Call3 {
    Call3 { target: call.to, allow_failure, call_data: call.data }
}
