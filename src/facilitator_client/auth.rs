//! What a hosted facilitator wants to see with each request: a token that is
//! signed for this one alone.
//!
//! A key of P-256 signs where the Worker runs (`crypto.subtle`): the curve costs much to
//! have here, and is used for nothing else.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use super::p256::P256Key;
use crate::encoding::{decode_base64, encode_base64url, encode_hex};
use crate::json::json;
use crate::rpc::host_of;
use crate::time::UnixSeconds;

/// For how long a token is good, in seconds: what CDP's own clients take.
const LIFETIME: u64 = 120;

/// The header that proves who asks.
pub const AUTHORIZATION: &str = "Authorization";

/// A way to sign requests.
pub trait RequestAuth: fmt::Debug {
    /// What is signed for a request.
    fn text(&self, request: &ToSign<'_>) -> String;
    /// The signature of that.
    fn sign(&self, text: &str) -> Signing<'_>;
    /// The value of [`AUTHORIZATION`] for a text and its signature.
    fn authorization(&self, text: &str, signature: &[u8; 64]) -> String {
        format!("Bearer {text}.{}", encode_base64url(signature))
    }
}

/// A signature, or what makes it.
#[derive(Debug)]
pub enum Signing<'a> {
    /// It is this.
    Done([u8; 64]),
    /// ECDSA by this key with SHA-256: `r ‖ s` (RFC 7518, section 3.4).
    ByHost(&'a P256Key),
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a> {
    /// Its method.
    pub method: &'static str,
    /// Its URL.
    pub url: &'a str,
    /// When it is made.
    pub now: UnixSeconds,
    /// What nobody has used before.
    pub nonce: [u8; 16],
}

/// A key of the Coinbase Developer Platform (CDP, "API Key Authentication"): JWTs
/// (RFC 7519) by Ed25519 (RFC 8037), or by ECDSA with P-256 (RFC 7518).
#[derive(Clone, PartialEq, Eq)]
pub struct CdpKey {
    name: String,
    key: Key,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Ed25519(Box<SigningKey>),
    P256(P256Key),
}

/// Says whose key it is, and nothing of it.
impl fmt::Debug for CdpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CdpKey({})", self.name)
    }
}

impl CdpKey {
    /// Reads a key's name and its secret: base64 of 64 bytes, the seed and the
    /// public key; or a PEM file of P-256.
    ///
    /// # Errors
    /// What is wrong with them, and never what they are.
    pub fn read(name: &str, secret: &str) -> Result<Self, &'static str> {
        let is_name = |c: u8| c.is_ascii_alphanumeric() || b"-_./".contains(&c);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("has no key's id, such as a UUID");
        }
        if secret.contains("-----BEGIN") {
            let key = P256Key::read(secret).map(Key::P256);
            let key = key.ok_or("has a PEM that is no key of P-256, or one with a passphrase")?;
            return Ok(Self { name: name.to_owned(), key });
        }
        let bytes = decode_base64(secret.trim(), 64).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| SigningKey::from_keypair_bytes(&bytes).ok());
        let key = key.ok_or("must have an Ed25519 key's secret, base64 of 64 bytes, or a PEM")?;
        Ok(Self { name: name.to_owned(), key: Key::Ed25519(Box::new(key)) })
    }
}

impl RequestAuth for CdpKey {
    fn text(&self, request: &ToSign<'_>) -> String {
        let ToSign { method, url, now, nonce } = *request;
        let nonce = encode_hex(&nonce);
        let header = json!({
            "alg": if matches!(self.key, Key::P256(_)) { "ES256" } else { "EdDSA" },
            "kid": self.name, "typ": "JWT", "nonce": nonce.trim_start_matches("0x"),
        });
        // Its host and path, as `fetch` tells them to the server: in small letters,
        // and without a port that goes without saying.
        let (scheme, path) = url.split_once("://").unwrap_or_default();
        let host = host_of(url).to_ascii_lowercase();
        let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        let host = host.strip_suffix(usual).unwrap_or(&host);
        let path = path.get(path.find('/').unwrap_or(path.len())..).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let claims = json!({
            "iss": "cdp", "sub": self.name, "uris": [format!("{method} {host}{path}")],
            "iat": now.0, "nbf": now.0, "exp": now.plus(LIFETIME).0,
        });
        let part = |value: serde_json::Value| encode_base64url(value.to_string().as_bytes());
        format!("{}.{}", part(header), part(claims))
    }

    fn sign(&self, text: &str) -> Signing<'_> {
        match &self.key {
            Key::Ed25519(key) => Signing::Done(key.sign(text.as_bytes()).to_bytes()),
            Key::P256(key) => Signing::ByHost(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signature, Verifier as _};
    use serde_json::Value;

    const NAME: &str = "2bb3f0d5-2c64-4a2e-8c06-2e5c9a6f0e11";

    fn pair(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn secret(seed: u8) -> String {
        crate::encoding::encode_base64(&pair(seed).to_keypair_bytes())
    }

    fn to_sign(url: &str) -> ToSign<'_> {
        ToSign { method: "POST", url, now: UnixSeconds(1_700_000_000), nonce: [0xab; 16] }
    }

    fn signed(key: &CdpKey, url: &str) -> String {
        let text = key.text(&to_sign(url));
        let Signing::Done(signature) = key.sign(&text) else { panic!() };
        key.authorization(&text, &signature)
    }

    #[test]
    fn a_key_of_p_256_signs_the_same_elsewhere() {
        let key = CdpKey::read("organizations/a/apiKeys/b", super::super::p256::PEM).unwrap();
        let text = key.text(&to_sign("https://api.cdp.example/x402/verify"));
        let header = text.split('.').next().unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("JWT")));
        assert_eq!(header["kid"], "organizations/a/apiKeys/b");
        assert!(matches!(key.sign(&text), Signing::ByHost(_)));
        let token = key.authorization(&text, &[7; 64]);
        assert_eq!(token, format!("Bearer {text}.{}", encode_base64url(&[7; 64])));
        assert_eq!(format!("{key:?}"), "CdpKey(organizations/a/apiKeys/b)");
    }

    #[test]
    fn a_token_names_its_key_its_request_and_two_minutes() {
        let key = CdpKey::read(NAME, &secret(2)).unwrap();
        let header = signed(&key, "https://api.cdp.example/platform/v2/x402/verify?x=1");
        let token = header.strip_prefix("Bearer ").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let json = |n: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[n]).unwrap()).unwrap()
        };
        assert_eq!(
            json(0),
            json!({ "alg": "EdDSA", "kid": NAME, "typ": "JWT", "nonce": "ab".repeat(16) })
        );
        assert_eq!(
            json(1),
            json!({
                "iss": "cdp", "sub": NAME,
                "uris": ["POST api.cdp.example/platform/v2/x402/verify"],
                "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_000_120,
            })
        );
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        assert!(pair(2).verifying_key().verify(signed.as_bytes(), &signature).is_ok());
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn what_is_signed_is_the_host_that_the_server_is_told() {
        let key = CdpKey::read(NAME, &secret(2)).unwrap();
        for (url, expected) in [
            ("https://API.cdp.Example:443/X/verify", "POST api.cdp.example/X/verify"),
            ("HTTPS://api.cdp.example:443/a", "POST api.cdp.example/a"),
            ("http://localhost:80/a", "POST localhost/a"),
            ("http://localhost:443/a", "POST localhost:443/a"),
            ("https://api.cdp.example:8443/a", "POST api.cdp.example:8443/a"),
            ("https://api.cdp.example:4443/a", "POST api.cdp.example:4443/a"),
        ] {
            let header = signed(&key, url);
            let claims = header.split('.').nth(1).unwrap();
            let claims: Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
            assert_eq!(claims["uris"], json!([expected]), "{url}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_not_shown() {
        let mut mixed = pair(2).to_keypair_bytes();
        mixed[63] ^= 1;
        let mixed = crate::encoding::encode_base64(&mixed);
        let pem = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        for (name, secret, problem) in [
            ("", secret(2), "no key's id"),
            ("a b", secret(2), "no key's id"),
            (NAME, pem.to_owned(), "no key of P-256"),
            (NAME, mixed, "base64 of 64 bytes"),
            (NAME, "AAAA".to_owned(), "base64 of 64 bytes"),
            (NAME, String::new(), "base64 of 64 bytes"),
        ] {
            let said = CdpKey::read(name, &secret).unwrap_err();
            assert!(said.contains(problem), "{said}");
        }
        assert_eq!(
            format!("{:?}", CdpKey::read(NAME, &secret(2)).unwrap()),
            format!("CdpKey({NAME})")
        );
    }
}
