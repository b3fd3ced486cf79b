//! What is paid on one network: in which token, and to whom.

use serde_json::{Map, Value};

use super::{Terms, VerifiedPayment};
use crate::amount::AtomicAmount;
use crate::encoding::encode_base64;
use crate::json::json;
use crate::protocol::payment::{GAS_SPONSORING, put_sponsoring};
use crate::protocol::requirements::TRANSFER_METHOD;
use crate::solana::terms::InvalidTerms;
use crate::solana::{Pubkey, TokenProgram};
use crate::{evm, solana};

/// A token, and how a payment in it is made.
#[derive(Clone, Debug)]
pub enum Asset {
    /// A token of an EVM chain: its EIP-712 domain, and how it is moved. The
    /// token is the verifying contract; where it is moved by Permit2, name and
    /// version may be empty.
    Evm(evm::Domain, evm::TransferMethod),
    /// A token of a Solana cluster.
    Solana {
        /// The token.
        mint: Pubkey,
        /// The program that the token belongs to.
        token_program: TokenProgram,
        /// The mint's decimals.
        decimals: u8,
    },
}

/// An address that may be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayTo {
    /// On an EVM chain.
    Evm(evm::Address),
    /// On Solana: the owner of the associated token account.
    Solana(Pubkey),
}

/// What a seller wants for one thing.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who is paid.
    pub pay_to: PayTo,
    /// How much, in atomic units of the token.
    pub amount: AtomicAmount,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// Solana: who may pay the fees, first the one that buyers are told.
    pub fee_payers: Vec<Pubkey>,
    /// EVM: who may settle what is paid by use, first the one that buyers are
    /// told; `None` for an exact amount.
    pub relayers: Option<Vec<evm::Address>>,
    /// Solana: the memo that the payment must carry.
    pub memo: Option<String>,
    /// EVM: the factories that may deploy a wallet with its payment; `None` if no
    /// smart wallet may pay.
    pub smart_wallets: Option<Vec<evm::Address>>,
    /// EVM: whether the token's own permits are taken (EIP-2612).
    pub takes_permits: bool,
}

/// Why no terms come of what a seller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTerms {
    /// The address is of another kind of chain.
    PayTo,
    /// What is wanted can't be had on Solana.
    Solana(InvalidTerms),
}

impl std::fmt::Display for NoTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PayTo => f.write_str("pay_to is an address of another kind of chain"),
            Self::Solana(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for NoTerms {}

impl PayTo {
    /// An address of an EVM chain or of Solana; not the zero address of either.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("0x") {
            return text.parse().ok().filter(|it| *it != evm::Address::ZERO).map(Self::Evm);
        }
        let system = solana::address::SYSTEM_PROGRAM;
        text.parse().ok().filter(|it| *it != system).map(Self::Solana)
    }

    /// The address, if it is one on Solana.
    pub const fn as_solana(self) -> Option<Pubkey> {
        match self {
            Self::Solana(address) => Some(address),
            Self::Evm(_) => None,
        }
    }
}

impl std::fmt::Display for PayTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evm(address) => address.fmt(f),
            Self::Solana(address) => address.fmt(f),
        }
    }
}

impl Asset {
    /// The token's address or mint.
    pub fn address(&self) -> String {
        match self {
            Self::Evm(domain, _) => domain.verifying_contract.to_string(),
            Self::Solana { mint, .. } => mint.to_string(),
        }
    }

    /// How the token is moved, on EVM.
    pub const fn transfer_method(&self) -> Option<evm::TransferMethod> {
        match self {
            Self::Evm(_, method) => Some(*method),
            Self::Solana { .. } => None,
        }
    }

    /// Whether the token's EIP-712 domain is known, on EVM.
    pub const fn has_domain(&self) -> bool {
        match self {
            Self::Evm(domain, _) => !domain.name.is_empty() && !domain.version.is_empty(),
            Self::Solana { .. } => false,
        }
    }

    /// Whether a client that speaks v1 can pay in it: v1 names no methods, and
    /// means EIP-3009.
    pub const fn is_for_v1(&self) -> bool {
        match self {
            Self::Evm(_, method) => matches!(method, evm::TransferMethod::Eip3009),
            Self::Solana { .. } => true,
        }
    }

    /// Its address in 32 bytes, on EVM with zeros before it.
    pub fn key(&self) -> [u8; 32] {
        match self {
            Self::Evm(domain, _) => domain.verifying_contract.to_word(),
            Self::Solana { mint, .. } => mint.0,
        }
    }

    /// Whether a text is the token's address, in any spelling.
    pub fn is_at(&self, text: &str) -> bool {
        match self {
            Self::Evm(domain, _) => text.parse() == Ok(domain.verifying_contract),
            Self::Solana { mint, .. } => text.parse().ok() == Some(*mint),
        }
    }

    /// An address that may be paid in it.
    pub fn pay_to(&self, text: &str) -> Option<PayTo> {
        match self {
            Self::Evm(..) => text.parse().ok().map(PayTo::Evm),
            Self::Solana { .. } => text.parse().ok().map(PayTo::Solana),
        }
    }

    /// What a client must know to pay in it, as the `extra` of requirements:
    /// the EIP-712 domain, or the fee payer and what spares a client a question
    /// to a node (x402 specifications of `exact` on EVM and on SVM).
    pub fn extra(&self, fee_payer: Option<&Pubkey>) -> Map<String, Value> {
        let mut extra = Map::new();
        match self {
            Self::Evm(_, method) => {
                for (name, value) in self.fixed_extra() {
                    // What is meant where nothing is said.
                    let is_meant =
                        name == TRANSFER_METHOD && *method == evm::TransferMethod::Eip3009;
                    if !is_meant {
                        extra.insert(name.into(), json!(value));
                    }
                }
            }
            Self::Solana { token_program, decimals, .. } => {
                extra.insert("feePayer".into(), json!(fee_payer.map(Pubkey::to_string)));
                extra.insert("decimals".into(), json!(decimals));
                extra.insert("tokenProgram".into(), json!(token_program.id().to_string()));
            }
        }
        extra
    }

    /// The members of `extra` that must be these where a server names them.
    pub fn fixed_extra(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Evm(domain, method) => {
                let members = [
                    ("name", domain.name.as_str()),
                    ("version", &domain.version),
                    (TRANSFER_METHOD, method.name()),
                ];
                members.into_iter().filter(|(_, value)| !value.is_empty()).collect()
            }
            Self::Solana { .. } => vec![],
        }
    }

    /// What a payment must be.
    ///
    /// # Errors
    /// No payment could be that.
    pub fn terms(&self, wanted: Wanted) -> Result<Terms, NoTerms> {
        let Wanted {
            pay_to,
            amount,
            max_timeout_seconds,
            fee_payers,
            relayers,
            memo,
            smart_wallets,
            takes_permits,
        } = wanted;
        match (self, pay_to) {
            (Self::Evm(domain, method), PayTo::Evm(pay_to)) => {
                let domain = domain.clone();
                let terms = evm::Terms::new(domain, pay_to, amount, max_timeout_seconds);
                let terms = terms.by(*method).with_smart_wallets(smart_wallets);
                let terms = terms.with_permits(takes_permits);
                Ok(Terms::Evm(match relayers {
                    Some(relayers) => terms.by_use(relayers),
                    None => terms,
                }))
            }
            (Self::Solana { mint, token_program, decimals }, PayTo::Solana(pay_to)) => {
                let parts = solana::TermsParts {
                    mint: *mint,
                    token_program: *token_program,
                    decimals: *decimals,
                    pay_to,
                    amount,
                    fee_payers,
                    memo,
                    limits: solana::Limits::default(),
                };
                solana::Terms::new(parts).map(Terms::Solana).map_err(NoTerms::Solana)
            }
            _ => Err(NoTerms::PayTo),
        }
    }
}

impl VerifiedPayment {
    /// What the client has signed besides the payment, as the extensions in
    /// which it was sent.
    pub fn extensions(&self) -> Map<String, Value> {
        let mut extensions = Map::new();
        if let Some(info) = self.as_evm().and_then(evm::VerifiedPayment::sponsoring) {
            extensions.insert(GAS_SPONSORING.into(), json!({ "info": info }));
        }
        extensions
    }

    /// The payment as a client sends it, written anew from what was read:
    /// nothing is in it that was not checked.
    pub fn payload(&self) -> Value {
        match self {
            Self::Evm(payment) => payment.payload(),
            Self::Solana(payment) => {
                json!({ "transaction": encode_base64(&payment.transaction().to_bytes()) })
            }
        }
    }

    /// The same with what the client has signed besides, where whoever checks the
    /// payment looks for it: all of what was sent that anybody reads.
    pub fn whole_payload(&self) -> Value {
        let mut payload = self.payload();
        put_sponsoring(&mut payload, Some(&Value::Object(self.extensions())));
        payload
    }
}
