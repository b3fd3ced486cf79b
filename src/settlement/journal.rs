//! What a Settler writes down before it sends it, for the next life to take up.

use crate::evm::Fees;
use crate::json::{FromJson, ToJson};
use crate::json_struct;
pub use crate::settlement::search::Search;
use crate::time::UnixSeconds;

/// What the rows of what a facilitator was asked begin with: no transaction is
/// known when such a row is written, and it needs a name all the same.
const AT_FACILITATOR: &str = "remote/";

/// How many hashes of transactions that did not make a payment are kept.
const HASHES_MAX: usize = 32;

/// Something that is sent, written down before it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<S = Sent> {
    /// What the journal calls it: the hash or signature of its first version,
    /// or [`name_at_facilitator`].
    pub id: String,
    /// The payments in it, in the order of the calls.
    pub payments: Vec<String>,
    /// When it was written.
    pub written_at: UnixSeconds,
    /// What is sent.
    pub sent: S,
}

/// What is sent, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A transaction to an EVM chain.
    Evm(EvmSent),
    /// A transaction to a Solana cluster.
    Solana(SolanaSent),
    /// A request to a facilitator.
    Facilitator(FacilitatorSent),
}

/// A transaction to an EVM chain.
pub type EvmEntry = Entry<EvmSent>;
/// A transaction to a Solana cluster.
pub type SolanaEntry = Entry<SolanaSent>;
/// A request to a facilitator.
pub type FacilitatorEntry = Entry<FacilitatorSent>;

/// A signed EVM transaction, in one version or several of which one can land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmSent {
    /// The relayer's nonce.
    pub nonce: u64,
    /// The hash of the latest version.
    pub hash: String,
    /// The hashes of the versions that this one replaces.
    pub former: Vec<String>,
    /// The hashes of those versions that carry none of the payments, but only
    /// use the nonce up.
    pub empty: Vec<String>,
    /// The latest version's bytes, in hex.
    pub raw: String,
    /// What it offers for gas.
    pub fees: Fees,
    /// Its gas limit.
    pub gas: u64,
    /// The most that any of its versions can cost, in wei.
    pub most: u128,
    /// The block in which its payments were seen not to be used yet.
    pub seen_block: u64,
    /// Its receipt has been read and its fees are noted. What is left in it are
    /// payments that it did not make, and that may have been made by somebody
    /// else.
    pub judged: bool,
    /// When it is looked at again, if it is unclear what became of its payments.
    pub look_at: Option<UnixSeconds>,
}

impl EvmSent {
    /// The hashes of all its versions, the latest one last.
    pub fn hashes(&self) -> impl Iterator<Item = &String> {
        self.former.iter().chain([&self.hash])
    }

    /// Whether this is the hash of one of its versions.
    pub fn has_version(&self, hash: &str) -> bool {
        self.hashes().any(|version| version == hash)
    }
}

/// A co-signed Solana transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolanaSent {
    /// Its first signature.
    pub signature: String,
    /// Its bytes, in base64.
    pub raw: String,
    /// The last block height at which it can land.
    pub last_valid_height: u64,
}

/// A request that a facilitator settle a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacilitatorSent {
    /// The request's body.
    pub body: String,
    /// The transaction that the facilitator has named while it was pending.
    pub told: Option<TxId>,
    /// From when on the payment can't land any more.
    pub expires_at: UnixSeconds,
    /// EVM: the block in which the payment was seen not to be used yet.
    pub looked_from: Option<u64>,
}

impl<S> Entry<S> {
    /// The same entry, of something else that is sent.
    fn with<T>(self, sent: T) -> Entry<T> {
        let Self { id, payments, written_at, .. } = self;
        Entry { id, payments, written_at, sent }
    }
}

impl<S: Clone + Into<Sent>> Entry<S> {
    /// As the journal keeps it.
    pub fn row(&self) -> Entry {
        Entry {
            id: self.id.clone(),
            payments: self.payments.clone(),
            written_at: self.written_at,
            sent: self.sent.clone().into(),
        }
    }
}

impl From<EvmSent> for Sent {
    fn from(sent: EvmSent) -> Self {
        Self::Evm(sent)
    }
}

impl From<SolanaSent> for Sent {
    fn from(sent: SolanaSent) -> Self {
        Self::Solana(sent)
    }
}

impl From<FacilitatorSent> for Sent {
    fn from(sent: FacilitatorSent) -> Self {
        Self::Facilitator(sent)
    }
}

impl Entry {
    /// The transaction that it is now: the latest of its versions, or what a
    /// facilitator has said.
    pub fn transaction(self) -> Option<TxId> {
        match self.sent {
            Sent::Evm(sent) => Some(TxId(sent.hash)),
            Sent::Solana(sent) => Some(TxId(sent.signature)),
            Sent::Facilitator(sent) => sent.told,
        }
    }
}

/// What the journal calls a request that a facilitator settle this payment.
pub fn name_at_facilitator(payment: &str) -> String {
    format!("{AT_FACILITATOR}{payment}")
}

/// What a transaction is called on its chain: its hash or signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxId(String);

impl TxId {
    /// The transaction of this name, or the first version of what an entry of
    /// this name sends; `None` for a request to a facilitator.
    pub fn named(name: &str) -> Option<Self> {
        (!name.starts_with(AT_FACILITATOR)).then(|| Self(name.to_owned()))
    }

    /// The same as a text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl ToJson for TxId {
    fn write_json(&self, to: &mut String) {
        self.0.write_json(to);
    }
}

impl FromJson for TxId {
    fn from_json(value: &serde_json::Value) -> Option<Self> {
        Self::named(value.as_str()?)
    }
}

/// Entries by where they were sent.
#[derive(Default)]
pub struct Entries {
    /// To an EVM chain.
    pub evm: Vec<EvmEntry>,
    /// To a Solana cluster.
    pub solana: Vec<SolanaEntry>,
    /// To a facilitator.
    pub facilitator: Vec<FacilitatorEntry>,
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        let mut sorted = Self::default();
        for Entry { id, payments, written_at, sent } in entries {
            let entry = Entry { id, payments, written_at, sent: () };
            match sent {
                Sent::Evm(sent) => sorted.evm.push(entry.with(sent)),
                Sent::Solana(sent) => sorted.solana.push(entry.with(sent)),
                Sent::Facilitator(sent) => sorted.facilitator.push(entry.with(sent)),
            }
        }
        sorted
    }
}

/// What was sent to an EVM chain for one purchase. Anybody can read it there
/// and send the payment, too: from then on that pays for this purchase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// When the first transaction was written down.
    pub written_at: UnixSeconds,
    /// The block in which its payments were seen not to be used yet.
    pub seen_block: u64,
    /// The hashes of the transactions that have ended without the payment, the
    /// last ones.
    pub hashes: Vec<String>,
    /// The progress of the search for a use of the payment by somebody else.
    pub search: Option<Search>,
}

json_struct!(Attempts { written_at, seen_block, hashes, search });

impl Attempts {
    /// These, if there are any, and this transaction.
    pub fn with(earlier: Option<&Self>, written_at: UnixSeconds, sent: &EvmSent) -> Self {
        let seen_block = sent.seen_block;
        let new = || Self { written_at, seen_block, ..Self::default() };
        let mut all = earlier.cloned().unwrap_or_else(new);
        all.hashes.extend(sent.hashes().cloned());
        let too_many = all.hashes.len().saturating_sub(HASHES_MAX);
        all.hashes.drain(..too_many);
        all
    }
}

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
