//! `free`: how many requests of each client cost nothing.

use super::fields::Fields;

/// The most that may be free in a window.
const MAX_UNITS: u64 = 1_000_000;

/// The windows by their names, with their length in seconds.
const WINDOWS: [(&str, u64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// What they are counted by in place of a window, and how long the window of the
/// address is then.
const WALLET: (&str, u64) = ("wallet", 86_400);

/// x402's extension by which a client shows its wallet (CAIP-122).
pub const SIGN_IN: &str = "sign-in-with-x";

/// How many requests of one client address cost nothing in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// How many.
    pub units: u64,
    /// What the window is called: `minute`, `hour` or `day`; or `wallet`.
    pub window: &'static str,
    /// How long it is, in seconds. Windows begin at whole minutes, hours and
    /// days (UTC).
    pub seconds: u64,
    /// Whether each wallet has so many and no more. An address has as many in a
    /// day, whatever its wallets are: else whoever makes wallets would have all.
    pub by_wallet: bool,
}

impl Free {
    /// Reads a route's `free`.
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let text = fields.text("free")?;
        let (units, window) = text.split_once('/').unwrap_or((text, ""));
        let digits = units.bytes().all(|byte| byte.is_ascii_digit());
        let units = units.parse().ok().filter(|units| digits && (1..=MAX_UNITS).contains(units));
        let mut windows = WINDOWS.into_iter().chain([WALLET]);
        let window = windows.find(|(name, _)| *name == window);
        let (Some(units), Some((window, seconds))) = (units, window) else {
            let problem = "must be a number up to 1000000 and a minute, an hour, a day or a \
                           wallet, such as \"20/day\"";
            fields.fault("free", problem);
            return None;
        };
        Some(Self { units, window, seconds, by_wallet: window == WALLET.0 })
    }
}
