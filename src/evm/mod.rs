//! x402 `exact` on EVM chains.
