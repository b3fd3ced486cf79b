//! What is sold through somebody else's facilitator, and what that one is sent.

use crate::evm_support::signed;
use crate::gate_support::{
    DEVNET, PAY_TO, Request, SOLANA_PAY_TO, outcome, routes, settings, v1, v2,
};
use edge402::config::{self, Loaded};
use edge402::encoding::encode_base64;
use edge402::facilitator_client::{About, RemoteFacts, payment_body};
use edge402::gate::Decision;
use edge402::protocol::Version;
use serde_json::{Value, json};

const URL: &str = "https://facilitator.example";

/// A shop without keys and nodes, whose facilitator has this fee payer.
fn shop(fee_payer: Option<&str>) -> Loaded {
    let mut routes = routes();
    let only_solana = json!({ "pattern": "/sol", "price": "$0.01", "networks": [DEVNET] });
    routes.as_array_mut().unwrap().push(only_solana);
    let mut settings = settings("assets", routes);
    settings.networks = Some(json!({
        "eip155:84532": { "facilitator": URL, "pay_to": PAY_TO },
        DEVNET: { "facilitator": URL, "pay_to": SOLANA_PAY_TO },
    }));
    settings.evm_relayer_keys = None;
    settings.solana_fee_payer_keys = None;
    if let Some(fee_payer) = fee_payer {
        let facts = RemoteFacts { fee_payer: fee_payer.parse().ok(), version: Version::V2 };
        settings.remote.insert(DEVNET.parse().unwrap(), facts);
    }
    config::read(&settings)
}

/// What the facilitator is sent for the purchase that a request is.
fn body(request: &Request, loaded: &Loaded, version: Version) -> Value {
    let Decision::Purchase(purchase) = request.decide(loaded) else {
        panic!("{}", request.outcome(loaded))
    };
    let offer = &purchase.sale.route.offers[purchase.offer];
    let (v2, v1) = (&offer.v2, offer.v1.as_ref());
    let route = purchase.sale.route;
    let about = About { resource: route.resource(), extensions: route.extensions() };
    payment_body(version, v2, v1, &purchase.payment, &purchase.sale.url, about)
}

/// Who pays the fees of the payment below.
fn fee_payer() -> String {
    crate::solana_support::fee_payer().to_string()
}

fn solana_payment() -> Value {
    json!({
        "x402Version": 1, "scheme": "exact", "network": "solana-devnet",
        "payload": { "transaction": encode_base64(&crate::solana_support::draft().transaction()) },
    })
}

#[test]
fn what_nobody_can_pay_for_yet_is_closed_and_the_rest_is_open() {
    let unknown = shop(None);
    assert_eq!(Request::get("/sol").outcome(&unknown), "closed");
    assert_eq!(Request::get("/sol").paying(&solana_payment()).outcome(&unknown), "closed");
    assert_eq!(Request::get("/free").outcome(&unknown), "forward /free");
    assert_eq!(Request::get("/premium/a").outcome(&unknown), "402 0 /premium/a");
    let evm = Request::get("/premium/a").paying(&v2(&signed(|_| {})));
    assert_eq!(evm.outcome(&unknown), "purchase 0 V2 eip155:84532");
    // Not refused: it may be good, and who pays again pays twice.
    let solana = Request::get("/premium/a").paying(&solana_payment());
    assert_eq!(solana.outcome(&unknown), "closed");
    let known = shop(Some(&fee_payer()));
    assert_eq!(Request::get("/sol").outcome(&known), "402 3 /sol");
    let paid = Request::get("/sol").paying(&solana_payment());
    assert_eq!(paid.outcome(&known), format!("purchase 3 V1 {DEVNET}"));
}

#[test]
fn a_payment_that_names_another_fee_payer_is_refused() {
    let other = shop(Some(SOLANA_PAY_TO));
    let decision = Request::get("/sol").paying(&solana_payment());
    let decision = outcome(&decision.decide(&other));
    assert_eq!(decision, "402 3 V1 invalid_exact_svm_payload_fee_payer_mismatch");
}

#[test]
fn the_body_says_the_same_in_both_versions_whatever_the_client_speaks() {
    let shop = shop(Some(&fee_payer()));
    let payload = signed(|_| {});
    for payment in [v1(&payload), v2(&payload)] {
        let request = Request::get("/premium/page?secret=1").paying(&payment);
        let url = "https://shop.example/premium/page";
        let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        let extra = json!({ "name": "USDC", "version": "2" });
        let terms = json!({
            "scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": asset,
            "payTo": PAY_TO, "maxTimeoutSeconds": 300, "extra": extra,
        });
        assert_eq!(
            body(&request, &shop, Version::V2),
            json!({
                "x402Version": 2,
                "paymentPayload": {
                    "x402Version": 2, "accepted": terms,
                    "resource": { "url": url, "description": "Premium pages" },
                    "payload": payload,
                },
                "paymentRequirements": terms,
            })
        );
        assert_eq!(
            body(&request, &shop, Version::V1),
            json!({
                "x402Version": 1,
                "paymentPayload": {
                    "x402Version": 1, "scheme": "exact", "network": "base-sepolia",
                    "payload": payload,
                },
                "paymentRequirements": {
                    "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
                    "asset": asset, "payTo": PAY_TO, "resource": url,
                    "description": "Premium pages", "mimeType": "", "maxTimeoutSeconds": 300,
                    "extra": extra,
                },
            })
        );
    }
}

#[test]
fn a_facilitator_that_keeps_a_catalogue_can_list_what_is_listed() {
    let mut settings = settings(
        "assets",
        json!([
            { "pattern": "/premium/*", "price": "$0.01", "description": "Premium pages",
              "mime_type": "text/html", "listed": true, "service_name": "Shop",
              "tags": ["news"], "icon_url": "https://shop.example/icon.png",
              "payment_identifier": "optional" },
        ]),
    );
    settings.networks = Some(json!({ "eip155:84532": { "facilitator": URL, "pay_to": PAY_TO } }));
    settings.evm_relayer_keys = None;
    settings.solana_fee_payer_keys = None;
    let shop = config::read(&settings);
    let mut payment = v2(&signed(|_| {}));
    // What a client says of the resource is not passed on.
    payment["resource"] = json!({ "url": "https://else.example/", "description": "x" });
    payment["extensions"] = json!({ "bazaar": { "info": "x" }, "other": {} });
    let sent = body(&Request::get("/premium/page?a=b").paying(&payment), &shop, Version::V2);
    assert_eq!(
        sent["paymentPayload"]["resource"],
        json!({
            "url": "https://shop.example/premium/page", "description": "Premium pages",
            "mimeType": "text/html", "serviceName": "Shop", "tags": ["news"],
            "iconUrl": "https://shop.example/icon.png",
        })
    );
    let extensions = sent["paymentPayload"]["extensions"].as_object().unwrap();
    assert_eq!(extensions.keys().collect::<Vec<_>>(), ["bazaar"]);
    assert_eq!(extensions["bazaar"]["info"]["input"], json!({ "type": "http", "method": "GET" }));
    assert_eq!(extensions["bazaar"]["routeTemplate"], "/premium/:var1");
}

#[test]
fn a_solana_payment_is_sent_as_it_was_signed_and_without_hints() {
    let shop = shop(Some(&fee_payer()));
    let payment = solana_payment();
    let body = body(&Request::get("/sol").paying(&payment), &shop, Version::V2);
    assert_eq!(body["paymentPayload"]["payload"], payment["payload"]);
    assert_eq!(body["paymentRequirements"]["extra"], json!({ "feePayer": fee_payer() }));
    assert_eq!(body["paymentPayload"]["accepted"], body["paymentRequirements"]);
}
