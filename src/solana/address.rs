//! Addresses: public keys, and the addresses that programs derive.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::encoding::{EncodingError, decode_base58, encode_base58};
use crate::json_text;
use crate::remembered::Remembered;

/// A Solana address: 32 bytes, in text base58.
///
/// The address of a wallet is an ed25519 public key; that of a program's own
/// account is 32 bytes that are no point on the curve. The default is all
/// zeros: the System program, and nobody's wallet.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pubkey(pub [u8; 32]);

/// SPL Token.
pub const TOKEN_PROGRAM: Pubkey = Pubkey::known("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022, the token program with extensions.
pub const TOKEN_2022_PROGRAM: Pubkey = Pubkey::known("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// The program that makes associated token accounts.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey =
    Pubkey::known("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// Memo, version 2.
pub const MEMO_PROGRAM: Pubkey = Pubkey::known("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
/// Lighthouse, whose assertions some wallets add to what they sign.
pub const LIGHTHOUSE_PROGRAM: Pubkey = Pubkey::known("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95");
/// Compute Budget.
pub const COMPUTE_BUDGET_PROGRAM: Pubkey =
    Pubkey::known("ComputeBudget111111111111111111111111111111");
/// System.
pub const SYSTEM_PROGRAM: Pubkey = Pubkey::known("11111111111111111111111111111111");

thread_local! {
    /// Token accounts that were derived last: a few wallets are paid, over and over.
    static DERIVED: Remembered = const { Remembered::new() };
}

impl Pubkey {
    /// An address that is written in this source. A wrong one does not
    /// compile: every caller is the value of a constant.
    const fn known(text: &'static str) -> Self {
        Self(bs58::decode(text.as_bytes()).into_array_const_unwrap::<32>())
    }

    /// Whether the bytes are a point on ed25519's curve, so that they can be
    /// somebody's public key. An address that a program derives never is.
    pub fn is_on_curve(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok()
    }
}

impl FromStr for Pubkey {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        decode_base58(text).map(Self)
    }
}

impl fmt::Display for Pubkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base58(&self.0))
    }
}

impl fmt::Debug for Pubkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pubkey({self})")
    }
}

json_text!(Pubkey);

/// The address that `program` derives from `seeds`, and its bump seed: the
/// first of 255, 254 … 1 whose address is off the curve.
///
/// `None` for more than 15 seeds or a seed of more than 32 bytes, and if no
/// bump seed serves, which no one has ever seen. Each try costs a SHA-256 and
/// a decompression; two tries are the average.
///
/// Source: Solana documentation, "Program Derived Address".
pub fn find_program_address(seeds: &[&[u8]], program: &Pubkey) -> Option<(Pubkey, u8)> {
    // The bump seed is the sixteenth and last.
    if seeds.len() > 15 || seeds.iter().any(|seed| seed.len() > 32) {
        return None;
    }
    let mut seeded = Sha256::new();
    for seed in seeds {
        seeded.update(seed);
    }
    (1..=u8::MAX).rev().find_map(|bump| {
        let hash = seeded
            .clone()
            .chain_update([bump])
            .chain_update(program.0)
            .chain_update(b"ProgramDerivedAddress")
            .finalize();
        let address = Pubkey(hash.into());
        (!address.is_on_curve()).then_some((address, bump))
    })
}

/// The address of `owner`'s associated token account for `mint`, a mint of
/// `token_program`. `None` where [`find_program_address`] says so.
///
/// Source: Associated Token Account program, `get_associated_token_address`.
pub fn associated_token_address(
    owner: &Pubkey,
    mint: &Pubkey,
    token_program: &Pubkey,
) -> Option<Pubkey> {
    let seeds: [&[u8]; 3] = [&owner.0, &token_program.0, &mint.0];
    let derive =
        || find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).map(|(address, _)| address.0);
    DERIVED.with(|it| it.or_work_out(&seeds, &derive)).map(Pubkey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_base58_of_32_bytes() {
        let text = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
        let mint: Pubkey = text.parse().unwrap();
        assert_eq!(mint.to_string(), text);
        assert_eq!(serde_json::to_string(&mint).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Pubkey>(&format!("\"{text}\"")).unwrap(), mint);
        for wrong in ["", "0", "1", &text[2..], &format!("1{text}"), &format!("{text} ")] {
            assert!(wrong.parse::<Pubkey>().is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<Pubkey>("7").is_err());
    }

    #[test]
    fn seeds_are_bounded() {
        let seed: &[u8] = &[1; 32];
        assert!(find_program_address(&[seed; 15], &SYSTEM_PROGRAM).is_some());
        assert!(find_program_address(&[seed; 16], &SYSTEM_PROGRAM).is_none());
        assert!(find_program_address(&[&[1; 33]], &SYSTEM_PROGRAM).is_none());
    }

    #[test]
    fn derived_addresses_are_off_the_curve() {
        let (address, _) = find_program_address(&[b"seed"], &TOKEN_PROGRAM).unwrap();
        assert!(!address.is_on_curve());
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        assert!(Pubkey(key.to_bytes()).is_on_curve());
    }
}
