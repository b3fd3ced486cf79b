//! What is free of each wallet: who shows one, and how it is counted.

use crate::gate_support::{DEVNET, FEE_PAYER, NOW, Request, SHOP, config, settings};
use edge402::config::{self, Loaded};
use edge402::encoding::{decode_base64, encode_base58, encode_base64, encode_hex};
use edge402::evm::{RelayerKey, keccak256};
use edge402::gate::{ChallengeTemplate, Decision, Hints, decide, quota};
use edge402::settlement::quota::{FOREVER, QuotaReply, QuotaRequest, is_counter, object_of};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

const BASE: &str = "eip155:84532";
const WALLET: &str = "eip155/0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";

fn shop(free: &str) -> Loaded {
    let route = |pattern: &str| json!({ "pattern": pattern, "price": "$0.05", "free": free });
    let loaded = config::read(&settings("https://own.example", json!([route("/a"), route("/b")])));
    config(&loaded);
    loaded
}

/// What a wallet finds in the challenge at this time, and its payload from it.
fn info(loaded: &Loaded, target: &str, at: u64) -> Value {
    let request = Request::get(target);
    let Decision::MayBeFree(sale) = decide(loaded, &request, UnixSeconds(at)) else { panic!() };
    let mut hints = Hints::default();
    hints.sign_in = sale.sign_in(config(loaded), UnixSeconds(at));
    let template = ChallengeTemplate::new(sale.route, config(loaded));
    let header = template.write(&sale.url, None, &hints).header;
    assert!(header.len() < 3_000, "{}", header.len());
    let v2 = edge402::json::from_slice(&decode_base64(&header, 4_000).unwrap()).unwrap();
    v2["extensions"]["sign-in-with-x"].clone()
}

fn text(payload: &Value) -> String {
    let said = |name: &str| payload[name].as_str().unwrap();
    let (kind, chain) = said("chainId").split_once(':').unwrap();
    let (named, blank) = if kind == "solana" { ("Solana", "") } else { ("Ethereum", "\n") };
    format!(
        "{} wants you to sign in with your {named} account:\n{}\n{blank}\nURI: {}\nVersion: {}\n\
         Chain ID: {chain}\nNonce: {}\nIssued At: {}",
        said("domain"),
        said("address"),
        said("uri"),
        said("version"),
        said("nonce"),
        said("issuedAt"),
    )
}

fn sign(mut payload: Value) -> Value {
    let text = text(&payload);
    let signature = if payload["chainId"] == DEVNET {
        use ed25519_dalek::Signer as _;
        let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
        encode_base58(&key.sign(text.as_bytes()).to_bytes())
    } else {
        let key: RelayerKey = format!("0x{}", "11".repeat(32)).parse().unwrap();
        let digest = format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len());
        encode_hex(&key.sign_digest(&keccak256(digest.as_bytes())).to_bytes())
    };
    payload["signature"] = json!(signature);
    payload
}

fn payload(loaded: &Loaded, chain: &str) -> Value {
    let mut payload = info(loaded, "/a", NOW)["info"].clone();
    let key: RelayerKey = format!("0x{}", "11".repeat(32)).parse().unwrap();
    let address = if chain == DEVNET { FEE_PAYER.into() } else { key.address().to_string() };
    payload["address"] = json!(address);
    payload["chainId"] = json!(chain);
    payload
}

fn shown(payload: &Value) -> Request {
    shown_as(&encode_base64(payload.to_string().as_bytes()))
}

fn shown_as(header: &str) -> Request {
    Request::get("/a?x=1").with("sign-in-with-x", header)
}

fn wallet(loaded: &Loaded, request: &Request, at: u64) -> Option<String> {
    match decide(loaded, request, UnixSeconds(at)) {
        Decision::MayBeFree(sale) => sale.wallet(config(loaded), request, UnixSeconds(at)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_challenge_says_what_to_sign_only_where_wallets_are_counted() {
    let loaded = shop("3/wallet");
    let found = info(&loaded, "/a?x=1", NOW);
    let info_at = |target, at| info(&loaded, target, at)["info"].clone();
    assert_eq!(found["info"]["domain"], "shop.example");
    assert_eq!(found["info"]["uri"], SHOP);
    assert_eq!(found["info"]["version"], "1");
    assert_eq!(found["info"]["issuedAt"], "2023-11-14T22:13:20.000Z");
    let nonce = found["info"]["nonce"].as_str().unwrap();
    assert!(nonce.len() == 41 && nonce.bytes().all(|it| it.is_ascii_alphanumeric()), "{nonce}");
    assert_eq!(info_at("/a", NOW)["nonce"], nonce);
    assert_ne!(info_at("/a", NOW + 1)["nonce"], nonce);
    assert_ne!(info_at("/b", NOW)["nonce"], nonce, "each route has its own");
    let chains: Vec<_> = found["supportedChains"].as_array().unwrap().clone();
    assert!(chains.contains(&json!({ "chainId": BASE, "type": "eip191" })));
    assert!(chains.contains(&json!({ "chainId": DEVNET, "type": "ed25519" })));
    assert_eq!(chains.len(), 3);
    assert_eq!(info(&shop("3/day"), "/a", NOW), Value::Null);
}

#[test]
fn a_wallet_is_who_has_signed_for_this_shop_a_short_while_ago() {
    let loaded = shop("3/wallet");
    for (chain, expected) in [
        (BASE, WALLET.to_owned()),
        ("eip155:42161", WALLET.to_owned()),
        (DEVNET, format!("solana/{FEE_PAYER}")),
    ] {
        let good = sign(payload(&loaded, chain));
        let of = |payload: &Value, at| wallet(&loaded, &shown(payload), at);
        for at in [NOW, NOW + 300] {
            assert_eq!(of(&good, at).as_deref(), Some(expected.as_str()), "{chain}");
        }
        assert_eq!(of(&good, NOW + 301), None);
        assert_eq!(of(&good, NOW - 1), None);
        // What the client says beside it, and what was not signed so.
        let with = |name: &str, value: &str| {
            let mut payload = good.clone();
            payload[name] = json!(value);
            payload
        };
        assert_eq!(of(&with("type", "eip712"), NOW), Some(expected.clone()));
        for (name, value) in [
            ("domain", "other.example"),
            ("uri", "https://other.example"),
            ("uri", "https://shop.example/else"),
            ("chainId", "eip155:8453"),
            ("chainId", "solana"),
            ("address", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            ("address", "x\nURI: https://shop.example"),
            ("issuedAt", "2023-11-14T22:13:20Z"),
            ("version", "2"),
            ("signature", "0x"),
            ("signature", ""),
            ("nonce", ""),
            ("nonce", &"f".repeat(41)),
            ("nonce", &format!("é{}", "0".repeat(39))),
        ] {
            assert_eq!(of(&with(name, value), NOW), None, "{chain} {name} {value}");
            // Even where it was signed, which leaves what is really meant.
            let signed = std::panic::catch_unwind(|| sign(with(name, value)));
            let is_fine = name == "signature" || value.ends_with("/else");
            if let Ok(signed) = signed {
                assert_eq!(of(&signed, NOW).is_some(), is_fine, "{chain} {name} {value}");
            }
        }
        // A nonce of another route, or of another shop.
        let other = |nonce: &Value| of(&sign(with("nonce", nonce.as_str().unwrap())), NOW);
        assert!(other(&info(&loaded, "/a", NOW)["info"]["nonce"]).is_some());
        assert_eq!(other(&info(&loaded, "/b", NOW)["info"]["nonce"]), None);
        let mut given = settings(
            "https://own.example",
            json!([{ "pattern": "/a", "price": "$1", "free": "3/wallet" }]),
        );
        given.grant_secret = Some("8f".repeat(32));
        assert_eq!(other(&info(&config::read(&given), "/a", NOW)["info"]["nonce"]), None);
    }
}

#[test]
fn what_is_no_proof_is_nobodys() {
    let loaded = shop("3/wallet");
    let good = sign(payload(&loaded, BASE));
    let as_text = good.to_string();
    let twice = as_text.replacen("\"domain\"", "\"domain\":\"shop.example\",\"domain\"", 1);
    let deep = format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000));
    for header in [
        String::new(),
        "%".into(),
        as_text.clone(),
        encode_base64(b"null"),
        encode_base64(b"[]"),
        encode_base64(b"{}"),
        encode_base64(twice.as_bytes()),
        encode_base64(deep.as_bytes()),
        encode_base64(format!("{as_text}{}", " ".repeat(4_000)).as_bytes()),
        format!("{0}, {0}", encode_base64(as_text.as_bytes())),
    ] {
        assert_eq!(wallet(&loaded, &shown_as(&header), NOW), None, "{header:.60}");
    }
    assert_eq!(wallet(&loaded, &Request::get("/a"), NOW), None);
}

#[test]
fn a_wallet_has_its_own_once_and_its_address_bounds_it() {
    let loaded = shop("3/wallet");
    let asked =
        |target: &str, wallet: &str| match decide(&loaded, &Request::get(target), UnixSeconds(NOW))
        {
            Decision::MayBeFree(sale) => {
                let free = sale.route.free.as_ref().unwrap();
                let address = sale.quota(config(&loaded), free, "203.0.113.7").unwrap();
                (address, sale.wallet_quota(config(&loaded), free, wallet).unwrap())
            }
            other => panic!("{other:?}"),
        };
    let ((at, by_address), (object, by_wallet)) = asked("/a", WALLET);
    assert_eq!(
        (by_address.units, by_address.seconds),
        (3, 86_400),
        "as many a day for the address"
    );
    assert_eq!((by_wallet.units, by_wallet.seconds), (3, FOREVER));
    assert!(object.starts_with("quota/wallet/") && is_counter(&object) && object != at);
    assert!(object_of("0x1").starts_with("quota/") && !by_wallet.key.contains("19e7"));
    let keys = |target, wallet| asked(target, wallet).1.1.key;
    assert_eq!(keys("/a?x=2", WALLET), by_wallet.key);
    assert_ne!(keys("/b", WALLET), by_wallet.key);
    assert_ne!(keys("/a", "solana/x"), by_wallet.key);
    // Whatever is put before it, what a wallet has had is had.
    let moved = json!([
        { "pattern": "/new", "price": "$1" },
        { "pattern": "/a", "price": "$0.05", "free": "5/wallet" },
    ]);
    let moved = config::read(&settings("https://own.example", moved));
    let Decision::MayBeFree(sale) = decide(&moved, &Request::get("/a"), UnixSeconds(NOW)) else {
        panic!()
    };
    let free = sale.route.free.as_ref().unwrap();
    assert_eq!(sale.wallet_quota(config(&moved), free, WALLET).unwrap().1.key, by_wallet.key);
    let head = Request::new("HEAD", "/a");
    let Decision::MayBeFree(sale) = decide(&loaded, &head, UnixSeconds(NOW)) else { panic!() };
    let free = sale.route.free.as_ref().unwrap();
    let QuotaRequest { look_only, .. } =
        sale.wallet_quota(config(&loaded), free, WALLET).unwrap().1;
    assert!(look_only);
    let reply = |until| QuotaReply { is_granted: true, left: 2, until: UnixSeconds(until) };
    let headers = |until| quota::headers(free, &reply(until), UnixSeconds(NOW)).map(|it| it.1);
    assert_eq!(headers(FOREVER), ["\"free\";q=3", "\"free\";r=2"]);
    assert_eq!(headers(NOW + 60), ["\"free\";q=3", "\"free\";r=2;t=60"], "the address's day");
}

#[test]
fn no_page_of_the_challenge_shows_a_gap() {
    let loaded = shop("3/wallet");
    let template = ChallengeTemplate::new(&config(&loaded).routes[0], config(&loaded));
    let written = template.write("https://shop.example/a", None, &Hints::default());
    let header = String::from_utf8(decode_base64(&written.header, 4_000).unwrap()).unwrap();
    assert!(!header.contains('\u{e402}') && header.contains("\"nonce\":\"\""), "{header}");
    assert!(!written.body.contains("sign-in"));
}
