//! The runtime's clock.

use crate::time::UnixSeconds;

/// Milliseconds since 1970. The runtime's clock stands still between two IO
/// operations of a request.
pub fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Seconds since 1970.
pub fn now() -> UnixSeconds {
    UnixSeconds(now_ms() / 1_000)
}
