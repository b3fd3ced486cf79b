//! What of a token and a recipient can be compared with what a chain says.

use serde_json::{Map, Value};

use super::{Asset, PayTo};
use crate::encoding::encode_hex;
use crate::json::json;
use crate::solana::address::associated_token_address;

impl Asset {
    /// What must be found on the chain: on EVM `transferMethod`, and
    /// `domainSeparator` (32 bytes in hex) if the token is known to have one; on
    /// Solana `tokenProgram`, the mint's owner, and `payToAccount`, the
    /// recipient's associated token account.
    pub fn on_chain(&self, pay_to: Option<PayTo>) -> Map<String, Value> {
        let mut facts = Map::new();
        match self {
            Self::Evm(domain, method) => {
                facts.insert("transferMethod".into(), json!(method.name()));
                // A token that Permit2 moves need have no domain.
                if !domain.name.is_empty() {
                    facts.insert("domainSeparator".into(), json!(encode_hex(&domain.separator())));
                }
            }
            Self::Solana { mint, token_program, .. } => {
                let program = token_program.id();
                let owner = pay_to.and_then(PayTo::as_solana);
                let account = owner.and_then(|it| associated_token_address(&it, mint, &program));
                facts.insert("tokenProgram".into(), json!(program.to_string()));
                facts.insert("payToAccount".into(), json!(account.map(|it| it.to_string())));
            }
        }
        facts
    }
}
