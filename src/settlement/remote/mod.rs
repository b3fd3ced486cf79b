//! Settlement by somebody else's facilitator.
//!
//! The claim, the journal and the record are those of every lane. What is sent
//! is an HTTP request, and its answer is the facilitator's word. A payment is
//! written down before it goes out. After an answer that says nothing for
//! certain the same request is made again until one does, the chain does, or
//! the payment's time is over: a refusal then proves nothing, because the
//! first request may have settled what the second can't any more.

mod doubt;
mod follow;
mod lane;
mod look;
mod open;
mod pace;
mod patience;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use open::Open;
use pace::{Line, Pace};

use super::closing::Resolution;
use super::host::within;
use super::journal::{FacilitatorEntry, FacilitatorSent, name_at_facilitator};
use super::lane::Job;
use super::per_token::PerToken;
use super::shared::{LaneParts, Shared, WAKE_SECONDS};
use super::{ClaimRequest, Host, Outcome, Store, StoreError};
use crate::amount::AtomicAmount;
use crate::evm;
use crate::facilitator_client::{Facilitator, Verdict};
use crate::payment::VerifiedPayment;
use crate::protocol::ChainId;
use crate::rpc::Nodes;
use crate::rpc::gate::{AGAIN_CONNECTIONS, Gate, LONG_CONNECTIONS};
use crate::table::Table;
use crate::time::UnixSeconds;

/// How many payments may be followed at once, how many of one payer, and how many of
/// those may be unclear.
const IN_AIR_MAX: usize = 256;
const PAYER_MAX: usize = 64;
const UNCLEAR_PER_PAYER: usize = 16;

/// When it may be otherwise where too much is open, in seconds: some of that is asked
/// after then.
const FULL_SECONDS: u64 = WAKE_SECONDS;

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
    /// Which entries the facilitator has called paid, and how, until that is on disk.
    said_paid: RefCell<Table<String, Resolution>>,
    /// What is open, followed or not.
    open: RefCell<Open>,
    pace: Pace,
    /// How many requests that were made before are made again at this moment, or wait
    /// for their turn.
    again: Cell<usize>,
    /// Bounds how many requests are at the facilitator at once.
    gate: Rc<Gate>,
}

/// A request that somebody follows.
#[derive(Default)]
struct InAir {
    /// Who pays; nothing where that is not read yet.
    payer: Option<String>,
    /// Whether it is made for the first time, and has no answer yet.
    is_new: bool,
    /// Whether the facilitator was asked, and nobody knows what came of it.
    is_unclear: bool,
    /// Whether it was taken up, and not begun, by whoever follows it.
    is_resumed: bool,
}

impl<H: Host> RemoteLane<H> {
    /// The lane of this facilitator. With `nodes` of an EVM chain, they are
    /// asked where its answers are unclear, and above an amount two of them.
    pub fn new(
        parts: LaneParts<H>,
        network: ChainId,
        facilitator: Facilitator,
        nodes: Option<(Nodes<H::Transport>, PerToken<AtomicAmount>)>,
    ) -> Rc<Self> {
        let (nodes, quorum_above) = nodes.unzip();
        let lane = Self::over(parts.0, network, facilitator, nodes.map(Rc::new));
        Rc::new(Self { quorum_above: quorum_above.unwrap_or_default(), ..lane })
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
            said_paid: RefCell::default(),
            open: RefCell::default(),
            pace: Pace::default(),
            again: Cell::default(),
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
        let Some(record) = self.shared.held_record(&job)? else {
            return self.shared.outcome_of(&id, job.until).await;
        };
        let now = self.shared.host.now();
        self.pace.note_asked(now.since(record.claimed_at));
        if self.is_full_for(&id)? || !self.has_room_for(Some(&payer)) {
            self.log_refusal("too much in the air");
            return self.turn_away(&job, FULL_SECONDS);
        }
        // For what was delivered nobody waits: it is owed.
        let late = self.pace.too_late_in(self.before(None), now);
        if let Some(seconds) = late.filter(|_| job.request.metered.is_none()) {
            self.log_refusal("so many are before one that its end couldn't be told in time");
            return self.turn_away(&job, seconds);
        }
        let name = name_at_facilitator(&id);
        let entry = FacilitatorEntry {
            id: name.clone(),
            payments: vec![id.clone()],
            written_at: now,
            sent: FacilitatorSent {
                body: body.to_string(),
                told: None,
                expires_at: record.expires_at,
                looked_from: None,
            },
        };
        let record = self.shared.submitted(record, &job, &name);
        self.shared.store.submit(&entry.row(), &[record])?;
        self.open.borrow_mut().begin();
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

    /// Nothing was sent, so the claim is free again.
    fn let_go(&self, job: &Job) -> Result<Outcome, StoreError> {
        self.shared.release(&job.request.payment, job.request.ticket)?;
        Ok(Outcome::Unavailable)
    }

    /// The same, with the time in which it is different, in seconds.
    fn turn_away(&self, job: &Job, seconds: u64) -> Result<Outcome, StoreError> {
        self.shared.release(&job.request.payment, job.request.ticket)?;
        Ok(Outcome::Crowded { seconds })
    }

    /// For whoever claims a payment now, and couldn't be told in time what becomes of
    /// it: in how many seconds that may be otherwise.
    fn why_not_claim(&self, request: &ClaimRequest) -> Result<Option<u64>, StoreError> {
        let payer = evm::payer_in(&request.payment).map(|payer| payer.to_string());
        if self.is_full_for(&request.payment)? || !self.has_room_for(payer.as_deref()) {
            self.log_refusal("too much in the air");
            return Ok(Some(FULL_SECONDS));
        }
        let coming = self.shared.live.others_since(request.ticket, UnixSeconds(0));
        let late = self.pace.too_late_in(self.before(Some(coming)), self.shared.host.now());
        if late.is_none() {
            self.pace.note_claim();
        }
        Ok(late)
    }

    /// Who is before one that comes now, besides so many that are claimed.
    fn before(&self, coming: Option<usize>) -> Line {
        let again = self.again.get().min(AGAIN_CONNECTIONS);
        let before = self.in_air.borrow().values().filter(|it| it.is_new).count();
        Line { before, coming, each: LONG_CONNECTIONS - again }
    }

    /// Whether one more payment of this payer may be followed, or of one who isn't
    /// known. What a stranger can have followed without having the money must be little.
    fn has_room_for(&self, payer: Option<&str>) -> bool {
        let in_air = self.in_air.borrow();
        let own = || in_air.values().filter(|it| payer.is_some() && it.payer.as_deref() == payer);
        in_air.len() < IN_AIR_MAX
            && own().count() < PAYER_MAX
            && own().filter(|it| it.is_unclear).count() < UNCLEAR_PER_PAYER
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
