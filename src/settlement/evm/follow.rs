//! From sent bytes to their end: receipts and replacements.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::EvmLane;
use super::preview::{fee_history, quantity, read_market};
use super::send::Sent;
use super::stranger::{Broadcast, authorization_state};
use crate::encoding::encode_hex;
use crate::evm::{self, BlockTag, Call as EvmCall, Fees, Receipt, Transaction, json_rpc};
use crate::exact::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::{Call, Reply};
use crate::settlement::shared::Fate;
use crate::settlement::{Host, JournalEntry, Store, StoreError};
use crate::time::UnixSeconds;

/// How often a receipt is asked for: while a request may wait for it, and then.
const QUICK_POLL: Duration = Duration::from_millis(400);
const SLOW_POLL: Duration = Duration::from_secs(4);
const QUICK_SECONDS: u64 = 30;

/// After how many seconds the same bytes are sent again.
const RESEND_SECONDS: u64 = 8;

/// After how many seconds a transaction is replaced by one that pays more.
const STUCK_SECONDS: u64 = 30;

/// For how long a used nonce without a receipt counts as a node's delay, in
/// seconds.
const LOST_SECONDS: u64 = 30;

/// For how long after its end an authorization that somebody used is looked
/// for, in seconds.
const UNCLEAR_SECONDS: u64 = 600;

/// How long after it was sent a payment counts as ended for that, in seconds,
/// where its own end is later.
const LONGEST_SEARCH: u64 = 3_600;

/// How often a transaction is replaced at most, and how many times the usual
/// tip is as much as makes sense.
const REPLACEMENTS_MAX: usize = 12;
const ENOUGH_TIMES_THE_TIP: u128 = 4;

/// Where a transaction stands.
enum Standing {
    Mined(Box<Receipt>),
    /// Its nonce is used by none of its versions.
    Lost,
    /// Not in a block; what the next block costs.
    Waits(Fees),
    /// The node did not say.
    Unknown,
}

impl<H: Host> EvmLane<H> {
    /// Brings a transaction to its end. `sent` is `None` after a crash: then
    /// it is looked for before it is sent again.
    pub(super) async fn follow(self: &Rc<Self>, mut entry: JournalEntry, sent: Option<Sent>) {
        let started = self.shared.host.now();
        let mut sent_at = if sent.is_some() { started } else { UnixSeconds(0) };
        // The node may have held the bytes for a while before it answered.
        let mut first_sent_at = if sent.is_some() { entry.written_at } else { sent_at };
        let mut mined = match sent {
            Some(Sent::Mined(receipt)) => Some(*receipt),
            Some(Sent::Refused(error)) => {
                self.log(&format!("{} was refused: {}", entry.transaction, error.message));
                if self.take_back(&mut entry) {
                    sent_at = UnixSeconds(0);
                    None
                } else {
                    self.end(&entry);
                    return;
                }
            }
            Some(Sent::Perhaps) | None => None,
        };
        let mut lost_since = None;
        loop {
            if let Some(receipt) = mined.take() {
                match self.land(&entry, &receipt).await {
                    Ok(true) => break,
                    Ok(false) => self.shared.host.sleep(SLOW_POLL).await,
                    // The journal keeps the entry: the alarm tries again.
                    Err(error) => {
                        self.log(&error.to_string());
                        break;
                    }
                }
            }
            match self.standing(&entry).await {
                Standing::Mined(receipt) => {
                    mined = Some(*receipt);
                    continue;
                }
                // Another node may be ahead of this one with its receipts.
                Standing::Lost
                    if self
                        .shared
                        .host
                        .now()
                        .since(*lost_since.get_or_insert_with(|| self.shared.host.now()))
                        < LOST_SECONDS => {}
                Standing::Lost => {
                    self.log(&format!("nonce {} was used by another transaction", entry.bound));
                    if let Err(error) = self.close(&entry, None).await {
                        self.log(&error.to_string());
                    }
                    break;
                }
                Standing::Waits(market) => {
                    let now = self.shared.host.now();
                    if now.since(sent_at) >= RESEND_SECONDS {
                        let is_stuck =
                            first_sent_at.0 > 0 && now.since(first_sent_at) >= STUCK_SECONDS;
                        if is_stuck && self.replace(&mut entry, market) {
                            first_sent_at = now;
                        }
                        if first_sent_at.0 == 0 {
                            first_sent_at = now;
                        }
                        sent_at = now;
                        match self.send(&entry.raw).await {
                            Sent::Mined(receipt) => mined = Some(*receipt),
                            Sent::Refused(error) => self.log(&format!(
                                "{} was refused: {}",
                                entry.transaction, error.message
                            )),
                            Sent::Perhaps => {}
                        }
                        continue;
                    }
                }
                Standing::Unknown => {}
            }
            let is_early = self.shared.host.now().since(started) < QUICK_SECONDS;
            self.shared.host.sleep(if is_early { QUICK_POLL } else { SLOW_POLL }).await;
        }
        self.end(&entry);
    }

    fn end(self: &Rc<Self>, entry: &JournalEntry) {
        self.in_air.borrow_mut().remove(&entry.id);
        self.start_pumps();
    }

    /// A transaction that no node will have: its payments are free again, and
    /// its nonce is the next one again. Where later nonces wait for it, an
    /// empty transaction takes its place, and whichever of the two lands
    /// decides; then this returns true.
    fn take_back(&self, entry: &mut JournalEntry) -> bool {
        if let Some(fees) = entry.fees
            && self.in_air.borrow().values().any(|flight| flight.nonce > entry.bound)
        {
            return self.replace_by(entry, None, fees);
        }
        let fates: Vec<_> = entry
            .payments
            .iter()
            .map(|id| (id.clone(), Fate::NotPaid(Reason::UnexpectedSettleError)))
            .collect();
        match self.shared.close(entry, &fates) {
            Ok(()) => self.next_nonce.set(Some(entry.bound)),
            Err(error) => self.log(&error.to_string()),
        }
        false
    }

    /// Where a transaction stands: one round trip.
    async fn standing(&self, entry: &JournalEntry) -> Standing {
        let relayer = json_rpc::account_params(self.key.address(), BlockTag::Latest);
        let hashes = || entry.former.iter().chain([&entry.transaction]);
        let mut calls = vec![Call::new("eth_getTransactionCount", relayer), fee_history()];
        calls.extend(hashes().map(|hash| receipt_call(hash)));
        let Ok(replies) = self.nodes.ask(&calls).await else { return Standing::Unknown };
        let [count, history, receipts @ ..] = replies.as_slice() else {
            return Standing::Unknown;
        };
        if let Some(receipt) = receipts.iter().find_map(read_receipt) {
            return Standing::Mined(Box::new(receipt));
        }
        let (Some(count), Some((fees, _))) = (quantity(count), read_market(history)) else {
            return Standing::Unknown;
        };
        if receipts.iter().any(Result::is_err) {
            return Standing::Unknown;
        }
        if count <= entry.bound { Standing::Waits(fees) } else { Standing::Lost }
    }

    /// Signs the same calls again, at the same nonce, for more money, and
    /// writes that down. What can't land any more gives way to an empty
    /// transaction, which is all that its nonce needs.
    fn replace(&self, entry: &mut JournalEntry, market: Fees) -> bool {
        let Some(fees) = entry.fees else { return false };
        // A chain that stands still takes no transaction, however much it pays.
        let pays_enough = fees.max_fee_per_gas >= market.max_fee_per_gas
            && fees.max_priority_fee_per_gas
                >= market.max_priority_fee_per_gas.saturating_mul(ENOUGH_TIMES_THE_TIP);
        if pays_enough || entry.former.len() >= REPLACEMENTS_MAX {
            return false;
        }
        let fees = fees.bumped().at_least(market);
        let orders = self.shared.orders_of(&entry.payments).unwrap_or_default();
        let payments: Vec<_> = orders.iter().filter_map(|(_, order)| evm_payment(order)).collect();
        let now = self.shared.host.now();
        let is_alive = payments.iter().any(|payment| payment.expires_at() > now);
        self.replace_by(entry, super::calls_of(&payments).filter(|_| is_alive), fees)
    }

    /// Signs another call, or none, at a transaction's nonce, and writes that
    /// down.
    fn replace_by(&self, entry: &mut JournalEntry, call: Option<EvmCall>, fees: Fees) -> bool {
        let Some(key) = self.key.key() else { return false };
        // An empty transaction must go out whatever the budget says: the nonces
        // behind it wait.
        let is_empty = call.is_none();
        let (call, gas) = match call {
            Some(call) => (call, entry.gas),
            None => (EvmCall { to: self.key.address(), data: vec![] }, 21_000),
        };
        if !is_empty && self.is_over_budget(fees.worst_cost(gas)) {
            return false;
        }
        let signed = Transaction::new(self.chain_id, entry.bound, fees, gas, call).sign(key);
        let mut replaced = entry.clone();
        replaced.former.push(entry.transaction.clone());
        replaced.transaction = encode_hex(&signed.hash);
        replaced.raw = encode_hex(&signed.raw);
        replaced.fees = Some(fees);
        if let Err(error) = self.shared.store.submit(&replaced, &[]) {
            self.log(&error.to_string());
            return false;
        }
        self.log(&format!("{} replaces {}", replaced.transaction, entry.transaction));
        let worst_cost = fees.worst_cost(gas);
        self.shared.hold_again(&replaced, worst_cost);
        if let Some(flight) = self.in_air.borrow_mut().get_mut(&entry.id) {
            flight.worst_cost = worst_cost;
        }
        *entry = replaced;
        true
    }

    /// Writes down what a mined transaction did. `false` if that is not yet
    /// certain enough for what it is worth.
    async fn land(&self, entry: &JournalEntry, receipt: &Receipt) -> Result<bool, StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        let payments: Vec<_> = orders.iter().filter_map(|(_, order)| evm_payment(order)).collect();
        let is_dear = |limit| payments.iter().any(|payment| payment.value() > limit);
        if self.limits.quorum_above.is_some_and(is_dear)
            && !self.two_agree(receipt, &payments).await
        {
            return Ok(false);
        }
        self.close(entry, Some(receipt)).await?;
        Ok(true)
    }

    /// Whether two nodes say the same of a transaction and of its payments.
    async fn two_agree(&self, receipt: &Receipt, payments: &[&evm::VerifiedPayment]) -> bool {
        let answers =
            self.nodes.ask_each(&receipt_call(&encode_hex(&receipt.transaction_hash))).await;
        let says_so = |other: &Receipt| {
            other.succeeded == receipt.succeeded
                && other.block_number == receipt.block_number
                && evm::paid(other, payments) == evm::paid(receipt, payments)
        };
        let agreeing = answers.iter().filter_map(read_receipt).filter(says_so).count();
        if agreeing < 2 {
            self.log("two nodes must agree on this receipt, and don't yet");
        }
        agreeing >= 2
    }

    /// Writes down what became of an entry's payments, by its own receipt or,
    /// where that has none, by a stranger's.
    ///
    /// # Errors
    /// Of some that is not certain: the entry stays in the journal with them,
    /// and the others are settled all the same.
    async fn close(
        &self,
        entry: &JournalEntry,
        receipt: Option<&Receipt>,
    ) -> Result<(), StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        let payments: Vec<_> =
            orders.iter().filter_map(|(id, order)| Some((id, evm_payment(order)?))).collect();
        let verified: Vec<_> = payments.iter().map(|(_, payment)| *payment).collect();
        let paid = match receipt {
            // One log is good for one payment: what was read is not read again
            // for those that are left.
            Some(receipt) if !entry.judged => evm::paid(receipt, &verified),
            _ => vec![false; verified.len()],
        };
        let left_behind = self.left_behind(entry, receipt, &verified, &paid).await;
        let (mut fates, mut unclear, mut problem) = (vec![], vec![], None);
        for (((id, payment), paid), left_behind) in payments.into_iter().zip(paid).zip(left_behind)
        {
            let fate = match (paid, receipt) {
                (true, Some(receipt)) => {
                    Ok(fate_by(payment, encode_hex(&receipt.transaction_hash)))
                }
                _ if left_behind => Ok(Fate::LeftBehind),
                // The preview saw the authorization unused, after our claim.
                _ => self.fate_without_us(entry, id, payment, receipt).await,
            };
            match fate {
                Ok(fate) => fates.push((id.clone(), fate)),
                Err(error) => {
                    unclear.push(id.clone());
                    problem = Some(error);
                }
            }
        }
        // Fees and fates are written without an await in between: together.
        if let Some(receipt) = receipt.filter(|_| !entry.judged) {
            self.shared.note_spent(receipt.cost(), entry)?;
        }
        let Some(problem) = problem else { return self.shared.close(entry, &fates) };
        let judged = entry.judged || receipt.is_some();
        let left = JournalEntry { payments: unclear, judged, ..entry.clone() };
        self.shared.close_some(&left, &fates)?;
        Err(problem)
    }

    /// What became of a payment that our transaction did not make.
    ///
    /// # Errors
    /// That is not certain.
    async fn fate_without_us(
        &self,
        entry: &JournalEntry,
        id: &str,
        payment: &evm::VerifiedPayment,
        receipt: Option<&Receipt>,
    ) -> Result<Fate, StoreError> {
        let Some(transaction) = self.who_else_paid(entry, payment).await? else {
            self.note_lone_failure(entry, receipt, payment);
            return Ok(Fate::NotPaid(Reason::InvalidTransactionState));
        };
        let is_ours = entry.transaction == transaction || entry.former.contains(&transaction);
        if !is_ours && self.shared.is_on_account(id)? {
            // Who settles for many sellers can't know what else was sold for
            // it: another facilitator's success must not become one here.
            self.log(&format!("{id} was settled by another: {transaction}"));
            return Ok(Fate::NotPaid(Reason::DuplicateSettlement));
        }
        Ok(fate_by(payment, transaction))
    }

    /// The transaction, ours or a stranger's, that used a payment's
    /// authorization after it was seen unused; `None` if it paid nobody, or
    /// for something else, or was not used.
    ///
    /// # Errors
    /// That is not certain: a node did not answer, or says that the
    /// authorization is used and can't tell by whom. A node that is behind may
    /// know later, so the journal keeps the entry.
    async fn who_else_paid(
        &self,
        entry: &JournalEntry,
        payment: &evm::VerifiedPayment,
    ) -> Result<Option<String>, StoreError> {
        let unclear = |what: &str| StoreError(format!("{}: {what}", entry.transaction));
        let found = self.broadcast_of(payment, entry.seen_block + 1, None, Some(entry)).await;
        match found.map_err(|error| unclear(&error.to_string()))? {
            Broadcast::Pays(transaction) => return Ok(Some(transaction)),
            Broadcast::Elsewhere => return Ok(None),
            Broadcast::Unseen => {}
        }
        match authorization_state(&self.nodes, self.key.address(), payment).await {
            Some(false) => Ok(None),
            // Canceled, or used by another purchase: it stays what it is.
            Some(true) if self.shared.host.now() > ends_unclear_at(entry, payment) => Ok(None),
            Some(true) => Err(unclear("the authorization is used, and by whom is not known yet")),
            None => Err(unclear("the token does not say whether the authorization is used")),
        }
    }
}

/// When nobody asks any more who used a payment's authorization. It may itself
/// have no end.
fn ends_unclear_at(entry: &JournalEntry, payment: &evm::VerifiedPayment) -> UnixSeconds {
    payment.expires_at().min(entry.written_at.plus(LONGEST_SEARCH)).plus(UNCLEAR_SECONDS)
}

/// A payment that this transaction made.
fn fate_by(payment: &evm::VerifiedPayment, transaction: String) -> Fate {
    Fate::Paid { payer: payment.payer(), amount: payment.value(), transaction }
}

fn evm_payment(order: &VerifiedPayment) -> Option<&evm::VerifiedPayment> {
    match order {
        VerifiedPayment::Evm(payment) => Some(payment),
        VerifiedPayment::Solana(_) => None,
    }
}

pub(super) fn receipt_call(hash: &str) -> Call {
    Call::new("eth_getTransactionReceipt", json!([hash]))
}

fn read_receipt(reply: &Reply) -> Option<Receipt> {
    match reply.as_ref().ok()? {
        Value::Null => None,
        result => Receipt::from_json(result),
    }
}
