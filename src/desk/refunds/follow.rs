//! What becomes of a transaction, from when it is told to when the chain has shown it.

use super::{
    Book, CLOCKS, DAY, LOOKS, Look, MAX_OF_SALE, MAX_OPEN, Refund, Reservation, State, sum,
};
use crate::amount::AtomicAmount;
use crate::protocol::ChainId;
use crate::settlement::StoreError;

/// For how many blocks a chain must go on to say that a transaction can't land: a
/// reorganisation may change its mind, and a node may be that far behind. On Solana a
/// blockhash has ended by then even if it was made after the first look.
const DEAD_FOR: u64 = 300;

/// What is said of one that has failed.
const FAILED: &str = "the transaction failed: it has sent nothing";

/// What becomes of what somebody has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is noted, or was before.
    Noted(Refund),
    /// The chain does not show it yet: it is looked for again.
    Open(Refund),
    /// It is none, for this reason.
    Refused(String),
    /// There is no room for it now, for this reason.
    Full(String),
}

crate::json_enum!(Told { Noted(refund), Open(refund), Refused(why), Full(why) });

/// What becomes of a transaction that is taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOff {
    /// It is forgotten.
    Forgotten,
    /// It is not waited for any more, but it is still looked for.
    Silent,
    /// It is no longer listed, but whoever pays its sale back again is still warned.
    Warned,
    /// It stays, for this reason.
    Stays(String),
    /// There is none of this name.
    Unknown,
}

crate::json_enum!(TakenOff { Forgotten, Silent, Warned, Stays(why), Unknown });

/// Takes note of a transaction: at once if the chain shows it, else later. `reserved`:
/// the name of the reservation by which a wallet was asked for it.
///
/// # Errors
/// The disk failed.
pub async fn tell<B: Book>(
    book: &B,
    told: Refund,
    reserved: Option<&str>,
) -> Result<Told, StoreError> {
    let reservations = book.reservations()?;
    let is_its = |it: &Reservation| it.payment == told.payment && reserved == Some(it.id.as_str());
    let is_own = reservations.iter().any(is_its);
    match book.find(told.network, &told.transaction)? {
        Some(known) if known.payment != told.payment => {
            return Ok(Told::Refused("this transaction counts for another sale".into()));
        }
        Some(known) if known.amount.is_some() => {
            let known = Refund { is_own: known.is_own || is_own, ..known };
            if is_own {
                book.put(&known)?;
                book.remove_reservation(&told.payment)?;
            }
            return Ok(Told::Noted(known));
        }
        Some(known) => {
            // Of what was given up it is looked for anew.
            let signed = known.signed.clone().or(told.signed);
            let is_open = known.state() == State::Open;
            let told_at = if is_open { known.told_at } else { book.now() };
            let is_own = known.is_own || is_own;
            let (problem, is_silent, is_off) = (None, false, false);
            book.put(&Refund { signed, told_at, problem, is_own, is_silent, is_off, ..known })?;
        }
        None => {
            // What was reserved has its room, and has been paid.
            if !is_own && let Some(why) = no_room(book, &told.payment, &reservations)? {
                return Ok(Told::Full(why));
            }
            book.put(&Refund { is_own, ..told.clone() })?;
        }
    }
    if is_own {
        book.remove_reservation(&told.payment)?;
    }
    // If the process dies from here on, the alarm looks for it.
    look_for(book, told.network, &told.transaction, false).await
}

/// Why no other transaction of this payment can be looked for now.
pub(super) fn no_room<B: Book>(
    book: &B,
    payment: &str,
    reservations: &[Reservation],
) -> Result<Option<String>, StoreError> {
    let others = reservations.iter().filter(|it| it.payment != payment).count();
    if book.open()?.len() + others >= MAX_OPEN {
        return Ok(Some(format!("{MAX_OPEN} refunds are looked for; take some of them off first")));
    }
    let known = book.of_payments(&[payment.to_owned()])?.len();
    let is_full = known >= MAX_OF_SALE;
    Ok(is_full.then(|| format!("{MAX_OF_SALE} transactions are known of this sale")))
}

/// Looks once more for what the chain has not shown yet, as far as it is time, and for
/// what was noted an hour ago. Answers in how many seconds to go on, if there is
/// something to go on with.
///
/// # Errors
/// The disk failed.
pub async fn look_again<B: Book>(book: &B) -> Result<Option<u64>, StoreError> {
    let now = book.now();
    let due = book.due(LOOKS)?.into_iter();
    for refund in due.filter(|it| it.look_at().is_some_and(|at| at <= now)) {
        look_for(book, refund.network, &refund.transaction, true).await?;
    }
    let next = book.due(1)?.first().and_then(Refund::look_at);
    Ok(next.map(|at| at.since(book.now()).max(1)))
}

/// Takes a transaction off. Whether it may land is for the chain to say: one that may
/// is not waited for any more, and no more than that. What took the place of one may be
/// the same refund, and stays to be looked at before anybody pays again.
///
/// # Errors
/// The disk failed.
pub fn take_off<B: Book>(book: &B, network: ChainId, name: &str) -> Result<TakenOff, StoreError> {
    let Some(mut known) = book.find(network, name)? else { return Ok(TakenOff::Unknown) };
    let why = match known.state() {
        State::Open => {
            known.is_silent = true;
            book.put(&known)?;
            return Ok(TakenOff::Silent);
        }
        State::Silent if !known.is_old(book.now()) => {
            "it may still land: for a month it is looked for, and then it can be taken off"
        }
        State::Noted if known.is_own => {
            "a wallet has sent it from the desk, and the chain shows it"
        }
        State::Noted => {
            book.log(&format!("refunds: {name} of {network} was noted, and is taken off"));
            return book.remove(&known).map(|()| TakenOff::Forgotten);
        }
        State::Replaced if !known.is_old(book.now()) && !has_another(book, &known)? => {
            if !known.is_off {
                known.is_off = true;
                book.put(&known)?;
                return Ok(TakenOff::Warned);
            }
            "another took its place, which may be this refund: for a month whoever pays again is \
             warned of it"
        }
        State::Silent | State::Refused | State::Replaced => {
            return book.remove(&known).map(|()| TakenOff::Forgotten);
        }
    };
    Ok(TakenOff::Stays(why.into()))
}

/// Whether nobody needs to be warned of one that was replaced: all has come back, or
/// a part of it that was told after this one had ended, and so is what took its place,
/// or the seller has looked.
fn has_another<B: Book>(book: &B, replaced: &Refund) -> Result<bool, StoreError> {
    let known = book.of_payments(std::slice::from_ref(&replaced.payment))?;
    let is_later = |it: &Refund| it.amount.is_some() && it.told_at > replaced.looked_at;
    Ok(sum(&known) >= replaced.paid.0 || known.iter().any(is_later))
}

/// Asks the chain for a transaction that is kept. What is none is forgotten if
/// whoever told it hears so, and else kept with the reason.
pub(super) async fn look_for<B: Book>(
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
    let was_noted = known.amount.is_some();
    if was_noted && asked.amount.is_none() {
        return Ok(Told::Noted(known));
    }
    // Whoever asked beside this one has heard its end, and this look is no newer.
    let is_late = known.problem.is_some() && asked.problem.is_none();
    if let Some(why) = known.problem.clone().filter(|_| is_late)
        && !matches!(look, Look::Received { .. })
    {
        return Ok(Told::Refused(why));
    }
    let before = known.clone();
    let had_failed = before.has_ended_in_failure();
    known.looked_at = book.now();
    if look != Look::NoAnswer {
        known.has_failed = matches!(look, Look::Failing | Look::Failed);
        known.is_unknown = look == Look::Unknown;
    }
    if !matches!(look, Look::NoAnswer | Look::Dead { .. }) {
        known.dead_from = None;
    }
    let why = match look {
        // An hour later still there, or nobody knows.
        Look::NoAnswer if was_noted => {
            book.put(&known)?;
            return Ok(Told::Noted(known));
        }
        Look::NoAnswer if had_failed => {
            book.put(&known)?;
            return Ok(Told::Refused(FAILED.into()));
        }
        Look::Received { amount: AtomicAmount(0), .. } => {
            "it sends the payer nothing in the token of the sale"
        }
        Look::Received { time, .. } if time.plus(CLOCKS) < known.sale_time => {
            "it is older than the sale"
        }
        Look::Received { amount, time } => {
            (known.amount, known.time, known.signed) = (Some(amount), Some(time), None);
            (known.problem, known.is_silent, known.is_checked) = (None, false, was_noted);
            book.put(&known)?;
            return Ok(Told::Noted(known));
        }
        Look::Failed => {
            known.is_checked = had_failed;
            FAILED
        }
        Look::Dead { block }
            if known.dead_from.is_some_and(|from| block >= from.saturating_add(DEAD_FOR)) =>
        {
            match known.sender {
                Some(_) => {
                    "another transaction of the wallet took its place; if that was this refund, \
                     sped up, enter it"
                }
                None => "it can't land any more: its blockhash has ended",
            }
        }
        Look::Dead { .. }
        | Look::NoAnswer
        | Look::Absent
        | Look::Unknown
        | Look::Failing
        | Look::Seen(_) => return wait_for(book, &before, known, look),
    };
    (known.amount, known.time, known.problem) = (None, None, Some(why.into()));
    // Of what was replaced the seller is warned before they pay again. What has failed
    // is looked for once more, whoever hears of it.
    let stays = known.state() == State::Replaced || known.is_own && known.has_failed;
    if is_alone || was_noted || stays {
        if !had_failed {
            book.log(&format!("refunds: {transaction} of {network}: {why}"));
        }
        book.put(&known)?;
    } else {
        book.remove(&known)?;
    }
    Ok(Told::Refused(why.into()))
}

/// Goes on to wait for a transaction that the chain doesn't show, or no longer as it
/// did: `before` is how it stood before this look.
fn wait_for<B: Book>(
    book: &B,
    before: &Refund,
    mut known: Refund,
    look: Look,
) -> Result<Told, StoreError> {
    let (now, name) = (book.now(), format!("{} of {}", known.transaction, known.network));
    if known.amount.is_some() {
        book.log(&format!("refunds: {name} has not landed any more"));
        (known.amount, known.time, known.told_at) = (None, None, now);
    }
    if before.has_ended_in_failure() {
        book.log(&format!("refunds: {name} has not failed any more: it may still land"));
        (known.problem, known.is_silent, known.told_at) = (None, false, now);
    }
    if known.is_unknown && !before.is_unknown {
        book.log(&format!(
            "refunds: {name}: no node has it; look in the wallet that was to send it"
        ));
    }
    match look {
        Look::Dead { block } => known.dead_from = known.dead_from.or(Some(block)),
        Look::Seen(sender) => known.sender = Some(sender),
        _ => {}
    }
    if !known.is_silent && now.since(known.told_at) >= DAY {
        known.is_silent = true;
        let what = "the chain has not shown it for a day; it may still land";
        book.log(&format!("refunds: {name}: {what}"));
    }
    book.put(&known)?;
    Ok(Told::Open(known))
}
