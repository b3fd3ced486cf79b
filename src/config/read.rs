//! From variables and secrets to a configuration, or all that is wrong.

use std::rc::Rc;

use serde_json::Value;

use super::facilitator;
use super::fields::{Report, is_http_url};
use super::keys::{EVM_SECRET, SOLANA_SECRET, read_fee_payers, read_relayers};
use super::network::Elsewhere;
use super::read_route::{RouteEntry, Seller, read_route_entries};
use super::remote::{read_cdp_key, read_headers, report_unknown};
use super::signers::{FormerSigners, Signers};
use super::webhooks::secrets_named;
use super::who::Passes;
use super::{
    Config, Desk, Facilitator, GrantKeys, Loaded, Network, Origin, OriginHeaders, OriginSecret,
    OriginUrl, Override, Overrides, PatternSet, PayPage, Route, Settings, Webhook,
};
use crate::encoding::encode_hex;
use crate::evm::{RelayerKey, keccak256};
use crate::json;
use crate::path::{CanonicalPath, UrlParts};
use crate::protocol::ChainId;
use crate::solana::FeePayerKey;
use crate::table::Table;

/// Reads the configuration: as much of it as can be read, and every fault. A
/// price from the desk that is none any more, since the configuration has
/// changed, is left out; what is off stays off.
pub fn read(settings: &Settings) -> Loaded {
    let loaded = read_with(settings, &settings.overrides);
    let has_prices = settings.overrides.routes.iter().any(|it| it.price.is_some());
    if loaded.config.is_ok() || !has_prices {
        return loaded;
    }
    let mut kept = settings.overrides.clone();
    kept.routes.iter_mut().for_each(|it| it.price = None);
    let without_prices = read_with(settings, &kept);
    // Each look at a price reads all of the configuration: only if that is good.
    if without_prices.config.is_err() {
        return without_prices;
    }
    let is_good = |it: &Override| {
        it.price.is_none() || {
            let alone = Overrides { routes: vec![it.clone()], changes: 0 };
            read_with(settings, &alone).config.is_ok()
        }
    };
    let mut notes = vec![];
    kept.routes.clone_from(&settings.overrides.routes);
    for it in &mut kept.routes {
        if !is_good(it)
            && let Some(price) = it.price.take()
        {
            notes.push(format!("the desk's price of {}, {price}, can't be had any more", it.route));
        }
    }
    let mut loaded = read_with(settings, &kept);
    loaded.notes.extend(notes);
    loaded
}

/// What is wrong with prices from the desk, as a sentence about the first of
/// them; nothing where the configuration has the same fault without them.
pub fn fault_of(settings: &Settings, overrides: &Overrides) -> Option<String> {
    let faults = read_with(settings, overrides).config.err()?;
    let known = read_with(settings, &Overrides::default()).config.err().unwrap_or_default();
    let new = faults.0.into_iter().find(|fault| !known.0.contains(fault))?;
    Some(format!("{}: {}", new.key, new.problem))
}

fn read_with(settings: &Settings, overrides: &Overrides) -> Loaded {
    let faults = Report::default();
    let origin = read_origin(settings.origin.as_ref(), settings.sells(), &faults);
    let origin_headers = OriginHeaders::read(
        settings.origin_headers.as_ref(),
        (&settings.header_secrets, &secrets_named(settings.webhooks.as_ref()).collect::<Vec<_>>()),
        origin.as_ref(),
        &faults,
    );
    let entries = read_route_entries(settings.routes.as_ref(), settings.fold, &faults);
    let patterns = entries.as_ref().and_then(|entries| {
        let patterns = entries.iter().map(RouteEntry::protects);
        Some(PatternSet::new(patterns.collect::<Option<_>>()?, settings.fold))
    });
    let relayers = read_relayers(settings.evm_relayer_keys.as_deref(), &faults);
    let fee_payers = read_fee_payers(settings.solana_fee_payer_keys.as_deref(), &faults);
    let fee_payers_now: Vec<_> = fee_payers.iter().map(FeePayerKey::pubkey).collect();
    let former_signers =
        FormerSigners::read(settings.former_signers.as_ref(), &fee_payers_now, &faults);
    let signers = Signers {
        relayers: relayers.iter().map(RelayerKey::address).collect(),
        fee_payers: fee_payers_now,
        former_fee_payers: former_signers.fee_payers.clone(),
    };
    let networks = read_networks(settings, &signers, &faults);
    report_missing(settings, &networks, &faults);
    let trusted_pages = read_trusted_pages(settings.cors_credentials.as_ref(), &faults);
    let grant_keys = read_grant_keys(settings.grant_secret.as_deref(), &faults);
    let tells_machines = read_flag("TELL_MACHINES", settings.tell_machines.as_ref(), &faults);
    let origin_secret = OriginSecret::read(settings.origin_secret.as_deref(), &faults);
    let delivery_keys = delivery_keys(grant_keys.as_ref(), &relayers, &fee_payers);
    let passes = Passes::read(settings.passes.as_deref(), &faults);
    let seller = Seller {
        passes: &passes,
        networks: &networks,
        has_grant_keys: grant_keys.is_some(),
        tells_origin: read_flag("TELL_ORIGIN", settings.tell_origin.as_ref(), &faults),
        has_origin_secret: settings.origin_secret.is_some(),
        origin_headers: &origin_headers,
        delivery_keys: &delivery_keys,
        origin: origin.as_ref(),
        overrides,
    };
    let routes = entries.into_iter().flatten().filter_map(|entry| entry.into_route(&seller));
    let routes: Vec<Route> = routes.collect();
    let (value, tokens) = (settings.facilitator.as_ref(), settings.facilitator_tokens.as_deref());
    let facilitator = value.and_then(|value| Facilitator::read(value, tokens, &networks, &faults));
    let page = PayPage::read(settings.page.as_ref(), &faults);
    let webhooks = Webhook::read(settings.webhooks.as_ref(), &settings.webhook_secrets, &faults);
    let desk = Desk::read(settings.sales.as_ref(), settings.desk_tokens.as_deref(), &faults);
    if let Some(patterns) = &patterns
        && faults.len() == 0
    {
        find_mislisted(&routes, patterns, &faults);
    }
    let faults = faults.into_faults();
    let config = if faults.0.is_empty() {
        Ok(Config {
            routes,
            networks,
            relayers,
            fee_payers,
            former_signers,
            grant_keys,
            delivery_keys,
            facilitator,
            page,
            desk,
            tells_machines,
            webhooks,
        })
    } else {
        Err(faults)
    };
    let facilitator_path = value.and_then(facilitator::path_of);
    Loaded {
        notes: patterns.as_ref().map(PatternSet::notes).unwrap_or_default(),
        origin,
        origin_headers,
        origin_secret,
        patterns,
        facilitator_path,
        config,
        trusted_pages,
        mark: mark_of(settings),
    }
}

/// Reports keys and bindings that are needed and not there.
fn report_missing(settings: &Settings, networks: &[Rc<Network>], faults: &Report) {
    // What can't be read has been reported, and is not missing as well.
    let is_missing = |secret: &Option<String>| {
        secret.as_ref().is_none_or(|text| text.trim_matches([',', ' ', '\n']).is_empty())
    };
    for network in networks.iter().filter(|network| network.facilitator.is_none()) {
        let (name, secret) = if network.id.names_fee_payer() {
            (SOLANA_SECRET, &settings.solana_fee_payer_keys)
        } else {
            (EVM_SECRET, &settings.evm_relayer_keys)
        };
        if is_missing(secret) {
            let id = network.id;
            faults.add(name, format!("is needed to settle on {id}: wrangler secret put {name}"));
        }
    }
    for name in &settings.missing_bindings {
        faults.add(*name, "is a binding that wrangler.toml must have");
    }
}

/// A yes or no that may be left out, for no.
fn read_flag(name: &str, value: Option<&Value>, faults: &Report) -> bool {
    let value = value.filter(|value| !value.is_null());
    if value.is_some_and(|value| !value.is_boolean()) {
        faults.add(name, "must be true or false");
    }
    value.and_then(Value::as_bool).unwrap_or_default()
}

/// What can be read of a configuration by itself, whatever is wrong with the
/// rest of it: for tools that look at each part.
pub struct Parts {
    /// The networks without a fault.
    pub networks: Vec<Rc<Network>>,
    /// Whose keys can be read.
    pub signers: Signers,
}

/// Reads networks and keys, each by itself. What is wrong [`read`] says.
pub fn read_parts(settings: &Settings) -> Parts {
    let faults = Report::default();
    let relayers = read_relayers(settings.evm_relayer_keys.as_deref(), &faults);
    let fee_payers = read_fee_payers(settings.solana_fee_payer_keys.as_deref(), &faults);
    let signers = Signers {
        relayers: relayers.iter().map(RelayerKey::address).collect(),
        fee_payers: fee_payers.iter().map(FeePayerKey::pubkey).collect(),
        ..Signers::default()
    };
    Parts { networks: read_networks(settings, &signers, &faults), signers }
}

/// Two gates have one mark only if all of this is the same for both.
fn mark_of(settings: &Settings) -> String {
    let Settings { origin, routes, networks, .. } = settings;
    let parts = [origin, routes, networks].map(|it| it.as_ref().map(Value::to_string));
    let hash = encode_hex(&keccak256(format!("{parts:?}").as_bytes()));
    hash.get(2..18).unwrap_or_default().to_owned()
}

fn read_trusted_pages(value: Option<&Value>, faults: &Report) -> Vec<String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return vec![] };
    let is_page = |page: &&str| {
        is_http_url(page)
            && UrlParts::of(page).origin == *page
            && !page.contains('@')
            && !page.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let pages = value.as_array().map(|list| list.iter().map(|page| page.as_str().filter(is_page)));
    let pages = pages.and_then(Iterator::collect::<Option<Vec<_>>>);
    let Some(pages) = pages else {
        faults.add(
            "CORS_CREDENTIALS",
            "must be a list of the sites whose pages may send credentials, \
             as browsers name them: [\"https://app.example.com\"]",
        );
        return vec![];
    };
    pages.into_iter().map(str::to_owned).collect()
}

/// What is listed must be sold by the route that lists it: `/a/*` is listed as
/// `/a/`, which may be another route's, of another price.
fn find_mislisted(routes: &[Route], patterns: &PatternSet, faults: &Report) {
    for (number, route) in routes.iter().enumerate() {
        let Some(method) = &route.listed else { continue };
        let Ok(path) = CanonicalPath::parse(route.pattern.path()) else { continue };
        if patterns.find(&path, method).map(|found| found.route) != Ok(Some(number)) {
            let problem =
                format!("would list {method} {}, which another route sells", path.as_str());
            faults.add(format!("ROUTES[{number}].listed"), problem);
        }
    }
}

fn read_origin(value: Option<&Value>, sells: bool, faults: &Report) -> Option<Origin> {
    let expected = "must be \"assets\", \"service\", \"zone\", or the URL of a site, https://…";
    match value.and_then(Value::as_str) {
        Some("assets") => Some(Origin::Assets),
        Some("service") => Some(Origin::Service),
        Some("zone") => Some(Origin::Zone),
        Some("none") if !sells => Some(Origin::None),
        Some("none") => {
            faults.add("ORIGIN", "is \"none\", so there is nothing to sell: ROUTES must be []");
            None
        }
        Some(url) if is_http_url(url) && !url.contains(['?', '#', '@']) => {
            let parts = UrlParts::of(url);
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

fn read_networks(settings: &Settings, signers: &Signers, faults: &Report) -> Vec<Rc<Network>> {
    let mut secret_urls = read_rpc_urls(settings.rpc_urls.as_deref(), faults);
    let mut headers = read_headers(settings.facilitator_headers.as_deref(), faults);
    let cdp_key = read_cdp_key(settings.cdp_api_key.as_deref(), faults);
    let Some(entries) = settings.networks.as_ref().and_then(Value::as_object) else {
        faults
            .add("NETWORKS", "must name a network: write each as [vars.NETWORKS.\"eip155:8453\"]");
        return vec![];
    };
    if entries.is_empty() {
        faults.add("NETWORKS", "names no network");
    }
    let networks = entries
        .iter()
        .filter_map(|(name, entry)| {
            let facts = name.parse().ok().and_then(|id: ChainId| settings.remote.get(&id));
            let elsewhere = Elsewhere {
                rpc: secret_urls.remove(name),
                headers: headers.remove(name),
                cdp_key: cdp_key.clone(),
                facts: facts.copied().unwrap_or_default(),
                signers: signers.clone(),
                sells: settings.sells(),
            };
            Network::read(name, entry, elsewhere, faults).map(Rc::new)
        })
        .collect();
    for name in secret_urls.keys() {
        faults.add("RPC_URLS", format!("names {name}, which NETWORKS doesn't have"));
    }
    report_unknown(&headers, faults);
    networks
}

fn read_rpc_urls(secret: Option<&str>, faults: &Report) -> Table<String, Vec<String>> {
    let Some(text) = secret else { return Table::new() };
    let Some(urls) = parse_rpc_urls(text) else {
        faults.add("RPC_URLS", "must be JSON: {\"eip155:8453\": [\"https://…\"]}");
        return Table::new();
    };
    for (name, urls) in &urls {
        if urls.is_empty() || !urls.iter().all(|url| is_http_url(url)) {
            faults.add("RPC_URLS", format!("must hold http:// or https:// URLs for {name}"));
        }
    }
    urls
}

fn parse_rpc_urls(text: &str) -> Option<Table<String, Vec<String>>> {
    let read: Value = json::parse(text).ok()?;
    let networks = read.as_object()?.iter().map(|(network, urls)| {
        let urls = urls.as_array()?.iter().map(|url| url.as_str().map(str::to_owned));
        Some((network.clone(), urls.collect::<Option<_>>()?))
    });
    networks.collect()
}

/// One secret, or two for as long as the older one is being replaced: the
/// first signs, both are taken.
fn read_grant_keys(secret: Option<&str>, faults: &Report) -> Option<GrantKeys> {
    let parts: Vec<&str> = secret?.split(',').map(str::trim).collect();
    let keys = parts.iter().map(|part| {
        crate::encoding::decode_hex::<32>(&format!("0x{}", part.trim_start_matches("0x"))).ok()
    });
    let keys = keys.collect::<Option<Vec<_>>>().filter(|keys| (1..=2).contains(&keys.len()));
    if keys.is_none() {
        faults.add(
            "GRANT_SECRET",
            "must be 64 hex digits (openssl rand -hex 32), or two of them with a comma between",
        );
    }
    keys.map(GrantKeys)
}

/// `GRANT_SECRET`, and what grows from each key that signs: so nothing has to be
/// configured, and a key that is added ends no cookie.
fn delivery_keys(
    grants: Option<&GrantKeys>,
    relayers: &[RelayerKey],
    fee_payers: &[FeePayerKey],
) -> GrantKeys {
    const PURPOSE: &str = "edge402 delivery key 1";
    let mut keys = grants.map(|grants| grants.0.clone()).unwrap_or_default();
    keys.extend(relayers.iter().filter_map(|key| key.derive(PURPOSE)));
    keys.extend(fee_payers.iter().filter_map(|key| key.derive(PURPOSE)));
    GrantKeys(keys)
}

#[cfg(test)]
mod tests;
