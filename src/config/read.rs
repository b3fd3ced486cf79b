//! From variables and secrets to a configuration, or all that is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::network::is_http_url;
use super::{
    Chain, Config, DEFAULT_REDELIVER, Faults, Loaded, Method, Network, Offer, Origin, OriginUrl,
    Pattern, PatternSet, Route, SettleWhen,
};
use crate::amount::{AtomicAmount, InvalidPrice, Price};
use crate::evm::RelayerKey;
use crate::exact::Terms;
use crate::protocol::requirements::{EXACT, PaymentRequirementsV1};
use crate::protocol::{ChainId, PaymentRequirements};
use crate::solana::FeePayerKey;
use crate::{evm, solana, time};

/// The variables and secrets, as the runtime found them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `ORIGIN`.
    pub origin: Option<Value>,
    /// `ROUTES`.
    pub routes: Option<Value>,
    /// `NETWORKS`.
    pub networks: Option<Value>,
    /// `EVM_RELAYER_KEYS`.
    pub evm_relayer_keys: Option<String>,
    /// `SOLANA_FEE_PAYER_KEYS`.
    pub solana_fee_payer_keys: Option<String>,
    /// `RPC_URLS`.
    pub rpc_urls: Option<String>,
}

/// The longest description that real clients take in the challenge header.
const MAX_DESCRIPTION: usize = 500;

/// What a route's part of the challenge header may take, in bytes of JSON:
/// base64 of it, the URL and the error stay under 3,000.
const MAX_CHALLENGE_JSON: usize = 1_800;

/// Reads the configuration: as much of it as can be read, and every fault.
pub fn read(settings: &Settings) -> Loaded {
    let mut faults = Faults::default();
    let origin = read_origin(settings.origin.as_ref(), &mut faults);
    let entries = read_route_entries(settings.routes.as_ref(), &mut faults);
    let patterns = entries.as_ref().and_then(|entries| {
        let patterns = entries.iter().map(|e| Some((e.pattern.clone()?, e.methods.clone())));
        Some(PatternSet::new(patterns.collect::<Option<_>>()?, origin == Some(Origin::Assets)))
    });
    let networks = read_networks(settings, &mut faults);
    let relayers = read_keys::<RelayerKey>(
        "EVM_RELAYER_KEYS",
        settings.evm_relayer_keys.as_deref(),
        "must be private keys, 0x and 64 hex digits each, with commas between",
        &mut faults,
    );
    let fee_payers = read_keys::<FeePayerKey>(
        "SOLANA_FEE_PAYER_KEYS",
        settings.solana_fee_payer_keys.as_deref(),
        "must be keypairs, base58 of 64 bytes each, with commas between",
        &mut faults,
    );
    for network in &networks {
        match network.chain {
            Chain::Evm { .. } if relayers.is_empty() => faults.add(
                "EVM_RELAYER_KEYS",
                format!(
                    "is needed to settle on {}: wrangler secret put EVM_RELAYER_KEYS",
                    network.id
                ),
            ),
            Chain::Solana { .. } if fee_payers.is_empty() => faults.add(
                "SOLANA_FEE_PAYER_KEYS",
                format!(
                    "is needed to settle on {}: wrangler secret put SOLANA_FEE_PAYER_KEYS",
                    network.id
                ),
            ),
            _ => {}
        }
    }
    let fee_payer_addresses: Vec<_> = fee_payers.iter().map(FeePayerKey::pubkey).collect();
    let routes = entries.unwrap_or_default().into_iter().enumerate().filter_map(|(n, entry)| {
        entry.into_route(&format!("ROUTES[{n}]"), &networks, &fee_payer_addresses, &mut faults)
    });
    let routes: Vec<Route> = routes.collect();
    faults.0.dedup();
    let config = if faults.0.is_empty() {
        Ok(Config { routes, networks, relayers, fee_payers })
    } else {
        Err(faults)
    };
    Loaded { origin, patterns, config }
}

fn read_origin(value: Option<&Value>, faults: &mut Faults) -> Option<Origin> {
    let expected = "must be \"assets\", \"service\", \"zone\", or the URL of a site, https://…";
    match value.and_then(Value::as_str) {
        Some("assets") => Some(Origin::Assets),
        Some("service") => Some(Origin::Service),
        Some("zone") => Some(Origin::Zone),
        Some(url) if is_http_url(url) && !url.contains(['?', '#', '@']) => {
            let parts = crate::path::UrlParts::of(url);
            Some(Origin::Url(OriginUrl {
                origin: parts.origin.to_ascii_lowercase(),
                base: parts.path.trim_end_matches('/').to_owned(),
            }))
        }
        _ => {
            faults.add("ORIGIN", expected);
            None
        }
    }
}

/// One entry of `ROUTES` as the seller writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFields {
    /// Read on its own, so that it protects even where the rest has a fault.
    #[serde(rename = "pattern")]
    _pattern: String,
    price: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    mime_type: String,
    methods: Option<Vec<String>>,
    settle: Option<String>,
    redeliver: Option<String>,
    networks: Option<Vec<String>>,
}

/// A route with its pattern read, so that it can be closed whatever else is
/// wrong with it.
struct RouteEntry {
    pattern: Option<Pattern>,
    methods: Option<Vec<Method>>,
    fields: Option<RouteFields>,
}

fn read_route_entries(value: Option<&Value>, faults: &mut Faults) -> Option<Vec<RouteEntry>> {
    let Some(entries) = value.and_then(Value::as_array) else {
        faults.add("ROUTES", "must be a list: write each route as [[vars.ROUTES]]");
        return None;
    };
    let entries = entries.iter().enumerate().map(|(n, value)| {
        let key = format!("ROUTES[{n}]");
        let pattern = match value.get("pattern").and_then(Value::as_str).map(Pattern::parse) {
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(problem)) => {
                faults.add(format!("{key}.pattern"), problem);
                None
            }
            None => {
                faults.add(format!("{key}.pattern"), "is needed: a path, or a prefix ending in /*");
                None
            }
        };
        let fields = match serde_json::from_str::<RouteFields>(&value.to_string()) {
            Ok(fields) => Some(fields),
            Err(error) => {
                faults.add(key, error.to_string());
                None
            }
        };
        // Methods that can't be read protect every method.
        let methods = fields
            .as_ref()
            .and_then(|fields| fields.methods.as_ref())
            .map(|methods| methods.iter().filter_map(|method| method.parse().ok()).collect());
        RouteEntry { pattern, methods, fields }
    });
    Some(entries.collect())
}

impl RouteEntry {
    fn into_route(
        self,
        key: &str,
        networks: &[Network],
        fee_payers: &[solana::Pubkey],
        faults: &mut Faults,
    ) -> Option<Route> {
        let fields = self.fields?;
        let price = read_price(&format!("{key}.price"), &fields.price, faults);
        if fields.description.len() > MAX_DESCRIPTION {
            faults.add(
                format!("{key}.description"),
                format!(
                    "has {} bytes; clients take at most {MAX_DESCRIPTION}",
                    fields.description.len()
                ),
            );
        }
        if self.methods.is_some_and(|methods| methods.is_empty()) {
            faults.add(format!("{key}.methods"), "is empty; leave it out to sell every method");
        }
        let settle = match fields.settle.as_deref() {
            None | Some("after") => SettleWhen::After,
            Some("before") => SettleWhen::Before,
            Some(_) => {
                faults.add(format!("{key}.settle"), "must be \"before\" or \"after\"");
                return None;
            }
        };
        let redeliver = read_duration(
            &format!("{key}.redeliver"),
            fields.redeliver.as_deref(),
            DEFAULT_REDELIVER,
            faults,
        );
        let chosen = choose_networks(key, fields.networks.as_deref(), networks, faults);
        let (pattern, price) = (self.pattern?, price?);
        let offers: Vec<Offer> = chosen
            .into_iter()
            .filter_map(|index| {
                let network = networks.get(index)?;
                let Some(amount) = price.in_units(network.decimals) else {
                    faults.add(
                        format!("{key}.price"),
                        format!(
                            "is finer than the {} decimals of the token on {}",
                            network.decimals, network.id
                        ),
                    );
                    return None;
                };
                offer(index, network, amount, &fields, fee_payers, faults)
            })
            .collect();
        let accepts: Vec<&PaymentRequirements> = offers.iter().map(|offer| &offer.v2).collect();
        let size = fields.description.len() + json!(accepts).to_string().len();
        if size > MAX_CHALLENGE_JSON {
            faults.add(
                key,
                format!(
                    "makes a challenge that clients can't take ({size} bytes of \
                     {MAX_CHALLENGE_JSON}): shorten the description or name fewer networks"
                ),
            );
        }
        Some(Route {
            pattern,
            price,
            description: fields.description,
            mime_type: fields.mime_type,
            settle,
            redeliver,
            offers,
        })
    }
}

fn read_price(key: &str, text: &str, faults: &mut Faults) -> Option<Price> {
    let problem = match text.parse::<Price>() {
        Ok(price) => return Some(price),
        Err(InvalidPrice::Malformed) => "must be dollars, such as \"$0.01\"",
        Err(InvalidPrice::Zero) => "is zero; what is free needs no route",
        Err(InvalidPrice::TooLarge) => "is above a million dollars or has over 18 decimals",
    };
    faults.add(key, problem);
    None
}

fn read_duration(
    key: &str,
    text: Option<&str>,
    default: Duration,
    faults: &mut Faults,
) -> Duration {
    let Some(text) = text else { return default };
    time::parse_duration(text).unwrap_or_else(|| {
        faults.add(key, "must be a number and s, m, h or d, such as \"10m\"; or \"0\"");
        default
    })
}

fn choose_networks(
    key: &str,
    names: Option<&[String]>,
    networks: &[Network],
    faults: &mut Faults,
) -> Vec<usize> {
    let Some(names) = names else { return (0..networks.len()).collect() };
    if names.is_empty() {
        faults.add(format!("{key}.networks"), "is empty; leave it out to take all of NETWORKS");
    }
    let index_of = |name: &String| {
        let id: ChainId = name.parse().ok()?;
        networks.iter().position(|network| network.id == id)
    };
    let mut chosen = vec![];
    for name in names {
        match index_of(name) {
            Some(index) if !chosen.contains(&index) => chosen.push(index),
            Some(_) => faults.add(format!("{key}.networks"), format!("names {name} twice")),
            None => faults.add(
                format!("{key}.networks"),
                format!("names {name}, which NETWORKS doesn't have or has a fault in"),
            ),
        }
    }
    chosen
}

/// What the route costs on one network, in both versions.
fn offer(
    index: usize,
    network: &Network,
    amount: AtomicAmount,
    fields: &RouteFields,
    fee_payers: &[solana::Pubkey],
    faults: &mut Faults,
) -> Option<Offer> {
    let timeout = network.max_timeout_seconds;
    let mut extra = Map::new();
    let (terms, asset, pay_to) = match &network.chain {
        Chain::Evm { domain, pay_to } => {
            extra.insert("name".into(), json!(domain.name));
            extra.insert("version".into(), json!(domain.version));
            let terms = evm::Terms::new(domain.clone(), *pay_to, amount, timeout);
            (Terms::Evm(terms), domain.verifying_contract.to_string(), pay_to.to_string())
        }
        Chain::Solana { mint, token_program, pay_to } => {
            let fee_payer = fee_payers.first()?;
            extra.insert("feePayer".into(), json!(fee_payer));
            extra.insert("decimals".into(), json!(network.decimals));
            extra.insert("tokenProgram".into(), json!(token_program.id()));
            let terms = solana::TermsParts {
                mint: *mint,
                token_program: *token_program,
                decimals: network.decimals,
                pay_to: *pay_to,
                amount,
                fee_payers: fee_payers.to_vec(),
                memo: None,
                limits: solana::Limits::default(),
            };
            match solana::Terms::new(terms) {
                Ok(terms) => (Terms::Solana(terms), mint.to_string(), pay_to.to_string()),
                Err(problem) => {
                    faults.add(format!("NETWORKS.\"{}\"", network.id), format!("{problem}"));
                    return None;
                }
            }
        }
    };
    let v1 = network.v1_name.map(|name| PaymentRequirementsV1 {
        scheme: EXACT.into(),
        network: name.into(),
        max_amount_required: amount,
        asset: asset.clone(),
        pay_to: pay_to.clone(),
        resource: String::new(),
        description: fields.description.clone(),
        mime_type: fields.mime_type.clone(),
        max_timeout_seconds: timeout,
        extra: extra.clone(),
    });
    let v2 = PaymentRequirements {
        scheme: EXACT.into(),
        network: network.id,
        amount,
        asset,
        pay_to,
        max_timeout_seconds: timeout,
        extra,
    };
    Some(Offer { network: index, terms, v2, v1 })
}

fn read_networks(settings: &Settings, faults: &mut Faults) -> Vec<Network> {
    let mut secret_urls: BTreeMap<String, Vec<String>> = match settings.rpc_urls.as_deref() {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| {
            faults.add("RPC_URLS", "must be JSON: {\"eip155:8453\": [\"https://…\"]}");
            BTreeMap::new()
        }),
    };
    let Some(entries) = settings.networks.as_ref().and_then(Value::as_object) else {
        faults
            .add("NETWORKS", "must name a network: write each as [vars.NETWORKS.\"eip155:8453\"]");
        return vec![];
    };
    if entries.is_empty() {
        faults.add("NETWORKS", "names no network");
    }
    entries
        .iter()
        .filter_map(|(name, entry)| Network::read(name, entry, secret_urls.remove(name), faults))
        .collect()
}

fn read_keys<K: std::str::FromStr>(
    key: &str,
    secret: Option<&str>,
    expected: &str,
    faults: &mut Faults,
) -> Vec<K> {
    let parts =
        secret.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    let keys: Result<Vec<K>, _> = parts.map(str::parse).collect();
    keys.unwrap_or_else(|_| {
        faults.add(key, expected);
        vec![]
    })
}

#[cfg(test)]
mod tests;
