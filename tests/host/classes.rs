//! Who asks, and what it costs them: a table of requests (`classes.json`), and what
//! nobody can claim.

use edge402::config::{self, Loaded, Override, Overrides};
use edge402::gate::signed::{DIRECTORY, read_directory, signed_request};
use edge402::gate::{Decision, Fact, decide};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::gate_support::*;

/// Within the time of the draft's signature.
const WHEN: u64 = 1_735_689_660;

/// SHA-256 of `correct horse battery staple`.
const PASS: &str = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a";

/// test-key-ed25519 of RFC 9421, appendix B.1.4.
const RFC_KEY: &str = "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs";

fn shop(more: &Value) -> Loaded {
    shop_with(more, Overrides::default())
}

fn shop_with(more: &Value, overrides: Overrides) -> Loaded {
    let mut route = json!({ "pattern": "/page", "price": "$0.05" });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    let passes = Some(format!("staff: {PASS}, other:{}", "ab".repeat(32)));
    let given = settings("https://own.example", json!([route]));
    let settings = config::Settings { passes, overrides, ..given };
    let loaded = config::read(&settings);
    config(&loaded);
    loaded
}

fn directory(keys: &Value) -> String {
    json!({ "keys": keys }).to_string()
}

fn rfc_directory() -> String {
    directory(&json!([
        { "kty": "OKP", "crv": "Ed25519", "kid": "any", "x": RFC_KEY, "use": "sig" },
    ]))
}

/// Has the signature checked, as the runtime does, with what the host's
/// directory says.
fn with_signer(mut request: Request, loaded: &Loaded, now: u64, directory: &str) -> Request {
    let now = UnixSeconds(now);
    if let Some(signed) = signed_request(loaded, &request, now) {
        assert_eq!(signed.directory(), format!("https://{}{DIRECTORY}", signed.host));
        if signed.is_by_one_of(&read_directory(directory), now) {
            request.edge.push((Fact::Signer, signed.host));
        }
    }
    request
}

fn cost(loaded: &Loaded, request: &Request, now: u64) -> String {
    match decide(loaded, request, UnixSeconds(now)) {
        Decision::Free(sale) => {
            assert_eq!(sale.path.as_str(), "/page");
            "free".into()
        }
        Decision::PaymentRequired(sale, None) => {
            let offer = &sale.route.offers[0];
            assert_eq!(offer.token.units_of(sale.route.price), Some(offer.v2.amount));
            sale.route.price.to_string()
        }
        other => outcome(&other),
    }
}

#[test]
fn who_pays_what() {
    let loaded = shop(&json!({
        "free_for": [
            "people", "search", "secret:staff", "network:203.0.113.0/24", "country:IS",
            "asn:64500", "signed:signature-agent.test", "signed:other-agent.test",
        ],
        "prices": [
            { "when": { "class": "bots:training" }, "price": "$0.10" },
            { "when": { "class": "bots:assistant" }, "price": "$0.02" },
        ],
    }));
    let rows: Value = serde_json::from_str(include_str!("../data/classes.json")).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() >= 60);
    let mut wrong = vec![];
    for row in rows {
        let host = row["host"].as_str().unwrap_or("example.com");
        let mut request = Request::get("/page");
        request.url = format!("https://{host}/page");
        for (name, value) in row["headers"].as_object().unwrap() {
            request = request.with(name, value.as_str().unwrap());
        }
        for (name, value) in row["edge"].as_object().unwrap() {
            let fact = match name.as_str() {
                "address" => Fact::Address,
                "asn" => Fact::Asn,
                "country" => Fact::Country,
                "verified" => Fact::VerifiedBot,
                "category" => Fact::BotCategory,
                "score" => Fact::BotScore,
                other => panic!("{other}"),
            };
            request.edge.push((fact, value.as_str().unwrap().into()));
        }
        let now = row["at"].as_u64().unwrap_or(WHEN);
        // Every host but the draft's has a key of its own.
        let agent = row["headers"]["Signature-Agent"].as_str().unwrap_or_default();
        let keys = if agent.contains("signature-agent.test") {
            rfc_directory()
        } else {
            directory(&json!([{ "kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]))
        };
        let request = with_signer(request, &loaded, now, &keys);
        let (found, expected) = (cost(&loaded, &request, now), row["pays"].as_str().unwrap());
        if found != expected.trim_end_matches('0') && found != expected {
            wrong.push(format!("{}: {found} and not {expected}", row["who"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_free_for_its_visitors_a_page_elsewhere_may_buy() {
    let route = json!([{ "pattern": "/page", "price": "$0.05",
        "free_for": ["people", "country:IS", "asn:64500", "network:203.0.113.0/24", "secret:staff"] }]);
    let mut given = settings("https://own.example", route);
    given.passes = Some(format!("staff: {PASS}"));
    given.cors_credentials = Some(json!(["https://app.example"]));
    let loaded = config::read(&given);
    config(&loaded);
    let at = |fact: Fact, value: &str| {
        let mut request = Request::get("/page");
        request.edge.push((fact, value.into()));
        request
    };
    for visitor in [
        at(Fact::Country, "IS"),
        at(Fact::Asn, "64500"),
        at(Fact::Address, "203.0.113.7"),
        Request::get("/page").with("PAYMENT-GRANT", "correct horse battery staple"),
    ] {
        let by = |headers: &[(&str, &str)]| {
            let with = |it: Request, (name, value): &(&str, &str)| it.with(name, value);
            headers.iter().fold(visitor.clone(), with)
        };
        let elsewhere = ("Origin", "https://page.example");
        let shown = |site: &'static str, mode: &'static str, dest: &'static str| {
            by(&[("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)])
        };
        for page in [
            // It can't read these, and shows them, or has them run.
            shown("cross-site", "no-cors", "image"),
            shown("same-site", "no-cors", "script"),
            shown("cross-site", "navigate", "iframe"),
            shown("cross-site", "navigate", "embed"),
            by(&[elsewhere]),
            by(&[elsewhere, ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")]),
            by(&[("Origin", "https://www.shop.example"), ("Sec-Fetch-Site", "same-site")]),
            by(&[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]),
        ] {
            assert_eq!(cost(&loaded, &page, NOW), "$0.05", "{page:?}");
            let paid = page.paying(&v2(&crate::evm_support::signed(|_| ())));
            assert_eq!(cost(&loaded, &paid, NOW), "402 0 V2 invalid_payment_requirements");
        }
        for page in [
            by(&[]),
            by(&[("Origin", "https://app.example"), ("Sec-Fetch-Site", "cross-site")]),
            by(&[("Origin", SHOP)]),
            // A form of its own, under a policy that says of no page where it is.
            by(&[("Origin", "null"), ("Sec-Fetch-Site", "same-origin")]),
            // A person goes there, by a link or with a form.
            shown("cross-site", "navigate", "document"),
            shown("cross-site", "navigate", "document").with(elsewhere.0, elsewhere.1),
            shown("same-origin", "no-cors", "image"),
        ] {
            assert_eq!(cost(&loaded, &page, NOW), "free", "{page:?}");
        }
    }
}

#[test]
fn a_lower_price_needs_a_second_sign_and_a_higher_one_needs_none() {
    let at = |price: &str| {
        shop(&json!({ "prices": [{ "when": { "class": "bots:training" }, "price": price }] }))
    };
    let named = Request::get("/page").with("User-Agent", "GPTBot/1.3");
    let home = |request: Request| Request {
        edge: vec![(Fact::Address, "20.171.206.9".into())],
        ..request
    };
    assert_eq!(cost(&at("$0.01"), &named, WHEN), "$0.05");
    assert_eq!(cost(&at("$0.01"), &home(named.clone()), WHEN), "$0.01");
    assert_eq!(cost(&at("$0.09"), &named, WHEN), "$0.09");
    assert_eq!(cost(&at("$0.09"), &home(Request::get("/page")), WHEN), "$0.05");
    // A country that the edge doesn't tell may be any.
    let loaded = shop(&json!({
        "prices": [{ "when": { "class": "country:DE", "method": "GET" }, "price": "$0.01" }],
    }));
    assert_eq!(cost(&loaded, &Request::get("/page"), WHEN), "$0.05");
    let german = Request { edge: vec![(Fact::Country, "DE".into())], ..Request::get("/page") };
    assert_eq!(cost(&loaded, &german, WHEN), "$0.01");
}

#[test]
fn all_bots_are_those_of_the_purposes_that_are_listed() {
    let loaded = shop(&json!({ "free_for": ["bots"] }));
    let verified = |category: &str| Request {
        edge: vec![(Fact::VerifiedBot, "true".into()), (Fact::BotCategory, category.into())],
        ..Request::get("/page")
    };
    for category in
        ["AI Crawler", "Search Engine Crawler", "AI Search", "AI Assistant", "Page Preview"]
    {
        assert_eq!(cost(&loaded, &verified(category), WHEN), "free", "{category}");
    }
    for category in ["Webhooks", "Monitoring & Analytics", "Feed Fetcher", "Accessibility"] {
        let named = verified(category).with("User-Agent", "Googlebot/2.1");
        assert_eq!(cost(&loaded, &named, WHEN), "$0.05", "{category}");
    }
}

#[test]
fn what_is_free_for_some_takes_no_payment_from_them_and_stays_sold() {
    let loaded = shop(&json!({ "free_for": ["secret:staff"] }));
    let staff =
        || Request::get("/page").with("PAYMENT-GRANT", "x.y.z, correct horse battery staple");
    assert_eq!(staff().outcome(&loaded), "free 0 /page");
    let mut posted = staff();
    posted.method = "POST".into();
    assert_eq!(posted.outcome(&loaded), "free 0 /page");
    // Other names, the same page.
    let mut other = staff();
    other.url = format!("{SHOP}/PAGE/");
    assert_eq!(other.outcome(&loaded), "free 0 /PAGE/");
    assert_eq!(Request::get("/page").outcome(&loaded), "402 0 /page");
    // What the seller has switched off is off for them, too.
    let off = Override { route: "/page".into(), price: None, on: false, former: vec![] };
    let overrides = Overrides { routes: vec![off], changes: 1 };
    let off = shop_with(&json!({ "free_for": ["secret:staff"] }), overrides);
    assert_eq!(staff().outcome(&off), "off");
    // A fault in the configuration closes what is sold, for everybody.
    let faulty = config::Settings {
        passes: Some(format!("staff:{PASS}")),
        ..settings(
            "https://own.example",
            json!([
                { "pattern": "/page", "price": "0.05", "free_for": ["secret:staff"] },
            ]),
        )
    };
    assert_eq!(staff().outcome(&config::read(&faulty)), "closed");
}

/// `printf %s "$PASS"` where `$PASS` is not set, with and without a line feed.
#[test]
fn the_hash_of_nothing_is_nobodys_pass_or_token() {
    use sha2::Digest as _;
    let routes = || json!([{ "pattern": "/page", "price": "$0.05", "free_for": ["secret:staff"] }]);
    for blank in ["", "\n", "\r\n", " "] {
        let hash = edge402::encoding::encode_hex(&sha2::Sha256::digest(blank));
        let hash = hash.trim_start_matches("0x").to_uppercase();
        let given = || settings("https://own.example", routes());
        let good = Some(format!("staff:{PASS}"));
        let facilitator =
            json!({ "path": "/f", "clients": [{ "name": "acme", "pay_to": [PAY_TO] }] });
        for (key, settings) in [
            (
                "PASSES",
                config::Settings { passes: Some(format!("staff:{PASS},staff:{hash}")), ..given() },
            ),
            (
                "DESK_TOKENS",
                config::Settings {
                    passes: good.clone(),
                    desk_tokens: Some(hash.clone()),
                    ..given()
                },
            ),
            (
                "FACILITATOR_TOKENS",
                config::Settings {
                    passes: good.clone(),
                    facilitator: Some(facilitator),
                    facilitator_tokens: Some(format!("acme:{PASS},acme:{hash}")),
                    ..given()
                },
            ),
        ] {
            let loaded = config::read(&settings);
            let faults = loaded.config.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert!(faults.contains(key) && faults.contains("nothing"), "{key}: {faults}");
            for header in ["", ",", "x, "] {
                let request = Request::get("/page").with("PAYMENT-GRANT", header);
                assert_eq!(request.outcome(&loaded), "closed");
            }
        }
    }
}

/// What a test signs with: 32 times this byte.
const SEED: u8 = 9;

fn key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[SEED; 32])
}

fn base64url(bytes: &[u8]) -> String {
    let text = edge402::encoding::encode_base64(bytes);
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn thumbprint() -> String {
    use sha2::Digest as _;
    let x = base64url(key().verifying_key().as_bytes());
    base64url(&sha2::Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

fn own_directory() -> String {
    let x = base64url(key().verifying_key().as_bytes());
    directory(&json!([{ "kty": "RSA" }, { "kty": "OKP", "crv": "Ed25519", "x": x }]))
}

/// Signs this base, with these components and parameters, for an agent.
fn signed(request: Request, components: &str, parameters: &str, lines: &[&str]) -> Request {
    use ed25519_dalek::Signer as _;
    let input = format!("({components});{parameters}");
    let base = format!("{}\n\"@signature-params\": {input}", lines.join("\n"));
    let signature = edge402::encoding::encode_base64(&key().sign(base.as_bytes()).to_bytes());
    request
        .with("Signature-Agent", "a=\"https://agent.example\"")
        .with(
            "Signature-Input",
            &format!("other=(\"@method\");tag=\"x\", s=({components});{parameters}"),
        )
        .with("Signature", &format!("other=:AAAA:, s=:{signature}:"))
}

#[test]
fn a_signature_covers_what_it_says() {
    let loaded = shop(&json!({ "free_for": ["signed:agent.example"] }));
    let parameters = |created: u64, expires: u64, more: &str| {
        format!(
            "created={created};expires={expires};keyid=\"{}\";tag=\"web-bot-auth\"{more}",
            thumbprint()
        )
    };
    let good = parameters(WHEN, WHEN + 60, "");
    let agent = "\"signature-agent\";key=\"a\": \"https://agent.example\"";
    let cost_of = |request: Request| {
        cost(&loaded, &with_signer(request, &loaded, WHEN, &own_directory()), WHEN)
    };
    let usual = || {
        ("\"@authority\" \"signature-agent\";key=\"a\"", ["\"@authority\": shop.example", agent])
    };
    let with = |parameters: &str| {
        let (components, lines) = usual();
        signed(Request::get("/page?x=1"), components, parameters, &lines)
    };
    assert_eq!(cost_of(with(&good)), "free");
    assert_eq!(cost_of(with(&parameters(WHEN + 50, WHEN + 80, ";alg=\"ed25519\""))), "free");
    assert_eq!(cost_of(with(&parameters(WHEN - 60, WHEN - 60 + 86_400, ";nonce=\"n\""))), "free");
    for parameters in [
        parameters(WHEN - 60, WHEN, ""),
        parameters(WHEN + 61, WHEN + 90, ""),
        parameters(WHEN, WHEN + 86_401, ""),
        parameters(WHEN, WHEN + 60, ";alg=\"rsa-pss-sha512\""),
        parameters(WHEN, WHEN + 60, ";tag=\"web-bot-auth\""),
        good.replace("web-bot-auth", "web-bot"),
        good.replace(&thumbprint(), "somebody"),
        good.replace(&format!("expires={};", WHEN + 60), ""),
    ] {
        assert_eq!(cost_of(with(&parameters)), "$0.05", "{parameters}");
    }
    // All that may be covered.
    let components = "\"@method\" \"@target-uri\" \"@scheme\" \"@path\" \"@query\" \
                      \"@request-target\" \"x-note\" \"signature-agent\";key=\"a\"";
    let lines = [
        "\"@method\": GET",
        "\"@target-uri\": https://shop.example/page?x=1",
        "\"@scheme\": https",
        "\"@path\": /page",
        "\"@query\": ?x=1",
        "\"@request-target\": /page?x=1",
        "\"x-note\": hello",
        agent,
    ];
    let all = |note: &str| {
        let request = Request::get("/page?x=1").with("X-Note", note);
        signed(request, components, &good, &lines)
    };
    assert_eq!(cost_of(all(" hello ")), "free");
    assert_eq!(cost_of(all("goodbye")), "$0.05");
    let mut elsewhere = all("hello");
    elsewhere.url = format!("{SHOP}/page?x=2");
    assert_eq!(cost_of(elsewhere), "$0.05");
    // Not for which host, not by whom, or covered in a way that nobody checks.
    for (components, lines) in [
        ("\"@method\" \"signature-agent\";key=\"a\"", vec!["\"@method\": GET", agent]),
        ("\"@authority\"", vec!["\"@authority\": shop.example"]),
        (
            "\"@authority\" \"@authority\" \"signature-agent\";key=\"a\"",
            vec!["\"@authority\": shop.example", "\"@authority\": shop.example", agent],
        ),
        (
            "\"@authority\";req \"signature-agent\";key=\"a\"",
            vec!["\"@authority\";req: shop.example", agent],
        ),
        (
            "\"@authority\" \"absent\" \"signature-agent\";key=\"a\"",
            vec!["\"@authority\": shop.example", "\"absent\": ", agent],
        ),
    ] {
        let request = signed(Request::get("/page?x=1"), components, &good, &lines);
        assert_eq!(cost_of(request), "$0.05", "{components}");
    }
    // Two headers of one name, and one that is too long.
    assert_eq!(cost_of(with(&good).with("Signature-Agent", "a=\"https://b.example\"")), "$0.05");
    assert_eq!(cost_of(with(&good).with("Signature-Input", &"x".repeat(5_000))), "$0.05");
    for (name, text) in
        [("Signature-Input", "s=("), ("Signature", "s=:%:"), ("Signature-Agent", "\"")]
    {
        let mut request = with(&good);
        request.headers.retain(|(other, _)| other != name);
        assert_eq!(cost_of(request.with(name, text)), "$0.05", "{name}");
    }
}

#[test]
fn a_directory_is_what_it_says_or_nothing() {
    let loaded = shop(&json!({ "free_for": ["signed:signature-agent.test"] }));
    let input = "sig1=(\"@authority\" \"signature-agent\");created=1735689600;\
        keyid=\"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U\";alg=\"ed25519\";expires=1735693200;\
        nonce=\"e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7DCT9RUKAJ0qVkU0mEeLElW1qg==\";\
        tag=\"web-bot-auth\"";
    let signature = "sig1=:jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJKuHxUi/5Syp3rLWBA==:";
    let request = Request { url: "https://example.com/page".into(), ..Request::get("/page") }
        .with("Signature-Agent", "\"https://signature-agent.test\"")
        .with("Signature-Input", input)
        .with("Signature", signature);
    let is_taken = |directory: &str| {
        let signed = signed_request(&loaded, &request, UnixSeconds(WHEN)).unwrap();
        assert!(signed.nonce.as_ref().unwrap().starts_with("e8N7"));
        assert_eq!(signed.expires_at, UnixSeconds(1_735_693_200));
        signed.is_by_one_of(&read_directory(directory), UnixSeconds(WHEN))
    };
    let key = |more: &Value| {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": RFC_KEY });
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    let of = |more: Value| directory(&json!([key(&more)]));
    assert!(is_taken(&of(json!({}))));
    assert!(is_taken(&of(json!({ "nbf": 1_735_689_000, "exp": 1_735_700_000 }))));
    assert!(is_taken(&of(json!({ "exp": 1_735_700_000_000_u64 }))));
    let many: Vec<_> = (0..20).map(|_| json!({ "kty": "RSA" })).chain([key(&json!({}))]).collect();
    for wrong in [
        of(json!({ "nbf": WHEN + 1 })),
        of(json!({ "exp": WHEN })),
        of(json!({ "exp": WHEN * 1_000 })),
        of(json!({ "crv": "X25519" })),
        of(json!({ "kty": "EC" })),
        of(json!({ "x": format!("{RFC_KEY}AA") })),
        of(json!({ "x": "" })),
        directory(&json!(many)),
        directory(&json!({})),
        rfc_directory().replace("\"keys\"", "\"keys\":[],\"keys\""),
        "<html>".into(),
        String::new(),
    ] {
        assert!(!is_taken(&wrong), "{wrong}");
    }
}
