//! What a configuration comes to, for a seller's tools (`edge402 check`): read
//! by the Worker's own reader, before anything is deployed.
//!
//! Nothing here asks a chain, and no secret is in the answer. The tools get
//! what they must compare with the chains: addresses, never keys.

use std::cell::RefCell;

use serde_json::Value;

use crate::config::{self, Config, Method, Network, PatternSet, Route, Settings, Sources, Token};
use crate::evm::MULTICALL3;
use crate::evm::transfer::permit2::{EXACT_PROXY, PERMIT2, UPTO_PROXY};
use crate::gate::{ChallengeTemplate, Hints};
use crate::json::{self, json};
use crate::path::CanonicalPath;
use crate::payment::PayTo;
use crate::protocol::ChainId;
use crate::protocol::chain_id::KNOWN_NETWORKS;
use crate::protocol::coin;
use crate::protocol::requirements::UPTO;
use crate::rpc::Expected;
use crate::table::Table;

/// The URL that a challenge is measured with: a host and a path of usual length.
const EXAMPLE_HOST: &str = "https://shop.example.workers.dev";

/// Reads a configuration and answers all that is known of it, both as JSON.
///
/// The input has `variables` and `secrets`, name → value, `bindings`, a list of
/// names, and may have `requests`, pairs of method and path. The answer has:
///
/// - `faults`, each with `key` and `problem`: what the Worker would log
/// - `notes`: what is no fault and may surprise
/// - `names`: the `variables`, `secrets` and `bindings` that were looked for
/// - `networks`: those that can be read, with what the chain must say of them
/// - `routes`: what is sold, if there is no fault
/// - `sold`: for each of `requests` the number of its route, `null` if it is
///   free, `"refused"` if its path can be read in two ways
/// - `known`: the networks that need no `asset`
/// - `contracts`: the addresses at which payments need others' code on EVM
pub fn report(input: &str, fold: fn(&str) -> String) -> String {
    let input = json::parse(input).unwrap_or_default();
    let names = Names::default();
    let look_up = |table: &str, name: &str| {
        input.get(table)?.get(name).filter(|value| !value.is_null()).cloned()
    };
    let bindings = input.get("bindings").and_then(Value::as_array);
    let variable = |name: &'static str| {
        note(&names.variables, name);
        look_up("variables", name)
    };
    let secret = |name: &str| {
        note(&names.secrets, name);
        // The Worker has one environment for both.
        look_up("secrets", name).or_else(|| look_up("variables", name))
    };
    let has_binding = |name: &'static str| {
        note(&names.bindings, name);
        bindings.is_some_and(|list| list.iter().any(|it| it == name))
    };
    let sources = Sources { variable: &variable, secret: &secret, has_binding: &has_binding };
    let settings = Settings::collect(&sources, Table::new(), fold);
    let loaded = config::read(&settings);
    let parts = config::read_parts(&settings);
    let mut notes = loaded.notes.clone();
    let mut faults = vec![];
    let mut routes = vec![];
    match &loaded.config {
        Ok(config) => {
            notes.extend(config.notes());
            routes.extend(config.routes.iter().map(|it| route(it, config)));
        }
        Err(all) => faults.extend(
            all.0.iter().map(|fault| json!({ "key": fault.key, "problem": fault.problem })),
        ),
    }
    json!({
        "faults": faults,
        "notes": notes,
        "names": {
            "variables": names.variables.into_inner(),
            "secrets": names.secrets.into_inner(),
            "bindings": names.bindings.into_inner(),
        },
        "networks": parts.networks.iter().map(|it| network(it)).collect::<Vec<_>>(),
        "signers": {
            "eip155": texts(&parts.signers.relayers),
            "solana": texts(&parts.signers.fee_payers),
        },
        "routes": routes,
        "sold": sold(&input, loaded.patterns.as_ref()),
        "known": known(),
        "contracts": {
            "multicall3": MULTICALL3.to_string(),
            "permit2": PERMIT2.to_string(),
            "exactProxy": EXACT_PROXY.to_string(),
            "uptoProxy": UPTO_PROXY.to_string(),
        },
    })
    .to_string()
}

/// The names that were looked for.
#[derive(Default)]
struct Names {
    variables: RefCell<Vec<String>>,
    secrets: RefCell<Vec<String>>,
    bindings: RefCell<Vec<String>>,
}

fn note(names: &RefCell<Vec<String>>, name: &str) {
    names.borrow_mut().push(name.to_owned());
}

/// What is sold by one route, and how long its challenge is.
fn route(route: &Route, config: &Config) -> Value {
    let path = route.pattern.path();
    let template = ChallengeTemplate::new(route, config);
    let challenge = template.write(&format!("{EXAMPLE_HOST}{path}"), None, &Hints::default());
    let networks: Vec<_> = route.offers.iter().map(|offer| offer.network.id.to_string()).collect();
    json!({
        "path": path,
        "isPrefix": route.pattern.is_prefix(),
        "price": route.price.to_string(),
        "prices": route.prices.iter().map(|it| it.route.price.to_string()).collect::<Vec<_>>(),
        "freeFor": route.free_for.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(),
        "networks": networks,
        "isByUse": route.offers.iter().any(|offer| offer.v2.scheme == UPTO),
        "challengeBytes": challenge.header.len(),
    })
}

/// Which route sells each of the requests that are asked about.
fn sold(input: &Value, patterns: Option<&PatternSet>) -> Vec<Value> {
    let requests = input.get("requests").and_then(Value::as_array);
    let found = |request: &Value| {
        let text = |at: usize| request.get(at).and_then(Value::as_str).unwrap_or_default();
        let (Ok(method), Ok(path)) = (text(0).parse::<Method>(), CanonicalPath::parse(text(1)))
        else {
            return json!("refused");
        };
        match patterns.map(|it| it.find(&path, &method)) {
            Some(Ok(found)) => json!(found.route),
            Some(Err(_)) => json!("refused"),
            None => Value::Null,
        }
    };
    requests.map(|list| list.iter().map(found).collect()).unwrap_or_default()
}

/// A network, and what must be found on it.
fn network(network: &Network) -> Value {
    let id = network.id;
    let check = network.chain_check();
    let expected = match check.expect {
        Expected::ChainId(id) => format!("{id:#x}"),
        Expected::GenesisPrefix(prefix) => prefix,
    };
    let secret = if id.names_fee_payer() { "SOLANA_FEE_PAYER_KEYS" } else { "EVM_RELAYER_KEYS" };
    let signs_itself = network.facilitator.is_none();
    json!({
        "id": id.to_string(),
        "title": network.title,
        "namespace": id.namespace(),
        "rpc": network.rpc,
        "chainCheck": { "method": check.method, "expected": expected },
        "tokens": network.tokens().map(|it| token(it, network.pay_to)).collect::<Vec<_>>(),
        "payTo": network.pay_to.map(|it| it.to_string()),
        "signers": if signs_itself { network.signers() } else { vec![] },
        "signerTitle": id.signer_title(),
        "signerSecret": secret,
        "coin": coin_json(id),
        "lowBalance": network.low_balance.map(|it| it.to_string()),
        "facilitator": network.facilitator.as_ref().map(|it| it.url.clone()),
        "fallback": network.fallback.as_ref().map(|it| it.url.clone()),
        "formerFacilitator": network.former_facilitator.as_ref().map(|it| it.url.clone()),
    })
}

/// A token that is taken, and what of it must be found on the chain.
fn token(token: &Token, pay_to: Option<PayTo>) -> Value {
    json!({
        "asset": token.asset.address(),
        "symbol": token.symbol,
        "decimals": token.decimals,
        "coinPrice": token.coin_price.map(|it| it.to_string()),
        "onChain": token.asset.on_chain(pay_to),
    })
}

fn coin_json(id: ChainId) -> Value {
    json!({ "symbol": coin::symbol(id), "decimals": id.coin_decimals() })
}

fn texts(addresses: &[impl ToString]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn known() -> Vec<Value> {
    KNOWN_NETWORKS
        .iter()
        .map(|network| {
            let id = network.caip2.parse::<ChainId>().ok();
            json!({
                "id": network.caip2,
                "v1Name": network.v1_name,
                "title": network.title,
                "usdc": network.usdc,
                "coin": id.map(coin_json),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x4646464646464646464646464646464646464646464646464646464646464646";

    fn read(input: &Value) -> Value {
        json::parse(&report(&input.to_string(), str::to_owned)).unwrap()
    }

    fn good() -> Value {
        json!({
            "variables": {
                "ORIGIN": "assets",
                "ROUTES": [{ "pattern": "/premium/*", "price": "$0.01" }],
                "NETWORKS": { "eip155:84532": {
                    "rpc": ["https://sepolia.base.org"],
                    "pay_to": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
                } },
            },
            "secrets": { "EVM_RELAYER_KEYS": KEY },
            "bindings": ["SETTLER", "REPLAY", "ASSETS"],
        })
    }

    #[test]
    fn a_good_configuration_has_no_fault_and_says_what_it_sells() {
        let report = read(&good());
        assert_eq!(report["faults"], json!([]));
        assert_eq!(report["notes"], json!([]));
        let route = &report["routes"][0];
        assert_eq!((&route["path"], &route["isPrefix"]), (&json!("/premium/"), &json!(true)));
        assert_eq!(route["price"], "$0.01");
        assert_eq!(route["networks"], json!(["eip155:84532"]));
        assert!(route["challengeBytes"].as_u64().unwrap() > 500);
        let network = &report["networks"][0];
        assert_eq!(
            network["chainCheck"],
            json!({ "method": "eth_chainId", "expected": "0x14a34" })
        );
        assert_eq!(network["signers"], json!(["0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"]));
        assert_eq!(network["tokens"][0]["coinPrice"], json!(null));
        // What the token itself answers on Base Sepolia.
        assert_eq!(
            network["tokens"][0]["onChain"]["domainSeparator"],
            "0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"
        );
        assert!(report["names"]["variables"].as_array().unwrap().contains(&json!("PAGE")));
        assert!(report["names"]["secrets"].as_array().unwrap().contains(&json!("GRANT_SECRET")));
    }

    #[test]
    fn a_fault_keeps_no_other_part_from_being_read() {
        let mut input = good();
        input["variables"]["ROUTES"][0]["price"] = json!("free");
        input["bindings"] = json!(["SETTLER"]);
        let report = read(&input);
        let keys: Vec<_> =
            report["faults"].as_array().unwrap().iter().map(|it| &it["key"]).collect();
        assert_eq!(keys, ["REPLAY", "ASSETS", "ROUTES[0].price"]);
        assert_eq!(report["networks"][0]["id"], "eip155:84532");
    }

    #[test]
    fn a_coin_has_a_price_in_atomic_units_of_the_token() {
        let mut input = good();
        let network = input["variables"]["NETWORKS"]["eip155:84532"].take();
        input["variables"]["NETWORKS"] = json!({ "eip155:1": network });
        let report = read(&input);
        // $500.
        assert_eq!(report["networks"][0]["tokens"][0]["coinPrice"], "500000000");
    }

    #[test]
    fn requests_are_matched_as_the_gate_matches_them() {
        let mut input = good();
        input["variables"]["ROUTES"] = json!([
            { "pattern": "/premium/*", "price": "$0.01" },
            { "pattern": "/report", "price": "$0.02", "methods": ["POST"] },
        ]);
        input["requests"] = json!([
            ["GET", "/premium/a.html"],
            ["GET", "/PREMIUM"],
            ["GET", "/report.html"],
            ["POST", "/report.html"],
            ["GET", "/"],
            ["GET", "/a%2Fb"],
        ]);
        assert_eq!(read(&input)["sold"], json!([0, 0, null, 1, null, "refused"]));
    }

    #[test]
    fn no_secret_is_in_the_answer() {
        let mut input = good();
        let url = "https://node.example/v2/secret-part";
        input["secrets"]["GRANT_SECRET"] = json!("ab".repeat(32));
        let text = report(&input.to_string(), str::to_owned);
        assert!(!text.contains(&KEY[2..]) && !text.contains(&"ab".repeat(32)), "{text}");
        // Nodes must be asked, so their URLs are in it.
        input["secrets"]["RPC_URLS"] = json!({ "eip155:84532": [url] });
        assert_eq!(read(&input)["networks"][0]["rpc"], json!([url]));
    }

    #[test]
    fn solana_names_the_account_that_must_be_there() {
        let mut input = good();
        let devnet = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
        input["variables"]["NETWORKS"] = json!({ devnet: {
            "rpc": ["https://api.devnet.solana.com"],
            "pay_to": "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi",
        } });
        input["secrets"] = json!({ "SOLANA_FEE_PAYER_KEYS": "07".repeat(32) });
        let report = read(&input);
        assert_eq!(report["faults"], json!([]));
        let network = &report["networks"][0];
        assert_eq!(network["chainCheck"]["expected"], "EtWTRABZaYq6iMfeYKouRu166VU2xqa1");
        assert_eq!(
            network["tokens"][0]["onChain"]["tokenProgram"],
            "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
        );
        // As @solana/kit derives it.
        assert_eq!(
            network["tokens"][0]["onChain"]["payToAccount"],
            "8n9SVoKx3Jtqdwm5Dx3wR3hVQPMgyNJPfJzXcntq2N7R"
        );
    }
}
