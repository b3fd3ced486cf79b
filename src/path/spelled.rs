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
    /// What an origin may read that decodes the path again: to it, an escaped `?` or `#`
    /// is the path's end.
    ///
    /// # Errors
    /// Why such a reading would be refused.
    pub fn decoded_again(&self) -> Result<Vec<Self>, BadPath> {
        let mut readings = vec![];
        let mut text = self.0.clone();
        for round in 0..=DECODINGS {
            if let Some(before) = ["%3F", "%23"].iter().filter_map(|end| text.find(end)).min() {
                readings.push(plain_reading(text.get(..before).unwrap_or_default())?);
            }
            if round == DECODINGS || !text.contains("%25") {
                break;
            }
            text = text.replace("%25", "%");
            match plain_reading(&text) {
                Ok(reading) => readings.push(reading),
                // Nobody can decode it once more.
                Err(BadPath::BadEscape) => break,
                Err(bad) => return Err(bad),
            }
        }
        Ok(readings)
    }

    /// The path as it was spelled.
    ///
    /// # Errors
    /// Why it can't pass as it is.
    pub fn as_spelled(raw: &str) -> Result<Spelled, BadPath> {
        let spelled = decode_once(raw, Separators::Keep)?;
        // To some, two slashes at the beginning are a host's.
        if !spelled.starts_with('/') || spelled.starts_with("//") {
            return Err(BadPath::NotAbsolute);
        }
        let text = spelled.replace("%2F", "/").replace("%5C", "/");
        if text.starts_with("//") {
            return Err(BadPath::HiddenSeparator);
        }
        let segments: Vec<&str> = text.split('/').collect();
        if segments.iter().filter(|segment| segment.is_empty()).count() > EMPTY_MAX {
            return Err(BadPath::HiddenSeparator);
        }
        let is_dots = |segment: &&str| {
            let name = name_of(segment);
            !name.is_empty() && name.bytes().all(|byte| byte == b'.')
        };
        if segments.iter().any(is_dots) {
            return Err(BadPath::TrailingDot);
        }
        let mut readings = vec![];
        let whole = plain_reading(&text)?;
        readings.extend(whole.decoded_again()?);
        readings.push(whole);
        // Behind an empty segment a reader may see a path of its own, or the
        // host of a URL and then its path.
        let last = segments.len().saturating_sub(1);
        for at in (1..last).filter(|at| segments.get(*at).is_some_and(|segment| segment.is_empty()))
        {
            let after = |skipped: usize| segments.get(at + skipped..).unwrap_or_default().join("/");
            let before = segments.get(..at).unwrap_or_default().join("/");
            for reading in [
                format!("/{}", after(1)),
                format!("/{}", after(2)),
                format!("{before}/{}", after(2)),
            ] {
                let reading = plain_reading(&reading)?;
                readings.extend(reading.decoded_again()?);
                readings.push(reading);
            }
        }
        Ok(Spelled { path: Self(spelled), readings })
    }
}

/// A reading of a path: no segment keeps the dots and spaces at its end.
fn plain_reading(text: &str) -> Result<CanonicalPath, BadPath> {
    let text = decode_once(text, Separators::Keep)?.replace("%2F", "/").replace("%5C", "/");
    let segments = text.split('/').map(|segment| {
        let mut name = name_of(segment);
        while let Some(shorter) = name.strip_suffix("%20").or_else(|| {
            // `.` and `..` are for the path to follow.
            name.strip_suffix('.').filter(|shorter| !shorter.trim_matches('.').is_empty())
        }) {
            name = shorter;
        }
        name
    });
    CanonicalPath::parse(&segments.collect::<Vec<_>>().join("/"))
}
