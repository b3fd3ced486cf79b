//! Talking to a Settler from the gate and the facilitator.

use std::cell::Cell;

use js_sys::Promise;
use js_sys::futures::JsFuture;
use serde_json::Value;
use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{RequestInit, Response};

use super::js;
use crate::config::{Config, Network};
use crate::desk::overrides::Board;
use crate::desk::session::Session;
use crate::json::{self, FromJson, ToJson, json};
use crate::payment::VerifiedPayment;
use crate::purchase::settlers::settlers_of;
use crate::settlement::others::{Said, Settlers};
use crate::settlement::outbox::SalesAfter;
use crate::settlement::quota::{QuotaReply, QuotaRequest, QuotaReturn};
use crate::settlement::{
    ClaimReply, ClaimRequest, DeliveryReport, Health, HoldReply, Outcome, ReleaseRequest,
    RenewRequest, Sale, SettleRequest, UseReport, Verdict,
};

/// The Settler of one relayer on one network.
#[derive(Clone)]
pub(super) struct SettlerClient {
    stub: JsValue,
}

impl SettlerClient {
    /// The Settler with this name.
    pub(super) fn new(env: &Env, name: &str) -> worker::Result<Self> {
        let stub = env.durable_object("SETTLER")?.get_by_name(name)?;
        Ok(Self { stub: stub.into_rpc() })
    }

    /// Binds a payment to a resource.
    pub(super) async fn claim(&self, request: &ClaimRequest) -> worker::Result<ClaimReply> {
        self.call("claim", request).await
    }

    /// Settles a claimed payment.
    pub(super) async fn settle(&self, request: &SettleRequest) -> worker::Result<Outcome> {
        self.call("settle", request).await
    }

    /// Claims a payment and settles it.
    pub(super) async fn charge(&self, request: &SettleRequest) -> worker::Result<Outcome> {
        self.call("charge", request).await
    }

    /// Asks whether a payment could be settled.
    pub(super) async fn verify(&self, request: &SettleRequest) -> worker::Result<Verdict> {
        self.call("verify", request).await
    }

    /// Holds a claimed payment while its goods go out.
    pub(super) async fn hold(&self, request: &SettleRequest) -> worker::Result<HoldReply> {
        self.call("hold", request).await
    }

    /// Says how much was used of what a held payment pays for.
    pub(super) async fn report_use(&self, report: &UseReport) -> worker::Result<()> {
        self.call("use", report).await
    }

    /// Gives a claim up.
    pub(super) async fn release(&self, request: &ReleaseRequest) -> worker::Result<()> {
        self.call("release", request).await
    }

    /// Keeps a claim, or the lease of an answer that is underway.
    pub(super) async fn renew(&self, request: &RenewRequest) -> worker::Result<bool> {
        self.call("renew", request).await
    }

    /// Says how an answer ended.
    pub(super) async fn report(&self, report: &DeliveryReport) -> worker::Result<()> {
        self.call("report", report).await
    }

    /// Opens, finds or ends a session of the desk's page: asked of the object that
    /// keeps them, and of no Settler.
    pub(super) async fn session(&self, verb: &str, session: &Session) -> worker::Result<bool> {
        self.call(verb, session).await
    }

    /// Adds counts of refusals, where they are kept.
    pub(super) async fn count_refusals(&self, counts: &str) -> worker::Result<()> {
        self.post("refused", counts.to_owned()).await.map(drop)
    }

    /// How many payments were refused on the days from the first to the second one,
    /// asked where that is kept.
    pub(super) async fn refusals(&self, from: u64, to: u64) -> worker::Result<Value> {
        let text = self.post("refusals", json!({ "from": from, "to": to }).to_string()).await?;
        json::parse(&text).map_err(|error| error.to_string().into())
    }

    /// Asks the object that keeps what the desk has changed, and no Settler.
    pub(super) async fn board(&self, verb: &str, message: &dyn ToJson) -> worker::Result<Board> {
        self.call(verb, message).await
    }

    /// Asks the object that keeps the refunds, and no Settler.
    pub(super) async fn refunds<T: FromJson>(
        &self,
        verb: &str,
        message: &dyn ToJson,
    ) -> worker::Result<T> {
        self.call(verb, message).await
    }

    /// The sales that are asked for, the oldest first.
    pub(super) async fn sales_after(&self, asked: &SalesAfter) -> worker::Result<Vec<Sale>> {
        self.call("sales-after", asked).await
    }

    /// Has the object that sends webhooks look for what there is to send.
    pub(super) async fn nudge(&self) -> worker::Result<()> {
        self.call("nudge", &()).await
    }

    /// Asks that object how the webhooks are doing.
    pub(super) async fn webhooks(&self) -> worker::Result<Value> {
        self.call("webhooks", &()).await
    }

    /// How the Settler is doing.
    pub(super) async fn health(&self) -> worker::Result<Health> {
        self.call("health", &()).await
    }

    /// Asks for one unit of what is free.
    pub(super) async fn take_free(&self, request: &QuotaRequest) -> worker::Result<QuotaReply> {
        self.call("take", request).await
    }

    /// Gives one back.
    pub(super) async fn give_back(&self, unit: &QuotaReturn) -> worker::Result<()> {
        self.call("give-back", unit).await
    }

    async fn call<T: FromJson>(&self, verb: &str, message: &dyn ToJson) -> worker::Result<T> {
        let text = self.post(verb, json::to_text(message)).await?;
        json::from_text(&text).map_err(|error| error.to_string().into())
    }

    /// What it says, as JSON.
    pub(super) async fn post(&self, verb: &str, message: String) -> worker::Result<String> {
        // An answer may be a while in coming, and there may be a crowd of those who
        // wait: by then none of this is held.
        let answer = self.send(verb, message)?;
        let response: Response = JsFuture::from(answer).await?.dyn_into()?;
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        if response.status() != 200 {
            return Err(format!("settler: {verb}: {} {text}", response.status()).into());
        }
        Ok(text)
    }
}

impl SettlerClient {
    fn send(&self, verb: &str, message: String) -> worker::Result<Promise> {
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&JsValue::from(message));
        let url = JsValue::from(format!("https://settler/{verb}"));
        Ok(js::begin(&self.stub, "fetch", &[&url, &init])?)
    }
}

/// A payment's Settlers, with their names: its own one, and behind it the others
/// that may know it.
pub(super) struct SettlerClients {
    all: Vec<(String, SettlerClient)>,
    /// Which of them the payment is at.
    at: Cell<usize>,
}

impl SettlerClients {
    /// Those of a payment on a network.
    pub(super) fn of(
        env: &Env,
        config: &Config,
        network: &Network,
        payment: &VerifiedPayment,
    ) -> worker::Result<Self> {
        let names = settlers_of(config, network, payment).into_iter();
        let all: Vec<_> = names.map(|name| named(env, name)).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err("no Settler".into());
        }
        Ok(Self { all, at: Cell::new(0) })
    }

    /// The one of this name alone.
    pub(super) fn one(env: &Env, name: String) -> worker::Result<Self> {
        Ok(Self { all: vec![named(env, name)?], at: Cell::new(0) })
    }

    /// The one that the payment is at, with its name.
    pub(super) fn place(&self) -> Result<&(String, SettlerClient), String> {
        self.all.get(self.at.get()).ok_or_else(|| "no Settler".to_owned())
    }

    /// The one that the payment is at: its own, unless it stays with another.
    pub(super) fn own(&self) -> Result<&SettlerClient, String> {
        self.place().map(|(_, settler)| settler)
    }

    /// Another one, by its number.
    pub(super) fn other(&self, number: usize) -> Result<&SettlerClient, String> {
        let (_, other) = self.all.get(number + 1).ok_or("no such Settler")?;
        Ok(other)
    }

    /// From now on the payment is at this other one.
    pub(super) fn stay_with_other(&self, number: usize) {
        self.at.set(number + 1);
    }
}

fn named(env: &Env, name: String) -> worker::Result<(String, SettlerClient)> {
    let settler = SettlerClient::new(env, &name)?;
    Ok((name, settler))
}

impl Settlers for SettlerClients {
    async fn claim(&self, request: &ClaimRequest) -> Said {
        self.own()?.claim(request).await.map_err(|error| error.to_string())
    }

    fn others(&self) -> usize {
        self.all.len().saturating_sub(1)
    }

    async fn ask_other(&self, number: usize, request: &ClaimRequest) -> Said {
        self.other(number)?.claim(request).await.map_err(|error| error.to_string())
    }
}

/// A number that nobody can guess: names a claim.
pub(super) fn new_ticket() -> worker::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(u64::from_le_bytes(bytes))
}
