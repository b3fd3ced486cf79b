//! Signatures that only the payer's contract can judge: ERC-1271, also of an
//! account that delegates (EIP-7702), and ERC-6492 for one that is not deployed
//! yet.

use crate::encoding::{decode_hex_bytes, encode_hex};
use crate::evm::abi::{self, Call3};
use crate::evm::{Address, Call, MULTICALL3, keccak256};
use crate::protocol::Reason;

/// The longest signature that is read, in bytes, with all that is around it. A
/// passkey's is about 700 bytes, and about 1,300 with what deploys its wallet.
pub const MAX_SIGNATURE_BYTES: usize = 4_096;

/// How a signature ends that has with it what deploys its wallet (ERC-6492).
const SUFFIX: [u8; 32] = [
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
];

/// A signature that the payer's contract is to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletSignature {
    /// As the client sent it.
    whole: Vec<u8>,
    /// What the contract gets.
    inner: Vec<u8>,
    /// What deploys the contract, where that may be needed.
    deployment: Option<Call>,
}

impl WalletSignature {
    /// Reads a signature in hex: 1 to [`MAX_SIGNATURE_BYTES`] bytes. `factories`
    /// are those that may deploy a wallet.
    ///
    /// # Errors
    /// [`Reason::EvmSignature`] for what can't be one, and
    /// [`Reason::Erc6492Factory`] for a factory that is not among those.
    pub(super) fn read(text: &str, factories: &[Address]) -> Result<Self, Reason> {
        let whole = decode_hex_bytes(text, MAX_SIGNATURE_BYTES).unwrap_or_default();
        let (inner, deployment) = match whole.strip_suffix(&SUFFIX) {
            None => (whole.clone(), None),
            Some(wrapped) => {
                let (factory, data, inner) =
                    abi::decode_address_and_two_bytes(wrapped).ok_or(Reason::EvmSignature)?;
                if !factories.contains(&factory) {
                    return Err(Reason::Erc6492Factory);
                }
                (inner, Some(Call { to: factory, data }))
            }
        };
        if inner.is_empty() || inner.ends_with(&SUFFIX) {
            return Err(Reason::EvmSignature);
        }
        Ok(Self { whole, inner, deployment })
    }

    /// What the contract gets.
    pub fn bytes(&self) -> &[u8] {
        &self.inner
    }

    /// What deploys the contract, where that may be needed.
    pub const fn deployment(&self) -> Option<&Call> {
        self.deployment.as_ref()
    }

    /// By what it is known again, whatever is around it.
    pub fn hash(&self) -> String {
        encode_hex(&keccak256(&self.inner))
    }

    /// The signature as the client sent it, in hex.
    pub(super) fn text(&self) -> String {
        encode_hex(&self.whole)
    }

    /// The call that settles: the transfer itself, or behind what deploys its
    /// payer's wallet, in one transaction. Multicall3 makes both, so that a
    /// factory is called by a contract that owns nothing.
    pub(super) fn with_deployment(&self, transfer: Call) -> Call {
        let Some(deployment) = self.deployment.clone() else { return transfer };
        let part =
            |it: Call, allow_failure| Call3 { target: it.to, allow_failure, call_data: it.data };
        // It may have been deployed meanwhile.
        let parts = [part(deployment, true), part(transfer, false)];
        Call { to: MULTICALL3, data: abi::aggregate3(&parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_that_of_erc_6492() {
        assert_eq!(encode_hex(&SUFFIX), format!("0x{}", "6492".repeat(16)));
    }
}
