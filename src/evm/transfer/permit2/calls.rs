//! Calldata of Permit2 and of x402's contract in front of it, and which
//! payments calldata names.

use super::approval::Approval;
use super::{PERMIT2, Permit2Authorization};
use crate::amount::AtomicAmount;
use crate::evm::abi::{call, length};
use crate::evm::transfer::{NonceQuestion, VerifiedPayment};
use crate::evm::{Address, Call, Signature, Uint256};

// The first 4 bytes of the hashes of the signatures beside them; a test holds
// the two together.
const SETTLE: u32 = 0x13cd_3b53;
const SETTLE_WITH_PERMIT: u32 = 0xfa34_0378;
const SETTLE_BY_USE: u32 = 0xff11_e7b4;
const SETTLE_BY_USE_WITH_PERMIT: u32 = 0x016c_1748;
const NONCE_BITMAP: u32 = 0x4fe0_2b44;
const ALLOWANCE: u32 = 0xdd62_ed3e;
const PERMIT2_OF_PROXY: u32 = 0x6afd_d850;

/// The words of an EIP-2612 permit, which stand before the payment in
/// `settleWithPermit`: value, deadline, r, s, v.
const PERMIT_WORDS: usize = 5;

/// The question whether Permit2 has seen a nonce: a bit of the word that
/// `nonceBitmap(owner, wordPos)` answers, 256 nonces at a time.
pub(super) fn nonce_question(owner: Address, nonce: Uint256) -> NonceQuestion {
    let [.., bit] = nonce.to_be_bytes();
    let data = call(NONCE_BITMAP, &[owner.to_word(), word_of(nonce).to_be_bytes()]);
    NonceQuestion { call: Call { to: PERMIT2, data }, bit }
}

/// The number of the word that a nonce is in: what is before its last byte.
pub(super) fn word_of(nonce: Uint256) -> Uint256 {
    let [start @ .., _] = nonce.to_be_bytes();
    let mut word = [0; 32];
    if let Some(low) = word.get_mut(1..) {
        low.copy_from_slice(&start);
    }
    Uint256::from_be_bytes(word)
}

/// Calldata of `allowance(owner, spender)` (ERC-20): atomic units.
pub(super) fn allowance(owner: Address, spender: Address) -> Vec<u8> {
    call(ALLOWANCE, &[owner.to_word(), spender.to_word()])
}

/// Calldata of `PERMIT2()` of x402's contract.
pub(super) fn permit2_of_proxy() -> Vec<u8> {
    call(PERMIT2_OF_PROXY, &[])
}

/// Calldata of `settle` of x402's contract for exact amounts, or of that for what
/// is paid by use, of which so much is charged; v being 27 or 28. With a permit of
/// the token's own it is that of `settleWithPermit`.
pub(super) fn settle(
    it: &Permit2Authorization,
    charged: AtomicAmount,
    approval: Option<&Approval>,
    signature: &Signature,
) -> Vec<u8> {
    let mut words = approval.map_or_else(Vec::new, |approval| {
        let Approval { deadline, signature, .. } = approval;
        let v = Uint256::from(u64::from(signature.v())).to_be_bytes();
        let amount = it.amount.to_be_bytes();
        vec![amount, deadline.to_be_bytes(), *signature.r(), *signature.s(), v]
    });
    let [token, permitted, nonce, deadline, owner, to, valid_after] = head(it);
    let selector = match (it.facilitator, approval) {
        (Some(_), Some(_)) => SETTLE_BY_USE_WITH_PERMIT,
        (Some(_), None) => SETTLE_BY_USE,
        (None, Some(_)) => SETTLE_WITH_PERMIT,
        (None, None) => SETTLE,
    };
    match it.facilitator {
        Some(facilitator) => {
            let charged = Uint256::from(charged).to_be_bytes();
            words.extend([token, permitted, nonce, deadline, charged, owner]);
            words.extend([to, facilitator.to_word(), valid_after]);
        }
        None => words.extend(head(it)),
    }
    words.push(length(32 * (words.len() + 1)));
    let mut data = call(selector, &words);
    let signature = signature.to_bytes();
    data.extend_from_slice(&length(signature.len()));
    data.extend_from_slice(&signature);
    // The last word is filled up.
    data.resize(data.len() + 31, 0);
    data
}

/// What is in `settle`'s calldata before the signature: permit, owner, witness.
fn head(it: &Permit2Authorization) -> [[u8; 32]; 7] {
    [
        it.token.to_word(),
        it.amount.to_be_bytes(),
        it.nonce.to_be_bytes(),
        it.deadline.to_be_bytes(),
        it.from.to_word(),
        it.to.to_word(),
        it.valid_after.to_be_bytes(),
    ]
}

/// The nonces of all payments that a transaction's calldata may settle and
/// that differ from this one in nothing that a log shows; each once.
///
/// Whoever sends it may have wrapped the calls in others. So they are looked
/// for at every byte. Some of what is found may be made up: what was not used in
/// the transaction's block is left out afterwards.
pub(super) fn alike_nonces(payment: &VerifiedPayment, calldata: &[u8]) -> Vec<Uint256> {
    let mut nonces = vec![];
    for (at, window) in calldata.windows(4).enumerate() {
        let (skip, is_by_use) = match u32::from_be_bytes(window.try_into().unwrap_or_default()) {
            SETTLE => (4, false),
            SETTLE_WITH_PERMIT => (4 + 32 * PERMIT_WORDS, false),
            SETTLE_BY_USE => (4, true),
            SETTLE_BY_USE_WITH_PERMIT => (4 + 32 * PERMIT_WORDS, true),
            _ => continue,
        };
        let words = calldata.get(at.saturating_add(skip)..).unwrap_or_default().as_chunks::<32>().0;
        let (token, amount, nonce, owner, to) = match words {
            [token, _, nonce, _, amount, owner, to, ..] if is_by_use => {
                (token, amount, nonce, owner, to)
            }
            [token, amount, nonce, _, owner, to, ..] if !is_by_use => {
                (token, amount, nonce, owner, to)
            }
            _ => continue,
        };
        let is_alike = *token == payment.asset().to_word()
            && *amount == Uint256::from(payment.value()).to_be_bytes()
            && *owner == payment.from().to_word()
            && *to == payment.to().to_word();
        let nonce = Uint256::from_be_bytes(*nonce);
        if is_alike && !nonces.contains(&nonce) {
            nonces.push(nonce);
        }
    }
    nonces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::keccak256;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in [
            (SETTLE, "settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)"),
            (
                SETTLE_WITH_PERMIT,
                "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),\
                 ((address,uint256),uint256,uint256),address,(address,uint256),bytes)",
            ),
            (
                SETTLE_BY_USE,
                "settle(((address,uint256),uint256,uint256),uint256,address,\
                 (address,address,uint256),bytes)",
            ),
            (
                SETTLE_BY_USE_WITH_PERMIT,
                "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),\
                 ((address,uint256),uint256,uint256),uint256,address,\
                 (address,address,uint256),bytes)",
            ),
            (NONCE_BITMAP, "nonceBitmap(address,uint256)"),
            (ALLOWANCE, "allowance(address,address)"),
            (PERMIT2_OF_PROXY, "PERMIT2()"),
        ] {
            assert_eq!(keccak256(signature.as_bytes())[..4], selector.to_be_bytes(), "{signature}");
        }
    }
}
