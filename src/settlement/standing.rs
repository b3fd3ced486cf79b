//! What a Settler tells the seller alone: what it has to do for which payment,
//! what is stuck, and for how many sales its key's balance will do.

use super::journal::TxId;
use super::{Entry, Health, Host, PaymentRecord, Settler, State, Store, StoreError};
use crate::json_struct;
use crate::payment::Checked;
use crate::time::UnixSeconds;

/// How many payments are told of, the longest waiting first.
pub const WAITING_MAX: usize = 50;

/// How many records are read for that.
pub const WAITING_READ: u32 = 200;

/// From then on what was sent is stuck, in seconds.
const STUCK_SECONDS: u64 = 120;

/// How a Settler stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The key's balance when it was last looked at, in wei or lamports.
    pub balance: Option<String>,
    /// For how many more sales it will do at what one may cost now, if that is
    /// known.
    pub sales_left: Option<u64>,
    /// Payments that are under way or owed.
    pub waiting: Vec<Waiting>,
    /// Whether there are more of them.
    pub is_cut: bool,
    /// What stands in the way of a sale.
    pub problems: Vec<String>,
}

json_struct!(Standing { balance, sales_left, waiting, is_cut, problems });

/// A payment that waits for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The payment's identity.
    pub payment: String,
    /// Who pays.
    pub payer: Option<String>,
    /// Since when.
    pub since: UnixSeconds,
    /// The transaction, if there is one.
    pub transaction: Option<String>,
    /// `sent`, `stuck`, `delivering`, `owed` or `lost`.
    pub state: String,
    /// Why it waits.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

json_struct!(Waiting { payment, payer, since, transaction, state, reason, remedy });

impl<H: Host> Settler<H> {
    /// How this Settler stands, after a look at the chain.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let health = self.health().await;
        let shared = &self.shared;
        let (waiting, is_cut) = waiting_in(&shared.store, shared.host.now())?;
        let sales_left = shared.condition.sales_left();
        let Health { balance, problems, .. } = health;
        Ok(Standing { balance, sales_left, waiting, is_cut, problems })
    }
}

/// The payments that wait, of a Settler's tables, and whether there are more.
///
/// # Errors
/// The disk failed.
pub fn waiting_in<S: Store>(
    store: &S,
    now: UnixSeconds,
) -> Result<(Vec<Waiting>, bool), StoreError> {
    let mut records = store.waiting(WAITING_READ)?;
    let is_cut = records.len() >= WAITING_READ as usize || records.len() > WAITING_MAX;
    records.sort_by_key(PaymentRecord::waits_since);
    records.truncate(WAITING_MAX);
    let mut all = vec![];
    for record in &records {
        let Some(mut waiting) = record.waiting(now) else { continue };
        if let Some(id) = waiting.transaction.take() {
            let transaction = store.open_entry(&id)?.and_then(Entry::transaction);
            waiting.transaction = transaction.map(TxId::into_string);
        }
        all.push(waiting);
    }
    Ok((all, is_cut))
}

impl PaymentRecord {
    /// Since when it waits for its end.
    fn waits_since(&self) -> UnixSeconds {
        match &self.state {
            State::Submitted { order, .. } => order.owed_since.unwrap_or(order.verified_at),
            State::Metered { order, .. } => order.verified_at,
            State::Owed { since, .. } => *since,
            State::Claimed { .. } | State::Settled(_) | State::Failed { .. } => self.claimed_at,
        }
    }

    /// What the seller is told of it, if it waits; its transaction by its name in
    /// the journal.
    fn waiting(&self, now: UnixSeconds) -> Option<Waiting> {
        let since = self.waits_since();
        let (mut transaction, mut again) = (None, None);
        let (order, [state, reason, remedy]) = match &self.state {
            State::Submitted { transaction: entry, order } => {
                transaction = Some(entry.clone());
                let is_at_facilitator = TxId::named(entry).is_none();
                let words = match (now.since(since) < STUCK_SECONDS, is_at_facilitator) {
                    (true, _) => SENT,
                    (false, false) => STUCK,
                    (false, true) => STUCK_THERE,
                };
                (order, words)
            }
            State::Metered { order, .. } => (order, DELIVERING),
            State::Owed { order, .. } if self.is_lost() => (order, LOST),
            State::Owed { order, again_at, .. } => {
                again = Some(*again_at);
                (order, if self.is_overdue() { OVERDUE } else { OWED })
            }
            State::Claimed { .. } | State::Settled(_) | State::Failed { .. } => return None,
        };
        let payment = order.request.check(order.verified_at).ok().map(Checked::into_parts);
        let mut remedy = remedy.to_owned();
        if let Some(again) = again {
            remedy.push_str(&again.max(now).iso8601());
        }
        Some(Waiting {
            payment: self.payment.clone(),
            payer: payment.map(|(payment, _)| payment.payer()),
            since,
            transaction,
            state: state.to_owned(),
            reason: reason.to_owned(),
            remedy,
        })
    }
}

/// State, reason and remedy.
type Words = [&'static str; 3];

const SENT: Words =
    ["sent", "the chain has not said yet what became of it", "nothing: it is looked after"];
const STUCK: Words = [
    "stuck",
    "it was sent, and the chain has still not said what became of it",
    "see to the problems, if there are any; it is followed, and sent again, until it can't land any \
     more",
];
const STUCK_THERE: Words = [
    "stuck",
    "the facilitator has not said what became of it",
    "ask the facilitator's operator about it; it is asked again until its time is over",
];
const DELIVERING: Words = [
    "delivering",
    "its goods are going out, and what is used is counted",
    "nothing: it is settled when they have gone out",
];
const OWED: Words = [
    "owed",
    "its goods went out, and it is not settled yet",
    "see to the problems, if there are any; it is tried again at ",
];
const OVERDUE: Words = [
    "owed",
    "its goods went out, and its payer has not the money or the allowance for it any more",
    "ask the payer, who gets nothing by use until then; it is tried again at ",
];
const LOST: Words = [
    "lost",
    "its goods went out, and it can't be settled any more",
    "ask the payer for the money; it is forgotten 30 days after its goods went out",
];
