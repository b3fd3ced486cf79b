//! `transferWithAuthorization`: the token moves by what the payer signed
//! (EIP-3009).

use serde_json::Value;

use super::{
    Authorization, CLOCK_SKEW_SECONDS, Clue, ExactEvmPayload, Facts, MIN_REMAINING_SECONDS, Method,
    NonceQuestion, Reasons, Terms, Transfer, TransferMethod, VerifiedPayment, WalletSignature,
    seconds,
};
use crate::encoding::encode_hex;
use crate::evm::eip712::{digest, transfer_with_authorization_hash};
use crate::evm::receipt::{AUTHORIZATION_CANCELED, AUTHORIZATION_USED};
use crate::evm::{Address, BlockTag, Call, Log, Signature, Uint256, abi, json_rpc};
use crate::json::json;
use crate::protocol::Reason;

/// What refuses a payment by EIP-3009.
const REASONS: Reasons = Reasons {
    used: Reason::EvmNonceUsed,
    too_late: Reason::EvmValidBefore,
    unfunded: Reason::InsufficientFunds,
    fails: Reason::EvmSimulationFailed,
};

/// An authorization, besides who pays whom how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eip3009 {
    valid_before: Uint256,
    nonce: [u8; 32],
    signed: Signed,
}

/// Who can say whether the payer has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Anybody: it is a signature by the key of `from`.
    ByKey(Signature),
    /// The chain alone: the contract at `from` takes it, or not.
    ByWallet {
        /// What is handed to the contract.
        signature: WalletSignature,
        /// What it is to have signed (EIP-712).
        digest: [u8; 32],
    },
}

/// Checks an authorization against the terms, at a time.
pub(super) fn verify(
    payload: ExactEvmPayload,
    terms: &Terms,
    now: crate::time::UnixSeconds,
) -> Result<VerifiedPayment, Reason> {
    let ExactEvmPayload { signature, authorization } = payload;
    let signed = signed_by(&signature, &authorization, terms)?;
    let Authorization { from, to, value, valid_after, valid_before, nonce } = authorization;
    if to != terms.pay_to() {
        return Err(Reason::EvmRecipientMismatch);
    }
    // However far ahead the end is: the token takes an authorization once.
    if seconds(valid_before) < now.plus(MIN_REMAINING_SECONDS) {
        return Err(Reason::EvmValidBefore);
    }
    // EIP-3009: `require(now > validAfter)`, in a block that is yet to come.
    let valid_after = seconds(valid_after);
    if valid_after > now.plus(CLOCK_SKEW_SECONDS) {
        return Err(Reason::EvmValidAfter);
    }
    if value != terms.amount().into() {
        return Err(Reason::EvmValueMismatch);
    }
    Ok(VerifiedPayment {
        chain_id: terms.chain_id(),
        asset: terms.asset(),
        from,
        to,
        value: terms.amount(),
        valid_after,
        expires_at: seconds(valid_before),
        transfer: Transfer::Eip3009(Eip3009 { valid_before, nonce, signed }),
    })
}

/// The signature, if it is `from`'s, or may be, and `from` is someone. What is
/// not by the key of `from` only its contract can judge, where wallets may pay.
fn signed_by(text: &str, authorization: &Authorization, terms: &Terms) -> Result<Signed, Reason> {
    if authorization.from == Address::ZERO {
        return Err(Reason::EvmSignature);
    }
    let hash = transfer_with_authorization_hash(authorization);
    let digest = digest(&terms.domain_separator, &hash);
    if let Ok(signature) = text.parse::<Signature>()
        && signature.recover(&digest) == Some(authorization.from)
    {
        return Ok(Signed::ByKey(signature));
    }
    let factories = terms.smart_wallets().ok_or(Reason::EvmSignature)?;
    let signature = WalletSignature::read(text, factories)?;
    Ok(Signed::ByWallet { signature, digest })
}

impl Eip3009 {
    /// The transfer lands only in a block before this, in Unix seconds, as it
    /// was signed. [`VerifiedPayment::expires_at`] is the time that it means.
    pub const fn valid_before(&self) -> Uint256 {
        self.valid_before
    }

    /// The authorization's nonce: the token takes each once per payer.
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The payer's signature.
    pub const fn signed(&self) -> &Signed {
        &self.signed
    }

    fn is_valid_question(&self, payment: &VerifiedPayment) -> Option<Call> {
        let Signed::ByWallet { signature, digest } = &self.signed else { return None };
        let data = abi::is_valid_signature(digest, signature.bytes());
        Some(Call { to: payment.from(), data })
    }

    fn names(&self, log: &Log, payment: &VerifiedPayment) -> bool {
        is_used(log, payment.asset())
            && matches!(log.topics.as_slice(), [_, authorizer, nonce]
                if *authorizer == payment.from().to_word() && *nonce == self.nonce)
    }
}

impl Method for Eip3009 {
    fn reasons(&self) -> &'static Reasons {
        &REASONS
    }

    fn gas(&self) -> u64 {
        TransferMethod::Eip3009.gas_per_payment()
    }

    fn identity(&self, payment: &VerifiedPayment) -> String {
        let (asset, payer) = (payment.asset().to_lower_hex(), payment.from().to_lower_hex());
        format!("{asset}/{payer}/{}", encode_hex(&self.nonce))
    }

    fn payload(&self, payment: &VerifiedPayment) -> Value {
        json!({
            "signature": match &self.signed {
                Signed::ByKey(signature) => signature.to_string(),
                Signed::ByWallet { signature, .. } => signature.text(),
            },
            "authorization": {
                "from": payment.from().to_string(),
                "to": payment.to().to_string(),
                "value": payment.value().to_string(),
                "validAfter": payment.valid_after().to_string(),
                "validBefore": self.valid_before.to_string(),
                "nonce": encode_hex(&self.nonce),
            },
        })
    }

    fn call(&self, payment: &VerifiedPayment) -> Call {
        let authorization = Authorization {
            from: payment.from(),
            to: payment.to(),
            value: payment.value().into(),
            valid_after: payment.valid_after().0.into(),
            valid_before: self.valid_before,
            nonce: self.nonce,
        };
        let to = payment.asset();
        match &self.signed {
            Signed::ByKey(signature) => {
                Call { to, data: abi::transfer_with_authorization(&authorization, signature) }
            }
            Signed::ByWallet { signature, .. } => {
                let bytes = signature.bytes();
                let data = abi::transfer_with_authorization_bytes(&authorization, bytes);
                signature.with_deployment(Call { to, data })
            }
        }
    }

    /// What deploys a wallet comes before the question to it.
    fn questions(&self, payment: &VerifiedPayment) -> Vec<Call> {
        let balance = Call { to: payment.asset(), data: abi::balance_of(payment.from()) };
        let mut questions = vec![self.used_question(payment), balance];
        if let Signed::ByWallet { signature, .. } = &self.signed {
            questions.extend(signature.deployment().cloned());
        }
        questions.extend(self.is_valid_question(payment));
        questions
    }

    fn question_count(&self) -> usize {
        match &self.signed {
            Signed::ByKey(_) => 2,
            Signed::ByWallet { signature, .. } => 3 + usize::from(signature.deployment().is_some()),
        }
    }

    fn wallet_signature(&self) -> Option<&WalletSignature> {
        match &self.signed {
            Signed::ByKey(_) => None,
            Signed::ByWallet { signature, .. } => Some(signature),
        }
    }

    fn facts(&self, _: &VerifiedPayment, answers: &[Option<Vec<u8>>], _: bool) -> Facts {
        let of = |at: usize| answers.get(at)?.as_deref();
        let is_signed = matches!(self.signed, Signed::ByKey(_))
            || of(self.question_count() - 1).is_some_and(abi::decode_is_valid_signature);
        Facts {
            nonce_used: of(0).and_then(abi::decode_bool),
            balance: of(1).and_then(abi::decode_uint256),
            missing: (!is_signed).then_some(Reason::EvmSignature),
            simulated: false,
            revert_reason: None,
        }
    }

    fn used_question(&self, payment: &VerifiedPayment) -> Call {
        let data = abi::authorization_state(payment.from(), &self.nonce);
        Call { to: payment.asset(), data }
    }

    fn read_used(&self, data: &[u8]) -> Option<bool> {
        abi::decode_bool(data)
    }

    fn trace(&self, payment: &VerifiedPayment, from_block: u64, to_block: BlockTag) -> Value {
        json!([{
            "address": payment.asset().to_string(),
            "fromBlock": json_rpc::quantity(from_block.into()),
            "toBlock": to_block.to_value(),
            "topics": [
                [encode_hex(&*AUTHORIZATION_USED), encode_hex(&*AUTHORIZATION_CANCELED)],
                encode_hex(&payment.from().to_word()),
                encode_hex(&self.nonce),
            ],
        }])
    }

    /// There is one such log at most, and only the payment's own.
    fn clue(&self, _: &VerifiedPayment, _: &Value) -> Clue {
        Clue::Certain
    }

    fn named_in(&self, _: &VerifiedPayment, _: &[u8]) -> Vec<NonceQuestion> {
        vec![]
    }

    fn is_told_by_logs(&self) -> bool {
        true
    }

    /// A token that emits no `AuthorizationUsed` at all in the transaction (the
    /// event is in the standard, yet not every token has it) has its matching
    /// `Transfer` logs counted: as many payments as there are logs. When some
    /// are missing it can't be told which, and need not be: the payer, the
    /// payee and the value are the same in all of them.
    fn proof(&self, payment: &VerifiedPayment, logs: &[Log], taken: &[bool]) -> Option<usize> {
        if logs.iter().any(|log| is_used(log, payment.asset())) {
            return self.proof_by_anyone(payment, logs, 1);
        }
        let mut logs = logs.iter().zip(taken).enumerate();
        logs.find(|(_, (log, taken))| !**taken && payment.is_moved_by(log)).map(|(index, _)| index)
    }

    /// `AuthorizationUsed(from, nonce)` names the payment. EIP-3009's reference
    /// implementation emits it and then the `Transfer`, so the token's next
    /// `Transfer`, before its next `AuthorizationUsed`, must be the payment's.
    fn proof_by_anyone(&self, payment: &VerifiedPayment, logs: &[Log], _: usize) -> Option<usize> {
        let mut logs = logs.iter().enumerate();
        logs.find(|(_, log)| self.names(log, payment))?;
        let asset = payment.asset();
        let (index, log) = logs.find(|(_, log)| log.is_transfer(asset) || is_used(log, asset))?;
        payment.is_moved_by(log).then_some(index)
    }
}

fn is_used(log: &Log, asset: Address) -> bool {
    log.address == asset && log.topics.first() == Some(&*AUTHORIZATION_USED)
}
