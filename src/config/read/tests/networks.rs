//! What a network is: its token, its fees, its batches.

use super::*;

/// What a network needs that isn't known.
fn token() -> Value {
    json!({ "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "name": "USDC", "version": "2", "decimals": 6 })
}

#[test]
fn a_coin_that_we_do_not_know_is_noted_with_its_keys() {
    let notes = |chain: &str, changes: Value| {
        let mut good = good();
        let networks = good["NETWORKS"].as_object_mut().unwrap();
        let mut network = networks[BASE].clone();
        network.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        networks.insert(chain.into(), network);
        let notes = config(&good).notes();
        notes.into_iter().filter(|note| note.contains("coin_price")).collect::<Vec<_>>()
    };
    let [note] = notes("eip155:31337", token()).try_into().unwrap();
    assert!(note.starts_with("NETWORKS.\"eip155:31337\".coin_price: "), "{note}");
    assert!(note.contains("daily_spend, which is 1 coin"), "{note}");
    let mut priced = token();
    priced["coin_price"] = json!("$2");
    assert!(notes("eip155:31337", priced).is_empty());
    assert!(notes("eip155:8453", json!({})).is_empty());
}

#[test]
fn fees_are_bounded_where_the_seller_says_nothing() {
    const MAIN: &str = "eip155:8453";
    const ETHER: u128 = 10_u128.pow(18);
    for (chain, changes, daily_spend, coin_price, failed_gas) in [
        (MAIN, json!({}), Some(ETHER / 10), Some(500_000_000), 10_000_000),
        (BASE, json!({}), None, None, 10_000_000),
        ("eip155:10", token(), Some(ETHER / 10), Some(500_000_000), 10_000_000),
        ("eip155:31337", token(), Some(ETHER), None, 10_000_000),
        ("eip155:137", json!({}), Some(100 * ETHER), Some(50_000), 10_000_000),
        (MAIN, json!({ "daily_spend": "3" }), Some(3 * ETHER), Some(500_000_000), 10_000_000),
        (
            MAIN,
            json!({ "coin_price": "$2500.5" }),
            Some(ETHER / 10),
            Some(2_500_500_000),
            10_000_000,
        ),
        (MAIN, json!({ "coin_price": "off", "failed_gas": 1 }), Some(ETHER / 10), None, 1),
    ] {
        let mut good = good();
        let networks = good["NETWORKS"].as_object_mut().unwrap();
        let mut network = networks[BASE].clone();
        network.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        networks.insert(chain.into(), network);
        let config = config(&good);
        let id = chain.parse().unwrap();
        let network = config.networks.iter().find(|network| network.id == id).unwrap();
        let found = (network.daily_spend, network.token.coin_price, network.failed_gas);
        assert_eq!(found, (daily_spend, coin_price, failed_gas), "{chain} {changes}");
    }
    for value in ["2500", "$0", "none", ""] {
        let bad = with(&[
            (&format!("/NETWORKS/{BASE}/coin_price"), json!(value)),
            ("/ROUTES/1/networks", json!(null)),
        ]);
        assert_eq!(keys(&bad), [format!("NETWORKS.\"{BASE}\".coin_price")], "{value:?}");
    }
}

#[test]
fn any_token_can_be_moved_by_permit2() {
    let offers = |changes: Value| {
        let mut good = good();
        let networks = good["NETWORKS"].as_object_mut().unwrap();
        networks[BASE].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let config = config(&good);
        let offer = config.routes[0].offers.iter().find(|it| it.v2.network.to_string() == BASE);
        let offer = offer.unwrap();
        (offer.v2.to_value()["extra"].clone(), offer.v1.is_some())
    };
    // What is known of a token is told: a client may sign its own permit.
    assert_eq!(offers(json!({})), (json!({ "name": "USDC", "version": "2" }), true));
    let eip3009 = offers(json!({ "asset_transfer_method": "eip3009" }));
    assert_eq!(eip3009, (json!({ "name": "USDC", "version": "2" }), true));
    let usdc = offers(json!({ "asset_transfer_method": "permit2" }));
    let expected = json!({ "name": "USDC", "version": "2", "assetTransferMethod": "permit2" });
    // v1 knows no methods.
    assert_eq!(usdc, (expected, false));
    let plain = json!({
        "asset": "0x5425890298aed601595a70AB815c96711a31Bc65",
        "decimals": 6,
        "asset_transfer_method": "permit2",
    });
    assert_eq!(offers(plain), (json!({ "assetTransferMethod": "permit2" }), false));

    for (changes, is_good) in [
        (json!({ "asset_transfer_method": "permit2" }), true),
        (json!({}), false),
        (json!({ "asset_transfer_method": "eip3009" }), false),
        (
            json!({
                "asset": "0x5425890298aed601595a70AB815c96711a31Bc65",
                "decimals": 6,
                "asset_transfer_method": "permit2",
            }),
            false,
        ),
    ] {
        let mut network = good()["NETWORKS"][BASE].clone();
        network.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        network["eip2612"] = json!(true);
        let key = format!("/NETWORKS/{BASE}");
        let table = with(&[(&key, network), ("/ROUTES/1/networks", json!(null))]);
        if is_good {
            assert!(config(&table).networks.iter().any(|network| network.token.eip2612));
        } else {
            assert_eq!(keys(&table), [format!("NETWORKS.\"{BASE}\".eip2612")], "{changes}");
        }
    }

    for (network, value) in [(BASE, "permit3"), (BASE, ""), (DEVNET, "permit2")] {
        let key = format!("/NETWORKS/{network}/asset_transfer_method");
        let bad = with(&[(&key, json!(value)), ("/ROUTES/1/networks", json!(null))]);
        let expected = [format!("NETWORKS.\"{network}\".asset_transfer_method")];
        assert_eq!(keys(&bad), expected, "{value:?}");
    }
}

#[test]
fn a_batch_is_bounded_by_number_gas_and_calldata() {
    for (limits, expected) in [
        (json!({}), (40, 100)),
        (json!({ "batch_max": 7 }), (7, 7)),
        (json!({ "batch_max": 100 }), (100, 100)),
        (json!({ "batch_gas": 300_000 }), (2, 2)),
        (json!({ "batch_gas": 6_060_000 }), (40, 50)),
        (json!({ "batch_gas": 180_000, "batch_max": 9 }), (1, 1)),
        (json!({ "batch_gas": 900_000, "asset_transfer_method": "permit2" }), (3, 3)),
        (json!({ "batch_calldata": 7_748, "asset_transfer_method": "permit2" }), (10, 10)),
        (json!({ "batch_calldata": 5_188 }), (10, 10)),
        (json!({ "batch_calldata": 131_072, "batch_gas": 100_000_000 }), (40, 100)),
    ] {
        let mut good = good();
        let network = good["NETWORKS"][BASE].as_object_mut().unwrap();
        network.extend(limits.as_object().unwrap().clone());
        let network = &config(&good).networks[0];
        assert_eq!((network.batch_max, network.crowd_max), expected, "{limits}");
    }
    for (name, value) in [("batch_gas", 179_999), ("batch_calldata", 579), ("batch_max", 0)] {
        let bad = with(&[
            (&format!("/NETWORKS/{BASE}/{name}"), json!(value)),
            ("/ROUTES/1/networks", json!(null)),
        ]);
        assert_eq!(keys(&bad), [format!("NETWORKS.\"{BASE}\".{name}")]);
    }
}

#[test]
fn faults_of_networks_have_their_keys() {
    let base = "NETWORKS.\"eip155:84532\"";
    let solana = format!("NETWORKS.\"{DEVNET}\"");
    // Route 1 names Base Sepolia, which is not there when it has a fault.
    for (name, member, value, part) in [
        (BASE, "pay_to", json!("0x1"), "must be an address"),
        (BASE, "pay_to", json!(PAY_TO.replace('B', "b")), "right checksum"),
        (BASE, "pay_to", json!(SOLANA_PAY_TO), "must be an address"),
        (BASE, "pay_to", json!(format!("0x{}", "0".repeat(40))), "zero address"),
        (BASE, "rpc", json!(null), "names no URL"),
        (BASE, "rpc", json!([]), "names no URL"),
        (BASE, "rpc", json!(["wss://base.example"]), "http:// or https://"),
        (BASE, "rpc", json!(["https://base.example", ""]), "http:// or https://"),
        (BASE, "max_timeout_seconds", json!(9), "from 10 to 86400"),
        (BASE, "max_timeout_seconds", json!(86_401), "from 10 to 86400"),
        (BASE, "token_program", json!("spl-token"), "Solana only"),
        (DEVNET, "pay_to", json!(PAY_TO), "base58 of 32 bytes"),
        (DEVNET, "pay_to", json!("1".repeat(32)), "system program"),
        (DEVNET, "version", json!("2"), "EVM chains only"),
        (DEVNET, "token_program", json!("token"), "\"token-2022\""),
    ] {
        let found = faults(&with(&[
            (&format!("/NETWORKS/{name}/{member}"), value.clone()),
            ("/ROUTES/1/networks", json!(null)),
        ]));
        let [(key, problem)] = found.as_slice() else { panic!("{member}: {found:?}") };
        let network = if name == BASE { base } else { &solana };
        assert_eq!(*key, format!("{network}.{member}"), "{value}");
        assert!(problem.contains(part), "{member}: {value}: {problem}");
    }
    let without = with(&[("/ROUTES/1/networks", json!(null))]);
    for (pointer, value, expected, part) in [
        ("/NETWORKS", json!(null), "NETWORKS".to_owned(), "must name a network"),
        ("/NETWORKS", json!([]), "NETWORKS".to_owned(), "must name a network"),
        ("/NETWORKS", json!({}), "NETWORKS".to_owned(), "names no network"),
        ("/NETWORKS/base", json!({}), "NETWORKS.\"base\"".to_owned(), "CAIP-2 name"),
        ("/NETWORKS/eip155:84532/payTo", json!(PAY_TO), base.to_owned(), "no key \"payTo\""),
        ("/NETWORKS/eip155:84532/pay_to", json!(null), format!("{base}.pay_to"), "is needed"),
        (
            "/NETWORKS/eip155:31337",
            json!({ "rpc": ["http://127.0.0.1:8545"], "pay_to": PAY_TO, "name": "T", "version": "1" }),
            "NETWORKS.\"eip155:31337\".asset".to_owned(),
            "no USDC is known",
        ),
    ] {
        let mut config = without.clone();
        set(&mut config, pointer, &value);
        let found = faults(&config);
        let [(key, problem)] = found.as_slice() else { panic!("{pointer}: {found:?}") };
        assert_eq!(*key, expected, "{pointer}");
        assert!(problem.contains(part), "{pointer}: {problem}");
    }
}

#[test]
fn another_token_needs_name_version_and_decimals() {
    let token = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831";
    let asset = ("/NETWORKS/eip155:84532/asset", json!(token));
    let member = |name: &str| format!("NETWORKS.\"{BASE}\".{name}");
    let found = keys(&with(&[asset.clone(), ("/ROUTES/1/networks", json!(null))]));
    assert_eq!(found, [member("decimals"), member("name"), member("version")]);
    let euro = with(&[
        asset,
        ("/NETWORKS/eip155:84532/name", json!("Euro")),
        ("/NETWORKS/eip155:84532/version", json!("1")),
        ("/NETWORKS/eip155:84532/decimals", json!(2)),
        ("/ROUTES/1/price", json!("$0.05")),
    ]);
    let config = config(&euro);
    let offer = config.routes[1].offers[0].v2.to_value();
    assert_eq!(
        (&offer["asset"], &offer["amount"], &offer["extra"]),
        (
            &json!(token),
            &json!("5"),
            &json!({ "name": "Euro", "version": "1", "paymentFlow": "upfront" })
        )
    );
    assert_eq!(
        (config.networks[0].token.symbol.as_str(), config.networks[0].token.decimals),
        ("Euro", 2)
    );
    // What two decimals can't write.
    let mut finer = euro;
    set(&mut finer, "/ROUTES/1/price", &json!("$0.005"));
    let problem = "is finer than the 2 decimals of Euro on eip155:84532".to_owned();
    assert_eq!(faults(&finer), [("ROUTES[1].price".to_owned(), problem)]);

    let mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let asset = ("/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/asset", json!(mint));
    assert_eq!(keys(&with(&[asset])), [format!("NETWORKS.\"{DEVNET}\".decimals")]);
    let zero = ("/NETWORKS/eip155:84532/asset", json!(format!("0x{}", "0".repeat(40))));
    assert!(keys(&with(&[zero])).contains(&member("asset")));
}
