//! Whether whoever comes now can be told in time what becomes of a payment: from how
//! fast blocks come, and how much goes into one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::pump::PAYER_IN_AIR_MAX;
use super::spoiled::LONE_IN_AIR_MAX;
use super::{EvmLane, IN_AIR_MAX};
use crate::evm::Address;
use crate::settlement::Host;
use crate::settlement::shared::JOIN_LIMIT;
use crate::time::UnixSeconds;

/// How many blocks are remembered, and for how long, in seconds.
const BLOCKS_MAX: usize = 16;
const BLOCK_SECONDS: u64 = 600;

/// Over how many blocks the pace is known.
const BLOCKS_LEAST: u64 = 3;

/// Of how many payments it is remembered whether they were good: of those that share
/// transactions, and of those that go alone, which are previewed one by one.
const SHARING_MAX: u64 = 512;
const ALONE_MAX: u64 = 64;

/// How long after its block a payment's end is told, in seconds.
const TELLING_SECONDS: u64 = 1;

/// How fast blocks come, and how many of those that wait go out.
#[derive(Default)]
pub(super) struct Pace {
    /// The latest blocks, and when each was first seen.
    blocks: RefCell<VecDeque<(u64, UnixSeconds)>>,
    /// What became of the latest previews: of those that share, and of those that go
    /// alone. Apart, because whoever fills one queue with payments without money must
    /// not be taken for the buyers in the other one.
    sharing: Share,
    alone: Share,
}

/// How many payments were previewed lately, and how many of them were good.
#[derive(Default)]
struct Share(Cell<(u64, u64)>);

impl Share {
    fn note(&self, good: usize, refused: usize, most: u64) {
        let (mut all, mut of_them) = self.0.get();
        all = all.saturating_add(good as u64).saturating_add(refused as u64);
        of_them = of_them.saturating_add(good as u64);
        while all > most {
            (all, of_them) = (all / 2, of_them.div_ceil(2));
        }
        self.0.set((all, of_them));
    }

    /// How many of so many that wait are going to go out, as far as can be told: who
    /// has no money takes nobody's place in a block.
    fn good_of(&self, waiting: usize) -> usize {
        let (all, good) = self.0.get();
        if all == 0 {
            return waiting;
        }
        let good = (waiting as u64).saturating_mul(good).div_ceil(all);
        usize::try_from(good).unwrap_or(usize::MAX)
    }
}

impl Pace {
    /// A block is there.
    pub(super) fn note_block(&self, block: u64, now: UnixSeconds) {
        let mut blocks = self.blocks.borrow_mut();
        // First of all: a number that a node has made up stands in the way no longer.
        while blocks.front().is_some_and(|(_, at)| now.since(*at) > BLOCK_SECONDS) {
            blocks.pop_front();
        }
        if blocks.back().is_some_and(|(latest, _)| *latest >= block) {
            return;
        }
        blocks.push_back((block, now));
        while blocks.len() > BLOCKS_MAX {
            blocks.pop_front();
        }
    }

    /// So many payments were good in a preview, and so many were refused. What has to
    /// wait is previewed again.
    pub(super) fn note_batch(&self, is_alone: bool, good: usize, refused: usize) {
        let (share, most) =
            if is_alone { (&self.alone, ALONE_MAX) } else { (&self.sharing, SHARING_MAX) };
        share.note(good, refused, most);
    }

    /// Whether it is known how fast blocks come.
    pub(super) fn is_known(&self) -> bool {
        let blocks = self.blocks.borrow();
        let ends = blocks.front().zip(blocks.back());
        ends.is_some_and(|((first, _), (latest, _))| latest.saturating_sub(*first) >= BLOCKS_LEAST)
    }

    /// In how many seconds the payment in this line has landed. `None` if that isn't
    /// known, or it goes out at once.
    fn until_landed(&self, lines: &[Line], now: UnixSeconds) -> Option<u64> {
        let blocks = self.blocks.borrow();
        let ((first, since), (latest, at)) = (*blocks.front()?, *blocks.back()?);
        let count = latest.saturating_sub(first);
        let rounds = lines.iter().map(Line::rounds).max().unwrap_or(0);
        if count < BLOCKS_LEAST || rounds == 0 {
            return None;
        }
        let span = at.since(since);
        // One that is overdue has still to come.
        let next = (span / count).saturating_sub(now.since(at)).max(1);
        Some(next.saturating_add(rounds.saturating_mul(span) / count))
    }
}

/// A place in a line.
#[derive(Clone, Copy)]
struct Line {
    /// How many are before it.
    before: usize,
    /// How many of those go out at once.
    free: usize,
    /// How many more go out with each block that comes.
    each: usize,
}

impl Line {
    /// Before all.
    const NONE: Self = Self { before: 0, free: 1, each: 1 };

    /// How many blocks come before it goes out itself.
    fn rounds(&self) -> u64 {
        // It is behind those that go out at once: what comes after them waits for it.
        let behind = self.before.saturating_add(1).saturating_sub(self.free);
        behind.div_ceil(self.each.max(1)) as u64
    }
}

impl<H: Host> EvmLane<H> {
    /// For whoever comes now with a payment, one that goes alone or not, and has code or
    /// not, and can't be told in time what becomes of it: in how many seconds that may be
    /// otherwise.
    pub(super) fn too_late_in_line(
        &self,
        payer: Address,
        goes_alone: bool,
        has_code: bool,
    ) -> Option<u64> {
        if let Some(seconds) = self.comes_after_others(payer).filter(|_| goes_alone) {
            return Some(seconds);
        }
        if let Some(seconds) = self.until_there_is_a_place(payer, goes_alone, has_code) {
            return Some(seconds);
        }
        let (queue, loners) = (self.queue.borrow(), self.alone.borrow());
        let free = IN_AIR_MAX.saturating_sub(self.waiting_in_air());
        let free_alone = LONE_IN_AIR_MAX.saturating_sub(self.lone_in_air());
        // Payers take turns, so that of each no more are before this one than it is
        // itself in its payer's line. Those who come later may have their turn first,
        // if this is not the first of its payer.
        let own = if goes_alone { &loners } else { &queue }.len_of(payer);
        let (of_all, own_max) = if goes_alone {
            let before = self.pace.alone.good_of(loners.before(own));
            (Line { before, free: free.min(free_alone), each: LONE_IN_AIR_MAX }, 1)
        } else {
            // Those that go alone take some of the places, each payer one.
            let taken = self.pace.alone.good_of(loners.before(0)).min(LONE_IN_AIR_MAX);
            let most = self.batch_most();
            // What goes out again, and what is new, take turns.
            let before = queue.before(own);
            let again = self.again_before(before / most.max(1) + 1);
            let before = self.pace.sharing.good_of(before.saturating_add(again));
            let free = free.saturating_sub(taken.min(free_alone)) * most;
            (Line { before, free, each: (IN_AIR_MAX - taken) * most }, PAYER_IN_AIR_MAX)
        };
        let under_way = self.shared.commitments.under_way(&payer.to_string());
        let own_free = own_max.saturating_sub(under_way);
        let of_payer = Line { before: own, free: own_free, each: own_max };
        let of_gas =
            self.line_by_gas(of_all.before, if goes_alone { 1 } else { self.batch_most() });
        let lines = [of_all, of_payer, of_gas];
        let landed = self.pace.until_landed(&lines, self.shared.host.now())?;
        let late = landed.saturating_add(TELLING_SECONDS).saturating_sub(JOIN_LIMIT.as_secs());
        (late > 0).then_some(late)
    }

    /// The place behind so many payments, by gas, where so many share a transaction: what
    /// is in the air and doesn't fit into the next block is before all that goes out later.
    fn line_by_gas(&self, before: usize, most: usize) -> Line {
        let Some((room, each)) = self.gas_room.free() else { return Line::NONE };
        // As many as fit as a whole, the last of them with the gas that it is given: a
        // quarter more than it is likely to use.
        let size = each.saturating_mul(most as u64).max(1);
        let room = (room.saturating_sub(size / 4) / size).max(1).saturating_mul(size);
        let before = each.saturating_mul(before as u64).saturating_add(self.gas_in_air(each));
        let gas = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
        let before = gas(before.saturating_add(each).saturating_sub(1));
        Line { before, free: gas(room), each: gas(room) }
    }

    /// How many payments are in so many of the groups that go out again.
    fn again_before(&self, groups: usize) -> usize {
        self.again.borrow().iter().take(groups).map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(each: u64) -> Pace {
        let pace = Pace::default();
        for block in 0..10 {
            pace.note_block(100 + block, UnixSeconds(1_000 + each * block));
        }
        pace
    }

    /// In how many seconds a payment behind so many has landed, where so many go out
    /// at once and with each block.
    fn until(
        pace: &Pace,
        before: usize,
        free: usize,
        each: usize,
        now: UnixSeconds,
    ) -> Option<u64> {
        pace.until_landed(&[Line { before, free, each }], now)
    }

    #[test]
    fn a_payment_lands_so_many_blocks_later() {
        let pace = pace(12);
        let at = |seconds: u64| UnixSeconds(1_000 + 12 * 9 + seconds);
        assert_eq!(until(&pace, 319, 320, 320, at(0)), None, "at once");
        assert_eq!(until(&pace, 320, 320, 320, at(0)), Some(24));
        assert_eq!(until(&pace, 639, 320, 320, at(5)), Some(19));
        assert_eq!(until(&pace, 640, 320, 320, at(5)), Some(31));
        assert_eq!(until(&pace, 0, 0, 320, at(60)), Some(13), "the block is overdue");
    }

    #[test]
    fn nothing_is_known_after_few_blocks_or_of_long_ago() {
        let pace = Pace::default();
        for (block, at) in [(1, 0), (2, 12), (3, 24), (3, 30), (2, 31)] {
            pace.note_block(block, UnixSeconds(1_000 + at));
        }
        assert_eq!(until(&pace, 1_000, 0, 320, UnixSeconds(1_030)), None);
        pace.note_block(4, UnixSeconds(1_036));
        assert!(until(&pace, 1_000, 0, 320, UnixSeconds(1_036)).is_some());
        pace.note_block(100, UnixSeconds(9_000));
        assert_eq!(until(&pace, 1_000, 0, 320, UnixSeconds(9_000)), None);
    }

    #[test]
    fn a_number_that_is_made_up_is_forgotten() {
        let pace = pace(12);
        pace.note_block(1 << 40, UnixSeconds(1_120));
        for block in 0..60 {
            pace.note_block(110 + block, UnixSeconds(1_132 + 12 * block));
        }
        assert_eq!(until(&pace, 320, 320, 320, UnixSeconds(1_840)), Some(24));
    }

    #[test]
    fn who_has_no_money_counts_for_little() {
        let pace = Pace::default();
        assert_eq!(pace.sharing.good_of(700), 700);
        for _ in 0..100 {
            pace.note_batch(false, 1, 39);
        }
        assert!(pace.sharing.good_of(700) < 30);
        assert_eq!(pace.alone.good_of(700), 700, "nothing is known of those");
        for _ in 0..50 {
            pace.note_batch(false, 40, 0);
        }
        assert!(pace.sharing.good_of(700) > 650);
    }

    #[test]
    fn the_longer_line_counts() {
        let pace = pace(12);
        let (short, long) =
            (Line { before: 0, free: 1, each: 1 }, Line { before: 2, free: 1, each: 1 });
        let now = UnixSeconds(1_000 + 12 * 9);
        assert_eq!(pace.until_landed(&[short, short], now), None);
        assert_eq!(pace.until_landed(&[short, long], now), Some(36));
        assert_eq!(pace.until_landed(&[long, short], now), Some(36));
    }
}
