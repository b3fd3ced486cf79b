//! `PAGE`: how the page looks that people pay on.

use serde_json::Value;

use super::fields::{Fields, Report};
use crate::path::CanonicalPath;

const KNOWN: &[&str] = &["name", "logo", "accent", "home", "terms", "support", "template"];

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// The longest logo or link, in bytes: it goes out with every page.
const MAX_URL: usize = 8_192;

/// How the page looks that people pay on. What the seller leaves out is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayPage {
    /// Who sells.
    pub name: String,
    /// A picture: a path on the shop's own host, or a `data:` URL.
    pub logo: String,
    /// The colour of what is pressed: `#rrggbb`.
    pub accent: String,
    /// Where the way back leads.
    pub home: String,
    /// The terms of sale.
    pub terms: String,
    /// Where buyers get help.
    pub support: String,
    /// The path at the origin of a page of the seller's own.
    pub template: Option<CanonicalPath>,
}

impl PayPage {
    /// Reads the variable `PAGE`.
    pub(super) fn read(value: Option<&Value>, faults: &Report) -> Self {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Self::default() };
        let fields = Fields::new("PAGE".into(), value, KNOWN, faults);
        let name = fields.words("name");
        if name.chars().count() > MAX_NAME || name.contains('\n') {
            fields.fault("name", "must be one line of at most 64 characters");
        }
        let checked = |member: &str, is_good: fn(&str) -> bool, problem: &str| {
            let text = fields.text(member).unwrap_or_default();
            let is_plain = text.len() <= MAX_URL && text.bytes().all(|it| it.is_ascii_graphic());
            if !(text.is_empty() || is_plain && is_good(text)) {
                fields.fault(member, problem);
            }
            text.to_owned()
        };
        let logo =
            "must be a path such as \"/logo.svg\", or a data:image/ URL of at most 8192 bytes";
        let link = "must be a URL that begins with https://, or a path";
        let support = "must be a URL that begins with https:// or mailto:, or a path";
        let template = checked("template", is_file, "must be a path such as \"/pay.html\"");
        Self {
            name,
            logo: checked("logo", |it| is_path(it) || it.starts_with("data:image/"), logo),
            accent: checked("accent", is_colour, "must be a colour such as \"#1c4fd6\""),
            home: checked("home", is_link, link),
            terms: checked("terms", is_link, link),
            support: checked("support", |it| is_link(it) || it.starts_with("mailto:"), support),
            template: CanonicalPath::parse(&template).ok(),
        }
    }
}

/// A path on the shop's own host.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\")
}

/// A path without a query, which can be read in one way only.
fn is_file(text: &str) -> bool {
    is_path(text)
        && !text.contains(['?', '#'])
        && CanonicalPath::parse(text).is_ok_and(|path| path.as_str() == text)
}

fn is_link(text: &str) -> bool {
    is_path(text) || text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
}

fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|it| it.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults_of(page: &Value) -> Vec<String> {
        let report = Report::default();
        PayPage::read(Some(page), &report);
        report.into_faults().0.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn what_is_left_out_is_empty() {
        let report = Report::default();
        assert_eq!(PayPage::read(None, &report), PayPage::default());
        assert_eq!(PayPage::read(Some(&json!({})), &report), PayPage::default());
        assert_eq!(report.len(), 0);
    }

    #[test]
    fn each_key_takes_what_it_is_for() {
        for page in [
            json!({ "name": "Tom & Söhne", "logo": "/logo.svg", "accent": "#0aF0ff" }),
            json!({ "logo": "data:image/svg+xml,%3Csvg/%3E", "home": "/", "terms": "/terms" }),
            json!({ "home": "https://shop.example/", "support": "mailto:help@shop.example" }),
            json!({ "support": "https://shop.example/help?x=1" }),
            json!({ "template": "/pay.html" }),
        ] {
            assert_eq!(faults_of(&page), [""; 0], "{page}");
        }
    }

    #[test]
    fn each_fault_is_reported_with_its_key() {
        for (member, wrong) in [
            ("name", json!("x".repeat(65))),
            ("name", json!("a\u{7}b")),
            ("name", json!(7)),
            ("logo", json!("https://elsewhere.example/logo.svg")),
            ("logo", json!("//elsewhere.example/logo.svg")),
            ("logo", json!("data:text/html,x")),
            ("logo", json!(format!("/{}", "x".repeat(8_192)))),
            ("accent", json!("blue")),
            ("accent", json!("#12345")),
            ("accent", json!("#12345g")),
            ("home", json!("javascript:alert(1)")),
            ("home", json!("https://")),
            ("home", json!("/\\elsewhere.example")),
            ("terms", json!("mailto:x@shop.example")),
            ("support", json!("http://shop.example/")),
            ("support", json!("/with space")),
            ("template", json!("pay.html")),
            ("template", json!("https://elsewhere.example/pay.html")),
            ("template", json!("/pay.html?x")),
            ("template", json!("/a/../pay.html")),
            ("template", json!("//elsewhere.example/pay.html")),
        ] {
            let mut page = json!({});
            page[member] = wrong.clone();
            assert_eq!(faults_of(&page), [format!("PAGE.{member}")], "{wrong}");
        }
        assert_eq!(faults_of(&json!({ "colour": "#000000" })), ["PAGE"]);
        assert_eq!(faults_of(&json!("blue")), ["PAGE"]);
    }
}
