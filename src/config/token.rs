//! A token that is taken on a network, and who is paid.

use std::rc::Rc;

use super::coin::coin_of;
use super::fields::Fields;
use crate::amount::{AtomicAmount, Price};
use crate::evm::TransferMethod;
use crate::payment::{Asset, PayTo};
use crate::protocol::ChainId;
use crate::protocol::chain_id::USDC_DECIMALS;
use crate::{evm, solana};

/// A token that is taken on a network.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself, and how a payment in it is made.
    pub asset: Asset,
    /// Its decimals.
    pub decimals: u8,
    /// What people call it.
    pub symbol: String,
    /// Whether buyers may let Permit2 move it by a permit of the token's own
    /// (EIP-2612), in the transaction that pays.
    pub eip2612: bool,
    /// What one coin of the chain is worth, in atomic units: a payment whose
    /// fee may exceed its price is not sent.
    pub coin_price: Option<u128>,
    /// The amount above which two nodes must agree that it was paid.
    pub quorum_above: Option<AtomicAmount>,
}

impl Token {
    /// Whether a text means this token: its address in any spelling, or what
    /// people call it.
    pub fn is_called(&self, text: &str) -> bool {
        text == self.symbol || self.asset.is_at(text)
    }

    /// Whether it is the same token as another one, or called as that is.
    fn is_like(&self, other: &Self) -> bool {
        self.is_called(&other.symbol) || self.is_called(&other.asset.address())
    }

    /// A price in atomic units; `None` if it is finer than the token's decimals.
    pub fn units_of(&self, price: Price) -> Option<AtomicAmount> {
        price.in_units(self.decimals)
    }

    /// An amount in atomic units as a price; `None` if it is none.
    pub fn price_of(&self, amount: AtomicAmount) -> Option<Price> {
        Price::of_units(amount, self.decimals)
    }

    /// Reads the token that a table of the configuration describes.
    fn read(fields: &Fields<'_>, id: ChainId, bounds: Bounds) -> Option<Self> {
        let described = Described::read(fields, id);
        let decimals = described.decimals;
        let units_of = |name: &str, price: Option<Price>| {
            let units = price?.in_units(decimals);
            if units.is_none() {
                let problem = format!("is finer than the {decimals} decimals of the token");
                fields.fault(name, problem);
            }
            units
        };
        let coin_price = match bounds.coin_price {
            CoinPrice::Known(price) => price.in_units(decimals),
            CoinPrice::Set(price) => units_of("coin_price", price),
        };
        let quorum_above = units_of("quorum_above", bounds.quorum_above);
        let asset = match id {
            ChainId::Evm(chain_id) => read_evm(fields, chain_id, &described),
            ChainId::Solana(_) => read_solana(fields, &described),
        };
        let eip2612 = fields.flag("eip2612");
        let is_by_permit2 =
            asset.as_ref().is_none_or(|it| it.transfer_method() == Some(TransferMethod::Permit2));
        if eip2612 && !is_by_permit2 {
            fields.fault("eip2612", "needs asset_transfer_method = \"permit2\"");
        } else if eip2612 && asset.as_ref().is_some_and(|it| !it.has_domain()) {
            fields.fault("eip2612", "needs name and version: the token's EIP-712 domain");
        }
        let (asset, symbol) = (asset?, described.symbol);
        Some(Self {
            asset,
            decimals,
            symbol,
            eip2612,
            coin_price: coin_price.map(|units| units.0),
            quorum_above,
        })
    }
}

/// What a token's table may hold.
const KNOWN: &[&str] = &[
    "asset",
    "asset_transfer_method",
    "eip2612",
    "name",
    "version",
    "decimals",
    "symbol",
    "token_program",
    "coin_price",
    "quorum_above",
];

/// Reads the tokens of a network: its own, which its table describes, and
/// those of its `tokens`. `has_quorum`: whether two nodes could agree.
pub(super) fn read_tokens(
    fields: &Fields<'_>,
    id: ChainId,
    has_quorum: bool,
) -> Option<(Rc<Token>, Vec<Rc<Token>>)> {
    let known = coin_of(id).and_then(|coin| coin.price.parse().ok());
    let coin_price = known.map_or(CoinPrice::Set(None), CoinPrice::Known);
    let known = Bounds { coin_price, quorum_above: None };
    let bounds = Bounds::read(fields, known, has_quorum);
    let is_remote = fields.has("facilitator");
    let own = Token::read(fields, id, bounds);
    let mut others: Vec<Rc<Token>> = vec![];
    for (n, entry) in fields.list("tokens").iter().enumerate() {
        let key = fields.key(&format!("tokens[{n}]"));
        let fields = Fields::new(key, entry, KNOWN, fields.faults());
        if fields.needed("asset", "the token's address").is_none() {
            continue;
        }
        if is_remote {
            for name in ["coin_price", "quorum_above"].into_iter().filter(|name| fields.has(name)) {
                fields.fault(name, "has no effect with facilitator");
            }
        }
        let bounds = Bounds::read(&fields, bounds, has_quorum);
        let Some(token) = Token::read(&fields, id, bounds) else { continue };
        let mut earlier = own.iter().chain(others.iter().map(|it| &**it));
        if let Some(other) = earlier.find(|it| it.is_like(&token)) {
            if other.asset.is_at(&token.asset.address()) {
                fields.fault("asset", "is the same token as an earlier one");
            } else {
                let problem = "is what an earlier token is called, too: give this one another";
                fields.fault("symbol", problem);
            }
        }
        others.push(Rc::new(token));
    }
    Some((Rc::new(own?), others))
}

/// What bounds payments, in dollars: what a network says of it holds for each
/// of its tokens that says nothing.
#[derive(Clone, Copy)]
struct Bounds {
    coin_price: CoinPrice,
    quorum_above: Option<Price>,
}

/// What one coin of the chain is worth.
#[derive(Clone, Copy)]
enum CoinPrice {
    /// As far as is known without the seller: a token that is too coarse for it
    /// goes without.
    Known(Price),
    /// As the seller says, who may turn it off.
    Set(Option<Price>),
}

impl Bounds {
    /// Reads what a table says; for the rest the outer one holds.
    fn read(fields: &Fields<'_>, outer: Self, has_quorum: bool) -> Self {
        let price = |name: &str, text: &str, problem: &str| {
            let price = text.parse().ok();
            if price.is_none() {
                fields.fault(name, problem);
            }
            price
        };
        let coin_price = match fields.text("coin_price") {
            None => outer.coin_price,
            Some("off") => CoinPrice::Set(None),
            Some(text) => {
                let problem =
                    "must be what one coin of the chain is worth, such as \"$2500\", or \"off\"";
                CoinPrice::Set(price("coin_price", text, problem))
            }
        };
        let Some(text) = fields.text("quorum_above") else { return Self { coin_price, ..outer } };
        let quorum_above = price("quorum_above", text, "must be dollars, such as \"$10\"");
        if quorum_above.is_some() && !has_quorum {
            fields.fault("quorum_above", "needs two URLs in rpc that can agree");
        }
        Self { coin_price, quorum_above }
    }
}

/// What a table says of its token: USDC, or one that the seller describes.
struct Described {
    asset: Option<String>,
    /// USDC's EIP-712 name and version, if it is USDC on an EVM chain.
    usdc_domain: Option<(&'static str, &'static str)>,
    decimals: u8,
    symbol: String,
}

impl Described {
    fn read(fields: &Fields<'_>, id: ChainId) -> Self {
        let usdc = id.known().map(|known| known.usdc);
        let given = fields.text("asset");
        let is_usdc = match (given, usdc) {
            (None, usdc) => usdc.is_some(),
            (Some(asset), Some(usdc)) => id.is_same_address(asset, usdc),
            (Some(_), None) => false,
        };
        let asset = given.or(usdc);
        if asset.is_none() {
            fields.fault("asset", "is needed: no USDC is known on this network");
        }
        let decimals = fields.number("decimals", 0..=36).and_then(|n| n.try_into().ok());
        match decimals {
            None if given.is_some() && !is_usdc && !fields.has("decimals") => {
                fields.fault("decimals", "is needed for a token other than USDC");
            }
            Some(decimals) if is_usdc && decimals != USDC_DECIMALS => {
                fields.fault("decimals", format!("is {USDC_DECIMALS} for USDC"));
            }
            _ => {}
        }
        let symbol = match (fields.text("symbol"), fields.text("name")) {
            (Some(symbol), _) => symbol,
            _ if is_usdc => "USDC",
            (None, Some(name)) => name,
            (None, None) => asset.unwrap_or_default(),
        };
        if fields.has("symbol") && (symbol.is_empty() || symbol.contains('/')) {
            fields.fault("symbol", "must be a short name without a slash, such as \"EURC\"");
        }
        Self {
            asset: asset.map(str::to_owned),
            usdc_domain: id.known().and_then(|known| known.domain).filter(|_| is_usdc),
            decimals: decimals.unwrap_or(USDC_DECIMALS),
            symbol: symbol.to_owned(),
        }
    }
}

/// Reads who is paid on a network.
pub(super) fn read_pay_to(fields: &Fields<'_>, id: ChainId) -> Option<PayTo> {
    let text = fields.text("pay_to")?;
    match id {
        ChainId::Evm(_) => evm_address(fields, "pay_to", text).map(PayTo::Evm),
        ChainId::Solana(_) => solana_address(fields, "pay_to", text).map(PayTo::Solana),
    }
}

fn read_evm(fields: &Fields<'_>, chain_id: u64, token: &Described) -> Option<Asset> {
    let asset = token.asset.as_deref();
    let verifying_contract = asset.and_then(|text| evm_address(fields, "asset", text));
    let method = read_method(fields);
    let named = |member: &str, known: Option<&str>| {
        let value = fields.words(member);
        if !value.is_empty() {
            return Some(value);
        }
        // Nobody signs for the token's own domain then.
        if known.is_none() && method == evm::TransferMethod::Permit2 {
            return Some(String::new());
        }
        if known.is_none() {
            let problem = format!("is needed for a token other than USDC: its EIP-712 {member}");
            fields.fault(member, problem);
        }
        known.map(str::to_owned)
    };
    let name = named("name", token.usdc_domain.map(|(name, _)| name));
    let version = named("version", token.usdc_domain.map(|(_, version)| version));
    if fields.has("token_program") {
        fields.fault("token_program", "is for Solana only");
    }
    let domain = evm::Domain {
        name: name?,
        version: version?,
        chain_id,
        verifying_contract: verifying_contract?,
    };
    Some(Asset::Evm(domain, method))
}

/// How the token is moved.
fn read_method(fields: &Fields<'_>) -> evm::TransferMethod {
    let Some(name) = fields.text("asset_transfer_method") else {
        return evm::TransferMethod::default();
    };
    let method = evm::TransferMethod::named(name);
    if method.is_none() {
        fields.fault("asset_transfer_method", "must be \"eip3009\" or \"permit2\"");
    }
    method.unwrap_or_default()
}

fn evm_address(fields: &Fields<'_>, member: &str, text: &str) -> Option<evm::Address> {
    let problem = match text.parse::<evm::Address>() {
        Ok(address) if address != evm::Address::ZERO => return Some(address),
        Ok(_) => "is the zero address; put yours",
        Err(_) => {
            "must be an address: 0x and 40 hex digits, with a right checksum if in mixed case"
        }
    };
    fields.fault(member, problem);
    None
}

fn read_solana(fields: &Fields<'_>, token: &Described) -> Option<Asset> {
    let asset = token.asset.as_deref();
    let mint = asset.and_then(|text| solana_address(fields, "asset", text));
    for name in ["version", "asset_transfer_method"] {
        if fields.has(name) {
            fields.fault(name, "is for EVM chains only");
        }
    }
    let token_program = match fields.text("token_program") {
        None | Some("spl-token") => Some(solana::TokenProgram::Spl),
        Some("token-2022") => Some(solana::TokenProgram::Token2022),
        Some(_) => {
            fields.fault("token_program", "must be \"spl-token\" or \"token-2022\"");
            None
        }
    };
    let (mint, token_program, decimals) = (mint?, token_program?, token.decimals);
    Some(Asset::Solana { mint, token_program, decimals })
}

fn solana_address(fields: &Fields<'_>, member: &str, text: &str) -> Option<solana::Pubkey> {
    let problem = match text.parse::<solana::Pubkey>() {
        Ok(address) if address != solana::address::SYSTEM_PROGRAM => return Some(address),
        Ok(_) => "is the system program's address; put yours",
        Err(_) => "must be an address: base58 of 32 bytes",
    };
    fields.fault(member, problem);
    None
}
