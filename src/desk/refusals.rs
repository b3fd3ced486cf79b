//! How many payments were refused, by reason and day. Each isolate of the Worker
//! counts by itself and sends its counts on now and then, so that a flood of
//! refusals costs a bounded number of writes. What could not be sent goes with the
//! next counts; what an isolate has not sent when it ends is lost.

use serde_json::{Map, Value};

use super::sums::Refused;
use crate::json;
use crate::protocol::Reason;

/// The object that keeps the counts: no Settler's name.
pub const REFUSALS_NAME: &str = "desk/refusals";

/// How long an isolate waits after it has sent its counts, in milliseconds: at
/// first, and at most. As long as there are more it waits twice as long each time.
const PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// After that without a refusal, a flood is over, in milliseconds.
const OVER_MS: u64 = 10_000;

/// How long a request can stay to send counts later, in milliseconds: the runtime
/// ends it after half a minute.
const STAY_MS: u64 = 20_000;

/// An isolate's counts that are not sent yet.
#[derive(Debug, Default)]
pub struct Tally {
    /// Day, reason, and how many.
    counts: Vec<(u64, Reason, u64)>,
    /// Until when nothing is sent, in milliseconds.
    quiet_until_ms: u64,
    /// How long the last pause was, in milliseconds.
    pause_ms: u64,
    /// Until when a request stays to send them, in milliseconds.
    stays_until_ms: u64,
}

/// What is to be done about a refusal that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: somebody sends it later.
    Nothing,
    /// Stay for so many milliseconds, then [`Tally::take`].
    Stay(u64),
}

impl Tally {
    /// Counts a refusal.
    pub fn count(&mut self, reason: Reason, day: u64, now_ms: u64) -> Next {
        self.add(reason, day, 1);
        let wait = self.quiet_until_ms.saturating_sub(now_ms);
        if self.stays_until_ms > now_ms || wait > STAY_MS {
            return Next::Nothing;
        }
        // One that stays no longer than it said has died with its request.
        self.stays_until_ms = now_ms + wait + 1_000;
        Next::Stay(wait)
    }

    fn add(&mut self, reason: Reason, day: u64, more: u64) {
        let known = self.counts.iter_mut().find(|(on, it, _)| (*on, *it) == (day, reason));
        match known {
            Some((_, _, count)) => *count = count.saturating_add(more),
            None => self.counts.push((day, reason, more)),
        }
    }

    /// Puts back counts that could not be sent: they go with the next ones. There are
    /// never more than one for each reason and each day about today.
    pub fn put_back(&mut self, counts: &str, today: u64) {
        let message = json::parse(counts).unwrap_or_default();
        for (day, counts) in read_counts(&message, today) {
            for (reason, count) in counts {
                self.add(reason, day, count);
            }
        }
    }

    /// Takes the counts, to be sent as JSON: `[[day, reason, count], …]`.
    pub fn take(&mut self, now_ms: u64) -> String {
        let counts = std::mem::take(&mut self.counts);
        let goes_on = now_ms < self.quiet_until_ms.saturating_add(OVER_MS);
        let pause = if goes_on { self.pause_ms.saturating_mul(2) } else { PAUSE_MS };
        self.pause_ms = pause.clamp(PAUSE_MS, LONGEST_PAUSE_MS);
        self.quiet_until_ms = now_ms + self.pause_ms;
        self.stays_until_ms = 0;
        let counts = counts.iter().map(|(day, reason, count)| {
            Value::from(vec![Value::from(*day), reason.code().into(), (*count).into()])
        });
        counts.collect::<Value>().to_string()
    }
}

/// Reads the counts that an isolate has sent: the days, each with what is to be
/// added. Of what is no reason, and of other days than about today, nothing is kept.
pub fn read_counts(message: &Value, today: u64) -> Vec<(u64, Vec<(Reason, u64)>)> {
    let mut days: Vec<(u64, Vec<(Reason, u64)>)> = vec![];
    for entry in message.as_array().into_iter().flatten() {
        let read = || {
            let reason = Reason::from_code(entry.get(1)?.as_str()?)?;
            Some((entry.get(0)?.as_u64()?, reason, entry.get(2)?.as_u64()?))
        };
        let Some((day, reason, count)) = read() else { continue };
        if day.abs_diff(today) > 1 {
            continue;
        }
        match days.iter_mut().find(|(on, _)| *on == day) {
            Some((_, counts)) => counts.push((reason, count)),
            None => days.push((day, vec![(reason, count)])),
        }
    }
    days
}

/// A day's row, `{"reason": count, …}`, with more.
pub fn add_counts(row: &Value, more: &[(Reason, u64)]) -> String {
    let mut row: Map<String, Value> = row.as_object().cloned().unwrap_or_default();
    for (reason, count) in more {
        let known = row.get(reason.code()).and_then(Value::as_u64).unwrap_or(0);
        row.insert(reason.code().into(), known.saturating_add(*count).into());
    }
    Value::from(row).to_string()
}

/// What rows of `[day, {"reason": count, …}]` say.
pub fn read_rows(rows: &Value) -> Vec<Refused> {
    let mut refused = vec![];
    for row in rows.as_array().into_iter().flatten() {
        let day = row.get(0).and_then(Value::as_u64);
        let counts = row.get(1).and_then(Value::as_object);
        let (Some(day), Some(counts)) = (day, counts) else { continue };
        for (reason, count) in counts {
            let count = count.as_u64().unwrap_or(0);
            refused.push(Refused { day, reason: reason.clone(), count });
        }
    }
    refused
}
