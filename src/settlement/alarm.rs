//! When an object is to wake: at the earliest time that was asked for.

use std::cell::Cell;

/// The alarm of an object, as this life of it knows it. It is asked for several times in
/// one breath, and to look when it rings and to set it takes time: so one task does both,
/// for all who ask.
#[derive(Debug, Default)]
pub struct Alarm {
    /// For when it is set, or about to be, in milliseconds since 1970.
    at: Cell<u64>,
    is_setting: Cell<bool>,
}

impl Alarm {
    /// Asks for this time, in milliseconds; whether whoever asks is to have it
    /// [set](Self::set). It rings at its time and not before, so what is ahead is still set.
    pub fn ask(&self, at: u64, now: u64) -> bool {
        let set = self.at.get();
        if set > now && set <= at {
            return false;
        }
        self.at.set(at);
        !self.is_setting.replace(true)
    }

    /// Sets it: `look` says for when it is set, in milliseconds, and `write` sets it, and
    /// says whether that went well. Whatever is asked for meanwhile counts.
    pub async fn set(
        &self,
        now: impl Fn() -> u64,
        look: impl AsyncFn() -> Option<u64>,
        write: impl AsyncFn(u64) -> bool,
    ) {
        let _done = Done(&self.is_setting);
        loop {
            let wanted = self.at.get();
            let set = look().await.filter(|set| *set > now() && *set <= wanted);
            if set.is_none() && !write(wanted).await {
                // The next who asks tries again.
                return self.at.set(0);
            }
            let set = set.unwrap_or(wanted);
            if self.at.get() >= set {
                return self.at.set(set);
            }
        }
    }
}

struct Done<'a>(&'a Cell<bool>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::settlement::host::give_way;

    /// What the runtime has set, and every time that it was set.
    #[derive(Default)]
    struct Disk {
        at: Cell<Option<u64>>,
        writes: RefCell<Vec<u64>>,
        is_broken: Cell<bool>,
    }

    const NOW: u64 = 1_000;

    /// Asks for these times, one more before each step of whoever sets them.
    fn ask_for(alarm: &Alarm, disk: &Rc<Disk>, times: &[u64]) {
        let mut times = times.iter().copied();
        let first = times.next().unwrap();
        if !alarm.ask(first, NOW) {
            assert!(times.all(|at| !alarm.ask(at, NOW)));
            return;
        }
        let look = async || {
            give_way().await;
            disk.at.get()
        };
        let write = async |at| {
            give_way().await;
            disk.writes.borrow_mut().push(at);
            if !disk.is_broken.get() {
                disk.at.set(Some(at));
            }
            !disk.is_broken.get()
        };
        let mut setting = pin!(alarm.set(|| NOW, look, write));
        let mut context = Context::from_waker(Waker::noop());
        while setting.as_mut().poll(&mut context) == Poll::Pending {
            if let Some(at) = times.next() {
                assert!(!alarm.ask(at, NOW), "one sets it");
            }
        }
        assert_eq!(times.next(), None);
    }

    #[test]
    fn the_earliest_that_was_asked_for_counts() {
        for times in [[31, 41, 87], [87, 41, 31], [41, 31, 87], [87, 31, 41]] {
            let (alarm, disk) = (Alarm::default(), Rc::default());
            ask_for(&alarm, &disk, &times.map(|seconds| 1_000 * seconds));
            assert_eq!(disk.at.get(), Some(31_000), "{times:?}");
        }
    }

    #[test]
    fn what_rings_earlier_stays_and_what_has_rung_is_set_again() {
        let (alarm, disk) = (Alarm::default(), Rc::<Disk>::default());
        // By an earlier life.
        disk.at.set(Some(5_000));
        ask_for(&alarm, &disk, &[9_000]);
        ask_for(&alarm, &disk, &[6_000]);
        assert!(disk.writes.borrow().is_empty());
        ask_for(&alarm, &disk, &[4_000]);
        assert_eq!(*disk.writes.borrow(), [4_000]);
        assert!(alarm.ask(86_000, 4_000), "it has rung");
    }

    #[test]
    fn one_that_could_not_be_set_is_set_by_the_next_who_asks() {
        let (alarm, disk) = (Alarm::default(), Rc::<Disk>::default());
        disk.is_broken.set(true);
        ask_for(&alarm, &disk, &[5_000]);
        disk.is_broken.set(false);
        ask_for(&alarm, &disk, &[6_000]);
        assert_eq!(disk.at.get(), Some(6_000));
    }
}
