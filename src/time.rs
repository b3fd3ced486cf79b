//! Points in time. Nothing in the core reads a clock: the time is an argument.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::json::{FromJson, ToJson};

const SECONDS_PER_DAY: u64 = 86_400;

/// Whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

impl ToJson for UnixSeconds {
    fn write_json(&self, to: &mut String) {
        self.0.write_json(to);
    }
}

impl FromJson for UnixSeconds {
    fn from_json(value: &Value) -> Option<Self> {
        u64::from_json(value).map(Self)
    }
}

impl UnixSeconds {
    /// This time and `seconds` more, at most the largest that fits.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// How many seconds have passed since `earlier`; 0 if none.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number of the day (UTC), counted from 1970-01-01.
    #[must_use]
    pub const fn day(self) -> u64 {
        self.0 / SECONDS_PER_DAY
    }

    /// When a day (UTC) begins, counted from 1970.
    #[must_use]
    pub const fn of_day(day: u64) -> Self {
        Self(day.saturating_mul(SECONDS_PER_DAY))
    }

    /// How many seconds are left of the day (UTC).
    #[must_use]
    pub const fn to_midnight(self) -> u64 {
        SECONDS_PER_DAY - self.0 % SECONDS_PER_DAY
    }

    /// The time as ISO 8601 spells it: `2023-11-14T22:13:20Z`.
    #[must_use]
    pub fn iso8601(self) -> String {
        let (days, seconds) = (self.day(), self.0 % SECONDS_PER_DAY);
        // Years begin in March here, so that the day that comes and goes is
        // their last, and eras of 400 years repeat (H. Hinnant,
        // "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
        let since_march_of_year_0 = days + 719_468;
        let (era, day) = (since_march_of_year_0 / 146_097, since_march_of_year_0 % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let is_next_year = month >= 10;
        let month = if is_next_year { month - 9 } else { month + 3 };
        let year = era * 400 + year + u64::from(is_next_year);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A day, counted from 1970-01-01, as ISO 8601 spells it: `2023-11-14`.
pub fn day_of(day: u64) -> String {
    let mut text = UnixSeconds(day.saturating_mul(SECONDS_PER_DAY)).iso8601();
    text.truncate(text.len() - "T00:00:00Z".len());
    text
}

/// Reads a day of this century or the next, spelled like that.
pub fn parse_day(text: &str) -> Option<u64> {
    let year: u64 = text.get(..4)?.parse().ok().filter(|year| (1970..2170).contains(year))?;
    // The year begins on this day, or on one of the next 50: no leap year is
    // counted here.
    let about = (year - 1970) * 365;
    (about..about + 50 + 366).find(|day| day_of(*day) == text)
}

/// Reads a duration as configuration spells it: digits and one unit, `s`,
/// `m`, `h` or `d`; plain `0` is none at all.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => SECONDS_PER_DAY,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso8601_knows_leap_years() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixSeconds(seconds).iso8601(), text);
        }
        assert_eq!(UnixSeconds(u64::MAX).iso8601(), "584554051223-11-09T07:00:15Z");
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        for day in (0..60_000).step_by(7) {
            assert_eq!(parse_day(&day_of(day)), Some(day));
        }
        assert_eq!(parse_day("2026-11-27"), Some(20_784));
        for wrong in
            ["", "2026", "2026-1-1", "2026-02-29", "2026-13-01", "+026-01-01", "2026-01-01T"]
        {
            assert_eq!(parse_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_digits_and_one_unit() {
        assert_eq!(parse_duration("10m"), Some(Duration::from_mins(10)));
        assert_eq!(parse_duration("1h"), Some(Duration::from_hours(1)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for wrong in ["", "m", "10", "1.5h", "-1s", "+1s", "1 h", "9999999s", "1h30m", "10ſ"] {
            assert_eq!(parse_duration(wrong), None, "{wrong:?}");
        }
    }
}
