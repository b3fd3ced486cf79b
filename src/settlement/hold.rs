//! What a gate asks of a Settler for what is sold by use: to hold a payment
//! before the goods go out, and to charge what was used when they have.

use crate::amount::AtomicAmount;
use crate::protocol::Reason;
use crate::{json_enum, json_struct};

/// What a seller risks with a payment that is settled after the goods went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    /// The pattern of the route that sells them.
    pub route: String,
    /// How much one payer may have unsettled there, in atomic units.
    pub payer_max: AtomicAmount,
    /// How much all payers together may.
    pub route_max: AtomicAmount,
}

json_struct!(Metered { route, payer_max, route_max });

/// How much may go unpaid in a day of what is sold by use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpaid {
    /// Who pays.
    pub payer: String,
    /// The pattern of the route.
    pub route: String,
    /// The token's address or mint.
    pub asset: String,
    /// How much of one payer's, in atomic units.
    pub payer_max: AtomicAmount,
    /// How much of all payers' together.
    pub route_max: AtomicAmount,
    /// Whether the goods go out before anybody knows what they come to.
    pub is_metered: bool,
}

json_struct!(Unpaid { payer, route, asset, payer_max, route_max, is_metered });

/// What became of the request to hold a claimed payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReply {
    /// It is held: the goods may go out.
    Held,
    /// It is no good, and the claim is free again.
    Refused(Reason),
    /// So much is unsettled that no more may go out now. The claim is free again.
    TooMuch,
    /// Nothing is known of it. The claim is free again.
    Unavailable,
}

json_enum!(HoldReply { Held, Refused(reason), TooMuch, Unavailable });

/// Says how much was used of what a held payment pays for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseReport {
    /// The payment's identity.
    pub payment: String,
    /// The ticket that holds it.
    pub ticket: u64,
    /// What is to be charged, in atomic units.
    pub used: AtomicAmount,
}

json_struct!(UseReport { payment, ticket, used });
