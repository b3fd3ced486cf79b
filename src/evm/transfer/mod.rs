//! A payment on EVM, checked, and how its token is moved by what was signed:
//! x402's `assetTransferMethod`.
//!
//! A method is a module here with a [`Method`], and a variant of [`Transfer`].
//! What the rest of the gateway knows of a payment it asks [`VerifiedPayment`].

pub mod eip3009;
mod method;
pub mod payload;
pub mod permit2;
mod proof;
mod terms;
mod wallet;

use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::evm::{Address, BlockTag, Call, Log, Uint256};
use crate::protocol::payment::GAS_SPONSORING;
use crate::protocol::{ChainId, Reason};
use crate::time::UnixSeconds;

pub use eip3009::{Eip3009, Signed};
use method::Method;
pub use method::{Clue, Facts, NonceQuestion, Reasons, refusal};
pub use payload::{Authorization, ExactEvmPayload};
pub use permit2::{Permit2, Permit2Authorization, Permit2Payload};
pub use proof::{authorization_transferred, paid, transfer_happened};
pub use terms::{Terms, TransferMethod};
pub use wallet::{MAX_SIGNATURE_BYTES, WalletSignature};

/// How long an authorization must still be valid, in seconds: a transaction
/// needs to get into a block before `validBefore` (x402, exact on EVM).
pub const MIN_REMAINING_SECONDS: u64 = 6;

/// How far ahead of our clock `validAfter` may be, in seconds: clients set it
/// by their own clock, and many set it to this very second.
///
/// Too small, and a client whose clock is ahead can't pay. Too large, and a
/// request waits that much longer for a block in which the token takes it.
pub const CLOCK_SKEW_SECONDS: u64 = 5;

/// A payment that passed every local check of its terms. [`verify`] and
/// [`check`] are the only makers. Whether it is signed only the chain knows
/// where it has a [`VerifiedPayment::wallet_signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPayment {
    chain_id: u64,
    asset: Address,
    from: Address,
    to: Address,
    value: AtomicAmount,
    valid_after: UnixSeconds,
    expires_at: UnixSeconds,
    transfer: Transfer,
}

/// What was signed, and so how the token is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// `transferWithAuthorization` of the token.
    Eip3009(Eip3009),
    /// `transferFrom` of the token, by Permit2.
    Permit2(Permit2),
}

/// Who pays, by a payment's [identity](VerifiedPayment::identity).
pub fn payer_in(identity: &str) -> Option<Address> {
    identity.split('/').nth(2)?.parse().ok()
}

/// Checks a payload against the terms, at a time. No IO: whether it was used
/// and the payer has the money only the chain knows. Scheme and network are
/// checked by the caller.
///
/// # Errors
/// The first rule that it breaks, in the order of the specification.
/// [`Reason::InvalidPayload`] for what can't be read.
pub fn verify(payload: &Value, terms: &Terms, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
    read(payload, terms)?.verify(terms, now)
}

/// The same, and whether the payment has lapsed: one whose end has come, or is
/// about to, is checked as it was shortly before that. It can't be settled any
/// more; it tells who asks for what was settled.
///
/// # Errors
/// As [`verify`], but for that its time is over.
pub fn check(
    payload: &Value,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<(VerifiedPayment, bool), Reason> {
    let payload = read(payload, terms)?;
    let end = payload.end();
    let has_lapsed = end < now.plus(MIN_REMAINING_SECONDS);
    let then = UnixSeconds(end.0.saturating_sub(MIN_REMAINING_SECONDS));
    let payment = payload.verify(terms, if has_lapsed { then } else { now })?;
    Ok((payment, has_lapsed))
}

/// What was sent for terms of each method.
enum Payload<'a> {
    Eip3009(ExactEvmPayload),
    /// With the token's own permit beside it, where that is taken.
    Permit2(Permit2Payload, Option<&'a Value>),
}

fn read<'a>(payload: &'a Value, terms: &Terms) -> Result<Payload<'a>, Reason> {
    Ok(match terms.method() {
        TransferMethod::Eip3009 => Payload::Eip3009(ExactEvmPayload::read(payload)?),
        TransferMethod::Permit2 => {
            let is_by_use = terms.relayers().is_some();
            let permit = payload.get(GAS_SPONSORING).filter(|_| terms.takes_permits());
            Payload::Permit2(Permit2Payload::read(payload, is_by_use)?, permit)
        }
    })
}

impl Payload<'_> {
    /// The end that was signed: the sooner one, where a permit brings the
    /// allowance.
    fn end(&self) -> UnixSeconds {
        match self {
            Self::Eip3009(payload) => seconds(payload.authorization.valid_before),
            Self::Permit2(payload, permit) => {
                let end = seconds(payload.authorization.deadline);
                permit.and_then(permit2::end_of_permit).map_or(end, |sooner| sooner.min(end))
            }
        }
    }

    fn verify(self, terms: &Terms, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
        match self {
            Self::Eip3009(payload) => eip3009::verify(payload, terms, now),
            Self::Permit2(payload, permit) => permit2::verify(payload, permit, terms, now),
        }
    }
}

/// The time, or the last one that there is: some wallets sign authorizations
/// that end at 2^256 - 1.
fn seconds(number: Uint256) -> UnixSeconds {
    UnixSeconds(u64::try_from(number).unwrap_or(u64::MAX))
}

impl VerifiedPayment {
    /// The EIP-155 chain id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The network.
    pub const fn network(&self) -> ChainId {
        ChainId::Evm(self.chain_id)
    }

    /// The token.
    pub const fn asset(&self) -> Address {
        self.asset
    }

    /// The payer.
    pub const fn from(&self) -> Address {
        self.from
    }

    /// Who is paid.
    pub const fn to(&self) -> Address {
        self.to
    }

    /// How much, in atomic units.
    pub const fn value(&self) -> AtomicAmount {
        self.value
    }

    /// The same payment, of which so much is charged.
    ///
    /// # Errors
    /// [`Reason::UptoExceedsAmount`]: it is more than was signed for.
    /// [`Reason::InvalidScheme`]: the payment is for an exact amount.
    pub fn charged(self, amount: AtomicAmount) -> Result<Self, Reason> {
        match self.permitted() {
            Some(permitted) if amount > permitted => Err(Reason::UptoExceedsAmount),
            None if amount != self.value => Err(Reason::InvalidScheme),
            _ => Ok(Self { value: amount, ..self }),
        }
    }

    /// The most that may be charged of it, where it is paid by use.
    fn permitted(&self) -> Option<AtomicAmount> {
        match &self.transfer {
            Transfer::Eip3009(_) => None,
            Transfer::Permit2(method) => method.permitted(),
        }
    }

    /// The relayer that alone may settle it, in a transaction of its own; `None`
    /// if any may, together with others.
    pub fn relayer(&self) -> Option<Address> {
        match &self.transfer {
            Transfer::Eip3009(_) => None,
            Transfer::Permit2(method) => method.relayer(),
        }
    }

    /// The transfer lands only in a block later than this.
    pub const fn valid_after(&self) -> UnixSeconds {
        self.valid_after
    }

    /// When the payment can no longer land: in a block of this second or a
    /// later one it is refused. Blocks may carry a time a little behind the
    /// clock, so whoever forgets the payment waits somewhat longer.
    pub const fn expires_at(&self) -> UnixSeconds {
        self.expires_at
    }

    /// What was signed.
    pub const fn transfer(&self) -> &Transfer {
        &self.transfer
    }

    /// The payer as receipts name them, with the checksum of EIP-55.
    pub fn payer(&self) -> String {
        self.from.to_string()
    }

    /// What the chain tells this payment apart by: chain, the contract that keeps
    /// the nonces, payer and nonce, in one lower-case spelling. Nothing in it is
    /// a client's to spell, so one signature has one identity.
    pub fn identity(&self) -> String {
        format!("{}/{}", self.network(), self.method().identity(self))
    }

    /// By which codes it is refused.
    pub fn reasons(&self) -> &'static Reasons {
        self.method().reasons()
    }

    /// By which code it is refused once its time is over.
    pub fn too_late(&self) -> Reason {
        match &self.transfer {
            Transfer::Permit2(method) => method.too_late(),
            Transfer::Eip3009(_) => self.reasons().too_late,
        }
    }

    /// The most gas that it is given.
    pub fn gas(&self) -> u64 {
        self.method().gas()
    }

    /// Whether no log could tell the two apart: in one transaction it would be
    /// unclear which of them was made.
    pub fn is_alike(&self, other: &Self) -> bool {
        let is_told = |it: &Self| it.method().is_told_by_logs();
        let seen = |it: &Self| (it.asset, it.from, it.to, it.value);
        !(is_told(self) && is_told(other)) && seen(self) == seen(other)
    }

    /// The payment as a client sends it, written anew from what was read.
    pub fn payload(&self) -> Value {
        self.method().payload(self)
    }

    /// The call that settles it. Anyone may send it; it pays `to` and no one
    /// else.
    pub fn call(&self) -> Call {
        self.method().call(self)
    }

    /// What is asked before anything is sent: the questions of its method, and
    /// last a simulation.
    pub fn preview_calls(&self) -> Vec<Call> {
        let mut calls = self.method().questions(self);
        calls.push(self.call());
        calls
    }

    /// How many [`Self::preview_calls`] there are.
    pub fn preview_count(&self) -> usize {
        self.method().question_count() + 1
    }

    /// What the answers to [`Self::preview_calls`] say, in their order: what a
    /// call returned, or why it failed, as far as that is known.
    /// Where some are missing, nothing is known.
    pub fn read_preview(&self, mut answers: Vec<Result<Vec<u8>, Option<String>>>) -> Facts {
        answers.truncate(if answers.len() == self.preview_count() { answers.len() } else { 0 });
        let simulated = answers.pop().unwrap_or(Err(None));
        let answers: Vec<_> = answers.into_iter().map(Result::ok).collect();
        let (simulated, revert_reason) = match simulated {
            Ok(_) => (true, None),
            Err(reason) => (false, reason),
        };
        let facts = self.method().facts(self, &answers, simulated);
        Facts { simulated, revert_reason, ..facts }
    }

    /// The signature, if only the payer's contract can judge it: nobody has
    /// shown yet that the payer has signed.
    pub fn wallet_signature(&self) -> Option<&WalletSignature> {
        self.method().wallet_signature()
    }

    /// The token's own permit that the payer signed besides, as its extension's
    /// `info`.
    pub fn sponsoring(&self) -> Option<Value> {
        match &self.transfer {
            Transfer::Permit2(method) => method.sponsoring(self),
            Transfer::Eip3009(_) => None,
        }
    }

    /// Whether it brings its allowance along, by the token's own permit.
    pub fn is_sponsored(&self) -> bool {
        matches!(&self.transfer, Transfer::Permit2(method) if method.is_sponsored())
    }

    /// Whether this code refuses it for how it went in a simulation, which a later
    /// one may contradict.
    pub fn is_simulations(&self, refusal: Reason) -> bool {
        refusal == self.reasons().fails || self.lacks_permit(refusal)
    }

    /// Whether this code says that the permit it brings along did no good in a
    /// simulation: the token takes a payer's permits in their order.
    pub fn lacks_permit(&self, refusal: Reason) -> bool {
        refusal == Reason::Permit2AllowanceRequired && self.is_sponsored()
    }

    /// Whether a log names it wherever it is used or canceled.
    pub fn is_told_by_logs(&self) -> bool {
        self.method().is_told_by_logs()
    }

    /// The question whether it was used or canceled.
    pub fn used_question(&self) -> Call {
        self.method().used_question(self)
    }

    /// The answer to [`Self::used_question`]; `None` if it can't be read.
    pub fn read_used(&self, data: &[u8]) -> Option<bool> {
        self.method().read_used(data)
    }

    /// The parameters of `eth_getLogs` that find who used or canceled it
    /// between two blocks, with both.
    pub fn trace(&self, from_block: u64, to_block: BlockTag) -> Value {
        self.method().trace(self, from_block, to_block)
    }

    /// What one of those logs says.
    pub fn clue(&self, log: &Value) -> Clue {
        self.method().clue(self, log)
    }

    /// Of which nonces a transaction with this calldata may have made payments
    /// that no log tells from this one: its own is the first. None if its own is
    /// not among them.
    pub fn named_in(&self, calldata: &[u8]) -> Vec<NonceQuestion> {
        self.method().named_in(self, calldata)
    }

    fn proof(&self, logs: &[Log], taken: &[bool]) -> Option<usize> {
        self.method().proof(self, logs, taken)
    }

    fn proof_by_anyone(&self, logs: &[Log], used: usize) -> Option<usize> {
        self.method().proof_by_anyone(self, logs, used)
    }

    /// Whether a log is of a transfer of just this much between these two.
    fn is_moved_by(&self, log: &Log) -> bool {
        log.transfers(self.asset, [self.from, self.to], self.value)
    }

    fn method(&self) -> &dyn Method {
        match &self.transfer {
            Transfer::Eip3009(method) => method,
            Transfer::Permit2(method) => method,
        }
    }
}
