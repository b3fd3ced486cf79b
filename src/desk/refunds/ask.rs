//! What is asked of `/.edge402/desk/refunds`.

use serde_json::Value;

use super::super::query::pairs_of;
use super::super::{read_network, read_time};
use super::Refund;
use crate::json;
use crate::payment::refund::{canonical_transaction, signed_transaction};
use crate::protocol::ChainId;
use crate::settlement::sales::SalePlace;
use crate::settlement::{Sale, SalesQuery};
use crate::time::UnixSeconds;

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
        let Self { place, transaction, signed } = self;
        let asset = sale
            .asset
            .ok_or("in which token it was paid is not known: it was sold by release 0.1.0")?;
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
        })
    }
}

/// Reads a transaction that somebody tells (`POST`).
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_note(body: &[u8]) -> Result<Asked, String> {
    const WANTED: &str = "the body must be {\"network\": …, \"time\": …, \"payment\": …}, as in \
                          the sale, and \"transaction\" or \"signed\"";
    let body = json::from_slice(body).map_err(|_| WANTED)?;
    let members = body.as_object().filter(|members| members.len() == 4).ok_or(WANTED)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let network = read_network(text("network").ok_or(WANTED)?)?;
    let time = members.get("time").and_then(json::whole_number).map(UnixSeconds).ok_or(WANTED)?;
    let payment = text("payment").ok_or(WANTED)?.to_owned();
    let place = Place { network, time, payment };
    if let Some(text) = text("signed") {
        let signed = signed_transaction(network, text);
        let (transaction, signed) =
            signed.ok_or("signed must be a signed transaction of Solana, in base64")?;
        return Ok(Asked { place, transaction, signed: Some(signed) });
    }
    let transaction = read_transaction(network, text("transaction").ok_or(WANTED)?)?;
    Ok(Asked { place, transaction, signed: None })
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

/// Reads which transaction is to be forgotten (the query of `DELETE`).
///
/// # Errors
/// A sentence for the seller: what to change.
pub fn read_forget(query: &str) -> Result<(ChainId, String), String> {
    let (mut network, mut transaction) = (None, None);
    for (name, value) in pairs_of(query, &["network", "transaction"])? {
        match name.as_str() {
            "network" => network = Some(read_network(&value)?),
            _ => transaction = Some(value),
        }
    }
    let (Some(network), Some(transaction)) = (network, transaction) else {
        return Err("a transaction is named by network and transaction".into());
    };
    Ok((network, read_transaction(network, &transaction)?))
}

fn read_transaction(network: ChainId, text: &str) -> Result<String, String> {
    let name = canonical_transaction(network, text.trim());
    name.ok_or_else(|| format!("transaction is none of {network}"))
}
