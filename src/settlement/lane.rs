//! A way for payments to the chain, or to somebody who brings them there.

use std::pin::Pin;
use std::rc::Rc;

use super::journal::Entries;
use super::{ClaimRequest, Outcome, SettleRequest, StoreError, Verdict};
use crate::payment::VerifiedPayment;
use crate::time::UnixSeconds;

/// What a lane does for as long as it takes.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A payment that is to be settled, and the request that asks for it.
pub struct Job {
    /// The request. In a box, as its payment: many jobs wait, in the hands of one
    /// future after the other.
    pub request: Box<SettleRequest>,
    /// Its payment.
    pub payment: Box<VerifiedPayment>,
    /// When the payment was verified.
    pub verified_at: UnixSeconds,
    /// Until when somebody waits for the outcome.
    pub until: UnixSeconds,
}

/// What came of giving a lane a job.
pub enum Attempt {
    /// This became of it.
    Done(Outcome),
    /// Nothing of it was written or sent: the next lane may try.
    Untouched(Box<Job>),
}

/// What a lane has to do at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many payments wait to be sent.
    pub waiting: usize,
    /// How many transactions are in the air.
    pub in_air: usize,
    /// The most that may be spent on fees in a day, in wei or lamports.
    pub daily_spend: Option<u128>,
}

/// One way for the payments of a Settler. It writes down in the journal what
/// it sends, before it does.
pub trait Lane {
    /// Whether a payment is of the kind that goes this way.
    fn takes(&self, payment: &VerifiedPayment) -> bool;

    /// Whether a payment would go through now. Writes and sends nothing.
    fn verify<'a>(
        &'a self,
        request: &'a SettleRequest,
        payment: &'a VerifiedPayment,
    ) -> Task<'a, Result<Verdict, StoreError>>;

    /// Settles a payment, or says how far it got.
    fn settle(self: Rc<Self>, job: Job) -> Task<'static, Result<Attempt, StoreError>>;

    /// Whether it may do anything, told by [`prepare`](Self::prepare) of a payment that
    /// is claimed with this ticket.
    fn may_prepare(&self, _ticket: u64) -> bool {
        true
    }

    /// Is told of a payment that is about to be claimed and will be settled soon: what
    /// the chain says of it may be asked meanwhile. Writes and sends nothing.
    fn prepare(self: Rc<Self>, _order: &SettleRequest, _payment: VerifiedPayment) {}

    /// For whoever claims a payment now, and couldn't be told in time what becomes of
    /// it: in how many seconds that may be otherwise.
    fn too_late_by(&self, _request: &ClaimRequest) -> Option<u64> {
        None
    }

    /// Takes up its own of what a crash left in the journal.
    fn resume(self: Rc<Self>, open: &mut Entries);

    /// Looks at the relayer's balance and at what a payment costs.
    fn look(self: Rc<Self>) -> Task<'static, ()>;

    /// What it has to do.
    fn load(&self) -> Load;
}
