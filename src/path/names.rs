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

/// What follows the name of a page in that of its data, or of its text for programs.
const ALONG: [&str; 7] =
    [".txt", ".rsc", ".prefetch.rsc", ".data", ".html__data.json", ".md", ".html.md"];

/// The same in the folder of the page.
const INSIDE: [&str; 12] = [
    "index.txt",
    "index.rsc",
    "index.prefetch.rsc",
    "__index.prefetch.rsc",
    "_root.data",
    "_root.rsc",
    "_.data",
    "_.rsc",
    "q-data.json",
    "index.md",
    "index.html.md",
    "index.xml",
];

/// How data in the page's folder begins that has a number in its name.
const NUMBERED: [&str; 2] = ["_payload.", "q-loader-"];

/// What the data of a page's segments begins with, however deep it lies.
const SEGMENTS: [&str; 3] = ["/__next.", ".segments/", "/index.segments/"];

/// Where frameworks keep the data of all pages: the folder, whether the number of a build
/// follows, and what ends the name of a page.
const FOLDERS: [(&str, bool, &str); 4] = [
    ("/_next/data/", true, ".json"),
    ("/_nuxt/static/", true, "/payload.js"),
    ("/_nuxt/static/", true, "/state.js"),
    ("/page-data/", false, "/page-data.json"),
];

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

/// Whether this follows the name of a page in that of its data, for a client that has
/// the site's code already, or of its text.
pub(super) fn is_of_data(rest: &str) -> bool {
    if SEGMENTS.iter().any(|folder| rest.starts_with(folder)) || ALONG.contains(&rest) {
        return true;
    }
    let Some(name) = rest.strip_prefix('/').filter(|name| !name.contains('/')) else {
        return false;
    };
    INSIDE.contains(&name)
        || NUMBERED.iter().any(|start| name.starts_with(start))
            && [".json", ".js"].iter().any(|end| name.ends_with(end))
}

/// The pages whose data a key may name, where a framework keeps it in a folder. Next.js
/// names the language even where its page doesn't.
pub(super) fn pages_of_data(key: &str) -> Vec<String> {
    let page_in = |&(folder, has_build, end): &(&str, bool, &str)| {
        let (base, rest) = key.strip_suffix(end)?.split_once(folder)?;
        // Nothing follows the build where the page is the root.
        let behind_build = || rest.split_once('/').map_or("", |(_, page)| page);
        Some((base, if has_build { behind_build() } else { rest }))
    };
    let Some((base, page)) = FOLDERS.iter().find_map(page_in) else { return vec![] };
    let below_base = |page: &str| format!("{base}/{page}").trim_end_matches('/').to_owned();
    let mut pages = vec![below_base(page)];
    let (first, others) = page.split_once('/').unwrap_or((page, ""));
    if is_language(first) {
        pages.push(below_base(others));
    }
    pages
}

/// Whether a segment looks like a language (`en`, `zh-hant-tw`), or the one that
/// Next.js's own guide calls `default`.
fn is_language(segment: &str) -> bool {
    let mut parts = segment.split('-');
    let is_first = parts.next().is_some_and(|first| {
        matches!(first.len(), 2..=3) && first.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    let is_tag = |part: &str| {
        matches!(part.len(), 2..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    segment == "default" || is_first && parts.all(is_tag)
}
