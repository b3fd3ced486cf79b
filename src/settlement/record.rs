//! The life of one payment: `Claimed → Submitted → Settled | Failed`.
//!
//! A pure state machine. An unclear answer of a chain is a state, not an
//! error: a payment stays `Submitted` until the chain has said what became of
//! it, and nothing but the chain's word ends that.

pub mod owed;
mod sale;

use super::delivery::{Delivery, DeliveryState};
use super::journal::{Attempts, TxId};
use super::messages::{ClaimRequest, SettleRequest};
use super::sales::SaleNote;
use super::types::{LEASE_SECONDS, Proof, Settlement};
use crate::amount::AtomicAmount;
use crate::protocol::Reason;
use crate::time::UnixSeconds;
use crate::{json_enum, json_struct};

/// For how long what was claimed and not settled is remembered at most, in
/// seconds.
const UNSENT_SECONDS: u64 = 3_600;

/// Never forgotten by itself.
pub const FOREVER: UnixSeconds = UnixSeconds(u64::MAX);

/// The ticket of what nobody holds. No request has it.
const NOBODY: u64 = 0;

/// To how many other resources a purchase goes with the origin's redirects.
pub const MOVES_MAX: usize = 3;

/// What is known of one payment.
#[derive(Clone, Debug)]
pub struct PaymentRecord {
    /// The payment's identity.
    pub payment: String,
    /// What it buys. Bound at the first claim, for good once it was submitted.
    pub resource: String,
    /// From when on it can't land any more.
    pub expires_at: UnixSeconds,
    /// Since when it is bound to this resource.
    pub claimed_at: UnixSeconds,
    /// Where it stands.
    pub state: State,
    /// What the request showed that claimed it.
    pub proof: Proof,
    /// Where only the chain can judge the signature: by what the one is known
    /// again that the chain called good before this was claimed.
    pub signature: Option<String>,
    /// Whether a transaction that carried it has ended without it. Then anybody
    /// may have seen it, and the proof above is that of the claim it was sent for.
    pub was_sent: bool,
    /// Once it is settled: where else it is had, because the origin has said
    /// that it is there.
    pub moved: Vec<String>,
    /// EVM: what was sent for this purchase so far.
    pub attempts: Option<Attempts>,
    /// Once it is settled: who has got what it bought.
    pub delivery: Delivery,
    /// And what the ledger says of it.
    pub sale: Option<Box<SaleNote>>,
    /// Whether it is owed because its payer has seen to it that it can't be
    /// settled.
    pub is_payers_fault: Option<bool>,
}

json_struct!(PaymentRecord {
    payment,
    resource,
    expires_at,
    claimed_at,
    state,
    proof = default,
    signature,
    was_sent = default,
    moved = default,
    attempts,
    delivery = default,
    sale,
    is_payers_fault,
});

/// Where a payment stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Bound to a resource; nothing was sent.
    Claimed {
        /// Who holds the claim.
        ticket: u64,
        /// Until when no one else can take it.
        lease_until: UnixSeconds,
    },
    /// A signed transaction that carries it is in the journal, and may be on
    /// its way.
    Submitted {
        /// The entry of the journal that carries it, by its name.
        transaction: String,
        /// What is being settled, to be read again after a crash.
        order: Box<Order>,
    },
    /// The seller has been paid.
    Settled(Settlement),
    /// Its goods are going out, and what is used of them is counted.
    Metered {
        /// Who holds it.
        ticket: u64,
        /// Until when the gate that counts is taken to be alive.
        lease_until: UnixSeconds,
        /// What is to be settled, without the amount.
        order: Box<Order>,
        /// What the gate has last told to be used; nothing before the goods.
        used: Option<AtomicAmount>,
    },
    /// Its goods went out, and it is still to be settled.
    Owed {
        /// Who held it.
        ticket: u64,
        /// What is to be settled.
        order: Box<Order>,
        /// Since when.
        since: UnixSeconds,
        /// When to try again.
        again_at: UnixSeconds,
    },
    /// The chain said no. Nothing was delivered, and the payment may be
    /// claimed again.
    Failed {
        /// Why.
        reason: Reason,
    },
}

json_enum!(State {
    Claimed { ticket, lease_until },
    Submitted { transaction, order },
    Settled(settlement),
    Metered { ticket, lease_until, order, used },
    Owed { ticket, order, since, again_at },
    Failed { reason },
});

/// What is being settled: the request, and when its payment was verified.
#[derive(Clone, Debug)]
pub struct Order {
    /// The request.
    pub request: SettleRequest,
    /// The time of the check that let it through.
    pub verified_at: UnixSeconds,
    /// Since when it is owed, where its goods have gone out before.
    pub owed_since: Option<UnixSeconds>,
}

json_struct!(Order { request, verified_at, owed_since });

/// What a claim comes to, given what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody holds the payment: write it down as the asker's.
    Fresh,
    /// The same for one that may know the payment from its failed transaction:
    /// what it buys can be had once, and the proof of its buyer stays.
    Unproven,
    /// The same resource is being bought right now: wait for its outcome.
    InFlight,
    /// The same resource was bought with it, and somebody can still get it.
    Settled(Settlement),
    /// Another signer's Settler is to settle it.
    Reserved,
    /// It can't buy this.
    OtherResource,
}

impl PaymentRecord {
    /// A record of a payment that is now the asker's. One that was bound to
    /// the same resource before has been so since then, unless it failed: what
    /// happened to it meanwhile was not for this. What is bought is the one's
    /// that claimed last: nothing was sent for those before. Where something
    /// was, it stays with those who can show the proof of then.
    pub fn claimed(known: Option<&Self>, request: &ClaimRequest, now: UnixSeconds) -> Self {
        let public = known.filter(|known| known.was_sent);
        let before = known.filter(|known| {
            request.names(&known.resource) && !matches!(known.state, State::Failed { .. })
        });
        let buyer = public.filter(|known| !known.proof.is_shown_by(&request.proof));
        Self {
            payment: request.payment.clone(),
            resource: request.resource.clone(),
            expires_at: request.expires_at,
            claimed_at: before.map_or(now, |known| known.claimed_at),
            state: State::Claimed { ticket: request.ticket, lease_until: now.plus(LEASE_SECONDS) },
            proof: buyer.map_or(&request.proof, |known| &known.proof).clone(),
            signature: None,
            was_sent: public.is_some(),
            moved: vec![],
            // What was sent for one thing pays for no other.
            attempts: known
                .filter(|known| request.names(&known.resource))
                .and_then(|known| known.attempts.clone()),
            delivery: Delivery::default(),
            sale: None,
            is_payers_fault: None,
        }
    }

    /// A record of a payment that another signer's Settler is to settle: nobody
    /// can claim it here until then.
    pub fn reserved(
        known: Option<&Self>,
        request: &ClaimRequest,
        (now, lease_until): (UnixSeconds, UnixSeconds),
    ) -> Self {
        let state = State::Claimed { ticket: NOBODY, lease_until };
        Self { state, ..Self::claimed(known, request, now) }
    }

    /// Whether this payment can be claimed. `is_live`: whether the holder of a
    /// ticket may still be at work. What was claimed before a restart has no
    /// holder here; a retry for the same resource need not wait for its lease,
    /// unless an origin that still works for the holder must not be asked twice.
    ///
    /// A false `Fresh` would let one payment buy twice; a false `InFlight`
    /// only costs a wait.
    pub fn claim(
        known: Option<&Self>,
        request: &ClaimRequest,
        now: UnixSeconds,
        is_live: impl Fn(u64) -> bool,
    ) -> Claim {
        let Some(known) = known else { return Claim::Fresh };
        let same = known.is_for(request);
        let claim = match &known.state {
            State::Claimed { ticket: NOBODY, .. } if request.reserve_seconds.is_some() => {
                Claim::Fresh
            }
            State::Claimed { ticket, .. }
                if same
                    && *ticket != NOBODY
                    && (*ticket == request.ticket
                        || request.may_pass_lease() && !is_live(*ticket)) =>
            {
                Claim::Fresh
            }
            _ => return known.standing(same, &request.proof, now),
        };
        known.guarded(claim, same, &request.proof)
    }

    /// What is public already goes to one that shows no proof for its own
    /// resource only.
    fn guarded(&self, claim: Claim, same: bool, proof: &Proof) -> Claim {
        let is_unproven = self.was_sent && !self.proof.is_shown_by(proof);
        match claim {
            Claim::Fresh if is_unproven && same => Claim::Unproven,
            Claim::Fresh if is_unproven => Claim::OtherResource,
            claim => claim,
        }
    }

    /// What a claim comes to for a caller that holds none yet: `same`, whether
    /// it is for the resource that the payment is bound to.
    pub fn standing(&self, same: bool, proof: &Proof, now: UnixSeconds) -> Claim {
        let claim = match &self.state {
            State::Failed { .. } => Claim::Fresh,
            State::Claimed { lease_until, .. } if *lease_until <= now => Claim::Fresh,
            State::Claimed { ticket: NOBODY, .. } => return Claim::Reserved,
            State::Claimed { .. }
            | State::Submitted { .. }
            | State::Metered { .. }
            | State::Owed { .. }
                if same =>
            {
                Claim::InFlight
            }
            State::Settled(settlement) if same && self.delivery.is_open(settlement, now) => {
                Claim::Settled(settlement.clone())
            }
            State::Claimed { .. }
            | State::Submitted { .. }
            | State::Settled(_)
            | State::Metered { .. }
            | State::Owed { .. } => Claim::OtherResource,
        };
        self.guarded(claim, same, proof)
    }

    /// Whether it buys, or has bought, what is asked for.
    pub fn is_for(&self, request: &ClaimRequest) -> bool {
        request.names(&self.resource)
            || (!request.only_here && self.moved.contains(&request.resource))
    }

    /// Takes note that the origin sends whoever asks for what was bought on to
    /// another resource, as the request heard that holds the delivery.
    pub fn move_to(&mut self, holder: u64, resource: &str) {
        let is_holders = matches!(
            self.delivery.state, DeliveryState::Underway { ticket, .. } if ticket == holder
        );
        let is_known = self.resource == resource || self.moved.iter().any(|it| it == resource);
        if is_holders && !is_known && self.moved.len() < MOVES_MAX {
            self.moved.push(resource.to_owned());
        }
    }

    /// Takes note that this request is getting the answer, though nothing here says yet
    /// that the payment has settled: an object has told it so and died before it wrote
    /// that down.
    pub fn note_told(&mut self, holder: u64, now: UnixSeconds) {
        let State::Submitted { order, .. } = &self.state else { return };
        if order.request.ticket == holder && self.delivery == Delivery::default() {
            let is_buyer = self.is_buyers(&order.request);
            self.delivery = Delivery::begin(Some(holder), is_buyer, now);
        }
    }

    /// Whether a request to settle comes from whoever has claimed the payment first.
    pub fn is_buyers(&self, request: &SettleRequest) -> bool {
        self.proof == request.proof || self.proof.is_shown_by(&request.proof)
    }

    /// Frees the claim, and keeps what is known of the payment.
    pub fn give_up(&mut self, now: UnixSeconds) {
        self.claimed_at = now;
        self.state = State::Claimed { ticket: NOBODY, lease_until: now };
    }

    /// Whether this ticket holds the claim, and nothing was sent yet.
    pub fn is_held_by(&self, holder: u64) -> bool {
        matches!(
            self.state,
            State::Claimed { ticket, .. } | State::Owed { ticket, .. } if ticket == holder
        )
    }

    /// The transaction that settled the payment, or is to, if it is known.
    pub fn transaction(self) -> Option<String> {
        match self.state {
            State::Settled(settlement) => Some(settlement.transaction),
            State::Submitted { transaction, .. } => {
                TxId::named(&transaction).map(TxId::into_string)
            }
            State::Claimed { .. }
            | State::Failed { .. }
            | State::Metered { .. }
            | State::Owed { .. } => None,
        }
    }

    /// Until when the record must be kept: as long as the payment could land
    /// or be delivered again. What was never sent costs its sender nothing, so
    /// it is forgotten sooner.
    pub fn keep_until(&self) -> UnixSeconds {
        match &self.state {
            State::Settled(settlement) => self.expires_at.max(self.delivery.open_until(settlement)),
            State::Claimed { lease_until, .. } if self.was_sent => {
                self.expires_at.max(*lease_until)
            }
            // What is only reserved means nothing any more when that is over.
            State::Claimed { ticket: NOBODY, lease_until } => *lease_until,
            State::Claimed { lease_until, .. } => {
                self.expires_at.min(lease_until.plus(UNSENT_SECONDS)).max(*lease_until)
            }
            State::Submitted { .. } | State::Metered { .. } | State::Owed { .. } => FOREVER,
            State::Failed { .. } if self.was_sent => self.expires_at,
            State::Failed { .. } => self.expires_at.min(self.claimed_at.plus(UNSENT_SECONDS)),
        }
    }
}

#[cfg(test)]
mod tests;
