//! `/.edge402/health`: how the Settlers are doing. Nothing in it is secret:
//! addresses and balances are on the chain for everyone to see.

use serde_json::{Value, json};
use worker::Env;
use worker::web_sys::{Headers, Response};

use super::app::App;
use super::head::RequestHead;
use super::respond;
use super::settler_client::SettlerClient;
use crate::config::{Chain, Config};
use crate::evm::RelayerKey;
use crate::gate::Head as _;
use crate::path::UrlParts;
use crate::settlement::relayer::settler_name;
use crate::solana::FeePayerKey;

const PATH: &str = "/.edge402/health";

/// Whether a request asks for the Worker's own health.
pub fn is_asked_for(head: &RequestHead) -> bool {
    UrlParts::of(head.url()).path == PATH
}

/// 200 if things can be sold, 503 if a fault in the configuration forbids it
/// or a Settler can't be asked.
pub async fn answer(app: &App, env: &Env) -> worker::Result<Response> {
    let (is_well, settlers) = match &app.loaded.config {
        Ok(config) => {
            let mut settlers = vec![];
            for name in names(config) {
                settlers.push(ask(env, name).await);
            }
            settlers.extend(facilitators(config));
            (settlers.iter().all(|settler| settler.get("error").is_none()), settlers)
        }
        Err(_) => (false, vec![]),
    };
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    let body = json!({
        "selling": app.loaded.config.is_ok(),
        "settlers": settlers,
    });
    respond::respond(if is_well { 200 } else { 503 }, &headers, Some(&body.to_string()))
}

/// The networks that somebody else settles. How that one is doing is for it to
/// tell.
fn facilitators(config: &Config) -> impl Iterator<Item = Value> {
    config.networks.iter().filter_map(|network| {
        let host = network.facilitator.as_ref()?.host();
        Some(json!({ "network": network.id, "facilitator": host }))
    })
}

fn names(config: &Config) -> Vec<String> {
    let own = config.networks.iter().filter(|network| network.facilitator.is_none());
    let names = own.flat_map(|network| {
        let keys: Vec<String> = match network.chain {
            Chain::Evm { .. } => {
                config.relayers.iter().map(RelayerKey::address).map(|a| a.to_string()).collect()
            }
            Chain::Solana { .. } => {
                config.fee_payers.iter().map(FeePayerKey::pubkey).map(|a| a.to_string()).collect()
            }
        };
        keys.into_iter().map(|key| settler_name(network.id, &key))
    });
    names.collect()
}

async fn ask(env: &Env, name: String) -> Value {
    let health = match SettlerClient::new(env, &name) {
        Ok(settler) => settler.health().await,
        Err(error) => Err(error),
    };
    match health {
        Ok(health) => json!({ "settler": name, "health": health }),
        Err(_) => json!({ "settler": name, "error": "does not answer" }),
    }
}
