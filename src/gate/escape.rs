//! Texts of the seller's, written so that no format takes them for its own.

use std::fmt::Write as _;

/// Writes a text for the inside of an element or an attribute (XML 1.0, sections
/// 2.2 and 2.4).
pub(super) fn escape_xml(text: &str, to: &mut String) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&apos;"),
            // No document may hold these, however they are written.
            '\u{fffe}' | '\u{ffff}' => to.push('\u{fffd}'),
            c if c.is_control() => to.push(' '),
            c => to.push(c),
        }
    }
}

/// Writes a text as it is, between more backticks than it has in a row (`CommonMark`
/// 0.31, section 6.1), for one cell of a table.
pub(super) fn code_span(text: &str, to: &mut String) {
    let most = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(most + 1);
    // What begins or ends with one stands apart from the fence.
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    // A table takes its own lines out first (GFM 0.29, section 4.10).
    let text = text.replace('|', "\\|");
    let _ = write!(to, "{fence}{space}{text}{space}{fence}");
}

/// Writes a text for one cell of a table: all that Markdown gives a meaning to
/// is escaped (`CommonMark` 0.31, section 2.4).
pub(super) fn escape_markdown(text: &str, to: &mut String) {
    for c in text.chars() {
        match c {
            c if c.is_control() => to.push(' '),
            // An entity is the only way in which no reader takes it for a tag.
            '<' => to.push_str("&lt;"),
            '&' => to.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '>' | '#' | '|' | '!' | '~' => {
                to.push('\\');
                to.push(c);
            }
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_they_are() {
        for (path, expected) in [
            ("/my_docs/*", "`/my_docs/*`"),
            ("/a`b", "``/a`b``"),
            ("/a``b`", "``` /a``b` ```"),
            ("/a|b", "`/a\\|b`"),
        ] {
            let mut text = String::new();
            code_span(path, &mut text);
            assert_eq!(text, expected);
        }
    }
}
