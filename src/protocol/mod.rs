//! x402 on the wire, versions 1 and 2: what both chains share.

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
