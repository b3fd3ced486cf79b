//! The seller's own page for people to pay on: asked for at the origin, and
//! kept by the isolate.

use std::rc::Rc;
use std::time::Duration;

use worker::web_sys::{Headers, RequestInit, Response};
use worker::{Context, Delay, Env, console_error};

use super::app::{App, CachedLayout};
use super::head::RequestHead;
use super::{clock, js, origin, transport};
use crate::gate::{Head as _, Layout, MAX_LAYOUT};
use crate::path::{CanonicalPath, UrlParts};

/// Younger than this a page is used as it is.
const FRESH_MS: u64 = 60_000;

/// For this long an origin that gave none is left in peace.
const PAUSE_MS: u64 = 10_000;

/// How long a 402 answer waits for the first one.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How often it looks whether another request has it.
const POLL: Duration = Duration::from_millis(25);

/// Why there is no page.
enum Problem {
    /// The origin says that there is none, or it is not as it must be.
    Wrong(String),
    /// Whether there is one can't be said now.
    Away(String),
}

/// The seller's own page; `None` where our own is shown: the seller has none,
/// or, as the log says then, it can't be had.
pub(super) async fn of_seller(
    app: &Rc<App>,
    env: &Env,
    head: &RequestHead,
    context: &Context,
) -> Option<Rc<Layout>> {
    let path = app.loaded.config.as_ref().ok()?.page.template.as_ref()?;
    let now = clock::now_ms();
    let CachedLayout { layout, at_ms, asking_since_ms } = app.layout.borrow().clone();
    let age = now.saturating_sub(at_ms);
    let Some(layout) = layout else {
        if at_ms > 0 && age < PAUSE_MS {
            return None;
        }
        if u128::from(now.saturating_sub(asking_since_ms)) < TIMEOUT.as_millis() {
            return of_another_request(app, at_ms).await;
        }
        app.layout.borrow_mut().asking_since_ms = now;
        return refresh(app, env, path, head.url()).await;
    };
    if age >= FRESH_MS && now.saturating_sub(asking_since_ms) >= PAUSE_MS {
        app.layout.borrow_mut().asking_since_ms = now;
        let (app, env, path) = (Rc::clone(app), env.clone(), path.clone());
        let url = head.url().to_owned();
        context.wait_until(js::in_a_box(async move {
            refresh(&app, &env, &path, &url).await;
        }));
    }
    Some(layout)
}

/// What another request gets, which asks already. What one request awaits no other
/// can, but it sees what was kept.
async fn of_another_request(app: &App, before_ms: u64) -> Option<Rc<Layout>> {
    let mut waited = Duration::ZERO;
    while waited < TIMEOUT {
        Delay::from(POLL).await;
        waited += POLL;
        let cached = app.layout.borrow();
        if cached.at_ms > before_ms {
            return cached.layout.clone();
        }
    }
    None
}

/// Asks for the page, and keeps what came of it. One that was good is kept
/// while the origin is away.
async fn refresh(app: &App, env: &Env, path: &CanonicalPath, url: &str) -> Option<Rc<Layout>> {
    let asked = transport::within(TIMEOUT, async |_| Ok(ask(app, env, path, url).await)).await;
    let problem = match asked {
        Ok(Ok(layout)) => {
            let layout = Some(Rc::new(layout));
            let kept =
                CachedLayout { layout: layout.clone(), at_ms: clock::now_ms(), asking_since_ms: 0 };
            *app.layout.borrow_mut() = kept;
            return layout;
        }
        Ok(Err(problem)) => problem,
        Err(_) => Problem::Away("the origin is silent".into()),
    };
    let mut cached = app.layout.borrow_mut();
    let (Problem::Wrong(said) | Problem::Away(said)) = &problem;
    if matches!(problem, Problem::Wrong(_)) {
        cached.layout = None;
    }
    let shown = if cached.layout.is_some() { "the one before it" } else { "edge402's own page" };
    console_error!("PAGE.template: {}: {}; people see {}", path.as_str(), said, shown);
    cached.at_ms = clock::now_ms();
    cached.layout.clone()
}

async fn ask(app: &App, env: &Env, path: &CanonicalPath, url: &str) -> Result<Layout, Problem> {
    let away = |error: worker::Error| Problem::Away(error.to_string());
    let answer = request(app, env, path, url).await.map_err(away)?;
    let status = answer.status();
    if status >= 500 {
        return Err(Problem::Away(format!("the origin answered {status}")));
    }
    let media_type = answer.headers().get("Content-Type").ok().flatten().unwrap_or_default();
    if status != 200 || !media_type.starts_with("text/html") {
        return Err(Problem::Wrong(format!("the origin answered {status} {media_type}")));
    }
    match transport::read_bounded(&answer, MAX_LAYOUT).await {
        Ok(Some(text)) => Layout::parse(text).map_err(|fault| Problem::Wrong(fault.to_string())),
        Ok(None) => {
            Err(Problem::Wrong(format!("it is longer than {MAX_LAYOUT} bytes, or not UTF-8")))
        }
        Err(_) => Err(Problem::Away("the answer broke off".into())),
    }
}

/// Asks the origin as the gate itself: with nothing that a client sent.
async fn request(
    app: &App,
    env: &Env,
    path: &CanonicalPath,
    url: &str,
) -> worker::Result<Response> {
    let headers = Headers::new()?;
    headers.set("Accept", "text/html")?;
    let init = RequestInit::new();
    init.set_headers(&headers);
    origin::ask_itself(&app.loaded, env, &UrlParts::of(url), path, &init).await
}
