//! The ledger: what is kept of each sale, and how it is asked for.

use crate::amount::AtomicAmount;
use crate::json::write_object;
use crate::json_struct;
use crate::protocol::ChainId;
use crate::time::UnixSeconds;

/// The longest path that is kept, in characters.
const MAX_PATH: usize = 2_000;

/// The way of what is sold at the gate.
const GATE: &str = "gate";

/// What is sold by a payment, as the gate knows it: no payment says so. Gates
/// of earlier versions say nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    /// The version of x402.
    pub version: u8,
    /// The pattern of the route; none where somebody else's server sells.
    pub route: Option<String>,
    /// The request's path, without its query; none as above.
    pub path: Option<String>,
    /// The request's method; none as above.
    pub method: Option<String>,
}

json_struct!(Sold { version, route, path, method });

impl Sold {
    /// What is sold at the gate.
    pub fn at_gate(version: u8, route: &str, path: &str, method: &str) -> Self {
        let path = path.chars().take(MAX_PATH).collect();
        let (route, method) = (Some(route.to_owned()), Some(method.to_owned()));
        Self { version, route, path: Some(path), method }
    }

    /// What is sold by a client of the facilitator.
    pub const fn elsewhere(version: u8) -> Self {
        Self { version, route: None, path: None, method: None }
    }
}

/// What a settled payment's record keeps for the ledger, beside its settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleNote {
    /// What was sold, if the gate has said so.
    pub sold: Option<Sold>,
    /// The token's address or mint.
    pub asset: String,
    /// The network.
    pub network: ChainId,
    /// The facilitator's client on whose account it was; none at the gate.
    pub client: Option<String>,
    /// What this Worker spent on its fees, in wei or lamports, if it is known.
    pub fee: Option<u128>,
}

json_struct!(SaleNote { sold, asset, network, client, fee });

/// One sale: a row of the ledger. It is written by whatever writes the record
/// of a settled payment, so neither is ever there without the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// When it was settled.
    pub time: UnixSeconds,
    /// The pattern of the route.
    pub route: Option<String>,
    /// The request's path, without its query.
    pub path: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// What was paid, in atomic units.
    pub amount: AtomicAmount,
    /// The token's address or mint; not known of what was settled by 0.1.0.
    pub asset: Option<String>,
    /// The network; not known as above.
    pub network: Option<ChainId>,
    /// Who paid.
    pub payer: String,
    /// The transaction's hash or signature; empty where nothing was charged.
    pub transaction: String,
    /// The payment's identity.
    pub payment: String,
    /// `gate`, or `facilitator/` and the client's name; not known as above.
    pub way: Option<String>,
    /// The version of x402.
    pub x402_version: Option<u8>,
    /// What was spent on its fees, in wei or lamports, as digits.
    pub fee: Option<String>,
    /// Whether an answer was taken to its end; not known of what somebody else's
    /// server delivers.
    pub delivered: Option<bool>,
    /// How often it was delivered again.
    pub redeliveries: u32,
}

json_struct!(Sale {
    time,
    route,
    path,
    method,
    amount,
    asset,
    network,
    payer,
    transaction,
    payment,
    way,
    x402_version,
    fee,
    delivered,
    redeliveries = default,
});

impl Sale {
    /// Where it stands among all sales.
    pub fn place(&self) -> SalePlace {
        SalePlace { time: self.time, payment: self.payment.clone() }
    }

    /// Whether it has brought the seller money: a client of the facilitator sells for
    /// itself.
    pub(super) fn is_paid_to_us(&self) -> bool {
        self.amount.0 > 0 && self.way.as_deref() == Some(GATE)
    }

    /// The sale as a line of the log: JSON, with OpenTelemetry's names where it
    /// has any ([HTTP], [URL]).
    ///
    /// [HTTP]: https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/
    /// [URL]: https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/
    pub fn log_line(&self) -> String {
        let mut line = String::new();
        write_object(
            &[
                ("event.name", &"edge402.sale"),
                ("http.route", &self.route),
                ("url.path", &self.path),
                ("http.request.method", &self.method),
                ("edge402.amount", &self.amount),
                ("edge402.asset", &self.asset),
                ("edge402.network", &self.network),
                ("edge402.payer", &self.payer),
                ("edge402.transaction", &self.transaction),
                ("edge402.payment", &self.payment),
                ("edge402.way", &self.way),
                ("edge402.x402_version", &self.x402_version),
                ("edge402.fee", &self.fee),
            ],
            &mut line,
        );
        line
    }
}

/// Where a sale stands among all sales of all Settlers: by its time, and among
/// those of one second by its payment's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SalePlace {
    /// When it was settled.
    pub time: UnixSeconds,
    /// The payment's identity.
    pub payment: String,
}

json_struct!(SalePlace { time, payment });

/// Asks a Settler for sales, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalesQuery {
    /// From this time on.
    pub from: Option<UnixSeconds>,
    /// Until this time, which is not in it.
    pub to: Option<UnixSeconds>,
    /// Only those of this route.
    pub route: Option<String>,
    /// Only those on this network: a Settler has one, so it is not asked.
    pub network: Option<ChainId>,
    /// Only those of this payer.
    pub payer: Option<String>,
    /// Only the one of this transaction.
    pub transaction: Option<String>,
    /// Only those that are older than this one.
    pub before: Option<SalePlace>,
    /// How many at most.
    pub limit: u32,
}

json_struct!(SalesQuery { from, to, route, network, payer, transaction, before, limit });

/// A payment that was refused, as a line of the log.
#[derive(Clone, Copy, Debug)]
pub struct RefusalLine<'a> {
    /// The code of the reason.
    pub reason: &'a str,
    /// The pattern of the route; none where somebody else's server sells.
    pub route: Option<&'a str>,
    /// The request's path, without its query; none as above.
    pub path: Option<&'a str>,
    /// The request's method; none as above.
    pub method: Option<&'a str>,
    /// The facilitator's client that has asked; none at the gate.
    pub client: Option<&'a str>,
}

impl RefusalLine<'_> {
    /// The line: JSON, with OpenTelemetry's names as for a [`Sale`].
    pub fn text(&self) -> String {
        let way = way_of(self.client);
        let path: Option<String> = self.path.map(|path| path.chars().take(MAX_PATH).collect());
        let mut line = String::new();
        write_object(
            &[
                ("event.name", &"edge402.refusal"),
                ("error.type", &self.reason),
                ("http.route", &self.route),
                ("url.path", &path),
                ("http.request.method", &self.method),
                ("edge402.way", &way),
            ],
            &mut line,
        );
        line
    }
}

/// By which way something is sold: at the gate, or by a facilitator's client.
pub(super) fn way_of(client: Option<&str>) -> String {
    client.map_or_else(|| GATE.into(), |name| format!("facilitator/{name}"))
}

/// An address or a transaction as it is looked up: hex digits have two cases,
/// base58 has letters that differ by theirs.
pub fn lookup_key(text: &str) -> String {
    if text.starts_with("0x") { text.to_ascii_lowercase() } else { text.to_owned() }
}
