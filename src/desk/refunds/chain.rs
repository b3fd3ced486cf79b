//! Asking a chain for a refund.

use super::{Look, Refund};
use crate::payment::refund::{
    When, block_question, question, read_block_time, read_found, send_call,
};
use crate::rpc::{Nodes, READ_TIMEOUT, Transport};
use crate::settlement::ask_agreed;

/// Asks a network's nodes: one, or for a `quorum` until two say the same, as for a
/// payment of that amount.
pub async fn look<T: Transport>(nodes: &Nodes<T>, refund: &Refund, quorum: bool) -> Look {
    let Refund { network, transaction, asset, payer, signed, .. } = refund;
    if let Some(signed) = signed {
        // What the chain has it takes for a repetition.
        let _ = nodes.ask_again(&send_call(signed), READ_TIMEOUT).await;
    }
    let call = question(*network, transaction);
    let names = (transaction.as_str(), asset.as_str(), payer.as_str());
    let found = ask_agreed(nodes, &call, quorum, |it| read_found(*network, names, it)).await;
    let Some(found) = found else { return Look::Nothing };
    let Some(amount) = found.received else { return Look::Failed };
    let time = match found.when {
        When::At(time) => time,
        When::InBlock(number) => {
            let call = block_question(number);
            match ask_agreed(nodes, &call, quorum, read_block_time).await {
                Some(time) => Some(time),
                None => return Look::Nothing,
            }
        }
    };
    Look::Received { amount, time }
}
