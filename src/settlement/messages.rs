//! What the gate and the facilitator ask of a Settler, and what they are told.
//!
//! These cross a Durable Object binding as JSON. Only this Worker holds the
//! binding; the Settler still verifies a payment again before it settles it.

use serde_json::Value;

use super::hold::{Metered, Unpaid};
use super::journal::TxId;
use super::sales::Sold;
use super::types::{Ending, Proof, Settlement, Wanted};
use crate::amount::AtomicAmount;
use crate::payment::Terms;
use crate::protocol::{ChainId, Reason};
use crate::time::UnixSeconds;
use crate::{json_enum, json_struct};

/// For how long nobody can claim what another signer's Settler was asked to
/// settle, in seconds.
///
/// Too short, and a version of the Worker that still runs with the former
/// signers sells it a second time. Too long, and a buyer whose payment belongs
/// to those again, after a step back, waits before it can be used.
pub const RESERVE_SECONDS: u64 = 120;

/// Asks for a payment to be bound to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The payment's identity.
    pub payment: String,
    /// What it is to buy: method, URL, terms, and the body where there is one.
    pub resource: String,
    /// What release 0.1.0 called the same.
    pub former: Option<String>,
    /// Names the asker, who alone may settle or release. Random.
    pub ticket: u64,
    /// From when on the payment can't land any more.
    pub expires_at: UnixSeconds,
    /// The client's own name for the payment, if it gave one, and where it asks
    /// from: by that it is known again.
    pub proof: Proof,
    /// What a delivery cookie is shown for, which proves that the buyer asks;
    /// `None` for a request that brings the payment.
    pub by_cookie: Option<Wanted>,
    /// With a cookie: another site's page has the browser ask, as far as the browser says.
    pub by_other_site: bool,
    /// Only what was bought at this very address is to be had, and nothing by a redirect.
    pub only_here: bool,
    /// How often what was bought is delivered again.
    pub redeliver_max: u32,
    /// The payment can't be settled any more: say what it has bought, and bind it to nothing.
    pub look_only: bool,
    /// Only with `look_only`, if another signer's Settler is to settle it: for
    /// how many seconds nobody can claim here what is not known here.
    pub reserve_seconds: Option<u64>,
    /// Who asks is told of the settlement, and delivers by itself; `None` for a
    /// gate, which is given the delivery.
    pub told: Option<Told>,
    /// What the claim is for, where it may be that only the chain can say whether
    /// its payer has signed it: that is asked before anything is bound or told.
    pub to_prove: Option<std::rc::Rc<SettleRequest>>,
    /// What the claim is for, if it is settled as soon as the origin has answered:
    /// the chain may be asked about it meanwhile.
    pub to_prepare: Option<std::rc::Rc<SettleRequest>>,
    /// Names who asks for the proof, if it is known: a hash of the address.
    pub asker: Option<String>,
    /// What may come of it that is not charged, where it is sold by use.
    pub unpaid: Option<Unpaid>,
}

json_struct!(ClaimRequest {
    payment,
    resource,
    former,
    ticket,
    expires_at,
    proof = default,
    by_cookie,
    by_other_site = default,
    only_here = default,
    redeliver_max = default,
    look_only,
    reserve_seconds,
    told,
    to_prove,
    to_prepare,
    asker,
    unpaid,
});

/// How often a server is told of the settlement that it has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Once: see [`SettleRequest::once`].
    Once,
    /// Whenever it asks, for as long as it may.
    Always,
}

json_enum!(Told { Once, Always });

impl ClaimRequest {
    /// The same question to a Settler that the payment may have belonged to
    /// before the signers were changed. `reserves`: whether its own Settler is to
    /// settle it, so that nobody may claim it there meanwhile.
    #[must_use]
    pub fn to_other_signer(&self, reserves: bool) -> Self {
        // What only looks is claimed nowhere.
        let seconds = if reserves && !self.look_only { RESERVE_SECONDS } else { 0 };
        Self { look_only: true, reserve_seconds: Some(seconds), to_prepare: None, ..self.clone() }
    }

    /// Whether a resource that a payment is bound to is the one asked for.
    pub fn names(&self, resource: &str) -> bool {
        self.resource == resource || self.former.as_deref() == Some(resource)
    }

    /// Whether the request is by the one that claimed with this.
    pub fn shows(&self, proof: &Proof) -> bool {
        self.by_cookie.is_some() || proof.is_shown_by(&self.proof)
    }

    /// Whether the origin may be asked while another request's lease still
    /// runs, of which a restart has lost sight. A server that has a payment
    /// charged asks none.
    pub fn may_pass_lease(&self) -> bool {
        self.told.is_some() || self.redeliver_max > 0
    }
}

/// What became of a [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimReply {
    /// The payment is the asker's to settle or release.
    Fresh,
    /// The same, but a transaction has shown the payment to anybody and failed,
    /// and whoever asks is not known again: no access grant goes with what it buys.
    Unproven,
    /// It has bought this very resource: deliver it, charge nothing, and report
    /// how the answer ended.
    Deliver {
        /// How it was settled.
        settlement: Settlement,
        /// Whether who asks is known again, and so gets an access grant, too.
        may_grant: bool,
    },
    /// It has bought this very resource, and the server that asks is told so.
    Settled(Settlement),
    /// It has bought this very resource, which who asks can't have again.
    Spent {
        /// The transaction that paid for it.
        transaction: String,
        /// How much it paid, in atomic units.
        amount: Option<AtomicAmount>,
    },
    /// It has bought another resource, or settling it has just failed.
    Refused(Reason),
    /// It was sent, and the chain has not said what became of it.
    Pending {
        /// The transaction; `None` where a facilitator has the payment and has
        /// not said what it made of it.
        transaction: Option<TxId>,
    },
    /// Another request for the same resource holds it and is not done yet.
    Busy,
    /// The client gave this name to another payment.
    IdentifierTaken,
    /// So much went unpaid today that no more is sold now: see [`Unpaid`].
    TooMuch,
    /// So many are first that who asks couldn't be told in time what becomes of the
    /// payment. Nobody has claimed it.
    Crowded {
        /// In how many seconds that may be otherwise.
        seconds: u64,
    },
}

json_enum!(ClaimReply {
    Fresh,
    Unproven,
    Deliver { settlement, may_grant },
    Settled(settlement),
    Spent { transaction, amount },
    Refused(reason),
    Pending { transaction },
    Busy,
    IdentifierTaken,
    TooMuch,
    Crowded { seconds },
});

impl ClaimReply {
    /// To a request that only looks: the payment has bought nothing here. What
    /// release 0.1.0 says, too.
    pub const NOTHING_BOUGHT: Self = Self::Refused(Reason::EvmValidBefore);

    /// Whether the payment is the asker's now.
    pub const fn is_claimed(&self) -> bool {
        matches!(self, Self::Fresh | Self::Unproven)
    }
}

/// Asks for a claimed payment to be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleRequest {
    /// The payment's identity.
    pub payment: String,
    /// The ticket it was claimed with.
    pub ticket: u64,
    /// What it buys.
    pub resource: String,
    /// What its claim showed.
    pub proof: Proof,
    /// The network to settle on.
    pub network: ChainId,
    /// What the payment must be.
    pub terms: Terms,
    /// The payment, as the client sent it, without what nobody reads.
    pub payload: std::rc::Rc<Value>,
    /// For how long the resource may be delivered again, in seconds.
    pub redeliver_seconds: u64,
    /// And how often.
    pub redeliver_max: u32,
    /// A server asks that does not name its request: it is told once of the
    /// settlement. This request is, or if it is gone the first that asks again.
    pub once: bool,
    /// On whose account the fees go, if somebody else's server asks.
    pub account: Option<String>,
    /// What a facilitator is asked to settle it with, where the network has
    /// one.
    pub remote: Option<Value>,
    /// How much of it is charged, if not all, in atomic units.
    pub charge: Option<AtomicAmount>,
    /// Its goods go out before it is settled: until then it is owed.
    pub metered: Option<Metered>,
    /// As its claim says.
    pub unpaid: Option<Unpaid>,
    /// What it sells, for the ledger.
    pub sold: Option<Sold>,
}

json_struct!(SettleRequest {
    payment,
    ticket,
    resource,
    proof = default,
    network,
    terms,
    payload,
    redeliver_seconds,
    redeliver_max = default,
    once,
    account,
    remote,
    charge,
    metered,
    unpaid,
    sold,
});

impl SettleRequest {
    /// The claim to go with it, for a payment that can't land any more from
    /// then on.
    pub fn claim(&self, expires_at: UnixSeconds) -> ClaimRequest {
        ClaimRequest {
            payment: self.payment.clone(),
            resource: self.resource.clone(),
            former: None,
            ticket: self.ticket,
            expires_at,
            proof: self.proof.clone(),
            by_cookie: None,
            by_other_site: false,
            only_here: false,
            redeliver_max: self.redeliver_max,
            look_only: false,
            reserve_seconds: None,
            told: self.account.as_ref().map(|_| if self.once { Told::Once } else { Told::Always }),
            to_prove: self.terms.takes_wallets().then(|| std::rc::Rc::new(self.clone())),
            to_prepare: None,
            asker: None,
            unpaid: None,
        }
    }
}

/// Gives a claim up that was never settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// The payment's identity.
    pub payment: String,
    /// The ticket it was claimed with.
    pub ticket: u64,
}

json_struct!(ReleaseRequest { payment, ticket });

/// Keeps a claim, or the lease of an answer that is underway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewRequest {
    /// The payment's identity.
    pub payment: String,
    /// The ticket of the request that is being answered.
    pub ticket: u64,
    /// For how long from now, in seconds.
    pub seconds: u64,
    /// What was used so far of what is sold by use, in atomic units.
    pub used: Option<AtomicAmount>,
}

json_struct!(RenewRequest { payment, ticket, seconds, used });

/// Says how the answer to a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The payment's identity.
    pub payment: String,
    /// The ticket of the request that was answered.
    pub ticket: u64,
    /// How the answer ended.
    pub ending: Ending,
    /// The resource that the origin has sent the request on to, if the payment is good there.
    pub moved_to: Option<String>,
}

json_struct!(DeliveryReport { payment, ticket, ending, moved_to });
