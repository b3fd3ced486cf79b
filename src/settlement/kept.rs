//! Writes that are kept in memory until others have gone out that need not wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;

/// Writes that are to be made, in their order, and whether what is written now is kept.
/// What belongs together is a group, which the disk takes as a whole or not at all.
///
/// A group that fails keeps those after it waiting: some write sums that the next one
/// replaces, and what was kept first must not come last.
#[derive(Debug)]
pub struct Kept<W> {
    groups: RefCell<VecDeque<Vec<W>>>,
    /// The group that is being kept at this moment.
    open: RefCell<Option<Vec<W>>>,
}

impl<W> Default for Kept<W> {
    fn default() -> Self {
        Self { groups: RefCell::default(), open: RefCell::default() }
    }
}

impl<W> Kept<W> {
    /// Keeps what this writes, as one group; nothing of it if it fails. What it reads is
    /// as it was before it.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn during<T, E>(&self, write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.open.replace(Some(vec![]));
        let written = write();
        let group = self.open.take().unwrap_or_default();
        if written.is_ok() && !group.is_empty() {
            self.groups.borrow_mut().push_back(group);
        }
        written
    }

    /// Keeps a write, or gives back one that is to be made now.
    pub fn take(&self, write: W) -> Option<W> {
        match &mut *self.open.borrow_mut() {
            Some(group) => group.push(write),
            None => return Some(write),
        }
        None
    }

    /// Makes the writes that are kept, before anything else is written or read: `write`
    /// makes all of a group, or none.
    ///
    /// # Errors
    /// The disk didn't take a group. It stays kept, with what comes after it.
    pub fn write<E>(&self, write: impl Fn(&[W]) -> Result<(), E>) -> Result<(), E> {
        let mut groups = self.groups.borrow_mut();
        while let Some(group) = groups.front() {
            write(group)?;
            groups.pop_front();
        }
        Ok(())
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.groups.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_fails_is_made_again_before_those_that_come_after_it() {
        let kept = Kept::default();
        assert_eq!(kept.take(0), Some(0), "nothing is kept");
        for group in [[1, 2], [3, 4], [5, 6]] {
            let keep = || {
                if group.into_iter().all(|it| kept.take(it).is_none()) { Ok(()) } else { Err(()) }
            };
            assert_eq!(kept.during(keep), Ok(()));
        }
        let disk = RefCell::new(vec![]);
        let write = |refused: i32| {
            kept.write(|group| {
                if group.contains(&refused) {
                    return Err(refused);
                }
                disk.borrow_mut().extend_from_slice(group);
                Ok(())
            })
        };
        assert_eq!(write(4), Err(4));
        assert_eq!(*disk.borrow(), [1, 2]);
        assert!(!kept.is_empty());
        assert_eq!(write(4), Err(4), "tried again");
        assert_eq!(write(0), Ok(()));
        assert_eq!(*disk.borrow(), [1, 2, 3, 4, 5, 6]);
        assert!(kept.is_empty());
    }

    #[test]
    fn what_is_read_meanwhile_parts_no_group_and_what_fails_leaves_none() {
        let kept = Kept::default();
        let disk = RefCell::new(vec![]);
        let read = || {
            kept.write(|group: &[i32]| {
                disk.borrow_mut().push(group.to_vec());
                Ok::<(), ()>(())
            })
        };
        let keep = |numbers: [i32; 2], end: Result<(), ()>| {
            kept.during(|| {
                for number in numbers {
                    assert_eq!(kept.take(number), None);
                    read()?;
                }
                end
            })
        };
        assert_eq!(keep([1, 2], Ok(())), Ok(()));
        assert_eq!(keep([3, 4], Err(())), Err(()));
        assert_eq!(*disk.borrow(), [[1, 2]], "what came before is written");
        assert!(kept.is_empty());
        assert_eq!(kept.during(|| Ok::<(), ()>(())), Ok(()));
        assert!(kept.is_empty(), "nothing was written");
    }
}
