//! What the desk is told: counts of refusals, the state, and files of sales.

use std::rc::Rc;

use edge402::desk::export::{File, Format, read_export, write_cell};
use edge402::desk::merge::Merge;
use edge402::desk::refunds::Given;
use edge402::desk::refusals::{Next, Tally, add_counts, read_counts, read_rows};
use edge402::desk::state::DeskState;
use edge402::protocol::Reason;
use edge402::settlement::standing::{Standing, WAITING_MAX, Waiting};
use edge402::settlement::sums::{SumBy, SumsQuery};
use edge402::settlement::{Sale, SalesQuery};
use edge402::time::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::by_use::{self, A_WHILE, SOME, buyer};
use crate::sim::{Payment, Setup, World};

const DAY: u64 = 20_784;

#[test]
fn a_flood_of_refusals_costs_a_few_messages() {
    let mut tally = Tally::default();
    let (mut messages, mut counted) = (0, 0);
    let mut due: Option<u64> = None;
    // An hour with a thousand refusals a second, for each reason that there is.
    for ms in 0..3_600_000_u64 {
        if due.is_some_and(|due| due <= ms) {
            due = None;
            messages += 1;
            let message: Value = serde_json::from_str(&tally.take(ms)).unwrap();
            assert!(message.as_array().unwrap().len() <= 2);
            counted += read_counts(&message, DAY)[0].1.iter().map(|(_, count)| count).sum::<u64>();
        }
        let reason = [Reason::InsufficientFunds, Reason::EvmSignature][usize::from(ms % 7 == 0)];
        if let Next::Stay(wait) = tally.count(reason, DAY, ms) {
            assert_eq!(due, None, "one stays at a time");
            assert!(wait <= 20_000);
            due = Some(ms + wait);
        }
    }
    assert!(messages <= 65, "{messages}");
    assert!(counted >= 3_500_000, "{counted}");
}

#[test]
fn a_steady_trickle_costs_a_message_a_minute_and_a_quiet_while_ends_it() {
    let mut tally = Tally::default();
    let (mut messages, mut due) = (vec![], None);
    for ms in (1_000_000..4_600_000_u64).step_by(500) {
        if due.is_some_and(|due| due <= ms) {
            due = None;
            messages.push(ms);
            tally.take(ms);
        }
        if let Next::Stay(wait) = tally.count(Reason::EvmSignature, DAY, ms) {
            due = Some(ms + wait);
        }
    }
    assert!(messages.len() <= 65, "{}", messages.len());
    assert!(messages[1] - messages[0] < 6_000);
    let _ = tally.take(4_600_000);
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 4_700_000), Next::Stay(0));
    let _ = tally.take(4_700_000);
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 4_700_000), Next::Stay(5_000));
}

#[test]
fn one_refusal_is_sent_at_once_and_few_soon() {
    let mut tally = Tally::default();
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 1_000_000), Next::Stay(0));
    assert_eq!(tally.take(1_000_000), format!("[[{DAY},\"{}\",1]]", Reason::EvmSignature));
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 1_001_000), Next::Stay(4_000));
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 1_002_000), Next::Nothing);
    // The one that stayed has died with its request.
    assert_eq!(tally.count(Reason::EvmSignature, DAY, 1_020_000), Next::Stay(0));
    assert_eq!(tally.take(1_020_000), format!("[[{DAY},\"{}\",3]]", Reason::EvmSignature));
}

#[test]
fn what_could_not_be_sent_goes_with_the_next_and_is_bounded() {
    let mut tally = Tally::default();
    let (signature, funds) = (Reason::EvmSignature, Reason::InsufficientFunds);
    let count = |tally: &mut Tally, reason, day, ms| {
        let _ = tally.count(reason, day, ms);
    };
    let mut due = 1_000_000;
    for _ in 0..100 {
        count(&mut tally, signature, DAY, due);
        let failed = tally.take(due);
        tally.put_back(&failed, DAY);
        due += 60_000;
    }
    count(&mut tally, funds, DAY, due);
    assert_eq!(tally.take(due), format!("[[{DAY},\"{signature}\",100],[{DAY},\"{funds}\",1]]"));
    assert_eq!(tally.take(due), "[]");
    // For weeks: what is older than a day nobody would take any more.
    for day in DAY..DAY + 30 {
        count(&mut tally, signature, day, due);
        let failed = tally.take(due);
        tally.put_back(&failed, day);
    }
    let last = (DAY + 28..DAY + 30).map(|day| format!("[{day},\"{signature}\",1]"));
    assert_eq!(tally.take(due), format!("[{}]", last.collect::<Vec<_>>().join(",")));
    tally.put_back("garbage", DAY);
    assert_eq!(tally.take(due), "[]");
}

#[test]
fn nothing_becomes_a_reason_that_is_none() {
    let reason = Reason::InsufficientFunds.code();
    let message = json!([
        [DAY, reason, 2],
        [DAY, "<script>", 1],
        [DAY - 5, reason, 1],
        [DAY + 9, reason, 1],
        [DAY - 1, reason, 4],
        [DAY, reason, -1],
        [DAY],
        "x",
        null,
        [DAY, reason, 3],
    ]);
    let read = read_counts(&message, DAY);
    let funds = Reason::InsufficientFunds;
    assert_eq!(read, [(DAY, vec![(funds, 2), (funds, 3)]), (DAY - 1, vec![(funds, 4)])]);
    assert_eq!(read_counts(&json!({ "a": 1 }), DAY), []);
    let row = add_counts(&Value::Null, &read[0].1);
    let row = add_counts(&serde_json::from_str(&row).unwrap(), &[(funds, u64::MAX)]);
    let rows = read_rows(&json!([[DAY, serde_json::from_str::<Value>(&row).unwrap()]]));
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].reason.as_str(), rows[0].count), (reason, u64::MAX));
}

#[test]
fn no_cell_is_a_formula_and_none_breaks_its_row() {
    for (cell, written) in [
        ("", ""),
        ("/premium/*", "/premium/*"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@A", "'@A"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "\"'\r'=1\""),
        ("a,b", "\"a,b\""),
        ("=\"a\"", "\"'=\"\"a\"\"\""),
        ("a\nb", "\"a\nb\""),
        ("1-1", "1-1"),
        // Where `;` or a tab parts cells, one begins behind it.
        ("/a/x;=HYPERLINK(1)", "/a/x;'=HYPERLINK(1)"),
        ("/a;;@A", "/a;;'@A"),
        ("/a; +1", "/a;' +1"),
        ("/a;\"=1\"", "\"/a;'\"\"=1\"\"\""),
        ("a\t-1", "a\t'-1"),
        ("a\n=1", "\"a\n'=1\""),
        ("\"=1", "\"'\"\"=1\""),
        ("/a;b=1", "/a;b=1"),
    ] {
        let mut text = String::new();
        write_cell(cell, &mut text);
        assert_eq!(text, written);
    }
}

#[test]
fn no_path_begins_a_cell_where_semicolons_part_them() {
    let mut bought = sale(1, "p");
    bought.path = Some("/a/x;=HYPERLINK(1)".into());
    let mut merge = Merge::new(1);
    merge.wanted(&all_sales());
    merge.add(0, vec![bought]);
    let text = File::new(Format::Csv).write(&mut merge, &Given::default());
    // It has a cell for each column.
    assert_eq!(Format::Csv.cut().matches(',').count(), text.matches(',').count());
    assert!(text.contains(",/a/x%3B=HYPERLINK(1),"), "{text}");
    assert!(!text.contains(';'), "{text}");
}

fn all_sales() -> SalesQuery {
    SalesQuery { limit: u32::MAX, ..SalesQuery::default() }
}

fn sale(time: u64, payment: &str) -> Sale {
    let text = json!({
        "time": time, "amount": "1", "payer": "p", "transaction": "t", "payment": payment,
    });
    edge402::json::from_text(&text.to_string()).unwrap()
}

proptest! {
    #[test]
    fn a_file_holds_each_sale_once_in_order_and_few_are_in_memory(
        times in prop::collection::vec((0_u64..50, 0_usize..7), 0..400),
        settlers in 1_usize..7,
    ) {
        let mut all: Vec<(usize, Sale)> = times.iter().enumerate()
            .map(|(n, (time, at))| (at % settlers, sale(*time, &format!("{n}")))).collect();
        all.sort_by_key(|(_, it)| std::cmp::Reverse(it.place()));
        let (mut merge, mut file) = (Merge::new(settlers), File::new(Format::Json));
        let mut text = Format::Json.head();
        let mut asked = 0;
        loop {
            for (number, query) in merge.wanted(&all_sales()) {
                prop_assert!(query.limit as usize * settlers <= 7_000);
                let own = all.iter().filter(|(at, _)| *at == number).map(|(_, it)| it);
                let rest = own.filter(|it| query.before.as_ref().is_none_or(|at| it.place() < *at));
                merge.add(number, rest.take(query.limit as usize).cloned().collect());
                asked += 1;
            }
            prop_assert!(asked < 100);
            text.push_str(&file.write(&mut merge, &Given::default()));
            if merge.is_over() {
                break;
            }
        }
        text.push_str(Format::Json.tail());
        let read: Vec<Sale> = edge402::json::from_text(&text).unwrap();
        prop_assert_eq!(read, all.into_iter().map(|(_, it)| it).collect::<Vec<_>>());
    }
}

#[test]
fn many_sales_are_asked_for_page_by_page() {
    let (mut merge, mut file) = (Merge::new(1), File::new(Format::Csv));
    let mut left: Vec<Sale> = (0..4_500).map(|n| sale(9_000 - n, "x")).collect();
    let mut rows = 0;
    while !merge.is_over() {
        let wanted = merge.wanted(&all_sales());
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].1.before.is_none(), rows == 0);
        let rest = left.split_off(left.len().min(wanted[0].1.limit as usize));
        merge.add(0, std::mem::replace(&mut left, rest));
        rows += file.write(&mut merge, &Given::default()).lines().count();
    }
    assert_eq!(rows, 4_500);
}

#[test]
fn a_thousand_settlers_are_asked_for_few_sales_each() {
    let mut merge = Merge::new(1_000);
    let cursor = sale(9_001, "cursor").place();
    let asked = SalesQuery { limit: 101, before: Some(cursor.clone()), ..SalesQuery::default() };
    assert!(merge.wanted(&asked).iter().all(|(_, query)| query.before == Some(cursor.clone())));
    let wanted = merge.wanted(&SalesQuery { limit: 101, ..SalesQuery::default() });
    assert_eq!(wanted.len(), 1_000);
    assert!(wanted.iter().all(|(_, query)| query.limit == 4));
    // One of them has sold something, and is asked for as much as is wanted then.
    let sales = |from: u64, count: u64| (0..count).map(|n| sale(from - n, "x")).collect();
    for (number, _) in wanted {
        assert_eq!(merge.take(), None, "all have to say something");
        merge.add(number, if number == 700 { sales(9_000, 4) } else { vec![] });
    }
    assert_eq!(std::iter::from_fn(|| merge.take()).count(), 4);
    let wanted = merge.wanted(&SalesQuery { limit: 101, ..SalesQuery::default() });
    assert_eq!(wanted.len(), 1);
    let (number, query) = &wanted[0];
    assert_eq!((*number, query.limit), (700, 101));
    assert_eq!(query.before.as_ref().map(|it| it.time), Some(UnixSeconds(8_997)));
    merge.add(700, sales(8_996, 50));
    assert_eq!(std::iter::from_fn(|| merge.take()).count(), 50);
    assert!(merge.is_over());
}

#[test]
fn what_can_not_be_exported_is_refused_with_a_sentence() {
    for (query, part) in [
        ("?format=xlsx", "csv or json"),
        ("?network=mars", "CAIP-2"),
        ("?from=6&to=5", "ends before it starts"),
        ("?limit=5", "no parameter \"limit\""),
    ] {
        assert!(read_export(query).unwrap_err().contains(part), "{query}");
    }
}

fn standing(world: &Rc<World>) -> Standing {
    let settler = world.settler();
    world.wait(async move { settler.standing().await.unwrap() })
}

#[test]
fn sums_are_told_when_all_sales_are_in_them() {
    let world = World::new(&Setup::default());
    let asked = |by, folds| {
        world.tables.folds.set(folds);
        let query = SumsQuery { from: 0, to: 100_000, by, before: None, limit: 100 };
        let is_behind = world.settler().sums(&query).unwrap().is_behind;
        (is_behind, world.tables.folds.get())
    };
    assert_eq!(asked(SumBy::Day, 0), (false, 0));
    assert_eq!(asked(SumBy::Day, 3), (false, 0));
    // Four times a thousand sales are as much as one question does.
    assert_eq!(asked(SumBy::Network, 9), (true, 5));
    assert_eq!(asked(SumBy::Payer, 9), (false, 9), "they are summed up by themselves");
}

#[test]
fn fifty_that_wait_are_shown_and_that_there_are_more_is_said() {
    let world = World::new(&Setup::default());
    world.chain.borrow_mut().forgets = usize::MAX;
    for (count, is_cut) in [(50, false), (51, true)] {
        let first = if is_cut { 51 } else { 1 };
        let _buyers: Vec<_> =
            (first..=count).map(|n| world.start_buy(&Payment::new(n, n, 600), "/r/a")).collect();
        world.run_for(20_000);
        let standing = standing(&world);
        assert_eq!((standing.waiting.len(), standing.is_cut), (50, is_cut));
    }
}

#[test]
fn what_was_sent_is_stuck_after_a_while() {
    let world = World::new(&Setup::default());
    assert_eq!(standing(&world).waiting, []);
    let payment = Payment::new(1, 1, 600);
    world.chain.borrow_mut().forgets = usize::MAX;
    let _buyer = world.start_buy(&payment, "/r/a");
    world.run_for(10_000);
    for (ms, state) in [(1_000, "sent"), (150_000, "stuck")] {
        world.run_for(ms);
        let standing = standing(&world);
        let [waiting] = <[Waiting; 1]>::try_from(standing.waiting).unwrap();
        assert_eq!((waiting.state.as_str(), &waiting.payment), (state, &payment.id));
        assert_eq!(waiting.payer, Some(crate::sim::payer(1).address().to_string()));
        assert!(waiting.transaction.unwrap().starts_with("0x"));
        assert!(!standing.is_cut);
    }
}

#[test]
fn what_is_sold_by_use_is_told_of_until_it_is_paid() {
    let world = by_use::world();
    let payment = by_use::payment(1, 1);
    let _ = buyer(&world, &payment, &[SOME, SOME]).now();
    let [waiting] = <[Waiting; 1]>::try_from(standing(&world).waiting).unwrap();
    assert_eq!((waiting.state.as_str(), waiting.transaction), ("delivering", None));
    world.run_for(A_WHILE);
    let standing = standing(&world);
    assert_eq!(standing.waiting, []);
    assert!(standing.sales_left.unwrap() > 0);
}

#[test]
fn the_longest_waiting_stand_first_and_only_so_many() {
    let waiting = |since| Waiting {
        payment: format!("{since}"),
        payer: None,
        since: UnixSeconds(since),
        transaction: None,
        state: "sent".into(),
        reason: "r".into(),
        remedy: "m".into(),
    };
    let of = |from: u64| Standing {
        balance: Some("5".into()),
        sales_left: None,
        waiting: (from..from + WAITING_MAX as u64).map(waiting).collect(),
        is_cut: false,
        problems: vec!["p".into()],
    };
    let network = "eip155:8453".parse().unwrap();
    let mut state = DeskState::default();
    state.add(network, Some("0xkey"), of(100));
    state.add(network, None, of(0));
    let all: Value = serde_json::from_str(&state.answer()).unwrap();
    assert_eq!(all["waiting"].as_array().unwrap().len(), 2 * WAITING_MAX);
    assert_eq!((&all["waiting"][0]["payment"], &all["cut"]), (&json!("0"), &json!(false)));
    assert_eq!(all["problems"], json!(["p"]), "of a key that signs no more there is none");
    let key = json!([{
        "network": "eip155:8453", "role": "relayer", "address": "0xkey", "balance": "5",
        "decimals": 18, "symbol": "ETH", "sales_left": null,
    }]);
    assert_eq!(all["keys"], key);
    let mut state = DeskState::default();
    for n in 0..5 {
        state.add(network, None, of(n));
    }
    let all: Value = serde_json::from_str(&state.answer()).unwrap();
    assert_eq!((all["waiting"].as_array().unwrap().len(), &all["cut"]), (200, &json!(true)));
}
