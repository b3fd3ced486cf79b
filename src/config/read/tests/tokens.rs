//! Several tokens on one network, and the offers that come of them.

use super::*;

const EURC: &str = "0x808456652fdb597867f38412077A9182bf77359F";
const USDT: &str = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831";
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const TOKENS: &str = "/NETWORKS/eip155:84532/tokens";

/// Euro Coin and a dollar of 18 decimals beside USDC on Base, a dollar of
/// Token-2022 beside it on Solana.
fn tokens() -> Value {
    with(&[
        (
            TOKENS,
            json!([
                { "asset": EURC, "name": "EURC", "version": "2", "decimals": 6 },
                { "asset": USDT, "name": "Tether USD", "version": "1", "decimals": 18,
                  "symbol": "USDT" },
            ]),
        ),
        (
            "/NETWORKS/solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/tokens",
            json!([{ "asset": MINT, "decimals": 2, "symbol": "USDX",
                     "token_program": "token-2022" }]),
        ),
    ])
}

fn sold(config: &Config, route: usize) -> Vec<String> {
    let offers = config.routes[route].offers.iter();
    offers.map(|it| format!("{} {} {}", it.network.id, it.token.symbol, it.v2.amount.0)).collect()
}

#[test]
fn a_network_has_its_own_token_and_more() {
    let config = config(&tokens());
    let base = &config.networks[0];
    let named: Vec<_> = base.tokens().map(|it| (it.symbol.as_str(), it.decimals)).collect();
    assert_eq!(named, [("USDC", 6), ("EURC", 6), ("USDT", 18)]);
    for (text, symbol) in [
        ("USDT", Some("USDT")),
        (USDT, Some("USDT")),
        (&USDT.to_lowercase(), Some("USDT")),
        ("0x036CbD53842c5426634e7929541eC2318f3dCF7e", Some("USDC")),
        ("Tether USD", None),
        ("usdt", None),
        (MINT, None),
    ] {
        let found = base.token_called(text).map(|token| token.symbol.as_str());
        assert_eq!(found, symbol, "{text}");
    }
}

#[test]
fn a_route_names_networks_and_tokens() {
    let own = format!("{BASE} USDC 10000");
    let euro = format!("{BASE} EURC 10000");
    let tether = format!("{BASE} USDT 10000000000000000");
    let (solana, other) = (format!("{DEVNET} USDC 10000"), format!("{DEVNET} USDX 1"));
    let all = [&own, &solana, &euro, &tether, &other].map(String::clone).to_vec();
    let lower = format!("{BASE}/{}", USDT.to_lowercase());
    for (named, expected) in [
        (json!(null), all),
        (json!([BASE]), vec![own.clone()]),
        (json!([format!("{BASE}/USDC")]), vec![own.clone()]),
        (
            json!([format!("{BASE}/{EURC}"), DEVNET, lower, BASE]),
            vec![euro, solana, tether.clone(), own],
        ),
        (json!([format!("{DEVNET}/{MINT}"), format!("{BASE}/USDT")]), vec![other, tether]),
    ] {
        let mut good = tokens();
        set(&mut good, "/ROUTES/0/networks", &named);
        assert_eq!(sold(&config(&good), 0), expected, "{named}");
    }
}

#[test]
fn each_offer_is_of_its_token() {
    let mut good = tokens();
    set(
        &mut good,
        "/ROUTES/1/networks",
        &json!([format!("{BASE}/USDT"), format!("{DEVNET}/USDX")]),
    );
    set(&mut good, "/ROUTES/1/price", &json!("$0.05"));
    let config = config(&good);
    let [tether, other] = config.routes[1].offers.as_slice() else { panic!() };
    assert_eq!(
        tether.v2.to_value(),
        json!({
            "scheme": "exact", "network": BASE, "amount": "50000000000000000", "asset": USDT,
            "payTo": PAY_TO, "maxTimeoutSeconds": 300,
            "extra": { "name": "Tether USD", "version": "1", "paymentFlow": "upfront" },
        })
    );
    let v1 = tether.v1.as_ref().unwrap().to_value();
    assert_eq!((&v1["network"], &v1["asset"]), (&json!("base-sepolia"), &json!(USDT)));
    assert_eq!(v1["maxAmountRequired"], "50000000000000000");
    assert_eq!(other.v2.asset, MINT);
    assert_eq!(other.v2.amount, AtomicAmount(5));
    assert_eq!(
        (&other.v2.extra["decimals"], &other.v2.extra["tokenProgram"]),
        (&json!(2), &json!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"))
    );
}

#[test]
fn bounds_in_dollars_hold_for_each_token_at_its_decimals() {
    let base = "/NETWORKS/eip155:84532";
    let mut good = tokens();
    set(&mut good, &format!("{base}/rpc"), &json!(["https://a.example", "https://b.example"]));
    set(&mut good, &format!("{base}/coin_price"), &json!("$2500"));
    set(&mut good, &format!("{base}/quorum_above"), &json!("$10"));
    good["NETWORKS"][BASE]["tokens"][0]["coin_price"] = json!("$2100.5");
    good["NETWORKS"][BASE]["tokens"][0]["quorum_above"] = json!("$9");
    let ether = 10_u128.pow(18);
    let found: Vec<_> = config(&good).networks[0]
        .tokens()
        .map(|it| (it.coin_price.unwrap(), it.quorum_above.unwrap().0))
        .collect();
    assert_eq!(
        found,
        [(2_500_000_000, 10_000_000), (2_100_500_000, 9_000_000), (2_500 * ether, 10 * ether)]
    );
    good["NETWORKS"][BASE]["tokens"][1]["coin_price"] = json!("off");
    let off = config(&good);
    assert_eq!(off.networks[0].token_called("USDT").unwrap().coin_price, None);
    // What is known of Ether's price holds, too, where nothing is said.
    let mut main = tokens();
    let network = main["NETWORKS"][BASE].take();
    main["NETWORKS"] = json!({ "eip155:8453": network });
    set(&mut main, "/ROUTES/1/networks", &json!(null));
    set(&mut main, "/SOLANA_FEE_PAYER_KEYS", &json!(null));
    let prices: Vec<_> =
        config(&main).networks[0].tokens().map(|it| it.coin_price.unwrap()).collect();
    assert_eq!(prices, [500_000_000, 500_000_000, 500 * ether]);
}

#[test]
fn a_known_coin_price_that_is_finer_than_a_token_is_no_fault() {
    let token = json!({ "asset": USDT, "name": "T", "version": "1", "decimals": 2 });
    let mut coarse = with(&[("/ROUTES/1/networks", json!(null)), ("/ROUTES/1/price", json!("$1"))]);
    let mut network = coarse["NETWORKS"][BASE].take();
    network.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
    coarse["NETWORKS"] = json!({ "eip155:143": network });
    set(&mut coarse, "/SOLANA_FEE_PAYER_KEYS", &json!(null));
    assert_eq!(config(&coarse).networks[0].token.coin_price, None);
    set(&mut coarse, "/NETWORKS/eip155:143/coin_price", &json!("$0.005"));
    let [(key, problem)] = faults(&coarse).try_into().unwrap();
    assert_eq!(key, "NETWORKS.\"eip155:143\".coin_price");
    assert_eq!(problem, "is finer than the 2 decimals of the token");
}

#[test]
fn faults_of_tokens_have_their_keys() {
    let key = |rest: &str| format!("NETWORKS.\"{BASE}\".tokens{rest}");
    let token = json!({ "asset": EURC, "name": "EURC", "version": "2", "decimals": 6 });
    let but = |member: &str, value: Value| {
        let mut changed = token.clone();
        set(&mut changed, &format!("/{member}"), &value);
        json!([changed])
    };
    let usdc = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
    for (value, expected, part) in [
        (json!({}), key(""), "must be a list"),
        (json!(["EURC"]), key("[0]"), "must be a table"),
        (but("asset", json!(null)), key("[0].asset"), "is needed"),
        (but("asset", json!("EURC")), key("[0].asset"), "must be an address"),
        (json!([{ "asset": usdc }]), key("[0].asset"), "same token"),
        (json!([token, token]), key("[1].asset"), "same token"),
        (but("name", json!(null)), key("[0].name"), "is needed"),
        (but("version", json!(null)), key("[0].version"), "is needed"),
        (but("decimals", json!(null)), key("[0].decimals"), "is needed"),
        (but("decimals", json!(37)), key("[0].decimals"), "from 0 to 36"),
        (but("symbol", json!("USDC")), key("[0].symbol"), "earlier token"),
        (but("name", json!("USDC")), key("[0].symbol"), "earlier token"),
        (but("symbol", json!("a/b")), key("[0].symbol"), "without a slash"),
        (but("symbol", json!("")), key("[0].symbol"), "without a slash"),
        (but("token_program", json!("spl-token")), key("[0].token_program"), "Solana only"),
        (but("coin_price", json!("2500")), key("[0].coin_price"), "\"$2500\""),
        (but("coin_price", json!("$0.0000001")), key("[0].coin_price"), "6 decimals"),
        (but("quorum_above", json!("10")), key("[0].quorum_above"), "\"$10\""),
        (but("quorum_above", json!("$10")), key("[0].quorum_above"), "two URLs"),
        (but("pay_to", json!(PAY_TO)), key("[0]"), "no key \"pay_to\""),
    ] {
        let bad = with(&[(TOKENS, value.clone()), ("/ROUTES/1/networks", json!(null))]);
        let found = faults(&bad);
        let [(key, problem)] = found.as_slice() else { panic!("{value}: {found:?}") };
        assert_eq!(*key, expected, "{value}");
        assert!(problem.contains(part), "{value}: {problem}");
    }
}

#[test]
fn a_facilitators_tokens_have_no_bounds_of_ours() {
    let token = json!({ "asset": EURC, "name": "EURC", "version": "2", "decimals": 6,
        "coin_price": "off", "quorum_above": "$1" });
    let bad = with(&[
        (TOKENS, json!([token])),
        ("/NETWORKS/eip155:84532/rpc", json!(null)),
        ("/NETWORKS/eip155:84532/facilitator", json!("https://facilitator.example")),
        ("/ROUTES/1/networks", json!(null)),
    ]);
    let key = |name: &str| format!("NETWORKS.\"{BASE}\".tokens[0].{name}");
    assert_eq!(keys(&bad), [key("coin_price"), key("quorum_above")]);
}

#[test]
fn notes_name_the_table_of_a_token() {
    let notes = config(&tokens()).notes().join("\n");
    for part in
        ["\".tokens[0].asset: 0x8084", "\".tokens[1].asset: 0xaf88", "\".tokens[0].asset: EPj"]
    {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(!notes.contains("\".asset: "), "{notes}");
}

#[test]
fn faults_of_what_a_route_names_have_their_keys() {
    let networks = "ROUTES[0].networks";
    let twice = [BASE.to_owned(), format!("{BASE}/USDC")];
    for (named, part) in [
        (json!([format!("{BASE}/DAI")]), "a token that it doesn't have; it has USDC, EURC, USDT"),
        (json!([format!("{BASE}/usdc")]), "it has USDC, EURC, USDT"),
        (json!([format!("{BASE}/")]), "it has USDC, EURC, USDT"),
        (json!([format!("{BASE}/{MINT}")]), "it has USDC, EURC, USDT"),
        (json!([format!("{DEVNET}/EURC")]), "it has USDC, USDX"),
        (json!(["USDC"]), "which NETWORKS doesn't have"),
        (json!(["eip155:1/USDC"]), "which NETWORKS doesn't have"),
        (json!(twice), "names eip155:84532/USDC twice"),
        (json!([format!("{BASE}/USDT"), format!("{BASE}/{USDT}")]), "twice"),
    ] {
        let mut bad = tokens();
        set(&mut bad, "/ROUTES/0/networks", &named);
        let found = faults(&bad);
        let [(key, problem)] = found.as_slice() else { panic!("{named}: {found:?}") };
        assert_eq!(key, networks, "{named}");
        assert!(problem.contains(part), "{named}: {problem}");
    }
    // Each token has decimals of its own for the price.
    let mut finer = tokens();
    set(&mut finer, "/ROUTES/0/price", &json!("$0.005"));
    let problem = format!("is finer than the 2 decimals of USDX on {DEVNET}");
    assert_eq!(faults(&finer), [("ROUTES[0].price".to_owned(), problem)]);
}
