//! `prices` on a route: what a request costs that is of a certain kind.

use serde_json::Value;

use super::Method;
use super::fields::{Fields, is_header_name};
use super::who::{Class, Passes, read_class_of};
use crate::amount::{InvalidPrice, Price};

/// How many rules a route may have: each is a challenge of its own, which every
/// isolate writes as it starts.
const MAX_RULES: usize = 32;

/// The longest text that is compared with a request's, in bytes.
const MAX_TEXT: usize = 256;

const KNOWN: &[&str] = &["when", "price"];
const KNOWN_OF_WHEN: &[&str] = &["class", "query", "header", "method", "body", "is"];

/// Conditions on a request, of which all must hold.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Who asks.
    pub class: Option<Class>,
    /// Its method.
    pub method: Option<Method>,
    /// Members of its query, by their names.
    pub query: Vec<(String, Wanted)>,
    /// Its headers, by their names.
    pub headers: Vec<(String, Wanted)>,
    /// A member of its JSON body: the names that lead to it.
    pub body: Option<(Vec<String>, Wanted)>,
}

/// A text that is asked for: as a whole, or its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    text: String,
    is_start: bool,
}

/// A rule as it was read, before the route is made of it.
pub(super) struct ReadRule<'a> {
    pub when: When,
    pub price: Price,
    /// Its own table.
    pub fields: Fields<'a>,
}

impl Wanted {
    /// `gpt-4`, or `gpt-*` for all that begins so; `*` is anything that is there.
    fn parse(text: &str) -> Option<Self> {
        let start = text.strip_suffix('*');
        let bare = start.unwrap_or(text);
        let is_good = !text.is_empty()
            && text.len() <= MAX_TEXT
            && !bare.contains('*')
            && bare.trim_start() == bare
            && !bare.contains(char::is_control);
        is_good.then(|| Self { text: bare.to_owned(), is_start: start.is_some() })
    }

    /// Whether a request's text is one of those, to the letter.
    pub fn is(&self, text: &str) -> bool {
        if self.is_start {
            text.starts_with(&self.text) && !text.trim().is_empty()
        } else {
            text == self.text
        }
    }

    /// Whether it is one of those for an origin to which letter case and blanks
    /// around it make no difference.
    pub fn resembles(&self, text: &str) -> bool {
        let text = text.trim();
        let own = if self.is_start { &self.text } else { self.text.trim_end() };
        let compared = if self.is_start { text.get(..own.len()) } else { Some(text) };
        compared.is_some_and(|it| it.eq_ignore_ascii_case(own))
    }
}

impl When {
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        let Self { class, method, query, headers, body } = self;
        let is_none = class.is_none() && method.is_none() && body.is_none();
        is_none && query.is_empty() && headers.is_empty()
    }

    /// Whether the body says whether it holds.
    pub const fn reads_body(&self) -> bool {
        self.body.is_some()
    }
}

/// Reads `prices`.
pub(super) fn read_prices<'a>(fields: &Fields<'a>, passes: &Passes) -> Vec<ReadRule<'a>> {
    let list = inline_list(fields, "prices");
    if list.len() > MAX_RULES {
        fields.fault("prices", format!("has {} entries; {MAX_RULES} are taken", list.len()));
    }
    let mut rules = vec![];
    for (n, value) in list.iter().enumerate() {
        let key = format!("{}[{n}]", fields.key("prices"));
        let own = Fields::new(key, value, KNOWN, fields.faults());
        let price = own.needed("price", "dollars, such as \"$0.01\"");
        let price = price.and_then(|text| read_price(&own, text));
        if let (Some(when), Some(price)) = (read_when(&own, passes), price) {
            rules.push(ReadRule { when, price, fields: own });
        }
    }
    rules
}

/// Reads a price.
pub(super) fn read_price(fields: &Fields<'_>, text: &str) -> Option<Price> {
    read_price_at(fields, "price", text)
}

/// Reads a price that stands under this key.
pub(super) fn read_price_at(fields: &Fields<'_>, name: &str, text: &str) -> Option<Price> {
    let problem = match text.parse::<Price>() {
        Ok(price) => return Some(price),
        Err(InvalidPrice::Malformed) => "must be dollars, such as \"$0.01\"",
        Err(InvalidPrice::Zero) => "is zero; what is free needs no route",
        Err(InvalidPrice::TooLarge) => "is above a million dollars or has over 18 decimals",
    };
    fields.fault(name, problem);
    None
}

/// A list of tables that may be left out, and stands in one line.
fn inline_list<'a>(fields: &Fields<'a>, name: &str) -> &'a [Value] {
    let value = fields.value().get(name).filter(|value| !value.is_null());
    let Some(value) = value else { return &[] };
    let list = value.as_array().map(Vec::as_slice);
    if list.is_none_or(<[Value]>::is_empty) {
        let problem = "must be a list of tables, such as [{ when = { query = { size = \"large\" } }, \
                       price = \"$0.05\" }]";
        fields.fault(name, problem);
    }
    list.unwrap_or_default()
}

fn read_when(rule: &Fields<'_>, passes: &Passes) -> Option<When> {
    let value = rule.value().get("when").filter(|value| !value.is_null());
    let Some(value) = value else {
        rule.fault("when", "is needed: which requests cost this, such as { method = \"POST\" }");
        return None;
    };
    let before = rule.faults().len();
    let fields = Fields::new(rule.key("when"), value, KNOWN_OF_WHEN, rule.faults());
    let mut when = When {
        class: read_class_of(&fields, passes),
        method: read_method(&fields),
        query: read_texts(&fields, "query"),
        headers: read_texts(&fields, "header"),
        body: read_body(&fields),
    };
    if let Some((name, _)) = when.headers.iter().find(|(name, _)| !is_header_name(name)) {
        fields.fault("header", format!("{name:?} is no name of a header"));
    }
    // One way to write a name, so that it is asked for once.
    for (name, _) in &mut when.headers {
        name.make_ascii_lowercase();
    }
    if when.is_empty() && rule.faults().len() == before {
        rule.fault("when", format!("names nothing; it knows {}", KNOWN_OF_WHEN.join(", ")));
    }
    (rule.faults().len() == before).then_some(when)
}

fn read_method(fields: &Fields<'_>) -> Option<Method> {
    let name = fields.text("method")?.to_ascii_uppercase();
    if !Method::KNOWN.contains(&name.as_str()) {
        fields.fault("method", "must be a method, such as \"POST\"");
        return None;
    }
    name.parse().ok()
}

const NO_TEXT: &str = "must be a text, such as \"large\", or the start of one, \"gpt-*\"";

/// A table of texts by their names.
fn read_texts(fields: &Fields<'_>, name: &str) -> Vec<(String, Wanted)> {
    if !fields.has(name) {
        return vec![];
    }
    let table = fields.table(name).into_iter().flatten();
    let read = table.filter_map(|(member, value)| {
        let wanted = value.as_str().and_then(Wanted::parse).filter(|_| !member.is_empty());
        if wanted.is_none() {
            fields.fault(&format!("{name}.{member}"), NO_TEXT);
        }
        Some((member.clone(), wanted?))
    });
    let read: Vec<_> = read.collect();
    if read.is_empty() {
        fields.fault(name, "must be a table of texts, such as { size = \"large\" }");
    }
    read
}

fn read_body(fields: &Fields<'_>) -> Option<(Vec<String>, Wanted)> {
    if !fields.has("body") {
        if fields.has("is") {
            fields.fault("is", "is for body: { body = \"model\", is = \"gpt-*\" }");
        }
        return None;
    }
    let path: Vec<_> = fields.text("body")?.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) || path.len() > 16 {
        let problem = "must be names with points between, such as \"model\" or \"options.size\"";
        fields.fault("body", problem);
        return None;
    }
    let wanted = fields.needed("is", "what the member must be, such as \"gpt-*\"");
    let wanted = wanted.and_then(|text| {
        let wanted = Wanted::parse(text);
        if wanted.is_none() {
            fields.fault("is", NO_TEXT);
        }
        wanted
    });
    Some((path, wanted?))
}
