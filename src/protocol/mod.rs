//! x402 on the wire, versions 1 and 2: what both chains share.
//!
//! Source: the specification of [v1] and [v2], and how HTTP carries them
//! ([v1 over HTTP], [v2 over HTTP]). Its own examples are in
//! `tests/data/specification`, and are read by `tests/host/specification.rs`.
//!
//! [v1]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v1.md
//! [v2]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
//! [v1 over HTTP]: https://github.com/x402-foundation/x402/blob/main/specs/transports-v1/http.md
//! [v2 over HTTP]: https://github.com/x402-foundation/x402/blob/main/specs/transports-v2/http.md

pub mod chain_id;
pub mod coin;
pub mod payment;
pub mod reason;
pub mod requirements;
pub mod settlement;

pub use chain_id::ChainId;
pub use payment::{PaymentPayload, Version};
pub use reason::Reason;
pub use requirements::PaymentRequirements;
pub use settlement::SettlementResponse;
