//! The runtime, as a Settler sees it.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use worker::{Delay, Env, State, console_error, console_log};

use super::alarm::ObjectAlarm;
use super::points::Points;
use super::sql::SqlStore;
use super::transport::GatedTransport;
use super::{clock, js, webhooks};
use crate::settlement::{Host, Sale};
use crate::time::UnixSeconds;

/// How long after a sale whoever sends webhooks is called.
const CALL_PAUSE: Duration = Duration::from_millis(500);

/// How soon that is tried again, in seconds.
const AGAIN_SECONDS: u64 = 60;

/// The runtime, as a Settler sees it.
#[derive(Clone)]
pub(super) struct WorkerHost {
    state: Rc<State>,
    /// All of the object's connections go through one gate.
    transport: GatedTransport,
    /// By which whoever sends webhooks is reached, if there are any.
    herald: Option<Env>,
    /// Whether somebody is about to.
    is_calling: Rc<Cell<bool>>,
    alarm: ObjectAlarm,
    /// Where data points of sales go, if the seller wants them.
    points: Option<Points>,
}

impl WorkerHost {
    pub(super) fn new(
        state: &Rc<State>,
        alarm: &ObjectAlarm,
        transport: &GatedTransport,
        herald: Option<Env>,
        points: Option<Points>,
    ) -> Self {
        let (state, alarm, transport) = (Rc::clone(state), alarm.clone(), transport.clone());
        Self { state, transport, herald, is_calling: Rc::default(), alarm, points }
    }
}

impl Host for WorkerHost {
    type Transport = GatedTransport;
    type Store = SqlStore;

    fn transport(&self) -> GatedTransport {
        self.transport.clone()
    }

    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.state.wait_until(js::in_a_box(task));
    }

    fn wake_in(&self, seconds: u64) {
        if self.alarm.is_asked_in(seconds) {
            return;
        }
        let alarm = self.alarm.clone();
        self.spawn(async move {
            if let Err(error) = alarm.wake_in(seconds).await {
                console_error!("alarm: {}", error.to_string());
            }
        });
    }

    fn sold(&self) {
        let Some(env) = self.herald.clone().filter(|_| !self.is_calling.replace(true)) else {
            return;
        };
        let host = self.clone();
        self.spawn(async move {
            // What is sold in the same moment needs no call of its own.
            Delay::from(CALL_PAUSE).await;
            host.is_calling.set(false);
            if let Err(error) = webhooks::nudge(&env).await {
                console_error!("webhooks: {}", error.to_string());
                host.wake_in(AGAIN_SECONDS);
            }
        });
    }

    fn collect(&self, sale: &Sale) {
        if let Some(points) = &self.points
            && points.add(sale)
        {
            self.spawn(points.clone().write());
        }
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}
