//! What is free of a route, as it is asked about and told.

use super::cors::is_by_page_elsewhere;
use super::{Head, Sale};
use crate::config::{Config, Free, Loaded};
use crate::encoding::encode_hex;
use crate::mac;
use crate::settlement::quota::{FOREVER, QuotaReply, QuotaRequest, object_of, object_of_wallet};
use crate::time::UnixSeconds;

impl Sale<'_> {
    /// Who counts what is free here of a client at this place
    /// ([`place_of`](crate::purchase::order::place_of)), and what it is asked.
    ///
    /// The place itself is kept nowhere, only codes by a key of the shop's: without
    /// it nobody finds the address again, nor addresses that are counted in one
    /// object or have another client's row. A shop that signs nothing and has no
    /// `GRANT_SECRET` has no key, and so no such promise.
    pub fn quota(
        &self,
        config: &Config,
        free: &Free,
        place: &str,
    ) -> Option<(String, QuotaRequest)> {
        let code = |lines: &[&str]| code_of(config, lines);
        let client = code(&["edge402 quota client 1", place])?;
        let network = code(&["edge402 quota network 1", network_of(place)])?;
        let (number, route) = (self.number.to_string(), self.route.pattern.as_str());
        let row = code(&["edge402 quota 1", place, &number, free.window, route])?;
        let request = QuotaRequest {
            key: format!("{}/{row}", network.get(2..18)?),
            units: free.units,
            seconds: free.seconds,
            look_only: self.method.as_str() == "HEAD",
        };
        Some((object_of(&client), request))
    }

    /// The same for a wallet ([`Sale::wallet`]), which has what is free here once.
    pub fn wallet_quota(
        &self,
        config: &Config,
        free: &Free,
        wallet: &str,
    ) -> Option<(String, QuotaRequest)> {
        let client = code_of(config, &["edge402 quota wallet 1", wallet])?;
        let row = code_of(config, &["edge402 quota wallet 1", wallet, &self.route.full_name])?;
        let request = QuotaRequest {
            key: format!("{}/{row}", client.get(2..18)?),
            units: free.units,
            seconds: FOREVER,
            look_only: self.method.as_str() == "HEAD",
        };
        Some((object_of_wallet(&client), request))
    }

    /// Whether this may cost nothing: it is one of the requests that count, and not
    /// a page elsewhere that has its visitors make it, unless the seller trusts it.
    /// `own`: the scheme and host that are asked.
    pub(super) fn may_be_free(&self, loaded: &Loaded, own: &str, head: &impl Head) -> bool {
        self.route.free.is_some()
            && self.method.as_str() != "OPTIONS"
            && !is_by_page_elsewhere(&loaded.trusted_pages, own, head)
    }
}

/// The key of all that is made for quotas.
pub(super) fn key_of(config: &Config) -> &[u8] {
    config.delivery_keys.0.first().map_or(&[], |key| key.as_slice())
}

fn code_of(config: &Config, lines: &[&str]) -> Option<String> {
    mac::code_of(key_of(config), lines).map(|code| encode_hex(&code))
}

/// Whether a page makes this request that the seller trusts.
pub fn is_trusted(loaded: &Loaded, head: &impl Head) -> bool {
    head.header("Origin").is_some_and(|page| loaded.trusted_pages.contains(&page))
}

/// The network that a place is in: what one party has at little cost, the /24 of an
/// IPv4 address, or the /48 of a /64.
fn network_of(place: &str) -> &str {
    let end = if place.contains(':') {
        place.match_indices(':').nth(2).map(|(at, _)| at)
    } else {
        place.rfind('.')
    };
    end.and_then(|end| place.get(..end)).unwrap_or(place)
}

/// The headers that tell a client what it has left
/// (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4).
pub fn headers(free: &Free, reply: &QuotaReply, now: UnixSeconds) -> [(&'static str, String); 2] {
    let (units, seconds) = (free.units, free.seconds);
    let (left, reset) = (reply.left, reply.until.since(now));
    // What a wallet has doesn't come again.
    let window = if free.by_wallet { String::new() } else { format!(";w={seconds}") };
    let reset = if reply.until.0 < FOREVER { format!(";t={reset}") } else { String::new() };
    [
        ("RateLimit-Policy", format!("\"free\";q={units}{window}")),
        ("RateLimit", format!("\"free\";r={left}{reset}")),
    ]
}
