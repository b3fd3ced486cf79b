//! The nonces of signed requests that an isolate has seen.
//!
//! A client asks for the price, and sends the same signed request again with its
//! payment, so a nonce counts again for the same request for a while. Who reads that
//! request somewhere, in the origin's log say, can have the same answer in that
//! time, and nothing else.

use std::collections::VecDeque;

use crate::evm::keccak256;
use crate::table::Table;
use crate::time::UnixSeconds;

/// For how long a nonce counts again for the same request, in seconds: until a
/// client has paid, and has asked again where an answer broke off.
const AGAIN_SECONDS: u64 = 120;

/// How many nonces of one host are remembered. Only good signatures are, so no host
/// fills another's places; the oldest goes first.
const MOST_OF_A_HOST: usize = 2_048;

/// The nonces of each host, the oldest first. There are as many hosts as the
/// configuration names.
#[derive(Debug, Default)]
pub struct Nonces(Table<String, VecDeque<Seen>>);

#[derive(Clone, Debug)]
struct Seen {
    /// Hashes of the nonce, and of what was asked for by it.
    nonce: [u8; 32],
    request: [u8; 32],
    at: UnixSeconds,
    /// Until when its signature is good.
    until: UnixSeconds,
}

impl Nonces {
    /// None yet.
    pub const fn new() -> Self {
        Self(Table::new())
    }

    /// Whether a host's signature with this nonce counts for a request, and takes
    /// note of it: if it is new here, or came with the same request a short while
    /// ago. `until`: when the signature ends.
    pub fn take(
        &mut self,
        (host, nonce): (&str, &str),
        (method, url): (&str, &str),
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> bool {
        let nonce = keccak256(nonce.as_bytes());
        let request = keccak256(format!("{method}\n{url}").as_bytes());
        let seen = self.0.get_or_insert_with(host.to_owned(), VecDeque::new);
        if let Some(found) = seen.iter().find(|it| it.nonce == nonce && now < it.until) {
            return found.request == request && now.since(found.at) <= AGAIN_SECONDS;
        }
        if seen.len() >= MOST_OF_A_HOST {
            seen.pop_front();
        }
        seen.push_back(Seen { nonce, request, at: now, until });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
    const PAGE: (&str, &str) = ("GET", "https://shop/page");

    #[test]
    fn a_nonce_counts_again_for_the_same_request_for_two_minutes() {
        let mut nonces = Nonces::new();
        let until = NOW.plus(86_400);
        let mut take = |request, now| nonces.take(("a.example", "n"), request, until, now);
        assert!(take(PAGE, NOW));
        // The 402 was that; this comes with the payment.
        assert!(take(PAGE, NOW.plus(30)));
        for other in [("GET", "https://shop/other"), ("POST", "https://shop/page")] {
            assert!(!take(other, NOW.plus(30)), "{other:?}");
        }
        // From the first time on, however often it comes.
        assert!(take(PAGE, NOW.plus(120)));
        assert!(!take(PAGE, NOW.plus(121)));
        assert!(!take(PAGE, NOW.plus(86_399)));
        // Whose signature is over may use it for another.
        assert!(take(("GET", "https://shop/other"), until));
    }

    #[test]
    fn no_host_takes_the_places_of_another() {
        let mut nonces = Nonces::new();
        let until = NOW.plus(86_400);
        let later = NOW.plus(600);
        let mut take = |host, nonce: &str, now| nonces.take((host, nonce), PAGE, until, now);
        assert!(take("b.example", "first", NOW));
        for n in 0..=MOST_OF_A_HOST {
            assert!(take("a.example", &n.to_string(), NOW));
        }
        assert!(!take("b.example", "first", later), "the other host's is remembered");
        assert!(take("b.example", "second", later), "and there is room for more");
        // Its own oldest has gone, and no other.
        assert!(!take("a.example", "1", later));
        assert!(take("a.example", "0", later));
        assert_eq!(nonces.0.get("a.example").map(VecDeque::len), Some(MOST_OF_A_HOST));
    }
}
