//! Ed25519: our own keys, and the signatures of others.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use super::address::Pubkey;
use crate::encoding::{EncodingError, decode_base58, encode_base58};
use crate::mac;
use crate::plain_error;
use crate::remembered::Remembered;

thread_local! {
    /// Good signatures that were looked at last.
    static VERIFIED: Remembered = const { Remembered::new() };
}

/// An ed25519 signature: 64 bytes, in text base58. That of a transaction's
/// fee payer is the transaction's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// What stands where a signature is yet to be made.
    pub const ABSENT: Self = Self([0; 64]);

    /// Whether `signer` signed `message`, and no one but the signer can have
    /// made this very signature: s is reduced, neither R nor the key is of
    /// small order (RFC 8032, section 5.1.7, and the stricter checks of
    /// `verify_strict`, which are those of Solana's validators).
    pub fn is_by(&self, signer: &Pubkey, message: &[u8]) -> bool {
        let verify = || {
            let signature = ed25519_dalek::Signature::from_bytes(&self.0);
            let key = VerifyingKey::from_bytes(&signer.0).ok()?;
            key.verify_strict(message, &signature).is_ok().then_some(signer.0)
        };
        VERIFIED.with(|it| it.or_work_out(&[&self.0, &signer.0, message], &verify)).is_some()
    }
}

impl FromStr for Signature {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        decode_base58(text).map(Self)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base58(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// The key of an account of ours that pays the fees of others' payments.
///
/// It signs nothing but what [`super::co_sign`] gives it: payments that were
/// verified. The secret is wiped from memory on drop and never written.
#[derive(Clone)]
pub struct FeePayerKey(SigningKey);

/// Why a text is not a fee payer's key. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidFeePayerKey {
    /// Not base58 of exactly 64 bytes.
    Encoding,
    /// The second 32 bytes are not the public key of the first 32.
    Mismatch,
}

plain_error!(InvalidFeePayerKey, |it| match it {
    InvalidFeePayerKey::Encoding => "is not base58 of 64 bytes",
    InvalidFeePayerKey::Mismatch => "holds a public key that is not its secret key's",
});

impl FromStr for FeePayerKey {
    type Err = InvalidFeePayerKey;

    /// Reads base58 of 64 bytes, the secret key and the public key, as
    /// wallets export it.
    fn from_str(text: &str) -> Result<Self, InvalidFeePayerKey> {
        let bytes = decode_base58::<64>(text).map_err(|_| InvalidFeePayerKey::Encoding)?;
        SigningKey::from_keypair_bytes(&bytes).map(Self).map_err(|_| InvalidFeePayerKey::Mismatch)
    }
}

impl FeePayerKey {
    /// The key that grows from this seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The account's address.
    pub fn pubkey(&self) -> Pubkey {
        Pubkey(self.0.verifying_key().to_bytes())
    }

    /// Another secret, for this purpose alone, that tells nothing of the key.
    pub fn derive(&self, purpose: &str) -> Option<[u8; 32]> {
        mac::code_of(self.0.as_bytes(), &[purpose])
    }

    /// Signs a message. Ed25519 is deterministic: one message, one signature.
    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for FeePayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeePayerKey({}, secret not shown)", self.pubkey())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(seed: u8) -> [u8; 64] {
        SigningKey::from_bytes(&[seed; 32]).to_keypair_bytes()
    }

    #[test]
    fn keys_are_base58_of_both_halves() {
        let key: FeePayerKey = encode_base58(&pair(7)).parse().unwrap();
        assert_eq!(key.pubkey().0, pair(7)[32..]);
        let mut mixed = pair(7);
        mixed[32..].copy_from_slice(&pair(8)[32..]);
        let read = |bytes: &[u8]| encode_base58(bytes).parse::<FeePayerKey>().unwrap_err();
        assert_eq!(read(&mixed), InvalidFeePayerKey::Mismatch);
        assert_eq!(read(&pair(7)[..32]), InvalidFeePayerKey::Encoding);
        assert_eq!(read(&[0; 65]), InvalidFeePayerKey::Encoding);
        assert_eq!("".parse::<FeePayerKey>().unwrap_err(), InvalidFeePayerKey::Encoding);
    }

    #[test]
    fn debug_hides_the_secret() {
        let text = encode_base58(&pair(7));
        let shown = format!("{:?}", text.parse::<FeePayerKey>().unwrap());
        assert!(shown.contains("secret not shown"));
        assert!(!shown.contains(&text));
        assert!(!shown.contains(&encode_base58(&pair(7)[..32])));
    }

    #[test]
    fn signatures_are_checked_strictly() {
        let key = FeePayerKey(SigningKey::from_bytes(&[7; 32]));
        let signature = key.sign(b"message");
        assert!(signature.is_by(&key.pubkey(), b"message"));
        assert!(!signature.is_by(&key.pubkey(), b"massage"));
        assert!(!signature.is_by(&Pubkey(pair(8)[32..].try_into().unwrap()), b"message"));
        assert!(!Signature::ABSENT.is_by(&key.pubkey(), b"message"));
        // A key of small order and a signature of zeros fit every message.
        let mut weak = [0; 32];
        weak[0] = 1;
        let mut zero = [0; 64];
        zero[0] = 1;
        assert!(!Signature(zero).is_by(&Pubkey(weak), b"message"));
    }
}
