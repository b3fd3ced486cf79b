//! How far each webhook has been told.

use crate::config::Webhook;
use crate::json_struct;
use crate::settlement::sales::SalePlace;
use crate::time::UnixSeconds;

use super::{DAY, Event, MAX_EVENTS};

/// How much of what was before it is told to a webhook that is new, in seconds:
/// it may have been sold while nobody had seen the new configuration.
const BACK_SECONDS: u64 = 300;

/// The pauses after a failure, in seconds; the last one again and again.
const PAUSES: [u64; 7] = [5, 30, 120, 300, 900, 1_800, 3_600];

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookState {
    /// Which.
    pub url: String,
    /// From when on it is told.
    pub since: UnixSeconds,
    /// How far, of each Settler's sales.
    pub cursors: Vec<Cursor>,
    /// How it stands with each kind of event.
    pub streams: Vec<Stream>,
    /// When it was last tried.
    pub last_time: Option<UnixSeconds>,
    /// What it answered then; none if nothing came.
    pub last_status: Option<u64>,
}

json_struct!(HookState { url, since, cursors, streams, last_time, last_status });

/// How far one Settler's sales were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The Settler.
    pub settler: String,
    /// The last sale that was told.
    pub place: SalePlace,
}

json_struct!(Cursor { settler, place });

/// How it stands with one kind of event at one webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The kind.
    pub kind: String,
    /// The number of the last event that was told; of sales see the cursors.
    pub done: u64,
    /// How often the next one was tried.
    pub tries: u64,
    /// Not before then.
    pub next_at: UnixSeconds,
    /// Since when it fails.
    pub failing_since: Option<UnixSeconds>,
}

json_struct!(Stream { kind, done, tries, next_at, failing_since });

impl Outbox {
    /// Follows the configuration: a webhook that is gone is forgotten, and a new one
    /// begins now.
    pub fn follow(&mut self, hooks: &[Webhook], now: UnixSeconds) {
        self.hooks.retain(|it| hooks.iter().any(|hook| hook.url == it.url));
        for hook in hooks {
            if !self.hooks.iter().any(|it| it.url == hook.url) {
                self.hooks.push(HookState {
                    url: hook.url.clone(),
                    since: UnixSeconds(now.0.saturating_sub(BACK_SECONDS)),
                    cursors: vec![],
                    streams: vec![],
                    last_time: None,
                    last_status: None,
                });
            }
            let Some(state) = self.hook_mut(&hook.url) else { continue };
            let number = state.streams.iter().map(|it| it.done).max();
            state.streams.retain(|it| hook.events.contains(&it.kind.as_str()));
            for kind in &hook.events {
                if !state.streams.iter().any(|it| it.kind == *kind) {
                    let done = number.unwrap_or_default();
                    let kind = (*kind).to_owned();
                    state.streams.push(Stream { kind, done, ..Stream::default() });
                }
            }
        }
        let is_wanted = |event: &Event| {
            let mut hooks = self.hooks.iter().flat_map(|it| &it.streams);
            let is_new = now.since(event.time) < DAY;
            is_new && hooks.any(|it| it.kind == event.kind && it.done < event.number)
        };
        let events: Vec<Event> = self.events.iter().filter(|it| is_wanted(it)).cloned().collect();
        self.events = events;
    }

    /// Adds an event; the oldest goes if there are too many.
    pub fn push(&mut self, kind: &str, time: UnixSeconds, data: String) {
        self.number += 1;
        let number = self.number;
        let id = super::id_of(kind, &format!("{number}\n{time}\n{data}"));
        self.events.push(Event { number, kind: kind.to_owned(), time, id, data });
        if self.events.len() > MAX_EVENTS {
            self.events.remove(0);
        }
    }

    /// The state of a webhook.
    pub fn hook(&self, url: &str) -> Option<&HookState> {
        self.hooks.iter().find(|it| it.url == url)
    }

    /// The same, to be changed.
    pub fn hook_mut(&mut self, url: &str) -> Option<&mut HookState> {
        self.hooks.iter_mut().find(|it| it.url == url)
    }

    /// The oldest event of a kind that a webhook was not told of.
    pub fn next_event(&self, url: &str, kind: &str, now: UnixSeconds) -> Option<&Event> {
        let done = self.hook(url)?.stream(kind)?.done;
        let is_next = |it: &&Event| it.kind == kind && it.number > done && now.since(it.time) < DAY;
        self.events.iter().find(is_next)
    }
}

impl HookState {
    /// How it stands with a kind of event.
    pub fn stream(&self, kind: &str) -> Option<&Stream> {
        self.streams.iter().find(|it| it.kind == kind)
    }

    /// Behind which sale a Settler's next one stands. What a day has not been
    /// enough for is given up.
    pub fn place(&self, settler: &str, now: UnixSeconds) -> SalePlace {
        let cursor = self.cursors.iter().find(|it| it.settler == settler);
        let at = |time| SalePlace { time, payment: String::new() };
        let place = cursor.map_or_else(|| at(self.since), |it| it.place.clone());
        place.max(at(UnixSeconds(now.0.saturating_sub(DAY))))
    }

    /// Takes note that a sale was told.
    pub fn told_sale(&mut self, settler: &str, place: SalePlace) {
        match self.cursors.iter_mut().find(|it| it.settler == settler) {
            Some(cursor) => cursor.place = place,
            None => self.cursors.push(Cursor { settler: settler.to_owned(), place }),
        }
    }

    /// Takes note of what came of telling it something.
    pub fn note(&mut self, kind: &str, status: Option<u16>, now: UnixSeconds) -> bool {
        self.last_time = Some(now);
        self.last_status = status.map(u64::from);
        let is_good = status.is_some_and(|status| (200..300).contains(&status));
        if let Some(stream) = self.streams.iter_mut().find(|it| it.kind == kind) {
            if is_good {
                (stream.tries, stream.next_at, stream.failing_since) = (0, now, None);
            } else {
                let pauses = PAUSES.iter().skip(usize::try_from(stream.tries).unwrap_or(7));
                stream.next_at =
                    now.plus(pauses.chain(PAUSES.last()).next().copied().unwrap_or(3_600));
                stream.tries += 1;
                stream.failing_since = stream.failing_since.or(Some(now));
            }
        }
        is_good
    }

    /// Takes note that an event was told.
    pub fn told(&mut self, event: &Event) {
        if let Some(stream) = self.streams.iter_mut().find(|it| it.kind == event.kind) {
            stream.done = event.number;
        }
    }
}
