//! What is answered at `/.edge402/desk/refunds`, and what the ledger says of refunds.

use serde_json::Value;

use super::ask::NO_TOKEN;
use super::{Page, Refund, Reservation, State, TakenOff, Told, sum};
use crate::amount::AtomicAmount;
use crate::config::Config;
use crate::json::{Always, ToJson, json, write_object};
use crate::protocol::ChainId;
use crate::settlement::Sale;
use crate::time::UnixSeconds;

/// What is said of one that has failed in a new block.
const MAY_SUCCEED: &str = "it failed; if that stays so for 20 blocks, pay again";

/// What is said of one that no node has, after an hour, and once it is not waited for.
const UNKNOWN: &str = "no node has it: look in the wallet. If it was not sent, take it off and pay \
                       again; if it waits there, speed it up or cancel it";
const UNKNOWN_SILENT: &str =
    "no node has it, but the wallet may still send it: look there before you pay again";

/// One as the seller is shown it.
struct Line<'a>(&'a Refund);

impl ToJson for Line<'_> {
    fn write_json(&self, to: &mut String) {
        let it = self.0;
        let (state, meanwhile) = match it.state() {
            State::Noted => ("noted", None),
            State::Refused => ("refused", None),
            State::Replaced => ("replaced", None),
            State::Silent | State::Open if it.has_failed => {
                (if it.is_silent { "silent" } else { "open" }, Some(MAY_SUCCEED))
            }
            State::Silent if it.is_unknown => ("silent", Some(UNKNOWN_SILENT)),
            State::Silent => ("silent", Some("it is not waited for, and may still land")),
            State::Open => ("open", it.is_unknown.then_some(UNKNOWN)),
        };
        let problem = it.problem.as_deref().or(meanwhile);
        write_object(
            &[
                ("network", &it.network),
                ("transaction", &it.transaction),
                ("state", &state),
                ("amount", &it.amount),
                ("problem", &problem),
                ("time", &it.time.unwrap_or(it.told_at)),
                ("who", &it.who),
                ("own", &it.is_own),
                ("off", &it.is_off),
                ("sale_time", &it.sale_time),
                ("payment", &it.payment),
                ("payer", &it.payer),
            ],
            to,
        );
    }
}

/// A reservation as the seller is shown it. Its number is for its holder alone.
struct Held<'a>(&'a Reservation, UnixSeconds);

impl ToJson for Held<'_> {
    fn write_json(&self, to: &mut String) {
        let Self(it, now) = self;
        write_object(
            &[
                ("network", &it.network),
                ("amount", &it.amount),
                ("time", &it.at),
                ("until", &it.until()),
                ("is_over", &(it.until() <= *now)),
                ("who", &it.who),
                ("sale_time", &it.sale_time),
                ("payment", &it.payment),
                ("payer", &it.payer),
            ],
            to,
        );
    }
}

/// All that is under way (`GET`), as JSON.
pub fn list(refunds: &[Refund], reservations: &[Reservation], now: UnixSeconds) -> String {
    let lines: Vec<_> = refunds.iter().map(Line).collect();
    let held: Vec<_> = reservations.iter().map(|it| Held(it, now)).collect();
    let mut text = String::new();
    write_object(&[("refunds", &lines), ("reservations", &held)], &mut text);
    text
}

/// The answer to what somebody has told (`POST`): the status, and JSON.
pub fn answer_to(told: &Told) -> (u16, String) {
    let (status, refund) = match told {
        Told::Noted(refund) => (200, refund),
        Told::Open(refund) => (202, refund),
        Told::Refused(why) => return (409, problem(why)),
        Told::Full(why) => return (503, problem(why)),
    };
    let mut text = String::new();
    Line(refund).write_json(&mut text);
    (status, text)
}

/// The answer to what somebody takes off (`DELETE`): the status, and JSON.
pub fn answer_to_take_off(taken: &TakenOff) -> (u16, String) {
    match taken {
        TakenOff::Forgotten => (200, "{}".into()),
        TakenOff::Silent => (200, r#"{"state":"silent"}"#.into()),
        TakenOff::Warned => (200, r#"{"state":"replaced"}"#.into()),
        TakenOff::Stays(why) => (409, problem(why)),
        TakenOff::Unknown => (404, problem("no such transaction is known")),
    }
}

fn problem(why: &str) -> String {
    json!({ "error": why }).to_string()
}

/// What is needed to pay a sale back (`GET` with a sale), as JSON. `page`: what is kept
/// for it. `blockhash`: a recent one, where a transaction needs that.
pub fn terms(
    config: &Config,
    sale: &Sale,
    page: &Page,
    blockhash: Option<&String>,
    now: UnixSeconds,
) -> String {
    let network = sale.network.and_then(|id| config.network(id));
    let asset = sale.asset.as_deref();
    let mut tokens = network.into_iter().flat_map(|network| network.tokens());
    let token = tokens.find(|token| asset.is_some_and(|it| token.asset.is_at(it)));
    let program = token.and_then(|token| token.asset.extra(None).remove("tokenProgram"));
    let back = sum(&page.refunds);
    let over = back.checked_sub(sale.amount.0).filter(|over| *over > 0).map(AtomicAmount);
    let left = AtomicAmount(sale.amount.0.saturating_sub(back));
    let lines: Vec<_> = page.refunds.iter().map(Line).collect();
    let unknown = || sale.asset.is_none().then(|| NO_TOKEN.to_owned());
    let blind = sale.network.and_then(|id| cannot_look(config, id)).or_else(unknown);
    let mut text = String::new();
    write_object(
        &[
            ("network", &sale.network),
            ("time", &sale.time),
            ("payment", &sale.payment),
            ("payer", &sale.payer),
            ("asset", &sale.asset),
            ("amount", &sale.amount),
            ("left", &left),
            ("over", &over),
            ("decimals", &Always(&token.map(|token| token.decimals))),
            ("symbol", &Always(&token.map(|token| token.symbol.clone()))),
            ("refunds", &lines),
            ("reservation", &page.reservation.as_ref().map(|it| Held(it, now))),
            ("problem", &blind.or_else(|| page.problem.clone())),
            ("token_program", &program.filter(Value::is_string)),
            ("blockhash", &blockhash.cloned()),
        ],
        &mut text,
    );
    text
}

/// Why no transaction of a network can be looked for.
pub fn cannot_look(config: &Config, network: ChainId) -> Option<String> {
    let has_nodes = config.network(network).is_some_and(|it| !it.rpc.is_empty());
    (!has_nodes).then(|| {
        format!("NETWORKS.\"{network}\" needs rpc: the chain is asked for the transaction")
    })
}

/// What has come back of some sales.
#[derive(Debug, Default)]
pub struct Given(Vec<Refund>);

impl Given {
    /// Of what is kept, what is noted.
    pub fn new(mut refunds: Vec<Refund>) -> Self {
        refunds.retain(|it| it.amount.is_some());
        refunds.sort_by(|a, b| (&a.payment, a.told_at).cmp(&(&b.payment, b.told_at)));
        Self(refunds)
    }

    /// For this payment.
    pub fn of(&self, payment: &str) -> &[Refund] {
        let start = self.0.partition_point(|it| it.payment.as_str() < payment);
        let rest = self.0.get(start..).unwrap_or_default();
        rest.split(|it| it.payment != payment).next().unwrap_or_default()
    }
}

/// A sale with what has come back of it, as JSON: without any it is what it always was.
pub struct Shown<'a>(pub &'a Sale, pub &'a Given);

/// What has come back by these, in atomic units, and their transactions with blanks
/// between, as a file has them; empty where there are none.
pub fn in_cells(refunds: &[Refund]) -> [String; 2] {
    if refunds.is_empty() {
        return [String::new(), String::new()];
    }
    let names: Vec<_> = refunds.iter().map(|it| it.transaction.as_str()).collect();
    [sum(refunds).to_string(), names.join(" ")]
}

impl ToJson for Shown<'_> {
    fn write_json(&self, to: &mut String) {
        self.0.write_json(to);
        let refunds = self.1.of(&self.0.payment);
        if refunds.is_empty() {
            return;
        }
        let lines: Vec<_> = refunds.iter().map(Back).collect();
        // Two members more.
        to.pop();
        to.push_str(",\"refunded\":");
        AtomicAmount(sum(refunds)).write_json(to);
        to.push_str(",\"refunds\":");
        lines.write_json(to);
        to.push('}');
    }
}

/// One as the ledger shows it.
struct Back<'a>(&'a Refund);

impl ToJson for Back<'_> {
    fn write_json(&self, to: &mut String) {
        let it = self.0;
        let members: &[(&str, &dyn ToJson)] = &[
            ("time", &it.time.unwrap_or(it.told_at)),
            ("amount", &it.amount),
            ("transaction", &it.transaction),
        ];
        write_object(members, to);
    }
}
