//! What is free of a route, as it is asked about and told.

use super::Sale;
use crate::config::Free;
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::settlement::quota::{QuotaReply, QuotaRequest, object_of};
use crate::time::UnixSeconds;

impl Sale<'_> {
    /// Who counts what is free here of a client at this place, and what it is
    /// asked. Nobody keeps the place itself.
    pub fn quota(&self, free: &Free, place: &str) -> (String, QuotaRequest) {
        let hash = |text: String| encode_hex(&keccak256(text.as_bytes()));
        let client = hash(format!("edge402 quota 1\n{place}"));
        let route = self.route.pattern.as_str();
        let key = hash(format!("{client}\n{}\n{route}\n{}", self.number, free.window));
        let request = QuotaRequest {
            key,
            units: free.units,
            seconds: free.seconds,
            look_only: self.method.as_str() == "HEAD",
        };
        (object_of(&client), request)
    }

    /// Whether this may cost nothing: it is one of the requests that count.
    pub(super) fn may_be_free(&self) -> bool {
        self.route.free.is_some() && self.method.as_str() != "OPTIONS"
    }
}

/// The headers that tell a client what it has left
/// (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4).
pub fn headers(free: &Free, reply: &QuotaReply, now: UnixSeconds) -> [(&'static str, String); 2] {
    let (units, seconds) = (free.units, free.seconds);
    let (left, reset) = (reply.left, reply.until.since(now));
    [
        ("RateLimit-Policy", format!("\"free\";q={units};w={seconds}")),
        ("RateLimit", format!("\"free\";r={left};t={reset}")),
    ]
}
