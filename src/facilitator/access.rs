//! Who asks, and how often.

use std::collections::HashMap;

use crate::config::{Account, Facilitator};
use crate::time::UnixSeconds;

/// How many askers are told apart in a minute; more than that many addresses
/// are an attack.
const MOST_ASKERS: usize = 10_000;

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

/// Counts the requests of each asker in the current minute.
#[derive(Debug, Default)]
pub struct Meter {
    minute: u64,
    counts: HashMap<String, u64>,
}

impl Meter {
    /// Counts one request. Says in how many seconds to come again, if it is one
    /// too many.
    pub fn count(&mut self, asker: &str, limit: u64, now: UnixSeconds) -> Result<(), u64> {
        let minute = now.0 / 60;
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        if !self.counts.contains_key(asker) && self.counts.len() >= MOST_ASKERS {
            return Err(60 - now.0 % 60);
        }
        let count = self.counts.entry(asker.to_owned()).or_default();
        *count += 1;
        if *count > limit { Err(60 - now.0 % 60) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_requests_and_no_more() {
        let mut meter = Meter::default();
        let start = UnixSeconds(600);
        assert_eq!(meter.count("a", 2, start), Ok(()));
        assert_eq!(meter.count("a", 2, start.plus(10)), Ok(()));
        assert_eq!(meter.count("a", 2, start.plus(20)), Err(40));
        assert_eq!(meter.count("b", 2, start.plus(20)), Ok(()));
        assert_eq!(meter.count("a", 2, start.plus(60)), Ok(()));
    }
}
