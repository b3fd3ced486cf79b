//! Permit2: any ERC-20 moves by what the payer signed, through a contract of
//! x402's that pays nobody but the payee that was signed (x402, exact on EVM,
//! `assetTransferMethod: "permit2"`).
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | the payment as clients send it |
//! | [`hash`] | what a payer signs (EIP-712) |
//! | [`approval`] | the token's own permit for Permit2, where a client sends it |
//! | [`calls`] | calldata, and which payments calldata names |
//! | [`proof`] | what logs say |

mod approval;
mod calls;
mod hash;
mod proof;
mod wire;

use approval::Approval;
use serde_json::Value;

use super::{
    CLOCK_SKEW_SECONDS, Clue, Facts, MIN_REMAINING_SECONDS, Method, NonceQuestion, Reasons, Terms,
    Transfer, VerifiedPayment, seconds,
};
use crate::amount::AtomicAmount;
use crate::encoding::encode_hex;
use crate::evm::{Address, BlockTag, Call, Log, Signature, Uint256, abi};
use crate::protocol::Reason;
use crate::time::UnixSeconds;

pub(super) use approval::end as end_of_permit;
pub use hash::permit_digest;
pub use wire::{Permit2Authorization, Permit2Payload};

/// Permit2, at the one address that it has on every EVM chain.
/// Source: <https://github.com/Uniswap/permit2>.
pub const PERMIT2: Address = Address::new([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4,
    0x3a, 0xc7, 0x8b, 0xa3,
]);

/// x402's contract for exact amounts, on every chain: the spender that payers
/// sign for.
pub const EXACT_PROXY: Address = Address::new([
    0x40, 0x20, 0x85, 0xc2, 0x48, 0xee, 0xa2, 0x7d, 0x92, 0xe8, 0xb3, 0x0b, 0x2c, 0x58, 0xed, 0x07,
    0xf9, 0xe2, 0x00, 0x01,
]);

/// x402's contract for what is paid by use, on every chain.
pub const UPTO_PROXY: Address = Address::new([
    0x40, 0x20, 0xa4, 0xf3, 0xb7, 0xb9, 0x0c, 0xca, 0x42, 0x3b, 0x9f, 0xab, 0xcc, 0x0c, 0xe5, 0x7c,
    0x6c, 0x24, 0x00, 0x02,
]);

/// How much sooner than the payment the token's own permit may end, in seconds,
/// where the payment is by use: clients read the clock twice. Less than what is
/// left for the settlement when goods have gone out.
const APPROVAL_SLACK_SECONDS: u64 = 30;

/// What refuses a payment by Permit2.
const REASONS: Reasons = Reasons {
    used: Reason::Permit2InvalidNonce,
    too_late: Reason::Permit2DeadlineExpired,
    unfunded: Reason::Permit2InsufficientBalance,
    fails: Reason::Permit2SimulationFailed,
};

/// The most gas that one payment is given: a bitmap, a signature, and the
/// token's `transferFrom`, by three contracts.
const GAS: u64 = 200_000;
/// The same for the token's own permit before it.
const GAS_OF_APPROVAL: u64 = 80_000;

/// What was signed, besides who pays whom how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit2 {
    /// The transfer lands only in a block of this second or a later one.
    valid_after: Uint256,
    /// The transfer lands only in a block of this second or an earlier one.
    deadline: Uint256,
    nonce: Uint256,
    signature: Signature,
    /// By which Permit2 is let move the token first.
    approval: Option<Box<Approval>>,
    by_use: Option<ByUse>,
}

/// What a payer signs for what is paid by use (x402, upto on EVM).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByUse {
    /// Who alone may settle it.
    relayer: Address,
    /// The most that may be charged.
    permitted: AtomicAmount,
}

/// Checks what was signed against the terms, at a time. `permit`: what stands
/// beside it for the token, if that is taken.
pub(super) fn verify(
    payload: Permit2Payload,
    permit: Option<&Value>,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<VerifiedPayment, Reason> {
    let Permit2Payload { signature, authorization } = payload;
    let signature: Signature = signature.parse().map_err(|_| Reason::Permit2Signature)?;
    let signer = signature.recover(&permit_digest(terms.chain_id(), &authorization));
    let approval = Approval::read(permit, &authorization, now);
    let proxy = authorization.proxy();
    let Permit2Authorization {
        token,
        amount,
        from,
        spender,
        nonce,
        deadline,
        to,
        facilitator,
        valid_after,
    } = authorization;
    if from == Address::ZERO || signer != Some(from) {
        return Err(Reason::Permit2Signature);
    }
    if spender != proxy {
        return Err(Reason::Permit2Spender);
    }
    if to != terms.pay_to() {
        return Err(Reason::Permit2RecipientMismatch);
    }
    if let Some(facilitator) = facilitator
        && !terms.relayers().is_some_and(|relayers| relayers.contains(&facilitator))
    {
        return Err(Reason::UptoFacilitatorMismatch);
    }
    if amount != terms.amount().into() {
        return Err(Reason::Permit2AmountMismatch);
    }
    if seconds(deadline) < now.plus(MIN_REMAINING_SECONDS) {
        return Err(Reason::Permit2DeadlineExpired);
    }
    if seconds(valid_after) > now.plus(CLOCK_SKEW_SECONDS) {
        return Err(Reason::Permit2NotYetValid);
    }
    if token != terms.asset() {
        return Err(Reason::Permit2TokenMismatch);
    }
    // What is paid by use is settled long after it was looked at.
    if let Ok(Some(approval)) = &approval
        && facilitator.is_some()
        && seconds(approval.deadline).plus(APPROVAL_SLACK_SECONDS) < seconds(deadline)
    {
        return Err(Reason::Eip2612DeadlineExpired);
    }
    Ok(VerifiedPayment {
        chain_id: terms.chain_id(),
        asset: token,
        from,
        to,
        value: terms.amount(),
        // A second earlier and a second later than EIP-3009 has it: both ends
        // are good.
        valid_after: UnixSeconds(seconds(valid_after).0.saturating_sub(1)),
        expires_at: seconds(deadline).plus(1),
        transfer: Transfer::Permit2(Permit2 {
            valid_after,
            deadline,
            nonce,
            signature,
            approval: approval?.map(Box::new),
            by_use: facilitator.map(|relayer| ByUse { relayer, permitted: terms.amount() }),
        }),
    })
}

impl Permit2Authorization {
    /// x402's contract that it is for.
    const fn proxy(&self) -> Address {
        if self.facilitator.is_some() { UPTO_PROXY } else { EXACT_PROXY }
    }
}

impl Permit2 {
    /// The number that Permit2 takes once from each payer, whatever the token.
    pub const fn nonce(&self) -> Uint256 {
        self.nonce
    }

    /// The payer's signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether the token's own permit comes with it.
    pub(super) const fn is_sponsored(&self) -> bool {
        self.approval.is_some()
    }

    /// By which code it is refused once its time is over, or that of its permit.
    pub(super) fn too_late(&self) -> Reason {
        match &self.approval {
            Some(approval) if approval.deadline < self.deadline => Reason::Eip2612DeadlineExpired,
            _ => REASONS.too_late,
        }
    }

    /// The token's own permit, as the `info` of x402's extension.
    pub(super) fn sponsoring(&self, payment: &VerifiedPayment) -> Option<Value> {
        self.approval.as_ref().map(|it| it.info(&self.authorization(payment)))
    }

    /// Who alone may settle it, where it is paid by use.
    pub(super) fn relayer(&self) -> Option<Address> {
        self.by_use.map(|it| it.relayer)
    }

    /// The most that may be charged, where it is paid by use.
    pub(super) fn permitted(&self) -> Option<AtomicAmount> {
        self.by_use.map(|it| it.permitted)
    }

    fn proxy(&self) -> Address {
        if self.by_use.is_some() { UPTO_PROXY } else { EXACT_PROXY }
    }

    fn authorization(&self, payment: &VerifiedPayment) -> Permit2Authorization {
        Permit2Authorization {
            token: payment.asset(),
            amount: self.permitted().unwrap_or(payment.value()).into(),
            from: payment.from(),
            spender: self.proxy(),
            nonce: self.nonce,
            deadline: self.deadline,
            to: payment.to(),
            facilitator: self.relayer(),
            valid_after: self.valid_after,
        }
    }

    fn question(&self, payment: &VerifiedPayment) -> NonceQuestion {
        calls::nonce_question(payment.from(), self.nonce)
    }
}

impl Method for Permit2 {
    fn reasons(&self) -> &'static Reasons {
        &REASONS
    }

    fn gas(&self) -> u64 {
        GAS + self.approval.as_ref().map_or(0, |_| GAS_OF_APPROVAL)
    }

    /// Permit2 keeps the nonces, for all tokens together.
    fn identity(&self, payment: &VerifiedPayment) -> String {
        let (payer, nonce) = (payment.from().to_lower_hex(), self.nonce.to_be_bytes());
        format!("{}/{payer}/{}", PERMIT2.to_lower_hex(), encode_hex(&nonce))
    }

    fn payload(&self, payment: &VerifiedPayment) -> Value {
        self.authorization(payment).payload(&self.signature.to_string())
    }

    fn call(&self, payment: &VerifiedPayment) -> Call {
        let (authorization, approval) = (self.authorization(payment), self.approval.as_deref());
        let data = calls::settle(&authorization, payment.value(), approval, &self.signature);
        Call { to: self.proxy(), data }
    }

    fn questions(&self, payment: &VerifiedPayment) -> Vec<Call> {
        let asset = payment.asset();
        vec![
            self.used_question(payment),
            Call { to: asset, data: abi::balance_of(payment.from()) },
            Call { to: asset, data: calls::allowance(payment.from(), PERMIT2) },
            Call { to: self.proxy(), data: calls::permit2_of_proxy() },
        ]
    }

    fn question_count(&self) -> usize {
        4
    }

    /// An allowance below the amount is told apart from a balance below it;
    /// beyond that, what a payer can pay is the lesser of the two. Where the
    /// payment brings its allowance with it, the simulation tells if it is good.
    fn facts(
        &self,
        payment: &VerifiedPayment,
        answers: &[Option<Vec<u8>>],
        simulated: bool,
    ) -> Facts {
        let number = |at: usize| abi::decode_uint256(answers.get(at)?.as_deref()?);
        let (balance, allowance) = (number(1), number(2));
        let brings_its_own = self.approval.is_some();
        let allowance = allowance.filter(|_| !brings_its_own || !simulated);
        let allowed = allowance.or(brings_its_own.then_some(Uint256::MAX));
        let proxys_permit2 = number(3).map(Uint256::to_be_bytes);
        // A call to an address without code succeeds, and does nothing.
        let missing = if proxys_permit2 != Some(PERMIT2.to_word()) {
            Some(Reason::Permit2ProxyNotDeployed)
        } else if allowance.is_some_and(|it| it < payment.value().into()) {
            Some(Reason::Permit2AllowanceRequired)
        } else {
            None
        };
        Facts {
            nonce_used: answers.first().and_then(|it| self.read_used(it.as_deref()?)),
            balance: balance.zip(allowed).map(|(balance, allowed)| balance.min(allowed)),
            missing,
            simulated: false,
            revert_reason: None,
        }
    }

    fn used_question(&self, payment: &VerifiedPayment) -> Call {
        self.question(payment).call
    }

    fn read_used(&self, data: &[u8]) -> Option<bool> {
        calls::nonce_question(Address::ZERO, self.nonce).read(data)
    }

    fn trace(&self, payment: &VerifiedPayment, from_block: u64, to_block: BlockTag) -> Value {
        proof::trace(payment, from_block, to_block)
    }

    fn clue(&self, payment: &VerifiedPayment, log: &Value) -> Clue {
        proof::clue(self, payment, log)
    }

    fn named_in(&self, payment: &VerifiedPayment, calldata: &[u8]) -> Vec<NonceQuestion> {
        let named = calls::alike_nonces(payment, calldata);
        if !named.contains(&self.nonce) {
            return vec![];
        }
        let others = named.into_iter().filter(|nonce| *nonce != self.nonce);
        let nonces = std::iter::once(self.nonce).chain(others);
        nonces.map(|nonce| calls::nonce_question(payment.from(), nonce)).collect()
    }

    fn is_told_by_logs(&self) -> bool {
        false
    }

    fn proof(&self, payment: &VerifiedPayment, logs: &[Log], taken: &[bool]) -> Option<usize> {
        let is_free = |index: &usize| taken.get(*index) == Some(&false);
        proof::transfers(payment, logs).into_iter().find(is_free)
    }

    fn proof_by_anyone(
        &self,
        payment: &VerifiedPayment,
        logs: &[Log],
        used: usize,
    ) -> Option<usize> {
        let made = proof::transfers(payment, logs);
        made.first().copied().filter(|_| made.len() >= used)
    }
}
