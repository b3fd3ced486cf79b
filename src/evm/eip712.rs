//! What a payer signs: EIP-712 typed data of EIP-3009's type.

use std::sync::LazyLock;

use super::keccak::{keccak256, keccak256_words};
use super::{Address, Authorization, Uint256};
use crate::json_struct;

/// The EIP-712 domain of a token: which token on which chain a signature is
/// for. The separator of another domain makes another digest, so a signature
/// for one chain or token is worth nothing at another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    /// The token's EIP-712 name, which is not always its ERC-20 name.
    pub name: String,
    /// The token's EIP-712 version: `2` for USDC.
    pub version: String,
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The token's address.
    pub verifying_contract: Address,
}

json_struct!(Domain {
    name,
    version,
    chain_id as "chainId",
    verifying_contract as "verifyingContract",
});

impl Domain {
    /// EIP-712's `domainSeparator`: `hashStruct` of the domain.
    pub fn separator(&self) -> [u8; 32] {
        keccak256_words(&[
            *DOMAIN_TYPE_HASH,
            keccak256(self.name.as_bytes()),
            keccak256(self.version.as_bytes()),
            Uint256::from(self.chain_id).to_be_bytes(),
            self.verifying_contract.to_word(),
        ])
    }
}

/// EIP-712's `hashStruct` of a `TransferWithAuthorization` (EIP-3009).
pub fn transfer_with_authorization_hash(authorization: &Authorization) -> [u8; 32] {
    keccak256_words(&[
        *TRANSFER_TYPE_HASH,
        authorization.from.to_word(),
        authorization.to.to_word(),
        authorization.value.to_be_bytes(),
        authorization.valid_after.to_be_bytes(),
        authorization.valid_before.to_be_bytes(),
        authorization.nonce,
    ])
}

/// The digest that is signed: `keccak256(0x1901 ‖ domain separator ‖ struct
/// hash)` (EIP-712).
pub fn digest(domain_separator: &[u8; 32], struct_hash: &[u8; 32]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(66);
    bytes.extend_from_slice(&[0x19, 0x01]);
    bytes.extend_from_slice(domain_separator);
    bytes.extend_from_slice(struct_hash);
    keccak256(&bytes)
}

static DOMAIN_TYPE_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
});

static TRANSFER_TYPE_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| {
    keccak256(
        b"TransferWithAuthorization(address from,address to,uint256 value,\
          uint256 validAfter,uint256 validBefore,bytes32 nonce)",
    )
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode_hex;

    #[test]
    fn type_hash_is_the_one_of_eip_3009() {
        assert_eq!(
            encode_hex(&*TRANSFER_TYPE_HASH),
            "0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"
        );
    }

    #[test]
    fn usdc_on_ethereum_has_its_known_separator() {
        // What `DOMAIN_SEPARATOR()` of the contract answers.
        let domain = Domain {
            name: "USD Coin".into(),
            version: "2".into(),
            chain_id: 1,
            verifying_contract: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap(),
        };
        assert_eq!(
            encode_hex(&domain.separator()),
            "0x06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335"
        );
    }
}
