//! What a Settler writes down before it sends it, for the next life to take up.

mod row;

use crate::evm::Fees;
use crate::json::{FromJson, ToJson};
use crate::json_struct;
pub use crate::settlement::search::Search;
use crate::time::UnixSeconds;

/// What the rows of what a facilitator was asked begin with: no transaction is
/// known when such a row is written, and it needs a name all the same.
pub const AT_FACILITATOR: &str = "remote/";

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
    /// The same as a request to a facilitator, if it is one.
    pub fn at_facilitator(self) -> Option<FacilitatorEntry> {
        let Self { id, payments, written_at, sent } = self;
        let Sent::Facilitator(sent) = sent else { return None };
        Some(Entry { id, payments, written_at, sent })
    }

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

/// From which name on, and before which one, requests to facilitators are in the
/// journal.
pub fn names_at_facilitator() -> (String, String) {
    names_beginning_with(AT_FACILITATOR)
}

/// The same of all names that begin so. In none of them is a tilde.
pub fn names_beginning_with(names: &str) -> (String, String) {
    (names.to_owned(), format!("{names}~"))
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
    /// Whether there are any at a facilitator. Of those there may be thousands, and
    /// whoever looks after them reads them by and by.
    pub is_at_facilitator: bool,
}

impl Entries {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.evm.is_empty() && self.solana.is_empty() && !self.is_at_facilitator
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        let mut sorted = Self::default();
        for Entry { id, payments, written_at, sent } in entries {
            let entry = Entry { id, payments, written_at, sent: () };
            match sent {
                Sent::Evm(sent) => sorted.evm.push(entry.with(sent)),
                Sent::Solana(sent) => sorted.solana.push(entry.with(sent)),
                Sent::Facilitator(_) => sorted.is_at_facilitator = true,
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
