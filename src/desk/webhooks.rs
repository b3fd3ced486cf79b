//! Webhooks: who hears of what, in which order, and what becomes of what can't be
//! delivered.
//!
//! One Durable Object sends them all, so that no receiver is in the way of a
//! payment. Sales are no queue of its own: it reads the ledgers of the Settlers,
//! from where it stopped. It writes down that something was told after it was, so
//! after a crash it is told again, under the same id.

mod aside;
mod outbox;
mod pages;
mod spot;
mod tell;
mod view;
mod watch;

use std::cell::{Cell, RefCell};

use futures_util::future::LocalBoxFuture;

use crate::config::{EVENTS, Webhook};
use crate::encoding::encode_hex;
use crate::evm::keccak256;
use crate::json::{ToJson, write_object};
use crate::json_struct;
use crate::settlement::outbox::SalesAfter;
use crate::settlement::{Sale, StoreError};
use crate::time::UnixSeconds;
use crate::together::join_all;

pub use outbox::{Count, Outbox};
use pages::Pages;
use tell::Teller;
pub use view::view;
use watch::{count_refused, look};

/// Where the seller sees how they are doing.
pub const WEBHOOKS_PATH: &str = "/.edge402/desk/webhooks";

/// The name of the Durable Object that sends them. No Settler has it: theirs begin
/// with a network.
pub const WEBHOOKS_OBJECT: &str = "desk/webhooks";

/// How long something is tried to be delivered, in seconds, since it first was.
pub const DAY: u64 = 86_400;

/// How many events besides sales wait at most.
const MAX_EVENTS: usize = 200;

/// How many sales of a Settler are read at once.
const PAGE: u32 = 30;

/// How many messages one run sends, of sales and of all else: with what it asks fewer
/// than Cloudflare's free plan lets one invocation ask. The next run follows at once.
const SALES_PER_RUN: usize = 25;
const OTHERS_PER_RUN: usize = 10;

/// From when on what was not told is a problem, in seconds since it happened.
const LATE_SECONDS: u64 = 3_600;

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
    /// The sales of several, in their order: as many as one invocation can't ask one by
    /// one.
    async fn sales_of(&self, asked: &[(String, SalesAfter)]) -> Vec<Option<Vec<Sale>>>;
    /// What is to be said of each Settler; nothing if it does not answer.
    async fn look(&self, settlers: &[String]) -> Vec<Option<Look>>;
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
    sender.keep(&outbox)?;
    let outbox = RefCell::new(outbox);
    // Sales first: a node that does not answer is in the way of none.
    let mut next = tell(sender, hooks, settlers, &outbox, true).await?;
    let mut outbox = outbox.into_inner();
    if wants(&["low_balance", "stuck", "fault"]) {
        look(sender, settlers, &mut outbox).await;
        next = sooner(next, Some(LOOK_SECONDS));
    }
    if wants(&["refused"]) {
        next = sooner(next, count_refused(sender, &mut outbox).await);
    } else {
        outbox.refused_day = 0;
    }
    sender.keep(&outbox)?;
    Ok(sooner(next, tell(sender, hooks, settlers, &RefCell::new(outbox), false).await?))
}

/// In how many seconds to go on at the latest where the sender has rung, with a clock of
/// `now` milliseconds, and was last let know of something at `told`, for so many seconds
/// later: it may have rung before that, and what happens in a second is told when that is
/// over.
pub fn next_after(next: Option<u64>, (told, seconds): (u64, u64), now: u64) -> Option<u64> {
    let is_early = told.saturating_add(seconds.saturating_mul(1_000)) > now;
    sooner(next, is_early.then_some(seconds))
}

/// The smaller of two pauses.
fn sooner(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

/// Tells every webhook of sales, or of all else: side by side, each kind of event in
/// its order.
async fn tell<S: Sender>(
    sender: &S,
    hooks: &[Webhook],
    settlers: &[String],
    outbox: &RefCell<Outbox>,
    is_sales: bool,
) -> Result<Option<u64>, StoreError> {
    let now = sender.now();
    let is_due = |hook: &&Webhook| {
        let outbox = outbox.borrow();
        let Some(state) = outbox.hook(&hook.url).filter(|_| is_sales) else { return false };
        // What is new may follow at once what was put aside.
        let stream = state.stream("sale");
        stream.is_some_and(|it| it.next_at <= now || state.count_aside("sale") > 0)
    };
    let due: Vec<&Webhook> = hooks.iter().filter(is_due).collect();
    let pages = &Pages::read(sender, &due, settlers, outbox, PAGE).await;
    let left = &Cell::new(if is_sales { SALES_PER_RUN } else { OTHERS_PER_RUN });
    let told = hooks.iter().enumerate().map(|(number, hook)| -> LocalBoxFuture<'_, _> {
        Box::pin(async move {
            let mut next = None;
            for kind in EVENTS.into_iter().filter(|it| hook.events.contains(it)) {
                if (kind == "sale") == is_sales {
                    let teller = Teller { sender, hook, number, kind, outbox, left };
                    next = sooner(next, teller.tell(settlers, pages).await?);
                }
            }
            Ok::<_, StoreError>(next)
        })
    });
    let mut next = None;
    for said in join_all(told.collect()).await {
        next = sooner(next, said?);
    }
    Ok(next)
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
