//! Somebody else's facilitator, as the gate needs it: what it says of itself,
//! and what it is asked.
//!
//! What it says is kept by the isolate and is an input of the configuration.
//! Only Solana can't be sold without it. The first request for something that
//! is sold waits for it, a few seconds at most; a free one never does.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use worker::{Context, Env, console_error};

use super::app::App;
use super::head::RequestHead;
use super::transport::GatedTransport;
use super::{clock, js, known};
use crate::config::{Config, Network, Offer};
use crate::facilitator_client::{About, Facilitator, payment_body};
use crate::gate::{self, Decision, Purchase};
use crate::together::join_all;

/// For this long facilitators are left in peace after they were asked: where
/// something can't be sold without them, and else.
const PAUSE_MS: u64 = 5_000;
const LONG_PAUSE_MS: u64 = 60_000;

/// After this long they are asked again.
const OLD_MS: u64 = 600_000;

thread_local! {
    /// When they were last asked, and when that last told something.
    static ASKED_MS: Cell<u64> = const { Cell::new(0) };
    static TOLD_MS: Cell<u64> = const { Cell::new(0) };
}

/// The configuration with what is known of its facilitators. A request for
/// something that is sold waits where too little is known to sell all of it.
pub(super) async fn with_facts(
    app: Rc<App>,
    env: &Env,
    context: &Context,
    head: &RequestHead,
) -> Rc<App> {
    let Ok(config) = &app.loaded.config else { return app };
    if facilitators(config).next().is_none() {
        return app;
    }
    let now = clock::now_ms();
    let needs_facts = config.networks.iter().any(|network| !network.is_on_offer());
    let pause = if needs_facts { PAUSE_MS } else { LONG_PAUSE_MS };
    if now.saturating_sub(TOLD_MS.get()) < OLD_MS || now.saturating_sub(ASKED_MS.get()) < pause {
        return app;
    }
    let sells = match gate::decide(&app.loaded, head, clock::now()) {
        Decision::PaymentRequired(..)
        | Decision::MayBeFree(_)
        | Decision::AskPrice(_)
        | Decision::Purchase(_) => true,
        Decision::Closed => needs_facts,
        Decision::Forward(_)
        | Decision::BadRequest(_)
        | Decision::Preflight
        | Decision::Off
        | Decision::Collect(..)
        | Decision::Granted(_)
        | Decision::Free(_) => false,
    };
    if !sells {
        return app;
    }
    ASKED_MS.set(now);
    let (current, env) = (Rc::clone(&app), env.clone());
    let (tell, told) = oneshot::channel();
    // It goes on when who asked first has hung up: others want to know, too.
    context.wait_until(js::in_a_box(async move {
        let _ = tell.send(refresh(current, env).await);
    }));
    if needs_facts { told.await.unwrap_or(app) } else { app }
}

/// Asks every facilitator. What one of them has said before stands until it
/// says something else.
async fn refresh(app: Rc<App>, env: Env) -> Rc<App> {
    let Ok(config) = &app.loaded.config else { return app };
    let transport = &GatedTransport::default();
    let asked = facilitators(config).map(|(network, facilitator)| -> LocalBoxFuture<'_, _> {
        Box::pin(async move {
            let asset = network.token.asset.address();
            let pay_to = network.pay_to.map(|it| it.to_string()).unwrap_or_default();
            let facts = facilitator.ask_facts(transport, network.id, &asset, &pay_to).await;
            if facts.is_none() {
                console_error!(
                    "{} does not say what it does on {}: see facilitator and FACILITATOR_HEADERS",
                    facilitator.host(),
                    network.id.to_string()
                );
            }
            Some((network.id, facts?))
        })
    });
    let told = join_all(asked.collect()).await;
    let is_complete = told.iter().all(Option::is_some);
    let has_changed = known::add_facts(told.into_iter().flatten());
    if is_complete {
        TOLD_MS.set(clock::now_ms());
    }
    if has_changed { App::renew(&env) } else { app }
}

/// The networks with somebody else's facilitator.
fn facilitators(config: &Config) -> impl Iterator<Item = (&Network, &Facilitator)> {
    config.networks.iter().filter_map(|network| Some((&**network, facilitator_of(network)?)))
}

fn facilitator_of(network: &Network) -> Option<&Facilitator> {
    network.facilitator.as_ref().or(network.fallback.as_ref())
}

/// What a facilitator is asked with for a purchase, if its network has one.
pub(super) fn body(offer: &Offer, purchase: &Purchase<'_>) -> Option<Value> {
    let version = facilitator_of(&offer.network)?.facts.version;
    let route = purchase.sale.route;
    let about = About { resource: route.resource(), extensions: route.extensions() };
    let (v2, v1) = (&offer.v2, offer.v1.as_ref());
    Some(payment_body(version, v2, v1, &purchase.payment, &purchase.sale.url, about))
}
