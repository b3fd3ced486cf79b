//! An entry of the journal as it is on disk.

use super::{Entry, EvmSent, FacilitatorSent, Sent, SolanaSent, TxId};
use crate::evm::Fees;
use crate::json::{FromJson, ToJson};
use crate::json_struct;
use crate::time::UnixSeconds;

/// An entry on disk: one list of members for whatever is sent, as release 0.1.0
/// wrote it.
struct Row {
    id: String,
    transaction: String,
    former: Vec<String>,
    raw: String,
    bound: u64,
    payments: Vec<String>,
    written_at: UnixSeconds,
    /// On EVM, and nowhere else.
    fees: Option<Fees>,
    gas: u64,
    /// If the latest version is not the one that may cost most.
    most: Option<u128>,
    seen_block: u64,
    judged: bool,
    empty: Vec<String>,
    look_at: Option<UnixSeconds>,
}

json_struct!(Row {
    id,
    transaction,
    former,
    raw,
    bound,
    payments,
    written_at,
    fees,
    gas,
    most,
    seen_block,
    judged = default,
    empty = default,
    look_at,
});

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        let sent = if TxId::named(&row.id).is_none() {
            Sent::Facilitator(FacilitatorSent {
                body: row.raw,
                told: TxId::named(&row.transaction),
                expires_at: UnixSeconds(row.bound),
                looked_from: Some(row.seen_block).filter(|block| *block > 0),
            })
        } else if let Some(fees) = row.fees {
            Sent::Evm(EvmSent {
                nonce: row.bound,
                hash: row.transaction,
                former: row.former,
                empty: row.empty,
                raw: row.raw,
                fees,
                gas: row.gas,
                most: row.most.unwrap_or_else(|| fees.worst_cost(row.gas)),
                seen_block: row.seen_block,
                judged: row.judged,
                look_at: row.look_at,
            })
        } else {
            Sent::Solana(SolanaSent {
                signature: row.transaction,
                raw: row.raw,
                last_valid_height: row.bound,
            })
        };
        Self { id: row.id, payments: row.payments, written_at: row.written_at, sent }
    }
}

impl From<Entry> for Row {
    fn from(Entry { id, payments, written_at, sent }: Entry) -> Self {
        let empty = Self {
            transaction: id.clone(),
            id,
            former: vec![],
            raw: String::new(),
            bound: 0,
            payments,
            written_at,
            fees: None,
            gas: 0,
            most: None,
            seen_block: 0,
            judged: false,
            empty: vec![],
            look_at: None,
        };
        match sent {
            Sent::Evm(sent) => Self {
                transaction: sent.hash,
                former: sent.former,
                raw: sent.raw,
                bound: sent.nonce,
                fees: Some(sent.fees),
                gas: sent.gas,
                most: Some(sent.most).filter(|it| *it != sent.fees.worst_cost(sent.gas)),
                seen_block: sent.seen_block,
                judged: sent.judged,
                look_at: sent.look_at,
                empty: sent.empty,
                ..empty
            },
            Sent::Solana(sent) => Self {
                transaction: sent.signature,
                raw: sent.raw,
                bound: sent.last_valid_height,
                ..empty
            },
            Sent::Facilitator(sent) => Self {
                transaction: sent.told.map_or_else(|| empty.id.clone(), TxId::into_string),
                raw: sent.body,
                bound: sent.expires_at.0,
                seen_block: sent.looked_from.unwrap_or(0),
                ..empty
            },
        }
    }
}

impl ToJson for Entry {
    fn write_json(&self, to: &mut String) {
        Row::from(self.clone()).write_json(to);
    }
}

impl FromJson for Entry {
    fn from_json(value: &serde_json::Value) -> Option<Self> {
        Row::from_json(value).map(Self::from)
    }
}
