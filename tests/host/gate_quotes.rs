//! `price = "origin"`: what the origin has said of a request is what its payment is
//! taken for, and nothing is sold where it has said nothing.

use edge402::config::{self, Loaded, Override, Overrides, Route, Settings, fault_of};
use edge402::encoding::decode_base64;
use edge402::gate::delivery_cookie::Bought;
use edge402::gate::quote::{Brought, Next};
use edge402::gate::{BoundBody, ChallengeTemplate, Decision, Head, Hints, decide, decide_at};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{authorization, domain, payload, sign};
use crate::gate_support::{NOW, Request, config, outcome, set, settings, v1};

const BASE: &str = "eip155:84532";

fn shop_of(changes: &Value) -> Loaded {
    config::read(&settings_of(changes))
}

fn settings_of(changes: &Value) -> Settings {
    let mut route = json!({
        "pattern": "/reports/*", "price": "origin", "price_max": "$2", "tell_origin": true,
        "networks": [BASE],
    });
    for (name, value) in changes.as_object().unwrap() {
        set(&mut route, &format!("/{name}"), Some(value.clone()));
    }
    let mut settings = settings("https://own.example", json!([route]));
    settings.origin_secret = Some("5e".repeat(32));
    // What is not signed by a key, the chain alone could tell apart.
    settings.networks.as_mut().unwrap()[BASE]["smart_wallets"] = json!(false);
    settings
}

fn leaked(changes: &Value) -> &'static Loaded {
    Box::leak(Box::new(shop_of(changes)))
}

fn shop() -> &'static Loaded {
    leaked(&json!({}))
}

/// What the origin says of a request that nobody has paid for.
type Said<'a> = Option<(u16, Option<&'a str>)>;

fn body_of(request: &Request) -> BoundBody {
    let media_type = request.header("Content-Type").unwrap_or_default();
    match request.body.as_deref() {
        Some([]) => BoundBody::none(),
        Some(bytes) => BoundBody::read(bytes, &media_type),
        None => BoundBody::unread(None, &media_type),
    }
}

/// What is decided, and the route that it is decided by. `said`: what the origin
/// answers, which must not be asked if it is `None`.
fn asked(loaded: &'static Loaded, request: &Request, said: Said<'_>, now: u64) -> (String, Route) {
    let now = UnixSeconds(now);
    let config = config(loaded);
    let Decision::AskPrice(sale) = decide(loaded, request, now) else { panic!("{request:?}") };
    let body = body_of(request);
    let former = match sale.brought(config, request, &body, now) {
        Brought::Quoted(route) => {
            assert_eq!(said, None, "the origin need not be asked");
            return (outcome(&decide_at(loaded, request, now, Some(&route))), *route);
        }
        Brought::Unquoted(offer) => Some(*offer),
        Brought::Nothing => None,
    };
    let said = said.expect("the origin must be asked");
    let (problem, next) = match sale.after_asking(config, said, former, &body, now) {
        Ok(next) => (String::new(), next),
        Err((problem, next)) => (format!("{problem}: "), next),
    };
    let whole = config.routes.first().unwrap().clone();
    match next {
        Next::Own => (format!("{problem}passed on"), whole),
        Next::NoPrice => (format!("{problem}no price"), whole),
        Next::At(route) => {
            let decision = decide_at(loaded, request, now, Some(&route));
            let only = match &decision {
                Decision::Purchase(it) if it.only_collects.is_some() => "only collects: ",
                _ => "",
            };
            (format!("{problem}{only}{}", outcome(&decision)), *route)
        }
    }
}

/// What the challenge offers for a request of which the origin says this.
fn offer(request: &Request, price: &str) -> Value {
    let (decided, route) = asked(shop(), request, Some((402, Some(price))), NOW);
    assert!(decided.starts_with("402 0 "), "{decided}");
    assert_eq!(route.price.to_string(), price);
    let template = ChallengeTemplate::new(&route, config(shop()));
    let challenge = template.write("https://shop.example/reports/a", None, &Hints::default());
    let header = decode_base64(&challenge.header, 10_000).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["accepts"][0].clone()
}

fn signed(value: u128) -> Value {
    let mut authorization = authorization();
    authorization.value = value.into();
    authorization.valid_before = (NOW + 600).into();
    payload(&authorization, &sign(&authorization, &domain()).to_string())
}

fn paying(offer: &Value, value: u128) -> Value {
    json!({ "x402Version": 2, "accepted": offer, "payload": signed(value) })
}

const BOUGHT: &str = "purchase 0 V2 eip155:84532";
const ONLY: &str = "only collects: purchase 0 V2 eip155:84532";

#[test]
fn a_quote_holds_for_its_time_whatever_the_origin_asks_by_then() {
    let request = Request::get("/reports/a?b");
    let offer = offer(&request, "$0.02");
    assert_eq!(offer["amount"], "20000");
    let paid = request.clone().paying(&paying(&offer, 20_000));
    for now in [NOW, NOW + 59] {
        assert_eq!(asked(shop(), &paid, None, now).0, BOUGHT);
    }
    // It is over: what the origin asks now counts.
    let same = asked(shop(), &paid, Some((402, Some("$0.02"))), NOW + 60);
    assert_eq!(same.0, BOUGHT);
    let (other, route) = asked(shop(), &paid, Some((402, Some("$0.03"))), NOW + 60);
    assert_eq!(other, ONLY);
    assert_eq!(route.price.to_string(), "$0.03", "what its challenge asks");
    assert_eq!(asked(shop(), &paid, Some((402, Some("$0.01"))), NOW + 60).0, ONLY);
    // A page asks by HEAD.
    let head = Request::new("HEAD", "/reports/a?b").paying(&paying(&offer, 20_000));
    assert_eq!(asked(shop(), &head, None, NOW).0, BOUGHT);
}

#[test]
fn a_quote_is_for_its_request_and_its_amount_alone() {
    let own = Request::post("/reports/a", r#"{"pages":1}"#);
    let loaded = leaked(&json!({ "methods": ["GET", "POST"] }));
    let (_, route) = asked(loaded, &own, Some((402, Some("$0.02"))), NOW);
    let offer = route.offers[0].v2.to_value();
    let said = Some((402, Some("$1")));
    let pay = |request: &Request, offer: &Value, value| {
        let paid = request.clone().paying(&paying(offer, value));
        asked(loaded, &paid, said, NOW).0
    };
    assert_eq!(asked(loaded, &own.clone().paying(&paying(&offer, 20_000)), None, NOW).0, BOUGHT);
    for foreign in [
        Request::post("/reports/b", r#"{"pages":1}"#),
        Request::post("/reports/a?b", r#"{"pages":1}"#),
        Request::post("/reports/a", r#"{"pages":9}"#),
        Request::post("/reports/a", ""),
        Request::get("/reports/a"),
    ] {
        assert_eq!(pay(&foreign, &offer, 20_000), ONLY, "{foreign:?}");
    }
    // Of another amount.
    for amount in ["1", "20001"] {
        let mut other = offer.clone();
        other["amount"] = json!(amount);
        assert_eq!(pay(&own, &other, amount.parse().unwrap()), ONLY, "{amount}");
        assert!(!pay(&own, &offer, amount.parse().unwrap()).starts_with("purchase"));
    }
    // Of another time, or by another hand.
    let quote = offer["extra"]["quote"].as_str().unwrap().to_owned();
    let (until, code) = quote.split_once('.').unwrap();
    let later = until.parse::<u64>().unwrap() + 1;
    for forged in [
        format!("{later}.{code}"),
        format!("0{until}.{code}"),
        format!("{until}.0x{}", "00".repeat(32)),
        format!("{until}."),
        until.to_owned(),
        String::new(),
        format!("{quote}0"),
    ] {
        let mut other = offer.clone();
        other["extra"]["quote"] = json!(forged);
        assert_eq!(pay(&own, &other, 20_000), ONLY, "{forged}");
    }
    for none in [json!(null), json!(7), json!({})] {
        let mut other = offer.clone();
        other["extra"]["quote"] = none;
        assert_eq!(pay(&own, &other, 20_000), ONLY);
    }
    // By the key of another shop.
    let mut other_shop = settings("https://own.example", json!([]));
    other_shop.grant_secret = Some("8f".repeat(32));
    assert!(config(&config::read(&other_shop)).delivery_keys.0.len() > 1);
}

#[test]
fn v1_hands_nothing_back_so_the_origin_is_asked_again() {
    let paid = Request::get("/reports/a").paying(&v1(&signed(20_000)));
    let said = |price| asked(shop(), &paid, Some((402, Some(price))), NOW).0;
    assert_eq!(said("$0.02"), "purchase 0 V1 eip155:84532");
    for other in ["$0.019999", "$0.03", "$2"] {
        assert_eq!(said(other), "only collects: purchase 0 V1 eip155:84532", "{other}");
    }
}

#[test]
fn nothing_is_sold_at_a_price_that_is_none() {
    let own = Request::get("/reports/a");
    for (price, problem) in [
        ("$2.01", "is above price_max"),
        ("$2.000001", "is above price_max"),
        ("$1000001", "is too large, or too fine"),
        ("$0", "is zero"),
        ("$0.000", "is zero"),
        ("$0.0000001", "is finer than"),
        ("$0.0000000000000000001", "is too large, or too fine"),
        ("", "is not one amount"),
        ("0.02", "is not one amount"),
        ("$-0.02", "is not one amount"),
        ("-$0.02", "is not one amount"),
        ("$0.02 USD", "is not one amount"),
        ("$0,02", "is not one amount"),
        ("$0.02, $0.02", "is not one amount"),
        ("$0.02, $2", "is not one amount"),
        ("$2e-2", "is not one amount"),
        ("$NaN", "is not one amount"),
        ("$٢", "is not one amount"),
        (&format!("$0.02{}", "0".repeat(64)), "is too long"),
    ] {
        let (decided, _) = asked(shop(), &own, Some((402, Some(price))), NOW);
        assert!(
            decided.starts_with(problem) && decided.ends_with("no price"),
            "{price}: {decided}"
        );
        // What was bought before is had all the same, and nothing else is sold.
        let paid = own.clone().paying(&v1(&signed(20_000)));
        let (decided, route) = asked(shop(), &paid, Some((402, Some(price))), NOW);
        assert!(decided.contains("only collects: purchase 0 V1"), "{price}: {decided}");
        assert!(route.offers.is_empty());
    }
    for (price, taken) in [("$2", "$2"), (" $0.50 ", "$0.5"), ("$0.000001", "$0.000001")] {
        let (decided, route) = asked(shop(), &own, Some((402, Some(price))), NOW);
        assert_eq!(
            (decided.as_str(), route.price.to_string().as_str()),
            ("402 0 /reports/a", taken)
        );
    }
}

#[test]
fn whatever_asks_for_no_money_is_passed_on() {
    let own = Request::get("/reports/a");
    let paid = own.clone().paying(&v1(&signed(20_000)));
    for said in [
        (200, None),
        (200, Some("$0.02")),
        (401, Some("$0.02")),
        (402, None),
        (404, None),
        (302, Some("$1")),
    ] {
        assert_eq!(asked(shop(), &own, Some(said), NOW).0, "passed on", "{said:?}");
        if said.0 < 400 {
            assert_eq!(asked(shop(), &paid, Some(said), NOW).0, "passed on", "{said:?}");
        }
    }
    // Whatever the origin tells strangers, what was bought is to be had.
    for status in [401, 402, 403, 404, 429, 500, 502, 503] {
        assert_eq!(asked(shop(), &own, Some((status, None)), NOW).0, "passed on");
        let (decided, route) = asked(shop(), &paid, Some((status, None)), NOW);
        assert_eq!(decided, "only collects: purchase 0 V1 eip155:84532");
        assert!(route.offers.is_empty());
    }
    let on_401 = leaked(&json!({ "challenge_on": 401 }));
    assert_eq!(asked(on_401, &own, Some((402, Some("$0.02"))), NOW).0, "passed on");
    assert_eq!(asked(on_401, &own, Some((401, Some("$0.02"))), NOW).0, "402 0 /reports/a");
}

/// It would be asked unpaid, or be paid at the price of another method.
#[test]
fn a_request_names_no_other_method() {
    for (name, value) in [("X-HTTP-Method-Override", "DELETE"), ("X-HTTP-Method", "POST")] {
        let other = Request::get("/reports/a").with(name, value);
        assert_eq!(
            outcome(&decide(shop(), &other, UnixSeconds(NOW))),
            "400 the request names another method in a header"
        );
        let same = Request::get("/reports/a").with(name, "GET");
        assert_eq!(outcome(&decide(shop(), &same, UnixSeconds(NOW))), "ask 0 /reports/a");
    }
    let in_query = Request::get("/reports/a?_method=POST");
    assert!(outcome(&decide(shop(), &in_query, UnixSeconds(NOW))).contains("in its query"));
}

/// Even at the most that it may cost, nothing is charged that the origin hasn't asked.
#[test]
fn the_most_is_no_price() {
    let own = Request::get("/reports/a");
    let mut offer = offer(&own, "$2");
    offer["extra"].as_object_mut().unwrap().remove("quote");
    let paid = own.clone().paying(&paying(&offer, 2_000_000));
    assert_eq!(outcome(&decide(shop(), &paid, UnixSeconds(NOW))), "ask 0 /reports/a");
    assert_eq!(asked(shop(), &paid, Some((402, Some("$0.02"))), NOW).0, ONLY);
    assert_eq!(asked(shop(), &paid, Some((503, None)), NOW).0, ONLY);
    assert_eq!(asked(shop(), &paid, Some((402, Some("$2"))), NOW).0, BOUGHT);
    // The most was lowered while the quote held.
    let lower = leaked(&json!({ "price_max": "$1" }));
    let quoted = self::offer(&own, "$2");
    let paid = own.paying(&paying(&quoted, 2_000_000));
    assert_eq!(asked(lower, &paid, Some((402, Some("$1"))), NOW).0, ONLY);
}

#[test]
fn what_comes_before_a_price_is_decided_without_the_origin() {
    let preflight = Request::new("OPTIONS", "/reports/a")
        .with("Origin", "https://page.example")
        .with("Access-Control-Request-Method", "GET");
    assert_eq!(outcome(&decide(shop(), &preflight, UnixSeconds(NOW))), "preflight");
    assert_eq!(outcome(&decide(shop(), &Request::get("/free"), UnixSeconds(NOW))), "forward /free");
    let route = &config(shop()).routes[0];
    let status = |route: &Route, method: &str| route.asks_origin(&method.parse().unwrap());
    assert_eq!((status(route, "GET"), status(route, "HEAD")), (Some(402), Some(402)));
    assert_eq!((status(route, "POST"), status(route, "DELETE")), (None, None));
    let named = shop_of(&json!({ "methods": ["POST"] }));
    assert_eq!(status(&config(&named).routes[0], "POST"), Some(402));
}

/// A redirect of the paid request to another name of the page: what was paid is had
/// there, too, if the origin asks no more for that.
#[test]
fn a_redirect_within_the_route_keeps_what_was_paid_where_no_more_is_asked() {
    let request = Request::get("/reports/a");
    let offer = offer(&request, "$0.02");
    let paid = request.paying(&paying(&offer, 20_000));
    let (_, route) = asked(shop(), &paid, None, NOW);
    assert!(!route.asks_more());
    let decision = decide_at(shop(), &paid, UnixSeconds(NOW), Some(&route));
    let Decision::Purchase(purchase) = decision else { panic!() };
    let (sale, none) = (&purchase.sale, BoundBody::none());
    let offer = sale.route.offer(purchase.offer).unwrap();
    let bound = sale.binding_at(shop(), offer, &none, (301, Some("/reports/a/"))).unwrap();
    let there = Request::get("/reports/a/").paying(&paying(&offer.v2.to_value(), 20_000));
    for (said, asks_more) in [
        ((402, Some("$0.01")), false),
        ((402, Some("$0.020001")), true),
        ((402, Some("$1")), true),
        ((402, Some("much")), true),
        ((402, Some("$3")), true),
        ((503, None), true),
    ] {
        let (decided, route) = asked(shop(), &there, Some(said), NOW);
        assert!(decided.ends_with(ONLY), "{said:?}: {decided}");
        assert_eq!(route.asks_more(), asks_more, "{said:?}");
        let decision = decide_at(shop(), &there, UnixSeconds(NOW), Some(&route));
        let Decision::Purchase(purchase) = decision else { panic!() };
        let offer = purchase.sale.route.offer(purchase.offer).unwrap();
        assert_eq!(purchase.sale.binding(offer, &none), bound);
    }
}

/// What was bought at the configuration's price names no amount: it is for that price,
/// and not for the most that the origin may ask.
#[test]
fn a_cookie_of_before_the_origin_said_the_price_opens_nothing() {
    let fixed = leaked(&json!({ "price": "$2", "price_max": null }));
    let own = Request::get("/reports/a");
    let now = UnixSeconds(NOW);
    let Decision::PaymentRequired(sale, None) = decide(fixed, &own, now) else { panic!() };
    let bought = Bought {
        settler: "eip155:84532/0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
        payment: "p",
        offer: &sale.route.offers[0],
    };
    let keys = &config(fixed).delivery_keys;
    let set = sale.delivery_cookie(keys, "/reports/a", &bought, (now.plus(600), now)).unwrap();
    let shown = own.with("Cookie", set.split(';').next().unwrap());
    assert!(outcome(&decide(fixed, &shown, now)).starts_with("collect 0 "));
    for said in [(402, Some("$2")), (402, Some("$0.02"))] {
        assert_eq!(asked(shop(), &shown, Some(said), NOW).0, "402 0 /reports/a");
    }
    // The origin's own answers are passed on as to anybody.
    assert_eq!(asked(shop(), &shown, Some((404, None)), NOW).0, "passed on");
}

#[test]
fn what_the_desk_has_switched_off_says_so_as_on_any_route() {
    let off = Overrides {
        routes: vec![Override {
            route: "/reports/*".into(),
            price: None,
            on: false,
            former: vec![],
        }],
        changes: 1,
    };
    let settings = Settings { overrides: off, ..settings_of(&json!({})) };
    let loaded = config::read(&settings);
    let route = &config(&loaded).routes[0];
    let none = route.without_quote(None);
    let request = Request::get("/reports/a");
    let decided = decide_at(&loaded, &request, UnixSeconds(NOW), Some(&none));
    assert_eq!(outcome(&decided), "off");
}

#[test]
fn the_desk_sets_no_price_that_is_the_origins() {
    let set = |price: Option<&str>, on| Overrides {
        routes: vec![Override {
            route: "/reports/*".into(),
            price: price.map(str::to_owned),
            on,
            former: vec![],
        }],
        changes: 1,
    };
    let settings = settings_of(&json!({}));
    let problem = fault_of(&settings, &set(Some("$0.01"), true)).unwrap();
    assert_eq!(problem, "ROUTES[0].price: is the origin's to say, and can't be set here");
    assert_eq!(fault_of(&settings, &set(None, false)), None);
    // One that was set before is left out.
    let overrides = set(Some("$0.01"), false);
    let loaded = config::read(&Settings { overrides, ..settings });
    let route = &config(&loaded).routes[0];
    assert_eq!((route.price.to_string().as_str(), route.on), ("$2", false));
}

#[test]
fn what_can_not_go_together_is_a_fault() {
    let faults = |changes: &Value| {
        let faults = shop_of(changes).config.err().unwrap_or_default().0;
        let lines = faults.into_iter().map(|it| format!("{}: {}", it.key, it.problem));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(faults(&json!({})), "");
    assert_eq!(faults(&json!({ "price": "$0.01", "price_max": null, "challenge_on": 401 })), "");
    for (changes, expected) in [
        (json!({ "price_max": null }), "price_max: is needed"),
        (json!({ "price_max": "$0" }), "price_max: is zero"),
        (json!({ "price": "$1" }), "price_max: is for price = \"origin\" only"),
        (json!({ "price": "$1", "price_max": null, "quote": "60s" }), "quote: is for price ="),
        (json!({ "quote": "4s" }), "quote: must be from"),
        (json!({ "quote": "2h" }), "quote: must be from"),
        (json!({ "quote": "soon" }), "quote: must be from"),
        (json!({ "challenge_on": 403 }), "challenge_on: must be a whole number from 401 to 402"),
        (json!({ "tell_origin": false }), "price: needs an origin that knows"),
        (json!({ "free": "2/day" }), "free: can't go with price"),
        (json!({ "free_for": ["people"] }), "free_for: can't go with price"),
        (json!({ "access": "1h" }), "access: can't go with price"),
        (json!({ "scheme": "upto" }), "scheme: can't go with price"),
        (
            json!({ "prices": [{ "when": { "method": "POST" }, "price": "$1" }] }),
            "prices: can't go with price",
        ),
        (
            json!({ "price": "$1", "price_max": null, "challenge_on": 401, "free": "2/day" }),
            "free: can't go with challenge_on",
        ),
    ] {
        let said = faults(&changes);
        assert!(said.contains(&format!("ROUTES[0].{expected}")), "{changes}: {said}");
    }
}
