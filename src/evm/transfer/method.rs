//! What the rest of the gateway must know of a way to move a token.

use serde_json::Value;

use super::{VerifiedPayment, WalletSignature};
use crate::evm::{BlockTag, Call, Log, Uint256};
use crate::protocol::Reason;

/// By which codes a payment is refused, whose words differ from method to
/// method.
#[derive(Debug)]
pub struct Reasons {
    /// It was used, or canceled.
    pub used: Reason,
    /// Its time is over.
    pub too_late: Reason,
    /// The payer does not hold the amount.
    pub unfunded: Reason,
    /// The chain says that the transfer would fail.
    pub fails: Reason,
}

/// What a log says about the transaction that used a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clue {
    /// The log's own transaction did.
    Certain,
    /// The log's own transaction may have, if its calldata names the payment.
    Calldata,
    /// The log says nothing about that.
    None,
}

/// The question whether one nonce was used: one bit of what a contract answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceQuestion {
    /// The question.
    pub call: Call,
    pub(super) bit: u8,
}

impl NonceQuestion {
    /// The answer; `None` if it can't be read.
    pub fn read(&self, data: &[u8]) -> Option<bool> {
        let word: [u8; 32] = data.try_into().ok()?;
        let byte = word.get(usize::from(31 - self.bit / 8))?;
        Some(byte >> (self.bit % 8) & 1 == 1)
    }
}

/// What the rest of the gateway must know of a way to move a token.
pub(in crate::evm) trait Method {
    /// By which codes a payment is refused.
    fn reasons(&self) -> &'static Reasons;
    /// The most gas that one payment is given: well above what the known tokens
    /// need.
    fn gas(&self) -> u64;
    /// What the chain tells payments of this kind apart by, in one spelling: the
    /// contract that keeps the nonces, the payer and the nonce.
    fn identity(&self, payment: &VerifiedPayment) -> String;
    /// The payment as a client sends it.
    fn payload(&self, payment: &VerifiedPayment) -> Value;
    /// The call that moves the token. Anyone may send it; it pays `to` and no
    /// one else.
    fn call(&self, payment: &VerifiedPayment) -> Call;
    /// What is asked before anything is sent, besides a simulation of the call.
    fn questions(&self, payment: &VerifiedPayment) -> Vec<Call>;
    /// How many questions there are.
    fn question_count(&self) -> usize;
    /// The signature, if only the payer's contract can judge it.
    fn wallet_signature(&self) -> Option<&WalletSignature> {
        None
    }
    /// What the answers say; of each that failed, `None`. `simulated`: whether the
    /// call went through after them.
    fn facts(
        &self,
        payment: &VerifiedPayment,
        answers: &[Option<Vec<u8>>],
        simulated: bool,
    ) -> Facts;
    /// The question whether it was used or canceled.
    fn used_question(&self, payment: &VerifiedPayment) -> Call;
    /// The answer to it; `None` if it can't be read.
    fn read_used(&self, data: &[u8]) -> Option<bool>;
    /// The parameters of `eth_getLogs` that find who used or canceled it
    /// between two blocks, with both.
    fn trace(&self, payment: &VerifiedPayment, from_block: u64, to_block: BlockTag) -> Value;
    /// What one of those logs says.
    fn clue(&self, payment: &VerifiedPayment, log: &Value) -> Clue;
    /// Of which nonces a transaction with this calldata may have made payments
    /// that no log tells from this one: its own is the first. None if its own is
    /// not among them.
    fn named_in(&self, payment: &VerifiedPayment, calldata: &[u8]) -> Vec<NonceQuestion>;
    /// Whether its own logs tell it from every other payment.
    fn is_told_by_logs(&self) -> bool;
    /// The log that proves it paid in a transaction of ours; those of other
    /// payments are `taken`.
    fn proof(&self, payment: &VerifiedPayment, logs: &[Log], taken: &[bool]) -> Option<usize>;
    /// The log that proves it paid in a transaction of anybody's, by which so many
    /// payments were used that no log tells from this one, it included.
    fn proof_by_anyone(
        &self,
        payment: &VerifiedPayment,
        logs: &[Log],
        used: usize,
    ) -> Option<usize>;
}

/// What the chain says about a payment before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether it was used or canceled. `None` if the token does not say.
    pub nonce_used: Option<bool>,
    /// What the payer can pay, in atomic units. `None` if the token does not say.
    pub balance: Option<Uint256>,
    /// What the method lacks, besides money: a signature that the payer's
    /// contract takes, for one.
    pub missing: Option<Reason>,
    /// Whether the transfer, simulated, went through.
    pub simulated: bool,
    /// What the simulation left when it reverted, for the log.
    pub revert_reason: Option<String>,
}

/// Why these facts speak against a payment; `None` if nothing does.
///
/// A use comes first, then what the method lacks, the money, and the
/// simulation: the more telling code wins. All are asked even if the simulation
/// went through, because some tokens don't revert on a used authorization and a
/// call to an address without code "succeeds"; where the token does not answer,
/// the payment counts as one whose simulation failed.
pub fn refusal(facts: &Facts, payment: &VerifiedPayment) -> Option<Reason> {
    let reasons = payment.reasons();
    if facts.nonce_used == Some(true) {
        return Some(reasons.used);
    }
    if facts.missing.is_some() {
        return facts.missing;
    }
    if facts.balance.is_some_and(|balance| balance < payment.value().into()) {
        return Some(reasons.unfunded);
    }
    if !facts.simulated || facts.nonce_used.is_none() || facts.balance.is_none() {
        return Some(reasons.fails);
    }
    None
}
