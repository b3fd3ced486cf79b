//! Classes of clients, as `free_for` and `prices` name them.

use std::net::IpAddr;

use super::facilitator::TokenHash;
use super::fields::{Fields, Report};

/// How many classes a route may name.
const MAX_CLASSES: usize = 64;

/// The secret that holds the hashes of passes.
const PASSES: &str = "PASSES";

const EXPECTED: &str = "must be \"people\", \"search\", \"bots\", \"bots:training\", \"country:DE\", \
                        \"asn:64500\", \"network:192.0.2.0/24\", \"secret:name\" or \
                        \"signed:agent.example\"";

/// A class of clients.
#[derive(Clone, Debug)]
pub struct Class {
    /// As the seller wrote it.
    pub text: String,
    /// Who is in it.
    pub who: Who,
}

/// Who is in a class.
#[derive(Clone, Debug)]
pub enum Who {
    /// People at a browser, as far as a request can say so.
    People,
    /// Known crawlers and agents: of one purpose, or all of them.
    Bots(Option<Purpose>),
    /// Whoever asks from this country (ISO 3166-1, two letters).
    Country(String),
    /// Whoever asks from this autonomous system.
    Asn(u32),
    /// Whoever asks from this network.
    Network(Cidr),
    /// Whoever has this pass.
    Pass(Pass),
    /// Agents that sign with a key of this host, which may have a port.
    Signed(String),
}

/// What a crawler or agent fetches pages for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To train models.
    Training,
    /// For the index of a search engine.
    Search,
    /// For the index of a search engine that answers by a model.
    AiSearch,
    /// Because a person has just asked for it.
    Assistant,
    /// To show a link.
    Preview,
}

impl Purpose {
    /// Their names.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("training", Self::Training),
        ("search", Self::Search),
        ("ai-search", Self::AiSearch),
        ("assistant", Self::Assistant),
        ("preview", Self::Preview),
    ];
}

/// A network of addresses. IPv4 is written in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    first: u128,
    mask: u128,
}

/// The hashes of a pass, of which there may be several while one is replaced.
#[derive(Clone, Debug)]
pub struct Pass(Vec<TokenHash>);

impl Pass {
    /// Whether a text is the pass. Compares in constant time.
    pub fn is(&self, text: &str) -> bool {
        TokenHash::of(&self.0, text).is_some()
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl Cidr {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or one address. No bit behind the
    /// network's own may be set.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = if text.contains('/') { length.parse::<u32>().ok()? } else { most };
        let rest = most.checked_sub(length)?;
        let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
        let first = bits_of(address);
        (first & !mask == 0 || rest == 0).then_some(Self { first, mask })
    }

    /// Whether an address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        bits_of(address) & self.mask == self.first
    }
}

/// The passes of the secret `PASSES`: their names and hashes.
pub(super) struct Passes(Vec<(String, TokenHash)>);

impl Passes {
    /// Reads `name:<SHA-256 in hex>`, with commas between.
    pub(super) fn read(secret: Option<&str>, faults: &Report) -> Self {
        let parts = secret.unwrap_or_default().split(',').map(str::trim);
        let mut passes = vec![];
        for (n, part) in parts.filter(|it| !it.is_empty()).enumerate() {
            let (name, hash) = part.split_once(':').unwrap_or_default();
            let name = name.trim();
            let hash = if name.is_empty() { "" } else { hash };
            match TokenHash::read(hash, "must be name:hash, with the SHA-256 of a pass in hex") {
                Ok(hash) => passes.push((name.to_owned(), hash)),
                Err(problem) => faults.add(PASSES, format!("entry {} {problem}", n + 1)),
            }
        }
        Self(passes)
    }

    fn of(&self, name: &str) -> Option<Pass> {
        let own = self.0.iter().filter(|(known, _)| known == name);
        let hashes: Vec<_> = own.map(|(_, hash)| hash.clone()).collect();
        (!hashes.is_empty()).then_some(Pass(hashes))
    }
}

/// Reads `free_for`.
pub(super) fn read_free_for(fields: &Fields<'_>, passes: &Passes) -> Vec<Class> {
    let name = "free_for";
    let Some(texts) = fields.texts(name) else { return vec![] };
    if texts.is_empty() || texts.len() > MAX_CLASSES {
        fields.fault(name, format!("must name 1 to {MAX_CLASSES} classes, or be left out"));
    }
    texts.into_iter().filter_map(|text| read_class(fields, name, text, passes)).collect()
}

/// Reads the class that a rule of `prices` is for.
pub(super) fn read_class_of(fields: &Fields<'_>, passes: &Passes) -> Option<Class> {
    let name = "class";
    read_class(fields, name, fields.text(name)?, passes)
}

fn read_class(fields: &Fields<'_>, name: &str, text: &str, passes: &Passes) -> Option<Class> {
    let who = match text.split_once(':') {
        Some(("secret", pass)) => {
            let pass = passes.of(pass);
            if pass.is_none() {
                let problem = format!(
                    "has none of the name in {text:?}: name:<SHA-256 in hex>, with commas between"
                );
                fields.faults().add(PASSES, problem);
            }
            return Some(Class { text: text.to_owned(), who: Who::Pass(pass?) });
        }
        Some((kind, value)) => read_kind(kind, value),
        None => read_word(text),
    };
    match who {
        Ok(who) => Some(Class { text: text.to_owned(), who }),
        Err(problem) => {
            fields.fault(name, format!("{text:?}: {problem}"));
            None
        }
    }
}

fn read_word(text: &str) -> Result<Who, &'static str> {
    match text {
        "people" => Ok(Who::People),
        "search" => Ok(Who::Bots(Some(Purpose::Search))),
        "bots" => Ok(Who::Bots(None)),
        _ => Err(EXPECTED),
    }
}

fn read_kind(kind: &str, value: &str) -> Result<Who, &'static str> {
    // Cloudflare calls the Tor network T1.
    let is_country = value.len() == 2
        && value.starts_with(|it: char| it.is_ascii_uppercase())
        && value.ends_with(|it: char| it.is_ascii_uppercase() || it.is_ascii_digit());
    match kind {
        "bots" => {
            let found = Purpose::NAMES.iter().find(|(name, _)| *name == value);
            let purpose = found.ok_or("there are training, search, ai-search, assistant, preview");
            purpose.map(|(_, purpose)| Who::Bots(Some(*purpose)))
        }
        "country" if is_country => Ok(Who::Country(value.to_owned())),
        "country" => Err("must be two capital letters, such as \"country:DE\""),
        "asn" => value.parse().map(Who::Asn).map_err(|_| "must be a number, such as \"asn:64500\""),
        "network" => Cidr::parse(value).map(Who::Network).ok_or(
            "must be a network without a bit behind its length, such as \"network:192.0.2.0/24\"",
        ),
        "signed" if is_host(value) => Ok(Who::Signed(value.to_owned())),
        "signed" => Err("must be a host in small letters, such as \"signed:agent.example\""),
        _ => Err(EXPECTED),
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it);
    !name.is_empty()
        && name.bytes().all(is_plain)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        let holds = |network: &str, address: &str| {
            Cidr::parse(network).unwrap().holds(address.parse().unwrap())
        };
        for (network, address, expected) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.8", false),
            ("0.0.0.0/0", "198.51.100.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "192.0.2.1", true),
        ] {
            assert_eq!(holds(network, address), expected, "{network} {address}");
        }
        for wrong in [
            "",
            "/",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.1/24",
            "192.0.2/24",
            "2001:db8::1/64",
            "::/129",
            "example.com/24",
            "192.0.2.0/-1",
        ] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
