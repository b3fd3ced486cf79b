//! One network: where to reach it, who is paid, who signs, and in which token.

use std::rc::Rc;

use serde_json::Value;

use super::coin::{UNKNOWN_DAILY_SPEND, coin_of};
use super::fields::{Fields, Report, is_http_url};
use super::remote::{Facilitators, Headers};
use super::signers::Signers;
use super::smart_wallets::SmartWallets;
use super::token::{Token, read_pay_to, read_tokens};
use super::{CROWD_BATCH_MAX, DEFAULT_BATCH_MAX, DEFAULT_FAILED_GAS, DEFAULT_MAX_TIMEOUT_SECONDS};
use crate::amount::parse_decimal;
use crate::evm::{self, CALLDATA_PER_BATCH, GAS_PER_TRANSACTION};
use crate::facilitator_client::{CdpKey, Facilitator, RemoteFacts};
use crate::payment::PayTo;
use crate::protocol::ChainId;
use crate::rpc::{ChainCheck, Expected};

/// A network that payments come in on.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its CAIP-2 name.
    pub id: ChainId,
    /// What people call it.
    pub title: String,
    /// What x402 v1 calls it, if it does.
    pub v1_name: Option<&'static str>,
    /// The URLs of its nodes, in the seller's order. With a facilitator there
    /// may be none.
    pub rpc: Vec<String>,
    /// Who settles here, if it is not this Worker.
    pub facilitator: Option<Facilitator>,
    /// Who settles here while the nodes can't be reached.
    pub fallback: Option<Facilitator>,
    /// Who settled here before this Worker: what is open there comes to its end, and
    /// what was bought is still to be had.
    pub former_facilitator: Option<Facilitator>,
    /// Seconds that a payment may take.
    pub max_timeout_seconds: u64,
    /// How many payments go into one EVM transaction at most.
    pub batch_max: usize,
    /// How many of a crowd.
    pub crowd_max: usize,
    /// The most that each key may spend on fees in a day, in wei or lamports.
    pub daily_spend: Option<u128>,
    /// The balance below which a key is reported, in wei or lamports.
    pub low_balance: Option<u128>,
    /// The most gas that failed payments of accounts with code may use in an
    /// hour, on an EVM chain.
    pub failed_gas: u64,
    /// EVM: which smart wallets may pay, if any.
    pub smart_wallets: Option<SmartWallets>,
    /// EVM: the most that a block's builder is offered, in wei per gas.
    pub max_tip: Option<u128>,
    /// The network's own token, which a route means that names none.
    pub token: Rc<Token>,
    /// The other tokens that are taken.
    others: Vec<Rc<Token>>,
    /// Who is paid for what the routes sell.
    pub pay_to: Option<PayTo>,
    /// Who sends the transactions and pays for them.
    pub signers: Signers,
}

const KNOWN: &[&str] = &[
    "rpc",
    "pay_to",
    "asset",
    "asset_transfer_method",
    "eip2612",
    "name",
    "version",
    "decimals",
    "symbol",
    "token_program",
    "tokens",
    "max_timeout_seconds",
    "batch_max",
    "batch_gas",
    "batch_calldata",
    "daily_spend",
    "low_balance",
    "coin_price",
    "failed_gas",
    "smart_wallets",
    "max_tip",
    "quorum_above",
    "facilitator",
    "fallback_facilitator",
    "former_facilitator",
    "facilitator_auth",
];

/// What is known of a network from elsewhere than its table.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The URLs of the secret `RPC_URLS`, which take the place of its own.
    pub rpc: Option<Vec<String>>,
    /// The headers of the secret `FACILITATOR_HEADERS`.
    pub headers: Option<Headers>,
    /// The key of the secret `CDP_API_KEY`, or what is wrong with it.
    pub cdp_key: Option<Result<CdpKey, &'static str>>,
    /// What its facilitator has said of itself.
    pub facts: RemoteFacts,
    /// Who signs where no facilitator does.
    pub signers: Signers,
    /// Whether anything is sold, so that somebody must be paid.
    pub sells: bool,
}

impl Network {
    /// Whether all is known that must be for a payment to be made here. A
    /// Solana payment names its fee payer, and who that is at somebody else's
    /// facilitator only it can say.
    pub fn is_on_offer(&self) -> bool {
        let knows_payer = |it: &Facilitator| it.facts.fee_payer.is_some();
        !self.id.names_fee_payer() || self.facilitator.as_ref().is_none_or(knows_payer)
    }

    /// All tokens that are taken here, first the network's own.
    pub fn tokens(&self) -> impl Iterator<Item = &Rc<Token>> {
        std::iter::once(&self.token).chain(&self.others)
    }

    /// The token that somebody calls so: by its address or its symbol.
    pub fn token_called(&self, text: &str) -> Option<&Rc<Token>> {
        self.tokens().find(|token| token.is_called(text))
    }

    /// Whether what is paid by use can be settled here: this Worker's own relayers
    /// do it, on EVM.
    pub fn settles_by_use(&self) -> bool {
        self.facilitator.is_none() && !self.signers.relayers.is_empty()
    }

    /// Who sends and pays for transactions here, as the chain writes addresses.
    pub fn signers(&self) -> Vec<String> {
        let Signers { relayers, fee_payers, .. } = &self.signers;
        let relayers = relayers.iter().map(ToString::to_string);
        relayers.chain(fee_payers.iter().map(ToString::to_string)).collect()
    }

    /// The factories that may deploy a wallet with its payment; `None` if no smart
    /// wallet may pay.
    pub fn wallet_factories(&self) -> Option<Vec<evm::Address>> {
        self.smart_wallets.as_ref().map(|it| it.factories.clone())
    }

    /// The question that tells whether a node serves this chain.
    pub fn chain_check(&self) -> ChainCheck {
        match self.id {
            ChainId::Evm(id) => ChainCheck { method: "eth_chainId", expect: Expected::ChainId(id) },
            ChainId::Solana(cluster) => ChainCheck {
                method: "getGenesisHash",
                expect: Expected::GenesisPrefix(cluster.as_str().to_owned()),
            },
        }
    }

    /// Reads one entry of `NETWORKS`.
    pub(super) fn read(
        name: &str,
        entry: &Value,
        elsewhere: Elsewhere,
        faults: &Report,
    ) -> Option<Self> {
        let fields = Fields::new(format!("NETWORKS.\"{name}\""), entry, KNOWN, faults);
        let Ok(id) = name.parse::<ChainId>() else {
            let example = "eip155:8453 or solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
            fields.report(format!("is not a CAIP-2 name such as {example}"));
            return None;
        };
        let faults_before = faults.len();
        let Elsewhere { rpc, headers, cdp_key, facts, signers, sells } = elsewhere;
        let secrets = (headers, cdp_key.as_ref());
        let Facilitators { facilitator, fallback, former } =
            Facilitators::read(&fields, id, secrets, facts);
        let rpc = match rpc {
            Some(urls) => urls,
            None if fields.has("facilitator") && !fields.has("rpc") => vec![],
            None => read_rpc(&fields),
        };
        let max_timeout_seconds = fields.number("max_timeout_seconds", 10..=86_400);
        let daily_spend = fields.text("daily_spend");
        let daily_spend = daily_spend
            .or(coin_of(id).map(|coin| coin.daily_spend))
            .or(id.known().is_none().then_some(UNKNOWN_DAILY_SPEND));
        let daily_spend = read_coins(&fields, "daily_spend", daily_spend, id);
        let smart_wallets = SmartWallets::read(&fields, id);
        let failed_gas = fields.number("failed_gas", 0..=1_000_000_000);
        let low_balance = read_coins(&fields, "low_balance", fields.text("low_balance"), id);
        let max_tip = read_max_tip(&fields, id);
        let has_quorum = rpc.len() >= 2 || fields.has("facilitator");
        let tokens = read_tokens(&fields, id, has_quorum);
        let (batch_max, crowd_max) = read_batch_max(&fields, tokens.as_ref());
        let pay_to = read_pay_to(&fields, id);
        if sells && !fields.has("pay_to") {
            fields.fault("pay_to", "is needed: the address that is paid");
        }
        let (token, others) = tokens?;
        let known = id.known();
        let network = Self {
            id,
            signers: facilitator.as_ref().map_or(signers, Signers::of_facilitator).on(id),
            title: known.map_or_else(|| name.to_owned(), |known| known.title.to_owned()),
            v1_name: known.and_then(|known| known.v1_name),
            rpc,
            facilitator,
            fallback,
            former_facilitator: former,
            max_timeout_seconds: max_timeout_seconds.unwrap_or(DEFAULT_MAX_TIMEOUT_SECONDS),
            batch_max,
            crowd_max,
            daily_spend,
            low_balance,
            failed_gas: failed_gas.unwrap_or(DEFAULT_FAILED_GAS),
            smart_wallets,
            max_tip,
            token,
            others,
            pay_to,
        };
        (faults.len() == faults_before).then_some(network)
    }
}

fn read_rpc(fields: &Fields<'_>) -> Vec<String> {
    if !fields.has("rpc") {
        fields.fault("rpc", "names no URL (and neither does the secret RPC_URLS)");
        return vec![];
    }
    let Some(urls) = fields.texts("rpc") else { return vec![] };
    if urls.is_empty() {
        fields.fault("rpc", "names no URL (and neither does the secret RPC_URLS)");
    } else if !urls.iter().all(|url| is_http_url(url)) {
        fields.fault("rpc", "must hold http:// or https:// URLs");
    }
    urls.into_iter().map(str::to_owned).collect()
}

/// The tokens of a network, its own apart.
type Tokens = (Rc<Token>, Vec<Rc<Token>>);

/// How many payments fit into one transaction, by number, gas and calldata; and how
/// many of a crowd.
fn read_batch_max(fields: &Fields<'_>, tokens: Option<&Tokens>) -> (usize, usize) {
    let all = tokens.into_iter().flat_map(|(own, others)| std::iter::once(own).chain(others));
    let methods = all.filter_map(|token| token.asset.transfer_method());
    // The dearest of its methods.
    let method = methods.max_by_key(|it| it.gas_per_payment()).unwrap_or_default();
    let (gas_each, bytes_each) = (method.gas_per_payment(), method.calldata_per_payment());
    let least_gas = GAS_PER_TRANSACTION + gas_each;
    let least_bytes = CALLDATA_PER_BATCH + bytes_each;
    let most = fields.number("batch_max", 1..=100);
    let gas = fields.number("batch_gas", least_gas..=100_000_000);
    let bytes = fields.number("batch_calldata", least_bytes..=131_072);
    let by_gas = gas.map(|gas| gas.saturating_sub(GAS_PER_TRANSACTION) / gas_each);
    let by_bytes = bytes.map(|bytes| bytes.saturating_sub(CALLDATA_PER_BATCH) / bytes_each);
    let fits = |most: u64| {
        let by_gas = by_gas.unwrap_or(most);
        let fits = most.min(by_gas).min(by_bytes.unwrap_or(most)).max(1);
        usize::try_from(fits).unwrap_or(1)
    };
    (fits(most.unwrap_or(DEFAULT_BATCH_MAX)), fits(most.unwrap_or(CROWD_BATCH_MAX)))
}

/// An amount of a chain's own coin, in wei or lamports: `"0.05"`.
pub(super) fn read_coins(
    fields: &Fields<'_>,
    name: &str,
    value: Option<&str>,
    id: ChainId,
) -> Option<u128> {
    let amount = parse_decimal(value?, u32::from(id.coin_decimals()));
    if amount.is_none() {
        fields.fault(name, "must be an amount of the chain's own coin, such as \"0.05\"");
    }
    amount
}

/// A fee of an EVM chain, in gwei per gas: `"1.5"`.
fn read_max_tip(fields: &Fields<'_>, id: ChainId) -> Option<u128> {
    let text = fields.text("max_tip")?;
    if id.names_fee_payer() {
        fields.fault("max_tip", "is for EVM chains only");
        return None;
    }
    let tip = parse_decimal(text, 9);
    if tip.is_none() {
        fields.fault("max_tip", "must be gwei per gas, such as \"1.5\"");
    }
    tip
}
