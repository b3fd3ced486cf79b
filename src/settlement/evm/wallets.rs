//! Payments whose signatures a contract judges (ERC-1271, ERC-6492).
//!
//! They run a stranger's code on our gas, so each goes alone, whether or not its
//! wallet has code yet, and is given so much gas at most.

use serde_json::Value;

use super::{EvmLane, most_gas};
use crate::evm::{self, Address, abi};
use crate::rpc::{ErrorKind, READ_TIMEOUT, RpcError};
use crate::settlement::{Host, SettleRequest, StoreError, Verdict};

/// For how long a token's lack is believed, in seconds: tokens are upgraded.
const LACK_SECONDS: u64 = 600;

impl<H: Host> EvmLane<H> {
    /// Whether a payment shares a transaction with no other: its signature is for
    /// a contract to judge, one relayer alone may settle it, so that no contract
    /// of anybody's may stand between, or its payer is known to go alone.
    pub(super) fn goes_alone(&self, payment: &evm::VerifiedPayment) -> bool {
        payment.relayer().is_some() || self.may_have_code(payment)
    }

    /// Whether a payment's payer has code, or is treated as if it had: no key has signed,
    /// or it is known to go alone.
    pub(super) fn may_have_code(&self, payment: &evm::VerifiedPayment) -> bool {
        payment.wallet_signature().is_some() || self.is_loner(payment.from())
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

    /// What the chain says of one payment. Where a signature is good and the
    /// transfer would fail all the same, the token may be one that asks no
    /// contract: that is found out, and believed for a while.
    pub(super) async fn verdict_for(
        &self,
        request: &SettleRequest,
        payment: &evm::VerifiedPayment,
    ) -> Result<Verdict, StoreError> {
        if payment.wallet_signature().is_none() {
            return self.verdict_on(request, payment).await;
        }
        let fails = Verdict::Invalid(payment.reasons().fails);
        let now = self.shared.host.now();
        if self.no_wallets.borrow().get(&payment.asset()).is_some_and(|until| now < *until) {
            return Ok(fails);
        }
        let verdict = self.verdict_on(request, payment).await?;
        if verdict == fails {
            self.look_for_wallets(payment.asset()).await;
        }
        Ok(verdict)
    }

    /// Asks whether a token has the transfer with a signature of any length, by
    /// one that is long over: a token that has it says so, and one that has not
    /// says nothing. No payer's contract has a word in it.
    async fn look_for_wallets(&self, token: Address) {
        let call = evm::Call { to: token, data: abi::expired_transfer_with_bytes() };
        let asked = self.nodes.ask_again(&self.call("eth_call", &call, None), READ_TIMEOUT).await;
        if let Ok(Err(error)) = asked
            && says_nothing(&error)
        {
            let until = self.shared.host.now().plus(LACK_SECONDS);
            self.no_wallets.borrow_mut().insert(token, until);
            self.log(&format!(
                "{token} has no transferWithAuthorization that takes a contract's signature (USDC \
                 has since its version 2.2): smart wallets can't pay in it; set smart_wallets = \
                 false in NETWORKS"
            ));
        }
    }
}

/// Whether a call reverted without a word of why.
fn says_nothing(error: &RpcError) -> bool {
    let has_data = match &error.data {
        None | Some(Value::Null) => false,
        Some(Value::String(data)) => data.len() > 2,
        Some(_) => true,
    };
    let (_, why) = error.message.split_once("reverted").unwrap_or(("", "unknown"));
    error.kind("eth_call") == ErrorKind::Execution && !has_data && why.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_says_nothing_that_reverts_without_a_word() {
        let error = |code, message: &str, data: Value| {
            let data = (!data.is_null()).then_some(data);
            RpcError { code, message: message.to_owned(), data }
        };
        for (error, is_silent) in [
            (error(3, "execution reverted", json!(null)), true),
            (error(3, "execution reverted", json!("0x")), true),
            (error(-32_000, "execution reverted ", json!(null)), true),
            (error(3, "execution reverted", json!("0x08c379a0")), false),
            (error(3, "execution reverted", json!({ "data": "0x" })), false),
            (error(3, "execution reverted: paused", json!(null)), false),
            (error(-32_005, "rate limited", json!(null)), false),
            (error(-32_603, "internal error", json!(null)), false),
        ] {
            assert_eq!(says_nothing(&error), is_silent, "{error:?}");
        }
    }
}
