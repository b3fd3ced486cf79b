//! What a browser fetches by its cookie: once for its payment, again as often
//! as a route says, in parts, and who else gets it meanwhile.

use std::rc::Rc;

use edge402::config::SettleWhen;
use edge402::protocol::Reason;
use edge402::settlement::Wanted::{Part, Whole};
use edge402::settlement::delivery::{COLLECT_SECONDS, DeliveryState, PARTS_MAX, PROVEN_MAX};
use edge402::settlement::types::LEASE_SECONDS;
use edge402::settlement::{Delivery, Proof};

use crate::sim::{Answer, Buyer, Kv, Origin, Payment, REDELIVER, Setup, World};

const DUPLICATE: Answer = Answer::Refused(Reason::DuplicateSettlement);

fn world() -> Rc<World> {
    World::new(&Setup { block_ms: 500, ..Setup::default() })
}

/// A pay page: known by nothing but what it is given.
fn page(world: &Rc<World>, number: u8) -> Buyer {
    let payment = Payment::new(number, number, 600);
    Buyer {
        redeliver_max: 3,
        prefers_minimal: true,
        proof: Proof::default(),
        ..Buyer::new(world, &payment, "a")
    }
}

fn delivery(buyer: &Buyer) -> Delivery {
    buyer.world.tables.record(&buyer.payment.id).unwrap().delivery
}

fn is_promise(answer: &Answer) -> bool {
    matches!(answer, Answer::Promised(_))
}

fn transfers(buyer: &Buyer) -> usize {
    buyer.world.chain.borrow().transfers_of(&buyer.payment).len()
}

/// How often it is given out until it isn't any more.
fn all_that_is_given(who: &Buyer) -> usize {
    (0..50).filter(|_| who.now().is_delivery()).count()
}

#[test]
fn what_is_promised_is_paid_for_and_not_delivered() {
    for (when, asked) in [(SettleWhen::After, 1), (SettleWhen::Before, 0)] {
        let world = world();
        let page = Buyer { when, ..page(&world, 1) };
        assert!(is_promise(&page.now()), "{when:?}");
        assert_eq!(world.asked.get(), asked, "{when:?}");
        assert_eq!(transfers(&page), 1);
        let promised = delivery(&page);
        assert_eq!((promised.state, promised.proven), (DeliveryState::NotDelivered, 0));
        // The first request has the goods for the payment, the next ones are
        // deliveries again.
        let browser = page.with_cookie(Whole);
        assert!(browser.now().is_delivery());
        assert!(browser.granted.get());
        assert_eq!(delivery(&page).state, DeliveryState::Delivered { to_buyer: true });
        assert_eq!(delivery(&page).again, 0);
        assert_eq!(all_that_is_given(&browser), 3);
        assert_eq!(transfers(&page), 1);
    }
}

#[test]
fn what_is_promised_is_no_observers() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let observer = Buyer { prefers_minimal: false, ..page.observer() };
    let nobody = Buyer { proof: Proof::default(), ..observer.clone() };
    for seconds in [0, LEASE_SECONDS, COLLECT_SECONDS / 2] {
        world.run_for(1_000 * seconds);
        assert_eq!(observer.now(), DUPLICATE);
        assert_eq!(nobody.now(), DUPLICATE);
        // Nor does the preference get a cookie out of it.
        assert_eq!(Buyer { prefers_minimal: true, ..observer.clone() }.now(), DUPLICATE);
    }
}

#[test]
fn an_observer_of_what_is_not_delivered_yet_gets_no_cookie() {
    let world = world();
    let failed = Buyer { when: SettleWhen::Before, origin: Origin::Down, ..page(&world, 1) };
    let plain = Buyer { prefers_minimal: false, ..failed.clone() };
    assert_eq!(plain.now(), Answer::NotDelivered);
    let observer = Buyer { origin: Origin::Good, ..failed.observer() };
    assert!(observer.now().is_delivery(), "the preference is not heard");
    assert!(!observer.granted.get());
}

#[test]
fn a_buyer_who_is_known_again_is_promised_it_as_often_as_it_is_asked() {
    let world = world();
    let page = Buyer { proof: crate::sim::shows("the buyer"), ..page(&world, 1) };
    for _ in 0..20 {
        assert!(is_promise(&page.now()));
    }
    assert_eq!(delivery(&page).again, 0);
    assert!(page.with_cookie(Whole).now().is_delivery());
    assert!(is_promise(&page.now()));
    assert_eq!(delivery(&page).again, 0);
    // By the payment and by cookie it is one count.
    let plain = Buyer { prefers_minimal: false, ..page.clone() };
    assert!(plain.now().is_delivery());
    assert_eq!(all_that_is_given(&page.with_cookie(Whole)), 2);
    assert_eq!(plain.now(), DUPLICATE);
}

#[test]
fn where_the_window_is_over_the_goods_come_at_once() {
    let world = world();
    let page = Buyer {
        when: SettleWhen::Before,
        origin: Origin::Down,
        proof: crate::sim::shows("the buyer"),
        ..page(&world, 1)
    };
    assert_eq!(Buyer { prefers_minimal: false, ..page.clone() }.now(), Answer::NotDelivered);
    world.run_for(1_000 * (REDELIVER + 1));
    let late = Buyer { origin: Origin::Good, ..page.clone() };
    assert!(late.now().is_delivery(), "a cookie would have ended before");
    assert_eq!(page.with_cookie(Part).now(), DUPLICATE);
}

#[test]
fn what_is_not_paid_for_is_not_promised() {
    let world = world();
    for (origin, expected) in [(Origin::Down, Answer::Released), (Origin::Error, Answer::Released)]
    {
        let page = Buyer { origin, ..page(&world, 1) };
        assert_eq!(page.now(), expected);
        assert_eq!(transfers(&page), 0);
    }
    assert_eq!(page(&world, 2).with_cookie(Whole).now(), DUPLICATE, "nothing was claimed");
    assert!(world.tables.record(&page(&world, 2).payment.id).is_none(), "nor is it by that");
}

#[test]
fn a_cookie_fetches_what_its_payment_bought_and_nothing_else() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    for wanted in [Whole, Part] {
        let other = Buyer { resource: "b".into(), ..page.with_cookie(wanted) };
        assert_eq!(other.now(), DUPLICATE);
    }
    assert!(page.with_cookie(Whole).now().is_delivery());
}

#[test]
fn ranges_are_of_what_was_bought_and_not_of_what_came_later() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let first = Buyer { origin: Origin::Changed(1), ..page.with_cookie(Part) };
    assert!(first.now().is_delivery() && first.now().is_delivery());
    assert_eq!((delivery(&page).parts, delivery(&page).proven), (Some(2), 0));
    // Each of these is an answer of its own, and counts as one.
    for origin in [Origin::Changed(2), Origin::Unversioned] {
        let before = delivery(&page);
        let later = Buyer { origin, ..page.with_cookie(Part) };
        assert!(later.now().is_delivery());
        let now = delivery(&page);
        assert_eq!(now.proven + now.again, before.proven + before.again + 1, "{origin:?}");
    }
    let fresh = |version| Buyer { origin: Origin::Changed(version), ..page.with_cookie(Part) };
    let had = (3..100).filter(|version| fresh(*version).now().is_delivery()).count();
    assert!(had < 10, "{had} versions for one payment");
    assert!(first.now().is_delivery(), "those of the first are had all the same");
}

#[test]
fn ranges_count_by_themselves() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let film = Buyer { stream_ms: 60_000, ..page.with_cookie(Whole) };
    assert!(film.now().is_delivery());
    let ranges = page.with_cookie(Part);
    for _ in 0..100 {
        assert!(ranges.now().is_delivery(), "while the film streams");
    }
    let now = delivery(&page);
    assert_eq!((now.parts, now.again, now.proven), (Some(100), 0, 1));
    world.run_for(60_000);
    assert_eq!(delivery(&page).state, DeliveryState::Delivered { to_buyer: true });
    for _ in 100..PARTS_MAX {
        assert!(ranges.now().is_delivery());
    }
    assert_eq!(ranges.now(), DUPLICATE, "not without end");
    assert_eq!(all_that_is_given(&page.with_cookie(Whole)), 3);
}

#[test]
fn an_origin_without_ranges_gives_no_more_than_the_route_does() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let ranges = Buyer { origin: Origin::Rangeless, ..page.with_cookie(Part) };
    assert!(ranges.now().is_delivery());
    assert_eq!(delivery(&page).state, DeliveryState::Delivered { to_buyer: true });
    // However many ask at once.
    let more: Vec<_> = (0..20).map(|_| ranges.start()).collect();
    let given = more.iter().filter(|answer| world.take(answer).is_delivery()).count();
    assert_eq!(given, 3);
    assert_eq!(ranges.now(), DUPLICATE);
}

#[test]
fn an_origin_that_fails_by_cookie_costs_nothing() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    for origin in [Origin::Down, Origin::Error] {
        for wanted in [Whole, Part] {
            let failed = Buyer { origin, ..page.with_cookie(wanted) };
            for _ in 0..12 {
                assert_eq!(failed.now(), Answer::NotDelivered);
            }
        }
    }
    assert_eq!(all_that_is_given(&page.with_cookie(Whole)), 4);
}

#[test]
fn answers_that_break_off_stay_the_browsers_and_come_to_an_end() {
    for (max, given) in [(3, PROVEN_MAX), (30, 30)] {
        let world = world();
        let page = Buyer { redeliver_max: max, ..page(&world, 1) };
        assert!(is_promise(&page.now()));
        let broken = Buyer { breaks: true, ..page.with_cookie(Whole) };
        assert!(broken.now().is_delivery());
        let observer = Buyer { prefers_minimal: false, ..page.observer() };
        assert_eq!(observer.now(), DUPLICATE);
        assert_eq!(all_that_is_given(&broken), usize::try_from(given).unwrap() - 1);
    }
}

#[test]
fn a_promise_outlives_the_gate_and_the_settler() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    world.crash();
    let dying = Buyer { dies: true, ..page.with_cookie(Whole) };
    assert!(dying.now().is_delivery());
    world.crash();
    world.run_for(1_000 * (LEASE_SECONDS + 1));
    assert_eq!(Buyer { prefers_minimal: false, ..page.observer() }.now(), DUPLICATE);
    assert!(page.with_cookie(Whole).now().is_delivery());
}

#[test]
fn a_cookie_ends_with_the_window() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let browser = page.with_cookie(Whole);
    assert!(browser.now().is_delivery());
    world.run_for(1_000 * (REDELIVER + 1));
    assert_eq!(browser.now(), DUPLICATE);
    assert_eq!(page.with_cookie(Part).now(), DUPLICATE);
}

#[test]
fn where_the_settler_is_silent_kv_serves_a_cookie_where_nothing_is_counted() {
    let world = world();
    let first = page(&world, 1);
    let strict = page(&world, 2);
    let unwritten = page(&world, 3);
    assert!(is_promise(&first.now()));
    assert!(is_promise(&strict.now()));
    world.kv_does.set(Kv::Unwritten);
    assert!(is_promise(&unwritten.now()));
    world.tables.is_broken.set(true);
    for wanted in [Whole, Part] {
        assert!(first.with_cookie(wanted).now().is_delivery());
        let strict = Buyer { redeliver_max: 0, ..strict.with_cookie(wanted) };
        assert_eq!(strict.now(), Answer::Broken, "only the Settler can count");
        assert_eq!(unwritten.with_cookie(wanted).now(), Answer::Broken, "try again");
        let other = Buyer { resource: "b".into(), ..first.with_cookie(wanted) };
        assert_eq!(other.now(), Answer::Broken);
    }
    let ranges = Buyer { origin: Origin::Rangeless, ..first.with_cookie(Part) };
    assert!(ranges.now().is_delivery());
    world.run_for(1_000 * (REDELIVER + 1));
    assert_eq!(first.with_cookie(Whole).now(), Answer::Broken);
}

#[test]
fn what_the_origin_has_elsewhere_is_fetched_there() {
    let world = world();
    let page = Buyer { when: SettleWhen::Before, ..page(&world, 1) };
    assert!(is_promise(&page.now()));
    let at = |resource: &str| Buyer { resource: resource.into(), ..page.with_cookie(Whole) };
    assert_eq!(at("b").now(), DUPLICATE);
    let led = Buyer { origin: Origin::Elsewhere(Some("b")), ..at("a") };
    assert_eq!(led.now(), Answer::NotDelivered);
    assert!(at("b").now().is_delivery());
    assert_eq!(at("c").now(), DUPLICATE);
    assert_eq!(all_that_is_given(&at("b")), 3);
    assert_eq!(transfers(&page), 1);
}

#[test]
fn strangers_do_not_take_the_places_of_a_cookie() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let film = Buyer { stream_ms: 60_000, ..page.with_cookie(Whole) };
    assert!(film.now().is_delivery());
    for _ in 0..3 {
        assert!(film.now().is_delivery());
    }
    let nobody = Buyer { prefers_minimal: false, proof: Proof::default(), ..page.observer() };
    let crowd: Vec<_> = (0..70).map(|_| nobody.start()).collect();
    world.run_for(100);
    let waits = page.with_cookie(Whole).start();
    world.run_for(500);
    assert!(waits.borrow().is_none(), "{:?}", waits.borrow());
    drop(crowd);
}

#[test]
fn another_sites_page_uses_up_half_of_the_loads_at_most() {
    for (redeliver_max, others, own) in [(10, 6, 5), (3, 2, 2), (1, 1, 1)] {
        let world = world();
        let page = Buyer { redeliver_max, ..page(&world, 1) };
        assert!(is_promise(&page.now()));
        let browser = page.with_cookie(Whole);
        let other = Buyer { by_other_site: true, ..browser.clone() };
        assert_eq!(all_that_is_given(&other), others, "{redeliver_max}");
        assert_eq!(delivery(&page).again, redeliver_max / 2);
        assert_eq!(all_that_is_given(&browser), own, "{redeliver_max}");
        assert_eq!(other.now(), DUPLICATE);
        // What is used up already is nobody's.
        let world = self::world();
        let page = Buyer { redeliver_max, ..self::page(&world, 1) };
        assert!(is_promise(&page.now()));
        assert_eq!(all_that_is_given(&page.with_cookie(Whole)), others + own);
        assert_eq!(Buyer { by_other_site: true, ..page.with_cookie(Whole) }.now(), DUPLICATE);
    }
}

#[test]
fn another_sites_page_leaves_the_buyer_what_was_not_delivered() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let browser = page.with_cookie(Whole);
    let other = Buyer { by_other_site: true, breaks: true, ..browser.clone() };
    assert_eq!(all_that_is_given(&other), 5);
    assert_eq!(delivery(&page).state, DeliveryState::NotDelivered);
    assert_eq!(delivery(&page).proven, PROVEN_MAX / 2);
    assert!(browser.now().is_delivery());
    assert_eq!(delivery(&page).state, DeliveryState::Delivered { to_buyer: true });
}

#[test]
fn another_sites_page_uses_up_half_of_the_ranges_at_most() {
    let world = world();
    let page = page(&world, 1);
    assert!(is_promise(&page.now()));
    let browser = page.with_cookie(Part);
    let other = Buyer { by_other_site: true, ..browser.clone() };
    let given = (0..PARTS_MAX).filter(|_| other.now().is_delivery()).count();
    assert_eq!(given, usize::try_from(PARTS_MAX / 2).unwrap());
    let given = (0..PARTS_MAX).filter(|_| browser.now().is_delivery()).count();
    assert_eq!(given, usize::try_from(PARTS_MAX / 2).unwrap());
}
