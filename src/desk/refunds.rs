//! Refunds: what the seller's own wallet has sent back to a payer. The Worker holds no
//! key for it: it looks at the transaction on the chain, and notes it in the ledger.
//!
//! One Durable Object keeps all of them, so that one transaction counts for one sale.
//! A transaction is written down before the chain is asked, so that whatever dies
//! meanwhile, the alarm goes on to look for it.

mod ask;
mod beside;
mod chain;
mod told;

use crate::amount::AtomicAmount;
use crate::json_struct;
use crate::protocol::ChainId;
use crate::settlement::StoreError;
use crate::time::UnixSeconds;

pub use ask::{Asked, Place, read_forget, read_note, read_place};
pub use beside::{PAGES, RefundSum, RefundsQuery, add_up, refunded};
pub use chain::look;
pub use told::{Given, Shown, answer_to, in_cells, list, terms};

/// Where refunds are told, and shown.
pub const REFUNDS_PATH: &str = "/.edge402/desk/refunds";

/// The name of the Durable Object that keeps them. No Settler has it: theirs begin
/// with a network.
pub const REFUNDS_OBJECT: &str = "desk/refunds";

/// The longest body of a request, in bytes.
pub const MAX_NOTE: usize = 8_192;

/// How many transactions are looked for at once.
const MAX_OPEN: usize = 64;

/// How many refunds a sale has at most.
const MAX_OF_SALE: usize = 50;

/// How many transactions are looked for each time that the alarm rings: each takes two
/// questions to a node, of which an invocation may ask few.
const LOOKS: usize = 10;

/// For how long a transaction is looked for that the chain does not show, in seconds.
const DAY: u64 = 86_400;

/// The pauses between two looks, in seconds: a quarter of the time since it was told.
const PAUSE_MIN: u64 = 5;
const PAUSE_MAX: u64 = 600;

/// By how much the clock of a chain may be behind ours, in seconds.
const CLOCKS: u64 = 60;

/// A refund, as it is kept: it is one once `amount` is there.
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
    /// The transaction itself (base64), if it is ours to send.
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
});

impl Refund {
    /// Whether the chain has yet to show it.
    pub const fn is_open(&self) -> bool {
        self.amount.is_none() && self.problem.is_none()
    }

    /// When to look for it again.
    fn look_at(&self) -> UnixSeconds {
        let age = self.looked_at.since(self.told_at);
        self.looked_at.plus((age / 4).clamp(PAUSE_MIN, PAUSE_MAX))
    }
}

/// What a chain says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing yet, or no node answers.
    Nothing,
    /// It failed.
    Failed,
    /// So much has come to the payer.
    Received {
        /// In atomic units of the sale's token.
        amount: AtomicAmount,
        /// When, if the node keeps that.
        time: Option<UnixSeconds>,
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
    /// All that are no refunds yet, those first for which the chain was asked the
    /// longest ago.
    ///
    /// # Errors
    /// The disk failed.
    fn unconfirmed(&self) -> Result<Vec<Refund>, StoreError>;
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
    /// Asks the chain; sends the transaction before that, if it is ours to send.
    async fn look(&self, refund: &Refund) -> Look;
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// What becomes of what somebody has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is noted, or was before.
    Noted(Refund),
    /// The chain does not show it yet: it is looked for again.
    Open(Refund),
    /// It is none, for this reason.
    Refused(String),
}

crate::json_enum!(Told { Noted(refund), Open(refund), Refused(why) });

/// Takes note of a transaction: at once if the chain shows it, else later.
///
/// # Errors
/// The disk failed.
pub async fn tell<B: Book>(book: &B, told: Refund) -> Result<Told, StoreError> {
    match book.find(told.network, &told.transaction)? {
        Some(known) if known.payment != told.payment => {
            return Ok(Told::Refused("this transaction counts for another sale".into()));
        }
        Some(known) if known.amount.is_some() => return Ok(Told::Noted(known)),
        Some(known) => {
            // Of what was given up it is looked for anew.
            let signed = known.signed.clone().or(told.signed);
            let told_at = if known.is_open() { known.told_at } else { book.now() };
            book.put(&Refund { signed, told_at, problem: None, ..known })?;
        }
        None => {
            if book.unconfirmed()?.len() >= MAX_OPEN {
                let why = format!("{MAX_OPEN} others are looked for; take some of them off first");
                return Ok(Told::Refused(why));
            }
            if book.of_payments(std::slice::from_ref(&told.payment))?.len() >= MAX_OF_SALE {
                return Ok(Told::Refused(format!(
                    "{MAX_OF_SALE} transactions are known of this sale"
                )));
            }
            book.put(&told)?;
        }
    }
    // If the process dies from here on, the alarm looks for it.
    look_for(book, told.network, &told.transaction, false).await
}

/// Looks once more for what the chain has not shown yet, as far as it is time. Answers
/// in how many seconds to go on, if there is something to go on with.
///
/// # Errors
/// The disk failed.
pub async fn look_again<B: Book>(book: &B) -> Result<Option<u64>, StoreError> {
    let now = book.now();
    let open = book.unconfirmed()?.into_iter().filter(Refund::is_open);
    for refund in open.filter(|it| it.look_at() <= now).take(LOOKS) {
        look_for(book, refund.network, &refund.transaction, true).await?;
    }
    let left = book.unconfirmed()?;
    let next = left.iter().filter(|it| it.is_open()).map(Refund::look_at).min();
    Ok(next.map(|at| at.since(book.now()).max(1)))
}

/// Forgets a transaction that is not noted. Whether there was one.
///
/// # Errors
/// The disk failed.
pub fn forget<B: Book>(book: &B, network: ChainId, name: &str) -> Result<bool, StoreError> {
    match book.find(network, name)?.filter(|it| it.amount.is_none()) {
        Some(refund) => book.remove(&refund).map(|()| true),
        None => Ok(false),
    }
}

/// Asks the chain for a transaction that is kept. What is none is forgotten if
/// whoever told it hears so, and else kept with the reason.
async fn look_for<B: Book>(
    book: &B,
    network: ChainId,
    transaction: &str,
    is_alone: bool,
) -> Result<Told, StoreError> {
    let gone = || Told::Refused("it was taken off meanwhile".into());
    let Some(asked) = book.find(network, transaction)? else { return Ok(gone()) };
    let look = book.look(&asked).await;
    // Somebody else may have been told of it while the chain was asked. From here on
    // nothing is waited for.
    let Some(mut known) = book.find(network, transaction)? else { return Ok(gone()) };
    // It was taken off, and told for another sale.
    if known.payment != asked.payment {
        return Ok(gone());
    }
    if known.amount.is_some() {
        return Ok(Told::Noted(known));
    }
    let now = book.now();
    known.looked_at = now;
    let why = match look {
        Look::Nothing if now.since(known.told_at) < DAY => {
            book.put(&known)?;
            return Ok(Told::Open(known));
        }
        Look::Nothing => "the chain has not shown it for a day".into(),
        Look::Failed => "the transaction failed: it has sent nothing".into(),
        Look::Received { amount: AtomicAmount(0), .. } => {
            "it sends the payer nothing in the token of the sale".into()
        }
        Look::Received { time: Some(time), .. } if time.plus(CLOCKS) < known.sale_time => {
            "it is older than the sale".into()
        }
        Look::Received { amount, time } => {
            let left = left_of(book, &known)?;
            if amount <= left {
                (known.amount, known.time, known.signed) = (Some(amount), time, None);
                known.problem = None;
                book.put(&known)?;
                return Ok(Told::Noted(known));
            }
            format!("it sends {amount}, and {left} are left of the sale, in atomic units")
        }
    };
    if is_alone {
        book.log(&format!("refunds: {transaction} of {network}: {why}"));
        known.problem = Some(why.clone());
        book.put(&known)?;
    } else {
        book.remove(&known)?;
    }
    Ok(Told::Refused(why))
}

/// What has not come back yet of what a payer paid.
fn left_of<B: Book>(book: &B, refund: &Refund) -> Result<AtomicAmount, StoreError> {
    let known = book.of_payments(std::slice::from_ref(&refund.payment))?;
    Ok(AtomicAmount(refund.paid.0.saturating_sub(sum(&known))))
}

/// What has come back by these.
fn sum(refunds: &[Refund]) -> u128 {
    let amounts = refunds.iter().filter_map(|it| it.amount);
    amounts.fold(0, |sum, amount| sum.saturating_add(amount.0))
}
