//! Which requests a route covers.

use super::method::Method;
use crate::path::{BadPath, CanonicalPath, Fold, PathKeys};

/// An exact path, or everything below a prefix (`/premium/*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    keys: PathKeys,
    is_prefix: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for the seller.
    pub fn parse(text: &str, fold: Fold) -> Result<Self, String> {
        let path = text.strip_suffix('*').unwrap_or(text);
        let is_prefix = path.len() < text.len();
        if let Some(fixed) = before_placeholder(path) {
            return Err(format!(
                "{text:?} holds a placeholder, and patterns know none: \
                 write \"{fixed}/*\", the prefix that covers all that is below"
            ));
        }
        if is_prefix && !path.ends_with('/') {
            let folder = path.trim_end_matches('.');
            return Err(format!("{text:?} must end in /*, with the slash: \"{folder}/*\""));
        }
        if path.contains(['?', '#']) {
            return Err(format!("{text:?} must be a path, and a path has no query: no ? and no #"));
        }
        let refuse = |error: BadPath| format!("{text:?}: {}", error.message());
        let canonical = CanonicalPath::parse(path).map_err(refuse)?;
        if canonical.as_str() != path {
            let star = if is_prefix { "*" } else { "" };
            return Err(format!("{text:?} should be spelled \"{}{star}\"", canonical.as_str()));
        }
        let keys = canonical.keys(fold).map_err(refuse)?;
        Ok(Self { text: text.to_owned(), keys, is_prefix })
    }

    /// The pattern as the seller wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path itself, or the prefix without its `*`, which it covers too.
    pub fn path(&self) -> &str {
        self.text.strip_suffix('*').unwrap_or(&self.text)
    }

    /// Whether it covers what is below the path as well.
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Whether some origin would serve both under one name.
    pub fn is_same_page(&self, other: &Self) -> bool {
        match (self.is_prefix, other.is_prefix) {
            (false, false) => self.keys.page() == other.keys.page(),
            (true, true) => self.keys.key() == other.keys.key(),
            _ => false,
        }
    }

    fn covers(&self, path: &PathKeys) -> bool {
        path.page() == self.keys.page()
            || path.is_data_of(&self.keys)
            || if self.is_prefix {
                path.is_below(&self.keys)
            } else {
                path.is_format_of(&self.keys)
            }
    }
}

/// What stands before the first segment that is a placeholder in somebody
/// else's notation: `:id`, `$id`, `{id}`, `[id]`, `<id>`, `*`. An escaped `:`
/// or `$` is none.
fn before_placeholder(path: &str) -> Option<&str> {
    let is_placeholder = |segment: &str| {
        let holds = |bare: char, escaped: &str| {
            segment.contains(bare) || segment.to_ascii_uppercase().contains(escaped)
        };
        let is_named = segment
            .strip_prefix([':', '$'])
            .is_some_and(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'));
        is_named
            || holds('*', "%2A")
            || holds('{', "%7B")
            || holds('<', "%3C")
            || (holds('[', "%5B") && holds(']', "%5D"))
    };
    let mut start = 0;
    for segment in path.split('/') {
        if is_placeholder(segment) {
            return path.get(..start).map(|fixed| fixed.trim_end_matches('/'));
        }
        start += segment.len() + 1;
    }
    None
}

/// What the patterns say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The number of the route that sells it; `None` if it is free.
    pub route: Option<usize>,
    /// Whether that depends on its method.
    pub by_method: bool,
}

/// The patterns of all routes, the most specific first.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    entries: Vec<Entry>,
    fold: Fold,
}

#[derive(Clone, Debug)]
struct Entry {
    pattern: Pattern,
    methods: Option<Vec<Method>>,
    route: usize,
}

impl PatternSet {
    /// Sorts patterns by how specific they are: an exact path before a prefix,
    /// a longer prefix before a shorter one, named methods before all methods.
    pub fn new(patterns: Vec<(Pattern, Option<Vec<Method>>)>, fold: Fold) -> Self {
        let rank = |entry: &Entry| {
            let pattern = &entry.pattern;
            let length = pattern.keys.key().len();
            (pattern.is_prefix, std::cmp::Reverse(length), entry.methods.is_none())
        };
        let mut entries: Vec<Entry> = vec![];
        for (route, (pattern, methods)) in patterns.into_iter().enumerate() {
            let entry = Entry { pattern, methods, route };
            let place = entries.partition_point(|other| rank(other) <= rank(&entry));
            entries.insert(place, entry);
        }
        Self { entries, fold }
    }

    /// Looks for the route that sells a request.
    ///
    /// # Errors
    /// Why the path is refused, if an origin could read something else in its
    /// letters.
    pub fn find(&self, path: &CanonicalPath, method: &Method) -> Result<Found, BadPath> {
        if self.entries.is_empty() {
            return Ok(Found::default());
        }
        let keys = path.keys(self.fold)?;
        let mut found = self.among(&keys, method);
        for keys in keys.stands_for() {
            let other = self.among(&keys, method);
            found.route = found.route.or(other.route);
            found.by_method |= other.by_method;
        }
        Ok(found)
    }

    fn among(&self, keys: &PathKeys, method: &Method) -> Found {
        let mut found = Found::default();
        for entry in self.entries.iter().filter(|entry| entry.pattern.covers(keys)) {
            found.by_method |= entry.methods.is_some();
            let is_sold = |methods: &Vec<Method>| methods.iter().any(|it| it.covers(method));
            if entry.methods.as_ref().is_none_or(is_sold) {
                found.route = Some(entry.route);
                break;
            }
        }
        found
    }

    /// Whether a path is sold under any method, or may be.
    pub fn may_sell(&self, path: &CanonicalPath) -> bool {
        let Ok(keys) = path.keys(self.fold) else { return true };
        let is_sold = |keys: &PathKeys| self.entries.iter().any(|entry| entry.pattern.covers(keys));
        is_sold(&keys) || keys.stands_for().iter().any(is_sold)
    }

    /// What the seller may not know of the routes.
    pub fn notes(&self) -> Vec<String> {
        let is_prefix_sold = |exact: &Entry| {
            self.entries.iter().any(|entry| {
                entry.pattern.is_prefix && exact.pattern.keys.is_below(&entry.pattern.keys)
            })
        };
        let folders = self.entries.iter().filter(|entry| {
            let pattern = &entry.pattern;
            !pattern.is_prefix && pattern.text.ends_with('/') && !is_prefix_sold(entry)
        });
        folders
            .map(|Entry { route, pattern, .. }| {
                let text = &pattern.text;
                format!(
                    "ROUTES[{route}].pattern: {text:?} sells this one page; \
                     what is below it stays free. To sell that too: \"{text}*\""
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, String> {
        Pattern::parse(text, Fold::default())
    }

    fn set(patterns: &[(&str, Option<&str>)]) -> PatternSet {
        let patterns = patterns.iter().map(|(pattern, method)| {
            (parse(pattern).unwrap(), method.map(|m| vec![m.parse().unwrap()]))
        });
        PatternSet::new(patterns.collect(), Fold::default())
    }

    fn find(set: &PatternSet, method: &str, path: &str) -> Found {
        set.find(&CanonicalPath::parse(path).unwrap(), &method.parse().unwrap()).unwrap()
    }

    fn route(set: &PatternSet, method: &str, path: &str) -> Option<usize> {
        find(set, method, path).route
    }

    #[test]
    fn the_most_specific_route_wins() {
        let set = set(&[
            ("/*", None),
            ("/a/*", None),
            ("/a/b", None),
            ("/a/*", Some("POST")),
            ("/a/b/*", None),
        ]);
        assert_eq!(route(&set, "GET", "/"), Some(0));
        assert_eq!(route(&set, "GET", "/ab"), Some(0));
        assert_eq!(route(&set, "GET", "/a/x"), Some(1));
        assert_eq!(route(&set, "GET", "/a"), Some(1));
        assert_eq!(route(&set, "POST", "/a/x"), Some(3));
        assert_eq!(route(&set, "POST", "/a/b"), Some(2));
        assert_eq!(route(&set, "GET", "/a/b/c"), Some(4));
        assert_eq!(route(&set, "GET", "/A/B/"), Some(2));
    }

    #[test]
    fn get_covers_head_and_other_methods_are_free() {
        let set = set(&[("/a", Some("GET"))]);
        assert_eq!(route(&set, "GET", "/a"), Some(0));
        assert_eq!(route(&set, "HEAD", "/a"), Some(0));
        assert_eq!(route(&set, "POST", "/a"), None);
        assert!(find(&set, "POST", "/a").by_method);
        assert!(!find(&set, "GET", "/b").by_method);
    }

    #[test]
    fn a_page_is_sold_under_all_its_names() {
        let set = set(&[
            ("/a.html", None),
            ("/b/*", None),
            ("/c", None),
            ("/d/", None),
            ("/e.php", None),
            ("/c.pdf", Some("GET")),
        ]);
        for (paths, number) in [
            (&["/a", "/a/", "/a.html", "/a/index.html", "/A.php", "/a.php/x"][..], 0),
            (&["/b", "/b/", "/b/c.html", "/b.html", "/b.json", "/b.php/x", "/b/index.php/x"], 1),
            (&["/b.txt", "/b.data", "/_next/data/x/b.json", "/_next/data/x/b/y.json"], 1),
            (&["/b.md", "/b.prefetch.rsc", "/_next/data/x/de/b.json"], 1),
            (&["/c", "/c.html", "/c/index.html", "/c.json", "/c.xml", "/index.php/c"], 2),
            (&["/c/index.txt", "/c/__next._full.txt", "/page-data/c/page-data.json"], 2),
            (&["/c/_.data", "/c/_payload.js", "/c/q-data.json", "/_next/data/x/de/c.json"], 2),
            (&["/c.html__data.json", "/c/index.xml", "/c/index.html.md"], 2),
            (&["/d", "/d/", "/d/index.html", "/d.html", "/d/index.php/x", "/d.fr.html"], 3),
            (&["/e.php", "/e.php/x", "/e", "/E.PHP/x/y", "/index.php/e.php/x"], 4),
            (&["/c.pdf", "/c.pdf/"], 5),
        ] {
            for path in paths {
                assert_eq!(route(&set, "GET", path), Some(number), "{path}");
            }
        }
        assert_eq!(route(&set, "POST", "/c.pdf"), Some(2), "a format of the page");
        for free in ["/a.pdf", "/a/b", "/b.png", "/c.css", "/c/x", "/d/x", "/e/x", "/cc", "/"] {
            assert_eq!(route(&set, "GET", free), None, "{free}");
            assert!(!set.may_sell(&CanonicalPath::parse(free).unwrap()), "{free}");
        }
    }

    #[test]
    fn the_seller_is_told_what_stays_free_below_a_folder() {
        let notes = |patterns: &[(&str, Option<&str>)]| set(patterns).notes();
        assert_eq!(
            notes(&[("/a", None), ("/b/", None), ("/c/*", None)]),
            ["ROUTES[1].pattern: \"/b/\" sells this one page; what is below it stays free. \
                 To sell that too: \"/b/*\""]
        );
        assert_eq!(notes(&[("/b/", None), ("/b/*", None)]), [""; 0]);
        assert_eq!(notes(&[("/b/", None), ("/*", None)]), [""; 0]);
    }

    #[test]
    fn a_pattern_must_be_in_its_one_spelling() {
        for (wrong, hint) in [
            ("/a*", "/*"),
            ("a", "slash"),
            ("/a/*/b", "prefix"),
            ("/a?b", "path"),
            ("/a//b", "\"/a/b\""),
            ("/%61/*", "\"/a/*\""),
            ("", "slash"),
        ] {
            let problem = parse(wrong).unwrap_err();
            assert!(problem.contains(hint), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_placeholder_is_a_fault_that_says_what_to_write() {
        for (wrong, right) in [
            ("/api/chapters/:id", "/api/chapters/*"),
            ("/api/users/$id", "/api/users/*"),
            ("/api/users/$id/photos", "/api/users/*"),
            ("/api/users/%7Bid%7D", "/api/users/*"),
            ("/api/users/%7bid%7d/*", "/api/users/*"),
            ("/api/users/{id}", "/api/users/*"),
            ("/api/users/{id}.json", "/api/users/*"),
            ("/blog/[slug]", "/blog/*"),
            ("/blog/[[...slug]]", "/blog/*"),
            ("/blog/%5Bslug%5D", "/blog/*"),
            ("/users/<int:id>", "/users/*"),
            ("/users/%3Cid%3E", "/users/*"),
            ("/premium/**", "/premium/*"),
            ("/premium/**/x", "/premium/*"),
            ("/premium/*.pdf", "/premium/*"),
            ("/premium/%2A", "/premium/*"),
            ("/:a/:b?", "/*"),
            ("/premium*", "/premium/*"),
            ("/premium.*", "/premium/*"),
        ] {
            let problem = parse(wrong).unwrap_err();
            assert!(problem.contains(&format!("\"{right}\"")), "{wrong}: {problem}");
        }
        for good in ["/v1/jobs:cancel", "/odata/%24count", "/cost$5", "/$5", "/@jane", "/f(x)"] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }
}
