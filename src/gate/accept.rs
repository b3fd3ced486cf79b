//! Who reads a 402: a person at a browser, or a program.

use super::Head;

/// Whether a person looks at the answer: a browser that loads a document, and
/// would rather have a page than JSON.
///
/// A program that is taken for a person gets a page that it can't read, and
/// doesn't pay; a person that is taken for a program sees JSON. So both must
/// speak for a person: what is accepted, and who asks. A browser says in
/// `Sec-Fetch-Dest` what it loads (Fetch Metadata), unless the page is neither
/// https nor local; then its `User-Agent` begins with `Mozilla/`.
pub fn wants_page(head: &impl Head) -> bool {
    let Some(accept) = head.header("Accept") else { return false };
    let page = weight(&accept, "text/html");
    if page == 0 || page < weight(&accept, "application/json") {
        return false;
    }
    match head.header("Sec-Fetch-Dest") {
        Some(to) => matches!(to.as_str(), "document" | "iframe" | "frame" | "embed" | "object"),
        None => head.header("User-Agent").is_some_and(|agent| agent.starts_with("Mozilla/")),
    }
}

/// How much a media type is wanted, in thousandths (RFC 9110, section 12.4.2),
/// where `Accept` names it; 0 where it doesn't.
fn weight(accept: &str, wanted: &str) -> u32 {
    let entries = accept.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        Some(quality(parts))
    });
    entries.max().unwrap_or(0)
}

/// How much an entry of an `Accept` header is wanted, by its parameters, in
/// thousandths.
pub(super) fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u32 {
    let quality = parameters.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    quality.map_or(1_000, thousandths)
}

/// `1`, `0.5`; 0 for what can't be read.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 1 || fraction.len() > 3 || !is_number(whole) || !is_number(fraction) {
        return 0;
    }
    format!("{whole}{fraction:0<3}").parse::<u32>().map_or(0, |it| it.min(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_three_digits_after_its_point_at_most() {
        for (quality, weight) in [
            ("1", 1_000),
            ("1.0", 1_000),
            ("0.5", 500),
            ("0.999", 999),
            ("0.", 0),
            ("1.5", 1_000),
            ("0.1234", 0),
            ("10", 0),
            ("", 0),
            (".5", 0),
            ("x", 0),
            ("0.x", 0),
            ("-1", 0),
            ("+", 0),
        ] {
            assert_eq!(thousandths(quality), weight, "{quality}");
        }
    }

    struct Asked<'a>(&'a [(&'a str, &'a str)]);

    impl Head for Asked<'_> {
        fn method(&self) -> &'static str {
            "GET"
        }
        fn url(&self) -> &'static str {
            "https://shop.example/"
        }
        fn header(&self, name: &'static str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        }
    }

    const FIREFOX: (&str, &str) = ("User-Agent", "Mozilla/5.0 (X11; Linux) Firefox/140.0");

    #[test]
    fn a_browser_gets_a_page_where_it_would_rather_have_one() {
        for (accept, is_page) in [
            ("text/html", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("TEXT/HTML ; Q=0.9, application/json;q=0.9", true),
            ("application/json;q=0.1, text/html;level=1;q=0.2", true),
            ("text/html;q=0, application/json", false),
            ("text/html;q=0.000", false),
            ("application/json, text/html;q=0.1", false),
            ("text/html;q=high", false),
            ("text/htmlx", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(wants_page(&Asked(&[("Accept", accept), FIREFOX])), is_page, "{accept}");
        }
        assert!(!wants_page(&Asked(&[FIREFOX])));
    }

    #[test]
    fn only_a_browser_that_loads_a_document_is_a_person() {
        let asked = |headers: &[(&str, &str)]| {
            let mut all = vec![("Accept", "text/html")];
            all.extend(headers);
            wants_page(&Asked(&all))
        };
        assert!(asked(&[("Sec-Fetch-Dest", "document")]));
        assert!(asked(&[("Sec-Fetch-Dest", "iframe"), FIREFOX]));
        for program in [
            &[][..],
            &[("User-Agent", "curl/8.5.0")],
            &[("User-Agent", "python-requests/2.32 (not Mozilla/5.0)")],
            &[("Sec-Fetch-Dest", "empty"), FIREFOX],
        ] {
            assert!(!asked(program), "{program:?}");
        }
    }
}
