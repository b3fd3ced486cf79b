//! How far each webhook has been told.

use crate::config::Webhook;
use crate::json_struct;
use crate::settlement::sales::SalePlace;
use crate::time::UnixSeconds;

use super::spot::{Aside, SaleSpot};
use super::{Event, MAX_EVENTS};

/// How much of what was before it is told to a webhook that is new, in seconds:
/// it may have been sold while nobody had seen the new configuration.
const BACK_SECONDS: u64 = 300;

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// One for each webhook.
    pub hooks: Vec<HookState>,
    /// What is to be told besides sales, the oldest first.
    pub events: Vec<Event>,
    /// How many such events there were.
    pub number: u64,
    /// When the Settlers were last looked at for such events.
    pub looked_at: UnixSeconds,
    /// What they were found to have then: an event is a change.
    pub seen: Vec<String>,
    /// The day of which refusals were last counted, and how many there were.
    pub refused_day: u64,
    /// How many for each reason.
    pub refused: Vec<Count>,
    /// When refusals were last told of.
    pub refused_at: UnixSeconds,
}

json_struct!(Outbox { hooks, events, number, looked_at, seen, refused_day, refused, refused_at });

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What.
    pub reason: String,
    /// How often.
    pub count: u64,
}

json_struct!(Count { reason, count });

/// How far one webhook has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookState {
    /// Which.
    pub url: String,
    /// How far, of each Settler's sales.
    pub cursors: Vec<Cursor>,
    /// How it stands with each kind of event.
    pub streams: Vec<Stream>,
    /// What was not taken, and is tried again beside what follows it.
    pub aside: Vec<Aside>,
    /// When it was last tried.
    pub last_time: Option<UnixSeconds>,
    /// What it answered then; none if nothing came.
    pub last_status: Option<u64>,
    /// How much was given up.
    pub given_up: u64,
    /// When something was, last.
    pub given_up_at: Option<UnixSeconds>,
}

json_struct!(HookState {
    url,
    cursors,
    streams,
    aside = default,
    last_time,
    last_status,
    given_up = default,
    given_up_at,
});

/// How far one Settler's sales were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The Settler.
    pub settler: String,
    /// The last sale that was tried.
    pub place: SalePlace,
}

json_struct!(Cursor { settler, place });

/// How it stands with one kind of event at one webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The kind.
    pub kind: String,
    /// From when on it is told.
    pub since: UnixSeconds,
    /// The number of the last event that was tried; of sales see the cursors.
    pub done: u64,
    /// How often something failed, with no sign of the receiver since.
    pub tries: u64,
    /// Nothing is tried for the first time before then.
    pub next_at: UnixSeconds,
    /// Since when it fails, with nothing taken but what was taken before.
    pub failing_since: Option<UnixSeconds>,
    /// When the log was last told that it is behind.
    pub late_at: UnixSeconds,
    /// The sale that was taken last.
    pub taken: Option<SaleSpot>,
}

json_struct!(Stream {
    kind,
    since = default,
    done,
    tries,
    next_at,
    failing_since,
    late_at = default,
    taken,
});

impl Outbox {
    /// Follows the configuration: a webhook or a kind of event that is gone is
    /// forgotten, and a new one begins now.
    pub fn follow(&mut self, hooks: &[Webhook], now: UnixSeconds) {
        self.hooks.retain(|it| hooks.iter().any(|hook| hook.url == it.url));
        let since = UnixSeconds(now.0.saturating_sub(BACK_SECONDS));
        let old = self.events.iter().filter(|it| it.time < since).map(|it| it.number);
        let done = old.max().unwrap_or_default();
        for hook in hooks {
            if !self.hooks.iter().any(|it| it.url == hook.url) {
                self.hooks.push(HookState { url: hook.url.clone(), ..HookState::default() });
            }
            let Some(state) = self.hook_mut(&hook.url) else { continue };
            let is_heard = |kind: &str| hook.events.contains(&kind);
            state.streams.retain(|it| is_heard(&it.kind));
            state.aside.retain(|it| is_heard(&it.kind));
            if !is_heard("sale") {
                state.cursors.clear();
            }
            for kind in &hook.events {
                if !state.streams.iter().any(|it| it.kind == *kind) {
                    let kind = (*kind).to_owned();
                    state.streams.push(Stream { kind, since, done, ..Stream::default() });
                }
            }
        }
        let hooks = &self.hooks;
        self.events.retain(|event| hooks.iter().any(|it| it.waits_for(event)));
    }

    /// Adds an event. If there are too many, the oldest goes; answers with it if
    /// somebody was to hear of it.
    pub fn push(&mut self, kind: &str, time: UnixSeconds, data: String) -> Option<Event> {
        self.number += 1;
        let number = self.number;
        let id = super::id_of(kind, &format!("{number}\n{time}\n{data}"));
        self.events.push(Event { number, kind: kind.to_owned(), time, id, data });
        if self.events.len() <= MAX_EVENTS {
            return None;
        }
        let oldest = self.events.remove(0);
        let waiting = self.hooks.iter_mut().filter(|it| it.waits_for(&oldest));
        let waiting = waiting.map(|it| it.count_given_up(time)).count();
        (waiting > 0).then_some(oldest)
    }

    /// The state of a webhook.
    pub fn hook(&self, url: &str) -> Option<&HookState> {
        self.hooks.iter().find(|it| it.url == url)
    }

    /// The same, to be changed.
    pub fn hook_mut(&mut self, url: &str) -> Option<&mut HookState> {
        self.hooks.iter_mut().find(|it| it.url == url)
    }

    /// The oldest events of a kind that were not tried with a webhook.
    pub fn next_events(&self, url: &str, kind: &str, limit: usize) -> Vec<Event> {
        let stream = self.hook(url).and_then(|it| it.stream(kind));
        let Some(done) = stream.map(|it| it.done) else { return vec![] };
        let next = self.events.iter().filter(|it| it.kind == kind && it.number > done);
        next.take(limit).cloned().collect()
    }
}

impl HookState {
    /// How it stands with a kind of event.
    pub fn stream(&self, kind: &str) -> Option<&Stream> {
        self.streams.iter().find(|it| it.kind == kind)
    }

    /// The same, to be changed.
    pub fn stream_mut(&mut self, kind: &str) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|it| it.kind == kind)
    }

    /// Behind which sale the next one of a Settler stands that was never tried.
    pub fn place(&self, settler: &str) -> SalePlace {
        let cursor = self.cursors.iter().find(|it| it.settler == settler);
        let since = self.stream("sale").map(|it| it.since).unwrap_or_default();
        cursor.map_or_else(
            || SalePlace { time: since, payment: String::new() },
            |it| it.place.clone(),
        )
    }

    /// Takes note that a sale was tried.
    pub fn passed_sale(&mut self, settler: &str, place: SalePlace) {
        match self.cursors.iter_mut().find(|it| it.settler == settler) {
            Some(cursor) => cursor.place = place,
            None => self.cursors.push(Cursor { settler: settler.to_owned(), place }),
        }
    }

    /// Whether an event is still to be told.
    fn waits_for(&self, event: &Event) -> bool {
        self.stream(&event.kind).is_some_and(|it| it.done < event.number)
            || self.aside.iter().any(|it| it.id == event.id)
    }

    /// Takes note that something was given up.
    pub fn count_given_up(&mut self, now: UnixSeconds) {
        self.given_up += 1;
        self.given_up_at = Some(now);
    }
}
