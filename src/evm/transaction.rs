//! The transactions that a relayer sends: EIP-1559, type 2.

use super::keccak::keccak256;
use super::rlp::{Item, encode_list};
use super::{Address, Fees, RelayerKey, Signature};

/// A call to a contract, without value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub data: Vec<u8>,
}

/// An EIP-1559 transaction without value and access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The sender's nonce: how many transactions it has sent before.
    pub nonce: u64,
    /// The most that goes to the block's builder, in wei per gas.
    pub max_priority_fee_per_gas: u128,
    /// The most that is paid in all, in wei per gas.
    pub max_fee_per_gas: u128,
    /// The most gas that may be used.
    pub gas_limit: u64,
    /// The contract that is called.
    pub to: Address,
    /// The calldata.
    pub data: Vec<u8>,
}

/// A transaction as `eth_sendRawTransaction` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Keccak-256 of `raw`: what the chain knows the transaction by. Known
    /// before anything is sent, so it can be written down first.
    pub hash: [u8; 32],
    /// The EIP-2718 envelope: `0x02` and the RLP of the transaction.
    pub raw: Vec<u8>,
}

impl Transaction {
    /// The transaction that makes a call.
    pub fn new(chain_id: u64, nonce: u64, fees: Fees, gas_limit: u64, call: Call) -> Self {
        Self {
            chain_id,
            nonce,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            max_fee_per_gas: fees.max_fee_per_gas,
            gas_limit,
            to: call.to,
            data: call.data,
        }
    }

    /// The digest that the sender signs (EIP-1559).
    pub fn signing_hash(&self) -> [u8; 32] {
        keccak256(&self.encode(None))
    }

    /// Signs the transaction as this relayer.
    pub fn sign(&self, key: &RelayerKey) -> SignedTransaction {
        let signature = key.sign_digest(&self.signing_hash());
        let raw = self.encode(Some(&signature));
        SignedTransaction { hash: keccak256(&raw), raw }
    }

    fn encode(&self, signature: Option<&Signature>) -> Vec<u8> {
        let chain_id = self.chain_id.to_be_bytes();
        let nonce = self.nonce.to_be_bytes();
        let tip = self.max_priority_fee_per_gas.to_be_bytes();
        let fee = self.max_fee_per_gas.to_be_bytes();
        let gas = self.gas_limit.to_be_bytes();
        let parity = signature.map(|signature| [u8::from(signature.y_is_odd())]);
        let mut items = vec![
            Item::Number(&chain_id),
            Item::Number(&nonce),
            Item::Number(&tip),
            Item::Number(&fee),
            Item::Number(&gas),
            Item::Bytes(self.to.as_bytes()),
            Item::Number(&[]),
            Item::Bytes(&self.data),
            Item::EmptyList,
        ];
        if let (Some(signature), Some(parity)) = (signature, &parity) {
            items.extend([
                Item::Number(parity),
                Item::Number(signature.r()),
                Item::Number(signature.s()),
            ]);
        }
        let mut bytes = vec![2];
        bytes.append(&mut encode_list(&items));
        bytes
    }
}
