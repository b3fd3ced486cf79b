//! `/.edge402/desk/refunds`: what the seller's own wallet has sent back.

pub(in crate::runtime) mod object;

use object::{Listed, Telling, Wanted};
use worker::web_sys::{Request, Response};
use worker::{Env, console_error};

use super::super::app::App;
use super::super::head::RequestHead;
use super::super::settler_client::SettlerClient;
use super::super::{body, clock, respond};
use super::{SILENT, ask_all};
use crate::config::{Config, Network};
use crate::desk::refunds::{
    MAX_NOTE, Named, PAGES, Page, Place, REFUNDS_OBJECT, Refund, RefundsQuery, Reserved, TakenOff,
    Told, answer_to, answer_to_take_off, cannot_look, list, read_named, read_note, read_place,
    read_reservation, terms,
};
use crate::gate::Head as _;
use crate::rpc::Call;
use crate::settlement::Sale;
use crate::solana::rpc::{get_latest_blockhash_params, parse_latest_blockhash};

/// Why there is no answer.
const UNREADABLE: &str = "what is kept can't be read right now; try again";

/// What is said of a body that is none.
const NO_BODY: &str = "the body can't be read, or is too long";

/// Answers the seller: what is under way or what a refund needs (`GET`), a wallet that is
/// to be asked for one (`PUT`), a transaction that is one (`POST`), what is to be taken
/// off (`DELETE`). `who` asks.
pub(super) async fn answer(
    config: &Config,
    env: &Env,
    head: &RequestHead,
    body: Option<Vec<u8>>,
    who: &str,
) -> worker::Result<Response> {
    let query = head.parts().query;
    match head.method() {
        "GET" | "HEAD" => match read_place(query) {
            Ok(Some(place)) => show(config, env, &place).await,
            Ok(None) => match refunds(env)?.refunds::<Listed>("refunds-list", &()).await {
                Ok(it) => respond::private(200, &list(&it.refunds, &it.reservations, clock::now())),
                Err(error) => fail(&error),
            },
            Err(message) => respond::error(400, &message),
        },
        "PUT" => reserve(config, env, body, who).await,
        "POST" => note(config, env, body, who).await,
        "DELETE" => match read_named(query) {
            Ok(named) => take_off(env, &named).await,
            Err(message) => respond::error(400, &message),
        },
        _ => {
            let response = respond::error(405, "this answers to GET, PUT, POST and DELETE")?;
            response.headers().set("Allow", "GET, HEAD, PUT, POST, DELETE")?;
            Ok(response)
        }
    }
}

/// The body of what is told, if it can be read and is short enough.
pub(super) async fn body_of(request: &Request, head: &RequestHead) -> Option<Vec<u8>> {
    match head.method() {
        "PUT" | "POST" => body::read_at_most(request, MAX_NOTE).await.ok().flatten(),
        _ => None,
    }
}

fn refunds(env: &Env) -> worker::Result<SettlerClient> {
    SettlerClient::new(env, REFUNDS_OBJECT)
}

fn fail(error: &worker::Error) -> worker::Result<Response> {
    console_error!("refunds: {}", error.to_string());
    respond::error(503, UNREADABLE)
}

/// All refunds of a range of sales, page by page, as they come; nothing if some could not
/// be read, or there are too many.
pub(super) async fn between(
    env: &Env,
    mut query: RefundsQuery,
    mut take: impl FnMut(Vec<Refund>),
) -> Option<()> {
    let client = refunds(env).ok()?;
    for _ in 0..PAGES {
        let said = client.refunds::<Vec<Refund>>("refunds-between", &query).await;
        let said = said.map_err(|error| console_error!("refunds: {}", error.to_string())).ok()?;
        let next = query.next(&said);
        take(said);
        match next {
            Some(next) => query = next,
            None => return Some(()),
        }
    }
    console_error!("refunds: there are too many in this range: ask for one after the other");
    None
}

/// The sale that is meant; else what to answer.
async fn sale_at(
    config: &Config,
    env: &Env,
    place: &Place,
) -> worker::Result<Result<Sale, Response>> {
    match ask_all(config, env, &place.query()).await {
        Some(said) => match place.pick(said) {
            Some(sale) => Ok(Ok(sale)),
            None => respond::error(404, "there is no such sale").map(Err),
        },
        None => respond::error(503, SILENT).map(Err),
    }
}

/// What a sale's refund needs.
async fn show(config: &Config, env: &Env, place: &Place) -> worker::Result<Response> {
    let sale = match sale_at(config, env, place).await? {
        Ok(sale) => sale,
        Err(response) => return Ok(response),
    };
    show_sale(config, env, &sale).await
}

async fn show_sale(config: &Config, env: &Env, sale: &Sale) -> worker::Result<Response> {
    let page = match refunds(env)?.refunds::<Page>("refunds-page", &sale.payment).await {
        Ok(page) => page,
        Err(error) => return fail(&error),
    };
    let network = sale.network.and_then(|id| config.network(id));
    let blockhash = match network.filter(|network| network.id.names_fee_payer()) {
        Some(network) => latest_blockhash(network).await,
        None => None,
    };
    respond::private(200, &terms(config, sale, &page, blockhash.as_ref(), clock::now()))
}

async fn latest_blockhash(network: &Network) -> Option<String> {
    let call = Call::new("getLatestBlockhash", get_latest_blockhash_params());
    let answer = App::nodes(network).ask(&[call]).await.ok()?.into_iter().next()?;
    Some(parse_latest_blockhash(&answer.ok()?).ok()?.blockhash)
}

/// Has a wallet reserved for a sale's refund; answers what that needs.
async fn reserve(
    config: &Config,
    env: &Env,
    body: Option<Vec<u8>>,
    who: &str,
) -> worker::Result<Response> {
    let Some(bytes) = body else { return respond::error(400, NO_BODY) };
    let asked = match read_reservation(&bytes) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let sale = match refundable(config, env, &asked.place).await? {
        Ok(sale) => sale,
        Err(response) => return Ok(response),
    };
    let reservation = match asked.reservation(&sale, who, clock::now()) {
        Ok(reservation) => reservation,
        Err(message) => return respond::error(409, &message),
    };
    let wanted = Wanted { reservation, despite: asked.despite };
    match refunds(env)?.refunds("refund-reserve", &wanted).await {
        Ok(Reserved::Held) => show_sale(config, env, &sale).await,
        Ok(Reserved::Refused(why)) => respond::error(409, &why),
        Err(error) => fail(&error),
    }
}

/// The sale at a place, if a refund of it can be looked for; else what to tell the seller.
async fn refundable(
    config: &Config,
    env: &Env,
    place: &Place,
) -> worker::Result<Result<Sale, Response>> {
    match cannot_look(config, place.network) {
        Some(why) => respond::error(409, &why).map(Err),
        None => sale_at(config, env, place).await,
    }
}

/// Takes a transaction off, or releases a reservation.
async fn take_off(env: &Env, named: &Named) -> worker::Result<Response> {
    let client = refunds(env)?;
    match named {
        Named::Transaction(network, transaction) => {
            let message = vec![network.to_string(), transaction.clone()];
            match client.refunds::<TakenOff>("refund-take-off", &message).await {
                Ok(taken) => {
                    let (status, text) = answer_to_take_off(&taken);
                    respond::private(status, &text)
                }
                Err(error) => fail(&error),
            }
        }
        Named::Reservation(payment, id) => {
            let message = vec![payment.clone(), id.clone()];
            match client.refunds("refund-release", &message).await {
                Ok(true) => respond::private(200, "{}"),
                Ok(false) => respond::error(409, "only its holder may release it before its time"),
                Err(error) => fail(&error),
            }
        }
    }
}

/// Takes note of a transaction.
async fn note(
    config: &Config,
    env: &Env,
    body: Option<Vec<u8>>,
    who: &str,
) -> worker::Result<Response> {
    let Some(bytes) = body else { return respond::error(400, NO_BODY) };
    let mut asked = match read_note(&bytes) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let sale = match refundable(config, env, &asked.place).await? {
        Ok(sale) => sale,
        Err(response) => return Ok(response),
    };
    let reserved = asked.reserved.take();
    let refund: Refund = match asked.refund(sale, who, clock::now()) {
        Ok(refund) => refund,
        Err(message) => return respond::error(409, &message),
    };
    match refunds(env)?.refunds::<Told>("refund-tell", &Telling { refund, reserved }).await {
        Ok(told) => {
            let (status, text) = answer_to(&told);
            respond::private(status, &text)
        }
        Err(error) => {
            console_error!("refunds: {}", error.to_string());
            respond::error(503, "whether it is noted can't be told; look, and try again")
        }
    }
}
