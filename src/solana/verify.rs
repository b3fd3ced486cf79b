//! A payment against the terms: the rules of `exact` on Solana, one function
//! each, in the order in which they apply. When a transaction breaks several,
//! the first one names the reason.
//!
//! What a payment does decides, not where its instructions stand: wallets put
//! guards of their own before and behind the transfer. So each instruction is
//! one of those that are needed (compute unit limit, compute unit price,
//! transfer; each once), a memo, or a guard. A code that names a place is that
//! of the place at which there is something else.
//!
//! Source of the rules: x402 specification, scheme `exact` on SVM.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::address::Pubkey;
use super::instruction::TransferChecked;
use super::message::{Instruction, MAX_TRANSACTION_BYTES, Message, Transaction};
use super::signature::Signature;
use super::terms::{Limits, Terms};
use crate::amount::AtomicAmount;
use crate::encoding::{decode_base64, encode_base58};
use crate::protocol::Reason;

/// A payment that met the terms: the payer has signed exactly what was asked
/// for, and all that is missing is the fee payer's signature.
///
/// Only [`verify`] makes one. Whether the payer holds the amount, and whether
/// the blockhash is still good, only the chain can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPayment {
    transaction: Transaction,
    fee_payer: Pubkey,
    transfer: TransferChecked,
    transfer_at: usize,
    priority_lamports: u64,
}

/// Checks a scheme's payload, `{"transaction": base64}`, against the terms.
///
/// A false refusal costs a sale. A false acceptance costs the fee payer its
/// lamports or the seller the goods; hence what is not known is refused.
///
/// # Errors
/// The reason that the first broken rule gives.
pub fn verify(payload: &Value, terms: &Terms) -> Result<VerifiedPayment, Reason> {
    let transaction = transaction_in(payload)?;
    let message = &transaction.message;
    let fee_payer = fee_payer_is_ours(message, terms)?;
    signers_are_fee_payer_and_authority(message)?;
    signatures_are_the_payers(&transaction)?;
    three_to_twelve(&message.instructions)?;
    let parts = Parts::of(&message.instructions);
    let units = compute_unit_limit(&parts, &terms.parts().limits)?;
    let price = compute_unit_price(&parts, units, &terms.parts().limits)?;
    let (transfer_at, transfer) = transfer(&parts)?;
    fee_payers_keep_out(message, &fee_payer, &transfer, terms)?;
    asset_is_the_asked_one(&transfer, terms)?;
    recipient_is_pay_to(&transfer, terms)?;
    amount_is_exact(&transfer, terms)?;
    rest_is_memo_or_lighthouse(&parts)?;
    memo_is_the_asked_one(message, terms)?;
    let priority_lamports = lamports(units, price);
    Ok(VerifiedPayment { transaction, fee_payer, transfer, transfer_at, priority_lamports })
}

impl VerifiedPayment {
    /// The index of the instruction that is the transfer.
    pub fn transfer_at(&self) -> usize {
        self.transfer_at
    }

    /// Whether a guard of the wallet looks at our fee payer, whose account is
    /// handed to the guards' program then.
    pub fn shows_fee_payer(&self) -> bool {
        let mut instructions = self.transaction.message.instructions.iter();
        instructions.any(|instruction| instruction.accounts.contains(&self.fee_payer))
    }

    /// The transaction, signed by the payer but not yet by the fee payer.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Who pays: the authority of the transfer.
    pub fn payer(&self) -> &Pubkey {
        &self.transfer.authority
    }

    /// Which fee payer of ours the transaction names.
    pub fn fee_payer(&self) -> &Pubkey {
        &self.fee_payer
    }

    /// What is paid, in atomic units of the mint.
    pub fn amount(&self) -> AtomicAmount {
        AtomicAmount(self.transfer.amount.into())
    }

    /// The token.
    pub fn mint(&self) -> &Pubkey {
        &self.transfer.mint
    }

    /// The token account that is charged.
    pub fn source(&self) -> &Pubkey {
        &self.transfer.source
    }

    /// The token account that is paid.
    pub fn destination(&self) -> &Pubkey {
        &self.transfer.destination
    }

    /// What the transaction costs its fee payer if it lands, in lamports: the
    /// base fee for two signatures, and the priority fee for all the units
    /// that it may use, whether it uses them or not.
    pub fn fee_lamports(&self) -> u64 {
        (2 * LAMPORTS_PER_SIGNATURE).saturating_add(self.priority_lamports)
    }

    /// The blockhash that the transaction expires with, in base58.
    pub fn recent_blockhash(&self) -> String {
        encode_base58(&self.transaction.message.recent_blockhash)
    }

    /// What tells this payment from every other of the same cluster: base58
    /// of the SHA-256 of the message. The signatures are left out, since a
    /// payer can make many for one message, and the chain takes it but once.
    /// The caller adds the network.
    pub fn identity(&self) -> String {
        encode_base58(&Sha256::digest(&self.transaction.message.bytes))
    }
}

/// How much a payload's first transfer moves, whatever else is wrong with it.
pub fn amount_in(payload: &Value) -> Option<AtomicAmount> {
    let transaction = transaction_in(payload).ok()?;
    let mut instructions = transaction.message.instructions.iter();
    let transfer = instructions.find_map(TransferChecked::read)?;
    Some(AtomicAmount(transfer.amount.into()))
}

/// SVM exact, rule 1: the transaction decodes completely. One with address
/// lookup tables doesn't decode: what they hold can't be known without IO.
/// Members of the payload that are not known here have no say in what is paid.
fn transaction_in(payload: &Value) -> Result<Transaction, Reason> {
    let transaction =
        payload.get("transaction").and_then(Value::as_str).ok_or(Reason::InvalidPayload)?;
    let bytes =
        decode_base64(transaction, MAX_TRANSACTION_BYTES).map_err(|_| Reason::SvmUndecodable)?;
    Transaction::parse(&bytes).map_err(|_| Reason::SvmUndecodable)
}

/// SVM exact, rule 2: account 0 is our fee payer.
fn fee_payer_is_ours(message: &Message, terms: &Terms) -> Result<Pubkey, Reason> {
    let first = message.signers.first().ok_or(Reason::SvmUndecodable)?;
    if terms.is_fee_payer(first) { Ok(*first) } else { Err(Reason::SvmFeePayerMismatch) }
}

/// SVM exact, rule 3, first half: the signers are the fee payer and the
/// payer's authority. A transfer by the fee payer itself is left to the rule
/// that is about it, and a missing transfer likewise.
fn signers_are_fee_payer_and_authority(message: &Message) -> Result<(), Reason> {
    let transfer = message.instructions.iter().find_map(TransferChecked::read);
    match (message.signers.as_slice(), transfer.map(|transfer| transfer.authority)) {
        ([_, _, _, ..], _) => Err(Reason::SvmExcessiveSigners),
        ([fee_payer, ..], Some(authority)) if authority == *fee_payer => Ok(()),
        ([_, second], Some(authority)) if authority == *second => Ok(()),
        ([_, _], None) => Ok(()),
        _ => Err(Reason::SvmSignatureInvalid),
    }
}

/// SVM exact, rule 3, second half: the fee payer's signature is yet to be
/// made, and every other one verifies strictly over the message.
fn signatures_are_the_payers(transaction: &Transaction) -> Result<(), Reason> {
    let message = &transaction.message;
    let mut signed = transaction.signatures.iter().zip(&message.signers);
    let ours_is_absent = signed.next().is_some_and(|(slot, _)| *slot == Signature::ABSENT);
    if ours_is_absent && signed.all(|(signature, signer)| signature.is_by(signer, &message.bytes)) {
        return Ok(());
    }
    Err(Reason::SvmSignatureInvalid)
}

/// The base fee for each signature of a transaction, in lamports.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// How many instructions there may be: more than any wallet makes. What they
/// cost is bounded by the compute units.
const INSTRUCTIONS_MAX: usize = 12;

/// SVM exact, rule 4: 3 instructions at least, and not too many.
fn three_to_twelve(instructions: &[Instruction]) -> Result<(), Reason> {
    let is_right = (3..=INSTRUCTIONS_MAX).contains(&instructions.len());
    if is_right { Ok(()) } else { Err(Reason::SvmInstructionsLength) }
}

/// A transaction's instructions by what they are for: the first that sets the
/// compute unit limit, the first that sets its price, the first transfer; and
/// where the first one stands that is none of these, no memo and no guard. An
/// `AdvanceNonceAccount`, without which a transaction has no durable nonce, is
/// such a one; so what is paid here always expires.
struct Parts {
    units: Option<u32>,
    price: Option<u64>,
    transfer: Option<(usize, TransferChecked)>,
    stranger_at: Option<usize>,
}

impl Parts {
    fn of(instructions: &[Instruction]) -> Self {
        let mut parts = Self { units: None, price: None, transfer: None, stranger_at: None };
        for (at, instruction) in instructions.iter().enumerate() {
            let units = instruction.compute_unit_limit();
            let price = instruction.compute_unit_price();
            let transfer = TransferChecked::read(instruction);
            if units.is_some() && parts.units.is_none() {
                parts.units = units;
            } else if price.is_some() && parts.price.is_none() {
                parts.price = price;
            } else if let (Some(transfer), None) = (transfer, parts.transfer) {
                parts.transfer = Some((at, transfer));
            } else if instruction.memo().is_none() && !instruction.is_lighthouse() {
                parts.stranger_at.get_or_insert(at);
            }
        }
        parts
    }

    /// What is there, if it is, and nothing else stands where it would in a
    /// transaction without guards.
    fn needed<T>(&self, part: Option<T>, place: usize, missing: Reason) -> Result<T, Reason> {
        part.filter(|_| self.stranger_at != Some(place)).ok_or(missing)
    }
}

/// SVM exact, rule 5: there is a `SetComputeUnitLimit`, capped.
fn compute_unit_limit(parts: &Parts, limits: &Limits) -> Result<u32, Reason> {
    let units = parts.needed(parts.units, 0, Reason::SvmComputeLimitInstruction)?;
    if units > limits.compute_units { Err(Reason::SvmComputeLimitTooHigh) } else { Ok(units) }
}

/// SVM exact, rule 6: there is a `SetComputeUnitPrice`, capped, and so is what
/// it comes to.
fn compute_unit_price(parts: &Parts, units: u32, limits: &Limits) -> Result<u64, Reason> {
    let price = parts.needed(parts.price, 1, Reason::SvmComputePriceInstruction)?;
    if price > limits.price_micro_lamports || lamports(units, price) > limits.total_lamports {
        return Err(Reason::SvmComputePriceTooHigh);
    }
    Ok(price)
}

/// What so many units come to at a price in micro-lamports, rounded up.
fn lamports(units: u32, price: u64) -> u64 {
    let lamports = (u128::from(units) * u128::from(price)).div_ceil(1_000_000);
    u64::try_from(lamports).unwrap_or(u64::MAX)
}

/// SVM exact, rule 7: there is a `TransferChecked`.
fn transfer(parts: &Parts) -> Result<(usize, TransferChecked), Reason> {
    parts.needed(parts.transfer, 2, Reason::SvmNoTransferInstruction)
}

/// SVM exact, rule 8: our fee payer is in no instruction's accounts, so it is
/// no authority and no source; nor is the source its token account. This goes
/// for all of our fee payers, whichever pays this time.
///
/// The one exception: a guard may look at the fee payer of this transaction,
/// and at nothing else. Phantom's do, at its lamports. See
/// [`Instruction::is_guard_of`]; the simulation must show then that it loses
/// the fee and no more.
fn fee_payers_keep_out(
    message: &Message,
    fee_payer: &Pubkey,
    transfer: &TransferChecked,
    terms: &Terms,
) -> Result<(), Reason> {
    let others = message.instructions.iter().filter(|it| !it.is_guard_of(fee_payer));
    let mut accounts = others.flat_map(|instruction| &instruction.accounts);
    if accounts.any(|account| terms.is_fee_payer(account))
        || terms.is_fee_payers_account(&transfer.source)
    {
        return Err(Reason::SvmFeePayerTransferringFunds);
    }
    Ok(())
}

/// SVM exact, rule 9: the mint is the asset, of the same token program and
/// with the same decimals.
fn asset_is_the_asked_one(transfer: &TransferChecked, terms: &Terms) -> Result<(), Reason> {
    let asked = terms.parts();
    if transfer.mint == asked.mint
        && transfer.decimals == asked.decimals
        && transfer.token_program == asked.token_program
    {
        return Ok(());
    }
    Err(Reason::SvmMintMismatch)
}

/// SVM exact, rule 9: the destination is payTo's associated token account.
/// A transfer from that account to itself succeeds and pays nobody.
fn recipient_is_pay_to(transfer: &TransferChecked, terms: &Terms) -> Result<(), Reason> {
    if transfer.destination == *terms.destination() && transfer.source != transfer.destination {
        return Ok(());
    }
    Err(Reason::SvmRecipientMismatch)
}

/// SVM exact, rule 9: the amount is the required one, no less and no more.
fn amount_is_exact(transfer: &TransferChecked, terms: &Terms) -> Result<(), Reason> {
    if AtomicAmount(transfer.amount.into()) == terms.parts().amount {
        return Ok(());
    }
    Err(Reason::SvmAmountMismatch)
}

/// SVM exact, rule 10: the rest is Memo or Lighthouse only. What would charge
/// the fee payer rent (`Create` of an associated token account) or outlive
/// the blockhash is neither.
fn rest_is_memo_or_lighthouse(parts: &Parts) -> Result<(), Reason> {
    match parts.stranger_at {
        None => Ok(()),
        Some(..=3) => Err(Reason::SvmUnknownFourthInstruction),
        Some(4) => Err(Reason::SvmUnknownFifthInstruction),
        Some(5) => Err(Reason::SvmUnknownSixthInstruction),
        Some(_) => Err(Reason::SvmUnknownSeventhInstruction),
    }
}

/// SVM exact, rule 10: where the terms ask for a memo, there is exactly one,
/// and it is that. Elsewhere clients add memos of their own, to tell apart
/// two payments that are otherwise equal.
fn memo_is_the_asked_one(message: &Message, terms: &Terms) -> Result<(), Reason> {
    let Some(asked) = &terms.parts().memo else { return Ok(()) };
    let mut memos = message.instructions.iter().filter_map(Instruction::memo);
    match (memos.next(), memos.next()) {
        (Some(memo), None) if memo == asked.as_bytes() => Ok(()),
        (Some(_), None) => Err(Reason::SvmMemoMismatch),
        _ => Err(Reason::SvmMemoCount),
    }
}
