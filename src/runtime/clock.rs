//! The runtime's clock.

use js_sys::Date;

use crate::time::UnixSeconds;

/// Milliseconds since 1970. The runtime's clock stands still between two IO
/// operations of a request.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what it counts is a whole number, and not negative"
)]
pub(super) fn now_ms() -> u64 {
    Date::now() as u64
}

/// Seconds since 1970.
pub(super) fn now() -> UnixSeconds {
    UnixSeconds(now_ms() / 1_000)
}

/// The time as HTTP writes it (RFC 9110, section 5.6.7).
pub(super) fn http_date() -> String {
    Date::new_0().to_utc_string().into()
}
