//! What a change of the signers leaves behind: Settlers of former ones.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use edge402::rpc::{ChainCheck, Expected, Nodes};
use edge402::settlement::evm::EvmLane;
use edge402::settlement::signer::Signer;
use edge402::settlement::{Host as _, Limits};

use super::payment::relayer;
use super::{CHAIN, LaneOf, World};

/// The lane of a Settler whose key is there or not.
fn lane(has_key: bool) -> LaneOf {
    Box::new(move |host, parts| {
        let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(CHAIN) };
        let nodes = Nodes::new(host.transport(), vec!["https://node0.test/".into()], check);
        let address = relayer().address();
        let signer = if has_key { relayer().into() } else { Signer::retired(address) };
        vec![EvmLane::new(parts, nodes, CHAIN, signer, vec![address], Limits::default())]
    })
}

impl World {
    /// Replaces the signer: this world's Settler begins anew, with empty tables,
    /// and another one has what it had. Requests ask that as well. What asks the
    /// other one alone is a version of the Worker that still has the former
    /// signer, if `has_key`.
    pub fn replace_signer(self: &Rc<Self>, has_key: bool) -> Rc<Self> {
        self.move_from(lane(has_key))
    }

    /// The same for a move from what this lane is made of.
    pub fn move_from(self: &Rc<Self>, lane: LaneOf) -> Rc<Self> {
        self.crash();
        let other = Rc::new(Self {
            clock: Rc::clone(&self.clock),
            tables: Rc::new(self.tables.take()),
            chain: Rc::clone(&self.chain),
            faults: RefCell::default(),
            hook: RefCell::default(),
            temper: RefCell::default(),
            gate: RefCell::default(),
            posts: Cell::default(),
            web: RefCell::default(),
            log: RefCell::default(),
            deliveries: RefCell::default(),
            kv: RefCell::default(),
            kv_does: Cell::default(),
            asked: Cell::default(),
            alarm: super::host::SimAlarm::default(),
            settler: RefCell::default(),
            lane,
            others: RefCell::default(),
            name: RefCell::new("the former one".into()),
            // Tickets are random.
            next_ticket: Cell::new(1_000_000),
        });
        // It comes to life by its alarm.
        other.settler();
        self.others.borrow_mut().push(Rc::clone(&other));
        other
    }
}
