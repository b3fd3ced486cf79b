//! Tasks and virtual time, on one thread: the same run every time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use edge402::time::UnixSeconds;

pub const START_MS: u64 = 1_700_000_000_000;

/// More polls than this at one point in time are a loop without an end.
const POLLS_MAX: usize = 200_000;

type Ready = Arc<Mutex<VecDeque<u64>>>;

pub struct Clock {
    now: Cell<u64>,
    next: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: Ready,
    /// How often whoever sends webhooks was called.
    pub calls: Cell<usize>,
    /// The data points of sales.
    pub points: RefCell<Vec<String>>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether it dies with the Settler.
    is_mortal: bool,
    waker: Waker,
}

struct TaskWaker {
    id: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().push_back(self.id);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            now: Cell::new(START_MS),
            next: Cell::new(0),
            timers: RefCell::default(),
            tasks: RefCell::default(),
            ready: Arc::default(),
            calls: Cell::new(0),
            points: RefCell::default(),
        }
    }
}

impl Clock {
    pub fn now_ms(&self) -> u64 {
        self.now.get()
    }

    pub fn now(&self) -> UnixSeconds {
        UnixSeconds(self.now.get() / 1_000)
    }

    fn id(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    pub fn sleep(self: &Rc<Self>, ms: u64) -> Sleep {
        Sleep { clock: Rc::clone(self), key: (self.now.get() + ms, self.id()) }
    }

    /// Starts a task that lives until it is done.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.spawn_task(future, false);
    }

    /// Starts a task that [`Clock::kill`] ends.
    pub fn spawn_mortal(&self, future: impl Future<Output = ()> + 'static) {
        self.spawn_task(future, true);
    }

    fn spawn_task(&self, future: impl Future<Output = ()> + 'static, is_mortal: bool) {
        let id = self.id();
        let waker = Waker::from(Arc::new(TaskWaker { id, ready: Arc::clone(&self.ready) }));
        self.tasks.borrow_mut().insert(id, Task { future: Box::pin(future), is_mortal, waker });
        self.ready.lock().unwrap().push_back(id);
    }

    /// Ends the mortal tasks where they stand.
    pub fn kill(&self) {
        let dead: Vec<_> =
            self.tasks.borrow_mut().extract_if(.., |_, task| task.is_mortal).collect();
        drop(dead);
    }

    pub fn run_for(&self, ms: u64) {
        let until = self.now.get() + ms;
        loop {
            self.run_ready();
            let first = self.timers.borrow().keys().next().copied();
            let Some((at, id)) = first.filter(|(at, _)| *at <= until) else { break };
            self.now.set(at.max(self.now.get()));
            let waker = self.timers.borrow_mut().remove(&(at, id));
            waker.unwrap().wake();
        }
        self.now.set(until);
    }

    fn run_ready(&self) {
        for polls in 0.. {
            assert!(polls < POLLS_MAX, "a loop without an end");
            let id = self.ready.lock().unwrap().pop_front();
            let Some(id) = id else { break };
            let Some(mut task) = self.tasks.borrow_mut().remove(&id) else { continue };
            let waker = task.waker.clone();
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.tasks.borrow_mut().insert(id, task);
            }
        }
    }
}

pub struct Sleep {
    clock: Rc<Clock>,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now.get() >= self.key.0 {
            return Poll::Ready(());
        }
        self.clock.timers.borrow_mut().insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.timers.borrow_mut().remove(&self.key);
    }
}
