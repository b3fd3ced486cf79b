//! A Solana cluster as its nodes show it, and a Settler that settles there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::sim::chain::Chain;
use crate::sim::time::{Clock, START_MS};
use crate::sim::{AMOUNT, Payment, World, relayer};
use crate::solana_support::{self, ata, draft, key, memo, pay_to, payer, signing_key};
use edge402::encoding::{decode_base64, encode_base58, encode_base64};
use edge402::payment::Terms;
use edge402::rpc::{ChainCheck, Expected, Nodes};
use edge402::settlement::solana::{Seller, SolanaLane};
use edge402::settlement::{Host as _, Limits, State};
use edge402::solana::{FeePayerKey, Pubkey, TokenProgram};
use serde_json::{Value, json};

pub const GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub const SLOT_MS: u64 = 400;
pub const FIRST_HEIGHT: u64 = 1_000;
/// What every account holds.
pub const LAMPORTS: u64 = 1_000_000_000;
/// The height after which the payments' blockhash has expired.
pub const LAST_VALID: u64 = FIRST_HEIGHT + 150;

/// Changes what a node says: its URL, the method, the parameters, the truth.
pub type Lie = Box<dyn FnMut(&str, &str, &Value, Value) -> Value>;

/// A cluster, as its nodes show it.
pub struct Cluster {
    /// When each signature landed.
    pub landed: BTreeMap<String, u64>,
    /// Those of them that moved nothing, for lack of tokens.
    pub failed: BTreeSet<String>,
    /// What the payer has before anything landed, in atomic units.
    pub money: u64,
    /// The signatures of what was sent, by its messages.
    pub messages: BTreeMap<Vec<u8>, String>,
    /// Each time that something was sent.
    pub sent: Vec<(u64, String)>,
    /// How much of what is sent gets lost.
    pub drops: usize,
    /// What lands fails.
    pub fails: bool,
    /// Forgets what is only processed, once.
    pub forks: bool,
    /// What is sent lands as soon as a node is asked for a height beyond this.
    pub lands_late: Option<u64>,
    /// How often each method was called.
    pub calls: BTreeMap<String, usize>,
    /// Accounts that are not what they usually are: owner and data, or none.
    pub accounts: BTreeMap<String, Option<(String, Vec<u8>)>>,
    /// What the fee payer loses in a simulation, in lamports.
    pub simulated_loss: u64,
    /// What becomes of the truth on its way.
    pub lie: Option<Lie>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            landed: BTreeMap::new(),
            failed: BTreeSet::new(),
            money: 1 << 60,
            messages: BTreeMap::new(),
            sent: vec![],
            drops: 0,
            fails: false,
            forks: false,
            lands_late: None,
            calls: BTreeMap::new(),
            accounts: BTreeMap::new(),
            simulated_loss: 10_001,
            lie: None,
        }
    }
}

impl Cluster {
    pub fn height(now: u64) -> u64 {
        FIRST_HEIGHT + (now - START_MS) / SLOT_MS
    }

    /// What the payer has, when all that landed until then is known.
    fn money_at(&self, now: u64) -> u64 {
        let moved = self.landed.iter().filter(|(it, at)| **at <= now && !self.failed.contains(*it));
        self.money - u64::try_from(AMOUNT).unwrap() * u64::try_from(moved.count()).unwrap()
    }

    fn land(&mut self, signature: String, now: u64) {
        if self.landed.contains_key(&signature) {
            return;
        }
        if self.fails || self.money_at(now) < u64::try_from(AMOUNT).unwrap() {
            self.failed.insert(signature.clone());
        }
        self.landed.insert(signature, now);
    }

    fn confirmed(now: u64) -> u64 {
        now.saturating_sub(2 * SLOT_MS)
    }

    fn answer(&mut self, url: &str, method: &str, params: &Value, now: u64) -> Value {
        *self.calls.entry(method.into()).or_default() += 1;
        let truth = self.truth(method, params, now);
        let Some(mut lie) = self.lie.take() else { return truth };
        let answer = lie(url, method, params, truth);
        self.lie = Some(lie);
        answer
    }

    fn truth(&mut self, method: &str, params: &Value, now: u64) -> Value {
        let height = Self::height(now);
        match method {
            "getGenesisHash" => json!(format!("{GENESIS}rest")),
            "getBalance" => json!({ "value": 1_000_000_000_u64 }),
            "getBlockHeight" => {
                if self.lands_late.is_some_and(|limit| height > limit) {
                    let (_, signature) = self.sent[0].clone();
                    self.land(signature, START_MS);
                }
                json!(height)
            }
            "getMultipleAccounts" => {
                let addresses = params[0].as_array().unwrap().iter();
                let accounts: Vec<_> =
                    addresses.map(|it| self.account(it.as_str().unwrap(), now)).collect();
                json!({ "context": { "slot": height - 2 }, "value": accounts })
            }
            "simulateTransaction" => {
                // Without our signature nobody can send it.
                let signature = if params[1]["sigVerify"] == false {
                    let bytes = decode_base64(params[0].as_str().unwrap(), 2_000).unwrap();
                    assert!(bytes[1..65].iter().all(|byte| *byte == 0), "not co-signed");
                    // A node knows again what it has seen by its message.
                    self.messages.get(message_of(&bytes)).cloned()
                } else {
                    Some(signature_of(params))
                };
                let has_money =
                    self.money_at(Self::confirmed(now)) >= u64::try_from(AMOUNT).unwrap();
                let err = match signature {
                    Some(known) if self.landed.contains_key(&known) => json!("AlreadyProcessed"),
                    _ if height > LAST_VALID => json!("BlockhashNotFound"),
                    _ if !self.accounts.is_empty() && self.seller_lacks_something(now) => {
                        json!({ "InstructionError": [2, "InvalidAccountData"] })
                    }
                    _ if !has_money => json!({ "InstructionError": [2, { "Custom": 1 }] }),
                    _ => Value::Null,
                };
                let watched = params[1]["accounts"]["addresses"].as_array();
                let accounts = watched.map(|addresses| {
                    let mut account = self.account(addresses[0].as_str().unwrap(), now);
                    account["lamports"] = json!(LAMPORTS - self.simulated_loss);
                    vec![account]
                });
                let value = json!({
                    "err": err, "logs": [], "unitsConsumed": 6_000, "accounts": accounts,
                });
                json!({ "value": value })
            }
            "sendTransaction" => {
                let signature = signature_of(params);
                let bytes = decode_base64(params[0].as_str().unwrap(), 2_000).unwrap();
                self.messages.insert(message_of(&bytes).to_vec(), signature.clone());
                self.sent.push((now, signature.clone()));
                if self.drops > 0 {
                    self.drops -= 1;
                } else if height <= LAST_VALID && self.lands_late.is_none() {
                    self.land(signature.clone(), now);
                }
                json!(signature)
            }
            "getSignatureStatuses" => {
                let signatures = params[0].as_array().unwrap();
                assert!(signatures.len() <= 256, "{}", signatures.len());
                let statuses: Vec<_> =
                    signatures.iter().map(|it| self.status(it.as_str().unwrap(), now)).collect();
                json!({ "context": { "slot": height }, "value": statuses })
            }
            _ => panic!("{method}"),
        }
    }

    fn status(&mut self, signature: &str, now: u64) -> Value {
        let at = self.landed.get(signature).copied();
        match at.map(|at| now - at) {
            None | Some(0..SLOT_MS) => Value::Null,
            Some(_) if std::mem::take(&mut self.forks) => {
                self.landed.remove(signature);
                json!({
                    "slot": Self::height(at.unwrap()), "confirmations": 0, "err": null,
                    "confirmationStatus": "processed",
                })
            }
            Some(age) => {
                let is_processed = age < 2 * SLOT_MS;
                let err = if self.failed.contains(signature) {
                    json!({ "InstructionError": [2, { "Custom": 1 }] })
                } else {
                    Value::Null
                };
                let reached = if is_processed { "processed" } else { "confirmed" };
                json!({
                    "slot": Self::height(at.unwrap()), "confirmations": 1, "err": err,
                    "confirmationStatus": reached,
                })
            }
        }
    }

    /// Whether the account that is to be paid is not a good one of the token.
    fn seller_lacks_something(&self, now: u64) -> bool {
        let account = self.account(&ata(pay_to()).to_string(), now);
        let data = account["data"][0].as_str().map(|text| decode_base64(text, 200).unwrap());
        data.is_none_or(|data| data[108] != 1)
    }

    fn account(&self, address: &str, now: u64) -> Value {
        let known = |address: Pubkey| address.to_string();
        let (owner, data) = match self.accounts.get(address) {
            Some(None) => return Value::Null,
            Some(Some((owner, data))) => (owner.clone(), data.clone()),
            None if address == known(ata(payer())) => {
                let money = self.money_at(Self::confirmed(now));
                (solana_support::TOKEN.into(), token_account(payer(), money))
            }
            None if address == known(ata(pay_to())) => {
                (solana_support::TOKEN.into(), token_account(pay_to(), 0))
            }
            None if address == solana_support::USDC => (solana_support::TOKEN.into(), vec![0; 82]),
            None => (solana_support::SYSTEM.into(), vec![]),
        };
        json!({
            "owner": owner, "lamports": LAMPORTS, "executable": false, "rentEpoch": 0,
            "space": data.len(), "data": [encode_base64(&data), "base64"],
        })
    }
}

/// The data of a token account of USDC.
pub fn token_account(owner: Pubkey, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(&key(solana_support::USDC).0);
    data[32..64].copy_from_slice(&owner.0);
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    data
}

/// What is signed of a transaction.
fn message_of(bytes: &[u8]) -> &[u8] {
    &bytes[1 + 64 * usize::from(bytes[0])..]
}

/// The fee payer's signature, by which the cluster knows a transaction.
fn signature_of(params: &Value) -> String {
    let bytes = decode_base64(params[0].as_str().unwrap(), 2_000).unwrap();
    assert!(bytes[1..65].iter().any(|byte| *byte != 0), "co-signed");
    encode_base58(&bytes[1..65])
}

pub fn fee_payer() -> FeePayerKey {
    encode_base58(&signing_key(1).to_keypair_bytes()).parse().unwrap()
}

pub fn cluster() -> (Rc<World>, Rc<RefCell<Cluster>>) {
    cluster_with(Limits { batch_max: 1, ..Limits::default() })
}

pub fn cluster_with(limits: Limits) -> (Rc<World>, Rc<RefCell<Cluster>>) {
    cluster_of(limits, 1)
}

/// A cluster of so many nodes: `https://node0.test/` and so on.
pub fn cluster_of(limits: Limits, nodes: usize) -> (Rc<World>, Rc<RefCell<Cluster>>) {
    cluster_for(limits, nodes, vec![seller()])
}

/// Who is paid in USDC.
pub fn seller() -> Seller {
    let mint = key(solana_support::USDC);
    Seller { pay_to: pay_to(), mint, token_program: TokenProgram::Spl }
}

/// The same for these sellers.
pub fn cluster_for(
    limits: Limits,
    nodes: usize,
    sellers: Vec<Seller>,
) -> (Rc<World>, Rc<RefCell<Cluster>>) {
    // The other chain stands idle.
    let idle = Chain::new(false, false, relayer().address());
    let world = World::with_lane(
        idle,
        Box::new(move |host, parts| {
            let expect = Expected::GenesisPrefix(GENESIS.into());
            let check = ChainCheck { method: "getGenesisHash", expect };
            let urls = (0..nodes).map(|n| format!("https://node{n}.test/")).collect();
            let nodes = Nodes::new(host.transport(), urls, check);
            let lane = SolanaLane::new(parts, nodes, fee_payer(), limits.clone());
            for seller in &sellers {
                lane.look_after(*seller);
            }
            vec![lane]
        }),
    );
    *world.name.borrow_mut() = format!("solana:{GENESIS}/{}", fee_payer().pubkey());
    let cluster = Rc::new(RefCell::new(Cluster::default()));
    let (node, clock): (_, Rc<Clock>) = (Rc::clone(&cluster), Rc::clone(&world.clock));
    *world.hook.borrow_mut() = Some(Box::new(move |url, method, params| {
        Some(Ok(node.borrow_mut().answer(url, method, params, clock.now_ms())))
    }));
    (world, cluster)
}

pub fn payment(number: usize) -> Payment {
    let mut draft = draft();
    draft.instructions[3] = memo(&format!("0123456789abcde{number}"));
    payment_of(&draft)
}

pub fn payment_of(draft: &solana_support::Draft) -> Payment {
    let payload: Value = solana_support::payload(&draft.transaction());
    let network = format!("solana:{GENESIS}").parse().unwrap();
    Payment::from_parts(network, Terms::Solana(solana_support::terms()), &payload, None)
}

pub fn is_submitted(world: &World, payment: &Payment) -> bool {
    let record = world.tables.record(&payment.id);
    matches!(record.map(|record| record.state), Some(State::Submitted { .. }))
}
