//! A key of P-256, as PEM files hold it: read here, and used by who has the curve.

use crate::encoding::decode_base64;

/// OBJECT IDENTIFIER prime256v1 (RFC 5480, section 2.1.1.1).
const CURVE: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// OBJECT IDENTIFIER ecPublicKey.
const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// The longest file that is read, in bytes of DER.
const MAX_DER: usize = 512;

/// A private key of P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct P256Key([u8; 32]);

/// Says nothing of it.
impl std::fmt::Debug for P256Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P256Key(not shown)")
    }
}

impl P256Key {
    /// Reads a PEM file (RFC 7468), of which the line breaks may be `\n` as some
    /// write them into variables: `EC PRIVATE KEY` (RFC 5915) or `PRIVATE KEY`
    /// (PKCS #8, RFC 5958). Parameters before it are passed over.
    pub fn read(pem: &str) -> Option<Self> {
        let (_, rest) = pem.split_once("PRIVATE KEY-----")?;
        let (text, _) = rest.split_once("-----END")?;
        let text = text.replace("\\r", "").replace("\\n", "");
        let text: String = text.split_ascii_whitespace().collect();
        key_in(&decode_base64(&text, MAX_DER).ok()?).map(Self)
    }

    /// The key as PKCS #8, as `crypto.subtle` takes it.
    pub fn to_pkcs8(&self) -> Vec<u8> {
        let key = [&[0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20], self.0.as_slice()].concat();
        let head = [0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13];
        [head.as_slice(), &EC, &CURVE, &[0x04, 0x27], &key].concat()
    }
}

/// The number in a private key, if it is of this curve.
fn key_in(der: &[u8]) -> Option<[u8; 32]> {
    let (key, []) = element(0x30, der)? else { return None };
    let (version, rest) = element(0x02, key)?;
    match version {
        [0] => {
            let (algorithm, rest) = element(0x30, rest)?;
            let (key, _) = element(0x04, rest)?;
            (algorithm == [EC.as_slice(), &CURVE].concat()).then(|| key_in(key))?
        }
        [1] => {
            let (key, rest) = element(0x04, rest)?;
            let is_other = rest.first() == Some(&0xa0)
                && element(0xa0, rest).is_none_or(|(curve, _)| curve != CURVE);
            if is_other { None } else { key.try_into().ok() }
        }
        _ => None,
    }
}

/// The inside of the element of this kind that bytes begin with, and what is behind
/// it (DER, X.690). None that is needed here has 256 bytes or more.
fn element(kind: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [own, 0x81, length, rest @ ..] if *own == kind && *length >= 0x80 => (*length, rest),
        [own, length, rest @ ..] if *own == kind && *length < 0x80 => (*length, rest),
        _ => return None,
    };
    rest.split_at_checked(length.into())
}

/// `openssl ecparam -name prime256v1 -genkey -noout`.
#[cfg(test)]
pub const PEM: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEILT4hFROlRYyeScZm7xJ73mxNVFQYwkMMH0aqPUZo5atoAoGCCqGSM49
AwEHoUQDQgAEIvT+BanWtrJ2jemITcWBybFDyVDGVrjHjLj7PYNlHCd3umlrkrn4
Jw1hk8LDT7SK9jFBErRkk9pdtYtjL+oh7g==
-----END EC PRIVATE KEY-----
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{encode_base64, encode_hex};

    /// `openssl pkcs8 -topk8 -nocrypt` of it.
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtPiEVE6VFjJ5Jxmb
vEnvebE1UVBjCQwwfRqo9Rmjlq2hRANCAAQi9P4Fqda2snaN6YhNxYHJsUPJUMZW
uMeMuPs9g2UcJ3e6aWuSufgnDWGTwsNPtIr2MUEStGST2l21i2Mv6iHu
-----END PRIVATE KEY-----
";
    const NUMBER: &str = "0xb4f884544e9516327927199bbc49ef79b135515063090c307d1aa8f519a396ad";
    const PARAMETERS: &str =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";

    fn hex(bytes: &[u8]) -> String {
        encode_hex(bytes).trim_start_matches("0x").to_owned()
    }

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END", encode_base64(der))
    }

    #[test]
    fn both_kinds_of_files_hold_the_same_key() {
        let key = P256Key::read(PEM).unwrap();
        assert_eq!(encode_hex(&key.0), NUMBER);
        let escaped = PEM.replace('\n', "\\n");
        let dos = PEM.replace('\n', "\r\n");
        let with_parameters = format!("{PARAMETERS}{PEM}");
        let own = pem(&key.to_pkcs8());
        for same in [PKCS8, &escaped, &dos, &with_parameters, &own] {
            assert!(P256Key::read(same).as_ref() == Some(&key), "{same}");
        }
        // As node:crypto exports such a key, without the public part.
        assert_eq!(
            hex(&key.to_pkcs8()),
            format!(
                "3041020100301306072a8648ce3d020106082a8648ce3d0301070427302502010104 20{}",
                &NUMBER[2..]
            )
            .replace(' ', "")
        );
        assert_eq!(format!("{key:?}"), "P256Key(not shown)");
    }

    #[test]
    fn what_is_no_such_key_is_none() {
        let der = |text: &str| decode_base64(text, 1_000).unwrap();
        // secp256k1 and P-384, by openssl.
        let koblitz = "MHQCAQEEICjTNRRqpvII6SvyDT7cRP4zNjWxRHH17zbP822rs39EoAcGBSuBBAAKoUQDQgAE\
                       WBYK7gKmWdx56E9TpDk8oLpuvuTKL9WR6q6iXQdC8I3/6RUADpeCOnA/AylDXMDJNDnLl+5b\
                       L5fxdhF6idIBJw==";
        let other = [&[0x30, 0x35, 0x02, 0x01, 0x01, 0x04, 0x30], [1; 48].as_slice()].concat();
        let whole = P256Key::read(PEM).unwrap().to_pkcs8();
        let longer = [whole.as_slice(), &[0]].concat();
        for wrong in [
            pem(&der(koblitz)),
            pem(&other),
            pem(&longer),
            pem(&[]),
            pem(&[0x30, 0x81]),
            PARAMETERS.to_owned(),
            PEM.replace("-----END", "END"),
            PEM.replace("MHcC", "%%%%"),
            format!("-----BEGIN EC PRIVATE KEY-----{}-----END", "A".repeat(10_000)),
        ] {
            assert!(P256Key::read(&wrong).is_none(), "{wrong:.200}");
        }
        for length in 0..whole.len() {
            assert!(P256Key::read(&pem(&whole[..length])).is_none(), "{length}");
        }
    }
}
