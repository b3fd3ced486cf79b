//! A payment whose goods go out before it is settled: `Claimed → Metered → Owed`,
//! and from there on as any other. What the chain refuses stays owed.

use super::{Order, PaymentRecord, State};
use crate::amount::AtomicAmount;
use crate::payment::Checked;
use crate::protocol::Reason;
use crate::settlement::delivery::DeliveryState;
use crate::settlement::types::LEASE_SECONDS;
use crate::settlement::{Delivery, SettleRequest, Settlement};
use crate::time::UnixSeconds;

/// For how long a debt is remembered that nobody pays, in seconds.
pub const DEBT_SECONDS: u64 = 30 * 86_400;

/// How soon what is owed is tried again, in seconds; after that the time that it
/// is owed doubles each time.
const AGAIN_SECONDS: u64 = 15;

/// The longest time until it is tried again, in seconds: a small part of a day,
/// and of what a signature may last.
const AGAIN_MAX_SECONDS: u64 = 900;

/// How long before its end what is owed is tried for the last time, in seconds.
const LAST_SECONDS: u64 = 30;

impl PaymentRecord {
    /// Holds a claimed payment while its goods go out.
    pub fn hold(&mut self, order: Order, now: UnixSeconds) {
        self.state = State::Metered {
            ticket: order.request.ticket,
            lease_until: now.plus(LEASE_SECONDS),
            order: Box::new(order),
            used: None,
        };
    }

    /// Notes that the gate lives that counts, and what it has told to be used so
    /// far: whether this ticket holds the payment.
    pub fn keep_counting(
        &mut self,
        holder: u64,
        until: UnixSeconds,
        told: Option<AtomicAmount>,
    ) -> bool {
        match &mut self.state {
            State::Metered { ticket, lease_until, used, .. } if *ticket == holder => {
                *lease_until = until;
                // The last word counts: before a number came, it may have been
                // the most.
                *used = told.or(*used);
                true
            }
            _ => false,
        }
    }

    /// What is to be settled now that it is known how much: no more than the
    /// payer has signed for. Nothing that was used is a settlement of nothing.
    pub fn owe(&mut self, used: AtomicAmount, payer: &str, now: UnixSeconds) {
        let State::Metered { ticket, order, .. } = &self.state else { return };
        let mut order = order.clone();
        let charge = used.min(order.request.most());
        order.request.charge = Some(charge);
        if charge.0 == 0 {
            return self.settle_nothing(payer, now);
        }
        self.state = State::Owed { ticket: *ticket, order, since: now, again_at: now };
    }

    /// What is owed in place of what was told last, if this ticket has held the
    /// payment and nothing was ever sent for it; whether that is so.
    pub fn owe_instead(
        &mut self,
        holder: u64,
        used: AtomicAmount,
        payer: &str,
        now: UnixSeconds,
    ) -> bool {
        let can_change = self.attempts.is_none() && !self.is_lost();
        match &mut self.state {
            State::Owed { ticket, order, again_at, .. } if *ticket == holder && can_change => {
                let charge = used.min(order.request.most());
                order.request.charge = Some(charge);
                *again_at = now;
                if charge.0 == 0 {
                    self.settle_nothing(payer, now);
                }
                true
            }
            _ => false,
        }
    }

    /// Settles a payment of which nothing is charged: no transaction is sent.
    pub fn settle_nothing(&mut self, payer: &str, now: UnixSeconds) {
        self.sale = self.unsettled().map(|order| order.request.sale_note(None));
        self.state = State::Settled(Settlement {
            transaction: String::new(),
            payer: payer.to_owned(),
            amount: AtomicAmount(0),
            settled_at: now,
            redeliver_until: now,
        });
        self.delivery = Delivery::of_goods_that_went_out();
    }

    /// Notes that it can't be settled now. Of what was delivered already, it
    /// stays owed.
    pub fn fail(&mut self, reason: Reason, now: UnixSeconds) {
        let (order, since) = match &self.state {
            State::Owed { order, since, .. } => (order.clone(), *since),
            State::Submitted { order, .. } if order.request.metered.is_some() => {
                (order.clone(), order.owed_since.unwrap_or(order.verified_at))
            }
            _ => {
                self.state = State::Failed { reason };
                return;
            }
        };
        if reason.is_payers_fault() {
            self.is_payers_fault = Some(true);
        }
        let pause = now.since(since).clamp(AGAIN_SECONDS, AGAIN_MAX_SECONDS);
        // Not past its end without a last try; and at its end it is known lost.
        let last = UnixSeconds(self.expires_at.0.saturating_sub(LAST_SECONDS));
        let turns = [last, self.expires_at].into_iter();
        let turn = turns.filter(|turn| *turn >= now.plus(AGAIN_SECONDS)).min();
        let again_at = now.plus(pause).min(turn.unwrap_or(UnixSeconds(u64::MAX)));
        let ticket = order.request.ticket;
        self.state = State::Owed { ticket, order, since, again_at };
    }

    /// Notes that nobody could be asked to settle what is owed: nobody's fault,
    /// and it costs nothing to try again.
    pub fn try_soon(&mut self, now: UnixSeconds) {
        if let State::Owed { again_at, .. } = &mut self.state
            // What has failed on the chain meanwhile has its own time.
            && *again_at <= now
        {
            *again_at = now.plus(AGAIN_SECONDS);
        }
    }

    /// Notes that what is owed can't be settled by this any more. It is
    /// remembered for as long as any other debt.
    pub fn despair(&mut self) {
        if let State::Owed { since, again_at, .. } = &mut self.state {
            *again_at = since.plus(DEBT_SECONDS);
        }
    }

    /// Since when it is owed, if it is: each time that it is tried in vain, twice
    /// as long goes by until the next.
    pub fn owed_since(&self) -> Option<UnixSeconds> {
        match &self.state {
            State::Owed { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// Whether it is owed, and was put off until later.
    pub fn is_put_off(&self, now: UnixSeconds) -> bool {
        matches!(self.state, State::Owed { again_at, .. } if again_at > now)
    }

    /// Whether its payer is to blame for what is owed. What was not tried yet, and
    /// what we could not collect, is nothing to blame a payer for.
    pub const fn is_overdue(&self) -> bool {
        matches!(self.is_payers_fault, Some(true)) && matches!(self.state, State::Owed { .. })
    }

    /// Whether fees are set aside for settling it: not while its payer keeps that
    /// from us, or strangers without money would use up the day's fees.
    pub const fn is_to_be_sent(&self) -> bool {
        matches!(self.state, State::Metered { .. } | State::Owed { .. }) && !self.is_overdue()
    }

    /// Whether what is owed can't be settled any more.
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Owed { since, again_at, .. }
            if again_at == since.plus(DEBT_SECONDS))
    }

    /// The order of what was, or is being, delivered before it is settled.
    pub fn unsettled(&self) -> Option<&Order> {
        match &self.state {
            State::Metered { order, .. } | State::Owed { order, .. } => Some(order),
            State::Submitted { order, .. } if order.request.metered.is_some() => Some(order),
            _ => None,
        }
    }
}

impl SettleRequest {
    /// The payment that is to be settled, as it was at a time, with what is to be
    /// charged of it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, now: UnixSeconds) -> Result<Checked, Reason> {
        let checked = self.terms.check(&self.payload, now)?;
        match self.charge {
            Some(charge) => checked.charged(charge),
            None => Ok(checked),
        }
    }

    /// The most that can be charged, in atomic units.
    pub fn most(&self) -> AtomicAmount {
        self.terms.amount()
    }

    /// Whether a gate's origin has told how much of it is charged.
    pub fn is_told(&self) -> bool {
        self.charge.is_some() && self.metered.is_none() && self.account.is_none()
    }

    /// How much the payer may owe at most by this, in atomic units.
    pub fn at_stake(&self) -> AtomicAmount {
        self.charge.unwrap_or_else(|| self.most())
    }
}

impl Delivery {
    /// That of what went out before it was paid for, and won't again.
    fn of_goods_that_went_out() -> Self {
        Self { state: DeliveryState::Delivered { to_buyer: true }, ..Self::default() }
    }

    /// The same for an order of this kind.
    pub(in crate::settlement) fn after(request: &SettleRequest, begun: Self) -> Self {
        if request.metered.is_some() { Self::of_goods_that_went_out() } else { begun }
    }
}
