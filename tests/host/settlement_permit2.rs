//! Payments by Permit2 in a Settler: group commit with those by EIP-3009, and
//! what proves them although no log names them.

use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::evm::transfer::permit2::PERMIT2;
use edge402::evm::{self, Call, MULTICALL3};
use edge402::payment::Terms;
use edge402::protocol::Reason;
use edge402::settlement::{Metered, Outcome, SettleRequest, Verdict};

use serde_json::json;

use crate::sim::chain::Overrides;
use crate::sim::payment::permit2_of;
use crate::sim::time::START_MS;
use crate::sim::{AMOUNT, Answer, Handle, Payment, Setup, World, payer};

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn payment(number: u8) -> Payment {
    Payment::by_permit2(number, number, 600)
}

fn take_all(world: &Rc<World>, buyers: &[Handle<Answer>]) -> Vec<Answer> {
    buyers.iter().map(|buyer| world.take(buyer)).collect()
}

/// A purchase, and the moment at which its transaction is in the pool.
fn start_until_sent(world: &Rc<World>, payment: &Payment) -> Handle<Answer> {
    let buyer = world.start_buy(payment, "a");
    world.run_for(300);
    assert_eq!(world.chain.borrow().pool.len(), 1);
    buyer
}

/// The transaction that was delivered for.
fn delivered(answer: &Answer) -> &str {
    let Answer::Delivered(settlement) = answer else { panic!("{answer:?}") };
    &settlement.transaction
}

#[test]
fn payments_of_both_methods_share_a_transaction() {
    let world = world();
    let payments: Vec<_> = (1..=8)
        .map(
            |number| {
                if number % 2 == 0 { Payment::new(number, number, 600) } else { payment(number) }
            },
        )
        .collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let answers = take_all(&world, &buyers);
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    let chain = world.chain.borrow();
    // The first goes at once, or all wait for the same look at the chain.
    assert!(chain.count() <= 2, "{:?}", chain.shares());
    for payment in &payments {
        assert_eq!(chain.transfers_of(payment).len(), 1);
    }
    assert_eq!(chain.transfers.len(), 8);
}

#[test]
fn what_no_log_tells_apart_shares_no_transaction() {
    let world = world();
    // One payer, one price: four times by Permit2, once by EIP-3009.
    let mut payments: Vec<_> = (1..=4).map(|number| Payment::by_permit2(1, number, 600)).collect();
    payments.push(Payment::new(1, 5, 600));
    payments.extend((2..=6).map(payment));
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let answers = take_all(&world, &buyers);
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    let chain = world.chain.borrow();
    assert_eq!(chain.transfers.len(), payments.len());
    for pooled in &chain.mined {
        let of_payer = |it: &&crate::sim::chain::Transfer| {
            it.transaction == pooled.hash && it.from == payer(1).address()
        };
        assert!(chain.transfers.iter().filter(of_payer).count() <= 1, "{}", pooled.hash);
    }
}

#[test]
fn each_lack_has_its_code_and_costs_no_gas() {
    let refused = |change: &dyn Fn(&World), reason: Reason| {
        let world = world();
        change(&world);
        assert_eq!(world.buy_now(&payment(1), "a"), Answer::Refused(reason));
        let chain = world.chain.borrow();
        assert_eq!((chain.count(), chain.pool.len()), (0, 0));
    };
    let account = payer(1).address();
    refused(
        &|world| {
            world.chain.borrow_mut().allowances.insert(account, AMOUNT - 1);
        },
        Reason::Permit2AllowanceRequired,
    );
    refused(
        &|world| {
            world.chain.borrow_mut().balances.insert(account, AMOUNT - 1);
        },
        Reason::Permit2InsufficientBalance,
    );
    refused(&|world| world.chain.borrow_mut().proxy = None, Reason::Permit2ProxyNotDeployed);
    refused(
        &|world| world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0)),
        Reason::Permit2InvalidNonce,
    );
}

/// The same payment, with the payer's permit of this number beside it.
fn sponsored(mut payment: Payment, number: u8) -> Payment {
    let it = &payment.payload["permit2Authorization"];
    let signature = payer(1).sign_digest(&[number; 32]).to_string();
    payment.payload["eip2612GasSponsoring"] = json!({
        "from": it["from"], "asset": it["permitted"]["token"], "spender": PERMIT2,
        "amount": it["permitted"]["amount"], "nonce": number.to_string(), "deadline": it["deadline"],
        "signature": signature, "version": "1",
    });
    payment
}

#[test]
fn a_payment_brings_its_own_allowance() {
    let world = world();
    let account = payer(1).address();
    world.chain.borrow_mut().allowances.insert(account, 0);
    let plain = Answer::Refused(Reason::Permit2AllowanceRequired);
    assert_eq!(world.buy_now(&Payment::by_permit2(1, 1, 600), "a"), plain);
    let payment = sponsored(Payment::by_permit2(1, 2, 600), 0);
    assert!(world.buy_now(&payment, "a").is_delivery());
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    // The token has taken this permit, and what it allowed is spent.
    assert_eq!(world.buy_now(&sponsored(Payment::by_permit2(1, 3, 600), 0), "a"), plain);
    // Two at once wait for each other, and both are paid.
    let payments: Vec<_> =
        (1..=2).map(|n| sponsored(Payment::by_permit2(1, n + 3, 600), n)).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let answers = take_all(&world, &buyers);
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    assert_eq!(world.chain.borrow().failed(), 0);
}

#[test]
fn a_permit_waits_for_those_before_it_in_the_air() {
    let world = world();
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
    let of_number = |number| sponsored(Payment::by_permit2(1, number, 600), number);
    let first = start_until_sent(&world, &of_number(0));
    // Goods that go out before they are paid for are not given for a permit that
    // nobody could try.
    let metered =
        Metered { route: "/".into(), payer_max: AtomicAmount(1), route_max: AtomicAmount(1) };
    for (metered, expected) in [(None, Verdict::Valid), (Some(metered), Verdict::Unknown)] {
        let payment = of_number(1);
        let claim = world.claim_request(&payment, "a");
        let request = SettleRequest { metered, ..payment.settle_request(&claim) };
        let asking = Rc::clone(&world);
        let verify = async move {
            asking.ask(|it| async move { it.verify(&request).await }).await.unwrap().unwrap()
        };
        assert_eq!(world.wait(verify), expected);
    }
    // One that follows, and one whose permit is good for nothing.
    let buyers = [of_number(1), of_number(9)].map(|it| world.start_buy(&it, "a"));
    assert!(world.take(&first).is_delivery());
    let refused = Answer::Refused(Reason::Permit2AllowanceRequired);
    let answers = take_all(&world, &buyers);
    assert!(answers[0].is_delivery() && answers[1] == refused, "{answers:?}");
    let chain = world.chain.borrow();
    assert_eq!((chain.transfers.len(), chain.failed()), (2, 0));
}

#[test]
fn permits_in_one_batch_are_taken_in_their_order() {
    let world = world();
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
    // Something that the batch gathers behind.
    let busy = world.start_buy(&Payment::by_permit2(2, 9, 600), "a");
    let buyers = [1, 0].map(|number| {
        let amount = AMOUNT - u128::from(number);
        world.start_buy(&sponsored(Payment::by_permit2_of(amount, 1, number, 600), number), "a")
    });
    assert!(world.take(&busy).is_delivery());
    let answers = take_all(&world, &buyers);
    assert!(answers.iter().all(Answer::is_delivery), "{answers:?}");
    assert_eq!(world.chain.borrow().failed(), 0);
}

#[test]
fn an_allowance_pays_for_what_it_covers_and_not_twice() {
    let world = world();
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 2 * AMOUNT);
    let payments: Vec<_> = (1..=3).map(|number| Payment::by_permit2(1, number, 600)).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    let answers = take_all(&world, &buyers);
    let sold = answers.iter().filter(|it| it.is_delivery()).count();
    assert_eq!(sold, 2, "{answers:?}");
    assert!(answers.contains(&Answer::Refused(Reason::Permit2AllowanceRequired)), "{answers:?}");
    // What is in the air is counted against it: nothing failed on chain.
    assert_eq!(world.chain.borrow().failed(), 0);
}

#[test]
fn an_allowance_that_is_withdrawn_before_the_block_costs_the_goods() {
    let world = world();
    let buyer = start_until_sent(&world, &payment(1));
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
    let answer = world.take(&buyer);
    assert_eq!(answer, Answer::Refused(Reason::InvalidTransactionState));
    let chain = world.chain.borrow();
    assert_eq!((chain.transfers.len(), chain.failed()), (0, 1));
    drop(chain);
    assert_eq!(world.buy_now(&payment(1), "a"), Answer::Refused(Reason::Permit2AllowanceRequired));
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn a_batch_with_one_withdrawn_allowance_serves_the_others() {
    let world = world();
    let payments: Vec<_> = (1..=4).map(payment).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "a")).collect();
    world.run_for(300);
    assert!(!world.chain.borrow().pool.is_empty());
    world.chain.borrow_mut().allowances.insert(payer(2).address(), 0);
    let answers = take_all(&world, &buyers);
    for (number, answer) in (1..=4).zip(&answers) {
        assert_eq!(answer.is_delivery(), number != 2, "{number}: {answer:?}");
    }
    assert_eq!(world.chain.borrow().transfers.len(), 3);
}

#[test]
fn whoever_sends_our_payment_first_has_paid_for_it() {
    for in_a_batch in [false, true] {
        let world = world();
        let payment = payment(1);
        let buyer = start_until_sent(&world, &payment);
        // Another transfer of the same look, which is for nothing of ours.
        let other = Payment::by_permit2(1, 77, 600);
        world.chain.borrow_mut().stranger_sends(&other, world.clock.now_ms());
        let it = payment.evm();
        let call = if in_a_batch { evm::batch_call(&[&it], MULTICALL3) } else { it.call() };
        let hash = world.chain.borrow_mut().stranger_calls(call, world.clock.now_ms());
        let answer = world.take(&buyer);
        assert_eq!(delivered(&answer), hash);
    }
}

#[test]
fn what_somebody_names_besides_hides_no_payment() {
    let world = world();
    let (mine, other) = (payment(1), Payment::by_permit2(1, 2, 600));
    let buyer = start_until_sent(&world, &mine);
    let now = world.clock.now_ms();
    // Another payment of the same look, with this one's calldata behind it.
    let Call { to, data } = other.evm().call();
    let named = Call { to, data: [data, mine.evm().call().data].concat() };
    world.chain.borrow_mut().stranger_calls(named, now);
    assert_eq!(world.chain.borrow().transfers_of(&mine).len(), 0);
    // And this one's, with nonces behind it that nobody has signed.
    let Call { to, data } = mine.evm().call();
    let mut made_up = data.clone();
    made_up[4 + 2 * 32..4 + 4 * 32].fill(9);
    let named = Call { to, data: [data, made_up].concat() };
    let hash = world.chain.borrow_mut().stranger_calls(named, now);
    assert_eq!(delivered(&world.take(&buyer)), hash);
}

#[test]
fn a_transfer_of_the_same_look_pays_for_nothing_else() {
    // The payer uses the nonce up by other means, and pays once for two.
    let world = world();
    let (first, second) = (Payment::by_permit2(1, 1, 60), Payment::by_permit2(1, 2, 60));
    let buyer = start_until_sent(&world, &first);
    let now = world.clock.now_ms();
    world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0));
    let both = evm::batch_call(&[&first.evm(), &second.evm()], MULTICALL3);
    world.chain.borrow_mut().stranger_calls(both, now);
    assert_eq!(world.chain.borrow().transfers_of(&second).len(), 1);
    let answer = world.take(&buyer);
    assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
    world.run_for(1_200_000);
    assert!(!world.buy_now(&first, "a").is_delivery());
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn a_nonce_that_was_taken_back_ends_the_payment_at_once() {
    let world = world();
    let buyer = start_until_sent(&world, &payment(1));
    let now = world.clock.now_ms();
    world.chain.borrow_mut().invalidates(&permit2_of(1, 1, 0), now);
    assert_eq!(world.take(&buyer), Answer::Refused(Reason::InvalidTransactionState));
    let again = world.buy_now(&payment(1), "a");
    assert_eq!(again, Answer::Refused(Reason::Permit2InvalidNonce));
    assert!(world.deliveries.borrow().is_empty());
}

#[test]
fn a_nonce_used_by_another_spender_pays_nobody() {
    let world = world();
    let short = Payment::by_permit2(1, 1, 60);
    let buyer = start_until_sent(&world, &short);
    world.chain.borrow_mut().uses_bit(&permit2_of(1, 1, 0));
    // No log says who: it stays open, until nobody can say any more.
    let answer = world.take(&buyer);
    assert!(matches!(answer, Answer::Pending(_)), "{answer:?}");
    world.run_for(1_200_000);
    assert!(!world.buy_now(&short, "a").is_delivery());
    assert!(world.deliveries.borrow().is_empty());
    assert_eq!(world.chain.borrow().transfers.len(), 0);
}

#[test]
fn a_crash_between_sending_and_the_block_loses_nothing() {
    let world = world();
    let payment = payment(1);
    let buyer = start_until_sent(&world, &payment);
    world.crash();
    world.run_for(60_000);
    drop(buyer);
    let answer = world.buy_now(&payment, "a");
    assert!(answer.is_delivery(), "{answer:?}");
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    assert_eq!(world.chain.borrow().count(), 1);
}

#[test]
fn a_permit_that_the_seller_does_not_take_costs_no_gas() {
    let world = world();
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
    let mut payment = sponsored(Payment::by_permit2(1, 1, 600), 0);
    let Terms::Evm(terms) = payment.terms else { panic!() };
    payment.terms = Terms::Evm(terms.with_permits(false));
    let answer = world.buy_now(&payment, "a");
    assert_eq!(answer, Answer::Refused(Reason::Permit2AllowanceRequired));
    assert_eq!((world.chain.borrow().count(), world.chain.borrow().pool.len()), (0, 0));
}

#[test]
fn a_permit_that_has_ended_hides_no_payment_that_was_made() {
    let world = world();
    world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
    let mut payment = sponsored(Payment::by_permit2(1, 1, 600), 0);
    let end = (START_MS / 1_000 + 60).to_string();
    payment.payload["eip2612GasSponsoring"]["deadline"] = json!(end);
    let charge = |payment: &Payment| {
        let request = payment.settle_request(&world.claim_request(payment, "a"));
        let asking = Rc::clone(&world);
        world.wait(async move {
            asking.ask(|it| async move { it.charge(request).await }).await.unwrap().unwrap()
        })
    };
    let Outcome::Settled(settled) = charge(&payment) else { panic!() };
    world.run_for(120_000);
    let Outcome::Settled(told) = charge(&payment) else { panic!() };
    assert_eq!(told.transaction, settled.transaction);
    assert_eq!(world.chain.borrow().transfers_of(&payment).len(), 1);
    // One that bought nothing is told that its time is over.
    let mut other = sponsored(Payment::by_permit2(1, 2, 600), 1);
    other.payload["eip2612GasSponsoring"]["deadline"] = json!(end);
    let Outcome::Failed { reason, transaction: None } = charge(&other) else { panic!() };
    assert!(reason.is_too_late(), "{reason}");
}

#[test]
fn what_has_ended_is_refused_by_its_methods_code() {
    let world = world();
    world.run_for(120_000);
    let payment = Payment::by_permit2(1, 1, 60);
    let request = payment.settle_request(&world.claim_request(&payment, "a"));
    let asking = Rc::clone(&world);
    let both = async move {
        let order = request.clone();
        let verdict = asking.ask(|it| async move { it.verify(&order).await }).await;
        let outcome = asking.ask(|it| async move { it.charge(request).await }).await;
        (verdict.unwrap().unwrap(), outcome.unwrap().unwrap())
    };
    let (verdict, outcome) = world.wait(both);
    let reason = Reason::Permit2DeadlineExpired;
    assert_eq!(verdict, Verdict::Invalid(reason));
    assert_eq!(outcome, Outcome::Failed { reason, transaction: None });
}

/// One that is good three seconds from now.
fn new_payment() -> Payment {
    let mut it = permit2_of(1, 1, START_MS / 1_000 + 600);
    it.valid_after = (START_MS / 1_000 + 3).into();
    let usual = Payment::by_permit2(1, 1, 600);
    let payload = crate::permit2_support::signed_by(&payer(1), crate::sim::CHAIN, &it);
    Payment::from_parts(usual.network, usual.terms, &payload, None)
}

#[test]
fn one_that_is_new_waits_for_a_block_that_takes_it() {
    let world = world();
    let answer = world.buy_now(&new_payment(), "a");
    assert!(answer.is_delivery(), "{answer:?}");
    assert_eq!(world.chain.borrow().failed(), 0);
}

#[test]
fn one_that_is_new_and_brings_its_allowance_waits_as_well() {
    for overrides in [Overrides::Takes, Overrides::Ignores, Overrides::Refuses] {
        let world = world();
        world.chain.borrow_mut().overrides = overrides;
        world.chain.borrow_mut().allowances.insert(payer(1).address(), 0);
        let plain = Answer::Refused(Reason::Permit2AllowanceRequired);
        assert_eq!(world.buy_now(&new_payment(), "a"), plain, "{overrides:?}");
        let answer = world.buy_now(&sponsored(new_payment(), 0), "a");
        assert!(answer.is_delivery(), "{overrides:?}: {answer:?}");
        assert_eq!(world.chain.borrow().failed(), 0);
    }
}
