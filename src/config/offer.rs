//! What a route costs on one network, in one token.

use std::rc::Rc;

use super::fields::Report;
use super::network::Network;
use super::token::Token;
use crate::amount::{AtomicAmount, Price};
use crate::json::json;
use crate::payment::{NoTerms, Terms, Wanted};
use crate::protocol::PaymentRequirements;
use crate::protocol::requirements::{
    EXACT, FACILITATOR_ADDRESS, PAYMENT_FLOW, PaymentRequirementsV1, TRANSFER_METHOD, UPFRONT, UPTO,
};
use crate::solana::InvalidTerms;

/// What a route costs on one network, in one of its tokens.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The network.
    pub network: Rc<Network>,
    /// The token.
    pub token: Rc<Token>,
    /// What a payment is checked against.
    pub terms: Terms,
    /// The same for a client that speaks v2.
    pub v2: PaymentRequirements,
    /// The same for a client that speaks v1, if the network has a name there.
    /// `resource` is filled in for each request.
    pub v1: Option<PaymentRequirementsV1>,
}

/// A token on its network.
pub(super) type OnNetwork = (Rc<Network>, Rc<Token>);

/// What its requirements say of a route.
pub(super) struct About<'a> {
    pub description: &'a str,
    pub mime_type: &'a str,
    /// Whether it is paid before it is made.
    pub is_upfront: bool,
    /// Whether what is used of it is paid, and this much at most.
    pub is_by_use: bool,
}

impl Offer {
    /// Which it is, for the seller: `eip155:8453/USDC`, as a route names it.
    pub(super) fn in_words(&self) -> String {
        format!("{}/{}", self.network.id, self.token.symbol)
    }

    /// The token's address, unless it is the network's own.
    pub fn other_asset(&self) -> Option<&str> {
        (!Rc::ptr_eq(&self.token, &self.network.token)).then_some(self.v2.asset.as_str())
    }

    /// What a route has cost. What it can't have cost, nobody has paid.
    pub(super) fn former(chosen: &[OnNetwork], prices: &[Price], about: &About<'_>) -> Vec<Self> {
        let mut former = vec![];
        for price in prices {
            for it in chosen {
                let (amount, faults) = (it.1.units_of(*price), Report::default());
                former
                    .extend(amount.and_then(|units| Self::new(it.clone(), units, about, &faults)));
            }
        }
        former
    }

    /// The offer of this much, in atomic units of a token of a network. `None`
    /// if it can't be made, which has been reported then.
    pub(super) fn new(
        (network, token): OnNetwork,
        amount: AtomicAmount,
        about: &About<'_>,
        faults: &Report,
    ) -> Option<Self> {
        let (pay_to, max_timeout_seconds) = (network.pay_to?, network.max_timeout_seconds);
        let wanted = Wanted {
            pay_to,
            amount,
            max_timeout_seconds,
            fee_payers: network.signers.known_fee_payers(),
            relayers: about.is_by_use.then(|| network.signers.relayers.clone()),
            memo: None,
            smart_wallets: network.wallet_factories(),
            takes_permits: token.eip2612,
        };
        let terms = match token.asset.terms(wanted) {
            Ok(terms) => terms,
            // Reported already, as a secret that is missing.
            Err(NoTerms::Solana(InvalidTerms::NoFeePayer)) => return None,
            Err(problem) => {
                faults.add(format!("NETWORKS.\"{}\"", network.id), problem.to_string());
                return None;
            }
        };
        let mut extra = token.asset.extra(network.signers.fee_payers.first());
        let (asset, pay_to) = (token.asset.address(), pay_to.to_string());
        if about.is_by_use {
            // x402, upto on EVM: it moves by Permit2, and one relayer alone may
            // settle it.
            extra.insert(TRANSFER_METHOD.into(), json!("permit2"));
            let relayer = network.signers.relayers.first().map(ToString::to_string);
            extra.insert(FACILITATOR_ADDRESS.into(), json!(relayer));
        }
        let v1_name = network.v1_name.filter(|_| token.asset.is_for_v1() && !about.is_by_use);
        let v1 = v1_name.map(|name| PaymentRequirementsV1 {
            scheme: EXACT.into(),
            network: name.into(),
            max_amount_required: amount,
            asset: asset.clone(),
            pay_to: pay_to.clone(),
            resource: String::new(),
            description: about.description.to_owned(),
            mime_type: about.mime_type.to_owned(),
            max_timeout_seconds,
            extra: extra.clone(),
        });
        // v1 has no such member.
        if about.is_upfront {
            extra.insert(PAYMENT_FLOW.into(), json!(UPFRONT));
        }
        let v2 = PaymentRequirements {
            scheme: if about.is_by_use { UPTO } else { EXACT }.into(),
            network: network.id,
            amount,
            asset,
            pay_to,
            max_timeout_seconds,
            extra,
        };
        Some(Self { network, token, terms, v2, v1 })
    }
}
