//! The clock, the tasks and the log of a world.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use edge402::settlement::{Host, Sale};
use edge402::time::UnixSeconds;

use super::tables::SimStore;
use super::{SimTransport, World, time};

#[derive(Clone)]
pub struct SimHost(pub Rc<World>);

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
        let world = &self.0;
        let at = world.clock.now_ms() + 1_000 * seconds;
        if world.alarm.get().is_some_and(|set| set <= at) {
            return;
        }
        world.alarm.set(Some(at));
        let alarmed = Rc::clone(world);
        world.clock.spawn(async move {
            alarmed.clock.sleep(1_000 * seconds).await;
            if alarmed.alarm.get().is_some_and(|set| set <= alarmed.clock.now_ms()) {
                alarmed.alarm.set(None);
                // An alarm that fails is tried again.
                if alarmed.settler().wake().is_err() {
                    SimHost(alarmed).wake_in(2);
                }
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
