//! What was used and is not charged, because it is worth less than its fee.
//!
//! The buyer has it for nothing, so there is no more of it in a day (UTC) than the
//! seller risks with this payer, and on this route. It is on disk: a restart
//! forgives nothing.

use super::shared::Shared;
use super::{Host, SettleRequest, Store, StoreError, Unpaid};

impl Unpaid {
    /// The names of its two sums: no client of the facilitator has such a one.
    fn sums(&self) -> [String; 2] {
        let of_all = format!("\nunpaid {}", self.route);
        [format!("{of_all} {}", self.payer), of_all]
    }
}

impl<H: Host> Shared<H> {
    /// Whether the origin may work for a payer who may turn out not to be charged.
    pub(super) fn may_go_unpaid(&self, bounds: Option<&Unpaid>) -> Result<bool, StoreError> {
        let Some(bounds) = bounds else { return Ok(true) };
        let (today, [of_payer, of_all]) = (self.today(), bounds.sums());
        let is_over = self.store.account_spent_on(&of_payer, today)? >= bounds.payer_max.0
            // What is told may still be worth its fee, and is given only if it is.
            || bounds.is_metered
                && self.store.account_spent_on(&of_all, today)? >= bounds.route_max.0;
        if is_over {
            self.log_refusal(&format!(
                "{} has to wait: too much that was used today was worth less than its fee \
                 (unsettled_max)",
                bounds.payer
            ));
        }
        Ok(!is_over)
    }

    /// Counts what an order's payer has used as unpaid; whether it may be given for
    /// nothing. What went out already is.
    pub(super) fn note_unpaid(&self, request: &SettleRequest) -> Result<bool, StoreError> {
        // Gates of earlier versions set no bounds.
        let Some(bounds) = &request.unpaid else { return Ok(request.metered.is_some()) };
        let (today, [payer, all]) = (self.today(), bounds.sums());
        let sum = |name| -> Result<u128, StoreError> {
            let sum = self.store.account_spent_on(name, today)?;
            Ok(sum.saturating_add(request.at_stake().0))
        };
        let (of_payer, of_all) = (sum(&payer)?, sum(&all)?);
        let is_given = request.metered.is_some()
            || of_payer <= bounds.payer_max.0 && of_all <= bounds.route_max.0;
        // The origin has worked for it, given or not.
        self.store.set_account_spent_on(&payer, today, of_payer)?;
        if is_given {
            self.store.set_account_spent_on(&all, today, of_all)?;
        }
        Ok(is_given)
    }
}
