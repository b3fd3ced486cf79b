//! What the page for browsers says of each kind of route.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest as _, Sha256};

use crate::gate_support::{DEVNET, PAY_TO, config, settings};
use edge402::config::{self, Method};
use edge402::gate::{ChallengeTemplate, Language, Layout, PAGE_POLICY, TEMPLATE_POLICY};
use edge402::payment::Terms;
use edge402::protocol::Reason;
use serde_json::{Value, json};

const URL: &str = "https://shop.example/premium/page";

/// The page of the first of these routes.
fn page(routes: Value, method: &str, reason: Option<Reason>) -> String {
    page_like(None, routes, method, reason)
}

/// The same in a shop that says how its page looks.
fn page_like(look: Option<Value>, routes: Value, method: &str, reason: Option<Reason>) -> String {
    let mut settings = settings("assets", routes);
    settings.page = look;
    settings.grant_secret = Some("8f".repeat(32));
    let loaded = config::read(&settings);
    let config = config(&loaded);
    let Ok(method) = method.parse::<Method>();
    let language = Language::of(None);
    ChallengeTemplate::new(&config.routes[0], config).write_page(URL, &method, reason, language)
}

/// A page without its scripts, its style and what it tells its script.
fn visible(page: &str) -> String {
    let mut seen = page.to_owned();
    for (open, close) in [("<style>", "</style>"), ("<script", "</script>")] {
        while let Some((before, after)) = seen.split_once(open) {
            seen = format!("{before}{}", after.split_once(close).unwrap().1);
        }
    }
    seen
}

/// What stands in one of a page's elements for its script.
fn json_in(page: &str, id: &str) -> Value {
    let tag = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = page.split_once(&tag).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn route(more: &Value) -> Value {
    let mut route = json!({ "pattern": "/premium/*", "price": "$0.01" });
    for (key, value) in more.as_object().unwrap() {
        route[key] = value.clone();
    }
    json!([route])
}

#[test]
fn the_page_says_what_one_payment_buys() {
    let (once, opens) = ("Paid once: no account, no subscription.", "One payment opens ");
    let single = visible(&page(route(&json!({})), "GET", None));
    assert!(single.contains(once) && !single.contains(opens));
    let access = visible(&page(route(&json!({ "access": "1h" })), "GET", None));
    assert!(access.contains(opens) && !access.contains(once));
}

#[test]
fn the_page_names_the_method_that_was_asked_for() {
    let post = page(route(&json!({ "methods": ["POST"] })), "POST", None);
    assert!(post.contains("Send the <code>POST</code> request."));
    assert!(post.contains("Send the same <code>POST</code> request with the payment"));
    assert!(post.contains("One <code>POST</code> request for <code>https://shop.example/"));
    assert!(post.contains("\"method\":\"POST\""));
    assert!(post.contains("<details id=\"program\" open>"), "it is for programs only");
    assert!(post.contains(&format!("pay(\"{URL}\", {{ method: &quot;POST&quot;, body }});")));
    assert!(!visible(&post).contains("GET"));
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
        let said = format!("One payment opens <code>/premium/*</code> for {words}.");
        assert!(page.contains(&said), "{access}");
        assert!(!visible(&page).contains("Paid once"), "{access}");
    }
    assert!(!visible(&page(route(&json!({})), "GET", None)).contains(" opens "));
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
        assert_eq!(visible(&page).contains("class=\"error\""), reason.is_some());
    }
}

#[test]
fn the_script_is_told_what_is_sold_and_for_how_much() {
    let page = page(route(&json!({ "description": "A </script><b> of 5 < 6" })), "HEAD", None);
    assert_eq!(page.matches("</script>").count(), 3);
    let data = json_in(&page, "data");
    assert_eq!((&data["method"], &data["again"]), (&json!("GET"), &json!(600)));
    let offer = &data["offers"][0];
    for (member, value) in [
        ("network", "eip155:42161"),
        ("title", "Arbitrum One"),
        ("amount", "10000"),
        ("shown", "0.01"),
        ("symbol", "USDC"),
    ] {
        assert_eq!(offer[member], value);
    }
    assert_eq!(data["offers"][2]["network"], DEVNET);
    assert_eq!(json_in(&page, "texts")["lang"], "en");
}

#[test]
fn the_script_is_told_for_how_long_the_goods_can_be_had_again() {
    for (more, seconds) in [
        (json!({}), 600),
        (json!({ "redeliver": "1h" }), 3_600),
        (json!({ "redeliver_max": 0 }), 0),
        (json!({ "redeliver_max": 0, "access": "1h" }), 3_600),
    ] {
        let data = json_in(&page(route(&more), "GET", None), "data");
        assert_eq!(data["again"], seconds, "{more}");
        assert_eq!(data["access"], json!(more.get("access").is_some()), "{more}");
    }
}

#[test]
fn without_keys_of_delivery_cookies_the_goods_are_shown_once() {
    let mut settings = settings("assets", route(&json!({})));
    settings.networks = Some(json!({
        "eip155:84532": { "facilitator": "https://other.example", "pay_to": PAY_TO },
    }));
    (settings.evm_relayer_keys, settings.solana_fee_payer_keys) = (None, None);
    for (secret, seconds) in [(None, 0), (Some("8f".repeat(32)), 600)] {
        settings.grant_secret = secret;
        let loaded = config::read(&settings);
        let config = config(&loaded);
        let Ok(get) = "GET".parse();
        let template = ChallengeTemplate::new(&config.routes[0], config);
        let page = template.write_page(URL, &get, None, Language::of(None));
        assert_eq!(json_in(&page, "data")["again"], seconds);
    }
}

#[test]
fn the_seller_is_named_else_the_host() {
    let seller = |more: &Value| {
        let page = page(route(more), "GET", None);
        let (_, rest) = page.split_once("<p class=\"seller\">").unwrap();
        rest.split_once("</p>").unwrap().0.to_owned()
    };
    assert_eq!(seller(&json!({})), "shop.example");
    assert_eq!(seller(&json!({ "service_name": "Tom & Sons" })), "Tom &amp; Sons");
}

#[test]
fn the_policy_lets_this_page_run_its_own_script_and_style_alone() {
    let page = page(route(&json!({})), "GET", None);
    for tag in ["script", "style"] {
        let (_, rest) = page.split_once(&format!("<{tag}>")).unwrap();
        let (content, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(content.as_bytes()));
        assert!(PAGE_POLICY.contains(&format!("{tag}-src 'sha256-{hash}';")), "{tag}");
    }
    assert!(PAGE_POLICY.starts_with("default-src 'none'; "));
    assert!(PAGE_POLICY.ends_with("frame-ancestors 'none'"));
    assert!(!PAGE_POLICY.contains("unsafe"));
}

#[test]
fn the_page_looks_as_the_seller_says() {
    let look = json!({
        "name": "Tom & Söhne", "logo": "/logo.svg?a&b", "accent": "#0a7f3f", "home": "/shop",
        "terms": "https://shop.example/terms", "support": "mailto:help@shop.example",
    });
    let named = route(&json!({ "service_name": "Elsewhere" }));
    let page = page_like(Some(look), named, "GET", None);
    for part in [
        "<p class=\"seller\">Tom &amp; Söhne</p>",
        "<img class=\"logo\" src=\"/logo.svg?a&amp;b\" alt=\"\">",
        "<a href=\"/shop\">Back to the start page</a>",
        "<a href=\"https://shop.example/terms\">Terms</a>",
        "<a href=\"mailto:help@shop.example\">Help</a>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(json_in(&page, "data")["accent"], "#0a7f3f");
    let plain = self::page(route(&json!({})), "GET", None);
    assert!(!visible(&plain).contains("<img") && !plain.contains(">Terms</a>"));
}

/// What the seller's own file makes of a route whose description is hostile.
fn in_layout(file: &str) -> String {
    let hostile = json!({ "description": "</script><b>\"'{{pay}}", "service_name": "Tom & Sons" });
    let settings = settings("assets", route(&hostile));
    let loaded = config::read(&settings);
    let config = config(&loaded);
    let Ok(get) = "GET".parse();
    let template = ChallengeTemplate::new(&config.routes[0], config);
    let layout = Layout::parse(file.into()).unwrap();
    let url = format!("{URL}?<{{{{data}}}}");
    template.write_page_in(&layout, &url, &get, Some(Reason::InsufficientFunds), Language::of(None))
}

#[test]
fn a_layout_of_the_sellers_is_filled_once_with_what_is_safe_there() {
    let file = "<p title=\"{{what}}\">{{lang}}|{{seller}}|{{price}}|{{url}}|{{total}}</p>\n\
                <script type=\"application/json\" id=\"data\">{{data}}</script>{{error}}";
    let page = in_layout(file);
    let first = "<p title=\"&lt;/script&gt;&lt;b&gt;&quot;&#39;{{pay}}\">en|Tom &amp; Sons|$0.01|\
                 https://shop.example/premium/page?&lt;{{data}}|\
                 No network fee: the shop pays it.</p>";
    assert_eq!(page.lines().next(), Some(first));
    let data = json_in(&page, "data");
    assert_eq!(data["method"], "GET");
    assert_eq!(data["offers"][0]["shown"], "0.01");
    assert!(page.ends_with(
        "<p class=\"error\" role=\"alert\">The payment was not taken: insufficient_funds</p>\n"
    ));
}

#[test]
fn what_pays_in_a_layout_is_what_pays_on_our_own_page() {
    let ours = page(route(&json!({})), "GET", None);
    let (_, pay) = ours.split_once("<section id=\"pay\">").unwrap();
    let (_, script) = pay.split_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let own = in_layout("{{style}}{{pay}}{{program}}");
    assert_eq!(own.matches(&format!("<script>{script}</script>")).count(), 1);
    assert!(own.contains("<section id=\"pay\">") && own.contains("<details id=\"program\">"));
    let hashes = |policy: &str| policy.matches("'sha256-").count();
    assert_eq!((hashes(PAGE_POLICY), hashes(TEMPLATE_POLICY)), (2, 2));
    for hash in PAGE_POLICY.split(['\'', ' ', ';']).filter(|it| it.starts_with("sha256-")) {
        assert!(TEMPLATE_POLICY.contains(hash), "{hash}");
    }
}

#[test]
fn no_fee_is_promised_where_a_token_needs_an_approval() {
    let ways = [("eip3009", false, true), ("permit2", false, false), ("permit2", true, true)];
    for (method, eip2612, promises) in ways {
        let mut settings = settings("assets", route(&json!({})));
        settings.networks = Some(json!({ "eip155:8453": {
            "rpc": ["https://rpc.example"], "pay_to": PAY_TO,
            "asset": "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42", "decimals": 6,
            "name": "EURC", "version": "2", "asset_transfer_method": method, "eip2612": eip2612,
        } }));
        let loaded = config::read(&settings);
        let config = config(&loaded);
        let Ok(get) = "GET".parse();
        let template = ChallengeTemplate::new(&config.routes[0], config);
        let page = visible(&template.write_page(URL, &get, None, Language::of(None)));
        assert_eq!(page.contains("No network fee"), promises, "{method} {eip2612}");
        // Permits are taken where they are declared, and nowhere else.
        let Terms::Evm(terms) = &config.routes[0].offers[0].terms else { panic!() };
        assert_eq!(terms.takes_permits(), eip2612);
    }
}

#[test]
fn what_is_paid_by_use_is_offered_to_programs_alone() {
    let mut settings = settings("assets", route(&json!({ "scheme": "upto" })));
    settings.networks = Some(json!({ "eip155:8453": {
        "rpc": ["https://rpc.example"], "pay_to": PAY_TO,
        "asset": "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42", "decimals": 6,
        "name": "EURC", "version": "2", "asset_transfer_method": "permit2",
    } }));
    let loaded = config::read(&settings);
    let config = config(&loaded);
    let Ok(get) = "GET".parse();
    let template = ChallengeTemplate::new(&config.routes[0], config);
    let page = template.write_page(URL, &get, None, Language::of(None));
    assert_eq!(json_in(&page, "data")["offers"], json!([]));
    assert!(page.contains("<details id=\"program\" open>"));
    assert!(visible(&page).contains("0.01 EURC"), "what it costs is said");
}
