//! How the webhooks are doing, for the seller.

use std::cell::RefCell;

use serde_json::Value;

use super::pages::Pages;
use super::{DAY, LATE_SECONDS, Sender};
use crate::config::Webhook;
use crate::json::json;
use crate::settlement::StoreError;

/// How many sales of a Settler are counted at most that wait.
const COUNTED: u32 = 100;

/// How the webhooks are doing.
///
/// # Errors
/// The disk failed.
pub async fn view<S: Sender>(
    sender: &S,
    hooks: &[Webhook],
    settlers: &[String],
) -> Result<Value, StoreError> {
    let mut outbox = sender.read()?;
    let now = sender.now();
    outbox.follow(hooks, now);
    let outbox = RefCell::new(outbox);
    let selling: Vec<_> = hooks.iter().filter(|it| it.events.contains(&"sale")).collect();
    let pages = Pages::read(sender, &selling, settlers, &outbox, COUNTED).await;
    let outbox = outbox.into_inner();
    let (mut shown, mut problems) = (vec![], vec![]);
    for (number, hook) in hooks.iter().enumerate() {
        let Some(state) = outbox.hook(&hook.url) else { continue };
        let events = outbox
            .events
            .iter()
            .filter(|it| state.stream(&it.kind).is_some_and(|stream| stream.done < it.number));
        let mut oldest = events.clone().map(|it| it.time).min();
        let mut pending = events.count() + state.aside.len();
        if hook.events.contains(&"sale") {
            let all = settlers.iter().filter_map(|it| pages.sales(it, &state.place(it)));
            for sales in all {
                pending += sales.len();
                oldest = oldest.into_iter().chain(sales.first().map(|it| it.time)).min();
            }
        }
        if oldest.is_some_and(|it| now.since(it) >= LATE_SECONDS) {
            problems.push(format!("WEBHOOKS[{number}]: what it is to be told is over an hour old"));
        }
        let (count, given_up_at) = (state.given_up, state.given_up_at);
        if given_up_at.is_some_and(|it| now.since(it) < DAY) {
            problems.push(format!("WEBHOOKS[{number}]: messages were given up, {count} in all"));
        }
        let last =
            state.last_time.map(|time| json!({ "time": time.0, "status": state.last_status }));
        let failing = state.streams.iter().filter_map(|it| it.failing_since).min();
        shown.push(json!({
            "url": hook.url, "events": hook.events, "pending": pending,
            "aside": state.aside.len(), "given_up": count, "last": last,
            "failing_since": failing.map(|it| it.0),
        }));
    }
    Ok(json!({ "webhooks": shown, "problems": problems }))
}
