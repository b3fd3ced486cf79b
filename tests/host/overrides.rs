//! Prices and a switch that the seller sets at the desk: what is sold then, and for
//! how much.

use std::slice;

use edge402::config::{self, Loaded, Override, Overrides, fault_of};
use edge402::desk::overrides::Board;
use edge402::gate::delivery_cookie::Bought;
use edge402::gate::{BoundBody, Decision, Sale, discovery};
use edge402::protocol::Reason;
use edge402::purchase::Order;
use edge402::purchase::order::Request as OrderRequest;
use edge402::settlement::Settlement;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::signed;
use crate::gate_support::{NOW, Request, SHOP, config, settings, v1, v2};

const PAGE: &str = "/premium/page";
const GRANT: &str = "8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f";

fn routes() -> Value {
    json!([
        { "pattern": "/premium/*", "price": "$0.01", "access": "1h", "listed": true },
        { "pattern": "/api", "price": "$0.01", "methods": ["GET"] },
        { "pattern": "/api", "price": "$0.05", "methods": ["POST", "PUT"] },
        { "pattern": "/used", "price": "$0.10", "scheme": "upto", "networks": ["eip155:84532"] },
    ])
}

fn of(route: &str, price: Option<&str>, on: bool) -> Override {
    Override { route: route.into(), price: price.map(Into::into), on, former: vec![] }
}

fn all(routes: &[Override]) -> Overrides {
    Overrides { routes: routes.to_vec(), changes: 7 }
}

fn shop(overrides: &[Override]) -> Loaded {
    let mut settings = settings("assets", routes());
    settings.grant_secret = Some(GRANT.into());
    settings.overrides = all(overrides);
    config::read(&settings)
}

/// Pays this many millionths for a page.
fn paying(amount: &str) -> Request {
    let mut payment = v2(&signed(|it| it.value = amount.parse().unwrap()));
    payment["accepted"]["amount"] = json!(amount);
    Request::get(PAGE).paying(&payment)
}

fn paying_v1(amount: &str) -> Request {
    Request::get(PAGE).paying(&v1(&signed(|it| it.value = amount.parse().unwrap())))
}

fn is_withdrawn(request: &Request, loaded: &Loaded) -> bool {
    match request.decide(loaded) {
        Decision::Purchase(purchase) => {
            let offer = purchase.sale.route.offer(purchase.offer).unwrap();
            let order = Order::new(&purchase, offer, nothing(), UnixSeconds(NOW));
            assert_eq!(order.claim.look_only, purchase.only_collects.is_some());
            let code = purchase.only_collects.map(Reason::code);
            assert!(code.is_none_or(|code| code == "invalid_payment_requirements"));
            code.is_some()
        }
        other => panic!("{other:?}"),
    }
}

fn nothing() -> OrderRequest<'static> {
    OrderRequest {
        body: BoundBody::none(),
        address: None,
        ticket: 1,
        remote: None,
        has_facilitator: false,
    }
}

fn sale(loaded: &Loaded) -> Sale<'_> {
    match Request::get(PAGE).decide(loaded) {
        Decision::PaymentRequired(sale, None) => sale,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_price_is_raised_and_lowered() {
    for (price, amount) in [("$0.02", "20000"), ("$0.005", "5000")] {
        let loaded = shop(&[of("/premium/*", Some(price), true)]);
        let offers = &config(&loaded).routes[0].offers;
        assert_eq!(offers.len(), 3);
        assert!(offers.iter().all(|it| it.v2.amount.to_string() == amount));
        assert!(!is_withdrawn(&paying(amount), &loaded), "{price}");
        assert!(!is_withdrawn(&paying_v1(amount), &loaded), "{price}");
        // Signed for what it cost before: that collects, and buys nothing.
        assert!(is_withdrawn(&paying("10000"), &loaded), "{price}");
        assert!(is_withdrawn(&paying_v1("10000"), &loaded), "{price}");
        // What it has never cost is refused.
        let other = paying("15000").outcome(&loaded);
        assert_eq!(other, "402 0 V2 invalid_payment_requirements");
        // Other routes cost what they did.
        assert_eq!(config(&loaded).routes[1].price.to_string(), "$0.01");
    }
}

#[test]
fn what_was_bought_is_bound_as_it_was() {
    let bound = |loaded: &Loaded| match paying("10000").decide(loaded) {
        Decision::Purchase(it) => {
            let offer = it.sale.route.offer(it.offer).unwrap();
            it.sale.binding(offer, &BoundBody::none())
        }
        other => panic!("{other:?}"),
    };
    let before = bound(&shop(&[]));
    let changed = Override {
        former: vec!["$0.03".into(), "$0.04".into()],
        ..of("/premium/*", Some("$0.02"), true)
    };
    assert_eq!(bound(&shop(slice::from_ref(&changed))), before);
    assert_eq!(bound(&shop(&[of("/premium/*", None, false)])), before);
    // Of former prices, each.
    for amount in ["30000", "40000"] {
        assert!(is_withdrawn(&paying(amount), &shop(slice::from_ref(&changed))));
    }
    // Set back: what was bought for the other price is still there.
    let back = Override { former: vec!["$0.02".into()], ..of("/premium/*", None, true) };
    assert!(is_withdrawn(&paying("20000"), &shop(slice::from_ref(&back))));
    assert!(!is_withdrawn(&paying("10000"), &shop(&[back])));
}

#[test]
fn what_is_off_sells_nothing_and_keeps_what_was_bought() {
    let loaded = shop(&[of("/premium/*", None, false)]);
    for method in ["GET", "HEAD", "POST"] {
        assert_eq!(Request::new(method, PAGE).outcome(&loaded), "off");
    }
    assert_eq!(paying("15000").outcome(&loaded), "off");
    assert!(is_withdrawn(&paying("10000"), &loaded));
    assert_eq!(Request::get("/free").outcome(&loaded), "forward /free");
    assert_eq!(Request::get("/api").outcome(&loaded), "402 1 /api");
    let answer = discovery::resources(config(&loaded), SHOP, "", UnixSeconds(NOW)).unwrap();
    assert!(answer.contains("\"items\":[]"), "{answer}");
    let list = discovery::well_known(config(&loaded), SHOP).unwrap();
    assert_eq!(list, json!({ "resources": [], "version": 1 }).to_string());
    // On again.
    assert_eq!(Request::get(PAGE).outcome(&shop(&[])), "402 0 /premium/page");
    assert!(discovery::well_known(config(&shop(&[])), SHOP).unwrap().contains("/premium/"));
}

#[test]
fn a_grant_outlives_a_price_and_a_switch_of_the_desk() {
    let grant_of = |loaded: &Loaded| {
        let settlement = Settlement {
            transaction: "0x1".into(),
            payer: "0x2".into(),
            amount: edge402::amount::AtomicAmount(10_000),
            settled_at: UnixSeconds(NOW),
            redeliver_until: UnixSeconds(NOW + 600),
        };
        let keys = config(loaded).grant_keys.as_ref().unwrap();
        sale(loaded).scope().grant(keys, &settlement, UnixSeconds(NOW)).unwrap().token
    };
    let (before, dear) = (shop(&[]), shop(&[of("/premium/*", Some("$0.02"), true)]));
    let by = |token: &str| Request::get(PAGE).with("PAYMENT-GRANT", token);
    let bought = grant_of(&before);
    let off = shop(&[of("/premium/*", None, false)]);
    for loaded in [&before, &dear, &off] {
        assert_eq!(by(&bought).outcome(loaded), "granted 0 /premium/page");
    }
    let bought = grant_of(&dear);
    let back = Override { former: vec!["$0.02".into()], ..of("/premium/*", None, true) };
    assert_eq!(by(&bought).outcome(&shop(&[back])), "granted 0 /premium/page");
    assert_eq!(by(&bought).outcome(&before), "402 0 /premium/page", "never its price here");
}

#[test]
fn what_is_bought_at_a_lower_price_of_the_desk_takes_no_dearer_grants_place() {
    let shop = |price: Option<&str>| {
        let mut settings = settings(
            "assets",
            json!([
                { "pattern": "/premium/*", "price": "$0.01", "access": "1h",
                  "prices": [{ "when": { "method": "POST" }, "price": "$0.05" }] },
            ]),
        );
        settings.grant_secret = Some(GRANT.into());
        let former = if price.is_some() { vec!["$0.01".into()] } else { vec!["$0.10".into()] };
        settings.overrides = all(&[Override { former, ..of("/premium/*", price, true) }]);
        config::read(&settings)
    };
    // A browser's cookies, by their names.
    let mut jar: Vec<(String, String)> = vec![];
    let mut buy = |loaded: &Loaded, transaction: &str| {
        let settlement = Settlement {
            transaction: transaction.into(),
            payer: "0x2".into(),
            amount: edge402::amount::AtomicAmount(10_000),
            settled_at: UnixSeconds(NOW),
            redeliver_until: UnixSeconds(NOW + 600),
        };
        let keys = config(loaded).grant_keys.as_ref().unwrap();
        let grant = sale(loaded).scope().grant(keys, &settlement, UnixSeconds(NOW)).unwrap();
        let (name, value) = grant.cookie.split(';').next().unwrap().split_once('=').unwrap();
        jar.retain(|(known, _)| known != name);
        jar.push((name.into(), value.into()));
        let cookies: Vec<String> =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        cookies.join("; ")
    };
    let (dear, cheap) = (shop(Some("$0.10")), shop(None));
    let post = |cookies: &str| Request::new("POST", PAGE).with("Cookie", cookies);
    let cookies = buy(&dear, "0x1");
    assert_eq!(post(&cookies).outcome(&cheap), "granted 0 /premium/page");
    let cookies = buy(&cheap, "0x3");
    assert_eq!(post(&cookies).outcome(&cheap), "granted 0 /premium/page", "it was paid for");
    assert_eq!(
        Request::get(PAGE).with("Cookie", &cookies).outcome(&cheap),
        "granted 0 /premium/page"
    );
    // What was cheap opens nothing dear.
    let (_, only) = cookies.split_once("; ").unwrap();
    assert_eq!(post(only).outcome(&cheap), "402 0 /premium/page");
}

#[test]
fn a_delivery_cookie_fetches_what_was_bought_at_its_price() {
    const SETTLER: &str = "eip155:84532/0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
    let cookie_of = |loaded: &Loaded| {
        let sale = sale(loaded);
        let mut offers = sale.route.offers.iter();
        let offer = offers.find(|it| it.v2.network.to_string() == "eip155:84532").unwrap();
        let bought = Bought { settler: SETTLER, payment: "p", offer };
        let times = (UnixSeconds(NOW + 600), UnixSeconds(NOW));
        let keys = &config(loaded).delivery_keys;
        let set = sale.delivery_cookie(keys, PAGE, &bought, times).unwrap();
        set.split(';').next().unwrap().to_owned()
    };
    let fetched = |loaded: &Loaded, cookie: &str| match Request::get(PAGE)
        .with("Cookie", cookie)
        .decide(loaded)
    {
        Decision::Collect(sale, it) => {
            let offer = sale.route.offer(it.offer).unwrap();
            assert_eq!(offer.v2.network.to_string(), "eip155:84532");
            Some(offer.v2.amount.to_string())
        }
        _ => None,
    };
    let (before, dear) = (shop(&[]), shop(&[of("/premium/*", Some("$0.02"), true)]));
    let (off, back) = (
        shop(&[of("/premium/*", Some("$0.02"), false)]),
        shop(&[Override { former: vec!["$0.02".into()], ..of("/premium/*", None, true) }]),
    );
    let bought = cookie_of(&before);
    for loaded in [&before, &dear, &off, &back] {
        assert_eq!(fetched(loaded, &bought).as_deref(), Some("10000"));
    }
    let bought = cookie_of(&dear);
    for loaded in [&dear, &off, &back] {
        assert_eq!(fetched(loaded, &bought).as_deref(), Some("20000"));
    }
    assert_eq!(fetched(&before, &bought), None);
}

#[test]
fn routes_of_one_pattern_are_told_apart() {
    let loaded = shop(&[of("POST,PUT /api", Some("$0.50"), false)]);
    assert_eq!(Request::get("/api").outcome(&loaded), "402 1 /api");
    assert_eq!(Request::new("POST", "/api").outcome(&loaded), "off");
    // What was named before there were two holds for both.
    let loaded = shop(&[of("/api", None, false)]);
    assert_eq!(Request::get("/api").outcome(&loaded), "off");
    assert_eq!(Request::new("PUT", "/api").outcome(&loaded), "off");
}

#[test]
fn what_a_route_can_not_cost_leaves_the_configured_price() {
    for price in ["$0", "$0.0000001", "free", "$2000000", ""] {
        let loaded = shop(&[of("/premium/*", Some(price), true), of("/api", None, false)]);
        assert_eq!(config(&loaded).routes[0].price.to_string(), "$0.01", "{price}");
        assert_eq!(Request::get("/api").outcome(&loaded), "off", "{price}");
        let note = format!("the desk's price of /premium/*, {price}, can't be had any more");
        assert!(loaded.notes.contains(&note), "{:?}", loaded.notes);
    }
    // A fault of the configuration stays one.
    let mut settings = settings("assets", json!([{ "pattern": "/a", "price": "$0" }]));
    settings.overrides = all(&[of("/a", Some("$1"), true)]);
    assert!(config::read(&settings).config.is_err());
}

#[test]
fn garbage_is_no_override() {
    let good = all(&[of("/a", Some("$1"), false)]);
    assert_eq!(Overrides::read(&good.to_text()), Some(good.clone()));
    let newer = good.to_text().replace("\"version\":1", "\"version\":2");
    for text in
        ["", "null", "[]", "{}", "{\"version\":1,\"routes\":[]}", &newer, &good.to_text()[..20]]
    {
        assert_eq!(Overrides::read(text), None, "{text}");
    }
    let many = all(&vec![of("/a", None, false); 201]);
    assert_eq!(Overrides::read(&many.to_text()), None);
}

/// Makes one change after the other; what is said of the last one.
fn change(board: &mut Board, changes: &[Value]) -> Result<(), String> {
    let mut said = Ok(());
    for (n, body) in changes.iter().enumerate() {
        let mut settings = settings("assets", routes());
        settings.grant_secret = Some(GRANT.into());
        settings.overrides = board.overrides();
        let loaded = config::read(&settings);
        let body = body.to_string();
        said = (|| {
            let (change, then) = board.read_change(config(&loaded), body.as_bytes(), "0a1b")?;
            if let Some(problem) = fault_of(&settings, &then.overrides()) {
                return Err(problem);
            }
            board.make(change, UnixSeconds(n as u64)).map_err(|_| "no room".to_owned())
        })();
    }
    said
}

fn put(route: &str, price: Option<&str>, on: bool) -> Value {
    json!({ "route": route, "price": price, "on": on })
}

#[test]
fn changes_are_made_and_remembered() {
    let mut board = Board::default();
    let steps = [
        put("/premium/*", Some("$0.020"), true),
        put("/premium/*", Some("$0.03"), false),
        put("/premium/*", None, true),
        put("GET /api", Some("$0.02"), true),
    ];
    change(&mut board, &steps).unwrap();
    let former = vec!["$0.03".to_owned(), "$0.02".to_owned()];
    let expected = [
        Override { former, ..of("/premium/*", None, true) },
        Override { former: vec!["$0.01".into()], ..of("GET /api", Some("$0.02"), true) },
    ];
    assert_eq!(board.routes, expected);
    let mut settings = settings("assets", routes());
    settings.grant_secret = Some(GRANT.into());
    settings.overrides = board.overrides();
    let view = board.view(config(&config::read(&settings)));
    let shown = |route: &str, price: Option<&str>, default: &str| json!({ "route": route, "price": price, "on": true, "default_price": default });
    let expected = json!([
        shown("/premium/*", None, "$0.01"),
        shown("GET /api", Some("$0.02"), "$0.01"),
        shown("POST,PUT /api", None, "$0.05"),
        shown("/used", None, "$0.1"),
    ]);
    assert_eq!(view["routes"], expected);
    assert_eq!(view["history"].as_array().unwrap().len(), 4);
    let last = json!({
        "time": 3, "who": "0a1b", "route": "GET /api", "price": "$0.02", "on": true,
    });
    assert_eq!(view["history"][0], last);
}

#[test]
fn a_change_that_can_not_be_is_refused_with_a_sentence() {
    for (body, part) in [
        (put("/premium/*", Some("$0"), true), "is zero"),
        (put("/premium/*", Some("0.02"), true), "dollars"),
        (put("/premium/*", Some("$0.0000001"), true), "finer than the 6 decimals of USDC"),
        (put("/used", Some("$0.0000001"), true), "finer than"),
        (put("/none", None, false), "there is no route \"/none\""),
        (put("/none", None, true), "there is no route \"/none\""),
        (put("/api", None, false), "name one, such as GET /api"),
        (json!({ "route": "/premium/*" }), "the body must be"),
        (json!({ "route": "/premium/*", "off": true }), "the body must be"),
        (json!({ "route": "/premium/*", "on": null }), "the body must be"),
        (json!({ "route": "/premium/*", "price": 1, "on": false }), "the body must be"),
        (json!({ "route": "/premium/*", "price": null, "on": "no" }), "the body must be"),
        (json!([]), "the body must be"),
    ] {
        let mut board = Board::default();
        let said = change(&mut board, slice::from_ref(&body)).unwrap_err();
        assert!(said.contains(part), "{body}: {said}");
        assert_eq!(board, Board::default());
    }
}

#[test]
fn a_route_that_is_gone_is_shown_and_can_be_set_back() {
    let mut board = Board { routes: vec![of("/gone", Some("$1"), false)], ..Board::default() };
    let loaded = shop(&board.routes);
    let view = board.view(config(&loaded));
    let last = view["routes"].as_array().unwrap().last().unwrap().clone();
    let expected = json!({
        "route": "/gone", "price": "$1", "on": false, "default_price": null,
        "problem": "there is no such route any more",
    });
    assert_eq!(last, expected);
    assert!(change(&mut board, &[put("/gone", None, false)]).is_err());
    change(&mut board, &[put("/gone", None, true)]).unwrap();
    assert_eq!(board.routes, []);
    assert_eq!(board.history.len(), 1);
}

#[test]
fn a_route_that_is_gone_is_set_back_by_what_differs_alone() {
    let (price, on) =
        (json!({ "route": "/gone", "price": null }), json!({ "route": "/gone", "on": true }));
    for (kept, body) in [(of("/gone", Some("$1"), true), &price), (of("/gone", None, false), &on)] {
        let mut board = Board { routes: vec![kept], ..Board::default() };
        change(&mut board, slice::from_ref(body)).unwrap();
        assert_eq!(board.routes, []);
        let last = &board.history[0];
        assert_eq!((last.route.as_str(), &last.price, last.on), ("/gone", &None, true));
    }
    // One of two is not all of it, and nothing else can be changed.
    let both = Board { routes: vec![of("/gone", Some("$1"), false)], ..Board::default() };
    let off = json!({ "route": "/gone", "on": false });
    let dear = json!({ "route": "/gone", "price": "$2" });
    for body in [price, on, off, dear] {
        let mut board = both.clone();
        let said = change(&mut board, &[body]).unwrap_err();
        assert!(said.contains("there is no route \"/gone\""), "{said}");
        assert_eq!(board, both);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut board = Board::default();
    let steps: Vec<_> =
        (1..=250).map(|n| put("/premium/*", Some(&format!("${n}")), true)).collect();
    change(&mut board, &steps).unwrap();
    assert_eq!(board.history.len(), 200);
    assert_eq!(board.routes[0].former, ["$249", "$248", "$247", "$246"]);
    board.routes = (0..200).map(|n| of(&format!("/{n}"), None, false)).collect();
    let said = change(&mut board, &[put("/premium/*", None, false)]).unwrap_err();
    assert!(said.contains("200 routes"), "{said}");
    board.routes[7] = Override { former: vec!["$1".into()], ..of("/7", None, true) };
    change(&mut board, &[put("/premium/*", None, false)]).unwrap();
    assert_eq!(board.routes.len(), 200);
    assert_eq!(board.routes[199].route, "/premium/*");
}

/// The shop as it is after this.
fn after(board: &Board) -> Loaded {
    shop(&board.routes)
}

#[test]
fn a_route_that_was_off_before_it_was_split_is_switched_on_alone() {
    let mut board = Board { routes: vec![of("/api", Some("$0.07"), false)], ..Board::default() };
    assert_eq!(Request::get("/api").outcome(&after(&board)), "off");
    change(&mut board, &[put("GET /api", None, true)]).unwrap();
    assert_eq!(Request::get("/api").outcome(&after(&board)), "402 1 /api");
    assert_eq!(config(&after(&board)).routes[1].price.to_string(), "$0.01");
    assert_eq!(Request::new("POST", "/api").outcome(&after(&board)), "off");
    // It is no spare room, and neither is what it stands against.
    board.routes.extend((2..200).map(|n| of(&format!("/{n}"), None, false)));
    assert!(change(&mut board, &[put("/premium/*", None, false)]).is_err());
    // What was set at the whole holds where only the other one is changed.
    change(&mut board, &[json!({ "route": "POST,PUT /api", "on": true })]).unwrap_err();
    board.routes.truncate(2);
    change(&mut board, &[json!({ "route": "POST,PUT /api", "on": true })]).unwrap();
    assert_eq!(Request::new("POST", "/api").outcome(&after(&board)), "402 2 /api");
    assert_eq!(config(&after(&board)).routes[2].price.to_string(), "$0.07");
}

#[test]
fn what_a_change_does_not_name_stays_as_it_is() {
    let mut board = Board::default();
    change(&mut board, &[put("/premium/*", Some("$0.02"), false)]).unwrap();
    // A page that was read before the switch saves a price.
    change(&mut board, &[json!({ "route": "/premium/*", "price": "$0.03" })]).unwrap();
    let former = vec!["$0.02".to_owned(), "$0.01".to_owned()];
    let expected = Override { former: former.clone(), ..of("/premium/*", Some("$0.03"), false) };
    assert_eq!(board.routes, [expected]);
    let last = &board.history[0];
    assert_eq!((last.price.as_deref(), last.on), (Some("$0.03"), false));
    // One that was read before the price switches it on.
    change(&mut board, &[json!({ "route": "/premium/*", "on": true })]).unwrap();
    let expected = Override { former, ..of("/premium/*", Some("$0.03"), true) };
    assert_eq!(board.routes, [expected]);
}

#[test]
fn two_changes_of_one_reading_are_both_kept() {
    let loaded = shop(&[]);
    let board = Board::default();
    let read = |body: Value| {
        board.read_change(config(&loaded), body.to_string().as_bytes(), "0a1b").unwrap().0
    };
    let off = read(json!({ "route": "/premium/*", "on": false }));
    let dear = read(json!({ "route": "/premium/*", "price": "$0.02" }));
    let mut kept = board.clone();
    kept.make(off, UnixSeconds(1)).unwrap();
    kept.make(dear, UnixSeconds(2)).unwrap();
    let expected =
        Override { former: vec!["$0.01".into()], ..of("/premium/*", Some("$0.02"), false) };
    assert_eq!(kept.routes, [expected]);
}

#[test]
fn the_order_of_methods_is_not_part_of_a_name() {
    let mut turned = routes();
    turned[2]["methods"] = json!(["PUT", "POST"]);
    for routes in [routes(), turned] {
        for name in ["POST,PUT /api", "PUT,POST /api"] {
            let mut settings = settings("assets", routes.clone());
            settings.grant_secret = Some(GRANT.into());
            settings.overrides = all(&[of(name, Some("$0.50"), false)]);
            let loaded = config::read(&settings);
            assert_eq!(Request::new("POST", "/api").outcome(&loaded), "off", "{name}");
            let mut board = Board { routes: settings.overrides.routes, ..Board::default() };
            let view = board.view(config(&loaded));
            assert_eq!(view["routes"].as_array().unwrap().len(), 4, "none of them is gone");
            assert_eq!(view["routes"][2]["route"], "POST,PUT /api");
            assert_eq!(view["routes"][2]["price"], "$0.50");
            change(&mut board, &[json!({ "route": name, "on": true })]).unwrap();
            assert_eq!(board.routes.len(), 1);
            assert!(board.routes[0].on);
        }
    }
}

#[test]
fn a_fault_of_the_configuration_is_none_of_the_prices() {
    let mut routes = routes();
    routes[3]["price"] = json!("free");
    let mut settings = settings("assets", routes);
    settings.overrides = all(&[of("/premium/*", Some("$0"), false), of("/api", Some("$1"), true)]);
    let loaded = config::read(&settings);
    let faults = loaded.config.err().unwrap().to_string();
    assert!(faults.contains("ROUTES[3].price") && !faults.contains("ROUTES[0]"), "{faults}");
    assert_eq!(loaded.notes, Vec::<String>::new());
}
