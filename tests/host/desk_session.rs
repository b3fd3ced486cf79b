//! Sessions of the desk: what a cookie opens, and what makes none.

use edge402::config::{self, Config, Desk, Settings};
use edge402::desk::is_own;
use edge402::desk::session::{Session, is_from_here};
use edge402::encoding::encode_hex;
use edge402::gate::grant::{cookies_without_grants, may_hold_grants};
use edge402::mac;
use sha2::{Digest, Sha256};

use crate::gate_support::{routes, settings};

const NUMBER: [u8; 32] = [7; 32];

fn hash(token: &str) -> String {
    encode_hex(&Sha256::digest(token.as_bytes()))[2..].to_owned()
}

fn config(tokens: &[&str]) -> Config {
    let hashes: Vec<String> = tokens.iter().map(|token| hash(token)).collect();
    let settings = settings("assets", routes());
    config::read(&Settings { desk_tokens: Some(hashes.join(",")), ..settings }).config.unwrap()
}

/// A session, and its cookie as the browser sends it.
fn open(desk: &Desk, token: &str) -> (Session, String) {
    let (session, cookie) = Session::open(&NUMBER, desk.hash_of(token).unwrap()).unwrap();
    for part in ["Path=/.edge402", "Max-Age=43200", "HttpOnly", "Secure", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|it| it == part), "{cookie}");
    }
    (session, cookie.split(';').next().unwrap().to_owned())
}

#[test]
fn a_cookie_names_its_session() {
    let config = config(&["one", "two"]);
    for token in ["one", "two"] {
        let (session, cookie) = open(&config.desk, token);
        assert_eq!(session.token, format!("0x{}", hash(token)));
        assert_eq!(Session::read(&cookie, &config.desk), Some(session.clone()));
        let among = format!("theme=dark; edge402_desk=old.; {cookie}; edge402_0=x");
        assert_eq!(Session::read(&among, &config.desk), Some(session));
    }
}

#[test]
fn what_is_kept_makes_no_cookie() {
    let config = config(&["one"]);
    let (session, cookie) = open(&config.desk, "one");
    let number = encode_hex(&NUMBER);
    for secret in [number.as_str(), "one"] {
        assert!(!session.id.contains(secret) && !session.token.contains(secret));
    }
    assert!(cookie.contains(&number));
    // With the hash that is kept in place of the number, and the HMAC of it.
    let key = Sha256::digest(b"one");
    let code = mac::code_of(&key, &["edge402 desk session 1", &session.id]).unwrap();
    let made_up = format!("edge402_desk={}.{}", session.id, encode_hex(&code));
    assert_ne!(Session::read(&made_up, &config.desk).unwrap().id, session.id);
}

#[test]
fn a_session_ends_with_its_token() {
    let before = config(&["one", "two"]);
    let (_, cookie) = open(&before.desk, "one");
    assert_eq!(Session::read(&cookie, &config(&["two"]).desk), None);
    let closed = config::read(&settings("assets", routes())).config.unwrap();
    assert_eq!(Session::read(&cookie, &closed.desk), None);
    assert!(Session::read(&cookie, &config(&["three", "one"]).desk).is_some());
}

#[test]
fn what_is_no_cookie_of_ours_is_not_looked_up() {
    let config = config(&["one"]);
    let (_, cookie) = open(&config.desk, "one");
    let swapped = cookie.replacen("07", "08", 1);
    let zeros = "0".repeat(64);
    for cookies in [
        "",
        "edge402_desk",
        "edge402_desk=",
        "edge402_desk=.",
        "my_edge402_desk=x.y",
        &swapped,
        &format!("edge402_desk=0x{zeros}.0x{zeros}"),
        &format!("{cookie}0"),
    ] {
        assert_eq!(Session::read(cookies, &config.desk), None, "{cookies}");
    }
}

#[test]
fn cookies_of_the_same_name_from_a_sibling_host_hide_none() {
    let config = config(&["one"]);
    let (session, cookie) = open(&config.desk, "one");
    let zeros = "0x".to_owned() + &"0".repeat(64);
    for other in ["edge402_desk=x; ".to_owned(), format!("edge402_desk={zeros}.{zeros}; ")] {
        let cookies = format!("{}{cookie}", other.repeat(180));
        assert_eq!(Session::read(&cookies, &config.desk), Some(session.clone()));
    }
}

#[test]
fn no_origin_gets_the_cookie() {
    let (_, cookie) = open(&config(&["one"]).desk, "one");
    assert!(may_hold_grants(&cookie));
    assert_eq!(cookies_without_grants(&cookie), None);
    assert_eq!(cookies_without_grants(&format!("a=b; {cookie}")).as_deref(), Some("a=b"));
}

#[test]
fn own_paths_are_own_ones_however_they_are_spelled() {
    for path in [
        "/.edge402",
        "/.edge402/desk",
        "/.edge402%2Fdesk",
        "/.edge402%2fdesk",
        "/.edge402%5Cdesk",
        "/.edge402\\desk",
        "/.edge402;x/sales",
        "/.edge402%3Bx/sales",
        "/%2Eedge402/desk",
        "/%2eedge40%32%2Fdesk",
        "//.edge402/desk",
        "/%2F.edge402/desk",
    ] {
        assert!(is_own(path), "{path}");
    }
    for path in
        ["", "/", "/.edge40", "/.edge4021", "/.edge402x/desk", "/a/.edge402/desk", "/%", "/%zz"]
    {
        assert!(!is_own(path), "{path}");
    }
}

#[test]
fn only_a_page_of_this_host_changes_anything() {
    let is_ours =
        |site: Option<&str>, origin| is_from_here(site, origin, "https://shop.example:8443");
    let here = Some("https://shop.example:8443");
    assert!(is_ours(Some("same-origin"), here));
    assert!(is_ours(None, here));
    assert!(is_ours(None, Some("http://SHOP.example:8443")), "TLS may end in front");
    for (site, origin) in [
        (None, None),
        (Some("same-site"), here),
        (Some("cross-site"), here),
        (Some("none"), None),
        (Some(""), here),
        (None, Some("null")),
        (None, Some("")),
        (None, Some("https://shop.example")),
        (None, Some("https://shop.example:8443.evil.example")),
        (None, Some("https://evil.example")),
    ] {
        assert!(!is_ours(site, origin), "{site:?} {origin:?}");
    }
}
