//! Who gets what was paid for: a pure state machine beside the payment's own.
//!
//! Once a payment has landed, everything in its header can be read on chain.
//! So the header alone buys nothing a second time: what was delivered is
//! delivered again only to a client that shows something of the claim's that no
//! chain shows.

use super::types::{Ending, LEASE_SECONDS, Settlement, Wanted};
use crate::time::UnixSeconds;
use crate::{json_enum, json_struct};

/// For how long what was paid for and not delivered can be collected, at
/// least, in seconds.
pub const COLLECT_SECONDS: u64 = 86_400;

/// How many answers may break off, or never be heard of again, for clients
/// without proof. Too few, and a buyer on a bad line who has changed networks
/// loses what was paid for; too many, and a client that breaks its answers off
/// before their end gets them for nothing.
pub const UNPROVEN_MAX: u32 = 3;

/// The same for clients with proof, or as often as the route delivers again if
/// that is more.
pub const PROVEN_MAX: u32 = 10;

/// How many ranges of what was bought a delivery cookie fetches. Too few, and a
/// long film or a large document stops in its middle; too many, and a cookie
/// that is handed around serves more than its buyer.
pub const PARTS_MAX: u32 = 1_000;

/// How far the delivery of a settled payment has come. What release 0.1.0 wrote
/// has none, and reads as not delivered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// How many answers were begun for requests without proof before it was
    /// delivered.
    pub unproven: u32,
    /// The same for the claim's own request and those with proof.
    pub proven: u32,
    /// How often it was delivered again.
    pub again: u32,
    /// How many ranges of it were given out by cookie, once the buyer was given
    /// one: what is not delivered then is kept for those with proof.
    pub parts: Option<u32>,
    /// The version of the goods that they are ranges of.
    pub version: Option<u64>,
    /// Until when it can be collected if it was not delivered.
    pub collect_until: UnixSeconds,
}

json_struct!(Delivery {
    state = default,
    unproven = default,
    proven = default,
    again = default,
    parts,
    version,
    collect_until = default,
});

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryState {
    /// Nobody has got it.
    #[default]
    NotDelivered,
    /// Somebody is getting it.
    Underway {
        /// Names the request.
        ticket: u64,
        /// Until when nothing else is given out, unless its gate renews that.
        lease_until: UnixSeconds,
        /// Whether it is the claim's own, or has shown proof.
        has_proof: bool,
    },
    /// It was given out to its end.
    Delivered {
        /// Whether to the claim's own request, or to one with proof.
        to_buyer: bool,
    },
}

json_enum!(DeliveryState {
    NotDelivered,
    Underway { ticket, lease_until, has_proof },
    Delivered { to_buyer },
});

/// A request for what a payment has bought.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Names the request.
    pub ticket: u64,
    /// Whether it shows what the claim did.
    pub has_proof: bool,
    /// What it shows a delivery cookie for.
    pub wanted: Option<Wanted>,
    /// Whether another site's page has the browser ask.
    pub by_other_site: bool,
    /// How often the route delivers again.
    pub redeliver_max: u32,
}

/// What such a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The goods.
    Goods {
        /// And an access grant, where the route has them.
        may_grant: bool,
    },
    /// Somebody is getting it until then, or for longer: wait.
    Wait(UnixSeconds),
    /// Nothing.
    Nothing,
}

impl Delivery {
    /// A delivery that begins with the settlement: to the claim's own request,
    /// if that still waits, and may be the buyer's.
    pub fn begin(holder: Option<u64>, is_buyer: bool, now: UnixSeconds) -> Self {
        let state =
            holder.map_or(DeliveryState::NotDelivered, |ticket| underway(ticket, is_buyer, now));
        Self {
            state,
            unproven: u32::from(holder.is_some() && !is_buyer),
            proven: u32::from(holder.is_some() && is_buyer),
            collect_until: now.plus(COLLECT_SECONDS),
            ..Self::default()
        }
    }

    /// Whether anybody can still get it.
    pub fn is_open(&self, settlement: &Settlement, now: UnixSeconds) -> bool {
        now < self.open_until(settlement)
    }

    /// Until when anybody can still get it.
    pub fn open_until(&self, settlement: &Settlement) -> UnixSeconds {
        let is_due = self.state != DeliveryState::Delivered { to_buyer: true };
        if is_due {
            settlement.redeliver_until.max(self.collect_until)
        } else {
            settlement.redeliver_until
        }
    }

    /// Decides about a request, and counts it.
    ///
    /// False goods would give something away that was paid for once; a false
    /// nothing would keep from a buyer what was paid for.
    pub fn ask(&mut self, asking: Asking, settlement: &Settlement, now: UnixSeconds) -> Answer {
        let Asking { ticket, has_proof, wanted, by_other_site, redeliver_max } = asking;
        // Of each count other sites get the first half: the rest is for the buyer
        // alone, and whoever claims to be one of them gains nothing.
        let most = |max: u32| if by_other_site { max / 2 } else { max };
        if wanted == Some(Wanted::Part) {
            // A browser asks for as many of one film as it likes. They count by
            // themselves, and leave the delivery as it is.
            let parts = self.parts.unwrap_or_default();
            if now >= settlement.redeliver_until || parts >= most(PARTS_MAX) || redeliver_max == 0 {
                return Answer::Nothing;
            }
            self.parts = Some(parts + 1);
            return Answer::Goods { may_grant: true };
        }
        if let Some(Wanted::PartOf { version }) = wanted {
            // What came later was not bought as a part of the same.
            let is_same = *self.version.get_or_insert(version) == version;
            return if is_same { Answer::Goods { may_grant: true } } else { Answer::Nothing };
        }
        if matches!(self.state, DeliveryState::Underway { lease_until, .. } if lease_until <= now) {
            // Its gate has died, and nobody knows how far it came.
            self.state = DeliveryState::NotDelivered;
        }
        let is_due = match self.state {
            DeliveryState::NotDelivered => has_proof || self.parts.is_none(),
            DeliveryState::Delivered { to_buyer } => has_proof && !to_buyer,
            DeliveryState::Underway { .. } => false,
        };
        if is_due {
            let (count, max) = if has_proof {
                (&mut self.proven, PROVEN_MAX.max(redeliver_max))
            } else {
                (&mut self.unproven, UNPROVEN_MAX)
            };
            if *count >= most(max) || now >= self.collect_until.max(settlement.redeliver_until) {
                return Answer::Nothing;
            }
            *count += 1;
            self.state = underway(ticket, has_proof, now);
            return Answer::Goods { may_grant: has_proof };
        }
        if has_proof && now < settlement.redeliver_until && self.again < most(redeliver_max) {
            self.again += 1;
            return Answer::Goods { may_grant: true };
        }
        match self.state {
            DeliveryState::Underway { lease_until, .. } => Answer::Wait(lease_until),
            _ => Answer::Nothing,
        }
    }

    /// Keeps an answer's lease alive; whether there was one to keep.
    pub fn renew(&mut self, holder: u64, until: UnixSeconds) -> bool {
        match &mut self.state {
            DeliveryState::Underway { ticket, lease_until, .. } if *ticket == holder => {
                *lease_until = until;
                true
            }
            _ => false,
        }
    }

    /// Takes note of how an answer ended.
    pub fn end(&mut self, holder: u64, ending: Ending) {
        let own = match self.state {
            DeliveryState::Underway { ticket, has_proof, .. } if ticket == holder => {
                Some(has_proof)
            }
            _ => None,
        };
        if ending == Ending::Promised {
            self.parts.get_or_insert(0);
        }
        match (ending, own) {
            // Whatever else goes on: it was given out.
            (Ending::Whole, own) => {
                self.state = DeliveryState::Delivered { to_buyer: own.unwrap_or(true) };
            }
            (Ending::Broken, Some(_)) => self.state = DeliveryState::NotDelivered,
            (Ending::Nothing | Ending::Promised, Some(has_proof)) => {
                self.state = DeliveryState::NotDelivered;
                let count = if has_proof { &mut self.proven } else { &mut self.unproven };
                *count = count.saturating_sub(1);
            }
            (Ending::Nothing | Ending::Promised, None) => {
                self.again = self.again.saturating_sub(1);
            }
            (Ending::Broken, None) => {}
        }
    }
}

fn underway(ticket: u64, has_proof: bool, now: UnixSeconds) -> DeliveryState {
    DeliveryState::Underway { ticket, lease_until: now.plus(LEASE_SECONDS), has_proof }
}
