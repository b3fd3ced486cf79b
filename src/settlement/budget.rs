//! What may be spent on fees: by a key in a day, and by each account of a
//! facilitator's.

use super::per_token::PerToken;
use super::shared::Shared;
use super::{Host, Outcome, SettleRequest, State, Store, StoreError};
use crate::amount::AtomicAmount;

/// What a relayer may do on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many payments go into one EVM transaction at most.
    pub batch_max: usize,
    /// How many, where with fewer a crowd would have to wait for another block. No
    /// more than the others where it is less.
    pub crowd_max: usize,
    /// The most that may be spent on fees in a day, in wei or lamports.
    pub daily_spend: Option<u128>,
    /// The balance below which the relayer is reported, in wei or lamports.
    pub low_balance: Option<u128>,
    /// EVM: the most that a block's builder is offered, in wei per gas.
    pub max_tip: Option<u128>,
    /// The amount above which two nodes must agree that it was paid.
    pub quorum_above: PerToken<AtomicAmount>,
    /// The most that may be spent on fees in a day for each account that has a
    /// limit, in wei or lamports.
    pub accounts: Vec<(String, u128)>,
    /// What one coin of the chain (10^18 wei, 10^9 lamports) is worth, in
    /// atomic units of the token: a payment whose fee may exceed its price is
    /// not sent. Without it one is sent whatever the fee is.
    pub coin_price: PerToken<u128>,
    /// The most gas that failed transactions of payers with code may use in an
    /// hour; `None`: no limit.
    pub failed_gas: Option<u64>,
    /// The most gas that the transaction of a smart wallet's payment is given;
    /// `None`: as much as any other's.
    pub wallet_gas: Option<u64>,
}

impl<H: Host> Shared<H> {
    /// What was spent on fees today (UTC), in wei or lamports. If that can't
    /// be read, as much as there is: nothing more is spent then.
    pub(super) fn spent_today(&self) -> u128 {
        self.store.spent_on(self.today()).unwrap_or(u128::MAX)
    }

    /// Takes note of the fees of a transaction, in wei or lamports, and of each
    /// account's share of them.
    pub(super) fn note_spent(&self, amount: u128, payments: &[String]) -> Result<(), StoreError> {
        let today = self.today();
        let spent = self.store.spent_on(today)?.saturating_add(amount);
        self.condition.outdate_balance();
        self.store.set_spent_on(today, spent)?;
        self.note_fees(amount, payments);
        let share = share_of(amount, payments.len());
        for payment in payments {
            let Some(record) = self.store.payment(payment)? else { continue };
            let State::Submitted { order, .. } = record.state else { continue };
            let Some(account) = order.request.account else { continue };
            let spent = self.store.account_spent_on(&account, today)?.saturating_add(share);
            self.store.set_account_spent_on(&account, today, spent)?;
        }
        Ok(())
    }

    /// Whether an account can still pay for this today, in wei or lamports,
    /// besides what is set aside for other payments than this one.
    pub(super) fn has_room(
        &self,
        request: &SettleRequest,
        cost: u128,
        limits: &Limits,
    ) -> Result<bool, StoreError> {
        let Some(account) = &request.account else { return Ok(true) };
        let Some((_, limit)) = limits.accounts.iter().find(|(name, _)| name == account) else {
            return Ok(true);
        };
        let held = self.held.borrow();
        let others =
            held.iter().filter(|(id, (name, _))| name == account && **id != request.payment);
        let in_air: u128 = others.map(|(_, (_, cost))| cost).sum();
        let spent = self.store.account_spent_on(account, self.today())?;
        Ok(spent.saturating_add(in_air).saturating_add(cost) <= *limit)
    }

    /// Sets aside what a payment may cost, in wei or lamports, if its account
    /// has room for it. What is held must be let go when its claim ends.
    pub(super) fn hold(
        &self,
        request: &SettleRequest,
        cost: u128,
        limits: &Limits,
    ) -> Result<bool, StoreError> {
        let fits = self.has_room(request, cost, limits)?;
        match &request.account {
            Some(account) if fits => {
                let mut held = self.held.borrow_mut();
                held.insert(request.payment.clone(), (account.clone(), cost));
            }
            Some(account) => {
                let network = request.network;
                self.log_refusal(&format!("{network}: the daily limit of {account} is reached"));
            }
            None => {}
        }
        Ok(fits)
    }

    /// Sets aside again what a transaction may cost: one that was in the air
    /// before a restart, or that pays more now.
    pub(super) fn hold_again(&self, payments: &[String], cost: u128) {
        let share = share_of(cost, payments.len());
        for payment in payments {
            if let Ok(Some(record)) = self.store.payment(payment)
                && let State::Submitted { order, .. } = record.state
                && let Some(account) = order.request.account
            {
                self.held.borrow_mut().insert(payment.clone(), (account, share));
            }
        }
    }

    /// Blames no payer for what is owed and could be settled, if more might be spent.
    pub(super) fn absolve(&self, payment: &str) -> Result<(), StoreError> {
        let Some(mut record) = self.store.payment(payment)? else { return Ok(()) };
        if !record.is_overdue() {
            return Ok(());
        }
        record.is_payers_fault = None;
        self.store.put_payment(&record)
    }

    /// Charges nothing for what was used: that costs more than it brings.
    pub(super) fn write_off(&self, payment: &str, payer: &str) -> Result<Outcome, StoreError> {
        let Some(mut record) = self.store.payment(payment)? else {
            return Ok(Outcome::Unavailable);
        };
        record.settle_nothing(payer, self.host.now());
        self.store.put_payment(&record)?;
        self.log_sale(&record);
        self.unsettled.end(payment);
        self.tell(payment);
        Ok(match record.state {
            State::Settled(settlement) => Outcome::Settled(settlement),
            _ => Outcome::Unavailable,
        })
    }

    /// Sets nothing aside for a payment any more: it is not under way.
    pub(super) fn release_hold(&self, payment: &str) {
        self.held.borrow_mut().remove(payment);
        self.commitments.end(payment);
    }

    pub(super) fn today(&self) -> u64 {
        self.host.now().day()
    }
}

/// One payment's share of what a transaction costs, rounded up.
pub(super) fn share_of(cost: u128, payments: usize) -> u128 {
    cost.div_ceil(u128::try_from(payments.max(1)).unwrap_or(1))
}
