//! What a seller asks for on Solana, ready to compare a payment with.

use super::address::{Pubkey, associated_token_address};
use super::instruction::TokenProgram;
use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::json::{FromJson, ToJson};
use crate::json_struct;

/// The longest memo that a seller can require, in bytes of UTF-8 (x402
/// specification, scheme `exact` on SVM).
pub const MAX_MEMO_BYTES: usize = 256;

/// What the fee payer is willing to spend on one payment besides the base
/// fee, which is 5,000 lamports for each of the two signatures and is not
/// counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest compute unit limit.
    pub compute_units: u32,
    /// The largest price of a compute unit, in micro-lamports.
    pub price_micro_lamports: u64,
    /// The largest priority fee in lamports: compute unit limit × price /
    /// 1,000,000, rounded up.
    pub total_lamports: u64,
}

json_struct!(Limits { compute_units, price_micro_lamports, total_lamports });

impl Default for Limits {
    /// 400,000 units, 5,000,000 micro-lamports, 100,000 lamports.
    fn default() -> Self {
        Self { compute_units: 400_000, price_micro_lamports: 5_000_000, total_lamports: 100_000 }
    }
}

/// What [`Terms`] are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsParts {
    /// The token.
    pub mint: Pubkey,
    /// The program that the mint belongs to.
    pub token_program: TokenProgram,
    /// The mint's decimals.
    pub decimals: u8,
    /// The wallet that is paid, into its associated token account.
    pub pay_to: Pubkey,
    /// What it is paid, in atomic units of the token.
    pub amount: AtomicAmount,
    /// Our fee payers; a payment names one of them.
    pub fee_payers: Vec<Pubkey>,
    /// The memo that the payment must carry, if it must carry a certain one.
    pub memo: Option<String>,
    /// What a fee payer is willing to spend.
    pub limits: Limits,
}

json_struct!(TermsParts {
    mint,
    token_program,
    decimals,
    pay_to,
    amount,
    fee_payers,
    memo = null,
    limits,
});

/// Terms that a payment can meet. As JSON, their [`TermsParts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    parts: TermsParts,
    destination: Pubkey,
    fee_payer_accounts: Vec<Pubkey>,
}

impl ToJson for Terms {
    fn write_json(&self, to: &mut String) {
        self.parts.write_json(to);
    }
}

impl FromJson for Terms {
    fn from_json(value: &Value) -> Option<Self> {
        Self::new(TermsParts::from_json(value)?).ok()
    }
}

/// Why no payment can meet the terms. The seller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTerms {
    /// Nobody pays the fees.
    NoFeePayer,
    /// Zero, or more than the 64 bits that a token program counts with.
    Amount,
    /// Longer than [`MAX_MEMO_BYTES`].
    MemoTooLong,
    /// There is no associated token account for this mint: in practice this
    /// does not happen.
    NoTokenAccount,
}

impl std::fmt::Display for InvalidTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoFeePayer => "there is no fee payer",
            Self::Amount => "the amount is zero or larger than 64 bits",
            Self::MemoTooLong => "the memo is longer than 256 bytes",
            Self::NoTokenAccount => "there is no associated token account",
        })
    }
}

impl std::error::Error for InvalidTerms {}

impl Terms {
    /// Checks the parts and derives the token accounts: one derivation for
    /// payTo and one for each fee payer, so make them once and keep them.
    pub fn new(parts: TermsParts) -> Result<Self, InvalidTerms> {
        if parts.fee_payers.is_empty() {
            return Err(InvalidTerms::NoFeePayer);
        }
        if parts.amount.0 == 0 || u64::try_from(parts.amount.0).is_err() {
            return Err(InvalidTerms::Amount);
        }
        if parts.memo.as_ref().is_some_and(|memo| memo.len() > MAX_MEMO_BYTES) {
            return Err(InvalidTerms::MemoTooLong);
        }
        let account = |owner| {
            associated_token_address(owner, &parts.mint, &parts.token_program.id())
                .ok_or(InvalidTerms::NoTokenAccount)
        };
        let destination = account(&parts.pay_to)?;
        let fee_payer_accounts = parts.fee_payers.iter().map(account).collect::<Result<_, _>>()?;
        Ok(Self { parts, destination, fee_payer_accounts })
    }

    /// What they were made from.
    pub fn parts(&self) -> &TermsParts {
        &self.parts
    }

    /// payTo's associated token account.
    pub fn destination(&self) -> &Pubkey {
        &self.destination
    }

    /// Whether this is one of our fee payers.
    pub fn is_fee_payer(&self, account: &Pubkey) -> bool {
        self.parts.fee_payers.contains(account)
    }

    /// Whether this is the associated token account of a fee payer of ours.
    pub fn is_fee_payers_account(&self, account: &Pubkey) -> bool {
        self.fee_payer_accounts.contains(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{from_text, to_text};

    fn parts() -> TermsParts {
        TermsParts {
            mint: Pubkey([1; 32]),
            token_program: TokenProgram::Spl,
            decimals: 6,
            pay_to: Pubkey([2; 32]),
            amount: AtomicAmount(10_000),
            fee_payers: vec![Pubkey([3; 32]), Pubkey([4; 32])],
            memo: None,
            limits: Limits::default(),
        }
    }

    #[test]
    fn limits_default_to_those_of_the_documentation() {
        let Limits { compute_units, price_micro_lamports, total_lamports } = Limits::default();
        assert_eq!(
            (compute_units, price_micro_lamports, total_lamports),
            (400_000, 5_000_000, 100_000)
        );
    }

    #[test]
    fn terms_survive_json_with_their_accounts() {
        let terms = Terms::new(parts()).unwrap();
        let json = to_text(&terms);
        assert!(!json.contains(&terms.destination().to_string()));
        assert_eq!(from_text::<Terms>(&json).unwrap(), terms);
        let unpayable = json.replace("10000", "0");
        assert!(from_text::<Terms>(&unpayable).is_err());
    }

    #[test]
    fn unpayable_terms_are_refused() {
        let refused = |change: fn(&mut TermsParts)| {
            let mut parts = parts();
            change(&mut parts);
            Terms::new(parts).unwrap_err()
        };
        assert_eq!(refused(|p| p.fee_payers.clear()), InvalidTerms::NoFeePayer);
        assert_eq!(refused(|p| p.amount = AtomicAmount(0)), InvalidTerms::Amount);
        assert_eq!(refused(|p| p.amount = AtomicAmount(1 << 64)), InvalidTerms::Amount);
        assert_eq!(refused(|p| p.memo = Some("é".repeat(129))), InvalidTerms::MemoTooLong);
    }
}
