//! What was used and is not charged, because it is worth less than its fee, or
//! because we did not collect it while it could be.
//!
//! The buyer has it for nothing, so there is no more of it in a day (UTC) than the
//! seller risks with this payer, and on this route. Accounts cost nothing, so a few
//! could use up a route's day for all others: whoever has paid lately goes on, for
//! as much as that was. It is on disk: a restart forgives nothing.

use super::shared::Shared;
use super::{Host, SalesQuery, SettleRequest, Store, StoreError, Unpaid};
use crate::time::UnixSeconds;

/// For how long a sale speaks for its payer, in seconds, and how many of the latest
/// ones are looked at.
const PAID_SECONDS: u64 = 7 * 86_400;
const PAID_SALES: u32 = 50;

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
                || of_payer < self.paid_by(bounds)?);
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
                && (of_all <= bounds.route_max.0 || of_payer <= self.paid_by(bounds)?);
        // The origin has worked for it, given or not.
        self.store.set_account_spent_on(&payer, today, of_payer)?;
        if is_given {
            self.store.set_account_spent_on(&all, today, of_all)?;
        }
        Ok(is_given)
    }

    /// How much of a token its payer has paid lately, in atomic units.
    fn paid_by(&self, bounds: &Unpaid) -> Result<u128, StoreError> {
        let query = SalesQuery {
            from: Some(UnixSeconds(self.host.now().0.saturating_sub(PAID_SECONDS))),
            payer: Some(bounds.payer.clone()),
            limit: PAID_SALES,
            ..SalesQuery::default()
        };
        let sales = self.store.sales(&query)?;
        let paid = sales.iter().filter(|sale| sale.asset.as_deref() == Some(&bounds.asset));
        Ok(paid.fold(0, |sum, sale| sum.saturating_add(sale.amount.0)))
    }
}
