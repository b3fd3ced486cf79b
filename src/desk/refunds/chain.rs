//! Asking a chain for a refund.

use serde_json::Value;

use super::{Look, Refund, Sender};
use crate::payment::refund::{
    Found, Lifetime, When, block_question, head_question, question, read_block_time, read_found,
    read_head, read_sender, send_call, sender_question,
};
use crate::rpc::{Call, Nodes, READ_TIMEOUT, Transport};
use crate::settlement::ask_agreed;
use crate::time::UnixSeconds;

/// How long a transaction must have been told for somebody to ask all nodes whether it
/// can land at all, in seconds: most have landed by then.
const SOON: u64 = 20;

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
    let Some(amount) = found.received else { return Look::Failed };
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
            let Some(call) = sender_question(*network, transaction) else { return Look::Absent };
            let seen = ask_agreed(nodes, &call, false, |it| read_sender(transaction, it)).await;
            return match seen {
                Some((address, nonce)) => Look::Seen(Sender { address, nonce }),
                None => Look::Absent,
            };
        }
    };
    if now.since(refund.told_at) < SOON {
        return Look::Absent;
    }
    let needed = if quorum { 2 } else { 1 };
    // All nodes are asked, and for the transaction last: each that says that it is over
    // would show it by then, had it landed.
    let heads = each(nodes, &head_question(*network), |it| read_head(*network, it)).await;
    let ends = each(nodes, &lifetime.question(), |it| lifetime.has_ended(it)).await;
    if ends.len() < needed || !ends.iter().all(|has_ended| *has_ended) {
        return Look::Absent;
    }
    let shown = each(nodes, &question(*network, transaction), |it| read(refund, it)).await;
    match heads.into_iter().min() {
        Some(block) if shown.len() >= needed && shown.iter().all(Option::is_none) => {
            Look::Dead { block }
        }
        _ => Look::Absent,
    }
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
