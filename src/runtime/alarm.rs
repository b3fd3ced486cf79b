//! The alarm of a Durable Object, for all that ask for it there.

use std::rc::Rc;
use std::time::Duration;

use worker::State;

use super::clock;
use crate::settlement::alarm::Alarm;
use crate::time::UnixSeconds;

/// The alarm of one object. All that goes on in the object shares it.
#[derive(Clone)]
pub(super) struct ObjectAlarm {
    state: Rc<State>,
    alarm: Rc<Alarm>,
}

impl ObjectAlarm {
    pub(super) fn new(state: &Rc<State>) -> Self {
        Self { state: Rc::clone(state), alarm: Rc::default() }
    }

    /// Has the object woken in so many seconds, or earlier if that was asked for
    /// before. When this returns, the alarm is set.
    pub(super) async fn wake_in(&self, seconds: u64) -> worker::Result<()> {
        self.set(in_ms(seconds)).await
    }

    /// Has the object woken then, or earlier.
    pub(super) async fn wake_at(&self, time: UnixSeconds) -> worker::Result<()> {
        self.set(time.0.saturating_mul(1_000)).await
    }

    async fn set(&self, at: u64) -> worker::Result<()> {
        let look = async || {
            let set = self.state.storage().get_alarm().await?;
            worker::Result::Ok(set.and_then(|at| u64::try_from(at).ok()))
        };
        let write = async |at: u64| {
            let left = Duration::from_millis(at.saturating_sub(clock::now_ms()));
            self.state.storage().set_alarm(left).await
        };
        self.alarm.set(at, clock::now_ms, look, write).await
    }

    /// Whether it wakes by then, for callers that don't wait until that is so.
    pub(super) fn is_asked_in(&self, seconds: u64) -> bool {
        self.alarm.is_asked(in_ms(seconds), clock::now_ms())
    }

    /// It has rung.
    pub(super) fn has_rung(&self) {
        self.alarm.has_rung(clock::now_ms());
    }
}

fn in_ms(seconds: u64) -> u64 {
    clock::now_ms().saturating_add(seconds.saturating_mul(1_000))
}
