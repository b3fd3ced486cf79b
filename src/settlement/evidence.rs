//! What counts as proof that a payment was made, and for which purchase.
//!
//! Nodes are asked, and one of them may lie or be behind. Above the seller's
//! `quorum_above` nothing here is believed that two of them don't say.

use std::fmt;

use serde_json::Value;

use super::closing::Resolution;
use super::journal::Attempts;
use crate::amount::AtomicAmount;
use crate::encoding::encode_hex;
use crate::evm::{self, Address, BlockTag, Receipt, json_rpc};
use crate::json::json;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport};
use crate::settlement::per_token::PerToken;
use crate::time::UnixSeconds;

/// Whether one of these payments is worth more than one node's word.
pub(super) fn needs_quorum(
    payments: &[&evm::VerifiedPayment],
    quorum_above: &PerToken<AtomicAmount>,
) -> bool {
    payments.iter().any(|payment| {
        let limit = quorum_above.of(&payment.asset().to_word());
        limit.is_some_and(|limit| payment.value() > limit)
    })
}

/// A transaction that is in a block, by as many nodes as its payments are
/// worth. [`confirm`] and [`use_in`] are the only makers, and what a chain
/// says becomes a [`Resolution::Paid`] only by it. A facilitator's success needs none:
/// where one is configured, its own word settles.
pub(super) struct Confirmed(Receipt);

impl Confirmed {
    /// The hash of the transaction.
    pub(crate) fn hash(&self) -> String {
        encode_hex(&self.0.transaction_hash)
    }

    /// Its receipt.
    pub(crate) fn receipt(&self) -> &Receipt {
        &self.0
    }

    /// What became of the payments of our own transaction; `None` for one that
    /// it did not make.
    pub(crate) fn resolutions(
        &self,
        payments: &[&evm::VerifiedPayment],
    ) -> Vec<Option<Resolution>> {
        let paid = evm::paid(&self.0, payments);
        payments.iter().zip(paid).map(|(it, paid)| paid.then(|| self.paid(it))).collect()
    }

    fn paid(&self, payment: &evm::VerifiedPayment) -> Resolution {
        let transaction = self.hash();
        Resolution::Paid { payer: payment.payer(), amount: payment.value(), transaction }
    }
}

/// Believes a receipt of our own transaction, if as many nodes as its payments
/// are worth give the same one.
pub(super) async fn confirm<T: Transport>(
    nodes: &Nodes<T>,
    receipt: &Receipt,
    payments: &[&evm::VerifiedPayment],
    quorum_above: &PerToken<AtomicAmount>,
) -> Option<Confirmed> {
    if !needs_quorum(payments, quorum_above) {
        return Some(Confirmed(receipt.clone()));
    }
    let hash = encode_hex(&receipt.transaction_hash);
    let call = receipt_call(&hash);
    ask_agreed(nodes, &call, true, |it| read_receipt(it, &hash)).await.map(Confirmed)
}

/// The transaction that used or canceled a payment's authorization.
pub(super) struct UsedBy {
    /// The transaction.
    pub by: Confirmed,
    /// The time of its block.
    time: UnixSeconds,
    /// Who sent it.
    sender: Option<Address>,
    /// The payment, if it paid the seller what the payment says.
    resolution: Option<Resolution>,
}

impl UsedBy {
    /// What became of the payment, if this was for a purchase that was written down at
    /// that time, by a transaction that none of `relayers` sent. `None` if it
    /// was for another purchase, or paid nobody.
    ///
    /// What was used before we wrote anything down was not for us: another
    /// gate of the same seller may have sold for it. Both times are whole
    /// seconds, rounded down, so a block of the same second counts.
    pub(crate) fn resolution_since(
        self,
        written_at: UnixSeconds,
        relayers: &[Address],
    ) -> Option<Resolution> {
        let is_ours = self.sender.is_some_and(|sender| relayers.contains(&sender));
        self.resolution.filter(|_| !is_ours && self.time >= written_at)
    }

    /// What became of the payment by one of our own transactions, or since the first of
    /// them was written down.
    pub(crate) fn resolution_of(
        self,
        attempts: &Attempts,
        relayers: &[Address],
    ) -> Option<Resolution> {
        if attempts.hashes.contains(&self.by.hash()) {
            self.resolution
        } else {
            self.resolution_since(attempts.written_at, relayers)
        }
    }
}

/// The nodes did not answer, or don't agree.
#[derive(Debug)]
pub(super) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the nodes don't say who used the authorization, or don't agree")
    }
}

impl std::error::Error for Unknown {}

/// A receipt, and who sent the transaction.
pub(super) async fn receipt_of<T: Transport>(
    nodes: &Nodes<T>,
    hash: &str,
    quorum: bool,
) -> Result<(Receipt, Option<Address>), Unknown> {
    let read = |result: &Value| {
        let sender = result.get("from").and_then(|from| from.as_str()?.parse().ok());
        Some((read_receipt(result, hash)?, sender))
    };
    ask_agreed(nodes, &receipt_call(hash), quorum, read).await.ok_or(Unknown)
}

/// What one transaction that used or canceled a payment did with it. So many
/// payments that no log tells from it were used by it.
pub(super) async fn use_in<T: Transport>(
    nodes: &Nodes<T>,
    payment: &evm::VerifiedPayment,
    receipt: Receipt,
    sender: Option<Address>,
    used: usize,
    quorum: bool,
) -> Result<UsedBy, Unknown> {
    let number = json_rpc::quantity(receipt.block_number.into());
    let call = Call::new("eth_getBlockByNumber", json!([number, false]));
    let read = |block: &Value| json_rpc::parse_u64(block.get("timestamp")?);
    let time = UnixSeconds(ask_agreed(nodes, &call, quorum, read).await.ok_or(Unknown)?);
    // What one relayer alone may settle nobody else has, whatever else the
    // calldata names.
    let may_be = payment.relayer().is_none_or(|relayer| sender == Some(relayer));
    let pays = may_be && evm::authorization_transferred(&receipt, payment, used);
    let by = Confirmed(receipt);
    let resolution = pays.then(|| by.paid(payment));
    Ok(UsedBy { by, time, sender, resolution })
}

/// Whether a payment's authorization is used or canceled, as of a block; `None` if the
/// token does not say. A node that has no such block is left out.
///
/// That it is unused ends a payment as unpaid, so every node is asked, and one
/// that says otherwise is believed.
pub(super) async fn authorization_state<T: Transport>(
    nodes: &Nodes<T>,
    (from, block): (Address, BlockTag),
    payment: &evm::VerifiedPayment,
    quorum_above: &PerToken<AtomicAmount>,
) -> Option<bool> {
    let answers = nodes.ask_each(&authorization_call(from, payment, block)).await;
    let read = answers
        .iter()
        .filter_map(|reply| payment.read_used(&json_rpc::parse_data(reply.as_ref().ok()?, 32)?));
    let states: Vec<bool> = read.collect();
    let enough = if needs_quorum(&[payment], quorum_above) { 2 } else { 1 };
    if states.len() < enough { None } else { Some(states.contains(&true)) }
}

/// How many blocks behind the latest one a node may be that is asked as of a block: one
/// of several behind one URL, or one of a chain with several blocks a second.
const BEHIND_MAX: u64 = 16;

/// The same as of a block that is no older than this one. A node that stands still says
/// what isn't so any more: it is asked as of a block, and if it doesn't have that, it says
/// nothing. Nodes don't keep what was so long ago, so of later blocks it is a late one.
pub(super) async fn authorization_state_since<T: Transport>(
    nodes: &Nodes<T>,
    (from, least): (Address, u64),
    payment: &evm::VerifiedPayment,
    quorum_above: &PerToken<AtomicAmount>,
) -> Option<bool> {
    let latest = nodes.ask_each(&Call::new("eth_blockNumber", json!([]))).await;
    let latest = latest.iter().filter_map(|it| json_rpc::parse_u64(it.as_ref().ok()?));
    let latest = latest.filter(|number| *number >= least).min()?;
    let block = BlockTag::Number(latest.saturating_sub(BEHIND_MAX).max(least));
    authorization_state(nodes, (from, block), payment, quorum_above).await
}

/// Asks whether a payment's authorization is used or canceled, as of a block.
pub(super) fn authorization_call(
    from: Address,
    payment: &evm::VerifiedPayment,
    block: BlockTag,
) -> Call {
    Call::new("eth_call", json_rpc::call_params(from, &payment.used_question(), block))
}

/// What one node says, or what two say where there must be a quorum.
pub(crate) async fn ask_agreed<T: Transport, P: PartialEq>(
    nodes: &Nodes<T>,
    call: &Call,
    quorum: bool,
    read: impl Fn(&Value) -> Option<P>,
) -> Option<P> {
    if !quorum {
        return read(&nodes.ask_again(call, READ_TIMEOUT).await.ok()?.ok()?);
    }
    let mut said: Vec<P> = vec![];
    for answer in nodes.ask_each(call).await {
        let Some(answer) = answer.ok().and_then(|answer| read(&answer)) else { continue };
        if said.contains(&answer) {
            return Some(answer);
        }
        said.push(answer);
    }
    None
}

pub(super) fn receipt_call(hash: &str) -> Call {
    Call::new("eth_getTransactionReceipt", json!([hash]))
}

/// The receipt of this transaction, and no other's. What it paid for gas not
/// all nodes say.
fn read_receipt(result: &Value, hash: &str) -> Option<Receipt> {
    let receipt = Receipt::from_json(result)?;
    let is_its = encode_hex(&receipt.transaction_hash) == hash;
    is_its.then_some(Receipt { effective_gas_price: 0, ..receipt })
}
