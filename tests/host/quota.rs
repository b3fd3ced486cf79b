//! What is free, and how it is counted.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use crate::gate_support::{NOW, Request, settings};
use edge402::config::{self, Loaded, Settings};
use edge402::gate::{Decision, quota};
use edge402::settlement::StoreError;
use edge402::settlement::quota::{
    Counter, MAX_ROWS, QuotaReply, QuotaRequest, QuotaReturn, QuotaRows, is_counter, object_of,
};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

const DAY: u64 = 86_400;
const START: UnixSeconds = UnixSeconds(10 * DAY + 3_600);

#[derive(Default)]
struct Rows {
    table: RefCell<BTreeMap<(u64, String), u64>>,
    is_broken: Cell<bool>,
    counted: Cell<u32>,
}

impl Rows {
    fn works(&self) -> Result<(), StoreError> {
        if self.is_broken.get() { Err(StoreError("the disk is full".into())) } else { Ok(()) }
    }
}

impl QuotaRows for &Rows {
    fn used(&self, key: &str, until: UnixSeconds) -> Result<Option<u64>, StoreError> {
        self.works()?;
        Ok(self.table.borrow().get(&(until.0, key.to_owned())).copied())
    }

    fn set_used(&self, key: &str, until: UnixSeconds, used: u64) -> Result<(), StoreError> {
        self.works()?;
        self.table.borrow_mut().insert((until.0, key.to_owned()), used);
        Ok(())
    }

    fn forget(&self, now: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        self.works()?;
        let mut rows = self.table.borrow_mut();
        let over: Vec<_> =
            rows.keys().filter(|it| it.0 <= now.0).take(most as usize).cloned().collect();
        rows.retain(|it, _| !over.contains(it));
        Ok(over.len() as u64)
    }

    fn count(&self) -> Result<u64, StoreError> {
        self.counted.set(self.counted.get() + 1);
        Ok(self.table.borrow().len() as u64)
    }
}

fn request(key: &str, units: u64) -> QuotaRequest {
    QuotaRequest { key: key.into(), units, seconds: DAY, look_only: false }
}

fn load(routes: Value) -> Loaded {
    config::read(&Settings { grant_secret: Some("8f".repeat(32)), ..settings("assets", routes) })
}

fn faults(free: &Value) -> String {
    let route = json!([{ "pattern": "/a", "price": "$1", "free": free }]);
    load(route).config.unwrap_err().to_string()
}

#[test]
fn a_window_has_so_many_units_and_the_next_one_as_many() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |at| counter.take(&request("a", 2), at).unwrap();
    let until = UnixSeconds(11 * DAY);
    let reply = |is_granted, left| QuotaReply { is_granted, left, until };
    assert_eq!(take(START), reply(true, 1));
    assert_eq!(take(START.plus(10)), reply(true, 0));
    assert_eq!(take(START.plus(20)), reply(false, 0));
    assert_eq!(take(UnixSeconds(until.0 - 1)), reply(false, 0));
    let next = take(until);
    assert_eq!(next, QuotaReply { is_granted: true, left: 1, until: UnixSeconds(12 * DAY) });
    assert_eq!(rows.table.borrow().len(), 1, "what is over is forgotten");
}

#[test]
fn each_key_has_its_own_and_what_is_given_back_is_had_again() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |key| counter.take(&request(key, 1), START).unwrap();
    let first = take("a");
    assert!(first.is_granted && take("b").is_granted && !take("a").is_granted);
    let unit = QuotaReturn { key: "a".into(), until: first.until };
    counter.give_back(&unit).unwrap();
    assert!(take("a").is_granted && !take("a").is_granted);
    // What is given back too often, or too late, is no more than there was.
    for _ in 0..3 {
        counter.give_back(&unit).unwrap();
    }
    assert!(take("a").is_granted && !take("a").is_granted);
    counter.give_back(&QuotaReturn { key: "c".into(), until: first.until }).unwrap();
    counter.give_back(&QuotaReturn { key: "a".into(), until: UnixSeconds(1) }).unwrap();
    assert!(take("c").is_granted && !take("c").is_granted && !take("a").is_granted);
}

#[test]
fn a_look_takes_nothing_and_writes_nothing() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let look = QuotaRequest { look_only: true, ..request("a", 1) };
    for _ in 0..5 {
        let said = counter.take(&look, START).unwrap();
        assert_eq!((said.is_granted, said.left), (true, 1));
    }
    assert!(rows.table.borrow().is_empty());
    assert!(counter.take(&request("a", 1), START).unwrap().is_granted);
    assert!(!counter.take(&look, START).unwrap().is_granted);
}

#[test]
fn a_smaller_number_holds_at_once() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    for _ in 0..3 {
        counter.take(&request("a", 5), START).unwrap();
    }
    assert!(!counter.take(&request("a", 2), START).unwrap().is_granted);
    assert_eq!(counter.take(&request("a", 5), START).unwrap().left, 1);
}

#[test]
fn a_crowd_is_bounded_and_keeps_out_nobody_who_was_there() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    for n in 0..MAX_ROWS {
        assert!(counter.take(&request(&n.to_string(), 2), START).unwrap().is_granted);
    }
    assert!(!counter.take(&request("one more", 2), START).unwrap().is_granted);
    assert!(counter.take(&request("7", 2), START).unwrap().is_granted);
    assert_eq!(rows.table.borrow().len() as u64, MAX_ROWS);
    assert_eq!(rows.counted.get(), 1, "once in its life");
    // The next life knows as much, and the next day has room.
    assert!(!Counter::new(&rows).take(&request("one more", 2), START).unwrap().is_granted);
    assert!(counter.take(&request("one more", 2), START.plus(DAY)).unwrap().is_granted);
}

#[test]
fn what_cannot_be_counted_is_not_given() {
    let rows = Rows::default();
    rows.is_broken.set(true);
    assert!(Counter::new(&rows).take(&request("a", 2), START).is_err());
}

#[test]
fn a_client_has_one_key_for_each_route_and_all_are_spread() {
    let loaded = load(json!([
        { "pattern": "/a", "price": "$1", "free": "2/day", "methods": ["GET"] },
        { "pattern": "/a", "price": "$1", "free": "2/day", "methods": ["POST"] },
        { "pattern": "/b/*", "price": "$1", "free": "2/minute" },
    ]));
    let asked = |method: &str, target: &str, place: &str| match Request::new(method, target)
        .decide(&loaded)
    {
        Decision::MayBeFree(sale) => sale.quota(sale.route.free.as_ref().unwrap(), place),
        other => panic!("{other:?}"),
    };
    let (object, request) = asked("GET", "/a?x=1", "203.0.113.7");
    assert_eq!((request.units, request.seconds, request.look_only), (2, DAY, false));
    assert!(!request.key.contains("203"), "{}", request.key);
    assert_eq!(asked("GET", "/a", "203.0.113.7"), (object.clone(), request.clone()));
    let head = asked("HEAD", "/a", "203.0.113.7").1;
    assert_eq!(head, QuotaRequest { look_only: true, ..request.clone() });
    let others = [
        asked("POST", "/a", "203.0.113.7"),
        asked("GET", "/b/c", "203.0.113.7"),
        asked("GET", "/a", "203.0.113.8"),
    ];
    let keys: HashSet<String> = others.iter().map(|it| it.1.key.clone()).collect();
    assert!(keys.len() == 3 && !keys.contains(&request.key));
    assert_eq!(others[0].0, object, "a client is counted in one place");
    let objects: HashSet<String> =
        (0..200).map(|n| asked("GET", "/a", &format!("10.0.0.{n}")).0).collect();
    assert_eq!(objects.len(), 16);
    assert!(objects.iter().all(|name| is_counter(name)));
    assert!(!is_counter("eip155:8453/0x00") && is_counter(&object_of("")));
}

#[test]
fn only_what_brings_no_payment_may_be_free() {
    let loaded = load(json!([
        { "pattern": "/a", "price": "$0.01", "free": "2/day" },
        { "pattern": "/b", "price": "$0.01" },
    ]));
    let outcome = |request: Request| request.outcome(&loaded);
    assert_eq!(outcome(Request::get("/a")), "free? 0 /a");
    assert_eq!(outcome(Request::new("HEAD", "/a")), "free? 0 /a");
    assert_eq!(outcome(Request::new("POST", "/a")), "free? 0 /a");
    assert_eq!(outcome(Request::new("OPTIONS", "/a")), "402 0 /a");
    assert_eq!(outcome(Request::get("/b")), "402 1 /b");
    // A payment that is refused is refused: its sender meant to pay.
    let bad = crate::gate_support::v2(&json!({}));
    let refused = outcome(Request::get("/a").paying(&bad));
    assert!(refused.starts_with("402 0 V2 "), "{refused}");
    assert_eq!(outcome(Request::get("/a").with("X-PAYMENT", "?")).get(..4), Some("400 "));
}

#[test]
fn the_headers_are_those_of_the_draft() {
    let loaded = load(json!([{ "pattern": "/a", "price": "$1", "free": "20/hour" }]));
    let free = loaded.config.as_ref().unwrap().routes[0].free.unwrap();
    let reply = QuotaReply { is_granted: true, left: 19, until: UnixSeconds(NOW + 90) };
    assert_eq!(
        quota::headers(&free, &reply, UnixSeconds(NOW)),
        [
            ("RateLimit-Policy", "\"free\";q=20;w=3600".to_owned()),
            ("RateLimit", "\"free\";r=19;t=90".to_owned()),
        ]
    );
}

#[test]
fn what_is_no_quota_is_a_fault_that_says_what_is_one() {
    for wrong in ["20", "20/week", "/day", "0/day", "-1/day", "+1/day", "1000001/day", "2 /day", ""]
    {
        let said = faults(&json!(wrong));
        assert!(said.contains("ROUTES[0].free: must be a number up to 1000000 and"), "{said}");
    }
    assert!(faults(&json!("3/wallet")).contains("a wallet costs nothing to make"));
    assert!(faults(&json!(20)).contains("ROUTES[0].free: must be a text"));
}
