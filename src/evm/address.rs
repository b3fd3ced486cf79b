//! Accounts and contracts by their 20-byte addresses.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use super::keccak::keccak256;
use crate::encoding::{decode_hex, encode_hex};
use crate::json_text;
use crate::plain_error;

/// An Ethereum address: 20 bytes.
///
/// Read from `0x` and 40 hex digits. Digits of mixed case must carry the
/// checksum of EIP-55; digits of one case carry none. Written with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// A text that is not an address, or one whose EIP-55 checksum is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAddress;

plain_error!(
    InvalidAddress,
    |_| "is no address: 0x and 40 hex digits, with a right checksum if in mixed case"
);

impl Address {
    /// The zero address: no one's, and what Solidity's `ecrecover` answers
    /// for a signature that it can't recover.
    pub const ZERO: Self = Self([0; 20]);

    /// The address of these bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The address's 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address as a 32-byte ABI word: 12 zero bytes, then the address.
    pub fn to_word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        for (to, from) in word.iter_mut().skip(12).zip(self.0) {
            *to = from;
        }
        word
    }

    /// The last 20 bytes of a hash, which is how an address comes from a
    /// public key (Yellow Paper, section 4.1).
    pub fn from_hash(hash: &[u8; 32]) -> Self {
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(hash.iter().skip(12)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The address in lower-case hex: one spelling for keys and identities.
    pub fn to_lower_hex(&self) -> String {
        encode_hex(&self.0)
    }

    /// The address as EIP-55 writes it.
    fn checksummed(&self) -> String {
        let capitals = self.capitals();
        let mut text = self.to_lower_hex().into_bytes();
        for (place, digit) in text.iter_mut().rev().take(DIGITS).enumerate() {
            if capitals >> place & 1 == 1 {
                digit.make_ascii_uppercase();
            }
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// Which digits are capitals if they are letters, the last one in the lowest bit:
    /// as it is remembered, else as it is worked out.
    fn capitals(&self) -> u64 {
        let [.., last] = self.0;
        CAPITALS.with_borrow_mut(|all| match all.get_mut(usize::from(last)) {
            Some((known, capitals)) if known == self => *capitals,
            Some(place) => {
                *place = (*self, self.work_out_capitals());
                place.1
            }
            None => self.work_out_capitals(),
        })
    }

    /// EIP-55: those where the hash of the lower-case digits has a nibble of 8 or more.
    fn work_out_capitals(&self) -> u64 {
        let lower = self.to_lower_hex();
        let hash = keccak256(lower.trim_start_matches("0x").as_bytes());
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(DIGITS);
        nibbles.fold(0, |capitals, nibble| capitals << 1 | u64::from(nibble >> 3))
    }
}

/// How many digits an address has.
const DIGITS: usize = 40;

thread_local! {
    /// The capitals of addresses, each at the place of its last byte until another one
    /// takes it. The same few are written a dozen times for each payment, and each hash
    /// is as much work as a quarter of a message to a Durable Object. Of the zero
    /// address no digit is a letter, so this is right from the beginning.
    static CAPITALS: RefCell<[(Address, u64); 256]> =
        const { RefCell::new([(Address::ZERO, 0); 256]) };
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let address = Self(decode_hex(text).map_err(|_| InvalidAddress)?);
        let digits = text.trim_start_matches("0x");
        let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
            && digits.bytes().any(|b| b.is_ascii_uppercase());
        if mixed && address.checksummed() != text { Err(InvalidAddress) } else { Ok(address) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.checksummed())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

json_text!(Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_case_must_carry_the_checksum() {
        // The examples of EIP-55.
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.to_lower_hex().parse(), Ok(address));
            // Another one at the same place, and it again.
            let [.., last] = address.0;
            let other = Address([last; 20]);
            assert_eq!(other.work_out_capitals(), other.capitals());
            assert_eq!(address.to_string(), text);
            assert_eq!(format!("0x{}", text[2..].to_ascii_uppercase()).parse(), Ok(address));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed0",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
            " 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xé2908400098527886E0F7030069857D2E4169EE",
        ] {
            assert_eq!(wrong.parse::<Address>(), Err(InvalidAddress), "{wrong:?}");
        }
    }

    #[test]
    fn words_hold_the_address_at_their_end() {
        let address = Address::new([7; 20]);
        assert_eq!(Address::from_hash(&address.to_word()), address);
        assert_eq!(&address.to_word()[..12], &[0; 12]);
        assert_eq!(Address::ZERO.to_string(), format!("0x{}", "0".repeat(40)));
    }
}
