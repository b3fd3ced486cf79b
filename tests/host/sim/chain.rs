//! An EVM chain with two tokens and one relayer, as a node shows it.

mod contracts;
mod node;
mod permit2;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};

use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::{Address, Call, Fees, MULTICALL3, Signature, Transaction, keccak256};
use serde_json::{Value, json};

use crate::evm_support::eip3009;

use super::payment::is_token;
use super::{CHAIN, Payment};
use wire::*;
pub use wire::{false_check, read_transaction};

pub const BASE_FEE: u128 = 1_000_000_000;
const GAS_BASE: u64 = 21_000;
const GAS_PER_CALL: u64 = 45_000;
const FIRST_BLOCK: u64 = 1_000;
const STRANGER: Address = Address::new([0x57; 20]);

/// A transfer that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub token: Address,
    pub from: Address,
    pub to: Address,
    pub nonce: [u8; 32],
    /// In atomic units.
    pub amount: u128,
    pub by_permit2: bool,
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
    /// Burns so much gas that nothing is left for the calls behind it.
    Starves,
    /// Approves in simulations, and of nothing on chain.
    Changes,
}

/// Whether a token has the transfer with a signature of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    WithBytes,
    Without,
}

/// What a factory of wallets does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factory {
    Deploys,
    Reverts,
    /// Deploys in simulations, and burns all gas on chain.
    Burns,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Reverts,
    /// With all gas of the transaction.
    Burns,
    /// With so much that nothing is left for the calls behind it.
    Starves,
}

/// What a call returns and which transfers it makes.
type Ran = Result<(Vec<u8>, Vec<Transfer>), Failure>;

/// What calls change.
#[derive(Clone, Default)]
struct State {
    /// Of each token, whose nonces were used.
    used: HashSet<(Address, Address, [u8; 32])>,
    /// The nonces that Permit2 has seen, and in which block.
    bits: HashMap<(Address, [u8; 32]), u64>,
    /// Of each token, what payers have paid.
    spent: HashMap<(Address, Address), u128>,
    /// How many of the token's own permits it has taken of each payer, and what
    /// they let Permit2 move.
    permits: HashMap<Address, u8>,
    approved: HashMap<Address, u128>,
    /// What Permit2 has moved.
    lent: HashMap<Address, u128>,
    deployed: HashSet<Address>,
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
    /// Where x402's contract for Permit2 is, if it is.
    pub proxy: Option<Address>,
    pub has_sync: bool,
    pub relayer: Address,
    /// What the relayer has, in wei.
    pub relayer_balance: u128,
    /// What each payer had of each token at first.
    pub token_balance: u128,
    /// Transactions that offer less stay in the pool.
    pub min_fee: u128,
    /// How much gas a block has, and how much of it others use.
    pub block_gas: u64,
    pub others_gas: u64,
    /// How long after its block a receipt is seen, in milliseconds.
    pub receipt_delay: u64,
    /// How many transactions the node takes and then forgets.
    pub forgets: usize,
    /// What some payers have instead.
    pub balances: HashMap<Address, u128>,
    /// What some payers let Permit2 move, in place of everything.
    pub allowances: HashMap<Address, u128>,
    /// The payers with code.
    pub codes: HashMap<Address, Code>,
    /// Whether the token has the transfer that takes a contract's signature.
    pub overload: Overload,
    /// What each smart wallet takes for a signature.
    pub wallets: HashMap<Address, Vec<u8>>,
    /// Who deploys wallets that have no code yet.
    pub factories: HashMap<Address, Factory>,
    /// How often a node has simulated something.
    pub simulations: std::cell::Cell<usize>,
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
    /// The calldata of what is in blocks.
    inputs: HashMap<String, Vec<u8>>,
    /// By how much blocks' times are behind, in seconds.
    pub clock_lag: u64,
}

impl Chain {
    pub fn new(has_multicall: bool, has_sync: bool, relayer: Address) -> Self {
        Self {
            overrides: Overrides::Takes,
            has_multicall,
            proxy: Some(permit2::EXACT_PROXY),
            has_sync,
            relayer,
            relayer_balance: 10_u128.pow(18),
            token_balance: 1_000 * super::AMOUNT,
            min_fee: 0,
            block_gas: u64::MAX,
            others_gas: 0,
            receipt_delay: 0,
            forgets: 0,
            balances: HashMap::new(),
            allowances: HashMap::new(),
            codes: HashMap::new(),
            overload: Overload::WithBytes,
            wallets: HashMap::new(),
            factories: HashMap::new(),
            simulations: std::cell::Cell::default(),
            runs_creation: true,
            poisoned: HashSet::new(),
            pool: BTreeMap::new(),
            blocks: vec![super::time::START_MS / 1_000],
            mined: vec![],
            transfers: vec![],
            state: State::default(),
            receipts: HashMap::new(),
            logs: vec![],
            inputs: HashMap::new(),
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

    pub fn transfers_of(&self, payment: &Payment) -> Vec<Transfer> {
        let it = payment.evm();
        let (nonce, by_permit2) = match it.transfer() {
            edge402::evm::Transfer::Eip3009(it) => (*it.nonce(), false),
            edge402::evm::Transfer::Permit2(it) => (it.nonce().to_be_bytes(), true),
        };
        let is_its = |transfer: &&Transfer| {
            (transfer.token, transfer.from, transfer.nonce, transfer.by_permit2)
                == (it.asset(), it.from(), nonce, by_permit2)
        };
        self.transfers.iter().filter(is_its).cloned().collect()
    }

    /// Takes what is in the pool into a block, as far as nonces go on.
    pub fn mine(&mut self, now_ms: u64) {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        let mut left = self.block_gas - self.others_gas;
        while let Some(pooled) = self.pool.get(&self.count()) {
            let gas = gas_of(pooled.transaction.to, &pooled.transaction.data);
            if pooled.transaction.max_fee_per_gas < self.min_fee || gas > left {
                break;
            }
            left -= gas;
            let pooled = self.pool.remove(&self.count()).unwrap();
            self.execute(&pooled, self.relayer, now_ms);
            self.mined.push(pooled);
        }
    }

    /// A payer takes an authorization back.
    pub fn cancel(&mut self, payment: &Payment) {
        let authorization = payment.authorization.as_ref().unwrap();
        let token = payment.evm().asset();
        self.state.used.insert((token, authorization.from, authorization.nonce));
    }

    /// The payer cancels a payment's authorization, and no log tells.
    pub fn payer_cancels_in_silence(&mut self, payment: &Payment) {
        let it = payment.evm();
        self.state.used.insert((it.asset(), it.from(), *eip3009(&it).nonce()));
    }

    /// The payer cancels a payment's authorization, in a block of its own.
    pub fn payer_cancels(&mut self, payment: &Payment, now_ms: u64) {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        let it = payment.evm();
        self.state.used.insert((it.asset(), it.from(), *eip3009(&it).nonce()));
        let name = edge402::evm::keccak256(b"AuthorizationCanceled(address,bytes32)");
        let hash = encode_hex(&keccak256(&[&eip3009(&it).nonce()[..], b"cancel"].concat()));
        let from = encode_hex(&it.from().to_word());
        let (block, token) = (self.height(), it.asset());
        let log = json!({
            "address": token,
            "topics": [encode_hex(&name), from, encode_hex(eip3009(&it).nonce())],
            "data": "0x",
            "transactionHash": hash,
            "blockNumber": quantity(block.into()),
        });
        self.note_transaction(&hash, it.from(), block, vec![], vec![log], now_ms);
    }

    /// A good transaction of somebody's, and its logs.
    fn note_transaction(
        &mut self,
        hash: &str,
        from: Address,
        block: u64,
        input: Vec<u8>,
        logs: Vec<Value>,
        now_ms: u64,
    ) {
        let receipt = json!({
            "status": "0x1",
            "transactionHash": hash,
            "from": from,
            "blockNumber": quantity(block.into()),
            "gasUsed": "0x9c40",
            "effectiveGasPrice": "0x1",
            "logs": logs,
        });
        self.logs.extend(logs.into_iter().map(|log| (block, log)));
        self.inputs.insert(hash.into(), input);
        self.receipts.insert(hash.into(), Mined { receipt, seen_at: now_ms });
    }

    /// Somebody else broadcasts a payment; it lands in a block of its own.
    pub fn stranger_sends(&mut self, payment: &Payment, now_ms: u64) -> String {
        self.stranger_calls(payment.evm().call(), now_ms)
    }

    /// Somebody else makes a call, in a block of its own.
    pub fn stranger_calls(&mut self, Call { to, data }: Call, now_ms: u64) -> String {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
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
}
