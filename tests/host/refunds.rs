//! Refunds: what is noted is what a chain shows, once, and never more than was paid.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use edge402::amount::AtomicAmount;
use edge402::desk::refunds::{
    Given, Look, Named, Refund, RefundsQuery, Shown, TakenOff, Told, add_up, answer_to, in_cells,
    look_again, read_named, read_note, read_place, read_reservation, refunded, take_off, tell,
};
use edge402::json::{to_text, to_value};
use edge402::settlement::Sale;
use edge402::settlement::sums::SumBy;
use edge402::time::UnixSeconds;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::refunds_book::{NOW, PAYER, Pages, TOKEN, block_on, evm, hash, received, sale, told};

fn why(told: &Told) -> &str {
    match told {
        Told::Refused(why) | Told::Full(why) => why,
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
fn a_sale_is_paid_back_in_parts_and_what_is_too_much_is_shown_as_well() {
    let pages = Pages::new();
    for (transaction, amount) in [('b', 4_000), ('c', 6_000), ('d', 1)] {
        pages.say(transaction, received(amount));
        let said = pages.tell(told("a payment", transaction));
        assert!(matches!(said, Told::Noted(_)), "{transaction}: {said:?}");
    }
    assert_eq!(pages.noted().iter().map(|(_, amount)| amount).sum::<u128>(), 10_001);
    let given = Given::new(pages.rows.borrow().clone());
    assert_eq!(to_value(&Shown(&sale(), &given))["refunded"], "10001");
}

#[test]
fn one_that_is_told_twice_at_once_is_noted_once() {
    let pages = Pages::new();
    pages.say('b', received(6_000));
    let tell = || tell(&pages, told("a payment", 'b'), None);
    let (first, second) = block_on(join(tell(), tell()));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(pages.noted(), [("a payment".into(), 6_000)]);
}

#[test]
fn what_pays_nobody_back_is_refused_with_the_reason() {
    for (look, part) in [(Look::Failed, "failed"), (received(0), "nothing in the token")] {
        let pages = Pages::new();
        pages.say('b', look);
        let said = pages.tell(told("a payment", 'b'));
        assert!(why(&said).contains(part), "{said:?}");
        assert_eq!(answer_to(&said).0, 409);
        assert!(pages.rows.borrow().is_empty());
    }
    for (time, is_noted) in [(NOW - 161, false), (NOW - 160, true)] {
        let pages = Pages::new();
        let (amount, time) = (AtomicAmount(1), UnixSeconds(time));
        pages.say('b', Look::Received { amount, time });
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
    assert_eq!(block_on(look_again(&pages)).unwrap(), Some(3_600), "whether it stays");
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
}

#[test]
fn a_transaction_is_kept_before_the_chain_is_asked() {
    let pages = Pages::new();
    pages.say('b', received(10_000));
    {
        // The process dies while a node is asked.
        let mut dies = pin!(tell(&pages, told("a payment", 'b'), None));
        assert!(dies.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(pages.rows.borrow().len(), 1);
    pages.now.set(NOW + 5);
    block_on(look_again(&pages)).unwrap();
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
}

#[test]
fn what_is_looked_for_is_bounded() {
    let pages = Pages::new();
    let number = |n: usize| Refund {
        transaction: format!("0x{n:064x}"),
        ..told(&format!("payment {n}"), 'b')
    };
    for n in 0..64 {
        assert!(matches!(pages.tell(number(n)), Told::Open(_)));
    }
    assert!(why(&pages.tell(number(64))).contains("64 refunds"));
    let looks = pages.looks.get();
    pages.now.set(NOW + 600);
    assert_eq!(block_on(look_again(&pages)).unwrap(), Some(1), "the rest is due");
    assert_eq!(pages.looks.get() - looks, 5);
    // What is not waited for any more makes room.
    assert_eq!(take_off(&pages, evm(), &number(7).transaction).unwrap(), TakenOff::Silent);
    assert!(matches!(pages.tell(number(64)), Told::Open(_)));
    assert_eq!(answer_to(&pages.tell(number(65))).0, 503, "it may be told later");
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
    let read = read_note(good.to_string().as_bytes()).unwrap();
    assert_eq!((read.transaction, read.reserved), (hash('b'), None));
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
    let id = "0123456789abcdef0123456789abcdef";
    let reserved = read_note(changed("reservation", json!(id)).as_bytes()).unwrap().reserved;
    assert_eq!(reserved.as_deref(), Some(id));
    assert!(read_note(changed("reservation", json!("short")).as_bytes()).is_err());
    let to_reserve = json!({
        "network": "eip155:84532", "time": 1, "payment": "p", "amount": "10", "reservation": id,
        "despite": [hash('B')],
    });
    let read = read_reservation(to_reserve.to_string().as_bytes()).unwrap();
    assert_eq!((read.amount.0, read.id.as_str(), read.despite), (10, id, vec![hash('b')]));
    for (name, value) in [
        ("more", json!(1)),
        ("amount", json!(10)),
        ("amount", json!("-1")),
        ("reservation", json!(id.to_uppercase())),
        ("reservation", json!(&id[1..])),
        ("despite", json!(hash('B'))),
        ("despite", json!(["0x"])),
        ("payment", json!(null)),
    ] {
        let mut body = to_reserve.clone();
        body[name] = value;
        assert!(read_reservation(body.to_string().as_bytes()).is_err(), "{body}");
    }
    assert_eq!(read_place("").unwrap(), None);
    assert!(read_place("?network=eip155:1&time=1&payment=p").unwrap().is_some());
    for query in ["?network=eip155:1", "?time=x", "?network=eip155:1&time=1&payment=", "?more=1"] {
        assert!(read_place(query).is_err(), "{query}");
    }
    let named = read_named(&format!("?network=eip155:84532&transaction={}", hash('B'))).unwrap();
    assert_eq!(named, Named::Transaction(evm(), hash('b')));
    let named = read_named("?payment=p&reservation=r").unwrap();
    assert_eq!(named, Named::Reservation("p".into(), "r".into()));
    for query in [
        "",
        "?network=eip155:1",
        "?network=eip155:1&transaction=0x",
        "?payment=p&transaction=0x",
        "?reservation=r",
    ] {
        assert!(read_named(query).is_err(), "{query}");
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
