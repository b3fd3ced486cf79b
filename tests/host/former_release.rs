//! Rows that release 0.1.0 wrote are read, and what they say was bought is had.
//! Rows are written as they were in November 2026, so that an earlier version
//! can take a later one's place.

use std::collections::BTreeMap;
use std::rc::Rc;

use edge402::config::{self, Loaded};
use edge402::gate::{BoundBody, Decision};
use edge402::purchase::Order;
use edge402::purchase::order::Request as Asked;
use edge402::settlement::journal::Sent;
use edge402::settlement::{ClaimReply, Entry, PaymentRecord, State};
use edge402::time::UnixSeconds;
use serde_json::Value;

use crate::gate_support::{Request, settings};
use crate::sim::{Setup, World, time};

fn rows() -> Value {
    serde_json::from_str(include_str!("../data/rows-0.1.0.json")).unwrap()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn shop(rows: &Value) -> Loaded {
    let mut settings = settings("https://own.example", rows["settings"]["routes"].clone());
    settings.networks = Some(rows["settings"]["networks"].clone());
    config::read(&settings)
}

/// The order that a purchase comes to when it is sent again today.
fn order(loaded: &Loaded, bought: &Value, ticket: u64) -> Order {
    let method = bought["method"].as_str().unwrap();
    let target = bought["target"].as_str().unwrap();
    let request = Request::new(method, target).paying(&bought["header"]);
    let Decision::Purchase(purchase) = request.decide(loaded) else { panic!("{bought}") };
    let offer = &purchase.sale.route.offers[purchase.offer];
    let body = BoundBody::none();
    let asked = Asked { body, address: None, ticket, remote: None, has_facilitator: false };
    Order::new(&purchase, offer, asked, UnixSeconds(time::START_MS / 1_000))
}

fn on_disk(rows: &Value, kind: &str) -> Rc<World> {
    let world = World::new(&Setup::default());
    // The chain here is an EVM chain.
    let journal = if kind == "evm" { texts(&rows[kind]["journal"]) } else { BTreeMap::new() };
    world.tables.load([texts(&rows[kind]["payments"]), journal]);
    world
}

#[test]
fn all_rows_are_read() {
    let rows = rows();
    let mut states = std::collections::BTreeSet::new();
    for kind in ["evm", "solana", "facilitator"] {
        for (id, text) in texts(&rows[kind]["payments"]) {
            let record: PaymentRecord = edge402::json::from_text(&text).unwrap();
            assert_eq!(record.payment, id);
            states.insert(match record.state {
                State::Claimed { .. } => "claimed",
                State::Submitted { .. } => "submitted",
                State::Settled(_) => "settled",
                State::Failed { .. } => "failed",
                State::Metered { .. } | State::Owed { .. } => panic!("not known then"),
            });
        }
        let entries = texts(&rows[kind]["journal"]);
        assert_eq!(entries.len(), 1, "{kind}");
        for (id, text) in entries {
            let entry: Entry = edge402::json::from_text(&text).unwrap();
            assert_eq!(entry.id, id);
            assert_eq!(id.starts_with("remote/"), kind == "facilitator");
            assert_eq!(
                match entry.sent {
                    Sent::Evm(_) => "evm",
                    Sent::Solana(_) => "solana",
                    Sent::Facilitator(_) => "facilitator",
                },
                kind
            );
        }
    }
    assert_eq!(states.len(), 4);
}

#[test]
fn rows_are_written_as_they_were() {
    let rows: Value = serde_json::from_str(include_str!("../data/rows-2026-11.json")).unwrap();
    let texts = |what: &str| {
        let texts: Vec<String> = serde_json::from_value(rows[what].clone()).unwrap();
        texts.into_iter()
    };
    for text in texts("journal") {
        let entry: Entry = edge402::json::from_text(&text).unwrap();
        let mut was: Value = serde_json::from_str(&text).unwrap();
        let mut is: Value = serde_json::from_str(&edge402::json::to_text(&entry)).unwrap();
        if let Sent::Solana(_) = entry.sent {
            // On Solana nobody has ever read it.
            was["seen_block"] = 0.into();
            is["seen_block"] = 0.into();
        }
        assert_eq!(is, was);
    }
    for text in texts("payments") {
        let record: PaymentRecord = edge402::json::from_text(&text).unwrap();
        assert_eq!(edge402::json::to_text(&record), text);
    }
}

#[test]
fn todays_gate_names_what_was_bought_as_it_was_named_then() {
    let rows = rows();
    let shop = shop(&rows);
    for kind in ["evm", "solana", "facilitator"] {
        for bought in rows[kind]["purchases"].as_array().unwrap() {
            if bought["body"].is_null() {
                let order = order(&shop, bought, 1);
                assert_eq!(order.claim.payment, bought["payment"]);
                assert_eq!(order.claim.former.as_deref(), bought["resource"].as_str());
                assert_ne!(bought["resource"], order.claim.resource);
            }
        }
    }
}

#[test]
fn what_was_bought_is_delivered_once_more_without_a_grant() {
    let rows = rows();
    let shop = shop(&rows);
    for kind in ["evm", "solana", "facilitator"] {
        for bought in rows[kind]["purchases"].as_array().unwrap() {
            let world = on_disk(&rows, kind);
            if !bought["body"].is_null() {
                continue;
            }
            world.run_for(3_000);
            let claim = order(&shop, bought, 77).claim;
            let settler = world.settler();
            let reply = world.wait(async move { settler.claim(&claim).await.unwrap() });
            let what = format!("{kind}: {bought}");
            match bought["kind"].as_str().unwrap() {
                "settled" => {
                    assert!(
                        matches!(reply, ClaimReply::Deliver { may_grant: false, .. }),
                        "{what} {reply:?}"
                    );
                    // Nobody who comes next gets it while that one does.
                    let claim = order(&shop, bought, 78).claim;
                    let settler = world.settler();
                    let next = world.wait(async move { settler.claim(&claim).await.unwrap() });
                    assert_eq!(next, ClaimReply::Busy, "{what}");
                }
                "claimed" | "failed" => assert_eq!(reply, ClaimReply::Fresh, "{what}"),
                // The request that the former life may have told has it for a while.
                "submitted" if reply == ClaimReply::Busy => {
                    world.run_for(35_000);
                    let claim = order(&shop, bought, 78).claim;
                    let settler = world.settler();
                    let later = world.wait(async move { settler.claim(&claim).await.unwrap() });
                    assert!(matches!(later, ClaimReply::Deliver { .. }), "{what} {later:?}");
                }
                "submitted" => assert!(
                    matches!(
                        reply,
                        ClaimReply::Pending { .. }
                            | ClaimReply::Deliver { .. }
                            | ClaimReply::Fresh
                            | ClaimReply::Refused(_)
                    ),
                    "{what} {reply:?}"
                ),
                // A facilitator's are nothing that a gate sold; the window of the
                // other was over at once.
                _ => assert!(
                    matches!(reply, ClaimReply::Refused(_) | ClaimReply::Spent { .. }),
                    "{what} {reply:?}"
                ),
            }
        }
    }
}

#[test]
fn what_was_bought_with_a_body_is_bound_to_it() {
    let body = b"{\"q\":1}";
    let rows = rows();
    let shop = shop(&rows);
    let request = |body: BoundBody| {
        let bought = &rows["evm"]["purchases"][3];
        assert_eq!(bought["kind"], "settled, with a body");
        let request = Request::new("POST", "/premium/d").paying(&bought["header"]);
        let Decision::Purchase(purchase) = request.decide(&shop) else { panic!() };
        let offer = &purchase.sale.route.offers[purchase.offer];
        purchase.sale.former_binding(offer, &body)
    };
    let read = BoundBody::read(body, "application/json");
    assert_eq!(read.former(), edge402::encoding::encode_hex(&edge402::evm::keccak256(body)));
    assert_eq!(request(read.clone()), request(read));
    assert_ne!(request(BoundBody::read(b"{}", "application/json")), request(BoundBody::none()));
}
