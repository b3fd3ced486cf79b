//! The payment header: `PaymentPayload` of v1 and v2.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{PaymentRequirements, json};
use crate::encoding::decode_base64;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, Deserialize)]
pub enum Version {
    /// `X-PAYMENT`.
    V1,
    /// `PAYMENT-SIGNATURE`.
    V2,
}

impl Version {
    /// The request header that carries a payment.
    pub const fn payment_header(self) -> &'static str {
        match self {
            Self::V1 => "X-PAYMENT",
            Self::V2 => "PAYMENT-SIGNATURE",
        }
    }

    /// The response header that carries the receipt.
    pub const fn receipt_header(self) -> &'static str {
        match self {
            Self::V1 => "X-PAYMENT-RESPONSE",
            Self::V2 => "PAYMENT-RESPONSE",
        }
    }

    /// `x402Version`.
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// The response header that carries the v2 challenge.
pub const PAYMENT_REQUIRED_HEADER: &str = "PAYMENT-REQUIRED";

/// The extension by which a client names its payments, so that a request that
/// is repeated can be told from a new one.
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The extension by which facilitators and crawlers learn how a resource is
/// asked for.
pub const BAZAAR: &str = "bazaar";

/// The largest payment that is read, in bytes of JSON: room for a Solana
/// transaction (1,232 bytes), what was accepted, and extensions.
pub const MAX_PAYMENT_BYTES: usize = 16 * 1024;

/// A payment as a client sends it, read but not checked.
#[derive(Debug)]
pub struct PaymentPayload {
    /// Which version the client speaks.
    pub version: Version,
    /// The scheme it names.
    pub scheme: String,
    /// The network it names: a v1 name, or CAIP-2.
    pub network: String,
    /// What it says it accepted; v2 only.
    pub accepted: Option<Accepted>,
    /// The scheme's payload, still JSON.
    pub payload: Box<RawValue>,
    /// The client's own name for the payment; v2 only.
    pub identifier: Option<String>,
}

/// What a v2 client says it accepted: requirements as it read them.
#[derive(Debug)]
pub enum Accepted {
    /// Readable requirements.
    Terms(PaymentRequirements),
    /// Something that can't be requirements of ours: wrong types, an amount
    /// that is no decimal string, an unknown kind of network.
    Unreadable,
}

/// Why a payment header can't be read: what the client must change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPayment {
    /// Not standard, padded base64.
    NotBase64,
    /// Longer than [`MAX_PAYMENT_BYTES`] when decoded.
    TooLong,
    /// Not JSON, repeated keys, a missing member, or one of a wrong type.
    NotAPayment,
    /// `x402Version` is not the one that this header carries.
    WrongVersion,
    /// `extensions.payment-identifier.info.id` is not 16 to 128 characters
    /// `a-z A-Z 0-9 _ -`.
    BadIdentifier,
}

impl InvalidPayment {
    /// What to tell the client.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotBase64 => "the payment header is not standard, padded base64",
            Self::TooLong => "the payment header is too long",
            Self::NotAPayment => {
                "the payment header does not hold the JSON of a payment: \
                 a member is missing, repeated, or of the wrong type"
            }
            Self::BadIdentifier => {
                "extensions.payment-identifier.info.id must be 16 to 128 of a-z A-Z 0-9 _ -"
            }
            Self::WrongVersion => "x402Version must be 1 in X-PAYMENT and 2 in PAYMENT-SIGNATURE",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyVersion {
    #[serde(rename = "x402Version")]
    x402_version: u8,
}

#[derive(Deserialize)]
struct WireV1 {
    scheme: String,
    network: String,
    payload: Box<RawValue>,
}

#[derive(Deserialize)]
struct WireV2 {
    accepted: Box<RawValue>,
    payload: Box<RawValue>,
    #[serde(default)]
    extensions: Value,
}

#[derive(Deserialize)]
struct SchemeAndNetwork {
    scheme: String,
    network: String,
}

impl PaymentPayload {
    /// Reads the value of a payment header of this version.
    pub fn from_header(version: Version, value: &str) -> Result<Self, InvalidPayment> {
        let bytes = decode_base64(value, MAX_PAYMENT_BYTES).map_err(|error| match error {
            crate::encoding::EncodingError::Malformed => InvalidPayment::NotBase64,
            crate::encoding::EncodingError::Length => InvalidPayment::TooLong,
        })?;
        Self::from_json(version, &bytes)
    }

    /// Reads the JSON of a payment of this version.
    pub fn from_json(version: Version, bytes: &[u8]) -> Result<Self, InvalidPayment> {
        let AnyVersion { x402_version } =
            json::from_slice(bytes).map_err(|_| InvalidPayment::NotAPayment)?;
        if x402_version != version.number() {
            return Err(InvalidPayment::WrongVersion);
        }
        match version {
            Version::V1 => {
                let WireV1 { scheme, network, payload } = read(bytes)?;
                Ok(Self { version, scheme, network, accepted: None, payload, identifier: None })
            }
            Version::V2 => {
                let WireV2 { accepted, payload, extensions } = read(bytes)?;
                let identifier = read_identifier(&extensions)?;
                let SchemeAndNetwork { scheme, network } = read(accepted.get().as_bytes())?;
                let accepted =
                    read(accepted.get().as_bytes()).map_or(Accepted::Unreadable, Accepted::Terms);
                Ok(Self { version, scheme, network, accepted: Some(accepted), payload, identifier })
            }
        }
    }
}

/// The client's name for its payment. An extension without an id is none: the
/// client copied what the challenge declares.
fn read_identifier(extensions: &Value) -> Result<Option<String>, InvalidPayment> {
    let Some(id) = extensions.pointer("/payment-identifier/info/id") else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match id.as_str() {
        Some(id) if (16..=128).contains(&id.len()) && id.bytes().all(is_plain) => {
            Ok(Some(id.to_owned()))
        }
        _ => Err(InvalidPayment::BadIdentifier),
    }
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidPayment> {
    serde_json::from_slice(bytes).map_err(|_| InvalidPayment::NotAPayment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode_base64;

    fn header(version: Version, json: &str) -> Result<PaymentPayload, InvalidPayment> {
        PaymentPayload::from_header(version, &encode_base64(json.as_bytes()))
    }

    #[test]
    fn reads_both_versions() {
        let v1 = r#"{"x402Version":1,"scheme":"exact","network":"base","payload":{"a":1}}"#;
        let payment = header(Version::V1, v1).unwrap();
        assert_eq!((payment.scheme.as_str(), payment.network.as_str()), ("exact", "base"));
        let v2 = r#"{"x402Version":2,"accepted":{"scheme":"exact","network":"eip155:8453",
            "amount":"1","asset":"a","payTo":"b","maxTimeoutSeconds":60},"payload":{}}"#;
        let payment = header(Version::V2, v2).unwrap();
        assert_eq!(payment.network, "eip155:8453");
        assert!(matches!(payment.accepted, Some(Accepted::Terms(_))));
    }

    #[test]
    fn tells_what_is_wrong() {
        use InvalidPayment::{NotAPayment, NotBase64, TooLong, WrongVersion};
        let v1 = |json: &str| header(Version::V1, json).unwrap_err();
        assert_eq!(
            v1(r#"{"x402Version":2,"scheme":"exact","network":"base","payload":{}}"#),
            WrongVersion
        );
        for wrong in [
            "",
            "null",
            "[]",
            "{}",
            "1",
            r#"{"x402Version":1,"scheme":"exact","network":"base"}"#,
            r#"{"x402Version":"1","scheme":"exact","network":"base","payload":{}}"#,
            r#"{"x402Version":1.0,"scheme":"exact","network":"base","payload":{}}"#,
            r#"{"x402Version":-1,"scheme":"exact","network":"base","payload":{}}"#,
            r#"{"x402Version":1,"scheme":3,"network":"base","payload":{}}"#,
            r#"{"x402Version":1,"scheme":"exact","network":"base","payload":{},"payload":{}}"#,
            r#"{"x402Version":1,"scheme":"exact","network":"base","payload":{"a":1,"a":1}}"#,
        ] {
            assert_eq!(v1(wrong), NotAPayment, "{wrong}");
        }
        assert_eq!(PaymentPayload::from_header(Version::V1, "{}").unwrap_err(), NotBase64);
        let long = "A".repeat(1 << 20);
        assert_eq!(PaymentPayload::from_header(Version::V1, &long).unwrap_err(), TooLong);
    }
}
