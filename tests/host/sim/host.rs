//! The clock, the tasks and the log of a world.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use edge402::settlement::alarm::Alarm;
use edge402::settlement::{Host, Sale};
use edge402::time::UnixSeconds;

use super::tables::SimStore;
use super::{SimTransport, World, time};

#[derive(Clone)]
pub struct SimHost(pub Rc<World>);

/// The alarm on disk, and as the Settler's life knows it.
#[derive(Default)]
pub struct SimAlarm {
    pub at: Cell<Option<u64>>,
    /// How often more the runtime does not set it.
    pub fails: Cell<u32>,
    wanted: RefCell<Rc<Alarm>>,
}

/// How often the runtime tries again an alarm that fails, at most:
/// <https://developers.cloudflare.com/durable-objects/api/alarms/>.
const RETRIES: u32 = 6;

impl SimHost {
    /// For a Settler that comes to life.
    pub fn of_new_life(world: &Rc<World>) -> Self {
        world.alarm.wanted.take();
        Self(Rc::clone(world))
    }
}

impl World {
    fn set_alarm(self: &Rc<Self>, at: u64) {
        self.alarm.at.set(Some(at));
        let alarmed = Rc::clone(self);
        self.clock.spawn(async move {
            alarmed.clock.sleep(at - alarmed.clock.now_ms()).await;
            if alarmed.alarm.at.get() == Some(at) {
                alarmed.alarm.at.set(None);
                alarmed.alarm.wanted.borrow().has_rung(alarmed.clock.now_ms());
                // An alarm that fails is tried again, and not for ever.
                let mut pause = 1_000;
                for _ in 0..=RETRIES {
                    if alarmed.settler().wake().is_ok() || alarmed.alarm.at.get().is_some() {
                        break;
                    }
                    pause *= 2;
                    alarmed.clock.sleep(pause).await;
                }
            }
        });
    }
}

impl Host for SimHost {
    type Transport = SimTransport;
    type Store = SimStore;

    fn transport(&self) -> SimTransport {
        SimTransport(Rc::clone(&self.0))
    }

    fn now(&self) -> UnixSeconds {
        self.0.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.clock.sleep(u64::try_from(duration.as_millis()).unwrap()).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.clock.spawn_mortal(task);
    }

    fn wake_in(&self, seconds: u64) {
        let world = Rc::clone(&self.0);
        let (now, wanted) = (world.clock.now_ms(), Rc::clone(&world.alarm.wanted.borrow()));
        let at = now + 1_000 * seconds;
        if wanted.is_asked(at, now) {
            return;
        }
        self.spawn(async move {
            // As in the runtime, each of the two takes a while.
            let look = async || {
                world.clock.sleep(0).await;
                Ok(world.alarm.at.get())
            };
            let write = async |at| {
                let fails = world.alarm.fails.get();
                world.alarm.fails.set(fails.saturating_sub(1));
                if fails > 0 {
                    return Err(());
                }
                world.set_alarm(at);
                world.clock.sleep(0).await;
                Ok(())
            };
            if wanted.set(at, || world.clock.now_ms(), look, write).await.is_err() {
                SimHost(world).log("alarm: it is not set");
            }
        });
    }

    fn collect(&self, sale: &Sale) {
        self.0.clock.points.borrow_mut().push(sale.data_point());
    }

    fn sold(&self) {
        self.0.clock.calls.set(self.0.clock.calls.get() + 1);
    }

    fn log(&self, line: &str) {
        if std::env::var_os("SIM_LOG").is_some() {
            eprintln!("{:>9} {line}", self.0.clock.now_ms() - time::START_MS);
        }
        self.0.log.borrow_mut().push(line.to_owned());
    }
}
