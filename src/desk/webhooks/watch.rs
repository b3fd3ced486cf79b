//! What is told besides sales: what has changed with the Settlers, and how many
//! payments were refused.

use serde_json::Value;

use super::{AGAIN_SECONDS, Count, LOOK_SECONDS, Outbox, Sender};

use crate::json::json;

/// How often refusals are told of at most, in seconds.
const REFUSED_SECONDS: u64 = 60;

/// Adds what has changed with the Settlers since they were last looked at.
pub(super) async fn look<S: Sender>(sender: &S, settlers: &[String], outbox: &mut Outbox) {
    let now = sender.now();
    if now.since(outbox.looked_at) < LOOK_SECONDS {
        return;
    }
    outbox.looked_at = now;
    let mut seen = vec![];
    for (settler, look) in settlers.iter().zip(sender.look(settlers).await) {
        // Of who does not answer nothing has changed.
        let Some(look) = look else {
            let own = format!("\n{settler}\n");
            seen.extend(outbox.seen.iter().filter(|it| it.contains(&own)).cloned());
            continue;
        };
        let low = look.low_balance.iter().map(|it| ("low_balance", "", json!({ "balance": it })));
        let stuck = look.stuck.iter().map(|(payment, reason)| {
            ("stuck", payment.as_str(), json!({ "payment": payment, "reason": reason }))
        });
        let problems = &look.problems;
        let fault = (!problems.is_empty()).then(|| ("fault", "", json!({ "problems": problems })));
        for (kind, what, mut data) in low.chain(stuck).chain(fault) {
            let mark = format!("{kind}\n{settler}\n{what}");
            if let Some(data) = data.as_object_mut() {
                data.insert("settler".into(), json!(settler));
            }
            if !outbox.seen.contains(&mark) {
                push(sender, outbox, kind, &data);
            }
            seen.push(mark);
        }
    }
    outbox.seen = seen;
}

/// Adds how many payments were refused since that was last told, at most once a
/// minute. Answers when to count again, if there may be more to tell.
pub(super) async fn count_refused<S: Sender>(sender: &S, outbox: &mut Outbox) -> Option<u64> {
    let now = sender.now();
    let pause = REFUSED_SECONDS.saturating_sub(now.since(outbox.refused_at));
    if pause > 0 {
        return Some(pause);
    }
    let counts = sender.refused(now.day()).await?;
    let mut new: Vec<Count> = vec![];
    if outbox.refused_day == 0 {
        // What was refused before anybody wanted to hear of it is not told.
        outbox.refused.clone_from(&counts);
    } else if outbox.refused_day != now.day() {
        // What came behind the last count of the day before.
        let Some(then) = sender.refused(outbox.refused_day).await else {
            return Some(AGAIN_SECONDS);
        };
        add_new(&then, &outbox.refused, &mut new);
        outbox.refused = vec![];
    }
    outbox.refused_day = now.day();
    add_new(&counts, &outbox.refused, &mut new);
    if !new.is_empty() {
        let new = new.iter().map(|it| json!({ "reason": it.reason, "count": it.count }));
        push(sender, outbox, "refused", &json!({ "refused": new.collect::<Vec<Value>>() }));
        outbox.refused_at = now;
    }
    outbox.refused = counts;
    None
}

/// Adds by how much the counts of a day have grown.
fn add_new(counts: &[Count], before: &[Count], new: &mut Vec<Count>) {
    for Count { reason, count } in counts {
        let before = before.iter().find(|it| it.reason == *reason).map_or(0, |it| it.count);
        let count = count.saturating_sub(before);
        match new.iter_mut().find(|it| it.reason == *reason) {
            Some(it) => it.count += count,
            None if count > 0 => new.push(Count { reason: reason.clone(), count }),
            None => {}
        }
    }
}

/// Adds an event, and says which one is given up for it.
fn push<S: Sender>(sender: &S, outbox: &mut Outbox, kind: &str, data: &Value) {
    if let Some(lost) = outbox.push(kind, sender.now(), data.to_string()) {
        sender.log(&format!("WEBHOOKS: {} is given up: too many others wait", lost.id));
    }
}
