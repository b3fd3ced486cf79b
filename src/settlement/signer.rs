//! Who signs for a lane.

use crate::evm::{Address, RelayerKey};

/// A key, or the address that is left of one that the seller has replaced.
/// Without its key a lane still follows what was sent and sends it again; it
/// signs nothing.
pub struct Signer<K, A> {
    key: Option<K>,
    address: A,
}

impl<K, A: Copy> Signer<K, A> {
    /// An account whose key is not there any more.
    pub const fn retired(address: A) -> Self {
        Self { key: None, address }
    }

    /// The account's address.
    pub const fn address(&self) -> A {
        self.address
    }

    /// The key, if it is there.
    pub const fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }
}

impl From<RelayerKey> for Signer<RelayerKey, Address> {
    fn from(key: RelayerKey) -> Self {
        Self { address: key.address(), key: Some(key) }
    }
}
