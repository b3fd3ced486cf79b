//! Making a request until something has become of its payment.

use std::rc::Rc;
use std::time::Duration;

use super::{InAir, RemoteLane};
use crate::facilitator_client::{Settled, idempotency_key};
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::rpc::gate::Permit;
use crate::settlement::closing::Resolution;
use crate::settlement::host::within;
use crate::settlement::journal::{FacilitatorEntry, TxId};
use crate::settlement::proving::Place;
use crate::settlement::shared::{JOIN_LIMIT, Shared};
use crate::settlement::{Host, State, Store, StoreError};

/// What holds a connection for long: see [`Gate`](crate::rpc::gate::Gate).
const LONG: Duration = Duration::MAX;

/// How long to wait before each repeat, in seconds; the last goes for all
/// that follow.
const PAUSES: [u64; 3] = [2, 5, 10];

/// For how long a request is repeated without the alarm, in seconds: somebody
/// may wait for it.
const FOLLOW_SECONDS: u64 = 60;

/// How soon it is written again that a payment was made, where the disk fails, and how
/// often before that is left to the alarm.
const WRITE_PAUSE: Duration = Duration::from_secs(1);
const WRITES_MAX: u32 = 60;

impl<H: Host> RemoteLane<H> {
    /// Follows a request: one that is made for the first time for this payer, or one
    /// that was made before.
    pub(super) fn start(self: &Rc<Self>, entry: FacilitatorEntry, payer: Option<String>) {
        let is_first = payer.is_some();
        let in_air =
            InAir { payer, is_new: is_first, is_unclear: !is_first, is_resumed: !is_first };
        self.in_air.borrow_mut().insert(entry.id.clone(), in_air);
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move { lane.follow(entry, is_first).await });
    }

    /// Makes a request until something has become of its payment, or nobody
    /// waits any more. Then the alarm makes it, once each time.
    async fn follow(self: Rc<Self>, mut entry: FacilitatorEntry, mut is_first: bool) {
        let last = entry.written_at.plus(FOLLOW_SECONDS);
        let mut pauses = PAUSES.into_iter();
        let (mut pause, mut failed_writes) = (0, 0);
        loop {
            match self.attempt(&mut entry, is_first).await {
                Ok(true) => {
                    self.open.borrow_mut().end(&entry.id);
                    self.said_paid.borrow_mut().remove(&entry.id);
                    break;
                }
                Ok(false) if self.shared.host.now() >= last => break,
                Ok(false) => {}
                // The journal keeps the entry: the alarm tries again.
                Err(error) => {
                    if failed_writes == 0 {
                        self.log(&error.to_string());
                    }
                    failed_writes += 1;
                    let is_paid = self.said_paid.borrow().contains_key(&entry.id);
                    if !is_paid || failed_writes >= WRITES_MAX {
                        break;
                    }
                    self.shared.host.sleep(WRITE_PAUSE).await;
                    continue;
                }
            }
            is_first = false;
            pause = pauses.next().unwrap_or(pause);
            self.shared.host.sleep(Duration::from_secs(pause)).await;
        }
        self.in_air.borrow_mut().remove(&entry.id);
    }

    /// Waits for a turn to ask the facilitator; `None` if nobody waits any more for
    /// what was never sent. Nobody who was told to come back is charged later.
    async fn turn(&self, entry: &FacilitatorEntry, is_first: bool) -> Option<Permit> {
        let host = &self.shared.host;
        if !is_first {
            return Some(self.gate.enter_again().await);
        }
        let turn = self.gate.enter(LONG);
        // A little less than its buyer waits, who is told so.
        let until = entry.written_at.plus(JOIN_LIMIT.as_secs() - 1);
        within(host, Duration::from_secs(until.since(host.now())), turn).await
    }

    /// Makes the request once. Whether that was the end of it.
    async fn attempt(
        &self,
        entry: &mut FacilitatorEntry,
        is_first: bool,
    ) -> Result<bool, StoreError> {
        let mut orders = self.shared.orders_of(&entry.payments)?.into_iter();
        let record = entry.payments.first().map(|id| self.shared.store.payment(id)).transpose()?;
        let (Some((id, payment)), Some(Some(record))) = (orders.next(), record) else {
            self.shared.store.close(&entry.id, &[])?;
            self.shared.sent_here.borrow_mut().remove(&entry.id);
            return Ok(true);
        };
        let said_paid = self.said_paid.borrow().get(&entry.id).cloned();
        if let Some(resolution) = said_paid {
            self.close_paid(entry, id, resolution)?;
            return Ok(true);
        }
        let key = idempotency_key(&id, &record.resource);
        let again = (!is_first).then(|| Place::of(&self.again));
        let Some(turn) = self.turn(entry, is_first).await else {
            self.log_refusal("nothing was sent while its buyer waited: too many are before it");
            self.shared.withdraw(entry, &id)?;
            return Ok(true);
        };
        // If the process dies here, the facilitator may have settled: the next
        // life asks again.
        let said = if is_first {
            let begun = self.shared.host.now();
            let said = self.first_request(entry, &payment, &key).await;
            let now = self.shared.host.now();
            self.pace.note_answer(now.since(begun), now);
            said
        } else {
            self.facilitator.settle(&self.http, self.network, &entry.sent.body, &key).await
        };
        drop((turn, again));
        let says_no = said.says_no();
        let why = match said {
            Settled::Paid { transaction } => {
                self.close_paid(entry, id, paid(&payment, transaction))?;
                return Ok(true);
            }
            Settled::Refused { reason, code } if is_first => {
                self.log(&format!("{id}: settle: {code}"));
                // A facilitator looks at each payment by itself. A stranger can show
                // what was used, and nobody else what there is no money for.
                if matches!(reason, Reason::InsufficientFunds | Reason::Permit2InsufficientBalance)
                {
                    let now = self.shared.host.now();
                    self.shared.throttle.note_unfunded(&payment.payer(), now);
                }
                self.close(entry, id, Resolution::NotPaid(reason))?;
                return Ok(true);
            }
            Settled::NotTaken(status) if is_first => {
                self.log(&format!("{id} of {}: settle: status {status}", payment.payer()));
                self.shared.withdraw(entry, &id)?;
                return Ok(true);
            }
            Settled::Refused { code, .. } => code,
            Settled::NotTaken(status) => format!("status {status}"),
            Settled::Pending { transaction } => {
                // Whoever asks meanwhile is told this one.
                let told = TxId::named(&transaction);
                if entry.sent.told != told {
                    entry.sent.told = told;
                    self.shared.store.submit(&entry.row(), &[])?;
                }
                format!("{transaction} is pending")
            }
            Settled::Doubted(why) | Settled::Unclear(why) => why,
        };
        self.log(&format!("{id}: settle is unclear: {why}"));
        if let Some(in_air) = self.in_air.borrow_mut().get_mut(&entry.id) {
            in_air.payer = Some(payment.payer());
            in_air.is_new = false;
            in_air.is_unclear = true;
        }
        let Some(resolution) = self.look_for_end(entry, &id, &payment, says_no).await? else {
            return Ok(false);
        };
        if let Resolution::NotPaid(reason) = &resolution {
            self.log(&format!("{id} of {}: {reason}", payment.payer()));
        }
        self.close(entry, id, resolution)?;
        Ok(true)
    }

    /// The same for what the facilitator calls paid. Asked again, it may call the payment
    /// used, and that may be by anybody: so what it has said is kept until it is written,
    /// and nothing else ends this entry as long as this object lives.
    fn close_paid(
        &self,
        entry: &FacilitatorEntry,
        id: String,
        resolution: Resolution,
    ) -> Result<(), StoreError> {
        self.said_paid.borrow_mut().insert(entry.id.clone(), resolution.clone());
        self.close(entry, id, resolution)
    }

    fn close(
        &self,
        entry: &FacilitatorEntry,
        id: String,
        resolution: Resolution,
    ) -> Result<(), StoreError> {
        self.shared.close(&entry.row(), &[(id, resolution)], None)
    }
}

fn paid(payment: &VerifiedPayment, transaction: String) -> Resolution {
    Resolution::Paid { payer: payment.payer(), amount: payment.amount(), transaction }
}

impl<H: Host> Shared<H> {
    /// Takes a payment back that nobody has taken: who waits for it may claim it, and
    /// nothing of it is left, unless it was shown to everybody before.
    fn withdraw(&self, entry: &FacilitatorEntry, payment: &str) -> Result<(), StoreError> {
        let record = self.store.payment(payment)?.filter(|record| {
            matches!(&record.state, State::Submitted { transaction, .. } if *transaction == entry.id)
        });
        match record {
            Some(mut record) if record.was_sent => {
                // Whose it is must not be forgotten.
                record.give_up(self.host.now());
                self.store.close(&entry.id, &[record])?;
            }
            // The record first: without its entry nobody would ever look after it. An
            // entry without a record is closed by whoever takes it up.
            Some(_) => {
                self.store.delete_payment(payment)?;
                self.store.close(&entry.id, &[])?;
            }
            None => self.store.close(&entry.id, &[])?,
        }
        self.sent_here.borrow_mut().remove(&entry.id);
        self.tell(payment);
        Ok(())
    }
}
