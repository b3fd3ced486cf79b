//! What of a transaction is a refund, by what nodes say of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use edge402::amount::AtomicAmount;
use edge402::desk::refunds::{Look, Refund, Sender, look, read_note};
use edge402::encoding::{encode_base58, encode_base64};
use edge402::evm::keccak256;
use edge402::json::from_text;
use edge402::payment::refund::{Lifetime, canonical_transaction, signed_transaction};
use edge402::protocol::ChainId;
use edge402::rpc::{ChainCheck, Expected, Nodes, PostAnswer, Transport, TransportError};
use edge402::settlement::Sale;
use edge402::time::UnixSeconds;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

const EVM: &str = "eip155:84532";
const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const PAYER: &str = "0x1111111111111111111111111111111111111111";
const SHOP: &str = "0x2222222222222222222222222222222222222222";
const OTHER: &str = "0x3333333333333333333333333333333333333333";
const HASH: &str = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// One node for each list of answers, by method.
#[derive(Clone, Default)]
struct World {
    nodes: Vec<Vec<(&'static str, Value)>>,
    asked: Rc<RefCell<Vec<String>>>,
    now: UnixSeconds,
}

impl Transport for World {
    async fn post(
        &self,
        url: &str,
        body: String,
        _: Duration,
    ) -> Result<PostAnswer, TransportError> {
        let call: Value = serde_json::from_str(&body).unwrap();
        let method = call["method"].as_str().unwrap();
        let node: usize = url.rsplit('/').next().unwrap().parse().unwrap();
        self.asked.borrow_mut().push(method.to_owned());
        let answer = match method {
            "eth_chainId" => json!("0x14a34"),
            "getGenesisHash" => json!("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"),
            _ => {
                let found = self.nodes[node].iter().find(|(name, _)| *name == method);
                found.ok_or(TransportError::Unreachable)?.1.clone()
            }
        };
        let body = json!({ "jsonrpc": "2.0", "id": call["id"], "result": answer });
        Ok(PostAnswer { status: 200, body: body.to_string() })
    }
}

impl World {
    fn new(nodes: Vec<Vec<(&'static str, Value)>>) -> Self {
        Self { nodes, asked: Rc::default(), now: UnixSeconds(1_700_000_100) }
    }

    fn look(&self, refund: &Refund, quorum: bool) -> Look {
        let check = if refund.network.names_fee_payer() {
            let expect = Expected::GenesisPrefix("EtWTRABZaYq6iMfeYKouRu166VU2xqa1".into());
            ChainCheck { method: "getGenesisHash", expect }
        } else {
            ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) }
        };
        let urls = (0..self.nodes.len()).map(|n| format!("http://node/{n}")).collect();
        let nodes = Nodes::new(self.clone(), urls, check);
        look(&nodes, refund, quorum, self.now).now_or_never().unwrap()
    }
}

fn refund(network: &str, asset: &str, payer: &str, transaction: &str) -> Refund {
    let sale: Sale = from_text(
        &json!({
            "time": 1_700_000_000, "amount": "10000", "asset": asset, "network": network, "payer": payer,
            "transaction": "", "payment": "p", "redeliveries": 0,
        })
        .to_string(),
    )
    .unwrap();
    let body = json!({ "network": network, "time": 1_700_000_000, "payment": "p", "transaction": transaction });
    let asked = read_note(body.to_string().as_bytes()).unwrap();
    asked.refund(sale, "12345678", UnixSeconds(1_700_000_100)).unwrap()
}

fn word(address: &str) -> String {
    format!("0x{}{}", "0".repeat(24), &address[2..])
}

fn transfer(token: &str, from: &str, to: &str, amount: u128) -> Value {
    let topic = edge402::encoding::encode_hex(&keccak256(b"Transfer(address,address,uint256)"));
    json!({
        "address": token, "topics": [topic, word(from), word(to)], "data": format!("0x{amount:064x}"), "removed": false,
    })
}

fn receipt(status: &str, logs: &[Value]) -> Value {
    json!({
        "status": status, "transactionHash": HASH, "blockNumber": "0x10", "gasUsed": "0x5208", "logs": logs,
    })
}

fn evm_node(receipt: Value) -> Vec<(&'static str, Value)> {
    let block = json!({ "timestamp": "0x6553f1c8" });
    vec![("eth_getTransactionReceipt", receipt), ("eth_getBlockByNumber", block)]
}

/// What the block above says: 1,700,000,200.
const TIME: UnixSeconds = UnixSeconds(1_700_000_200);

const fn received(amount: u128) -> Look {
    Look::Received { amount: AtomicAmount(amount), time: TIME }
}

#[test]
fn on_an_evm_chain_what_the_tokens_logs_bring_the_payer_counts() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    for (logs, expected) in [
        (vec![transfer(TOKEN, SHOP, PAYER, 10_000)], received(10_000)),
        // From whomever, and in parts.
        (vec![transfer(TOKEN, OTHER, PAYER, 1), transfer(TOKEN, SHOP, PAYER, 2)], received(3)),
        // Another token, another account, or nothing at all.
        (vec![transfer(OTHER, SHOP, PAYER, 10_000)], received(0)),
        (vec![transfer(TOKEN, SHOP, OTHER, 10_000)], received(0)),
        (vec![], received(0)),
        // What goes round, or is sent on, has not come back.
        (vec![transfer(TOKEN, PAYER, PAYER, 10_000)], received(0)),
        (vec![transfer(TOKEN, SHOP, PAYER, 5), transfer(TOKEN, PAYER, OTHER, 3)], received(2)),
        (vec![transfer(TOKEN, PAYER, SHOP, 10_000)], received(0)),
    ] {
        let world = World::new(vec![evm_node(receipt("0x1", &logs))]);
        assert_eq!(world.look(&it, false), expected, "{logs:?}");
    }
}

#[test]
fn on_an_evm_chain_a_failure_is_final_some_blocks_later() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let node = |head: &[&str]| {
        let heads = head.iter().map(|head| ("eth_blockNumber", json!(head)));
        heads.chain(evm_node(receipt("0x0", &[]))).collect::<Vec<_>>()
    };
    // It is in block 16.
    for (nodes, quorum, expected) in [
        (vec![node(&["0x10"])], false, Look::Failing),
        (vec![node(&["0x23"])], false, Look::Failing),
        (vec![node(&["0x24"])], false, Look::Failed),
        (vec![node(&[])], false, Look::Failing),
        (vec![node(&["0x24"]), node(&["0x23"])], false, Look::Failing),
        (vec![node(&["0x24"]), node(&[])], true, Look::Failing),
        (vec![node(&["0x24"]), node(&["0x25"])], true, Look::Failed),
    ] {
        assert_eq!(World::new(nodes.clone()).look(&it, quorum), expected, "{nodes:?}");
    }
}

#[test]
fn what_no_node_shows_or_what_is_no_answer_is_nothing_yet() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let mut other = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    other["transactionHash"] = json!(HASH.replace('b', "c"));
    let mut taken_back = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    taken_back["logs"][0]["removed"] = json!(true);
    for answer in [json!({}), json!("0x1"), other, taken_back] {
        let world = World::new(vec![evm_node(answer.clone())]);
        assert_eq!(world.look(&it, false), Look::NoAnswer, "{answer}");
    }
    assert_eq!(World::new(vec![evm_node(json!(null))]).look(&it, false), Look::Absent);
    assert_eq!(World::new(vec![vec![]]).look(&it, false), Look::NoAnswer, "no node answers");
    let good = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    let no_block = vec![("eth_getTransactionReceipt", good)];
    assert_eq!(World::new(vec![no_block]).look(&it, false), Look::NoAnswer);
}

#[test]
fn above_the_sellers_bound_two_nodes_must_say_the_same() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let says = |amount| evm_node(receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, amount)]));
    for (nodes, expected) in [
        (vec![says(7), says(7)], received(7)),
        (vec![says(7), says(8)], Look::NoAnswer),
        (vec![says(7), vec![]], Look::NoAnswer),
        (vec![says(7), says(8), says(7)], received(7)),
    ] {
        assert_eq!(World::new(nodes).look(&it, true), expected);
    }
}

fn solana_names() -> [String; 4] {
    let signature = encode_base58(&[7; 64]);
    [encode_base58(&[1; 32]), encode_base58(&[2; 32]), encode_base58(&[3; 32]), signature]
}

#[test]
fn on_solana_what_the_payers_accounts_of_the_mint_have_more_counts() {
    let [mint, payer, other, signature] = solana_names();
    let it = refund(SOLANA, &mint, &payer, &signature);
    let balance = |mint: &str, owner: &str, amount: &str| json!({ "mint": mint, "owner": owner, "uiTokenAmount": { "amount": amount } });
    let landed = |before: Value, after: Value, error: Value| {
        json!({
            "slot": 5, "blockTime": 1_700_000_200, "transaction": { "signatures": [signature] },
            "meta": { "err": error, "preTokenBalances": before, "postTokenBalances": after },
        })
    };
    for (answer, expected) in [
        (
            landed(
                json!([balance(&mint, &payer, "5")]),
                json!([balance(&mint, &payer, "15")]),
                json!(null),
            ),
            received(10),
        ),
        // The account was made by it, or there are two.
        (landed(json!([]), json!([balance(&mint, &payer, "10")]), json!(null)), received(10)),
        (
            landed(
                json!([balance(&mint, &payer, "5"), balance(&mint, &payer, "7")]),
                json!([balance(&mint, &payer, "9"), balance(&mint, &payer, "8")]),
                json!(null),
            ),
            received(5),
        ),
        (
            landed(
                json!([]),
                json!([balance(&other, &payer, "10"), balance(&mint, &other, "10")]),
                json!(null),
            ),
            received(0),
        ),
        (
            landed(
                json!([balance(&mint, &payer, "9")]),
                json!([balance(&mint, &payer, "1")]),
                json!(null),
            ),
            received(0),
        ),
        (
            landed(
                json!([]),
                json!([balance(&mint, &payer, "10")]),
                json!({ "InstructionError": [0, "x"] }),
            ),
            Look::Failed,
        ),
        (landed(json!(null), json!(null), json!(null)), Look::NoAnswer),
        (json!(null), Look::Absent),
    ] {
        let world = World::new(vec![vec![("getTransaction", answer.clone())]]);
        assert_eq!(world.look(&it, false), expected, "{answer}");
    }
}

#[test]
fn a_transaction_that_is_ours_to_send_is_sent_before_it_is_looked_for() {
    let [mint, payer, _, signature] = solana_names();
    let bytes = [&[1_u8][..], &[7; 64], b"the message"].concat();
    let solana: ChainId = SOLANA.parse().unwrap();
    let (name, signed) = signed_transaction(solana, &encode_base64(&bytes)).unwrap();
    assert_eq!(name, signature);
    let it = Refund { signed: Some(signed), ..refund(SOLANA, &mint, &payer, &signature) };
    let world = World::new(vec![vec![
        ("getTransaction", json!(null)),
        ("sendTransaction", json!(signature)),
    ]]);
    assert_eq!(world.look(&it, false), Look::Absent);
    assert_eq!(*world.asked.borrow(), ["getGenesisHash", "sendTransaction", "getTransaction"]);
}

#[test]
fn what_is_taken_off_is_not_sent_any_more() {
    let (it, _) = signed_by_solana(&[]);
    let world = World::new(vec![vec![("getTransaction", json!(null))]]);
    assert_eq!(world.look(&Refund { is_silent: true, ..it }, false), Look::Absent);
    assert_eq!(*world.asked.borrow(), ["getGenesisHash", "getTransaction"]);
}

#[test]
fn a_node_without_the_time_of_a_slot_is_asked_for_it() {
    let [mint, payer, _, signature] = solana_names();
    let it = refund(SOLANA, &mint, &payer, &signature);
    let after = json!([{ "mint": mint, "owner": payer, "uiTokenAmount": { "amount": "10" } }]);
    let landed = json!({
        "slot": 5, "blockTime": null, "transaction": { "signatures": [signature] },
        "meta": { "err": null, "preTokenBalances": [], "postTokenBalances": after },
    });
    for (time, expected) in [(json!(1_700_000_200), received(10)), (json!(null), Look::NoAnswer)] {
        let world =
            World::new(vec![vec![("getTransaction", landed.clone()), ("getBlockTime", time)]]);
        assert_eq!(world.look(&it, false), expected, "its time is not guessed");
    }
}

/// A refund whose transaction is ours to send, with this as the data of its one
/// instruction, a call of the system program; and its blockhash.
fn signed_by_solana(data: &[u8]) -> (Refund, String) {
    let [mint, payer, ..] = solana_names();
    let message = [
        &[1, 0, 1, 2][..],
        &[1; 32],
        &[0; 32],
        &[9; 32],
        &[1, 1, 0, u8::try_from(data.len()).unwrap()],
        data,
    ];
    let bytes = [&[1][..], &[7; 64], &message.concat()].concat();
    let (name, signed) =
        signed_transaction(SOLANA.parse().unwrap(), &encode_base64(&bytes)).unwrap();
    let it = refund(SOLANA, &mint, &payer, &name);
    (Refund { signed: Some(signed), ..it }, encode_base58(&[9; 32]))
}

/// Asks an hour after it was told.
fn look_late(nodes: Vec<Vec<(&'static str, Value)>>, it: &Refund, quorum: bool) -> Look {
    World { now: UnixSeconds(1_700_003_700), ..World::new(nodes) }.look(it, quorum)
}

#[test]
fn on_an_evm_chain_one_is_dead_once_another_has_its_nonce() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let nothing = vec![("eth_getTransactionReceipt", json!(null))];
    let pool = |transaction| [nothing.clone(), vec![("eth_getTransactionByHash", transaction)]];
    let transaction = json!({ "hash": HASH, "from": SHOP, "nonce": "0x7" });
    let other = json!({ "hash": HASH.replace('b', "c"), "from": SHOP, "nonce": "0x7" });
    let sender = Sender { address: SHOP.into(), nonce: 7 };
    for (answer, expected) in [
        (transaction, Look::Seen(sender.clone())),
        (other, Look::Absent),
        (json!(null), Look::Unknown),
        (json!({ "hash": HASH, "nonce": "0x7" }), Look::Absent),
    ] {
        let nodes = vec![pool(answer.clone()).concat()];
        assert_eq!(look_late(nodes, &it, false), expected, "{answer}");
    }
    assert_eq!(look_late(vec![nothing.clone()], &it, false), Look::Absent);
    // Above the seller's bound two must say so.
    let has = |nonce| pool(json!({ "hash": HASH, "from": SHOP, "nonce": nonce })).concat();
    for (nodes, expected) in [
        (vec![has("0x7"), nothing.clone()], Look::Absent),
        (vec![has("0x7"), has("0x6")], Look::Absent),
        (vec![has("0x7"), has("0x7")], Look::Seen(sender.clone())),
    ] {
        assert_eq!(look_late(nodes.clone(), &it, true), expected, "{nodes:?}");
    }
    let it = Refund { sender: Some(sender), ..it };
    let node = |count, receipt| {
        vec![
            ("eth_getTransactionReceipt", receipt),
            ("eth_blockNumber", json!("0x10")),
            ("eth_getTransactionCount", count),
        ]
    };
    let (used, free, null) = (json!("0x8"), json!("0x7"), json!(null));
    let landed = receipt("0x1", &[]);
    // Who sends it may have been told wrongly.
    let corrected = Look::Seen(Sender { address: SHOP.into(), nonce: 8 });
    for (nonce, expected) in [("0x7", Look::Dead { block: 16 }), ("0x8", corrected)] {
        let own = json!({ "hash": HASH, "from": SHOP, "nonce": nonce });
        let it_has = vec![("eth_getTransactionByHash", own)];
        let nodes = vec![[node(used.clone(), null.clone()), it_has].concat()];
        assert_eq!(look_late(nodes, &it, false), expected, "{nonce}");
    }
    for (nodes, quorum, expected) in [
        (vec![node(used.clone(), null.clone())], false, Look::Dead { block: 16 }),
        (vec![node(free.clone(), null.clone())], false, Look::Absent),
        (vec![node(json!("?"), null.clone())], false, Look::Absent),
        // One that is behind, and one that has it: no majority decides that.
        (vec![node(used.clone(), null.clone()), node(free, null.clone())], false, Look::Absent),
        (vec![node(used.clone(), null.clone()), node(used.clone(), landed)], false, Look::Absent),
        (vec![node(used.clone(), null.clone())], true, Look::NoAnswer),
        (vec![node(used.clone(), null.clone()), node(used, null)], true, Look::Dead { block: 16 }),
    ] {
        assert_eq!(look_late(nodes.clone(), &it, quorum), expected, "{nodes:?}");
    }
}

#[test]
fn on_solana_one_is_dead_once_its_blockhash_has_ended() {
    let (it, blockhash) = signed_by_solana(&[2, 0, 0, 0]);
    let lifetime = Lifetime::of_signed(it.signed.as_ref().unwrap());
    assert_eq!(lifetime, Some(Lifetime::Blockhash(blockhash)));
    let node = |is_valid: Value| {
        vec![
            ("sendTransaction", json!(null)),
            ("getTransaction", json!(null)),
            ("getSlot", json!(77)),
            ("isBlockhashValid", json!({ "context": { "slot": 77 }, "value": is_valid })),
        ]
    };
    for (is_valid, expected) in [
        (json!(false), Look::Dead { block: 77 }),
        (json!(true), Look::Absent),
        (json!(null), Look::Absent),
    ] {
        assert_eq!(look_late(vec![node(is_valid.clone())], &it, false), expected, "{is_valid}");
    }
    // A durable nonce has no end, and of a signature alone nobody knows the blockhash.
    let (durable, _) = signed_by_solana(&[4, 0, 0, 0]);
    for it in [durable, Refund { signed: None, ..it }] {
        assert_eq!(look_late(vec![node(json!(false))], &it, false), Look::Absent);
    }
}

#[test]
fn what_names_no_transaction_is_refused() {
    let (evm, solana): (ChainId, ChainId) = (EVM.parse().unwrap(), SOLANA.parse().unwrap());
    let [.., signature] = solana_names();
    assert_eq!(canonical_transaction(evm, &HASH.to_uppercase().replace('X', "x")).unwrap(), HASH);
    assert_eq!(canonical_transaction(solana, &signature).unwrap(), signature);
    for text in ["", "0x", &HASH[..65], &signature, &format!("{HASH}0")] {
        assert_eq!(canonical_transaction(evm, text), None, "{text}");
    }
    for text in ["", HASH, &signature[1..], &encode_base58(&[7; 32])] {
        assert_eq!(canonical_transaction(solana, text), None, "{text}");
    }
    let unsigned = encode_base64(&[&[1_u8][..], &[0; 64], b"message"].concat());
    let short = encode_base64(&[1; 40]);
    let long = encode_base64(&[1; 1_233]);
    let none = encode_base64(&[&[0_u8][..], &[7; 64]].concat());
    for text in ["", "!", &unsigned, &short, &long, &none] {
        assert_eq!(signed_transaction(solana, text), None, "{text}");
    }
    assert_eq!(signed_transaction(evm, &encode_base64(&[1; 200])), None);
}

#[test]
fn what_no_node_has_an_hour_later_is_unknown() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let node = |said: Option<Value>| {
        let mut node = evm_node(Value::Null);
        node.extend(said.map(|said| ("eth_getTransactionByHash", said)));
        node
    };
    let has = || Some(json!({ "hash": HASH, "from": SHOP, "nonce": "0x7" }));
    let look = |seconds: u64, nodes: Vec<Option<Value>>, quorum: bool| {
        let mut world = World::new(nodes.into_iter().map(node).collect());
        world.now = it.told_at.plus(seconds);
        world.look(&it, quorum)
    };
    let nothing = || Some(Value::Null);
    assert_eq!(look(3_599, vec![nothing(), nothing()], false), Look::Absent);
    assert_eq!(look(3_600, vec![nothing(), nothing()], false), Look::Unknown);
    assert_eq!(look(3_600, vec![nothing(), nothing()], true), Look::Unknown);
    // One that has it is enough, and one that doesn't answer says nothing.
    assert_eq!(look(3_600, vec![nothing(), has()], false), Look::Absent);
    assert_eq!(look(3_600, vec![nothing(), None], false), Look::Unknown);
    assert_eq!(look(3_600, vec![nothing(), None], true), Look::Absent);
    assert_eq!(look(3_600, vec![None, None], false), Look::Absent);
}
