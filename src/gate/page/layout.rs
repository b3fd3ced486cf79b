//! A page of the seller's own for people to pay on: HTML with placeholders.
//!
//! What stands in a placeholder is safe in one kind of place only, so a file
//! with one in any other place is refused as a whole, and never half used.

use std::borrow::Cow;
use std::fmt;

/// The longest file, in bytes: it is kept in memory and goes out with every
/// page.
pub const MAX_LAYOUT: usize = 65_536;

/// Our own page, as `dev/pay-page.mjs` makes it of `www/pay`. Compiled in, so
/// that it is there when the origin is not.
const OURS: &str = include_str!("page.html");

/// Placeholders for plain text: in an element or in a quoted attribute.
const TEXTS: [&str; 6] = ["lang", "seller", "what", "price", "total", "url"];

/// Placeholders for elements.
const ELEMENTS: [&str; 7] = ["buys", "error", "logo", "links", "style", "program", PAY];

/// All that pays: wallets, progress, the result, and the script behind them.
const PAY: &str = "pay";

/// What a script needs to know, as JSON, for a seller who writes that script.
const DATA: &str = "data";

/// A page with its placeholders.
#[derive(Clone, Debug)]
pub struct Layout(Cow<'static, str>);

impl Default for Layout {
    fn default() -> Self {
        Self(Cow::Borrowed(OURS))
    }
}

impl Layout {
    /// Reads a seller's file.
    ///
    /// # Errors
    ///
    /// Says which rule it breaks.
    pub fn parse(text: String) -> Result<Self, InvalidLayout> {
        let mut rest = text.as_str();
        let mut place = Place::Element;
        let mut ways_to_pay = 0;
        while !rest.is_empty() {
            let Some(after) = rest.strip_prefix("{{") else {
                (place, rest) = place.step(rest);
                continue;
            };
            let Some((name, after)) = after.split_once("}}") else {
                return Err(InvalidLayout::Open);
            };
            place.may_hold(name)?;
            ways_to_pay += usize::from(name == PAY || name == DATA);
            rest = after;
        }
        if ways_to_pay == 1 { Ok(Self(Cow::Owned(text))) } else { Err(InvalidLayout::Pay) }
    }

    /// The page, with its placeholders.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a seller's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidLayout {
    /// A placeholder has no end.
    Open,
    /// There is no placeholder of this name.
    Unknown(String),
    /// A placeholder stands where its text is not safe, or not seen.
    Misplaced(String),
    /// It does not hold one way to pay.
    Pay,
}

impl fmt::Display for InvalidLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("a {{ has no }}"),
            Self::Unknown(name) => {
                write!(f, "there is no {{{{{name}}}}}; it knows ")?;
                for name in TEXTS.iter().chain(&ELEMENTS) {
                    write!(f, "{name}, ")?;
                }
                f.write_str(DATA)
            }
            Self::Misplaced(name) if name == DATA => {
                f.write_str("{{data}} stands outside <script type=\"application/json\">")
            }
            Self::Misplaced(name) if TEXTS.contains(&name.as_str()) => {
                write!(f, "{{{{{name}}}}} stands neither in an element nor in a quoted attribute")
            }
            Self::Misplaced(name) => write!(f, "{{{{{name}}}}} stands inside of a tag"),
            Self::Pay => f.write_str("it must hold {{pay}} once, or {{data}} once"),
        }
    }
}

/// Where in a page a placeholder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between tags.
    Element,
    /// In a tag, and what begins at its end.
    Tag(Content),
    /// In an attribute between these quotes, the same.
    Quoted(char, Content),
    /// In an element whose content is no markup.
    Raw(Content),
    /// In `<!-- -->`.
    Comment,
}

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Markup,
    Script,
    Json,
    Style,
}

impl Content {
    /// The end of such an element; empty where there is none to look for.
    const fn end(self) -> &'static str {
        match self {
            Self::Markup => "",
            Self::Script | Self::Json => "</script",
            Self::Style => "</style",
        }
    }

    /// What the tag at the beginning of a text holds.
    fn of_tag(text: &str) -> Self {
        if starts(text, "<script") {
            let tag = text.split('>').next().unwrap_or_default();
            if tag.contains("\"application/json\"") { Self::Json } else { Self::Script }
        } else if starts(text, "<style") {
            Self::Style
        } else {
            Self::Markup
        }
    }
}

impl Place {
    /// The place behind the next character or mark of a text, and the text
    /// behind that.
    fn step(self, text: &str) -> (Self, &str) {
        let mut characters = text.chars();
        let first = characters.next();
        let second = characters.clone().next();
        let rest = characters.as_str();
        match (self, first) {
            (Self::Element, Some('<')) if text.starts_with("<!--") => {
                (Self::Comment, text.strip_prefix("<!--").unwrap_or_default())
            }
            (Self::Element, Some('<')) if second.is_some_and(|it| !it.is_whitespace()) => {
                (Self::Tag(Content::of_tag(text)), rest)
            }
            (Self::Tag(Content::Markup), Some('>')) => (Self::Element, rest),
            (Self::Tag(content), Some('>')) => (Self::Raw(content), rest),
            (Self::Tag(content), Some(quote @ ('"' | '\''))) => {
                (Self::Quoted(quote, content), rest)
            }
            (Self::Quoted(quote, content), Some(it)) if it == quote => (Self::Tag(content), rest),
            (Self::Raw(content), Some('<')) if starts(text, content.end()) => {
                (Self::Tag(Content::Markup), rest)
            }
            (Self::Comment, Some('-')) if text.starts_with("-->") => {
                (Self::Element, text.strip_prefix("-->").unwrap_or_default())
            }
            _ => (self, rest),
        }
    }

    /// Whether a placeholder is safe here.
    fn may_hold(self, name: &str) -> Result<(), InvalidLayout> {
        let is_well = if name == DATA {
            self == Self::Raw(Content::Json)
        } else if TEXTS.contains(&name) {
            matches!(self, Self::Element | Self::Quoted(..))
        } else if ELEMENTS.contains(&name) {
            self == Self::Element
        } else {
            return Err(InvalidLayout::Unknown(name.chars().take(32).collect()));
        };
        if is_well { Ok(()) } else { Err(InvalidLayout::Misplaced(name.into())) }
    }
}

/// Whether a text begins so, in letters of any case.
fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(text: &str) -> Option<InvalidLayout> {
        Layout::parse(text.into()).err()
    }

    #[test]
    fn texts_stand_in_elements_and_quotes_and_elements_between_tags() {
        for good in [
            "{{pay}}",
            "<html lang=\"{{lang}}\"><title>{{what}}</title>{{style}}<body>{{pay}}",
            "<h1 title='{{what}} for {{price}}'>{{seller}}</h1><p>1 < 2 {{pay}}",
            "<!-- {pay} --><script src=\"/pay.js\"></script>{{pay}}{{program}}{{links}}{{logo}}",
            "<style>a{b:c}</STYLE>{{error}}{{buys}}{{total}}<a href=\"{{url}}\">x</a>{{pay}}",
            "<script type=\"application/json\" id=\"data\">{{data}}</script>",
        ] {
            assert_eq!(fault_of(good), None, "{good}");
        }
    }

    #[test]
    fn a_placeholder_elsewhere_is_refused() {
        for (text, name) in [
            ("<h1 title={{what}}>{{pay}}", "what"),
            ("<h1 {{what}}>{{pay}}", "what"),
            ("<script>'{{what}}'</script>{{pay}}", "what"),
            ("<SCRIPT\n>{{url}}</SCRIPT>{{pay}}", "url"),
            ("<style>{{seller}}</style>{{pay}}", "seller"),
            ("<!-- {{price}} -->{{pay}}", "price"),
            ("<p title=\"{{buys}}\">{{pay}}", "buys"),
            ("<p title=\"{{pay}}\">", "pay"),
            ("<script type=\"application/json\">{{pay}}</script>", "pay"),
            ("<p>{{data}}", "data"),
            ("<p data-x=\"{{data}}\">", "data"),
            ("<script>x = {{data}}</script>", "data"),
            ("<script type=\"application/json\">{{url}}</script>{{pay}}", "url"),
            ("<p title='\"{{what}}'{{what}}>{{pay}}", "what"),
        ] {
            assert_eq!(fault_of(text), Some(InvalidLayout::Misplaced(name.into())), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_not_ended_or_not_paid_on_is_refused() {
        assert_eq!(fault_of("{{pay}}{{t:paid}}"), Some(InvalidLayout::Unknown("t:paid".into())));
        assert_eq!(fault_of("{{pay}}{{ what }}"), Some(InvalidLayout::Unknown(" what ".into())));
        assert_eq!(fault_of("{{pay}}{{what"), Some(InvalidLayout::Open));
        let json = "<script type=\"application/json\">{{data}}</script>";
        for text in ["", "<p>{{price}}", "{{pay}}{{pay}}", &format!("{{{{pay}}}}{json}")] {
            assert_eq!(fault_of(text), Some(InvalidLayout::Pay), "{text}");
        }
    }

    #[test]
    fn our_own_page_keeps_the_rules() {
        assert_eq!(fault_of(OURS), None);
    }
}
