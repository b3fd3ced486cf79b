//! Who asks, and how often.

use std::net::Ipv6Addr;

use crate::config::{Account, Facilitator};
use crate::table::Table;
use crate::time::UnixSeconds;

/// How many addresses are told apart in a minute: more than that are an attack.
const MOST_ADDRESSES: usize = 10_000;

/// The account that a request is made on, by its `Authorization` header
/// (RFC 6750, section 2.1).
///
/// `None`: it needs a token, or has a wrong one.
pub fn account_of<'a>(
    facilitator: &'a Facilitator,
    authorization: Option<&str>,
) -> Option<&'a Account> {
    let Some(header) = authorization else { return facilitator.account_of(None) };
    let (scheme, token) = header.trim().split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    facilitator
        .account_of(Some(token.trim()).filter(|token| is_bearer && !token.is_empty())?.into())
}

/// Who is counted: a client by its name, anybody else by where they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// The holder of a token.
    Client(String),
    /// An IPv4 address, or the first half of an IPv6 address: a household has
    /// all of the other.
    Address(String),
}

impl Asker {
    /// Who asks on an account, from an IP address.
    pub fn new(facilitator: &Facilitator, account: &Account, address: Option<&str>) -> Self {
        if !facilitator.is_open(account) {
            return Self::Client(account.name.clone());
        }
        Self::at(address)
    }

    /// Who asks from an IP address; all together, where it is not known.
    pub fn at(address: Option<&str>) -> Self {
        let address = address.unwrap_or_default();
        let network = address.parse().map(|address: Ipv6Addr| u128::from(address) >> 64);
        Self::Address(network.map_or_else(|_| address.to_owned(), |network| network.to_string()))
    }
}

/// Counts the requests of each asker in the current minute.
#[derive(Debug, Default)]
pub struct Meter {
    minute: u64,
    counts: Table<Asker, u64>,
}

impl Meter {
    /// Says in how many seconds to come again, if the next request would be one
    /// too many.
    ///
    /// # Errors
    /// It would be.
    pub fn room(&self, asker: &Asker, limit: u64, now: UnixSeconds) -> Result<(), u64> {
        let is_now = self.minute == now.0 / 60;
        let count = self.counts.get(asker).copied().filter(|_| is_now);
        if count.unwrap_or_default() >= limit { Err(60 - now.0 % 60) } else { Ok(()) }
    }

    /// Counts one request. Says in how many seconds to come again, if it is one
    /// too many.
    pub fn count(&mut self, asker: Asker, limit: u64, now: UnixSeconds) -> Result<(), u64> {
        let minute = now.0 / 60;
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        let to_the_next = 60 - now.0 % 60;
        let is_crowded = self.counts.len() >= MOST_ADDRESSES;
        if is_crowded && matches!(asker, Asker::Address(_)) && !self.counts.contains_key(&asker) {
            return Err(to_the_next);
        }
        let count = self.counts.get_or_insert_with(asker, Default::default);
        *count += 1;
        if *count > limit { Err(to_the_next) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_requests_and_no_more() {
        let mut meter = Meter::default();
        let start = UnixSeconds(600);
        let mut count = |name: &str, at| meter.count(Asker::Client(name.into()), 2, at);
        assert_eq!(count("a", start), Ok(()));
        assert_eq!(count("a", start.plus(10)), Ok(()));
        assert_eq!(count("a", start.plus(20)), Err(40));
        assert_eq!(count("b", start.plus(20)), Ok(()));
        assert_eq!(count("a", start.plus(60)), Ok(()));
    }

    #[test]
    fn a_crowd_of_addresses_keeps_no_client_out() {
        let mut meter = Meter::default();
        let start = UnixSeconds(600);
        for n in 0..MOST_ADDRESSES {
            assert_eq!(meter.count(Asker::Address(n.to_string()), 9, start), Ok(()));
        }
        assert_eq!(meter.count(Asker::Address("one more".into()), 9, start), Err(60));
        assert_eq!(meter.count(Asker::Address("7".into()), 9, start), Ok(()));
        assert_eq!(meter.count(Asker::Client("a".into()), 9, start), Ok(()));
    }
}
