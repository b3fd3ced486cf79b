//! What is answered at `/.edge402/desk/state`: what the seller's keys have, what
//! waits or is stuck, and what stands in the way of a sale.

use crate::json::{Always, ToJson, write_object};
use crate::protocol::ChainId;
use crate::protocol::coin;
use crate::settlement::standing::{Standing, Waiting};

/// Where it is read.
pub const STATE_PATH: &str = "/.edge402/desk/state";

/// How many payments that wait are told of.
const WAITING: usize = 200;

/// How all Settlers stand.
#[derive(Debug, Default)]
pub struct DeskState {
    keys: Vec<Key>,
    waiting: Vec<Line>,
    is_cut: bool,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Key {
    network: ChainId,
    address: String,
    balance: Option<String>,
    sales_left: Option<u64>,
}

#[derive(Debug)]
struct Line(ChainId, Waiting);

impl ToJson for Key {
    fn write_json(&self, to: &mut String) {
        let id = self.network;
        let symbol = coin::known_symbol(id);
        write_object(
            &[
                ("network", &id),
                ("role", &id.signer_title()),
                ("address", &self.address),
                ("balance", &Always(&self.balance)),
                ("decimals", &id.coin_decimals()),
                ("symbol", &Always(&symbol)),
                ("sales_left", &Always(&self.sales_left)),
            ],
            to,
        );
    }
}

impl ToJson for Line {
    fn write_json(&self, to: &mut String) {
        let Self(network, it) = self;
        write_object(
            &[
                ("network", network),
                ("payment", &it.payment),
                ("payer", &Always(&it.payer)),
                ("since", &it.since),
                ("transaction", &Always(&it.transaction)),
                ("state", &it.state),
                ("reason", &it.reason),
                ("remedy", &it.remedy),
            ],
            to,
        );
    }
}

impl DeskState {
    /// Adds what a Settler has said. `key`: the address of the key that signs
    /// there, if one does; what a key can't do that signs no more is no problem.
    pub fn add(&mut self, network: ChainId, key: Option<&str>, said: Standing) {
        let Standing { balance, sales_left, waiting, is_cut, problems } = said;
        self.waiting.extend(waiting.into_iter().map(|waiting| Line(network, waiting)));
        self.is_cut |= is_cut;
        if let Some(address) = key {
            self.keys.push(Key { network, address: address.to_owned(), balance, sales_left });
            self.problems.extend(problems);
        }
    }

    /// Adds something that stands in the way of a sale.
    pub fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The answer, as JSON: what has waited longest first.
    pub fn answer(mut self) -> String {
        self.waiting.sort_by_key(|Line(_, it)| it.since);
        self.is_cut |= self.waiting.len() > WAITING;
        self.waiting.truncate(WAITING);
        let mut text = String::new();
        write_object(
            &[
                ("keys", &self.keys),
                ("waiting", &self.waiting),
                ("cut", &self.is_cut),
                ("problems", &self.problems),
            ],
            &mut text,
        );
        text
    }
}
