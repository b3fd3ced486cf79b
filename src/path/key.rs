//! What paths are compared by.
//!
//! Origins differ in what they tell apart. What is compared here tells apart
//! only what every origin does, so that a route also covers the spellings
//! under which some origin would serve it.

use std::borrow::Cow;

use super::names::{PARTS, is_of_data, page_of, pages_of_data, without_front_script};
use super::{BadPath, CanonicalPath, name_of};

/// Makes letters alike that some origin takes for one: in any case, composed
/// or decomposed, of any width (Unicode's NFKD and its case mappings). The
/// runtime brings it, because it has the tables; the default knows ASCII only.
/// It is asked only for texts that hold more than ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Fold(pub fn(&str) -> String);

impl Default for Fold {
    fn default() -> Self {
        Self(str::to_owned)
    }
}

impl Fold {
    /// The text with like letters alike: without marks above letters and
    /// without characters that are not seen, either.
    fn of(self, text: &str) -> String {
        let is_dropped = |c: char| {
            matches!(c,
                '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        };
        let folded = (self.0)(text);
        let folded = folded.chars().filter(|c| !is_dropped(*c));
        folded.map(|c| if c == 'ς' { 'σ' } else { c }).collect()
    }
}

/// A path as it is compared with the patterns of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathKeys {
    key: String,
    page: usize,
    /// What the path stands for besides: `/index.php/a` is `/a` to an origin that sends
    /// everything through one script, and `/_next/data/build/a.json` is its data.
    stands_for: Vec<String>,
}

impl PathKeys {
    /// The whole of it: in lower case, without a trailing slash, without
    /// parameters behind a `;`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The page it is: the same for `/a`, `/a/`, `/a.html`, `/a/index.html`
    /// and `/a.json`.
    pub fn page(&self) -> &str {
        self.key.get(..self.page).unwrap_or(&self.key)
    }

    /// Whether this is the page `other` in a format of its own: `/a.pdf` is
    /// one of `/a`. What a page only makes use of is none.
    pub fn is_format_of(&self, other: &Self) -> bool {
        let Some(rest) = self.key.strip_prefix(other.key.as_str()) else { return false };
        let Some(format) = rest.strip_prefix('.') else { return false };
        format.starts_with(|c: char| c.is_ascii_alphabetic())
            && !format.contains('/')
            && !PARTS.contains(&format.rsplit('.').next().unwrap_or_default())
    }

    /// Whether this is the data of the page `other` for a client that has the site's
    /// code already, or its text for programs: beside the page or in its folder.
    ///
    /// Next.js (`/a.txt`, `/a.rsc`, `/a/index.txt`, and a file for each segment), Remix and
    /// React Router (`/a.data`, `/a/_.data`, `/_root.data`), Svelte's kit
    /// (`/a.html__data.json`), Nuxt (`/a/_payload.build.json`), Qwik (`/a/q-data.json`), Hugo
    /// (`/a/index.xml`), and what <https://llmstxt.org> asks for (`/a.md`, `/a.html.md`).
    pub fn is_data_of(&self, other: &Self) -> bool {
        self.key.strip_prefix(other.page()).is_some_and(is_of_data)
    }

    /// Whether it is the key `prefix` or below it.
    pub fn is_below(&self, prefix: &Self) -> bool {
        self.key
            .strip_prefix(prefix.key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What an origin may take it for besides, that sends everything through one script
    /// or keeps the data of its pages in a folder.
    pub fn stands_for(&self) -> Vec<Self> {
        self.stands_for.iter().cloned().map(Self::of).collect()
    }

    fn of(key: String) -> Self {
        let page = page_of(&key).len();
        let stands_for = match without_front_script(&key) {
            Some(other) => vec![other],
            None => pages_of_data(&key),
        };
        Self { key, page, stands_for }
    }
}

impl CanonicalPath {
    /// The path as it is compared where no letters but ASCII's matter.
    pub fn key(&self) -> String {
        let bare = self.0.strip_suffix('/').unwrap_or(&self.0);
        if is_key_but_for_case(bare) {
            return bare.to_ascii_lowercase();
        }
        let mut key = String::with_capacity(self.0.len());
        for segment in self.0.split('/').skip(1) {
            let name = name_of(segment);
            if !name.is_empty() {
                key.push('/');
                push_decoded(name, &mut key);
            }
        }
        key.make_ascii_lowercase();
        key
    }

    /// The path as it is compared with patterns.
    ///
    /// # Errors
    /// What an origin that makes its letters alike would read in it.
    pub fn keys(&self, fold: Fold) -> Result<PathKeys, BadPath> {
        Ok(PathKeys::of(match self.unescaped() {
            Cow::Borrowed(_) => self.key(),
            // A wide slash or dot is one after folding.
            Cow::Owned(text) => Self::parse(&fold.of(&text))?.key(),
        }))
    }

    /// The path with all letters but ASCII's bare; borrowed if it has none.
    fn unescaped(&self) -> Cow<'_, str> {
        if !self.0.bytes().any(|byte| byte == b'%') {
            return Cow::Borrowed(&self.0);
        }
        let is_letter = |escape: &str| u8::from_str_radix(escape, 16).is_ok_and(|b| b >= 0x80);
        let escapes = || self.0.split('%').skip(1).filter_map(|part| part.get(..2));
        if !escapes().any(is_letter) {
            return Cow::Borrowed(&self.0);
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut parts = self.0.split('%');
        bytes.extend(parts.next().unwrap_or_default().bytes());
        for part in parts {
            let (escape, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            match u8::from_str_radix(escape, 16) {
                Ok(byte) if byte >= 0x80 => bytes.push(byte),
                _ => bytes.extend(format!("%{escape}").bytes()),
            }
            bytes.extend(rest.bytes());
        }
        // It was UTF-8 when the path was parsed.
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether a path without its last slash is its key, once in small letters: as most
/// are, it escapes nothing, has no parameters and no empty segment.
fn is_key_but_for_case(path: &str) -> bool {
    let mut before = 0;
    let is_bare = path.bytes().all(|byte| {
        let is_empty = before == b'/' && byte == b'/';
        before = byte;
        !is_empty && !matches!(byte, b'%' | b';')
    });
    is_bare && before != b'/'
}

/// Characters that a path may hold bare or escaped, which RFC 3986 tells apart
/// and origins don't.
const SUB_DELIMITERS: &[u8] = b"!$&'()*+,=:@[]";

/// Writes a segment with every escape that an origin would decode decoded.
fn push_decoded(segment: &str, key: &mut String) {
    let mut parts = segment.split('%');
    key.push_str(parts.next().unwrap_or_default());
    for part in parts {
        // Escapes are two digits in capitals here.
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        match u8::from_str_radix(code, 16) {
            Ok(byte) if SUB_DELIMITERS.contains(&byte) => key.push(char::from(byte)),
            _ => {
                key.push('%');
                key.push_str(code);
            }
        }
        key.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(raw: &str) -> PathKeys {
        CanonicalPath::parse(raw).unwrap().keys(Fold(wide)).unwrap()
    }

    /// Some of what the runtime's tables do.
    fn wide(text: &str) -> String {
        let text = text.to_uppercase().to_lowercase().replace('é', "e\u{301}");
        text.replace('／', "/").replace('．', ".").replace('ﬁ', "fi")
    }

    #[test]
    fn keys_cover_what_origins_serve_alike() {
        let key = |raw: &str| CanonicalPath::parse(raw).unwrap().key();
        for same in ["/Premium/PAGE", "/premium/page/", "/premium;a=1/page", "/premium/page%3bx"] {
            assert_eq!(key(same), "/premium/page", "{same}");
        }
        assert_eq!(key("/%40jane/report%281%29,a"), key("/@jane/report(1)%2Ca"));
        assert_eq!(key("/c%2B%2B/%5Bid%5D"), key("/c++/[id]"));
        assert_ne!(key("/%2540jane"), key("/@jane"), "an escaped percent sign is no escape");
    }

    #[test]
    fn a_page_has_many_names() {
        for same in [
            "/a",
            "/a/",
            "/A.html",
            "/a.htm",
            "/a.json",
            "/a.php",
            "/a/index",
            "/a/index.html",
            "/a/INDEX.HTML",
            "/a/index.php",
            "/a/default.aspx",
            "/a/index.json",
            "/a.php/x/y",
            "/a/index.php/x",
            "/a.html/index.html",
            "/a.html.php.json/index/index.htm.html",
            "/a/__data.json",
            "/a/_payload.json",
        ] {
            assert_eq!(keys(same).page(), "/a", "{same}");
        }
        for root in ["/", "/index.html", "/index", "/index.php", "/index.php/a", "/default.htm"] {
            assert_eq!(keys(root).page(), "", "{root}");
        }
        for other in ["/a/b", "/a.pdf", "/a/default", "/a/__data", "/a/.html", "/index.html/a"] {
            assert!(!["/a", ""].contains(&keys(other).page()), "{other}");
        }
        assert_eq!(keys("/index.php/a").stands_for(), [keys("/a")]);
        assert_eq!(keys("/a/index.php/b").stands_for(), [keys("/a/b")]);
        assert_eq!(keys("/a/index.php").stands_for(), []);
    }

    #[test]
    fn the_data_of_a_page_is_known_by_its_name() {
        for data in [
            "/a.txt",
            "/A.rsc",
            "/a.data",
            "/a/index.txt",
            "/a/index.rsc",
            "/a/__next._tree.txt",
            "/a/__next.a.__PAGE__.txt",
            "/a/__next.a/__PAGE__.txt",
            "/a.segments/_tree.segment.rsc",
            "/a.prefetch.rsc",
            "/a/index.prefetch.rsc",
            "/a/_.data",
            "/a/_.rsc",
            "/a/_root.rsc",
            "/a.html__data.json",
            "/a/_payload.js",
            "/a/_payload.Qx3-b.json",
            "/a/q-data.json",
            "/a/q-loader-Qx3b.b1.json",
            "/a.md",
            "/a.html.md",
            "/a/index.md",
            "/a/index.html.md",
            "/a/index.xml",
        ] {
            assert!(keys(data).is_data_of(&keys("/a")), "{data}");
            assert!(keys(data).is_data_of(&keys("/a/index.html")), "{data}");
        }
        for none in [
            "/ab.txt",
            "/a/b.txt",
            "/a/b/index.txt",
            "/a.pdf",
            "/a/x",
            "/b/__next._tree.txt",
            "/a/b/_.data",
            "/a/_b.data",
            "/a/index.js",
            "/a/index.wasm",
            "/a/index.png",
            "/a/index.xml/b",
            "/a/_payload",
            "/a/_payload.x/b.json",
            "/a/q-loader-x",
        ] {
            assert!(!keys(none).is_data_of(&keys("/a")), "{none}");
        }
        for data in [
            "/index.txt",
            "/_root.data",
            "/__next._full.txt",
            "/_.data",
            "/index.segments/_tree.segment.rsc",
            "/__index.prefetch.rsc",
            "/index.xml",
        ] {
            assert!(keys(data).is_data_of(&keys("/")), "{data}");
        }
        for (data, page) in [
            ("/_next/data/Qx3_b/a.json", "/a"),
            ("/_next/data/b/a/b.json", "/a/b"),
            ("/_next/data/b/index.json", "/"),
            ("/base/_next/data/b/a.json", "/base/a"),
            ("/_next/data/b/en/a.json", "/a"),
            ("/_next/data/b/en/a.json", "/en/a"),
            ("/_next/data/b/zh-hant-TW/a/b.json", "/a/b"),
            ("/_next/data/b/default/a.json", "/a"),
            ("/_next/data/b/en.json", "/"),
            ("/_nuxt/static/16/a/payload.js", "/a"),
            ("/_nuxt/static/16/a/b/state.js", "/a/b"),
            ("/_nuxt/static/16/payload.js", "/"),
            ("/page-data/a/page-data.json", "/a"),
            ("/page-data/a/b/page-data.json", "/a/b"),
            ("/page-data/index/page-data.json", "/"),
        ] {
            let stands_for = keys(data).stands_for();
            assert!(stands_for.iter().any(|it| it.page() == keys(page).page()), "{data}");
        }
        for none in [
            "/_next/data/b",
            "/_next/data/b/a.js",
            "/_next/static/b/a.json",
            "/page-data/app-data.json",
            "/_nuxt/static/16/a/other.js",
            "/_nuxt/a/payload.js",
        ] {
            assert_eq!(keys(none).stands_for(), [], "{none}");
        }
    }

    #[test]
    fn a_format_is_another_ending() {
        let is_format = |path: &str| keys(path).is_format_of(&keys("/a"));
        for format in ["/a.pdf", "/a.CSV", "/a.fr.html", "/a.html.gz", "/a.data", "/a.png"] {
            assert!(is_format(format), "{format}");
        }
        for none in ["/a", "/a.css", "/a.js", "/a.js.map", "/a.1", "/a.b/c", "/ab.pdf", "/a/b.pdf"]
        {
            assert!(!is_format(none), "{none}");
        }
    }

    #[test]
    fn letters_are_told_apart_by_no_case_and_no_form() {
        for same in ["/café", "/CAFÉ", "/cafe\u{301}", "/CAF%C3%89", "/ca\u{200b}fé", "/cafe"] {
            assert_eq!(keys(same).key(), "/cafe", "{same}");
        }
        assert_eq!(keys("/ΟΔΟΣ/x").key().split('/').nth(1), keys("/οδοσ").key().split('/').nth(1));
        assert_eq!(keys("/straße"), keys("/STRASSE"));
        assert_eq!(keys("/ﬁle"), keys("/file"));
        assert_eq!(keys("/free/．．／premium").key(), "/premium");
        assert_ne!(keys("/日本"), keys("/東京"));
        let above = CanonicalPath::parse("/．．／premium").unwrap();
        assert_eq!(above.keys(Fold(wide)), Err(BadPath::AboveRoot));
    }
}
