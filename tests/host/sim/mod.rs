//! A world for a Settler: virtual time, a disk that survives its death, and a
//! chain behind a network that loses things.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::eip712::{self, Domain};
use edge402::evm::{Address, Authorization, Call, Fees, RelayerKey, Transaction};
use edge402::facilitator_client::{Http, HttpAnswer, HttpRequest};
use edge402::payment::Terms;
use edge402::protocol::ChainId;
use edge402::rpc::gate::Gate;
use edge402::rpc::{
    ChainCheck, Expected, Nodes, PostAnswer, TELL_TIMEOUT, Transport, TransportError,
};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::settler::{Lane, LaneParts};
use edge402::settlement::{
    ClaimReply, ClaimRequest, Host, Limits, Outcome, ReleaseRequest, SettleRequest, Settler,
};
use edge402::time::UnixSeconds;
use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

pub mod buyer;
pub mod chain;
pub mod tables;
pub mod time;

pub use buyer::{Answer, Buyer, Kv, Origin, shows};
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
    /// Is never answered, and whoever waits for the answer waits for ever.
    Never,
}

/// Decides about one question of a message instead of the chain.
pub type Hook = Box<dyn FnMut(&str, &str, &Value) -> Option<Result<Value, (i64, &'static str)>>>;

/// Decides about a whole message to a node, instead of the chain.
pub type Temper = Box<dyn FnMut(&str, &Value) -> Option<Result<PostAnswer, TransportError>>>;

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
            limits: Limits { batch_max: 32, ..Limits::default() },
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
    pub temper: RefCell<Option<Temper>>,
    /// What bounds the connections to nodes, if anything does.
    pub gate: RefCell<Option<Rc<Gate>>>,
    /// How many messages were sent to nodes.
    pub posts: Cell<usize>,
    /// What answers HTTP besides the nodes.
    pub web: RefCell<Option<Rc<dyn Web>>>,
    pub log: RefCell<Vec<String>>,
    /// (payment, resource, transaction) of everything that was delivered.
    pub deliveries: RefCell<Vec<(String, String, String)>>,
    /// What KV holds, and until when.
    pub kv: RefCell<BTreeMap<String, (String, UnixSeconds)>>,
    pub kv_does: Cell<Kv>,
    /// How often an origin was asked.
    pub asked: Cell<usize>,
    alarm: Cell<Option<u64>>,
    settler: RefCell<Option<Rc<Settler<SimHost>>>>,
    lane: LaneOf,
    /// The Settler's name: chain and relayer.
    pub name: RefCell<String>,
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
        if std::env::var_os("SIM_LOG").is_some() {
            eprintln!("{:>9} {line}", self.0.clock.now_ms() - time::START_MS);
        }
        self.0.log.borrow_mut().push(line.to_owned());
    }
}

pub struct SimTransport(Rc<World>);

impl Transport for SimTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
        let world = &self.0;
        let gate = world.gate.borrow().clone();
        let _permit = match &gate {
            Some(gate) => Some(gate.enter(timeout).await),
            None => None,
        };
        self.carry(url, body, timeout).await
    }

    async fn tell(&self, url: &str, body: String) -> Result<PostAnswer, TransportError> {
        let gate = self.0.gate.borrow().clone();
        let permit = gate.map(|gate| gate.enter_to_tell().ok_or(TransportError::Unreachable));
        let _permit = permit.transpose()?;
        self.carry(url, body, TELL_TIMEOUT).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.clock.sleep(u64::try_from(duration.as_millis()).unwrap()).await;
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    fn log(&self, line: &str) {
        SimHost(Rc::clone(&self.0)).log(line);
    }
}

impl SimTransport {
    /// Carries a message that has its connection.
    async fn carry(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
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
            Fault::Status(status) => return Ok(PostAnswer { status, body: String::new() }),
            Fault::Garbage => {
                return Ok(PostAnswer { status: 200, body: "<html>busy</html>".into() });
            }
            Fault::Slow => world.clock.sleep(3_000).await,
            Fault::Never => std::future::pending().await,
            _ => {}
        }
        let deadline = world.clock.now_ms() + timeout;
        let message: Value = serde_json::from_str(&body).unwrap();
        let tempered = world.temper.borrow_mut().as_mut().and_then(|temper| temper(url, &message));
        match tempered {
            Some(Err(TransportError::TimedOut)) => {
                world.clock.sleep(timeout).await;
                return Err(TransportError::TimedOut);
            }
            Some(answer) => return answer,
            None => {}
        }
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
        Ok(PostAnswer { status: 200, body: answer.to_string() })
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
            temper: RefCell::default(),
            gate: RefCell::default(),
            posts: Cell::new(0),
            web: RefCell::default(),
            log: RefCell::default(),
            deliveries: RefCell::default(),
            kv: RefCell::default(),
            kv_does: Cell::default(),
            asked: Cell::default(),
            alarm: Cell::new(None),
            settler: RefCell::new(None),
            lane,
            name: RefCell::new(format!("eip155:{CHAIN}/{}", relayer().address())),
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
        let settler = Settler::new(host.clone(), store, |parts| (self.lane)(&host, parts));
        let name = self.name.borrow().clone();
        let settler = Rc::new(settler.named(&name));
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
            former: None,
            proof: shows("the buyer"),
            redeliver_max: 1_000,
            look_only: false,
            told: None,
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
        let origin = if origin_is_good { Origin::Good } else { Origin::Error };
        Buyer { origin, origin_ms, ..Buyer::new(&self, &payment, &resource) }.buy().await
    }

    /// Starts a request to a good and quick origin.
    pub fn start_buy(self: &Rc<Self>, payment: &Payment, resource: &str) -> Handle<Answer> {
        self.start(Rc::clone(self).buy(payment.clone(), resource.into(), 50, true))
    }

    pub fn buy_now(self: &Rc<Self>, payment: &Payment, resource: &str) -> Answer {
        let handle = self.start_buy(payment, resource);
        self.take(&handle)
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
    pub payload: Value,
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
        Self::within(to, payer_number, number, (start - 600, start + valid_for))
    }

    /// One that is valid between two times, in Unix seconds.
    pub fn within(to: Address, payer_number: u8, number: u8, valid: (u64, u64)) -> Self {
        Self::of_amount(AtomicAmount(AMOUNT), to, payer_number, number, valid)
    }

    /// One of another amount.
    pub fn of_amount(
        amount: AtomicAmount,
        to: Address,
        payer_number: u8,
        number: u8,
        valid: (u64, u64),
    ) -> Self {
        let key = payer(payer_number);
        let authorization = Authorization {
            from: key.address(),
            to,
            value: amount.into(),
            valid_after: valid.0.into(),
            valid_before: valid.1.into(),
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
        let terms = edge402::evm::Terms::new(domain(), to, amount, 100_000);
        Self::from_parts(ChainId::Evm(CHAIN), Terms::Evm(terms), &payload, Some(authorization))
    }

    pub fn from_parts(
        network: ChainId,
        terms: Terms,
        payload: &Value,
        authorization: Option<Authorization>,
    ) -> Self {
        let start = UnixSeconds(time::START_MS / 1_000);
        let verified = edge402::payment::verify(payload, &terms, start).unwrap();
        Self {
            id: verified.identity(),
            network,
            terms,
            payload: payload.clone(),
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
            proof: claim.proof.clone(),
            redeliver_seconds: REDELIVER,
            redeliver_max: claim.redeliver_max,
            once: false,
            remote: None,
            account: None,
        }
    }

    pub fn evm(&self) -> edge402::evm::VerifiedPayment {
        let start = UnixSeconds(time::START_MS / 1_000);
        match edge402::payment::verify(&self.payload, &self.terms, start).unwrap() {
            edge402::payment::VerifiedPayment::Evm(payment) => payment,
            edge402::payment::VerifiedPayment::Solana(_) => panic!("not on EVM"),
        }
    }
}
