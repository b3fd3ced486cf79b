//! A gate's request, run by the core's own sequence, and what its buyer sees.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use edge402::config::SettleWhen;
use edge402::facilitator_client::Facilitator;
use edge402::meter::Counter;
use edge402::protocol::Reason;
use edge402::purchase::by_use::follow_counted;
use edge402::purchase::{self, Counted, End, Goods, Order, Tariff};
use edge402::settlement::journal::TxId;
use edge402::settlement::{
    ClaimRequest, Metered, Proof, SettleRequest, Settlement, Sold, StoreError, Unpaid, Wanted,
};
use edge402::time::UnixSeconds;
use futures_util::future::select;

use super::{Handle, Payment, World};

/// What a buyer sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Delivered(Settlement),
    Refused(Reason),
    /// With the transaction, if one is known.
    Pending(Option<String>),
    Busy,
    IdentifierTaken,
    Unavailable,
    /// Too many are before it: to come again in so many seconds.
    Crowded(u64),
    /// The origin did not deliver; nothing was charged.
    Released,
    /// It was charged, and the origin did not deliver.
    NotDelivered,
    /// It was charged, and is to be fetched by cookie.
    Promised(Settlement),
    /// It goes out, and is counted.
    Counted,
    /// The Settler died, or its disk failed.
    Broken,
}

impl Answer {
    pub fn is_delivery(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }
}

/// What an origin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Good,
    /// The same, and answers with all of it where a range is asked for.
    Rangeless,
    /// The same as `Good`, but a later version of it.
    Changed(u64),
    /// Ranges of something that has no version.
    Unversioned,
    Error,
    Down,
    /// Says that it is elsewhere: the resource, if the payment is good there.
    Elsewhere(Option<&'static str>),
}

/// What KV does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kv {
    #[default]
    Well,
    /// Reads fail, or are as old as before the payment.
    Unread,
    /// Writes fail.
    Unwritten,
}

/// A client that shows this besides its payment.
pub fn shows(client: &str) -> Proof {
    Proof { identifier: None, client: Some(client.into()) }
}

/// What a facilitator is asked to settle.
pub type HowToSettle = fn(&Payment, &ClaimRequest) -> SettleRequest;

/// One request, and how the world treats it.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Buyer {
    pub world: Rc<World>,
    pub payment: Payment,
    pub resource: String,
    pub former: Option<String>,
    pub proof: Proof,
    pub redeliver_max: u32,
    pub redeliver_seconds: u64,
    pub when: SettleWhen,
    pub origin: Origin,
    pub origin_ms: u64,
    /// For how long the answer streams.
    pub stream_ms: u64,
    /// Whether the answer breaks off then.
    pub breaks: bool,
    /// Whether the gate dies when the answer has begun.
    pub dies: bool,
    /// Whether a cookie is preferred to the goods.
    pub prefers_minimal: bool,
    /// What a cookie is shown for, in place of the payment.
    pub by_cookie: Option<Wanted>,
    /// Whether another site's page has the browser ask.
    pub by_other_site: bool,
    pub facilitator: Option<(Facilitator, HowToSettle)>,
    /// How it is charged, if by use, and what the seller risks.
    pub by_use: Option<(Tariff, Metered)>,
    /// The origin's `Settlement-Overrides`.
    pub overrides: Option<String>,
    /// What is counted: one piece after the other, each after `stream_ms`.
    pub pieces: Vec<&'static str>,
    /// The Settler that the purchase is at: another one than its own, by number.
    pub at: Cell<Option<usize>>,
    /// Whether the last answer had a grant.
    pub granted: Rc<Cell<bool>>,
    /// What the origin was told each time: the transaction that has paid, if one had.
    pub told: Rc<RefCell<Vec<Option<String>>>>,
    /// What the Settler said, where the gate says less.
    pub said: Rc<RefCell<Option<Answer>>>,
}

impl Buyer {
    pub fn new(world: &Rc<World>, payment: &Payment, resource: &str) -> Self {
        Self {
            world: Rc::clone(world),
            payment: payment.clone(),
            resource: resource.into(),
            former: None,
            proof: shows("the buyer"),
            redeliver_max: 1_000,
            redeliver_seconds: super::REDELIVER,
            when: SettleWhen::After,
            origin: Origin::Good,
            origin_ms: 50,
            stream_ms: 0,
            breaks: false,
            dies: false,
            prefers_minimal: false,
            by_cookie: None,
            by_other_site: false,
            facilitator: None,
            by_use: None,
            overrides: None,
            pieces: vec![],
            at: Cell::default(),
            granted: Rc::default(),
            told: Rc::default(),
            said: Rc::default(),
        }
    }

    /// The same request by somebody who has seen nothing but the payment.
    #[must_use]
    pub fn observer(&self) -> Self {
        Self { proof: shows("an observer"), granted: Rc::default(), ..self.clone() }
    }

    /// The same browser, with its cookie.
    #[must_use]
    pub fn with_cookie(&self, wanted: Wanted) -> Self {
        Self { by_cookie: Some(wanted), proof: Proof::default(), ..self.clone() }
    }

    pub fn order(&self) -> Order {
        let mut claim = self.world.claim_request(&self.payment, &self.resource);
        claim.former.clone_from(&self.former);
        claim.proof = self.proof.clone();
        claim.redeliver_max = self.redeliver_max;
        let mut settle = match &self.facilitator {
            Some((_, request)) => request(&self.payment, &claim),
            None => self.payment.settle_request(&claim),
        };
        settle.proof = claim.proof.clone();
        claim.to_prove = claim.to_prove.map(|_| settle.clone().into());
        settle.redeliver_seconds = self.redeliver_seconds;
        settle.metered = self
            .by_use
            .as_ref()
            .and_then(|(by_use, metered)| by_use.meter.is_some().then(|| metered.clone()));
        claim.unpaid = self.by_use.as_ref().map(|(by_use, metered)| Unpaid {
            payer: self.payment.verified().payer(),
            route: metered.route.clone(),
            asset: self.payment.terms.asset(),
            payer_max: metered.payer_max,
            route_max: metered.route_max,
            is_metered: by_use.meter.is_some(),
        });
        settle.unpaid.clone_from(&claim.unpaid);
        if let Some((_, metered)) = &self.by_use {
            settle.sold = Some(Sold::at_gate(2, &metered.route, &claim.resource, "GET"));
        }
        if self.when == SettleWhen::After && self.by_use.is_none() && self.facilitator.is_none() {
            claim.to_prepare = claim.to_prove.is_none().then(|| settle.clone().into());
        }
        Order {
            claim,
            settle: settle.into(),
            when: self.when,
            has_facilitator: self.facilitator.is_some(),
            too_late: Reason::EvmValidBefore,
            prefers_minimal: self.prefers_minimal,
            tariff: self.by_use.as_ref().map(|(tariff, _)| tariff.clone()),
        }
    }

    /// The whole request, as the gate makes it.
    pub async fn buy(mut self) -> Answer {
        let order = self.order();
        self.said = Rc::default();
        self.at = Cell::default();
        self.granted.set(false);
        if let Some(wanted) = self.by_cookie {
            let claim = ClaimRequest {
                by_cookie: Some(wanted),
                by_other_site: self.by_other_site,
                expires_at: UnixSeconds(0),
                look_only: true,
                ..order.claim
            };
            let end = purchase::collect(&self, &claim).await;
            return self.told(end, claim);
        }
        let end = purchase::run(&self, &order).await;
        self.told(end, order.claim)
    }

    fn told(self, end: End<Origin>, claim: ClaimRequest) -> Answer {
        match end {
            End::Deliver(goods) => self.deliver(claim, goods),
            End::Promised(settlement) => Answer::Promised(settlement),
            End::Counted(_, goods) => self.count(goods),
            End::NotCharged(_) | End::OriginDown(None) => Answer::Released,
            End::OriginDown(Some(_)) => Answer::NotDelivered,
            End::Refused { reason, .. } => Answer::Refused(reason),
            End::Pending(transaction) => Answer::Pending(Some(transaction)),
            End::NameTaken => Answer::IdentifierTaken,
            End::Crowded(seconds) => Answer::Crowded(seconds),
            End::TryAgain(_) => self.said.take().unwrap_or(Answer::Unavailable),
        }
    }

    pub fn start(&self) -> Handle<Answer> {
        self.world.start(self.clone().buy())
    }

    pub fn now(&self) -> Answer {
        let handle = self.start();
        self.world.take(&handle)
    }

    fn deliver(self, claim: ClaimRequest, goods: Goods<Origin>) -> Answer {
        if !purchase::World::is_goods(&self, &goods.answer) {
            return Answer::NotDelivered;
        }
        let settlement = goods.settlement;
        let delivery =
            (self.payment.id.clone(), self.resource.clone(), settlement.transaction.clone());
        self.world.deliveries.borrow_mut().push(delivery);
        self.granted.set(goods.may_grant);
        if goods.is_followed && !self.dies {
            let world = Rc::clone(&self.world);
            world.clock.spawn(async move {
                let is_whole = async {
                    self.world.clock.sleep(self.stream_ms).await;
                    !self.breaks
                };
                purchase::follow(&self, &claim, is_whole).await;
            });
        }
        Answer::Delivered(settlement)
    }

    /// Sends the goods piece by piece. A gate that dies does so after the last.
    fn count(self, goods: Box<Counted>) -> Answer {
        let world = Rc::clone(&self.world);
        let delivery = (self.payment.id.clone(), self.resource.clone(), String::new());
        world.deliveries.borrow_mut().push(delivery);
        let meter = goods.tariff.meter.as_ref().unwrap();
        let counter = Rc::new(RefCell::new(Counter::new(&meter.what, "text/event-stream")));
        let reading = Rc::clone(&counter);
        world.clock.spawn(async move {
            let is_over = async {
                for piece in &self.pieces {
                    self.world.clock.sleep(self.stream_ms).await;
                    counter.borrow_mut().take(piece.as_bytes());
                }
                if self.dies {
                    std::future::pending::<()>().await;
                }
            };
            let dead = async {
                let pieces = u64::try_from(self.pieces.len()).unwrap();
                self.world.clock.sleep(pieces * self.stream_ms + 1).await;
                if !self.dies {
                    std::future::pending::<()>().await;
                }
            };
            let follow = follow_counted(&self, &goods, move || reading.borrow().reading(), is_over);
            select(pin!(follow), pin!(dead)).await;
        });
        Answer::Counted
    }

    /// The world around the Settler that the purchase is at.
    pub(super) fn place(&self) -> Rc<World> {
        let others = self.world.others.borrow();
        let place = self.at.get().map_or(&self.world, |number| &others[number]);
        Rc::clone(place)
    }

    pub(super) fn heard<T>(&self, reply: Option<Result<T, StoreError>>) -> Result<T, String> {
        reply.and_then(Result::ok).ok_or_else(|| {
            *self.said.borrow_mut() = Some(Answer::Broken);
            "broken".to_owned()
        })
    }
}

pub(super) fn pending(transaction: Option<&TxId>) -> Answer {
    Answer::Pending(transaction.cloned().map(TxId::into_string))
}
