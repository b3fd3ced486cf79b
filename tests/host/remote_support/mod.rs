//! A facilitator on the simulated chain, and buyers who pay through it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::Address;
use edge402::facilitator_client::{
    About, Facilitator, HttpAnswer, MAX_ANSWER, RemoteFacts, payment_body,
};
use edge402::payment::{self};
use edge402::protocol::requirements::PaymentRequirements;
use edge402::protocol::{ChainId, Version};
use edge402::rpc::{ChainCheck, Expected, Nodes, TransportError};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::remote::RemoteLane;
use edge402::settlement::{ClaimReply, ClaimRequest, Host, Outcome, SettleRequest};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::sim::chain::Chain;
use crate::sim::{
    AMOUNT, Answer, Asked, Buyer, CHAIN, Handle, LaneOf, Payment, Setup, SimHost, Web, World,
    domain, pay_to, relayer, time,
};

pub const KEY: (&str, &str) = ("X-Api-Key", "s3cr3t");

/// What a facilitator does with a request.
#[derive(Clone, Debug)]
pub enum Does {
    /// What it should.
    Well,
    /// What it should, and the answer is lost.
    WellButSilent,
    /// What it should, and then it says something else.
    WellButSays(u16, Value),
    /// Nothing: the request is lost.
    Nothing,
    /// Nothing, and there is no connection.
    Unreachable,
    /// Nothing but say this.
    Says(u16, Value),
    /// Nothing but send more than anybody reads.
    Floods,
}

pub struct SimFacilitator {
    world: Rc<World>,
    /// What it does with requests to settle; after them, what it should.
    pub settles: RefCell<VecDeque<Does>>,
    pub verifies: RefCell<VecDeque<Does>>,
    /// How long each takes it, in milliseconds.
    pub settle_ms: Cell<u64>,
    pub verify_ms: Cell<u64>,
    /// Whether a repeat is answered with what became of the first.
    pub is_idempotent: Cell<bool>,
    done: RefCell<HashMap<String, Value>>,
    pub payments: RefCell<Vec<Payment>>,
    pub asked: RefCell<Vec<Asked>>,
    /// A payment that it says nothing of.
    pub silent_of: RefCell<Option<Payment>>,
}

impl Web for SimFacilitator {
    fn exchange(
        self: Rc<Self>,
        asked: Asked,
    ) -> LocalBoxFuture<'static, Result<HttpAnswer, TransportError>> {
        Box::pin(async move {
            self.asked.borrow_mut().push(asked.clone());
            let (is_settle, queue) = match asked.url.strip_prefix("https://pay.test/v2") {
                Some("/settle") => (true, &self.settles),
                Some("/verify") => (false, &self.verifies),
                _ => panic!("{}", asked.url),
            };
            let does = queue.borrow_mut().pop_front().unwrap_or(Does::Well);
            let takes_ms = if is_settle { &self.settle_ms } else { &self.verify_ms };
            if takes_ms.get() > 0 {
                self.world.clock.sleep(takes_ms.get()).await;
            }
            let is_silent = self.silent_of.borrow().as_ref().is_some_and(|it| {
                let body: Value = serde_json::from_str(asked.body.as_deref().unwrap()).unwrap();
                it.is_signed_in(&body["paymentPayload"]["payload"]["authorization"])
            });
            let does = if is_silent && is_settle { Does::Nothing } else { does };
            let timed_out = || async {
                self.world.clock.sleep(asked.timeout_ms).await;
                Err(TransportError::TimedOut)
            };
            let (status, answer) = match does {
                Does::Nothing => return timed_out().await,
                Does::Unreachable => return Err(TransportError::Unreachable),
                Does::Says(status, answer) => (status, answer),
                Does::Floods => return Ok(HttpAnswer { status: 200, body: None }),
                Does::Well | Does::WellButSilent | Does::WellButSays(..) => {
                    let answer = self.act(&asked, is_settle);
                    match does {
                        Does::WellButSilent => return timed_out().await,
                        Does::WellButSays(status, answer) => (status, answer),
                        _ => (200, answer),
                    }
                }
            };
            let text = answer.to_string();
            let body = (text.len() <= MAX_ANSWER).then_some(text);
            Ok(HttpAnswer { status, body })
        })
    }
}

impl SimFacilitator {
    pub fn new(world: &Rc<World>) -> Rc<Self> {
        let facilitator = Rc::new(Self {
            world: Rc::clone(world),
            settles: RefCell::default(),
            verifies: RefCell::default(),
            settle_ms: Cell::default(),
            verify_ms: Cell::default(),
            is_idempotent: Cell::new(false),
            done: RefCell::default(),
            payments: RefCell::default(),
            asked: RefCell::default(),
            silent_of: RefCell::default(),
        });
        *world.web.borrow_mut() = Some(Rc::<Self>::clone(&facilitator));
        facilitator
    }

    pub fn count(&self, path: &str) -> usize {
        self.asked.borrow().iter().filter(|asked| asked.url.ends_with(path)).count()
    }

    fn act(&self, asked: &Asked, is_settle: bool) -> Value {
        let body: Value = serde_json::from_str(asked.body.as_deref().unwrap()).unwrap();
        let authorization = &body["paymentPayload"]["payload"]["authorization"];
        let key = asked.headers.iter().find(|(name, _)| name == "Idempotency-Key");
        assert_eq!(is_settle, key.is_some());
        if is_settle
            && self.is_idempotent.get()
            && let Some(answer) = self.done.borrow().get(&key.unwrap().1)
        {
            return answer.clone();
        }
        let payments = self.payments.borrow();
        let payment = payments
            .iter()
            .find(|it| it.is_signed_in(authorization))
            .expect("a payment that was presented");
        let now = self.world.clock.now_ms();
        let is_over = self.world.clock.now() >= payment.expires_at;
        let reason = if self.is_used(payment) {
            Some("invalid_exact_evm_nonce_already_used")
        } else if is_over {
            Some("invalid_exact_evm_payload_authorization_valid_before")
        } else {
            None
        };
        match (is_settle, reason) {
            (false, None) => json!({ "isValid": true }),
            (false, Some(reason)) => json!({ "isValid": false, "invalidReason": reason }),
            (true, Some(reason)) => {
                json!({ "success": false, "errorReason": reason, "transaction": "" })
            }
            (true, None) => {
                let hash = self.world.chain.borrow_mut().stranger_sends(payment, now);
                let answer = json!({
                    "success": true, "transaction": hash, "network": "eip155:84532",
                });
                self.done.borrow_mut().insert(key.unwrap().1.clone(), answer.clone());
                answer
            }
        }
    }

    fn is_used(&self, payment: &Payment) -> bool {
        let evm = payment.evm();
        let question = evm.used_question();
        let call = json!([{ "to": question.to, "data": encode_hex(&question.data) }, "latest"]);
        let now = self.world.clock.now_ms();
        let answer = self.world.chain.borrow_mut().answer("eth_call", &call, now).unwrap();
        answer.as_str().unwrap().ends_with('1')
    }
}

pub fn facilitator() -> Facilitator {
    Facilitator {
        url: "https://pay.test/v2".into(),
        headers: vec![(KEY.0.into(), KEY.1.into())],
        auth: None,
        facts: RemoteFacts::default(),
    }
}

fn nodes(host: &SimHost, urls: usize) -> Nodes<<SimHost as Host>::Transport> {
    let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(CHAIN) };
    let urls = (0..urls).map(|number| format!("https://node{number}.test/")).collect();
    Nodes::new(host.transport(), urls, check)
}

/// The lane of a facilitator, with nodes to ask or without.
pub fn lane(with_nodes: bool) -> LaneOf {
    lane_with(usize::from(with_nodes), None)
}

/// The same with so many nodes, of which two must agree above an amount.
pub fn lane_with(urls: usize, quorum_above: Option<u128>) -> LaneOf {
    Box::new(move |host, parts| {
        let above = quorum_above.map(AtomicAmount);
        let nodes = (urls > 0).then(|| (nodes(host, urls), above.into()));
        vec![RemoteLane::new(parts, ChainId::Evm(CHAIN), facilitator(), nodes)]
    })
}

/// A network that a facilitator settles, with nodes to ask or without.
pub fn world(with_nodes: bool) -> (Rc<World>, Rc<SimFacilitator>) {
    world_with(usize::from(with_nodes))
}

/// The same with so many nodes.
pub fn world_with(urls: usize) -> (Rc<World>, Rc<SimFacilitator>) {
    let chain = Chain::new(true, false, relayer().address());
    let world = World::with_lane(chain, lane_with(urls, None));
    let facilitator = SimFacilitator::new(&world);
    (world, facilitator)
}

/// A network of our own with a facilitator to fall back on.
pub fn world_with_fallback() -> (Rc<World>, Rc<SimFacilitator>) {
    world_with_fallback_of(&Setup::default())
}

/// The same with these nodes and limits.
pub fn world_with_fallback_of(setup: &Setup) -> (Rc<World>, Rc<SimFacilitator>) {
    let (limits, urls) = (setup.limits.clone(), setup.urls);
    let chain = Chain::new(true, false, relayer().address());
    let world = World::with_lane(
        chain,
        Box::new(move |host, parts| {
            let (nodes, limits) = (nodes(host, urls), limits.clone());
            let relayers = vec![relayer().address()];
            let lane = EvmLane::new(parts, nodes, CHAIN, relayer(), relayers, limits);
            let fallback = lane.fallback_to(facilitator());
            vec![lane, fallback]
        }),
    );
    let miner = Rc::clone(&world);
    world.clock.spawn(async move {
        loop {
            miner.clock.sleep(2_000).await;
            let now = miner.clock.now_ms();
            miner.chain.borrow_mut().mine(now);
        }
    });
    let facilitator = SimFacilitator::new(&world);
    (world, facilitator)
}

/// Some time, with a block in each minute of it.
pub fn run_with_blocks(world: &World, ms: u64) {
    for _ in 0..ms / 60_000 {
        world.run_for(60_000);
        let now = world.clock.now_ms();
        world.chain.borrow_mut().mine(now);
    }
}

pub fn payment(number: u8) -> Payment {
    Payment::new(number, number, 300)
}

/// A payment to this account, by the payer and with the nonce of this number.
pub fn payment_to(to: Address, number: u8) -> Payment {
    Payment::to(to, number, number, 250)
}

pub fn requirements() -> PaymentRequirements {
    PaymentRequirements::read(&json!({
        "scheme": "exact", "network": "eip155:84532", "amount": AMOUNT.to_string(),
        "asset": domain().verifying_contract, "payTo": pay_to(), "maxTimeoutSeconds": 300,
        "extra": { "name": "USDC", "version": "2" },
    }))
    .unwrap()
}

/// What the gate sends for a payment.
pub fn settle_request(payment: &Payment, claim: &ClaimRequest) -> SettleRequest {
    let start = edge402::time::UnixSeconds(time::START_MS / 1_000);
    let verified = payment::verify(&payment.payload, &payment.terms, start).unwrap();
    let url = "https://shop.example/a?b";
    let mut request = payment.settle_request(claim);
    let about = About::default();
    request.remote = Some(payment_body(Version::V2, &requirements(), None, &verified, url, about));
    request
}

impl SimFacilitator {
    /// A whole request, as the gate makes it on such a network.
    pub async fn buy(self: Rc<Self>, payment: Payment, resource: String) -> Answer {
        self.payments.borrow_mut().push(payment.clone());
        let buyer = Buyer::new(&self.world, &payment, &resource);
        let facilitator = Some((facilitator(), settle_request as fn(&_, &_) -> _));
        Buyer { origin_ms: 0, facilitator, ..buyer }.buy().await
    }

    pub fn start_buy(self: &Rc<Self>, payment: &Payment, resource: &str) -> Handle<Answer> {
        self.world.start(Rc::clone(self).buy(payment.clone(), resource.into()))
    }

    pub fn buy_now(self: &Rc<Self>, payment: &Payment, resource: &str) -> Answer {
        let handle = self.start_buy(payment, resource);
        self.world.take(&handle)
    }

    /// Has the lane settle a payment that only the lane shows to it.
    pub fn settle_directly(
        self: &Rc<Self>,
        payment: &Payment,
        resource: &str,
    ) -> Handle<Option<Outcome>> {
        self.payments.borrow_mut().push(payment.clone());
        let world = Rc::clone(&self.world);
        let claim = world.claim_request(payment, resource);
        assert_eq!(world.claim(&claim), ClaimReply::Fresh);
        let request = settle_request(payment, &claim);
        let asking = Rc::clone(&world);
        world.start(async move {
            asking.ask(|it| async move { it.settle(request).await }).await.map(Result::unwrap)
        })
    }
}
