//! Free paths as the client spelled them.
//!
//! A path may mean something in a spelling of its own: a URL within it has two
//! slashes in a row, a package's name an escaped one. Origins read those in
//! more ways than one. Where no way leads to anything that is sold, the path
//! can pass as it is.

use super::{BadPath, CanonicalPath, Separators, decode_once, name_of};

/// How often an origin may decode a path again.
const DECODINGS: usize = 3;

/// How many empty segments a path may keep: a URL in a path has one or two. Each is three
/// more readings of the whole path, and a URL may have thousands.
const EMPTY_MAX: usize = 8;

/// How many bytes the readings of one path may have together: the longest path that
/// Cloudflare takes (16 KB) four times, and one of 300 bytes in all of them.
pub const READ_MAX: usize = 64 * 1024;

/// A path as it was spelled, and all that an origin may read in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled {
    /// With its empty segments and its escaped separators. No reader finds dot
    /// segments in it.
    pub path: CanonicalPath,
    /// What it may be read as, each in its one spelling.
    pub readings: Vec<CanonicalPath>,
}

impl CanonicalPath {
    /// The path, and what an origin may read that decodes it again: to it, an escaped `?`
    /// or `#` is the path's end. All of it has `most` bytes at most, see [`READ_MAX`].
    ///
    /// # Errors
    /// Why such a reading would be refused, or that there is more to read.
    pub fn decoded_again(&self, most: usize) -> Result<Vec<Self>, BadPath> {
        let mut readings = Readings { found: vec![], left: most };
        for text in decodings(&self.0)? {
            for text in with_slashes(&text) {
                readings.add(&text)?;
            }
        }
        Ok(readings.found)
    }

    /// The path as it was spelled. All that it may be read as has `most` bytes at most, see
    /// [`READ_MAX`].
    ///
    /// # Errors
    /// Why it can't pass as it is.
    pub fn as_spelled(raw: &str, most: usize) -> Result<Spelled, BadPath> {
        let spelled = decode_once(raw, Separators::Keep)?;
        // To some, two slashes at the beginning are a host's.
        if !spelled.starts_with('/') || spelled.starts_with("//") {
            return Err(BadPath::NotAbsolute);
        }
        for text in with_slashes(&spelled) {
            can_be_kept(&text)?;
        }
        let mut readings = Readings { found: vec![], left: most };
        for text in decodings(&spelled)? {
            for text in with_slashes(&text) {
                readings.add_with_parts(&text)?;
            }
        }
        Ok(Spelled { path: Self(spelled), readings: readings.found })
    }
}

/// Whether no reader finds dot segments in a path, or another host.
fn can_be_kept(text: &str) -> Result<(), BadPath> {
    let segments = || text.split('/');
    let empty = segments().filter(|segment| segment.is_empty()).count();
    if text.starts_with("//") || empty > EMPTY_MAX {
        return Err(BadPath::HiddenSeparator);
    }
    let is_dots = |segment: &str| {
        let name = name_of(segment);
        !name.is_empty() && name.bytes().all(|byte| byte == b'.')
    };
    if segments().any(is_dots) { Err(BadPath::TrailingDot) } else { Ok(()) }
}

/// What a path may be read as.
struct Readings {
    found: Vec<CanonicalPath>,
    /// How many bytes more may be read.
    left: usize,
}

impl Readings {
    /// Adds a path, and what stands behind its empty segments: there a reader may see a
    /// path of its own, or the host of a URL and then its path.
    fn add_with_parts(&mut self, text: &str) -> Result<(), BadPath> {
        self.add(text)?;
        let segments: Vec<&str> = text.split('/').collect();
        let last = segments.len().saturating_sub(1);
        for at in (1..last).filter(|at| segments.get(*at).is_some_and(|segment| segment.is_empty()))
        {
            let after = |skipped: usize| segments.get(at + skipped..).unwrap_or_default().join("/");
            let before = segments.get(..at).unwrap_or_default().join("/");
            self.add(&format!("/{}", after(1)))?;
            self.add(&format!("/{}", after(2)))?;
            self.add(&format!("{before}/{}", after(2)))?;
        }
        Ok(())
    }

    /// Adds a path, and what it is to a reader to whom an escaped `?` or `#` is its end.
    fn add(&mut self, text: &str) -> Result<(), BadPath> {
        self.read(text)?;
        match ["%3F", "%23"].iter().filter_map(|end| text.find(end)).min() {
            Some(before) => self.read(text.get(..before).unwrap_or_default()),
            None => Ok(()),
        }
    }

    fn read(&mut self, text: &str) -> Result<(), BadPath> {
        self.left = self.left.checked_sub(text.len()).ok_or(BadPath::TooManyReadings)?;
        self.found.push(plain_reading(text)?);
        Ok(())
    }
}

/// A decoded path, and what is left of it after each decoding more.
fn decodings(path: &str) -> Result<Vec<String>, BadPath> {
    let mut all = vec![path.to_owned()];
    while let Some(last) = all.last().filter(|last| last.contains("%25"))
        && all.len() <= DECODINGS
    {
        let next = decode_leniently(last)?;
        if next == *last {
            break;
        }
        all.push(next);
    }
    Ok(all)
}

/// What is left of a decoded path after one decoding more. A `%` without digits stays what
/// it is, as it does in lenient decoders; strict ones refuse the path.
fn decode_leniently(text: &str) -> Result<String, BadPath> {
    let text = text.replace("%25", "%");
    let mut parts = text.split('%');
    let mut escaped = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.as_bytes().get(..2);
        let is_escape = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        escaped.push_str(if is_escape { "%" } else { "%25" });
        escaped.push_str(part);
    }
    decode_once(&escaped, Separators::Keep)
}

/// A path whose escaped separators are slashes, or characters like others: origins that
/// don't take one for a separator leave it in its segment, or drop it with parameters.
fn with_slashes(text: &str) -> Vec<String> {
    let mut found = vec![text.to_owned()];
    for escaped in ["%2F", "%5C"].into_iter().filter(|escaped| text.contains(escaped)) {
        let known = |text: &String| ["/", "_"].map(|read_as| text.replace(escaped, read_as));
        found = found.iter().flat_map(known).collect();
    }
    found
}

/// A reading of a path: no segment keeps the dots and spaces at its end.
fn plain_reading(text: &str) -> Result<CanonicalPath, BadPath> {
    let mut segments = vec![];
    for segment in text.split('/') {
        let name = without_end(name_of(segment), |c| c == '.');
        // To some, `..;` leads up, and to others it is a page.
        if matches!(name, "." | "..") && name != segment {
            return Err(BadPath::TrailingDot);
        }
        segments.push(name);
    }
    CanonicalPath::parse(&segments.join("/"))
}

/// A segment's name without the dots and spaces at its end. What is nothing but dots
/// then keeps them: `.` and `..` are for the path to follow. `is_dot` is asked for each
/// character that is looked at.
pub fn without_end(name: &str, is_dot: impl Fn(char) -> bool) -> &str {
    // Other dots can go, since something else stands before them. These are counted once,
    // not for each dot at the end: there may be thousands.
    let dots_before = name.len() - name.trim_start_matches(&is_dot).len();
    let mut name = name;
    while let Some(shorter) = name
        .strip_suffix("%20")
        .or_else(|| name.strip_suffix(&is_dot).filter(|shorter| shorter.len() > dots_before))
    {
        name = shorter;
    }
    name
}
