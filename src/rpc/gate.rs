//! A bound on the connections that are open at once.
//!
//! Cloudflare lets an invocation have six requests that wait for the head of
//! their answer, a Durable Object all of its requests together; a seventh
//! waits in the runtime, where its time-out runs already. Here it waits before
//! it is made.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;

use super::READ_TIMEOUT;

/// How many requests may be open at once.
/// Source: Cloudflare Workers limits, "Simultaneous open connections".
pub const CONNECTIONS: usize = 6;

/// How many of them may be such as are held for long: those whose time-out is
/// longer than [`READ_TIMEOUT`]. The rest is left to short questions.
pub const LONG_CONNECTIONS: usize = 4;

/// How many of those that are held for long may be repeats of requests of which
/// nothing was heard: the rest is left to what is new.
pub const AGAIN_CONNECTIONS: usize = 2;

/// Lets a bounded number of requests through, the others in the order in which
/// they came.
#[derive(Default)]
pub struct Gate(RefCell<State>);

#[derive(Default)]
struct State {
    open: usize,
    open_long: usize,
    open_again: usize,
    is_telling: bool,
    waiting: VecDeque<(Kind, oneshot::Sender<Permit>)>,
}

/// The right to have one connection open, until it is dropped.
pub struct Permit {
    gate: Rc<Gate>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Short,
    Long,
    /// A long one that was made before.
    Again,
    /// Nobody waits for the answer.
    Telling,
}

impl Gate {
    /// Waits for a connection. A caller that stops waiting loses its turn and
    /// nothing else.
    pub async fn enter(self: &Rc<Self>, timeout: Duration) -> Permit {
        self.enter_as(if timeout > READ_TIMEOUT { Kind::Long } else { Kind::Short }).await
    }

    /// The same for a request that is held for long and was made before.
    pub async fn enter_again(self: &Rc<Self>) -> Permit {
        self.enter_as(Kind::Again).await
    }

    async fn enter_as(self: &Rc<Self>, kind: Kind) -> Permit {
        loop {
            let turn = {
                let mut state = self.0.borrow_mut();
                // Those of the same kind that came before go first.
                let has_predecessor = state.waiting.iter().any(|(other, _)| *other == kind);
                if !has_predecessor && state.has_room(kind) {
                    state.take(kind);
                    return Permit { gate: Rc::clone(self), kind };
                }
                let (sender, turn) = oneshot::channel();
                state.waiting.push_back((kind, sender));
                turn
            };
            if let Ok(permit) = turn.await {
                return permit;
            }
        }
    }

    /// A connection for what nobody waits for, if one is free and no other of
    /// the kind is open.
    pub fn enter_to_tell(self: &Rc<Self>) -> Option<Permit> {
        let mut state = self.0.borrow_mut();
        if !state.has_room(Kind::Telling) {
            return None;
        }
        state.take(Kind::Telling);
        Some(Permit { gate: Rc::clone(self), kind: Kind::Telling })
    }

    /// Lets those in whose turn it is.
    fn admit(self: &Rc<Self>) {
        loop {
            let next = {
                let mut state = self.0.borrow_mut();
                state.waiting.retain(|(_, sender)| !sender.is_canceled());
                let first = state.waiting.iter().position(|(kind, _)| state.has_room(*kind));
                let Some((kind, sender)) = first.and_then(|at| state.waiting.remove(at)) else {
                    return;
                };
                state.take(kind);
                (kind, sender)
            };
            let (kind, sender) = next;
            // One that waits no longer gives the permit back, which admits the
            // next one.
            let _ = sender.send(Permit { gate: Rc::clone(self), kind });
        }
    }
}

impl State {
    const fn has_room(&self, kind: Kind) -> bool {
        self.open < CONNECTIONS
            && match kind {
                Kind::Short => true,
                Kind::Long => self.open_long < LONG_CONNECTIONS,
                Kind::Again => {
                    self.open_long < LONG_CONNECTIONS && self.open_again < AGAIN_CONNECTIONS
                }
                Kind::Telling => !self.is_telling,
            }
    }

    const fn take(&mut self, kind: Kind) {
        self.open += 1;
        match kind {
            Kind::Short => {}
            Kind::Long => self.open_long += 1,
            Kind::Again => {
                self.open_long += 1;
                self.open_again += 1;
            }
            Kind::Telling => self.is_telling = true,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.gate.0.borrow_mut();
            state.open = state.open.saturating_sub(1);
            match self.kind {
                Kind::Short => {}
                Kind::Long => state.open_long = state.open_long.saturating_sub(1),
                Kind::Again => {
                    state.open_long = state.open_long.saturating_sub(1);
                    state.open_again = state.open_again.saturating_sub(1);
                }
                Kind::Telling => state.is_telling = false,
            }
        }
        self.gate.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn six_are_open_and_the_seventh_comes_next() {
        let gate = Rc::new(Gate::default());
        let enter = || gate.enter(READ_TIMEOUT);
        let mut open: Vec<_> = (0..6).map(|_| enter().now_or_never().unwrap()).collect();
        let mut seventh = Box::pin(enter());
        let mut eighth = Box::pin(enter());
        assert!(seventh.as_mut().now_or_never().is_none());
        assert!(eighth.as_mut().now_or_never().is_none());
        open.pop();
        assert!(eighth.as_mut().now_or_never().is_none(), "each in its turn");
        let seventh = seventh.as_mut().now_or_never().unwrap();
        drop(seventh);
        assert!(eighth.as_mut().now_or_never().is_some());
    }

    #[test]
    fn a_turn_that_is_given_up_is_the_next_ones() {
        let gate = Rc::new(Gate::default());
        let enter = || gate.enter(READ_TIMEOUT);
        let mut open: Vec<_> = (0..6).map(|_| enter().now_or_never().unwrap()).collect();
        let mut first = Box::pin(enter());
        let mut second = Box::pin(enter());
        let mut third = Box::pin(enter());
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        // One before its turn comes, one after.
        drop(first);
        open.pop();
        drop(second);
        assert!(third.as_mut().now_or_never().is_some());
        open.clear();
        assert_eq!(gate.0.borrow().open, 0);
    }

    #[test]
    fn telling_takes_one_connection_and_never_waits() {
        let gate = Rc::new(Gate::default());
        let told = gate.enter_to_tell();
        assert!(told.is_some());
        assert!(gate.enter_to_tell().is_none());
        let open: Vec<_> =
            (0..5).map(|_| gate.enter(READ_TIMEOUT).now_or_never().unwrap()).collect();
        assert!(gate.enter(READ_TIMEOUT).now_or_never().is_none());
        drop(told);
        let sixth = gate.enter(READ_TIMEOUT).now_or_never();
        assert!(sixth.is_some());
        assert!(gate.enter_to_tell().is_none(), "no connection is free");
        drop((open, sixth));
        assert!(gate.enter_to_tell().is_some());
    }

    #[test]
    fn repeats_leave_room_for_what_is_new() {
        let gate = Rc::new(Gate::default());
        let mut again: Vec<_> =
            (0..2).map(|_| gate.enter_again().now_or_never().unwrap()).collect();
        let mut third = Box::pin(gate.enter_again());
        assert!(third.as_mut().now_or_never().is_none());
        let new: Vec<_> = (0..2).map(|_| gate.enter(LONG).now_or_never().unwrap()).collect();
        assert!(gate.enter(LONG).now_or_never().is_none(), "they are long, too");
        drop(new);
        assert!(third.as_mut().now_or_never().is_none());
        again.pop();
        assert!(third.as_mut().now_or_never().is_some());
        again.clear();
        assert_eq!((gate.0.borrow().open_long, gate.0.borrow().open_again), (0, 0));
    }

    #[test]
    fn long_ones_leave_room_for_short_ones() {
        let gate = Rc::new(Gate::default());
        let mut long: Vec<_> = (0..4).map(|_| gate.enter(LONG).now_or_never().unwrap()).collect();
        let mut fifth = Box::pin(gate.enter(LONG));
        assert!(fifth.as_mut().now_or_never().is_none());
        for _ in 0..100 {
            let short = [gate.enter(READ_TIMEOUT), gate.enter(READ_TIMEOUT)];
            assert!(short.map(|enter| enter.now_or_never().is_some()).iter().all(|open| *open));
        }
        long.pop();
        assert!(fifth.as_mut().now_or_never().is_some());
    }
}
