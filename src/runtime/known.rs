//! What an isolate has learned that its configuration depends on, beside the
//! variables and secrets.

use std::cell::RefCell;

use crate::config::Overrides;
use crate::facilitator_client::RemoteFacts;
use crate::protocol::ChainId;
use crate::table::Table;

thread_local! {
    static FACTS: RefCell<Table<ChainId, RemoteFacts>> = const { RefCell::new(Table::new()) };
    static OVERRIDES: RefCell<Option<Overrides>> = const { RefCell::new(None) };
}

/// What facilitators have said of themselves.
pub(super) fn facts() -> Table<ChainId, RemoteFacts> {
    FACTS.with_borrow(Clone::clone)
}

/// Adds to it; whether that changes anything.
pub(super) fn add_facts(told: impl Iterator<Item = (ChainId, RemoteFacts)>) -> bool {
    FACTS.with_borrow_mut(|facts| {
        let before = facts.clone();
        facts.extend(told);
        *facts != before
    })
}

/// What the desk has changed of the routes, if that was read.
pub(super) fn overrides() -> Option<Overrides> {
    OVERRIDES.with_borrow(Clone::clone)
}

/// Whether that was read.
pub(super) fn has_overrides() -> bool {
    OVERRIDES.with_borrow(Option::is_some)
}

/// Takes note of what was read, unless it is older than what is known: KV may go
/// back. Whether it changes anything.
pub(super) fn set_overrides(read: Overrides) -> bool {
    OVERRIDES.with_borrow_mut(|known| {
        let is_older = known.as_ref().is_some_and(|it| it.changes > read.changes);
        let before = known.take();
        let now = if is_older { before.clone() } else { Some(read) };
        let is_new = before.unwrap_or_default() != now.clone().unwrap_or_default();
        *known = now;
        is_new
    })
}
