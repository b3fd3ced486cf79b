//! Whether whoever comes now can be told in time what becomes of a payment: from how
//! fast blocks come, and how much goes into one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::spoiled::LONE_IN_AIR_MAX;
use super::{EvmLane, IN_AIR_MAX};
use crate::settlement::Host;
use crate::settlement::shared::JOIN_LIMIT;
use crate::time::UnixSeconds;

/// How many blocks are remembered, and for how long, in seconds.
const BLOCKS_MAX: usize = 16;
const BLOCK_SECONDS: u64 = 600;

/// Over how many blocks the pace is known.
const BLOCKS_LEAST: u64 = 3;

/// Of how many payments it is remembered whether they were good.
const PREVIEWED_MAX: u64 = 512;

/// How long after its block a payment's end is told, in seconds.
const TELLING_SECONDS: u64 = 1;

/// How fast blocks come, and how many of those that wait go out.
#[derive(Default)]
pub(super) struct Pace {
    /// The latest blocks, and when each was first seen.
    blocks: RefCell<VecDeque<(u64, UnixSeconds)>>,
    /// How many payments were previewed lately, and how many of them were good.
    previewed: Cell<(u64, u64)>,
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

    /// So many payments were previewed, of which so many go out.
    pub(super) fn note_batch(&self, previewed: usize, good: usize) {
        let (mut all, mut of_them) = self.previewed.get();
        all = all.saturating_add(previewed as u64);
        of_them = of_them.saturating_add(good as u64);
        while all > PREVIEWED_MAX {
            (all, of_them) = (all / 2, of_them.div_ceil(2));
        }
        self.previewed.set((all, of_them));
    }

    /// How many of so many that wait are going to go out, as far as can be told: who
    /// has no money takes nobody's place in a block.
    fn good_of(&self, waiting: usize) -> u64 {
        let (all, good) = self.previewed.get();
        let waiting = waiting as u64;
        if all == 0 { waiting } else { waiting.saturating_mul(good).div_ceil(all) }
    }

    /// In how many seconds the payment behind so many others has landed, where `free`
    /// of them go out at once and `each` with each block that comes. `None` if that
    /// isn't known, or it goes out at once.
    fn until_landed(&self, before: u64, free: u64, each: u64, now: UnixSeconds) -> Option<u64> {
        let blocks = self.blocks.borrow();
        let ((first, since), (latest, at)) = (*blocks.front()?, *blocks.back()?);
        let count = latest.saturating_sub(first);
        // It is behind those that go out at once: what comes after them waits for it.
        let behind = before.saturating_add(1).saturating_sub(free);
        if count < BLOCKS_LEAST || behind == 0 {
            return None;
        }
        let span = at.since(since);
        let rounds = behind.div_ceil(each.max(1));
        // One that is overdue has still to come.
        let next = (span / count).saturating_sub(now.since(at)).max(1);
        Some(next.saturating_add(rounds.saturating_mul(span) / count))
    }
}

impl<H: Host> EvmLane<H> {
    /// For whoever comes now with a payment, one that goes alone or not, and can't be
    /// told in time what becomes of it: in how many seconds that may be otherwise.
    pub(super) fn too_late_in_line(&self, goes_alone: bool) -> Option<u64> {
        let lone = self.alone.borrow().len();
        let (before, places, free, most) = if goes_alone {
            let free = LONE_IN_AIR_MAX.saturating_sub(self.lone_in_air());
            (lone, LONE_IN_AIR_MAX, free, 1)
        } else {
            // Those that go alone take some of the places.
            let taken = lone.saturating_sub(self.lone_in_air()).min(LONE_IN_AIR_MAX);
            let free = IN_AIR_MAX.saturating_sub(self.waiting_in_air() + taken);
            (self.waiting() - lone, IN_AIR_MAX - taken, free, self.batch_most())
        };
        let before = self.pace.good_of(before);
        let (free, each) = ((free * most) as u64, (places * most) as u64);
        let landed = self.pace.until_landed(before, free, each, self.shared.host.now())?;
        let late = landed.saturating_add(TELLING_SECONDS).saturating_sub(JOIN_LIMIT.as_secs());
        (late > 0).then_some(late)
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

    #[test]
    fn a_payment_lands_so_many_blocks_later() {
        let pace = pace(12);
        let at = |seconds: u64| UnixSeconds(1_000 + 12 * 9 + seconds);
        assert_eq!(pace.until_landed(319, 320, 320, at(0)), None, "at once");
        assert_eq!(pace.until_landed(320, 320, 320, at(0)), Some(24));
        assert_eq!(pace.until_landed(639, 320, 320, at(5)), Some(19));
        assert_eq!(pace.until_landed(640, 320, 320, at(5)), Some(31));
        assert_eq!(pace.until_landed(0, 0, 320, at(60)), Some(13), "the block is overdue");
    }

    #[test]
    fn nothing_is_known_after_few_blocks_or_of_long_ago() {
        let pace = Pace::default();
        for (block, at) in [(1, 0), (2, 12), (3, 24), (3, 30), (2, 31)] {
            pace.note_block(block, UnixSeconds(1_000 + at));
        }
        assert_eq!(pace.until_landed(1_000, 0, 320, UnixSeconds(1_030)), None);
        pace.note_block(4, UnixSeconds(1_036));
        assert!(pace.until_landed(1_000, 0, 320, UnixSeconds(1_036)).is_some());
        pace.note_block(100, UnixSeconds(9_000));
        assert_eq!(pace.until_landed(1_000, 0, 320, UnixSeconds(9_000)), None);
    }

    #[test]
    fn a_number_that_is_made_up_is_forgotten() {
        let pace = pace(12);
        pace.note_block(1 << 40, UnixSeconds(1_120));
        for block in 0..60 {
            pace.note_block(110 + block, UnixSeconds(1_132 + 12 * block));
        }
        assert_eq!(pace.until_landed(320, 320, 320, UnixSeconds(1_840)), Some(24));
    }

    #[test]
    fn who_has_no_money_counts_for_little() {
        let pace = Pace::default();
        assert_eq!(pace.good_of(700), 700);
        for _ in 0..100 {
            pace.note_batch(40, 1);
        }
        assert!(pace.good_of(700) < 30);
        for _ in 0..50 {
            pace.note_batch(40, 40);
        }
        assert!(pace.good_of(700) > 650);
    }
}
