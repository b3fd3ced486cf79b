//! The relayer's nonces: which comes next, what takes the place of a
//! transaction, and what fills a gap.

use std::rc::Rc;

use super::ending::ended_at;
use super::{EvmLane, IN_AIR_MAX};
use crate::encoding::encode_hex;
use crate::evm::{Call as EvmCall, Fees, SignedTransaction, Transaction};
use crate::protocol::Reason;
use crate::rpc::RpcError;
use crate::settlement::closing::Resolution;
use crate::settlement::journal::{EvmEntry, EvmSent};
use crate::settlement::shared::WAKE_SECONDS;
use crate::settlement::{Host, Store};

/// How often a transaction is replaced at most, and how many times the usual
/// tip is as much as makes sense.
const REPLACEMENTS_MAX: usize = 12;
const ENOUGH_TIMES_THE_TIP: u128 = 4;

/// How many nonces may lie between what a node calls mined and what we sign
/// next, besides our own that are in the air: as many as we fill.
///
/// Too few, and behind a node that is late with its blocks we use a nonce
/// twice. Too many, and a node's lie costs that many empty transactions.
const GAP_MAX: u64 = 16;

/// Whether a nonce is so far ahead of what is mined that it was a node's
/// mistake: nothing waits for it, and what it carries can't land in time.
pub(super) fn is_parked(nonce: u64, mined: u64) -> bool {
    nonce >= mined.saturating_add(GAP_MAX + 2 * IN_AIR_MAX as u64)
}

/// By how much a `pending` nonce may exceed what we know of: another tool may
/// use the relayer's key.
const FOREIGN_MAX: u64 = 2;

/// After how many seconds the nonces that a transaction waits for are filled.
const GAP_SECONDS: u64 = 20;

/// For how long after the last of ours it is remembered which nonce comes
/// next, in seconds: a node may be late with its blocks. The memory may be of
/// something that never landed, so it doesn't last.
const MEMORY_SECONDS: u64 = 30;

/// The gas of an empty transaction.
const EMPTY_GAS: u64 = 21_000;

impl<H: Host> EvmLane<H> {
    /// The nonce that comes next, where a node calls `latest` transactions
    /// mined and `pending` mined or waiting.
    ///
    /// A node may say anything. What we believe leaves a gap that is small
    /// enough to be filled ([`Self::fill_gap`]), and what is further off than
    /// that was believed by mistake, and holds nobody up.
    pub(super) fn next_nonce(&self, latest: u64, pending: u64) -> u64 {
        let near = latest..latest.saturating_add(GAP_MAX + 2 * IN_AIR_MAX as u64);
        let in_air = self.in_air.borrow();
        let own = || in_air.values().map(|flight| flight.nonce).filter(|it| near.contains(it));
        let known = own().max().map_or(latest, |nonce| nonce.saturating_add(1));
        let count = own().count() as u64;
        let at_most = |nonce: u64, margin| nonce <= latest.saturating_add(count + margin);
        let signed = self.remembered().filter(|it| at_most(*it, GAP_MAX));
        let pending = Some(pending).filter(|it| at_most(*it, FOREIGN_MAX));
        known.max(signed.unwrap_or(0)).max(pending.unwrap_or(0))
    }

    pub(super) fn note_signed(&self, next: u64) {
        self.signed.set(Some((next, self.shared.host.now())));
    }

    /// Takes note that a transaction of ours came to its end.
    pub(super) fn note_ended(&self) {
        if let Some((next, _)) = self.signed.get() {
            self.note_signed(next);
        }
    }

    fn remembered(&self) -> Option<u64> {
        let (next, since) = self.signed.get()?;
        let some_wait = self.in_air.borrow().values().any(|flight| flight.is_waiting);
        let is_fresh = self.shared.host.now().since(since) < MEMORY_SECONDS;
        (some_wait || is_fresh).then_some(next)
    }

    /// Sends empty transactions at the nonces that this one waits for and that
    /// none of ours has: a node named one that was too high, or has lost what
    /// another tool sent.
    pub(super) fn fill_gap(self: &Rc<Self>, entry: &EvmEntry, mined: u64, market: Fees) {
        let waits = self.shared.host.now().since(entry.written_at);
        if waits < GAP_SECONDS || is_parked(entry.sent.nonce, mined) {
            return;
        }
        for nonce in mined..entry.sent.nonce {
            if !self.in_air.borrow().values().any(|flight| flight.nonce == nonce)
                && !self.fill(nonce, market)
            {
                return;
            }
        }
    }

    fn fill(self: &Rc<Self>, nonce: u64, fees: Fees) -> bool {
        let Some(signed) = self.sign_empty(nonce, fees) else { return false };
        let id = encode_hex(&signed.hash);
        let entry = EvmEntry {
            id: id.clone(),
            payments: vec![],
            written_at: self.shared.host.now(),
            sent: EvmSent {
                nonce,
                hash: id.clone(),
                former: vec![],
                empty: vec![id],
                raw: encode_hex(&signed.raw),
                fees,
                gas: EMPTY_GAS,
                most: fees.worst_cost(EMPTY_GAS),
                seen_block: 0,
                judged: false,
                look_at: None,
            },
        };
        if let Err(error) = self.shared.store.submit(&entry.row(), &[]) {
            self.log(&error.to_string());
            return false;
        }
        self.log(&format!("nonce {nonce} is filled with an empty transaction"));
        self.shared.host.wake_in(WAKE_SECONDS);
        self.take_off(entry, vec![], false);
        true
    }

    fn sign_empty(&self, nonce: u64, fees: Fees) -> Option<SignedTransaction> {
        let key = self.key.key()?;
        let call = EvmCall { to: self.key.address(), data: vec![] };
        Some(Transaction::new(self.chain_id, nonce, fees, EMPTY_GAS, call).sign(key))
    }

    /// A transaction that no node will have: its payments are free again, and
    /// its nonce is the next one again. One of several may have been too large: what it
    /// carried goes out again in smaller ones. Where later nonces wait for it, an empty
    /// transaction takes its place, and whichever of the two lands decides; then this
    /// returns true.
    pub(super) fn take_back(&self, entry: &mut EvmEntry) -> bool {
        if self.in_air.borrow().values().any(|flight| flight.nonce > entry.sent.nonce) {
            return self.replace_by(entry, None, entry.sent.fees);
        }
        let resolution = match entry.payments.len() {
            1 => Resolution::NotPaid(Reason::UnexpectedSettleError),
            _ => Resolution::LeftBehind,
        };
        let resolutions: Vec<_> =
            entry.payments.iter().map(|id| (id.clone(), resolution.clone())).collect();
        match self.shared.close(&entry.row(), &resolutions, None) {
            Ok(()) => self.note_signed(entry.sent.nonce),
            Err(error) => self.log(&error.to_string()),
        }
        false
    }

    /// Signs the same calls again, at the same nonce, for more money, and
    /// writes that down: or for less, where no node takes it and it offers
    /// more than twice what is needed, which may be more than the key has.
    /// What can't land any more, or was not taken however often it was replaced, gives
    /// way to an empty transaction, which is all that its nonce needs: its payments are
    /// free again when that one has landed.
    pub(super) fn replace(&self, entry: &mut EvmEntry, market: Fees, is_refused: bool) -> bool {
        let fees = entry.sent.fees;
        // A chain that stands still takes no transaction, however much it pays.
        let pays_enough = fees.max_fee_per_gas >= market.max_fee_per_gas
            && fees.max_priority_fee_per_gas
                >= market.max_priority_fee_per_gas.saturating_mul(ENOUGH_TIMES_THE_TIP);
        let is_dear = is_refused && fees.max_fee_per_gas / 2 > market.max_fee_per_gas;
        let is_useless = if is_refused { !is_dear } else { pays_enough };
        // What can't be read now is not dead for that.
        let Ok(orders) = self.shared.orders_of(&entry.payments) else { return false };
        let payments: Vec<_> = orders.iter().filter_map(|(_, order)| order.as_evm()).collect();
        let now = self.shared.host.now();
        let is_alive = payments.iter().any(|it| ended_at(entry.written_at, it) > now);
        let is_empty = entry.sent.empty.contains(&entry.sent.hash);
        let is_hopeless = !is_alive || entry.sent.former.len() >= REPLACEMENTS_MAX;
        // What gives way for good must do so however much it pays: all that comes
        // after it waits.
        if is_hopeless && !is_empty {
            return self.replace_by(entry, None, fees.bumped().at_least(market));
        }
        if is_useless || entry.sent.former.len() >= 2 * REPLACEMENTS_MAX {
            return false;
        }
        let fees = if is_dear { market } else { fees.bumped().at_least(market) };
        let call = super::calls_of(&payments).filter(|_| !is_empty);
        self.replace_by(entry, call, fees)
    }

    /// Has an empty transaction take the place of one for several payments that no node
    /// will have now, and some may have had before: whichever of the two lands, what it
    /// leaves behind goes out again in smaller ones. Not if it only offers too much. The log
    /// says what the node has said.
    pub(super) fn give_way(&self, entry: &mut EvmEntry, why: &RpcError, market: Fees) -> bool {
        self.log_sending(entry, &format!("{} was refused: {}", entry.sent.hash, why.message));
        let fees = entry.sent.fees;
        let is_dear = fees.max_fee_per_gas / 2 > market.max_fee_per_gas;
        let is_empty = entry.sent.empty.contains(&entry.sent.hash);
        if entry.payments.len() < 2 || is_dear || is_empty {
            return false;
        }
        self.note_refused(entry, why);
        self.replace_by(entry, None, fees.bumped().at_least(market))
    }

    /// Signs another call, or none, at a transaction's nonce, and writes that
    /// down.
    fn replace_by(&self, entry: &mut EvmEntry, call: Option<EvmCall>, fees: Fees) -> bool {
        // An empty transaction must go out whatever the budget says: the nonces
        // behind it wait.
        let is_empty = call.is_none();
        let gas = if is_empty { EMPTY_GAS } else { entry.sent.gas };
        // Any version may land. What those so far may cost is counted already.
        let most = fees.worst_cost(gas).max(entry.sent.most);
        let counted = self.in_air.borrow().get(&entry.id).map_or(0, |flight| flight.worst_cost);
        let more = most.saturating_sub(counted);
        // Nor is anything set aside before it: it is on its way.
        if !is_empty && more > 0 && self.is_over_budget(more, 0) {
            return false;
        }
        let signed = match (call, self.key.key()) {
            (_, None) => None,
            (None, _) => self.sign_empty(entry.sent.nonce, fees),
            (Some(call), Some(key)) => {
                Some(Transaction::new(self.chain_id, entry.sent.nonce, fees, gas, call).sign(key))
            }
        };
        let Some(signed) = signed else { return false };
        let mut replaced = entry.clone();
        replaced.sent.former.push(entry.sent.hash.clone());
        replaced.sent.hash = encode_hex(&signed.hash);
        replaced.sent.raw = encode_hex(&signed.raw);
        replaced.sent.fees = fees;
        replaced.sent.most = most;
        if is_empty {
            replaced.sent.empty.push(replaced.sent.hash.clone());
        }
        if let Err(error) = self.shared.store.submit(&replaced.row(), &[]) {
            self.log(&error.to_string());
            return false;
        }
        self.log(&format!("{} replaces {}", replaced.sent.hash, entry.sent.hash));
        self.shared.hold_again(&replaced.payments, most);
        if let Some(flight) = self.in_air.borrow_mut().get_mut(&entry.id) {
            flight.worst_cost = most;
        }
        *entry = replaced;
        true
    }
}
