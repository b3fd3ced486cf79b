//! Room for those who wait in one isolate: it has so much memory, whoever they are
//! and whatever they wait for.

use std::cell::Cell;
use std::rc::Rc;

/// How much text a request brings that is in what one holds by measure, in bytes.
const ORDINARY_TEXT: usize = 4 * 1_024;

/// How much a KiB of text beyond that may hold, in KiB: a small member of a JSON
/// object takes this many times its length.
const PER_KIB: usize = 64;

/// So much room, in KiB. It is given out by what one that waits holds.
#[derive(Debug)]
pub struct Room {
    most: usize,
    taken: Cell<usize>,
    waiting: Cell<usize>,
}

impl Room {
    /// This much room, in KiB.
    #[must_use]
    pub const fn of_kib(most: usize) -> Self {
        Self { most, taken: Cell::new(0), waiting: Cell::new(0) }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Takes room for one that holds so many KiB and brings so many bytes of text,
    /// until what is returned is dropped; `None` if there isn't as much. Those that
    /// bring more text than others do have the first half alone, so that few of them
    /// shut out nobody.
    pub fn take(self: &Rc<Self>, kib: usize, text: usize) -> Option<Place> {
        let more = text.saturating_sub(ORDINARY_TEXT).div_ceil(1_024);
        let most = if more > 0 { self.most / 2 } else { self.most };
        let kib = more.saturating_mul(PER_KIB).saturating_add(kib);
        let taken = self.taken.get().saturating_add(kib);
        (taken <= most).then(|| {
            self.taken.set(taken);
            self.waiting.set(self.waiting.get().saturating_add(1));
            Place { room: Rc::clone(self), kib }
        })
    }
}

/// Room that one takes who waits.
#[derive(Debug)]
pub struct Place {
    room: Rc<Room>,
    kib: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let room = &self.room;
        room.taken.set(room.taken.get().saturating_sub(self.kib));
        room.waiting.set(room.waiting.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_there_again_once_nobody_waits_in_it() {
        let room = Rc::new(Room::of_kib(100));
        let places: Vec<_> = std::iter::from_fn(|| room.take(30, 1_000)).collect();
        assert_eq!((places.len(), room.waiting()), (3, 3));
        assert!(room.take(10, 4_096).is_some(), "room for a smaller one");
        drop(places);
        assert_eq!((room.waiting(), room.taken.get()), (0, 0));
    }

    #[test]
    fn who_brings_much_text_has_half_of_it() {
        let room = Rc::new(Room::of_kib(1_000));
        assert!(room.take(10, 16 * 1_024).is_none(), "12 KiB too much hold 768");
        let large: Vec<_> = std::iter::from_fn(|| room.take(10, 5 * 1_024)).collect();
        assert_eq!(large.len(), 6, "of 74 KiB each");
        assert!(room.take(500, 4_096).is_some());
    }
}
