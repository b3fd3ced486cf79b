//! Who may use this Worker as a facilitator, where, and for whom.

use std::rc::Rc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Network;
use super::fields::{Fields, Report};
use super::network::read_coins;
use crate::encoding;
use crate::path::CanonicalPath;
use crate::payment::PayTo;
use crate::protocol::ChainId;

/// The facilitator that other people's servers use.
#[derive(Debug)]
pub struct Facilitator {
    /// What stands before `/verify`: a path without a trailing slash, or
    /// nothing.
    pub path: String,
    /// The terms for a caller that brings no token; `None` if a token is needed.
    open: Option<Account>,
    clients: Vec<Account>,
    /// Hashes of tokens, and the numbers of the clients that hold them.
    tokens: Vec<(TokenHash, usize)>,
}

/// What a client may have settled, and at what cost.
#[derive(Debug)]
pub struct Account {
    /// The client's name in the configuration; [`OPEN`] for a client that has none.
    pub name: String,
    /// How many requests are answered in a minute, by each isolate.
    pub requests_per_minute: u64,
    pay_to: Vec<PayTo>,
    networks: Vec<ChainId>,
    daily_spend: Vec<(ChainId, u128)>,
}

/// The SHA-256 of a bearer token. A hash tells nothing of a random token, but
/// nothing is gained by showing it.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(not shown)")
    }
}

impl TokenHash {
    /// The hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hex digits: else says that they must be `expected`. The hash of
    /// nothing is nobody's, because everybody has that.
    pub(super) fn read(text: &str, expected: &'static str) -> Result<Self, &'static str> {
        let hash =
            encoding::decode_hex::<32>(&format!("0x{}", text.trim())).map_err(|_| expected)?;
        let is_of = |blank: &&str| Sha256::digest(blank.as_bytes()).as_slice() == hash.as_slice();
        if BLANKS.iter().any(is_of) {
            return Err(HASH_OF_NOTHING);
        }
        Ok(Self(hash))
    }

    /// The number of the last one that is a token's. Every hash is compared, and
    /// each in constant time.
    fn find<'a>(all: impl Iterator<Item = &'a Self>, token: &str) -> Option<usize> {
        if token.trim().is_empty() {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for (number, Self(known)) in all.enumerate() {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(number);
            }
        }
        found
    }

    /// The one that is a token's.
    pub(super) fn of<'a>(all: &'a [Self], token: &str) -> Option<&'a Self> {
        all.get(Self::find(all.iter(), token)?)
    }
}

/// What a shell hashes in place of a variable that isn't set.
const BLANKS: [&str; 5] = ["", "\n", "\r\n", " ", " \n"];

const HASH_OF_NOTHING: &str = "is the hash of nothing, which everybody has: the variable that you \
                               hashed was empty; make a token, and hash that";

/// The name of the account of those who bring no token.
pub(super) const OPEN: &str = "open";

/// How many requests a client may make in a minute where nothing is set.
const DEFAULT_REQUESTS_PER_MINUTE: u64 = 600;

const KNOWN: &[&str] =
    &["path", "open", "clients", "pay_to", "networks", "daily_spend", "requests_per_minute"];
const KNOWN_OF_CLIENT: &[&str] =
    &["name", "pay_to", "networks", "daily_spend", "requests_per_minute"];

impl Facilitator {
    /// Who a request comes from, by its bearer token. A wrong token is not as
    /// good as none: whoever sends one wants to be told.
    pub fn account_of(&self, token: Option<&str>) -> Option<&Account> {
        let Some(token) = token else { return self.open.as_ref() };
        let found = TokenHash::find(self.tokens.iter().map(|(hash, _)| hash), token)?;
        let (_, client) = self.tokens.get(found)?;
        self.clients.get(*client)
    }

    /// Whether an account is that of those who bring no token.
    pub fn is_open(&self, account: &Account) -> bool {
        account.name == OPEN
    }

    /// Everybody who may use it.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.clients.iter().chain(&self.open)
    }

    /// Reads `FACILITATOR` and the secret `FACILITATOR_TOKENS`.
    pub(super) fn read(
        value: &Value,
        tokens: Option<&str>,
        networks: &[Rc<Network>],
        faults: &Report,
    ) -> Option<Self> {
        let fields = Fields::new("FACILITATOR".into(), value, KNOWN, faults);
        let path = read_path(&fields);
        let is_open = fields.flag("open");
        let open = is_open.then(|| Account::read(OPEN.into(), &fields, networks)).flatten();
        if let Some(open) = &open {
            // Whoever has a wallet can have payments settled that are worth
            // less than their fees.
            for id in &open.networks {
                if open.daily_spend_on(*id).is_none() {
                    let key = format!("daily_spend.\"{id}\"");
                    fields.fault(&key, "is needed with open = true");
                }
            }
        }
        if !is_open {
            for name in ["pay_to", "networks", "daily_spend", "requests_per_minute"] {
                if fields.has(name) {
                    let problem = "is for callers that bring no token: set open = true, or put \
                                   it into one of [[vars.FACILITATOR.clients]]";
                    fields.fault(name, problem);
                }
            }
        }
        let mut clients: Vec<Account> = vec![];
        let list = fields.list("clients");
        for (n, value) in list.iter().enumerate() {
            let key = format!("FACILITATOR.clients[{n}]");
            let fields = Fields::new(key, value, KNOWN_OF_CLIENT, faults);
            let name = read_name(&fields);
            if clients.iter().any(|client| Some(&client.name) == name.as_ref()) {
                fields.fault("name", "is the same as an earlier client's");
            }
            clients.extend(Account::read(name.unwrap_or_default(), &fields, networks));
        }
        if list.is_empty() && !is_open {
            let problem = "is for nobody: name who may use it in [[vars.FACILITATOR.clients]]";
            fields.report(problem);
        }
        // Faults of clients are told, and not once more those of their tokens.
        let tokens = if clients.len() == list.len() {
            read_tokens(tokens, &clients, faults)
        } else {
            vec![]
        };
        Some(Self { path: path?, open, clients, tokens })
    }
}

impl Account {
    /// Whether this address may be paid.
    pub fn may_pay(&self, address: PayTo) -> bool {
        self.pay_to.contains(&address)
    }

    /// Whether it may use one of the configuration's networks.
    pub fn may_use(&self, network: &Network) -> bool {
        self.networks.contains(&network.id)
    }

    /// The most that each key may spend on fees in a day for it on a network,
    /// in wei or lamports.
    pub fn daily_spend_on(&self, network: ChainId) -> Option<u128> {
        self.daily_spend.iter().find(|(id, _)| *id == network).map(|(_, limit)| *limit)
    }

    fn read(name: String, fields: &Fields<'_>, networks: &[Rc<Network>]) -> Option<Self> {
        let networks_used = match fields.texts("networks") {
            None => networks.iter().filter(|it| it.facilitator.is_none()).map(|it| it.id).collect(),
            Some(names) => {
                names.into_iter().filter_map(|name| own_network(name, fields, networks)).collect()
            }
        };
        let requests_per_minute = fields.number("requests_per_minute", 1..=1_000_000);
        Some(Self {
            name,
            requests_per_minute: requests_per_minute.unwrap_or(DEFAULT_REQUESTS_PER_MINUTE),
            pay_to: read_pay_to(fields)?,
            networks: networks_used,
            daily_spend: read_daily_spend(fields, networks),
        })
    }
}

/// Where the facilitator is, without a trailing slash.
pub(super) fn path_of(value: &Value) -> Option<String> {
    let path = value.get("path")?.as_str()?;
    let canonical = CanonicalPath::parse(path).ok()?;
    let is_plain = path == "/" || !path.ends_with('/');
    let is_free = !path.starts_with("/.edge402") && !path.starts_with("/.well-known");
    (canonical.as_str() == path && is_plain && is_free)
        .then(|| path.trim_end_matches('/').to_owned())
}

fn read_path(fields: &Fields<'_>) -> Option<String> {
    fields.needed("path", "where it answers, such as \"/facilitator\"")?;
    let path = path_of(fields.value());
    if path.is_none() {
        let problem = "must be a plain path such as \"/facilitator\", without a slash at its end";
        fields.fault("path", problem);
    }
    path
}

fn read_name(fields: &Fields<'_>) -> Option<String> {
    let name = fields.needed("name", "what its token goes by in FACILITATOR_TOKENS")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) || name == OPEN {
        let problem = "must be up to 64 of a-z A-Z 0-9 - _, and not \"open\"";
        fields.fault("name", problem);
        return None;
    }
    Some(name.to_owned())
}

fn read_pay_to(fields: &Fields<'_>) -> Option<Vec<PayTo>> {
    if !fields.has("pay_to") {
        fields.fault("pay_to", "is needed: a list of the addresses that may be paid");
    }
    let texts = fields.texts("pay_to")?;
    let addresses: Option<Vec<PayTo>> = texts.iter().map(|text| PayTo::parse(text)).collect();
    let addresses = addresses.filter(|addresses| !addresses.is_empty());
    if addresses.is_none() {
        let problem = "must be a list of addresses: 0x and 40 hex digits, or base58 of 32 bytes";
        fields.fault("pay_to", problem);
    }
    addresses
}

fn read_daily_spend(fields: &Fields<'_>, networks: &[Rc<Network>]) -> Vec<(ChainId, u128)> {
    let mut limits = vec![];
    for (name, limit) in fields.table("daily_spend").into_iter().flatten() {
        let Some(id) = own_network(name, fields, networks) else { continue };
        let key = format!("daily_spend.\"{name}\"");
        if !limit.is_string() {
            fields.fault(&key, "must be a text, in quotes");
        }
        let limit = read_coins(fields, &key, limit.as_str(), id);
        limits.extend(limit.map(|limit| (id, limit)));
    }
    limits
}

/// The network of a name, on which this Worker itself settles.
fn own_network(name: &str, fields: &Fields<'_>, networks: &[Rc<Network>]) -> Option<ChainId> {
    let id: Option<ChainId> = name.parse().ok();
    let network = networks.iter().find(|network| Some(network.id) == id);
    if network.is_none() {
        let problem = format!("names {name}, which NETWORKS doesn't have or has a fault in");
        fields.report(problem);
    }
    if network.is_some_and(|network| network.facilitator.is_some()) {
        fields.report(format!("names {name}, which another facilitator settles"));
    }
    network.map(|network| network.id)
}

/// `name:sha256,name:sha256`: each client has a token, or several for as long
/// as one is being replaced.
fn read_tokens(
    secret: Option<&str>,
    clients: &[Account],
    faults: &Report,
) -> Vec<(TokenHash, usize)> {
    let key = "FACILITATOR_TOKENS";
    let mut tokens = vec![];
    let parts = secret.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    for (n, part) in parts.enumerate() {
        let expected =
            "must be a client's name, a colon, and 64 hex digits: the SHA-256 of its token";
        let (name, hash) = part.split_once(':').unwrap_or_default();
        let name = name.trim();
        let hash = match TokenHash::read(hash, expected) {
            Ok(hash) => hash,
            Err(problem) => {
                faults.add(key, format!("entry {} {problem}", n + 1));
                continue;
            }
        };
        if tokens.iter().any(|(TokenHash(known), _)| *known == hash.0) {
            faults.add(key, format!("entry {} is the same token as an earlier one", n + 1));
        }
        if let Some(client) = clients.iter().position(|client| client.name == name) {
            tokens.push((hash, client));
        } else {
            let problem =
                format!("entry {} names a client that FACILITATOR.clients doesn't have", n + 1);
            faults.add(key, problem);
        }
    }
    for (number, client) in clients.iter().enumerate() {
        if !client.name.is_empty() && !tokens.iter().any(|(_, holder)| *holder == number) {
            let name = &client.name;
            faults.add(key, format!("has no token for {name}: add {name}:<SHA-256 of the token>"));
        }
    }
    tokens
}
