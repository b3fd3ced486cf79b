//! Who used a payment's authorization: looked for in the logs, page by page.
//!
//! One search asks so many questions and no more. How far it has got is
//! written down ([`Search`]), and the next one goes on from there. What a node
//! does not answer leaves the search in doubt: it goes on, because a later log
//! may prove the use, and where none does it begins anew.

use std::iter::once;

use serde_json::Value;

use super::evidence::{Unknown, UsedBy, ask_agreed, needs_quorum, receipt_of, use_in};
use crate::amount::AtomicAmount;
use crate::evm::{
    self, BlockTag, Clue, MULTICALL3, NonceQuestion, json_rpc, questions_call, read_questions,
};
use crate::json::json;
use crate::json_struct;
use crate::rpc::{Call, Nodes, Transport};
use crate::settlement::per_token::PerToken;

/// How far back a use is looked for again once all blocks were looked through.
const LOOK_BACK_BLOCKS: u64 = 500;

/// Of how many blocks the logs are asked for at first, and at least: nodes
/// bound that, some of them to 10. A page that is refused is quartered.
const PAGE_BLOCKS: u64 = 2_000;
const SMALLEST_PAGE: u64 = 8;

/// How often one search asks for logs.
const MOST_PAGES: usize = 24;

/// Of how many transactions one search reads the calldata, as far as they are in
/// different blocks, and as how many one counts of which the nodes don't tell.
const MOST_CLUES: usize = 64;
const CLUES_PER_DOUBT: usize = 16;

/// How many words of Permit2's bitmap are asked for at once, and how many one by
/// one where there is no Multicall3.
const WORDS_PER_CALL: usize = 128;
const MOST_WORDS_ALONE: usize = 32;

/// The longest calldata that is read, in bytes: what a transaction may hold.
const MOST_CALLDATA: usize = 128 * 1024;

/// The progress of the search for a payment's use in the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The block with which it goes on; 0 if it begins.
    pub from: u64,
    /// Whether something before that block may have been the use, and no node
    /// tells: then nothing follows from what is not found, and it begins anew.
    pub in_doubt: bool,
}

json_struct!(Search { from, in_doubt });

/// A transaction that may have used a payment.
#[derive(PartialEq, Eq)]
struct Suspect {
    hash: String,
    block: u64,
    /// Whether a log says so; else its calldata must.
    is_certain: bool,
}

/// Who used or canceled a payment's authorization from the block `start` on;
/// `None` if all blocks were looked through and nobody did.
///
/// A search after that looks through the last blocks again, and begins earlier
/// than `start` if that is one of them: it was a node's word.
///
/// # Errors
/// The nodes did not answer, or don't agree, or there is more to look through.
pub(super) async fn find_use<T: Transport>(
    nodes: &Nodes<T>,
    payment: &evm::VerifiedPayment,
    search: &mut Search,
    start: u64,
    quorum_above: &PerToken<AtomicAmount>,
) -> Result<Option<UsedBy>, Unknown> {
    let quorum = needs_quorum(&[payment], quorum_above);
    let latest = Call::new("eth_blockNumber", json!([]));
    let latest = ask_agreed(nodes, &latest, false, json_rpc::parse_u64).await.ok_or(Unknown)?;
    let again_from = latest.saturating_sub(LOOK_BACK_BLOCKS);
    if search.from == 0 {
        let from = if search.in_doubt { start.min(again_from) } else { start };
        *search = Search { from, in_doubt: false };
    }
    // No block has such a number yet.
    if search.from > latest {
        search.from = again_from;
    }
    let (mut page, mut clues_left) = (PAGE_BLOCKS, MOST_CLUES);
    for _ in 0..MOST_PAGES {
        let end = search.from.saturating_add(page - 1);
        let is_last = end >= latest;
        let to = if is_last { BlockTag::Latest } else { BlockTag::Number(end) };
        let call = Call::new("eth_getLogs", payment.trace(search.from, to));
        let read = |logs: &Value| read_suspects(payment, logs);
        let Some(suspects) = ask_agreed(nodes, &call, quorum, read).await else {
            if page <= SMALLEST_PAGE {
                break;
            }
            page = (page / 4).max(SMALLEST_PAGE);
            continue;
        };
        for suspect in &suspects {
            // The next search goes on with a whole block.
            if clues_left == 0 && suspect.block > search.from {
                search.from = suspect.block;
                return Err(Unknown);
            }
            search.from = search.from.max(suspect.block);
            clues_left = clues_left.saturating_sub(1);
            match use_by(nodes, payment, suspect, quorum).await {
                Ok(None) => {}
                Ok(found) => {
                    if search.in_doubt {
                        search.from = 0;
                    }
                    return Ok(found);
                }
                Err(Unknown) => {
                    search.in_doubt = true;
                    clues_left = clues_left.saturating_sub(CLUES_PER_DOUBT);
                }
            }
        }
        if is_last {
            search.from = if search.in_doubt { 0 } else { again_from };
            return if search.in_doubt { Err(Unknown) } else { Ok(None) };
        }
        search.from = end.saturating_add(1);
    }
    Err(Unknown)
}

/// The use, if this transaction was it.
async fn use_by<T: Transport>(
    nodes: &Nodes<T>,
    payment: &evm::VerifiedPayment,
    suspect: &Suspect,
    quorum: bool,
) -> Result<Option<UsedBy>, Unknown> {
    let mut named = vec![];
    if !suspect.is_certain {
        let call = Call::new("eth_getTransactionByHash", json!([suspect.hash]));
        let calldata = ask_agreed(nodes, &call, quorum, read_calldata).await.ok_or(Unknown)?;
        named = payment.named_in(&calldata);
        if named.is_empty() {
            return Ok(None);
        }
    }
    let (receipt, sender) = receipt_of(nodes, &suspect.hash, quorum).await?;
    let used = if suspect.is_certain {
        Some(1)
    } else {
        used_in(nodes, &named, receipt.block_number, quorum).await?
    };
    match used {
        Some(used) => use_in(nodes, payment, receipt, sender, used, quorum).await.map(Some),
        None => Ok(None),
    }
}

/// How many of these nonces were used in a block; `None` if the first was not.
///
/// Names are free, so there may be thousands: they are asked about by the words
/// of the bitmap that they are in, each word once.
///
/// # Errors
/// A node does not tell: not all keep what was.
async fn used_in<T: Transport>(
    nodes: &Nodes<T>,
    named: &[NonceQuestion],
    block: u64,
    quorum: bool,
) -> Result<Option<usize>, Unknown> {
    let mut words: Vec<&evm::Call> = vec![];
    for question in named {
        if !words.contains(&&question.call) {
            words.push(&question.call);
        }
    }
    let (own, others) = words.split_at(words.len().min(1));
    let mut used = 0;
    // The payment's own word first: mostly it says all.
    for words in once(own).chain(others.chunks(WORDS_PER_CALL)) {
        let after = read_words(nodes, words, block, quorum).await?;
        let before = read_words(nodes, words, block.saturating_sub(1), quorum).await?;
        let was_used = |question: &NonceQuestion| {
            let place = words.iter().position(|word| **word == question.call)?;
            let is_set = |answers: &[Vec<u8>]| question.read(answers.get(place)?);
            Some(is_set(&after) == Some(true) && is_set(&before) == Some(false))
        };
        if used == 0 && named.first().and_then(was_used) != Some(true) {
            return Ok(None);
        }
        used += named.iter().filter(|question| was_used(question) == Some(true)).count();
    }
    Ok(Some(used))
}

/// What these words of Permit2's bitmap were after a block.
async fn read_words<T: Transport>(
    nodes: &Nodes<T>,
    words: &[&evm::Call],
    block: u64,
    quorum: bool,
) -> Result<Vec<Vec<u8>>, Unknown> {
    let at = |call: &evm::Call| {
        Call::new("eth_call", json_rpc::call_params(call.to, call, BlockTag::Number(block)))
    };
    let word = |data: &Value| json_rpc::parse_data(data, 32).filter(|it| it.len() == 32);
    if words.len() > 1 {
        let most = 64 + 160 * words.len();
        let read = |data: &Value| read_questions(&json_rpc::parse_data(data, most)?, words.len());
        let call = at(&questions_call(words, MULTICALL3));
        match ask_agreed(nodes, &call, quorum, read).await {
            Some(answers) if answers.iter().all(|it| it.len() == 32) => return Ok(answers),
            _ if words.len() > MOST_WORDS_ALONE => return Err(Unknown),
            _ => {}
        }
    }
    let mut answers = vec![];
    for call in words {
        answers.push(ask_agreed(nodes, &at(call), quorum, word).await.ok_or(Unknown)?);
    }
    Ok(answers)
}

/// The transactions of these logs that may have used a payment, each once, in
/// the order of their blocks.
fn read_suspects(payment: &evm::VerifiedPayment, logs: &Value) -> Option<Vec<Suspect>> {
    let mut suspects: Vec<Suspect> = vec![];
    for log in logs.as_array()? {
        let is_certain = match payment.clue(log) {
            Clue::Certain => true,
            Clue::Calldata => false,
            Clue::None => continue,
        };
        let hash = log.get("transactionHash")?.as_str()?;
        let block = json_rpc::parse_u64(log.get("blockNumber")?)?;
        if let Some(known) = suspects.iter_mut().find(|known| known.hash == hash) {
            known.is_certain |= is_certain;
        } else {
            let place = suspects.partition_point(|other| other.block <= block);
            suspects.insert(place, Suspect { hash: hash.to_owned(), block, is_certain });
        }
    }
    Some(suspects)
}

fn read_calldata(transaction: &Value) -> Option<Vec<u8>> {
    let input = transaction.get("input")?;
    json_rpc::parse_data(input, MOST_CALLDATA)
}
