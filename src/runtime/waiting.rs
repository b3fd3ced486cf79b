//! How many may wait in this isolate: with more, it would be ended for its memory,
//! and everybody who waits in it.

use std::rc::Rc;

use crate::room::{Place, Room};

/// For those who wait, in KiB. An isolate may have 128 MiB; the Worker itself takes
/// some three, and what comes and goes has to fit, too.
const ROOM: usize = 64 * 1_024;

/// How much text one of them brings that is in what it holds by measure, and how many
/// times it holds what is beyond that: a URL as it came, as it was matched, as it is
/// sold and as it is asked for, a payment as it came and as it was read.
const ORDINARY_TEXT: usize = 4 * 1_024;
const COPIES: usize = 5;

/// What a request with a payment holds while its origin and its Settler work, in
/// KiB, with what the runtime holds for it.
///
/// `npm run bench -- --only memory` measures this and the next one together.
const PURCHASE: usize = 10;

/// What a payment holds that waits in its Settler, in KiB.
const SETTLEMENT: usize = 10;

/// With more than so many that wait, nobody's payment is previewed alone, beside its
/// origin.
pub(super) const CROWD: usize = 32;

thread_local! {
    static WAITING: Rc<Room> = Rc::new(Room::of_kib(ROOM));
}

/// What one holds that brings so many bytes of text, beside what all do, in KiB.
fn kib_of(text: usize) -> usize {
    text.saturating_sub(ORDINARY_TEXT).saturating_mul(COPIES).div_ceil(1_024)
}

/// Room for a request whose URL and payment have so many bytes.
pub(super) fn for_purchase(text: usize) -> Option<Place> {
    WAITING.with(|room| room.take(PURCHASE + kib_of(text)))
}

/// Room for so many bytes of a request's body.
pub(super) fn for_body(bytes: usize) -> Option<Place> {
    WAITING.with(|room| room.take_more(bytes.div_ceil(1_024)))
}

/// No room is left.
pub(super) struct Full;

/// Room for a message to a Settler of so many bytes, if it is one that waits.
pub(super) fn for_message(verb: &str, text: usize) -> Result<Option<Place>, Full> {
    if !matches!(verb, "claim" | "settle" | "charge" | "verify" | "hold") {
        return Ok(None);
    }
    WAITING.with(|room| room.take(SETTLEMENT + kib_of(text))).map(Some).ok_or(Full)
}

/// How many wait.
pub(super) fn count() -> usize {
    WAITING.with(|room| room.waiting())
}
