//! The ways for a Settler's payments, as its name and the configuration say.

use std::rc::Rc;

use super::app::App;
use super::transport::GatedTransport;
use super::worker_host::WorkerHost;
use crate::amount::AtomicAmount;
use crate::config::{Config, Facilitator, Network};
use crate::evm::RelayerKey;
use crate::facilitator_client;
use crate::payment::{Asset, PayTo};
use crate::settlement::evm::EvmLane;
use crate::settlement::relayer::is_facilitator_name;
use crate::settlement::remote::RemoteLane;
use crate::settlement::settler::LaneParts;
use crate::settlement::signer::Signer;
use crate::settlement::solana::{Seller, SolanaLane};
use crate::settlement::{Lane, Limits, PerToken};

/// How lanes are made.
pub(super) type MakeLanes<'a> = Box<dyn FnOnce(LaneParts<WorkerHost>) -> Vec<Rc<dyn Lane>> + 'a>;

/// The lanes of the Settler with this name.
pub(super) fn lanes_of<'a>(
    config: &'a Config,
    name: &str,
    transport: GatedTransport,
) -> Result<MakeLanes<'a>, String> {
    let found = config.networks.iter().find_map(|network| {
        let key = name.strip_prefix(&network.id.to_string())?.strip_prefix('/')?;
        Some((network, key))
    });
    let Some((network, key)) = found else {
        return Err(format!("NETWORKS has no entry for {name} any more"));
    };
    if is_facilitator_name(network.id, name) {
        let known = network.facilitator.as_ref().or(network.former_facilitator.as_ref());
        let Some(facilitator) = known else {
            return Err(format!("NETWORKS.\"{}\" has no facilitator any more", network.id));
        };
        return Ok(Box::new(move |parts| {
            vec![facilitator_lane(parts, transport, (config, network), facilitator)]
        }));
    }
    if network.rpc.is_empty() {
        return Err(format!("NETWORKS.\"{}\" has no rpc any more", network.id));
    }
    let limits = limits(config, network);
    match &network.token.asset {
        Asset::Evm(domain, _) => {
            let own = config.relayers.iter().find(|own| own.address().to_string() == key);
            let retired = || key.parse().ok().map(Signer::retired);
            let signer = own.cloned().map(Signer::from).or_else(retired);
            let signer = signer.ok_or_else(|| format!("{name} is no name of a relayer"))?;
            let mut relayers: Vec<_> = config.relayers.iter().map(RelayerKey::address).collect();
            relayers.extend(&config.former_signers.relayers);
            relayers.push(signer.address());
            Ok(Box::new(move |parts| {
                let nodes = App::nodes_over(transport, network);
                let lane = EvmLane::new(parts, nodes, domain.chain_id, signer, relayers, limits);
                // After a move to a facilitator, that one knows what is open at it.
                let fallback = network.fallback.as_ref().or(network.facilitator.as_ref());
                let fallback = fallback.map(|it| lane.fallback_to(it.clone()) as Rc<dyn Lane>);
                let mut lanes: Vec<Rc<dyn Lane>> = vec![lane];
                lanes.extend(fallback);
                lanes
            }))
        }
        Asset::Solana { .. } => {
            let own = config.fee_payers.iter().find(|own| own.pubkey().to_string() == key);
            let fee_payer = key.parse().map_err(|_| format!("{name} is no name of a fee payer"))?;
            Ok(Box::new(move |parts| {
                let nodes = App::nodes_over(transport, network);
                let lane = match own.cloned() {
                    Some(key) => SolanaLane::new(parts, nodes, key, limits),
                    None => SolanaLane::without_key(parts, nodes, fee_payer, limits),
                };
                for seller in sellers_on(network) {
                    lane.look_after(seller);
                }
                vec![lane]
            }))
        }
    }
}

/// Who is paid on a Solana network: the seller, in each of its tokens.
fn sellers_on(network: &Network) -> impl Iterator<Item = Seller> {
    let pay_to = network.pay_to.and_then(PayTo::as_solana);
    network.tokens().filter_map(move |token| match &token.asset {
        Asset::Solana { mint, token_program, .. } => {
            Some(Seller { pay_to: pay_to?, mint: *mint, token_program: *token_program })
        }
        Asset::Evm(..) => None,
    })
}

/// The lane of a network's facilitator. The seller's own nodes, if there are
/// any, are asked where its answers are unclear.
fn facilitator_lane(
    parts: LaneParts<WorkerHost>,
    transport: GatedTransport,
    (config, network): (&Config, &Network),
    facilitator: &facilitator_client::Facilitator,
) -> Rc<RemoteLane<WorkerHost>> {
    let is_evm = !network.id.names_fee_payer();
    let nodes = (is_evm && !network.rpc.is_empty())
        .then(|| (App::nodes_over(transport, network), limits(config, network).quorum_above));
    RemoteLane::new(parts, network.id, facilitator.clone(), nodes)
}

/// What the seller's configuration lets a key do on one of its networks.
fn limits(config: &Config, network: &Network) -> Limits {
    let accounts = config.facilitator.iter().flat_map(Facilitator::accounts);
    Limits {
        batch_max: network.batch_max,
        crowd_max: network.crowd_max,
        daily_spend: network.daily_spend,
        low_balance: network.low_balance,
        max_tip: network.max_tip,
        quorum_above: PerToken::new(
            network.tokens().map(|token| (token.asset.key(), token.quorum_above)),
            // A token that is taken no more: what is under way in it is believed of
            // two nodes, if anything is.
            network.tokens().any(|token| token.quorum_above.is_some()).then_some(AtomicAmount(0)),
        ),
        accounts: accounts
            .filter_map(|account| Some((account.name.clone(), account.daily_spend_on(network.id)?)))
            .collect(),
        coin_price: PerToken::new(
            network.tokens().map(|token| (token.asset.key(), token.coin_price)),
            None,
        ),
        failed_gas: Some(network.failed_gas),
        wallet_gas: network.smart_wallets.as_ref().map(|it| it.gas),
    }
}
