//! Who comes into the queue, and waits there.

use std::ops::ControlFlow;
use std::rc::Rc;

use futures_channel::oneshot;

use super::EvmLane;
use super::queue::{Waiting, done};
use crate::evm::{self, Address};
use crate::protocol::Reason;
use crate::settlement::host::within;
use crate::settlement::lane::{Attempt, Job};
use crate::settlement::shared::JOIN_LIMIT;
use crate::settlement::{Host, Outcome, StoreError};

/// How many payments may wait. Beyond it buyers are asked to come back later.
///
/// What a relayer sends in the 25 seconds for which they wait is 160 a second where
/// blocks come every two seconds; what one that waits holds is measured by
/// `npm run bench -- --only memory`.
const QUEUE_MAX: usize = 2_048;

/// How many of them may be such that go alone: more than leave one by one while their
/// buyers wait, and few enough to leave room for all others.
const LONE_QUEUE_MAX: usize = QUEUE_MAX / 4;

/// How many of those one payer with code may have: as many as leave in time where blocks
/// come soon, one after the other.
const LONE_PAYER_MAX: usize = 16;

/// When those are asked to come again who find no place, in seconds: by then all that
/// wait now have left.
pub(super) const NO_PLACE_PAUSE: u64 = JOIN_LIMIT.as_secs();

/// How many payments of one payer may wait or be in the air.
const PAYER_MAX: usize = 64;

/// A payment in the queue, as whoever waits for it knows it.
pub(super) struct InLine {
    id: String,
    ticket: u64,
    payer: Address,
    outcome: oneshot::Receiver<Result<Attempt, StoreError>>,
}

impl<H: Host> EvmLane<H> {
    /// Whether there is no room for one more payment of this payer.
    fn is_full_for(&self, payment: &evm::VerifiedPayment) -> bool {
        let payer = payment.from();
        let of_payer = self.queue.borrow().len_of(payer)
            + self.alone.borrow().len_of(payer)
            + self.again_of(payer)
            + self.shared.commitments.under_way(&payment.payer());
        of_payer >= PAYER_MAX
    }

    /// Where there is no place for one more payment of this payer, one that goes alone or
    /// not, and has code or not: in how many seconds there may be.
    pub(super) fn until_there_is_a_place(
        &self,
        payer: Address,
        goes_alone: bool,
        has_code: bool,
    ) -> Option<u64> {
        let is_full =
            self.waiting() >= QUEUE_MAX || goes_alone && self.is_full_of_loners(payer, has_code);
        is_full.then_some(NO_PLACE_PAUSE)
    }

    /// Whether there is no place for one more payment of this payer that goes alone.
    pub(super) fn is_full_of_loners(&self, payer: Address, has_code: bool) -> bool {
        let alone = self.alone.borrow();
        alone.len() >= LONE_QUEUE_MAX || has_code && alone.len_of(payer) >= LONE_PAYER_MAX
    }

    /// How many payments of a payer are to go out again.
    pub(super) fn again_of(&self, payer: Address) -> usize {
        let again = self.again.borrow();
        again.iter().flatten().filter(|waiting| waiting.payment.from() == payer).count()
    }

    /// How many payments wait.
    pub(super) fn waiting(&self) -> usize {
        let again: usize = self.again.borrow().iter().map(Vec::len).sum();
        self.queue.borrow().len() + self.alone.borrow().len() + again
    }

    /// Puts a payment into the queue, if there is room for it.
    fn line_up(self: &Rc<Self>, job: Job) -> Result<ControlFlow<Attempt, InLine>, StoreError> {
        let Some(payment) = job.payment.as_evm().cloned() else {
            let refused = self.shared.refuse(&job.request, Reason::InvalidNetwork)?;
            return Ok(ControlFlow::Break(Attempt::Done(refused)));
        };
        let (id, ticket) = (job.request.payment.clone(), job.request.ticket);
        let payer = payment.from();
        let has_key = self.key.key().is_some();
        if !has_key || self.is_full_for(&payment) {
            if has_key {
                self.log_refusal(&format!(
                    "the queue is full for {payer}: asked to come back later"
                ));
            }
            self.shared.release(&id, ticket)?;
            return Ok(ControlFlow::Break(Attempt::Done(Outcome::Unavailable)));
        }
        // For what was delivered nobody waits: it is owed. All it needs is a place.
        let (goes_alone, has_code) = (self.goes_alone(&payment), self.may_have_code(&payment));
        let late = match &job.request.metered {
            Some(_) => self.until_there_is_a_place(payer, goes_alone, has_code),
            None => self.too_late_in_line(payer, goes_alone, has_code),
        };
        if let Some(seconds) = late {
            self.log_refusal(&format!(
                "so many are before {payer} that the end couldn't be told in time"
            ));
            self.shared.release(&id, ticket)?;
            return Ok(ControlFlow::Break(Attempt::Done(Outcome::Crowded { seconds })));
        }
        let (sender, outcome) = oneshot::channel();
        self.enqueue(Waiting { job, payment, done: sender, was_spoiled: false });
        Ok(ControlFlow::Continue(InLine { id, ticket, payer, outcome }))
    }

    /// Puts a payment into the queue and waits for what becomes of it. A crowd of
    /// these waits: each holds no more than by what its payment is found again.
    pub(super) async fn wait_for(self: Rc<Self>, job: Job) -> Result<Attempt, StoreError> {
        let InLine { id, ticket, payer, outcome } = match self.line_up(job)? {
            ControlFlow::Continue(in_line) => in_line,
            ControlFlow::Break(attempt) => return Ok(attempt),
        };
        if let Some(Ok(outcome)) = within(&self.shared.host, JOIN_LIMIT, outcome).await {
            return outcome;
        }
        // In the air: whoever asks again joins it. Or still on the ground:
        // then it stays there, because the buyer is told so.
        self.take_out(payer, ticket);
        // It may have kept its payer's others back.
        self.start_pumps();
        self.shared.release(&id, ticket)?;
        done(self.standing_of(&id))
    }
}
