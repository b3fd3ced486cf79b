//! edge402 is a Cloudflare Worker that sells an origin by the request: it
//! answers with a price (HTTP 402), checks what a client pays, settles it on
//! the chain itself, and delivers. It speaks the x402 protocol, versions 1 and
//! 2, with the scheme `exact` on EVM chains (EIP-3009) and on Solana.
//!
//! The crate is a core without IO and a thin shell around it. The core gets
//! the time, the network and the disk as arguments, so that all of it compiles
//! and is tested on the host; `runtime` connects it to Workers.
//!
//! # The layers
//!
//! A module imports from layers above its own in this table, never from below.
//!
//! | layer | module | what |
//! |---|---|---|
//! | L0 | [`amount`] | prices and token amounts, exact |
//! | | [`time`] | points in time; the clock is always an argument |
//! | | [`encoding`] | hex, base58 and base64, strict and bounded |
//! | | [`error`] | errors as sentences |
//! | | [`json`] | JSON, read strictly, and types that are kept or sent as it |
//! | | [`path`] | a URL's path in its one spelling |
//! | | [`table`], [`together`] | small tables, and a few futures at once |
//! | L1 | [`protocol`] | x402 on the wire: payments, requirements, receipts, reason codes, networks |
//! | | [`rpc`] | JSON-RPC over any transport: batches, failover, the chain check |
//! | | [`meter`] | how much was used of what is sold by use |
//! | L2 | [`evm`] | `exact` on EVM: check a payment, sign a transaction, read a receipt |
//! | | [`solana`] | `exact` on Solana: check a transaction, co-sign it, read its status |
//! | | [`payment`] | one type for the two chains |
//! | | [`facilitator_client`] | somebody else's facilitator, as its client |
//! | L3 | [`config`] | variables and secrets, or every fault in them |
//! | | [`settlement`] | the Settler: claims, the journal, the way onto a chain |
//! | | [`gate`] | what to do with a request, decided from its head |
//! | | [`purchase`] | a paid request, from its claim to the end of its answer |
//! | | [`facilitator`] | what other people's servers ask, and are told |
//! | | [`desk`] | the sales, for the seller's programs |
//! | | [`check`] | what a configuration comes to, for a seller's tools |
//! | L4 | `runtime` | the Worker and the Durable Object: bindings, `fetch`, `SQLite`, KV |
//!
//! Within L2, [`evm`] and [`solana`] don't know each other; [`payment`] names
//! both. Within L3, [`gate`] and [`desk`] use [`config`] and [`settlement`], which
//! don't know each other, [`check`] uses [`config`] and [`gate`], and [`purchase`]
//! and [`facilitator`] use all three.
//!
//! With the feature `check` the crate is no Worker but `edge402 check`'s module:
//! then `runtime/check_module.rs` is all of `runtime`. Only `runtime` names the
//! crates `worker`, `wasm-bindgen` and `js-sys`. They are dependencies for wasm32
//! alone, so `cargo test` on the host proves it.
//!
//! `ARCHITECTURE.md` tells how a request flows through all this, and why.

pub mod amount;
pub mod encoding;
pub mod error;
pub mod incoming;
pub mod json;
pub mod mac;
pub mod path;
pub mod remembered;
pub mod room;
pub mod table;
pub mod time;
pub mod together;

pub mod meter;
pub mod protocol;
pub mod rpc;

pub mod evm;
pub mod facilitator_client;
pub mod payment;
pub mod solana;

pub mod check;
pub mod config;
pub mod desk;
pub mod facilitator;
pub mod gate;
pub mod purchase;
pub mod settlement;

// One core, two shells: the Worker, or a module for the seller's tools.
#[cfg(all(target_arch = "wasm32", feature = "check"))]
#[path = "runtime/check_module.rs"]
mod runtime;
#[cfg(all(target_arch = "wasm32", not(feature = "check")))]
mod runtime;
