//! Refunds: what is noted is what a chain shows, once, and never more than was paid.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use edge402::amount::AtomicAmount;
use edge402::desk::refunds::{
    Book, Given, Look, Refund, RefundsQuery, Shown, Told, add_up, answer_to, forget, in_cells,
    look_again, read_forget, read_note, read_place, refunded, tell,
};
use edge402::json::{from_text, to_text, to_value};
use edge402::protocol::ChainId;
use edge402::settlement::sums::SumBy;
use edge402::settlement::{Sale, StoreError};
use edge402::time::UnixSeconds;
use futures_util::future::join;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const PAYER: &str = "0x1111111111111111111111111111111111111111";
const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

fn evm() -> ChainId {
    "eip155:84532".parse().unwrap()
}

fn hash(digit: char) -> String {
    format!("0x{}", String::from(digit).repeat(64))
}

fn sale() -> Sale {
    from_text(
        &json!({
            "time": NOW - 100, "route": "/a/*", "path": "/a/1", "method": "GET", "amount": "10000", "asset": TOKEN,
            "network": "eip155:84532", "payer": PAYER, "transaction": hash('a'), "payment": "a payment",
            "way": "gate", "x402_version": 2, "fee": "1", "delivered": true, "redeliveries": 0,
        })
        .to_string(),
    )
    .unwrap()
}

fn told(payment: &str, transaction: char) -> Refund {
    let body = json!({
        "network": "eip155:84532", "time": NOW - 100, "payment": payment, "transaction": hash(transaction),
    });
    let asked = read_note(body.to_string().as_bytes()).unwrap();
    asked.refund(sale(), "12345678", UnixSeconds(NOW)).unwrap()
}

const fn received(amount: u128) -> Look {
    Look::Received { amount: AtomicAmount(amount), time: Some(UnixSeconds(NOW)) }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("it waits for ever");
}

/// What is kept, and a chain that says what a test wants.
struct Pages {
    now: Cell<u64>,
    rows: RefCell<Vec<Refund>>,
    says: RefCell<Vec<(String, Look)>>,
    looks: Cell<usize>,
    log: RefCell<Vec<String>>,
}

impl Pages {
    fn new() -> Self {
        Self {
            now: Cell::new(NOW),
            rows: RefCell::default(),
            says: RefCell::default(),
            looks: Cell::new(0),
            log: RefCell::default(),
        }
    }

    fn say(&self, transaction: char, look: Look) {
        self.says.borrow_mut().insert(0, (hash(transaction), look));
    }

    fn tell(&self, refund: Refund) -> Told {
        block_on(tell(self, refund)).unwrap()
    }

    fn noted(&self) -> Vec<(String, u128)> {
        let rows = self.rows.borrow();
        let noted = rows.iter().filter_map(|it| Some((it.payment.clone(), it.amount?.0)));
        noted.collect()
    }
}

impl Book for Pages {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.now.get())
    }

    fn find(&self, network: ChainId, transaction: &str) -> Result<Option<Refund>, StoreError> {
        let rows = self.rows.borrow();
        let it = rows.iter().find(|it| it.network == network && it.transaction == transaction);
        Ok(it.cloned())
    }

    fn of_payments(&self, payments: &[String]) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        Ok(rows.iter().filter(|it| payments.contains(&it.payment)).cloned().collect())
    }

    fn unconfirmed(&self) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        let mut open: Vec<_> = rows.iter().filter(|it| it.amount.is_none()).cloned().collect();
        open.sort_by_key(|it| it.looked_at);
        Ok(open)
    }

    fn put(&self, refund: &Refund) -> Result<(), StoreError> {
        self.remove(refund)?;
        // As it is read from the disk again.
        self.rows.borrow_mut().push(from_text(&to_text(refund)).unwrap());
        Ok(())
    }

    fn remove(&self, refund: &Refund) -> Result<(), StoreError> {
        self.rows.borrow_mut().retain(|it| it.transaction != refund.transaction);
        Ok(())
    }

    async fn look(&self, refund: &Refund) -> Look {
        self.looks.set(self.looks.get() + 1);
        // Whoever else asks comes in between.
        let mut has_waited = false;
        poll_fn(|_| {
            if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let says = self.says.borrow();
        let said = says.iter().find(|(transaction, _)| *transaction == refund.transaction);
        said.map_or(Look::Nothing, |(_, look)| *look)
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}

fn why(told: &Told) -> &str {
    match told {
        Told::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_chain_shows_is_noted_once_however_often_it_is_told() {
    let pages = Pages::new();
    pages.say('b', received(10_000));
    for _ in 0..3 {
        let said = pages.tell(told("a payment", 'b'));
        assert!(matches!(&said, Told::Noted(it) if it.amount.unwrap().0 == 10_000), "{said:?}");
        let (status, text) = answer_to(&said);
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &answer["state"], &answer["amount"]),
            (200, &json!("noted"), &json!("10000"))
        );
    }
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
    assert_eq!(pages.looks.get(), 1, "what is noted is not looked for again");
}

#[test]
fn one_transaction_counts_for_one_sale() {
    let pages = Pages::new();
    pages.say('b', received(10_000));
    pages.tell(told("a payment", 'b'));
    let said = pages.tell(told("another payment", 'b'));
    assert!(why(&said).contains("another sale"));
    // Not even while nobody knows yet what it is.
    pages.tell(told("a third payment", 'c'));
    let said = pages.tell(told("a payment", 'c'));
    assert!(why(&said).contains("another sale"));
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
}

#[test]
fn a_sale_is_paid_back_in_parts_and_never_by_more_than_was_paid() {
    let pages = Pages::new();
    for (transaction, amount, is_noted) in
        [('b', 4_000, true), ('c', 6_001, false), ('d', 6_000, true), ('e', 1, false)]
    {
        pages.say(transaction, received(amount));
        let said = pages.tell(told("a payment", transaction));
        assert_eq!(matches!(said, Told::Noted(_)), is_noted, "{transaction}: {said:?}");
    }
    assert_eq!(pages.noted().iter().map(|(_, amount)| amount).sum::<u128>(), 10_000);
    assert_eq!(pages.rows.borrow().len(), 2, "what is none is not kept");
}

#[test]
fn two_at_once_are_not_both_noted_where_there_is_room_for_one() {
    let pages = Pages::new();
    pages.say('b', received(6_000));
    pages.say('c', received(6_000));
    let both = join(tell(&pages, told("a payment", 'b')), tell(&pages, told("a payment", 'c')));
    let (first, second) = block_on(both);
    assert!(matches!(first.unwrap(), Told::Noted(_)));
    assert!(why(&second.unwrap()).contains("4000 are left"));
    // And the same one told twice at once is noted once.
    let pages = Pages::new();
    pages.say('b', received(6_000));
    let both = join(tell(&pages, told("a payment", 'b')), tell(&pages, told("a payment", 'b')));
    let (first, second) = block_on(both);
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(pages.noted(), [("a payment".into(), 6_000)]);
}

#[test]
fn what_pays_nobody_back_is_refused_with_the_reason() {
    for (look, part) in [
        (Look::Failed, "failed"),
        (received(0), "nothing in the token"),
        (received(10_001), "10000 are left"),
    ] {
        let pages = Pages::new();
        pages.say('b', look);
        let said = pages.tell(told("a payment", 'b'));
        assert!(why(&said).contains(part), "{said:?}");
        assert_eq!(answer_to(&said).0, 409);
        assert!(pages.rows.borrow().is_empty());
    }
    let early = |time| Look::Received { amount: AtomicAmount(1), time };
    for (time, is_noted) in [(Some(NOW - 161), false), (Some(NOW - 160), true), (None, true)] {
        let pages = Pages::new();
        pages.say('b', early(time.map(UnixSeconds)));
        let said = pages.tell(told("a payment", 'b'));
        assert_eq!(matches!(&said, Told::Noted(_)), is_noted, "{time:?}: {said:?}");
    }
}

#[test]
fn what_the_chain_does_not_show_yet_is_looked_for_until_it_does() {
    let pages = Pages::new();
    let said = pages.tell(told("a payment", 'b'));
    assert_eq!(answer_to(&said).0, 202);
    assert_eq!(serde_json::from_str::<Value>(&answer_to(&said).1).unwrap()["state"], "open");
    let mut looks = vec![];
    for _ in 0..6 {
        let pause = block_on(look_again(&pages)).unwrap().unwrap();
        looks.push(pause);
        pages.now.set(pages.now.get() + pause);
    }
    assert!(looks.is_sorted() && looks[0] == 5, "{looks:?}");
    pages.say('b', received(10_000));
    pages.now.set(pages.now.get() + 600);
    assert_eq!(block_on(look_again(&pages)).unwrap(), None, "there is nothing to go on with");
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
}

#[test]
fn what_never_comes_is_given_up_after_a_day_and_can_be_told_again() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    while let Some(pause) = block_on(look_again(&pages)).unwrap() {
        pages.now.set(pages.now.get() + pause);
        assert!(pages.now.get() < NOW + 90_000);
    }
    assert!(pages.now.get() >= NOW + 86_400);
    let looks = pages.looks.get();
    assert!(looks < 250, "{looks}");
    let problem = pages.rows.borrow()[0].problem.clone();
    assert!(problem.unwrap().contains("for a day"));
    assert!(pages.log.borrow()[0].contains(&hash('b')));
    pages.say('b', received(10_000));
    assert!(matches!(pages.tell(told("a payment", 'b')), Told::Noted(_)));
}

#[test]
fn a_transaction_is_kept_before_the_chain_is_asked() {
    let pages = Pages::new();
    pages.say('b', received(10_000));
    {
        // The process dies while a node is asked.
        let mut dies = pin!(tell(&pages, told("a payment", 'b')));
        assert!(dies.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(pages.rows.borrow().len(), 1);
    pages.now.set(NOW + 5);
    assert_eq!(block_on(look_again(&pages)).unwrap(), None);
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
}

#[test]
fn what_is_looked_for_is_bounded_and_can_be_taken_off() {
    let pages = Pages::new();
    let number = |n: usize| Refund {
        transaction: format!("0x{n:064x}"),
        ..told(&format!("payment {n}"), 'b')
    };
    for n in 0..64 {
        assert!(matches!(pages.tell(number(n)), Told::Open(_)));
    }
    assert!(why(&pages.tell(number(64))).contains("64 others"));
    let looks = pages.looks.get();
    pages.now.set(NOW + 600);
    assert_eq!(block_on(look_again(&pages)).unwrap(), Some(1), "the rest is due");
    assert_eq!(pages.looks.get() - looks, 10);
    assert!(forget(&pages, evm(), &number(7).transaction).unwrap());
    assert!(!forget(&pages, evm(), &number(7).transaction).unwrap());
    assert!(matches!(pages.tell(number(64)), Told::Open(_)));
    pages.say('b', received(1));
    forget(&pages, evm(), &number(8).transaction).unwrap();
    pages.tell(told("a payment", 'b'));
    assert!(!forget(&pages, evm(), &hash('b')).unwrap(), "what is noted stays");
}

#[test]
fn a_sale_shows_what_came_back_and_one_without_is_as_it_was() {
    let pages = Pages::new();
    pages.say('b', received(4_000));
    pages.say('c', received(1_000));
    for transaction in ['b', 'c', 'd'] {
        pages.tell(told("a payment", transaction));
    }
    let given = Given::new(pages.rows.borrow().clone());
    let shown = to_value(&Shown(&sale(), &given));
    assert_eq!(shown["refunded"], "5000");
    let back = |amount: &str, transaction| json!({ "time": NOW, "amount": amount, "transaction": hash(transaction) });
    assert_eq!(shown["refunds"], json!([back("4000", 'b'), back("1000", 'c')]));
    let other = Sale { payment: "a payment of another".into(), ..sale() };
    assert_eq!(to_text(&Shown(&other, &given)), to_text(&other));
}

#[test]
fn what_is_told_is_read_strictly() {
    let solana = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
    let good =
        json!({ "network": "eip155:84532", "time": 1, "payment": "p", "transaction": hash('B') });
    assert_eq!(read_note(good.to_string().as_bytes()).unwrap().transaction, hash('b'));
    let changed = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    for (body, part) in [
        ("{}".into(), "the body must be"),
        ("[]".into(), "the body must be"),
        (changed("more", json!(1)), "the body must be"),
        (changed("time", json!(-1)), "the body must be"),
        (changed("time", json!("1")), "the body must be"),
        (changed("payment", json!(null)), "the body must be"),
        (changed("network", json!("base")), "network must be"),
        (changed("network", json!(solana)), "transaction is none of solana"),
        (changed("transaction", json!("0x12")), "transaction is none of eip155:84532"),
        (changed("transaction", json!(7)), "the body must be"),
    ] {
        let error = read_note(body.as_bytes()).unwrap_err();
        assert!(error.contains(part), "{body}: {error}");
    }
    assert_eq!(read_place("").unwrap(), None);
    assert!(read_place("?network=eip155:1&time=1&payment=p").unwrap().is_some());
    for query in ["?network=eip155:1", "?time=x", "?network=eip155:1&time=1&payment=", "?more=1"] {
        assert!(read_place(query).is_err(), "{query}");
    }
    let (network, transaction) =
        read_forget(&format!("?network=eip155:1&transaction={}", hash('B'))).unwrap();
    assert_eq!((network.to_string(), transaction), ("eip155:1".into(), hash('b')));
    for query in ["", "?network=eip155:1", "?network=eip155:1&transaction=0x"] {
        assert!(read_forget(query).is_err(), "{query}");
    }
}

#[test]
fn sums_and_files_say_what_came_back_of_their_sales() {
    let back = |payment: &str, route: &str, day: u64, amount: u128, transaction| Refund {
        route: Some(route.into()),
        sale_time: UnixSeconds(day * 86_400 + 5),
        amount: Some(AtomicAmount(amount)),
        ..told(payment, transaction)
    };
    let all = vec![
        back("p1", "/a/*", 20_000, 5, 'b'),
        back("p1", "/a/*", 20_000, 7, 'c'),
        back("p2", "/b", 20_001, 11, 'd'),
    ];
    let sum_of = |by, key: Option<&str>| {
        let mut sums = vec![];
        // In pages.
        for one in &all {
            add_up(&mut sums, vec![one.clone()], by);
        }
        refunded(&sums, by, key, (evm(), Some(TOKEN))).map(|it| it.0)
    };
    assert_eq!(sum_of(SumBy::Day, Some("20000")), Some(12));
    assert_eq!(sum_of(SumBy::Day, Some("20002")), None);
    assert_eq!(sum_of(SumBy::Route, Some("/b")), Some(11));
    assert_eq!(sum_of(SumBy::Network, None), Some(23));
    assert_eq!(sum_of(SumBy::Payer, Some(&PAYER.to_uppercase().replace('X', "x"))), Some(23));
    let given = Given::new(all.clone());
    let cells = in_cells(given.of("p1"));
    assert_eq!(cells, ["12".to_owned(), format!("{} {}", hash('b'), hash('c'))]);
    assert_eq!(in_cells(given.of("p")), ["", ""]);
    // A page that is full is followed by another, behind its last.
    let query = RefundsQuery::between(Some(UnixSeconds(1)), None);
    assert_eq!(query.clone().next(&all), None);
    let page: Vec<_> = (0..1_000).map(|_| all[2].clone()).collect();
    let next = query.next(&page).unwrap();
    let last = [all[2].sale_time.to_string(), "p2".into(), format!("eip155:84532/{}", hash('d'))];
    assert_eq!((next.from, next.before.unwrap()), (Some(UnixSeconds(1)), last.to_vec()));
}
