//! The languages of the page, and the texts in each.

use serde_json::Value;

use crate::json;

/// The texts of each language, by its tag. The first is for whoever asks for
/// none of them.
const LANGUAGES: &[(&str, &str)] = &[
    ("en", include_str!("../../../www/pay/texts/en.json")),
    ("de", include_str!("../../../www/pay/texts/de.json")),
    ("es", include_str!("../../../www/pay/texts/es.json")),
    ("fr", include_str!("../../../www/pay/texts/fr.json")),
    ("ja", include_str!("../../../www/pay/texts/ja.json")),
    ("pt", include_str!("../../../www/pay/texts/pt.json")),
    ("zh", include_str!("../../../www/pay/texts/zh.json")),
];

/// The texts of one language: JSON, with a text for each name.
#[derive(Clone, Copy, Debug)]
pub struct Language(&'static str);

impl Language {
    /// The language that a browser likes best of those there are (RFC 9110,
    /// section 12.5.4). Regions are not told apart.
    pub fn of(accept_language: Option<&str>) -> Self {
        let mut best = (0, LANGUAGES.first());
        for entry in accept_language.unwrap_or_default().split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let primary = tag.split('-').next().unwrap_or_default();
            let weight = super::super::accept::quality(parts);
            let known = LANGUAGES.iter().find(|(known, _)| primary.eq_ignore_ascii_case(known));
            if known.is_some() && weight > best.0 {
                best = (weight, known);
            }
        }
        Self(best.1.map_or("{}", |(_, texts)| texts))
    }

    /// The texts as they stand in the page, for its script.
    pub fn json(self) -> &'static str {
        self.0
    }

    /// The texts by their names.
    pub fn words(self) -> Words {
        Words(json::parse(self.0).unwrap_or_default())
    }
}

/// Texts by their names.
#[derive(Debug)]
pub struct Words(Value);

impl Words {
    /// A text; empty if there is none of this name.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_liked_best_is_spoken() {
        for (accept, tag) in [
            (None, "en"),
            (Some(""), "en"),
            (Some("tlh, *;q=0.5"), "en"),
            (Some("en-GB,en;q=0.9"), "en"),
            (Some("EN;q=0"), "en"),
            (Some("de"), "de"),
            (Some("nl, de-AT;q=0.8, en;q=0.7"), "de"),
            (Some("en;q=0.5, fr-CA"), "fr"),
            (Some("zh-Hant-TW, ja;q=0.9"), "zh"),
            (Some("pt-BR,pt;q=0.9,es;q=0.8"), "pt"),
            (Some("de;q=0, ja;q=0.1"), "ja"),
            (Some("de;q=much, es;q=0.2"), "es"),
        ] {
            assert_eq!(Language::of(accept).words().get("lang"), tag, "{accept:?}");
        }
    }
}
