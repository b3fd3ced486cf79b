//! `free`: how many requests of each client cost nothing.

use super::fields::Fields;

/// The most that may be free in a window.
const MAX_UNITS: u64 = 1_000_000;

/// The windows by their names, with their length in seconds.
const WINDOWS: [(&str, u64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// How many requests of one client address cost nothing in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// How many.
    pub units: u64,
    /// What the window is called: `minute`, `hour` or `day`.
    pub window: &'static str,
    /// How long it is, in seconds. Windows begin at whole minutes, hours and
    /// days (UTC).
    pub seconds: u64,
}

impl Free {
    /// Reads a route's `free`.
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let text = fields.text("free")?;
        let (units, window) = text.split_once('/').unwrap_or((text, ""));
        if matches!(window.trim(), "wallet" | "payer") {
            let problem = "can't be counted by wallet: a wallet costs nothing to make, so there \
                           would be no limit; count by address, such as \"20/day\"";
            fields.fault("free", problem);
            return None;
        }
        let digits = units.bytes().all(|byte| byte.is_ascii_digit());
        let units = units.parse().ok().filter(|units| digits && (1..=MAX_UNITS).contains(units));
        let window = WINDOWS.into_iter().find(|(name, _)| *name == window);
        let (Some(units), Some((window, seconds))) = (units, window) else {
            let problem = "must be a number up to 1000000 and a minute, an hour or a day, such as \
                           \"20/day\"";
            fields.fault("free", problem);
            return None;
        };
        Some(Self { units, window, seconds })
    }
}
