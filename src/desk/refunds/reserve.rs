//! One wallet at a time: what is reserved before it is asked.

use super::follow::{look_for, no_room};
use super::{Book, LOOKS, Refund, Reservation, State, sum};
use crate::json_struct;
use crate::settlement::StoreError;

/// What becomes of an attempt to reserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// A wallet may be asked.
    Held,
    /// None may be, for this reason.
    Refused(String),
}

crate::json_enum!(Reserved { Held, Refused(why) });

/// What is kept of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its transactions.
    pub refunds: Vec<Refund>,
    /// The wallet that is asked.
    pub reservation: Option<Reservation>,
    /// Why no other transaction can be looked for.
    pub problem: Option<String>,
}

json_struct!(Page { refunds, reservation, problem });

/// What is kept of a sale.
///
/// # Errors
/// The disk failed.
pub fn page_of<B: Book>(book: &B, payment: &str) -> Result<Page, StoreError> {
    let reservations = book.reservations()?;
    Ok(Page {
        refunds: book.of_payments(&[payment.to_owned()])?,
        problem: no_room(book, payment, &reservations)?,
        reservation: reservations.into_iter().find(|it| it.payment == payment),
    })
}

/// Reserves a sale's refund for one wallet. `despite`: the transactions that may still
/// land, or were replaced by another, and of which the seller has been warned.
///
/// # Errors
/// The disk failed.
pub async fn reserve<B: Book>(
    book: &B,
    wanted: &Reservation,
    despite: &[String],
) -> Result<Reserved, StoreError> {
    // What was silent may have landed since somebody looked.
    let known = book.of_payments(std::slice::from_ref(&wanted.payment))?;
    let silent = known.iter().filter(|it| it.state() == State::Silent);
    for it in silent.take(LOOKS) {
        look_for(book, it.network, &it.transaction, true).await?;
    }
    // From here on nothing is waited for.
    let Page { refunds, reservation, problem } = page_of(book, &wanted.payment)?;
    let is_others = |it: &Reservation| it.id != wanted.id;
    let left = wanted.paid.0.saturating_sub(sum(&refunds));
    let in_state = |state| refunds.iter().filter(move |it| it.state() == state);
    let unnamed = |state| in_state(state).find(|it| !despite.contains(&it.transaction));
    let why = if reservation.as_ref().is_some_and(is_others) {
        "a wallet was asked for this sale already, and has not answered".into()
    } else if let Some(it) = in_state(State::Open).next() {
        format!("{} is on its way", it.transaction)
    } else if let Some(it) = unnamed(State::Silent) {
        format!("{} may still land: the payer would get both", it.transaction)
    } else if let Some(it) = unnamed(State::Replaced) {
        let name = &it.transaction;
        format!("another took the place of {name}: if that was this refund, sped up, enter it")
    } else if wanted.amount.0 == 0 || wanted.amount.0 > left {
        format!("the amount must be more than 0, and at most {left}, in atomic units")
    } else if let Some(why) = problem {
        why
    } else {
        book.put_reservation(wanted)?;
        return Ok(Reserved::Held);
    };
    Ok(Reserved::Refused(why))
}

/// Releases what is reserved of a payment, because nothing was sent: its holder may,
/// and once its time is over anybody. Whether nothing is reserved now.
///
/// # Errors
/// The disk failed.
pub fn release<B: Book>(book: &B, payment: &str, id: &str) -> Result<bool, StoreError> {
    let reservations = book.reservations()?;
    let Some(held) = reservations.iter().find(|it| it.payment == payment) else { return Ok(true) };
    if held.id != id && book.now() < held.until() {
        return Ok(false);
    }
    book.log(&format!("refunds: of {payment} nothing was sent, as the seller says"));
    book.remove_reservation(payment).map(|()| true)
}
