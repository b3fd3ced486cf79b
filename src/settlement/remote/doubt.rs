//! When it is over with a payment of which the facilitator did not tell for certain.

use super::RemoteLane;
use super::look::Observation;
use super::patience::end_of;
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::settlement::closing::Resolution;
use crate::settlement::journal::FacilitatorEntry;
use crate::settlement::{Host, StoreError};

/// For how long after its end a payment may still turn out to be settled, in
/// seconds: clocks differ, and facilitators may be slow to tell.
const END_MARGIN: u64 = 120;

/// For how long after its end it is asked what became of a payment, in seconds,
/// where nobody tells: as in the lane of our own.
const GIVE_UP_SECONDS: u64 = 86_400;

impl<H: Host> RemoteLane<H> {
    /// What became of a payment of which the facilitator did not tell for certain;
    /// `None` if it may still land. `says_no`: whether it said at least that it didn't.
    pub(super) async fn look_for_end(
        &self,
        entry: &mut FacilitatorEntry,
        id: &str,
        payment: &VerifiedPayment,
        says_no: bool,
    ) -> Result<Option<Resolution>, StoreError> {
        let now = self.shared.host.now();
        let end = end_of(entry);
        let is_over = |margin| now > end.plus(margin);
        let observed = self.look(entry, payment).await?;
        // What is held against a payer is not that the facilitator was away.
        let is_payers_fault = says_no || matches!(observed, Observation::Elsewhere);
        let is_ended = match observed {
            Observation::Paid(resolution) => return Ok(Some(resolution)),
            Observation::Elsewhere => Some(payment.used()),
            // It can't land any more, and didn't.
            Observation::Unused { for_good: true }
                if is_over(END_MARGIN) && end == entry.sent.expires_at =>
            {
                Some(payment.too_late())
            }
            // It could still land, and hasn't for a day.
            Observation::Unused { .. } if is_over(END_MARGIN) && end != entry.sent.expires_at => {
                None
            }
            // Nobody can tell, and who could says no.
            Observation::Silent
                if is_over(END_MARGIN) && says_no && self.nodes_of(payment).is_none() =>
            {
                None
            }
            // Nobody tells.
            _ if is_over(GIVE_UP_SECONDS) => None,
            _ => return Ok(None),
        };
        if is_payers_fault {
            self.note_failure(payment);
        }
        let reason = is_ended.unwrap_or_else(|| self.ends_unclear(id, payment));
        Ok(Some(Resolution::NotPaid(reason)))
    }

    pub(super) fn note_failure(&self, payment: &VerifiedPayment) {
        self.shared.throttle.note_failure(&payment.payer(), self.shared.host.now());
    }

    /// The end of a payment of which nobody knows whether it was made. Only the
    /// seller can find out.
    fn ends_unclear(&self, id: &str, payment: &VerifiedPayment) -> Reason {
        let payer = payment.payer();
        self.log(&format!(
            "{id} of {payer} ended unclear: ask the facilitator whether it has settled it"
        ));
        Reason::UnexpectedSettleError
    }
}
