//! Origins that decode a path again, each in its way: what passes for nothing leads
//! none of them to what is sold.

use crate::gate_support::{Request, assets, site};
use proptest::prelude::*;

/// How often an origin decodes what it gets, and what it does with what it finds.
#[derive(Clone, Copy, Debug)]
struct Origin {
    decodings: usize,
    /// An escaped `?` or `#` is where the path ends.
    cuts: bool,
    /// A backslash is a slash.
    knows_backslashes: bool,
    /// What stands behind a `;` counts for nothing, nor do dots and spaces at an end.
    trims: bool,
}

impl Origin {
    fn all() -> impl Iterator<Item = Self> {
        (0..=3_usize).flat_map(|decodings| {
            (0..8_u8).map(move |bits| Self {
                decodings,
                cuts: bits & 1 != 0,
                knows_backslashes: bits & 2 != 0,
                trims: bits & 4 != 0,
            })
        })
    }

    /// The page that this path leads to, in small letters.
    fn page(self, path: &str) -> String {
        let mut text = path.to_owned();
        for _ in 0..self.decodings {
            text = decoded(&text);
            if self.cuts {
                text.truncate(text.find(['?', '#']).unwrap_or(text.len()));
            }
        }
        if self.knows_backslashes {
            text = text.replace('\\', "/");
        }
        let mut segments = vec![];
        for segment in text.split('/') {
            let name = if self.trims { trimmed(segment) } else { segment };
            match name {
                "" | "." => {}
                ".." => drop(segments.pop()),
                name => segments.push(name),
            }
        }
        format!("/{}", segments.join("/")).to_ascii_lowercase()
    }
}

fn trimmed(segment: &str) -> &str {
    let name = segment.split(';').next().unwrap_or_default();
    if matches!(name, "." | "..") { name } else { name.trim_end_matches(['.', ' ']) }
}

/// As lenient decoders do it: what is no escape stays.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_at_checked(2).map(|(code, rest)| (u8::from_str_radix(code, 16), rest)) {
            Some((Ok(byte), rest)) if byte.is_ascii() => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    out
}

fn is_sold(page: &str) -> bool {
    page == "/guide" || page == "/premium" || page.starts_with("/premium/")
}

/// Pieces of paths, bare and escaped up to three times, in capitals and in small letters.
fn target() -> impl Strategy<Value = String> {
    let bare = prop::sample::select(vec![
        "/", "/premium", "/guide", "/free", "premium", "guide", "page", "x", "..", ".", "%", ":",
        "2", "3", "f",
    ]);
    let special = prop::sample::select(vec![
        "?", "#", "/", "\\", ".", ";", " ", "p", "g", "%", "2", "3", "5", "F",
    ]);
    let piece = prop_oneof![
        2 => bare.prop_map(str::to_owned),
        2 => (special, 1..=3_usize, any::<bool>()).prop_map(|(text, times, is_small)| {
            let byte = text.bytes().next().unwrap_or_default();
            let code = if is_small { format!("{byte:02x}") } else { format!("{byte:02X}") };
            format!("%{}{code}", "25".repeat(times - 1))
        }),
    ];
    prop::collection::vec(piece, 1..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_origin_reads_what_is_sold_in_a_path_that_is_free(target in target()) {
        for shop in [assets(), site()] {
            let outcome = Request::get(&target).outcome(shop);
            let Some(path) = outcome.strip_prefix("forward ") else { continue };
            for origin in Origin::all() {
                let page = origin.page(path);
                prop_assert!(!is_sold(&page), "{target} is free as {path}, and {page} to {origin:?}");
            }
        }
    }
}
