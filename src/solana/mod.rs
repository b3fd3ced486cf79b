//! x402 `exact` on Solana: reading a partially signed transaction, checking
//! it against what the seller asks for, and adding the fee payer's signature.
//!
//! The way of a payment through this module:
//!
//! 1. [`Terms`]: what is asked for, with everything that can be computed
//!    before a payment arrives.
//! 2. [`verify()`]: the client's JSON against the terms, without IO. Its result
//!    is a [`VerifiedPayment`], which nothing else can make.
//! 3. [`co_sign`]: a [`VerifiedPayment`] and our [`FeePayerKey`] make the
//!    [`SignedTransaction`] that the chain takes.
//! 4. [`rpc`]: what to ask a node, and what its answers mean.
//!
//! Source of the rules: x402 specification, scheme `exact` on SVM. Source of
//! the formats: Solana's documentation of transactions and of the programs
//! that are named in [`address`].

pub mod address;
pub mod instruction;
pub mod message;
pub mod rpc;
pub mod settle;
pub mod signature;
pub mod terms;
pub mod verify;

pub use address::{Pubkey, associated_token_address, find_program_address};
pub use instruction::TokenProgram;
pub use message::Transaction;
pub use rpc::{SimulationOutcome, Status};
pub use settle::{SignedTransaction, co_sign};
pub use signature::{FeePayerKey, Signature};
pub use terms::{InvalidTerms, Limits, Terms, TermsParts};
pub use verify::{VerifiedPayment, amount_in, verify};
