//! What a payer signs: EIP-712 typed data of Permit2.

use std::sync::LazyLock;

use super::{PERMIT2, Permit2Authorization};
use crate::evm::Uint256;
use crate::evm::eip712::digest;
use crate::evm::keccak::{keccak256, keccak256_words};

/// The digest that a payer signs on a chain.
pub fn permit_digest(chain_id: u64, it: &Permit2Authorization) -> [u8; 32] {
    digest(&domain_separator(chain_id), &permit_hash(it))
}

/// EIP-712's `domainSeparator` of Permit2, which names no version.
fn domain_separator(chain_id: u64) -> [u8; 32] {
    keccak256_words(&[
        *DOMAIN_TYPE_HASH,
        keccak256(b"Permit2"),
        Uint256::from(chain_id).to_be_bytes(),
        PERMIT2.to_word(),
    ])
}

/// EIP-712's `hashStruct` of a `PermitWitnessTransferFrom` with x402's witness,
/// which names who may settle it where it is paid by use.
fn permit_hash(it: &Permit2Authorization) -> [u8; 32] {
    let permitted =
        keccak256_words(&[*PERMITTED_TYPE_HASH, it.token.to_word(), it.amount.to_be_bytes()]);
    let (to, valid_after) = (it.to.to_word(), it.valid_after.to_be_bytes());
    let (permit_type, witness) = match it.facilitator {
        Some(facilitator) => (
            *PERMIT_BY_USE_TYPE_HASH,
            keccak256_words(&[*WITNESS_BY_USE_TYPE_HASH, to, facilitator.to_word(), valid_after]),
        ),
        None => (*PERMIT_TYPE_HASH, keccak256_words(&[*WITNESS_TYPE_HASH, to, valid_after])),
    };
    keccak256_words(&[
        permit_type,
        permitted,
        it.spender.to_word(),
        it.nonce.to_be_bytes(),
        it.deadline.to_be_bytes(),
        witness,
    ])
}

static DOMAIN_TYPE_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
    keccak256(b"EIP712Domain(string name,uint256 chainId,address verifyingContract)")
});

static PERMITTED_TYPE_HASH: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"TokenPermissions(address token,uint256 amount)"));

static WITNESS_TYPE_HASH: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"Witness(address to,uint256 validAfter)"));

static WITNESS_BY_USE_TYPE_HASH: LazyLock<[u8; 32]> =
    LazyLock::new(|| keccak256(b"Witness(address to,address facilitator,uint256 validAfter)"));

static PERMIT_BY_USE_TYPE_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
    keccak256(
        b"PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
          uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)\
          Witness(address to,address facilitator,uint256 validAfter)",
    )
});

static PERMIT_TYPE_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
    keccak256(
        b"PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
          uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)\
          Witness(address to,uint256 validAfter)",
    )
});
