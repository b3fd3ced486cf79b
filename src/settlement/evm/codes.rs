//! Which payers have code.

use super::EvmLane;
use super::spoiled::read_codes;
use crate::evm::{self, BlockTag, json_rpc};
use crate::rpc::{Call, ErrorKind, Reply, RpcError};
use crate::settlement::Host;

/// For how long a node that runs no creation code is not asked to, in seconds.
const NO_SIZES_SECONDS: u64 = 600;

impl<H: Host> EvmLane<H> {
    /// Asks which payers have code: in one call, where the node takes that.
    pub(super) fn code_calls(
        &self,
        payments: &[&evm::VerifiedPayment],
        by_sizes: bool,
    ) -> Vec<Call> {
        if !by_sizes {
            return payments.iter().map(|payment| code_call(payment)).collect();
        }
        let payers: Vec<_> = payments.iter().map(|payment| payment.from()).collect();
        let code = evm::code_sizes_code(&payers);
        let params = json_rpc::creation_params(self.key.address(), &code, BlockTag::Latest);
        vec![Call::new("eth_call", params)]
    }

    /// Which payers have code, by the answers to [`Self::code_calls`]. A node
    /// that doesn't run creation code is asked for the code of each.
    pub(super) async fn read_codes(
        &self,
        replies: &[Reply],
        payments: &[&evm::VerifiedPayment],
        by_sizes: bool,
    ) -> Option<Vec<bool>> {
        if !by_sizes {
            return read_codes(replies);
        }
        let sizes = match replies {
            [Ok(sizes)] => json_rpc::parse_data(sizes, payments.len().checked_mul(32)?),
            _ => None,
        };
        let has_code = sizes.and_then(|sizes| evm::read_code_sizes(&sizes, payments.len()));
        if has_code.is_some() {
            return has_code;
        }
        // A limit or a breakdown says nothing of the next time.
        let will_pass = |error: &RpcError| {
            matches!(
                error.kind("eth_call"),
                ErrorKind::Limit | ErrorKind::Batch | ErrorKind::Internal
            )
        };
        if !matches!(replies, [Err(error)] if will_pass(error)) {
            self.no_sizes_until.set(self.shared.host.now().plus(NO_SIZES_SECONDS));
            self.log(&format!(
                "the node runs no creation code in eth_call: asked by eth_getCode for the next \
                 {} minutes",
                NO_SIZES_SECONDS / 60
            ));
        }
        let calls: Vec<_> = payments.iter().map(|payment| code_call(payment)).collect();
        read_codes(&self.nodes.ask(&calls).await.ok()?)
    }
}

fn code_call(payment: &evm::VerifiedPayment) -> Call {
    Call::new("eth_getCode", json_rpc::account_params(payment.from(), BlockTag::Latest))
}
