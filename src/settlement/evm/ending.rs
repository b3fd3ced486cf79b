//! What became of the payments in a transaction that has ended.

use std::rc::Rc;
use std::time::Duration;

use super::queue::done;
use super::{EvmLane, Waiting};
use crate::encoding::encode_hex;
use crate::evm::{self, BlockTag, Receipt};
use crate::protocol::Reason;
use crate::settlement::closing::Resolution;
use crate::settlement::evidence::{Confirmed, authorization_state, authorization_state_since};
use crate::settlement::journal::{Attempts, EvmEntry};
use crate::settlement::search::find_use;
use crate::settlement::{Host, Outcome, Store, StoreError};
use crate::time::UnixSeconds;

/// For how long after its end an authorization that somebody used is looked
/// for, in seconds.
pub(super) const UNCLEAR_SECONDS: u64 = 600;

/// How long after it was sent a payment counts as ended for that, in seconds,
/// where its own end is later.
const LONGEST_SEARCH: u64 = 3_600;

/// For how long after its end it is asked what became of a payment, in seconds,
/// where the nodes don't tell.
const GIVE_UP_SECONDS: u64 = 86_400;

/// How many unclear entries the alarm takes up each time.
const RESUMED_MAX: usize = 16;

/// How long an unclear entry is left in peace, in seconds: at least, at most, and
/// in between this part of its age.
const SHORTEST_PAUSE: u64 = 15;
const LONGEST_PAUSE: u64 = 3_600;
const PAUSE_PART: u64 = 8;

/// How many searches for whoever asks again with a payment are begun in so many
/// seconds at most, and of one payment one, unless it came to an end. Each asks
/// the nodes some hundred questions, and a header that is public begins one.
const SEARCHES_MAX: usize = 16;
const SEARCHES_SECONDS: u64 = 30;

/// How often it is asked again whether an authorization is used where no node has the
/// block that counts yet, and how long is waited before that.
const LATER_LOOKS: usize = 3;
const LATER_PAUSE: Duration = Duration::from_secs(1);

/// What is said where all blocks were looked through.
const NOT_TOLD: &str = "the authorization is used, and by whom is not known yet";

impl<H: Host> EvmLane<H> {
    /// The entries that are to be followed now: all that are not unclear, and a
    /// few of those that are, the latest for their age first.
    pub(super) fn in_turn(&self, entries: Vec<EvmEntry>) -> Vec<EvmEntry> {
        let now = self.shared.host.now();
        let (mut followed, mut due) = (vec![], vec![]);
        let mut room = RESUMED_MAX;
        for mut entry in entries {
            let Some(look_at) = entry.sent.look_at else {
                followed.push(entry);
                continue;
            };
            if self.in_air.borrow().contains_key(&entry.id) {
                room = room.saturating_sub(1);
            } else if look_at <= now {
                let age = now.since(entry.written_at).max(1);
                let lateness = now.since(look_at).saturating_mul(1_000) / age;
                entry.sent.look_at = Some(next_look(&entry, now));
                let place = due.partition_point(|(other, _)| *other >= lateness);
                due.insert(place, (lateness, entry));
            }
        }
        for (_, entry) in due.into_iter().take(room) {
            // Written before it is looked at, so that one that can't be read, or
            // ends this life, keeps no other from its turn.
            match self.shared.store.submit(&entry.row(), &[]) {
                Ok(()) => followed.push(entry),
                Err(error) => self.log(&error.to_string()),
            }
        }
        followed
    }

    /// Writes down what became of an entry's payments, by its own receipt or,
    /// where that did not make them, by somebody else's. With those of which
    /// that is unclear the entry stays in the journal, for the alarm to take up.
    pub(super) async fn close(
        &self,
        entry: &EvmEntry,
        mined: Option<(&Confirmed, u128)>,
    ) -> Result<(), StoreError> {
        let orders = self.shared.orders_of(&entry.payments)?;
        let payments: Vec<_> =
            orders.iter().filter_map(|(id, order)| Some((id, order.as_evm()?))).collect();
        let verified: Vec<_> = payments.iter().map(|(_, payment)| *payment).collect();
        let made = match mined {
            // One log is good for one payment: what was read is not read again
            // for those that are left.
            Some((receipt, _)) if !entry.sent.judged => receipt.resolutions(&verified),
            _ => verified.iter().map(|_| None).collect(),
        };
        let landed = mined.map(|(receipt, _)| receipt.receipt());
        let paid: Vec<_> = made.iter().map(Option::is_some).collect();
        let left_behind = self.left_behind(entry, landed, &verified, &paid).await;
        let mut resolutions = vec![];
        for (((id, payment), made), left_behind) in payments.into_iter().zip(made).zip(left_behind)
        {
            let resolution = match made {
                Some(made) => made,
                None if left_behind => Resolution::LeftBehind,
                // The preview saw the authorization unused.
                None => self.resolve_without_us(entry, id, payment, landed).await?,
            };
            if let Resolution::Unclear(why) = &resolution {
                self.log(&format!("{id}: {why}"));
            }
            resolutions.push((id.clone(), resolution));
        }
        // No transaction costs more than it offers, whatever a node says.
        let cost = mined.filter(|_| !entry.sent.judged).map(|(_, cost)| cost.min(entry.sent.most));
        let mut row = entry.clone();
        row.sent.judged |= mined.is_some();
        row.sent.look_at = Some(next_look(entry, self.shared.host.now()));
        self.shared.close(&row.row(), &resolutions, cost)
    }

    /// What became of a payment that our transaction did not make. `landed` is
    /// the version of it that is in a block.
    async fn resolve_without_us(
        &self,
        entry: &EvmEntry,
        id: &str,
        payment: &evm::VerifiedPayment,
        landed: Option<&Receipt>,
    ) -> Result<Resolution, StoreError> {
        let record = self.shared.store.payment(id)?;
        let earlier = record.and_then(|record| record.attempts);
        let mut attempts = Attempts::with(earlier.as_ref(), entry.written_at, &entry.sent);
        // A nonce that was lost to another transaction is our fault, and so is an
        // empty one in place of a payment.
        let is_empty = |it: &Receipt| entry.sent.empty.contains(&encode_hex(&it.transaction_hash));
        let failed = landed.filter(|it| !is_empty(it));
        let is_known = landed.is_some() || entry.sent.judged;
        let seen = landed.map_or(attempts.seen_block, |it| it.block_number);
        let resolution = self.paid_by_another(&mut attempts, payment, (seen, is_known)).await;
        if matches!(resolution, Resolution::Unclear(_)) {
            self.note_search(id, &attempts)?;
        }
        Ok(match resolution {
            // Not known to be unpaid: only the seller can find out.
            Resolution::Unclear(why) if self.is_given_up(&attempts, payment) => {
                self.log(&format!(
                    "{id} of {} ended unclear: {why}; see whether you were paid {} of {} after \
                     block {}",
                    payment.payer(),
                    payment.value().0,
                    payment.asset(),
                    attempts.seen_block
                ));
                Resolution::NotPaid(Reason::UnexpectedSettleError)
            }
            Resolution::NotPaid(_) => {
                self.note_lone_failure(entry, failed, payment);
                // What is owed is not held against its payer if it was not tried.
                let is_ours = failed.is_none() && payment.relayer().is_some();
                Resolution::NotPaid(if is_ours {
                    Reason::UnexpectedSettleError
                } else {
                    Reason::InvalidTransactionState
                })
            }
            // No log says who has used it, which its payer may have brought
            // about: the gas is burnt already.
            unclear @ Resolution::Unclear(_)
                if !payment.is_told_by_logs() && failed.is_some_and(|it| !it.succeeded) =>
            {
                self.note_lone_failure(entry, failed, payment);
                unclear
            }
            Resolution::Paid { transaction, .. }
                if !entry.sent.has_version(&transaction) && self.shared.is_on_account(id)? =>
            {
                // Who settles for many sellers can't know what else was sold for
                // it: another facilitator's success must not become one here.
                self.log(&format!("{id} was settled by another: {transaction}"));
                Resolution::NotPaid(Reason::DuplicateSettlement)
            }
            resolution => resolution,
        })
    }

    /// Writes down the progress of the search for a payment's use, if the record is
    /// still that of these attempts.
    fn note_search(&self, payment: &str, looked: &Attempts) -> Result<(), StoreError> {
        let Some(mut record) = self.shared.store.payment(payment)? else { return Ok(()) };
        match &mut record.attempts {
            Some(known) if known.written_at == looked.written_at => known.search = looked.search,
            _ => return Ok(()),
        }
        self.shared.store.put_payment(&record)
    }

    /// What was sent for what a waiting payment buys.
    pub(super) fn attempts_of(&self, waiting: &Waiting) -> Option<Attempts> {
        self.shared.held_record(&waiting.job).ok()??.attempts
    }

    /// Whether it was asked for long enough what became of a payment.
    fn is_given_up(&self, attempts: &Attempts, payment: &evm::VerifiedPayment) -> bool {
        let ended_at = ended_at(attempts.written_at, payment);
        self.shared.host.now() > ended_at.plus(GIVE_UP_SECONDS)
    }

    /// Whether a search may be begun for a request that shows this payment.
    fn may_search(&self, payment: &str) -> bool {
        let now = self.shared.host.now();
        let mut searches = self.searches.borrow_mut();
        searches.retain(|_, since| now.since(*since) < SEARCHES_SECONDS);
        let may = searches.len() < SEARCHES_MAX && !searches.contains_key(payment);
        if may {
            searches.insert(payment.to_owned(), now);
        }
        may
    }

    /// What becomes of a payment whose authorization is used before anything is
    /// sent for this claim, but not before something was sent for this purchase.
    /// Its request waits for that, and nobody else. `seen`: the number of the block in
    /// which it is used.
    pub(super) fn look_for_use(
        self: &Rc<Self>,
        waiting: Waiting,
        mut attempts: Attempts,
        seen: u64,
    ) {
        let lane = Rc::clone(self);
        if !lane.may_search(&waiting.job.request.payment) {
            let freed = lane.free(&waiting);
            let _ = waiting.done.send(done(freed));
            return;
        }
        self.shared.host.spawn(async move {
            let request = &waiting.job.request;
            // Nothing is written or sent: if the process dies here, the claim is
            // free again after its lease, and whoever asks again comes here again.
            let payment = &waiting.payment;
            let resolution = lane.paid_by_another(&mut attempts, payment, (seen, true)).await;
            // Whatever it comes to, and whoever holds the claim by now, the next
            // search goes on from here.
            let noted = lane.note_search(&request.payment, &attempts);
            if !matches!(resolution, Resolution::Unclear(_)) {
                lane.searches.borrow_mut().remove(&request.payment);
            }
            let outcome = noted.and_then(|()| match resolution {
                Resolution::Paid { transaction, .. }
                    if request.account.is_some() && !attempts.hashes.contains(&transaction) =>
                {
                    lane.log_refusal(&format!(
                        "{} was settled by another: {transaction}",
                        request.payment
                    ));
                    lane.shared.refuse(request, Reason::DuplicateSettlement)
                }
                Resolution::NotPaid(reason) => lane.shared.refuse(request, reason),
                // It is used, and nobody has told by whom for as long as that matters.
                Resolution::Unclear(why)
                    if why == NOT_TOLD && lane.is_given_up(&attempts, &waiting.payment) =>
                {
                    lane.shared.refuse(request, waiting.payment.reasons().used)
                }
                Resolution::Unclear(why) => {
                    lane.log_refusal(&format!("{}: {why}", request.payment));
                    lane.free(&waiting)
                }
                resolution => lane
                    .shared
                    .settle_claim(request, &resolution)
                    .and_then(|_| lane.standing_of(&request.payment)),
            });
            let _ = waiting.done.send(done(outcome));
        });
    }

    /// Lets a claim go of which nothing was sent: whoever asks again may have it.
    fn free(&self, waiting: &Waiting) -> Result<Outcome, StoreError> {
        let request = &waiting.job.request;
        self.shared.release(&request.payment, request.ticket)?;
        Ok(Outcome::Unavailable)
    }

    /// What became of a payment that a transaction made after our first one had
    /// been written down, be it one of ours or somebody else's; not paid if its
    /// authorization paid nobody, or for something else, or was not used.
    ///
    /// It is unclear where a node did not answer, where there is more to look
    /// through than one search does, or where the authorization is used and no
    /// node tells by whom. A node that is behind may know later: what it calls unused in
    /// a block before `seen` counts for nothing. `is_known`: whether a block shows what
    /// became of our own transactions.
    async fn paid_by_another(
        &self,
        attempts: &mut Attempts,
        payment: &evm::VerifiedPayment,
        (seen, is_known): (u64, bool),
    ) -> Resolution {
        let (nodes, quorum) = (&self.nodes, &self.limits.quorum_above);
        let (now, used) = (self.shared.host.now(), payment.reasons().used);
        let is_over = now > ended_at(attempts.written_at, payment).plus(UNCLEAR_SECONDS);
        let start = attempts.seen_block.saturating_add(1);
        let mut search = attempts.search.unwrap_or_default();
        let mut found = find_use(nodes, payment, &mut search, start, quorum).await;
        let mut state = None;
        if !matches!(found, Ok(Some(_))) {
            let from = self.key.address();
            state = authorization_state(nodes, (from, BlockTag::Latest), payment, quorum).await;
            if state == Some(false) {
                state = self.state_since(payment, seen).await;
            }
        }
        // The number of the block that the preview saw was a node's word.
        if matches!(found, Ok(None)) && state == Some(true) {
            found = find_use(nodes, payment, &mut search, start, quorum).await;
        }
        if matches!((&found, state), (Ok(None), Some(true))) {
            // What was looked through must be again: there are nodes without old
            // logs, which say so by a list with nothing in it.
            search.from = 0;
        }
        attempts.search = Some(search);
        let why = match (found, state) {
            (Ok(Some(found)), _) => match found.resolution_of(attempts, &self.relayers) {
                Some(paid) => return paid,
                // It may have been paid before: Permit2 logs what is taken back
                // though it is used.
                None if search.in_doubt => {
                    "it was taken back, and no node tells whether it was used before".to_owned()
                }
                None => return Resolution::NotPaid(used),
            },
            (Ok(None), Some(false)) => return Resolution::NotPaid(used),
            // Canceled, or used by another purchase: it stays what it is. Nobody
            // but we could have settled it, and none of our own transactions has.
            (Ok(None), Some(true)) if is_over && is_known && payment.relayer().is_some() => {
                return Resolution::NotPaid(used);
            }
            // No log is told, and nobody has used what nobody can use any more.
            (Err(_), Some(false)) if is_over && payment.expires_at() < now && !search.in_doubt => {
                return Resolution::NotPaid(used);
            }
            (Err(error), _) => error.to_string(),
            // It is not unpaid for that.
            (Ok(None), Some(true)) => NOT_TOLD.to_owned(),
            (Ok(None), None) => "no node says whether the authorization is used by now".to_owned(),
        };
        Resolution::Unclear(why)
    }
}

impl<H: Host> EvmLane<H> {
    /// Whether a payment's authorization is used, as of a block no older than `seen`. Of
    /// several nodes behind one URL one may be a block behind, and a receipt may be told
    /// before its block: so it is asked again before that is left to the alarm.
    async fn state_since(&self, payment: &evm::VerifiedPayment, seen: u64) -> Option<bool> {
        let asked = (self.key.address(), seen);
        for _ in 0..LATER_LOOKS {
            let quorum = &self.limits.quorum_above;
            let state = authorization_state_since(&self.nodes, asked, payment, quorum).await;
            if state.is_some() {
                return state;
            }
            self.shared.host.sleep(LATER_PAUSE).await;
        }
        authorization_state_since(&self.nodes, asked, payment, &self.limits.quorum_above).await
    }
}

/// When a payment's time is over, or that of everybody's patience: it may
/// itself have no end.
pub(super) fn ended_at(written_at: UnixSeconds, payment: &evm::VerifiedPayment) -> UnixSeconds {
    payment.expires_at().min(written_at.plus(LONGEST_SEARCH))
}

/// When an entry is looked at again that is unclear.
fn next_look(entry: &EvmEntry, now: UnixSeconds) -> UnixSeconds {
    let pause = now.since(entry.written_at) / PAUSE_PART;
    let next = now.plus(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
    // By then the search is over, and who waits for its end is not left waiting.
    let over = entry.written_at.plus(LONGEST_SEARCH + UNCLEAR_SECONDS + 1);
    if now < over { next.min(over) } else { next }
}
