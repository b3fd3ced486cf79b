//! The variables and secrets by their names, before anything is made of them.

use serde_json::Value;

use super::origin_headers::secrets_named;
use super::overrides::Overrides;
use super::webhooks;
use crate::facilitator_client::RemoteFacts;
use crate::path::Fold;
use crate::protocol::ChainId;
use crate::table::Table;

/// The variables and secrets, as the runtime found them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `ORIGIN`.
    pub origin: Option<Value>,
    /// `ORIGIN_HEADERS`.
    pub origin_headers: Option<Value>,
    /// The secrets that it names, as far as they are there.
    pub header_secrets: Table<String, String>,
    /// `TELL_ORIGIN`.
    pub tell_origin: Option<Value>,
    /// `TELL_MACHINES`.
    pub tell_machines: Option<Value>,
    /// `ORIGIN_SECRET`.
    pub origin_secret: Option<String>,
    /// `ROUTES`.
    pub routes: Option<Value>,
    /// `NETWORKS`.
    pub networks: Option<Value>,
    /// `EVM_RELAYER_KEYS`.
    pub evm_relayer_keys: Option<String>,
    /// `SOLANA_FEE_PAYER_KEYS`.
    pub solana_fee_payer_keys: Option<String>,
    /// `FORMER_SIGNERS`.
    pub former_signers: Option<Value>,
    /// `RPC_URLS`.
    pub rpc_urls: Option<String>,
    /// `GRANT_SECRET`.
    pub grant_secret: Option<String>,
    /// `FACILITATOR_HEADERS`.
    pub facilitator_headers: Option<String>,
    /// `CDP_API_KEY`.
    pub cdp_api_key: Option<String>,
    /// What the networks' facilitators have said of themselves.
    pub remote: Table<ChainId, RemoteFacts>,
    /// `FACILITATOR`.
    pub facilitator: Option<Value>,
    /// `FACILITATOR_TOKENS`.
    pub facilitator_tokens: Option<String>,
    /// `PASSES`.
    pub passes: Option<String>,
    /// `SALES`.
    pub sales: Option<Value>,
    /// `DESK_TOKENS`.
    pub desk_tokens: Option<String>,
    /// Which of the bindings that every configuration needs are missing.
    pub missing_bindings: Vec<&'static str>,
    /// `CORS_CREDENTIALS`.
    pub cors_credentials: Option<Value>,
    /// `PAGE`.
    pub page: Option<Value>,
    /// `WEBHOOKS`.
    pub webhooks: Option<Value>,
    /// The secrets that it names, as far as they are there.
    pub webhook_secrets: Table<String, String>,
    /// What the desk has changed of the routes.
    pub overrides: Overrides,
    /// How letters of paths are made alike.
    pub fold: Fold,
}

/// Where variables, secrets and bindings are looked up: the Worker's
/// environment, or a seller's files.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// A variable of wrangler.toml, whatever its type.
    pub variable: &'a dyn Fn(&'static str) -> Option<Value>,
    /// A secret. One that is JSON may come as what it spells, as from .dev.vars.
    pub secret: &'a dyn Fn(&str) -> Option<Value>,
    /// Whether there is a binding of this name.
    pub has_binding: &'a dyn Fn(&'static str) -> bool,
}

impl Sources<'_> {
    fn variable(&self, name: &'static str) -> Option<Value> {
        (self.variable)(name)
    }

    fn secret(&self, name: &str) -> Option<String> {
        match (self.secret)(name)? {
            Value::String(text) => Some(text),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }
}

impl Settings {
    /// Looks up all that a configuration is made of.
    pub fn collect(
        from: &Sources<'_>,
        remote: Table<ChainId, RemoteFacts>,
        fold: fn(&str) -> String,
    ) -> Self {
        let origin = from.variable("ORIGIN");
        let origin_headers = from.variable("ORIGIN_HEADERS");
        let named = secrets_named(origin_headers.as_ref());
        let header_secrets = named.filter_map(|name| Some((name.to_owned(), from.secret(name)?)));
        let header_secrets = header_secrets.collect();
        let webhooks = from.variable("WEBHOOKS");
        let named = webhooks::secrets_named(webhooks.as_ref());
        let webhook_secrets =
            named.filter_map(|name| Some((name.to_owned(), from.secret(name)?))).collect();
        let missing_bindings = missing_bindings(from, origin.as_ref());
        Self {
            origin,
            origin_headers,
            header_secrets,
            tell_origin: from.variable("TELL_ORIGIN"),
            tell_machines: from.variable("TELL_MACHINES"),
            origin_secret: from.secret("ORIGIN_SECRET"),
            routes: from.variable("ROUTES"),
            networks: from.variable("NETWORKS"),
            evm_relayer_keys: from.secret("EVM_RELAYER_KEYS"),
            solana_fee_payer_keys: from.secret("SOLANA_FEE_PAYER_KEYS"),
            former_signers: from.variable("FORMER_SIGNERS"),
            rpc_urls: from.secret("RPC_URLS"),
            grant_secret: from.secret("GRANT_SECRET"),
            facilitator_headers: from.secret("FACILITATOR_HEADERS"),
            cdp_api_key: from.secret("CDP_API_KEY"),
            remote,
            facilitator: from.variable("FACILITATOR").filter(|value| !value.is_null()),
            facilitator_tokens: from.secret("FACILITATOR_TOKENS"),
            passes: from.secret("PASSES"),
            sales: from.variable("SALES"),
            desk_tokens: from.secret("DESK_TOKENS"),
            missing_bindings,
            cors_credentials: from.variable("CORS_CREDENTIALS"),
            page: from.variable("PAGE"),
            webhooks,
            webhook_secrets,
            overrides: Overrides::default(),
            fold: Fold(fold),
        }
    }

    /// Whether anything is sold.
    pub(super) fn sells(&self) -> bool {
        self.routes.as_ref().and_then(Value::as_array).is_none_or(|routes| !routes.is_empty())
    }
}

fn missing_bindings(from: &Sources<'_>, origin: Option<&Value>) -> Vec<&'static str> {
    let of_origin = match origin.and_then(Value::as_str) {
        Some("assets") => Some("ASSETS"),
        Some("service") => Some("ORIGIN_SERVICE"),
        _ => None,
    };
    let needed = ["REPLAY", "SETTLER"].into_iter().chain(of_origin);
    needed.filter(|name| !(from.has_binding)(name)).collect()
}
