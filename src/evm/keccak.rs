//! Keccak-256, the hash of everything on Ethereum.

use sha3::{Digest as _, Keccak256};

/// The Keccak-256 hash of `bytes`: 32 bytes. Not NIST's SHA3-256, whose
/// padding differs.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The Keccak-256 hash of 32-byte words in a row, as EIP-712 and the Solidity
/// ABI lay values out.
pub fn keccak256_words(words: &[[u8; 32]]) -> [u8; 32] {
    keccak256(words.as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode_hex;

    #[test]
    fn is_keccak_and_not_sha3() {
        let empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(encode_hex(&keccak256(b"")), empty);
        assert_eq!(keccak256_words(&[[1; 32], [2; 32]]), keccak256(&[[1; 32], [2; 32]].concat()));
    }
}
