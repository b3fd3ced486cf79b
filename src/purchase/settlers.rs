//! By which names the Settlers of a payment are found.
//!
//! A payment belongs to one Settler: that of its payer's relayer, of the fee payer in
//! its transaction, or of a facilitator. After a change of the signers, or a
//! move to a facilitator or from one, what was claimed before belongs to another.

use crate::config::{Config, Network};
use crate::evm;
use crate::payment::VerifiedPayment;
use crate::settlement::relayer::{facilitator_name, others_for, relayer_for, settler_name};

/// The name of a payment's own Settler, and behind it those of the others that may
/// know it; nothing if nobody settles there.
pub fn settlers_of(config: &Config, network: &Network, payment: &VerifiedPayment) -> Vec<String> {
    let Some(own) = own_of(network, payment) else { return vec![] };
    let mut names = vec![own];
    for name in others_of(config, network, payment) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn own_of(network: &Network, payment: &VerifiedPayment) -> Option<String> {
    if network.facilitator.is_some() {
        return Some(facilitator_name(network.id, &payment.payer()));
    }
    let relayer = payment.as_evm().and_then(evm::VerifiedPayment::relayer);
    let key = if let Some(fee_payer) = payment.fee_payer() {
        fee_payer.to_string()
    } else if let Some(relayer) = relayer {
        relayer.to_string()
    } else {
        relayer_for(&payment.as_evm()?.from(), &network.signers.relayers)?.to_string()
    };
    Some(settler_name(network.id, &key))
}

/// Those that a payment may have belonged to before: the Settlers of all signers,
/// while the seller names former ones, and a former facilitator's. A Solana
/// transaction names its fee payer, and an `upto` payment its relayer.
fn others_of(config: &Config, network: &Network, payment: &VerifiedPayment) -> Vec<String> {
    let former = &config.former_signers.relayers;
    let settler = |relayer: &evm::Address| settler_name(network.id, &relayer.to_string());
    let mut names = vec![];
    if let Some(evm) = payment.as_evm() {
        if evm.relayer().is_some() {
            return names;
        }
        if network.facilitator.is_none() && !former.is_empty() {
            let others = others_for(&evm.from(), &network.signers.relayers, former);
            names.extend(others.iter().map(settler));
        } else if !network.rpc.is_empty() {
            // Keys settled here before the facilitator. Without nodes nobody could say
            // what became of what they have sent.
            names.extend(former.iter().map(settler));
        }
    }
    let signs = |fee_payer| network.signers.fee_payers.contains(fee_payer);
    if network.former_facilitator.is_some() && !payment.fee_payer().is_some_and(signs) {
        names.push(facilitator_name(network.id, &payment.payer()));
    }
    names
}
