//! `/.edge402/health`: how the Settlers are doing. Nothing in it is secret:
//! addresses and balances are on the chain for everyone to see.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use worker::web_sys::{Headers, Response};
use worker::{Delay, Env};

use super::app::App;
use super::head::RequestHead;
use super::settler_client::SettlerClient;
use super::transport::FetchTransport;
use super::{clock, respond};
use crate::config::{Config, Network};
use crate::facilitator_client::Facilitator;
use crate::gate::Head as _;
use crate::json::{json, to_value};
use crate::settlement::relayer::settler_name;
use crate::table::Table;

const PATH: &str = "/.edge402/health";

/// For how long a facilitator's answer is told again without another question,
/// in milliseconds; and how long others wait for whoever asks.
const REMEMBERED_MS: u64 = 10_000;
const WAIT_MS: u64 = 4_000;
const POLL: Duration = Duration::from_millis(50);

thread_local! {
    /// What the facilitators last said, by their URLs.
    static REMOTE: RefCell<Table<String, Remembered>> = RefCell::default();
}

/// What a facilitator last said, and when; and since when somebody asks again.
#[derive(Clone, Default)]
struct Remembered {
    problem: Option<String>,
    at_ms: u64,
    asking_since_ms: u64,
}

/// Whether a request asks for the Worker's own health.
pub(super) fn is_asked_for(head: &RequestHead) -> bool {
    head.parts().path == PATH
}

/// 200 if things can be sold on every network, else 503 and what stands in the
/// way.
pub(super) async fn answer(app: &App, env: &Env) -> worker::Result<Response> {
    let mut problems: Vec<String> = vec![];
    let mut settlers = vec![];
    match &app.loaded.config {
        Ok(config) => {
            for name in names(config) {
                settlers.push(ask(env, name, &mut problems).await);
            }
            for network in &config.networks {
                let Some(facilitator) = &network.facilitator else { continue };
                problems.extend(problem_of(network, facilitator).await);
                settlers.push(
                    json!({ "network": network.id.to_string(), "facilitator": facilitator.host() }),
                );
            }
        }
        Err(faults) => {
            app.report_faults();
            let count = faults.0.len();
            problems.push(format!("the configuration has {count} fault(s); the log names them"));
        }
    }
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    let status = if problems.is_empty() { 200 } else { 503 };
    let body = json!({
        "selling": problems.is_empty(),
        "problems": problems,
        "settlers": settlers,
    });
    respond::respond(status, &headers, Some(&body.to_string()))
}

fn names(config: &Config) -> Vec<String> {
    let own = config.networks.iter().filter(|network| network.facilitator.is_none());
    let names = own.flat_map(|network| {
        let keys = network.signers();
        keys.into_iter().map(|key| settler_name(network.id, &key))
    });
    names.collect()
}

async fn ask(env: &Env, name: String, problems: &mut Vec<String>) -> Value {
    let health = match SettlerClient::new(env, &name) {
        Ok(settler) => settler.health().await,
        Err(error) => Err(error),
    };
    if let Ok(health) = health {
        problems.extend_from_slice(&health.problems);
        json!({ "settler": name, "health": to_value(&health) })
    } else {
        problems.push(format!("the Settler {name} does not answer"));
        json!({ "settler": name, "error": "does not answer" })
    }
}

/// What keeps a facilitator from settling. It is asked once for all who want
/// to know within some seconds.
pub(super) async fn problem_of(network: &Network, facilitator: &Facilitator) -> Option<String> {
    let known = |url: &str| REMOTE.with_borrow(|all| all.get(url).cloned()).unwrap_or_default();
    let url = facilitator.url.as_str();
    let started = clock::now_ms();
    let is_fresh = |it: &Remembered| started.saturating_sub(it.at_ms) < REMEMBERED_MS;
    let is_asking = |it: &Remembered| started.saturating_sub(it.asking_since_ms) < WAIT_MS;
    let mut last = known(url);
    if !is_fresh(&last) && !is_asking(&last) {
        let asking = Remembered { asking_since_ms: started, ..last };
        REMOTE.with_borrow_mut(|all| all.insert(url.to_owned(), asking));
        let problem = facilitator.problem(&FetchTransport).await;
        last = Remembered { problem, at_ms: clock::now_ms(), asking_since_ms: 0 };
        REMOTE.with_borrow_mut(|all| all.insert(url.to_owned(), last.clone()));
    }
    // The clock moves with every wait.
    while !is_fresh(&last) && clock::now_ms().saturating_sub(started) < WAIT_MS {
        Delay::from(POLL).await;
        last = known(url);
    }
    let key = format!("NETWORKS.\"{}\".facilitator", network.id);
    let unknown_payer = || "has not said yet who pays the fees".to_owned();
    let problem = last.problem.or_else(|| (!network.is_on_offer()).then(unknown_payer));
    problem.map(|problem| format!("{key}: {problem}"))
}
