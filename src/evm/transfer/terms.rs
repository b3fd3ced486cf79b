//! What a payment on EVM must be.

use serde_json::Value;

use super::TransferMethod;
use crate::amount::AtomicAmount;
use crate::evm::{Address, Domain};
use crate::json::{FromJson, ToJson};
use crate::json_struct;

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
}

json_struct!(TermsFields {
    domain,
    pay_to as "payTo",
    amount,
    max_timeout_seconds as "maxTimeoutSeconds",
    method as "assetTransferMethod",
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
        let method = TransferMethod::Eip3009;
        TermsFields { domain, pay_to, amount, max_timeout_seconds, method }.into()
    }

    /// The same terms, the token being moved by another method.
    #[must_use]
    pub fn by(self, method: TransferMethod) -> Self {
        Self { fields: TermsFields { method, ..self.fields }, ..self }
    }

    /// How the token is moved.
    pub const fn method(&self) -> TransferMethod {
        self.fields.method
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
