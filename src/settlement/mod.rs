//! From a verified payment to money in the seller's account, once.
//!
//! One [`Settler`] exists in the world for each relayer of each chain. It owns
//! the claims on payments, the relayer's nonces and the journal of what was
//! sent. All of it is written against [`Host`] and [`Store`], so it runs on
//! the host in tests as it runs in a Durable Object.
//!
//! | module | what |
//! |---|---|
//! | [`types`] | words that these have in common |
//! | [`record`] | the life of one payment, as a pure state machine |
//! | [`delivery`] | who gets what was paid for, as another |
//! | [`journal`] | what is sent, as it is written down before |
//! | [`store`] | what a Settler keeps on disk |
//! | [`recent`] | and of that in memory |
//! | [`sales`] | the ledger: what is kept of each sale |
//! | [`messages`] | what the gate asks of a Settler |
//! | `outcome` | what an order comes to |
//! | [`settler`] | who settles what |
//! | `claims` | claims, and what is given out for what was settled |
//! | [`hold`] | what the gate asks for what is sold by use |
//! | [`metered`] | holding a payment for that, and settling what was used |
//! | `unsettled` | what is at stake meanwhile |
//! | `unpaid` | what was used and is charged to nobody |
//! | `admission` | signatures that only the chain can judge |
//! | `proving` | how many of those are before the nodes |
//! | `waiting` | requests that wait for one another |
//! | `shared` | what a Settler and its lanes share |
//! | `live` | who holds claims at this moment |
//! | [`ledger`] | what a sale comes to for it |
//! | `fees` | what was spent on payments under way |
//! | [`lines`] | lines of the log that anybody can bring about |
//! | [`standing`] | what the seller alone is told of a Settler |
//! | [`sums`] | sums of the sales |
//! | [`lane`] | what a way for payments is |
//! | [`evm`], [`solana`] | getting payments onto a chain |
//! | `evidence` | what counts as proof that a payment was made on EVM |
//! | `search` | who used a payment, looked for in the logs |
//! | [`remote`] | having them settled by somebody else's facilitator |
//! | [`budget`] | what may be spent on fees, and what is set aside of it |
//! | `throttle` | payers whose payments fail on chain |
//! | `commitments` | what payments under way commit their payers and the key to |
//! | `per_token` | bounds that are another number for each token |
//! | `condition` | what a Settler remembers of its own condition |
//! | [`health`] | how a Settler is doing |
//! | [`relayer`] | which Settler a payment goes to |
//! | [`others`] | what those say that it went to before the signers were changed |
//! | [`signer`] | who signs for a lane |
//! | [`replay`] | what every edge remembers of a settled payment |

mod admission;
mod ahead;
pub mod alarm;
pub mod budget;
mod claims;
mod closing;
mod commitments;
mod condition;
pub mod delivery;
mod evidence;
pub mod evm;
mod fees;
pub mod health;
pub mod hold;
pub mod host;
pub mod journal;
pub mod kept;
pub mod lane;
pub mod ledger;
pub mod lines;
mod live;
pub mod messages;
pub mod metered;
pub mod others;
pub mod outbox;
mod outcome;
mod per_token;
pub mod points;
mod proving;
pub mod quota;
pub mod recent;
pub mod record;
pub mod relayer;
pub mod remote;
pub mod replay;
pub mod sales;
mod search;
pub mod settler;
mod shared;
pub mod signer;
pub mod solana;
pub mod standing;
pub mod store;
pub mod sums;
mod throttle;
pub mod types;
mod unpaid;
mod unsettled;
mod waiters;
mod waiting;

pub use budget::Limits;
pub use delivery::Delivery;
pub(crate) use evidence::ask_agreed;
pub use health::Health;
pub use hold::{HoldReply, Metered, Unpaid, UseReport};
pub use host::Host;
pub use journal::Entry;
pub use lane::Lane;
pub use messages::{
    ClaimReply, ClaimRequest, DeliveryReport, ReleaseRequest, RenewRequest, SettleRequest,
};
pub use outcome::{Outcome, Verdict};
pub use per_token::{PerToken, TokenKey};
pub use record::{PaymentRecord, State};
pub use sales::{Sale, SalesQuery, Sold};
pub use settler::Settler;
pub use store::{Store, StoreError};
pub use types::{Ending, Proof, Settlement, Wanted};
