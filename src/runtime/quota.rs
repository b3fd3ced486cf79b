//! What is free: asked of the object that counts it, which is no Settler.

use std::rc::Rc;
use std::time::Duration;

use worker::web_sys::{Request, Response};
use worker::{Context, Delay, Env, console_error};

use super::app::App;
use super::challenge::payment_required;
use super::head::RequestHead;
use super::origin::{self, Asking};
use super::settler_client::SettlerClient;
use super::{clock, js};
use crate::gate::goods::Judgement;
use crate::gate::wallet::SIGN_IN_HEADER;
use crate::gate::{Fact, Head as _, Sale, quota};
use crate::meter::overrides::SETTLEMENT_OVERRIDES;
use crate::purchase::order::place_of;
use crate::settlement::quota::{QuotaReply, QuotaRequest, QuotaReturn, in_time};

/// How long the object may take. Whoever isn't counted pays.
const TIMEOUT: Duration = Duration::from_secs(2);

/// One unit that was taken, and where it can be given back: of an address, and of a
/// wallet if those are counted as well.
struct Unit {
    taken: Vec<(SettlerClient, String, QuotaReply)>,
    reply: QuotaReply,
}

impl Unit {
    /// Gives it back, while the answer is on its way.
    fn give_back(self, context: &Context) {
        context.wait_until(js::in_a_box(async move {
            for (counter, key, reply) in self.taken.into_iter().filter(|it| it.2.is_granted) {
                let unit = QuotaReturn { key, until: reply.until };
                if let Err(error) = counter.give_back(&unit).await {
                    console_error!("quota: {}", error.to_string());
                }
            }
        }));
    }
}

/// What a request is answered that brings no payment.
pub(super) struct Answer {
    pub response: Response,
    /// Whether it is what is free. A page elsewhere could take that with its
    /// visitors' addresses, so only the origin may let it be read there.
    pub is_free: bool,
}

/// Answers a request that brings no payment, for something of which some is free.
pub(super) async fn answer(
    app: &Rc<App>,
    env: &Env,
    context: &Context,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
) -> worker::Result<Answer> {
    let free = sale.route.free.as_ref();
    let unit = match free {
        Some(_) => take(app, env, context, head, sale, false).await,
        None => None,
    };
    let (Some(free), Some(unit)) = (free, unit) else {
        // Nothing is given away because nobody counts.
        let response = payment_required(app, env, head, sale, None, None, context).await?;
        return Ok(Answer { response, is_free: false });
    };
    let mut reply = Some(unit.reply);
    let mut served = None;
    if unit.reply.is_granted {
        let (response, are_goods) = serve(app, env, context, request, head, sale, unit).await?;
        served = Some(response);
        // Where it is the goods that an answer leads to, HEAD has them all.
        if are_goods && head.method() == "HEAD" && served.as_ref().is_some_and(leads_on) {
            reply = take(app, env, context, head, sale, true).await.map(|unit| unit.reply);
            served = served.filter(|_| reply.is_some_and(|it| it.is_granted));
        }
    }
    let is_free = served.is_some();
    let response = match served {
        Some(response) => response,
        None => payment_required(app, env, head, sale, None, None, context).await?,
    };
    let headers = response.headers();
    for (name, value) in reply.iter().flat_map(|it| quota::headers(free, it, clock::now())) {
        headers.append(name, &value)?;
    }
    if is_free {
        origin::show_here_alone(&app.loaded, head, &headers)?;
    }
    Ok(Answer { response, is_free })
}

/// Whether the head of an answer says where something is.
fn leads_on(response: &Response) -> bool {
    let headers = response.headers();
    ["Location", "Refresh"].iter().any(|name| !matches!(headers.has(name), Ok(false)))
}

/// Asks for a unit, of which HEAD only looks whether there is one unless it must
/// `have` it; `None` where nobody knows who asks, or an object is away.
async fn take(
    app: &App,
    env: &Env,
    context: &Context,
    head: &RequestHead,
    sale: &Sale<'_>,
    must_have: bool,
) -> Option<Unit> {
    let config = app.loaded.config.as_ref().ok()?;
    let free = sale.route.free.as_ref()?;
    let wallet = if free.by_wallet {
        let wallet = sale.wallet(config, head, clock::now())?;
        Some(sale.wallet_quota(config, free, &wallet)?)
    } else {
        None
    };
    let place = place_of(&head.edge(Fact::Address)?)?;
    let mut unit: Option<Unit> = None;
    // The address first: whoever makes wallets fills no table of them.
    for (name, mut asked) in [Some(sale.quota(config, free, &place)?), wallet].into_iter().flatten()
    {
        asked.look_only &= !must_have;
        let said = ask(env, context, &name, &asked).await;
        let Some((counter, reply)) = said else {
            if let Some(unit) = unit.filter(|_| !asked.look_only) {
                unit.give_back(context);
            }
            return None;
        };
        let taken = unit.map(|it| it.taken).unwrap_or_default();
        let mut asked_of = Unit { taken, reply };
        asked_of.taken.push((counter, asked.key, reply));
        if !reply.is_granted {
            if !asked.look_only {
                asked_of.give_back(context);
            }
            return Some(Unit { taken: vec![], reply });
        }
        unit = Some(asked_of);
    }
    unit
}

/// Asks one object. What that grants too late is given back.
async fn ask(
    env: &Env,
    context: &Context,
    name: &str,
    asked: &QuotaRequest,
) -> Option<(SettlerClient, QuotaReply)> {
    let counter = SettlerClient::new(env, name).ok()?;
    let (own, request) = (counter.clone(), asked.clone());
    let asking = Box::pin(async move { (own.take_free(&request).await, own, request) });
    let said = match in_time(asking, Delay::from(TIMEOUT)).await {
        Ok((said, ..)) => said.map_err(|error| error.to_string()),
        Err(late) => {
            context.wait_until(js::in_a_box(async move {
                let (said, own, request) = late.await;
                let unit = said.ok().and_then(|reply| request.too_late(&reply));
                if let Some(unit) = unit
                    && let Err(error) = own.give_back(&unit).await
                {
                    console_error!("quota: {}", error.to_string());
                }
            }));
            Err("no answer in time".to_owned())
        }
    };
    match said {
        Ok(reply) => Some((counter, reply)),
        Err(problem) => {
            console_error!("quota: {}", problem);
            None
        }
    }
}

/// The origin's answer, and whether it is the goods. Only they cost a unit.
async fn serve(
    app: &App,
    env: &Env,
    context: &Context,
    request: &Request,
    head: &RequestHead,
    sale: &Sale<'_>,
    unit: Unit,
) -> worker::Result<(Response, bool)> {
    // A look has taken nothing.
    let give_back = |unit: Unit| {
        if head.method() != "HEAD" {
            unit.give_back(context);
        }
    };
    // What a wallet has signed is for nobody else.
    let how = Asking { kept: &[SIGN_IN_HEADER], ..Asking::default() };
    let asked = origin::ask(&app.loaded, env, request, head, &sale.path, how).await;
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => {
            give_back(unit);
            return Ok((origin::silent(&error)?, false));
        }
    };
    let judged = app.loaded.patterns.as_ref().map(|patterns| {
        let location = answer.headers().get("Location").ok().flatten();
        sale.judge(patterns, answer.status(), location.as_deref())
    });
    let are_goods = matches!(judged, Some(Judgement::Goods) | None);
    let answer = match judged {
        Some(Judgement::SoldElsewhere(location)) => {
            give_back(unit);
            return Ok((origin::redirect(&answer, &location, answer.status())?, false));
        }
        Some(Judgement::NotGoods) => {
            give_back(unit);
            origin::private(&answer)?
        }
        Some(Judgement::Goods) | None => origin::private(&answer)?,
    };
    answer.headers().delete(SETTLEMENT_OVERRIDES)?;
    Ok((answer, are_goods))
}
