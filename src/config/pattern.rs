//! Which requests a route covers.

use super::Method;
use crate::path::CanonicalPath;

/// An exact path, or everything below a prefix (`/premium/*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    key: String,
    asset_key: String,
    is_prefix: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for the seller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_suffix('*').unwrap_or(text);
        let is_prefix = path.len() < text.len();
        if is_prefix && !path.ends_with('/') {
            return Err(format!("{text:?} must end in /*, with the slash"));
        }
        if path.contains(['*', '?', '#']) {
            return Err(format!(
                "{text:?} must be a path, or a prefix ending in /*; it can't hold *, ? or # elsewhere"
            ));
        }
        let canonical =
            CanonicalPath::parse(path).map_err(|error| format!("{text:?}: {}", error.message()))?;
        if canonical.as_str() != path {
            let star = if is_prefix { "*" } else { "" };
            return Err(format!("{text:?} should be spelled \"{}{star}\"", canonical.as_str()));
        }
        Ok(Self {
            text: text.to_owned(),
            key: canonical.key(),
            asset_key: canonical.asset_key(),
            is_prefix,
        })
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

    fn covers(&self, path: &PathKeys) -> bool {
        if self.is_prefix {
            path.key
                .strip_prefix(&self.key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        } else {
            path.key == self.key
                || path.asset_key.as_ref().is_some_and(|key| *key == self.asset_key)
        }
    }
}

struct PathKeys {
    key: String,
    asset_key: Option<String>,
}

/// The patterns of all routes, the most specific first.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    entries: Vec<Entry>,
    assets: bool,
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
    /// `assets`: the origin takes `/a`, `/a.html` and `/a/index.html` for one.
    pub fn new(patterns: Vec<(Pattern, Option<Vec<Method>>)>, assets: bool) -> Self {
        let mut entries: Vec<Entry> = patterns
            .into_iter()
            .enumerate()
            .map(|(route, (pattern, methods))| Entry { pattern, methods, route })
            .collect();
        entries.sort_by_key(|entry| {
            let pattern = &entry.pattern;
            (pattern.is_prefix, std::cmp::Reverse(pattern.key.len()), entry.methods.is_none())
        });
        Self { entries, assets }
    }

    /// The number of the route that sells this request; `None` if it is free.
    pub fn route_of(&self, path: &CanonicalPath, method: &Method) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let keys = PathKeys { key: path.key(), asset_key: self.assets.then(|| path.asset_key()) };
        let entry = self.entries.iter().find(|entry| {
            entry.methods.as_ref().is_none_or(|methods| methods.iter().any(|m| m.covers(method)))
                && entry.pattern.covers(&keys)
        })?;
        Some(entry.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[(&str, Option<&str>)], assets: bool) -> PatternSet {
        let patterns = patterns.iter().map(|(pattern, method)| {
            (Pattern::parse(pattern).unwrap(), method.map(|m| vec![m.parse().unwrap()]))
        });
        PatternSet::new(patterns.collect(), assets)
    }

    fn route(set: &PatternSet, method: &str, path: &str) -> Option<usize> {
        set.route_of(&CanonicalPath::parse(path).unwrap(), &method.parse().unwrap())
    }

    #[test]
    fn the_most_specific_route_wins() {
        let set = set(
            &[
                ("/*", None),
                ("/a/*", None),
                ("/a/b", None),
                ("/a/*", Some("POST")),
                ("/a/b/*", None),
            ],
            false,
        );
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
        let set = set(&[("/a", Some("GET"))], false);
        assert_eq!(route(&set, "GET", "/a"), Some(0));
        assert_eq!(route(&set, "HEAD", "/a"), Some(0));
        assert_eq!(route(&set, "POST", "/a"), None);
        assert_eq!(route(&set, "GET", "/a.html"), None);
    }

    #[test]
    fn assets_have_several_names() {
        let set = set(&[("/a.html", None), ("/b/*", None)], true);
        for path in ["/a", "/a/", "/a.html", "/a/index.html", "/b", "/b/", "/b/c.html"] {
            assert!(route(&set, "GET", path).is_some(), "{path}");
        }
        assert_eq!(route(&set, "GET", "/b.html"), None);
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
            let problem = Pattern::parse(wrong).unwrap_err();
            assert!(problem.contains(hint), "{wrong}: {problem}");
        }
    }
}
