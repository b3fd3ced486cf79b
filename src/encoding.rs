//! Strict, size-bounded readers for hex, base58 and base64.
//!
//! Each reader takes exactly one spelling of a value: what two strings can
//! both mean, an attacker can use to look like two.

use base64::Engine as _;

use crate::plain_error;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD,
};

/// The standard alphabet, with padding or without: clients do either, and
/// nothing is told apart by the text.
const UNPADDED_TOO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is not the bytes it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodingError {
    /// A character or padding that the encoding does not have.
    Malformed,
    /// Well-formed, but longer or shorter than allowed.
    Length,
}

plain_error!(EncodingError, |it| match it {
    EncodingError::Malformed => "holds what its encoding doesn't have",
    EncodingError::Length => "is longer or shorter than it may be",
});

/// Reads `0x` and exactly `2 * N` hex digits.
pub fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    let digits = text.strip_prefix("0x").ok_or(EncodingError::Malformed)?;
    if digits.len() != 2 * N {
        return Err(EncodingError::Length);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = hex_pair(pair)?;
    }
    Ok(bytes)
}

/// Reads `0x` and an even number of hex digits, at most `max` bytes of them.
pub fn decode_hex_bytes(text: &str, max: usize) -> Result<Vec<u8>, EncodingError> {
    let digits = text.strip_prefix("0x").ok_or(EncodingError::Malformed)?;
    if digits.len() > 2 * max {
        return Err(EncodingError::Length);
    }
    if !digits.len().is_multiple_of(2) {
        return Err(EncodingError::Malformed);
    }
    digits.as_bytes().chunks_exact(2).map(hex_pair).collect()
}

fn hex_pair(pair: &[u8]) -> Result<u8, EncodingError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(EncodingError::Malformed);
    match pair {
        [high, low] => {
            u8::try_from(digit(*high)? << 4 | digit(*low)?).map_err(|_| EncodingError::Malformed)
        }
        _ => Err(EncodingError::Length),
    }
}

/// Writes `0x` and lower-case hex.
pub fn encode_hex(bytes: &[u8]) -> String {
    // In one piece: characters that are pushed one by one take several times as long.
    let mut text = vec![0; 2 + 2 * bytes.len()];
    for (pair, byte) in text.chunks_exact_mut(2).zip([0].iter().chain(bytes)) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    for (to, prefix) in text.iter_mut().zip(*b"0x") {
        *to = prefix;
    }
    String::from_utf8(text).unwrap_or_default()
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

/// Reads exactly `N` bytes of base58 (the Bitcoin alphabet).
pub fn decode_base58<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    // Base58 needs at most 1.37 characters a byte; decoding is quadratic, so
    // a long text is refused before it is read.
    if text.len() > N.saturating_mul(7) / 5 + 1 {
        return Err(EncodingError::Length);
    }
    let bytes = bs58::decode(text).into_vec().map_err(|_| EncodingError::Malformed)?;
    bytes.try_into().map_err(|_| EncodingError::Length)
}

/// Writes base58 (the Bitcoin alphabet).
pub fn encode_base58(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

/// Reads base64 of the standard alphabet, padded or not, at most `max` bytes
/// when decoded.
pub fn decode_base64(text: &str, max: usize) -> Result<Vec<u8>, EncodingError> {
    if text.len() > max.div_ceil(3).saturating_mul(4) {
        return Err(EncodingError::Length);
    }
    let bytes = UNPADDED_TOO.decode(text).map_err(|_| EncodingError::Malformed)?;
    if bytes.len() > max { Err(EncodingError::Length) } else { Ok(bytes) }
}

/// Writes base64 of the URL-safe alphabet, without padding, as JWTs have it.
pub fn encode_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes padded base64 of the standard alphabet.
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_takes_one_spelling() {
        assert_eq!(decode_hex::<2>("0x0aFf"), Ok([0x0a, 0xff]));
        assert_eq!(decode_hex::<2>("0aff"), Err(EncodingError::Malformed));
        assert_eq!(decode_hex::<2>("0X0aff"), Err(EncodingError::Malformed));
        assert_eq!(decode_hex::<2>("0xaff"), Err(EncodingError::Length));
        assert_eq!(decode_hex::<2>("0x0aff00"), Err(EncodingError::Length));
        assert_eq!(decode_hex::<2>("0x+a-f"), Err(EncodingError::Malformed));
        assert_eq!(decode_hex::<2>("0x0aé"), Err(EncodingError::Malformed));
        assert_eq!(decode_hex_bytes("0x", 8), Ok(vec![]));
        assert_eq!(decode_hex_bytes("0x1", 8), Err(EncodingError::Malformed));
        assert_eq!(decode_hex_bytes("0x112233", 2), Err(EncodingError::Length));
        assert_eq!(encode_hex(&[0, 0xab]), "0x00ab");
    }

    #[test]
    fn base64_is_canonical_and_bounded() {
        assert_eq!(decode_base64("AQI=", 2), Ok(vec![1, 2]));
        assert_eq!(decode_base64("AQI", 2), Ok(vec![1, 2]));
        assert_eq!(decode_base64("AQ", 2), Ok(vec![1]));
        for wrong in ["A", "AQJ=", "AQJ", "AQ-_", " AQI=", "AQI=\n", "AQI=="] {
            assert_eq!(decode_base64(wrong, 9), Err(EncodingError::Malformed), "{wrong:?}");
        }
        assert_eq!(decode_base64("AQID", 2), Err(EncodingError::Length));
        assert_eq!(decode_base64(&"A".repeat(1 << 20), 16), Err(EncodingError::Length));
    }

    #[test]
    fn base58_is_of_one_length() {
        assert_eq!(decode_base58::<32>("11111111111111111111111111111111"), Ok([0; 32]));
        assert_eq!(
            decode_base58::<32>("1111111111111111111111111111111"),
            Err(EncodingError::Length)
        );
        assert_eq!(decode_base58::<32>("0OIl"), Err(EncodingError::Malformed));
        assert_eq!(decode_base58::<32>(&"1".repeat(4096)), Err(EncodingError::Length));
    }
}
