//! What goes with requests to the origin, so that it can tell the gate from
//! anybody else: `ORIGIN_HEADERS`, and what `ORIGIN_SECRET` signs.

use std::fmt;

use serde_json::Value;

use super::Origin;
use super::fields::{Fields, Report, is_header_name, is_header_value};
use crate::encoding::decode_hex;
use crate::table::Table;

const KEY: &str = "ORIGIN_HEADERS";

/// The secret that signs what the origin is told of payments.
pub(super) const SECRET: &str = "ORIGIN_SECRET";

/// What each connection says for itself (RFC 9110, section 7.6.1), and what the
/// gate tells an origin, in small letters.
const TAKEN: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// What the names of the headers begin with that are about payments, or the
/// gate's own, in small letters.
const TAKEN_PREFIXES: [&str; 3] = ["payment-", "x-payment", "x-edge402-"];

/// Secrets that stay with the Worker, whatever an origin is told.
const KEPT_SECRETS: [&str; 11] = [
    "EVM_RELAYER_KEYS",
    "SOLANA_FEE_PAYER_KEYS",
    "RPC_URLS",
    "GRANT_SECRET",
    "FACILITATOR_HEADERS",
    "CDP_API_KEY",
    "FACILITATOR_TOKENS",
    "DESK_TOKENS",
    "WEBHOOK_SECRET",
    "PASSES",
    SECRET,
];

/// Headers for the origin: names and values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OriginHeaders {
    /// Those that go with each request.
    pub always: Vec<(String, String)>,
    /// Those that go with what is paid for, and with nothing else.
    pub when_paid: Vec<(String, String)>,
}

impl fmt::Debug for OriginHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.always.len() + self.when_paid.len();
        write!(f, "OriginHeaders({count} headers, not shown)")
    }
}

/// `ORIGIN_SECRET`, with which the origin checks what it is told of payments.
#[derive(Clone, PartialEq, Eq)]
pub struct OriginSecret(String);

impl fmt::Debug for OriginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginSecret(not shown)")
    }
}

impl OriginSecret {
    /// Reads the secret: 64 hex digits. Its key is that text, as it stands.
    pub(super) fn read(secret: Option<&str>, faults: &Report) -> Option<Self> {
        let text = secret?;
        if decode_hex::<32>(&format!("0x{text}")).is_err() {
            faults.add(SECRET, "must be 64 hex digits: openssl rand -hex 32");
            return None;
        }
        Some(Self(text.to_owned()))
    }

    /// The key of an HMAC.
    pub const fn key(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[cfg(test)]
    pub(crate) const fn of(text: String) -> Self {
        Self(text)
    }
}

/// The names of the secrets that the table's values are in.
pub(super) fn secrets_named(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let headers = value.and_then(Value::as_object);
    headers.into_iter().flatten().filter_map(|(_, it)| it.get("secret")?.as_str())
}

impl OriginHeaders {
    /// Reads the table: header → text, or the name of a secret that holds it.
    /// `kept` are names of secrets that stay here, beside those that always do.
    /// Faults never show a value.
    pub(super) fn read(
        value: Option<&Value>,
        (secrets, kept): (&Table<String, String>, &[&str]),
        origin: Option<&Origin>,
        faults: &Report,
    ) -> Self {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Self::default() };
        let Some(headers) = value.as_object() else {
            faults.add(KEY, "must be a table: write it as [vars.ORIGIN_HEADERS]");
            return Self::default();
        };
        if matches!(origin, Some(Origin::Assets | Origin::None)) {
            faults.add(KEY, "has no effect with this ORIGIN, which reads no headers");
        }
        let mut read = Self::default();
        for (name, value) in headers {
            let key = format!("{KEY}.{name:?}");
            let lower = name.to_ascii_lowercase();
            let problem = if !is_header_name(name) {
                "is no name of a header"
            } else if TAKEN.contains(&&*lower)
                || TAKEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
            {
                "is a header that the connection or the Worker itself sets"
            } else if read.all().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                "is there twice, in other letters"
            } else {
                let is_when_paid = read_when(&key, value, faults);
                let list = if is_when_paid { &mut read.when_paid } else { &mut read.always };
                list.extend(
                    read_value(key, value, (secrets, kept), faults).map(|it| (name.clone(), it)),
                );
                continue;
            };
            faults.add(key, problem);
        }
        read
    }

    fn all(&self) -> impl Iterator<Item = &(String, String)> {
        self.always.iter().chain(&self.when_paid)
    }
}

/// Whether a header goes with what is paid for alone.
fn read_when(key: &str, value: &Value, faults: &Report) -> bool {
    match value.get("when").map(Value::as_str) {
        None => false,
        Some(Some("paid")) => true,
        Some(_) => {
            faults.add(format!("{key}.when"), "must be \"paid\", or left out");
            false
        }
    }
}

/// A header's value; `None` if it has a fault, which has been reported then.
fn read_value(
    key: String,
    value: &Value,
    (secrets, kept): (&Table<String, String>, &[&str]),
    faults: &Report,
) -> Option<String> {
    let (key, text) = if let Some(text) = value.as_str() {
        (key, text)
    } else if !value.is_object() {
        faults.add(key, "must be a text, or { secret = \"the name of a secret\" }");
        return None;
    } else {
        let fields = Fields::new(key.clone(), value, &["secret", "when"], faults);
        let name = fields.needed("secret", "the name of a secret that holds the value")?;
        if KEPT_SECRETS.contains(&name) || kept.contains(&name) {
            fields.fault("secret", "names a secret that stays with the Worker; make another one");
            return None;
        }
        if name.is_empty() || !name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_') {
            fields.fault("secret", "must be the name of a secret, such as \"ORIGIN_KEY\"");
            return None;
        }
        let Some(text) = secrets.get(name) else {
            faults.add(name, format!("is needed for {key}: wrangler secret put {name}"));
            return None;
        };
        (name.to_owned(), text.as_str())
    };
    if !is_header_value(text) {
        faults.add(key, "must be visible ASCII, with blanks inside only");
        return None;
    }
    Some(text.to_owned())
}
