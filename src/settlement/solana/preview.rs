//! What the cluster says of a payment before anything is sent: one batch.

use serde_json::Value;

use super::seller::Fault;
use super::{Balance, Seller, SolanaLane};
use crate::payment::Terms;
use crate::protocol::Reason;
use crate::rpc::{Call, Reply};
use crate::settlement::{Host, SettleRequest};
use crate::solana::rpc::{self, Account};
use crate::solana::{SignedTransaction, SimulationOutcome, VerifiedPayment};

/// What is known of a payment that would go through now.
pub(super) struct Preview {
    /// The height of the node's last confirmed block.
    pub height: u64,
    /// What is in the token account that pays, if the node said so.
    pub balance: Option<Balance>,
}

/// Why nothing is sent.
pub(super) enum Refusal {
    /// The payment's fault.
    Payer(Reason),
    /// Ours, the seller's, or the node's.
    Ours(String),
}

impl<H: Host> SolanaLane<H> {
    /// Simulates a payment, with our signature if there is one.
    pub(super) async fn preview(
        &self,
        request: &SettleRequest,
        payment: &VerifiedPayment,
        signed: Option<&SignedTransaction>,
    ) -> Result<Preview, Refusal> {
        let params = match signed {
            Some(signed) => rpc::simulate_transaction_params(signed),
            None => rpc::simulate_unsigned_params(payment),
        };
        let params =
            if payment.shows_fee_payer() { rpc::watching(params, &self.fee_payer) } else { params };
        let seller =
            if let Terms::Solana(terms) = &request.terms { Some(Seller::of(terms)) } else { None };
        let mut asked = vec![self.fee_payer, *payment.source()];
        asked.extend(seller.and_then(|seller| seller.accounts()).into_iter().flatten());
        let calls = [
            Call::new("simulateTransaction", params),
            Call::new("getBlockHeight", rpc::get_block_height_params()),
            Call::new("getMultipleAccounts", rpc::get_multiple_accounts_params(&asked)),
        ];
        let replies = match self.nodes.ask(&calls).await {
            Ok(replies) => replies,
            Err(problem) => return Err(Refusal::Ours(problem.to_string())),
        };
        let [simulation, height, accounts] = replies.as_slice() else {
            return Err(ours("the node left questions open"));
        };
        let accounts = Accounts::read(accounts, asked.len());
        if let Some(accounts) = &accounts {
            self.note_balance(accounts.lamports(0));
        }
        if let Err(refusal) = judge(simulation, payment.transfer_at()) {
            let (Some(seller), Some(accounts)) = (seller, &accounts) else { return Err(refusal) };
            // What the seller lacks is not the buyer's fault.
            let fault = seller.fault([accounts.get(2), accounts.get(3), accounts.get(4)]);
            let Some(fault) = fault else { return Err(refusal) };
            let refusal = Refusal::Ours(words_of(request, &fault));
            self.note_terms(&seller, Some(&fault));
            return Err(refusal);
        }
        if let Some(seller) = seller {
            self.note_terms(&seller, None);
        }
        if payment.shows_fee_payer() {
            let before = accounts.as_ref().map(|accounts| accounts.lamports(0));
            self.keeps_its_lamports(simulation, before, payment)?;
        }
        let height = height.as_ref().unwrap_or(&Value::Null);
        let height =
            rpc::parse_block_height(height).map_err(|_| ours("no block height from the node"))?;
        let balance = accounts.and_then(|accounts| {
            let source = accounts.get(1).and_then(Account::as_token_account)?;
            Some(Balance { amount: source.available_to(payment.payer()), slot: accounts.slot })
        });
        Ok(Preview { height, balance })
    }
}

impl<H: Host> SolanaLane<H> {
    /// A guard that looks at our fee payer hands its account to the guards'
    /// program. That does nothing with it today; if that ever changes, the
    /// simulation shows it: more is gone than the fee, and the fees of what
    /// else is under way, for the node may know of those.
    fn keeps_its_lamports(
        &self,
        simulation: &Reply,
        before: Option<u64>,
        payment: &VerifiedPayment,
    ) -> Result<(), Refusal> {
        let after = simulation.as_ref().ok().and_then(rpc::parse_simulated_lamports);
        let (Some(before), Some(after)) = (before, after) else {
            return Err(ours("the node does not tell what the fee payer will hold"));
        };
        let fees =
            self.shared.commitments.committed_cost().saturating_add(payment.fee_lamports().into());
        if u128::from(after).saturating_add(fees) < u128::from(before) {
            return Err(Refusal::Payer(Reason::SvmFeePayerTransferringFunds));
        }
        Ok(())
    }
}

/// What keeps the seller from being paid, with the key that it is about.
fn words_of(request: &SettleRequest, Fault(obstacle, text): &Fault) -> String {
    match &request.account {
        Some(account) => format!("the payTo of the facilitator's client {account}: {text}"),
        None => format!("NETWORKS.\"{}\".{}: {text}", request.network, obstacle.key()),
    }
}

/// The accounts that were asked for, in the order of the question.
pub(super) struct Accounts {
    slot: u64,
    of: Vec<Option<Account>>,
}

impl Accounts {
    /// `None` if the node has not told of so many.
    pub(super) fn read(reply: &Reply, count: usize) -> Option<Self> {
        let (slot, of) = rpc::parse_accounts(reply.as_ref().ok()?).ok()?;
        (of.len() == count).then_some(Self { slot, of })
    }

    pub(super) fn get(&self, index: usize) -> Option<&Account> {
        self.of.get(index).and_then(Option::as_ref)
    }

    /// What an account holds: nothing if there is none.
    pub(super) fn lamports(&self, index: usize) -> u64 {
        self.get(index).map_or(0, |account| account.lamports)
    }
}

fn ours(problem: &str) -> Refusal {
    Refusal::Ours(problem.to_owned())
}

/// Whether the simulation speaks against sending.
fn judge(simulation: &Reply, transfer: usize) -> Result<(), Refusal> {
    let simulation = match simulation {
        Ok(result) => rpc::parse_simulation(result, transfer),
        // The node will not even simulate it: a signature or the encoding.
        Err(error) if matches!(error.code, -32_003 | -32_602) => {
            return Err(Refusal::Payer(Reason::SvmSimulationFailed));
        }
        Err(_) => return Err(ours("simulateTransaction failed")),
    };
    match simulation {
        Ok(SimulationOutcome::Succeeds) => Ok(()),
        // Nobody else can have sent it: it has bought something already, and
        // a node would call sending it again a success (GHSA-qr2g-p6q7-w82m).
        Ok(SimulationOutcome::AlreadyProcessed) => Err(Refusal::Payer(Reason::DuplicateSettlement)),
        Ok(SimulationOutcome::Fails(reason)) => Err(Refusal::Payer(reason)),
        Ok(SimulationOutcome::BlockhashNotFound) => {
            Err(Refusal::Payer(Reason::SvmSimulationFailed))
        }
        Ok(SimulationOutcome::FeePayerUnfunded) => Err(ours("the fee payer has no SOL left")),
        Err(_) => Err(ours("simulateTransaction: an unknown shape")),
    }
}
