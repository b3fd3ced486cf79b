//! Every spelling of a path, at the gate: it is sold, or it is refused, or it
//! is no spelling of something that is sold.

use crate::gate_support::{Request, assets, config, routes, settings, site};
use edge402::config;

const SEPARATOR: &str = "400 the path holds an encoded slash or a backslash";
const CHARACTER: &str = "400 the path holds a control character or a bad byte";
const ESCAPE: &str = "400 the path holds a % without two hex digits behind it";
const ROOT: &str = "400 the path leaves the root";
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
        ("/premium.html", "forward /premium.html"),
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
    // One page to a server of static assets, other pages to a site.
    table(&[
        ("/guide.html", "402 1 /guide.html", "forward /guide.html"),
        ("/GUIDE.HTML", "402 1 /GUIDE.HTML", "forward /GUIDE.HTML"),
        ("/guide%2ehtml", "402 1 /guide.html", "forward /guide.html"),
        ("/guide/index", "402 1 /guide/index", "forward /guide/index"),
        ("/guide/index.html", "402 1 /guide/index.html", "forward /guide/index.html"),
    ]);
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
    for name in ["X-Original-URL", "X-Rewrite-URL", "x-rewrite-url"] {
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
