//! Whose turn it is, of what is open at a facilitator.

use super::patience::pause_after;
use crate::settlement::journal::FacilitatorEntry;
use crate::table::Table;
use crate::time::UnixSeconds;

/// How many are taken up at a time.
const RESUMED_MAX: usize = 32;

/// The turns that there were, by the entry's name.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: Table<String, Turn>,
    /// How many there were.
    count: u64,
}

/// When an entry was taken up last: at 0 where it wasn't.
#[derive(Debug)]
struct Turn {
    number: u64,
    at: UnixSeconds,
    is_open: bool,
}

impl Turns {
    /// Of all that are open some that are to be taken up now: those whose turn, or whose
    /// coming, was longest ago. However many come, nobody waits for ever. What is
    /// followed has no turn, and keeps its place.
    pub(super) fn take(
        &mut self,
        entries: Vec<FacilitatorEntry>,
        now: UnixSeconds,
        is_followed: impl Fn(&str) -> bool,
    ) -> Vec<FacilitatorEntry> {
        // No more than are taken up: what is open may be many times as much.
        let mut first: Vec<(u64, FacilitatorEntry)> = vec![];
        for entry in entries {
            let come = Turn { number: self.count, at: UnixSeconds(0), is_open: true };
            let turn = self.last.get_or_insert_with(entry.id.clone(), || come);
            turn.is_open = true;
            let (number, at) = (turn.number, turn.at.plus(pause_after(&entry, now)));
            if now < at || is_followed(&entry.id) {
                continue;
            }
            let place = first.partition_point(|(other, _)| *other <= number);
            if place < RESUMED_MAX {
                first.insert(place, (number, entry));
                first.truncate(RESUMED_MAX);
            }
        }
        self.last.retain(|_, turn| std::mem::take(&mut turn.is_open));
        for (_, entry) in &first {
            self.count += 1;
            let turn = Turn { number: self.count, at: now, is_open: false };
            self.last.insert(entry.id.clone(), turn);
        }
        first.into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::journal::FacilitatorSent;

    fn open(count: usize) -> Vec<FacilitatorEntry> {
        let entry = |number: usize| FacilitatorEntry {
            // Not in the order of their names.
            id: format!("remote/{}-{number}", number % 7),
            payments: vec![],
            written_at: UnixSeconds(1_000),
            sent: FacilitatorSent {
                body: String::new(),
                told: None,
                expires_at: UnixSeconds(5_000),
                looked_from: None,
            },
        };
        (0..count).map(entry).collect()
    }

    fn ids(entries: &[FacilitatorEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn however_many_are_open_each_has_its_turn() {
        let all = open(4_000);
        let mut turns = Turns::default();
        for (round, due) in all.chunks(RESUMED_MAX).enumerate() {
            let now = UnixSeconds(1_000 + round as u64);
            assert_eq!(ids(&turns.take(all.clone(), now, |_| false)), ids(due), "{round}");
        }
        // Then those whose turn was longest ago.
        let again = turns.take(all.clone(), UnixSeconds(3_000), |_| false);
        assert_eq!(ids(&again), ids(&all[..RESUMED_MAX]));
    }

    #[test]
    fn those_that_come_later_keep_none_from_its_next_turn() {
        let all = open(4_000);
        let mut turns = Turns::default();
        assert_eq!(
            turns.take(all[..RESUMED_MAX].to_vec(), UnixSeconds(1_000), |_| false).len(),
            32
        );
        // As many new ones each time.
        let mut again = 0;
        for round in 2..20 {
            let known = all[..round * RESUMED_MAX].to_vec();
            let taken = turns.take(known, UnixSeconds(1_000 + 30 * round as u64), |_| false);
            again += taken
                .iter()
                .filter(|it| ids(&all[..RESUMED_MAX]).contains(&it.id.as_str()))
                .count();
        }
        assert!(again >= RESUMED_MAX, "{again}");
    }

    #[test]
    fn what_is_followed_or_was_asked_lately_has_none() {
        let all = open(3);
        let first = all[0].id.clone();
        let mut turns = Turns::default();
        assert_eq!(turns.take(all.clone(), UnixSeconds(13_000), |_| false).len(), 3);
        // An eighth of the 8,000 seconds since their end.
        assert!(turns.take(all.clone(), UnixSeconds(13_999), |_| false).is_empty());
        let later = UnixSeconds(15_000);
        assert_eq!(ids(&turns.take(all.clone(), later, |id| id == first)), ids(&all[1..]));
        assert_eq!(ids(&turns.take(all.clone(), later, |_| false)), [first]);
        // What is closed is forgotten.
        turns.take(vec![], later, |_| false);
        assert_eq!(turns.take(all, later, |_| false).len(), 3);
    }
}
