//! No seller pays a refund twice without having been told, and nothing that has come
//! back is hidden.

use std::pin::pin;
use std::task::{Context, Waker};

use edge402::amount::AtomicAmount;
use edge402::config;
use edge402::desk::refunds::{
    Look, Page, Refund, Reservation, Reserved, Sender, State, TakenOff, Told, answer_to,
    answer_to_take_off, list, look_again, page_of, read_reservation, release, reserve, take_off,
    tell, terms,
};
use edge402::settlement::Sale;
use edge402::time::UnixSeconds;

use serde_json::{Value, json};

use crate::gate_support::settings;
use crate::refunds_book::{NOW, PAYER, Pages, block_on, evm, hash, received, sale, told};

const DAY: u64 = 86_400;

fn wanted(id: &str, amount: u128) -> Reservation {
    Reservation {
        network: evm(),
        payment: "a payment".into(),
        sale_time: UnixSeconds(NOW - 100),
        payer: PAYER.into(),
        paid: AtomicAmount(10_000),
        amount: AtomicAmount(amount),
        id: id.into(),
        who: "12345678".into(),
        at: UnixSeconds(NOW),
    }
}

/// Why no wallet may be asked for all of it; nothing if one may.
fn refusal(pages: &Pages, id: &str, despite: &[String]) -> Option<String> {
    let wanted = Reservation { at: UnixSeconds(pages.now.get()), ..wanted(id, 10_000) };
    match block_on(reserve(pages, &wanted, despite)).unwrap() {
        Reserved::Held => None,
        Reserved::Refused(why) => Some(why),
    }
}

fn seen() -> Look {
    Look::Seen(Sender { address: PAYER.into(), nonce: 7 })
}

#[test]
fn what_is_silent_for_a_day_is_looked_for_for_a_month_and_noted_when_it_lands() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    pages.wait(DAY + 600);
    assert_eq!(pages.states(), [('b', State::Silent)]);
    let looks = pages.looks.get();
    assert!(looks < 250, "{looks}");
    assert!(pages.log.borrow()[0].contains("it may still land"));
    pages.wait(20 * DAY);
    assert!(pages.looks.get() - looks < 100);
    pages.say('b', received(10_000));
    pages.wait(DAY / 4);
    assert_eq!(pages.noted(), [("a payment".into(), 10_000)]);
    // Of what never comes nobody asks for ever.
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    pages.wait(40 * DAY);
    assert_eq!(block_on(look_again(&pages)).unwrap(), None);
    assert_eq!(pages.states(), [('b', State::Silent)]);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Forgotten);
}

#[test]
fn what_is_taken_off_and_lands_is_noted_all_the_same() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Silent);
    // It can't be hidden by being taken off once more.
    assert!(matches!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Stays(_)));
    pages.say('c', received(10_000));
    pages.tell(told("a payment", 'c'));
    pages.say('b', received(10_000));
    pages.wait(600);
    assert_eq!(pages.states(), [('b', State::Noted), ('c', State::Noted)]);
    assert_eq!(pages.noted().iter().map(|(_, amount)| amount).sum::<u128>(), 20_000);
}

#[test]
fn a_second_refund_needs_the_name_of_each_transaction_that_may_still_land() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    let why = refusal(&pages, "1", &[hash('b')]).unwrap();
    assert!(why.contains("is on its way"), "{why}");
    take_off(&pages, evm(), &hash('b')).unwrap();
    pages.tell(told("a payment", 'c'));
    pages.wait(DAY + 600);
    for despite in [vec![], vec![hash('b')], vec![hash('c')], vec![hash('d')]] {
        let why = refusal(&pages, "1", &despite).unwrap();
        assert!(why.contains("may still land: the payer would get both"), "{why}");
    }
    assert_eq!(refusal(&pages, "1", &[hash('c'), hash('b')]), None);
}

#[test]
fn what_has_landed_since_somebody_looked_is_seen_before_a_wallet_is_asked() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    take_off(&pages, evm(), &hash('b')).unwrap();
    pages.say('b', received(4_000));
    let why = refusal(&pages, "1", &[hash('b')]).unwrap();
    assert!(why.contains("at most 6000"), "{why}");
    let part = block_on(reserve(&pages, &wanted("1", 6_000), &[])).unwrap();
    assert_eq!(part, Reserved::Held);
}

#[test]
fn only_the_chain_can_tell_that_one_is_dead_and_after_many_blocks_alone() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    pages.say('b', seen());
    pages.wait(600);
    assert_eq!(pages.rows.borrow()[0].sender, Some(Sender { address: PAYER.into(), nonce: 7 }));
    for (look, state) in [
        (Look::Dead { block: 1_000 }, State::Open),
        (Look::Dead { block: 1_299 }, State::Open),
        // A reorganisation has given the nonce back.
        (Look::Absent, State::Open),
        (Look::Dead { block: 1_301 }, State::Open),
        (Look::NoAnswer, State::Open),
        (Look::Dead { block: 1_601 }, State::Replaced),
    ] {
        pages.say('b', look.clone());
        pages.wait(600);
        assert_eq!(pages.states(), [('b', state)], "{look:?}");
    }
    // Told again it is the same, and stays.
    let again = pages.tell(told("a payment", 'b'));
    assert!(matches!(again, Told::Refused(why) if why.contains("sped up, enter it")));
    assert_eq!(pages.states(), [('b', State::Replaced)]);
    // What has its nonce may have paid the payer.
    let why = refusal(&pages, "1", &[]).unwrap();
    assert!(why.contains("if that was this refund, sped up"), "{why}");
    assert_eq!(refusal(&pages, "1", &[hash('b')]), None, "the seller has been warned");
    // Nor does whoever takes it off take the warning from others.
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Warned);
    assert!(refusal(&pages, "1", &[]).unwrap().contains("if that was this refund, sped up"));
    assert!(matches!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Stays(_)));
    pages.wait(30 * DAY);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Forgotten);
    assert_eq!(refusal(&pages, "1", &[]), None);
}

#[test]
fn what_was_replaced_is_forgotten_where_the_sale_was_paid_back_by_another() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    for look in [seen(), Look::Dead { block: 1_000 }, Look::Dead { block: 1_300 }] {
        pages.say('b', look);
        pages.wait(600);
    }
    assert_eq!(pages.states(), [('b', State::Replaced)]);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Warned);
    // Told again it is looked for as ever, and is listed.
    pages.tell(told("a payment", 'b'));
    assert!(!pages.rows.borrow()[0].is_off);
    pages.say('c', received(10_000));
    pages.tell(told("a payment", 'c'));
    pages.wait(600);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Forgotten);
}

#[test]
fn a_part_that_was_paid_back_before_is_not_what_took_the_place_of_another() {
    let pages = Pages::new();
    pages.say('a', received(6_000));
    pages.tell(told("a payment", 'a'));
    pages.wait(600);
    pages.tell(told("a payment", 'b'));
    for look in [seen(), Look::Dead { block: 1_000 }, Look::Dead { block: 1_300 }] {
        pages.say('b', look);
        pages.wait(600);
    }
    assert_eq!(pages.states(), [('a', State::Noted), ('b', State::Replaced)]);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Warned);
    let rest = block_on(reserve(&pages, &wanted("1", 4_000), &[])).unwrap();
    assert!(matches!(rest, Reserved::Refused(why) if why.contains("if that was this refund")));
    // What is told after it has ended took its place, or the seller has looked.
    let after = Refund { told_at: UnixSeconds(pages.now.get() + 1), ..told("a payment", 'c') };
    pages.say('c', received(1_000));
    pages.tell(after);
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Forgotten);
}

#[test]
fn what_somebody_else_has_found_replaced_meanwhile_stays_so() {
    let late = [Look::Absent, Look::NoAnswer, Look::Dead { block: 1_200 }, Look::Failing, seen()];
    for look in late {
        let pages = Pages::new();
        pages.tell(told("a payment", 'b'));
        for look in [seen(), Look::Dead { block: 1_000 }] {
            pages.say('b', look);
            pages.wait(600);
        }
        take_off(&pages, evm(), &hash('b')).unwrap();
        // Two ask at once, and the first to hear is told more than the other.
        let wanted = wanted("1", 10_000);
        let mut second = pin!(reserve(&pages, &wanted, &[]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        pages.say('b', Look::Dead { block: 1_300 });
        pages.wait(DAY / 4);
        assert_eq!(pages.states(), [('b', State::Replaced)]);
        pages.say('b', look.clone());
        let said = block_on(second).unwrap();
        assert!(matches!(said, Reserved::Refused(_)), "{look:?}: {said:?}");
    }
}

#[test]
fn what_has_failed_is_looked_for_once_more_an_hour_later() {
    for (look, state) in [
        (Look::Failed, State::Refused),
        (Look::NoAnswer, State::Refused),
        (received(10_000), State::Noted),
        (Look::Failing, State::Open),
        (Look::Absent, State::Open),
        (seen(), State::Open),
    ] {
        let pages = Pages::new();
        pages.tell(told("a payment", 'b'));
        pages.say('b', Look::Failed);
        pages.wait(600);
        assert_eq!(pages.states(), [('b', State::Refused)]);
        assert_eq!(refusal(&pages, "1", &[]), None);
        pages.say('b', look.clone());
        pages.wait(3_600);
        assert_eq!(pages.states(), [('b', state)], "{look:?}");
        let is_open = state == State::Open;
        assert_eq!(pages.log.borrow().iter().any(|it| it.contains("may still land")), is_open);
        assert_eq!(refusal(&pages, "1", &[]).is_some(), state != State::Refused, "{look:?}");
        pages.say('b', Look::Failed);
        pages.wait(7_200);
        let next = block_on(look_again(&pages)).unwrap();
        assert_eq!(next, None, "{look:?}: once more is enough");
        assert_eq!(
            pages.log.borrow().iter().filter(|it| it.contains("has sent nothing")).count(),
            1 + usize::from(state != State::Refused),
            "{look:?}"
        );
    }
}

#[test]
fn what_a_wallet_has_sent_from_the_desk_and_has_failed_is_looked_for_once_more() {
    let pages = Pages::new();
    assert_eq!(refusal(&pages, "1", &[]), None);
    pages.say('b', Look::Failed);
    let said = block_on(tell(&pages, told("a payment", 'b'), Some("1"))).unwrap();
    assert!(matches!(said, Told::Refused(_)), "{said:?}");
    assert_eq!(pages.states(), [('b', State::Refused)]);
    pages.say('b', received(10_000));
    pages.wait(3_600);
    assert_eq!(pages.states(), [('b', State::Noted)]);
    // By hand it is forgotten: whoever told it has heard so.
    pages.say('c', Look::Failed);
    assert!(matches!(pages.tell(told("another payment", 'c')), Told::Refused(_)));
    assert_eq!(pages.states(), [('b', State::Noted)]);
}

/// What the seller is shown of the one transaction.
fn problem_of(pages: &Pages) -> String {
    let shown = list(&pages.rows.borrow(), &[], UnixSeconds(pages.now.get()));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["refunds"][0]["problem"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_fails_in_a_new_block_says_so_when_it_is_not_waited_for_too() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    take_off(&pages, evm(), &hash('b')).unwrap();
    pages.say('b', Look::Failing);
    pages.wait(600);
    assert_eq!(pages.states(), [('b', State::Silent)]);
    assert!(problem_of(&pages).contains("it failed; if that stays so for 20 blocks"));
}

#[test]
fn what_no_node_has_says_so_and_what_can_be_done() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    assert_eq!(problem_of(&pages), "");
    pages.say('b', Look::Unknown);
    pages.wait(600);
    let problem = problem_of(&pages);
    assert!(problem.starts_with("no node has it: look in the wallet."), "{problem}");
    assert!(problem.contains("take it off and pay again"), "{problem}");
    pages.wait(1_200);
    let logged = pages.log.borrow().iter().filter(|it| it.contains("no node has it")).count();
    assert_eq!(logged, 1);
    // Nodes that don't answer change nothing.
    pages.say('b', Look::NoAnswer);
    pages.wait(600);
    assert_eq!(problem_of(&pages), problem);
    take_off(&pages, evm(), &hash('b')).unwrap();
    let problem = problem_of(&pages);
    assert!(problem.contains("no node has it, but the wallet may still send it"), "{problem}");
    pages.say('b', seen());
    pages.wait(1_200);
    assert!(!problem_of(&pages).contains("no node"), "{}", problem_of(&pages));
}

#[test]
fn what_has_ended_with_its_blockhash_has_no_successor_to_be_warned_of() {
    let pages = Pages::new();
    pages.tell(told("a payment", 'b'));
    for (block, state) in [(1_000, State::Open), (1_300, State::Refused)] {
        pages.say('b', Look::Dead { block });
        pages.wait(600);
        assert_eq!(pages.states(), [('b', state)]);
    }
    assert_eq!(refusal(&pages, "1", &[]), None, "nothing stands in the way");
}

#[test]
fn another_sender_or_a_block_that_has_it_begins_the_wait_anew() {
    let other = Sender { address: PAYER.into(), nonce: 8 };
    for look in [Look::Seen(other.clone()), Look::Failing, received(10_000)] {
        let pages = Pages::new();
        pages.tell(told("a payment", 'b'));
        let looks =
            [seen(), Look::Dead { block: 1_000 }, look.clone(), Look::Dead { block: 1_400 }];
        for look in looks {
            pages.say('b', look);
            // What was noted is looked for an hour later.
            pages.wait(3_600);
        }
        assert_eq!(pages.states(), [('b', State::Open)], "{look:?}");
        let is_other = pages.rows.borrow()[0].sender == Some(other.clone());
        assert_eq!(is_other, matches!(look, Look::Seen(_)));
    }
}

#[test]
fn what_fails_in_a_new_block_is_waited_for_and_says_so() {
    let pages = Pages::new();
    pages.say('b', Look::Failing);
    let said = pages.tell(told("a payment", 'b'));
    let shown: Value = serde_json::from_str(&answer_to(&said).1).unwrap();
    assert_eq!((answer_to(&said).0, &shown["state"]), (202, &json!("open")));
    let problem = shown["problem"].as_str().unwrap();
    assert!(problem.contains("it failed; if that stays so for 20 blocks"), "{problem}");
    assert!(refusal(&pages, "1", &[]).unwrap().contains("is on its way"));
    pages.say('b', received(10_000));
    pages.wait(600);
    assert_eq!(pages.states(), [('b', State::Noted)], "a reorganisation has let it succeed");
    pages.say('c', Look::Failing);
    pages.tell(told("another payment", 'c'));
    pages.say('c', Look::Failed);
    pages.wait(600);
    assert_eq!(pages.states(), [('b', State::Noted), ('c', State::Refused)]);
}

#[test]
fn one_wallet_at_a_time_is_asked() {
    let pages = Pages::new();
    assert_eq!(refusal(&pages, "1", &[]), None);
    assert_eq!(refusal(&pages, "1", &[]), None, "it is the same one");
    let why = refusal(&pages, "2", &[]).unwrap();
    assert!(why.contains("a wallet was asked"), "{why}");
    // Nobody knows what the wallet did, however much time goes by.
    pages.now.set(NOW + DAY);
    assert!(refusal(&pages, "2", &[]).is_some());
    pages.now.set(NOW + 599);
    assert!(!release(&pages, "a payment", "2").unwrap(), "it may be paying right now");
    pages.now.set(NOW + 600);
    assert!(release(&pages, "a payment", "2").unwrap());
    assert_eq!(refusal(&pages, "2", &[]), None);
    assert!(!release(&pages, "a payment", "1").unwrap());
    assert!(release(&pages, "a payment", "2").unwrap(), "its holder need not wait");
    assert!(release(&pages, "a payment", "2").unwrap(), "nothing is reserved");
}

#[test]
fn a_reservation_ends_when_its_transaction_is_told_by_its_holder() {
    let pages = Pages::new();
    assert_eq!(refusal(&pages, "1", &[]), None);
    // By hand, from elsewhere: the wallet may pay all the same.
    pages.tell(told("a payment", 'b'));
    assert!(page_of(&pages, "a payment").unwrap().reservation.is_some());
    pages.say('c', received(10_000));
    let said = block_on(tell(&pages, told("a payment", 'c'), Some("1"))).unwrap();
    assert!(matches!(said, Told::Noted(Refund { is_own: true, .. })), "{said:?}");
    assert!(page_of(&pages, "a payment").unwrap().reservation.is_none());
    assert!(matches!(take_off(&pages, evm(), &hash('c')).unwrap(), TakenOff::Stays(_)));
}

#[test]
fn what_was_reserved_has_its_room_and_others_hear_before_they_pay() {
    let pages = Pages::new();
    let number = |n: usize| Refund {
        transaction: format!("0x{n:064x}"),
        ..told(&format!("payment {n}"), 'b')
    };
    (0..63).for_each(|n| drop(pages.tell(number(n))));
    assert_eq!(page_of(&pages, "a payment").unwrap().problem, None);
    assert_eq!(refusal(&pages, "1", &[]), None);
    let page = page_of(&pages, "another payment").unwrap();
    assert!(page.problem.unwrap().contains("64 refunds"));
    let other = Reservation { payment: "another payment".into(), ..wanted("2", 1) };
    let said = block_on(reserve(&pages, &other, &[])).unwrap();
    assert!(matches!(said, Reserved::Refused(why) if why.contains("64 refunds")));
    assert!(matches!(pages.tell(number(63)), Told::Full(_)));
    let said = block_on(tell(&pages, told("a payment", 'b'), Some("1"))).unwrap();
    assert!(matches!(said, Told::Open(_)), "{said:?}");
}

#[test]
fn what_was_noted_by_mistake_can_be_taken_off() {
    let pages = Pages::new();
    pages.say('b', received(10_000));
    pages.tell(told("another payment", 'b'));
    assert_eq!(take_off(&pages, evm(), &hash('b')).unwrap(), TakenOff::Forgotten);
    assert!(pages.log.borrow()[0].contains("is taken off"));
    assert!(matches!(pages.tell(told("a payment", 'b')), Told::Noted(_)), "it is another's");
    for (taken, status) in [
        (TakenOff::Forgotten, 200),
        (TakenOff::Silent, 200),
        (TakenOff::Warned, 200),
        (TakenOff::Stays("why".into()), 409),
        (TakenOff::Unknown, 404),
    ] {
        assert_eq!(answer_to_take_off(&taken).0, status);
    }
}

#[test]
fn what_a_reorganisation_has_undone_is_waited_for_again() {
    for (look, state) in [
        (received(10_000), State::Noted),
        (Look::NoAnswer, State::Noted),
        (Look::Absent, State::Open),
        (seen(), State::Open),
        (Look::Failing, State::Open),
        (Look::Failed, State::Refused),
    ] {
        let pages = Pages::new();
        pages.say('b', received(10_000));
        pages.tell(told("a payment", 'b'));
        pages.say('b', look.clone());
        pages.wait(3_599);
        assert_eq!(pages.states(), [('b', State::Noted)]);
        pages.wait(1);
        assert_eq!(pages.states(), [('b', state)], "{look:?}");
        assert_eq!(refusal(&pages, "1", &[]).is_some(), state != State::Refused, "{look:?}");
        pages.say('b', received(10_000));
        pages.wait(7_200);
        if state != State::Refused {
            assert_eq!(pages.states(), [('b', State::Noted)], "{look:?}");
            assert_eq!(block_on(look_again(&pages)).unwrap(), None, "once more is enough");
        }
    }
}

#[test]
fn the_terms_say_before_anybody_pays_why_no_refund_can_be_looked_for() {
    let loaded = config::read(&settings("https://own.example", json!([])));
    let config = loaded.config.as_ref().unwrap();
    let now = UnixSeconds(NOW);
    let said = |sale: &Sale, page: &Page| -> Value {
        serde_json::from_str(&terms(config, sale, page, None, now)).unwrap()
    };
    let here = said(&sale(), &Page::default());
    assert_eq!((&here["problem"], &here["symbol"]), (&json!(null), &json!("USDC")));
    let elsewhere = Sale { network: Some("eip155:1".parse().unwrap()), ..sale() };
    let problem = &said(&elsewhere, &Page::default())["problem"];
    assert!(problem.as_str().unwrap().contains("\"eip155:1\" needs rpc"), "{problem}");
    let full = Page { problem: Some("64 refunds are looked for".into()), ..Page::default() };
    assert_eq!(said(&sale(), &full)["problem"], "64 refunds are looked for");
    let of_long_ago = Sale { asset: None, ..sale() };
    let problem = &said(&of_long_ago, &Page::default())["problem"];
    assert!(problem.as_str().unwrap().contains("release 0.1.0"), "{problem}");
    let body = json!({
        "network": "eip155:84532", "time": NOW - 100, "payment": "a payment", "amount": "1",
        "reservation": "0".repeat(32), "despite": [],
    });
    let asked = read_reservation(body.to_string().as_bytes()).unwrap();
    assert!(asked.reservation(&of_long_ago, "who", now).is_err(), "nor is a wallet asked");
    assert_eq!(asked.reservation(&sale(), "who", now).unwrap().paid, AtomicAmount(10_000));
    // The number of a reservation is for its holder alone.
    let held = Page { reservation: Some(wanted("a secret", 5)), ..Page::default() };
    let shown = said(&sale(), &held);
    assert_eq!(shown["reservation"]["is_over"], false);
    assert!(!shown.to_string().contains("a secret"));
}
