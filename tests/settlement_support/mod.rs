//! A world for a Settler: virtual time, a disk that survives its death, and a
//! chain behind a network that loses things.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]
// Clippy knows tests by their attribute; these are their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::eip712::{self, Domain};
use edge402::evm::{Address, Authorization, Call, Fees, RelayerKey, Transaction};
use edge402::exact::Terms;
use edge402::protocol::{ChainId, Reason};
use edge402::remote::{Http, HttpAnswer, HttpRequest};
use edge402::rpc::{ChainCheck, Expected, Nodes, Transport, TransportError};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::settler::{Lane, LaneParts};
use edge402::settlement::{
    ClaimReply, ClaimRequest, Host, Limits, Outcome, ReleaseRequest, SettleRequest, Settlement,
    Settler,
};
use edge402::time::UnixSeconds;
use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use chain::Chain;
use tables::{SimStore, Tables};
use time::Clock;

pub const CHAIN: u64 = 84_532;
pub const AMOUNT: u128 = 10_000;
pub const REDELIVER: u64 = 600;

/// How long a message is on its way, in milliseconds.
const LATENCY: u64 = 20;

/// How long a node holds `eth_sendRawTransactionSync`, in milliseconds.
const SYNC_HOLD: u64 = 15_000;

/// What happens to a message to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Never arrives.
    LostBefore,
    /// Arrives; the answer doesn't.
    LostAfter,
    Unreachable,
    Status(u16),
    RateLimited,
    WrongChain,
    Garbage,
    /// The node fails before it acts.
    ErrorBefore,
    /// The node acts, and then fails all the same.
    ErrorAfter,
    /// Arrives three seconds late.
    Slow,
}

/// Decides about one question of a message instead of the chain.
pub type Hook = Box<dyn FnMut(&str, &str, &Value) -> Option<Result<Value, (i64, &'static str)>>>;

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Setup {
    pub urls: usize,
    pub block_ms: u64,
    pub has_multicall: bool,
    pub has_sync: bool,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            urls: 1,
            block_ms: 2_000,
            has_multicall: true,
            has_sync: false,
            limits: Limits {
                batch_max: 32,
                daily_spend: None,
                low_balance: None,
                quorum_above: None,
                accounts: vec![],
            },
        }
    }
}

/// What makes the lane of each life.
type LaneOf = Box<dyn Fn(&SimHost, LaneParts<SimHost>) -> Lane<SimHost>>;

pub struct World {
    pub clock: Rc<Clock>,
    pub tables: Rc<Tables>,
    pub chain: RefCell<Chain>,
    /// Faults of the messages to come; after them, none.
    pub faults: RefCell<VecDeque<Fault>>,
    pub hook: RefCell<Option<Hook>>,
    /// How many messages were sent to nodes.
    pub posts: Cell<usize>,
    /// What answers HTTP besides the nodes.
    pub web: RefCell<Option<Rc<dyn Web>>>,
    pub log: RefCell<Vec<String>>,
    /// (payment, resource, transaction) of everything that was delivered.
    pub deliveries: RefCell<Vec<(String, String, String)>>,
    alarm: Cell<Option<u64>>,
    settler: RefCell<Option<Rc<Settler<SimHost>>>>,
    lane: LaneOf,
    next_ticket: Cell<u64>,
}

#[derive(Clone)]
pub struct SimHost(pub Rc<World>);

impl Host for SimHost {
    type Transport = SimTransport;
    type Store = SimStore;

    fn transport(&self) -> SimTransport {
        SimTransport(Rc::clone(&self.0))
    }

    fn now(&self) -> UnixSeconds {
        self.0.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.clock.sleep(u64::try_from(duration.as_millis()).unwrap()).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.clock.spawn_mortal(task);
    }

    fn wake_in(&self, seconds: u64) {
        let world = &self.0;
        let at = world.clock.now_ms() + 1_000 * seconds;
        if world.alarm.get().is_some_and(|set| set <= at) {
            return;
        }
        world.alarm.set(Some(at));
        let alarmed = Rc::clone(world);
        world.clock.spawn(async move {
            alarmed.clock.sleep(1_000 * seconds).await;
            if alarmed.alarm.get().is_some_and(|set| set <= alarmed.clock.now_ms()) {
                alarmed.alarm.set(None);
                // An alarm that fails is tried again.
                if alarmed.settler().wake().is_err() {
                    SimHost(alarmed).wake_in(2);
                }
            }
        });
    }

    fn log(&self, line: &str) {
        let line = format!("{:>9} {line}", self.0.clock.now_ms() - time::START_MS);
        if std::env::var_os("SIM_LOG").is_some() {
            eprintln!("{line}");
        }
        self.0.log.borrow_mut().push(line);
    }
}

pub struct SimTransport(Rc<World>);

impl Transport for SimTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<String, TransportError> {
        let world = &self.0;
        let timeout = u64::try_from(timeout.as_millis()).unwrap();
        world.posts.set(world.posts.get() + 1);
        let fault = world.faults.borrow_mut().pop_front().unwrap_or(Fault::None);
        world.clock.sleep(LATENCY).await;
        match fault {
            Fault::LostBefore => {
                world.clock.sleep(timeout).await;
                return Err(TransportError::TimedOut);
            }
            Fault::Unreachable => return Err(TransportError::Unreachable),
            Fault::Status(status) => return Err(TransportError::Status(status)),
            Fault::Garbage => return Ok("<html>busy</html>".into()),
            Fault::Slow => world.clock.sleep(3_000).await,
            _ => {}
        }
        let deadline = world.clock.now_ms() + timeout;
        let message: Value = serde_json::from_str(&body).unwrap();
        let answer = match &message {
            Value::Array(calls) => {
                let mut answers = vec![];
                for call in calls {
                    answers.push(world.answer(url, call, fault, deadline).await?);
                }
                Value::Array(answers)
            }
            call => world.answer(url, call, fault, deadline).await?,
        };
        if fault == Fault::LostAfter {
            world.clock.sleep(timeout).await;
            return Err(TransportError::TimedOut);
        }
        world.clock.sleep(LATENCY).await;
        Ok(answer.to_string())
    }
}

/// A request to something that is not a node.
#[derive(Clone, Debug)]
pub struct Asked {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub timeout_ms: u64,
}

pub trait Web {
    fn exchange(
        self: Rc<Self>,
        asked: Asked,
    ) -> LocalBoxFuture<'static, Result<HttpAnswer, TransportError>>;
}

impl Http for SimTransport {
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        let web = self.0.web.borrow().clone().expect("something that answers");
        let headers = request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let asked = Asked {
            url: request.url,
            headers: headers.collect(),
            body: request.body.map(str::to_owned),
            timeout_ms: u64::try_from(request.timeout.as_millis()).unwrap(),
        };
        self.0.clock.sleep(LATENCY).await;
        let answer = web.exchange(asked).await;
        self.0.clock.sleep(LATENCY).await;
        answer
    }
}

impl World {
    pub fn new(setup: &Setup) -> Rc<Self> {
        let setup = setup.clone();
        let chain = Chain::new(setup.has_multicall, setup.has_sync, relayer().address());
        let block_ms = setup.block_ms;
        let world = Self::with_lane(
            chain,
            Box::new(move |host, parts| {
                let urls = (0..setup.urls).map(|n| format!("https://node{n}.test/")).collect();
                let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(CHAIN) };
                let nodes = Nodes::new(host.transport(), urls, check);
                Lane::Evm(EvmLane::new(
                    parts,
                    nodes,
                    CHAIN,
                    relayer(),
                    vec![relayer().address()],
                    setup.limits.clone(),
                ))
            }),
        );
        let miner = Rc::clone(&world);
        world.clock.spawn(async move {
            loop {
                miner.clock.sleep(block_ms).await;
                let now = miner.clock.now_ms();
                miner.chain.borrow_mut().mine(now);
            }
        });
        world
    }

    pub fn with_lane(chain: Chain, lane: LaneOf) -> Rc<Self> {
        Rc::new(Self {
            clock: Rc::new(Clock::default()),
            tables: Rc::default(),
            chain: RefCell::new(chain),
            faults: RefCell::default(),
            hook: RefCell::default(),
            posts: Cell::new(0),
            web: RefCell::default(),
            log: RefCell::default(),
            deliveries: RefCell::default(),
            alarm: Cell::new(None),
            settler: RefCell::new(None),
            lane,
            next_ticket: Cell::new(1),
        })
    }

    /// The Settler, made and woken when there is none alive.
    pub fn settler(self: &Rc<Self>) -> Rc<Settler<SimHost>> {
        if let Some(settler) = &*self.settler.borrow() {
            return Rc::clone(settler);
        }
        let host = SimHost(Rc::clone(self));
        let store = SimStore(Rc::clone(&self.tables));
        let settler = Rc::new(Settler::new(host.clone(), store, |parts| (self.lane)(&host, parts)));
        *self.settler.borrow_mut() = Some(Rc::clone(&settler));
        // On a broken disk the next question fails as well.
        let _ = settler.wake();
        settler
    }

    /// The Settler and all of its tasks die. What asked it survives, and so
    /// do the disk, the alarm and the chain.
    pub fn crash(&self) {
        *self.settler.borrow_mut() = None;
        self.clock.kill();
    }

    pub fn run_for(&self, ms: u64) {
        self.clock.run_for(ms);
    }

    /// Asks the Settler that is alive; `None` if it dies before it answers.
    pub async fn ask<T: 'static, F: Future<Output = T> + 'static>(
        self: &Rc<Self>,
        question: impl FnOnce(Rc<Settler<SimHost>>) -> F,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let answer = question(self.settler());
        self.clock.spawn_mortal(async move {
            let _ = sender.send(answer.await);
        });
        receiver.await.ok()
    }

    pub fn ticket(&self) -> u64 {
        self.next_ticket.replace(self.next_ticket.get() + 1)
    }

    pub fn claim_request(&self, payment: &Payment, resource: &str) -> ClaimRequest {
        ClaimRequest {
            payment: payment.id.clone(),
            resource: resource.into(),
            ticket: self.ticket(),
            expires_at: payment.expires_at,
            identifier: None,
            look_only: false,
            once: false,
        }
    }

    /// Runs until a future is done, a minute at most.
    pub fn wait<T: 'static>(self: &Rc<Self>, future: impl Future<Output = T> + 'static) -> T {
        let handle = self.start(future);
        for _ in 0..600 {
            self.run_for(100);
            if let Some(value) = handle.borrow_mut().take() {
                return value;
            }
        }
        panic!("not done after a minute")
    }

    /// Starts a future that a crash of the Settler does not end.
    pub fn start<T: 'static>(
        self: &Rc<Self>,
        future: impl Future<Output = T> + 'static,
    ) -> Handle<T> {
        let handle = Handle::default();
        let slot = Rc::clone(&handle);
        self.clock.spawn(async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        handle
    }

    pub fn claim(self: &Rc<Self>, request: &ClaimRequest) -> ClaimReply {
        let (world, request) = (Rc::clone(self), request.clone());
        self.wait(async move {
            world.ask(|it| async move { it.claim(&request).await }).await.unwrap().unwrap()
        })
    }

    pub fn start_settle(
        self: &Rc<Self>,
        payment: &Payment,
        claim: &ClaimRequest,
    ) -> Handle<Option<Outcome>> {
        let (world, request) = (Rc::clone(self), payment.settle_request(claim));
        self.start(async move {
            world.ask(|it| async move { it.settle(request).await }).await.map(Result::unwrap)
        })
    }

    pub fn settle(self: &Rc<Self>, payment: &Payment, claim: &ClaimRequest) -> Outcome {
        let handle = self.start_settle(payment, claim);
        self.take(&handle).unwrap()
    }

    /// Waits for what was started, a minute at most.
    pub fn take<T: 'static>(self: &Rc<Self>, handle: &Handle<T>) -> T {
        for _ in 0..600 {
            if let Some(value) = handle.borrow_mut().take() {
                return value;
            }
            self.run_for(100);
        }
        panic!("not done after a minute")
    }

    pub fn release(self: &Rc<Self>, claim: &ClaimRequest) {
        let request = ReleaseRequest { payment: claim.payment.clone(), ticket: claim.ticket };
        // If the disk fails, the claim ends by itself.
        let _ = self.settler().release(&request);
    }

    /// A whole request, as the gate makes it.
    pub async fn buy(
        self: Rc<Self>,
        payment: Payment,
        resource: String,
        origin_ms: u64,
        origin_is_good: bool,
    ) -> Answer {
        let claim = self.claim_request(&payment, &resource);
        let asked = claim.clone();
        let reply = self.ask(|it| async move { it.claim(&asked).await }).await;
        match reply.and_then(Result::ok) {
            None => return Answer::Broken,
            Some(ClaimReply::Settled(settlement)) => {
                return self.deliver(&payment, &resource, settlement);
            }
            Some(ClaimReply::Refused(reason)) => return Answer::Refused(reason),
            Some(ClaimReply::Pending { transaction }) => return Answer::Pending(transaction),
            Some(ClaimReply::Busy) => return Answer::Busy,
            Some(ClaimReply::IdentifierTaken) => return Answer::IdentifierTaken,
            Some(ClaimReply::Fresh) => {}
        }
        self.clock.sleep(origin_ms).await;
        if !origin_is_good {
            self.release(&claim);
            return Answer::Released;
        }
        let request = payment.settle_request(&claim);
        let outcome = self.ask(|it| async move { it.settle(request).await }).await;
        match outcome.and_then(Result::ok) {
            None => Answer::Broken,
            Some(Outcome::Settled(settlement)) => self.deliver(&payment, &resource, settlement),
            Some(Outcome::Failed { reason, .. }) => Answer::Refused(reason),
            Some(Outcome::Pending { transaction }) => Answer::Pending(transaction),
            Some(Outcome::Unavailable | Outcome::LimitReached) => Answer::Unavailable,
        }
    }

    /// Starts a request to a good and quick origin.
    pub fn start_buy(self: &Rc<Self>, payment: &Payment, resource: &str) -> Handle<Answer> {
        self.start(Rc::clone(self).buy(payment.clone(), resource.into(), 50, true))
    }

    pub fn buy_now(self: &Rc<Self>, payment: &Payment, resource: &str) -> Answer {
        let handle = self.start_buy(payment, resource);
        self.take(&handle)
    }

    fn deliver(&self, payment: &Payment, resource: &str, settlement: Settlement) -> Answer {
        let delivery = (payment.id.clone(), resource.into(), settlement.transaction.clone());
        self.deliveries.borrow_mut().push(delivery);
        Answer::Delivered(settlement)
    }

    async fn answer(
        &self,
        url: &str,
        call: &Value,
        fault: Fault,
        deadline: u64,
    ) -> Result<Value, TransportError> {
        let id = &call["id"];
        let method = call["method"].as_str().unwrap();
        let params = &call["params"];
        let reply = match fault {
            Fault::RateLimited => Err((-32_005, "limit exceeded".to_owned())),
            Fault::WrongChain if method == "eth_chainId" => Ok(json!("0x1")),
            Fault::ErrorBefore if method != "eth_chainId" => {
                Err((-32_603, "internal error".to_owned()))
            }
            _ => self.node(url, method, params, deadline).await?,
        };
        let reply = match reply {
            Ok(_) if fault == Fault::ErrorAfter && method != "eth_chainId" => {
                Err((-32_603, "internal error".to_owned()))
            }
            reply => reply,
        };
        Ok(match reply {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => {
                let error = json!({ "code": code, "message": message });
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
        })
    }

    async fn node(
        &self,
        url: &str,
        method: &str,
        params: &Value,
        deadline: u64,
    ) -> Result<Result<Value, (i64, String)>, TransportError> {
        let hooked = self.hook.borrow_mut().as_mut().and_then(|hook| hook(url, method, params));
        if let Some(reply) = hooked {
            return Ok(reply.map_err(|(code, message)| (code, message.to_owned())));
        }
        let reply = self.chain.borrow_mut().answer(method, params, self.clock.now_ms());
        let is_sync = method == "eth_sendRawTransactionSync";
        let (true, Ok(hash)) = (is_sync, &reply) else { return Ok(reply) };
        let hash = hash.as_str().unwrap().to_owned();
        let hold = self.clock.now_ms() + SYNC_HOLD;
        loop {
            let now = self.clock.now_ms();
            let receipt = self.chain.borrow().receipt(&hash, now);
            if receipt != Value::Null {
                return Ok(Ok(receipt));
            }
            if now >= deadline {
                return Err(TransportError::TimedOut);
            }
            if now >= hold {
                return Ok(Err((4, "not mined in time".to_owned())));
            }
            self.clock.sleep(200).await;
        }
    }
}

pub type Handle<T> = Rc<RefCell<Option<T>>>;

/// What a buyer sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Delivered(Settlement),
    Refused(Reason),
    Pending(String),
    Busy,
    IdentifierTaken,
    Unavailable,
    /// The origin did not deliver.
    Released,
    /// The Settler died, or its disk failed.
    Broken,
}

impl Answer {
    pub fn is_delivery(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }
}

pub fn relayer() -> RelayerKey {
    format!("0x{}", "11".repeat(32)).parse().unwrap()
}

/// An empty transaction of the relayer's, from another tool.
pub fn foreign_raw(nonce: u64) -> String {
    let fees = Fees { max_fee_per_gas: 90_000_000_000, max_priority_fee_per_gas: 9_000_000_000 };
    let call = Call { to: relayer().address(), data: vec![] };
    let signed = Transaction::new(CHAIN, nonce, fees, 21_000, call).sign(&relayer());
    edge402::encoding::encode_hex(&signed.raw)
}

pub fn payer(number: u8) -> RelayerKey {
    format!("0x{}{number:02x}", "42".repeat(31)).parse().unwrap()
}

pub fn domain() -> Domain {
    Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: CHAIN,
        verifying_contract: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
    }
}

pub fn pay_to() -> Address {
    "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap()
}

/// A payment that a buyer has signed.
#[derive(Clone, Debug)]
pub struct Payment {
    pub id: String,
    pub network: ChainId,
    pub terms: Terms,
    pub payload: Box<RawValue>,
    pub expires_at: UnixSeconds,
    pub authorization: Option<Authorization>,
}

impl Payment {
    /// A payer's payment, told apart by its number, that is valid for so many
    /// seconds from the beginning.
    pub fn new(payer_number: u8, number: u8, valid_for: u64) -> Self {
        Self::to(pay_to(), payer_number, number, valid_for)
    }

    /// The same to another account.
    pub fn to(to: Address, payer_number: u8, number: u8, valid_for: u64) -> Self {
        let start = time::START_MS / 1_000;
        let key = payer(payer_number);
        let authorization = Authorization {
            from: key.address(),
            to,
            value: AtomicAmount(AMOUNT).into(),
            valid_after: (start - 600).into(),
            valid_before: (start + valid_for).into(),
            nonce: [number; 32],
        };
        let hash = eip712::transfer_with_authorization_hash(&authorization);
        let signature = key.sign_digest(&eip712::digest(&domain().separator(), &hash));
        let payload = json!({
            "signature": signature.to_string(),
            "authorization": {
                "from": authorization.from,
                "to": authorization.to,
                "value": authorization.value,
                "validAfter": authorization.valid_after,
                "validBefore": authorization.valid_before,
                "nonce": encode_hex(&authorization.nonce),
            },
        });
        let terms = edge402::evm::Terms::new(domain(), to, AtomicAmount(AMOUNT), 100_000);
        Self::from_parts(ChainId::Evm(CHAIN), Terms::Evm(terms), &payload, Some(authorization))
    }

    pub fn from_parts(
        network: ChainId,
        terms: Terms,
        payload: &Value,
        authorization: Option<Authorization>,
    ) -> Self {
        let payload = RawValue::from_string(payload.to_string()).unwrap();
        let start = UnixSeconds(time::START_MS / 1_000);
        let verified = edge402::exact::verify(&payload, &terms, start).unwrap();
        Self {
            id: verified.identity(),
            network,
            terms,
            payload,
            expires_at: verified.expires_at(start),
            authorization,
        }
    }

    pub fn settle_request(&self, claim: &ClaimRequest) -> SettleRequest {
        SettleRequest {
            payment: self.id.clone(),
            ticket: claim.ticket,
            resource: claim.resource.clone(),
            network: self.network,
            terms: self.terms.clone(),
            payload: self.payload.clone(),
            redeliver_seconds: REDELIVER,
            once: false,
            remote: None,
            account: None,
        }
    }

    pub fn evm(&self) -> edge402::evm::VerifiedPayment {
        let start = UnixSeconds(time::START_MS / 1_000);
        match edge402::exact::verify(&self.payload, &self.terms, start).unwrap() {
            edge402::exact::VerifiedPayment::Evm(payment) => payment,
            edge402::exact::VerifiedPayment::Solana(_) => panic!("not on EVM"),
        }
    }
}

pub mod time {
    //! Tasks and virtual time, on one thread: the same run every time.

    use std::cell::{Cell, RefCell};
    use std::collections::{BTreeMap, VecDeque};
    use std::future::Future;
    use std::pin::Pin;
    use std::rc::Rc;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Wake, Waker};

    use edge402::time::UnixSeconds;

    pub const START_MS: u64 = 1_700_000_000_000;

    /// More polls than this at one point in time are a loop without an end.
    const POLLS_MAX: usize = 200_000;

    type Ready = Arc<Mutex<VecDeque<u64>>>;

    pub struct Clock {
        now: Cell<u64>,
        next: Cell<u64>,
        timers: RefCell<BTreeMap<(u64, u64), Waker>>,
        tasks: RefCell<BTreeMap<u64, Task>>,
        ready: Ready,
    }

    struct Task {
        future: Pin<Box<dyn Future<Output = ()>>>,
        /// Whether it dies with the Settler.
        is_mortal: bool,
        waker: Waker,
    }

    struct TaskWaker {
        id: u64,
        ready: Ready,
    }

    impl Wake for TaskWaker {
        fn wake(self: Arc<Self>) {
            self.ready.lock().unwrap().push_back(self.id);
        }
    }

    impl Default for Clock {
        fn default() -> Self {
            Self {
                now: Cell::new(START_MS),
                next: Cell::new(0),
                timers: RefCell::default(),
                tasks: RefCell::default(),
                ready: Arc::default(),
            }
        }
    }

    impl Clock {
        pub fn now_ms(&self) -> u64 {
            self.now.get()
        }

        pub fn now(&self) -> UnixSeconds {
            UnixSeconds(self.now.get() / 1_000)
        }

        fn id(&self) -> u64 {
            self.next.replace(self.next.get() + 1)
        }

        pub fn sleep(self: &Rc<Self>, ms: u64) -> Sleep {
            Sleep { clock: Rc::clone(self), key: (self.now.get() + ms, self.id()) }
        }

        /// Starts a task that lives until it is done.
        pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
            self.spawn_task(future, false);
        }

        /// Starts a task that [`Clock::kill`] ends.
        pub fn spawn_mortal(&self, future: impl Future<Output = ()> + 'static) {
            self.spawn_task(future, true);
        }

        fn spawn_task(&self, future: impl Future<Output = ()> + 'static, is_mortal: bool) {
            let id = self.id();
            let waker = Waker::from(Arc::new(TaskWaker { id, ready: Arc::clone(&self.ready) }));
            self.tasks.borrow_mut().insert(id, Task { future: Box::pin(future), is_mortal, waker });
            self.ready.lock().unwrap().push_back(id);
        }

        /// Ends the mortal tasks where they stand.
        pub fn kill(&self) {
            let dead: Vec<_> =
                self.tasks.borrow_mut().extract_if(.., |_, task| task.is_mortal).collect();
            drop(dead);
        }

        pub fn run_for(&self, ms: u64) {
            let until = self.now.get() + ms;
            loop {
                self.run_ready();
                let first = self.timers.borrow().keys().next().copied();
                let Some((at, id)) = first.filter(|(at, _)| *at <= until) else { break };
                self.now.set(at.max(self.now.get()));
                let waker = self.timers.borrow_mut().remove(&(at, id));
                waker.unwrap().wake();
            }
            self.now.set(until);
        }

        fn run_ready(&self) {
            for polls in 0.. {
                assert!(polls < POLLS_MAX, "a loop without an end");
                let id = self.ready.lock().unwrap().pop_front();
                let Some(id) = id else { break };
                let Some(mut task) = self.tasks.borrow_mut().remove(&id) else { continue };
                let waker = task.waker.clone();
                if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    self.tasks.borrow_mut().insert(id, task);
                }
            }
        }
    }

    pub struct Sleep {
        clock: Rc<Clock>,
        key: (u64, u64),
    }

    impl Future for Sleep {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if self.clock.now.get() >= self.key.0 {
                return Poll::Ready(());
            }
            self.clock.timers.borrow_mut().insert(self.key, context.waker().clone());
            Poll::Pending
        }
    }

    impl Drop for Sleep {
        fn drop(&mut self) {
            self.clock.timers.borrow_mut().remove(&self.key);
        }
    }
}

pub mod tables {
    //! A Settler's tables, in memory, as texts: what is read is what was written.

    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use edge402::settlement::{JournalEntry, PaymentRecord, Store, StoreError};
    use edge402::time::UnixSeconds;

    #[derive(Default)]
    pub struct Tables {
        payments: RefCell<BTreeMap<String, String>>,
        journal: RefCell<BTreeMap<String, String>>,
        names: RefCell<BTreeMap<String, String>>,
        spent: RefCell<BTreeMap<u64, u128>>,
        account_spent: RefCell<BTreeMap<(String, u64), u128>>,
        /// Whether the disk fails.
        pub is_broken: Cell<bool>,
    }

    impl Tables {
        pub fn record(&self, payment: &str) -> Option<PaymentRecord> {
            self.payments.borrow().get(payment).map(|text| serde_json::from_str(text).unwrap())
        }

        pub fn entries(&self) -> Vec<JournalEntry> {
            let journal = self.journal.borrow();
            let mut entries: Vec<JournalEntry> =
                journal.values().map(|text| serde_json::from_str(text).unwrap()).collect();
            entries.sort_by_key(|entry| entry.written_at);
            entries
        }

        /// All that was spent for an account.
        pub fn account_spent(&self, account: &str) -> u128 {
            let spent = self.account_spent.borrow();
            spent.iter().filter(|((name, _), _)| name == account).map(|(_, spent)| spent).sum()
        }

        pub fn payments(&self) -> usize {
            self.payments.borrow().len()
        }

        pub fn names(&self) -> usize {
            self.names.borrow().len()
        }
    }

    #[derive(Clone)]
    pub struct SimStore(pub Rc<Tables>);

    impl SimStore {
        fn check(&self) -> Result<(), StoreError> {
            if self.0.is_broken.get() { Err(StoreError("broken".into())) } else { Ok(()) }
        }
    }

    fn text(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    impl Store for SimStore {
        fn payment(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError> {
            self.check()?;
            Ok(self.0.record(id))
        }

        fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError> {
            self.check()?;
            self.0.payments.borrow_mut().insert(record.payment.clone(), text(record));
            Ok(())
        }

        fn delete_payment(&self, id: &str) -> Result<(), StoreError> {
            self.check()?;
            self.0.payments.borrow_mut().remove(id);
            Ok(())
        }

        fn submit(
            &self,
            entry: &JournalEntry,
            records: &[PaymentRecord],
        ) -> Result<(), StoreError> {
            self.check()?;
            self.0.journal.borrow_mut().insert(entry.id.clone(), text(entry));
            records.iter().try_for_each(|record| self.put_payment(record))
        }

        fn open_entries(&self) -> Result<Vec<JournalEntry>, StoreError> {
            self.check()?;
            Ok(self.0.entries())
        }

        fn close(&self, id: &str, records: &[PaymentRecord]) -> Result<(), StoreError> {
            self.check()?;
            self.0.journal.borrow_mut().remove(id);
            records.iter().try_for_each(|record| self.put_payment(record))
        }

        fn payment_named(&self, identifier: &str) -> Result<Option<String>, StoreError> {
            self.check()?;
            Ok(self.0.names.borrow().get(identifier).cloned())
        }

        fn name_payment(&self, identifier: &str, payment: &str) -> Result<(), StoreError> {
            self.check()?;
            self.0.names.borrow_mut().insert(identifier.into(), payment.into());
            Ok(())
        }

        fn spent_on(&self, day: u64) -> Result<u128, StoreError> {
            self.check()?;
            Ok(self.0.spent.borrow().get(&day).copied().unwrap_or(0))
        }

        fn set_spent_on(&self, day: u64, amount: u128) -> Result<(), StoreError> {
            self.check()?;
            self.0.spent.borrow_mut().insert(day, amount);
            Ok(())
        }

        fn account_spent_on(&self, account: &str, day: u64) -> Result<u128, StoreError> {
            self.check()?;
            Ok(self.0.account_spent.borrow().get(&(account.into(), day)).copied().unwrap_or(0))
        }

        fn set_account_spent_on(
            &self,
            account: &str,
            day: u64,
            amount: u128,
        ) -> Result<(), StoreError> {
            self.check()?;
            self.0.account_spent.borrow_mut().insert((account.into(), day), amount);
            Ok(())
        }

        fn forget_until(&self, now: UnixSeconds) -> Result<(), StoreError> {
            self.check()?;
            self.0.payments.borrow_mut().retain(|_, text| {
                serde_json::from_str::<PaymentRecord>(text).unwrap().keep_until() >= now
            });
            let payments = self.0.payments.borrow();
            self.0.names.borrow_mut().retain(|_, payment| payments.contains_key(payment));
            Ok(())
        }
    }
}

pub mod chain {
    //! An EVM chain with one token and one relayer, as a node shows it.

    use std::collections::{BTreeMap, HashMap, HashSet};

    use edge402::encoding::{decode_hex_bytes, encode_hex};
    use edge402::evm::{
        Address, Call, Fees, MULTICALL3, Signature, Transaction, keccak256, payment_call,
    };
    use serde_json::{Value, json};

    use super::{CHAIN, Payment, domain};

    pub const BASE_FEE: u128 = 1_000_000_000;
    const GAS_BASE: u64 = 21_000;
    const GAS_PER_CALL: u64 = 45_000;
    const FIRST_BLOCK: u64 = 1_000;
    const STRANGER: Address = Address::new([0x57; 20]);

    /// A transfer that happened.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Transfer {
        pub from: Address,
        pub to: Address,
        pub nonce: [u8; 32],
        pub transaction: String,
    }

    #[derive(Clone, Debug)]
    pub struct Pooled {
        pub hash: String,
        pub transaction: Transaction,
    }

    struct Mined {
        receipt: Value,
        seen_at: u64,
    }

    /// What calls change.
    #[derive(Clone, Default)]
    struct State {
        used: HashSet<(Address, [u8; 32])>,
        spent: HashMap<Address, u128>,
    }

    pub struct Chain {
        pub has_multicall: bool,
        pub has_sync: bool,
        pub relayer: Address,
        /// What the relayer has, in wei.
        pub relayer_balance: u128,
        /// What each payer had at first.
        pub token_balance: u128,
        /// Transactions that offer less stay in the pool.
        pub min_fee: u128,
        /// How long after its block a receipt is seen, in milliseconds.
        pub receipt_delay: u64,
        /// How many transactions the node takes and then forgets.
        pub forgets: usize,
        /// Payers' nonces that revert on chain although simulations go well.
        pub poisoned: HashSet<[u8; 32]>,
        pub pool: BTreeMap<u64, Pooled>,
        /// Blocks and their times, in seconds.
        pub blocks: Vec<u64>,
        /// The relayer's transactions in blocks, in their order.
        pub mined: Vec<Pooled>,
        pub transfers: Vec<Transfer>,
        state: State,
        receipts: HashMap<String, Mined>,
        logs: Vec<(u64, Value)>,
        /// By how much blocks' times are behind, in seconds.
        pub clock_lag: u64,
    }

    impl Chain {
        pub fn new(has_multicall: bool, has_sync: bool, relayer: Address) -> Self {
            Self {
                has_multicall,
                has_sync,
                relayer,
                relayer_balance: 10_u128.pow(18),
                token_balance: 1_000 * super::AMOUNT,
                min_fee: 0,
                receipt_delay: 0,
                forgets: 0,
                poisoned: HashSet::new(),
                pool: BTreeMap::new(),
                blocks: vec![super::time::START_MS / 1_000],
                mined: vec![],
                transfers: vec![],
                state: State::default(),
                receipts: HashMap::new(),
                logs: vec![],
                clock_lag: 0,
            }
        }

        pub fn height(&self) -> u64 {
            FIRST_BLOCK + self.blocks.len() as u64 - 1
        }

        pub fn count(&self) -> u64 {
            self.mined.len() as u64
        }

        pub fn transfers_of(&self, payment: &Payment) -> Vec<Transfer> {
            let authorization = payment.authorization.as_ref().unwrap();
            let is_its = |transfer: &&Transfer| {
                transfer.from == authorization.from && transfer.nonce == authorization.nonce
            };
            self.transfers.iter().filter(is_its).cloned().collect()
        }

        /// Takes what is in the pool into a block, as far as nonces go on.
        pub fn mine(&mut self, now_ms: u64) {
            self.blocks.push(now_ms / 1_000 - self.clock_lag);
            while let Some(pooled) = self.pool.get(&self.count()) {
                if pooled.transaction.max_fee_per_gas < self.min_fee {
                    break;
                }
                let pooled = self.pool.remove(&self.count()).unwrap();
                self.execute(&pooled, self.relayer, now_ms);
                self.mined.push(pooled);
            }
        }

        /// A payer takes an authorization back.
        pub fn cancel(&mut self, payment: &Payment) {
            let authorization = payment.authorization.as_ref().unwrap();
            self.state.used.insert((authorization.from, authorization.nonce));
        }

        /// Somebody else broadcasts a payment; it lands in a block of its own.
        /// The payer cancels a payment's authorization, and no log tells.
        pub fn payer_cancels_in_silence(&mut self, payment: &Payment) {
            let it = payment.evm();
            self.state.used.insert((it.from(), *it.nonce()));
        }

        /// The payer cancels a payment's authorization, in a block of its own.
        pub fn payer_cancels(&mut self, payment: &Payment, now_ms: u64) {
            self.blocks.push(now_ms / 1_000 - self.clock_lag);
            let it = payment.evm();
            self.state.used.insert((it.from(), *it.nonce()));
            let name = edge402::evm::keccak256(b"AuthorizationCanceled(address,bytes32)");
            let hash = encode_hex(&keccak256(&[&it.nonce()[..], b"cancel"].concat()));
            let from = encode_hex(&it.from().to_word());
            let (block, token) = (self.height(), domain().verifying_contract);
            let log = json!({
                "address": token,
                "topics": [encode_hex(&name), from, encode_hex(it.nonce())],
                "data": "0x",
                "transactionHash": hash,
                "blockNumber": quantity(block.into()),
            });
            let receipt = json!({
                "status": "0x1",
                "transactionHash": hash,
                "from": it.from(),
                "blockNumber": quantity(block.into()),
                "gasUsed": "0x9c40",
                "effectiveGasPrice": "0x1",
                "logs": [log],
            });
            self.logs.push((block, log));
            self.receipts.insert(hash, Mined { receipt, seen_at: now_ms });
        }

        pub fn stranger_sends(&mut self, payment: &Payment, now_ms: u64) -> String {
            self.blocks.push(now_ms / 1_000 - self.clock_lag);
            let Call { to, data } = payment_call(&payment.evm());
            let hash = encode_hex(&keccak256(&[&data[..], b"stranger"].concat()));
            let transaction = Transaction {
                chain_id: CHAIN,
                nonce: 0,
                max_priority_fee_per_gas: 1,
                max_fee_per_gas: BASE_FEE,
                gas_limit: 1_000_000,
                to,
                data,
            };
            let pooled = Pooled { hash: hash.clone(), transaction };
            let balance = self.relayer_balance;
            self.execute(&pooled, STRANGER, now_ms);
            self.relayer_balance = balance;
            hash
        }

        fn execute(&mut self, pooled: &Pooled, sender: Address, now_ms: u64) {
            let Pooled { hash, transaction } = pooled;
            let time = *self.blocks.last().unwrap();
            let mut state = self.state.clone();
            let run = self.run(&mut state, transaction.to, &transaction.data, time, true);
            let gas_used = gas_of(transaction.to, &transaction.data);
            let (succeeded, transfers) = match run {
                Ok((_, transfers)) if gas_used <= transaction.gas_limit => (true, transfers),
                _ => (false, vec![]),
            };
            let gas_used = gas_used.min(transaction.gas_limit);
            let price =
                transaction.max_fee_per_gas.min(BASE_FEE + transaction.max_priority_fee_per_gas);
            self.relayer_balance =
                self.relayer_balance.saturating_sub(u128::from(gas_used) * price);
            let block = self.height();
            let mut logs = vec![];
            if succeeded {
                self.state = state;
                for mut transfer in transfers {
                    transfer.transaction.clone_from(hash);
                    let used = edge402::evm::keccak256(b"AuthorizationUsed(address,bytes32)");
                    let moved = edge402::evm::keccak256(b"Transfer(address,address,uint256)");
                    let from = encode_hex(&transfer.from.to_word());
                    let token = domain().verifying_contract;
                    let log = json!({
                        "address": token,
                        "topics": [encode_hex(&used), from, encode_hex(&transfer.nonce)],
                        "data": "0x",
                        "transactionHash": hash,
                        "blockNumber": quantity(block.into()),
                    });
                    self.logs.push((block, log.clone()));
                    logs.push(log);
                    logs.push(json!({
                        "address": token,
                        "topics": [encode_hex(&moved), from, encode_hex(&transfer.to.to_word())],
                        "data": encode_hex(&word_of(super::AMOUNT)),
                        "transactionHash": hash,
                        "blockNumber": quantity(block.into()),
                    }));
                    self.transfers.push(transfer);
                }
            }
            let receipt = json!({
                "status": if succeeded { "0x1" } else { "0x0" },
                "transactionHash": hash,
                "from": sender,
                "blockNumber": quantity(block.into()),
                "gasUsed": quantity(gas_used.into()),
                "effectiveGasPrice": quantity(price),
                "logs": logs,
            });
            let seen_at = now_ms + self.receipt_delay;
            self.receipts.insert(hash.clone(), Mined { receipt, seen_at });
        }

        pub fn receipt(&self, hash: &str, now_ms: u64) -> Value {
            match self.receipts.get(hash) {
                Some(mined) if mined.seen_at <= now_ms => mined.receipt.clone(),
                _ => Value::Null,
            }
        }

        /// What a call returns and which transfers it makes; `Err` if it reverts.
        fn run(
            &self,
            state: &mut State,
            to: Address,
            data: &[u8],
            time: u64,
            is_real: bool,
        ) -> Result<(Vec<u8>, Vec<Transfer>), ()> {
            if to == MULTICALL3 && self.has_multicall {
                let mut results = vec![];
                let mut transfers = vec![];
                for (target, allow_failure, data) in read_aggregate3(data) {
                    match self.run(state, target, &data, time, is_real) {
                        Ok((returned, made)) => {
                            transfers.extend(made);
                            results.push((true, returned));
                        }
                        Err(()) if allow_failure => results.push((false, vec![])),
                        Err(()) => return Err(()),
                    }
                }
                return Ok((write_results(&results), transfers));
            }
            if to != domain().verifying_contract {
                // No code: it does nothing, with success.
                return Ok((vec![], vec![]));
            }
            let from = address_at(data, 0);
            match data[..4] {
                [0xe9, 0x4a, 0x01, 0x02] => {
                    let is_used = state.used.contains(&(from, word_at(data, 1)));
                    Ok((word_of(is_used.into()).to_vec(), vec![]))
                }
                [0x70, 0xa0, 0x82, 0x31] => {
                    Ok((word_of(self.balance(state, from)).to_vec(), vec![]))
                }
                [0xe3, 0xee, 0x16, 0x0e] => {
                    let value = number_at(data, 2);
                    let nonce = word_at(data, 5);
                    let is_good = u128::from(time) > number_at(data, 3)
                        && u128::from(time) < number_at(data, 4)
                        && self.balance(state, from) >= value
                        && !(is_real && self.poisoned.contains(&nonce));
                    if !is_good || !state.used.insert((from, nonce)) {
                        return Err(());
                    }
                    *state.spent.entry(from).or_default() += value;
                    let to = address_at(data, 1);
                    Ok((vec![], vec![Transfer { from, to, nonce, transaction: String::new() }]))
                }
                _ => Err(()),
            }
        }

        fn balance(&self, state: &State, account: Address) -> u128 {
            self.token_balance.saturating_sub(state.spent.get(&account).copied().unwrap_or(0))
        }

        pub fn answer(
            &mut self,
            method: &str,
            params: &Value,
            now_ms: u64,
        ) -> Result<Value, (i64, String)> {
            let simulated = |chain: &Self| {
                let call = &params[0];
                let to = call["to"].as_str().unwrap().parse().unwrap();
                let data = bytes(&call["data"]);
                let time = now_ms / 1_000;
                let run = chain.run(&mut chain.state.clone(), to, &data, time, false);
                run.map(|(returned, _)| (to, data, returned))
                    .map_err(|()| (3, "execution reverted".to_owned()))
            };
            Ok(match method {
                "eth_chainId" => quantity(CHAIN.into()).into(),
                "eth_getTransactionCount" => {
                    let mut count = self.count();
                    while params[1] == "pending" && self.pool.contains_key(&count) {
                        count += 1;
                    }
                    quantity(count.into()).into()
                }
                "eth_blockNumber" => quantity(self.height().into()).into(),
                "eth_getBalance" => quantity(self.relayer_balance).into(),
                "eth_feeHistory" => json!({
                    "oldestBlock": quantity(self.height().into()),
                    "baseFeePerGas": [quantity(BASE_FEE), quantity(BASE_FEE)],
                    "reward": [["0x1"]],
                }),
                "eth_call" => encode_hex(&simulated(self)?.2).into(),
                "eth_estimateGas" => {
                    let (to, data, _) = simulated(self)?;
                    quantity(gas_of(to, &data).into()).into()
                }
                "eth_sendRawTransactionSync" if !self.has_sync => {
                    return Err((-32_601, "the method does not exist".into()));
                }
                "eth_sendRawTransaction" | "eth_sendRawTransactionSync" => {
                    self.take(&bytes(&params[0]))?.into()
                }
                "eth_getTransactionReceipt" => self.receipt(params[0].as_str().unwrap(), now_ms),
                "eth_getLogs" => {
                    let from = number(&params[0]["fromBlock"]);
                    let topics = &params[0]["topics"];
                    let found = self.logs.iter().filter(|(block, log)| {
                        let hash = log["transactionHash"].as_str().unwrap();
                        u128::from(*block) >= from
                            && are_these(&log["topics"], topics)
                            && self.receipt(hash, now_ms) != Value::Null
                    });
                    found.map(|(_, log)| log.clone()).collect::<Vec<_>>().into()
                }
                "eth_getBlockByNumber" => {
                    let index = number(&params[0]).checked_sub(u128::from(FIRST_BLOCK));
                    // Older blocks are of long ago.
                    let time = index.map_or(1, |it| self.blocks[usize::try_from(it).unwrap()]);
                    json!({ "number": params[0], "timestamp": quantity(time.into()) })
                }
                _ => return Err((-32_601, format!("the method {method} does not exist"))),
            })
        }

        /// Takes signed bytes into the pool, as geth would.
        fn take(&mut self, raw: &[u8]) -> Result<String, (i64, String)> {
            let refused = |text: &str| Err((-32_000, text.to_owned()));
            let hash = encode_hex(&keccak256(raw));
            let (sender, transaction) = read_transaction(raw);
            assert_eq!(sender, self.relayer, "signed by the relayer");
            assert_eq!(transaction.chain_id, CHAIN);
            if transaction.nonce < self.count() {
                return refused("nonce too low");
            }
            let fees = Fees {
                max_fee_per_gas: transaction.max_fee_per_gas,
                max_priority_fee_per_gas: transaction.max_priority_fee_per_gas,
            };
            if self.relayer_balance < fees.worst_cost(transaction.gas_limit) {
                return refused("insufficient funds for gas * price + value");
            }
            if let Some(known) = self.pool.get(&transaction.nonce) {
                if known.hash == hash {
                    return refused("already known");
                }
                let is_more = |new: u128, old: u128| new * 10 >= old * 11;
                let known = &known.transaction;
                if !is_more(transaction.max_fee_per_gas, known.max_fee_per_gas)
                    || !is_more(
                        transaction.max_priority_fee_per_gas,
                        known.max_priority_fee_per_gas,
                    )
                {
                    return refused("replacement transaction underpriced");
                }
            }
            if self.forgets > 0 {
                self.forgets -= 1;
            } else {
                self.pool.insert(transaction.nonce, Pooled { hash: hash.clone(), transaction });
            }
            Ok(hash)
        }
    }

    fn gas_of(to: Address, data: &[u8]) -> u64 {
        let calls = if to == MULTICALL3 {
            read_aggregate3(data).len() as u64
        } else {
            u64::from(!data.is_empty())
        };
        GAS_BASE + GAS_PER_CALL * calls
    }

    fn quantity(number: u128) -> String {
        format!("{number:#x}")
    }

    fn number(value: &Value) -> u128 {
        u128::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
    }

    fn bytes(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        decode_hex_bytes(text, text.len()).unwrap()
    }

    fn word_of(number: u128) -> [u8; 32] {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&number.to_be_bytes());
        word
    }

    fn word_at(data: &[u8], index: usize) -> [u8; 32] {
        data[4 + 32 * index..][..32].try_into().unwrap()
    }

    fn number_at(data: &[u8], index: usize) -> u128 {
        u128::from_be_bytes(word_at(data, index)[16..].try_into().unwrap())
    }

    fn address_at(data: &[u8], index: usize) -> Address {
        Address::new(word_at(data, index)[12..].try_into().unwrap())
    }

    fn size(data: &[u8], at: usize) -> usize {
        let word: [u8; 16] = data[at + 16..][..16].try_into().unwrap();
        u128::from_be_bytes(word).try_into().unwrap()
    }

    fn read_aggregate3(data: &[u8]) -> Vec<(Address, bool, Vec<u8>)> {
        assert_eq!(data[..4], [0x82, 0xad, 0x56, 0xcb], "aggregate3");
        let data = &data[4..];
        let array = size(data, 0);
        let base = array + 32;
        (0..size(data, array))
            .map(|index| {
                let tuple = base + size(data, base + 32 * index);
                let target = Address::new(data[tuple + 12..][..20].try_into().unwrap());
                let call = tuple + size(data, tuple + 64);
                let call_data = data[call + 32..][..size(data, call)].to_vec();
                (target, size(data, tuple + 32) == 1, call_data)
            })
            .collect()
    }

    fn write_results(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
        let mut data = [word_of(0x20), word_of(results.len() as u128)].concat();
        let mut offset = 32 * results.len();
        for (_, returned) in results {
            data.extend(word_of(offset as u128));
            offset += 96 + returned.len().next_multiple_of(32);
        }
        for (success, returned) in results {
            data.extend(word_of((*success).into()));
            data.extend(word_of(0x40));
            data.extend(word_of(returned.len() as u128));
            data.extend(returned);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        data
    }

    /// Reads a signed EIP-1559 transaction and recovers who signed it.
    /// Whether a log has these topics; a list stands for any of its members.
    fn are_these(topics: &Value, wanted: &Value) -> bool {
        let (topics, wanted) = (topics.as_array().unwrap(), wanted.as_array().unwrap());
        topics.iter().zip(wanted).all(|(topic, wanted)| match wanted {
            Value::Array(any) => any.contains(topic),
            one => one == topic,
        })
    }

    pub fn read_transaction(raw: &[u8]) -> (Address, Transaction) {
        let (kind, list) = raw.split_first().unwrap();
        assert_eq!(*kind, 2);
        let (list, rest) = rlp_item(list);
        assert!(rest.is_empty());
        let mut items = vec![];
        let mut rest = list;
        while !rest.is_empty() {
            let (item, after) = rlp_item(rest);
            items.push(item);
            rest = after;
        }
        assert_eq!(items.len(), 12);
        let number = |index: usize| {
            let mut bytes = [0; 16];
            let item: &[u8] = items[index];
            bytes[16 - item.len()..].copy_from_slice(item);
            u128::from_be_bytes(bytes)
        };
        let small = |index: usize| u64::try_from(number(index)).unwrap();
        let transaction = Transaction {
            chain_id: small(0),
            nonce: small(1),
            max_priority_fee_per_gas: number(2),
            max_fee_per_gas: number(3),
            gas_limit: small(4),
            to: Address::new(items[5].try_into().unwrap()),
            data: items[7].to_vec(),
        };
        assert!(items[6].is_empty() && items[8].is_empty(), "no value, no access list");
        let mut signature = [0; 65];
        signature[32 - items[10].len()..32].copy_from_slice(items[10]);
        signature[64 - items[11].len()..64].copy_from_slice(items[11]);
        signature[64] = 27 + u8::try_from(number(9)).unwrap();
        let signature = Signature::from_bytes(&signature).unwrap();
        (signature.recover(&transaction.signing_hash()).unwrap(), transaction)
    }

    /// The content of the first item, and what is behind it.
    fn rlp_item(data: &[u8]) -> (&[u8], &[u8]) {
        let (first, rest) = data.split_first().unwrap();
        let long = |rest: &[u8], count: u8| {
            let length =
                rest[..count.into()].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, usize::from(count))
        };
        let (length, skip) = match *first {
            0..=0x7f => return data.split_at(1),
            0x80..=0xb7 => (usize::from(first - 0x80), 0),
            0xb8..=0xbf => long(rest, first - 0xb7),
            0xc0..=0xf7 => (usize::from(first - 0xc0), 0),
            0xf8.. => long(rest, first - 0xf7),
        };
        rest[skip..].split_at(length)
    }
}
