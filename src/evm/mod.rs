//! `exact` on EVM: payments checked, signed and settled here.
//!
//! Nothing in this module does IO or reads a clock. It turns what a client
//! sent into a [`VerifiedPayment`], that into calls, those into a signed
//! transaction and JSON-RPC parameters, and what a node answered into facts.
//!
//! | module | what | source |
//! |---|---|---|
//! | [`address`] | accounts | EIP-55 |
//! | [`uint`] | `uint256` | Solidity ABI |
//! | [`keccak`] | the hash | Keccak submission, before SHA-3 |
//! | [`abi`] | calldata and what calls return | Solidity ABI |
//! | [`eip712`] | what a payer signs | EIP-712, EIP-3009 |
//! | [`signature`] | ECDSA signatures, the relayer's key | SEC 1, EIP-2 |
//! | [`rlp`], [`transaction`] | what a relayer sends | EIP-1559, EIP-2718 |
//! | [`transfer`] | a payment from the wire, checked, and how its token moves it | x402 exact on EVM |
//! | [`code_sizes`] | which payers have code | EVM creation code |
//! | [`multicall`], [`receipt`], [`fees`], [`json_rpc`] | getting it onto the chain | Ethereum JSON-RPC |

pub mod abi;
pub mod address;
pub mod code_sizes;
pub mod eip712;
pub mod fees;
pub mod json_rpc;
pub mod keccak;
pub mod multicall;
pub mod receipt;
pub mod rlp;
pub mod signature;
pub mod transaction;
pub mod transfer;
pub mod uint;

pub use abi::MULTICALL3;
pub use address::Address;
pub use code_sizes::{code_sizes_code, read_code_sizes};
pub use eip712::Domain;
pub use fees::{Fees, TipLimits};
pub use json_rpc::BlockTag;
pub use keccak::keccak256;
pub use multicall::{
    CALLDATA_PER_BATCH, CALLDATA_PER_PAYMENT, GAS_PER_PAYMENT, GAS_PER_TRANSACTION, batch_call,
    batch_estimate_call, check_call, questions_call, read_check, read_questions, revert_reason,
};
pub use receipt::{Log, Receipt};
pub use signature::{RelayerKey, Signature};
pub use transaction::{Call, SignedTransaction, Transaction};
pub use transfer::{
    Authorization, Clue, Eip3009, ExactEvmPayload, Facts, NonceQuestion, Permit2,
    Permit2Authorization, Signed, Terms, Transfer, TransferMethod, VerifiedPayment,
    WalletSignature, authorization_transferred, check, paid, payer_in, refusal, transfer_happened,
    verify,
};
pub use uint::Uint256;
