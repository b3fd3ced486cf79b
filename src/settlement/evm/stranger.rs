//! Payments whose authorization somebody else broadcast.
//!
//! Anyone who sees a `transferWithAuthorization` can send it first. The seller
//! is paid all the same, so the buyer who holds the claim gets the goods; but
//! an authorization that was used before the claim has bought something else.

use std::rc::Rc;

use serde_json::json;

use super::follow::receipt_call;
use super::{EvmLane, Waiting};
use crate::evm::{self, Address, BlockTag, Receipt, json_rpc};
use crate::protocol::Reason;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport, Unavailable};
use crate::settlement::shared::Fate;
use crate::settlement::{Host, JournalEntry, Outcome, StoreError};
use crate::time::UnixSeconds;

/// How far back `eth_getLogs` looks for a stranger's transaction, in blocks.
const STRANGER_BLOCKS: u64 = 500;

/// By how much a block's time must be later than a claim, in seconds, for what
/// is in it to be later too: clocks differ, and a block bears the time of its
/// end.
const STRANGER_MARGIN: u64 = 4;

impl<H: Host> EvmLane<H> {
    /// Settles a payment whose authorization is used already, if somebody else
    /// broadcast it after the claim: the seller has the money, and who holds
    /// the claim gets what it was for. One that was used before is refused. The
    /// queue does not wait for this.
    pub(super) fn look_for_a_stranger(self: &Rc<Self>, waiting: Waiting, block: u64) {
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move {
            let outcome = lane.paid_by_a_stranger(&waiting, block).await;
            let _ = waiting.done.send(outcome);
        });
    }

    async fn paid_by_a_stranger(
        &self,
        waiting: &Waiting,
        block: u64,
    ) -> Result<Outcome, StoreError> {
        let request = &waiting.job.request;
        let Some(record) = self.shared.held_record(&waiting.job)? else {
            return Ok(Outcome::Unavailable);
        };
        if request.account.is_some() {
            // What it was for at another facilitator is not known here.
            return self.shared.refuse(request, Reason::EvmNonceUsed);
        }
        let from = block.saturating_sub(STRANGER_BLOCKS);
        let claimed_at = Some(record.claimed_at);
        match self.broadcast_of(&waiting.payment, from, claimed_at, None).await {
            Ok(Broadcast::Pays(transaction)) => {
                let fate = Fate::Paid {
                    payer: waiting.payment.payer(),
                    amount: waiting.payment.value(),
                    transaction,
                };
                self.shared.settle_claim(request, &fate)?;
                self.standing_of(&request.payment)
            }
            Ok(Broadcast::Elsewhere | Broadcast::Unseen) => {
                self.shared.refuse(request, Reason::EvmNonceUsed)
            }
            Err(problem) => {
                self.log(&problem.to_string());
                self.shared.release(&request.payment, request.ticket)?;
                Ok(Outcome::Unavailable)
            }
        }
    }

    /// What a payment's authorization was used for, from a block on. It paid
    /// for this purchase if it paid the seller, later than the claim. What our
    /// own relayers sent counts only if it is a version of this entry: any
    /// other was for another purchase.
    ///
    /// # Errors
    /// The nodes did not answer.
    pub(super) async fn broadcast_of(
        &self,
        payment: &evm::VerifiedPayment,
        from_block: u64,
        claimed_at: Option<UnixSeconds>,
        entry: Option<&JournalEntry>,
    ) -> Result<Broadcast, Unavailable> {
        let Some(found) = find_use(&self.nodes, payment, from_block).await? else {
            return Ok(Broadcast::Unseen);
        };
        let hash = &found.hash;
        let is_a_version =
            entry.is_some_and(|entry| entry.transaction == *hash || entry.former.contains(hash));
        let is_ours = found.sender.is_some_and(|sender| self.relayers.contains(&sender));
        let is_later = claimed_at.is_none_or(|at| found.time >= at.plus(STRANGER_MARGIN).0);
        let counts = (is_a_version || !is_ours) && is_later && found.pays;
        Ok(if counts { Broadcast::Pays(found.hash) } else { Broadcast::Elsewhere })
    }
}

/// What a payment's authorization was used for.
pub(super) enum Broadcast {
    /// This transaction paid the seller, for this purchase.
    Pays(String),
    /// Another purchase, or nothing: it was canceled.
    Elsewhere,
    /// Nothing is seen on the chain.
    Unseen,
}

/// The transaction that used or canceled a payment's authorization.
pub(in crate::settlement) struct Use {
    /// Its hash.
    pub hash: String,
    /// The time of its block, in Unix seconds.
    pub time: u64,
    /// Who sent it.
    pub sender: Option<Address>,
    /// Whether it paid the seller what the payment says.
    pub pays: bool,
}

/// Who used or canceled a payment's authorization from a block on; `None` if nobody did.
///
/// # Errors
/// The nodes did not answer.
pub(in crate::settlement) async fn find_use<T: Transport>(
    nodes: &Nodes<T>,
    payment: &evm::VerifiedPayment,
    from_block: u64,
) -> Result<Option<Use>, Unavailable> {
    let call = Call::new("eth_getLogs", json_rpc::authorization_logs_params(payment, from_block));
    let silent = Unavailable::default;
    let logs = nodes.ask_again(&call, READ_TIMEOUT).await?.map_err(|_| silent())?;
    let log = logs.as_array().and_then(|logs| logs.first());
    let Some((hash, number)) = log.and_then(|log| {
        Some((log.get("transactionHash")?.as_str()?, log.get("blockNumber")?.clone()))
    }) else {
        return Ok(None);
    };
    let block = Call::new("eth_getBlockByNumber", json!([number, false]));
    let replies = nodes.ask(&[receipt_call(hash), block]).await?;
    let [Ok(receipt), Ok(block)] = replies.as_slice() else { return Err(silent()) };
    let read = Receipt::from_json(receipt).ok_or_else(silent)?;
    Ok(Some(Use {
        hash: hash.to_owned(),
        time: block.get("timestamp").and_then(json_rpc::parse_u64).ok_or_else(silent)?,
        sender: receipt.get("from").and_then(|from| from.as_str()?.parse().ok()),
        pays: evm::authorization_transferred(&read, payment),
    }))
}

/// Whether a payment's authorization is used or canceled; `None` if the token
/// does not say.
pub(in crate::settlement) async fn authorization_state<T: Transport>(
    nodes: &Nodes<T>,
    from: Address,
    payment: &evm::VerifiedPayment,
) -> Option<bool> {
    let data = evm::abi::authorization_state(payment.from(), payment.nonce());
    let call = evm::Call { to: payment.asset(), data };
    let call = Call::new("eth_call", json_rpc::call_params(from, &call, BlockTag::Latest));
    let result = nodes.ask_again(&call, READ_TIMEOUT).await.ok()?.ok()?;
    evm::abi::decode_bool(&json_rpc::parse_data(&result, 32)?)
}
