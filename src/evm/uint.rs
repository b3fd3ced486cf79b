//! `uint256`, as far as payments need it: read, write, compare.

use std::fmt;
use std::str::FromStr;

use crate::amount::{AtomicAmount, is_canonical_decimal};
use crate::plain_error;

use crate::json_text;

/// An unsigned integer of 256 bits, kept as 32 big-endian bytes.
///
/// As text a decimal string, `^(0|[1-9][0-9]*)$`, at most 2^256 - 1. What it
/// counts (atomic units, seconds, wei) its field says.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uint256([u8; 32]);

/// A text that is not a canonical decimal number below 2^256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUint256;

plain_error!(InvalidUint256, |_| "is no canonical decimal number below 2^256");

/// A number that needs more bits than the type it should go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

plain_error!(TooLarge, |_| "needs more bits than there are");

impl Uint256 {
    /// 0.
    pub const ZERO: Self = Self([0; 32]);
    /// 2^256 - 1.
    pub const MAX: Self = Self([u8::MAX; 32]);

    /// The number that these 32 big-endian bytes are: an ABI word.
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The number as 32 big-endian bytes: an ABI word.
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0
    }

    /// This number times 10 plus `digit`; `None` above 2^256 - 1.
    fn push_digit(self, digit: u8) -> Option<Self> {
        let (mut bytes, mut carry) = (self.0, u16::from(digit));
        for byte in bytes.iter_mut().rev() {
            let [high, low] = (u16::from(*byte) * 10 + carry).to_be_bytes();
            (*byte, carry) = (low, u16::from(high));
        }
        (carry == 0).then_some(Self(bytes))
    }

    /// This number divided by 10, and the remainder.
    fn pop_digit(self) -> (Self, u8) {
        let (mut bytes, mut rest) = (self.0, 0_u8);
        for byte in &mut bytes {
            let dividend = u16::from_be_bytes([rest, *byte]);
            // Both fit: the remainder is below 10, so the quotient is below 256.
            *byte = u8::try_from(dividend / 10).unwrap_or_default();
            rest = u8::try_from(dividend % 10).unwrap_or_default();
        }
        (Self(bytes), rest)
    }
}

impl FromStr for Uint256 {
    type Err = InvalidUint256;

    fn from_str(text: &str) -> Result<Self, InvalidUint256> {
        // 2^256 - 1 has 78 digits.
        if text.len() > 78 || !is_canonical_decimal(text) {
            return Err(InvalidUint256);
        }
        if let Ok(small) = text.parse::<u128>() {
            return Ok(small.into());
        }
        text.bytes()
            .try_fold(Self::ZERO, |number, digit| number.push_digit(digit.wrapping_sub(b'0')))
            .ok_or(InvalidUint256)
    }
}

impl fmt::Display for Uint256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(small) = u128::try_from(*self) {
            return small.fmt(f);
        }
        let (mut number, mut digits) = (*self, Vec::with_capacity(78));
        while number != Self::ZERO {
            let (rest, digit) = number.pop_digit();
            number = rest;
            digits.push(char::from(b'0' + digit));
        }
        f.pad_integral(true, "", &digits.iter().rev().collect::<String>())
    }
}

impl fmt::Debug for Uint256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u128> for Uint256 {
    fn from(number: u128) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().skip(16).zip(number.to_be_bytes()) {
            *to = from;
        }
        Self(bytes)
    }
}

impl From<u64> for Uint256 {
    fn from(number: u64) -> Self {
        u128::from(number).into()
    }
}

impl From<AtomicAmount> for Uint256 {
    fn from(amount: AtomicAmount) -> Self {
        amount.0.into()
    }
}

impl TryFrom<Uint256> for u128 {
    type Error = TooLarge;

    fn try_from(number: Uint256) -> Result<Self, TooLarge> {
        let (high, low) = number.0.split_first_chunk::<16>().ok_or(TooLarge)?;
        let low: [u8; 16] = low.try_into().map_err(|_| TooLarge)?;
        if *high == [0; 16] { Ok(Self::from_be_bytes(low)) } else { Err(TooLarge) }
    }
}

impl TryFrom<Uint256> for u64 {
    type Error = TooLarge;

    fn try_from(number: Uint256) -> Result<Self, TooLarge> {
        u128::try_from(number)?.try_into().map_err(|_| TooLarge)
    }
}

json_text!(Uint256);

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn numbers_take_one_spelling() {
        for text in ["0", "1", "10000", "18446744073709551616", MAX] {
            assert_eq!(text.parse::<Uint256>().unwrap().to_string(), text);
        }
        assert_eq!(MAX.parse(), Ok(Uint256::MAX));
        // 2^128, the first that takes the long way.
        let text = "340282366920938463463374607431768211456";
        assert_eq!(text.parse::<Uint256>().unwrap().to_string(), text);
        let over = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        let long = "1".repeat(1_000_000);
        let zeros = format!("0{MAX}");
        for wrong in ["", "00", "01", "+1", "-1", "1e3", "1.0", " 1", "0x1", over, &long, &zeros] {
            assert_eq!(wrong.parse::<Uint256>(), Err(InvalidUint256), "{wrong:.80}");
        }
    }

    #[test]
    fn numbers_compare_and_convert() {
        let number = |text: &str| text.parse::<Uint256>().unwrap();
        assert!(number("9") < number("10"));
        assert!(number("18446744073709551616") > u64::MAX.into());
        assert_eq!(u64::try_from(number("18446744073709551615")), Ok(u64::MAX));
        assert_eq!(u64::try_from(number("18446744073709551616")), Err(TooLarge));
        assert_eq!(u128::try_from(Uint256::from(u128::MAX)), Ok(u128::MAX));
        assert_eq!(u128::try_from(Uint256::MAX), Err(TooLarge));
        assert_eq!(Uint256::from(AtomicAmount(5)), number("5"));
        assert_eq!(serde_json::to_string(&number("5")).unwrap(), "\"5\"");
        assert!(serde_json::from_str::<Uint256>("5").is_err());
    }
}
