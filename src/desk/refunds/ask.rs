//! What is asked of `/.edge402/desk/refunds`.

use serde_json::{Map, Value};

use super::super::query::pairs_of;
use super::super::{read_network, read_time};
use super::{Refund, Reservation};
use crate::amount::AtomicAmount;
use crate::json;
use crate::payment::refund::{canonical_transaction, signed_transaction};
use crate::protocol::ChainId;
use crate::settlement::sales::SalePlace;
use crate::settlement::{Sale, SalesQuery};
use crate::time::UnixSeconds;

/// Why a sale of long ago can't be paid back by the desk.
pub(super) const NO_TOKEN: &str =
    "in which token it was paid is not known: it was sold by release 0.1.0";

/// Which sale is meant, by what the ledger says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its network.
    pub network: ChainId,
    /// Its time.
    pub time: UnixSeconds,
    /// Its payment's identity.
    pub payment: String,
}

/// A transaction that is told to be a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of which sale.
    pub place: Place,
    /// Its hash or signature.
    pub transaction: String,
    /// The transaction itself (base64), if it is to be sent.
    pub signed: Option<String>,
    /// The reservation by which a wallet was asked for it.
    pub reserved: Option<String>,
}

/// What is to be taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A transaction of a network.
    Transaction(ChainId, String),
    /// The reservation of a payment, by its number.
    Reservation(String, String),
}

impl Place {
    /// What the Settlers of its network are asked.
    pub fn query(&self) -> SalesQuery {
        // The next text behind the payment's identity.
        let payment = format!("{} ", self.payment);
        SalesQuery {
            from: Some(self.time),
            to: Some(self.time.plus(1)),
            network: Some(self.network),
            before: Some(SalePlace { time: self.time, payment }),
            limit: 1,
            ..SalesQuery::default()
        }
    }

    /// The sale, if it is in what they have said.
    pub fn pick(&self, said: Vec<Vec<Sale>>) -> Option<Sale> {
        said.into_iter().flatten().find(|it| it.payment == self.payment)
    }
}

impl Asked {
    /// What is kept of it.
    ///
    /// # Errors
    /// A sentence for the seller: why the sale can't be paid back.
    pub fn refund(self, sale: Sale, who: &str, now: UnixSeconds) -> Result<Refund, String> {
        let Self { place, transaction, signed, reserved: _ } = self;
        let asset = sale.asset.ok_or(NO_TOKEN)?;
        Ok(Refund {
            network: place.network,
            payment: place.payment,
            sale_time: place.time,
            route: sale.route,
            asset,
            payer: sale.payer,
            paid: sale.amount,
            transaction,
            signed,
            who: who.to_owned(),
            told_at: now,
            looked_at: now,
            amount: None,
            time: None,
            problem: None,
            is_own: false,
            is_silent: false,
            is_checked: false,
            sender: None,
            dead_from: None,
            has_failed: false,
            is_unknown: false,
            is_off: false,
        })
    }
}

/// What is asked for a wallet that is to send a sale's refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToReserve {
    /// Of which sale.
    pub place: Place,
    /// How much, in atomic units.
    pub amount: AtomicAmount,
    /// The number of the reservation.
    pub id: String,
    /// The transactions that may still land and of which the seller knows.
    pub despite: Vec<String>,
}

impl ToReserve {
    /// What is kept of it.
    ///
    /// # Errors
    /// A sentence for the seller: why the sale can't be paid back.
    pub fn reservation(
        &self,
        sale: &Sale,
        who: &str,
        now: UnixSeconds,
    ) -> Result<Reservation, String> {
        if sale.asset.is_none() {
            return Err(NO_TOKEN.into());
        }
        Ok(Reservation {
            network: self.place.network,
            payment: self.place.payment.clone(),
            sale_time: self.place.time,
            payer: sale.payer.clone(),
            paid: sale.amount,
            amount: self.amount,
            id: self.id.clone(),
            who: who.to_owned(),
            at: now,
        })
    }
}

/// Reads what is to be reserved (`PUT`).
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_reservation(body: &[u8]) -> Result<ToReserve, String> {
    const WANTED: &str = "the body must be {\"network\": …, \"time\": …, \"payment\": …}, as in \
                          the sale, \"amount\", \"reservation\" (32 hex digits), and \"despite\"";
    let body = json::from_slice(body).map_err(|_| WANTED)?;
    let members = body.as_object().filter(|members| members.len() == 6).ok_or(WANTED)?;
    let place = read_place_in(members, WANTED)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(WANTED);
    let amount = text("amount")?.parse().map_err(|_| WANTED)?;
    let id = read_id(text("reservation")?).ok_or(WANTED)?;
    let despite = members.get("despite").and_then(Value::as_array).ok_or(WANTED)?;
    let despite: Result<Vec<_>, String> = despite
        .iter()
        .map(|it| read_transaction(place.network, it.as_str().ok_or(WANTED)?))
        .collect();
    Ok(ToReserve { amount, id, despite: despite?, place })
}

fn read_id(text: &str) -> Option<String> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 32 && text.bytes().all(is_digit)).then(|| text.to_owned())
}

fn read_place_in(members: &Map<String, Value>, wanted: &str) -> Result<Place, String> {
    let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(wanted);
    let network = read_network(text("network")?)?;
    let time = members.get("time").and_then(json::whole_number).map(UnixSeconds).ok_or(wanted)?;
    Ok(Place { network, time, payment: text("payment")?.to_owned() })
}

/// Reads a transaction that somebody tells (`POST`).
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_note(body: &[u8]) -> Result<Asked, String> {
    const WANTED: &str = "the body must be {\"network\": …, \"time\": …, \"payment\": …}, as in \
                          the sale, and \"transaction\" or \"signed\"; \"reservation\" may be there";
    let body = json::from_slice(body).map_err(|_| WANTED)?;
    let members = body.as_object().ok_or(WANTED)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let reserved = text("reservation").and_then(read_id);
    if members.len() != 4 + usize::from(reserved.is_some()) {
        return Err(WANTED.into());
    }
    let place = read_place_in(members, WANTED)?;
    let network = place.network;
    if let Some(text) = text("signed") {
        let signed = signed_transaction(network, text);
        let (transaction, signed) =
            signed.ok_or("signed must be a signed transaction of Solana, in base64")?;
        return Ok(Asked { place, transaction, signed: Some(signed), reserved });
    }
    let transaction = read_transaction(network, text("transaction").ok_or(WANTED)?)?;
    Ok(Asked { place, transaction, signed: None, reserved })
}

/// Reads which sale is asked about (the query of `GET`, from its `?` on); none for
/// all that is under way.
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_place(query: &str) -> Result<Option<Place>, String> {
    let (mut network, mut time, mut payment) = (None, None, None);
    for (name, value) in pairs_of(query, &["network", "time", "payment"])? {
        match name.as_str() {
            "network" => network = Some(read_network(&value)?),
            "time" => time = Some(read_time(&name, &value)?),
            _ => payment = Some(value),
        }
    }
    match (network, time, payment) {
        (None, None, None) => Ok(None),
        (Some(network), Some(time), Some(payment)) => Ok(Some(Place { network, time, payment })),
        _ => Err("a sale is named by network, time and payment".into()),
    }
}

/// Reads what is to be taken off (the query of `DELETE`).
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_named(query: &str) -> Result<Named, String> {
    let [mut network, mut transaction, mut payment, mut id] = [const { None }; 4];
    for (name, value) in pairs_of(query, &["network", "transaction", "payment", "reservation"])? {
        match name.as_str() {
            "network" => network = Some(value),
            "transaction" => transaction = Some(value),
            "payment" => payment = Some(value),
            _ => id = Some(value),
        }
    }
    match (network, transaction, payment, id) {
        (Some(network), Some(transaction), None, None) => {
            let network = read_network(&network)?;
            Ok(Named::Transaction(network, read_transaction(network, &transaction)?))
        }
        (None, None, Some(payment), id) => Ok(Named::Reservation(payment, id.unwrap_or_default())),
        _ => {
            Err("a transaction is named by network and transaction, a reservation by payment and \
                  reservation"
                .into())
        }
    }
}

fn read_transaction(network: ChainId, text: &str) -> Result<String, String> {
    let name = canonical_transaction(network, text.trim());
    name.ok_or_else(|| format!("transaction is none of {network}"))
}
