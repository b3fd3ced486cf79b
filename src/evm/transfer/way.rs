//! The names of the ways to move a token.

use serde_json::Value;

use crate::json::{FromJson, ToJson};

/// How a token is moved: x402's `assetTransferMethod`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferMethod {
    /// By the token itself (EIP-3009). What is meant where nothing is said.
    #[default]
    Eip3009,
    /// By Permit2, which the payer has allowed to move the token.
    Permit2,
}

impl TransferMethod {
    /// What x402 calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }

    /// The method with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Eip3009, Self::Permit2].into_iter().find(|method| method.name() == name)
    }
}

impl ToJson for TransferMethod {
    fn write_json(&self, to: &mut String) {
        self.name().write_json(to);
    }

    /// Terms of EIP-3009 are written as they were before there was another.
    fn is_absent(&self) -> bool {
        *self == Self::Eip3009
    }
}

impl FromJson for TransferMethod {
    fn from_json(value: &Value) -> Option<Self> {
        Self::named(value.as_str()?)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}
