//! Whether an answer of the origin is what was ordered.

use std::fmt::Write as _;

use super::{BoundBody, Sale};
use crate::config::{Loaded, Method, Offer, PatternSet, bare_host};
use crate::path::{CanonicalPath, UrlParts};

/// What an answer of the origin is to the client that pays for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// What was ordered: it is charged.
    Goods,
    /// Not what was ordered: it is passed on, and costs nothing.
    NotGoods,
    /// A redirect to something that is itself sold here, at this URL: passed
    /// on without a charge, because the payment is still needed there.
    SoldElsewhere(String),
}

/// What a redirect leads to, where that is sold here.
struct Sold {
    route: usize,
    path: CanonicalPath,
    query: String,
    /// As clients ask for it.
    method: Method,
}

impl Sale<'_> {
    /// What an answer with this status and this `Location` is.
    ///
    /// A redirect to anywhere else is the goods: its `Location` may be a
    /// signed URL, and whoever reads it needs no payment any more. Where a
    /// `Location` can be read in two ways it is taken for the goods, too.
    pub fn judge(&self, patterns: &PatternSet, status: u16, location: Option<&str>) -> Judgement {
        if matches!(status, 0..=100 | 102..200 | 304 | 400..) {
            // Conditions don't reach the origin, so nothing was asked that a
            // 304 would answer.
            return Judgement::NotGoods;
        }
        let Some(Sold { path, query, .. }) = self.sold_at(patterns, status, location) else {
            return Judgement::Goods;
        };
        // What a `#` or a user's name hides stays here.
        let bare = location.unwrap_or_default().split('#').next().unwrap_or_default().trim();
        let is_relative = !bare.is_empty() && !bare.starts_with(['/', '\\']);
        Judgement::SoldElsewhere(if is_relative && !bare.contains(':') {
            bare.to_owned()
        } else {
            format!("{}{}{query}", UrlParts::of(&self.url).origin, path.as_str())
        })
    }

    /// What a payment for this offer would be bound to where a redirect leads,
    /// if it is good there, too: what is sold there costs the same.
    pub fn binding_at(
        &self,
        loaded: &Loaded,
        offer: &Offer,
        body: &BoundBody,
        to: (u16, Option<&str>),
    ) -> Option<String> {
        let (sale, there) = self.sale_at(loaded, offer, to)?;
        let none = BoundBody::none();
        Some(sale.binding(there, if sale.method == self.method { body } else { &none }))
    }

    /// What is sold where a redirect leads, and the offer there, if a payment for
    /// this offer is good there, too.
    pub fn sale_at<'b>(
        &'b self,
        loaded: &'b Loaded,
        offer: &Offer,
        (status, location): (u16, Option<&str>),
    ) -> Option<(Sale<'b>, &'b Offer)> {
        let sold = self.sold_at(loaded.patterns.as_ref()?, status, location)?;
        // Where the origin says the price, it has seen what was paid as it sent the
        // client on.
        let route = if self.route.has_quotes() && sold.route == self.number {
            self.route
        } else {
            loaded.config.as_ref().ok()?.routes.get(sold.route)?
        };
        let own_query = UrlParts::of(&self.url).query;
        let is_same =
            sold.route == self.number && sold.method == self.method && sold.query == own_query;
        let (priced, there) = route.at_all_prices().find_map(|priced| {
            let mut offers = priced.offers.iter().chain(&priced.former);
            let there = offers.find(|there| offer.v2.same_terms(&there.v2))?;
            Some((priced, there))
        })?;
        // Where the price depends on the request, what a client will say there is not
        // known: it is good if nothing there costs more.
        let is_good = is_same || route.at_all_prices().all(|it| it.is_covered_by(there));
        if !route.prices.is_empty() && !is_good {
            return None;
        }
        let Sold { route: number, path, query, method } = sold;
        // As URL parsers write it.
        let query = query.chars().fold(String::new(), |mut query, c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\'') {
                query.push(c);
            } else {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String never fails.
                    let _ = write!(query, "%{byte:02X}");
                }
            }
            query
        });
        let url = format!("{}{}{query}", UrlParts::of(&self.url).origin, path.as_str());
        Some((Sale { number, route: priced, asked: priced, path, url, method }, there))
    }

    /// What a redirect leads to, if it is sold here.
    fn sold_at(&self, patterns: &PatternSet, status: u16, location: Option<&str>) -> Option<Sold> {
        // `POST`, work done, "see over there": the work is the goods.
        match status {
            302 | 303 if !self.method.is_safe() => return None,
            301 | 302 | 303 | 307 | 308 => {}
            _ => return None,
        }
        let method = match status {
            301 if self.method.as_str() == "POST" => "GET".parse(),
            _ => Ok(self.method.clone()),
        };
        let Ok::<Method, _>(method) = method;
        let (path, query) = self.target_here(location?)?;
        let route = patterns.find(&path, &method).ok()?.route?;
        Some(Sold { route, path, query, method })
    }

    /// The path and query that a `Location` leads to, if it stays on this
    /// host. What follows a `#` stays with the client, and so never counts.
    fn target_here(&self, location: &str) -> Option<(CanonicalPath, String)> {
        let parts = UrlParts::of(&self.url);
        // URL parsers drop tabs, and take a backslash for a slash.
        let location: String =
            location.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
        let location = location.trim().split('#').next().unwrap_or_default();
        let (before_query, query) = location.split_at(location.find('?').unwrap_or(location.len()));
        let target = before_query.replace('\\', "/");
        let scheme = target.split(['/', '?']).next().unwrap_or_default().find(':');
        let path = match scheme {
            Some(end) => {
                let scheme = target.get(..end)?.to_ascii_lowercase();
                let rest = target.get(end + 1..)?.strip_prefix("//")?;
                matches!(scheme.as_str(), "http" | "https").then_some(())?;
                path_on(parts.origin, rest)?.to_owned()
            }
            None if target.starts_with("//") => path_on(parts.origin, target.get(2..)?)?.to_owned(),
            None if target.starts_with('/') => target,
            None if target.is_empty() => self.path.as_str().to_owned(),
            None => {
                let folder = self.path.as_str().rsplit_once('/')?.0;
                format!("{folder}/{target}")
            }
        };
        let query = if location.is_empty() { parts.query } else { query };
        Some((CanonicalPath::parse(&path).ok()?, query.to_owned()))
    }
}

/// The path behind an authority, if that is the host of `origin`.
fn path_on<'a>(origin: &str, rest: &'a str) -> Option<&'a str> {
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let own = origin.split_once("://")?.1;
    let is_here = bare_host(&host.to_ascii_lowercase()) == bare_host(&own.to_ascii_lowercase());
    is_here.then_some(if path.is_empty() { "/" } else { path })
}

/// Whether a header tells caches to keep an answer, or under which name: none
/// of them goes out with what was paid for. The vendors' own names all end
/// alike.
pub fn is_for_caches(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("cache-control")
        || name.ends_with("cache-tag")
        || name.ends_with("cache-tags")
        || name.starts_with("surrogate-")
        || matches!(
            name.as_str(),
            "expires" | "pragma" | "age" | "edge-control" | "xkey" | "x-accel-expires" | "x-key"
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Judgement::{Goods, NotGoods, SoldElsewhere};
    use super::*;
    use crate::config::{self, Loaded, Settings};

    fn loaded() -> Loaded {
        config::read(&Settings {
            origin: Some(json!("https://own.host")),
            routes: Some(json!([
                { "pattern": "/premium/*", "price": "$0.01" },
                { "pattern": "/get", "price": "$0.01", "methods": ["GET"] },
            ])),
            networks: Some(json!({ "eip155:8453": {
                "rpc": ["https://base.example"],
                "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            }})),
            evm_relayer_keys: Some(format!("0x{}", "46".repeat(32))),
            ..Settings::default()
        })
    }

    fn judge(method: &str, status: u16, location: Option<&str>) -> Judgement {
        let loaded = loaded();
        let path = CanonicalPath::parse("/premium/a").unwrap();
        let sale = Sale {
            number: 0,
            route: &loaded.config.as_ref().unwrap().routes[0],
            asked: &loaded.config.as_ref().unwrap().routes[0],
            url: "https://shop:8443/premium/a?q=1".into(),
            path,
            method: method.parse().unwrap(),
        };
        sale.judge(loaded.patterns.as_ref().unwrap(), status, location)
    }

    #[test]
    fn statuses_speak_for_themselves() {
        // 101: a WebSocket.
        for status in [101, 200, 201, 204, 206, 300] {
            assert_eq!(judge("GET", status, None), Goods, "{status}");
        }
        for status in [100, 103, 304, 400, 404, 422, 500, 508] {
            assert_eq!(judge("GET", status, Some("/premium/b")), NotGoods, "{status}");
        }
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(judge("GET", status, None), Goods, "{status}");
        }
    }

    #[test]
    fn a_redirect_to_what_is_sold_here_costs_nothing() {
        let sold = |url: &str| SoldElsewhere(format!("https://shop:8443{url}"));
        for (location, expected) in [
            ("/premium/a/", sold("/premium/a/")),
            ("a/", SoldElsewhere("a/".into())),
            ("./b?x#secret", SoldElsewhere("./b?x".into())),
            ("../get", SoldElsewhere("../get".into())),
            ("?page=2", SoldElsewhere("?page=2".into())),
            ("", sold("/premium/a?q=1")),
            ("https://shop:8443/premium/b", sold("/premium/b")),
            ("HTTP://user:secret@SHOP:8443/premium/b", sold("/premium/b")),
            ("//shop:8443/premium//b", sold("/premium/b")),
            ("\\premium\\b", sold("/premium/b")),
            ("/free/../premium/b", sold("/premium/b")),
        ] {
            for status in [301, 302, 303, 307, 308] {
                assert_eq!(judge("GET", status, Some(location)), expected, "{location}");
            }
        }
    }

    #[test]
    fn a_redirect_to_anywhere_else_is_the_goods() {
        for location in [
            "https://files.example/secret?signature=1",
            "https://shop/premium/b",
            "https://shop:8443.evil.example/premium/b",
            "//files.example/premium/b",
            "/\\files.example/premium/b",
            "/\t/files.example/premium/b",
            "\\\\files.example/premium/b",
            "https:/files.example/premium/b",
            "https:premium/b",
            "/free/secret",
            "../secret",
            "mailto:secret@example.com",
            "data:,secret",
            "/premium%2Fb",
            "/premium/b%00",
        ] {
            for status in [301, 302, 303, 307, 308] {
                assert_eq!(judge("GET", status, Some(location)), Goods, "{location}");
            }
        }
    }

    #[test]
    fn work_that_is_done_is_the_goods() {
        for status in [302, 303] {
            assert_eq!(judge("POST", status, Some("/premium/b")), Goods, "{status}");
            assert_eq!(judge("DELETE", status, Some("/premium/b")), Goods, "{status}");
        }
        for status in [301, 307, 308] {
            assert!(matches!(judge("POST", status, Some("/premium/b")), SoldElsewhere(_)));
        }
        // As the client will ask: a POST goes on as a GET after 301 only.
        assert!(matches!(judge("POST", 301, Some("/get")), SoldElsewhere(_)));
        assert_eq!(judge("POST", 308, Some("/get")), Goods);
        assert!(matches!(judge("HEAD", 303, Some("/get")), SoldElsewhere(_)));
        assert_eq!(judge("DELETE", 301, Some("/get")), Goods);
    }

    #[test]
    fn what_caches_go_by_is_known_by_its_name() {
        for name in [
            "Cache-Control",
            "CDN-Cache-Control",
            "Cloudflare-CDN-Cache-Control",
            "Vercel-CDN-Cache-Control",
            "Netlify-CDN-Cache-Control",
            "Surrogate-Control",
            "Surrogate-Key",
            "Cache-Tag",
            "Edge-Cache-Tag",
            "Netlify-Cache-Tag",
            "Expires",
            "Pragma",
        ] {
            assert!(is_for_caches(name), "{name}");
        }
        for name in ["ETag", "Last-Modified", "Vary", "Content-Type", "Set-Cookie", "X-Cache"] {
            assert!(!is_for_caches(name), "{name}");
        }
    }
}
