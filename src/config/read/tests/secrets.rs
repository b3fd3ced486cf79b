//! What the secrets hold: keys, and nodes with keys in their URLs.

use super::*;

#[test]
fn faults_of_secrets_have_their_names() {
    let keypair = solana_key();
    for (name, value, key) in [
        ("/EVM_RELAYER_KEYS", json!(null), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!(""), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!(" , "), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!("0x46"), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!(format!("{EVM_KEY} {EVM_KEY}")), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!(format!("{EVM_KEY},0x0")), "EVM_RELAYER_KEYS"),
        ("/EVM_RELAYER_KEYS", json!(format!("0x{}", "0".repeat(64))), "EVM_RELAYER_KEYS"),
        ("/SOLANA_FEE_PAYER_KEYS", json!(null), "SOLANA_FEE_PAYER_KEYS"),
        ("/SOLANA_FEE_PAYER_KEYS", json!(EVM_KEY), "SOLANA_FEE_PAYER_KEYS"),
        ("/SOLANA_FEE_PAYER_KEYS", json!(keypair[1..]), "SOLANA_FEE_PAYER_KEYS"),
        ("/RPC_URLS", json!(""), "RPC_URLS"),
        ("/RPC_URLS", json!("https://base.example"), "RPC_URLS"),
        ("/RPC_URLS", json!("[\"https://base.example\"]"), "RPC_URLS"),
        ("/RPC_URLS", json!("{\"eip155:84532\":\"https://base.example\"}"), "RPC_URLS"),
    ] {
        assert_eq!(keys(&with(&[(name, value.clone())])), [key], "{value}");
    }
    let both = format!(" {EVM_KEY} , 0x{} ,", "11".repeat(32));
    assert_eq!(config(&with(&[("/EVM_RELAYER_KEYS", json!(both))])).relayers.len(), 2);
}

#[test]
fn only_the_chains_that_are_used_need_keys() {
    let evm = with(&[
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", json!(null)),
        ("/SOLANA_FEE_PAYER_KEYS", json!(null)),
    ]);
    assert_eq!(config(&evm).routes[0].offers.len(), 1);
    let solana = with(&[
        ("/NETWORKS/eip155:84532", json!(null)),
        ("/ROUTES/1/networks", json!(null)),
        ("/EVM_RELAYER_KEYS", json!(null)),
    ]);
    assert_eq!(config(&solana).routes[1].offers[0].v2.network.to_string(), DEVNET);
}

#[test]
fn rpc_urls_take_the_place_of_public_ones() {
    let secret = json!({ BASE: ["https://a.example/key", "https://b.example/key"] }).to_string();
    let read = config(&with(&[("/RPC_URLS", json!(secret))]));
    assert_eq!(read.networks[0].rpc, ["https://a.example/key", "https://b.example/key"]);
    assert_eq!(read.networks[1].rpc, ["http://127.0.0.1:8899"]);
    let only =
        config(&with(&[("/RPC_URLS", json!(secret)), ("/NETWORKS/eip155:84532/rpc", json!(null))]));
    assert_eq!(only.networks[0].rpc.len(), 2);
}

#[test]
fn limits_are_where_they_are_said_to_be() {
    let config = config(&with(&[
        ("/ROUTES/1/description", json!("x".repeat(500))),
        ("/ROUTES/1/price", json!("$0.000001")),
        ("/ROUTES/0/redeliver_max", json!(1_000)),
        ("/ROUTES/1/redeliver", json!("0")),
        ("/ROUTES/1/redeliver_max", json!(0)),
        ("/ROUTES/1/networks", json!([DEVNET, BASE])),
        ("/NETWORKS/eip155:84532/max_timeout_seconds", json!(10)),
    ]));
    let route = &config.routes[1];
    assert_eq!((route.redeliver, route.offers[0].v2.amount), (Duration::ZERO, AtomicAmount(1)));
    assert_eq!((config.routes[0].redeliver_max, route.redeliver_max), (1_000, 0));
    let networks: Vec<_> = route.offers.iter().map(|o| o.v2.network.to_string()).collect();
    assert_eq!(networks, [DEVNET, BASE], "in the order of the route");
    assert_eq!(config.routes[0].offers[0].v2.max_timeout_seconds, 10);
    // More dollars than 64 bits of a token with 18 decimals hold.
    let found = faults(&with(&[
        ("/ROUTES/0/price", json!("$19")),
        ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/decimals", json!(18)),
    ]));
    let problems: Vec<_> = found.iter().map(|(_, problem)| problem.as_str()).collect();
    assert!(problems.contains(&"is 6 for USDC"), "{found:?}");
}
