//! The checks of a payment, all local: `exact` on EVM.

pub mod payload;

use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::encoding::encode_hex;
use crate::evm::eip712::{digest, transfer_with_authorization_hash};
use crate::evm::{Address, Domain, Signature, Uint256};
use crate::json::{FromJson, ToJson};
use crate::json_struct;
use crate::protocol::{ChainId, Reason};
use crate::time::UnixSeconds;

pub use payload::{Authorization, ExactEvmPayload};

/// How long an authorization must still be valid, in seconds: a transaction
/// needs to get into a block before `validBefore` (x402, exact on EVM).
pub const MIN_REMAINING_SECONDS: u64 = 6;

/// How far ahead of our clock `validAfter` may be, in seconds: clients set it
/// by their own clock, and many set it to this very second.
///
/// Too small, and a client whose clock is ahead can't pay. Too large, and a
/// request waits that much longer for a block in which the token takes it.
pub const CLOCK_SKEW_SECONDS: u64 = 5;

/// What a payment must be: our own requirements for a resource, with the
/// token's domain separator computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    fields: TermsFields,
    domain_separator: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TermsFields {
    domain: Domain,
    pay_to: Address,
    amount: AtomicAmount,
    max_timeout_seconds: u64,
}

json_struct!(TermsFields {
    domain,
    pay_to as "payTo",
    amount,
    max_timeout_seconds as "maxTimeoutSeconds",
});

impl ToJson for Terms {
    fn write_json(&self, to: &mut String) {
        self.fields.write_json(to);
    }
}

impl FromJson for Terms {
    fn from_json(value: &Value) -> Option<Self> {
        TermsFields::from_json(value).map(Self::from)
    }
}

impl Terms {
    /// The terms: `amount` atomic units of the token whose domain this is, to
    /// `pay_to`. Buyers are told to sign authorizations that end within
    /// `max_timeout_seconds`; one that ends later is as good.
    pub fn new(
        domain: Domain,
        pay_to: Address,
        amount: AtomicAmount,
        max_timeout_seconds: u64,
    ) -> Self {
        TermsFields { domain, pay_to, amount, max_timeout_seconds }.into()
    }

    /// The token's EIP-712 domain.
    pub const fn domain(&self) -> &Domain {
        &self.fields.domain
    }

    /// The EIP-155 chain id.
    pub const fn chain_id(&self) -> u64 {
        self.fields.domain.chain_id
    }

    /// The token.
    pub const fn asset(&self) -> Address {
        self.fields.domain.verifying_contract
    }

    /// Who must be paid.
    pub const fn pay_to(&self) -> Address {
        self.fields.pay_to
    }

    /// How much, in atomic units.
    pub const fn amount(&self) -> AtomicAmount {
        self.fields.amount
    }

    /// `maxTimeoutSeconds`: what buyers are told. It limits nothing here.
    pub const fn max_timeout_seconds(&self) -> u64 {
        self.fields.max_timeout_seconds
    }
}

impl From<TermsFields> for Terms {
    fn from(fields: TermsFields) -> Self {
        let domain_separator = fields.domain.separator();
        Self { fields, domain_separator }
    }
}

impl From<Terms> for TermsFields {
    fn from(terms: Terms) -> Self {
        terms.fields
    }
}

/// A payment that passed every local check of its terms. [`verify`] is the
/// only maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPayment {
    chain_id: u64,
    asset: Address,
    from: Address,
    to: Address,
    value: AtomicAmount,
    valid_after: UnixSeconds,
    valid_before: Uint256,
    nonce: [u8; 32],
    signature: Signature,
}

/// Checks a payload against the terms, at a time. No IO: whether the nonce is
/// unused and the payer has the money only the chain knows.
///
/// The first check that fails gives the code, and the checks go in the order
/// of the specification: signature, recipient, `validBefore`, `validAfter`,
/// value. Scheme and network are checked by the caller.
///
/// # Errors
/// [`Reason::InvalidPayload`], [`Reason::EvmSignature`],
/// [`Reason::EvmRecipientMismatch`], [`Reason::EvmValidBefore`],
/// [`Reason::EvmValidAfter`], [`Reason::EvmValueMismatch`].
pub fn verify(payload: &Value, terms: &Terms, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
    verify_read(ExactEvmPayload::read(payload)?, terms, now)
}

fn verify_read(
    payload: ExactEvmPayload,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<VerifiedPayment, Reason> {
    let ExactEvmPayload { signature, authorization } = payload;
    let signature = signature_of(&signature, &authorization, terms)?;
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
        valid_before,
        nonce,
        signature,
    })
}

/// The same, and whether the payment has lapsed: one whose `validBefore` has
/// come, or is about to, is checked as it was shortly before that. It can't be
/// settled any more; it tells who asks for what was settled.
///
/// # Errors
/// As [`verify`], but for [`Reason::EvmValidBefore`].
pub fn check(
    payload: &Value,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<(VerifiedPayment, bool), Reason> {
    let payload = ExactEvmPayload::read(payload)?;
    let valid_before = seconds(payload.authorization.valid_before);
    let has_lapsed = valid_before < now.plus(MIN_REMAINING_SECONDS);
    let then = UnixSeconds(valid_before.0.saturating_sub(MIN_REMAINING_SECONDS));
    let payment = verify_read(payload, terms, if has_lapsed { then } else { now })?;
    Ok((payment, has_lapsed))
}

/// The signature, if it is well-formed and `from`'s, and `from` is someone.
fn signature_of(
    text: &str,
    authorization: &Authorization,
    terms: &Terms,
) -> Result<Signature, Reason> {
    let signature: Signature = text.parse().map_err(|_| Reason::EvmSignature)?;
    let hash = transfer_with_authorization_hash(authorization);
    let signer = signature.recover(&digest(&terms.domain_separator, &hash));
    if authorization.from == Address::ZERO || signer != Some(authorization.from) {
        return Err(Reason::EvmSignature);
    }
    Ok(signature)
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

    /// The transfer lands only in a block later than this.
    pub const fn valid_after(&self) -> UnixSeconds {
        self.valid_after
    }

    /// The transfer lands only in a block before this, in Unix seconds, as it
    /// was signed. [`Self::expires_at`] is the time that it means.
    pub const fn valid_before(&self) -> Uint256 {
        self.valid_before
    }

    /// The authorization's nonce.
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The payer's signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the chain tells this payment apart by: chain, token, payer and
    /// nonce, in one lower-case spelling. Nothing in it is a client's to
    /// spell, so one authorization has one identity.
    pub fn identity(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.network(),
            self.asset.to_lower_hex(),
            self.from.to_lower_hex(),
            encode_hex(&self.nonce),
        )
    }

    /// The payer as receipts name them, with the checksum of EIP-55.
    pub fn payer(&self) -> String {
        self.from.to_string()
    }

    /// When the payment can no longer land: in a block of this second or a
    /// later one the token refuses it. Blocks may carry a time a little behind
    /// the clock, so whoever forgets the payment waits somewhat longer.
    pub fn expires_at(&self) -> UnixSeconds {
        seconds(self.valid_before)
    }
}
