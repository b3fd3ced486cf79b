//! Whatever comes to the gate, it answers: a panic would end the isolate for
//! every visitor.

use std::sync::LazyLock;

use crate::gate_support::{DEVNET, Request, assets, config, get, outcome, site, v1, v2};
use edge402::encoding::{decode_base64, encode_base64};
use edge402::gate::challenge::BlockhashHint;
use edge402::gate::{ChallengeTemplate, Decision, Hints, Language};
use edge402::path::{CanonicalPath, READ_MAX};
use edge402::protocol::Reason;
use proptest::prelude::*;
use serde_json::{Value, json};

fn payments() -> &'static [Value; 2] {
    static PAYMENTS: LazyLock<[Value; 2]> = LazyLock::new(|| {
        let payload = crate::evm_support::signed(|_| {});
        [v1(&payload), v2(&payload)]
    });
    &PAYMENTS
}

fn template() -> &'static ChallengeTemplate {
    static TEMPLATE: LazyLock<ChallengeTemplate> =
        LazyLock::new(|| ChallengeTemplate::new(&config(assets()).routes[0], config(assets())));
    &TEMPLATE
}

/// The pointers of all values within.
fn pointers(json: &Value, at: &str, found: &mut Vec<String>) {
    for (key, value) in json.as_object().into_iter().flatten() {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "0x[0-9a-fA-F]{0,140}".prop_map(Value::from),
        "[0-9]{0,90}".prop_map(Value::from),
        Just(json!("exact")),
        Just(json!(DEVNET)),
        Just(json!("solana-devnet")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z0-9]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A valid payment with some of its members replaced, removed or added.
fn mutated() -> impl Strategy<Value = Value> {
    let change = (any::<prop::sample::Index>(), prop::option::of(any_json()));
    (0..2_usize, prop::collection::vec(change, 0..3)).prop_map(|(version, changes)| {
        let mut payment = payments()[version].clone();
        for (index, value) in changes {
            let mut all = vec![];
            pointers(&payment, "", &mut all);
            all.push("/extra".into());
            all.push("/payload/extra".into());
            let pointer = index.get(&all);
            let parent = pointer.rsplit_once('/').unwrap().0;
            if payment.pointer(parent).is_some_and(Value::is_object) {
                crate::gate_support::set(&mut payment, pointer, value);
            }
        }
        payment
    })
}

/// The text of a payment with some of its bytes replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (0..2_usize, changes, 0..64_usize).prop_map(|(version, changes, cut)| {
        let mut text = payments()[version].to_string().into_bytes();
        for (index, byte) in changes {
            let at = index.index(text.len());
            text[at] = byte;
        }
        let length = text.len() - if cut < 32 { 0 } else { cut };
        text.truncate(length);
        text
    })
}

/// Nothing is bought but by the one who signed, at the price that is asked.
fn is_sound(request: &Request) -> Result<(), TestCaseError> {
    for loaded in [assets(), site()] {
        let decision = request.decide(loaded);
        let _ = outcome(&decision);
        match decision {
            Decision::Purchase(purchase) => {
                let payer = crate::evm_support::payer().address().to_string();
                prop_assert_eq!(purchase.payment.payer(), payer);
                prop_assert_ne!(purchase.sale.number, 2, "an order costs twice as much");
            }
            Decision::Forward(path) => {
                // In its one spelling, or in one that leads nowhere else.
                if CanonicalPath::parse(path.as_str()).as_ref() != Ok(&path) {
                    let spelled = CanonicalPath::as_spelled(path.as_str(), READ_MAX);
                    prop_assert_eq!(spelled.as_ref().map(|it| &it.path), Ok(&path));
                    let patterns = loaded.patterns.as_ref().unwrap();
                    let readings = spelled.into_iter().flat_map(|it| it.readings);
                    for reading in readings {
                        prop_assert!(!patterns.may_sell(&reading), "{:?}", reading);
                    }
                }
            }
            Decision::MayBeFree(sale) => prop_assert!(sale.route.free.is_some()),
            Decision::PaymentRequired(sale, refusal) => {
                let reason = refusal.map(|refusal| refusal.reason);
                let challenge = template().write(&sale.url, reason, &Hints::default());
                prop_assert!(challenge.header.len() <= 3_000);
            }
            Decision::Collect(..) => prop_assert!(false, "nobody can guess a cookie"),
            Decision::BadRequest(_)
            | Decision::Preflight
            | Decision::Granted(_)
            | Decision::Free(_)
            | Decision::Off
            | Decision::AskPrice(_)
            | Decision::Closed => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_request(
        method in "GET|HEAD|POST|OPTIONS|\\PC{0,8}",
        url in "\\PC{0,40}|https://shop.example/[a-z/.%;?#&=\\\\]{0,30}|https://h/premium/(\\PC|%[0-9a-f]{2}){0,300}",
        headers in prop::collection::vec(
            (
                "X-PAYMENT|PAYMENT-SIGNATURE|Cookie|Prefer|Origin|Access-Control-Request-Method|X-Original-URL",
                "\\PC{0,20}|[A-Za-z0-9+/]{0,40}={0,2}",
            ),
            0..3,
        ),
    ) {
        is_sound(&Request { method, url, headers, body: None, edge: vec![] })?;
    }

    #[test]
    fn any_mutation_of_a_payment(
        payment in mutated(),
        target in "/premium/page|/guide|/premium/orders",
        name in "X-PAYMENT|PAYMENT-SIGNATURE",
    ) {
        let method = if target.ends_with("orders") { "POST" } else { "GET" };
        let request = Request::new(method, &target);
        is_sound(&request.clone().with(&name, &encode_base64(payment.to_string().as_bytes())))?;
        is_sound(&request.paying(&payment))?;
    }

    #[test]
    fn any_damage_to_a_payment(text in damaged()) {
        let text = encode_base64(&text);
        for name in ["X-PAYMENT", "PAYMENT-SIGNATURE"] {
            is_sound(&Request::get("/premium/page").with(name, &text))?;
        }
    }

    #[test]
    fn challenges_are_json_for_any_url(
        url in "(\\PC|[\\x00-\\x1f\"\\\\<{}]){0,60}",
        blockhash in prop::option::of("\\PC{0,44}|[\"\\\\\\x01]{0,4}"),
        refused in any::<bool>(),
    ) {
        let mut hints = Hints::default();
        if let Some(blockhash) = &blockhash {
            let hint = BlockhashHint {
                blockhash: blockhash.clone(),
                last_valid_block_height: u64::MAX,
            };
            hints.set(DEVNET.parse().unwrap(), hint);
        }
        let reason = refused.then_some(Reason::InvalidPayload);
        let challenge = template().write(&url, reason, &hints);
        let header = decode_base64(&challenge.header, 1 << 20).unwrap();
        let v2: Value = edge402::json::from_slice(&header).unwrap();
        let v1: Value = edge402::json::from_slice(challenge.body.as_bytes()).unwrap();
        prop_assert_eq!(&v2["resource"]["url"], &json!(url));
        prop_assert_eq!(&v1["accepts"][1]["resource"], &json!(url));
        let expected = blockhash.map(Value::from);
        for extra in [&v2["accepts"][2]["extra"], &v1["accepts"][1]["extra"]] {
            prop_assert_eq!(extra.get("recentBlockhash"), expected.as_ref());
        }
        let page = template().write_page(&url, &get(), reason, Language::of(None));
        let tags = template().write_page("", &get(), reason, Language::of(None)).matches('<').count();
        prop_assert_eq!(page.matches('<').count(), tags);
    }
}
