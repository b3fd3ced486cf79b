//! The seller's desk: its page, what is asked of `/.edge402/sales`, of whom it is
//! asked, and what is answered.

pub mod session;

pub mod export;
pub mod merge;
pub mod overrides;
mod query;
pub mod reading;
pub mod refunds;
pub mod refusals;
pub mod state;
pub mod sums;
pub mod webhooks;

use std::iter::Peekable;
use std::rc::Rc;
use std::vec::IntoIter;

use serde_json::Value;

use self::query::pairs_of;
use self::refunds::{Given, Shown};
use crate::config::{Config, Network};
use crate::encoding::{decode_hex_bytes, encode_hex};
use crate::evm::keccak256;
use crate::json::write_object;
use crate::protocol::ChainId;
use crate::settlement::relayer::{facilitator_names, settler_name};
use crate::settlement::sales::SalePlace;
use crate::settlement::{Sale, SalesQuery};
use crate::time::UnixSeconds;

/// Below this everything is the Worker's own.
pub const OWN_PATHS: &str = "/.edge402";

/// Whether a path is one of these, also for an origin that reads an escape, a
/// backslash, or a `;` with what follows, otherwise than we do.
pub fn is_own(path: &str) -> bool {
    let own = OWN_PATHS.as_bytes();
    let (mut read, mut rest) = (0, path.as_bytes());
    loop {
        let (byte, after) = match rest {
            [] => return read == own.len(),
            [b'%', high, low, after @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => return false,
            },
            [byte, after @ ..] => (*byte, after),
        };
        rest = after;
        let byte = if byte == b'\\' { b'/' } else { byte };
        match own.get(read) {
            None => return matches!(byte, b'/' | b';'),
            Some(it) if *it == byte => read += 1,
            // Some read several slashes as one.
            Some(_) if (read, byte) == (1, b'/') => {}
            Some(_) => return false,
        }
    }
}

/// The value of a hex digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

/// Where the seller's page is.
pub const DESK_PATH: &str = "/.edge402/desk";

/// The page, with its script and style in it. Made by `dev/pay-page.mjs` of what
/// is in `www/desk`, as its `Content-Security-Policy` is.
pub const DESK_PAGE: &str = include_str!("desk/page.html");

/// What lets a browser run nothing else in it.
pub const DESK_POLICY: &str = include_str!("desk/policy.txt");

/// Where programs read the sales.
pub const SALES_PATH: &str = "/.edge402/sales";

/// How many requests without a token that is good come from one address in a
/// minute until none is looked at any more.
pub const TRIES_PER_MINUTE: u64 = 10;

/// How many sales are in a page: unless something else is asked for, and at most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 500;

/// The longest cursor, in bytes: a check, a time, and a payment's identity.
const CURSOR_MAX: usize = 512;

const KNOWN: &[&str] =
    &["from", "to", "route", "network", "payer", "transaction", "cursor", "limit"];

/// Reads a request's query (from its `?` on).
///
/// # Errors
/// A sentence for the client: what to change.
pub fn read_query(query: &str) -> Result<SalesQuery, String> {
    let mut asked = SalesQuery { limit: PAGE, ..SalesQuery::default() };
    for (name, value) in pairs_of(query, KNOWN)? {
        match name.as_str() {
            "from" => asked.from = Some(read_time(&name, &value)?),
            "to" => asked.to = Some(read_time(&name, &value)?),
            "route" => asked.route = Some(value),
            "network" => asked.network = Some(read_network(&value)?),
            "payer" => asked.payer = Some(value),
            "transaction" => asked.transaction = Some(value),
            "cursor" => {
                let place = read_cursor(&value);
                asked.before = Some(place.ok_or("cursor is none that a page has ended with")?);
            }
            _ => {
                let limit = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                asked.limit =
                    limit.ok_or_else(|| format!("limit must be a number from 1 to {PAGE_MAX}"))?;
            }
        }
    }
    check_range(&asked)?;
    Ok(asked)
}

/// What each Settler is asked: for one sale more than a page has, so that it is
/// known whether there is a next one.
#[must_use]
pub fn for_settlers(asked: &SalesQuery) -> SalesQuery {
    SalesQuery { limit: asked.limit + 1, ..asked.clone() }
}

/// The sales of one page, of what the Settlers have said, each the newest first; and
/// the last of them, if there is a next page.
pub fn page_of(asked: &SalesQuery, said: Vec<Vec<Sale>>) -> (Vec<Sale>, Option<SalePlace>) {
    let mut lists: Vec<_> = said.into_iter().map(|it| it.into_iter().peekable()).collect();
    let mut sales: Vec<Sale> = vec![];
    let mut is_last = true;
    while let Some(sale) = next_of(&mut lists) {
        if sales.len() >= asked.limit as usize {
            is_last = false;
            break;
        }
        sales.push(sale);
    }
    let next = sales.last().filter(|_| !is_last).map(Sale::place);
    (sales, next)
}

/// The page as JSON, with what has come back of its sales.
pub fn page(sales: &[Sale], next: Option<&SalePlace>, given: &Given) -> String {
    let sales: Vec<_> = sales.iter().map(|sale| Shown(sale, given)).collect();
    let next = next.map_or(Value::Null, |place| cursor_of(place).into());
    let mut text = String::new();
    write_object(&[("sales", &sales), ("next", &next)], &mut text);
    text
}

/// The newest sale that is left.
fn next_of(lists: &mut [Peekable<IntoIter<Sale>>]) -> Option<Sale> {
    let places = lists.iter_mut().filter_map(|list| Some((list.peek()?.place(), list)));
    let (_, list) = places.max_by(|(a, _), (b, _)| a.cmp(b))?;
    list.next()
}

/// All Settlers that may have sold something, with their networks: of each those of
/// the keys that sign or have signed, and those where a facilitator settles, or did
/// so once. Only those of one network, if one is named.
pub fn settlers(config: &Config, only: Option<ChainId>) -> Vec<(ChainId, String)> {
    let of = |network: &Rc<Network>| {
        let names = settlers_on(config, network);
        names.into_iter().map(|name| (network.id, name)).collect::<Vec<_>>()
    };
    let networks = config.networks.iter();
    networks.filter(|network| only.is_none_or(|id| id == network.id)).flat_map(of).collect()
}

fn settlers_on(config: &Config, network: &Network) -> Vec<String> {
    let former = &config.former_signers;
    let keys: Vec<String> = if network.id.names_fee_payer() {
        let own = config.fee_payers.iter().map(|key| key.pubkey().to_string());
        own.chain(former.fee_payers.iter().map(ToString::to_string)).collect()
    } else {
        let own = config.relayers.iter().map(|key| key.address().to_string());
        own.chain(former.relayers.iter().map(ToString::to_string)).collect()
    };
    let mut names: Vec<String> = vec![];
    for key in keys {
        let name = settler_name(network.id, &key);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // It may have been moved to a facilitator, or from one.
    names.extend(facilitator_names(network.id));
    names
}

fn check_range(asked: &SalesQuery) -> Result<(), String> {
    match (asked.from, asked.to) {
        (Some(from), Some(to)) if to < from => {
            Err("the range ends before it starts: to is earlier than from".into())
        }
        _ => Ok(()),
    }
}

fn read_network(value: &str) -> Result<ChainId, String> {
    value.parse().map_err(|_| "network must be a CAIP-2 name such as eip155:8453".into())
}

fn read_time(name: &str, value: &str) -> Result<UnixSeconds, String> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let time = value.parse().ok().filter(|_| is_number).map(UnixSeconds);
    time.ok_or_else(|| format!("{name} must be a time in whole seconds since 1970"))
}

/// A place as a text that is not meant to be read: a check, so that one that is
/// made up or cut off is known, the time, and the payment.
fn cursor_of(place: &SalePlace) -> String {
    let mut bytes = place.time.0.to_be_bytes().to_vec();
    bytes.extend(place.payment.as_bytes());
    let mut checked = check_of(&bytes).to_vec();
    checked.extend(bytes);
    encode_hex(&checked).split_off(2)
}

fn read_cursor(text: &str) -> Option<SalePlace> {
    let bytes = decode_hex_bytes(&format!("0x{text}"), CURSOR_MAX).ok()?;
    let (check, bytes) = bytes.split_first_chunk::<8>()?;
    if check_of(bytes) != *check {
        return None;
    }
    let (time, payment) = bytes.split_first_chunk::<8>()?;
    let payment = String::from_utf8(payment.to_vec()).ok()?;
    Some(SalePlace { time: UnixSeconds(u64::from_be_bytes(*time)), payment })
}

fn check_of(bytes: &[u8]) -> [u8; 8] {
    let hash = keccak256(&[b"edge402 cursor 1\n", bytes].concat());
    hash.first_chunk().copied().unwrap_or_default()
}
