//! Webhooks: who hears of what, in which order, and what becomes of what can't be
//! delivered.
//!
//! One Durable Object sends them all, so that no receiver is in the way of a
//! payment. Sales are no queue of its own: it reads the ledgers of the Settlers,
//! from where it stopped. It writes down that something was told after it was, so
//! after a crash it is told again, under the same id.

mod outbox;
mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::config::Webhook;
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::json::{self, ToJson, write_object};
use crate::json_struct;
use crate::settlement::outbox::SalesAfter;
use crate::settlement::{Sale, StoreError};
use crate::time::UnixSeconds;
use crate::together::join_all;

pub use outbox::{Count, Outbox};
use watch::{count_refused, look};

/// Where the seller sees how they are doing.
pub const WEBHOOKS_PATH: &str = "/.edge402/desk/webhooks";

/// The name of the Durable Object that sends them. No Settler has it: theirs begin
/// with a network.
pub const WEBHOOKS_OBJECT: &str = "desk/webhooks";

/// How long something is tried to be delivered, in seconds.
pub const DAY: u64 = 86_400;

/// How many events besides sales wait at most.
const MAX_EVENTS: usize = 200;

/// How many events one webhook is told in one run: what a run may ask is bounded.
const PER_RUN: u32 = 20;

/// How many sales are read at once.
const PAGE: u32 = 10;

/// How many sales are counted at most that wait.
const COUNTED: u32 = 100;

/// How often the Settlers are looked at for what is low, stuck or at fault, in
/// seconds.
const LOOK_SECONDS: u64 = 600;

/// How soon a Settler is asked again that did not answer, in seconds.
const AGAIN_SECONDS: u64 = 30;

/// Something to tell of that is no sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counted from 1.
    pub number: u64,
    /// Its kind.
    pub kind: String,
    /// When it happened.
    pub time: UnixSeconds,
    /// What it is called, however often it is sent.
    pub id: String,
    /// What it says, as JSON.
    pub data: String,
}

json_struct!(Event { number, kind, time, id, data });

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub url: String,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    pub headers: [(&'static str, String); 3],
    /// JSON.
    pub body: String,
}

/// What is found with a Settler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The key's balance, if it is below what the seller wants.
    pub low_balance: Option<String>,
    /// The payments that are stuck, and why.
    pub stuck: Vec<(String, String)>,
    /// What stands in the way of a sale.
    pub problems: Vec<String>,
}

/// What sends messages, and knows what happened.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Sender {
    /// The time.
    fn now(&self) -> UnixSeconds;
    /// What is kept.
    ///
    /// # Errors
    /// The disk failed.
    fn read(&self) -> Result<Outbox, StoreError>;
    /// Keeps it.
    ///
    /// # Errors
    /// The disk failed.
    fn keep(&self, outbox: &Outbox) -> Result<(), StoreError>;
    /// Sends a message: the status of the answer, if one comes in ten seconds.
    /// Redirects are not followed.
    async fn post(&self, message: &Message) -> Option<u16>;
    /// A Settler's sales; nothing if it does not answer.
    async fn sales(&self, settler: &str, asked: &SalesAfter) -> Option<Vec<Sale>>;
    /// What is to be said of a Settler; nothing if it does not answer.
    async fn look(&self, settler: &str) -> Option<Look>;
    /// How many payments were refused on a day, by reason.
    async fn refused(&self, day: u64) -> Option<Vec<Count>>;
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// Tells every webhook what it has not heard yet. Answers in how many seconds to
/// go on, if there is something to go on with.
///
/// # Errors
/// The disk failed.
pub async fn run<S: Sender>(
    sender: &S,
    hooks: &[Webhook],
    settlers: &[String],
) -> Result<Option<u64>, StoreError> {
    let mut outbox = sender.read()?;
    outbox.follow(hooks, sender.now());
    let wants =
        |kinds: &[&str]| hooks.iter().any(|hook| hook.events.iter().any(|it| kinds.contains(it)));
    let mut next: Option<u64> = None;
    if wants(&["low_balance", "stuck", "fault"]) {
        look(sender, settlers, &mut outbox).await;
        next = Some(LOOK_SECONDS);
    }
    if wants(&["refused"])
        && let Some(soon) = count_refused(sender, &mut outbox).await
    {
        next = Some(next.map_or(soon, |it| it.min(soon)));
    }
    sender.keep(&outbox)?;
    let outbox = &RefCell::new(outbox);
    let told = hooks
        .iter()
        .map(|hook| -> LocalBoxFuture<'_, _> { Box::pin(tell(sender, hook, settlers, outbox)) });
    for said in join_all(told.collect()).await {
        if let Some(soon) = said? {
            next = Some(next.map_or(soon, |it| it.min(soon)));
        }
    }
    Ok(next)
}

/// Tells one webhook, each kind of event in its order.
async fn tell<S: Sender>(
    sender: &S,
    hook: &Webhook,
    settlers: &[String],
    outbox: &RefCell<Outbox>,
) -> Result<Option<u64>, StoreError> {
    let mut left = PER_RUN;
    let mut next: Option<u64> = None;
    for kind in &hook.events {
        let now = sender.now();
        let at =
            outbox.borrow().hook(&hook.url).and_then(|it| it.stream(kind)).map(|it| it.next_at);
        let pause = at.unwrap_or(now).since(now);
        let soon = if pause > 0 {
            Some(pause)
        } else if *kind == "sale" {
            tell_sales(sender, hook, settlers, outbox, &mut left).await?
        } else {
            tell_events(sender, hook, kind, outbox, &mut left).await?
        };
        next = match (next, soon) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(next)
}

/// Sends one message and keeps what came of it: whether it was taken, or else in how
/// many seconds to try again. If the process dies before that is written, it is sent
/// again, as the same.
async fn deliver<S: Sender>(
    sender: &S,
    hook: &Webhook,
    (kind, id, time, data): (&str, &str, UnixSeconds, &dyn ToJson),
    outbox: &RefCell<Outbox>,
    told: impl FnOnce(&mut outbox::HookState),
) -> Result<Result<(), u64>, StoreError> {
    let status = sender.post(&message(hook, kind, id, (time, sender.now()), data)).await;
    let now = sender.now();
    let mut outbox = outbox.borrow_mut();
    let Some(state) = outbox.hook_mut(&hook.url) else { return Ok(Err(AGAIN_SECONDS)) };
    let was_failing = state.stream(kind).is_some_and(|it| it.failing_since.is_some());
    let is_taken = state.note(kind, status, now);
    if is_taken {
        told(state);
    }
    let pause = state.stream(kind).map_or(AGAIN_SECONDS, |it| it.next_at.since(now));
    if !is_taken && !was_failing {
        let why = status.map_or_else(|| "nothing in time".to_owned(), |it| it.to_string());
        sender.log(&format!("WEBHOOKS: a {kind} is answered {why}; it is tried for a day"));
    }
    sender.keep(&outbox)?;
    Ok(if is_taken { Ok(()) } else { Err(pause.max(1)) })
}

async fn tell_events<S: Sender>(
    sender: &S,
    hook: &Webhook,
    kind: &str,
    outbox: &RefCell<Outbox>,
    left: &mut u32,
) -> Result<Option<u64>, StoreError> {
    loop {
        let event = outbox.borrow().next_event(&hook.url, kind, sender.now()).cloned();
        let Some(event) = event else { return Ok(None) };
        if *left == 0 {
            return Ok(Some(1));
        }
        *left -= 1;
        let data = json::parse(&event.data).unwrap_or_default();
        let it: (_, _, _, &dyn ToJson) = (kind, event.id.as_str(), event.time, &data);
        if let Err(pause) = deliver(sender, hook, it, outbox, |state| state.told(&event)).await? {
            return Ok(Some(pause));
        }
    }
}

/// A Settler's sales that are read and not told yet.
struct List<'a> {
    settler: &'a str,
    sales: VecDeque<Sale>,
    /// Whether there may be more behind them.
    is_cut: bool,
}

async fn tell_sales<S: Sender>(
    sender: &S,
    hook: &Webhook,
    settlers: &[String],
    outbox: &RefCell<Outbox>,
    left: &mut u32,
) -> Result<Option<u64>, StoreError> {
    loop {
        let (mut lists, mut again) = (vec![], None);
        for settler in settlers {
            match read_sales(sender, &hook.url, settler, outbox, PAGE).await {
                Some(sales) => lists.push(List {
                    settler,
                    is_cut: sales.len() >= PAGE as usize,
                    sales: sales.into(),
                }),
                None => again = Some(AGAIN_SECONDS),
            }
        }
        loop {
            let heads = lists.iter_mut().filter(|it| !it.sales.is_empty());
            let Some(list) = heads.min_by_key(|it| it.sales.front().map(Sale::place)) else {
                return Ok(again);
            };
            if *left == 0 {
                return Ok(Some(1));
            }
            *left -= 1;
            let (Some(sale), settler) = (list.sales.pop_front(), list.settler) else { break };
            let (place, id) = (sale.place(), id_of("sale", &sale.payment));
            let it: (_, _, _, &dyn ToJson) = ("sale", id.as_str(), sale.time, &sale);
            let told = |state: &mut outbox::HookState| state.told_sale(settler, place);
            if let Err(pause) = deliver(sender, hook, it, outbox, told).await? {
                return Ok(Some(pause));
            }
            if list.is_cut && list.sales.is_empty() {
                // What follows may come before what others have.
                break;
            }
        }
    }
}

async fn read_sales<S: Sender>(
    sender: &S,
    url: &str,
    settler: &str,
    outbox: &RefCell<Outbox>,
    limit: u32,
) -> Option<Vec<Sale>> {
    let before = sender.now();
    let after = outbox.borrow().hook(url)?.place(settler, before);
    sender.sales(settler, &SalesAfter { after, before, limit }).await
}

/// What an event is called, however often it is sent.
fn id_of(kind: &str, what: &str) -> String {
    let hash = encode_hex(&keccak256(format!("edge402 event 1\n{kind}\n{what}").as_bytes()));
    format!("{kind}_{}", hash.get(2..34).unwrap_or_default())
}

fn message(
    hook: &Webhook,
    kind: &str,
    id: &str,
    (time, now): (UnixSeconds, UnixSeconds),
    data: &dyn ToJson,
) -> Message {
    let mut body = String::new();
    write_object(&[("type", &kind), ("timestamp", &time.iso8601()), ("data", data)], &mut body);
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", hook.signature(id, now, &body)),
    ];
    Message { url: hook.url.clone(), headers, body }
}

/// How the webhooks are doing, for the seller.
///
/// # Errors
/// The disk failed.
pub async fn view<S: Sender>(
    sender: &S,
    hooks: &[Webhook],
    settlers: &[String],
) -> Result<Value, StoreError> {
    let mut outbox = sender.read()?;
    outbox.follow(hooks, sender.now());
    let outbox = RefCell::new(outbox);
    let mut shown = vec![];
    for hook in hooks {
        let mut pending = 0;
        if hook.events.contains(&"sale") {
            for settler in settlers {
                let sales = read_sales(sender, &hook.url, settler, &outbox, COUNTED).await;
                pending += sales.map_or(0, |it| it.len());
            }
        }
        let outbox = outbox.borrow();
        let Some(state) = outbox.hook(&hook.url) else { continue };
        pending += outbox
            .events
            .iter()
            .filter(|it| state.stream(&it.kind).is_some_and(|stream| stream.done < it.number))
            .count();
        let last =
            state.last_time.map(|time| json!({ "time": time.0, "status": state.last_status }));
        let failing = state.streams.iter().filter_map(|it| it.failing_since).min();
        shown.push(json!({
            "url": hook.url, "events": hook.events, "pending": pending, "last": last,
            "failing_since": failing.map(|it| it.0),
        }));
    }
    Ok(json!({ "webhooks": shown }))
}
