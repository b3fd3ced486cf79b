//! Which calls settle payments, and what their outcomes mean.

use super::abi::{self, Call3};
use super::{Address, Authorization, Uint256, VerifiedPayment};
use crate::protocol::Reason;

/// Multicall3, at the one address it has on nearly every EVM chain.
/// Source: <https://github.com/mds1/multicall3>.
pub const MULTICALL3: Address = Address::new([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17,
    0x39, 0x76, 0xca, 0x11,
]);

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

/// A call to a contract, without value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub data: Vec<u8>,
}

/// What the chain says about a payment before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `authorizationState(from, nonce)`: whether the nonce was used or
    /// canceled. `None` if the token does not say.
    pub nonce_used: Option<bool>,
    /// `balanceOf(from)`, in atomic units. `None` if the token does not say.
    pub balance: Option<Uint256>,
    /// Whether the transfer, simulated, went through.
    pub simulated: bool,
    /// What the simulation left when it reverted, for the log.
    pub revert_reason: Option<String>,
}

/// The call that settles one payment: `transferWithAuthorization` of the
/// token (EIP-3009). Anyone may send it; it pays `to` and no one else.
pub fn payment_call(payment: &VerifiedPayment) -> Call {
    let authorization = Authorization {
        from: payment.from(),
        to: payment.to(),
        value: payment.value().into(),
        valid_after: payment.valid_after().0.into(),
        valid_before: payment.valid_before(),
        nonce: *payment.nonce(),
    };
    Call {
        to: payment.asset(),
        data: abi::transfer_with_authorization(&authorization, payment.signature()),
    }
}

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
    let calls: Vec<_> = payments
        .iter()
        .flat_map(|payment| {
            let token = payment.asset();
            let state = abi::authorization_state(payment.from(), payment.nonce());
            let balance = abi::balance_of(payment.from());
            [state, balance, payment_call(payment).data].map(|call_data| Call3 {
                target: token,
                allow_failure: true,
                call_data,
            })
        })
        .collect();
    Call { to: multicall3, data: abi::aggregate3(&calls) }
}

/// Reads what [`check_call`] returned for `count` payments, in their order;
/// `None` if it is not that.
pub fn read_check(data: &[u8], count: usize) -> Option<Vec<Facts>> {
    let results = abi::decode_aggregate3(data, count.checked_mul(3)?)?;
    let facts = results.chunks_exact(3).map(|results| match results {
        [state, balance, transfer] => Some(Facts {
            nonce_used: abi::decode_bool(&state.return_data).filter(|_| state.success),
            balance: abi::decode_uint256(&balance.return_data).filter(|_| balance.success),
            simulated: transfer.success,
            revert_reason: revert_reason(&transfer.return_data).filter(|_| !transfer.success),
        }),
        _ => None,
    });
    facts.collect()
}

/// Why these facts speak against a payment; `None` if nothing does.
///
/// The nonce comes first, then the balance, then the simulation: the more
/// telling code wins. All three are asked even if the simulation went
/// through, because some tokens don't revert on a used authorization and a
/// call to an address without code "succeeds"; where the token does not
/// answer, the payment counts as one whose simulation failed.
pub fn refusal(facts: &Facts, payment: &VerifiedPayment) -> Option<Reason> {
    if facts.nonce_used == Some(true) {
        return Some(Reason::EvmNonceUsed);
    }
    if facts.balance.is_some_and(|balance| balance < payment.value().into()) {
        return Some(Reason::InsufficientFunds);
    }
    if !facts.simulated || facts.nonce_used.is_none() || facts.balance.is_none() {
        return Some(Reason::EvmSimulationFailed);
    }
    None
}

/// The text that a revert left (`Error(string)`), bounded and printable; for
/// logs. `None` for custom errors, panics and nothing at all.
pub fn revert_reason(data: &[u8]) -> Option<String> {
    abi::decode_error_string(data)
}

fn batch(payments: &[&VerifiedPayment], multicall3: Address, allow_failure: bool) -> Call {
    let calls: Vec<_> = payments
        .iter()
        .map(|payment| {
            let Call { to, data } = payment_call(payment);
            Call3 { target: to, allow_failure, call_data: data }
        })
        .collect();
    Call { to: multicall3, data: abi::aggregate3(&calls) }
}
