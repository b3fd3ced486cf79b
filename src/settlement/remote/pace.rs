//! Whether whoever comes now can be told in time what becomes of a payment: from how
//! fast the facilitator answers, and how many are before it.

use std::cell::Cell;

use crate::settlement::shared::JOIN_LIMIT;
use crate::time::UnixSeconds;

/// Of how many answers it is remembered how long they took, how many make a pace, and
/// for how long that says something, in seconds.
const ANSWERS_MAX: u64 = 64;
const ANSWERS_LEAST: u64 = 4;
const ANSWER_SECONDS: u64 = 600;

/// Of how many claims it is remembered whether they came to be settled.
const CLAIMS_MAX: u64 = 2_048;

/// In how many seconds the last of those that are turned away is to come again. More
/// than so many come as they like.
const AGAIN_SECONDS: u64 = 60;

/// How long after the facilitator's answer a payment's end is told, in seconds.
const TELLING_SECONDS: u64 = 1;

/// How fast a facilitator answers, and how many of those that claim come to it.
#[derive(Default)]
pub(super) struct Pace {
    /// How many answers came lately, and how long all of them took, in seconds.
    answers: Cell<(u64, u64)>,
    answered_at: Cell<UnixSeconds>,
    /// How many payments were to be settled lately, and how long after their claims
    /// all of them were, in seconds.
    leads: Cell<(u64, u64)>,
    /// How many payments were claimed lately, and how many of those were to be settled.
    claims: Cell<(u64, u64)>,
    /// When the last of those that were turned away is to come again, in milliseconds.
    last_comes_at: Cell<u64>,
}

/// Who is before a payment.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// How many are at the facilitator, or wait for their turn there.
    pub before: usize,
    /// How many are claimed, and may come there first; `None` where the payment itself
    /// is to go there now.
    pub coming: Option<usize>,
    /// How many are there at once.
    pub each: usize,
}

/// Adds to sums of so many, of which the oldest count for less and less.
fn add(sums: &Cell<(u64, u64)>, count: u64, sum: u64, most: u64) {
    let (mut counts, mut all) = sums.get();
    (counts, all) = (counts.saturating_add(count), all.saturating_add(sum));
    while counts > most {
        (counts, all) = (counts / 2, all.div_ceil(2));
    }
    sums.set((counts, all));
}

impl Pace {
    /// The facilitator has answered after so many seconds, or not in time.
    pub(super) fn note_answer(&self, seconds: u64, now: UnixSeconds) {
        if now.since(self.answered_at.replace(now)) > ANSWER_SECONDS {
            self.answers.set((0, 0));
        }
        add(&self.answers, 1, seconds, ANSWERS_MAX);
    }

    /// A payment is claimed. What it comes to is seen later.
    pub(super) fn note_claim(&self) {
        add(&self.claims, 1, 0, CLAIMS_MAX);
    }

    /// One that was claimed so many seconds ago is to be settled.
    pub(super) fn note_asked(&self, lead: u64) {
        add(&self.claims, 0, 1, CLAIMS_MAX);
        add(&self.leads, 1, lead, ANSWERS_MAX);
    }

    /// How many of so many that are claimed are going to be settled, as far as can be
    /// told: who has no money, and whose origin has nothing, takes nobody's turn.
    fn good_of(&self, claimed: usize) -> u64 {
        let (claims, asked) = self.claims.get();
        let claimed = claimed as u64;
        // Of those that are still claimed it isn't known.
        let ended = claims.saturating_sub(claimed);
        if ended == 0 { claimed } else { claimed.saturating_mul(asked.min(ended)).div_ceil(ended) }
    }

    /// For whoever comes now and can't be told in time what becomes of a payment: in
    /// how many seconds that may be otherwise.
    pub(super) fn too_late_in(&self, line: Line, now: UnixSeconds) -> Option<u64> {
        let (count, sum) = self.answers.get();
        let is_old = now.since(self.answered_at.get()) > ANSWER_SECONDS;
        if count < ANSWERS_LEAST || sum == 0 || is_old {
            return None;
        }
        let each = (line.each as u64).max(1);
        let before = match line.coming {
            None => line.before as u64,
            Some(claimed) => {
                let all = (line.before as u64).saturating_add(self.good_of(claimed));
                let (leads, seconds) = self.leads.get();
                // Before it is to be settled itself, the facilitator goes on.
                let lead = seconds.checked_div(leads).unwrap_or(0);
                all.saturating_sub(lead.saturating_mul(each).saturating_mul(count) / sum)
            }
        };
        let rounds = before / each + 1;
        let told = rounds.saturating_mul(sum).div_ceil(count).saturating_add(TELLING_SECONDS);
        let late = told.saturating_sub(JOIN_LIMIT.as_secs());
        if late == 0 {
            return None;
        }
        // One after the other, as there is room for them.
        let (now_ms, step_ms) = (1_000 * now.0, (1_000 * sum).div_ceil(count * each));
        // Nobody waits for longer than those who are in line.
        let first_ms = now_ms + 1_000 * late.min(JOIN_LIMIT.as_secs());
        let last_ms = now_ms + 1_000 * AGAIN_SECONDS;
        let comes_at = first_ms.max(self.last_comes_at.get().saturating_add(step_ms)).min(last_ms);
        self.last_comes_at.set(comes_at);
        Some((comes_at - now_ms).div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_000);

    fn pace(seconds: u64) -> Pace {
        let pace = Pace::default();
        (0..10).for_each(|_| pace.note_answer(seconds, NOW));
        pace
    }

    const fn line(before: usize) -> Line {
        Line { before, coming: None, each: 4 }
    }

    #[test]
    fn whoever_has_no_turn_in_time_is_late() {
        let pace = pace(2);
        assert_eq!(pace.too_late_in(line(47), NOW), None, "twelve rounds");
        assert_eq!(pace.too_late_in(line(48), NOW), Some(2));
        let pace = self::pace(2);
        assert_eq!(pace.too_late_in(Line { each: 2, ..line(24) }, NOW), Some(2));
        assert_eq!(pace.too_late_in(line(200), NOW), Some(25), "nobody waits for longer");
    }

    #[test]
    fn those_that_are_turned_away_come_again_one_after_the_other() {
        let pace = pace(2);
        let mut told = (0..200).map(|_| pace.too_late_in(line(48), NOW).unwrap());
        assert_eq!(told.by_ref().take(6).collect::<Vec<_>>(), [2, 3, 3, 4, 4, 5]);
        assert_eq!(told.max(), Some(60));
        assert_eq!(pace.too_late_in(line(48), NOW.plus(100)), Some(2), "they have come");
    }

    #[test]
    fn nothing_is_known_after_few_answers_or_of_long_ago() {
        let pace = Pace::default();
        (0..3).for_each(|_| pace.note_answer(20, NOW));
        assert_eq!(pace.too_late_in(line(100), NOW), None);
        pace.note_answer(20, NOW);
        assert!(pace.too_late_in(line(100), NOW).is_some());
        assert_eq!(pace.too_late_in(line(100), NOW.plus(601)), None);
        pace.note_answer(1, NOW.plus(700));
        assert_eq!(pace.too_late_in(line(100), NOW.plus(700)), None, "what was is forgotten");
        assert_eq!(self::pace(0).too_late_in(line(1_000), NOW), None);
    }

    #[test]
    fn those_that_come_first_count_as_far_as_they_will_come() {
        let pace = pace(2);
        let is_late =
            |count| pace.too_late_in(Line { coming: Some(count), ..line(0) }, NOW).is_some();
        (0..47).for_each(|_| pace.note_claim());
        assert!(!is_late(47));
        (0..13).for_each(|_| pace.note_claim());
        assert!(is_late(60), "nothing is known of them");
        // Of a hundred that have ended one was to be settled.
        (0..100).for_each(|_| pace.note_claim());
        pace.note_asked(0);
        assert!(!is_late(60));
        (0..80).for_each(|_| pace.note_asked(0));
        assert!(is_late(75));
    }

    #[test]
    fn while_its_origin_works_the_facilitator_goes_on() {
        let pace = pace(2);
        (0..60).for_each(|_| pace.note_claim());
        let coming = Line { coming: Some(60), ..line(0) };
        assert!(pace.too_late_in(coming, NOW).is_some());
        pace.note_asked(10);
        assert_eq!(pace.too_late_in(coming, NOW), None, "twenty less");
    }
}
