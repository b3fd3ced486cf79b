//! The Durable Object that sends webhooks, and who wakes it.

use std::cell::Cell;
use std::time::Duration;

use worker::web_sys::{Headers, Response};
use worker::{Env, State, console_error, console_log};

use super::alarm::ObjectAlarm;
use super::app::App;
use super::kept::Kept;
use super::many::{Question, ask};
use super::settler_client::SettlerClient;
use super::transport::FetchTransport;
use super::{clock, refused, respond};
use crate::config::{Config, Webhook};
use crate::desk::settlers;
use crate::desk::webhooks::{
    Count, Look, Message, Outbox, Sender, WEBHOOKS_OBJECT, next_after, run, view,
};
use crate::facilitator_client::{Http as _, HttpRequest};
use crate::json;
use crate::settlement::outbox::SalesAfter;
use crate::settlement::relayer::{is_facilitator_name, settler_name};
use crate::settlement::standing::{Standing, Waiting};
use crate::settlement::{Health, Sale, StoreError};
use crate::time::UnixSeconds;

/// Under which name the object keeps how far it is.
const OUTBOX: &str = "outbox";

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How soon it is sent what has happened, in seconds: when the second is over in
/// which that was written down.
const SOON_SECONDS: u64 = 2;

/// How soon to go on after a fault, in seconds.
const AGAIN_SECONDS: u64 = 60;

/// Lets the object know that something has happened.
pub(super) async fn nudge(env: &Env) -> worker::Result<()> {
    SettlerClient::new(env, WEBHOOKS_OBJECT)?.nudge().await
}

/// Answers the seller: how the webhooks are doing.
pub(super) async fn answer(env: &Env) -> worker::Result<Response> {
    let said = match SettlerClient::new(env, WEBHOOKS_OBJECT) {
        Ok(client) => client.webhooks().await,
        Err(error) => Err(error),
    };
    let Ok(said) = said else {
        return respond::error(503, "how the webhooks are doing can't be told right now");
    };
    let headers = Headers::new()?;
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    respond::respond(200, &headers, Some(&said.to_string()))
}

/// Whether an object is asked as the one that sends webhooks.
pub(super) fn is_asked_for(verb: &str) -> bool {
    matches!(verb, "nudge" | "webhooks")
}

/// What it answers, as JSON. `told`: when it was last let know of something, in
/// milliseconds.
pub(super) async fn object_answer(
    state: &State,
    alarm: &ObjectAlarm,
    env: &Env,
    (verb, told): (&str, &Cell<u64>),
) -> worker::Result<String> {
    if verb == "nudge" {
        told.set(clock::now_ms());
        alarm.wake_in(SOON_SECONDS).await?;
        return Ok("null".into());
    }
    let app = App::get(env);
    let Ok(config) = &app.loaded.config else { return Err("the configuration has faults".into()) };
    let office = Office { state, env };
    let shown = view(&office, &config.webhooks, &names(config)).await;
    Ok(shown.map_err(|error| error.to_string())?.to_string())
}

/// Sends what there is to send. The runtime rings one alarm at a time, so nobody
/// else sends meanwhile.
pub(super) async fn ring(
    state: &State,
    alarm: &ObjectAlarm,
    env: &Env,
    told: &Cell<u64>,
) -> worker::Result<()> {
    let (app, told, rung) = (App::get(env), told.get(), clock::now_ms());
    let next = if let Ok(config) = &app.loaded.config {
        send(state, env, config).await
    } else {
        app.report_faults();
        Some(AGAIN_SECONDS)
    };
    match next_after(next, (told, SOON_SECONDS), rung) {
        Some(seconds) => alarm.wake_in(seconds).await,
        None => Ok(()),
    }
}

async fn send(state: &State, env: &Env, config: &Config) -> Option<u64> {
    let hooks: &[Webhook] = &config.webhooks;
    if hooks.is_empty() {
        return None;
    }
    run(&Office { state, env }, hooks, &names(config)).await.unwrap_or_else(|error| {
        console_error!("WEBHOOKS: {}", error.to_string());
        Some(AGAIN_SECONDS)
    })
}

/// The names of the Settlers that sell, or whose keys have: where a facilitator
/// settled once, nothing new is sold.
fn names(config: &Config) -> Vec<String> {
    let all = settlers(config, None).into_iter().filter(|(id, name)| {
        let has_facilitator = config
            .network(*id)
            .is_some_and(|it| it.facilitator.is_some() || it.former_facilitator.is_some());
        has_facilitator || !is_facilitator_name(*id, name)
    });
    all.map(|(_, name)| name).collect()
}

/// Whether a key of the seller's signs there.
fn is_of_key(config: &Config, settler: &str) -> bool {
    let mut own = config.networks.iter().filter(|network| network.facilitator.is_none());
    own.any(|network| network.signers().iter().any(|key| settler_name(network.id, key) == settler))
}

/// What is stuck of what waits: its payment, and why.
fn stuck_of(waiting: Vec<Waiting>) -> Vec<(String, String)> {
    let stuck = waiting.into_iter().filter(|it| it.state == "stuck" || it.state == "lost");
    stuck.map(|it| (it.payment, it.reason)).collect()
}

/// The object, as the sender of messages.
struct Office<'a> {
    state: &'a State,
    env: &'a Env,
}

impl Office<'_> {
    fn settler(&self, name: &str) -> Option<SettlerClient> {
        SettlerClient::new(self.env, name).ok()
    }
}

impl Sender for Office<'_> {
    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    fn read(&self) -> Result<Outbox, StoreError> {
        match Kept::new(&self.state.storage())?.get(OUTBOX)? {
            None => Ok(Outbox::default()),
            Some(text) => json::from_text(&text).map_err(|error| StoreError(error.to_string())),
        }
    }

    fn keep(&self, outbox: &Outbox) -> Result<(), StoreError> {
        Kept::new(&self.state.storage())?.put(OUTBOX, &json::to_text(outbox))
    }

    async fn post(&self, message: &Message) -> Option<u16> {
        let headers = message.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = HttpRequest {
            url: message.url.clone(),
            headers: headers.collect(),
            body: Some(&message.body),
            timeout: TIMEOUT,
            auth: None,
        };
        FetchTransport.exchange(request).await.ok().map(|answer| answer.status)
    }

    async fn sales(&self, settler: &str, asked: &SalesAfter) -> Option<Vec<Sale>> {
        let said = self.settler(settler)?.sales_after(asked).await;
        said.map_err(|error| console_error!("sales of {}: {}", settler, error.to_string())).ok()
    }

    async fn sales_of(&self, asked: &[(String, SalesAfter)]) -> Vec<Option<Vec<Sale>>> {
        let questions = asked.iter().map(|(name, asked)| Question::new(name, "sales-after", asked));
        ask(self.env, &questions.collect::<Vec<_>>()).await
    }

    async fn look(&self, settlers: &[String]) -> Vec<Option<Look>> {
        let app = App::get(self.env);
        let Ok(config) = app.loaded.config.as_ref() else { return vec![None; settlers.len()] };
        let own: Vec<_> = settlers.iter().map(|name| is_of_key(config, name)).collect();
        let standing = settlers.iter().zip(&own).map(|(name, own)| {
            // Nobody looks at the chain for a key that signs no more.
            Question::new(name, if *own { "standing" } else { "waiting" }, &())
        });
        let standing: Vec<Option<Standing>> = ask(self.env, &standing.collect::<Vec<_>>()).await;
        let health = settlers.iter().zip(&own).filter(|(_, own)| **own);
        let health = health.map(|(name, _)| Question::new(name, "health", &()));
        let health: Vec<Option<Health>> = ask(self.env, &health.collect::<Vec<_>>()).await;
        let mut health = health.into_iter();
        let looks = standing.into_iter().zip(own).map(|(standing, own)| {
            let health = if own { Some(health.next()??) } else { None };
            let stuck = stuck_of(standing?.waiting);
            let Some(health) = health else { return Some(Look { stuck, ..Look::default() }) };
            let low_balance = health.balance.filter(|_| health.low_balance);
            Some(Look { low_balance, stuck, problems: health.problems })
        });
        looks.collect()
    }

    async fn refused(&self, day: u64) -> Option<Vec<Count>> {
        let counts = refused::between(self.env, day, day).await.ok()?.into_iter();
        Some(counts.map(|it| Count { reason: it.reason, count: it.count }).collect())
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}
