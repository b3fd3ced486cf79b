//! The 402 answer, with a recent blockhash where there is one.

use std::rc::Rc;
use std::time::Duration;

use worker::web_sys::{Headers, Response};
use worker::{Context, Env};

use super::app::{App, CachedHint};
use super::head::RequestHead;
use super::{clock, js, layout, refusals, refused, respond};
use crate::config::Network;
use crate::gate::accept::wants_page;
use crate::gate::challenge::{BlockhashHint, status};
use crate::gate::{Head as _, Hints, Language, Refusal, Sale, TEMPLATE_POLICY};
use crate::protocol::payment::PAYMENT_REQUIRED_HEADER;
use crate::protocol::{ChainId, Reason, SettlementResponse, Version};
use crate::rpc::Call;
use crate::solana::rpc;

/// Younger than this a blockhash is used as it is.
const FRESH_MS: u64 = 8_000;

/// Younger than this it is still used, and a newer one asked for meanwhile: of
/// its life of about a minute, most is left to the client.
const USABLE_MS: u64 = 20_000;

/// For this long a node that gave none is left in peace.
const PAUSE_MS: u64 = 5_000;

/// How long a 402 answer waits for a blockhash.
const HINT_TIMEOUT: Duration = Duration::from_secs(1);

/// A receipt, and the version whose header it goes into.
pub(super) type ReceiptHeader = (Version, SettlementResponse);

/// The 402 answer to a request without a payment, or with a bad one.
pub(super) async fn answer(
    app: &Rc<App>,
    env: &Env,
    head: &RequestHead,
    sale: &Sale<'_>,
    refusal: Option<Refusal>,
    context: &Context,
) -> worker::Result<Response> {
    let receipt = refusal.and_then(|Refusal { version, reason, offer }| {
        let offer = sale.route.offers.get(offer?)?;
        Some((version, offer.failure(version, reason, None, None)))
    });
    let reason = refusal.map(|refusal| refusal.reason);
    payment_required(app, env, head, sale, reason, receipt, context).await
}

/// The 402 answer, with the receipt of a payment that failed.
pub(super) async fn payment_required(
    app: &Rc<App>,
    env: &Env,
    head: &RequestHead,
    sale: &Sale<'_>,
    reason: Option<Reason>,
    receipt: Option<ReceiptHeader>,
    context: &Context,
) -> worker::Result<Response> {
    let Some(template) = app.challenge(sale) else { return respond::closed() };
    if let Some(reason) = reason.filter(|it| *it != Reason::SettlementPending) {
        refusals::log(&sale.refusal_line(reason));
        refused::count(app, env, context, reason);
    }
    if !sale.route.on && reason != Some(Reason::SettlementPending) {
        // What was bought before could not be had: why, the receipt says.
        let response = respond::off()?;
        if let Some((version, receipt)) = receipt {
            response.headers().set(version.receipt_header(), &receipt.to_header())?;
        }
        return Ok(response);
    }
    let mut hints = hints(app, template.hinted_networks(), context).await;
    if let Ok(config) = &app.loaded.config {
        hints.sign_in = sale.sign_in(config, clock::now());
    }
    let challenge = template.write(&sale.url, reason, &hints);
    let wants_page = wants_page(head);
    let headers = app.challenge_headers(wants_page)?;
    headers.set(PAYMENT_REQUIRED_HEADER, &challenge.header)?;
    if !wants_page && receipt.is_none() {
        return respond::respond(status(reason), &headers, Some(&challenge.body));
    }
    let headers = Headers::new_with_headers(&headers)?;
    if let Some((version, receipt)) = receipt {
        headers.set(version.receipt_header(), &receipt.to_header())?;
    }
    if wants_page {
        let language = Language::of(head.header("Accept-Language").as_deref());
        let page = match layout::of_seller(app, env, head, context).await {
            Some(layout) => {
                headers.set("Content-Security-Policy", TEMPLATE_POLICY)?;
                template.write_page_in(&layout, &sale.url, &sale.method, reason, language)
            }
            None => template.write_page(&sale.url, &sale.method, reason, language),
        };
        return respond::respond(status(reason), &headers, Some(&page));
    }
    respond::respond(status(reason), &headers, Some(&challenge.body))
}

/// Recent blockhashes of these networks, where they can be had soon.
pub(super) async fn hints(app: &Rc<App>, networks: &[ChainId], context: &Context) -> Hints {
    let mut hints = Hints::default();
    for id in networks {
        if let Some(hint) = hint_of(app, *id, context).await {
            hints.set(*id, hint);
        }
    }
    hints
}

async fn hint_of(app: &Rc<App>, id: ChainId, context: &Context) -> Option<BlockhashHint> {
    let network = app.loaded.config.as_ref().ok()?.network(id)?;
    if network.rpc.is_empty() {
        return None;
    }
    let now = clock::now_ms();
    let cached = app.blockhashes.borrow().get(&id).cloned().unwrap_or_default();
    let age = now.saturating_sub(cached.at_ms);
    let is_asked_for = now.saturating_sub(cached.asking_since_ms) < PAUSE_MS;
    match cached.hint {
        Some(hint) if age < FRESH_MS => Some(hint),
        Some(hint) if age < USABLE_MS => {
            if !is_asked_for {
                note_asking(app, id, now);
                let (app, network) = (Rc::clone(app), Rc::clone(network));
                context.wait_until(js::in_a_box(async move {
                    refresh(&app, &network).await;
                }));
            }
            Some(hint)
        }
        None if cached.at_ms > 0 && age < PAUSE_MS => None,
        // Another request asks, and none may wait for what another one does.
        _ if is_asked_for => None,
        _ => {
            note_asking(app, id, now);
            refresh(app, network).await
        }
    }
}

fn note_asking(app: &App, id: ChainId, now: u64) {
    app.blockhashes.borrow_mut().get_or_insert_with(id, Default::default).asking_since_ms = now;
}

async fn refresh(app: &App, network: &Network) -> Option<BlockhashHint> {
    let call = Call::new("getLatestBlockhash", rpc::get_latest_blockhash_params());
    let hint = match App::nodes(network).ask_once(&call, HINT_TIMEOUT).await {
        Ok(Ok(result)) => rpc::parse_latest_blockhash(&result).ok().map(|latest| BlockhashHint {
            blockhash: latest.blockhash,
            last_valid_block_height: latest.last_valid_block_height,
        }),
        Ok(Err(_)) | Err(_) => None,
    };
    let cached = CachedHint { hint: hint.clone(), at_ms: clock::now_ms(), asking_since_ms: 0 };
    app.blockhashes.borrow_mut().insert(network.id, cached);
    hint
}
