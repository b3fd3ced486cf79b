//! What is told besides sales: what has changed with the Settlers, and how many
//! payments were refused.

use serde_json::{Value, json};

use super::{LOOK_SECONDS, Outbox, Sender};

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
    for settler in settlers {
        // Of who does not answer nothing has changed.
        let Some(look) = sender.look(settler).await else {
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
                outbox.push(kind, now, data.to_string());
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
    if outbox.refused_day != now.day() {
        // What was counted last before midnight is not told of any more.
        (outbox.refused_day, outbox.refused) = (now.day(), vec![]);
    }
    let before = |reason: &str| {
        outbox.refused.iter().find(|it| it.reason == reason).map_or(0, |it| it.count)
    };
    let new: Vec<Value> = counts
        .iter()
        .map(|it| (it, it.count.saturating_sub(before(&it.reason))))
        .filter(|(_, count)| *count > 0)
        .map(|(it, count)| json!({ "reason": it.reason, "count": count }))
        .collect();
    if !new.is_empty() {
        outbox.push("refused", now, json!({ "refused": new }).to_string());
        outbox.refused_at = now;
    }
    outbox.refused = counts;
    None
}
