//! Telling one webhook: first again what was put aside, then what is new, in order.

use std::cell::{Cell, RefCell};

use futures_util::future::LocalBoxFuture;

use super::aside::{FULL_PAUSE, IS_DOWN, Spot, is_taken};
use super::pages::{Merged, Pages};
use super::spot::{Aside, SaleSpot};
use super::{AGAIN_SECONDS, LATE_SECONDS, Outbox, Sender, id_of, message, sooner};
use crate::config::Webhook;
use crate::json::{self, ToJson};
use crate::settlement::outbox::SalesAfter;
use crate::settlement::{Sale, StoreError};
use crate::time::UnixSeconds;
use crate::together::join_all;

/// How many of them are sent at once. Two webhooks that are behind don't use up a
/// Worker's six connections.
const AT_ONCE: usize = 3;

/// How many that were put aside are tried again in one run.
const AGAIN_PER_RUN: usize = 10;

/// Something to tell.
struct Item {
    id: String,
    time: UnixSeconds,
    data: Box<dyn ToJson>,
    spot: Spot,
}

impl Item {
    fn of_sale(sale: Sale, spot: SaleSpot) -> Self {
        let (id, time) = (id_of("sale", &sale.payment), sale.time);
        Self { id, time, data: Box::new(sale), spot: Spot::Sale(spot) }
    }

    fn of_event(event: super::Event) -> Self {
        let data = Box::new(json::parse(&event.data).unwrap_or_default());
        Self { id: event.id, time: event.time, data, spot: Spot::Event(event.number) }
    }
}

/// One kind of event at one webhook.
pub(super) struct Teller<'a, S> {
    pub sender: &'a S,
    pub hook: &'a Webhook,
    /// Its place in the configuration.
    pub number: usize,
    pub kind: &'static str,
    pub outbox: &'a RefCell<Outbox>,
    /// How many messages all of them may still send in this run.
    pub left: &'a Cell<usize>,
}

impl<S: Sender> Teller<'_, S> {
    /// Tells what there is to tell. Answers in how many seconds to go on, if there is
    /// something to go on with.
    pub(super) async fn tell(
        &self,
        settlers: &[String],
        pages: &Pages,
    ) -> Result<Option<u64>, StoreError> {
        if self.is_up().await? {
            return Ok(Some(0));
        }
        let mut next = self.again().await?;
        let pause = self.state(|it| it.next_at).since(self.sender.now());
        let new = if pause > 0 {
            Some(pause)
        } else if self.kind == "sale" {
            self.sales(settlers, pages).await?
        } else {
            self.events().await?
        };
        next = sooner(next, new);
        // What was put aside meanwhile.
        let now = self.sender.now();
        let outbox = self.outbox.borrow();
        let aside = outbox.hook(&self.hook.url).map(|it| it.aside.as_slice()).unwrap_or_default();
        let own = aside.iter().filter(|it| it.kind == self.kind);
        Ok(sooner(next, own.map(|it| it.next_at.since(now)).min()))
    }

    /// Where much fails: whether it is not the receiver's fault. What it took last it is
    /// sent once more, and does not mind if it is there.
    async fn is_up(&self) -> Result<bool, StoreError> {
        let now = self.sender.now();
        let is_asked = self.state(|it| it.tries >= IS_DOWN && it.next_at <= now);
        let is_asked = is_asked && self.left.get() > 0;
        let Some(spot) = self.state(|it| it.taken.clone()).filter(|_| is_asked) else {
            return Ok(false);
        };
        let Ok(Some(item)) = self.find_sale(&spot).await else { return Ok(false) };
        let status = self.post(&item).await;
        let now = self.sender.now();
        self.change(|state| state.note_canary(self.kind, status, now))?;
        Ok(self.state(|it| it.tries) == 0)
    }

    /// Tries again what was put aside and is due; the oldest of all also before
    /// something new is tried with a receiver that takes nothing.
    async fn again(&self) -> Result<Option<u64>, StoreError> {
        let now = self.sender.now();
        self.change(|state| {
            let over = state.expire(self.kind, now);
            for it in &over {
                self.log_given_up(it);
            }
            let is_probing =
                state.stream(self.kind).is_some_and(|it| it.tries > 0 && it.next_at <= now)
                    && state.due_again(self.kind, now).is_none();
            let first = state.aside.iter_mut().find(|it| it.kind == self.kind);
            if let Some(first) = first.filter(|_| is_probing) {
                first.next_at = first.next_at.min(now);
            }
        })?;
        for _ in 0..AGAIN_PER_RUN {
            let due = {
                let outbox = self.outbox.borrow();
                let state = outbox.hook(&self.hook.url);
                state.and_then(|it| it.due_again(self.kind, self.sender.now())).cloned()
            };
            let Some(aside) = due else { return Ok(None) };
            if self.left.get() == 0 {
                break;
            }
            let item = match self.find(&aside).await {
                Ok(Some(item)) => item,
                // It is in the ledger no more, or among the events.
                Ok(None) => {
                    self.log_given_up(&aside);
                    let now = self.sender.now();
                    self.change(|state| {
                        state.aside.retain(|it| it.id != aside.id);
                        state.count_given_up(now);
                    })?;
                    continue;
                }
                Err(again) => {
                    let at = self.sender.now().plus(again);
                    self.change(|state| {
                        for it in state.aside.iter_mut().filter(|it| it.id == aside.id) {
                            it.next_at = at;
                        }
                    })?;
                    continue;
                }
            };
            let status = self.post(&item).await;
            let now = self.sender.now();
            self.change(|state| state.note_again(self.kind, &item.id, status, now))?;
            if status.is_none() {
                // Ten seconds are over: others wait, too.
                return Ok(None);
            }
        }
        Ok(Some(0))
    }

    /// What was put aside, as it is now; or in how many seconds to ask again.
    async fn find(&self, aside: &Aside) -> Result<Option<Item>, u64> {
        let Some(spot) = &aside.sale else {
            let outbox = self.outbox.borrow();
            let event = outbox.events.iter().find(|it| it.id == aside.id);
            return Ok(event.cloned().map(Item::of_event));
        };
        self.find_sale(spot).await
    }

    async fn find_sale(&self, spot: &SaleSpot) -> Result<Option<Item>, u64> {
        let before = spot.place.time.plus(1);
        let asked = SalesAfter { after: spot.after.clone(), before, limit: 1 };
        let sales = self.sender.sales(&spot.settler, &asked).await.ok_or(AGAIN_SECONDS)?;
        let sale = sales.into_iter().next().filter(|it| it.place() == spot.place);
        Ok(sale.map(|it| Item::of_sale(it, spot.clone())))
    }

    async fn sales(&self, settlers: &[String], pages: &Pages) -> Result<Option<u64>, StoreError> {
        let mut merged = Merged::new(pages, &self.hook.url, settlers, self.outbox);
        loop {
            merged.refill(self.sender, self.sender.now()).await;
            let items = merged.take(self.at_once());
            if items.is_empty() {
                return Ok((!merged.is_whole).then_some(AGAIN_SECONDS));
            }
            if self.left.get() == 0 {
                return Ok(Some(0));
            }
            let items = items.into_iter().map(|(sale, spot)| Item::of_sale(sale, spot)).collect();
            if let Some(pause) = self.deliver(items).await? {
                let is_held_up = pause > 0 && self.is_full();
                let is_taken = is_held_up && self.sends_ahead(&merged).await?;
                return Ok(Some(if is_taken { 0 } else { pause }));
            }
        }
    }

    /// Sends one sale before its turn, since the one whose turn it is can be neither
    /// delivered nor put aside. Whether it was taken. Its turn comes all the same.
    async fn sends_ahead(&self, merged: &Merged) -> Result<bool, StoreError> {
        let (now, taken) = (self.sender.now(), self.state(|it| it.taken.clone()));
        let turn = now.0 / FULL_PAUSE;
        let ahead = merged.ahead(turn, taken.as_ref().map(|it| &it.place), now);
        let Some((settler, after)) = ahead else { return Ok(false) };
        let asked = SalesAfter { after: after.clone(), before: now, limit: 1 };
        let sale = self.sender.sales(&settler, &asked).await.and_then(|it| it.into_iter().next());
        let Some(sale) = sale else { return Ok(false) };
        let spot = SaleSpot { settler, after, place: sale.place() };
        let status = self.post(&Item::of_sale(sale, spot.clone())).await;
        let now = self.sender.now();
        self.change(|state| state.note_ahead(self.kind, spot, status, now))?;
        Ok(is_taken(status))
    }

    fn is_full(&self) -> bool {
        self.outbox.borrow().hook(&self.hook.url).is_some_and(|it| it.is_full(self.kind))
    }

    async fn events(&self) -> Result<Option<u64>, StoreError> {
        loop {
            let most = self.at_once();
            let items = self.outbox.borrow().next_events(&self.hook.url, self.kind, most);
            if items.is_empty() {
                return Ok(None);
            }
            if self.left.get() == 0 {
                return Ok(Some(0));
            }
            let items = items.into_iter().map(Item::of_event).collect();
            if let Some(pause) = self.deliver(items).await? {
                return Ok(Some(pause));
            }
        }
    }

    /// How many may be sent at once: where something fails, one.
    fn at_once(&self) -> usize {
        let most = if self.state(|it| it.tries) > 0 { 1 } else { AT_ONCE };
        most.min(self.left.get().max(1))
    }

    /// Sends messages for the first time, and keeps what came of them in their order:
    /// in how many seconds to go on, if not now. If the process dies before that is
    /// written, they are sent again, as the same.
    async fn deliver(&self, items: Vec<Item>) -> Result<Option<u64>, StoreError> {
        self.say_late(items.first());
        let posts = items.iter().map(|it| -> LocalBoxFuture<'_, _> { Box::pin(self.post(it)) });
        let said = join_all(posts.collect()).await;
        let (now, mut is_free, mut is_back) = (self.sender.now(), true, false);
        for (item, status) in items.into_iter().zip(said) {
            if !is_free {
                // It is told again, behind the one that is.
                break;
            }
            let before = self.state(|it| it.tries);
            if !is_taken(status) && self.state(|it| it.failing_since.is_none()) {
                let (number, id) = (self.number, &item.id);
                let why = said_of(status.map(u64::from));
                let line = "put aside and tried for a day";
                self.sender.log(&format!("WEBHOOKS[{number}]: {id} is answered {why}; {line}"));
            }
            is_back |= is_taken(status) && before > 0;
            let mut given_up = vec![];
            self.change(|state| {
                let what = (self.kind, item.id.as_str(), item.spot);
                is_free = state.note_first(what, status, now, &mut given_up);
            })?;
            for it in &given_up {
                self.log_given_up(it);
            }
        }
        let outbox = self.outbox.borrow();
        let aside = outbox.hook(&self.hook.url).map_or(0, |it| it.count_aside(self.kind));
        is_back &= aside > 0;
        drop(outbox);
        let pause = self.state(|it| it.next_at).since(now);
        // What was put aside comes before what follows, and so does the question
        // whether anybody is there.
        let is_asked = self.state(|it| it.tries == IS_DOWN);
        Ok((pause > 0 || !is_free || is_back || is_asked).then_some(pause))
    }

    async fn post(&self, item: &Item) -> Option<u16> {
        self.left.set(self.left.get().saturating_sub(1));
        let times = (item.time, self.sender.now());
        let message = message(self.hook, self.kind, &item.id, times, item.data.as_ref());
        self.sender.post(&message).await
    }

    /// A line for the operator, once an hour, while the webhook is far behind.
    fn say_late(&self, next: Option<&Item>) {
        let now = self.sender.now();
        let late = next.map_or(0, |it| now.since(it.time));
        if late < LATE_SECONDS || now.since(self.state(|it| it.late_at)) < LATE_SECONDS {
            return;
        }
        let (number, kind, hours) = (self.number, self.kind, late / LATE_SECONDS);
        let line = format!("WEBHOOKS[{number}]: each {kind} is told {hours} hours late or more");
        self.sender.log(&line);
        let mut outbox = self.outbox.borrow_mut();
        let state = outbox.hook_mut(&self.hook.url);
        if let Some(stream) = state.and_then(|it| it.stream_mut(self.kind)) {
            stream.late_at = now;
        }
    }

    fn log_given_up(&self, aside: &Aside) {
        let Aside { id, tries, status, .. } = aside;
        let (number, why) = (self.number, said_of(*status));
        let line = format!("WEBHOOKS[{number}]: {id} is given up: answered {why}, tries: {tries}");
        self.sender.log(&line);
    }

    fn state<T: Default>(&self, read: impl FnOnce(&super::outbox::Stream) -> T) -> T {
        let outbox = self.outbox.borrow();
        outbox
            .hook(&self.hook.url)
            .and_then(|it| it.stream(self.kind))
            .map(read)
            .unwrap_or_default()
    }

    /// Changes what is kept of the webhook, and keeps it.
    fn change(&self, change: impl FnOnce(&mut super::outbox::HookState)) -> Result<(), StoreError> {
        let mut outbox = self.outbox.borrow_mut();
        if let Some(state) = outbox.hook_mut(&self.hook.url) {
            let before = state.clone();
            change(state);
            if *state == before {
                return Ok(());
            }
        }
        self.sender.keep(&outbox)
    }
}

fn said_of(status: Option<u64>) -> String {
    status.map_or_else(|| "nothing in time".into(), |it| it.to_string())
}
