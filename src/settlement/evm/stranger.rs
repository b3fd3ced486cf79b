//! Payments whose authorization somebody else broadcast.
//!
//! Anyone who sees a `transferWithAuthorization` can send it first. The seller
//! is paid all the same, so the buyer who holds the claim gets the goods; but
//! an authorization that was used before the claim has bought something else.

use serde_json::json;

use super::follow::{read_receipt, receipt_call};
use super::{EvmLane, Waiting};
use crate::evm::{self, json_rpc};
use crate::rpc::{Call, READ_TIMEOUT};
use crate::settlement::settler::Fate;
use crate::settlement::{Host, Outcome, StoreError};
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
    /// the claim gets what it was for. One that was used before bought
    /// something else.
    pub(super) async fn paid_by_a_stranger(
        &self,
        waiting: &Waiting,
        block: u64,
    ) -> Option<Result<Outcome, StoreError>> {
        let request = &waiting.job.request;
        let claimed_at = match self.shared.held_record(&waiting.job) {
            Ok(record) => record?.claimed_at,
            Err(error) => return Some(Err(error)),
        };
        let from = block.saturating_sub(STRANGER_BLOCKS);
        let transaction =
            self.strangers_transaction(&waiting.payment, from, Some(claimed_at)).await?;
        let fate = Fate::Paid {
            payer: waiting.payment.payer(),
            amount: waiting.payment.value(),
            transaction,
        };
        Some(
            self.shared
                .settle_claim(request, &fate)
                .and_then(|()| self.standing_of(&request.payment)),
        )
    }

    /// The transaction in which somebody else used a payment's authorization
    /// and paid the seller with it: from a block on, and later than a claim.
    pub(super) async fn strangers_transaction(
        &self,
        payment: &evm::VerifiedPayment,
        from_block: u64,
        claimed_at: Option<UnixSeconds>,
    ) -> Option<String> {
        let call =
            Call::new("eth_getLogs", json_rpc::authorization_logs_params(payment, from_block));
        let logs = self.nodes.ask_again(&call, READ_TIMEOUT).await.ok()?.ok()?;
        let log = logs.as_array()?.first()?;
        let hash = log.get("transactionHash")?.as_str()?;
        let block = json!([log.get("blockNumber")?, false]);
        let calls = [receipt_call(hash), Call::new("eth_getBlockByNumber", block)];
        let replies = self.nodes.ask(&calls).await.ok()?;
        let [receipt, block] = replies.as_slice() else { return None };
        let receipt = read_receipt(receipt)?;
        let block_time = json_rpc::parse_u64(block.as_ref().ok()?.get("timestamp")?)?;
        let is_later = claimed_at.is_none_or(|at| block_time >= at.plus(STRANGER_MARGIN).0);
        (is_later && evm::authorization_transferred(&receipt, payment)).then(|| hash.to_owned())
    }
}
