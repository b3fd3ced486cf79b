//! The payment header: `PaymentPayload` of v1 and v2.

use serde_json::Value;

use super::PaymentRequirements;
use crate::encoding::decode_base64;
use crate::json;
use crate::plain_error;

/// A version of the protocol, and the headers of its HTTP transport ([v1], [v2]).
///
/// [v1]: https://github.com/x402-foundation/x402/blob/main/specs/transports-v1/http.md
/// [v2]: https://github.com/x402-foundation/x402/blob/main/specs/transports-v2/http.md
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
/// is repeated can be told from a new one ([payment-identifier]).
///
/// [payment-identifier]: https://github.com/x402-foundation/x402/blob/main/specs/extensions/payment_identifier.md
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The extension by which facilitators and crawlers learn how a resource is
/// asked for ([bazaar]).
///
/// [bazaar]: https://github.com/x402-foundation/x402/blob/main/specs/extensions/bazaar.md
pub const BAZAAR: &str = "bazaar";

/// The extension by which a client signs, beside its payment by Permit2, the
/// token's own permit for Permit2 (EIP-2612), and the member of a payload that
/// holds what it signed.
pub const GAS_SPONSORING: &str = "eip2612GasSponsoring";

/// The largest payment that is read, in bytes of JSON: room for a Solana
/// transaction (1,232 bytes), what was accepted, and extensions.
pub const MAX_PAYMENT_BYTES: usize = 16 * 1024;

/// A payment as a client sends it, read but not checked (`PaymentPayload`;
/// [x402 v1, 5.2], [x402 v2, 5.2]).
///
/// [x402 v1, 5.2]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v1.md
/// [x402 v2, 5.2]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
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
    pub payload: Value,
    /// The client's own name for the payment; v2 only.
    pub identifier: Option<String>,
}

/// What a v2 client says it accepted: requirements as it read them
/// ([x402 v2, 5.2]).
///
/// [x402 v2, 5.2]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
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
    /// Not standard base64.
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

plain_error!(InvalidPayment, |it| it.message());

impl InvalidPayment {
    /// What to tell the client.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotBase64 => "the payment header is not standard base64",
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
        let payment = json::from_slice(bytes).map_err(|_| InvalidPayment::NotAPayment)?;
        let as_u8 = |number: &Value| u8::try_from(json::whole_number(number)?).ok();
        if read(&payment, "x402Version", as_u8)? != version.number() {
            return Err(InvalidPayment::WrongVersion);
        }
        let mut payload = read(&payment, "payload", Some)?.clone();
        let text_of = |object, name| read(object, name, Value::as_str).map(str::to_owned);
        Ok(match version {
            Version::V1 => Self {
                version,
                scheme: text_of(&payment, "scheme")?,
                network: text_of(&payment, "network")?,
                accepted: None,
                payload,
                identifier: None,
            },
            Version::V2 => {
                let accepted = read(&payment, "accepted", Some)?;
                let identifier = read_identifier(&payment)?;
                put_sponsoring(&mut payload, payment.get("extensions"));
                Self {
                    version,
                    scheme: text_of(accepted, "scheme")?,
                    network: text_of(accepted, "network")?,
                    accepted: Some(
                        PaymentRequirements::read(accepted)
                            .map_or(Accepted::Unreadable, Accepted::Terms),
                    ),
                    payload,
                    identifier,
                }
            }
        })
    }
}

/// Puts what a client signed besides its payment into the payload, where
/// whoever checks the payment finds it. Whatever stood there by that name goes.
/// An extension without a signature is none: the client copied what the
/// challenge declares.
pub fn put_sponsoring(payload: &mut Value, extensions: Option<&Value>) {
    let Some(payload) = payload.as_object_mut() else { return };
    payload.remove(GAS_SPONSORING);
    let info = extensions.and_then(|it| it.get(GAS_SPONSORING)?.get("info"));
    let is_signed = |info: &&Value| info.get("signature").is_some_and(|it| !it.is_null());
    if let Some(info) = info.filter(is_signed) {
        payload.insert(GAS_SPONSORING.into(), info.clone());
    }
}

/// The client's name for its payment. An extension without an id is none: the
/// client copied what the challenge declares.
fn read_identifier(payment: &Value) -> Result<Option<String>, InvalidPayment> {
    let id = payment.pointer("/extensions/payment-identifier/info/id");
    let Some(id) = id.filter(|id| !id.is_null()) else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match id.as_str() {
        Some(id) if (16..=128).contains(&id.len()) && id.bytes().all(is_plain) => {
            Ok(Some(id.to_owned()))
        }
        _ => Err(InvalidPayment::BadIdentifier),
    }
}

/// A member that must be there, and of this type.
fn read<'a, T>(
    object: &'a Value,
    name: &str,
    as_type: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<T, InvalidPayment> {
    object.get(name).and_then(as_type).ok_or(InvalidPayment::NotAPayment)
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
    fn spellings_of_other_languages_mean_the_same() {
        let v1 = r#"{"x402Version":1.0,"scheme":"exact","network":"base","payload":{}}"#;
        assert!(header(Version::V1, v1).is_ok());
        let unpadded = encode_base64(v1.as_bytes());
        assert!(PaymentPayload::from_header(Version::V1, unpadded.trim_end_matches('=')).is_ok());
        for extensions in [
            "null",
            r#"{"payment-identifier":null}"#,
            r#"{"payment-identifier":{"info":null}}"#,
            r#"{"payment-identifier":{"info":{"id":null}}}"#,
        ] {
            let v2 = format!(
                r#"{{"x402Version":2,"resource":null,"extensions":{extensions},"payload":{{}},
                "accepted":{{"scheme":"exact","network":"eip155:8453","amount":"1","asset":"a",
                "payTo":"b","maxTimeoutSeconds":60.0,"extra":null}}}}"#
            );
            let payment = header(Version::V2, &v2).unwrap();
            assert_eq!(payment.identifier, None, "{extensions}");
            assert!(matches!(payment.accepted, Some(Accepted::Terms(_))), "{extensions}");
        }
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
            r#"{"x402Version":1.5,"scheme":"exact","network":"base","payload":{}}"#,
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
