//! The Durable Object around a Settler.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use js_sys::futures::JsFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::{
    Delay, DurableObject, Env, Request, Response, State, console_error, console_log,
    durable_object, web_sys,
};

use super::app::App;
use super::clock;
use super::remote;
use super::sql::SqlStore;
use super::transport::FetchTransport;
use crate::config::{Chain, Config, Facilitator, Network};
use crate::evm::RelayerKey;
use crate::settlement::evm::EvmLane;
use crate::settlement::relayer::{is_facilitator_name, settler_name};
use crate::settlement::settler::Lane;
use crate::settlement::solana::SolanaLane;
use crate::settlement::{self, Host, Limits, StoreError};
use crate::time::UnixSeconds;

/// The one place that can settle the payments of one relayer on one network.
/// Its name is `{CAIP-2}/{relayer}`, or `{CAIP-2}/facilitator/{digit}`.
#[durable_object(alarm)]
pub struct Settler {
    state: Rc<State>,
    env: Env,
    inner: OnceCell<settlement::Settler<WorkerHost>>,
}

impl DurableObject for Settler {
    fn new(state: State, env: Env) -> Self {
        Self { state: Rc::new(state), env, inner: OnceCell::new() }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let request: web_sys::Request = request.inner().clone()?;
        let url = request.url();
        let body = JsFuture::from(request.text()?).await?.as_string().unwrap_or_default();
        let settler = self.settler()?;
        match url.rsplit('/').next() {
            Some("claim") => answer(settler.claim(&read(&body)?).await),
            Some("settle") => answer(settler.settle(read(&body)?).await),
            Some("charge") => answer(settler.charge(read(&body)?).await),
            Some("verify") => answer(settler.verify(&read(&body)?).await),
            Some("health") => answer(Ok(settler.health().await)),
            Some("release") => answer(settler.release(&read(&body)?)),
            _ => Response::error("no such verb", 404),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Err(error) = self.settler()?.wake() {
            console_error!("{}", error.to_string());
            return Err(error.to_string().into());
        }
        Response::empty()
    }
}

impl Settler {
    /// The Settler, made when it is first needed in this object's life. That
    /// is also when it takes up what the last life left in the journal.
    fn settler(&self) -> worker::Result<&settlement::Settler<WorkerHost>> {
        if let Some(settler) = self.inner.get() {
            return Ok(settler);
        }
        let made = self.make()?;
        made.wake().map_err(|error| error.to_string())?;
        Ok(self.inner.get_or_init(|| made))
    }

    fn make(&self) -> worker::Result<settlement::Settler<WorkerHost>> {
        let app = App::get(&self.env);
        let config = app.loaded.config.as_ref().map_err(|_| "the configuration has faults")?;
        let host = WorkerHost { state: Rc::clone(&self.state) };
        let store = SqlStore::new(&self.state.storage()).map_err(|error| error.to_string())?;
        let name = store.name(self.state.id().name()).map_err(|error| error.to_string())?;
        let name = name.ok_or("a Settler without a name")?;
        for (number, network) in config.networks.iter().enumerate() {
            if let Some(facilitator) = &network.facilitator {
                if is_facilitator_name(network.id, &name) {
                    return Ok(settlement::Settler::new(host, store, |parts| {
                        Lane::Remote(remote::lane(parts, network, facilitator))
                    }));
                }
                continue;
            }
            let limits = limits(config, number, network);
            match &network.chain {
                Chain::Evm { domain, .. } => {
                    let is_ours = |address: String| settler_name(network.id, &address) == name;
                    let key = config.relayers.iter().find(|k| is_ours(k.address().to_string()));
                    if let Some(key) = key {
                        let (chain_id, key) = (domain.chain_id, key.clone());
                        let relayers = config.relayers.iter().map(RelayerKey::address).collect();
                        return Ok(settlement::Settler::new(host, store, |parts| {
                            let nodes = App::nodes(network);
                            let lane = EvmLane::new(parts, nodes, chain_id, key, relayers, limits);
                            if let Some(fallback) = &network.fallback {
                                lane.fall_back_on(fallback.clone());
                            }
                            Lane::Evm(lane)
                        }));
                    }
                }
                Chain::Solana { .. } => {
                    let is_ours = |address: String| settler_name(network.id, &address) == name;
                    let key = config.fee_payers.iter().find(|k| is_ours(k.pubkey().to_string()));
                    if let Some(key) = key {
                        let key = key.clone();
                        return Ok(settlement::Settler::new(host, store, |parts| {
                            let nodes = App::nodes(network);
                            Lane::Solana(SolanaLane::new(parts, nodes, key, limits))
                        }));
                    }
                }
            }
        }
        Err(format!("no key and network for the Settler {name}").into())
    }
}

/// What the seller's configuration lets a key do on one of its networks.
fn limits(config: &Config, number: usize, network: &Network) -> Limits {
    let accounts = config.facilitator.iter().flat_map(Facilitator::accounts);
    Limits {
        batch_max: network.batch_max,
        daily_spend: network.daily_spend,
        low_balance: network.low_balance,
        max_tip: network.max_tip,
        quorum_above: network.quorum_above,
        accounts: accounts
            .filter_map(|account| Some((account.name.clone(), account.daily_spend_on(number)?)))
            .collect(),
        coin_price: None,
        failed_gas: None,
    }
}

/// The runtime, as a Settler sees it.
#[derive(Clone)]
pub struct WorkerHost {
    state: Rc<State>,
}

impl Host for WorkerHost {
    type Transport = FetchTransport;
    type Store = SqlStore;

    fn transport(&self) -> FetchTransport {
        FetchTransport
    }

    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    async fn sleep(&self, duration: Duration) {
        Delay::from(duration).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.state.wait_until(task);
    }

    fn wake_in(&self, seconds: u64) {
        let storage = self.state.storage();
        self.spawn(async move {
            let soon = Duration::from_secs(seconds);
            let is_set = match storage.get_alarm().await {
                Ok(Some(at)) => {
                    let at = u64::try_from(at).unwrap_or(0);
                    at > clock::now_ms() && at <= clock::now_ms() + seconds * 1_000
                }
                Ok(None) | Err(_) => false,
            };
            if !is_set && let Err(error) = storage.set_alarm(soon).await {
                console_error!("alarm: {}", error.to_string());
            }
        });
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}

fn read<T: DeserializeOwned>(body: &str) -> worker::Result<T> {
    Ok(serde_json::from_str(body)?)
}

fn answer<T: Serialize>(result: Result<T, StoreError>) -> worker::Result<Response> {
    match result {
        Ok(value) => Response::ok(serde_json::to_string(&value)?),
        Err(error) => {
            console_error!("{}", error.to_string());
            Response::error(error.to_string(), 500)
        }
    }
}
