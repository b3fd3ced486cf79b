//! Room for those who wait in one isolate: it has so much memory, whoever they are
//! and whatever they wait for.

use std::cell::Cell;
use std::rc::Rc;

/// Those that hold more than so much, in KiB, have the first half of the room alone,
/// and those that hold more than so much its first quarter: a few of them shut out
/// nobody.
const LARGE: usize = 32;
const HUGE: usize = 256;

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

    /// Takes room for one that waits and holds so many KiB, until what is returned is
    /// dropped; `None` if there isn't as much.
    pub fn take(self: &Rc<Self>, kib: usize) -> Option<Place> {
        self.give(kib, 1)
    }

    /// The same for what one of them holds besides.
    pub fn take_more(self: &Rc<Self>, kib: usize) -> Option<Place> {
        self.give(kib, 0)
    }

    fn give(self: &Rc<Self>, kib: usize, waiting: usize) -> Option<Place> {
        let part = if kib > HUGE {
            4
        } else if kib > LARGE {
            2
        } else {
            1
        };
        let most = self.most / part;
        let taken = self.taken.get().saturating_add(kib);
        (taken <= most).then(|| {
            self.taken.set(taken);
            self.waiting.set(self.waiting.get().saturating_add(waiting));
            Place { room: Rc::clone(self), kib, waiting }
        })
    }
}

/// Room that one takes who waits.
#[derive(Debug)]
pub struct Place {
    room: Rc<Room>,
    kib: usize,
    waiting: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let room = &self.room;
        room.taken.set(room.taken.get().saturating_sub(self.kib));
        room.waiting.set(room.waiting.get().saturating_sub(self.waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_there_again_once_nobody_waits_in_it() {
        let room = Rc::new(Room::of_kib(100));
        let places: Vec<_> = std::iter::from_fn(|| room.take(30)).collect();
        assert_eq!((places.len(), room.waiting()), (3, 3));
        let more = room.take_more(10);
        assert!(more.is_some(), "room for a smaller one");
        assert_eq!(room.waiting(), 3);
        drop(more);
        drop(places);
        assert_eq!((room.waiting(), room.taken.get()), (0, 0));
    }

    #[test]
    fn who_holds_much_has_a_part_of_it() {
        let room = Rc::new(Room::of_kib(8_000));
        let all_of = |kib| std::iter::from_fn(|| room.take(kib)).collect::<Vec<_>>();
        let huge = all_of(500);
        let large = all_of(100);
        let small = all_of(20);
        assert_eq!([huge.len(), large.len(), small.len()], [4, 20, 200]);
    }
}
