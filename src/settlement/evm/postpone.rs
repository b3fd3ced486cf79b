//! Payments that are good, and can't be sent yet.

use std::rc::Rc;
use std::time::Duration;

use super::preview::Preview;
use super::{EvmLane, Waiting};
use crate::evm;
use crate::protocol::Reason;
use crate::settlement::Host;

/// How long after a block's time it may still take transactions, in seconds.
const BLOCK_SECONDS: u64 = 2;

/// How long a payment waits that is too new for the latest block, before it is
/// looked at again.
const BLOCK_PAUSE: Duration = Duration::from_millis(500);

impl<H: Host> EvmLane<H> {
    /// Whether a payment must wait for a later block: the token would not take
    /// it now, or perhaps not in the block that is being made.
    pub(super) fn is_too_new(
        &self,
        payment: &evm::VerifiedPayment,
        preview: &Preview,
        refusal: Option<Reason>,
    ) -> bool {
        // A block that is later than `validAfter` has only later ones after it.
        let is_new = preview.time.is_some_and(|time| payment.valid_after() >= time);
        is_new
            && match refusal {
                None => self.shared.host.now() < payment.valid_after().plus(BLOCK_SECONDS),
                Some(reason) => payment.is_simulations(reason),
            }
    }

    /// Whether a payment's permit may be good once those before it have landed
    /// that its payer has in the air.
    pub(super) fn is_behind_others(
        &self,
        payment: &evm::VerifiedPayment,
        refusal: Reason,
        moment: u64,
    ) -> bool {
        payment.lacks_permit(refusal) && self.had_in_air(payment, moment) > 0
    }

    /// How much of a payment's token its payer has in the air, or had at a moment.
    fn had_in_air(&self, payment: &evm::VerifiedPayment, moment: u64) -> u128 {
        let (payer, token) = (payment.payer(), payment.asset().to_word());
        let ended = self.shared.commitments.ended_since(moment, &payer, &token);
        self.shared.commitments.committed_by(&payer, &token).saturating_add(ended)
    }

    /// Whether a balance pays for a payment only if what the payer had in the
    /// air when it was asked for does not land.
    pub(super) fn is_short(
        &self,
        payment: &evm::VerifiedPayment,
        balance: Option<evm::Uint256>,
        moment: u64,
    ) -> bool {
        let in_air = self.had_in_air(payment, moment);
        let needed = in_air.saturating_add(payment.value().0);
        // A permit that comes with its payment is for that payment alone.
        let waits = payment.is_sponsored() && in_air > 0;
        waits || balance.is_none_or(|balance| balance < evm::Uint256::from(needed))
    }

    /// Puts a payment back into the queue a little later, and holds nobody up.
    /// One whose request is over by then is dropped there.
    pub(super) fn wait_for_a_block(self: &Rc<Self>, waiting: Waiting) {
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            lane.shared.host.sleep(BLOCK_PAUSE).await;
            if lane.goes_alone(&waiting.payment) {
                lane.push_alone(waiting);
            } else {
                lane.queue.borrow_mut().push(waiting);
            }
            lane.start_pumps();
        });
    }

    /// Puts a payment back until what its payer has in the air has landed.
    pub(super) fn wait_for_money(self: &Rc<Self>, waiting: Waiting) {
        let payer = waiting.payment.from();
        self.short.borrow_mut().insert(payer);
        if self.goes_alone(&waiting.payment) {
            self.push_alone(waiting);
            self.start_alone_pump();
        } else {
            self.queue.borrow_mut().push(waiting);
        }
    }
}
