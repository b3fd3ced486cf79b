//! Delivery cookies at the gate: for whom one is made, and what it opens.

use edge402::config::{self, Config, Loaded, Settings};
use edge402::gate::delivery_cookie::Bought;
use edge402::gate::{Decision, Sale};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::signed;
use crate::gate_support::{NOW, PAY_TO, Request, config, settings, solana_secret, v1, v2};

const SETTLER: &str = "eip155:84532/0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
const PAYMENT: &str = "eip155:84532/0xtoken/0xpayer/0xnonce";
const PAGE: &str = "/premium/page?q=1";
const GRANT: &str = "8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f";
const OTHER: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

fn routes() -> Value {
    json!([
        { "pattern": "/premium/*", "price": "$0.01" },
        { "pattern": "/never", "price": "$0.01", "redeliver": "0" },
        { "pattern": "/once", "price": "$0.01", "redeliver_max": 0 },
        { "pattern": "/get", "price": "$0.01", "methods": ["GET"], "redeliver_max": 7 },
    ])
}

fn shop() -> &'static Loaded {
    thread_local! {
        static LOADED: &'static Loaded = Box::leak(Box::new(with(|_| {})));
    }
    LOADED.with(|loaded| *loaded)
}

fn with(change: impl Fn(&mut Settings)) -> Loaded {
    let mut settings = settings("assets", routes());
    change(&mut settings);
    config::read(&settings)
}

fn sale<'a>(loaded: &'a Loaded, request: &Request) -> Sale<'a> {
    match request.decide(loaded) {
        Decision::PaymentRequired(sale, None) => sale,
        other => panic!("{other:?}"),
    }
}

/// A payment on Base Sepolia.
fn bought<'a>(sale: &Sale<'a>, payment: &'a str) -> Bought<'a> {
    let mut offers = sale.route.offers.iter();
    let offer = offers.find(|it| it.v2.network.to_string() == "eip155:84532").unwrap();
    Bought { settler: SETTLER, payment, offer }
}

/// The cookie for a payment that is delivered for ten minutes from now.
fn cookie(loaded: &Loaded, target: &str) -> String {
    let until = UnixSeconds(NOW).plus(600);
    let sale = sale(loaded, &Request::get(target));
    let keys = &config(loaded).delivery_keys;
    let path = target.split('?').next().unwrap();
    let set = sale
        .delivery_cookie(keys, path, &bought(&sale, PAYMENT), (until, UnixSeconds(NOW)))
        .unwrap();
    assert_eq!(set.matches("; ").count(), 5, "{set}");
    let attributes = format!("; Path={path}; Max-Age=600; HttpOnly; Secure; SameSite=Lax");
    assert!(set.ends_with(&attributes), "{set}");
    set.split(';').next().unwrap().to_owned()
}

fn opened() -> String {
    format!("collect 0 {SETTLER} {PAYMENT}")
}

#[test]
fn a_cookie_opens_its_url_for_get_and_head() {
    let cookie = cookie(shop(), PAGE);
    for method in ["GET", "HEAD", "get"] {
        let request = Request::new(method, PAGE).with("Cookie", &cookie);
        assert_eq!(request.outcome(shop()), opened(), "{method}");
    }
    for cookies in [
        format!("theme=dark; {cookie}"),
        format!("{cookie};theme=dark"),
        // Of several, the genuine one.
        format!("{}=x; {cookie}", cookie.split('=').next().unwrap()),
    ] {
        assert_eq!(Request::get(PAGE).with("Cookie", &cookies).outcome(shop()), opened());
    }
    // Written otherwise, it is the same URL.
    let spelled = Request::get("/premium//%70age?q=1").with("Cookie", &cookie);
    assert_eq!(spelled.outcome(shop()), opened());
    let network = match Request::get(PAGE).with("Cookie", &cookie).decide(shop()) {
        Decision::Collect(sale, it) => sale.route.offers[it.offer].v2.network.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(network, "eip155:84532");
}

#[test]
fn what_a_browser_says_of_who_has_it_ask_is_heard() {
    let cookie = cookie(shop(), PAGE);
    let asks = |site: Option<&str>| {
        let request = Request::get(PAGE).with("Cookie", &cookie);
        let request = match site {
            Some(site) => request.with("Sec-Fetch-Site", site),
            None => request,
        };
        match request.decide(shop()) {
            Decision::Collect(_, collection) => collection.by_other_site,
            other => panic!("{other:?}"),
        }
    };
    for (site, is_another) in [
        // The address bar, a bookmark, another program.
        (Some("none"), false),
        (Some("same-origin"), false),
        // Browsers of before 2023, and programs.
        (None, false),
        (Some("same-site"), true),
        (Some("cross-site"), true),
        (Some("same-origin, cross-site"), true),
        (Some("later"), true),
    ] {
        assert_eq!(asks(site), is_another, "{site:?}");
    }
}

#[test]
fn a_cookie_opens_nothing_else() {
    let cookie = cookie(shop(), PAGE);
    let (name, token) = cookie.split_once('=').unwrap();
    let asks = |request: Request| request.with("Cookie", &cookie).outcome(shop());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        assert_eq!(asks(Request::new(method, PAGE)), "402 0 /premium/page", "{method}");
    }
    for target in
        ["/premium/page", "/premium/page?q=2", "/premium/page?q=1&r", "/premium/other?q=1"]
    {
        assert!(asks(Request::get(target)).starts_with("402 0 /premium/"), "{target}");
        // Nor under the name that it would have there.
        let other = self::cookie(shop(), target);
        let renamed = format!("{}={token}", other.split('=').next().unwrap());
        assert_ne!(other.split('=').next(), Some(name));
        let request = Request::get(target).with("Cookie", &renamed);
        assert!(request.outcome(shop()).starts_with("402 0 /premium/"), "{target}");
    }
    for host in ["https://other.example", "http://shop.example", "https://shop.example:8443"] {
        let mut request = Request::get(PAGE);
        request.url = format!("{host}{PAGE}");
        assert_eq!(asks(request), "402 0 /premium/page", "{host}");
    }
    // In another header it is no cookie.
    for header in ["PAYMENT-GRANT", "Authorization"] {
        let request = Request::get(PAGE).with(header, &cookie);
        assert_eq!(request.outcome(shop()), "402 0 /premium/page");
    }
}

#[test]
fn a_payment_goes_before_a_cookie() {
    let cookie = cookie(shop(), "/premium/page");
    let request = Request::get("/premium/page").with("Cookie", &cookie);
    let paying = request.clone().paying(&v2(&signed(|_| {})));
    assert!(paying.outcome(shop()).starts_with("purchase 0"), "{}", paying.outcome(shop()));
    let bad = request.with("PAYMENT-SIGNATURE", "%");
    assert!(bad.outcome(shop()).starts_with("400"));
}

#[test]
fn a_cookie_ends_with_its_time() {
    let cookie = cookie(shop(), PAGE);
    let request = Request::get(PAGE).with("Cookie", &cookie);
    let at = |seconds: u64| {
        let decision = edge402::gate::decide(shop(), &request, UnixSeconds(NOW).plus(seconds));
        matches!(decision, Decision::Collect(..))
    };
    assert!(at(0) && at(599));
    assert!(!at(600) && !at(100_000));
    let sale = sale(shop(), &Request::get(PAGE));
    let keys = &config(shop()).delivery_keys;
    let over = (UnixSeconds(NOW), UnixSeconds(NOW));
    assert_eq!(sale.delivery_cookie(keys, "/", &bought(&sale, PAYMENT), over), None);
    let ended = sale.no_delivery_cookie("/premium/page");
    let name = cookie.split('=').next().unwrap();
    assert!(ended.starts_with(&format!("{name}=; Path=/premium/page; Max-Age=0; ")), "{ended}");
}

#[test]
fn nobody_else_can_write_one() {
    let cookie = cookie(shop(), PAGE);
    let opens = |cookie: &str| {
        !Request::get(PAGE).with("Cookie", cookie).outcome(shop()).starts_with("402 0 ")
    };
    assert!(opens(&cookie));
    let start = cookie.find('=').unwrap() + 1;
    for at in start..cookie.len() {
        let mut bytes = cookie.clone().into_bytes();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(!opens(&changed), "{changed}");
    }
    let (name, token) = cookie.split_once('=').unwrap();
    let parts: Vec<&str> = token.split('~').collect();
    assert_eq!(parts.len(), 4);
    let (until, code) = (parts[0], parts[3]);
    for forged in [
        String::new(),
        "~".into(),
        "~~~".into(),
        token[1..].to_owned(),
        format!("{token}00"),
        format!("{until}~{SETTLER}~{PAYMENT}"),
        format!("{until}~{SETTLER}~{PAYMENT}~"),
        format!("{until}~{SETTLER}~{PAYMENT}~0x"),
        format!("{until}~{SETTLER}~{PAYMENT}~0x{}", "0".repeat(64)),
        format!("{until}~{SETTLER}{PAYMENT}~{code}"),
        format!("{until}~{SETTLER}~x~{PAYMENT}~{code}"),
    ] {
        assert!(!opens(&format!("{name}={forged}")), "{forged}");
    }
    let long = format!("x={}; {cookie}", "x".repeat(66_000));
    assert!(!opens(&long), "a header that is too long is not searched");
    // Nor are more of one name looked at than a browser could send.
    let after = |count: usize| format!("{}{cookie}", format!("{name}=1~2~3~4; ").repeat(count));
    assert!(opens(&after(15)) && !opens(&after(16)));
}

#[test]
fn keys_are_taken_from_what_is_there() {
    let only = |evm: bool, solana: bool, grant: Option<&str>| {
        with(|settings| {
            let networks = settings.networks.as_mut().unwrap().as_object_mut().unwrap();
            networks.retain(|name, _| name.starts_with("eip155:84532"));
            networks.insert(
                "eip155:84532".into(),
                json!({ "facilitator": "https://f.example", "pay_to": PAY_TO }),
            );
            settings.grant_secret = grant.map(str::to_owned);
            settings.solana_fee_payer_keys = solana.then(|| solana_secret(2));
            if !evm {
                settings.evm_relayer_keys = None;
            }
        })
    };
    let count = |loaded: &Loaded| config(loaded).delivery_keys.0.len();
    assert_eq!(count(&only(false, false, None)), 0);
    assert_eq!(count(&only(true, false, None)), 1);
    assert_eq!(count(&only(true, true, None)), 2);
    assert_eq!(count(&only(true, true, Some(GRANT))), 3);
    // What is derived is no key itself.
    let both = only(true, true, None);
    let keys: &Config = config(&both);
    assert_ne!(keys.delivery_keys.0[0], [0x11; 32]);
    assert_ne!(keys.delivery_keys.0[1], [2; 32]);
    assert_ne!(keys.delivery_keys.0[0], keys.delivery_keys.0[1]);
    // Where there is none, nobody's cookie is any good, and none is made.
    let none = only(false, false, None);
    let cookie = cookie(shop(), PAGE);
    assert_eq!(Request::get(PAGE).with("Cookie", &cookie).outcome(&none), "402 0 /premium/page");
    let empty = format!("{}={:?}", cookie.split('=').next().unwrap(), "~~~");
    assert_eq!(Request::get(PAGE).with("Cookie", &empty).outcome(&none), "402 0 /premium/page");
    let paying = Request::get("/premium/page").with("Prefer", "return=minimal");
    assert!(!prefers(&none, &paying.paying(&v2(&signed(|_| {})))));
}

#[test]
fn a_secret_that_is_replaced_ends_cookies_unless_it_is_still_taken() {
    let opens = |now: &Loaded, then: &Loaded| {
        let cookie = cookie(then, PAGE);
        Request::get(PAGE).with("Cookie", &cookie).outcome(now).starts_with("collect")
    };
    let grant = |secret: String| {
        with(|settings| {
            settings.grant_secret = Some(secret.clone());
        })
    };
    let (old, new) = (grant(GRANT.into()), grant(OTHER.into()));
    assert!(opens(&old, &old));
    assert!(!opens(&new, &old));
    assert!(opens(&grant(format!("{OTHER},{GRANT}")), &old), "both are taken");
    assert!(opens(&old, shop()), "one that is new ends nothing");
    assert!(!opens(shop(), &old));
    // Derived ones: a relayer that is added, in front, and one that is replaced.
    let relayers = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|byte| format!("0x{}", byte.repeat(32))).collect();
        with(|settings| {
            settings.evm_relayer_keys = Some(keys.join(","));
            settings.solana_fee_payer_keys = Some(solana_secret(5));
        })
    };
    assert!(opens(&relayers(&["22", "11"]), &relayers(&["11"])));
    assert!(!opens(&relayers(&["22"]), &relayers(&["11"])));
    // A grant is no delivery cookie, though one secret signs both.
    let grants = config(&old).grant_keys.as_ref().unwrap();
    assert_eq!(grants.0[0], config(&old).delivery_keys.0[0]);
}

fn prefers(loaded: &Loaded, request: &Request) -> bool {
    match request.decide(loaded) {
        Decision::Purchase(purchase) => purchase.prefers_minimal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_preference_is_heard_where_what_is_bought_can_be_fetched() {
    let payload = signed(|_| {});
    for (method, target, expected) in [
        ("GET", "/premium/page", true),
        ("get", "/premium/page", true),
        ("GET", "/get", true),
        ("GET", "/never", false),
        ("GET", "/once", false),
        // A HEAD answer has no goods in it to begin with.
        ("HEAD", "/premium/page", false),
        ("POST", "/premium/page", false),
        ("DELETE", "/premium/page", false),
    ] {
        for payment in [v1(&payload), v2(&payload)] {
            let plain = Request::new(method, target).paying(&payment);
            assert!(!prefers(shop(), &plain));
            let heard = prefers(shop(), &plain.with("Prefer", "return=minimal"));
            assert_eq!(heard, expected, "{method} {target}");
        }
    }
    let other = Request::get("/premium/page").paying(&v2(&payload));
    assert!(!prefers(shop(), &other.clone().with("Prefer", "return=representation")));
    // Without a payment it is a question like any other.
    let unpaid = Request::get("/premium/page").with("Prefer", "return=minimal");
    assert_eq!(unpaid.outcome(shop()), "402 0 /premium/page");
}

#[test]
fn what_can_not_read_a_redirect_is_heard_everywhere() {
    let payload = signed(|_| {});
    for (method, target) in [("GET", "/never"), ("GET", "/premium/page"), ("POST", "/premium/page")]
    {
        for (prefer, expected) in [
            (Some("redirect=manual"), true),
            (Some("return=minimal, redirect=manual"), true),
            (Some("return=minimal"), false),
            (None, false),
        ] {
            let request = Request::new(method, target).paying(&v2(&payload));
            let request = match prefer {
                Some(prefer) => request.with("Prefer", prefer),
                None => request,
            };
            match request.decide(shop()) {
                Decision::Purchase(it) => assert_eq!(it.prefers_manual, expected, "{prefer:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_browser_loads_again_more_often_unless_the_route_says_how_often() {
    let routes = &config(shop()).routes;
    let counts: Vec<_> =
        routes.iter().map(|it| (it.redeliver_max, it.redeliver_max_by_cookie)).collect();
    assert_eq!(counts, [(3, 30), (3, 30), (0, 0), (7, 7)]);
}

#[test]
fn a_cookie_is_kept_from_the_origin() {
    use edge402::gate::grant::{cookies_without_grants, may_hold_grants};
    let cookie = cookie(shop(), PAGE);
    assert!(may_hold_grants(&cookie));
    assert_eq!(
        cookies_without_grants(&format!("{cookie}; theme=dark")).as_deref(),
        Some("theme=dark")
    );
}

#[test]
fn what_was_bought_before_locks_nobody_out() {
    let hex = |n: usize| "a".repeat(n);
    let payment = format!("eip155:84532/0x{}/0x{}/0x{}", hex(40), hex(40), hex(64));
    let mut cookies = vec![];
    for n in 0..180 {
        let target = format!("/premium/page?q={n}");
        let sale = sale(shop(), &Request::get(&target));
        let keys = &config(shop()).delivery_keys;
        let (until, now) = (UnixSeconds(NOW).plus(600), UnixSeconds(NOW));
        let set =
            sale.delivery_cookie(keys, "/premium/page", &bought(&sale, &payment), (until, now));
        cookies.push(set.unwrap().split(';').next().unwrap().to_owned());
        let all = cookies.join("; ");
        let outcome = Request::get(&target).with("Cookie", &all).outcome(shop());
        assert!(
            outcome.starts_with("collect"),
            "after {} purchases, {} bytes: {outcome}",
            n + 1,
            all.len()
        );
    }
}
