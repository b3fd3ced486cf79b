//! When an object is to wake: at the earliest time that was asked for.

use std::cell::Cell;

/// The alarm of an object, as this life of it knows it. To look when it rings and to
/// set it takes time, and several ask for it beside each other: so each of them sets
/// the earliest that any has asked for until then.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The earliest that was asked for, in milliseconds since 1970.
    wanted: Cell<u64>,
    /// For when it is set for certain, in milliseconds since 1970.
    set: Cell<u64>,
    /// How many are setting it.
    setting: Cell<usize>,
    /// When it rang last, in milliseconds since 1970.
    rung: Cell<u64>,
}

impl Alarm {
    /// Whether it is set for this time or an earlier one, in milliseconds, or somebody
    /// is about to. For callers that don't wait for it.
    pub fn is_asked(&self, at: u64, now: u64) -> bool {
        is_by(self.set.get(), at, now)
            || self.setting.get() > 0 && is_by(self.wanted.get(), at, now)
    }

    /// Sets it for this time, in milliseconds, unless it rings before that. `look` says
    /// for when it is set, and `write` sets it. When this returns, it is set. What rings
    /// before that asks again for what is still to be done.
    ///
    /// # Errors
    /// It could not be looked at, or not be set. The next that asks sets it for this
    /// time, too.
    pub async fn set<E>(
        &self,
        at: u64,
        now: impl Fn() -> u64,
        look: impl AsyncFn() -> Result<Option<u64>, E>,
        write: impl AsyncFn(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.want(at, now());
        self.setting.set(self.setting.get() + 1);
        let _done = Done(&self.setting);
        if self.set.get() <= now() {
            // An earlier life may have set it.
            if let Some(found) = look().await?.filter(|found| *found > self.rung.get()) {
                if found <= now() {
                    // It is about to ring, and must not be put off.
                    return write(now()).await;
                }
                self.want(found, now());
                self.set.set(found);
            }
        }
        // Others have asked meanwhile, or it has rung.
        while !is_by(self.set.get(), at, now()) {
            let wanted = self.want(at, now());
            write(wanted).await?;
            self.set.set(wanted);
            if wanted <= now() {
                // It rings at once.
                break;
            }
        }
        Ok(())
    }

    /// It has rung at this time, in milliseconds, and is set no more. What is being set
    /// at this moment still counts.
    pub fn has_rung(&self, now: u64) {
        self.set.set(0);
        self.rung.set(now);
    }

    /// Notes a time that was asked for; the earliest one. It rings at its time, so
    /// what is past is asked for no more.
    fn want(&self, at: u64, now: u64) -> u64 {
        if !is_by(self.wanted.get(), at, now) {
            self.wanted.set(at);
        }
        self.wanted.get()
    }
}

/// Whether what is set for the first time is still to ring, and by the second.
const fn is_by(set: u64, at: u64, now: u64) -> bool {
    set > now && set <= at
}

struct Done<'a>(&'a Cell<usize>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::settlement::host::give_way;

    const NOW: u64 = 1_000;

    /// What the runtime has set, and every time that it was set. As there, each of the
    /// two is done in the order in which it was begun, and heard of later.
    #[derive(Default)]
    struct Disk {
        at: Cell<Option<u64>>,
        writes: RefCell<Vec<u64>>,
        is_broken: Cell<bool>,
        now: Cell<u64>,
    }

    async fn ask(alarm: &Alarm, disk: &Disk, at: u64) -> Result<(), ()> {
        let look = async || {
            let at = disk.at.get();
            give_way().await;
            Ok(at)
        };
        let write = async |at| {
            disk.writes.borrow_mut().push(at);
            if disk.is_broken.get() {
                return Err(());
            }
            disk.at.set(Some(at));
            give_way().await;
            Ok(())
        };
        let asked = alarm.set(at, || disk.now.get().max(NOW), look, write).await;
        if asked.is_ok() {
            assert!(disk.at.get().is_some_and(|set| set <= at), "told as set for {at}");
        }
        asked
    }

    /// Takes the steps of several tasks in this order: the digits of a number say whose
    /// turn it is.
    fn interleave(tasks: &mut [Pin<Box<dyn Future<Output = ()> + '_>>], mut order: usize) {
        let mut context = Context::from_waker(Waker::noop());
        let mut is_done = vec![false; tasks.len()];
        while is_done.contains(&false) {
            let turn = order % tasks.len();
            order /= tasks.len();
            // When the number has come to its end, each in its turn.
            let turn = if order > 0 { turn } else { is_done.iter().position(|it| !it).unwrap() };
            if !is_done[turn] {
                is_done[turn] = tasks[turn].as_mut().poll(&mut context) == Poll::Ready(());
            }
        }
    }

    fn alone(alarm: &Alarm, disk: &Disk, at: u64) -> bool {
        let is_set = Cell::new(false);
        let asked = async { is_set.set(ask(alarm, disk, at).await.is_ok()) };
        interleave(&mut [Box::pin(asked)], 0);
        is_set.get()
    }

    #[test]
    fn of_those_who_ask_beside_each_other_the_earliest_counts() {
        for earlier_life in [None, Some(900), Some(41_000), Some(20_000)] {
            for order in 0..3_usize.pow(8) {
                let (alarm, disk) = (Alarm::default(), Disk::default());
                disk.at.set(earlier_life);
                let asked = |seconds: u64| {
                    let (alarm, disk) = (&alarm, &disk);
                    async move { ask(alarm, disk, 1_000 * seconds).await.unwrap() }
                };
                interleave(
                    &mut [Box::pin(asked(87)), Box::pin(asked(31)), Box::pin(asked(41))],
                    order,
                );
                // What is due rings now, and what it finds is seen to.
                let due = earlier_life.filter(|at| *at <= NOW).map(|_| NOW);
                let early = earlier_life.filter(|at| *at == 20_000);
                let earliest = due.or(early).unwrap_or(31_000);
                assert_eq!(disk.at.get(), Some(earliest), "{earlier_life:?}, order {order}");
            }
        }
    }

    #[test]
    fn what_rings_earlier_stays_and_what_has_rung_is_set_again() {
        let (alarm, disk) = (Alarm::default(), Disk::default());
        // By an earlier life.
        disk.at.set(Some(5_000));
        assert!(!alarm.is_asked(9_000, NOW));
        assert!(alone(&alarm, &disk, 9_000));
        assert!(alone(&alarm, &disk, 6_000));
        assert!(disk.writes.borrow().is_empty());
        assert!(alarm.is_asked(6_000, NOW) && !alarm.is_asked(4_000, NOW));
        assert!(alone(&alarm, &disk, 4_000));
        assert_eq!(*disk.writes.borrow(), [4_000]);
        assert!(!alarm.is_asked(86_000, 4_000), "its time has come");
        // It may ring a moment before the clock says so.
        alarm.has_rung(3_999);
        assert!(!alarm.is_asked(86_000, 3_999));
    }

    #[test]
    fn one_that_is_due_and_has_not_rung_yet_is_not_put_off() {
        let (alarm, disk) = (Alarm::default(), Disk::default());
        assert!(alone(&alarm, &disk, 5_000));
        for (at, now) in [(86_000, 5_000), (86_000, 5_001), (6_000, 5_900)] {
            disk.now.set(now);
            assert!(alone(&alarm, &disk, at));
            assert!(disk.at.get().is_some_and(|set| set <= now), "{at} at {now}");
        }
        // One that has failed may still be there.
        alarm.has_rung(5_900);
        disk.now.set(6_000);
        assert!(alone(&alarm, &disk, 86_000));
        assert_eq!(disk.at.get(), Some(86_000));
    }

    #[test]
    fn one_that_could_not_be_set_is_set_by_the_next_who_asks() {
        let (alarm, disk) = (Alarm::default(), Disk::default());
        disk.is_broken.set(true);
        assert!(!alone(&alarm, &disk, 5_000));
        assert!(!alarm.is_asked(6_000, NOW));
        disk.is_broken.set(false);
        assert!(alone(&alarm, &disk, 6_000));
        assert_eq!(disk.at.get(), Some(5_000));
    }

    #[test]
    fn one_whose_request_ended_before_it_was_set_is_set_by_the_next_who_asks() {
        let (alarm, disk) = (Alarm::default(), Disk::default());
        let mut context = Context::from_waker(Waker::noop());
        let mut asked = Box::pin(ask(&alarm, &disk, 5_000));
        assert!(asked.as_mut().poll(&mut context).is_pending());
        assert!(alarm.is_asked(6_000, NOW), "somebody is about to");
        drop(asked);
        assert!(!alarm.is_asked(6_000, NOW));
        assert!(alone(&alarm, &disk, 6_000));
        assert_eq!(disk.at.get(), Some(5_000));
    }
}
