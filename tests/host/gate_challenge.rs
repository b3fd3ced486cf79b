//! The 402 answer: v2 in the header, v1 in the body, a page for browsers.

use crate::gate_support::{
    DEVNET, FEE_PAYER, PAY_TO, SOLANA_PAY_TO, assets, config, get, routes, settings,
};
use edge402::config::{self, Loaded, Settings};
use edge402::encoding::decode_base64;
use edge402::gate::challenge::{BlockhashHint, MAX_HEADER, status};
use edge402::gate::{ChallengeTemplate, Hints, Language};
use edge402::protocol::Reason;
use serde_json::{Value, json};

const URL: &str = "https://shop.example/premium/page?x=1";
const NO_PAYMENT: &str = "Payment required: send PAYMENT-SIGNATURE (v2) or X-PAYMENT (v1)";
const LONGEST: Reason = Reason::SvmComputePriceTooHigh;

fn template(loaded: &Loaded, route: usize) -> ChallengeTemplate {
    ChallengeTemplate::new(&config(loaded).routes[route], config(loaded))
}

fn hint(blockhash: &str) -> Hints {
    let mut hints = Hints::default();
    let hint = BlockhashHint { blockhash: blockhash.into(), last_valid_block_height: 305_441_741 };
    hints.set(DEVNET.parse().unwrap(), hint);
    hints
}

/// The header's JSON and the body's.
fn read(
    template: &ChallengeTemplate,
    url: &str,
    reason: Option<Reason>,
    hints: &Hints,
) -> (Value, Value) {
    let challenge = template.write(url, reason, hints);
    let header = decode_base64(&challenge.header, 1 << 20).unwrap();
    let json = |text: &[u8]| edge402::json::from_slice(text).unwrap();
    (json(&header), json(challenge.body.as_bytes()))
}

fn extra(hint: &Value) -> Value {
    let mut extra = json!({
        "feePayer": FEE_PAYER,
        "decimals": 6,
        "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    });
    extra.as_object_mut().unwrap().extend(hint.as_object().unwrap().clone());
    extra
}

#[test]
fn a_missing_allowance_is_a_condition_and_all_else_a_price() {
    assert_eq!(status(None), 402);
    assert_eq!(status(Some(Reason::Permit2AllowanceRequired)), 412);
    assert_eq!(status(Some(Reason::Permit2InsufficientBalance)), 402);
}

#[test]
fn one_answer_serves_both_versions() {
    let known = json!({
        "recentBlockhash": "GfVcyD4kkTrj4bKc7WA9sZCin9JDbdT4Zkd3EittNR1W",
        "lastValidBlockHeight": "305441741",
    });
    for (hints, extra) in [
        (Hints::default(), extra(&json!({}))),
        (hint("GfVcyD4kkTrj4bKc7WA9sZCin9JDbdT4Zkd3EittNR1W"), extra(&known)),
    ] {
        let (v2, v1) = read(&template(assets(), 0), URL, None, &hints);
        let evm = |network: &str, asset: &str, name: &str| {
            json!({
                "scheme": "exact", "network": network, "amount": "10000", "asset": asset,
                "payTo": PAY_TO, "maxTimeoutSeconds": 300,
                "extra": { "name": name, "version": "2" },
            })
        };
        assert_eq!(
            v2,
            json!({
                "x402Version": 2,
                "error": NO_PAYMENT,
                "resource": { "url": URL, "description": "Premium pages" },
                "accepts": [
                    evm("eip155:42161", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin"),
                    evm("eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"),
                    {
                        "scheme": "exact", "network": DEVNET, "amount": "10000",
                        "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
                        "payTo": SOLANA_PAY_TO, "maxTimeoutSeconds": 300, "extra": extra,
                    },
                ],
            })
        );
        let common = json!({
            "scheme": "exact", "maxAmountRequired": "10000", "resource": URL,
            "description": "Premium pages", "mimeType": "", "maxTimeoutSeconds": 300,
        });
        let mut evm = json!({
            "network": "base-sepolia", "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": PAY_TO, "extra": { "name": "USDC", "version": "2" },
        });
        let mut solana = json!({
            "network": "solana-devnet", "payTo": SOLANA_PAY_TO, "extra": extra,
            "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        });
        for offer in [&mut evm, &mut solana] {
            offer.as_object_mut().unwrap().extend(common.as_object().unwrap().clone());
        }
        // Arbitrum has no name in v1.
        let accepts = json!([evm, solana]);
        assert_eq!(v1, json!({ "x402Version": 1, "error": NO_PAYMENT, "accepts": accepts }));
    }
}

#[test]
fn a_route_offers_its_own_networks_and_media_type() {
    let template = template(assets(), 1);
    assert!(template.hinted_networks().is_empty());
    let (v2, v1) = read(&template, URL, None, &hint("unused"));
    assert_eq!(v2["resource"], json!({ "url": URL, "mimeType": "text/html" }));
    for (json, network) in [(&v2, "eip155:84532"), (&v1, "base-sepolia")] {
        assert_eq!(json["accepts"].as_array().unwrap().len(), 1);
        assert_eq!(json["accepts"][0]["network"], network);
    }
    assert_eq!(v1["accepts"][0]["mimeType"], "text/html");
    let ids: Vec<_> =
        self::template(assets(), 0).hinted_networks().iter().map(ToString::to_string).collect();
    assert_eq!(ids, [DEVNET]);
}

#[test]
fn the_error_is_the_reason_code() {
    for (reason, code) in [
        (Reason::InvalidScheme, "invalid_scheme"),
        (Reason::DuplicateSettlement, "duplicate_settlement"),
        (Reason::SettlementPending, "settlement_pending"),
        (
            LONGEST,
            "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high",
        ),
    ] {
        let (v2, v1) = read(&template(assets(), 0), URL, Some(reason), &Hints::default());
        assert_eq!((&v2["error"], &v1["error"]), (&json!(code), &json!(code)));
    }
}

#[test]
fn an_unknown_blockhash_leaves_no_trace() {
    let challenge = template(assets(), 0).write(URL, None, &Hints::default());
    let header = String::from_utf8(decode_base64(&challenge.header, 4_096).unwrap()).unwrap();
    for text in [header, challenge.body] {
        for trace in ["recentBlockhash", "lastValidBlockHeight", "HINT", "null", "\\u0001"] {
            assert!(!text.contains(trace), "{trace}: {text}");
        }
    }
}

#[test]
fn the_newest_hint_counts_and_is_escaped() {
    let mut hints = hint("old");
    let newer = BlockhashHint { blockhash: "\"},\\\u{1}".into(), last_valid_block_height: 0 };
    hints.set(DEVNET.parse().unwrap(), newer.clone());
    hints.set("eip155:84532".parse().unwrap(), newer);
    let (v2, v1) = read(&template(assets(), 0), URL, None, &hints);
    assert_eq!(v2["accepts"][2]["extra"]["recentBlockhash"], "\"},\\\u{1}");
    assert_eq!(v1["accepts"][1]["extra"]["lastValidBlockHeight"], "0");
    assert!(v2["accepts"][1]["extra"].get("recentBlockhash").is_none());
}

#[test]
fn urls_are_escaped_in_both() {
    for end in [
        "\"quotes\"",
        "\\back\\slash",
        "\\u0001",
        "\u{0}\u{1}\u{1f}\u{7f}\r\n\t",
        "\u{1}URL\u{1}ERROR\u{1}",
        "é ✓ 𝄞 \u{2028}\u{202e}",
        "</script><!--",
        "{{price}}",
        "\",\"accepts\":[],\"x\":\"",
    ] {
        let url = format!("https://shop.example/{end}?{end}");
        for hints in [Hints::default(), hint("x")] {
            let (v2, v1) = read(&template(assets(), 0), &url, None, &hints);
            assert_eq!(v2["resource"]["url"], url);
            for offer in v1["accepts"].as_array().unwrap() {
                assert_eq!(offer["resource"], url);
            }
            assert_eq!(v2["accepts"].as_array().unwrap().len(), 3);
        }
    }
}

#[test]
fn the_sellers_words_are_escaped_in_all_three() {
    let words = "\"><script>alert('x')</script>{{url}} & é\n\\n";
    let mut routes = routes();
    crate::gate_support::set(&mut routes[0], "/description", Some(json!(words)));
    crate::gate_support::set(&mut routes[0], "/mime_type", Some(json!("\"\\")));
    let loaded = config::read(&settings("assets", routes));
    let template = template(&loaded, 0);
    let (v2, v1) = read(&template, URL, None, &hint("x"));
    assert_eq!(v2["resource"], json!({ "url": URL, "description": words, "mimeType": "\"\\" }));
    assert_eq!(v1["accepts"][1]["description"], words);
    let page = template.write_page(URL, &get(), None, Language::of(None));
    let title = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;{{url}} &amp; é\n\\n";
    assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");
    assert_eq!(page.matches("<script").count(), 3, "the page's own");
}

#[test]
fn no_words_of_the_seller_are_taken_for_a_gap() {
    for words in ["\\u0001", "a\u{1}b", "\u{1}URL\u{1}", "\u{1}ERROR\u{1}"] {
        let mut routes = routes();
        crate::gate_support::set(&mut routes[0], "/description", Some(json!(words)));
        let loaded = config::read(&settings("assets", routes));
        if loaded.config.is_err() {
            continue; // To refuse them would do, too.
        }
        let challenge = template(&loaded, 0).write(URL, None, &Hints::default());
        let body: Value = serde_json::from_str(&challenge.body).expect(&challenge.body);
        assert_eq!(body["accepts"][0]["description"], words);
    }
}

#[test]
fn the_header_stays_short_and_the_body_says_it_all() {
    let template = template(assets(), 0);
    for (path, query) in [
        ("/premium/page".to_owned(), format!("?{}", "q".repeat(8_192))),
        (format!("/premium/{}", "p".repeat(8_192)), String::new()),
        (format!("/premium/{}", "p".repeat(4_096)), format!("?{}", "q".repeat(4_096))),
        (format!("/premium/{}", "%20".repeat(2_700)), "?".to_owned()),
        ("/premium/page".to_owned(), format!("?{}", "\"\\".repeat(4_096))),
    ] {
        let url = format!("https://shop.example{path}{query}");
        let challenge = template.write(&url, Some(LONGEST), &hint(&"x".repeat(44)));
        assert!(challenge.header.len() <= 3_000, "{}", challenge.header.len());
        let (v2, v1) = read(&template, &url, Some(LONGEST), &hint(&"x".repeat(44)));
        let short = v2["resource"]["url"].as_str().unwrap();
        assert!(url.starts_with(short) && short.starts_with("https://shop.example/premium/"));
        assert_eq!(v1["accepts"][0]["resource"], url);
        assert_eq!(v2["accepts"].as_array().unwrap().len(), 3);
    }
    // What fits is whole.
    assert_eq!(MAX_HEADER, 3_000);
    let (v2, _) = read(&template, URL, Some(LONGEST), &Hints::default());
    assert_eq!(v2["resource"]["url"], URL);
}

/// Route 0 on `evm` EVM networks and one Solana network, with this text.
fn large(evm: usize, description: &str, mime_type: &str) -> Loaded {
    let known = ["8453", "84532", "43114", "43113", "137", "80002", "1", "42161"];
    let mut networks: serde_json::Map<String, Value> = known[..evm]
        .iter()
        .map(|id| {
            let entry = json!({ "rpc": ["https://rpc.example"], "pay_to": PAY_TO });
            (format!("eip155:{id}"), entry)
        })
        .collect();
    networks
        .insert(DEVNET.into(), json!({ "rpc": ["https://rpc.example"], "pay_to": SOLANA_PAY_TO }));
    let route = json!([{
        "pattern": "/premium/*", "price": "$0.01", "description": description,
        "mime_type": mime_type,
    }]);
    config::read(&Settings { networks: Some(networks.into()), ..settings("assets", route) })
}

/// The networks of a challenge's offers in its header, and in its body.
fn offered(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let (v2, v1) = read(&template(loaded, 0), URL, None, &Hints::default());
    let networks = |it: &Value| -> Vec<String> {
        let accepts = it["accepts"].as_array().unwrap().iter();
        accepts.map(|offer| offer["network"].as_str().unwrap().to_owned()).collect()
    };
    (networks(&v2), networks(&v1))
}

#[test]
fn what_does_not_fit_is_left_out_of_the_header() {
    for (evm, description, fit) in [(3, 500, 4), (4, 0, 5), (5, 500, 5), (8, 0, 8)] {
        let loaded = large(evm, &"x".repeat(description), "");
        let all: Vec<String> =
            config(&loaded).routes[0].offers.iter().map(|it| it.v2.network.to_string()).collect();
        assert_eq!(all.len(), evm + 1);
        let (header, body) = offered(&loaded);
        assert_eq!(header, all[..fit], "{evm} networks and {description} bytes");
        // The page's script looks there for what it offers.
        let page = template(&loaded, 0).write_page(URL, &get(), None, Language::of(None));
        assert_eq!(page.matches("\"shown\":").count(), fit);
        // Ethereum has no name in v1.
        let in_v1 = all.iter().filter(|id| *id != "eip155:1" && *id != "eip155:42161");
        assert_eq!(body.len(), in_v1.count());
        let left_out: Vec<_> = all[fit..].iter().map(|id| format!("{id}/USDC")).collect();
        let notes = config(&loaded).notes().join("\n");
        assert_eq!(notes.contains("ROUTES[0].networks: "), fit <= evm, "{notes}");
        let said = format!("{fit} of {} offers and leaves out {}", evm + 1, left_out.join(", "));
        assert_eq!(notes.contains(&said), fit <= evm, "{notes}");
    }
}

#[test]
fn what_is_left_out_is_the_end_of_the_sellers_list() {
    let mut order = large(8, "", "");
    let networks: Vec<String> =
        config(&order).routes[0].offers.iter().rev().map(|it| it.v2.network.to_string()).collect();
    let known: serde_json::Map<String, Value> = networks
        .iter()
        .map(|id| {
            let pay_to = if id == DEVNET { SOLANA_PAY_TO } else { PAY_TO };
            (id.clone(), json!({ "rpc": ["https://rpc.example"], "pay_to": pay_to }))
        })
        .collect();
    let route = json!([{ "pattern": "/premium/*", "price": "$0.01", "networks": networks }]);
    order = config::read(&Settings { networks: Some(known.into()), ..settings("assets", route) });
    let (header, _) = offered(&order);
    assert!(header.len() > 3, "{header:?}");
    assert_eq!(header, networks[..header.len()]);
    assert!(assert_fits(&order));
}

#[test]
fn a_challenge_without_room_for_one_offer_is_a_fault_of_the_longest_text() {
    for (description, mime_type, key) in
        [(0, 1_900, "mime_type"), (500, 1_200, "mime_type"), (500, 1_100, "")]
    {
        let loaded = large(1, &"x".repeat(description), &"y".repeat(mime_type));
        let Err(faults) = &loaded.config else {
            assert!(key.is_empty(), "{description} {mime_type}");
            assert_eq!(offered(&loaded).0.len(), 1, "{description} {mime_type}");
            continue;
        };
        let [fault] = faults.0.as_slice() else { panic!("{faults}") };
        assert_eq!(fault.key, format!("ROUTES[0].{key}"));
        assert!(fault.problem.starts_with("makes a challenge that clients can't take: "));
    }
    let loaded = large(1, &"\u{7}".repeat(400), "");
    let faults = loaded.config.as_ref().unwrap_err();
    assert_eq!(faults.0[0].key, "ROUTES[0].description", "{faults}");
}

/// Whatever the configuration lets pass must fit, with a hint, a long path
/// and the longest code.
fn assert_fits(loaded: &Loaded) -> bool {
    if loaded.config.is_err() {
        return false;
    }
    let url = format!("https://shop.example/premium/{}", "p".repeat(8_192));
    let header = template(loaded, 0).write(&url, Some(LONGEST), &hint(&"x".repeat(44))).header;
    assert!(header.len() <= 3_000, "a header of {} bytes", header.len());
    true
}

#[test]
fn the_largest_challenge_that_is_accepted_fits() {
    for evm in 0..8 {
        // The longest description that the configuration lets pass.
        for length in (0..=500).rev().step_by(4) {
            if assert_fits(&large(evm, &"x".repeat(length), "")) {
                break;
            }
        }
    }
}

#[test]
fn words_that_are_long_when_escaped_are_counted_so() {
    assert_fits(&large(1, "", &"x".repeat(3_000)));
    assert_fits(&large(4, &"\"".repeat(400), ""));
    assert_fits(&large(2, &"\u{7}".repeat(400), ""));
}

#[test]
fn the_page_says_what_it_costs_and_where() {
    let template = template(assets(), 0);
    let page = template.write_page(URL, &get(), None, Language::of(None));
    for part in [
        "<title>$0.01 – Premium pages</title>",
        "<h1>Premium pages</h1>",
        "<p class=\"amount\">$0.01</p>",
        "One <code>GET</code> request for <code>https://shop.example/premium/page?x=1</code>.",
        "await pay(\"https://shop.example/premium/page?x=1\")",
        "<li><strong>Arbitrum One</strong> <span>0.01 USDC</span> <code>eip155:42161</code></li>",
        "<li><strong>Base Sepolia</strong> <span>0.01 USDC</span> <code>eip155:84532</code></li>",
        "<strong>Solana Devnet</strong>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("{{"), "{page}");
    let refused =
        template.write_page(URL, &get(), Some(Reason::InsufficientFunds), Language::of(None));
    assert!(refused.contains("The payment was not taken: insufficient_funds</p>"));
    let nameless = self::template(assets(), 1).write_page(URL, &get(), None, Language::of(None));
    assert!(nameless.contains("<h1>This is for sale</h1>"));
    assert_eq!(nameless.matches("<li><strong>").count(), 1);
}

#[test]
fn the_url_is_escaped_on_the_page() {
    let template = template(assets(), 0);
    let plain = template.write_page("https://x/", &get(), None, Language::of(None));
    for (end, escaped) in [
        ("</script><script>", "&lt;/script&gt;&lt;script&gt;"),
        ("\" onload='x'", "&quot; onload=&#39;x&#39;"),
        ("?a=1&b=&lt;", "?a=1&amp;b=&amp;lt;"),
        ("{{price}}{{url}}}}{{", "{{price}}{{url}}}}{{"),
        ("\u{0}é", "\u{0}é"),
    ] {
        let url = format!("https://x/{end}");
        let page = template.write_page(&url, &get(), None, Language::of(None));
        assert_eq!(page.matches(escaped).count(), 2, "{end}");
        for tag in ['<', '>', '"', '\''] {
            assert_eq!(page.matches(tag).count(), plain.matches(tag).count(), "{end}: {tag}");
        }
        assert_eq!(page.matches("$0.01").count(), 2, "{end}");
    }
}
