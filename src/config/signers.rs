//! Who signs on a network, and whose keys signed before: `FORMER_SIGNERS`.

use serde_json::Value;

use super::Config;

use super::fields::Report;
use crate::facilitator_client::Facilitator;
use crate::payment::{PayTo, VerifiedPayment};
use crate::protocol::ChainId;
use crate::{evm, solana};

const KEY: &str = "FORMER_SIGNERS";

/// How many there may be. Each is asked for every payment on its kind of chain.
const MAX: usize = 8;

/// Who sends transactions and pays for them.
#[derive(Clone, Debug, Default)]
pub struct Signers {
    /// On an EVM chain, where this Worker settles.
    pub relayers: Vec<evm::Address>,
    /// On Solana: first the one that buyers are told of.
    pub fee_payers: Vec<solana::Pubkey>,
    /// On Solana: who did before. What was paid with their signature is still
    /// known by it.
    pub former_fee_payers: Vec<solana::Pubkey>,
}

/// Stands for a facilitator's fee payer that is not known yet: none is longer
/// in base58.
const UNKNOWN_FEE_PAYER: solana::Pubkey = solana::Pubkey([0xff; 32]);

impl Signers {
    /// Those of them that sign on a network.
    pub(super) fn on(self, id: ChainId) -> Self {
        if id.names_fee_payer() {
            Self { relayers: vec![], ..self }
        } else {
            Self { relayers: self.relayers, ..Self::default() }
        }
    }

    /// Who signs where somebody else's facilitator settles, as far as buyers
    /// must know.
    pub(super) fn of_facilitator(facilitator: &Facilitator) -> Self {
        let fee_payer = facilitator.facts.fee_payer.unwrap_or(UNKNOWN_FEE_PAYER);
        Self { fee_payers: vec![fee_payer], ..Self::default() }
    }

    /// Who may have signed a payment that is still known; nobody if no one signs
    /// now.
    pub(super) fn known_fee_payers(&self) -> Vec<solana::Pubkey> {
        let former = if self.fee_payers.is_empty() { &[] } else { &*self.former_fee_payers };
        [&*self.fee_payers, former].concat()
    }
}

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
