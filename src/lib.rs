//! x
pub mod amount;
pub mod encoding;
pub mod evm;
pub mod path;
pub mod protocol;
pub mod rpc;
pub mod solana;
pub mod time;
