//! A token that is taken on a network, and who is paid.

use super::coin::coin_of;
use super::fields::Fields;
use crate::amount::{AtomicAmount, Price};
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

    /// A price in atomic units; `None` if it is finer than the token's decimals.
    pub fn units_of(&self, price: Price) -> Option<AtomicAmount> {
        price.in_units(self.decimals)
    }

    /// Reads the token that a table of the configuration describes.
    pub(super) fn read(fields: &Fields<'_>, id: ChainId) -> Option<Self> {
        let described = Described::read(fields, id);
        let decimals = described.decimals;
        let coin_price = read_coin_price(fields, id, decimals);
        let quorum_above = fields.text("quorum_above").and_then(|text| {
            let amount = text.parse::<Price>().ok().and_then(|price| price.in_units(decimals));
            if amount.is_none() {
                fields.fault("quorum_above", "must be dollars, such as \"$10\"");
            }
            amount
        });
        let asset = match id {
            ChainId::Evm(chain_id) => read_evm(fields, chain_id, &described),
            ChainId::Solana(_) => read_solana(fields, &described),
        };
        Some(Self { asset: asset?, decimals, symbol: described.symbol, coin_price, quorum_above })
    }
}

/// What one coin is worth, in atomic units of the token: `"$2500"`. Without it,
/// or with `"off"`, payments are sent whatever the fee is.
fn read_coin_price(fields: &Fields<'_>, id: ChainId, decimals: u8) -> Option<u128> {
    let value = fields.text("coin_price").or(coin_of(id).map(|coin| coin.price));
    let text = value.filter(|text| *text != "off")?;
    let price = text.parse::<Price>().ok().and_then(|price| price.in_units(decimals));
    if price.is_none() && fields.has("coin_price") {
        let problem = "must be what one coin of the chain is worth, such as \"$2500\", or \"off\"";
        fields.fault("coin_price", problem);
    }
    price.map(|price| price.0)
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
        let symbol = match fields.text("name") {
            _ if is_usdc => "USDC".to_owned(),
            Some(name) => name.to_owned(),
            None => asset.unwrap_or_default().to_owned(),
        };
        Self {
            asset: asset.map(str::to_owned),
            usdc_domain: id.known().and_then(|known| known.domain).filter(|_| is_usdc),
            decimals: decimals.unwrap_or(USDC_DECIMALS),
            symbol,
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
    let named = |member: &str, known: Option<&str>| {
        let value = fields.words(member);
        if !value.is_empty() {
            return Some(value);
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
    Some(Asset::Evm(evm::Domain {
        name: name?,
        version: version?,
        chain_id,
        verifying_contract: verifying_contract?,
    }))
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
    if fields.has("version") {
        fields.fault("version", "is for EVM chains only");
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
