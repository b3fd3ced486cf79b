//! A world for a Settler: virtual time, a disk that survives its death, and a
//! chain behind a network that loses things.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;

use edge402::rpc::gate::Gate;
use edge402::rpc::{ChainCheck, Expected, Nodes, TransportError};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::{ClaimReply, ClaimRequest, Host, Outcome, ReleaseRequest, Settler};
use edge402::time::UnixSeconds;
use futures_channel::oneshot;
use serde_json::{Value, json};

pub mod buyer;
pub mod chain;
pub mod host;
pub mod payment;
mod purchase_world;
pub mod rotation;
pub mod setup;
pub mod tables;
pub mod time;
pub mod transport;

pub use buyer::{Answer, Buyer, Kv, Origin, shows};
use chain::Chain;
pub use host::SimHost;
pub use payment::*;
pub use setup::{Fault, Handle, Hook, LaneOf, Setup, Temper};
use tables::{SimStore, Tables};
use time::Clock;
pub use transport::{Asked, SimTransport, Web};

pub const CHAIN: u64 = 84_532;
pub const AMOUNT: u128 = 10_000;
pub const REDELIVER: u64 = 600;

/// How long a node holds `eth_sendRawTransactionSync`, in milliseconds.
const SYNC_HOLD: u64 = 15_000;

pub struct World {
    pub clock: Rc<Clock>,
    pub tables: Rc<Tables>,
    pub chain: Rc<RefCell<Chain>>,
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
    pub alarm: host::SimAlarm,
    settler: RefCell<Option<Rc<Settler<SimHost>>>>,
    lane: LaneOf,
    /// Other Settlers that payments may have belonged to.
    pub others: RefCell<Vec<Rc<World>>>,
    /// The Settler's name: chain and relayer.
    pub name: RefCell<String>,
    next_ticket: Cell<u64>,
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
                vec![EvmLane::new(
                    parts,
                    nodes,
                    CHAIN,
                    relayer(),
                    vec![relayer().address()],
                    setup.limits.clone(),
                )]
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
            chain: Rc::new(RefCell::new(chain)),
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
            alarm: host::SimAlarm::default(),
            settler: RefCell::new(None),
            lane,
            others: RefCell::default(),
            name: RefCell::new(format!("eip155:{CHAIN}/{}", relayer().address())),
            next_ticket: Cell::new(1),
        })
    }

    /// The Settler, made and woken when there is none alive.
    pub fn settler(self: &Rc<Self>) -> Rc<Settler<SimHost>> {
        if let Some(settler) = &*self.settler.borrow() {
            return Rc::clone(settler);
        }
        let (host, store) = (SimHost::of_new_life(self), SimStore::of_new_life(&self.tables));
        let settler = Settler::new(host.clone(), store, |parts| (self.lane)(&host, parts));
        let keep = tables::KEEP + self.tables.kept_longer.get();
        let settler = Rc::new(settler.named(&self.name.borrow()).keeping_sales(keep));
        *self.settler.borrow_mut() = Some(Rc::clone(&settler));
        // On a broken disk the next question fails as well.
        let _ = settler.wake();
        settler
    }

    /// The Settler and its tasks die; what asked it survives, and disk, alarm and chain.
    pub fn crash(&self) {
        *self.settler.borrow_mut() = None;
        self.clock.kill();
        self.tables.die();
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
        payment.to_prove(ClaimRequest {
            payment: payment.id.clone(),
            resource: resource.into(),
            ticket: self.ticket(),
            expires_at: payment.expires_at,
            former: None,
            proof: shows("the buyer"),
            by_cookie: None,
            by_other_site: false,
            only_here: false,
            redeliver_max: 1_000,
            look_only: false,
            reserve_seconds: None,
            told: None,
            to_prove: None,
            to_prepare: None,
            asker: None,
            unpaid: None,
        })
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
        self.take(&self.start_buy(payment, resource))
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
