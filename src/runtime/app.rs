//! What an isolate reads once and keeps: the configuration and what was made
//! of it.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{JSON, Reflect};
use serde_json::Value;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::Headers;
use worker::{Env, console_error, console_log};

use super::transport::FetchTransport;
use super::{clock, fold, js, known, respond};
use crate::config::{self, Loaded, Network, Route, Settings, Sources};
use crate::gate::challenge::BlockhashHint;
use crate::gate::{ChallengeTemplate, Layout, PAGE_POLICY, Sale};
use crate::json;
use crate::protocol::ChainId;
use crate::rpc::{Nodes, Transport};
use crate::table::Table;
use crate::time::UnixSeconds;

/// How often the faults of the configuration are written to the log at most, in
/// milliseconds.
const FAULTS_PAUSE_MS: u64 = 60_000;

thread_local! {
    /// When the faults were last written to the log.
    static FAULTS_LOGGED_MS: Cell<u64> = const { Cell::new(0) };
    /// What was noted of the configuration.
    static NOTED: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
}

/// The configuration and what was made of it.
pub(super) struct App {
    pub loaded: Loaded,
    /// For each route, in their order, one for each of its prices.
    challenges: Vec<Vec<ChallengeTemplate>>,
    /// The headers that all 402 answers share: for a client, for a browser.
    challenge_headers: [SharedHeaders; 2],
    /// Recent blockhashes, and when they were asked for, in milliseconds.
    pub blockhashes: RefCell<Table<ChainId, CachedHint>>,
    /// The seller's own page for people to pay on.
    pub layout: RefCell<CachedLayout>,
}

/// Headers that many answers share, and when they were last dated.
#[derive(Default)]
struct SharedHeaders {
    headers: OnceCell<Headers>,
    dated: Cell<UnixSeconds>,
}

/// A blockhash that was asked for.
#[derive(Clone, Default)]
pub(super) struct CachedHint {
    pub hint: Option<BlockhashHint>,
    /// When it came, or failed to come.
    pub at_ms: u64,
    /// Since when somebody has been asking for a newer one; 0 for nobody.
    pub asking_since_ms: u64,
}

/// A page of the seller's own that was asked for.
#[derive(Clone, Default)]
pub(super) struct CachedLayout {
    pub layout: Option<Rc<Layout>>,
    /// When it came, or failed to come.
    pub at_ms: u64,
    /// Since when somebody has been asking for a newer one; 0 for nobody.
    pub asking_since_ms: u64,
}

impl App {
    /// The isolate's one configuration.
    pub(super) fn get(env: &Env) -> Rc<Self> {
        APP.with_borrow_mut(|app| Rc::clone(app.get_or_insert_with(|| Rc::new(Self::new(env)))))
    }

    /// The same, once it was read.
    pub(super) fn known() -> Option<Rc<Self>> {
        APP.with_borrow(Clone::clone)
    }

    /// Reads the configuration again, with what facilitators have said and what
    /// the desk has changed. Who holds the former one keeps it.
    pub(super) fn renew(env: &Env) -> Rc<Self> {
        let renewed = Self::new(env);
        APP.with_borrow_mut(|app| {
            if let Some(former) = app {
                renewed.blockhashes.swap(&former.blockhashes);
                renewed.layout.swap(&former.layout);
            }
            Rc::clone(app.insert(Rc::new(renewed)))
        })
    }

    fn new(env: &Env) -> Self {
        let loaded = config::read(&settings(env));
        log_once(&loaded.notes);
        let challenges = match &loaded.config {
            Ok(config) => {
                log_once(&config.notes());
                let of_route = |route: &Route| {
                    let prices = route.at_all_prices();
                    prices.map(|route| ChallengeTemplate::new(route, config)).collect()
                };
                config.routes.iter().map(of_route).collect()
            }
            Err(_) => vec![],
        };
        let app = Self {
            loaded,
            challenges,
            challenge_headers: Default::default(),
            blockhashes: RefCell::default(),
            layout: RefCell::default(),
        };
        app.report_faults();
        app
    }

    /// Writes the faults of the configuration to the log, if there are any:
    /// when something had to be closed for them, but not more than once a
    /// minute, so that whoever opens the log finds them there.
    pub(super) fn report_faults(&self) {
        let Err(faults) = &self.loaded.config else { return };
        let now = clock::now_ms();
        if now.saturating_sub(FAULTS_LOGGED_MS.get()) >= FAULTS_PAUSE_MS {
            FAULTS_LOGGED_MS.set(now);
            console_error!("{}", faults.to_string());
        }
    }

    /// The challenge of what a request asks for. `None` where the origin hasn't said
    /// what that costs.
    pub(super) fn challenge(&self, sale: &Sale<'_>) -> Option<Cow<'_, ChallengeTemplate>> {
        if sale.asked.has_quotes() {
            let is_for_sale = !sale.asked.lacks_quote() && !sale.asked.offers.is_empty();
            let config = self.loaded.config.as_ref().ok().filter(|_| is_for_sale)?;
            return Some(Cow::Owned(ChallengeTemplate::new(sale.asked, config)));
        }
        self.challenges.get(sale.number)?.get(sale.asked.rule).map(Cow::Borrowed)
    }

    /// The headers that all 402 answers share, made once: each header that is
    /// set crosses from WebAssembly to the host. An answer has a copy of them, so
    /// its own may be set here, if each answer sets it.
    pub(super) fn challenge_headers(&self, wants_page: bool) -> worker::Result<Headers> {
        let [for_client, for_page] = &self.challenge_headers;
        let shared = if wants_page { for_page } else { for_client };
        if shared.headers.get().is_none() {
            let _ = shared.headers.set(Self::new_challenge_headers(wants_page)?);
        }
        let Some(headers) = shared.headers.get() else { return Ok(Headers::new()?) };
        let now = clock::now();
        if shared.dated.replace(now) != now {
            // By which a buyer whose clock is off can date a payment. The edge
            // adds it; the runtime by itself does not.
            headers.set("Date", &clock::http_date())?;
        }
        Ok(headers.clone())
    }

    fn new_challenge_headers(wants_page: bool) -> worker::Result<Headers> {
        let headers = Headers::new()?;
        headers.set("Cache-Control", "no-store")?;
        headers.set("Vary", "Accept, Accept-Language")?;
        respond::allow_origins(&headers)?;
        if wants_page {
            headers.set("Content-Type", "text/html; charset=utf-8")?;
            headers.set("Content-Security-Policy", PAGE_POLICY)?;
            // Wallets that are pages of their own are opened as windows.
            headers.set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")?;
            headers.set("Referrer-Policy", "no-referrer")?;
            // For browsers that don't know `frame-ancestors`.
            headers.set("X-Frame-Options", "DENY")?;
        } else {
            headers.set("Content-Type", "application/json")?;
        }
        Ok(headers)
    }

    /// The nodes of a network, for a request that asks little of them.
    pub(super) fn nodes(network: &Network) -> Nodes<FetchTransport> {
        Self::nodes_over(FetchTransport, network)
    }

    /// The nodes of a network.
    pub(super) fn nodes_over<T: Transport>(transport: T, network: &Network) -> Nodes<T> {
        Nodes::new(transport, network.rpc.clone(), network.chain_check())
    }
}

/// Writes notes to the log that are not there yet: a configuration is read again
/// with what facilitators have said.
fn log_once(notes: &[String]) {
    NOTED.with_borrow_mut(|noted| {
        for note in notes {
            if !noted.contains(note) {
                console_log!("{}", note.as_str());
                noted.push(note.clone());
            }
        }
    });
}

/// All that the configuration is made of.
pub(super) fn settings(env: &Env) -> Settings {
    let find = |name: &str| variable(env, name);
    let has_binding = |name: &str| js::binding(env, name).is_ok();
    let sources = Sources { variable: &find, secret: &find, has_binding: &has_binding };
    let settings = Settings::collect(&sources, known::facts(), fold::fold);
    Settings { overrides: known::overrides().unwrap_or_default(), ..settings }
}

/// A variable of wrangler.toml or a secret, whatever its type.
fn variable(env: &Env, name: &str) -> Option<Value> {
    let value = Reflect::get(env, &JsValue::from(name)).ok()?;
    let text = JSON::stringify(&value).ok()?.as_string()?;
    json::parse(&text).ok()
}
