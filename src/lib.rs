//! x
pub mod amount;
pub mod config;
pub mod encoding;
pub mod evm;
pub mod exact;
pub mod gate;
pub mod path;
pub mod protocol;
pub mod rpc;
pub mod settlement;
pub mod solana;
pub mod time;

#[cfg(target_arch = "wasm32")]
mod runtime;
