//! Settlement by somebody else's facilitator.
//!
//! The claim, the journal and the record are those of every lane. What is sent
//! is an HTTP request, and its answer is the facilitator's word. A payment is
//! written down before it goes out. After an answer that says nothing for
//! certain the same request is made again until one does, the chain does, or
//! the payment's time is over: a refusal then proves nothing, because the
//! first request may have settled what the second can't any more.

mod doubt;
mod lane;
mod look;
mod patience;
mod turns;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use turns::Turns;

use super::closing::Resolution;
use super::host::within;
use super::journal::{FacilitatorEntry, FacilitatorSent, TxId, name_at_facilitator};
use super::lane::Job;
use super::per_token::PerToken;
use super::shared::{JOIN_LIMIT, LaneParts, Shared, WAKE_SECONDS};
use super::{Host, Outcome, State, Store, StoreError};
use crate::amount::AtomicAmount;
use crate::evm;
use crate::facilitator_client::{Facilitator, Settled, Verdict, idempotency_key};
use crate::payment::VerifiedPayment;
use crate::protocol::{ChainId, Reason};
use crate::rpc::Nodes;
use crate::rpc::gate::{Gate, Permit};
use crate::table::Table;

/// How many payments may be followed at once, how many of one payer, and how many of
/// those may be unclear.
const IN_AIR_MAX: usize = 256;
const PAYER_MAX: usize = 64;
const UNCLEAR_PER_PAYER: usize = 16;

/// What holds a connection for long: see [`Gate`].
const LONG: Duration = Duration::MAX;

/// How long to wait before each repeat, in seconds; the last goes for all
/// that follow.
const PAUSES: [u64; 3] = [2, 5, 10];

/// For how long a request is repeated without the alarm, in seconds: somebody
/// may wait for it.
const FOLLOW_SECONDS: u64 = 60;

/// The lane of a facilitator.
pub struct RemoteLane<H: Host> {
    shared: Rc<Shared<H>>,
    http: H::Transport,
    network: ChainId,
    facilitator: Facilitator,
    /// The seller's own nodes, to ask what became of a payment. EVM only.
    nodes: Option<Rc<Nodes<H::Transport>>>,
    /// The amount above which two of them must agree.
    quorum_above: PerToken<AtomicAmount>,
    /// Whether the facilitator is to see a payment before it is settled: nobody
    /// has shown it any since the claim.
    verifies: bool,
    /// The journal entries that somebody follows.
    in_air: RefCell<Table<String, InAir>>,
    /// Whose turn it is when the alarm rings.
    turns: RefCell<Turns>,
    /// Bounds how many requests are at the facilitator at once.
    gate: Rc<Gate>,
}

/// A request that somebody follows.
#[derive(Default)]
struct InAir {
    /// Who pays; nothing where that is not read yet.
    payer: Option<String>,
    /// Whether the facilitator was asked, and nobody knows what came of it.
    is_unclear: bool,
}

impl<H: Host> RemoteLane<H> {
    /// The lane of this facilitator. With `nodes` of an EVM chain, they are
    /// asked where its answers are unclear.
    pub fn new(
        parts: LaneParts<H>,
        network: ChainId,
        facilitator: Facilitator,
        nodes: Option<Nodes<H::Transport>>,
    ) -> Rc<Self> {
        Rc::new(Self::over(parts.0, network, facilitator, nodes.map(Rc::new)))
    }

    /// The lane of a facilitator that is tried after a lane with these nodes.
    pub(super) fn fallback(
        shared: Rc<Shared<H>>,
        network: ChainId,
        facilitator: Facilitator,
        nodes: Rc<Nodes<H::Transport>>,
        quorum_above: PerToken<AtomicAmount>,
    ) -> Rc<Self> {
        let lane = Self::over(shared, network, facilitator, Some(nodes));
        Rc::new(Self { quorum_above, verifies: true, ..lane })
    }

    fn over(
        shared: Rc<Shared<H>>,
        network: ChainId,
        facilitator: Facilitator,
        nodes: Option<Rc<Nodes<H::Transport>>>,
    ) -> Self {
        let http = shared.host.transport();
        Self {
            shared,
            http,
            network,
            facilitator,
            nodes,
            quorum_above: PerToken::default(),
            verifies: false,
            in_air: RefCell::default(),
            turns: RefCell::default(),
            gate: Rc::default(),
        }
    }

    /// Has a payment settled that the facilitator has found good since it was
    /// claimed.
    async fn ask(self: &Rc<Self>, mut job: Job) -> Result<Outcome, StoreError> {
        let id = job.request.payment.clone();
        let Some(body) = job.request.remote.take() else {
            self.log("no request for the facilitator");
            return self.let_go(&job);
        };
        let payer = job.payment.payer();
        if !self.has_room_for(&payer) {
            self.log_refusal("too much in the air");
            return self.let_go(&job);
        }
        let Some(record) = self.shared.held_record(&job)? else {
            return self.shared.outcome_of(&id, job.until).await;
        };
        let name = name_at_facilitator(&id);
        let entry = FacilitatorEntry {
            id: name.clone(),
            payments: vec![id.clone()],
            written_at: self.shared.host.now(),
            sent: FacilitatorSent {
                body: body.to_string(),
                told: None,
                expires_at: record.expires_at,
                looked_from: None,
            },
        };
        let record = self.shared.submitted(record, &job, &name);
        self.shared.store.submit(&entry.row(), &[record])?;
        self.shared.host.wake_in(WAKE_SECONDS);
        // If the process dies from here on, the journal has the request: the
        // next life makes it again, and takes a refusal for no answer.
        self.start(entry, Some(payer));
        self.shared.outcome_of(&id, job.until).await
    }

    /// The same for a payment that the facilitator has not seen yet: it must
    /// be found unused after its claim, else what used it before would pass
    /// for what we had settled.
    async fn verify_and_ask(self: &Rc<Self>, job: Job) -> Result<Outcome, StoreError> {
        let Some(body) = &job.request.remote else { return self.let_go(&job) };
        let (host, body) = (&self.shared.host, body.to_string());
        let left = Duration::from_secs(job.until.since(host.now()));
        // Nothing was sent: if the process dies here, the claim is free again
        // after its lease.
        let said = within(host, left, self.facilitator.verify(&self.http, &body)).await;
        match said.unwrap_or_else(|| Verdict::NoAnswer("too late for those who wait".into())) {
            Verdict::Valid => self.ask(job).await,
            Verdict::Invalid { reason, code } => {
                self.log_refusal(&format!("{}: verify: {code}", job.request.payment));
                self.shared.refuse(&job.request, reason)
            }
            Verdict::NoAnswer(why) => {
                self.log_refusal(&format!("verify: {why}"));
                self.let_go(&job)
            }
        }
    }

    /// Takes up what a crash, or the end of everybody's patience, left open.
    fn take_up(self: &Rc<Self>, entries: Vec<FacilitatorEntry>) {
        let now = self.shared.host.now();
        let is_followed = |id: &str| self.in_air.borrow().contains_key(id);
        let in_turn = self.turns.borrow_mut().take(entries, now, is_followed);
        for entry in in_turn {
            self.start(entry, None);
        }
    }

    /// Nothing was sent, so the claim is free again.
    fn let_go(&self, job: &Job) -> Result<Outcome, StoreError> {
        self.shared.release(&job.request.payment, job.request.ticket)?;
        Ok(Outcome::Unavailable)
    }

    /// Whether one more payment of this payer may be followed. What a stranger
    /// can have followed without having the money must be little.
    fn has_room_for(&self, payer: &str) -> bool {
        let in_air = self.in_air.borrow();
        let own = || in_air.values().filter(|it| it.payer.as_deref() == Some(payer));
        in_air.len() < IN_AIR_MAX
            && own().count() < PAYER_MAX
            && own().filter(|it| it.is_unclear).count() < UNCLEAR_PER_PAYER
    }

    /// Follows a request: one that is made for the first time for this payer, or one
    /// that was made before.
    fn start(self: &Rc<Self>, entry: FacilitatorEntry, payer: Option<String>) {
        let is_first = payer.is_some();
        let in_air = InAir { payer, is_unclear: !is_first };
        self.in_air.borrow_mut().insert(entry.id.clone(), in_air);
        let lane = Rc::clone(self);
        self.shared.host.spawn(async move { lane.follow(entry, is_first).await });
    }

    /// Makes a request until something has become of its payment, or nobody
    /// waits any more. Then the alarm makes it, once each time.
    async fn follow(self: Rc<Self>, mut entry: FacilitatorEntry, mut is_first: bool) {
        let last = entry.written_at.plus(FOLLOW_SECONDS);
        let mut pauses = PAUSES.into_iter();
        let mut pause = 0;
        loop {
            match self.attempt(&mut entry, is_first).await {
                Ok(true) => break,
                Ok(false) if self.shared.host.now() >= last => break,
                Ok(false) => {}
                // The journal keeps the entry: the alarm tries again.
                Err(error) => {
                    self.log(&error.to_string());
                    break;
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
        let turn = self.gate.enter(LONG);
        if !is_first {
            return Some(turn.await);
        }
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
            return Ok(true);
        };
        let key = idempotency_key(&id, &record.resource);
        let Some(turn) = self.turn(entry, is_first).await else {
            self.log_refusal("nothing was sent while its buyer waited: too many are before it");
            self.shared.withdraw(entry, &id)?;
            return Ok(true);
        };
        // If the process dies here, the facilitator may have settled: the next
        // life asks again.
        let said = if is_first {
            self.first_request(entry, &payment, &key).await
        } else {
            self.facilitator.settle(&self.http, self.network, &entry.sent.body, &key).await
        };
        drop(turn);
        let says_no = said.says_no();
        let why = match said {
            Settled::Paid { transaction } => {
                self.close(entry, id, paid(&payment, transaction))?;
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
        let in_air = InAir { payer: Some(payment.payer()), is_unclear: true };
        self.in_air.borrow_mut().insert(entry.id.clone(), in_air);
        let Some(resolution) = self.look_for_end(entry, &id, &payment, says_no).await? else {
            return Ok(false);
        };
        if let Resolution::NotPaid(reason) = &resolution {
            self.log(&format!("{id} of {}: {reason}", payment.payer()));
        }
        self.close(entry, id, resolution)?;
        Ok(true)
    }

    fn close(
        &self,
        entry: &FacilitatorEntry,
        id: String,
        resolution: Resolution,
    ) -> Result<(), StoreError> {
        self.shared.close(&entry.row(), &[(id, resolution)], None)
    }

    /// The nodes that know of a payment, if there are any.
    fn nodes_of<'a>(
        &self,
        payment: &'a VerifiedPayment,
    ) -> Option<(&Nodes<H::Transport>, &'a evm::VerifiedPayment)> {
        self.nodes.as_deref().zip(payment.as_evm())
    }

    /// A line with the facilitator's host. Never its headers or its whole URL.
    fn log(&self, line: &str) {
        self.shared.host.log(&self.line(line));
    }

    /// The same for what anybody can bring about: so many lines a minute.
    fn log_refusal(&self, line: &str) {
        self.shared.log_refusal(&self.line(line));
    }

    fn line(&self, line: &str) -> String {
        format!("{} by {}: {line}", self.network, self.facilitator.host())
    }
}

fn paid(payment: &VerifiedPayment, transaction: String) -> Resolution {
    Resolution::Paid { payer: payment.payer(), amount: payment.amount(), transaction }
}

impl<H: Host> Shared<H> {
    /// Takes a payment back that nobody has taken: who waits for it may claim it, and
    /// nothing of it is left, unless it was shown to everybody before.
    fn withdraw(&self, entry: &FacilitatorEntry, payment: &str) -> Result<(), StoreError> {
        // Without an await in between, this is one transaction to the disk.
        self.store.close(&entry.id, &[])?;
        if let Some(mut record) = self.store.payment(payment)?
            && matches!(&record.state, State::Submitted { transaction, .. } if *transaction == entry.id)
        {
            if record.was_sent {
                // Whose it is must not be forgotten.
                record.give_up(self.host.now());
                self.store.put_payment(&record)?;
            } else {
                self.store.delete_payment(payment)?;
            }
        }
        self.tell(payment);
        Ok(())
    }
}
