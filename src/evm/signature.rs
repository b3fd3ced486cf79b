//! ECDSA over secp256k1: the payers' signatures, the relayer's key.

use std::fmt;
use std::str::FromStr;

use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};

use super::Address;
use super::keccak::keccak256;
use crate::encoding::{decode_hex, encode_hex};
use crate::mac;
use crate::plain_error;
use crate::remembered::Remembered;

/// A recoverable signature with `r` and `s` in range, `s` low, and a parity:
/// the 65 bytes `r ‖ s ‖ v` in the one form that EIP-3009 tokens take.
///
/// Low s (EIP-2) is checked here: recovery accepts a high one, which would
/// let anyone turn a signature into a second one that is valid, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
    y_is_odd: bool,
}

thread_local! {
    /// Who signed what was looked at last.
    static RECOVERED: Remembered = const { Remembered::new() };
}

/// Not 65 or 64 bytes of hex, a number out of range, a high s, or a wrong v.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSignature;

plain_error!(InvalidSignature, |_| "is no signature: 65 or 64 bytes of hex with a low s");

impl Signature {
    /// Reads `r ‖ s ‖ v`, v being 0, 1, 27 or 28.
    pub fn from_bytes(bytes: &[u8; 65]) -> Result<Self, InvalidSignature> {
        let [rest @ .., v] = bytes;
        let (r, s) = rest.split_first_chunk::<32>().ok_or(InvalidSignature)?;
        let s: [u8; 32] = s.try_into().map_err(|_| InvalidSignature)?;
        let y_is_odd = match v {
            0 | 27 => false,
            1 | 28 => true,
            _ => return Err(InvalidSignature),
        };
        if s > HALF_ORDER {
            return Err(InvalidSignature);
        }
        let signature = Self { r: *r, s, y_is_odd };
        signature.inner().map(|_| signature).ok_or(InvalidSignature)
    }

    /// The signature as 65 bytes, v being 27 or 28.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        let from = self.r.iter().chain(&self.s).copied().chain([self.v()]);
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = from;
        }
        bytes
    }

    /// The x-coordinate, 32 big-endian bytes.
    pub const fn r(&self) -> &[u8; 32] {
        &self.r
    }

    /// The proof, 32 big-endian bytes, at most half the group's order.
    pub const fn s(&self) -> &[u8; 32] {
        &self.s
    }

    /// The parity as contracts take it: 27 or 28.
    pub const fn v(&self) -> u8 {
        if self.y_is_odd { 28 } else { 27 }
    }

    /// The parity as typed transactions carry it (EIP-2718).
    pub const fn y_is_odd(&self) -> bool {
        self.y_is_odd
    }

    /// Whose key signed this digest: what the chain's `ecrecover` answers,
    /// and `None` where it answers the zero address.
    pub fn recover(&self, digest: &[u8; 32]) -> Option<Address> {
        let recover = || {
            let id = RecoveryId::new(self.y_is_odd, false);
            let key = VerifyingKey::recover_from_prehash(digest, &self.inner()?, id).ok()?;
            Some(address_of(&key).to_word())
        };
        let word = RECOVERED.with(|it| it.or_work_out(&[digest, &self.to_bytes()], &recover))?;
        Some(Address::from_hash(&word))
    }

    fn inner(&self) -> Option<k256::ecdsa::Signature> {
        k256::ecdsa::Signature::from_scalars(self.r, self.s).ok()
    }
}

impl FromStr for Signature {
    type Err = InvalidSignature;

    /// Reads 65 bytes of hex, or 64 with the parity in the first bit of s (EIP-2098).
    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        if let Ok(bytes) = decode_hex(text) {
            return Self::from_bytes(&bytes);
        }
        let mut compact: [u8; 64] = decode_hex(text).map_err(|_| InvalidSignature)?;
        let parity = compact.get_mut(32).map_or(0, |first| {
            let parity = *first >> 7;
            *first &= 0x7f;
            parity
        });
        let mut bytes = [parity; 65];
        bytes.iter_mut().zip(compact).for_each(|(to, from)| *to = from);
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret key of a relayer: who signs, sends and pays the gas of the
/// settling transactions. Never shown, and wiped from memory when dropped.
#[derive(Clone)]
pub struct RelayerKey {
    key: SigningKey,
    address: Address,
}

/// Not `0x` and 64 hex digits, or not a secret key of secp256k1. Says nothing
/// about the text, which may be a secret with a slip in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

plain_error!(InvalidKey, |_| "is no secret key: 0x and 64 hex digits");

impl RelayerKey {
    /// The relayer's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Another secret, for this purpose alone, that tells nothing of the key.
    pub fn derive(&self, purpose: &str) -> Option<[u8; 32]> {
        mac::code_of(&self.key.to_bytes(), &[purpose])
    }

    /// Signs a digest, deterministically (RFC 6979) and with a low s.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Signature {
        // An r that had to be reduced (recovery id 2 or 3) has never been
        // seen: it comes once in 2^127 signatures, and nodes would refuse it.
        let (signature, id) = self.key.sign_prehash_recoverable(digest);
        let (r, s) = signature.split_bytes();
        Signature { r: r.into(), s: s.into(), y_is_odd: id.is_y_odd() }
    }
}

impl FromStr for RelayerKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes: [u8; 32] = decode_hex(text).map_err(|_| InvalidKey)?;
        let key = SigningKey::from_slice(&bytes).map_err(|_| InvalidKey)?;
        let address = address_of(key.verifying_key());
        Ok(Self { key, address })
    }
}

impl fmt::Debug for RelayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayerKey").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Half the order of secp256k1's group, rounded down: the largest low s.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    // Uncompressed: a tag of one byte, then x and y, which are what is hashed.
    Address::from_hash(&keccak256(point.as_bytes().get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first account of every development chain.
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn signs_and_recovers() {
        let key: RelayerKey = KEY.parse().unwrap();
        assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for byte in 0..32 {
            let digest = [byte; 32];
            let signature = key.sign_digest(&digest);
            assert!(*signature.s() <= HALF_ORDER);
            assert_eq!(signature.recover(&digest), Some(key.address()));
            assert_eq!(signature.to_string().parse(), Ok(signature));
            assert_ne!(signature.recover(&[99; 32]), Some(key.address()));
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let key: RelayerKey = KEY.parse().unwrap();
        let text = format!("{key:?}");
        assert_eq!(text, "RelayerKey { address: 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, .. }");
        let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for wrong in ["", "0x", &KEY[2..], &KEY[..65], &format!("0x{}", "0".repeat(64)), order] {
            assert_eq!(wrong.parse::<RelayerKey>().unwrap_err(), InvalidKey);
        }
    }

    #[test]
    fn a_signature_of_64_bytes_has_its_parity_in_s() {
        // The two of EIP-2098's own examples.
        let (r, s) = (
            "68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90",
            "7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064",
        );
        let even = format!("0x{r}{s}").parse::<Signature>().unwrap();
        assert_eq!(even.to_string(), format!("0x{r}{s}1b"));
        let (r, s) = (
            "9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76",
            "139c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793",
        );
        let odd = format!("0x{r}939c6d6b{}", &s[8..]).parse::<Signature>().unwrap();
        assert_eq!(odd.to_string(), format!("0x{r}{s}1c"));
    }

    #[test]
    fn no_other_form_of_a_signature_is_read() {
        let good = KEY.parse::<RelayerKey>().unwrap().sign_digest(&[7; 32]);
        let with = |edit: &dyn Fn(&mut [u8; 65])| {
            let mut bytes = good.to_bytes();
            edit(&mut bytes);
            Signature::from_bytes(&bytes)
        };
        assert_eq!(with(&|b| b[64] -= 27), Ok(good));
        for v in [2, 3, 26, 29, 35, 255] {
            assert_eq!(with(&|b| b[64] = v), Err(InvalidSignature), "v {v}");
        }
        assert_eq!(with(&|b| b[..32].fill(0)), Err(InvalidSignature), "r of zero");
        assert_eq!(with(&|b| b[32..64].fill(0)), Err(InvalidSignature), "s of zero");
        assert_eq!(with(&|b| b[..32].fill(0xff)), Err(InvalidSignature), "r out of range");
        assert!(with(&|b| b[32..64].copy_from_slice(&HALF_ORDER)).is_ok());
        let above = |b: &mut [u8; 65]| {
            b[32..64].copy_from_slice(&HALF_ORDER);
            b[63] += 1;
        };
        assert_eq!(with(&above), Err(InvalidSignature), "high s");
        let text = good.to_string();
        for wrong in ["", "0x", &text[2..], &text[..128], &text[..131], &format!("{text}00")] {
            assert_eq!(wrong.parse::<Signature>(), Err(InvalidSignature), "{wrong}");
        }
    }
}
