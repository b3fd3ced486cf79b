//! What logs say of a payment by Permit2, whose nonce is in no log.
//!
//! Permit2 emits nothing, and x402's contract an event without parameters. What
//! there is, is the token's `Transfer` from payer to payee of just this much,
//! and it looks the same for every payment of this payer for this price. So:
//!
//! - In a transaction of our own there is one payment of that look at most
//!   (`is_alike` in `super::super`): its log is that payment's.
//! - In one of anybody's, the calldata says which payments it may have made, and
//!   Permit2's bitmap before and after its block which of those were used then.
//!   Only if there is a log for each of those, all were made.
//!
//! Where an `AuthorizationUsed` stands before a `Transfer`, that is an EIP-3009
//! payment's. So whatever a payer puts into one transaction, no log counts for
//! two payments; and what anybody else puts beside a payment can't hide it,
//! because nobody else can use a payer's nonce without paying.

use std::sync::LazyLock;

use serde_json::Value;

use super::{PERMIT2, Permit2, calls};
use crate::encoding::encode_hex;
use crate::evm::receipt::{AUTHORIZATION_USED, TRANSFER};
use crate::evm::transfer::method::Method as _;
use crate::evm::transfer::{Clue, VerifiedPayment};
use crate::evm::{BlockTag, Log, json_rpc, keccak256};
use crate::json::json;

/// `UnorderedNonceInvalidation(owner, word, mask)` of Permit2: its owner takes
/// nonces back.
static INVALIDATION: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"UnorderedNonceInvalidation(address,uint256,uint256)"));

/// The logs to look through: what left the payer's account in this token, and
/// which nonces the payer took back.
pub(super) fn trace(payment: &VerifiedPayment, from_block: u64, to_block: BlockTag) -> Value {
    json!([{
        "address": [payment.asset().to_string(), PERMIT2.to_string()],
        "fromBlock": json_rpc::quantity(from_block.into()),
        "toBlock": to_block.to_value(),
        "topics": [
            [encode_hex(&*TRANSFER), encode_hex(&*INVALIDATION)],
            encode_hex(&payment.from().to_word()),
        ],
    }])
}

/// What one of those logs says of the payment.
pub(super) fn clue(permit: &Permit2, payment: &VerifiedPayment, log: &Value) -> Clue {
    let Some(log) = Log::from_json(log) else { return Clue::None };
    if payment.is_moved_by(&log) {
        return Clue::Calldata;
    }
    let word = calls::word_of(permit.nonce);
    let is_its = |mask: &[u8; 32]| permit.read_used(mask) == Some(true);
    let takes_back = log.address == PERMIT2
        && matches!(log.topics.as_slice(), [event, owner]
            if *event == *INVALIDATION && *owner == payment.from().to_word())
        && matches!(log.data.as_chunks::<32>(), ([of, mask], [])
            if *of == word.to_be_bytes() && is_its(mask));
    if takes_back { Clue::Certain } else { Clue::None }
}

/// The logs that could be this payment's.
pub(super) fn transfers(payment: &VerifiedPayment, logs: &[Log]) -> Vec<usize> {
    let asset = payment.asset();
    let mut is_authorized = false;
    let mut found = vec![];
    for (index, log) in logs.iter().enumerate() {
        if log.address == asset && log.topics.first() == Some(&*AUTHORIZATION_USED) {
            is_authorized = true;
        } else if log.is_transfer(asset) {
            if !is_authorized && payment.is_moved_by(log) {
                found.push(index);
            }
            is_authorized = false;
        }
    }
    found
}
