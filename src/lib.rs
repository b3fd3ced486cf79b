//! x
pub mod amount;
pub mod encoding;
pub mod evm;
pub mod protocol;
pub mod solana;
pub mod time;
