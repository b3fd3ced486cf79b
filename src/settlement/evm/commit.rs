//! From a previewed batch to signed bytes in the journal and on their way.

use std::rc::Rc;

use super::preview::Preview;
use super::queue::done;
use super::{EvmLane, InAir, Waiting, calls_of, commitment};
use crate::amount::AtomicAmount;
use crate::encoding::encode_hex;
use crate::evm::{self, SignedTransaction, Transaction};
use crate::settlement::journal::{Attempts, EvmEntry, EvmSent};
use crate::settlement::shared::WAKE_SECONDS;
use crate::settlement::{Host, Outcome, SettleRequest, Store, StoreError};

/// One coin in its smallest unit: wei.
const COIN: u128 = 1_000_000_000_000_000_000;

impl<H: Host> EvmLane<H> {
    /// The payments that are worth what each may cost, in wei. Fees may fall:
    /// the others are free again. What was used already and isn't worth it is
    /// charged nothing: it would never be. So is what an origin has told, unless
    /// even the most is not worth it, or too much went unpaid today: then nobody is
    /// given anything.
    pub(super) fn worth_their_fee(&self, batch: Vec<Waiting>, cost: u128) -> Vec<Waiting> {
        let mut worth = vec![];
        for waiting in batch {
            if self.exceeds_price(cost, &waiting.payment) {
                let request = &waiting.job.request;
                let payer = waiting.payment.payer();
                let ended = if request.metered.is_some() {
                    self.log_refusal(&format!("{}: nothing is charged", request.payment));
                    self.shared.write_off_unpaid(request, &payer)
                } else if request.is_told()
                    && !self.is_worth_less(cost, &waiting.payment, request.most())
                {
                    self.give_for_nothing(request, payer)
                } else {
                    let freed = self.shared.release(&request.payment, request.ticket);
                    freed.map(|()| Outcome::Unavailable)
                };
                let _ = waiting.done.send(done(ended));
            } else {
                worth.push(waiting);
            }
        }
        worth
    }

    /// Charges nothing for what an origin has told, as far as that is bounded.
    fn give_for_nothing(
        &self,
        request: &SettleRequest,
        payer: String,
    ) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let given = shared.store.as_one(|| {
            let is_given = shared.note_unpaid(request)?;
            is_given.then(|| shared.settle_nothing(request, payer)).transpose()
        })?;
        if let Some(outcome) = given {
            self.log_refusal(&format!("{}: nothing is charged", request.payment));
            return Ok(outcome);
        }
        self.log_refusal(&format!(
            "{}: not given for nothing: too much went so today (unsettled_max)",
            request.payment
        ));
        self.shared.release(&request.payment, request.ticket)?;
        Ok(Outcome::Unavailable)
    }

    /// Whether a fee, in wei, is more than a payment.
    pub(super) fn exceeds_price(&self, cost: u128, payment: &evm::VerifiedPayment) -> bool {
        let exceeds = self.is_worth_less(cost, payment, payment.value());
        if exceeds {
            let price = self.limits.coin_price.of(&payment.asset().to_word()).unwrap_or_default();
            self.log_refusal(&format!(
                "not sent: a payment of {} atomic units may cost {cost} wei in fees, which \
                 is more at {price} atomic units per coin (coin_price in NETWORKS)",
                payment.value()
            ));
        }
        exceeds
    }

    /// Whether an amount of a payment's token is less than a fee, in wei.
    fn is_worth_less(
        &self,
        cost: u128,
        payment: &evm::VerifiedPayment,
        amount: AtomicAmount,
    ) -> bool {
        let price = self.limits.coin_price.of(&payment.asset().to_word());
        price.is_some_and(|price| cost.saturating_mul(price) / COIN > amount.0)
    }

    /// Whether a balance doesn't pay for all that a payer has promised and has in
    /// the air. What is held itself is among that.
    pub(super) fn is_short_of_promised(
        &self,
        payment: &evm::VerifiedPayment,
        balance: Option<evm::Uint256>,
        moment: u64,
    ) -> bool {
        let (payer, token) = (payment.payer(), payment.asset().to_word());
        let (commitments, unsettled) = (&self.shared.commitments, &self.shared.unsettled);
        let promised = unsettled.promised_by(&payer, &token, |it| commitments.holds(it));
        let needed = commitments
            .committed_by(&payer, &token)
            .saturating_add(commitments.ended_since(moment, &payer, &token))
            .saturating_add(promised);
        balance.is_some_and(|balance| balance < evm::Uint256::from(needed))
    }

    /// The payments whose accounts still have as much as each may cost, in wei,
    /// which is set aside.
    pub(super) fn within_their_limits(&self, batch: Vec<Waiting>, cost: u128) -> Vec<Waiting> {
        let mut fit = vec![];
        for waiting in self.still_held(batch) {
            let request = &waiting.job.request;
            let outcome = match self.shared.hold(request, cost, &self.limits) {
                Ok(true) => {
                    fit.push(waiting);
                    continue;
                }
                Ok(false) => {
                    let freed = self.shared.release(&request.payment, request.ticket);
                    freed.map(|()| Outcome::LimitReached)
                }
                Err(error) => Err(error),
            };
            let _ = waiting.done.send(done(outcome));
        }
        fit
    }

    /// A batch without the payments whose claims were taken over while they
    /// waited: with the same payment twice, one of the two would fail.
    pub(super) fn still_held(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let mut held = vec![];
        for waiting in batch {
            match self.shared.held_record(&waiting.job) {
                Ok(Some(_)) => held.push(waiting),
                Ok(None) => {
                    let standing = self.standing_of(&waiting.job.request.payment);
                    let _ = waiting.done.send(done(standing));
                }
                Err(error) => {
                    let _ = waiting.done.send(Err(error));
                }
            }
        }
        held
    }

    /// Signs what is going to be sent of this payment if nothing changes until then:
    /// its origin is at work, and the signature takes as long as a question to a node
    /// next door.
    pub(super) fn sign_ahead(&self, payment: &evm::VerifiedPayment, preview: &Preview) {
        if let Some(gas) = preview.gas
            && let Some(signed) = self.sign(&[payment], preview, gas)
        {
            *self.signed_ahead.borrow_mut() = Some(signed);
        }
    }

    /// The transaction of these payments, signed just now or ahead.
    fn sign(
        &self,
        payments: &[&evm::VerifiedPayment],
        preview: &Preview,
        gas: u64,
    ) -> Option<(Transaction, SignedTransaction)> {
        let (call, key) = (calls_of(payments)?, self.key.key()?);
        let (latest, pending) = preview.nonces;
        let nonce = self.next_nonce(latest, pending);
        let transaction = Transaction::new(self.chain_id, nonce, preview.fees, gas, call);
        if let Some(ahead) = self.signed_ahead.take().filter(|(it, _)| *it == transaction) {
            return Some(ahead);
        }
        let signed = transaction.sign(key);
        Some((transaction, signed))
    }

    /// Signs a transaction for these payments and writes it down, without an
    /// await. Those whose claim was lost meanwhile stay out of it.
    pub(super) fn write_down(
        &self,
        batch: &[Waiting],
        preview: &Preview,
        gas: u64,
    ) -> Result<Option<EvmEntry>, StoreError> {
        let mut held = vec![];
        for waiting in batch {
            if let Some(record) = self.shared.held_record(&waiting.job)? {
                held.push((waiting, record));
            }
        }
        let payments: Vec<_> = held.iter().map(|(waiting, _)| &waiting.payment).collect();
        let Some((transaction, signed)) = self.sign(&payments, preview, gas) else {
            return Ok(None);
        };
        let (nonce, fees) = (transaction.nonce, preview.fees);
        let id = encode_hex(&signed.hash);
        let entry = EvmEntry {
            id: id.clone(),
            payments: held.iter().map(|(_, record)| record.payment.clone()).collect(),
            written_at: self.shared.host.now(),
            sent: EvmSent {
                nonce,
                hash: id.clone(),
                former: vec![],
                empty: vec![],
                raw: encode_hex(&signed.raw),
                fees,
                gas,
                most: fees.worst_cost(gas),
                seen_block: preview.block,
                judged: false,
                look_at: None,
            },
        };
        let commitments: Vec<_> = held
            .iter()
            .map(|(waiting, record)| (record.payment.clone(), commitment(&waiting.payment)))
            .collect();
        let records: Vec<_> = held
            .into_iter()
            .map(|(waiting, mut record)| {
                record.attempts.get_or_insert(Attempts {
                    written_at: entry.written_at,
                    seen_block: entry.sent.seen_block,
                    ..Attempts::default()
                });
                self.shared.submitted(record, &waiting.job, &id)
            })
            .collect();
        self.shared.store.submit(&entry.row(), &records)?;
        for (payment, commitment) in commitments {
            self.shared.commitments.begin(&payment, commitment);
        }
        self.note_signed(nonce.saturating_add(1));
        self.shared.host.wake_in(WAKE_SECONDS);
        Ok(Some(entry))
    }

    /// Sends what was written down and lets the pump go on.
    pub(super) fn take_off(self: &Rc<Self>, entry: EvmEntry, batch: Vec<Waiting>, is_loner: bool) {
        let lone_gas = if is_loner { entry.sent.gas } else { 0 };
        let flight = InAir { lone_gas, ..InAir::of(&entry) };
        self.in_air.borrow_mut().insert(entry.id.clone(), flight);
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            // If the process dies here, the journal has the bytes: the next
            // life sends the same ones, which can land only once.
            let sent = lane.send(&entry).await;
            lane.follow(entry, Some(sent)).await;
            let shared_by = batch.len();
            lane.send_again(batch, shared_by);
        });
    }
}
