//! Delivery cookies: what a browser that has paid fetches the goods with.
//!
//! A page can't have the browser itself show an answer to a request that the
//! page has made: an image, a film with its ranges, a document with its own
//! scripts. So it pays with `Prefer: return=minimal` (RFC 7240, section 4.2),
//! gets a cookie in place of the goods, and loads its URL again.
//!
//! The cookie names the payment, the Settler that settled it, and the token if it
//! is not its network's own, and an HMAC
//! binds that to one URL until the route's `redeliver` ends. It opens what the
//! same payment would open if its buyer sent it again, and can't be made of what
//! a chain shows.
//!
//! A false yes would give away what one payment bought; a false no costs the
//! visitor a look at the price.

use super::grant::{COOKIE_PREFIX, MAX_HEADER, MAX_TOKENS, may_hold_grants};
use super::{Head, Sale};
use crate::config::{Config, GrantKeys, Offer, Route};
use crate::encoding::{decode_hex, encode_hex};
use crate::evm::keccak256;
use crate::mac;
use crate::time::UnixSeconds;

/// The header with which a client says that it would rather not have the goods
/// in the answer.
pub const PREFER: &str = "Prefer";

/// What `Preference-Applied` says where it was heard.
pub const RETURN_MINIMAL: &str = "return=minimal";

/// The same of a preference of our own, named like the `redirect` of `fetch`:
/// the client can't read a redirect, so where it leads is to be told otherwise.
pub const REDIRECT_MANUAL: &str = "redirect=manual";

/// What stands between the parts of a cookie.
const SEPARATOR: char = '~';

/// What a cookie is made for: a payment, the offer that it was for, and the name
/// of the Settler that has settled it.
#[derive(Clone, Copy, Debug)]
pub struct Bought<'a> {
    /// The name of the Settler.
    pub settler: &'a str,
    /// The payment's identity.
    pub payment: &'a str,
    /// The offer.
    pub offer: &'a Offer,
}

/// What a genuine cookie was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The number of the route's offer that was paid.
    pub offer: usize,
    /// The name of the Settler that settled the payment.
    pub settler: String,
    /// The payment's identity.
    pub payment: String,
    /// Whether another site's page has the browser ask.
    pub by_other_site: bool,
}

impl<'a> Sale<'a> {
    /// Whether a client that pays would rather fetch the goods than have them in
    /// the answer, and can: by GET, and where what was paid for is delivered
    /// again at all. For a HEAD request no answer is smaller than its own.
    pub(super) fn prefers_minimal(&self, config: &Config, head: &impl Head) -> bool {
        self.method.as_str() == "GET"
            && !self.route.redeliver.is_zero()
            && self.route.redeliver_max > 0
            && !config.delivery_keys.0.is_empty()
            && asks_for(head, RETURN_MINIMAL)
    }

    /// The value of `Set-Cookie` for what was bought, if it is delivered until
    /// then. `path`: as the browser spells it.
    pub fn delivery_cookie(
        &self,
        keys: &GrantKeys,
        path: &str,
        bought: &Bought<'_>,
        (until, now): (UnixSeconds, UnixSeconds),
    ) -> Option<String> {
        let left = until.since(now);
        if left == 0 {
            return None;
        }
        let Bought { settler, payment, offer } = bought;
        let mut claims = format!("{until}{SEPARATOR}{settler}{SEPARATOR}{payment}");
        let is_configured = self.route.is_configured(offer);
        if offer.other_asset().is_some() || !is_configured {
            claims.push(SEPARATOR);
            claims.push_str(offer.other_asset().unwrap_or_default());
        }
        if !is_configured {
            claims.push(SEPARATOR);
            claims.push_str(&offer.v2.amount.to_string());
        }
        let code = encode_hex(&mac::code_of(keys.0.first()?, &self.lines(&claims))?);
        Some(self.set_cookie(&format!("{claims}{SEPARATOR}{code}"), path, left))
    }

    /// The value of `Set-Cookie` that ends such a cookie.
    pub fn no_delivery_cookie(&self, path: &str) -> String {
        self.set_cookie("", path, 0)
    }

    /// What a request may fetch by its cookie, and the route at the price that was
    /// paid for that. `whole` is the route with all its prices.
    pub(super) fn collection(
        &self,
        whole: &'a Route,
        config: &Config,
        head: &impl Head,
        now: UnixSeconds,
    ) -> Option<(&'a Route, Collection)> {
        if !self.method.is_safe() {
            return None;
        }
        let cookies = head.header("Cookie").filter(|it| it.len() <= MAX_HEADER)?;
        let found = self.tokens(&cookies).find_map(|token| self.read(whole, config, token, now));
        let by_other_site = is_by_other_site(head);
        found.map(|(route, found)| (route, Collection { by_other_site, ..found }))
    }

    /// The offer that a request's cookie was made for, where the origin says what that
    /// costs: one of the route's, for the amount that was paid.
    pub(super) fn offer_of_cookie(
        &self,
        config: &Config,
        head: &impl Head,
        now: UnixSeconds,
    ) -> Option<Offer> {
        let cookies = head.header("Cookie").filter(|it| it.len() <= MAX_HEADER)?;
        self.method.is_safe().then_some(())?;
        let claims = self.tokens(&cookies).find_map(|token| self.claims(config, token, now))?;
        let offer = self.route.offers.iter().find(|offer| claims.is_in_token_of(offer))?;
        // One without an amount is of a time when the configuration said the price.
        self.route.offer_of(offer, claims.amount?.parse().ok()?)
    }

    fn read(
        &self,
        whole: &'a Route,
        config: &Config,
        token: &str,
        now: UnixSeconds,
    ) -> Option<(&'a Route, Collection)> {
        let claims = self.claims(config, token, now)?;
        let is_it = |route: &Route, offer: &Offer| {
            let is_amount = match claims.amount {
                Some(amount) => amount == offer.v2.amount.to_string(),
                None => route.is_configured(offer),
            };
            is_amount && claims.is_in_token_of(offer)
        };
        // The route may not have it any more, or may ask more for it.
        let asked = self.route;
        let (route, offer) = whole.asked_first(asked).find_map(|route| {
            let is_good = |offer: &Offer| {
                is_it(route, offer) && (route.rule == asked.rule || asked.is_covered_by(offer))
            };
            Some((route, route.offers.iter().chain(&route.former).position(is_good)?))
        })?;
        let (settler, payment) = (claims.settler.to_owned(), claims.payment.to_owned());
        Some((route, Collection { offer, settler, payment, by_other_site: false }))
    }

    /// The cookies among these that may be for this URL.
    fn tokens<'b>(&self, cookies: &'b str) -> impl Iterator<Item = &'b str> {
        let name = self.delivery_cookie_name();
        let all = if may_hold_grants(cookies) { cookies } else { "" };
        let tokens = all
            .split(';')
            .filter_map(move |cookie| cookie.trim().strip_prefix(name.as_str())?.strip_prefix('='));
        tokens.take(MAX_TOKENS)
    }

    /// What a cookie says, if it is ours and not over.
    fn claims<'b>(&self, config: &Config, token: &'b str, now: UnixSeconds) -> Option<Claims<'b>> {
        let (text, code) = token.rsplit_once(SEPARATOR)?;
        let code = decode_hex::<32>(code).ok()?;
        let lines = self.lines(text);
        if !config.delivery_keys.0.iter().any(|key| mac::is_code_of(&code, key, &lines)) {
            return None;
        }
        let mut parts = text.split(SEPARATOR);
        let until = UnixSeconds(parts.next()?.parse().ok()?);
        let (settler, payment) = (parts.next()?, parts.next()?);
        let (asset, amount) = (parts.next().unwrap_or_default(), parts.next());
        (now < until).then_some(Claims { settler, payment, asset, amount })
    }

    /// What the HMAC covers. The URL has the host in it, and it is the same for
    /// GET and HEAD: what the one shows of the goods, the other does.
    fn lines<'b>(&'b self, claims: &'b str) -> [&'b str; 3] {
        ["edge402 delivery 1", &self.url, claims]
    }

    /// One cookie for each URL, since a path is sold under many queries.
    fn delivery_cookie_name(&self) -> String {
        let hash = encode_hex(&keccak256(self.url.as_bytes()));
        format!("{COOKIE_PREFIX}paid_{}", hash.get(2..18).unwrap_or_default())
    }

    fn set_cookie(&self, value: &str, path: &str, max_age: u64) -> String {
        format!(
            "{}={value}; Path={}; Max-Age={max_age}; HttpOnly; Secure; SameSite=Lax",
            self.delivery_cookie_name(),
            cookie_path(path)
        )
    }
}

/// What a cookie says.
struct Claims<'a> {
    settler: &'a str,
    payment: &'a str,
    /// The token, if it is not its network's own; else empty.
    asset: &'a str,
    /// How much was paid, if it is not the configured price.
    amount: Option<&'a str>,
}

impl Claims<'_> {
    /// Whether what was paid is in the token of this offer, on its network.
    fn is_in_token_of(&self, offer: &Offer) -> bool {
        let rest = self.settler.strip_prefix(&offer.network.id.to_string());
        self.asset == offer.other_asset().unwrap_or_default()
            && rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A path as a cookie's attribute can hold it (RFC 6265, section 4.1.1): what
/// comes before a `;`, up to the last folder.
fn cookie_path(path: &str) -> &str {
    match path.find(|c: char| c == ';' || !c.is_ascii_graphic()) {
        None => path,
        Some(end) => {
            let folder = path.get(..end).and_then(|start| start.rsplit_once('/'));
            folder.and_then(|(folder, _)| path.get(..=folder.len())).unwrap_or("/")
        }
    }
}

/// Whether a browser says that the page of another site has it ask (Fetch
/// Metadata, `Sec-Fetch-Site`). No page can write that header. Where it is
/// missing nobody is accused: every browser since 2023 sends it.
fn is_by_other_site(head: &impl Head) -> bool {
    let site = head.header("Sec-Fetch-Site");
    site.is_some_and(|site| !matches!(site.as_str(), "none" | "same-origin"))
}

/// Whether a client prefers this, which is written as `name=value`.
pub(super) fn asks_for(head: &impl Head, preference: &str) -> bool {
    head.header(PREFER).is_some_and(|prefer| names(&prefer, preference))
}

/// Whether preferences (RFC 7240, section 2) hold this one. Of those with one
/// name the first counts.
fn names(prefer: &str, preference: &str) -> bool {
    let (wanted, wanted_value) = preference.split_once('=').unwrap_or_default();
    let mut is_quoted = false;
    let preferences = prefer.split(move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let mut values = preferences.filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    });
    values.next().is_some_and(|value| {
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        bare.unwrap_or(value).eq_ignore_ascii_case(wanted_value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_rfc_7240_writes_it() {
        for minimal in [
            "return=minimal",
            "Return = Minimal",
            "return=\"minimal\"",
            "respond-async, return=minimal; foo=bar",
            "wait=10,return=minimal,return=representation",
            "foo=\"a, b\", return=minimal",
        ] {
            assert!(names(minimal, RETURN_MINIMAL), "{minimal}");
            assert!(!names(minimal, REDIRECT_MANUAL), "{minimal}");
        }
        for other in [
            "",
            "return",
            "return=",
            "minimal",
            "return=representation",
            "return=representation, return=minimal",
            "return=minimalist",
            "foo=\"a, return=minimal, b\"",
            "foo; return=minimal",
            "xreturn=minimal",
        ] {
            assert!(!names(other, RETURN_MINIMAL), "{other}");
        }
        assert!(names("return=minimal, Redirect=\"manual\"", REDIRECT_MANUAL));
        assert!(!names("redirect=follow", REDIRECT_MANUAL));
    }

    #[test]
    fn a_path_holds_no_attribute_of_a_cookie() {
        for (path, kept) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a%3B/b", "/a%3B/b"),
            ("/a/b;c/d", "/a/"),
            ("/a;Domain=example", "/"),
            (";", "/"),
            ("/a b", "/"),
        ] {
            assert_eq!(cookie_path(path), kept, "{path}");
        }
    }
}
