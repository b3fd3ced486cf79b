//! What every edge remembers of a settled payment: the record in KV.
//!
//! KV has no compare-and-set, and a read may be a minute old. So it can say
//! that a payment was used, and never that it was not.

use super::{ClaimRequest, Proof, Settlement};
use crate::json_struct;
use crate::time::UnixSeconds;

/// The shortest life that KV gives a value, in seconds.
const MIN_TTL_SECONDS: u64 = 60;

/// A settled payment, the resource it bought, and how it was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRecord {
    /// What it bought.
    pub resource: String,
    /// How it was settled.
    pub settlement: Settlement,
    /// What its claim showed; nothing where it is not delivered again.
    pub proof: Proof,
}

json_struct!(ReplayRecord { resource, settlement, proof = default });

/// What a record says of a payment that is presented again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It bought this very resource for whoever asks.
    Deliver(Settlement),
    /// It bought this very resource. Whether it can still be had, the Settler
    /// knows.
    Bought(Settlement),
    /// It bought something else.
    Refuse,
}

impl ReplayRecord {
    /// The key of a payment's record.
    pub fn key(payment: &str) -> String {
        format!("paid/{payment}")
    }

    /// What it says to a request.
    pub fn judge(self, request: &ClaimRequest, now: UnixSeconds) -> Replay {
        if !request.names(&self.resource) {
            Replay::Refuse
        } else if now < self.settlement.redeliver_until
            && request.redeliver_max > 0
            && request.shows(&self.proof)
        {
            Replay::Deliver(self.settlement)
        } else {
            Replay::Bought(self.settlement)
        }
    }

    /// How many seconds to keep the record: past the time when the payment
    /// could land again or be delivered again.
    pub fn ttl_seconds(&self, payment_expires_at: UnixSeconds, now: UnixSeconds) -> u64 {
        let until = payment_expires_at.max(self.settlement.redeliver_until);
        until.plus(MIN_TTL_SECONDS).since(now).max(MIN_TTL_SECONDS)
    }
}
