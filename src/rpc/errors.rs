//! What an error of a node means: one table for all that nodes, and what
//! stands in front of them, are known to say.
//!
//! Sources: the JSON-RPC specification, EIP-1474 and EIP-7966; the pools of
//! geth, Nethermind, Erigon, reth, Besu and anvil; the error references of
//! hosted nodes; `RpcCustomError` of Solana's node.

use serde_json::Value;

use super::RpcError;

/// What an error says, and whose fault that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for fails when it runs: the payment's fault.
    Execution,
    /// The node has the transaction: as good as a success.
    AlreadyKnown,
    /// The node has the transaction and can't wait longer for its block.
    Taken,
    /// The transaction's nonce is used, perhaps by itself.
    NonceTooLow,
    /// The node wants higher fees.
    Underpriced,
    /// The transaction is in no pool of this node, and can't be: the key's
    /// fault or ours, such as no money for gas.
    Rejected,
    /// The same, because it is larger than the node or the chain lets one be: by its
    /// gas, its bytes, or what it may cost.
    TooLarge,
    /// The node's own: the caller asked too often, or may not ask.
    Limit,
    /// The node's own: it takes no batches, or smaller ones.
    Batch,
    /// The node's own: it doesn't have the method.
    NoMethod,
    /// The node's own: it is broken, behind, or doesn't understand us.
    Internal,
    /// None of these.
    Unknown,
}

impl ErrorKind {
    /// Whether the error says nothing of what was asked: another node may
    /// answer.
    pub const fn is_nodes_own(self) -> bool {
        matches!(self, Self::Limit | Self::Batch | Self::NoMethod | Self::Internal)
    }

    /// Whether the error is about a transaction that was sent.
    pub const fn is_of_transaction(self) -> bool {
        matches!(
            self,
            Self::AlreadyKnown
                | Self::Taken
                | Self::NonceTooLow
                | Self::Underpriced
                | Self::Rejected
                | Self::TooLarge
        )
    }

    /// Whether a transaction that was sent is in no pool of this node, and can't be.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Rejected | Self::TooLarge)
    }
}

use ErrorKind::{
    AlreadyKnown, Batch, Execution, Internal, Limit, NoMethod, NonceTooLow, Rejected, Taken,
    TooLarge, Underpriced, Unknown,
};

/// How an error's text begins if it is a contract's: what follows is the
/// contract's own text and means nothing here.
const REVERTS: [&str; 4] =
    ["execution reverted", "vm execution error", "vm exception", "transaction reverted"];

/// The first text that is part of the message, in small letters, decides.
const TEXTS: [(&str, ErrorKind); 97] = [
    ("already known", AlreadyKnown),
    ("alreadyknown", AlreadyKnown),
    ("known transaction", AlreadyKnown),
    ("already imported", AlreadyKnown),
    ("already in mempool", AlreadyKnown),
    ("already in the mempool", AlreadyKnown),
    ("already in pool", AlreadyKnown),
    ("already in the pool", AlreadyKnown),
    ("already in the tx", AlreadyKnown),
    ("already exist", AlreadyKnown),
    ("already received", AlreadyKnown),
    ("with same hash", AlreadyKnown),
    ("already been processed", AlreadyKnown),
    ("alreadyprocessed", AlreadyKnown),
    ("added to the mempool", Taken),
    ("nonce too low", NonceTooLow),
    ("nonce is too low", NonceTooLow),
    ("oldnonce", NonceTooLow),
    ("stale nonce", NonceTooLow),
    ("nonce has already been used", NonceTooLow),
    ("underpriced", Underpriced),
    ("feetoolow", Underpriced),
    ("fee too low", Underpriced),
    ("gas price too low", Underpriced),
    ("gas price supplied is too low", Underpriced),
    ("gas price below", Underpriced),
    ("base fee", Underpriced),
    ("tip cap", Underpriced),
    ("could not replace existing", Underpriced),
    ("insufficient funds", Rejected),
    ("insufficientfunds", Rejected),
    // Reth's for more gas than a block has.
    ("intrinsic gas too high", TooLarge),
    ("intrinsic gas", Rejected),
    ("exceeds block gas limit", TooLarge),
    // The cap of one transaction's gas (EIP-7825) in geth's, reth's, Besu's, Erigon's and
    // Base's words, and in Nethermind's, with those for the block's limit.
    ("transaction gas limit", TooLarge),
    ("gas limit too high", TooLarge),
    ("gas limit is too high", TooLarge),
    ("gas limit reached", TooLarge),
    ("gaslimitexceeded", TooLarge),
    ("gaslimitcapexceeded", TooLarge),
    // The cap of its fee that a node's operator sets, and the most bytes.
    ("exceeds the configured cap", TooLarge),
    ("fee cap exceeded", TooLarge),
    ("oversized data", TooLarge),
    // Besu's for no money.
    ("upfront cost exceeds", Rejected),
    ("invalid sender", Rejected),
    ("invalid chain id", Rejected),
    ("batch", Batch),
    ("rate limit", Limit),
    ("rate-limit", Limit),
    ("ratelimit", Limit),
    ("limit exceeded", Limit),
    ("limit reached", Limit),
    ("exceeded", Limit),
    ("too many", Limit),
    ("request limit", Limit),
    ("rate exceeded", Limit),
    ("throttl", Limit),
    ("quota", Limit),
    ("capacity", Limit),
    ("compute units", Limit),
    ("credits", Limit),
    ("slow down", Limit),
    ("try again", Limit),
    ("upgrade", Limit),
    ("unauthorized", Limit),
    ("not authorized", Limit),
    ("unauthenticated", Limit),
    ("authenticate", Limit),
    ("forbidden", Limit),
    ("access denied", Limit),
    ("api key", Limit),
    ("apikey", Limit),
    ("project id", Limit),
    ("method not found", NoMethod),
    ("unsupported method", NoMethod),
    ("unknown method", NoMethod),
    ("not whitelisted", NoMethod),
    ("not supported", NoMethod),
    ("not implemented", NoMethod),
    ("not available", NoMethod),
    ("not allowed", NoMethod),
    ("not enabled", NoMethod),
    ("does not exist", NoMethod),
    ("timeout", Internal),
    ("timed out", Internal),
    ("overloaded", Internal),
    ("busy", Internal),
    ("unavailable", Internal),
    ("unhealthy", Internal),
    ("healthy", Internal),
    ("is behind", Internal),
    ("syncing", Internal),
    ("header not found", Internal),
    ("missing trie node", Internal),
    ("bad gateway", Internal),
    ("internal error", Internal),
    ("internal server error", Internal),
];

/// What decides after the text, on EVM.
const EVM_CODES: [(i64, ErrorKind); 15] = [
    (3, Execution),
    (4, Taken),
    (5, Taken),
    (429, Limit),
    (-32_001, NoMethod),
    (-32_002, Internal),
    (-32_004, NoMethod),
    (-32_005, Limit),
    (-32_007, Limit),
    (-32_015, Execution),
    (-32_016, Limit),
    (-32_600, Internal),
    (-32_601, NoMethod),
    (-32_603, Internal),
    (-32_700, Internal),
];

/// What decides after the text, on Solana.
const SOLANA_CODES: [(i64, ErrorKind); 18] = [
    (429, Limit),
    (-32_001, Internal),
    (-32_002, Execution),
    (-32_003, Execution),
    (-32_004, Internal),
    (-32_005, Internal),
    (-32_006, Execution),
    (-32_007, Internal),
    (-32_011, NoMethod),
    (-32_013, Execution),
    (-32_014, Internal),
    (-32_015, Execution),
    (-32_016, Internal),
    (-32_600, Internal),
    (-32_601, NoMethod),
    (-32_602, Execution),
    (-32_603, Internal),
    (-32_700, Internal),
];

/// What a virtual machine says when it stops.
const STOPS: [&str; 7] = [
    "revert",
    "out of gas",
    "outofgas",
    "gas required exceeds",
    "always failing",
    "invalid opcode",
    "stack underflow",
];

impl RpcError {
    /// What the error means as the answer to this method.
    pub fn kind(&self, method: &str) -> ErrorKind {
        let text = self.message.to_ascii_lowercase();
        let is_evm = method.starts_with("eth_");
        let has_revert_data =
            self.data.as_ref().and_then(Value::as_str).is_some_and(|data| data.starts_with("0x"));
        if is_evm
            && (self.code == 3
                || has_revert_data
                || REVERTS.iter().any(|start| text.starts_with(start)))
        {
            return Execution;
        }
        // A Solana transaction that won't run says why in words of all kinds.
        if !is_evm && matches!(self.code, -32_002 | -32_003) {
            return Execution;
        }
        let by_text = TEXTS.iter().find(|(part, _)| text.contains(part)).map(|(_, kind)| *kind);
        if let Some(kind) = by_text {
            return kind;
        }
        if is_evm && STOPS.iter().any(|part| text.contains(part)) {
            return Execution;
        }
        let codes: &[(i64, ErrorKind)] = if is_evm { &EVM_CODES } else { &SOLANA_CODES };
        codes.iter().find(|(code, _)| *code == self.code).map_or(Unknown, |(_, kind)| *kind)
    }
}
