//! What a world is like, and what happens to its messages.

use std::cell::RefCell;
use std::rc::Rc;

use edge402::rpc::{PostAnswer, TransportError};
use edge402::settlement::settler::LaneParts;
use edge402::settlement::{Lane, Limits};
use serde_json::Value;

use super::SimHost;

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

/// What makes the lanes of each life.
pub type LaneOf = Box<dyn Fn(&SimHost, LaneParts<SimHost>) -> Vec<Rc<dyn Lane>>>;

/// What becomes of something that was started, when it is done.
pub type Handle<T> = Rc<RefCell<Option<T>>>;
