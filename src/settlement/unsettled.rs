//! What payers have had, or are getting, and have not paid for yet.
//!
//! Between the first byte of what is sold by use and its settlement the payer
//! could empty the account. So what is at stake is counted from before the first
//! byte: by payer, and by route. It lives in memory, and is made again from the
//! tables when the object comes to life.

use std::cell::RefCell;

use super::{SettleRequest, TokenKey};
use crate::table::Table;
use crate::time::UnixSeconds;

/// What is at stake, by the payments' identities.
#[derive(Default)]
pub(super) struct Unsettled {
    stakes: RefCell<Table<String, Stake>>,
    /// What is owed and is being settled at this moment, and since when.
    settling: RefCell<Table<String, UnixSeconds>>,
}

/// How long settling what is owed takes at most, in seconds, if the request that
/// had it settled has not died with it.
const SETTLING_SECONDS: u64 = 120;

/// What one payment leaves at stake.
#[derive(Clone, Debug)]
struct Stake {
    /// Who holds it.
    ticket: u64,
    payer: String,
    route: String,
    token: TokenKey,
    /// In atomic units of the token.
    amount: u128,
    /// What is set aside for settling it, in wei: 0 for as much as may be, where
    /// it was asked for before a restart.
    cost: Option<u128>,
}

impl Unsettled {
    /// Counts a payer's payment as unsettled.
    pub(super) fn note(&self, payer: &str, request: &SettleRequest) {
        let Some(metered) = &request.metered else { return };
        let mut stakes = self.stakes.borrow_mut();
        let stake = Stake {
            cost: stakes.get(&request.payment).and_then(|known| known.cost),
            ticket: request.ticket,
            payer: payer.to_owned(),
            route: metered.route.clone(),
            token: request.terms.token_key(),
            amount: request.at_stake().0,
        };
        stakes.insert(request.payment.clone(), stake);
    }

    /// Notes what settling a payment may cost, in wei; 0 if that is not known any
    /// more. Fees are set aside for it from now on.
    pub(super) fn note_cost(&self, payment: &str, cost: u128) {
        if let Some(stake) = self.stakes.borrow_mut().get_mut(payment) {
            stake.cost = Some(cost.max(stake.cost.unwrap_or(0)));
        }
    }

    /// Sets no fees aside for a payment any more: nothing is sent for it soon.
    pub(super) fn set_nothing_aside(&self, payment: &str) {
        if let Some(stake) = self.stakes.borrow_mut().get_mut(payment) {
            stake.cost = None;
        }
    }

    /// What settling the payments may cost that are still to be sent, besides one,
    /// in wei. `each`: the most that one may cost of which that is not known.
    pub(super) fn set_aside(
        &self,
        besides: &str,
        each: u128,
        is_under_way: impl Fn(&str) -> bool,
    ) -> u128 {
        let stakes = self.stakes.borrow();
        // What is lost is not sent any more.
        let others =
            stakes.iter().filter(|(id, it)| *id != besides && it.amount > 0 && !is_under_way(id));
        let costs = others.filter_map(|(_, it)| it.cost);
        costs.map(|cost| if cost == 0 { each } else { cost }).fold(0, u128::saturating_add)
    }

    /// Counts a payment as lost: its payer owes it still, and nobody else has to
    /// wait for it.
    pub(super) fn lose(&self, payment: &str) {
        if let Some(stake) = self.stakes.borrow_mut().get_mut(payment) {
            stake.amount = 0;
        }
    }

    /// Counts a payment as unsettled no more.
    pub(super) fn end(&self, payment: &str) {
        self.stakes.borrow_mut().remove(payment);
    }

    /// The same for one that came to nothing, if no other ticket holds it now.
    pub(super) fn end_hold(&self, payment: &str, ticket: u64) {
        let mut stakes = self.stakes.borrow_mut();
        stakes.retain(|id, it| *id != payment || it.ticket != ticket);
    }

    /// Whether a payer's payment can be held besides what is unsettled.
    pub(super) fn has_room(&self, payer: &str, request: &SettleRequest) -> bool {
        let Some(it) = &request.metered else { return false };
        let (amount, token) = (request.at_stake(), request.terms.token_key());
        let stakes = self.stakes.borrow();
        let on_route =
            stakes.values().filter(|stake| stake.route == it.route && stake.token == token);
        let (mut of_payer, mut of_all) = (amount.0, amount.0);
        for stake in on_route {
            of_all = of_all.saturating_add(stake.amount);
            if stake.payer == payer {
                of_payer = of_payer.saturating_add(stake.amount);
            }
        }
        of_payer <= it.payer_max.0 && of_all <= it.route_max.0
    }

    /// How much of a token a payer has promised by what is not under way on the
    /// chain, in atomic units.
    pub(super) fn promised_by(
        &self,
        payer: &str,
        token: &TokenKey,
        is_under_way: impl Fn(&str) -> bool,
    ) -> u128 {
        let stakes = self.stakes.borrow();
        let own = stakes
            .iter()
            .filter(|(id, it)| it.payer == payer && it.token == *token && !is_under_way(id));
        own.fold(0, |sum, (_, stake)| sum.saturating_add(stake.amount))
    }

    /// A payer's payments.
    pub(super) fn of(&self, payer: &str) -> Vec<String> {
        let stakes = self.stakes.borrow();
        stakes.iter().filter(|(_, it)| it.payer == payer).map(|(id, _)| id.clone()).collect()
    }

    /// Whether nobody is settling a payment yet: then the asker is.
    pub(super) fn begin_settling(&self, payment: &str, now: UnixSeconds) -> bool {
        let mut settling = self.settling.borrow_mut();
        settling.retain(|_, since| now.since(*since) < SETTLING_SECONDS);
        !settling.contains_key(payment) && settling.insert(payment.to_owned(), now).is_none()
    }

    /// Whether somebody is settling a payment.
    pub(super) fn is_settling(&self, payment: &str) -> bool {
        self.settling.borrow().contains_key(payment)
    }

    /// A payment is being settled no more.
    pub(super) fn end_settling(&self, payment: &str) {
        self.settling.borrow_mut().remove(payment);
    }

    /// Whether nothing is unsettled.
    pub(super) fn is_empty(&self) -> bool {
        self.stakes.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: TokenKey = [1; 32];

    fn stake(payer: &str, amount: u128, cost: Option<u128>) -> Stake {
        let (payer, route) = (payer.to_owned(), "/r".to_owned());
        Stake { ticket: 1, payer, route, token: TOKEN, amount, cost }
    }

    fn unsettled<const N: usize>(stakes: [(&str, Stake); N]) -> Unsettled {
        let it = Unsettled::default();
        for (id, stake) in stakes {
            it.stakes.borrow_mut().insert(id.to_owned(), stake);
        }
        it
    }

    #[test]
    fn fees_are_set_aside_for_what_is_still_to_be_sent() {
        let it = unsettled([
            ("known", stake("a", 5, Some(7))),
            ("not known", stake("a", 5, Some(0))),
            ("lost", stake("b", 0, Some(1_000))),
            ("under way", stake("b", 5, Some(10_000))),
            ("nothing is sent for it soon", stake("b", 5, None)),
        ]);
        let set_aside = |besides| it.set_aside(besides, 100, |id| id == "under way");
        assert_eq!([set_aside("another"), set_aside("known")], [107, 100]);
    }

    #[test]
    fn a_payer_has_promised_what_is_not_under_way_of_one_token() {
        let it = unsettled([
            ("one", stake("a", 5, None)),
            ("two", stake("a", 6, None)),
            ("other token", Stake { token: [2; 32], ..stake("a", 70, None) }),
            ("other payer", stake("b", 800, None)),
            ("under way", stake("a", 9_000, None)),
        ]);
        assert_eq!(it.promised_by("a", &TOKEN, |id| id == "under way"), 11);
    }

    #[test]
    fn a_hold_that_came_to_nothing_ends_no_other() {
        let ids = |it: &Unsettled| [it.of("a"), it.of("b")].concat();
        let it = unsettled([("one", stake("a", 5, None)), ("two", stake("b", 5, None))]);
        it.end_hold("one", 2);
        assert_eq!(ids(&it), ["one", "two"]);
        it.end_hold("one", 1);
        assert_eq!(ids(&it), ["two"]);
        assert!(!it.is_empty());
        it.end("two");
        assert!(it.is_empty());
    }

    #[test]
    fn one_request_settles_what_is_owed_and_not_for_ever() {
        let (it, now) = (Unsettled::default(), UnixSeconds(1_000));
        assert!(!it.is_settling("x"));
        assert!(it.begin_settling("x", now) && it.is_settling("x"));
        assert!(!it.begin_settling("x", now) && it.begin_settling("y", now));
        assert!(!it.begin_settling("x", now.plus(SETTLING_SECONDS - 1)));
        // Its request has died.
        assert!(it.begin_settling("x", now.plus(SETTLING_SECONDS)));
        it.end_settling("x");
        assert!(!it.is_settling("x") && it.begin_settling("x", now.plus(SETTLING_SECONDS)));
    }
}
