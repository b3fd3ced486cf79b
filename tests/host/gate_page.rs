//! What the page for browsers says of each kind of route.

use crate::gate_support::{DEVNET, config, settings};
use edge402::config::{self, Method};
use edge402::gate::ChallengeTemplate;
use edge402::protocol::Reason;
use serde_json::{Value, json};

const URL: &str = "https://shop.example/premium/page";

/// The page of the first of these routes.
fn page(routes: Value, method: &str, reason: Option<Reason>) -> String {
    let mut settings = settings("assets", routes);
    settings.grant_secret = Some("8f".repeat(32));
    let loaded = config::read(&settings);
    let config = config(&loaded);
    let Ok(method) = method.parse::<Method>();
    ChallengeTemplate::new(&config.routes[0], config).write_page(URL, &method, reason)
}

fn route(more: &Value) -> Value {
    let mut route = json!({ "pattern": "/premium/*", "price": "$0.01" });
    for (key, value) in more.as_object().unwrap() {
        route[key] = value.clone();
    }
    json!([route])
}

#[test]
fn the_page_names_the_method_that_was_asked_for() {
    let post = page(route(&json!({ "methods": ["POST"] })), "POST", None);
    assert!(post.contains("Send the <code>POST</code> request."));
    assert!(post.contains("Send the same <code>POST</code> request with the payment"));
    assert!(post.contains("One <code>POST</code> request for <code>https://shop.example/"));
    assert!(post.contains(&format!("pay(\"{URL}\", {{ method: &quot;POST&quot;, body }});")));
    assert!(!post.contains("GET"));
    for method in ["GET", "HEAD"] {
        let page = page(route(&json!({})), method, None);
        assert!(page.contains("Send the <code>GET</code> request."), "{method}");
        assert!(page.contains(&format!("pay(\"{URL}\");")), "{method}");
    }
}

#[test]
fn a_method_is_data_on_the_page() {
    let hostile = page(route(&json!({})), "<B>\"{{PRICE}}", None);
    assert!(hostile.contains("&lt;B&gt;&quot;{{PRICE}}"));
    assert!(!hostile.contains("<B>"));
}

#[test]
fn the_page_says_for_how_long_a_payment_opens_what() {
    for (access, words) in [
        ("1h", "1 hour"),
        ("90m", "90 minutes"),
        ("2d", "2 days"),
        ("45s", "45 seconds"),
        ("1m", "1 minute"),
    ] {
        let page = page(route(&json!({ "access": access })), "GET", None);
        let said = format!(
            "One payment of <strong>$0.01</strong> opens <code>/premium/*</code> for {words}."
        );
        assert!(page.contains(&said), "{access}");
        assert!(!page.contains("One <code>GET</code> request"), "{access}");
    }
    assert!(!page(route(&json!({})), "GET", None).contains(" opens "));
}

#[test]
fn the_code_is_for_the_networks_that_are_offered() {
    let (evm, solana) = (["ExactEvmScheme", "viem/accounts"], ["ExactSvmScheme", "@solana/kit"]);
    let base = page(route(&json!({ "networks": ["eip155:84532"] })), "GET", None);
    let devnet = page(route(&json!({ "networks": [DEVNET] })), "GET", None);
    let both = page(route(&json!({})), "GET", None);
    for (page, said, unsaid) in [(&base, evm, solana), (&devnet, solana, evm)] {
        for (said, unsaid) in said.into_iter().zip(unsaid) {
            assert!(page.contains(said) && both.contains(said), "{said}");
            assert!(!page.contains(unsaid), "{unsaid}");
        }
    }
}

#[test]
fn there_is_a_way_back_unless_the_start_page_is_sold() {
    let back = "<a href=\"/\">";
    assert!(page(route(&json!({})), "GET", None).contains(back));
    for pattern in ["/*", "/", "/index.html"] {
        let page = page(route(&json!({ "pattern": pattern })), "GET", None);
        assert!(!page.contains(back), "{pattern}");
    }
}

#[test]
fn no_paragraph_is_empty() {
    for reason in [None, Some(Reason::InsufficientFunds)] {
        let page = page(route(&json!({})), "GET", reason);
        assert!(!page.contains("<p></p>") && !page.contains("\"></p>"), "{page}");
        assert_eq!(page.contains("class=\"error\""), reason.is_some());
    }
}
