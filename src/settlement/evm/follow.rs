//! From sent bytes to their end: receipts and replacements.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::EvmLane;
use super::ending::{UNCLEAR_SECONDS, ended_at};
use super::nonces::is_parked;
use super::preview::{fee_history, quantity};
use super::send::SendResult;
use crate::encoding::encode_hex;
use crate::evm::{BlockTag, Fees, Receipt, json_rpc};
use crate::rpc::{Call, Reply};
use crate::settlement::evidence::{confirm, receipt_call};
use crate::settlement::journal::EvmEntry;
use crate::settlement::{Host, StoreError};
use crate::time::UnixSeconds;

/// How often a receipt is asked for after the first 30 seconds.
const SLOW_POLL: Duration = Duration::from_secs(4);

/// After how many seconds the same bytes are sent again.
const RESEND_SECONDS: u64 = 8;

/// After how many seconds a transaction is replaced by one that pays more.
const STUCK_SECONDS: u64 = 30;

/// For how long a used nonce without a receipt counts as a node's delay, and
/// for how long the other nodes are asked whether a payment really failed, in
/// seconds.
const LOST_SECONDS: u64 = 30;

/// For how long after its end the payment of a transaction that can't land is
/// kept, in seconds.
const PARKED_SECONDS: u64 = 60;

/// How often the log says that a transaction waits for a second node, in seconds.
const SAID_SECONDS: u64 = 60;

/// Where a transaction stands.
enum Standing {
    Mined(Box<Receipt>),
    /// Its nonce is used by none of its versions.
    Lost,
    /// Not in a block; what the next block costs, and how many of the
    /// relayer's transactions are in blocks.
    Waits(Fees, u64),
    /// The node did not say.
    Unknown,
}

impl<H: Host> EvmLane<H> {
    /// Brings a transaction to its end. `sent` is `None` after a crash: then
    /// it is looked for before it is sent again. An entry that is unclear is looked
    /// at once: the alarm has it looked at again in its turn.
    pub(super) async fn follow(self: &Rc<Self>, mut entry: EvmEntry, sent: Option<SendResult>) {
        let started = self.shared.host.now();
        let mut is_unclear = entry.sent.look_at.is_some();
        let mut sent_at = if sent.is_some() { started } else { UnixSeconds(0) };
        // The node may have held the bytes for a while before it answered.
        let mut first_sent_at = if sent.is_some() { entry.written_at } else { sent_at };
        let mut mined = match sent {
            Some(SendResult::Mined(receipt)) => own(&entry, *receipt),
            Some(SendResult::Refused(error)) => {
                self.log(&format!("{} was refused: {}", entry.sent.hash, error.message));
                self.note_refused(&entry, &error);
                if self.take_back(&mut entry) {
                    sent_at = UnixSeconds(0);
                    None
                } else {
                    self.end(&entry);
                    return;
                }
            }
            Some(SendResult::Perhaps) | None => None,
        };
        let (mut lost_since, mut mined_since, mut said_at) = (None, None, None);
        let mut is_refused = false;
        loop {
            if let Some(receipt) = mined.take() {
                // Its place in the air is free, however long a quorum takes.
                self.set_waiting(&entry, false);
                let now = self.shared.host.now();
                let is_new =
                    !is_unclear && now.since(*mined_since.get_or_insert(now)) < LOST_SECONDS;
                match self.land(&entry, &receipt, is_new).await {
                    Ok(true) => break,
                    Ok(false) => {
                        self.log_disagreement(&entry, &mut said_at);
                        if is_unclear {
                            break;
                        }
                        self.shared.host.sleep(SLOW_POLL).await;
                    }
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
                Standing::Lost if !is_unclear && !self.is_lost(&entry, &mut lost_since).await => {}
                Standing::Lost => {
                    self.close_without(&entry, "was used by another transaction").await;
                    break;
                }
                Standing::Waits(market, count) => {
                    lost_since = None;
                    let now = self.shared.host.now();
                    let is_parked = is_parked(entry.sent.nonce, count);
                    self.set_waiting(&entry, !is_parked);
                    if is_parked && self.has_ended(&entry, PARKED_SECONDS) {
                        self.close_without(&entry, "was a node's mistake").await;
                        break;
                    }
                    // Its nonce is free again: it is under way like any other.
                    (is_unclear, entry.sent.look_at) = (false, None);
                    self.fill_gap(&entry, count, market);
                    if now.since(sent_at) >= RESEND_SECONDS {
                        let is_stuck =
                            first_sent_at.0 > 0 && now.since(first_sent_at) >= STUCK_SECONDS;
                        if (is_stuck || is_refused) && self.replace(&mut entry, market, is_refused)
                        {
                            first_sent_at = now;
                        }
                        if first_sent_at.0 == 0 {
                            first_sent_at = now;
                        }
                        sent_at = now;
                        is_refused = false;
                        match self.send(&entry).await {
                            SendResult::Mined(receipt) => mined = own(&entry, *receipt),
                            SendResult::Refused(error) => {
                                is_refused = true;
                                if self.give_way(&mut entry, &error, market) {
                                    sent_at = UnixSeconds(0);
                                }
                            }
                            SendResult::Perhaps => {}
                        }
                        continue;
                    }
                }
                Standing::Unknown => {}
            }
            if is_unclear {
                break;
            }
            let passed = self.shared.host.now().since(started);
            self.shared.host.sleep(pause_after(passed)).await;
        }
        self.end(&entry);
    }

    /// Says now and then that a transaction waits for a second node.
    fn log_disagreement(&self, entry: &EvmEntry, said_at: &mut Option<UnixSeconds>) {
        let now = self.shared.host.now();
        if said_at.is_none_or(|at| now.since(at) >= SAID_SECONDS) {
            *said_at = Some(now);
            self.log(&format!("two nodes must agree on {}, and don't yet", entry.sent.hash));
        }
    }

    fn end(self: &Rc<Self>, entry: &EvmEntry) {
        self.in_air.borrow_mut().remove(&entry.id);
        self.note_ended();
        self.start_pumps();
    }

    /// Writes down what became of the payments of a transaction that no block
    /// will have, because of its nonce.
    async fn close_without(&self, entry: &EvmEntry, why: &str) {
        self.log(&format!("nonce {} {why}", entry.sent.nonce));
        if let Err(error) = self.close(entry, None).await {
            self.log(&error.to_string());
        }
    }

    /// Where a transaction stands: one round trip.
    async fn standing(&self, entry: &EvmEntry) -> Standing {
        let relayer = json_rpc::account_params(self.key.address(), BlockTag::Latest);
        let mut calls = vec![Call::new("eth_getTransactionCount", relayer), fee_history()];
        calls.extend(entry.sent.hashes().map(|hash| receipt_call(hash)));
        let Ok(replies) = self.nodes.ask(&calls).await else { return Standing::Unknown };
        let [count, history, receipts @ ..] = replies.as_slice() else {
            return Standing::Unknown;
        };
        let receipt = receipts.iter().find_map(read_receipt);
        if let Some(receipt) = receipt.and_then(|receipt| own(entry, receipt)) {
            return Standing::Mined(Box::new(receipt));
        }
        let (Some(count), Some(fees)) = (quantity(count), self.read_market(history)) else {
            return Standing::Unknown;
        };
        if receipts.iter().any(Result::is_err) {
            return Standing::Unknown;
        }
        if count <= entry.sent.nonce { Standing::Waits(fees, count) } else { Standing::Lost }
    }

    /// Whether a used nonce without a receipt is lost: for a while by the node
    /// that says so, and then by every node, so that no single one can end what
    /// is in the pools of the others.
    async fn is_lost(&self, entry: &EvmEntry, since: &mut Option<UnixSeconds>) -> bool {
        let now = self.shared.host.now();
        if now.since(*since.get_or_insert(now)) < LOST_SECONDS {
            return false;
        }
        let relayer = json_rpc::account_params(self.key.address(), BlockTag::Latest);
        let answers = self.nodes.ask_each(&Call::new("eth_getTransactionCount", relayer)).await;
        // A node that has stood still for long says nothing; nor do all of them.
        let counts: Vec<u64> = answers.iter().filter_map(quantity).collect();
        let by_all = !counts.is_empty() && counts.iter().all(|count| *count > entry.sent.nonce);
        by_all || self.has_ended(entry, UNCLEAR_SECONDS)
    }

    /// Whether none of an entry's payments could land for so many seconds.
    fn has_ended(&self, entry: &EvmEntry, seconds: u64) -> bool {
        let now = self.shared.host.now();
        let orders = self.shared.orders_of(&entry.payments).unwrap_or_default();
        let mut payments = orders.iter().filter_map(|(_, order)| order.as_evm());
        payments.all(|payment| ended_at(entry.written_at, payment).plus(seconds) < now)
    }

    /// Whether an entry waits for a block, and has one of the places in the air.
    fn set_waiting(self: &Rc<Self>, entry: &EvmEntry, is_waiting: bool) {
        if let Some(flight) = self.in_air.borrow_mut().get_mut(&entry.id) {
            flight.is_waiting = is_waiting;
        }
        if !is_waiting {
            self.start_pumps();
        }
    }

    /// Writes down what a mined transaction did. `false` if that is not yet
    /// certain enough for what it is worth.
    async fn land(
        &self,
        entry: &EvmEntry,
        receipt: &Receipt,
        is_new: bool,
    ) -> Result<bool, StoreError> {
        self.pace.note_block(receipt.block_number, self.shared.host.now());
        let is_empty = entry.sent.empty.contains(&encode_hex(&receipt.transaction_hash));
        let payments = if is_empty || entry.sent.judged { 0 } else { entry.payments.len() };
        self.gas_room.note_own(receipt, entry.sent.gas, payments);
        let orders = self.shared.orders_of(&entry.payments)?;
        let payments: Vec<_> = orders.iter().filter_map(|(_, order)| order.as_evm()).collect();
        let confirmed = confirm(&self.nodes, receipt, &payments, &self.limits.quorum_above).await;
        let Some(confirmed) = confirmed else {
            return Ok(false);
        };
        let all_paid = confirmed.resolutions(&payments).iter().all(Option::is_some);
        if is_new && !all_paid && !self.others_agree(&confirmed.hash()).await {
            return Ok(false);
        }
        self.close(entry, Some((&confirmed, receipt.cost()))).await?;
        Ok(true)
    }

    /// Whether every node that answers has a transaction in a block: one alone
    /// must not make a payment fail that is still on its way.
    async fn others_agree(&self, hash: &str) -> bool {
        if self.nodes.count() < 2 {
            return true;
        }
        let answers = self.nodes.ask_each(&receipt_call(hash)).await;
        let mut receipts = answers.iter().map(read_receipt);
        let first = receipts.next().flatten();
        let is_same = |other: Option<Receipt>| match (&first, other) {
            (Some(first), Some(other)) => {
                first.succeeded == other.succeeded && first.logs == other.logs
            }
            _ => false,
        };
        first.is_some() && receipts.all(is_same)
    }
}

/// A receipt, if it is that of one of an entry's versions.
fn own(entry: &EvmEntry, receipt: Receipt) -> Option<Receipt> {
    entry.sent.has_version(&encode_hex(&receipt.transaction_hash)).then_some(receipt)
}

fn read_receipt(reply: &Reply) -> Option<Receipt> {
    match reply.as_ref().ok()? {
        Value::Null => None,
        result => Receipt::from_json(result),
    }
}

/// How long to wait before a receipt is asked for again that was first asked
/// for so many seconds ago: while a request may wait for it, and then.
const fn pause_after(seconds: u64) -> Duration {
    match seconds {
        0..30 => Duration::from_millis(400),
        _ => SLOW_POLL,
    }
}
