//! What the Settlers say that a payment may have belonged to before the signers
//! were changed.

use super::ClaimReply;

/// What a Settler says of a payment; an error if it can't be reached.
pub type Said = Result<ClaimReply, String>;

/// What counts of what the others say, and whose it is: nothing, if none of them
/// knows the payment. One that can't be reached may have sold it.
pub fn heaviest(said: Vec<Said>) -> Option<(usize, Said)> {
    let is_nothing = |said: &Said| matches!(said, Ok(ClaimReply::NOTHING_BOUGHT));
    let known = said.into_iter().enumerate().filter(|(_, said)| !is_nothing(said));
    known.max_by_key(|(_, said)| weight(said))
}

/// Whether a Settler has sent the payment: no other can know better.
pub fn has_sent(said: &Said) -> bool {
    weight(said) == SENT
}

const SENT: u8 = 2;

fn weight(said: &Said) -> u8 {
    match said {
        Ok(
            ClaimReply::Deliver { .. }
            | ClaimReply::Settled(_)
            | ClaimReply::Spent { .. }
            | ClaimReply::Pending { .. },
        ) => SENT,
        Ok(_) => 1,
        Err(_) => 0,
    }
}
