//! What was used and is not charged, because it is worth less than its fee, or
//! because we did not collect it while it could be.
//!
//! The buyer has it for nothing, so there is no more of it in a day (UTC) than the
//! seller risks with this payer, and on this route. Accounts cost nothing, so a few
//! could use up a route's day for all others: whoever has paid there lately goes on,
//! for as much as that was, and has it once: what they had for nothing since counts
//! against it. It is on disk: a restart forgives nothing.

use super::shared::Shared;
use super::store::SUM_DAYS;
use super::{Host, Outcome, SalesQuery, SettleRequest, Store, StoreError, Unpaid};
use crate::time::UnixSeconds;

impl Unpaid {
    /// The names of its two sums: no client of the facilitator has such a one.
    fn sums(&self) -> [String; 2] {
        let of_all = format!("\nunpaid {} {}", self.route, self.asset);
        [format!("{of_all} {}", self.payer), of_all]
    }
}

impl<H: Host> Shared<H> {
    /// Whether the origin may work for a payer who may turn out not to be charged.
    pub(super) fn may_go_unpaid(&self, bounds: Option<&Unpaid>) -> Result<bool, StoreError> {
        let Some(bounds) = bounds else { return Ok(true) };
        let (today, [payer, all]) = (self.today(), bounds.sums());
        let of_payer = self.store.account_spent_on(&payer, today)?;
        let may = of_payer < bounds.payer_max.0
            // What is told may still be worth its fee, and is given only if it is.
            && (!bounds.is_metered
                || self.store.account_spent_on(&all, today)? < bounds.route_max.0
                || self.has_paid_for(bounds, of_payer.saturating_add(1))?);
        if !may {
            self.log_refusal(&format!(
                "{} has to wait: too much that was used today was not charged (unsettled_max)",
                bounds.payer
            ));
        }
        Ok(may)
    }

    /// Counts what an order's payer has used as unpaid; whether it may be given for
    /// nothing. What went out already is.
    pub(super) fn note_unpaid(&self, request: &SettleRequest) -> Result<bool, StoreError> {
        // What gates of release 0.1.0 sell has a price, and is charged it.
        let Some(bounds) = &request.unpaid else { return Ok(request.metered.is_some()) };
        let (today, [payer, all]) = (self.today(), bounds.sums());
        let sum = |name| -> Result<u128, StoreError> {
            let sum = self.store.account_spent_on(name, today)?;
            Ok(sum.saturating_add(request.at_stake().0))
        };
        let (of_payer, of_all) = (sum(&payer)?, sum(&all)?);
        let is_given = request.metered.is_some()
            || of_payer <= bounds.payer_max.0
                && (of_all <= bounds.route_max.0 || self.has_paid_for(bounds, of_payer)?);
        // The origin has worked for it, given or not.
        self.store.set_account_spent_on(&payer, today, of_payer)?;
        if is_given {
            self.store.set_account_spent_on(&all, today, of_all)?;
        }
        Ok(is_given)
    }

    /// Charges nothing for what an order's payer has used, and counts that as unpaid: both
    /// or neither.
    pub(super) fn write_off_unpaid(
        &self,
        request: &SettleRequest,
        payer: &str,
    ) -> Result<Outcome, StoreError> {
        self.store.as_one(|| {
            self.note_unpaid(request)?;
            self.write_off(&request.payment, payer)
        })
    }

    /// Whether a payer has paid for what is had for nothing: for so much of today's,
    /// and for that of the days before. A sale speaks for its payer on its own day and
    /// on those after it.
    fn has_paid_for(&self, bounds: &Unpaid, of_today: u128) -> Result<bool, StoreError> {
        let (today, [payer, _]) = (self.today(), bounds.sums());
        let first = today.saturating_sub(SUM_DAYS - 1);
        let mut had = of_today;
        for day in first..today {
            had = had.saturating_add(self.store.account_spent_on(&payer, day)?);
        }
        let query = SalesQuery {
            from: Some(UnixSeconds::of_day(first)),
            route: Some(bounds.route.clone()),
            payer: Some(bounds.payer.clone()),
            ..SalesQuery::default()
        };
        self.has_paid(query, |sale| {
            if sale.asset.as_deref() == Some(&bounds.asset) {
                had = had.saturating_sub(sale.amount.0);
            }
            had == 0
        })
    }
}
