//! Asking the seller's own nodes what became of a payment whose settling is
//! unclear. EVM only.

use serde_json::json;

use super::RemoteLane;
use crate::evm::json_rpc;
use crate::exact::VerifiedPayment;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport};
use crate::settlement::evm::stranger::{authorization_state, find_use};
use crate::settlement::{Host, JournalEntry, Store, StoreError};
use crate::time::UnixSeconds;

/// How far the chain is looked back at in one step, in blocks; each step is
/// four times as long as the last.
const LOOK_BACK_BLOCKS: u64 = 500;
const LOOK_BACK_STEPS: u32 = 8;

/// How far the chain's clock may be behind ours, in seconds, for what it holds
/// to be later than our request.
///
/// Too little, and what the facilitator settled for us is taken for another
/// purchase: the buyer has paid for nothing. Too much, and an authorization
/// that bought something at another gate of the same seller, between our
/// check and our request, buys here as well.
const CLOCK_LAG: u64 = 10;

/// What the chain says of a payment whose settling is unclear.
pub(super) enum Look {
    /// This transaction paid it, after it was claimed.
    Paid(String),
    /// Nobody has used it.
    Unused,
    /// It is used, and it is not known yet by whom.
    Used,
    /// It paid for something else, or nobody.
    Elsewhere,
    /// There is no chain to ask, or it doesn't answer.
    Silent,
}

impl<H: Host> RemoteLane<H> {
    /// Asks the chain what became of a payment. The facilitator has said that
    /// it was unused after the claim: a transfer since our request is what we
    /// had settled.
    pub(super) async fn look(
        &self,
        entry: &mut JournalEntry,
        payment: &VerifiedPayment,
        claimed_at: UnixSeconds,
    ) -> Result<Look, StoreError> {
        let Some((nodes, payment)) = self.nodes_of(payment) else { return Ok(Look::Silent) };
        let earliest = claimed_at.0.max(entry.written_at.0.saturating_sub(CLOCK_LAG));
        if entry.seen_block == 0 {
            let Some(block) = block_before(nodes, earliest).await else {
                return Ok(Look::Silent);
            };
            entry.seen_block = block.max(1);
            // Later looks begin where this one did.
            self.shared.store.submit(entry, &[])?;
        }
        Ok(match find_use(nodes, payment, entry.seen_block).await {
            Ok(Some(found)) if found.pays && found.time >= earliest => Look::Paid(found.hash),
            Ok(Some(_)) => Look::Elsewhere,
            Ok(None) => match authorization_state(nodes, payment.to(), payment).await {
                Some(true) => Look::Used,
                Some(false) => Look::Unused,
                None => Look::Silent,
            },
            Err(problem) => {
                self.log(&problem.to_string());
                Look::Silent
            }
        })
    }
}

/// A block that is older than a time, and not much older. The nodes may have
/// been silent for long, so it is found by the blocks' own times.
async fn block_before<T: Transport>(nodes: &Nodes<T>, time: u64) -> Option<u64> {
    let latest = Call::new("eth_blockNumber", json!([]));
    let latest = nodes.ask_once(&latest, READ_TIMEOUT).await.ok()?.ok()?;
    let latest = json_rpc::parse_u64(&latest)?;
    for step in 0..LOOK_BACK_STEPS {
        let number = latest.saturating_sub(LOOK_BACK_BLOCKS << (2 * step));
        let call =
            Call::new("eth_getBlockByNumber", json!([json_rpc::quantity(number.into()), false]));
        let block = nodes.ask_again(&call, READ_TIMEOUT).await.ok()?.ok()?;
        if number == 0 || json_rpc::parse_u64(block.get("timestamp")?)? < time {
            return Some(number);
        }
    }
    None
}
