//! The token of a network, and who is paid in it.

use super::fields::Fields;
use crate::payment::{Asset, PayTo};
use crate::protocol::ChainId;
use crate::protocol::chain_id::USDC_DECIMALS;
use crate::{evm, solana};

/// The token that is taken: USDC, or one that the seller describes.
pub(super) struct Token {
    pub asset: Option<String>,
    /// USDC's EIP-712 name and version, if it is USDC on an EVM chain.
    usdc_domain: Option<(&'static str, &'static str)>,
    pub decimals: u8,
    pub symbol: String,
}

impl Token {
    pub(super) fn read(fields: &Fields<'_>, id: ChainId) -> Self {
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

/// The token of a network, and who is paid in it.
pub(super) fn read_asset(
    fields: &Fields<'_>,
    id: ChainId,
    token: &Token,
) -> (Option<Asset>, Option<PayTo>) {
    match id {
        ChainId::Evm(chain_id) => {
            let pay_to = fields.text("pay_to");
            let pay_to = pay_to.and_then(|text| evm_address(fields, "pay_to", text));
            (read_evm(fields, chain_id, token), pay_to.map(PayTo::Evm))
        }
        ChainId::Solana(_) => {
            let pay_to = fields.text("pay_to");
            let pay_to = pay_to.and_then(|text| solana_address(fields, "pay_to", text));
            (read_solana(fields, token), pay_to.map(PayTo::Solana))
        }
    }
}

fn read_evm(fields: &Fields<'_>, chain_id: u64, token: &Token) -> Option<Asset> {
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

fn read_solana(fields: &Fields<'_>, token: &Token) -> Option<Asset> {
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
