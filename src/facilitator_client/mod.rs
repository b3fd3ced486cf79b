//! Somebody else's facilitator, as its client: what to send, and what its
//! answers mean.
//!
//! Source of the shapes: x402 v2 specification, section 7 (facilitator
//! interface); Faremeter's `/accepts`. What carries the bytes is an [`Http`],
//! so that all of this can be tested without a network.
//!
//! | module | what |
//! |---|---|
//! | [`body`] | the one body for `/verify` and `/settle` |
//! | [`answer`] | what is said to it |
//! | [`auth`] | how a request is signed for one that wants it |
//! | [`p256`] | a key that signs elsewhere |
//! | [`facts`] | what must be known of a facilitator before anything is sold |

pub mod answer;
pub mod auth;
pub mod body;
pub mod facts;
pub mod p256;

use std::fmt;
use std::time::Duration;

use serde_json::Value;

pub use answer::{Settled, Verdict};
pub use auth::CdpKey;
pub use body::{About, payment_body};
pub use facts::RemoteFacts;

use auth::{RequestAuth, ToSign};

use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::json;
use crate::protocol::ChainId;
use crate::rpc::{TransportError, host_of};
use crate::time::UnixSeconds;

/// How long a facilitator may take to check a payment.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to settle one.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Carries one HTTP request to a facilitator. Redirects are not followed: a
/// payment goes to the host that the seller named.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Http {
    /// The answer, whatever its status.
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError>;
}

/// A request to a facilitator.
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    /// Where to.
    pub url: String,
    /// The headers besides `Content-Type`. They may be secret.
    pub headers: Vec<(&'a str, &'a str)>,
    /// What signs it, if it must be signed. It is signed as it goes out, because
    /// what was signed is good for a short time.
    pub auth: Option<&'a dyn RequestAuth>,
    /// JSON to POST; without it, a GET.
    pub body: Option<&'a str>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

impl HttpRequest<'_> {
    /// What is signed of it; `nonce` is what nobody has used before.
    pub fn to_sign(&self, now: UnixSeconds, nonce: [u8; 16]) -> ToSign<'_> {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        ToSign { method, url: &self.url, now, nonce }
    }
}

/// An answer of a facilitator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body; `None` if it is longer than [`MAX_ANSWER`].
    pub body: Option<String>,
}

/// Somebody else's facilitator.
#[derive(Clone, PartialEq, Eq)]
pub struct Facilitator {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// The headers that it wants to see, such as an API key.
    pub headers: Vec<(String, String)>,
    /// What signs each request to it, if it wants that.
    pub auth: Option<CdpKey>,
    /// What it has said of itself.
    pub facts: RemoteFacts,
}

/// Headers are secrets, and a URL may hold one.
impl fmt::Debug for Facilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facilitator({}, {} headers, {:?})", self.host(), self.headers.len(), self.facts)
    }
}

impl Facilitator {
    fn auth(&self) -> Option<&dyn RequestAuth> {
        self.auth.as_ref().map(|key| key as &dyn RequestAuth)
    }

    /// Its host: all of it that goes into logs and answers.
    pub fn host(&self) -> String {
        host_of(&self.url)
    }

    /// Whether it would take a payment; changes nothing.
    pub async fn verify(&self, http: &impl Http, body: &str) -> Verdict {
        match self.post(http, "/verify", body, None, VERIFY_TIMEOUT).await {
            Ok(answer) => Verdict::read(answer.status, &answer.json()),
            Err(error) => Verdict::NoAnswer(error.to_string()),
        }
    }

    /// Has a payment settled. `key` is the same for every repeat of the same
    /// purchase, so that a facilitator which knows `Idempotency-Key` answers
    /// the repeat with what became of the first.
    pub async fn settle(
        &self,
        http: &impl Http,
        network: ChainId,
        body: &str,
        key: &str,
    ) -> Settled {
        match self.post(http, "/settle", body, Some(key), SETTLE_TIMEOUT).await {
            Ok(answer) => Settled::read(answer.status, &answer.json(), network),
            // `fetch` doesn't tell a connection that was refused from one that
            // broke off after the request had gone out.
            Err(error) => Settled::Unclear(error.to_string()),
        }
    }

    async fn post(
        &self,
        http: &impl Http,
        path: &str,
        body: &str,
        key: Option<&str>,
        timeout: Duration,
    ) -> Result<HttpAnswer, TransportError> {
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = own.chain(key.map(|key| ("Idempotency-Key", key))).collect();
        let url = format!("{}{path}", self.url);
        let auth = self.auth();
        http.exchange(HttpRequest { url, headers, auth, body: Some(body), timeout }).await
    }
}

impl HttpAnswer {
    /// The body as JSON; `null` if it is none.
    fn json(&self) -> Value {
        self.body.as_deref().and_then(|text| json::parse(text).ok()).unwrap_or_default()
    }
}

/// What names one purchase to a facilitator: a payment and what it buys.
pub fn idempotency_key(payment: &str, resource: &str) -> String {
    encode_hex(&keccak256(format!("{payment}\n{resource}").as_bytes()))
}

/// Whether a facilitator's word for a network means this one: one of its names,
/// or its reference alone, as `networkId` once had it.
fn is_network(text: &str, network: ChainId) -> bool {
    let caip2 = network.to_string();
    let reference = caip2.split_once(':').map(|(_, reference)| reference);
    network.is_called(text) || Some(text) == reference
}
