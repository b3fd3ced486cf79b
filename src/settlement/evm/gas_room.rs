//! How much gas of a block is there for our transactions.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use serde_json::Value;

use crate::evm::{Receipt, json_rpc};
use crate::rpc::Reply;
use crate::time::UnixSeconds;

/// How often a block's gas limit is asked for, in seconds: it changes by a thousandth
/// with each block at most, and on some chains when somebody says so.
const LIMIT_SECONDS: u64 = 600;

/// Of how many blocks a history is read at most, and of how many of our transactions it
/// is remembered which block they are in.
const BLOCKS_MAX: usize = 16;
const OWN_MAX: usize = 128;

/// What any transaction uses, whatever it does.
const BASE_GAS: u64 = 21_000;

/// How much gas a block has, and what of it others use.
#[derive(Default)]
pub(super) struct GasRoom {
    /// When a node was last asked for the gas limit of a block.
    asked_at: Cell<Option<UnixSeconds>>,
    /// That limit; 0 if no node has told it.
    limit: Cell<u64>,
    /// How much gas of a block others have used, on the average of the latest ones.
    others: Cell<u64>,
    /// Our latest transactions: in which block each is, its hash, and the gas it has used.
    own: RefCell<VecDeque<(u64, [u8; 32], u64)>>,
    /// What a payment uses that shares a transaction; 0 if none has landed yet.
    each: Cell<u64>,
}

impl GasRoom {
    /// Whether a block's gas limit is to be asked for.
    pub(super) fn is_to_ask(&self, now: UnixSeconds) -> bool {
        self.asked_at.get().is_none_or(|at| now.since(at) >= LIMIT_SECONDS)
    }

    /// What a node says of a block (`eth_getBlockByNumber`). One that says nothing of its
    /// gas isn't asked more often than others.
    pub(super) fn note_block(&self, block: &Reply, now: UnixSeconds) {
        self.asked_at.set(Some(now));
        let limit = block.as_ref().ok().and_then(|it| json_rpc::parse_u64(it.get("gasLimit")?));
        if let Some(limit) = limit.filter(|limit| *limit > 0) {
            self.limit.set(limit);
        }
    }

    /// How full the latest blocks were (`eth_feeHistory`): without what is ours.
    ///
    /// What of ours is in a block and has no receipt yet counts as others', until the next
    /// preview after that.
    pub(super) fn note_history(&self, history: &Reply) {
        let Ok(history) = history else { return };
        let first = history.get("oldestBlock").and_then(json_rpc::parse_u64);
        let ratios = history.get("gasUsedRatio").and_then(Value::as_array);
        let (Some(mut block), Some(ratios)) = (first, ratios) else { return };
        let own = self.own.borrow();
        let (mut sum, mut count) = (0_u64, 0);
        for ratio in ratios.iter().take(BLOCKS_MAX) {
            let used = part_of(self.limit.get(), ratio.as_f64().unwrap_or(0.0));
            let own = own.iter().filter(|(at, ..)| *at == block).map(|(.., gas)| gas);
            let own = own.fold(0_u64, |sum, gas| sum.saturating_add(*gas));
            sum = sum.saturating_add(used.saturating_sub(own));
            (block, count) = (block.saturating_add(1), count + 1);
        }
        self.others.set(sum.checked_div(count).unwrap_or(0));
    }

    /// A transaction of ours with this gas limit is in a block: one of so many payments,
    /// or 0 if not all that it carried are known.
    pub(super) fn note_own(&self, receipt: &Receipt, most: u64, payments: usize) {
        let mut own = self.own.borrow_mut();
        if own.iter().any(|(_, hash, _)| *hash == receipt.transaction_hash) {
            return;
        }
        // Whatever a node says.
        let gas = receipt.gas_used.min(most);
        own.push_back((receipt.block_number, receipt.transaction_hash, gas));
        if own.len() > OWN_MAX {
            own.pop_front();
        }
        // What failed may have used anything.
        if receipt.succeeded && payments > 1 {
            self.each.set(gas.saturating_sub(BASE_GAS) / payments as u64);
        }
    }

    /// How much gas of a block is there for us, and how much of it a payment uses that
    /// shares a transaction; `None` if that isn't known.
    ///
    /// Half of the block at least: with more than that in it the base fee goes up
    /// (EIP-1559) until it is no more, and ours pay for a base fee twice as high.
    pub(super) fn free(&self) -> Option<(u64, u64)> {
        let (limit, each) = (self.limit.get(), self.each.get());
        let room = limit.saturating_sub(self.others.get()).max(limit / 2);
        (room > 0 && each > 0).then_some((room, each))
    }
}

/// Such a part of an amount of gas: between nothing and all of it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and 1,000.
fn part_of(limit: u64, ratio: f64) -> u64 {
    let thousandths = (ratio.clamp(0.0, 1.0) * 1_000.0) as u64;
    (limit / 1_000).saturating_mul(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

    const NOW: UnixSeconds = UnixSeconds(1_000);

    /// Blocks of so much gas, where a payment uses 45,000 of it.
    fn room(limit: &str) -> GasRoom {
        let room = GasRoom::default();
        room.note_block(&Ok(json!({ "gasLimit": limit })), NOW);
        room.note_own(&receipt(1, "1", true, 1_821_000), 2_500_000, 40);
        room
    }

    fn receipt(block: u64, digit: &str, succeeded: bool, gas: u64) -> Receipt {
        let receipt = json!({
            "status": if succeeded { "0x1" } else { "0x0" }, "logs": [],
            "transactionHash": format!("0x{}", digit.repeat(64)),
            "blockNumber": format!("{block:#x}"), "gasUsed": format!("{gas:#x}"),
        });
        Receipt::from_json(&receipt).unwrap()
    }

    fn note(room: &GasRoom, oldest: &str, ratios: &[f64]) {
        room.note_history(&Ok(json!({ "oldestBlock": oldest, "gasUsedRatio": ratios })));
    }

    #[test]
    fn what_others_use_is_not_there_and_what_is_ours_is() {
        let room = room("0x989680"); // 10,000,000
        assert_eq!(room.free(), Some((10_000_000, 45_000)));
        note(&room, "0x64", &[0.25, 0.35]);
        assert_eq!(room.free(), Some((7_000_000, 45_000)));
        // In the second of them 2,000,000 were ours, however often that is heard.
        for (block, digit) in [(101, "a"), (101, "a"), (102, "b")] {
            room.note_own(&receipt(block, digit, true, 2_000_000), 2_500_000, 0);
        }
        note(&room, "0x64", &[0.25, 0.35]);
        assert_eq!(room.free(), Some((8_000_000, 45_000)));
    }

    #[test]
    fn half_of_a_full_block_is_there() {
        let room = room("0x989680");
        note(&room, "0x64", &[1.0, 1.0]);
        assert_eq!(room.free(), Some((5_000_000, 45_000)));
    }

    #[test]
    fn whatever_a_node_says_is_taken_for_no_more_than_can_be() {
        let room = room("0xffffffffffffffff");
        room.note_own(&receipt(9, "c", true, u64::MAX), 2_500_000, 2);
        assert_eq!(room.free(), Some((u64::MAX, 1_239_500)));
        room.note_own(&receipt(u64::MAX, "d", true, 1), u64::MAX, 2);
        assert_eq!(room.free(), None, "it would cost nothing");
        room.note_own(&receipt(u64::MAX, "e", true, u64::MAX), u64::MAX, 0);
        room.note_own(&receipt(u64::MAX, "f", false, 100), 100, 2);
        room.note_own(&receipt(10, "2", true, 111_000), 150_000, 2);
        note(&room, "0xffffffffffffffff", &[-3.0, 1e300, 0.5]);
        note(&room, "0xffffffffffffffff", &[]);
        note(&room, "0x1", &vec![0.0; 100_000]);
        assert_eq!(room.free(), Some((u64::MAX, 45_000)));
        // Chains that have no limit to speak of.
        room.note_block(&Ok(json!({ "gasLimit": "0x4000000000000" })), NOW);
        note(&room, "0x1", &[0.000_000_1]);
        assert_eq!(room.free(), Some((1 << 50, 45_000)));
    }

    #[test]
    fn where_a_node_does_not_say_it_nothing_is_known() {
        for block in [json!(null), json!({ "gasLimit": "?" }), json!({ "gasLimit": "0x0" })] {
            let room = GasRoom::default();
            assert!(room.is_to_ask(NOW));
            room.note_block(&Ok(block), NOW);
            room.note_own(&receipt(1, "1", true, 1_821_000), 2_500_000, 40);
            note(&room, "0x64", &[0.5]);
            assert_eq!(room.free(), None);
            assert!(!room.is_to_ask(NOW.plus(599)) && room.is_to_ask(NOW.plus(600)));
        }
        let room = room("0x989680");
        room.note_history(&Ok(json!({ "oldestBlock": "0x1" })));
        assert_eq!(room.free(), Some((10_000_000, 45_000)));
        // Of one that goes alone nothing is learned.
        let room = GasRoom::default();
        room.note_block(&Ok(json!({ "gasLimit": "0x989680" })), NOW);
        room.note_own(&receipt(1, "1", true, 80_000), 100_000, 1);
        assert_eq!(room.free(), None);
    }
}
