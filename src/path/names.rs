//! What origins call one page: with endings and indexes, behind scripts, and what its data
//! is called beside it.

/// Scripts: what stands behind one in a path is an argument to it.
const SCRIPTS: [&str; 12] =
    ["php", "phtml", "cgi", "pl", "py", "rb", "asp", "aspx", "ashx", "jsp", "jspx", "cfm"];

/// Endings that origins add to the names of pages, or drop from them.
const PAGES: [&str; 5] = ["html", "htm", "xhtml", "shtml", "json"];

/// Endings of what a page makes use of, which is no format of the page.
pub(super) const PARTS: [&str; 9] =
    ["css", "js", "mjs", "map", "ico", "woff", "woff2", "ttf", "otf"];

/// What the page of a folder is called, and its data for a client that has
/// the site's code already.
const INDEXES: [&str; 4] = ["index", "default", "__data", "_payload"];

/// What follows the name of a page in that of its data.
pub(super) const ALONG: [&str; 6] =
    [".txt", ".rsc", ".data", "/index.txt", "/index.rsc", "/_root.data"];

/// What follows it in those of its segments' data.
pub(super) const SEGMENTS: [&str; 2] = ["/__next.", ".segments/"];

fn ending_of(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())
}

fn is_script(name: &str) -> bool {
    ending_of(name).is_some_and(|(_, ending)| SCRIPTS.contains(&ending))
}

/// The part of a key that names the page: without the arguments of a script,
/// the ending of its name, and the name of a folder's own page.
pub(super) fn page_of(key: &str) -> &str {
    let mut page = key;
    if page.bytes().any(|byte| byte == b'.') {
        let mut end = 0;
        for segment in key.split('/').skip(1) {
            end += 1 + segment.len();
            if is_script(segment) {
                page = key.get(..end).unwrap_or(key);
                break;
            }
        }
    }
    while let Some((folder, name)) = page.rsplit_once('/') {
        match stem_of(name) {
            Some(stem) => return page.get(..folder.len() + 1 + stem.len()).unwrap_or(page),
            None => page = folder,
        }
    }
    page
}

/// A page's name without its endings, however many they are; `None` for the page of
/// a folder.
fn stem_of(mut name: &str) -> Option<&str> {
    while name != "index" {
        match ending_of(name) {
            Some((stem, ending)) if PAGES.contains(&ending) || SCRIPTS.contains(&ending) => {
                if INDEXES.contains(&stem) {
                    return None;
                }
                name = stem;
            }
            _ => return Some(name),
        }
    }
    None
}

/// The key without the first folder's script that something follows.
pub(super) fn without_front_script(key: &str) -> Option<String> {
    if !key.bytes().any(|byte| byte == b'.') {
        return None;
    }
    let mut start = 0;
    for segment in key.split('/').skip(1) {
        let end = start + 1 + segment.len();
        let rest = key.get(end..).unwrap_or_default();
        if !rest.is_empty() && is_script(segment) && segment.starts_with("index.") {
            return Some(format!("{}{rest}", key.get(..start).unwrap_or_default()));
        }
        start = end;
    }
    None
}

/// The page whose data a key names, where a framework keeps it in a folder: Next.js by
/// the number of a build, and Gatsby.
pub(super) fn page_of_data(key: &str) -> Option<String> {
    let (base, page) = if let Some((base, rest)) = key.split_once("/_next/data/") {
        (base, rest.split_once('/')?.1.strip_suffix(".json")?)
    } else {
        let (base, rest) = key.split_once("/page-data/")?;
        (base, rest.strip_suffix("/page-data.json")?)
    };
    Some(format!("{base}/{page}"))
}
