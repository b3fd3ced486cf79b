//! What is free, and how it is counted.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use crate::gate_support::{NOW, Request, SHOP, settings};
use edge402::config::{self, Loaded, Settings};
use edge402::gate::{Decision, quota};
use edge402::settlement::StoreError;
use edge402::settlement::quota::{
    Counter, FOREVER, MAX_IN_NETWORK, MAX_ROWS, QuotaReply, QuotaRequest, QuotaReturn, QuotaRows,
    Row, in_time, is_counter, network_of_key, object_of,
};
use edge402::time::UnixSeconds;
use futures_channel::oneshot;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

const DAY: u64 = 86_400;
const START: UnixSeconds = UnixSeconds(10 * DAY + 3_600);

#[derive(Default)]
struct Rows {
    table: RefCell<BTreeMap<(u64, String), Row>>,
    is_broken: Cell<bool>,
    counted: Cell<u32>,
    /// How often all rows were read for old ones.
    searched: Cell<u32>,
}

impl Rows {
    fn works(&self) -> Result<(), StoreError> {
        if self.is_broken.get() { Err(StoreError("the disk is full".into())) } else { Ok(()) }
    }
}

impl QuotaRows for &Rows {
    fn row(&self, key: &str, until: UnixSeconds) -> Result<Option<Row>, StoreError> {
        self.works()?;
        Ok(self.table.borrow().get(&(until.0, key.to_owned())).copied())
    }

    fn set(&self, key: &str, until: UnixSeconds, row: Row) -> Result<(), StoreError> {
        self.works()?;
        self.table.borrow_mut().insert((until.0, key.to_owned()), row);
        Ok(())
    }

    fn count_in(&self, network: &str, until: UnixSeconds) -> Result<u64, StoreError> {
        let bound = |end: char| (until.0, format!("{network}{end}"));
        Ok(self.table.borrow().range(bound('/')..bound('0')).count() as u64)
    }

    fn forget_empty(&self, most: u32) -> Result<u64, StoreError> {
        self.works()?;
        let mut rows = self.table.borrow_mut();
        let empty = rows.iter().filter(|(_, row)| row.used == 0).map(|(key, _)| key.clone());
        let empty: Vec<_> = empty.take(most as usize).collect();
        for key in &empty {
            rows.remove(key);
        }
        Ok(empty.len() as u64)
    }

    fn forget_old(&self, until: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        self.works()?;
        self.searched.set(self.searched.get() + 1);
        let mut rows = self.table.borrow_mut();
        let old = rows.iter().filter(|(_, row)| row.at <= until).map(|(key, _)| key.clone());
        let old: Vec<_> = old.take(most as usize).collect();
        for key in &old {
            rows.remove(key);
        }
        Ok(old.len() as u64)
    }

    fn oldest(&self) -> Result<Option<UnixSeconds>, StoreError> {
        Ok(self.table.borrow().values().map(|row| row.at).min())
    }

    fn forget(&self, now: UnixSeconds, most: u32) -> Result<u64, StoreError> {
        self.works()?;
        let mut rows = self.table.borrow_mut();
        let over = rows.keys().take_while(|it| it.0 <= now.0).take(most as usize);
        let over: Vec<_> = over.cloned().collect();
        for key in &over {
            rows.remove(key);
        }
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
fn a_look_takes_nothing_and_there_is_an_end_to_looking() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let look = |key| {
        let look = QuotaRequest { look_only: true, ..request(key, 1) };
        let said = counter.take(&look, START).unwrap();
        (said.is_granted, said.left)
    };
    for _ in 0..4 {
        assert_eq!(look("a"), (true, 1));
    }
    assert!(counter.take(&request("a", 1), START).unwrap().is_granted);
    assert_eq!(look("a"), (false, 0));
    for _ in 0..5 {
        assert_eq!(look("b"), (true, 1));
    }
    assert_eq!(look("b"), (false, 0));
    assert!(!counter.take(&request("b", 1), START).unwrap().is_granted);
}

#[test]
fn what_is_given_back_is_had_again_only_so_often() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |at| counter.take(&request("a", 2), at).unwrap();
    for n in 0..10 {
        let reply = take(START);
        assert_eq!((reply.is_granted, reply.left), (true, 1), "{n}");
        counter.give_back(&QuotaReturn { key: "a".into(), until: reply.until }).unwrap();
    }
    assert!(!take(START).is_granted, "ten times the origin has worked for nothing");
    assert!(take(START.plus(DAY)).is_granted);
}

#[test]
fn what_is_free_once_for_ever_may_be_tried_any_number_of_times() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    // By the day it is counted as well.
    for _ in 0..50 {
        let once = QuotaRequest { seconds: FOREVER, ..request("a", 1) };
        let reply = counter.take(&once, START).unwrap();
        assert!(reply.is_granted);
        counter.give_back(&QuotaReturn { key: "a".into(), until: reply.until }).unwrap();
    }
}

#[test]
fn how_often_something_was_tried_is_known_while_there_is_room() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    for _ in 0..5 {
        let reply = counter.take(&request("a", 1), START).unwrap();
        assert!(reply.is_granted);
        counter.give_back(&QuotaReturn { key: "a".into(), until: reply.until }).unwrap();
        assert!(counter.take(&request("another", 9), START).unwrap().is_granted);
    }
    assert!(!counter.take(&request("a", 1), START).unwrap().is_granted);
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
fn what_came_to_nothing_keeps_nobody_out() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |key: &str| counter.take(&request(key, 2), START).unwrap();
    for n in 0..MAX_ROWS {
        let until = take(&n.to_string()).until;
        if n % 40 == 0 {
            counter.give_back(&QuotaReturn { key: n.to_string(), until }).unwrap();
        }
    }
    for n in 0..500 {
        assert!(take(&format!("more {n}")).is_granted, "{n}");
    }
    assert!(!take("one more").is_granted, "nothing else gives way");
    assert!(take("1").is_granted);
    assert_eq!(rows.table.borrow().len() as u64, MAX_ROWS);
}

#[test]
fn one_network_takes_no_others_places() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |key: &str| counter.take(&request(key, 2), START).unwrap().is_granted;
    for n in 0..MAX_IN_NETWORK {
        assert!(take(&format!("net/{n}")));
    }
    assert!(!take("net/more") && take("net/0") && take("other/0"));
    assert_eq!(rows.table.borrow().len() as u64, MAX_IN_NETWORK + 1);
    assert!(counter.take(&request("net/more", 2), START.plus(DAY)).unwrap().is_granted);
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
        Decision::MayBeFree(sale) => {
            let free = sale.route.free.as_ref().unwrap();
            sale.quota(loaded.config.as_ref().unwrap(), free, place).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let (object, request) = asked("GET", "/a?x=1", "203.0.113.7");
    assert_eq!((request.units, request.seconds, request.look_only), (2, DAY, false));
    assert!(!request.key.contains("203.0"), "{}", request.key);
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
    let at_network = |place| network_of_key(&asked("GET", "/a", place).1.key).to_owned();
    for (one, other, is_same) in [
        ("203.0.113.7", "203.0.113.8", true),
        ("203.0.113.7", "203.0.114.7", false),
        ("2001:db8:1::/48", "203.0.113.7", false),
        ("2001:db8:1:2::", "2001:db8:1:3::", true),
        ("2001:db8:1:2::", "2001:db8:2:2::", false),
    ] {
        assert_eq!(at_network(one) == at_network(other), is_same, "{one} {other}");
    }
    let objects: HashSet<String> =
        (0..200).map(|n| asked("GET", "/a", &format!("10.0.0.{n}")).0).collect();
    assert_eq!(objects.len(), 16);
    assert!(objects.iter().all(|name| is_counter(name)));
    assert!(!is_counter("eip155:8453/0x00") && is_counter(&object_of("")));
}

#[test]
fn nobody_without_the_keys_of_the_shop_can_tell_where_a_client_is_counted() {
    let route = || json!([{ "pattern": "/a", "price": "$1", "free": "2/day" }]);
    let key_with = |relayer: u8| {
        let loaded = config::read(&Settings {
            evm_relayer_keys: Some(format!("0x{}", format!("{relayer:02x}").repeat(32))),
            ..settings("assets", route())
        });
        let config = loaded.config.as_ref().unwrap();
        match Request::get("/a").decide(&loaded) {
            Decision::MayBeFree(sale) => {
                let free = sale.route.free.as_ref().unwrap();
                sale.quota(config, free, "203.0.113.7").unwrap().1.key
            }
            other => panic!("{other:?}"),
        }
    };
    let key = key_with(0x11);
    assert_eq!(key, key_with(0x11));
    assert_ne!(key, key_with(0x12));
}

#[test]
fn no_page_elsewhere_uses_up_what_its_visitors_have() {
    let route = json!([{ "pattern": "/a", "price": "$1", "free": "2/day" }]);
    let loaded = config::read(&Settings {
        cors_credentials: Some(json!(["https://app.example"])),
        ..settings("assets", route)
    });
    let outcome = |site: &str, mode: &str, dest: &str, origin: &str| {
        let mut request = Request::get("/a");
        for (name, value) in [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Origin", origin),
        ] {
            if !value.is_empty() {
                request = request.with(name, value);
            }
        }
        request.outcome(&loaded)
    };
    for (site, mode, dest, origin) in [
        ("cross-site", "no-cors", "image", ""),
        ("same-site", "no-cors", "script", ""),
        ("cross-site", "cors", "empty", "https://elsewhere.example"),
        ("cross-site", "navigate", "iframe", ""),
        ("cross-site", "websocket", "websocket", "https://elsewhere.example"),
        ("cross-site", "", "document", ""),
        ("cross-site", "navigate", "iframe", "https://elsewhere.example"),
        // Browsers that send no Sec-Fetch, and what is read over http.
        ("", "", "", "https://elsewhere.example"),
        ("", "", "", "null"),
    ] {
        assert_eq!(outcome(site, mode, dest, origin), "402 0 /a", "{site} {mode} {dest}");
    }
    for (site, mode, dest, origin) in [
        ("", "", "", ""),
        ("none", "navigate", "document", ""),
        ("same-origin", "no-cors", "image", ""),
        ("cross-site", "navigate", "document", ""),
        ("same-site", "navigate", "document", ""),
        ("cross-site", "cors", "empty", "https://app.example"),
        ("", "", "", "https://app.example"),
        ("", "", "", SHOP),
        ("same-origin", "cors", "empty", SHOP),
        ("cross-site", "navigate", "document", "https://elsewhere.example"),
    ] {
        assert_eq!(outcome(site, mode, dest, origin), "free? 0 /a", "{site} {mode} {dest}");
    }
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
    assert!(faults(&json!("3/payer")).contains("an hour, a day or a wallet"));
    assert!(faults(&json!(20)).contains("ROUTES[0].free: must be a text"));
}

#[test]
fn what_a_wallet_had_long_ago_gives_room_where_there_is_none() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let take = |n: u64, at: UnixSeconds| {
        let request = QuotaRequest { seconds: FOREVER, ..request(&format!("{n}/a"), 1) };
        counter.take(&request, at).unwrap().is_granted
    };
    for n in 0..MAX_ROWS {
        // One comes in each second.
        assert!(take(n, START.plus(n)));
    }
    let old = START.plus(90 * DAY);
    assert!(!take(MAX_ROWS, UnixSeconds(old.0 - 1)), "none is old, so who is new pays");
    for n in 0..10 {
        assert!(!take(MAX_ROWS + n, UnixSeconds(old.0 - 1)));
    }
    assert_eq!(rows.searched.get(), 1, "none gets old before then");
    assert!(!take(3, old), "it has had its own");
    // The oldest go, and as many as are old.
    assert!(take(MAX_ROWS, old.plus(9)));
    assert_eq!(rows.table.borrow().len() as u64, MAX_ROWS - 9);
    assert!(take(3, old.plus(9)) && !take(10, old.plus(9)));
}

#[test]
fn what_an_object_grants_too_late_is_given_back() {
    let rows = Rows::default();
    let counter = Counter::new(&rows);
    let asked = QuotaRequest { seconds: FOREVER, ..request("a/b", 1) };
    let (answer, answered) = oneshot::channel();
    let late = in_time(answered, std::future::ready(())).now_or_never().unwrap().unwrap_err();
    answer.send(counter.take(&asked, START).unwrap()).unwrap();
    let reply = late.now_or_never().unwrap().unwrap();
    assert!(!counter.take(&asked, START).unwrap().is_granted);
    counter.give_back(&asked.clone().too_late(&reply).unwrap()).unwrap();
    let again = counter.take(&asked, START).unwrap();
    assert!(again.is_granted);
    let refused = counter.take(&asked, START).unwrap();
    assert_eq!(asked.clone().too_late(&refused), None);
    assert_eq!(QuotaRequest { look_only: true, ..asked }.too_late(&again), None, "it took none");
    let said = in_time(std::future::ready(7), std::future::pending::<()>()).now_or_never();
    assert_eq!(said.unwrap().unwrap(), 7);
}
