//! When an isolate reads what the desk has changed, and when it goes on with what
//! it knows.

/// For how long what was read holds, in milliseconds: it is read once in that time.
/// With [`CACHE_SECONDS`] it is a minute, after which a change is in force everywhere.
const FRESH_MS: u64 = 30_000;

/// For how long a location may keep what KV has said, in seconds: KV takes no less.
pub const CACHE_SECONDS: u32 = 30;

/// How soon it is tried again where neither KV nor the object could be read, in
/// milliseconds: by an isolate that knows nothing, and by one that knows something.
const PAUSE_MS: u64 = 2_000;
const LONG_PAUSE_MS: u64 = 10_000;

/// How long whoever asks is waited for, in milliseconds: longer than KV and the
/// object together are.
pub const ASKING_MS: u64 = 4_500;

/// What an isolate has read so far. All times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When something was last read.
    told_at: u64,
    /// When nothing could be read.
    failed_at: u64,
    /// When KV was last asked.
    asked_kv_at: u64,
    /// Since when somebody has been asking; 0 for nobody.
    asking_since: u64,
}

/// What a request does that needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on with what is known.
    GoOn,
    /// It waits for another request that asks.
    Wait,
    /// It asks these, one after the other, until one answers.
    Ask(&'static [Source]),
}

/// Who says what the desk has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// KV, which is near, and may say what was true a while ago.
    Kv,
    /// The object that keeps it.
    Object,
}

impl Reading {
    /// Before anything was read.
    pub const NONE: Self = Self { told_at: 0, failed_at: 0, asked_kv_at: 0, asking_since: 0 };

    /// What a request does. If it asks, the others know of it from here on.
    pub fn step(&mut self, now: u64, is_known: bool) -> Step {
        let is_within = |at: u64, time: u64| now.saturating_sub(at) < time;
        if is_known && is_within(self.told_at, FRESH_MS) {
            return Step::GoOn;
        }
        if is_within(self.asking_since, ASKING_MS) {
            return if is_known { Step::GoOn } else { Step::Wait };
        }
        if is_within(self.failed_at, if is_known { LONG_PAUSE_MS } else { PAUSE_MS }) {
            return Step::GoOn;
        }
        let was_asked = is_within(self.asked_kv_at, FRESH_MS);
        if !was_asked {
            self.asked_kv_at = now;
        }
        self.asking_since = now;
        Step::Ask(match (was_asked, is_known) {
            // A moment ago, and nothing has come of it.
            (true, _) => &[Source::Object],
            // What is older than what is known is passed over.
            (false, true) => &[Source::Kv, Source::Object],
            (false, false) => &[Source::Object, Source::Kv],
        })
    }

    /// Something was read.
    pub fn told(&mut self, now: u64) {
        (self.told_at, self.asking_since) = (now, 0);
    }

    /// Nothing could be read.
    pub fn failed(&mut self, now: u64) {
        (self.failed_at, self.asking_since) = (now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;
    const COLD: Step = Step::Ask(&[Source::Object, Source::Kv]);
    const WARM: Step = Step::Ask(&[Source::Kv, Source::Object]);
    const AGAIN: Step = Step::Ask(&[Source::Object]);

    #[test]
    fn it_is_read_twice_a_minute() {
        let mut reading = Reading::NONE;
        // KV may still say what was true before something was switched off.
        assert_eq!(reading.step(NOW, false), COLD);
        assert_eq!(reading.step(NOW + 5, false), Step::Wait);
        reading.told(NOW + 10);
        assert_eq!(reading.step(NOW + 30_009, true), Step::GoOn);
        assert_eq!(reading.step(NOW + 30_010, true), WARM);
        assert_eq!(reading.step(NOW + 30_015, true), Step::GoOn, "with what is known");
    }

    /// When an isolate knows of a change that KV has from `NOW` on, in milliseconds
    /// after that, if it reads first at one time, and its location's cache has been
    /// filled last at another before the change.
    fn known_after(first_read: u64, cached: u64) -> u64 {
        let (mut reading, mut cache) = (Reading::NONE, (NOW - cached, false));
        for now in (NOW - first_read..NOW + 600_000).step_by(250) {
            if let Step::Ask(_) = reading.step(now, now > NOW - first_read) {
                if now.saturating_sub(cache.0) >= u64::from(CACHE_SECONDS) * 1_000 {
                    cache = (now, now >= NOW);
                }
                reading.told(now);
                if cache.1 {
                    return now - NOW;
                }
            }
        }
        u64::MAX
    }

    #[test]
    fn a_change_is_in_force_within_a_minute() {
        let mut latest = 0;
        for first_read in (0..=30_000).step_by(500) {
            for cached in (0..=30_000).step_by(500) {
                latest = latest.max(known_after(first_read, cached));
            }
        }
        assert!((50_000..=60_000).contains(&latest), "{latest}");
    }

    #[test]
    fn a_question_that_was_dropped_is_asked_again_and_postpones_nothing() {
        let mut reading = Reading::NONE;
        reading.step(NOW, false);
        reading.told(NOW);
        for round in 1..5 {
            let now = NOW + 60_000 + round * ASKING_MS;
            let asked = if round == 1 { WARM } else { AGAIN };
            assert_eq!(reading.step(now, true), asked, "{round}");
        }
        let mut cold = Reading::NONE;
        cold.step(NOW, false);
        assert_eq!(cold.step(NOW + ASKING_MS, false), AGAIN);
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_soon() {
        for (is_known, pause) in [(false, PAUSE_MS), (true, LONG_PAUSE_MS)] {
            let mut reading = Reading::NONE;
            let first = if is_known { WARM } else { COLD };
            assert_eq!(reading.step(NOW, is_known), first);
            reading.failed(NOW);
            assert_eq!(reading.step(NOW + pause - 1, is_known), Step::GoOn);
            assert_eq!(reading.step(NOW + pause, is_known), AGAIN);
            reading.failed(NOW + 59_000);
            let later = NOW + 59_000 + pause;
            assert_eq!(reading.step(later, is_known), first);
        }
    }
}
