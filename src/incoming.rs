//! Bodies on their way in. One comes as slowly as its sender likes, and what has come
//! of it is held.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::table::Table;

/// What a request holds of which the body has not come yet, in bytes.
const BARE: usize = 8 * 1_024;

/// So much room, in bytes. Beyond half of it those that have been on their way for
/// longest give way: whoever stalls shuts out nobody.
#[derive(Debug)]
pub struct Incoming {
    most: usize,
    count: Cell<u64>,
    bodies: RefCell<Table<u64, Held>>,
}

/// What is held of one.
#[derive(Debug)]
struct Held {
    bytes: usize,
    gives_way: bool,
}

impl Incoming {
    /// This much room, in bytes.
    #[must_use]
    pub const fn of_bytes(most: usize) -> Self {
        Self { most, count: Cell::new(0), bodies: RefCell::new(Table::new()) }
    }

    /// A body that begins to come; `None` if there is no room.
    pub fn begin(self: &Rc<Self>) -> Option<Body> {
        let number = self.count.get();
        self.count.set(number + 1);
        self.bodies.borrow_mut().insert(number, Held { bytes: 0, gives_way: false });
        let body = Body { incoming: Rc::clone(self), number };
        body.grow(BARE).then_some(body)
    }
}

/// A body that is coming.
#[derive(Debug)]
pub struct Body {
    incoming: Rc<Incoming>,
    number: u64,
}

impl Body {
    /// Holds so many bytes more; whether there is room.
    pub fn grow(&self, bytes: usize) -> bool {
        let most = self.incoming.most;
        let mut bodies = self.incoming.bodies.borrow_mut();
        let sum = |leaves: bool| -> usize {
            let of = bodies.values().filter(|it| leaves || !it.gives_way);
            of.map(|it| it.bytes).sum::<usize>().saturating_add(bytes)
        };
        if sum(true) > most {
            return false;
        }
        let mut excess = sum(false).saturating_sub(most / 2);
        if let Some(own) = bodies.get_mut(&self.number) {
            own.bytes = own.bytes.saturating_add(bytes);
        }
        // In the order in which they came.
        for body in bodies.values_mut().filter(|it| !it.gives_way) {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(body.bytes);
            body.gives_way = true;
        }
        true
    }

    /// Whether it is to give way to others.
    pub fn gives_way(&self) -> bool {
        self.incoming.bodies.borrow().get(&self.number).is_none_or(|it| it.gives_way)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.incoming.bodies.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(bodies: usize) -> Rc<Incoming> {
        Rc::new(Incoming::of_bytes(bodies * BARE))
    }

    #[test]
    fn beyond_half_of_the_room_the_longest_gives_way() {
        let incoming = incoming(8);
        let stalled: Vec<_> = (0..4).filter_map(|_| incoming.begin()).collect();
        let leaving = || stalled.iter().map(|it| usize::from(it.gives_way())).sum::<usize>();
        assert_eq!((stalled.len(), leaving()), (4, 0));
        let next = incoming.begin().unwrap();
        assert_eq!((leaving(), next.gives_way()), (1, false));
        assert!(next.grow(BARE));
        assert_eq!((leaving(), next.gives_way()), (2, false));
        assert!(stalled[0].gives_way() && stalled[1].gives_way());
    }

    #[test]
    fn what_is_held_never_comes_to_more_than_there_is() {
        let incoming = incoming(4);
        let bodies: Vec<_> = std::iter::from_fn(|| incoming.begin()).take(9).collect();
        assert_eq!(bodies.len(), 4);
        assert!(!bodies[3].grow(1));
        drop(bodies);
        assert!(incoming.bodies.borrow().is_empty());
        let all = incoming.begin().unwrap();
        assert!(all.grow(3 * BARE) && !all.grow(1));
        // Alone it has more than half, and gives way to the next.
        assert!(all.gives_way());
    }
}
