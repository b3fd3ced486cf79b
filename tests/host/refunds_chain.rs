//! What of a transaction is a refund, by what nodes say of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use edge402::amount::AtomicAmount;
use edge402::desk::refunds::{Look, Refund, look, read_note};
use edge402::encoding::{encode_base58, encode_base64};
use edge402::evm::keccak256;
use edge402::json::from_text;
use edge402::payment::refund::{canonical_transaction, signed_transaction};
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
        Self { nodes, asked: Rc::default() }
    }

    fn look(&self, refund: &Refund, quorum: bool) -> Look {
        let check = if refund.network.names_fee_payer() {
            let expect = Expected::GenesisPrefix("EtWTRABZaYq6iMfeYKouRu166VU2xqa1".into());
            ChainCheck { method: "getGenesisHash", expect }
        } else {
            ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) }
        };
        let urls = (0..self.nodes.len()).map(|n| format!("http://node/{n}")).collect();
        look(&Nodes::new(self.clone(), urls, check), refund, quorum).now_or_never().unwrap()
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
const TIME: Option<UnixSeconds> = Some(UnixSeconds(1_700_000_200));

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
    let failed = receipt("0x0", &[]);
    assert_eq!(World::new(vec![evm_node(failed)]).look(&it, false), Look::Failed);
}

#[test]
fn what_no_node_shows_or_what_is_no_answer_is_nothing_yet() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let mut other = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    other["transactionHash"] = json!(HASH.replace('b', "c"));
    let mut taken_back = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    taken_back["logs"][0]["removed"] = json!(true);
    for answer in [json!(null), json!({}), json!("0x1"), other, taken_back] {
        assert_eq!(
            World::new(vec![evm_node(answer.clone())]).look(&it, false),
            Look::Nothing,
            "{answer}"
        );
    }
    assert_eq!(World::new(vec![vec![]]).look(&it, false), Look::Nothing, "no node answers");
    let good = receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, 1)]);
    let no_block = vec![("eth_getTransactionReceipt", good)];
    assert_eq!(World::new(vec![no_block]).look(&it, false), Look::Nothing);
}

#[test]
fn above_the_sellers_bound_two_nodes_must_say_the_same() {
    let it = refund(EVM, TOKEN, PAYER, HASH);
    let says = |amount| evm_node(receipt("0x1", &[transfer(TOKEN, SHOP, PAYER, amount)]));
    for (nodes, expected) in [
        (vec![says(7), says(7)], received(7)),
        (vec![says(7), says(8)], Look::Nothing),
        (vec![says(7), vec![]], Look::Nothing),
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
        (landed(json!(null), json!(null), json!(null)), Look::Nothing),
        (json!(null), Look::Nothing),
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
    assert_eq!(world.look(&it, false), Look::Nothing);
    assert_eq!(*world.asked.borrow(), ["getGenesisHash", "sendTransaction", "getTransaction"]);
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
