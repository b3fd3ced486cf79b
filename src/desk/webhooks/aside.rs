//! What becomes of a message that is not taken: it is put aside, so that it holds up
//! nothing, and tried again for a day. Not everything that fails is the receiver's
//! fault: a buyer chooses the path that a sale's message has.

use super::outbox::HookState;
use super::spot::{Aside, SaleSpot};
use super::{AGAIN_SECONDS, DAY};
use crate::time::UnixSeconds;

/// How many of one kind are put aside at one webhook.
const MAX_ASIDE: usize = 50;

/// The pauses before what was put aside is tried again, in seconds; the last one
/// again and again.
const PAUSES: [u64; 7] = [5, 30, 120, 300, 900, 1_800, 3_600];

/// The pauses before the next one is tried for the first time when so many before
/// it have failed, in seconds: a few bad ones hold up nobody, and who takes nothing
/// at all is not asked all the time.
const PROBES: [u64; 7] = [0, 0, 0, 0, 5, 30, 60];

/// The same when no more can be put aside.
pub(super) const FULL_PAUSE: u64 = 300;

/// How many failures in a row look like a receiver that takes nothing.
pub(super) const IS_DOWN: u64 = 3;

/// Where a message stands among those of its kind.
#[derive(Clone, Debug)]
pub enum Spot {
    /// A sale.
    Sale(SaleSpot),
    /// Something else, by its number.
    Event(u64),
}

fn pause(pauses: &[u64], tries: u64) -> u64 {
    let at = usize::try_from(tries).unwrap_or(usize::MAX).min(pauses.len().saturating_sub(1));
    pauses.get(at).copied().unwrap_or(AGAIN_SECONDS)
}

/// Whether an answer is that it was taken.
pub(super) fn is_taken(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

/// Whether an answer to what was taken before shows that the receiver is there: it may
/// say that it has it (RFC 9110, section 15.5.10).
fn is_there(status: Option<u16>) -> bool {
    is_taken(status) || status == Some(409)
}

impl HookState {
    /// Takes note of what came of trying something for the first time. Answers
    /// whether what follows it may be tried at all; what must be given up for it goes
    /// into `given_up`. Nothing is passed over that was not tried, and is not put aside.
    pub fn note_first(
        &mut self,
        (kind, id, spot): (&str, &str, Spot),
        status: Option<u16>,
        now: UnixSeconds,
        given_up: &mut Vec<Aside>,
    ) -> bool {
        self.note_answer(status, now);
        if is_taken(status) {
            if let (Spot::Sale(sale), Some(stream)) = (&spot, self.stream_mut(kind)) {
                stream.taken = Some(sale.clone());
            }
            self.pass(kind, spot);
            self.overtake(kind);
            self.note_success(kind, now);
            return true;
        }
        let fails = self.stream(kind).map_or(0, |it| it.tries);
        let has_room = self.make_room(kind, fails >= IS_DOWN, now, given_up);
        if let Some(stream) = self.stream_mut(kind) {
            stream.tries += 1;
            stream.failing_since = stream.failing_since.or(Some(now));
            let pause = if has_room { pause(&PROBES, stream.tries) } else { FULL_PAUSE };
            stream.next_at = now.plus(pause);
        }
        if has_room {
            let sale = match &spot {
                Spot::Sale(sale) => Some(sale.clone()),
                Spot::Event(_) => None,
            };
            let (id, status) = (id.to_owned(), status.map(u64::from));
            let next_at = now.plus(pause(&PAUSES, 0));
            let (kind_of, since, tries, overtaken) = (kind.to_owned(), now, 1, false);
            let aside = Aside { id, kind: kind_of, sale, since, tries, next_at, status, overtaken };
            self.aside.push(aside);
            self.pass(kind, spot);
        }
        has_room
    }

    /// Takes note of what came of trying again what was put aside.
    pub fn note_again(&mut self, kind: &str, id: &str, status: Option<u16>, now: UnixSeconds) {
        self.note_answer(status, now);
        if is_taken(status) {
            self.aside.retain(|it| it.id != id);
            self.note_success(kind, now);
        } else if let Some(aside) = self.aside.iter_mut().find(|it| it.id == id) {
            aside.next_at = now.plus(pause(&PAUSES, aside.tries));
            aside.tries += 1;
            aside.status = status.map(u64::from);
        }
    }

    /// Takes note of what came of sending once more what was taken last. That it has that
    /// does not show that it takes anything new: it still fails.
    pub fn note_canary(&mut self, kind: &str, status: Option<u16>, now: UnixSeconds) {
        self.note_answer(status, now);
        if is_there(status) {
            self.go_on(kind, now);
        }
    }

    /// Takes note of what came of a sale that was sent before its turn, while the one
    /// whose turn it is can't be put aside. A receiver that takes it takes new ones, so
    /// what it does not take may make room.
    pub fn note_ahead(
        &mut self,
        kind: &str,
        spot: SaleSpot,
        status: Option<u16>,
        now: UnixSeconds,
    ) {
        self.note_answer(status, now);
        if !is_taken(status) {
            return;
        }
        if let Some(stream) = self.stream_mut(kind) {
            stream.taken = Some(spot);
        }
        self.overtake(kind);
        self.note_success(kind, now);
    }

    /// Whether no more of a kind can be put aside.
    pub fn is_full(&self, kind: &str) -> bool {
        self.count_aside(kind) >= MAX_ASIDE
    }

    /// Something new was taken since these were put aside.
    fn overtake(&mut self, kind: &str) {
        for aside in self.aside.iter_mut().filter(|it| it.kind == kind) {
            aside.overtaken = true;
        }
    }

    /// The first of a kind that is to be tried again now.
    pub fn due_again(&self, kind: &str, now: UnixSeconds) -> Option<&Aside> {
        self.aside.iter().find(|it| it.kind == kind && it.next_at <= now)
    }

    /// How many of a kind are put aside.
    pub fn count_aside(&self, kind: &str) -> usize {
        self.aside.iter().filter(|it| it.kind == kind).count()
    }

    /// Takes out what has been tried for a day.
    pub fn expire(&mut self, kind: &str, now: UnixSeconds) -> Vec<Aside> {
        let is_over = |it: &Aside| it.kind == kind && now.since(it.since) >= DAY;
        let over: Vec<Aside> = self.aside.iter().filter(|it| is_over(it)).cloned().collect();
        self.aside.retain(|it| !is_over(it));
        for _ in &over {
            self.count_given_up(now);
        }
        over
    }

    fn note_answer(&mut self, status: Option<u16>, now: UnixSeconds) {
        self.last_time = Some(now);
        self.last_status = status.map(u64::from);
    }

    /// Something was taken that was not before.
    fn note_success(&mut self, kind: &str, now: UnixSeconds) {
        self.go_on(kind, now);
        if let Some(stream) = self.stream_mut(kind) {
            stream.failing_since = None;
        }
    }

    /// The receiver is there: if it was not before, all that was put aside is tried
    /// now, before what follows it.
    fn go_on(&mut self, kind: &str, now: UnixSeconds) {
        let Some(stream) = self.stream_mut(kind) else { return };
        let is_news = stream.tries > IS_DOWN;
        (stream.tries, stream.next_at) = (0, now);
        if is_news {
            for aside in self.aside.iter_mut().filter(|it| it.kind == kind) {
                aside.next_at = aside.next_at.min(now);
            }
        }
    }

    /// Whether one more of a kind can be put aside. Of what was put aside before
    /// something new was taken, what has been tried most makes room. A receiver that may
    /// be down loses nothing, nor one that only says that it has what it took before.
    fn make_room(
        &mut self,
        kind: &str,
        is_down: bool,
        now: UnixSeconds,
        given_up: &mut Vec<Aside>,
    ) -> bool {
        if !self.is_full(kind) {
            return true;
        }
        let may_go = |it: &Aside| !is_down && it.kind == kind && it.overtaken;
        let may_go = self.aside.iter().enumerate().filter(|(_, it)| may_go(it));
        let most = may_go.max_by_key(|(place, it)| (it.tries, usize::MAX - place));
        let Some(place) = most.map(|(place, _)| place) else { return false };
        given_up.push(self.aside.remove(place));
        self.count_given_up(now);
        true
    }

    fn pass(&mut self, kind: &str, spot: Spot) {
        match spot {
            Spot::Sale(sale) => self.passed_sale(&sale.settler, sale.place),
            Spot::Event(number) => {
                if let Some(stream) = self.stream_mut(kind) {
                    stream.done = number;
                }
            }
        }
    }
}
