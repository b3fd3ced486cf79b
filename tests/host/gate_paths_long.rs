//! Long paths that can be read in many ways: each reading costs, so few bytes are
//! read in all of them together, and nothing passes that was not read.

use std::cell::Cell;

use edge402::config::{self, Loaded};
use edge402::gate::straight::free_from;
use edge402::path::{CanonicalPath, Fold, READ_MAX, without_end};

use crate::gate_support::{Request, SHOP, routes, settings};

thread_local! {
    static COMPARED: Cell<usize> = const { Cell::new(0) };
}

/// Letters are folded once for each reading that is compared with what is sold, if
/// it has any but ASCII's.
fn counted(text: &str) -> String {
    COMPARED.set(COMPARED.get() + text.len());
    text.to_owned()
}

/// How many bytes were compared meanwhile.
fn compared(work: impl FnOnce()) -> usize {
    let before = COMPARED.get();
    work();
    COMPARED.get() - before
}

fn site() -> Loaded {
    let mut settings = settings("https://own.example", routes());
    settings.fold = Fold(counted);
    config::read(&settings)
}

/// Of the longest that Cloudflare takes (16 KB): seven empty segments, and what can be
/// decoded twice more.
fn long() -> String {
    format!("/caf%C3%A9%2525/{}{}", "a//".repeat(7), "b".repeat(15_000))
}

#[test]
fn few_bytes_are_read_of_a_long_path_with_many_readings() {
    let site = site();
    for target in [long(), long().replace("a//", "a%2F%2F"), long().replace("//", "/.//")] {
        let outcome = Cell::new(String::new());
        let once = compared(|| outcome.set(Request::get(&target).outcome(&site)));
        // Those of the path itself, and of the one that leads nowhere else.
        assert!(once <= 2 * (READ_MAX + target.len()), "{once} bytes for {}", &target[..40]);
        let outcome = outcome.take();
        let passed = outcome.strip_prefix("forward ");
        // As it was spelled it was not read to the end.
        assert!(passed.is_none_or(|path| !path.contains("//") && !path.contains("%2F")));
    }
}

#[test]
fn what_takes_long_to_read_is_not_read_before_it_is_decided() {
    let site = site();
    let url = format!("{SHOP}{}", long());
    assert!(compared(|| assert!(free_from(&site, "GET", &url).is_none())) < 2 * url.len());
    for target in ["/caf%C3%A9//https://e.example/a", "/caf%C3%A9/100%2525", "/free/a//b"] {
        assert!(free_from(&site, "GET", &format!("{SHOP}{target}")).is_some(), "{target}");
    }
}

#[test]
fn a_path_that_is_too_long_for_its_readings_is_refused() {
    let site = site();
    let much = "the path is too long for the many ways in which it can be read";
    let target = format!("/%252525/{}%3Fx", "b".repeat(15_000));
    let outcome = Request::get(&target).outcome(&site);
    assert!(outcome == format!("400 {much}"), "{}", outcome.get(..80).unwrap_or(&outcome));
    let target = format!("/100%25/{}", "b".repeat(15_000));
    assert!(Request::get(&target).outcome(&site) == format!("forward {target}"));
}

#[test]
fn a_path_of_thousands_of_slashes_has_no_more_readings_than_another() {
    for (path, most) in [("/a", 1), ("/a//b", 4), ("/a//b//c//d", 10)] {
        let spelled = CanonicalPath::as_spelled(path, READ_MAX).unwrap();
        assert!(spelled.readings.len() <= most, "{path}: {}", spelled.readings.len());
    }
    for path in [format!("/a{}b", "/".repeat(16_000)), "/a//".repeat(4_000), "/%2F".repeat(4_000)] {
        assert!(CanonicalPath::as_spelled(&path, READ_MAX).is_err());
    }
}

#[test]
fn each_character_of_a_long_end_is_looked_at_once_or_twice() {
    let long = [".", "%20", ".%20", "..%20"].map(|end| end.repeat(15_900 / end.len()));
    for name in
        long.iter().flat_map(|end| ["", "a", "..", "..a", "a%20b"].map(|it| it.to_owned() + end))
    {
        let looks = Cell::new(0);
        without_end(&name, |character| {
            looks.set(looks.get() + 1);
            character == '.'
        });
        assert!(looks.get() <= 2 * name.len(), "{} looks at {}", looks.get(), &name[..10]);
    }
}

/// Takes one dot or space at a time, as long as more than dots is left.
fn without_end_by_steps(name: &str) -> &str {
    let is_more = |text: &&str| !text.trim_matches('.').is_empty();
    let shorter = name.strip_suffix("%20").or(name.strip_suffix('.').filter(is_more));
    shorter.map_or(name, without_end_by_steps)
}

proptest::proptest! {
    #[test]
    fn names_lose_the_dots_and_spaces_at_their_end(name in "(\\.|%20|a|é|%|2|0){0,9}") {
        let short = without_end(&name, |character| character == '.');
        proptest::prop_assert_eq!(short, without_end_by_steps(&name));
    }

    #[test]
    fn no_readings_take_more_than_they_may(path in "(/|%2F|%25|25|3F|[a-z]{1,9}){0,40}", most in 0..2_000_usize) {
        let length = |readings: &[CanonicalPath]| -> usize {
            readings.iter().map(|reading| reading.as_str().len()).sum()
        };
        if let Ok(spelled) = CanonicalPath::as_spelled(&format!("/a{path}"), most) {
            proptest::prop_assert!(length(&spelled.readings) <= most);
        }
        if let Ok(path) = CanonicalPath::parse(&format!("/a{path}"))
            && let Ok(readings) = path.decoded_again(most)
        {
            proptest::prop_assert!(length(&readings) <= most);
        }
    }
}
