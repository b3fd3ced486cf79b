//! Payments whose signatures a contract judges (ERC-1271, ERC-6492).
//!
//! They run a stranger's code on our gas, so each goes alone, whether or not its
//! wallet has code yet, and is given so much gas at most.

use super::{EvmLane, most_gas};
use crate::evm;
use crate::settlement::Host;

impl<H: Host> EvmLane<H> {
    /// Whether a payment shares a transaction with no other: its signature is for
    /// a contract to judge, one relayer alone may settle it, so that no contract
    /// of anybody's may stand between, or its payer is known to go alone.
    pub(super) fn goes_alone(&self, payment: &evm::VerifiedPayment) -> bool {
        payment.wallet_signature().is_some()
            || payment.relayer().is_some()
            || self.is_loner(payment.from())
    }

    /// The most gas that a transaction with these payments is given.
    pub(super) fn most_gas(&self, payments: &[&evm::VerifiedPayment]) -> u64 {
        let is_wallets = payments.iter().any(|payment| payment.wallet_signature().is_some());
        let of_wallet = self.limits.wallet_gas.filter(|_| is_wallets);
        of_wallet.unwrap_or_else(|| most_gas(payments.iter().copied()))
    }

    /// Says why a wallet that is not deployed can't pay where nothing can make
    /// two calls in one transaction.
    pub(super) fn note_undeployed(&self, payments: &[&evm::VerifiedPayment]) {
        let mut signatures = payments.iter().filter_map(|payment| payment.wallet_signature());
        if self.lacks_multicall() && signatures.any(|it| it.deployment().is_some()) {
            self.log("no Multicall3 on this chain: a wallet that is not deployed yet can't pay");
        }
    }
}
