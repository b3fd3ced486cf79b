//! The Durable Object around a Settler.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use js_sys::futures::JsFuture;
use worker::{
    DurableObject, Env, Request, Response, ResponseBuilder, State, console_error, durable_object,
};

use super::alarm::ObjectAlarm;
use super::app::App;
use super::desk::{refunds, sessions};
use super::lanes::lanes_of;
use super::points::Points;
use super::quota_rows::QuotaObject;
use super::sql::SqlStore;
use super::transport::GatedTransport;
use super::worker_host::WorkerHost;
use super::{clock, many, overrides, refused, waiting, webhooks};
use crate::desk::overrides::OVERRIDES_OBJECT;
use crate::desk::refunds::REFUNDS_OBJECT;
use crate::desk::webhooks::WEBHOOKS_OBJECT;
use crate::json::{self, FromJson, ToJson};
use crate::settlement::journal::AT_FACILITATOR;
use crate::settlement::ledger::{OLD_SALES, sums_in};
use crate::settlement::outbox::SalesAfter;
use crate::settlement::standing::{Standing, waiting_in};
use crate::settlement::sums::Sums;
use crate::settlement::{
    self, ClaimReply, HoldReply, Outcome, ReleaseRequest, Sale, SettleRequest, Store as _,
    StoreError, Verdict,
};

/// The one place that can settle the payments of one relayer on one network.
/// Its name is `{CAIP-2}/{relayer}`, or `{CAIP-2}/facilitator/{digit}`.
#[durable_object(alarm)]
pub struct Settler {
    state: Rc<State>,
    alarm: ObjectAlarm,
    env: Env,
    inner: OnceCell<settlement::Settler<WorkerHost>>,
    /// What it is in place of a Settler, if its name says so.
    quota: OnceCell<Option<QuotaObject>>,
    /// Since when it writes to KV what the desk has changed, in milliseconds.
    publishing_since: Cell<u64>,
    /// When it was last let know that there is something to tell, in milliseconds.
    told: Cell<u64>,
}

impl DurableObject for Settler {
    fn new(state: State, env: Env) -> Self {
        let state = Rc::new(state);
        Self {
            alarm: ObjectAlarm::new(&state),
            state,
            env,
            inner: OnceCell::new(),
            quota: OnceCell::new(),
            publishing_since: Cell::default(),
            told: Cell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let text = JsFuture::from(request.inner().text()?);
        // There may be a crowd of those who wait for what they ask here.
        drop(request);
        let body = text.await?.as_string().unwrap_or_default();
        // In a box: the runtime keeps this future twice.
        Box::pin(self.answer(url, body)).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.has_rung();
        if let Err(error) = self.ring().await {
            console_error!("{}", error.to_string());
            // The runtime tries again what fails six times in two minutes, and no more.
            self.alarm.wake_in(POSTPONE_SECONDS).await?;
        }
        Response::empty()
    }
}

/// How soon an alarm rings again that has failed, or found a faulty configuration, in
/// seconds.
const POSTPONE_SECONDS: u64 = 60;

/// As far as what is open at a facilitator is counted for the log.
const COUNTED_MAX: u32 = 1_000;

impl Settler {
    /// What the alarm does.
    async fn ring(&self) -> worker::Result<()> {
        if let Some(quota) = self.quota() {
            quota.alarm().await?;
            return Ok(());
        }
        match self.note_name()?.as_deref() {
            Some(OVERRIDES_OBJECT) => {
                let (state, since) = (&self.state, &self.publishing_since);
                overrides::object::ring(state, &self.env, since).await;
                return Ok(());
            }
            Some(REFUNDS_OBJECT) => {
                refunds::object::ring(&self.state, &self.alarm, &self.env).await?;
                return Ok(());
            }
            Some(WEBHOOKS_OBJECT) => {
                webhooks::ring(&self.state, &self.alarm, &self.env, &self.told).await?;
                return Ok(());
            }
            _ => {}
        }
        match self.settler() {
            Ok(settler) => settler.wake().map_err(|error| error.to_string())?,
            Err(why) => self.postpone(&why).await,
        }
        Ok(())
    }

    /// Answers a message of the gate's, which says at its URL's end what it is.
    async fn answer(&self, url: String, body: String) -> worker::Result<Response> {
        let verb = url.rsplit('/').next().unwrap_or_default();
        if let Some(quota) = self.quota() {
            return Box::pin(quota.answer(verb, &body)).await;
        }
        if let Some(said) = sessions::answer(&self.state.storage(), verb, &body) {
            return answer(said.map_err(|error| StoreError(error.to_string())));
        }
        if overrides::object::is_asked_for(verb) {
            self.note_name()?;
            let (state, since) = (&self.state, &self.publishing_since);
            let asked = (verb, body.as_str());
            return answer(
                Box::pin(overrides::object::answer(state, &self.env, since, asked)).await,
            );
        }
        if webhooks::is_asked_for(verb) {
            self.note_name()?;
            let asked = (verb, &self.told);
            let said = webhooks::object_answer(&self.state, &self.alarm, &self.env, asked);
            return Response::ok(Box::pin(said).await?);
        }
        if refunds::object::is_asked_for(verb) {
            self.note_name()?;
            let asked = (verb, body.as_str());
            let said = refunds::object::answer(&self.state, &self.alarm, &self.env, asked);
            return Response::ok(Box::pin(said).await?);
        }
        if verb == "gather" {
            return Box::pin(many::gather(&self.env, &body)).await;
        }
        if verb == "sales-after" {
            return answer(self.sales_after(&read(&body)?));
        }
        if matches!(verb, "refused" | "refusals") {
            return refused::answer(&self.state, verb, &body);
        }
        let is_of_ledger = matches!(verb, "sales" | "sums" | "waiting");
        // Many are asked that have never settled anything: those stay as they are.
        let is_awake = self.inner.get().is_some();
        if is_of_ledger && !is_awake && matches!(SqlStore::exists(&self.state.storage()), Ok(false))
        {
            return match verb {
                "sales" => answer(Ok(Vec::<Sale>::new())),
                "sums" => answer(Ok(Sums::default())),
                _ => answer(Ok(Standing::default())),
            };
        }
        let settler = match self.settler() {
            Ok(settler) => settler,
            // What was sold is told even if there is no way any more to sell.
            Err(_) if is_of_ledger => return self.kept(verb, &body),
            Err(why) => {
                console_error!("{}", why);
                return Response::error(why, 503);
            }
        };
        let Ok(_place) = waiting::for_message(verb, body.len()) else {
            return turn_away(settler, verb, &body);
        };
        if verb == "settle" {
            let settled = settler.settle(read(&body)?);
            drop((url, body));
            return answer(settled.await);
        }
        if verb == "claim" {
            let request = read(&body)?;
            drop((url, body));
            return answer(Box::pin(settler.claim(&request)).await);
        }
        // In boxes, each as large as it is: this future is as large as the largest of
        // them, and a crowd of it waits.
        match verb {
            "charge" => answer(Box::pin(settler.charge(read(&body)?)).await),
            "verify" => answer(Box::pin(settler.verify(&read(&body)?)).await),
            "health" => answer(Ok(settler.health().await)),
            "sales" => self.sales(&body),
            "sums" => answer(settler.sums(&read(&body)?)),
            "standing" => answer(Box::pin(settler.standing()).await),
            "waiting" => answer(self.waiting()),
            "hold" => answer(Box::pin(settler.hold(read(&body)?)).await),
            "use" => answer(settler.charge_used(&read(&body)?)),
            "renew" => answer(settler.renew(&read(&body)?)),
            "report" => answer(settler.report(&read(&body)?)),
            "release" => answer(settler.release(&read(&body)?)),
            _ => Response::error("no such verb", 404),
        }
    }

    /// What counts what is free, if this is such an object.
    fn quota(&self) -> Option<&QuotaObject> {
        self.quota.get_or_init(|| QuotaObject::of(&self.state, &self.alarm)).as_ref()
    }

    /// The Settler, made when it is first needed in this object's life. That
    /// is also when it takes up what the last life left in the journal.
    fn settler(&self) -> Result<&settlement::Settler<WorkerHost>, String> {
        if let Some(settler) = self.inner.get() {
            return Ok(settler);
        }
        let made = self.make()?;
        made.wake().map_err(|error| error.to_string())?;
        Ok(self.inner.get_or_init(|| made))
    }

    /// The tables, as whoever reads the ledger is to find them: what the Settler has told
    /// is written in them.
    fn tables(&self) -> Result<SqlStore, StoreError> {
        if let Some(settler) = self.inner.get() {
            settler.write_kept()?;
        }
        SqlStore::new(&self.state.storage())
    }

    /// What is kept of a network, key or facilitator that is gone.
    fn kept(&self, verb: &str, body: &str) -> worker::Result<Response> {
        if verb == "waiting" {
            return answer(self.waiting());
        }
        // No alarm enters them.
        let store = self.tables();
        let store = store.and_then(|store| store.enter_old_sales(OLD_SALES).map(|_| store));
        match (store, verb) {
            (Err(error), _) => answer::<()>(Err(error)),
            (Ok(store), "sums") => answer(sums_in(&store, &read(body)?, clock::now())),
            (Ok(_), _) => self.sales(body),
        }
    }

    /// The sales that are asked for, as they are kept.
    fn sales(&self, body: &str) -> worker::Result<Response> {
        let query = read(body)?;
        let store = self.tables();
        match store.and_then(|store| store.sales_text(&query)) {
            Ok(text) => Response::ok(text),
            Err(error) => answer::<()>(Err(error)),
        }
    }

    /// What waits here, where no key of the seller's signs.
    fn waiting(&self) -> Result<Standing, StoreError> {
        let store = self.tables()?;
        let (waiting, is_cut) = waiting_in(&store, clock::now())?;
        Ok(Standing { waiting, is_cut, ..Standing::default() })
    }

    /// The sales for whoever tells others of them. An object that has never settled
    /// anything stays as it is.
    fn sales_after(&self, asked: &SalesAfter) -> Result<Vec<Sale>, StoreError> {
        let storage = self.state.storage();
        if !SqlStore::exists(&storage)? {
            return Ok(vec![]);
        }
        self.tables()?.sales_after(&asked.at(clock::now()))
    }

    /// The name of this object, which its alarm is not told.
    fn note_name(&self) -> worker::Result<Option<String>> {
        let name =
            SqlStore::new(&self.state.storage()).and_then(|it| it.name(self.state.id().name()));
        name.map_err(|error| error.to_string().into())
    }

    /// Without a configuration nothing can be done for what is in the journal, or is
    /// owed; it keeps, and so does the alarm. An error here would only have the
    /// runtime ring again at once, and fill the log.
    async fn postpone(&self, why: &str) {
        let count_open = || {
            let store = SqlStore::new(&self.state.storage())?;
            let at_facilitator = store.count_at_facilitator(AT_FACILITATOR, COUNTED_MAX)?;
            let sent = store.open_entries()?.len() + at_facilitator as usize;
            Ok::<_, StoreError>((sent, store.unsettled()?.len()))
        };
        let counts = count_open();
        if counts == Ok((0, 0)) {
            return;
        }
        let (sent, owed) = counts.unwrap_or_default();
        console_error!(
            "{} transaction(s) and {} debt(s) are looked after again later: {}",
            sent,
            owed,
            why
        );
        if let Err(error) = self.alarm.wake_in(POSTPONE_SECONDS).await {
            console_error!("alarm: {}", error.to_string());
        }
    }

    fn make(&self) -> Result<settlement::Settler<WorkerHost>, String> {
        let app = App::get(&self.env);
        let Ok(config) = app.loaded.config.as_ref() else {
            app.report_faults();
            return Err("the configuration has faults".into());
        };
        let transport = GatedTransport::default();
        let herald = (!config.webhooks.is_empty()).then(|| self.env.clone());
        let points = Points::of(&self.env);
        let host = WorkerHost::new(&self.state, &self.alarm, &transport, herald, points);
        let store = SqlStore::new(&self.state.storage()).map_err(|error| error.to_string())?;
        let name = store.name(self.state.id().name()).map_err(|error| error.to_string())?;
        let name = name.ok_or("a Settler without a name")?;
        let lanes = lanes_of(config, &name, transport)?;
        let settler = settlement::Settler::new(host, store, lanes).named(&name);
        Ok(settler.keeping_sales(config.desk.keep.as_secs()))
    }
}

/// What a Settler says to such a message for which there is no room: nothing was
/// sent, and what was claimed is free again.
fn turn_away(
    settler: &settlement::Settler<WorkerHost>,
    verb: &str,
    body: &str,
) -> worker::Result<Response> {
    let said: &dyn ToJson = match verb {
        "claim" => &ClaimReply::Busy,
        "verify" => &Verdict::Unknown,
        "hold" => &HoldReply::Unavailable,
        _ => &Outcome::Unavailable,
    };
    if matches!(verb, "hold" | "settle") {
        let asked: SettleRequest = read(body)?;
        let SettleRequest { payment, ticket, .. } = asked;
        let released = settler.release(&ReleaseRequest { payment, ticket });
        released.map_err(|error| error.to_string())?;
    }
    Response::ok(json::to_text(said))
}

fn read<T: FromJson>(body: &str) -> worker::Result<T> {
    json::from_text(body).map_err(|error| error.to_string().into())
}

fn answer<T: ToJson>(result: Result<T, StoreError>) -> worker::Result<Response> {
    match result {
        // Without headers: only the gate reads it, and three of them go with a payment.
        Ok(value) => Ok(ResponseBuilder::new().fixed(json::to_text(&value).into_bytes())),
        Err(error) => {
            console_error!("{}", error.to_string());
            Response::error(error.to_string(), 500)
        }
    }
}
