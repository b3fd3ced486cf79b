//! The Durable Object that keeps the refunds, and asks the chains for them.

use worker::{Env, SqlStorage, SqlStorageValue, State, console_error, console_log};

use super::super::super::alarm::ObjectAlarm;
use super::super::super::app::App;
use super::super::super::clock;
use crate::desk::refunds::{
    Book, Look, MAX_LIST, Refund, RefundsQuery, Reservation, State as Stands, look, look_again,
    page_of, release, reserve, take_off, tell,
};
use crate::json::{self, FromJson, to_text};
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::StoreError;
use crate::time::UnixSeconds;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS refunds (
        id TEXT PRIMARY KEY,
        payment TEXT NOT NULL,
        sale_time INTEGER NOT NULL,
        is_noted INTEGER NOT NULL,
        is_open INTEGER NOT NULL,
        look_at INTEGER,
        refund TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS refunds_by_payment ON refunds (payment);
    CREATE INDEX IF NOT EXISTS refunds_by_sale ON refunds (sale_time, payment);
    CREATE INDEX IF NOT EXISTS refunds_to_list ON refunds (sale_time) WHERE is_noted = 0;
    CREATE INDEX IF NOT EXISTS refunds_open ON refunds (is_open) WHERE is_open = 1;
    CREATE INDEX IF NOT EXISTS refunds_due ON refunds (look_at) WHERE look_at IS NOT NULL;
    CREATE TABLE IF NOT EXISTS reservations (payment TEXT PRIMARY KEY, reservation TEXT NOT NULL);
";

/// What is told of a transaction.
pub(super) struct Telling {
    pub(super) refund: Refund,
    pub(super) reserved: Option<String>,
}

json_struct!(Telling { refund, reserved });

/// What is to be reserved.
pub(super) struct Wanted {
    pub(super) reservation: Reservation,
    pub(super) despite: Vec<String>,
}

json_struct!(Wanted { reservation, despite });

/// All that is under way.
pub(super) struct Listed {
    pub(super) refunds: Vec<Refund>,
    pub(super) reservations: Vec<Reservation>,
}

json_struct!(Listed { refunds, reservations });

/// The largest number that JavaScript keeps exactly.
const FOREVER: u64 = (1 << 53) - 1;

/// How soon the alarm rings after somebody has told of a transaction, in seconds.
const SOON_SECONDS: u64 = 5;

/// How soon to go on after a fault, in seconds.
const AGAIN_SECONDS: u64 = 60;

/// Whether an object is asked as the one that keeps the refunds.
pub(in crate::runtime) fn is_asked_for(verb: &str) -> bool {
    verb.starts_with("refund-") || verb.starts_with("refunds-")
}

/// What it answers, as JSON.
pub(in crate::runtime) async fn answer(
    state: &State,
    alarm: &ObjectAlarm,
    env: &Env,
    (verb, message): (&str, &str),
) -> worker::Result<String> {
    let book = Pages::new(state, env)?;
    let said = match verb {
        "refund-tell" => {
            // Before anything is written: whatever dies then, the alarm rings.
            alarm.wake_in(SOON_SECONDS).await?;
            let Telling { refund, reserved } = read(message)?;
            let told = tell(&book, refund, reserved.as_deref()).await;
            told.map(|told| to_text(&told))
        }
        "refund-reserve" => {
            let Wanted { reservation, despite } = read(message)?;
            reserve(&book, &reservation, &despite).await.map(|it| to_text(&it))
        }
        "refund-take-off" | "refund-release" => {
            let named: Vec<String> = read(message)?;
            let [of, name] = named.as_slice() else { return Err("no name".into()) };
            if verb == "refund-release" {
                release(&book, of, name).map(|it| to_text(&it))
            } else {
                let network: ChainId = of.parse().map_err(|_| "no network")?;
                take_off(&book, network, name).map(|it| to_text(&it))
            }
        }
        "refunds-page" => page_of(&book, &read::<String>(message)?).map(|it| to_text(&it)),
        "refunds-of" => book.of_payments(&read::<Vec<String>>(message)?).map(|it| to_text(&it)),
        "refunds-between" => book.between(&read(message)?).map(|it| to_text(&it)),
        _ => book.listed().map(|it| to_text(&it)),
    };
    said.map_err(|error| error.to_string().into())
}

/// What the alarm does.
pub(in crate::runtime) async fn ring(
    state: &State,
    alarm: &ObjectAlarm,
    env: &Env,
) -> worker::Result<()> {
    let next = look_again(&Pages::new(state, env)?).await.unwrap_or_else(|error| {
        console_error!("refunds: {}", error.to_string());
        Some(AGAIN_SECONDS)
    });
    match next {
        Some(seconds) => alarm.wake_in(seconds).await,
        None => Ok(()),
    }
}

fn read<T: FromJson>(text: &str) -> worker::Result<T> {
    json::from_text(text).map_err(|error| error.to_string().into())
}

/// The rows, and the chains.
struct Pages<'a> {
    sql: SqlStorage,
    env: &'a Env,
}

impl<'a> Pages<'a> {
    fn new(state: &State, env: &'a Env) -> worker::Result<Self> {
        let sql = state.storage().sql();
        sql.exec(SCHEMA, None)?;
        Ok(Self { sql, env })
    }

    /// Those that are noted, of the newest sales first.
    fn between(&self, asked: &RefundsQuery) -> Result<Vec<Refund>, StoreError> {
        let query = "SELECT refund FROM refunds \
                     WHERE is_noted = 1 AND sale_time >= ? AND sale_time < ? \
                     AND (sale_time, payment, id) < (?, ?, ?) \
                     ORDER BY sale_time DESC, payment DESC, id DESC LIMIT ?";
        let forever = UnixSeconds(u64::MAX);
        let (from, to) = (asked.from.unwrap_or_default(), asked.to.unwrap_or(forever));
        let (time, payment, name) = match asked.before.as_deref() {
            Some([time, payment, name]) => {
                let time = time.parse().map_err(|_| StoreError("no time".into()))?;
                (UnixSeconds(time), payment.as_str(), name.as_str())
            }
            _ => (forever, "", ""),
        };
        let limit = SqlStorageValue::Integer(asked.limit.into());
        let values =
            vec![seconds(from), seconds(to), seconds(time), payment.into(), name.into(), limit];
        self.rows(query, Some(values))
    }

    /// What is no refund and was not taken off, of the newest sales first, and what is
    /// reserved.
    fn listed(&self) -> Result<Listed, StoreError> {
        let query = "SELECT refund FROM refunds WHERE is_noted = 0 \
                     AND refund ->> 'is_off' IS NOT 1 ORDER BY sale_time DESC LIMIT ?";
        let refunds = self.rows(query, Some(vec![count(MAX_LIST)]))?;
        Ok(Listed { refunds, reservations: self.reservations()? })
    }

    fn rows<T: FromJson>(
        &self,
        query: &str,
        values: Option<Vec<SqlStorageValue>>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.sql.exec(query, values).map_err(failed)?;
        rows.raw()
            .map(|row| match row.map_err(failed)?.into_iter().next() {
                Some(SqlStorageValue::String(text)) => {
                    json::from_text(&text).map_err(|error| StoreError(error.to_string()))
                }
                _ => Err(StoreError("a row without a text".into())),
            })
            .collect()
    }
}

impl Book for Pages<'_> {
    fn now(&self) -> UnixSeconds {
        clock::now()
    }

    fn find(&self, network: ChainId, transaction: &str) -> Result<Option<Refund>, StoreError> {
        let rows = self.rows(
            "SELECT refund FROM refunds WHERE id = ?",
            Some(vec![id(network, transaction).into()]),
        );
        Ok(rows?.into_iter().next())
    }

    fn of_payments(&self, payments: &[String]) -> Result<Vec<Refund>, StoreError> {
        let query = "SELECT refund FROM refunds WHERE payment IN (SELECT value FROM json_each(?))";
        self.rows(query, Some(vec![to_text(&payments.to_vec()).into()]))
    }

    fn open(&self) -> Result<Vec<Refund>, StoreError> {
        self.rows("SELECT refund FROM refunds WHERE is_open = 1", None)
    }

    fn due(&self, limit: usize) -> Result<Vec<Refund>, StoreError> {
        let query = "SELECT refund FROM refunds WHERE look_at IS NOT NULL ORDER BY look_at LIMIT ?";
        self.rows(query, Some(vec![count(limit)]))
    }

    fn put(&self, refund: &Refund) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO refunds \
                     (id, payment, sale_time, is_noted, is_open, look_at, refund) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = vec![
            id(refund.network, &refund.transaction).into(),
            refund.payment.as_str().into(),
            seconds(refund.sale_time),
            SqlStorageValue::Integer(refund.amount.is_some().into()),
            SqlStorageValue::Integer((refund.state() == Stands::Open).into()),
            refund.look_at().map_or(SqlStorageValue::Null, seconds),
            to_text(refund).into(),
        ];
        self.sql.exec(query, values).map(drop).map_err(failed)
    }

    fn remove(&self, refund: &Refund) -> Result<(), StoreError> {
        let values = vec![id(refund.network, &refund.transaction).into()];
        self.sql.exec("DELETE FROM refunds WHERE id = ?", values).map(drop).map_err(failed)
    }

    fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        self.rows("SELECT reservation FROM reservations", None)
    }

    fn put_reservation(&self, it: &Reservation) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO reservations (payment, reservation) VALUES (?, ?)";
        let values = vec![it.payment.as_str().into(), to_text(it).into()];
        self.sql.exec(query, values).map(drop).map_err(failed)
    }

    fn remove_reservation(&self, payment: &str) -> Result<(), StoreError> {
        let query = "DELETE FROM reservations WHERE payment = ?";
        self.sql.exec(query, vec![payment.into()]).map(drop).map_err(failed)
    }

    async fn look(&self, refund: &Refund) -> Look {
        let app = App::get(self.env);
        let config = app.loaded.config.as_ref().ok();
        let network = config.and_then(|config| config.network(refund.network));
        let Some(network) = network.filter(|it| !it.rpc.is_empty()) else { return Look::NoAnswer };
        let token = network.tokens().find(|token| token.asset.is_at(&refund.asset));
        let limit = token.and_then(|token| token.quorum_above);
        let quorum = limit.is_some_and(|limit| refund.paid > limit);
        look(&App::nodes(network), refund, quorum, clock::now()).await
    }

    fn log(&self, line: &str) {
        console_log!("{}", line);
    }
}

fn id(network: ChainId, transaction: &str) -> String {
    format!("{network}/{transaction}")
}

fn count(number: usize) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn seconds(time: UnixSeconds) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(time.0.min(FOREVER)).unwrap_or(i64::MAX))
}

#[allow(clippy::needless_pass_by_value)] // Its only use is in `map_err`.
fn failed(error: worker::Error) -> StoreError {
    StoreError(error.to_string())
}
