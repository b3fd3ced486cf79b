//! What is sold by use: held, counted on its way, and settled when it has gone
//! out; on the simulated chain.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use serde_json::json;

use crate::sim::time::START_MS;
use crate::sim::{AMOUNT, Answer, Buyer, Fault, Origin, Payment, Setup, World, payer, relayer};
use edge402::amount::AtomicAmount;
use edge402::meter::{Meter, Quantity, Reading, What, WithoutAmount};
use edge402::protocol::Reason;
use edge402::purchase::by_use::{CountHolder, follow_counted};
use edge402::purchase::{Counted, Holder, Tariff};
use edge402::settlement::{DeliveryReport, Metered, RenewRequest, Settlement, State, UseReport};
use edge402::time::UnixSeconds;
use futures_util::FutureExt as _;

/// Long enough for every transaction to land or to be given up.
pub const A_WHILE: u64 = 120_000;

pub fn world() -> Rc<World> {
    World::new(&Setup::default())
}

pub fn payment(payer: u8, number: u8) -> Payment {
    Payment::by_use(payer, number, 900)
}

/// Ten atomic units for each token, four payments unsettled of one payer and six
/// of all.
fn by_tokens() -> (Tariff, Metered) {
    let most = AtomicAmount(AMOUNT);
    let meter = Meter {
        what: What::Json("usage.tokens".parse().unwrap()),
        per: 1_000,
        price: "$0.01".parse().unwrap(),
    };
    let tariff =
        Tariff { most, decimals: 6, meter: Some(meter), without_amount: WithoutAmount::Nothing };
    let (payer_max, route_max) = (AtomicAmount(4 * AMOUNT), AtomicAmount(6 * AMOUNT));
    (tariff, Metered { route: "/model".into(), payer_max, route_max })
}

pub fn buyer(world: &Rc<World>, payment: &Payment, pieces: &[&'static str]) -> Buyer {
    Buyer {
        by_use: Some(by_tokens()),
        pieces: pieces.to_vec(),
        stream_ms: 1_000,
        redeliver_max: 0,
        redeliver_seconds: 0,
        ..Buyer::new(world, payment, "/model")
    }
}

pub const SOME: &str = "data: {\"usage\":{\"tokens\":123}}\n\n";
pub const ALL: &str = "data: {\"usage\":{\"tokens\":1000}}\n\n";
pub const WORDS: &str = "data: {\"text\":\"word\"}\n\n";

pub fn state(world: &World, payment: &Payment) -> State {
    world.tables.record(&payment.id).unwrap().state
}

pub fn settlement(world: &World, payment: &Payment) -> Settlement {
    match state(world, payment) {
        State::Settled(settlement) => settlement,
        other => panic!("{other:?}"),
    }
}

/// What a payment has moved on chain.
pub fn moved(world: &World, payment: &Payment) -> Vec<u128> {
    world.chain.borrow().transfers_of(payment).iter().map(|it| it.amount).collect()
}

#[test]
fn goods_go_out_before_they_are_settled_and_are_settled_once() {
    let world = world();
    let payment = payment(1, 1);
    let buyer = buyer(&world, &payment, &[WORDS, WORDS, ALL]);
    assert_eq!(buyer.now(), Answer::Counted);
    assert!(matches!(state(&world, &payment), State::Metered { used: Some(AtomicAmount(0)), .. }));
    assert_eq!(moved(&world, &payment), []);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [AMOUNT]);
    let settled = settlement(&world, &payment);
    assert_eq!(settled.amount, AtomicAmount(AMOUNT));
    assert_eq!(settled.payer, payer(1).address().to_string());
    // Shown again it buys nothing, whoever shows it, and wherever.
    assert_eq!(buyer.now(), Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(buyer.observer().now(), Answer::Refused(Reason::DuplicateSettlement));
    let elsewhere = Buyer { resource: "/other".into(), ..buyer };
    assert_eq!(elsewhere.now(), Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.asked.get(), 1);
    assert!(world.tables.entries().is_empty());
}

#[test]
fn what_was_used_is_charged_and_no_more() {
    for (pieces, charged) in [
        (vec![WORDS, SOME, WORDS], 1_230),
        // Of two amounts the last one.
        (vec![SOME, ALL], AMOUNT),
        (vec![ALL, SOME], 1_230),
        // Never more than the most.
        (vec!["data: {\"usage\":{\"tokens\":1001}}\n\n"], AMOUNT),
        (vec!["data: {\"usage\":{\"tokens\":1e30}}\n\n"], AMOUNT),
        (vec!["data: {\"usage\":{\"tokens\":1.5}}\n\n"], 15),
    ] {
        let world = world();
        let payment = payment(1, 1);
        assert_eq!(buyer(&world, &payment, &pieces).now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &payment), [charged], "{pieces:?}");
        assert_eq!(settlement(&world, &payment).amount, AtomicAmount(charged));
    }
}

#[test]
fn nothing_used_settles_nothing() {
    let wrong = [
        vec!["data: {\"usage\":{\"tokens\":0}}\n\n"],
        vec![WORDS, WORDS],
        vec!["<html>"],
        vec!["data: {\"usage\":{\"tokens\":-5}}\n\n"],
        vec!["data: {\"usage\":{\"tokens\":\"many\"}}\n\n"],
        vec![],
    ];
    for pieces in wrong {
        let world = world();
        let payment = payment(1, 1);
        let first = buyer(&world, &payment, &pieces);
        assert_eq!(first.now(), Answer::Counted);
        world.run_for(A_WHILE);
        let settled = settlement(&world, &payment);
        assert_eq!((settled.transaction.as_str(), settled.amount.0), ("", 0), "{pieces:?}");
        assert_eq!(world.chain.borrow().count(), 0);
        // It has bought what it has bought all the same.
        assert_eq!(first.now(), Answer::Refused(Reason::DuplicateSettlement));
        // And nothing is at stake any more.
        let free = buyer(&world, &self::payment(1, 2), &[ALL]);
        assert_eq!(free.now(), Answer::Counted);
    }
}

#[test]
fn without_an_amount_the_most_is_charged_if_the_seller_says_so() {
    let world = world();
    for (number, pieces) in [(1, vec![WORDS]), (2, vec!["no events"]), (3, vec![])] {
        let payment = payment(1, number);
        let mut buyer = buyer(&world, &payment, &pieces);
        buyer.by_use.as_mut().unwrap().0.without_amount = WithoutAmount::Most;
        assert_eq!(buyer.now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &payment), [AMOUNT], "{pieces:?}");
    }
}

#[test]
fn an_amount_that_comes_late_takes_the_place_of_the_most() {
    // Before it came, the gate has told more than once that nothing was counted.
    for stream_ms in [1_000, 50_000] {
        let world = world();
        let payment = payment(1, 1);
        let mut buyer = Buyer { stream_ms, ..buyer(&world, &payment, &[WORDS, SOME]) };
        buyer.by_use.as_mut().unwrap().0.without_amount = WithoutAmount::Most;
        assert_eq!(buyer.now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &payment), [1_230], "{stream_ms} ms");
    }
}

/// Sold by what the origin says.
pub fn told(world: &Rc<World>, payment: &Payment, overrides: Option<&str>) -> Buyer {
    let (tariff, metered) = by_tokens();
    Buyer {
        by_use: Some((Tariff { meter: None, ..tariff }, metered)),
        overrides: overrides.map(str::to_owned),
        ..Buyer::new(world, payment, "/told")
    }
}

#[test]
fn an_origin_tells_what_is_charged_before_its_answer_goes_out() {
    for (overrides, charged) in [
        (Some("{\"amount\":\"1234\"}"), 1_234),
        (Some("{\"amount\":\"33.33%\"}"), 3_333),
        (Some("{\"amount\":\"$0.0042\"}"), 4_200),
        (Some("{\"amount\":\"100%\"}"), AMOUNT),
        // More than the most is the most.
        (Some("{\"amount\":\"10001\"}"), AMOUNT),
    ] {
        let world = world();
        let payment = payment(1, 1);
        let buyer = told(&world, &payment, overrides);
        let Answer::Delivered(settled) = buyer.now() else { panic!("{overrides:?}") };
        assert_eq!(settled.amount, AtomicAmount(charged));
        assert_eq!(moved(&world, &payment), [charged]);
        // As any other purchase it is delivered again, and charged once.
        let Answer::Delivered(again) = buyer.now() else { panic!("{overrides:?}") };
        assert_eq!(again, settled);
        assert_eq!(moved(&world, &payment), [charged]);
    }
}

#[test]
fn where_the_origin_tells_nothing_nothing_is_charged_or_the_most() {
    let unclear =
        [None, Some("{\"amount\":\"-1\"}"), Some("much"), Some("{}"), Some("{\"amount\":\"0\"}")];
    for (number, overrides) in unclear.into_iter().enumerate() {
        let world = world();
        let payment = payment(1, u8::try_from(number).unwrap());
        let buyer = told(&world, &payment, overrides);
        let Answer::Delivered(settled) = buyer.now() else { panic!("{overrides:?}") };
        assert_eq!((settled.transaction.as_str(), settled.amount.0), ("", 0));
        assert_eq!(world.chain.borrow().count(), 0);
        let said = world.log.borrow().iter().any(|line| line.contains("nothing is charged"));
        assert_eq!(said, overrides != Some("{\"amount\":\"0\"}"), "{overrides:?}");
        // It is bought: again for the same, and for nothing else.
        assert!(matches!(buyer.now(), Answer::Delivered(_)));
        let other = Buyer { resource: "/b".into(), ..buyer };
        assert_eq!(other.now(), Answer::Refused(Reason::DuplicateSettlement));
    }
    let world = world();
    let payment = payment(1, 1);
    let mut buyer = told(&world, &payment, None);
    buyer.by_use.as_mut().unwrap().0.without_amount = WithoutAmount::Most;
    assert!(buyer.now().is_delivery());
    assert_eq!(moved(&world, &payment), [AMOUNT]);
}

#[test]
fn each_is_settled_alone_by_the_relayer_that_it_names() {
    let world = world();
    let payments: Vec<_> = (0..6).map(|n| payment(n, n)).collect();
    let buyers: Vec<_> =
        payments.iter().map(|it| told(&world, it, Some("{\"amount\":\"50%\"}")).start()).collect();
    for buyer in &buyers {
        assert!(world.take(buyer).is_delivery());
    }
    assert_eq!(world.chain.borrow().shares(), [1; 6]);
    for payment in &payments {
        assert_eq!(moved(&world, payment), [AMOUNT / 2]);
    }
}

#[test]
fn while_it_goes_out_the_same_payment_buys_nothing() {
    let world = world();
    let payment = payment(1, 1);
    let first = buyer(&world, &payment, &[WORDS, WORDS, ALL]);
    assert_eq!(first.now(), Answer::Counted);
    let elsewhere = Buyer { resource: "/other".into(), ..first.clone() };
    assert_eq!(elsewhere.now(), Answer::Refused(Reason::DuplicateSettlement));
    // One that asks for the same waits for what becomes of it.
    assert_eq!(first.now(), Answer::Refused(Reason::DuplicateSettlement));
    assert_eq!(world.asked.get(), 1);
    assert_eq!(moved(&world, &payment), [AMOUNT]);
}

#[test]
fn what_is_not_delivered_is_not_charged() {
    for origin in [Origin::Error, Origin::Down] {
        let world = world();
        let payment = payment(1, 1);
        let first = buyer(&world, &payment, &[ALL]);
        assert_eq!(Buyer { origin, ..first.clone() }.now(), Answer::Released);
        assert!(world.tables.record(&payment.id).is_none());
        // And is good for another try.
        assert_eq!(first.now(), Answer::Counted);
        world.run_for(A_WHILE);
        assert_eq!(moved(&world, &payment), [AMOUNT]);
    }
}

#[test]
fn a_gate_that_dies_has_what_it_told_last_charged() {
    let world = world();
    let payment = payment(1, 1);
    let mut pieces = vec![WORDS, ALL];
    // Its lease is renewed once after that.
    pieces.extend([WORDS; 25]);
    let dying = Buyer { dies: true, ..buyer(&world, &payment, &pieces) };
    assert_eq!(dying.now(), Answer::Counted);
    world.run_for(27_000);
    assert!(matches!(
        state(&world, &payment),
        State::Metered { used: Some(AtomicAmount(AMOUNT)), .. }
    ));
    assert_eq!(moved(&world, &payment), []);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [AMOUNT]);
}

#[test]
fn a_gate_that_dies_before_the_goods_leaves_the_payment_free() {
    let world = world();
    let payment = payment(1, 1);
    let buyer = buyer(&world, &payment, &[ALL]);
    let order = buyer.order();
    let claim = world.claim(&order.claim);
    assert!(claim.is_claimed());
    let asker = Rc::clone(&world);
    let held = world.wait(async move {
        asker
            .ask(|it| async move { it.hold(Rc::unwrap_or_clone(order.settle)).await })
            .await
            .unwrap()
            .unwrap()
    });
    assert_eq!(held, edge402::settlement::HoldReply::Held);
    world.run_for(A_WHILE);
    assert!(world.tables.record(&payment.id).is_none());
    assert_eq!(buyer.now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &payment), [AMOUNT]);
}

#[test]
fn no_more_is_at_stake_than_the_seller_allows() {
    let world = world();
    let pieces = [WORDS, WORDS, WORDS, ALL];
    // Five at once of one payer: four go out.
    let handles: Vec<_> = (0..5).map(|n| buyer(&world, &payment(1, n), &pieces).start()).collect();
    let answers: Vec<_> = handles.iter().map(|it| world.take(it)).collect();
    let count = |wanted: &Answer| answers.iter().filter(|it| *it == wanted).count();
    assert_eq!((count(&Answer::Counted), count(&Answer::Unavailable)), (4, 1), "{answers:?}");
    // Six of all together.
    let others: Vec<_> = (2..6)
        .map(|n| buyer(&world, &payment(n, 10 + n), &pieces).start())
        .map(|it| world.take(&it))
        .collect();
    assert_eq!(others.iter().filter(|it| **it == Answer::Counted).count(), 2, "{others:?}");
    world.run_for(A_WHILE);
    // When those are settled there is room again.
    assert_eq!(buyer(&world, &payment(1, 20), &pieces).now(), Answer::Counted);
}

#[test]
fn what_is_held_counts_against_the_balance() {
    let world = world();
    world.chain.borrow_mut().token_balance = 2 * AMOUNT;
    let handles: Vec<_> =
        (0..3).map(|n| buyer(&world, &payment(1, n), &[WORDS, ALL]).start()).collect();
    let answers: Vec<_> = handles.iter().map(|it| world.take(it)).collect();
    let refused = Answer::Refused(Reason::Permit2InsufficientBalance);
    assert_eq!(answers.iter().filter(|it| **it == Answer::Counted).count(), 2, "{answers:?}");
    assert_eq!(answers.iter().filter(|it| **it == refused).count(), 1, "{answers:?}");
    world.run_for(A_WHILE);
    assert_eq!(world.chain.borrow().transfers.len(), 2);
}

#[test]
fn what_is_at_stake_is_counted_by_the_first_relayer_alone() {
    let world = world();
    let (own, other) = (relayer().address(), payer(9).address());
    let of_second = Payment::by_use_among(1, 1, 900, vec![other, own]);
    let mismatch = Answer::Refused(Reason::UptoFacilitatorMismatch);
    assert_eq!(buyer(&world, &of_second, &[ALL]).now(), mismatch);
    assert_eq!((world.asked.get(), world.tables.payments()), (0, 0));
    let of_first = Payment::by_use_among(1, 2, 900, vec![own, other]);
    assert_eq!(buyer(&world, &of_first, &[ALL]).now(), Answer::Counted);
}

#[test]
fn nothing_goes_out_that_the_key_has_no_coin_to_settle() {
    let world = world();
    world.chain.borrow_mut().relayer_balance = 0;
    let buyer = buyer(&world, &payment(1, 1), &[ALL]);
    assert_eq!(buyer.now(), Answer::Unavailable);
    assert_eq!((world.asked.get(), world.tables.payments()), (0, 0));
    world.chain.borrow_mut().relayer_balance = 10_u128.pow(18);
    assert_eq!(buyer.now(), Answer::Counted);
}

#[test]
fn a_permit_of_the_tokens_own_lasts_as_long_as_the_payment() {
    let payment = payment(1, 1);
    let end = START_MS / 1_000 + 900;
    for (deadline, is_taken) in [(end, true), (end - 30, true), (end - 31, false)] {
        let mut payload = payment.payload.clone();
        payload["eip2612GasSponsoring"] = json!({
            "from": payload["permit2Authorization"]["from"],
            "asset": payload["permit2Authorization"]["permitted"]["token"],
            "spender": "0x000000000022D473030F116dDEE9F6B43aC78BA3",
            "amount": payload["permit2Authorization"]["permitted"]["amount"],
            "nonce": "0", "deadline": deadline.to_string(), "version": "1",
            "signature": payer(1).sign_digest(&[1; 32]).to_string(),
        });
        let checked = payment.terms.check(&payload, UnixSeconds(START_MS / 1_000));
        assert_eq!(checked.is_ok(), is_taken, "{deadline}: {checked:?}");
    }
}

/// A gate whose Settler has had it wait for so many renewals, and no longer.
struct Forgotten {
    renewals: Cell<u32>,
    reports: Cell<u32>,
}

impl Holder for Forgotten {
    async fn renew(&self, _: &RenewRequest) -> Result<bool, String> {
        self.renewals.set(self.renewals.get() + 1);
        Ok(self.renewals.get() < 3)
    }

    async fn report(&self, _: &DeliveryReport) -> Result<(), String> {
        Ok(())
    }

    async fn sleep(&self, _: Duration) {}

    fn log(&self, _: &str) {}
}

impl CountHolder for Forgotten {
    async fn report_use(&self, _: &UseReport) -> Result<(), String> {
        self.reports.set(self.reports.get() + 1);
        Ok(())
    }
}

#[test]
fn an_answer_ends_of_which_the_payment_is_not_held_any_more() {
    let world = world();
    let request = buyer(&world, &payment(1, 1), &[]);
    let claim = world.claim_request(&request.payment, "/model");
    let goods = Counted { claim, tariff: by_tokens().0, until: UnixSeconds(u64::MAX) };
    let holder = Forgotten { renewals: Cell::new(0), reports: Cell::new(0) };
    let reading = || Reading::Used(Quantity::whole(1));
    let endless = std::future::pending();
    let was_held = follow_counted(&holder, &goods, reading, endless).now_or_never();
    assert_eq!((was_held, holder.renewals.get(), holder.reports.get()), (Some(false), 3, 0));
    // One that has come to its end is told of.
    let holder = Forgotten { renewals: Cell::new(0), reports: Cell::new(0) };
    let ended = std::future::ready(());
    let was_held = follow_counted(&holder, &goods, reading, ended).now_or_never();
    assert_eq!((was_held, holder.reports.get()), (Some(true), 1));
}

#[test]
fn what_is_not_worth_its_fee_is_written_off() {
    // Twice 10^14 wei, the most that one transfer costs, are 4,000 units.
    let mut setup = Setup::default();
    setup.limits.coin_price = Some(20_000_000).into();
    let world = World::new(&setup);
    let (small, whole) = (payment(1, 1), payment(1, 2));
    assert_eq!(
        buyer(&world, &small, &["data: {\"usage\":{\"tokens\":5}}\n\n"]).now(),
        Answer::Counted
    );
    world.run_for(A_WHILE);
    assert_eq!(settlement(&world, &small).amount, AtomicAmount(0));
    assert_eq!(moved(&world, &small), []);
    assert!(world.log.borrow().iter().any(|line| line.contains("coin_price in NETWORKS")));
    // Nobody owes that, and nothing of it is at stake.
    assert_eq!(buyer(&world, &whole, &[ALL]).now(), Answer::Counted);
    world.run_for(A_WHILE);
    assert_eq!(moved(&world, &whole), [AMOUNT]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The Settler dies at any moments, messages get lost, gates die, and accounts
    /// are emptied and filled again: nothing is settled twice, nothing above the
    /// most, and in the end what was told is paid.
    #[test]
    fn whatever_dies_what_was_used_is_settled_once(
        crashes in vec(0_u64..90_000, 0..4),
        streams in vec((0_usize..6, 0_usize..4, any::<bool>()), 1..5),
        is_emptied in any::<bool>(),
        faults in vec(fault(), 0..12),
    ) {
        let world = world();
        world.faults.borrow_mut().extend(faults);
        let account = payer(1).address();
        let mut sold = vec![];
        for (n, (words, at, dies)) in streams.into_iter().enumerate() {
            let payment = payment(1, u8::try_from(n).unwrap());
            let mut pieces = vec![WORDS; words];
            pieces.insert(at.min(words), SOME);
            let buyer = Buyer { dies, stream_ms: 7_000, ..buyer(&world, &payment, &pieces) };
            sold.push((payment, buyer.start(), dies));
        }
        let mut crashes = crashes;
        crashes.sort_unstable();
        let mut now = 0;
        for at in crashes {
            world.run_for(at - now);
            now = at;
            world.crash();
            if is_emptied {
                world.chain.borrow_mut().balances.insert(account, 0);
            }
        }
        world.run_for(90_000);
        world.chain.borrow_mut().balances.insert(account, 1_000 * AMOUNT);
        // Whoever comes again wakes it, if no alarm does.
        world.run_for(700_000);
        for (payment, handle, dies) in sold {
            let answer = handle.borrow_mut().take();
            let moved = moved(&world, &payment);
            let goes_out = answer == Some(Answer::Counted);
            prop_assert!(moved.is_empty() || moved == [1_230], "{moved:?}");
            prop_assert!(goes_out || moved.is_empty(), "{answer:?}: {moved:?}");
            match world.tables.record(&payment.id).map(|record| record.state) {
                Some(State::Settled(it)) if moved.is_empty() => {
                    prop_assert_eq!((it.transaction.as_str(), it.amount.0), ("", 0));
                }
                Some(State::Settled(it)) => prop_assert_eq!(it.amount.0, 1_230),
                // A gate that died before it was heard of delivered nothing.
                state => prop_assert!(moved.is_empty() && (dies || !goes_out), "{state:?}"),
            }
        }
        prop_assert!(world.tables.entries().is_empty());
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::RateLimited),
        1 => Just(Fault::ErrorBefore),
        1 => Just(Fault::ErrorAfter),
    ]
}

#[test]
fn a_ticket_that_holds_nothing_frees_nothing_at_stake() {
    let world = world();
    let slow = |number| Buyer {
        stream_ms: 20_000,
        ..buyer(&world, &payment(1, number), &[WORDS, WORDS, ALL])
    };
    let first = slow(1);
    assert_eq!(first.now(), Answer::Counted);
    // Of a gate whose lease ran out before.
    let stale = first.order().settle;
    let asker = Rc::clone(&world);
    let held = world.wait(async move {
        asker
            .ask(|it| async move { it.hold(Rc::unwrap_or_clone(stale)).await })
            .await
            .unwrap()
            .unwrap()
    });
    assert_eq!(held, edge402::settlement::HoldReply::Unavailable);
    for number in 2..5 {
        assert_eq!(slow(number).now(), Answer::Counted);
    }
    assert_eq!(slow(5).now(), Answer::Unavailable, "four of one payer");
}

#[test]
fn no_goods_go_out_that_may_not_be_settled_in_this_hour() {
    let mut setup = Setup::default();
    setup.limits.failed_gas = Some(1);
    let world = World::new(&setup);
    let answer = buyer(&world, &payment(1, 1), &[ALL]).now();
    assert!(!matches!(answer, Answer::Counted), "{answer:?}");
    assert_eq!(world.deliveries.borrow().len(), 0);
}
