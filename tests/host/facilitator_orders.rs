//! What the facilitator reads of a body, and which field it complains of.
use crate::solana_support::{self, signing_key};
use edge402::amount::AtomicAmount;
use edge402::config::{self, Config, Settings};
use edge402::encoding::encode_base64;
use edge402::facilitator::accepts::AcceptsRequest;
use edge402::facilitator::access::{Asker, account_of};
use edge402::facilitator::answer::{self, bad_request};
use edge402::facilitator::order::idempotency_key;
use edge402::facilitator::{BadRequest, Endpoint, Order, supported};
use edge402::gate::Hints;
use edge402::protocol::{Reason, Version};
use edge402::settlement::{Outcome, Settlement, Verdict};
use edge402::time::UnixSeconds;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const EVM: &str = "eip155:84532";
const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const SOLANA_PAY_TO: &str = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4";
const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const MINT: &str = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
/// The seed of the fee payer is 32 ones.
const FEE_PAYER: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";

pub fn token_hash(token: &str) -> String {
    edge402::encoding::encode_hex(&Sha256::digest(token.as_bytes())).split_off(2)
}

pub fn settings() -> Settings {
    let seed = [1; 32];
    let fee_payer = ed25519_dalek::SigningKey::from_bytes(&seed).to_keypair_bytes();
    Settings {
        origin: Some(json!("assets")),
        routes: Some(json!([])),
        networks: Some(json!({
            EVM: { "rpc": ["https://evm.example"], "pay_to": PAY_TO },
            SOLANA: { "rpc": ["https://solana.example"], "pay_to": SOLANA_PAY_TO },
        })),
        evm_relayer_keys: Some(format!("0x{}", "46".repeat(32))),
        solana_fee_payer_keys: Some(bs58::encode(fee_payer).into_string()),
        facilitator: Some(json!({
            "path": "/facilitator",
            "clients": [
                { "name": "both", "pay_to": [PAY_TO, SOLANA_PAY_TO],
                  "daily_spend": { EVM: "0.01", SOLANA: "1" } },
                { "name": "solana", "pay_to": [SOLANA_PAY_TO], "networks": [SOLANA] },
            ],
        })),
        facilitator_tokens: Some(format!(
            "both:{}, both:{}, solana:{}",
            token_hash("one"),
            token_hash("two"),
            token_hash("three")
        )),
        ..Settings::default()
    }
}

pub fn config() -> Config {
    config::read(&settings()).config.unwrap()
}

/// The problems of a configuration that differs in one thing.
pub fn faults(change: impl Fn(&mut Settings)) -> String {
    let mut settings = settings();
    change(&mut settings);
    match config::read(&settings).config {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string(),
    }
}

fn order_v2() -> Value {
    let requirements = json!({
        "scheme": "exact", "network": EVM, "amount": "10000", "asset": USDC, "payTo": PAY_TO,
        "maxTimeoutSeconds": 60, "extra": { "name": "USDC", "version": "2" },
    });
    json!({
        "x402Version": 2,
        "paymentPayload": { "x402Version": 2, "accepted": requirements, "payload": {} },
        "paymentRequirements": requirements,
    })
}

fn order_v1() -> Value {
    json!({
        "x402Version": 1,
        "paymentPayload": {
            "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": {},
        },
        "paymentRequirements": {
            "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
            "asset": USDC, "payTo": PAY_TO, "maxTimeoutSeconds": 60,
            "resource": "https://shop/", "description": "", "mimeType": "",
            "extra": { "name": "USDC", "version": "2" },
        },
    })
}

fn order_solana() -> Value {
    let requirements = json!({
        "scheme": "exact", "network": SOLANA, "amount": "10000", "asset": MINT,
        "payTo": SOLANA_PAY_TO, "maxTimeoutSeconds": 60,
        "extra": { "feePayer": FEE_PAYER, "memo": "order 7" },
    });
    json!({
        "x402Version": 2,
        "paymentPayload": { "x402Version": 2, "accepted": requirements, "payload": {} },
        "paymentRequirements": requirements,
    })
}

fn read(token: &str, body: &Value) -> Result<Order, BadRequest> {
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let account = account_of(facilitator, Some(&format!("Bearer {token}"))).unwrap();
    Order::read(&config, account, body.to_string().as_bytes())
}

/// Sets what a JSON pointer names; `null` removes it.
pub fn changed(mut body: Value, pointer: &str, value: &Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(member);
    } else {
        parent.insert(member.into(), value.clone());
    }
    body
}

#[test]
fn orders_of_both_versions_and_chains_are_read() {
    let order = read("one", &order_v2()).unwrap();
    assert_eq!((order.version, order.network_name.as_str()), (Version::V2, EVM));
    let order = read("two", &order_v1()).unwrap();
    assert_eq!((order.version, order.network_name.as_str()), (Version::V1, "base-sepolia"));
    assert_eq!(read("three", &order_solana()).unwrap().network_name, SOLANA);
    // Some middleware leaves the version to the payment.
    for body in [order_v1(), order_v2()] {
        read("one", &changed(body.clone(), "/x402Version", &Value::Null)).unwrap();
        read("one", &changed(body, "/paymentPayload/x402Version", &Value::Null)).unwrap();
    }
    // Some v1 servers pass the header on.
    let mut body = order_v1();
    let payment = body.as_object_mut().unwrap().remove("paymentPayload").unwrap();
    let header = edge402::encoding::encode_base64(payment.to_string().as_bytes());
    let body = changed(body, "/paymentHeader", &json!(header));
    assert_eq!(read("one", &body).unwrap().version, Version::V1);
}

#[test]
fn what_is_wrong_is_named() {
    let null = Value::Null;
    let v2: &[(&str, Value, &str)] = &[
        ("/x402Version", json!(3), "x402Version"),
        ("/x402Version", json!("2"), "x402Version"),
        ("/x402Version", json!(2.5), "x402Version"),
        ("/x402Version", json!(1), "paymentPayload.x402Version"),
        ("/paymentPayload", null.clone(), "paymentPayload"),
        ("/paymentPayload", json!("e30="), "paymentPayload"),
        ("/paymentPayload", json!([]), "paymentPayload"),
        ("/paymentPayload/x402Version", json!(0), "paymentPayload.x402Version"),
        ("/paymentPayload/accepted", null.clone(), "paymentPayload.accepted"),
        ("/paymentPayload/accepted/scheme", json!(1), "paymentPayload.accepted.scheme"),
        ("/paymentPayload/accepted/network", null.clone(), "paymentPayload.accepted.network"),
        ("/paymentPayload/payload", null.clone(), "paymentPayload.payload"),
        ("/paymentPayload/payload", json!("x"), "paymentPayload.payload"),
        ("/paymentRequirements", null.clone(), "paymentRequirements"),
        ("/paymentRequirements", json!(1), "paymentRequirements"),
        ("/paymentRequirements/scheme", json!("deferred"), "paymentRequirements.scheme"),
        ("/paymentRequirements/network", json!("eip155:1"), "paymentRequirements.network"),
        ("/paymentRequirements/amount", json!("0"), "paymentRequirements.amount"),
        ("/paymentRequirements/amount", json!("01"), "paymentRequirements.amount"),
        ("/paymentRequirements/amount", json!("1.0"), "paymentRequirements.amount"),
        ("/paymentRequirements/amount", json!("-1"), "paymentRequirements.amount"),
        ("/paymentRequirements/amount", json!(1), "paymentRequirements.amount"),
        ("/paymentRequirements/asset", json!(PAY_TO), "paymentRequirements.asset"),
        ("/paymentRequirements/asset", json!(MINT), "paymentRequirements.asset"),
        ("/paymentRequirements/payTo", json!(USDC), "paymentRequirements.payTo"),
        ("/paymentRequirements/payTo", json!("bob"), "paymentRequirements.payTo"),
        ("/paymentRequirements/payTo", json!(SOLANA_PAY_TO), "paymentRequirements.payTo"),
        (
            "/paymentRequirements/maxTimeoutSeconds",
            json!(0),
            "paymentRequirements.maxTimeoutSeconds",
        ),
        (
            "/paymentRequirements/maxTimeoutSeconds",
            json!(60.5),
            "paymentRequirements.maxTimeoutSeconds",
        ),
        (
            "/paymentRequirements/maxTimeoutSeconds",
            json!("60"),
            "paymentRequirements.maxTimeoutSeconds",
        ),
        ("/paymentRequirements/extra", json!("USDC"), "paymentRequirements.extra"),
        ("/paymentRequirements/extra/name", json!("USD Coin"), "paymentRequirements.extra.name"),
        ("/paymentRequirements/extra/version", json!(2), "paymentRequirements.extra.version"),
        (
            "/paymentRequirements/extra/assetTransferMethod",
            json!("permit2"),
            "paymentRequirements.extra.assetTransferMethod",
        ),
    ];
    let v1: &[(&str, Value, &str)] = &[
        ("/paymentPayload/scheme", null.clone(), "paymentPayload.scheme"),
        ("/paymentPayload/network", json!(1), "paymentPayload.network"),
        (
            "/paymentRequirements/maxAmountRequired",
            null.clone(),
            "paymentRequirements.maxAmountRequired",
        ),
    ];
    let solana: &[(&str, Value, &str)] = &[
        ("/paymentRequirements/extra/feePayer", null.clone(), "paymentRequirements.extra.feePayer"),
        (
            "/paymentRequirements/extra/feePayer",
            json!(SOLANA_PAY_TO),
            "paymentRequirements.extra.feePayer",
        ),
        (
            "/paymentRequirements/extra/memo",
            json!("m".repeat(257)),
            "paymentRequirements.extra.memo",
        ),
        (
            "/paymentRequirements/amount",
            json!("18446744073709551616"),
            "paymentRequirements.amount",
        ),
    ];
    for (body, cases) in [(order_v2(), v2), (order_v1(), v1), (order_solana(), solana)] {
        for (pointer, value, field) in cases {
            let bad = read("one", &changed(body.clone(), pointer, value)).unwrap_err();
            assert_eq!(bad.field, *field, "{pointer} {value}");
        }
    }
}

#[test]
fn a_body_is_one_object_that_repeats_nothing() {
    let config = config();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    for body in ["", "{", "[]", "1", "null", "{\"a\":1,\"a\":2}", "{}x", "\u{0}"] {
        let bad = Order::read(&config, account, body.as_bytes()).unwrap_err();
        assert_eq!(bad.field, "body", "{body:?}");
        let bad = AcceptsRequest::read(&config, account, body.as_bytes()).unwrap_err();
        assert_eq!(bad.field, "body", "{body:?}");
    }
    let answer = bad_request(Endpoint::Settle, &Order::read(&config, account, b"{}").unwrap_err());
    assert_eq!(
        (answer.status, answer.body),
        (
            400,
            json!({
                "success": false, "errorReason": "invalid_payload", "transaction": "",
                "network": "", "error": "paymentPayload is needed",
                "errorMessage": "paymentPayload is needed", "field": "paymentPayload",
            })
        )
    );
}

#[test]
fn a_payment_for_another_network_or_scheme_is_the_buyers_fault() {
    let now = UnixSeconds(1_800_000_000);
    let check = |pointer, value: Value| {
        read("one", &changed(order_v2(), pointer, &value)).unwrap().check(now).unwrap_err()
    };
    let (scheme, network) = ("/paymentPayload/accepted/scheme", "/paymentPayload/accepted/network");
    assert_eq!(check(scheme, json!("upto")), Reason::InvalidScheme);
    assert_eq!(check(network, json!("eip155:1")), Reason::InvalidNetwork);
    assert_eq!(check(network, json!(SOLANA)), Reason::InvalidNetwork);
    assert_eq!(check("/paymentPayload/payload", json!({})), Reason::InvalidPayload);
}

#[test]
fn a_payment_names_the_fee_payer_that_its_buyer_was_told_of() {
    let mut settings = settings();
    let keypair = |seed| bs58::encode(signing_key(seed).to_keypair_bytes()).into_string();
    settings.solana_fee_payer_keys = Some(format!("{},{}", keypair(1), keypair(2)));
    let pay_to = solana_support::pay_to().to_string();
    settings.facilitator.as_mut().unwrap()["clients"][0]["pay_to"] = json!([pay_to]);
    let config = config::read(&settings).config.unwrap();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    for (told, named, expected) in [
        (solana_support::fee_payer(), solana_support::fee_payer(), Ok(())),
        (solana_support::other_fee_payer(), solana_support::fee_payer(), Err(())),
        (solana_support::fee_payer(), solana_support::other_fee_payer(), Err(())),
    ] {
        let mut draft = solana_support::draft();
        draft.fee_payer = named;
        let requirements = json!({
            "scheme": "exact", "network": SOLANA, "amount": "10000", "asset": MINT,
            "payTo": pay_to, "maxTimeoutSeconds": 60,
            "extra": { "feePayer": told.to_string() },
        });
        let transaction = encode_base64(&draft.transaction());
        let body = json!({
            "x402Version": 2,
            "paymentPayload": {
                "x402Version": 2, "accepted": requirements,
                "payload": { "transaction": transaction },
            },
            "paymentRequirements": requirements,
        });
        let mut order = Order::read(&config, account, body.to_string().as_bytes()).unwrap();
        let checked = order.check(UnixSeconds(1_000)).map(|_| ());
        assert_eq!(checked, expected.map_err(|()| Reason::SvmFeePayerMismatch), "{told} {named}");
    }
}

#[test]
fn of_an_order_that_holds_more_than_anybody_reads_the_rest_is_dropped() {
    let long = changed(bare(|_| {}), "/payload/more", &json!([{}, {}]));
    let mut order = read("one", &long).unwrap();
    order.check(UnixSeconds(crate::evm_support::NOW)).unwrap();
    assert_eq!(order.payload, bare(|_| {})["payload"]);
}

#[test]
fn each_account_has_its_own_networks_and_addresses() {
    assert_eq!(read("three", &order_v2()).unwrap_err().field, "paymentRequirements.network");
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let account = |header: &str| account_of(facilitator, Some(header)).map(|it| it.name.clone());
    assert_eq!(account("Bearer one").as_deref(), Some("both"));
    assert_eq!(account("bearer  two ").as_deref(), Some("both"));
    assert_eq!(account("Bearer three").as_deref(), Some("solana"));
    for wrong in ["Bearer", "Bearer ", "Bearer four", "Basic one", "one", "", "Bearer one two"] {
        assert_eq!(account(wrong), None, "{wrong:?}");
    }
    assert!(account_of(facilitator, None).is_none(), "it is not open");
    let kinds = |header: &str| {
        let account = account_of(facilitator, Some(header)).unwrap();
        let supported = supported(&config, account);
        let kinds = supported["kinds"].as_array().unwrap();
        kinds.iter().map(|kind| kind["network"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // What is paid by use is a kind of its own.
    assert_eq!(kinds("Bearer one"), [EVM, "base-sepolia", EVM, SOLANA, "solana-devnet"]);
    assert_eq!(kinds("Bearer three"), [SOLANA, "solana-devnet"]);
}

#[test]
fn an_open_facilitator_pays_its_own_list_only() {
    let mut settings = settings();
    settings.facilitator_tokens = None;
    settings.facilitator =
        Some(json!({ "path": "/", "open": true, "pay_to": [PAY_TO], "networks": [EVM],
            "daily_spend": { EVM: "0.01" } }));
    let config = config::read(&settings).config.unwrap();
    let facilitator = config.facilitator.as_ref().unwrap();
    let account = account_of(facilitator, None).unwrap();
    assert!(facilitator.is_open(account));
    assert!(account_of(facilitator, Some("Bearer one")).is_none(), "a wrong token is not none");
    let read = |body: Value| Order::read(&config, account, body.to_string().as_bytes());
    assert!(read(order_v2()).is_ok());
    assert_eq!(read(order_solana()).unwrap_err().field, "paymentRequirements.network");
    let other = changed(order_v2(), "/paymentRequirements/payTo", &json!(USDC));
    assert_eq!(read(other).unwrap_err().field, "paymentRequirements.payTo");
}

#[test]
fn a_facilitator_that_sells_nothing_needs_nobody_to_pay() {
    let alone = |settings: &mut Settings| {
        settings.origin = Some(json!("none"));
        settings.networks = Some(json!({
            EVM: { "rpc": ["https://evm.example"] }, SOLANA: { "rpc": ["https://solana.example"] },
        }));
    };
    assert_eq!(faults(alone), "");
    let sells = faults(|settings| {
        alone(settings);
        settings.routes = Some(json!([{ "pattern": "/a", "price": "$1" }]));
    });
    for expected in [
        "ORIGIN: is \"none\", so there is nothing to sell: ROUTES must be []",
        "NETWORKS.\"eip155:84532\".pay_to: is needed: the address that is paid",
        "NETWORKS.\"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1\".pay_to: is needed",
    ] {
        assert!(sells.contains(expected), "{expected}: {sells}");
    }
}

#[test]
fn accepts_are_completed_and_others_left_out() {
    let config = config();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    let ours = json!({ "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "5",
        "payTo": PAY_TO, "extra": { "theirs": 1 }, "resource": "https://shop/" });
    let not_ours = [
        json!({ "scheme": "upto", "network": "base-sepolia", "payTo": PAY_TO }),
        json!({ "scheme": "exact", "network": "base", "payTo": PAY_TO, "maxAmountRequired": "5" }),
        json!({ "scheme": "exact", "network": EVM, "payTo": USDC, "maxAmountRequired": "5" }),
        json!({ "scheme": "exact", "network": EVM, "payTo": PAY_TO, "maxAmountRequired": "5",
            "asset": PAY_TO }),
    ];
    let accepts: Vec<_> = [ours].into_iter().chain(not_ours).collect();
    let body = json!({ "x402Version": 1, "accepts": accepts }).to_string();
    let request = AcceptsRequest::read(&config, account, body.as_bytes()).unwrap();
    assert_eq!(
        request.answer(&Hints::default()),
        json!({ "x402Version": 1, "error": "", "accepts": [{
            "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "5",
            "payTo": PAY_TO, "asset": USDC, "maxTimeoutSeconds": 300, "resource": "https://shop/",
            "extra": { "theirs": 1, "name": "USDC", "version": "2" },
        }] })
    );
    for (body, field) in [
        (json!({ "accepts": [] }), "x402Version"),
        (json!({ "x402Version": 9, "accepts": [] }), "x402Version"),
        (json!({ "x402Version": 2 }), "accepts"),
        (json!({ "x402Version": 2, "accepts": {} }), "accepts"),
        (json!({ "x402Version": 2, "accepts": [1] }), "accepts[0]"),
        (json!({ "x402Version": 2, "accepts": [{ "scheme": "exact" }] }), "accepts[0].network"),
        (
            json!({ "x402Version": 2, "accepts": [
                { "scheme": "exact", "network": EVM, "payTo": PAY_TO, "amount": "1", "extra": 1 },
            ] }),
            "accepts[0].extra",
        ),
        (
            json!({ "x402Version": 2, "accepts": [
                { "scheme": "exact", "network": EVM, "payTo": PAY_TO, "maxAmountRequired": "1" },
            ] }),
            "accepts[0].amount",
        ),
        (
            json!({ "x402Version": 2, "accepts": [
                { "scheme": "exact", "network": EVM, "amount": "1" },
            ] }),
            "accepts[0].payTo",
        ),
    ] {
        let bad = AcceptsRequest::read(&config, account, body.to_string().as_bytes()).unwrap_err();
        assert_eq!(bad.field, field, "{body}");
    }
}

#[test]
fn accepts_take_the_names_that_guides_use() {
    let config = config();
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
    let completed = |version: u64, entry: Value| {
        let body = json!({ "x402Version": version, "accepts": [entry] }).to_string();
        let request = AcceptsRequest::read(&config, account, body.as_bytes()).unwrap();
        request.answer(&Hints::default())["accepts"][0].clone()
    };
    for (name, version, amount, full) in [
        ("solana-devnet", 1, "maxAmountRequired", "solana-devnet"),
        ("devnet", 1, "maxAmountRequired", "solana-devnet"),
        ("devnet", 2, "amount", SOLANA),
        (SOLANA, 2, "amount", SOLANA),
        (SOLANA, 1, "maxAmountRequired", SOLANA),
    ] {
        let entry = json!({
            "scheme": "exact", "network": name, "asset": "USDC", amount: "10000",
            "payTo": SOLANA_PAY_TO, "resource": "/weather", "maxTimeoutSeconds": 60.0,
            "extra": null,
        });
        let completed = completed(version, entry);
        assert_eq!(completed["network"], full, "{name} {version}");
        assert_eq!(completed["asset"], MINT);
        assert_eq!(completed["resource"], "/weather");
        assert_eq!(completed["maxTimeoutSeconds"], 60.0);
        assert_eq!(completed["extra"]["feePayer"], FEE_PAYER);
        assert_eq!(completed["extra"]["decimals"], 6);
    }
    // What is null is left to the facilitator, like what is absent.
    let nulls = json!({ "scheme": "exact", "network": EVM, "asset": null, "amount": "1",
        "payTo": PAY_TO, "maxTimeoutSeconds": null, "extra": null });
    let completed = completed(2, nulls);
    assert_eq!(completed["asset"], USDC);
    assert_eq!(completed["maxTimeoutSeconds"], 300);
    assert_eq!(completed["extra"], json!({ "name": "USDC", "version": "2" }));
}

/// A payment as some guides send it: alone.
fn bare(edit: impl FnOnce(&mut edge402::evm::Authorization)) -> Value {
    json!({
        "x402Version": 1, "scheme": "exact", "network": "base-sepolia",
        "payload": crate::evm_support::signed(edit),
    })
}

#[test]
fn a_payment_alone_is_an_order_for_what_was_signed() {
    let now = UnixSeconds(crate::evm_support::NOW);
    let mut order = read("one", &bare(|_| {})).unwrap();
    assert!(order.is_bare);
    assert_eq!(order.network_name, "base-sepolia");
    let edge402::payment::VerifiedPayment::Evm(payment) = order.check(now).unwrap() else {
        panic!()
    };
    assert_eq!(payment.value().0, crate::evm_support::AMOUNT);
    assert_eq!(payment.to().to_string(), PAY_TO);
    // The same with requirements is the same purchase, but for its timeout.
    assert!(!read("one", &order_v1()).unwrap().is_bare);

    let mut more = read("one", &bare(|it| it.value = 7_u64.into())).unwrap();
    let edge402::payment::VerifiedPayment::Evm(payment) = more.check(now).unwrap() else {
        panic!()
    };
    assert_eq!(payment.value().0, 7);
    let mut over = read("one", &bare(|it| it.valid_before = (now.0 - 100).into())).unwrap();
    assert!(over.check(now).is_ok(), "its time is over: the Settler says what it bought");
    let mut forged = bare(|_| {});
    forged["payload"]["authorization"]["value"] = json!("9");
    let forged = read("one", &forged).unwrap().check(now).unwrap();
    assert!(forged.signature_to_prove().is_some(), "only the chain can say");

    let stranger = bare(|it| it.to = edge402::evm::Address::new([7; 20]));
    for (body, field) in [
        (stranger, "payload.authorization.to"),
        (bare(|it| it.value = edge402::evm::Uint256::ZERO), "payload.authorization.value"),
        (changed(bare(|_| {}), "/network", &json!("base")), "network"),
        (changed(bare(|_| {}), "/scheme", &json!("upto")), "scheme"),
        (changed(bare(|_| {}), "/payload/authorization", &Value::Null), "payload.authorization"),
        (changed(bare(|_| {}), "/network", &json!("solana-devnet")), "paymentRequirements"),
        (changed(bare(|_| {}), "/payload", &Value::Null), "paymentPayload"),
    ] {
        assert_eq!(read("one", &body).unwrap_err().field, field);
    }
    // A client that may not use the network, or pay this address, still may not.
    assert_eq!(read("three", &bare(|_| {})).unwrap_err().field, "network");

    // In v2 a payment says what it accepted.
    let whole = order_v2();
    let order = read("one", &whole["paymentPayload"]).unwrap();
    assert!(order.is_bare);
    assert_eq!(order.network_name, EVM);
}

#[test]
fn what_answers_a_payment_alone_has_the_older_names_too() {
    let order = read("one", &bare(|_| {})).unwrap();
    let now = UnixSeconds(crate::evm_support::NOW);
    let settled = |outcome| {
        let answer = answer::settled(&order, outcome, Some("0x1"), now);
        answer::with_older_names(Endpoint::Settle, answer).body
    };
    let settlement = Settlement {
        transaction: "0xabc".into(),
        payer: "0x1".into(),
        amount: AtomicAmount(5),
        settled_at: now,
        redeliver_until: now,
    };
    assert_eq!(
        settled(Outcome::Settled(settlement)),
        json!({ "success": true, "payer": "0x1", "transaction": "0xabc", "amount": "5",
            "network": "base-sepolia", "txHash": "0xabc", "networkId": "base-sepolia",
            "error": null })
    );
    let failed = Outcome::Failed { reason: Reason::InsufficientFunds, transaction: None };
    assert_eq!(
        settled(failed),
        json!({ "success": false, "errorReason": "insufficient_funds", "payer": "0x1",
            "transaction": "", "network": "base-sepolia", "txHash": null,
            "networkId": "base-sepolia", "error": "insufficient_funds" })
    );
    let verified = |verdict| {
        let answer = answer::verified(verdict, Some("0x1".into()), now);
        answer::with_older_names(Endpoint::Verify, answer).body
    };
    assert_eq!(
        verified(Verdict::Valid),
        json!({ "isValid": true, "invalidReason": null, "payer": "0x1" })
    );
    assert_eq!(
        verified(Verdict::Invalid(Reason::EvmNonceUsed))["invalidReason"],
        "invalid_exact_evm_nonce_already_used"
    );
    let dear = answer::verified(Verdict::FeeExceedsPrice, Some("0x1".into()), now);
    assert_eq!(dear.status, 503);
    assert!(dear.retry_after.is_some());
    let error = dear.body["error"].as_str().unwrap();
    assert!(error.contains("more in fees than it pays"), "{error}");
}

#[test]
fn who_has_no_token_is_counted_by_network() {
    let mut settings = settings();
    settings.facilitator = Some(json!({ "path": "/f", "open": true, "pay_to": [PAY_TO],
        "daily_spend": { EVM: "1", SOLANA: "1" },
        "clients": [{ "name": "both", "pay_to": [PAY_TO] }] }));
    settings.facilitator_tokens = Some(format!("both:{}", token_hash("one")));
    let config = config::read(&settings).config.unwrap();
    let facilitator = config.facilitator.as_ref().unwrap();
    let open = account_of(facilitator, None).unwrap();
    let client = account_of(facilitator, Some("Bearer one")).unwrap();
    let asker = |account, address| Asker::new(facilitator, account, address);
    let home = asker(open, Some("2001:db8:1:2::1"));
    assert_eq!(asker(open, Some("2001:db8:1:2:ffff::9")), home, "one /64");
    assert_ne!(asker(open, Some("2001:db8:1:3::1")), home);
    assert_ne!(asker(open, Some("192.0.2.1")), asker(open, Some("192.0.2.2")));
    assert_eq!(asker(client, Some("192.0.2.1")), asker(client, None), "by its name");
}

#[test]
fn an_idempotency_key_is_visible_ascii() {
    assert_eq!(idempotency_key(None), Ok(None));
    assert_eq!(idempotency_key(Some("order-7")), Ok(Some("order-7")));
    for wrong in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        assert_eq!(idempotency_key(Some(wrong)).unwrap_err().field, "Idempotency-Key");
    }
}

#[test]
fn orders_are_told_apart_by_account_terms_and_key() {
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let [both, other] =
        ["Bearer one", "Bearer three"].map(|it| account_of(facilitator, Some(it)).unwrap());
    let order = read("one", &order_v2()).unwrap();
    let dearer = changed(order_v2(), "/paymentRequirements/amount", &json!("10001"));
    let dearer = read("one", &dearer).unwrap();
    let names = [
        order.resource(both, None),
        order.resource(both, Some("a")),
        order.resource(both, Some("b")),
        order.resource(other, None),
        dearer.resource(both, None),
    ];
    let different: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    // In both versions it is the same purchase.
    assert_eq!(read("one", &order_v1()).unwrap().resource(both, None), names[0]);
}

#[test]
fn what_a_server_bought_is_named_as_it_always_was() {
    let config = config();
    let facilitator = config.facilitator.as_ref().unwrap();
    let both = account_of(facilitator, Some("Bearer one")).unwrap();
    let name = |order: &Value, key| read("one", order).unwrap().resource(both, key);
    assert_eq!(
        name(&order_v2(), None),
        "0xfc90b66abf1fa7c27dd10f5e4d723053ed8e3a96977a115397ec4d52ce4437c5"
    );
    assert_eq!(
        name(&order_v2(), Some("key-1")),
        "0x60b9ef5b58fc6d6da5549eb6a3b149adc0dbfe84ebfb8959fe9b619765c979a1"
    );
    assert_eq!(
        name(&order_solana(), None),
        "0xe2c0ca454b0d33014547bf31817efcc7f993fa828c3628be101a6c2d35bd9091"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_body_panics(bytes in any::<Vec<u8>>(), cut in 0_usize..700) {
        let config = config();
        let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer one")).unwrap();
        let _ = Order::read(&config, account, &bytes);
        let text = order_solana().to_string();
        let _ = Order::read(&config, account, text.get(..cut).unwrap_or(&text).as_bytes());
        let _ = AcceptsRequest::read(&config, account, &bytes);
    }
}
