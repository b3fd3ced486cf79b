//! Every spelling of a path, at the gate: it is sold, or it is refused, or it
//! is no spelling of something that is sold.

use crate::gate_support::{Request, assets, config, routes, settings, site};
use edge402::config;
use edge402::gate::{NotRead, body_names_method, type_to_look_into};
use serde_json::{Value, json};

const SEPARATOR: &str = "400 the path holds an encoded slash or a backslash";
const CHARACTER: &str = "400 the path holds a control character or a bad byte";
const ESCAPE: &str = "400 the path holds a % without two hex digits behind it";
const ROOT: &str = "400 the path leaves the root";
const END: &str = "400 the path holds an encoded ? or # where it may be read as its end";
const DOT: &str = "400 a segment of the path ends in a dot or a space";
const OTHER_PATH: &str = "400 the request names another path in a header";

/// For each target: what it comes to before assets, and before a site.
fn table(rows: &[(&str, &str, &str)]) {
    assert_eq!((config(assets()).routes.len(), config(site()).routes.len()), (3, 3));
    for (target, before_assets, before_site) in rows {
        for method in ["GET", "HEAD", "get"] {
            let request = Request::new(method, target);
            assert_eq!(request.outcome(assets()), *before_assets, "{method} {target}, assets");
            assert_eq!(request.outcome(site()), *before_site, "{method} {target}, site");
        }
    }
}

/// The same for both.
fn both(rows: &[(&str, &str)]) {
    let rows: Vec<_> = rows.iter().map(|(target, outcome)| (*target, *outcome, *outcome)).collect();
    table(&rows);
}

#[test]
fn free_paths_are_forwarded_in_their_one_spelling() {
    both(&[
        ("", "forward /"),
        ("/", "forward /"),
        ("?premium/page", "forward /"),
        ("/#/premium/page", "forward /"),
        ("/about?x=/premium/page", "forward /about"),
        ("//%61bout//x/../", "forward /about/"),
        ("/caf%c3%a9", "forward /caf%C3%A9"),
        ("/premiums/page", "forward /premiums/page"),
        ("/premium.css", "forward /premium.css"),
        ("/a/premium/page", "forward /a/premium/page"),
        ("/premium/../about", "forward /about"),
        ("/guides", "forward /guides"),
        ("/guide/chapter", "forward /guide/chapter"),
        ("/a%252Fb", "forward /a%252Fb"),
    ]);
}

#[test]
fn every_spelling_below_a_prefix_is_sold_or_refused() {
    both(&[
        ("/premium", "402 0 /premium"),
        ("/premium.html", "402 0 /premium.html"),
        ("/premium.json", "402 0 /premium.json"),
        ("/index.php/premium/page", "402 0 /index.php/premium/page"),
        ("/premium/index.php/page", "402 0 /premium/index.php/page"),
        ("/premium/", "402 0 /premium/"),
        ("/premium?x", "402 0 /premium"),
        ("/premium/page", "402 0 /premium/page"),
        ("/%70remium/page", "402 0 /premium/page"),
        ("/premium/%70%61ge", "402 0 /premium/page"),
        ("//premium/page", "402 0 /premium/page"),
        ("/premium//page", "402 0 /premium/page"),
        ("/./premium/./page", "402 0 /premium/page"),
        ("/free/../premium/page", "402 0 /premium/page"),
        ("/free/%2e%2E/premium/page", "402 0 /premium/page"),
        ("/%2e/premium/page", "402 0 /premium/page"),
        ("/premium/page#x", "402 0 /premium/page"),
        ("/PREMIUM/Page", "402 0 /PREMIUM/Page"),
        ("/premium;a=1/page", "402 0 /premium;a=1/page"),
        ("/premium%3ba=1/page", "402 0 /premium%3Ba=1/page"),
        ("/;/premium/page", "402 0 /;/premium/page"),
        ("/premium/a%252fb", "402 0 /premium/a%252fb"),
        ("/premium%2Fpage", SEPARATOR),
        ("/premium%2fpage", SEPARATOR),
        ("/premium%5Cpage", SEPARATOR),
        ("/premium\\page", SEPARATOR),
        ("/\\premium/page", SEPARATOR),
        ("/premium./page", DOT),
        ("/premium%2e/page", DOT),
        ("/premium%20/page", DOT),
        ("/premium/page.", DOT),
        ("/premium/...", DOT),
        ("/premium%00/page", CHARACTER),
        ("/premium%0d%0a/page", CHARACTER),
        ("/premium%09/page", CHARACTER),
        ("/premium\t/page", CHARACTER),
        ("/premium /page", CHARACTER),
        ("/premium%c0%afpage", CHARACTER),
        ("/%c1%b0remium/page", CHARACTER),
        ("/premium%", ESCAPE),
        ("/premium%7", ESCAPE),
        ("/premium%u0070", ESCAPE),
        ("/..", ROOT),
        ("/a/../../premium/page", ROOT),
        ("/%2e%2e/premium/page", ROOT),
    ]);
}

#[test]
fn every_spelling_of_an_exact_path_is_sold_or_refused() {
    both(&[
        ("/guide", "402 1 /guide"),
        ("/guide/", "402 1 /guide/"),
        ("/guide?page=2", "402 1 /guide"),
        ("/%67uide", "402 1 /guide"),
        ("//guide", "402 1 /guide"),
        ("/guide//", "402 1 /guide/"),
        ("/./guide", "402 1 /guide"),
        ("/guide/.", "402 1 /guide/"),
        ("/guide/x/..", "402 1 /guide/"),
        ("/x/../guide", "402 1 /guide"),
        ("/GUIDE", "402 1 /GUIDE"),
        ("/guide;jsessionid=1", "402 1 /guide;jsessionid=1"),
        ("/guide%3Bx", "402 1 /guide%3Bx"),
        ("/guide/;x", "402 1 /guide/;x"),
        ("/guide%2F", SEPARATOR),
        ("/x%2F..%2Fguide", SEPARATOR),
        ("/guide.", DOT),
        ("/guide%2e", DOT),
        ("/guide%20", DOT),
        ("/guide%00", CHARACTER),
        ("/guide%00.png", CHARACTER),
    ]);
    both(&[
        ("/guide.html", "402 1 /guide.html"),
        ("/GUIDE.HTML", "402 1 /GUIDE.HTML"),
        ("/guide%2ehtml", "402 1 /guide.html"),
        ("/guide/index", "402 1 /guide/index"),
        ("/guide/index.html", "402 1 /guide/index.html"),
        ("/guide.json", "402 1 /guide.json"),
        ("/guide.pdf", "402 1 /guide.pdf"),
        ("/guide.php/x", "402 1 /guide.php/x"),
        ("/index.php/guide", "402 1 /index.php/guide"),
        ("/guide.css", "forward /guide.css"),
        ("/guide/x", "forward /guide/x"),
    ]);
}

/// Of every kind of origin, and whichever name the seller wrote.
#[test]
fn a_page_is_sold_under_every_name_that_some_origin_serves_it_under() {
    for origin in ["assets", "service", "zone", "https://own.example"] {
        for (pattern, targets) in [
            (
                "/premium",
                &["/premium.html", "/premium/index.html", "/premium.json", "/premium/"][..],
            ),
            ("/docs/", &["/docs/index.html", "/docs", "/docs/index.php", "/docs.html"]),
            ("/report.php", &["/report.php/x", "/report.php/x/y.css", "/report", "/report.php/"]),
            ("/paper.html", &["/paper", "/paper/", "/PAPER", "/paper/index.html", "/paper;x"]),
            ("/data.json", &["/data", "/data.json", "/data.json/", "/data/index.json"]),
        ] {
            let routes = json!([{ "pattern": pattern, "price": "$0.01" }]);
            let loaded = config::read(&settings(origin, routes));
            for target in targets {
                let outcome = Request::get(target).outcome(&loaded);
                assert_eq!(outcome, format!("402 0 {target}"), "{origin}: {pattern}");
            }
        }
    }
}

#[test]
fn two_routes_for_one_page_are_a_fault_that_names_both() {
    let load = |one: &str, other: &str, methods: Value| {
        let mut route = json!({ "pattern": other, "price": "$5" });
        if !methods.is_null() {
            route["methods"] = methods;
        }
        let routes = json!([{ "pattern": one, "price": "$0.01" }, route]);
        config::read(&settings("https://own.example", routes))
    };
    for (one, other) in [
        ("/x", "/x/"),
        ("/x", "/X"),
        ("/x", "/x.html"),
        ("/x.html", "/x/index.html"),
        ("/x", "/x.json"),
        ("/x", "/x.php"),
        ("/x/*", "/X/*"),
        ("/", "/index.html"),
    ] {
        let loaded = load(one, other, Value::Null);
        let faults = loaded.config.as_ref().unwrap_err();
        let [fault] = faults.0.as_slice() else { panic!("{faults}") };
        assert_eq!(fault.key, "ROUTES[1].pattern");
        for named in [&format!("{one:?}"), &format!("{other:?}"), "ROUTES[0]"] {
            assert!(fault.problem.contains(named), "{}", fault.problem);
        }
        let target = other.trim_end_matches('*');
        assert_eq!(Request::get(target).outcome(&loaded), "closed", "{target}");
    }
    for (one, other) in [("/x", "/x/*"), ("/x", "/x.pdf"), ("/x", "/x/y"), ("/x.png", "/x.jpg")] {
        assert!(load(one, other, Value::Null).config.is_ok(), "{one} and {other}");
    }
    assert!(load("/x", "/x/", json!(["POST"])).config.is_ok(), "named methods come first");
}

/// The runtime folds letters; these are the ones that the test knows.
#[test]
fn no_case_and_no_form_of_a_letter_opens_a_path() {
    let fold = |text: &str| {
        text.to_uppercase()
            .to_lowercase()
            .replace('é', "e\u{301}")
            .replace('．', ".")
            .replace('／', "/")
    };
    let loaded = config::read(&config::Settings {
        fold: edge402::path::Fold(fold),
        ..settings("https://own.example", json!([{ "pattern": "/caf%C3%A9/*", "price": "$0.01" }]))
    });
    for target in [
        "/caf%C3%A9",
        "/CAF%C3%89",
        "/Cafe%CC%81/x",
        "/cafe%cc%81",
        "/café.html",
        "/x%EF%BC%8Fy/../café",
    ] {
        assert!(Request::get(target).outcome(&loaded).starts_with("402 0"), "{target}");
    }
    let dots = "/free/%EF%BC%8E%EF%BC%8E/caf%C3%A9";
    assert!(!Request::get(dots).outcome(&loaded).starts_with("forward"), "wide dots");
    let free = "/%E6%9D%B1%E4%BA%AC";
    assert_eq!(Request::get(free).outcome(&loaded), format!("forward {free}"));
}

#[test]
fn free_paths_keep_what_means_something_to_the_origin() {
    for target in [
        "/free/fetch/https://e.example/a//b",
        "/free/npm/@scope%2Fpkg",
        "/free/npm/@scope%2fpkg",
        "/wiki/Washington_D.C.",
        "/free/a%5Cb",
        "/a%2520b",
        "/100%25",
        "/free/why%3F",
        "/free/c%23",
    ] {
        let spelled = target.replace("%2f", "%2F");
        assert_eq!(Request::get(target).outcome(site()), format!("forward {spelled}"));
    }
    for (target, outcome) in [
        // One of its readings is sold: it goes on in its one spelling.
        ("/free/https://premium/page", "forward /free/https:/premium/page"),
        ("/free//x/premium/page", "forward /free/x/premium/page"),
        ("//x/premium/page", "forward /x/premium/page"),
        ("//about", "forward /about"),
        ("/a//../b", "forward /b"),
        // The origin that reads it so would give it away.
        ("/free%2F..%2Fpremium/page", SEPARATOR),
        ("/free/..%2Fpremium/page", SEPARATOR),
        ("/free/..%5cpremium/page", SEPARATOR),
        ("/x%2F%2Fy%2F..%2Fguide", SEPARATOR),
        ("/%2Fpremium/page", SEPARATOR),
        ("/free/..%252fpremium/page", SEPARATOR),
        ("/%2570remium/page", SEPARATOR),
        ("/%252570remium/page", SEPARATOR),
        ("/premium%252Fpage", SEPARATOR),
        ("/guide./.", DOT),
        // To who decodes it again, the path ends there.
        ("/guide%3Fx", END),
        ("/guide%3f", END),
        ("/guide%23x/y", END),
        ("/guide%253Fx", END),
        ("/guide%253fx", END),
        // Some leave alone what is no escape, and decode the rest.
        ("/guide%253F%25", END),
        ("//guide%253F%25", END),
        ("/guide%25%2533Fx", SEPARATOR),
        // And some drop a segment's parameters, with an escaped slash in them.
        ("/guide%3B%5Cx", SEPARATOR),
        ("/guide;a=%2Fx", SEPARATOR),
        ("/free//guide;%2Fx", SEPARATOR),
        ("/guide;%2F%5Cx", SEPARATOR),
        ("/free/a;url=https:%2F%2Fe.example", "forward /free/a;url=https:%2F%2Fe.example"),
        ("/guide%253B%255Cx", SEPARATOR),
        ("/%253B%5Cx/premium/page", SEPARATOR),
        ("/p%5C%3F%252F../premium/page", SEPARATOR),
        ("/premium%252F..%3B", DOT),
        ("/premium%252F..%2520", DOT),
        ("/free/%25zz/..%252F..%252Fguide", SEPARATOR),
        ("/premium%3F/page", END),
        ("/free/https://x//premium/page%3Fx", "forward /free/https:/x/premium/page%3Fx"),
    ] {
        assert_eq!(Request::get(target).outcome(site()), outcome, "{target}");
    }
}

#[test]
fn what_is_sold_under_another_route_to_who_decodes_again_is_refused() {
    for (target, outcome) in [
        ("/premium/page%3Fx", "402 0 /premium/page%3Fx"),
        ("/premium/100%25", "402 0 /premium/100%25"),
        ("/premium/orders", "402 2 /premium/orders"),
        ("/premium/orders%3Fx", END),
        ("/premium/orders%23", END),
        ("/premium/%256frders", SEPARATOR),
        ("/premium/..%252fx", "402 0 /premium/..%252fx"),
        ("/guide", "forward /guide"),
    ] {
        assert_eq!(Request::new("POST", target).outcome(site()), outcome, "{target}");
    }
    let target = "/premium/orders%3Fx";
    let by_get = Request::get(target).outcome(site());
    assert_eq!(by_get, format!("402 0 {target}"), "a GET of both costs the same");
}

#[test]
fn a_header_that_names_another_method_is_refused_unless_it_changes_nothing() {
    const OTHER_METHOD: &str = "400 the request names another method in a header";
    let headers = [
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
        "X_HTTP_METHOD",
        "X-HTTP_Method-Override",
    ];
    for name in headers {
        for (method, target, value, outcome) in [
            ("POST", "/guide", "GET", OTHER_METHOD),
            ("POST", "/guide", "get", OTHER_METHOD),
            ("POST", "/guide", "HEAD", OTHER_METHOD),
            ("PUT", "/guide", "GET", OTHER_METHOD),
            ("OPTIONS", "/guide", "GET", OTHER_METHOD),
            ("POST", "/guide", "GET, POST", OTHER_METHOD),
            ("POST", "/guide", "POST, GET", OTHER_METHOD),
            ("POST", "/guide", "GET;x", OTHER_METHOD),
            ("POST", "/guide", "", OTHER_METHOD),
            ("POST", "/guide", "PUT", "forward /guide"),
            ("POST", "/guide", "POST", "forward /guide"),
            ("GET", "/guide", "GET", "402 1 /guide"),
            ("GET", "/guide", "HEAD", "402 1 /guide"),
            ("GET", "/guide", "POST", OTHER_METHOD),
            ("GET", "/premium/orders", "POST", OTHER_METHOD),
            ("POST", "/premium/page", "DELETE", "402 0 /premium/page"),
            ("POST", "/about", "GET, POST", "forward /about"),
        ] {
            let request = Request::new(method, target).with(name, value);
            assert_eq!(request.outcome(site()), outcome, "{method} {target}, {name}: {value:?}");
        }
        let twice = Request::new("POST", "/guide").with(name, "POST").with(name, "GET");
        assert_eq!(twice.outcome(site()), OTHER_METHOD, "{name} twice");
    }
}

#[test]
fn a_query_that_names_a_method_is_refused_where_the_method_counts() {
    const OTHER_METHOD: &str = "400 the request names another method in its query";
    for query in [
        "_method=GET",
        "a=b&_method=get",
        "%5Fmethod=GET",
        "_METHOD=GET",
        "_method",
        ".method=GET",
        "+_method=GET",
        "a;_method=GET",
        "_method%00x=GET",
        "X-HTTP-Method-Override=GET",
        "_method[]=GET",
    ] {
        let ask = |method: &str, path: &str| {
            Request::new(method, &format!("{path}?{query}")).outcome(site())
        };
        assert_eq!(ask("POST", "/guide"), OTHER_METHOD, "{query}");
        assert_eq!(ask("GET", "/premium/orders"), OTHER_METHOD, "{query}");
        assert_eq!(ask("POST", "/about"), "forward /about", "{query}");
        assert_eq!(ask("POST", "/premium/page"), "402 0 /premium/page", "{query}");
    }
    for query in ["method=GET", "a=_method", "my_method=x"] {
        let request = Request::new("POST", &format!("/guide?{query}"));
        assert_eq!(request.outcome(site()), "forward /guide", "{query}");
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_form_is_looked_into_where_the_method_counts() {
    let looks = |method: &str, target: &str, media_type: &str| {
        let request = Request::new(method, target).with("Content-Type", media_type);
        type_to_look_into(site(), &request).unwrap().is_some()
    };
    for form in ["application/x-www-form-urlencoded", "Multipart/Form-Data; boundary=x"] {
        assert!(looks("POST", "/guide", form), "free, where a GET is sold");
        assert!(looks("PUT", "/guide", form));
        assert!(!looks("GET", "/guide", form));
        assert!(!looks("POST", "/about", form), "free whatever the method");
        assert!(!looks("POST", "/premium/page", form), "sold whatever the method");
    }
    // Laravel takes a method from JSON as it does from a form. JSON may be long, so
    // it is looked into only where another method costs more.
    for json in ["application/json", "Application/Vnd.api+JSON; charset=utf-8"] {
        assert!(looks("POST", "/guide", json), "free, where a GET is sold");
        assert!(!looks("GET", "/guide", json));
        assert!(!looks("POST", "/premium/orders", json), "the dearest itself");
        assert!(looks("PUT", "/premium/orders", json), "where a POST costs more");
        assert!(!looks("POST", "/about", json));
        assert!(!looks("POST", "/premium/page", json));
    }
    assert!(!looks("POST", "/guide", "image/png"));
    // Rack takes it for a form.
    let untyped = type_to_look_into(site(), &Request::new("POST", "/guide")).unwrap();
    assert_eq!(untyped.as_deref(), Some(""));
    assert!(!looks("PUT", "/guide", ""), "of a POST alone");
    for untyped in ["", " ", "; charset=utf-8"] {
        assert!(looks("POST", "/guide", untyped), "{untyped:?}");
        assert!(body_names_method(untyped, b"_method=GET"), "{untyped:?}");
        assert!(!body_names_method(untyped, b"name=x"), "{untyped:?}");
    }
    let part = |name: &str| {
        format!("--x\r\nContent-Disposition: form-data; {name}\r\n\r\nGET\r\n--x--\r\n")
    };
    for names in [
        "_method=GET".to_owned(),
        "a=b&%5Fmethod=GET".into(),
        "\r\n_method=GET".into(),
        part("name=\"_method\""),
        part("name=_METHOD"),
        part("name=\"x-http-method-override\""),
        part("name*=utf-8''%5fmethod"),
        // A header that goes on in the next line, and what else parts' names may hold.
        part("\r\n name=\"_method\""),
        part("\n\tname=\"_method\""),
        part("name=\"\r\n _method\""),
        part("name=\"_\\method\""),
        part("name=\"%5Fmethod\""),
        part("name=\"=?utf-8?B?X21ldGhvZA==?=\""),
        part("name = \".method\""),
        part("name=\" _method\""),
        part("name=[method"),
    ] {
        assert!(body_names_method(FORM, names.as_bytes()), "{names}");
    }
    for fine in
        ["method=GET".to_owned(), "a=_method".into(), part("name=\"method\""), String::new()]
    {
        assert!(!body_names_method(FORM, fine.as_bytes()), "{fine}");
    }
    assert!(!body_names_method(FORM, &[0xff, 0xfe]));
    for names in [
        r#"{"_method":"GET"}"#,
        r#" {"a":1,"_METHOD":null}"#,
        r#"{"\u005fmethod":"GET"}"#,
        r#"{"X-HTTP-Method-Override":"GET"}"#,
        // Not everybody refuses these.
        r#"{"_method":"GET","_method":"GET"}"#,
        r#"{"\u005fmethod":"GET","a":1,"a":2}"#,
        r#"{"_method":"GET",}"#,
        "\u{feff}{\"_method\":\"GET\"}",
        "{\"a\":1}\n{\"_method\":\"GET\"}",
    ] {
        assert!(body_names_method("application/json", names.as_bytes()), "{names}");
    }
    for fine in [
        r#"{"method":"GET"}"#,
        r#"{"a":"x&_method=GET"}"#,
        r#"{"a":{"_method":"GET"}}"#,
        r#"{"a":"\u00e9"}"#,
        r#"["_method"]"#,
        r#"{"a":1,"a":2}"#,
        "{\"index\":{}}\n{\"name\":\"caf\\u00e9\"}\n",
        "",
    ] {
        assert!(!body_names_method("application/json", fine.as_bytes()), "{fine}");
    }
}

#[test]
fn a_form_that_cannot_be_read_is_refused_where_the_method_counts() {
    let look = |target: &str, media_type: &str, encoding: &str| {
        let request = Request::new("POST", target).with("Content-Type", media_type);
        let request = request.with("Content-Encoding", encoding);
        type_to_look_into(site(), &request).map(|it| it.is_some())
    };
    for packed in ["gzip", "br", "identity, deflate", "x"] {
        assert_eq!(look("/guide", FORM, packed), Err(NotRead::Packed), "{packed}");
        assert_eq!(look("/guide", "application/json", packed), Err(NotRead::Packed), "{packed}");
        assert_eq!(look("/about", FORM, packed), Ok(false), "free whatever the method");
        assert_eq!(look("/guide", "image/png", packed), Ok(false), "no form");
    }
    assert_eq!(look("/guide", FORM, "Identity"), Ok(true));
    for charset in ["IBM037", "utf-16", "UTF-7", "\"utf-16le\"", "utf-8; charset=ibm500", ""] {
        for form in [FORM, "multipart/form-data; boundary=x", "application/json"] {
            let media_type = format!("{form}; charset={charset}");
            assert_eq!(look("/guide", &media_type, ""), Err(NotRead::Charset), "{media_type}");
            assert_eq!(look("/about", &media_type, ""), Ok(false), "{media_type}");
        }
    }
    for charset in ["utf-8", "UTF8", "\"utf-8\"", "iso-8859-1", "windows-1252", "US-ASCII"] {
        let media_type = format!("{FORM}; charset={charset}");
        assert_eq!(look("/guide", &media_type, ""), Ok(true), "{media_type}");
    }
    let utf16: Vec<u8> = r#"{"_method":"GET"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(body_names_method("application/json", &utf16), "what JSON's readers find out alone");
}

#[test]
fn an_exact_page_covers_its_other_names_whichever_was_configured() {
    for pattern in ["/", "/index", "/index.html"] {
        let routes = serde_json::json!([{ "pattern": pattern, "price": "$0.01" }]);
        let loaded = config::read(&settings("assets", routes));
        for target in ["", "/", "/index", "/index.html", "/?x", "/x/.."] {
            let outcome = Request::get(target).outcome(&loaded);
            assert!(outcome.starts_with("402 0 "), "{pattern}: {target}: {outcome}");
        }
    }
}

#[test]
fn headers_that_name_another_path_are_refused_unless_assets_answer() {
    let odd = ["X_Rewrite_URL", "x-original_url"];
    let cut_off = ["SCRIPT_NAME", "X-Script-Name", "Path_Info"];
    let named = ["X-Original-URL", "X-Rewrite-URL", "x-rewrite-url"].into_iter().chain(cut_off);
    for name in named.chain(odd) {
        for target in ["/about", "/premium/page"] {
            let request = Request::get(target).with(name, "/premium/page");
            assert_eq!(request.outcome(site()), OTHER_PATH, "{name}");
        }
        let request = Request::get("/about").with(name, "/premium/page");
        assert_eq!(request.outcome(assets()), "forward /about");
        for origin in ["service", "zone"] {
            let loaded = config::read(&settings(origin, routes()));
            assert_eq!(request.outcome(&loaded), OTHER_PATH, "{origin}");
        }
    }
}

#[test]
fn the_url_that_is_sold_is_the_canonical_one() {
    for (url, sold) in [
        ("https://SHOP.example/%70remium//page?b=2&a=%20#x", "/premium/page?b=2&a=%20"),
        ("HTTPS://shop.EXAMPLE/premium/Page", "/premium/Page"),
        ("https://shop.example/x/../premium/?", "/premium/?"),
    ] {
        let request = Request { url: url.into(), ..Request::get("") };
        let edge402::gate::Decision::PaymentRequired(sale, None) = request.decide(site()) else {
            panic!("{url}")
        };
        assert_eq!(sale.url, format!("https://shop.example{sold}"), "{url}");
    }
}

/// A segment of dots and a parameter: what drops the parameter (Tomcat, Jetty,
/// Spring) is left with a segment of dots, and follows it.
#[test]
fn dot_segments_with_parameters_open_nothing() {
    for target in [
        "/free/..;/premium/page",
        "/free/..;x=1/premium/page",
        "/free/..%3b/premium/page",
        "/free/%2e%2e;/premium/page",
        "/.;/premium/page",
        "/.;/guide",
        "/x/..;/guide",
        "/premium.;x/page",
        "/guide.;x",
        "/guide%20;x",
    ] {
        let outcome = Request::get(target).outcome(site());
        assert!(!outcome.starts_with("forward"), "{target}: {outcome}");
    }
}

/// `BadPath::BadCharacter`: "a byte that is never UTF-8". A lenient decoder
/// reads the first three as a slash or a dot.
#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for target in [
        "/premium%e0%80%afpage",
        "/premium%f0%80%80%afpage",
        "/free/%e0%80%ae%e0%80%ae/premium/page",
        "/guide%ff",
        "/guide%f5%80%80%80",
        "/guide%80",
    ] {
        assert_eq!(Request::get(target).outcome(site()), CHARACTER, "{target}");
    }
}
