//! What is answered at `/.edge402/desk/refunds`, and what the ledger says of refunds.

use serde_json::Value;

use super::{Refund, Told, sum};
use crate::amount::AtomicAmount;
use crate::config::Config;
use crate::json::{Always, ToJson, write_object};
use crate::settlement::Sale;

/// One as the seller is shown it.
struct Line<'a>(&'a Refund);

impl ToJson for Line<'_> {
    fn write_json(&self, to: &mut String) {
        let it = self.0;
        let state = match (it.amount, &it.problem) {
            (Some(_), _) => "noted",
            (None, Some(_)) => "refused",
            (None, None) => "open",
        };
        write_object(
            &[
                ("network", &it.network),
                ("transaction", &it.transaction),
                ("state", &state),
                ("amount", &it.amount),
                ("problem", &it.problem),
                ("time", &it.time.unwrap_or(it.told_at)),
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
pub fn list(refunds: &[Refund]) -> String {
    let lines: Vec<_> = refunds.iter().map(Line).collect();
    let mut text = String::new();
    write_object(&[("refunds", &lines)], &mut text);
    text
}

/// The answer to what somebody has told (`POST`): the status, and JSON.
pub fn answer_to(told: &Told) -> (u16, String) {
    let (status, refund) = match told {
        Told::Noted(refund) => (200, refund),
        Told::Open(refund) => (202, refund),
        Told::Refused(why) => return (409, serde_json::json!({ "error": why }).to_string()),
    };
    let mut text = String::new();
    Line(refund).write_json(&mut text);
    (status, text)
}

/// What is needed to pay a sale back (`GET` with a sale), as JSON. `known`: what is
/// kept for it. `blockhash`: a recent one, where a transaction needs that.
pub fn terms(config: &Config, sale: &Sale, known: &[Refund], blockhash: Option<&String>) -> String {
    let network = sale.network.and_then(|id| config.network(id));
    let asset = sale.asset.as_deref();
    let mut tokens = network.into_iter().flat_map(|network| network.tokens());
    let token = tokens.find(|token| asset.is_some_and(|it| token.asset.is_at(it)));
    let program = token.and_then(|token| token.asset.extra(None).remove("tokenProgram"));
    let left = AtomicAmount(sale.amount.0.saturating_sub(sum(known)));
    let lines: Vec<_> = known.iter().map(Line).collect();
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
            ("decimals", &Always(&token.map(|token| token.decimals))),
            ("symbol", &Always(&token.map(|token| token.symbol.clone()))),
            ("refunds", &lines),
            ("token_program", &program.filter(Value::is_string)),
            ("blockhash", &blockhash.cloned()),
        ],
        &mut text,
    );
    text
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
