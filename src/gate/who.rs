//! Who asks: which classes of clients a request is of, and how sure that is.
//!
//! What Cloudflare's edge says (`cf`) no client can write. What a client says of
//! itself anybody can: a crawler's name counts for sure only with a second sign.
//! The one exception is [`Who::People`], which has none at the edge: a program
//! that writes a browser's headers passes for a person.

use std::net::IpAddr;

use super::agents::{AGENTS, Agent, is_browser, purpose_of};
use super::cors::is_visit;
use super::grant::{GRANT_HEADER, MAX_HEADER, MAX_TOKENS};
use super::{Fact, Head};
use crate::config::{Cidr, Class, Purpose, Route, Who};

/// Whether a condition holds, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    No,
    /// Not everybody would read the request so, or it can't be told.
    Perhaps,
    Yes,
}

impl From<bool> for Holds {
    fn from(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }
}

/// The cookie that a pass may come in; it never reaches the origin, as no cookie
/// of the gate's does.
const PASS_COOKIE: &str = "edge402_pass=";

/// Below this, Cloudflare's bot score says that a request is likely automated.
const LIKELY_AUTOMATED: u32 = 30;

/// Whether a route is free for a client.
pub(super) fn is_free(route: &Route, head: &impl Head) -> bool {
    route.free_for.iter().any(|class| is_of(class, head) == Holds::Yes)
}

/// Whether a client is of a class.
pub(super) fn is_of(class: &Class, head: &impl Head) -> Holds {
    match &class.who {
        Who::People => is_person(head).into(),
        Who::Bots(purpose) => is_bot(*purpose, head),
        Who::Country(country) => edge_says(head, Fact::Country, |it| it == country),
        Who::Asn(number) => edge_says(head, Fact::Asn, |it| it.parse() == Ok(*number)),
        Who::Network(network) => edge_says(head, Fact::Address, |it| is_in(network, it)),
        Who::Pass(pass) => has_pass(head, |text| pass.is(text)).into(),
        Who::Signed(host) => (head.edge(Fact::Signer).as_ref() == Some(host)).into(),
    }
}

/// What the edge doesn't say may be so.
fn edge_says(head: &impl Head, fact: Fact, is_so: impl FnOnce(&str) -> bool) -> Holds {
    head.edge(fact).map_or(Holds::Perhaps, |it| is_so(&it).into())
}

fn is_in(network: &Cidr, address: &str) -> bool {
    address.trim().parse::<IpAddr>().is_ok_and(|address| network.holds(address))
}

/// Whether a request is a browser's: for a page that a person goes to, or for
/// what a page of this very host loads (Fetch Metadata, which no page can write).
fn is_person(head: &impl Head) -> bool {
    let header = |name| head.header(name).unwrap_or_default();
    let is_asked_for = match header("Sec-Fetch-Site").as_str() {
        "same-origin" | "none" => !header("Sec-Fetch-Mode").is_empty(),
        "same-site" | "cross-site" => is_visit(head),
        _ => false,
    };
    is_asked_for
        && is_browser(&header("User-Agent").to_ascii_lowercase())
        && head.edge(Fact::VerifiedBot).as_deref() != Some("true")
        && head.edge(Fact::BotCategory).is_none_or(|it| it.is_empty())
        && head
            .edge(Fact::BotScore)
            .and_then(|score| score.parse::<u32>().ok())
            .is_none_or(|score| score == 0 || score >= LIKELY_AUTOMATED)
}

fn is_bot(wanted: Option<Purpose>, head: &impl Head) -> Holds {
    let is_wanted = |purpose| wanted.is_none_or(|it| it == purpose);
    // What the edge has verified needs no other sign.
    if let Some(category) = head.edge(Fact::BotCategory).filter(|it| !it.is_empty()) {
        return purpose_of(&category).is_some_and(is_wanted).into();
    }
    let name = head.header("User-Agent").unwrap_or_default().to_ascii_lowercase();
    let named = AGENTS.iter().filter(|it| is_wanted(it.purpose) && name.contains(it.name));
    let is_verified = head.edge(Fact::VerifiedBot).as_deref() == Some("true");
    let sure =
        |it: &Agent| if is_verified || is_at_home(it, head) { Holds::Yes } else { Holds::Perhaps };
    named.map(sure).max().unwrap_or(Holds::No)
}

/// The second sign: where it comes from.
fn is_at_home(agent: &Agent, head: &impl Head) -> bool {
    let is_own = |system: &str| system.parse().is_ok_and(|it| agent.systems.contains(&it));
    let is_published = |address: &str| {
        agent.networks.iter().filter_map(|it| Cidr::parse(it)).any(|it| is_in(&it, address))
    };
    head.edge(Fact::Asn).is_some_and(|it| is_own(&it))
        || head.edge(Fact::Address).is_some_and(|it| is_published(&it))
}

/// Whether a request has a pass, in the header or the cookie of the gate's own,
/// of which neither reaches the origin.
fn has_pass(head: &impl Head, is_it: impl Fn(&str) -> bool) -> bool {
    let cookies = head.header("Cookie").unwrap_or_default();
    let header = head.header(GRANT_HEADER).unwrap_or_default();
    if cookies.len() > MAX_HEADER || header.len() > MAX_HEADER {
        return false;
    }
    let in_cookies = cookies.split(';').filter_map(|it| it.trim().strip_prefix(PASS_COOKIE));
    let given = in_cookies.chain(header.split(',').map(str::trim)).filter(|it| !it.is_empty());
    given.take(MAX_TOKENS).any(is_it)
}
