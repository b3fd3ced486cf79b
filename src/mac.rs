//! HMAC-SHA-256 (RFC 2104): texts that only the holder of a key can write.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The code of these lines. None but the last may hold a line break. `None`
/// never comes: HMAC takes keys of every length.
pub fn code_of(key: &[u8], lines: &[&str]) -> Option<[u8; 32]> {
    Some(over(key, lines)?.finalize().into_bytes().into())
}

/// The code of a text as it stands.
pub fn code_of_text(key: &[u8], text: &str) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// Whether a code is that of these lines, told in the same time wherever the
/// bytes differ.
pub fn is_code_of(code: &[u8; 32], key: &[u8], lines: &[&str]) -> bool {
    over(key, lines).is_some_and(|expected| expected.verify_slice(code).is_ok())
}

fn over(key: &[u8], lines: &[&str]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for line in lines {
        mac.update(line.as_bytes());
        mac.update(b"\n");
    }
    Some(mac)
}
