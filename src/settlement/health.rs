//! How a Settler is doing: what the seller is told of it, and what stands in
//! the way of a sale.

use std::cell::Cell;
use std::time::Duration;

use super::Host;
use super::condition::Obstacle;
use super::host::within;
use super::lane::Load;
use super::shared::Shared;
use crate::json_struct;
use crate::rpc::{ErrorKind, Unavailable, UrlFailure};
use crate::time::UnixSeconds;

/// For how long what a look at the chain found is told again without another
/// one, in seconds; and for how long that it failed.
const LOOK_SECONDS: u64 = 10;
const FAILED_LOOK_SECONDS: u64 = 5;

/// How long somebody who asks waits for a look.
const LOOK_LIMIT: Duration = Duration::from_secs(12);

/// A look that takes longer than this has died with its request, in seconds.
const LOST_LOOK_SECONDS: u64 = 60;

/// How often a low balance is written to the log, in seconds; and how often
/// that nothing can be sold.
const LOW_REPORT_SECONDS: u64 = 3_600;
const REPORT_SECONDS: u64 = 60;

/// Who waits for a look, among those who wait for payments.
const LOOK: &str = "look";

/// How a Settler is doing. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The relayer's balance when it was last looked at, in wei or lamports.
    pub balance: Option<String>,
    /// Whether that is below what the seller wants.
    pub low_balance: bool,
    /// What was spent on fees today (UTC), in wei or lamports.
    pub spent_today: String,
    /// How many payments wait to be sent.
    pub waiting: usize,
    /// How many transactions are in the air.
    pub in_air: usize,
    /// What stands in the way of a sale, in words: the configuration's key
    /// first. No host, because the name of a node may be part of a secret.
    pub problems: Vec<String>,
}

json_struct!(Health { balance = null, low_balance, spent_today, waiting, in_air, problems = default });

impl<H: Host> Shared<H> {
    /// Takes note of the relayer's balance, in wei or lamports: so a node has
    /// answered.
    pub(super) fn note_balance(&self, balance: u128, low: Option<u128>) {
        let (condition, now) = (&self.condition, self.host.now());
        condition.balance.set(Some(balance));
        condition.looked_at.set(now.0);
        condition.obstacles.borrow_mut().remove(&Obstacle::Nodes);
        let is_low = low.filter(|low| balance < *low);
        condition.is_low.set(is_low.is_some());
        if let Some(low) = is_low
            && now.since(UnixSeconds(condition.low_reported_at.get())) >= LOW_REPORT_SECONDS
        {
            condition.low_reported_at.set(now.0);
            self.host.log(&format!(
                "{}.low_balance: {}; send at least {}",
                condition.key(),
                condition.holdings(balance),
                condition.coins(low - balance),
            ));
        }
    }

    /// Takes note of what must be there for one payment, and of what each
    /// further one may cost, in wei or lamports.
    pub(super) fn note_need(&self, need: u128, each: u128) {
        self.condition.need.set(Some((need, each)));
        if let Some(problem) = self.condition.poverty() {
            self.report(&problem);
        }
    }

    /// Takes note of what stands in the way of a sale, in words that anybody
    /// may read, or that it does so no more.
    pub(super) fn note_obstacle(&self, obstacle: Obstacle, problem: Option<String>) {
        let mut obstacles = self.condition.obstacles.borrow_mut();
        match problem {
            Some(problem) => {
                let key = obstacle.key();
                let problem = format!("{}.{key}: {problem}", self.condition.key());
                obstacles.insert(obstacle, problem)
            }
            None => obstacles.remove(&obstacle),
        };
    }

    /// Takes note that no node has told the balance.
    pub(super) fn note_blindness(&self, why: &Unavailable) {
        self.condition.failed_at.set(self.host.now().0);
        self.note_obstacle(Obstacle::Nodes, Some(public_words(why)));
        // The log is the seller's: hosts may stand there.
        self.report(&format!("{}.rpc: {why}", self.condition.key()));
    }

    /// Says what is left of a key that the configuration holds no more.
    pub(super) fn report_retired(&self, secret: &str, in_air: usize) {
        if in_air > 0 {
            let name = self.condition.name.get().map_or("", String::as_str);
            self.report(&format!(
                "{secret} holds no key for {name} any more: {in_air} of its transactions are \
                 followed and sent again, but not replaced by better paid ones"
            ));
        }
    }

    /// Writes to the log what keeps a sale from being made, once in a while.
    fn report(&self, problem: &str) {
        let (condition, now) = (&self.condition, self.host.now());
        if now.since(UnixSeconds(condition.reported_at.get())) >= REPORT_SECONDS {
            condition.reported_at.set(now.0);
            self.host.log(problem);
        }
    }

    /// Has somebody look at the chain, unless what is known is new enough or
    /// somebody looks already; then waits for that look.
    pub(super) async fn look_by(
        &self,
        look: impl Future<Output = ()> + 'static,
        done: impl FnOnce() + 'static,
    ) {
        let (condition, now) = (&self.condition, self.host.now());
        let is_recent = |at: &Cell<u64>, seconds| now.since(UnixSeconds(at.get())) < seconds;
        if is_recent(&condition.looked_at, LOOK_SECONDS)
            || is_recent(&condition.failed_at, FAILED_LOOK_SECONDS)
        {
            return;
        }
        let seen = self.change_of(LOOK);
        if !is_recent(&condition.looking_since, LOST_LOOK_SECONDS) {
            condition.looking_since.set(now.0);
            self.host.spawn(async move {
                look.await;
                done();
            });
        }
        let _ = within(&self.host, LOOK_LIMIT, seen).await;
    }

    /// A look is over: whoever waits for it may go on.
    pub(super) fn end_look(&self) {
        self.condition.looking_since.set(0);
        self.tell(LOOK);
    }

    /// How things are, with what a lane has to do.
    pub(super) fn health(&self, Load { waiting, in_air, daily_spend }: Load) -> Health {
        let condition = &self.condition;
        let spent = self.spent_today();
        let mut problems: Vec<String> = condition.obstacles.borrow().values().cloned().collect();
        problems.extend(condition.poverty());
        if let Some(limit) = daily_spend
            && spent.saturating_add(condition.need.get().map_or(0, |(_, each)| each)) > limit
        {
            problems.push(format!(
                "{}.daily_spend: {} of {} are spent; nothing more is sent until midnight UTC",
                condition.key(),
                condition.coins(spent),
                condition.coins(limit),
            ));
        }
        Health {
            balance: condition.balance.get().map(|balance| balance.to_string()),
            low_balance: condition.is_low.get(),
            spent_today: spent.to_string(),
            waiting,
            in_air,
            problems,
        }
    }
}

/// Why no node could be used, without their names.
fn public_words(why: &Unavailable) -> String {
    let mut wrong_chains = vec![];
    let (mut silent, mut limited) = (0_usize, 0_usize);
    for (_, failure) in &why.failures {
        match failure {
            UrlFailure::WrongChain(_, named) => wrong_chains.push(named.as_str()),
            UrlFailure::NotJsonRpc(429, _) => limited += 1,
            UrlFailure::Refused(error) if error.kind("eth_call") == ErrorKind::Limit => {
                limited += 1;
            }
            _ => silent += 1,
        }
    }
    let mut words = vec![];
    if silent > 0 {
        words.push(format!("{silent} can't be reached or can't be understood"));
    }
    if limited > 0 {
        words.push(format!("{limited} at their rate limit"));
    }
    if !wrong_chains.is_empty() {
        words.push(format!(
            "{} of another chain ({})",
            wrong_chains.len(),
            wrong_chains.join(", ")
        ));
    }
    format!("of {} nodes none can be used: {}", why.failures.len(), words.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rpc::{RpcError, TransportError};

    #[test]
    fn nodes_are_told_of_by_what_they_lack_and_without_their_names() {
        let silent = || UrlFailure::Transport(TransportError::TimedOut);
        let limited = || UrlFailure::NotJsonRpc(429, "slow down".into());
        let error = |code, message: &str| {
            let message = message.to_owned();
            UrlFailure::Refused(RpcError { code, message, data: Some(json!(null)) })
        };
        let other = || UrlFailure::WrongChain("0x1".into(), "0x2105".into());
        for (failures, words) in [
            (
                vec![silent()],
                "of 1 nodes none can be used: 1 can't be reached or can't be understood",
            ),
            (
                vec![limited(), error(-32_005, "rate limited")],
                "of 2 nodes none can be used: 2 at their rate limit",
            ),
            (vec![other()], "of 1 nodes none can be used: 1 of another chain (0x2105)"),
            (
                vec![silent(), limited(), other()],
                "of 3 nodes none can be used: 1 can't be reached or can't be understood, 1 at \
                 their rate limit, 1 of another chain (0x2105)",
            ),
            (
                vec![error(-32_603, "internal error")],
                "of 1 nodes none can be used: 1 can't be reached or can't be understood",
            ),
        ] {
            let failures = failures.into_iter().map(|it| ("a.example".to_owned(), it)).collect();
            let why = Unavailable { network: "eip155:8453".into(), failures };
            assert_eq!(public_words(&why), words);
        }
    }
}
