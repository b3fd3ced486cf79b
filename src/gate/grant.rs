//! Access grants: a payment that opens a route for a while.
//!
//! A grant is a text that only this gateway can write: when it ends, who paid,
//! by which payment, and an HMAC over that and over what it is good for. Host,
//! route and price are under the HMAC, so a grant for one route opens no other,
//! and a new price in the configuration or a new secret ends it. A price that is
//! changed at the desk ends none. A price of `prices` is in the text as well; where
//! the request is asked less, its grant is good, too.
//!
//! A false yes would give the route away; a false no only costs the visitor
//! another payment.

use super::{Head, Sale};
use crate::config::{GrantKeys, Route};
use crate::encoding::{decode_hex, encode_hex};
use crate::evm::keccak256;
use crate::mac;
use crate::settlement::Settlement;
use crate::time::UnixSeconds;

/// The header, of answers and of requests, that carries grants; several with
/// commas between.
pub const GRANT_HEADER: &str = "PAYMENT-GRANT";

/// What the names of the gate's cookies begin with.
pub const COOKIE_PREFIX: &str = "edge402_";

/// The longest header that is searched for what the gate gave out, in bytes: a
/// browser keeps some 180 cookies of a host.
pub(super) const MAX_HEADER: usize = 65_536;

/// How many of one name are looked at: whoever makes them up costs an HMAC for
/// each.
pub(super) const MAX_TOKENS: usize = 16;

/// What a grant is good for, and so what its HMAC covers beside its own text.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `https://shop`.
    pub host: &'a str,
    /// The route.
    pub route: &'a Route,
}

/// A grant as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The text for [`GRANT_HEADER`].
    pub token: String,
    /// The value of `Set-Cookie`.
    pub cookie: String,
}

impl Scope<'_> {
    /// The grant that a settlement bought, if it is not over yet. The same
    /// settlement always buys the same grant.
    pub fn grant(
        &self,
        keys: &GrantKeys,
        settlement: &Settlement,
        now: UnixSeconds,
    ) -> Option<Grant> {
        let access = self.route.access?;
        let ends = settlement.settled_at.plus(access.as_secs());
        let left = ends.since(now);
        if left == 0 {
            return None;
        }
        let payment = encode_hex(&keccak256(settlement.transaction.as_bytes()));
        let price = self.route.price.to_string();
        let mut claims = format!("{ends}.{}.{payment}", settlement.payer);
        if self.route.rule > 0 {
            claims.push('.');
            claims.push_str(&price);
        }
        let mac = mac::code_of(keys.0.first()?, &self.lines(&price, &claims))?;
        let token = format!("{claims}.{}", encode_hex(&mac));
        let cookie = format!(
            "{}={token}; Path=/; Max-Age={left}; HttpOnly; Secure; SameSite=Lax",
            self.cookie_name()
        );
        Some(Grant { token, cookie })
    }

    /// Whether a request carries a grant for this route, at this price or a higher
    /// one, that is not over. `whole` is the route with all its prices.
    pub fn admits(
        &self,
        whole: &Route,
        keys: &GrantKeys,
        head: &impl Head,
        now: UnixSeconds,
    ) -> bool {
        if self.route.access.is_none() {
            return false;
        }
        let name = self.common_name();
        let cookies = head.header("Cookie").unwrap_or_default();
        let header = head.header(GRANT_HEADER).unwrap_or_default();
        if cookies.len() > MAX_HEADER || header.len() > MAX_HEADER {
            return false;
        }
        let cookies = cookies.split(';').filter_map(|cookie| {
            let (at_price, token) = cookie.trim().strip_prefix(name.as_str())?.split_once('=')?;
            (at_price.is_empty() || at_price.starts_with('_')).then_some(token)
        });
        let tokens = cookies.chain(header.split(',').map(str::trim));
        tokens.take(MAX_TOKENS).any(|token| self.is_genuine(whole, keys, token, now))
    }

    fn is_genuine(&self, whole: &Route, keys: &GrantKeys, token: &str, now: UnixSeconds) -> bool {
        let Some((text, mac)) = token.rsplit_once('.') else { return false };
        let Ok(mac) = decode_hex::<32>(mac) else { return false };
        let Some(claims) = Claims::read(text).filter(|it| now < it.ends) else { return false };
        self.prices_of(whole, &claims).iter().any(|price| {
            let lines = self.lines(price, text);
            keys.0.iter().any(|key| mac::is_code_of(&mac, key, &lines))
        })
    }

    /// What the HMAC covers: no line but the last can hold a line break.
    fn lines<'a>(&'a self, price: &'a str, claims: &'a str) -> [&'a str; 5] {
        ["edge402 grant 1", self.host, &self.route.name, price, claims]
    }

    /// One cookie for each route and price, so that several grants can be held at
    /// once, and what costs less takes the place of nothing that costs more.
    fn cookie_name(&self) -> String {
        let mut name = self.common_name();
        let mark = match self.route.rule {
            // At the configured price, and at one that the desk has set.
            0 if self.route.price == self.route.configured_price => return name,
            0 => "_desk_",
            _ => "_",
        };
        // Such as `_0.05`.
        name.push_str(mark);
        name.push_str(self.route.price.to_string().trim_start_matches('$'));
        name
    }

    /// What the names of a route's cookies begin with, and the name of the one at
    /// its configured price.
    fn common_name(&self) -> String {
        let hash = encode_hex(&keccak256(self.route.name.as_bytes()));
        format!("{COOKIE_PREFIX}{}", hash.get(2..18).unwrap_or_default())
    }
}

/// What a grant says in its own text.
pub(super) struct Claims<'a> {
    ends: UnixSeconds,
    /// The price, if it is one of `prices`.
    pub price: Option<&'a str>,
}

impl<'a> Claims<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(4, '.');
        let ends = UnixSeconds(parts.next()?.parse().ok()?);
        Some(Self { ends, price: parts.nth(2) })
    }
}

/// Whether a `Cookie` header may hold grants.
pub fn may_hold_grants(cookies: &str) -> bool {
    cookies.contains(COOKIE_PREFIX)
}

/// A `Cookie` header without grants: they are the gate's, not the origin's.
/// `None` if nothing is left.
pub fn cookies_without_grants(cookies: &str) -> Option<String> {
    let kept: Vec<&str> = cookies
        .split(';')
        .map(str::trim)
        .filter(|cookie| !cookie.starts_with(COOKIE_PREFIX))
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

impl Sale<'_> {
    /// What a grant for this would be good for.
    pub fn scope(&self) -> Scope<'_> {
        let host = crate::path::UrlParts::of(&self.url).origin;
        Scope { host, route: self.route }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::amount::AtomicAmount;
    use crate::config::{self, Config, Settings};

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn config(price: &str) -> Config {
        let text = |text: &str| Some(text.to_owned());
        let settings = Settings {
            origin: Some(json!("assets")),
            routes: Some(json!([
                { "pattern": "/a/*", "price": price, "access": "1h" },
                { "pattern": "/b", "price": price, "access": "1h" },
                { "pattern": "/once", "price": price },
                { "pattern": "/api", "price": price, "methods": ["GET"], "access": "1h" },
                { "pattern": "/api", "price": price, "methods": ["POST"], "access": "1h" },
            ])),
            networks: Some(json!({ "eip155:8453": {
                "rpc": ["https://node.example"],
                "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            }})),
            evm_relayer_keys: Some(format!("0x{}", "46".repeat(32))),
            grant_secret: text(&"8f".repeat(32)),
            ..Settings::default()
        };
        config::read(&settings).config.unwrap()
    }

    fn settlement() -> Settlement {
        Settlement {
            transaction: "0xabc".into(),
            payer: "0xdef".into(),
            amount: AtomicAmount(1),
            settled_at: NOW,
            redeliver_until: NOW.plus(600),
        }
    }

    /// A request with this cookie and this grant header.
    struct Request<'a>(&'a str, &'a str);

    impl Head for Request<'_> {
        fn method(&self) -> &'static str {
            "GET"
        }

        fn url(&self) -> &'static str {
            ""
        }

        fn header(&self, name: &'static str) -> Option<String> {
            match name {
                "Cookie" => Some(self.0.to_owned()),
                GRANT_HEADER => Some(self.1.to_owned()),
                _ => None,
            }
        }
    }

    #[test]
    fn a_grant_is_good_for_its_host_route_price_and_hour() {
        let config = config("$0.01");
        let keys = config.grant_keys.as_ref().unwrap();
        let scope =
            |number: usize, host: &'static str| Scope { host, route: &config.routes[number] };
        let ours = scope(0, "https://shop");
        let grant = ours.grant(keys, &settlement(), NOW).unwrap();
        assert_eq!(ours.grant(keys, &settlement(), NOW.plus(9)).unwrap().token, grant.token);
        assert_eq!(ours.grant(keys, &settlement(), NOW.plus(3_600)), None);
        let cookie = grant.cookie.split(';').next().unwrap();
        for attribute in ["; Path=/", "; Max-Age=3600", "; HttpOnly", "; Secure", "; SameSite=Lax"]
        {
            assert!(grant.cookie.contains(attribute), "{}", grant.cookie);
        }
        let others = format!("x=1; edge402_0=2; {cookie}");
        let several = format!("1.2.3, {}", grant.token);
        for request in [
            Request(cookie, ""),
            Request(&others, ""),
            Request("", &grant.token),
            Request("", &several),
        ] {
            assert!(ours.admits(ours.route, keys, &request, NOW.plus(3_599)));
            assert!(!ours.admits(ours.route, keys, &request, NOW.plus(3_600)), "it is over");
            for (number, host, why) in [
                (1, "https://shop", "another route"),
                (2, "https://shop", "sold by the request"),
                (3, "https://shop", "another route"),
                (0, "https://other", "another host"),
            ] {
                let other = scope(number, host);
                assert!(!other.admits(other.route, keys, &request, NOW), "{why}");
            }
            let dearer = self::config("$0.02");
            let dearer = Scope { host: "https://shop", route: &dearer.routes[0] };
            assert!(!dearer.admits(dearer.route, keys, &request, NOW), "another price");
        }
    }

    #[test]
    fn a_grant_for_one_method_opens_no_other_of_the_same_pattern() {
        let config = config("$0.01");
        let keys = config.grant_keys.as_ref().unwrap();
        let scope = |number: usize| Scope { host: "https://shop", route: &config.routes[number] };
        let (read, write) = (scope(3), scope(4));
        let grant = read.grant(keys, &settlement(), NOW).unwrap();
        let other = write.grant(keys, &settlement(), NOW).unwrap();
        assert_ne!(read.cookie_name(), write.cookie_name(), "a browser keeps both");
        let cookie = |grant: &Grant| grant.cookie.split(';').next().unwrap().to_owned();
        let both = format!("{}; {}", cookie(&grant), cookie(&other));
        for (ours, theirs, grant) in [(read, write, &grant), (write, read, &other)] {
            let is_let_in = |scope: Scope<'_>, cookies: &str, header: &str| {
                scope.admits(scope.route, keys, &Request(cookies, header), NOW)
            };
            assert!(is_let_in(ours, &both, ""));
            assert!(is_let_in(ours, "", &grant.token));
            assert!(!is_let_in(theirs, &cookie(grant), ""));
            assert!(!is_let_in(theirs, "", &grant.token));
        }
    }

    #[test]
    fn nobody_else_can_write_one() {
        let config = config("$0.01");
        let keys = config.grant_keys.as_ref().unwrap();
        let scope = Scope { host: "https://shop", route: &config.routes[0] };
        let token = scope.grant(keys, &settlement(), NOW).unwrap().token;
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!scope.admits(scope.route, keys, &Request("", &changed), NOW), "{changed}");
        }
        for wrong in ["", ".", "..", "9999999999..", "9999999999.a.b.0x", &token[1..]] {
            assert!(!scope.admits(scope.route, keys, &Request("", wrong), NOW), "{wrong}");
        }
        let rotated = GrantKeys(vec![[1; 32], keys.0[0]]);
        assert!(
            scope.admits(scope.route, &rotated, &Request("", &token), NOW),
            "the old key is still taken"
        );
        assert!(!scope.admits(scope.route, &GrantKeys(vec![[1; 32]]), &Request("", &token), NOW));
    }

    #[test]
    fn a_header_that_is_too_long_is_not_searched() {
        let config = config("$0.01");
        let keys = config.grant_keys.as_ref().unwrap();
        let scope = Scope { host: "https://shop", route: &config.routes[0] };
        let grant = scope.grant(keys, &settlement(), NOW).unwrap();
        let cookie = grant.cookie.split(';').next().unwrap();
        let padded = |text: &str, separator: &str, length: usize| {
            let filler = "x".repeat(length - text.len() - separator.len());
            format!("{filler}{separator}{text}")
        };
        for (length, is_searched) in [(MAX_HEADER, true), (MAX_HEADER + 1, false)] {
            let header = padded(&grant.token, ",", length);
            let cookies = padded(cookie, ";", length);
            assert_eq!(scope.admits(scope.route, keys, &Request("", &header), NOW), is_searched);
            assert_eq!(scope.admits(scope.route, keys, &Request(&cookies, ""), NOW), is_searched);
            // Nor is the other one beside it.
            assert_eq!(
                scope.admits(scope.route, keys, &Request(cookie, &header), NOW),
                is_searched
            );
        }
    }

    #[test]
    fn each_route_has_a_cookie_of_its_own() {
        let config = config("$0.01");
        let name = |number: usize| {
            Scope { host: "https://shop", route: &config.routes[number] }.cookie_name()
        };
        // Written down, because browsers hold them.
        assert_eq!(name(0), "edge402_4cbc788d9014fca6");
        assert_ne!(name(0), name(1));
        let keys = config.grant_keys.as_ref().unwrap();
        let scope = Scope { host: "https://shop", route: &config.routes[0] };
        let grant = scope.grant(keys, &settlement(), NOW).unwrap();
        assert!(grant.cookie.starts_with(&format!("{}={}", name(0), grant.token)));
        let other = format!("{}={}", name(1), grant.token);
        assert!(!scope.admits(scope.route, keys, &Request(&other, ""), NOW), "under another name");
    }

    #[test]
    fn grants_are_kept_from_the_origin_and_other_cookies_are_not() {
        assert!(may_hold_grants("theme=dark; edge402_0123456789abcdef=x"));
        assert!(!may_hold_grants("theme=dark"));
        for (cookies, kept) in [
            ("edge402_0123456789abcdef=x", None),
            ("edge402_0=x; edge402_1=y", None),
            ("theme=dark", Some("theme=dark")),
            ("theme=dark; edge402_0=x; lang=en", Some("theme=dark; lang=en")),
            ("edge402_0=x;theme=dark", Some("theme=dark")),
            ("my_edge402_0=x", Some("my_edge402_0=x")),
        ] {
            assert_eq!(cookies_without_grants(cookies).as_deref(), kept, "{cookies}");
        }
    }
}
