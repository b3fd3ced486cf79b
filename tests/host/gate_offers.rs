//! Several tokens on one network: each offer can be bought, in both versions,
//! and a payment buys by the offer that it is for.

use edge402::amount::AtomicAmount;
use edge402::config::{self, Loaded};
use edge402::evm::Domain;
use edge402::gate::delivery_cookie::Bought;
use edge402::gate::{BoundBody, Decision, Purchase};
use edge402::payment::Terms;
use edge402::solana::associated_token_address;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{authorization, domain, payload, sign};
use crate::gate_support::{
    DEVNET, FEE_PAYER, NOW, Request, SOLANA_PAY_TO, assets, config, set, settings, v1, v2,
};
use crate::solana_support::{
    self as solana, TOKEN_2022, draft, key, pay_to, payer, readonly, signer, transfer_data,
    writable,
};

const BASE: &str = "eip155:84532";
const PAGE: &str = "/premium/page";
const EURC: &str = "0x808456652fdb597867f38412077A9182bf77359F";
const USDT: &str = "0xaf88d065e77c8cC2239327C5EDb3A432268e5831";
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

/// USDC, Euro Coin and a dollar of 18 decimals on Base Sepolia, USDC and a
/// dollar of Token-2022 on Solana.
fn shop_of(networks: &Value) -> Loaded {
    shop_with(networks, |_| {})
}

fn shop_with(networks: &Value, change: impl Fn(&mut Value)) -> Loaded {
    let routes = json!([{ "pattern": "/premium/*", "price": "$0.01", "networks": networks }]);
    let mut settings = settings("assets", routes);
    let known = settings.networks.as_mut().unwrap();
    known[BASE]["tokens"] = json!([
        { "asset": EURC, "name": "EURC", "version": "2", "decimals": 6 },
        { "asset": USDT, "name": "Tether USD", "version": "1", "decimals": 18, "symbol": "USDT" },
    ]);
    known[DEVNET]["tokens"] = json!([
        { "asset": MINT, "decimals": 2, "symbol": "USDX", "token_program": "token-2022" },
    ]);
    // What is not signed by a key, the chain alone could tell apart.
    known[BASE]["smart_wallets"] = json!(false);
    change(known);
    config::read(&settings)
}

fn shop() -> Loaded {
    shop_of(&json!(null))
}

/// Where each offer stands in the route, and what it sells for.
const OFFERS: [(&str, usize); 4] = [("USDC", 1), ("EURC", 3), ("USDT", 4), ("USDX", 5)];

fn named(symbol: &str) -> usize {
    OFFERS.iter().find(|(known, _)| *known == symbol).unwrap().1
}

/// A payload that pays $0.01 in a token of Base Sepolia.
fn evm(symbol: &str) -> Value {
    let (name, version, asset) = match symbol {
        "USDC" => return signed(&domain(), 10_000),
        "EURC" => ("EURC", "2", EURC),
        _ => ("Tether USD", "1", USDT),
    };
    let domain = Domain {
        name: name.into(),
        version: version.into(),
        verifying_contract: asset.parse().unwrap(),
        ..domain()
    };
    signed(&domain, if symbol == "USDT" { 10_u128.pow(16) } else { 10_000 })
}

fn signed(domain: &Domain, value: u128) -> Value {
    let mut authorization = authorization();
    authorization.value = AtomicAmount(value).into();
    payload(&authorization, &sign(&authorization, domain).to_string())
}

/// A payload that pays one cent of the token of Token-2022.
fn usdx() -> Value {
    let ata = |owner| associated_token_address(&owner, &key(MINT), &key(TOKEN_2022)).unwrap();
    let accounts =
        [writable(ata(payer())), readonly(key(MINT)), writable(ata(pay_to())), signer(payer())];
    let mut draft = draft();
    draft.instructions[2] = solana::ix(TOKEN_2022, &accounts, &transfer_data(12, 1, 2));
    solana::payload(&draft.transaction())
}

fn payload_of(symbol: &str) -> Value {
    if symbol == "USDX" { usdx() } else { evm(symbol) }
}

/// A v2 payment for an offer, as the challenge has it.
fn accepting(loaded: &Loaded, offer: usize, payload: &Value) -> Value {
    let accepted = config(loaded).routes[0].offers[offer].v2.to_value();
    let mut payment = v2(payload);
    set(&mut payment, "/accepted", Some(accepted));
    payment
}

fn in_v1(symbol: &str) -> Value {
    let mut payment = v1(&payload_of(symbol));
    if symbol == "USDX" {
        payment["network"] = json!("solana-devnet");
    }
    payment
}

fn purchase<'a>(loaded: &'a Loaded, payment: &Value) -> Box<Purchase<'a>> {
    match Request::get(PAGE).paying(payment).decide(loaded) {
        Decision::Purchase(purchase) => purchase,
        other => panic!("{payment}: {other:?}"),
    }
}

#[test]
fn each_offer_is_bought_by_the_payment_that_accepts_it() {
    let shop = shop();
    let route = &config(&shop).routes[0];
    assert_eq!((route.offers.len(), route.in_header().len()), (6, 5), "one is left out");
    for (symbol, offer) in OFFERS {
        let payment = accepting(&shop, offer, &payload_of(symbol));
        let bought = purchase(&shop, &payment);
        assert_eq!(bought.offer, offer, "{symbol}");
        assert_eq!(bought.sale.route.offers[offer].token.symbol, symbol);
        let amount = match symbol {
            "USDX" => 1,
            "USDT" => 10_u128.pow(16),
            _ => 10_000,
        };
        assert_eq!(bought.payment.amount().0, amount, "{symbol}");
    }
}

#[test]
fn a_payment_of_version_1_buys_by_the_offer_whose_token_it_moves() {
    let shop = shop();
    for (symbol, offer) in OFFERS {
        let bought = purchase(&shop, &in_v1(symbol));
        assert_eq!(bought.offer, offer, "{symbol}");
    }
    // Whatever the order is.
    let other = shop_of(&json!([format!("{BASE}/USDT"), format!("{BASE}/EURC")]));
    assert_eq!(purchase(&other, &in_v1("EURC")).offer, 1);
    assert_eq!(purchase(&other, &in_v1("USDT")).offer, 0);
}

/// What a key has not signed for one token, a contract may approve of.
#[test]
fn a_keys_signature_says_more_than_that_a_contract_may_have_made_it() {
    let shop = shop_with(&json!(null), |networks| networks[BASE]["smart_wallets"] = json!(true));
    for (symbol, offer) in OFFERS {
        assert_eq!(purchase(&shop, &in_v1(symbol)).offer, offer, "{symbol}");
    }
    let mut by_contract = in_v1("EURC");
    by_contract["payload"]["signature"] = json!(format!("0x{}", "ab".repeat(100)));
    assert_eq!(purchase(&shop, &by_contract).offer, named("USDC"));
}

#[test]
fn what_is_accepted_is_what_must_be_paid() {
    let shop = shop();
    let refused = |payment: &Value| Request::get(PAGE).paying(payment).outcome(&shop);
    for (accepted, _) in &OFFERS[..3] {
        for (paid, _) in &OFFERS[..3] {
            if accepted != paid {
                let payment = accepting(&shop, named(accepted), &evm(paid));
                let expected = "402 0 V2 invalid_exact_evm_payload_signature";
                assert_eq!(refused(&payment), expected, "{accepted} {paid}");
            }
        }
    }
    // The price of one token is not that of another, nor is its domain.
    let good = accepting(&shop, named("USDT"), &evm("USDT"));
    for (pointer, value) in [
        ("/accepted/amount", json!("10000")),
        ("/accepted/asset", json!(EURC)),
        ("/accepted/extra", json!({ "name": "EURC", "version": "2" })),
    ] {
        let mut payment = good.clone();
        set(&mut payment, pointer, Some(value));
        assert_eq!(refused(&payment), "402 0 V2 invalid_payment_requirements", "{pointer}");
    }
    // A cent's worth of units of the dearer token, paid in the cheaper one.
    let mut cheap = v1(&signed(&Domain { name: "EURC".into(), ..domain() }, 10_000));
    assert_eq!(refused(&cheap), "402 0 V1 invalid_exact_evm_payload_signature");
    cheap["payload"] = signed(
        &Domain {
            name: "Tether USD".into(),
            version: "1".into(),
            verifying_contract: USDT.parse().unwrap(),
            ..domain()
        },
        10_000,
    );
    let expected = "402 0 V1 invalid_exact_evm_payload_authorization_value_mismatch";
    assert_eq!(refused(&cheap), expected);
}

#[test]
fn a_token_that_the_route_does_not_name_buys_nothing() {
    let shop = shop_of(&json!([BASE, format!("{BASE}/EURC")]));
    let refused = |payment: &Value| Request::get(PAGE).paying(payment).outcome(&shop);
    let wide = self::shop();
    let payment = accepting(&wide, named("USDT"), &evm("USDT"));
    assert_eq!(refused(&payment), "402 0 V2 invalid_payment_requirements");
    assert_eq!(refused(&in_v1("USDT")), "402 0 V1 invalid_exact_evm_payload_signature");
    assert_eq!(refused(&in_v1("USDX")), "402 0 V1 invalid_network");
}

/// What was bought before there were several tokens is bound as it was.
#[test]
fn a_second_token_changes_nothing_of_the_first() {
    let (shop, before) = (shop(), assets());
    let request = Request::get(PAGE).paying(&v1(&evm("USDC")));
    let sold = |loaded| match request.decide(loaded) {
        Decision::Purchase(bought) => {
            let offer = &bought.sale.route.offers[bought.offer];
            let body = BoundBody::none();
            (bought.sale.binding(offer, &body), bought.sale.former_binding(offer, &body))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(sold(&shop), sold(before));
    // And of each token it is another purchase.
    let bindings = OFFERS.map(|(symbol, offer)| {
        let bought = purchase(&shop, &accepting(&shop, offer, &payload_of(symbol)));
        bought.sale.binding(&bought.sale.route.offers[offer], &BoundBody::none())
    });
    for (n, binding) in bindings.iter().enumerate() {
        assert!(!bindings[..n].contains(binding), "{:?}", OFFERS[n]);
    }
}

#[test]
fn a_delivery_cookie_fetches_what_was_paid_in_its_token() {
    let shop = shop();
    let Decision::PaymentRequired(sale, None) = Request::get(PAGE).decide(&shop) else { panic!() };
    let keys = &config(&shop).delivery_keys;
    for (offer, settler) in [
        (1, format!("{BASE}/relayer")),
        (4, format!("{BASE}/relayer")),
        (5, format!("{DEVNET}/payer")),
    ] {
        let bought = Bought {
            settler: &settler,
            payment: "the/payment",
            offer: &config(&shop).routes[0].offers[offer],
        };
        let times = (UnixSeconds(NOW).plus(600), UnixSeconds(NOW));
        let set = sale.delivery_cookie(keys, PAGE, &bought, times).unwrap();
        let cookie = set.split(';').next().unwrap();
        // As it always was, for a network's own token.
        assert_eq!(cookie.split('=').nth(1).unwrap().split('~').count() == 4, offer == 1);
        let request = Request::get(PAGE).with("Cookie", cookie);
        let Decision::Collect(_, found) = request.decide(&shop) else { panic!("{cookie}") };
        assert_eq!(found.offer, offer);
        assert_eq!((found.settler, found.payment.as_str()), (settler, "the/payment"));
    }
}

#[test]
fn solana_offers_name_the_same_fee_payer() {
    let shop = shop();
    for offer in [2, 5] {
        let offer = &config(&shop).routes[0].offers[offer];
        assert_eq!(offer.v2.extra["feePayer"], FEE_PAYER);
        let Terms::Solana(terms) = &offer.terms else { panic!() };
        assert_eq!(terms.parts().pay_to.to_string(), SOLANA_PAY_TO);
    }
}
