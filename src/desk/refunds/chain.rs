//! Asking a chain for a refund.

use serde_json::Value;

use super::{HOUR, Look, Refund, Sender};
use crate::payment::refund::{
    Found, Lifetime, When, block_question, head_question, question, read_block_time, read_found,
    read_head, read_sender, send_call, sender_question,
};
use crate::protocol::ChainId;
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport};
use crate::settlement::ask_agreed;
use crate::time::UnixSeconds;

/// How long a transaction must have been told for somebody to ask all nodes whether it
/// can land at all, in seconds: most have landed by then.
const SOON: u64 = 20;

/// How many blocks an EVM chain must have made since one in which the transaction failed:
/// a reorganisation may let it succeed. So few that the dialog still waits.
const FAILED_FOR: u64 = 20;

/// Asks a network's nodes: one, or for a `quorum` until two say the same, as for a
/// payment of that amount.
pub async fn look<T: Transport>(
    nodes: &Nodes<T>,
    refund: &Refund,
    quorum: bool,
    now: UnixSeconds,
) -> Look {
    let Refund { network, transaction, signed, .. } = refund;
    // What was taken off is not sent any more. What the chain has it takes for a
    // repetition.
    if let Some(signed) = signed.as_ref().filter(|_| !refund.is_silent) {
        let _ = nodes.ask_again(&send_call(signed), READ_TIMEOUT).await;
    }
    let read = |it: &Value| read(refund, it);
    let Some(found) = ask_agreed(nodes, &question(*network, transaction), quorum, read).await
    else {
        return Look::NoAnswer;
    };
    let Some(found) = found else { return absent(nodes, refund, quorum, now).await };
    let Some(amount) = found.received else {
        return failed(nodes, *network, found.when, quorum).await;
    };
    let time = match found.when {
        When::At(time) => Some(time),
        When::InBlock(number) => {
            let call = block_question(*network, number);
            ask_agreed(nodes, &call, quorum, |it| read_block_time(*network, it)).await
        }
    };
    // Without a time nobody can tell that it is not older than the sale.
    time.map_or(Look::NoAnswer, |time| Look::Received { amount, time })
}

/// What became of the transaction: `Some(None)` if it is in no block.
#[allow(clippy::option_option)] // The outer one: whether this is an answer.
fn read(refund: &Refund, answer: &Value) -> Option<Option<Found>> {
    let Refund { network, transaction, asset, payer, .. } = refund;
    if answer.is_null() {
        return Some(None);
    }
    read_found(*network, (transaction, asset, payer), answer).map(Some)
}

/// What can be told of one that is in no block: whether a node has it, and whether it
/// can land.
async fn absent<T: Transport>(
    nodes: &Nodes<T>,
    refund: &Refund,
    quorum: bool,
    now: UnixSeconds,
) -> Look {
    let Refund { network, transaction, signed, sender, .. } = refund;
    let lifetime = match (sender, signed) {
        (Some(it), _) => Lifetime::Nonce(it.address.clone(), it.nonce),
        (None, Some(signed)) => match Lifetime::of_signed(signed) {
            Some(lifetime) => lifetime,
            None => return Look::Absent,
        },
        (None, None) => {
            if let Some(seen) = sender_of(nodes, refund, quorum).await {
                return Look::Seen(seen);
            }
            let is_late = now.since(refund.told_at) >= HOUR;
            let is_unknown = is_late && is_unknown(nodes, refund, quorum).await;
            return if is_unknown { Look::Unknown } else { Look::Absent };
        }
    };
    if now.since(refund.told_at) < SOON {
        return Look::Absent;
    }
    let needed = needed(quorum);
    // All nodes are asked, and for the transaction last: each that says that it is over
    // would show it by then, had it landed.
    let heads = each(nodes, &head_question(*network), |it| read_head(*network, it)).await;
    let ends = each(nodes, &lifetime.question(), |it| lifetime.has_ended(it)).await;
    if ends.len() < needed || !ends.iter().all(|has_ended| *has_ended) {
        return Look::Absent;
    }
    // Who sends it may have been told wrongly, and then another's nonce was asked for.
    let seen = sender_of(nodes, refund, quorum).await;
    if let Some(seen) = seen.filter(|seen| sender.as_ref() != Some(seen)) {
        return Look::Seen(seen);
    }
    let shown = each(nodes, &question(*network, transaction), |it| read(refund, it)).await;
    match heads.into_iter().min() {
        Some(block) if shown.len() >= needed && shown.iter().all(Option::is_none) => {
            Look::Dead { block }
        }
        _ => Look::Absent,
    }
}

/// What a failed transaction is taken for: on an EVM chain it is not final at once.
async fn failed<T: Transport>(
    nodes: &Nodes<T>,
    network: ChainId,
    when: When,
    quorum: bool,
) -> Look {
    let (ChainId::Evm(_), When::InBlock(number)) = (network, when) else { return Look::Failed };
    let heads = each(nodes, &head_question(network), |it| read_head(network, it)).await;
    let is_final = |head: &u64| *head >= number.saturating_add(FAILED_FOR);
    let is_enough = heads.len() >= needed(quorum);
    if is_enough && heads.iter().all(is_final) { Look::Failed } else { Look::Failing }
}

/// Who sends it and with which nonce, if a node has it; for a `quorum` two must say so.
async fn sender_of<T: Transport>(
    nodes: &Nodes<T>,
    refund: &Refund,
    quorum: bool,
) -> Option<Sender> {
    let Refund { network, transaction, .. } = refund;
    let call = sender_question(*network, transaction)?;
    let said = ask_agreed(nodes, &call, quorum, |it| read_sender(transaction, it)).await;
    said.map(|(address, nonce)| Sender { address, nonce })
}

/// Whether of all nodes that answer none has it.
async fn is_unknown<T: Transport>(nodes: &Nodes<T>, refund: &Refund, quorum: bool) -> bool {
    let Refund { network, transaction, .. } = refund;
    let Some(call) = sender_question(*network, transaction) else { return false };
    let has_it = |it: &Value| match it {
        Value::Null => Some(false),
        it => read_sender(transaction, it).map(|_| true),
    };
    let said = each(nodes, &call, has_it).await;
    said.len() >= needed(quorum) && !said.contains(&true)
}

/// How many nodes must answer.
const fn needed(quorum: bool) -> usize {
    if quorum { 2 } else { 1 }
}

/// What all nodes say that answer.
async fn each<T: Transport, P>(
    nodes: &Nodes<T>,
    call: &Call,
    read: impl Fn(&Value) -> Option<P>,
) -> Vec<P> {
    let replies = nodes.ask_each(call).await;
    replies.into_iter().filter_map(|it| read(&it.ok()?)).collect()
}
