//! Lines of the log that anybody can bring about: so many a minute, and one that
//! says how many were left out.

use std::cell::Cell;

use crate::time::UnixSeconds;

/// How many such lines are written in a minute at most: more than a person reads,
/// and less than a log's limits.
pub const LINES_PER_MINUTE: u64 = 60;

/// How many such lines there were in this minute.
#[derive(Debug, Default)]
pub struct Lines {
    /// Counted from 1970.
    minute: Cell<u64>,
    count: Cell<u64>,
}

/// What is to be written for one more line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many were left out in an earlier minute, if that is to be said now.
    pub left_out: Option<u64>,
    /// Whether the line itself is.
    pub line: bool,
}

impl Lines {
    /// Counts one more line.
    pub fn count(&self, now: UnixSeconds) -> Written {
        let minute = now.0 / 60;
        let mut left_out = None;
        if self.minute.replace(minute) != minute {
            let before = self.count.replace(0);
            left_out = before.checked_sub(LINES_PER_MINUTE).filter(|count| *count > 0);
        }
        let count = self.count.get().saturating_add(1);
        self.count.set(count);
        Written { left_out, line: count <= LINES_PER_MINUTE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said_once_in_a_later_minute() {
        let lines = Lines::default();
        let at = |seconds: u64| lines.count(UnixSeconds(6_000 + seconds));
        let written = |left_out, line| Written { left_out, line };
        for second in 0..60 {
            assert_eq!(at(second / 2), written(None, true));
        }
        for second in 30..60 {
            assert_eq!(at(second), written(None, false));
        }
        assert_eq!(at(600), written(Some(30), true));
        assert_eq!(at(601), written(None, true));
        assert_eq!(at(660), written(None, true), "none was left out");
        for second in 1..60 {
            assert_eq!(at(660 + second), written(None, true));
        }
        assert_eq!(at(720), written(None, true), "nor of sixty");
    }
}
