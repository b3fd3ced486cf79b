//! Who may use the desk: the holder of a token, or of a session.

use std::cell::RefCell;

use worker::web_sys::{Headers, Request, Response};
use worker::{Env, console_error};

use super::super::app::App;
use super::super::head::RequestHead;
use super::super::settler_client::SettlerClient;
use super::super::{body, clock, respond};
use crate::config::{Config, Desk, TokenHash};
use crate::desk::TRIES_PER_MINUTE;
use crate::desk::session::{MAX_SIGN_IN, NO_COOKIE, SESSIONS, Session, is_from_here};
use crate::encoding::encode_hex;
use crate::facilitator::access::{Asker, Meter};
use crate::gate::Head as _;
use crate::json;

thread_local! {
    /// Who has tried without a good token.
    static TRIES: RefCell<Meter> = RefCell::default();
}

/// How many hex digits name a token in what the seller is shown.
const NAME_DIGITS: usize = 8;

/// Who asks, as what the seller is shown names them: the first hex digits of
/// their token's hash. Else what they are answered.
pub(in crate::runtime) type Seller = Result<String, Response>;

/// Whether the seller asks: by a token, or from a page with a session. The one
/// answer to this for all that the desk shows and does.
pub(in crate::runtime) async fn seller(
    app: &App,
    env: &Env,
    head: &RequestHead,
) -> worker::Result<Seller> {
    let config = match open_desk(app)? {
        Ok(config) => config,
        Err(response) => return Ok(Err(response)),
    };
    if let Some(token) = config.desk.lets_in(head.header("Authorization").as_deref()) {
        return Ok(Ok(name_of(&encode_hex(token.bytes()))));
    }
    let Some(session) = session_of(&config.desk, head) else { return turn_away(head).map(Err) };
    match ask(env, "session-find", &session).await {
        Ok(true) if matches!(head.method(), "GET" | "HEAD") || is_ours(head) => {
            Ok(Ok(name_of(&session.token)))
        }
        Ok(true) => elsewhere().map(Err),
        Ok(false) => turn_away(head).map(Err),
        Err(_) => respond::error(503, "who has signed in can't be told right now").map(Err),
    }
}

/// Signs in (`POST`) and out (`DELETE`).
pub(super) async fn session(
    app: &App,
    env: &Env,
    request: &Request,
    head: &RequestHead,
) -> worker::Result<Response> {
    let config = match open_desk(app)? {
        Ok(config) => config,
        Err(response) => return Ok(response),
    };
    // It is read before anything is said: a client may only look up then.
    let Ok(Some(bytes)) = body::read_at_most(request, MAX_SIGN_IN).await else {
        return respond::error(400, "the body can't be read");
    };
    let by_token = config.desk.lets_in(head.header("Authorization").as_deref());
    match head.method() {
        "POST" | "DELETE" if by_token.is_none() && !is_ours(head) => elsewhere(),
        "POST" => {
            let said = json::from_slice(&bytes).unwrap_or_default();
            let token = said.get("token").and_then(|it| it.as_str()).map(str::trim);
            match token.and_then(|token| config.desk.hash_of(token)) {
                Some(token) => sign_in(env, token).await,
                None => turn_away(head),
            }
        }
        "DELETE" => {
            if let Some(session) = session_of(&config.desk, head)
                && ask(env, "session-end", &session).await.is_err()
            {
                return respond::error(503, "you are still signed in: try again");
            }
            with_cookie(NO_COOKIE)
        }
        _ => {
            let response = respond::error(405, "this answers to POST and DELETE")?;
            response.headers().set("Allow", "POST, DELETE")?;
            Ok(response)
        }
    }
}

async fn sign_in(env: &Env, token: &TokenHash) -> worker::Result<Response> {
    let mut number = [0; 32];
    getrandom::fill(&mut number).map_err(|error| error.to_string())?;
    let (session, cookie) = Session::open(&number, token).ok_or("no session")?;
    match ask(env, "session-open", &session).await {
        Ok(_) => with_cookie(&cookie),
        Err(_) => respond::error(503, "nobody can sign in right now: try again"),
    }
}

fn with_cookie(cookie: &str) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Set-Cookie", cookie)?;
    headers.set("Cache-Control", "no-store")?;
    respond::respond(204, &headers, None)
}

/// The configuration, if there is a desk at all.
pub(super) fn open_desk(app: &App) -> worker::Result<Result<&Config, Response>> {
    let Ok(config) = &app.loaded.config else {
        app.report_faults();
        let response = respond::error(503, "the configuration has faults; the log names them")?;
        return Ok(Err(response));
    };
    if !config.desk.is_open() {
        let what = "there is nothing here until the secret DESK_TOKENS is set";
        return Ok(Err(respond::error(404, what)?));
    }
    Ok(Ok(config))
}

fn name_of(hash: &str) -> String {
    hash.get(2..2 + NAME_DIGITS).unwrap_or_default().to_owned()
}

fn session_of(desk: &Desk, head: &RequestHead) -> Option<Session> {
    Session::read(&head.header("Cookie")?, desk)
}

/// Whether a page of this very host asks.
fn is_ours(head: &RequestHead) -> bool {
    let (site, origin) = (head.header("Sec-Fetch-Site"), head.header("Origin"));
    is_from_here(site.as_deref(), origin.as_deref(), head.parts().origin)
}

fn elsewhere() -> worker::Result<Response> {
    respond::error(403, "only the desk's own page, or a bearer token, can ask for this")
}

async fn ask(env: &Env, verb: &str, session: &Session) -> worker::Result<bool> {
    let asked = match SettlerClient::new(env, SESSIONS) {
        Ok(desk) => desk.session(verb, session).await,
        Err(error) => Err(error),
    };
    asked.inspect_err(|error| console_error!("{}: {}", verb, error.to_string()))
}

/// The answer to a request that has no good token. Who has one is let in from
/// wherever: addresses are shared, and nobody guesses a token.
fn turn_away(head: &RequestHead) -> worker::Result<Response> {
    let asker = Asker::at(head.header("CF-Connecting-IP").as_deref());
    let now = clock::now();
    let tried = TRIES.with_borrow_mut(|tries| {
        tries.room(&asker, TRIES_PER_MINUTE, now)?;
        tries.count(asker, TRIES_PER_MINUTE, now)
    });
    if let Err(seconds) = tried {
        let response = respond::error(429, "too many requests without a good token")?;
        response.headers().set("Retry-After", &seconds.to_string())?;
        return Ok(response);
    }
    let response = respond::error(401, "a bearer token is needed, or this one is wrong")?;
    response.headers().set("WWW-Authenticate", "Bearer")?;
    Ok(response)
}
