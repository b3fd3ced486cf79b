//! What webhooks hear of sales: each of them at least once, in order, under one id,
//! whatever dies between the settlement and the message.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use edge402::config::Webhook;
use edge402::desk::webhooks::{Count, Look, Message, Outbox, Sender, next_after, run, view};
use edge402::encoding::{decode_base64, encode_base64};
use edge402::settlement::outbox::SalesAfter;
use edge402::settlement::{Sale, Store as _, StoreError};
use edge402::time::UnixSeconds;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use crate::sim::tables::SimStore;
use crate::sim::{Payment, Setup, World};
use crate::webhooks_config::{SECRET, hook, hooks};

const A_WHILE: u64 = 120_000;
const DAY: u64 = 86_400;

/// A receiver, and the object that sends to it.
struct Office {
    world: Option<Rc<World>>,
    now: Cell<u64>,
    /// What lies on disk.
    kept: RefCell<String>,
    /// Dies before it writes down that so many more messages were taken.
    dies_after: Cell<Option<usize>>,
    status: Cell<Option<u16>>,
    /// What is answered to payments that begin so, instead.
    bad: RefCell<Option<(String, Option<u16>)>>,
    /// What was asked for, in its order.
    asked: RefCell<Vec<String>>,
    got: RefCell<Vec<Message>>,
    sales: RefCell<Vec<(String, Vec<Sale>)>>,
    look: RefCell<Look>,
    refused: RefCell<Vec<Count>>,
    /// What was refused the day before.
    refused_before: RefCell<Vec<Count>>,
    log: RefCell<Vec<String>>,
}

impl Office {
    fn new(world: Option<&Rc<World>>) -> Self {
        Self {
            world: world.cloned(),
            now: Cell::new(1_700_000_000),
            kept: RefCell::default(),
            dies_after: Cell::new(None),
            status: Cell::new(Some(204)),
            bad: RefCell::default(),
            asked: RefCell::default(),
            got: RefCell::default(),
            sales: RefCell::default(),
            look: RefCell::default(),
            refused: RefCell::default(),
            refused_before: RefCell::default(),
            log: RefCell::default(),
        }
    }

    fn run(&self, hooks: &[Webhook]) -> Result<Option<u64>, StoreError> {
        let mut settlers: Vec<_> = self.sales.borrow().iter().map(|it| it.0.clone()).collect();
        if self.world.is_some() {
            settlers.push("sim".into());
        }
        futures_executor(run(self, hooks, &settlers))
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.borrow().iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.got.borrow().iter().map(|it| it.headers[0].1.clone()).collect()
    }

    /// Runs until then, whenever it is to go on.
    fn run_until(&self, hooks: &[Webhook], end: u64) {
        for runs in 0.. {
            assert!(runs < 20_000, "it never rests");
            let pause = self.run(hooks).unwrap().unwrap_or(DAY);
            if self.now.get() >= end && pause > 0 {
                break;
            }
            self.now.set((self.now.get() + pause).min(end));
        }
    }

    /// The payments that were told, each at its first time.
    fn told(&self) -> Vec<String> {
        let mut told = vec![];
        for it in self.bodies() {
            let payment = it["data"]["payment"].as_str().unwrap().to_owned();
            if !told.contains(&payment) {
                told.push(payment);
            }
        }
        told
    }

    fn shown(&self, hooks: &[Webhook]) -> Value {
        let settlers: Vec<_> = self.sales.borrow().iter().map(|it| it.0.clone()).collect();
        futures_executor(view(self, hooks, &settlers)).unwrap()["webhooks"][0].clone()
    }
}

/// Nothing here waits.
fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

impl Sender for Office {
    fn now(&self) -> UnixSeconds {
        match &self.world {
            Some(world) => world.clock.now(),
            None => UnixSeconds(self.now.get()),
        }
    }

    fn read(&self) -> Result<Outbox, StoreError> {
        let text = self.kept.borrow();
        Ok(if text.is_empty() {
            Outbox::default()
        } else {
            edge402::json::from_text(&text).unwrap()
        })
    }

    fn keep(&self, outbox: &Outbox) -> Result<(), StoreError> {
        if self.dies_after.get().is_some_and(|left| self.got.borrow().len() >= left) {
            return Err(StoreError("the process died".into()));
        }
        *self.kept.borrow_mut() = edge402::json::to_text(outbox);
        Ok(())
    }

    async fn post(&self, message: &Message) -> Option<u16> {
        self.got.borrow_mut().push(message.clone());
        self.asked.borrow_mut().push("post".into());
        match &*self.bad.borrow() {
            Some((bad, status)) if message.body.contains(&format!("\"payment\":\"{bad}")) => {
                *status
            }
            _ => self.status.get(),
        }
    }

    async fn sales(&self, settler: &str, asked: &SalesAfter) -> Option<Vec<Sale>> {
        if let Some(world) = self.world.as_ref().filter(|_| settler == "sim") {
            return Some(SimStore(Rc::clone(&world.tables)).sales_after(asked).unwrap());
        }
        self.asked.borrow_mut().push(format!("sales {settler}"));
        let sales = self.sales.borrow();
        let own = &sales.iter().find(|it| it.0 == settler)?.1;
        let is_asked_for = |sale: &&Sale| sale.place() > asked.after && sale.time < asked.before;
        Some(own.iter().filter(is_asked_for).take(asked.limit as usize).cloned().collect())
    }

    async fn sales_of(&self, asked: &[(String, SalesAfter)]) -> Vec<Option<Vec<Sale>>> {
        let mut said = vec![];
        for (settler, asked) in asked {
            said.push(self.sales(settler, asked).await);
        }
        said
    }

    async fn look(&self, settlers: &[String]) -> Vec<Option<Look>> {
        let look = |_: &String| {
            self.asked.borrow_mut().push("look".into());
            Some(self.look.borrow().clone())
        };
        settlers.iter().map(look).collect()
    }

    async fn refused(&self, day: u64) -> Option<Vec<Count>> {
        if day != self.now().day() {
            return Some(self.refused_before.borrow().clone());
        }
        Some(self.refused.borrow().clone())
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.into());
    }
}

fn sale(time: u64, payment: &str) -> Sale {
    let text = json!({
        "time": time, "amount": "10000", "payer": "0x1", "transaction": "0x2", "payment": payment,
    });
    edge402::json::from_text(&text.to_string()).unwrap()
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

#[test]
fn each_sale_is_told_once_and_signed() {
    let world = World::new(&Setup::default());
    let (office, hooks) = (Office::new(Some(&world)), hook(&["sale"]));
    assert_eq!(office.run(&hooks), Ok(None));
    for number in 0..3 {
        assert!(world.buy_now(&payment(number), "/r/a").is_delivery());
        world.run_for(A_WHILE);
        assert_eq!(office.run(&hooks), Ok(None));
        assert_eq!(office.run(&hooks), Ok(None));
    }
    let bodies = office.bodies();
    assert_eq!(bodies.len(), 3);
    let rows =
        world.settler().sales(&edge402::settlement::SalesQuery { limit: 9, ..Default::default() });
    let newest = edge402::json::to_value(&rows.unwrap()[0]);
    assert_eq!(bodies[2]["type"], "sale");
    assert_eq!(bodies[2]["data"], newest);
    let Message { headers, body, .. } = &office.got.borrow()[2];
    let [(_, id), (_, time), (_, signature)] = headers;
    let key = decode_base64(SECRET.strip_prefix("whsec_").unwrap(), 64).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    assert_eq!(*signature, format!("v1,{}", encode_base64(&mac.finalize().into_bytes())));
}

#[test]
fn a_settlement_wakes_who_sends_and_a_crash_before_that_is_made_up_for() {
    let world = World::new(&Setup::default());
    let (office, hooks) = (Office::new(Some(&world)), hook(&["sale"]));
    world.settler();
    let before = world.clock.calls.get();
    assert!(world.buy_now(&payment(1), "/r/a").is_delivery());
    let called = world.clock.calls.get();
    assert!(called > before);
    // It dies before anybody is told; its alarm wakes it.
    world.crash();
    world.run_for(A_WHILE);
    assert!(world.clock.calls.get() > called);
    assert_eq!(office.run(&hooks), Ok(None));
    let once = office.ids();
    assert_eq!(once.len(), 1);
    // The sender dies behind the message, and tells it again as the same.
    assert!(world.buy_now(&payment(2), "/r/a").is_delivery());
    world.run_for(A_WHILE);
    office.dies_after.set(Some(2));
    assert!(office.run(&hooks).is_err());
    office.dies_after.set(None);
    assert_eq!(office.run(&hooks), Ok(None));
    let ids = office.ids();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[1], ids[2]);
    assert_ne!(ids[0], ids[1]);
}

/// It was let know in the last two seconds, and rang for what it was let know of before.
#[test]
fn what_is_sold_in_the_second_in_which_the_alarm_rings_is_told_when_that_is_over() {
    let (office, hooks) = (Office::new(None), hook(&["sale"]));
    let now = office.now.get();
    office.sales.borrow_mut().push(("one".into(), vec![]));
    office.run(&hooks).unwrap();
    office.sales.borrow_mut()[0].1.push(sale(now + 10, "a"));
    office.now.set(now + 10);
    let next = office.run(&hooks).unwrap();
    assert_eq!((office.got.borrow().len(), next), (0, None));
    let rung = 1_000 * (now + 10) + 900;
    let Some(pause) = next_after(next, (rung - 300, 2), rung) else { panic!("never told") };
    office.now.set(now + 10 + pause);
    office.run(&hooks).unwrap();
    assert_eq!(office.got.borrow().len(), 1);
    // What rings for what it was let know of last, does so for all.
    assert_eq!(next_after(None, (rung - 2_000, 2), rung), None);
    assert_eq!(next_after(Some(1), (rung - 300, 2), rung), Some(1));
}

#[test]
fn sales_of_all_settlers_are_told_in_their_order() {
    let (office, hooks) = (Office::new(None), hook(&["sale"]));
    let start = office.now.get();
    let of = |from: u64| (0..30).map(|n| sale(start + from + 2 * n, &format!("p{n:02}"))).collect();
    *office.sales.borrow_mut() = vec![("a".into(), of(0)), ("b".into(), of(1))];
    office.now.set(start + 59);
    let mut runs = 0;
    while office.run(&hooks).unwrap() == Some(0) {
        runs += 1;
    }
    assert_eq!(runs, 2, "a run is bounded");
    let times: Vec<u64> = office
        .got
        .borrow()
        .iter()
        .map(|it| {
            serde_json::from_str::<Value>(&it.body).unwrap()["data"]["time"].as_u64().unwrap()
        })
        .collect();
    // Of this very second more may come.
    assert_eq!(times, (start..start + 59).collect::<Vec<_>>());
    office.now.set(start + 60);
    office.run(&hooks).unwrap();
    assert_eq!(office.got.borrow().len(), 60);
}

#[test]
fn what_fails_is_tried_for_a_day_and_then_given_up() {
    for status in [Some(500), Some(302), Some(404), None] {
        let (office, hooks) = (Office::new(None), hook(&["sale"]));
        let start = office.now.get();
        let sales = vec![sale(start, "first"), sale(start + 7_200, "second")];
        *office.sales.borrow_mut() = vec![("a".into(), sales)];
        office.status.set(status);
        office.now.set(start + 10);
        office.run_until(&hooks, start + 7_201);
        office.run_until(&hooks, start + 2 * DAY);
        let bodies = office.bodies();
        let of =
            |payment: &str| bodies.iter().filter(|it| it["data"]["payment"] == payment).count();
        assert!((25..40).contains(&of("first")), "{}", of("first"));
        assert!((25..40).contains(&of("second")), "{}", of("second"));
        // Once that it fails, and each that is given up.
        let log = office.log.borrow().clone();
        assert_eq!(log.len(), 3, "{log:?}");
        let id = &office.ids()[0];
        let why = status.map_or("nothing in time".into(), |it| it.to_string());
        assert!(log[1].starts_with(&format!("WEBHOOKS[0]: {id} is given up: answered {why}, ")));
        let shown = office.shown(&hooks);
        assert_eq!((&shown["pending"], &shown["given_up"]), (&json!(0), &json!(2)));
        // It goes on with what is new.
        office.status.set(Some(200));
        let now = office.now.get();
        office.sales.borrow_mut()[0].1.push(sale(now, "third"));
        office.now.set(now + 3_600);
        assert_eq!(office.run(&hooks), Ok(None));
        assert_eq!(office.bodies().last().unwrap()["data"]["payment"], "third");
        let shown = office.shown(&hooks);
        assert_eq!(shown["pending"], 0);
        assert_eq!(shown["failing_since"], Value::Null);
        assert_eq!(shown["last"], json!({ "time": now + 3_600, "status": 200 }));
    }
}

#[test]
fn sales_that_are_never_taken_hold_up_no_others() {
    for status in [Some(422), Some(403), Some(500), None] {
        let (office, hooks) = (Office::new(None), hook(&["sale"]));
        let start = office.now.get();
        *office.bad.borrow_mut() = Some(("bad".into(), status));
        // Many that are not good, more than are put aside, and good ones between them.
        let mut sales = vec![sale(start, "good0")];
        sales.extend((0..120).map(|n| sale(start + 1 + 2 * (n / 40), &format!("bad{n:03}"))));
        sales.extend((1..30).map(|n| sale(start + 2 * n, &format!("good{n:02}"))));
        sales.sort_by_key(Sale::place);
        *office.sales.borrow_mut() = vec![("a".into(), sales)];
        office.now.set(start + 60);
        office.run_until(&hooks, start + 120);
        let good: Vec<_> = office.told().into_iter().filter(|it| it.starts_with("good")).collect();
        assert_eq!(good.len(), 30, "{status:?}");
        assert!(good.is_sorted(), "{good:?}");
        office.run_until(&hooks, start + 2 * DAY);
        // What was given up was tried, and is in the log, each once.
        let log = office.log.borrow().clone();
        let given_up = log.iter().filter(|it| it.contains("is given up")).count();
        assert_eq!(given_up, 120, "{status:?}");
        assert_eq!(office.told().len(), 150);
        let shown = office.shown(&hooks);
        assert_eq!((&shown["pending"], &shown["given_up"]), (&json!(0), &json!(120)));
    }
}

#[test]
fn a_receiver_that_is_down_for_long_misses_nothing_that_was_not_tried() {
    for status in [Some(401), Some(503), None] {
        let (office, hooks) = (Office::new(None), hook(&["sale"]));
        let start = office.now.get();
        let sales = (0..1_000).map(|n| sale(start + n * 60, &format!("p{n:03}"))).collect();
        *office.sales.borrow_mut() = vec![("a".into(), sales)];
        office.run_until(&hooks, start + 600);
        assert_eq!(office.told().len(), 10);
        office.status.set(status);
        let mut now = start + 600;
        // Each sale wakes it.
        while now < start + 60_600 {
            now += 60;
            office.run_until(&hooks, now);
        }
        let asked = office.got.borrow().len();
        assert!(asked < 5_000, "{asked}");
        office.status.set(Some(200));
        office.got.borrow_mut().clear();
        office.run_until(&hooks, now + 3_700);
        assert_eq!(office.told().iter().filter(|it| it.as_str() >= "p010").count(), 990);
        assert!(office.log.borrow().iter().all(|it| !it.contains("given up")));
        let shown = office.shown(&hooks);
        assert_eq!((&shown["pending"], &shown["failing_since"]), (&json!(0), &Value::Null));
    }
}

#[test]
fn a_receiver_that_takes_only_what_it_has_misses_nothing_new() {
    for status in [200, 409] {
        let (office, hooks) = (Office::new(None), hook(&["sale"]));
        let start = office.now.get();
        let mut sales = vec![sale(start, "old")];
        sales.extend((1..300).map(|n| sale(start + n * 60, &format!("new{n:03}"))));
        *office.sales.borrow_mut() = vec![("a".into(), sales)];
        office.run_until(&hooks, start + 30);
        assert_eq!(office.told(), ["old"]);
        // It looks for the id first, and fails behind that.
        office.status.set(Some(status));
        *office.bad.borrow_mut() = Some(("new".into(), Some(500)));
        let (mut now, end) = (start + 30, start + 300 * 60);
        while now < end {
            now += 60;
            office.run_until(&hooks, now);
        }
        let log = office.log.borrow().clone();
        assert!(log.iter().all(|it| !it.contains("given up")), "{log:?}");
        // Once that it fails; each hour that it is late.
        assert_eq!(log.iter().filter(|it| it.contains("put aside")).count(), 1, "{log:?}");
        let shown = office.shown(&hooks);
        assert_eq!((&shown["given_up"], &shown["aside"]), (&json!(0), &json!(50)));
        let failing = shown["failing_since"].as_u64().unwrap();
        assert!((start + 60..start + 180).contains(&failing), "{failing}");
        let asked = office.got.borrow().len();
        assert!(asked < 1_500, "{asked}");
        // It is mended.
        office.status.set(Some(200));
        *office.bad.borrow_mut() = None;
        office.got.borrow_mut().clear();
        office.run_until(&hooks, now + 3_700);
        assert_eq!(office.told().iter().filter(|it| it.starts_with("new")).count(), 299);
        let shown = office.shown(&hooks);
        assert_eq!((&shown["pending"], &shown["given_up"]), (&json!(0), &json!(0)));
        assert_eq!(shown["failing_since"], Value::Null);
    }
}

#[test]
fn more_bad_sales_in_a_row_than_are_put_aside_hold_up_no_good_one() {
    for (bad, status) in [(70, Some(422)), (51, Some(500)), (130, None)] {
        let (office, hooks) = (Office::new(None), hook(&["sale"]));
        let start = office.now.get();
        *office.bad.borrow_mut() = Some(("bad".into(), status));
        let mut sales = vec![sale(start, "good00")];
        sales.extend((0..bad).map(|n| sale(start + 1 + n, &format!("bad{n:03}"))));
        // Whoever is not bad buys meanwhile.
        sales.extend((1..20).map(|n| sale(start + bad + n * 60, &format!("good{n:02}"))));
        office.run(&hooks).unwrap();
        *office.sales.borrow_mut() = vec![("a".into(), sales)];
        office.now.set(start + bad + 1_200);
        let began = office.now.get();
        office.run_until(&hooks, began + 3 * 3_600);
        let told = office.told();
        assert_eq!(told.iter().filter(|it| it.starts_with("good")).count(), 20, "{bad} {status:?}");
        assert_eq!(
            told.iter().filter(|it| it.starts_with("bad")).count() as u64,
            bad,
            "each is tried"
        );
        let log = office.log.borrow().clone();
        let given_up = log.iter().filter(|it| it.contains("is given up")).count() as u64;
        assert_eq!(given_up, bad - 50, "each that had to make room is in the log");
        // The rest has its day.
        office.run_until(&hooks, began + 2 * DAY);
        assert_eq!(office.shown(&hooks)["given_up"], bad);
    }
}

#[test]
fn where_nothing_new_is_taken_nothing_makes_room() {
    let (office, hooks) = (Office::new(None), hook(&["sale"]));
    let start = office.now.get();
    let bad = (0..200).map(|n| sale(start + n, &format!("bad{n:03}")));
    let mut sales: Vec<_> = [sale(start, "an old one")].into_iter().chain(bad).collect();
    sales.sort_by_key(Sale::place);
    office.run(&hooks).unwrap();
    *office.sales.borrow_mut() = vec![("a".into(), sales)];
    *office.bad.borrow_mut() = Some(("bad".into(), Some(500)));
    office.now.set(start + 1_000);
    office.run_until(&hooks, start + DAY / 2);
    assert_eq!(office.shown(&hooks)["given_up"], 0);
    assert_eq!(office.shown(&hooks)["aside"], 50);
    *office.bad.borrow_mut() = None;
    office.run_until(&hooks, start + DAY / 2 + 4_000);
    assert_eq!(office.told().len(), 201);
    assert_eq!(office.shown(&hooks)["given_up"], 0);
}

#[test]
fn a_backlog_is_worked_off_at_once_and_its_age_is_said() {
    let (office, hooks) = (Office::new(None), hook(&["sale"]));
    let start = office.now.get();
    let sales = (0..500).map(|n| sale(start + n / 10, &format!("p{n:03}"))).collect();
    *office.sales.borrow_mut() = vec![("a".into(), sales)];
    office.run(&hooks).unwrap();
    office.now.set(start + 3 * DAY);
    assert_eq!(office.shown(&hooks)["pending"], 100);
    let settlers = ["a".to_owned()];
    let problems = futures_executor(view(&office, &hooks, &settlers)).unwrap()["problems"].clone();
    assert_eq!(problems, json!(["WEBHOOKS[0]: what it is to be told is over an hour old"]));
    while let Some(pause) = office.run(&hooks).unwrap() {
        assert_eq!(pause, 0);
    }
    assert_eq!(office.got.borrow().len(), 500);
    assert!(office.told().is_sorted());
    let log = office.log.borrow().clone();
    assert_eq!(log, ["WEBHOOKS[0]: each sale is told 72 hours late or more"]);
    let problems = futures_executor(view(&office, &hooks, &settlers)).unwrap()["problems"].clone();
    assert_eq!(problems, json!([]));
}

#[test]
fn each_settler_is_read_once_for_all_webhooks_and_before_anybody_looks() {
    let list: Vec<_> = (0..3)
        .map(|n| json!({ "url": format!("https://h{n}.example/"), "events": ["sale", "fault"] }))
        .collect();
    let (office, hooks) = (Office::new(None), hooks(json!(list), SECRET).unwrap());
    let start = office.now.get();
    *office.sales.borrow_mut() = vec![
        ("a".into(), (0..40).map(|n| sale(start + n, &format!("a{n:02}"))).collect()),
        ("b".into(), vec![sale(start, "b")]),
    ];
    office.now.set(start + 7);
    office.run(&hooks).unwrap();
    let asked = office.asked.borrow().clone();
    assert_eq!(asked.iter().filter(|it| it.starts_with("sales")).count(), 2, "{asked:?}");
    assert_eq!(office.got.borrow().len(), 3 * 8);
    let look = asked.iter().position(|it| it == "look").unwrap();
    assert_eq!(asked[..look].iter().filter(|it| *it == "post").count(), 24);
    // Only the list that is used up is read on.
    office.asked.borrow_mut().clear();
    office.now.set(start + 60);
    let mut runs = 1;
    while office.run(&hooks).unwrap() == Some(0) {
        runs += 1;
    }
    let asked = office.asked.borrow().clone();
    assert!(asked.iter().filter(|it| *it == "sales b").count() <= runs, "{asked:?}");
    assert_eq!(office.got.borrow().len(), 3 * 41);
}

#[test]
fn one_run_asks_little_however_many_wait_and_sales_hold_up_nothing_else() {
    for status in [Some(204), Some(500), None] {
        let list: Vec<_> = (0..5)
            .map(|n| json!({ "url": format!("https://h{n}.example/"), "events": ["sale", "fault", "stuck"] }))
            .collect();
        let (office, hooks) = (Office::new(None), hooks(json!(list), SECRET).unwrap());
        let start = office.now.get();
        let of = |n: u64| (0..60).map(|at| sale(start + at, &format!("{n}/{at}"))).collect();
        *office.sales.borrow_mut() = (0..60).map(|n| (format!("s{n}"), of(n))).collect();
        office.look.borrow_mut().problems = vec!["no coin".into()];
        office.status.set(status);
        office.now.set(start + 60);
        let (mut next, mut most) = (0, 0);
        for run in 0..10 {
            let before = office.got.borrow().len();
            office.now.set(office.now.get() + next);
            next = office.run(&hooks).unwrap().unwrap();
            let bodies = office.bodies();
            most = most.max(bodies.len() - before);
            let has_fault = bodies.iter().any(|it| it["type"] == "fault");
            assert!(has_fault, "in run {run}, with {status:?}");
        }
        // Of the fifty that one invocation may send, and ask.
        assert!((5..=35).contains(&most), "{most} with {status:?}");
    }
}

#[test]
fn a_kind_that_is_added_later_begins_then() {
    let (office, start) = (Office::new(None), 1_700_000_000);
    *office.sales.borrow_mut() = vec![("a".into(), vec![sale(start, "old")])];
    office.run(&hook(&["fault"])).unwrap();
    office.now.set(start + 7_200);
    office.run(&hook(&["fault", "sale"])).unwrap();
    assert_eq!(office.told(), Vec::<String>::new());
    office.sales.borrow_mut()[0].1.push(sale(start + 7_200, "new"));
    office.now.set(start + 7_300);
    office.run(&hook(&["fault", "sale"])).unwrap();
    assert_eq!(office.told(), ["new"]);
    // It ends, and begins once more.
    office.run(&hook(&["fault"])).unwrap();
    office.sales.borrow_mut()[0].1.push(sale(start + 7_400, "between"));
    office.now.set(start + 20_000);
    office.run(&hook(&["fault", "sale"])).unwrap();
    assert_eq!(office.told(), ["new"]);
}

#[test]
fn refusals_are_told_over_midnight_and_none_from_before() {
    let (office, hooks) = (Office::new(None), hook(&["refused"]));
    let count = |count| vec![Count { reason: "insufficient_funds".into(), count }];
    office.now.set(1_700_000_000 / DAY * DAY + DAY - 100);
    *office.refused.borrow_mut() = count(70);
    office.run(&hooks).unwrap();
    assert!(office.got.borrow().is_empty(), "nobody wanted to hear of those");
    *office.refused.borrow_mut() = count(72);
    office.run(&hooks).unwrap();
    office.now.set(office.now.get() + 200);
    *office.refused_before.borrow_mut() = count(75);
    *office.refused.borrow_mut() = count(4);
    office.run(&hooks).unwrap();
    let told: Vec<_> = office
        .bodies()
        .iter()
        .map(|it| it["data"]["refused"][0]["count"].as_u64().unwrap())
        .collect();
    assert_eq!(told, [2, 7]);
}

#[test]
fn the_seller_sees_how_it_stands() {
    let (office, hooks) = (Office::new(None), hook(&["sale", "fault"]));
    let start = office.now.get();
    *office.sales.borrow_mut() = vec![("a".into(), vec![sale(start, "1"), sale(start + 1, "2")])];
    office.now.set(start + 5);
    let expected = json!({
        "url": "https://hook.example/in", "events": ["sale", "fault"], "pending": 2,
        "aside": 0, "given_up": 0, "last": null, "failing_since": null,
    });
    assert_eq!(office.shown(&hooks), expected);
    office.status.set(None);
    office.run(&hooks).unwrap();
    let shown = office.shown(&hooks);
    assert_eq!(shown["last"], json!({ "time": start + 5, "status": null }));
    assert_eq!(shown["failing_since"], start + 5);
}

#[test]
fn a_condition_is_told_when_it_begins() {
    let (office, hooks) = (Office::new(None), hook(&["low_balance", "stuck", "fault"]));
    *office.sales.borrow_mut() = vec![("a".into(), vec![])];
    let after = |seconds: u64| {
        office.now.set(office.now.get() + seconds);
        office.run(&hooks).unwrap();
        office.got.borrow_mut().drain(..).map(|it| it.body).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(after(0), "");
    office.look.borrow_mut().low_balance = Some("7".into());
    assert_eq!(after(10), "", "they are looked at once in a while");
    let said = after(600);
    assert!(
        said.contains("\"type\":\"low_balance\"") && said.contains("\"balance\":\"7\""),
        "{said}"
    );
    assert_eq!(after(600), "");
    *office.look.borrow_mut() = Look {
        low_balance: None,
        stuck: vec![("p".into(), "why".into())],
        problems: vec!["NETWORKS: no".into()],
    };
    let said = after(600);
    assert!(said.contains("\"type\":\"stuck\"") && said.contains("\"payment\":\"p\""), "{said}");
    assert!(said.contains("\"type\":\"fault\"") && said.contains("NETWORKS: no"), "{said}");
    *office.look.borrow_mut() = Look::default();
    assert_eq!(after(600), "");
    office.look.borrow_mut().low_balance = Some("6".into());
    assert!(after(600).contains("low_balance"), "it has begun again");
}

#[test]
fn refusals_are_counted_and_told_once_a_minute() {
    let (office, hooks) = (Office::new(None), hook(&["refused"]));
    let count = |count| vec![Count { reason: "insufficient_funds".into(), count }];
    assert_eq!(office.run(&hooks), Ok(None));
    let told = |office: &Office| -> Vec<u64> {
        let counts = |it: &Value| it["data"]["refused"][0]["count"].as_u64();
        office.bodies().iter().filter_map(counts).collect()
    };
    *office.refused.borrow_mut() = count(3);
    assert_eq!(office.run(&hooks), Ok(None));
    for n in 4..=50 {
        *office.refused.borrow_mut() = count(n);
        office.now.set(office.now.get() + 1);
        assert_eq!(office.run(&hooks), Ok(Some(60 - (n - 3))));
    }
    assert_eq!(told(&office), [3]);
    office.now.set(office.now.get() + 13);
    assert_eq!(office.run(&hooks), Ok(None));
    assert_eq!(told(&office), [3, 47]);
}

#[test]
fn what_is_kept_is_bounded() {
    let (office, hooks) = (Office::new(None), hook(&["stuck"]));
    *office.sales.borrow_mut() = vec![("a".into(), vec![])];
    office.status.set(None);
    for n in 0..300 {
        office.look.borrow_mut().stuck = vec![(format!("p{n}"), "why".into())];
        office.now.set(office.now.get() + 600);
        office.run(&hooks).unwrap();
    }
    let kept: Value = serde_json::from_str(&office.kept.borrow()).unwrap();
    assert!(kept["events"].as_array().unwrap().len() <= 200);
}
