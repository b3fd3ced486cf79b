//! What a payment on EVM must be.

use serde_json::Value;

use crate::amount::AtomicAmount;
use crate::evm::{Address, CALLDATA_PER_PAYMENT, Domain, GAS_PER_PAYMENT};
use crate::json::{FromJson, ToJson};
use crate::json_struct;

/// How a token is moved: x402's `assetTransferMethod`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferMethod {
    /// By the token itself (EIP-3009). What is meant where nothing is said.
    #[default]
    Eip3009,
    /// By Permit2, which the payer has allowed to move the token.
    Permit2,
}

impl TransferMethod {
    /// What x402 calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }

    /// Where a payload names the amount.
    pub fn amount_in(self, payload: &Value) -> Option<&Value> {
        match self {
            Self::Eip3009 => payload.get("authorization")?.get("value"),
            Self::Permit2 => payload.get("permit2Authorization")?.get("permitted")?.get("amount"),
        }
    }

    /// The most gas that one payment is given: well above what the known tokens
    /// need.
    pub const fn gas_per_payment(self) -> u64 {
        match self {
            Self::Eip3009 => GAS_PER_PAYMENT,
            // With a permit of the token's own.
            Self::Permit2 => 280_000,
        }
    }

    /// What one payment adds to the calldata of a batch, in bytes.
    pub const fn calldata_per_payment(self) -> u64 {
        match self {
            Self::Eip3009 => CALLDATA_PER_PAYMENT,
            Self::Permit2 => 768,
        }
    }

    /// The method with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Eip3009, Self::Permit2].into_iter().find(|method| method.name() == name)
    }
}

impl ToJson for TransferMethod {
    fn write_json(&self, to: &mut String) {
        self.name().write_json(to);
    }

    /// Terms of EIP-3009 are written as they were before there was another.
    fn is_absent(&self) -> bool {
        *self == Self::Eip3009
    }
}

impl FromJson for TransferMethod {
    fn from_json(value: &Value) -> Option<Self> {
        Self::named(value.as_str()?)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// What a payment must be: our own requirements for a resource, with the
/// token's domain separator computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    fields: TermsFields,
    pub(super) domain_separator: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TermsFields {
    domain: Domain,
    pay_to: Address,
    amount: AtomicAmount,
    max_timeout_seconds: u64,
    method: TransferMethod,
    /// Where it is paid by use: who may settle it.
    relayers: Option<Vec<Address>>,
    /// Whether signatures that only a contract can judge are taken, and which
    /// factories may deploy one.
    smart_wallets: Option<Vec<Address>>,
    /// `Some(true)` where the token's own permits are taken.
    permits: Option<bool>,
}

json_struct!(TermsFields {
    domain,
    pay_to as "payTo",
    amount,
    max_timeout_seconds as "maxTimeoutSeconds",
    method as "assetTransferMethod",
    relayers,
    smart_wallets as "smartWallets",
    permits,
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
        TermsFields {
            domain,
            pay_to,
            amount,
            max_timeout_seconds,
            method: TransferMethod::Eip3009,
            relayers: None,
            smart_wallets: None,
            permits: None,
        }
        .into()
    }

    /// The same terms, the token being moved by another method.
    #[must_use]
    pub fn by(self, method: TransferMethod) -> Self {
        Self { fields: TermsFields { method, ..self.fields }, ..self }
    }

    /// The same terms for what is paid by use (x402, upto on EVM): the amount is
    /// the most, Permit2 moves the token, and one of these relayers has it done.
    #[must_use]
    pub fn by_use(self, relayers: Vec<Address>) -> Self {
        let (method, relayers) = (TransferMethod::Permit2, Some(relayers));
        Self { fields: TermsFields { method, relayers, ..self.fields }, ..self }
    }

    /// The same terms for another amount.
    #[must_use]
    pub fn of_amount(self, amount: AtomicAmount) -> Self {
        Self { fields: TermsFields { amount, ..self.fields }, ..self }
    }

    /// Who may settle it, where it is paid by use.
    pub fn relayers(&self) -> Option<&[Address]> {
        self.fields.relayers.as_deref()
    }

    /// How the token is moved.
    pub const fn method(&self) -> TransferMethod {
        self.fields.method
    }

    /// The same, whether or not smart wallets may pay: contracts that judge
    /// their own signatures (ERC-1271), those not yet deployed (ERC-6492) only
    /// by these factories. Buyers are not told, and payments are not bound to it.
    #[must_use]
    pub fn with_smart_wallets(mut self, factories: Option<Vec<Address>>) -> Self {
        self.fields.smart_wallets = factories;
        self
    }

    /// The factories that may deploy a wallet; `None` if no smart wallet may pay.
    pub fn smart_wallets(&self) -> Option<&[Address]> {
        self.fields.smart_wallets.as_deref()
    }

    /// The same, whether or not the token's own permit (EIP-2612) may bring a
    /// payment's allowance for Permit2 along. Payments are not bound to it.
    #[must_use]
    pub fn with_permits(mut self, are_taken: bool) -> Self {
        self.fields.permits = are_taken.then_some(true);
        self
    }

    /// Whether a permit beside a payment is looked at; else it goes without.
    pub fn takes_permits(&self) -> bool {
        self.fields.permits == Some(true)
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
