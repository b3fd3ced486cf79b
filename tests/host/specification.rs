//! The specification's own examples (`tests/data/specification`): read as the
//! Worker reads them, and compared with what it writes.

use std::future::Future;
use std::path::Path;

use edge402::amount::AtomicAmount;
use edge402::config::{self, Config, Loaded};
use edge402::encoding::decode_base64;
use edge402::evm;
use edge402::facilitator::access::account_of;
use edge402::facilitator::{Order, answer, supported};
use edge402::facilitator_client::{
    Facilitator, Http, HttpAnswer, HttpRequest, RemoteFacts, Settled, Verdict,
};
use edge402::gate::{ChallengeTemplate, Hints, decide, discovery};
use edge402::json::{FromJson, from_slice, to_value};
use edge402::protocol::payment::Accepted;
use edge402::protocol::{
    ChainId, PaymentPayload, PaymentRequirements, Reason, SettlementResponse, Version,
};
use edge402::rpc::TransportError;
use edge402::settlement::{self, Outcome, Settlement};
use edge402::time::UnixSeconds;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::facilitator_orders::token_hash;
use crate::gate_support::{Request, outcome, relayer_secret, settings};

/// Between `validAfter` and `validBefore` of the examples.
const NOW: UnixSeconds = UnixSeconds(1_740_672_100);
const URL: &str = "https://api.example.com/premium-data";
const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
const TRANSACTION: &str = "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";
const BASE_SEPOLIA: ChainId = ChainId::Evm(84_532);

/// An example of one of the files, by its section.
fn example(file: &str, section: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/specification");
    let text = std::fs::read(path.join(format!("{file}.json"))).unwrap();
    let document = from_slice(&text).unwrap();
    document["examples"].get(section).unwrap_or_else(|| panic!("{file}: {section}")).clone()
}

/// What a header of the HTTP transport holds.
fn header(file: &str, name: &str) -> Value {
    let text = example(file, name);
    from_slice(&decode_base64(text.as_str().unwrap(), 1 << 16).unwrap()).unwrap()
}

/// The same object without these members.
fn without(mut object: Value, members: &[&str]) -> Value {
    for member in members {
        object.as_object_mut().unwrap().remove(*member);
    }
    object
}

/// The shop and the facilitator of the examples.
fn shop() -> Loaded {
    shop_with(&json!({}), &json!({}))
}

/// The same, with more to say of its route and of its network.
fn shop_with(more: &Value, of_network: &Value) -> Loaded {
    let mut route = json!({
        "pattern": "/premium-data", "price": "$0.01", "listed": true,
        "description": "Access to premium market data", "mime_type": "application/json",
    });
    let mut network = json!({
        "rpc": ["https://node.example"], "pay_to": PAY_TO, "max_timeout_seconds": 60,
    });
    for (table, more) in [(&mut route, more), (&mut network, of_network)] {
        table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    let mut settings = settings("assets", json!([route]));
    settings.networks = Some(json!({ "eip155:84532": network }));
    settings.facilitator = Some(json!({
        "path": "/facilitator", "clients": [{ "name": "one", "pay_to": [PAY_TO] }],
    }));
    settings.facilitator_tokens = Some(format!("one:{}", token_hash("token")));
    settings.solana_fee_payer_keys = None;
    config::read(&settings)
}

fn sold(shop: &Loaded) -> &Config {
    shop.config.as_ref().unwrap_or_else(|faults| panic!("{faults}"))
}

/// The challenge of the shop: v2 and v1, with this in place of `error`.
fn challenge(error: &Value) -> (Value, Value) {
    let shop = shop();
    let config = sold(&shop);
    let route = ChallengeTemplate::new(&config.routes[0], config);
    let written = route.write(URL, None, &Hints::default());
    let v2 = decode_base64(&written.header, 1 << 16).unwrap();
    let read = |text: &[u8]| {
        let mut challenge = from_slice(text).unwrap();
        challenge["error"] = error.clone();
        challenge
    };
    (read(&v2), read(written.body.as_bytes()))
}

/// What the gate does with a payment header.
fn asked(name: &str, value: &str) -> String {
    asked_at(&shop(), name, value)
}

fn asked_at(shop: &Loaded, name: &str, value: &str) -> String {
    let mut request = Request::get("/premium-data").with(name, value);
    request.url = URL.into();
    outcome(&decide(shop, &request, NOW))
}

/// The terms of the examples.
fn terms() -> evm::Terms {
    let domain = evm::Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: 84_532,
        verifying_contract: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
    };
    evm::Terms::new(domain, PAY_TO.parse().unwrap(), AtomicAmount(10_000), 60)
}

/// The payment that a payload is.
fn checked(payload: &Value) -> Result<evm::VerifiedPayment, Reason> {
    evm::verify(payload, &terms(), NOW)
}

/// An order at the facilitator.
fn ordered(body: &Value) -> Order {
    let shop = shop();
    let config = sold(&shop);
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer token")).unwrap();
    Order::read(config, account, body.to_string().as_bytes()).unwrap()
}

/// A facilitator that answers everything with this.
struct Says(Value);

impl Http for Says {
    async fn exchange(&self, _: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        Ok(HttpAnswer { status: 200, body: Some(self.0.to_string()) })
    }
}

/// What we take an answer of a facilitator for.
fn told<T>(asked: impl Future<Output = T>) -> T {
    asked.now_or_never().unwrap()
}

fn facilitator() -> Facilitator {
    Facilitator {
        url: "https://pay.example".into(),
        headers: vec![],
        auth: None,
        facts: RemoteFacts::default(),
    }
}

/// x402 v1, 5.1, and its HTTP transport. What is `null` is left out here.
#[test]
fn v1_payment_required_is_what_the_gate_writes() {
    for mut theirs in [
        example("x402-v1", "5.1.1 PaymentRequirementsResponse"),
        example("http-v1", "402 Payment Required, body"),
    ] {
        let (_, ours) = challenge(&theirs["error"]);
        let offer = theirs["accepts"][0].as_object_mut().unwrap();
        assert_eq!(offer.remove("outputSchema"), Some(Value::Null));
        assert_eq!(ours, theirs);
    }
}

/// x402 v2, 5.1, and its HTTP transport. Our route is listed, the example's not.
#[test]
fn v2_payment_required_is_what_the_gate_writes() {
    for theirs in
        [example("x402-v2", "5.1.1 PaymentRequired"), header("http-v2", "PAYMENT-REQUIRED")]
    {
        let (ours, _) = challenge(&theirs["error"]);
        assert_eq!(without(ours, &["extensions"]), without(theirs.clone(), &["extensions"]));
        let terms = PaymentRequirements::read(&theirs["accepts"][0]).unwrap();
        assert_eq!(terms.to_value(), theirs["accepts"][0], "written as it was read");
    }
}

/// x402 v1 and v2, 5.2, and the HTTP transports. The examples are really
/// signed: the gate takes them for their price, in their time.
#[test]
fn payment_payloads_buy_what_they_say() {
    for (version, core, transport, name) in [
        (Version::V1, "x402-v1", "http-v1", "X-PAYMENT"),
        (Version::V2, "x402-v2", "http-v2", "PAYMENT-SIGNATURE"),
    ] {
        let theirs = example(core, "5.2.1 PaymentPayload");
        let payment = PaymentPayload::from_json(version, theirs.to_string().as_bytes()).unwrap();
        assert_eq!(payment.scheme, "exact");
        assert_eq!(payment.identifier, None);
        if let Some(accepted) = &payment.accepted {
            let Accepted::Terms(terms) = accepted else { panic!("{accepted:?}") };
            assert_eq!(terms.to_value(), theirs["accepted"]);
        }
        let checked = checked(&payment.payload).unwrap();
        assert_eq!(checked.payer(), PAYER);
        assert_eq!(checked.payload(), theirs["payload"], "written as it was read");

        assert_eq!(version.payment_header(), name);
        assert_eq!(header(transport, name), without(theirs, &["extensions"]));
        let value = example(transport, name);
        let bought = format!("purchase 0 {version:?} eip155:84532");
        assert_eq!(asked(name, value.as_str().unwrap()), bought);
    }
}

/// x402 v1 and v2, 5.3, and the HTTP transports: read, and written again.
#[test]
fn settlement_responses_are_receipts() {
    let v1 = ["X-PAYMENT-RESPONSE, success", "X-PAYMENT-RESPONSE, failure"];
    let v2 = ["PAYMENT-RESPONSE, success", "PAYMENT-RESPONSE, failure"];
    for (version, core, transport, names) in
        [(Version::V1, "x402-v1", "http-v1", v1), (Version::V2, "x402-v2", "http-v2", v2)]
    {
        assert_eq!(header(transport, names[0]), example(core, "5.3.1 SettlementResponse"));
        for name in names {
            let theirs = header(transport, name);
            assert_eq!(name.split_once(',').unwrap().0, version.receipt_header());
            let receipt = SettlementResponse::from_json(&theirs).unwrap();
            assert_eq!(receipt.payer.as_deref(), Some(PAYER));
            assert_eq!(to_value(&receipt), theirs);
            let ours = from_slice(&decode_base64(&receipt.to_header(), 1 << 16).unwrap()).unwrap();
            // Some clients of v1 look for `errorReason` on success, too.
            let mut expected = theirs;
            if version == Version::V1 && receipt.success {
                expected["errorReason"] = Value::Null;
            }
            assert_eq!(ours, expected);
        }
    }
}

/// x402 v1 and v2, 7.1 and 7.2: what a resource server asks the facilitator.
#[test]
fn verify_requests_are_orders() {
    for (version, file) in [(Version::V1, "x402-v1"), (Version::V2, "x402-v2")] {
        let mut body = example(file, "7.1 POST /verify");
        let mut order = ordered(&body);
        assert_eq!(order.version, version);
        assert_eq!(order.network_name, body["paymentRequirements"]["network"]);
        // The example's addresses and signature are dots.
        assert_eq!(order.check(NOW).unwrap_err(), Reason::InvalidPayload);
        body["paymentPayload"] = example(file, "5.2.1 PaymentPayload");
        let payment = ordered(&body).check(NOW).unwrap();
        assert_eq!(payment.payload(), body["paymentPayload"]["payload"]);
        assert_eq!(payment.amount().0, 10_000);
    }
}

/// x402 v1 and v2, 7.1: as we write it, and as we read another facilitator's.
#[test]
fn verify_responses_are_read_and_written() {
    let reason = Reason::InsufficientFunds;
    for file in ["x402-v1", "x402-v2"] {
        let valid = example(file, "7.1 VerifyResponse, valid");
        let invalid = example(file, "7.1 VerifyResponse, invalid");
        let ours = |verdict| answer::verified(verdict, Some(PAYER.into()), NOW).body;
        assert_eq!(ours(settlement::Verdict::Valid), valid);
        assert_eq!(ours(settlement::Verdict::Invalid(reason)), invalid);
        let read = |answer: &Value| told(facilitator().verify(&Says(answer.clone()), ""));
        assert_eq!(read(&valid), Verdict::Valid);
        let code = "insufficient_funds".to_owned();
        assert_eq!(read(&invalid), Verdict::Invalid { reason, code });
    }
}

/// x402 v1 and v2, 7.2: as we write it, and as we read another facilitator's.
#[test]
fn settle_responses_are_read_and_written() {
    for file in ["x402-v1", "x402-v2"] {
        let success = example(file, "7.2 SettlementResponse, success");
        let failure = example(file, "7.2 SettlementResponse, failure");
        let order = ordered(&example(file, "7.1 POST /verify"));
        let ours = |outcome| answer::settled(&order, outcome, Some(PAYER), NOW).body;
        let settled = ours(Outcome::Settled(Settlement {
            transaction: TRANSACTION.into(),
            payer: PAYER.into(),
            amount: AtomicAmount(10_000),
            settled_at: NOW,
            redeliver_until: NOW,
        }));
        // `amount` is optional (v2, 5.3.2).
        assert_eq!(settled["amount"], "10000");
        assert_eq!(without(settled, &["amount"]), success);
        let reason = Reason::InsufficientFunds;
        assert_eq!(ours(Outcome::Failed { reason, transaction: None }), failure);

        let read = |answer: &Value| {
            told(facilitator().settle(&Says(answer.clone()), BASE_SEPOLIA, "", "key"))
        };
        assert_eq!(read(&success), Settled::Paid { transaction: TRANSACTION.into() });
        let code = "insufficient_funds".to_owned();
        assert_eq!(read(&failure), Settled::Refused { reason, code });
    }
}

/// x402 v1 and v2, 7.3: as we write it. We speak both versions, so each kind
/// stands once for each.
#[test]
fn supported_lists_the_kinds_of_the_examples() {
    let v1 = example("x402-v1", "7.3 GET /supported");
    let v2 = example("x402-v2", "7.3 GET /supported");
    let mut settings = settings("assets", json!([]));
    let names = v2["kinds"].as_array().unwrap().iter().map(|kind| kind["network"].as_str());
    let network = |_| json!({ "rpc": ["https://node.example"], "pay_to": PAY_TO });
    settings.networks = Some(names.map(|name| (name.unwrap().to_owned(), network(name))).collect());
    settings.evm_relayer_keys = Some(relayer_secret());
    settings.solana_fee_payer_keys = None;
    settings.facilitator = Some(json!({
        "path": "/facilitator", "clients": [{ "name": "one", "pay_to": [PAY_TO] }],
    }));
    settings.facilitator_tokens = Some(format!("one:{}", token_hash("token")));
    let loaded = config::read(&settings);
    let config = sold(&loaded);
    let account = account_of(config.facilitator.as_ref().unwrap(), Some("Bearer token")).unwrap();
    let ours = supported(config, account);
    assert_eq!(ours["extensions"], v2["extensions"]);
    let theirs_of = |document: &Value, pattern: &str| {
        document["signers"][pattern].as_array().map_or(0, Vec::len)
    };
    assert_eq!(theirs_of(&ours, "eip155:*"), theirs_of(&v2, "eip155:*"));
    for (number, theirs) in [(1, v1), (2, v2)] {
        let kinds = |document: &Value, also: &[Value]| {
            // The example is older than `upto`.
            let is_of_it = |kind: &&Value| {
                kind["x402Version"] == number && kind["scheme"] != "upto" && !also.contains(kind)
            };
            let kinds = document["kinds"].as_array().unwrap().iter().filter(is_of_it);
            let mut kinds: Vec<String> = kinds.map(Value::to_string).collect();
            kinds.sort_unstable();
            kinds
        };
        // The example of v1 also names a network whose token we don't know.
        let iotex = json!({ "x402Version": 1, "scheme": "exact", "network": "iotex" });
        assert_eq!(kinds(&ours, &[]), kinds(&theirs, &[iotex]));
    }
}

/// x402 v1 and v2, 7.3: as we read another facilitator's.
#[test]
fn supported_tells_which_version_to_speak() {
    let facts = |file, network: &str| {
        let answer = example(file, "7.3 GET /supported");
        RemoteFacts::from_supported(&answer, network.parse().unwrap())
    };
    let speaks = |version| Some(RemoteFacts { fee_payer: None, version });
    assert_eq!(facts("x402-v1", "eip155:84532"), speaks(Version::V1));
    assert_eq!(facts("x402-v2", "eip155:43114"), speaks(Version::V2));
    assert_eq!(facts("x402-v2", "eip155:1"), None);
}

/// x402 v1 and v2, 8.1. Of what the extension `bazaar` has changed since, ours
/// is newer: `lastUpdated` is a text, and there are `extensions`, no `metadata`.
#[test]
fn discovery_lists_what_the_examples_do() {
    let shop = shop();
    let origin = "https://api.example.com";
    let ours = discovery::resources(sold(&shop), origin, "?type=http&limit=10", NOW).unwrap();
    let ours = from_slice(ours.as_bytes()).unwrap();
    for file in ["x402-v1", "x402-v2"] {
        let theirs = example(file, "8.1 GET /discovery/resources");
        assert_eq!(ours["pagination"], theirs["pagination"]);
        for member in ["resource", "type"] {
            assert_eq!(ours["items"][0][member], theirs["items"][0][member]);
        }
        let accepts = &theirs["items"][0]["accepts"];
        if file == "x402-v2" {
            assert_eq!(ours["x402Version"], theirs["x402Version"]);
            assert_eq!(ours["items"][0]["accepts"], *accepts);
        } else {
            let (_, challenge) = challenge(&Value::Null);
            assert_eq!(challenge["accepts"], *accepts);
        }
    }
}

/// exact on EVM, 1: a client that names the method.
#[test]
fn a_client_may_name_eip3009() {
    let example = example("exact-evm", "1. EIP-3009, PaymentPayload");
    let payment = Request::get("").paying(&example).headers.remove(0).1;
    assert_eq!(asked("PAYMENT-SIGNATURE", &payment), "purchase 0 V2 eip155:84532");
}

/// exact on EVM, 2: the example is read whole, and its signature is another
/// payment's.
#[test]
fn permit2_is_offered_and_read() {
    let example = example("exact-evm", "2. Permit2, PaymentPayload");
    let shop = shop_with(&json!({}), &json!({ "asset_transfer_method": "permit2" }));
    assert_eq!(sold(&shop).routes[0].offers[0].v2.to_value(), example["accepted"]);
    let payment = Request::get("").paying(&example).headers.remove(0).1;
    let refused = "402 0 V2 invalid_permit2_signature";
    assert_eq!(asked_at(&shop, "PAYMENT-SIGNATURE", &payment), refused);
}

/// upto on EVM: what is offered, but for the example's address, which is none.
#[test]
fn upto_is_offered_and_answered() {
    let theirs = example("upto-evm", "PaymentRequired")["accepts"][0].clone();
    let by_use = json!({ "scheme": "upto", "price": "$5" });
    let shop = shop_with(&by_use, &json!({ "max_timeout_seconds": 300 }));
    let mut ours = sold(&shop).routes[0].offers[0].v2.to_value();
    assert_eq!(ours["extra"]["facilitatorAddress"], sold(&shop).relayers[0].address().to_string());
    ours["extra"]["facilitatorAddress"] = theirs["extra"]["facilitatorAddress"].clone();
    // The scheme has one method; clients of `exact` know it by name.
    let method = ours["extra"].as_object_mut().unwrap().remove("assetTransferMethod");
    assert_eq!(method, Some(json!("permit2")));
    assert_eq!(ours, theirs);

    // Neither the example's facilitator nor its nonce is one.
    let terms = terms().by_use(vec![PAY_TO.parse().unwrap()]);
    let mut payload = example("upto-evm", "PaymentPayload")["payload"].clone();
    let refused = |payload: &Value| evm::verify(payload, &terms, NOW).unwrap_err();
    assert_eq!(refused(&payload), Reason::InvalidPayload);
    payload["permit2Authorization"]["witness"]["facilitator"] = json!(PAY_TO);
    payload["permit2Authorization"]["nonce"] = json!("1");
    assert_eq!(refused(&payload), Reason::Permit2Signature);

    let theirs = example("upto-evm", "SettlementResponse");
    assert_eq!(to_value(&SettlementResponse::from_json(&theirs).unwrap()), theirs);
}

/// exact on EVM, 3: a delegation is another method than the one that we ask for.
#[test]
fn erc7710_is_refused() {
    let example = example("exact-evm", "3. ERC-7710, PaymentPayload");
    assert_eq!(checked(&example["payload"]), Err(Reason::InvalidPayload));
    let payment = Request::get("").paying(&example).headers.remove(0).1;
    let refused = "402 0 V2 invalid_payment_requirements";
    assert_eq!(asked("PAYMENT-SIGNATURE", &payment), refused);
}

/// exact on SVM: requirements, and what a client says it accepted of them.
#[test]
fn svm_requirements_are_read_and_written() {
    let theirs = example("exact-svm", "PaymentRequirements");
    let terms = PaymentRequirements::read(&theirs).unwrap();
    assert!(terms.network.names_fee_payer());
    assert_eq!(terms.to_value(), theirs);
    let payment = example("exact-svm", "PaymentPayload");
    let payment = PaymentPayload::from_json(Version::V2, payment.to_string().as_bytes()).unwrap();
    let Some(Accepted::Terms(accepted)) = payment.accepted else { panic!("{payment:?}") };
    assert!(accepted.same_terms(&terms), "hints aside");
    assert_eq!(accepted.extra["memo"], "pi_3abc123def456");
    // Our offers don't ask for a memo; they have the rest, and two hints more.
    let mut settings = settings("assets", json!([{ "pattern": "/", "price": "$0.001" }]));
    let network = json!({
        "rpc": ["https://node.example"], "pay_to": theirs["payTo"], "max_timeout_seconds": 60,
    });
    settings.networks = Some(json!({ theirs["network"].as_str().unwrap(): network }));
    let loaded = config::read(&settings);
    let offer = sold(&loaded).routes[0].offers[0].v2.to_value();
    assert_eq!(without(offer.clone(), &["extra"]), without(theirs, &["extra"]));
    assert!(offer["extra"]["feePayer"].is_string());
}

/// exact on SVM: the example's transaction is no transaction, its receipt has
/// words in place of a signature.
#[test]
fn svm_payload_and_receipt_have_the_examples_members() {
    let payload = example("exact-svm", "PaymentPayload")["payload"].clone();
    let terms = crate::solana_support::terms();
    assert_eq!(edge402::solana::verify(&payload, &terms).unwrap_err(), Reason::SvmUndecodable);
    let theirs = example("exact-svm", "SettlementResponse");
    assert_eq!(to_value(&SettlementResponse::from_json(&theirs).unwrap()), theirs);
}

/// Extension `payment-identifier`.
#[test]
fn payments_have_names() {
    let theirs = example("payment-identifier", "PaymentRequired");
    let route =
        json!({ "pattern": "/premium-data", "price": "$0.01", "payment_identifier": "optional" });
    let mut settings = settings("assets", json!([route]));
    settings.facilitator = None;
    let loaded = config::read(&settings);
    let ours = sold(&loaded).routes[0].extensions();
    let mut ours = Value::Object(ours);
    // Which characters an id may have, the specification says in words.
    let pattern = "/payment-identifier/schema/properties/id";
    assert_eq!(
        ours.pointer_mut(pattern).unwrap().as_object_mut().unwrap().remove("pattern"),
        Some(json!("^[a-zA-Z0-9_-]+$"))
    );
    assert_eq!(ours, theirs["extensions"]);

    let mut payment = example("x402-v2", "5.2.1 PaymentPayload");
    payment["extensions"] = example("payment-identifier", "PaymentPayload")["extensions"].clone();
    let payment = PaymentPayload::from_json(Version::V2, payment.to_string().as_bytes()).unwrap();
    assert_eq!(payment.identifier.as_deref(), Some("pay_7d5d747be160e280504c099d984bcfe0"));
}

#[test]
fn every_example_is_read_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/specification");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|it| it == "json")) {
        let document = from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for name in document["examples"].as_object().unwrap().keys() {
            let is_read = include_str!("specification.rs").contains(&format!("\"{name}\""));
            assert!(is_read, "{}: {name}", path.display());
        }
    }
}
