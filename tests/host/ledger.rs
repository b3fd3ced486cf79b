//! A sale is in the ledger if and only if its payment has settled, once.

use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::config::{self, Config};
use edge402::desk;
use edge402::settlement::sales::RefusalLine;
use edge402::settlement::{
    ClaimReply, Outcome, PaymentRecord, Sale, SalesQuery, SettleRequest, State, Store as _,
};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::gate_support::{DEVNET, FEE_PAYER, PAY_TO, SOLANA_PAY_TO, routes, settings};
use crate::sim::tables::{KEEP, SimStore};
use crate::sim::{AMOUNT, Answer, Payment, Setup, World, domain, payer, relayer};

/// Long enough for every transaction to land or to be given up.
const A_WHILE: u64 = 120_000;

fn world() -> Rc<World> {
    World::new(&Setup::default())
}

fn payment(number: u8) -> Payment {
    Payment::new(number, number, 600)
}

fn all() -> SalesQuery {
    SalesQuery { limit: 1_000, ..SalesQuery::default() }
}

fn sales(world: &Rc<World>, query: &SalesQuery) -> Vec<Sale> {
    world.settler().sales(query).unwrap()
}

/// The ledger has what has settled, and the chain has paid for each.
fn assert_is_so(world: &Rc<World>, payments: &[Payment]) {
    let mut rows: Vec<_> = sales(world, &all()).into_iter().map(|it| it.payment).collect();
    let is_settled = |it: &&Payment| {
        matches!(world.tables.record(&it.id).map(|it| it.state), Some(State::Settled(_)))
    };
    let mut settled: Vec<_> = payments.iter().filter(is_settled).map(|it| it.id.clone()).collect();
    let is_paid = |it: &&Payment| world.chain.borrow().transfers_of(it).len() == 1;
    let mut paid: Vec<_> = payments.iter().filter(is_paid).map(|it| it.id.clone()).collect();
    for list in [&mut rows, &mut settled, &mut paid] {
        list.sort();
    }
    assert_eq!(rows, settled);
    assert_eq!(rows, paid);
}

#[test]
fn a_sale_is_one_row_whatever_comes_after() {
    let world = world();
    let payment = payment(1);
    assert!(world.buy_now(&payment, "/r/a").is_delivery());
    world.run_for(A_WHILE);
    let [sale] = <[Sale; 1]>::try_from(sales(&world, &all())).unwrap();
    let State::Settled(settlement) = world.tables.record(&payment.id).unwrap().state else {
        panic!()
    };
    let spent = SimStore(Rc::clone(&world.tables)).spent_on(settlement.settled_at.day()).unwrap();
    assert!(spent > 0);
    let expected = Sale {
        time: settlement.settled_at,
        route: Some("/r/*".into()),
        path: Some("/r/a".into()),
        method: Some("GET".into()),
        amount: AtomicAmount(AMOUNT),
        asset: Some(domain().verifying_contract.to_string()),
        network: Some(payment.network),
        payer: payer(1).address().to_string(),
        transaction: settlement.transaction,
        payment: payment.id.clone(),
        way: Some("gate".into()),
        x402_version: Some(2),
        fee: Some(spent.to_string()),
        delivered: Some(true),
        redeliveries: 0,
    };
    assert_eq!(sale, expected);
    assert!(world.buy_now(&payment, "/r/a").is_delivery());
    assert_eq!(sales(&world, &all()), [Sale { redeliveries: 1, ..expected }]);
}

/// The lines of the log that are about sales.
fn lines(world: &World) -> Vec<Value> {
    let log = world.log.borrow();
    let lines = log.iter().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &Value| line["event.name"] == "edge402.sale").collect()
}

#[test]
fn a_sale_is_one_line_of_the_log() {
    let world = world();
    let payments: Vec<_> = (0..3).map(payment).collect();
    for payment in &payments {
        assert!(world.buy_now(payment, "/r/a").is_delivery());
        assert!(world.buy_now(payment, "/r/a").is_delivery());
    }
    world.crash();
    world.settler();
    world.run_for(A_WHILE);
    let lines = lines(&world);
    assert_eq!(lines.len(), 3);
    let sale = sales(&world, &SalesQuery { payer: Some(payer(0).address().to_string()), ..all() });
    let expected = json!({
        "event.name": "edge402.sale", "http.route": "/r/*", "url.path": "/r/a",
        "http.request.method": "GET", "edge402.amount": "10000", "edge402.asset": sale[0].asset,
        "edge402.network": "eip155:84532", "edge402.payer": sale[0].payer,
        "edge402.transaction": sale[0].transaction, "edge402.payment": sale[0].payment,
        "edge402.way": "gate", "edge402.x402_version": 2, "edge402.fee": sale[0].fee,
    });
    assert_eq!(lines[0], expected);
}

#[test]
fn a_refusal_is_a_line_that_no_path_can_break() {
    let line = RefusalLine {
        reason: "insufficient_funds",
        route: Some("/r/*"),
        path: Some("/r/\"\n{"),
        method: Some("GET"),
        client: None,
    };
    let read: Value = serde_json::from_str(&line.text()).unwrap();
    let expected = json!({
        "event.name": "edge402.refusal", "error.type": "insufficient_funds",
        "http.route": "/r/*", "url.path": "/r/\"\n{", "http.request.method": "GET",
        "edge402.way": "gate",
    });
    assert_eq!(read, expected);
    assert_eq!(line.text().lines().count(), 1);
}

#[test]
fn payments_that_share_a_transaction_share_its_fee() {
    let world = world();
    let payments: Vec<_> = (0..9).map(payment).collect();
    let buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "/r/a")).collect();
    for buyer in &buyers {
        assert!(world.take(buyer).is_delivery());
    }
    let sales = sales(&world, &all());
    assert_is_so(&world, &payments);
    let spent = SimStore(Rc::clone(&world.tables)).spent_on(sales[0].time.day()).unwrap();
    let fees: u128 = sales.iter().map(|it| it.fee.as_ref().unwrap().parse::<u128>().unwrap()).sum();
    // Each share is rounded up.
    assert!((spent..spent + 9).contains(&fees), "{fees} of {spent}");
}

#[test]
fn a_crash_anywhere_neither_loses_a_row_nor_adds_one() {
    for ms in (0..8_000).step_by(125) {
        let world = world();
        let payments: Vec<_> = (0..3).map(payment).collect();
        let _buyers: Vec<_> = payments.iter().map(|it| world.start_buy(it, "/r/a")).collect();
        world.run_for(ms);
        assert_eq!(
            sales(&world, &all()).len(),
            payments
                .iter()
                .filter(|it| matches!(
                    world.tables.record(&it.id).map(|it| it.state),
                    Some(State::Settled(_))
                ))
                .count(),
            "{ms}"
        );
        world.crash();
        world.settler();
        world.run_for(A_WHILE);
        assert_is_so(&world, &payments);
    }
}

#[test]
fn what_is_refused_or_fails_is_no_sale() {
    let world = world();
    let payment = payment(1);
    world.chain.borrow_mut().cancel(&payment);
    assert!(!world.buy_now(&payment, "/r/a").is_delivery());
    world.run_for(A_WHILE);
    assert_eq!(sales(&world, &all()), []);
}

#[test]
fn a_facilitators_client_is_named_and_delivers_by_itself() {
    let world = world();
    let payment = payment(1);
    let claim = world.claim_request(&payment, "/r/a");
    let request = SettleRequest {
        account: Some("acme".into()),
        sold: Some(edge402::settlement::Sold::elsewhere(1)),
        once: true,
        ..payment.settle_request(&claim)
    };
    let settler = world.settler();
    world.wait(async move { settler.charge(request).await.unwrap() });
    let [sale] = <[Sale; 1]>::try_from(sales(&world, &all())).unwrap();
    assert_eq!(sale.way.as_deref(), Some("facilitator/acme"));
    assert_eq!((sale.delivered, sale.x402_version), (None, Some(1)));
    assert_eq!((sale.route, sale.path, sale.method), (None, None, None));
}

#[test]
fn a_gate_of_an_earlier_version_says_nothing_of_what_it_sells() {
    let world = world();
    let payment = payment(1);
    let claim = world.claim_request(&payment, "/r/a");
    let mut message: Value =
        serde_json::from_str(&edge402::json::to_text(&payment.settle_request(&claim))).unwrap();
    assert!(message.as_object_mut().unwrap().remove("sold").is_some());
    let request: SettleRequest = edge402::json::from_text(&message.to_string()).unwrap();
    assert!(matches!(world.claim(&claim), edge402::settlement::ClaimReply::Fresh));
    let settler = world.settler();
    world.wait(async move { settler.settle(request).await.unwrap() });
    let [sale] = <[Sale; 1]>::try_from(sales(&world, &all())).unwrap();
    assert_eq!((sale.route, sale.way.as_deref()), (None, Some("gate")));
    assert_eq!(sale.amount, AtomicAmount(AMOUNT));
}

#[test]
fn what_release_0_1_0_has_settled_reads_as_a_sale() {
    let rows: Value = serde_json::from_str(include_str!("../data/rows-0.1.0.json")).unwrap();
    let mut settled = 0;
    for kind in ["evm", "solana", "facilitator"] {
        for text in rows[kind]["payments"].as_object().unwrap().values() {
            let record: PaymentRecord = edge402::json::from_text(text.as_str().unwrap()).unwrap();
            let State::Settled(settlement) = &record.state else {
                assert_eq!(record.sale(), None);
                continue;
            };
            let sale = record.sale().unwrap();
            assert_eq!(sale.transaction, settlement.transaction);
            assert_eq!((sale.way, sale.route, sale.fee), (None, None, None));
            settled += 1;
        }
    }
    assert!(settled > 0);
}

#[test]
fn a_row_that_an_earlier_version_has_touched_says_what_it_said() {
    let world = world();
    let payment = payment(1);
    assert!(world.buy_now(&payment, "/r/a").is_delivery());
    let before = sales(&world, &all());
    let record = PaymentRecord { sale: None, ..world.tables.record(&payment.id).unwrap() };
    SimStore(Rc::clone(&world.tables)).put_payment(&record).unwrap();
    assert_eq!(sales(&world, &all()), before);
}

#[test]
fn sales_are_kept_for_as_long_as_the_seller_says() {
    let world = world();
    assert!(world.buy_now(&payment(1), "/r/a").is_delivery());
    for (ms, left) in [((KEEP - 3_600) * 1_000, 1), (2 * 3_600_000, 0)] {
        world.run_for(ms);
        world.settler().wake().unwrap();
        assert_eq!(sales(&world, &all()).len(), left);
    }
}

#[test]
fn sales_are_forgotten_by_themselves_however_many_there_are() {
    let world = world();
    let payments: Vec<_> = (0..8).map(payment).collect();
    for payment in &payments {
        assert!(world.buy_now(payment, "/r/a").is_delivery());
    }
    world.run_for((KEEP - 3_600) * 1_000);
    assert_eq!(sales(&world, &all()).len(), 8);
    // Nobody asks for anything any more; a few go at a time.
    world.run_for((3_600 + 300) * 1_000);
    assert_eq!(sales(&world, &all()), []);
    world.run_for(10 * KEEP * 1_000);
    assert_eq!(world.alarm.at.get(), None, "and then it sleeps");
}

/// Reads page after page, as a program does.
fn read_all(worlds: &[Rc<World>], filter: &str) -> Vec<Sale> {
    let mut read: Vec<Sale> = vec![];
    let mut cursor = String::new();
    loop {
        let asked = desk::read_query(&format!("?limit=4{filter}{cursor}")).unwrap();
        let said = worlds.iter().map(|world| sales(world, &desk::for_settlers(&asked))).collect();
        let (page, next) = desk::page_of(&asked, said);
        let page = desk::page(&page, next.as_ref(), &desk::refunds::Given::default());
        let page: Value = serde_json::from_str(&page).unwrap();
        let of_page = page["sales"].as_array().unwrap();
        assert!(of_page.len() <= 4);
        read.extend(of_page.iter().map(|it| edge402::json::FromJson::from_json(it).unwrap()));
        let Some(next) = page["next"].as_str() else {
            assert!(page["next"].is_null());
            return read;
        };
        assert_eq!(of_page.len(), 4);
        cursor = format!("&cursor={next}");
    }
}

#[test]
fn pages_hold_each_sale_of_all_settlers_once_the_newest_first() {
    let worlds = [world(), world(), world()];
    for (place, world) in worlds.iter().take(2).enumerate() {
        for number in 0..7 {
            let number = number + 10 * u8::try_from(place).unwrap();
            // Some in the same second.
            let buyers = [number, number + 100]
                .map(|number| world.start_buy(&payment(number), &format!("/r/{}", number % 2)));
            for buyer in &buyers {
                assert!(world.take(buyer).is_delivery());
            }
        }
    }
    let read = read_all(&worlds, "");
    assert_eq!(read.len(), 28);
    assert!(read.windows(2).all(|pair| pair[0].place() > pair[1].place()));
    let odd = read_all(&worlds[..1], &format!("&payer={}", payer(3).address()));
    assert_eq!(odd.len(), 1);
    let lower = format!("&payer={}", payer(3).address().to_string().to_lowercase());
    assert_eq!(read_all(&worlds, &lower), odd);
    let transaction = format!("&transaction={}", read[5].transaction);
    assert!(read_all(&worlds, &transaction).contains(&read[5]));
    assert_eq!(read_all(&worlds, "&route=%2Fr%2F*").len(), 28);
    assert_eq!(read_all(&worlds, "&route=/other").len(), 0);
    let (from, to) = (read[20].time, read[9].time);
    let between: Vec<_> =
        read.iter().filter(|it| it.time >= from && it.time < to).cloned().collect();
    assert!(!between.is_empty());
    assert_eq!(read_all(&worlds, &format!("&from={from}&to={to}")), between);
}

#[test]
fn what_can_not_be_asked_is_refused_with_a_sentence() {
    let time = |query| desk::read_query(query).map(|it| (it.from, it.to));
    assert_eq!(time("?from=5&to=5"), Ok((Some(UnixSeconds(5)), Some(UnixSeconds(5)))));
    assert_eq!(time(""), Ok((None, None)));
    for (query, part) in [
        ("?from=6&to=5", "ends before it starts"),
        ("?from=yesterday", "from must be a time"),
        ("?from=%2B5", "from must be a time"),
        ("?to=-1", "to must be a time"),
        ("?to=99999999999999999999", "to must be a time"),
        ("?limit=0", "limit must be a number from 1 to 500"),
        ("?limit=501", "limit must be"),
        ("?page=2", "no parameter \"page\""),
        ("?from=1&from=2", "from stands there twice"),
        ("?route=", "route is empty"),
        ("?route=%zz", "route can't be read"),
        ("?cursor=abc", "cursor is none"),
        ("?cursor=00000000000000000000000000000000", "cursor is none"),
    ] {
        let error = desk::read_query(query).unwrap_err();
        assert!(error.contains(part), "{query}: {error}");
    }
}

/// A shop with keys, of which one network has a facilitator or has none.
fn shop(has_facilitator: bool) -> Config {
    let way = |node: &str| {
        if has_facilitator {
            ("facilitator", json!("https://f.example"))
        } else {
            ("rpc", json!([node]))
        }
    };
    let network = |node: &str, pay_to: &str| {
        let (name, value) = way(node);
        json!({ name: value, "pay_to": pay_to })
    };
    let mut settings = settings("assets", routes());
    settings.networks = Some(json!({
        "eip155:42161": { "rpc": ["https://arb.example"], "pay_to": PAY_TO },
        "eip155:84532": network("https://base.example", PAY_TO),
        DEVNET: network("https://sol.example", SOLANA_PAY_TO),
    }));
    settings.former_signers = Some(json!([payer(9).address().to_string()]));
    let facts = edge402::facilitator_client::RemoteFacts {
        fee_payer: SOLANA_PAY_TO.parse().ok(),
        version: edge402::protocol::Version::V2,
    };
    settings.remote.insert(DEVNET.parse().unwrap(), facts);
    config::read(&settings).config.unwrap()
}

#[test]
fn a_network_that_was_moved_is_asked_for_what_was_sold_before() {
    let of_shop = |moved| {
        let all = desk::settlers(&shop(moved), None).into_iter();
        all.map(|(network, name)| {
            assert!(name.starts_with(&format!("{network}/")));
            name
        })
        .collect::<Vec<_>>()
    };
    let names = of_shop(false);
    assert_eq!(names, of_shop(true));
    let of = |network: &str| names.iter().filter(|it| it.starts_with(network)).count();
    assert_eq!((of("eip155:42161/"), of("eip155:84532/"), of(DEVNET)), (18, 18, 18));
    for key in [relayer().address(), payer(9).address()] {
        assert!(names.contains(&format!("eip155:84532/{key}")));
    }
    assert!(names.contains(&format!("{DEVNET}/{FEE_PAYER}")));
    assert!(names.contains(&format!("{DEVNET}/facilitator/f")));
    assert!(!names.contains(&format!("{DEVNET}/{SOLANA_PAY_TO}")), "somebody else's key");
}

#[test]
fn refusals_by_the_hundred_are_some_lines_a_minute() {
    let world = world();
    world.chain.borrow_mut().token_balance = 0;
    let refuse = |count: u8, first: u8| {
        let payments = (first..first + count).map(|it| Payment::new(it, it, 6_000));
        let buyers: Vec<_> = payments.map(|it| world.start_buy(&it, "/r/a")).collect();
        for buyer in &buyers {
            assert!(matches!(world.take(buyer), Answer::Refused(_)));
        }
    };
    refuse(200, 0);
    let count = |part: &str| world.log.borrow().iter().filter(|it| it.contains(part)).count();
    assert!((60..=120).contains(&count("insufficient_funds")), "{}", count("insufficient_funds"));
    world.run_for(60_000);
    refuse(1, 200);
    let told: Vec<_> =
        world.log.borrow().iter().filter(|it| it.contains("left out")).cloned().collect();
    let left_out: usize =
        told.iter().map(|it| it.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(left_out + count("insufficient_funds"), 201, "{told:?}");
}

#[test]
fn a_sale_that_the_disk_does_not_take_at_once_is_logged_when_it_does() {
    let world = world();
    let payment = payment(1);
    let claim = world.claim_request(&payment, "/r/a");
    assert_eq!(world.claim(&claim), ClaimReply::Fresh);
    let settled = world.start_settle(&payment, &claim);
    // Its end counts, and is about to be written.
    for _ in 0..A_WHILE {
        if world.tables.is_ahead() {
            break;
        }
        world.run_for(1);
    }
    assert!(matches!(world.take(&settled), Some(Outcome::Settled(_))));
    assert!(world.tables.is_ahead());
    world.tables.is_broken.set(true);
    world.run_for(40_000);
    let logged = || world.log.borrow().iter().filter(|it| it.contains("edge402.sale")).count();
    assert_eq!((logged(), world.clock.points.borrow().len()), (0, 0), "it is not written");
    world.tables.is_broken.set(false);
    world.run_for(A_WHILE);
    assert_eq!((logged(), world.clock.points.borrow().len()), (1, 1));
    assert_is_so(&world, &[payment]);
}

/// So many records of sales as release 0.1.0 has written them: without rows.
fn old_records(count: usize) -> std::collections::BTreeMap<String, String> {
    let rows: Value = serde_json::from_str(include_str!("../data/rows-0.1.0.json")).unwrap();
    let records = rows["evm"]["payments"].as_object().unwrap().values();
    let is_settled = |it: &&Value| it.as_str().unwrap().contains("\"Settled\"");
    let settled: Value =
        serde_json::from_str(records.into_iter().find(is_settled).unwrap().as_str().unwrap())
            .unwrap();
    (0..count)
        .map(|number| {
            let mut record = settled.clone();
            let id = format!("{}/{number:04}", settled["payment"].as_str().unwrap());
            record["payment"] = json!(id);
            // When the simulation begins.
            record["state"]["Settled"]["settled_at"] = json!(1_700_000_000_u64);
            record["expires_at"] = json!(1_800_000_000_u64);
            (id, record.to_string())
        })
        .collect()
}

#[test]
fn what_release_0_1_0_has_settled_is_entered_bit_by_bit() {
    let world = world();
    world.tables.load([old_records(250), std::collections::BTreeMap::new()]);
    assert_eq!(sales(&world, &all()).len(), 100);
    // A life begins where the last one ended.
    world.crash();
    assert_eq!(sales(&world, &all()).len(), 200);
    world.run_for(31_000);
    assert_eq!(sales(&world, &all()).len(), 250);
    let before = sales(&world, &all());
    world.run_for(300_000);
    assert_eq!(sales(&world, &all()), before);
}
