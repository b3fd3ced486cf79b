//! An EVM chain with one token and one relayer, as a node shows it.

use std::collections::{BTreeMap, HashMap, HashSet};

use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::{
    Address, Call, Fees, MULTICALL3, Signature, Transaction, keccak256, payment_call,
};
use serde_json::{Value, json};

use super::{CHAIN, Payment, domain};

pub const BASE_FEE: u128 = 1_000_000_000;
const GAS_BASE: u64 = 21_000;
const GAS_PER_CALL: u64 = 45_000;
const FIRST_BLOCK: u64 = 1_000;
const STRANGER: Address = Address::new([0x57; 20]);

/// A transfer that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub from: Address,
    pub to: Address,
    pub nonce: [u8; 32],
    /// In atomic units.
    pub amount: u128,
    pub transaction: String,
}

#[derive(Clone, Debug)]
pub struct Pooled {
    pub hash: String,
    pub transaction: Transaction,
}

#[derive(Clone)]
struct Mined {
    receipt: Value,
    seen_at: u64,
}

/// What a payer's code does (EIP-7702, ERC-1271).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Approves of its owner's signature.
    Honest,
    /// Does so in simulations, and burns all gas on chain.
    Burns,
    /// Burns all gas always.
    Spoils,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Reverts,
    /// With all gas of the transaction.
    Burns,
}

/// What calls change.
#[derive(Clone, Default)]
struct State {
    used: HashSet<(Address, [u8; 32])>,
    spent: HashMap<Address, u128>,
}

/// What a node does with an override of the block's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrides {
    Takes,
    Refuses,
    Ignores,
}

#[derive(Clone)]
pub struct Chain {
    pub overrides: Overrides,
    pub has_multicall: bool,
    pub has_sync: bool,
    pub relayer: Address,
    /// What the relayer has, in wei.
    pub relayer_balance: u128,
    /// What each payer had at first.
    pub token_balance: u128,
    /// Transactions that offer less stay in the pool.
    pub min_fee: u128,
    /// How long after its block a receipt is seen, in milliseconds.
    pub receipt_delay: u64,
    /// How many transactions the node takes and then forgets.
    pub forgets: usize,
    /// What some payers have instead.
    pub balances: HashMap<Address, u128>,
    /// The payers with code.
    pub codes: HashMap<Address, Code>,
    /// Whether `eth_call` takes creation code.
    pub runs_creation: bool,
    /// Payers' nonces that revert on chain although simulations go well.
    pub poisoned: HashSet<[u8; 32]>,
    pub pool: BTreeMap<u64, Pooled>,
    /// Blocks and their times, in seconds.
    pub blocks: Vec<u64>,
    /// The relayer's transactions in blocks, in their order.
    pub mined: Vec<Pooled>,
    pub transfers: Vec<Transfer>,
    state: State,
    receipts: HashMap<String, Mined>,
    logs: Vec<(u64, Value)>,
    /// By how much blocks' times are behind, in seconds.
    pub clock_lag: u64,
}

impl Chain {
    pub fn new(has_multicall: bool, has_sync: bool, relayer: Address) -> Self {
        Self {
            overrides: Overrides::Takes,
            has_multicall,
            has_sync,
            relayer,
            relayer_balance: 10_u128.pow(18),
            token_balance: 1_000 * super::AMOUNT,
            min_fee: 0,
            receipt_delay: 0,
            forgets: 0,
            balances: HashMap::new(),
            codes: HashMap::new(),
            runs_creation: true,
            poisoned: HashSet::new(),
            pool: BTreeMap::new(),
            blocks: vec![super::time::START_MS / 1_000],
            mined: vec![],
            transfers: vec![],
            state: State::default(),
            receipts: HashMap::new(),
            logs: vec![],
            clock_lag: 0,
        }
    }

    pub fn height(&self) -> u64 {
        FIRST_BLOCK + self.blocks.len() as u64 - 1
    }

    pub fn count(&self) -> u64 {
        self.mined.len() as u64
    }

    /// How many payments each of the relayer's transactions in blocks carries.
    pub fn shares(&self) -> Vec<usize> {
        self.mined.iter().map(|it| calls_in(&it.transaction)).collect()
    }

    /// How many payments each transaction in the pool carries.
    pub fn waiting_shares(&self) -> Vec<usize> {
        self.pool.values().map(|it| calls_in(&it.transaction)).collect()
    }

    /// How many payments of the relayer's transactions failed on chain.
    pub fn failed(&self) -> usize {
        let made = self.mined.iter().map(|it| {
            self.transfers.iter().filter(|transfer| transfer.transaction == it.hash).count()
        });
        self.shares().into_iter().sum::<usize>() - made.sum::<usize>()
    }

    /// How much gas the relayer's failed transactions used.
    pub fn burnt(&self) -> u64 {
        let receipts = self.mined.iter().map(|it| &self.receipts[&it.hash].receipt);
        let failed = receipts.filter(|receipt| receipt["status"] == "0x0");
        failed.map(|receipt| u64::try_from(number(&receipt["gasUsed"])).unwrap()).sum()
    }

    pub fn transfers_of(&self, payment: &Payment) -> Vec<Transfer> {
        let authorization = payment.authorization.as_ref().unwrap();
        let is_its = |transfer: &&Transfer| {
            transfer.from == authorization.from && transfer.nonce == authorization.nonce
        };
        self.transfers.iter().filter(is_its).cloned().collect()
    }

    /// Takes what is in the pool into a block, as far as nonces go on.
    pub fn mine(&mut self, now_ms: u64) {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        while let Some(pooled) = self.pool.get(&self.count()) {
            if pooled.transaction.max_fee_per_gas < self.min_fee {
                break;
            }
            let pooled = self.pool.remove(&self.count()).unwrap();
            self.execute(&pooled, self.relayer, now_ms);
            self.mined.push(pooled);
        }
    }

    /// A payer takes an authorization back.
    pub fn cancel(&mut self, payment: &Payment) {
        let authorization = payment.authorization.as_ref().unwrap();
        self.state.used.insert((authorization.from, authorization.nonce));
    }

    /// Somebody else broadcasts a payment; it lands in a block of its own.
    /// The payer cancels a payment's authorization, and no log tells.
    pub fn payer_cancels_in_silence(&mut self, payment: &Payment) {
        let it = payment.evm();
        self.state.used.insert((it.from(), *it.nonce()));
    }

    /// The payer cancels a payment's authorization, in a block of its own.
    pub fn payer_cancels(&mut self, payment: &Payment, now_ms: u64) {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        let it = payment.evm();
        self.state.used.insert((it.from(), *it.nonce()));
        let name = edge402::evm::keccak256(b"AuthorizationCanceled(address,bytes32)");
        let hash = encode_hex(&keccak256(&[&it.nonce()[..], b"cancel"].concat()));
        let from = encode_hex(&it.from().to_word());
        let (block, token) = (self.height(), domain().verifying_contract);
        let log = json!({
            "address": token,
            "topics": [encode_hex(&name), from, encode_hex(it.nonce())],
            "data": "0x",
            "transactionHash": hash,
            "blockNumber": quantity(block.into()),
        });
        let receipt = json!({
            "status": "0x1",
            "transactionHash": hash,
            "from": it.from(),
            "blockNumber": quantity(block.into()),
            "gasUsed": "0x9c40",
            "effectiveGasPrice": "0x1",
            "logs": [log],
        });
        self.logs.push((block, log));
        self.receipts.insert(hash, Mined { receipt, seen_at: now_ms });
    }

    pub fn stranger_sends(&mut self, payment: &Payment, now_ms: u64) -> String {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        let Call { to, data } = payment_call(&payment.evm());
        let hash = encode_hex(&keccak256(&[&data[..], b"stranger"].concat()));
        let transaction = Transaction {
            chain_id: CHAIN,
            nonce: 0,
            max_priority_fee_per_gas: 1,
            max_fee_per_gas: BASE_FEE,
            gas_limit: 1_000_000,
            to,
            data,
        };
        let pooled = Pooled { hash: hash.clone(), transaction };
        let balance = self.relayer_balance;
        self.execute(&pooled, STRANGER, now_ms);
        self.relayer_balance = balance;
        hash
    }

    fn execute(&mut self, pooled: &Pooled, sender: Address, now_ms: u64) {
        let Pooled { hash, transaction } = pooled;
        let time = *self.blocks.last().unwrap();
        let mut state = self.state.clone();
        let run = self.run(&mut state, transaction.to, &transaction.data, time, true);
        let gas_used = match run {
            Err(Failure::Burns) => transaction.gas_limit,
            _ => gas_of(transaction.to, &transaction.data),
        };
        let (succeeded, transfers) = match run {
            Ok((_, transfers)) if gas_used <= transaction.gas_limit => (true, transfers),
            _ => (false, vec![]),
        };
        let gas_used = gas_used.min(transaction.gas_limit);
        let price =
            transaction.max_fee_per_gas.min(BASE_FEE + transaction.max_priority_fee_per_gas);
        self.relayer_balance = self.relayer_balance.saturating_sub(u128::from(gas_used) * price);
        let block = self.height();
        let mut logs = vec![];
        if succeeded {
            self.state = state;
            for mut transfer in transfers {
                transfer.transaction.clone_from(hash);
                let used = edge402::evm::keccak256(b"AuthorizationUsed(address,bytes32)");
                let moved = edge402::evm::keccak256(b"Transfer(address,address,uint256)");
                let from = encode_hex(&transfer.from.to_word());
                let token = domain().verifying_contract;
                let log = json!({
                    "address": token,
                    "topics": [encode_hex(&used), from, encode_hex(&transfer.nonce)],
                    "data": "0x",
                    "transactionHash": hash,
                    "blockNumber": quantity(block.into()),
                });
                self.logs.push((block, log.clone()));
                logs.push(log);
                logs.push(json!({
                    "address": token,
                    "topics": [encode_hex(&moved), from, encode_hex(&transfer.to.to_word())],
                    "data": encode_hex(&word_of(transfer.amount)),
                    "transactionHash": hash,
                    "blockNumber": quantity(block.into()),
                }));
                self.transfers.push(transfer);
            }
        }
        let receipt = json!({
            "status": if succeeded { "0x1" } else { "0x0" },
            "transactionHash": hash,
            "from": sender,
            "blockNumber": quantity(block.into()),
            "gasUsed": quantity(gas_used.into()),
            "effectiveGasPrice": quantity(price),
            "logs": logs,
        });
        let seen_at = now_ms + self.receipt_delay;
        self.receipts.insert(hash.clone(), Mined { receipt, seen_at });
    }

    pub fn receipt(&self, hash: &str, now_ms: u64) -> Value {
        match self.receipts.get(hash) {
            Some(mined) if mined.seen_at <= now_ms => mined.receipt.clone(),
            _ => Value::Null,
        }
    }

    /// What a call returns and which transfers it makes; `Err` if it reverts.
    fn run(
        &self,
        state: &mut State,
        to: Address,
        data: &[u8],
        time: u64,
        is_real: bool,
    ) -> Result<(Vec<u8>, Vec<Transfer>), Failure> {
        if to == MULTICALL3 && self.has_multicall {
            let mut results = vec![];
            let mut transfers = vec![];
            for (target, allow_failure, data) in read_aggregate3(data) {
                match self.run(state, target, &data, time, is_real) {
                    Ok((returned, made)) => {
                        transfers.extend(made);
                        results.push((true, returned));
                    }
                    Err(Failure::Reverts) if allow_failure => results.push((false, vec![])),
                    Err(failure) => return Err(failure),
                }
            }
            return Ok((write_results(&results), transfers));
        }
        if to != domain().verifying_contract {
            // No code: it does nothing, with success.
            return Ok((vec![], vec![]));
        }
        let from = address_at(data, 0);
        match data[..4] {
            [0xe9, 0x4a, 0x01, 0x02] => {
                let is_used = state.used.contains(&(from, word_at(data, 1)));
                Ok((word_of(is_used.into()).to_vec(), vec![]))
            }
            [0x70, 0xa0, 0x82, 0x31] => Ok((word_of(self.balance(state, from)).to_vec(), vec![])),
            [0xe3, 0xee, 0x16, 0x0e] => {
                let value = number_at(data, 2);
                let nonce = word_at(data, 5);
                match self.codes.get(&from) {
                    Some(Code::Spoils) => return Err(Failure::Burns),
                    Some(Code::Burns) if is_real => return Err(Failure::Burns),
                    _ => {}
                }
                let is_good = u128::from(time) > number_at(data, 3)
                    && u128::from(time) < number_at(data, 4)
                    && self.balance(state, from) >= value
                    && !(is_real && self.poisoned.contains(&nonce));
                if !is_good || !state.used.insert((from, nonce)) {
                    return Err(Failure::Reverts);
                }
                *state.spent.entry(from).or_default() += value;
                let to = address_at(data, 1);
                Ok((
                    vec![],
                    vec![Transfer { from, to, nonce, amount: value, transaction: String::new() }],
                ))
            }
            _ => Err(Failure::Reverts),
        }
    }

    /// Runs creation code and returns what it returns.
    fn create(&self, code: &[u8]) -> Vec<u8> {
        let (mut stack, mut memory) = (vec![], vec![0_u8; 24_576]);
        let mut rest = code;
        let as_size = |word: [u8; 32]| size(&word, 0);
        while let Some((operation, after)) = rest.split_first() {
            rest = after;
            match *operation {
                push @ 0x60..=0x7f => {
                    let (bytes, after) = rest.split_at(usize::from(push) - 0x5f);
                    let mut word = [0; 32];
                    word[32 - bytes.len()..].copy_from_slice(bytes);
                    stack.push(word);
                    rest = after;
                }
                0x3b => {
                    let account = Address::new(stack.pop().unwrap()[12..].try_into().unwrap());
                    let has_code = self.codes.contains_key(&account);
                    stack.push(word_of(if has_code { 23 } else { 0 }));
                }
                0x52 => {
                    let offset = as_size(stack.pop().unwrap());
                    memory[offset..][..32].copy_from_slice(&stack.pop().unwrap());
                }
                0xf3 => {
                    let offset = as_size(stack.pop().unwrap());
                    let length = as_size(stack.pop().unwrap());
                    return memory[offset..][..length].to_vec();
                }
                other => panic!("operation {other:#x}"),
            }
        }
        vec![]
    }

    fn balance(&self, state: &State, account: Address) -> u128 {
        let first = self.balances.get(&account).copied().unwrap_or(self.token_balance);
        first.saturating_sub(state.spent.get(&account).copied().unwrap_or(0))
    }

    pub fn answer(
        &mut self,
        method: &str,
        params: &Value,
        now_ms: u64,
    ) -> Result<Value, (i64, String)> {
        let simulated = |chain: &Self| {
            let call = &params[0];
            let to = call["to"].as_str().unwrap().parse().unwrap();
            let data = bytes(&call["data"]);
            // As nodes do: in a block with the latest one's time, or as is asked.
            let asked = params.get(3).filter(|_| chain.overrides == Overrides::Takes);
            let time = asked.map_or(*chain.blocks.last().unwrap(), |it| {
                u64::try_from(number(&it["time"])).unwrap()
            });
            let run = chain.run(&mut chain.state.clone(), to, &data, time, false);
            run.map(|(returned, _)| (to, data, returned)).map_err(|failure| match failure {
                Failure::Reverts => (3, "execution reverted".to_owned()),
                Failure::Burns => (-32_000, "out of gas".to_owned()),
            })
        };
        if params.get(3).is_some() && self.overrides == Overrides::Refuses {
            return Err((-32_602, "too many arguments, want at most 3".to_owned()));
        }
        Ok(match method {
            "eth_chainId" => quantity(CHAIN.into()).into(),
            "eth_getTransactionCount" => {
                let mut count = self.count();
                while params[1] == "pending" && self.pool.contains_key(&count) {
                    count += 1;
                }
                quantity(count.into()).into()
            }
            "eth_blockNumber" => quantity(self.height().into()).into(),
            "eth_getBalance" => quantity(self.relayer_balance).into(),
            "eth_feeHistory" => {
                let count = number(&params[0]).min(self.blocks.len() as u128) as usize;
                json!({
                    "oldestBlock": quantity(u128::from(self.height()) + 1 - count as u128),
                    "baseFeePerGas": vec![quantity(BASE_FEE); count + 1],
                    "reward": vec![["0x1"]; count],
                })
            }
            "eth_call" if params[0].get("to").is_none() => {
                if !self.runs_creation {
                    return Err((-32_602, "missing field `to`".into()));
                }
                encode_hex(&self.create(&bytes(&params[0]["data"]))).into()
            }
            "eth_getCode" => {
                let account: Address = params[0].as_str().unwrap().parse().unwrap();
                let has_code = self.codes.contains_key(&account);
                if has_code { format!("0xef0100{}", "7e".repeat(20)) } else { "0x".into() }.into()
            }
            "eth_call" => encode_hex(&simulated(self)?.2).into(),
            "eth_estimateGas" => {
                let (to, data, _) = simulated(self)?;
                quantity(gas_of(to, &data).into()).into()
            }
            "eth_sendRawTransactionSync" if !self.has_sync => {
                return Err((-32_601, "the method does not exist".into()));
            }
            "eth_sendRawTransaction" | "eth_sendRawTransactionSync" => {
                self.take(&bytes(&params[0]))?.into()
            }
            "eth_getTransactionReceipt" => self.receipt(params[0].as_str().unwrap(), now_ms),
            "eth_getLogs" => {
                let from = number(&params[0]["fromBlock"]);
                let topics = &params[0]["topics"];
                let found = self.logs.iter().filter(|(block, log)| {
                    let hash = log["transactionHash"].as_str().unwrap();
                    u128::from(*block) >= from
                        && are_these(&log["topics"], topics)
                        && self.receipt(hash, now_ms) != Value::Null
                });
                found.map(|(_, log)| log.clone()).collect::<Vec<_>>().into()
            }
            "eth_getBlockByNumber" => {
                let asked = match &params[0] {
                    Value::String(tag) if tag == "latest" => self.height().into(),
                    number_of => number(number_of),
                };
                let index = asked.checked_sub(u128::from(FIRST_BLOCK));
                // Older blocks are of long ago.
                let time = index.map_or(1, |it| self.blocks[usize::try_from(it).unwrap()]);
                json!({ "number": quantity(asked), "timestamp": quantity(time.into()) })
            }
            _ => return Err((-32_601, format!("the method {method} does not exist"))),
        })
    }

    /// Takes signed bytes into the pool, as geth would.
    fn take(&mut self, raw: &[u8]) -> Result<String, (i64, String)> {
        let refused = |text: &str| Err((-32_000, text.to_owned()));
        let hash = encode_hex(&keccak256(raw));
        let (sender, transaction) = read_transaction(raw);
        assert_eq!(sender, self.relayer, "signed by the relayer");
        assert_eq!(transaction.chain_id, CHAIN);
        if transaction.nonce < self.count() {
            return refused("nonce too low");
        }
        let fees = Fees {
            max_fee_per_gas: transaction.max_fee_per_gas,
            max_priority_fee_per_gas: transaction.max_priority_fee_per_gas,
        };
        if self.relayer_balance < fees.worst_cost(transaction.gas_limit) {
            return refused("insufficient funds for gas * price + value");
        }
        if let Some(known) = self.pool.get(&transaction.nonce) {
            if known.hash == hash {
                return refused("already known");
            }
            let is_more = |new: u128, old: u128| new * 10 >= old * 11;
            let known = &known.transaction;
            if !is_more(transaction.max_fee_per_gas, known.max_fee_per_gas)
                || !is_more(transaction.max_priority_fee_per_gas, known.max_priority_fee_per_gas)
            {
                return refused("replacement transaction underpriced");
            }
        }
        if self.forgets > 0 {
            self.forgets -= 1;
        } else {
            self.pool.insert(transaction.nonce, Pooled { hash: hash.clone(), transaction });
        }
        Ok(hash)
    }
}

/// What a node that lies returns for a check: everything is good, or used.
pub fn false_check(params: &Value, is_good: bool) -> Value {
    let count = read_aggregate3(&bytes(&params[0]["data"])).len() / 3;
    let one = [
        (true, word_of((!is_good).into()).to_vec()),
        (true, word_of(if is_good { u128::MAX } else { 0 }).to_vec()),
        (is_good, vec![]),
    ];
    let results: Vec<_> = std::iter::repeat_n(one, count).flatten().collect();
    encode_hex(&write_results(&results)).into()
}

fn calls_in(transaction: &Transaction) -> usize {
    if transaction.to == MULTICALL3 {
        read_aggregate3(&transaction.data).len()
    } else {
        usize::from(!transaction.data.is_empty())
    }
}

fn gas_of(to: Address, data: &[u8]) -> u64 {
    let calls = if to == MULTICALL3 {
        read_aggregate3(data).len() as u64
    } else {
        u64::from(!data.is_empty())
    };
    GAS_BASE + GAS_PER_CALL * calls
}

fn quantity(number: u128) -> String {
    format!("{number:#x}")
}

fn number(value: &Value) -> u128 {
    u128::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    decode_hex_bytes(text, text.len()).unwrap()
}

fn word_of(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

fn word_at(data: &[u8], index: usize) -> [u8; 32] {
    data[4 + 32 * index..][..32].try_into().unwrap()
}

fn number_at(data: &[u8], index: usize) -> u128 {
    u128::from_be_bytes(word_at(data, index)[16..].try_into().unwrap())
}

fn address_at(data: &[u8], index: usize) -> Address {
    Address::new(word_at(data, index)[12..].try_into().unwrap())
}

fn size(data: &[u8], at: usize) -> usize {
    let word: [u8; 16] = data[at + 16..][..16].try_into().unwrap();
    u128::from_be_bytes(word).try_into().unwrap()
}

fn read_aggregate3(data: &[u8]) -> Vec<(Address, bool, Vec<u8>)> {
    assert_eq!(data[..4], [0x82, 0xad, 0x56, 0xcb], "aggregate3");
    let data = &data[4..];
    let array = size(data, 0);
    let base = array + 32;
    (0..size(data, array))
        .map(|index| {
            let tuple = base + size(data, base + 32 * index);
            let target = Address::new(data[tuple + 12..][..20].try_into().unwrap());
            let call = tuple + size(data, tuple + 64);
            let call_data = data[call + 32..][..size(data, call)].to_vec();
            (target, size(data, tuple + 32) == 1, call_data)
        })
        .collect()
}

fn write_results(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut data = [word_of(0x20), word_of(results.len() as u128)].concat();
    let mut offset = 32 * results.len();
    for (_, returned) in results {
        data.extend(word_of(offset as u128));
        offset += 96 + returned.len().next_multiple_of(32);
    }
    for (success, returned) in results {
        data.extend(word_of((*success).into()));
        data.extend(word_of(0x40));
        data.extend(word_of(returned.len() as u128));
        data.extend(returned);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    data
}

/// Reads a signed EIP-1559 transaction and recovers who signed it.
/// Whether a log has these topics; a list stands for any of its members.
fn are_these(topics: &Value, wanted: &Value) -> bool {
    let (topics, wanted) = (topics.as_array().unwrap(), wanted.as_array().unwrap());
    topics.iter().zip(wanted).all(|(topic, wanted)| match wanted {
        Value::Array(any) => any.contains(topic),
        one => one == topic,
    })
}

pub fn read_transaction(raw: &[u8]) -> (Address, Transaction) {
    let (kind, list) = raw.split_first().unwrap();
    assert_eq!(*kind, 2);
    let (list, rest) = rlp_item(list);
    assert!(rest.is_empty());
    let mut items = vec![];
    let mut rest = list;
    while !rest.is_empty() {
        let (item, after) = rlp_item(rest);
        items.push(item);
        rest = after;
    }
    assert_eq!(items.len(), 12);
    let number = |index: usize| {
        let mut bytes = [0; 16];
        let item: &[u8] = items[index];
        bytes[16 - item.len()..].copy_from_slice(item);
        u128::from_be_bytes(bytes)
    };
    let small = |index: usize| u64::try_from(number(index)).unwrap();
    let transaction = Transaction {
        chain_id: small(0),
        nonce: small(1),
        max_priority_fee_per_gas: number(2),
        max_fee_per_gas: number(3),
        gas_limit: small(4),
        to: Address::new(items[5].try_into().unwrap()),
        data: items[7].to_vec(),
    };
    assert!(items[6].is_empty() && items[8].is_empty(), "no value, no access list");
    let mut signature = [0; 65];
    signature[32 - items[10].len()..32].copy_from_slice(items[10]);
    signature[64 - items[11].len()..64].copy_from_slice(items[11]);
    signature[64] = 27 + u8::try_from(number(9)).unwrap();
    let signature = Signature::from_bytes(&signature).unwrap();
    (signature.recover(&transaction.signing_hash()).unwrap(), transaction)
}

/// The content of the first item, and what is behind it.
fn rlp_item(data: &[u8]) -> (&[u8], &[u8]) {
    let (first, rest) = data.split_first().unwrap();
    let long = |rest: &[u8], count: u8| {
        let length = rest[..count.into()].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (length, usize::from(count))
    };
    let (length, skip) = match *first {
        0..=0x7f => return data.split_at(1),
        0x80..=0xb7 => (usize::from(first - 0x80), 0),
        0xb8..=0xbf => long(rest, first - 0xb7),
        0xc0..=0xf7 => (usize::from(first - 0xc0), 0),
        0xf8.. => long(rest, first - 0xf7),
    };
    rest[skip..].split_at(length)
}
