//! Asking the seller's own nodes what became of a payment whose settling is
//! unclear. EVM only.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::RemoteLane;
use crate::amount::AtomicAmount;
use crate::evm::{self, BlockTag, json_rpc};
use crate::facilitator_client::Settled;
use crate::json::json;
use crate::payment::VerifiedPayment;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport};
use crate::settlement::closing::Resolution;
use crate::settlement::evidence::{UsedBy, authorization_call, authorization_state};
use crate::settlement::journal::FacilitatorEntry;
use crate::settlement::per_token::PerToken;
use crate::settlement::search::{Search, find_use};
use crate::settlement::{Host, Store, StoreError};
use crate::time::UnixSeconds;

/// How far the chain is looked back at in one step, in blocks; each step is
/// four times as long as the last.
const LOOK_BACK_BLOCKS: u64 = 500;
const LOOK_BACK_STEPS: u32 = 8;

/// What the chain says of a payment whose settling is unclear.
pub(super) enum Observation {
    /// It was paid, after our request was written down.
    Paid(Resolution),
    /// Nobody has used it.
    Unused {
        /// Whether nobody can any more: that is so as of a block of its end, or of a
        /// later time.
        for_good: bool,
    },
    /// It is used, and it is not known yet by whom.
    Used,
    /// It paid for something else, or nobody.
    Elsewhere,
    /// There is no chain to ask, or it doesn't answer.
    Silent,
}

impl<H: Host> RemoteLane<H> {
    /// Makes a request for the first time, and sees meanwhile in which block
    /// its payment was not used yet: nobody waits for that.
    pub(super) async fn first_request(
        &self,
        entry: &mut FacilitatorEntry,
        payment: &VerifiedPayment,
        key: &str,
    ) -> Settled {
        let settling =
            pin!(self.facilitator.settle(&self.http, self.network, &entry.sent.body, key));
        let (said, block) = match select(settling, pin!(self.unused_in(payment))).await {
            Either::Left((said, _)) => (said, None),
            Either::Right((block, settling)) => (settling.await, block),
        };
        entry.sent.looked_from = block.or(entry.sent.looked_from);
        said
    }

    /// The latest block, if a payment is not used in it.
    async fn unused_in(&self, payment: &VerifiedPayment) -> Option<u64> {
        let (nodes, payment) = self.nodes_of(payment)?;
        let latest = Call::new("eth_blockNumber", json!([]));
        // The block first: what is unused after it was unused in it.
        let state = authorization_call(payment.to(), payment, BlockTag::Latest);
        let replies = nodes.ask(&[latest, state]).await.ok()?;
        let [Ok(latest), Ok(state)] = replies.as_slice() else { return None };
        let is_used = payment.read_used(&json_rpc::parse_data(state, 32)?)?;
        json_rpc::parse_u64(latest).filter(|_| !is_used)
    }

    /// Asks the chain what became of a payment. What used it since our request
    /// was written down is what we had settled, and nothing earlier is: another
    /// gate of the same seller may have sold for it.
    pub(super) async fn look(
        &self,
        entry: &mut FacilitatorEntry,
        payment: &VerifiedPayment,
    ) -> Result<Observation, StoreError> {
        let Some((nodes, payment)) = self.nodes_of(payment) else { return Ok(Observation::Silent) };
        let looked_from = match entry.sent.looked_from {
            Some(block) => block,
            None => match block_before(nodes, entry.written_at.0).await {
                Some(block) => block,
                None => return Ok(Observation::Silent),
            },
        };
        let quorum = &self.quorum_above;
        // What it was used for counts from the second of the writing on. No
        // transaction is our own here, so there are no senders to leave out.
        let resolution_of = |found: UsedBy| found.resolution_since(entry.written_at, &[]);
        let observed =
            |found| resolution_of(found).map_or(Observation::Elsewhere, Observation::Paid);
        let (start, mut search) = (looked_from.saturating_add(1), Search::default());
        let found = find_use(nodes, payment, &mut search, start, quorum).await;
        // Later looks begin where this one ended, or where it did if it is in doubt.
        let looked = if search.in_doubt { looked_from } else { search.from.saturating_sub(1) };
        entry.sent.looked_from = Some(if search.from == 0 { looked_from } else { looked });
        self.shared.store.submit(&entry.row(), &[])?;
        if let Ok(Some(found)) = found {
            return Ok(observed(found));
        }
        let state = match found {
            Ok(_) => {
                let asked = (payment.to(), BlockTag::Latest);
                authorization_state(nodes, asked, payment, quorum).await
            }
            Err(problem) => {
                self.log(&problem.to_string());
                None
            }
        };
        Ok(match state {
            // The number of the block was a node's word.
            Some(true) => match find_use(nodes, payment, &mut search, start, quorum).await {
                Ok(Some(found)) => observed(found),
                Ok(None) | Err(_) => Observation::Used,
            },
            Some(false) => {
                let end = entry.sent.expires_at;
                let is_over = self.shared.host.now() >= end;
                let for_good = is_over && is_unused_for_good(nodes, payment, end, quorum).await;
                Observation::Unused { for_good }
            }
            None => Observation::Silent,
        })
    }
}

/// Whether nobody has used a payment as of a block in which it can't be used any more.
/// One node may tell the time of its latest block, and another one, which stands still,
/// that the payment is unused: so it is asked as of that very block, and a node that
/// doesn't have it says nothing. It is one that all have who have come so far.
async fn is_unused_for_good<T: Transport>(
    nodes: &Nodes<T>,
    payment: &evm::VerifiedPayment,
    end: UnixSeconds,
    quorum_above: &PerToken<AtomicAmount>,
) -> bool {
    let Some(block) = first_latest_since(nodes, end).await else { return false };
    let asked = (payment.to(), BlockTag::Number(block));
    authorization_state(nodes, asked, payment, quorum_above).await == Some(false)
}

/// The number of the first block that one of the nodes calls its latest, of those that
/// are of this time or later: a node that stands still is in nobody's way.
async fn first_latest_since<T: Transport>(nodes: &Nodes<T>, time: UnixSeconds) -> Option<u64> {
    let call = Call::new("eth_getBlockByNumber", json!(["latest", false]));
    let blocks = nodes.ask_each(&call).await.into_iter().filter_map(|block| {
        let block = block.ok()?;
        let made_at = json_rpc::parse_u64(block.get("timestamp")?)?;
        let number = json_rpc::parse_u64(block.get("number")?)?;
        (made_at >= time.0).then_some(number)
    });
    blocks.min()
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
