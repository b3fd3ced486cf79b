//! What the chain says before anything is sent.

use serde_json::Value;

use super::{EvmLane, cost_of_each};
use crate::evm::{
    self, BlockTag, Call as EvmCall, Facts, Fees, GAS_PER_TRANSACTION, MULTICALL3, TipLimits,
    json_rpc,
};
use crate::json::json;
use crate::rpc::{Call, ErrorKind, Reply, Unavailable};
use crate::settlement::{Host, SettleRequest, StoreError, Verdict};
use crate::time::UnixSeconds;

/// What `eth_call` may return for one payment's check: about 256 bytes for
/// each of its calls.
const MAX_CHECK_BYTES: usize = 3 * 1024;

/// For how long after its `validAfter` a payment may be too new for the latest
/// block, in seconds: longer than blocks take.
const NEW_SECONDS: u64 = 60;

/// For how long a lack that one node showed is believed, in seconds.
const LACK_SECONDS: u64 = 600;

/// JSON-RPC's code for parameters that the method does not take.
const INVALID_PARAMS: i64 = -32_602;

/// About what USDC needs.
const LEAST_GAS: u64 = 20_000;
const LEAST_GAS_PER_PAYMENT: u64 = 60_000;

/// The least gas that a transaction with this many payments is given, however
/// little a node calls enough: what is not used is not paid.
pub(super) fn least_gas(payments: usize) -> u64 {
    let payments = u64::try_from(payments).unwrap_or(u64::MAX);
    payments.saturating_mul(LEAST_GAS_PER_PAYMENT).saturating_add(LEAST_GAS)
}

/// What the chain says before anything is sent.
pub(super) struct Preview {
    pub fees: Fees,
    /// One for each payment, in their order.
    pub facts: Vec<Facts>,
    /// The gas limit for all of them; `None` if the node gives no estimate.
    pub gas: Option<u64>,
    /// The block that all this is true of.
    pub block: u64,
    /// Its time, where a payment may be too new for it.
    pub time: Option<UnixSeconds>,
    /// How many of the relayer's transactions a node calls mined, and how many
    /// mined or waiting.
    pub nonces: (u64, u64),
    /// Whether each payer has code; `None` if the nodes don't say.
    pub has_code: Option<Vec<bool>>,
}

/// Why there is no preview.
pub(super) enum Problem {
    /// The nodes gave none. Nobody's fault who is in the batch.
    Nodes(String),
    /// The simulation as a whole failed, which one payment of several can
    /// bring about. With what [`Preview::has_code`] says.
    OneOfMany(Option<Vec<bool>>),
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        Self::Nodes(text.to_owned())
    }
}

impl Problem {
    /// Of an answer that can't be used: what is missing, and the node's own
    /// words.
    fn without(what: &str, reply: &Reply) -> Self {
        Self::Nodes(match reply {
            Ok(_) => format!("the node gives no {what} that can be read"),
            Err(error) => format!("the node gives no {what}: {error}"),
        })
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        Self::Nodes(error.to_string())
    }
}

impl<H: Host> EvmLane<H> {
    /// Asks for everything that a batch needs, in one round trip.
    pub(super) async fn preview(
        &self,
        payments: &[&evm::VerifiedPayment],
    ) -> Result<Preview, Problem> {
        let by_one_relayer = payments.iter().any(|payment| payment.relayer().is_some());
        let with_multicall = !self.lacks_multicall() && !by_one_relayer;
        let relayer = self.key.address();
        let (is_new, time) = self.time_for(payments);
        let mut calls = vec![
            Call::new(
                "eth_getTransactionCount",
                json_rpc::account_params(relayer, BlockTag::Pending),
            ),
            Call::new(
                "eth_getTransactionCount",
                json_rpc::account_params(relayer, BlockTag::Latest),
            ),
            fee_history(),
            Call::new("eth_getBalance", json_rpc::account_params(relayer, BlockTag::Latest)),
            self.estimate(payments, time),
        ];
        let by_sizes = self.shared.host.now() >= self.no_sizes_until.get();
        let code_calls = self.code_calls(payments, by_sizes);
        let of_codes = code_calls.len();
        calls.extend(code_calls);
        if with_multicall {
            calls.push(self.call("eth_call", &evm::check_call(payments, MULTICALL3), time));
        } else {
            calls.extend(payments.iter().flat_map(|payment| self.facts_calls(payment, time)));
        }
        let now = self.shared.host.now();
        let asks_block = is_new || self.pace.is_known() && self.gas_room.is_to_ask(now);
        if asks_block {
            calls.push(Call::new("eth_getBlockByNumber", json!(["latest", false])));
        }
        let mut replies = self.nodes.ask(&calls).await?;
        let block = if asks_block { replies.pop() } else { None };
        let latest_time = block.as_ref().filter(|_| is_new).and_then(block_time);
        let [pending, latest, history, balance, estimate, rest @ ..] = replies.as_slice() else {
            return Err("the node left questions open".into());
        };
        let (codes, rest) = rest.split_at_checked(of_codes).ok_or("no answer of the node's")?;
        if let Some(balance) = amount(balance) {
            self.shared.note_balance(balance, self.limits.low_balance);
        }
        if let Some(block) = &block {
            self.gas_room.note_block(block, now);
        }
        self.gas_room.note_history(history);
        let has_code = self.read_codes(codes, payments, by_sizes).await;
        let nonces =
            nonce(latest).zip(nonce(pending)).ok_or_else(|| Problem::without("nonce", pending))?;
        let is_refused =
            |reply: &Reply| matches!(reply, Err(error) if error.code == INVALID_PARAMS);
        if time.is_some() && rest.iter().any(is_refused) {
            self.log("the node can't simulate at a later time: what is new waits for a block");
            self.no_time_until.set(self.shared.host.now().plus(LACK_SECONDS));
            return Box::pin(self.preview(payments)).await;
        }
        let facts = match read_check(rest, payments).filter(|_| with_multicall) {
            Some(facts) => facts,
            None if with_multicall && rest != [Ok(Value::from("0x"))] => {
                return Err(match payments.len() {
                    1 => Problem::without("simulation", rest.first().unwrap_or(estimate)),
                    _ => Problem::OneOfMany(has_code),
                });
            }
            None if with_multicall => {
                // No code at Multicall3's address: ask one by one.
                self.no_multicall_until.set(self.shared.host.now().plus(LACK_SECONDS));
                self.log("no Multicall3 on this chain: payments go out one by one");
                let calls: Vec<_> =
                    payments.iter().flat_map(|p| self.facts_calls(p, time)).collect();
                let replies = self.nodes.ask(&calls).await?;
                read_facts(&replies, payments)?
            }
            None => read_facts(rest, payments)?,
        };
        let fees = self.read_market(history).ok_or_else(|| Problem::without("fees", history))?;
        let block = latest_block(history).ok_or_else(|| Problem::without("block", history))?;
        let gas_each = payments.iter().map(|payment| payment.gas());
        self.gas_each.set(gas_each.fold(self.gas_each.get(), u64::max));
        self.note_need(fees);
        self.note_undeployed(payments);
        let all_good = facts.iter().zip(payments).all(|(f, p)| evm::refusal(f, p).is_none());
        let gas = quantity(estimate).filter(|_| all_good);
        let least = least_gas(payments.len());
        let gas = gas.map(|gas| gas.saturating_add(gas / 4).max(least));
        if let ([only], Some(gas)) = (payments, gas) {
            self.note_alone(only, gas);
        }
        Ok(Preview { fees, facts, gas, block, time: latest_time, nonces, has_code })
    }

    /// What the chain says of one payment, and nothing else: nothing is sent.
    pub(super) async fn verdict_on(
        &self,
        request: &SettleRequest,
        payment: &evm::VerifiedPayment,
    ) -> Result<Verdict, StoreError> {
        let moment = self.shared.commitments.moment();
        let preview = match self.preview(&[payment]).await {
            Ok(preview) => preview,
            Err(Problem::OneOfMany(_)) => return Ok(Verdict::Unknown),
            Err(Problem::Nodes(problem)) => {
                self.log_refusal(&problem);
                return Ok(Verdict::Unknown);
            }
        };
        let most = self.most_gas(&[payment]);
        let gas = preview.gas.unwrap_or(most);
        let cost = cost_of_each(preview.fees, gas, 1);
        let facts = preview.facts.first();
        if preview.has_code.as_deref() == Some(&[true]) {
            // Or goods would go out for which it may not be sent.
            self.note_loner(payment.from());
        }
        let verdict = match facts.map(|facts| evm::refusal(facts, payment)) {
            // It can be simulated in a later block only; the rest is good.
            Some(Some(reason))
                if self.is_too_new(payment, &preview, Some(reason))
                    || self.is_behind_others(payment, reason, moment) =>
            {
                // No goods go out for a permit that nobody could try.
                let is_unsure = request.metered.is_some() && payment.lacks_permit(reason);
                if is_unsure { Verdict::Unknown } else { Verdict::Valid }
            }
            Some(None)
                if request.metered.is_some()
                    && self.is_short_of_promised(
                        payment,
                        facts.and_then(|it| it.balance),
                        moment,
                    ) =>
            {
                Verdict::Invalid(payment.reasons().unfunded)
            }
            Some(None) if gas > most => Verdict::Invalid(payment.reasons().fails),
            Some(None) if self.exceeds_price(preview.fees.worst_cost(gas), payment) => {
                Verdict::FeeExceedsPrice
            }
            Some(None) if self.goes_alone(payment) && self.burns_too_much(payment, gas) => {
                Verdict::LimitReached
            }
            Some(None)
                if self.is_over_budget(cost, self.set_aside(&request.payment))
                    || !self.shared.has_room(request, cost, &self.limits)? =>
            {
                Verdict::LimitReached
            }
            Some(None) => Verdict::Valid,
            Some(Some(reason)) => Verdict::Invalid(reason),
            None => Verdict::Unknown,
        };
        if verdict == Verdict::Valid && request.metered.is_some() {
            self.shared.unsettled.note_cost(&request.payment, cost);
        }
        Ok(verdict)
    }

    /// Looks at the relayer's balance and at today's fees.
    pub(super) async fn look_at_balance(&self) {
        let account = json_rpc::account_params(self.key.address(), BlockTag::Latest);
        let calls = [Call::new("eth_getBalance", account), fee_history()];
        let replies = match self.nodes.ask(&calls).await {
            Ok(replies) => replies,
            Err(error) => return self.shared.note_blindness(&error),
        };
        let [balance, history] = replies.as_slice() else { return };
        let Some(balance) = amount(balance) else {
            return self.shared.note_blindness(&Unavailable::default());
        };
        self.shared.note_balance(balance, self.limits.low_balance);
        if let Some(fees) = self.read_market(history) {
            self.note_need(fees);
        }
    }

    /// The fees for the next block, whatever one block or one node says.
    pub(super) fn read_market(&self, reply: &Reply) -> Option<Fees> {
        let history = reply.as_ref().ok()?;
        let base = json_rpc::parse_quantity(history.get("baseFeePerGas")?.as_array()?.last()?)?;
        let rewards = history.get("reward").and_then(Value::as_array);
        let tips: Vec<_> = rewards
            .into_iter()
            .flatten()
            .filter_map(|tips| json_rpc::parse_quantity(tips.get(0)?))
            .collect();
        let limits = TipLimits::of_chain(self.chain_id, self.limits.max_tip);
        Some(Fees::from_market(base, &tips, limits))
    }

    /// Whether Multicall3 was not at its address lately.
    pub(super) fn lacks_multicall(&self) -> bool {
        self.no_multicall_until.get() > self.shared.host.now()
    }

    /// Whether a payment may be too new for the latest block, and the time at
    /// which the node is to simulate then: one that the next block will have,
    /// when it is sent.
    fn time_for(&self, payments: &[&evm::VerifiedPayment]) -> (bool, Option<UnixSeconds>) {
        let now = self.shared.host.now();
        let newest = payments.iter().map(|payment| payment.valid_after()).max();
        let newest = newest.filter(|it| it.plus(NEW_SECONDS) >= now);
        let time = newest.map(|it| it.plus(1).max(now)).filter(|_| self.no_time_until.get() <= now);
        (newest.is_some(), time)
    }

    /// Takes note of what one payment may cost at these fees, of the kind that
    /// was given the most gas so far.
    fn note_need(&self, fees: Fees) {
        let cost = fees.worst_cost(GAS_PER_TRANSACTION.saturating_add(self.gas_each.get()));
        self.shared.note_need(cost, cost);
    }

    fn estimate(&self, payments: &[&evm::VerifiedPayment], time: Option<UnixSeconds>) -> Call {
        let call = match payments {
            [payment] => payment.call(),
            several => evm::batch_estimate_call(several, MULTICALL3),
        };
        self.call("eth_estimateGas", &call, time)
    }

    pub(super) fn call(
        &self,
        method: &'static str,
        call: &EvmCall,
        time: Option<UnixSeconds>,
    ) -> Call {
        let params = json_rpc::call_params(self.key.address(), call, BlockTag::Latest);
        Call::new(method, json_rpc::at_time(params, time))
    }

    fn facts_calls(&self, payment: &evm::VerifiedPayment, time: Option<UnixSeconds>) -> Vec<Call> {
        let calls = payment.preview_calls();
        calls.iter().map(|call| self.call("eth_call", call, time)).collect()
    }

    /// Asks whether a payment is used.
    pub(super) fn state_call(&self, payment: &evm::VerifiedPayment) -> Call {
        self.call("eth_call", &payment.used_question(), None)
    }
}

/// Asks for the base fee of the next block and what a fifth of the gas of each
/// of the latest ones was tipped at most.
pub(super) fn fee_history() -> Call {
    Call::new("eth_feeHistory", json!(["0xa", "latest", [20]]))
}

/// The number of the latest block: the base fees are those of some blocks and
/// of the one after them.
fn latest_block(history: &Reply) -> Option<u64> {
    let history = history.as_ref().ok()?;
    let count = history.get("baseFeePerGas")?.as_array()?.len().try_into().ok()?;
    let oldest = json_rpc::parse_u64(history.get("oldestBlock")?)?;
    Some(oldest.saturating_add(u64::saturating_sub(count, 2)))
}

fn block_time(reply: &Reply) -> Option<UnixSeconds> {
    json_rpc::parse_u64(reply.as_ref().ok()?.get("timestamp")?).map(UnixSeconds)
}

pub(super) fn quantity(reply: &Reply) -> Option<u64> {
    json_rpc::parse_u64(reply.as_ref().ok()?)
}

/// A nonce that an account can have reached.
fn nonce(reply: &Reply) -> Option<u64> {
    quantity(reply).filter(|nonce| *nonce < 1 << 48)
}

fn amount(reply: &Reply) -> Option<u128> {
    json_rpc::parse_quantity(reply.as_ref().ok()?)
}

fn read_check(replies: &[Reply], payments: &[&evm::VerifiedPayment]) -> Option<Vec<Facts>> {
    let [Ok(result)] = replies else { return None };
    let most = payments.len().checked_mul(MAX_CHECK_BYTES)?;
    evm::read_check(&json_rpc::parse_data(result, most)?, payments)
}

/// What the calls for each payment say.
///
/// # Errors
/// A call failed, and not because of what it runs.
fn read_facts(
    replies: &[Reply],
    payments: &[&evm::VerifiedPayment],
) -> Result<Vec<Facts>, Problem> {
    let is_nodes_fault = |reply: &&Reply| match reply {
        Ok(_) => false,
        Err(error) => error.kind("eth_call") != ErrorKind::Execution,
    };
    if let Some(reply) = replies.iter().find(is_nodes_fault) {
        return Err(Problem::without("simulation", reply));
    }
    let mut answers = replies.iter().map(|reply| match reply {
        Ok(value) => Ok(json_rpc::parse_data(value, 1024).unwrap_or_default()),
        Err(error) => Err(Some(error.message.clone())),
    });
    let facts = payments.iter().map(|payment| {
        payment.read_preview(answers.by_ref().take(payment.preview_count()).collect())
    });
    Ok(facts.collect())
}
