//! Whose keys signed before: `FORMER_SIGNERS`.

use serde_json::Value;

use super::Config;

use super::fields::Report;
use crate::payment::{PayTo, VerifiedPayment};
use crate::{evm, solana};

const KEY: &str = "FORMER_SIGNERS";

/// How many there may be. Each is asked for every payment on its kind of chain.
const MAX: usize = 8;

/// The signers that were replaced, or shared with others, lately: a payment that
/// was claimed then is known to their Settlers alone.
#[derive(Debug, Default)]
pub struct FormerSigners {
    /// On EVM chains. One that still signs may be among them.
    pub relayers: Vec<evm::Address>,
    /// On Solana, but those that still sign: which one a payment is for stands
    /// in its transaction.
    pub fee_payers: Vec<solana::Pubkey>,
}

impl FormerSigners {
    pub(super) fn read(
        value: Option<&Value>,
        fee_payers_now: &[solana::Pubkey],
        faults: &Report,
    ) -> Self {
        let mut signers = Self::default();
        let Some(value) = value.filter(|value| !value.is_null()) else { return signers };
        let Some(entries) = value.as_array().filter(|entries| entries.len() <= MAX) else {
            faults.add(KEY, "must be a list of at most 8 addresses: [\"0x…\"]");
            return signers;
        };
        for (number, entry) in entries.iter().enumerate() {
            let problem = match entry.as_str().and_then(PayTo::parse) {
                _ if entries.iter().take(number).any(|earlier| earlier == entry) => {
                    "is the same as an earlier one"
                }
                Some(PayTo::Evm(relayer)) => {
                    signers.relayers.push(relayer);
                    continue;
                }
                Some(PayTo::Solana(fee_payer)) => {
                    if !fee_payers_now.contains(&fee_payer) {
                        signers.fee_payers.push(fee_payer);
                    }
                    continue;
                }
                None => {
                    "must be the address of a former key, never the key: 0x and 40 hex digits \
                     with a right checksum if in mixed case, or base58 of 32 bytes"
                }
            };
            faults.add(format!("{KEY}[{number}]"), problem);
        }
        signers
    }
}

impl Config {
    /// Whether the transaction of a payment names a fee payer that signs no more.
    pub fn has_former_fee_payer(&self, payment: &VerifiedPayment) -> bool {
        matches!(
            payment,
            VerifiedPayment::Solana(payment)
                if self.former_signers.fee_payers.contains(payment.fee_payer())
        )
    }
}
