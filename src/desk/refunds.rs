//! Refunds: what the seller's own wallet has sent back to a payer. The Worker holds no
//! key for it: it looks at the transaction on the chain, and notes it in the ledger.
//!
//! One Durable Object keeps all of them, so that one transaction counts for one sale,
//! and one wallet at a time is asked for a sale's refund.
//! A transaction is written down before the chain is asked, so that whatever dies
//! meanwhile, the alarm goes on to look for it. One that is silent is never taken for
//! dead unless the chain shows why it can't land any more: till then whoever pays the
//! sale back a second time is warned, and if both land, both are shown.

mod ask;
mod beside;
mod chain;
mod follow;
mod reserve;
mod told;

use crate::amount::AtomicAmount;
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::StoreError;
use crate::time::UnixSeconds;

pub use ask::{
    Asked, Named, Place, ToReserve, read_named, read_note, read_place, read_reservation,
};
pub use beside::{PAGES, RefundSum, RefundsQuery, add_up, refunded};
pub use chain::look;
pub use follow::{TakenOff, Told, look_again, take_off, tell};
pub use reserve::{Page, Reserved, page_of, release, reserve};
pub use told::{Given, Shown, answer_to, answer_to_take_off, cannot_look, in_cells, list, terms};

/// Where refunds are told, and shown.
pub const REFUNDS_PATH: &str = "/.edge402/desk/refunds";

/// The name of the Durable Object that keeps them. No Settler has it: theirs begin
/// with a network.
pub const REFUNDS_OBJECT: &str = "desk/refunds";

/// The longest body of a request, in bytes.
pub const MAX_NOTE: usize = 8_192;

/// How many of those that are no refunds are listed.
pub const MAX_LIST: usize = 200;

/// How many transactions are looked for at once, of which nobody knows more than that
/// they may come. Those that are silent don't count: they are asked about seldom.
const MAX_OPEN: usize = 64;

/// How many transactions are kept of a sale at most.
const MAX_OF_SALE: usize = 50;

/// How many transactions are looked for each time that the alarm rings, and before a
/// wallet is asked: each takes a few questions to a node, of which an invocation may
/// ask few.
const LOOKS: usize = 5;

/// After how long a transaction is silent that the chain does not show, in seconds.
const DAY: u64 = 86_400;

/// After how long all nodes are asked whether they have a transaction, in seconds: one
/// that was sent is known by then.
const HOUR: u64 = 3_600;

/// For how long the alarm looks for one that is silent, in seconds.
const MONTH: u64 = 30 * DAY;

/// The pauses between two looks, in seconds: a quarter of the time since it was told.
const PAUSE_MIN: u64 = 5;
const PAUSE_MAX: u64 = 600;
const PAUSE_SILENT: u64 = DAY / 4;

/// How long after it was noted, or has failed, a refund is looked for once more, in
/// seconds: a chain may have been reorganised.
const AGAIN: u64 = 3_600;

/// For how long nobody else may say that nothing was sent, in seconds: a wallet is
/// slow where a device or several people have to confirm.
const RESERVED: u64 = 600;

/// By how much the clock of a chain may be behind ours, in seconds.
const CLOCKS: u64 = 60;

/// A transaction that is told to be a refund, as it is kept: it is one once `amount` is
/// there.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The network of the sale and of the transaction.
    pub network: ChainId,
    /// The sale: its payment's identity, its time, its route, its token, who paid, and
    /// how much, in atomic units.
    pub payment: String,
    /// When the sale was settled.
    pub sale_time: UnixSeconds,
    /// The route's pattern.
    pub route: Option<String>,
    /// The token's address or mint.
    pub asset: String,
    /// Who paid, and is to be paid back.
    pub payer: String,
    /// What they paid.
    pub paid: AtomicAmount,
    /// The transaction that pays back.
    pub transaction: String,
    /// The transaction itself (base64), if it was given to us to send.
    pub signed: Option<String>,
    /// Who has told of it: the first digits of a token's hash.
    pub who: String,
    /// When it was told.
    pub told_at: UnixSeconds,
    /// When the chain was last asked.
    pub looked_at: UnixSeconds,
    /// What has come back to the payer, in atomic units; none as long as the chain has
    /// not shown it.
    pub amount: Option<AtomicAmount>,
    /// When, as the chain has it.
    pub time: Option<UnixSeconds>,
    /// Why it will never be a refund of this sale.
    pub problem: Option<String>,
    /// Whether a wallet was reserved for it: then it is no mistake of whoever told it.
    pub is_own: bool,
    /// Whether it is no longer waited for. It may land all the same.
    pub is_silent: bool,
    /// Whether the chain still said the same an hour after it was noted, or had failed.
    pub is_checked: bool,
    /// Who sends it and the nonce that it has, where a node has said so.
    pub sender: Option<Sender>,
    /// The block from which on it seems that it can't land any more.
    pub dead_from: Option<u64>,
    /// Whether it has failed in a block. Without a problem that block is so new that a
    /// reorganisation may well undo it.
    pub has_failed: bool,
    /// Whether no node had it when all were asked, long after it was told.
    pub is_unknown: bool,
    /// Whether the seller has taken it off, and it is kept to warn them.
    pub is_off: bool,
}

json_struct!(Refund {
    network,
    payment,
    sale_time,
    route,
    asset,
    payer,
    paid,
    transaction,
    signed,
    who,
    told_at,
    looked_at,
    amount,
    time,
    problem,
    is_own,
    is_silent,
    is_checked,
    sender,
    dead_from,
    has_failed,
    is_unknown,
    is_off,
});

/// Which of an account's transactions one is. A chain takes one for each nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The account.
    pub address: String,
    /// How many it has sent before.
    pub nonce: u64,
}

json_struct!(Sender { address, nonce });

/// That a wallet is asked for a sale's refund. It stays until the transaction is told or
/// somebody says that nothing was sent: without that nobody can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The network of the sale.
    pub network: ChainId,
    /// The sale: its payment's identity, its time, and who paid.
    pub payment: String,
    /// When the sale was settled.
    pub sale_time: UnixSeconds,
    /// Who is to be paid back.
    pub payer: String,
    /// What they paid.
    pub paid: AtomicAmount,
    /// How much the wallet is asked for, in atomic units.
    pub amount: AtomicAmount,
    /// A number that the holder alone knows.
    pub id: String,
    /// Who reserved it: the first digits of a token's hash.
    pub who: String,
    /// When.
    pub at: UnixSeconds,
}

json_struct!(Reservation { network, payment, sale_time, payer, paid, amount, id, who, at });

impl Reservation {
    /// Until when only its holder may release it.
    pub const fn until(&self) -> UnixSeconds {
        self.at.plus(RESERVED)
    }
}

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is waited for.
    Open,
    /// It is not waited for any more, and may land all the same.
    Silent,
    /// It has paid the payer back.
    Noted,
    /// It never will.
    Refused,
    /// It never will, because another transaction of the same wallet has its nonce. That
    /// one may be the same refund, sped up.
    Replaced,
}

impl Refund {
    /// How it stands.
    pub const fn state(&self) -> State {
        match (self.amount.is_some(), self.problem.is_some(), self.is_silent) {
            (true, ..) => State::Noted,
            // No other problem leaves a block from which on it was dead.
            (_, true, _) if self.sender.is_some() && self.dead_from.is_some() => State::Replaced,
            (_, true, _) => State::Refused,
            (.., true) => State::Silent,
            _ => State::Open,
        }
    }

    /// Whether it failed so long ago that it is taken for final.
    fn has_ended_in_failure(&self) -> bool {
        self.state() == State::Refused && self.has_failed
    }

    /// Whether it is kept for so long that nobody looks for it by themselves.
    const fn is_old(&self, now: UnixSeconds) -> bool {
        now.since(self.told_at) >= MONTH
    }

    /// When to look for it again, if at all.
    pub fn look_at(&self) -> Option<UnixSeconds> {
        let longest = match self.state() {
            State::Open => PAUSE_MAX,
            State::Silent if !self.is_old(self.looked_at) => PAUSE_SILENT,
            State::Noted if !self.is_checked => return Some(self.looked_at.plus(AGAIN)),
            State::Refused if self.has_failed && !self.is_checked => {
                return Some(self.looked_at.plus(AGAIN));
            }
            State::Silent | State::Noted | State::Refused | State::Replaced => return None,
        };
        let age = self.looked_at.since(self.told_at);
        Some(self.looked_at.plus((age / 4).clamp(PAUSE_MIN, longest)))
    }
}

/// What a chain says of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// No node answers, or too few say the same.
    NoAnswer,
    /// It is in no block.
    Absent,
    /// It is in no block yet, and a node has it.
    Seen(Sender),
    /// It is in no block, and no node has it, long after it was told.
    Unknown,
    /// It is in no block, and by what the nodes know of the chain up to this block it
    /// can't be any more.
    Dead {
        /// The number of the block.
        block: u64,
    },
    /// It failed, in a block that a reorganisation may still undo.
    Failing,
    /// It failed.
    Failed,
    /// So much has come to the payer.
    Received {
        /// In atomic units of the sale's token.
        amount: AtomicAmount,
        /// When.
        time: UnixSeconds,
    },
}

/// What is kept, and the chains.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Book {
    /// The time.
    fn now(&self) -> UnixSeconds;
    /// What is kept of a transaction.
    ///
    /// # Errors
    /// The disk failed.
    fn find(&self, network: ChainId, transaction: &str) -> Result<Option<Refund>, StoreError>;
    /// All that is kept for these payments.
    ///
    /// # Errors
    /// The disk failed.
    fn of_payments(&self, payments: &[String]) -> Result<Vec<Refund>, StoreError>;
    /// Those that are waited for.
    ///
    /// # Errors
    /// The disk failed.
    fn open(&self) -> Result<Vec<Refund>, StoreError>;
    /// Those that are to be looked for first, [`Refund::look_at`], so many at most.
    ///
    /// # Errors
    /// The disk failed.
    fn due(&self, limit: usize) -> Result<Vec<Refund>, StoreError>;
    /// Keeps one in place of what is kept of its transaction.
    ///
    /// # Errors
    /// The disk failed.
    fn put(&self, refund: &Refund) -> Result<(), StoreError>;
    /// Forgets one.
    ///
    /// # Errors
    /// The disk failed.
    fn remove(&self, refund: &Refund) -> Result<(), StoreError>;
    /// All reservations.
    ///
    /// # Errors
    /// The disk failed.
    fn reservations(&self) -> Result<Vec<Reservation>, StoreError>;
    /// Keeps one in place of another of its payment.
    ///
    /// # Errors
    /// The disk failed.
    fn put_reservation(&self, reservation: &Reservation) -> Result<(), StoreError>;
    /// Forgets the one of a payment.
    ///
    /// # Errors
    /// The disk failed.
    fn remove_reservation(&self, payment: &str) -> Result<(), StoreError>;
    /// Asks the chain; sends the transaction before that, if it is ours to send.
    async fn look(&self, refund: &Refund) -> Look;
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// What has come back by these.
fn sum(refunds: &[Refund]) -> u128 {
    let amounts = refunds.iter().filter_map(|it| it.amount);
    amounts.fold(0, |sum, amount| sum.saturating_add(amount.0))
}
