//! The scheme `exact`, whichever chain it is on: one type for the two.

mod asset;
mod on_chain;
pub mod refund;

use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::json;
use crate::json_enum;
use crate::protocol::Reason;
use crate::time::UnixSeconds;
use crate::{evm, solana};

pub use asset::{Asset, NoTerms, PayTo, Wanted};

/// What a payment must be, on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// A token transfer on an EVM chain.
    Evm(evm::Terms),
    /// A token transfer on Solana.
    Solana(solana::Terms),
}

json_enum!(Terms { Evm(terms), Solana(terms) });

/// A payment that meets its terms. Only [`Terms::check`] makes one.
#[derive(Clone, Debug)]
pub enum VerifiedPayment {
    /// A token transfer on an EVM chain.
    Evm(evm::VerifiedPayment),
    /// A token transfer on Solana.
    Solana(solana::VerifiedPayment),
}

/// What the check of a payment comes to.
#[derive(Clone, Debug)]
pub enum Checked {
    /// It can be settled, as far as can be told without asking a chain.
    Payable(VerifiedPayment),
    /// Its time is over: what it bought while it was good can still be
    /// collected, and nothing else be done with it.
    Lapsed(VerifiedPayment),
}

impl Checked {
    /// The payment, if it can be settled.
    ///
    /// # Errors
    /// Its time is over.
    pub fn payable(self) -> Result<VerifiedPayment, Reason> {
        match self {
            Self::Payable(payment) => Ok(payment),
            Self::Lapsed(payment) => Err(payment.too_late()),
        }
    }

    /// The same payment, of which so much is charged, in atomic units.
    ///
    /// # Errors
    /// [`Reason::UptoExceedsAmount`]: it is more than was signed for.
    /// [`Reason::InvalidScheme`]: the payment is for an exact amount.
    pub fn charged(self, amount: AtomicAmount) -> Result<Self, Reason> {
        let (payment, has_lapsed) = self.into_parts();
        let payment = match payment {
            VerifiedPayment::Evm(payment) => VerifiedPayment::Evm(payment.charged(amount)?),
            VerifiedPayment::Solana(_) => return Err(Reason::InvalidScheme),
        };
        Ok(if has_lapsed { Self::Lapsed(payment) } else { Self::Payable(payment) })
    }

    /// The payment, and whether its time is over.
    pub fn into_parts(self) -> (VerifiedPayment, bool) {
        match self {
            Self::Payable(payment) => (payment, false),
            Self::Lapsed(payment) => (payment, true),
        }
    }
}

impl Terms {
    /// The fee payer that buyers are told of, on Solana.
    pub fn fee_payer(&self) -> Option<&solana::Pubkey> {
        match self {
            Self::Solana(terms) => terms.parts().fee_payers.first(),
            Self::Evm(_) => None,
        }
    }

    /// Whether a text is the address of one of ours that a payment may name: of a
    /// fee payer on Solana, of a relayer on EVM where it is paid by use.
    pub fn is_signer(&self, text: &str) -> bool {
        match self {
            Self::Solana(terms) => text.parse().is_ok_and(|key| terms.is_fee_payer(&key)),
            Self::Evm(terms) => terms
                .relayers()
                .is_some_and(|all| text.parse().is_ok_and(|relayer| all.contains(&relayer))),
        }
    }

    /// Whether a payment that names no token can be in this one, whatever else
    /// is wrong with it: on EVM the signature is the payer's for its domain, on
    /// Solana the transaction moves its mint. What can't be read may be in any.
    pub fn may_be_for(&self, payload: &Value) -> bool {
        // These are looked at before any time is. Of a signature that a contract
        // judges nobody here can tell what it is for.
        let checked = self.without_wallets().check(payload, UnixSeconds(0));
        !matches!(checked, Err(Reason::EvmSignature | Reason::SvmMintMismatch))
    }

    /// The bytes of the token's address, by which a Settler tells tokens apart.
    pub fn token_key(&self) -> [u8; 32] {
        match self {
            Self::Evm(terms) => terms.asset().to_word(),
            Self::Solana(terms) => terms.parts().mint.0,
        }
    }

    /// The token's address or mint.
    pub fn asset(&self) -> String {
        match self {
            Self::Evm(terms) => terms.asset().to_string(),
            Self::Solana(terms) => terms.parts().mint.to_string(),
        }
    }

    /// The same terms for another amount; on EVM.
    #[must_use]
    pub fn of_amount(self, amount: AtomicAmount) -> Self {
        match self {
            Self::Evm(terms) => Self::Evm(terms.of_amount(amount)),
            Self::Solana(terms) => Self::Solana(terms),
        }
    }

    /// How much is to be paid, in atomic units: the most of it, where it is paid
    /// by use.
    pub fn amount(&self) -> AtomicAmount {
        match self {
            Self::Evm(terms) => terms.amount(),
            Self::Solana(terms) => terms.parts().amount,
        }
    }

    /// How much a payload says that it pays, in atomic units; `None` if it can't be
    /// read. Nothing of it is checked.
    pub fn amount_in(&self, payload: &Value) -> Option<AtomicAmount> {
        match self {
            Self::Evm(terms) => terms.method().amount_in(payload)?.as_str()?.parse().ok(),
            Self::Solana(_) => solana::amount_in(payload),
        }
    }

    /// The terms as JSON, as far as a buyer agrees to them: what purchases are
    /// bound to. Which wallets and permits are taken, and which keys settle, is the
    /// seller's own affair.
    pub fn agreed_text(&self) -> String {
        json::to_text(&self.without_wallets())
    }

    /// Seconds that a payment may take, as buyers are told.
    pub const fn max_timeout_seconds(&self) -> Option<u64> {
        match self {
            Self::Evm(terms) => Some(terms.max_timeout_seconds()),
            Self::Solana(_) => None,
        }
    }

    /// Whether a payment that one relayer alone may settle names the one that
    /// buyers are told of; true of any other.
    pub fn is_for_first_relayer(&self, payment: &VerifiedPayment) -> bool {
        let named = payment.as_evm().and_then(evm::VerifiedPayment::relayer);
        let Self::Evm(terms) = self else { return true };
        named.is_none() || named == terms.relayers().and_then(|all| all.first().copied())
    }

    /// Whether signatures are taken that only a contract can judge.
    pub fn takes_wallets(&self) -> bool {
        matches!(self, Self::Evm(terms) if terms.smart_wallets().is_some())
    }

    /// The same terms, with payments by key alone, whoever settles them.
    fn without_wallets(&self) -> Self {
        match self {
            Self::Evm(terms) => {
                let agreed = terms.clone().with_smart_wallets(None).with_permits(false);
                // That it is paid by use, and not by which keys.
                let is_by_use = agreed.relayers().is_some();
                Self::Evm(if is_by_use { agreed.by_use(vec![]) } else { agreed })
            }
            terms @ Self::Solana(_) => terms.clone(),
        }
    }

    /// Checks all that can be checked without asking a chain.
    ///
    /// # Errors
    /// The first rule that the payment breaks.
    pub fn check(&self, payload: &Value, now: UnixSeconds) -> Result<Checked, Reason> {
        match self {
            Self::Evm(terms) => {
                let (payment, has_lapsed) = evm::check(payload, terms, now)?;
                let payment = VerifiedPayment::Evm(payment);
                Ok(if has_lapsed { Checked::Lapsed(payment) } else { Checked::Payable(payment) })
            }
            Self::Solana(terms) => {
                let payment = solana::verify(payload, terms)?;
                Ok(Checked::Payable(VerifiedPayment::Solana(payment)))
            }
        }
    }
}

/// A payment that can be settled.
///
/// # Errors
/// The first rule that it breaks.
pub fn verify(payload: &Value, terms: &Terms, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
    terms.check(payload, now)?.payable()
}

/// A Solana blockhash lives for 150 blocks, about a minute; slots may be slow.
/// How long a payment that names one is taken to be able to land, in seconds.
const BLOCKHASH_LIFETIME: u64 = 180;

/// For how long an EVM payment is remembered at most, in seconds. After that
/// the token's own memory of its nonce refuses it.
///
/// Too short, and an origin works in vain for a payment that was used, or a
/// facilitator that keeps its answers tells an old success once more.
const LONGEST_MEMORY: u64 = 30 * 86_400;

impl VerifiedPayment {
    /// What the chain itself tells payments apart by, on this network: a
    /// client can't vary it and still be paying with the same authorization.
    pub fn identity(&self) -> String {
        match self {
            Self::Evm(payment) => payment.identity(),
            Self::Solana(payment) => payment.identity(),
        }
    }

    /// How much, in atomic units of the token.
    pub fn amount(&self) -> AtomicAmount {
        match self {
            Self::Evm(payment) => payment.value(),
            Self::Solana(payment) => payment.amount(),
        }
    }

    /// The payment, if it is one on an EVM chain.
    pub const fn as_evm(&self) -> Option<&evm::VerifiedPayment> {
        match self {
            Self::Evm(payment) => Some(payment),
            Self::Solana(_) => None,
        }
    }

    /// The payment, if it is one on Solana.
    pub const fn as_solana(&self) -> Option<&solana::VerifiedPayment> {
        match self {
            Self::Solana(payment) => Some(payment),
            Self::Evm(_) => None,
        }
    }

    /// By what the signature is known again, if only the chain can judge it:
    /// nobody has shown yet that the payer has signed.
    pub fn signature_to_prove(&self) -> Option<String> {
        Some(self.as_evm()?.wallet_signature()?.hash())
    }

    /// Who pays the fees, on Solana.
    pub fn fee_payer(&self) -> Option<&solana::Pubkey> {
        self.as_solana().map(solana::VerifiedPayment::fee_payer)
    }

    /// What is said of it where the chain has seen it before.
    pub fn used(&self) -> Reason {
        match self {
            Self::Evm(payment) => payment.reasons().used,
            Self::Solana(_) => Reason::DuplicateSettlement,
        }
    }

    /// What is said of it where it can't be settled any more, and nobody knows
    /// of it: its time is over, or its fee payer signs no more.
    pub fn too_late(&self) -> Reason {
        match self {
            Self::Evm(payment) => payment.too_late(),
            Self::Solana(_) => Reason::SvmFeePayerMismatch,
        }
    }

    /// Who pays, as the chain writes addresses.
    pub fn payer(&self) -> String {
        match self {
            Self::Evm(payment) => payment.payer(),
            Self::Solana(payment) => payment.payer().to_string(),
        }
    }

    /// From when on the payment can no longer land, or need not be remembered
    /// any more: an authorization may end in a hundred years, and the token
    /// takes it once however long that is.
    pub fn expires_at(&self, now: UnixSeconds) -> UnixSeconds {
        match self {
            Self::Evm(payment) => payment.expires_at().min(now.plus(LONGEST_MEMORY)),
            Self::Solana(_) => now.plus(BLOCKHASH_LIFETIME),
        }
    }
}
